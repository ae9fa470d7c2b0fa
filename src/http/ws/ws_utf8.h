/* ws_utf8.h - whether bytes are UTF-8, a piece at a time (RFC 3629): no overlong forms, no
 * surrogates, nothing beyond U+10FFFF. A byte that cannot be right is told at once. */
#ifndef SKUA_HTTP_WS_UTF8_H
#define SKUA_HTTP_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Zero: between two characters. */
struct skua__ws_utf8 {
    uint8_t need;      /* bytes of the character to come */
    uint8_t low, high; /* between which the next one must be */
};

/* The first byte of a character that is not ASCII. */
static inline bool skua__ws_utf8_begin(struct skua__ws_utf8 *state, uint8_t c)
{
    if (c < 0xc2 || c > 0xf4)
        return false;
    state->need = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    state->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    state->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static inline bool skua__ws_utf8_feed(struct skua__ws_utf8 *state, const void *data, size_t len)
{
    const uint8_t *at = data;
    const uint8_t *end = len != 0 ? at + len : at;

    while (at != end) {
        uint64_t eight;

        if (state->need != 0) {
            if (*at < state->low || *at > state->high)
                return false;
            state->low = 0x80;
            state->high = 0xbf;
            state->need--;
            at++;
            continue;
        }
        if (end - at >= 8) { /* most text is ASCII */
            memcpy(&eight, at, 8);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                continue;
            }
        }
        if (*at >= 0x80 && !skua__ws_utf8_begin(state, *at))
            return false;
        at++;
    }
    return true;
}

static inline bool skua__ws_utf8_is(const void *data, size_t len)
{
    struct skua__ws_utf8 state = {0};

    return skua__ws_utf8_feed(&state, data, len) && state.need == 0;
}

#endif
