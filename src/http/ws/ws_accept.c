/* ws_accept.c - a server's side of the handshake.
 *
 *   what is wrong                                         the answer
 *   no GET                                                405, Allow: GET
 *   no "Upgrade: websocket", or HTTP/1.0, HTTP/2          426, Upgrade: websocket
 *   another version than 13                               426, Sec-WebSocket-Version: 13
 *   no key, two, or one that is not 16 bytes in base64    400
 *   a page of an origin that may not connect              403
 *
 * Origin     browsers let any page connect to any server, with the user's cookies; the server alone
 *            can refuse. So without a list only pages of the same host may.
 *
 * Source: RFC 6455, 4.2 and 10.2.
 */
#include "http/ws/ws_impl.h"

static int accept_refuse(skua_http_exchange *exchange, int status, const char *detail)
{
    int rc = skua_http_refuse(exchange, status, detail);

    return rc == 0 ? -EPROTO : rc;
}

/* The value of a header that there must be once; NULL: there is none, or two. */
static const char *accept_only(skua_http_exchange *exchange, const char *name)
{
    bool twice = false;
    const struct skua__http_field *field = skua__http_fields_only(&exchange->request, name, &twice);

    return field != NULL && !twice ? field->value : NULL;
}

/* Whether one of the headers with the name lists the token. */
static bool accept_lists(skua_http_exchange *exchange, const char *name, const char *token)
{
    const char *is, *value;

    for (size_t i = 0; skua_http_header_at(exchange, i, &is, &value) != 0; i++)
        if (strlen(is) == strlen(name) && skua__http_same(is, name, strlen(name)) &&
            skua__http_has_token(value, token))
            return true;
    return false;
}

/* ---- origins --------------------------------------------------------------------------------- */

static bool accept_origin_listed(const char *list, const char *origin)
{
    const char *token;
    size_t len;

    while ((len = skua__ws_token(&list, &token)) != 0)
        if ((len == 1 && *token == '*') ||
            (len == strlen(origin) && skua__http_same(token, origin, len)))
            return true;
    return false;
}

static bool accept_origin(skua_http_exchange *exchange, const skua_websocket_options *options)
{
    const char *origin = skua_http_header(exchange, "Origin");
    const char *host = skua_http_authority(exchange);

    if (origin == NULL)
        return true; /* no browser */
    if (options->origin != NULL)
        return options->origin(exchange, origin, options->origin_state) == 1;
    if (options->origins != NULL)
        return accept_origin_listed(options->origins, origin);
    origin = strstr(origin, "://"); /* "null" has none */
    return origin != NULL && strlen(origin + 3) == strlen(host) &&
           skua__http_same(origin + 3, host, strlen(host));
}

/* ---- what is agreed on ----------------------------------------------------------------------- */

/* Of our protocols the first that the client lists. */
static size_t accept_protocol(skua_http_exchange *exchange, const char *ours, const char **ret)
{
    char name[64];
    size_t len;

    while (ours != NULL && (len = skua__ws_token(&ours, ret)) != 0) {
        if (len >= sizeof name)
            continue;
        memcpy(name, *ret, len);
        name[len] = '\0';
        if (accept_lists(exchange, "Sec-WebSocket-Protocol", name))
            return len;
    }
    return 0;
}

/* 16 bytes: the last digit has two bits, "A", "Q", "g" or "w". */
static bool accept_key(const char *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    return key != NULL && strlen(key) == SKUA__WS_KEY - 1 && strspn(key, digits) == 22 &&
           strchr("AQgw", key[21]) != NULL && key[22] == '=' && key[23] == '=';
}

static int accept_required(skua_http_exchange *exchange, const char *detail)
{
    (void)skua_http_set_header(exchange, "Upgrade", "websocket");
    (void)skua_http_set_header(exchange, "Sec-WebSocket-Version", "13");
    return accept_refuse(exchange, 426, detail);
}

static int accept_judge(skua_http_exchange *exchange, const skua_websocket_options *options)
{
    const char *version = accept_only(exchange, "sec-websocket-version");

    if (strcmp(skua_http_method(exchange), "GET") != 0) {
        (void)skua_http_set_header(exchange, "Allow", "GET");
        return accept_refuse(exchange, 405, "a WebSocket begins with GET");
    }
    if (skua_http_version(exchange) != 11 || !accept_lists(exchange, "Connection", "upgrade") ||
        !accept_lists(exchange, "Upgrade", "websocket"))
        return accept_required(exchange, "this is for WebSockets");
    if (version == NULL || strcmp(version, "13") != 0)
        return accept_required(exchange, "only version 13 of WebSocket");
    if (!accept_key(accept_only(exchange, "sec-websocket-key")))
        return accept_refuse(exchange, 400, "a malformed Sec-WebSocket-Key");
    if (!accept_origin(exchange, options))
        return accept_refuse(exchange, 403, "not from this origin");
    return 0;
}

/* The headers of the answer; with what goes wrong they are taken out again. */
static int accept_answer(skua_http_exchange *exchange, const skua_websocket_options *options,
                         struct skua__ws_deflate *deflate, const char *protocol, size_t len)
{
    char text[256];
    int rc;

    skua__ws_answer(text, skua_http_header(exchange, "Sec-WebSocket-Key"));
    rc = skua_http_set_header(exchange, "Sec-WebSocket-Accept", text);
    if (rc == 0 && len != 0) {
        memcpy(text, protocol, len);
        text[len] = '\0';
        rc = skua_http_set_header(exchange, "Sec-WebSocket-Protocol", text);
    }
    if (rc == 0 && skua__ws_deflate_accept(deflate, options, exchange, text, sizeof text))
        rc = skua_http_set_header(exchange, "Sec-WebSocket-Extensions", text);
    return rc;
}

static void accept_undo(skua_http_exchange *exchange)
{
    (void)skua_http_set_header(exchange, "Sec-WebSocket-Accept", NULL);
    (void)skua_http_set_header(exchange, "Sec-WebSocket-Protocol", NULL);
    (void)skua_http_set_header(exchange, "Sec-WebSocket-Extensions", NULL);
}

int skua_websocket_accept(skua_websocket **ret, skua_http_exchange *exchange,
                          const skua_websocket_options *given)
{
    struct skua__ws_deflate deflate = {.on = false};
    skua_websocket_options options;
    const char *protocol = NULL;
    skua_websocket *ws = NULL;
    skua_io io = {NULL, NULL};
    size_t len;
    int rc = skua__ws_options(&options, given);

    if (rc == 0)
        rc = accept_judge(exchange, &options);
    if (rc != 0)
        return rc;
    len = accept_protocol(exchange, options.protocols, &protocol);
    rc = accept_answer(exchange, &options, &deflate, protocol, len);
    if (rc == 0)
        rc = skua__ws_new(&ws, io, true, &options, &deflate, protocol, len);
    if (rc == 0)
        rc = skua_http_upgrade(exchange, "websocket", &ws->io);
    if (rc == 0) {
        *ret = ws;
        return 0;
    }
    skua_websocket_free(ws);
    accept_undo(exchange);
    return rc;
}
