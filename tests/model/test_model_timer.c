/* test_model_timer.c - a task that sleeps: its timer, its cancellation and stray wakes at the same
 * moment.
 *
 * wheel.c, await.c, task_life.c and the rest of a task as they are. A wheel belongs to its worker
 * and has no lock: nothing of it is shared. What is concurrent is the task, which is woken by its
 * timer on that worker and cancelled or woken by anybody, and that it stays bound to the worker as
 * long as its timer is armed. It ends once, slept out or cancelled, with its timer gone, and its
 * cell comes back once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MODEL_OWN_QUEUE
#define MODEL_OWN_WHEEL
#include "model_task.h"

#include "base/wheel.c"

#define DEADLINE ((int64_t)1 << SKUA__TICK_BITS)
#define TOO_LATE 42 /* a result: the timer had nothing to do with it */

struct nap {
    skua_sleep_future sleep;
    bool begun;
};
_Static_assert(sizeof(struct nap) <= 64, "a state of a small cell");

static struct skua_task *task;
static struct skua__wheel wheels[WORKERS];
static struct model_bell doorbells[WORKERS];
static _Atomic uint32_t bound[WORKERS]; /* 1: the task is in this worker's own queue */
static _Atomic uint32_t noon;           /* the deadline has come */
static _Atomic uint32_t enough;         /* the task need not sleep any more */

/* ---- queues: the shared one, and a worker's own for those bound to it ------------------------ */

static void ring_all(void)
{
    for (unsigned i = 0; i < WORKERS; i++)
        model_ring(&doorbells[i]);
}

void skua__sched_schedule(struct skua__thread *self, struct skua_task *it)
{
    (void)self;
    if (skua__task_bound(it)) {
        unsigned owner = skua__task_owner(it);

        model_check(skua__or_acq_rel(&bound[owner], 1u) == 0);
        model_ring(&doorbells[owner]);
    } else {
        model_check(skua__or_acq_rel(&queued, 1u) == 0);
        ring_all();
    }
}

void skua__sched_requeue(struct skua__thread *self, struct skua_task *it)
{
    skua__sched_schedule(self, it);
}

/* As the worker's loop: first the timers, then who is runnable. */
static void worker(void)
{
    unsigned self = (unsigned)model_self();

    for (;;) {
        model_sleep(&doorbells[self]);
        if (skua__load_relaxed(&noon) != 0)
            skua__wheel_advance(&wheels[self], 2 * DEADLINE);
        if (skua__xchg_acq_rel(&bound[self], 0) != 0)
            skua__task_turn(&threads[self], task);
        if (skua__xchg_acq_rel(&queued, 0) != 0)
            skua__task_turn(&threads[self], task);
    }
}

/* ---- the task -------------------------------------------------------------------------------- */

static skua_poll sleeps(void *state, skua_waker *waker)
{
    struct skua__wheel *wheel = &wheels[model_self()];
    struct nap *nap = state;
    skua_poll answer;

    if (!nap->begun)
        skua_sleep_until_init(&nap->sleep, DEADLINE);
    nap->begun = true;
    answer = skua_future_poll(&nap->sleep.future, waker);
    model_check(wheel->armed == (answer == SKUA_PENDING && nap->sleep.waker != NULL));
    model_check(skua__task_bound(task) == (answer == SKUA_PENDING));
    return answer;
}

/* A select by hand: whatever comes first; the sleep is dropped then. */
static skua_poll sleeps_or_has_enough(void *state, skua_waker *waker)
{
    struct nap *nap = state;
    skua_poll answer = sleeps(state, waker);

    if (answer == SKUA_PENDING && skua__load_relaxed(&enough) != 0) {
        skua_future_drop(&nap->sleep.future);
        return TOO_LATE;
    }
    return answer;
}

static void begin_with(unsigned handles, skua_poll_fn poll)
{
    runtime_begin(WORKERS, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        skua__wheel_init(&wheels[i], 0);
        threads[i].wheel = &wheels[i];
        skua__store_relaxed(&bound[i], 0);
    }
    memset(doorbells, 0, sizeof doorbells);
    skua__store_relaxed(&noon, 0);
    skua__store_relaxed(&enough, 0);
    task = task_begin(0, handles);
    task->poll = poll;
    skua__store_relaxed(&queued, 1);
    ring_all();
}

static void begin(void)
{
    begin_with(0, sleeps);
}

static void begin_held(void)
{
    begin_with(1, sleeps);
}

static void begin_enough(void)
{
    begin_with(0, sleeps_or_has_enough);
}

/* ---- the others ------------------------------------------------------------------------------ */

static void clock_strikes(void)
{
    skua__store_relaxed(&noon, 1);
    ring_all();
}

static void cancels(void)
{
    (void)skua_task_cancel(task);
    skua_task_detach(task);
}

/* Without a reference, perhaps after the end: cells are type-stable. */
static void wakes(void)
{
    skua__task_wake(task);
}

static void has_enough(void)
{
    skua__store_relaxed(&enough, 1);
    skua__task_wake(task);
}

static void check_ended(int result)
{
    model_check(given[0] == 1 && scope.alive == 0);
    model_check((int)task->next == result);
    for (unsigned i = 0; i < WORKERS; i++)
        model_check(wheels[i].armed == 0 && skua__load_relaxed(&bound[i]) == 0);
    model_check(skua__load_relaxed(&queued) == 0);
}

static void end_slept(void)
{
    check_ended(0);
}

static void end_slept_or_cancelled(void)
{
    check_ended((int)task->next == -ECANCELED ? -ECANCELED : 0);
}

static void end_slept_or_enough(void)
{
    check_ended((int)task->next == TOO_LATE ? TOO_LATE : 0);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void pass(struct model_case the_case, unsigned preemptions, unsigned stale)
{
    the_case.preemptions = preemptions;
    the_case.stale = stale;
    model_pass(&the_case);
}

static void test_fires(void **state)
{
    struct model_case fires = {.name = "a sleeper, the clock",
                               .begin = begin,
                               .thread = {worker, NULL, clock_strikes},
                               .end = end_slept,
                               .sleep_ends = true};

    (void)state;
    model_pass(&fires);
    fires.name = "a sleeper, the clock, a stray wake";
    fires.thread[3] = wakes;
    pass(fires, 3, 2);
    fires.name = "a sleeper, two workers, the clock";
    fires.thread[1] = worker;
    fires.thread[3] = NULL;
    pass(fires, 3, 2);
    fires.name = "a sleeper, two workers, the clock, a stray wake";
    fires.thread[3] = wakes;
    pass(fires, 1, 1);
}

static void test_cancel(void **state)
{
    struct model_case cancel = {.name = "a sleeper, its cancellation",
                                .begin = begin_held,
                                .thread = {worker, NULL, cancels},
                                .end = end_slept_or_cancelled,
                                .sleep_ends = true};

    (void)state;
    model_pass(&cancel);
    cancel.name = "a sleeper, the clock, its cancellation";
    cancel.thread[3] = clock_strikes;
    pass(cancel, 3, 2);
    cancel.name = "a sleeper, two workers, the clock, its cancellation";
    cancel.thread[1] = worker;
    pass(cancel, 1, 1);
}

static void test_drop(void **state)
{
    struct model_case drop = {.name = "a sleeper that has enough, the clock",
                              .begin = begin_enough,
                              .thread = {worker, NULL, clock_strikes, has_enough},
                              .end = end_slept_or_enough,
                              .sleep_ends = true};

    (void)state;
    pass(drop, 3, 2);
    drop.name = "a sleeper that has enough, two workers, the clock";
    drop.thread[1] = worker;
    pass(drop, 1, 1);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua__task_idle: and &task->state: acquire", "the next turn's look acquires, too"},
    {"skua__task_idle: cas &task->state: acquire", "the next turn's look acquires, too"},
    {"skua__task_idle: and &task->state: release",
     "nothing is handed over: the task stays with its worker"},
    {"skua__task_turn: and &task->state: release",
     "nothing is handed over: the task stays with its worker"},
    {"skua__task_turn: load &task->state: acquire", "whoever dequeues acquires, too"},
    {"skua__task_turn: and &task->state: acquire", "whoever dequeues acquires, too"},
    {"skua__task_wake: cas &task->state: release", "found in test_model_join.c"},
    {"skua__task_cancel: or &task->state: acquire", "the wake behind it orders"},
    {"skua__task_cancel: or &task->state: release", "the wake behind it orders"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("skua__task_cancel skua__task_idle skua__task_turn skua__task_wake", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
