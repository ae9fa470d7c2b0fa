/* test_rwlock.c - many readers or one writer, in the order they came.
 *
 * Specifies sync.h, rwlock: a writer in line keeps later readers behind it, and is not starved; the
 * readers between two writers go together; downgrading; dropped waits; misuse.
 */
#include "../lib/line.h"

/* ---- as something to line up for ------------------------------------------------------------- */

static int wait_write(void *object, int64_t deadline)
{
    return skua_rwlock_write_until(object, deadline);
}

static skua_future *init_write(skua_sync_future *wait, void *object)
{
    return skua_rwlock_write_init(wait, object);
}

static int wait_read(void *object, int64_t deadline)
{
    return skua_rwlock_read_until(object, deadline);
}

static skua_future *init_read(skua_sync_future *wait, void *object)
{
    return skua_rwlock_read_init(wait, object);
}

static int length(void *object)
{
    return TEST_LINE(&((skua_rwlock *)object)->semaphore);
}

static void pass_write(void *object)
{
    CHECK_EQ(skua_rwlock_write_unlock(object), 0);
}

static void pass_read(void *object)
{
    CHECK_EQ(skua_rwlock_read_unlock(object), 0);
}

static const struct test_line_ops writing = {wait_write, init_write, length, pass_write};
static const struct test_line_ops reading = {wait_read, init_read, length, pass_write};
/* A writer waits for a reader. */
static const struct test_line_ops writing_behind = {wait_write, init_write, length, pass_read};

static void check_free(skua_rwlock *rwlock)
{
    CHECK_EQ(length(rwlock), 0);
    CHECK_EQ(skua_rwlock_try_write(rwlock), 0);
    CHECK_EQ(skua_rwlock_write_unlock(rwlock), 0);
}

/* ---- locking --------------------------------------------------------------------------------- */

static void check_basics(void)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    check_free(&rwlock);
    CHECK_EQ(skua_rwlock_read(&rwlock), 0);
    CHECK_EQ(skua_rwlock_try_read(&rwlock), 0);
    CHECK_EQ(skua_rwlock_read_until(&rwlock, 0), 0);
    CHECK_EQ(skua_rwlock_try_write(&rwlock), -EAGAIN);
    CHECK_EQ(skua_rwlock_write_until(&rwlock, skua_now() + MS(1)), -ETIMEDOUT);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    CHECK_EQ(skua_rwlock_try_read(&rwlock), -EAGAIN);
    CHECK_EQ(skua_rwlock_try_write(&rwlock), -EAGAIN);
    CHECK_EQ(skua_rwlock_read_until(&rwlock, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_rwlock_write_until(&rwlock, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), 0);
    CHECK_EQ(skua_rwlock_write_until(&rwlock, 0), 0);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), 0);
    check_free(&rwlock);
}

TEST_FIBER(rwlock_on_a_fiber)
{
    check_basics();
    return 0;
}

TEST(rwlock_on_a_thread)
{
    check_basics();
}

TEST(rwlock_misused)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_downgrade(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_read(&rwlock), 0);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_downgrade(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), 0);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    check_free(&rwlock);
}

/* A writer in line is not one that holds it. */
TEST(rwlock_misused_while_a_writer_waits)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_sync_future wait;

    CHECK_EQ(skua_rwlock_read(&rwlock), 0);
    CHECK_EQ(skua_future_poll(skua_rwlock_write_init(&wait, &rwlock), waker), SKUA_PENDING);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_downgrade(&rwlock), SKUA_EUSAGE);
    CHECK_EQ(TEST_RINGS(&bell), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_future_poll(&wait.future, waker), 0);
    test_bell_end(&bell);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), 0);
    check_free(&rwlock);
}

/* ---- in line --------------------------------------------------------------------------------- */

TEST(rwlock_lets_in_first_in_first_out)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_rwlock rwlock = SKUA_RWLOCK_INIT;

        CHECK_EQ(skua_rwlock_write(&rwlock), 0);
        test_line_in_order(&writing, &rwlock, first, second);
        CHECK_EQ(skua_rwlock_write(&rwlock), 0);
        test_line_together(&reading, &rwlock, first, second); /* each has a read now */
        CHECK_EQ(skua_rwlock_try_write(&rwlock), -EAGAIN);
        for (int n = 0; n < 9; n++)
            CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
        CHECK_EQ(skua_rwlock_read_unlock(&rwlock), SKUA_EUSAGE);
        check_free(&rwlock);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(rwlock_lets_in_on_one_runtime)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    test_line_in_order(&writing, &rwlock, arg, arg);
    check_free(&rwlock);
    return 0;
}

/* A line of readers and writers, polled by hand. */
struct queue {
    skua_rwlock rwlock;
    struct test_bell bells[8];
    skua_waker *wakers[8];
    skua_sync_future waits[8];
    int count;
};

/* `who`: r and w, in the order they come. */
static void queue_up(struct queue *self, const char *who)
{
    for (; *who != 0; who++) {
        int at = self->count++;

        self->wakers[at] = test_bell_init(&self->bells[at]);
        if (*who == 'r')
            skua_rwlock_read_init(&self->waits[at], &self->rwlock);
        else
            skua_rwlock_write_init(&self->waits[at], &self->rwlock);
        CHECK_EQ(skua_future_poll(&self->waits[at].future, self->wakers[at]), SKUA_PENDING);
    }
}

/* Those before `woken` were let in. */
static void check_let_in(struct queue *self, int woken)
{
    for (int i = 0; i < self->count; i++)
        CHECK_EQ(TEST_RINGS(&self->bells[i]), i < woken);
}

static void take(struct queue *self, int at)
{
    CHECK_EQ(skua_future_poll(&self->waits[at].future, self->wakers[at]), 0);
    test_bell_end(&self->bells[at]);
}

static void give_up(struct queue *self, int at)
{
    skua_future_drop(&self->waits[at].future);
    test_bell_end(&self->bells[at]);
}

TEST(rwlock_a_writer_is_not_starved)
{
    struct queue queue = {.rwlock = SKUA_RWLOCK_INIT};

    CHECK_EQ(skua_rwlock_read(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_read(&queue.rwlock), 0);
    queue_up(&queue, "wrr");
    CHECK_EQ(skua_rwlock_try_read(&queue.rwlock), -EAGAIN); /* behind the writer, too */
    CHECK_EQ(skua_rwlock_read_until(&queue.rwlock, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 1);
    take(&queue, 0);
    CHECK_EQ(skua_rwlock_write_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 3);
    take(&queue, 1);
    take(&queue, 2);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_free(&queue.rwlock);
}

TEST(rwlock_readers_between_writers_go_together)
{
    struct queue queue = {.rwlock = SKUA_RWLOCK_INIT};

    CHECK_EQ(skua_rwlock_write(&queue.rwlock), 0);
    queue_up(&queue, "rrwwrr");
    CHECK_EQ(skua_rwlock_write_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 2);
    take(&queue, 0);
    take(&queue, 1);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 2);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 3);
    take(&queue, 2);
    CHECK_EQ(skua_rwlock_write_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 4);
    take(&queue, 3);
    CHECK_EQ(skua_rwlock_write_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 6);
    take(&queue, 4);
    take(&queue, 5);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_free(&queue.rwlock);
}

TEST(rwlock_downgraded)
{
    struct queue queue = {.rwlock = SKUA_RWLOCK_INIT};

    CHECK_EQ(skua_rwlock_write(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_downgrade(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_try_write(&queue.rwlock), -EAGAIN);
    CHECK_EQ(skua_rwlock_try_read(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_downgrade(&queue.rwlock), SKUA_EUSAGE);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_free(&queue.rwlock);
    CHECK_EQ(skua_rwlock_write(&queue.rwlock), 0);
    queue_up(&queue, "rwr");
    CHECK_EQ(skua_rwlock_downgrade(&queue.rwlock), 0);
    check_let_in(&queue, 1); /* the reader beside it; the writer waits for both */
    take(&queue, 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 1);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_let_in(&queue, 2);
    take(&queue, 1);
    CHECK_EQ(skua_rwlock_downgrade(&queue.rwlock), 0);
    check_let_in(&queue, 3);
    take(&queue, 2);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    check_free(&queue.rwlock);
}

/* ---- cancelled, dropped ---------------------------------------------------------------------- */

TEST_FIBER(rwlock_cancelled)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    test_line_cancel(&reading, &rwlock, arg);
    test_line_cancel(&writing, &rwlock, arg);
    test_line_shield(&writing, &rwlock);
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), 0);
    check_free(&rwlock);
    CHECK_EQ(skua_rwlock_read(&rwlock), 0);
    test_line_cancel(&writing_behind, &rwlock, arg);
    CHECK_EQ(skua_rwlock_try_read(&rwlock), 0); /* nothing was taken */
    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
    check_free(&rwlock);
    return 0;
}

TEST(rwlock_dropped_when_granted)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    test_line_drop(&writing, &rwlock);
    check_free(&rwlock);
}

TEST_FIBER_CURRENT(rwlock_cancelled_when_granted)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    test_line_cancel_granted(&writing, &rwlock, arg);
    check_free(&rwlock);
    return 0;
}

/* A writer that gives up lets the readers behind it in beside those that read already. */
TEST(rwlock_a_writer_gives_up)
{
    struct queue queue = {.rwlock = SKUA_RWLOCK_INIT};

    CHECK_EQ(skua_rwlock_read(&queue.rwlock), 0);
    queue_up(&queue, "wrrwr");
    give_up(&queue, 0);
    CHECK_EQ(TEST_RINGS(&queue.bells[1]), 1);
    CHECK_EQ(TEST_RINGS(&queue.bells[2]), 1);
    CHECK_EQ(TEST_RINGS(&queue.bells[3]), 0);
    CHECK_EQ(TEST_RINGS(&queue.bells[4]), 0);
    take(&queue, 1);
    give_up(&queue, 2); /* granted */
    give_up(&queue, 3);
    take(&queue, 4);
    CHECK_EQ(skua_rwlock_try_read(&queue.rwlock), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), 0);
    CHECK_EQ(skua_rwlock_read_unlock(&queue.rwlock), SKUA_EUSAGE);
    check_free(&queue.rwlock);
}

/* ---- what it is for -------------------------------------------------------------------------- */

enum { USERS = 4, ROUNDS = 30 };

struct pair {
    skua_rwlock rwlock;
    int left, right; /* rwlock: always the same */
    atomic_int readers;
};

static int reads(void *arg)
{
    struct pair *pair = arg;

    for (int i = 0; i < ROUNDS; i++) {
        int left;

        CHECK_EQ(skua_rwlock_read(&pair->rwlock), 0);
        atomic_fetch_add(&pair->readers, 1);
        left = pair->left;
        skua_yield();
        CHECK_EQ(pair->right, left);
        atomic_fetch_sub(&pair->readers, 1);
        CHECK_EQ(skua_rwlock_read_unlock(&pair->rwlock), 0);
    }
    return 0;
}

static int writes(void *arg)
{
    struct pair *pair = arg;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(skua_rwlock_write(&pair->rwlock), 0);
        CHECK_EQ(atomic_load(&pair->readers), 0);
        pair->left++;
        skua_yield();
        CHECK_EQ(++pair->right, pair->left);
        CHECK_EQ(atomic_load(&pair->readers), 0);
        CHECK_EQ(skua_rwlock_write_unlock(&pair->rwlock), 0);
    }
    return 0;
}

TEST_FIBER(rwlock_guards_what_fibers_use)
{
    struct pair pair = {.rwlock = SKUA_RWLOCK_INIT};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < USERS; i++) {
        CHECK_EQ(skua_spawn(&scope, reads, &pair), 0);
        CHECK_EQ(skua_spawn(&scope, writes, &pair), 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(pair.left, USERS * ROUNDS);
    CHECK_EQ(pair.right, USERS * ROUNDS);
    check_free(&pair.rwlock);
    return 0;
}

static int reads_and_writes(void *arg)
{
    CHECK_EQ(skua_rwlock_read(arg), 0);
    CHECK_EQ(skua_rwlock_read_unlock(arg), 0);
    CHECK_EQ(skua_rwlock_write(arg), 0);
    return skua_rwlock_write_unlock(arg);
}

TEST_FIBER_CURRENT(rwlock_spends_budget)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    test_line_budget(reads_and_writes, &rwlock);
    return 0;
}

TEST_FIBER(rwlock_names_the_wait)
{
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    CHECK_EQ(skua_rwlock_write(&rwlock), 0);
    test_line_name(&reading, &rwlock, arg, "rwlock.read");
    test_line_name(&writing, &rwlock, arg, "rwlock.write");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rwlock_on_a_fiber),
        cmocka_unit_test(rwlock_on_a_thread),
        cmocka_unit_test(rwlock_misused),
        cmocka_unit_test(rwlock_misused_while_a_writer_waits),
        cmocka_unit_test(rwlock_lets_in_first_in_first_out),
        cmocka_unit_test(rwlock_lets_in_on_one_runtime),
        cmocka_unit_test(rwlock_a_writer_is_not_starved),
        cmocka_unit_test(rwlock_readers_between_writers_go_together),
        cmocka_unit_test(rwlock_downgraded),
        cmocka_unit_test(rwlock_cancelled),
        cmocka_unit_test(rwlock_dropped_when_granted),
        cmocka_unit_test(rwlock_cancelled_when_granted),
        cmocka_unit_test(rwlock_a_writer_gives_up),
        cmocka_unit_test(rwlock_guards_what_fibers_use),
        cmocka_unit_test(rwlock_spends_budget),
        cmocka_unit_test(rwlock_names_the_wait),
    };

    return TEST_MAIN(tests);
}
