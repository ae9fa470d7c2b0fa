/* data.h - telemetry on its way out: what processors see and exporters are handed.
 *
 * The OpenTelemetry protocol's data model as plain structs. Everything is constant: a batch is
 * shared by all destinations, and freed when the last one has let go of it. Whoever keeps a piece
 * longer than the call copies it.
 *
 *   batch
 *     resource                          one a process
 *     spans | logs | metrics            in the order of their scopes
 *       scope                           the library that made them
 *
 * Strings    have no NUL unless they say so; UTF-8 or nearly: exporters repair them.
 * Times      ns since 1970; 0: not known.
 * Source     opentelemetry-proto 1.11; specification 1.60.
 */
#ifndef SKUA_OTEL_DATA_H
#define SKUA_OTEL_DATA_H

#include <skua/attribute.h>

SKUA_C_BEGIN

typedef struct skua_otel_text {
    const char *at;
    size_t len;
} skua_otel_text;

/* What a set of attributes is, and what of it was dropped by limits. */
typedef struct skua_otel_attrs {
    const skua_attr *at;
    uint32_t count;
    uint32_t dropped;
} skua_otel_attrs;

/* Who sends: service.name and so on. */
typedef struct skua_otel_resource {
    skua_otel_attrs attrs;
    skua_otel_text schema_url;
} skua_otel_resource;

/* The instrumentation scope: which library, in which version, made it. */
typedef struct skua_otel_scope {
    skua_otel_text name, version, schema_url;
    skua_otel_attrs attrs;
} skua_otel_scope;

/* ---- traces ---------------------------------------------------------------------------------- */

typedef struct skua_otel_event {
    int64_t time;
    skua_otel_text name;
    skua_otel_attrs attrs;
} skua_otel_event;

typedef struct skua_otel_link {
    uint8_t trace_id[16], span_id[8];
    uint8_t flags;  /* W3C trace flags */
    uint8_t remote; /* its parent, or it, came from elsewhere */
    skua_otel_text trace_state;
    skua_otel_attrs attrs;
} skua_otel_link;

typedef struct skua_otel_span {
    uint8_t trace_id[16], span_id[8];
    uint8_t parent_id[8]; /* zeros: a root */
    uint8_t flags;        /* W3C trace flags: 1 sampled, 2 random */
    uint8_t parent_remote;
    uint8_t kind;   /* as skua_span_kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer */
    uint8_t status; /* as skua_span_status: 0 unset, 1 ok, 2 error */
    skua_otel_text trace_state, name, status_text;
    int64_t start, end; /* end >= start */
    skua_otel_attrs attrs;
    const skua_otel_event *events;
    const skua_otel_link *links;
    uint32_t events_count, events_dropped, links_count, links_dropped;
    const skua_otel_scope *scope;
} skua_otel_span;

/* ---- logs ------------------------------------------------------------------------------------ */

typedef struct skua_otel_log {
    int64_t time, observed;
    uint8_t trace_id[16], span_id[8]; /* zeros: outside of a trace */
    uint8_t flags;                    /* W3C trace flags */
    uint8_t severity;                 /* 1 to 24; 0: not said */
    skua_otel_text severity_text, event_name;
    skua_attr body; /* its key does not count; SKUA_ATTR_NONE: none */
    skua_otel_attrs attrs;
    const skua_otel_scope *scope;
} skua_otel_log;

/* ---- metrics --------------------------------------------------------------------------------- */

typedef struct skua_otel_exemplar {
    int64_t time;
    uint8_t trace_id[16], span_id[8]; /* zeros: outside of a trace */
    uint8_t is_f64;
    union {
        int64_t i64;
        double f64;
    } value;
    skua_otel_attrs attrs; /* those that the stream's attributes do not have */
} skua_otel_exemplar;

typedef enum skua_otel_metric_type {
    SKUA_OTEL_GAUGE = 1,
    SKUA_OTEL_SUM,
    SKUA_OTEL_HISTOGRAM,
    SKUA_OTEL_EXPONENTIAL
} skua_otel_metric_type;

typedef enum skua_otel_temporality {
    SKUA_OTEL_DELTA = 1,
    SKUA_OTEL_CUMULATIVE = 2
} skua_otel_temporality;

/* The buckets of one sign of an exponential histogram: counts[i] is of bucket offset + i. */
typedef struct skua_otel_buckets {
    int32_t offset;
    uint32_t count;
    const uint64_t *counts;
} skua_otel_buckets;

typedef struct skua_otel_point {
    int64_t start, time;
    skua_otel_attrs attrs;
    const skua_otel_exemplar *exemplars;
    uint32_t exemplars_count;
    uint8_t is_f64;                    /* of a gauge or a sum */
    uint8_t has_sum, has_min, has_max; /* of histograms */
    union {
        int64_t i64;
        double f64;
    } value;        /* of a gauge or a sum */
    uint64_t count; /* histograms, from here on */
    double sum, min, max;
    const double *bounds; /* explicit: bounds_count, and one more of counts */
    const uint64_t *counts;
    uint32_t bounds_count;
    int32_t scale; /* exponential, from here on */
    uint64_t zero_count;
    double zero_threshold;
    skua_otel_buckets positive, negative;
} skua_otel_point;

typedef struct skua_otel_metric {
    skua_otel_text name, description, unit;
    uint8_t type;        /* skua_otel_metric_type */
    uint8_t temporality; /* skua_otel_temporality; not of a gauge */
    uint8_t monotonic;   /* of a sum */
    const skua_otel_point *points;
    uint32_t points_count;
    const skua_otel_scope *scope;
} skua_otel_metric;

/* ---- a batch --------------------------------------------------------------------------------- */

typedef enum skua_otel_signal {
    SKUA_OTEL_TRACES,
    SKUA_OTEL_METRICS,
    SKUA_OTEL_LOGS,
    SKUA_OTEL_SIGNALS /* how many there are */
} skua_otel_signal;

/* One signal's. Items of a scope stand together, as far as they were made so. */
typedef struct skua_otel_batch {
    skua_otel_signal signal;
    uint32_t count; /* items: spans, log records, metrics */
    const skua_otel_resource *resource;
    union {
        const skua_otel_span *spans;
        const skua_otel_log *logs;
        const skua_otel_metric *metrics;
    } items;
} skua_otel_batch;

/* How many things of its signal a batch has: spans, records, or points of data.
 *
 * Returns    how many
 * Threads    any
 * Since      0.4
 */
SKUA_API size_t skua_otel_batch_size(const skua_otel_batch *batch);

SKUA_C_END

#endif
