/* 23_http_fetch.c - asks for several URLs at a time, and reads what comes as streams.
 *
 *     ./23_http_fetch                          serves a few things itself, and asks for them
 *     ./23_http_fetch URL…                     tells the status and the length of each
 *
 * One client for all: URLs of one host share its connections. A body is never in memory as a whole.
 * examples/fetch is the same as a program: files, progress bars, retries, cut downloads gone on
 * with.
 *
 *     cc 23_http_fetch.c $(pkg-config --cflags --libs skua-http)
 *     ./a.out http://127.0.0.1:8080/a http://127.0.0.1/b
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/http/client.h>
#include <skua/http/server.h>
#include <skua/skua.h>

#define URLS_MAX 64

struct question {
    skua_http_client *client;
    const char *url;
    int64_t length; /* bytes that came */
    int rc;         /* an error, or the status */
};

struct app {
    struct question questions[URLS_MAX];
    int count;
};

/* ---- asking ---------------------------------------------------------------------------------- */

static int ask(void *arg)
{
    struct question *question = arg;
    skua_http_response *response;
    char buf[16384];
    ssize_t n;

    question->rc =
        skua_http_client_send(question->client, SKUA_HTTP_REQUEST(.url = question->url), &response);
    if (question->rc != 0)
        return 0; /* its failure is its own: the others go on */
    while ((n = skua_http_response_read(response, buf, sizeof buf)) > 0)
        question->length += n;
    question->rc = n < 0 ? (int)n : skua_http_response_status(response);
    skua_http_response_close(response);
    return 0;
}

static int ask_all(struct app *app)
{
    skua_http_client *client;
    skua_scope scope;
    int failed = 0;
    int rc = skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = 4));

    if (rc != 0)
        return rc;
    (void)skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; rc == 0 && i < app->count; i++) {
        app->questions[i].client = client;
        rc = skua_spawn(&scope, ask, &app->questions[i]);
    }
    (void)skua_scope_join(&scope);
    for (int i = 0; i < app->count; i++) {
        const struct question *question = &app->questions[i];

        printf("%s: %lld bytes, %s\n", question->url, (long long)question->length,
               question->rc < 0 ? skua_strerror(question->rc) : skua_http_reason(question->rc));
        failed += question->rc != 200;
    }
    (void)skua_http_client_free(client);
    return rc == 0 && failed != 0 ? -EIO : rc;
}

/* ---- without arguments: a server to ask ------------------------------------------------------ */

/* /N: N kilobytes. */
static int serve(skua_http_exchange *exchange, void *state)
{
    static const char block[1024];
    ssize_t n = 0;

    (void)state;
    for (int left = atoi(skua_http_path(exchange) + 1); left > 0 && n >= 0; left--)
        n = skua_http_write(exchange, block, sizeof block);
    return n < 0 ? (int)n : 0;
}

struct site {
    skua_http_server *server;
    skua_listener *listener;
};

static int run(void *arg)
{
    struct site *site = arg;

    return skua_http_server_run(site->server, site->listener);
}

static int ask_itself(struct app *app)
{
    static char urls[8][80];
    char address[SKUA_ADDRESS_MAX];
    struct site site;
    skua_scope scope;
    int rc = skua_http_server_new(&site.server, serve, NULL, NULL);

    if (rc != 0)
        return rc;
    rc = skua_tcp_listen(&site.listener, "127.0.0.1:0", NULL);
    if (rc == 0) {
        (void)skua_listener_address(site.listener, address, sizeof address);
        for (app->count = 0; app->count < 8; app->count++) {
            (void)snprintf(urls[app->count], sizeof urls[0], "http://%.40s/%d", address,
                           251 * app->count + 1);
            app->questions[app->count].url = urls[app->count];
        }
        (void)skua_scope_open(&scope, SKUA_COLLECT);
        rc = skua_spawn(&scope, run, &site);
        if (rc == 0)
            rc = ask_all(app);
        (void)skua_scope_cancel(&scope);
        (void)skua_scope_join(&scope);
        (void)skua_listener_close(site.listener);
    }
    skua_http_server_free(site.server);
    return rc;
}

static int start(void *arg)
{
    struct app *app = arg;

    return app->count != 0 ? ask_all(app) : ask_itself(app);
}

int main(int argc, char **argv)
{
    static struct app app;

    for (int i = 1; i < argc && app.count < URLS_MAX; i++)
        app.questions[app.count++].url = argv[i];
    return skua_main(start, &app,
                     SKUA_RUNTIME_OPTIONS(.name = "fetch", .stop_on = SKUA_SIGNALS_TERM));
}
