/* h1_body.c - a request's body: by its length, or in chunks; llhttp finds its pieces.
 *
 * Buffer     behind the head, which must stay as long as the handler runs; when there is little
 *            room, one of the arena's. llhttp pauses at each piece, which is then handed out.
 * Behind     a body that the handler left is read to its end, so that the next request can be
 *            found; but not for long.
 */
#include "http/h1/h1_impl.h"

#define BODY_ROOM_MIN ((size_t)2048)
#define BODY_ROOM ((size_t)16384)
/* Of a body that nobody wanted. */
#define BODY_SKIP ((int64_t)256 * 1024)

int skua__h1_on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct skua__h1 *h1 = parser->data;

    h1->span = at;
    h1->span_len = len;
    h1->body_left -= (int64_t)len;
    if (h1->body_left == 0)
        h1->body_done = true; /* llhttp would say so when it sees the next byte */
    return HPE_PAUSED;
}

int skua__h1_on_done(llhttp_t *parser)
{
    struct skua__h1 *h1 = parser->data;

    h1->body_done = true;
    return HPE_PAUSED;
}

ssize_t skua__h1_fill(struct skua__h1 *h1, int64_t deadline)
{
    int rc = skua__h1_flush(h1);
    ssize_t n;

    if (rc != 0)
        return rc;
    n = skua_io_read_until(h1->io, h1->buf + h1->len, h1->room - h1->len, deadline);
    if (n > 0)
        h1->len += (size_t)n;
    return n;
}

/* All that was there is parsed: makes room for more. */
static int body_room(struct skua__h1 *h1)
{
    if (h1->buf == h1->in) { /* from here on it begins behind the head */
        h1->buf += h1->pos;
        h1->room -= h1->pos;
        h1->len -= h1->pos;
        h1->pos = 0;
    }
    if (h1->len > h1->pos)
        return 0;
    h1->pos = h1->len = 0;
    if (h1->room >= BODY_ROOM_MIN)
        return 0;
    h1->buf = skua__http_arena_alloc(&h1->exchange.arena, BODY_ROOM);
    h1->room = BODY_ROOM;
    if (h1->buf != NULL)
        return 0;
    h1->buf = h1->in;
    h1->room = 0;
    h1->keep_alive = false;
    return -ENOMEM;
}

/* Parses on, to the next piece, the end, or the end of what is there. */
static int body_parse(struct skua__h1 *h1)
{
    llhttp_errno_t rc;

    llhttp_resume(&h1->parser);
    rc = llhttp_execute(&h1->parser, h1->buf + h1->pos, h1->len - h1->pos);
    if (rc == HPE_OK)
        h1->pos = h1->len;
    else if (rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE)
        h1->pos = (size_t)(llhttp_get_error_pos(&h1->parser) - h1->buf);
    else
        return -EBADMSG;
    return 0;
}

/* A piece in span, or the end. */
static int body_next(struct skua__h1 *h1)
{
    while (h1->span_len == 0 && !h1->body_done) {
        int rc = body_room(h1);

        if (rc == 0 && h1->pos == h1->len) {
            ssize_t n;

            if (h1->continue_wanted)
                rc = skua__h1_continue(h1);
            if (rc != 0)
                return rc;
            n = skua__h1_fill(h1, skua__h1_deadline(h1->options->body_timeout));
            if (n <= 0)
                return n == 0 ? SKUA_EEOF : (int)n;
        }
        if (rc == 0)
            rc = body_parse(h1);
        if (rc != 0) {
            h1->keep_alive = false;
            return rc;
        }
    }
    return 0;
}

ssize_t skua__h1_body_read(skua_http_exchange *exchange, void *buf, size_t len)
{
    struct skua__h1 *h1 = (struct skua__h1 *)exchange;
    int rc = body_next(h1);

    if (rc != 0 || h1->span_len == 0)
        return rc;
    if (len > h1->span_len)
        len = h1->span_len;
    memcpy(buf, h1->span, len);
    h1->span += len;
    h1->span_len -= len;
    return (ssize_t)len;
}

bool skua__h1_body_too_much(const struct skua__h1 *h1)
{
    const skua_http_exchange *exchange = &h1->exchange;

    return !exchange->body_ended && (h1->continue_wanted || exchange->body_error != 0 ||
                                     exchange->body_length - exchange->body_read > BODY_SKIP);
}

bool skua__h1_body_skip(struct skua__h1 *h1)
{
    skua_http_exchange *exchange = &h1->exchange;
    char waste[4096];
    int64_t skipped = 0;
    ssize_t n;

    if (exchange->body_ended)
        return true;
    if (skua__h1_body_too_much(h1))
        return false;
    while ((n = skua__h1_body_read(exchange, waste, sizeof waste)) > 0)
        if ((skipped += n) > BODY_SKIP)
            return false;
    return n == 0;
}

#undef BODY_ROOM_MIN
#undef BODY_ROOM
#undef BODY_SKIP
