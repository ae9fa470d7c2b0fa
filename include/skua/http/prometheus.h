/* prometheus.h - what a server does, for Prometheus: a layer that counts, and a page that tells.
 *
 *     static skua_http_metrics *metrics;
 *
 *     skua_http_metrics_new(&metrics, NULL);
 *     skua_http_metrics_add_runtime(metrics, skua_runtime_current());
 *     skua_http_metrics_add_server(metrics, "web", server);
 *     skua_http_route(router, "GET", "/metrics", skua_http_prometheus, metrics);
 *     skua_http_layer around[] = {{skua_http_metrics_layer, metrics}};   -- around the router
 *
 * What the layer counts, for each method, pattern of a route and class of status ("2xx"):
 *
 *     http_server_requests_total                        how many have ended
 *     http_server_request_duration_seconds              a histogram, of the handler's time
 *     http_server_request_body_bytes_total              read by handlers
 *     http_server_response_body_bytes_total             sent
 *     http_server_responses_broken_total                responses that are not whole
 *     http_server_requests_in_flight                    now, all together
 *
 * A request that no route has matched has an empty route. Beyond series_max different ones, all
 * others are counted together, with the route and method "other": what clients send cannot make
 * more series than that.
 *
 * Cost       of a request: some ten additions without a lock, to counters that only some threads
 *            share. The page reads them while they change: each is right, not all of one instant.
 * Memory     1 KiB for each series.
 * Formats    Prometheus' text 0.0.4, and OpenMetrics 1.0 for who accepts it.
 *
 * Source     prometheus.io/docs/instrumenting/exposition_formats; OpenMetrics 1.0; the boundaries
 *            of OpenTelemetry's http.server.request.duration.
 */
#ifndef SKUA_HTTP_PROMETHEUS_H
#define SKUA_HTTP_PROMETHEUS_H

#include <skua/http/client.h>
#include <skua/http/layer.h>
#include <skua/http/server.h>
#include <skua/runtime.h>

SKUA_C_BEGIN

typedef struct skua_http_metrics skua_http_metrics;

#define SKUA_HTTP_METRICS_BOUNDS 24

/* Zero, or NULL for all of them, means the default. */
typedef struct skua_http_metrics_options {
    size_t size;          /* SKUA_HTTP_METRICS_OPTIONS sets it */
    size_t series_max;    /* default 1,000; up to 100,000 */
    const double *bounds; /* of the histogram, in seconds, rising, above 0; copied; default 0.005 to
                             10 in 14 steps */
    size_t bounds_count;  /* up to SKUA_HTTP_METRICS_BOUNDS */
} skua_http_metrics_options;

#ifndef __cplusplus
#define SKUA_HTTP_METRICS_OPTIONS(...)                                                             \
    (&(const skua_http_metrics_options){.size = sizeof(skua_http_metrics_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_metrics_options_init(skua_http_metrics_options *options);

/* Makes counters.
 *
 * ret        receives them, to be ended by skua_http_metrics_free; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_metrics_new(skua_http_metrics **ret,
                                                  const skua_http_metrics_options *options);

/* Frees counters that nobody uses any more.
 *
 * metrics    NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_metrics_free(skua_http_metrics *metrics);

/* Counts the requests that the rest answers, when they have ended. The outermost layer sees all.
 *
 * metrics    a skua_http_metrics
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_metrics_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                     void *metrics);

/* Replies with the page.
 *
 * metrics    a skua_http_metrics
 * Returns    as skua_http_handler
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_prometheus(skua_http_exchange *exchange, void *metrics);

/* ---- what else the page tells ----------------------------------------------------------------
 *
 * Everything is added before the page is asked for the first time, and is alive as long as it may
 * be asked for. Names are copied. */

/* The server's own counts: skua_http_server_…{server="name"}.
 *
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any, one at a time, as all calls of this part
 * Since      0.3
 */
SKUA_API int skua_http_metrics_add_server(skua_http_metrics *metrics, const char *name,
                                          skua_http_server *server);

/* A client's: skua_http_client_…{client="name"}.
 *
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_metrics_add_client(skua_http_metrics *metrics, const char *name,
                                          skua_http_client *client);

/* A runtime's: skua_runtime_…{runtime="its name"}, and of each worker
 * skua_worker_…{runtime="…",worker="0"}.
 *
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_metrics_add_runtime(skua_http_metrics *metrics, skua_runtime *runtime);

/* A page being written. */
typedef struct skua_http_samples skua_http_samples;

/* Writes samples of its own: families, each with its samples behind it.
 *
 * Returns    0; a negative code: the page fails with it
 */
typedef int (*skua_http_collect_fn)(skua_http_samples *samples, void *arg);

/* A function that is called for each page, on the fiber of who asks.
 *
 * arg        handed to it
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_metrics_add_collector(skua_http_metrics *metrics,
                                             skua_http_collect_fn collect, void *arg);

/* ---- writing samples ------------------------------------------------------------------------- */

typedef enum skua_http_sample_kind {
    SKUA_HTTP_COUNTER = 1, /* only grows */
    SKUA_HTTP_GAUGE,
    SKUA_HTTP_HISTOGRAM
} skua_http_sample_kind;

typedef struct skua_http_label {
    const char *name;  /* letters, digits and '_'; not "le", nothing that begins with "__" */
    const char *value; /* any; what is no UTF-8 becomes U+FFFD */
} skua_http_label;

/* Begins a family: the samples that follow are its. Each name once in a page.
 *
 * name       letters, digits, '_' and ':'; of a counter with "_total" at its end
 * help       a line for people
 * Returns    0; -EINVAL: the name is none; what writing says
 * Threads    the collector's, as all calls with samples
 * Since      0.3
 */
SKUA_API int skua_http_samples_family(skua_http_samples *samples, skua_http_sample_kind kind,
                                      const char *name, const char *help);

/* A sample of a counter or a gauge.
 *
 * labels     `count` of them
 * Returns    0; -EINVAL: a label is none; SKUA_EUSAGE: no such family was begun; what writing says
 * Threads    the collector's
 * Since      0.3
 */
SKUA_API int skua_http_samples_value(skua_http_samples *samples, double value,
                                     const skua_http_label *labels, size_t count);

/* The same for a whole number, all of whose digits count.
 *
 * Returns    as skua_http_samples_value
 * Threads    the collector's
 * Since      0.3
 */
SKUA_API int skua_http_samples_number(skua_http_samples *samples, uint64_t value,
                                      const skua_http_label *labels, size_t count);

/* A histogram.
 *
 * bounds     `bounds_count` of them, rising
 * counts     one more: how many were up to each bound and above the one before, and above all
 * sum        of all that were counted
 * Returns    as skua_http_samples_value
 * Threads    the collector's
 * Since      0.3
 */
SKUA_API int skua_http_samples_histogram(skua_http_samples *samples, const double *bounds,
                                         const uint64_t *counts, size_t bounds_count, double sum,
                                         const skua_http_label *labels, size_t count);

SKUA_C_END

#endif
