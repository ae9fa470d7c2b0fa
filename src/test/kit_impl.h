/* kit_impl.h - a test: its runtime, and the clock that goes instead of the system's.
 *
 * The kit takes a current-thread runtime that has not run yet and changes three things: its clock
 * (skua__core.clock), how its worker parks (skua__park_ops: kit_clock.c), and, with
 * a seed, which task goes next (sched_queue.c). Nothing else of the runtime knows of it. All of it
 * belongs to the one thread that runs the test.
 *
 * The files: kit_run.c (making, running, exploring), kit_clock.c (when the clock moves, deadlocks).
 */
#ifndef SKUA_TEST_KIT_IMPL_H
#define SKUA_TEST_KIT_IMPL_H

#include <skua/test.h>

#include "runtime/runtime_impl.h"

struct kit_advance;

struct skua__kit {
    int64_t now; /* the clock, ns */
    bool paused;
    struct kit_advance *advance; /* who moves the clock by hand, or NULL */
    int64_t patience;            /* real ns; constant */
    skua_runtime *runtime;       /* constant */
    bool deadlocked;             /* its tasks have been cancelled for that */
    bool stuck;                  /* … and wait all the same: the loop is left */
    bool called;                 /* fn has ended, with `result` */
    int result;
    skua_fiber_fn fn; /* constant */
    void *arg;        /* constant */
    skua_scope scope; /* of fn and its children */
};

/* How a test's worker parks. */
extern const struct skua__park_ops skua__kit_park;

/* The calling task's test, or NULL. */
SKUA__INLINE struct skua__kit *skua__kit_of(struct skua__thread *self)
{
    if (self->core == NULL || self->core->clock == NULL)
        return NULL;
    return skua__container(self->core->clock, struct skua__kit, now);
}

#endif
