/* test_local_locks.c - semaphore, mutex and rwlock of one worker.
 *
 * Specifies local.h: counting and its limits, what a request in line has taken, closing; who may
 * unlock what; readers and writers in line. What lines have in common: test_local_line.c.
 */
#include "../lib/line.h"
#include "../lib/part.h"

#define MAX SKUA_LOCAL_SEMAPHORE_MAX

/* ---- semaphore: counting --------------------------------------------------------------------- */

TEST(local_semaphore_is_made)
{
    static skua_local_semaphore ready = SKUA_LOCAL_SEMAPHORE_INIT(3);
    skua_local_semaphore sema;

    CHECK_EQ(skua_local_semaphore_available(&ready), 3);
    CHECK_EQ(skua_local_semaphore_init(&sema, 0), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), 0);
    CHECK_EQ(skua_local_semaphore_init(&sema, MAX), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), MAX);
    CHECK_EQ(skua_local_semaphore_init(&sema, MAX + 1), -EINVAL);
    CHECK_EQ(skua_local_semaphore_init(&sema, SIZE_MAX), -EINVAL);
}

TEST_WAITING(local_semaphore_counts)
{
    skua_local_semaphore sema = SKUA_LOCAL_SEMAPHORE_INIT(5);

    CHECK_EQ(skua_local_semaphore_acquire(&sema, 2), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), 3);
    CHECK_EQ(skua_local_semaphore_try_acquire(&sema, 4), -EAGAIN);
    CHECK_EQ(skua_local_semaphore_acquire_until(&sema, 4, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_local_semaphore_available(&sema), 3);
    CHECK_EQ(skua_local_semaphore_try_acquire(&sema, 3), 0);
    CHECK_EQ(skua_local_semaphore_try_acquire(&sema, 1), -EAGAIN);
    CHECK_EQ(skua_local_semaphore_release(&sema, 9), 0); /* more than were taken */
    CHECK_EQ(skua_local_semaphore_acquire_until(&sema, 2, 0), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), 7);
    CHECK_EQ(skua_local_semaphore_forget(&sema, 2), 2);
    CHECK_EQ(skua_local_semaphore_forget(&sema, 0), 0);
    CHECK_EQ(skua_local_semaphore_forget(&sema, SIZE_MAX), 5);
    CHECK_EQ(skua_local_semaphore_forget(&sema, 1), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), 0);
}

TEST(local_semaphore_limits)
{
    skua_local_semaphore sema = SKUA_LOCAL_SEMAPHORE_INIT(MAX - 1);
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_local_future wait;

    CHECK_EQ(skua_local_semaphore_release(&sema, 2), -EINVAL);
    CHECK_EQ(skua_local_semaphore_release(&sema, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_local_semaphore_available(&sema), MAX - 1);
    CHECK_EQ(skua_local_semaphore_release(&sema, 1), 0);
    CHECK_EQ(skua_local_semaphore_release(&sema, 1), -EINVAL);
    CHECK_EQ(skua_local_semaphore_release(&sema, 0), 0);
    CHECK_EQ(skua_local_semaphore_acquire(&sema, MAX + 1), -EINVAL);
    CHECK_EQ(skua_local_semaphore_acquire_until(&sema, MAX + 1, 0), -EINVAL);
    CHECK_EQ(skua_local_semaphore_try_acquire(&sema, MAX + 1), -EINVAL);
    CHECK_EQ(skua_local_semaphore_acquire(&sema, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_future_poll(skua_local_semaphore_acquire_init(&wait, &sema, MAX + 1), waker),
             -EINVAL);
    CHECK_EQ(skua_local_semaphore_available(&sema), MAX);
    CHECK_EQ(skua_local_semaphore_acquire(&sema, MAX), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), 0);
    test_bell_end(&bell);
}

TEST(local_semaphore_nothing_is_always_there)
{
    skua_local_semaphore sema = SKUA_LOCAL_SEMAPHORE_INIT(0);
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_local_future wait, none;

    CHECK_EQ(skua_local_semaphore_acquire(&sema, 0), 0);
    CHECK_EQ(skua_local_semaphore_try_acquire(&sema, 0), 0);
    CHECK_EQ(skua_future_poll(skua_local_semaphore_acquire_init(&wait, &sema, 1), waker),
             SKUA_PENDING);
    CHECK_EQ(skua_local_semaphore_acquire(&sema, 0), 0); /* it takes nothing from who is in line */
    CHECK_EQ(skua_future_poll(skua_local_semaphore_acquire_init(&none, &sema, 0), waker), 0);
    skua_local_semaphore_close(&sema);
    CHECK_EQ(skua_local_semaphore_acquire(&sema, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_local_semaphore_try_acquire(&sema, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_future_poll(&wait.future, waker), SKUA_ECLOSED);
    test_bell_end(&bell);
}

/* ---- semaphore: in line ---------------------------------------------------------------------- */

/* Requests of several sizes, polled by hand: who is let in by what is known exactly. */
struct requests {
    skua_local_semaphore sema;
    struct test_bell bells[4];
    skua_waker *wakers[4];
    skua_local_future waits[4];
    int count;
};

static void requests_init(struct requests *self, size_t permits)
{
    self->count = 0;
    CHECK_EQ(skua_local_semaphore_init(&self->sema, permits), 0);
}

static void request(struct requests *self, size_t permits)
{
    int at = self->count++;

    self->wakers[at] = test_bell_init(&self->bells[at]);
    skua_local_semaphore_acquire_init(&self->waits[at], &self->sema, permits);
    CHECK_EQ(skua_future_poll(&self->waits[at].future, self->wakers[at]), SKUA_PENDING);
}

/* The first `count` were woken, each once. */
static void check_woken(struct requests *self, int count)
{
    for (int i = 0; i < self->count; i++)
        CHECK_EQ(TEST_RINGS(&self->bells[i]), i < count);
}

static void requests_end(struct requests *self, int64_t answer)
{
    for (int i = 0; i < self->count; i++) {
        CHECK_EQ(skua_future_poll(&self->waits[i].future, self->wakers[i]), answer);
        test_bell_end(&self->bells[i]);
    }
    CHECK(self->sema.waiters.first == NULL && self->sema.waiters.last == NULL);
}

TEST(local_semaphore_a_small_request_does_not_pass_a_large_one)
{
    struct requests all;

    requests_init(&all, 2);
    request(&all, 4);
    CHECK_EQ(skua_local_semaphore_available(&all.sema), 0); /* it has these two already */
    request(&all, 1);
    CHECK_EQ(skua_local_semaphore_try_acquire(&all.sema, 1), -EAGAIN);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 1), 0);
    check_woken(&all, 0);
    CHECK_EQ(skua_local_semaphore_try_acquire(&all.sema, 1), -EAGAIN);
    CHECK_EQ(skua_local_semaphore_forget(&all.sema, 9), 0);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 1), 0);
    check_woken(&all, 1);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 1), 0);
    check_woken(&all, 2);
    requests_end(&all, 0);
    CHECK_EQ(skua_local_semaphore_available(&all.sema), 0);
}

TEST(local_semaphore_a_release_lets_several_in)
{
    struct requests all;

    requests_init(&all, 0);
    request(&all, 1);
    request(&all, 2);
    request(&all, 1);
    request(&all, 3);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 3), 0);
    check_woken(&all, 2);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 9), 0);
    check_woken(&all, 4);
    requests_end(&all, 0);
    CHECK_EQ(skua_local_semaphore_available(&all.sema), 5);
}

/* What the first in line had so far lets those behind it in. */
TEST(local_semaphore_a_part_goes_to_the_next_in_line)
{
    struct requests all;

    requests_init(&all, 3);
    request(&all, 5);
    request(&all, 2);
    request(&all, 2);
    skua_future_drop(&all.waits[0].future);
    CHECK_EQ(TEST_RINGS(&all.bells[0]), 0);
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 1);
    CHECK_EQ(TEST_RINGS(&all.bells[2]), 0);
    skua_future_drop(&all.waits[1].future); /* granted: two more */
    CHECK_EQ(TEST_RINGS(&all.bells[2]), 1);
    CHECK_EQ(skua_future_poll(&all.waits[2].future, all.wakers[2]), 0);
    CHECK_EQ(skua_local_semaphore_available(&all.sema), 1);
    for (int i = 0; i < all.count; i++)
        test_bell_end(&all.bells[i]);
}

/* ---- semaphore: closed ----------------------------------------------------------------------- */

TEST(local_semaphore_closed_while_some_wait)
{
    for (int dropped = 0; dropped < 3; dropped++) {
        struct requests all;

        requests_init(&all, 3);
        request(&all, 5);
        request(&all, 1);
        request(&all, 1);
        skua_local_semaphore_close(&all.sema);
        check_woken(&all, 3);
        CHECK_EQ(skua_local_semaphore_available(&all.sema), 3); /* what the first one had */
        for (int i = 0; i < 3; i++) {
            if (i == dropped)
                skua_future_drop(&all.waits[i].future);
            else
                CHECK_EQ(skua_future_poll(&all.waits[i].future, all.wakers[i]), SKUA_ECLOSED);
            test_bell_end(&all.bells[i]);
        }
        CHECK_EQ(skua_local_semaphore_available(&all.sema), 3);
    }
}

/* What was granted before the close stays granted; dropped, it is there again. */
TEST(local_semaphore_closed_behind_a_grant)
{
    struct requests all;

    requests_init(&all, 0);
    request(&all, 2);
    request(&all, 3);
    request(&all, 1);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 5), 0);
    skua_local_semaphore_close(&all.sema);
    skua_local_semaphore_close(&all.sema);
    CHECK_EQ(skua_future_poll(&all.waits[0].future, all.wakers[0]), 0);
    CHECK_EQ(skua_local_semaphore_release(&all.sema, 2), 0);
    skua_future_drop(&all.waits[1].future);
    CHECK_EQ(skua_local_semaphore_available(&all.sema), 5);
    CHECK_EQ(skua_future_poll(&all.waits[2].future, all.wakers[2]), SKUA_ECLOSED);
    CHECK_EQ(skua_local_semaphore_try_acquire(&all.sema, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_local_semaphore_forget(&all.sema, 1), 1);
}

TEST_WAITING(local_semaphore_closed_for_who_comes)
{
    skua_local_semaphore sema = SKUA_LOCAL_SEMAPHORE_INIT(3);

    CHECK_EQ(skua_local_semaphore_acquire(&sema, 2), 0);
    skua_local_semaphore_close(&sema);
    CHECK_EQ(skua_local_semaphore_acquire(&sema, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_local_semaphore_acquire_until(&sema, 9, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_await(skua_local_semaphore_acquiring(&sema, 1)), SKUA_ECLOSED);
    CHECK_EQ(skua_local_semaphore_release(&sema, 2), 0);
    CHECK_EQ(skua_local_semaphore_available(&sema), 3);
}

/* ---- semaphore: in whatever order ------------------------------------------------------------ */

enum { PERMITS = 6, TASKS = 8 };

struct pool {
    skua_local_semaphore sema;
    size_t out;
};

static int takes_some(void *arg)
{
    struct pool *pool = arg;

    for (int i = 0; i < 5; i++) {
        size_t part = skua_test_random() % PERMITS + 1;
        int64_t patience = skua_now() + (int64_t)(skua_test_random() % 9) * SKUA_SECOND;
        int rc = skua_local_semaphore_acquire_until(&pool->sema, part, patience);

        CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
        if (rc != 0)
            continue;
        pool->out += part;
        CHECK_RANGE(pool->out, part, PERMITS);
        (void)skua_sleep((int64_t)(skua_test_random() % 3) * SKUA_SECOND);
        pool->out -= part;
        CHECK_EQ(skua_local_semaphore_release(&pool->sema, part), 0);
    }
    return 0;
}

static int pool_explored(TEST_UNUSED void *arg)
{
    struct pool pool = {.sema = SKUA_LOCAL_SEMAPHORE_INIT(PERMITS)};
    skua_task *task;
    skua_scope scope;
    int rc;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < TASKS; i++) {
        MUST(skua_spawn(&scope, takes_some, &pool, .task = &task) == 0);
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 3) * SKUA_SECOND), 0);
        if (i % 3 == 0)
            (void)skua_task_cancel(task);
        skua_task_detach(task);
    }
    rc = skua_scope_join(&scope);
    CHECK(rc == 0 || rc == -ECANCELED);
    CHECK_EQ(skua_local_semaphore_available(&pool.sema), PERMITS);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(local_semaphore_in_whatever_order)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), pool_explored, NULL), 0);
}

/* ---- mutex ----------------------------------------------------------------------------------- */

TEST_WAITING(local_mutex_locks)
{
    skua_local_mutex mutex = SKUA_LOCAL_MUTEX_INIT;

    CHECK_EQ(skua_local_mutex_unlock(&mutex), SKUA_EUSAGE);
    CHECK_EQ(skua_local_mutex_lock(&mutex), 0);
    CHECK_EQ(skua_local_mutex_try_lock(&mutex), -EAGAIN);
    CHECK_EQ(skua_local_mutex_lock_until(&mutex, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_timeout(skua_local_mutex_locking(&mutex), MS(1), NULL), -ETIMEDOUT);
    CHECK_EQ(skua_local_mutex_unlock(&mutex), 0);
    CHECK_EQ(skua_local_mutex_unlock(&mutex), SKUA_EUSAGE);
    CHECK_EQ(skua_local_mutex_lock_until(&mutex, 0), 0);
    CHECK_EQ(skua_local_mutex_unlock(&mutex), 0);
    CHECK_EQ(skua_await(skua_local_mutex_locking(&mutex)), 0);
    CHECK_EQ(skua_local_mutex_unlock(&mutex), 0);
    CHECK_EQ(skua_local_mutex_try_lock(&mutex), 0);
}

/* ---- rwlock ---------------------------------------------------------------------------------- */

TEST_WAITING(local_rwlock_locks)
{
    skua_local_rwlock rwlock = SKUA_LOCAL_RWLOCK_INIT;

    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_local_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_local_rwlock_downgrade(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_local_rwlock_read(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_read_until(&rwlock, 0), 0);
    CHECK_EQ(skua_await(skua_local_rwlock_reading(&rwlock)), 0);
    CHECK_EQ(skua_local_rwlock_try_read(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_try_write(&rwlock), -EAGAIN);
    CHECK_EQ(skua_local_rwlock_write_until(&rwlock, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_local_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_write(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_try_read(&rwlock), -EAGAIN);
    CHECK_EQ(skua_local_rwlock_try_write(&rwlock), -EAGAIN);
    CHECK_EQ(skua_local_rwlock_read_until(&rwlock, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_local_rwlock_write_unlock(&rwlock), 0);
    CHECK_EQ(skua_await(skua_local_rwlock_writing(&rwlock)), 0);
    CHECK_EQ(skua_local_rwlock_downgrade(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_try_read(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_try_write(&rwlock), -EAGAIN);
    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_try_write(&rwlock), 0);
}

/* Readers, a writer, readers: each group is let in when the one before has left. */
TEST(local_rwlock_in_line)
{
    skua_local_rwlock rwlock = SKUA_LOCAL_RWLOCK_INIT;
    struct test_bell bells[4];
    skua_waker *wakers[4];
    skua_local_future waits[4];

    CHECK_EQ(skua_local_rwlock_try_read(&rwlock), 0);
    for (int i = 0; i < 4; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        if (i == 0)
            skua_local_rwlock_write_init(&waits[i], &rwlock);
        else
            skua_local_rwlock_read_init(&waits[i], &rwlock);
        CHECK_EQ(skua_future_poll(&waits[i].future, wakers[i]), SKUA_PENDING);
    }
    CHECK_EQ(skua_local_rwlock_try_read(&rwlock), -EAGAIN); /* a writer is in line */
    CHECK_EQ(skua_local_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_local_rwlock_downgrade(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_future_poll(&waits[0].future, wakers[0]), 0);
    for (int i = 1; i < 4; i++)
        CHECK_EQ(TEST_RINGS(&bells[i]), 0);
    skua_future_drop(&waits[2].future);
    CHECK_EQ(skua_local_rwlock_downgrade(&rwlock), 0); /* lets the readers behind it in */
    for (int i = 1; i < 4; i++)
        CHECK_EQ(TEST_RINGS(&bells[i]), i != 2);
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), 0);
    skua_future_drop(&waits[3].future);
    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_try_write(&rwlock), -EAGAIN);
    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_local_rwlock_read_unlock(&rwlock), SKUA_EUSAGE);
    for (int i = 0; i < 4; i++)
        test_bell_end(&bells[i]);
}

/* Readers that come and go without end do not keep a writer out. */
struct stage {
    skua_local_rwlock rwlock;
    int readers;
    int writers;
    bool done;
};

static int reads_again_and_again(void *arg)
{
    struct stage *stage = arg;

    while (!stage->done) {
        if (skua_local_rwlock_read_until(&stage->rwlock,
                                         skua_now() + (int64_t)(skua_test_random() % 9 + 1)) != 0)
            continue;
        stage->readers++;
        CHECK_EQ(stage->writers, 0);
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 5 + 1)), 0);
        stage->readers--;
        CHECK_EQ(skua_local_rwlock_read_unlock(&stage->rwlock), 0);
    }
    return 0;
}

static int writes_sometimes(void *arg)
{
    struct stage *stage = arg;

    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 5)), 0);
        CHECK_EQ(skua_local_rwlock_write(&stage->rwlock), 0);
        CHECK_EQ(stage->readers, 0);
        CHECK_EQ(stage->writers++, 0);
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 3)), 0);
        stage->writers--;
        if (i % 2 == 0) {
            CHECK_EQ(skua_local_rwlock_downgrade(&stage->rwlock), 0);
            CHECK_EQ(skua_sleep(1), 0);
            CHECK_EQ(stage->writers, 0);
            CHECK_EQ(skua_local_rwlock_read_unlock(&stage->rwlock), 0);
        } else {
            CHECK_EQ(skua_local_rwlock_write_unlock(&stage->rwlock), 0);
        }
    }
    return 0;
}

static int stage_explored(TEST_UNUSED void *arg)
{
    struct stage stage = {.rwlock = SKUA_LOCAL_RWLOCK_INIT};
    skua_scope readers, writers;

    MUST(skua_scope_open(&readers, SKUA_COLLECT) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&readers, reads_again_and_again, &stage) == 0);
    MUST(skua_scope_open(&writers, SKUA_COLLECT) == 0);
    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(&writers, writes_sometimes, &stage) == 0);
    CHECK_EQ(skua_scope_join(&writers), 0);
    stage.done = true;
    CHECK_EQ(skua_scope_join(&readers), 0);
    CHECK_EQ(skua_local_rwlock_try_write(&stage.rwlock), 0);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(local_rwlock_in_whatever_order)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), stage_explored, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_semaphore_is_made),
        TEST_WAITING_ENTRIES(local_semaphore_counts),
        cmocka_unit_test(local_semaphore_limits),
        cmocka_unit_test(local_semaphore_nothing_is_always_there),
        cmocka_unit_test(local_semaphore_a_small_request_does_not_pass_a_large_one),
        cmocka_unit_test(local_semaphore_a_release_lets_several_in),
        cmocka_unit_test(local_semaphore_a_part_goes_to_the_next_in_line),
        cmocka_unit_test(local_semaphore_closed_while_some_wait),
        cmocka_unit_test(local_semaphore_closed_behind_a_grant),
        TEST_WAITING_ENTRIES(local_semaphore_closed_for_who_comes),
        cmocka_unit_test(local_semaphore_in_whatever_order),
        TEST_WAITING_ENTRIES(local_mutex_locks),
        TEST_WAITING_ENTRIES(local_rwlock_locks),
        cmocka_unit_test(local_rwlock_in_line),
        cmocka_unit_test(local_rwlock_in_whatever_order),
    };

    return TEST_MAIN(tests);
}
