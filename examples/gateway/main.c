/* main.c - gateway: a reverse proxy with routes, load balancing, retries, circuit breakers, limits.
 *
 * Try it:   gateway gateway.conf &  curl -i http://127.0.0.1:8080/
 *
 * Read it in this order:
 *
 *   main.c      what is started, and how it stops
 *   config.c    the configuration; gateway.conf is one, with all that may stand in it
 *   forward.c   the way of a request: route, try, another try, answer
 *   group.c     whom to ask: load balancing, and the breaker of each upstream
 *   fields.c    which headers go along
 *   relay.c     the answer, piece by piece
 *   tunnel.c    WebSocket and the like
 *   health.c    upstreams that are asked how they are
 *   admin.c     counts
 *
 * Limits of one request are layers of the library around forward_on: the rate of its client, how
 * many at a time. The rest is straight-line code: each request is a fiber that asks, waits, and
 * passes on what comes.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "gateway.h"

static const char main_usage[] =
    "Usage: gateway [--check] CONFIGURATION\n"
    "A reverse proxy, as an example of the Skua runtime. --check reads the configuration only.\n";

/* ---- making it ------------------------------------------------------------------------------- */

/* The layers around a route, as it is limited. */
static int main_route(struct route *route)
{
    size_t layers = 0;
    int rc = 0;

    if (route->rate != 0) {
        rc = skua_http_rates_new(&route->rates,
                                 SKUA_HTTP_RATES_OPTIONS(.rate = (uint64_t)route->rate,
                                                         .burst = (uint64_t)route->burst,
                                                         .keys = (size_t)route->keys,
                                                         .key = field_client, .arg = route));
        route->layers[layers++] = (skua_http_layer){skua_http_rates_layer, route->rates};
    }
    if (rc == 0 && route->running != 0) {
        rc = skua_limiter_init(&route->limiter,
                               SKUA_LIMITER_OPTIONS(.running = (size_t)route->running,
                                                    .waiting = (size_t)route->waiting,
                                                    .max_wait = route->group->timeout));
        route->limit = (skua_http_limit)SKUA_HTTP_LIMIT(.limiter = &route->limiter);
        route->layers[layers++] = (skua_http_layer){skua_http_limit_layer, &route->limit};
    }
    route->chain = (skua_http_chain){route->layers, layers, forward_on, route};
    return rc;
}

static int main_open(struct gateway *gateway)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < gateway->groups_count; i++)
        rc = group_open(&gateway->groups[i]);
    for (unsigned i = 0; rc == 0 && i < gateway->routes_count; i++)
        rc = main_route(&gateway->routes[i]);
    return rc;
}

static void main_close(struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->routes_count; i++)
        skua_http_rates_free(gateway->routes[i].rates);
    for (unsigned i = 0; i < gateway->groups_count; i++)
        group_close(&gateway->groups[i]);
}

/* ---- running it ------------------------------------------------------------------------------ */

/* A server and what it listens on. */
struct front {
    skua_http_server *server;
    skua_listener *listener;
};

static int front_open(struct front *front, const char *address, const char *name,
                      skua_http_handler handler, void *state,
                      const skua_http_server_options *options)
{
    char bound[SKUA_ADDRESS_MAX];
    int rc = skua_http_server_new(&front->server, handler, state, options);

    if (rc == 0)
        rc = skua_tcp_listen(&front->listener, address, NULL);
    if (rc != 0) {
        fprintf(stderr, "gateway: cannot listen on %s: %s\n", address, skua_strerror(rc));
        return rc;
    }
    (void)skua_listener_address(front->listener, bound, sizeof bound);
    printf("%s %s\n", name, bound);
    return fflush(stdout) == 0 ? 0 : -EIO;
}

static void front_close(struct front *front)
{
    if (front->listener != NULL)
        (void)skua_listener_close(front->listener);
    skua_http_server_free(front->server);
}

static int front_run(void *arg)
{
    struct front *front = arg;

    return skua_http_server_run(front->server, front->listener);
}

/* A signal cancels this fiber, and with it what it waits for: the public server lets the requests
 * under way end; then the others are stopped. */
static int main_serve(struct gateway *gateway, struct front *public, struct front *private)
{
    skua_scope scope;
    int rc;

    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = health_start(gateway, &scope);
    if (rc == 0 && private->server != NULL)
        rc = skua_spawn(&scope, front_run, private, .name = "admin");
    if (rc >= 0)
        rc = front_run(public);
    (void)skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    return rc;
}

static int main_run(void *arg)
{
    struct gateway *gateway = arg;
    skua_http_log log = SKUA_HTTP_LOG(.file = stderr);
    const skua_http_layer layers[] = {{skua_http_log_layer, &log}};
    skua_http_chain app = {layers, gateway->log != 0 ? 1 : 0, forward, gateway};
    struct front public = {NULL, NULL}, private = {NULL, NULL};
    int rc = main_open(gateway);

    if (gateway->log != 0)
        log.format = (skua_http_log_format)(gateway->log - 1);
    if (rc == 0)
        rc = front_open(&public, gateway->listen, "listen", skua_http_chain_handler, &app,
                        SKUA_HTTP_SERVER_OPTIONS(.body_max = -1, .drain_timeout = gateway->drain));
    gateway->server = public.server;
    if (rc == 0 && *gateway->admin != '\0')
        rc = front_open(&private, gateway->admin, "admin", admin, gateway,
                        SKUA_HTTP_SERVER_OPTIONS(.connections_max = 16));
    if (rc == 0)
        rc = main_serve(gateway, &public, &private);
    front_close(&private);
    front_close(&public);
    main_close(gateway);
    return rc;
}

int main(int argc, char **argv)
{
    static struct gateway gateway = {
        .listen = "127.0.0.1:8080", .via = "skua-gateway", .drain = 10 * SKUA_SECOND};
    bool check = argc == 3 && strcmp(argv[1], "--check") == 0;
    struct rlimit files;

    if (argc != 2 && !check) {
        fputs(main_usage, stderr);
        return 2;
    }
    if (strcmp(argv[argc - 1], "--help") == 0) {
        fputs(main_usage, stdout);
        return 0;
    }
    if (config_read(&gateway, argv[argc - 1]) != 0)
        return 2;
    if (check)
        return 0;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* a request is two connections */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return skua_main(main_run, &gateway,
                     SKUA_RUNTIME_OPTIONS(.name = "gateway", .stop_on = SKUA_SIGNALS_TERM,
                                          .stop_timeout = gateway.drain + 5 * SKUA_SECOND));
}
