/* sdk.h - telemetry's life: started, flushed, shut down.
 *
 *     skua_otel_start(NULL);                     -- as OTEL_* say: by default to a local collector
 *     …
 *     skua_otel_shutdown(skua_now() + 5 * SKUA_SECOND);
 *
 * Or in words of its own:
 *
 *     int main(void)
 *     {
 *         skua_otel_exporter *out;
 *         skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
 *
 *         skua_otel_console_new(&out, NULL);                 -- skua/otel/console.h
 *         to.exporter = out;
 *         skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1));
 *         …                                                  -- spans are on from here
 *         skua_otel_shutdown(skua_now() + 5 * SKUA_SECOND);
 *     }
 *
 * What programs make telemetry with is libskua's: skua/trace.h, skua/metric.h, skua/log.h.
 *
 * Environment  OTEL_* say what the options do not; or the file that OTEL_CONFIG_FILE names, alone.
 *              What cannot be used there is told, and left out; of a file it is an error. Where the
 *              options have destinations, these are all. OTEL_SDK_DISABLED: nothing starts.
 *              SKUA_OTEL_TASKS=all, or names of tasks: "name,name*": these have spans of their own;
 *              beside a file, too.
 *              SKUA_OTEL_RUNTIME=off|basic|full: what is measured of runtimes (.runtime_metrics);
 *              SKUA_OTEL_OPERATIONS=off|metrics|all: what connections, files and the like make
 *              (.operations); both beside a file, too.
 * Signals      with no destination and no processor log records are not made, and spans record
 *              nothing: they have ids and are sampled, so that traces go on where this process is
 *              between others. Metrics are on where there is a reader.
 * Thread       telemetry has one thread of its own, with a runtime of its own: there it collects,
 *              and there exporters run. Who makes spans never waits for it.
 * Flow         spans that end go through a buffer of their thread into batches, and these into the
 *              queue of each destination. Destinations do not disturb each other.
 * Dropped      what does not fit is dropped, counted by reason (skua_otel_stats), and told on
 *              standard error, at a limited rate.
 * Exit         a program that ends without a shutdown is shut down by exit(), within a bound.
 * fork         the child starts clean: what its parent had queued is its parent's to send, and its
 *              own thread is made by its first span that ends, record, or value of a metric.
 *
 * Source       OpenTelemetry specification 1.60: trace/sdk, logs/sdk, metrics/sdk, resource/sdk.
 */
#ifndef SKUA_OTEL_SDK_H
#define SKUA_OTEL_SDK_H

#include <skua/log.h>
#include <skua/otel/config.h>
#include <skua/otel/exporter.h>
#include <skua/otel/processor.h>
#include <skua/otel/reader.h>
#include <skua/otel/sampler.h>
#include <skua/time.h>

SKUA_C_BEGIN

/* ---- options --------------------------------------------------------------------------------- */

/* Where a signal goes. Zero means the default. */
typedef struct skua_otel_destination {
    skua_otel_signal signal;
    skua_otel_exporter *exporter; /* telemetry's own from a start that succeeds on: it is freed
                                     behind the shutdown. It may be in several destinations */
    unsigned simple;              /* 1: sent at once, not in a rhythm (default 0) */
    uint32_t max_queue;           /* items that wait; more are dropped (default 2048) */
    uint32_t max_batch; /* items of an export, at most max_queue, and 65,536 (default 512); of
                           metrics points (default all) */
    int64_t delay;      /* ns between two exports at most; of metrics: the interval (default: 5 s;
                           logs 1 s; metrics 60 s) */
    int64_t timeout;    /* ns that an export may take (default 30 s) */
} skua_otel_destination;

/* How much of a span is kept. 0 is the default; SKUA_OTEL_NONE: nothing. */
#define SKUA_OTEL_NONE UINT32_MAX
typedef struct skua_otel_limits {
    uint32_t attrs;       /* of a span (default 128) */
    uint32_t events;      /* (default 128) */
    uint32_t links;       /* (default 128) */
    uint32_t event_attrs; /* of each event (default 128) */
    uint32_t link_attrs;  /* of each link (default 128) */
    uint32_t value_len;   /* characters of text, bytes of bytes (default: any) */
} skua_otel_limits;

/* What is measured of runtimes, as metrics skua.*: docs/runtime-metrics.md has their table. */
typedef enum skua_otel_runtime_metrics {
    SKUA_OTEL_RUNTIME_DEFAULT, /* as SKUA_OTEL_RUNTIME says; else basic */
    SKUA_OTEL_RUNTIME_OFF,
    SKUA_OTEL_RUNTIME_BASIC, /* what runtimes count anyway: costs nothing but at a collect */
    SKUA_OTEL_RUNTIME_FULL   /* and how long turns, queues and waits take: some 40 ns a turn */
} skua_otel_runtime_metrics;

/* What the library's operations make: connections, names, files, processes, blocking jobs.
 *
 * METRICS    dns.lookup.duration, skua.net.io, skua.net.connections, skua.net.connect.duration,
 *            skua.file.io, skua.process.spawned, skua.operation.duration: docs/operations.md
 * ALL        and a span of each connect, lookup, file that is opened or handled as a whole, process
 *            and blocking job, as a child of the span that is current there, if that is recorded;
 *            there are no traces of them alone. Reads and writes are counted only.
 * What telemetry does itself, and what is suppressed (skua_trace_suppress), makes nothing. */
typedef enum skua_otel_operations {
    SKUA_OTEL_OPERATIONS_DEFAULT, /* as SKUA_OTEL_OPERATIONS says; else metrics */
    SKUA_OTEL_OPERATIONS_OFF,
    SKUA_OTEL_OPERATIONS_METRICS,
    SKUA_OTEL_OPERATIONS_ALL
} skua_otel_operations;

/* Zero means the default. All is the caller's and copied, but for what it says. */
typedef struct skua_otel_options {
    size_t size; /* of this struct; SKUA_OTEL_OPTIONS sets it */
    const skua_otel_destination *destinations;
    size_t destinations_count;
    /* Instead of the environment; telemetry's own from a start that succeeds on. */
    skua_otel_config *config;
    unsigned environment_off; /* 1: the environment says nothing */
    /* Who sends. What is not there of service.name, service.instance.id and telemetry.sdk.* is
     * added; with the environment, what it says and what can be found out. */
    const skua_attr *resource;
    size_t resource_count;
    const char *resource_schema;
    /* Telemetry's own from a start that succeeds on; never freed, since a span may be under way in
     * it (default: what the parent says, and all roots). */
    skua_otel_sampler *sampler;
    skua_otel_limits limits;
    skua_otel_limits log_limits; /* of log records: attrs, value_len */
    skua_severity log_minimum;   /* what is less is left out, beside levels (default: nothing) */
    unsigned log_sampled_only;   /* 1: no records inside of traces that are not sampled */
    /* In this order; the caller's, see processor.h. */
    skua_otel_processor *const *processors;
    size_t processors_count;
    /* Of metrics; before those of a configuration; as long as the process. */
    const skua_otel_view *views;
    size_t views_count;
    /* Beside those of the destinations, at most 8 in all; the caller's still. */
    skua_otel_reader *const *readers;
    size_t readers_count;
    skua_otel_runtime_metrics runtime_metrics; /* (default basic). Since 0.5 */
    skua_otel_operations operations;           /* (default metrics). Since 0.5 */
    unsigned self_metrics_off; /* 1: no otel.sdk.*: telemetry's own numbers, as metrics */
    /* Ids of traces and spans, of 16 and 8 bytes; any thread (default: random). */
    void (*new_trace_id)(uint8_t id[16]);
    void (*new_span_id)(uint8_t id[8]);
    /* Which tasks have spans of their own (trace.h, "Tasks"), by their names: "all", or
     * "name,name*" (default: what SKUA_OTEL_TASKS says; "none": those with SKUA_TRACED alone).
     * Copied. */
    const char *tasks;
    size_t buffer;        /* bytes of each thread's, a power of two, 64 KiB to 64 MiB (default 512
                             KiB) */
    int64_t exit_timeout; /* ns that exit() waits for a shutdown (default 2 s; -1: it does not) */
    /* Is told what goes wrong, a line at a time (default: standard error). Any thread. These are
     * warnings: OTEL_LOG_LEVEL at error or none leaves faults of the configuration alone. */
    void (*on_warning)(void *arg, const char *line);
    void *arg;
} skua_otel_options;

#ifndef __cplusplus
#define SKUA_OTEL_OPTIONS(...)                                                                     \
    (&(const skua_otel_options){.size = sizeof(skua_otel_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_options_init(skua_otel_options *options);

/* ---- life ------------------------------------------------------------------------------------ */

/* Starts telemetry: its thread runs, and spans, metrics and logs are on.
 *
 * options    NULL: all defaults
 * Returns    0, also when it is disabled: then exporters are freed, and nothing is on; -EBUSY: it
 *            is started, or not at the end of its shutdown yet; -EINVAL; what is wrong with a file
 *            of configuration; -ENOMEM, -EAGAIN (no thread), or as skua_runtime_new: nothing is
 *            left behind, and exporters are the caller's
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_start(const skua_otel_options *options);

/* Waits until all that ended before this call has been exported.
 *
 * deadline   monotonic ns
 * Returns    0, also when telemetry is off; -ETIMEDOUT; -ECANCELED; the error of an export that
 *            failed meanwhile, or SKUA_ELIMIT: a queue was full; SKUA_EUSAGE in a poll task, and on
 *            telemetry's own thread; -ENOMEM
 * Threads    fibers, plain threads
 * Since      0.4
 */
SKUA_API int skua_otel_flush(int64_t deadline);

/* Shuts telemetry down: spans are off at once; what has ended is exported until the deadline, what
 * is left then is cancelled, dropped and counted. Who calls it again waits with the first, whose
 * deadline counts. It may be started again behind it.
 *
 * deadline   monotonic ns
 * Returns    0, also when it was not started; else as skua_otel_flush: it is shut down, or (an
 *            exporter that does not heed its end) will be
 * Threads    fibers, plain threads
 * Since      0.4
 */
SKUA_API int skua_otel_shutdown(int64_t deadline);

/* ---- numbers --------------------------------------------------------------------------------- */

/* Since the process began, or was forked. */
typedef struct skua_otel_counts {
    uint64_t spans_dropped, spans_recorded, spans_sampled; /* started, by what the sampler said */
    uint64_t logs;                                         /* records made */
    uint64_t full_spans, full_logs; /* dropped: their thread's buffer was full */
    uint64_t lost;                  /* dropped: no memory */
    uint64_t filtered;              /* left out by processors */
    uint64_t late;                  /* ended behind the shutdown */
    size_t destinations;            /* of the last start */
} skua_otel_counts;

/* Telemetry's own numbers.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_stats(skua_otel_counts *ret);

/* Of a destination; since the last start. */
typedef struct skua_otel_destination_counts {
    const char *name; /* the exporter's; static */
    skua_otel_signal signal;
    uint64_t queued, inflight;   /* items, now */
    uint64_t capacity;           /* of the queue */
    uint64_t exported, rejected; /* items that arrived, or were refused by who received them */
    uint64_t failed;             /* items whose export failed */
    uint64_t full;               /* items dropped: the queue was full */
    uint64_t shutdown;           /* items dropped at the shutdown */
    uint64_t exports, timeouts;  /* calls, and those that came to their time-out */
    uint64_t export_ns;          /* in calls */
} skua_otel_destination_counts;

/* Those of a destination.
 *
 * index      from 0, in the order of the options
 * Returns    0; -ENOENT
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_destination_stats(size_t index, skua_otel_destination_counts *ret);

SKUA_C_END

#endif
