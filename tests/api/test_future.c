/* test_future.c - futures of the user's own, wakers of the user's own, and who may await.
 *
 * Specifies future.h: skua_await on fibers and threads (SKUA_EUSAGE in a poll task), the three
 * rules (finished once; wakes may be spurious; only the newest waker is woken), skua_future_drop,
 * references on wakers, and skua_waker_custom under a foreign loop.
 */
#include <pthread.h>

#include "../lib/event.h"

/* ---- a probe: counts what is done to it ------------------------------------------------------ */

struct probe {
    skua_future future;
    atomic_int polls, drops;
    int ready_after; /* polls that are pending; each wakes its waker itself */
    int64_t result;
};

static skua_poll probe_poll(skua_future *self, skua_waker *waker)
{
    struct probe *probe = (struct probe *)self;

    if (atomic_fetch_add(&probe->polls, 1) < probe->ready_after) {
        skua_waker_wake(waker);
        return SKUA_PENDING;
    }
    return probe->result;
}

static void probe_drop(skua_future *self)
{
    atomic_fetch_add(&((struct probe *)self)->drops, 1);
}

static const skua_future_ops probe_ops = {"probe", probe_poll, probe_drop};

static skua_future *probe_init(struct probe *probe, int ready_after, int64_t result)
{
    *probe = (struct probe){.future = {&probe_ops}, .ready_after = ready_after, .result = result};
    return &probe->future;
}

/* ---- await ----------------------------------------------------------------------------------- */

static void check_results(void)
{
    static const int64_t results[] = {0,    1,         INT64_C(1) << 40, INT64_MAX,
                                      -EIO, SKUA_EEOF, -ECANCELED};
    struct probe probe;

    for (size_t i = 0; i < TEST_LEN(results); i++) {
        CHECK_EQ(skua_await(probe_init(&probe, 0, results[i])), results[i]);
        CHECK_EQ(atomic_load(&probe.polls), 1);
        CHECK_EQ(skua_await(probe_init(&probe, 10, results[i])), results[i]);
        CHECK(atomic_load(&probe.polls) == 11);
        CHECK_EQ(atomic_load(&probe.drops), 0);
    }
}

TEST_FIBER(future_gives_its_result_to_a_fiber)
{
    check_results();
    return 0;
}

TEST(future_gives_its_result_to_a_thread)
{
    check_results();
}

/* More wakes than a turn's budget: the fiber goes on all the same. */
TEST_FIBER(future_may_be_pending_often)
{
    struct probe probe;

    CHECK_EQ(skua_await(probe_init(&probe, 10000, 5)), 5);
    CHECK_EQ(atomic_load(&probe.polls), 10001);
    return 0;
}

/* The library drops a future once when its wait ends otherwise, and never when it was ready. */
TEST_FIBER(future_is_finished_once)
{
    struct test_event never = TEST_EVENT_INIT;
    struct test_event_wait wait;
    struct probe probe;

    CHECK_EQ(skua_await(probe_init(&probe, 2, 5)), 5);
    CHECK_EQ(atomic_load(&probe.drops), 0);
    probe_init(&probe, 2, 5);
    skua_future_drop(&probe.future);
    CHECK_EQ(atomic_load(&probe.drops), 1);
    CHECK_EQ(atomic_load(&probe.polls), 0);
    CHECK_EQ(skua_await_until(probe_init(&probe, 1 << 28, 5), skua_now() - MS(1)), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&probe.drops), 1);
    CHECK_EQ(skua_await_until(test_event_wait_init(&wait, &never), skua_now() + MS(1)), -ETIMEDOUT);
    skua_future_drop(&wait.future); /* finished already: does nothing */
    skua_future_drop(&wait.future);
    skua_future_drop(NULL);
    return 0;
}

/* A future that always wakes its own waiter keeps neither the deadline nor its worker's other
 * tasks from their turn. */
static int sleeps_beside(void *arg)
{
    int64_t begin = skua_now();

    CHECK_EQ(skua_sleep(MS(1)), 0);
    atomic_store((atomic_llong *)arg, skua_now() - begin);
    return 0;
}

TEST_FIBER(future_that_wakes_itself_starves_nobody)
{
    atomic_llong beside = -1;
    int64_t begin = skua_now();
    struct probe probe;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, sleeps_beside, &beside), 0);
    CHECK_EQ(skua_await_until(probe_init(&probe, 1 << 28, 0), begin + MS(200)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(200), MS(200) + TEST_LATE);
    CHECK_EQ(atomic_load(&probe.drops), 1);
    CHECK(atomic_load(&beside) >= MS(1)); /* it had its turn, and its timer */
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

TEST(future_that_wakes_itself_on_a_thread)
{
    int64_t begin = skua_now();
    struct probe probe;

    CHECK_EQ(skua_await_until(probe_init(&probe, 1 << 28, 0), begin + MS(20)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(20), MS(20) + TEST_LATE);
    CHECK_EQ(atomic_load(&probe.drops), 1);
}

struct await_inside {
    struct probe *probe;
    skua_task *other;
};

static skua_poll awaits_in_poll_task(void *state, skua_waker *waker)
{
    struct await_inside *self = state;

    (void)waker;
    CHECK_EQ(skua_await(&self->probe->future), SKUA_EUSAGE);
    CHECK_EQ(atomic_load(&self->probe->drops), 1);
    CHECK_EQ(atomic_load(&self->probe->polls), 0);
    CHECK_EQ(skua_await_until(probe_init(self->probe, 0, 0), SKUA_FOREVER), SKUA_EUSAGE);
    CHECK_EQ(atomic_load(&self->probe->drops), 1);
    CHECK_EQ(skua_sleep(MS(1)), SKUA_EUSAGE);
    CHECK_EQ(skua_sleep_until(0), SKUA_EUSAGE);
    CHECK_EQ(skua_yield(), SKUA_EUSAGE);
    CHECK_EQ(skua_task_join(self->other, NULL), SKUA_EUSAGE);
    return 0;
}

TEST_FIBER(future_await_in_a_poll_task_is_refused)
{
    struct probe probe;
    struct await_inside state = {.probe = &probe};
    skua_task *task;
    int result = -1;

    probe_init(&probe, 0, 0);
    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .task = &state.other) == 0);
    MUST(skua_spawn_poll(NULL, awaits_in_poll_task, &state, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_task_cancel(state.other), 0);
    skua_task_detach(state.other);
    return 0;
}

/* ---- wakes from afar ------------------------------------------------------------------------- */

static void *nudges_then_sets(void *arg)
{
    struct test_event *event = arg;

    for (int i = 0; i < 100; i++) {
        test_event_nudge(event);
        if (i % 10 == 0)
            test_thread_sleep(MS(1));
    }
    test_event_set(event);
    return NULL;
}

static void wait_through_nudges(void)
{
    struct test_event event = TEST_EVENT_INIT;
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, nudges_then_sets, &event) == 0);
    CHECK_EQ(test_event_wait(&event), 0);
    CHECK(event.set);
    pthread_join(thread, NULL);
    CHECK(event.waiters == NULL);
}

TEST_FIBER(future_spurious_wakes_end_no_wait_of_a_fiber)
{
    wait_through_nudges();
    return 0;
}

TEST(future_spurious_wakes_end_no_wait_of_a_thread)
{
    wait_through_nudges();
}

struct many_waiters {
    struct test_event event;
    atomic_int woken;
};

static int waits_and_counts(void *arg)
{
    struct many_waiters *self = arg;
    int rc = test_event_wait(&self->event);

    atomic_fetch_add(&self->woken, 1);
    return rc;
}

TEST_FIBER(future_wakes_all_who_wait)
{
    struct many_waiters self = {.event = TEST_EVENT_INIT};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(skua_spawn(&scope, waits_and_counts, &self), 0);
    while (test_event_waiters(&self.event) < 200)
        skua_sleep(MS(1));
    CHECK_EQ(atomic_load(&self.woken), 0);
    test_event_set(&self.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&self.woken), 200);
    return 0;
}

/* ---- a waker that outlives what it wakes ----------------------------------------------------- */

struct keeper {
    skua_future future;
    skua_waker **kept;
};

static skua_poll keeper_poll(skua_future *self, skua_waker *waker)
{
    struct keeper *keeper = (struct keeper *)self;

    if (*keeper->kept)
        return 0;
    *keeper->kept = skua_waker_ref(waker);
    CHECK(*keeper->kept == waker);
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

static void keeper_drop(skua_future *self)
{
    (void)self;
}

static const skua_future_ops keeper_ops = {"keeper", keeper_poll, keeper_drop};

static int gives_waker_away(void *arg)
{
    struct keeper keeper = {{&keeper_ops}, arg};

    return (int)skua_await(&keeper.future);
}

static skua_poll poll_gives_waker_away(void *state, skua_waker *waker)
{
    skua_waker ***kept = state;

    **kept = skua_waker_ref(waker);
    return 0;
}

static void wake_the_dead(skua_waker *waker)
{
    MUST(waker != NULL);
    for (int i = 0; i < 10; i++)
        skua_waker_wake(waker);
    skua_waker_unref(waker);
}

TEST_FIBER(future_wakers_outlive_their_task)
{
    for (int i = 0; i < 100; i++) {
        skua_waker *of_fiber = NULL, *of_poll = NULL, **where = &of_poll;
        skua_scope scope;

        skua_scope_open(&scope, SKUA_FAIL_FAST);
        CHECK_EQ(skua_spawn(&scope, gives_waker_away, &of_fiber), 0);
        CHECK_EQ(skua_spawn_poll(&scope, poll_gives_waker_away, &where), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        wake_the_dead(of_fiber);
        wake_the_dead(of_poll);
    }
    skua_waker_unref(NULL);
    return 0;
}

/* A waker that is still held when the wait is long over wakes nobody's later wait for good. */
TEST_FIBER(future_late_wakes_are_spurious)
{
    struct test_event never = TEST_EVENT_INIT;
    struct test_event_wait wait;
    skua_waker *kept = NULL;

    CHECK_EQ(gives_waker_away(&kept), 0);
    skua_waker_wake(kept);
    CHECK_EQ(skua_await_until(test_event_wait_init(&wait, &never), skua_now() + MS(5)), -ETIMEDOUT);
    skua_waker_wake(kept);
    CHECK_EQ(skua_sleep(MS(5)), 0);
    skua_waker_unref(kept);
    return 0;
}

/* ---- composition ----------------------------------------------------------------------------- */

struct either {
    skua_future future;
    skua_future *parts[2];
    int winner;
};

static skua_poll either_poll(skua_future *self, skua_waker *waker)
{
    struct either *either = (struct either *)self;

    for (int i = 0; i < 2; i++) {
        skua_poll answer = either->parts[i]->ops->poll(either->parts[i], waker);

        if (answer == SKUA_PENDING)
            continue;
        either->winner = i;
        skua_future_drop(either->parts[!i]);
        return answer;
    }
    return SKUA_PENDING;
}

static void either_drop(skua_future *self)
{
    struct either *either = (struct either *)self;

    skua_future_drop(either->parts[0]);
    skua_future_drop(either->parts[1]);
}

static const skua_future_ops either_ops = {"either", either_poll, either_drop};

TEST_FIBER_CLOCK(future_of_futures)
{
    struct test_event event = TEST_EVENT_INIT;
    struct test_event_wait wait;
    skua_sleep_future sleep;
    struct either either = {.future = {&either_ops}};
    int64_t begin = skua_now();

    either.parts[0] = skua_sleep_init(&sleep, MS(10));
    either.parts[1] = test_event_wait_init(&wait, &event);
    CHECK_EQ(skua_await(&either.future), 0);
    CHECK_EQ(either.winner, 0);
    CHECK_EQ(skua_now(), begin + MS(10));
    CHECK_EQ(test_event_waiters(&event), 0);
    either = (struct either){.future = {&either_ops}};
    either.parts[0] = skua_sleep_init(&sleep, SKUA_HOUR);
    either.parts[1] = test_event_wait_init(&wait, &event);
    CHECK_EQ(skua_await_until(&either.future, begin + MS(15)), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + MS(15));
    CHECK_EQ(test_event_waiters(&event), 0);
    test_event_set(&event);
    either = (struct either){.future = {&either_ops}};
    either.parts[0] = skua_sleep_init(&sleep, SKUA_HOUR);
    either.parts[1] = test_event_wait_init(&wait, &event);
    CHECK_EQ(skua_await(&either.future), 0);
    CHECK_EQ(either.winner, 1);
    return 0;
}

/* ---- what a parked task waits for ------------------------------------------------------------ */

struct listing {
    const char *name;
    int parked;
};

static void look_for(const skua_task_info *task, void *arg)
{
    struct listing *self = arg;

    if (task->waiting_for && strcmp(task->waiting_for, self->name) == 0)
        self->parked++;
}

TEST_FIBER_CLOCK(future_names_the_wait)
{
    struct many_waiters self = {.event = TEST_EVENT_INIT};
    struct listing event = {"test.event", 0}, sleep = {"sleep", 0};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, waits_and_counts, &self), 0);
    CHECK_EQ(skua_spawn(&scope, waits_and_counts, &self), 0);
    CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL), 0);
    CHECK_EQ(skua_test_advance(0), 0); /* all wait */
    CHECK(skua_runtime_each_task(arg, look_for, &event) >= 4);
    CHECK(skua_runtime_each_task(arg, look_for, &sleep) >= 4);
    CHECK_EQ(event.parked, 2);
    CHECK_EQ(sleep.parked, 1);
    skua_scope_cancel(&scope);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    return 0;
}

/* ---- foreign loops --------------------------------------------------------------------------- */

struct bell {
    skua_custom_waker custom;
    atomic_int rings, refs;
};

static void bell_wake(skua_custom_waker *self)
{
    atomic_fetch_add(&((struct bell *)self)->rings, 1);
}

static void bell_ref(skua_custom_waker *self)
{
    atomic_fetch_add(&((struct bell *)self)->refs, 1);
}

static void bell_unref(skua_custom_waker *self)
{
    CHECK(atomic_fetch_sub(&((struct bell *)self)->refs, 1) > 1);
}

#define BELL_INIT                                                                                  \
    {                                                                                              \
        {bell_wake, bell_ref, bell_unref}, 0, 1                                                    \
    }

TEST(future_custom_waker_counts)
{
    struct bell bell = BELL_INIT;
    skua_waker *waker = skua_waker_custom(&bell.custom);

    MUST(waker != NULL);
    CHECK_EQ(atomic_load(&bell.refs), 1);
    CHECK(skua_waker_ref(waker) == waker);
    CHECK_EQ(atomic_load(&bell.refs), 2);
    skua_waker_wake(waker);
    skua_waker_wake(waker);
    CHECK_EQ(atomic_load(&bell.rings), 2);
    skua_waker_unref(waker);
    CHECK_EQ(atomic_load(&bell.refs), 1);
}

TEST(future_foreign_loop_sleeps)
{
    struct bell first = BELL_INIT, second = BELL_INIT;
    int64_t begin = skua_now(), next;
    skua_sleep_future sleep;
    skua_future *future = skua_sleep_init(&sleep, MS(20));

    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&first.custom)), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&second.custom)), SKUA_PENDING);
    next = skua_thread_timers();
    CHECK(next <= begin + MS(20) + MS(1) + (skua_now() - begin));
    while ((next = skua_thread_timers()) != SKUA_FOREVER)
        test_thread_sleep(next > skua_now() ? next - skua_now() : 1);
    CHECK(skua_now() - begin >= MS(20));
    CHECK_EQ(atomic_load(&first.rings), 0);
    CHECK(atomic_load(&second.rings) >= 1);
    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&second.custom)), 0);
    CHECK_EQ(atomic_load(&first.refs), 1);
    CHECK_EQ(atomic_load(&second.refs), 1);
}

TEST(future_foreign_loop_drops)
{
    struct bell bell = BELL_INIT;
    skua_sleep_future sleep;
    skua_future *future = skua_sleep_init(&sleep, MS(5));

    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&bell.custom)), SKUA_PENDING);
    skua_future_drop(future);
    skua_future_drop(future);
    memset(&sleep, 0xee, sizeof sleep);
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    test_thread_sleep(MS(10));
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    CHECK_EQ(atomic_load(&bell.rings), 0);
    CHECK_EQ(atomic_load(&bell.refs), 1);
}

TEST(future_foreign_loop_joins)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        for (int n = 0; n < 100; n++) {
            struct bell bell = BELL_INIT;
            skua_join_future join;
            skua_future *future;
            skua_task *task;
            int result = -1;

            MUST(skua_spawn_on(runtime, test_fiber_return, (void *)5, .task = &task) == 0);
            future = skua_join_init(&join, task, &result);
            while (skua_future_poll(future, skua_waker_custom(&bell.custom)) == SKUA_PENDING)
                while (atomic_load(&bell.rings) == 0)
                    skua_yield();
            CHECK_EQ(result, 5);
            CHECK_EQ(atomic_load(&bell.refs), 1);
        }
        test_runtime_free(runtime);
    }
}

/* A dropped join leaves the handle with the caller. */
TEST(future_foreign_loop_drops_a_join)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    struct bell bell = BELL_INIT;
    skua_join_future join;
    skua_future *future;
    skua_task *task;
    int result = 77;

    MUST(skua_spawn_on(runtime, test_fiber_forever, NULL, .task = &task) == 0);
    future = skua_join_init(&join, task, &result);
    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&bell.custom)), SKUA_PENDING);
    skua_future_drop(future);
    CHECK_EQ(atomic_load(&bell.refs), 1);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(atomic_load(&bell.rings), 0);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(future_gives_its_result_to_a_fiber),
        cmocka_unit_test(future_gives_its_result_to_a_thread),
        cmocka_unit_test(future_may_be_pending_often),
        cmocka_unit_test(future_is_finished_once),
        cmocka_unit_test(future_that_wakes_itself_starves_nobody),
        cmocka_unit_test(future_that_wakes_itself_on_a_thread),
        cmocka_unit_test(future_await_in_a_poll_task_is_refused),
        cmocka_unit_test(future_spurious_wakes_end_no_wait_of_a_fiber),
        cmocka_unit_test(future_spurious_wakes_end_no_wait_of_a_thread),
        cmocka_unit_test(future_wakes_all_who_wait),
        cmocka_unit_test(future_wakers_outlive_their_task),
        cmocka_unit_test(future_late_wakes_are_spurious),
        cmocka_unit_test(future_of_futures),
        cmocka_unit_test(future_names_the_wait),
        cmocka_unit_test(future_custom_waker_counts),
        cmocka_unit_test(future_foreign_loop_sleeps),
        cmocka_unit_test(future_foreign_loop_drops),
        cmocka_unit_test(future_foreign_loop_joins),
        cmocka_unit_test(future_foreign_loop_drops_a_join),
    };

    return TEST_MAIN(tests);
}
