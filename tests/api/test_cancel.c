/* test_cancel.c - cancellation: sticky, prompt, shielded, and never a lost cleanup.
 *
 * Specifies task.h: skua_task_cancel, _cancel_id, skua_cancelled, shields: from the cancel on
 * every wait of the task returns -ECANCELED, what has not started never runs, a shield makes room
 * for cleanup that waits, and the task itself decides what it returns.
 */
#include <pthread.h>

#include "../lib/event.h"
#include "../lib/parked.h"

static skua_task *start(skua_fiber_fn fn, void *arg)
{
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, fn, arg, .task = &task) == 0);
    return task;
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- sticky ---------------------------------------------------------------------------------- */

struct victim {
    struct test_event ready, never;
    int result;
};

static void victim_init(struct victim *self)
{
    test_event_init(&self->ready);
    test_event_init(&self->never);
    self->result = 0;
}

static int waits_on_and_on(void *arg)
{
    struct victim *self = arg;
    skua_task *child;

    child = start(test_fiber_forever, NULL);
    CHECK_EQ(skua_cancelled(), 0);
    test_event_set(&self->ready);
    CHECK_EQ(test_event_wait(&self->never), -ECANCELED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_cancelled(), -ECANCELED);
        CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
        CHECK_EQ(skua_sleep(0), -ECANCELED);
        CHECK_EQ(skua_sleep_until(skua_now() + SKUA_HOUR), -ECANCELED);
        CHECK_EQ(skua_yield(), -ECANCELED);
        CHECK_EQ(test_event_wait(&self->never), -ECANCELED);
        CHECK_EQ(skua_task_join(child, NULL), -ECANCELED);
        CHECK_EQ(test_event_waiters(&self->never), 0);
    }
    skua_task_cancel(child);
    skua_task_detach(child);
    return self->result;
}

TEST_FIBER(cancel_is_sticky)
{
    struct victim victim;
    skua_task *task;
    int again;

    victim_init(&victim);
    task = start(waits_on_and_on, &victim);
    CHECK_EQ(test_event_wait(&victim.ready), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    again = skua_task_cancel(task); /* does nothing; the task may have ended already */
    CHECK(again == 0 || again == -ESRCH);
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(skua_cancelled(), 0);
    return 0;
}

TEST_FIBER(cancel_leaves_the_result_to_the_task)
{
    static const int results[] = {0, 42, -EIO};

    for (size_t i = 0; i < TEST_LEN(results); i++) {
        struct victim victim;
        skua_task *task;

        victim_init(&victim);
        victim.result = results[i];
        task = start(waits_on_and_on, &victim);
        CHECK_EQ(test_event_wait(&victim.ready), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), results[i]);
    }
    return 0;
}

/* ---- before the start ------------------------------------------------------------------------ */

static int must_not_run(void *arg)
{
    (void)arg;
    CHECK(!"a cancelled fiber started");
    return 0;
}

static skua_poll must_not_poll(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    CHECK(!"a cancelled poll task started");
    return 0;
}

TEST_FIBER_CURRENT(cancel_before_the_start_never_runs)
{
    int state = 0, result = 0;
    skua_task *fiber, *polled;

    fiber = start(must_not_run, NULL);
    MUST(skua_spawn_poll(NULL, must_not_poll, &state, .task = &polled) == 0);
    CHECK_EQ(skua_task_cancel(fiber), 0);
    CHECK_EQ(skua_task_cancel(polled), 0);
    CHECK_EQ(finish(fiber), -ECANCELED);
    CHECK_EQ(skua_task_join(polled, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

/* On many workers it may have started already: then it runs to its end, else it never runs. */
static int counts_start(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 7;
}

TEST_FIBER(cancel_races_the_start)
{
    int ran = 0, skipped = 0;
    int rounds = TEST_COUNT(3000);

    for (int i = 0; i < rounds; i++) {
        atomic_int starts = 0;
        skua_task *task = start(counts_start, &starts);
        int result;

        skua_task_cancel(task);
        result = finish(task);
        CHECK_EQ(result, atomic_load(&starts) ? 7 : -ECANCELED);
        CHECK_RANGE(atomic_load(&starts), 0, 1);
        if (result == 7)
            ran++;
        else
            skipped++;
    }
    CHECK_EQ(ran + skipped, rounds);
    return 0;
}

/* ---- waking ---------------------------------------------------------------------------------- */

struct cancelling {
    struct test_event known; /* the members below are */
    skua_task *task;
    skua_task_id id;
    skua_runtime *runtime;
};

static void *thread_cancels_by_handle(void *arg)
{
    struct cancelling *self = arg;

    CHECK_EQ(test_event_wait(&self->known), 0);
    test_thread_sleep(MS(5));
    CHECK_EQ(skua_task_cancel(self->task), 0);
    return NULL;
}

static void *thread_cancels_by_id(void *arg)
{
    struct cancelling *self = arg;

    CHECK_EQ(test_event_wait(&self->known), 0);
    test_thread_sleep(MS(5));
    CHECK_EQ(skua_task_cancel_id(self->runtime, self->id), 0);
    return NULL;
}

TEST_FIBER(cancel_from_a_thread)
{
    static void *(*const ways[])(void *) = {thread_cancels_by_handle, thread_cancels_by_id};

    for (size_t i = 0; i < TEST_LEN(ways); i++) {
        struct cancelling self = {.known = TEST_EVENT_INIT, .runtime = arg};
        int64_t begin = skua_now();
        pthread_t thread;

        self.task = start(test_fiber_forever, NULL);
        self.id = skua_task_id_of(self.task);
        test_event_set(&self.known);
        MUST(pthread_create(&thread, NULL, ways[i], &self) == 0);
        CHECK_EQ(finish(self.task), -ECANCELED);
        CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
        pthread_join(thread, NULL);
    }
    return 0;
}

static int watches_itself(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    while (skua_cancelled() == 0)
        ;
    return skua_cancelled();
}

/* A task that computes sees the cancel by asking. */
TEST(cancel_of_a_running_task)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        atomic_int running = 0;
        skua_task *task;

        MUST(skua_spawn_on(runtime, watches_itself, &running, .task = &task) == 0);
        test_yield_until(&running);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), -ECANCELED);
        test_runtime_free(runtime);
    }
}

static int cancels_itself(void *arg)
{
    CHECK_EQ(skua_task_cancel_id(arg, skua_task_current_id()), 0);
    CHECK_EQ(skua_cancelled(), -ECANCELED);
    CHECK_EQ(skua_sleep(MS(1)), -ECANCELED);
    return -ECANCELED;
}

TEST_FIBER(cancel_of_oneself)
{
    CHECK_EQ(finish(start(cancels_itself, arg)), -ECANCELED);
    CHECK_EQ(skua_cancelled(), 0);
    return 0;
}

TEST_FIBER_CLOCK(cancel_spares_the_siblings)
{
    skua_task *one = start(test_fiber_forever, NULL), *two = start(test_fiber_forever, NULL);

    CHECK_EQ(skua_task_cancel(one), 0);
    CHECK_EQ(finish(one), -ECANCELED);
    CHECK_EQ(skua_test_advance(SKUA_HOUR), 0);
    CHECK_EQ(skua_task_done(two), 0);
    CHECK_EQ(skua_task_cancel(two), 0);
    CHECK_EQ(finish(two), -ECANCELED);
    return 0;
}

/* ---- shields --------------------------------------------------------------------------------- */

static int shields(void *arg)
{
    struct victim *self = arg;

    test_event_set(&self->ready);
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_cancelled(), -ECANCELED);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_sleep(MS(2)), -ECANCELED);
    CHECK_EQ(skua_shield_end(), SKUA_EUSAGE);
    return 0;
}

TEST_FIBER(cancel_waits_for_the_shielded_cleanup)
{
    struct victim victim;
    skua_task *task;

    victim_init(&victim);
    task = start(shields, &victim);
    CHECK_EQ(test_event_wait(&victim.ready), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), 0);
    return 0;
}

static int sleeps_in_shield(void *arg)
{
    struct victim *self = arg;

    CHECK_EQ(skua_shield_begin(), 0);
    test_event_set(&self->ready);
    CHECK_EQ(skua_sleep(MS(30)), 0);
    CHECK_EQ(test_event_wait(&self->never), 0);
    CHECK_EQ(skua_shield_end(), 0);
    CHECK_EQ(skua_yield(), -ECANCELED);
    return 0;
}

/* A cancel that comes while the task is parked in a shield wakes it after the shield only. */
TEST_FIBER_CLOCK(cancel_does_not_cut_a_shielded_wait)
{
    struct victim victim;
    int64_t begin = skua_now();
    skua_task *task;

    victim_init(&victim);
    task = start(sleeps_in_shield, &victim);
    CHECK_EQ(test_event_wait(&victim.ready), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_test_advance(MS(30) - 1), 0);
    CHECK_EQ(test_event_waiters(&victim.never), 0); /* it sleeps to the end */
    CHECK_EQ(skua_test_advance(1), 0);
    CHECK_EQ(test_event_waiters(&victim.never), 1);
    CHECK_EQ(skua_now(), begin + MS(30));
    test_event_set(&victim.never);
    CHECK_EQ(finish(task), 0);
    return 0;
}

/* ---- poll tasks ------------------------------------------------------------------------------ */

struct poll_victim {
    skua_async async;
    struct victim *victim;
    struct test_event_wait wait;
    skua_sleep_future sleep;
    skua_poll answer;
};

static skua_poll poll_waits(void *state, skua_waker *waker)
{
    struct poll_victim *self = state;

    SKUA_ASYNC(self, waker);
    test_event_set(&self->victim->ready);
    SKUA_AWAIT_TO(self->answer, test_event_wait_init(&self->wait, &self->victim->never));
    CHECK_EQ(self->answer, -ECANCELED);
    CHECK_EQ(test_event_waiters(&self->victim->never), 0);
    CHECK_EQ(skua_cancelled(), -ECANCELED);
    SKUA_AWAIT_TO(self->answer, skua_sleep_init(&self->sleep, SKUA_HOUR));
    CHECK_EQ(self->answer, -ECANCELED);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_HOUR));
    CHECK(!"SKUA_AWAIT went on after -ECANCELED");
    SKUA_ASYNC_END(0);
}

TEST_FIBER(cancel_of_a_poll_task)
{
    struct victim victim;
    struct poll_victim state = {.victim = &victim};
    skua_task *task;

    victim_init(&victim);
    MUST(skua_spawn_poll(NULL, poll_waits, &state, .task = &task) == 0);
    CHECK_EQ(test_event_wait(&victim.ready), 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), -ECANCELED);
    return 0;
}

/* ---- the fiber of block_on ------------------------------------------------------------------- */

static int tells_itself(void *arg)
{
    struct cancelling *self = arg;

    self->id = skua_task_current_id();
    self->runtime = skua_runtime_current();
    MUST(skua_task_find(self->runtime, self->id, &self->task) == 0);
    test_event_set(&self->known);
    return skua_sleep(SKUA_FOREVER);
}

TEST(cancel_of_the_fiber_of_block_on)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct cancelling self = {.known = TEST_EVENT_INIT};
        pthread_t thread;
        int result = 0;

        MUST(pthread_create(&thread, NULL, thread_cancels_by_handle, &self) == 0);
        CHECK_EQ(skua_block_on(runtime, tells_itself, &self, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        pthread_join(thread, NULL);
        skua_task_detach(self.task);
        test_runtime_free(runtime);
    }
}

/* A cancelled parent's children are its scope's matter: they end when the scope is joined. */
static int parent_of_two(void *arg)
{
    struct victim *self = arg;
    skua_scope scope;
    skua_task *child;
    int result = 0;

    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, test_fiber_forever, NULL, .task = &child) == 0);
    test_event_set(&self->ready);
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK_EQ(skua_task_done(child), 1);
    skua_shield_begin();
    CHECK_EQ(skua_task_join(child, &result), 0);
    skua_shield_end();
    CHECK_EQ(result, -ECANCELED);
    return -ECANCELED;
}

TEST_FIBER(cancel_reaches_children_through_the_join)
{
    struct victim victim;
    skua_task *task;

    victim_init(&victim);
    task = start(parent_of_two, &victim);
    CHECK_EQ(test_event_wait(&victim.ready), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), -ECANCELED);
    return 0;
}

static int never_runs(void *arg)
{
    (void)arg;
    CHECK(!"a fiber that was cancelled before it started ran");
    return 0;
}

static void counts_drop(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int runs_and_counts(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 100);
    return 0;
}

/* Whoever owns the argument hears of it: the fiber, or its drop; never both. */
TEST_FIBER(cancel_before_the_start_drops_the_argument)
{
    atomic_int counted = 0;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(
            skua_spawn(&scope, never_runs, &counted, .drop = counts_drop, .flags = SKUA_PINNED), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK_EQ(atomic_load(&counted), 10);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, runs_and_counts, &counted, .drop = counts_drop), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&counted), 110);
    return 0;
}

static int acquires(void *arg)
{
    return skua_semaphore_acquire(arg, 1);
}

/* A wait that begins with a turn's end, as its budget is spent, may be cancelled in between. */
static int cancels_at_any_moment(TEST_UNUSED void *arg)
{
    skua_semaphore none = SKUA_SEMAPHORE_INIT(0);
    skua_task *task = NULL;
    int result = 0;

    MUST(skua_spawn(NULL, acquires, &none, .task = &task) == 0);
    for (uint64_t turns = skua_test_random() % 6; turns > 0; turns--)
        skua_yield();
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    return result == -ECANCELED ? 0 : -EPROTO;
}

TEST(cancel_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(2000), cancels_at_any_moment, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancel_in_any_order),
        cmocka_unit_test(cancel_before_the_start_drops_the_argument),
        cmocka_unit_test(cancel_is_sticky),
        cmocka_unit_test(cancel_leaves_the_result_to_the_task),
        cmocka_unit_test(cancel_before_the_start_never_runs),
        cmocka_unit_test(cancel_races_the_start),
        cmocka_unit_test(cancel_from_a_thread),
        cmocka_unit_test(cancel_of_a_running_task),
        cmocka_unit_test(cancel_of_oneself),
        cmocka_unit_test(cancel_spares_the_siblings),
        cmocka_unit_test(cancel_waits_for_the_shielded_cleanup),
        cmocka_unit_test(cancel_does_not_cut_a_shielded_wait),
        cmocka_unit_test(cancel_of_a_poll_task),
        cmocka_unit_test(cancel_of_the_fiber_of_block_on),
        cmocka_unit_test(cancel_reaches_children_through_the_join),
    };

    return TEST_MAIN(tests);
}
