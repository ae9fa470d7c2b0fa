/* harness.h - what every test leans on: checks, a watchdog, runtimes of every kind.
 *
 * cmocka's own asserts jump out of a test with longjmp, which a fiber or a worker's thread must
 * not do. CHECK therefore notes a failure and goes on; the test fails at its end. MUST is for what
 * the rest of the test cannot do without: it ends the process.
 *
 *     TEST_FIBER(sleep_ends)            // the body runs in a fiber, once on each kind of runtime
 *     {
 *         CHECK_EQ(skua_sleep(SKUA_MILLISECOND), 0);
 *         return 0;
 *     }
 *
 *     TEST(runtime_starts) { ... }      // the body runs on the main thread, once
 *
 * Environment  TEST_FILTER=glob runs some tests of an executable; TEST_SECONDS=n moves the
 *              watchdog; SKUA_STRESS_SECONDS=n lengthens stress tests; TEST_SEED=n repeats one.
 */
#ifndef SKUA_TESTS_HARNESS_H
#define SKUA_TESTS_HARNESS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skua/skua.h>

#if defined(__has_feature)
#define TEST__FEATURE(x) __has_feature(x)
#else
#define TEST__FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || TEST__FEATURE(thread_sanitizer)
#define TEST_TSAN 1
#else
#define TEST_TSAN 0
#endif
#if defined(__SANITIZE_ADDRESS__) || TEST__FEATURE(address_sanitizer)
#define TEST_ASAN 1
#else
#define TEST_ASAN 0
#endif
#ifndef TEST_EMULATED
#define TEST_EMULATED 0 /* 1: the processor is an emulator (tests/CMakeLists.txt) */
#endif
#define TEST_SANITIZED (TEST_TSAN || TEST_ASAN || TEST_EMULATED)

/* `n` in a plain build, fewer under a sanitizer or an emulator. */
#define TEST_COUNT(n) ((n) / TEST__SLOWER + (TEST__SLOWER > 1))
#define TEST__SLOWER (TEST_TSAN || TEST_EMULATED ? 10 : TEST_ASAN ? 4 : 1)

#define MS(n) ((n)*SKUA_MILLISECOND)
/* How late a busy machine may be: the bound of every check that something is prompt. */
#define TEST_LATE (TEST_SANITIZED ? MS(4000) : MS(1000))
#define TEST_UNUSED __attribute__((unused))
#define TEST_LEN(array) (sizeof(array) / sizeof(array)[0])

/* ---- checks: any thread, any fiber ----------------------------------------------------------- */

bool test_check(bool ok, const char *file, int line, const char *text);
bool test_check_eq(int64_t actual, int64_t wanted, const char *file, int line, const char *text);
bool test_check_range(int64_t actual, int64_t low, int64_t high, const char *file, int line,
                      const char *text);
_Noreturn void test_die(const char *file, int line, const char *text);

#define CHECK(cond) test_check((cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ(actual, wanted)                                                                   \
    test_check_eq((int64_t)(actual), (int64_t)(wanted), __FILE__, __LINE__, #actual)
#define CHECK_RANGE(actual, low, high)                                                             \
    test_check_range((int64_t)(actual), (int64_t)(low), (int64_t)(high), __FILE__, __LINE__,       \
                     #actual)
#define MUST(cond) ((cond) ? (void)0 : test_die(__FILE__, __LINE__, #cond))

/* Prints a remark of the running test. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- a test's begin and end ------------------------------------------------------------------ */

void test_begin(const char *name);
void test_end(void); /* fails the cmocka test when a check failed */
/* Names the variant that runs ("2 workers"), for messages. */
void test_variant(const char *label);
/* Gives the running test `seconds` instead of the default 20 (x4 where it is slow). */
void test_limit(int seconds);
/* How many checks of the running test failed so far. */
int test_failures(void);
/* A seed for random tests: TEST_SEED, or a new one; printed. */
uint64_t test_seed(void);
/* xorshift: the next random number of `state`, which is never 0. */
uint64_t test_random(uint64_t *state);
/* How long a stress test may run: SKUA_STRESS_SECONDS, or `seconds`. In ns. */
int64_t test_stress_time(int seconds);

#define TEST(name)                                                                                 \
    static void name##_run(void);                                                                  \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        test_begin(#name);                                                                         \
        name##_run();                                                                              \
        test_end();                                                                                \
    }                                                                                              \
    static void name##_run(void)

/* A test whose body is a fiber; `arg` is its runtime, and it must return 0. */
#define TEST_FIBER(name) TEST__FIBER(name, test_each_kind)
/* The same on a current-thread runtime alone, where the order of things is known. */
#define TEST_FIBER_CURRENT(name) TEST__FIBER(name, test_current_kind)
/* The same in a test runtime (skua/test.h): a clock that jumps, for what is about time alone. */
#define TEST_FIBER_CLOCK(name) TEST__FIBER(name, test_clock_kind)
/* And once more in many orders of its tasks. */
#define TEST_FIBER_ORDERS(name) TEST__FIBER(name, test_orders_kind)
#define TEST__FIBER(name, run)                                                                     \
    static int name##_fiber(void *arg);                                                            \
    TEST(name)                                                                                     \
    {                                                                                              \
        run(name##_fiber);                                                                         \
    }                                                                                              \
    static int name##_fiber(TEST_UNUSED void *arg)

/* Runs a cmocka table; ends with 77 (skipped) when SKUA_DRIVER= asks for what is not to be had. */
#define TEST_MAIN(tests)                                                                           \
    (test_setup(), test_left(cmocka_run_group_tests_name(__FILE__, (tests), NULL, NULL)))
void test_setup(void);
/* Returns its argument. Under AddressSanitizer the library's threads are given time to end, which
 * nobody joins: what other libraries keep of a thread that outlives exit() looks like a leak. */
int test_left(int failed);

/* ---- runtimes -------------------------------------------------------------------------------- */

struct test_kind {
    const char *label;
    skua_runtime_kind kind;
    unsigned workers;
    bool shares; /* with a scheduler of shares: two queues, the second with a goal of latency */
};

#define TEST_KINDS 6
extern const struct test_kind test_kinds[TEST_KINDS];

/* A runtime of a kind; never NULL. The watchdog lists its tasks when the test hangs. */
skua_runtime *test_runtime(const struct test_kind *kind);
/* The same with options of the test's; kind and workers are filled in. */
skua_runtime *test_runtime_with(const struct test_kind *kind, skua_runtime_options options);
/* Frees it and checks that every task ended. */
void test_runtime_free(skua_runtime *runtime);
/* Runs a fiber that must end with 0. */
void test_run(skua_runtime *runtime, skua_fiber_fn fn, void *arg);
void test_each_kind(skua_fiber_fn fn);
void test_current_kind(skua_fiber_fn fn);
void test_clock_kind(skua_fiber_fn fn);
void test_orders_kind(skua_fiber_fn fn);

/* ---- small bodies ---------------------------------------------------------------------------- */

/* Returns (int)(intptr_t)arg at once. */
int test_fiber_return(void *arg);
/* Sleeps until it is cancelled or timed out and returns that. */
int test_fiber_forever(void *arg);
/* Yields until `flag` is not 0; works in fibers and threads. */
void test_yield_until(atomic_int *flag);
/* Sleeps a plain thread. */
void test_thread_sleep(int64_t ns);

#endif
