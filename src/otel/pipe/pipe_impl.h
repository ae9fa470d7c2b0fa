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
 *            the same, so the collector empties them for both at the earlier of the two, and a
 *            batch of the other signal stays open until its own.
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
#include <skua/sync.h>

#include "otel/core/otel_reader.h"
#include "otel/core/otel_thread.h"

/* ---- a batch (pipe_batch.c) ------------------------------------------------------------------ */

struct skua__batch_chunk;

/* Constant once it is in a queue. */
struct skua__batch {
    skua_otel_batch data;
    char *items; /* what data.items points at: room for `max` of them */
    uint32_t max;
    uint32_t refs;
    struct skua__batch_chunk *chunks;
    void (*let_go)(void *held); /* called when it is freed; NULL: nothing is held */
    void *held;
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

/* ---- counts ---------------------------------------------------------------------------------- */

#define SKUA__DEST_ERRORS 8 /* kinds that are told apart */

/* Of one destination. Written by telemetry's thread (relaxed, one writer), read by all. */
struct skua__dest_counts {
    _Atomic uint64_t queued, inflight;     /* now */
    _Atomic uint64_t exported, rejected;   /* arrived; refused by who received them */
    _Atomic uint64_t failed;               /* the exporter gave up */
    _Atomic int errors[SKUA__DEST_ERRORS]; /* of these the first ones, in order; 0: no more */
    _Atomic uint64_t errors_items[SKUA__DEST_ERRORS];
    _Atomic uint64_t dropped_full;             /* the queue was full */
    _Atomic uint64_t dropped_shutdown;         /* left over at the end */
    _Atomic uint64_t exports, export_ns, late; /* calls, ns in them, beyond the time-out */
};

/* Who wants to know how long things took, on telemetry's thread; as long as the pipe. */
struct skua__dest_watch {
    void (*exported)(const struct skua__dest_watch *watch, int64_t ns, int64_t rc,
                     const skua_otel_answer *answer);
    void (*collected)(const struct skua__dest_watch *watch, int64_t ns, int rc); /* of metrics */
};

/* ---- a destination (pipe_queue.c) ------------------------------------------------------------ */

struct skua__pipe;

struct skua__dest_options {
    skua_otel_exporter *exporter;
    skua_otel_signal signal;
    uint32_t max_queue; /* items */
    uint32_t max_batch;
    int64_t delay;                        /* ns; 0: at once */
    int64_t timeout;                      /* ns of one export */
    struct skua__dest_counts *counts;     /* live longer than the pipe */
    const struct skua__dest_watch *watch; /* NULL: nobody */
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
    uint32_t queued;   /* items in the queue */
    uint64_t pushed;   /* seq of the newest entry */
    uint64_t *active;  /* seq of what each fiber exports; 0: none */
    unsigned workers;  /* fibers */
    unsigned begun;    /* of them */
    bool closing;      /* fibers end when the queue is empty */
    int error;         /* of the last export that failed */
    skua_notify work;  /* something is in the queue, or closing */
    skua_notify done;  /* an export is over */
    skua_task **tasks; /* of the fibers that were started; NULL behind them */
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
/* Cancels its fibers, or lets them end when the queue is empty; waits for them. */
void skua__dest_close(struct skua__dest *dest, bool cancel);
/* Counts and frees what is in the queue. */
void skua__dest_drop(struct skua__dest *dest);
/* One call of an exporter: in its turn, with a deadline. As export_told returns. */
int64_t skua__dest_call(struct skua__pipe *pipe, const struct skua__dest_options *options,
                        const skua_otel_batch *part, skua_otel_answer *answer);
/* What came of it. 0, or why items did not arrive. */
int skua__dest_count(struct skua__dest_counts *counts, skua_otel_exporter *exporter, size_t size,
                     int64_t rc, const skua_otel_answer *answer);

/* ---- a reader of metrics (pipe_reader.c) ----------------------------------------------------- */

struct skua__periodic_options {
    /* Collects all metrics into a batch made with max 0: memory by skua__batch_alloc, then sets
     * data.items.metrics and data.count. 0 or an error, which is counted. On telemetry's thread. */
    int (*collect)(void *source, struct skua__batch *batch);
    void *source;
    skua_otel_exporter *exporter;
    uint32_t max_batch; /* points; 0: all in one */
    int64_t interval, timeout;
    struct skua__dest_counts *counts;
    const struct skua__dest_watch *watch; /* NULL: nobody */
};

struct skua__periodic {
    struct skua__periodic_options options;
    struct skua__pipe *pipe;
    uint64_t asked, done; /* times that it was told to collect at once, and did */
    bool begun, closing;
    int error;        /* of the last collection or export that failed */
    uint64_t missed;  /* collections that failed */
    skua_notify work; /* asked, or closing */
    skua_notify over;
    skua_task *task;
};

int skua__periodic_start(struct skua__periodic *periodic);
/* Tells it to collect and export at once; which time it is. */
uint64_t skua__periodic_ask(struct skua__periodic *periodic);
/* Waits until that is done. 0; -ETIMEDOUT, -ECANCELED. */
int skua__periodic_wait(struct skua__periodic *periodic, uint64_t time, int64_t deadline);
/* Ends its fiber, and waits for it. */
void skua__periodic_close(struct skua__periodic *periodic, bool cancel);

/* Items that processors left out, or that there was no memory for; one writer, relaxed. */
extern _Atomic uint64_t skua__pipe_filtered, skua__pipe_lost;

/* ---- the pipe -------------------------------------------------------------------------------- */

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

/* A fiber that runs beside: until the stop, which cancels it. */
struct skua__pipe_guest {
    int (*fn)(void *arg);
    void *arg;
};

struct skua__pipe_options {
    const skua_otel_resource *resource;             /* as long as the pipe, and its batches */
    const struct skua__otel_reader *const *readers; /* by kind; NULL: kinds that are dropped */
    size_t readers_count;
    skua_otel_processor *const *processors;
    size_t processors_count;
    const struct skua__dest_options *dests;
    size_t dests_count;
    const struct skua__periodic_options *periodics;
    size_t periodics_count;
    const struct skua__pipe_guest *guests;
    size_t guests_count;
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

/* An exporter, and who may call it now: it may stand behind several destinations. */
struct skua__pipe_outlet {
    skua_otel_exporter *exporter;
    skua_semaphore turn;
};

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
    struct skua__pipe_outlet *outlets; /* each exporter once */
    size_t outlets_count;
    struct skua__pipe_guest *guests;
    skua_task **guest_tasks; /* NULL: not started */
    size_t guests_count;
    skua_runtime *runtime;
    skua_scope *flushing;   /* of fibers that answer a flush */
    pthread_mutex_t mutex;  /* of asks, started */
    pthread_cond_t changed; /* started */
    bool started;
    int start_error;             /* behind started */
    struct skua__pipe_ask *asks; /* newest first */
    struct skua__pipe_ask *stop; /* the pipe's reference; NULL: nobody has asked */
    int64_t renewed;             /* the clock's anchor; monotonic */
    uint64_t dropped;            /* by full rings, as far as that was told */
    void (*over)(struct skua__pipe_ask *stop, void *arg);
    void *over_arg;
};

/* Makes it, and starts its thread. `over` is called on that thread when the pipe has stopped and is
 * freed, with the ask that stopped it, which it answers. 0, -ENOMEM, -EINVAL, -EAGAIN, or as
 * skua_runtime_new. */
int skua__pipe_start(struct skua__pipe **ret, const struct skua__pipe_options *options,
                     void (*over)(struct skua__pipe_ask *stop, void *arg), void *arg);
/* A ring has something for the pipe that runs, if one does: any thread, at any time; never waits.
 * There is one pipe at a time. */
void skua__pipe_wake(void);
/* The pass begins that sees what was published before a wake that comes now. */
void skua__pipe_awake(void);
/* In the child of a fork: the parent's pipe is not there. */
void skua__pipe_forget(void);
/* Whether the caller runs on telemetry's own thread. */
bool skua__pipe_here(void);
/* Something to be asked, with one reference; NULL: no memory. */
struct skua__pipe_ask *skua__pipe_ask_new(int what);
struct skua__pipe_ask *skua__pipe_ask_ref(struct skua__pipe_ask *ask);
void skua__pipe_ask_unref(struct skua__pipe_ask *ask);
/* Asks it, of a pipe that has not been asked to stop; the reference is the pipe's then. */
void skua__pipe_ask(struct skua__pipe *pipe, struct skua__pipe_ask *ask, int64_t deadline);

/* Cancels the guests, and waits for them. */
void skua__pipe_guests_end(struct skua__pipe *pipe);
/* Who may call an exporter. */
skua_semaphore *skua__pipe_turn(struct skua__pipe *pipe, const skua_otel_exporter *exporter);

/* ---- collecting (pipe_collect.c), flushing and stopping (pipe_flush.c) ----------------------- */

/* All that is in the rings now; batches go that are due, or (`all`) all of them. */
void skua__pipe_collect(struct skua__pipe *pipe, bool all);
/* Records that full rings have dropped, ever. */
uint64_t skua__pipe_dropped(void);
/* When it is to be done next; monotonic. */
int64_t skua__pipe_next(const struct skua__pipe *pipe);
void skua__pipe_scopes_free(struct skua__pipe *pipe);

/* Items that did not arrive, so far. */
uint64_t skua__pipe_failed(const struct skua__pipe *pipe);
/* Answers the ask from a fiber of its own. `failed`: what was counted before the pass. */
void skua__pipe_flush(struct skua__pipe *pipe, struct skua__pipe_ask *ask, uint64_t failed);
/* 0, -ETIMEDOUT: something was cancelled or dropped, or an error of an exporter. */
int skua__pipe_stop(struct skua__pipe *pipe, int64_t deadline, uint64_t failed);

#endif
