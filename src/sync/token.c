/* token.c - cancellation tokens and task trackers: two more gates.
 *
 * Token      a tree. A child holds a reference on its parent, and is in its list of children while
 *            neither is cancelled; that list, and the links of those in it, are under the parent's
 *            lock. The gate's number is 1 once it is cancelled.
 * Cancel     node by node: under a node's lock it is marked, its waiters are granted, and its list
 *            of children is taken, each with a reference; then the same is done to them. One that
 *            is on its way out has no reference any more, and is only taken off the list. After
 *            the mark no child can be added, so the walk ends, and reaches every descendant.
 * Tracker    the number is twice the count, and 1 when it is closed.
 */
#include <skua/token.h>

#include "sync/gate.h"

struct skua_token {
    skua_gate gate; /* first; its lock guards `children` and the links of those */
    _Atomic uint32_t refs;
    struct skua_token *parent;   /* one reference; constant */
    struct skua_token *children; /* lock: this one's */
    struct skua_token *next;     /* among the parent's children; lock: the parent's, then the */
    struct skua_token *prev;     /* canceller's that has taken it */
    bool linked;                 /* lock: the parent's */
};

/* ---- the tree -------------------------------------------------------------------------------- */

static bool token_ref_alive(skua_token *token)
{
    uint32_t refs = skua__load_relaxed(&token->refs); /* the CAS synchronises */

    do {
        if (refs == 0)
            return false;
    } while (!skua__cas_acq_rel(&token->refs, &refs, refs + 1));
    return true;
}

/* False when the parent is cancelled: then the child is, too. */
static bool token_link(skua_token *parent, skua_token *token)
{
    bool alive;

    skua__lock_take(skua__gate_lock(&parent->gate));
    alive = skua__gate_get(&parent->gate) == 0;
    if (alive) {
        token->linked = true;
        token->next = parent->children;
        if (token->next != NULL)
            token->next->prev = token;
        parent->children = token;
    }
    skua__lock_drop(skua__gate_lock(&parent->gate));
    return alive;
}

/* Under the parent's lock. */
static void token_unlink(skua_token *parent, skua_token *token)
{
    if (token->prev != NULL)
        token->prev->next = token->next;
    else
        parent->children = token->next;
    if (token->next != NULL)
        token->next->prev = token->prev;
    token->next = NULL;
    token->prev = NULL;
    token->linked = false;
}

int skua_token_new(skua_token **ret, skua_token *parent)
{
    skua_token *token = skua__os_alloc(sizeof *token);

    if (token == NULL)
        return -ENOMEM;
    skua__store_relaxed(&token->refs, 1);
    if (parent != NULL) {
        token->parent = skua_token_ref(parent);
        if (!token_link(parent, token))
            skua__gate_set(&token->gate, 1);
    }
    *ret = token;
    return 0;
}

skua_token *skua_token_ref(skua_token *token)
{
    skua__add_relaxed(&token->refs, 1); /* the caller has one */
    return token;
}

/* Off its parent's list. Nobody has the token any more, but perhaps a canceller of the parent, who
 * takes it off as well. */
static void token_leave(skua_token *token)
{
    skua_token *parent = token->parent;

    if (parent == NULL)
        return;
    skua__lock_take(skua__gate_lock(&parent->gate));
    if (token->linked)
        token_unlink(parent, token);
    skua__lock_drop(skua__gate_lock(&parent->gate));
}

void skua_token_unref(skua_token *token)
{
    /* Iterative: a chain of parents may be long. */
    while (token != NULL && skua__sub_acq_rel(&token->refs, 1) == 1) {
        skua_token *parent = token->parent;

        skua__assert(token->children == NULL); /* they would hold references */
        token_leave(token);
        skua__os_free(token);
        token = parent;
    }
}

/* ---- cancelling ------------------------------------------------------------------------------ */

/* Cancels one; puts its children, with a reference each, before *todo. */
static void token_cancel_one(skua_token *token, skua_token **todo)
{
    struct skua__chain chain = {NULL, NULL};
    skua_token *child;

    skua__lock_take(skua__gate_lock(&token->gate));
    skua__gate_set(&token->gate, 1);
    skua__gate_grant_all(&token->gate, &chain);
    while ((child = token->children) != NULL) {
        token_unlink(token, child);
        if (token_ref_alive(child)) {
            child->next = *todo; /* unlinked: the link is ours */
            *todo = child;
        }
    }
    skua__lock_drop(skua__gate_lock(&token->gate));
    skua__chain_wake(&chain);
}

void skua_token_cancel(skua_token *token)
{
    skua_token *todo = NULL;

    token_cancel_one(token, &todo);
    while (todo != NULL) {
        skua_token *next = todo;

        todo = next->next;
        next->next = NULL;
        token_cancel_one(next, &todo);
        skua_token_unref(next);
    }
}

int skua_token_is_cancelled(const skua_token *token)
{
    /* Acquire pairs with skua__gate_set. */
    return skua__load_acquire(skua__gate_number(&((skua_token *)(uintptr_t)token)->gate)) != 0;
}

static bool token_pass(skua_gate *gate)
{
    return skua__gate_get(gate) != 0;
}

static skua_poll token_poll(skua_future *future, skua_waker *waker)
{
    return skua__gate_poll(future, waker, token_pass);
}

static const skua_future_ops token_ops = {
    .name = "token", .poll = token_poll, .drop = skua__gate_drop};

skua_future *skua_token_wait_init(skua_sync_future *wait, skua_token *token)
{
    return skua__gate_future(wait, &token->gate, &token_ops);
}

int skua_token_wait(skua_token *token)
{
    skua_sync_future wait;

    return (int)skua_await(skua_token_wait_init(&wait, token));
}

/* ---- trackers -------------------------------------------------------------------------------- */

/* Changes the number by `delta`, and lets everybody pass who may. */
static int tracker_change(skua_tracker *tracker, uint64_t or_bits, uint64_t and_bits, int delta)
{
    struct skua__chain chain = {NULL, NULL};
    uint64_t number;
    int rc = 0;

    skua__lock_take(skua__gate_lock(&tracker->gate));
    number = skua__gate_get(&tracker->gate);
    if (delta < 0 && number < 2)
        rc = SKUA_EUSAGE;
    else if (delta > 0 && number / 2 >= SKUA_TRACKER_MAX)
        rc = -EINVAL;
    if (rc == 0) {
        number = ((number + (uint64_t)((int64_t)2 * delta)) | or_bits) & and_bits;
        skua__gate_set(&tracker->gate, number);
        if (number == 1)
            skua__gate_grant_all(&tracker->gate, &chain);
    }
    skua__lock_drop(skua__gate_lock(&tracker->gate));
    skua__chain_wake(&chain);
    return rc;
}

int skua_tracker_enter(skua_tracker *tracker)
{
    return tracker_change(tracker, 0, UINT64_MAX, 1);
}

int skua_tracker_leave(skua_tracker *tracker)
{
    return tracker_change(tracker, 0, UINT64_MAX, -1);
}

void skua_tracker_close(skua_tracker *tracker)
{
    (void)tracker_change(tracker, 1, UINT64_MAX, 0);
}

void skua_tracker_reopen(skua_tracker *tracker)
{
    (void)tracker_change(tracker, 0, ~UINT64_C(1), 0);
}

size_t skua_tracker_len(const skua_tracker *tracker)
{
    /* Acquire pairs with skua__gate_set. */
    return (
        size_t)(skua__load_acquire(skua__gate_number(&((skua_tracker *)(uintptr_t)tracker)->gate)) /
                2);
}

static bool tracker_pass(skua_gate *gate)
{
    return skua__gate_get(gate) == 1; /* closed, and empty */
}

static skua_poll tracker_poll(skua_future *future, skua_waker *waker)
{
    return skua__gate_poll(future, waker, tracker_pass);
}

static const skua_future_ops tracker_ops = {
    .name = "tracker", .poll = tracker_poll, .drop = skua__gate_drop};

skua_future *skua_tracker_wait_init(skua_sync_future *wait, skua_tracker *tracker)
{
    return skua__gate_future(wait, &tracker->gate, &tracker_ops);
}

int skua_tracker_wait(skua_tracker *tracker)
{
    return skua_tracker_wait_until(tracker, SKUA_FOREVER);
}

int skua_tracker_wait_until(skua_tracker *tracker, int64_t deadline)
{
    skua_sync_future wait;

    return (int)skua_await_until(skua_tracker_wait_init(&wait, tracker), deadline);
}

/* What a tracked fiber runs. */
struct tracked {
    skua_tracker *tracker;
    skua_fiber_fn fn;
    void *arg;
};

static void tracked_end(void *arg)
{
    struct tracked *tracked = arg;
    skua_tracker *tracker = tracked->tracker;

    skua__os_free(tracked);
    (void)skua_tracker_leave(tracker);
}

static int tracked_run(void *arg)
{
    struct tracked *tracked = arg;
    int result = tracked->fn(tracked->arg);

    tracked_end(tracked);
    return result;
}

int skua_tracker_spawn(skua_tracker *tracker, skua_scope *scope, skua_fiber_fn fn, void *arg)
{
    struct tracked *tracked;
    int rc;

    if (fn == NULL)
        return -EINVAL;
    tracked = skua__os_alloc(sizeof *tracked);
    if (tracked == NULL)
        return -ENOMEM;
    *tracked = (struct tracked){.tracker = tracker, .fn = fn, .arg = arg};
    rc = skua_tracker_enter(tracker);
    if (rc == 0) {
        rc = skua_spawn(scope, tracked_run, tracked, .name = "tracked", .drop = tracked_end);
        if (rc != 0)
            (void)skua_tracker_leave(tracker);
    }
    if (rc != 0)
        skua__os_free(tracked);
    return rc;
}
