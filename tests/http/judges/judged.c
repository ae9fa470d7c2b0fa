/* judged.c - the server that tests/http/judges/run asks: its routes are what the judges need.
 *
 *     judged ADDRESS [strict] [http2] [tls=FILE]
 *
 *     ADDRESS     "127.0.0.1:0", or "/path" of a Unix socket
 *     strict      a client has two seconds for a head, for a byte of a body, and to take one
 *     http2       HTTP/2 alone
 *     tls=FILE    over TLS, with a certificate and its key in this file; HTTP/2 if the client likes
 *
 * Prints "address A" when it listens, ends by SIGTERM with status 0. /stats tells the connections.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <skua/http/compress.h>
#include <skua/http/multipart.h>
#include <skua/http/prometheus.h>
#include <skua/http/router.h>
#include <skua/http/server.h>
#include <skua/skua.h>

static int hello(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/plain", "hello\n", 6);
}

static int echo(skua_http_exchange *exchange, void *state)
{
    char buf[8192];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if ((n = skua_http_write(exchange, buf, (size_t)n)) < 0)
            break;
    return (int)n;
}

/* As a whole, with its length. */
static int whole(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, (size_t)1 << 24);

    (void)state;
    return rc == 0 ? skua_http_reply(exchange, 200, NULL, body, len) : rc;
}

/* Reads all, and says hello. */
static int taken(skua_http_exchange *exchange, void *state)
{
    char buf[8192];
    ssize_t n;

    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        ;
    return n < 0 ? (int)n : hello(exchange, state);
}

/* The same as a text, for layers that code. */
static int text(skua_http_exchange *exchange, void *state)
{
    int rc = skua_http_set_header(exchange, "Content-Type", "text/plain");

    return rc == 0 ? whole(exchange, state) : rc;
}

/* "?N" bytes, without their length being known before. */
static int bytes(skua_http_exchange *exchange, void *state)
{
    long left = atol(skua_http_query(exchange));
    char buf[1000];
    ssize_t n = 0;

    (void)state;
    memset(buf, 'a', sizeof buf);
    for (; left > 0 && n >= 0; left -= (long)n)
        n = skua_http_write(exchange, buf, left < (long)sizeof buf ? (size_t)left : sizeof buf);
    return n < 0 ? (int)n : 0;
}

/* Tells each part of a form: name, filename, type, and its bytes' number and sum, in hexadecimal
 * digits where a client has chosen them. */
static int form(skua_http_exchange *exchange, void *state)
{
    skua_http_multipart *multipart;
    skua_http_part part;
    char buf[4096];
    ssize_t n = 0;
    int rc = skua_http_multipart_begin(exchange, &multipart, NULL);

    (void)state;
    while (rc == 0 && n >= 0 && (rc = skua_http_multipart_next(multipart, &part)) == 1) {
        const char *texts[] = {part.name, part.filename != NULL ? part.filename : "-", part.type};
        unsigned long long len = 0, sum = 0;

        while ((n = skua_http_multipart_read(multipart, buf, sizeof buf)) > 0) {
            len += (unsigned long long)n;
            for (ssize_t i = 0; i < n; i++)
                sum = (sum * 31 + (unsigned char)buf[i]) % 1000000007;
        }
        for (size_t i = 0; i < 3 && n >= 0; i++) {
            for (const char *at = texts[i]; *at != '\0'; at++)
                (void)snprintf(buf + 2 * (at - texts[i]), 3, "%02x", (unsigned char)*at);
            n = skua_http_write(exchange, buf, 2 * strlen(texts[i]));
            n = n >= 0 ? skua_http_write(exchange, ";", 1) : n;
        }
        rc = snprintf(buf, sizeof buf, "%llu;%llu\n", len, sum);
        n = n >= 0 ? skua_http_write(exchange, buf, (size_t)rc) : n;
        rc = 0;
    }
    return n < 0 ? (int)n : rc;
}

/* A form that we make, for others to read; the file that is sent with it is the query. */
static int made_form(skua_http_exchange *exchange, void *state)
{
    const skua_http_form_part parts[] = {
        {.name = "field", .value = "one\r\ntwo"},
        {.name = "file", .path = skua_http_query(exchange)},
        {.name = "page", .value = "<p>", .filename = "a \"b\".html", .type = "text/html"}};
    skua_http_form *made;
    char buf[4096];
    ssize_t n;
    int rc = skua_http_form_new(&made, parts, sizeof parts / sizeof parts[0]);

    (void)state;
    if (rc != 0)
        return rc;
    rc = skua_http_set_header(exchange, "Content-Type", skua_http_form_type(made));
    for (n = rc; n >= 0 && (n = skua_http_form_read(made, buf, sizeof buf)) > 0;)
        n = skua_http_write(exchange, buf, (size_t)n);
    skua_http_form_free(made);
    return (int)n;
}

static int shout(skua_http_exchange *exchange, void *state)
{
    char buf[100];
    skua_io io;
    ssize_t n;
    int rc = skua_http_upgrade(exchange, "shout", &io);

    (void)state;
    if (rc != 0)
        return rc == -ENOTSUP ? skua_http_reply(exchange, 426, NULL, NULL, 0) : rc;
    while ((n = skua_io_read(io, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            buf[i] = (char)(buf[i] >= 'a' && buf[i] <= 'z' ? buf[i] - 'a' + 'A' : buf[i]);
        if (skua_io_write_all(io, buf, (size_t)n) < 0)
            return 0;
    }
    return 0;
}

static int stats(skua_http_exchange *exchange, void *state)
{
    skua_http_server_stats now;

    skua_http_server_stats_of(*(skua_http_server **)state, &now);
    return skua_http_replyf(exchange, 200, "text/plain", "%llu %llu %llu\n",
                            (unsigned long long)now.connections_now,
                            (unsigned long long)now.requests, (unsigned long long)now.refused);
}

static int own_samples(skua_http_samples *samples, void *arg)
{
    const skua_http_label label = {"name", "a \"b\"\\\n"};
    int rc = skua_http_samples_family(samples, SKUA_HTTP_GAUGE, "own_level", "Of\nour own.");

    (void)arg;
    return rc == 0 ? skua_http_samples_value(samples, 0.25, &label, 1) : rc;
}

static int metrics_of(skua_http_metrics *metrics, skua_http_server *server)
{
    int rc = skua_http_metrics_add_server(metrics, "judged", server);

    rc = rc == 0 ? skua_http_metrics_add_runtime(metrics, skua_runtime_current()) : rc;
    return rc == 0 ? skua_http_metrics_add_collector(metrics, own_samples, NULL) : rc;
}

static const skua_http_layer coding[] = {{skua_http_compress_layer, NULL},
                                         {skua_http_decompress_layer, NULL}};
static skua_http_chain coded = SKUA_HTTP_CHAIN(coding, text, NULL);

static int routes(skua_http_router *router, skua_http_server **server)
{
    int rc = skua_http_route(router, "GET", "/hello", hello, NULL);

    rc = rc == 0 ? skua_http_route(router, NULL, "/echo", echo, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, NULL, "/whole", whole, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, NULL, "/taken", taken, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, "POST", "/coded", skua_http_chain_handler, &coded) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/bytes", bytes, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, "POST", "/form", form, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/made-form", made_form, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/shout", shout, NULL) : rc;
    return rc == 0 ? skua_http_route(router, "GET", "/stats", stats, server) : rc;
}

static int listen_on(skua_listener **listener, const char *address)
{
    char bound[SKUA_ADDRESS_MAX];
    int rc = *address == '/' ? skua_unix_listen(listener, address, NULL)
                             : skua_tcp_listen(listener, address, NULL);

    if (rc != 0)
        return rc;
    (void)skua_listener_address(*listener, bound, sizeof bound);
    printf("address %s\n", bound);
    return fflush(stdout) == 0 ? 0 : -EIO;
}

/* What was asked for: 0 or an error. */
static int options_of(char **words, skua_http_server_options *options)
{
    for (; *words != NULL; words++) {
        const char *file = *words + 4;
        skua_tls_context *context;
        int rc;

        if (strcmp(*words, "http2") == 0)
            options->http2 = 1;
        if (strcmp(*words, "strict") == 0)
            options->head_timeout = options->body_timeout = options->write_timeout =
                2 * SKUA_SECOND;
        if (strncmp(*words, "tls=", 4) != 0)
            continue;
        rc = skua_tls_context_new(
            &context, SKUA_TLS_SERVER,
            SKUA_TLS_CONTEXT_OPTIONS(.certificate = file, .key = file, .alpn = "h2,http/1.1"));
        if (rc != 0)
            return rc;
        options->tls = context;
    }
    return 0;
}

static int serve(void *arg)
{
    skua_http_server_options *options =
        SKUA_HTTP_SERVER_OPTIONS(.body_max = (int64_t)1 << 30, .connections_max = 20000,
                                 .head_timeout = SKUA_MINUTE, .body_timeout = SKUA_MINUTE,
                                 .write_timeout = SKUA_MINUTE, .drain_timeout = 2 * SKUA_SECOND);
    char **words = arg;
    skua_http_router *router;
    skua_http_server *server = NULL;
    skua_http_metrics *metrics = NULL;
    skua_http_layer around[] = {{skua_http_metrics_layer, NULL}};
    skua_http_chain chain = SKUA_HTTP_CHAIN(around, skua_http_router_handler, NULL);
    skua_listener *listener;
    int rc = skua_http_router_new(&router);

    if (rc != 0)
        return rc;
    rc = routes(router, &server);
    if (rc == 0)
        rc = skua_http_metrics_new(&metrics, NULL);
    if (rc == 0)
        rc = skua_http_route(router, "GET", "/metrics", skua_http_prometheus, metrics);
    around[0].state = metrics;
    chain.state = router;
    if (rc == 0)
        rc = options_of(words + 1, options);
    if (rc == 0)
        rc = skua_http_server_new(&server, skua_http_chain_handler, &chain, options);
    if (rc == 0)
        rc = metrics_of(metrics, server);
    if (rc == 0)
        rc = listen_on(&listener, *words);
    if (rc == 0) {
        rc = skua_http_server_run(server, listener);
        (void)skua_listener_close(listener);
    }
    skua_http_server_free(server);
    skua_tls_context_free(options->tls);
    skua_http_router_free(router);
    skua_http_metrics_free(metrics);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc < 2)
        return 2;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    return skua_main(
        serve, argv + 1,
        SKUA_RUNTIME_OPTIONS(.name = "judged", .workers = 2, .stop_on = SKUA_SIGNALS_TERM));
}
