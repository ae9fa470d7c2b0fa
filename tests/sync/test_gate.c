/* test_gate.c - event, wait group, barrier, once: waiting for a state that others bring about.
 *
 * Specifies notify.h: who waits goes on even if the state is taken back at once; a dropped wait at
 * a barrier has not arrived; once is run by one, and by the next when it fails; the error codes.
 */
#include "../lib/line.h"

static int gate_length(skua_gate *gate)
{
    return TEST_LINE(gate);
}

/* ---- event ----------------------------------------------------------------------------------- */

static int wait_event(void *object, int64_t deadline)
{
    return skua_event_wait_until(object, deadline);
}

static skua_future *init_event(skua_sync_future *wait, void *object)
{
    return skua_event_wait_init(wait, object);
}

static int event_length(void *object)
{
    return gate_length(&((skua_event *)object)->gate);
}

/* Whoever waits goes on, though it is taken back before they run. */
static void set_and_reset(void *object)
{
    skua_event_set(object);
    CHECK_EQ(skua_event_is_set(object), 1);
    skua_event_reset(object);
    CHECK_EQ(skua_event_is_set(object), 0);
}

static const struct test_line_ops event_ops = {wait_event, init_event, event_length, set_and_reset};

static void check_event(void)
{
    skua_event event = SKUA_EVENT_INIT;
    skua_event zeroed;

    memset(&zeroed, 0, sizeof zeroed);
    CHECK_EQ(skua_event_is_set(&zeroed), 0);
    skua_event_set(&zeroed);
    CHECK_EQ(skua_event_wait(&zeroed), 0);
    CHECK_EQ(skua_event_is_set(&event), 0);
    CHECK_EQ(skua_event_wait_until(&event, skua_now() + MS(1)), -ETIMEDOUT);
    skua_event_reset(&event);
    skua_event_set(&event);
    skua_event_set(&event);
    CHECK_EQ(skua_event_is_set(&event), 1);
    CHECK_EQ(skua_event_wait(&event), 0); /* stays set */
    CHECK_EQ(skua_event_wait_until(&event, skua_now() + SKUA_HOUR), 0);
    skua_event_reset(&event);
    CHECK_EQ(skua_event_is_set(&event), 0);
    CHECK_EQ(skua_event_wait_until(&event, 0), -ETIMEDOUT);
    CHECK_EQ(event_length(&event), 0);
}

TEST_FIBER(event_on_a_fiber)
{
    check_event();
    return 0;
}

TEST(event_on_a_thread)
{
    check_event();
}

TEST(event_lets_everybody_go)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_event event = SKUA_EVENT_INIT;

        test_line_together(&event_ops, &event, first, second);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(event_cancelled)
{
    skua_event event = SKUA_EVENT_INIT;

    test_line_together(&event_ops, &event, arg, arg);
    test_line_cancel(&event_ops, &event, arg);
    test_line_shield(&event_ops, &event);
    test_line_name(&event_ops, &event, arg, "event");
    return 0;
}

/* Dropped in line, and dropped when granted: nobody else is touched. */
TEST(event_dropped)
{
    skua_event event = SKUA_EVENT_INIT;
    struct test_bell bells[3];
    skua_waker *wakers[3];
    skua_sync_future waits[3];

    for (int i = 0; i < 3; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        CHECK_EQ(skua_future_poll(skua_event_wait_init(&waits[i], &event), wakers[i]),
                 SKUA_PENDING);
    }
    skua_future_drop(&waits[1].future);
    set_and_reset(&event);
    CHECK_EQ(TEST_RINGS(&bells[0]), 1);
    CHECK_EQ(TEST_RINGS(&bells[1]), 0);
    CHECK_EQ(TEST_RINGS(&bells[2]), 1);
    skua_future_drop(&waits[0].future);
    CHECK_EQ(skua_future_poll(&waits[2].future, wakers[2]), 0);
    for (int i = 0; i < 3; i++)
        test_bell_end(&bells[i]);
    CHECK_EQ(event_length(&event), 0);
}

static int wait_set_event(void *arg)
{
    return skua_event_wait(arg);
}

TEST_FIBER_CURRENT(event_spends_budget)
{
    skua_event event = SKUA_EVENT_INIT;

    skua_event_set(&event);
    test_line_budget(wait_set_event, &event);
    return 0;
}

/* ---- wait group ------------------------------------------------------------------------------ */

static int wait_group(void *object, int64_t deadline)
{
    return skua_wait_group_wait_until(object, deadline);
}

static skua_future *init_group(skua_sync_future *wait, void *object)
{
    return skua_wait_group_wait_init(wait, object);
}

static int group_length(void *object)
{
    return gate_length(&((skua_wait_group *)object)->gate);
}

/* Who waits goes on, though something is out again before they run. */
static void done_and_add(void *object)
{
    CHECK_EQ(skua_wait_group_done(object), 0);
    CHECK_EQ(skua_wait_group_add(object, 1), 0);
}

static const struct test_line_ops group_ops = {wait_group, init_group, group_length, done_and_add};

static void check_group(void)
{
    skua_wait_group group = SKUA_WAIT_GROUP_INIT;
    skua_wait_group zeroed;

    memset(&zeroed, 0, sizeof zeroed);
    CHECK_EQ(skua_wait_group_wait(&zeroed), 0);
    CHECK_EQ(skua_wait_group_done(&zeroed), SKUA_EUSAGE);
    CHECK_EQ(skua_wait_group_wait(&group), 0); /* nothing is out */
    CHECK_EQ(skua_wait_group_add(&group, 0), 0);
    CHECK_EQ(skua_wait_group_wait_until(&group, skua_now() + SKUA_HOUR), 0);
    CHECK_EQ(skua_wait_group_add(&group, 2), 0);
    CHECK_EQ(skua_wait_group_wait_until(&group, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_wait_group_done(&group), 0);
    CHECK_EQ(skua_wait_group_wait_until(&group, 0), -ETIMEDOUT);
    CHECK_EQ(skua_wait_group_done(&group), 0);
    CHECK_EQ(skua_wait_group_wait(&group), 0);
    CHECK_EQ(skua_wait_group_done(&group), SKUA_EUSAGE);
    CHECK_EQ(skua_wait_group_wait(&group), 0);
    CHECK_EQ(group_length(&group), 0);
}

TEST_FIBER(group_on_a_fiber)
{
    check_group();
    return 0;
}

TEST(group_on_a_thread)
{
    check_group();
}

TEST(group_limits)
{
    skua_wait_group group = SKUA_WAIT_GROUP_INIT;

    CHECK_EQ(skua_wait_group_add(&group, SKUA_WAIT_GROUP_MAX + 1), -EINVAL);
    CHECK_EQ(skua_wait_group_add(&group, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_wait_group_add(&group, SKUA_WAIT_GROUP_MAX), 0);
    CHECK_EQ(skua_wait_group_add(&group, 1), -EINVAL);
    CHECK_EQ(skua_wait_group_add(&group, 0), 0);
    CHECK_EQ(skua_wait_group_done(&group), 0);
    CHECK_EQ(skua_wait_group_add(&group, 2), -EINVAL);
    CHECK_EQ(skua_wait_group_add(&group, 1), 0);
    CHECK_EQ(skua_wait_group_wait_until(&group, 0), -ETIMEDOUT);
}

TEST(group_lets_everybody_go)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_wait_group group = SKUA_WAIT_GROUP_INIT;

        CHECK_EQ(skua_wait_group_add(&group, 1), 0);
        test_line_together(&group_ops, &group, first, second);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(group_cancelled)
{
    skua_wait_group group = SKUA_WAIT_GROUP_INIT;

    CHECK_EQ(skua_wait_group_add(&group, 1), 0);
    test_line_together(&group_ops, &group, arg, arg);
    test_line_cancel(&group_ops, &group, arg);
    test_line_shield(&group_ops, &group);
    test_line_name(&group_ops, &group, arg, "wait_group");
    return 0;
}

struct work {
    skua_wait_group group;
    atomic_int done;
};

static int works(void *arg)
{
    struct work *work = arg;

    skua_yield();
    atomic_fetch_add(&work->done, 1);
    return skua_wait_group_done(&work->group);
}

TEST_FIBER(group_waits_for_work)
{
    struct work work = {.group = SKUA_WAIT_GROUP_INIT};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int round = 1; round <= 3; round++) {
        CHECK_EQ(skua_wait_group_add(&work.group, 10), 0);
        for (int i = 0; i < 10; i++)
            CHECK_EQ(skua_spawn(&scope, works, &work), 0);
        CHECK_EQ(skua_wait_group_wait(&work.group), 0);
        CHECK_EQ(atomic_load(&work.done), 10 * round);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

static int wait_empty_group(void *arg)
{
    return skua_wait_group_wait(arg);
}

TEST_FIBER_CURRENT(group_spends_budget)
{
    skua_wait_group group = SKUA_WAIT_GROUP_INIT;

    test_line_budget(wait_empty_group, &group);
    return 0;
}

/* ---- barrier --------------------------------------------------------------------------------- */

static int wait_barrier(void *object, int64_t deadline)
{
    skua_sync_future wait;

    if (deadline == SKUA_FOREVER)
        return skua_barrier_wait(object);
    return (int)skua_await_until(skua_barrier_wait_init(&wait, object), deadline);
}

static skua_future *init_barrier(skua_sync_future *wait, void *object)
{
    return skua_barrier_wait_init(wait, object);
}

static int barrier_length(void *object)
{
    return gate_length(&((skua_barrier *)object)->gate);
}

/* Arrives as the last one, and does not wait. */
static void arrive_last(void *object)
{
    CHECK_EQ(skua_barrier_wait(object), 1);
}

static const struct test_line_ops barrier_ops = {wait_barrier, init_barrier, barrier_length,
                                                 arrive_last};

TEST(barrier_is_made)
{
    skua_barrier barrier;

    CHECK_EQ(skua_barrier_init(&barrier, 0), -EINVAL);
    CHECK_EQ(skua_barrier_init(&barrier, 1), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_barrier_wait(&barrier), 1); /* alone, and so the leader */
}

TEST(barrier_lets_everybody_go)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_barrier barrier = SKUA_BARRIER_INIT(10);

        for (int round = 0; round < 3; round++)
            test_line_together(&barrier_ops, &barrier, first, second);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(barrier_cancelled)
{
    skua_barrier barrier = SKUA_BARRIER_INIT(10);

    test_line_cancel(&barrier_ops, &barrier, arg);
    test_line_name(&barrier_ops, &barrier, arg, "barrier");
    test_line_together(&barrier_ops, &barrier, arg, arg); /* those had not arrived */
    CHECK_EQ(skua_barrier_init(&barrier, 2), 0);
    test_line_shield(&barrier_ops, &barrier);
    return 0;
}

TEST(barrier_dropped)
{
    skua_barrier barrier = SKUA_BARRIER_INIT(3);
    struct test_bell bells[4];
    skua_waker *wakers[4];
    skua_sync_future waits[4];

    for (int i = 0; i < 4; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        skua_barrier_wait_init(&waits[i], &barrier);
    }
    CHECK_EQ(skua_future_poll(&waits[0].future, wakers[0]), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&waits[0].future, wakers[0]), SKUA_PENDING); /* arrives once */
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), SKUA_PENDING);
    skua_future_drop(&waits[0].future);
    CHECK_EQ(skua_future_poll(&waits[2].future, wakers[2]), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&waits[3].future, wakers[3]), 1);
    CHECK_EQ(TEST_RINGS(&bells[0]), 0);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_EQ(TEST_RINGS(&bells[2]), 1);
    skua_future_drop(&waits[1].future); /* has passed: the next round begins with nobody */
    CHECK_EQ(skua_future_poll(&waits[2].future, wakers[2]), 0);
    for (int i = 0; i < 4; i++)
        test_bell_end(&bells[i]);
    for (int i = 0; i < 3; i++) {
        skua_barrier_wait_init(&waits[i], &barrier);
        CHECK_EQ(skua_future_poll(&waits[i].future, wakers[i]), i == 2 ? 1 : SKUA_PENDING);
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_future_poll(&waits[i].future, wakers[i]), 0);
}

enum { PARTIES = 4, ROUNDS = 30 };

struct meeting {
    skua_barrier barrier;
    atomic_int arrived[ROUNDS];
    atomic_int leaders[ROUNDS];
};

static int meets(void *arg)
{
    struct meeting *meeting = arg;

    for (int i = 0; i < ROUNDS; i++) {
        int rc;

        atomic_fetch_add(&meeting->arrived[i], 1);
        rc = skua_barrier_wait(&meeting->barrier);
        CHECK_RANGE(rc, 0, 1);
        CHECK_EQ(atomic_load(&meeting->arrived[i]), PARTIES);
        atomic_fetch_add(&meeting->leaders[i], rc);
    }
    return 0;
}

static void *meets_on_a_thread(void *arg)
{
    meets(arg);
    return NULL;
}

TEST_FIBER(barrier_meets_again_and_again)
{
    struct meeting meeting = {.barrier = SKUA_BARRIER_INIT(PARTIES)};
    pthread_t thread;
    skua_scope scope;

    MUST(pthread_create(&thread, NULL, meets_on_a_thread, &meeting) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 1; i < PARTIES; i++)
        CHECK_EQ(skua_spawn(&scope, meets, &meeting), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(atomic_load(&meeting.leaders[i]), 1);
    return 0;
}

/* ---- once ------------------------------------------------------------------------------------ */

struct making {
    skua_once once;
    atomic_int runs, answers, errors;
    int fails;       /* so many runs fail, with -EIO */
    atomic_int hold; /* a run waits until it is 0 */
    int made;        /* plain: seen by all who were answered 0 */
};

static int makes(void *arg)
{
    struct making *self = arg;
    int run = atomic_fetch_add(&self->runs, 1);

    while (atomic_load(&self->hold)) {
        int rc = skua_yield();

        if (rc != 0)
            return rc;
    }
    if (run < self->fails)
        return -EIO;
    self->made = 77;
    return 5; /* a count is a success, too */
}

static int wants_it(void *arg)
{
    struct making *self = arg;
    int rc = skua_once_run(&self->once, makes, self);

    if (rc == 0)
        CHECK_EQ(self->made, 77);
    else
        CHECK_EQ(rc, -EIO);
    atomic_fetch_add(rc == 0 ? &self->answers : &self->errors, 1);
    return 0;
}

static void *wants_it_on_a_thread(void *arg)
{
    wants_it(arg);
    return NULL;
}

static void check_once(void)
{
    struct making self = {.fails = 1};

    CHECK_EQ(skua_once_done(&self.once), 0);
    CHECK_EQ(skua_once_run(&self.once, makes, &self), -EIO);
    CHECK_EQ(skua_once_done(&self.once), 0);
    CHECK_EQ(skua_once_run(&self.once, makes, &self), 0);
    CHECK_EQ(skua_once_done(&self.once), 1);
    CHECK_EQ(skua_once_run(&self.once, makes, &self), 0);
    CHECK_EQ(atomic_load(&self.runs), 2);
}

TEST_FIBER(once_on_a_fiber)
{
    check_once();
    return 0;
}

TEST(once_on_a_thread)
{
    check_once();
}

/* Fibers and a thread wait while one runs it; the first two runs fail. */
static void want_it_together(skua_runtime *first, skua_runtime *second, int fails)
{
    struct making self = {.once = SKUA_ONCE_INIT, .fails = fails, .hold = 1};
    skua_task *tasks[8];
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, wants_it_on_a_thread, &self) == 0);
    for (int i = 0; i < 8; i++)
        MUST(skua_spawn_on(i % 2 != 0 ? second : first, wants_it, &self, .task = &tasks[i]) == 0);
    while (gate_length(&self.once.gate) < 8)
        (void)skua_yield();
    CHECK_EQ(atomic_load(&self.runs), 1);
    CHECK_EQ(skua_once_done(&self.once), 0);
    atomic_store(&self.hold, 0);
    for (int i = 0; i < 8; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&self.runs), fails + 1);
    CHECK_EQ(atomic_load(&self.errors), fails);
    CHECK_EQ(atomic_load(&self.answers), 9 - fails);
    CHECK_EQ(skua_once_done(&self.once), 1);
    CHECK_EQ(gate_length(&self.once.gate), 0);
}

TEST_FIBER(once_for_all)
{
    want_it_together(arg, arg, 0);
    want_it_together(arg, arg, 2);
    return 0;
}

TEST(once_for_two_runtimes)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);

        want_it_together(first, second, 0);
        want_it_together(first, second, 3);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

static int runs_it(void *arg)
{
    struct making *self = arg;

    return skua_once_run(&self->once, makes, self);
}

/* A wait that is cancelled changes nothing; a run that is cancelled is the next one's. */
TEST_FIBER(once_cancelled)
{
    struct making self = {.hold = 1};
    skua_task *runner, *waiter, *next;
    skua_deadline frame;
    int result = 0;

    MUST(skua_spawn(NULL, runs_it, &self, .task = &runner) == 0);
    test_yield_until(&self.runs);
    MUST(skua_spawn(NULL, runs_it, &self, .task = &waiter) == 0);
    while (gate_length(&self.once.gate) < 1)
        skua_yield();
    MUST(skua_spawn(NULL, runs_it, &self, .task = &next) == 0);
    while (gate_length(&self.once.gate) < 2)
        skua_yield();
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(1)), 0);
    CHECK_EQ(runs_it(&self), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(skua_task_cancel(waiter), 0);
    CHECK_EQ(skua_task_join(waiter, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(atomic_load(&self.runs), 1);
    CHECK_EQ(skua_task_cancel(runner), 0);
    CHECK_EQ(skua_task_join(runner, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    while (atomic_load(&self.runs) < 2)
        skua_yield();
    atomic_store(&self.hold, 0);
    CHECK_EQ(skua_task_join(next, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(atomic_load(&self.runs), 2);
    CHECK_EQ(skua_once_done(&self.once), 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_on_a_fiber),
        cmocka_unit_test(event_on_a_thread),
        cmocka_unit_test(event_lets_everybody_go),
        cmocka_unit_test(event_cancelled),
        cmocka_unit_test(event_dropped),
        cmocka_unit_test(event_spends_budget),
        cmocka_unit_test(group_on_a_fiber),
        cmocka_unit_test(group_on_a_thread),
        cmocka_unit_test(group_limits),
        cmocka_unit_test(group_lets_everybody_go),
        cmocka_unit_test(group_cancelled),
        cmocka_unit_test(group_waits_for_work),
        cmocka_unit_test(group_spends_budget),
        cmocka_unit_test(barrier_is_made),
        cmocka_unit_test(barrier_lets_everybody_go),
        cmocka_unit_test(barrier_cancelled),
        cmocka_unit_test(barrier_dropped),
        cmocka_unit_test(barrier_meets_again_and_again),
        cmocka_unit_test(once_on_a_fiber),
        cmocka_unit_test(once_on_a_thread),
        cmocka_unit_test(once_for_all),
        cmocka_unit_test(once_for_two_runtimes),
        cmocka_unit_test(once_cancelled),
    };

    return TEST_MAIN(tests);
}
