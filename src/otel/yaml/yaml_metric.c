/* yaml_metric.c - the meter provider: readers, views.
 */
#include "otel/yaml/yaml_impl.h"

#define READER struct skua__config_reader
#define CARDINALITY struct skua__config_cardinality
#define VIEW struct skua__config_view

/* ---- readers --------------------------------------------------------------------------------- */

static bool reader_cardinality(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_MIN("default", U32, CARDINALITY, all, 1),
        SKUA__ROW_MIN("counter", U32, CARDINALITY, counter, 1),
        SKUA__ROW_MIN("gauge", U32, CARDINALITY, gauge, 1),
        SKUA__ROW_MIN("histogram", U32, CARDINALITY, histogram, 1),
        SKUA__ROW_MIN("observable_counter", U32, CARDINALITY, observable_counter, 1),
        SKUA__ROW_MIN("observable_gauge", U32, CARDINALITY, observable_gauge, 1),
        SKUA__ROW_MIN("observable_up_down_counter", U32, CARDINALITY, observable_up_down_counter,
                      1),
        SKUA__ROW_MIN("up_down_counter", U32, CARDINALITY, up_down_counter, 1),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool reader_exporter(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    return skua__yaml_exporter(self, node, SKUA_OTEL_METRICS, &((READER *)out)->exporter);
}

static bool reader_pull_exporter(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    return skua__yaml_pull_exporter(self, node, &((READER *)out)->exporter);
}

static bool reader_one(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field periodic[] = {
        SKUA__ROW_MIN("interval", MS, READER, interval, 1),
        SKUA__ROW("timeout", MS, READER, timeout),
        SKUA__ROW_MIN("max_export_batch_size/development", U32, READER, max_batch, 1),
        SKUA__ROW_MUST("exporter", reader_exporter),
        SKUA__ROW_PART("cardinality_limits", READER, cardinality, reader_cardinality),
        SKUA__ROW_END};
    static const struct skua__yaml_field pull[] = {
        SKUA__ROW_MUST("exporter", reader_pull_exporter),
        SKUA__ROW_PART("cardinality_limits", READER, cardinality, reader_cardinality),
        SKUA__ROW_END};
    const skua_otel_properties *one = skua__yaml_one(self, node);
    READER *reader = out;

    if (one == NULL)
        return false;
    skua__config_reader_init(reader);
    reader->pull = strcmp(one->key, "pull") == 0;
    if (!reader->pull && strcmp(one->key, "periodic") != 0)
        return skua__yaml_fail(self, one->line, "%.80s: not known", one->key);
    return skua__yaml_map(self, one, reader->pull ? pull : periodic, reader);
}

/* ---- views ----------------------------------------------------------------------------------- */

static bool view_selector(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    /* In the order of skua__config_instrument; none stands for any. */
    static const char *const types[] = {"",
                                        "counter",
                                        "gauge",
                                        "histogram",
                                        "observable_counter",
                                        "observable_gauge",
                                        "observable_up_down_counter",
                                        "up_down_counter",
                                        NULL};
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW("instrument_name", STR, VIEW, instrument),
        SKUA__ROW_ENUM("instrument_type", VIEW, type, types),
        SKUA__ROW("unit", STR, VIEW, unit),
        SKUA__ROW("meter_name", STR, VIEW, meter),
        SKUA__ROW("meter_version", STR, VIEW, meter_version),
        SKUA__ROW("meter_schema_url", STR, VIEW, meter_schema),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool yaml_view_bounds(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    VIEW *view = out;
    double *bounds;

    if (node->kind != SKUA__YAML_SEQ)
        return skua__yaml_fail(self, node->line, "boundaries: not a list");
    bounds = skua__yaml_alloc(self, (node->count + 1) * sizeof *bounds);
    if (bounds == NULL)
        return false;
    for (size_t i = 0; i < node->count; i++) {
        if (node->at[i].kind != SKUA__YAML_INT && node->at[i].kind != SKUA__YAML_FLOAT)
            return skua__yaml_fail(self, node->at[i].line, "boundaries: not a number");
        bounds[i] = node->at[i].f64;
        if (i != 0 && !(bounds[i] > bounds[i - 1]))
            return skua__yaml_fail(self, node->at[i].line, "boundaries: they do not rise");
    }
    view->bounds = bounds;
    view->bounds_count = node->count;
    return true;
}

static bool view_scale(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    if (node->kind != SKUA__YAML_INT || node->i64 < -10 || node->i64 > 20)
        return skua__yaml_fail(self, node->line, "max_scale: not a number from -10 to 20");
    ((VIEW *)out)->max_scale = (int)node->i64;
    return true;
}

static bool yaml_view_aggregation(struct skua__yaml *self, const skua_otel_properties *node,
                                  void *out)
{
    static const char *const names[] = {
        "default",    "drop", "explicit_bucket_histogram", "base2_exponential_bucket_histogram",
        "last_value", "sum"};
    static const struct skua__yaml_field explicit[] = {
        SKUA__ROW_ANY("boundaries", yaml_view_bounds),
        SKUA__ROW("record_min_max", NOT, VIEW, no_min_max), SKUA__ROW_END};
    static const struct skua__yaml_field exponential[] = {
        SKUA__ROW_ANY("max_scale", view_scale), SKUA__ROW_MIN("max_size", U32, VIEW, max_size, 2),
        SKUA__ROW("record_min_max", NOT, VIEW, no_min_max), SKUA__ROW_END};
    const skua_otel_properties *one = skua__yaml_one(self, node);

    for (int i = 0; one != NULL && i < 6; i++) {
        if (strcmp(one->key, names[i]) != 0)
            continue;
        ((VIEW *)out)->aggregation = (enum skua__config_aggregation)i;
        if (i == SKUA__AGGREGATION_EXPLICIT)
            return skua__yaml_map(self, one, explicit, out);
        if (i == SKUA__AGGREGATION_EXPONENTIAL)
            return skua__yaml_map(self, one, exponential, out);
        return skua__yaml_empty(self, one);
    }
    return one != NULL && skua__yaml_fail(self, one->line, "%.80s: not known", one->key);
}

static bool view_keys(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    ((VIEW *)out)->has_keys = true;
    return skua__yaml_filter(self, node, &((VIEW *)out)->keys);
}

static bool yaml_view_stream(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW("name", STR, VIEW, name),
        SKUA__ROW("description", STR, VIEW, description),
        SKUA__ROW_ANY("aggregation", yaml_view_aggregation),
        SKUA__ROW_MIN("aggregation_cardinality_limit", U32, VIEW, cardinality, 1),
        SKUA__ROW_ANY("attribute_keys", view_keys),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool view_one(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {SKUA__ROW_MUST("selector", view_selector),
                                                     SKUA__ROW_MUST("stream", yaml_view_stream),
                                                     SKUA__ROW_END};

    ((VIEW *)out)->max_scale = 20;
    ((VIEW *)out)->max_size = 160;
    return skua__yaml_map(self, node, fields, out);
}

/* ---- the provider ---------------------------------------------------------------------------- */

static bool meter_readers(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    skua_otel_config *config = out;
    const void *at;

    if (!skua__yaml_each(self, node, sizeof(READER), reader_one, &at, &config->readers_count))
        return false;
    config->readers = at;
    return true;
}

static bool meter_views(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    skua_otel_config *config = out;
    const void *at;

    if (!skua__yaml_each(self, node, sizeof(VIEW), view_one, &at, &config->views_count))
        return false;
    config->views = at;
    return true;
}

static bool meter_scopes(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    return skua__yaml_scopes(self, node, "meters", &((skua_otel_config *)out)->meters);
}

bool skua__yaml_meter_provider(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const char *const filters[] = {"trace_based", "always_on", "always_off", NULL};
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_MUST("readers", meter_readers), SKUA__ROW_ANY("views", meter_views),
        SKUA__ROW_ENUM("exemplar_filter", skua_otel_config, exemplars, filters),
        SKUA__ROW_ANY("meter_configurator/development", meter_scopes), SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

#undef READER
#undef CARDINALITY
#undef VIEW
