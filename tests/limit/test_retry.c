/* test_retry.c - trying again: both kinds of retry, direct and as a future.
 *
 * Specifies the retries of retry.h; the pauses and the budget are test_backoff.c's.
 */
#include "../lib/part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define SEC SKUA_SECOND

/* ---- retry ----------------------------------------------------------------------------------- */

struct flaky {
    int fails;    /* so many tries fail */
    int error;    /* with this */
    int64_t time; /* a try takes */
    int tries;
    int told; /* pauses */
    int64_t paused;
    bool refuses; /* retry_if says no */
    bool masks;   /* a try that is cancelled fails with its own error */
};

static int flaky_try(void *arg)
{
    struct flaky *self = arg;
    int rc;

    self->tries++;
    if (self->time != 0 && (rc = skua_sleep(self->time)) != 0)
        return self->masks ? self->error : rc;
    return self->tries <= self->fails ? self->error : 70 + self->tries;
}

static int flaky_asked(int rc, void *arg)
{
    (void)rc;
    return !((struct flaky *)arg)->refuses;
}

static void flaky_told(unsigned attempt, int rc, int64_t pause, void *arg)
{
    struct flaky *self = arg;

    CHECK_EQ(attempt, ++self->told);
    CHECK(rc < 0);
    self->paused += pause;
}

static int64_t flaky_hint(int rc, void *arg)
{
    (void)arg;
    return rc == -EBUSY ? 30 * SEC : 0;
}

TEST_FIBER_CLOCK(retry_goes_on_until_it_succeeds)
{
    struct flaky flaky = {.fails = 2, .error = -ECONNRESET};
    int64_t begin = skua_now();

    CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.on_retry = flaky_told)), 73);
    CHECK_EQ(flaky.tries, 3);
    CHECK_EQ(flaky.told, 2);
    CHECK_EQ(skua_now() - begin, flaky.paused);
    CHECK_RANGE(flaky.paused, 1, MS(300));
    flaky = (struct flaky){.fails = 3, .error = -ECONNRESET};
    CHECK_EQ(skua_retry(flaky_try, &flaky, NULL), -ECONNRESET); /* the last error */
    CHECK_EQ(flaky.tries, 3);
    return 0;
}

TEST_WAITING(retry_waits_for_real)
{
    struct flaky flaky = {.fails = 2, .error = -EIO};
    int64_t begin = skua_now();

    CHECK_EQ(
        skua_retry(flaky_try, &flaky,
                   SKUA_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.initial = MS(2),
                                                                      .jitter = SKUA_JITTER_NONE))),
        73);
    CHECK_RANGE(skua_now() - begin, MS(6), MS(6) + TEST_LATE);
}

TEST_FIBER_CLOCK(retry_knows_what_is_worth_it)
{
    static const struct {
        int error, tries;
    } rows[] = {
        {-EIO, 3},        {-ECONNREFUSED, 3}, {-ETIMEDOUT, 3},   {-ENOMEM, 3},
        {SKUA_ELIMIT, 3}, {-EAGAIN, 3},       {SKUA_ECLOSED, 1}, {SKUA_EUSAGE, 1},
        {-EINVAL, 1},     {-ECANCELED, 1},    {SKUA_EEOF, 1},    {-77777, 1},
    };

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        struct flaky flaky = {.fails = 9, .error = rows[i].error};

        CHECK_EQ(skua_retry(flaky_try, &flaky, NULL), rows[i].error);
        CHECK_EQ(flaky.tries, rows[i].tries);
        flaky = (struct flaky){.fails = 9, .error = rows[i].error};
        CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.retry_if = flaky_asked)),
                 rows[i].error);
        CHECK_EQ(flaky.tries, 3);
        flaky = (struct flaky){.fails = 9, .error = rows[i].error, .refuses = true};
        CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.retry_if = flaky_asked)),
                 rows[i].error);
        CHECK_EQ(flaky.tries, 1);
    }
    return 0;
}

TEST_FIBER_CLOCK(retry_takes_a_hint)
{
    struct flaky flaky = {.fails = 1, .error = -EBUSY};
    int64_t begin = skua_now();

    CHECK_EQ(skua_retry(flaky_try, &flaky,
                        SKUA_RETRY_OPTIONS(.retry_if = flaky_asked, .hint_of = flaky_hint)),
             72);
    CHECK_EQ(skua_now() - begin, 30 * SEC);
    return 0;
}

TEST_FIBER_CLOCK(retry_gives_each_try_its_time)
{
    struct flaky flaky = {.time = MS(50)};
    int64_t begin = skua_now();

    CHECK_EQ(skua_retry(flaky_try, &flaky,
                        SKUA_RETRY_OPTIONS(.try_timeout = MS(20), .on_retry = flaky_told)),
             -ETIMEDOUT);
    CHECK_EQ(flaky.tries, 3);
    CHECK_EQ(skua_now() - begin, flaky.paused + MS(60));
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    flaky = (struct flaky){.time = MS(50)};
    CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.try_timeout = SKUA_FOREVER)), 71);
    return 0;
}

TEST_FIBER_CLOCK(retry_ends_with_the_task)
{
    struct flaky flaky = {.fails = 99, .error = -EIO, .time = MS(50)};
    skua_retry_budget budget = SKUA_RETRY_BUDGET_INIT;
    int64_t begin = skua_now(), balance = skua_retry_budget_balance(&budget);
    skua_deadline frame;

    CHECK_EQ(skua_deadline_begin(&frame, begin + MS(20)), 0); /* during a try */
    CHECK_EQ(skua_retry(flaky_try, &flaky,
                        SKUA_RETRY_OPTIONS(.try_timeout = SEC, .on_retry = flaky_told,
                                           .backoff = SKUA_BACKOFF_OPTIONS(.budget = &budget))),
             -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, MS(20));
    CHECK_EQ(flaky.tries, 1);
    CHECK_EQ(flaky.told, 0);
    CHECK_EQ(skua_retry_budget_balance(&budget), balance);
    CHECK_EQ(skua_retry(flaky_try, &flaky, NULL), -ETIMEDOUT); /* before a try */
    CHECK_EQ(flaky.tries, 1);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    return 0;
}

static int retries_for_ever(void *arg)
{
    return skua_retry(
        flaky_try, arg,
        SKUA_RETRY_OPTIONS(.on_retry = flaky_told,
                           .backoff =
                               SKUA_BACKOFF_OPTIONS(.attempts = SKUA_ATTEMPTS_FOREVER,
                                                    .jitter = SKUA_JITTER_NONE, .initial = SEC)));
}

TEST_FIBER_CLOCK(retry_is_cancelled_in_a_pause_and_in_a_try)
{
    for (int64_t when = MS(500); when <= MS(1500); when += SEC) {
        struct flaky flaky = {.fails = 99, .error = -EIO, .time = SEC};
        skua_task *task;
        int result = 0;

        MUST(skua_spawn(NULL, retries_for_ever, &flaky, .task = &task) == 0);
        CHECK_EQ(skua_sleep(when), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        CHECK_EQ(flaky.tries, 1);
        CHECK_EQ(flaky.told, when > SEC);
    }
    return 0;
}

static int retries_with_a_budget(void *arg)
{
    static skua_retry_budget budget = SKUA_RETRY_BUDGET_INIT;
    int64_t balance = skua_retry_budget_balance(&budget);

    CHECK_EQ(skua_retry(flaky_try, arg,
                        SKUA_RETRY_OPTIONS(.on_retry = flaky_told,
                                           .backoff = SKUA_BACKOFF_OPTIONS(.budget = &budget))),
             -ECANCELED);
    CHECK_EQ(skua_retry_budget_balance(&budget), balance);
    return 0;
}

/* Whatever the try says: a cancelled task takes nothing from the budget, and tells nobody. */
TEST_FIBER_CLOCK(retry_knows_that_it_is_cancelled)
{
    struct flaky flaky = {.error = -EIO, .time = SEC, .masks = true};
    skua_task *task;

    MUST(skua_spawn(NULL, retries_with_a_budget, &flaky, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(500)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(flaky.tries, 1);
    CHECK_EQ(flaky.told, 0);
    return 0;
}

TEST_FIBER_CLOCK(retry_leaves_the_budget_to_others_when_it_is_empty)
{
    skua_retry_budget budget;
    int tries = 0;

    CHECK_EQ(skua_retry_budget_init(&budget,
                                    SKUA_RETRY_BUDGET_OPTIONS(.min_per_second = -1, .percent = 20)),
             0);
    for (int i = 0; i < 100; i++) {
        struct flaky flaky = {.fails = 99, .error = -EIO};

        CHECK_EQ(
            skua_retry(flaky_try, &flaky,
                       SKUA_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.initial = 1, .max = 1,
                                                                          .budget = &budget))),
            -EIO);
        tries += flaky.tries;
    }
    CHECK_EQ(tries, 120); /* the service is down: its load grows by a fifth, not threefold */
    return 0;
}

TEST(retry_refuses_bad_options)
{
    const skua_backoff_options bad = {.size = sizeof bad, .initial = -1};
    struct flaky flaky = {.fails = 0};

    CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.backoff = &bad)), -EINVAL);
    CHECK_EQ(skua_retry(flaky_try, &flaky, &(skua_retry_options){.size = 1}), -EINVAL);
    CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.try_timeout = -1)), -EINVAL);
    CHECK_EQ(skua_retry(flaky_try, &flaky, SKUA_RETRY_OPTIONS(.try_timeout = 1)),
             SKUA_EUSAGE); /* on a thread nothing could end the try */
    CHECK_EQ(flaky.tries, 0);
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(retry_needs_memory_for_a_deadline)
{
    struct flaky flaky = {.fails = 0};
    skua_retry_options options = {.size = sizeof options, .try_timeout = SEC};
    skua_backoff_options pauses = {.size = sizeof pauses, .initial = 1, .max = 1};

    options.backoff = &pauses;
    for (unsigned count = 1; count <= 3; count++) {
        flaky.tries = 0;
        skua__fault_arm(SKUA__FAULT_MALLOC, 1, count, ENOMEM);
        CHECK_EQ(skua_retry(flaky_try, &flaky, &options), count < 3 ? 71 : -ENOMEM);
        CHECK_EQ(flaky.tries, count < 3);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    return 0;
}
#endif

/* ---- as a future ----------------------------------------------------------------------------- */

/* Tries that are timeouts of sleeps: the first `fails` of them take too long. */
struct polled {
    skua_async async;
    int fails, tries;
    int64_t time; /* a try that succeeds takes */
    int64_t answer;
    skua_sleep_future sleep;
    skua_timeout_future timeout;
    skua_retry_future retry;
    const skua_retry_options *options;
};

static skua_future *polled_start(void *arg)
{
    struct polled *self = arg;

    if (self->fails < 0)
        return NULL;
    skua_sleep_init(&self->sleep, self->tries++ < self->fails ? SKUA_HOUR : self->time);
    return skua_timeout_init(&self->timeout, &self->sleep.future, SEC, NULL);
}

static skua_poll polled(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_retry(test_fiber_return, NULL, NULL), SKUA_EUSAGE);
    SKUA_AWAIT_TO(self->answer, skua_retry_init(&self->retry, polled_start, self, self->options));
    SKUA_ASYNC_END(self->answer == 0 ? self->tries : self->answer);
}

static int64_t run_polled(struct polled state, int64_t time)
{
    int64_t begin = skua_now();
    int64_t result = test_run_poll(polled, &state, sizeof state);

    CHECK_EQ(skua_now() - begin, time);
    return result;
}

TEST_FIBER_CLOCK(retry_in_a_poll_task)
{
    const skua_backoff_options pauses = {
        .size = sizeof pauses, .initial = SEC, .jitter = SKUA_JITTER_NONE};
    const skua_retry_options options = {.size = sizeof options, .backoff = &pauses};
    const skua_retry_options bad = {.size = 2};

    CHECK_EQ(run_polled((struct polled){.options = &options, .time = MS(5)}, MS(5)), 1);
    CHECK_EQ(run_polled((struct polled){.options = &options, .fails = 1}, 2 * SEC), 2);
    CHECK_EQ(run_polled((struct polled){.options = &options, .fails = 2}, 5 * SEC), 3);
    CHECK_EQ(run_polled((struct polled){.options = &options, .fails = 3}, 6 * SEC), -ETIMEDOUT);
    CHECK_EQ(run_polled((struct polled){.options = &options, .fails = -1}, 0), SKUA_EUSAGE);
    CHECK_EQ(run_polled((struct polled){.options = &bad}, 0), -EINVAL);
    return 0;
}

TEST_FIBER_CLOCK(retry_future_gives_each_try_its_time)
{
    struct polled state = {.fails = 2};
    skua_retry_future retry;
    int64_t begin = skua_now();

    CHECK_EQ(skua_await(skua_retry_init(
                 &retry, polled_start, &state,
                 SKUA_RETRY_OPTIONS(.try_timeout = MS(10),
                                    .backoff = SKUA_BACKOFF_OPTIONS(.initial = MS(1), .max = MS(1),
                                                                    .jitter = SKUA_JITTER_NONE)))),
             0);
    CHECK_EQ(skua_now() - begin, MS(22));
    CHECK_EQ(state.tries, 3);
    return 0;
}

/* Dropped before, in a try and in a pause: each part is let go of. */
TEST_FIBER_CLOCK(retry_future_is_dropped_at_any_time)
{
    struct polled state = {.fails = 9};

    for (int64_t time = 0; time <= 6 * SEC; time += MS(100)) {
        state = (struct polled){.fails = 9, .time = MS(5)};
        CHECK_EQ(skua_timeout(
                     skua_retrying(
                         polled_start, &state,
                         SKUA_RETRY_OPTIONS(.backoff =
                                                SKUA_BACKOFF_OPTIONS(.initial = SEC, .attempts = 9,
                                                                     .jitter = SKUA_JITTER_NONE))),
                     time, NULL),
                 -ETIMEDOUT);
        CHECK(state.tries == 0 || state.sleep.waker == NULL);
        CHECK(state.tries == 0 || state.timeout.timer.waker == NULL);
    }
    return 0;
}

static int retries_in_some_order(TEST_UNUSED void *arg)
{
    struct flaky flaky[3];
    struct polled state = {.fails = 1, .time = MS(3)};
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 3; i++) {
        flaky[i] = (struct flaky){.fails = 3, .error = -EIO, .time = MS(i)};
        MUST(skua_spawn(&scope, retries_for_ever, &flaky[i]) == 0);
    }
    CHECK_EQ(skua_await(skua_retrying(polled_start, &state, NULL)), 0);
    CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % (10 * SEC))), 0);
    skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    for (int i = 0; i < 3; i++)
        CHECK_RANGE(flaky[i].tries, 0, 4);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(retry_in_a_thousand_orders)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), retries_in_some_order, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_goes_on_until_it_succeeds),
        TEST_WAITING_ENTRIES(retry_waits_for_real),
        cmocka_unit_test(retry_knows_what_is_worth_it),
        cmocka_unit_test(retry_takes_a_hint),
        cmocka_unit_test(retry_gives_each_try_its_time),
        cmocka_unit_test(retry_ends_with_the_task),
        cmocka_unit_test(retry_is_cancelled_in_a_pause_and_in_a_try),
        cmocka_unit_test(retry_knows_that_it_is_cancelled),
        cmocka_unit_test(retry_leaves_the_budget_to_others_when_it_is_empty),
        cmocka_unit_test(retry_refuses_bad_options),
#ifdef SKUA_FAULTS
        cmocka_unit_test(retry_needs_memory_for_a_deadline),
#endif
        cmocka_unit_test(retry_in_a_poll_task),
        cmocka_unit_test(retry_future_gives_each_try_its_time),
        cmocka_unit_test(retry_future_is_dropped_at_any_time),
        cmocka_unit_test(retry_in_a_thousand_orders),
    };

    return TEST_MAIN(tests);
}
