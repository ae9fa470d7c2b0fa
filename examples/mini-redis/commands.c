/* commands.c - the table of commands, and the way through one; see commands.h. */
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "store/mem.h"
#include "trace.h"

#define COMMAND_PREPARE_MIN (16 * 1024) /* arguments that are copied before the lock */
#define COMMAND_NAME_MAX 16

#define W COMMAND_WRITES
#define ALL COMMAND_WHOLE
#define SUB COMMAND_SUBSCRIBED

/* Sorted by name: it is searched by halves. */
const struct command command_table[] = {
    {"client", command_client, -2, 0, 0, 0, 0},
    {"command", command_command, -1, 0, 0, 0, 0},
    {"config", command_config, -2, 0, 0, 0, 0},
    {"dbsize", command_dbsize, 1, ALL, 0, 0, 0},
    {"decr", command_decr, 2, W, 1, 1, 1},
    {"decrby", command_decrby, 3, W, 1, 1, 1},
    {"del", command_del, -2, W, 1, -1, 1},
    {"echo", command_echo, 2, 0, 0, 0, 0},
    {"exists", command_exists, -2, 0, 1, -1, 1},
    {"expire", command_expire, -3, W, 1, 1, 1},
    {"flushall", command_flushall, -1, W | ALL, 0, 0, 0},
    {"get", command_get, 2, 0, 1, 1, 1},
    {"hget", command_hget, 3, 0, 1, 1, 1},
    {"hgetall", command_hgetall, 2, 0, 1, 1, 1},
    {"hset", command_hset, -4, W, 1, 1, 1},
    {"incr", command_incr, 2, W, 1, 1, 1},
    {"incrby", command_incrby, 3, W, 1, 1, 1},
    {"info", command_info, -1, ALL, 0, 0, 0},
    {"llen", command_llen, 2, 0, 1, 1, 1},
    {"lpop", command_lpop, -2, W, 1, 1, 1},
    {"lpush", command_lpush, -3, W, 1, 1, 1},
    {"lrange", command_lrange, 4, 0, 1, 1, 1},
    {"mget", command_mget, -2, 0, 1, -1, 1},
    {"mset", command_mset, -3, W, 1, -1, 2},
    {"persist", command_persist, 2, W, 1, 1, 1},
    {"pexpire", command_pexpire, -3, W, 1, 1, 1},
    {"ping", command_ping, -1, SUB, 0, 0, 0},
    {"pttl", command_pttl, 2, 0, 1, 1, 1},
    {"publish", command_publish, 3, 0, 0, 0, 0},
    {"quit", command_quit, -1, SUB, 0, 0, 0},
    {"rpop", command_rpop, -2, W, 1, 1, 1},
    {"rpush", command_rpush, -3, W, 1, 1, 1},
    {"sadd", command_sadd, -3, W, 1, 1, 1},
    {"scard", command_scard, 2, 0, 1, 1, 1},
    {"set", command_set, -3, W, 1, 1, 1},
    {"sismember", command_sismember, 3, 0, 1, 1, 1},
    {"smembers", command_smembers, 2, 0, 1, 1, 1},
    {"subscribe", command_subscribe, -2, SUB, 0, 0, 0},
    {"ttl", command_ttl, 2, 0, 1, 1, 1},
    {"type", command_type, 2, 0, 1, 1, 1},
    {"unsubscribe", command_unsubscribe, -1, SUB, 0, 0, 0},
};
const size_t command_table_len = sizeof command_table / sizeof *command_table;

#undef W
#undef ALL
#undef SUB

/* ---- before the handler ---------------------------------------------------------------------- */

static const struct command *command_find(const struct arg *name)
{
    char lower[COMMAND_NAME_MAX];
    size_t low = 0;
    size_t high = command_table_len;

    if (name->len >= sizeof lower)
        return NULL;
    for (size_t i = 0; i < name->len; i++)
        lower[i] = name->bytes[i] >= 'A' && name->bytes[i] <= 'Z' ? (char)(name->bytes[i] | 0x20)
                                                                  : name->bytes[i];
    lower[name->len] = '\0';
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(lower, command_table[middle].name);

        if (order == 0 && strlen(lower) == name->len)
            return &command_table[middle];
        if (order <= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int command_text_len(const struct arg *arg, size_t max)
{
    return (int)(arg->len < max ? arg->len : max);
}

static void command_unknown(struct conn *conn, int argc, const struct arg *argv)
{
    char args[160] = "";
    size_t len = 0;

    for (int i = 1; i < argc && len < 128; i++)
        len += (size_t)snprintf(args + len, sizeof args - len, "'%.*s' ",
                                command_text_len(&argv[i], 128 - len), argv[i].bytes);
    reply_error(&conn->reply, "unknown command '%.*s', with args beginning with: %s",
                command_text_len(&argv[0], 128), argv[0].bytes, args);
}

/* Whether the command may be run at all; if not, says why. */
static bool command_admit(struct call *call)
{
    const struct command *command = call->command;
    bool subscribed = call->conn->subscriber != NULL && call->conn->subscriber->channels.len > 0;

    if (command->arity > 0 ? call->argc != command->arity : call->argc < -command->arity) {
        call_error_arity(call, command->name);
        return false;
    }
    if (subscribed && !(command->flags & COMMAND_SUBSCRIBED)) {
        reply_error(call->reply,
                    "Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                    "RESET are allowed in this context",
                    command->name);
        return false;
    }
    return true;
}

/* The shards that the command's keys live in. Hashes the names on the way. */
static uint64_t command_shards(struct call *call)
{
    const struct command *command = call->command;
    int last = command->last_key < 0 ? call->argc + command->last_key : command->last_key;
    uint64_t shards = 0;

    if (command->flags & COMMAND_WHOLE)
        return STORE_ALL_SHARDS;
    if (command->first_key == 0)
        return 0;
    call->hash =
        dict_hash(call->argv[command->first_key].bytes, call->argv[command->first_key].len);
    shards = store_shard_of(call->hash);
    for (int i = command->first_key + command->step; i <= last; i += command->step)
        shards |= store_shard_of(dict_hash(call->argv[i].bytes, call->argv[i].len));
    return shards;
}

/* Copies the long arguments of a command that stores them, while nobody waits for a lock. */
static void command_prepare(struct call *call)
{
    if (!(call->command->flags & COMMAND_WRITES))
        return;
    for (int i = 2; i < call->argc; i++) {
        if (call->argv[i].len < COMMAND_PREPARE_MIN)
            continue;
        if (call->prepared == NULL)
            call->prepared = mem_zeroed((size_t)call->argc, sizeof *call->prepared);
        call->prepared[i] = str_new(call->argv[i].bytes, call->argv[i].len);
    }
}

static void command_clean_up(struct call *call)
{
    store_trash_empty(&call->trash);
    if (call->prepared == NULL)
        return;
    for (int i = 0; i < call->argc; i++)
        str_unref(call->prepared[i]);
    free(call->prepared);
}

/* A command that was found. */
static void command_call(struct call *call)
{
    struct store *store = &call->server->store;
    uint64_t shards;

    if (!command_admit(call))
        return;
    shards = command_shards(call);
    command_prepare(call);
    call->now = clock_ms();
    store_lock(store, shards);
    call->command->run(call);
    store_unlock(store, shards);
    command_clean_up(call);
    if (call->expires != HEAP_NEVER)
        expirer_tell(&call->server->expirer, call->expires);
}

/* The same with a span around it. */
static void command_traced(struct call *call)
{
    const struct reply *reply = call->reply;
    size_t before = reply->len;
    skua_span *span = trace_begin(call->command->name);

    command_call(call);
    trace_end(span, reply->len > before && reply->buf[before] == '-');
}

void command_run(struct conn *conn, int argc, const struct arg *argv)
{
    struct call call = {.server = conn->server,
                        .conn = conn,
                        .command = command_find(&argv[0]),
                        .argc = argc,
                        .argv = argv,
                        .reply = &conn->reply,
                        .expires = HEAP_NEVER};

    if (call.command == NULL)
        command_unknown(conn, argc, argv);
    else if (SKUA_TRACE_ON())
        command_traced(&call);
    else
        command_call(&call);
}

/* ---- for the handler ------------------------------------------------------------------------- */

bool arg_is(const struct arg *arg, const char *word)
{
    return arg->len == strlen(word) && strncasecmp(arg->bytes, word, arg->len) == 0;
}

static uint64_t call_hash(const struct call *call, int i)
{
    return i == call->command->first_key ? call->hash
                                         : dict_hash(call->argv[i].bytes, call->argv[i].len);
}

struct key *call_find(struct call *call, int i)
{
    return store_find(&call->server->store, call->argv[i].bytes, call->argv[i].len,
                      call_hash(call, i), call->now, &call->trash);
}

bool call_find_type(struct call *call, int i, enum key_type type, struct key **key)
{
    *key = call_find(call, i);
    if (*key == NULL || (*key)->type == type)
        return true;
    reply_error(call->reply, "-WRONGTYPE Operation against a key holding the wrong kind of value");
    return false;
}

struct key *call_add(struct call *call, int i, enum key_type type)
{
    return store_add(&call->server->store, call->argv[i].bytes, call->argv[i].len,
                     call_hash(call, i), type);
}

void call_remove(struct call *call, struct key *key)
{
    store_remove(&call->server->store, key, &call->trash);
}

void call_expire(struct call *call, struct key *key, int64_t when)
{
    store_expire(&call->server->store, key, when);
    if (when < call->expires)
        call->expires = when;
}

struct str *call_str(struct call *call, int i)
{
    struct str *str = call->prepared != NULL ? call->prepared[i] : NULL;

    if (str == NULL)
        return str_new(call->argv[i].bytes, call->argv[i].len);
    call->prepared[i] = NULL;
    return str;
}

bool call_integer(struct call *call, int i, int64_t *number)
{
    if (integer_parse(call->argv[i].bytes, call->argv[i].len, number))
        return true;
    call_error_integer(call);
    return false;
}

void call_error_syntax(struct call *call)
{
    reply_error(call->reply, "syntax error");
}

void call_error_integer(struct call *call)
{
    reply_error(call->reply, "value is not an integer or out of range");
}

void call_error_arity(struct call *call, const char *name)
{
    reply_error(call->reply, "wrong number of arguments for '%s' command", name);
}
