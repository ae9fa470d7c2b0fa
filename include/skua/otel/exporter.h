/* exporter.h - where telemetry goes: the functions of an exporter, one's own or a built-in one.
 *
 *     static int64_t print(skua_otel_exporter *exporter, const skua_otel_batch *batch,
 *                          int64_t deadline)
 *     {
 *         for (uint32_t i = 0; batch->signal == SKUA_OTEL_TRACES && i < batch->count; i++)
 *             printf("%.*s\n", (int)batch->items.spans[i].name.len, batch->items.spans[i].name.at);
 *         return 0;
 *     }
 *
 *     static const skua_otel_exporter_ops ops = {.name = "print", .export_batch = print};
 *     static skua_otel_exporter exporter = {&ops};
 *
 * Calls      never two at a time of one exporter's export_batch, but where `concurrency` says more.
 *            They come on a fiber of telemetry's own runtime, on a thread of its own: they may wait
 *            as fibers do, and nothing of the user's waits for them.
 * Deadline   monotonic ns; every wait of the fiber ends with it anyway (skua_deadline_begin).
 * Silence    while an exporter runs, telemetry is off for its fiber and what it spawns: an exporter
 *            never traces itself.
 * Retries    are the exporter's own business, within its deadline. What it returns is final.
 *
 * Source     OpenTelemetry specification 1.60: trace/sdk, metrics/sdk, logs/sdk, exporters.
 */
#ifndef SKUA_OTEL_EXPORTER_H
#define SKUA_OTEL_EXPORTER_H

#include <skua/otel/data.h>

SKUA_C_BEGIN

typedef struct skua_otel_exporter skua_otel_exporter;

/* What the receiver of an export has answered. */
typedef struct skua_otel_answer {
    int http_status; /* -1: none; so are they before */
    int grpc_status;
    /* Of a batch that was sent in parts, of which some failed: how many of the items that the
     * result has as rejected did not arrive, and why. 0 before. */
    int64_t lost;
    int error;
} skua_otel_answer;

typedef struct skua_otel_exporter_ops {
    const char *name; /* the component's type, "otlp_http_exporter" */
    /* Sends one batch. 0: all of it arrived; more than 0: so many items were rejected, the rest
     * arrived; or an error: nothing of it did, and it is dropped. */
    int64_t (*export_batch)(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                            int64_t deadline);
    /* Sends what the exporter itself has kept back; NULL: it keeps nothing. 0, -ETIMEDOUT or an
     * error. */
    int (*flush)(skua_otel_exporter *exporter, int64_t deadline);
    /* There is nothing more to come; NULL: nothing to be done. As flush. */
    int (*shutdown)(skua_otel_exporter *exporter, int64_t deadline);
    /* Frees it; after shutdown, on any thread; NULL: the caller's memory. */
    void (*free)(skua_otel_exporter *exporter);
    /* Of metrics: what the exporter wants a sum or histogram to be; NULL: cumulative. `kind` is a
     * skua_instrument_kind. */
    skua_otel_temporality (*temporality)(const skua_otel_exporter *exporter, int kind);
    /* In the child of a fork, in its handler: connections, files and locks are the parent's, and to
     * be forgotten; export_batch comes from a new thread then. NULL: nothing to be done. */
    void (*forked)(skua_otel_exporter *exporter);
    unsigned concurrency; /* calls of export_batch at a time; 0 is 1 */
    /* The two halves of export_batch, for what keeps batches as bytes in between (disk_queue.h);
     * NULL both: there are no halves. encode hands the bytes to `sink`, and returns what that says,
     * or an error; export_bytes returns as export_batch. `items` is skua_otel_batch_size. */
    int (*encode)(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                  int (*sink)(void *arg, const void *bytes, size_t len), void *arg);
    int64_t (*export_bytes)(skua_otel_exporter *exporter, skua_otel_signal signal,
                            const void *bytes, size_t len, size_t items, int64_t deadline);
    const char *encoding; /* what these bytes are, "otlp_proto"; of both halves */
    /* For telemetry's own numbers; since 0.5. Whom it sends a signal to, as long as the exporter,
     * and at which port (0: none); NULL, or returns NULL: nobody. */
    const char *(*server)(const skua_otel_exporter *exporter, skua_otel_signal signal, int *port);
    /* As export_batch, and says what the last answer was; NULL: export_batch is called. */
    int64_t (*export_told)(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline, skua_otel_answer *answer);
} skua_otel_exporter_ops;

/* The beginning of every exporter; its own data stands behind it. */
struct skua_otel_exporter {
    const skua_otel_exporter_ops *ops;
};

/* Whether what an export has failed with may be gone another time.
 *
 * rc         what export_batch has returned
 * Returns    1: -EAGAIN, -ETIMEDOUT, -ECANCELED, and what says that there was no connection, or
 *            that it ended; 0: everything else, also 0 and more
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_may_succeed(int64_t rc);

SKUA_C_END

#endif
