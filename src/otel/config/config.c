/* config.c - a configuration: its memory, and the defaults.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <skua/time.h>

#include "otel/config/config_impl.h"

struct skua__config_block {
    struct skua__config_block *next;
    max_align_t data[];
};

void *skua__config_alloc(skua_otel_config *config, size_t size)
{
    struct skua__config_block *block = skua__otel_malloc(sizeof *block + size);

    if (block == NULL)
        return NULL;
    block->next = config->blocks;
    config->blocks = block;
    return block->data;
}

char *skua__config_copy(skua_otel_config *config, const char *text, size_t len)
{
    char *copy = skua__config_alloc(config, len + 1);

    if (copy != NULL && len != 0)
        memcpy(copy, text, len);
    return copy;
}

void skua_otel_config_free(skua_otel_config *config)
{
    struct skua__config_block *block = config != NULL ? config->blocks : NULL;

    while (block != NULL) {
        struct skua__config_block *next = block->next;

        skua__otel_free(block);
        block = next;
    }
    skua__otel_free(config);
}

/* ---- defaults -------------------------------------------------------------------------------- */

void skua__config_exporter_init(struct skua__config_exporter *self)
{
    *self = (struct skua__config_exporter){.timeout = 10 * SKUA_SECOND,
                                           .max_request = 64 << 20,
                                           .max_response = 4 << 20,
                                           .output = "stdout",
                                           .host = "localhost",
                                           .port = 9464};
}

void skua__config_limits_init(struct skua__config_limits *self)
{
    *self = (struct skua__config_limits){.value_len = SKUA__CONFIG_NO_LIMIT,
                                         .value_depth = 64,
                                         .attrs = 128,
                                         .events = 128,
                                         .links = 128,
                                         .event_attrs = 128,
                                         .link_attrs = 128};
}

void skua__config_processor_init(struct skua__config_processor *self, bool logs)
{
    *self = (struct skua__config_processor){.schedule_delay = logs ? SKUA_SECOND : 5 * SKUA_SECOND,
                                            .export_timeout = 30 * SKUA_SECOND,
                                            .max_queue = 2048,
                                            .max_batch = 512};
    skua__config_exporter_init(&self->exporter);
}

void skua__config_reader_init(struct skua__config_reader *self)
{
    *self = (struct skua__config_reader){.interval = 60 * SKUA_SECOND, .timeout = 30 * SKUA_SECOND};
    skua__config_exporter_init(&self->exporter);
}

skua_otel_config *skua__config_new(void)
{
    static const struct skua__config_sampler standard = {.kind = SKUA__SAMPLER_PARENT_BASED};
    skua_otel_config *self = skua__otel_malloc(sizeof *self);

    if (self == NULL)
        return NULL;
    self->log_level = 9; /* info */
    self->propagators = "tracecontext,baggage";
    self->resource.detectors = SKUA__DETECT_ALL;
    self->sampler = &standard;
    skua__config_limits_init(&self->span_limits);
    skua__config_limits_init(&self->log_limits);
    return self;
}

int skua_otel_config_parse(const char *path, skua_otel_config_fault *fault, skua_otel_config **ret)
{
    return skua__config_from_file(NULL, path, fault, ret);
}

int skua_otel_config_parse_text(const char *text, size_t len, skua_otel_config_fault *fault,
                                skua_otel_config **ret)
{
    return skua__config_from_text(NULL, text, len, fault, ret);
}

/* ---- the environment ------------------------------------------------------------------------- */

const char *skua__config_get(const struct skua__config_env *env, const char *name)
{
    const char *value =
        env != NULL && env->get != NULL ? env->get(env->get_arg, name) : getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

void skua__config_say(const struct skua__config_env *env, const char *format, ...)
{
    char text[256];
    va_list args;

    if (env == NULL || env->warn == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    env->warn(env->warn_arg, text);
}

/* ---- plugins --------------------------------------------------------------------------------- */

#define CONFIG_PROVIDERS 64

/* In the order of their coming; none ever goes. Release and acquire: what they point at is
 * complete. */
static _Atomic(const skua_otel_provider *) config_providers[CONFIG_PROVIDERS];

const skua_otel_provider *skua__config_provider(skua_otel_component component, const char *name)
{
    for (size_t i = 0; i < CONFIG_PROVIDERS; i++) {
        const skua_otel_provider *provider =
            atomic_load_explicit(&config_providers[i], memory_order_acquire);

        if (provider == NULL)
            break;
        if (provider->component == component && strcmp(provider->name, name) == 0)
            return provider;
    }
    return NULL;
}

int skua_otel_provide(const skua_otel_provider *provider)
{
    for (size_t i = 0; i < CONFIG_PROVIDERS; i++) {
        const skua_otel_provider *there = NULL;

        if (atomic_compare_exchange_strong_explicit(&config_providers[i], &there, provider,
                                                    memory_order_acq_rel, memory_order_acquire))
            return 0;
        if (there->component == provider->component && strcmp(there->name, provider->name) == 0)
            return -EEXIST;
    }
    return SKUA_ELIMIT;
}

#undef CONFIG_PROVIDERS
