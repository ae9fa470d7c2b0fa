/* config_env_exporter.c - exporters, as OTEL_* variables say them.
 *
 *   OTEL_EXPORTER_OTLP_ENDPOINT          a base: /v1/traces and so on are put behind its path
 *   OTEL_EXPORTER_OTLP_TRACES_ENDPOINT   as it is; without a path: "/"
 *   gRPC                                 as it is; TLS by its scheme, or by ..._INSECURE without
 *   one
 *
 * Secrets    are the values of headers: no fault says them.
 *
 * Source     OpenTelemetry specification 1.60: protocol/exporter.
 */
#include <stdio.h>
#include <strings.h>

#include "otel/config/config_env.h"

/* ---- OTLP ------------------------------------------------------------------------------------ */

struct env_signal {
    const char *name; /* "TRACES" */
    const char *path; /* "/v1/traces" */
    skua_otel_component made;
};

static const struct env_signal env_signals[] = {
    [SKUA_OTEL_TRACES] = {"TRACES", "/v1/traces", SKUA_OTEL_SPAN_EXPORTER},
    [SKUA_OTEL_METRICS] = {"METRICS", "/v1/metrics", SKUA_OTEL_METRIC_EXPORTER},
    [SKUA_OTEL_LOGS] = {"LOGS", "/v1/logs", SKUA_OTEL_LOG_EXPORTER},
};

/* The name of the signal's variable when it is set, else that of all; in `name`. */
static const char *env_otlp(const struct skua__env *self, const struct env_signal *signal,
                            const char *what, char name[64])
{
    (void)snprintf(name, 64, "OTEL_EXPORTER_OTLP_%s_%s", signal->name, what);
    if (skua__config_get(self->env, name) == NULL)
        (void)snprintf(name, 64, "OTEL_EXPORTER_OTLP_%s", what);
    return name;
}

static bool env_is_url(const char *text)
{
    return (strncasecmp(text, "http://", 7) == 0 && text[7] != '\0') ||
           (strncasecmp(text, "https://", 8) == 0 && text[8] != '\0');
}

/* An endpoint of HTTP, as it is to be used. */
static const char *env_http_endpoint(struct skua__env *self, const struct env_signal *signal,
                                     const char *name, const char *text)
{
    char buf[40];
    const char *path;
    char *copy;
    size_t len;

    (void)snprintf(buf, sizeof buf, "http://localhost:4318%s", signal->path);
    if (text != NULL && !env_is_url(text)) {
        skua__config_say(self->env, "%s: not a URL of http or https; ignored", name);
        text = NULL;
    }
    if (text == NULL)
        return skua__env_copy(self, buf);
    len = strlen(text);
    path = strpbrk(strstr(text, "//") + 2, "/?#");
    if (strcmp(name, "OTEL_EXPORTER_OTLP_ENDPOINT") != 0) { /* the signal's, as it is */
        copy = skua__config_alloc(self->config, len + 2);
        if (copy != NULL)
            (void)snprintf(copy, len + 2, "%s%s", text, path == NULL ? "/" : "");
    } else {
        size_t base = strcspn(text, "?#"), room = len + strlen(signal->path) + 1;
        const char *query = text + base;

        while (text[base - 1] == '/')
            base--;
        copy = skua__config_alloc(self->config, room);
        if (copy != NULL)
            (void)snprintf(copy, room, "%.*s%s%s", (int)base, text, signal->path, query);
    }
    self->no_memory = self->no_memory || copy == NULL;
    return copy;
}

static void env_endpoint(struct skua__env *self, const struct env_signal *signal,
                         struct skua__config_exporter *out)
{
    char name[64];
    const char *text = skua__config_get(self->env, env_otlp(self, signal, "ENDPOINT", name));

    if (out->protocol != SKUA__OTLP_GRPC) {
        out->endpoint = env_http_endpoint(self, signal, name, text);
        return;
    }
    out->endpoint = skua__env_copy(self, text != NULL ? text : "http://localhost:4317");
    text = out->endpoint;
    if (text != NULL && strstr(text, "://") != NULL)
        out->insecure = strncasecmp(text, "https://", 8) != 0;
    else
        out->insecure = skua__env_bool(self, env_otlp(self, signal, "INSECURE", name), false);
}

static void env_headers(struct skua__env *self, const struct env_signal *signal,
                        struct skua__config_exporter *out)
{
    char name[64];
    const char *text = skua__config_get(self->env, env_otlp(self, signal, "HEADERS", name));
    struct skua__config_pair *pairs;
    int rc = text != NULL ? skua__config_pairs(self->config, text, &pairs, &out->headers_count) : 0;

    if (rc == -EINVAL) /* what it says may be a secret */
        skua__config_say(self->env, "%s: not \"name=value,…\"; ignored", name);
    else if (rc < 0)
        self->no_memory = true;
    else if (text != NULL)
        out->headers = pairs;
}

static void env_metric_preferences(struct skua__env *self, struct skua__config_exporter *out)
{
    static const char *const temporalities[] = {"cumulative", "delta", "lowmemory", NULL};
    static const char *const histograms[] = {"explicit_bucket_histogram",
                                             "base2_exponential_bucket_histogram", NULL};
    int which =
        skua__env_choice(self, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporalities);

    if (which >= 0)
        out->temporality = (enum skua__config_temporality)which;
    out->exponential =
        skua__env_choice(self, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                         histograms) == 1;
}

static void env_otlp_exporter(struct skua__env *self, skua_otel_signal which,
                              struct skua__config_exporter *out)
{
    static const char *const protocols[] = {"http/protobuf", "http/json", "grpc", NULL};
    static const char *const compressions[] = {"none", "gzip", NULL};
    const struct env_signal *signal = &env_signals[which];
    char name[64];
    int choice = skua__env_choice(self, env_otlp(self, signal, "PROTOCOL", name), protocols);

    out->kind = SKUA__EXPORTER_OTLP;
    out->protocol = choice >= 0 ? (enum skua__config_protocol)choice : SKUA__OTLP_HTTP_PROTOBUF;
    env_endpoint(self, signal, out);
    out->ca_file = skua__env_text(self, env_otlp(self, signal, "CERTIFICATE", name), NULL);
    out->key_file = skua__env_text(self, env_otlp(self, signal, "CLIENT_KEY", name), NULL);
    out->cert_file = skua__env_text(self, env_otlp(self, signal, "CLIENT_CERTIFICATE", name), NULL);
    env_headers(self, signal, out);
    out->gzip =
        skua__env_choice(self, env_otlp(self, signal, "COMPRESSION", name), compressions) == 1;
    skua__env_time(self, env_otlp(self, signal, "TIMEOUT", name), 0, &out->timeout);
    if (which == SKUA_OTEL_METRICS)
        env_metric_preferences(self, out);
}

/* ---- exporters ------------------------------------------------------------------------------- */

static bool env_exporter(struct skua__env *self, skua_otel_signal signal, const char *name,
                         struct skua__config_exporter *out)
{
    if (strcasecmp(name, "otlp") == 0) {
        env_otlp_exporter(self, signal, out);
    } else if (strcasecmp(name, "otlp/stdout") == 0) {
        out->kind = SKUA__EXPORTER_OTLP_FILE;
    } else if (strcasecmp(name, "console") == 0 || strcasecmp(name, "logging") == 0) {
        out->kind = SKUA__EXPORTER_CONSOLE;
    } else if (strcasecmp(name, "zipkin") == 0 && signal == SKUA_OTEL_TRACES) {
        out->kind = SKUA__EXPORTER_ZIPKIN;
        out->endpoint = skua__env_text(self, "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
                                       "http://localhost:9411/api/v2/spans");
        skua__env_time(self, "OTEL_EXPORTER_ZIPKIN_TIMEOUT", 0, &out->timeout);
    } else if (strcasecmp(name, "prometheus") == 0 && signal == SKUA_OTEL_METRICS) {
        int64_t port = out->port;

        out->kind = SKUA__EXPORTER_PROMETHEUS;
        out->host = skua__env_text(self, "OTEL_EXPORTER_PROMETHEUS_HOST", out->host);
        (void)skua__env_integer(self, "OTEL_EXPORTER_PROMETHEUS_PORT", 0, UINT16_MAX, &port);
        out->port = (uint16_t)port;
    } else {
        const skua_otel_provider *provider = skua__config_provider(env_signals[signal].made, name);

        if (provider == NULL)
            return false;
        out->kind = SKUA__EXPORTER_PLUGIN;
        out->plugin.name = provider->name; /* static */
    }
    return true;
}

size_t skua__env_exporters(struct skua__env *self, skua_otel_signal signal,
                           struct skua__config_exporter out[SKUA__ENV_EXPORTERS])
{
    char variable[32], seen[SKUA__ENV_EXPORTERS][16];
    const char *text;
    size_t count = 0;
    bool none = false;

    (void)snprintf(variable, sizeof variable, "OTEL_%s_EXPORTER", env_signals[signal].name);
    text = skua__config_get(self->env, variable);
    while (text != NULL && count < SKUA__ENV_EXPORTERS) {
        size_t size = strcspn(text, ","), len = size;
        const char *at = skua__config_trim(text, &len);
        bool again = false;

        (void)snprintf(seen[count], sizeof seen[0], "%.*s", len < 16 ? (int)len : 15, at);
        for (size_t i = 0; i < count; i++)
            again = again || strcasecmp(seen[i], seen[count]) == 0;
        skua__config_exporter_init(&out[count]);
        if (strcasecmp(seen[count], "none") == 0)
            none = true;
        else if (len != 0 && !again && env_exporter(self, signal, seen[count], &out[count]))
            count++;
        else if (len != 0 && !again)
            skua__config_say(self->env, "%s: \"%s\" is not known; ignored", variable, seen[count]);
        text = text[size] == '\0' ? NULL : text + size + 1;
    }
    if (none && count != 0)
        skua__config_say(self->env, "%s: \"none\" beside others; taken as none", variable);
    if (none)
        return 0;
    if (count != 0)
        return count;
    skua__config_exporter_init(&out[0]);
    env_otlp_exporter(self, signal, &out[0]);
    return 1;
}
