/* sched_worker.c - the worker's loop.
 *
 * The whole of it is skua__worker_loop: run what is runnable, for at most event_interval turns;
 * look at timers and I/O; when nothing is runnable search, and sleep in the driver. A fiber that
 * parks may switch to the next one without coming back here (task/fiber.c); turns_left, which
 * both count down, brings it back.
 */
#include "sched/sched_impl.h"

/* How often in a row a search may bring work before events are looked at. */
#define WORKER_FOUND_MAX 8
/* One loop of so many has a turn timed. */
#define WORKER_TIMED 4

/* What snapshots are to see while the worker waits. */
static void worker_publish(struct skua__worker *worker)
{
    uint64_t len = worker->policed;

    for (unsigned i = 0; i < SKUA__PRIORITIES; i++)
        len += worker->lanes[i].len;
    skua__stat_set(worker, timers_armed, worker->wheel.armed);
    skua__stat_set(worker, queue_len, len);
}

int skua__worker_events(struct skua__worker *worker, int64_t timeout_ns)
{
    unsigned fired;
    int events;

    worker_publish(worker);
    events = worker->sched->park->turn(worker->thread.driver, timeout_ns);
    worker->events_at = skua__core_now(worker->thread.core);
    fired = skua__wheel_advance(&worker->wheel, worker->events_at);
    skua__stat(worker, events, (uint64_t)(events > 0 ? events : 0));
    skua__stat(worker, timers_fired, fired);
    worker_publish(worker);
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

static SKUA__COLD void worker_blocked(struct skua__worker *worker, int64_t ns, skua_task_id id,
                                      const skua_site *site)
{
    struct skua__core *core = worker->thread.core;

    if (!core->unseen)
        skua__probe_emit(&(skua_probe_event){.kind = SKUA_PROBE_BLOCKED,
                                             .worker = worker->thread.index,
                                             .task = id,
                                             .site = site,
                                             .runtime = (skua_runtime *)(void *)core,
                                             .arg = ns});
}

/* Turns shorter than 128 ns fall into bucket 0, each further bucket is twice as wide. */
static void worker_record(struct skua__worker *worker, int64_t ns, skua_task_id id,
                          const skua_site *site)
{
    unsigned bucket = ns < 128 ? 0 : (unsigned)(63 - __builtin_clzll((uint64_t)ns)) - 6;

    bucket = bucket < SKUA_POLL_BUCKETS ? bucket : SKUA_POLL_BUCKETS - 1;
    skua__stat(worker, poll_time[bucket], 1);
    if (ns >= 10 * SKUA_MILLISECOND && skua__probe_on(SKUA_PROBE_BLOCKED))
        worker_blocked(worker, ns, id, site);
}

/* One turn of every fourth loop is timed: enough for a histogram, too little to cost anything.
 * Without turns left a fiber comes back here instead of switching to the next one: one turn it is.
 */
static void worker_turn_timed(struct skua__worker *worker, struct skua_task *task)
{
    unsigned left = worker->turns_left;
    const skua_site *site; /* behind the turn the task may be gone */
    skua_task_id id;
    int64_t start;

    if (worker->untimed++ % WORKER_TIMED != 0) {
        skua__task_turn(&worker->thread, task);
        return;
    }
    site = skua__load_relaxed(&task->site);
    id = skua__task_id(task);
    start = skua__os_now();
    worker->turns_left = 0;
    skua__task_turn(&worker->thread, task);
    worker->turns_left = left;
    worker_record(worker, skua__os_now() - start, id, site);
}

/* Runs what is runnable, for a while. */
static void worker_run(struct skua__worker *worker)
{
    struct skua_task *task;

    worker->turns_left = worker->sched->event_interval;
    task = worker_next(worker);
    if (task != NULL) {
        skua__idle_found(worker);
        worker_turn_timed(worker, task);
    }
    while ((task = worker_next(worker)) != NULL)
        skua__task_turn(&worker->thread, task);
    if (skua__unlikely(worker->policy != NULL && worker->turns_left == 0))
        skua__policy_rest(worker);
    if (worker->thread.left_count != 0)
        skua__task_flush_left(&worker->thread);
}

void skua__worker_loop(struct skua__worker *worker, bool (*until)(void *arg), void *arg)
{
    unsigned found = 0; /* tasks in a row that a search brought, without a look at events */

    worker->awake_since = skua__core_now(worker->thread.core);
    for (;;) {
        struct skua_task *task;

        worker_run(worker);
        if (until(arg))
            break;
        if (skua__queue_own(worker) || found == WORKER_FOUND_MAX) {
            skua__worker_events(worker, 0);
            found = 0;
            continue;
        }
        /* Nothing is runnable here: whoever parks looks at events anyway. */
        task = skua__idle_search(worker);
        if (task != NULL) {
            found++;
            worker_turn_timed(worker, task);
        } else {
            found = 0;
            skua__idle_park(worker, until, arg);
        }
    }
    skua__stat(worker, busy_ns, skua__core_now(worker->thread.core) - worker->awake_since);
}

#undef WORKER_FOUND_MAX
#undef WORKER_TIMED
