/* sdk_options.c - what telemetry is told, checked and copied.
 *
 * Defaults are those of the specification: OTEL_BSP_*, OTEL_BLRP_*, OTEL_METRIC_EXPORT_*.
 */
#include <stdio.h>

#include <skua/otel/samplers.h>

#include "otel/sdk/sdk_impl.h"

#define OPTIONS_MS INT64_C(1000000)
#define OPTIONS_BUFFER_MIN ((size_t)64 * 1024)
#define OPTIONS_BUFFER_MAX ((size_t)64 * 1024 * 1024)

const struct skua__otel_reader *const skua__sdk_readers[] = {&skua__otel_span_reader,
                                                             &skua__otel_log_reader};
const size_t skua__sdk_readers_count = sizeof skua__sdk_readers / sizeof skua__sdk_readers[0];

void skua_otel_options_init(skua_otel_options *options)
{
    *options = (skua_otel_options){.size = sizeof *options};
}

/* by_default: as the configuration has it. */
static uint32_t options_limit(uint32_t value, uint32_t by_default)
{
    return value == 0 ? by_default : value == SKUA_OTEL_NONE ? 0 : value;
}

/* What the environment says of batches counts for an option's destinations, too, where these do not
 * say it; of a file each destination has its own. NULL: nothing is said. */
static const struct skua__config_processor *options_batching(const struct skua__sdk *sdk,
                                                             skua_otel_signal signal)
{
    const skua_otel_config *config = sdk->config;

    if (config->from_file || signal == SKUA_OTEL_METRICS)
        return NULL;
    if (signal == SKUA_OTEL_LOGS)
        return config->logs_count != 0 ? config->logs : NULL;
    return config->spans_count != 0 ? config->spans : NULL;
}

static void options_rhythm(const struct skua__sdk *sdk, skua_otel_destination *dest)
{
    const skua_otel_config *config = sdk->config;
    bool metrics = dest->signal == SKUA_OTEL_METRICS;
    int64_t delay =
        metrics ? 60000 * OPTIONS_MS : (dest->signal == SKUA_OTEL_LOGS ? 1000 : 5000) * OPTIONS_MS;
    int64_t timeout = 30000 * OPTIONS_MS;
    const struct skua__config_processor *said = options_batching(sdk, dest->signal);

    if (metrics && !config->from_file && config->readers_count != 0) {
        delay = config->readers[0].interval;
        timeout = config->readers[0].timeout;
    } else if (said != NULL && said->schedule_delay != 0) {
        delay = said->schedule_delay;
        timeout = said->export_timeout;
    }
    if (dest->delay == 0)
        dest->delay = delay;
    if (dest->timeout == 0)
        dest->timeout = timeout != 0 ? timeout : INT64_C(1) << 60;
}

/* With its defaults. */
static int options_dest(const struct skua__sdk *sdk, skua_otel_destination *dest)
{
    const struct skua__config_processor *said;
    uint32_t batch;

    if ((unsigned)dest->signal >= SKUA_OTEL_SIGNALS || dest->exporter == NULL ||
        dest->exporter->ops == NULL || dest->exporter->ops->export_batch == NULL ||
        dest->simple > 1 || dest->delay < 0 || dest->timeout < 0)
        return -EINVAL;
    said = options_batching(sdk, dest->signal);
    batch = said != NULL ? said->max_batch : 512;
    if (dest->max_queue == 0)
        dest->max_queue = said != NULL ? said->max_queue : 2048;
    if (dest->max_batch == 0 && dest->signal != SKUA_OTEL_METRICS)
        dest->max_batch = dest->max_queue < batch ? dest->max_queue : batch;
    if (dest->max_batch > dest->max_queue && dest->signal != SKUA_OTEL_METRICS)
        return -EINVAL;
    options_rhythm(sdk, dest);
    /* A reader with no pause would have the thread for itself. */
    if (dest->signal == SKUA_OTEL_METRICS && dest->delay < OPTIONS_MS)
        dest->delay = OPTIONS_MS;
    return 0;
}

static int options_room(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const skua_otel_config *config = sdk->config;
    size_t all = config->spans_count + config->logs_count;
    size_t count = options->destinations_count + all + config->readers_count + 1;

    sdk->dests = skua__otel_malloc(count * sizeof *sdk->dests);
    sdk->dests_configs = skua__otel_malloc(count * sizeof *sdk->dests_configs);
    sdk->counts = skua__otel_malloc(count * sizeof *sdk->counts);
    sdk->selves = skua__otel_malloc(count * sizeof *sdk->selves);
    sdk->names = skua__otel_malloc(count * sizeof *sdk->names);
    sdk->processors = skua__otel_malloc((options->processors_count + all + 1) * sizeof(void *));
    return sdk->dests != NULL && sdk->dests_configs != NULL && sdk->counts != NULL &&
                   sdk->selves != NULL && sdk->names != NULL && sdk->processors != NULL
               ? 0
               : -ENOMEM;
}

static int options_dests(struct skua__sdk *sdk, const skua_otel_options *options)
{
    int rc = options_room(sdk, options);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < options->processors_count; i++) {
        if (options->processors[i] == NULL || options->processors[i]->ops == NULL)
            return -EINVAL;
        sdk->processors[sdk->processors_count++] = options->processors[i];
    }
    for (size_t i = 0; i < options->destinations_count; i++)
        sdk->dests[sdk->dests_count++] = options->destinations[i];
    rc = skua__sdk_destinations(sdk, options);
    for (size_t i = 0; i < sdk->dests_count && rc == 0; i++) {
        rc = options_dest(sdk, &sdk->dests[i]);
        if (rc == 0)
            sdk->names[i] = sdk->dests[i].exporter->ops->name;
    }
    return rc;
}

/* ---- hooks ----------------------------------------------------------------------------------- */

static void options_on_start(const struct skua__trace_sdk *trace, skua_span *span,
                             const skua_span_context *parent)
{
    const struct skua__sdk *sdk = trace->owner;

    for (size_t i = 0; i < sdk->processors_count; i++)
        if (sdk->processors[i]->ops->on_start != NULL)
            sdk->processors[i]->ops->on_start(sdk->processors[i], span, parent);
}

static void options_on_end(const struct skua__trace_sdk *trace, skua_span *span)
{
    const struct skua__sdk *sdk = trace->owner;

    for (size_t i = 0; i < sdk->processors_count; i++)
        if (sdk->processors[i]->ops->on_ending != NULL)
            sdk->processors[i]->ops->on_ending(sdk->processors[i], span);
}

/* How many bytes in a ring are worth a wake: about a batch, at most half of it. */
static size_t options_wake(const struct skua__sdk *sdk, size_t buffer)
{
    size_t wake = buffer / 2;

    for (size_t i = 0; i < sdk->dests_count; i++) {
        size_t batch = (size_t)sdk->dests[i].max_batch * 160;

        if (sdk->dests[i].signal == SKUA_OTEL_METRICS)
            continue;
        if (sdk->dests[i].simple)
            return 0;
        wake = batch < wake ? batch : wake;
    }
    return wake;
}

static void options_trace(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const skua_otel_limits *limits = &options->limits;
    const struct skua__config_limits *said = &sdk->config->span_limits;
    size_t buffer = options->buffer != 0 ? options->buffer : (size_t)512 * 1024;
    struct skua__trace_sdk *trace = &sdk->trace;

    trace->owner = sdk;
    skua__trace_sampler(trace, options->sampler != NULL ? options->sampler : sdk->sampler);
    trace->limits = (struct skua__otel_limits){
        .attrs = options_limit(limits->attrs, said->attrs),
        .events = options_limit(limits->events, said->events),
        .links = options_limit(limits->links, said->links),
        .event_attrs = options_limit(limits->event_attrs, said->event_attrs),
        .link_attrs = options_limit(limits->link_attrs, said->link_attrs),
        .value_len = options_limit(limits->value_len, said->value_len)};
    trace->new_trace_id = options->new_trace_id;
    trace->new_span_id = options->new_span_id;
    trace->filled = skua__pipe_wake;
    trace->wake_at = options_wake(sdk, buffer);
    for (size_t i = 0; i < sdk->processors_count; i++) {
        if (sdk->processors[i]->ops->on_start != NULL)
            trace->on_start = options_on_start;
        if (sdk->processors[i]->ops->on_ending != NULL)
            trace->on_end = options_on_end;
    }
    skua__otel_threads_ring(buffer);
}

/* As filters are: one that says no is enough. */
static int options_log_enabled(const struct skua__log_sdk *log, skua_severity severity,
                               const char *event, const skua_span_context *context)
{
    const struct skua__sdk *sdk = log->owner;

    for (size_t i = 0; i < sdk->processors_count; i++)
        if (sdk->processors[i]->ops->log_enabled != NULL &&
            sdk->processors[i]->ops->log_enabled(sdk->processors[i], severity, event, context) == 0)
            return 0;
    return 1;
}

static void options_log(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const skua_otel_limits *limits = &options->log_limits;
    const struct skua__config_limits *said = &sdk->config->log_limits;

    sdk->log = (struct skua__log_sdk){
        .limits = {.attrs = options_limit(limits->attrs, said->attrs),
                   .value_len = options_limit(limits->value_len, said->value_len)},
        .minimum = (uint8_t)options->log_minimum,
        .sampled_only = options->log_sampled_only != 0,
        .filled = skua__pipe_wake,
        .wake_at = sdk->trace.wake_at,
        .owner = sdk,
        .enabled = sdk->processors_count != 0 ? options_log_enabled : NULL};
}

static int options_check(const skua_otel_options *options)
{
    if (options->size != sizeof *options || options->exit_timeout < -1 ||
        (options->destinations == NULL && options->destinations_count != 0) ||
        (options->resource == NULL && options->resource_count != 0) ||
        (options->processors == NULL && options->processors_count != 0) ||
        (options->views == NULL && options->views_count != 0) ||
        (options->readers == NULL && options->readers_count != 0) ||
        (options->sampler != NULL && options->sampler->sample == NULL) ||
        (unsigned)options->log_minimum > 24 ||
        (unsigned)options->runtime_metrics > SKUA_OTEL_RUNTIME_FULL ||
        (unsigned)options->operations > SKUA_OTEL_OPERATIONS_ALL)
        return -EINVAL;
    if (options->buffer != 0 &&
        ((options->buffer & (options->buffer - 1)) != 0 || options->buffer < OPTIONS_BUFFER_MIN ||
         options->buffer > OPTIONS_BUFFER_MAX))
        return -EINVAL;
    return 0;
}

static skua_otel_operations options_operations(const struct skua__sdk *sdk,
                                               const skua_otel_options *options)
{
    if (options->operations != SKUA_OTEL_OPERATIONS_DEFAULT)
        return options->operations;
    if (sdk->config->operations != SKUA_OTEL_OPERATIONS_DEFAULT)
        return (skua_otel_operations)sdk->config->operations;
    return SKUA_OTEL_OPERATIONS_METRICS;
}

int skua__sdk_new(struct skua__sdk **ret, const skua_otel_options *options)
{
    skua_otel_options none;
    struct skua__sdk *sdk;
    int rc;

    skua_otel_options_init(&none);
    if (options == NULL)
        options = &none;
    rc = options_check(options);
    if (rc != 0)
        return rc;
    sdk = skua__otel_malloc(sizeof *sdk);
    if (sdk == NULL)
        return -ENOMEM;
    rc = skua__sdk_configure(sdk, options);
    if (rc == 0)
        rc = options_dests(sdk, options);
    if (rc == 0)
        rc = skua__sdk_metrics(sdk, options);
    if (rc == 0)
        rc = skua__sdk_resource(sdk, options);
    if (rc == 0)
        rc = skua__sdk_tasks(sdk, options);
    sdk->stop = rc == 0 ? skua__pipe_ask_new(SKUA__PIPE_STOP) : NULL;
    if (rc == 0 && sdk->stop == NULL)
        rc = -ENOMEM;
    if (rc != 0) {
        skua__sdk_free(sdk, options);
        return rc;
    }
    sdk->exit_timeout = options->exit_timeout != 0 ? options->exit_timeout : 2000 * OPTIONS_MS;
    sdk->operations = options_operations(sdk, options);
    options_trace(sdk, options);
    options_log(sdk, options);
    skua__sdk_scopes(sdk);
    skua__otel_warn_to(options->on_warning, options->arg);
    skua__otel_warn_level(sdk->config->log_level);
    *ret = sdk;
    return 0;
}

void skua__sdk_free(struct skua__sdk *sdk, const skua_otel_options *options)
{
    if (sdk->made)
        skua__sdk_free_exporters(sdk);
    if (sdk->stop != NULL)
        skua__pipe_ask_unref(sdk->stop);
    skua__sdk_metrics_free(sdk);
    skua_otel_sampler_free(sdk->sampler);
    if (options == NULL || sdk->config != options->config)
        skua_otel_config_free(sdk->config);
    skua__otel_free(sdk->dests);
    skua__otel_free(sdk->dests_configs);
    skua__otel_free(sdk->counts);
    skua__otel_free(sdk->selves);
    skua__otel_free(sdk->names);
    skua__otel_free(sdk->processors);
    skua__otel_free(sdk->tasks);
    skua__otel_free(sdk);
}

/* ---- the pipe -------------------------------------------------------------------------------- */

/* NULL: nobody wants telemetry's own numbers. */
static const struct skua__dest_watch *options_watch(const struct skua__sdk *sdk, size_t i)
{
    return sdk->metrics_on && sdk->self_metrics ? &sdk->selves[i].watch : NULL;
}

static void options_periodic(const struct skua__sdk *sdk, size_t i,
                             struct skua__periodic_options *ret)
{
    const skua_otel_destination *dest = &sdk->dests[i];

    *ret = (struct skua__periodic_options){.collect = skua__sdk_collecting,
                                           .source = sdk->dests_readers[i],
                                           .exporter = dest->exporter,
                                           .interval = dest->delay,
                                           .timeout = dest->timeout,
                                           .max_batch = dest->max_batch,
                                           .counts = &sdk->counts[i],
                                           .watch = options_watch(sdk, i)};
}

/* Those who ask collectors for samplers, in the name of the service. */
static void options_remotes(const struct skua__sdk *sdk, struct skua__pipe_guest *guests,
                            size_t *count)
{
    const skua_otel_attrs *attrs = &sdk->resource.attrs;

    for (size_t i = 0; i < sdk->remotes_count; i++) {
        struct skua__remote *remote = sdk->remotes[i];

        for (uint32_t j = 0; j < attrs->count; j++)
            if (strcmp(attrs->at[j].key, "service.name") == 0 && attrs->at[j].type == SKUA_ATTR_STR)
                (void)snprintf(remote->service, sizeof remote->service, "%.*s",
                               (int)(attrs->at[j].count & INT32_MAX), attrs->at[j].value.str);
        guests[(*count)++] = (struct skua__pipe_guest){skua__remote_poll, remote};
    }
}

int skua__sdk_pipe(struct skua__sdk *sdk, struct skua__pipe **ret)
{
    size_t count = sdk->dests_count;
    struct skua__dest_options *dests = skua__otel_malloc((count + 1) * sizeof *dests);
    struct skua__periodic_options *periodics = skua__otel_malloc((count + 1) * sizeof *periodics);
    struct skua__pipe_guest *guests =
        skua__otel_malloc((sdk->pages_count + SKUA__SDK_REMOTES) * sizeof *guests);
    struct skua__pipe_options options = {.resource = &sdk->resource,
                                         .readers = skua__sdk_readers,
                                         .readers_count = skua__sdk_readers_count,
                                         .processors = sdk->processors,
                                         .processors_count = sdk->processors_count,
                                         .dests = dests,
                                         .periodics = periodics,
                                         .guests = guests};
    int rc = dests != NULL && periodics != NULL && guests != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && rc == 0; i++) {
        const skua_otel_destination *dest = &sdk->dests[i];

        if (dest->signal != SKUA_OTEL_METRICS)
            dests[options.dests_count++] =
                (struct skua__dest_options){.exporter = dest->exporter,
                                            .signal = dest->signal,
                                            .max_queue = dest->max_queue,
                                            .delay = dest->simple ? 0 : dest->delay,
                                            .timeout = dest->timeout,
                                            .max_batch = dest->max_batch,
                                            .counts = &sdk->counts[i],
                                            .watch = options_watch(sdk, i)};
        else
            options_periodic(sdk, i, &periodics[options.periodics_count++]);
    }
    for (size_t i = 0; i < sdk->pages_count && rc == 0; i++)
        guests[options.guests_count++] = (struct skua__pipe_guest){skua__sdk_serve, &sdk->pages[i]};
    if (rc == 0)
        options_remotes(sdk, guests, &options.guests_count);
    if (rc == 0)
        rc = skua__pipe_start(ret, &options, skua__sdk_over, sdk);
    skua__otel_free(dests);
    skua__otel_free(periodics);
    skua__otel_free(guests);
    return rc;
}

#undef OPTIONS_MS
#undef OPTIONS_BUFFER_MIN
#undef OPTIONS_BUFFER_MAX
