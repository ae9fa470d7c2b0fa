/* task_scope.c - scopes: who answers for whom.
 *
 * A scope lists its children under a spin lock, so that cancelling reaches them and the last one
 * that leaves wakes the joiner. States: open -> (cancelled) -> closed by join.
 *
 *   event               open                       cancelled              closed
 *   spawn               listed                     -ECANCELED             SKUA_EUSAGE
 *   child fails         first_error; fail-fast:    first_error            -
 *                       cancelled, so are children
 *   last child leaves   joiner woken               joiner woken           -
 *   opener cancelled    join cancels the children, then waits for them shielded
 *
 * Batches    a worker lets go of up to 32 ended children in one visit: when they may be the last,
 *            when one failed, or when its loop goes round.
 * Memory     the scope is in its opener's frame. The last child wakes the joiner after having let
 *            go of the lock, with LEAVING set: join returns only when that is clear again.
 * Children   a doubly linked list of cell indices (prev_child, next_child; 0 = none).
 */
#include "task/task_impl.h"

#define SCOPE_OPEN 0x1u
#define SCOPE_CANCELLED 0x2u
#define SCOPE_LEAVING 0x4u

struct scope_join_future {
    skua_future future;
    skua_scope *scope;
};

static struct skua__lock *scope_lock(skua_scope *scope)
{
    _Static_assert(sizeof(struct skua__lock) <= sizeof scope->lock, "the lock's room");
    return (struct skua__lock *)(void *)&scope->lock;
}

/* The state is changed under the lock; but LEAVING is read by join, and cleared, without it. */
static _Atomic uint32_t *scope_state(skua_scope *scope)
{
    return (_Atomic uint32_t *)(void *)&scope->state;
}

static void scope_set(skua_scope *scope, uint32_t flag)
{
    /* In one step: LEAVING may be cleared at this moment. The release in scope_leave orders it. */
    skua__or_acq_rel(scope_state(scope), flag);
}

static _Atomic uint64_t *scope_alive(skua_scope *scope)
{
    return (_Atomic uint64_t *)(void *)&scope->alive;
}

/* Under the lock; skua__scope_patience looks without it. */
static void scope_set_alive(skua_scope *scope, uint64_t alive)
{
    skua__store_relaxed(scope_alive(scope), alive);
}

void skua__scope_init(skua_scope *scope, skua_runtime *runtime, unsigned flags)
{
    *scope = (skua_scope){.runtime = runtime, .flags = flags};
    skua__store_relaxed(scope_state(scope), SCOPE_OPEN);
}

/* ---- children -------------------------------------------------------------------------------- */

static void scope_link(skua_task **head, struct skua_task *task)
{
    task->prev_child = 0;
    task->next_child = 0;
    if (*head != NULL) {
        task->next_child = skua__cell_index(*head);
        (*head)->prev_child = skua__cell_index(task);
    }
    *head = task;
}

static void scope_unlink(skua_scope *scope, struct skua_task *task)
{
    skua_task **head = scope->children == task ? &scope->children : &scope->cancelled;
    struct skua_task *next = NULL;

    if (task->next_child != 0) {
        next = skua__cell_of(task, task->next_child);
        next->prev_child = task->prev_child;
    }
    if (task->prev_child != 0)
        skua__cell_of(task, task->prev_child)->next_child = task->next_child;
    else
        *head = next;
}

int skua__scope_enter(skua_scope *scope, struct skua_task *task)
{
    uint32_t state;

    skua__lock_take(scope_lock(scope));
    state = skua__load_relaxed(scope_state(scope)); /* under the lock */
    if (skua__unlikely(state != SCOPE_OPEN)) {
        skua__lock_drop(scope_lock(scope));
        return state & SCOPE_CANCELLED ? -ECANCELED : SKUA_EUSAGE;
    }
    scope_link(&scope->children, task);
    scope_set_alive(scope, scope->alive + 1);
    skua__lock_drop(scope_lock(scope));
    return 0;
}

/* Cancels all children in handfuls: each handful is moved to the cancelled ones and referenced
 * under the lock, and cancelled without it, because a wake may go to another worker. A cancelled
 * scope takes no new children, so that the walk ends. */
static void scope_cancel_children(skua_scope *scope)
{
    struct skua__thread *self = skua__thread_self();
    struct skua_task *batch[32];
    struct skua_task *task;
    unsigned count;
    unsigned moved;

    do {
        count = 0;
        skua__lock_take(scope_lock(scope));
        for (moved = 0; moved < 32 && (task = scope->children) != NULL; moved++) {
            scope_unlink(scope, task);
            scope_link(&scope->cancelled, task);
            if (skua__task_ref_alive(task, SKUA__CANCELLED))
                batch[count++] = task;
        }
        skua__lock_drop(scope_lock(scope));
        for (unsigned i = 0; i < count; i++) {
            skua__task_cancel(batch[i]);
            skua__task_unref(self, batch[i]);
        }
    } while (moved == 32);
}

/* The first failure that the scope sees; true when the others are to be cancelled for it. */
static bool scope_note_result(skua_scope *scope, int result)
{
    if (skua__likely(result >= 0) || scope->first_error != 0)
        return false;
    scope->first_error = result;
    if (!(scope->flags & SKUA_FAIL_FAST))
        return false;
    scope_set(scope, SCOPE_CANCELLED);
    return true;
}

/* Each look takes the scope's cache line away from whoever spawns into it. While many others are
 * alive these are not the last, unless 16 workers end tasks faster than this one. */
unsigned skua__scope_patience(skua_scope *scope, unsigned count)
{
    /* Relaxed: a hint. One that is wrong is mended when the worker's loop goes round. */
    uint64_t alive = skua__load_relaxed(scope_alive(scope));

    if (alive <= count)
        return 0;
    return alive - count < 8 * 16 ? 1 + (unsigned)(alive - count) / 16 : 8;
}

void skua__scope_leave(skua_scope *scope, struct skua_task **tasks, unsigned count)
{
    skua_waker *joiner = NULL;
    bool cancel = false;

    skua__lock_take(scope_lock(scope));
    for (unsigned i = 0; i < count; i++)
        cancel |= scope_note_result(scope, skua__task_result(tasks[i]));
    if (skua__unlikely(cancel)) {
        /* The leaving children stay listed meanwhile: they keep the scope alive. */
        skua__lock_drop(scope_lock(scope));
        scope_cancel_children(scope);
        skua__lock_take(scope_lock(scope));
    }
    for (unsigned i = 0; i < count; i++)
        scope_unlink(scope, tasks[i]);
    scope_set_alive(scope, scope->alive - count);
    if (scope->alive == 0 && scope->joiner != NULL) {
        joiner = scope->joiner;
        scope->joiner = NULL;
        scope_set(scope, SCOPE_LEAVING);
    }
    skua__lock_drop(scope_lock(scope));
    if (skua__likely(joiner == NULL))
        return;
    skua_waker_wake(joiner);
    skua_waker_unref(joiner);
    /* The last touch. Release pairs with the acquire in scope_poll. */
    skua__and_acq_rel(scope_state(scope), ~SCOPE_LEAVING);
}

/* ---- joining --------------------------------------------------------------------------------- */

static skua_poll scope_poll(skua_future *future, skua_waker *waker)
{
    skua_scope *scope = skua__container(future, struct scope_join_future, future)->scope;
    skua_waker *before;
    uint64_t alive;

    skua__lock_take(scope_lock(scope));
    alive = scope->alive;
    before = scope->joiner;
    scope->joiner = alive != 0 ? skua_waker_ref(waker) : NULL;
    skua__lock_drop(scope_lock(scope));
    skua_waker_unref(before);
    if (alive != 0)
        return SKUA_PENDING;
    while (skua__load_acquire(scope_state(scope)) & SCOPE_LEAVING)
        skua__os_thread_yield(); /* the last child is between its wake and its last touch */
    return 0;
}

static void scope_drop(skua_future *future)
{
    skua_scope *scope = skua__container(future, struct scope_join_future, future)->scope;
    skua_waker *before;

    skua__lock_take(scope_lock(scope));
    before = scope->joiner;
    scope->joiner = NULL;
    skua__lock_drop(scope_lock(scope));
    skua_waker_unref(before);
}

static const skua_future_ops scope_ops = {
    .name = "scope.join", .poll = scope_poll, .drop = scope_drop};

/* Waits for all children; cancels them when the caller's patience ends. Returns that end, or 0. */
static int scope_wait(skua_scope *scope)
{
    struct scope_join_future join = {.future.ops = &scope_ops, .scope = scope};
    int patience = (int)skua_await(&join.future);

    if (skua__likely(patience == 0))
        return 0;
    skua_scope_cancel(scope);
    if (scope->opener != NULL)
        skua_shield_begin();
    join.future.ops = &scope_ops;
    (void)skua_await(&join.future);
    if (scope->opener != NULL)
        skua_shield_end();
    return patience;
}

/* A child's error comes first, unless it only says that the caller's own patience ended it. */
static int scope_verdict(int first_error, int patience)
{
    if (patience != 0 && (first_error == -ECANCELED || first_error == -ETIMEDOUT))
        return patience;
    return first_error != 0 ? first_error : patience;
}

int skua_scope_join(skua_scope *scope)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    int patience;

    if (!(skua__load_relaxed(scope_state(scope)) & SCOPE_OPEN)) /* the opener's own */
        return SKUA_EUSAGE;
    if (scope->opener != (fiber != NULL ? &fiber->task : NULL))
        return SKUA_EUSAGE;
    if (fiber != NULL && fiber->scope != scope)
        return SKUA_EUSAGE;
    patience = scope_wait(scope);
    if (fiber != NULL)
        fiber->scope = scope->outer;
    skua__store_relaxed(scope_state(scope), 0); /* no child is left, nobody else looks */
    scope->runtime = NULL;
    return scope_verdict(scope->first_error, patience);
}

/* ---- opening and cancelling ------------------------------------------------------------------ */

int skua_scope_open_on(skua_scope *scope, skua_runtime *runtime, unsigned flags)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());

    if (runtime == NULL || (flags & ~SKUA_FAIL_FAST) != 0)
        return -EINVAL;
    if (fiber == NULL && skua__thread_self()->current != NULL)
        return SKUA_EUSAGE;
    skua__scope_init(scope, runtime, flags);
    if (fiber != NULL) {
        scope->opener = &fiber->task;
        scope->outer = fiber->scope;
        fiber->scope = scope;
    }
    return 0;
}

int skua_scope_open(skua_scope *scope, unsigned flags)
{
    struct skua__thread *self = skua__thread_self();

    if (skua__fiber_current(self) == NULL)
        return SKUA_EUSAGE;
    return skua_scope_open_on(scope, (skua_runtime *)(void *)self->core, flags);
}

int skua_scope_cancel(skua_scope *scope)
{
    uint32_t state;

    skua__lock_take(scope_lock(scope));
    state = skua__load_relaxed(scope_state(scope)); /* under the lock */
    if (state & SCOPE_OPEN)
        scope_set(scope, SCOPE_CANCELLED);
    skua__lock_drop(scope_lock(scope));
    if (!(state & SCOPE_OPEN))
        return SKUA_EUSAGE;
    scope_cancel_children(scope);
    return 0;
}

size_t skua_scope_alive(skua_scope *scope)
{
    size_t alive;

    skua__lock_take(scope_lock(scope));
    alive = scope->alive;
    skua__lock_drop(scope_lock(scope));
    return alive;
}

skua_scope *skua_scope_current(void)
{
    struct skua_task *task = skua__thread_self()->current;

    if (task == NULL)
        return NULL;
    return task->flags & SKUA__FIBER ? skua__fiber_of(task)->scope : task->scope;
}

#undef SCOPE_OPEN
#undef SCOPE_CANCELLED
#undef SCOPE_LEAVING
