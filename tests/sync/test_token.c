/* test_token.c - cancellation tokens and task trackers. Specifies token.h. */
#include <pthread.h>

#include "../lib/event.h"

/* ---- tokens ---------------------------------------------------------------------------------- */

static skua_token *token_of(skua_token *parent)
{
    skua_token *token;

    MUST(skua_token_new(&token, parent) == 0);
    return token;
}

/* root -> a -> b, root -> c: a's cancellation reaches a and b. */
TEST(cancel_reaches_exactly_the_descendants)
{
    skua_token *root = token_of(NULL);
    skua_token *a = token_of(root);
    skua_token *b = token_of(a);
    skua_token *c = token_of(root);
    skua_token *late;

    skua_token_cancel(a);
    skua_token_cancel(a);
    CHECK_EQ(skua_token_is_cancelled(root), 0);
    CHECK_EQ(skua_token_is_cancelled(a), 1);
    CHECK_EQ(skua_token_is_cancelled(b), 1);
    CHECK_EQ(skua_token_is_cancelled(c), 0);
    late = token_of(b);
    CHECK_EQ(skua_token_is_cancelled(late), 1); /* born so */
    skua_token_cancel(root);
    CHECK_EQ(skua_token_is_cancelled(c), 1);
    skua_token_unref(late);
    skua_token_unref(c);
    skua_token_unref(b);
    skua_token_unref(a);
    skua_token_unref(root);
    skua_token_unref(NULL);
}

/* A token in the middle that nobody holds any more still passes a cancellation on. */
TEST(grandchild_of_a_forgotten_token_is_cancelled)
{
    skua_token *root = token_of(NULL);
    skua_token *middle = token_of(root);
    skua_token *leaf = token_of(middle);

    skua_token_unref(middle);
    skua_token_cancel(root);
    CHECK_EQ(skua_token_is_cancelled(leaf), 1);
    skua_token_unref(root);
    CHECK_EQ(skua_token_is_cancelled(leaf), 1);
    skua_token_unref(leaf);
}

TEST(long_chain_is_cancelled_and_freed_without_a_deep_stack)
{
    enum { DEPTH = 100000 };
    skua_token *root = token_of(NULL);
    skua_token *last = skua_token_ref(root);

    for (int i = 0; i < DEPTH; i++) {
        skua_token *next = token_of(last);

        skua_token_unref(last);
        last = next;
    }
    skua_token_cancel(root);
    CHECK_EQ(skua_token_is_cancelled(last), 1);
    skua_token_unref(root);
    skua_token_unref(last);
}

struct waiting {
    skua_token *token;
    int rc;
};

static int waits_for_the_token(void *arg)
{
    struct waiting *self = arg;

    self->rc = skua_token_wait(self->token);
    return 0;
}

TEST_FIBER(waits_end_with_the_token)
{
    skua_token *root = token_of(NULL);
    struct waiting waiting[10];
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 10; i++) {
        waiting[i] = (struct waiting){i % 2 ? token_of(root) : skua_token_ref(root), 77};
        MUST(skua_spawn(&scope, waits_for_the_token, &waiting[i]) == 0);
    }
    CHECK_EQ(skua_yield(), 0);
    skua_token_cancel(root);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(waiting[i].rc, 0);
        skua_token_unref(waiting[i].token);
    }
    CHECK_EQ(skua_token_wait(root), 0);
    skua_token_unref(root);
    return 0;
}

TEST_FIBER(waiter_may_be_cancelled_itself)
{
    struct waiting waiting = {token_of(NULL), 77};
    skua_task *task;

    MUST(skua_spawn(NULL, waits_for_the_token, &waiting, .task = &task) == 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(waiting.rc == -ECANCELED || waiting.rc == 77, 1); /* 77: before it began */
    CHECK_EQ(skua_token_is_cancelled(waiting.token), 0);
    skua_token_unref(waiting.token);
    return 0;
}

/* ---- stress: children come and go while the root is cancelled ---------------------------------
 */

struct nursery {
    skua_token *root;
    atomic_int end;
};

static void *makes_children(void *arg)
{
    struct nursery *nursery = arg;

    while (!atomic_load(&nursery->end)) {
        skua_token *child = token_of(nursery->root);
        skua_token *grandchild = token_of(child);

        skua_token_unref(child);
        if (skua_token_is_cancelled(grandchild))
            atomic_store(&nursery->end, 1);
        skua_token_unref(grandchild);
    }
    return NULL;
}

TEST(children_come_and_go_while_the_root_is_cancelled)
{
    int64_t end = skua_now() + test_stress_time(1);
    int round = 0;

    for (; skua_now() < end; round++) {
        struct nursery nursery = {.root = token_of(NULL)};
        pthread_t threads[2];

        for (int i = 0; i < 2; i++)
            MUST(pthread_create(&threads[i], NULL, makes_children, &nursery) == 0);
        for (volatile int i = 0; i < round % 50 * 1000; i++)
            continue;
        skua_token_cancel(nursery.root);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        skua_token_unref(nursery.root);
    }
    test_note("%d rounds", round);
}

/* ---- trackers -------------------------------------------------------------------------------- */

static int yields_some(void *arg)
{
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_yield(), 0);
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

TEST_FIBER(tracker_waits_for_the_last)
{
    skua_tracker tracker = SKUA_TRACKER_INIT;
    atomic_int ended = 0;

    CHECK_EQ(skua_tracker_leave(&tracker), SKUA_EUSAGE);
    CHECK_EQ(skua_tracker_wait_until(&tracker, skua_now() + MS(2)), -ETIMEDOUT); /* not closed */
    for (int i = 0; i < 20; i++)
        MUST(skua_tracker_spawn(&tracker, NULL, yields_some, &ended) == 0);
    CHECK_EQ(skua_tracker_spawn(&tracker, NULL, NULL, NULL), -EINVAL);
    skua_tracker_close(&tracker);
    CHECK_EQ(skua_tracker_wait(&tracker), 0);
    CHECK_EQ(atomic_load(&ended), 20);
    CHECK_EQ(skua_tracker_len(&tracker), 0);
    skua_tracker_reopen(&tracker);
    CHECK_EQ(skua_tracker_wait_until(&tracker, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_tracker_enter(&tracker), 0);
    skua_tracker_close(&tracker);
    CHECK_EQ(skua_tracker_len(&tracker), 1);
    CHECK_EQ(skua_tracker_leave(&tracker), 0);
    CHECK_EQ(skua_tracker_wait(&tracker), 0);
    return 0;
}

/* One that is cancelled before it began is counted off, too. */
TEST_FIBER_CURRENT(tracked_fiber_that_never_began_is_counted_off)
{
    skua_tracker tracker = SKUA_TRACKER_INIT;
    atomic_int ended = 0;
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_tracker_spawn(&tracker, &scope, yields_some, &ended) == 0);
    CHECK_EQ(skua_tracker_len(&tracker), 1);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_tracker_spawn(&tracker, &scope, yields_some, &ended), -ECANCELED);
    (void)skua_scope_join(&scope);
    CHECK_EQ(skua_tracker_len(&tracker), 0);
    CHECK_EQ(atomic_load(&ended), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_reaches_exactly_the_descendants),
        cmocka_unit_test(grandchild_of_a_forgotten_token_is_cancelled),
        cmocka_unit_test(long_chain_is_cancelled_and_freed_without_a_deep_stack),
        cmocka_unit_test(waits_end_with_the_token),
        cmocka_unit_test(waiter_may_be_cancelled_itself),
        cmocka_unit_test(children_come_and_go_while_the_root_is_cancelled),
        cmocka_unit_test(tracker_waits_for_the_last),
        cmocka_unit_test(tracked_fiber_that_never_began_is_counted_off),
    };

    return TEST_MAIN(tests);
}
