/* h1_body.c - a request's body: by its length, or in chunks; llhttp finds its pieces.
 *
 * Buffer     behind the head, which must stay as long as the handler runs; when there is little
 *            room, one of the arena's. llhttp pauses at each piece, which is then handed out.
 * Behind     a body that the handler left is read to its end, so that the next request can be
 *            found; but not for long.
 * Chunks     lengths and extensions may not be much longer than what is in the chunks. Behind the
 *            last one llhttp is done: h1_trailer.c reads on.
 * Slow       a client has a time-out between two bytes, and a budget: some seconds, and one more
 *            for as many bytes as a second must bring. Only what we wait for it is counted.
 *
 * Sources: RFC 9112 (6, 7); Go's limit of what is around chunks; Kestrel's least rate of data.
 */
#include "http/h1/h1_impl.h"

#define BODY_ROOM_MIN ((size_t)2048)
#define BODY_ROOM ((size_t)16384)
/* Of a body that nobody wanted. */
#define BODY_SKIP ((int64_t)256 * 1024)
/* Bytes around the chunks: so many, and so many for each byte in them. */
#define BODY_AROUND ((int64_t)16 * 1024)
#define BODY_AROUND_EACH 16

int skua__h1_on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct skua__h1 *h1 = parser->data;

    h1->span = at;
    h1->span_len = len;
    h1->body_left -= (int64_t)len;
    h1->body_bytes += (int64_t)len;
    if (h1->body_left == 0)
        h1->body_done = true; /* llhttp would say so when it sees the next byte */
    return HPE_PAUSED;
}

int skua__h1_on_chunk(llhttp_t *parser)
{
    struct skua__h1 *h1 = parser->data;

    if (parser->content_length != 0)
        return 0;
    h1->trailing = true;
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
    size_t before = h1->pos;

    if (h1->trailing)
        return skua__h1_trailers(h1);
    llhttp_resume(&h1->parser);
    rc = llhttp_execute(&h1->parser, h1->buf + h1->pos, h1->len - h1->pos);
    if (rc == HPE_OK)
        h1->pos = h1->len;
    else if (rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE)
        h1->pos = (size_t)(llhttp_get_error_pos(&h1->parser) - h1->buf);
    else
        return -EBADMSG;
    h1->body_parsed += (int64_t)(h1->pos - before);
    if (h1->exchange.body_length < 0 &&
        h1->body_parsed - h1->body_bytes > BODY_AROUND + BODY_AROUND_EACH * h1->body_bytes)
        return -EBADMSG;
    return 0;
}

/* Until when the next byte must have come. */
static int64_t body_deadline(const struct skua__h1 *h1, int64_t now)
{
    int64_t deadline = skua__http_after(now, h1->options->body_timeout);
    int64_t rate = h1->options->body_rate_min;
    int64_t budget;

    if (rate < 0)
        return deadline;
    if (h1->body_came / rate > SKUA_HOUR / SKUA_SECOND) /* far ahead: nothing overflows */
        return deadline;
    budget = SKUA__H1_BODY_GRACE - h1->body_waited + h1->body_came / rate * SKUA_SECOND +
             h1->body_came % rate * SKUA_SECOND / rate;
    return now + budget < deadline ? now + budget : deadline;
}

/* Reads more of the body: 0, or an error. */
static int body_more(struct skua__h1 *h1)
{
    int64_t begun, deadline;
    ssize_t n;
    int rc = h1->continue_wanted ? skua__h1_continue(h1) : 0;

    if (rc == 0)
        rc = skua__h1_flush(h1); /* not the time of the body */
    if (rc != 0) {
        h1->exchange.error = rc; /* there is a hole in the response: nothing may follow */
        return rc;
    }
    begun = skua_now();
    deadline = body_deadline(h1, begun);
    n = skua__h1_fill(h1, deadline);
    h1->body_waited += skua_now() - begun;
    if (n == -ETIMEDOUT && skua_now() >= deadline) { /* else it is the handler's own deadline */
        h1->exchange.body_error = -ETIMEDOUT;
        h1->keep_alive = false;
    }
    if (n <= 0)
        return n == 0 ? SKUA_EEOF : (int)n;
    h1->body_came += n;
    return 0;
}

/* A piece in span, or the end. */
static int body_next(struct skua__h1 *h1)
{
    while (h1->span_len == 0 && !h1->body_done) {
        int rc = body_room(h1);

        if (rc == 0 && h1->pos == h1->len) {
            rc = body_more(h1);
            if (rc != 0)
                return rc;
        }
        h1->continue_wanted = false; /* it sends, asked or not */
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
    int64_t skipped = 0;

    if (exchange->body_ended)
        return true;
    if (skua__h1_body_too_much(h1))
        return false;
    while (skipped <= BODY_SKIP) {
        if (body_next(h1) != 0)
            return false;
        if (h1->span_len == 0)
            return true;
        skipped += (int64_t)h1->span_len;
        h1->span_len = 0;
    }
    return false;
}

#undef BODY_ROOM_MIN
#undef BODY_ROOM
#undef BODY_SKIP
#undef BODY_AROUND
#undef BODY_AROUND_EACH
