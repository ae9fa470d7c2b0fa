/* otlp_metric.c - metrics: four kinds, each with points of its own shape. Fields of
 * opentelemetry/proto/metrics/v1.
 */
#include "otel/otlp/otlp_impl.h"

static void metric_exemplars(struct skua__otlp *out, unsigned field, const skua_otel_point *point)
{
    for (uint32_t i = point->exemplars_count; i-- > 0;) {
        const skua_otel_exemplar *exemplar = &point->exemplars[i];
        size_t from = skua__otlp_size(out);

        skua__otlp_attrs(out, 7, exemplar->attrs.at, exemplar->attrs.count, 0);
        if (exemplar->is_f64)
            skua__otlp_f64_always(out, 3, exemplar->value.f64);
        else
            skua__otlp_fixed64_always(out, 6, (uint64_t)exemplar->value.i64);
        skua__otlp_id(out, 5, exemplar->trace_id, 16);
        skua__otlp_id(out, 4, exemplar->span_id, 8);
        skua__otlp_fixed64(out, 2, (uint64_t)exemplar->time);
        skua__otlp_message(out, field, from);
    }
}

static void metric_times(struct skua__otlp *out, const skua_otel_point *point)
{
    skua__otlp_fixed64(out, 3, (uint64_t)point->time);
    skua__otlp_fixed64(out, 2, (uint64_t)point->start);
}

static void metric_number(struct skua__otlp *out, const skua_otel_point *point)
{
    skua__otlp_attrs(out, 7, point->attrs.at, point->attrs.count, 0);
    metric_exemplars(out, 5, point);
    if (point->is_f64)
        skua__otlp_f64_always(out, 4, point->value.f64);
    else
        skua__otlp_fixed64_always(out, 6, (uint64_t)point->value.i64);
    metric_times(out, point);
}

static void metric_histogram(struct skua__otlp *out, const skua_otel_point *point)
{
    if (point->has_max)
        skua__otlp_f64_always(out, 12, point->max);
    if (point->has_min)
        skua__otlp_f64_always(out, 11, point->min);
    skua__otlp_attrs(out, 9, point->attrs.at, point->attrs.count, 0);
    metric_exemplars(out, 8, point);
    skua__otlp_packed64(out, 7, point->bounds, point->bounds_count);
    if (point->counts != NULL)
        skua__otlp_packed64(out, 6, point->counts, (size_t)point->bounds_count + 1);
    if (point->has_sum)
        skua__otlp_f64_always(out, 5, point->sum);
    skua__otlp_fixed64(out, 4, point->count);
    metric_times(out, point);
}

static void metric_buckets(struct skua__otlp *out, unsigned field, const skua_otel_buckets *buckets)
{
    size_t from = skua__otlp_size(out);

    if (buckets->count == 0)
        return;
    skua__otlp_packed_varint(out, 2, buckets->counts, buckets->count);
    skua__otlp_s32(out, 1, buckets->offset);
    skua__otlp_message(out, field, from);
}

static void metric_exponential(struct skua__otlp *out, const skua_otel_point *point)
{
    skua__otlp_f64(out, 14, point->zero_threshold);
    if (point->has_max)
        skua__otlp_f64_always(out, 13, point->max);
    if (point->has_min)
        skua__otlp_f64_always(out, 12, point->min);
    metric_exemplars(out, 11, point);
    metric_buckets(out, 9, &point->negative);
    metric_buckets(out, 8, &point->positive);
    skua__otlp_fixed64(out, 7, point->zero_count);
    skua__otlp_s32(out, 6, point->scale);
    if (point->has_sum)
        skua__otlp_f64_always(out, 5, point->sum);
    skua__otlp_fixed64(out, 4, point->count);
    metric_times(out, point);
    skua__otlp_attrs(out, 1, point->attrs.at, point->attrs.count, 0);
}

/* Of each skua_otel_metric_type: its field of Metric, and its points'. */
static const struct {
    unsigned field;
    void (*point)(struct skua__otlp *out, const skua_otel_point *point);
} metric_kinds[] = {[SKUA_OTEL_GAUGE] = {5, metric_number},
                    [SKUA_OTEL_SUM] = {7, metric_number},
                    [SKUA_OTEL_HISTOGRAM] = {9, metric_histogram},
                    [SKUA_OTEL_EXPONENTIAL] = {10, metric_exponential}};

void skua__otlp_metric(struct skua__otlp *out, const skua_otel_metric *metric)
{
    size_t from = skua__otlp_size(out);

    if (metric->type == SKUA_OTEL_SUM)
        skua__otlp_u64(out, 3, metric->monotonic != 0);
    if (metric->type != SKUA_OTEL_GAUGE)
        skua__otlp_u64(out, 2, metric->temporality);
    for (uint32_t i = metric->points_count; i-- > 0;) {
        size_t point = skua__otlp_size(out);

        metric_kinds[metric->type].point(out, &metric->points[i]);
        skua__otlp_message(out, 1, point);
    }
    skua__otlp_message(out, metric_kinds[metric->type].field, from);
    skua__otlp_text(out, 3, metric->unit.at, metric->unit.len);
    skua__otlp_text(out, 2, metric->description.at, metric->description.len);
    skua__otlp_text(out, 1, metric->name.at, metric->name.len);
    skua__otlp_message(out, 2, from);
}
