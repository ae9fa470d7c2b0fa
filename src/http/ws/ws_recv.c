/* ws_recv.c - messages out of frames: whole, or in pieces.
 *
 * Both take bytes of the message from one place (recv_pull), which copies them out of the chunk, or
 * has zlib do so, counts them, and reads them as text. A receive that is cancelled leaves
 * everything where it is: `message`, `whole` and `buf` say how far it is.
 *
 * Memory     the buffer of a whole message grows with what has come, not with what was announced,
 *            and is given back before the next wait when it has become big.
 */
#include "http/ws/ws_impl.h"

/* Kept between messages. */
#define RECV_KEEP ((size_t)4096)
/* Believed of what a frame announces. */
#define RECV_STEP ((size_t)16384)

/* ---- bytes of the message -------------------------------------------------------------------- */

static ssize_t recv_copy(skua_websocket *ws, void *buf, size_t len)
{
    if (len > ws->chunk_len)
        len = ws->chunk_len;
    if (len != 0)
        memcpy(buf, ws->chunk, len);
    ws->chunk += len;
    ws->chunk_len -= len;
    return (ssize_t)len;
}

static int recv_end(skua_websocket *ws)
{
    if (ws->type == SKUA_WEBSOCKET_TEXT && ws->text.need != 0)
        return skua__ws_fail(ws, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, -EBADMSG);
    if (ws->zipped)
        skua__ws_unzip_end(ws);
    ws->message = false;
    return 0;
}

/* What came out: counted, and read. */
static ssize_t recv_judge(skua_websocket *ws, const void *buf, ssize_t n)
{
    uint64_t left = (uint64_t)ws->options.message_max - ws->message_len; /* of -1: beyond all */
    size_t len = (uint64_t)n < left ? (size_t)n : (size_t)left;

    if (ws->type == SKUA_WEBSOCKET_TEXT && !skua__ws_utf8_feed(&ws->text, buf, len))
        return skua__ws_fail(ws, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, -EBADMSG);
    if ((uint64_t)n > left)
        return skua__ws_fail(ws, WSLAY_CODE_MESSAGE_TOO_BIG, SKUA_ELIMIT);
    ws->message_len += len;
    return n;
}

/* At least one byte; 0: the message has ended. */
static ssize_t recv_pull(skua_websocket *ws, void *buf, size_t len)
{
    while (ws->error == 0) {
        ssize_t n = ws->zipped ? skua__ws_unzip(ws, buf, len) : recv_copy(ws, buf, len);

        if (n == -ENOMEM)
            return skua__ws_fail(ws, WSLAY_CODE_INTERNAL_SERVER_ERROR, -ENOMEM);
        if (n < 0)
            return skua__ws_fail(ws, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, -EBADMSG);
        if (n > 0)
            return recv_judge(ws, buf, n);
        if (ws->last)
            return recv_end(ws);
        n = skua__ws_more(ws);
        if (n != 0)
            return n;
    }
    return ws->error;
}

/* To the end of the message: what was compressed has to be read, others refer to it. */
static int recv_skip(skua_websocket *ws)
{
    char waste[1024];
    ssize_t n = 1;

    while (ws->message && n > 0)
        n = recv_pull(ws, waste, sizeof waste);
    return (int)n < 0 ? (int)n : 0;
}

/* To the beginning of a message. */
static int recv_begin(skua_websocket *ws)
{
    int rc = ws->error;

    while (rc == 0 && !ws->message)
        rc = skua__ws_more(ws);
    return rc;
}

/* ---- a whole message ------------------------------------------------------------------------- */

/* Room for what is known to come, within reason; and for a NUL. */
static int recv_room(skua_websocket *ws)
{
    uint64_t most = 2 * ws->buf_room > RECV_STEP ? 2 * ws->buf_room : RECV_STEP;
    uint64_t want = ws->chunk_len + (ws->zipped ? ws->buf_len + 1024 : ws->frame_left);
    void *buf;

    if (ws->buf_room - ws->buf_len > 1)
        return 0;
    want = (want < most ? want : most) + ws->buf_len;
    want = want < 254 ? 256 : want + 2;
    buf = skua__http_realloc(ws->buf, want);
    if (buf == NULL)
        return -ENOMEM;
    ws->buf = buf;
    ws->buf_room = want;
    return 0;
}

static void recv_forget(skua_websocket *ws)
{
    ws->given = false;
    ws->buf_len = 0;
    if (ws->buf_room > RECV_KEEP) {
        skua__http_free(ws->buf);
        ws->buf = NULL;
        ws->buf_room = 0;
    }
}

static int recv_whole(skua_websocket *ws, skua_websocket_message *ret)
{
    ssize_t n = 1;
    int rc;

    if (ws->given)
        recv_forget(ws);
    rc = ws->message && !ws->whole ? recv_skip(ws) : 0;
    if (rc == 0)
        rc = recv_begin(ws);
    if (rc != 0)
        return rc;
    ws->whole = true;
    while (n > 0) {
        rc = recv_room(ws);
        if (rc != 0)
            return rc;
        n = recv_pull(ws, ws->buf + ws->buf_len, ws->buf_room - ws->buf_len - 1);
        if (n > 0)
            ws->buf_len += (size_t)n;
    }
    if (n < 0)
        return (int)n;
    ws->whole = false;
    ws->given = true;
    ws->buf[ws->buf_len] = '\0';
    *ret = (skua_websocket_message){ws->type, ws->buf, ws->buf_len};
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

int skua__ws_enter(skua_websocket *ws, int64_t deadline)
{
    int rc = skua_yield_if_needed();

    if (rc != 0)
        return rc;
    if (skua_mutex_try_lock(&ws->reading) != 0)
        return -EBUSY;
    ws->deadline = deadline;
    return 0;
}

int skua_websocket_recv_until(skua_websocket *ws, skua_websocket_message *ret, int64_t deadline)
{
    int rc = skua__ws_enter(ws, deadline);

    if (rc == 0) {
        rc = recv_whole(ws, ret);
        (void)skua_mutex_unlock(&ws->reading);
    }
    return rc;
}

int skua_websocket_recv(skua_websocket *ws, skua_websocket_message *ret)
{
    return skua_websocket_recv_until(ws, ret, SKUA_FOREVER);
}

int skua_websocket_next(skua_websocket *ws)
{
    int rc = skua__ws_enter(ws, SKUA_FOREVER);

    if (rc != 0)
        return rc;
    if (ws->given)
        recv_forget(ws);
    rc = ws->whole && ws->error == 0 ? SKUA_EUSAGE : recv_skip(ws);
    if (rc == 0)
        rc = recv_begin(ws);
    if (rc == 0)
        rc = ws->type;
    (void)skua_mutex_unlock(&ws->reading);
    return rc;
}

ssize_t skua_websocket_read(skua_websocket *ws, void *buf, size_t len)
{
    ssize_t n = skua__ws_enter(ws, SKUA_FOREVER);

    if (n != 0)
        return n;
    if (ws->error != 0)
        n = ws->error;
    else if (ws->whole || (!ws->message && !ws->last))
        n = SKUA_EUSAGE;
    else if (len != 0 && ws->message)
        n = recv_pull(ws, buf, len);
    (void)skua_mutex_unlock(&ws->reading);
    return n;
}

#undef RECV_KEEP
#undef RECV_STEP
