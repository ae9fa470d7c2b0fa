/* bench_core.c - what the runtime itself costs: spawn and join, yield, timers, memory, start.
 *
 * Each figure is the median, minimum and maximum of ROUNDS rounds. `_ct` runs on a current-thread
 * runtime, `_mt2` on two workers. A spawn benchmark opens a scope, spawns 1,000 tasks from inside
 * a fiber and joins the scope. Timers are armed for deadlines computed before: no clock is read.
 *
 * Options: --quick (a tenth of the work), --json FILE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

#include "meter_report.h"

enum { ROUNDS = 9, TASKS = 1000, TIMERS = 1000000 };

static struct meter_report report;
static long repeats = 200;

static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_core: %s: %s\n", what, skua_strerror(rc));
    exit(1);
}

/* ---- the work of one round: ns a unit ----------------------------------------------------------
 */

static int ends_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static skua_poll poll_ends_at_once(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    return SKUA_READY;
}

static double spawn_fibers(void)
{
    int64_t start = skua_now();
    skua_scope scope;

    for (long i = 0; i < repeats; i++) {
        skua_scope_open(&scope, SKUA_COLLECT);
        for (int k = 0; k < TASKS; k++)
            skua_spawn(&scope, ends_at_once, NULL);
        skua_scope_join(&scope);
    }
    return (double)(skua_now() - start) / (double)(repeats * TASKS);
}

static double spawn_poll_tasks(void)
{
    int64_t start = skua_now();
    int64_t nothing = 0;
    skua_scope scope;

    for (long i = 0; i < repeats; i++) {
        skua_scope_open(&scope, SKUA_COLLECT);
        for (int k = 0; k < TASKS; k++)
            skua_spawn_poll(&scope, poll_ends_at_once, &nothing);
        skua_scope_join(&scope);
    }
    return (double)(skua_now() - start) / (double)(repeats * TASKS);
}

static int yields(void *arg)
{
    for (long i = 0; i < repeats * TASKS; i++)
        skua_yield();
    return (int)(intptr_t)arg;
}

static double yield_fibers(void)
{
    int64_t start = skua_now();
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    skua_spawn(&scope, yields, NULL);
    skua_spawn(&scope, yields, NULL);
    skua_scope_join(&scope);
    return (double)(skua_now() - start) / (double)(2 * repeats * TASKS);
}

static skua_poll poll_yields(void *state, skua_waker *waker)
{
    long *left = state;

    if (--*left <= 0)
        return SKUA_READY;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

static double yield_poll_tasks(void)
{
    int64_t start = skua_now();
    long left = repeats * TASKS;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    skua_spawn_poll(&scope, poll_yields, &left);
    skua_spawn_poll(&scope, poll_yields, &left);
    skua_scope_join(&scope);
    return (double)(skua_now() - start) / (double)(2 * repeats * TASKS);
}

/* Arms and cancels within one poll, so that the fiber's waker is at hand. */
struct timer_future {
    skua_future future;
    double ns;
};

static skua_poll timer_poll(skua_future *future, skua_waker *waker)
{
    int64_t base = skua_now() + SKUA_HOUR;
    int64_t start = skua_now();
    skua_sleep_future sleep;

    for (long i = 0; i < repeats * TASKS; i++) {
        skua_future *timer = skua_sleep_until_init(&sleep, base + i * 1000);

        timer->ops->poll(timer, waker);
        timer->ops->drop(timer);
    }
    ((struct timer_future *)future)->ns = (double)(skua_now() - start) / (double)(repeats * TASKS);
    return SKUA_READY;
}

static const skua_future_ops timer_ops = {"timers", timer_poll, NULL};

static double arm_cancel(void)
{
    struct timer_future timer = {.future = {&timer_ops}};

    skua_await(&timer.future);
    return timer.ns;
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * 4096;
}

struct sleeper {
    skua_async async;
    skua_sleep_future sleep;
};

static skua_poll sleeps(void *state, skua_waker *waker)
{
    struct sleeper *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_HOUR));
    SKUA_ASYNC_END(0);
}

static int parks(void *arg)
{
    (void)arg;
    return skua_sleep(SKUA_HOUR);
}

static void memory_of(const char *name, int count, int fibers)
{
    long before = resident();
    skua_scope scope;
    double bytes;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < count; i++)
        if (fibers)
            must(skua_spawn(&scope, parks, NULL), name);
        else
            must(skua_spawn_poll(&scope, sleeps, &(struct sleeper){.async.line = 0}), name);
    skua_sleep(SKUA_SECOND);
    bytes = (double)(resident() - before) / count;
    meter_report_add(&report, name, "bytes", &bytes, 1);
    skua_scope_cancel(&scope);
    skua_scope_join(&scope);
}

static int sleeps_among_a_million(void *arg)
{
    double ns[ROUNDS];
    skua_scope scope;

    (void)arg;
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < TIMERS; i++)
        must(skua_spawn_poll(&scope, sleeps, &(struct sleeper){.async.line = 0}), "timers");
    skua_sleep(SKUA_SECOND);
    for (int i = 0; i < ROUNDS; i++)
        ns[i] = arm_cancel();
    meter_report_add(&report, "timer_arm_cancel_1m", "ns", ns, ROUNDS);
    skua_scope_cancel(&scope);
    skua_scope_join(&scope);
    return 0;
}

static int memory(void *arg)
{
    (void)arg;
    memory_of("mem_1m_sleeping_poll", 1000000, 0);
    return 0;
}

static int fiber_memory(void *arg)
{
    (void)arg;
    memory_of("mem_100k_parked_fibers", 100000, 1);
    return 0;
}

/* ---- running
 * ----------------------------------------------------------------------------------------- */

struct bench {
    const char *name;
    double (*round)(void);
};

static int rounds_of(void *arg)
{
    const struct bench *bench = arg;
    double ns[ROUNDS];

    bench->round(); /* warm */
    for (int i = 0; i < ROUNDS; i++)
        ns[i] = bench->round();
    meter_report_add(&report, bench->name, "ns", ns, ROUNDS);
    return 0;
}

static void on_runtime(unsigned workers, skua_fiber_fn fn, void *arg)
{
    skua_runtime_options options = {.size = sizeof options, .workers = workers};
    skua_runtime *runtime;

    options.kind = workers == 0 ? SKUA_CURRENT_THREAD : SKUA_MULTI_THREAD;
    must(skua_runtime_new(&runtime, &options), "runtime");
    must(skua_block_on(runtime, fn, arg, NULL), "block_on");
    must(skua_runtime_free(runtime), "free");
}

static void start_stop(void)
{
    double ns[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = skua_now();
        skua_runtime *runtime;

        must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "runtime");
        must(skua_runtime_free(runtime), "free");
        ns[i] = (double)(skua_now() - start);
    }
    meter_report_add(&report, "start_stop", "ns", ns, ROUNDS);
}

int main(int argc, char **argv)
{
    static struct bench ct[] = {{"spawn_join_poll_ct", spawn_poll_tasks},
                                {"spawn_join_fiber_ct", spawn_fibers},
                                {"yield_fiber_ct", yield_fibers},
                                {"yield_poll_ct", yield_poll_tasks},
                                {"timer_arm_cancel", arm_cancel}};
    static struct bench mt[] = {{"spawn_join_poll_mt2", spawn_poll_tasks},
                                {"spawn_join_fiber_mt2", spawn_fibers}};
    const char *json = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            repeats = 20;
        } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            json = argv[++i];
        } else {
            fprintf(stderr, "usage: bench_core [--quick] [--json FILE]\n");
            return 2;
        }
    }
    on_runtime(0, memory, NULL);
    on_runtime(0, fiber_memory, NULL);
    for (size_t i = 0; i < sizeof ct / sizeof ct[0]; i++)
        on_runtime(0, rounds_of, &ct[i]);
    for (size_t i = 0; i < sizeof mt / sizeof mt[0]; i++)
        on_runtime(2, rounds_of, &mt[i]);
    on_runtime(0, sleeps_among_a_million, NULL);
    start_stop();
    return meter_report_end(&report, json);
}
