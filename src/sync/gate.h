/* gate.h - what gate.c offers to others that are gates, too (token.c). */
#ifndef SKUA_SYNC_GATE_H
#define SKUA_SYNC_GATE_H

#include "sync/sync_wait.h"

SKUA__INLINE struct skua__lock *skua__gate_lock(skua_gate *gate)
{
    return skua__sync_lock(&gate->lock);
}

/* Changed under the lock; read without it by those who only ask. */
SKUA__INLINE _Atomic uint64_t *skua__gate_number(skua_gate *gate)
{
    return (_Atomic uint64_t *)(void *)&gate->number;
}

SKUA__INLINE uint64_t skua__gate_get(skua_gate *gate)
{
    return skua__load_relaxed(skua__gate_number(gate)); /* under the lock */
}

/* Release: who asks without the lock sees what was done before. */
SKUA__INLINE void skua__gate_set(skua_gate *gate, uint64_t number)
{
    skua__store_release(skua__gate_number(gate), number);
}

/* Under the lock. */
SKUA__INLINE void skua__gate_grant_all(skua_gate *gate, struct skua__chain *chain)
{
    while (gate->waiters.first != NULL)
        skua__waiters_grant(&gate->waiters, gate->waiters.first, chain);
}

/* A poll of any gate: `pass` is asked under the lock. */
SKUA__INLINE skua_poll skua__gate_poll(skua_future *future, skua_waker *waker,
                                       bool (*pass)(skua_gate *gate))
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_gate *gate = self->object;
    bool passes;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE)
        return skua__waiter_again(&self->waiter, skua__gate_lock(gate), waker);
    skua__lock_take(skua__gate_lock(gate));
    passes = pass(gate);
    if (!passes)
        skua__waiters_push(&gate->waiters, &self->waiter, waker);
    skua__lock_drop(skua__gate_lock(gate));
    return passes ? 0 : SKUA_PENDING;
}

void skua__gate_drop(skua_future *future);
skua_future *skua__gate_future(skua_sync_future *self, skua_gate *gate, const skua_future_ops *ops);

#endif
