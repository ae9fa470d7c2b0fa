/* test_blocking_threads.c - the threads that jobs run on: how many, how long, and without.
 *
 * Specifies the options and counters of runtime.h that go with blocking.h, and what becomes of jobs
 * when there is no memory or no thread for them.
 */
#include "gate.h"
#include "usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

/* ---- threads --------------------------------------------------------------------------------- */

TEST_FIBER(jobs_are_counted)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    struct gate gate = {.open = 1};

    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_blocking(holds, &gate), 7);
    CHECK(skua_runtime_snapshot(arg, &stats, NULL, 0) > 0);
    CHECK_EQ(stats.blocking_jobs, 100);
    CHECK_RANGE(stats.blocking_threads, 1, 10); /* one after the other: no crowd */
    CHECK_EQ(stats.blocking_queue, 0);
    CHECK(stats.blocking_wait_ns > 0);
    return 0;
}

static int runs_at_most(void *arg)
{
    struct gate gate = {.open = 0};
    struct caller callers[6];
    skua_runtime_stats stats = {.size = sizeof stats};
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 6; i++) {
        callers[i] = (struct caller){&gate, NULL, 0};
        CHECK_EQ(skua_spawn(&scope, calls, &callers[i]), 0);
    }
    while (atomic_load(&gate.inside) < 2 || stats.blocking_queue < 4) {
        CHECK_EQ(skua_yield(), 0);
        CHECK(skua_runtime_snapshot(arg, &stats, NULL, 0) > 0);
    }
    CHECK_EQ(skua_sleep(MS(10)), 0); /* nothing more happens */
    CHECK(skua_runtime_snapshot(arg, &stats, NULL, 0) > 0);
    CHECK_EQ(stats.blocking_threads, 2);
    CHECK_EQ(stats.blocking_queue, 4);
    CHECK_EQ(atomic_load(&gate.inside), 2);
    atomic_store(&gate.open, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&gate.inside), 6);
    return 0;
}

TEST(threads_are_bounded)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[1], (skua_runtime_options){.blocking_threads = 2});

    test_run(runtime, runs_at_most, runtime);
    test_runtime_free(runtime);
}

static int outlives_its_threads(void *arg)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    int64_t until = skua_now() + 2 * TEST_LATE;

    CHECK_EQ(skua_blocking(returns_seven, NULL), 7);
    do {
        CHECK_EQ(skua_sleep(MS(5)), 0);
        CHECK(skua_runtime_snapshot(arg, &stats, NULL, 0) > 0);
    } while (stats.blocking_threads != 0 && skua_now() < until);
    CHECK_EQ(stats.blocking_threads, 0);
    CHECK_EQ(skua_blocking(returns_seven, NULL), 7);
    return 0;
}

TEST(idle_threads_end)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[1], (skua_runtime_options){.blocking_keep_alive = MS(5)});

    test_run(runtime, outlives_its_threads, runtime);
    test_runtime_free(runtime);
}

static int keeps_its_thread(void *arg)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    CHECK_EQ(skua_blocking(returns_seven, NULL) + skua_sleep(MS(20)), 7);
    CHECK(skua_runtime_snapshot(arg, &stats, NULL, 0) > 0);
    CHECK_EQ(stats.blocking_threads, 1);
    return 0;
}

TEST(idle_threads_may_stay_for_ever)
{
    skua_runtime *runtime = test_runtime_with(
        &test_kinds[1], (skua_runtime_options){.blocking_keep_alive = SKUA_FOREVER});

    test_run(runtime, keeps_its_thread, runtime);
    test_runtime_free(runtime);
}

static int leaves_a_job(void *arg)
{
    cancel_while_it_runs(arg, drops, -ECANCELED);
    return 0;
}

/* The runtime does not wait for ever, and the job finds what it needs. */
TEST(job_may_outlive_its_runtime)
{
    static struct gate gate;
    int threads = test_thread_count();
    skua_runtime *runtime;

    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 1, .stop_timeout = MS(20))) ==
         0);
    test_run(runtime, leaves_a_job, &gate);
    MUST(atomic_load(&gate.inside) == 1);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    CHECK_EQ(atomic_load(&gate.drops), 0);
    atomic_store(&gate.open, 1);
    for (int i = 0; i < 2000 && !atomic_load(&gate.drops); i++)
        test_thread_sleep(SKUA_MILLISECOND);
    CHECK_EQ(atomic_load(&gate.drops), 1);
    CHECK(test_thread_settle(threads) <=
          threads); /* one of the test before may have been counted */
}

/* ---- faults ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
static int without_memory(TEST_UNUSED void *arg)
{
    struct gate gate = {.open = 1};
    static const unsigned nth[] = {1, 2,
                                   2}; /* the pool; the job; with a pool, the thread's start */

    for (size_t i = 0; i < TEST_LEN(nth); i++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth[i], 100, ENOMEM);
        CHECK_EQ(skua_blocking(holds, &gate, .drop = drops), i < 2 ? -ENOMEM : -EAGAIN);
        CHECK_EQ(atomic_load(&gate.drops), i + 1);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    skua__fault_arm(SKUA__FAULT_THREAD, 1, 1, EAGAIN);
    CHECK_EQ(skua_blocking(returns_seven, NULL), -EAGAIN);
    skua__fault_arm(SKUA__FAULT_THREAD, 0, 0, 0);
    return skua_blocking(returns_seven, NULL) == 7 ? 0 : -EIO;
}

/* What a thread has of its own comes before it: whatever of it is not to be had, no thread begins
 * that could not go on. The first test: later there are states of threads that have ended. */
static int without_memory_for_a_thread(TEST_UNUSED void *arg)
{
    /* Pool, job, state; job, state, timers; job, timers, start; job, start. */
    static const unsigned nth[] = {3, 3, 3, 2};
    struct gate gate = {.open = 1};

    for (size_t i = 0; i < TEST_LEN(nth); i++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth[i], 100, ENOMEM);
        CHECK_EQ(skua_blocking(holds, &gate), -EAGAIN);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(atomic_load(&gate.inside), 0);
    return skua_blocking(returns_seven, NULL) == 7 ? 0 : -EIO;
}

TEST(blocking_without_memory_for_a_thread)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, without_memory_for_a_thread, NULL);
    test_runtime_free(runtime);
}

TEST(blocking_without_memory_or_threads)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, without_memory, NULL);
    test_runtime_free(runtime);
}

/* A thread is there, another cannot be started: the job waits for the first. */
static int one_thread_serves_all(TEST_UNUSED void *arg)
{
    struct gate gate = {.open = 0}, second = {.open = 1};
    struct caller first = {&gate, NULL, 0}, other = {&second, NULL, 0};
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, calls, &first) == 0);
    wait_until_inside(&gate);
    skua__fault_arm(SKUA__FAULT_THREAD, 1, 100, EAGAIN);
    MUST(skua_spawn(&scope, calls, &other) == 0);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_EQ(atomic_load(&second.inside), 0);
    atomic_store(&gate.open, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    skua__fault_arm(SKUA__FAULT_THREAD, 0, 0, 0);
    CHECK_EQ(first.result, 7);
    CHECK_EQ(other.result, 7);
    return 0;
}

TEST(thread_that_cannot_be_started_hangs_no_job)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, one_thread_serves_all, NULL);
    test_runtime_free(runtime);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef SKUA_FAULTS
        cmocka_unit_test(blocking_without_memory_for_a_thread),
#endif
        cmocka_unit_test(jobs_are_counted),
        cmocka_unit_test(threads_are_bounded),
        cmocka_unit_test(idle_threads_end),
        cmocka_unit_test(idle_threads_may_stay_for_ever),
        cmocka_unit_test(job_may_outlive_its_runtime),
#ifdef SKUA_FAULTS
        cmocka_unit_test(blocking_without_memory_or_threads),
        cmocka_unit_test(thread_that_cannot_be_started_hangs_no_job),
#endif
    };

    return TEST_MAIN(tests);
}
