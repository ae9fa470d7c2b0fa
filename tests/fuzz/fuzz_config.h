/* fuzz_config.h - what the fuzzers of configurations share: what must hold of one that was made.
 */
#ifndef SKUA_TESTS_FUZZ_CONFIG_H
#define SKUA_TESTS_FUZZ_CONFIG_H

#include "otel/config/config_impl.h"

#include "fuzz.h"

static inline void fuzz_exporter(const struct skua__config_exporter *exporter)
{
    for (size_t i = 0; i < exporter->headers_count; i++)
        fuzz_must(*exporter->headers[i].name != '\0' && exporter->headers[i].value != NULL);
    fuzz_must(exporter->kind != SKUA__EXPORTER_OTLP || *exporter->endpoint != '\0');
    fuzz_must(exporter->kind != SKUA__EXPORTER_PLUGIN || exporter->plugin.name != NULL);
    fuzz_must(exporter->timeout >= 0 && exporter->max_request > 0 && exporter->max_response > 0);
}

static inline void fuzz_processors(const struct skua__config_processor *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (at[i].plugin.name != NULL || at[i].event_bridge)
            continue;
        fuzz_must(at[i].schedule_delay >= 0 && at[i].export_timeout >= 0);
        fuzz_must(at[i].max_batch > 0 && at[i].max_batch <= at[i].max_queue);
        fuzz_exporter(&at[i].exporter);
    }
}

/* All of it is in range, and what is made of it alone can be made. */
static inline void fuzz_config(skua_otel_config *config)
{
    skua_otel_sampler *sampler = NULL;
    skua_otel_resource resource;
    int rc = skua__config_sampler_create(config->sampler, NULL, &sampler);

    fuzz_must(rc == 0 || rc == -ENOENT || rc == -EINVAL || rc == -ENOSYS);
    if (rc == 0 && sampler != NULL && sampler->free != NULL)
        sampler->free(sampler);
    fuzz_must(config->log_level >= 1 && config->log_level <= 25);
    fuzz_processors(config->spans, config->spans_count);
    fuzz_processors(config->logs, config->logs_count);
    for (size_t i = 0; i < config->readers_count; i++) {
        fuzz_must(config->readers[i].pull || config->readers[i].interval > 0);
        fuzz_exporter(&config->readers[i].exporter);
    }
    for (size_t i = 0; i < config->views_count; i++)
        for (size_t k = 1; k < config->views[i].bounds_count; k++)
            fuzz_must(config->views[i].bounds[k - 1] < config->views[i].bounds[k]);
    config->resource.detectors = 0; /* they read files */
    rc = skua__config_resource_create(config, "/nowhere", &resource);
    fuzz_must(rc == 0 || rc == -ENOENT || rc == -EINVAL);
    for (uint32_t i = 1; rc == 0 && i < resource.attrs.count; i++)
        fuzz_must(strcmp(resource.attrs.at[i - 1].key, resource.attrs.at[i].key) < 0);
}

#endif
