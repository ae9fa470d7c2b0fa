/* join_next.c - taking results out of a join set; see join_impl.h.
 *
 * Flow       skua_join_set_next -> one look -> nothing there: in line -> told -> a look again
 * Line       an end tells the first in line, who looks; one that is told and does not look tells
 *            the next. When the set becomes empty, or is closed, all are told.
 * Reference  whoever looks has one on the set from the beginning of its wait to the end: close may
 *            come in between. skua_waiter.value says so.
 * Replaced   a node whose key went to another task is thrown away by whoever takes it, who then
 *            looks again.
 */
#include "flow/join_impl.h"

static skua_sync_future *join_next_of(skua_future *future)
{
    return skua__container(future, skua_sync_future, future);
}

static const struct skua__join_taker *join_next_taker(const skua_sync_future *self)
{
    return skua__container((skua_future_ops *)(uintptr_t)self->future.ops, struct skua__join_taker,
                           ops);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* Under the lock: 1 with a node; 0, SKUA_ECLOSED; -EAGAIN. */
static skua_poll join_next_find(skua_join_set *set, bool closes, struct skua__join_node **ret)
{
    if (set->closed && !closes)
        return SKUA_ECLOSED;
    *ret = skua__join_take(set);
    if (*ret != NULL)
        return 1;
    return set->len == 0 ? 0 : -EAGAIN;
}

/* One look: as above, or SKUA_PENDING, in line. Without a waker it does not wait. The reference is
 * kept as long as there may be another look: after -EAGAIN it is the drop's to give back. */
static skua_poll join_next_look(skua_sync_future *self, skua_waker *waker,
                                struct skua__join_node **ret)
{
    skua_join_set *set = self->object;
    bool closes = join_next_taker(self)->give == NULL;
    struct skua__chain chain = {NULL, NULL};
    skua_poll answer;
    bool over;
    bool last;

    *ret = NULL;
    skua__lock_take(skua__join_lock(set));
    set->refs += self->waiter.value == 0;
    answer = join_next_find(set, closes, ret);
    if (answer == -EAGAIN && waker != NULL) {
        skua__waiters_push(&set->waiters, &self->waiter, waker);
        answer = SKUA_PENDING;
    }
    if (*ret != NULL && (set->len == 0 || set->ordered))
        skua__join_tell(set, &chain); /* that was the last; or the next one is there already */
    over = answer != SKUA_PENDING && answer != -EAGAIN &&
           (*ret == NULL || (!closes && !(*ret)->replaced));
    self->waiter.value = !over;
    set->refs -= over;
    last = set->refs == 0;
    skua__lock_drop(skua__join_lock(set));
    skua__chain_wake(&chain);
    if (last)
        skua__join_free(set);
    return answer;
}

/* The task has ended, but its finisher may still be at the node: the join waits that out. */
static void join_next_collect(struct skua__join_node *node)
{
    if (node->join.task != NULL)
        (void)skua__future_poll_raw(&node->join.future, skua_waker_custom(&node->waker));
}

static skua_poll join_next_ask(skua_sync_future *self, skua_waker *waker)
{
    const struct skua__join_taker *taker = join_next_taker(self);
    struct skua__join_node *node;
    skua_poll answer;
    bool given;

    do {
        answer = join_next_look(self, waker, &node);
        if (node == NULL)
            return answer;
        join_next_collect(node);
        given = taker->give != NULL && !node->replaced;
        if (given && self->value != 0)
            taker->give(node, (void *)(uintptr_t)self->value);
        skua__os_free(node);
    } while (!given);
    return answer;
}

/* ---- waiting --------------------------------------------------------------------------------- */

skua_poll skua__join_next_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = join_next_of(future);
    skua_join_set *set = self->object;

    /* Relaxed: its owner's, if it is IDLE. */
    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE &&
        skua__waiter_again(&self->waiter, skua__join_lock(set), waker) == SKUA_PENDING)
        return SKUA_PENDING;
    return join_next_ask(self, waker);
}

/* One that was told to look, and does not, tells the next. */
void skua__join_next_drop(skua_future *future)
{
    skua_sync_future *self = join_next_of(future);
    skua_join_set *set = self->object;
    struct skua__chain chain = {NULL, NULL};

    if (self->waiter.value == 0)
        return;
    if (skua__waiter_leave(&self->waiter, skua__join_lock(set), &set->waiters)) {
        skua__lock_take(skua__join_lock(set));
        skua__join_tell(set, &chain);
        skua__lock_drop(skua__join_lock(set));
        skua__chain_wake(&chain);
    }
    self->waiter.value = 0;
    skua__join_release(set);
}

skua_future *skua__join_next_init(skua_sync_future *self, skua_join_set *set, void *joined,
                                  const struct skua__join_taker *taker)
{
    self->future.ops = &taker->ops;
    self->object = set;
    self->value = (uintptr_t)joined;
    self->waiter.value = 0;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

int skua__join_next(skua_join_set *set, void *joined, const struct skua__join_taker *taker,
                    int64_t deadline)
{
    skua_sync_future wait;
    skua_poll answer;

    skua__join_next_init(&wait, set, joined, taker);
    skua__lock_take(skua__join_lock(set));
    set->refs++; /* the next step may let others run, and close it */
    skua__lock_drop(skua__join_lock(set));
    wait.waiter.value = 1;
    answer = skua__task_leaf();
    if (answer == 0)
        answer = join_next_ask(&wait, NULL);
    if (answer == -EAGAIN)
        return (int)skua_await_until(&wait.future, deadline);
    skua__join_next_drop(&wait.future);
    return (int)answer;
}

int skua__join_try_next(skua_join_set *set, void *joined, const struct skua__join_taker *taker)
{
    skua_sync_future wait;
    skua_poll answer;

    skua__join_next_init(&wait, set, joined, taker);
    answer = join_next_ask(&wait, NULL);
    skua__join_next_drop(&wait.future);
    return (int)answer;
}

/* ---- closing --------------------------------------------------------------------------------- */

static const struct skua__join_taker join_next_close = {
    .ops = {"join_set.close", skua__join_next_poll, skua__join_next_drop}, .give = NULL};

void skua__join_drain(skua_join_set *set)
{
    bool shielded = skua_shield_begin() == 0; /* not on a plain thread, which nobody cancels */
    skua_sync_future wait;

    skua__join_next_init(&wait, set, NULL, &join_next_close);
    if (join_next_ask(&wait, NULL) == -EAGAIN) /* never in a poll task: there the set is empty */
        (void)skua_await(&wait.future);
    if (shielded)
        (void)skua_shield_end();
}

/* ---- for users of sets ----------------------------------------------------------------------- */

static void join_next_give(const struct skua__join_node *node, void *to)
{
    skua_joined *joined = to;

    joined->id = node->id;
    joined->tag = node->tag;
    joined->result = node->result;
}

static const struct skua__join_taker join_next_set = {
    .ops = {"join_set.next", skua__join_next_poll, skua__join_next_drop}, .give = join_next_give};

skua_future *skua_join_set_next_init(skua_sync_future *next, skua_join_set *set,
                                     skua_joined *joined)
{
    return skua__join_next_init(next, set, joined, &join_next_set);
}

int skua_join_set_next(skua_join_set *set, skua_joined *joined)
{
    return skua__join_next(set, joined, &join_next_set, SKUA_FOREVER);
}

int skua_join_set_next_until(skua_join_set *set, skua_joined *joined, int64_t deadline)
{
    return skua__join_next(set, joined, &join_next_set, deadline);
}

int skua_join_set_try_next(skua_join_set *set, skua_joined *joined)
{
    return skua__join_try_next(set, joined, &join_next_set);
}

int skua_join_set_join_all(skua_join_set *set)
{
    skua_joined joined;
    int first = 0;
    int rc;

    while ((rc = skua_join_set_next(set, &joined)) == 1)
        if (joined.result < 0 && first == 0)
            first = joined.result;
    return rc != 0 ? rc : first;
}
