/* test_model_join.c - a task's end, and those who wait for it, take it back, look it up or wake it.
 *
 * task_join.c, task_life.c, task_spawn.c, task_scope.c and await.c as they are. Each joiner gets
 * the result of its task and sees what the task did; a waker is woken only while it is there; the
 * cell comes back once, when nobody has a reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model_task.h"

#define RESULT 42

static struct skua_task *task;
static skua_task_id id;
static char work; /* what the task has done */
static int answers[MODEL_THREADS];
static int results[MODEL_THREADS];
static struct waiter first;
static struct waiter second;
static skua_waker *first_waker;
static skua_waker *second_waker;
static skua_join_future joins[MODEL_THREADS];
static _Atomic uint32_t flag; /* what a poll task waits for */

static void begin_with(unsigned handles)
{
    runtime_begin(1, 0);
    task = task_begin(0, handles);
    id = skua__task_id(task);
    memset(answers, 0, sizeof answers);
    memset(results, 0, sizeof results);
    first_waker = waiter_begin(&first);
    second_waker = waiter_begin(&second);
    skua__store_relaxed(&flag, 0);
}

static void begin_no_handle(void)
{
    begin_with(0);
}

static void begin_one_handle(void)
{
    begin_with(1);
}

static void begin_two_handles(void)
{
    begin_with(2);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void finisher(void)
{
    model_use(&work);
    skua__task_finish(&threads[0], task, RESULT);
}

/* What a joiner that was answered knows. */
static void joined(void)
{
    model_check(answers[model_self()] == 0 && results[model_self()] == RESULT);
}

static void join_thread(void)
{
    int self = model_self();

    answers[self] = skua_task_join(task, &results[self]);
    if (answers[self] != 0) {
        model_check(answers[self] == -EBUSY);
        skua_task_detach(task);
        return;
    }
    joined();
}

/* The same, and it is the only one. */
static void join_thread_alone(void)
{
    join_thread();
    joined();
    model_use(&work);
}

static skua_poll poll_join(skua_waker *waker)
{
    skua_join_future *join = &joins[model_self()];

    return join->future.ops->poll(&join->future, waker);
}

static void join_until_woken(struct waiter *waiter, skua_waker *waker)
{
    skua_poll answer;

    while ((answer = poll_join(waker)) == SKUA_PENDING)
        model_sleep(&waiter->bell);
    answers[model_self()] = (int)answer;
    joined();
    model_use(&work);
    waiter_end(waiter);
}

static void join_future(void)
{
    skua_join_init(&joins[1], task, &results[1]);
    join_until_woken(&first, first_waker);
}

/* Asks once, and lets go when there is no answer. */
static void join_and_drop(void)
{
    skua_future *future = skua_join_init(&joins[1], task, &results[1]);

    if (poll_join(first_waker) == 0) {
        joined();
        waiter_end(&first);
        return;
    }
    future->ops->drop(future);
    waiter_end(&first); /* a drop alone is enough */
    skua_task_detach(task);
}

/* Asks with one waker, then with another one: only the newer one is woken. */
static void join_anew(void)
{
    skua_join_init(&joins[1], task, &results[1]);
    if (poll_join(first_waker) == 0) {
        joined();
        waiter_end(&second);
        waiter_end(&first);
        return;
    }
    answers[1] = (int)poll_join(second_waker);
    waiter_end(&first);
    if (joins[1].task != NULL)
        join_until_woken(&second, second_waker);
    else
        waiter_end(&second);
}

static void join_and_drop_other(void)
{
    skua_future *future = skua_join_init(&joins[2], task, &results[2]);
    skua_poll answer = poll_join(second_waker);

    if (answer != 0) {
        model_check(answer == SKUA_PENDING || answer == -EBUSY);
        future->ops->drop(future);
        skua_task_detach(task);
    }
    waiter_end(&second);
}

static void detach(void)
{
    model_use(task); /* a look of its own, before the reference goes */
    skua_task_detach(task);
}

static void end_given(void)
{
    model_check(given[0] == 1);
    model_check(scope.alive == 0);
}

static void end_one_busy(void)
{
    end_given();
    model_check(answers[1] == 0 || answers[2] == 0);
}

/* ---- joining --------------------------------------------------------------------------------- */

static void test_join(void **state)
{
    struct model_case join = {.name = "a finisher, a thread that joins",
                              .begin = begin_one_handle,
                              .thread = {finisher, join_thread_alone},
                              .end = end_given};

    (void)state;
    model_pass(&join);
    join.name = "a finisher, a future that joins";
    join.thread[1] = join_future;
    model_pass(&join);
    join.name = "a finisher, a join that is dropped";
    join.thread[1] = join_and_drop;
    model_pass(&join);
    join.name = "a finisher, a join with another waker";
    join.thread[1] = join_anew;
    model_pass(&join);
    join.name = "a finisher, a detached handle";
    join.thread[1] = detach;
    model_pass(&join);
}

static void test_two_joiners(void **state)
{
    struct model_case two = {.name = "a finisher, two threads that join",
                             .begin = begin_two_handles,
                             .thread = {finisher, join_thread, join_thread},
                             .end = end_one_busy,
                             .preemptions = 3,
                             .stale = 2};

    (void)state;
    model_pass(&two);
    two.name = "a finisher, a join that is dropped, another";
    two.thread[1] = join_and_drop;
    two.thread[2] = join_and_drop_other;
    two.end = end_given;
    model_pass(&two);
}

/* ---- finding --------------------------------------------------------------------------------- */

static skua_poll polled_once(void *self, skua_waker *waker)
{
    (void)self;
    (void)waker;
    return RESULT;
}

/* The cell is another task's at once. */
static void finish_and_reuse(void)
{
    static const skua_site site;
    char state[64] = {0};

    finisher();
    if (given_times(0) == 1)
        model_check(skua_spawn_poll_at(&site, &scope, polled_once, state, sizeof state, NULL) == 0);
}

static void find(void)
{
    skua_task *found;
    int rc = skua_task_find((skua_runtime *)(void *)core, id, &found);

    if (rc != 0) {
        model_check(rc == -ESRCH);
        return;
    }
    model_check(skua__task_id(found) == id);
    answers[1] = skua_task_join(found, &results[1]);
    joined();
}

/* The successor is there when the cell came back in time. */
static void end_found(void)
{
    model_check(given[0] == 1);
    model_check(scope.alive == skua__load_relaxed(&queued));
    model_check(SKUA__REFS(skua__load_relaxed(&task->state)) == scope.alive);
}

static void test_find(void **state)
{
    struct model_case found = {.name = "a finisher, a look-up",
                               .begin = begin_no_handle,
                               .thread = {finish_and_reuse, find},
                               .end = end_found};

    (void)state;
    model_pass(&found);
}

/* ---- waking ---------------------------------------------------------------------------------- */

/* A worker that runs what is queued. */
static void worker(void)
{
    for (;;) {
        model_sleep(&runnable);
        if (skua__xchg_acq_rel(&queued, 0) != 0)
            skua__task_turn(&threads[model_self()], task);
    }
}

/* Ready when the flag is 2. */
static skua_poll wait_for_flag(void *self, skua_waker *waker)
{
    (void)self;
    (void)waker;
    model_use(&work);
    return skua__load_relaxed(&flag) == 2 ? RESULT : SKUA_PENDING;
}

static void begin_queued(void)
{
    begin_with(1);
    task->poll = wait_for_flag;
    skua__store_relaxed(&queued, 1);
    runnable.rung = 1;
}

static void begin_queued_two(void)
{
    begin_queued();
    thread_begin(1, true);
}

static void wake_once(void)
{
    skua__add_relaxed(&flag, 1);
    skua__task_wake(task);
}

static void wake_twice(void)
{
    wake_once();
    wake_once();
}

static void end_done(void)
{
    model_check(skua__load_relaxed(&task->state) & SKUA__DONE);
    model_check(skua__load_relaxed(&queued) == 0 && scope.alive == 0);
}

static void cancel(void)
{
    skua_task_cancel(task);
}

static void end_cancelled(void)
{
    end_done();
    model_check(skua__task_result(task) == -ECANCELED || skua__task_result(task) == RESULT);
}

static void begin_never(void)
{
    begin_queued();
    task->poll = polled_once;
}

static void test_wake(void **state)
{
    struct model_case wake = {.name = "a worker, a waker twice",
                              .begin = begin_queued,
                              .thread = {worker, wake_twice},
                              .end = end_done,
                              .sleep_ends = true};

    (void)state;
    model_pass(&wake);
    wake.name = "a worker, two wakers";
    wake.thread[1] = wake.thread[2] = wake_once;
    wake.preemptions = 3;
    wake.stale = 2;
    model_pass(&wake);
    wake.name = "two workers, a waker twice";
    wake.begin = begin_queued_two;
    wake.thread[1] = worker;
    wake.thread[2] = wake_twice;
    model_pass(&wake);
    wake.name = "a worker, a canceller";
    wake.begin = begin_never;
    wake.thread[1] = cancel;
    wake.thread[2] = NULL;
    wake.preemptions = wake.stale = 0;
    wake.end = end_cancelled;
    model_pass(&wake);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"await_thread: load &self->wakes: acquire", "the futures' own words order what is waited for"},
    {"thread_wake: add &thread->wakes: acquire", "the futures' own words order what is waited for"},
    {"thread_wake: add &thread->wakes: atomic",
     "takes two wakers at a time, and a wait between them"},
    {"skua__task_ref_alive: cas &task->state: release", "a reference more: nothing is handed over"},
    {"skua__task_idle: and &task->state: acquire", "the next turn's look acquires, too"},
    {"skua__task_idle: cas &task->state: acquire", "the next turn's look acquires, too"},
    {"skua__task_idle: and &task->state: release",
     "nothing is handed over: the task stays with its worker"},
    {"skua__task_turn: and &task->state: release",
     "nothing is handed over: the task stays with its worker"},
    {"join_withdraw: load &task->state: acquire", "join_settle looks again, with acquire"},
    {"join_withdraw: cas &task->state: acquire", "join_settle looks again, with acquire"},
    {"join_register: load &task->state: acquire", "join_settle looks again, with acquire"},
    {"skua__join_claimed: load &task->state: acquire", "join_settle looks again, with acquire"},
    {"skua__join_claimed: cas &task->state: acquire", "join_settle looks again, with acquire"},
    {"join_poll: load &task->state: acquire", "join_settle looks again, with acquire"},
    {"join_withdraw: cas &task->state: release", "the store to joiner went out with JOINING"},
    {"join_register: cas &task->state: release", "nothing is written before the claim"},
    {"skua_task_find: load &task->generation: acquire",
     "ordered by the reference that was taken before"},
    {"task_cell_give: store &task->generation: release",
     "ordered by the reference that was taken before"},
    {"skua__task_wake_joiner: and &task->state: acquire", "nothing is read behind it"},
    {"skua__task_wake: cas &task->state: acquire", "found in test_model_timer.c"},
    {"skua__task_cancel: or &task->state: acquire", "the wake behind it orders"},
    {"skua__task_cancel: or &task->state: release", "the wake behind it orders"},
    {"skua__task_flush_left: store &self->done: release",
     "for skua__runtime_alive, which is in no case"},
    {"skua__task_turn: load &task->state: acquire", "whoever dequeues acquires, too"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("await.c task_impl.h task_join.c task_life.c thread_self.c", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),     cmocka_unit_test(test_two_joiners),
        cmocka_unit_test(test_find),     cmocka_unit_test(test_wake),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
