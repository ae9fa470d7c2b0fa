/* frames.h - a client of HTTP/2 that knows nothing but frames: it says whatever a test wants it to.
 *
 *     struct wire wire;
 *
 *     wire_begin(&wire, hello, NULL, NULL);
 *     wire_ask(&wire, 1, "GET", "/", NULL, true);
 *     wire_until_ended(&wire, 1);
 *     CHECK_EQ(wire_answer(&wire, 1)->status, 200);
 *     CHECK_EQ(wire_end(&wire), 0);
 *
 * Frames are written byte by byte as RFC 9113 has them, heads as literals without an index; what
 * the server says is cut into frames here, and only unpacked with nghttp2's HPACK.
 */
#ifndef SKUA_TESTS_FRAMES_H
#define SKUA_TESTS_FRAMES_H

#include <nghttp2/nghttp2.h>

#include <skua/http/server.h>

#include "../lib/part.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define WIRE_ANSWERS 64

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

struct wire_answer {
    int status;       /* the last head's */
    int heads;        /* how many */
    char fields[512]; /* "name: value\n" of the last head */
    char trailers[512];
    char body[1024]; /* how it begins */
    size_t body_len;
    bool ended, reset;
    uint32_t code;
};

struct wire_frame {
    unsigned type, flags;
    uint32_t id, len;
    const uint8_t *payload; /* until the next one is read */
};

struct wire {
    skua_http_server *server;
    skua_duplex *ours, *theirs;
    skua_io io;
    skua_scope scope;
    int rc; /* of skua_http_server_serve */
    nghttp2_hd_inflater *inflater;
    uint8_t in[(1 << 14) + 64];
    uint8_t out[(1 << 15) + 9], block[1 << 14]; /* of what is said: a fiber's stack is small */
    struct wire_answer answers[WIRE_ANSWERS];
    bool greedy; /* gives windows back as they are used */
    bool rude;   /* does not acknowledge anything */
    bool over;   /* the end of the stream has come */
    int goaways, syncs, settings_acks;
    uint32_t goaway_code, goaway_last;
    uint64_t updates[2]; /* bytes of windows: the connection's, streams' */
};

static inline struct wire_answer *wire_answer(struct wire *wire, uint32_t id)
{
    return &wire->answers[id / 2 % WIRE_ANSWERS];
}

/* ---- saying ---------------------------------------------------------------------------------- */

/* False: the server does not listen any more. */
static inline bool wire_say(struct wire *wire, const void *bytes, size_t len)
{
    return len == 0 || skua_io_write_all(wire->io, bytes, len) == (ssize_t)len;
}

static inline void wire_head_of(uint8_t head[9], size_t len, unsigned type, unsigned flags,
                                uint32_t id)
{
    const uint8_t bytes[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
                              (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
                              (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id};

    memcpy(head, bytes, 9);
}

static inline bool wire_frame(struct wire *wire, unsigned type, unsigned flags, uint32_t id,
                              const void *payload, size_t len)
{
    MUST(len <= sizeof wire->out - 9);
    wire_head_of(wire->out, len, type, flags, id);
    if (len != 0)
        memcpy(wire->out + 9, payload, len);
    return wire_say(wire, wire->out, 9 + len);
}

static inline bool wire_number(struct wire *wire, unsigned type, uint32_t id, uint32_t number)
{
    const uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                              (uint8_t)(number >> 8), (uint8_t)number};

    return wire_frame(wire, type, 0, id, bytes, 4);
}

static inline bool wire_setting(struct wire *wire, unsigned name, uint32_t value)
{
    const uint8_t bytes[6] = {(uint8_t)(name >> 8),   (uint8_t)name,         (uint8_t)(value >> 24),
                              (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

    return wire_frame(wire, SETTINGS, 0, 0, bytes, 6);
}

/* A string of HPACK, not packed. Its end. */
static inline uint8_t *wire_string(uint8_t *at, const char *text, size_t len)
{
    if (len < 127) {
        *at++ = (uint8_t)len;
    } else {
        size_t rest = len - 127;

        *at++ = 127;
        for (; rest >= 128; rest /= 128)
            *at++ = (uint8_t)(rest % 128 + 128);
        *at++ = (uint8_t)rest;
    }
    memcpy(at, text, len);
    return at + len;
}

/* "name: value\n" lines as fields; a name may begin with a colon. */
static inline uint8_t *wire_fields(uint8_t *at, const char *lines)
{
    while (*lines != '\0') {
        const char *colon = strstr(lines, ": ");
        const char *end = strchr(lines, '\n');

        *at++ = 0;
        at = wire_string(at, lines, (size_t)(colon - lines));
        at = wire_string(at, colon + 2, (size_t)(end - colon - 2));
        lines = end + 1;
    }
    return at;
}

static inline bool wire_head(struct wire *wire, uint32_t id, const char *lines, bool end)
{
    size_t len = (size_t)(wire_fields(wire->block, lines) - wire->block);

    return wire_frame(wire, HEADERS, END_HEADERS | (end ? END_STREAM : 0u), id, wire->block, len);
}

static inline bool wire_ask(struct wire *wire, uint32_t id, const char *method, const char *path,
                            const char *lines, bool end)
{
    char all[8192];

    (void)snprintf(all, sizeof all, ":method: %s\n:scheme: http\n:path: %s\n:authority: a\n%s",
                   method, path, lines != NULL ? lines : "");
    return wire_head(wire, id, all, end);
}

/* ---- hearing --------------------------------------------------------------------------------- */

/* As long as the runtimes of tests may take. */
static inline bool wire_take(struct wire *wire, void *into, size_t len)
{
    ssize_t n =
        len != 0 ? skua_io_read_exact_until(wire->io, into, len, skua_now() + 2 * TEST_LATE) : 0;

    if (n == (ssize_t)len)
        return true;
    CHECK(n == SKUA_EEOF || n == -EPIPE || n == -ECONNRESET);
    wire->over = true;
    return false;
}

static inline void wire_unpack(struct wire *wire, const struct wire_frame *frame)
{
    struct wire_answer *answer = wire_answer(wire, frame->id);
    const uint8_t *at = frame->payload;
    size_t len = frame->len;
    char text[512] = "";
    int status = 0;
    int flags = 0;

    MUST((frame->flags & END_HEADERS) != 0 && (frame->flags & PADDED) == 0);
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t n = nghttp2_hd_inflate_hd2(wire->inflater, &field, &flags, at, len, 1);

        MUST(n >= 0);
        at += n;
        len -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0)
            continue;
        if (strcmp((char *)field.name, ":status") == 0)
            status = atoi((char *)field.value);
        else
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\n",
                           (char *)field.name, (char *)field.value);
    }
    (void)nghttp2_hd_inflate_end_headers(wire->inflater);
    if (status == 0) {
        (void)snprintf(answer->trailers, sizeof answer->trailers, "%s", text);
        return;
    }
    answer->heads++;
    answer->status = status;
    (void)snprintf(answer->fields, sizeof answer->fields, "%s", text);
}

static inline uint32_t wire_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void wire_data(struct wire *wire, const struct wire_frame *frame)
{
    struct wire_answer *answer = wire_answer(wire, frame->id);
    size_t room = sizeof answer->body - 1;

    if (answer->body_len < room)
        memcpy(answer->body + answer->body_len, frame->payload,
               frame->len < room - answer->body_len ? frame->len : room - answer->body_len);
    answer->body_len += frame->len;
    if (wire->greedy && frame->len != 0) {
        (void)wire_number(wire, WINDOW_UPDATE, 0, frame->len);
        (void)wire_number(wire, WINDOW_UPDATE, frame->id, frame->len);
    }
}

static inline void wire_note(struct wire *wire, const struct wire_frame *frame)
{
    struct wire_answer *answer = wire_answer(wire, frame->id);

    if (frame->type == HEADERS)
        wire_unpack(wire, frame);
    if (frame->type == DATA)
        wire_data(wire, frame);
    if ((frame->type == HEADERS || frame->type == DATA) && (frame->flags & END_STREAM) != 0)
        answer->ended = true;
    if (frame->type == RST_STREAM) {
        answer->reset = true;
        answer->code = wire_u32(frame->payload);
    }
    if (frame->type == GOAWAY) {
        wire->goaways++;
        wire->goaway_last = wire_u32(frame->payload);
        wire->goaway_code = wire_u32(frame->payload + 4);
    }
    if (frame->type == WINDOW_UPDATE)
        wire->updates[frame->id != 0] += wire_u32(frame->payload);
    wire->settings_acks += frame->type == SETTINGS && (frame->flags & ACK) != 0;
    wire->syncs += frame->type == PING && (frame->flags & ACK) != 0 &&
                   memcmp(frame->payload, "01234567", 8) == 0;
    if (wire->rude || (frame->flags & ACK) != 0)
        return;
    if (frame->type == SETTINGS)
        (void)wire_frame(wire, SETTINGS, ACK, 0, NULL, 0);
    if (frame->type == PING)
        (void)wire_frame(wire, PING, ACK, 0, frame->payload, 8);
}

/* Reads one frame, and writes down what it says. False: the stream has ended. */
static inline bool wire_read(struct wire *wire, struct wire_frame *frame)
{
    uint8_t head[9];

    if (wire->over || !wire_take(wire, head, 9))
        return false;
    *frame = (struct wire_frame){.type = head[3],
                                 .flags = head[4],
                                 .id = wire_u32(head + 5),
                                 .len = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
                                 .payload = wire->in};
    MUST(frame->len <= sizeof wire->in);
    if (!wire_take(wire, wire->in, frame->len))
        return false;
    wire_note(wire, frame);
    return true;
}

/* Until the answer has ended, whole or not. */
static inline void wire_until_ended(struct wire *wire, uint32_t id)
{
    struct wire_answer *answer = wire_answer(wire, id);
    struct wire_frame frame;

    while (!answer->ended && !answer->reset && wire_read(wire, &frame))
        ;
}

static inline void wire_until_over(struct wire *wire)
{
    struct wire_frame frame;

    while (wire_read(wire, &frame))
        ;
}

/* Until everything that was said so far has been looked at. */
static inline void wire_sync(struct wire *wire)
{
    struct wire_frame frame;
    int syncs = wire->syncs;

    (void)wire_frame(wire, PING, 0, 0, "01234567", 8);
    while (wire->syncs == syncs && wire_read(wire, &frame))
        ;
}

/* ---- the server ------------------------------------------------------------------------------ */

static inline int wire_serve(void *arg)
{
    struct wire *wire = arg;

    wire->rc = skua_http_server_serve(wire->server, skua_duplex_io(wire->theirs), "peer:1");
    skua_duplex_close(wire->theirs);
    return 0;
}

/* Over any stream: without a server of its own. */
static inline void wire_begin_on(struct wire *wire, skua_io io)
{
    memset(wire, 0, sizeof *wire);
    wire->io = io;
    MUST(nghttp2_hd_inflate_new(&wire->inflater) == 0);
}

static inline void wire_hello(struct wire *wire)
{
    (void)wire_say(wire, PREFACE, sizeof PREFACE - 1);
    (void)wire_frame(wire, SETTINGS, 0, 0, NULL, 0);
}

/* Without the preface. */
static inline void wire_begin_mute(struct wire *wire, skua_http_handler handler, void *state,
                                   const skua_http_server_options *options)
{
    skua_duplex *ours, *theirs;

    MUST(skua_duplex_new(&ours, &theirs, 16384) == 0);
    wire_begin_on(wire, skua_duplex_io(ours));
    wire->ours = ours;
    wire->theirs = theirs;
    MUST(skua_http_server_new(&wire->server, handler, state, options) == 0);
    MUST(skua_scope_open(&wire->scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&wire->scope, wire_serve, wire) == 0);
}

static inline void wire_begin(struct wire *wire, skua_http_handler handler, void *state,
                              const skua_http_server_options *options)
{
    wire_begin_mute(wire, handler, state, options);
    wire_hello(wire);
}

/* The client goes away. What the server's connection has returned. */
static inline int wire_end(struct wire *wire)
{
    skua_http_server_stats stats;

    skua_duplex_close(wire->ours);
    CHECK_EQ(skua_scope_join(&wire->scope), 0);
    skua_http_server_stats_of(wire->server, &stats);
    CHECK_EQ(stats.requests_now, 0);
    CHECK_EQ(stats.connections_now, 0);
    skua_http_server_free(wire->server);
    nghttp2_hd_inflate_del(wire->inflater);
    return wire->rc;
}

#ifndef CHECK_STR
#define CHECK_STR(actual, wanted)                                                                  \
    do {                                                                                           \
        const char *is_ = (actual);                                                                \
                                                                                                   \
        if (!CHECK(is_ != NULL && strcmp(is_, (wanted)) == 0))                                     \
            test_note("it is \"%s\", not \"%s\"", is_ != NULL ? is_ : "(null)", (wanted));         \
    } while (0)
#endif
#define CHECK_HAS(actual, wanted)                                                                  \
    do {                                                                                           \
        const char *is_ = (actual);                                                                \
                                                                                                   \
        if (!CHECK(strstr(is_, (wanted)) != NULL))                                                 \
            test_note("\"%s\" is not in \"%s\"", (wanted), is_);                                   \
    } while (0)

#endif
