/* sched_policy.c - a runtime's own scheduler: who is next is said by it.
 *
 * Flow       sched_queue.c: a task that is bound to this worker may run -> skua__policy_push; a
 *            turn is to be given -> skua__policy_pop. All tasks of such a runtime are bound to a
 *            worker: nobody else looks into what the scheduler keeps, and there is no lock.
 * Rest       a scheduler that counts the time between two pops learns from one that brings nothing
 *            that the last turn is over. The loop sees to it that there is one before it sleeps.
 * Latency    where the scheduler has a goal, each turn gets a moment when it is due to end
 *            (skua_yield_if_needed), and timers and I/O are looked at that often, however many
 *            turns of the loop are left.
 * Cost       one branch for tasks that are bound, none for those of a plain current-thread runtime.
 */
#include <skua/scheduler.h>

#include "sched/sched_impl.h"

void skua__policy_push(struct skua__worker *worker, struct skua_task *task)
{
    task->next = 0;
    worker->policed++;
    worker->sched->policy->push(worker->policy, task);
}

static void policy_set_due(struct skua__worker *worker, int64_t latency)
{
    int64_t now = skua__core_now(worker->thread.core);

    worker->thread.due = skua__time_after(now, latency);
    if (now - worker->events_at >= latency)
        worker->turns_left = 0; /* after this one */
}

struct skua_task *skua__policy_pop(struct skua__worker *worker)
{
    const skua_scheduler *policy = worker->sched->policy;
    struct skua_task *task;

    task = policy->pop(worker->policy);
    skua__assert((task == NULL) == (worker->policed == 0)); /* scheduler.h: all, and each once */
    if (task == NULL)
        return NULL;
    worker->policed--;
    if (policy->latency != 0)
        policy_set_due(worker, policy->latency);
    return task;
}

void skua__policy_rest(struct skua__worker *worker)
{
    if (worker->policed == 0)
        (void)skua__policy_pop(worker);
}

int skua__policy_open(struct skua__worker *worker)
{
    const skua_scheduler *policy = worker->sched->policy;

    if (policy == NULL)
        return 0;
    worker->policy = policy->open(worker->thread.index, policy->arg);
    return worker->policy != NULL ? 0 : -ENOMEM;
}

void skua__policy_close(struct skua__worker *worker)
{
    if (worker->policy != NULL)
        worker->sched->policy->close(worker->policy);
}

/* ---- what a scheduler sees of a task --------------------------------------------------------- */

void skua_task_set_next(skua_task *task, skua_task *next)
{
    task->next = next != NULL ? skua__cell_index(next) : 0;
}

skua_task *skua_task_next(const skua_task *task)
{
    return task->next != 0 ? skua__cell_of(task, task->next) : NULL;
}

skua_priority skua_task_priority(const skua_task *task)
{
    return (skua_priority)((task->flags & SKUA__PRIORITY) >> 4);
}

int64_t skua_task_deadline(const skua_task *task)
{
    return skua__context_deadline(task->context);
}

skua_task_queue *skua_task_queue_of(const skua_task *task)
{
    return task->context != NULL ? task->context->queue : NULL;
}
