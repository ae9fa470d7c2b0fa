/* 22_http_hello.c - an HTTP server with routes, parameters, bodies in and out, and an orderly stop.
 *
 *     ./22_http_hello                      asks itself a few things, and stops
 *     ./22_http_hello 127.0.0.1:8080       serves until Ctrl-C: requests under way are answered
 *
 *     curl -i http://127.0.0.1:8080/hello/you
 *     curl -i http://127.0.0.1:8080/sum -d '1 2 3'
 *     curl -i -T FILE http://127.0.0.1:8080/upper
 *
 *     cc 22_http_hello.c $(pkg-config --cflags --libs skua-http) && ./a.out
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/http/router.h>
#include <skua/http/server.h>
#include <skua/skua.h>

/* ---- handlers -------------------------------------------------------------------------------- */

static int hello(skua_http_exchange *exchange, void *state)
{
    const char *greeting = skua_http_query_value(exchange, "greeting");

    (void)state;
    return skua_http_replyf(exchange, 200, "text/plain", "%s, %s!\n",
                            greeting != NULL ? greeting : "hello",
                            skua_http_param(exchange, "name"));
}

/* A body at once, with a limit of its own. */
static int sum(skua_http_exchange *exchange, void *state)
{
    char *body, *end;
    long total = 0;
    int rc = skua_http_read_all(exchange, &body, NULL, 4096);

    (void)state;
    if (rc != 0)
        return rc; /* SKUA_ELIMIT: 413 */
    while (*(body += strspn(body, " \t\r\n")) != '\0') {
        total += strtol(body, &end, 10);
        if (end == body)
            return skua_http_reply(exchange, 400, "text/plain", "numbers only\n", 13);
        body = end;
    }
    return skua_http_replyf(exchange, 200, "text/plain", "%ld\n", total);
}

/* A body as a stream, both ways: it may be of any length, and is never in memory as a whole. */
static int upper(skua_http_exchange *exchange, void *state)
{
    char buf[8192];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            buf[i] = (char)toupper((unsigned char)buf[i]);
        n = skua_http_write(exchange, buf, (size_t)n);
        if (n < 0)
            break;
    }
    return (int)n;
}

/* ---- the server ------------------------------------------------------------------------------ */

struct app {
    const char *address; /* NULL: asks itself */
    skua_http_router *router;
    skua_http_server *server;
    skua_listener *listener;
};

static int run(void *arg)
{
    struct app *app = arg;

    return skua_http_server_run(app->server, app->listener);
}

static int ask(const char *address, const char *request)
{
    char text[4096];
    skua_tcp *tcp;
    ssize_t n;
    int rc = skua_tcp_connect(&tcp, address, NULL);

    if (rc != 0)
        return rc;
    n = skua_tcp_write_all(tcp, request, strlen(request));
    while (n > 0 && (n = skua_tcp_read(tcp, text, sizeof text)) > 0)
        (void)fwrite(text, 1, (size_t)n, stdout);
    (void)skua_tcp_close(tcp);
    (void)puts("");
    return (int)n;
}

static int asks_itself(struct app *app, const char *address)
{
    skua_scope scope;
    int rc;

    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&scope, run, app);
    if (rc == 0)
        rc = ask(address, "GET /hello/world?greeting=Good+morning HTTP/1.1\r\nHost: localhost\r\n"
                          "Connection: close\r\n\r\n");
    if (rc == 0)
        rc = ask(address, "POST /sum HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n"
                          "Connection: close\r\n\r\n1 2 39");
    (void)skua_scope_cancel(&scope); /* as Ctrl-C does */
    (void)skua_scope_join(&scope);
    return rc;
}

static int serve(struct app *app)
{
    char address[SKUA_ADDRESS_MAX];
    int rc = skua_tcp_listen(&app->listener, app->address ? app->address : "127.0.0.1:0", NULL);

    if (rc != 0)
        return rc;
    (void)skua_listener_address(app->listener, address, sizeof address);
    printf("serving on http://%s\n", address);
    (void)fflush(stdout);
    rc = app->address != NULL ? run(app) : asks_itself(app, address);
    (void)skua_listener_close(app->listener);
    return rc;
}

static int start(void *arg)
{
    struct app *app = arg;
    int rc = skua_http_router_new(&app->router);

    if (rc != 0)
        return rc;
    rc = skua_http_route(app->router, "GET", "/hello/:name", hello, NULL);
    if (rc == 0)
        rc = skua_http_route(app->router, "POST", "/sum", sum, NULL);
    if (rc == 0)
        rc = skua_http_route(app->router, "PUT", "/upper", upper, NULL);
    if (rc == 0)
        rc = skua_http_server_new(&app->server, skua_http_router_handler, app->router,
                                  SKUA_HTTP_SERVER_OPTIONS(.body_max = (int64_t)1 << 30));
    if (rc == 0) {
        rc = serve(app);
        skua_http_server_free(app->server);
    }
    skua_http_router_free(app->router);
    return rc;
}

int main(int argc, char **argv)
{
    struct app app = {.address = argc > 1 ? argv[1] : NULL};

    return skua_main(start, &app,
                     SKUA_RUNTIME_OPTIONS(.name = "hello", .stop_on = SKUA_SIGNALS_TERM));
}
