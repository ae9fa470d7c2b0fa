/* 23_http_fetch.c - downloads several URLs at a time, with a line that tells how far they are.
 *
 *     ./23_http_fetch                          serves a few files itself, and fetches them
 *     ./23_http_fetch URL…                     writes each to a file of the URL's last name
 *
 * A body is never in memory as a whole: what has come is written, and the server waits as long as
 * that takes. One client for all: URLs of one host share its connections.
 *
 *     cc 23_http_fetch.c -lskua-http -lskua && ./a.out http://127.0.0.1:8080/a http://127.0.0.1/b
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/http/client.h>
#include <skua/http/server.h>
#include <skua/skua.h>

#define DOWNLOADS_MAX 64

struct download {
    const char *url;
    const char *name;         /* of the file; NULL: only counted */
    _Atomic int64_t size;     /* -1: not known yet, or not said */
    _Atomic int64_t received; /* bytes so far */
    int rc;                   /* an error, or the status */
};

struct app {
    skua_http_client *client;
    struct download downloads[DOWNLOADS_MAX];
    int count;
};

struct part {
    struct app *app;
    struct download *download;
};

/* ---- one download ---------------------------------------------------------------------------- */

static int save(skua_http_response *response, struct download *download, skua_file *file)
{
    char buf[16384];
    ssize_t n;

    while ((n = skua_http_response_read(response, buf, sizeof buf)) > 0) {
        ssize_t written = file != NULL ? skua_file_write_all(file, buf, (size_t)n) : n;

        if (written < 0)
            return (int)written;
        atomic_fetch_add(&download->received, n);
    }
    return (int)n;
}

static int fetch(skua_http_client *client, struct download *download)
{
    skua_http_response *response;
    skua_file *file = NULL;
    int rc = skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = download->url), &response);
    int status;

    if (rc != 0)
        return rc;
    status = skua_http_response_status(response);
    atomic_store(&download->size, status == 200 ? skua_http_response_length(response) : 0);
    if (status == 200 && download->name != NULL)
        rc = skua_file_open(&file, download->name,
                            SKUA_FILE_OPTIONS(.write = 1, .create = 1, .truncate = 1));
    if (rc == 0 && status == 200)
        rc = save(response, download, file);
    if (file != NULL) {
        int closed = skua_file_close(file);

        rc = rc == 0 ? closed : rc;
    }
    skua_http_response_close(response);
    return rc == 0 ? status : rc;
}

static int download_task(void *arg)
{
    struct part *part = arg;

    part->download->rc = fetch(part->app->client, part->download);
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* "[######----]  61 %  12.3 MB  3 of 5": the bytes of those that have said how many they are. */
static void draw(const struct app *app, bool last)
{
    int64_t size = 0, received = 0, sum = 0;
    int known = 0;
    char bar[31] = "------------------------------";

    for (int i = 0; i < app->count; i++) {
        int64_t wanted = atomic_load(&app->downloads[i].size);
        int64_t has = atomic_load(&app->downloads[i].received);

        sum += has;
        if (wanted < 0)
            continue;
        known++;
        size += wanted;
        received += has;
    }
    for (int i = 0; size > 0 && i < 30 && i < (int)(30 * received / size); i++)
        bar[i] = '#';
    fprintf(stderr, "\r[%s] %3d %%  %8.2f MB  %d of %d%s", bar,
            size > 0 ? (int)(100 * received / size) : 0, (double)sum / 1e6, known, app->count,
            last ? "\n" : "");
}

static int progress(void *arg)
{
    while (skua_sleep(100 * SKUA_MILLISECOND) == 0)
        draw(arg, false);
    return 0;
}

static int fetch_all(struct app *app)
{
    struct part parts[DOWNLOADS_MAX];
    skua_scope scope, line;
    int failed = 0;
    int rc =
        skua_http_client_new(&app->client, SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = 4));

    if (rc != 0)
        return rc;
    (void)skua_scope_open(&line, SKUA_COLLECT);
    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&line, progress, app);
    for (int i = 0; rc == 0 && i < app->count; i++) {
        parts[i] = (struct part){app, &app->downloads[i]};
        rc = skua_spawn(&scope, download_task, &parts[i]);
    }
    (void)skua_scope_join(&scope);
    (void)skua_scope_cancel(&line);
    (void)skua_scope_join(&line);
    draw(app, true);
    for (int i = 0; i < app->count; i++) {
        const struct download *download = &app->downloads[i];

        printf("%s: %lld bytes, %s\n", download->url, (long long)atomic_load(&download->received),
               download->rc < 0 ? skua_strerror(download->rc) : skua_http_reason(download->rc));
        failed += download->rc != 200;
    }
    (void)skua_http_client_free(app->client);
    return rc == 0 && failed != 0 ? -EIO : rc;
}

/* ---- without arguments: a server to fetch from ----------------------------------------------- */

/* /N: N kilobytes; the odd ones do not say how long they will be. */
static int serve(skua_http_exchange *exchange, void *state)
{
    static const char block[1024];
    int left = atoi(skua_http_path(exchange) + 1);
    ssize_t n = 0;
    char length[24];

    (void)state;
    (void)snprintf(length, sizeof length, "%d", 1024 * left);
    if (left % 2 == 0)
        n = skua_http_set_header(exchange, "Content-Length", length);
    while (left-- > 0 && n >= 0)
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

static int fetch_from_itself(struct app *app)
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
            app->downloads[app->count] = (struct download){.url = urls[app->count], .size = -1};
        }
        (void)skua_scope_open(&scope, SKUA_COLLECT);
        rc = skua_spawn(&scope, run, &site);
        if (rc == 0)
            rc = fetch_all(app);
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

    return app->count != 0 ? fetch_all(app) : fetch_from_itself(app);
}

int main(int argc, char **argv)
{
    static struct app app;

    for (int i = 1; i < argc && app.count < DOWNLOADS_MAX; i++) {
        const char *name = strrchr(argv[i], '/');

        app.downloads[app.count++] =
            (struct download){.url = argv[i],
                              .name = name != NULL && name[1] != '\0' ? name + 1 : "index.html",
                              .size = -1};
    }
    return skua_main(start, &app,
                     SKUA_RUNTIME_OPTIONS(.name = "fetch", .stop_on = SKUA_SIGNALS_TERM));
}
