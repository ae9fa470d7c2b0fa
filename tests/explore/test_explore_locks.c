/* test_explore_locks.c - mutex, semaphore and rwlock in 1,000 orders.
 *
 * Explored: fibers and poll tasks lock in every way there is (plain, until, try, as the side of a
 * select that may lose), hold the lock over waits, and are cancelled while they wait, at the moment
 * when they are let in, and while they hold it. A semaphore is closed in the middle.
 *
 * Always: never two holders, never more permits out than there are; first in, first out among those
 * that were not dropped, so that a writer does not starve; and afterwards everything is free: what
 * a dropped wait was granted was passed on, and at the end given back.
 */
#include "explore.h"

enum { WORKERS = 4, ROUNDS = 3 };

/* ---- mutex ----------------------------------------------------------------------------------- */

struct bolt {
    skua_mutex mutex;
    struct explore_line line;
    int holders;
    int let_in;
};

static void hold(struct bolt *bolt)
{
    CHECK_EQ(bolt->holders++, 0);
    bolt->let_in++;
    explore_dawdle();
    CHECK_EQ(bolt->holders--, 1);
    CHECK_EQ(skua_mutex_unlock(&bolt->mutex), 0);
}

static int lock_somehow(struct bolt *bolt)
{
    struct explore_wait wait;
    skua_sleep_future nap;
    int64_t result = -EAGAIN;

    switch (explore_pick(5)) {
    case 0:
        return skua_mutex_lock(&bolt->mutex);
    case 1:
        return skua_mutex_lock_until(&bolt->mutex, explore_soon(3));
    case 2: {
        int queued = explore_queued(&bolt->line);
        int rc = skua_mutex_try_lock(&bolt->mutex);

        CHECK(rc != 0 || queued == 0);
        return rc;
    }
    case 3:
        skua_mutex_lock_init(&wait.inner, &bolt->mutex);
        if (skua_select_to(&result, explore_wait_init(&wait, &bolt->line), explore_nap(&nap)) != 0)
            return -EAGAIN;
        return (int)result;
    default:
        skua_mutex_lock_init(&wait.inner, &bolt->mutex);
        return (int)skua_await(explore_wait_init(&wait, &bolt->line));
    }
}

static int locker(void *arg)
{
    struct bolt *bolt = arg;
    int rc = 0;

    for (int i = 0; i < ROUNDS && rc != -ECANCELED; i++) {
        rc = explore_wander();
        if (rc == 0)
            rc = lock_somehow(bolt);
        if (rc == 0)
            hold(bolt);
    }
    return rc;
}

struct polled_locker {
    skua_async async;
    int round;
    struct bolt *bolt;
    skua_sleep_future sleep;
    struct explore_wait wait;
};

/* Cancelled while it waits for the lock it has nothing; while it holds it, it unlocks. */
static skua_poll polled_locker(void *state, skua_waker *waker)
{
    struct polled_locker *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    for (self->round = 0; self->round < ROUNDS; self->round++) {
        SKUA_AWAIT(explore_nap(&self->sleep));
        skua_mutex_lock_init(&self->wait.inner, &self->bolt->mutex);
        SKUA_AWAIT(explore_wait_init(&self->wait, &self->bolt->line));
        CHECK_EQ(self->bolt->holders++, 0);
        self->bolt->let_in++;
        SKUA_AWAIT_TO(rc, explore_nap(&self->sleep));
        CHECK_EQ(self->bolt->holders--, 1);
        CHECK_EQ(skua_mutex_unlock(&self->bolt->mutex), 0);
        if (rc < 0)
            return rc;
    }
    SKUA_ASYNC_END(0);
}

EXPLORE(mutex_has_one_holder_and_none_at_the_end)
{
    struct bolt bolt = {.mutex = SKUA_MUTEX_INIT};
    struct polled_locker polled = {.bolt = &bolt};
    struct explore_crew crew;

    explore_open(&crew);
    for (int i = 0; i < WORKERS; i++)
        explore_add(&crew, locker, &bolt);
    for (int i = 0; i < WORKERS / 2; i++)
        explore_add_poll(&crew, polled_locker, &polled, sizeof polled);
    explore_cancel_some(&crew, 0, 4);
    (void)explore_join(&crew);
    CHECK_EQ(bolt.holders, 0);
    CHECK(bolt.line.first == NULL);
    CHECK_EQ(skua_mutex_try_lock(&bolt.mutex), 0);
    CHECK_EQ(skua_mutex_unlock(&bolt.mutex), 0);
    CHECK_EQ(skua_mutex_unlock(&bolt.mutex), SKUA_EUSAGE);
    return 0;
}

/* ---- semaphore ------------------------------------------------------------------------------- */

enum { PERMITS = 3 };

struct pool {
    skua_semaphore sema;
    struct explore_line line;
    size_t all; /* free or out */
    size_t out;
    bool closed;
};

static int acquire_somehow(struct pool *pool, size_t permits)
{
    struct explore_wait wait;
    skua_sleep_future nap;
    int64_t result = -EAGAIN;

    switch (explore_pick(4)) {
    case 0:
        return skua_semaphore_acquire_until(&pool->sema, permits, explore_soon(3));
    case 1: {
        int queued = explore_queued(&pool->line);
        int rc = skua_semaphore_try_acquire(&pool->sema, permits);

        CHECK(rc != 0 || queued == 0);
        return rc;
    }
    case 2:
        skua_semaphore_acquire_init(&wait.inner, &pool->sema, permits);
        if (skua_select_to(&result, explore_nap(&nap), explore_wait_init(&wait, &pool->line)) != 1)
            return -EAGAIN;
        return (int)result;
    default:
        skua_semaphore_acquire_init(&wait.inner, &pool->sema, permits);
        return (int)skua_await(explore_wait_init(&wait, &pool->line));
    }
}

static int acquirer(void *arg)
{
    struct pool *pool = arg;
    int rc = 0;

    for (int i = 0; i < ROUNDS && rc != -ECANCELED && rc != SKUA_ECLOSED; i++) {
        size_t permits = 1 + explore_pick(PERMITS);
        bool was_closed;

        rc = explore_wander();
        was_closed = pool->closed;
        if (rc == 0)
            rc = acquire_somehow(pool, permits);
        if (rc == SKUA_ECLOSED)
            CHECK(pool->closed);
        if (rc != 0)
            continue;
        CHECK(!was_closed);
        pool->out += permits;
        CHECK_RANGE(pool->out, permits, pool->all);
        explore_dawdle();
        pool->out -= permits;
        CHECK_EQ(skua_semaphore_release(&pool->sema, permits), 0);
    }
    return rc;
}

struct polled_acquirer {
    skua_async async;
    int round;
    struct pool *pool;
    skua_sleep_future sleep;
    struct explore_wait wait;
};

static skua_poll polled_acquirer(void *state, skua_waker *waker)
{
    struct polled_acquirer *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    for (self->round = 0; self->round < ROUNDS; self->round++) {
        skua_semaphore_acquire_init(&self->wait.inner, &self->pool->sema, 2);
        SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &self->pool->line));
        if (rc != 0)
            return rc;
        self->pool->out += 2;
        CHECK_RANGE(self->pool->out, 2, self->pool->all);
        SKUA_AWAIT_TO(rc, explore_nap(&self->sleep));
        self->pool->out -= 2;
        CHECK_EQ(skua_semaphore_release(&self->pool->sema, 2), 0);
        if (rc < 0)
            return rc;
    }
    SKUA_ASYNC_END(0);
}

static void crowd(struct explore_crew *crew, struct pool *pool)
{
    struct polled_acquirer polled = {.pool = pool};

    explore_open(crew);
    for (int i = 0; i < WORKERS; i++)
        explore_add(crew, acquirer, pool);
    for (int i = 0; i < WORKERS / 2; i++)
        explore_add_poll(crew, polled_acquirer, &polled, sizeof polled);
}

/* Permits are taken out and put in meanwhile, too; in the end there are all that there must be. */
EXPLORE(semaphore_keeps_its_permits)
{
    struct pool pool = {.sema = SKUA_SEMAPHORE_INIT(PERMITS), .all = PERMITS};
    struct explore_crew crew;
    size_t gone;

    crowd(&crew, &pool);
    (void)explore_wander();
    gone = skua_semaphore_forget(&pool.sema, 1 + explore_pick(2));
    pool.all -= gone;
    explore_cancel_some(&crew, 0, 4);
    pool.all += gone;
    CHECK_EQ(skua_semaphore_release(&pool.sema, gone), 0);
    (void)explore_join(&crew);
    CHECK_EQ(pool.out, 0);
    CHECK(pool.line.first == NULL);
    CHECK_EQ(skua_semaphore_available(&pool.sema), PERMITS);
    return 0;
}

EXPLORE(semaphore_closed_in_the_middle_ends_all)
{
    struct pool pool = {.sema = SKUA_SEMAPHORE_INIT(PERMITS), .all = PERMITS};
    struct explore_crew crew;

    crowd(&crew, &pool);
    explore_cancel_some(&crew, 0, 2);
    (void)explore_wander();
    pool.closed = true;
    skua_semaphore_close(&pool.sema);
    CHECK_EQ(explore_queued(&pool.line), 0);
    explore_cancel_some(&crew, 0, 2);
    (void)explore_join(&crew);
    CHECK_EQ(pool.out, 0);
    CHECK_EQ(skua_semaphore_available(&pool.sema), PERMITS);
    CHECK_EQ(skua_semaphore_acquire(&pool.sema, 1), SKUA_ECLOSED);
    return 0;
}

/* ---- rwlock ---------------------------------------------------------------------------------- */

struct book {
    skua_rwlock rwlock;
    struct explore_line line;
    int readers;
    int writers;
};

static int open_somehow(struct book *book, bool write)
{
    struct explore_wait wait;
    skua_sleep_future nap;
    int64_t result = -EAGAIN;
    int queued = explore_queued(&book->line);
    int rc;

    switch (explore_pick(4)) {
    case 0:
        return write ? skua_rwlock_write_until(&book->rwlock, explore_soon(3))
                     : skua_rwlock_read_until(&book->rwlock, explore_soon(3));
    case 1:
        rc = write ? skua_rwlock_try_write(&book->rwlock) : skua_rwlock_try_read(&book->rwlock);
        CHECK(rc != 0 || queued == 0);
        return rc;
    default:
        if (write)
            skua_rwlock_write_init(&wait.inner, &book->rwlock);
        else
            skua_rwlock_read_init(&wait.inner, &book->rwlock);
        if (explore_pick(2) == 0)
            return (int)skua_await(explore_wait_init(&wait, &book->line));
        if (skua_select_to(&result, explore_wait_init(&wait, &book->line), explore_nap(&nap)) != 0)
            return -EAGAIN;
        return (int)result;
    }
}

static void read_on(struct book *book)
{
    CHECK_EQ(book->writers, 0);
    book->readers++;
    explore_dawdle();
    book->readers--;
    CHECK_EQ(book->writers, 0);
    CHECK_EQ(skua_rwlock_read_unlock(&book->rwlock), 0);
}

static void write_on(struct book *book)
{
    CHECK_EQ(book->readers, 0);
    CHECK_EQ(book->writers++, 0);
    explore_dawdle();
    CHECK_EQ(book->writers--, 1);
    CHECK_EQ(book->readers, 0);
    if (explore_pick(2) == 0) {
        CHECK_EQ(skua_rwlock_write_unlock(&book->rwlock), 0);
    } else {
        CHECK_EQ(skua_rwlock_downgrade(&book->rwlock), 0);
        read_on(book);
    }
}

static int reader_or_writer(void *arg)
{
    struct book *book = arg;
    int rc = 0;

    for (int i = 0; i < ROUNDS && rc != -ECANCELED; i++) {
        bool write = explore_pick(3) == 0;

        rc = explore_wander();
        if (rc == 0)
            rc = open_somehow(book, write);
        if (rc == 0 && write)
            write_on(book);
        else if (rc == 0)
            read_on(book);
    }
    return rc;
}

EXPLORE(rwlock_has_one_writer_or_readers)
{
    struct book book = {.rwlock = SKUA_RWLOCK_INIT};
    struct explore_crew crew;

    explore_open(&crew);
    for (int i = 0; i < WORKERS + 2; i++)
        explore_add(&crew, reader_or_writer, &book);
    explore_cancel_some(&crew, 0, 4);
    (void)explore_join(&crew);
    CHECK_EQ(book.readers + book.writers, 0);
    CHECK(book.line.first == NULL);
    CHECK_EQ(skua_rwlock_try_write(&book.rwlock), 0);
    CHECK_EQ(skua_rwlock_write_unlock(&book.rwlock), 0);
    return 0;
}

/* Readers come again and again, and overlap; the writer is let in when those before it are done. */
static int steady_reader(void *arg)
{
    struct book *book = arg;

    while (book->writers == 0) {
        MUST(skua_rwlock_read(&book->rwlock) == 0);
        CHECK_EQ(skua_sleep((1 + explore_pick(2)) * EXPLORE_UNIT), 0);
        CHECK_EQ(skua_rwlock_read_unlock(&book->rwlock), 0);
    }
    return 0;
}

EXPLORE(rwlock_writer_does_not_starve)
{
    struct book book = {.rwlock = SKUA_RWLOCK_INIT};
    struct explore_crew crew;
    int64_t begin;

    explore_open(&crew);
    for (int i = 0; i < 3; i++)
        explore_add(&crew, steady_reader, &book);
    (void)explore_wander();
    begin = skua_now();
    CHECK_EQ(skua_rwlock_write_until(&book.rwlock, begin + 100 * EXPLORE_UNIT), 0);
    CHECK_RANGE(skua_now() - begin, 0, 2 * EXPLORE_UNIT);
    book.writers = 1;
    CHECK_EQ(skua_rwlock_write_unlock(&book.rwlock), 0);
    return explore_join(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutex_has_one_holder_and_none_at_the_end),
        cmocka_unit_test(semaphore_keeps_its_permits),
        cmocka_unit_test(semaphore_closed_in_the_middle_ends_all),
        cmocka_unit_test(rwlock_has_one_writer_or_readers),
        cmocka_unit_test(rwlock_writer_does_not_starve),
    };

    return TEST_MAIN(tests);
}
