/* yaml_exporter.c - exporters: otlp_http, otlp_grpc, otlp_file, console, prometheus, plugins.
 *
 * The values of headers are secret: no fault says them.
 */
#include <stdio.h>
#include <strings.h>

#include "otel/yaml/yaml_impl.h"

#define EXPORTER struct skua__config_exporter

/* ---- members --------------------------------------------------------------------------------- */

static bool exporter_tls(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field http[] = {SKUA__ROW("ca_file", STR, EXPORTER, ca_file),
                                                   SKUA__ROW("key_file", STR, EXPORTER, key_file),
                                                   SKUA__ROW("cert_file", STR, EXPORTER, cert_file),
                                                   SKUA__ROW_END};
    static const struct skua__yaml_field grpc[] = {SKUA__ROW("ca_file", STR, EXPORTER, ca_file),
                                                   SKUA__ROW("key_file", STR, EXPORTER, key_file),
                                                   SKUA__ROW("cert_file", STR, EXPORTER, cert_file),
                                                   SKUA__ROW("insecure", BOOL, EXPORTER, insecure),
                                                   SKUA__ROW_END};

    return skua__yaml_map(self, node, ((EXPORTER *)out)->protocol == SKUA__OTLP_GRPC ? grpc : http,
                          out);
}

/* Adds headers to those that are there; of two with a name those of `headers` count. */
static bool yaml_exporter_add(struct skua__yaml *self, EXPORTER *out,
                              const struct skua__config_pair *pairs, size_t count, bool win)
{
    const struct skua__config_pair *first = win ? pairs : out->headers;
    const struct skua__config_pair *second = win ? out->headers : pairs;
    size_t first_count = win ? count : out->headers_count, used;
    size_t second_count = win ? out->headers_count : count;
    struct skua__config_pair *all =
        skua__yaml_alloc(self, (first_count + second_count + 1) * sizeof *all);

    if (all == NULL)
        return false;
    if (first_count != 0)
        memcpy(all, first, first_count * sizeof *all);
    used = first_count;
    for (size_t i = 0; i < second_count; i++) {
        bool again = false;

        for (size_t j = 0; j < first_count; j++)
            again = again || strcasecmp(first[j].name, second[i].name) == 0;
        if (!again)
            all[used++] = second[i];
    }
    out->headers = all;
    out->headers_count = used;
    return true;
}

static bool exporter_header(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        {"name", SKUA__FIELD_STR, offsetof(struct skua__config_pair, name), 0, NULL, NULL, true},
        SKUA__ROW("value", STR, struct skua__config_pair, value),
        SKUA__ROW_END};

    ((struct skua__config_pair *)out)->value = "";
    return skua__yaml_map(self, node, fields, out);
}

static bool exporter_headers(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    const void *pairs;
    size_t count;

    return skua__yaml_each(self, node, sizeof(struct skua__config_pair), exporter_header, &pairs,
                           &count) &&
           yaml_exporter_add(self, out, pairs, count, true);
}

static bool exporter_headers_list(struct skua__yaml *self, const skua_otel_properties *node,
                                  void *out)
{
    struct skua__config_pair *pairs;
    size_t count;
    int rc = node->kind == SKUA__YAML_STR
                 ? skua__config_pairs(self->config, node->text, &pairs, &count)
                 : -EINVAL;

    if (rc == -ENOMEM)
        return skua__yaml_no_memory(self);
    if (rc < 0)
        return skua__yaml_fail(self, node->line, "headers_list: not \"name=value,…\"");
    return yaml_exporter_add(self, out, pairs, count, false);
}

static bool exporter_compression(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    if (node->kind != SKUA__YAML_STR ||
        (strcmp(node->text, "gzip") != 0 && strcmp(node->text, "none") != 0))
        return skua__yaml_fail(self, node->line, "compression: neither gzip nor none");
    ((EXPORTER *)out)->gzip = *node->text == 'g';
    return true;
}

static bool exporter_histogram(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    if (node->kind != SKUA__YAML_STR ||
        (strcmp(node->text, "explicit_bucket_histogram") != 0 &&
         strcmp(node->text, "base2_exponential_bucket_histogram") != 0))
        return skua__yaml_fail(self, node->line, "%s: not known", node->key);
    ((EXPORTER *)out)->exponential = *node->text == 'b';
    return true;
}

static bool exporter_output(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    if (node->kind != SKUA__YAML_STR ||
        (strcmp(node->text, "stdout") != 0 && strncmp(node->text, "file://", 7) != 0))
        return skua__yaml_fail(self, node->line, "output_stream: neither stdout nor file://");
    ((EXPORTER *)out)->output = node->text;
    return true;
}

static bool exporter_port(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    if (node->kind != SKUA__YAML_INT || node->i64 < 0 || node->i64 > UINT16_MAX)
        return skua__yaml_fail(self, node->line, "port: not a number from 0 to 65535");
    ((EXPORTER *)out)->port = (uint16_t)node->i64;
    return true;
}

static bool exporter_labels(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    ((EXPORTER *)out)->has_constant_labels = true;
    return skua__yaml_filter(self, node, &((EXPORTER *)out)->constant_labels);
}

static bool exporter_translation(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    static const char *const names[] = {
        "underscore_escaping_with_suffixes", "underscore_escaping_without_suffixes/development",
        "no_utf8_escaping_with_suffixes/development", "no_translation/development"};
    EXPORTER *exporter = out;

    for (size_t i = 0; node->kind == SKUA__YAML_STR && i < 4; i++)
        if (strcmp(node->text, names[i]) == 0) {
            exporter->no_suffixes = i % 2 != 0;
            exporter->no_escaping = i >= 2;
            return true;
        }
    return skua__yaml_fail(self, node->line, "%s: not known", node->key);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static const char *const exporter_encodings[] = {"protobuf", "json", NULL};
static const char *const exporter_temporalities[] = {"cumulative", "delta", "low_memory", NULL};

/* Those of metrics stand first: the others' table begins behind them. */
static const struct skua__yaml_field exporter_http[] = {
    SKUA__ROW_ENUM("temporality_preference", EXPORTER, temporality, exporter_temporalities),
    SKUA__ROW_ANY("default_histogram_aggregation", exporter_histogram),
    SKUA__ROW_ENUM("encoding", EXPORTER, protocol, exporter_encodings),
    SKUA__ROW("endpoint", STR, EXPORTER, endpoint),
    SKUA__ROW_ANY("tls", exporter_tls),
    SKUA__ROW_ANY("headers", exporter_headers),
    SKUA__ROW_ANY("headers_list", exporter_headers_list),
    SKUA__ROW_ANY("compression", exporter_compression),
    SKUA__ROW("max_request_size", I64, EXPORTER, max_request),
    SKUA__ROW_MIN("max_response_size", I64, EXPORTER, max_response, 1),
    SKUA__ROW("timeout", MS, EXPORTER, timeout),
    SKUA__ROW_END};

static const struct skua__yaml_field exporter_grpc[] = {
    SKUA__ROW_ENUM("temporality_preference", EXPORTER, temporality, exporter_temporalities),
    SKUA__ROW_ANY("default_histogram_aggregation", exporter_histogram),
    SKUA__ROW("endpoint", STR, EXPORTER, endpoint),
    SKUA__ROW_ANY("tls", exporter_tls),
    SKUA__ROW_ANY("headers", exporter_headers),
    SKUA__ROW_ANY("headers_list", exporter_headers_list),
    SKUA__ROW_ANY("compression", exporter_compression),
    SKUA__ROW("max_request_size", I64, EXPORTER, max_request),
    SKUA__ROW_MIN("max_response_size", I64, EXPORTER, max_response, 1),
    SKUA__ROW("timeout", MS, EXPORTER, timeout),
    SKUA__ROW_END};

static const struct skua__yaml_field exporter_file[] = {
    SKUA__ROW_ENUM("temporality_preference", EXPORTER, temporality, exporter_temporalities),
    SKUA__ROW_ANY("default_histogram_aggregation", exporter_histogram),
    SKUA__ROW_ANY("output_stream", exporter_output), SKUA__ROW_END};

static const struct skua__yaml_field exporter_console[] = {
    SKUA__ROW_ENUM("temporality_preference", EXPORTER, temporality, exporter_temporalities),
    SKUA__ROW_ANY("default_histogram_aggregation", exporter_histogram), SKUA__ROW_END};

static const struct skua__yaml_field exporter_prometheus[] = {
    SKUA__ROW("host", STR, EXPORTER, host),
    SKUA__ROW_ANY("port", exporter_port),
    SKUA__ROW("scope_info_enabled", NOT, EXPORTER, no_scope_info),
    SKUA__ROW("target_info_enabled/development", NOT, EXPORTER, no_target_info),
    SKUA__ROW_ANY("resource_constant_labels", exporter_labels),
    SKUA__ROW_ANY("translation_strategy", exporter_translation),
    SKUA__ROW_END};

static bool exporter_read(struct skua__yaml *self, const skua_otel_properties *node,
                          skua_otel_signal signal, const struct skua__yaml_field *fields,
                          EXPORTER *out)
{
    return skua__yaml_map(self, node, signal == SKUA_OTEL_METRICS ? fields : fields + 2, out);
}

bool skua__yaml_exporter(struct skua__yaml *self, const skua_otel_properties *node,
                         skua_otel_signal signal, EXPORTER *out)
{
    static const char *const endpoints[] = {"http://localhost:4318/v1/traces",
                                            "http://localhost:4318/v1/metrics",
                                            "http://localhost:4318/v1/logs"};
    const skua_otel_properties *one = skua__yaml_one(self, node);

    skua__config_exporter_init(out);
    if (one == NULL)
        return false;
    if (strcmp(one->key, "otlp_http") == 0) {
        out->endpoint = endpoints[signal];
        return exporter_read(self, one, signal, exporter_http, out);
    }
    if (strcmp(one->key, "otlp_grpc") == 0) {
        out->protocol = SKUA__OTLP_GRPC;
        out->endpoint = "http://localhost:4317";
        if (!exporter_read(self, one, signal, exporter_grpc, out))
            return false;
        if (strstr(out->endpoint, "://") != NULL) /* the scheme says it */
            out->insecure = strncasecmp(out->endpoint, "https://", 8) != 0;
        return true;
    }
    if (strcmp(one->key, "otlp_file/development") == 0) {
        out->kind = SKUA__EXPORTER_OTLP_FILE;
        return exporter_read(self, one, signal, exporter_file, out);
    }
    if (strcmp(one->key, "console") == 0) {
        out->kind = SKUA__EXPORTER_CONSOLE;
        return exporter_read(self, one, signal, exporter_console, out);
    }
    out->kind = SKUA__EXPORTER_PLUGIN;
    return skua__yaml_plugin(self, one,
                             signal == SKUA_OTEL_TRACES    ? SKUA_OTEL_SPAN_EXPORTER
                             : signal == SKUA_OTEL_METRICS ? SKUA_OTEL_METRIC_EXPORTER
                                                           : SKUA_OTEL_LOG_EXPORTER,
                             &out->plugin);
}

bool skua__yaml_pull_exporter(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    const skua_otel_properties *one = skua__yaml_one(self, node);
    EXPORTER *exporter = out;

    skua__config_exporter_init(exporter);
    exporter->kind = SKUA__EXPORTER_PROMETHEUS;
    if (one == NULL)
        return false;
    if (strcmp(one->key, "prometheus/development") == 0)
        return skua__yaml_map(self, one, exporter_prometheus, out);
    exporter->kind = SKUA__EXPORTER_PLUGIN;
    return skua__yaml_plugin(self, one, SKUA_OTEL_METRIC_EXPORTER, &exporter->plugin);
}

#undef EXPORTER
