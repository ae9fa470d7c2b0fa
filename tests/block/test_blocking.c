/* test_blocking.c - code that blocks, on threads of its own.
 *
 * Specifies blocking.h; test_blocking_threads.c has the threads.
 */
#include <pthread.h>

#include "gate.h"
#include "parked.h"
#include "part.h"
#include "usage.h"

static int fails(TEST_UNUSED void *arg)
{
    return -EIO;
}

/* ---- running --------------------------------------------------------------------------------- */

static int is_elsewhere(void *arg)
{
    CHECK(!pthread_equal(*(pthread_t *)arg, pthread_self()));
    CHECK_EQ(skua_task_current_id(), 0);
    return 7;
}

TEST_FIBER(blocking_gives_the_result)
{
    pthread_t worker = pthread_self();

    CHECK_EQ(skua_blocking(is_elsewhere, &worker), 7);
    CHECK_EQ(skua_blocking(fails, NULL), -EIO);
    CHECK_EQ(skua_block_in_place(is_elsewhere, &worker), 7);
    return 0;
}

static int is_here(void *arg)
{
    CHECK(pthread_equal(*(pthread_t *)arg, pthread_self()));
    return 7;
}

TEST(blocking_on_a_thread_is_a_call)
{
    pthread_t me = pthread_self();

    CHECK_EQ(skua_blocking(is_here, &me), 7);
    CHECK_EQ(skua_block_in_place(is_here, &me), 7);
}

struct poll_blocks {
    skua_async async;
    skua_blocking_future blocking;
    skua_blocking_options options;
    struct gate *gate;
    int64_t result;
};

static skua_poll polls_a_job(void *state, skua_waker *waker)
{
    struct poll_blocks *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->result,
                  skua_blocking_init(&self->blocking, holds, self->gate, &self->options));
    SKUA_ASYNC_END(self->result);
}

TEST_FIBER(blocking_in_a_poll_task)
{
    struct gate gate = {.open = 1};
    struct poll_blocks state = {.options = {.size = sizeof state.options, .drop = drops},
                                .gate = &gate};

    CHECK_EQ(test_run_poll(polls_a_job, &state, sizeof state), 7);
    CHECK_EQ(atomic_load(&gate.drops), 0);
    state.options.drop = NULL; /* it could not wait for the job's end */
    CHECK_EQ(test_run_poll(polls_a_job, &state, sizeof state), SKUA_EUSAGE);
    return 0;
}

static int counts_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    test_thread_sleep(SKUA_MILLISECOND);
    return 0;
}

static int blocks_once(void *arg)
{
    return skua_blocking(counts_up, arg);
}

/* The worker goes on meanwhile, and jobs run side by side. */
TEST_FIBER(jobs_run_side_by_side)
{
    int64_t begin = skua_now();
    atomic_int count = 0;
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(skua_spawn(&scope, blocks_once, &count), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&count), 200);
    CHECK_RANGE(skua_now() - begin, SKUA_MILLISECOND, MS(150) + TEST_LATE);
    return 0;
}

/* Ends when all of them are inside. */
static int meets(void *arg)
{
    atomic_int *inside = arg;
    int64_t until = skua_now() + 20 * SKUA_SECOND;

    atomic_fetch_add(inside, 1);
    while (atomic_load(inside) < 60 && skua_now() < until)
        test_thread_sleep(SKUA_MILLISECOND / 4);
    return atomic_load(inside) < 60 ? -ETIMEDOUT : 0;
}

static int meets_on_pool(void *arg)
{
    return skua_blocking(meets, arg);
}

/* A burst calls one thread, and that calls others: each job has one of its own all the same, be the
 * threads new, as in the first round, or idle. */
TEST_FIBER(jobs_of_a_burst_have_a_thread_each)
{
    for (int round = 0; round < 5; round++) {
        atomic_int inside = 0;
        skua_scope scope;

        MUST(skua_scope_open(&scope, SKUA_FAIL_FAST) == 0);
        for (int i = 0; i < 60; i++)
            CHECK_EQ(skua_spawn(&scope, meets_on_pool, &inside), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(atomic_load(&inside), 60);
    }
    return 0;
}

static const skua_local_key key;

static int sees_context(void *arg)
{
    CHECK(skua_local_get(&key) == arg);
    return skua_deadline_current() == 1000 * SKUA_HOUR ? 0 : -EIO;
}

static int sees_nothing(TEST_UNUSED void *arg)
{
    CHECK(skua_local_get(&key) == NULL);
    return skua_deadline_current() == SKUA_FOREVER ? 0 : -EIO;
}

TEST_FIBER(context_goes_along)
{
    skua_deadline deadline;
    skua_local local;
    int value;

    CHECK_EQ(skua_deadline_begin(&deadline, 1000 * SKUA_HOUR), 0);
    CHECK_EQ(skua_local_begin(&local, &key, &value), 0);
    CHECK_EQ(skua_blocking(sees_context, &value), 0);
    CHECK_EQ(skua_local_end(&local), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_blocking(sees_nothing, NULL), 0);
    return 0;
}

/* ---- cancelling ------------------------------------------------------------------------------ */

TEST_FIBER(running_job_keeps_its_caller)
{
    struct gate gate = {.open = 0};

    cancel_while_it_runs(&gate, NULL, 7); /* what it answers wins over the cancellation */
    CHECK_EQ(atomic_load(&gate.inside), 1);
    return 0;
}

TEST_FIBER(running_job_is_abandoned)
{
    struct gate gate = {.open = 0};

    cancel_while_it_runs(&gate, drops, -ECANCELED);
    CHECK_EQ(atomic_load(&gate.drops), 0);
    atomic_store(&gate.open, 1);
    test_yield_until(&gate.drops);
    CHECK_EQ(atomic_load(&gate.drops), 1);
    return 0;
}

static int calls_cancelled(void *arg)
{
    struct gate *gate = arg;

    CHECK_EQ(skua_task_cancel_id(skua_runtime_current(), skua_task_current_id()), 0);
    CHECK_EQ(skua_blocking(holds, gate, .drop = drops), -ECANCELED);
    return 0;
}

/* What was cancelled before it began gives its argument back, too. */
TEST_FIBER(job_of_a_cancelled_task_is_dropped)
{
    struct gate gate = {.open = 1};

    CHECK_EQ(skua_spawn(NULL, calls_cancelled, &gate), 0);
    test_yield_until(&gate.drops);
    CHECK_EQ(atomic_load(&gate.inside), 0);
    CHECK_EQ(atomic_load(&gate.drops), 1);
    return 0;
}

TEST_FIBER(deadline_abandons_a_job)
{
    struct gate gate = {.open = 0};
    int64_t begin = skua_now();
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(5)), 0);
    CHECK_EQ(skua_blocking(holds, &gate, .drop = drops), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    atomic_store(&gate.open, 1);
    test_yield_until(&gate.drops);
    return 0;
}

TEST_FIBER(job_is_lost_in_a_select)
{
    struct gate gate = {.open = 0};
    struct gate quick = {.open = 1};

    CHECK_EQ(skua_select(skua_blocking_on_pool(holds, &gate, .drop = drops), skua_sleeping(MS(1))),
             1);
    atomic_store(&gate.open, 1);
    test_yield_until(&gate.drops);
    CHECK_EQ(skua_select_biased(skua_sleeping(0), skua_blocking_on_pool(holds, &quick)), 0);
    CHECK_EQ(atomic_load(&quick.inside), 0); /* it was not even asked */
    return 0;
}

struct loser {
    struct gate gate;
    skua_event lost;
};

static int opens_later(void *arg)
{
    struct loser *loser = arg;

    wait_until_inside(&loser->gate);
    skua_event_set(&loser->lost);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    atomic_store(&loser->gate.open, 1);
    return 0;
}

/* Without .drop the fiber waits: nothing uses its frame behind its back. */
TEST_FIBER(select_waits_for_a_job_that_it_lost)
{
    struct loser loser = {.lost = SKUA_EVENT_INIT};

    CHECK_EQ(skua_spawn(NULL, opens_later, &loser), 0);
    CHECK_EQ(skua_select_biased(skua_event_waiting(&loser.lost),
                                skua_blocking_on_pool(holds, &loser.gate)),
             0);
    CHECK_EQ(atomic_load(&loser.gate.open), 1);
    return 0;
}

/* With one thread that is busy a second job stays in line. */
static int second_job_never_runs(void *arg)
{
    struct gate gate = {.open = 0}, second = {.open = 1};
    struct caller first = {&gate, NULL, 0}, other = {&second, arg != NULL ? drops : NULL, 0};
    skua_task *tasks[2];

    MUST(skua_spawn(NULL, calls, &first, .task = &tasks[0]) == 0);
    wait_until_inside(&gate);
    MUST(skua_spawn(NULL, calls, &other, .task = &tasks[1]) == 0);
    test_until_parked(tasks[1], NULL);
    CHECK_EQ(skua_task_cancel(tasks[1]), 0);
    CHECK_EQ(skua_task_join(tasks[1], NULL), 0);
    CHECK_EQ(other.result, -ECANCELED);
    CHECK_EQ(atomic_load(&second.inside), 0);
    CHECK_EQ(atomic_load(&second.drops), arg != NULL);
    atomic_store(&gate.open, 1);
    CHECK_EQ(skua_task_join(tasks[0], NULL), 0);
    CHECK_EQ(first.result, 7);
    return 0;
}

TEST(job_in_line_is_taken_out)
{
    for (int i = 0; i < TEST_KINDS; i++)
        for (int with_drop = 0; with_drop < 2; with_drop++) {
            skua_runtime *runtime =
                test_runtime_with(&test_kinds[i], (skua_runtime_options){.blocking_threads = 1});

            test_run(runtime, second_job_never_runs, with_drop ? runtime : NULL);
            test_runtime_free(runtime);
        }
}

static int shielded(void *arg)
{
    struct gate *gate = arg;

    CHECK_EQ(skua_block_in_place(holds, gate), 7);
    return skua_cancelled();
}

TEST_FIBER(block_in_place_is_not_cancelled)
{
    struct gate gate = {.open = 0};
    skua_task *task;
    int result = 0;

    MUST(skua_spawn(NULL, shielded, &gate, .task = &task) == 0);
    wait_until_inside(&gate);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    atomic_store(&gate.open, 1);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

/* ---- mistakes, the clock of a test --------------------------------------------------- */

TEST_FIBER(blocking_refuses)
{
    skua_blocking_options options = {.size = 3};

    CHECK_EQ(skua_blocking_with(returns_seven, NULL, &options), -EINVAL);
    CHECK_EQ(skua_blocking_with(NULL, NULL, NULL), -EINVAL);
    skua_blocking_options_init(&options);
    CHECK_EQ(skua_blocking_with(returns_seven, NULL, &options), 7);
    return 0;
}

static int sleeps_a_little(TEST_UNUSED void *arg)
{
    test_thread_sleep(MS(5));
    return 0;
}

/* Nobody's timer runs out because a job takes its time in the real world. */
static int clock_stands(TEST_UNUSED void *arg)
{
    int64_t begin = skua_now();
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_begin(&deadline, begin + SKUA_MICROSECOND), 0);
    CHECK_EQ(skua_blocking(sleeps_a_little, NULL), 0);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_now() - begin, 0);
    CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
    CHECK_EQ(skua_now() - begin, SKUA_HOUR);
    return 0;
}

TEST(clock_of_a_test_waits_for_jobs)
{
    CHECK_EQ(skua_test_run(clock_stands, NULL, NULL), 0);
}

/* ---- stress ---------------------------------------------------------------------------------- */

struct storm {
    atomic_llong calls, ran, dropped, given, never;
    int64_t until;
};

static int storm_job(void *arg)
{
    struct storm *storm = arg;

    if (atomic_fetch_add(&storm->ran, 1) % 7 == 0)
        test_thread_sleep(50 * SKUA_MICROSECOND);
    return 0;
}

static void storm_drop(void *arg)
{
    atomic_fetch_add(&((struct storm *)arg)->dropped, 1);
}

static int storms(void *arg)
{
    struct storm *storm = arg;
    uint64_t random = (uint64_t)skua_task_current_id() | 1;

    while (skua_now() < storm->until) {
        skua_select_options options = {.size = sizeof options};
        skua_blocking_future job;
        skua_future *futures[1];
        int64_t result;

        atomic_fetch_add(&storm->calls, 1);
        futures[0] =
            skua_blocking_init(&job, storm_job, storm, SKUA_BLOCKING_OPTIONS(.drop = storm_drop));
        options.deadline = skua_now() + 1 + (int64_t)(test_random(&random) % 200000);
        atomic_fetch_add(&storm->given, skua_select_from(futures, 1, &options, &result) == 0);
    }
    return 0;
}

/* Each call ends in one of two ways: with the job's result, or with one drop. */
TEST(storm_of_jobs_that_are_cut_short)
{
    skua_runtime *runtime = test_runtime_with(
        &test_kinds[2], (skua_runtime_options){.blocking_threads = 5, .blocking_keep_alive = 1000});
    struct storm storm = {.until = skua_now() + test_stress_time(1)};
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(skua_spawn(&scope, storms, &storm), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime); /* waits for the abandoned ones */
    CHECK(atomic_load(&storm.given) > 0 && atomic_load(&storm.dropped) > 0);
    CHECK_EQ(atomic_load(&storm.given) + atomic_load(&storm.dropped), atomic_load(&storm.calls));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocking_gives_the_result),
        cmocka_unit_test(blocking_on_a_thread_is_a_call),
        cmocka_unit_test(blocking_in_a_poll_task),
        cmocka_unit_test(jobs_run_side_by_side),
        cmocka_unit_test(jobs_of_a_burst_have_a_thread_each),
        cmocka_unit_test(context_goes_along),
        cmocka_unit_test(running_job_keeps_its_caller),
        cmocka_unit_test(running_job_is_abandoned),
        cmocka_unit_test(job_of_a_cancelled_task_is_dropped),
        cmocka_unit_test(deadline_abandons_a_job),
        cmocka_unit_test(job_is_lost_in_a_select),
        cmocka_unit_test(select_waits_for_a_job_that_it_lost),
        cmocka_unit_test(job_in_line_is_taken_out),
        cmocka_unit_test(block_in_place_is_not_cancelled),
        cmocka_unit_test(blocking_refuses),
        cmocka_unit_test(clock_of_a_test_waits_for_jobs),
        cmocka_unit_test(storm_of_jobs_that_are_cut_short),
    };

    return TEST_MAIN(tests);
}
