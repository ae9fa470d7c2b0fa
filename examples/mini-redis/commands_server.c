/* commands_server.c - commands about the connection, the server and its channels. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

/* ---- the connection -------------------------------------------------------------------------- */

void command_ping(struct call *call)
{
    struct subscriber *subscriber = call->conn->subscriber;

    if (call->argc > 2) {
        call_error_arity(call, "ping");
        return;
    }
    if (subscriber != NULL && subscriber->channels.len > 0) { /* looks like a message there */
        reply_array(call->reply, 2);
        reply_bulk_text(call->reply, "pong");
        reply_bulk(call->reply, call->argv[call->argc - 1].bytes,
                   call->argc == 2 ? call->argv[1].len : 0);
    } else if (call->argc == 2)
        reply_bulk(call->reply, call->argv[1].bytes, call->argv[1].len);
    else
        reply_status(call->reply, "PONG");
}

void command_echo(struct call *call)
{
    reply_bulk(call->reply, call->argv[1].bytes, call->argv[1].len);
}

void command_quit(struct call *call)
{
    reply_status(call->reply, "OK");
    call->conn->leaving = true;
}

/* For "CLIENT x" and the like: there is no such x. */
static void subcommand_unknown(struct call *call, const char *container)
{
    reply_error(call->reply, "unknown subcommand '%.*s'. Try %s HELP.",
                (int)(call->argv[1].len < 128 ? call->argv[1].len : 128), call->argv[1].bytes,
                container);
}

static void client_set_name(struct call *call)
{
    const struct arg *name = &call->argv[2];

    for (size_t i = 0; i < name->len; i++)
        if (name->bytes[i] < '!' || name->bytes[i] > '~') {
            reply_error(call->reply, "Client names cannot contain spaces, newlines or special "
                                     "characters.");
            return;
        }
    str_unref(call->conn->name);
    call->conn->name = name->len > 0 ? str_new(name->bytes, name->len) : NULL;
    reply_status(call->reply, "OK");
}

static void client_get_name(struct call *call)
{
    if (call->conn->name != NULL)
        reply_bulk_str(call->reply, call->conn->name);
    else
        reply_null(call->reply);
}

static void client_id(struct call *call)
{
    reply_integer(call->reply, (int64_t)call->conn->id);
}

static void client_set_info(struct call *call)
{
    reply_status(call->reply, "OK"); /* which library this is; nobody asks for it */
}

void command_client(struct call *call)
{
    static const struct {
        const char *name;
        int argc;
        void (*run)(struct call *call);
    } parts[] = {{"setname", 3, client_set_name},
                 {"getname", 2, client_get_name},
                 {"id", 2, client_id},
                 {"setinfo", 4, client_set_info}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char full[32];

        if (!arg_is(&call->argv[1], parts[i].name))
            continue;
        snprintf(full, sizeof full, "client|%s", parts[i].name);
        if (call->argc == parts[i].argc)
            parts[i].run(call);
        else
            call_error_arity(call, full);
        return;
    }
    subcommand_unknown(call, "CLIENT");
}

/* ---- the server ------------------------------------------------------------------------------ */

/* CONFIG GET is what benchmarks and client libraries ask first; it answers about the few settings
 * they look at. */
void command_config(struct call *call)
{
    char bulk_max[24];
    char clients_max[24];
    const char *settings[][2] = {{"save", ""},
                                 {"appendonly", "no"},
                                 {"maxclients", clients_max},
                                 {"proto-max-bulk-len", bulk_max}};
    const size_t count = sizeof settings / sizeof *settings;
    bool wanted[sizeof settings / sizeof *settings] = {false};
    size_t found = 0;

    if (!arg_is(&call->argv[1], "get")) {
        subcommand_unknown(call, "CONFIG");
        return;
    }
    if (call->argc < 3) {
        call_error_arity(call, "config|get");
        return;
    }
    snprintf(bulk_max, sizeof bulk_max, "%" PRId64, call->server->options->bulk_max);
    snprintf(clients_max, sizeof clients_max, "%" PRId64, call->server->options->clients_max);
    for (size_t n = 0; n < count; n++) {
        for (int i = 2; i < call->argc; i++)
            wanted[n] =
                wanted[n] || arg_is(&call->argv[i], settings[n][0]) || arg_is(&call->argv[i], "*");
        found += wanted[n];
    }
    reply_array(call->reply, 2 * found);
    for (size_t n = 0; n < count; n++)
        if (wanted[n]) {
            reply_bulk_text(call->reply, settings[n][0]);
            reply_bulk_text(call->reply, settings[n][1]);
        }
}

static void command_describe(struct reply *reply, const struct command *command)
{
    reply_array(reply, 6);
    reply_bulk_text(reply, command->name);
    reply_integer(reply, command->arity);
    reply_array(reply, 1);
    reply_status(reply, command->flags & COMMAND_WRITES ? "write" : "readonly");
    reply_integer(reply, command->first_key);
    reply_integer(reply, command->last_key);
    reply_integer(reply, command->step);
}

void command_command(struct call *call)
{
    if (call->argc == 1) {
        reply_array(call->reply, command_table_len);
        for (size_t i = 0; i < command_table_len; i++)
            command_describe(call->reply, &command_table[i]);
    } else if (arg_is(&call->argv[1], "count"))
        reply_integer(call->reply, (int64_t)command_table_len);
    else if (arg_is(&call->argv[1], "docs"))
        reply_array(call->reply, 0); /* redis-cli asks; without an answer it shows no hints */
    else
        subcommand_unknown(call, "COMMAND");
}

struct info_text {
    char text[1024];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void info_add(struct info_text *info,
                                                           const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(info->text + info->len, sizeof info->text - info->len, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof info->text - info->len)
        info->len += (size_t)n;
}

void command_info(struct call *call)
{
    struct server *server = call->server;
    skua_runtime_stats stats = {.size = sizeof stats};
    struct info_text info = {.len = 0};

    (void)skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0);
    info_add(&info, "# Server\r\nserver_name:mini-redis\r\nskua_version:%s\r\n", skua_version());
    info_add(&info, "driver:%s\r\nworkers:%u\r\n", stats.driver, stats.workers);
    info_add(&info, "process_id:%ld\r\ntcp_port:%u\r\n", (long)getpid(), server->port);
    info_add(&info, "uptime_in_seconds:%" PRId64 "\r\n", (call->now - server->started) / 1000);
    info_add(&info, "\r\n# Clients\r\nconnected_clients:%" PRIu64 "\r\nmaxclients:%" PRId64 "\r\n",
             server_count(&server->clients, 0), server->options->clients_max);
    info_add(&info, "\r\n# Stats\r\ntotal_connections_received:%" PRIu64 "\r\n",
             server_count(&server->clients_seen, 0));
    info_add(&info, "total_commands_processed:%" PRIu64 "\r\nrejected_connections:%" PRIu64 "\r\n",
             server_count(&server->commands, 0), server_count(&server->clients_rejected, 0));
    info_add(&info, "tasks_alive:%" PRIu64 "\r\ntasks_stolen:%" PRIu64 "\r\n", stats.alive_tasks,
             stats.total.stolen_tasks);
    info_add(&info, "\r\n# Keyspace\r\ndb0:keys=%zu\r\n", store_len(&server->store));
    reply_bulk(call->reply, info.text, info.len);
}

/* ---- channels -------------------------------------------------------------------------------- */

void command_publish(struct call *call)
{
    const struct arg *argv = call->argv;

    reply_integer(call->reply, (int64_t)pubsub_publish(&call->server->pubsub, argv[1].bytes,
                                                       argv[1].len, argv[2].bytes, argv[2].len));
}

/* The connection's outbox, opened if need be. The replies that were collected so far go into it
 * first: what follows is put there at once. */
static struct subscriber *channel_outbox(struct call *call)
{
    struct conn *conn = call->conn;

    if (conn->subscriber == NULL)
        conn->subscriber = subscriber_new(&call->server->pubsub, conn->tcp,
                                          (size_t)call->server->options->output_max);
    if (conn->subscriber == NULL) {
        reply_error(call->reply, "no fiber left for a subscriber");
        conn->leaving = true;
    } else
        (void)conn_flush(conn); /* too much is told by the outbox again, and ends the connection */
    return conn->subscriber;
}

void command_subscribe(struct call *call)
{
    struct subscriber *subscriber = channel_outbox(call);

    for (int i = 1; subscriber != NULL && i < call->argc; i++)
        subscriber_join(subscriber, call->argv[i].bytes, call->argv[i].len);
}

void command_unsubscribe(struct call *call)
{
    struct subscriber *subscriber = channel_outbox(call);

    for (int i = 1; subscriber != NULL && i < call->argc; i++)
        subscriber_leave(subscriber, call->argv[i].bytes, call->argv[i].len);
    if (subscriber != NULL && call->argc == 1)
        subscriber_leave_all(subscriber);
}
