/* ws_urgent.c - frames out: control frames, which nobody waits for, and the frames of messages.
 *
 * Urgent     one pong, one ping and one close at most wait to go out; a newer pong replaces an
 *            older one (RFC 6455, 5.5.3). Who has `sending` sends them between two frames of its
 *            own. Who makes one and finds the lock free sends it, as far as the stream takes it at
 *            once; the rest stays in `out`, for whoever has the lock next: a cancelled receiver
 *            loses nothing.
 * Nobody     who adds looks for the lock afterwards, and who unlocks looks for what was added: one
 *   forgets  of the two sees the other.
 * Messages   a frame's head goes with its first bytes. A client's bytes are masked, so they are
 *            gathered; a server's go out from where they are.
 */
#include <sys/uio.h>

#include "http/ws/ws_impl.h"

/* Of a client's masked bytes. */
#define URGENT_GATHER ((size_t)16384)

/* ---- the stream ------------------------------------------------------------------------------ */

static void urgent_broken(skua_websocket *ws)
{
    ws->broken = true;
    ws->out_pos = ws->out_len = 0;
    pthread_mutex_lock(&ws->mutex);
    ws->cut = true;
    pthread_mutex_unlock(&ws->mutex);
}

static int urgent_write(skua_websocket *ws, const void *a, size_t a_len, const void *b,
                        size_t b_len)
{
    struct iovec iov[2] = {{(void *)(uintptr_t)a, a_len}, {(void *)(uintptr_t)b, b_len}};
    int first = a_len != 0 ? 0 : 1;

    while (first < 2 && iov[first].iov_len != 0) {
        int64_t deadline = skua__http_deadline(ws->options.write_timeout, SKUA_FOREVER);
        bool both = first == 0 && b_len != 0 && ws->io.ops->writev != NULL;
        ssize_t n =
            both ? ws->io.ops->writev(ws->io.object, iov, 2, deadline)
                 : skua_io_write_until(ws->io, iov[first].iov_base, iov[first].iov_len, deadline);

        if (n < 0)
            return (int)n;
        for (; first < 2 && (size_t)n >= iov[first].iov_len; first++)
            n -= (ssize_t)iov[first].iov_len;
        if (first < 2) {
            iov[first].iov_base = (char *)iov[first].iov_base + n;
            iov[first].iov_len -= (size_t)n;
        }
    }
    return 0;
}

/* ---- what wslay wants written ---------------------------------------------------------------- */

static int urgent_gather(skua_websocket *ws, const uint8_t *data, size_t len)
{
    int rc = 0;

    if (len > URGENT_GATHER - ws->gather_len) {
        rc = urgent_write(ws, ws->gather, ws->gather_len, NULL, 0);
        ws->gather_len = 0;
    }
    memcpy(ws->gather + ws->gather_len, data, len);
    ws->gather_len += len;
    return rc;
}

ssize_t skua__ws_put(const uint8_t *data, size_t len, int flags, void *arg)
{
    skua_websocket *ws = arg;
    int rc = 0;

    if (ws->urgent) {
        memcpy(ws->out + ws->out_len, data, len);
        ws->out_len += len;
    } else if ((flags & WSLAY_MSG_MORE) != 0) {
        memcpy(ws->head, data, len);
        ws->head_len = len;
    } else if (ws->server) {
        rc = urgent_write(ws, ws->head, ws->head_len, data, len);
        ws->head_len = 0;
    } else {
        rc = urgent_gather(ws, ws->head, ws->head_len);
        ws->head_len = 0;
        if (rc == 0)
            rc = urgent_gather(ws, data, len);
    }
    ws->write_error = rc;
    return rc == 0 ? (ssize_t)len : -1;
}

/* The frame as wslay writes it. False: it, or the stream, has failed. */
static bool urgent_frame(skua_websocket *ws, uint8_t opcode, uint8_t rsv, bool fin,
                         const void *data, size_t len)
{
    struct wslay_frame_iocb frame = {.fin = fin,
                                     .rsv = rsv,
                                     .opcode = opcode,
                                     .payload_length = len,
                                     .mask = !ws->server,
                                     .data = data,
                                     .data_length = len};

    ws->write_error = 0;
    return wslay_frame_send(ws->frames, &frame) == (ssize_t)len && ws->write_error == 0;
}

int skua__ws_frame(skua_websocket *ws, uint8_t opcode, uint8_t rsv, bool fin, const void *data,
                   size_t len)
{
    if (!ws->server && ws->gather == NULL)
        ws->gather = skua__http_raw(URGENT_GATHER);
    if (!ws->server && ws->gather == NULL)
        return -ENOMEM;
    ws->urgent = false;
    if (urgent_frame(ws, opcode, rsv, fin, data, len)) {
        ws->write_error = urgent_write(ws, ws->gather, ws->gather_len, NULL, 0);
        ws->gather_len = 0;
        if (ws->write_error == 0)
            return 0;
    }
    urgent_broken(ws);
    return ws->write_error != 0 ? (int)ws->write_error : -EIO;
}

/* ---- what is urgent -------------------------------------------------------------------------- */

bool skua__ws_urge(skua_websocket *ws, struct skua__ws_urgent *which, const void *data, size_t len)
{
    bool open;

    pthread_mutex_lock(&ws->mutex);
    open = ws->info.sent_code == 0;
    if (open) {
        which->wanted = true;
        which->len = (uint8_t)len;
        if (len != 0)
            memcpy(which->data, data, len);
        if (which == &ws->ping)
            ws->asked_at = skua_now();
        if (which == &ws->close)
            ws->info.sent_code = len >= 2 ? which->data[0] << 8 | which->data[1] : 1005;
    }
    pthread_mutex_unlock(&ws->mutex);
    return open;
}

bool skua__ws_is_urgent(skua_websocket *ws)
{
    bool is;

    pthread_mutex_lock(&ws->mutex);
    is = !ws->cut && (ws->left || ws->pong.wanted || ws->ping.wanted || ws->close.wanted);
    pthread_mutex_unlock(&ws->mutex);
    return is;
}

/* The next one into `out`: false: there is none. */
static bool urgent_take(skua_websocket *ws)
{
    struct skua__ws_urgent frame = {.wanted = false};
    uint8_t opcode = 0;

    pthread_mutex_lock(&ws->mutex);
    if (ws->pong.wanted) {
        frame = ws->pong;
        ws->pong.wanted = false;
        opcode = WSLAY_PONG;
    } else if (ws->ping.wanted) {
        frame = ws->ping;
        ws->ping.wanted = false;
        opcode = WSLAY_PING;
    } else if (ws->close.wanted) {
        frame = ws->close;
        ws->close.wanted = false;
        ws->closed = true;
        opcode = WSLAY_CONNECTION_CLOSE;
    }
    ws->left = frame.wanted;
    pthread_mutex_unlock(&ws->mutex);
    if (!frame.wanted)
        return false;
    ws->urgent = true;
    if (!urgent_frame(ws, opcode, WSLAY_RSV_NONE, true, frame.data, frame.len))
        urgent_broken(ws); /* no mask was to be had */
    return true;
}

int skua__ws_rush(skua_websocket *ws, int64_t deadline)
{
    do {
        while (ws->out_pos < ws->out_len) {
            ssize_t n =
                skua_io_write_until(ws->io, ws->out + ws->out_pos, ws->out_len - ws->out_pos,
                                    skua__http_deadline(ws->options.write_timeout, deadline));

            if (n < 0) {
                if (n != -ETIMEDOUT && n != -ECANCELED)
                    urgent_broken(ws);
                return (int)n;
            }
            ws->out_pos += (size_t)n;
        }
        ws->out_pos = ws->out_len = 0;
    } while (!ws->broken && urgent_take(ws));
    return ws->broken ? -EPIPE : 0;
}

void skua__ws_rush_now(skua_websocket *ws)
{
    while (skua__ws_is_urgent(ws) && skua_mutex_try_lock(&ws->sending) == 0) {
        int rc = skua__ws_rush(ws, skua_now());

        (void)skua_mutex_unlock(&ws->sending);
        if (rc != 0)
            return;
    }
}

int skua__ws_rush_until(skua_websocket *ws, int64_t deadline)
{
    int rc = skua_mutex_lock_until(&ws->sending, deadline);

    if (rc == 0) {
        rc = skua__ws_rush(ws, deadline);
        skua__ws_unlock(ws);
    }
    return rc;
}

void skua__ws_unlock(skua_websocket *ws)
{
    (void)skua_mutex_unlock(&ws->sending);
    skua__ws_rush_now(ws);
}

#undef URGENT_GATHER
