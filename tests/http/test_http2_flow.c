/* test_http2_flow.c - many streams at once, windows in both directions, cancelling, times.
 *
 * Specifies server.h, "HTTP/2": each request has a fiber, at most streams_max of them; who does not
 * read holds up nobody else; what is kept for it is bounded; a reset cancels the handler; and the
 * time-outs. Times are a virtual clock's.
 */
#include <stdatomic.h>

#include <skua/test.h>

#include "frames.h"

struct house {
    skua_notify go;
    atomic_int inside, most, cancelled, done;
    int code;
};

/* Waits until it is let go, or cancelled. */
static int waits(skua_http_exchange *exchange, void *state)
{
    struct house *house = state;
    int now = atomic_fetch_add(&house->inside, 1) + 1;
    int most = atomic_load(&house->most);
    int rc;

    while (now > most && !atomic_compare_exchange_weak(&house->most, &most, now))
        ;
    rc = skua_notified(&house->go);
    atomic_fetch_sub(&house->inside, 1);
    atomic_fetch_add(rc == -ECANCELED ? &house->cancelled : &house->done, 1);
    if (rc == 0)
        rc = skua_http_reply(exchange, 200, NULL, "x", 1);
    return rc;
}

static void let_in(struct house *house, int count)
{
    while (atomic_load(&house->inside) != count)
        (void)skua_sleep(SKUA_MILLISECOND);
}

/* Answers come when they are there, not in the order of their requests. */
TEST_FIBER(http2_many_streams)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct house house = {.go = SKUA_NOTIFY_INIT};

    wire_begin(wire, waits, &house, SKUA_HTTP_SERVER_OPTIONS(.streams_max = 20));
    for (uint32_t id = 1; id <= 40; id += 2)
        wire_ask(wire, id, "GET", "/", NULL, true);
    let_in(&house, 20);
    wire_ask(wire, 41, "GET", "/", NULL, true); /* one too many */
    wire_until_ended(wire, 41);
    CHECK_EQ(wire_answer(wire, 41)->code, NGHTTP2_REFUSED_STREAM);
    for (int i = 0; i < 20; i++)
        skua_notify_one(&house.go);
    for (uint32_t id = 1; id <= 40; id += 2)
        wire_until_ended(wire, id);
    for (uint32_t id = 1; id <= 40; id += 2)
        CHECK_STR(wire_answer(wire, id)->body, "x");
    CHECK_EQ(atomic_load(&house.most), 20);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

TEST_FIBER(http2_reset_cancels)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct house house = {.go = SKUA_NOTIFY_INIT};

    wire_begin(wire, waits, &house, NULL);
    wire_ask(wire, 1, "GET", "/", NULL, true);
    wire_ask(wire, 3, "GET", "/", NULL, true);
    let_in(&house, 2);
    wire_number(wire, RST_STREAM, 1, NGHTTP2_CANCEL);
    let_in(&house, 1);
    CHECK_EQ(atomic_load(&house.cancelled), 1);
    skua_notify_one(&house.go);
    wire_until_ended(wire, 3);
    CHECK_EQ(wire_answer(wire, 3)->status, 200);
    CHECK(!wire_answer(wire, 1)->reset);
    wire_ask(wire, 5, "GET", "/", NULL, true); /* and one whose client goes away */
    let_in(&house, 1);
    CHECK_EQ(wire_end(wire), 0);
    CHECK_EQ(atomic_load(&house.cancelled), 2);
    CHECK_EQ(atomic_load(&house.done), 1);
    free(wire);
    return 0;
}

/* ---- windows --------------------------------------------------------------------------------- */

static int echo(skua_http_exchange *exchange, void *state)
{
    char buf[3000];
    ssize_t n;

    (void)state;
    if (strcmp(skua_http_path(exchange), "/hello") == 0)
        return skua_http_reply(exchange, 200, NULL, "hello", 5);
    if (strcmp(skua_http_path(exchange), "/wait") == 0)
        return waits(exchange, state);
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if ((n = skua_http_write(exchange, buf, (size_t)n)) < 0)
            return (int)n;
    return (int)n;
}

/* One whose handler does not read gets no more window, and others go on. */
TEST_FIBER(http2_window_of_one_that_does_not_read)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct house house = {.go = SKUA_NOTIFY_INIT};
    static const char piece[10000];

    wire_begin(wire, echo, &house, SKUA_HTTP_SERVER_OPTIONS(.stream_window = 100000));
    wire_ask(wire, 1, "POST", "/wait", NULL, false);
    wire_sync(wire); /* our window is the new one from here on */
    for (int i = 0; i < 10; i++)
        wire_frame(wire, DATA, 0, 1, piece, sizeof piece);
    for (uint32_t id = 3; id <= 61; id += 2) {
        wire_ask(wire, id, "POST", "/", NULL, false);
        wire_frame(wire, DATA, 0, id, piece, sizeof piece);
        wire_frame(wire, DATA, END_STREAM, id, piece, 500);
        wire->greedy = true;
        wire_until_ended(wire, id);
        CHECK_EQ(wire_answer(wire, id)->body_len, sizeof piece + 500);
    }
    CHECK(wire->updates[0] > 100000); /* the connection's window is nobody's to keep */
    CHECK_EQ(wire->updates[1], 0);
    wire_frame(wire, DATA, 0, 1, piece, 1); /* beyond its window */
    wire_until_ended(wire, 1);
    if (!wire->over)
        CHECK_EQ(wire_answer(wire, 1)->code, NGHTTP2_FLOW_CONTROL_ERROR);
    else
        CHECK_EQ(wire->goaway_code, NGHTTP2_FLOW_CONTROL_ERROR);
    (void)wire_end(wire);
    free(wire);
    return 0;
}

/* Far more than a window: it is given back as the handler reads. */
TEST_FIBER(http2_long_body)
{
    struct wire *wire = calloc(1, sizeof *wire);
    static const char piece[16000];
    struct wire_frame frame;
    uint64_t sent = 0;

    wire_begin(wire, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.body_max = -1));
    wire->greedy = true;
    wire_ask(wire, 1, "POST", "/", NULL, false);
    wire_sync(wire);
    for (int i = 0; i < 125 && !wire->over; i++) { /* 2 MB */
        while ((sent + sizeof piece > 65535 + wire->updates[0] ||
                sent + sizeof piece > 131072 + wire->updates[1]) &&
               wire_read(wire, &frame))
            ;
        wire_frame(wire, DATA, i == 124 ? END_STREAM : 0, 1, piece, sizeof piece);
        sent += sizeof piece;
    }
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->body_len, sent);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

static int floods(skua_http_exchange *exchange, void *state)
{
    static const char piece[5000];
    atomic_long *sum = state;
    ssize_t n = 0;

    for (int i = 0; i < 100 && n >= 0; i++)
        if ((n = skua_http_write(exchange, piece, sizeof piece)) > 0)
            atomic_fetch_add(sum, n);
    return n < 0 ? (int)n : 0;
}

/* Until so much of the body is there. */
static void until_body(struct wire *wire, size_t len)
{
    struct wire_frame frame;

    while (wire_answer(wire, 1)->body_len < len && wire_read(wire, &frame))
        ;
    wire_sync(wire);
    CHECK_EQ(wire_answer(wire, 1)->body_len, len);
}

/* What a client does not take waits in the handler, but for a little. */
TEST_FIBER(http2_response_waits_for_its_window)
{
    struct wire *wire = calloc(1, sizeof *wire);
    atomic_long sum = 0;

    wire_begin(wire, floods, &sum, NULL);
    wire_ask(wire, 1, "GET", "/", NULL, true);
    until_body(wire, 65535);
    CHECK_RANGE(atomic_load(&sum), 65535 - 5000, 65535 + 32768);
    wire_number(wire, WINDOW_UPDATE, 0, 1000000);
    wire_sync(wire);
    until_body(wire, 65535);
    wire_number(wire, WINDOW_UPDATE, 1, 1);
    until_body(wire, 65536);
    wire_setting(wire, 4, 65535 + 10); /* INITIAL_WINDOW_SIZE counts for it, too */
    until_body(wire, 65546);
    wire_number(wire, WINDOW_UPDATE, 1, 1000000);
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->body_len, 500000);
    CHECK(wire_answer(wire, 1)->ended);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* More than goes out at once. */
TEST_FIBER(http2_many_long_responses)
{
    struct wire *wire = calloc(1, sizeof *wire);
    atomic_long sum = 0;

    wire_begin(wire, floods, &sum, NULL);
    wire_setting(wire, 4, 1 << 20);
    wire_number(wire, WINDOW_UPDATE, 0, 1 << 24);
    for (uint32_t id = 1; id <= 15; id += 2)
        wire_ask(wire, id, "GET", "/", NULL, true);
    for (uint32_t id = 1; id <= 15; id += 2) {
        wire_until_ended(wire, id);
        CHECK_EQ(wire_answer(wire, id)->body_len, 500000);
    }
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* ---- both directions at once ----------------------------------------------------------------- */

static int talk_back(void *arg)
{
    skua_http_exchange *exchange = arg;

    for (int i = 0; i < 5; i++) {
        CHECK_EQ(skua_http_write(exchange, "tick ", 5), 5);
        CHECK_EQ(skua_http_flush(exchange), 0);
        (void)skua_yield();
    }
    return 0;
}

/* Two tasks: one reads, one writes. */
static int both_ways(skua_http_exchange *exchange, void *state)
{
    skua_scope scope;
    char buf[10];
    ssize_t n, sum = 0;

    (void)state;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, talk_back, exchange) == 0);
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        sum += n;
    CHECK_EQ(n, 0);
    CHECK_EQ(sum, 300);
    (void)skua_scope_join(&scope);
    return (int)skua_http_write(exchange, "end", 3) - 3;
}

TEST_FIBER(http2_both_ways)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, both_ways, NULL, NULL);
    for (uint32_t id = 1; id <= 9; id += 2)
        wire_ask(wire, id, "POST", "/", NULL, false);
    for (int i = 0; i < 100; i++)
        for (uint32_t id = 1; id <= 9; id += 2)
            wire_frame(wire, DATA, i == 99 ? END_STREAM : 0, id, "abc", 3);
    for (uint32_t id = 1; id <= 9; id += 2) {
        wire_until_ended(wire, id);
        CHECK_STR(wire_answer(wire, id)->body, "tick tick tick tick tick end");
    }
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* ---- times ----------------------------------------------------------------------------------- */

static int takes_all(skua_http_exchange *exchange, void *state)
{
    char buf[100];
    ssize_t n;

    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        ;
    *(int *)state = (int)n;
    return n < 0 ? (int)n : skua_http_reply(exchange, 200, NULL, "all", 3);
}

static int times(void *arg)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct house house = {.go = SKUA_NOTIFY_INIT};
    atomic_long sum = 0;
    int64_t began = skua_now();
    int rc = 0;

    (void)arg;
    /* a connection without requests */
    wire_begin(wire, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.idle_timeout = SKUA_SECOND / 2));
    wire_until_over(wire);
    CHECK_EQ(wire->goaway_code, NGHTTP2_NO_ERROR);
    CHECK_EQ(skua_now() - began, SKUA_SECOND / 2);
    CHECK_EQ(wire_end(wire), 0);
    /* a body that does not come */
    wire_begin(wire, takes_all, &rc, SKUA_HTTP_SERVER_OPTIONS(.body_timeout = SKUA_SECOND / 2));
    wire_ask(wire, 1, "POST", "/", NULL, false);
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->status, 408);
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK_EQ(wire_end(wire), 0);
    /* a head that does not end */
    wire_begin(wire, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.head_timeout = SKUA_SECOND / 2));
    wire->rude = true; /* nothing may come in between */
    wire_frame(wire, HEADERS, 0, 1, "\202", 1);
    wire_until_over(wire);
    CHECK_EQ(wire->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    (void)wire_end(wire);
    /* a window that does not open: the handler waits, or has ended */
    wire_begin(wire, floods, &sum, SKUA_HTTP_SERVER_OPTIONS(.write_timeout = SKUA_SECOND / 2));
    wire_ask(wire, 1, "GET", "/", NULL, true);
    wire_until_ended(wire, 1);
    CHECK(wire_answer(wire, 1)->reset);
    CHECK_EQ(wire_end(wire), 0);
    wire_begin(wire, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.write_timeout = SKUA_SECOND / 4));
    wire_setting(wire, 4, 0);
    wire_ask(wire, 1, "GET", "/hello", NULL, true);
    wire_until_ended(wire, 1);
    CHECK(wire_answer(wire, 1)->reset);
    CHECK_EQ(wire_answer(wire, 1)->status, 200);
    CHECK_EQ(wire_end(wire), 0);
    /* a handler that takes too long */
    wire_begin(wire, waits, &house, SKUA_HTTP_SERVER_OPTIONS(.handler_timeout = SKUA_SECOND / 2));
    wire_ask(wire, 1, "GET", "/", NULL, true);
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->status, 504);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

TEST(http2_times)
{
    CHECK_EQ(skua_test_run(times, NULL, NULL), 0);
}

/* ---- the last request ------------------------------------------------------------------------ */

TEST_FIBER(http2_requests_max)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.requests_max = 2));
    for (uint32_t id = 1; id <= 5; id += 2)
        wire_ask(wire, id, "GET", "/hello", NULL, true);
    wire_until_over(wire);
    CHECK_STR(wire_answer(wire, 1)->body, "hello");
    CHECK_STR(wire_answer(wire, 3)->body, "hello");
    CHECK_EQ(wire_answer(wire, 5)->status, 0);
    CHECK_EQ(wire->goaways, 1);
    CHECK_EQ(wire->goaway_last, 3);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_many_streams),
        cmocka_unit_test(http2_reset_cancels),
        cmocka_unit_test(http2_window_of_one_that_does_not_read),
        cmocka_unit_test(http2_response_waits_for_its_window),
        cmocka_unit_test(http2_long_body),
        cmocka_unit_test(http2_many_long_responses),
        cmocka_unit_test(http2_both_ways),
        cmocka_unit_test(http2_times),
        cmocka_unit_test(http2_requests_max),
    };

    return TEST_MAIN(tests);
}
