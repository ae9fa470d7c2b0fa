/* task_join.c - handles: waiting for a task's end, cancelling it, finding it by its id.
 *
 * The joiner's side of the JOINING protocol (the other is task_life.c: skua__task_finish):
 *
 *   joiner     sets CLAIMED, unless another has or DONE came first; writes task->joiner; then sets
 *              JOINING, unless DONE came first
 *   finisher   sets DONE; if JOINING was set, wakes task->joiner, then clears JOINING
 *   joiner     that sees DONE waits until JOINING is clear (a few instructions of the finisher's)
 *   joiner     that lets go clears both, unless DONE came first
 *
 * So the waker in task->joiner has one owner at any time, and is alive while it is woken.
 */
#include "task/task_impl.h"

/* The finisher is between setting DONE and clearing JOINING: a wake away. */
static void join_settle(struct skua_task *task)
{
    while (skua__load_acquire(&task->state) & SKUA__JOINING) /* pairs with task_wake_joiner */
        skua__os_thread_yield();
}

static skua_poll join_collect(skua_join_future *join)
{
    struct skua_task *task = join->task;

    join_settle(task);
    if (join->result != NULL)
        *join->result = skua__task_result(task);
    join->waker = NULL;
    join->task = NULL;
    skua__task_unref(skua__thread_self(), task);
    return 0;
}

/* Takes the registration back. False when the task ended first: the finisher has the waker. */
static bool join_withdraw(skua_join_future *join)
{
    struct skua_task *task = join->task;
    uint32_t state = skua__load_acquire(&task->state);

    while (!(state & SKUA__DONE))
        if (skua__cas_acq_rel(&task->state, &state, state & ~(SKUA__JOINING | SKUA__CLAIMED))) {
            skua_waker_unref(join->waker);
            join->waker = NULL;
            return true;
        }
    join_settle(task);
    join->waker = NULL;
    return false;
}

skua_poll skua__join_claimed(skua_join_future *join, skua_waker *waker)
{
    struct skua_task *task = join->task;
    uint32_t state;

    task->joiner = skua_waker_ref(waker);
    join->waker = waker;
    state = skua__load_acquire(&task->state);
    while (!(state & SKUA__DONE)) {
        /* Release: the finisher that sees JOINING sees the waker. */
        if (skua__cas_acq_rel(&task->state, &state, state | SKUA__JOINING))
            return SKUA_PENDING;
    }
    skua_waker_unref(waker);
    return join_collect(join);
}

/* Becomes the one joiner. */
static skua_poll join_register(skua_join_future *join, skua_waker *waker)
{
    struct skua_task *task = join->task;
    uint32_t state = skua__load_acquire(&task->state);

    do {
        if (state & SKUA__DONE)
            return join_collect(join);
        if (state & SKUA__CLAIMED)
            return -EBUSY;
    } while (!skua__cas_acq_rel(&task->state, &state, state | SKUA__CLAIMED));
    return skua__join_claimed(join, waker);
}

static skua_poll join_poll(skua_future *future, skua_waker *waker)
{
    skua_join_future *join = skua__container(future, skua_join_future, future);
    struct skua_task *task = join->task;
    uint32_t state;

    if (task == NULL)
        return -ESRCH;
    if (skua__task_waker(task) == waker)
        return -EDEADLK;
    state = skua__load_acquire(&task->state); /* pairs with the finisher's or: the result */
    if (state & SKUA__DONE)
        return join_collect(join);
    if (join->waker == waker)
        return SKUA_PENDING;
    if (join->waker != NULL && !join_withdraw(join))
        return join_collect(join);
    return join_register(join, waker);
}

static void join_drop(skua_future *future)
{
    skua_join_future *join = skua__container(future, skua_join_future, future);

    if (join->waker != NULL)
        (void)join_withdraw(join);
}

static const skua_future_ops join_ops = {.name = "join", .poll = join_poll, .drop = join_drop};

skua_future *skua_join_init(skua_join_future *join, skua_task *task, int *result)
{
    join->future.ops = &join_ops;
    join->task = task;
    join->waker = NULL;
    join->result = result;
    return &join->future;
}

int skua_task_join(skua_task *task, int *result)
{
    skua_join_future join;

    if (task == NULL)
        return -EINVAL;
    if (skua__unlikely(skua__load_relaxed(&skua__task_core(task)->stopping) == SKUA__FORKED))
        return SKUA_EUSAGE; /* nobody runs it here; relaxed: there was one thread */
    return (int)skua_await(skua_join_init(&join, task, result));
}

void skua_task_detach(skua_task *task)
{
    if (task != NULL)
        skua__task_unref(skua__thread_self(), task);
}

int skua_task_cancel(skua_task *task)
{
    return skua__task_cancel(task) ? 0 : -ESRCH;
}

int skua_task_done(const skua_task *task)
{
    /* Acquire pairs with the finisher's or: what the task did is seen. */
    return (skua__load_acquire(&((struct skua_task *)(uintptr_t)task)->state) & SKUA__DONE) != 0;
}

skua_task_id skua_task_id_of(const skua_task *task)
{
    return skua__task_id(task);
}

skua_task_id skua_task_current_id(void)
{
    struct skua_task *task = skua__thread_self()->current;

    return task == NULL ? 0 : skua__task_id(task);
}

int skua_worker_current(void)
{
    struct skua__thread *self = skua__thread_self();

    return self->current == NULL ? SKUA_EUSAGE : (int)self->index;
}

const char *skua_task_current_name(void)
{
    struct skua_task *task = skua__thread_self()->current;

    return task == NULL ? NULL : skua__load_relaxed(&task->site)->name; /* its own: constant */
}

int skua_task_find(skua_runtime *runtime, skua_task_id id, skua_task **ret)
{
    struct skua__core *core = (struct skua__core *)(void *)runtime;
    struct skua_task *task = skua__cell_at(&core->cells, (uint32_t)id);

    if (task == NULL || !skua__task_ref_alive(task, 0))
        return -ESRCH;
    /* With the reference the cell cannot change hands any more: is it the one that was meant? */
    if (skua__load_acquire(&task->generation) != (uint32_t)(id >> 32)) {
        skua__task_unref(skua__thread_self(), task);
        return -ESRCH;
    }
    *ret = task;
    return 0;
}

int skua_task_cancel_id(skua_runtime *runtime, skua_task_id id)
{
    skua_task *task;
    int rc = skua_task_find(runtime, id, &task);

    if (rc != 0)
        return rc;
    rc = skua_task_cancel(task);
    skua_task_detach(task);
    return rc;
}
