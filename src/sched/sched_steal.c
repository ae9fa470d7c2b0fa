/* sched_steal.c - taking work from other workers.
 *
 * A thief starts at a random worker and asks each other one once; from the first that has
 * something it takes the older half. Only deques are open to thieves: what is bound stays.
 *
 * Patience   to move a task to another processor costs some 200 ns in cache misses, for it and for
 *            who spawned it. A thief whose last loot was of tasks shorter than that lets its
 *            victims be for 1 us, then 2, up to 32: they may run the rest themselves, or have more
 *            to take at once. One loot that was worth it, and the thief is quick again.
 * Cost       one compare-and-swap for up to 128 tasks.
 */
#include "sched/sched_impl.h"

#define STEAL_SHORT 500 /* ns a task, with the misses */
#define STEAL_PAUSE_MIN SKUA_MICROSECOND
#define STEAL_PAUSE_MAX (32 * SKUA_MICROSECOND)
#define STEAL_MANY 64 /* so many are taken without a pause */

/* The thief has run out of what it took last. */
static void steal_learn(struct skua__worker *worker, int64_t now)
{
    int64_t pause = worker->steal_pause;

    if (worker->loot == 0)
        return;
    if (now - worker->loot_at >= STEAL_SHORT * (int64_t)worker->loot)
        pause = 0;
    else if (pause == 0)
        pause = STEAL_PAUSE_MIN;
    else if (pause < STEAL_PAUSE_MAX)
        pause *= 2;
    worker->steal_pause = pause;
    worker->loot = 0;
}

/* The longest queue of the others: a hint. */
static uint32_t steal_prospect(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;
    uint32_t most = 0;

    for (uint32_t i = 0; i < sched->count; i++) {
        uint32_t len = skua__deque_len(&sched->workers[i]->deque);

        most = len > most ? len : most;
    }
    return most;
}

/* Waits, without a look at the victims, which would take cache lines away from them. False: this
 * worker has something to do itself. */
static bool steal_pause(struct skua__worker *worker, int64_t now)
{
    int64_t end = now + worker->steal_pause;

    do {
        for (int i = 0; i < 16; i++)
            skua__relax();
        if (skua__queue_any(worker))
            return false;
    } while (skua__os_now() < end);
    return true;
}

static struct skua_task *steal_from(struct skua__worker *worker, struct skua__worker *victim)
{
    uint32_t cells[SKUA__DEQUE_GRAB];
    uint32_t count = skua__deque_grab(&victim->deque, cells);

    if (count == 0)
        return NULL;
    /* A thief's own deque is empty, or it would not be searching: there is room. */
    for (uint32_t k = 1; k < count; k++) {
        bool pushed = skua__deque_push(&worker->deque, cells[k]);

        skua__assert(pushed);
    }
    worker->loot = count;
    worker->loot_at = skua__os_now();
    skua__stat(worker, steals, 1);
    skua__stat(worker, stolen_tasks, count);
    skua__task_probe(SKUA_PROBE_STOLEN, &worker->thread, NULL, count);
    return skua__cell_of(worker->sched->core->cells.base, cells[0]);
}

struct skua_task *skua__steal(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;
    uint32_t start = skua__rand_below(&worker->rng, sched->count);
    int64_t now = worker->loot != 0 || worker->steal_pause != 0 ? skua__os_now() : 0;
    uint32_t prospect = steal_prospect(worker);

    steal_learn(worker, now);
    if (prospect != 0 && prospect < STEAL_MANY && worker->steal_pause != 0 &&
        !steal_pause(worker, now))
        return NULL;
    for (uint32_t i = 0; prospect != 0 && i < sched->count; i++) {
        struct skua__worker *victim = sched->workers[(start + i) % sched->count];
        struct skua_task *task = victim != worker ? steal_from(worker, victim) : NULL;

        if (task != NULL)
            return task;
    }
    skua__stat(worker, steal_misses, 1);
    return NULL;
}

#undef STEAL_SHORT
#undef STEAL_PAUSE_MIN
#undef STEAL_PAUSE_MAX
#undef STEAL_MANY
