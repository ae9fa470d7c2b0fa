/* send_impl.h - batches on their way to a collector.
 *
 *   send_options.c    from options to an exporter: endpoints, headers, TLS
 *   send_zipkin.c     likewise, to one that speaks Zipkin's JSON
 *   send_exporter.c   the exporter: encodes, halves, tries, waits, counts
 *   send_client.c     the HTTP client that it does so with
 *   send_http.c       one try over HTTP: a request, its answer, what that means
 *   send_grpc.c       one try over gRPC
 *   send_reply.c      the bodies of answers, in protobuf
 *   send_json.c       and in JSON
 *   send_after.c      Retry-After
 *   send_text.c       what may stand in a line that is logged
 *   send_gzip.c       compression
 *
 * A try        is a pure question: it sends, and says what came of it. Whether to try again, when,
 *              and what is counted is send_exporter.c's alone.
 * Client       made with the exporter, where the environment is read that names proxies. The child
 *              of a fork makes another one when it exports: the parent's connections are left to
 *              the parent, and the memory of its client is lost to the child.
 */
#ifndef SKUA_OTEL_SEND_IMPL_H
#define SKUA_OTEL_SEND_IMPL_H

#include <stdatomic.h>
#include <sys/types.h>

#include <skua/otel/otlp.h>
#include <skua/time.h>

#include "otel/core/otel_warn.h"
#include "otel/otlp/otlp_json.h"

#define SKUA__SEND_TEXT 256       /* of what a collector says, with the NUL */
#define SKUA__SEND_SLOTS 64       /* the most of .concurrency */
#define SKUA__SEND_HEADERS 64     /* the most of .headers_count */
#define SKUA__SEND_AFTER_MAX 3600 /* s; who wants more is taken to want this */

#define SKUA__SEND_AGENT "OTel-OTLP-Exporter-C/" SKUA_VERSION
#define SKUA__SEND_ZIPKIN_AGENT "OTel-Zipkin-Exporter-C/" SKUA_VERSION

/* A client of a process. */
struct skua__send_client {
    skua_http_client *client;
    pid_t process;
    struct skua__send_client *older; /* of the process that this one was forked from */
};

/* Memory of one export, kept for the next. */
struct skua__send_slot {
    atomic_flag taken;
    struct skua__otlp protobuf; /* one of these two */
    struct skua__json json;
};

struct skua__send_counts {
    _Atomic uint64_t exported[SKUA_OTEL_SIGNALS], rejected[SKUA_OTEL_SIGNALS];
    _Atomic uint64_t failed[SKUA_OTEL_SIGNALS];
    _Atomic uint64_t batches, requests, retries, partial, too_long, bytes;
};

/* All of it is constant once it is made, but what says so. */
struct skua__send {
    skua_otel_exporter base; /* first */
    skua_otel_exporter_ops ops;
    skua_otlp_protocol protocol; /* of Zipkin JSON over HTTP, too */
    bool zipkin; /* what is sent are Zipkin's spans, and any answer of 2xx will do */
    char *urls[SKUA_OTEL_SIGNALS];
    char *shown[SKUA_OTEL_SIGNALS]; /* the same without queries, for people */
    char *hosts[SKUA_OTEL_SIGNALS]; /* of the URLs: server.address, or the Unix socket */
    int ports[SKUA_OTEL_SIGNALS];   /* 0: of a Unix socket */
    char *unix_path;
    skua_http_field *headers; /* the user's; of gRPC in small letters */
    size_t headers_count;
    skua_tls_context *tls, *tls_own;
    bool gzip;
    int64_t timeout, retry_initial, retry_max;
    double retry_multiplier;
    size_t request_max, response_max;
    unsigned attempts, concurrency;
    _Atomic(struct skua__send_client *) client; /* the newest first; acquire, release */
    struct skua__send_slot *slots;              /* `concurrency` of them; each its taker's */
    struct skua__send_counts counts;            /* relaxed */
};

/* What came of a try. */
struct skua__send_answer {
    int64_t rc;                 /* 0, how many were rejected, or an error */
    int64_t after;              /* ns that the collector wants to be left alone; -1: not said */
    int status;                 /* of HTTP or gRPC */
    bool answered;              /* there is a status */
    bool again;                 /* it may be tried again */
    bool partial;               /* success with something to say */
    char text[SKUA__SEND_TEXT]; /* what was said, in UTF-8; "" is nothing */
};

/* What is sent: the caller's. */
struct skua__send_request {
    skua_otel_signal signal;
    const void *body;
    size_t len;
    bool coded;       /* by gzip */
    int64_t deadline; /* monotonic ns */
};

/* ---- options (send_options.c) ---------------------------------------------------------------- */

/* An exporter of `options`; zipkin: of spans as Zipkin has them, by JSON over HTTP. */
int skua__send_new(skua_otel_exporter **ret, const skua_otlp_options *options, bool zipkin);
void skua__send_free(struct skua__send *self);

/* ---- the exporter (send_exporter.c) ---------------------------------------------------------- */

/* Fills in its functions. */
void skua__send_ops(struct skua__send *self,
                    skua_otel_temporality (*temporality)(const skua_otel_exporter *exporter,
                                                         int kind));

/* ---- its client (send_client.c) -------------------------------------------------------------- */

/* The process' own client, made where there is none yet. 0; what skua_http_client_new says. */
int skua__send_client_of(struct skua__send *self, skua_http_client **ret);

/* ---- tries ----------------------------------------------------------------------------------- */

void skua__send_http(struct skua__send *self, skua_http_client *client,
                     const struct skua__send_request *request, struct skua__send_answer *answer);
void skua__send_grpc(struct skua__send *self, skua_http_client *client,
                     const struct skua__send_request *request, struct skua__send_answer *answer);
/* Whether there is gRPC at all. */
bool skua__send_has_grpc(void);

/* ---- answers (send_reply.c, send_json.c) ----------------------------------------------------- */

/* Export*ServiceResponse: fills in rc, partial and text. 0; -EBADMSG: it is none, and nothing was
 * filled in. */
int skua__send_reply(const void *bytes, size_t len, struct skua__send_answer *answer);
int skua__send_reply_json(const char *bytes, size_t len, struct skua__send_answer *answer);
/* google.rpc.Status: fills in text, if there is one. */
void skua__send_status(const void *bytes, size_t len, char *text);
void skua__send_status_json(const char *bytes, size_t len, char *text);

/* ---- small things ---------------------------------------------------------------------------- */

/* Retry-After: ns from now; -1: it is malformed, or there is none. `date` is the answer's Date, by
 * which a date is judged, or NULL. */
int64_t skua__send_after(const char *value, const char *date);

/* Takes bytes of a stranger over as text of at most SKUA__SEND_TEXT - 1 bytes: UTF-8, without
 * control characters. */
void skua__send_text(char *text, const void *bytes, size_t len);
/* Blots out what is a header's value in it. */
void skua__send_redact(const struct skua__send *self, char *text);

/* Compresses. *ret is to be freed by skua__otel_free. -ENOSYS: built without it; -ENOMEM. */
int skua__send_gzip(const void *bytes, size_t len, void **ret, size_t *ret_len);
bool skua__send_has_gzip(void);

#endif
