/* judged_ws.c - WebSocket for tests/http/judges/websockets: a server, or a client.
 *
 *     judged_ws serve ADDRESS [FILE FOLDER]
 *                                 /echo, /plain (without compression), /events; a page at /. With
 *                                 a certificate and its key in FILE over TLS, and HTTP/2; /files/
 *                                 is what the folder has, /back and /drip are for secure.html
 *     judged_ws ask URL COUNT     COUNT rounds of messages to an echo, and the close; with "flat"
 *                                 behind it without compression
 *
 * The server prints "address A" when it listens, and ends by SIGTERM. The pages talk to /echo and
 * /events, and write what they have seen into themselves; /wait holds their load event until they
 * have.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <skua/http/events.h>
#include <skua/http/router.h>
#include <skua/http/server.h>
#include <skua/http/static.h>
#include <skua/http/tls.h>
#include <skua/http/websocket.h>
#include <skua/skua.h>

static const skua_websocket_options compressed = {.size = sizeof compressed,
                                                  .message_max = 64 << 20,
                                                  .protocols = "echo",
                                                  .deflate = 1,
                                                  .deflate_min = 1};
static const skua_websocket_options plain = {.size = sizeof plain, .message_max = 64 << 20};

static int echo(skua_http_exchange *exchange, void *state)
{
    skua_websocket_message message;
    skua_websocket *ws;
    int rc = skua_websocket_accept(&ws, exchange, state);

    if (rc != 0)
        return rc;
    while ((rc = skua_websocket_recv(ws, &message)) == 0)
        if (skua_websocket_send(ws, message.type, message.data, message.len) != 0)
            break;
    (void)skua_websocket_close(ws, rc == -ECANCELED ? 1001 : 1000, NULL);
    skua_websocket_free(ws);
    return 0;
}

static int events(skua_http_exchange *exchange, void *state)
{
    const char *last = skua_http_header(exchange, "Last-Event-ID");
    int rc = 0;

    (void)state;
    for (int i = last != NULL ? atoi(last) + 1 : 1; rc == 0 && i <= 3; i++) {
        char id[16];

        (void)snprintf(id, sizeof id, "%d", i);
        rc = skua_http_event(exchange, "tick", id, "two\nlines");
    }
    return rc; /* the browser comes back, and says what it has seen */
}

static const char page[] =
    "<!doctype html><body><pre id=out></pre><img src=/wait>\n"
    "<script>\n"
    "const out = document.getElementById('out'), seen = [];\n"
    "let left = 2;\n"
    "function done() { if (--left == 0) { out.textContent = seen.sort().join('\\n');\n"
    "                  fetch('/done'); } }\n"
    "const ws = new WebSocket('ws://' + location.host + '/echo', ['other', 'echo']);\n"
    "const big = 'gr\\u00fc\\u00df '.repeat(100000);\n"
    "ws.binaryType = 'arraybuffer';\n"
    "let count = 0;\n"
    "ws.onopen = () => { seen.push('protocol ' + ws.protocol, 'extensions ' + ws.extensions);\n"
    "    ws.send('hello'); ws.send(new Uint8Array([0, 255, 7])); ws.send(big); ws.send(''); };\n"
    "ws.onmessage = (e) => { count++;\n"
    "    if (count == 1) seen.push('text ' + e.data);\n"
    "    if (count == 2) seen.push('bytes ' + new Uint8Array(e.data).join());\n"
    "    if (count == 3) seen.push('big ' + (e.data === big));\n"
    "    if (count == 4) { seen.push('empty ' + e.data.length); ws.close(4321, 'bye'); } };\n"
    "ws.onclose = (e) => { seen.push('close ' + e.code + ' ' + e.wasClean); done(); };\n"
    "const source = new EventSource('/events');\n"
    "let ticks = 0;\n"
    "source.addEventListener('tick', (e) => { ticks++;\n"
    "    if (ticks == 3) { seen.push('event ' + e.lastEventId + ' ' + JSON.stringify(e.data));\n"
    "                      source.close(); done(); } });\n"
    "</script>\n";

static int front(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

static int wait_for_it(skua_http_exchange *exchange, void *state)
{
    int rc = skua_event_wait_until(state, skua_now() + 15 * SKUA_SECOND);

    return skua_http_reply(exchange, rc == 0 ? 404 : 504, "text/plain", "", 0);
}

static int done(skua_http_exchange *exchange, void *state)
{
    skua_event_set(state);
    return skua_http_reply(exchange, 200, "text/plain", "", 0);
}

/* What comes goes back, while more is coming. */
static int back(skua_http_exchange *exchange, void *state)
{
    char buf[8192];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0) {
        n = skua_http_write(exchange, buf, (size_t)n);
        n = n >= 0 ? skua_http_flush(exchange) : n;
        if (n < 0)
            break;
    }
    return (int)n;
}

/* A piece is sent when the page has asked for it, having seen the one before. */
static int drip(skua_http_exchange *exchange, void *state)
{
    char piece[16];
    ssize_t n = 0;

    for (int i = 1; n >= 0 && i <= 4; i++) {
        n = skua_semaphore_acquire_until(state, 1, skua_now() + 10 * SKUA_SECOND);
        if (n >= 0)
            n = skua_http_write(exchange, piece,
                                (size_t)snprintf(piece, sizeof piece, "piece %d;", i));
        n = n >= 0 ? skua_http_flush(exchange) : n;
    }
    return n < 0 ? (int)n : 0;
}

static int next(skua_http_exchange *exchange, void *state)
{
    (void)skua_semaphore_release(state, 1);
    return skua_http_reply(exchange, 204, NULL, NULL, 0);
}

struct secure {
    skua_tls_context *context;
    skua_http_static *files;
    skua_semaphore drips;
};

static int secure_begin(struct secure *self, skua_http_router *router, char **words)
{
    int rc = skua_tls_context_new(
        &self->context, SKUA_TLS_SERVER,
        SKUA_TLS_CONTEXT_OPTIONS(.certificate = words[0], .key = words[0], .alpn = "h2,http/1.1"));

    (void)skua_semaphore_init(&self->drips, 0);
    if (rc == 0)
        rc = skua_http_static_new(&self->files, words[1], NULL);
    if (rc == 0)
        rc = skua_http_route(router, "GET",
                             "/files/"
                             "*path",
                             skua_http_static_handler, self->files);
    rc = rc == 0 ? skua_http_route(router, "POST", "/back", back, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/drip", drip, &self->drips) : rc;
    return rc == 0 ? skua_http_route(router, "POST", "/next", next, &self->drips) : rc;
}

static int serve(char **words)
{
    static skua_event event = SKUA_EVENT_INIT;
    struct secure secure = {0};
    skua_http_router *router;
    skua_http_server *server = NULL;
    skua_listener *listener;
    char bound[SKUA_ADDRESS_MAX];
    int rc = skua_http_router_new(&router);

    if (rc != 0)
        return rc;
    if (words[1] != NULL && words[2] != NULL)
        rc = secure_begin(&secure, router, words + 1);
    if (rc == 0)
        rc = skua_http_route(router, "GET", "/echo", echo, (void *)(uintptr_t)&compressed);
    rc = rc == 0 ? skua_http_route(router, "GET", "/plain", echo, (void *)(uintptr_t)&plain) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/events", events, NULL) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/wait", wait_for_it, &event) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/done", done, &event) : rc;
    rc = rc == 0 ? skua_http_route(router, "GET", "/", front, NULL) : rc;
    if (rc == 0)
        rc = skua_http_server_new(
            &server, skua_http_router_handler, router,
            SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = SKUA_SECOND, .tls = secure.context));
    if (rc == 0)
        rc = skua_tcp_listen(&listener, words[0], NULL);
    if (rc == 0) {
        (void)skua_listener_address(listener, bound, sizeof bound);
        printf("address %s\n", bound);
        (void)fflush(stdout);
        rc = skua_http_server_run(server, listener);
        (void)skua_listener_close(listener);
    }
    skua_http_server_free(server);
    skua_http_router_free(router);
    skua_http_static_free(secure.files);
    skua_tls_context_free(secure.context);
    return rc == -ECANCELED ? 0 : rc;
}

/* ---- a client -------------------------------------------------------------------------------- */

static int round_of(skua_websocket *ws, int number)
{
    static const size_t lens[] = {0, 1, 125, 126, 127, 4095, 65535, 65536, 300000};
    size_t len = lens[(size_t)number % (sizeof lens / sizeof lens[0])];
    skua_websocket_type type = number % 2 ? SKUA_WEBSOCKET_TEXT : SKUA_WEBSOCKET_BINARY;
    skua_websocket_message message;
    char *data = malloc(len + 1);
    int rc;

    if (data == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(number % 2 ? 'a' + rand() % 26 : rand());
    rc = number % 3 == 0 ? skua_websocket_send_piece(ws, type, data, len / 2, 0) : 0;
    if (rc == 0 && number % 3 == 0)
        rc = skua_websocket_send_piece(ws, type, data + len / 2, len - len / 2, 1);
    else if (rc == 0)
        rc = skua_websocket_send(ws, type, data, len);
    if (rc == 0)
        rc = skua_websocket_ping(ws, "sign", 4);
    if (rc == 0)
        rc = skua_websocket_recv_until(ws, &message, skua_now() + 20 * SKUA_SECOND);
    if (rc == 0 && (message.type != type || message.len != len ||
                    (len != 0 && memcmp(message.data, data, len) != 0)))
        rc = -EBADMSG;
    free(data);
    return rc;
}

static int ask(const char *url, int count, bool flat)
{
    skua_websocket_info info;
    skua_websocket *ws;
    int rc =
        skua_websocket_connect(&ws, url,
                               SKUA_WEBSOCKET_OPTIONS(.message_max = 64 << 20, .deflate = !flat,
                                                      .deflate_min = 1, .protocols = "echo"));

    if (rc != 0)
        return rc;
    for (int i = 0; rc == 0 && i < count; i++)
        rc = round_of(ws, i);
    if (rc == 0)
        rc = skua_websocket_close(ws, 1000, "done");
    skua_websocket_info_of(ws, &info);
    printf("protocol %s deflate %u close %d pongs %d\n", info.protocol, info.deflate,
           info.close_code, (int)info.pongs);
    skua_websocket_free(ws);
    return rc;
}

static int app(void *arg)
{
    char **argv = arg;
    int rc = strcmp(argv[1], "serve") == 0
                 ? serve(argv + 2)
                 : ask(argv[2], atoi(argv[3]), argv[4] != NULL && strcmp(argv[4], "flat") == 0);

    if (rc != 0)
        fprintf(stderr, "%s\n", skua_strerror(rc));
    return rc;
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc < 3 || (strcmp(argv[1], "serve") != 0 && argc < 4)) {
        fprintf(stderr,
                "usage: judged_ws serve ADDRESS [FILE FOLDER] | judged_ws ask URL COUNT [flat]\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return skua_main(app, argv,
                     SKUA_RUNTIME_OPTIONS(.name = "judged_ws", .workers = 2,
                                          .stop_on = SKUA_SIGNALS_TERM)) == 0
               ? 0
               : 1;
}
