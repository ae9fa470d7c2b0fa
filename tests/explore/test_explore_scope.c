/* test_explore_scope.c - tasks, scopes, cancellation and deadlines in 1,000 orders.
 *
 * Explored: trees of scopes whose tasks spawn, fail, sleep, join each other and are cancelled, one
 * by one or with their scope, before they begin, in every wait, and after; poll tasks; shields;
 * deadlines that nest and are inherited.
 *
 * Always: when a join returns every child has ended, and was run or dropped exactly once; its
 * verdict is the first failure; a failure ends the siblings of a fail-fast scope, and nobody else;
 * a cancelled task is in no wait any more, unless it is in a shield; a deadline ends a wait at its
 * moment, not before and not after; a handle tells the task's own result.
 */
#include "explore.h"

/* ---- trees ----------------------------------------------------------------------------------- */

enum { DEPTH = 3, CHILDREN = 3 };

struct forest {
    int spawned;
    int begun;
    int ended;
    int dropped;
};

struct branch {
    struct forest *forest;
    int depth;
    int *alive; /* of the scope that it is in */
};

/* Memory for all of a world's branches, so that those that never begin leave nothing behind. */
static struct branch branches[1 + CHILDREN * (1 + CHILDREN * (1 + CHILDREN))];
static int used_branches;

static struct branch *branch_new(struct forest *forest, int depth, int *alive)
{
    MUST(used_branches < (int)TEST_LEN(branches));
    branches[used_branches] = (struct branch){.forest = forest, .depth = depth, .alive = alive};
    return &branches[used_branches++];
}

static void branch_drop(void *arg)
{
    struct branch *branch = arg;

    branch->forest->dropped++;
    --*branch->alive;
}

static int branch_run(void *arg);

/* Children of all sorts, in a scope of one's own; whatever happens, none is left behind. */
static int branch_out(struct branch *branch)
{
    struct forest *forest = branch->forest;
    bool cancelled = false; /* by this one; a failure or the parent may have done it before */
    skua_scope scope;
    int alive = 0;
    int rc;

    MUST(skua_scope_open(&scope, explore_pick(2) == 0 ? SKUA_COLLECT : SKUA_FAIL_FAST) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        struct branch *child = branch_new(forest, branch->depth + 1, &alive);

        alive++;
        rc = skua_spawn(&scope, branch_run, child, .drop = branch_drop);
        CHECK(rc == -ECANCELED || (rc == 0 && !cancelled));
        forest->spawned += rc == 0;
        alive -= rc != 0;
        if (explore_pick(4) == 0)
            (void)explore_wander();
        CHECK_RANGE(skua_scope_alive(&scope), alive, i + 1);
        if (explore_pick(10) == 0) {
            cancelled = true;
            CHECK_EQ(skua_scope_cancel(&scope), 0);
        }
    }
    rc = skua_scope_join(&scope);
    CHECK_EQ(alive, 0);
    CHECK_EQ(skua_scope_join(&scope), SKUA_EUSAGE);
    return rc;
}

static int branch_run(void *arg)
{
    struct branch *branch = arg;
    int rc = explore_wander();

    branch->forest->begun++;
    if (rc == 0 && branch->depth < DEPTH)
        rc = branch_out(branch);
    if (rc == 0)
        rc = explore_wander();
    if (rc == 0 && explore_pick(12) == 0)
        rc = -EIO;
    if (skua_cancelled() != 0)
        CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED); /* it is no wait any more */
    branch->forest->ended++;
    --*branch->alive;
    return rc;
}

static int canceller(void *arg)
{
    skua_scope *scope = arg;

    explore_dawdle();
    explore_dawdle();
    if (explore_pick(2) == 0)
        CHECK_EQ(skua_scope_cancel(scope), 0);
    return 0;
}

EXPLORE(scope_leaves_nobody_behind)
{
    struct forest forest = {.spawned = 0};
    skua_scope scope;
    int alive = 1;
    int rc;

    used_branches = 0;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, branch_run, branch_new(&forest, 0, &alive), .drop = branch_drop) == 0);
    forest.spawned++;
    MUST(skua_spawn(&scope, canceller, &scope) == 0);
    rc = skua_scope_join(&scope);
    CHECK(rc == 0 || rc == -EIO || rc == -ECANCELED);
    CHECK_EQ(alive, 0);
    CHECK_EQ(forest.begun, forest.ended);
    CHECK_EQ(forest.begun + forest.dropped, forest.spawned);
    return 0;
}

/* ---- failures -------------------------------------------------------------------------------- */

enum { SIBLINGS = 5 };

struct family {
    unsigned flags;
    int first;  /* the first failure */
    int failed; /* how many failed on their own */
    int cancelled;
};

static int sibling(void *arg)
{
    struct family *family = arg;
    int64_t until = explore_soon(6);
    int rc = skua_sleep_until(until);

    if (rc == 0 && explore_pick(2) == 0) {
        rc = -EIO - (int)explore_pick(3);
        family->failed++;
    }
    if (rc == -ECANCELED) {
        family->cancelled++;
        CHECK(family->first != 0);
        CHECK_EQ(family->flags, SKUA_FAIL_FAST);
        CHECK(skua_now() <= until);
    } else if (rc != 0 && family->first == 0) {
        family->first = rc;
    }
    return rc;
}

struct polled_sibling {
    skua_async async;
    struct family *family;
    skua_sleep_future sleep;
};

static skua_poll polled_sibling(void *state, skua_waker *waker)
{
    struct polled_sibling *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(rc, skua_sleep_init(&self->sleep, explore_pick(6) * EXPLORE_UNIT));
    if (rc == -ECANCELED) {
        CHECK(self->family->first != 0);
        CHECK_EQ(self->family->flags, SKUA_FAIL_FAST);
    }
    SKUA_ASYNC_END(rc);
}

/* The verdict is the failure that came first; a cousin in another scope never notices. */
EXPLORE(scope_verdict_is_the_first_failure)
{
    struct family family = {.flags = explore_pick(2) == 0 ? SKUA_COLLECT : SKUA_FAIL_FAST};
    struct polled_sibling polled = {.family = &family};
    struct family cousins = {.flags = SKUA_COLLECT};
    skua_scope outer;
    skua_scope scope;
    int rc;

    MUST(skua_scope_open(&outer, SKUA_FAIL_FAST) == 0);
    MUST(skua_spawn_poll(&outer, polled_sibling, &((struct polled_sibling){.family = &cousins})) ==
         0);
    MUST(skua_scope_open(&scope, family.flags) == 0);
    for (int i = 0; i < SIBLINGS; i++)
        MUST(skua_spawn(&scope, sibling, &family) == 0);
    MUST(skua_spawn_poll(&scope, polled_sibling, &polled) == 0);
    rc = skua_scope_join(&scope);
    CHECK_EQ(rc, family.first);
    if (family.flags == SKUA_COLLECT)
        CHECK_EQ(family.cancelled, 0);
    CHECK_EQ(skua_scope_join(&outer), 0);
    return 0;
}

/* ---- handles --------------------------------------------------------------------------------- */

struct worker {
    int result;
    bool began;
    bool ended;
    bool cancelled; /* somebody has asked for it */
};

static int work(void *arg)
{
    struct worker *worker = arg;
    int rc;

    worker->began = true;
    rc = explore_wander();
    if (rc == 0)
        rc = explore_wander();
    CHECK(rc == 0 || (rc == -ECANCELED && worker->cancelled));
    if (rc == 0)
        rc = worker->result;
    worker->result = rc;
    worker->ended = true;
    return rc;
}

/* A join that is cut off leaves the handle; one that is not has the task's result. */
static void join_somehow(struct worker *worker, skua_task *task)
{
    skua_join_future join;
    skua_sleep_future nap;
    int result = 1000;
    int rc;

    for (;;) {
        if (explore_pick(4) == 0) {
            worker->cancelled = true;
            CHECK_EQ(skua_task_cancel(task), skua_task_done(task) ? -ESRCH : 0);
        }
        switch (explore_pick(3)) {
        case 0:
            rc = (int)skua_await_until(skua_join_init(&join, task, &result), explore_soon(2));
            break;
        case 1:
            rc = skua_select(explore_nap(&nap), skua_join_init(&join, task, &result));
            rc = rc == 0 ? -ETIMEDOUT : 0;
            break;
        default:
            rc = skua_task_join(task, &result);
        }
        if (rc == 0)
            break;
        CHECK_EQ(rc, -ETIMEDOUT);
        CHECK_EQ(result, 1000);
        (void)skua_sleep(EXPLORE_UNIT);
    }
    CHECK_EQ(worker->began, worker->ended);
    CHECK_EQ(result, worker->began ? worker->result : -ECANCELED);
    CHECK(worker->began || worker->cancelled);
}

EXPLORE(task_handles_tell_the_result)
{
    struct worker workers[4];
    skua_task *tasks[4];
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.result = i};
        MUST(skua_spawn(&scope, work, &workers[i], .task = &tasks[i]) == 0);
    }
    for (int i = 3; i >= 0; i--)
        join_somehow(&workers[i], tasks[i]);
    (void)skua_scope_join(&scope);
    return 0;
}

/* ---- deadlines and shields ------------------------------------------------------------------- */

struct bound {
    int64_t deadline;
    bool cancelled;
};

/* Inherited: whoever is spawned under a deadline is under it, too. */
static int bounded(void *arg)
{
    struct bound *bound = arg;
    int64_t until = explore_soon(8);
    int rc;

    CHECK_EQ(skua_deadline_current(), bound->deadline);
    rc = explore_pick(2) == 0 ? skua_sleep_until(until) : (int)skua_sleep(SKUA_FOREVER);
    if (rc == 0)
        CHECK_EQ(skua_now(), until);
    else if (rc == -ETIMEDOUT)
        CHECK_EQ(skua_now(), bound->deadline);
    else
        CHECK(bound->cancelled && skua_now() < bound->deadline);
    if (rc != 0) { /* it may clean up in a shield, and only there */
        int64_t begin = skua_now();

        CHECK_EQ(skua_cancelled(), rc);
        CHECK_EQ(skua_sleep(0), rc);
        CHECK_EQ(skua_sleep(EXPLORE_UNIT), rc);
        CHECK_EQ(skua_now(), begin);
        CHECK_EQ(skua_shield_begin(), 0);
        CHECK_EQ(skua_sleep(EXPLORE_UNIT), 0);
        CHECK_EQ(skua_shield_end(), 0);
        CHECK_EQ(skua_now(), begin + EXPLORE_UNIT);
        CHECK(skua_sleep(EXPLORE_UNIT) < 0);
    }
    return rc;
}

static int bounding(void *arg)
{
    struct bound *outer = arg;
    struct bound inner = {.deadline = explore_soon(6) + 1};
    skua_deadline frame;
    struct explore_crew crew;
    int rc;

    MUST(skua_deadline_begin(&frame, inner.deadline) == 0);
    if (outer->deadline < inner.deadline)
        inner.deadline = outer->deadline;
    explore_open(&crew);
    for (int i = 0; i < 3; i++)
        explore_add(&crew, bounded, &inner);
    if (explore_pick(3) == 0 && skua_sleep_until(explore_soon(2)) == 0) {
        inner.cancelled = true;
        CHECK_EQ(skua_scope_cancel(&crew.scope), 0);
    }
    rc = explore_join(&crew);
    CHECK(rc == 0 || rc == -ETIMEDOUT || (rc == -ECANCELED && inner.cancelled));
    CHECK(skua_now() <= inner.deadline + EXPLORE_UNIT); /* whoever cleaned up took one */
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_deadline_current(), outer->deadline);
    return 0;
}

EXPLORE(deadlines_end_waits_at_their_moment)
{
    struct bound bound = {.deadline = explore_soon(4) + 2 * EXPLORE_UNIT};
    skua_deadline frame;
    skua_scope scope;

    MUST(skua_deadline_begin(&frame, bound.deadline) == 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 3; i++)
        MUST(skua_spawn(&scope, bounding, &bound) == 0);
    (void)skua_scope_join(&scope);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope_leaves_nobody_behind),
        cmocka_unit_test(scope_verdict_is_the_first_failure),
        cmocka_unit_test(task_handles_tell_the_result),
        cmocka_unit_test(deadlines_end_waits_at_their_moment),
    };

    return TEST_MAIN(tests);
}
