/* h1c_body.c - a response's body: by its length, in chunks, or up to the connection's end.
 *
 * Pieces     with a length and up to the end, bytes go straight to where they are wanted; in
 *            chunks, through the connection's buffer, where llhttp finds them and pauses at each.
 * Trailers   come in pieces, too: their bytes are gathered, and cut when the body has ended.
 * Bound      what stands around the body's bytes (extensions of chunks, trailers) may be as long as
 *            a head: who sends more of it and never a byte would keep us for ever.
 *
 * Sources: RFC 9112 (6, 7.1).
 */
#include "http/h1client/h1c_impl.h"

int skua__h1c_on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct skua__h1c *h1c = parser->data;

    h1c->span = at;
    h1c->span_len = len;
    return HPE_PAUSED;
}

int skua__h1c_on_done(llhttp_t *parser)
{
    struct skua__h1c *h1c = parser->data;

    h1c->body_done = true;
    return HPE_PAUSED;
}

bool skua__h1c_trail(struct skua__h1c *h1c, const char *text, size_t len, uint32_t *at)
{
    if (h1c->trail == NULL) {
        h1c->trail = skua__http_malloc(h1c->options->head_max);
        h1c->trail_len = 0;
    }
    if (h1c->trail == NULL)
        h1c->failure = -ENOMEM;
    else if (len > h1c->options->head_max - h1c->trail_len)
        h1c->failure = SKUA_ELIMIT;
    if (h1c->failure != 0)
        return false;
    *at = (uint32_t)h1c->trail_len;
    memcpy(h1c->trail + h1c->trail_len, text, len);
    h1c->trail_len += len;
    return true;
}

/* Whatever its framing was. */
static void h1c_body_end(struct skua__h1c *h1c)
{
    h1c->framing = SKUA__H1C_NONE;
    skua__http_free(h1c->trail);
    h1c->trail = NULL;
}

/* ---- as it comes ----------------------------------------------------------------------------- */

static ssize_t h1c_body_plain(struct skua__h1c *h1c, void *buf, size_t len, int64_t deadline)
{
    bool counted = h1c->framing == SKUA__H1C_LENGTH;
    size_t there = h1c->len - h1c->pos;
    ssize_t n;

    if (counted && (uint64_t)h1c->left < len)
        len = (size_t)h1c->left;
    if (there != 0) {
        n = (ssize_t)(len < there ? len : there);
        memcpy(buf, h1c->in + h1c->pos, (size_t)n);
        h1c->pos += (size_t)n;
    } else {
        n = skua_io_read_until(h1c->link.io, buf, len, deadline);
    }
    if (n == 0 && counted)
        return SKUA_EEOF;
    if (n == 0)
        h1c_body_end(h1c);
    if (n > 0 && counted && (h1c->left -= n) == 0)
        h1c_body_end(h1c);
    return n;
}

/* ---- in chunks ------------------------------------------------------------------------------- */

/* Parses on, to the next piece, the end, or the end of what is there. */
static int h1c_body_parse(struct skua__h1c *h1c)
{
    size_t from = h1c->pos;
    llhttp_errno_t rc;

    llhttp_resume(&h1c->parser);
    rc = llhttp_execute(&h1c->parser, h1c->in + h1c->pos, h1c->len - h1c->pos);
    if (rc == HPE_OK)
        h1c->pos = h1c->len;
    else if (rc == HPE_PAUSED)
        h1c->pos = (size_t)(llhttp_get_error_pos(&h1c->parser) - h1c->in);
    else
        return h1c->failure != 0 ? h1c->failure : -EBADMSG;
    h1c->overhead = h1c->span_len != 0 ? 0 : h1c->overhead + h1c->pos - from;
    return h1c->overhead > h1c->options->head_max ? SKUA_ELIMIT : 0;
}

/* The trailers; nothing else is left of the response. */
static int h1c_body_last(struct skua__h1c *h1c)
{
    int rc = skua__h1c_pairs_cut(h1c, h1c->trail, &h1c->response->trailers);

    h1c_body_end(h1c);
    return rc;
}

static ssize_t h1c_body_chunks(struct skua__h1c *h1c, void *buf, size_t len, int64_t deadline)
{
    while (h1c->span_len == 0) {
        int rc;

        if (h1c->body_done)
            return h1c_body_last(h1c);
        if (h1c->pos == h1c->len) {
            ssize_t n;

            h1c->pos = h1c->len = 0;
            n = skua_io_read_until(h1c->link.io, h1c->in, h1c->in_room, deadline);
            if (n <= 0)
                return n == 0 ? SKUA_EEOF : n;
            h1c->len = (size_t)n;
        }
        rc = h1c_body_parse(h1c);
        if (rc != 0)
            return rc;
    }
    if (len > h1c->span_len)
        len = h1c->span_len;
    memcpy(buf, h1c->span, len);
    h1c->span += len;
    h1c->span_len -= len;
    return (ssize_t)len;
}

ssize_t skua__h1c_read(struct skua__h1c *h1c, void *buf, size_t len, int64_t deadline)
{
    if (len == 0 || h1c->framing == SKUA__H1C_NONE)
        return 0;
    return h1c->framing == SKUA__H1C_CHUNKS ? h1c_body_chunks(h1c, buf, len, deadline)
                                            : h1c_body_plain(h1c, buf, len, deadline);
}
