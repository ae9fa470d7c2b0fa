/* ws.c - a connection: options, making, what is told of it, closing, the end.
 *
 * Close      says so, then hears: by itself, when nobody else receives, else by whoever does. A
 *            client waits for the server to end the stream first, so that the server's port is the
 *            one that is free again (RFC 6455, 7.1.1). After a failure the other side may still be
 *            sending: what it sends is read to the end, or the reset that an unread byte causes
 *            would take our last words away.
 */
#include <unistd.h>
#include <sys/random.h>

#include "http/ws/ws_impl.h"

/* ---- options --------------------------------------------------------------------------------- */

void skua_websocket_options_init(skua_websocket_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static void ws_default(int64_t *option, int64_t value)
{
    if (*option == 0)
        *option = value;
}

static bool ws_options_are_good(const skua_websocket_options *options)
{
    return options->message_max >= -1 && options->frame_max >= -1 && options->ping_interval > 0 &&
           options->ping_timeout > 0 && options->write_timeout > 0 && options->close_timeout > 0 &&
           options->deadline > 0 && options->deflate_bits >= 9 && options->deflate_bits <= 15 &&
           (options->headers != NULL || options->headers_count == 0);
}

int skua__ws_options(skua_websocket_options *ret, const skua_websocket_options *given)
{
    skua_websocket_options_init(ret);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        *ret = *given;
    ws_default(&ret->message_max, (int64_t)1 << 20);
    ws_default(&ret->frame_max, -1);
    ws_default(&ret->ping_interval, 30 * SKUA_SECOND);
    ws_default(&ret->ping_timeout, 30 * SKUA_SECOND);
    ws_default(&ret->write_timeout, 30 * SKUA_SECOND);
    ws_default(&ret->close_timeout, 3 * SKUA_SECOND);
    ws_default(&ret->deadline, skua__http_deadline(10 * SKUA_SECOND, SKUA_FOREVER));
    if (ret->control_max == 0)
        ret->control_max = 1000;
    if (ret->deflate_bits == 0)
        ret->deflate_bits = 15;
    if (ret->deflate_min == 0)
        ret->deflate_min = 128;
    return ws_options_are_good(ret) ? 0 : -EINVAL;
}

size_t skua__ws_token(const char **at, const char **token)
{
    size_t len;

    *at += strspn(*at, ", \t");
    *token = *at;
    len = strcspn(*at, ",");
    *at += len;
    while (len != 0 && ((*token)[len - 1] == ' ' || (*token)[len - 1] == '\t'))
        len--;
    return len;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int ws_mask(uint8_t *buf, size_t len, void *arg)
{
    (void)arg;
    return getentropy(buf, len);
}

int skua__ws_new(skua_websocket **ret, skua_io io, bool server,
                 const skua_websocket_options *options, const struct skua__ws_deflate *deflate,
                 const char *protocol, size_t protocol_len)
{
    static const struct wslay_frame_callbacks callbacks = {skua__ws_put, skua__ws_fill, ws_mask};
    skua_websocket *ws = skua__http_malloc(sizeof *ws);
    char *name = skua__http_malloc(protocol_len + 1);

    if (ws == NULL || name == NULL || wslay_frame_context_init(&ws->frames, &callbacks, ws) != 0) {
        skua__http_free(ws);
        skua__http_free(name);
        return -ENOMEM;
    }
    if (protocol_len != 0)
        memcpy(name, protocol, protocol_len);
    ws->protocol = name;
    ws->io = io;
    ws->server = server;
    ws->options = *options;
    ws->options.protocols = ws->options.origins = ws->options.unix_path = NULL;
    ws->options.headers = NULL;
    ws->deflate = *deflate;
    (void)pthread_mutex_init(&ws->mutex, NULL);
    ws->reading = ws->sending = (skua_mutex)SKUA_MUTEX_INIT;
    ws->info.protocol = name;
    ws->info.deflate = deflate->on;
    ws->info.round_trip = -1;
    ws->heard = ws->window = skua_now();
    *ret = ws;
    return 0;
}

void skua_websocket_info_of(skua_websocket *ws, skua_websocket_info *ret)
{
    pthread_mutex_lock(&ws->mutex);
    *ret = ws->info;
    pthread_mutex_unlock(&ws->mutex);
}

/* ---- closing --------------------------------------------------------------------------------- */

/* To the end of the stream, or until there was time enough: what is there already is read without
 * a look at the clock, and a peer that never stops sending is one that there is always more of.
 * With `reading`. */
static void ws_drain(skua_websocket *ws, int64_t deadline)
{
    char waste[1024];
    ssize_t n;

    do
        n = skua_io_read_until(ws->io, waste, sizeof waste, deadline);
    while (n > 0 && skua_now() < deadline);
}

/* What the other side says until it closes, too. With `reading`. */
static int ws_hear(skua_websocket *ws, int64_t deadline)
{
    int rc = ws->error;

    ws->deadline = deadline;
    while (rc == 0) {
        rc = skua__ws_more(ws);
        ws->message = ws->message && !ws->last; /* nobody wants it */
        if (rc == 0 && skua_now() >= deadline)
            rc = -ETIMEDOUT;
    }
    if (ws->error == 0)
        ws->error = rc; /* the middle of what was thrown away is no place to go on */
    if (ws->error != SKUA_ECLOSED) {
        (void)skua_io_shutdown(ws->io);
        ws_drain(ws, deadline);
        return ws->error;
    }
    if (ws->server)
        (void)skua_io_shutdown(ws->io);
    else
        ws_drain(ws, deadline);
    return 0;
}

static int ws_say(skua_websocket *ws, int code, const char *reason, int64_t deadline)
{
    uint8_t data[SKUA__WS_CONTROL] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t len = strlen(reason);
    int rc;

    memcpy(data + 2, reason, len);
    (void)skua__ws_urge(ws, &ws->close, data, code != 0 ? len + 2 : 0);
    (void)skua__ws_rush_until(ws, deadline); /* or the other side closes first */
    rc = skua_mutex_lock_until(&ws->reading, deadline);
    if (rc == 0) {
        rc = ws_hear(ws, deadline);
        (void)skua_mutex_unlock(&ws->reading);
    }
    return rc;
}

int skua_websocket_close(skua_websocket *ws, int code, const char *reason)
{
    int64_t deadline = skua__http_deadline(ws->options.close_timeout, SKUA_FOREVER);
    bool shield;
    int rc;

    if (reason == NULL)
        reason = "";
    if (code != 0 && !skua__ws_code_is_good(code))
        return -EINVAL;
    if (strlen(reason) > SKUA__WS_CONTROL - 2 || !skua__ws_utf8_is(reason, strlen(reason)) ||
        (code == 0 && *reason != '\0'))
        return -EINVAL;
    shield = skua_shield_begin() == 0; /* a plain thread has none, and needs none */
    rc = ws_say(ws, code, reason, deadline);
    if (shield)
        (void)skua_shield_end();
    return rc;
}

void skua_websocket_free(skua_websocket *ws)
{
    if (ws == NULL)
        return;
    if (ws->end != NULL)
        ws->end(ws->object);
    wslay_frame_context_free(ws->frames);
    skua__ws_zip_free(ws);
    (void)pthread_mutex_destroy(&ws->mutex);
    skua__http_free(ws->protocol);
    skua__http_free(ws->early);
    skua__http_free(ws->buf);
    skua__http_free(ws->gather);
    skua__http_free(ws);
}
