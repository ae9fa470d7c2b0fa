/* sched_shares.c - the scheduler of shares: processor time by shares, and goals of latency.
 *
 * It is built on scheduler.h alone, as a user's would be. Each worker has its own state:
 *
 * Time       a queue has a clock that runs faster the fewer shares it has: each turn adds its time
 *            over the shares. The queue whose clock is behind the others' goes next.
 * Idle       a queue that was empty begins where the last one that was chosen stands: it has no
 *            claim to what it did not use.
 * Latency    a queue is late when its first task has waited for half of its goal. The latest, in
 *            proportion to its goal, then goes before the others, but not twice in a row: so a
 *            queue that cannot keep its goal within its share takes every other turn at most.
 *            The turn of a task of its own is no wait for what comes to an empty queue meanwhile.
 * Measuring  between two pops is a turn; its time is counted for the queue of the task that was
 *            popped. The clock is read once a pop.
 */
#include <string.h>

#include <skua/scheduler.h>

#include "sched/sched_impl.h"

#define SHARES_DEFAULT 100
#define SHARES_MOST 1000
#define SHARES_NOT_YET INT64_MIN /* shares_lane.since: the next pop is the beginning */

struct shares_lane {
    skua_task *head;
    skua_task *tail;
    uint64_t clock; /* ns times SHARES_MOST over its shares */
    int64_t since;  /* when its first task came to the front, ns */
};

struct shares_worker {
    const skua_shares *shares;   /* constant; the worker's own, as all below */
    struct shares_lane *running; /* whose turn it is; NULL: nobody's, or unknown */
    int64_t began;               /* its turn, ns */
    uint64_t clock;              /* of the queue that was chosen last */
    bool jumped;                 /* that was for its latency */
    struct shares_lane lanes[];
};

static skua_task_queue *shares_queue(const struct shares_worker *self,
                                     const struct shares_lane *lane)
{
    return &self->shares->queues[lane - self->lanes];
}

static uint32_t shares_of(skua_task_queue *queue)
{
    uint32_t shares = __atomic_load_n(&queue->shares, __ATOMIC_RELAXED); /* a number by itself */

    return shares != 0 ? shares : SHARES_DEFAULT;
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* The turn is over: counted, here and for everybody. */
static void shares_charge(struct shares_worker *self, int64_t now)
{
    struct shares_lane *lane = self->running;
    skua_task_queue *queue;
    uint64_t ns;

    if (lane == NULL)
        return;
    queue = shares_queue(self, lane);
    ns = now > self->began ? (uint64_t)(now - self->began) : 0;
    lane->clock += ns * SHARES_MOST / shares_of(queue);
    __atomic_fetch_add(&queue->ran_ns, ns, __ATOMIC_RELAXED); /* statistics, as the next */
    __atomic_fetch_add(&queue->turns, 1, __ATOMIC_RELAXED);
    self->running = NULL;
}

/* How late it is: its wait in parts of its goal, 1/1024 each; 0: not yet. */
static int64_t shares_lateness(const struct shares_worker *self, const struct shares_lane *lane,
                               int64_t now)
{
    int64_t goal = shares_queue(self, lane)->latency;
    int64_t waited = now - lane->since;

    if (goal == 0 || waited < goal / 2)
        return 0;
    return waited / (goal / 1024 + 1) + 1;
}

/* The one with tasks that is behind the others; with `late`, the latest of those that are late. */
static struct shares_lane *shares_choose(struct shares_worker *self, int64_t now, bool late)
{
    struct shares_lane *chosen = NULL;
    int64_t most = 0;

    for (unsigned i = 0; i < self->shares->count; i++) {
        struct shares_lane *lane = &self->lanes[i];

        if (lane->head == NULL)
            continue;
        if (lane->since == SHARES_NOT_YET)
            lane->since = now;
        if (!late && (chosen == NULL || lane->clock < chosen->clock))
            chosen = lane;
        if (late && shares_lateness(self, lane, now) > most) {
            most = shares_lateness(self, lane, now);
            chosen = lane;
        }
    }
    return chosen;
}

SKUA__INLINE skua_task *shares_take(struct shares_lane *lane)
{
    skua_task *task = lane->head;

    lane->head = skua_task_next(task);
    if (lane->head == NULL)
        lane->tail = NULL;
    return task;
}

/* The clock is the caller's, so that a test can have its own. */
skua_task *skua__shares_pop_at(void *state, int64_t now)
{
    struct shares_worker *self = state;
    struct shares_lane *lane = NULL;
    skua_task *task;

    shares_charge(self, now);
    if (!self->jumped)
        lane = shares_choose(self, now, true);
    self->jumped = lane != NULL;
    if (lane == NULL)
        lane = shares_choose(self, now, false);
    if (lane == NULL)
        return NULL;
    task = shares_take(lane);
    lane->since = now;
    self->running = lane;
    self->began = now;
    if (!self->jumped)
        self->clock = lane->clock;
    return task;
}

/* ---- as a scheduler -------------------------------------------------------------------------- */

static void *shares_open(unsigned worker, void *arg)
{
    const skua_shares *shares = arg;
    struct shares_worker *self =
        skua__os_alloc(sizeof *self + shares->count * sizeof self->lanes[0]);

    (void)worker;
    if (self != NULL)
        self->shares = shares;
    return self;
}

static void shares_push(void *state, skua_task *task)
{
    struct shares_worker *self = state;
    skua_task_queue *queue = skua_task_queue_of(task);
    struct shares_lane *lane = &self->lanes[0];

    /* One of another scheduler's queues is as good as none. */
    if (queue >= self->shares->queues && queue < self->shares->queues + self->shares->count)
        lane = &self->lanes[queue - self->shares->queues];
    if (lane->tail != NULL) {
        skua_task_set_next(lane->tail, task);
        lane->tail = task;
        return;
    }
    lane->head = task;
    lane->tail = task;
    if (lane == self->running) { /* its clock goes on with its turn, which is no wait */
        lane->since = SHARES_NOT_YET;
        return;
    }
    lane->since = self->running != NULL ? self->began : SHARES_NOT_YET;
    if (lane->clock < self->clock)
        lane->clock = self->clock;
}

static skua_task *shares_pop(void *state)
{
    return skua__shares_pop_at(state, skua_now());
}

static void shares_close(void *state)
{
    skua__os_free(state);
}

/* ---- for users ------------------------------------------------------------------------------- */

int skua_shares_init(skua_shares *shares, skua_task_queue *queues, unsigned count)
{
    int64_t latency = 0;

    if (queues == NULL || count == 0 || count > SKUA_SHARES_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (queues[i].shares > SHARES_MOST || queues[i].latency < 0)
            return -EINVAL;
        if (queues[i].latency != 0 && (latency == 0 || queues[i].latency < latency))
            latency = queues[i].latency;
    }
    *shares = (skua_shares){.scheduler = {.size = sizeof shares->scheduler,
                                          .name = "shares",
                                          .open = shares_open,
                                          .push = shares_push,
                                          .pop = shares_pop,
                                          .close = shares_close,
                                          .arg = shares,
                                          .latency = latency - latency / 2},
                            .queues = queues,
                            .count = count};
    return 0;
}

int skua_task_queue_set_shares(skua_task_queue *queue, uint32_t shares)
{
    if (shares == 0 || shares > SHARES_MOST)
        return -EINVAL;
    __atomic_store_n(&queue->shares, shares, __ATOMIC_RELAXED); /* pairs with shares_of */
    return 0;
}

void skua_task_queue_stats_of(const skua_task_queue *queue, skua_task_queue_stats *stats)
{
    stats->turns = __atomic_load_n(&queue->turns, __ATOMIC_RELAXED); /* statistics */
    stats->ran_ns = __atomic_load_n(&queue->ran_ns, __ATOMIC_RELAXED);
}

#undef SHARES_DEFAULT
#undef SHARES_MOST
#undef SHARES_NOT_YET
