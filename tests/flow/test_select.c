/* drivers: both */
/* test_select.c - the first of several futures.
 *
 * Specifies flow.h: skua_select and its macros, skua_select_from, its options, skua_select_init;
 * and the futures in the caller's block of time.h, task.h and net.h.
 */
#include <pthread.h>

#include "part.h"
#include "sockets.h"

#define OPTIONS SKUA_SELECT_OPTIONS

/* ---- who wins -------------------------------------------------------------------------------- */

TEST_WAITING(select_first_wins)
{
    static const int64_t results[] = {0, 5, INT64_MAX, -EIO, SKUA_EEOF, -ECANCELED};
    struct test_parts parts;

    for (size_t i = 0; i < TEST_LEN(results); i++) {
        int64_t result = 99;

        test_parts_init(&parts, 3);
        test_part_give(&parts.part[1], results[i]);
        CHECK_EQ(skua_select_from(parts.futures, 3, NULL, &result), 1);
        CHECK_EQ(result, results[i]);
        test_parts_check(&parts, 3, 1);
        for (int k = 0; k < 3; k++)
            skua_future_drop(parts.futures[k]); /* all are finished: nothing more happens */
        test_parts_check(&parts, 3, 1);
    }
    test_parts_init(&parts, 1);
    test_part_give(&parts.part[0], 3);
    CHECK_EQ(skua_select(parts.futures[0]), 0); /* the result is not wanted */
    test_parts_check(&parts, 1, 0);
}

TEST_WAITING(select_is_fair)
{
    struct test_parts parts;
    int wins[3] = {0};

    for (int i = 0; i < 900; i++) {
        int winner;

        test_parts_init(&parts, 3);
        for (int k = 0; k < 3; k++)
            test_part_give(&parts.part[k], k);
        winner = skua_select(parts.futures[0], parts.futures[1], parts.futures[2]);
        MUST(winner >= 0 && winner < 3);
        wins[winner]++;
        test_parts_check(&parts, 3, winner);
    }
    for (int k = 0; k < 3; k++)
        CHECK_RANGE(wins[k], 150, 600);
}

TEST_WAITING(select_of_64_starves_none)
{
    bool won[64] = {false};
    struct test_parts parts;
    int kinds = 0;

    for (int i = 0; i < 20000 && kinds < 64; i++) {
        int winner;

        test_parts_init(&parts, 64);
        for (int k = 0; k < 64; k++)
            test_part_give(&parts.part[k], k);
        winner = skua_select_from(parts.futures, 64, NULL, NULL);
        MUST(winner >= 0 && winner < 64);
        test_parts_check(&parts, 64, winner);
        kinds += !won[winner];
        won[winner] = true;
    }
    CHECK_EQ(kinds, 64);
}

TEST_WAITING(select_biased_keeps_the_order)
{
    struct test_parts parts;

    for (int i = 0; i < 100; i++) {
        test_parts_init(&parts, 3);
        test_part_give(&parts.part[1], 0);
        test_part_give(&parts.part[2], 0);
        CHECK_EQ(skua_select_biased(parts.futures[0], parts.futures[1], parts.futures[2]), 1);
        CHECK_EQ(parts.part[0].polls, 1);
        CHECK_EQ(parts.part[2].polls, 0);
        test_parts_check(&parts, 3, 1);
    }
}

static int draws(void *arg)
{
    struct test_parts parts;
    char *trace = arg;

    for (int i = 0; i < 32; i++) {
        test_parts_init(&parts, 2);
        test_part_give(&parts.part[0], 0);
        test_part_give(&parts.part[1], 0);
        trace[i] = (char)('a' + skua_select(parts.futures[0], parts.futures[1]));
    }
    return 0;
}

TEST(select_in_a_test_draws_from_its_seed)
{
    char first[32], again[32], other[32];

    CHECK_EQ(skua_test_run(draws, first, SKUA_TEST_OPTIONS(.seed = 7)), 0);
    CHECK_EQ(skua_test_run(draws, again, SKUA_TEST_OPTIONS(.seed = 7)), 0);
    CHECK_EQ(skua_test_run(draws, other, SKUA_TEST_OPTIONS(.seed = 8)), 0);
    CHECK(memcmp(first, again, sizeof first) == 0);
    CHECK(memcmp(first, other, sizeof first) != 0);
}

/* ---- branches that are switched off, and selects that are wrong ------------------------------ */

TEST_WAITING(select_skips_null)
{
    struct test_parts parts;
    int64_t result = 0;

    for (int on = 0; on < 2; on++) {
        test_parts_init(&parts, 2);
        test_part_give(&parts.part[1], 4);
        if (on)
            test_part_give(&parts.part[0], 3);
        CHECK_EQ(skua_select_to(&result, NULL, on ? parts.futures[0] : NULL,
                                on ? NULL : parts.futures[1], NULL),
                 on ? 1 : 2);
        CHECK_EQ(result, on ? 3 : 4);
    }
    result = 99;
    CHECK_EQ(skua_select_to(&result, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_select(NULL, NULL, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_select_biased(NULL, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_try_select(NULL, NULL), -EAGAIN); /* it has a default branch */
    CHECK_EQ(result, 99);
}

/* Whatever is wrong with it, its branches are finished, and were not even asked. */
static void check_refused(size_t count, const skua_select_options *options, int wanted)
{
    struct test_parts parts;
    int64_t result = 99;

    test_parts_init(&parts, 65);
    test_part_give(&parts.part[0], 0);
    CHECK_EQ(skua_select_from(parts.futures, count, options, &result), wanted);
    CHECK_EQ(result, 99);
    test_parts_check(&parts, count, -1);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(parts.part[i].polls, 0);
}

TEST_WAITING(select_refuses_what_is_wrong)
{
    check_refused(0, NULL, SKUA_EUSAGE);
    check_refused(65, NULL, SKUA_EUSAGE);
    check_refused(65, OPTIONS(.try_ = 1), SKUA_EUSAGE);
    check_refused(2, &(skua_select_options){.biased = 1}, -EINVAL); /* no size */
    check_refused(2, OPTIONS(.biased = 2), -EINVAL);
    check_refused(2, OPTIONS(.try_ = 2), -EINVAL);
}

static skua_poll selects_in_poll_task(void *state, skua_waker *waker)
{
    struct test_parts *parts = *(struct test_parts **)state;

    (void)waker;
    CHECK_EQ(skua_select(parts->futures[0], parts->futures[1]), SKUA_EUSAGE);
    return 0;
}

TEST_FIBER(select_in_a_poll_task_is_refused)
{
    struct test_parts parts, *state = &parts;

    test_parts_init(&parts, 2);
    CHECK_EQ(test_run_poll(selects_in_poll_task, &state, sizeof state), 0);
    test_parts_check(&parts, 2, -1);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

TEST_FIBER(select_waits_for_another_fiber)
{
    struct test_parts parts;

    for (int winner = 0; winner < 64; winner += 9) {
        int64_t result = 0;

        test_parts_init(&parts, 64);
        MUST(skua_spawn(NULL, test_part_giver, &parts.part[winner]) == 0);
        CHECK_EQ(skua_select_from(parts.futures, 64, NULL, &result), winner);
        CHECK_EQ(result, 77);
        test_parts_check(&parts, 64, winner);
    }
    return 0;
}

TEST_WAITING(select_waits_for_a_thread)
{
    struct test_parts parts;
    pthread_t thread;
    int64_t result = 0;

    test_parts_init(&parts, 3);
    MUST(pthread_create(&thread, NULL, test_part_giver_thread, &parts.part[2]) == 0);
    CHECK_EQ(skua_select_from(parts.futures, 3, NULL, &result), 2);
    CHECK_EQ(result, 77);
    test_parts_check(&parts, 3, 2);
    pthread_join(thread, NULL);
}

static void *nudges(void *arg)
{
    struct test_parts *parts = arg;

    for (int i = 0; i < 50; i++) {
        test_event_nudge(&parts->part[i % 2].given);
        test_thread_sleep(MS(1) / 10);
    }
    return test_part_giver_thread(&parts->part[1]);
}

TEST_WAITING(select_goes_on_after_spurious_wakes)
{
    struct test_parts parts;
    pthread_t thread;

    test_parts_init(&parts, 2);
    MUST(pthread_create(&thread, NULL, nudges, &parts) == 0);
    CHECK_EQ(skua_select(parts.futures[0], parts.futures[1]), 1);
    test_parts_check(&parts, 2, 1);
    pthread_join(thread, NULL);
}

TEST_WAITING(select_between_event_and_time)
{
    struct test_event event = TEST_EVENT_INIT;
    struct test_event_wait wait;
    int64_t begin = skua_now();

    CHECK_EQ(skua_select(test_event_wait_init(&wait, &event), skua_sleeping(MS(5))), 1);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(test_event_waiters(&event), 0);
    begin = skua_now();
    CHECK_EQ(skua_select(skua_sleeping_until(begin + MS(5)), skua_sleeping(SKUA_HOUR)), 0);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    test_event_set(&event);
    CHECK_EQ(skua_select(skua_sleeping(SKUA_HOUR), test_event_wait_init(&wait, &event)), 1);
    if (skua_task_current_id() == 0)
        CHECK_EQ(skua_thread_timers(), SKUA_FOREVER); /* no timer was left behind */
}

TEST_WAITING(select_nests)
{
    struct test_parts parts;
    int64_t result = 0;

    test_parts_init(&parts, 4);
    test_part_give(&parts.part[2], 5);
    CHECK_EQ(skua_select_to(&result, parts.futures[0],
                            skua_selecting(parts.futures[1],
                                           skua_selecting(parts.futures[2], parts.futures[3]))),
             1);
    CHECK_EQ(result, 1); /* the inner winner's index */
    CHECK_EQ(parts.part[2].drops, 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(parts.part[i].drops, i != 2);
    test_parts_init(&parts, 3);
    test_part_give(&parts.part[2], 5);
    CHECK_EQ(
        skua_select_biased(skua_selecting(parts.futures[0], parts.futures[1]), parts.futures[2]),
        1);
    test_parts_check(&parts, 3, 2); /* a losing select drops its branches */
}

/* ---- without waiting ------------------------------------------------------------------------- */

TEST_WAITING(select_tries)
{
    struct test_parts parts;
    int64_t result = 99;

    test_parts_init(&parts, 2);
    CHECK_EQ(skua_select_from(parts.futures, 2, OPTIONS(.try_ = 1), &result), -EAGAIN);
    CHECK_EQ(result, 99);
    CHECK_EQ(parts.part[0].polls, 1);
    CHECK_EQ(parts.part[1].polls, 1);
    test_parts_check(&parts, 2, -1);
    test_parts_init(&parts, 2);
    test_part_give(&parts.part[1], 5);
    CHECK_EQ(skua_try_select(parts.futures[0], parts.futures[1]), 1);
    test_parts_check(&parts, 2, 1);
}

/* ---- ends that are not a branch's ------------------------------------------------------------ */

TEST_WAITING(select_has_a_deadline)
{
    struct test_parts parts;
    int64_t begin = skua_now(), result = 99;

    test_parts_init(&parts, 2);
    CHECK_EQ(skua_select_from(parts.futures, 2, OPTIONS(.deadline = begin + MS(5)), &result),
             -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(result, 99);
    test_parts_check(&parts, 2, -1);
    test_parts_init(&parts, 2);
    CHECK_EQ(skua_select_from(parts.futures, 2, OPTIONS(.deadline = begin), NULL), -ETIMEDOUT);
    test_parts_check(&parts, 2, -1);
    test_parts_init(&parts, 2);
    test_part_give(&parts.part[0], 0); /* what is ready wins over a deadline that has passed */
    CHECK_EQ(skua_select_from(parts.futures, 2, OPTIONS(.deadline = 1), NULL), 0);
    test_parts_check(&parts, 2, 0);
    if (skua_task_current_id() == 0)
        CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
}

TEST_FIBER(select_ends_with_the_tasks_deadline)
{
    skua_deadline frame;
    struct test_parts parts;

    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(5)), 0);
    for (int i = 0; i < 2; i++) { /* at the wait, and then before it */
        test_parts_init(&parts, 2);
        CHECK_EQ(skua_select(parts.futures[0], parts.futures[1]), -ETIMEDOUT);
        CHECK_EQ(parts.part[0].polls > 0, i == 0);
        test_parts_check(&parts, 2, -1);
    }
    skua_deadline_end(&frame);
    return 0;
}

static int selects_until_cancelled(void *arg)
{
    struct test_parts *parts = arg;
    int64_t result = 99;

    CHECK_EQ(skua_select_from(parts->futures, 2, NULL, &result), -ECANCELED);
    CHECK_EQ(result, 99);
    test_parts_check(parts, 2, -1);
    test_parts_init(parts, 2); /* cancelled before: no branch is asked */
    test_part_give(&parts->part[0], 0);
    CHECK_EQ(skua_select(parts->futures[0], parts->futures[1]), -ECANCELED);
    CHECK_EQ(parts->part[0].polls, 0);
    test_parts_check(parts, 2, -1);
    test_parts_init(parts, 2);
    CHECK_EQ(skua_try_select(parts->futures[0], parts->futures[1]), -ECANCELED);
    test_parts_check(parts, 2, -1);
    skua_shield_begin();
    test_parts_init(parts, 2);
    CHECK_EQ(skua_select(parts->futures[0], skua_sleeping(MS(1)), parts->futures[1]), 1);
    test_parts_check(parts, 2, -1);
    skua_shield_end();
    return 5;
}

TEST_FIBER(select_is_cancelled)
{
    struct test_parts parts;
    skua_task *task;
    int result = 0;

    test_parts_init(&parts, 2);
    MUST(skua_spawn(NULL, selects_until_cancelled, &parts, .task = &task) == 0);
    while (test_event_waiters(&parts.part[1].given) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 5);
    return 0;
}

static int selects_and_is_told(void *arg)
{
    struct test_parts *parts = arg;

    CHECK_EQ(skua_select(parts->futures[0], parts->futures[1]), 1);
    test_parts_check(parts, 2, 1);
    return skua_cancelled();
}

TEST_FIBER_CURRENT(select_answer_wins_over_a_cancellation)
{
    struct test_parts parts;
    skua_task *task;
    int result = 0;

    test_parts_init(&parts, 2);
    MUST(skua_spawn(NULL, selects_and_is_told, &parts, .task = &task) == 0);
    while (test_event_waiters(&parts.part[1].given) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    test_part_give(&parts.part[1], 0); /* before it had its turn */
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

/* ---- in poll tasks and foreign loops --------------------------------------------------------- */

struct polled {
    skua_async async;
    struct test_parts *parts;
    skua_select_future select;
    skua_poll answer;
    int64_t result;
};

static skua_poll selects(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->answer,
                  skua_select_init(&self->select, self->parts->futures, 3, NULL, &self->result));
    if (self->answer < 0)
        return self->answer;
    SKUA_ASYNC_END(self->answer * 100 + self->result);
}

TEST_FIBER(select_in_a_poll_task)
{
    struct test_parts parts;
    struct polled state = {.parts = &parts};
    skua_task *task;
    int result = 0;

    test_parts_init(&parts, 3);
    MUST(skua_spawn(NULL, test_part_giver, &parts.part[1]) == 0);
    CHECK_EQ(test_run_poll(selects, &state, sizeof state), 177);
    test_parts_check(&parts, 3, 1);
    test_parts_init(&parts, 3);
    MUST(skua_spawn_poll(NULL, selects, &state, .task = &task) == 0);
    while (test_event_waiters(&parts.part[2].given) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    test_parts_check(&parts, 3, -1);
    return 0;
}

static void bell_ring(skua_custom_waker *self)
{
    (void)self;
}

TEST(select_in_a_foreign_loop)
{
    skua_custom_waker bell = {bell_ring, bell_ring, bell_ring};
    skua_waker *waker = skua_waker_custom(&bell);
    struct test_parts parts;
    skua_select_future select;
    int64_t result = 0;

    test_parts_init(&parts, 2);
    skua_select_init(&select, parts.futures, 2, NULL, &result);
    CHECK_EQ(skua_future_poll(&select.future, waker), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&select.future, waker), SKUA_PENDING);
    test_part_give(&parts.part[1], 3);
    CHECK_EQ(skua_future_poll(&select.future, waker), 1);
    CHECK_EQ(result, 3);
    test_parts_check(&parts, 2, 1);
    skua_future_drop(&select.future);
    test_parts_check(&parts, 2, 1);
}

/* ---- one unit of the budget for all branches ------------------------------------------------- */

static int counts(void *arg)
{
    ++*(int *)arg;
    return 0;
}

TEST_FIBER_CURRENT(select_spends_one_unit)
{
    struct test_parts parts;
    int turns = 0;

    CHECK_EQ(skua_yield(), 0); /* a turn from its beginning: 128 units */
    MUST(skua_spawn(NULL, counts, &turns) == 0);
    for (int i = 0; i < 100; i++) {
        test_parts_init(&parts, 64);
        test_part_give(&parts.part[63], 0);
        CHECK_EQ(skua_select_from(parts.futures, 64, OPTIONS(.biased = 1), NULL), 63);
    }
    CHECK_EQ(turns, 0);
    for (int i = 0; i < 100; i++) {
        test_parts_init(&parts, 1);
        test_part_give(&parts.part[0], 0);
        CHECK_EQ(skua_select(parts.futures[0]), 0);
    }
    CHECK_EQ(turns, 1); /* but it does spend */
    return 0;
}

/* ---- the library's own futures --------------------------------------------------------------- */

TEST_FIBER(select_joins_a_task)
{
    skua_task *task;
    int result = 0;

    MUST(skua_spawn(NULL, test_fiber_return, (void *)21, .task = &task) == 0);
    CHECK_EQ(skua_select(skua_sleeping(SKUA_HOUR), skua_joining(task, &result)), 1);
    CHECK_EQ(result, 21);
    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .task = &task) == 0);
    CHECK_EQ(skua_select(skua_joining(task, &result), skua_sleeping(MS(1))), 1);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0); /* the handle stayed with the caller */
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

static int writes_pattern(void *arg)
{
    char buf[100];

    for (size_t at = 0; at < 5000; at += sizeof buf) {
        test_pattern_fill(buf, sizeof buf, at);
        CHECK_EQ(skua_tcp_write_all(arg, buf, sizeof buf), (ssize_t)sizeof buf);
        if (at % 300 == 0)
            CHECK_EQ(skua_sleep(MS(1) / 4), 0);
    }
    return skua_tcp_shutdown(arg);
}

/* Reads that lose have read nothing, also when the kernel was filling their buffers. */
TEST_FIBER(select_loses_no_bytes)
{
    skua_tcp *a, *b;
    char buf[70];
    size_t at = 0;
    int lost = 0;

    test_tcp_pair(&a, &b);
    MUST(skua_spawn(NULL, writes_pattern, a) == 0);
    for (;;) {
        int64_t n = -1;
        int winner = skua_select_to(&n, skua_reading(b, buf, sizeof buf), skua_sleeping(MS(1) / 10),
                                    lost % 3 == 0 ? skua_sleeping(0) : NULL);

        lost += winner != 0;
        if (winner != 0)
            continue;
        if (n <= 0) {
            CHECK_EQ(n, 0);
            break;
        }
        CHECK(test_pattern_ok(buf, (size_t)n, at));
        at += (size_t)n;
    }
    CHECK_EQ(at, 5000);
    CHECK(lost > 0);
    skua_tcp_close(a);
    skua_tcp_close(b);
    return 0;
}

/* A receive that loses a select has received nothing. */
TEST_FIBER(select_loses_no_message)
{
    skua_mpsc_sender *senders[2];
    skua_mpsc_receiver *receivers[2];
    uint64_t sum = 0;

    for (int i = 0; i < 2; i++)
        MUST(skua_mpsc_new(&senders[i], &receivers[i], sizeof(uint64_t), 100) == 0);
    for (uint64_t i = 1; i <= 100; i++)
        for (int k = 0; k < 2; k++)
            CHECK_EQ(skua_mpsc_send(senders[k], &i), 0);
    for (int i = 0; i < 200; i++) {
        skua_sync_future recv[2];
        uint64_t messages[2] = {0, 0};
        int won = skua_select(skua_mpsc_recv_init(&recv[0], receivers[0], &messages[0]),
                              skua_mpsc_recv_init(&recv[1], receivers[1], &messages[1]));

        MUST(won == 0 || won == 1);
        CHECK_EQ(messages[1 - won], 0);
        sum += messages[won];
    }
    CHECK_EQ(sum, 2 * 5050);
    for (int i = 0; i < 2; i++) {
        skua_mpsc_sender_close(senders[i]);
        skua_mpsc_receiver_close(receivers[i]);
    }
    return 0;
}

static int connects(void *arg)
{
    skua_tcp *tcp;

    CHECK_EQ(skua_tcp_connect(&tcp, arg, NULL), 0);
    return skua_tcp_close(tcp);
}

TEST_FIBER(select_accepts)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    skua_tcp *tcp = NULL;

    CHECK_EQ(skua_select(skua_accepting(listener, &tcp), skua_sleeping(MS(2))), 1);
    MUST(skua_spawn(NULL, connects, address) == 0);
    CHECK_EQ(skua_select(skua_sleeping(SKUA_HOUR), skua_accepting(listener, &tcp)), 1);
    skua_tcp_close(tcp);
    skua_listener_close(listener);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(select_first_wins),
        TEST_WAITING_ENTRIES(select_is_fair),
        TEST_WAITING_ENTRIES(select_of_64_starves_none),
        TEST_WAITING_ENTRIES(select_biased_keeps_the_order),
        cmocka_unit_test(select_in_a_test_draws_from_its_seed),
        TEST_WAITING_ENTRIES(select_skips_null),
        TEST_WAITING_ENTRIES(select_refuses_what_is_wrong),
        cmocka_unit_test(select_in_a_poll_task_is_refused),
        cmocka_unit_test(select_waits_for_another_fiber),
        TEST_WAITING_ENTRIES(select_waits_for_a_thread),
        TEST_WAITING_ENTRIES(select_goes_on_after_spurious_wakes),
        TEST_WAITING_ENTRIES(select_between_event_and_time),
        TEST_WAITING_ENTRIES(select_nests),
        TEST_WAITING_ENTRIES(select_tries),
        TEST_WAITING_ENTRIES(select_has_a_deadline),
        cmocka_unit_test(select_ends_with_the_tasks_deadline),
        cmocka_unit_test(select_is_cancelled),
        cmocka_unit_test(select_answer_wins_over_a_cancellation),
        cmocka_unit_test(select_in_a_poll_task),
        cmocka_unit_test(select_in_a_foreign_loop),
        cmocka_unit_test(select_spends_one_unit),
        cmocka_unit_test(select_joins_a_task),
        cmocka_unit_test(select_loses_no_bytes),
        cmocka_unit_test(select_loses_no_message),
        cmocka_unit_test(select_accepts),
    };

    return TEST_MAIN(tests);
}
