/* task_tell.c - what the outside is told of a task: probe events, hooks' arguments, names.
 *
 * Its own span is told here, too, before the listeners: so that it costs nothing where the mask of
 * probes says that nobody asks.
 *
 * A task's name and origin are its site, a static struct of the call that spawned it. A name given
 * at the spawn makes a copy of the site with that name, once for each pair. The copies are never
 * freed, as static sites are not: listeners keep them longer than a runtime lives.
 */
#include <limits.h>

#include "task/task_impl.h"

struct tell_named {
    skua_site site;
    const skua_site *origin;
    struct tell_named *next;
};

static struct skua__lock tell_lock;
static struct tell_named *tell_sites; /* lock: tell_lock */

void skua__task_describe(struct skua_task *task, skua_task_info *info)
{
    const char *waiting_for = NULL;

    /* Relaxed: for listings; a task that ends meanwhile gives its old or its new answers. */
    if (task->poll == NULL && !(skua__load_relaxed(&task->state) & (SKUA__ACTIVE | SKUA__DONE)))
        waiting_for = skua__load_relaxed(&((struct skua__fiber *)(void *)task)->waiting_for);
    info->id = skua__task_id(task);
    info->site = skua__load_relaxed(&task->site);
    info->waiting_for = waiting_for;
}

/* The kinds whose teller is the task's holder. */
static void tell_span(skua_probe_kind kind, struct skua__thread *self, struct skua_task *task)
{
    if (kind == SKUA_PROBE_SPAWNED)
        skua__task_span_begin(self, task, false);
    else if (kind >= SKUA_PROBE_POLLED && kind <= SKUA_PROBE_WOKEN &&
             skua__context_made_by(task->context, task))
        skua__task_span_turn(self, task, kind);
}

void skua__task_tell(skua_probe_kind kind, struct skua__thread *self, struct skua_task *task,
                     int64_t arg)
{
    skua_probe_event event = {.kind = kind, .worker = self->index, .arg = arg};
    struct skua__core *core = task != NULL ? skua__task_core(task) : self->core;

    if (core != NULL && core->unseen)
        return;
    event.runtime = (skua_runtime *)(void *)core; /* whose first member it is */
    tell_span(kind, self, task);
    if ((kind == SKUA_PROBE_SPAWNED || kind == SKUA_PROBE_WOKEN) && self->current != NULL &&
        self->current != task)
        event.parent = skua__task_id(self->current);
    if (task != NULL) {
        event.task = skua__task_id(task);
        event.site = skua__load_relaxed(&task->site);
        if (kind == SKUA_PROBE_PARKED && (task->flags & SKUA__FIBER))
            event.waiting_for = skua__load_relaxed(&skua__fiber_of(task)->waiting_for);
    }
    skua__probe_emit(&event);
}

/* Of the calling task, if there is one. */
static void tell_here(skua_probe_event *event)
{
    struct skua__thread *self = skua__thread_self();

    if (self->core != NULL && self->core->unseen)
        return;
    event->worker = self->index;
    event->runtime = (skua_runtime *)(void *)self->core; /* whose first member it is */
    if (self->current != NULL) {
        event->task = skua__task_id(self->current);
        event->site = skua__load_relaxed(&self->current->site);
    }
    skua__probe_emit(event);
}

void skua__op_begin(skua_probe_op *op, const char *name, const char *target)
{
    *op = (skua_probe_op){.name = name, .target = target, .start = skua__os_now()};
    tell_here(&(skua_probe_event){.kind = SKUA_PROBE_BEGUN, .op = op});
}

void skua__op_end(skua_probe_op *op, int64_t result, int64_t bytes)
{
    op->end = skua__os_now();
    op->result = result < INT_MAX ? (int)result : INT_MAX;
    op->bytes = bytes;
    tell_here(&(skua_probe_event){.kind = SKUA_PROBE_ENDED, .op = op});
}

void skua__tell_moved(const char *what, int64_t bytes)
{
    tell_here(&(skua_probe_event){.kind = SKUA_PROBE_MOVED, .what = what, .arg = bytes});
}

const skua_site *skua__site_named(const skua_site *site, const char *name)
{
    struct tell_named *named;

    if (site->name == name)
        return site;
    skua__os_lock_over_fork(&tell_lock);
    skua__lock_take(&tell_lock);
    for (named = tell_sites; named != NULL; named = named->next)
        if (named->origin == site && named->site.name == name)
            break;
    skua__lock_drop(&tell_lock);
    if (named != NULL)
        return &named->site;
    named = skua__os_alloc(sizeof *named);
    if (named == NULL)
        return site;
    named->site = *site;
    named->site.name = name;
    named->origin = site;
    /* Two threads may both have made one: both stay, and either is right. */
    skua__lock_take(&tell_lock);
    named->next = tell_sites;
    tell_sites = named;
    skua__lock_drop(&tell_lock);
    return &named->site;
}
