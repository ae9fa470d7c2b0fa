/* runtime_guest.c - a current-thread runtime as the guest of a foreign event loop.
 *
 * Flow       the loop waits for skua_runtime_fd to be readable, or for the moment that the last
 *            skua_runtime_turn told, and calls skua_runtime_turn: events, timers, tasks; no wait.
 * Wakes      between two turns the worker counts as parked: whoever mails it a task, from another
 *            thread or from this one, rings the driver's doorbell, and the descriptor is readable.
 *            The end of a turn says "parked" and then looks into the inbox; a mailer the other way
 *            round (sched_idle.c).
 * Bound      a turn that always finds more to do gives the loop its thread back after some rounds,
 *            and asks to be called again at once.
 */
#include "runtime/runtime_impl.h"

#define GUEST_ROUNDS 16

struct guest_turn {
    struct skua__worker *worker;
    unsigned rounds;
};

/* Asked after each round of tasks. */
static bool guest_over(void *arg)
{
    struct guest_turn *turn = arg;

    (void)skua__worker_events(turn->worker, 0);
    return !skua__queue_any(turn->worker) || ++turn->rounds == GUEST_ROUNDS;
}

int skua_runtime_fd(skua_runtime *runtime)
{
    struct skua__worker *worker = runtime->sched.workers[0];
    int fd;

    if (runtime->sched.multi || skua__runtime_forked(runtime))
        return SKUA_EUSAGE;
    fd = runtime->driver_ops->descriptor(worker->thread.driver);
    if (fd >= 0) {
        skua__store_seq(&worker->parked, SKUA__PARKED);
        if (skua__queue_any(worker))
            skua__idle_unpark(worker); /* what was spawned before is told, too */
    }
    return fd;
}

int64_t skua_runtime_turn(skua_runtime *runtime)
{
    struct skua__worker *worker = runtime->sched.workers[0];
    struct guest_turn turn = {.worker = worker};
    int64_t next;
    int rc;

    if (runtime->sched.multi || skua__thread_self()->core != NULL || skua__runtime_forked(runtime))
        return SKUA_EUSAGE;
    skua__store_seq(&worker->parked, SKUA__AWAKE);
    rc = skua__runtime_drive(runtime, guest_over, &turn, SKUA_FOREVER);
    if (rc != 0)
        return rc;
    skua__store_seq(&worker->parked, SKUA__PARKED);
    next = skua__wheel_next(&worker->wheel);
    return skua__queue_any(worker) ? skua__core_now(&runtime->core) : next;
}

#undef GUEST_ROUNDS
