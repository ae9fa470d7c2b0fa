/* test_scope.c - scopes: who waits for whom, whose failure ends whom.
 *
 * Specifies task.h: skua_scope_open, _open_on, _join, _cancel, _alive, _current: collecting and
 * failing fast, cancelling from outside, nesting, joins of cancelled and timed out owners, and
 * every wrong order that is answered with SKUA_EUSAGE.
 */
#include <pthread.h>

#include "../lib/event.h"

/* ---- joining --------------------------------------------------------------------------------- */

static int slow_count(void *arg)
{
    int rc = skua_sleep(MS(5));

    atomic_fetch_add((atomic_int *)arg, 1);
    return rc;
}

TEST_FIBER(scope_join_waits_for_all)
{
    atomic_int ran = 0;
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(skua_spawn(&scope, slow_count, &ran), 0);
    CHECK_RANGE(skua_scope_alive(&scope), 0, 50);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&ran), 50);
    return 0;
}

TEST_FIBER(scope_empty_and_again)
{
    skua_scope scope;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_scope_open(&scope, i & 1 ? SKUA_FAIL_FAST : SKUA_COLLECT), 0);
        CHECK_EQ(skua_scope_alive(&scope), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
    }
    return 0;
}

struct family {
    atomic_int ran;
    int depth;
};

static int spawns_sibling(void *arg)
{
    struct family *self = arg;

    if (atomic_fetch_add(&self->ran, 1) + 1 < self->depth)
        return skua_spawn(NULL, spawns_sibling, self);
    return 0;
}

TEST_FIBER(scope_joins_what_children_add)
{
    struct family family = {.depth = 200};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, spawns_sibling, &family), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&family.ran), 200);
    return 0;
}

struct tree {
    atomic_int *leaves;
    int depth;
};

static int grows_tree(void *arg)
{
    struct tree *self = arg;
    struct tree child = {self->leaves, self->depth - 1};
    skua_scope scope;

    if (self->depth == 0) {
        atomic_fetch_add(self->leaves, 1);
        return skua_yield();
    }
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_spawn(&scope, grows_tree, &child), 0);
    return skua_scope_join(&scope);
}

TEST_FIBER(scope_nests)
{
    atomic_int leaves = 0;
    struct tree tree = {&leaves, 5};

    CHECK_EQ(grows_tree(&tree), 0);
    CHECK_EQ(atomic_load(&leaves), 243);
    return 0;
}

/* ---- failures -------------------------------------------------------------------------------- */

struct plan {
    int64_t delay;
    int result;
    int waited; /* what its wait returned */
    bool ended;
};

/* Its wait was cut, or it was cancelled before it started. */
static bool was_cancelled(const struct plan *plan)
{
    return plan->ended ? plan->waited == -ECANCELED : plan->waited == 1;
}

static int follows_plan(void *arg)
{
    struct plan *plan = arg;

    plan->waited = skua_sleep(plan->delay);
    plan->ended = true;
    return plan->waited ? plan->waited : plan->result;
}

TEST_FIBER_CLOCK(scope_collect_runs_on_and_reports_the_first)
{
    struct plan plans[] = {{MS(60), -EPIPE, 1, false},
                           {MS(5), -EIO, 1, false},
                           {MS(30), 4, 1, false},
                           {MS(90), 0, 1, false}};
    int64_t begin = skua_now();
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (size_t i = 0; i < TEST_LEN(plans); i++)
        CHECK_EQ(skua_spawn(&scope, follows_plan, &plans[i]), 0);
    CHECK_EQ(skua_scope_join(&scope), -EIO);
    CHECK_EQ(skua_now(), begin + MS(90));
    for (size_t i = 0; i < TEST_LEN(plans); i++)
        CHECK(plans[i].ended && plans[i].waited == 0);
    return 0;
}

TEST_FIBER(scope_fail_fast_cancels_the_others)
{
    struct plan plans[] = {
        {SKUA_FOREVER, 0, 1, false}, {MS(30), -EIO, 1, false}, {SKUA_FOREVER, -EPIPE, 1, false}};
    int64_t begin = skua_now();
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (size_t i = 0; i < TEST_LEN(plans); i++)
        CHECK_EQ(skua_spawn(&scope, follows_plan, &plans[i]), 0);
    CHECK_EQ(skua_scope_join(&scope), -EIO);
    CHECK_RANGE(skua_now() - begin, MS(30), MS(30) + TEST_LATE);
    CHECK(was_cancelled(&plans[0]));
    CHECK_EQ(plans[1].waited, 0);
    CHECK(was_cancelled(&plans[2]));
    return 0;
}

TEST_FIBER(scope_fail_fast_is_closed_to_new_tasks)
{
    struct plan fails = {MS(1), -EIO, 1, false};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &fails), 0);
    while (skua_scope_alive(&scope) > 0)
        skua_sleep(SKUA_MILLISECOND);
    CHECK_EQ(skua_spawn(&scope, test_fiber_return, NULL), -ECANCELED);
    CHECK_EQ(skua_scope_join(&scope), -EIO);
    CHECK_EQ(skua_cancelled(), 0);
    return 0;
}

TEST_FIBER(scope_positive_results_are_no_failure)
{
    struct plan plans[] = {{MS(1), 1, 1, false}, {MS(10), 2, 1, false}};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &plans[0]), 0);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &plans[1]), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(plans[1].waited, 0);
    return 0;
}

/* The failure of a grandchild stays in its scope unless the child hands it on. */
static int swallows_failure(void *arg)
{
    struct plan fails = {MS(1), -EIO, 1, false};
    skua_scope scope;

    (void)arg;
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &fails), 0);
    CHECK_EQ(skua_scope_join(&scope), -EIO);
    return skua_cancelled();
}

TEST_FIBER_CLOCK(scope_failure_stays_inside)
{
    struct plan sibling = {MS(20), 0, 1, false};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_spawn(&scope, swallows_failure, NULL), 0);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &sibling), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(sibling.waited, 0);
    return 0;
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static int cancels_scope(void *arg)
{
    skua_sleep(MS(5));
    return skua_scope_cancel(arg);
}

TEST_FIBER(scope_cancel_by_another_task)
{
    struct plan plans[] = {{SKUA_FOREVER, 0, 1, false}, {SKUA_FOREVER, 0, 1, false}};
    skua_scope *outer = skua_scope_current();
    skua_scope scope;
    skua_task *task;
    int result = -1;

    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(outer, cancels_scope, &scope, .task = &task) == 0);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &plans[0]), 0);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &plans[1]), 0);
    while (!skua_task_done(task))
        skua_sleep(SKUA_MILLISECOND);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK(was_cancelled(&plans[0]));
    CHECK(was_cancelled(&plans[1]));
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    return 0;
}

static void *thread_cancels(void *arg)
{
    test_thread_sleep(MS(10));
    CHECK_EQ(skua_scope_cancel(arg), 0);
    return NULL;
}

TEST_FIBER(scope_cancel_by_a_thread)
{
    struct plan plan = {SKUA_FOREVER, 0, 1, false};
    skua_scope scope;
    pthread_t thread;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &plan), 0);
    MUST(pthread_create(&thread, NULL, thread_cancels, &scope) == 0);
    while (skua_scope_alive(&scope) > 0)
        skua_sleep(SKUA_MILLISECOND);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK(was_cancelled(&plan));
    return 0;
}

TEST_FIBER(scope_cancel_twice_and_spawn_after)
{
    skua_task *untouched = (skua_task *)8, *task = untouched;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_spawn(&scope, test_fiber_return, NULL, .task = &task), -ECANCELED);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), -ECANCELED);
    CHECK(task == untouched);
    CHECK_EQ(skua_scope_alive(&scope), 0);
    skua_scope_join(&scope);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), 0);
    return 0;
}

/* A child that ignores its cancellation and returns 0 is no error of the scope. */
static int forgives_cancel(void *arg)
{
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return (int)(intptr_t)arg;
}

TEST_FIBER_CLOCK(scope_cancelled_children_may_succeed)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, forgives_cancel, (void *)0), 0);
    CHECK_EQ(skua_spawn(&scope, forgives_cancel, (void *)3), 0);
    CHECK_EQ(skua_test_advance(0), 0); /* both wait */
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

/* ---- the owner's own end --------------------------------------------------------------------- */

struct owner {
    struct test_event *ready;
    atomic_int cleaned;
    int joined, second_wait, in_time;
};

static int cleans_slowly(void *arg)
{
    struct owner *owner = arg;
    int rc = skua_sleep(SKUA_FOREVER);

    skua_shield_begin();
    CHECK_EQ(skua_sleep(MS(20)), 0);
    skua_shield_end();
    atomic_fetch_add(&owner->cleaned, 1);
    return rc;
}

static int owns_scope(void *arg)
{
    struct owner *owner = arg;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_spawn(&scope, cleans_slowly, owner), 0);
    skua_sleep(MS(10)); /* all have started */
    test_event_set(owner->ready);
    owner->joined = skua_scope_join(&scope);
    owner->in_time = atomic_load(&owner->cleaned);
    owner->second_wait = skua_sleep(0);
    return 0;
}

TEST_FIBER_CLOCK(scope_join_by_a_cancelled_owner_still_waits)
{
    struct test_event ready = TEST_EVENT_INIT;
    struct owner owner = {.ready = &ready};
    skua_task *task;
    int64_t begin;

    MUST(skua_spawn(NULL, owns_scope, &owner, .task = &task) == 0);
    CHECK_EQ(test_event_wait(&ready), 0);
    CHECK_EQ(skua_test_advance(0), 0); /* it joins */
    begin = skua_now();
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_now(), begin + MS(20));
    CHECK_EQ(owner.joined, -ECANCELED);
    CHECK_EQ(owner.in_time, 3);
    CHECK_EQ(owner.second_wait, -ECANCELED);
    return 0;
}

/* The children were spawned outside the deadline: it is the owner's join that passes it. */
TEST_FIBER_CLOCK(scope_join_by_a_timed_out_owner_still_waits)
{
    struct owner owner = {.cleaned = 0};
    skua_deadline deadline;
    skua_scope scope;
    int64_t begin;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_spawn(&scope, cleans_slowly, &owner), 0);
    CHECK_EQ(skua_test_advance(0), 0); /* all wait */
    begin = skua_now();
    CHECK_EQ(skua_deadline_begin(&deadline, begin + MS(10)), 0);
    CHECK_EQ(skua_scope_join(&scope), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + MS(30));
    CHECK_EQ(atomic_load(&owner.cleaned), 3);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    CHECK_EQ(skua_sleep(0), 0);
    return 0;
}

static int works_in_shield(void *arg)
{
    struct plan plan = {MS(20), 0, 1, false};
    skua_scope scope;

    test_event_set(arg);
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, follows_plan, &plan), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(plan.waited, 0);
    CHECK_EQ(skua_shield_end(), 0);
    return -ECANCELED;
}

TEST_FIBER(scope_join_inside_a_shield)
{
    struct test_event ready = TEST_EVENT_INIT;
    skua_task *task;

    MUST(skua_spawn(NULL, works_in_shield, &ready, .task = &task) == 0);
    CHECK_EQ(test_event_wait(&ready), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    return 0;
}

/* ---- the current scope ----------------------------------------------------------------------- */

static int sees_scope(void *arg)
{
    skua_scope own;

    CHECK(skua_scope_current() == arg);
    CHECK_EQ(skua_scope_open(&own, SKUA_COLLECT), 0);
    CHECK(skua_scope_current() == &own);
    CHECK_EQ(skua_scope_join(&own), 0);
    CHECK(skua_scope_current() == arg);
    return 0;
}

static skua_poll poll_sees_scope(void *state, skua_waker *waker)
{
    (void)waker;
    return skua_scope_current() == *(skua_scope **)state ? 0 : -EIO;
}

TEST_FIBER(scope_current)
{
    skua_scope *outer = skua_scope_current();
    skua_scope *of_poll;
    skua_task *rooted;
    skua_scope a, b;

    CHECK(outer != NULL);
    CHECK(outer != skua_runtime_scope(arg));
    skua_scope_open(&a, SKUA_COLLECT);
    CHECK(skua_scope_current() == &a);
    skua_scope_open(&b, SKUA_COLLECT);
    CHECK(skua_scope_current() == &b);
    CHECK_EQ(skua_spawn(&a, sees_scope, &a), 0);
    CHECK_EQ(skua_spawn(NULL, sees_scope, &b), 0);
    of_poll = &a;
    CHECK_EQ(skua_spawn_poll(&a, poll_sees_scope, &of_poll), 0);
    CHECK_EQ(skua_scope_join(&b), 0);
    CHECK(skua_scope_current() == &a);
    CHECK_EQ(skua_scope_join(&a), 0);
    CHECK(skua_scope_current() == outer);
    CHECK_EQ(
        skua_spawn_on(skua_runtime_current(), sees_scope, skua_runtime_scope(arg), .task = &rooted),
        0);
    CHECK_EQ(skua_task_join(rooted, NULL), 0); /* before the runtime's end cancels it */
    return 0;
}

TEST_FIBER(scope_join_out_of_order)
{
    skua_scope a, b;

    skua_scope_open(&a, SKUA_COLLECT);
    skua_scope_open(&b, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&a, test_fiber_return, NULL), 0);
    CHECK_EQ(skua_scope_join(&a), SKUA_EUSAGE);
    CHECK_EQ(skua_spawn(&a, test_fiber_return, NULL), 0);
    CHECK_EQ(skua_scope_join(&b), 0);
    CHECK_EQ(skua_scope_join(&b), SKUA_EUSAGE);
    CHECK_EQ(skua_scope_join(&a), 0);
    CHECK_EQ(skua_scope_join(&a), SKUA_EUSAGE);
    CHECK_EQ(skua_scope_cancel(&a), SKUA_EUSAGE);
    return 0;
}

static int joins_foreign_scope(void *arg)
{
    CHECK_EQ(skua_scope_join(arg), SKUA_EUSAGE);
    return 0;
}

TEST_FIBER(scope_join_is_the_openers)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, joins_foreign_scope, &scope), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

TEST_FIBER(scope_flags)
{
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, 0x2), -EINVAL);
    CHECK_EQ(skua_scope_open(&scope, 0x80000000u), -EINVAL);
    CHECK_EQ(skua_scope_open_on(&scope, arg, 0x4), -EINVAL);
    CHECK_EQ(skua_scope_open_on(&scope, NULL, SKUA_COLLECT), -EINVAL);
    return 0;
}

/* ---- threads --------------------------------------------------------------------------------- */

TEST(scope_of_a_thread)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct plan fails = {MS(5), -EIO, 1, false}, sleeps = {SKUA_FOREVER, 0, 1, false};
        atomic_int ran = 0;
        skua_scope scope;

        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), SKUA_EUSAGE);
        CHECK_EQ(skua_scope_open_on(&scope, runtime, SKUA_COLLECT), 0);
        for (int n = 0; n < 20; n++)
            CHECK_EQ(skua_spawn(&scope, slow_count, &ran), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(atomic_load(&ran), 20);
        CHECK_EQ(skua_scope_open_on(&scope, runtime, SKUA_FAIL_FAST), 0);
        CHECK_EQ(skua_spawn(&scope, follows_plan, &sleeps), 0);
        CHECK_EQ(skua_spawn(&scope, follows_plan, &fails), 0);
        CHECK_EQ(skua_scope_join(&scope), -EIO);
        CHECK(was_cancelled(&sleeps));
        test_runtime_free(runtime);
    }
}

static int tells_runtime(void *arg)
{
    *(skua_runtime **)arg = skua_runtime_current();
    return 0;
}

TEST_FIBER(scope_of_a_fiber_on_another_runtime)
{
    skua_runtime *other = NULL, *seen = NULL;
    skua_scope scope;

    MUST(skua_runtime_new(&other, SKUA_RUNTIME_OPTIONS(.workers = 1, .name = "other")) == 0);
    CHECK_EQ(skua_scope_open_on(&scope, other, SKUA_COLLECT), 0);
    CHECK(skua_scope_current() == &scope);
    CHECK_EQ(skua_spawn(NULL, tells_runtime, &seen), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK(seen == other);
    CHECK(skua_runtime_current() == arg);
    CHECK_EQ(skua_runtime_free(other), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope_join_waits_for_all),
        cmocka_unit_test(scope_empty_and_again),
        cmocka_unit_test(scope_joins_what_children_add),
        cmocka_unit_test(scope_nests),
        cmocka_unit_test(scope_collect_runs_on_and_reports_the_first),
        cmocka_unit_test(scope_fail_fast_cancels_the_others),
        cmocka_unit_test(scope_fail_fast_is_closed_to_new_tasks),
        cmocka_unit_test(scope_positive_results_are_no_failure),
        cmocka_unit_test(scope_failure_stays_inside),
        cmocka_unit_test(scope_cancel_by_another_task),
        cmocka_unit_test(scope_cancel_by_a_thread),
        cmocka_unit_test(scope_cancel_twice_and_spawn_after),
        cmocka_unit_test(scope_cancelled_children_may_succeed),
        cmocka_unit_test(scope_join_by_a_cancelled_owner_still_waits),
        cmocka_unit_test(scope_join_by_a_timed_out_owner_still_waits),
        cmocka_unit_test(scope_join_inside_a_shield),
        cmocka_unit_test(scope_current),
        cmocka_unit_test(scope_join_out_of_order),
        cmocka_unit_test(scope_join_is_the_openers),
        cmocka_unit_test(scope_flags),
        cmocka_unit_test(scope_of_a_thread),
        cmocka_unit_test(scope_of_a_fiber_on_another_runtime),
    };

    return TEST_MAIN(tests);
}
