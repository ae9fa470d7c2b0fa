/* yaml_model.c - the root of a file, and what its providers say.
 *
 * A provider that is not there exports nothing; without `propagator` nothing travels: a file says
 * all, and nothing is added to it. attribute_limits hold where a provider's own do not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skua/propagation.h>

#include "otel/yaml/yaml_impl.h"

#define CONFIG skua_otel_config
#define LIMITS struct skua__config_limits
#define PROCESSOR struct skua__config_processor
#define SCOPE struct skua__config_scope

#define MODEL_FILE (4 << 20) /* bytes */

/* ---- small parts ----------------------------------------------------------------------------- */

bool skua__yaml_severity(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    int severity = node->kind == SKUA__YAML_STR ? skua__config_severity(node->text) : 0;

    if (severity == 0)
        return skua__yaml_fail(self, node->line, "%.80s: no severity", node->key);
    *(int *)out = severity;
    return true;
}

static bool model_limits(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW("attribute_value_length_limit", U32, LIMITS, value_len),
        SKUA__ROW_MIN("attribute_value_depth_limit", U32, LIMITS, value_depth, 1),
        SKUA__ROW("attribute_count_limit", U32, LIMITS, attrs), SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool model_span_limits(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW("attribute_value_length_limit", U32, LIMITS, value_len),
        SKUA__ROW_MIN("attribute_value_depth_limit", U32, LIMITS, value_depth, 1),
        SKUA__ROW("attribute_count_limit", U32, LIMITS, attrs),
        SKUA__ROW("event_count_limit", U32, LIMITS, events),
        SKUA__ROW("link_count_limit", U32, LIMITS, links),
        SKUA__ROW("event_attribute_count_limit", U32, LIMITS, event_attrs),
        SKUA__ROW("link_attribute_count_limit", U32, LIMITS, link_attrs),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool model_scope(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW("enabled", NOT, SCOPE, disabled),
        SKUA__ROW_PART("minimum_severity", SCOPE, minimum_severity, skua__yaml_severity),
        SKUA__ROW("trace_based", BOOL, SCOPE, trace_based), SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool model_named_scope(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        {"name", SKUA__FIELD_STR, offsetof(SCOPE, name), 0, NULL, NULL, true},
        SKUA__ROW_MUST("config", model_scope),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

bool skua__yaml_scopes(struct skua__yaml *self, const skua_otel_properties *node, const char *list,
                       struct skua__config_scopes *out)
{
    if (node->kind != SKUA__YAML_MAP)
        return skua__yaml_fail(self, node->line, "%s: not a mapping", node->key);
    for (size_t i = 0; i < node->count; i++) {
        const skua_otel_properties *member = &node->at[i];
        const void *at;
        bool good = member->kind == SKUA__YAML_NULL;

        if (!good && strcmp(member->key, "default_config") == 0) {
            good = model_scope(self, member, &out->all);
        } else if (!good && strcmp(member->key, list) == 0) {
            good =
                skua__yaml_each(self, member, sizeof(SCOPE), model_named_scope, &at, &out->count);
            out->at = good ? at : NULL;
        }
        if (!good)
            return skua__yaml_fail(self, member->line, "%.80s: not known", member->key);
    }
    return true;
}

/* ---- propagators ----------------------------------------------------------------------------- */

static bool model_propagator_add(struct skua__yaml *self, int line, const char *name, size_t len)
{
    const char *old = self->config->propagators;
    size_t size = strlen(old) + len + 2;
    char *text = skua__yaml_alloc(self, size), *added;

    if (text == NULL)
        return false;
    (void)snprintf(text, size, "%s%s%.*s", old, *old != '\0' ? "," : "", (int)len, name);
    added = text + strlen(old) + (*old != '\0');
    if (strcmp(added, "none") != 0 && skua_propagator_named(added) == NULL)
        return skua__yaml_fail(self, line, "%.80s: no propagator that is known", added);
    self->config->propagators = text;
    return true;
}

static bool model_composite(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    (void)out;
    if (node->kind != SKUA__YAML_SEQ || node->count == 0)
        return skua__yaml_fail(self, node->line, "composite: not a list, or nothing in it");
    for (size_t i = 0; i < node->count; i++) {
        const skua_otel_properties *one = skua__yaml_one(self, &node->at[i]);

        if (one == NULL || !skua__yaml_empty(self, one) ||
            !model_propagator_add(self, one->line, one->key, strlen(one->key)))
            return false;
    }
    return true;
}

static bool model_composite_list(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    const char *text = node->text;

    (void)out;
    if (node->kind != SKUA__YAML_STR)
        return skua__yaml_fail(self, node->line, "composite_list: not text");
    for (;;) {
        size_t size = strcspn(text, ","), len = size;
        const char *name = skua__config_trim(text, &len);

        if (len != 0 && !model_propagator_add(self, node->line, name, len))
            return false;
        if (text[size] == '\0')
            return true;
        text += size + 1;
    }
}

static bool model_propagator(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_ANY("composite", model_composite),
        SKUA__ROW_ANY("composite_list", model_composite_list), SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

/* ---- processors ------------------------------------------------------------------------------ */

static bool model_span_exporter(struct skua__yaml *self, const skua_otel_properties *node,
                                void *out)
{
    return skua__yaml_exporter(self, node, SKUA_OTEL_TRACES, &((PROCESSOR *)out)->exporter);
}

static bool model_log_exporter(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    return skua__yaml_exporter(self, node, SKUA_OTEL_LOGS, &((PROCESSOR *)out)->exporter);
}

/* Both tables begin with the exporter, and go on with what only batches have. */
static bool model_processor(struct skua__yaml *self, const skua_otel_properties *node, bool logs,
                            PROCESSOR *out)
{
    const struct skua__yaml_field batch[] = {
        SKUA__ROW_MUST("exporter", logs ? model_log_exporter : model_span_exporter),
        SKUA__ROW("schedule_delay", MS, PROCESSOR, schedule_delay),
        SKUA__ROW("export_timeout", MS, PROCESSOR, export_timeout),
        SKUA__ROW_MIN("max_queue_size", U32, PROCESSOR, max_queue, 1),
        SKUA__ROW_MIN("max_export_batch_size", U32, PROCESSOR, max_batch, 1),
        SKUA__ROW_END};
    const struct skua__yaml_field simple[] = {batch[0], SKUA__ROW_END};
    const skua_otel_properties *one = skua__yaml_one(self, node);

    if (one == NULL)
        return false;
    skua__config_processor_init(out, logs);
    if (strcmp(one->key, "simple") == 0) {
        out->simple = true;
        return skua__yaml_map(self, one, simple, out);
    }
    if (strcmp(one->key, "batch") == 0) {
        if (!skua__yaml_map(self, one, batch, out))
            return false;
        if (out->max_batch > out->max_queue)
            out->max_batch = out->max_queue;
        return true;
    }
    if (logs && strcmp(one->key, "event_to_span_event_bridge/development") == 0) {
        out->event_bridge = true;
        return skua__yaml_empty(self, one);
    }
    return skua__yaml_plugin(self, one, logs ? SKUA_OTEL_LOG_PROCESSOR : SKUA_OTEL_SPAN_PROCESSOR,
                             &out->plugin);
}

static bool model_span_processor(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    return model_processor(self, node, false, out);
}

static bool model_log_processor(struct skua__yaml *self, const skua_otel_properties *node,
                                void *out)
{
    return model_processor(self, node, true, out);
}

/* ---- providers ------------------------------------------------------------------------------- */

static bool model_span_processors(struct skua__yaml *self, const skua_otel_properties *node,
                                  void *out)
{
    CONFIG *config = out;
    const void *at;

    if (!skua__yaml_each(self, node, sizeof(PROCESSOR), model_span_processor, &at,
                         &config->spans_count))
        return false;
    config->spans = at;
    return true;
}

static bool model_log_processors(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    CONFIG *config = out;
    const void *at;

    if (!skua__yaml_each(self, node, sizeof(PROCESSOR), model_log_processor, &at,
                         &config->logs_count))
        return false;
    config->logs = at;
    return true;
}

static bool model_tracers(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    return skua__yaml_scopes(self, node, "tracers", out);
}

static bool model_loggers(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    return skua__yaml_scopes(self, node, "loggers", out);
}

static bool model_ids(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    const skua_otel_properties *one = skua__yaml_one(self, node);

    (void)out;
    if (one == NULL)
        return false;
    return strcmp(one->key, "random") == 0
               ? skua__yaml_empty(self, one)
               : skua__yaml_fail(self, one->line, "%.80s: not known", one->key);
}

static bool model_tracer_provider(struct skua__yaml *self, const skua_otel_properties *node,
                                  void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_MUST("processors", model_span_processors),
        SKUA__ROW_PART("limits", CONFIG, span_limits, model_span_limits),
        SKUA__ROW_PART("sampler", CONFIG, sampler, skua__yaml_sampler),
        SKUA__ROW_ANY("id_generator", model_ids),
        SKUA__ROW_PART("tracer_configurator/development", CONFIG, tracers, model_tracers),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool model_logger_provider(struct skua__yaml *self, const skua_otel_properties *node,
                                  void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_MUST("processors", model_log_processors),
        SKUA__ROW_PART("limits", CONFIG, log_limits, model_limits),
        SKUA__ROW_PART("logger_configurator/development", CONFIG, loggers, model_loggers),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

/* ---- the root -------------------------------------------------------------------------------- */

static bool model_format(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    (void)out;
    if (node->kind != SKUA__YAML_STR || strncmp(node->text, "1.", 2) != 0)
        return skua__yaml_fail(self, node->line, "file_format: not \"1.1\"");
    if (strcmp(node->text, "1.0") != 0 && strcmp(node->text, "1.1") != 0)
        skua__config_say(self->env, "file_format %.16s is newer than 1.1", node->text);
    return true;
}

static bool model_skip(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    (void)self;
    (void)node;
    (void)out;
    return true;
}

static const struct skua__yaml_field model_root[] = {
    SKUA__ROW_MUST("file_format", model_format),
    SKUA__ROW("disabled", BOOL, CONFIG, disabled),
    SKUA__ROW_PART("log_level", CONFIG, log_level, skua__yaml_severity),
    SKUA__ROW_ANY("attribute_limits", model_skip),
    SKUA__ROW_ANY("resource", skua__yaml_resource),
    SKUA__ROW_ANY("propagator", model_propagator),
    SKUA__ROW_ANY("tracer_provider", model_tracer_provider),
    SKUA__ROW_ANY("meter_provider", skua__yaml_meter_provider),
    SKUA__ROW_ANY("logger_provider", model_logger_provider),
    SKUA__ROW_ANY("instrumentation/development", model_skip),
    SKUA__ROW_ANY("distribution", model_skip),
    SKUA__ROW_END};

static bool model_read(struct skua__yaml *self, const skua_otel_properties *root)
{
    const skua_otel_properties *limits;

    if (root->kind != SKUA__YAML_MAP)
        return skua__yaml_fail(self, root->line, "not a mapping");
    /* The others' limits may stand before these, and count more. */
    if (skua_otel_properties_child(root, "attribute_limits", &limits) == 0) {
        if (!model_limits(self, limits, &self->config->span_limits))
            return false;
        self->config->log_limits = self->config->span_limits;
    }
    return skua__yaml_map(self, root, model_root, self->config);
}

int skua__config_from_text(const struct skua__config_env *env, const char *text, size_t len,
                           skua_otel_config_fault *fault, skua_otel_config **ret)
{
    skua_otel_config_fault own;
    struct skua__yaml self = {.env = env, .fault = fault != NULL ? fault : &own};
    const skua_otel_properties *root;

    *ret = NULL;
    *self.fault = (skua_otel_config_fault){.line = 0};
    self.config = skua__config_new();
    if (self.config == NULL)
        return -ENOMEM;
    self.config->from_file = true;
    self.config->propagators = "";
    self.config->resource.detectors = 0;
    root = skua__yaml_tree(&self, text, len);
    if (root == NULL || !model_read(&self, root)) {
        skua_otel_config_free(self.config);
        return self.rc != 0 ? self.rc : -EINVAL;
    }
    *ret = self.config;
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool model_is_yaml(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* All of it; bytes, or an error. */
static int64_t model_load(int fd, char *text, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t n = read(fd, text + used, size - used);

        if (n == 0)
            return (int64_t)used;
        if (n < 0 && errno != EINTR)
            return -errno;
        used += n > 0 ? (size_t)n : 0;
    }
    return -EFBIG;
}

int skua__config_from_file(const struct skua__config_env *env, const char *path,
                           skua_otel_config_fault *fault, skua_otel_config **ret)
{
    skua_otel_config_fault own;
    char *text = NULL;
    int64_t len;
    int fd;

    *ret = NULL;
    fault = fault != NULL ? fault : &own;
    *fault = (skua_otel_config_fault){.line = 0};
    if (!model_is_yaml(path)) {
        (void)snprintf(fault->text, sizeof fault->text, "not called .yaml or .yml");
        return -EINVAL;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    len = fd < 0 ? -errno : 0;
    if (len == 0) {
        text = skua__otel_raw(MODEL_FILE);
        len = text != NULL ? model_load(fd, text, MODEL_FILE) : -ENOMEM;
    }
    if (fd >= 0)
        (void)close(fd);
    if (len < 0)
        (void)snprintf(fault->text, sizeof fault->text, "%s", skua_strerror(len));
    else
        len = skua__config_from_text(env, text, (size_t)len, fault, ret);
    skua__otel_free(text);
    return (int)len;
}

#undef CONFIG
#undef LIMITS
#undef PROCESSOR
#undef SCOPE
#undef MODEL_FILE
