/* zipkin.h - spans to Zipkin: version 2 of its JSON, over HTTP.
 *
 *     skua_otel_exporter *exporter;
 *
 *     rc = skua_otel_zipkin_new(
 *         &exporter, SKUA_OTEL_ZIPKIN_OPTIONS(.endpoint = "http://zipkin:9411/api/v2/spans"));
 *
 * Spans      alone: batches of metrics and logs are refused with -EINVAL.
 * Again      a request is sent again, or not, as OTLP's over HTTP is (otlp.h); so it is with
 *            limits, secrets, results and the fork.
 * What of a span becomes what: resource attributes but for service.name, links and the trace state
 *            have no place in Zipkin, and are left out. OpenTelemetry takes Zipkin's exporter out
 *            of its specification at the end of 2026; Zipkin has a receiver for OTLP.
 *
 * Source     OpenTelemetry specification 1.60, trace/sdk_exporters/zipkin; Zipkin's API 2.
 */
#ifndef SKUA_OTEL_ZIPKIN_H
#define SKUA_OTEL_ZIPKIN_H

#include <skua/http/client.h>
#include <skua/otel/exporter.h>

SKUA_C_BEGIN

/* Zero, or NULL for all of them, means the default. All but `tls` is copied. */
typedef struct skua_otel_zipkin_options {
    size_t size;                    /* of this struct; SKUA_OTEL_ZIPKIN_OPTIONS sets it */
    const char *endpoint;           /* as it is; "http://localhost:9411/api/v2/spans" */
    const char *unix_path;          /* a Unix socket to connect to instead of the URL's host */
    const char *certificate;        /* whom to trust: PEM text or a file; the system's store */
    skua_tls_context *tls;          /* instead of it; the caller's, as long as the exporter */
    const skua_http_field *headers; /* sent with each request */
    size_t headers_count;
    unsigned gzip;         /* 1: bodies are compressed */
    int64_t timeout;       /* ns, of a batch with all tries; 10 s */
    size_t request_max;    /* bytes before compression; 64 MiB */
    unsigned concurrency;  /* batches at a time, 1 to 64; 1 */
    unsigned attempts;     /* tries of a batch at most; 5 */
    int64_t retry_initial; /* ns, the first pause at most; 1 s */
    int64_t retry_max;     /* ns, a pause at most, but where the receiver wants more; 5 s */
    char *error_text;      /* receives why it failed, cut to fit; NULL: not wanted */
    size_t error_size;     /* bytes of it */
} skua_otel_zipkin_options;

#ifndef __cplusplus
#define SKUA_OTEL_ZIPKIN_OPTIONS(...)                                                              \
    (&(const skua_otel_zipkin_options){.size = sizeof(skua_otel_zipkin_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.5
 */
SKUA_API void skua_otel_zipkin_options_init(skua_otel_zipkin_options *options);

/* Makes an exporter of spans. Nothing is connected to.
 *
 * ret        receives it, to be ended by its functions shutdown and free; untouched on failure
 * options    NULL: all defaults
 * Returns    as skua_otlp_exporter_new
 * Threads    any
 * Since      0.5
 */
SKUA_API SKUA_NODISCARD int skua_otel_zipkin_new(skua_otel_exporter **ret,
                                                 const skua_otel_zipkin_options *options);

SKUA_C_END

#endif
