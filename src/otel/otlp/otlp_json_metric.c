/* otlp_json_metric.c - metrics as JSON: four kinds, each with points of its own shape.
 */
#include "otel/otlp/otlp_json.h"

static void json_f64_field(struct skua__json *out, const char *key, double value)
{
    skua__json_key(out, key);
    skua__json_f64(out, value);
}

static void json_u64_field(struct skua__json *out, const char *key, uint64_t value)
{
    if (value == 0)
        return;
    skua__json_key(out, key);
    skua__json_u64(out, value);
}

static void json_counts(struct skua__json *out, const char *key, const uint64_t *counts,
                        size_t count)
{
    skua__json_key(out, key);
    skua__json_open(out, '[');
    for (size_t i = 0; i < count; i++)
        skua__json_u64(out, counts[i]);
    skua__json_close(out, ']');
}

static void json_numeric(struct skua__json *out, bool is_f64, double f64, int64_t i64)
{
    if (is_f64) {
        json_f64_field(out, "asDouble", f64);
        return;
    }
    skua__json_key(out, "asInt");
    skua__json_i64(out, i64);
}

static void json_exemplars(struct skua__json *out, const skua_otel_point *point)
{
    if (point->exemplars_count == 0)
        return;
    skua__json_key(out, "exemplars");
    skua__json_open(out, '[');
    for (uint32_t i = 0; i < point->exemplars_count; i++) {
        const skua_otel_exemplar *exemplar = &point->exemplars[i];

        skua__json_open(out, '{');
        skua__otlp_json_attrs(out, "filteredAttributes", &exemplar->attrs);
        skua__otlp_json_time(out, "timeUnixNano", exemplar->time);
        json_numeric(out, exemplar->is_f64, exemplar->value.f64, exemplar->value.i64);
        skua__otlp_json_id(out, "spanId", exemplar->span_id, 8);
        skua__otlp_json_id(out, "traceId", exemplar->trace_id, 16);
        skua__json_close(out, '}');
    }
    skua__json_close(out, ']');
}

static void json_buckets(struct skua__json *out, const char *key, const skua_otel_buckets *buckets)
{
    if (buckets->count == 0)
        return;
    skua__json_key(out, key);
    skua__json_open(out, '{');
    skua__otlp_json_count(out, "offset", buckets->offset);
    json_counts(out, "bucketCounts", buckets->counts, buckets->count);
    skua__json_close(out, '}');
}

/* What histograms of both kinds have. */
static void json_histogram(struct skua__json *out, const skua_otel_point *point)
{
    json_u64_field(out, "count", point->count);
    if (point->has_sum)
        json_f64_field(out, "sum", point->sum);
    if (point->has_min)
        json_f64_field(out, "min", point->min);
    if (point->has_max)
        json_f64_field(out, "max", point->max);
}

static void json_explicit(struct skua__json *out, const skua_otel_point *point)
{
    json_histogram(out, point);
    if (point->counts != NULL)
        json_counts(out, "bucketCounts", point->counts, (size_t)point->bounds_count + 1);
    if (point->bounds_count == 0)
        return;
    skua__json_key(out, "explicitBounds");
    skua__json_open(out, '[');
    for (uint32_t i = 0; i < point->bounds_count; i++)
        skua__json_f64(out, point->bounds[i]);
    skua__json_close(out, ']');
}

static void json_exponential(struct skua__json *out, const skua_otel_point *point)
{
    json_histogram(out, point);
    skua__otlp_json_count(out, "scale", point->scale);
    json_u64_field(out, "zeroCount", point->zero_count);
    if (point->zero_threshold != 0)
        json_f64_field(out, "zeroThreshold", point->zero_threshold);
    json_buckets(out, "positive", &point->positive);
    json_buckets(out, "negative", &point->negative);
}

static void json_point(struct skua__json *out, uint8_t type, const skua_otel_point *point)
{
    skua__json_open(out, '{');
    skua__otlp_json_attrs(out, "attributes", &point->attrs);
    skua__otlp_json_time(out, "startTimeUnixNano", point->start);
    skua__otlp_json_time(out, "timeUnixNano", point->time);
    if (type == SKUA_OTEL_HISTOGRAM)
        json_explicit(out, point);
    else if (type == SKUA_OTEL_EXPONENTIAL)
        json_exponential(out, point);
    else
        json_numeric(out, point->is_f64, point->value.f64, point->value.i64);
    json_exemplars(out, point);
    skua__json_close(out, '}');
}

void skua__otlp_json_metric(struct skua__json *out, const skua_otel_metric *metric)
{
    static const char *const kinds[] = {[SKUA_OTEL_GAUGE] = "gauge",
                                        [SKUA_OTEL_SUM] = "sum",
                                        [SKUA_OTEL_HISTOGRAM] = "histogram",
                                        [SKUA_OTEL_EXPONENTIAL] = "exponentialHistogram"};

    skua__json_open(out, '{');
    skua__otlp_json_texts(out, "name", metric->name);
    skua__otlp_json_texts(out, "description", metric->description);
    skua__otlp_json_texts(out, "unit", metric->unit);
    skua__json_key(out, kinds[metric->type]);
    skua__json_open(out, '{');
    if (metric->points_count != 0) {
        skua__json_key(out, "dataPoints");
        skua__json_open(out, '[');
        for (uint32_t i = 0; i < metric->points_count; i++)
            json_point(out, metric->type, &metric->points[i]);
        skua__json_close(out, ']');
    }
    if (metric->type != SKUA_OTEL_GAUGE)
        skua__otlp_json_count(out, "aggregationTemporality", metric->temporality);
    if (metric->type == SKUA_OTEL_SUM && metric->monotonic) {
        skua__json_key(out, "isMonotonic");
        skua__json_bool(out, true);
    }
    skua__json_close(out, '}');
    skua__json_close(out, '}');
}
