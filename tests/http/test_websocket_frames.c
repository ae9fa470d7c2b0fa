/* test_websocket_frames.c - frames, byte by byte: what is taken, what closes with which code.
 *
 * Specifies websocket.h, "Errors", by the families of cases of the Autobahn test suite: framing
 * (1), pings and pongs (2), reserved bits (3) and opcodes (4), fragmentation (5), UTF-8 (6),
 * closes (7), limits (9). Each case is sent in one piece, and a byte at a time.
 */
#include "ws_pair.h"

#define TAIL_MAX 400

/* What a client sends: the first byte of each frame, 0x100 for 0x00, and its payload. */
struct frames_case {
    const char *family;
    struct {
        unsigned first; /* 0: there is no more */
        const char *data;
        size_t len; /* 0: strlen */
    } frames[8];
    int close;        /* 0: none */
    int rc;           /* of the receiver, in the end */
    const char *last; /* the last message that the receiver got; NULL: none */
};

static const struct frames_case cases[] = {
    {"1 text", {{0x81, "hello", 0}}, 0, 0, "hello"},
    {"1 empty", {{0x81, "", 0}}, 0, 0, ""},
    {"2 an empty ping", {{0x89, "", 0}, {0x81, "a", 0}}, 0, 0, "a"},
    {"2 a pong that nobody asked for", {{0x8a, "x", 0}, {0x81, "a", 0}}, 0, 0, "a"},
    {"3 RSV1", {{0xc1, "a", 0}}, 1002, -EPROTO, NULL},
    {"3 RSV2", {{0xa1, "a", 0}}, 1002, -EPROTO, NULL},
    {"3 RSV3", {{0x91, "a", 0}}, 1002, -EPROTO, NULL},
    {"3 RSV after a message", {{0x81, "b", 0}, {0xb1, "a", 0}}, 1002, -EPROTO, "b"},
    {"3 RSV in a ping", {{0xc9, "a", 0}}, 1002, -EPROTO, NULL},
    {"3 RSV in a close", {{0xf8, "\3\xe8", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 3", {{0x83, "a", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 4", {{0x84, "a", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 5", {{0x81, "b", 0}, {0x85, "a", 0}}, 1002, -EPROTO, "b"},
    {"4 opcode 6", {{0x86, "", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 7", {{0x87, "a", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 11", {{0x8b, "a", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 12", {{0x8c, "", 0}}, 1002, -EPROTO, NULL},
    {"4 opcode 15", {{0x8f, "a", 0}}, 1002, -EPROTO, NULL},
    {"5 a ping in two", {{0x09, "a", 0}, {0x80, "b", 0}}, 1002, -EPROTO, NULL},
    {"5 a pong in two", {{0x0a, "a", 0}, {0x80, "b", 0}}, 1002, -EPROTO, NULL},
    {"5 two pieces", {{0x01, "a", 0}, {0x80, "b", 0}}, 0, 0, "ab"},
    {"5 a ping between", {{0x01, "a", 0}, {0x89, "p", 0}, {0x80, "b", 0}}, 0, 0, "ab"},
    {"5 pieces that are empty", {{0x01, "", 0}, {0x100, "", 0}, {0x80, "", 0}}, 0, 0, ""},
    {"5 of these one is not", {{0x01, "", 0}, {0x100, "m", 0}, {0x80, "", 0}}, 0, 0, "m"},
    {"5 a continuation of nothing", {{0x80, "a", 0}}, 1002, -EPROTO, NULL},
    {"5 the same, not the last", {{0x100, "a", 0}, {0x81, "b", 0}}, 1002, -EPROTO, NULL},
    {"5 after a message", {{0x81, "b", 0}, {0x80, "a", 0}}, 1002, -EPROTO, "b"},
    {"5 a new one in the middle", {{0x01, "a", 0}, {0x81, "b", 0}}, 1002, -EPROTO, NULL},
    {"5 binary in text", {{0x01, "a", 0}, {0x82, "b", 0}}, 1002, -EPROTO, NULL},
    {"5 pings between all",
     {{0x01, "a", 0}, {0x89, "1", 0}, {0x100, "b", 0}, {0x89, "2", 0}, {0x80, "c", 0}},
     0,
     0,
     "abc"},
    {"6 valid",
     {{0x81, "\xce\xba\xe1\xbd\xb9\xf0\x90\x8d\x88", 0}},
     0,
     0,
     "\xce\xba\xe1\xbd\xb9\xf0\x90\x8d\x88"},
    {"6 cut within a character",
     {{0x01, "\xf0\x90", 0}, {0x80, "\x8d\x88", 0}},
     0,
     0,
     "\xf0\x90\x8d\x88"},
    {"6 the last of all", {{0x81, "\xf4\x8f\xbf\xbf", 0}}, 0, 0, "\xf4\x8f\xbf\xbf"},
    {"6 beyond", {{0x81, "\xf4\x90\x80\x80", 0}}, 1007, -EBADMSG, NULL},
    {"6 five bytes", {{0x81, "\xf8\x88\x80\x80\x80", 0}}, 1007, -EBADMSG, NULL},
    {"6 a surrogate", {{0x81, "\xed\xa0\x80", 0}}, 1007, -EBADMSG, NULL},
    {"6 overlong, two", {{0x81, "\xc0\xaf", 0}}, 1007, -EBADMSG, NULL},
    {"6 overlong, three", {{0x81, "\xe0\x80\xaf", 0}}, 1007, -EBADMSG, NULL},
    {"6 overlong, four", {{0x81, "\xf0\x80\x80\xaf", 0}}, 1007, -EBADMSG, NULL},
    {"6 a continuation alone", {{0x81, "a\x80", 0}}, 1007, -EBADMSG, NULL},
    {"6 no end", {{0x81, "a\xce", 0}}, 1007, -EBADMSG, NULL},
    {"6 no end, in pieces", {{0x01, "a\xce", 0}, {0x80, "", 0}}, 1007, -EBADMSG, NULL},
    {"6 told before the message ends", {{0x01, "a\xff", 0}}, 1007, -EBADMSG, NULL},
    {"6 binary may", {{0x82, "\xff\xfe", 0}}, 0, 0, "\xff\xfe"},
    {"7 a close", {{0x88, "\x03\xe8", 0}}, 1000, SKUA_ECLOSED, NULL},
    {"7 with a reason", {{0x88, "\x03\xe9gone", 0}}, 1001, SKUA_ECLOSED, NULL},
    {"7 nothing said", {{0x88, "", 0}}, 1005, SKUA_ECLOSED, NULL},
    {"7 two", {{0x88, "\x03\xe8", 0}, {0x88, "\x03\xe9", 0}}, 1000, SKUA_ECLOSED, NULL},
    {"7 more behind it", {{0x88, "\x03\xe8", 0}, {0x81, "a", 0}}, 1000, SKUA_ECLOSED, NULL},
    {"7 in a message", {{0x01, "a", 0}, {0x88, "\x03\xe8", 0}}, 1000, SKUA_ECLOSED, NULL},
    {"7 one byte", {{0x88, "\x03", 0}}, 1002, -EPROTO, NULL},
    {"7 a reason that is no UTF-8", {{0x88, "\x03\xe8\xff", 0}}, 1007, -EBADMSG, NULL},
    {"7 0", {{0x88, "\0\0", 2}}, 1002, -EPROTO, NULL},
    {"7 999", {{0x88, "\x03\xe7", 0}}, 1002, -EPROTO, NULL},
    {"7 1003", {{0x88, "\x03\xeb", 0}}, 1003, SKUA_ECLOSED, NULL},
    {"7 1004", {{0x88, "\x03\xec", 0}}, 1002, -EPROTO, NULL},
    {"7 1005", {{0x88, "\x03\xed", 0}}, 1002, -EPROTO, NULL},
    {"7 1006", {{0x88, "\x03\xee", 0}}, 1002, -EPROTO, NULL},
    {"7 1007", {{0x88, "\x03\xef", 0}}, 1007, SKUA_ECLOSED, NULL},
    {"7 1014", {{0x88, "\x03\xf6", 0}}, 1014, SKUA_ECLOSED, NULL},
    {"7 1015", {{0x88, "\x03\xf7", 0}}, 1002, -EPROTO, NULL},
    {"7 1016", {{0x88, "\x03\xf8", 0}}, 1002, -EPROTO, NULL},
    {"7 2000", {{0x88, "\x07\xd0", 0}}, 1002, -EPROTO, NULL},
    {"7 2999", {{0x88, "\x0b\xb7", 0}}, 1002, -EPROTO, NULL},
    {"7 3000", {{0x88, "\x0b\xb8", 0}}, 3000, SKUA_ECLOSED, NULL},
    {"7 4999", {{0x88, "\x13\x87", 0}}, 4999, SKUA_ECLOSED, NULL},
    {"7 5000", {{0x88, "\x13\x88", 0}}, 1002, -EPROTO, NULL},
    {"7 65535", {{0x88, "\xff\xff", 0}}, 1002, -EPROTO, NULL},
};

static size_t case_bytes(const struct frames_case *of, uint8_t *out)
{
    size_t len = 0;

    for (size_t i = 0; i < TEST_LEN(of->frames) && of->frames[i].first != 0; i++) {
        const char *data = of->frames[i].data;
        size_t data_len = of->frames[i].len != 0 ? of->frames[i].len : strlen(data);

        len += ws_bytes(out + len, of->frames[i].first & 0xff, true, data, data_len);
    }
    return len;
}

struct drip {
    struct ws_pair *pair;
    const uint8_t *bytes;
    size_t len, piece;
};

static int drips(void *arg)
{
    struct drip *drip = arg;

    for (size_t i = 0; i < drip->len; i += drip->piece) {
        if (skua_io_write_all(drip->pair->raw, drip->bytes + i, drip->piece) < 0)
            return 0;
        if (drip->piece == 1)
            (void)skua_yield();
    }
    (void)skua_io_shutdown(drip->pair->raw);
    return 0;
}

/* Receives to the end; what it says of the last message is in `last`. */
static int receives_all(skua_websocket *ws, char *last, size_t size)
{
    skua_websocket_message message;
    int rc;

    last[0] = '\0';
    while ((rc = skua_websocket_recv(ws, &message)) == 0) {
        MUST(message.len < size - 1);
        last[0] = '=';
        memcpy(last + 1, message.data, message.len + 1);
    }
    return rc;
}

static void case_run(const struct frames_case *of, size_t piece, const uint8_t *bytes, size_t len,
                     const skua_websocket_options *options)
{
    struct ws_pair pair;
    struct drip drip = {&pair, bytes, len, piece != 0 ? piece : len};
    skua_task *task;
    char last[512], data[256];
    int first, pongs = 0, pings = 0;
    size_t data_len;

    test_variant(of->family);
    for (size_t i = 0; i < TEST_LEN(of->frames); i++)
        pings += of->frames[i].first == 0x89;
    ws_raw_begin(&pair, true, options, false);
    MUST(skua_spawn(NULL, drips, &drip, .task = &task) == 0);
    CHECK_EQ(receives_all(pair.server, last, sizeof last), of->rc != 0 ? of->rc : SKUA_EEOF);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    (void)skua_duplex_shutdown(pair.ends[1]);
    if (of->last != NULL)
        CHECK(last[0] == '=' && strcmp(last + 1, of->last) == 0);
    else
        CHECK_EQ(last[0], '\0');
    while ((first = ws_hears(&pair, data, sizeof data, &data_len)) == 0x8a)
        pongs++;
    CHECK_EQ(pongs, pings);
    if (of->close == 0)
        CHECK_EQ(first, -1);
    else if (CHECK_EQ(first, 0x88))
        CHECK_EQ(data_len == 0 ? 1005 : (uint8_t)data[0] << 8 | (uint8_t)data[1], of->close);
    CHECK_EQ(ws_hears(&pair, data, sizeof data, NULL), -1); /* nothing behind a close */
    ws_pair_end(&pair);
}

TEST_FIBER_CURRENT(frames_are_judged)
{
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        uint8_t bytes[TAIL_MAX];
        size_t len = case_bytes(&cases[i], bytes);

        case_run(&cases[i], 0, bytes, len, NULL);
        case_run(&cases[i], 1, bytes, len, NULL);
    }
    return 0;
}

/* Frames that no good client can make. */
TEST_FIBER_CURRENT(malformed_frames)
{
    static const struct {
        const char *what, *bytes;
        size_t len;
    } raws[] = {
        {"no mask",
         "\x81\x01"
         "a",
         3},
        {"no mask in a ping", "\x89\x00", 2},
        {"a ping of 126 bytes", "\x89\xfe\x00\x7e\1\2\3\4a", 9},
        {"a close of 126 bytes", "\x88\xfe\x00\x7e\1\2\3\4a", 9},
        {"125 in 16 bits", "\x81\xfe\x00\x7d\1\2\3\4a", 9},
        {"0 in 16 bits", "\x81\xfe\x00\x00\1\2\3\4", 8},
        {"65535 in 64 bits", "\x81\xff\0\0\0\0\0\0\xff\xff\1\2\3\4a", 15},
        {"5 in 64 bits", "\x81\xff\0\0\0\0\0\0\0\5\1\2\3\4abcde", 19},
        {"the 64th bit", "\x82\xff\x80\0\0\0\0\0\0\0\1\2\3\4a", 15},
    };

    for (size_t i = 0; i < TEST_LEN(raws); i++) {
        struct frames_case of = {.family = raws[i].what, .close = 1002, .rc = -EPROTO};

        case_run(&of, 0, (const uint8_t *)raws[i].bytes, raws[i].len, NULL);
        case_run(&of, 1, (const uint8_t *)raws[i].bytes, raws[i].len, NULL);
    }
    return 0;
}

TEST_FIBER_CURRENT(a_server_does_not_mask)
{
    struct ws_pair pair;
    skua_websocket_message message;

    ws_raw_begin(&pair, false, NULL, false);
    CHECK_EQ(skua_io_write_all(pair.raw, "\x81\x81\1\2\3\4\x60", 7), 7);
    CHECK_EQ(skua_websocket_recv(pair.client, &message), -EPROTO);
    ws_hears_close(&pair, 1002);
    ws_pair_end(&pair);
    ws_raw_begin(&pair, false, NULL, false);
    ws_says(&pair, 0x81, "hi", 2);
    CHECK_TEXT_MESSAGE(pair.client, "hi");
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CURRENT(control_frames_of_125_bytes)
{
    struct ws_pair pair;
    char data[130], heard[130];
    size_t len;

    memset(data, 'a', sizeof data);
    ws_raw_begin(&pair, true, NULL, false);
    ws_says(&pair, 0x89, data, 125);
    ws_says(&pair, 0x81, "x", 1);
    CHECK_TEXT_MESSAGE(pair.server, "x");
    CHECK_EQ(ws_hears(&pair, heard, sizeof heard, &len), 0x8a);
    CHECK_EQ(len, 125);
    CHECK_EQ(memcmp(data, heard, 125), 0);
    ws_pair_end(&pair);
    return 0;
}

/* ---- limits ---------------------------------------------------------------------------------- */

TEST_FIBER_CURRENT(limits)
{
    static const struct frames_case too_big[] = {
        {"9 a message", {{0x82, "12345678901", 0}}, 1009, SKUA_ELIMIT, NULL},
        {"9 a message in pieces",
         {{0x02, "123456", 0}, {0x80, "78901", 0}},
         1009,
         SKUA_ELIMIT,
         NULL},
        {"9 just not", {{0x02, "12345", 0}, {0x80, "67890", 0}}, 0, 0, "1234567890"},
        {"9 a frame", {{0x02, "1234567", 0}, {0x80, "8", 0}}, 1009, SKUA_ELIMIT, NULL},
        {"9 each message by itself", {{0x82, "123456", 0}, {0x82, "123456", 0}}, 0, 0, "123456"},
    };

    for (size_t i = 0; i < TEST_LEN(too_big); i++) {
        uint8_t bytes[TAIL_MAX];
        size_t len = case_bytes(&too_big[i], bytes);

        for (size_t piece = 0; piece < 2; piece++)
            case_run(&too_big[i], piece, bytes, len,
                     i == 3 ? SKUA_WEBSOCKET_OPTIONS(.frame_max = 6)
                            : SKUA_WEBSOCKET_OPTIONS(.message_max = 10));
    }
    return 0;
}

TEST_FIBER_CURRENT(a_length_is_believed_when_it_has_come)
{
    struct ws_pair pair;
    skua_websocket_message message;

    /* Nothing of 2^62 bytes is allocated, and the limit is asked first. */
    ws_raw_begin(&pair, true, SKUA_WEBSOCKET_OPTIONS(.message_max = -1), false);
    CHECK_EQ(skua_io_write_all(pair.raw, "\x82\xff\x40\0\0\0\0\0\0\0\1\2\3\4a", 15), 15);
    CHECK_EQ(skua_websocket_recv_until(pair.server, &message, skua_now() + SKUA_MILLISECOND),
             -ETIMEDOUT);
    CHECK(pair.server->buf_room < 65536);
    ws_pair_end(&pair);
    ws_raw_begin(&pair, true, NULL, false);
    CHECK_EQ(skua_io_write_all(pair.raw, "\x82\xff\x40\0\0\0\0\0\0\0\1\2\3\4a", 15), 15);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), SKUA_ELIMIT);
    ws_hears_close(&pair, 1009);
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CURRENT(a_message_is_refused_before_it_has_come)
{
    struct ws_pair pair;
    skua_websocket_message message;

    ws_raw_begin(&pair, true, SKUA_WEBSOCKET_OPTIONS(.message_max = 10), false);
    ws_says(&pair, 0x02, "123456", 6);
    CHECK_EQ(skua_io_write_all(pair.raw, "\x80\x85\1\2\3\4a", 7), 7); /* 5 are announced */
    CHECK_EQ(skua_websocket_recv(pair.server, &message), SKUA_ELIMIT);
    ws_hears_close(&pair, 1009);
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CURRENT(floods_of_what_costs_nothing)
{
    static const unsigned firsts[] = {0x89, 0x8a, 0x100};

    for (size_t i = 0; i < TEST_LEN(firsts); i++) {
        struct ws_pair pair;
        skua_websocket_message message;
        char data[200];
        int first;

        ws_raw_begin(&pair, true, SKUA_WEBSOCKET_OPTIONS(.control_max = 10), false);
        ws_says(&pair, 0x01, "a", 1);
        for (int k = 0; k < 11; k++)
            ws_says(&pair, firsts[i] & 0xff, "", 0);
        CHECK_EQ(skua_websocket_recv(pair.server, &message), SKUA_ELIMIT);
        while ((first = ws_hears(&pair, data, sizeof data, NULL)) == 0x8a)
            ;
        CHECK_EQ(first, 0x88);
        CHECK_EQ((uint8_t)data[0] << 8 | (uint8_t)data[1], 1008);
        ws_pair_end(&pair);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_judged),
        cmocka_unit_test(malformed_frames),
        cmocka_unit_test(a_server_does_not_mask),
        cmocka_unit_test(control_frames_of_125_bytes),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_length_is_believed_when_it_has_come),
        cmocka_unit_test(a_message_is_refused_before_it_has_come),
        cmocka_unit_test(floods_of_what_costs_nothing),
    };

    return TEST_MAIN(tests);
}
