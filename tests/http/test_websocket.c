/* test_websocket.c - messages and the close between two WebSockets, in memory.
 *
 * Specifies websocket.h: whole messages and pieces both ways, of all lengths; pings; the close from
 * either side; who may send and receive at a time; what is kept of a receive that was cancelled.
 */
#include "ws_pair.h"

TEST_WAITING(messages_of_all_lengths)
{
    static const size_t lens[] = {0,    1,     125,   126,   127,   4095,
                                  4096, 16383, 16384, 65535, 65536, 200000};
    char *data = malloc(200001);

    MUST(data != NULL);
    for (size_t i = 0; i < 200001; i++)
        data[i] = (char)(i * 7 % 251);
    for (int deflate = 0; deflate < 2; deflate++) {
        struct ws_pair pair;

#ifndef SKUA_HAVE_ZLIB
        if (deflate)
            break;
#endif
        ws_pair_begin(&pair, 1 << 20, NULL, deflate != 0);
        for (size_t i = 0; i < TEST_LEN(lens); i++)
            for (int back = 0; back < 2; back++) {
                skua_websocket *from = back ? pair.server : pair.client;
                skua_websocket *to = back ? pair.client : pair.server;
                skua_websocket_message message;

                CHECK_EQ(skua_websocket_send(from, SKUA_WEBSOCKET_BINARY, data, lens[i]), 0);
                MUST(skua_websocket_recv(to, &message) == 0);
                CHECK_EQ(message.type, SKUA_WEBSOCKET_BINARY);
                CHECK(message.len == lens[i] && memcmp(message.data, data, lens[i]) == 0);
                CHECK_EQ(message.data[message.len], 0);
            }
        ws_pair_end(&pair);
    }
    free(data);
}

TEST_FIBER(text_is_utf8)
{
    struct ws_pair pair;

    ws_pair_begin(&pair, 4096, NULL, false);
    CHECK_EQ(skua_websocket_send_text(pair.client, "gr\xc3\xbc\xc3\x9f dich"), 0);
    CHECK_TEXT_MESSAGE(pair.server, "gr\xc3\xbc\xc3\x9f dich");
    CHECK_EQ(skua_websocket_send_text(pair.client, "\xc3"), -EINVAL);
    CHECK_EQ(skua_websocket_send_text(pair.client, "\xff"), -EINVAL);
    CHECK_EQ(skua_websocket_send(pair.client, 3, "a", 1), -EINVAL);
    CHECK_EQ(skua_websocket_send(pair.client, SKUA_WEBSOCKET_BINARY, "\xff", 1), 0);
    CHECK_MESSAGE(pair.server, SKUA_WEBSOCKET_BINARY, "\xff");
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER(messages_in_pieces)
{
    struct ws_pair pair;
    char buf[100];

    ws_pair_begin(&pair, 4096, NULL, false);
    CHECK_EQ(skua_websocket_read(pair.server, buf, sizeof buf), SKUA_EUSAGE);
    CHECK_EQ(skua_websocket_send_piece(pair.client, SKUA_WEBSOCKET_TEXT, "a\xc3", 2, 0), 0);
    CHECK_EQ(skua_websocket_send(pair.client, SKUA_WEBSOCKET_TEXT, "no", 2), -EBUSY);
    CHECK_EQ(skua_websocket_send_piece(pair.client, SKUA_WEBSOCKET_BINARY, "no", 2, 0), -EINVAL);
    CHECK_EQ(skua_websocket_send_piece(pair.client, SKUA_WEBSOCKET_TEXT, "", 0, 1), -EINVAL);
    CHECK_EQ(skua_websocket_send_piece(pair.client, SKUA_WEBSOCKET_TEXT, "\xbc", 1, 0), 0);
    CHECK_EQ(skua_websocket_ping(pair.client, "x", 1), 0); /* between them */
    CHECK_EQ(skua_websocket_send_piece(pair.client, SKUA_WEBSOCKET_TEXT, NULL, 0, 1), 0);
    CHECK_EQ(skua_websocket_send_text(pair.client, "next"), 0);
    CHECK_EQ(skua_websocket_send_text(pair.client, "last"), 0);
    CHECK_TEXT_MESSAGE(pair.server, "a\xc3\xbc");
    CHECK_EQ(skua_websocket_next(pair.server), SKUA_WEBSOCKET_TEXT);
    CHECK_EQ(skua_websocket_read(pair.server, buf, 3), 3);
    CHECK_EQ(memcmp(buf, "nex", 3), 0);
    CHECK_EQ(skua_websocket_read(pair.server, buf, 0), 0);
    CHECK_EQ(skua_websocket_read(pair.server, buf, 3), 1);
    CHECK_EQ(skua_websocket_read(pair.server, buf, 3), 0);
    CHECK_EQ(skua_websocket_read(pair.server, buf, 3), 0);
    CHECK_EQ(skua_websocket_next(pair.server), SKUA_WEBSOCKET_TEXT);
    CHECK_EQ(skua_websocket_read(pair.server, buf, 1), 1);
    CHECK_EQ(skua_websocket_send_text(pair.client, "thrown"), 0);
    CHECK_EQ(skua_websocket_send_text(pair.client, "whole"), 0);
    CHECK_EQ(skua_websocket_next(pair.server), SKUA_WEBSOCKET_TEXT); /* the rest is thrown away */
    CHECK_EQ(skua_websocket_read(pair.server, buf, 2), 2);
    CHECK_EQ(memcmp(buf, "th", 2), 0);
    CHECK_TEXT_MESSAGE(pair.server, "whole");
    ws_pair_end(&pair);
    return 0;
}

static int closes(void *arg)
{
    return skua_websocket_close(arg, 4001, "bye");
}

TEST_FIBER(either_side_closes)
{
    for (int server = 0; server < 2; server++) {
        struct ws_pair pair;
        skua_websocket *closer, *other;
        skua_websocket_message message;
        skua_websocket_info info;
        skua_task *task;
        int result = 1;

        ws_pair_begin(&pair, 4096, NULL, false);
        closer = server ? pair.server : pair.client;
        other = server ? pair.client : pair.server;
        CHECK_EQ(skua_websocket_send_text(other, "thrown away"), 0);
        CHECK_EQ(skua_websocket_send_text(closer, "before"), 0);
        MUST(skua_spawn(NULL, closes, closer, .task = &task) == 0);
        CHECK_TEXT_MESSAGE(other, "before");
        CHECK_EQ(skua_websocket_recv(other, &message), SKUA_ECLOSED);
        CHECK_EQ(skua_websocket_recv(other, &message), SKUA_ECLOSED);
        CHECK_EQ(skua_websocket_send_text(other, "late"), SKUA_ECLOSED);
        CHECK_EQ(skua_websocket_ping(other, NULL, 0), SKUA_ECLOSED);
        skua_websocket_info_of(other, &info);
        CHECK_EQ(info.close_code, 4001);
        CHECK_EQ(info.sent_code, 4001);
        CHECK_EQ(strcmp(info.close_reason, "bye"), 0);
        CHECK_EQ(strcmp(info.protocol, "p"), 0);
        (void)skua_duplex_shutdown(pair.ends[server ? 0 : 1]); /* a client waits for that */
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, 0);
        skua_websocket_info_of(closer, &info);
        CHECK_EQ(info.close_code, 4001);
        CHECK_EQ(skua_websocket_send_text(closer, "late"), SKUA_ECLOSED);
        CHECK_EQ(skua_websocket_recv(closer, &message), SKUA_ECLOSED);
        ws_pair_end(&pair);
    }
    return 0;
}

TEST_FIBER(closes_that_may_not_be_said)
{
    static const int codes[] = {1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536, -1};
    char reason[125];
    struct ws_pair pair;

    memset(reason, 'a', sizeof reason);
    reason[124] = '\0';
    ws_pair_begin(&pair, 4096, NULL, false);
    for (size_t i = 0; i < TEST_LEN(codes); i++)
        CHECK_EQ(skua_websocket_close(pair.client, codes[i], NULL), -EINVAL);
    CHECK_EQ(skua_websocket_close(pair.client, 1000, reason), -EINVAL);
    CHECK_EQ(skua_websocket_close(pair.client, 1000, "\xff"), -EINVAL);
    CHECK_EQ(skua_websocket_close(pair.client, 0, "why"), -EINVAL);
    CHECK_EQ(skua_websocket_ping(pair.client, reason, 126), -EINVAL);
    ws_pair_end(&pair);
    return 0;
}

static int receives(void *arg)
{
    skua_websocket_message message;
    int rc;

    while ((rc = skua_websocket_recv(arg, &message)) == 0)
        ;
    return rc;
}

TEST_FIBER(a_close_beside_a_receiver)
{
    struct ws_pair pair;
    skua_task *tasks[2];
    skua_websocket_message message;
    int result = 0;

    ws_pair_begin(&pair, 4096, NULL, false);
    MUST(skua_spawn(NULL, receives, pair.server, .task = &tasks[0]) == 0);
    MUST(skua_spawn(NULL, receives, pair.client, .task = &tasks[1]) == 0);
    CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), -EBUSY);
    CHECK_EQ(skua_websocket_next(pair.server), -EBUSY);
    CHECK_EQ(skua_websocket_close(pair.server, 0, NULL), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_task_join(tasks[i], &result), 0);
        CHECK_EQ(result, SKUA_ECLOSED);
    }
    ws_pair_end(&pair);
    return 0;
}

/* A peer that sends messages, and hears nothing of a close. */
struct flood {
    struct ws_pair *pair;
    atomic_bool over;
};

static int floods(void *arg)
{
    struct flood *self = arg;
    int64_t end = skua_now() + 10 * SKUA_SECOND;
    static const char data[60000];
    static uint8_t bytes[sizeof data + 14];
    size_t len = ws_bytes(bytes, 0x82, true, data, sizeof data);
    ssize_t n = 1;

    while (n >= 0 && skua_now() < end)
        n = skua_io_write_all(self->pair->raw, bytes, len);
    atomic_store(&self->over, true);
    return 0;
}

/* Also one that had done something wrong before: what it sends is no longer judged. */
TEST_FIBER(a_close_ends_while_the_peer_sends_on_and_on)
{
    for (int wrong = 0; wrong < 2; wrong++) {
        struct ws_pair pair;
        struct flood flood = {.pair = &pair};
        skua_websocket_message message;
        skua_task *task;

        ws_raw_begin(&pair, true, SKUA_WEBSOCKET_OPTIONS(.close_timeout = 20 * SKUA_MILLISECOND),
                     false);
        if (wrong) {
            ws_says(&pair, 0x83, "", 0);
            CHECK_EQ(skua_websocket_recv(pair.server, &message), -EPROTO);
        }
        MUST(skua_spawn(NULL, floods, &flood, .task = &task) == 0);
        CHECK_EQ(skua_websocket_close(pair.server, 1000, NULL), wrong ? -EPROTO : -ETIMEDOUT);
        CHECK(!atomic_load(&flood.over));
        skua_duplex_close(pair.ends[1]);
        pair.ends[1] = NULL;
        CHECK_EQ(skua_task_join(task, NULL), 0);
        ws_pair_end(&pair);
    }
    return 0;
}

TEST_FIBER(pings_are_answered)
{
    struct ws_pair pair;
    skua_websocket_info info;

    ws_pair_begin(&pair, 4096, NULL, false);
    skua_websocket_info_of(pair.client, &info);
    CHECK_EQ(info.round_trip, -1);
    CHECK_EQ(skua_websocket_ping(pair.client, "abc", 3), 0);
    CHECK_EQ(skua_websocket_send_text(pair.client, "a"), 0);
    CHECK_TEXT_MESSAGE(pair.server, "a");
    CHECK_EQ(skua_websocket_send_text(pair.server, "b"), 0);
    CHECK_TEXT_MESSAGE(pair.client, "b");
    skua_websocket_info_of(pair.client, &info);
    CHECK_EQ(info.pongs, 1);
    CHECK(info.round_trip >= 0);
    ws_pair_end(&pair);
    return 0;
}

/* Sends its bytes one at a time, and after each one the receiver is cancelled. */
TEST_FIBER(a_cancelled_receive_loses_nothing)
{
    static const char text[] = "a message in two frames";
    uint8_t bytes[100];
    struct ws_pair pair;
    skua_websocket_message message;
    size_t len;
    int rc = -ETIMEDOUT;

    ws_raw_begin(&pair, true, NULL, false);
    len = ws_bytes(bytes, 0x01, true, text, 10);
    len += ws_bytes(bytes + len, 0x89, true, "ping", 4);
    len += ws_bytes(bytes + len, 0x80, true, text + 10, sizeof text - 1 - 10);
    for (size_t i = 0; i < len; i++) {
        CHECK_EQ(rc, -ETIMEDOUT);
        if (i > 10)
            CHECK_EQ(skua_websocket_next(pair.server), SKUA_EUSAGE);
        CHECK_EQ(skua_io_write_all(pair.raw, bytes + i, 1), 1);
        rc = skua_websocket_recv_until(pair.server, &message, skua_now());
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(strcmp(message.data, text), 0);
    ws_pair_end(&pair);
    return 0;
}

static int sends_much(void *arg)
{
    static char data[100000];

    return skua_websocket_send(arg, SKUA_WEBSOCKET_BINARY, data, sizeof data);
}

TEST_FIBER(a_cancelled_send_is_the_end_of_sending)
{
    struct ws_pair pair;
    skua_websocket_message message;
    skua_task *task;
    int result = 0;

    ws_pair_begin(&pair, 4096, NULL, false);
    MUST(skua_spawn(NULL, sends_much, pair.client, .task = &task) == 0);
    CHECK_EQ(skua_sleep(2 * SKUA_MILLISECOND), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_websocket_send_text(pair.client, "a"), -EPIPE);
    CHECK_EQ(skua_websocket_ping(pair.client, NULL, 0), -EPIPE);
    CHECK_EQ(skua_websocket_send_text(pair.server, "the other way goes on"), 0);
    CHECK_TEXT_MESSAGE(pair.client, "the other way goes on");
    (void)skua_duplex_shutdown(pair.ends[0]);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), SKUA_EEOF);
    ws_pair_end(&pair);
    return 0;
}

/* Both sides send more than the connection holds before they receive: pings must not stop them. */
TEST_FIBER(a_pong_waits_for_nobody)
{
    struct ws_pair pair;
    skua_task *task;
    skua_websocket_message message;
    int result = 1;
    char waste[2] = "";

    ws_pair_begin(&pair, 4096, NULL, false);
    MUST(skua_spawn(NULL, sends_much, pair.server, .task = &task) == 0);
    CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0); /* its direction is full */
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(skua_websocket_ping(pair.client, waste, sizeof waste), 0);
        CHECK_EQ(skua_websocket_send_text(pair.client, "a"), 0);
        CHECK_TEXT_MESSAGE(pair.server, "a");
    }
    CHECK_EQ(skua_websocket_recv(pair.client, &message), 0);
    CHECK_EQ(message.len, 100000);
    CHECK_EQ(skua_websocket_send_text(pair.server, "end"), 0);
    CHECK_TEXT_MESSAGE(pair.client, "end");
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    ws_pair_end(&pair);
    return 0;
}

/* The stream is full, and nobody sends: the pong begins, and waits for somebody to go on with it.
*/
TEST_FIBER(a_pong_that_does_not_fit)
{
    struct ws_pair pair;
    skua_websocket_message message;
    skua_websocket_info info;
    char data[4000] = "";

    ws_pair_begin(&pair, 4096, NULL, false);
    CHECK_EQ(skua_websocket_send(pair.server, SKUA_WEBSOCKET_BINARY, data, sizeof data), 0);
    CHECK_EQ(skua_websocket_ping(pair.client, data, 125), 0);
    CHECK_EQ(skua_websocket_send_text(pair.client, "a"), 0);
    CHECK_TEXT_MESSAGE(pair.server, "a"); /* at once */
    CHECK_EQ(skua_websocket_recv(pair.client, &message), 0);
    CHECK_EQ(message.len, sizeof data);
    CHECK_EQ(skua_websocket_recv_until(pair.server, &message, skua_now()), -ETIMEDOUT);
    CHECK_EQ(skua_websocket_recv_until(pair.client, &message, skua_now()), -ETIMEDOUT);
    skua_websocket_info_of(pair.client, &info);
    CHECK_EQ(info.pongs, 1);
    ws_pair_end(&pair);
    return 0;
}

/* Somebody sends: who receives leaves the pong to him, and receives no more. */
TEST_FIBER(a_pong_left_to_who_sends)
{
    struct ws_pair pair;
    skua_websocket_message message;
    skua_websocket_info info;
    skua_task *task;

    ws_pair_begin(&pair, 4096, NULL, false);
    MUST(skua_spawn(NULL, sends_much, pair.server, .task = &task) == 0);
    CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0);
    CHECK_EQ(skua_websocket_ping(pair.client, "x", 1), 0);
    CHECK_EQ(skua_websocket_send_text(pair.client, "a"), 0);
    CHECK_TEXT_MESSAGE(pair.server, "a");
    CHECK_EQ(skua_websocket_recv(pair.client, &message), 0);
    CHECK_EQ(message.len, 100000);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_websocket_recv_until(pair.client, &message, skua_now()), -ETIMEDOUT);
    skua_websocket_info_of(pair.client, &info);
    CHECK_EQ(info.pongs, 1);
    ws_pair_end(&pair);
    return 0;
}

static int sends_many(void *arg)
{
    char data[700];
    int rc = 0;

    for (int i = 0; rc == 0 && i < TEST_COUNT(2000); i++) {
        memset(data, 'a' + i % 26, sizeof data);
        if (i % 10 == 0)
            (void)skua_websocket_ping(arg, data, 20);
        rc = skua_websocket_send(arg, SKUA_WEBSOCKET_TEXT, data, (size_t)(i % 700));
    }
    return rc;
}

static int receives_many(void *arg)
{
    skua_websocket_message message;
    int rc = 0;

    for (int i = 0; rc == 0 && i < TEST_COUNT(2000); i++) {
        rc = skua_websocket_recv(arg, &message);
        if (rc == 0)
            CHECK(message.len == (size_t)(i % 700) &&
                  (message.len == 0 || message.data[message.len - 1] == 'a' + i % 26));
    }
    return rc;
}

/* Four tasks at the same time, on whatever threads there are. */
TEST_FIBER(both_ways_at_once)
{
    struct ws_pair pair;
    skua_scope scope;

    ws_pair_begin(&pair, 4096, SKUA_WEBSOCKET_OPTIONS(.control_max = 5000), false);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, sends_many, pair.client), 0);
    CHECK_EQ(skua_spawn(&scope, sends_many, pair.server), 0);
    CHECK_EQ(skua_spawn(&scope, receives_many, pair.client), 0);
    CHECK_EQ(skua_spawn(&scope, receives_many, pair.server), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER(bad_options)
{
    skua_websocket_options options;
    skua_websocket_options checked;
    skua_websocket *ws = NULL;

    skua_websocket_options_init(&options);
    CHECK_EQ(skua__ws_options(&checked, &options), 0);
    options.size--;
    CHECK_EQ(skua__ws_options(&checked, &options), -EINVAL);
    CHECK_EQ(skua__ws_options(&checked, SKUA_WEBSOCKET_OPTIONS(.message_max = -2)), -EINVAL);
    CHECK_EQ(skua__ws_options(&checked, SKUA_WEBSOCKET_OPTIONS(.deflate_bits = 8)), -EINVAL);
    CHECK_EQ(skua__ws_options(&checked, SKUA_WEBSOCKET_OPTIONS(.deflate_bits = 16)), -EINVAL);
    CHECK_EQ(skua__ws_options(&checked, SKUA_WEBSOCKET_OPTIONS(.ping_interval = -1)), -EINVAL);
    CHECK_EQ(skua__ws_options(&checked, SKUA_WEBSOCKET_OPTIONS(.headers_count = 1)), -EINVAL);
    CHECK_EQ(skua_websocket_connect(&ws, NULL, NULL), -EINVAL);
    skua_websocket_free(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(messages_of_all_lengths),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(messages_in_pieces),
        cmocka_unit_test(either_side_closes),
        cmocka_unit_test(closes_that_may_not_be_said),
        cmocka_unit_test(a_close_beside_a_receiver),
        cmocka_unit_test(a_close_ends_while_the_peer_sends_on_and_on),
        cmocka_unit_test(pings_are_answered),
        cmocka_unit_test(a_cancelled_receive_loses_nothing),
        cmocka_unit_test(a_cancelled_send_is_the_end_of_sending),
        cmocka_unit_test(a_pong_waits_for_nobody),
        cmocka_unit_test(a_pong_that_does_not_fit),
        cmocka_unit_test(a_pong_left_to_who_sends),
        cmocka_unit_test(both_ways_at_once),
        cmocka_unit_test(bad_options),
    };

    return TEST_MAIN(tests);
}
