/* test_hedge.c - a second request when the first is slow: futures, and calls on fibers.
 *
 * Specifies the hedges of retry.h. Time is a test's clock (test.h), but where threads take part.
 */
#include <pthread.h>

#include "../lib/part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- futures --------------------------------------------------------------------------------- */

/* What happens to a hedge of two parts: when each is ready, with what, and what comes of it. */
struct row {
    int64_t delay;
    int64_t when[2]; /* ns; SKUA_FOREVER: never */
    int64_t what[2];
    int answer;
    int64_t result; /* 99: untouched */
    int64_t end;
    int fallback; /* 0: it was not polled */
};

struct giver {
    struct test_part *part;
    int64_t when, what;
};

static int gives(void *arg)
{
    struct giver *self = arg;
    int rc = skua_sleep(self->when);

    if (rc == 0)
        test_part_give(self->part, self->what);
    return rc;
}

static void check_row(const struct row *row, int number)
{
    struct giver givers[2];
    struct test_parts parts;
    skua_scope scope;
    int64_t result = 99, begin = skua_now();

    test_parts_init(&parts, 2);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 2; i++) {
        givers[i] = (struct giver){&parts.part[i], row->when[i], row->what[i]};
        MUST(skua_spawn(&scope, gives, &givers[i]) == 0);
    }
    if (!CHECK_EQ(skua_hedge(parts.futures[0], row->delay, parts.futures[1], &result),
                  row->answer) ||
        !CHECK_EQ(result, row->result) || !CHECK_EQ(skua_now() - begin, row->end) ||
        !CHECK_EQ(parts.part[1].polls != 0, row->fallback))
        test_note("row %d", number);
    for (int i = 0; i < 2; i++) { /* ready or dropped, once, and nothing waits any more */
        bool ready = row->when[i] <= row->end && parts.part[i].polls != 0 && i == row->answer;

        CHECK(parts.part[i].drops <= 1);
        CHECK(!ready || parts.part[i].drops == 0);
        CHECK_EQ(test_event_waiters(&parts.part[i].given), 0);
        skua_future_drop(parts.futures[i]);
        CHECK(parts.part[i].drops <= 1);
    }
    skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
}

TEST_FIBER_CLOCK(hedge_waits_for_the_first_success)
{
    static const int64_t never = SKUA_FOREVER;
    const struct row rows[] = {
        {MS(10), {MS(5), never}, {7, 8}, 0, 7, MS(5), 0},    /* fast: no second request */
        {MS(10), {MS(20), never}, {7, 8}, 0, 7, MS(20), 1},  /* slow, but first */
        {MS(10), {never, MS(15)}, {7, 8}, 1, 8, MS(15), 1},  /* the fallback is faster */
        {MS(10), {never, MS(5)}, {7, 8}, 1, 8, MS(10), 1},   /* ready when it is asked */
        {MS(10), {MS(5), MS(7)}, {-EIO, 8}, 1, 8, MS(7), 1}, /* failed: the fallback at once */
        {MS(10), {MS(5), MS(7)}, {-EIO, -EPERM}, -EPERM, 99, MS(7), 1},
        {MS(10), {MS(20), MS(15)}, {-EIO, -EPERM}, -EIO, 99, MS(20), 1},
        {MS(10), {MS(20), MS(15)}, {7, -EPERM}, 0, 7, MS(20), 1},
        {0, {MS(20), MS(15)}, {7, 8}, 1, 8, MS(15), 1},      /* both at once */
        {-5, {0, 0}, {7, 8}, 0, 7, 0, 0},                    /* a tie is the primary's */
        {never, {SKUA_HOUR, 0}, {7, 8}, 0, 7, SKUA_HOUR, 0}, /* only after a failure */
        {never, {SKUA_HOUR, 0}, {-EIO, 8}, 1, 8, SKUA_HOUR, 1},
        {MS(10), {MS(5), never}, {INT64_MAX, 8}, 0, INT64_MAX, MS(5), 0},
    };

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        if (rows[i].end == 0) { /* both are ready before it is asked */
            struct test_parts parts;
            int64_t result = 99;

            test_parts_init(&parts, 2);
            test_part_give(&parts.part[0], rows[i].what[0]);
            test_part_give(&parts.part[1], rows[i].what[1]);
            CHECK_EQ(skua_hedge(parts.futures[0], rows[i].delay, parts.futures[1], &result), 0);
            CHECK_EQ(result, 7);
            CHECK_EQ(parts.part[1].polls, 0);
            CHECK_EQ(parts.part[1].drops, 1);
        } else {
            check_row(&rows[i], (int)i);
        }
    }
    return 0;
}

TEST_WAITING(hedge_on_fibers_and_threads)
{
    struct test_parts parts;
    pthread_t thread;
    int64_t result = 0;

    test_parts_init(&parts, 2);
    MUST(pthread_create(&thread, NULL, test_part_giver_thread, &parts.part[1]) == 0);
    CHECK_EQ(skua_hedge(parts.futures[0], MS(2), parts.futures[1], &result), 1);
    CHECK_EQ(result, 77);
    CHECK_EQ(parts.part[0].drops, 1);
    pthread_join(thread, NULL);
    test_parts_init(&parts, 2);
    MUST(pthread_create(&thread, NULL, test_part_giver_thread, &parts.part[0]) == 0);
    CHECK_EQ(skua_hedge(parts.futures[0], SKUA_HOUR, parts.futures[1], NULL), 0);
    CHECK_EQ(parts.part[1].polls, 0);
    pthread_join(thread, NULL);
    if (skua_task_current_id() == 0)
        CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
}

TEST_FIBER_CLOCK(hedge_without_a_branch)
{
    struct test_parts parts;
    int64_t result = 99;

    test_parts_init(&parts, 2);
    test_part_give(&parts.part[0], -EIO);
    CHECK_EQ(skua_hedge(parts.futures[0], 0, NULL, &result), -EIO); /* the only one */
    test_part_give(&parts.part[1], 5);
    CHECK_EQ(skua_hedge(parts.futures[1], 0, NULL, &result), 0);
    CHECK_EQ(result, 5);
    test_parts_init(&parts, 1);
    CHECK_EQ(skua_hedge(NULL, 0, parts.futures[0], &result), SKUA_EUSAGE);
    test_parts_check(&parts, 1, -1);
    CHECK_EQ(parts.part[0].polls, 0);
    return 0;
}

TEST_FIBER_CLOCK(hedge_is_dropped_at_any_time)
{
    for (int64_t time = 0; time <= MS(20); time += MS(5)) {
        struct test_parts parts;

        test_parts_init(&parts, 2);
        CHECK_EQ(skua_timeout(skua_hedging(parts.futures[0], MS(10), parts.futures[1], NULL), time,
                              NULL),
                 -ETIMEDOUT);
        CHECK_EQ(parts.part[1].polls != 0, time >= MS(10));
        test_parts_check(&parts, 2, -1);
    }
    return 0;
}

struct polled {
    skua_async async;
    struct test_parts *parts;
    skua_hedge_future hedge;
    skua_poll answer;
    int64_t result;
};

static skua_poll polled(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_hedge_call(test_fiber_return, (void *[]){NULL}, 1, 0, NULL), SKUA_EUSAGE);
    SKUA_AWAIT_TO(self->answer, skua_hedge_init(&self->hedge, self->parts->futures[0], MS(5),
                                                self->parts->futures[1], &self->result));
    SKUA_ASYNC_END(self->answer == 1 ? self->result : -EIO);
}

TEST_FIBER_CLOCK(hedge_in_a_poll_task)
{
    struct test_parts parts;
    struct polled state = {.parts = &parts};
    struct giver giver = {&parts.part[1], MS(9), 77};

    test_parts_init(&parts, 2);
    MUST(skua_spawn(NULL, gives, &giver) == 0);
    CHECK_EQ(test_run_poll(polled, &state, sizeof state), 77);
    CHECK_EQ(parts.part[0].drops, 1);
    return 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* A call that takes a time; when it began and how it ended, from the hedge's begin. */
struct call {
    int64_t time;
    int result;
    int64_t begun; /* -1: never */
    int ended;     /* 0: never */
    bool stubborn; /* goes on when it is cancelled */
};

static int64_t calls_begin;

static int called(void *arg)
{
    struct call *self = arg;
    int rc;

    self->begun = skua_now() - calls_begin;
    if (self->stubborn)
        skua_shield_begin();
    rc = skua_sleep(self->time);
    if (self->stubborn)
        skua_shield_end();
    self->ended = rc != 0 ? rc : 1;
    return rc != 0 ? rc : self->result;
}

static int hedge_calls(struct call *calls, size_t count, int64_t delay, size_t *winner)
{
    void *args[SKUA_HEDGE_MAX];

    for (size_t i = 0; i < count; i++) {
        args[i] = &calls[i];
        calls[i].begun = -1;
    }
    calls_begin = skua_now();
    return skua_hedge_call(called, args, count, delay, winner);
}

TEST_FIBER_CLOCK(calls_first_success_wins)
{
    struct call calls[3] = {
        {.time = MS(50), .result = 1}, {.time = MS(30), .result = 2}, {.time = SKUA_HOUR}};
    size_t winner = 99;

    CHECK_EQ(hedge_calls(calls, 3, MS(10), &winner), 2);
    CHECK_EQ(winner, 1);
    CHECK_EQ(skua_now() - calls_begin, MS(40));
    CHECK_EQ(calls[1].begun, MS(10));
    CHECK_EQ(calls[2].begun, MS(20));
    CHECK_EQ(calls[0].ended, -ECANCELED); /* and joined: it has written that */
    CHECK_EQ(calls[2].ended, -ECANCELED);
    CHECK_EQ(skua_cancelled(), 0);
    calls[0].time = MS(5); /* fast: nobody else begins */
    CHECK_EQ(hedge_calls(calls, 3, MS(10), NULL), 1);
    CHECK_EQ(skua_now() - calls_begin, MS(5));
    CHECK_EQ(calls[1].begun, -1);
    return 0;
}

TEST_FIBER_CLOCK(calls_next_one_comes_at_once_when_all_have_failed)
{
    struct call calls[4] = {{.time = MS(5), .result = -EIO},
                            {.time = MS(5), .result = -EPERM},
                            {.time = MS(50), .result = -EPIPE},
                            {.time = MS(5), .result = 0}};
    size_t winner = 99;

    CHECK_EQ(hedge_calls(calls, 4, MS(20), &winner), 0);
    CHECK_EQ(winner, 3);
    CHECK_EQ(calls[1].begun, MS(5));
    CHECK_EQ(calls[2].begun, MS(10));
    CHECK_EQ(calls[3].begun, MS(30));                         /* the third still runs: the delay */
    CHECK_EQ(hedge_calls(calls, 3, MS(20), &winner), -EPIPE); /* the last error */
    CHECK_EQ(skua_now() - calls_begin, MS(60));
    CHECK_EQ(winner, 3);
    CHECK_EQ(hedge_calls(calls, 4, SKUA_FOREVER, &winner), 0);
    CHECK_EQ(calls[3].begun, MS(60));
    CHECK_EQ(hedge_calls(calls, 4, 0, &winner), 0);
    CHECK_EQ(calls[3].begun, 0);
    CHECK_EQ(skua_now() - calls_begin, MS(5));
    return 0;
}

TEST_FIBER_CLOCK(calls_losers_are_waited_for)
{
    struct call calls[2] = {{.time = MS(500), .result = 1, .stubborn = true},
                            {.time = MS(5), .result = 2}};
    size_t winner = 99;

    CHECK_EQ(hedge_calls(calls, 2, MS(10), &winner), 2);
    CHECK_EQ(winner, 1);
    CHECK_EQ(skua_now() - calls_begin, MS(500));
    CHECK_EQ(calls[0].ended, 1); /* it succeeded, too: what it left is the caller's */
    return 0;
}

static int hedges(void *arg)
{
    return hedge_calls(arg, 2, MS(10), NULL);
}

TEST_FIBER_CLOCK(calls_end_with_the_caller)
{
    struct call calls[2] = {{.time = SKUA_HOUR}, {.time = SKUA_HOUR}};
    skua_deadline frame;
    skua_task *task;
    int result = 0;

    for (int64_t when = MS(5); when <= MS(15); when += MS(10)) {
        MUST(skua_spawn(NULL, hedges, calls, .task = &task) == 0);
        CHECK_EQ(skua_sleep(when), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        CHECK_EQ(calls[0].ended, -ECANCELED);
        CHECK_EQ(calls[1].begun >= 0, when > MS(10));
    }
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(15)), 0);
    CHECK_EQ(hedge_calls(calls, 2, MS(10), NULL), -ETIMEDOUT);
    CHECK_EQ(skua_now() - calls_begin, MS(15));
    calls[0].begun = -1;
    CHECK_EQ(hedge_calls(calls, 2, MS(10), NULL), -ETIMEDOUT); /* before it began */
    CHECK_EQ(calls[0].begun, -1);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    return 0;
}

TEST_FIBER_CLOCK(calls_refuse_bad_counts)
{
    void *args[SKUA_HEDGE_MAX + 1] = {0};

    CHECK_EQ(skua_hedge_call(test_fiber_return, args, 0, 0, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_hedge_call(test_fiber_return, args, SKUA_HEDGE_MAX + 1, 0, NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_hedge_call(test_fiber_return, args, SKUA_HEDGE_MAX, 0, NULL), 0);
    return 0;
}

TEST(calls_are_for_fibers)
{
    CHECK_EQ(skua_hedge_call(test_fiber_return, (void *[]){NULL}, 1, 0, NULL), SKUA_EUSAGE);
}

#ifdef SKUA_FAULTS
/* With so many fibers beside it that the next stack is of a new slab, for which there is no memory:
 * the calls are spawned, but never run. */
static int hedges_without_stacks(void *arg)
{
    intptr_t *count = arg;
    void *args[2] = {(void *)5, (void *)5};
    skua_scope scope;
    int rc;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (intptr_t i = 0; i < *count; i++)
        MUST(skua_spawn(&scope, test_fiber_forever, NULL) == 0);
    CHECK_EQ(skua_sleep(1), 0);
    skua__fault_arm(SKUA__FAULT_MMAP, 1, 1000, ENOMEM);
    rc = skua_hedge_call(test_fiber_return, args, 2, MS(1), NULL);
    *count = (intptr_t)skua__fault_calls(SKUA__FAULT_MMAP);
    skua__fault_arm(SKUA__FAULT_MMAP, 0, 0, 0);
    CHECK_EQ(rc, *count == 0 ? 5 : -ENOMEM);
    skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    return 0;
}

TEST(calls_need_stacks)
{
    int without = 0;

    for (intptr_t n = 0; n < 80; n++) {
        intptr_t count = n;

        CHECK_EQ(skua_test_run(hedges_without_stacks, &count, NULL), 0);
        without += count != 0;
    }
    CHECK(without != 0);
}

static int hedges_beyond_the_limit(TEST_UNUSED void *arg)
{
    struct call calls[3] = {{.time = MS(5), .result = -EIO},
                            {.time = MS(50), .result = 2},
                            {.time = MS(5), .result = 3}};

    CHECK_EQ(hedge_calls(calls, 3, MS(1), NULL), 2); /* the third could not be spawned */
    CHECK_EQ(calls[2].begun, -1);
    calls[1].result = -EPERM;
    CHECK_EQ(hedge_calls(calls, 2, MS(1), NULL), -EPERM);
    return 0;
}

TEST(calls_that_are_not_spawned_have_failed)
{
    const skua_runtime_options runtime = {.size = sizeof runtime, .tasks_max = 3};

    CHECK_EQ(skua_test_run(hedges_beyond_the_limit, NULL, SKUA_TEST_OPTIONS(.runtime = &runtime)),
             0);
}
#endif

/* ---- in any order, and on several workers ---------------------------------------------------- */

static int hedges_in_some_order(TEST_UNUSED void *arg)
{
    struct call calls[4];
    int64_t fastest = INT64_MAX;
    size_t winner = 99;
    int rc;

    for (int i = 0; i < 4; i++) {
        calls[i] = (struct call){.time = MS((int64_t)(skua_test_random() % 20)), .result = i};
        if (skua_test_random() % 3 == 0)
            calls[i].result = -EIO;
        else if (calls[i].time + MS(5 * i) < fastest)
            fastest = calls[i].time + MS(5 * i); /* at the latest: it may begin earlier */
    }
    rc = hedge_calls(calls, 4, MS(5), &winner);
    if (fastest == INT64_MAX)
        CHECK_EQ(rc, -EIO);
    else
        CHECK(rc >= 0 && (size_t)rc == winner && skua_now() - calls_begin <= fastest);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(calls[i].begun >= 0, calls[i].ended != 0);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(calls_in_a_thousand_orders)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), hedges_in_some_order, NULL), 0);
}

static int yields(void *arg)
{
    for (intptr_t i = 0; i < (intptr_t)arg; i++)
        if (skua_yield() != 0)
            return -ECANCELED;
    return (int)(intptr_t)arg;
}

static int hedges_for_a_while(void *arg)
{
    int64_t end = *(int64_t *)arg;
    uint64_t random = 77;

    while (skua_now() < end) {
        void *args[3];
        size_t winner = 99;
        int rc;

        for (int i = 0; i < 3; i++)
            args[i] = (void *)(intptr_t)(test_random(&random) % 8);
        rc = skua_hedge_call(yields, args, 3, (int64_t)(test_random(&random) % 3) * 1000, &winner);
        CHECK(winner < 3 && rc == (int)(intptr_t)args[winner]);
    }
    return 0;
}

TEST(calls_on_two_workers)
{
    skua_runtime *runtime =
        test_runtime(&(struct test_kind){"2 workers", SKUA_MULTI_THREAD, 2, false});
    int64_t end = skua_now() + test_stress_time(1);
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, hedges_for_a_while, &end) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hedge_waits_for_the_first_success),
        TEST_WAITING_ENTRIES(hedge_on_fibers_and_threads),
        cmocka_unit_test(hedge_without_a_branch),
        cmocka_unit_test(hedge_is_dropped_at_any_time),
        cmocka_unit_test(hedge_in_a_poll_task),
        cmocka_unit_test(calls_first_success_wins),
        cmocka_unit_test(calls_next_one_comes_at_once_when_all_have_failed),
        cmocka_unit_test(calls_losers_are_waited_for),
        cmocka_unit_test(calls_end_with_the_caller),
        cmocka_unit_test(calls_refuse_bad_counts),
        cmocka_unit_test(calls_are_for_fibers),
#ifdef SKUA_FAULTS
        cmocka_unit_test(calls_need_stacks),
        cmocka_unit_test(calls_that_are_not_spawned_have_failed),
#endif
        cmocka_unit_test(calls_in_a_thousand_orders),
        cmocka_unit_test(calls_on_two_workers),
    };

    return TEST_MAIN(tests);
}
