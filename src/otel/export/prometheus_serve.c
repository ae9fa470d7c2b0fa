/* prometheus_serve.c - a page of all metrics, and a server for it.
 */
#include <stdio.h>
#include <stdlib.h>

#include <skua/http/server.h>

#include "otel/export/prometheus_impl.h"

#define PROM_OPEN "application/openmetrics-text"

/* Whether who asks takes OpenMetrics; Prometheus names it first where it wants it. */
static bool prom_accepts(const char *accept)
{
    const char *at = accept != NULL ? strstr(accept, PROM_OPEN) : NULL;
    size_t len;

    if (at == NULL)
        return false;
    len = strcspn(at, ",");
    for (const char *q = at; (q = strstr(q, "q=")) != NULL && q < at + len; q += 2)
        if (strtod(q + 2, NULL) == 0)
            return false;
    return true;
}

int skua_otel_prometheus_handler(skua_http_exchange *exchange, void *prometheus)
{
    const skua_otel_prometheus *self = prometheus;
    bool open = prom_accepts(skua_http_header(exchange, "accept"));
    skua_otel_collected *collected;
    char *text;
    size_t len;
    int rc = skua_otel_collect(self->reader, &collected);

    if (rc != 0)
        return rc == -ENOENT ? skua_http_reply(exchange, 503, "text/plain", "off\n", 4) : rc;
    rc = skua_otel_prometheus_write(self, &collected->batch,
                                    open ? SKUA_OTEL_OPENMETRICS : SKUA_OTEL_PROMETHEUS_TEXT, &text,
                                    &len);
    skua_otel_collected_free(collected);
    if (rc != 0)
        return rc;
    rc = skua_http_reply(exchange, 200,
                         open ? PROM_OPEN "; version=1.0.0; charset=utf-8"
                              : "text/plain; version=0.0.4; charset=utf-8",
                         text != NULL ? text : "", text != NULL ? len : 0);
    skua_otel_prometheus_free(text);
    return rc;
}

int skua_otel_prometheus_serve(skua_otel_prometheus *prometheus, const char *address)
{
    const char *host = getenv("OTEL_EXPORTER_PROMETHEUS_HOST");
    const char *port = getenv("OTEL_EXPORTER_PROMETHEUS_PORT");
    char made[300];

    if (address == NULL) {
        (void)snprintf(made, sizeof made, "%s:%s",
                       host != NULL && *host != '\0' ? host : "localhost",
                       port != NULL && *port != '\0' ? port : "9464");
        address = made;
    }
    return skua_http_serve(address, skua_otel_prometheus_handler, prometheus, NULL);
}

#undef PROM_OPEN
