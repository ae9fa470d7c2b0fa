/* h1c_send.c - an exchange: the request goes out, and the head of its final response comes in.
 *
 *   head       gathered, and sent with the first bytes of the body
 *   asked      with "Expect: 100-continue": waits a second for an interim or a final response
 *   body       by its length or in chunks, a piece at a time; before each one looks what has come:
 *              a final response of 300 and more ends it (RFC 9110, 10.1.1; RFC 9112, 9.3)
 *   response   informational ones are skipped; the final one is the answer
 *
 * A server that refuses a body may close before it has read it: when writing fails, the answer may
 * still be there, and is looked for.
 */
#include <stdio.h>

#include "http/h1client/h1c_impl.h"

/* Informational responses to one request. */
#define SEND_INTERIM_MAX 32
/* "0000abcd" CR LF … CR LF */
#define SEND_CHUNK_HEAD 10u
#define SEND_CHUNK_TAIL 2u

/* Not an error: the response is there already, the rest of the request is not sent. */
#define SEND_ANSWERED 1

/* ---- a connection ---------------------------------------------------------------------------- */

int skua__h1c_init(struct skua__h1c *h1c, const struct skua__http_link *link,
                   const skua_http_client_options *options)
{
    memset(h1c, 0, sizeof *h1c);
    h1c->in = skua__http_malloc(SKUA__H1C_IN);
    h1c->out = skua__http_malloc(SKUA__H1C_OUT);
    if (h1c->in == NULL || h1c->out == NULL) {
        skua__http_free(h1c->in);
        skua__http_free(h1c->out);
        return -ENOMEM;
    }
    h1c->in_room = SKUA__H1C_IN;
    h1c->link = *link;
    h1c->options = options;
    return 0;
}

void skua__h1c_free(struct skua__h1c *h1c)
{
    h1c->link.close(h1c->link.object);
    skua__http_free(h1c->pairs);
    skua__http_free(h1c->trail);
    skua__http_free(h1c->in);
    skua__http_free(h1c->out);
}

bool skua__h1c_alive(struct skua__h1c *h1c)
{
    char byte;

    return h1c->link.try_read(h1c->link.object, &byte, 1) == -EAGAIN;
}

bool skua__h1c_reusable(const struct skua__h1c *h1c)
{
    return h1c->keep_alive && h1c->sent && h1c->framing == SKUA__H1C_NONE && h1c->pos == h1c->len;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* All of it: what was gathered, then `data`. */
static int h1c_send_out(struct skua__h1c *h1c, const struct skua__http_ask *request,
                        const void *data, size_t len)
{
    struct iovec iov[2] = {{h1c->out, h1c->out_len}, {(void *)(uintptr_t)data, len}};
    int first = h1c->out_len != 0 ? 0 : 1;

    h1c->out_len = 0;
    while (iov[0].iov_len + iov[1].iov_len != 0 && first < 2) {
        int64_t deadline = skua__http_deadline(h1c->options->write_timeout, request->deadline);
        skua_io io = h1c->link.io;
        ssize_t n =
            first == 0 && len != 0 && io.ops->writev != NULL
                ? io.ops->writev(io.object, iov, 2, deadline)
                : skua_io_write_until(io, iov[first].iov_base, iov[first].iov_len, deadline);

        if (n < 0) {
            h1c->broken = true;
            return (int)n;
        }
        h1c->began = true;
        while (first < 2 && (size_t)n >= iov[first].iov_len) {
            n -= (ssize_t)iov[first].iov_len;
            iov[first++].iov_len = 0;
        }
        if (first < 2) {
            iov[first].iov_base = (char *)iov[first].iov_base + n;
            iov[first].iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int h1c_send_put(struct skua__h1c *h1c, const struct skua__http_ask *request,
                        const char *text, size_t len)
{
    if (len > SKUA__H1C_OUT - h1c->out_len)
        return h1c_send_out(h1c, request, text, len);
    memcpy(h1c->out + h1c->out_len, text, len);
    h1c->out_len += len;
    return 0;
}

static int h1c_send_text(struct skua__h1c *h1c, const struct skua__http_ask *request,
                         const char *text)
{
    return h1c_send_put(h1c, request, text, strlen(text));
}

static int h1c_send_field(struct skua__h1c *h1c, const struct skua__http_ask *request,
                          const char *name, const char *value)
{
    int rc = h1c_send_text(h1c, request, name);

    if (rc == 0)
        rc = h1c_send_put(h1c, request, ": ", 2);
    if (rc == 0)
        rc = h1c_send_text(h1c, request, value);
    return rc == 0 ? h1c_send_put(h1c, request, "\r\n", 2) : rc;
}

static int h1c_send_head(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    uint64_t length = request->read != NULL ? (uint64_t)request->length : request->body_len;
    char digits[24];
    int rc = h1c_send_text(h1c, request, request->method);

    if (rc == 0)
        rc = h1c_send_put(h1c, request, " ", 1);
    if (rc == 0)
        rc = h1c_send_text(h1c, request, request->target);
    if (rc == 0)
        rc = h1c_send_text(h1c, request, " HTTP/1.1\r\n");
    for (size_t i = 0; rc == 0 && i < request->fields->count; i++)
        rc =
            h1c_send_field(h1c, request, request->fields->at[i].name, request->fields->at[i].value);
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)length);
    if (rc == 0 && request->read != NULL && length == 0)
        rc = h1c_send_field(h1c, request, "Transfer-Encoding", "chunked");
    else if (rc == 0 &&
             (request->body != NULL || length != 0 || skua__http_ask_has_length(request->method)))
        rc = h1c_send_field(h1c, request, "Content-Length", digits);
    if (rc == 0 && request->expect)
        rc = h1c_send_field(h1c, request, "Expect", "100-continue");
    return rc == 0 ? h1c_send_put(h1c, request, "\r\n", 2) : rc;
}

/* ---- what comes meanwhile -------------------------------------------------------------------- */

/* A final response, the next one, or at the deadline -ETIMEDOUT. With `interim` an interim one will
 * do. */
static int h1c_send_hear(struct skua__h1c *h1c, const struct skua__http_ask *request,
                         int64_t deadline, bool interim)
{
    for (int i = 0; i < SEND_INTERIM_MAX; i++) {
        int rc = skua__h1c_head(h1c, request, deadline);

        if (rc != 0 || h1c->response->status >= 200)
            return rc;
        if (h1c->response->status == 101)
            return -EBADMSG; /* nobody asked for another protocol */
        skua__h1c_head_begin(h1c);
        if (interim)
            return 0;
    }
    return -EBADMSG;
}

/* Before a piece of the body: 0: go on; SEND_ANSWERED; or an error of the answer. */
static int h1c_send_look(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    ssize_t n;
    int rc;

    if (h1c->head_done || h1c->len == h1c->in_room)
        return 0; /* it is known, and was no reason to stop */
    n = h1c->link.try_read(h1c->link.object, h1c->in + h1c->len, h1c->in_room - h1c->len);
    if (n <= 0)
        return 0; /* its end, too: writing fails, or it was only this half */
    h1c->received = true;
    h1c->len += (size_t)n;
    rc = h1c_send_hear(h1c, request, 0, false);
    if (rc == -ETIMEDOUT)
        return 0;
    return rc == 0 && h1c->response->status >= 300 ? SEND_ANSWERED : rc;
}

/* Waits to be asked for the body. */
static int h1c_send_asked(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    int64_t deadline = skua__http_deadline(SKUA__ASK_ASKED, request->deadline);
    int rc = h1c_send_out(h1c, request, NULL, 0);

    if (rc == 0)
        rc = h1c_send_hear(h1c, request, deadline, true);
    if (rc == -ETIMEDOUT)
        return skua_now() < request->deadline ? 0 : rc; /* it may not know of asking */
    return rc == 0 && h1c->response->status >= 200 ? SEND_ANSWERED : rc;
}

/* ---- the body -------------------------------------------------------------------------------- */

static int h1c_send_bytes(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    const char *data = request->body;
    size_t left = request->body_len;
    int rc = 0;

    while (left != 0 && rc == 0) {
        size_t piece = left < SKUA__ASK_PIECE ? left : SKUA__ASK_PIECE;

        if (data != request->body)
            rc = h1c_send_look(h1c, request);
        if (rc == 0)
            rc = h1c_send_out(h1c, request, data, piece);
        data += piece;
        left -= piece;
    }
    return rc;
}

/* One piece of a stream, straight into the buffer, and out. Its bytes, 0 at the end, or an error.
 */
static ssize_t h1c_send_piece(struct skua__h1c *h1c, const struct skua__http_ask *request,
                              int64_t left)
{
    size_t head = request->length == 0 ? SEND_CHUNK_HEAD : 0;
    size_t room;
    char *at;
    ssize_t n;
    int rc = 0;

    if (h1c->out_len > SKUA__H1C_OUT / 2)
        rc = h1c_send_out(h1c, request, NULL, 0);
    if (rc != 0)
        return rc;
    at = h1c->out + h1c->out_len;
    room = SKUA__H1C_OUT - h1c->out_len - SEND_CHUNK_HEAD - SEND_CHUNK_TAIL;
    if (head == 0 && (uint64_t)left < room)
        room = (size_t)left;
    n = request->read(request->state, at + head, room);
    if (n <= 0)
        return n;
    if ((size_t)n > room)
        return -EINVAL;
    if (head != 0) {
        char digits[SEND_CHUNK_HEAD + 1];

        (void)snprintf(digits, sizeof digits, "%08x\r\n", (unsigned)n);
        memcpy(at, digits, SEND_CHUNK_HEAD);
        memcpy(at + head + n, "\r\n", SEND_CHUNK_TAIL);
        h1c->out_len += SEND_CHUNK_HEAD + SEND_CHUNK_TAIL;
    }
    h1c->out_len += (size_t)n;
    rc = h1c_send_out(h1c, request, NULL, 0);
    return rc == 0 ? n : rc;
}

static int h1c_send_stream(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    int64_t left = request->length;
    ssize_t n = 1;

    while (request->length == 0 || left != 0) {
        int rc = h1c_send_look(h1c, request);

        if (rc != 0)
            return rc;
        n = h1c_send_piece(h1c, request, left);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        left -= n;
    }
    if (request->length != 0)
        return left == 0 ? 0 : -EMSGSIZE;
    return h1c_send_put(h1c, request, "0\r\n\r\n", 5);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The request: 0: it is out; SEND_ANSWERED; or an error. */
static int h1c_send_request(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    bool body = request->read != NULL || request->body_len != 0;
    int rc = h1c_send_head(h1c, request);

    if (rc == 0 && request->expect && body)
        rc = h1c_send_asked(h1c, request);
    if (rc == 0 && request->read != NULL)
        rc = h1c_send_stream(h1c, request);
    else if (rc == 0 && body)
        rc = h1c_send_bytes(h1c, request);
    return rc == 0 ? h1c_send_out(h1c, request, NULL, 0) : rc;
}

/* Writing has failed with `rc`: perhaps because the answer is there. */
static int h1c_send_last_words(struct skua__h1c *h1c, const struct skua__http_ask *request, int rc)
{
    int64_t deadline =
        rc == -ETIMEDOUT ? 0 : skua__http_deadline(h1c->options->head_timeout, request->deadline);

    if (rc == -ECANCELED || rc == SKUA_EUSAGE)
        return rc;
    if (h1c->head_done && h1c->response->status >= 200)
        return 0;
    return h1c_send_hear(h1c, request, deadline, false) == 0 ? 0 : rc;
}

int skua__h1c_exchange(struct skua__h1c *h1c, const struct skua__http_ask *request,
                       struct skua__http_answer *response)
{
    int rc;

    h1c->response = response;
    h1c->began = h1c->broken = h1c->sent = h1c->received = false;
    h1c->out_len = 0;
    skua__h1c_head_begin(h1c);
    rc = h1c_send_request(h1c, request);
    if (rc == SEND_ANSWERED)
        return 0;
    if (rc < 0)
        return h1c->broken ? h1c_send_last_words(h1c, request, rc) : rc;
    h1c->sent = true;
    if (h1c->head_done)
        return 0; /* it came early */
    return h1c_send_hear(h1c, request,
                         skua__http_deadline(h1c->options->head_timeout, request->deadline), false);
}

#undef SEND_INTERIM_MAX
#undef SEND_CHUNK_HEAD
#undef SEND_CHUNK_TAIL
#undef SEND_ANSWERED
