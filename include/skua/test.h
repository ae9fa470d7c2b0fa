/* test.h - for tests of programs that use Skua: a clock that jumps, and an order that a seed draws.
 *
 *     static int retries(void *arg)                  // a minute of pauses, tested in microseconds
 *     {
 *         int64_t begin = skua_now();
 *
 *         if (fetch_with_retries(arg) != -ETIMEDOUT)
 *             return -1;
 *         return skua_now() - begin == SKUA_MINUTE ? 0 : -1;
 *     }
 *
 *     skua_test_run(retries, &server, NULL);         // once, in the order of production
 *     skua_test_explore(1000, retries, &server);     // in 1,000 other orders
 *
 * A test runs in a current-thread runtime of its own, on the calling thread.
 *
 * Clock      skua_now, sleeps, deadlines and timeouts of its tasks go by a clock that stands still
 *            while any of them can run. When all of them wait, and no I/O is ready, it jumps to the
 *            earliest timer, to the nanosecond: timers fire one moment after the other, and a day
 *            of sleep takes no time. A task that waits for time in a loop of skua_yield never
 *            waits, so that it stops the clock for good. Other threads and runtimes keep the
 *            system's clock. While a task waits for a job of blocking.h, or of a file, the clock
 *            stands; while one waits for a child process, or for its output (process.h), it stands
 *            as long as the test has patience.
 * Order      with a seed each turn goes to any runnable task of the highest priority, instead of
 *            the one that was first, and may end at any of its waits, also at one that is ready.
 *            The same seed draws the same order, as long as all that wakes tasks comes from within:
 *            I/O with other threads or processes comes when it comes.
 * Deadlock   when every task waits and no timer is armed, the test is over: who waits for what is
 *            told on standard error, all tasks are cancelled, and the result is -EDEADLK.
 *
 * After Tokio's start_paused and advance, and the seeded simulators of turmoil and FoundationDB.
 */
#ifndef SKUA_TEST_H
#define SKUA_TEST_H

#include <skua/runtime.h>

SKUA_C_BEGIN

typedef struct skua_test_options {
    size_t size;   /* stamped by the macro */
    uint64_t seed; /* what the order is drawn from (default 0: first in, first out) */
    int64_t start; /* ns, 0 to 2^62: the first moment of the clock (default SKUA_HOUR) */
    int paused;    /* not 0: the clock begins paused, as by skua_test_pause (default 0) */
    int64_t
        patience; /* ns of the system's clock that other threads and I/O from outside have to wake
                     a task when nothing else will, before it is a deadlock; and that a child
                     process has before the clock jumps (default 1 s) */
    const skua_runtime_options *runtime; /* what else its runtime is to be; kind, workers and seed
                         are the test's (default NULL: defaults) */
} skua_test_options;

#ifndef __cplusplus
#define SKUA_TEST_OPTIONS(...)                                                                     \
    (&(const skua_test_options){.size = sizeof(skua_test_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_test_options_init(skua_test_options *options);

/* Runs a test: makes a runtime, runs a fiber in it to its end, stops and frees it.
 *
 * fn, arg    the fiber; what it spawns into skua_scope_current() is joined, too, and is cancelled
 *            when its result is negative
 * options    NULL = defaults
 * Returns    fn's result; -EDEADLK: see above; -ETIMEDOUT: fn succeeded, but some tasks did not end
 *            within stop_timeout of the test's clock. fn did not run: -EINVAL, SKUA_EUSAGE on a
 *            worker, and the errors of skua_runtime_new and skua_block_on. Tasks that do not end
 *            when they are cancelled are named, and keep their runtime: it is not freed
 * Threads    plain threads; each its own test, if it likes
 * Since      0.2
 */
SKUA_API int skua_test_run(skua_fiber_fn fn, void *arg, const skua_test_options *options);

/* Runs a test with the seeds 1, 2, …, until one fails, which is told on standard error.
 *
 * n          how many seeds. With SKUA_TEST_SEED=seed in the environment it is that one alone
 * fn, arg    as for skua_test_run; fn begins from scratch each time
 * Returns    0; the first negative result of skua_test_run; -EINVAL: SKUA_TEST_SEED is no number
 * Threads    plain threads
 * Since      0.2
 */
SKUA_API int skua_test_explore(unsigned n, skua_fiber_fn fn, void *arg);

/* Moves the test's clock on by hand. What is due on the way fires in order, each moment when all
 * that the one before woke waits again, or has ended.
 *
 * ns         from now, 0 or more; 0 lets everybody run until all wait
 * Returns    0: the clock has moved by exactly ns, and all other tasks wait; -ECANCELED,
 *            -ETIMEDOUT (see skua_await): it stands where it was then; -EBUSY: another task is at
 *            it; -EINVAL; SKUA_EUSAGE outside a test
 * Threads    fibers of a test
 * Since      0.2
 */
SKUA_API int skua_test_advance(int64_t ns);

/* Has the clock stand still, when all wait, too: only skua_test_advance moves it. With all tasks
 * waiting for it, and none to advance it, that is a deadlock.
 *
 * Returns    0; SKUA_EUSAGE outside a test
 * Threads    tasks of a test
 * Since      0.2
 */
SKUA_API int skua_test_pause(void);

/* Lets the clock jump again.
 *
 * Returns    0; SKUA_EUSAGE outside a test
 * Threads    tasks of a test
 * Since      0.2
 */
SKUA_API int skua_test_resume(void);

/* A random number from the test's seed, for its durations and choices.
 *
 * Returns    64 random bits, the same ones for the same seed; 0 outside a test
 * Threads    tasks of a test
 * Since      0.2
 */
SKUA_API uint64_t skua_test_random(void);

SKUA_C_END

#endif
