/* runtime_stop.c - stopping: every task is cancelled, cleans up, and is waited for.
 *
 *   1  `stopping` is set: a spawn says SKUA_ESTOPPED from here on
 *   2  every living task is cancelled, wherever it is (a walk over the arena: what was being made
 *      while 1 happened is caught by walking again every 10 ms)
 *   3  the stopper waits until none is left
 *   4  at the deadline those that are left are named, one by one, and the runtime stays.
 *
 * A task that ignores its cancellation is waited for like any other: its stack and its frames are
 * in use, nobody can take them away.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/runtime_impl.h"

struct stop_wait {
    skua_runtime *runtime;
    int64_t deadline;
    int64_t walk_again; /* ns: when everything is cancelled once more */
};

uint64_t skua__runtime_alive(skua_runtime *runtime)
{
    /* Ends before beginnings: a task counted as ended is then counted as begun, too, so that the
     * difference is never too small. Acquire pairs with the release of each counter's writer. */
    uint64_t done = 0;
    uint64_t spawned;

    for (unsigned i = 0; i < runtime->workers_made; i++)
        done += skua__load_acquire(&runtime->sched.workers[i]->thread.done);
    spawned = skua__load_acquire(&runtime->core.remote_spawned);
    for (unsigned i = 0; i < runtime->workers_made; i++)
        spawned += skua__load_acquire(&runtime->sched.workers[i]->thread.spawned);
    return spawned - done;
}

static void stop_cancel(struct skua_task *task, void *arg)
{
    /* Acquire pairs with the release in task_init. A task that is missed is met again on the next
     * walk; a cell that never was a task has no reference. */
    uint32_t state = skua__load_acquire(&task->state);

    (void)arg;
    if (SKUA__REFS(state) != 0 && !(state & (SKUA__DONE | SKUA__CANCELLED)))
        (void)skua__task_cancel(task);
}

void skua__runtime_cancel_all(skua_runtime *runtime)
{
    skua__cells_each(&runtime->core.cells, stop_cancel, NULL);
}

static void stop_print(const skua_task_info *info, void *arg)
{
    skua_runtime *runtime = arg;

    fprintf(stderr, "skua: runtime '%s': task '%s' (%s:%d) did not end%s%s\n", runtime->name,
            info->site->name, info->site->file, info->site->line,
            info->waiting_for != NULL ? ", waiting for " : "",
            info->waiting_for != NULL ? info->waiting_for : "");
}

static void stop_name_stragglers(skua_runtime *runtime)
{
    if (runtime->options.on_straggler != NULL)
        (void)skua_runtime_each_task(runtime, runtime->options.on_straggler,
                                     runtime->options.hook_arg);
    else
        (void)skua_runtime_each_task(runtime, stop_print, runtime);
}

/* Cancels whatever is there, but not more often than every 10 ms: a walk over a million cells is
 * not free, and only a spawn that began before `stopping` needs a second one. */
static void stop_cancel_all(struct stop_wait *wait, int64_t now)
{
    if (now < wait->walk_again)
        return;
    skua__runtime_cancel_all(wait->runtime);
    wait->walk_again = now + 10 * SKUA_MILLISECOND;
}

static bool stop_ended(void *arg)
{
    struct stop_wait *wait = arg;
    int64_t now;

    if (skua__runtime_alive(wait->runtime) == 0)
        return true;
    now = skua__core_now(&wait->runtime->core);
    stop_cancel_all(wait, now);
    return now >= wait->deadline;
}

/* Looks again and again, 20 µs to 2 ms apart: stopping is rare, and a task's end stays cheap. */
static int stop_threads(struct stop_wait *wait)
{
    _Atomic uint32_t nobody = 0;
    int64_t pause = 20 * SKUA_MICROSECOND;

    while (!stop_ended(wait)) {
        int64_t next = skua__os_now() + pause;

        (void)skua__os_futex_wait(&nobody, 0, next < wait->deadline ? next : wait->deadline);
        pause = pause < SKUA_MILLISECOND ? 2 * pause : pause;
    }
    return skua__runtime_alive(wait->runtime) == 0 ? 0 : -ETIMEDOUT;
}

/* The loop runs on this thread. */
static int stop_current_thread(struct stop_wait *wait)
{
    int rc;

    if (skua__runtime_alive(wait->runtime) == 0)
        return 0;
    rc = skua__runtime_drive(wait->runtime, stop_ended, wait, wait->deadline);
    if (rc != 0)
        return rc;
    return skua__runtime_alive(wait->runtime) == 0 ? 0 : -ETIMEDOUT;
}

int skua_runtime_stop(skua_runtime *runtime, int64_t deadline)
{
    struct stop_wait wait = {.runtime = runtime, .deadline = deadline};
    struct skua__thread *self = skua__thread_self();
    int rc;

    if (skua__runtime_forked(runtime) || self->core == &runtime->core)
        return SKUA_EUSAGE;
    if (!runtime->sched.multi && !skua__runtime_may_drive(runtime) &&
        skua__runtime_alive(runtime) != 0)
        return SKUA_EUSAGE; /* and it is not stopped: its thread goes on with it */
    skua__store_seq(&runtime->core.stopping, 1);
    (void)skua_scope_cancel(&runtime->core.root);
    rc = runtime->sched.multi ? stop_threads(&wait) : stop_current_thread(&wait);
    if (rc == -ETIMEDOUT)
        stop_name_stragglers(runtime);
    return rc;
}
