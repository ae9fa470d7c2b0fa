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
    int64_t deadline;          /* the earliest of the chain; constant */
    skua_task_queue *queue;    /* the innermost of the chain; constant */
    const skua_local_key *key; /* NULL: a deadline's link; constant */
    void *value;               /* constant */
    skua_span *span;           /* the innermost of the chain; constant */
    bool lent;                 /* its memory is the value's: key->unref frees both; constant */
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

#endif
