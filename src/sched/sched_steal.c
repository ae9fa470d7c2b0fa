/* sched_steal.c - taking work from other workers.
 *
 * A thief starts at a random worker and asks each other one once; from the first that has
 * something it takes the older half. Only deques are open to thieves: what is bound stays.
 * Cost: one compare-and-swap for up to 128 tasks.
 */
#include "sched/sched_impl.h"

struct skua_task *skua__steal(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;
    uint32_t start = skua__rand_below(&worker->rng, sched->count);
    uint32_t cells[SKUA__DEQUE_SIZE / 2];

    for (uint32_t i = 0; i < sched->count; i++) {
        struct skua__worker *victim = sched->workers[(start + i) % sched->count];
        uint32_t count;

        if (victim == worker)
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
