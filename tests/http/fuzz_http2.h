/* fuzz_http2.h - any bytes, as the frames of a connection: a round of fuzzing.
 *
 * The connection's core alone, as a server's or a client's, without a runtime: what comes is fed in
 * pieces, heads are answered, bodies are read and echoed, everything is sent into nowhere. Nothing
 * may crash, hang or leak, and what is kept stays within its bounds.
 *
 * Used by fuzz_http2.c under libFuzzer, and by test_http2_fuzz.c over changed frames.
 */
#ifndef SKUA_TESTS_FUZZ_HTTP2_H
#define SKUA_TESTS_FUZZ_HTTP2_H

#include <stdio.h>
#include <stdlib.h>

#include "http/h2/h2_impl.h"
#include "http/h2/h2s.h"

#define FUZZ2_STREAMS 8u
#define FUZZ2_WINDOW 20000u

struct fuzz2_stream {
    struct skua__h2_stream stream;
    struct fuzz2_stream *next; /* of those whose heads are whole */
    bool answered;
};

struct fuzz2 {
    struct skua__h2 h2;
    struct fuzz2_stream *heads;
    uint64_t sent;
};

static inline ssize_t fuzz2_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct fuzz2 *fuzz = object;

    (void)buf;
    (void)deadline;
    if (len == 0)
        abort();
    if (len > 100)
        len -= len / 3; /* not all at once */
    fuzz->sent += len;
    return (ssize_t)len;
}

static inline ssize_t fuzz2_read(void *object, void *buf, size_t len, int64_t deadline)
{
    (void)object;
    (void)buf;
    (void)len;
    (void)deadline;
    return 0;
}

static inline struct skua__h2_stream *fuzz2_open(struct skua__h2 *h2)
{
    struct fuzz2_stream *self = calloc(1, sizeof *self);

    (void)h2;
    return self != NULL ? &self->stream : NULL;
}

static inline void fuzz2_head(struct skua__h2_stream *stream)
{
    struct fuzz2 *fuzz = stream->h2->owner;
    struct fuzz2_stream *self = (struct fuzz2_stream *)stream;

    if (!stream->h2->setup.server)
        return; /* it is in the list since it was opened */
    skua__h2_own(stream);
    self->next = fuzz->heads;
    fuzz->heads = self;
}

static inline void fuzz2_closed(struct skua__h2_stream *stream)
{
    if (stream->known)
        abort();
}

static inline void fuzz2_free(struct skua__h2_stream *stream)
{
    free(stream);
}

/* What a handler or a caller would do, as far as it need not wait. True: it is done with it. */
static inline bool fuzz2_serve(struct fuzz2 *fuzz, struct fuzz2_stream *self)
{
    static const nghttp2_nv status = {(uint8_t *)(uintptr_t) ":status",
                                      (uint8_t *)(uintptr_t) "200", 7, 3, 0};
    struct skua__h2_stream *stream = &self->stream;
    char buf[500];
    ssize_t n;

    if (stream->in.len - stream->in.pos > FUZZ2_WINDOW)
        abort();
    if (stream->over) {
        (void)skua__h2_read(stream, buf, sizeof buf, 0);
        return true;
    }
    if (fuzz->h2.setup.server && !self->answered) {
        self->answered = true;
        if (skua__h2_respond(stream, &status, 1, false) != 0)
            return true;
    }
    if (stream->in.len == stream->in.pos && !stream->in_ended)
        return false;
    n = skua__h2_read(stream, buf, sizeof buf, 0);
    if (n > 0 && SKUA__H2_OUT - (stream->out.len - stream->out.pos) > (size_t)n &&
        !stream->out_ended)
        (void)skua__h2_write(stream, buf, (size_t)n, 0);
    if (n == 0)
        (void)skua__h2_end(stream, NULL, 0);
    return n <= 0;
}

static inline void fuzz2_pump(struct fuzz2 *fuzz)
{
    struct fuzz2_stream **at = &fuzz->heads;

    while (*at != NULL) {
        struct fuzz2_stream *self = *at;

        if (fuzz2_serve(fuzz, self)) {
            *at = self->next;
            skua__h2_let_go(&self->stream);
        } else {
            at = &self->next;
        }
    }
    (void)skua__h2_send(&fuzz->h2, SKUA_FOREVER);
}

static inline void fuzz2_ask(struct fuzz2 *fuzz)
{
    static const char *const text[] = {":method", "POST",  ":scheme",    "http",
                                       ":path",   "/path", ":authority", "a"};
    nghttp2_nv fields[4];

    for (size_t i = 0; i < 4; i++)
        fields[i] =
            (nghttp2_nv){(uint8_t *)(uintptr_t)text[2 * i], (uint8_t *)(uintptr_t)text[2 * i + 1],
                         strlen(text[2 * i]), strlen(text[2 * i + 1]), 0};
    for (unsigned i = 0; i < FUZZ2_STREAMS; i++) {
        struct fuzz2_stream *self = calloc(1, sizeof *self);

        if (self == NULL)
            abort();
        pthread_mutex_lock(&fuzz->h2.mutex);
        skua__h2_stream_add(&fuzz->h2, &self->stream);
        skua__h2_own(&self->stream);
        pthread_mutex_unlock(&fuzz->h2.mutex);
        if (skua__h2_request(&self->stream, fields, 4, i % 2 == 0) != 0)
            abort();
        self->next = fuzz->heads;
        fuzz->heads = self;
    }
}

static inline int fuzz2_one(const uint8_t *data, size_t len)
{
    static const skua_io_ops ops = {.name = "fuzz", .read = fuzz2_read, .write = fuzz2_write};
    static const struct skua__h2_hooks hooks = {
        .open = fuzz2_open, .head = fuzz2_head, .closed = fuzz2_closed, .free = fuzz2_free};
    bool server = len == 0 || data[0] % 4 != 0;
    size_t piece = len != 0 ? (size_t)data[0] / 4 * 16 + 1 : 1;
    struct skua__h2_setup setup = {.server = server,
                                   .hooks = &hooks,
                                   .head_max = 2000,
                                   .headers_max = 20,
                                   .streams_max = 10,
                                   .window = FUZZ2_WINDOW,
                                   .write_timeout = SKUA_SECOND};
    struct fuzz2 fuzz = {.heads = NULL};

    if (skua__h2_init(&fuzz.h2, (skua_io){&ops, &fuzz}, &setup, &fuzz) != 0)
        abort();
    if (server)
        (void)skua__h2_feed(&fuzz.h2, SKUA__H2_PREFACE, SKUA__H2_PREFACE_LEN);
    else
        fuzz2_ask(&fuzz);
    fuzz2_pump(&fuzz);
    for (size_t at = 1; at < len; at += piece) {
        size_t part = piece < len - at ? piece : len - at;

        if (skua__h2_feed(&fuzz.h2, (const char *)data + at, part) != 0)
            break;
        fuzz2_pump(&fuzz);
    }
    pthread_mutex_lock(&fuzz.h2.mutex);
    skua__h2_fail(&fuzz.h2, SKUA_EEOF);
    pthread_mutex_unlock(&fuzz.h2.mutex);
    fuzz2_pump(&fuzz);
    if (fuzz.heads != NULL)
        abort();
    skua__h2_free(&fuzz.h2);
    return 0;
}

#endif
