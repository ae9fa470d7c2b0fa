/* sched_deque.h - a worker's queue of tasks that others may take: a bounded ring.
 *
 * The owner pushes at the tail and pops at the head (first in, first out, as servers want);
 * thieves take half from the head. After the run queue of Go's scheduler (runtime/proc.go).
 *
 * Orderings  tail is written by the owner only. Its release store publishes the slot; thieves
 *            acquire it. head is moved by compare-and-swap by owner and thieves: release, so that
 *            the owner, which acquires head before it reuses a slot, comes after the thief's
 *            reads of it; a thief whose slots were reused under its hands fails its
 *            compare-and-swap, because head has moved by then. Slots are relaxed atomics: what a
 *            failing thief read is thrown away. head and tail only grow; a thief would have to
 *            sleep for 2^32 pushes to be fooled.
 * Cost       push: two loads, two stores. pop: one compare-and-swap.
 */
#ifndef SKUA_SCHED_SCHED_DEQUE_H
#define SKUA_SCHED_SCHED_DEQUE_H

#include "base/atomic.h"
#include "base/check.h"

#ifndef SKUA__DEQUE_SIZE /* models of it have a small one */
#define SKUA__DEQUE_SIZE 1024u
#define SKUA__DEQUE_GRAB 128u /* as many go to a thief at once, or to the shared queue */
#endif

struct skua__deque {
    SKUA__ALIGNED(SKUA__CACHE_LINE) _Atomic uint32_t head; /* owner and thieves */
    SKUA__ALIGNED(SKUA__CACHE_LINE) _Atomic uint32_t tail; /* owner */
    _Atomic uint32_t slots[SKUA__DEQUE_SIZE];              /* cell indices */
};

SKUA__INLINE uint32_t skua__deque_len(struct skua__deque *deque)
{
    /* Relaxed: a hint for whoever looks from outside. */
    return skua__load_relaxed(&deque->tail) - skua__load_relaxed(&deque->head);
}

/* False when it is full. Owner. */
SKUA__INLINE bool skua__deque_push(struct skua__deque *deque, uint32_t cell)
{
    uint32_t tail = skua__load_relaxed(&deque->tail); /* own */
    uint32_t head = skua__load_acquire(&deque->head);

    if (skua__unlikely(tail - head == SKUA__DEQUE_SIZE))
        return false;
    skua__store_relaxed(&deque->slots[tail % SKUA__DEQUE_SIZE], cell);
    skua__store_release(&deque->tail, tail + 1);
    return true;
}

/* The oldest, or 0. Owner. */
SKUA__INLINE uint32_t skua__deque_pop(struct skua__deque *deque)
{
    uint32_t tail = skua__load_relaxed(&deque->tail); /* own */
    uint32_t head = skua__load_acquire(&deque->head);

    while (head != tail) {
        uint32_t cell = skua__load_relaxed(&deque->slots[head % SKUA__DEQUE_SIZE]);

        if (skua__cas_acq_rel(&deque->head, &head, head + 1))
            return cell;
    }
    return 0;
}

/* Takes the older half (at least one, at most SKUA__DEQUE_GRAB) of `victim` into `cells`. Returns
 * how many. Any thread. */
SKUA__INLINE uint32_t skua__deque_grab(struct skua__deque *victim, uint32_t *cells)
{
    uint32_t head = skua__load_acquire(&victim->head);

    for (;;) {
        uint32_t tail = skua__load_acquire(&victim->tail);
        uint32_t count = tail - head;

        count -= count / 2;
        if (count == 0)
            return 0;
        if (count > SKUA__DEQUE_SIZE / 2) { /* head and tail are of different moments */
            head = skua__load_acquire(&victim->head);
            continue;
        }
        count = count < SKUA__DEQUE_GRAB ? count : SKUA__DEQUE_GRAB;
        for (uint32_t i = 0; i < count; i++)
            cells[i] = skua__load_relaxed(&victim->slots[(head + i) % SKUA__DEQUE_SIZE]);
        if (skua__cas_acq_rel(&victim->head, &head, head + count))
            return count;
    }
}

#endif
