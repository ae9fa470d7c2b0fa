/* ws_connect.c - a client's side of the handshake.
 *
 *   URL -> connection (TCP or a Unix socket) -> TLS for "wss" -> request -> head of the answer
 *
 * The answer's head is read as any response's, strictly; what came behind it are frames already.
 *
 * Source: RFC 6455, 3 and 4.1.
 */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <skua/net.h>
#include <skua/unix.h>

#include "http/client/client_impl.h"
#include "http/core/http_trace.h"
#include "http/ws/ws_impl.h"

/* What is below a client's WebSocket. */
struct connect_link {
    skua_tcp *tcp;
    skua_tls *tls; /* NULL: none */
};

struct connect_url {
    struct skua__client_url of; /* as "http" */
    const char *address;        /* with the scheme's own port */
    const char *authority;      /* of the Host header */
    char *host;                 /* for TLS: without a port and brackets */
    bool secure;
};

/* ---- the URL --------------------------------------------------------------------------------- */

/* Of "wss" the port is not 80: "host" is "host:443", and "host:443" is "host" to the server. */
static int connect_secure(struct connect_url *url, struct skua__http_arena *arena, const char *rest)
{
    size_t len = strcspn(rest, "/?");
    const char *bracket = memchr(rest, ']', len);
    const char *from = bracket != NULL ? bracket : rest;
    const char *colon = memchr(from, ':', len - (size_t)(from - rest));
    size_t host = colon != NULL ? (size_t)(colon - rest) : len;
    bool own = colon == NULL || host + 1 == len || strncmp(colon, ":443", len - host) == 0;
    char *authority = skua__http_arena_copy(arena, rest, own ? host : len);
    char *address = skua__http_arena_alloc(arena, len + 8);
    const char *given = skua__http_arena_copy(arena, rest, len);

    if (authority == NULL || address == NULL || given == NULL)
        return -ENOMEM;
    (void)snprintf(address, len + 8, "%.*s:%s", (int)host, rest, own ? "443" : given + host + 1);
    url->address = address;
    url->authority = authority;
    url->host = skua__http_arena_copy(arena, rest + (*rest == '['), host - 2 * (*rest == '['));
    return url->host != NULL ? 0 : -ENOMEM;
}

static int connect_parse(struct connect_url *url, struct skua__http_arena *arena, const char *text)
{
    size_t scheme = strcspn(text, ":");
    const char *rest;
    char *http;
    int rc;

    url->secure = scheme == 3 && skua__http_same(text, "wss", 3);
    if (!url->secure && (scheme != 2 || !skua__http_same(text, "ws", 2)))
        return text[scheme] == ':' ? -EPROTONOSUPPORT : -EINVAL;
    if (strncmp(text + scheme, "://", 3) != 0 || strchr(text, '#') != NULL)
        return -EINVAL;
    rest = text + scheme + 3;
    http = skua__http_arena_alloc(arena, strlen(rest) + 8);
    if (http == NULL)
        return -ENOMEM;
    (void)snprintf(http, strlen(rest) + 8, "http://%s", rest);
    rc = skua__client_url_parse(&url->of, arena, http);
    url->address = url->of.address;
    url->authority = url->of.authority;
    return rc == 0 && url->secure ? connect_secure(url, arena, rest) : rc;
}

/* ---- the connection -------------------------------------------------------------------------- */

static void connect_end(void *object)
{
    struct connect_link *link = object;

    skua_tls_close(link->tls);
    (void)skua_tcp_close(link->tcp);
    skua__http_free(link);
}

static skua_io connect_io(const struct connect_link *link)
{
    return link->tls != NULL ? skua_tls_io(link->tls) : skua_tcp_io(link->tcp);
}

static int connect_dial(struct connect_link **ret, const struct connect_url *url,
                        const skua_websocket_options *options)
{
    struct connect_link *link = skua__http_malloc(sizeof *link);
    int rc;

    if (link == NULL)
        return -ENOMEM;
    rc = options->unix_path != NULL
             ? skua_unix_connect_until(&link->tcp, options->unix_path, options->deadline)
             : skua_tcp_connect(&link->tcp, url->address,
                                SKUA_CONNECT_OPTIONS(.deadline = options->deadline));
    if (rc != 0) {
        skua__http_free(link);
        return rc;
    }
    if (url->secure)
        rc = skua_tls_connect(&link->tls, options->tls, skua_tcp_io(link->tcp), url->host,
                              options->deadline);
    if (rc == 0)
        *ret = link;
    else
        connect_end(link);
    return rc;
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool connect_is(const char *name, const char *other)
{
    return strlen(name) == strlen(other) && skua__http_same(name, other, strlen(name));
}

static int connect_check(const skua_websocket_options *options)
{
    int rc = skua__client_fields_check(options->headers, options->headers_count, false);

    for (size_t i = 0; rc == 0 && i < options->headers_count; i++)
        if (connect_is(options->headers[i].name, "host") ||
            (strlen(options->headers[i].name) > 14 &&
             skua__http_same(options->headers[i].name, "sec-websocket-", 14)))
            rc = -EINVAL;
    if (options->protocols != NULL) {
        const char *list = options->protocols, *token;
        size_t len;

        while (rc == 0 && (len = skua__ws_token(&list, &token)) != 0)
            rc = skua__http_is_token(token, len) ? 0 : -EINVAL;
        rc = *list == '\0' ? rc : -EINVAL;
    }
    return rc;
}

static const char *connect_protocols(const skua_websocket_options *options)
{
    return options->protocols != NULL && *options->protocols != '\0' ? options->protocols : NULL;
}

/* One of the caller's, or of telemetry's, which come before the caller's own. */
static size_t connect_header(char *text, size_t size, const char *name, const char *value)
{
    return (size_t)snprintf(text, size, "%s: %s\r\n", name, value);
}

/* The whole request; NULL: no memory. */
static char *connect_request(struct skua__http_arena *arena, const struct connect_url *url,
                             const skua_websocket_options *options, const char *key,
                             const struct skua__http_fields *traced)
{
    const char *protocols = connect_protocols(options);
    size_t size = strlen(url->of.target) + strlen(url->authority) + 1024;
    char offer[256], *text;
    size_t len;

    skua__ws_deflate_offer(options, offer, sizeof offer);
    if (protocols != NULL)
        size += strlen(protocols);
    for (size_t i = 0; i < options->headers_count; i++)
        size += strlen(options->headers[i].name) + strlen(options->headers[i].value) + 4;
    for (size_t i = 0; i < traced->count; i++)
        size += traced->at[i].name_len + traced->at[i].value_len + 4;
    text = skua__http_arena_alloc(arena, size);
    if (text == NULL)
        return NULL;
    len = (size_t)snprintf(
        text, size,
        "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: %s\r\n%s%s%s%s%s%s",
        url->of.target, url->authority, key, protocols != NULL ? "Sec-WebSocket-Protocol: " : "",
        protocols != NULL ? protocols : "", protocols != NULL ? "\r\n" : "",
        *offer != '\0' ? "Sec-WebSocket-Extensions: " : "", offer, *offer != '\0' ? "\r\n" : "");
    for (size_t i = 0; i < options->headers_count; i++)
        if (skua__http_fields_find(traced, options->headers[i].name,
                                   strlen(options->headers[i].name), 0) == NULL)
            len += connect_header(text + len, size - len, options->headers[i].name,
                                  options->headers[i].value);
    for (size_t i = 0; i < traced->count; i++)
        len += connect_header(text + len, size - len, traced->at[i].name, traced->at[i].value);
    (void)snprintf(text + len, size - len, "\r\n");
    return text;
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* A header that there is once; NULL: none, or *wrong: two. */
static const char *connect_only(const struct skua__http_fields *fields, const char *name,
                                bool *wrong)
{
    const struct skua__http_field *field = skua__http_fields_only(fields, name, wrong);

    return field != NULL ? field->value : NULL;
}

static bool connect_asked(const skua_websocket_options *options, const char *protocol)
{
    const char *list = options->protocols, *token;
    size_t len;

    while (list != NULL && (len = skua__ws_token(&list, &token)) != 0)
        if (len == strlen(protocol) && memcmp(token, protocol, len) == 0)
            return true;
    return false;
}

/* RFC 6455, 4.1: what a client must fail with. */
static int connect_judge(const struct skua__http_fields *fields,
                         const skua_websocket_options *options, const char *key,
                         struct skua__ws_deflate *deflate, const char **protocol)
{
    char wanted[SKUA__WS_ACCEPT];
    bool wrong = false;
    const char *upgrade = connect_only(fields, "upgrade", &wrong);
    const char *connection = connect_only(fields, "connection", &wrong);
    const char *answer = connect_only(fields, "sec-websocket-accept", &wrong);
    const char *extensions = connect_only(fields, "sec-websocket-extensions", &wrong);

    skua__ws_answer(wanted, key);
    *protocol = connect_only(fields, "sec-websocket-protocol", &wrong);
    if (wrong || upgrade == NULL || !connect_is(upgrade, "websocket") || connection == NULL ||
        !skua__http_has_token(connection, "upgrade") || answer == NULL ||
        strcmp(answer, wanted) != 0)
        return -EPROTO;
    if (*protocol != NULL && !connect_asked(options, *protocol))
        return -EPROTO;
    return extensions == NULL || skua__ws_deflate_agree(deflate, options, extensions) ? 0 : -EPROTO;
}

static int connect_status(int status)
{
    return status == 401 || status == 403 ? -EACCES : status == 404 ? -ENOENT : -EPROTO;
}

static void connect_keep(void *object)
{
    (void)object; /* closed by the WebSocket, or by who has dialled */
}

/* What lies behind the head is the first to be read. */
static int connect_take(skua_websocket *ws, const struct skua__h1c *h1c)
{
    size_t len = h1c->len - h1c->pos;

    if (len == 0)
        return 0;
    ws->early = skua__http_raw(len);
    if (ws->early == NULL)
        return -ENOMEM;
    memcpy(ws->early, h1c->in + h1c->pos, len);
    ws->early_len = len;
    return 0;
}

/* The answer's head has come. */
static int connect_switch(skua_websocket **ret, struct skua__h1c *h1c,
                          struct skua__http_answer *response, const skua_websocket_options *options,
                          const char *key)
{
    struct skua__ws_deflate deflate = {.on = false};
    const char *protocol = NULL;
    skua_websocket *ws = NULL;
    int rc = response->status == 101 ? 0 : connect_status(response->status);

    if (rc == 0)
        rc = skua__h1c_pairs_cut(h1c, h1c->in, &response->fields);
    if (rc == 0)
        rc = connect_judge(&response->fields, options, key, &deflate, &protocol);
    if (rc == 0)
        rc = skua__ws_new(&ws, h1c->link.io, false, options, &deflate, protocol,
                          protocol != NULL ? strlen(protocol) : 0);
    if (rc == 0)
        rc = connect_take(ws, h1c);
    if (rc == 0)
        *ret = ws;
    else
        skua_websocket_free(ws);
    return rc;
}

static int connect_shake(skua_websocket **ret, skua_io io, struct skua__http_arena *arena,
                         const char *text, const skua_websocket_options *options, const char *key)
{
    const skua_http_client_options limits = {.head_max = 65536, .headers_max = 200};
    const struct skua__http_link link = {.io = io, .close = connect_keep};
    const struct skua__http_ask request = {.method = "GET", .deadline = options->deadline};
    struct skua__http_answer response = {.arena = arena};
    struct skua__h1c h1c;
    int interim = 32;
    int rc = skua__h1c_init(&h1c, &link, &limits);

    if (rc != 0)
        return rc;
    h1c.response = &response;
    rc = (int)skua_io_write_all_until(io, text, strlen(text), options->deadline);
    do {
        skua__h1c_head_begin(&h1c);
        rc = rc < 0 ? rc : skua__h1c_head(&h1c, &request, options->deadline);
        if (rc == 0 && interim-- == 0)
            rc = -EBADMSG;
    } while (rc == 0 && response.status < 200 && response.status != 101);
    if (rc == 0)
        rc = connect_switch(ret, &h1c, &response, options, key);
    skua__h1c_free(&h1c);
    return rc;
}

/* Connects, asks, and hears the answer. */
static int connect_ask(skua_websocket **ret, struct skua__http_arena *arena,
                       const struct connect_url *url, const skua_websocket_options *options,
                       const char *key, const struct skua__http_fields *traced)
{
    char *request = connect_request(arena, url, options, key, traced);
    struct connect_link *link = NULL;
    int rc = request != NULL ? connect_dial(&link, url, options) : -ENOMEM;

    if (rc != 0)
        return rc;
    rc = connect_shake(ret, connect_io(link), arena, request, options, key);
    if (rc != 0) {
        connect_end(link);
        return rc;
    }
    (*ret)->end = connect_end;
    (*ret)->object = link;
    return 0;
}

/* The same with a span around it, which ends with the handshake. */
static int connect_traced(skua_websocket **ret, struct skua__http_arena *arena, const char *text,
                          const struct connect_url *url, const skua_websocket_options *options,
                          const char *key)
{
    const struct skua__http_trace_ask ask = {.method = "GET", .address = url->address, .url = text};
    struct skua__http_fields fields = {NULL, 0, 0};
    skua_span *span = skua__http_trace_on() ? skua__http_trace_ask(&ask, &fields, arena) : NULL;
    int rc = connect_ask(ret, arena, url, options, key, &fields);

    skua__http_trace_answered(span, rc, 101, 11);
    skua_span_end(span);
    return rc;
}

static int connect_all(skua_websocket **ret, struct skua__http_arena *arena, const char *text,
                       const skua_websocket_options *options)
{
    struct connect_url url = {.secure = false};
    char key[SKUA__WS_KEY];
    uint8_t nonce[16];
    int rc = connect_check(options);

    if (rc == 0)
        rc = connect_parse(&url, arena, text);
    if (rc == 0 && url.secure && options->tls == NULL)
        rc = -EPROTONOSUPPORT;
    if (rc == 0 && getentropy(nonce, sizeof nonce) != 0)
        rc = -errno;
    if (rc != 0)
        return rc;
    skua__ws_base64(key, nonce, sizeof nonce);
    return connect_traced(ret, arena, text, &url, options, key);
}

int skua_websocket_connect(skua_websocket **ret, const char *url,
                           const skua_websocket_options *given)
{
    struct skua__http_arena arena = {.blocks = NULL};
    skua_websocket_options options;
    int rc = url != NULL ? skua__ws_options(&options, given) : -EINVAL;

    if (rc == 0)
        rc = connect_all(ret, &arena, url, &options);
    skua__http_arena_free(&arena);
    return rc;
}
