/* runtime_fork.c - the child of a fork: which runtimes are its parent's.
 *
 * A fork takes one thread with it and leaves the workers behind: in the child nobody runs the
 * runtimes that are there. So all of them are listed, and the child marks them, before it does
 * anything else: in `stopping`, which every spawn looks at already. Their memory stays, since
 * frames and tasks of the thread that goes on may lie in it.
 *
 * The thread      that has forked is a plain thread in the child, also when it was a worker.
 * Visits         of all runtimes use the same list: skua_runtime_each.
 * Everything else of the library that a process has once (locks, listeners for signals) cares for
 *                 itself: skua__os_lock_over_fork, skua__os_at_fork.
 */
#include <stdio.h>

#include "runtime/runtime_impl.h"

#define FORK_AT_FREE 4

static struct skua__lock fork_lock;
static skua_runtime *fork_runtimes; /* lock: fork_lock */
static void (*fork_at_free[FORK_AT_FREE])(
    skua_runtime *runtime);           /* lock: fork_lock; only ever more */
static _Atomic uint32_t fork_watched; /* 1: fork_child is registered */
static _Atomic uint32_t fork_told;    /* 1: the misuse was told */

static void fork_child(void)
{
    const struct skua__thread *self = skua__thread_peek();

    for (skua_runtime *at = fork_runtimes; at != NULL; at = at->next) {
        skua__store_relaxed(&at->core.stopping, SKUA__FORKED); /* there is one thread */
        at->link = NULL;
    }
    fork_runtimes = NULL;
    if (self != NULL && self->core != NULL)
        skua__thread_adopt(NULL);
}

int skua__runtime_list(skua_runtime *runtime)
{
    uint32_t none = 0;
    int rc = 0;

    skua__os_lock_over_fork(&fork_lock);
    if (skua__cas_strong_acq_rel(&fork_watched, &none, 1))
        rc = skua__os_at_fork(NULL, NULL, fork_child);
    if (rc != 0) {
        skua__store_release(&fork_watched, 0);
        return rc;
    }
    skua__lock_take(&fork_lock);
    runtime->next = fork_runtimes;
    runtime->link = &fork_runtimes;
    if (runtime->next != NULL)
        runtime->next->link = &runtime->next;
    fork_runtimes = runtime;
    skua__lock_drop(&fork_lock);
    return 0;
}

void skua__runtime_show(skua_runtime *runtime)
{
    skua__lock_take(&fork_lock);
    runtime->whole = !runtime->core.unseen;
    skua__lock_drop(&fork_lock);
}

void skua__runtime_unlist(skua_runtime *runtime)
{
    skua__lock_take(&fork_lock);
    if (runtime->link != NULL) {
        for (unsigned i = 0; runtime->whole && i < FORK_AT_FREE && fork_at_free[i] != NULL; i++)
            fork_at_free[i](runtime);
        *runtime->link = runtime->next;
        if (runtime->next != NULL)
            runtime->next->link = runtime->link;
    }
    runtime->link = NULL;
    skua__lock_drop(&fork_lock);
}

bool skua__runtime_forked(const skua_runtime *runtime)
{
    /* Relaxed: written before the child had a second thread. */
    if (skua__likely(skua__load_relaxed(&runtime->core.stopping) != SKUA__FORKED))
        return false;
    if (skua__add_relaxed(&fork_told, 1) == 0) /* a count: who is first tells */
        fprintf(stderr,
                "skua: process %d uses the runtime '%s' of the process that it was forked from; "
                "it has to make its own\n",
                skua__os_process_id(), runtime->name);
    return true;
}

/* ---- all runtimes ---------------------------------------------------------------------------- */

int64_t skua_runtime_each(void (*fn)(skua_runtime *runtime, void *arg), void *arg)
{
    int64_t count = 0;

    skua__os_lock_over_fork(&fork_lock);
    skua__lock_take(&fork_lock);
    for (skua_runtime *at = fork_runtimes; at != NULL; at = at->next) {
        if (!at->whole)
            continue;
        count++;
        if (fn != NULL)
            fn(at, arg);
    }
    skua__lock_drop(&fork_lock);
    return count;
}

int skua_runtime_at_free(void (*fn)(skua_runtime *runtime))
{
    unsigned i = 0;

    if (fn == NULL)
        return -EINVAL;
    skua__os_lock_over_fork(&fork_lock);
    skua__lock_take(&fork_lock);
    while (i < FORK_AT_FREE && fork_at_free[i] != NULL && fork_at_free[i] != fn)
        i++;
    if (i < FORK_AT_FREE)
        fork_at_free[i] = fn;
    skua__lock_drop(&fork_lock);
    return i < FORK_AT_FREE ? 0 : -EBUSY;
}

const char *skua_runtime_name(const skua_runtime *runtime)
{
    return runtime->name;
}

#undef FORK_AT_FREE
