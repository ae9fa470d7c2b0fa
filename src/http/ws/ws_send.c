/* ws_send.c - messages into frames.
 *
 * Who sends has `sending` for the whole of what it sends: one frame, or those that compression
 * makes of it. What is urgent goes out before and behind it.
 */
#include "http/ws/ws_impl.h"

/* Has the lock when it says 0. */
static int send_begin(skua_websocket *ws)
{
    int rc = skua_yield_if_needed();

    if (rc == 0)
        rc = skua_mutex_lock(&ws->sending);
    if (rc != 0)
        return rc;
    rc = skua__ws_rush(ws, SKUA_FOREVER);
    if (rc == 0 && ws->closed)
        rc = SKUA_ECLOSED;
    if (rc != 0)
        skua__ws_unlock(ws);
    return rc;
}

static bool send_is_type(skua_websocket_type type)
{
    return type == SKUA_WEBSOCKET_TEXT || type == SKUA_WEBSOCKET_BINARY;
}

int skua_websocket_send(skua_websocket *ws, skua_websocket_type type, const void *data, size_t len)
{
    int rc;

    if (!send_is_type(type) || (type == SKUA_WEBSOCKET_TEXT && !skua__ws_utf8_is(data, len)))
        return -EINVAL;
    rc = send_begin(ws);
    if (rc != 0)
        return rc;
    if (ws->sending_type != 0)
        rc = -EBUSY;
    else if (ws->deflate.on && len >= ws->options.deflate_min)
        rc = skua__ws_zip_send(ws, (uint8_t)type, data, len, true);
    else
        rc = skua__ws_frame(ws, (uint8_t)type, WSLAY_RSV_NONE, true, data, len);
    skua__ws_unlock(ws);
    return rc;
}

int skua_websocket_send_text(skua_websocket *ws, const char *text)
{
    return skua_websocket_send(ws, SKUA_WEBSOCKET_TEXT, text, strlen(text));
}

/* With the lock. */
static int send_piece(skua_websocket *ws, uint8_t type, const void *data, size_t len, bool last)
{
    struct skua__ws_utf8 text =
        ws->sending_type != 0 ? ws->sending_text : (struct skua__ws_utf8){0};
    uint8_t opcode = ws->sending_type == 0 ? type : WSLAY_CONTINUATION_FRAME;
    int rc;

    if (ws->sending_type != 0 && ws->sending_type != type)
        return -EINVAL;
    if (type == SKUA_WEBSOCKET_TEXT &&
        (!skua__ws_utf8_feed(&text, data, len) || (last && text.need != 0)))
        return -EINVAL;
    rc = ws->deflate.on ? skua__ws_zip_send(ws, opcode, data, len, last)
                        : skua__ws_frame(ws, opcode, WSLAY_RSV_NONE, last, data, len);
    if (rc == 0) {
        ws->sending_type = last ? 0 : type;
        ws->sending_text = text;
    }
    return rc;
}

int skua_websocket_send_piece(skua_websocket *ws, skua_websocket_type type, const void *data,
                              size_t len, int last)
{
    int rc = send_is_type(type) ? send_begin(ws) : -EINVAL;

    if (rc == 0) {
        rc = send_piece(ws, (uint8_t)type, data, len, last != 0);
        skua__ws_unlock(ws);
    }
    return rc;
}

int skua_websocket_ping(skua_websocket *ws, const void *data, size_t len)
{
    bool over;

    if (len > SKUA__WS_CONTROL)
        return -EINVAL;
    pthread_mutex_lock(&ws->mutex);
    over = ws->cut;
    pthread_mutex_unlock(&ws->mutex);
    if (over)
        return -EPIPE;
    if (!skua__ws_urge(ws, &ws->ping, data, len))
        return SKUA_ECLOSED;
    skua__ws_rush_now(ws);
    return 0;
}
