/* task_life.c - a task from its first turn to its end; wake, cancel, one turn.
 *
 * Flow       task_spawn.c -> sched queue -> skua__task_turn -> poll ->
 *            pending: idle, until skua__task_wake queues it again
 *            ready:   skua__task_finish -> joiner woken, scope told, cell given back
 * Invariant  a task is in one queue or on one worker exactly while ACTIVE is set (the table in
 *            task_impl.h). DONE is set once, after which only references keep the cell.
 */
#include "task/task_impl.h"

#include <errno.h>
#include <string.h>

/* ---- cells and references -------------------------------------------------------------------- */

static void task_cell_give(struct skua__thread *self, struct skua_task *task)
{
    struct skua__core *core = skua__task_core(task);
    struct skua__cell_cache *cache = self->core == core ? &self->cells : NULL;
    unsigned cell_class = task->cell_class;

    /* Release pairs with the acquire in skua_task_find: who sees the old generation sees an ended
     * task's state, or takes no reference because the count is zero. */
    skua__store_release(&task->generation, skua__load_relaxed(&task->generation) + 1);
    if (skua__unlikely(cache == NULL || cache->count[cell_class] >= SKUA__CELL_BATCH)) {
        skua__cell_give_slow(&core->cells, cache, task);
        return;
    }
    task->next = cache->head[cell_class];
    cache->head[cell_class] = skua__cell_index(task);
    cache->count[cell_class]++;
}

void skua__cell_spare_give(struct skua__thread *self, struct skua_task *cell)
{
    task_cell_give(self, cell);
}

void skua__task_unref(struct skua__thread *self, struct skua_task *task)
{
    uint32_t before = skua__sub_acq_rel(&task->state, SKUA__REF);

    skua__assert(SKUA__REFS(before) > 0);
    if (SKUA__REFS(before) == 1)
        task_cell_give(self, task);
}

skua_task_id skua__task_id(const struct skua_task *task)
{
    return (uint64_t)skua__load_relaxed(&((struct skua_task *)(uintptr_t)task)->generation) << 32 |
           skua__cell_index(task);
}

/* ---- wake and cancel ------------------------------------------------------------------------- */

void skua__task_wake(struct skua_task *task)
{
    /* Relaxed: the read-modify-write below synchronises, with a value that stays the same too. */
    uint32_t state = skua__load_relaxed(&task->state);
    uint32_t after;
    struct skua__thread *self;

    do {
        if (state & SKUA__DONE)
            return;
        after = state | (state & SKUA__ACTIVE ? SKUA__NOTIFIED : SKUA__ACTIVE);
        /* Release: what the waker did before is seen by the task's next turn. Acquire: the task's
         * fields, where this thread becomes the holder. */
    } while (!skua__cas_acq_rel(&task->state, &state, after));
    if (state & SKUA__ACTIVE)
        return;
    self = skua__thread_self();
    skua__task_probe(SKUA_PROBE_WOKEN, self, task, 0);
    skua__sched_schedule(self, task);
}

bool skua__task_cancel(struct skua_task *task)
{
    uint32_t before = skua__or_acq_rel(&task->state, SKUA__CANCELLED);

    if (before & SKUA__DONE)
        return false;
    if (!(before & SKUA__CANCELLED)) {
        if (skua__probe_on(SKUA_PROBE_CANCELLED))
            skua__task_tell(SKUA_PROBE_CANCELLED, skua__thread_self(), task, 0);
        skua__task_wake(task);
    }
    return true;
}

/* ---- the turn and the end -------------------------------------------------------------------- */

skua_sleep_future *skua__task_timer(struct skua_task *task)
{
    char *end = (char *)task + skua__cell_size(task->cell_class);

    return (skua_sleep_future *)(void *)(end - sizeof(skua_sleep_future));
}

void skua__task_hook(struct skua_task *task, void (*hook)(const skua_task_info *, void *))
{
    skua_task_info info;

    skua__task_describe(task, &info);
    hook(&info, skua__task_core(task)->hook_arg);
}

/* The joiner may not return before JOINING is clear again (task_join.c): so its waker, and the
 * runtime that it belongs to, are there until the wake is done. */
void skua__task_wake_joiner(struct skua_task *task)
{
    skua_waker_wake(task->joiner);
    skua_waker_unref(task->joiner);
    skua__and_acq_rel(&task->state, ~SKUA__JOINING);
}

/* Nobody but us holds it any more, or the last one gives it back. */
static void task_release(struct skua__thread *self, struct skua__core *core, struct skua_task *task)
{
    /* Acquire pairs with the other holders' release: their last looks come before the reuse. No
     * reference is taken after DONE, so that one that is alone stays so. */
    if (SKUA__REFS(skua__load_acquire(&task->state)) == 1) {
        skua__store_relaxed(&task->state, SKUA__DONE);
        task_cell_give(self, task);
    } else {
        skua__task_unref(self, task);
    }
    if (skua__unlikely(core->tasks_max != 0))
        skua__sub_relaxed(&core->tasks_alive, 1);
}

/* Several at a time: the scope's lock is taken once for all of them. */
void skua__task_flush_left(struct skua__thread *self)
{
    struct skua_task *left[SKUA__LEAVE_BATCH];
    unsigned count = self->left_count;

    memcpy(left, self->left, count * sizeof left[0]);
    self->left_count = 0;
    skua__scope_leave(self->leaving, left, count);
    for (unsigned i = 0; i < count; i++)
        task_release(self, self->core, left[i]);
    /* Release pairs with skua__runtime_alive: when it has counted these ends, nothing of the tasks
     * is touched any more. Tasks end on workers of their runtime only: one writer. */
    skua__store_release(&self->done, skua__load_relaxed(&self->done) + count);
}

/* Leaves the scope: at once when somebody may be waiting for just this, else with the next ones. */
SKUA__INLINE void task_leave(struct skua__thread *self, struct skua_task *task, int result)
{
    unsigned patience = 1;

    if (self->left_count != 0 && self->leaving != task->scope)
        skua__task_flush_left(self);
    if (self->left_count == 0)
        self->left_look = 1;
    self->leaving = task->scope;
    self->left[self->left_count++] = task;
    if (self->left_count >= self->left_look) {
        patience = skua__scope_patience(task->scope, self->left_count);
        self->left_look = self->left_count + patience;
    }
    if (patience == 0 || self->left_count == SKUA__LEAVE_BATCH || result < 0)
        skua__task_flush_left(self);
}

void skua__task_finish(struct skua__thread *self, struct skua_task *task, int result)
{
    struct skua__core *core = self->core;

    skua__assert(task->place < SKUA__BIND || task->place >= SKUA__BINDS_MAX);
    if (skua__unlikely(task->context != NULL)) {
        if (skua__unlikely(skua__context_made_by(task->context, task)))
            skua__task_span_end(self, task, result);
        skua__context_unref(task->context);
        task->context = NULL;
    }
    if (skua__unlikely(core->on_task_done != NULL))
        skua__task_hook(task, core->on_task_done);
    skua__task_probe(SKUA_PROBE_DONE, self, task, result);
    task->next = (uint32_t)result;
    /* Release: joiners see the result. Acquire: the joiner's waker is seen. DONE is set once, so
     * that adding is setting, and cheaper. */
    if (skua__unlikely(skua__add_acq_rel(&task->state, SKUA__DONE) & SKUA__JOINING))
        skua__task_wake_joiner(task);
    task_leave(self, task, result);
}

/* One turn of a poll task. */
static void task_poll(struct skua__thread *self, struct skua_task *task)
{
    skua_poll answer;

    if (skua__unlikely(!(task->flags & SKUA__STARTED))) {
        task->flags |= SKUA__STARTED;
        if (task->flags & SKUA__TIMED)
            (void)skua__sleep_poll(&skua__task_timer(task)->future, skua__task_waker(task));
    }
    answer = task->poll(skua__task_state(task), skua__task_waker(task));
    if (answer != SKUA_PENDING) {
        if (skua__unlikely(task->flags & SKUA__TIMED))
            skua_future_drop(&skua__task_timer(task)->future);
        skua__task_finish(self, task, (int)answer);
        return;
    }
    if (skua__probe_on(SKUA_PROBE_PARKED))
        skua__task_tell(SKUA_PROBE_PARKED, self, task, 0);
    if (!skua__task_idle(task))
        skua__sched_requeue(self, task);
}

void skua__task_turn(struct skua__thread *self, struct skua_task *task)
{
    uint32_t state = skua__load_acquire(&task->state); /* pairs with the waker's CAS */

    if (state & SKUA__NOTIFIED)
        state = skua__and_acq_rel(&task->state, ~SKUA__NOTIFIED);
    if (skua__unlikely((state & SKUA__CANCELLED) && !(task->flags & SKUA__STARTED))) {
        if (task->flags & SKUA__FIBER)
            skua__fiber_abandon(self, skua__fiber_of(task), -ECANCELED);
        else
            skua__task_finish(self, task, -ECANCELED);
        return;
    }
    self->budget = self->core->budget;
    skua__task_own(task, self->index);
    self->current = task;
    skua__task_probe(SKUA_PROBE_POLLED, self, task, 0);
    if (task->flags & SKUA__FIBER)
        skua__fiber_run(self, skua__fiber_of(task));
    else
        task_poll(self, task);
    self->current = NULL;
}
