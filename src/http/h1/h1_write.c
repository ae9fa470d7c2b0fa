/* h1_write.c - the response: a head, and a body with a length, in chunks, or until the end.
 *
 * Gathered   everything goes into one buffer, which is sent when it is full, on a flush, and before
 *            the connection waits for its client. So the answers to pipelined requests go together.
 * Chunks     a chunk's length is written when it is closed, into eight digits that were left free.
 * Big        what is longer than the buffer is sent from where it is, with what was gathered.
 * Files      of a body that has a length go from the kernel's memory into the socket. A client that
 *            takes something of it in the time for a write is not too slow.
 *
 * Sources: RFC 9112 (4, 6, 7.1, 9.3).
 */
#include <stdio.h>
#include <time.h>

#include <skua/task.h>

#include "http/h1/h1_impl.h"

#define WRITE_NO_CHUNK SIZE_MAX
/* "0000abcd" CR LF … CR LF */
#define WRITE_CHUNK_HEAD 10u
#define WRITE_CHUNK_TAIL 2u

/* ---- sending --------------------------------------------------------------------------------- */

/* All of it: what was gathered, then `data`. */
static int write_out(struct skua__h1 *h1, const void *data, size_t len)
{
    struct iovec iov[2] = {{h1->out, h1->out_len}, {(void *)(uintptr_t)data, len}};
    size_t left = h1->out_len + len;
    int first = h1->out_len != 0 ? 0 : 1;

    h1->out_len = 0;
    while (left != 0) {
        int64_t deadline = skua__http_deadline(h1->options->write_timeout, SKUA_FOREVER);
        int count = 2 - first - (len == 0 && first == 0);
        ssize_t n =
            count == 2 && h1->io.ops->writev != NULL
                ? h1->io.ops->writev(h1->io.object, iov, 2, deadline)
                : skua_io_write_until(h1->io, iov[first].iov_base, iov[first].iov_len, deadline);

        if (n < 0)
            return (int)n;
        left -= (size_t)n;
        while (first < 2 && (size_t)n >= iov[first].iov_len) {
            n -= (ssize_t)iov[first].iov_len;
            if (first == 1)
                return 0;
            first++;
        }
        iov[first].iov_base = (char *)iov[first].iov_base + n;
        iov[first].iov_len -= (size_t)n;
    }
    return 0;
}

/* Gathers bytes of a head, whatever their number. */
static int write_put(struct skua__h1 *h1, const char *text, size_t len)
{
    while (len > SKUA__H1_OUT - h1->out_len) {
        size_t part = SKUA__H1_OUT - h1->out_len;
        int rc;

        memcpy(h1->out + h1->out_len, text, part);
        h1->out_len += part;
        text += part;
        len -= part;
        rc = write_out(h1, NULL, 0);
        if (rc != 0)
            return rc;
    }
    memcpy(h1->out + h1->out_len, text, len);
    h1->out_len += len;
    return 0;
}

static int write_text(struct skua__h1 *h1, const char *text)
{
    return write_put(h1, text, strlen(text));
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void write_chunk_close(struct skua__h1 *h1)
{
    size_t len;
    char digits[9];

    if (h1->chunk == WRITE_NO_CHUNK)
        return;
    len = h1->out_len - h1->chunk - WRITE_CHUNK_HEAD;
    if (len == 0) {
        h1->out_len = h1->chunk;
    } else {
        (void)snprintf(digits, sizeof digits, "%08x", (unsigned)len);
        memcpy(h1->out + h1->chunk, digits, 8);
        memcpy(h1->out + h1->out_len, "\r\n", WRITE_CHUNK_TAIL);
        h1->out_len += WRITE_CHUNK_TAIL;
    }
    h1->chunk = WRITE_NO_CHUNK;
}

/* A chunk that is gathered has room for its tail. */
static size_t write_room(const struct skua__h1 *h1)
{
    return SKUA__H1_OUT - h1->out_len - (h1->chunk != WRITE_NO_CHUNK ? WRITE_CHUNK_TAIL : 0);
}

static int write_chunk_open(struct skua__h1 *h1)
{
    int rc = 0;

    if (SKUA__H1_OUT - h1->out_len <= WRITE_CHUNK_HEAD + WRITE_CHUNK_TAIL)
        rc = write_out(h1, NULL, 0);
    h1->chunk = h1->out_len;
    memcpy(h1->out + h1->out_len, "00000000\r\n", WRITE_CHUNK_HEAD);
    h1->out_len += WRITE_CHUNK_HEAD;
    return rc;
}

static int write_big(struct skua__h1 *h1, const char *data, size_t len)
{
    char head[24];
    int rc = 0;

    write_chunk_close(h1);
    if (h1->chunked) {
        (void)snprintf(head, sizeof head, "%zx\r\n", len);
        rc = write_text(h1, head);
    }
    if (rc == 0)
        rc = write_out(h1, data, len);
    if (rc == 0 && h1->chunked)
        rc = write_text(h1, "\r\n");
    return rc;
}

static int h1_write(skua_http_exchange *exchange, const void *buf, size_t len)
{
    struct skua__h1 *h1 = (struct skua__h1 *)exchange;
    const char *data = buf;

    if (len >= SKUA__H1_OUT)
        return write_big(h1, data, len);
    while (len != 0) {
        size_t part;
        int rc = 0;

        if (h1->chunked && h1->chunk == WRITE_NO_CHUNK)
            rc = write_chunk_open(h1);
        if (rc != 0)
            return rc;
        part = write_room(h1) < len ? write_room(h1) : len;
        memcpy(h1->out + h1->out_len, data, part);
        h1->out_len += part;
        data += part;
        len -= part;
        if (len != 0) {
            write_chunk_close(h1);
            rc = write_out(h1, NULL, 0);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* One call under its time-out; *late: that has ended it, and not something else. */
static int64_t write_file_part(struct skua__h1 *h1, int file, int64_t *offset, int64_t count,
                               bool *late)
{
    int64_t deadline = skua__http_deadline(h1->options->write_timeout, SKUA_FOREVER);
    skua_deadline frame;
    int64_t n = skua_deadline_begin(&frame, deadline);

    if (n == 0)
        n = h1->watch->sendfile(h1->watcher, file, offset, count);
    (void)skua_deadline_end(&frame);
    *late = n == -ETIMEDOUT && skua_now() < skua_deadline_current();
    return n;
}

static int64_t h1_sendfile(skua_http_exchange *exchange, int file, int64_t *offset, int64_t count)
{
    struct skua__h1 *h1 = (struct skua__h1 *)exchange;
    int64_t begin = *offset;
    int rc;

    if (h1->watch->sendfile == NULL || h1->chunked)
        return -ENOTSUP;
    rc = skua__h1_flush(h1);
    if (rc != 0)
        return rc;
    while (*offset - begin < count) {
        int64_t before = *offset;
        bool late;
        int64_t n = write_file_part(h1, file, offset, count - (before - begin), &late);

        if (n < 0 && !(late && *offset != before))
            return *offset == begin && (n == -ENOSYS || n == -ENOMEM) ? -ENOTSUP : n;
        if (n >= 0 && *offset - begin < count)
            break; /* the file's end */
    }
    return *offset - begin;
}

/* ---- the head -------------------------------------------------------------------------------- */

static const char *write_date(struct skua__h1 *h1)
{
    int64_t now = (int64_t)time(NULL);

    if (now != h1->date_second) {
        skua__http_date(h1->date, now);
        h1->date_second = now;
    }
    return h1->date;
}

static int write_field(struct skua__h1 *h1, const char *name, size_t name_len, const char *value,
                       size_t value_len)
{
    char *at = h1->out + h1->out_len;
    int rc;

    if (name_len + value_len + 4 <= SKUA__H1_OUT - h1->out_len) {
        memcpy(at, name, name_len);
        at += name_len;
        *at++ = ':';
        *at++ = ' ';
        memcpy(at, value, value_len);
        at += value_len;
        *at++ = '\r';
        *at++ = '\n';
        h1->out_len = (size_t)(at - h1->out);
        return 0;
    }
    rc = write_put(h1, name, name_len);
    if (rc == 0)
        rc = write_put(h1, ": ", 2);
    if (rc == 0)
        rc = write_put(h1, value, value_len);
    return rc == 0 ? write_put(h1, "\r\n", 2) : rc;
}

static int write_length(struct skua__h1 *h1, uint64_t length)
{
    char digits[20];
    char *at = digits + sizeof digits;

    do
        *--at = (char)('0' + length % 10);
    while ((length /= 10) != 0);
    return write_field(h1, "Content-Length", 14, at, (size_t)(digits + sizeof digits - at));
}

/* How the body's end is known; and whether the connection can be used again. */
static int write_framing(struct skua__h1 *h1)
{
    skua_http_exchange *exchange = &h1->exchange;
    int rc = 0;

    h1->chunked = false;
    if (exchange->response_left >= 0 && exchange->status != 204) {
        rc = write_length(h1, (uint64_t)exchange->response_left);
    } else if (!exchange->bodiless && exchange->version == 11) {
        h1->chunked = true;
        rc = write_text(h1, "Transfer-Encoding: chunked\r\n");
    } else if (!exchange->bodiless) {
        h1->keep_alive = false; /* the end of the connection is the end of the body */
    }
    if (rc == 0 && !h1->keep_alive)
        rc = write_text(h1, "Connection: close\r\n");
    else if (rc == 0 && exchange->version == 10)
        rc = write_text(h1, "Connection: keep-alive\r\n");
    return rc;
}

/* The line, and the headers but those of framing. */
static int write_head(struct skua__h1 *h1)
{
    skua_http_exchange *exchange = &h1->exchange;
    const char *server = h1->options->server_name;
    char line[64];
    int rc;

    if (exchange->status == 200) {
        rc = write_put(h1, "HTTP/1.1 200 OK\r\n", 17);
    } else {
        int n = snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", exchange->status,
                         skua_http_reason(exchange->status));

        rc = write_put(h1, line, (size_t)n);
    }
    if (rc == 0)
        rc = write_field(h1, "Date", 4, write_date(h1), SKUA__HTTP_DATE - 1);
    if (rc == 0 && server != NULL)
        rc = write_field(h1, "Server", 6, server, strlen(server));
    for (size_t i = 0; rc == 0 && i < exchange->response.count; i++) {
        const struct skua__http_field *field = &exchange->response.at[i];

        rc = write_field(h1, field->name, field->name_len, field->value, field->value_len);
    }
    return rc;
}

static int h1_begin(skua_http_exchange *exchange)
{
    struct skua__h1 *h1 = (struct skua__h1 *)exchange;
    int rc;

    if (h1->watch->last(h1->watcher))
        h1->keep_alive = false;
    if (skua__h1_body_too_much(h1))
        h1->keep_alive = false;
    rc = write_head(h1);
    if (rc == 0)
        rc = write_framing(h1);
    return rc == 0 ? write_put(h1, "\r\n", 2) : rc;
}

/* ---- the rest -------------------------------------------------------------------------------- */

int skua__h1_flush(struct skua__h1 *h1)
{
    write_chunk_close(h1);
    return h1->out_len != 0 ? write_out(h1, NULL, 0) : 0;
}

static int h1_flush(skua_http_exchange *exchange)
{
    return skua__h1_flush((struct skua__h1 *)exchange);
}

/* Whether the client has said that it looks at trailers: RFC 9110, 6.5.1 and 10.1.4. */
static bool write_trailers_wanted(const skua_http_exchange *exchange)
{
    const struct skua__http_fields *fields = &exchange->request;
    const struct skua__http_field *at = NULL;
    size_t from = 0;

    while ((at = skua__http_fields_find(fields, "te", 2, from)) != NULL) {
        if (skua__http_has_token(at->value, "trailers"))
            return true;
        from = (size_t)(at - fields->at) + 1;
    }
    return false;
}

static int write_trailers(struct skua__h1 *h1)
{
    const struct skua__http_fields *trailers = &h1->exchange.response_trailers;
    int rc = write_put(h1, "0\r\n", 3);

    for (size_t i = 0; rc == 0 && i < trailers->count; i++)
        rc = write_field(h1, trailers->at[i].name, trailers->at[i].name_len, trailers->at[i].value,
                         trailers->at[i].value_len);
    return rc == 0 ? write_put(h1, "\r\n", 2) : rc;
}

static int h1_end(skua_http_exchange *exchange)
{
    struct skua__h1 *h1 = (struct skua__h1 *)exchange;

    write_chunk_close(h1);
    if (h1->chunked && exchange->response_trailers.count != 0 && write_trailers_wanted(exchange))
        return write_trailers(h1);
    return h1->chunked ? write_put(h1, "0\r\n\r\n", 5) : 0;
}

int skua__h1_write_upgrade(struct skua__h1 *h1, const char *protocol)
{
    int rc = write_head(h1);

    h1->chunked = false;
    if (rc == 0)
        rc = write_field(h1, "Upgrade", 7, protocol, strlen(protocol));
    return rc == 0 ? write_text(h1, "Connection: Upgrade\r\n\r\n") : rc;
}

int skua__h1_continue(struct skua__h1 *h1)
{
    h1->continue_wanted = false;
    return h1->exchange.begun ? 0 : write_text(h1, "HTTP/1.1 100 Continue\r\n\r\n");
}

const struct skua__http_carrier skua__h1_carrier = {.read = skua__h1_body_read,
                                                    .begin = h1_begin,
                                                    .write = h1_write,
                                                    .flush = h1_flush,
                                                    .end = h1_end,
                                                    .upgrade = skua__h1_upgrade,
                                                    .sendfile = h1_sendfile};

#undef WRITE_NO_CHUNK
#undef WRITE_CHUNK_HEAD
#undef WRITE_CHUNK_TAIL
