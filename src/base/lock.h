/* lock.h - a spin lock of one byte, for sections of a few instructions.
 *
 * Who holds it never waits, allocates, calls a user's function or makes a system call. An
 * uncontended pair costs one read-modify-write and one store. After a short spin the waiter
 * gives its slice away, because the holder may have been preempted: `yield` is handed in by the
 * caller, so that this file needs no operating system.
 */
#ifndef SKUA_BASE_LOCK_H
#define SKUA_BASE_LOCK_H

#include "base/atomic.h"

struct skua__lock {
    _Atomic uint8_t held;
};

void skua__lock_wait(struct skua__lock *lock);

SKUA__INLINE void skua__lock_take(struct skua__lock *lock)
{
    /* Acquire pairs with the release store in skua__lock_drop. */
    if (skua__unlikely(atomic_exchange_explicit(&lock->held, 1, memory_order_acquire)))
        skua__lock_wait(lock);
}

/* Whether it was free, and is taken. */
SKUA__INLINE bool skua__lock_try(struct skua__lock *lock)
{
    return atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) == 0; /* as above */
}

SKUA__INLINE void skua__lock_drop(struct skua__lock *lock)
{
    skua__store_release(&lock->held, 0);
}

#endif
