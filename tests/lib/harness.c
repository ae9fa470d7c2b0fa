/* harness.c - checks, the watchdog's thread and runtimes of every kind.
 *
 * The watchdog is a thread of its own, not a signal: a handler could not say where a test hangs,
 * and ThreadSanitizer delays it. Everything it shares with the test is under `guard.lock`.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "emulated.h"
#include "usage.h"

#define MESSAGES_MAX 20

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const char *name;      /* lock: the running test, NULL between tests */
    const char *variant;   /* lock */
    int64_t limit;         /* lock: monotonic ns */
    int64_t span, used;    /* lock: how long it was to last, the processor's time when that began */
    int more;              /* lock: how often it may be extended yet */
    skua_runtime *runtime; /* lock: whose tasks to list */
    bool started;          /* lock */
} guard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_int failures;

const struct test_kind test_kinds[TEST_KINDS] = {
    {"current-thread", SKUA_CURRENT_THREAD, 0, false},
    {"1 worker", SKUA_MULTI_THREAD, 1, false},
    {"2 workers", SKUA_MULTI_THREAD, 2, false},
    {"4 workers", SKUA_MULTI_THREAD, 4, false},
    {"2 cores", SKUA_THREAD_PER_CORE, 2, false},
    {"2 cores with shares", SKUA_THREAD_PER_CORE, 2, true},
};

static skua_task_queue queues[] = {{.name = "first", .shares = 100},
                                   {.name = "second", .shares = 10, .latency = SKUA_MILLISECOND}};
static skua_shares shares;

static int64_t clock_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * SKUA_SECOND + now.tv_nsec;
}

static int64_t clock_ns(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

/* Of all threads. */
static int64_t cpu_ns(void)
{
    return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static const char *variant_now(void)
{
    const char *variant;

    pthread_mutex_lock(&guard.lock);
    variant = guard.variant ? guard.variant : "-";
    pthread_mutex_unlock(&guard.lock);
    return variant;
}

static bool failed(void)
{
    return atomic_fetch_add(&failures, 1) < MESSAGES_MAX;
}

bool test_check(bool ok, const char *file, int line, const char *text)
{
    if (!ok && failed())
        fprintf(stderr, "%s:%d: [%s] does not hold: %s\n", file, line, variant_now(), text);
    return ok;
}

bool test_check_eq(int64_t actual, int64_t wanted, const char *file, int line, const char *text)
{
    if (actual != wanted && failed())
        fprintf(stderr, "%s:%d: [%s] %s is %lld (%s), not %lld (%s)\n", file, line, variant_now(),
                text, (long long)actual, skua_error_name(actual), (long long)wanted,
                skua_error_name(wanted));
    return actual == wanted;
}

bool test_check_range(int64_t actual, int64_t low, int64_t high, const char *file, int line,
                      const char *text)
{
    bool ok = actual >= low && actual <= high;

    if (!ok && failed())
        fprintf(stderr, "%s:%d: [%s] %s is %lld, not in %lld .. %lld\n", file, line, variant_now(),
                text, (long long)actual, (long long)low, (long long)high);
    return ok;
}

void test_die(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: [%s] cannot go on without: %s\n", file, line, variant_now(), text);
    abort();
}

void test_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "             ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
}

/* ---- the watchdog ---------------------------------------------------------------------------- */

static void list_task(const skua_task_info *task, void *arg)
{
    int *left = arg;

    if ((*left)-- > 0)
        fprintf(stderr, "    task %llu \"%s\" from %s:%d waits for %s\n",
                (unsigned long long)task->id, task->site->name, task->site->file, task->site->line,
                task->waiting_for ? task->waiting_for : "-");
}

/* Under the lock, so that the runtime is not freed meanwhile; should the listing hang, too, then
 * the alarm ends it. */
static _Noreturn void bite(void)
{
    int left = 20;

    fprintf(stderr, "watchdog: test %s [%s] does not end\n", guard.name,
            guard.variant ? guard.variant : "-");
    signal(SIGALRM, SIG_DFL);
    alarm(5);
    if (guard.runtime)
        skua_runtime_each_task(guard.runtime, list_task, &left);
    abort();
}

/* Under the lock. A test that was at work, but had little of the processor: the machine is busy
 * with others. It is given the same time again, four times. Who hangs uses next to none, or all. */
static bool is_starved(void)
{
    int64_t used = cpu_ns() - guard.used;

    if (guard.more == 0 || used > guard.span / 2 || used < guard.span / 50)
        return false;
    guard.more--;
    guard.used += used;
    guard.limit = clock_ns() + guard.span;
    return true;
}

static void *watch(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&guard.lock);
    for (;;) {
        struct timespec until = {guard.limit / SKUA_SECOND, guard.limit % SKUA_SECOND};

        if (!guard.name)
            pthread_cond_wait(&guard.changed, &guard.lock);
        else if (clock_ns() >= guard.limit && !is_starved())
            bite();
        else
            pthread_cond_timedwait(&guard.changed, &guard.lock, &until);
    }
    return NULL;
}

static void watchdog_start(void)
{
    pthread_condattr_t attr;
    pthread_t thread;
    sigset_t all, old;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&guard.changed, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    MUST(pthread_create(&thread, NULL, watch, NULL) == 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_setname_np(thread, "watchdog");
    pthread_detach(thread);
}

/* Under the lock. */
static void set_limit(int seconds)
{
    const char *text = getenv("TEST_SECONDS");

    if (text)
        seconds = atoi(text);
    else if (TEST_SANITIZED)
        seconds *= 4;
    guard.span = seconds * SKUA_SECOND;
    guard.limit = clock_ns() + guard.span;
    guard.used = cpu_ns();
    guard.more = 4;
    pthread_cond_signal(&guard.changed);
}

void test_limit(int seconds)
{
    pthread_mutex_lock(&guard.lock);
    set_limit(seconds);
    pthread_mutex_unlock(&guard.lock);
}

void test_variant(const char *label)
{
    pthread_mutex_lock(&guard.lock);
    guard.variant = label;
    pthread_mutex_unlock(&guard.lock);
}

void test_begin(const char *name)
{
    const char *why = test_not_emulated(name);
    bool start;

    if (why != NULL) {
        fprintf(stderr, "skipped: %s: %s\n", name, why);
        skip();
    }
    atomic_store(&failures, 0);
    pthread_mutex_lock(&guard.lock);
    start = !guard.started;
    guard.started = true;
    pthread_mutex_unlock(&guard.lock);
    if (start)
        watchdog_start();
    pthread_mutex_lock(&guard.lock);
    guard.name = name;
    guard.variant = NULL;
    guard.runtime = NULL;
    set_limit(20);
    pthread_mutex_unlock(&guard.lock);
}

void test_end(void)
{
    pthread_mutex_lock(&guard.lock);
    guard.name = NULL;
    guard.variant = NULL;
    guard.runtime = NULL;
    pthread_mutex_unlock(&guard.lock);
    if (atomic_load(&failures) > 0)
        fail_msg("%d checks failed", atomic_load(&failures));
}

int test_failures(void)
{
    return atomic_load(&failures);
}

void test_setup(void)
{
    const char *filter = getenv("TEST_FILTER");
    const char *driver = getenv("SKUA_DRIVER");
    const char *why = test_not_emulated(program_invocation_short_name);
    skua_runtime *runtime;
    int rc;

    if (why) {
        fprintf(stderr, "skipped: %s\n", why);
        exit(77);
    }
    test_kqueue_keep();
    if (filter)
        cmocka_set_test_filter(filter);
    if (driver && strcmp(driver, "io_uring") == 0) {
        rc = skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD));
        if (rc == -ENOSYS || rc == -EPERM) {
            fprintf(stderr, "skipped: no io_uring here\n");
            exit(77);
        }
        if (rc == 0)
            skua_runtime_free(runtime);
    }
}

int test_left(int failed)
{
    /* This one, and the watchdog. */
    for (int i = 0; TEST_ASAN && i < 2000 && test_thread_count() > 2; i++)
        (void)skua_sleep(MS(1));
    return failed;
}

/* ---- random numbers and time ----------------------------------------------------------------- */

uint64_t test_seed(void)
{
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)clock_ns() * 0x9e3779b97f4a7c15u;

    seed |= 1;
    test_note("TEST_SEED=0x%llx", (unsigned long long)seed);
    return seed;
}

uint64_t test_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (x * 0x2545f4914f6cdd1du) >> 16;
}

int64_t test_stress_time(int seconds)
{
    const char *text = getenv("SKUA_STRESS_SECONDS");

    if (text && atoi(text) > 0)
        seconds = atoi(text);
    test_limit(seconds * 3 + 30);
    return seconds * SKUA_SECOND;
}

void test_thread_sleep(int64_t ns)
{
    struct timespec left = {ns / SKUA_SECOND, ns % SKUA_SECOND};

    while (nanosleep(&left, &left) != 0)
        ;
}

/* ---- runtimes -------------------------------------------------------------------------------- */

/* Once: two runtimes of a kind may run at a time, and have these shares in common. */
static void shares_begin(void)
{
    MUST(skua_shares_init(&shares, queues, TEST_LEN(queues)) == 0);
}

skua_runtime *test_runtime_with(const struct test_kind *kind, skua_runtime_options options)
{
    static pthread_once_t begun = PTHREAD_ONCE_INIT;
    skua_runtime *runtime = NULL;
    int rc;

    options.size = sizeof options;
    options.kind = kind->kind;
    options.workers = kind->workers;
    if (kind->shares && options.scheduler == NULL) {
        pthread_once(&begun, shares_begin);
        options.scheduler = &shares.scheduler;
    }
    test_variant(kind->label);
    rc = skua_runtime_new(&runtime, &options);
    if (rc != 0)
        fprintf(stderr, "skua_runtime_new: %s\n", skua_strerror(rc));
    MUST(rc == 0);
    pthread_mutex_lock(&guard.lock);
    guard.runtime = runtime;
    pthread_mutex_unlock(&guard.lock);
    return runtime;
}

skua_runtime *test_runtime(const struct test_kind *kind)
{
    return test_runtime_with(kind, (skua_runtime_options){0});
}

void test_runtime_free(skua_runtime *runtime)
{
    CHECK_EQ(skua_runtime_stop(runtime, skua_now() + 10 * SKUA_SECOND), 0);
    pthread_mutex_lock(&guard.lock);
    if (guard.runtime == runtime)
        guard.runtime = NULL;
    pthread_mutex_unlock(&guard.lock);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    test_kqueues_close();
}

void test_run(skua_runtime *runtime, skua_fiber_fn fn, void *arg)
{
    int result = -1;

    CHECK_EQ(skua_block_on(runtime, fn, arg, &result), 0);
    CHECK_EQ(result, 0);
}

static void run_kind(const struct test_kind *kind, skua_fiber_fn fn)
{
    skua_runtime *runtime = test_runtime(kind);

    test_run(runtime, fn, runtime);
    test_runtime_free(runtime);
}

void test_each_kind(skua_fiber_fn fn)
{
    for (int i = 0; i < TEST_KINDS; i++)
        run_kind(&test_kinds[i], fn);
}

void test_current_kind(skua_fiber_fn fn)
{
    run_kind(&test_kinds[0], fn);
}

static int clock_fiber(void *arg)
{
    return (*(skua_fiber_fn *)arg)(skua_runtime_current());
}

void test_clock_kind(skua_fiber_fn fn)
{
    test_variant("virtual clock");
    CHECK_EQ(skua_test_run(clock_fiber, &fn, NULL), 0);
    test_variant(NULL);
}

void test_orders_kind(skua_fiber_fn fn)
{
    test_clock_kind(fn);
    test_variant("orders");
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), clock_fiber, &fn), 0);
    test_variant(NULL);
}

/* ---- small bodies ---------------------------------------------------------------------------- */

int test_fiber_return(void *arg)
{
    return (int)(intptr_t)arg;
}

int test_fiber_forever(void *arg)
{
    (void)arg;
    return skua_sleep(SKUA_FOREVER);
}

void test_yield_until(atomic_int *flag)
{
    while (atomic_load(flag) == 0)
        skua_yield();
}
