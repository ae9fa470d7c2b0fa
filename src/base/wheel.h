/* wheel.h - a hierarchical timer wheel for one thread, with the node inside the timer.
 *
 * Flow       time/sleep, await deadlines -> skua__wheel_arm -> the driver's turn calls
 *            skua__wheel_advance -> wakes.
 * Layout     8 levels of 64 slots. Level n holds timers that differ from `elapsed` first in bit
 *            group n (6 bits a group), counted in ticks of 2^15 ns = 32.8 µs. A timer moves down
 *            a level when its slot's turn comes, at most 7 times in its life; a bit map a level
 *            says which slots hold anything. After George Varghese's hierarchical wheels (1987).
 * Cost       arm, cancel: O(1), a dozen instructions, no lock, no memory. 8.2 KiB a wheel.
 * Invariant  a timer never fires before its deadline: ticks are rounded up when armed, down when
 *            the clock is read.
 * Guards     everything belongs to the owner thread. A task with an armed timer is bound to the
 *            worker of its wheel (task_impl.h), so that nobody else ever has to cancel it.
 */
#ifndef SKUA_BASE_WHEEL_H
#define SKUA_BASE_WHEEL_H

#include <skua/time.h>

#include "base/check.h"
#include "base/list.h"

#define SKUA__TICK_BITS 15
#define SKUA__WHEEL_LEVELS 8
#define SKUA__WHEEL_SLOTS 64
#define SKUA__WHEEL_LATE 24

/* States of skua_sleep_future.waker and .when: unarmed (waker NULL, when = deadline in ns), armed
 * (waker set, when the same), fired (waker NULL, when = SKUA__WHEEL_FIRED). */
#define SKUA__WHEEL_FIRED UINT64_MAX

/* The latest deadline there is, 292 years after the machine's start: its tick has 48 bits. */
#define SKUA__WHEEL_HORIZON (INT64_MAX - (INT64_C(1) << (SKUA__TICK_BITS + 1)))

struct skua__wheel {
    uint64_t elapsed;                /* every timer of a tick <= this one has fired */
    uint64_t armed;                  /* how many timers are in */
    uint64_t fired;                  /* how many ever fired */
    uint64_t late[SKUA__WHEEL_LATE]; /* and how late, as runtime.h's timers_late; snapshots read
                                          it: relaxed, one writer; so is the next */
    uint64_t late_ns;
    uint64_t used[SKUA__WHEEL_LEVELS]; /* bit s: slot s of the level is not empty */
    struct skua__node slots[SKUA__WHEEL_LEVELS][SKUA__WHEEL_SLOTS];
};

void skua__wheel_init(struct skua__wheel *wheel, int64_t now);

/* Fires what is due at `now` (ns) and returns how many: each is marked fired, then woken. */
unsigned skua__wheel_advance(struct skua__wheel *wheel, int64_t now);

/* When to advance next: never later than the earliest timer, INT64_MAX for an empty wheel. */
int64_t skua__wheel_next(const struct skua__wheel *wheel);

/* The same two to the nanosecond instead of the tick, for a clock that stands still in between:
 * the earliest deadline; and fires what is due, whose tick has not passed, too. They look at every
 * timer of a slot. */
int64_t skua__wheel_next_exact(const struct skua__wheel *wheel);
unsigned skua__wheel_advance_exact(struct skua__wheel *wheel, int64_t now);

SKUA__INLINE struct skua__node *skua__wheel_node(skua_sleep_future *timer)
{
    _Static_assert(sizeof timer->link == sizeof(struct skua__node), "the node's room");
    return (struct skua__node *)(void *)timer->link;
}

/* The tick in which a deadline, in ns, has surely passed. */
SKUA__INLINE uint64_t skua__wheel_tick(uint64_t when)
{
    return (when + (1u << SKUA__TICK_BITS) - 1) >> SKUA__TICK_BITS;
}

/* The time as of the last turn: at most the real one. */
SKUA__INLINE int64_t skua__wheel_now(const struct skua__wheel *wheel)
{
    return (int64_t)(wheel->elapsed << SKUA__TICK_BITS);
}

/* Puts a timer into its slot. */
SKUA__INLINE void skua__wheel_place(struct skua__wheel *wheel, skua_sleep_future *timer)
{
    uint64_t due = skua__wheel_tick(timer->when);
    uint64_t tick = due > wheel->elapsed ? due : wheel->elapsed + 1;
    unsigned level = (unsigned)(63 - __builtin_clzll((tick ^ wheel->elapsed) | 63)) / 6;
    unsigned slot = (tick >> (level * 6)) & (SKUA__WHEEL_SLOTS - 1);

    wheel->used[level] |= UINT64_C(1) << slot;
    skua__list_push(&wheel->slots[level][slot], skua__wheel_node(timer));
}

/* Arms an unarmed timer for `deadline`; `waker` is woken when it fires. */
SKUA__INLINE void skua__wheel_arm(struct skua__wheel *wheel, skua_sleep_future *timer,
                                  int64_t deadline, skua_waker *waker)
{
    skua__assert_slow(timer->waker == NULL);
    timer->when = deadline < 0 ? 0 : (uint64_t)deadline;
    timer->waker = waker;
    wheel->armed++;
    skua__wheel_place(wheel, timer);
}

/* Takes an armed timer out. */
SKUA__INLINE void skua__wheel_cancel(struct skua__wheel *wheel, skua_sleep_future *timer)
{
    struct skua__node *node = skua__wheel_node(timer);
    struct skua__node *head = node->next;

    skua__assert_slow(timer->waker != NULL);
    if (head == node->prev) { /* it was alone: the neighbour on both sides is the slot's head */
        size_t index = (size_t)(head - &wheel->slots[0][0]);

        wheel->used[index / SKUA__WHEEL_SLOTS] &= ~(UINT64_C(1) << (index % SKUA__WHEEL_SLOTS));
    }
    skua__node_unlink(node);
    timer->waker = NULL;
    wheel->armed--;
}

#endif
