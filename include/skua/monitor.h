/* monitor.h - the performance monitor: how often, how long, by name.
 *
 *     static int query(const char *sql)
 *     {
 *         int rc = 0;
 *
 *         SKUA_MEASURE("db.query") {
 *             rc = run(sql);               -- returning from here is measured, too
 *         }
 *         return rc;
 *     }
 *
 *     skua_monitor_print(stdout);
 *
 *     MEASURE      COUNT   RATE/S      MIN     MEAN      P50      P90      P99    P99.9      MAX
 *     db.query     12034      401   310 us  1.12 ms   920 us  2.10 ms  8.40 ms  21.0 ms  33.1 ms
 *
 * A measure is a name. Each thread counts into cells of its own: no two of them ever write the same
 * line of memory, and nobody waits. Who looks adds the cells up, while they are written.
 *
 * Exact      counts, sums, least and greatest values. Percentiles are those of a histogram with
 *            buckets whose width is 1/32 of their value or less, and are the middle of one: within
 *            1.6 %. Up to 63 they are exact. Values of 2^44 and more (five hours, in ns) are in the
 *            last bucket; negative ones are 0.
 * Memory     10 KiB for each measure that a thread uses, kept for the threads that come later. At
 *            most 255 names. What there is no memory or name for is lost, and counted.
 * Cost       some 60 ns for a block that is measured: two looks at the clock and a few additions.
 * Fork       the child goes on with the parent's numbers.
 *
 * Source     HdrHistogram (buckets by exponent and linear inside of it).
 */
#ifndef SKUA_MONITOR_H
#define SKUA_MONITOR_H

#include <stdio.h>

#include <skua/runtime.h>

SKUA_C_BEGIN

/* ---- measuring ------------------------------------------------------------------------------- */

/* Static, made by SKUA_MEASURE_OF. Several of one name are one measure. */
typedef struct skua_measure {
    const char *name; /* lives as long as the process */
    const char *unit; /* NULL: times in ns; else what is shown behind values: "By" */
    uint32_t index;   /* private; atomic */
} skua_measure;

#define SKUA_MEASURE_OF(name, unit)                                                                \
    {                                                                                              \
        (name), (unit), 0                                                                          \
    }

/* Adds a value to a measure.
 *
 * value      ns, or whatever its unit is
 * Threads    any
 * Since      0.5
 */
SKUA_API void skua_measure_record(skua_measure *measure, int64_t value);

/* Something that is measured now. Its members are private. */
typedef struct skua_measure_frame {
    skua_measure *measure;
    int64_t start;
    int open;
} skua_measure_frame;

/* Begins to measure. The end may be on another thread.
 *
 * frame      the caller's, until skua_measure_end
 * Threads    any
 * Since      0.5
 */
SKUA_API void skua_measure_begin(skua_measure_frame *frame, skua_measure *measure);

/* Ends it: the time between is recorded. Again, or of zeros: nothing.
 *
 * Returns    the time, ns
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_measure_end(skua_measure_frame *frame);

#ifndef __cplusplus
static inline void skua_measure_leave(skua_measure_frame *frame)
{
    (void)skua_measure_end(frame);
}

static inline skua_measure_frame skua_measure_enter(skua_measure *measure)
{
    skua_measure_frame frame;

    skua_measure_begin(&frame, measure);
    frame.open = 1;
    return frame;
}

/* Measures a block, on every way out of it (the cleanup attribute of GCC and Clang). `break` leaves
 * the block.
 *
 * text       the measure's name, a literal
 * Threads    any
 * Since      0.5
 */
#define SKUA_MEASURE(text) SKUA__MEASURE_OF(__COUNTER__, text)
#define SKUA__MEASURE_OF(number, text) SKUA__MEASURE_IN(number, text)
#define SKUA__MEASURE_IN(number, text) SKUA__MEASURE_BLOCK(skua__frame_##number, text)
#define SKUA__MEASURE_BLOCK(frame, text)                                                           \
    for (skua_measure_frame frame                                                                  \
         __attribute__((cleanup(skua_measure_leave))) = skua_measure_enter(__extension__({         \
             static skua_measure skua__site = SKUA_MEASURE_OF(text, NULL);                         \
             &skua__site;                                                                          \
         }));                                                                                      \
         frame.open != 0; frame.open = 0)
#endif

/* ---- looking --------------------------------------------------------------------------------- */

/* One measure, since its last reset. */
typedef struct skua_measured {
    size_t size; /* set by the caller of skua_monitor_get */
    const char *name, *unit;
    uint64_t count;
    int64_t sum, min, max; /* all zeros while count is 0, as the next ones */
    double mean, rate;     /* rate: how many a second */
    int64_t p50, p90, p99, p999;
    int64_t since; /* when it was first used, or reset: monotonic ns */
} skua_measured;

/* Looks at one measure.
 *
 * ret        its `size` set by the caller
 * Returns    0; -ENOENT: it was never used; -EINVAL: the size; -ENOMEM
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_monitor_get(const char *name, skua_measured *ret);

/* Any percentile.
 *
 * part       0 to 1: of 0.95 the value that 95 % do not exceed
 * Returns    the value; 0 when there are none; -ENOENT, -EINVAL, -ENOMEM
 * Threads    any
 * Since      0.5
 */
SKUA_API int64_t skua_monitor_quantile(const char *name, double part);

/* Calls fn for each measure, in the order of their first use. fn may do what it likes.
 *
 * Returns    how many; -ENOMEM
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_monitor_each(void (*fn)(const skua_measured *measured, void *arg), void *arg);

/* Begins anew. What is recorded at this very moment may count before or after.
 *
 * name       NULL: all measures
 * Returns    0; -ENOENT
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_monitor_reset(const char *name);

/* How many values were lost: there was no memory, or no name any more.
 *
 * Returns    since the process began
 * Threads    any
 * Since      0.5
 */
SKUA_API uint64_t skua_monitor_lost(void);

/* ---- a runtime's figures --------------------------------------------------------------------- */

/* What skua_monitor_runtime compares with: the caller's; all zeros at first. */
typedef struct skua_monitor_base {
    skua_runtime_stats stats;
    int64_t time;
} skua_monitor_base;

/* A runtime, since the last look. */
typedef struct skua_runtime_rates {
    size_t size;      /* set by the caller */
    const char *name; /* borrowed from the runtime */
    unsigned workers;
    double seconds; /* since the last look; the first time since its start, with seconds 0 */
    double busy;    /* part of the workers' time that they were not parked, 0 to 1, counted when
                       they park; 0 at first */
    uint64_t alive, runnable;               /* tasks: now; when workers looked at events last */
    uint64_t spawned, polls, steals, parks; /* in this time, as the next ones */
    uint64_t budget_yields, events, timers_fired, blocking_jobs;
    int64_t poll_p50, poll_p99; /* of a sample of turns, ns: the end of a bucket that doubles */
} skua_runtime_rates;

/* Looks at a runtime (skua_runtime_snapshot), and what has changed since the last look.
 *
 * base       in and out
 * ret        its `size` set by the caller
 * Returns    0; -EINVAL: the size; SKUA_EUSAGE: as skua_runtime_snapshot
 * Threads    any, while the runtime lives
 * Since      0.5
 */
SKUA_API int skua_monitor_runtime(skua_runtime *runtime, skua_monitor_base *base,
                                  skua_runtime_rates *ret);

/* ---- reports --------------------------------------------------------------------------------- */

/* Zero: the default. */
typedef struct skua_monitor_options {
    size_t size;             /* stamped by the macro */
    int json;                /* 1: one line of JSON (default: a table) */
    int reset;               /* 1: each report begins anew, so that the next one is of its own time;
                              what is recorded while one is made may be in neither */
    skua_runtime *runtime;   /* its figures, too; skua_monitor_every: (default the scope's) */
    skua_monitor_base *base; /* of these; NULL: since the runtime's start */
} skua_monitor_options;

#ifndef __cplusplus
#define SKUA_MONITOR_OPTIONS(...)                                                                  \
    (&(const skua_monitor_options){.size = sizeof(skua_monitor_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.5
 */
SKUA_API void skua_monitor_options_init(skua_monitor_options *options);

/* Makes a report, and hands it to fn, whole, with "\n" at its end.
 *
 * options    NULL = defaults
 * Returns    0; -EINVAL, -ENOMEM; SKUA_EUSAGE: as skua_monitor_runtime
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_monitor_report(const skua_monitor_options *options,
                                 void (*fn)(const char *text, size_t len, void *arg), void *arg);

/* Prints a table.
 *
 * Returns    as skua_monitor_report; -EIO: not all of it was written
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_monitor_print(FILE *to);

/* Spawns a fiber that makes a report each `period`, and a last one when it is cancelled; its result
 * is 0 then.
 *
 * scope      NULL: the caller's
 * period     ns, positive
 * options    copied; `base` is the fiber's own
 * fn         on that fiber; it may wait
 * Returns    0; -EINVAL, -ENOMEM; else as skua_spawn
 * Threads    as skua_spawn
 * Since      0.5
 */
SKUA_API int skua_monitor_every(skua_scope *scope, int64_t period,
                                const skua_monitor_options *options,
                                void (*fn)(const char *text, size_t len, void *arg), void *arg);

/* Shows all measures as metrics (metric.h) to whatever SDK is installed, now or later:
 * skua.measure.count, and skua.measure.value, a gauge with the attribute "quantile" (0.5, 0.9,
 * 0.99, 0.999); both with "skua.measure.name", the latter with "unit". A reset begins both anew.
 *
 * Returns    0; -EBUSY: it does already
 * Threads    any
 * Since      0.5
 */
SKUA_API int skua_monitor_metrics_begin(void);

/* Shows them no longer.
 *
 * Threads    any
 * Since      0.5
 */
SKUA_API void skua_monitor_metrics_end(void);

SKUA_C_END

#endif
