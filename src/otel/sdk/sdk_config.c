/* sdk_config.c - what the environment, or a file, says: destinations, processors, the sampler.
 *
 *   options.config, or OTEL_*, or neither -> configuration -> parts that the options do not have
 *
 * Faults     an exporter of the environment that cannot be made is told, and left out: a program
 *            must not fail by it. Of a file it is an error, as every fault there.
 */
#include <stdio.h>

#include <skua/otel/samplers.h>
#include <skua/propagation.h>

#include "otel/sdk/sdk_impl.h"

#define SCONFIG_NEVER (INT64_C(1) << 60) /* a time-out that is none: ns */

/* At the start each fault has a line: there are few, and they do not come again. */
static void sconfig_say(void *arg, const char *text)
{
    const skua_otel_options *options = arg;

    if (options->on_warning != NULL)
        options->on_warning(options->arg, text);
    else
        (void)fprintf(stderr, "skua: telemetry: %s\n", text);
}

int skua__sdk_configure(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const struct skua__config_env env = {.warn = sconfig_say, .warn_arg = (void *)options};
    int rc = 0;

    if (options->config != NULL) {
        sdk->config = options->config;
    } else if (options->environment_off) {
        sdk->config = skua__config_new();
        if (sdk->config == NULL)
            return -ENOMEM;
        sdk->config->resource.detectors = SKUA__DETECT_SERVICE;
    } else {
        rc = skua__config_from_env(&env, &sdk->config);
    }
    if (rc == 0 && !options->environment_off)
        (void)skua_propagation_use(sdk->config->propagators); /* unknown ones are told already */
    return rc;
}

/* ---- destinations ---------------------------------------------------------------------------- */

/* One more; `from`: which reader of the configuration. 0 or an error. */
static int sconfig_add(struct skua__sdk *sdk, const skua_otel_options *options,
                       const struct skua__config_exporter *config, skua_otel_destination dest)
{
    static const char *const names[] = {"traces", "metrics", "logs"};
    char why[200] = "", line[300];
    int rc = skua__sdk_exporter(config, dest.signal, why, sizeof why, &dest.exporter);

    if (rc == 0) {
        sdk->dests[sdk->dests_count++] = dest;
        return 0;
    }
    if (rc == -ENOMEM)
        return rc;
    (void)snprintf(line, sizeof line, "an exporter of %s cannot be made: %s%s%s",
                   names[dest.signal], skua_strerror(rc), why[0] != '\0' ? ": " : "", why);
    sconfig_say((void *)options, line);
    return sdk->config->from_file ? rc : 0;
}

static int sconfig_processor(struct skua__sdk *sdk, const skua_otel_options *options,
                             skua_otel_signal signal, const struct skua__config_processor *config)
{
    if (config->event_bridge)
        sconfig_say((void *)options, "event_to_span_event_bridge/development is ignored");
    if (config->event_bridge || config->plugin.name != NULL)
        return 0;
    return sconfig_add(
        sdk, options, &config->exporter,
        (skua_otel_destination){.signal = signal,
                                .simple = config->simple || config->schedule_delay == 0,
                                .max_queue = config->max_queue,
                                .max_batch = config->max_batch,
                                .delay = config->schedule_delay,
                                .timeout = config->export_timeout != 0 ? config->export_timeout
                                                                       : SCONFIG_NEVER});
}

static int sconfig_reader(struct skua__sdk *sdk, const skua_otel_options *options, size_t index)
{
    const struct skua__config_reader *config = &sdk->config->readers[index];
    size_t before = sdk->dests_count, metrics = 0;
    int rc;

    if (config->exporter.has_constant_labels)
        sconfig_say((void *)options, "constant labels of the resource are ignored");
    if (config->exporter.no_escaping)
        sconfig_say((void *)options, "names are escaped for Prometheus all the same");
    if (config->pull)
        return 0;
    for (size_t i = 0; i < before; i++)
        metrics += sdk->dests[i].signal == SKUA_OTEL_METRICS;
    rc = sconfig_add(
        sdk, options, &config->exporter,
        (skua_otel_destination){.signal = SKUA_OTEL_METRICS,
                                .max_batch = config->max_batch,
                                .delay = config->interval,
                                .timeout = config->timeout != 0 ? config->timeout : SCONFIG_NEVER});
    if (sdk->dests_count != before)
        sdk->dests_configs[metrics] = index;
    return rc;
}

/* Those that a program brings along. */
static int sconfig_plugin(struct skua__sdk *sdk, skua_otel_component component,
                          const struct skua__config_plugin *plugin)
{
    const skua_otel_provider *provider = skua__config_provider(component, plugin->name);
    void *made = NULL;
    int rc = provider != NULL ? provider->create(provider, plugin->properties, &made) : -ENOENT;

    if (rc == 0 && made == NULL)
        rc = -EINVAL;
    if (rc == 0)
        sdk->processors[sdk->processors_count++] = made;
    return rc;
}

static int sconfig_remote(void *arg, const struct skua__config_sampler *config,
                          skua_otel_sampler *initial, skua_otel_sampler **ret)
{
    struct skua__sdk *sdk = arg;
    struct skua__remote *remote;
    int rc;

    if (sdk->remotes_count == SKUA__SDK_REMOTES) {
        skua_otel_sampler_free(initial);
        return -EINVAL;
    }
    rc = skua__remote_new(&remote, config->endpoint, config->interval, initial);
    if (rc != 0)
        return rc;
    sdk->remotes[sdk->remotes_count++] = remote;
    *ret = skua__remote_sampler(remote);
    return 0;
}

static int sconfig_sampler(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const struct skua__config_remote remote = {sconfig_remote, sdk};

    if (options->sampler != NULL)
        return 0;
    return skua__config_sampler_create(sdk->config->sampler, &remote, &sdk->sampler);
}

int skua__sdk_destinations(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const skua_otel_config *config = sdk->config;
    int rc = sconfig_sampler(sdk, options);

    for (size_t i = 0; i < config->spans_count && rc == 0; i++)
        if (config->spans[i].plugin.name != NULL)
            rc = sconfig_plugin(sdk, SKUA_OTEL_SPAN_PROCESSOR, &config->spans[i].plugin);
    for (size_t i = 0; i < config->logs_count && rc == 0; i++)
        if (config->logs[i].plugin.name != NULL)
            rc = sconfig_plugin(sdk, SKUA_OTEL_LOG_PROCESSOR, &config->logs[i].plugin);
    sdk->made = options->destinations_count == 0;
    if (!sdk->made || config->disabled)
        return rc;
    for (size_t i = 0; i < config->spans_count && rc == 0; i++)
        rc = sconfig_processor(sdk, options, SKUA_OTEL_TRACES, &config->spans[i]);
    for (size_t i = 0; i < config->readers_count && rc == 0; i++)
        rc = sconfig_reader(sdk, options, i);
    for (size_t i = 0; i < config->logs_count && rc == 0; i++)
        rc = sconfig_processor(sdk, options, SKUA_OTEL_LOGS, &config->logs[i]);
    return rc;
}

void skua__sdk_free_exporters(struct skua__sdk *sdk)
{
    for (size_t i = 0; i < sdk->dests_count; i++) {
        skua_otel_exporter *exporter = sdk->dests[i].exporter;
        bool again = false;

        for (size_t j = 0; j < i; j++)
            again = again || sdk->dests[j].exporter == exporter;
        if (!again && exporter->ops->free != NULL)
            exporter->ops->free(exporter);
    }
}

#undef SCONFIG_NEVER
