/* test_model_scope.c - scopes: the last child that leaves, the joiner, and who cancels.
 *
 * A scope lives in its opener's frame: when the join has returned, that memory is something else.
 * Here the joiner frees it; whoever touches it afterwards fails the case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model_task.h"

static char work[TASKS]; /* what each child has done */
static unsigned children;
static int answer;
static bool joined;
static struct waiter impatient;

static void begin_with(unsigned workers, unsigned count, unsigned flags)
{
    runtime_begin(workers, flags);
    children = count;
    for (unsigned i = 0; i < count; i++)
        task_begin(i, 0);
    answer = 0;
    joined = false;
    (void)waiter_begin(&impatient);
}

static void begin_one(void)
{
    begin_with(1, 1, 0);
}

static void begin_two(void)
{
    begin_with(2, 2, 0);
}

static void begin_two_of_one(void)
{
    begin_with(1, 2, 0);
}

static void begin_fail_fast(void)
{
    begin_with(2, 2, SKUA_FAIL_FAST);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void finish(unsigned index, int result)
{
    model_use(&work[index]);
    skua__task_finish(skua__thread_self(), task_at(index), result);
}

/* The worker's loop goes round (sched_worker.c). */
static void flush(void)
{
    if (skua__thread_self()->left_count != 0)
        skua__task_flush_left(skua__thread_self());
}

static void finish_0(void)
{
    finish(0, 0);
    flush();
}

static void finish_1(void)
{
    finish(1, 0);
    flush();
}

static void finish_both(void)
{
    finish(0, 0);
    finish(1, 0);
    flush();
}

static void fail_0(void)
{
    finish(0, -EIO);
    flush();
}

/* The scope's memory has gone the way of its frame. */
static void scope_gone(void)
{
    for (unsigned i = 0; i < children; i++)
        model_use(&work[i]);
    joined = true;
    model_free(&scope, sizeof scope);
}

static void join(void)
{
    answer = skua_scope_join(&scope);
    scope_gone();
}

static void cancel(void)
{
    skua_scope_cancel(&scope);
}

/* A wait with the waker of somebody who is gone before the scope is. */
static skua_poll poll_first(struct scope_join_future *first)
{
    skua_poll answer;

    *first = (struct scope_join_future){.future.ops = &scope_ops, .scope = &scope};
    answer = scope_poll(&first->future, skua_waker_custom(&impatient.custom));
    model_check(answer == SKUA_PENDING || impatient.refs == 0);
    return answer;
}

/* The first wait ends early (a deadline, say), the scope is cancelled and waited for again: what
 * scope_wait does. A child that has taken the first waker is not done with it before LEAVING is
 * clear, to which the second wait sees. */
static void join_impatiently(void)
{
    struct scope_join_future first;

    if (poll_first(&first) == SKUA_PENDING) {
        scope_drop(&first.future);
        cancel();
    }
    join();
    waiter_end(&impatient);
}

/* Another waker takes the first one's place. */
static void join_anew(void)
{
    struct scope_join_future first;

    (void)poll_first(&first);
    join();
    waiter_end(&impatient);
}

/* Cancels, then joins: as a scope whose opener's patience has ended. */
static void cancel_and_join(void)
{
    cancel();
    join();
}

/* A child makes another one before it ends. */
static void spawn_and_finish(void)
{
    children = 2;
    task_begin(1, 0);
    finish(0, 0);
    finish(1, 0);
    flush();
}

/* A worker that runs a child until that is cancelled. */
static void run_until_cancelled(unsigned index)
{
    while (!(skua__load_relaxed(&task_at(index)->state) & SKUA__CANCELLED))
        skua__os_thread_yield();
    finish(index, -ECANCELED);
    flush();
}

static void run_0_until_cancelled(void)
{
    run_until_cancelled(0);
}

static void run_1_until_cancelled(void)
{
    run_until_cancelled(1);
}

static void end_joined(void)
{
    model_check(joined && answer == 0);
    for (unsigned i = 0; i < children; i++)
        model_check(given[i] == 1);
}

static void end_left(void)
{
    model_check(scope.alive == 0 && scope.children == NULL && scope.cancelled == NULL);
    for (unsigned i = 0; i < children; i++)
        model_check(given[i] == 1);
}

static void end_failed(void)
{
    model_check(joined && answer == -EIO);
    model_check(given[0] == 1 && given[1] == 1);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void test_join(void **state)
{
    struct model_case last = {.name = "a child, a joiner",
                              .begin = begin_one,
                              .thread = {finish_0, join},
                              .end = end_joined};

    (void)state;
    model_pass(&last);
    last.name = "a child, a joiner out of patience";
    last.thread[1] = join_impatiently;
    model_pass(&last);
    last.name = "a child, a joiner with another waker";
    last.thread[1] = join_anew;
    model_pass(&last);
    last.name = "a batch, a joiner";
    last.begin = begin_two_of_one;
    last.thread[0] = finish_both;
    last.thread[1] = join;
    model_pass(&last);
    last.name = "a child of a child, a joiner";
    last.begin = begin_one;
    last.thread[0] = spawn_and_finish;
    model_pass(&last);
}

static void test_two_children(void **state)
{
    struct model_case two = {.name = "two children, a joiner",
                             .begin = begin_two,
                             .thread = {finish_0, finish_1, join},
                             .end = end_joined,
                             .preemptions = 3,
                             .stale = 2};

    (void)state;
    model_pass(&two);
}

static void test_cancel(void **state)
{
    struct model_case leave = {.name = "a child, a canceller",
                               .begin = begin_one,
                               .thread = {finish_0, cancel},
                               .end = end_left};

    (void)state;
    model_pass(&leave);
    leave.name = "a child, a joiner that cancels";
    leave.thread[1] = cancel_and_join;
    leave.end = end_joined;
    model_pass(&leave);
    leave.name = "two children, a canceller";
    leave.begin = begin_two;
    leave.thread[1] = finish_1;
    leave.thread[2] = cancel;
    leave.end = end_left;
    leave.preemptions = 3;
    leave.stale = 1;
    model_pass(&leave);
    leave.name = "two children that wait for their cancellation";
    leave.thread[0] = run_0_until_cancelled;
    leave.thread[1] = run_1_until_cancelled;
    leave.preemptions = 2;
    model_pass(&leave);
}

static void test_fail_fast(void **state)
{
    struct model_case fail = {.name = "a child fails, the other is cancelled, a joiner",
                              .begin = begin_fail_fast,
                              .thread = {fail_0, run_1_until_cancelled, join},
                              .end = end_failed,
                              .preemptions = 3,
                              .stale = 1};

    (void)state;
    model_pass(&fail);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"scope_set: or scope_state(scope): acquire", "under the lock"},
    {"scope_set: or scope_state(scope): release", "under the lock"},
    {"skua__scope_leave: and scope_state(scope): acquire",
     "the last touch: nothing is read behind it"},
    {"skua__scope_leave: and scope_state(scope): atomic",
     "what might be lost is CANCELLED, of a scope without children: no case spawns then"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("task_scope.c", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),     cmocka_unit_test(test_two_children),
        cmocka_unit_test(test_cancel),   cmocka_unit_test(test_fail_fast),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
