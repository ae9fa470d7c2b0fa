/* test_websocket_world.c - WebSockets against time, memory and the order of things.
 *
 * Specifies websocket.h: ping_interval, ping_timeout, write_timeout, close_timeout and deadlines,
 * on a virtual clock; that any order of tasks, cancellations and closes ends; every allocation.
 */
#include <skua/test.h>

#include "ask.h"
#include "ws_pair.h"

/* ---- time ------------------------------------------------------------------------------------ */

TEST_FIBER_CLOCK(a_peer_that_is_silent_is_asked)
{
    struct ws_pair pair;
    skua_websocket_message message;
    skua_websocket_info info;
    int64_t begin = skua_now();
    char data[200];

    ws_raw_begin(
        &pair, true,
        SKUA_WEBSOCKET_OPTIONS(.ping_interval = 20 * SKUA_SECOND, .ping_timeout = 7 * SKUA_SECOND),
        false);
    /* A deadline of the caller's does not count for the peer. */
    CHECK_EQ(skua_websocket_recv_until(pair.server, &message, begin + 19 * SKUA_SECOND),
             -ETIMEDOUT);
    CHECK_EQ(skua_websocket_recv_until(pair.server, &message, begin + 21 * SKUA_SECOND),
             -ETIMEDOUT);
    CHECK_EQ(ws_hears(&pair, data, sizeof data, NULL), 0x89);
    ws_says(&pair, 0x8a, "", 0); /* the answer is any byte */
    CHECK_EQ(skua_websocket_recv_until(pair.server, &message, begin + 40 * SKUA_SECOND),
             -ETIMEDOUT);
    skua_websocket_info_of(pair.server, &info);
    CHECK_EQ(info.pongs, 1);
    CHECK_EQ(info.round_trip, SKUA_SECOND); /* it was read then */
    /* Heard at 21 s, asked at 41 s, given up at 48 s. */
    CHECK_EQ(skua_websocket_recv(pair.server, &message), -ECONNABORTED);
    CHECK_EQ(skua_now() - begin, 48 * SKUA_SECOND);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), -ECONNABORTED);
    skua_websocket_info_of(pair.server, &info);
    CHECK_EQ(info.close_code, 1006);
    CHECK_EQ(ws_hears(&pair, data, sizeof data, NULL), 0x89);
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CLOCK(what_has_come_counts_before_giving_up)
{
    struct ws_pair pair;
    skua_websocket_message message;

    ws_raw_begin(&pair, true, NULL, false);
    CHECK_EQ(skua_websocket_recv_until(pair.server, &message, skua_now() + 31 * SKUA_SECOND),
             -ETIMEDOUT);
    ws_says(&pair, 0x8a, "", 0);
    ws_says(&pair, 0x81, "here", 4);
    CHECK_EQ(skua_sleep(SKUA_HOUR), 0); /* nobody has received */
    CHECK_TEXT_MESSAGE(pair.server, "here");
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CLOCK(a_task_has_its_own_deadline)
{
    struct ws_pair pair;
    skua_websocket_message message;
    int64_t begin = skua_now();
    skua_deadline frame;

    ws_raw_begin(&pair, true, NULL, false);
    CHECK_EQ(skua_deadline_begin(&frame, begin + SKUA_MINUTE - 1), 0);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), -ETIMEDOUT); /* asked after 30 s */
    CHECK_EQ(skua_now() - begin, SKUA_MINUTE - 1);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_websocket_recv(pair.server, &message), -ECONNABORTED);
    CHECK_EQ(skua_now() - begin, SKUA_MINUTE);
    ws_pair_end(&pair);
    return 0;
}

TEST_FIBER_CLOCK(a_peer_that_does_not_read_or_close)
{
    static char data[10000];
    struct ws_pair pair;
    int64_t begin = skua_now();

    ws_pair_begin(&pair, 4096, NULL, false);
    CHECK_EQ(skua_websocket_close(pair.server, 1000, NULL), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, 3 * SKUA_SECOND);
    CHECK_EQ(skua_websocket_send(pair.client, SKUA_WEBSOCKET_BINARY, data, sizeof data),
             -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, 33 * SKUA_SECOND);
    CHECK_EQ(skua_websocket_send(pair.client, SKUA_WEBSOCKET_BINARY, data, 1), -EPIPE);
    ws_pair_end(&pair);
    return 0;
}

static int closes_cancelled(void *arg)
{
    skua_websocket_message message;

    CHECK_EQ(skua_websocket_recv(arg, &message), -ECANCELED);
    CHECK_EQ(skua_websocket_close(arg, 1001, "stopping"), -ETIMEDOUT);
    CHECK_EQ(skua_websocket_recv(arg, &message), -ECANCELED);
    return 0;
}

TEST_FIBER_CLOCK(a_cancelled_task_can_close)
{
    struct ws_pair pair;
    skua_task *task;
    int64_t begin = skua_now();

    ws_raw_begin(&pair, true, NULL, false);
    MUST(skua_spawn(NULL, closes_cancelled, pair.server, .task = &task) == 0);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    ws_hears_close(&pair, 1001);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_now() - begin, 4 * SKUA_SECOND);
    ws_pair_end(&pair);
    return 0;
}

/* ---- orders ---------------------------------------------------------------------------------- */

struct player {
    skua_websocket *ws;
    atomic_int *received;
    uint64_t random;
};

static int player_receives(void *arg)
{
    struct player *self = arg;
    skua_websocket_message message;
    int rc;

    do {
        rc = skua_websocket_recv_until(self->ws, &message,
                                       skua_now() + 1 + (int64_t)(self->random & 3));
        if (rc == 0) {
            CHECK_EQ(message.len, 300);
            CHECK(message.data[0] == message.data[299]);
            atomic_fetch_add(self->received, 1);
        }
    } while (rc == 0 || rc == -ETIMEDOUT);
    CHECK(rc == SKUA_ECLOSED || rc == SKUA_EEOF || rc == -EBUSY);
    return 0;
}

static int player_sends(void *arg)
{
    struct player *self = arg;
    char data[300];
    int sent = 0;

    for (int i = 0; i < 4; i++) {
        memset(data, 'a' + i, sizeof data);
        if (self->random >> i & 1)
            (void)skua_websocket_ping(self->ws, data, 30);
        if (skua_websocket_send(self->ws, SKUA_WEBSOCKET_TEXT, data, sizeof data) != 0)
            break;
        sent++;
    }
    return sent;
}

static int player_closes(void *arg)
{
    struct player *self = arg;
    int rc = skua_websocket_close(self->ws, 1000, NULL);

    CHECK(rc == 0 || rc == SKUA_EEOF || rc == -ETIMEDOUT || rc == -EPIPE);
    return 0;
}

/* Two senders and a receiver on each side of a connection that holds less than a message; one of
 * the senders may be cancelled; then both sides close at the same time. */
static int in_some_order(void *arg)
{
    atomic_int received[2] = {0, 0};
    struct ws_pair pair;
    struct player players[2];
    skua_task *receivers[2], *senders[4], *closers[2];
    bool cancels = arg != NULL;
    int sent[2] = {0, 0}, result;

    ws_pair_begin(&pair, 100, NULL, false);
    for (int i = 0; i < 2; i++) {
        players[i] =
            (struct player){i == 0 ? pair.client : pair.server, &received[i], skua_test_random()};
        MUST(skua_spawn(NULL, player_receives, &players[i], .task = &receivers[i]) == 0);
        for (int k = 0; k < 2; k++)
            MUST(skua_spawn(NULL, player_sends, &players[i], .task = &senders[2 * i + k]) == 0);
    }
    if (cancels) {
        for (uint64_t turns = skua_test_random() % 16; turns > 0; turns--)
            (void)skua_yield();
        (void)skua_task_cancel(senders[skua_test_random() % 4]);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(skua_task_join(senders[i], &result), 0);
        sent[i / 2] += result;
    }
    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(NULL, player_closes, &players[i], .task = &closers[i]) == 0);
    for (int i = 0; i < 2; i++) {
        if (cancels) /* one side may wait for the rest of a frame */
            CHECK_EQ(skua_task_join(closers[i], NULL), 0);
        (void)skua_duplex_shutdown(pair.ends[i]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_task_join(receivers[i], NULL), 0);
        if (!cancels)
            CHECK_EQ(skua_task_join(closers[i], NULL), 0);
    }
    if (!cancels)
        for (int i = 0; i < 2; i++)
            CHECK_RANGE(atomic_load(&received[i]), 0, sent[1 - i]);
    ws_pair_end(&pair);
    return 0;
}

TEST(websockets_in_every_order)
{
    static int yes;

    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), in_some_order, NULL), 0);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), in_some_order, &yes), 0);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
static int echo_once(skua_http_exchange *exchange, void *state)
{
    static const skua_websocket_options options = {
        .size = sizeof options, .deflate = 1, .deflate_min = 1, .protocols = "p"};
    skua_websocket_message message;
    skua_websocket *ws;
    int rc = skua_websocket_accept(&ws, exchange, &options);

    (void)state;
    if (rc != 0)
        return rc;
    rc = skua_websocket_recv(ws, &message);
    if (rc == 0)
        rc = skua_websocket_send(ws, message.type, message.data, message.len);
    (void)skua_websocket_close(ws, rc == 0 ? 1000 : 1011, NULL);
    skua_websocket_free(ws);
    return rc;
}

TEST_FIBER_CURRENT(a_servers_memory_fails)
{
    int answered = 0, failed = 0;

    for (unsigned nth = 1; nth < 40; nth++) {
        static const char request[] =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: p\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
            "\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00\x88\x80\0\0\0\0";
        struct talk *talk = calloc(1, sizeof *talk);

        MUST(talk != NULL);
        talk->handler = echo_once;
        talk->fault = nth;
        talk_bytes(talk, request, sizeof request - 1);
        if (talk_status(talk, 0) == 101 &&
            memmem(talk->text, talk->len, "\x88\x02\x03\xe8", 4) != NULL)
            answered++;
        else
            failed++; /* 500, or 1011, or nothing */
        free(talk);
    }
    CHECK(answered > 10 && failed > 4);
    return 0;
}

TEST_FIBER_CURRENT(a_senders_memory_fails)
{
    for (unsigned nth = 1; nth < 8; nth++) {
        struct ws_pair pair;
        int rc;

        ws_pair_begin(&pair, 1 << 16, SKUA_WEBSOCKET_OPTIONS(.deflate_min = 1), true);
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_websocket_send_text(pair.client, "abc");
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == 0 || rc == -ENOMEM);
        CHECK_EQ(skua_websocket_send_text(pair.client, "abc"), 0); /* nothing is broken */
        for (int i = rc == 0 ? 0 : 1; i < 2; i++)
            CHECK_TEXT_MESSAGE(pair.server, "abc");
        ws_pair_end(&pair);
    }
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_that_is_silent_is_asked),
        cmocka_unit_test(what_has_come_counts_before_giving_up),
        cmocka_unit_test(a_task_has_its_own_deadline),
        cmocka_unit_test(a_peer_that_does_not_read_or_close),
        cmocka_unit_test(a_cancelled_task_can_close),
        cmocka_unit_test(websockets_in_every_order),
#ifdef SKUA_FAULTS
        cmocka_unit_test(a_servers_memory_fails),
        cmocka_unit_test(a_senders_memory_fails),
#endif
    };

    return TEST_MAIN(tests);
}
