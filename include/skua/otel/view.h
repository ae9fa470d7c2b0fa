/* view.h - views: what becomes of the values of an instrument.
 *
 *     static const skua_otel_view views[] = {
 *         {.size = sizeof(skua_otel_view), .instrument = "http.*", .exclude = 1,
 *          .keys = (const char *const[]){"user.id"}, .keys_count = 1},
 *         {.size = sizeof(skua_otel_view),
 *          .instrument = "noise",
 *          .aggregation = {SKUA_OTEL_OMIT}},
 *     };
 *
 * Match      a view is for the instruments that all of its criteria fit; each one that fits makes a
 *            stream of its own. An instrument that none fits has one stream, by the reader's
 *            defaults and its own advice.
 * Conflicts  streams of one name from one meter are all sent, and reported. A view that does not go
 *            with an instrument (buckets for an observable one) is reported, and left out there.
 *
 * Source     OpenTelemetry specification 1.60, metrics/sdk: View.
 */
#ifndef SKUA_OTEL_VIEW_H
#define SKUA_OTEL_VIEW_H

#include <skua/metric.h>
#include <skua/otel/data.h>
#include <skua/trace.h>

SKUA_C_BEGIN

typedef enum skua_otel_aggregate {
    SKUA_OTEL_BY_KIND, /* the default: sums, the last value, buckets */
    SKUA_OTEL_OMIT,
    SKUA_OTEL_SUMMED,
    SKUA_OTEL_LAST,
    SKUA_OTEL_EXPLICIT, /* buckets with bounds */
    SKUA_OTEL_BASE2     /* exponential buckets */
} skua_otel_aggregate;

typedef struct skua_otel_aggregation {
    skua_otel_aggregate kind;
    const double
        *bounds; /* EXPLICIT: ascending; NULL: the instrument's advice, or the usual ones */
    uint32_t bounds_count;
    uint32_t max_size;   /* BASE2: buckets of each sign, 2 to 1,024; 0: 160 */
    int32_t max_scale;   /* BASE2: -10 to 20; 0: 20 */
    unsigned no_min_max; /* 1: buckets without the smallest and the largest value */
} skua_otel_aggregation;

/* ---- exemplars ------------------------------------------------------------------------------- */

/* A value that is offered to a reservoir. Borrowed, all of it. */
typedef struct skua_otel_measurement {
    double value;
    const skua_attr *attrs; /* all of the measurement's */
    size_t attrs_count;
    const skua_span *span; /* the current one, or NULL */
    int64_t time;          /* ns since 1970 */
    uint64_t seen;         /* how many were offered before it, since the last collect */
    uint32_t bucket;       /* of explicit buckets: its own */
} skua_otel_measurement;

/* Which single values are kept beside the sums. Each thread has a reservoir of each series; when
 * metrics are collected the newest of each place is sent. */
typedef struct skua_otel_reservoir {
    /* Where to keep it, 0 to places - 1, in place of what is there; negative: nowhere. Any thread,
     * several at a time; must not wait. */
    int (*offer)(void *arg, const skua_otel_measurement *measurement, uint32_t places);
    void *arg;
    uint32_t places; /* 0: as many as there are buckets; at most 64 */
} skua_otel_reservoir;

/* The built-in ones: so many of all, each with the same chance; one of each explicit bucket, the
 * newest. The default is the second for explicit buckets, and else the first. */
SKUA_API extern const skua_otel_reservoir skua_otel_reservoir_fixed;
SKUA_API extern const skua_otel_reservoir skua_otel_reservoir_aligned;

/* ---- views ----------------------------------------------------------------------------------- */

typedef struct skua_otel_view {
    size_t size; /* of this struct */
    /* Criteria; NULL or 0: any. */
    const char *instrument; /* name, without regard to case; '*' any characters, '?' one */
    skua_instrument_kind kind;
    const char *unit;
    const char *meter, *meter_version, *meter_schema_url;
    /* The stream; NULL or 0: the instrument's own. */
    const char *name; /* only where the criteria fit one instrument: not with a wildcard */
    const char *description;
    const char *const *keys; /* attributes that are kept; or, with `exclude`, left out */
    uint32_t keys_count;
    unsigned exclude;
    unsigned no_keys; /* 1: no attribute is kept */
    skua_otel_aggregation aggregation;
    uint32_t cardinality; /* series at most; 0: the reader's */
    const skua_otel_reservoir *reservoir;
} skua_otel_view;

SKUA_C_END

#endif
