/* otlp.h - telemetry to a collector: the OpenTelemetry protocol over HTTP and gRPC.
 *
 *     static const skua_http_field headers[] = {{"authorization", "Bearer 123"}};
 *     skua_otel_exporter *exporter;
 *
 *     rc = skua_otlp_exporter_new(
 *         &exporter, SKUA_OTLP_OPTIONS(.endpoint = "https://collector:4318", .headers = headers,
 *                                      .headers_count = 1, .compression = SKUA_OTLP_GZIP));
 *
 * One exporter takes all three signals. What it is handed it sends in one request, over connections
 * that are kept; in several where one would be too long.
 *
 * Endpoint   over HTTP .endpoint is the base, to which "/v1/traces", "/v1/metrics" and "/v1/logs"
 *            are added; the endpoint of a signal is taken as it is. Over gRPC host and port count.
 * Again      a request is sent again where the protocol says so, and nowhere else: to an answer of
 *            429, 502, 503 or 504; of gRPC CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE,
 *            UNAVAILABLE, DATA_LOSS, and RESOURCE_EXHAUSTED if it has a RetryInfo; where there was
 *            no connection, or it ended before the answer. Pauses grow, are drawn at random, and
 *            are not shorter than the collector wants (Retry-After, RetryInfo). One that would end
 *            behind the time-out is not begun.
 * Partial    success is success: what was rejected is counted and said, and never sent again.
 * Limits     of a batch of which the request would be longer each half is sent by itself, and so
 *            on; what is too long alone is not sent, and the rest is. A longer answer (decoded) is
 *            an error.
 * Secrets    headers appear in no line that is logged, also where the collector repeats them; of
 *            an URL its query does not. Redirects are not followed.
 * Result     of export_batch: 0; how many items were rejected, or, of a batch that was halved,
 *            did not arrive; or, where nothing did, an error of which skua_otel_may_succeed says
 *            whether another time might do: -EAGAIN: the collector wants to be asked later;
 *            -ETIMEDOUT; what connecting says. For good: -EMSGSIZE: the request is too long;
 *            SKUA_ELIMIT: the answer is; -EACCES, -ENOENT, -EINVAL, -EPROTO: 401 and 403; 404; 400;
 *            another answer that is final; -EBADMSG: an answer that is malformed; -EKEYREJECTED:
 *            not the host's certificate.
 * Stack      over TLS its fiber needs SKUA_STACK_LARGE (tls.h).
 * Fork       a child makes connections of its own.
 *
 * Source     OTLP specification 1.11; OpenTelemetry specification 1.60, protocol/exporter.
 */
#ifndef SKUA_OTEL_OTLP_H
#define SKUA_OTEL_OTLP_H

#include <skua/http/client.h>
#include <skua/otel/exporter.h>

SKUA_C_BEGIN

typedef enum skua_otlp_protocol {
    SKUA_OTLP_HTTP_PROTOBUF, /* the default */
    SKUA_OTLP_HTTP_JSON,
    SKUA_OTLP_GRPC
} skua_otlp_protocol;

typedef enum skua_otlp_compression { SKUA_OTLP_NONE, SKUA_OTLP_GZIP } skua_otlp_compression;

/* Zero, or NULL for all of them, means the default. All but `tls` is copied. */
typedef struct skua_otlp_options {
    size_t size; /* of this struct; SKUA_OTLP_OPTIONS sets it */
    skua_otlp_protocol protocol;
    const char *endpoint; /* "http://localhost:4318"; of gRPC "http://localhost:4317", where the
                             scheme may be left out */
    const char *traces_endpoint;    /* NULL: of `endpoint` */
    const char *metrics_endpoint;   /* likewise */
    const char *logs_endpoint;      /* likewise */
    unsigned insecure;              /* 1: gRPC without a scheme is without TLS */
    const char *unix_path;          /* a Unix socket to connect to instead of the URL's host */
    const char *certificate;        /* whom to trust: PEM text or a file; the system's store */
    const char *client_certificate; /* mutual TLS: PEM text or a file */
    const char *client_key;         /* likewise */
    skua_tls_context *tls;          /* instead of these three; the caller's, as long as it */
    const skua_http_field *headers; /* sent with each request; of gRPC its metadata */
    size_t headers_count;
    skua_otlp_compression compression;
    int64_t timeout;         /* ns, of a batch with all tries; 10 s */
    size_t request_max;      /* bytes before compression; 64 MiB */
    size_t response_max;     /* bytes behind decompression; 4 MiB */
    unsigned concurrency;    /* batches at a time, 1 to 64; 1 */
    unsigned attempts;       /* tries of a batch at most; 5 */
    int64_t retry_initial;   /* ns, the first pause at most; 1 s */
    int64_t retry_max;       /* ns, a pause at most, but where the collector wants more; 5 s */
    double retry_multiplier; /* how pauses grow, 1 to 1000; 1.5 */
    skua_otel_temporality (*temporality)(const skua_otel_exporter *exporter, int kind);
    char *error_text;  /* receives why it failed, cut to fit; NULL: not wanted */
    size_t error_size; /* bytes of it */
} skua_otlp_options;

#ifndef __cplusplus
#define SKUA_OTLP_OPTIONS(...)                                                                     \
    (&(const skua_otlp_options){.size = sizeof(skua_otlp_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otlp_options_init(skua_otlp_options *options);

/* Makes an exporter. Files of certificates are read now, which blocks; nothing is connected to.
 *
 * ret        receives it, to be ended by its functions shutdown and free; untouched on failure
 * options    NULL: all defaults
 * Returns    0; -EINVAL: an option, an URL or a header is malformed; -ENOSYS: built without gRPC,
 *            TLS or gzip; what skua_tls_context_new says; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API SKUA_NODISCARD int skua_otlp_exporter_new(skua_otel_exporter **ret,
                                                   const skua_otlp_options *options);

/* What an exporter has done, since it was made. */
typedef struct skua_otlp_stats {
    uint64_t exported[SKUA_OTEL_SIGNALS]; /* items that arrived: spans, points of data, records */
    uint64_t rejected[SKUA_OTEL_SIGNALS]; /* that the collector did not take of a batch */
    uint64_t failed[SKUA_OTEL_SIGNALS];   /* that did not arrive, and were given up */
    uint64_t batches;                     /* handed to it */
    uint64_t requests;                    /* sent, each try one more */
    uint64_t retries;                     /* of these, not the first of their batch */
    uint64_t partial;                     /* answers with a partial success, warnings, too */
    uint64_t too_long;                    /* items given up: a request of one is too long */
    uint64_t bytes;                       /* of requests' bodies, compressed */
} skua_otlp_stats;

/* What it has done so far.
 *
 * exporter   one that skua_otlp_exporter_new has made
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otlp_stats_of(const skua_otel_exporter *exporter, skua_otlp_stats *ret);

SKUA_C_END

#endif
