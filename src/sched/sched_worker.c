/* sched_worker.c - the worker's loop.
 *
 * The whole of it is skua__worker_loop: run what is runnable, for at most event_interval turns;
 * look at timers and I/O; when nothing is runnable search, and sleep in the driver. A fiber that
 * parks may switch to the next one without coming back here (task/fiber.c); turns_left, which
 * both count down, brings it back.
 */
#include "sched/sched_impl.h"

int skua__worker_events(struct skua__worker *worker, int64_t timeout_ns)
{
    int events = worker->sched->park->turn(worker->thread.driver, timeout_ns);
    unsigned fired = skua__wheel_advance(&worker->wheel, skua__os_now());

    skua__stat(worker, events, (uint64_t)(events > 0 ? events : 0));
    skua__stat(worker, timers_fired, fired);
    skua__stat_set(worker, timers_armed, worker->wheel.armed);
    skua__stat_set(worker, queue_len,
                   worker->lanes[SKUA_NORMAL].len + worker->lanes[SKUA_HIGH].len +
                       worker->lanes[SKUA_LOW].len);
    return events + (int)fired;
}

static struct skua_task *worker_next(struct skua__worker *worker)
{
    struct skua_task *task = worker->thread.handoff;

    if (task != NULL) {
        worker->thread.handoff = NULL;
        return task;
    }
    if (worker->turns_left == 0)
        return NULL;
    worker->turns_left--;
    return skua__queue_pick(worker);
}

/* Turns shorter than 128 ns fall into bucket 0, each further bucket is twice as wide. */
static void worker_record(struct skua__worker *worker, struct skua_task *task, int64_t ns)
{
    unsigned bucket = ns < 128 ? 0 : (unsigned)(63 - __builtin_clzll((uint64_t)ns)) - 6;

    (void)task;
    bucket = bucket < SKUA_POLL_BUCKETS ? bucket : SKUA_POLL_BUCKETS - 1;
    skua__stat(worker, poll_time[bucket], 1);
    if (ns >= 10 * SKUA_MILLISECOND)
        skua__task_probe(SKUA__PROBE_BLOCKED, &worker->thread, NULL, ns);
}

/* One turn of each loop is timed: enough for a histogram, too little to cost anything. */
static void worker_turn_timed(struct skua__worker *worker, struct skua_task *task)
{
    int64_t start = skua__os_now();

    skua__task_turn(&worker->thread, task);
    worker_record(worker, task, skua__os_now() - start);
}

void skua__worker_loop(struct skua__worker *worker, bool (*until)(void *arg), void *arg)
{
    struct skua_task *task;

    worker->awake_since = skua__os_now();
    for (;;) {
        worker->turns_left = worker->sched->event_interval;
        task = worker_next(worker);
        if (task != NULL) {
            skua__idle_found(worker);
            worker_turn_timed(worker, task);
        }
        while ((task = worker_next(worker)) != NULL)
            skua__task_turn(&worker->thread, task);
        if (worker->thread.left_count != 0)
            skua__task_flush_left(&worker->thread);
        if (until(arg))
            break;
        skua__worker_events(worker, 0);
        if (skua__queue_any(worker))
            continue;
        task = skua__idle_search(worker);
        if (task != NULL)
            worker_turn_timed(worker, task);
        else
            skua__idle_park(worker, until, arg);
    }
    skua__stat(worker, busy_ns, skua__os_now() - worker->awake_since);
}
