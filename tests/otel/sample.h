/* sample.h - one batch of each signal with every field set that there is, and odd values in them.
 */
#ifndef SKUA_TESTS_OTEL_SAMPLE_H
#define SKUA_TESTS_OTEL_SAMPLE_H

#include <math.h>

#include <skua/otel/data.h>

#define SAMPLE_TEXT(text)                                                                          \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
/* A constant attribute. */
#define SAMPLE_ATTR(name, kind, size, ...)                                                         \
    {                                                                                              \
        .key = (name), .type = (kind), .key_len = sizeof(name) - 1, .count = (size), .value = {    \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define SAMPLE_STR(name, text) SAMPLE_ATTR(name, SKUA_ATTR_STR, sizeof(text) - 1, .str = (text))
#define SAMPLE_SOME(attrs, over)                                                                   \
    {                                                                                              \
        (attrs), sizeof(attrs) / sizeof(attrs)[0], (over)                                          \
    }

static const uint8_t sample_bools[] = {1, 0};
static const int64_t sample_i64s[] = {0, -1, INT64_MAX, INT64_MIN};
static const double sample_f64s[] = {0.1, -0.0, 1e300, 5e-324};
static const char *const sample_strs[] = {"a", "", "\"quoted\\\""};

static const skua_attr sample_inner[] = {
    SAMPLE_ATTR("n", SKUA_ATTR_I64, 1, .i64 = -5),
    SAMPLE_ATTR("empty", SKUA_ATTR_MAP, 0, .attrs = NULL),
    SAMPLE_ATTR("list", SKUA_ATTR_I64S, 4, .i64s = sample_i64s)};

static const skua_attr sample_attrs[] = {
    SAMPLE_STR("str", "caf\xc3\xa9 \xf0\x9f\x98\x80 \"\\\b\f\n\r\t\x01\x7f"),
    SAMPLE_STR("broken", "a\xff\xc3(\xed\xa0\x80z"),
    SAMPLE_STR("", "no key"),
    SAMPLE_ATTR("yes", SKUA_ATTR_BOOL, 1, .i64 = 1),
    SAMPLE_ATTR("no", SKUA_ATTR_BOOL, 1, .i64 = 0),
    SAMPLE_ATTR("min", SKUA_ATTR_I64, 1, .i64 = INT64_MIN),
    SAMPLE_ATTR("zero", SKUA_ATTR_I64, 1, .i64 = 0),
    SAMPLE_ATTR("pi", SKUA_ATTR_F64, 1, .f64 = 3.141592653589793),
    SAMPLE_ATTR("third", SKUA_ATTR_F64, 1, .f64 = 1.0 / 3),
    SAMPLE_ATTR("whole", SKUA_ATTR_F64, 1, .f64 = -42),
    SAMPLE_ATTR("nan", SKUA_ATTR_F64, 1, .f64 = NAN),
    SAMPLE_ATTR("inf", SKUA_ATTR_F64, 1, .f64 = INFINITY),
    SAMPLE_ATTR("ninf", SKUA_ATTR_F64, 1, .f64 = -INFINITY),
    SAMPLE_ATTR("bytes0", SKUA_ATTR_BYTES, 0, .bytes = ""),
    SAMPLE_ATTR("bytes1", SKUA_ATTR_BYTES, 1, .bytes = "\xfb"),
    SAMPLE_ATTR("bytes2", SKUA_ATTR_BYTES, 2, .bytes = "\xfb\xff"),
    SAMPLE_ATTR("bytes3", SKUA_ATTR_BYTES, 4, .bytes = "\0\x01\xfe\xff"),
    SAMPLE_ATTR("bools", SKUA_ATTR_BOOLS, 2, .bools = sample_bools),
    SAMPLE_ATTR("i64s", SKUA_ATTR_I64S, 4, .i64s = sample_i64s),
    SAMPLE_ATTR("f64s", SKUA_ATTR_F64S, 4, .f64s = sample_f64s),
    SAMPLE_ATTR("strs", SKUA_ATTR_STRS, 3, .strs = sample_strs),
    SAMPLE_ATTR("none", SKUA_ATTR_NONE, 0, .i64 = 0),
    SAMPLE_ATTR("list", SKUA_ATTR_LIST, 3, .attrs = sample_inner),
    SAMPLE_ATTR("map", SKUA_ATTR_MAP, 3, .attrs = sample_inner)};

static const skua_attr sample_few[] = {SAMPLE_STR("k", "v")};
static const skua_attr sample_names[] = {SAMPLE_STR("service.name", "shop"),
                                         SAMPLE_ATTR("pid", SKUA_ATTR_I64, 1, .i64 = 17)};
static const skua_otel_resource sample_resource = {.attrs = SAMPLE_SOME(sample_names, 2),
                                                   .schema_url = SAMPLE_TEXT("http://r")};
static const skua_otel_scope sample_scopes[] = {
    {SAMPLE_TEXT("first"), SAMPLE_TEXT("1.0"), SAMPLE_TEXT("http://s"), SAMPLE_SOME(sample_few, 1)},
    {SAMPLE_TEXT("second"), {NULL, 0}, {NULL, 0}, {NULL, 0, 0}}};

/* ---- traces ---------------------------------------------------------------------------------- */

#define SAMPLE_TIME INT64_C(1763750000123456789)

static const skua_otel_event sample_events[] = {
    {SAMPLE_TIME + 1, SAMPLE_TEXT("plain"), {NULL, 0, 0}},
    {SAMPLE_TIME + 2, SAMPLE_TEXT("full"), SAMPLE_SOME(sample_inner, 3)}};
static const skua_otel_link sample_links[] = {{.trace_id = {9, [15] = 8},
                                               .span_id = {7, [7] = 6},
                                               .flags = 1,
                                               .remote = 1,
                                               .trace_state = SAMPLE_TEXT("a=b"),
                                               .attrs = SAMPLE_SOME(sample_few, 4)}};
static const skua_otel_span sample_spans[] = {{.trace_id = {0x0a, 0xbc, [15] = 1},
                                               .span_id = {0xff, [7] = 2},
                                               .parent_id = {3, [7] = 4},
                                               .flags = 3,
                                               .parent_remote = 1,
                                               .kind = 3,
                                               .status = 2,
                                               .trace_state = SAMPLE_TEXT("x=y,z=1"),
                                               .name = SAMPLE_TEXT("GET /caf\xc3\xa9"),
                                               .status_text = SAMPLE_TEXT("no \"good\""),
                                               .start = SAMPLE_TIME,
                                               .end = SAMPLE_TIME + 1999,
                                               .attrs = SAMPLE_SOME(sample_attrs, 5),
                                               .events = sample_events,
                                               .links = sample_links,
                                               .events_count = 2,
                                               .events_dropped = 6,
                                               .links_count = 1,
                                               .links_dropped = 7,
                                               .scope = &sample_scopes[0]},
                                              {.trace_id = {1},
                                               .span_id = {2},
                                               .kind = 1,
                                               .name = SAMPLE_TEXT("bare"),
                                               .start = 1000,
                                               .end = 1000,
                                               .scope = &sample_scopes[0]},
                                              {.trace_id = {1},
                                               .span_id = {3},
                                               .kind = 2,
                                               .status = 1,
                                               .name = SAMPLE_TEXT("ok"),
                                               .start = 1,
                                               .end = 5001,
                                               .scope = &sample_scopes[1]}};

/* ---- logs ------------------------------------------------------------------------------------ */

static const skua_otel_log sample_logs[] = {
    {.time = SAMPLE_TIME,
     .observed = SAMPLE_TIME + 5,
     .trace_id = {1, [15] = 2},
     .span_id = {3, [7] = 4},
     .flags = 1,
     .severity = 17,
     .severity_text = SAMPLE_TEXT("err"),
     .event_name = SAMPLE_TEXT("device.lost"),
     .body = SAMPLE_STR("", "gone\n"),
     .attrs = SAMPLE_SOME(sample_attrs, 1),
     .scope = &sample_scopes[0]},
    {.observed = 5,
     .body = SAMPLE_ATTR("", SKUA_ATTR_MAP, 3, .attrs = sample_inner),
     .scope = &sample_scopes[1]},
    {.observed = 6, .scope = &sample_scopes[1]}};

/* ---- metrics --------------------------------------------------------------------------------- */

static const skua_otel_exemplar sample_exemplars[] = {
    {.time = SAMPLE_TIME,
     .trace_id = {1},
     .span_id = {2},
     .value = {.i64 = -3},
     .attrs = SAMPLE_SOME(sample_few, 0)},
    {.time = SAMPLE_TIME, .is_f64 = 1, .value = {.f64 = 0.25}}};
static const double sample_bounds[] = {0, 2.5, 1e6};
static const uint64_t sample_counts[] = {0, 1, UINT64_MAX, 7};
static const skua_otel_point sample_points[] = {{.start = 1,
                                                 .time = 2,
                                                 .attrs = SAMPLE_SOME(sample_few, 0),
                                                 .exemplars = sample_exemplars,
                                                 .exemplars_count = 2,
                                                 .value = {.i64 = INT64_MIN}},
                                                {.time = 3, .is_f64 = 1, .value = {.f64 = -0.5}},
                                                {.time = 3, .value = {.i64 = 0}}};
static const skua_otel_point sample_histograms[] = {{.start = 1,
                                                     .time = 2,
                                                     .attrs = SAMPLE_SOME(sample_few, 0),
                                                     .exemplars = sample_exemplars,
                                                     .exemplars_count = 1,
                                                     .has_sum = 1,
                                                     .has_min = 1,
                                                     .has_max = 1,
                                                     .count = 15,
                                                     .sum = 0,
                                                     .min = -1,
                                                     .max = 3e9,
                                                     .bounds = sample_bounds,
                                                     .counts = sample_counts,
                                                     .bounds_count = 3},
                                                    {.start = 1, .time = 2, .count = 1}};
static const skua_otel_point sample_exponentials[] = {{.start = 1,
                                                       .time = 2,
                                                       .attrs = SAMPLE_SOME(sample_few, 0),
                                                       .has_sum = 1,
                                                       .has_min = 1,
                                                       .has_max = 1,
                                                       .count = 8,
                                                       .sum = 1.5,
                                                       .min = 0.5,
                                                       .max = 1,
                                                       .scale = -3,
                                                       .zero_count = 4,
                                                       .zero_threshold = 1e-9,
                                                       .positive = {-7, 4, sample_counts},
                                                       .negative = {2, 2, sample_counts}},
                                                      {.start = 1, .time = 2}};
static const skua_otel_metric sample_metrics[] = {{.name = SAMPLE_TEXT("queue"),
                                                   .unit = SAMPLE_TEXT("{item}"),
                                                   .type = SKUA_OTEL_GAUGE,
                                                   .points = sample_points,
                                                   .points_count = 3,
                                                   .scope = &sample_scopes[0]},
                                                  {.name = SAMPLE_TEXT("orders"),
                                                   .description = SAMPLE_TEXT("stored"),
                                                   .type = SKUA_OTEL_SUM,
                                                   .temporality = SKUA_OTEL_CUMULATIVE,
                                                   .monotonic = 1,
                                                   .points = sample_points,
                                                   .points_count = 2,
                                                   .scope = &sample_scopes[0]},
                                                  {.name = SAMPLE_TEXT("live"),
                                                   .type = SKUA_OTEL_SUM,
                                                   .temporality = SKUA_OTEL_DELTA,
                                                   .points = sample_points,
                                                   .points_count = 1,
                                                   .scope = &sample_scopes[0]},
                                                  {.name = SAMPLE_TEXT("took"),
                                                   .type = SKUA_OTEL_HISTOGRAM,
                                                   .temporality = SKUA_OTEL_DELTA,
                                                   .points = sample_histograms,
                                                   .points_count = 2,
                                                   .scope = &sample_scopes[1]},
                                                  {.name = SAMPLE_TEXT("size"),
                                                   .type = SKUA_OTEL_EXPONENTIAL,
                                                   .temporality = SKUA_OTEL_CUMULATIVE,
                                                   .points = sample_exponentials,
                                                   .points_count = 2,
                                                   .scope = &sample_scopes[1]}};

static const skua_otel_batch sample_batches[SKUA_OTEL_SIGNALS] = {
    [SKUA_OTEL_TRACES] = {SKUA_OTEL_TRACES, 3, &sample_resource, {.spans = sample_spans}},
    [SKUA_OTEL_METRICS] = {SKUA_OTEL_METRICS, 5, &sample_resource, {.metrics = sample_metrics}},
    [SKUA_OTEL_LOGS] = {SKUA_OTEL_LOGS, 3, &sample_resource, {.logs = sample_logs}}};

#endif
