/* task_spawn.c - a task's cell from "free" to "queued".
 *
 * Flow       skua_spawn_at, skua_spawn_poll_at -> task_reserve (all that may be refused) ->
 *            task_init -> task_launch: from its state word on it is a task; scope, hooks, queue
 * Refusals   come before anything is seen from outside, but for the scope's: whoever lists tasks
 *            may have met the task by then, see task_refuse.
 */
#include <string.h>

#include "task/task_impl.h"

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

SKUA__COLD struct skua_task *skua__cell_spare_take(struct skua__core *core,
                                                   struct skua__thread *self, size_t size)
{
    return task_cell_take(core, self, size);
}

SKUA__INLINE int task_admit(struct skua__core *core)
{
    uint32_t stopping = skua__load_relaxed(&core->stopping);

    if (skua__unlikely(stopping != 0))
        return stopping == SKUA__FORKED ? SKUA_EUSAGE : SKUA_ESTOPPED;
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

/* The worker of a task that comes from outside: one after the other, where it is to stay there. */
SKUA__INLINE uint16_t task_place(struct skua__core *core)
{
    if (core->spawn_flags == 0)
        return 0;
    return (uint16_t)(skua__add_relaxed(&core->next_worker, 1) % core->workers); /* a fair share */
}

/* Fills in the header of a fresh cell, but for context and state: that still says "ended". */
SKUA__INLINE void task_init(struct skua_task *task, struct skua__core *core,
                            struct skua__thread *self, const skua_site *site, skua_scope *scope,
                            const skua_spawn_options *options)
{
    task->flags = core->spawn_flags;
    task->place = self->core == core ? (uint16_t)self->index : task_place(core);
    if (options != NULL) {
        task->flags |= (uint8_t)(options->priority << 4);
        task->flags |= options->flags & SKUA_MIGRATABLE ? SKUA__MIGRATES : 0;
        task->flags |= options->flags & SKUA_PINNED ? SKUA__PINS : 0;
        task->flags |= options->flags & SKUA_SAVE_FP ? SKUA__FP : 0;
        if (options->worker != 0) {
            task->flags |= SKUA__PINS;
            task->place = (uint16_t)(options->worker - 1);
        }
    }
    task->poll = NULL;
    skua__store_relaxed(&task->site, site);
    task->scope = scope;
    task->joiner = NULL;
}

SKUA__INLINE int task_options_check(const struct skua__core *core,
                                    const skua_spawn_options *options)
{
    if (options == NULL)
        return 0;
    if (options->size != sizeof *options || options->worker > core->workers ||
        options->priority > SKUA_BACKGROUND || options->stack > SKUA_STACK_LARGE ||
        (options->flags &
         ~(SKUA_MIGRATABLE | SKUA_PINNED | SKUA_SAVE_FP | SKUA_TRACED | SKUA__SPAWN_CLAIMED)) != 0)
        return -EINVAL;
    return 0;
}

/* The context in force, and a queue before it. False: no memory. */
SKUA__INLINE bool task_inherit(struct skua__thread *self, const skua_spawn_options *options,
                               struct skua__context **ret)
{
    struct skua__context *context = skua__context_current(self);

    if (skua__likely(options == NULL || options->queue == NULL)) {
        *ret = skua__context_ref(context);
        return true;
    }
    *ret = skua__context_with_queue(context, options->queue);
    return *ret != NULL;
}

/* Everything of a spawn that may be refused, but the scope: a cell, or NULL and the reason. */
SKUA__INLINE struct skua_task *task_reserve(struct skua__core *core, struct skua__thread *self,
                                            size_t size, const skua_spawn_options *options,
                                            int *ret_error)
{
    struct skua__context *context;
    struct skua_task *task;
    int rc = task_options_check(core, options);

    if (rc == 0)
        rc = task_admit(core);
    *ret_error = rc;
    if (rc != 0)
        return NULL;
    if (skua__likely(task_inherit(self, options, &context))) {
        task = task_cell_take(core, self, size);
        if (skua__likely(task != NULL)) {
            task->context = context;
            return task;
        }
        skua__context_unref(context);
    }
    task_unadmit(core);
    *ret_error = -ENOMEM;
    return NULL;
}

/* The scope does not take it. But whoever lists tasks may have met it, and hold or join it. */
static SKUA__COLD void task_refuse(struct skua__core *core, struct skua__thread *self,
                                   struct skua_task *task, bool handle, int rc)
{
    skua__context_unref(task->context);
    task->context = NULL;
    task->next = (uint32_t)rc;
    if (skua__add_acq_rel(&task->state, SKUA__DONE) & SKUA__JOINING) /* as skua__task_finish */
        skua__task_wake_joiner(task);
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
    uint32_t state = SKUA__ACTIVE | SKUA__REF; /* the runtime's */
    int rc;

    if (handle)
        state += SKUA__REF | (options->flags & SKUA__SPAWN_CLAIMED ? SKUA__CLAIMED : 0);
    /* Release: who meets the task by its cell, a late waker or a listing, and sees this state, sees
     * all of it. */
    skua__store_release(&task->state, state);
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
    if (options != NULL) {
        if (options->id != NULL)
            *options->id = skua__task_id(task);
        if (skua__unlikely(options->flags & SKUA_TRACED))
            skua__task_span_begin(self, task, true);
    }
    if (skua__unlikely(core->on_task_spawn != NULL))
        skua__task_hook(task, core->on_task_spawn);
    skua__task_probe(SKUA_PROBE_SPAWNED, self, task, 0);
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
        skua_sleep_until_init(skua__task_timer(task), skua__context_deadline(task->context));
    }
    return task_launch(core, self, task, options);
}

void skua_spawn_options_init(skua_spawn_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}
