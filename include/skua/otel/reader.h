/* reader.h - readers: who asks for metrics, in which form, and what else is to be sent.
 *
 * A reader collects all streams. A periodic one does so in a rhythm for its exporter; a pull reader
 * when somebody asks: a page for Prometheus, a test.
 *
 *     skua_otel_reader_options options = {.size = sizeof options};
 *     skua_otel_reader *reader = skua_otel_reader_new(&options);
 *     ... skua_otel_start with it ...
 *     skua_otel_collected *batch;
 *     if (skua_otel_collect(reader, &batch) == 0) {
 *         ... batch->batch.items.metrics ...
 *         skua_otel_collected_free(batch);
 *     }
 *
 * Source     OpenTelemetry specification 1.60, metrics/sdk: MetricReader, MetricProducer,
 *            MetricFilter.
 */
#ifndef SKUA_OTEL_READER_H
#define SKUA_OTEL_READER_H

#include <skua/otel/view.h>

SKUA_C_BEGIN

/* ---- filters --------------------------------------------------------------------------------- */

typedef enum skua_otel_verdict {
    SKUA_OTEL_ACCEPT,
    SKUA_OTEL_REJECT,
    SKUA_OTEL_ACCEPT_SOME /* `point` is asked of each */
} skua_otel_verdict;

/* What of all metrics is wanted. Asked while they are collected. */
typedef struct skua_otel_filter {
    skua_otel_verdict (*metric)(void *arg, const skua_otel_scope *scope,
                                const skua_otel_metric *metric); /* its points are not there yet */
    int (*point)(void *arg, const skua_otel_metric *metric,
                 const skua_otel_attrs *attrs); /* 0: no */
    void *arg;
} skua_otel_filter;

/* ---- producers ------------------------------------------------------------------------------- */

/* Where a producer puts its metrics. */
typedef struct skua_otel_sink {
    /* Memory for what a metric points at; it lives as long as what is collected; NULL: none. */
    void *(*alloc)(struct skua_otel_sink *sink, size_t size);
    /* Adds one; 0 or -ENOMEM. What it points at lives as alloc's memory does. */
    int (*add)(struct skua_otel_sink *sink, const skua_otel_metric *metric);
    const skua_otel_filter *filter; /* the reader's; what it rejects is left out in any case */
} skua_otel_sink;

/* Metrics from elsewhere: another library's. Called at each collect of its reader. */
typedef struct skua_otel_producer {
    int (*produce)(void *arg, skua_otel_sink *sink);
    void *arg;
} skua_otel_producer;

/* ---- readers --------------------------------------------------------------------------------- */

typedef enum skua_otel_temporality_preference {
    SKUA_OTEL_PREFER_CUMULATIVE, /* the default */
    SKUA_OTEL_PREFER_DELTA,      /* but for updowns */
    SKUA_OTEL_PREFER_LOWMEMORY   /* delta of counters and histograms that are not observed */
} skua_otel_temporality_preference;

typedef struct skua_otel_reader_options {
    size_t size; /* of this struct */
    skua_otel_temporality_preference temporality;
    /* Instead of that; NULL: as `temporality` says. Asked of each kind once, by
     * skua_otel_reader_new; so is the next. */
    skua_otel_temporality (*temporality_of)(void *arg, skua_instrument_kind kind);
    /* What an instrument's values become where no view says it; NULL: the usual. */
    skua_otel_aggregation (*aggregation_of)(void *arg, skua_instrument_kind kind);
    void *arg;
    uint32_t cardinality; /* series of a stream at most; 0: 2,000 */
    const skua_otel_producer *producers;
    size_t producers_count;
    const skua_otel_filter *filter; /* NULL: all is wanted */
    /* As `cardinality`, of a kind of instruments; 0: as that says. Asked as the others are; since
     * 0.5 */
    uint32_t (*cardinality_of)(void *arg, skua_instrument_kind kind);
} skua_otel_reader_options;

typedef struct skua_otel_reader skua_otel_reader;

/* Makes a reader, for one SDK at a time.
 *
 * options    NULL: all defaults. What it points at lives as long as the reader
 * Returns    to be freed by skua_otel_reader_free; NULL: no memory, or not valid
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_otel_reader *skua_otel_reader_new(const skua_otel_reader_options *options);

/* Frees it; no SDK has it any more.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_reader_free(skua_otel_reader *reader);

/* What was collected, and its memory. */
typedef struct skua_otel_collected {
    skua_otel_batch batch; /* of metrics */
} skua_otel_collected;

/* Collects all metrics now: calls what is observing, and the producers.
 *
 * ret        receives it, to be freed by skua_otel_collected_free
 * Returns    0, -ENOMEM, -ENOENT: no SDK has it; SKUA_EUSAGE: from what is observing; else as
 *            skua_mutex_lock
 * Threads    any; several at a time come one after the other
 * Since      0.4
 */
SKUA_API SKUA_NODISCARD int skua_otel_collect(skua_otel_reader *reader, skua_otel_collected **ret);

/* Frees what was collected; NULL: nothing.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_collected_free(skua_otel_collected *collected);

SKUA_C_END

#endif
