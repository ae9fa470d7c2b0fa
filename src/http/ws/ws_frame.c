/* ws_frame.c - what comes in: frames, judged; control frames, heard; chunks of messages, handed on.
 *
 * wslay parses heads and takes masks off, in a buffer of its own, and keeps what it has when the
 * stream has no more: a read that was cancelled goes on later. What wslay leaves to others is
 * judged here: who masks, reserved bits and opcodes, the order of frames, closes.
 *
 *   state        a frame of text or binary     of continuation        a control frame
 *   no message   begins one                    1002                   heard
 *   a message    1002                          goes on with it        heard, and it goes on
 *
 * Life       the receiver wakes at the time to ask the peer for a sign of life, and when that is
 *            over: any byte is one. It also wakes to offer the stream again what is urgent.
 *
 * Source: RFC 6455, 5 and 7.
 */
#include "http/ws/ws_impl.h"

/* Until what the stream did not take is offered again. */
#define FRAME_AGAIN (50 * SKUA_MILLISECOND)
/* In which options.control_max are allowed. */
#define FRAME_WINDOW (10 * SKUA_SECOND)
/* What compression may add: empty blocks. */
#define FRAME_ZIPPED ((uint64_t)65536)

/* ---- bytes ----------------------------------------------------------------------------------- */

static ssize_t frame_early(skua_websocket *ws, uint8_t *buf, size_t len)
{
    if (len > ws->early_len - ws->early_pos)
        len = ws->early_len - ws->early_pos;
    memcpy(buf, ws->early + ws->early_pos, len);
    ws->early_pos += len;
    if (ws->early_pos == ws->early_len) {
        skua__http_free(ws->early);
        ws->early = NULL;
    }
    return (ssize_t)len;
}

/* Until when to wait for bytes, beside the call's deadline. *gone: no longer than that. */
static int64_t frame_due(skua_websocket *ws, int64_t now, bool *gone)
{
    int64_t due = SKUA_FOREVER;

    *gone = false;
    if (ws->options.ping_interval != SKUA_FOREVER) {
        if (ws->asked == 0 && skua__http_after(ws->heard, ws->options.ping_interval) <= now) {
            (void)skua__ws_urge(ws, &ws->ping, NULL, 0);
            ws->asked = now;
        }
        due = ws->asked != 0 ? skua__http_after(ws->asked, ws->options.ping_timeout)
                             : skua__http_after(ws->heard, ws->options.ping_interval);
        *gone = due <= now; /* unless something has come meanwhile */
    }
    if (skua__ws_is_urgent(ws)) {
        skua__ws_rush_now(ws);
        if (skua__ws_is_urgent(ws) && due > now + FRAME_AGAIN)
            due = now + FRAME_AGAIN;
    }
    return due;
}

ssize_t skua__ws_fill(uint8_t *buf, size_t len, int flags, void *arg)
{
    skua_websocket *ws = arg;

    (void)flags;
    if (ws->early != NULL)
        return frame_early(ws, buf, len);
    for (;;) {
        bool gone;
        int64_t due = frame_due(ws, skua_now(), &gone);
        int64_t until = due < ws->deadline ? due : ws->deadline;
        ssize_t n = skua_io_read_until(ws->io, buf, len, until);

        if (n > 0) {
            ws->heard = skua_now();
            ws->asked = 0;
            return n;
        }
        if (n == -ETIMEDOUT && gone)
            n = -ECONNABORTED;
        /* Its own time, and not the call's or the task's. */
        if (n == -ETIMEDOUT && until != ws->deadline && skua_now() >= until)
            continue;
        ws->read_error = n == 0 ? SKUA_EEOF : n;
        return -1;
    }
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Without a close. */
static int frame_over(skua_websocket *ws, int error)
{
    ws->error = error;
    pthread_mutex_lock(&ws->mutex);
    if (ws->info.close_code == 0)
        ws->info.close_code = 1006;
    pthread_mutex_unlock(&ws->mutex);
    return error;
}

int skua__ws_fail(skua_websocket *ws, int code, int error)
{
    uint8_t data[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    (void)skua__ws_urge(ws, &ws->close, data, sizeof data);
    skua__ws_rush_now(ws);
    return frame_over(ws, error);
}

static int frame_wrong(skua_websocket *ws)
{
    return skua__ws_fail(ws, WSLAY_CODE_PROTOCOL_ERROR, -EPROTO);
}

bool skua__ws_code_is_good(int code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* ---- control frames -------------------------------------------------------------------------- */

/* One more of those that cost little to send. */
static int frame_count(skua_websocket *ws)
{
    int64_t now = skua_now();

    if (now - ws->window >= FRAME_WINDOW) {
        ws->window = now;
        ws->controls = 0;
    }
    return ++ws->controls <= ws->options.control_max
               ? 0
               : skua__ws_fail(ws, WSLAY_CODE_POLICY_VIOLATION, SKUA_ELIMIT);
}

static void frame_pong(skua_websocket *ws)
{
    pthread_mutex_lock(&ws->mutex);
    ws->info.pongs++;
    if (ws->asked_at != 0)
        ws->info.round_trip = skua_now() - ws->asked_at;
    ws->asked_at = 0;
    pthread_mutex_unlock(&ws->mutex);
}

/* The other side closes: it is answered, and that was all. */
static int frame_close(skua_websocket *ws)
{
    const uint8_t *data = ws->control;
    size_t len = ws->control_len;
    int code = len >= 2 ? data[0] << 8 | data[1] : WSLAY_CODE_NO_STATUS_RCVD;

    if (len == 1 || (len >= 2 && !skua__ws_code_is_good(code)))
        return frame_wrong(ws);
    if (len > 2 && !skua__ws_utf8_is(data + 2, len - 2))
        return skua__ws_fail(ws, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, -EBADMSG);
    pthread_mutex_lock(&ws->mutex);
    ws->info.close_code = code;
    if (len > 2)
        memcpy(ws->info.close_reason, data + 2, len - 2);
    pthread_mutex_unlock(&ws->mutex);
    ws->error = SKUA_ECLOSED;
    (void)skua__ws_urge(ws, &ws->close, data, len >= 2 ? 2 : 0);
    (void)skua__ws_rush_until(ws, skua__http_deadline(ws->options.close_timeout, SKUA_FOREVER));
    return SKUA_ECLOSED;
}

/* Of a control frame, which may come in pieces. */
static int frame_control(skua_websocket *ws)
{
    const struct wslay_frame_iocb *in = &ws->in;

    if (in->data_length != 0)
        memcpy(ws->control + ws->control_len, in->data, in->data_length);
    ws->control_len = (uint8_t)(ws->control_len + in->data_length);
    if (ws->in_frame)
        return 0;
    switch (in->opcode) {
    case WSLAY_PING:
        (void)skua__ws_urge(ws, &ws->pong, ws->control, ws->control_len);
        skua__ws_rush_now(ws);
        return 0;
    case WSLAY_PONG:
        frame_pong(ws);
        return 0;
    default:
        return frame_close(ws);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void frame_message(skua_websocket *ws)
{
    const struct wslay_frame_iocb *in = &ws->in;

    ws->message = true;
    ws->last = ws->tail = false;
    ws->type = in->opcode == WSLAY_TEXT_FRAME ? SKUA_WEBSOCKET_TEXT : SKUA_WEBSOCKET_BINARY;
    ws->zipped = wslay_get_rsv1(in->rsv);
    ws->frames_len = ws->message_len = 0;
    ws->text = (struct skua__ws_utf8){0};
}

/* Of a message. */
static int frame_data(skua_websocket *ws)
{
    const struct wslay_frame_iocb *in = &ws->in;
    bool more = in->opcode == WSLAY_CONTINUATION_FRAME;
    uint64_t len = in->payload_length;
    uint64_t most = (uint64_t)ws->options.message_max; /* of -1: beyond all lengths */

    if (more != ws->message)
        return frame_wrong(ws);
    if (!more)
        frame_message(ws);
    /* Compressed, it is judged by what comes out; but nothing needs so much to say so little. */
    if (ws->zipped && most < UINT64_MAX / 16)
        most = 8 * most + FRAME_ZIPPED;
    if (len > (uint64_t)ws->options.frame_max || len > most || ws->frames_len > most - len)
        return skua__ws_fail(ws, WSLAY_CODE_MESSAGE_TOO_BIG, SKUA_ELIMIT);
    ws->frames_len += len;
    return len == 0 && !in->fin ? frame_count(ws) : 0;
}

/* The head of a frame, which wslay has found well-formed. */
static int frame_begin(skua_websocket *ws)
{
    const struct wslay_frame_iocb *in = &ws->in;
    bool first = in->opcode == WSLAY_TEXT_FRAME || in->opcode == WSLAY_BINARY_FRAME;
    uint8_t may = ws->deflate.on && first ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE;

    ws->in_frame = true;
    ws->frame_left = in->payload_length;
    ws->control_len = 0;
    if ((in->mask != 0) != ws->server || (in->rsv & ~may) != 0)
        return frame_wrong(ws);
    switch (in->opcode) {
    case WSLAY_CONTINUATION_FRAME:
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        return frame_data(ws);
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
        return frame_count(ws);
    default:
        return frame_wrong(ws);
    }
}

/* Why wslay has nothing. */
static int frame_none(skua_websocket *ws, ssize_t why)
{
    int rc = (int)ws->read_error;

    if (why != WSLAY_ERR_WANT_READ || rc == 0)
        return frame_wrong(ws);
    return rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EINTR ? rc : frame_over(ws, rc);
}

int skua__ws_more(skua_websocket *ws)
{
    while (ws->error == 0) {
        struct wslay_frame_iocb *in = &ws->in;
        ssize_t n;
        int rc = 0;

        ws->read_error = 0;
        n = wslay_frame_recv(ws->frames, in);
        if (n == WSLAY_ERR_WANT_READ && ws->read_error == 0)
            continue; /* a part of a head: there may be more of it */
        if (n < 0)
            return frame_none(ws, n);
        if (!ws->in_frame)
            rc = frame_begin(ws);
        if (rc != 0)
            return rc;
        ws->frame_left -= in->data_length;
        ws->in_frame = ws->frame_left != 0;
        if (wslay_is_ctrl_frame(in->opcode)) {
            rc = frame_control(ws);
            if (rc != 0)
                return rc;
            continue;
        }
        ws->chunk = in->data;
        ws->chunk_len = in->data_length;
        ws->last = in->fin && !ws->in_frame;
        return 0;
    }
    return ws->error;
}

#undef FRAME_AGAIN
#undef FRAME_WINDOW
#undef FRAME_ZIPPED
