/* test_interval.c - ticks at a steady beat, and sleeps that are moved.
 *
 * Specifies interval.h (the interval) and skua_sleep_reset of time.h. Everything about time is to
 * the nanosecond, under a test's clock.
 */
#include <pthread.h>

#include "part.h"

/* The next tick was due `due` ns, and comes `now` ns, after `begin`. */
#define CHECK_TICK(interval, begin, due, now)                                                      \
    do {                                                                                           \
        CHECK_EQ(skua_interval_tick(interval) - (begin), (due));                                   \
        CHECK_EQ(skua_now() - (begin), (now));                                                     \
    } while (0)

/* ---- a sleep that is moved ------------------------------------------------------------------- */

TEST_FIBER_CLOCK(reset_before_the_sleep_begins)
{
    int64_t begin = skua_now();
    skua_sleep_future sleep;

    skua_sleep_init(&sleep, SKUA_HOUR);
    skua_sleep_reset(&sleep, begin + 7);
    CHECK_EQ(skua_await(&sleep.future), 0);
    CHECK_EQ(skua_now() - begin, 7);
    skua_sleep_reset(&sleep, begin + 20); /* it is finished: it begins anew */
    CHECK_EQ(skua_await(&sleep.future), 0);
    CHECK_EQ(skua_now() - begin, 20);
    skua_sleep_reset(&sleep, begin); /* passed */
    CHECK_EQ(skua_await(&sleep.future), 0);
    CHECK_EQ(skua_now() - begin, 20);
    skua_sleep_reset(&sleep, SKUA_FOREVER);
    CHECK_EQ(skua_await_until(&sleep.future, begin + 30), -ETIMEDOUT);
    skua_sleep_reset(&sleep, begin + 40); /* it was dropped */
    CHECK_EQ(skua_await(&sleep.future), 0);
    CHECK_EQ(skua_now() - begin, 40);
    skua_sleep_reset(&sleep, INT64_MIN);
    CHECK_EQ(skua_await(&sleep.future), 0);
    CHECK_EQ(skua_now() - begin, 40);
    return 0;
}

/* A future that moves another branch's sleep when its event comes, and goes on waiting. */
struct mover {
    skua_future future;
    skua_sleep_future own, *other;
    const int64_t *moves; /* pairs: when, and to where; ends with 0 */
};

static skua_poll mover_poll(skua_future *future, skua_waker *waker)
{
    struct mover *self = (struct mover *)(void *)future;

    while (self->moves[0] != 0 && skua_now() >= self->moves[0]) {
        skua_sleep_reset(self->other, self->moves[1]);
        self->moves += 2;
    }
    if (self->moves[0] == 0)
        return SKUA_PENDING;
    skua_sleep_reset(&self->own, self->moves[0]);
    return skua_future_poll(&self->own.future, waker);
}

static void mover_drop(skua_future *future)
{
    skua_future_drop(&((struct mover *)(void *)future)->own.future);
}

static const skua_future_ops mover_ops = {"test.mover", mover_poll, mover_drop};

static void check_moves(const int64_t *moves, int64_t limit, int64_t end)
{
    skua_sleep_future sleep;
    struct mover mover = {.future = {&mover_ops}, .other = &sleep, .moves = moves};
    skua_future *sleep_first[] = {NULL, &mover.future};

    skua_sleep_until_init(&mover.own, 0);
    sleep_first[0] = skua_sleep_until_init(&sleep, limit);
    CHECK_EQ(skua_select_from(sleep_first, 2, SKUA_SELECT_OPTIONS(.biased = 1), NULL), 0);
    CHECK_EQ(skua_now(), end);
    CHECK_EQ(*mover.moves, 0);
}

/* The sleep was asked before it is moved, and nobody asks it again: the waker stays with it. */
TEST_FIBER_CLOCK(reset_of_an_armed_sleep_in_a_select)
{
    int64_t now = skua_now();

    check_moves((int64_t[]){now + 10, now + 100, 0}, now + 50, now + 100); /* later */
    now = skua_now();
    check_moves((int64_t[]){now + 10, now + 20, 0}, now + 50, now + 20); /* earlier */
    now = skua_now();
    check_moves((int64_t[]){now + 10, now, 0}, now + 50, now + 10); /* passed */
    now = skua_now();
    check_moves((int64_t[]){now + 10, now + SKUA_HOUR, now + 20, now + SKUA_SECOND, now + 30,
                            now + SKUA_MINUTE, 0},
                now + 50, now + SKUA_MINUTE);
    return 0;
}

/* It has fired, and the task has not looked yet: it waits for the new moment. */
struct late_look {
    skua_sleep_future sleep;
    int64_t begin;
    int polls;
};

static skua_poll looks_late(void *state, skua_waker *waker)
{
    struct late_look *self = state;
    skua_poll answer;

    switch (self->polls++) {
    case 0:
        self->begin = skua_now();
        return skua_future_poll(skua_sleep_init(&self->sleep, 10), waker);
    case 1:
        CHECK_EQ(skua_now() - self->begin, 10);
        skua_sleep_reset(&self->sleep, self->begin + 50);
        return skua_future_poll(&self->sleep.future, waker);
    default:
        answer = skua_future_poll(&self->sleep.future, waker);
        CHECK_EQ(answer, 0);
        CHECK_EQ(skua_now() - self->begin, 50);
        return answer;
    }
}

TEST_FIBER_CLOCK(reset_of_a_sleep_that_has_fired)
{
    struct late_look state = {.polls = 0};

    CHECK_EQ(test_run_poll(looks_late, &state, sizeof state), 0);
    return 0;
}

TEST_WAITING(reset_in_real_time)
{
    int64_t begin = skua_now();
    skua_sleep_future sleep;
    struct mover mover = {.future = {&mover_ops}, .other = &sleep};

    mover.moves = (int64_t[]){begin + MS(1), begin + MS(3), 0};
    skua_sleep_until_init(&mover.own, 0);
    CHECK_EQ(skua_select_biased(skua_sleep_init(&sleep, SKUA_HOUR), &mover.future), 0);
    CHECK_RANGE(skua_now() - begin, MS(3), MS(3) + TEST_LATE);
}

/* A task whose sleep was moved often is bound no longer than it waits. */
TEST_FIBER(reset_leaves_nothing_armed)
{
    skua_sleep_future sleep;
    struct test_parts parts;

    for (int i = 0; i < 200; i++) {
        test_parts_init(&parts, 1);
        test_part_give(&parts.part[0], 1);
        skua_sleep_init(&sleep, SKUA_HOUR);
        CHECK_EQ(skua_select_biased(&sleep.future, parts.futures[0]), 1);
        skua_sleep_reset(&sleep, skua_now() + SKUA_HOUR);
        skua_future_drop(&sleep.future);
    }
    return 0;
}

/* ---- the beat -------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(interval_ticks_at_once_and_then_each_period)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(skua_interval_init(&interval, 10, SKUA_MISSED_BURST), 0);
    CHECK_EQ(skua_interval_period(&interval), 10);
    for (int64_t i = 0; i < 100; i++)
        CHECK_TICK(&interval, begin, i * 10, i * 10);
    return 0;
}

TEST_FIBER_CLOCK(interval_counts_the_time_between_the_ticks)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(skua_interval_init(&interval, 2 * SKUA_SECOND, SKUA_MISSED_BURST), 0);
    for (int64_t i = 0; i < 10; i++) {
        CHECK_TICK(&interval, begin, i * 2 * SKUA_SECOND, i * 2 * SKUA_SECOND);
        CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    }
    return 0;
}

TEST_FIBER_CLOCK(interval_begins_when_it_is_told_to)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(
        skua_interval_init_with(&interval, MS(10), SKUA_INTERVAL_OPTIONS(.start = begin + MS(50))),
        0);
    CHECK_TICK(&interval, begin, MS(50), MS(50));
    CHECK_TICK(&interval, begin, MS(60), MS(60));
    CHECK_EQ(skua_interval_init_with(&interval, MS(10), NULL), 0);
    CHECK_TICK(&interval, begin, MS(60), MS(60));
    CHECK_EQ(
        skua_interval_init_with(&interval, MS(50), SKUA_INTERVAL_OPTIONS(.start = begin + MS(10))),
        0);
    CHECK_TICK(&interval, begin, MS(10), MS(60)); /* missed */
    CHECK_TICK(&interval, begin, MS(60), MS(60));
    CHECK_TICK(&interval, begin, MS(110), MS(110));
    return 0;
}

/* ---- missed ticks: the timelines of Tokio's manual ------------------------------------------- */

TEST_FIBER_CLOCK(interval_burst_catches_up)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(skua_interval_init(&interval, MS(50), SKUA_MISSED_BURST), 0);
    CHECK_EQ(skua_sleep(MS(200)), 0);
    for (int64_t due = 0; due <= 200; due += 50)
        CHECK_TICK(&interval, begin, MS(due), MS(200));
    CHECK_TICK(&interval, begin, MS(250), MS(250));
    CHECK_TICK(&interval, begin, MS(300), MS(300));
    return 0;
}

TEST_FIBER_CLOCK(interval_delay_moves_the_beat)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(skua_interval_init(&interval, MS(50), SKUA_MISSED_DELAY), 0);
    CHECK_TICK(&interval, begin, 0, 0);
    CHECK_EQ(skua_sleep(MS(130)), 0);
    CHECK_TICK(&interval, begin, MS(50), MS(130));
    CHECK_TICK(&interval, begin, MS(180), MS(180));
    CHECK_TICK(&interval, begin, MS(230), MS(230));
    return 0;
}

TEST_FIBER_CLOCK(interval_skip_keeps_the_beat)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(skua_interval_init(&interval, MS(50), SKUA_MISSED_SKIP), 0);
    CHECK_EQ(skua_sleep(MS(75)), 0);
    CHECK_TICK(&interval, begin, 0, MS(75));
    CHECK_TICK(&interval, begin, MS(100), MS(100));
    CHECK_EQ(skua_sleep(MS(300)), 0); /* on the beat itself: that one is left out, too */
    CHECK_TICK(&interval, begin, MS(150), MS(400));
    CHECK_TICK(&interval, begin, MS(450), MS(450));
    return 0;
}

/* Up to 5 ms late is what timers are: no tick is missed. */
TEST_FIBER_CLOCK(interval_is_patient_with_timers)
{
    static const skua_missed missed[] = {SKUA_MISSED_BURST, SKUA_MISSED_DELAY, SKUA_MISSED_SKIP};

    for (size_t i = 0; i < TEST_LEN(missed); i++) {
        int64_t begin = skua_now();
        skua_interval interval;

        CHECK_EQ(skua_interval_init(&interval, MS(4), missed[i]), 0);
        CHECK_EQ(skua_sleep(SKUA_MISSED_AFTER), 0);
        CHECK_TICK(&interval, begin, 0, MS(5));
        CHECK_TICK(&interval, begin, MS(4), MS(5));
        CHECK_TICK(&interval, begin, MS(8), MS(8));
        CHECK_EQ(skua_sleep(SKUA_MISSED_AFTER + MS(4) + 1), 0); /* one more is too much */
        CHECK_EQ(skua_interval_tick(&interval) - begin, MS(12));
        CHECK_EQ(skua_interval_tick(&interval) - begin, missed[i] == SKUA_MISSED_BURST ? MS(16)
                                                        : missed[i] == SKUA_MISSED_DELAY
                                                            ? MS(21) + 1
                                                            : MS(20));
    }
    return 0;
}

/* ---- resetting ------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(interval_is_reset)
{
    int64_t begin = skua_now();
    skua_interval interval;

    CHECK_EQ(skua_interval_init(&interval, 100, SKUA_MISSED_BURST), 0);
    CHECK_TICK(&interval, begin, 0, 0);
    CHECK_EQ(skua_sleep(50), 0);
    CHECK_EQ(skua_interval_reset(&interval), 0);
    CHECK_TICK(&interval, begin, 150, 150);
    CHECK_EQ(skua_sleep(50), 0);
    CHECK_EQ(skua_interval_reset_immediately(&interval), 0);
    CHECK_TICK(&interval, begin, 200, 200);
    CHECK_TICK(&interval, begin, 300, 300);
    CHECK_EQ(skua_interval_reset_after(&interval, 20), 0);
    CHECK_TICK(&interval, begin, 320, 320);
    CHECK_TICK(&interval, begin, 420, 420);
    CHECK_EQ(skua_interval_reset_at(&interval, begin + 1000), 0);
    CHECK_TICK(&interval, begin, 1000, 1000);
    CHECK_TICK(&interval, begin, 1100, 1100);
    CHECK_EQ(skua_interval_reset_after(&interval, -5), 0);
    CHECK_TICK(&interval, begin, 1100, 1100);
    CHECK_EQ(skua_interval_reset_after(&interval, SKUA_FOREVER), 0);
    CHECK_EQ(skua_interval_tick_until(&interval, begin + 2000), -ETIMEDOUT);
    CHECK_EQ(skua_interval_reset_at(&interval, -1), 0);
    CHECK_EQ(skua_interval_tick(&interval), 0);
    return 0;
}

/* ---- cancelled, dropped, busy ---------------------------------------------------------------- */

TEST_FIBER_CLOCK(interval_loses_no_tick_in_a_select)
{
    int64_t begin = skua_now();
    skua_interval interval;
    int64_t due = 0;

    CHECK_EQ(skua_interval_init(&interval, 100, SKUA_MISSED_BURST), 0);
    CHECK_TICK(&interval, begin, 0, 0);
    for (int64_t i = 1; i < 50; i++) {
        CHECK_EQ(skua_select(skua_ticking(&interval), skua_sleeping(60)), 1);
        CHECK_EQ(skua_select_to(&due, skua_ticking(&interval), skua_sleeping(60)), 0);
        CHECK_EQ(due - begin, i * 100);
        CHECK_EQ(skua_now(), due);
    }
    CHECK_EQ(skua_interval_tick_until(&interval, begin + 4999), -ETIMEDOUT);
    CHECK_TICK(&interval, begin, 5000, 5000);
    return 0;
}

static int ticks_forever(void *arg)
{
    int64_t answer;

    while ((answer = skua_interval_tick(arg)) >= 0)
        continue;
    return (int)answer;
}

TEST_FIBER_CLOCK(interval_is_cancelled)
{
    int64_t begin = skua_now();
    skua_interval interval;
    skua_task *task;
    int result = 0;

    CHECK_EQ(skua_interval_init(&interval, 100, SKUA_MISSED_BURST), 0);
    MUST(skua_spawn(NULL, ticks_forever, &interval, .task = &task) == 0);
    CHECK_EQ(skua_sleep(250), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_TICK(&interval, begin, 300, 300);
    return 0;
}

/* A tick is there, and the task is out of time: it learns that all the same. */
TEST_FIBER_CLOCK(interval_is_out_of_time_when_due)
{
    int64_t begin = skua_now();
    skua_interval interval;
    skua_deadline frame;

    CHECK_EQ(skua_interval_init(&interval, 100, SKUA_MISSED_BURST), 0);
    CHECK_EQ(skua_deadline_begin(&frame, begin), 0);
    CHECK_EQ(skua_interval_tick(&interval), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_TICK(&interval, begin, 0, 0);
    return 0;
}

TEST_FIBER_CLOCK(interval_is_one_tasks_at_a_time)
{
    int64_t begin = skua_now();
    skua_interval interval;
    skua_tick_future tick;
    skua_task *task;

    CHECK_EQ(skua_interval_init(&interval, 100, SKUA_MISSED_BURST), 0);
    MUST(skua_spawn(NULL, ticks_forever, &interval, .task = &task) == 0);
    CHECK_EQ(skua_sleep(50), 0);
    CHECK_EQ(skua_interval_tick(&interval), -EBUSY);
    CHECK_EQ(skua_await(skua_interval_tick_init(&tick, &interval)), -EBUSY);
    CHECK_EQ(skua_interval_reset(&interval), -EBUSY);
    CHECK_EQ(skua_interval_reset_immediately(&interval), -EBUSY);
    CHECK_EQ(skua_interval_reset_after(&interval, 1), -EBUSY);
    CHECK_EQ(skua_interval_reset_at(&interval, 1), -EBUSY);
    CHECK_EQ(skua_interval_period(&interval), 100);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_TICK(&interval, begin, 100, 100);
    skua_interval_tick_init(&tick, &interval); /* never asked: it has nothing to let go of */
    skua_future_drop(&tick.future);
    CHECK_TICK(&interval, begin, 200, 200);
    return 0;
}

/* ---- bad input ------------------------------------------------------------------------------- */

TEST(interval_refuses)
{
    skua_interval_options options = {0};
    skua_interval interval = {.period = 77};

    CHECK_EQ(skua_interval_init(&interval, 0, SKUA_MISSED_BURST), -EINVAL);
    CHECK_EQ(skua_interval_init(&interval, -1, SKUA_MISSED_BURST), -EINVAL);
    CHECK_EQ(skua_interval_init(&interval, 1, (skua_missed)3), -EINVAL);
    CHECK_EQ(skua_interval_init_with(&interval, 1, &options), -EINVAL);
    skua_interval_options_init(&options);
    options.start = -1;
    CHECK_EQ(skua_interval_init_with(&interval, 1, &options), -EINVAL);
    CHECK_EQ(interval.period, 77);
    options.start = 5;
    CHECK_EQ(skua_interval_init_with(&interval, 1, &options), 0);
    CHECK_EQ(skua_interval_tick(&interval), 5);
    CHECK_EQ(skua_interval_init(&interval, SKUA_FOREVER, SKUA_MISSED_SKIP), 0);
    CHECK(skua_interval_tick(&interval) > 0);
    CHECK_EQ(skua_interval_tick_until(&interval, 0), -ETIMEDOUT);
}

/* ---- everywhere ------------------------------------------------------------------------------ */

TEST_WAITING(interval_in_real_time)
{
    int64_t begin = skua_now();
    skua_interval interval;
    int64_t last = 0;

    CHECK_EQ(skua_interval_init(&interval, SKUA_MILLISECOND / 2, SKUA_MISSED_BURST), 0);
    for (int i = 0; i < 10; i++) {
        int64_t due = skua_interval_tick(&interval);

        CHECK(due >= begin && due <= skua_now());
        if (i > 0)
            CHECK_EQ(due - last, SKUA_MILLISECOND / 2);
        last = due;
    }
}

struct beats {
    skua_async async;
    skua_interval interval;
    skua_tick_future tick;
    skua_poll due;
    int64_t begin;
    int i;
};

static skua_poll beats(void *state, skua_waker *waker)
{
    struct beats *self = state;

    SKUA_ASYNC(self, waker);
    self->begin = skua_now();
    CHECK_EQ(skua_interval_init(&self->interval, 100, SKUA_MISSED_BURST), 0);
    for (self->i = 0; self->i < 20; self->i++) {
        SKUA_AWAIT_TO(self->due, skua_interval_tick_init(&self->tick, &self->interval));
        CHECK_EQ(self->due - self->begin, self->i * 100);
        CHECK_EQ(skua_now(), self->due);
    }
    SKUA_ASYNC_END(0);
}

TEST_FIBER_CLOCK(interval_in_a_poll_task)
{
    struct beats state = {.i = 0};

    CHECK_EQ(test_run_poll(beats, &state, sizeof state), 0);
    return 0;
}

/* Tasks with beats of their own, that take their time and change their mind, in any order. */
static int keeps_a_beat(void *arg)
{
    int64_t period = 1 + (int64_t)(skua_test_random() % 50);
    int64_t next = skua_now();
    skua_interval interval;
    int64_t due;

    (void)arg;
    CHECK_EQ(skua_interval_init(&interval, period, SKUA_MISSED_BURST), 0);
    for (int i = 0; i < 20; i++) {
        due = skua_test_random() % 3 == 0 ? skua_interval_tick_until(&interval, skua_now() + 20)
                                          : skua_interval_tick(&interval);
        if (due == -ETIMEDOUT) {
            CHECK(skua_now() <= next);
            continue;
        }
        CHECK_EQ(due, next);
        next += period;
        if (skua_test_random() % 4 == 0)
            CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 100)), 0);
        if (skua_test_random() % 8 == 0) {
            CHECK_EQ(skua_interval_reset(&interval), 0);
            next = skua_now() + period;
        }
    }
    return 0;
}

static int beats_of_many(TEST_UNUSED void *arg)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 5; i++)
        MUST(skua_spawn(&scope, keeps_a_beat, NULL) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return test_failures() ? -1 : 0;
}

TEST(interval_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), beats_of_many, NULL), 0);
}

/* Fibers and plain threads at one interval: each is told when another is at it, and no tick is
 * taken twice, or lost. */
struct crowd {
    skua_interval interval;
    int64_t end;
    atomic_int ticks, busy;
    atomic_llong last;
};

static int grabs(void *arg)
{
    struct crowd *crowd = arg;

    while (skua_now() < crowd->end) {
        int64_t due = skua_interval_tick_until(&crowd->interval, crowd->end);

        if (due == -EBUSY) {
            atomic_fetch_add(&crowd->busy, 1);
            CHECK_EQ(skua_yield(), 0);
        } else if (due != -ETIMEDOUT) {
            int64_t last = atomic_load(&crowd->last);

            CHECK(due >= 0 && due <= skua_now());
            atomic_fetch_add(&crowd->ticks, 1);
            while (last < due && !atomic_compare_exchange_weak(&crowd->last, &last, due))
                continue;
        }
    }
    return 0;
}

static void *grabs_on_a_thread(void *arg)
{
    (void)grabs(arg);
    return NULL;
}

TEST(interval_under_stress)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    const int64_t period = 40 * SKUA_MICROSECOND;
    int64_t begin = skua_now();
    struct crowd crowd = {.end = begin + test_stress_time(1) / 2, .last = begin};
    skua_task *tasks[4];
    pthread_t threads[2];

    CHECK_EQ(
        skua_interval_init_with(&crowd.interval, period, SKUA_INTERVAL_OPTIONS(.start = begin)), 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn_on(runtime, grabs, &crowd, .task = &tasks[i]) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, grabs_on_a_thread, &crowd) == 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(atomic_load(&crowd.ticks), (atomic_load(&crowd.last) - begin) / period + 1);
    test_note("%d ticks, %d times busy", atomic_load(&crowd.ticks), atomic_load(&crowd.busy));
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_before_the_sleep_begins),
        cmocka_unit_test(reset_of_an_armed_sleep_in_a_select),
        cmocka_unit_test(reset_of_a_sleep_that_has_fired),
        TEST_WAITING_ENTRIES(reset_in_real_time),
        cmocka_unit_test(reset_leaves_nothing_armed),
        cmocka_unit_test(interval_ticks_at_once_and_then_each_period),
        cmocka_unit_test(interval_counts_the_time_between_the_ticks),
        cmocka_unit_test(interval_begins_when_it_is_told_to),
        cmocka_unit_test(interval_burst_catches_up),
        cmocka_unit_test(interval_delay_moves_the_beat),
        cmocka_unit_test(interval_skip_keeps_the_beat),
        cmocka_unit_test(interval_is_patient_with_timers),
        cmocka_unit_test(interval_is_reset),
        cmocka_unit_test(interval_loses_no_tick_in_a_select),
        cmocka_unit_test(interval_is_cancelled),
        cmocka_unit_test(interval_is_out_of_time_when_due),
        cmocka_unit_test(interval_is_one_tasks_at_a_time),
        cmocka_unit_test(interval_refuses),
        TEST_WAITING_ENTRIES(interval_in_real_time),
        cmocka_unit_test(interval_in_a_poll_task),
        cmocka_unit_test(interval_in_any_order),
        cmocka_unit_test(interval_under_stress),
    };

    return TEST_MAIN(tests);
}
