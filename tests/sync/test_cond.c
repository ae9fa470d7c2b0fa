/* test_cond.c - waiting for what a mutex guards.
 *
 * Specifies notify.h, condition variable: the mutex is let go of while waiting and held afterwards,
 * whatever is returned; signals go to the first in line, and on when their wait is dropped.
 */
#include "../lib/line.h"

struct guarded {
    skua_cond cond;
    skua_mutex mutex;
};

#define GUARDED_INIT                                                                               \
    {                                                                                              \
        SKUA_COND_INIT, SKUA_MUTEX_INIT                                                            \
    }

static void check_locked(skua_mutex *mutex)
{
    CHECK_EQ(skua_mutex_try_lock(mutex), -EAGAIN);
}

static void check_free(skua_mutex *mutex)
{
    CHECK_EQ(skua_mutex_try_lock(mutex), 0);
    CHECK_EQ(skua_mutex_unlock(mutex), 0);
}

/* The mutex is locked whatever became of the caller; a thread has no shields, and needs none. */
static void lock(struct guarded *self)
{
    bool shielded = skua_shield_begin() == 0;

    CHECK_EQ(skua_mutex_lock(&self->mutex), 0);
    if (shielded)
        CHECK_EQ(skua_shield_end(), 0);
}

static int wait_signal(void *object, int64_t deadline)
{
    struct guarded *self = object;
    int rc;

    lock(self);
    rc = skua_cond_wait_until(&self->cond, &self->mutex, deadline);
    check_locked(&self->mutex);
    CHECK_EQ(skua_mutex_unlock(&self->mutex), 0);
    return rc;
}

static int length(void *object)
{
    return TEST_LINE(&((struct guarded *)object)->cond);
}

static void pass_signal(void *object)
{
    skua_cond_signal(&((struct guarded *)object)->cond);
}

static void pass_broadcast(void *object)
{
    skua_cond_broadcast(&((struct guarded *)object)->cond);
}

static const struct test_line_ops single = {wait_signal, NULL, length, pass_signal};
static const struct test_line_ops every = {wait_signal, NULL, length, pass_broadcast};

/* ---- in line --------------------------------------------------------------------------------- */

TEST(cond_wakes_from_everywhere)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        struct guarded guarded = GUARDED_INIT;

        test_line_in_order(&single, &guarded, first, second);
        test_line_together(&every, &guarded, first, second);
        check_free(&guarded.mutex);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(cond_wakes_on_one_runtime)
{
    struct guarded guarded = GUARDED_INIT;

    test_line_in_order(&single, &guarded, arg, arg);
    test_line_together(&every, &guarded, arg, arg);
    check_free(&guarded.mutex);
    return 0;
}

/* A signal wakes one, and is not kept for who comes later. */
TEST_FIBER(cond_signal_without_a_waiter_is_lost)
{
    struct guarded guarded;
    struct test_line line;

    memset(&guarded, 0, sizeof guarded); /* zeroed memory is a cond, too */
    guarded.mutex = (skua_mutex)SKUA_MUTEX_INIT;
    skua_cond_signal(&guarded.cond);
    skua_cond_broadcast(&guarded.cond);
    CHECK_EQ(wait_signal(&guarded, skua_now() + MS(1)), -ETIMEDOUT);
    test_line_init(&line, &single, &guarded);
    line.in_turn = false;
    for (int i = 0; i < 3; i++)
        test_line_add(&line, TEST_FIBER_WAITER, arg);
    skua_cond_signal(&guarded.cond);
    CHECK_EQ(length(&guarded), 2);
    CHECK_EQ(test_waiter_end(&line.waiters[0]), 0);
    CHECK_EQ(length(&guarded), 2);
    skua_cond_broadcast(&guarded.cond);
    CHECK_EQ(test_waiter_end(&line.waiters[1]), 0);
    CHECK_EQ(test_waiter_end(&line.waiters[2]), 0);
    return 0;
}

/* ---- the mutex ------------------------------------------------------------------------------- */

static void check_unlocked_is_refused(void)
{
    struct guarded guarded = GUARDED_INIT;

    CHECK_EQ(skua_cond_wait(&guarded.cond, &guarded.mutex), SKUA_EUSAGE);
    CHECK_EQ(skua_cond_wait_until(&guarded.cond, &guarded.mutex, 0), SKUA_EUSAGE);
    CHECK_EQ(length(&guarded), 0);
    check_free(&guarded.mutex);
}

TEST_FIBER(cond_without_the_mutex_on_a_fiber)
{
    check_unlocked_is_refused();
    return 0;
}

TEST(cond_without_the_mutex_on_a_thread)
{
    check_unlocked_is_refused();
}

/* Who is woken comes back only with the mutex, which the signaller still has. */
TEST_FIBER(cond_comes_back_with_the_mutex)
{
    struct guarded guarded = GUARDED_INIT;
    struct test_line line;

    test_line_init(&line, &single, &guarded);
    line.in_turn = false;
    for (int i = 0; i < 3; i++)
        test_line_add(&line, (enum test_waiter_kind)(i % 2 * 2), arg);
    lock(&guarded);
    skua_cond_broadcast(&guarded.cond);
    while (TEST_LINE(&guarded.mutex.semaphore) != 3)
        skua_yield();
    CHECK_EQ(atomic_load(&line.places), 0);
    CHECK_EQ(skua_mutex_unlock(&guarded.mutex), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(test_waiter_end(&line.waiters[i]), 0);
    check_free(&guarded.mutex);
    return 0;
}

/* A cancel ends the wait, not the locking behind it. */
TEST_FIBER(cond_cancelled_waits_for_the_mutex)
{
    struct guarded guarded = GUARDED_INIT;
    struct test_line line;
    struct test_waiter *waiter;

    test_line_init(&line, &single, &guarded);
    line.in_turn = false;
    waiter = test_line_add(&line, TEST_FIBER_WAITER, arg);
    lock(&guarded);
    CHECK_EQ(skua_task_cancel(waiter->task), 0);
    while (TEST_LINE(&guarded.mutex.semaphore) != 1)
        skua_yield();
    CHECK_EQ(length(&guarded), 0);
    CHECK_EQ(skua_task_cancel(waiter->task), 0); /* does not end the locking, either */
    for (int i = 0; i < 10; i++)
        skua_yield();
    CHECK_EQ(atomic_load(&waiter->done), 0);
    CHECK_EQ(skua_mutex_unlock(&guarded.mutex), 0);
    CHECK_EQ(test_waiter_end(waiter), -ECANCELED);
    check_free(&guarded.mutex);
    return 0;
}

struct late {
    struct guarded guarded;
    atomic_int done;
};

/* The task's own deadline, too, which has passed when it locks again. */
static int is_late(void *arg)
{
    struct late *self = arg;
    skua_deadline frame;

    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(2)), 0);
    CHECK_EQ(wait_signal(&self->guarded, SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_EQ(wait_signal(&self->guarded, skua_now() + MS(2)), -ETIMEDOUT);
    atomic_store(&self->done, 1);
    return 0;
}

TEST_FIBER(cond_out_of_time_waits_for_the_mutex)
{
    struct late self = {.guarded = GUARDED_INIT};
    skua_task *task;

    MUST(skua_spawn(NULL, is_late, &self, .task = &task) == 0);
    while (!atomic_load(&self.done)) {
        lock(&self.guarded);
        CHECK_EQ(skua_sleep(MS(1)), 0); /* so that it is kept waiting, mostly */
        CHECK_EQ(skua_mutex_unlock(&self.guarded.mutex), 0);
    }
    CHECK_EQ(skua_task_join(task, NULL), 0);
    check_free(&self.guarded.mutex);
    return 0;
}

/* ---- cancelled, dropped ---------------------------------------------------------------------- */

TEST_FIBER(cond_cancelled)
{
    struct guarded guarded = GUARDED_INIT;

    test_line_cancel(&single, &guarded, arg);
    check_free(&guarded.mutex);
    test_line_shield(&single, &guarded);
    check_free(&guarded.mutex);
    return 0;
}

/* On a current-thread runtime a fiber that was signalled asks before it sees that it was cancelled;
 * elsewhere either may come first. Whatever it says, no signal is lost. */
TEST_FIBER(cond_signalled_and_cancelled_at_once)
{
    for (int i = 0; i < TEST_COUNT(300); i++) {
        struct guarded guarded = GUARDED_INIT;
        struct test_waiter *first, *second;
        struct test_line line;
        int result;

        test_line_init(&line, &single, &guarded);
        line.in_turn = false;
        first = test_line_add(&line, TEST_FIBER_WAITER, arg);
        second = test_line_add(&line, TEST_FIBER_WAITER, arg);
        if (i % 2 == 0)
            skua_cond_signal(&guarded.cond);
        (void)skua_task_cancel(first->task);
        if (i % 2 != 0)
            skua_cond_signal(&guarded.cond);
        result = test_waiter_end(first);
        CHECK(result == 0 || result == -ECANCELED);
        if (result == 0)
            skua_cond_signal(&guarded.cond);
        CHECK_EQ(test_waiter_end(second), 0);
        check_free(&guarded.mutex);
    }
    return 0;
}

/* A deadline that runs out while signals come: each is somebody's. */
struct expiring {
    struct guarded guarded;
    int got; /* mutex */
};

static int waits_a_moment(void *arg)
{
    struct expiring *self = arg;

    lock(&self->guarded);
    while (self->got == 0) {
        int rc = skua_cond_wait_until(&self->guarded.cond, &self->guarded.mutex,
                                      skua_now() + 20 * SKUA_MICROSECOND);

        CHECK(rc == 0 || rc == -ETIMEDOUT);
    }
    self->got--;
    CHECK_EQ(skua_mutex_unlock(&self->guarded.mutex), 0);
    return 0;
}

TEST_FIBER(cond_out_of_time_again_and_again)
{
    struct expiring self = {.guarded = GUARDED_INIT};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_spawn(&scope, waits_a_moment, &self), 0);
    for (int i = 0; i < 4; i++) {
        for (int n = 0; n < 20; n++)
            skua_yield();
        lock(&self.guarded);
        self.got++;
        skua_cond_signal(&self.guarded.cond);
        CHECK_EQ(skua_mutex_unlock(&self.guarded.mutex), 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(self.got, 0);
    CHECK_EQ(length(&self.guarded), 0);
    return 0;
}

/* ---- poll tasks ------------------------------------------------------------------------------ */

struct in_poll {
    struct guarded *guarded;
};

static skua_poll waits_as_a_fiber(void *state, skua_waker *waker)
{
    struct guarded *guarded = ((struct in_poll *)state)->guarded;

    (void)waker;
    CHECK_EQ(skua_mutex_try_lock(&guarded->mutex), 0);
    CHECK_EQ(skua_cond_wait(&guarded->cond, &guarded->mutex), SKUA_EUSAGE);
    check_locked(&guarded->mutex);
    CHECK_EQ(length(guarded), 0);
    return skua_mutex_unlock(&guarded->mutex);
}

TEST_FIBER(cond_in_a_poll_task_is_refused)
{
    struct guarded guarded = GUARDED_INIT;
    skua_task *task;
    int result = -1;

    MUST(skua_spawn_poll(NULL, waits_as_a_fiber, (&(struct in_poll){&guarded}), .task = &task) ==
         0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    check_free(&guarded.mutex);
    return 0;
}

/* ---- what it is for -------------------------------------------------------------------------- */

enum { ROOM = 3, ITEMS = 200, PRODUCERS = 2, CONSUMERS = 3 };

struct queue {
    skua_mutex mutex;
    skua_cond not_full, not_empty;
    int items[ROOM], head, count, taken; /* mutex */
    int64_t sum;                         /* mutex */
};

static int produces(void *arg)
{
    struct queue *queue = arg;

    for (int i = 1; i <= ITEMS; i++) {
        CHECK_EQ(skua_mutex_lock(&queue->mutex), 0);
        while (queue->count == ROOM)
            CHECK_EQ(skua_cond_wait(&queue->not_full, &queue->mutex), 0);
        queue->items[(queue->head + queue->count++) % ROOM] = i;
        skua_cond_signal(&queue->not_empty);
        CHECK_EQ(skua_mutex_unlock(&queue->mutex), 0);
    }
    return 0;
}

static int consumes(void *arg)
{
    struct queue *queue = arg;

    for (;;) {
        CHECK_EQ(skua_mutex_lock(&queue->mutex), 0);
        while (queue->count == 0 && queue->taken < PRODUCERS * ITEMS)
            CHECK_EQ(skua_cond_wait(&queue->not_empty, &queue->mutex), 0);
        if (queue->count == 0)
            break;
        queue->sum += queue->items[queue->head];
        queue->head = (queue->head + 1) % ROOM;
        queue->count--;
        if (++queue->taken == PRODUCERS * ITEMS)
            skua_cond_broadcast(&queue->not_empty);
        CHECK_EQ(skua_mutex_unlock(&queue->mutex), 0);
        skua_cond_signal(&queue->not_full); /* without the mutex is well, too */
    }
    CHECK_EQ(skua_mutex_unlock(&queue->mutex), 0);
    return 0;
}

static void *consumes_on_a_thread(void *arg)
{
    consumes(arg);
    return NULL;
}

TEST_FIBER(cond_makes_a_queue)
{
    struct queue queue = {SKUA_MUTEX_INIT, SKUA_COND_INIT, SKUA_COND_INIT, {0}, 0, 0, 0, 0};
    pthread_t thread;
    skua_scope scope;

    MUST(pthread_create(&thread, NULL, consumes_on_a_thread, &queue) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < CONSUMERS; i++)
        CHECK_EQ(skua_spawn(&scope, consumes, &queue), 0);
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(skua_spawn(&scope, produces, &queue), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(queue.taken, PRODUCERS * ITEMS);
    CHECK_EQ(queue.sum, (int64_t)PRODUCERS * ITEMS * (ITEMS + 1) / 2);
    return 0;
}

TEST_FIBER(cond_names_the_wait)
{
    struct guarded guarded = GUARDED_INIT;

    test_line_name(&single, &guarded, arg, "cond");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cond_wakes_from_everywhere),
        cmocka_unit_test(cond_wakes_on_one_runtime),
        cmocka_unit_test(cond_signal_without_a_waiter_is_lost),
        cmocka_unit_test(cond_without_the_mutex_on_a_fiber),
        cmocka_unit_test(cond_without_the_mutex_on_a_thread),
        cmocka_unit_test(cond_comes_back_with_the_mutex),
        cmocka_unit_test(cond_cancelled_waits_for_the_mutex),
        cmocka_unit_test(cond_out_of_time_waits_for_the_mutex),
        cmocka_unit_test(cond_cancelled),
        cmocka_unit_test(cond_signalled_and_cancelled_at_once),
        cmocka_unit_test(cond_out_of_time_again_and_again),
        cmocka_unit_test(cond_in_a_poll_task_is_refused),
        cmocka_unit_test(cond_makes_a_queue),
        cmocka_unit_test(cond_names_the_wait),
    };

    return TEST_MAIN(tests);
}
