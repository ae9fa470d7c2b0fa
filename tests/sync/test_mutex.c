/* test_mutex.c - one at a time, in the order they came.
 *
 * Specifies sync.h, mutex: it is handed to the first in line, whoever waits and in whatever way; a
 * wait that is cancelled, out of time or dropped has not locked; misuse is told.
 */
#include "../lib/line.h"

static int wait_lock(void *object, int64_t deadline)
{
    return skua_mutex_lock_until(object, deadline);
}

static skua_future *init_lock(skua_sync_future *wait, void *object)
{
    return skua_mutex_lock_init(wait, object);
}

static int length(void *object)
{
    return TEST_LINE(&((skua_mutex *)object)->semaphore);
}

static void pass_lock(void *object)
{
    CHECK_EQ(skua_mutex_unlock(object), 0);
}

static const struct test_line_ops lock = {wait_lock, init_lock, length, pass_lock};

static void check_free(skua_mutex *mutex)
{
    CHECK_EQ(length(mutex), 0);
    CHECK_EQ(skua_mutex_try_lock(mutex), 0);
    CHECK_EQ(skua_mutex_unlock(mutex), 0);
    CHECK_EQ(skua_mutex_unlock(mutex), SKUA_EUSAGE);
}

static void check_locked(skua_mutex *mutex)
{
    CHECK_EQ(skua_mutex_try_lock(mutex), -EAGAIN);
}

/* ---- locking --------------------------------------------------------------------------------- */

static void check_basics(void)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    check_free(&mutex);
    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_lock_until(&mutex, skua_now() + MS(1)), -ETIMEDOUT); /* not recursive */
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    CHECK_EQ(skua_mutex_lock_until(&mutex, 0), 0); /* free: no wait */
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    CHECK_EQ(skua_mutex_unlock(&mutex), SKUA_EUSAGE);
    CHECK_EQ(skua_mutex_unlock(&mutex), SKUA_EUSAGE);
    check_free(&mutex);
}

TEST_FIBER(mutex_on_a_fiber)
{
    check_basics();
    return 0;
}

TEST(mutex_on_a_thread)
{
    check_basics();
}

static int unlocks(void *arg)
{
    return skua_mutex_unlock(arg);
}

TEST_FIBER(mutex_unlocked_by_another)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;
    skua_task *task;
    int result = -1;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    MUST(skua_spawn(NULL, unlocks, &mutex, .task = &task) == 0);
    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    check_free(&mutex);
    return 0;
}

/* ---- in line --------------------------------------------------------------------------------- */

TEST(mutex_lets_in_first_in_first_out)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_mutex mutex = SKUA_MUTEX_INIT;

        CHECK_EQ(skua_mutex_lock(&mutex), 0);
        test_line_in_order(&lock, &mutex, first, second);
        check_free(&mutex);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(mutex_lets_in_on_one_runtime)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    test_line_in_order(&lock, &mutex, arg, arg);
    check_free(&mutex);
    return 0;
}

/* It is handed over: nobody slips in between the unlock and the first in line. */
TEST(mutex_is_handed_over)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_sync_future wait;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    CHECK_EQ(skua_future_poll(skua_mutex_lock_init(&wait, &mutex), waker), SKUA_PENDING);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    CHECK_EQ(TEST_RINGS(&bell), 1);
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_lock_until(&mutex, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_future_poll(&wait.future, waker), 0);
    test_bell_end(&bell);
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    check_free(&mutex);
}

/* ---- cancelled, dropped ---------------------------------------------------------------------- */

TEST_FIBER(mutex_cancelled)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    test_line_cancel(&lock, &mutex, arg);
    check_locked(&mutex);
    test_line_shield(&lock, &mutex);
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    check_free(&mutex);
    return 0;
}

/* A cancelled task learns it from a lock that it would not have to wait for, too. */
static int locks_when_cancelled(void *arg)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    CHECK_EQ(skua_task_cancel_id(arg, skua_task_current_id()), 0);
    CHECK_EQ(skua_mutex_lock(&mutex), -ECANCELED);
    CHECK_EQ(skua_mutex_lock_until(&mutex, SKUA_FOREVER), -ECANCELED);
    check_free(&mutex);
    CHECK_EQ(skua_shield_begin(), 0);
    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    CHECK_EQ(skua_shield_end(), 0);
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    return 0;
}

TEST_FIBER(mutex_cancelled_when_free)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;
    skua_deadline frame;
    skua_task *task;

    MUST(skua_spawn(NULL, locks_when_cancelled, arg, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now()), 0);
    CHECK_EQ(skua_mutex_lock(&mutex), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    check_free(&mutex);
    return 0;
}

TEST(mutex_dropped_when_granted)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;
    skua_sync_future wait;

    skua_future_drop(skua_mutex_lock_init(&wait, &mutex)); /* never polled */
    check_free(&mutex);
    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    test_line_drop(&lock, &mutex);
    check_free(&mutex);
}

TEST_FIBER_CURRENT(mutex_cancelled_when_granted)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    test_line_cancel_granted(&lock, &mutex, arg);
    check_free(&mutex);
    return 0;
}

/* A fiber that is granted it in the moment it is cancelled may have it or not, but says so. */
TEST_FIBER(mutex_granted_and_cancelled_at_once)
{
    for (int i = 0; i < TEST_COUNT(300); i++) {
        skua_mutex mutex = SKUA_MUTEX_INIT;
        struct test_waiter *first, *second;
        struct test_line line;
        int result;

        CHECK_EQ(skua_mutex_lock(&mutex), 0);
        test_line_init(&line, &lock, &mutex);
        first = test_line_add(&line, TEST_FIBER_WAITER, arg);
        second = test_line_add(&line, (enum test_waiter_kind)(i % 2), arg);
        if (i % 4 < 2)
            CHECK_EQ(skua_mutex_unlock(&mutex), 0);
        (void)skua_task_cancel(first->task);
        if (i % 4 >= 2)
            CHECK_EQ(skua_mutex_unlock(&mutex), 0);
        result = test_waiter_end(first);
        CHECK(result == 0 || result == -ECANCELED);
        CHECK_EQ(test_waiter_end(second), 0);
        CHECK_EQ(second->place, result == 0);
        check_free(&mutex);
    }
    return 0;
}

/* ---- poll tasks ------------------------------------------------------------------------------ */

struct in_poll {
    skua_mutex *mutex;
};

static skua_poll locks_as_a_fiber(void *state, skua_waker *waker)
{
    skua_mutex *mutex = ((struct in_poll *)state)->mutex;

    (void)waker;
    CHECK_EQ(skua_mutex_lock(mutex), SKUA_EUSAGE);
    CHECK_EQ(skua_mutex_lock_until(mutex, skua_now() + SKUA_HOUR), SKUA_EUSAGE);
    CHECK_EQ(length(mutex), 0);
    return 0;
}

TEST_FIBER(mutex_direct_wait_in_a_poll_task_is_refused)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;
    skua_task *task;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    MUST(skua_spawn_poll(NULL, locks_as_a_fiber, (&(struct in_poll){&mutex}), .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    check_locked(&mutex);
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    check_free(&mutex);
    return 0;
}

/* ---- what it is for -------------------------------------------------------------------------- */

enum { USERS = 6, ROUNDS = 40 };

struct shared {
    skua_mutex mutex;
    int counter; /* mutex: plain on purpose */
    int inside;  /* mutex */
};

static void use_shared(struct shared *self)
{
    int counter;

    CHECK_EQ(self->inside++, 0);
    counter = self->counter;
    (void)skua_yield();
    self->counter = counter + 1;
    CHECK_EQ(--self->inside, 0);
}

static int uses_on_fiber(void *arg)
{
    struct shared *self = arg;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(skua_mutex_lock(&self->mutex), 0);
        use_shared(self);
        CHECK_EQ(skua_mutex_unlock(&self->mutex), 0);
    }
    return 0;
}

static void *uses_on_thread(void *arg)
{
    uses_on_fiber(arg);
    return NULL;
}

struct uses_in_poll {
    skua_async async;
    struct shared *shared;
    int round;
    skua_sync_future wait;
};

static skua_poll uses_in_poll_task(void *state, skua_waker *waker)
{
    struct uses_in_poll *self = state;

    SKUA_ASYNC(self, waker);
    for (self->round = 0; self->round < ROUNDS; self->round++) {
        SKUA_AWAIT(skua_mutex_lock_init(&self->wait, &self->shared->mutex));
        CHECK_EQ(self->shared->inside, 0);
        self->shared->counter++;
        CHECK_EQ(skua_mutex_unlock(&self->shared->mutex), 0);
    }
    SKUA_ASYNC_END(0);
}

static int uses_from_everywhere(struct shared *self, skua_runtime *first, skua_runtime *second)
{
    skua_task *tasks[2 * USERS];
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, uses_on_thread, self) == 0);
    for (int i = 0; i < USERS; i++) {
        skua_runtime *runtime = i % 2 != 0 ? first : second;

        MUST(skua_spawn_on(runtime, uses_on_fiber, self, .task = &tasks[2 * i]) == 0);
        MUST(skua_spawn_poll(skua_runtime_scope(runtime), uses_in_poll_task,
                             (&(struct uses_in_poll){.shared = self}),
                             .task = &tasks[2 * i + 1]) == 0);
    }
    for (int i = 0; i < 2 * USERS; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0); /* waits for nobody any more but itself */
    return (2 * USERS + 1) * ROUNDS;
}

TEST(mutex_guards_what_all_use)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[TEST_KINDS - i]);
        struct shared shared = {.mutex = SKUA_MUTEX_INIT};
        int total = uses_from_everywhere(&shared, first, second);

        CHECK_EQ(shared.counter, total);
        check_free(&shared.mutex);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(mutex_guards_what_fibers_use)
{
    struct shared shared = {.mutex = SKUA_MUTEX_INIT};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < USERS; i++)
        CHECK_EQ(skua_spawn(&scope, uses_on_fiber, &shared), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(shared.counter, USERS * ROUNDS);
    check_free(&shared.mutex);
    return 0;
}

static int locks_and_unlocks(void *arg)
{
    int rc = skua_mutex_lock(arg);

    return rc != 0 ? rc : skua_mutex_unlock(arg);
}

TEST_FIBER_CURRENT(mutex_spends_budget)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    test_line_budget(locks_and_unlocks, &mutex);
    return 0;
}

TEST_FIBER(mutex_names_the_wait)
{
    skua_mutex mutex = SKUA_MUTEX_INIT;

    CHECK_EQ(skua_mutex_lock(&mutex), 0);
    test_line_name(&lock, &mutex, arg, "mutex");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex_on_a_fiber),
        cmocka_unit_test(mutex_on_a_thread),
        cmocka_unit_test(mutex_unlocked_by_another),
        cmocka_unit_test(mutex_lets_in_first_in_first_out),
        cmocka_unit_test(mutex_lets_in_on_one_runtime),
        cmocka_unit_test(mutex_is_handed_over),
        cmocka_unit_test(mutex_cancelled),
        cmocka_unit_test(mutex_cancelled_when_free),
        cmocka_unit_test(mutex_dropped_when_granted),
        cmocka_unit_test(mutex_cancelled_when_granted),
        cmocka_unit_test(mutex_granted_and_cancelled_at_once),
        cmocka_unit_test(mutex_direct_wait_in_a_poll_task_is_refused),
        cmocka_unit_test(mutex_guards_what_all_use),
        cmocka_unit_test(mutex_guards_what_fibers_use),
        cmocka_unit_test(mutex_spends_budget),
        cmocka_unit_test(mutex_names_the_wait),
    };

    return TEST_MAIN(tests);
}
