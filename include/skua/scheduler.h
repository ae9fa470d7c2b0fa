/* scheduler.h - which of a worker's tasks goes next: shares and latency goals, or a scheduler of
 * one's own.
 *
 * Where tasks stay on their worker (SKUA_THREAD_PER_CORE, SKUA_CURRENT_THREAD) a runtime may be
 * given a scheduler, which then keeps all tasks that may run, and says which goes next. One comes
 * with the library, after Glommio's task queues: each queue gets processor time by its shares, and
 * is not made to wait for longer than its latency goal.
 *
 *     static skua_task_queue queues[] = {{.name = "web", .shares = 900, .latency = 2 * MS},
 *                                        {.name = "reports", .shares = 100}};
 *     skua_shares shares;
 *
 *     skua_shares_init(&shares, queues, 2);
 *     skua_main(app, NULL, SKUA_RUNTIME_OPTIONS(.kind = SKUA_THREAD_PER_CORE,
 *                                               .scheduler = &shares.scheduler));
 *     ...
 *     skua_spawn(NULL, report, NULL, .queue = &queues[1]);
 *
 * A turn ends when the task waits; nothing takes the processor from a task that computes. Long
 * computations call skua_yield_if_needed.
 */
#ifndef SKUA_SCHEDULER_H
#define SKUA_SCHEDULER_H

#include <skua/runtime.h>

SKUA_C_BEGIN

/* ---- shares ---------------------------------------------------------------------------------- */

/* A group of tasks that is scheduled as one. In static memory, or as long as the runtime; zeroed,
 * but for what is said here. */
struct skua_task_queue {
    const char *name; /* static */
    uint32_t shares;  /* 1 to 1000 (default 0: 100); changed by skua_task_queue_set_shares */
    int64_t latency;  /* ns that a task that may run should wait at most (default 0: no goal) */
    uint64_t turns;   /* private, as the next: counts, of all workers */
    uint64_t ran_ns;
};

/* What a queue has used since its runtime began. */
typedef struct skua_task_queue_stats {
    uint64_t turns;
    uint64_t ran_ns; /* processor time, ns, by the clock on the wall */
} skua_task_queue_stats;

/* The most queues of one scheduler. */
#define SKUA_SHARES_MAX 64

/* A scheduler; its members are to be set for one of one's own. */
typedef struct skua_scheduler {
    size_t size; /* sizeof(skua_scheduler) */
    const char *name;
    /* Makes the state for one worker. On the thread that makes the runtime. NULL: no memory. */
    void *(*open)(unsigned worker, void *arg);
    /* Keeps a task that may run. On the worker's thread, as pop: no wait, no spawn, no wake. It
     * cannot fail: use skua_task_set_next, or room that was allocated before. */
    void (*push)(void *state, skua_task *task);
    /* The next task, which the scheduler forgets. NULL only when it has none; a worker that goes to
     * sleep has been told so once. */
    skua_task *(*pop)(void *state);
    /* Frees the state. No task is there any more. */
    void (*close)(void *state);
    void *arg;       /* handed to open */
    int64_t latency; /* ns: turns should not be longer (skua_yield_if_needed), and timers and I/O
                        are looked at that often (default 0: as without a scheduler) */
} skua_scheduler;

/* The scheduler of shares. Its members are private. */
typedef struct skua_shares {
    skua_scheduler scheduler;
    skua_task_queue *queues;
    unsigned count;
} skua_shares;

/* Makes a scheduler of shares. On each worker, of the queues that have tasks that may run, the one
 * goes next that has had the least time for its shares; but one whose first task has waited for
 * half of its latency goal goes before it, every other turn at most. So none starves, and a queue
 * that was idle has no claim to what it did not use.
 *
 * shares     alive and in place as long as the runtimes that use it
 * queues     as long; the first is for tasks that were spawned without one
 * count      1 to SKUA_SHARES_MAX
 * Returns    0; -EINVAL: count, shares or latency out of their range
 * Threads    any
 * Since      0.2
 * Source     Glommio's task queues; stride scheduling (Waldspurger, Weihl 1995)
 */
SKUA_API int skua_shares_init(skua_shares *shares, skua_task_queue *queues, unsigned count);

/* Changes the shares of a queue, from its next turn on.
 *
 * shares     1 to 1000
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_task_queue_set_shares(skua_task_queue *queue, uint32_t shares);

/* What a queue has used.
 *
 * stats      receives it
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_task_queue_stats_of(const skua_task_queue *queue, skua_task_queue_stats *stats);

/* Lets the others run, if it is time: the turn's budget is used up, of which this spends a unit; or
 * the turn has lasted for the scheduler's latency goal. For loops that compute.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT; SKUA_EUSAGE inside a poll task
 * Threads    fibers, plain threads (where it does nothing)
 * Since      0.2
 * Source     Glommio's yield_if_needed, Tokio's consume_budget
 */
SKUA_API int skua_yield_if_needed(void);

/* ---- for schedulers: on tasks that were pushed and not yet popped ---------------------------- */

/* Links a task to another, to make lists. It is linked to none when it is pushed.
 *
 * next       of the same runtime, or NULL
 * Threads    the scheduler's functions
 * Since      0.2
 */
SKUA_API void skua_task_set_next(skua_task *task, skua_task *next);

/* What was linked.
 *
 * Returns    a task or NULL
 * Threads    the scheduler's functions
 * Since      0.2
 */
SKUA_API skua_task *skua_task_next(const skua_task *task);

/* The priority that it was spawned with.
 *
 * Returns    one of skua_priority
 * Threads    the scheduler's functions
 * Since      0.2
 */
SKUA_API skua_priority skua_task_priority(const skua_task *task);

/* The deadline in force for it.
 *
 * Returns    monotonic ns; SKUA_FOREVER: none
 * Threads    the scheduler's functions
 * Since      0.2
 */
SKUA_API int64_t skua_task_deadline(const skua_task *task);

/* The queue that it was spawned into, or inherited.
 *
 * Returns    as given in .queue; NULL: none
 * Threads    the scheduler's functions
 * Since      0.2
 */
SKUA_API skua_task_queue *skua_task_queue_of(const skua_task *task);

SKUA_C_END

#endif
