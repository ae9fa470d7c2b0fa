/* fuzz_http_request.h - any bytes, as the requests of a connection: a round of fuzzing.
 *
 * The bytes are served twice by the protocol alone, without a runtime: from a stream in memory that
 * ends behind them, once in one piece, once in pieces whose lengths the bytes choose. What the
 * handler has seen, and the lines of status, must be the same both times.
 *
 * Used by fuzz_http_request.c under libFuzzer, and by test_http_fuzz.c over seeds.
 */
#ifndef SKUA_TESTS_FUZZ_HTTP_REQUEST_H
#define SKUA_TESTS_FUZZ_HTTP_REQUEST_H

#include <stdio.h>
#include <stdlib.h>

#include "http/h1/h1_impl.h"

struct fuzz {
    const uint8_t *data;
    size_t len, at;
    uint32_t piece; /* state of the lengths' generator; 0: all at once */
    char *out;
    size_t out_len, out_room;
    uint64_t seen; /* a digest of what the handler has seen */
    int requests;
};

static inline void fuzz_see(struct fuzz *fuzz, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fuzz->seen = (fuzz->seen ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    fuzz->seen = (fuzz->seen ^ 0x100) * 0x100000001b3u;
}

static inline void fuzz_see_text(struct fuzz *fuzz, const char *text)
{
    fuzz_see(fuzz, text, strlen(text));
}

static inline ssize_t fuzz_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct fuzz *fuzz = object;
    size_t n = fuzz->len - fuzz->at;

    (void)deadline;
    if (len == 0)
        abort(); /* io.h: 1 or more */
    if (fuzz->piece != 0) {
        fuzz->piece = fuzz->piece * 1664525 + 1013904223;
        if (n > 1 + (fuzz->piece >> 16) % 40)
            n = 1 + (fuzz->piece >> 16) % 40;
        fuzz->piece |= 1;
    }
    n = n < len ? n : len;
    if (n == 0)
        return 0;
    memcpy(buf, fuzz->data + fuzz->at, n);
    fuzz->at += n;
    return (ssize_t)n;
}

static inline ssize_t fuzz_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct fuzz *fuzz = object;

    (void)deadline;
    if (len == 0)
        abort();
    if (fuzz->piece != 0 && len > 7) /* in pieces, too */
        len = len / 2;
    if (fuzz->out_len + len + 1 > fuzz->out_room) {
        fuzz->out_room = 2 * (fuzz->out_len + len + 1);
        fuzz->out = realloc(fuzz->out, fuzz->out_room);
        if (fuzz->out == NULL)
            abort();
    }
    memcpy(fuzz->out + fuzz->out_len, buf, len);
    fuzz->out_len += len;
    fuzz->out[fuzz->out_len] = '\0';
    return (ssize_t)len;
}

/* Sees everything; what it does with the body the path's last byte says. */
static inline int fuzz_handler(skua_http_exchange *exchange, void *state)
{
    struct fuzz *fuzz = state;
    const char *path = skua_http_path(exchange);
    const char *name, *value;
    char *body;
    size_t len;
    int rc;

    fuzz->requests++;
    fuzz_see_text(fuzz, skua_http_method(exchange));
    fuzz_see_text(fuzz, path);
    fuzz_see_text(fuzz, skua_http_query(exchange));
    fuzz_see_text(fuzz, skua_http_authority(exchange));
    if (skua_http_query_value(exchange, "a") != NULL)
        fuzz_see_text(fuzz, skua_http_query_value(exchange, "a"));
    for (size_t i = 0; skua_http_header_at(exchange, i, &name, &value); i++) {
        fuzz_see_text(fuzz, name);
        fuzz_see_text(fuzz, value);
    }
    if (path[strlen(path) - 1] == 'n')
        return skua_http_reply(exchange, 200, NULL, "none\n", 5);
    if (path[strlen(path) - 1] == 'u') {
        skua_io io;

        return skua_http_upgrade(exchange, "u", &io) == 0 ? 0 : -EINVAL;
    }
    rc = skua_http_read_all(exchange, &body, &len, 5000);
    fuzz_see(fuzz, &rc, sizeof rc);
    if (rc != 0)
        return rc;
    fuzz_see(fuzz, body, len);
    if (skua_http_trailer(exchange, "a") != NULL)
        fuzz_see_text(fuzz, skua_http_trailer(exchange, "a"));
    if (path[strlen(path) - 1] == 's')
        return skua_http_write(exchange, body, len) < 0 ? -EIO : 0;
    return skua_http_reply(exchange, 200, NULL, "done\n", 5);
}

static inline bool fuzz_idle(void *arg, bool idle)
{
    (void)arg;
    (void)idle;
    return true;
}

static inline bool fuzz_last(void *arg)
{
    (void)arg;
    return false;
}

static inline void fuzz_refused(void *arg)
{
    (void)arg;
}

static inline void fuzz_serve(struct fuzz *fuzz)
{
    static const skua_io_ops ops = {.name = "fuzz", .read = fuzz_read, .write = fuzz_write};
    static const struct skua__h1_watch watch = {fuzz_idle, fuzz_last, fuzz_refused, NULL, NULL};
    const skua_http_server_options options = {.head_max = 5000,
                                              .headers_max = 20,
                                              .body_max = 4000,
                                              .body_rate_min = -1,
                                              .head_timeout = SKUA_FOREVER,
                                              .body_timeout = SKUA_FOREVER,
                                              .write_timeout = SKUA_FOREVER,
                                              .idle_timeout = SKUA_FOREVER,
                                              .handler_timeout = SKUA_FOREVER};
    struct skua__h1 h1;

    if (skua__h1_init(&h1, (skua_io){&ops, fuzz}, &options) != 0)
        abort();
    skua__h1_watch_by(&h1, &watch, NULL);
    (void)skua__h1_serve(&h1, fuzz_handler, fuzz);
    skua__h1_free(&h1);
}

/* The next line of status, as a number; 0: there is none. A head that is too long and malformed may
 * be told either, and so in each way of being too long. */
static inline int fuzz_status(const char **at)
{
    int status = 100; /* whether a client has to be asked is a matter of pieces */

    while (status == 100) {
        *at = *at != NULL ? strstr(*at, "HTTP/1.1 ") : NULL;
        if (*at == NULL)
            return 0;
        *at += 9;
        status = atoi(*at);
    }
    return status == 414 || status == 431 ? 400 : status;
}

static inline void fuzz_fails(const struct fuzz *whole, const struct fuzz *pieces)
{
    (void)fprintf(stderr, "in one piece: %d requests, %s\nin pieces: %d requests, %s\nof: \"",
                  whole->requests, whole->out != NULL ? whole->out : "", pieces->requests,
                  pieces->out != NULL ? pieces->out : "");
    for (size_t i = 0; i < whole->len; i++)
        (void)fprintf(stderr, whole->data[i] >= 0x20 && whole->data[i] < 0x7f ? "%c" : "\\x%02x",
                      whole->data[i]);
    (void)fprintf(stderr, "\"\n");
    abort();
}

static inline void fuzz_one(const uint8_t *data, size_t len)
{
    struct fuzz whole = {.data = data, .len = len};
    struct fuzz pieces = {.data = data, .len = len, .piece = len != 0 ? 2u * data[len - 1] + 1 : 1};
    const char *a, *b;
    int status;

    fuzz_serve(&whole);
    fuzz_serve(&pieces);
    if (whole.requests != pieces.requests || whole.seen != pieces.seen)
        fuzz_fails(&whole, &pieces);
    a = whole.out;
    b = pieces.out;
    if (a != NULL && strncmp(a, "HTTP/1.1 ", 9) != 0)
        abort();
    do {
        status = fuzz_status(&a);
        if (fuzz_status(&b) != status)
            fuzz_fails(&whole, &pieces);
    } while (status != 0);
    free(whole.out);
    free(pieces.out);
}

#endif
