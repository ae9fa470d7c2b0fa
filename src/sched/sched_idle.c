/* sched_idle.c - who sleeps, who searches, who gets woken.
 *
 * Flow       sched_worker.c (nothing to run) -> search -> park in the driver -> back
 *            sched_queue.c (new work for anybody) -> skua__idle_notify -> a sleeper wakes
 *
 * Two handshakes keep wakes from being lost; both are "write mine, then look at yours" on either
 * side with sequentially consistent operations, so that at least one side sees the other.
 *
 *   one worker   a mailer pushes to the inbox, then looks whether the worker is PARKED.
 *                the worker says PARKED, then looks into its inbox.
 *   any worker   a producer publishes work, fences, then looks: is anybody searching or sleeping?
 *                a searcher that gives up counts itself out, fences, then looks at all queues.
 *
 * Searchers  at most half of the workers. A producer wakes nobody while somebody searches: either
 *            the searcher finds the work, or it sees it in its last look. A searcher that finds
 *            something and was the last one wakes the next, so that a burst spreads.
 * Spinning   a worker whose last sleep was short, and ended by another worker, looks for 20 us
 *            before it sleeps again: two workers that hand each other work stay awake, and spare
 *            the system call and the delay of a wake. Sleeps that end by I/O or timers, or last
 *            longer, halve that until it is nothing. Only where every worker may have a processor.
 * Idle       costs nothing: a parked worker waits in its driver without a timeout, or until its
 *            own next timer.
 */
#include "sched/sched_impl.h"

/* How long a worker spins at most; for sleeps up to what length that pays: waking a thread takes 5
 * to 50 us, and a system call of the waker's; how many looks it takes between two at the clock. */
#define IDLE_SPIN_MAX (20 * SKUA_MICROSECOND)
#define IDLE_SPIN_PAYS (500 * SKUA_MICROSECOND)
#define IDLE_LOOKS 32

/* Takes `worker` off the sleepers; false when somebody woke it, and has done so already. */
static bool idle_unlist(struct skua__sched *sched, struct skua__worker *worker)
{
    uint32_t count;
    bool found = false;

    skua__lock_take(&sched->sleepers_lock);
    count = skua__load_relaxed(&sched->sleeping); /* under the lock */
    for (uint32_t i = 0; i < count; i++) {
        if (sched->sleepers[i] != worker->thread.index)
            continue;
        sched->sleepers[i] = sched->sleepers[count - 1];
        skua__store_seq(&sched->sleeping, count - 1);
        found = true;
        break;
    }
    skua__lock_drop(&sched->sleepers_lock);
    return found;
}

static void idle_list(struct skua__sched *sched, struct skua__worker *worker)
{
    uint32_t count;

    skua__lock_take(&sched->sleepers_lock);
    count = skua__load_relaxed(&sched->sleeping); /* under the lock */
    sched->sleepers[count] = (uint16_t)worker->thread.index;
    skua__store_seq(&sched->sleeping, count + 1);
    skua__lock_drop(&sched->sleepers_lock);
}

/* The sleeper that slept last is the warmest. It starts as a searcher, counted by its waker. */
static struct skua__worker *idle_pop(struct skua__sched *sched)
{
    struct skua__worker *worker = NULL;
    uint32_t count;

    skua__lock_take(&sched->sleepers_lock);
    count = skua__load_relaxed(&sched->sleeping); /* under the lock */
    if (count != 0 && skua__load_seq(&sched->searching) == 0) {
        worker = sched->workers[sched->sleepers[count - 1]];
        skua__store_seq(&sched->sleeping, count - 1);
        skua__add_seq(&sched->searching, 1);
    }
    skua__lock_drop(&sched->sleepers_lock);
    return worker;
}

void skua__idle_unpark(struct skua__worker *worker)
{
    uint32_t parked = SKUA__PARKED;

    if (skua__load_seq(&worker->parked) == SKUA__PARKED &&
        skua__cas_strong_seq(&worker->parked, &parked, SKUA__AWAKE))
        worker->sched->park->unpark(worker->thread.driver);
}

void skua__idle_notify(struct skua__sched *sched)
{
    struct skua__worker *worker;

    if (sched->count == 1)
        return; /* the one worker is the caller, or was told by its inbox */
    /* The producer's half of the second handshake; the other is in idle_stop_searching. */
    skua__fence_seq();
    if (skua__likely(skua__load_relaxed(&sched->sleeping) == 0 ||
                     skua__load_relaxed(&sched->searching) != 0))
        return;
    worker = idle_pop(sched);
    if (worker != NULL)
        skua__idle_unpark(worker);
}

/* ---- searching ------------------------------------------------------------------------------- */

void skua__idle_found(struct skua__worker *worker)
{
    if (!worker->searching)
        return;
    worker->searching = false;
    if (skua__sub_seq(&worker->sched->searching, 1) == 1)
        skua__idle_notify(worker->sched);
}

struct skua_task *skua__idle_search(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;
    struct skua_task *task = skua__queue_take_injected(worker);

    if (task == NULL && sched->steals) {
        if (!worker->searching) {
            /* Relaxed: the limit is a matter of cost, not of correctness. */
            if (2 * skua__load_relaxed(&sched->searching) >= sched->count)
                return NULL;
            skua__add_seq(&sched->searching, 1);
            worker->searching = true;
        }
        task = skua__steal(worker);
        if (task == NULL)
            task = skua__queue_take_injected(worker);
    }
    if (task != NULL) {
        skua__stat(worker, polls, 1);
        skua__idle_found(worker);
    }
    return task;
}

static bool idle_work_anywhere(struct skua__worker *worker)
{
    struct skua__sched *sched = worker->sched;

    if (skua__queue_any(worker))
        return true;
    for (unsigned i = 0; sched->steals && i < sched->count; i++)
        if (skua__deque_len(&sched->workers[i]->deque) != 0)
            return true;
    return false;
}

/* Gives up searching, before the last look at the queues. */
static void idle_stop_searching(struct skua__worker *worker)
{
    if (worker->searching) {
        worker->searching = false;
        skua__sub_seq(&worker->sched->searching, 1);
    }
    /* The searcher's half of the second handshake, and the worker's of the first. */
    skua__fence_seq();
}

/* ---- spinning -------------------------------------------------------------------------------- */

/* Looks for a little while before it sleeps. True: there is something. */
static bool idle_spin(struct skua__worker *worker)
{
    int64_t end;

    if (worker->spin_ns == 0)
        return false;
    end = skua__os_now() + worker->spin_ns;
    do {
        for (int i = 0; i < IDLE_LOOKS; i++) {
            if (idle_work_anywhere(worker))
                return true;
            skua__relax();
        }
    } while (skua__os_now() < end);
    return false;
}

/* After a sleep of `ns`, which another worker ended or not: would spinning have been better? */
static void idle_learn(struct skua__worker *worker, int64_t ns, bool woken)
{
    if (!worker->sched->spins)
        return;
    worker->spin_ns = woken && ns < IDLE_SPIN_PAYS ? IDLE_SPIN_MAX : worker->spin_ns / 2;
}

/* ---- parking --------------------------------------------------------------------------------- */

/* Returns for how long, ns. */
static int64_t idle_wait(struct skua__worker *worker)
{
    int64_t next = skua__wheel_next(&worker->wheel);
    int64_t now = skua__core_now(worker->thread.core);
    int events;

    skua__stat(worker, parks, 1);
    skua__stat(worker, busy_ns, now - worker->awake_since);
    skua__task_probe(SKUA_PROBE_SLEEP, &worker->thread, NULL, 0);
    next = next == INT64_MAX ? next : next > now ? next - now : 0;
    events = skua__worker_events(worker, next);
    worker->awake_since = skua__wheel_now(&worker->wheel);
    skua__task_probe(SKUA_PROBE_AWAKE, &worker->thread, NULL, events);
    return worker->awake_since - now;
}

/* Sleeps, unless there is something to do after all. */
static void idle_sleep(struct skua__worker *worker, bool (*until)(void *arg), void *arg)
{
    struct skua__sched *sched = worker->sched;

    skua__store_seq(&worker->parked, SKUA__PARKED);
    if (sched->steals)
        idle_list(sched, worker);
    idle_stop_searching(worker);
    if (!until(arg) && !idle_work_anywhere(worker)) {
        int64_t slept = idle_wait(worker);

        idle_learn(worker, slept, skua__load_relaxed(&worker->parked) == SKUA__AWAKE); /* a hint */
    }
    /* Whoever unparked it has set AWAKE already; then the store changes nothing. */
    skua__store_seq(&worker->parked, SKUA__AWAKE);
    if (sched->steals && !idle_unlist(sched, worker))
        worker->searching = true; /* its waker has counted it */
}

void skua__idle_park(struct skua__worker *worker, bool (*until)(void *arg), void *arg)
{
    struct skua__sched *sched = worker->sched;

    if (idle_spin(worker))
        return;
    if (sched->on_thread_park != NULL)
        sched->on_thread_park(sched->core->hook_arg);
    if (sched->on_thread_park == NULL || !skua__queue_any(worker)) /* the hook may make work */
        idle_sleep(worker, until, arg);
    if (sched->on_thread_unpark != NULL)
        sched->on_thread_unpark(sched->core->hook_arg);
}

#undef IDLE_SPIN_MAX
#undef IDLE_SPIN_PAYS
#undef IDLE_LOOKS
