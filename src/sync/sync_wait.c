/* sync_wait.c - see sync_wait.h: waking, waiting again, leaving. */
#include "sync/sync_wait.h"

/* The granter is between taking the waiter off the list and its last touch: a wake away. */
static void waiter_settle(skua_waiter *waiter)
{
    /* Acquire pairs with the release in skua__chain_wake: what was granted is seen. */
    while (skua__load_acquire(skua__waiter_state(waiter)) == SKUA__GRANTING)
        skua__os_thread_yield();
}

void skua__chain_wake(struct skua__chain *chain)
{
    skua_waiter *waiter = chain->first;

    while (waiter != NULL) {
        skua_waiter *next = waiter->next;

        skua_waker_wake(waiter->waker);
        skua_waker_unref(waiter->waker);
        skua__store_release(skua__waiter_state(waiter), SKUA__GRANTED);
        waiter = next;
    }
}

skua_poll skua__waiter_again(skua_waiter *waiter, struct skua__lock *lock, skua_waker *waker)
{
    skua_waker *before = NULL;
    bool queued;

    if (skua__load_acquire(skua__waiter_state(waiter)) == SKUA__QUEUED) {
        skua__lock_take(lock);
        queued = skua__load_relaxed(skua__waiter_state(waiter)) == SKUA__QUEUED;
        if (queued && waiter->waker != waker) {
            before = waiter->waker;
            waiter->waker = skua_waker_ref(waker);
        }
        skua__lock_drop(lock);
        skua_waker_unref(before);
        if (queued)
            return SKUA_PENDING;
    }
    waiter_settle(waiter);
    skua__store_relaxed(skua__waiter_state(waiter), SKUA__IDLE); /* nobody else has it any more */
    return 0;
}

bool skua__waiter_leave(skua_waiter *waiter, struct skua__lock *lock, skua_waiter_list *list)
{
    bool queued;

    if (skua__load_relaxed(skua__waiter_state(waiter)) == SKUA__IDLE) /* its owner's, then */
        return false;
    skua__lock_take(lock);
    queued = skua__load_relaxed(skua__waiter_state(waiter)) == SKUA__QUEUED;
    if (queued)
        skua__waiters_unlink(list, waiter);
    skua__lock_drop(lock);
    if (queued)
        skua_waker_unref(waiter->waker);
    else
        waiter_settle(waiter);
    skua__store_relaxed(skua__waiter_state(waiter), SKUA__IDLE);
    return !queued;
}
