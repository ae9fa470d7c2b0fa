/* bench_timer.c - what timers cost, and how late they are. All on one current-thread runtime that
 * is pinned to processor 0.
 *
 * timer_arm_cancel      ns to make a sleep future, arm it by skua_future_poll and drop it; the
 *                       deadlines are computed before, no clock is read
 * timer_arm_cancel_1m   the same while 1,000,000 other timers of the same fiber are armed
 * timer_fire_cpu        CPU ns of the worker's thread a timer: 100,000 poll tasks with one deadline
 *                       are woken, polled, and end
 * timer_late_p99        100,000 poll tasks with deadlines spread over 2 s: the 99th percentile of
 *                       how long after its deadline a task runs, ns
 *
 * The runtime's budget is so large that arming never has to end the fiber's turn: a poll without
 * budget left would not reach the wheel, and the figure would be a yield's.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <skua/skua.h>

#include "meter_bench.h"
#include "meter_hist.h"

enum { DEADLINES = 64, OTHERS = 1000000, SLEEPERS = 100000, BATCH = 1000 };

/* ---- arming and cancelling ------------------------------------------------------------------- */

/* Ready at once; what it is for is the waker that it is polled with. */
struct waker_future {
    skua_future future;
    skua_waker *waker;
};

static skua_poll waker_poll(skua_future *future, skua_waker *waker)
{
    ((struct waker_future *)future)->waker = waker;
    return SKUA_READY;
}

static const skua_future_ops waker_ops = {.name = "waker", .poll = waker_poll, .drop = NULL};

/* The calling fiber's: borrowed, good for as long as the fiber runs. */
static skua_waker *waker_own(void)
{
    struct waker_future future = {.future = {.ops = &waker_ops}};

    meter_must(skua_await(&future.future), "waker");
    return future.waker;
}

struct arming {
    struct meter_bench *bench;
    skua_waker *waker;
    int64_t deadlines[DEADLINES]; /* 1 to 64 s away: several levels of the wheel */
};

static void arm(skua_sleep_future *sleep, int64_t deadline, skua_waker *waker)
{
    if (skua_future_poll(skua_sleep_until_init(sleep, deadline), waker) != SKUA_PENDING) {
        fprintf(stderr, "bench_timer: a timer was not armed\n");
        exit(1);
    }
}

static int64_t work_arm_cancel(uint64_t repeats, void *arg)
{
    const struct arming *arming = arg;
    skua_sleep_future sleep;
    int64_t start = meter_now_ns();

    for (uint64_t i = 0; i < repeats * BATCH; i++) {
        arm(&sleep, arming->deadlines[i % DEADLINES], arming->waker);
        skua_future_drop(&sleep.future);
    }
    return meter_now_ns() - start;
}

static void arm_deadlines(struct arming *arming)
{
    int64_t now = skua_now();

    for (int i = 0; i < DEADLINES; i++)
        arming->deadlines[i] = now + SKUA_MINUTE + (i + 1) * SKUA_SECOND;
}

/* Others are due within an hour after two minutes: none fires meanwhile. */
static void among_others(struct arming *arming)
{
    skua_sleep_future *others = malloc(OTHERS * sizeof *others);
    int64_t first = skua_now() + 2 * SKUA_MINUTE;

    meter_must(others != NULL ? 0 : -ENOMEM, "memory");
    for (int i = 0; i < OTHERS; i++)
        arm(&others[i], first + i * (SKUA_HOUR / OTHERS), arming->waker);
    arm_deadlines(arming);
    meter_bench_run(arming->bench, "timer_arm_cancel_1m", BATCH, work_arm_cancel, arming);
    for (int i = 0; i < OTHERS; i++)
        skua_future_drop(&others[i].future);
    free(others);
}

static int arm_cancel(void *arg)
{
    struct arming arming = {.bench = arg, .waker = waker_own()};

    arm_deadlines(&arming);
    meter_bench_run(arming.bench, "timer_arm_cancel", BATCH, work_arm_cancel, &arming);
    if (meter_bench_wanted(arming.bench, "timer_arm_cancel_1m"))
        among_others(&arming);
    return 0;
}

/* ---- firing ---------------------------------------------------------------------------------- */

struct firing {
    int64_t spread_ns;       /* between the first deadline and the last */
    struct meter_hist *hist; /* of lateness; NULL: not wanted */
    int64_t lead_ns;         /* from the first spawn to the first deadline */
    int64_t cpu_ns;          /* from the last arming to the last end */
    int armed;
    bool valid; /* all were armed before the first was due */
};

struct sleeper {
    skua_async async;
    skua_sleep_future sleep;
    int64_t deadline;
    struct firing *firing;
};

static skua_poll sleeper_poll(void *state, skua_waker *waker)
{
    struct sleeper *self = state;

    SKUA_ASYNC(self, waker);
    self->firing->armed++;
    SKUA_AWAIT(skua_sleep_until_init(&self->sleep, self->deadline));
    if (self->firing->hist != NULL)
        meter_hist_add(self->firing->hist, (uint64_t)(skua_now() - self->deadline));
    SKUA_ASYNC_END(0);
}

static int fire_once(void *arg)
{
    struct firing *firing = arg;
    int64_t first = skua_now() + firing->lead_ns;
    struct sleeper sleeper = {.firing = firing};
    skua_scope scope;
    int64_t cpu_ns;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    for (int i = 0; i < SLEEPERS; i++) {
        sleeper.deadline = first + firing->spread_ns * i / SLEEPERS;
        meter_must(skua_spawn_poll(&scope, sleeper_poll, &sleeper), "spawn");
    }
    while (firing->armed < SLEEPERS)
        meter_must(skua_yield(), "yield");
    firing->valid = skua_now() < first;
    cpu_ns = meter_clock_read(CLOCK_THREAD_CPUTIME_ID);
    meter_must(skua_scope_join(&scope), "join");
    firing->cpu_ns = meter_clock_read(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
    return 0;
}

/* On a processor that others use, too, arming may take longer than was left for it: the timers
 * then fire before anybody looks, and the round says nothing. It is done again with more time. */
static struct firing fire(skua_runtime *runtime, int64_t spread_ns, struct meter_hist *hist)
{
    for (int64_t lead_ns = 200 * SKUA_MILLISECOND; lead_ns < SKUA_MINUTE; lead_ns *= 2) {
        struct firing firing = {.spread_ns = spread_ns, .hist = hist, .lead_ns = lead_ns};

        if (hist != NULL)
            meter_hist_clear(hist);
        meter_must(skua_block_on(runtime, fire_once, &firing, NULL), "block_on");
        if (firing.valid)
            return firing;
    }
    meter_fail(-ETIMEDOUT, "timers that should be armed in time");
}

static void run_fire(struct meter_bench *bench, skua_runtime *runtime)
{
    double values[METER_ROUNDS_MAX];

    if (!meter_bench_wanted(bench, "timer_fire_cpu"))
        return;
    for (unsigned i = 0; i < bench->rounds; i++)
        values[i] = (double)fire(runtime, 0, NULL).cpu_ns / SLEEPERS;
    meter_report_add(&bench->report, "timer_fire_cpu", "ns", values, bench->rounds);
}

static void run_late(struct meter_bench *bench, skua_runtime *runtime)
{
    static struct meter_hist hist;
    double values[METER_ROUNDS_MAX];
    unsigned rounds = bench->quick ? 2 : 7; /* a round cannot be shorter than its timers */

    if (!meter_bench_wanted(bench, "timer_late_p99"))
        return;
    for (unsigned i = 0; i < rounds; i++) {
        (void)fire(runtime, 2 * SKUA_SECOND, &hist);
        values[i] = (double)meter_hist_quantile(&hist, 0.99);
    }
    meter_report_add(&bench->report, "timer_late_p99", "ns", values, rounds);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    skua_runtime *runtime;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD,
                                                               .budget = UINT32_MAX)),
               "new");
    meter_must(skua_block_on(runtime, arm_cancel, &bench, NULL), "block_on");
    run_fire(&bench, runtime);
    run_late(&bench, runtime);
    meter_must(skua_runtime_free(runtime), "free");
    return meter_bench_end(&bench);
}
