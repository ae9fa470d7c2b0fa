/* context.h - what a task inherits: a chain of links, the innermost first.
 *
 * Made and ended in task_context.c; where a task's chain hangs, task_impl.h says.
 */
#ifndef SKUA_BASE_CONTEXT_H
#define SKUA_BASE_CONTEXT_H

#include <stdbool.h>

#include <skua/task.h>
#include <skua/trace.h>

#include "base/atomic.h"
#include "base/defs.h"

/* An immutable link of the chain that a task sees: a deadline, or one local. Counted, since a
 * spawned task may outlive the frame that made it. */
struct skua__context {
    struct skua__context *outer; /* one reference; constant */
    struct skua_task *maker;     /* whose frame it is, and who may end it; constant */
    _Atomic uint32_t refs;
    uint32_t generation;       /* a task's span: the maker's; constant */
    int64_t deadline;          /* the earliest of the chain; constant */
    skua_task_queue *queue;    /* the innermost of the chain; constant */
    const skua_local_key *key; /* NULL: a deadline's link; constant */
    void *value;               /* constant */
    skua_span *span;           /* the innermost of the chain; constant */
    bool lent;                 /* its memory is the value's: key->unref frees both; constant */
    void *figures;             /* a task's span: what is measured; the maker's holder */
};

SKUA__INLINE struct skua__context *skua__context_ref(struct skua__context *context)
{
    if (context != NULL)
        skua__add_relaxed(&context->refs, 1); /* the caller holds one: no ordering is needed */
    return context;
}
void skua__context_unref(struct skua__context *context);

SKUA__INLINE int64_t skua__context_deadline(const struct skua__context *context)
{
    return context == NULL ? INT64_MAX : context->deadline;
}

/* ---- spans of tasks: told by the task's floor, made by telemetry (task_span.c) --------------- */

struct skua__thread;

/* A task was spawned, and is not queued yet: gives it a span where it shall have one. asked: by
 * SKUA_TRACED. */
void skua__task_span_begin(struct skua__thread *self, struct skua_task *task, bool asked);
/* A turn of a task begins or ends, or it is woken. Holder; kind: a skua_probe_kind. */
void skua__task_span_turn(struct skua__thread *self, struct skua_task *task, int kind);
/* It ends. Only where skua__context_made_by says that it may have a span. */
void skua__task_span_end(struct skua__thread *self, struct skua_task *task, int result);

/* No SDK is there any more: turns are not told until the next span. */
void skua__task_spans_rest(void);

/* Whether the front link may be the task's own: a cheap look before a dear one. */
SKUA__INLINE bool skua__context_made_by(const struct skua__context *context,
                                        const struct skua_task *task)
{
    return context != NULL && context->maker == task;
}

#endif
