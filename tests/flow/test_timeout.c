/* test_timeout.c - a future that is not waited for longer than it may take.
 *
 * Specifies flow.h: skua_timeout, skua_timeout_at, and the futures of both.
 */
#include <pthread.h>

#include "part.h"

/* No timer of the plain thread is armed; a fiber's are its worker's. */
static void check_no_timer(void)
{
    if (skua_task_current_id() == 0)
        CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
}

/* ---- in time --------------------------------------------------------------------------------- */

TEST_WAITING(timeout_gives_the_result)
{
    static const int64_t results[] = {0, 5, INT64_MAX, -EIO, -ETIMEDOUT, -ECANCELED};
    struct test_parts parts;

    for (size_t i = 0; i < TEST_LEN(results); i++) {
        int64_t result = 99;

        test_parts_init(&parts, 1); /* its own -ETIMEDOUT is a result like any other */
        test_part_give(&parts.part[0], results[i]);
        CHECK_EQ(skua_timeout(parts.futures[0], SKUA_SECOND, &result), 0);
        CHECK_EQ(result, results[i]);
        test_parts_check(&parts, 1, 0);
        test_parts_init(&parts, 1);
        test_part_give(&parts.part[0], results[i]);
        CHECK_EQ(skua_timeout_at(parts.futures[0], skua_now() + SKUA_SECOND, NULL), 0);
        test_parts_check(&parts, 1, 0);
    }
    check_no_timer();
}

TEST_WAITING(timeout_waits_for_the_work)
{
    struct test_parts parts;
    pthread_t thread;
    int64_t result = 0;

    test_parts_init(&parts, 1);
    MUST(pthread_create(&thread, NULL, test_part_giver_thread, &parts.part[0]) == 0);
    CHECK_EQ(skua_timeout(parts.futures[0], SKUA_HOUR, &result), 0);
    CHECK_EQ(result, 77);
    test_parts_check(&parts, 1, 0);
    pthread_join(thread, NULL);
    check_no_timer();
}

TEST_WAITING(timeout_may_be_for_ever)
{
    struct test_parts parts;
    pthread_t thread;

    for (int at = 0; at < 2; at++) {
        test_parts_init(&parts, 1);
        MUST(pthread_create(&thread, NULL, test_part_giver_thread, &parts.part[0]) == 0);
        CHECK_EQ(at ? skua_timeout_at(parts.futures[0], SKUA_FOREVER, NULL)
                    : skua_timeout(parts.futures[0], SKUA_FOREVER, NULL),
                 0);
        test_parts_check(&parts, 1, 0);
        pthread_join(thread, NULL);
    }
}

/* ---- too late -------------------------------------------------------------------------------- */

TEST_WAITING(timeout_drops_the_work)
{
    struct test_parts parts;
    int64_t begin = skua_now(), result = 99;

    test_parts_init(&parts, 1);
    CHECK_EQ(skua_timeout(parts.futures[0], MS(5), &result), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(result, 99);
    test_parts_check(&parts, 1, -1);
    begin = skua_now();
    test_parts_init(&parts, 1);
    CHECK_EQ(skua_timeout_at(parts.futures[0], begin + MS(5), &result), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    test_parts_check(&parts, 1, -1);
    check_no_timer();
}

TEST_WAITING(timeout_asks_the_work_first)
{
    static const int64_t past[] = {0, -1, INT64_MIN};
    struct test_parts parts;
    int64_t result;

    for (size_t i = 0; i < TEST_LEN(past); i++) {
        for (int at = 0; at < 2; at++) {
            test_parts_init(&parts, 2);
            test_part_give(&parts.part[0], 5);
            result = 99;
            CHECK_EQ(at ? skua_timeout_at(parts.futures[0], past[i], &result)
                        : skua_timeout(parts.futures[0], past[i], &result),
                     0);
            CHECK_EQ(result, 5);
            CHECK_EQ(at ? skua_timeout_at(parts.futures[1], past[i], &result)
                        : skua_timeout(parts.futures[1], past[i], &result),
                     -ETIMEDOUT);
            CHECK_EQ(parts.part[1].polls, 1);
            CHECK_EQ(result, 5);
            test_parts_check(&parts, 2, 0);
        }
    }
}

/* The work and the time are up when the task has its next turn: the work wins. */
struct late {
    struct test_parts parts;
    skua_task *task;
};

static int waits_a_little(void *arg)
{
    struct late *self = arg;
    int64_t result = 0;

    CHECK_EQ(skua_timeout(self->parts.futures[0], MS(50), &result), 0);
    test_parts_check(&self->parts, 1, 0);
    return (int)result;
}

TEST_FIBER_CURRENT(timeout_is_not_for_work_that_is_ready)
{
    struct late late;
    int64_t end;
    int result = 0;

    test_parts_init(&late.parts, 1);
    MUST(skua_spawn(NULL, waits_a_little, &late, .task = &late.task) == 0);
    while (test_event_waiters(&late.parts.part[0].given) == 0)
        CHECK_EQ(skua_yield(), 0);
    for (end = skua_now() + MS(55); skua_now() < end;)
        continue; /* this fiber keeps the worker */
    test_part_give(&late.parts.part[0], 5);
    CHECK_EQ(skua_task_join(late.task, &result), 0);
    CHECK_EQ(result, 5);
    return 0;
}

/* ---- the task's own end ---------------------------------------------------------------------- */

static int times_out_or_is_cancelled(void *arg)
{
    struct test_parts *parts = arg;
    int64_t result = 99;

    CHECK_EQ(skua_timeout(parts->futures[0], SKUA_HOUR, &result), -ECANCELED);
    test_parts_check(parts, 1, -1);
    test_parts_init(parts, 1); /* cancelled before: the work is not asked */
    test_part_give(&parts->part[0], 0);
    CHECK_EQ(skua_timeout(parts->futures[0], SKUA_HOUR, &result), -ECANCELED);
    CHECK_EQ(parts->part[0].polls, 0);
    test_parts_check(parts, 1, -1);
    CHECK_EQ(result, 99);
    return 0;
}

TEST_FIBER(timeout_is_cancelled)
{
    struct test_parts parts;
    skua_task *task;

    test_parts_init(&parts, 1);
    MUST(skua_spawn(NULL, times_out_or_is_cancelled, &parts, .task = &task) == 0);
    while (test_event_waiters(&parts.part[0].given) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    return 0;
}

TEST_FIBER(timeout_ends_with_the_tasks_deadline)
{
    struct test_parts parts;
    skua_deadline frame;
    int64_t begin = skua_now();

    CHECK_EQ(skua_deadline_begin(&frame, begin + MS(5)), 0);
    test_parts_init(&parts, 1);
    CHECK_EQ(skua_timeout(parts.futures[0], SKUA_HOUR, NULL), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    test_parts_check(&parts, 1, -1);
    skua_deadline_end(&frame);
    return 0;
}

/* ---- as futures ------------------------------------------------------------------------------ */

struct polled {
    skua_async async;
    struct test_parts *parts;
    int64_t duration;
    skua_timeout_future timeout;
    skua_poll answer;
    int64_t result;
};

static skua_poll waits(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_timeout(self->parts->futures[1], SKUA_SECOND, NULL), SKUA_EUSAGE);
    SKUA_AWAIT_TO(self->answer, skua_timeout_init(&self->timeout, self->parts->futures[0],
                                                  self->duration, &self->result));
    SKUA_ASYNC_END(self->answer < 0 ? self->answer : self->result);
}

TEST_FIBER(timeout_in_a_poll_task)
{
    struct test_parts parts;
    struct polled state = {.parts = &parts, .duration = SKUA_HOUR};

    test_parts_init(&parts, 2);
    MUST(skua_spawn(NULL, test_part_giver, &parts.part[0]) == 0);
    CHECK_EQ(test_run_poll(waits, &state, sizeof state), 77);
    test_parts_check(&parts, 2, 0);
    test_parts_init(&parts, 2);
    state.duration = MS(3);
    CHECK_EQ(test_run_poll(waits, &state, sizeof state), -ETIMEDOUT);
    CHECK_EQ(parts.part[0].drops, 1);
    return 0;
}

TEST_WAITING(timeout_nests)
{
    struct test_parts parts;
    skua_timeout_future inner;
    skua_join_all_future join;
    int64_t result = 99;

    test_parts_init(&parts, 2);
    CHECK_EQ(skua_timeout(skua_timeout_at_init(&inner, parts.futures[0], skua_now() + MS(2), NULL),
                          SKUA_HOUR, &result),
             0);
    CHECK_EQ(result, -ETIMEDOUT); /* the inner one's */
    CHECK_EQ(skua_timeout(skua_selecting(parts.futures[1], skua_sleeping(SKUA_HOUR)), MS(2), NULL),
             -ETIMEDOUT);
    test_parts_check(&parts, 2, -1);
    test_parts_init(&parts, 2);
    test_part_give(&parts.part[0], 1);
    CHECK_EQ(skua_timeout(skua_join_all_init(&join, parts.futures, NULL, 2), MS(2), &result),
             -ETIMEDOUT);
    CHECK_EQ(parts.part[1].drops, 1);
    CHECK_EQ(parts.dropped, 1);
    check_no_timer();
}

TEST_FIBER(timeout_of_a_join)
{
    skua_task *task;
    int64_t answer = 99;
    int result = 0;

    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .task = &task) == 0);
    CHECK_EQ(skua_timeout(skua_joining(task, &result), MS(2), &answer), -ETIMEDOUT);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_timeout(skua_joining(task, &result), SKUA_HOUR, &answer), 0);
    CHECK_EQ(answer, 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

/* ---- under a test's clock: no deadline is nothing to wait for -------------------------------- */

static int waits_for_ever(void *arg)
{
    struct test_parts parts;

    (void)arg;
    test_parts_init(&parts, 1);
    CHECK_EQ(skua_timeout(parts.futures[0], SKUA_HOUR, NULL), -ETIMEDOUT);
    test_parts_init(&parts, 1);
    return skua_timeout(parts.futures[0], SKUA_FOREVER, NULL);
}

TEST(timeout_for_ever_arms_no_timer)
{
    CHECK_EQ(skua_test_run(waits_for_ever, NULL, SKUA_TEST_OPTIONS(.patience = MS(50))), -EDEADLK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(timeout_gives_the_result),
        TEST_WAITING_ENTRIES(timeout_waits_for_the_work),
        TEST_WAITING_ENTRIES(timeout_may_be_for_ever),
        TEST_WAITING_ENTRIES(timeout_drops_the_work),
        TEST_WAITING_ENTRIES(timeout_asks_the_work_first),
        cmocka_unit_test(timeout_is_not_for_work_that_is_ready),
        cmocka_unit_test(timeout_is_cancelled),
        cmocka_unit_test(timeout_ends_with_the_tasks_deadline),
        cmocka_unit_test(timeout_in_a_poll_task),
        TEST_WAITING_ENTRIES(timeout_nests),
        cmocka_unit_test(timeout_of_a_join),
        cmocka_unit_test(timeout_for_ever_arms_no_timer),
    };

    return TEST_MAIN(tests);
}
