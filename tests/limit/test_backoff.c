/* test_backoff.c - pauses that grow, their bounds, and the budget for retries.
 *
 * Specifies the backoff and the budget of retry.h.
 */
#include <math.h>
#include <pthread.h>

#include "../lib/part.h"

#define SEC SKUA_SECOND

/* ---- backoff --------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(backoff_grows_up_to_its_bound)
{
    static const int64_t pauses[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    skua_backoff backoff;

    CHECK_EQ(skua_backoff_init(&backoff,
                               SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_NONE, .attempts = 10)),
             0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < TEST_LEN(pauses); i++)
            CHECK_EQ(skua_backoff_next(&backoff), MS(pauses[i]));
        CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
        CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
        skua_backoff_reset(&backoff);
    }
    CHECK_EQ(skua_backoff_init(&backoff,
                               SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_NONE, .multiplier = 1,
                                                    .initial = SEC, .attempts = 100)),
             0);
    for (int i = 0; i < 99; i++)
        CHECK_EQ(skua_backoff_next(&backoff), SEC);
    CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
    return 0;
}

TEST_FIBER_CLOCK(backoff_makes_three_tries_by_default)
{
    skua_backoff_options options;
    skua_backoff backoff;

    skua_backoff_options_init(&options);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_backoff_init(&backoff, i ? &options : NULL), 0);
        CHECK_RANGE(skua_backoff_next(&backoff), 0, MS(100));
        CHECK_RANGE(skua_backoff_next(&backoff), 0, MS(200));
        CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
    }
    CHECK_EQ(skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.attempts = 1)), 0);
    CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
    return 0;
}

/* The lowest, highest and mean of many pauses with a bound of a second. */
static void check_jitter(skua_jitter jitter, int64_t low, int64_t high)
{
    int64_t least = INT64_MAX, most = 0, sum = 0;
    skua_backoff backoff;

    CHECK_EQ(skua_backoff_init(&backoff,
                               SKUA_BACKOFF_OPTIONS(.initial = SEC, .max = SEC, .jitter = jitter,
                                                    .attempts = SKUA_ATTEMPTS_FOREVER)),
             0);
    for (int i = 0; i < 1000; i++) {
        int64_t pause = skua_backoff_next(&backoff);

        least = pause < least ? pause : least;
        most = pause > most ? pause : most;
        sum += pause / 1000;
    }
    CHECK_RANGE(least, low, low + (high - low) / 20);
    CHECK_RANGE(most, high - (high - low) / 20, high);
    CHECK_RANGE(sum, (low + high) / 2 - (high - low) / 20, (low + high) / 2 + (high - low) / 20);
}

TEST_FIBER_CLOCK(backoff_jitter_is_where_it_says)
{
    check_jitter(SKUA_JITTER_FULL, 0, SEC);
    check_jitter(SKUA_JITTER_EQUAL, SEC / 2, SEC);
    return 0;
}

static void check_jitter_on_a_thread(void)
{
    skua_backoff backoff;
    int64_t before = -1;
    int same = 0;

    CHECK_EQ(skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.attempts = 100)), 0);
    for (int i = 0; i < 99; i++) {
        int64_t pause = skua_backoff_next(&backoff);

        CHECK_RANGE(pause, 0, 10 * SEC);
        same += pause == before;
        before = pause;
    }
    CHECK(same < 5);
}

TEST_WAITING(backoff_is_random_everywhere)
{
    check_jitter_on_a_thread();
}

/* AWS: between the base and three times the pause before. */
TEST_FIBER_CLOCK(backoff_decorrelated_follows_the_pause_before)
{
    skua_backoff backoff;
    int64_t before = MS(100), most = 0;

    CHECK_EQ(skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_DECORRELATED,
                                                              .attempts = 2000)),
             0);
    for (int i = 0; i < 1000; i++) {
        int64_t pause = skua_backoff_next(&backoff);

        CHECK_RANGE(pause, MS(100), before * 3 < 10 * SEC ? before * 3 : 10 * SEC);
        most = pause > most ? pause : most;
        before = pause;
    }
    CHECK_RANGE(most, 8 * SEC, 10 * SEC);
    return 0;
}

static int64_t drawn[2][50];

static int draws(void *arg)
{
    skua_backoff backoff;

    CHECK_EQ(skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.attempts = 51)), 0);
    for (int i = 0; i < 50; i++)
        ((int64_t *)arg)[i] = skua_backoff_next(&backoff);
    return 0;
}

TEST(backoff_is_drawn_again_by_the_same_seed)
{
    CHECK_EQ(skua_test_run(draws, drawn[0], SKUA_TEST_OPTIONS(.seed = 7)), 0);
    CHECK_EQ(skua_test_run(draws, drawn[1], SKUA_TEST_OPTIONS(.seed = 7)), 0);
    CHECK(memcmp(drawn[0], drawn[1], sizeof drawn[0]) == 0);
    CHECK_EQ(skua_test_run(draws, drawn[1], SKUA_TEST_OPTIONS(.seed = 8)), 0);
    CHECK(memcmp(drawn[0], drawn[1], sizeof drawn[0]) != 0);
}

TEST_FIBER_CLOCK(backoff_takes_a_hint)
{
    skua_backoff backoff;

    CHECK_EQ(
        skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_NONE, .attempts = 9,
                                                         .deadline = skua_now() + SKUA_MINUTE)),
        0);
    CHECK_EQ(skua_backoff_next_after(&backoff, 30 * SEC), 30 * SEC); /* above .max, too */
    CHECK_EQ(skua_backoff_next_after(&backoff, MS(1)), MS(200));
    CHECK_EQ(skua_backoff_next_after(&backoff, 0), MS(400));
    CHECK_EQ(skua_backoff_next_after(&backoff, INT64_MIN), MS(800));
    CHECK_EQ(skua_backoff_next_after(&backoff, SKUA_MINUTE), SKUA_ELIMIT);
    CHECK_EQ(skua_backoff_next_after(&backoff, SKUA_FOREVER), SKUA_ELIMIT);
    return 0;
}

TEST_FIBER_CLOCK(backoff_ends_with_its_time)
{
    skua_backoff backoff;

    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_backoff_init(&backoff,
                                   SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_NONE, .attempts = 99,
                                                        .deadline = i ? skua_now() + SEC : 0,
                                                        .total = i ? SKUA_HOUR : SEC)),
                 0);
        for (int n = 0; n < 3; n++)
            CHECK_EQ(skua_sleep(skua_backoff_next(&backoff)), 0); /* 700 ms in all */
        CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
    }
    CHECK_EQ(
        skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_NONE,
                                                         .initial = MS(100), .total = MS(100))),
        0);
    CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT); /* the try would begin with the end */
    return 0;
}

TEST_FIBER_CLOCK(backoff_does_not_outlast_the_task)
{
    skua_backoff backoff;
    skua_deadline frame;

    CHECK_EQ(skua_backoff_init(&backoff,
                               SKUA_BACKOFF_OPTIONS(.jitter = SKUA_JITTER_NONE, .attempts = 9)),
             0);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(150)), 0);
    CHECK_EQ(skua_backoff_next(&backoff), MS(100));
    CHECK_EQ(skua_backoff_next(&backoff), SKUA_ELIMIT);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_backoff_next(&backoff), MS(400));
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    return 0;
}

TEST_FIBER_CLOCK(backoff_does_not_overflow)
{
    static const int64_t initials[] = {1, SEC, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    static const double factors[] = {1, 1.5, 2, 1e18, INFINITY};
    skua_backoff backoff;

    for (size_t i = 0; i < TEST_LEN(initials); i++)
        for (size_t f = 0; f < TEST_LEN(factors); f++)
            for (int jitter = SKUA_JITTER_FULL; jitter <= SKUA_JITTER_DECORRELATED; jitter++) {
                CHECK_EQ(skua_backoff_init(&backoff,
                                           SKUA_BACKOFF_OPTIONS(.initial = initials[i],
                                                                .max = SKUA_FOREVER,
                                                                .multiplier = factors[f],
                                                                .jitter = (skua_jitter)jitter,
                                                                .total = i % 2 ? SKUA_FOREVER : 0,
                                                                .attempts = SKUA_ATTEMPTS_FOREVER)),
                         0);
                for (int n = 0; n < 100; n++)
                    CHECK_RANGE(skua_backoff_next(&backoff), 0, INT64_MAX);
            }
    return 0;
}

TEST(backoff_refuses_bad_options)
{
    skua_backoff backoff;
    const skua_backoff_options bad[] = {
        {.size = 1},
        {.size = sizeof bad[0], .initial = -1},
        {.size = sizeof bad[0], .max = -1},
        {.size = sizeof bad[0], .initial = SEC, .max = SEC - 1},
        {.size = sizeof bad[0], .multiplier = 0.5},
        {.size = sizeof bad[0], .multiplier = -1},
        {.size = sizeof bad[0], .multiplier = NAN},
        {.size = sizeof bad[0], .jitter = (skua_jitter)4},
        {.size = sizeof bad[0], .total = -1},
    };

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_backoff_init(&backoff, &bad[i]), -EINVAL);
    CHECK_EQ(skua_backoff_init(&backoff, SKUA_BACKOFF_OPTIONS(.initial = SKUA_HOUR)), 0);
}

/* ---- the budget ------------------------------------------------------------------------------ */

static int withdrawals(skua_retry_budget *budget)
{
    int count = 0;

    while (skua_retry_budget_try_withdraw(budget) == 0)
        count++;
    CHECK_EQ(skua_retry_budget_balance(budget), 0);
    return count;
}

TEST_FIBER_CLOCK(budget_has_a_reserve_and_a_share)
{
    skua_retry_budget ready = SKUA_RETRY_BUDGET_INIT;
    skua_retry_budget budget;

    CHECK_EQ(skua_retry_budget_init(&budget, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        skua_retry_budget_deposit(&budget);
        skua_retry_budget_deposit(&ready);
    }
    CHECK_EQ(skua_retry_budget_balance(&budget), 300); /* 10 a second for 10 s, 20 % of 1000 */
    CHECK_EQ(withdrawals(&budget), 300);
    CHECK_EQ(withdrawals(&ready), 300);
    CHECK_EQ(skua_retry_budget_init(&budget, SKUA_RETRY_BUDGET_OPTIONS(.min_per_second = -1)), 0);
    CHECK_EQ(withdrawals(&budget), 0);
    for (int i = 0; i < 14; i++)
        skua_retry_budget_deposit(&budget);
    CHECK_EQ(withdrawals(&budget), 2); /* of 2.8 */
    CHECK_EQ(skua_retry_budget_init(&budget, SKUA_RETRY_BUDGET_OPTIONS(.percent = -1, .window = SEC,
                                                                       .min_per_second = 5)),
             0);
    skua_retry_budget_deposit(&budget);
    CHECK_EQ(withdrawals(&budget), 5);
    return 0;
}

TEST_FIBER_CLOCK(budget_forgets_what_is_older_than_its_window)
{
    skua_retry_budget budget;

    CHECK_EQ(skua_retry_budget_init(
                 &budget, SKUA_RETRY_BUDGET_OPTIONS(.percent = 100, .min_per_second = -1)),
             0);
    for (int second = 0; second < 10; second++) {
        for (int i = 0; i < 10; i++)
            skua_retry_budget_deposit(&budget);
        CHECK_EQ(skua_retry_budget_balance(&budget), 10 * (second + 1));
        CHECK_EQ(skua_sleep(SEC), 0);
    }
    for (int second = 1; second <= 10; second++) {
        CHECK_EQ(skua_retry_budget_balance(&budget), 100 - 10 * second);
        CHECK_EQ(skua_sleep(SEC), 0);
    }
    skua_retry_budget_deposit(&budget);
    CHECK_EQ(skua_sleep(SKUA_HOUR), 0); /* more than one turn of the ring */
    CHECK_EQ(skua_retry_budget_balance(&budget), 0);
    return 0;
}

/* What is withdrawn is withdrawn for a window: the reserve is not there anew each second. */
TEST_FIBER_CLOCK(budget_reserve_comes_back_after_a_window)
{
    skua_retry_budget budget = SKUA_RETRY_BUDGET_INIT;

    CHECK_EQ(withdrawals(&budget), 100);
    CHECK_EQ(skua_sleep(9 * SEC), 0);
    CHECK_EQ(withdrawals(&budget), 0);
    CHECK_EQ(skua_sleep(SEC), 0);
    CHECK_EQ(withdrawals(&budget), 100);
    return 0;
}

TEST(budget_refuses_bad_options)
{
    skua_retry_budget budget;

    CHECK_EQ(skua_retry_budget_init(&budget, &(skua_retry_budget_options){.size = 3}), -EINVAL);
    CHECK_EQ(skua_retry_budget_init(&budget, SKUA_RETRY_BUDGET_OPTIONS(.window = 9)), -EINVAL);
    CHECK_EQ(skua_retry_budget_init(&budget, SKUA_RETRY_BUDGET_OPTIONS(.window = -SEC)), -EINVAL);
    CHECK_EQ(skua_retry_budget_init(&budget, SKUA_RETRY_BUDGET_OPTIONS(.window = SKUA_HOUR + 1)),
             -EINVAL);
    CHECK_EQ(skua_retry_budget_init(
                 &budget, SKUA_RETRY_BUDGET_OPTIONS(.percent = SKUA_RETRY_BUDGET_MAX + 1)),
             -EINVAL);
    CHECK_EQ(skua_retry_budget_init(
                 &budget, SKUA_RETRY_BUDGET_OPTIONS(.min_per_second = SKUA_RETRY_BUDGET_MAX + 1)),
             -EINVAL);
    CHECK_EQ(skua_retry_budget_init(
                 &budget,
                 SKUA_RETRY_BUDGET_OPTIONS(.window = SKUA_HOUR, .percent = SKUA_RETRY_BUDGET_MAX,
                                           .min_per_second = SKUA_RETRY_BUDGET_MAX)),
             0);
    CHECK_EQ(skua_retry_budget_balance(&budget), INT64_C(100000) * 3600);
}

/* Each pays in what it takes out. */
static void *pays_for_retries(void *arg)
{
    for (int i = 0; i < TEST_COUNT(200000); i++) {
        skua_retry_budget_deposit(arg);
        CHECK_EQ(skua_retry_budget_try_withdraw(arg), 0);
    }
    return NULL;
}

TEST(budget_is_shared_by_threads)
{
    skua_retry_budget budget;
    pthread_t threads[3];

    CHECK_EQ(skua_retry_budget_init(&budget,
                                    SKUA_RETRY_BUDGET_OPTIONS(.window = SKUA_HOUR, .percent = 100,
                                                              .min_per_second = -1)),
             0);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_create(&threads[i], NULL, pays_for_retries, &budget) == 0);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(skua_retry_budget_balance(&budget), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_grows_up_to_its_bound),
        cmocka_unit_test(backoff_makes_three_tries_by_default),
        cmocka_unit_test(backoff_jitter_is_where_it_says),
        TEST_WAITING_ENTRIES(backoff_is_random_everywhere),
        cmocka_unit_test(backoff_decorrelated_follows_the_pause_before),
        cmocka_unit_test(backoff_is_drawn_again_by_the_same_seed),
        cmocka_unit_test(backoff_takes_a_hint),
        cmocka_unit_test(backoff_ends_with_its_time),
        cmocka_unit_test(backoff_does_not_outlast_the_task),
        cmocka_unit_test(backoff_does_not_overflow),
        cmocka_unit_test(backoff_refuses_bad_options),
        cmocka_unit_test(budget_has_a_reserve_and_a_share),
        cmocka_unit_test(budget_forgets_what_is_older_than_its_window),
        cmocka_unit_test(budget_reserve_comes_back_after_a_window),
        cmocka_unit_test(budget_refuses_bad_options),
        cmocka_unit_test(budget_is_shared_by_threads),
    };

    return TEST_MAIN(tests);
}
