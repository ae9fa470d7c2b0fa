/* task_life.c - a task's cell from its spawn to its end; wake, cancel, one turn.
 *
 * Flow       spawn -> skua__task_new -> scope -> sched queue -> skua__task_turn -> poll ->
 *            pending: idle, until skua__task_wake queues it again
 *            ready:   skua__task_finish -> joiner woken, scope told, cell given back
 * Invariant  a task is in one queue or on one worker exactly while ACTIVE is set (the table in
 *            task_impl.h). DONE is set once, after which only references keep the cell.
 */
#include "task/task_impl.h"

#include <errno.h>
#include <string.h>

/* ---- cells and references -------------------------------------------------------------------- */

SKUA__INLINE struct skua_task *task_cell_take(struct skua__core *core, struct skua__thread *self,
                                              size_t size)
{
    unsigned cell_class = skua__cell_class_of(size);
    struct skua__cell_cache *cache = self->core == core ? &self->cells : NULL;
    struct skua_task *task;

    if (skua__unlikely(skua__fault_hit(SKUA__FAULT_MALLOC) != 0))
        return NULL;
    if (skua__unlikely(cache == NULL || cache->head[cell_class] == 0))
        return skua__cell_take_slow(&core->cells, cache, cell_class);
    task = skua__cell_of(core->cells.base, cache->head[cell_class]);
    cache->head[cell_class] = task->next;
    cache->count[cell_class]--;
    return task;
}

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

/* ---- spawn ----------------------------------------------------------------------------------- */

SKUA__INLINE int task_admit(struct skua__core *core)
{
    if (skua__unlikely(skua__load_relaxed(&core->stopping) != 0))
        return SKUA_ESTOPPED;
    if (skua__likely(core->tasks_max == 0))
        return 0;
    if (skua__add_relaxed(&core->tasks_alive, 1) < core->tasks_max)
        return 0;
    skua__sub_relaxed(&core->tasks_alive, 1);
    return SKUA_ELIMIT;
}

static void task_unadmit(struct skua__core *core)
{
    if (core->tasks_max != 0)
        skua__sub_relaxed(&core->tasks_alive, 1);
}

static void task_hook(struct skua_task *task, void (*hook)(const skua_task_info *, void *))
{
    skua_task_info info;

    skua__task_describe(task, &info);
    hook(&info, skua__task_core(task)->hook_arg);
}

/* Fills in the header of a fresh cell, but for the state: it still says "ended". */
SKUA__INLINE void task_init(struct skua_task *task, struct skua__core *core,
                            struct skua__thread *self, const skua_site *site, skua_scope *scope,
                            const skua_spawn_options *options)
{
    task->flags = 0;
    task->place = self->core == core ? (uint16_t)self->index : 0;
    if (options != NULL) {
        task->flags = (uint8_t)(options->priority << 4);
        task->flags |= options->flags & SKUA_MIGRATABLE ? SKUA__MIGRATES : 0;
        task->flags |= options->flags & SKUA_PINNED ? SKUA__PINS : 0;
        task->flags |= options->flags & SKUA_SAVE_FP ? SKUA__FP : 0;
    }
    task->poll = NULL;
    skua__store_relaxed(&task->site, site);
    task->context = self->current != NULL ? skua__context_ref(self->current->context) : NULL;
    task->scope = scope;
    task->joiner = NULL;
}

SKUA__INLINE int task_options_check(const skua_spawn_options *options)
{
    if (options == NULL)
        return 0;
    if (options->size < sizeof(size_t) || options->priority > SKUA_BACKGROUND ||
        options->stack > SKUA_STACK_LARGE ||
        (options->flags & ~(SKUA_MIGRATABLE | SKUA_PINNED | SKUA_SAVE_FP)) != 0)
        return -EINVAL;
    return 0;
}

/* Everything of a spawn that may be refused, but the scope: a cell, or NULL and the reason. */
SKUA__INLINE struct skua_task *task_reserve(struct skua__core *core, struct skua__thread *self,
                                            size_t size, const skua_spawn_options *options,
                                            int *ret_error)
{
    struct skua_task *task;
    int rc = task_options_check(options);

    if (rc == 0)
        rc = task_admit(core);
    *ret_error = rc;
    if (rc != 0)
        return NULL;
    task = task_cell_take(core, self, size);
    if (task == NULL) {
        task_unadmit(core);
        *ret_error = -ENOMEM;
    }
    return task;
}

/* The joiner may not return before JOINING is clear again (task_join.c): so its waker, and the
 * runtime that it belongs to, are there until the wake is done. */
static void task_wake_joiner(struct skua_task *task)
{
    skua_waker_wake(task->joiner);
    skua_waker_unref(task->joiner);
    skua__and_acq_rel(&task->state, ~SKUA__JOINING);
}

/* The scope does not take it. But whoever lists tasks may have met it, and hold or join it. */
static SKUA__COLD void task_refuse(struct skua__core *core, struct skua__thread *self,
                                   struct skua_task *task, bool handle, int rc)
{
    skua__context_unref(task->context);
    task->context = NULL;
    task->next = (uint32_t)rc;
    if (skua__add_acq_rel(&task->state, SKUA__DONE) & SKUA__JOINING) /* as skua__task_finish */
        task_wake_joiner(task);
    if (handle)
        skua__task_unref(self, task);
    skua__task_unref(self, task);
    task_unadmit(core);
}

/* The last part of a spawn: a task from here on, in its scope, counted, told, queued. */
SKUA__INLINE int task_launch(struct skua__core *core, struct skua__thread *self,
                             struct skua_task *task, const skua_spawn_options *options)
{
    bool handle = options != NULL && options->task != NULL;
    int rc;

    /* One reference of the runtime's, one for a handle. Release: who meets the task by its cell, a
     * late waker or a listing, and sees this state, sees all of it. */
    skua__store_release(&task->state, SKUA__ACTIVE | (handle ? 2 * SKUA__REF : SKUA__REF));
    rc = skua__scope_enter(task->scope, task);
    if (skua__unlikely(rc != 0)) {
        task_refuse(core, self, task, handle, rc);
        return rc;
    }
    if (skua__likely(self->core == core))
        skua__bump(&self->spawned);
    else
        skua__add_relaxed(&core->remote_spawned, 1); /* a statistic */
    if (handle)
        *options->task = task;
    if (options != NULL && options->id != NULL)
        *options->id = skua__task_id(task);
    if (skua__unlikely(core->on_task_spawn != NULL))
        task_hook(task, core->on_task_spawn);
    skua__task_probe(SKUA__PROBE_SPAWNED, self, task, 0);
    skua__sched_schedule(self, task);
    return 0;
}

/* The scope and core of a spawn. */
SKUA__INLINE int task_target(struct skua__thread *self, skua_scope **scope,
                             struct skua__core **ret_core)
{
    if (*scope == NULL) {
        if (self->current == NULL)
            return SKUA_EUSAGE;
        *scope = self->current->flags & SKUA__FIBER ? skua__fiber_of(self->current)->scope
                                                    : self->current->scope;
    }
    if ((*scope)->runtime == NULL)
        return SKUA_EUSAGE;
    *ret_core = (struct skua__core *)(void *)(*scope)->runtime;
    return 0;
}

int skua_spawn_at(const skua_site *site, skua_scope *scope, skua_fiber_fn fn, void *arg,
                  const skua_spawn_options *options)
{
    struct skua__thread *self = skua__thread_self();
    struct skua__core *core;
    struct skua_task *task;
    struct skua__fiber *fiber;
    int rc;

    rc = task_target(self, &scope, &core);
    if (skua__unlikely(rc != 0 || fn == NULL))
        return rc != 0 ? rc : -EINVAL;
    task = task_reserve(core, self, sizeof *fiber, options, &rc);
    if (skua__unlikely(task == NULL))
        return rc;
    if (skua__unlikely(options != NULL && options->name != NULL))
        site = skua__site_named(site, options->name);
    task_init(task, core, self, site, scope, options);
    task->flags |= SKUA__FIBER;
    fiber = skua__fiber_of(task);
    fiber->stack = NULL;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->drop = options != NULL ? options->drop : NULL;
    fiber->scope = scope;
    skua__store_relaxed(&fiber->waiting_for, NULL);
    fiber->shields = 0;
    fiber->stack_class = options != NULL ? (uint8_t)options->stack : SKUA_STACK_DEFAULT;
    return task_launch(core, self, task, options);
}

/* A poll task under a deadline carries a timer behind its state, since nobody else wakes it. */
static skua_sleep_future *task_timer(struct skua_task *task)
{
    char *end = (char *)task + skua__cell_size(task->cell_class);

    return (skua_sleep_future *)(void *)(end - sizeof(skua_sleep_future));
}

/* States are small and mostly whole words: a loop is cheaper than a call. */
SKUA__INLINE void task_copy_state(void *to, const void *from, size_t size)
{
    uint64_t word;

    if (skua__unlikely(size % sizeof word != 0 || size > 128)) {
        memcpy(to, from, size);
        return;
    }
    for (size_t at = 0; at < size; at += sizeof word) {
        memcpy(&word, (const char *)from + at, sizeof word);
        memcpy((char *)to + at, &word, sizeof word);
    }
}

int skua_spawn_poll_at(const skua_site *site, skua_scope *scope, skua_poll_fn fn, const void *state,
                       size_t state_size, const skua_spawn_options *options)
{
    struct skua__thread *self = skua__thread_self();
    bool timed =
        self->current != NULL && skua__context_deadline(self->current->context) != INT64_MAX;
    size_t size = sizeof(struct skua_task) + skua__round_up(state_size, 8);
    struct skua__core *core;
    struct skua_task *task;
    int rc;

    rc = task_target(self, &scope, &core);
    if (skua__unlikely(rc != 0 || fn == NULL || (state == NULL && state_size != 0)))
        return rc != 0 ? rc : -EINVAL;
    size += timed ? sizeof(skua_sleep_future) : 0;
    if (skua__unlikely(state_size > SKUA__CELL_MAX || size > SKUA__CELL_MAX))
        return SKUA_ELIMIT;
    task = task_reserve(core, self, size, options, &rc);
    if (skua__unlikely(task == NULL))
        return rc;
    if (skua__unlikely(options != NULL && options->name != NULL))
        site = skua__site_named(site, options->name);
    task_init(task, core, self, site, scope, options);
    task->poll = fn;
    task_copy_state(skua__task_state(task), state, state_size);
    if (timed) {
        task->flags |= SKUA__TIMED;
        skua_sleep_until_init(task_timer(task), skua__context_deadline(task->context));
    }
    return task_launch(core, self, task, options);
}

void skua_spawn_options_init(skua_spawn_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
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
    skua__task_probe(SKUA__PROBE_WOKEN, self, task, 0);
    skua__sched_schedule(self, task);
}

bool skua__task_cancel(struct skua_task *task)
{
    uint32_t before = skua__or_acq_rel(&task->state, SKUA__CANCELLED);

    if (before & SKUA__DONE)
        return false;
    if (!(before & SKUA__CANCELLED)) {
        if (skua__probe_on())
            skua__task_tell(SKUA__PROBE_CANCELLED, skua__thread_self(), task, 0);
        skua__task_wake(task);
    }
    return true;
}

/* ---- the turn and the end -------------------------------------------------------------------- */

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
        skua__context_unref(task->context);
        task->context = NULL;
    }
    if (skua__unlikely(core->on_task_done != NULL))
        task_hook(task, core->on_task_done);
    skua__task_probe(SKUA__PROBE_DONE, self, task, result);
    task->next = (uint32_t)result;
    /* Release: joiners see the result. Acquire: the joiner's waker is seen. DONE is set once, so
     * that adding is setting, and cheaper. */
    if (skua__unlikely(skua__add_acq_rel(&task->state, SKUA__DONE) & SKUA__JOINING))
        task_wake_joiner(task);
    task_leave(self, task, result);
}

/* One turn of a poll task. */
static void task_poll(struct skua__thread *self, struct skua_task *task)
{
    skua_poll answer;

    if (skua__unlikely(!(task->flags & SKUA__STARTED))) {
        task->flags |= SKUA__STARTED;
        if (task->flags & SKUA__TIMED)
            (void)skua__sleep_poll(&task_timer(task)->future, skua__task_waker(task));
    }
    answer = task->poll(skua__task_state(task), skua__task_waker(task));
    if (answer != SKUA_PENDING) {
        if (skua__unlikely(task->flags & SKUA__TIMED))
            skua_future_drop(&task_timer(task)->future);
        skua__task_finish(self, task, (int)answer);
        return;
    }
    if (skua__probe_on())
        skua__task_tell(SKUA__PROBE_PARKED, self, task, 0);
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
    skua__task_probe(SKUA__PROBE_POLLED, self, task, 0);
    if (task->flags & SKUA__FIBER)
        skua__fiber_run(self, skua__fiber_of(task));
    else
        task_poll(self, task);
    self->current = NULL;
}
