/* pipe_impl.h - from the rings of all threads to the queues of all destinations.
 *
 *   rings -> collector -> batches -> queue of each destination -> its exporter
 *
 *   pipe_batch.c     a batch: constant data in memory of its own, counted by who has it
 *   pipe_collect.c   the collector: empties the rings, in a rhythm or when told
 *   pipe_queue.c     a destination: a bounded queue, and fibers that export
 *   pipe_reader.c    metrics: a reader that collects and exports in a rhythm
 *   pipe_flush.c     flush and stop, as those see it who wait for them
 *   pipe_main.c      the thread of all that, and what it is asked
 *
 * Owner      everything here is of one fiber or another of telemetry's own current-thread runtime,
 *            so nothing is locked; others ask it by `pipe->asks`.
 * Rhythm     traces and logs each have theirs (the delay of their batch processors); the rings are
 *            the same, so the collector empties them for both at the earlier of the two, and a batch
 *            of the other signal stays open until its own.
 * Queues     of items, not of batches: what does not fit is dropped, and counted by destination.
 * Flush      records that were published before the call are collected by the pass that begins
 *            behind it; then each destination is done with what its queue had at that time.
 * Stop       no new records; a last pass; queues are emptied until the deadline; exports that run
 *            beyond it are cancelled, and what is left is dropped and counted.
 */
#ifndef SKUA_OTEL_PIPE_IMPL_H
#define SKUA_OTEL_PIPE_IMPL_H

#include <pthread.h>

#include <skua/notify.h>
#include <skua/otel/exporter.h>
#include <skua/otel/processor.h>
#include <skua/runtime.h>

#include "otel/core/otel_thread.h"

/* ---- records (who writes them says how they are read) ------------------------------------------ */

/* Of one kind of record: skua__otel_span_reader (trace), skua__otel_log_reader (log). */
struct skua__otel_reader {
    uint32_t kind; /* SKUA__OTEL_SPAN … */
    skua_otel_signal signal;
    size_t item; /* bytes of an item: a skua_otel_span or a skua_otel_log */
    /* `record` is what stands behind the ring's skua__otel_record. Bytes that reading needs, at
     * most. */
    size_t (*room)(const void *record);
    /* Reads it into `item`; all that it points at is copied into `room` (aligned to 8), but for the
     * scope, which the caller sets. Returns how many bytes of `room` were used. */
    size_t (*read)(const void *record, char *room, void *item);
    /* Who made it: the skua_tracer, the logger; static. */
    const void *(*scope_of)(const void *record);
    /* What it is as a scope; asked once of each. */
    void (*scope)(const void *maker, skua_otel_scope *ret);
    /* Where an item's scope goes. */
    const skua_otel_scope **(*scope_at)(void *item);
};

extern const struct skua__otel_reader skua__otel_span_reader;

/* ---- a batch (pipe_batch.c) -------------------------------------------------------------------- */

struct skua__batch_chunk;

/* Constant once it is in a queue. */
struct skua__batch {
    skua_otel_batch data;
    char *items; /* what data.items points at: room for `max` of them */
    uint32_t max;
    uint32_t refs;
    struct skua__batch_chunk *chunks;
};

/* Empty, with one reference; NULL: no memory. `max` items of `item` bytes; 0: the caller sets
 * data.items itself, and data.count. */
struct skua__batch *skua__batch_new(skua_otel_signal signal, const skua_otel_resource *resource,
                                    uint32_t max, size_t item);
/* Memory that lives as long as the batch, aligned to 8; not cleared; NULL: none. */
void *skua__batch_alloc(struct skua__batch *batch, size_t size);
/* Gives back the end of what was allocated last. */
void skua__batch_trim(struct skua__batch *batch, void *piece, size_t used);
struct skua__batch *skua__batch_ref(struct skua__batch *batch);
void skua__batch_unref(struct skua__batch *batch);
/* Puts items of a scope together; their order in it stays. */
void skua__batch_group(struct skua__batch *batch, const struct skua__otel_reader *reader);

/* ---- counts ------------------------------------------------------------------------------------ */

/* Of one destination. Written by telemetry's thread (relaxed, one writer), read by all. */
struct skua__dest_counts {
    _Atomic uint64_t queued, inflight;        /* now */
    _Atomic uint64_t exported, rejected;      /* arrived; refused by who received them */
    _Atomic uint64_t failed;                  /* the exporter gave up */
    _Atomic uint64_t dropped_full;            /* the queue was full */
    _Atomic uint64_t dropped_shutdown;        /* left over at the end */
    _Atomic uint64_t exports, export_ns, late; /* calls, ns in them, beyond the time-out */
};

/* ---- a destination (pipe_queue.c) -------------------------------------------------------------- */

struct skua__pipe;

struct skua__dest_options {
    skua_otel_exporter *exporter;
    skua_otel_signal signal;
    uint32_t max_queue; /* items */
    uint32_t max_batch;
    int64_t delay;   /* ns; 0: at once */
    int64_t timeout; /* ns of one export */
    struct skua__dest_counts *counts; /* live longer than the pipe */
};

/* A part of a batch, in a queue. */
struct skua__dest_entry {
    struct skua__dest_entry *next;
    struct skua__batch *batch;
    uint32_t from, count;
    uint64_t seq;
};

struct skua__dest {
    struct skua__dest_options options;
    struct skua__pipe *pipe;
    struct skua__dest_entry *first, *last;
    uint32_t queued;  /* items in the queue */
    uint64_t pushed;  /* seq of the newest entry */
    uint64_t *active; /* seq of what each fiber exports; 0: none */
    unsigned workers; /* fibers */
    bool closing;     /* fibers end when the queue is empty */
    int error;        /* of the last export that failed */
    skua_notify work; /* something is in the queue, or closing */
    skua_notify done; /* an export is over */
    skua_task **tasks;
};

int skua__dest_init(struct skua__dest *dest, struct skua__pipe *pipe,
                    const struct skua__dest_options *options);
void skua__dest_free(struct skua__dest *dest);
/* Its fibers, in the calling fiber's scope. */
int skua__dest_start(struct skua__dest *dest);
/* What of the batch has room. */
void skua__dest_push(struct skua__dest *dest, struct skua__batch *batch);
/* Waits until all up to `seq` is done with. 0; -ETIMEDOUT, -ECANCELED. */
int skua__dest_wait(struct skua__dest *dest, uint64_t seq, int64_t deadline);
/* Counts and frees what is in the queue. */
void skua__dest_drop(struct skua__dest *dest);

/* ---- a reader of metrics (pipe_reader.c) ------------------------------------------------------- */

struct skua__periodic_options {
    /* Collects all metrics into a batch made with max 0: memory by skua__batch_alloc, then sets
     * data.items.metrics and data.count. 0 or an error, which is counted. On telemetry's thread. */
    int (*collect)(void *source, struct skua__batch *batch);
    void *source;
    skua_otel_exporter *exporter;
    uint32_t max_batch; /* metrics; 0: all in one */
    int64_t interval, timeout;
    struct skua__dest_counts *counts;
};

struct skua__periodic {
    struct skua__periodic_options options;
    struct skua__pipe *pipe;
    uint64_t asked, done; /* flushes */
    bool closing;
    int error;
    skua_notify work, over;
    skua_task *task;
};

int skua__periodic_start(struct skua__periodic *periodic);
/* Collects and exports now; waits for it. */
int skua__periodic_flush(struct skua__periodic *periodic, int64_t deadline);

/* ---- the pipe ---------------------------------------------------------------------------------- */

enum { SKUA__PIPE_FLUSH, SKUA__PIPE_STOP };

/* What is asked from outside; counted by who has it. */
struct skua__pipe_ask {
    struct skua__pipe_ask *next; /* guard: the pipe's mutex */
    int what;
    int64_t deadline;
    atomic_uint refs;
    int result; /* constant behind done */
    skua_event done;
};

struct skua__pipe_options {
    const skua_otel_resource *resource; /* as long as the pipe, and its batches */
    const struct skua__otel_reader *const *readers; /* by kind; NULL: kinds that are dropped */
    size_t readers_count;
    skua_otel_processor *const *processors;
    size_t processors_count;
    const struct skua__dest_options *dests;
    size_t dests_count;
    const struct skua__periodic_options *periodics;
    size_t periodics_count;
};

/* Of one signal, traces or logs. */
struct skua__pipe_stream {
    const struct skua__otel_reader *reader; /* NULL: nobody wants it */
    struct skua__batch *open;
    uint32_t max_batch; /* the smallest of its destinations */
    int64_t delay;      /* the shortest of theirs */
    int64_t next;       /* when `open` is to go; monotonic */
};

struct skua__pipe_scope;

struct skua__pipe {
    const skua_otel_resource *resource;
    skua_otel_processor *const *processors;
    size_t processors_count;
    struct skua__pipe_stream streams[SKUA_OTEL_SIGNALS];
    struct skua__pipe_scope *scopes; /* a hash table by maker */
    size_t scopes_size, scopes_used;
    struct skua__dest *dests;
    size_t dests_count;
    struct skua__periodic *periodics;
    size_t periodics_count;
    skua_runtime *runtime;
    pthread_t thread; /* constant behind its start */
    skua_notify wake;
    atomic_bool woken;      /* somebody has notified; relaxed: notify orders */
    pthread_mutex_t mutex;  /* of asks */
    struct skua__pipe_ask *asks; /* newest first; guard: mutex */
    uint64_t flushes;       /* fibers that flush */
    atomic_uint_fast64_t filtered; /* items that processors left out */
    void (*over)(struct skua__pipe *pipe, struct skua__pipe_ask *stop, void *arg);
    void *over_arg;
};

/* Makes it, and starts its thread. `over` is called on that thread when it has stopped, and all of
 * the pipe is free but for itself. 0, -ENOMEM, -EINVAL, -EAGAIN, or as skua_runtime_new. */
int skua__pipe_start(struct skua__pipe **ret, const struct skua__pipe_options *options,
                     void (*over)(struct skua__pipe *pipe, struct skua__pipe_ask *stop, void *arg),
                     void *arg);
/* A ring has something, or an ask is there. Any thread; never waits. */
void skua__pipe_wake(struct skua__pipe *pipe);
/* Asks for something; two references, one is the caller's. NULL: no memory. */
struct skua__pipe_ask *skua__pipe_ask(struct skua__pipe *pipe, int what, int64_t deadline);
void skua__pipe_ask_unref(struct skua__pipe_ask *ask);

/* Telemetry's fibers (pipe_collect.c, pipe_flush.c). */
int skua__pipe_collector(void *pipe);
/* All that is in the rings now; `all`: batches that are open go, too. */
void skua__pipe_collect(struct skua__pipe *pipe, bool all);
int skua__pipe_flush(struct skua__pipe *pipe, int64_t deadline);
int skua__pipe_stop(struct skua__pipe *pipe, int64_t deadline);
void skua__pipe_scopes_free(struct skua__pipe *pipe);

#endif
