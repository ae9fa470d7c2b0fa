/* trace_impl.h - spans as the SDK has them.
 *
 *   trace_span.c     started, set, ended: the functions behind trace.h
 *   trace_record.c   a span that has ended: into its thread's ring, and out of it as data.h has it
 *   trace_sample.c   samplers
 *
 * A span     lives in 640 bytes of its thread's spare ones: its head, names, the first bytes of its
 *            notes (notes_impl.h); more notes get memory of their own. Notes are what the record
 *            will have, so an end is a copy, and an attribute is written once.
 *
 *   start -> sampled? -> notes … -> end -> record in the ring of the thread that ends it
 *                \-> dropped: only a head, for those that come behind
 *
 * Locks      a span's `lock` guards all but its head: one byte, held for a few instructions.
 */
#ifndef SKUA_OTEL_TRACE_IMPL_H
#define SKUA_OTEL_TRACE_IMPL_H

#include <skua/otel/sampler.h>
#include <skua/telemetry.h>

#include "otel/core/otel_clock.h"
#include "otel/core/otel_reader.h"
#include "otel/core/otel_thread.h"
#include "otel/notes/notes_impl.h"

#define SKUA__SPAN_SIZE 640
#define SKUA__SPAN_NAME 64   /* bytes of a name that is kept inside */
#define SKUA__SPAN_SPARES 64 /* of a thread */

/* ---- a span (trace_span.c) ------------------------------------------------------------------- */

struct skua__span {
    skua_span_head head; /* its first word links spare ones */
    char *trace_state;   /* the context's, when it is memory of its own; constant */
    bool filled;         /* it is recorded: what follows is there; constant */
    /* constant, from here */
    const skua_tracer *tracer;
    uint8_t parent_id[8];
    uint64_t start; /* ticks; or ns since 1970 */
    uint8_t kind;
    bool parent_remote, start_is_wall;
    /* guard: lock, from here */
    uint8_t lock;
    bool ended;
    uint8_t status;
    uint16_t name_len;
    char *name; /* `near`, or memory of its own */
    char *status_text;
    struct skua__notes notes;
    char near[SKUA__SPAN_NAME];
    _Alignas(8) char first[]; /* of the notes */
};

/* What all spans follow; constant once it is installed, and never freed. */
struct skua__trace_sdk {
    const void *owner;          /* of who installs it, for its functions */
    bool closed;                /* telemetry is off: what ends late is counted */
    bool unheard;               /* nobody gets spans: they are contexts, sampled as ever, alone */
    skua_otel_sampler *sampler; /* NULL: what follows says it */
    uint64_t threshold;         /* a root is kept when the lower 56 bits of its id are not below */
    bool orphan;                /* so is every span; else as the parent was */
    struct skua__otel_limits limits;
    /* A ring has more than `wake_at` bytes: wakes the collector. Any thread, and must not wait. */
    void (*filled)(void);
    size_t wake_at;
    /* Processors of the user's: see pipe. NULL: there are none. */
    void (*on_start)(const struct skua__trace_sdk *sdk, skua_span *span,
                     const skua_span_context *parent);
    void (*on_end)(const struct skua__trace_sdk *sdk, skua_span *span);
    /* 16 and 8 bytes; NULL: random ones. */
    void (*new_trace_id)(uint8_t id[16]);
    void (*new_span_id)(uint8_t id[8]);
    /* Whether a tracer's spans are wanted; asked of each once, on the thread that starts a span.
     * NULL: all are. `number`: of this SDK, by which tracers keep the answer; not 0. */
    bool (*wants)(const struct skua__trace_sdk *sdk, const skua_tracer *tracer);
    uint64_t number;
};

extern const skua_trace_ops skua__trace_ops;
extern _Atomic uint64_t skua__trace_late; /* spans that ended when it was closed; relaxed */
/* Before skua_trace_install. */
void skua__trace_use(const struct skua__trace_sdk *sdk);
const struct skua__trace_sdk *skua__trace_used(void);

/* ---- a record (trace_record.c) --------------------------------------------------------------- */

/* Behind it: the name, the status text, the trace state, each with a NUL; from the next multiple of
 * 8 on the notes. */
struct skua__span_record {
    const skua_tracer *tracer;
    uint64_t start, end;
    uint8_t trace_id[16], span_id[8], parent_id[8];
    uint8_t flags, kind, status;
    uint8_t bits; /* SKUA__RECORD_… */
    uint16_t name_len, state_len;
    uint32_t status_len, notes_len;
    uint32_t attrs, events, links;
    uint32_t attrs_over, events_over, links_over;
};

#define SKUA__RECORD_REMOTE 1u     /* the parent is */
#define SKUA__RECORD_START_WALL 2u /* start is ns since 1970 */
#define SKUA__RECORD_END_WALL 4u

/* Into the ring; false: it was dropped. Under the span's lock. */
bool skua__span_record(struct skua__otel_thread *thread, struct skua__span *span, uint64_t end,
                       bool wall);

extern const struct skua__otel_reader skua__otel_span_reader;

/* ---- samplers (trace_sample.c) --------------------------------------------------------------- */

/* Sets `sampler`, or what stands for it without a call; NULL: the default, parent_based and on. */
void skua__trace_sampler(struct skua__trace_sdk *sdk, skua_otel_sampler *sampler);

#endif
