/* join_set.c - a set of tasks: spawning into it, what an end does, letting go; see join_impl.h.
 *
 * Flow       spawn -> the set waits for the task as its one joiner, with a waker of the node's own
 *            -> the task ends and wakes it -> the node is ENDED, and who waits is told -> taken
 * Cost       a spawn and an end take the set's lock three times in all; no task is added, no fiber
 *            is wrapped: the task's joiner is the node. The taker collects the result.
 * Last touch a finishing task touches the node last when it clears JOINING (task_join.c), and the
 *            set before that. Who takes a node waits that out before it frees it; close takes every
 *            node before it frees the set. So does a waiter that is told of the close: each one in
 *            line has a reference on the set, so that the last one out frees it.
 * Race       a task may end while its spawner has still to say so: then the node is WOKEN, and
 *            nobody else's until the spawner has let go of it.
 */
#include <string.h>

#include "flow/join_impl.h"

/* How many tasks are cancelled, or let go of, in one visit under the lock. */
#define JOIN_SET_BATCH 32u

/* ---- what is next ---------------------------------------------------------------------------- */

/* Under the lock. */
static struct skua__join_node *join_set_front(skua_join_set *set)
{
    struct skua__node *head = set->ordered ? &set->line : &set->ended;
    struct skua__join_node *node;

    if (skua__list_empty(head))
        return NULL;
    if (!set->ordered)
        return skua__container(head->next, struct skua__join_node, link);
    node = skua__container(head->next, struct skua__join_node, line);
    return node->state == SKUA__JOIN_ENDED ? node : NULL;
}

void skua__join_tell(skua_join_set *set, struct skua__chain *chain)
{
    bool all = set->closed || set->len == 0;

    if (!all && join_set_front(set) == NULL)
        return;
    while (set->waiters.first != NULL) {
        skua__waiters_grant(&set->waiters, set->waiters.first, chain);
        if (!all)
            return;
    }
}

/* Under the lock: one less in the set. The node is in no list of `link` any more. */
static void join_set_leave(skua_join_set *set, struct skua__join_node *node)
{
    node->state = SKUA__JOIN_TAKEN;
    if (set->ordered)
        skua__node_unlink(&node->line);
    if (set->keys != NULL && !node->replaced)
        skua__join_keys_remove(set->keys, skua__join_keyed(node));
    set->len--;
}

struct skua__join_node *skua__join_take(skua_join_set *set)
{
    struct skua__join_node *node = join_set_front(set);

    if (node == NULL)
        return NULL;
    skua__node_unlink(&node->link);
    join_set_leave(set, node);
    return node;
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* The task has ended: its finisher wakes its joiner, once. */
static void join_set_wake(skua_custom_waker *waker)
{
    struct skua__join_node *node = skua__container(waker, struct skua__join_node, waker);
    skua_join_set *set = node->set;
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(skua__join_lock(set));
    if (node->state == SKUA__JOIN_SPAWNING) {
        node->state = SKUA__JOIN_WOKEN;
    } else if (node->state == SKUA__JOIN_RUNNING) {
        node->state = SKUA__JOIN_ENDED;
        skua__node_unlink(&node->link);
        skua__list_push(&set->ended, &node->link);
        skua__join_tell(set, &chain);
    }
    skua__lock_drop(skua__join_lock(set));
    skua__chain_wake(&chain);
}

/* The node is there as long as its task has the waker: nothing is counted. */
static void join_set_waker_ref(skua_custom_waker *waker)
{
    (void)waker;
}

/* ---- spawning -------------------------------------------------------------------------------- */

static int join_set_enter(skua_join_set *set, struct skua__join_node *node)
{
    bool closed;

    node->set = set;
    node->waker.wake = join_set_wake;
    node->waker.ref = join_set_waker_ref;
    node->waker.unref = join_set_waker_ref;
    skua__lock_take(skua__join_lock(set));
    closed = set->closed;
    if (!closed) {
        set->len++;
        if (set->ordered)
            skua__list_push(&set->line, &node->line);
        if (set->keys != NULL)
            skua__join_keys_add(set->keys, skua__join_keyed(node));
    }
    skua__lock_drop(skua__join_lock(set));
    return closed ? SKUA_ECLOSED : 0;
}

/* Its task was not spawned. */
static void join_set_forget(skua_join_set *set, struct skua__join_node *node)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(skua__join_lock(set));
    join_set_leave(set, node);
    skua__join_tell(set, &chain);
    skua__lock_drop(skua__join_lock(set));
    skua__chain_wake(&chain);
}

/* A reference on a node's task, to cancel it without the lock; NULL: there is nothing to cancel.
 * Under the lock; the node is RUNNING, so that the set's handle is there. */
static struct skua_task *join_set_grip(struct skua__join_node *node)
{
    struct skua_task *task = node->join.task;

    return skua__task_ref_alive(task, SKUA__CANCELLED) ? task : NULL;
}

static void join_set_cancel_grip(struct skua_task *task)
{
    if (task == NULL)
        return;
    (void)skua__task_cancel(task);
    skua__task_unref(skua__thread_self(), task);
}

/* Under the lock: an older node with the key loses it. False: there is none. One that is still
 * being spawned is cancelled by its spawner. */
static bool join_set_replace(skua_join_set *set, struct skua__join_node *node,
                             struct skua_task **ret_grip)
{
    struct skua__join_keyed *older;

    *ret_grip = NULL;
    older = node->replaced ? NULL : skua__join_keys_older(skua__join_keyed(node));
    if (older == NULL)
        return false;
    skua__join_keys_remove(set->keys, older);
    older->node.replaced = true;
    older->node.unwanted = true;
    if (older->node.state == SKUA__JOIN_RUNNING)
        *ret_grip = join_set_grip(&older->node);
    return true;
}

/* The key is the new task's alone. There may be several older ones, of spawns at the same time. */
static void join_set_replace_all(skua_join_set *set, struct skua__join_node *node)
{
    struct skua_task *grip;
    bool more;

    do {
        skua__lock_take(skua__join_lock(set));
        more = join_set_replace(set, node, &grip);
        skua__lock_drop(skua__join_lock(set));
        join_set_cancel_grip(grip);
    } while (more);
}

/* The spawner's last look: from here on the node is the set's. */
static void join_set_settle(skua_join_set *set, struct skua__join_node *node, bool collected)
{
    struct skua__chain chain = {NULL, NULL};
    struct skua_task *grip = NULL;

    skua__lock_take(skua__join_lock(set));
    if ((set->closed || node->unwanted) && !collected)
        grip = join_set_grip(node);
    if (collected || node->state == SKUA__JOIN_WOKEN) {
        node->state = SKUA__JOIN_ENDED;
        skua__list_push(&set->ended, &node->link);
        skua__join_tell(set, &chain);
    } else {
        node->state = SKUA__JOIN_RUNNING;
        skua__list_push(&set->running, &node->link);
    }
    skua__lock_drop(skua__join_lock(set));
    skua__chain_wake(&chain);
    join_set_cancel_grip(grip);
}

int skua__join_spawn(skua_join_set *set, struct skua__join_node *node,
                     const struct skua__join_spawn *spawn)
{
    skua_spawn_options options = {.size = sizeof options};
    skua_task **handle;
    skua_task *task;
    int rc = join_set_enter(set, node);

    if (skua__unlikely(rc != 0)) {
        skua__os_free(node);
        return rc;
    }
    if (spawn->options != NULL)
        options = *spawn->options;
    handle = options.task;
    options.task = &task;
    options.flags |= SKUA__SPAWN_CLAIMED;
    rc = spawn->polls ? skua_spawn_poll_at(spawn->site, set->scope, spawn->poll, spawn->state,
                                           spawn->state_size, &options)
                      : skua_spawn_at(spawn->site, set->scope, spawn->fn, spawn->arg, &options);
    if (skua__unlikely(rc != 0)) {
        join_set_forget(set, node);
        skua__os_free(node);
        return rc;
    }
    if (handle != NULL) {
        /* Relaxed: there is a reference already, the set's. */
        skua__add_relaxed(&task->state, SKUA__REF);
        *handle = task;
    }
    node->id = skua__task_id(task);
    skua_join_init(&node->join, task, &node->result);
    if (set->keys != NULL)
        join_set_replace_all(set, node);
    join_set_settle(set, node,
                    skua__join_claimed(&node->join, skua_waker_custom(&node->waker)) !=
                        SKUA_PENDING);
    return 0;
}

static int join_set_spawn(skua_join_set *set, uint64_t tag, const struct skua__join_spawn *spawn)
{
    struct skua__join_node *node;

    if (spawn->options != NULL && spawn->options->size != sizeof *spawn->options)
        return -EINVAL;
    node = skua__os_alloc(sizeof *node);
    if (node == NULL)
        return -ENOMEM;
    node->tag = tag;
    return skua__join_spawn(set, node, spawn);
}

int skua_join_set_spawn_at(const skua_site *site, skua_join_set *set, uint64_t tag,
                           skua_fiber_fn fn, void *arg, const skua_spawn_options *options)
{
    const struct skua__join_spawn spawn = {.site = site, .fn = fn, .arg = arg, .options = options};

    return join_set_spawn(set, tag, &spawn);
}

int skua_join_set_spawn_poll_at(const skua_site *site, skua_join_set *set, uint64_t tag,
                                skua_poll_fn fn, const void *state, size_t state_size,
                                const skua_spawn_options *options)
{
    const struct skua__join_spawn spawn = {.site = site,
                                           .polls = true,
                                           .poll = fn,
                                           .state = state,
                                           .state_size = state_size,
                                           .options = options};

    return join_set_spawn(set, tag, &spawn);
}

/* ---- cancelling and letting go --------------------------------------------------------------- */

int skua_join_set_cancel(skua_join_set *set, skua_task_id id)
{
    skua_task *task;
    int rc = skua_task_find(set->runtime, id, &task);

    if (rc != 0)
        return rc;
    rc = task->scope == set->scope ? skua_task_cancel(task) : -ESRCH;
    skua_task_detach(task);
    return rc;
}

/* In handfuls, because a wake may go to another worker; as many as there were at the beginning, so
 * that it ends while others spawn. */
void skua_join_set_cancel_all(skua_join_set *set)
{
    struct skua_task *batch[JOIN_SET_BATCH];
    size_t left = SIZE_MAX;
    unsigned moved;

    do {
        skua__lock_take(skua__join_lock(set));
        left = left < set->len ? left : set->len;
        for (moved = 0; moved < JOIN_SET_BATCH && left > 0; moved++, left--) {
            struct skua__node *link = skua__list_pop(&set->running);

            if (link == NULL)
                break;
            skua__list_push(&set->cancelled, link);
            batch[moved] = join_set_grip(skua__container(link, struct skua__join_node, link));
        }
        skua__lock_drop(skua__join_lock(set));
        for (unsigned i = 0; i < moved; i++)
            join_set_cancel_grip(batch[i]);
    } while (moved == JOIN_SET_BATCH);
}

/* Under the lock: a node that is not being spawned, or NULL. */
static struct skua__join_node *join_set_pull(skua_join_set *set)
{
    struct skua__node *link = skua__list_pop(&set->running);
    struct skua__join_node *node;

    if (link == NULL)
        link = skua__list_pop(&set->cancelled);
    if (link == NULL)
        link = skua__list_pop(&set->ended);
    if (link == NULL)
        return NULL;
    node = skua__container(link, struct skua__join_node, link);
    join_set_leave(set, node);
    return node;
}

/* Its task may be ending now: the drop waits until it is done with the node. */
static void join_set_detach(struct skua__join_node *node)
{
    skua_future_drop(&node->join.future);
    skua_task_detach(node->join.task);
    skua__os_free(node);
}

void skua_join_set_detach_all(skua_join_set *set)
{
    struct skua__join_node *batch[JOIN_SET_BATCH];
    size_t left = SIZE_MAX;
    unsigned pulled;

    do {
        struct skua__chain chain = {NULL, NULL};

        skua__lock_take(skua__join_lock(set));
        left = left < set->len ? left : set->len;
        for (pulled = 0; pulled < JOIN_SET_BATCH && left > 0; pulled++, left--)
            if ((batch[pulled] = join_set_pull(set)) == NULL)
                break;
        skua__join_tell(set, &chain);
        skua__lock_drop(skua__join_lock(set));
        skua__chain_wake(&chain);
        for (unsigned i = 0; i < pulled; i++)
            join_set_detach(batch[i]);
    } while (pulled == JOIN_SET_BATCH);
}

size_t skua_join_set_len(skua_join_set *set)
{
    size_t len;

    skua__lock_take(skua__join_lock(set));
    len = set->len;
    skua__lock_drop(skua__join_lock(set));
    return len;
}

/* ---- opening and closing --------------------------------------------------------------------- */

void skua_join_set_options_init(skua_join_set_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua__join_set_init(skua_join_set *set, skua_scope *scope, const skua_join_set_options *options)
{
    if (options != NULL && (options->size != sizeof *options || options->ordered > 1))
        return -EINVAL;
    if (scope == NULL)
        scope = skua_scope_current();
    if (scope == NULL || scope->runtime == NULL)
        return SKUA_EUSAGE;
    set->scope = scope;
    set->runtime = scope->runtime;
    skua__list_init(&set->running);
    skua__list_init(&set->cancelled);
    skua__list_init(&set->ended);
    skua__list_init(&set->line);
    set->refs = 1;
    set->ordered = options != NULL && options->ordered != 0;
    return 0;
}

int skua_join_set_open(skua_join_set **ret, skua_scope *scope, const skua_join_set_options *options)
{
    skua_join_set *set;
    int rc;

    if (ret == NULL)
        return -EINVAL;
    set = skua__os_alloc(sizeof *set);
    if (set == NULL)
        return -ENOMEM;
    rc = skua__join_set_init(set, scope, options);
    if (rc == 0)
        *ret = set;
    else
        skua__os_free(set);
    return rc;
}

void skua__join_free(skua_join_set *set)
{
    if (set->keys != NULL)
        skua__join_keys_free(set->keys);
    skua__os_free(set);
}

void skua__join_release(skua_join_set *set)
{
    bool last;

    skua__lock_take(skua__join_lock(set));
    last = --set->refs == 0;
    skua__lock_drop(skua__join_lock(set));
    if (last)
        skua__join_free(set);
}

/* Whether the caller can wait: not inside a poll task, nor in a worker's hook. */
static bool join_set_may_wait(void)
{
    struct skua__thread *self = skua__thread_self();

    return skua__fiber_current(self) != NULL || self->core == NULL;
}

int skua_join_set_close(skua_join_set *set)
{
    struct skua__chain chain = {NULL, NULL};
    bool may_wait = join_set_may_wait();

    if (set == NULL)
        return 0;
    skua__lock_take(skua__join_lock(set));
    may_wait |= set->len == 0;
    set->closed = may_wait;
    if (may_wait)
        skua__join_tell(set, &chain);
    skua__lock_drop(skua__join_lock(set));
    skua__chain_wake(&chain);
    if (!may_wait)
        return SKUA_EUSAGE;
    skua_join_set_cancel_all(set);
    skua__join_drain(set);
    skua__join_release(set);
    return 0;
}

#undef JOIN_SET_BATCH
