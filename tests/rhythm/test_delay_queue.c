/* test_delay_queue.c - values that come out when their time has come.
 *
 * Specifies delay_queue.h. Everything about time is to the nanosecond, under a test's clock.
 */
#include "line.h"
#include "part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_delay_queue *queue_of(size_t capacity)
{
    skua_delay_queue *queue = NULL;

    MUST(skua_delay_queue_new(&queue, sizeof(int),
                              SKUA_DELAY_QUEUE_OPTIONS(.capacity = capacity)) == 0);
    return queue;
}

static skua_delay_key put(skua_delay_queue *queue, int value, int64_t deadline)
{
    skua_delay_key key = {0, 0};

    CHECK_EQ(skua_delay_queue_insert(queue, &value, deadline, &key), 0);
    return key;
}

/* The next value is `value`, and comes at `moment`. */
static void check_next(skua_delay_queue *queue, int value, int64_t moment)
{
    int got = -1;

    CHECK_EQ(skua_delay_queue_next(queue, &got), 0);
    CHECK_EQ(got, value);
    CHECK_EQ(skua_now(), moment);
}

/* ---- one at a time --------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(values_come_by_deadline)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    int got = -1;

    CHECK_EQ(skua_delay_queue_try_next(queue, &got), -EAGAIN);
    (void)put(queue, 3, begin + 30);
    (void)put(queue, 1, begin + 10);
    (void)put(queue, 2, begin + 20);
    (void)put(queue, 0, begin - 5);
    CHECK_EQ(skua_delay_queue_len(queue), 4);
    CHECK_EQ(skua_delay_queue_try_next(queue, &got), 0);
    CHECK_EQ(got, 0);
    CHECK_EQ(skua_delay_queue_try_next(queue, &got), -EAGAIN);
    CHECK_EQ(skua_sleep(9), 0);
    CHECK_EQ(skua_delay_queue_try_next(queue, &got), -EAGAIN);
    check_next(queue, 1, begin + 10);
    check_next(queue, 2, begin + 20);
    CHECK_EQ(skua_delay_queue_next_until(queue, &got, begin + 29), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + 29);
    check_next(queue, 3, begin + 30);
    CHECK_EQ(skua_delay_queue_insert_after(queue, &got, 15, NULL), 0);
    check_next(queue, 0, begin + 45);
    CHECK_EQ(skua_delay_queue_insert_after(queue, &got, -15, NULL), 0);
    check_next(queue, 0, begin + 45);
    CHECK_EQ(skua_delay_queue_insert(queue, &got, INT64_MIN, NULL), 0);
    check_next(queue, 0, begin + 45);
    CHECK_EQ(skua_delay_queue_len(queue), 0);
    skua_delay_queue_free(queue);
    return 0;
}

TEST_FIBER_CLOCK(equal_deadlines_come_in_order_of_insertion)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t moment = skua_now() + 10;
    skua_delay_key key;

    for (int i = 0; i < 500; i++)
        (void)put(queue, i, moment);
    for (int i = 0; i < 250; i++)
        check_next(queue, i, moment);
    for (int i = 500; i < 600; i++)
        (void)put(queue, i, moment);
    key = put(queue, 600, moment + 5);
    (void)put(queue, 601, moment);
    CHECK_EQ(skua_delay_queue_reset(queue, key, moment), 0);
    for (int i = 250; i < 602; i++)
        check_next(queue, i, moment);
    skua_delay_queue_free(queue);
    return 0;
}

TEST_FIBER_CLOCK(peek_leaves_it_there)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    int64_t deadline = 99;
    int got = 99;

    CHECK_EQ(skua_delay_queue_peek(queue, &got, &deadline), -EAGAIN);
    CHECK_EQ(got, 99);
    CHECK_EQ(deadline, 99);
    (void)put(queue, 2, begin + 20);
    (void)put(queue, 1, begin + 10);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_delay_queue_peek(queue, &got, &deadline), 0);
        CHECK_EQ(got, 1);
        CHECK_EQ(deadline, begin + 10);
    }
    CHECK_EQ(skua_delay_queue_peek(queue, NULL, NULL), 0);
    CHECK_EQ(skua_delay_queue_len(queue), 2);
    skua_delay_queue_free(queue);
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------ */

TEST_FIBER_CLOCK(keys_move_and_remove)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    skua_delay_key keys[5];
    int got = -1;

    for (int i = 0; i < 5; i++)
        keys[i] = put(queue, i, begin + 10 * (i + 1));
    CHECK_EQ(skua_delay_queue_reset(queue, keys[0], begin + 45), 0); /* later */
    CHECK_EQ(skua_delay_queue_reset_after(queue, keys[4], 5), 0);    /* earlier */
    CHECK_EQ(skua_delay_queue_remove(queue, keys[2], &got), 0);
    CHECK_EQ(got, 2);
    check_next(queue, 4, begin + 5);
    check_next(queue, 1, begin + 20);
    check_next(queue, 3, begin + 40);
    CHECK_EQ(skua_sleep(10), 0);
    CHECK_EQ(skua_delay_queue_reset_after(queue, keys[0], 10), 0); /* expired, and not taken */
    check_next(queue, 0, begin + 60);
    keys[0] = put(queue, 7, begin);
    CHECK_EQ(skua_delay_queue_remove(queue, keys[0], NULL), 0);
    CHECK_EQ(skua_delay_queue_len(queue), 0);
    skua_delay_queue_free(queue);
    return 0;
}

static void check_stale(skua_delay_queue *queue, skua_delay_key key)
{
    int got = 99;

    CHECK_EQ(skua_delay_queue_remove(queue, key, &got), -ENOENT);
    CHECK_EQ(skua_delay_queue_reset(queue, key, 0), -ENOENT);
    CHECK_EQ(skua_delay_queue_reset_after(queue, key, 0), -ENOENT);
    CHECK_EQ(got, 99);
}

TEST_FIBER_CLOCK(keys_become_stale)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    skua_delay_key first = put(queue, 1, begin);
    skua_delay_key second;

    check_stale(queue, (skua_delay_key){0, 0});
    check_stale(queue, (skua_delay_key){first.number, 1});
    check_stale(queue, (skua_delay_key){first.number, UINT64_MAX});
    check_stale(queue, (skua_delay_key){first.number + 1, 0});
    check_next(queue, 1, begin);
    check_stale(queue, first);
    check_stale(queue, (skua_delay_key){0, 0});
    second = put(queue, 2, begin);
    CHECK_EQ(second.slot, first.slot); /* the same place, another value */
    check_stale(queue, first);
    CHECK_EQ(skua_delay_queue_remove(queue, second, NULL), 0);
    check_stale(queue, second);
    first = put(queue, 3, begin);
    second = put(queue, 4, begin);
    skua_delay_queue_clear(queue);
    CHECK_EQ(skua_delay_queue_len(queue), 0);
    check_stale(queue, first);
    check_stale(queue, second);
    (void)put(queue, 5, begin);
    check_stale(queue, first);
    check_stale(queue, second);
    (void)put(queue, 6, begin);
    check_stale(queue, second);
    check_next(queue, 5, begin);
    check_next(queue, 6, begin);
    skua_delay_queue_free(queue);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct taker {
    skua_delay_queue *queue;
    skua_task *task;
    int64_t until;
    int64_t moment; /* when it came */
    int got;
    int rc;
};

static int takes(void *arg)
{
    struct taker *self = arg;

    self->rc = skua_delay_queue_next_until(self->queue, &self->got, self->until);
    self->moment = skua_now();
    return 0;
}

struct takes_in_poll {
    skua_async async;
    struct taker *self;
    skua_timed_future next;
    skua_poll answer;
};

static skua_poll takes_in_poll(void *state, skua_waker *waker)
{
    struct takes_in_poll *in = state;

    SKUA_ASYNC(in, waker);
    SKUA_AWAIT_TO(in->answer,
                  skua_delay_queue_next_init(&in->next, in->self->queue, &in->self->got));
    in->self->rc = (int)in->answer;
    in->self->moment = skua_now();
    SKUA_ASYNC_END(0);
}

/* Every other one is a poll task. All stand in line when this returns, in order. */
static void line_up(struct taker *takers, int count, skua_delay_queue *queue)
{
    for (int i = 0; i < count; i++) {
        takers[i] = (struct taker){.queue = queue, .until = SKUA_FOREVER, .got = -1, .rc = 1};
        if (i % 2 == 0)
            MUST(skua_spawn(NULL, takes, &takers[i], .task = &takers[i].task) == 0);
        else
            MUST(skua_spawn_poll(NULL, takes_in_poll, (&(struct takes_in_poll){.self = &takers[i]}),
                                 .task = &takers[i].task) == 0);
    }
    CHECK_EQ(skua_sleep(1), 0);
}

static void check_taker(struct taker *taker, int rc, int got, int64_t moment)
{
    CHECK_EQ(skua_task_join(taker->task, NULL), 0);
    CHECK_EQ(taker->rc, rc);
    CHECK_EQ(taker->got, got);
    CHECK_EQ(taker->moment, moment);
}

TEST_FIBER_CLOCK(waiters_stand_in_line)
{
    skua_delay_queue *queue = queue_of(0);
    struct taker takers[6];
    int64_t begin;
    int got = -1;

    line_up(takers, 6, queue);
    begin = skua_now();
    for (int i = 0; i < 4; i++)
        (void)put(queue, i, begin + 100 * (i + 1)); /* the first is told of the first alone */
    (void)put(queue, 10, begin + 100);
    (void)put(queue, 11, begin); /* there is a line: it is not for who comes now */
    CHECK_EQ(skua_delay_queue_try_next(queue, &got), -EAGAIN);
    check_taker(&takers[0], 0, 11, begin);
    check_taker(&takers[1], 0, 0, begin + 100);
    check_taker(&takers[2], 0, 10, begin + 100);
    check_taker(&takers[3], 0, 1, begin + 200);
    check_taker(&takers[4], 0, 2, begin + 300);
    check_taker(&takers[5], 0, 3, begin + 400);
    skua_delay_queue_free(queue);
    return 0;
}

TEST_FIBER_CLOCK(an_earlier_insert_is_waited_for)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    struct taker taker;
    skua_delay_key key;

    (void)put(queue, 1, begin + 1000);
    line_up(&taker, 1, queue);
    (void)put(queue, 2, begin + 2000);
    (void)put(queue, 3, begin + 500);
    check_taker(&taker, 0, 3, begin + 500);
    line_up(&taker, 1, queue);
    key = put(queue, 4, begin + 3000);
    CHECK_EQ(skua_delay_queue_reset(queue, key, begin + 600), 0);
    check_taker(&taker, 0, 4, begin + 600);
    line_up(&taker, 1, queue);
    key = put(queue, 5, begin + 700);
    CHECK_EQ(skua_sleep(10), 0);
    CHECK_EQ(skua_delay_queue_reset(queue, key, begin + 900), 0); /* the first timer is early */
    check_taker(&taker, 0, 5, begin + 900);
    line_up(&taker, 1, queue);
    key = put(queue, 6, begin + 950);
    CHECK_EQ(skua_sleep(10), 0);
    CHECK_EQ(skua_delay_queue_remove(queue, key, NULL), 0);
    check_taker(&taker, 0, 1, begin + 1000);
    skua_delay_queue_free(queue);
    return 0;
}

/* Whoever has the timer goes: the next in line has it. */
TEST_FIBER_CLOCK(the_first_in_line_is_cancelled)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    struct taker takers[5];

    (void)put(queue, 1, begin + 100);
    line_up(takers, 5, queue);
    CHECK_EQ(skua_task_cancel(takers[0].task), 0);
    check_taker(&takers[0], -ECANCELED, -1, skua_now());
    CHECK_EQ(skua_task_cancel(takers[2].task), 0); /* not the first */
    check_taker(&takers[2], -ECANCELED, -1, skua_now());
    CHECK_EQ(skua_task_cancel(takers[1].task), 0);
    check_taker(&takers[1], -ECANCELED, -1, skua_now());
    check_taker(&takers[3], 0, 1, begin + 100);
    (void)put(queue, 2, begin);
    check_taker(&takers[4], 0, 2, begin + 100);
    skua_delay_queue_free(queue);
    return 0;
}

/* Told, and gone before it looks. */
TEST(told_and_dropped)
{
    skua_delay_queue *queue = queue_of(0);
    struct test_bell bells[3];
    skua_timed_future waits[3];
    skua_waker *wakers[3];
    int got[3] = {-1, -1, -1};

    for (int i = 0; i < 3; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        skua_delay_queue_next_init(&waits[i], queue, &got[i]);
        CHECK_EQ(skua_future_poll(&waits[i].future, wakers[i]), SKUA_PENDING);
    }
    (void)put(queue, 1, 0);
    CHECK_EQ(TEST_RINGS(&bells[0]), 1);
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), SKUA_PENDING); /* not its turn */
    CHECK_EQ(skua_delay_queue_try_next(queue, &got[2]), -EAGAIN);
    (void)put(queue, 2, 0);
    CHECK_EQ(TEST_RINGS(&bells[1]), 0); /* one at a time */
    skua_future_drop(&waits[0].future);
    skua_future_drop(&waits[0].future);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), 0);
    CHECK_EQ(got[1], 1);
    CHECK_EQ(TEST_RINGS(&bells[2]), 1);
    CHECK_EQ(skua_future_poll(&waits[2].future, wakers[2]), 0);
    CHECK_EQ(got[2], 2);
    CHECK_EQ(got[0], -1);
    skua_future_drop(&waits[1].future); /* finished */
    CHECK_EQ(skua_delay_queue_len(queue), 0);
    for (int i = 0; i < 3; i++)
        test_bell_end(&bells[i]);
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    skua_delay_queue_free(queue);
}

/* The newest waker is the one that is woken, also by the timer; a look in vain comes back first. */
TEST(told_in_vain)
{
    skua_delay_queue *queue = queue_of(0);
    struct test_bell first, newest, second;
    skua_timed_future waits[2];
    skua_waker *waker = test_bell_init(&newest);
    int64_t begin = skua_now();
    skua_delay_key key;
    int got = -1;

    skua_delay_queue_next_init(&waits[0], queue, &got);
    skua_delay_queue_next_init(&waits[1], queue, &got);
    CHECK_EQ(skua_future_poll(&waits[0].future, test_bell_init(&first)), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&waits[1].future, test_bell_init(&second)), SKUA_PENDING);
    key = put(queue, 1, 0);
    CHECK_EQ(skua_delay_queue_remove(queue, key, NULL), 0);
    CHECK_EQ(skua_future_poll(&waits[0].future, waker), SKUA_PENDING);
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    (void)put(queue, 2, begin + MS(1));
    CHECK_EQ(TEST_RINGS(&newest), 1);
    CHECK_EQ(skua_future_poll(&waits[0].future, waker), SKUA_PENDING);
    while (skua_thread_timers() != SKUA_FOREVER)
        test_thread_sleep(MS(1));
    CHECK_EQ(TEST_RINGS(&newest), 2);
    CHECK_EQ(skua_future_poll(&waits[0].future, waker), 0);
    CHECK_EQ(got, 2);
    CHECK_EQ(TEST_RINGS(&first), 1);
    CHECK_EQ(TEST_RINGS(&second), 0);
    skua_future_drop(&waits[1].future);
    test_bell_end(&first);
    test_bell_end(&newest);
    test_bell_end(&second);
    skua_delay_queue_free(queue);
}

TEST_FIBER_CLOCK(select_loses_nothing)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    int got = -1;

    for (int i = 0; i < 20; i++) {
        (void)put(queue, i, begin + 100 * (i + 1));
        CHECK_EQ(skua_select(skua_expiring(queue, &got), skua_sleeping(60)), 1);
        CHECK_EQ(skua_delay_queue_len(queue), 1);
        CHECK_EQ(skua_select(skua_expiring(queue, &got), skua_sleeping(60)), 0);
        CHECK_EQ(got, i);
        CHECK_EQ(skua_now(), begin + 100 * (i + 1));
    }
    skua_delay_queue_free(queue);
    return 0;
}

TEST_FIBER_CLOCK(out_of_time_when_expired)
{
    skua_delay_queue *queue = queue_of(0);
    skua_deadline frame;
    int got = -1;

    (void)put(queue, 1, 0);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now()), 0);
    CHECK_EQ(skua_delay_queue_next(queue, &got), -ETIMEDOUT);
    CHECK_EQ(skua_delay_queue_try_next(queue, &got), 0); /* does not wait, ever */
    CHECK_EQ(skua_deadline_end(&frame), 0);
    skua_delay_queue_free(queue);
    return 0;
}

static int waits_for_ever(void *arg)
{
    skua_delay_queue *queue = arg;
    int got = 5;

    CHECK_EQ(skua_delay_queue_insert(queue, &got, SKUA_FOREVER, NULL), 0);
    return skua_delay_queue_next(queue, &got);
}

TEST(for_ever_arms_no_timer)
{
    skua_delay_queue *queue = queue_of(0);

    CHECK_EQ(skua_test_run(waits_for_ever, queue, SKUA_TEST_OPTIONS(.patience = MS(50))), -EDEADLK);
    CHECK_EQ(skua_delay_queue_len(queue), 1);
    skua_delay_queue_free(queue);
}

TEST_WAITING(in_real_time)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    int got = -1;

    for (int i = 5; i > 0; i--)
        (void)put(queue, i, begin + i * SKUA_MILLISECOND / 2);
    for (int i = 1; i <= 5; i++) {
        CHECK_EQ(skua_delay_queue_next(queue, &got), 0);
        CHECK_EQ(got, i);
        CHECK(skua_now() >= begin + i * SKUA_MILLISECOND / 2);
    }
    CHECK_EQ(skua_delay_queue_next_until(queue, &got, skua_now() + MS(1)), -ETIMEDOUT);
    skua_delay_queue_free(queue);
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(closed_with_values_in_it)
{
    skua_delay_queue *queue = queue_of(0);
    int64_t begin = skua_now();
    struct taker takers[4];
    int got = 9;

    (void)put(queue, 1, begin + 100);
    line_up(takers, 4, queue);
    skua_delay_queue_close(queue);
    skua_delay_queue_close(queue);
    CHECK_EQ(skua_delay_queue_insert(queue, &got, 0, NULL), SKUA_ECLOSED);
    CHECK_EQ(skua_delay_queue_insert_after(queue, &got, 0, NULL), SKUA_ECLOSED);
    check_taker(&takers[0], 0, 1, begin + 100);
    for (int i = 1; i < 4; i++)
        check_taker(&takers[i], SKUA_ECLOSED, -1, begin + 100);
    CHECK_EQ(skua_delay_queue_next(queue, &got), SKUA_ECLOSED);
    CHECK_EQ(skua_delay_queue_try_next(queue, &got), SKUA_ECLOSED);
    CHECK_EQ(skua_await(skua_expiring(queue, &got)), SKUA_ECLOSED);
    CHECK_EQ(got, 9);
    skua_delay_queue_free(queue);
    return 0;
}

/* The end comes with the close, with the last removal, or with a clear. */
TEST_FIBER_CLOCK(ends_while_some_wait)
{
    for (int how = 0; how < 3; how++) {
        skua_delay_queue *queue = queue_of(0);
        skua_delay_key key = {0, 0};
        struct taker takers[3];

        if (how != 0)
            key = put(queue, 1, skua_now() + SKUA_HOUR);
        line_up(takers, 3, queue);
        skua_delay_queue_close(queue);
        if (how == 1)
            CHECK_EQ(skua_delay_queue_remove(queue, key, NULL), 0);
        else if (how == 2)
            skua_delay_queue_clear(queue);
        for (int i = 0; i < 3; i++)
            check_taker(&takers[i], SKUA_ECLOSED, -1, skua_now());
        skua_delay_queue_free(queue);
    }
    return 0;
}

/* ---- limits and faults ----------------------------------------------------------------------- */

TEST(queue_has_a_capacity)
{
    skua_delay_queue *queue = queue_of(20);
    int value = 7;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++)
            (void)put(queue, i, 0);
        CHECK_EQ(skua_delay_queue_insert(queue, &value, 0, NULL), SKUA_ELIMIT);
        CHECK_EQ(skua_delay_queue_try_next(queue, &value), 0);
        (void)put(queue, 1, 0);
        CHECK_EQ(skua_delay_queue_insert(queue, &value, 0, NULL), SKUA_ELIMIT);
        CHECK_EQ(skua_delay_queue_len(queue), 20);
        skua_delay_queue_clear(queue);
    }
    skua_delay_queue_free(queue);
}

TEST(queue_refuses)
{
    skua_delay_queue *untouched = (skua_delay_queue *)8, *queue = untouched;
    skua_delay_queue_options options = {0};
    char large[4] = "abc";

    CHECK_EQ(skua_delay_queue_new(&queue, 0, NULL), -EINVAL);
    CHECK_EQ(skua_delay_queue_new(&queue, ((size_t)1 << 20) + 1, NULL), -EINVAL);
    CHECK_EQ(skua_delay_queue_new(&queue, 1, &options), -EINVAL);
    CHECK(queue == untouched);
    skua_delay_queue_options_init(&options);
    CHECK_EQ(skua_delay_queue_new(&queue, 3, &options), 0);
    CHECK_EQ(skua_delay_queue_insert(queue, "xyz", 0, NULL), 0);
    CHECK_EQ(skua_delay_queue_try_next(queue, large), 0);
    CHECK(memcmp(large, "xyz", 4) == 0);
    skua_delay_queue_free(queue);
    skua_delay_queue_free(NULL);
}

#ifdef SKUA_FAULTS
TEST(queue_without_memory)
{
    skua_delay_queue *untouched = (skua_delay_queue *)8, *queue = untouched;
    skua_delay_key key = {77, 77};
    int value = 7, got = -1;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_delay_queue_new(&queue, 4, NULL), -ENOMEM);
    CHECK(queue == untouched);
    queue = queue_of(0);
    for (int i = 0; i < 1000; i++) {
        for (unsigned nth = 1; nth <= 2; nth++) {
            skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
            if (i == 0 || i == 16 || i == 48 || i == 112) {
                CHECK_EQ(skua_delay_queue_insert(queue, &value, 0, &key), -ENOMEM);
                CHECK_EQ(key.number, 77);
                CHECK_EQ(skua_delay_queue_len(queue), i);
            }
        }
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        (void)put(queue, i, 0);
    }
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(skua_delay_queue_try_next(queue, &got), 0);
        CHECK_EQ(got, i);
    }
    skua_delay_queue_free(queue);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_by_deadline),
        cmocka_unit_test(equal_deadlines_come_in_order_of_insertion),
        cmocka_unit_test(peek_leaves_it_there),
        cmocka_unit_test(keys_move_and_remove),
        cmocka_unit_test(keys_become_stale),
        cmocka_unit_test(waiters_stand_in_line),
        cmocka_unit_test(an_earlier_insert_is_waited_for),
        cmocka_unit_test(the_first_in_line_is_cancelled),
        cmocka_unit_test(told_and_dropped),
        cmocka_unit_test(told_in_vain),
        cmocka_unit_test(select_loses_nothing),
        cmocka_unit_test(out_of_time_when_expired),
        cmocka_unit_test(for_ever_arms_no_timer),
        TEST_WAITING_ENTRIES(in_real_time),
        cmocka_unit_test(closed_with_values_in_it),
        cmocka_unit_test(ends_while_some_wait),
        cmocka_unit_test(queue_has_a_capacity),
        cmocka_unit_test(queue_refuses),
#ifdef SKUA_FAULTS
        cmocka_unit_test(queue_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
