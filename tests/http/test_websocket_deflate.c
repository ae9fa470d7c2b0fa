/* test_websocket_deflate.c - messages that are compressed.
 *
 * Specifies websocket.h, the options deflate…: what is agreed on (RFC 7692, 7.1), what is sent and
 * understood (7.2), in one piece and in many, with and without context; bombs.
 */
#include "ask.h"
#include "ws_pair.h"

#ifdef SKUA_HAVE_ZLIB

/* ---- agreeing -------------------------------------------------------------------------------- */

static int accepts(skua_http_exchange *exchange, void *state)
{
    skua_websocket *ws;
    int rc = skua_websocket_accept(&ws, exchange, state);

    if (rc == 0)
        skua_websocket_free(ws);
    return rc;
}

TEST_FIBER_CURRENT(a_server_answers_offers)
{
    static const skua_websocket_options plain = {.size = sizeof plain, .deflate = 1};
    static const skua_websocket_options alone = {
        .size = sizeof alone, .deflate = 1, .deflate_no_context = 1};
    static const skua_websocket_options small = {
        .size = sizeof small, .deflate = 1, .deflate_bits = 10};
    static const struct {
        const skua_websocket_options *options;
        const char *offer, *answer; /* NULL: none */
    } offers[] = {
        {NULL, "permessage-deflate", NULL},
        {&plain, "permessage-deflate", "permessage-deflate"},
        {&plain, "x-other, Permessage-Deflate", "permessage-deflate"},
        {&plain, "permessage-deflate; client_max_window_bits", "permessage-deflate"},
        {&plain, "permessage-deflate; client_max_window_bits=9", "permessage-deflate"},
        {&plain, "permessage-deflate; server_max_window_bits=\"11\"",
         "permessage-deflate; server_max_window_bits=11"},
        {&plain, "permessage-deflate; server_no_context_takeover",
         "permessage-deflate; server_no_context_takeover"},
        {&plain, "permessage-deflate; client_no_context_takeover",
         "permessage-deflate; client_no_context_takeover"},
        {&alone, "permessage-deflate",
         "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
        {&small, "permessage-deflate; client_max_window_bits",
         "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"},
        {&small, "permessage-deflate; client_max_window_bits=12; server_max_window_bits=9",
         "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10"},
        {&plain, "permessage-deflate; x", NULL},
        {&plain, "permessage-deflate; server_max_window_bits", NULL},
        {&plain, "permessage-deflate; server_max_window_bits=8", NULL}, /* zlib cannot */
        {&plain, "permessage-deflate; server_max_window_bits=16", NULL},
        {&plain, "permessage-deflate; server_max_window_bits=010", NULL},
        {&plain, "permessage-deflate; client_max_window_bits=1", NULL},
        {&plain, "permessage-deflate; server_no_context_takeover=1", NULL},
        {&plain, "permessage-deflate; client_max_window_bits; client_max_window_bits", NULL},
        {&plain, "permessage-deflate; x, permessage-deflate", "permessage-deflate"},
    };

    for (size_t i = 0; i < TEST_LEN(offers); i++) {
        char request[512], line[256];
        struct talk *talk;

        test_variant(offers[i].offer);
        (void)snprintf(request, sizeof request,
                       "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Extensions: %s\r\n",
                       offers[i].offer);
        talk = ask_chain(accepts, (void *)(uintptr_t)offers[i].options, request);
        CHECK_EQ(talk_status(talk, 0), 101);
        (void)snprintf(line, sizeof line, "Sec-WebSocket-Extensions: %s\r\n",
                       offers[i].answer != NULL ? offers[i].answer : "");
        if (offers[i].answer != NULL)
            CHECK_HAS(talk, line);
        else
            CHECK_LACKS(talk, "Sec-WebSocket-Extensions");
        free(talk);
    }
    return 0;
}

TEST(a_client_judges_answers)
{
    static const struct {
        unsigned bits, alone;
        const char *answer;
        bool agreed;
    } answers[] = {
        {15, 0, "permessage-deflate", true},
        {15, 0, "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9", true},
        {15, 0, "permessage-deflate; client_max_window_bits=8", false},
        {15, 0, "permessage-deflate; client_max_window_bits", false},
        {15, 0, "permessage-deflate, permessage-deflate", false},
        {15, 0, "x-other", false},
        {15, 0, "", false},
        {10, 0, "permessage-deflate", false}, /* it was asked for less */
        {10, 0, "permessage-deflate; server_max_window_bits=11", false},
        {10, 0, "permessage-deflate; server_max_window_bits=10", true},
        {15, 1, "permessage-deflate", false},
        {15, 1, "permessage-deflate; server_no_context_takeover", true},
    };

    for (size_t i = 0; i < TEST_LEN(answers); i++) {
        struct skua__ws_deflate deflate = {.on = false};
        skua_websocket_options options = {.size = sizeof options,
                                          .deflate = 1,
                                          .deflate_bits = answers[i].bits,
                                          .deflate_no_context = answers[i].alone};

        CHECK_EQ(skua__ws_deflate_agree(&deflate, &options, answers[i].answer), answers[i].agreed);
        CHECK_EQ(deflate.on, answers[i].agreed);
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

/* RFC 7692, 7.2.3: the examples. */
TEST_FIBER_CURRENT(the_examples_of_the_rfc)
{
    struct ws_pair pair;

    ws_raw_begin(&pair, true, NULL, true);
    ws_says(&pair, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0x41, "\xf2\x48\xcd", 3); /* in two frames */
    ws_says(&pair, 0x80, "\xc9\xc9\x07\x00", 4);
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0xc1, "\xf2\x00\x11\x00\x00", 5); /* refers to the one before */
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0xc1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11); /* not compressed */
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8); /* with a final block */
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0xc1, "\xf2\x00\x11\x00\x00", 5); /* and what was before it is still known */
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            13); /* two blocks */
    CHECK_TEXT_MESSAGE(pair.server, "Hello");
    ws_says(&pair, 0xc1, "\x00", 1);
    CHECK_TEXT_MESSAGE(pair.server, "");
    ws_says(&pair, 0x81, "plain", 5);
    CHECK_TEXT_MESSAGE(pair.server, "plain");
    ws_pair_end(&pair);
    return 0;
}

/* "Hello", and final blocks without anything behind it: some are right, many cost too much. */
TEST_FIBER_CURRENT(streams_that_end_again_and_again)
{
    static const size_t counts[] = {0, 10, 10000};

    for (size_t i = 0; i < TEST_LEN(counts); i++) {
        static uint8_t text[20016] = "\xf2\x48\xcd\xc9\xc9\x07\x00";
        size_t len = 7;
        skua_websocket_message message;
        skua_websocket_info info;
        struct ws_pair pair;

        for (size_t end = 0; end < counts[i]; end++) { /* "00 00 ff ff" is the first one's */
            memcpy(text + len, end == 0 ? "\x00\x00\xff\xff\x03\x00" : "\x03\x00",
                   end == 0 ? 6 : 2);
            len += end == 0 ? 6 : 2;
        }
        text[len++] = 0;
        ws_raw_begin(&pair, true, NULL, true);
        for (int again = 0; again < 3 && counts[i] <= 10; again++) {
            ws_says(&pair, 0xc1, text, counts[i] == 0 ? 7 : len);
            CHECK_TEXT_MESSAGE(pair.server, "Hello");
        }
        if (counts[i] > 10) {
            ws_says(&pair, 0xc1, text, len);
            CHECK_EQ(skua_websocket_recv(pair.server, &message), -EBADMSG);
            skua_websocket_info_of(pair.server, &info);
            CHECK_EQ(info.sent_code, 1007);
        }
        ws_pair_end(&pair);
    }
    return 0;
}

TEST_FIBER_CURRENT(what_is_no_deflate)
{
    static const struct {
        unsigned first;
        const char *data;
        size_t len;
        int code, rc;
    } wrongs[] = {
        {0xc1, "\xff\xff\xff", 3, 1007, -EBADMSG},
        {0xc0, "\xf2", 1, 1002, -EPROTO},                          /* RSV1 later on */
        {0xc9, "a", 1, 1002, -EPROTO},                             /* in a ping */
        {0xe1, "a", 1, 1002, -EPROTO},                             /* RSV2, too */
        {0xc1, "\x00\x01\x00\xfe\xff\xff\x00", 7, 1007, -EBADMSG}, /* "\xff" is no UTF-8 */
    };

    for (size_t i = 0; i < TEST_LEN(wrongs); i++) {
        struct ws_pair pair;
        skua_websocket_message message;

        ws_raw_begin(&pair, true, NULL, true);
        if ((wrongs[i].first & 15) == 0)
            ws_says(&pair, 0x41, "\xf2\x48\xcd", 3);
        ws_says(&pair, wrongs[i].first, wrongs[i].data, wrongs[i].len);
        CHECK_EQ(skua_websocket_recv(pair.server, &message), wrongs[i].rc);
        ws_hears_close(&pair, wrongs[i].code);
        ws_pair_end(&pair);
    }
    return 0;
}

TEST_FIBER_CURRENT(compressed_both_ways)
{
    static char data[60000];
    uint64_t random = 7;

    for (int alone = 0; alone < 2; alone++) {
        struct ws_pair pair;

        ws_pair_begin(&pair, 1 << 20, SKUA_WEBSOCKET_OPTIONS(.deflate_no_context = alone), true);
        for (int round = 0; round < 90; round++) {
            size_t len = round < 60 ? 8140 + (size_t)round : (size_t)(random >> 33) % sizeof data;
            skua_websocket_message message;
            size_t cut = len / 3;

            for (size_t i = 0; i < len; i++) { /* some of it cannot be compressed */
                random = random * 6364136223846793005u + 1;
                data[i] =
                    round < 60 || round % 3 == 0 ? (char)(random >> 56) : "abc  "[random >> 61 & 3];
            }
            if (round % 2 == 0) {
                CHECK_EQ(skua_websocket_send(pair.server, SKUA_WEBSOCKET_BINARY, data, len), 0);
            } else {
                CHECK_EQ(skua_websocket_send_piece(pair.server, 2, data, cut, 0), 0);
                CHECK_EQ(skua_websocket_send_piece(pair.server, 2, data, 0, 0), 0);
                CHECK_EQ(skua_websocket_send_piece(pair.server, 2, data + cut, len - cut,
                                                   round % 4 == 1),
                         0);
                if (round % 4 != 1)
                    CHECK_EQ(skua_websocket_send_piece(pair.server, 2, NULL, 0, 1), 0);
            }
            MUST(skua_websocket_recv(pair.client, &message) == 0);
            CHECK(message.len == len && memcmp(message.data, data, len) == 0);
        }
        CHECK_EQ(pair.server->zip == NULL, alone);
        ws_pair_end(&pair);
    }
    return 0;
}

TEST_FIBER_CURRENT(a_bomb_meets_the_limit)
{
    static char zeros[4000000];
    struct ws_pair pair;
    skua_websocket_message message;
    skua_websocket_info info;

    ws_pair_begin(&pair, 1 << 20, NULL, true);
    CHECK_EQ(skua_websocket_send(pair.client, SKUA_WEBSOCKET_BINARY, zeros, sizeof zeros), 0);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), SKUA_ELIMIT);
    CHECK(pair.server->buf_room <= 4 << 20);
    CHECK_EQ(skua_websocket_recv(pair.client, &message), SKUA_ECLOSED);
    skua_websocket_info_of(pair.client, &info);
    CHECK_EQ(info.close_code, 1009);
    ws_pair_end(&pair);
    return 0;
}

/* Empty blocks without end: nothing comes out, and it is too much all the same. */
TEST_FIBER_CURRENT(much_that_says_nothing)
{
    struct ws_pair pair;
    skua_websocket_message message;
    char blocks[5000];

    for (size_t i = 0; i < sizeof blocks; i++)
        blocks[i] = (char)(i % 5 < 3 ? 0 : 0xff);
    ws_raw_begin(&pair, true, SKUA_WEBSOCKET_OPTIONS(.message_max = 100), true);
    ws_says(&pair, 0x42, blocks, sizeof blocks);
    for (int i = 0; i < 13; i++)
        ws_says(&pair, 0x00, blocks, sizeof blocks);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), SKUA_ELIMIT);
    ws_hears_close(&pair, 1009);
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CURRENT(short_messages_go_as_they_are)
{
    struct ws_pair pair;
    char text[400], heard[400];

    memset(text, 'a', sizeof text);
    text[399] = '\0';
    ws_raw_begin(&pair, true, NULL, true);
    CHECK_EQ(skua_websocket_send(pair.server, SKUA_WEBSOCKET_TEXT, text, 127), 0);
    CHECK_EQ(ws_hears(&pair, heard, sizeof heard, NULL), 0x81);
    CHECK_EQ(skua_websocket_send(pair.server, SKUA_WEBSOCKET_TEXT, text, 128), 0);
    CHECK_EQ(ws_hears(&pair, heard, sizeof heard, NULL), 0xc1);
    ws_pair_end(&pair);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_answers_offers),
        cmocka_unit_test(a_client_judges_answers),
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(streams_that_end_again_and_again),
        cmocka_unit_test(what_is_no_deflate),
        cmocka_unit_test(compressed_both_ways),
        cmocka_unit_test(a_bomb_meets_the_limit),
        cmocka_unit_test(much_that_says_nothing),
        cmocka_unit_test(short_messages_go_as_they_are),
    };

    return TEST_MAIN(tests);
}

#else

int main(void)
{
    return 77; /* built without zlib */
}

#endif
