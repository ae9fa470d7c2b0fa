/* prometheus.h - metrics for Prometheus, which comes and gets them.
 *
 *     skua_otel_prometheus page = {.reader = reader};
 *
 *     skua_http_route(router, "GET", "/metrics", skua_otel_prometheus_handler, &page);
 *     skua_otel_prometheus_serve(&page, NULL);     -- or a server for nothing else
 *
 * Formats    the text format 0.0.4, or OpenMetrics 1.0 for who accepts it; exemplars are in the
 *            second alone.
 * Names      what Prometheus does not take becomes "_"; the unit in words and, for counters,
 *            "_total" stand at the end.
 * Kinds      sums that only grow are counters, others are gauges; exponential buckets become ones
 *            with bounds. The reader must be cumulative: deltas are left out.
 *
 * Source     OpenTelemetry specification 1.60, compatibility/prometheus_and_openmetrics;
 *            OpenMetrics 1.0.
 */
#ifndef SKUA_OTEL_PROMETHEUS_H
#define SKUA_OTEL_PROMETHEUS_H

#include <skua/http/exchange.h>
#include <skua/otel/reader.h>

SKUA_C_BEGIN

/* The caller's memory, as long as it is used. */
typedef struct skua_otel_prometheus {
    skua_otel_reader *reader; /* of skua_otel_prometheus_handler; cumulative */
    unsigned without_scope;   /* 1: no labels otel_scope_… */
    unsigned without_units;   /* 1: no unit in names */
    unsigned without_total;   /* 1: no _total at counters (OpenMetrics has it in any case) */
    unsigned without_target;  /* 1: no target_info */
} skua_otel_prometheus;

typedef enum skua_otel_prometheus_format {
    SKUA_OTEL_PROMETHEUS_TEXT, /* 0.0.4 */
    SKUA_OTEL_OPENMETRICS      /* 1.0 */
} skua_otel_prometheus_format;

/* Writes a batch of metrics as text.
 *
 * ret        receives the text, with a NUL; to be freed by skua_otel_prometheus_free
 * len        receives its length; NULL: not wanted
 * Returns    0, -ENOMEM, -EINVAL: a batch of another signal
 * Threads    any
 * Since      0.4
 */
SKUA_API SKUA_NODISCARD int skua_otel_prometheus_write(const skua_otel_prometheus *options,
                                                       const skua_otel_batch *batch,
                                                       skua_otel_prometheus_format format,
                                                       char **ret, size_t *len);

/* Frees such a text; NULL: nothing.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_prometheus_free(char *text);

/* Answers a request with all metrics as they are now: an HTTP handler.
 *
 * prometheus  a skua_otel_prometheus
 * Returns    as a handler
 * Threads    the handler's
 * Since      0.4
 */
SKUA_API int skua_otel_prometheus_handler(skua_http_exchange *exchange, void *prometheus);

/* Serves them at every path until the task is cancelled.
 *
 * address    "host:port"; NULL: OTEL_EXPORTER_PROMETHEUS_HOST and _PORT, else localhost:9464
 * Returns    as skua_http_serve
 * Threads    fibers
 * Since      0.4
 */
SKUA_API int skua_otel_prometheus_serve(skua_otel_prometheus *prometheus, const char *address);

SKUA_C_END

#endif
