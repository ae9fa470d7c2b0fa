/* sdk_exporter.c - an exporter, as a configuration says.
 */
#include <stdio.h>

#include <skua/otel/console.h>
#include <skua/otel/file.h>
#include <skua/otel/otlp.h>
#include <skua/otel/zipkin.h>

#include "otel/sdk/sdk_impl.h"

static int sexport_otlp(const struct skua__config_exporter *config, char *text, size_t size,
                        skua_otel_exporter **ret)
{
    static const skua_otlp_protocol protocols[] = {SKUA_OTLP_HTTP_PROTOBUF, SKUA_OTLP_HTTP_JSON,
                                                   SKUA_OTLP_GRPC};
    skua_http_field *headers = skua__otel_malloc((config->headers_count + 1) * sizeof *headers);
    skua_otlp_options options = {.size = sizeof options,
                                 .protocol = protocols[config->protocol],
                                 .insecure = config->insecure,
                                 .certificate = config->ca_file,
                                 .client_certificate = config->cert_file,
                                 .client_key = config->key_file,
                                 .headers = headers,
                                 .headers_count = config->headers_count,
                                 .compression = config->gzip ? SKUA_OTLP_GZIP : SKUA_OTLP_NONE,
                                 .timeout =
                                     config->timeout != 0 ? config->timeout : INT64_C(1) << 60,
                                 .request_max = (size_t)config->max_request,
                                 .response_max = (size_t)config->max_response,
                                 .error_text = text,
                                 .error_size = size};
    int rc;

    if (headers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < config->headers_count; i++) {
        headers[i].name = config->headers[i].name;
        headers[i].value = config->headers[i].value;
    }
    /* Of the other signals nothing is sent: were theirs the default's, a proxy would not be asked,
     * since they are of this machine. */
    options.traces_endpoint = options.metrics_endpoint = options.logs_endpoint = config->endpoint;
    rc = skua_otlp_exporter_new(ret, &options);
    skua__otel_free(headers);
    return rc;
}

static int sexport_zipkin(const struct skua__config_exporter *config, char *text, size_t size,
                          skua_otel_exporter **ret)
{
    return skua_otel_zipkin_new(
        ret, SKUA_OTEL_ZIPKIN_OPTIONS(.endpoint = config->endpoint,
                                      .timeout =
                                          config->timeout != 0 ? config->timeout : INT64_C(1) << 60,
                                      .error_text = text, .error_size = size));
}

static int sexport_plugin(const struct skua__config_plugin *plugin, skua_otel_signal signal,
                          skua_otel_exporter **ret)
{
    static const skua_otel_component components[] = {
        SKUA_OTEL_SPAN_EXPORTER, SKUA_OTEL_METRIC_EXPORTER, SKUA_OTEL_LOG_EXPORTER};
    const skua_otel_provider *provider =
        plugin->name != NULL ? skua__config_provider(components[signal], plugin->name) : NULL;
    void *made = NULL;
    int rc = provider != NULL ? provider->create(provider, plugin->properties, &made) : -ENOENT;

    *ret = made;
    return rc == 0 && made == NULL ? -EINVAL : rc;
}

int skua__sdk_exporter(const struct skua__config_exporter *config, skua_otel_signal signal,
                       char *text, size_t size, skua_otel_exporter **ret)
{
    const char *path = config->output;

    text[0] = '\0';
    *ret = NULL;
    switch (config->kind) {
    case SKUA__EXPORTER_OTLP:
        return sexport_otlp(config, text, size, ret);
    case SKUA__EXPORTER_OTLP_FILE:
        path = path != NULL && strncmp(path, "file://", 7) == 0 ? path + 7 : NULL;
        return skua_otel_file_new(ret, SKUA_OTEL_FILE_OPTIONS(.path = path));
    case SKUA__EXPORTER_CONSOLE:
        return signal == SKUA_OTEL_LOGS ? skua_otel_log_console_new(ret, NULL)
                                        : skua_otel_console_new(ret, NULL);
    case SKUA__EXPORTER_PLUGIN:
        return sexport_plugin(&config->plugin, signal, ret);
    case SKUA__EXPORTER_ZIPKIN:
        return sexport_zipkin(config, text, size, ret);
    case SKUA__EXPORTER_PROMETHEUS: /* of a reader that pushes */
        break;
    }
    (void)snprintf(text, size, "there is no such exporter");
    return -ENOSYS;
}
