/* metric_impl.h - metrics as the SDK has them.
 *
 *   metric_sdk.c         what is installed; its start and end; views that are checked
 *   metric_instrument.c  instruments: one for all handles of a name; their streams
 *   metric_view.c        which streams an instrument has
 *   metric_series.c      streams: which sets of attributes there are
 *   metric_thread.c      what a thread has: its cells, and how it finds them
 *   metric_hot.c         the functions behind metric.h
 *   metric_cell.c        a cell: written by its thread, drained by who collects
 *   metric_base2.c       exponential buckets
 *   metric_exemplar.c    single values that are kept
 *   metric_collect.c     from series to points
 *   metric_reader.c      readers, observers, producers, filters; parts of a batch
 *
 *   handle -> instrument -> streams (one a view) -> series (one a set of attributes)
 *                                                      -> cells (one a thread)
 *
 * Cells      only the thread that has a cell writes it, by plain stores; who collects reads it and
 *            remembers what it has seen, so nothing is reset and no store is lost. What was new
 *            goes to the states of the series, one of each reader: delta and cumulative readers
 *            live from the same cells. A thread that ends has its cells drained, and freed.
 * Series     are given up when all readers are delta and nothing came for an interval, or when the
 *            place is needed. A thread may still have cells of them: it is told by `flush`, lets go
 *            of them at its next turn, and what came in between goes to where it belongs.
 * SDK        counted by who has it: who started it, threads with cells, batches. A handle says in
 *            which generation it was bound, so the next SDK binds it again.
 * Locks      sdk->mutex, then a stream's; neither is held where user code runs.
 */
#ifndef SKUA_OTEL_METRIC_IMPL_H
#define SKUA_OTEL_METRIC_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include <skua/otel/reader.h>
#include <skua/sync.h>
#include <skua/telemetry.h>

#include "otel/core/otel_impl.h"

#define SKUA__METRIC_READERS 8
#define SKUA__METRIC_NONE UINT32_MAX /* the instrument goes nowhere */

/* ---- exponential buckets (metric_base2.c) ---------------------------------------------------- */

/* Bucket i is of values in (base^i, base^(i+1)], base = 2^(2^-scale). Index i lies at
 * counts[i mod max]. In a cell all is written by release stores and read by acquire loads. */
struct skua__base2_side {
    int32_t first; /* the lowest bucket that was met */
    uint32_t used; /* from it to the highest; 0: none */
    uint64_t *counts;
};

struct skua__base2 {
    int32_t scale, max_scale;
    uint32_t max;
    uint64_t zero;
    struct skua__base2_side side[2]; /* positive, negative */
};

size_t skua__base2_size(uint32_t max);
/* Over `memory` of that size, zeros. */
void skua__base2_init(struct skua__base2 *self, uint32_t max, int32_t max_scale, void *memory);
int32_t skua__base2_index(double value, int32_t scale);
void skua__base2_record(struct skua__base2 *self, double value);
/* The same value n times, n > 0. */
void skua__base2_record_many(struct skua__base2 *self, double value, uint64_t n);
/* Adds what `now` has more than `seen`; both are of one history: seen is made like now. */
void skua__base2_drain(struct skua__base2 *to, struct skua__base2 *seen,
                       const struct skua__base2 *now);
void skua__base2_add(struct skua__base2 *to, const struct skua__base2 *from);
/* A copy of a cell's, by acquire loads. */
void skua__base2_copy(struct skua__base2 *to, const struct skua__base2 *from);
void skua__base2_clear(struct skua__base2 *self);

/* ---- cells (metric_cell.c) ------------------------------------------------------------------- */

enum { SKUA__CELL_SUM, SKUA__CELL_LAST, SKUA__CELL_EXPLICIT, SKUA__CELL_BASE2 };

struct skua__metric_series;

/* A kept value. */
struct skua__sample {
    int64_t time; /* 0: none */
    uint8_t trace_id[16], span_id[8];
    bool is_f64;
    uint64_t bits;
    skua_attr *attrs; /* a block of its own */
    uint32_t attrs_count;
};

struct skua__samples {
    uint8_t lock;             /* the thread and who collects */
    uint64_t seen;            /* the thread's */
    uint32_t round;           /* the thread's: of `seen` */
    uint32_t collected;       /* rounds; atomic; written by who collects */
    uint32_t places;          /* constant */
    struct skua__sample at[]; /* guard: lock */
};

/* Buckets of either kind, and what goes with them. */
struct skua__dist {
    double sum, min, max;
    uint64_t count; /* of a state */
    uint32_t epoch; /* of min and max */
    uint64_t *counts;
    struct skua__base2 base2;
};

struct skua__cell {
    uint64_t value;   /* the bits of an i64 or a double; atomic, the thread's */
    uint64_t touched; /* atomic: set by the thread, taken by who collects. A word of its own: a load
                         of a byte that lies beside it would wait for the store */
    uint8_t what;     /* constant, as all down to seq */
    uint8_t is_f64;
    uint8_t overflow; /* its series has none of the attributes */
    struct skua__metric_stream *stream;
    uint64_t seq;                  /* odd: being written; atomic, the thread's; not of sums */
    uint64_t ticks;                /* of LAST; atomic, the thread's */
    uint32_t epoch;                /* which min and max is asked for; atomic, of who collects */
    struct skua__samples *samples; /* NULL: none yet; atomic, the thread's */
    struct skua__cell *mine;       /* of the thread */
    const void *owner;             /* the thread's state; constant */
    struct skua__metric_series *series; /* guard: the stream's lock, as all below */
    struct skua__cell *next;            /* of the series */
    uint64_t seen;
    struct skua__dist *dist, *dist_seen; /* dist: the pointer is constant */
};

/* ---- series, streams (metric_series.c) ------------------------------------------------------- */

/* What a reader has of a series. */
struct skua__metric_state {
    bool touched;   /* since the reader's last collect */
    bool reported;  /* once at least */
    uint64_t bits;  /* a sum or the last value; of an observable: what was observed */
    uint64_t past;  /* of an observable: what the last collect told */
    uint64_t ticks; /* of LAST */
    uint64_t round; /* of an observable: in which collect it was observed */
    struct skua__dist dist;
};

struct skua__metric_series {
    struct skua__metric_series *chain;      /* of the table */
    struct skua__metric_series *next, **at; /* in the order of their making; or retired ones */
    uint64_t hash;
    skua_attr *attrs; /* sorted by key; behind this struct */
    uint32_t attrs_count;
    uint32_t pins; /* bound instruments */
    bool retired;
    bool idle; /* nothing came in the last interval */
    int64_t start;
    struct skua__cell *cells;
    struct skua__samples *samples;      /* of all threads; NULL: none */
    struct skua__metric_state states[]; /* one a reader; then the buckets */
};

/* One view on one instrument, with one aggregation. Constant down to mutex. */
struct skua__metric_stream {
    struct skua__metric_stream *next; /* of the instrument */
    struct skua__metric_instrument *instrument;
    const skua_otel_view *view; /* NULL: none */
    const char *name, *description;
    skua_otel_aggregation aggregation;
    const skua_otel_reservoir *reservoir;
    uint32_t places;  /* of a reservoir */
    uint32_t readers; /* bits: who wants it */
    uint32_t limit;   /* series, the overflow too: the largest of the readers' */
    uint32_t limits[SKUA__METRIC_READERS];
    uint8_t what;              /* SKUA__CELL_… */
    bool all_delta, any_delta; /* of the readers */
    pthread_mutex_t mutex;     /* guards all below, and the series */
    struct skua__metric_series **table;
    uint32_t table_size, count; /* count: without the overflow */
    bool swept;                 /* since the last collect */
    bool overflowed, warned;    /* `warned`: of who collects */
    struct skua__metric_series *first, **last;
    struct skua__metric_series *overflow, *retired;
};

/* The series of a set of attributes, by the stream's filter; NULL: no memory. Under its lock. */
struct skua__metric_series *skua__series_find(struct skua__metric_stream *stream,
                                              const skua_attr *attrs, size_t count);
struct skua__metric_series *skua__series_of_overflow(struct skua__metric_stream *stream);
void skua__series_free(struct skua__metric_series *series);
/* Takes it out of the table; freed when no thread has a cell of it. */
void skua__series_retire(struct skua__metric_stream *stream, struct skua__metric_series *series);
/* Whether it can be given up: it is not pinned, and has nothing that is not sent. */
bool skua__series_unused(const struct skua__metric_series *series, uint32_t readers);
/* Takes to their places what came into retired ones; frees those that nobody has a cell of. */
void skua__series_bury(struct skua__metric_stream *stream);
/* Whether the stream keeps an attribute. */
bool skua__stream_keeps(const struct skua__metric_stream *stream, const skua_attr *attr);
void skua__stream_free(struct skua__metric_stream *stream);
struct skua__dist *skua__dist_new(const struct skua__metric_stream *stream);
/* Bytes for a dist's buckets, and a dist over them. */
size_t skua__dist_size(const struct skua__metric_stream *stream);
void skua__dist_init(struct skua__dist *dist, const struct skua__metric_stream *stream,
                     void *memory);
void skua__dist_clear(struct skua__dist *dist, const struct skua__metric_stream *stream);
/* Copies attributes, with keys that are not static and text. One block; NULL: no memory. */
skua_attr *skua__attrs_copy(const skua_attr *attrs, size_t count);
size_t skua__attrs_room(const skua_attr *attrs, size_t count);
void skua__attrs_put(skua_attr *to, const skua_attr *attrs, size_t count);
/* Of types that tell series apart. */
bool skua__attr_counts(const skua_attr *attr);
size_t skua__attr_bytes(const skua_attr *attr); /* of its value, behind the pointer */

/* Adds what a state has to another one. */
void skua__state_add(const struct skua__metric_stream *stream, struct skua__metric_state *to,
                     const struct skua__metric_state *from);
/* Nothing is in it any more, but what an observable was. */
void skua__state_clear(const struct skua__metric_stream *stream, struct skua__metric_state *state);
/* What came into a cell since the last time, into all states. Under the stream's lock. */
void skua__cell_drain(struct skua__cell *cell);
struct skua__cell *skua__cell_new(struct skua__metric_stream *stream,
                                  struct skua__metric_series *series);
/* Drains it, takes it from its series, and frees it. Under the stream's lock. */
void skua__cell_free(struct skua__cell *cell);
void skua__cell_i64(struct skua__cell *cell, int64_t value);
void skua__cell_f64(struct skua__cell *cell, double value);

/* Values of a histogram that were counted elsewhere: counts[0 .. bounds_count] by bounds, of which
 * there are two at least. */
struct skua__metric_many {
    const double *bounds;
    const uint64_t *counts;
    uint32_t bounds_count;
    double sum;
};
/* Adds them. Where the cell's bounds are others each value counts as the middle of its bucket. They
 * have no min and max. */
void skua__cell_many(struct skua__cell *cell, const struct skua__metric_many *many);

/* ---- exemplars (metric_exemplar.c) ----------------------------------------------------------- */

typedef enum skua__exemplars {
    SKUA__EXEMPLARS_TRACE,
    SKUA__EXEMPLARS_ON,
    SKUA__EXEMPLARS_OFF
} skua__exemplars;

/* Offers a value to a cell's reservoir. */
void skua__exemplar_offer(struct skua__cell *cell, uint64_t bits, bool is_f64,
                          const skua_attr *attrs, size_t count, skua_span *span);
/* Moves what a cell kept to its series. Under the stream's lock. */
void skua__exemplar_drain(struct skua__cell *cell);
void skua__samples_free(struct skua__samples *samples);
/* Those since a time, in memory of `alloc`. */
struct skua__metric_arena;
void skua__exemplar_report(const struct skua__metric_series *series, int64_t since,
                           struct skua__metric_arena *arena, skua_otel_point *point);

/* ---- instruments (metric_instrument.c) ------------------------------------------------------- */

struct skua__metric_instrument {
    struct skua__metric_instrument *next; /* of the scope; guard: sdk->mutex */
    struct skua__metric_scope *scope;
    uint32_t index; /* in sdk->instruments; constant, as all below */
    const char *name, *unit, *description;
    uint8_t kind, is_f64;
    const double *bounds;
    const char *const *keys;
    uint32_t bounds_count, keys_count;
    struct skua__metric_stream *streams;
    uint32_t streams_count;
};

struct skua__metric_scope {
    struct skua__metric_scope *next; /* guard: sdk->mutex */
    const skua_meter *meter;         /* the first one of its kind */
    skua_otel_scope data;
    struct skua__metric_instrument *first, **last;
};

/* A bound instrument, by its slot. */
struct skua__metric_slot {
    struct skua__metric_instrument *instrument;
    struct skua__metric_series *series[]; /* pinned, one a stream; guard: sdk->mutex */
};

static inline bool skua__metric_observable(uint8_t kind)
{
    return kind >= SKUA_KIND_OBSERVABLE_COUNTER;
}

static inline bool skua__metric_monotonic(uint8_t kind)
{
    return kind == SKUA_KIND_COUNTER || kind == SKUA_KIND_OBSERVABLE_COUNTER ||
           kind == SKUA_KIND_HISTOGRAM;
}

struct skua__metric_sdk;
/* Binds a handle; its instrument, or NULL: it goes nowhere, or there is no memory. */
struct skua__metric_instrument *skua__instrument_bind(struct skua__metric_sdk *sdk,
                                                      skua_instrument *handle);
void skua__scopes_free(struct skua__metric_sdk *sdk);
/* Binds a bound instrument: what its `bound` is from now on, which says its slot. */
uint64_t skua__instrument_slot(struct skua__metric_sdk *sdk, skua_bound *bound);
void skua__instrument_slot_free(struct skua__metric_sdk *sdk, skua_bound *bound);
/* What is to be said when the mutex is free again: who hears it may measure. */
enum {
    SKUA__SAY_METER = 1,
    SKUA__SAY_UNIT = 2,
    SKUA__SAY_BOUNDS = 4,
    SKUA__SAY_CONFLICT = 8,
    SKUA__SAY_VIEW = 16
};
/* The streams of a new instrument (metric_view.c). 0 or -ENOMEM. */
int skua__streams_make(struct skua__metric_sdk *sdk, struct skua__metric_instrument *instrument,
                       unsigned *say);
/* 0 or -EINVAL. */
int skua__views_check(const skua_otel_view *views, size_t count);

/* ---- the SDK (metric_sdk.c) ------------------------------------------------------------------ */

struct skua__metric_options {
    const skua_otel_resource *resource;
    const skua_otel_view *views;
    size_t views_count;
    skua_otel_reader *const *readers;
    size_t readers_count;
    skua__exemplars exemplars;
    /* Whether a meter's values are wanted; asked once of each instrument. NULL: all are. */
    bool (*wants)(const void *arg, const skua_meter *meter);
    const void *wants_arg;
};

struct skua__metric_sdk {
    atomic_uint refs;
    uint32_t generation; /* constant, as all down to mutex */
    const skua_otel_resource *resource;
    const skua_otel_view *views;
    size_t views_count;
    bool (*wants)(const void *arg, const skua_meter *meter);
    const void *wants_arg;
    skua_otel_reader *readers[SKUA__METRIC_READERS];
    size_t readers_count;
    skua__exemplars exemplars;
    int64_t start;
    pthread_mutex_t mutex; /* guards all below */
    struct skua__metric_scope *scopes, **scopes_last;
    struct skua__metric_instrument **instruments;
    uint32_t instruments_count, instruments_room;
    struct skua__metric_slot **slots;
    uint32_t slots_count, slots_room;
};

struct skua_otel_reader {
    atomic_uint refs; /* who made it, and SDKs: threads may still bind instruments behind its end */
    skua_otel_reader_options options; /* constant, as the next two */
    /* By kind; asked for once, when no lock is held. */
    skua_otel_temporality temporality[SKUA_KIND_OBSERVABLE_GAUGE + 1];
    skua_otel_aggregation aggregation[SKUA_KIND_OBSERVABLE_GAUGE + 1];
    uint32_t cardinality[SKUA_KIND_OBSERVABLE_GAUGE + 1]; /* 0: not said */
    pthread_mutex_t mutex;
    struct skua__metric_sdk *sdk; /* guard: mutex */
    uint32_t index;               /* in its SDK; guard: mutex */
    uint64_t round;               /* collects; guard: metric_reader.c's turn, as below */
    int64_t last;                 /* when it last collected for an SDK … */
    uint32_t last_of;             /* … of this generation, the newest one */
};

/* The generation in force: 0: none. Relaxed: the table in metric.h orders. */
extern _Atomic uint32_t skua__metric_generation;
/* Goes up when threads are to let go of retired series. */
extern _Atomic uint32_t skua__metric_flush;
extern _Atomic int skua__metric_exemplars;
extern _Atomic uint64_t skua__metric_lost; /* values, for lack of memory */

extern const skua_metric_ops skua__metric_ops;

/* Starts: 0, -EBUSY: there is one; -EINVAL: a view is not valid; -ENOMEM. What the options point at
 * lives until the next start, or the end of the process. */
int skua__metric_start(const struct skua__metric_options *options);
/* No more values are taken; readers find nothing. A last collect comes before it. */
void skua__metric_stop(void);
/* In the child of a fork: another SDK by the same options, in which nothing is counted yet. */
void skua__metric_forked(void);
/* The one that is started, with a reference; or NULL. */
struct skua__metric_sdk *skua__metric_sdk_get(void);
void skua__metric_sdk_unref(struct skua__metric_sdk *sdk);

/* ---- threads (metric_thread.c) --------------------------------------------------------------- */

/* Where values of an instrument with some attributes go. */
struct skua__metric_entry {
    uint64_t hash;
    uint32_t instrument, attrs_count;
    uint8_t kind, is_f64; /* of the instrument */
    uint32_t cells_count;
    struct skua__cell *simple; /* the only one, if it is a sum in i64 and nothing is kept of single
                                  values where nobody traces; else NULL */
    skua_attr *attrs;
    struct skua__cell *cells[]; /* then the attributes */
};

/* Of a bound instrument. */
struct skua__metric_place {
    struct skua__cell *simple; /* the entry's */
    struct skua__metric_entry *entry;
};

struct skua__metric_thread {
    uint32_t generation, flush;
    uint32_t slots_count, entries_size, entries_count;
    struct skua__metric_place *slots;    /* by bound instrument; with entries of its own */
    struct skua__metric_entry **entries; /* a hash table */
    struct skua__metric_sdk *sdk;        /* a reference */
    struct skua__cell *cells;
    uint64_t random;
};

extern __thread struct skua__metric_thread *skua__metric_own
    __attribute__((tls_model("initial-exec")));

/* Makes the thread ready for the SDK in force; NULL: there is none, no memory, or it is about to
 * end. */
struct skua__metric_thread *skua__metric_attach(void);
/* Called when a thread has been made ready for an SDK: the child of a fork lacks telemetry's own
 * thread until something is measured. NULL: nobody is. Relaxed: written by the one thread that is
 * there behind a fork, and by who it calls. */
extern void (*_Atomic skua__metric_attached)(void);
/* In the child of a fork. */
void skua__metric_threads_forget(void);
struct skua__metric_entry *skua__metric_entry_make(struct skua__metric_thread *self,
                                                   uint32_t instrument, const skua_attr *attrs,
                                                   size_t count, uint64_t hash);
struct skua__metric_entry *skua__metric_slot_make(struct skua__metric_thread *self,
                                                  skua_bound *bound);
bool skua__metric_entry_is(const struct skua__metric_entry *entry, uint32_t instrument,
                           const skua_attr *attrs, size_t count);

/* As skua_metric_f64, of many values of a histogram (metric_hot.c). No exemplars. */
void skua__metric_put_many(skua_instrument *handle, const skua_attr *attrs, size_t count,
                           const struct skua__metric_many *many);

/* ---- collecting (metric_collect.c) ----------------------------------------------------------- */

/* Where what is collected lies. */
struct skua__metric_arena {
    void *(*alloc)(void *arg, size_t size); /* aligned to 8; NULL: no memory */
    void *arg;
};

/* The child of a fork has nobody who collects. */
void skua__metric_reader_forked(void);
/* Collects for a reader. 0 or an error, as skua_otel_collect. */
int skua__metric_collect(skua_otel_reader *reader, struct skua__metric_arena *arena,
                         const skua_otel_metric **ret, uint32_t *count);
/* At most `max` points of a batch, from *metric and *point on, which are moved; `room`: of as many
 * metrics as the batch has. false: there were none left. */
bool skua__metric_part(const skua_otel_batch *whole, uint32_t max, uint32_t *metric,
                       uint32_t *point, skua_otel_metric *room, skua_otel_batch *ret);

/* A collect's state, for its parts. */
struct skua__collect {
    struct skua__metric_arena *arena;
    skua_otel_reader *reader;
    struct skua__metric_sdk *sdk;
    uint32_t index; /* of the reader */
    int64_t now, since;
    skua_otel_metric *metrics; /* in a block of the heap until the end */
    uint32_t count, room;
    int error;
};

int skua__collect_add(struct skua__collect *collect, const skua_otel_metric *metric);
void skua__collect_stream(struct skua__collect *collect, struct skua__metric_stream *stream);
/* Calls the producers of the reader (metric_reader.c). */
void skua__collect_producers(struct skua__collect *collect);

#endif
