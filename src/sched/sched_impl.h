/* sched_impl.h - workers, their queues, and who sleeps.
 *
 * Where a runnable task waits:
 *
 *   lane       bound tasks of one worker, one FIFO a priority; owner only, no atomics. In a
 *              runtime with one worker that nobody steals from, every task.
 *   policy     in a runtime with a scheduler of its own, instead of lanes: what that keeps
 *   deque      unbound tasks of normal priority; the owner's, open to thieves (sched_deque.h)
 *   inject     the runtime's shared queue: tasks made outside the workers, what overflowed a
 *              deque, and unbound tasks of other priorities; one FIFO a priority, a lock
 *   inbox      bound tasks that another thread woke: a stack that the owner takes whole
 *
 * The files: sched_worker.c (the loop, one screen), sched_queue.c (which queue), sched_idle.c (who
 * sleeps, who searches, who is woken), sched_steal.c (taking from others), sched_policy.c (a
 * scheduler of the runtime's own), sched_shares.c (one of those).
 */
#ifndef SKUA_SCHED_SCHED_IMPL_H
#define SKUA_SCHED_SCHED_IMPL_H

#include "base/rand.h"
#include "sched/sched_deque.h"
#include "task/task_impl.h"

#define SKUA__PRIORITIES 4

/* A FIFO of cells, linked by skua_task.next. */
struct skua__lane {
    uint32_t head;
    uint32_t tail;
    uint32_t len;
};

/* skua__sched.inject_special */
#define SKUA__SOME_HIGH 1u
#define SKUA__SOME_LOW 2u
#define SKUA__SOME_BACKGROUND 4u

/* skua__worker.parked */
#define SKUA__AWAKE 0u
#define SKUA__PARKED 1u

struct skua__worker {
    struct skua__thread thread; /* first: the thread's struct is the worker's */
    struct skua__sched *sched;  /* constant */
    struct skua__wheel wheel;   /* owner, as all of the following */
    struct skua__lane lanes[SKUA__PRIORITIES];
    unsigned special;     /* tasks in the lanes of other than normal priority */
    unsigned turns_left;  /* until timers and I/O are looked at */
    unsigned inject_left; /* turns until the shared queue is looked at */
    unsigned untimed;     /* loops; see worker_turn_timed */
    unsigned picks;       /* counts turns: whose turn is it among the priorities */
    unsigned policed;     /* tasks that the policy keeps */
    void *policy;         /* the state of a scheduler of the runtime's own; constant */
    int64_t events_at;    /* the last look at timers and I/O, ns */
    bool lane_first;      /* lane and deque take turns */
    bool shuffles;        /* a test runtime with a seed; constant */
    bool searching;       /* counted in sched->searching */
    uint32_t loot;        /* tasks that it stole last, until it has run out of them */
    int64_t loot_at;      /* ns */
    int64_t steal_pause;  /* ns; see sched_steal.c */
    int64_t spin_ns;      /* how long it looks for work before it sleeps */
    struct skua__rand rng;
    int64_t awake_since;        /* ns */
    skua__thread_handle handle; /* constant once started */
    skua_worker_stats stats; /* written by the owner, read by snapshots: torn-free words, relaxed */
    SKUA__ALIGNED(SKUA__CACHE_LINE)
    _Atomic uint32_t inbox;  /* anybody pushes, the owner takes all */
    _Atomic uint32_t parked; /* the handshake of sched_idle.c */
    struct skua__deque deque;
};

struct skua__sched {
    struct skua__core *core; /* constant, as all up to `inject` */
    struct skua__worker **workers;
    unsigned count;
    bool multi;                          /* workers have threads of their own */
    bool steals;                         /* and take tasks from each other */
    bool simple;                         /* every task goes into the lanes of one worker */
    const struct skua_scheduler *policy; /* NULL: lanes and deques */
    bool spins;                          /* workers may spin: each has a processor */
    unsigned event_interval;
    unsigned inject_interval;
    const struct skua__park_ops *park;
    void (*on_thread_park)(void *arg);
    void (*on_thread_unpark)(void *arg);
    SKUA__ALIGNED(SKUA__CACHE_LINE) struct skua__lock inject_lock;
    struct skua__lane inject[SKUA__PRIORITIES]; /* lock: inject_lock */
    _Atomic uint32_t inject_len;                /* of all lanes; changed under the lock */
    _Atomic uint32_t inject_special; /* SKUA__SOME_… that the lanes hold; changed under the lock */
    SKUA__ALIGNED(SKUA__CACHE_LINE) _Atomic uint32_t searching; /* see sched_idle.c, as the next */
    _Atomic uint32_t sleeping;
    struct skua__lock sleepers_lock;
    uint16_t *sleepers;    /* lock: sleepers_lock; a stack of `sleeping` */
    _Atomic uint32_t quit; /* 1: workers end when nothing is left */
};

SKUA__INLINE struct skua__worker *skua__worker_of(struct skua__thread *thread)
{
    return skua__container(thread, struct skua__worker, thread);
}

/* ---- sched_queue.c --------------------------------------------------------------------------- */

/* The next runnable task of this worker, or NULL; counts the turn. */
struct skua_task *skua__queue_pick(struct skua__worker *worker);
/* Takes a share of the shared queue; returns the first, the others are queued. */
struct skua_task *skua__queue_take_injected(struct skua__worker *worker);
/* Puts a list of tasks, linked by next, behind the shared queue. */
void skua__queue_inject(struct skua__sched *sched, unsigned priority, uint32_t head, uint32_t tail,
                        uint32_t count);
/* Whether this worker has something to run; or the shared queue has. */
bool skua__queue_own(struct skua__worker *worker);
bool skua__queue_any(struct skua__worker *worker);

SKUA__INLINE void skua__lane_push(struct skua__lane *lane, struct skua_task *task)
{
    uint32_t cell = skua__cell_index(task);

    task->next = 0;
    if (lane->head == 0)
        lane->head = cell;
    else
        skua__cell_of(task, lane->tail)->next = cell;
    lane->tail = cell;
    lane->len++;
}

SKUA__INLINE struct skua_task *skua__lane_pop(struct skua__lane *lane, const void *base)
{
    struct skua_task *task;

    if (lane->head == 0)
        return NULL;
    task = skua__cell_of(base, lane->head);
    lane->head = task->next;
    lane->len--;
    return task;
}

/* ---- sched_policy.c -------------------------------------------------------------------------- */

/* What queue_lane and queue_pick are in a runtime with a scheduler of its own. */
void skua__policy_push(struct skua__worker *worker, struct skua_task *task);
struct skua_task *skua__policy_pop(struct skua__worker *worker);
/* The worker stops asking for turns: asks once more, if there are none. */
void skua__policy_rest(struct skua__worker *worker);
/* 0 or -ENOMEM; both do nothing where there is none. */
int skua__policy_open(struct skua__worker *worker);
void skua__policy_close(struct skua__worker *worker);

/* ---- sched_shares.c -------------------------------------------------------------------------- */

/* The scheduler's pop, with a clock of the caller's. */
struct skua_task *skua__shares_pop_at(void *state, int64_t now);

/* ---- sched_steal.c --------------------------------------------------------------------------- */

/* Work from another worker: one task, the others of the loot are queued here. NULL: none. */
struct skua_task *skua__steal(struct skua__worker *worker);

/* ---- sched_idle.c ---------------------------------------------------------------------------- */

/* Work for others has appeared: wakes a sleeper, unless somebody is searching already. */
void skua__idle_notify(struct skua__sched *sched);
/* Wakes this one worker, if it is parked. Any thread. */
void skua__idle_unpark(struct skua__worker *worker);
/* A worker has something to run: if it was the last searcher, the next one is woken. */
void skua__idle_found(struct skua__worker *worker);
/* Searches as far as it may; NULL when there is nothing. */
struct skua_task *skua__idle_search(struct skua__worker *worker);
/* Sleeps until there is something to do, unless there is already, or `until` says so. */
void skua__idle_park(struct skua__worker *worker, bool (*until)(void *arg), void *arg);

/* ---- sched_worker.c -------------------------------------------------------------------------- */

/* Runs tasks until until(arg), which is asked once a turn of the loop and before it sleeps. */
void skua__worker_loop(struct skua__worker *worker, bool (*until)(void *arg), void *arg);
/* Looks at timers and I/O, waiting at most timeout_ns. */
int skua__worker_events(struct skua__worker *worker, int64_t timeout_ns);

/* One writer, any number of readers (snapshots): relaxed, each number stands for itself. */
#define skua__stat_set(worker, field, value)                                                       \
    __atomic_store_n(&(worker)->stats.field, (value), __ATOMIC_RELAXED)
#define skua__stat(worker, field, n)                                                               \
    __atomic_store_n(&(worker)->stats.field, (worker)->stats.field + (n), __ATOMIC_RELAXED)

#endif
