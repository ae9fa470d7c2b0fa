/* fuzz_websocket.h - any bytes, as the frames of a connection: a round of fuzzing.
 *
 * The first byte chooses: the side, compression, limits. The rest is received twice, without a
 * runtime, from a stream in memory that ends behind it: whole, and in pieces whose lengths the
 * bytes choose, by recv and by next and read. What was received, and how it ended, must be the
 * same.
 *
 * Used by fuzz_websocket.c under libFuzzer, and by test_websocket_fuzz.c over seeds.
 */
#ifndef SKUA_TESTS_FUZZ_WEBSOCKET_H
#define SKUA_TESTS_FUZZ_WEBSOCKET_H

#include <stdio.h>
#include <stdlib.h>

#include "http/ws/ws_impl.h"

struct fuzz_ws {
    const uint8_t *data;
    size_t len, at;
    uint32_t piece; /* state of the lengths' generator; 0: all at once */
    uint64_t seen;  /* a digest of what was received */
    int messages, code, sent_code;
    int rc;
    size_t wrote;
};

static inline ssize_t fuzz_ws_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct fuzz_ws *fuzz = object;
    size_t n = fuzz->len - fuzz->at;

    (void)deadline;
    if (fuzz->piece != 0) {
        fuzz->piece = (fuzz->piece * 1664525 + 1013904223) | 1;
        if (fuzz->piece >> 29 == 0)
            return -ECANCELED; /* and it goes on */
        if (n > 1 + (fuzz->piece >> 16) % 20)
            n = 1 + (fuzz->piece >> 16) % 20;
    }
    n = n < len ? n : len;
    if (n == 0)
        return 0;
    memcpy(buf, fuzz->data + fuzz->at, n);
    fuzz->at += n;
    return (ssize_t)n;
}

static inline ssize_t fuzz_ws_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct fuzz_ws *fuzz = object;

    (void)buf;
    (void)deadline;
    if (len == 0)
        abort();
    if (fuzz->piece != 0 && len > 1)
        len /= 2;
    fuzz->wrote += len;
    return (ssize_t)len;
}

static inline void fuzz_ws_see(struct fuzz_ws *fuzz, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fuzz->seen = (fuzz->seen ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
}

/* A whole message, or its pieces: 0, or how it ended. */
static inline int fuzz_ws_one(struct fuzz_ws *fuzz, skua_websocket *ws)
{
    skua_websocket_message message;
    char buf[7];
    ssize_t n;
    int rc;

    if (fuzz->piece == 0) {
        rc = skua_websocket_recv(ws, &message);
        if (rc != 0)
            return rc;
        fuzz_ws_see(fuzz, &message.type, sizeof message.type);
        fuzz_ws_see(fuzz, message.data, message.len);
        if (message.type == SKUA_WEBSOCKET_TEXT && !skua__ws_utf8_is(message.data, message.len))
            abort();
        return 0;
    }
    while ((rc = skua_websocket_next(ws)) == -ECANCELED)
        ;
    if (rc < 0)
        return rc;
    message.type = (skua_websocket_type)rc;
    uint64_t before = fuzz->seen;
    fuzz_ws_see(fuzz, &message.type, sizeof message.type);
    while ((n = skua_websocket_read(ws, buf, sizeof buf)) > 0 || n == -ECANCELED)
        fuzz_ws_see(fuzz, buf, n > 0 ? (size_t)n : 0);
    if (n < 0)
        fuzz->seen = before; /* recv has told nothing of it */
    return (int)n;
}

static inline void fuzz_ws_run(struct fuzz_ws *fuzz, uint8_t choice)
{
    static const skua_io_ops ops = {.name = "fuzz", .read = fuzz_ws_read, .write = fuzz_ws_write};
    struct skua__ws_deflate deflate = {.on = (choice & 2) != 0,
                                       .recv_alone = (choice & 4) != 0,
                                       .send_bits = 15,
                                       .recv_bits = (uint8_t)(choice & 8 ? 9 : 15)};
    const skua_websocket_options given = {.size = sizeof given,
                                          .message_max = choice & 16 ? 100 : 5000,
                                          .frame_max = choice & 32 ? 50 : -1,
                                          .control_max = choice & 64 ? 5 : 1000,
                                          .ping_interval = SKUA_FOREVER};
    skua_websocket_options options;
    skua_websocket_info info;
    skua_websocket *ws;

#ifndef SKUA_HAVE_ZLIB
    deflate.on = false;
#endif
    if (skua__ws_options(&options, &given) != 0 ||
        skua__ws_new(&ws, (skua_io){&ops, fuzz}, choice & 1, &options, &deflate, NULL, 0) != 0)
        abort();
    while ((fuzz->rc = fuzz_ws_one(fuzz, ws)) == 0)
        fuzz->messages++;
    skua_websocket_info_of(ws, &info);
    fuzz->code = info.close_code;
    fuzz->sent_code = info.sent_code;
    if (info.close_code == 0)
        abort(); /* it is over */
    skua_websocket_free(ws);
}

/* Of a frame that is broken and a message that cannot be unpacked either may be seen first: it is a
 * matter of how much has come. The connection fails in both cases. */
static inline void fuzz_ws_either(struct fuzz_ws *fuzz)
{
    if (fuzz->sent_code == 1007 && fuzz->rc == -EBADMSG) {
        fuzz->sent_code = 1002;
        fuzz->rc = -EPROTO;
    }
}

static inline void fuzz_ws_all(const uint8_t *data, size_t len)
{
    uint8_t choice = len != 0 ? data[0] : 0;
    struct fuzz_ws whole = {.data = data + (len != 0), .len = len - (len != 0)};
    struct fuzz_ws pieces = whole;

    pieces.piece = len != 0 ? 2u * data[len - 1] + 1 : 1;
    fuzz_ws_run(&whole, choice);
    fuzz_ws_run(&pieces, choice);
    fuzz_ws_either(&whole);
    fuzz_ws_either(&pieces);
    if (whole.seen != pieces.seen || whole.messages != pieces.messages || whole.rc != pieces.rc ||
        whole.code != pieces.code || whole.sent_code != pieces.sent_code) {
        (void)fprintf(stderr,
                      "whole: %d messages, %d, %d, %d\npieces: %d, %d, %d, %d\nof:", whole.messages,
                      whole.rc, whole.code, whole.sent_code, pieces.messages, pieces.rc,
                      pieces.code, pieces.sent_code);
        for (size_t i = 0; i < len; i++)
            (void)fprintf(stderr, " %02x", data[i]);
        (void)fprintf(stderr, "\n");
        abort();
    }
}

#endif
