/* sdk_metrics.c - metrics in the SDK: a reader for each destination and page, and how the pipe
 * collects: into the memory of a batch, which holds the SDK of metrics, since scopes and names are
 * that one's.
 */
#include <stdio.h>

#include "otel/sdk/sdk_impl.h"

/* ---- readers --------------------------------------------------------------------------------- */

/* What a reader is asked while it is made. */
struct smetrics_ask {
    const skua_otel_exporter *exporter;
    bool exponential;
    const struct skua__config_cardinality *cardinality; /* NULL: nothing is said */
};

static skua_otel_temporality smetrics_temporality(void *arg, skua_instrument_kind kind)
{
    const skua_otel_exporter *exporter = ((struct smetrics_ask *)arg)->exporter;

    return exporter->ops->temporality(exporter, (int)kind);
}

static skua_otel_aggregation smetrics_aggregation(void *arg, skua_instrument_kind kind)
{
    bool exponential = ((struct smetrics_ask *)arg)->exponential && kind == SKUA_KIND_HISTOGRAM;

    return (skua_otel_aggregation){.kind = exponential ? SKUA_OTEL_BASE2 : SKUA_OTEL_BY_KIND};
}

static uint32_t smetrics_cardinality(void *arg, skua_instrument_kind kind)
{
    const struct skua__config_cardinality *said = ((struct smetrics_ask *)arg)->cardinality;

    switch (kind) {
    case SKUA_KIND_COUNTER:
        return said->counter;
    case SKUA_KIND_UPDOWN:
        return said->up_down_counter;
    case SKUA_KIND_GAUGE:
        return said->gauge;
    case SKUA_KIND_HISTOGRAM:
        return said->histogram;
    case SKUA_KIND_OBSERVABLE_COUNTER:
        return said->observable_counter;
    case SKUA_KIND_OBSERVABLE_UPDOWN:
        return said->observable_up_down_counter;
    case SKUA_KIND_OBSERVABLE_GAUGE:
        return said->observable_gauge;
    }
    return 0;
}

/* config: NULL: of an option's destination; exporter: NULL: of a page. */
static int smetrics_reader(struct skua__sdk *sdk, const struct skua__config_reader *config,
                           const skua_otel_exporter *exporter, skua_otel_reader **ret)
{
    struct smetrics_ask ask = {exporter, config != NULL && config->exporter.exponential, NULL};
    skua_otel_reader_options options = {.size = sizeof options, .arg = &ask};
    skua_otel_reader *reader;

    if (exporter != NULL && exporter->ops->temporality != NULL)
        options.temporality_of = smetrics_temporality;
    if (ask.exponential)
        options.aggregation_of = smetrics_aggregation;
    if (config != NULL) {
        ask.cardinality = &config->cardinality;
        options.cardinality = config->cardinality.all;
        options.cardinality_of = smetrics_cardinality;
        if (exporter != NULL)
            options.temporality = (skua_otel_temporality_preference)config->exporter.temporality;
    }
    if (sdk->readers_count == SKUA__METRIC_READERS)
        return -EINVAL;
    reader = skua_otel_reader_new(&options);
    if (reader == NULL)
        return -ENOMEM;
    sdk->readers[sdk->readers_count++] = reader;
    *ret = reader;
    return 0;
}

static int smetrics_page(struct skua__sdk *sdk, const struct skua__config_reader *config)
{
    struct skua__sdk_page *page = &sdk->pages[sdk->pages_count];
    const struct skua__config_exporter *said = &config->exporter;
    bool six = strchr(said->host, ':') != NULL && said->host[0] != '[';

    page->page = (skua_otel_prometheus){.without_scope = said->no_scope_info,
                                        .without_units = said->no_suffixes,
                                        .without_total = said->no_suffixes,
                                        .without_target = said->no_target_info};
    (void)snprintf(page->address, sizeof page->address, six ? "[%s]:%u" : "%s:%u", said->host,
                   (unsigned)said->port);
    sdk->pages_count++;
    return smetrics_reader(sdk, config, NULL, &page->page.reader);
}

/* Destinations of a configuration stand in the order of its readers that push. */
static int smetrics_readers(struct skua__sdk *sdk)
{
    size_t next = 0;
    int rc = 0;

    for (size_t i = 0; i < sdk->dests_count && rc == 0; i++) {
        const struct skua__config_reader *config = NULL;

        if (sdk->dests[i].signal != SKUA_OTEL_METRICS)
            continue;
        if (sdk->made)
            config = &sdk->config->readers[sdk->dests_configs[next++]];
        rc = smetrics_reader(sdk, config, sdk->dests[i].exporter, &sdk->dests_readers[i]);
    }
    for (size_t i = 0; sdk->made && i < sdk->config->readers_count && rc == 0; i++)
        if (sdk->config->readers[i].pull &&
            sdk->config->readers[i].exporter.kind == SKUA__EXPORTER_PROMETHEUS)
            rc = smetrics_page(sdk, &sdk->config->readers[i]);
    return rc;
}

/* ---- views ----------------------------------------------------------------------------------- */

static skua_otel_view smetrics_view(const struct skua__config_view *said)
{
    static const skua_instrument_kind kinds[] = {0,
                                                 SKUA_KIND_COUNTER,
                                                 SKUA_KIND_GAUGE,
                                                 SKUA_KIND_HISTOGRAM,
                                                 SKUA_KIND_OBSERVABLE_COUNTER,
                                                 SKUA_KIND_OBSERVABLE_GAUGE,
                                                 SKUA_KIND_OBSERVABLE_UPDOWN,
                                                 SKUA_KIND_UPDOWN};
    static const skua_otel_aggregate aggregates[] = {SKUA_OTEL_BY_KIND,  SKUA_OTEL_OMIT,
                                                     SKUA_OTEL_EXPLICIT, SKUA_OTEL_BASE2,
                                                     SKUA_OTEL_LAST,     SKUA_OTEL_SUMMED};
    bool exclude = said->has_keys && said->keys.included.count == 0;
    const struct skua__config_names *keys = exclude ? &said->keys.excluded : &said->keys.included;

    return (skua_otel_view){.size = sizeof(skua_otel_view),
                            .instrument = said->instrument,
                            .kind = kinds[said->type],
                            .unit = said->unit,
                            .meter = said->meter,
                            .meter_version = said->meter_version,
                            .meter_schema_url = said->meter_schema,
                            .name = said->name,
                            .description = said->description,
                            .keys = keys->at,
                            .keys_count = (uint32_t)keys->count,
                            .exclude = exclude && keys->count != 0,
                            .aggregation = {.kind = aggregates[said->aggregation],
                                            .bounds = said->bounds,
                                            .bounds_count = (uint32_t)said->bounds_count,
                                            .max_size = said->max_size,
                                            .max_scale = said->max_scale,
                                            .no_min_max = said->no_min_max},
                            .cardinality = said->cardinality};
}

static int smetrics_views(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const skua_otel_config *config = sdk->config;

    sdk->views =
        skua__otel_malloc((options->views_count + config->views_count + 1) * sizeof *sdk->views);
    if (sdk->views == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < options->views_count; i++)
        sdk->views[sdk->views_count++] = options->views[i];
    for (size_t i = 0; i < config->views_count; i++)
        sdk->views[sdk->views_count++] = smetrics_view(&config->views[i]);
    return 0;
}

int skua__sdk_metrics(struct skua__sdk *sdk, const skua_otel_options *options)
{
    int rc;

    sdk->self_metrics = !options->self_metrics_off;
    sdk->runtime_metrics = skua__rtm_level(options->runtime_metrics, !options->environment_off);
    sdk->dests_readers = skua__otel_malloc((sdk->dests_count + 1) * sizeof(void *));
    sdk->pages = skua__otel_malloc((sdk->config->readers_count + 1) * sizeof *sdk->pages);
    if (sdk->dests_readers == NULL || sdk->pages == NULL)
        return -ENOMEM;
    rc = smetrics_readers(sdk);
    if (rc == 0)
        rc = smetrics_views(sdk, options);
    if (rc == 0 && sdk->readers_count + options->readers_count > SKUA__METRIC_READERS)
        rc = -EINVAL;
    for (size_t i = 0; i < options->readers_count && rc == 0; i++) {
        skua_otel_reader *reader = options->readers[i];

        (void)atomic_fetch_add_explicit(&reader->refs, 1, memory_order_relaxed);
        sdk->readers[sdk->readers_count++] = reader;
    }
    return rc;
}

void skua__sdk_metrics_free(struct skua__sdk *sdk)
{
    for (size_t i = 0; i < sdk->readers_count; i++)
        skua_otel_reader_free(sdk->readers[i]);
    skua__otel_free(sdk->dests_readers);
    skua__otel_free(sdk->pages);
    skua__otel_free(sdk->views);
}

/* ---- life ------------------------------------------------------------------------------------ */

int skua__sdk_metrics_start(struct skua__sdk *sdk)
{
    static const skua__exemplars exemplars[] = {SKUA__EXEMPLARS_TRACE, SKUA__EXEMPLARS_ON,
                                                SKUA__EXEMPLARS_OFF};
    int rc;

    if (sdk->readers_count == 0)
        return 0;
    rc = skua__metric_start(&(struct skua__metric_options){
        .resource = &sdk->resource,
        .views = sdk->views,
        .views_count = sdk->views_count,
        .readers = sdk->readers,
        .readers_count = sdk->readers_count,
        .exemplars = exemplars[sdk->config->exemplars],
        .wants = skua__sdk_scopes_said(&sdk->config->meters) ? skua__sdk_wants_meter : NULL,
        .wants_arg = sdk});
    sdk->metrics_on = rc == 0;
    if (rc == 0 && sdk->self_metrics)
        skua__sdk_self_begin(sdk);
    if (rc == 0)
        skua__rtm_begin(sdk->runtime_metrics);
    return rc;
}

void skua__sdk_metrics_stop(struct skua__sdk *sdk)
{
    if (!sdk->metrics_on)
        return;
    sdk->metrics_on = false;
    skua__rtm_end();
    if (sdk->self_metrics)
        skua__sdk_self_end();
    skua__metric_stop();
}

void skua__sdk_metrics_drop(void)
{
    skua__rtm_end();
    skua__sdk_self_end();
    skua__metric_stop();
}

/* ---- the pipe -------------------------------------------------------------------------------- */

static void *smetrics_alloc(void *batch, size_t size)
{
    return skua__batch_alloc(batch, size);
}

static void smetrics_let_go(void *sdk)
{
    skua__metric_sdk_unref(sdk);
}

int (*skua__sdk_collecting)(void *source, struct skua__batch *batch) = skua__sdk_collect;

int skua__sdk_collect(void *source, struct skua__batch *batch)
{
    struct skua__metric_arena arena = {smetrics_alloc, batch};
    struct skua__metric_sdk *sdk = skua__metric_sdk_get();

    if (sdk == NULL)
        return -ENOENT;
    batch->held = sdk;
    batch->let_go = smetrics_let_go;
    return skua__metric_collect(source, &arena, &batch->data.items.metrics, &batch->data.count);
}

int skua__sdk_serve(void *arg)
{
    struct skua__sdk_page *page = arg;
    int rc = skua_otel_prometheus_serve(&page->page, page->address);

    if (rc != 0 && rc != -ECANCELED)
        skua__otel_warn(SKUA__WARN_CONFIG, "no page for Prometheus at %.200s: %s", page->address,
                        skua_strerror(rc));
    return 0;
}
