/* config_env.c - OTEL_* variables.
 *
 * An empty variable is one that is not set. What cannot be parsed, or is out of range, is told and
 * then ignored, as if it were not set. Time is in ms.
 *
 *   OTEL_CONFIG_FILE set     the file, and nothing else
 *   OTEL_EXPORTER_OTLP_X     for all signals; OTEL_EXPORTER_OTLP_TRACES_X and so on come before it
 *
 * Source     OpenTelemetry specification 1.60: configuration/sdk-environment-variables,
 *            protocol/exporter.
 */
#include <stdio.h>
#include <strings.h>

#include <skua/propagation.h>
#include <skua/time.h>

#include "otel/config/config_env.h"

#define ENV_MS INT64_C(1000000)

/* ---- values ---------------------------------------------------------------------------------- */

bool skua__env_integer(const struct skua__env *self, const char *name, int64_t min, int64_t max,
                       int64_t *ret)
{
    const char *text = skua__config_get(self->env, name);
    int64_t value;

    if (text == NULL)
        return false;
    if (!skua__config_integer(text, &value) || value < min || value > max) {
        skua__config_say(self->env, "%s: not a number from %lld to %lld; ignored", name,
                         (long long)min, (long long)max);
        return false;
    }
    *ret = value;
    return true;
}

void skua__env_u32(const struct skua__env *self, const char *name, uint32_t min, uint32_t *ret)
{
    int64_t value;

    if (skua__env_integer(self, name, min, INT32_MAX, &value))
        *ret = (uint32_t)value;
}

void skua__env_time(const struct skua__env *self, const char *name, int64_t min, int64_t *ret)
{
    int64_t value;

    if (skua__env_integer(self, name, min, INT64_MAX / SKUA_MILLISECOND, &value))
        *ret = value * SKUA_MILLISECOND;
}

bool skua__env_bool(const struct skua__env *self, const char *name, bool standard)
{
    const char *text = skua__config_get(self->env, name);

    if (text == NULL)
        return standard;
    if (strcasecmp(text, "true") == 0)
        return true;
    if (strcasecmp(text, "false") != 0)
        skua__config_say(self->env, "%s: neither true nor false; taken as false", name);
    return false;
}

int skua__env_choice(const struct skua__env *self, const char *name, const char *const *names)
{
    const char *text = skua__config_get(self->env, name);

    if (text == NULL)
        return -1;
    for (int i = 0; names[i] != NULL; i++)
        if (strcasecmp(text, names[i]) == 0)
            return i;
    skua__config_say(self->env, "%s: \"%.64s\" is not known; ignored", name, text);
    return -1;
}

const char *skua__env_copy(struct skua__env *self, const char *text)
{
    char *copy = skua__config_copy(self->config, text, strlen(text));

    if (copy == NULL)
        self->no_memory = true;
    return copy;
}

const char *skua__env_text(struct skua__env *self, const char *name, const char *standard)
{
    const char *text = skua__config_get(self->env, name);

    return text != NULL ? skua__env_copy(self, text) : standard;
}

/* ---- general --------------------------------------------------------------------------------- */

static void env_level(struct skua__env *self)
{
    const char *text = skua__config_get(self->env, "OTEL_LOG_LEVEL");
    int level;

    if (text == NULL)
        return;
    level = strcasecmp(text, "none") == 0 || strcasecmp(text, "off") == 0 ? 25
            : strcasecmp(text, "warning") == 0                            ? 13
                                               : skua__config_severity(text);
    if (level != 0)
        self->config->log_level = level;
    else
        skua__config_say(self->env, "OTEL_LOG_LEVEL: \"%.64s\" is not known; ignored", text);
}

static void env_propagators(struct skua__env *self)
{
    const char *text = skua__config_get(self->env, "OTEL_PROPAGATORS");

    if (text == NULL)
        return;
    self->config->propagators = skua__env_copy(self, text);
    for (;;) {
        size_t size = strcspn(text, ","), len = size;
        const char *at = skua__config_trim(text, &len);
        char name[32];

        (void)snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 31, at);
        if (len != 0 && strcmp(name, "none") != 0 && skua_propagator_named(name) == NULL)
            skua__config_say(self->env, "OTEL_PROPAGATORS: \"%s\" is not known; ignored", name);
        if (text[size] == '\0')
            return;
        text += size + 1;
    }
}

static void env_resource(struct skua__env *self)
{
    const char *text = skua__config_get(self->env, "OTEL_RESOURCE_ATTRIBUTES");
    const char *service = skua__env_text(self, "OTEL_SERVICE_NAME", NULL);
    struct skua__config_pair *pairs = NULL;
    size_t count = 0, used = 0;
    skua_attr *attrs;
    int rc = 0;

    if (text != NULL)
        rc = skua__config_pairs(self->config, text, &pairs, &count);
    if (rc == -EINVAL) {
        skua__config_say(self->env, "OTEL_RESOURCE_ATTRIBUTES: not \"key=value,…\"; ignored");
        count = 0;
    }
    attrs = skua__config_alloc(self->config, (count + 1) * sizeof *attrs);
    if (rc == -ENOMEM || attrs == NULL) {
        self->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        bool again = service != NULL && strcmp(pairs[i].name, "service.name") == 0;

        for (size_t j = i + 1; j < count; j++) /* the last one counts */
            again = again || strcmp(pairs[i].name, pairs[j].name) == 0;
        if (!again)
            attrs[used++] = skua_attr_str(pairs[i].name, pairs[i].value);
    }
    if (service != NULL)
        attrs[used++] = skua_attr_str("service.name", service);
    self->config->resource.attrs = attrs;
    self->config->resource.attrs_count = used;
}

static void env_operations(struct skua__env *self)
{
    static const char *const names[] = {"off", "metrics", "all", NULL};

    self->config->operations = skua__env_choice(self, "SKUA_OTEL_OPERATIONS", names) + 1;
}

static void env_limits(struct skua__env *self)
{
    struct skua__config_limits *spans = &self->config->span_limits;
    struct skua__config_limits *logs = &self->config->log_limits;

    skua__env_u32(self, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, &spans->value_len);
    skua__env_u32(self, "OTEL_ATTRIBUTE_COUNT_LIMIT", 0, &spans->attrs);
    logs->value_len = spans->value_len;
    logs->attrs = spans->attrs;
    skua__env_u32(self, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, &spans->value_len);
    skua__env_u32(self, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", 0, &spans->attrs);
    skua__env_u32(self, "OTEL_SPAN_EVENT_COUNT_LIMIT", 0, &spans->events);
    skua__env_u32(self, "OTEL_SPAN_LINK_COUNT_LIMIT", 0, &spans->links);
    skua__env_u32(self, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 0, &spans->event_attrs);
    skua__env_u32(self, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", 0, &spans->link_attrs);
    skua__env_u32(self, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0, &logs->value_len);
    skua__env_u32(self, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", 0, &logs->attrs);
}

/* "endpoint=http://host:5778,pollingIntervalMs=5000,initialSamplingRate=0.25" */
static void env_jaeger(struct skua__env *self, const char *arg, struct skua__config_sampler *out)
{
    struct skua__config_pair *pairs = NULL;
    size_t count = 0;
    int rc = arg != NULL ? skua__config_pairs(self->config, arg, &pairs, &count) : 0;
    int64_t ms;

    out->endpoint = "http://localhost:5778";
    out->interval = 60 * ENV_MS * 1000;
    out->ratio = 0.001;
    self->no_memory = self->no_memory || rc == -ENOMEM;
    if (rc == -EINVAL)
        skua__config_say(self->env, "OTEL_TRACES_SAMPLER_ARG: not \"name=value,…\"; ignored");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const char *name = pairs[i].name, *value = pairs[i].value;
        double ratio;

        if (strcmp(name, "endpoint") == 0 && value[0] != '\0')
            out->endpoint = value;
        else if (strcmp(name, "pollingIntervalMs") == 0 && skua__config_integer(value, &ms) &&
                 ms >= 1 && ms <= INT32_MAX)
            out->interval = ms * ENV_MS;
        else if (strcmp(name, "initialSamplingRate") == 0 && skua__config_number(value, &ratio) &&
                 ratio >= 0 && ratio <= 1)
            out->ratio = ratio;
        else
            skua__config_say(self->env, "OTEL_TRACES_SAMPLER_ARG: \"%.40s\" is ignored", name);
    }
}

static void env_sampler(struct skua__env *self)
{
    static const char *const names[] = {"parentbased_always_on",
                                        "always_on",
                                        "always_off",
                                        "traceidratio",
                                        "parentbased_always_off",
                                        "parentbased_traceidratio",
                                        "jaeger_remote",
                                        "parentbased_jaeger_remote",
                                        NULL};
    static const enum skua__config_sampler_kind kinds[] = {
        SKUA__SAMPLER_ALWAYS_ON, SKUA__SAMPLER_ALWAYS_ON,  SKUA__SAMPLER_ALWAYS_OFF,
        SKUA__SAMPLER_RATIO,     SKUA__SAMPLER_ALWAYS_OFF, SKUA__SAMPLER_RATIO,
        SKUA__SAMPLER_JAEGER,    SKUA__SAMPLER_JAEGER};
    int which = skua__env_choice(self, "OTEL_TRACES_SAMPLER", names);
    const char *arg = skua__config_get(self->env, "OTEL_TRACES_SAMPLER_ARG");
    struct skua__config_sampler *samplers;

    if (which <= 0)
        return;
    samplers = skua__config_alloc(self->config, 2 * sizeof *samplers);
    if (samplers == NULL) {
        self->no_memory = true;
        return;
    }
    samplers[0] = (struct skua__config_sampler){.kind = kinds[which], .ratio = 1};
    samplers[1] =
        (struct skua__config_sampler){.kind = SKUA__SAMPLER_PARENT_BASED, .root = &samplers[0]};
    self->config->sampler = &samplers[which >= 4 && which != 6];
    if (kinds[which] == SKUA__SAMPLER_JAEGER)
        env_jaeger(self, arg, &samplers[0]);
    if (kinds[which] != SKUA__SAMPLER_RATIO || arg == NULL)
        return;
    if (!skua__config_number(arg, &samplers[0].ratio) || samplers[0].ratio < 0 ||
        samplers[0].ratio > 1) {
        skua__config_say(self->env, "OTEL_TRACES_SAMPLER_ARG: not a number from 0 to 1; ignored");
        samplers[0].ratio = 1;
    }
}

/* ---- signals --------------------------------------------------------------------------------- */

static void env_batching(struct skua__env *self, const char *prefix,
                         struct skua__config_processor *out)
{
    char name[48];

    (void)snprintf(name, sizeof name, "%s_SCHEDULE_DELAY", prefix);
    skua__env_time(self, name, 0, &out->schedule_delay);
    (void)snprintf(name, sizeof name, "%s_EXPORT_TIMEOUT", prefix);
    skua__env_time(self, name, 0, &out->export_timeout);
    (void)snprintf(name, sizeof name, "%s_MAX_QUEUE_SIZE", prefix);
    skua__env_u32(self, name, 1, &out->max_queue);
    (void)snprintf(name, sizeof name, "%s_MAX_EXPORT_BATCH_SIZE", prefix);
    skua__env_u32(self, name, 1, &out->max_batch);
    if (out->max_batch > out->max_queue) {
        if (skua__config_get(self->env, name) != NULL)
            skua__config_say(self->env, "%s: more than the queue holds; taken as %u", name,
                             out->max_queue);
        out->max_batch = out->max_queue;
    }
}

static void env_processors(struct skua__env *self, skua_otel_signal signal)
{
    bool logs = signal == SKUA_OTEL_LOGS;
    struct skua__config_exporter exporters[SKUA__ENV_EXPORTERS];
    size_t count = skua__env_exporters(self, signal, exporters);
    struct skua__config_processor standard;
    struct skua__config_processor *all =
        skua__config_alloc(self->config, SKUA__ENV_EXPORTERS * sizeof *all);

    if (all == NULL) {
        self->no_memory = true;
        return;
    }
    skua__config_processor_init(&standard, logs);
    env_batching(self, logs ? "OTEL_BLRP" : "OTEL_BSP", &standard);
    for (size_t i = 0; i < count; i++) {
        all[i] = standard;
        all[i].exporter = exporters[i];
        all[i].simple = exporters[i].kind == SKUA__EXPORTER_CONSOLE;
    }
    *(logs ? &self->config->logs : &self->config->spans) = all;
    *(logs ? &self->config->logs_count : &self->config->spans_count) = count;
}

static void env_readers(struct skua__env *self)
{
    static const char *const filters[] = {"trace_based", "always_on", "always_off", NULL};
    struct skua__config_exporter exporters[SKUA__ENV_EXPORTERS];
    size_t count = skua__env_exporters(self, SKUA_OTEL_METRICS, exporters);
    struct skua__config_reader *all =
        skua__config_alloc(self->config, SKUA__ENV_EXPORTERS * sizeof *all);
    int filter = skua__env_choice(self, "OTEL_METRICS_EXEMPLAR_FILTER", filters);

    if (filter >= 0)
        self->config->exemplars = (enum skua__config_exemplars)filter;
    if (all == NULL) {
        self->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        skua__config_reader_init(&all[i]);
        skua__env_time(self, "OTEL_METRIC_EXPORT_INTERVAL", 1, &all[i].interval);
        skua__env_time(self, "OTEL_METRIC_EXPORT_TIMEOUT", 0, &all[i].timeout);
        all[i].exporter = exporters[i];
        all[i].pull = exporters[i].kind == SKUA__EXPORTER_PROMETHEUS;
    }
    self->config->readers = all;
    self->config->readers_count = count;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int env_file(const struct skua__config_env *env, const char *path, skua_otel_config **ret)
{
    skua_otel_config_fault fault;
    int rc = skua__config_from_file(env, path, &fault, ret);

    if (rc < 0 && fault.line != 0)
        skua__config_say(env, "%.80s:%d: %s", path, fault.line, fault.text);
    else if (rc < 0)
        skua__config_say(env, "%.80s: %s", path, fault.text);
    return rc;
}

int skua__config_from_env(const struct skua__config_env *env, skua_otel_config **ret)
{
    const char *path = skua__config_get(env, "OTEL_CONFIG_FILE");
    struct skua__env self = {.env = env};
    int rc;

    *ret = NULL;
    if (path == NULL) {
        path = skua__config_get(env, "OTEL_EXPERIMENTAL_CONFIG_FILE");
        if (path != NULL)
            skua__config_say(env, "OTEL_EXPERIMENTAL_CONFIG_FILE is now OTEL_CONFIG_FILE");
    }
    if (path != NULL) {
        rc = env_file(env, path, ret);
        if (rc == 0) { /* a file has no place for it */
            self.config = *ret;
            env_operations(&self);
        }
        return rc;
    }
    self.config = skua__config_new();
    if (self.config == NULL)
        return -ENOMEM;
    self.config->disabled = skua__env_bool(&self, "OTEL_SDK_DISABLED", false);
    env_level(&self);
    env_propagators(&self);
    env_resource(&self);
    env_limits(&self);
    env_operations(&self);
    env_sampler(&self);
    env_processors(&self, SKUA_OTEL_TRACES);
    env_readers(&self);
    env_processors(&self, SKUA_OTEL_LOGS);
    if (self.no_memory) {
        skua_otel_config_free(self.config);
        return -ENOMEM;
    }
    *ret = self.config;
    return 0;
}

#undef ENV_MS
