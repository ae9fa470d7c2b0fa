/* sched_steal.c - taking work from other workers.
 *
 * A thief starts at a random worker and asks each other one once; from the first that has
 * something it takes the older half. Only deques are open to thieves: what is bound stays.
 * Cost: one compare-and-swap for up to 128 tasks.
 */
#include "sched/sched_impl.h"

#define STEAL_MANY 64
#define STEAL_PATIENCE 64

/* A few tasks of a worker that is awake are left to it for a moment: it may be about to run them
 * itself, which is cheaper than to move them, or to spawn more, which are cheaper to move together.
 */
static bool steal_is_worth(struct skua__worker *victim)
{
    uint32_t len = skua__deque_len(&victim->deque);
    uint32_t head = skua__load_relaxed(&victim->deque.head); /* a hint, as all here */

    if (len == 0 || len >= STEAL_MANY || skua__load_relaxed(&victim->parked) == SKUA__PARKED)
        return len != 0;
    /* No look meanwhile: each would take the cache line away from the victim. */
    for (int i = 0; i < STEAL_PATIENCE; i++)
        skua__relax();
    return skua__load_relaxed(&victim->deque.head) == head;
}

struct skua_task *skua__steal(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;
    uint32_t start = skua__rand_below(&worker->rng, sched->count);
    uint32_t cells[SKUA__DEQUE_SIZE / 2];

    for (uint32_t i = 0; i < sched->count; i++) {
        struct skua__worker *victim = sched->workers[(start + i) % sched->count];
        uint32_t count;

        if (victim == worker || !steal_is_worth(victim))
            continue;
        count = skua__deque_grab(&victim->deque, cells);
        if (count == 0)
            continue;
        /* A thief's own deque is empty, or it would not be searching: there is room. */
        for (uint32_t k = 1; k < count; k++) {
            bool pushed = skua__deque_push(&worker->deque, cells[k]);

            skua__assert(pushed);
        }
        skua__stat(worker, steals, 1);
        skua__stat(worker, stolen_tasks, count);
        skua__task_probe(SKUA__PROBE_STOLEN, &worker->thread, NULL, count);
        return skua__cell_of(sched->core->cells.base, cells[0]);
    }
    skua__stat(worker, steal_misses, 1);
    return NULL;
}
