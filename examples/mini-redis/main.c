/* main.c - mini-redis: a server that speaks RESP2, one fiber a connection.
 *
 * Try it:   mini-redis --port 6399 &  redis-cli -p 6399 set greeting hello
 *
 * Read it in this order:
 *
 *   main.c          options; the fiber that accepts
 *   conn.c          the fiber of a connection: read, run, write
 *   resp_parse.c    requests, in whatever pieces they arrive
 *   reply.c         replies, without copying long strings
 *   commands.c      the table of commands, and the locks around them
 *   commands_*.c    the commands
 *   store/          keys, values, expiries: plain C that knows nothing of fibers
 *   expire.c        the fiber that throws away what has expired
 *   pubsub.c        channels, and the second fiber of a subscriber
 *   bell.c          a future of one's own: what those two sleep on
 *   trace.c         a span for each command, where OTEL_* asks for it
 *
 * Nothing in here is asynchronous to look at: every wait is a call that returns when it is done,
 * and a signal makes all of them return -ECANCELED, from the inside out.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "conn.h"
#include "store/mem.h"
#include "trace.h"

#define MAIN_PORT 6379
#define MAIN_CLIENTS 10000
#define MAIN_BULK ((int64_t)64 << 20)
#define MAIN_BULK_CEILING ((int64_t)512 << 20) /* what RESP allows */
#define MAIN_OUTPUT_MIN ((int64_t)64 << 10)
#define MAIN_OUTPUT_CEILING ((int64_t)1 << 40)
#define MAIN_DESCRIPTORS 64 /* beside the clients': the runtime's, and some to spare */

/* ---- options --------------------------------------------------------------------------------- */

static const char main_usage[] =
    "Usage: mini-redis [option]...\n"
    "A server that speaks the Redis protocol (RESP2), as an example of the Skua runtime.\n"
    "\n"
    "  --port N           port to listen on, 0 = any that is free (default 6379)\n"
    "  --bind ADDRESS     IP address to listen on (default 127.0.0.1)\n"
    "  --workers N        threads (default: one a processor)\n"
    "  --driver NAME      epoll, io_uring or auto (default auto)\n"
    "  --maxclients N     connections at once; more are told so and closed (default 10000)\n"
    "  --max-bulk BYTES   longest argument, at most 512m (default 64m)\n"
    "  --max-output BYTES replies that may wait for one client; past it the client is closed\n"
    "                     (default: twice --max-bulk)\n"
    "  --help             this text\n"
    "\n"
    "OTEL_TRACES_EXPORTER and the other variables of OpenTelemetry have commands traced.\n"
    "BYTES take k, m or g. SIGINT and SIGTERM stop the server: clients get the reply to the\n"
    "command at hand and are closed.\n";

static int main_refuse(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "mini-redis: --%s %s: expected %s (see --help)\n", option, value, expected);
    return 2;
}

/* Reads "64", and "64m" if `bytes`. Returns -1 when it is no number from min to max. */
static int64_t main_number(const char *text, bool bytes, int64_t min, int64_t max)
{
    static const char units[] = "kmg";
    size_t len = strlen(text);
    const char *unit = bytes && len > 0 ? strchr(units, text[len - 1] | 0x20) : NULL;
    int64_t number;

    if (!integer_parse(text, unit != NULL ? len - 1 : len, &number) || number < 0)
        return -1;
    if (unit != NULL &&
        __builtin_mul_overflow(number, INT64_C(1) << (10 * (unit - units + 1)), &number))
        return -1;
    return number < min || number > max ? -1 : number;
}

/* An option that is a number: what it may be, and where it goes. */
struct main_number {
    const char *name;
    int64_t min;
    int64_t max;
    bool bytes;
    const char *expected;
    size_t offset; /* of an int64_t in struct options */
};

/* clang-format off */
static const struct main_number main_numbers[] = {
    {"port", 0, 65535, false, "a port from 0 to 65535", offsetof(struct options, port)},
    {"workers", 1, 1024, false, "a number from 1 to 1024", offsetof(struct options, workers)},
    {"maxclients", 1, 1000000, false, "a number from 1 to 1000000",
     offsetof(struct options, clients_max)},
    {"max-bulk", 1024, MAIN_BULK_CEILING, true, "bytes from 1k to 512m",
     offsetof(struct options, bulk_max)},
    {"max-output", MAIN_OUTPUT_MIN, MAIN_OUTPUT_CEILING, true, "bytes from 64k to 1024g",
     offsetof(struct options, output_max)},
};

static const struct option main_longs[] = { /* the first ones as in main_numbers */
    {"port", required_argument, NULL, 0},
    {"workers", required_argument, NULL, 1},
    {"maxclients", required_argument, NULL, 2},
    {"max-bulk", required_argument, NULL, 3},
    {"max-output", required_argument, NULL, 4},
    {"bind", required_argument, NULL, 'b'},
    {"driver", required_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};
/* clang-format on */

static int main_set_number(struct options *options, const struct main_number *number,
                           const char *text)
{
    int64_t value = main_number(text, number->bytes, number->min, number->max);

    if (value < 0)
        return main_refuse(number->name, text, number->expected);
    *(int64_t *)((char *)options + number->offset) = value;
    return 0;
}

static int main_driver(struct options *options, const char *name)
{
    static const char *const names[] = {[SKUA_DRIVER_AUTO] = "auto",
                                        [SKUA_DRIVER_EPOLL] = "epoll",
                                        [SKUA_DRIVER_IO_URING] = "io_uring"};

    for (unsigned n = 0; n < sizeof names / sizeof *names; n++)
        if (strcmp(name, names[n]) == 0) {
            options->driver = (skua_driver)n;
            return 0;
        }
    return main_refuse("driver", name, "epoll, io_uring or auto");
}

/* Takes one option that getopt has found. Returns as main_options. */
static int main_set(struct options *options, int which)
{
    switch (which) {
    case 'b':
        options->bind = optarg;
        return 0;
    case 'd':
        return main_driver(options, optarg);
    case 'h':
        fputs(main_usage, stdout);
        return -1;
    case '?': /* getopt has said what is wrong */
        fputs("Try 'mini-redis --help'.\n", stderr);
        return 2;
    default:
        return main_set_number(options, &main_numbers[which], optarg);
    }
}

/* Reads the command line. Returns 0, the exit status of a mistake, or -1: nothing more to do. */
static int main_options(int argc, char **argv, struct options *options)
{
    int rc = 0;
    int which;

    while (rc == 0 && (which = getopt_long(argc, argv, "h", main_longs, NULL)) != -1)
        rc = main_set(options, which);
    if (rc == 0 && optind < argc) {
        fprintf(stderr, "mini-redis: unexpected argument '%s' (see --help)\n", argv[optind]);
        rc = 2;
    }
    if (options->output_max == 0)
        options->output_max = 2 * options->bulk_max;
    return rc;
}

/* As many descriptors as the clients need, if the system lets us. */
static void main_raise_descriptors(const struct options *options)
{
    rlim_t wanted = (rlim_t)options->clients_max + MAIN_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        fprintf(stderr,
                "mini-redis: only %llu descriptors for --maxclients %" PRId64
                ": connections beyond that "
                "will wait until others end\n",
                (unsigned long long)limit.rlim_cur, options->clients_max);
}

/* ---- the server ------------------------------------------------------------------------------ */

static int main_listen(struct server *server, skua_listener **listener)
{
    const struct options *options = server->options;
    bool v6 = strchr(options->bind, ':') != NULL;
    skua_runtime_stats stats = {.size = sizeof stats};
    char address[SKUA_ADDRESS_MAX];
    int rc;

    snprintf(address, sizeof address, v6 ? "[%s]:%" PRId64 : "%s:%" PRId64, options->bind,
             options->port);
    rc = skua_tcp_listen(listener, address, NULL);
    if (rc != 0) {
        fprintf(stderr, "mini-redis: cannot listen on %s: %s\n", address, skua_strerror(rc));
        return rc;
    }
    (void)skua_listener_address(*listener, address, sizeof address);
    (void)skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0);
    server->port = (unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
    printf("ready on %s (driver %s, %u worker%s)\n", address, stats.driver, stats.workers,
           stats.workers == 1 ? "" : "s");
    fflush(stdout);
    return 0;
}

/* Tells a client that there are too many. The socket is new, so this fits in and does not wait. */
static void main_turn_away(struct server *server, skua_tcp *tcp)
{
    static const char sorry[] = "-ERR max number of clients reached\r\n";

    (void)skua_tcp_write_all_until(tcp, sorry, sizeof sorry - 1,
                                   skua_now() + 100 * SKUA_MILLISECOND);
    (void)skua_tcp_close(tcp);
    server_count(&server->clients_rejected, 1);
}

/* Accepts until it is cancelled. The connections' fibers are children of the open scope. */
static int main_accept(struct server *server, skua_listener *listener)
{
    skua_tcp *tcp;
    int rc;

    while ((rc = skua_tcp_accept(listener, &tcp)) == 0) {
        if (server_count(&server->clients, 0) >= (uint64_t)server->options->clients_max)
            main_turn_away(server, tcp);
        else
            (void)conn_start(server, tcp); /* no fiber to be had: that client is closed */
    }
    return rc;
}

/* The server's first fiber. On a signal accept says -ECANCELED; the join then cancels every child
 * and waits until each has said good-bye to its client. */
static int main_serve(void *arg)
{
    struct server *server = arg;
    skua_listener *listener = NULL;
    skua_scope scope;
    int rc = main_listen(server, &listener);

    if (rc != 0)
        return rc;
    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&scope, expirer_run, &server->expirer, .name = "expirer");
    if (rc == 0)
        rc = main_accept(server, listener);
    (void)skua_listener_close(listener);
    (void)skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    return rc;
}

int main(int argc, char **argv)
{
    struct options options = {
        .bind = "127.0.0.1", .port = MAIN_PORT, .clients_max = MAIN_CLIENTS, .bulk_max = MAIN_BULK};
    struct server *server;
    int rc = main_options(argc, argv, &options);

    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (!trace_start())
        return 2;
    main_raise_descriptors(&options);
    dict_seed();
    server = mem_zeroed(1, sizeof *server);
    server->options = &options;
    server->started = clock_ms();
    store_init(&server->store);
    expirer_init(&server->expirer, &server->store);
    pubsub_init(&server->pubsub);

    rc = skua_main(main_serve, server,
                   SKUA_RUNTIME_OPTIONS(.name = "mini-redis", .workers = (unsigned)options.workers,
                                        .driver = options.driver, .stop_on = SKUA_SIGNALS_TERM));

    trace_stop();
    pubsub_done(&server->pubsub);
    expirer_done(&server->expirer);
    store_done(&server->store);
    free(server);
    return rc;
}
