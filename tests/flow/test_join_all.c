/* test_join_all.c - all of several futures.
 *
 * Specifies flow.h: skua_join_all, skua_try_join, and the futures of both.
 */
#include <pthread.h>

#include "part.h"

/* The same for both, where no part fails. */
static int64_t join(bool tries, struct test_parts *parts, int64_t *results, size_t count)
{
    return tries ? skua_try_join(parts->futures, results, count)
                 : skua_join_all(parts->futures, results, count);
}

/* ---- all are ready --------------------------------------------------------------------------- */

TEST_WAITING(join_gives_each_result)
{
    struct test_parts parts;
    int64_t results[65];

    for (int tries = 0; tries < 2; tries++) {
        test_parts_init(&parts, 65);
        for (int i = 0; i < 65; i++)
            test_part_give(&parts.part[i], i * 10);
        CHECK_EQ(join(tries, &parts, results, 65), 0);
        for (int i = 0; i < 65; i++) {
            CHECK_EQ(results[i], i * 10);
            CHECK_EQ(parts.part[i].polls, 1);
            CHECK_EQ(parts.part[i].drops, 0);
        }
        CHECK_EQ(join(tries, &parts, NULL, 0), 0);
        CHECK_EQ(join(tries, &parts, results, 0), 0);
    }
}

TEST_WAITING(join_all_goes_on_when_one_fails)
{
    struct test_parts parts;
    int64_t results[3];

    test_parts_init(&parts, 3);
    test_part_give(&parts.part[0], -EIO);
    test_part_give(&parts.part[1], INT64_MAX);
    test_part_give(&parts.part[2], -ECANCELED);
    CHECK_EQ(skua_join_all(parts.futures, results, 3), 0);
    CHECK_EQ(results[0], -EIO);
    CHECK_EQ(results[1], INT64_MAX);
    CHECK_EQ(results[2], -ECANCELED);
    CHECK_EQ(parts.dropped, 0);
    CHECK_EQ(skua_join_all(parts.futures, results, 3), 0); /* finished ones: wrong, but harmless */
    CHECK_EQ(results[1], SKUA_EUSAGE);
    CHECK_EQ(parts.part[1].polls, 1);
}

TEST_WAITING(join_counts_null_as_ready)
{
    struct test_parts parts;
    int64_t results[3] = {9, 9, 9};

    for (int tries = 0; tries < 2; tries++) {
        test_parts_init(&parts, 3);
        parts.futures[0] = parts.futures[2] = NULL;
        test_part_give(&parts.part[1], 7);
        CHECK_EQ(join(tries, &parts, results, 3), 0);
        CHECK_EQ(results[0], 0);
        CHECK_EQ(results[1], 7);
        CHECK_EQ(results[2], 0);
    }
}

/* ---- waiting --------------------------------------------------------------------------------- */

TEST_WAITING(join_waits_for_the_last)
{
    struct test_parts parts;
    int64_t results[4], begin;

    for (int tries = 0; tries < 2; tries++) {
        pthread_t threads[2];

        test_parts_init(&parts, 4);
        test_part_give(&parts.part[0], 1);
        test_part_give(&parts.part[2], 3);
        for (int i = 0; i < 2; i++)
            MUST(pthread_create(&threads[i], NULL, test_part_giver_thread,
                                &parts.part[i * 2 + 1]) == 0);
        CHECK_EQ(join(tries, &parts, results, 4), 0);
        CHECK_EQ(results[1], 77);
        CHECK_EQ(results[3], 77);
        CHECK_EQ(parts.part[0].polls, 1); /* what is ready is not asked again */
        CHECK_EQ(parts.part[2].polls, 1);
        CHECK_EQ(parts.dropped, 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
    }
    begin = skua_now();
    CHECK_EQ(skua_join_all((skua_future *[]){skua_sleeping(MS(5)), skua_sleeping(MS(20)),
                                             skua_sleeping(0), skua_sleeping(MS(10))},
                           results, 4),
             0);
    CHECK_RANGE(skua_now() - begin, MS(20), MS(20) + TEST_LATE);
}

TEST_FIBER(join_of_many)
{
    enum { MANY = 1000 };
    static skua_sleep_future sleeps[MANY];
    static skua_future *futures[MANY];
    static int64_t results[MANY];

    for (int i = 0; i < MANY; i++)
        futures[i] = skua_sleep_init(&sleeps[i], MS(1) / 100 * (i % 7));
    CHECK_EQ(skua_join_all(futures, results, MANY), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(results[i], 0);
    return 0;
}

/* ---- the first that fails -------------------------------------------------------------------- */

TEST_WAITING(try_join_drops_the_others)
{
    struct test_parts parts;
    int64_t results[5];

    test_parts_init(&parts, 5);
    test_part_give(&parts.part[0], 10);
    test_part_give(&parts.part[2], -EPIPE);
    test_part_give(&parts.part[4], -EIO); /* later in the array: it is not even asked */
    CHECK_EQ(skua_try_join(parts.futures, results, 5), -EPIPE);
    CHECK_EQ(results[0], 10);
    CHECK_EQ(results[1], SKUA_PENDING);
    CHECK_EQ(results[2], -EPIPE);
    CHECK_EQ(results[3], SKUA_PENDING);
    CHECK_EQ(results[4], SKUA_PENDING);
    CHECK_EQ(parts.part[4].polls, 0);
    CHECK_EQ(parts.part[1].place, 1);
    CHECK_EQ(parts.part[3].place, 2);
    CHECK_EQ(parts.part[4].place, 3);
    CHECK_EQ(parts.dropped, 3);
    CHECK_EQ(test_event_waiters(&parts.part[1].given), 0);
}

static int fails_later(void *arg)
{
    struct test_parts *parts = arg;

    while (test_event_waiters(&parts->part[2].given) == 0)
        skua_yield();
    test_part_give(&parts->part[0], 0);
    skua_sleep(MS(1));
    test_part_give(&parts->part[1], -EIO);
    return 0;
}

TEST_FIBER(try_join_fails_while_it_waits)
{
    struct test_parts parts;
    int64_t results[3];

    test_parts_init(&parts, 3);
    MUST(skua_spawn(NULL, fails_later, &parts) == 0);
    CHECK_EQ(skua_try_join(parts.futures, results, 3), -EIO);
    CHECK_EQ(results[0], 0);
    CHECK_EQ(results[1], -EIO);
    CHECK_EQ(results[2], SKUA_PENDING);
    CHECK_EQ(parts.part[2].drops, 1);
    CHECK_EQ(parts.dropped, 1);
    return 0;
}

/* ---- ends that are not a part's -------------------------------------------------------------- */

struct joiner {
    struct test_parts parts;
    bool tries;
};

static int joins_until_cancelled(void *arg)
{
    struct joiner *self = arg;
    int64_t results[3] = {9, 9, 9};

    CHECK_EQ(join(self->tries, &self->parts, results, 3), -ECANCELED);
    CHECK_EQ(results[0], SKUA_PENDING);
    CHECK_EQ(results[1], 5); /* it was ready: whoever was waiting must know */
    CHECK_EQ(results[2], SKUA_PENDING);
    test_parts_check(&self->parts, 3, 1);
    test_parts_init(&self->parts, 3); /* cancelled before: no part is asked */
    CHECK_EQ(join(self->tries, &self->parts, results, 3), -ECANCELED);
    CHECK_EQ(results[1], SKUA_PENDING);
    CHECK_EQ(self->parts.part[0].polls, 0);
    test_parts_check(&self->parts, 3, -1);
    return 0;
}

TEST_FIBER(join_is_cancelled)
{
    struct joiner joiner;

    for (int tries = 0; tries < 2; tries++) {
        skua_task *task;

        joiner.tries = tries;
        test_parts_init(&joiner.parts, 3);
        test_part_give(&joiner.parts.part[1], 5);
        MUST(skua_spawn(NULL, joins_until_cancelled, &joiner, .task = &task) == 0);
        while (test_event_waiters(&joiner.parts.part[2].given) == 0)
            CHECK_EQ(skua_yield(), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, NULL), 0);
    }
    return 0;
}

TEST_FIBER(join_ends_with_the_tasks_deadline)
{
    struct test_parts parts;
    skua_deadline frame;

    for (int tries = 0; tries < 2; tries++) {
        CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(5)), 0);
        test_parts_init(&parts, 2);
        CHECK_EQ(join(tries, &parts, NULL, 2), -ETIMEDOUT);
        test_parts_check(&parts, 2, -1);
        skua_deadline_end(&frame);
    }
    return 0;
}

/* ---- as futures ------------------------------------------------------------------------------ */

struct polled {
    skua_async async;
    struct test_parts *parts;
    int64_t *results;
    bool tries;
    skua_join_all_future join;
    skua_poll answer;
};

static skua_poll joins(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_join_all(self->parts->futures + 2, NULL, 1), SKUA_EUSAGE);
    if (self->tries)
        SKUA_AWAIT_TO(self->answer,
                      skua_try_join_init(&self->join, self->parts->futures, self->results, 2));
    else
        SKUA_AWAIT_TO(self->answer,
                      skua_join_all_init(&self->join, self->parts->futures, self->results, 2));
    SKUA_ASYNC_END(self->answer);
}

TEST_FIBER(join_in_a_poll_task)
{
    struct test_parts parts;
    int64_t results[2];
    struct polled state = {.parts = &parts, .results = results};

    for (int tries = 0; tries < 2; tries++) {
        state.tries = tries;
        test_parts_init(&parts, 3);
        test_part_give(&parts.part[0], 5);
        MUST(skua_spawn(NULL, test_part_giver, &parts.part[1]) == 0);
        CHECK_EQ(test_run_poll(joins, &state, sizeof state), 0);
        CHECK_EQ(results[0], 5);
        CHECK_EQ(results[1], 77);
        CHECK_EQ(parts.part[2].drops, 1); /* of the call that may not be there */
        CHECK_EQ(parts.dropped, 1);
    }
    test_parts_init(&parts, 3);
    test_part_give(&parts.part[1], -EIO);
    CHECK_EQ(test_run_poll(joins, &state, sizeof state), -EIO);
    CHECK_EQ(parts.part[0].drops, 1);
    return 0;
}

TEST_WAITING(join_in_a_select)
{
    struct test_parts parts;
    skua_join_all_future one, other;
    int64_t result = 99;

    test_parts_init(&parts, 4);
    test_part_give(&parts.part[2], 5);
    test_part_give(&parts.part[3], 6);
    CHECK_EQ(skua_select_to(&result, skua_join_all_init(&one, parts.futures, NULL, 2),
                            skua_try_join_init(&other, parts.futures + 2, NULL, 2)),
             1);
    CHECK_EQ(result, 0);
    CHECK_EQ(parts.part[0].place, 1);
    CHECK_EQ(parts.part[1].place, 2);
    CHECK_EQ(parts.dropped, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(join_gives_each_result),
        TEST_WAITING_ENTRIES(join_all_goes_on_when_one_fails),
        TEST_WAITING_ENTRIES(join_counts_null_as_ready),
        TEST_WAITING_ENTRIES(join_waits_for_the_last),
        cmocka_unit_test(join_of_many),
        TEST_WAITING_ENTRIES(try_join_drops_the_others),
        cmocka_unit_test(try_join_fails_while_it_waits),
        cmocka_unit_test(join_is_cancelled),
        cmocka_unit_test(join_ends_with_the_tasks_deadline),
        cmocka_unit_test(join_in_a_poll_task),
        TEST_WAITING_ENTRIES(join_in_a_select),
    };

    return TEST_MAIN(tests);
}
