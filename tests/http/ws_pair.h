/* ws_pair.h - two WebSockets on a connection in memory, or one and raw bytes. */
#ifndef SKUA_TESTS_WS_PAIR_H
#define SKUA_TESTS_WS_PAIR_H

#include "http/ws/ws_impl.h"

#include "../lib/part.h"

struct ws_pair {
    skua_duplex *ends[2];
    skua_websocket *client, *server; /* raw: NULL, and its end is to be written */
    skua_io raw;
};

static inline skua_websocket *ws_on(skua_duplex *end, bool server,
                                    const skua_websocket_options *given, bool deflate)
{
    struct skua__ws_deflate agreed = {.on = deflate, .send_bits = 15, .recv_bits = 15};
    skua_websocket_options options;
    skua_websocket *ws;

    MUST(skua__ws_options(&options, given) == 0);
    agreed.send_alone = agreed.recv_alone = options.deflate_no_context;
    MUST(skua__ws_new(&ws, skua_duplex_io(end), server, &options, &agreed, "p", 1) == 0);
    return ws;
}

static inline void ws_pair_begin(struct ws_pair *pair, size_t capacity,
                                 const skua_websocket_options *options, bool deflate)
{
    MUST(skua_duplex_new(&pair->ends[0], &pair->ends[1], capacity) == 0);
    pair->client = ws_on(pair->ends[0], false, options, deflate);
    pair->server = ws_on(pair->ends[1], true, options, deflate);
}

/* One end is the library's, the other one the test's. */
static inline void ws_raw_begin(struct ws_pair *pair, bool server,
                                const skua_websocket_options *options, bool deflate)
{
    MUST(skua_duplex_new(&pair->ends[0], &pair->ends[1], 1 << 20) == 0);
    pair->client = server ? NULL : ws_on(pair->ends[0], false, options, deflate);
    pair->server = server ? ws_on(pair->ends[1], true, options, deflate) : NULL;
    pair->raw = skua_duplex_io(pair->ends[server ? 0 : 1]);
}

static inline void ws_pair_end(struct ws_pair *pair)
{
    skua_websocket_free(pair->client);
    skua_websocket_free(pair->server);
    skua_duplex_close(pair->ends[0]);
    skua_duplex_close(pair->ends[1]);
}

/* A frame's bytes: the length in the shortest form, with the mask "\1\2\3\4" where there is one. */
static inline size_t ws_bytes(uint8_t *out, unsigned first, bool mask, const void *data, size_t len)
{
    static const uint8_t key[4] = {1, 2, 3, 4};
    size_t at = 2, of = len < 126 ? 0 : len < 65536 ? 2 : 8;

    out[0] = (uint8_t)first;
    out[1] = (uint8_t)((of == 0 ? len : of == 2 ? 126 : 127) | (mask ? 0x80 : 0));
    for (size_t i = 0; i < of; i++)
        out[at++] = (uint8_t)((uint64_t)len >> (8 * (of - 1 - i)));
    if (mask) {
        memcpy(out + at, key, 4);
        at += 4;
    }
    for (size_t i = 0; i < len; i++)
        out[at++] = (uint8_t)(((const uint8_t *)data)[i] ^ (mask ? key[i % 4] : 0));
    return at;
}

static inline void ws_says(struct ws_pair *pair, unsigned first, const void *data, size_t len)
{
    uint8_t *out = malloc(len + 14);

    MUST(out != NULL);
    len = ws_bytes(out, first, pair->server != NULL, data, len);
    CHECK_EQ(skua_io_write_all(pair->raw, out, len), len);
    free(out);
}

/* The next frame that the library's end has sent: its first byte, and its payload, unmasked, with a
 * NUL behind it. -1: there is none. */
static inline int ws_hears(struct ws_pair *pair, char *data, size_t size, size_t *ret_len)
{
    uint8_t head[14], *key = head + 10;
    size_t len, of;
    bool mask;

    if (skua_io_read_exact(pair->raw, head, 2) != 2)
        return -1;
    mask = (head[1] & 0x80) != 0;
    CHECK_EQ(mask, pair->server == NULL);
    len = head[1] & 0x7f;
    of = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (of != 0) {
        MUST(skua_io_read_exact(pair->raw, head + 2, of) == (ssize_t)of);
        len = 0;
        for (size_t i = 0; i < of; i++)
            len = len << 8 | head[2 + i];
    }
    if (mask)
        MUST(skua_io_read_exact(pair->raw, key, 4) == 4);
    MUST(len < size);
    MUST(skua_io_read_exact(pair->raw, data, len) == (ssize_t)len);
    for (size_t i = 0; mask && i < len; i++)
        data[i] = (char)(data[i] ^ key[i % 4]);
    data[len] = '\0';
    if (ret_len != NULL)
        *ret_len = len;
    return head[0];
}

/* That it says no more than a close, with the code. */
static inline void ws_hears_close(struct ws_pair *pair, int code)
{
    char data[256];
    size_t len = 0;

    if (CHECK_EQ(ws_hears(pair, data, sizeof data, &len), 0x88)) {
        if (code == 1005)
            CHECK_EQ(len, 0);
        else
            CHECK_EQ((uint8_t)data[0] << 8 | (uint8_t)data[1], code);
    }
}

#define CHECK_MESSAGE(ws, of, text)                                                                \
    do {                                                                                           \
        skua_websocket_message got_ = {0};                                                         \
                                                                                                   \
        if (CHECK_EQ(skua_websocket_recv((ws), &got_), 0)) {                                       \
            CHECK_EQ(got_.type, (of));                                                             \
            CHECK(got_.len == strlen(text) && memcmp(got_.data, (text), got_.len + 1) == 0);       \
        }                                                                                          \
    } while (0)
#define CHECK_TEXT_MESSAGE(ws, text) CHECK_MESSAGE((ws), SKUA_WEBSOCKET_TEXT, (text))

#endif
