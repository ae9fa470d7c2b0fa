/* monitor_every.c - the performance monitor by itself: a fiber that reports now and then, and
 * metrics for whoever collects them.
 */
#include <skua/metric.h>
#include <skua/task.h>

#include "watch/measure_impl.h"

/* ---- reports in a rhythm --------------------------------------------------------------------- */

struct every {
    skua_monitor_options options;
    skua_monitor_base base;
    int64_t period;
    void (*fn)(const char *text, size_t len, void *arg);
    void *arg;
};

static int every_run(void *arg)
{
    struct every *every = arg;
    int64_t next = skua_now();
    int rc;

    every->options.base = &every->base;
    if (every->options.runtime == NULL)
        every->options.runtime = skua_runtime_current();
    do {
        next = skua__time_after(next, every->period);
        rc = skua_sleep_until(next);
        /* Without memory there is no report this time. What comes last may wait, too. */
        (void)skua_shield_begin();
        (void)skua_monitor_report(&every->options, every->fn, every->arg);
        (void)skua_shield_end();
        if (next < skua_now())
            next = skua_now(); /* fn took longer: no reports in a row to catch up */
    } while (rc == 0);
    skua__os_free(every);
    return 0;
}

int skua_monitor_every(skua_scope *scope, int64_t period, const skua_monitor_options *options,
                       void (*fn)(const char *text, size_t len, void *arg), void *arg)
{
    struct every *every;
    int rc;

    if (period <= 0 || fn == NULL || (options != NULL && options->size != sizeof *options))
        return -EINVAL;
    every = skua__os_alloc(sizeof *every);
    if (every == NULL)
        return -ENOMEM;
    if (options != NULL)
        every->options = *options;
    else
        skua_monitor_options_init(&every->options);
    every->period = period;
    every->fn = fn;
    every->arg = arg;
    rc = skua_spawn(scope, every_run, every, .name = "monitor", .drop = skua__os_free);
    if (rc != 0)
        skua__os_free(every);
    return rc;
}

/* ---- metrics --------------------------------------------------------------------------------- */

static const skua_meter every_meter = SKUA_METER("skua.monitor", NULL);
static skua_observable every_count = SKUA_OBSERVABLE_COUNTER(
    &every_meter, "skua.measure.count", "{measurement}", "How often something was measured");
static skua_observable every_value = SKUA_OBSERVABLE_GAUGE(&every_meter, "skua.measure.value", "",
                                                           "Percentiles of what was measured");
static skua_observing every_observing;

static void every_observe_one(const skua_measured *measured, void *arg)
{
    static const char *const names[] = {"0.5", "0.9", "0.99", "0.999"};
    const int64_t values[] = {measured->p50, measured->p90, measured->p99, measured->p999};
    const char *unit = measured->unit != NULL ? measured->unit : "ns";

    skua_observe(arg, &every_count, (int64_t)measured->count,
                 SKUA_STR("skua.measure.name", measured->name));
    for (size_t i = 0; i < sizeof values / sizeof *values && measured->count != 0; i++)
        skua_observe(arg, &every_value, values[i], SKUA_STR("skua.measure.name", measured->name),
                     SKUA_STR("unit", unit), SKUA_STR("quantile", names[i]));
}

static void every_observe(skua_observer *observer, void *arg)
{
    (void)arg;
    (void)skua_monitor_each(every_observe_one, observer); /* no memory: none this time */
}

int skua_monitor_metrics_begin(void)
{
    return skua_observing_begin(&every_observing, every_observe, NULL);
}

void skua_monitor_metrics_end(void)
{
    skua_observing_end(&every_observing);
}
