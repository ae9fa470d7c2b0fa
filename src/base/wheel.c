/* wheel.c - the slow half of the timer wheel: turning it.
 *
 * skua__wheel_advance jumps from occupied slot to occupied slot with the bit maps, so that a
 * long sleep costs nothing for the empty ticks in between. A slot of level 0 is one tick: its
 * timers fire. A slot of a higher level is a range: when `elapsed` reaches its start, its timers
 * are placed again, each at least one level lower.
 */
#include "base/wheel.h"

void skua__wheel_init(struct skua__wheel *wheel, int64_t now)
{
    wheel->elapsed = (uint64_t)now >> SKUA__TICK_BITS;
    wheel->armed = 0;
    wheel->fired = 0;
    for (unsigned i = 0; i < SKUA__WHEEL_LATE; i++)
        wheel->late[i] = 0;
    wheel->late_ns = 0;
    for (unsigned level = 0; level < SKUA__WHEEL_LEVELS; level++) {
        wheel->used[level] = 0;
        for (unsigned slot = 0; slot < SKUA__WHEEL_SLOTS; slot++)
            skua__list_init(&wheel->slots[level][slot]);
    }
}

/* The first tick of the earliest occupied slot, and which slot; false when there is none. Lower
 * levels come first: all of level n is earlier than the first occupied slot of level n + 1. */
static bool wheel_earliest(const struct skua__wheel *wheel, uint64_t *ret_tick, unsigned *ret_level,
                           unsigned *ret_slot)
{
    for (unsigned level = 0; level < SKUA__WHEEL_LEVELS; level++) {
        unsigned shift = level * 6;
        unsigned here = (wheel->elapsed >> shift) & (SKUA__WHEEL_SLOTS - 1);
        uint64_t later = wheel->used[level] & ~((UINT64_C(2) << here) - 1);

        /* A timer differs from `elapsed` first in this level's group, and is later: so its slot
         * lies behind `here`, never before it. */
        skua__assert_slow((wheel->used[level] & ((UINT64_C(2) << here) - 1)) == 0);
        if (later == 0)
            continue;
        *ret_slot = (unsigned)__builtin_ctzll(later);
        *ret_level = level;
        *ret_tick = ((wheel->elapsed >> shift) & ~(uint64_t)(SKUA__WHEEL_SLOTS - 1)) + *ret_slot;
        *ret_tick <<= shift;
        return true;
    }
    return false;
}

static void wheel_late(struct skua__wheel *wheel, uint64_t when, int64_t now)
{
    uint64_t ns = (uint64_t)now > when ? (uint64_t)now - when : 0;
    unsigned bucket = ns < 128 ? 0 : (unsigned)(63 - __builtin_clzll(ns)) - 6;
    uint64_t *at = &wheel->late[bucket < SKUA__WHEEL_LATE ? bucket : SKUA__WHEEL_LATE - 1];

    __atomic_store_n(at, *at + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&wheel->late_ns, wheel->late_ns + ns, __ATOMIC_RELAXED);
}

static unsigned wheel_fire(struct skua__wheel *wheel, struct skua__node *due, int64_t now)
{
    struct skua__node *node;
    unsigned count = 0;

    while ((node = skua__list_pop(due)) != NULL) {
        skua_sleep_future *timer = skua__container(node, skua_sleep_future, link);
        skua_waker *waker = timer->waker;

        /* From here on the timer may be gone as soon as its task runs: so the mark comes first. */
        wheel_late(wheel, timer->when, now);
        timer->when = SKUA__WHEEL_FIRED;
        timer->waker = NULL;
        wheel->armed--;
        wheel->fired++;
        count++;
        skua_waker_wake(waker);
        skua_waker_unref(waker);
    }
    return count;
}

unsigned skua__wheel_advance(struct skua__wheel *wheel, int64_t now)
{
    uint64_t target = (uint64_t)now >> SKUA__TICK_BITS;
    struct skua__node due;
    struct skua__node *node;
    uint64_t tick;
    unsigned level;
    unsigned slot;
    unsigned count = 0;

    skua__list_init(&due);
    while (wheel->armed != 0 && wheel_earliest(wheel, &tick, &level, &slot) && tick <= target) {
        struct skua__node moving;

        skua__list_init(&moving);
        skua__list_splice(&moving, &wheel->slots[level][slot]);
        wheel->used[level] &= ~(UINT64_C(1) << slot);
        wheel->elapsed = tick;
        while ((node = skua__list_pop(&moving)) != NULL) {
            skua_sleep_future *timer = skua__container(node, skua_sleep_future, link);

            if (skua__wheel_tick(timer->when) <= tick)
                skua__list_push(&due, node);
            else
                skua__wheel_place(wheel, timer);
        }
        count += wheel_fire(wheel, &due, now);
    }
    if (target > wheel->elapsed)
        wheel->elapsed = target;
    return count;
}

/* The earliest tick in a slot of a higher level, so that nobody wakes up only to move timers down;
 * `tick`, the slot's start, when there are many. */
static uint64_t wheel_earliest_in(const struct skua__node *head, uint64_t tick)
{
    uint64_t earliest = UINT64_MAX;
    unsigned seen = 0;

    for (const struct skua__node *node = head->next; node != head; node = node->next) {
        const skua_sleep_future *timer = skua__container((uintptr_t)node, skua_sleep_future, link);

        if (++seen > 32)
            return tick;
        if (timer->when < earliest)
            earliest = timer->when;
    }
    earliest = skua__wheel_tick(earliest);
    return earliest > tick ? earliest : tick;
}

int64_t skua__wheel_next(const struct skua__wheel *wheel)
{
    uint64_t tick;
    unsigned level;
    unsigned slot;

    if (wheel->armed == 0 || !wheel_earliest(wheel, &tick, &level, &slot))
        return INT64_MAX;
    if (level > 0)
        tick = wheel_earliest_in(&wheel->slots[level][slot], tick);
    if (tick > (uint64_t)(INT64_MAX >> SKUA__TICK_BITS))
        return INT64_MAX;
    return (int64_t)(tick << SKUA__TICK_BITS);
}

/* ---- to the nanosecond ----------------------------------------------------------------------- */

/* Whatever is due lies in the earliest slot, and the earliest of all does. */
int64_t skua__wheel_next_exact(const struct skua__wheel *wheel)
{
    const struct skua__node *head;
    uint64_t earliest = INT64_MAX;
    uint64_t tick;
    unsigned level;
    unsigned slot;

    if (wheel->armed == 0 || !wheel_earliest(wheel, &tick, &level, &slot))
        return INT64_MAX;
    head = &wheel->slots[level][slot];
    for (const struct skua__node *node = head->next; node != head; node = node->next) {
        const skua_sleep_future *timer = skua__container((uintptr_t)node, skua_sleep_future, link);

        earliest = timer->when < earliest ? timer->when : earliest;
    }
    return (int64_t)earliest;
}

unsigned skua__wheel_advance_exact(struct skua__wheel *wheel, int64_t now)
{
    unsigned count = skua__wheel_advance(wheel, now);
    struct skua__node due;
    struct skua__node waiting;
    struct skua__node *node;
    uint64_t tick;
    unsigned level;
    unsigned slot;

    if (wheel->armed == 0 || !wheel_earliest(wheel, &tick, &level, &slot))
        return count;
    skua__list_init(&due);
    skua__list_init(&waiting);
    while ((node = skua__list_pop(&wheel->slots[level][slot])) != NULL) {
        const skua_sleep_future *timer = skua__container(node, skua_sleep_future, link);

        skua__list_push(timer->when <= (uint64_t)now ? &due : &waiting, node);
    }
    skua__list_splice(&wheel->slots[level][slot], &waiting);
    if (skua__list_empty(&wheel->slots[level][slot]))
        wheel->used[level] &= ~(UINT64_C(1) << slot);
    return count + wheel_fire(wheel, &due, now);
}
