/* test_http2_hostile.c - clients that mean harm: floods, bombs, frames that break the protocol.
 *
 * Specifies server.h, "Defences", for HTTP/2: what costs the server and brings nothing has a
 * budget, beyond which the connection ends with ENHANCE_YOUR_CALM; and what is refused has not run,
 * or runs no more.
 */
#include <stdatomic.h>

#include "frames.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static int hello(skua_http_exchange *exchange, void *state)
{
    if (state != NULL)
        atomic_fetch_add((atomic_int *)state, 1);
    return skua_http_reply(exchange, 200, "text/plain", "hello\n", 6);
}

/* Says something again and again until the server has enough; what its GOAWAY said. */
static uint32_t said_until_goaway(bool (*say)(struct wire *wire, uint32_t round), uint32_t rounds)
{
    struct wire *wire = calloc(1, sizeof *wire);
    atomic_int served = 0;
    uint32_t code;

    wire_begin(wire, hello, &served, NULL);
    wire->greedy = true;
    for (uint32_t i = 0; i < rounds && !wire->over; i++) {
        if (!say(wire, i))
            break;
        if (i % 100 == 99)
            wire_sync(wire);
    }
    wire_until_over(wire);
    code = wire->goaways != 0 ? wire->goaway_code : UINT32_MAX;
    (void)wire_end(wire);
    free(wire);
    return code;
}

static bool says_ping(struct wire *wire, uint32_t round)
{
    (void)round;
    return wire_frame(wire, PING, 0, 0, "abcdefgh", 8);
}

static bool says_settings(struct wire *wire, uint32_t round)
{
    (void)round;
    return wire_frame(wire, SETTINGS, 0, 0, NULL, 0);
}

static bool says_priority(struct wire *wire, uint32_t round)
{
    return wire_frame(wire, PRIORITY, 0, 2 * round + 1001, "\0\0\0\0\1", 5);
}

static bool says_nothing(struct wire *wire, uint32_t round)
{
    if (round == 0)
        wire_ask(wire, 1, "POST", "/", NULL, false);
    return wire_frame(wire, DATA, 0, 1, NULL, 0);
}

static bool says_unknown(struct wire *wire, uint32_t round)
{
    (void)round;
    return wire_frame(wire, 77, 0, 0, "x", 1);
}

static bool resets(struct wire *wire, uint32_t round)
{
    return wire_ask(wire, 2 * round + 1, "GET", "/", NULL, true) &&
           wire_number(wire, RST_STREAM, 2 * round + 1, NGHTTP2_CANCEL);
}

/* The server is made to reset: a window that overflows. */
static bool has_reset(struct wire *wire, uint32_t round)
{
    return wire_ask(wire, 2 * round + 1, "POST", "/", NULL, false) &&
           wire_number(wire, WINDOW_UPDATE, 2 * round + 1, 0x7fffffff);
}

TEST_FIBER_CURRENT(http2_floods)
{
    CHECK_EQ(said_until_goaway(says_ping, 30000), NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(said_until_goaway(says_settings, 30000), NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(said_until_goaway(says_priority, 30000), NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(said_until_goaway(says_nothing, 30000), NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(said_until_goaway(says_unknown, 30000), NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(said_until_goaway(resets, 5000), NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK_EQ(said_until_goaway(has_reset, 5000), NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

/* Traffic that is used is no flood, however much of it there is. */
TEST_FIBER_CURRENT(http2_much_is_no_flood)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, hello, NULL, NULL);
    wire->greedy = true;
    for (uint32_t i = 0; i < (uint32_t)TEST_COUNT(6000); i++) {
        memset(wire_answer(wire, 2 * i + 1), 0, sizeof wire->answers[0]);
        wire_ask(wire, 2 * i + 1, "GET", "/", NULL, true);
        wire_until_ended(wire, 2 * i + 1);
        if (!CHECK_EQ(wire_answer(wire, 2 * i + 1)->status, 200))
            break;
    }
    CHECK_EQ(wire->goaways, 0);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* Small on the wire, and large when it is unpacked: it is not kept. */
TEST_FIBER(http2_bomb)
{
    struct wire *wire = calloc(1, sizeof *wire);
    uint8_t *at = wire->block;

    wire_begin(wire, hello, NULL, NULL);
    *at++ = 0x82; /* GET, http, / by their indices */
    *at++ = 0x86;
    *at++ = 0x84;
    *at++ = 0x41; /* :authority */
    at = wire_string(at, "a", 1);
    *at++ = 0x40; /* a literal that is kept in the table */
    at = wire_string(at, "x", 1);
    *at++ = 127; /* a value of 3,000 bytes */
    *at++ = (3000 - 127) % 128 + 128;
    *at++ = (3000 - 127) / 128;
    memset(at, 'a', 3000);
    at += 3000;
    memset(at, 0x80 | 62, 10000); /* and 10,000 times that one */
    at += 10000;
    wire_frame(wire, HEADERS, END_HEADERS | END_STREAM, 1, wire->block, (size_t)(at - wire->block));
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->status, 431);
    wire_ask(wire, 3, "GET", "/", NULL, true);
    wire_until_ended(wire, 3);
    CHECK_EQ(wire_answer(wire, 3)->status, 200);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* A head in endless pieces. */
/* A head that was refused is whole, too: the connection is not ended for one that takes long. */
TEST_FIBER(http2_refused_heads)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.head_timeout = 20 * SKUA_MILLISECOND));
    wire_sync(wire); /* the head is the last that we say */
    wire_ask(wire, 1, "GET", "/", "X-Upper: case\n", true);
    wire_until_ended(wire, 1);
    CHECK(wire_answer(wire, 1)->reset);
    CHECK_EQ(skua_sleep(60 * SKUA_MILLISECOND), 0);
    wire_ask(wire, 3, "GET", "/", NULL, true);
    wire_until_ended(wire, 3);
    CHECK_EQ(wire_answer(wire, 3)->status, 200);
    CHECK_EQ(wire->goaways, 0);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

TEST_FIBER(http2_continuations)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, hello, NULL, NULL);
    wire->rude = true;
    wire_frame(wire, HEADERS, 0, 1, "\202", 1);
    for (int i = 0; i < 200; i++)
        if (!wire_frame(wire, CONTINUATION, 0, 1, "\0\1a\1b", 5))
            break;
    wire_until_over(wire);
    CHECK_EQ(wire->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    (void)wire_end(wire);
    free(wire);
    return 0;
}

/* ---- what breaks the protocol ---------------------------------------------------------------- */

TEST_FIBER(http2_broken)
{
    static const struct {
        unsigned type, flags;
        uint32_t id;
        const char *payload;
        size_t len;
        uint32_t code;
    } all[] = {
        {DATA, 0, 0, "a", 1, NGHTTP2_PROTOCOL_ERROR},
        {DATA, 0, 3, "a", 1, NGHTTP2_PROTOCOL_ERROR},                 /* idle */
        {HEADERS, END_HEADERS, 2, "\202", 1, NGHTTP2_PROTOCOL_ERROR}, /* even */
        {HEADERS, END_HEADERS, 3, "\377\377\377\377\377\377", 6, NGHTTP2_COMPRESSION_ERROR},
        {SETTINGS, 0, 0, "abcde", 5, NGHTTP2_FRAME_SIZE_ERROR},
        {SETTINGS, ACK, 0, "abcdef", 6, NGHTTP2_FRAME_SIZE_ERROR},
        {SETTINGS, 0, 1, "", 0, NGHTTP2_PROTOCOL_ERROR},
        {SETTINGS, 0, 0, "\0\4\377\377\377\377", 6, NGHTTP2_FLOW_CONTROL_ERROR},
        {PING, 0, 0, "abc", 3, NGHTTP2_FRAME_SIZE_ERROR},
        {PING, 0, 1, "abcdefgh", 8, NGHTTP2_PROTOCOL_ERROR},
        {WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4, NGHTTP2_PROTOCOL_ERROR},
        {WINDOW_UPDATE, 0, 0, "\177\377\377\377", 4, NGHTTP2_FLOW_CONTROL_ERROR},
        {RST_STREAM, 0, 0, "\0\0\0\0", 4, NGHTTP2_PROTOCOL_ERROR},
        {RST_STREAM, 0, 3, "\0\0\0\0", 4, NGHTTP2_PROTOCOL_ERROR},
        {CONTINUATION, END_HEADERS, 1, "\202", 1, NGHTTP2_PROTOCOL_ERROR},
        {PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\202", 5, NGHTTP2_PROTOCOL_ERROR},
        {HEADERS, END_HEADERS, 1, "\202", 1, NGHTTP2_STREAM_CLOSED},
        {DATA, 0, 1, "a", 1, NGHTTP2_STREAM_CLOSED},
    };

    for (size_t i = 0; i < TEST_LEN(all); i++) {
        struct wire *wire = calloc(1, sizeof *wire);

        wire_begin(wire, hello, NULL, NULL);
        wire_ask(wire, 1, "GET", "/", NULL, true);
        wire_until_ended(wire, 1);
        CHECK_EQ(wire_answer(wire, 1)->status, 200);
        wire_frame(wire, all[i].type, all[i].flags, all[i].id, all[i].payload, all[i].len);
        wire_until_over(wire);
        if (!CHECK_EQ(wire->goaway_code, all[i].code))
            test_note("frame %zu", i);
        CHECK_EQ(wire_end(wire), -EBADMSG);
        free(wire);
    }
    return 0;
}

/* ---- no memory ------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
static int echo(skua_http_exchange *exchange, void *state)
{
    char buf[5000];
    ssize_t n;

    (void)state;
    CHECK(skua_http_set_trailer(exchange, "a", "b") <= 0);
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if ((n = skua_http_write(exchange, buf, (size_t)n)) < 0)
            break;
    return (int)n;
}

/* Whichever allocation fails: what is answered is whole, or says that it is not, and nothing is
 * lost. */
TEST_FIBER_CURRENT(http2_without_memory)
{
    static const char piece[3000];
    unsigned fault = 1;
    bool hit = true;

    for (; hit && fault < 2000; fault++) {
        struct wire *wire = calloc(1, sizeof *wire);

        wire_begin(wire, echo, NULL, NULL);
        wire->greedy = true;
        skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
        for (uint32_t id = 1; id <= 5 && !wire->over; id += 2) {
            (void)(wire_ask(wire, id, "POST", "/", "cookie: a\ncookie: b\n", false) &&
                   wire_frame(wire, DATA, 0, id, piece, sizeof piece) &&
                   wire_frame(wire, DATA, 0, id, piece, sizeof piece) &&
                   wire_head(wire, id, "t: u\n", true));
        }
        for (uint32_t id = 1; id <= 5; id += 2) {
            wire_until_ended(wire, id);
            if (wire_answer(wire, id)->ended && wire_answer(wire, id)->status == 200)
                CHECK_EQ(wire_answer(wire, id)->body_len, 6000);
            CHECK(wire->over || wire_answer(wire, id)->ended || wire_answer(wire, id)->reset);
        }
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        hit = wire->over || wire_answer(wire, 1)->status != 200 ||
              wire_answer(wire, 3)->status != 200 || wire_answer(wire, 5)->status != 200 ||
              fault < 60;
        (void)wire_end(wire);
        free(wire);
    }
    CHECK_RANGE(fault, 30, 1999);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_floods),         cmocka_unit_test(http2_much_is_no_flood),
        cmocka_unit_test(http2_bomb),           cmocka_unit_test(http2_refused_heads),
        cmocka_unit_test(http2_continuations),  cmocka_unit_test(http2_broken),
#ifdef SKUA_FAULTS
        cmocka_unit_test(http2_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
