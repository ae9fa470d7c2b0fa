/* sync_wait.h - a first-in-first-out list of waiters, which every lock and channel is built on.
 *
 * Each object has a spin lock and a list; each future that waits has a waiter in it. So waiting
 * allocates nothing.
 *
 *   from      event                                  to
 *   IDLE      poll finds nothing: listed             QUEUED
 *   QUEUED    granted: off the list, under the lock  GRANTING  on the granter's chain
 *   QUEUED    dropped: off the list, under the lock  IDLE
 *   GRANTING  the granter has woken it               GRANTED   the granter's last touch
 *   GRANTED   poll takes it, or drop passes it on    IDLE
 *
 * Waking     is done after the object's lock was let go of, and the waiter stays in its place until
 *            then: poll and drop wait out GRANTING, a few instructions. So the waiter's task, its
 *            runtime, and the object, if its owner frees it as soon as it has it, are not touched
 *            any more once GRANTED is seen.
 * Cost       a grant is one read-modify-write (the lock), two stores and the wake.
 */
#ifndef SKUA_SYNC_SYNC_WAIT_H
#define SKUA_SYNC_SYNC_WAIT_H

#include <skua/notify.h>

#include "task/task_impl.h"

#define SKUA__IDLE 0u
#define SKUA__QUEUED 1u
#define SKUA__GRANTING 2u
#define SKUA__GRANTED 3u

/* Waiters that were granted under a lock, and are to be woken behind it. */
struct skua__chain {
    skua_waiter *first;
    skua_waiter *last;
};

SKUA__INLINE struct skua__lock *skua__sync_lock(uint8_t *byte)
{
    _Static_assert(sizeof(struct skua__lock) == sizeof *byte, "the lock's room");
    return (struct skua__lock *)(void *)byte;
}

SKUA__INLINE _Atomic uint32_t *skua__waiter_state(skua_waiter *waiter)
{
    return (_Atomic uint32_t *)(void *)&waiter->state;
}

/* Under the lock, as all of the following. The reference on the waker is the waiter's. */
SKUA__INLINE void skua__waiters_push(skua_waiter_list *list, skua_waiter *waiter, skua_waker *waker)
{
    waiter->waker = skua_waker_ref(waker);
    waiter->next = NULL;
    waiter->prev = list->last;
    if (list->last != NULL)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
    skua__store_relaxed(skua__waiter_state(waiter), SKUA__QUEUED); /* read back under the lock */
}

SKUA__INLINE void skua__waiters_unlink(skua_waiter_list *list, skua_waiter *waiter)
{
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        list->first = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    else
        list->last = waiter->prev;
}

/* Takes a waiter off the list and puts it on the chain. */
SKUA__INLINE void skua__waiters_grant(skua_waiter_list *list, skua_waiter *waiter,
                                      struct skua__chain *chain)
{
    skua__waiters_unlink(list, waiter);
    waiter->next = NULL;
    if (chain->last != NULL)
        chain->last->next = waiter;
    else
        chain->first = waiter;
    chain->last = waiter;
    /* Relaxed: whoever sees it only waits for GRANTED. */
    skua__store_relaxed(skua__waiter_state(waiter), SKUA__GRANTING);
}

/* Wakes the chain. Without the lock. */
void skua__chain_wake(struct skua__chain *chain);

/* A poll of a waiter that is not IDLE: SKUA_PENDING, with `waker` kept, or 0: it is granted, and
 * IDLE again. Without the lock. */
skua_poll skua__waiter_again(skua_waiter *waiter, struct skua__lock *lock, skua_waker *waker);

/* A drop: takes the waiter off the list. True when it had been granted: what was granted is the
 * caller's to pass on. Without the lock. */
bool skua__waiter_leave(skua_waiter *waiter, struct skua__lock *lock, skua_waiter_list *list);

#endif
