/* prometheus_text.c - families of metrics and their samples.
 *
 * A family is all metrics that have one name here: its TYPE, HELP and UNIT are told once, by the
 * first of them, and their samples stand together. One of another type under that name is left out.
 */
#include <math.h>
#include <stdio.h>

#include "otel/core/otel_warn.h"
#include "otel/export/prometheus_impl.h"

struct prom_writer {
    struct skua__prom out;
    const skua_otel_prometheus *options;
    const skua_otel_batch *batch;
    bool open; /* OpenMetrics */
    char name[SKUA__PROM_NAME], unit[256];
};

static const char *prom_type(const skua_otel_metric *metric)
{
    if (metric->type == SKUA_OTEL_SUM && metric->monotonic)
        return "counter";
    return metric->type == SKUA_OTEL_SUM || metric->type == SKUA_OTEL_GAUGE ? "gauge" : "histogram";
}

/* Deltas are not what Prometheus counts. */
static bool prom_fits(const skua_otel_metric *metric)
{
    return metric->type == SKUA_OTEL_GAUGE || metric->temporality == SKUA_OTEL_CUMULATIVE;
}

static void prom_meta(struct prom_writer *self, const char *word, const char *name,
                      const char *text, size_t len)
{
    skua__prom_str(&self->out, "# ");
    skua__prom_str(&self->out, word);
    skua__prom_str(&self->out, " ");
    skua__prom_str(&self->out, name);
    skua__prom_str(&self->out, " ");
    skua__prom_escaped(&self->out, text, len, self->open);
    skua__prom_str(&self->out, "\n");
}

/* name{labels — and the brace stays open for `le`. */
static bool prom_begin(struct prom_writer *self, const char *end, const skua_otel_metric *metric,
                       const skua_otel_point *point)
{
    bool some = false;

    skua__prom_str(&self->out, self->name);
    skua__prom_str(&self->out, end);
    skua__prom_str(&self->out, "{");
    skua__prom_labels(&self->out, "", &point->attrs, &some);
    if (self->options->without_scope == 0 && metric->scope != NULL) {
        const skua_otel_scope *scope = metric->scope;

        skua__prom_label(&self->out, "otel_scope_name", scope->name.at, scope->name.len, &some);
        skua__prom_label(&self->out, "otel_scope_version", scope->version.at, scope->version.len,
                         &some);
        if (scope->schema_url.len != 0)
            skua__prom_label(&self->out, "otel_scope_schema_url", scope->schema_url.at,
                             scope->schema_url.len, &some);
        skua__prom_labels(&self->out, "otel_scope_", &scope->attrs, &some);
    }
    return some;
}

static void prom_hex(struct skua__prom *out, const uint8_t *id, size_t len)
{
    char text[3];

    for (size_t i = 0; i < len; i++) {
        (void)snprintf(text, sizeof text, "%02x", id[i]);
        skua__prom_add(out, text, 2);
    }
}

/* At the end of a sample's line; of OpenMetrics alone. Labels have 128 characters at most. */
static void prom_exemplar(struct prom_writer *self, const skua_otel_exemplar *exemplar)
{
    static const uint8_t zeros[8];
    struct skua__prom labels = {NULL, 0, 0, false};
    double value = exemplar->is_f64 ? exemplar->value.f64 : (double)exemplar->value.i64;
    bool some = memcmp(exemplar->span_id, zeros, 8) != 0;
    size_t kept;
    char time[48];

    if (some) {
        skua__prom_str(&labels, "trace_id=\"");
        prom_hex(&labels, exemplar->trace_id, 16);
        skua__prom_str(&labels, "\",span_id=\"");
        prom_hex(&labels, exemplar->span_id, 8);
        skua__prom_str(&labels, "\"");
    }
    kept = labels.len;
    skua__prom_labels(&labels, "", &exemplar->attrs, &some);
    if (labels.len > 128)
        labels.len = kept;
    skua__prom_str(&self->out, " # {");
    if (labels.failed)
        self->out.failed = true;
    else if (labels.len != 0)
        skua__prom_add(&self->out, labels.at, labels.len);
    skua__otel_free(labels.at);
    skua__prom_str(&self->out, "} ");
    skua__prom_f64(&self->out, value);
    (void)snprintf(time, sizeof time, " %lld.%09lld", (long long)(exemplar->time / 1000000000),
                   (long long)(exemplar->time % 1000000000));
    skua__prom_str(&self->out, time);
}

/* ---- histograms ------------------------------------------------------------------------------ */

static double prom_exemplar_value(const skua_otel_exemplar *exemplar)
{
    return exemplar->is_f64 ? exemplar->value.f64 : (double)exemplar->value.i64;
}

static void prom_bucket(struct prom_writer *self, const skua_otel_metric *metric,
                        const skua_otel_point *point, double below, double bound, uint64_t count)
{
    struct skua__prom le = {NULL, 0, 0, false};
    bool some = prom_begin(self, "_bucket", metric, point);

    skua__prom_str(&self->out, some ? ",le=\"" : "le=\"");
    skua__prom_f64(&le, bound);
    if (self->open && !le.failed && isfinite(bound) && strpbrk(le.at, ".e") == NULL)
        skua__prom_str(&le, ".0"); /* OpenMetrics' canonical numbers */
    if (le.failed)
        self->out.failed = true;
    else
        skua__prom_add(&self->out, le.at, le.len);
    skua__otel_free(le.at);
    skua__prom_str(&self->out, "\"} ");
    skua__prom_u64(&self->out, count);
    for (uint32_t i = 0; self->open && i < point->exemplars_count; i++) {
        double value = prom_exemplar_value(&point->exemplars[i]);

        if (value > below && value <= bound) {
            prom_exemplar(self, &point->exemplars[i]);
            break;
        }
    }
    skua__prom_str(&self->out, "\n");
}

static double prom_upper(const skua_otel_point *point, int32_t index)
{
    return exp2(((double)index + 1) * ldexp(1, -point->scale));
}

/* The buckets of an exponential histogram with their bounds: from the lowest negative one up. */
static void prom_base2(struct prom_writer *self, const skua_otel_metric *metric,
                       const skua_otel_point *point)
{
    double below = -INFINITY;
    uint64_t count = 0;

    for (uint32_t i = point->negative.count; i-- > 0;) {
        double bound = -prom_upper(point, point->negative.offset + (int32_t)i - 1);

        count += point->negative.counts[i];
        prom_bucket(self, metric, point, below, bound, count);
        below = bound;
    }
    count += point->zero_count;
    if (point->zero_count != 0 || point->negative.count != 0) {
        prom_bucket(self, metric, point, below, point->zero_threshold, count);
        below = point->zero_threshold;
    }
    for (uint32_t i = 0; i < point->positive.count; i++) {
        double bound = prom_upper(point, point->positive.offset + (int32_t)i);

        count += point->positive.counts[i];
        if (!isfinite(bound))
            break;
        prom_bucket(self, metric, point, below, bound, count);
        below = bound;
    }
    prom_bucket(self, metric, point, below, INFINITY, point->count);
}

static void prom_explicit(struct prom_writer *self, const skua_otel_metric *metric,
                          const skua_otel_point *point)
{
    double below = -INFINITY;
    uint64_t count = 0;

    for (uint32_t i = 0; i < point->bounds_count; i++) {
        count += point->counts[i];
        prom_bucket(self, metric, point, below, point->bounds[i], count);
        below = point->bounds[i];
    }
    prom_bucket(self, metric, point, below, INFINITY, point->count);
}

static void prom_histogram(struct prom_writer *self, const skua_otel_metric *metric,
                           const skua_otel_point *point)
{
    if (metric->type == SKUA_OTEL_EXPONENTIAL)
        prom_base2(self, metric, point);
    else
        prom_explicit(self, metric, point);
    if (point->has_sum) {
        (void)prom_begin(self, "_sum", metric, point);
        skua__prom_str(&self->out, "} ");
        skua__prom_f64(&self->out, point->sum);
        skua__prom_str(&self->out, "\n");
    }
    if (self->open && !point->has_sum)
        return; /* OpenMetrics has both or none */
    (void)prom_begin(self, "_count", metric, point);
    skua__prom_str(&self->out, "} ");
    skua__prom_u64(&self->out, point->count);
    skua__prom_str(&self->out, "\n");
}

/* ---- families -------------------------------------------------------------------------------- */

static bool prom_total(const struct prom_writer *self, const skua_otel_metric *metric)
{
    return metric->type == SKUA_OTEL_SUM && metric->monotonic &&
           (self->open || self->options->without_total == 0);
}

static void prom_number(struct prom_writer *self, const skua_otel_metric *metric,
                        const skua_otel_point *point)
{
    bool total = prom_total(self, metric);

    (void)prom_begin(self, total ? "_total" : "", metric, point);
    skua__prom_str(&self->out, "} ");
    if (point->is_f64)
        skua__prom_f64(&self->out, point->value.f64);
    else
        skua__prom_i64(&self->out, point->value.i64);
    if (self->open && total && point->exemplars_count != 0)
        prom_exemplar(self, &point->exemplars[0]);
    skua__prom_str(&self->out, "\n");
}

static void prom_samples(struct prom_writer *self, const skua_otel_metric *metric)
{
    for (uint32_t i = 0; i < metric->points_count; i++)
        if (metric->type == SKUA_OTEL_SUM || metric->type == SKUA_OTEL_GAUGE)
            prom_number(self, metric, &metric->points[i]);
        else
            prom_histogram(self, metric, &metric->points[i]);
}

static void prom_head(struct prom_writer *self, const skua_otel_metric *metric)
{
    char name[SKUA__PROM_NAME + 8];
    const char *type = prom_type(metric);

    (void)snprintf(name, sizeof name, "%s%s", self->name,
                   !self->open && prom_total(self, metric) ? "_total" : "");
    prom_meta(self, "TYPE", name, type, strlen(type));
    if (self->open && self->unit[0] != '\0')
        prom_meta(self, "UNIT", name, self->unit, strlen(self->unit));
    if (metric->description.len != 0)
        prom_meta(self, "HELP", name, metric->description.at, metric->description.len);
}

/* The family that begins with metric `first`; nothing, if an earlier one has its name. */
static void prom_family(struct prom_writer *self, uint32_t first)
{
    const skua_otel_metric *metrics = self->batch->items.metrics;
    const char *type = prom_type(&metrics[first]);
    char name[SKUA__PROM_NAME], unit[256];

    skua__prom_name(self->name, self->options, &metrics[first], self->unit);
    for (uint32_t i = 0; i < first; i++) {
        skua__prom_name(name, self->options, &metrics[i], unit);
        if (prom_fits(&metrics[i]) && strcmp(name, self->name) == 0)
            return;
    }
    prom_head(self, &metrics[first]);
    for (uint32_t i = first; i < self->batch->count; i++) {
        skua__prom_name(name, self->options, &metrics[i], unit);
        if (!prom_fits(&metrics[i]) || strcmp(name, self->name) != 0)
            continue;
        if (strcmp(prom_type(&metrics[i]), type) == 0)
            prom_samples(self, &metrics[i]);
        else
            skua__otel_warn(SKUA__WARN_OTHER, "%s has two types: one is left out", name);
    }
}

static void prom_target(struct prom_writer *self)
{
    const skua_otel_resource *resource = self->batch->resource;
    bool some = false;

    if (resource == NULL || resource->attrs.count == 0 || self->options->without_target != 0)
        return;
    skua__prom_str(&self->out, self->open ? "# TYPE target info\n# HELP target Target metadata\n"
                                          : "# TYPE target_info gauge\n"
                                            "# HELP target_info Target metadata\n");
    skua__prom_str(&self->out, "target_info{");
    skua__prom_labels(&self->out, "", &resource->attrs, &some);
    skua__prom_str(&self->out, "} 1\n");
}

int skua_otel_prometheus_write(const skua_otel_prometheus *options, const skua_otel_batch *batch,
                               skua_otel_prometheus_format format, char **ret, size_t *len)
{
    struct prom_writer writer = {
        .options = options, .batch = batch, .open = format == SKUA_OTEL_OPENMETRICS};

    *ret = NULL;
    if (batch->signal != SKUA_OTEL_METRICS)
        return -EINVAL;
    prom_target(&writer);
    for (uint32_t i = 0; i < batch->count; i++)
        if (prom_fits(&batch->items.metrics[i]))
            prom_family(&writer, i);
    skua__prom_str(&writer.out, writer.open ? "# EOF\n" : "");
    if (writer.out.failed) {
        skua__otel_free(writer.out.at);
        return -ENOMEM;
    }
    *ret = writer.out.at;
    if (len != NULL)
        *len = writer.out.len;
    return 0;
}

void skua_otel_prometheus_free(char *text)
{
    skua__otel_free(text);
}
