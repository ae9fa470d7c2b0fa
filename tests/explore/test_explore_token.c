/* test_explore_token.c - cancellation tokens and task trackers in 1,000 orders.
 *
 * Explored: a tree of tokens that grows, is cancelled at several places and given back, in any
 * order and by any task; waits for a token by fibers and poll tasks, in a select that they may
 * lose, by tasks that are cancelled; a tracker that is closed, opened again, entered and left by
 * hand and by tasks of its own, of which some are cancelled before they have begun.
 *
 * Always: a cancel reaches exactly the descendants, those that are made later, too, and across
 * tokens that nobody holds any more; a wait ends with its token's cancellation and not before;
 * waits for a tracker end when it is closed and empty, and every task is counted out once.
 */
#include "explore.h"

enum { TOKENS = 12, GARDENERS = 3, WAITERS = 4 };

/* ---- tokens ---------------------------------------------------------------------------------- */

struct node {
    skua_token *token; /* NULL: given back */
    int parent;        /* -1: none */
    bool cancelled;
};

struct tree {
    struct node nodes[TOKENS];
    int count;
};

static void grow(struct tree *tree, int parent)
{
    struct node *node = &tree->nodes[tree->count];

    if (tree->count == TOKENS)
        return;
    node->parent = parent;
    node->cancelled = parent >= 0 && tree->nodes[parent].cancelled;
    MUST(skua_token_new(&node->token, parent < 0 ? NULL : tree->nodes[parent].token) == 0);
    tree->count++;
}

static bool descends(const struct tree *tree, int node, int from)
{
    while (node >= 0 && node != from)
        node = tree->nodes[node].parent;
    return node == from;
}

static void check_tree(const struct tree *tree)
{
    for (int i = 0; i < tree->count; i++)
        if (tree->nodes[i].token != NULL)
            CHECK_EQ(skua_token_is_cancelled(tree->nodes[i].token), tree->nodes[i].cancelled);
}

static void cancel_at(struct tree *tree, int at)
{
    for (int i = 0; i < tree->count; i++)
        if (descends(tree, i, at))
            tree->nodes[i].cancelled = true;
    skua_token_cancel(tree->nodes[at].token);
    check_tree(tree);
}

static void give_back(struct tree *tree, int at)
{
    skua_token *token = tree->nodes[at].token;

    tree->nodes[at].token = NULL;
    skua_token_unref(token);
    check_tree(tree);
}

/* One of those that are still held. */
static int any_node(const struct tree *tree)
{
    int at = (int)explore_pick((unsigned)tree->count);

    while (tree->nodes[at].token == NULL)
        at = (at + 1) % tree->count;
    return at;
}

static int gardener(void *arg)
{
    struct tree *tree = arg;

    for (int i = 0; i < 6 && explore_wander() == 0; i++) {
        int at = any_node(tree);

        switch (explore_pick(8)) {
        case 0:
            if (at != 0)
                cancel_at(tree, at); /* the root's turn is at the end */
            break;
        case 1:
        case 2:
            if (at != 0)
                give_back(tree, at);
            break;
        default:
            grow(tree, at);
        }
        check_tree(tree);
    }
    return 0;
}

/* Its own reference keeps the token. */
static int token_waiter(void *arg)
{
    struct tree *tree = arg;
    int at = any_node(tree);
    skua_token *token = skua_token_ref(tree->nodes[at].token);
    skua_sync_future wait;
    skua_sleep_future nap;
    int rc;

    do {
        rc = explore_pick(2) == 0
                 ? skua_token_wait(token)
                 : skua_select(skua_token_wait_init(&wait, token), explore_nap(&nap));
        CHECK(rc != 0 || tree->nodes[at].cancelled);
        if (rc == 1)
            rc = skua_sleep(EXPLORE_UNIT) == 0 ? 1 : -ECANCELED;
    } while (rc == 1);
    skua_token_unref(token);
    return rc;
}

struct polled_waiter {
    skua_async async;
    int at;
    struct tree *tree;
    skua_token *token;
    skua_sync_future wait;
};

static skua_poll polled_waiter(void *state, skua_waker *waker)
{
    struct polled_waiter *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    self->at = any_node(self->tree);
    self->token = skua_token_ref(self->tree->nodes[self->at].token);
    SKUA_AWAIT_TO(rc, skua_token_wait_init(&self->wait, self->token));
    CHECK(rc != 0 || self->tree->nodes[self->at].cancelled);
    skua_token_unref(self->token);
    SKUA_ASYNC_END(rc);
}

EXPLORE(token_cancel_reaches_the_descendants_alone)
{
    struct tree tree = {.count = 0};
    struct polled_waiter polled = {.tree = &tree};
    struct explore_crew gardeners;
    struct explore_crew waiters;

    grow(&tree, -1);
    explore_open(&waiters);
    for (int i = 0; i < WAITERS; i++)
        explore_add(&waiters, token_waiter, &tree);
    explore_add_poll(&waiters, polled_waiter, &polled, sizeof polled);
    explore_open(&gardeners);
    for (int i = 0; i < GARDENERS; i++)
        explore_add(&gardeners, gardener, &tree);
    explore_cancel_some(&waiters, 0, 2);
    (void)explore_join(&gardeners);
    cancel_at(&tree, 0);
    (void)explore_join(&waiters); /* they all descend from the root: nobody waits on */
    grow(&tree, 0);
    check_tree(&tree);
    for (int i = 0; i < tree.count; i++)
        skua_token_unref(tree.nodes[i].token);
    return 0;
}

/* A token that nobody holds any more stands between others still; one that is left alone lives. */
EXPLORE(token_trees_outlive_their_middle)
{
    struct tree tree = {.count = 0};
    struct explore_crew gardeners;
    int victim;

    grow(&tree, -1);
    for (int i = 1; i < TOKENS / 2; i++)
        grow(&tree, (int)explore_pick((unsigned)i));
    for (int i = 1; i < TOKENS / 2; i++)
        if (explore_pick(2) == 0)
            give_back(&tree, i);
    explore_open(&gardeners);
    for (int i = 0; i < GARDENERS; i++)
        explore_add(&gardeners, gardener, &tree);
    (void)explore_wander();
    victim = any_node(&tree);
    cancel_at(&tree, victim);
    if (victim != 0 && explore_pick(2) == 0)
        give_back(&tree, victim);
    (void)explore_join(&gardeners);
    for (int i = 0; i < tree.count; i++)
        skua_token_unref(tree.nodes[i].token);
    return 0;
}

/* ---- trackers -------------------------------------------------------------------------------- */

struct yard {
    skua_tracker tracker;
    struct explore_line line;
    size_t in;
    bool closed;
    int ends; /* how often it was closed and empty */
};

static bool yard_is_over(const struct yard *yard)
{
    return yard->closed && yard->in == 0;
}

static void yard_left(struct yard *yard)
{
    yard->in--;
    yard->ends += yard_is_over(yard);
}

static int tracked(void *arg)
{
    struct yard *yard = arg;

    CHECK_RANGE(skua_tracker_len(&yard->tracker), 1, 100);
    (void)explore_wander();
    yard_left(yard); /* the tracker counts when this has returned: within the same turn */
    return 0;
}

static int by_hand(void *arg)
{
    struct yard *yard = arg;

    for (int i = 0; i < 3; i++) {
        explore_dawdle();
        yard->in++;
        CHECK_EQ(skua_tracker_enter(&yard->tracker), 0);
        CHECK_EQ(skua_tracker_len(&yard->tracker), yard->in);
        if (explore_pick(2) == 0 && skua_tracker_spawn(&yard->tracker, NULL, tracked, yard) == 0)
            yard->in++;
        explore_dawdle();
        yard_left(yard);
        CHECK_EQ(skua_tracker_leave(&yard->tracker), 0);
        if (yard_is_over(yard))
            CHECK_EQ(explore_queued(&yard->line), 0);
    }
    return 0;
}

static int yard_waiter(void *arg)
{
    struct yard *yard = arg;
    struct explore_wait wait;
    int before;
    int rc = explore_wander();

    while (rc == 0 || rc == -ETIMEDOUT) {
        before = yard->ends - yard_is_over(yard);
        skua_tracker_wait_init(&wait.inner, &yard->tracker);
        rc = (int)skua_await_until(explore_wait_init(&wait, &yard->line), explore_soon(6));
        if (rc == 0) {
            CHECK(yard->ends > before);
            return 0;
        }
        rc = skua_sleep(EXPLORE_UNIT);
    }
    return rc;
}

EXPLORE(tracker_waits_until_it_is_closed_and_empty)
{
    struct yard yard = {.tracker = SKUA_TRACKER_INIT};
    struct explore_crew workers;
    struct explore_crew waiters;

    explore_open(&waiters);
    for (int i = 0; i < WAITERS; i++)
        explore_add(&waiters, yard_waiter, &yard);
    explore_open(&workers);
    for (int i = 0; i < 3; i++)
        MUST(skua_spawn(&workers.scope, by_hand, &yard) == 0);
    explore_cancel_some(&waiters, 0, 2);
    for (int i = 0; i < 2; i++) {
        (void)explore_wander();
        yard.closed = true;
        yard.ends += yard_is_over(&yard);
        skua_tracker_close(&yard.tracker);
        (void)explore_wander();
        yard.closed = false;
        skua_tracker_reopen(&yard.tracker);
    }
    CHECK_EQ(explore_join(&workers), 0);
    CHECK_EQ(yard.in, 0);
    CHECK_EQ(skua_tracker_len(&yard.tracker), 0);
    yard.closed = true;
    yard.ends++;
    skua_tracker_close(&yard.tracker);
    (void)explore_join(&waiters);
    CHECK_EQ(skua_tracker_leave(&yard.tracker), SKUA_EUSAGE);
    return 0;
}

static int counted(void *arg)
{
    int *begun = arg;

    ++*begun;
    return explore_wander();
}

/* Those that are cancelled before they begin are counted out, too. */
EXPLORE(tracker_counts_out_who_never_began)
{
    skua_tracker tracker = SKUA_TRACKER_INIT;
    skua_scope scope;
    int spawned = 0;
    int begun = 0;
    bool cancelled = false;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 6; i++) {
        int rc = skua_tracker_spawn(&tracker, &scope, counted, &begun);

        CHECK_EQ(rc, cancelled ? -ECANCELED : 0);
        spawned += rc == 0;
        if (explore_pick(2) == 0)
            (void)explore_wander();
        if (explore_pick(6) == 0) {
            CHECK_EQ(skua_scope_cancel(&scope), 0);
            cancelled = true;
        }
        CHECK_RANGE(skua_tracker_len(&tracker), 0, (size_t)spawned);
    }
    skua_tracker_close(&tracker);
    CHECK_EQ(skua_tracker_wait(&tracker), 0);
    CHECK_EQ(skua_tracker_len(&tracker), 0);
    (void)skua_scope_join(&scope);
    CHECK_RANGE(begun, 0, spawned);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_cancel_reaches_the_descendants_alone),
        cmocka_unit_test(token_trees_outlive_their_middle),
        cmocka_unit_test(tracker_waits_until_it_is_closed_and_empty),
        cmocka_unit_test(tracker_counts_out_who_never_began),
    };

    return TEST_MAIN(tests);
}
