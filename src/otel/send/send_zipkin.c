/* send_zipkin.c - spans to Zipkin: the exporter of OTLP over HTTP, with Zipkin's bodies.
 *
 *   Encoded    by otel/output/zipkin_spans.c, instead of OTLP's JSON
 *   Sent       as OTLP's requests are: the same tries, pauses, limits, TLS and counts
 *   Answers    of 2xx are success, whatever their body is: Zipkin's is empty, and 202
 */
#include <skua/otel/zipkin.h>

#include "otel/send/send_impl.h"

#define ZIPKIN_ENDPOINT "http://localhost:9411/api/v2/spans"

void skua_otel_zipkin_options_init(skua_otel_zipkin_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_otel_zipkin_new(skua_otel_exporter **ret, const skua_otel_zipkin_options *options)
{
    static const skua_otel_zipkin_options defaults = {.size = sizeof defaults};
    const char *endpoint;

    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options)
        return -EINVAL;
    endpoint = options->endpoint != NULL ? options->endpoint : ZIPKIN_ENDPOINT;
    /* Of the other signals nothing is sent; their endpoints must not be somebody else's. */
    return skua__send_new(
        ret,
        SKUA_OTLP_OPTIONS(.protocol = SKUA_OTLP_HTTP_JSON, .traces_endpoint = endpoint,
                          .metrics_endpoint = endpoint, .logs_endpoint = endpoint,
                          .unix_path = options->unix_path, .certificate = options->certificate,
                          .tls = options->tls, .headers = options->headers,
                          .headers_count = options->headers_count,
                          .compression = options->gzip != 0 ? SKUA_OTLP_GZIP : SKUA_OTLP_NONE,
                          .timeout = options->timeout, .request_max = options->request_max,
                          .concurrency = options->concurrency, .attempts = options->attempts,
                          .retry_initial = options->retry_initial, .retry_max = options->retry_max,
                          .error_text = options->error_text, .error_size = options->error_size),
        true);
}

#undef ZIPKIN_ENDPOINT
