/* metric.h - metrics: how often, how much, how long, as sums over all threads.
 *
 *     static skua_meter meter = SKUA_METER("shop.orders", "1.2.0");
 *     static skua_counter orders =
 *         SKUA_COUNTER(&meter, "orders.created", "{order}", "Orders that were stored");
 *     static skua_histogram took = SKUA_HISTOGRAM(&meter, "orders.duration", "s", "Time to store");
 *
 *     skua_counter_add(&orders, 1, SKUA_STR("status", "paid"));
 *     skua_histogram_record(&took, seconds, SKUA_STR("status", "paid"));
 *
 * Off        until a program starts an SDK (libskua-otel's skua_otel_start) all of this does
 *            nothing, at the cost of one predicted branch, and attributes are not made.
 * Handles    are static, and bind themselves to the SDK at their first use, and again when another
 *            one is started. Several handles with one name, kind and unit of one meter are one
 *            instrument.
 * Attributes choose the series that a value goes to. Their order does not count. Few values a key:
 *            a series lives in memory. Attributes that a view leaves out may still be seen with the
 *            examples of single values (exemplars) that are sent along.
 * Bound      a set of attributes that is known beforehand is bound once, and costs nothing later:
 *
 *                static skua_bound paid;
 *                skua_bind(&orders, &paid, SKUA_STR("status", "paid"));
 *                skua_bound_add(&paid, 1);
 *
 * Kinds      counter      what only grows: requests; negative values are left out, and reported
 *            updown       what grows and shrinks: requests in flight
 *            gauge        what has a value now: a temperature; the last one counts
 *            histogram    what is distributed: durations, sizes
 *            observable   the first three, asked for when metrics are collected (skua_observing)
 * Numbers    counters, updowns and gauges count in int64_t, histograms in double; the other way
 *            round with _f64 and _i64 in their name. NaN and infinite values are left out, and so
 *            are negative values of a histogram, as the specification has them.
 *
 * Source     OpenTelemetry specification 1.60, metrics/api.
 */
#ifndef SKUA_METRIC_H
#define SKUA_METRIC_H

#include <skua/attribute.h>

SKUA_C_BEGIN

/* ---- meters ---------------------------------------------------------------------------------- */

/* Who measures: a library or a part of a program (the instrumentation scope). Static; its strings
 * are literals, or live as long as the process. */
typedef struct skua_meter {
    const char *name, *version, *schema_url; /* NULL: "" */
    const skua_attr *attrs;                  /* of the scope; NULL: none */
    size_t attrs_count;
} skua_meter;

#define SKUA_METER(name, version)                                                                  \
    {                                                                                              \
        (name), (version), NULL, NULL, 0                                                           \
    }

/* ---- instruments ----------------------------------------------------------------------------- */

typedef enum skua_instrument_kind {
    SKUA_KIND_COUNTER = 1,
    SKUA_KIND_UPDOWN,
    SKUA_KIND_GAUGE,
    SKUA_KIND_HISTOGRAM,
    SKUA_KIND_OBSERVABLE_COUNTER,
    SKUA_KIND_OBSERVABLE_UPDOWN,
    SKUA_KIND_OBSERVABLE_GAUGE
} skua_instrument_kind;

/* What all kinds have. Static; all that it points at is, too. */
typedef struct skua_instrument {
    const skua_meter *meter;
    const char *name;        /* a letter, then up to 254 letters, digits, and "_.-/" */
    const char *unit;        /* up to 63 ASCII characters (UCUM): "s", "By", "{order}"; NULL: "" */
    const char *description; /* NULL: "" */
    /* Advice for who collects; views come before it. */
    const double *bounds;    /* of a histogram's buckets, ascending; NULL: the SDK's */
    const char *const *keys; /* of the attributes that matter; NULL: all of them */
    uint32_t bounds_count, keys_count;
    uint8_t kind;   /* skua_instrument_kind */
    uint8_t is_f64; /* of the values */
    uint64_t bound; /* private; atomic */
} skua_instrument;

#define SKUA__INSTRUMENT(meter, name, unit, text, bounds, bounds_count, kind, is_f64)              \
    {                                                                                              \
        {                                                                                          \
            (meter), (name), (unit), (text), (bounds), NULL, (bounds_count), 0, (kind), (is_f64),  \
                0                                                                                  \
        }                                                                                          \
    }

typedef struct skua_counter {
    skua_instrument instrument;
} skua_counter;
typedef struct skua_counter_f64 {
    skua_instrument instrument;
} skua_counter_f64;
typedef struct skua_updown {
    skua_instrument instrument;
} skua_updown;
typedef struct skua_updown_f64 {
    skua_instrument instrument;
} skua_updown_f64;
typedef struct skua_gauge {
    skua_instrument instrument;
} skua_gauge;
typedef struct skua_gauge_f64 {
    skua_instrument instrument;
} skua_gauge_f64;
typedef struct skua_histogram {
    skua_instrument instrument;
} skua_histogram;
typedef struct skua_histogram_i64 {
    skua_instrument instrument;
} skua_histogram_i64;
typedef struct skua_observable {
    skua_instrument instrument;
} skua_observable;

/* Of a meter, a name, a unit and a description. */
#define SKUA_COUNTER(meter, name, unit, text)                                                      \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_COUNTER, 0)
#define SKUA_COUNTER_F64(meter, name, unit, text)                                                  \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_COUNTER, 1)
#define SKUA_UPDOWN(meter, name, unit, text)                                                       \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_UPDOWN, 0)
#define SKUA_UPDOWN_F64(meter, name, unit, text)                                                   \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_UPDOWN, 1)
#define SKUA_GAUGE(meter, name, unit, text)                                                        \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_GAUGE, 0)
#define SKUA_GAUGE_F64(meter, name, unit, text)                                                    \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_GAUGE, 1)
#define SKUA_HISTOGRAM(meter, name, unit, text)                                                    \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_HISTOGRAM, 1)
#define SKUA_HISTOGRAM_I64(meter, name, unit, text)                                                \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_HISTOGRAM, 0)
/* With the bounds of its buckets: an array of doubles. */
#define SKUA_HISTOGRAM_BOUNDS(meter, name, unit, text, array)                                      \
    SKUA__INSTRUMENT(meter, name, unit, text, array, sizeof(array) / sizeof(double),               \
                     SKUA_KIND_HISTOGRAM, 1)
#define SKUA_OBSERVABLE_COUNTER(meter, name, unit, text)                                           \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_OBSERVABLE_COUNTER, 0)
#define SKUA_OBSERVABLE_COUNTER_F64(meter, name, unit, text)                                       \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_OBSERVABLE_COUNTER, 1)
#define SKUA_OBSERVABLE_UPDOWN(meter, name, unit, text)                                            \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_OBSERVABLE_UPDOWN, 0)
#define SKUA_OBSERVABLE_UPDOWN_F64(meter, name, unit, text)                                        \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_OBSERVABLE_UPDOWN, 1)
#define SKUA_OBSERVABLE_GAUGE(meter, name, unit, text)                                             \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_OBSERVABLE_GAUGE, 0)
#define SKUA_OBSERVABLE_GAUGE_F64(meter, name, unit, text)                                         \
    SKUA__INSTRUMENT(meter, name, unit, text, NULL, 0, SKUA_KIND_OBSERVABLE_GAUGE, 1)

/* ---- the table ------------------------------------------------------------------------------- */

struct skua_bound;

/* What an SDK has for metrics: see telemetry.h. Any thread, and none of them waits. */
typedef struct skua_metric_ops {
    size_t size; /* of this struct */
    void (*i64)(skua_instrument *instrument, int64_t value, const skua_attr *attrs, size_t count);
    void (*f64)(skua_instrument *instrument, double value, const skua_attr *attrs, size_t count);
    void (*bound_i64)(struct skua_bound *bound, int64_t value);
    void (*bound_f64)(struct skua_bound *bound, double value);
    void (*unbind)(struct skua_bound *bound);
    int (*enabled)(skua_instrument *instrument);
} skua_metric_ops;

/* The functions of the SDK that is started; NULL: metrics are off. Private. */
SKUA_API extern const skua_metric_ops *skua_metric_table;

/* The table in force; NULL: metrics are off. Acquire: what the SDK had set up before.
 *
 * Threads    any
 * Since      0.4
 */
static inline const skua_metric_ops *skua_metric_installed(void)
{
    return __atomic_load_n(&skua_metric_table, __ATOMIC_ACQUIRE);
}

#define SKUA_METRIC_ON() (__builtin_expect(skua_metric_installed() != NULL, 0))

/* ---- measuring ------------------------------------------------------------------------------- */

/* Adds, sets or records a value, as the instrument's kind has it; for other languages: the typed
 * macros below do the same. An instrument of the other kind of number gets it converted.
 *
 * attrs      copied where they are kept; NULL: none
 * Threads    any
 * Since      0.4
 */
static inline void skua_metric_i64(skua_instrument *instrument, int64_t value,
                                   const skua_attr *attrs, size_t count)
{
    const skua_metric_ops *ops = skua_metric_installed();

    if (__builtin_expect(ops != NULL, 0))
        ops->i64(instrument, value, attrs, count);
}

static inline void skua_metric_f64(skua_instrument *instrument, double value,
                                   const skua_attr *attrs, size_t count)
{
    const skua_metric_ops *ops = skua_metric_installed();

    if (__builtin_expect(ops != NULL, 0))
        ops->f64(instrument, value, attrs, count);
}

/* Whether a value would go anywhere: ask before values that are dear to make. The answer changes:
 * ask each time.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.4
 */
static inline int skua_instrument_enabled(skua_instrument *instrument)
{
    const skua_metric_ops *ops = skua_metric_installed();

    return __builtin_expect(ops != NULL, 0) ? ops->enabled(instrument) : 0;
}
#define skua_metric_enabled(handle) skua_instrument_enabled(&(handle)->instrument)

#ifndef __cplusplus
/* Attributes may follow the value. */
#define SKUA__METRIC(handle, type, number, value, ...)                                             \
    (SKUA_METRIC_ON()                                                                              \
         ? skua_metric_##number(                                                                   \
               &((type *){(handle)})->instrument, (value),                                         \
               ((const skua_attr[]){{.key = NULL}, __VA_ARGS__}) + 1,                              \
               sizeof((const skua_attr[]){{.key = NULL}, __VA_ARGS__}) / sizeof(skua_attr) - 1)    \
         : (void)0)
#define skua_counter_add(handle, ...) SKUA__METRIC(handle, skua_counter, i64, __VA_ARGS__, )
#define skua_counter_f64_add(handle, ...) SKUA__METRIC(handle, skua_counter_f64, f64, __VA_ARGS__, )
#define skua_updown_add(handle, ...) SKUA__METRIC(handle, skua_updown, i64, __VA_ARGS__, )
#define skua_updown_f64_add(handle, ...) SKUA__METRIC(handle, skua_updown_f64, f64, __VA_ARGS__, )
#define skua_gauge_set(handle, ...) SKUA__METRIC(handle, skua_gauge, i64, __VA_ARGS__, )
#define skua_gauge_f64_set(handle, ...) SKUA__METRIC(handle, skua_gauge_f64, f64, __VA_ARGS__, )
#define skua_histogram_record(handle, ...) SKUA__METRIC(handle, skua_histogram, f64, __VA_ARGS__, )
#define skua_histogram_i64_record(handle, ...)                                                     \
    SKUA__METRIC(handle, skua_histogram_i64, i64, __VA_ARGS__, )
#endif

/* ---- bound instruments ----------------------------------------------------------------------- */

/* An instrument with attributes. Its members are private; all zeros: adding does nothing. */
typedef struct skua_bound {
    skua_instrument *instrument;
    skua_attr *attrs;
    size_t attrs_count;
    uint64_t bound; /* atomic */
} skua_bound;

/* Binds an instrument to a set of attributes. It stays bound over a restart of the SDK.
 *
 * bound      receives it; to be unbound by skua_unbind
 * attrs      copied
 * Returns    0, -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API SKUA_NODISCARD int skua_bind_attrs(skua_instrument *instrument, skua_bound *bound,
                                            const skua_attr *attrs, size_t count);
#ifndef __cplusplus
#define skua_bind(handle, bound, ...)                                                              \
    skua_bind_attrs(&(handle)->instrument, (bound), SKUA_ATTRS(__VA_ARGS__),                       \
                    SKUA_ATTRS_COUNT(__VA_ARGS__))
#endif

/* Lets go of it. Nobody uses it any more; what it counted stays. Twice, or of zeros: nothing.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_unbind(skua_bound *bound);

/* Adds, sets or records a value. The second is for instruments that count in double.
 *
 * Threads    any
 * Since      0.4
 */
static inline void skua_bound_add(skua_bound *bound, int64_t value)
{
    const skua_metric_ops *ops = skua_metric_installed();

    if (__builtin_expect(ops != NULL, 0))
        ops->bound_i64(bound, value);
}

static inline void skua_bound_add_f64(skua_bound *bound, double value)
{
    const skua_metric_ops *ops = skua_metric_installed();

    if (__builtin_expect(ops != NULL, 0))
        ops->bound_f64(bound, value);
}

/* ---- observables ----------------------------------------------------------------------------- */

/* Who collects: what skua_observe tells values to. */
typedef struct skua_observer skua_observer;

/* A function that is asked for values, of one instrument or of several. The caller's memory, from
 * skua_observing_begin to skua_observing_end; all zeros before. Its members are private. */
typedef struct skua_observing {
    void (*fn)(skua_observer *observer, void *arg);
    void *arg;
    struct skua_observing *next, **at;
} skua_observing;

/* Has fn called each time metrics are collected, once for each reader. It says what it sees by
 * skua_observe, of each set of attributes once; it must not wait, and not collect. It may end
 * itself, and others. Telemetry may be off: then it is called when it is on.
 *
 * arg        the caller's, until skua_observing_end
 * Returns    0; -EBUSY: it is begun already
 * Threads    any; fn is called on a thread of telemetry's, one call at a time
 * Since      0.4
 */
SKUA_API int skua_observing_begin(skua_observing *observing,
                                  void (*fn)(skua_observer *observer, void *arg), void *arg);

/* fn is not called any more. Where it runs right now this waits for its end, but in fn itself.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_observing_end(skua_observing *observing);

/* Tells a value: of observable counters and updowns the sum since the process started.
 *
 * observer   as fn got it; only until fn returns
 * attrs      copied where they are kept
 * Threads    that of fn
 * Since      0.4
 */
SKUA_API void skua_observe_attrs(skua_observer *observer, skua_observable *observable,
                                 int64_t value, const skua_attr *attrs, size_t count);

/* As skua_observe_attrs, in double.
 *
 * Threads    that of fn
 * Since      0.4
 */
SKUA_API void skua_observe_f64_attrs(skua_observer *observer, skua_observable *observable,
                                     double value, const skua_attr *attrs, size_t count);
#ifndef __cplusplus
#define skua_observe(observer, observable, ...) SKUA__OBSERVE(observer, observable, , __VA_ARGS__, )
#define skua_observe_f64(observer, observable, ...)                                                \
    SKUA__OBSERVE(observer, observable, _f64, __VA_ARGS__, )
#define SKUA__OBSERVE(observer, observable, number, value, ...)                                    \
    skua_observe##number##_attrs(                                                                  \
        (observer), (observable), (value), ((const skua_attr[]){{.key = NULL}, __VA_ARGS__}) + 1,  \
        sizeof((const skua_attr[]){{.key = NULL}, __VA_ARGS__}) / sizeof(skua_attr) - 1)
#endif

SKUA_C_END

#endif
