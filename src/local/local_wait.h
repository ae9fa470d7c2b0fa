/* local_wait.h - a line of waiters that one thread has for itself: what local.h is built on.
 *
 * Each future that waits has a waiter in it, in its object's line: waiting allocates nothing.
 *
 *   from      event                                  to
 *   IDLE      poll finds nothing: in line            QUEUED
 *   QUEUED    granted: out of the line, then woken   GRANTED
 *   QUEUED    dropped: out of the line               IDLE
 *   GRANTED   poll takes it, or drop passes it on    IDLE
 *
 * Waking     comes last in a grant, when object and waiter are what they are to be. The woken task
 *            runs on this thread, so not before the granter waits or returns; then the object may
 *            be freed. A poll that finds GRANTED does not touch the object.
 * Thread     a line keeps the address of a byte that each thread has one of. It is compared where
 *            somebody lines up, leaves or is woken (skua__local_claim): there it is lost among what
 *            the wait costs; in a debug build at every use of the object (skua__local_touch).
 */
#ifndef SKUA_LOCAL_LOCAL_WAIT_H
#define SKUA_LOCAL_LOCAL_WAIT_H

#include <skua/local.h>

#include "task/task_impl.h"

#define SKUA__LOCAL_IDLE 0u
#define SKUA__LOCAL_QUEUED 1u
#define SKUA__LOCAL_GRANTED 2u

/* Makes the line this thread's, or ends the process when it is another's. */
void skua__local_claim(skua_local_line *line);

/* The same in a debug build; else nothing. */
SKUA__INLINE void skua__local_touch(const skua_local_line *line)
{
#ifdef NDEBUG
    (void)line;
#else
    skua__local_claim((skua_local_line *)(uintptr_t)line);
#endif
}

/* The usual case of skua__task_leaf, which keeps less in registers: a fiber that nothing ends, with
 * budget left. False: nothing was done. */
SKUA__INLINE bool skua__local_leaf(void)
{
    struct skua__thread *self = skua__thread_self();
    const struct skua_task *task = self->current;

    /* Relaxed: as in await.c. */
    if (skua__unlikely(task == NULL || !(task->flags & SKUA__FIBER) || task->context != NULL ||
                       (skua__load_relaxed(&task->state) & SKUA__CANCELLED) || self->budget == 0))
        return false;
    self->budget--;
    return true;
}

SKUA__INLINE skua_local_future *skua__local_future_of(skua_future *future)
{
    return skua__container(future, skua_local_future, future);
}

SKUA__INLINE const skua_local_future *skua__local_waiting(skua_local_waiter *waiter)
{
    return skua__container(waiter, skua_local_future, waiter);
}

SKUA__INLINE skua_future *skua__local_future(skua_local_future *self, void *object, uint64_t value,
                                             const skua_future_ops *ops)
{
    self->future.ops = ops;
    self->object = object;
    self->value = value;
    self->waiter.value = value;
    self->waiter.state = SKUA__LOCAL_IDLE;
    return &self->future;
}

/* Puts a waiter at the end of the line. */
void skua__local_line_up(skua_local_line *line, skua_local_waiter *waiter, skua_waker *waker);
/* Takes a waiter out of its line and wakes it. */
void skua__local_grant(skua_local_line *line, skua_local_waiter *waiter);
/* A poll of a waiter that is not IDLE: SKUA_PENDING, with `waker` kept; 0: it was granted, and is
 * IDLE now. */
skua_poll skua__local_again(skua_local_waiter *waiter, skua_waker *waker);
/* A drop of one that is not IDLE. True when it had been granted: what it was granted is the
 * caller's to pass on. */
bool skua__local_leave(skua_local_line *line, skua_local_waiter *waiter);

#endif
