/* timed_line.h - a first-in-first-out line for what becomes ready with time, of which the first one
 * has the timer. Debounce, throttle, delay queue and rate limiter are made of it.
 *
 * There is no task behind such an object, so somebody who waits must have the timer, in the wheel
 * of its own thread: that is the first in line. An object says by its `look` whether there is
 * something for the first, or when to look again.
 *
 *   the first    looks whenever it is polled: takes what is there and leaves, and the next one is
 *                told when there is, or will be, something for it; else arms its timer
 *   the others   wait without a timer
 *   told         an object that has something earlier than its timer tells the first: it is taken
 *                off the list, since whoever wakes must not touch it later (sync_wait.h), is
 *                `told` meanwhile, which keeps all others behind it, and comes back to the front
 *   dropped      the first, or the told one, tells the next
 *
 * Invariant  while somebody is in line and the object will be ready at a moment: one is told, or
 *            the first has a timer for that moment or an earlier one, or is at it.
 * Cost       a wait with a timer that fires is two looks under the lock; nothing is allocated.
 */
#ifndef SKUA_RHYTHM_TIMED_LINE_H
#define SKUA_RHYTHM_TIMED_LINE_H

#include <skua/interval.h>

#include "sync/sync_wait.h"

/* Under the lock, for the first in line: its answer, or SKUA_PENDING. *again: when to look for the
 * next answer, in ns; it stays SKUA_FOREVER when nothing is known, and somebody will be told.
 * `value` is what the wait was made with. */
typedef skua_poll (*skua__timed_look)(skua_timed_line *line, void *value, int64_t now,
                                      int64_t *again);

/* A kind of wait. Static, and the ops are the future's. */
struct skua__timed_kind {
    skua_future_ops ops; /* poll and drop are the two below */
    skua__timed_look look;
};

skua_poll skua__timed_poll(skua_future *future, skua_waker *waker);
void skua__timed_drop(skua_future *future);

#define SKUA__TIMED_KIND(name_, look_)                                                             \
    {                                                                                              \
        .ops = {.name = (name_), .poll = skua__timed_poll, .drop = skua__timed_drop},              \
        .look = (look_)                                                                            \
    }

SKUA__INLINE struct skua__lock *skua__timed_lock(skua_timed_line *line)
{
    return skua__sync_lock(&line->lock);
}

/* Under the lock: the first in line is to look. */
void skua__timed_tell(skua_timed_line *line, struct skua__chain *chain);

/* Looks without a wait: an answer, or -EAGAIN, also when somebody is in line. */
int skua__timed_try(skua_timed_line *line, const struct skua__timed_kind *kind, void *value);

/* A direct call: tries, and waits at most until `deadline`. */
int skua__timed_wait(skua_timed_line *line, const struct skua__timed_kind *kind, void *value,
                     int64_t deadline);

skua_future *skua__timed_init(skua_timed_future *self, skua_timed_line *line,
                              const struct skua__timed_kind *kind, void *value);

#endif
