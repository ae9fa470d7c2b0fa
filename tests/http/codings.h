/* codings.h - bodies coded and decoded at once, for the tests of codings. */
#ifndef SKUA_TESTS_CODINGS_H
#define SKUA_TESTS_CODINGS_H

#include "http/coding/coding_impl.h"

#include "talk.h"

/* Bytes that are there, in pieces. */
struct coded_source {
    const char *bytes;
    size_t len, piece; /* 0: all at once */
};

static inline ssize_t coded_source_read(void *state, void *buf, size_t len)
{
    struct coded_source *source = state;

    if (len > source->len)
        len = source->len;
    if (source->piece != 0 && len > source->piece)
        len = source->piece;
    if (len != 0)
        memcpy(buf, source->bytes, len);
    source->bytes += len;
    source->len -= len;
    return (ssize_t)len;
}

static inline int level_of(enum skua__coding coding)
{
    return skua__coding_kind(coding)->level_default;
}

/* Text as coded: its length. */
static inline size_t coded(enum skua__coding coding, const char *text, size_t len, char *out,
                           size_t room)
{
    struct skua__coder *coder =
        skua__coding_kind(coding)->coder(level_of(coding), SKUA__CODING_WINDOW_MAX);
    struct skua__coding_io io = {(const unsigned char *)text, len, (unsigned char *)out, room};

    MUST(coder != NULL);
    MUST(coder->step(coder, &io, SKUA__CODING_FINISH) == SKUA__CODING_END);
    coder->free(coder);
    return room - io.out_len;
}

/* What coded bytes are, `room` of them at a time: the length, or the error. */
static inline ssize_t decoded(const enum skua__coding *codings, size_t count,
                              struct coded_source source, char *out, size_t room, size_t step)
{
    struct skua__decoding *decoding =
        skua__decoding_new(codings, count, coded_source_read, &source);
    size_t len = 0;
    ssize_t n = -ENOMEM;

    while (decoding != NULL && len < room) {
        n = skua__decoding_read(decoding, out + len, step < room - len ? step : room - len, -1);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    skua__decoding_free(decoding);
    return n < 0 ? n : (ssize_t)len;
}

static inline bool is_there(enum skua__coding coding)
{
    return skua__coding_kind(coding)->coder != NULL;
}

/* Repeats itself, but not quite: a text of some length. */
static inline void text_like(char *text, size_t len)
{
    uint32_t draw = 7;

    for (size_t i = 0; i < len; i++) {
        draw = draw * 1664525 + 1013904223;
        text[i] = draw >> 24 < 200 && i >= 40 ? text[i - 40] : (char)('a' + (draw >> 16) % 26);
    }
}

#endif
