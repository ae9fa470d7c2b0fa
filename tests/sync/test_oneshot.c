/* test_oneshot.c - one message from one to one. Specifies oneshot.h. */
#include <pthread.h>

#include "../lib/event.h"

struct pair {
    skua_oneshot_sender *tx;
    skua_oneshot_receiver *rx;
};

static struct pair pair_new(void)
{
    struct pair pair;

    MUST(skua_oneshot_new(&pair.tx, &pair.rx, sizeof(int)) == 0);
    return pair;
}

static int answers_later(void *arg)
{
    int answer = 42;

    CHECK_EQ(skua_yield(), 0);
    return skua_oneshot_send(arg, &answer);
}

TEST_FIBER(answer_comes_once)
{
    struct pair pair = pair_new();
    skua_task *task;
    int result = 77;
    int got = 0;

    CHECK_EQ(skua_oneshot_try_recv(pair.rx, &got), -EAGAIN);
    MUST(skua_spawn(NULL, answers_later, pair.tx, .task = &task) == 0);
    CHECK_EQ(skua_oneshot_recv(pair.rx, &got), 0);
    CHECK_EQ(got, 42);
    got = 5;
    CHECK_EQ(skua_oneshot_recv(pair.rx, &got), SKUA_ECLOSED);
    CHECK_EQ(skua_oneshot_try_recv(pair.rx, &got), SKUA_ECLOSED);
    CHECK_EQ(got, 5);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    skua_oneshot_receiver_close(pair.rx);
    return 0;
}

TEST_FIBER(answer_waits_for_its_receiver)
{
    struct pair pair = pair_new();
    int answer = 42;
    int got = 0;

    CHECK_EQ(skua_oneshot_send(pair.tx, &answer), 0);
    CHECK_EQ(skua_oneshot_recv_until(pair.rx, &got, 0), 0); /* what is there wins over the time */
    CHECK_EQ(got, 42);
    skua_oneshot_receiver_close(pair.rx);
    return 0;
}

static int closes_later(void *arg)
{
    CHECK_EQ(skua_yield(), 0);
    skua_oneshot_sender_close(arg);
    return 0;
}

TEST_FIBER(sender_that_leaves_ends_the_wait)
{
    struct pair pair = pair_new();
    int got = 5;

    MUST(skua_spawn(NULL, closes_later, pair.tx) == 0);
    CHECK_EQ(skua_oneshot_recv(pair.rx, &got), SKUA_ECLOSED);
    CHECK_EQ(got, 5);
    skua_oneshot_receiver_close(pair.rx);
    skua_oneshot_sender_close(NULL);
    skua_oneshot_receiver_close(NULL);
    return 0;
}

static int waits_for_nobody(void *arg)
{
    int answer = 1;
    int rc = skua_oneshot_closed(arg);

    CHECK_EQ(skua_oneshot_is_closed(arg), 1);
    CHECK_EQ(skua_oneshot_send(arg, &answer), SKUA_ECLOSED);
    return rc;
}

TEST_FIBER(sender_learns_that_nobody_wants_the_answer)
{
    struct pair pair = pair_new();
    skua_task *task;
    int result = 77;

    CHECK_EQ(skua_oneshot_is_closed(pair.tx), 0);
    MUST(skua_spawn(NULL, waits_for_nobody, pair.tx, .task = &task) == 0);
    CHECK_EQ(skua_yield(), 0);
    skua_oneshot_receiver_close(pair.rx);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    return 0;
}

static int waits_in_vain(void *arg)
{
    int got;

    return skua_oneshot_recv(arg, &got);
}

/* A dropped wait leaves the message where it is. */
TEST_FIBER(cancelled_receive_loses_nothing)
{
    struct pair pair = pair_new();
    skua_task *task;
    int answer = 42;
    int result = 77;
    int got = 0;

    MUST(skua_spawn(NULL, waits_in_vain, pair.rx, .task = &task) == 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_oneshot_send(pair.tx, &answer), 0);
    CHECK_EQ(skua_oneshot_recv(pair.rx, &got), 0);
    CHECK_EQ(got, 42);
    skua_oneshot_receiver_close(pair.rx);
    return 0;
}

TEST(message_without_bytes_and_bad_sizes)
{
    struct pair pair = {NULL, NULL};

    CHECK_EQ(skua_oneshot_new(&pair.tx, &pair.rx, (size_t)1 << 21), -EINVAL);
    CHECK(pair.tx == NULL && pair.rx == NULL);
    MUST(skua_oneshot_new(&pair.tx, &pair.rx, 0) == 0);
    CHECK_EQ(skua_oneshot_send(pair.tx, NULL), 0);
    CHECK_EQ(skua_oneshot_recv(pair.rx, NULL), 0);
    CHECK_EQ(skua_oneshot_recv(pair.rx, NULL), SKUA_ECLOSED);
    skua_oneshot_receiver_close(pair.rx);
}

/* ---- promised -------------------------------------------------------------------------------- */

static void waker_is_nobodys(struct skua_custom_waker *waker)
{
    (void)waker;
}

static struct skua_custom_waker nobody = {
    .wake = waker_is_nobodys, .ref = waker_is_nobodys, .unref = waker_is_nobodys};

/* A receive that waits for the pair's message. */
static skua_future *waits(skua_sync_future *wait, struct pair pair, int *got)
{
    skua_future *future = skua_oneshot_recv_init(wait, pair.rx, got);

    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&nobody)), SKUA_PENDING);
    return future;
}

TEST(message_for_a_wait_that_is_dropped_stays)
{
    struct pair pair = pair_new();
    skua_sync_future wait;
    int answer = 42;
    int got = 0;
    skua_future *future = waits(&wait, pair, &got);

    CHECK_EQ(skua_oneshot_send(pair.tx, &answer), 0);
    CHECK_EQ(skua_oneshot_try_recv(pair.rx, &got), SKUA_ECLOSED); /* it is that wait's */
    skua_future_drop(future);
    CHECK_EQ(got, 0);
    CHECK_EQ(skua_oneshot_try_recv(pair.rx, &got), 0);
    CHECK_EQ(got, 42);
    CHECK_EQ(skua_oneshot_try_recv(pair.rx, &got), SKUA_ECLOSED);
    skua_oneshot_receiver_close(pair.rx);
}

TEST(message_for_a_wait_goes_to_it)
{
    struct pair pair = pair_new();
    skua_sync_future wait;
    int answer = 42;
    int got = 0;
    skua_future *future = waits(&wait, pair, &got);

    CHECK_EQ(skua_oneshot_send(pair.tx, &answer), 0);
    CHECK_EQ(skua_future_poll(future, skua_waker_custom(&nobody)), 0);
    CHECK_EQ(got, 42);
    CHECK_EQ(skua_oneshot_try_recv(pair.rx, &got), SKUA_ECLOSED);
    skua_oneshot_receiver_close(pair.rx);
}

/* Which of them looks first is for the scheduler to say. */
TEST(one_of_several_waits_gets_the_message)
{
    for (int first = 0; first < 2; first++) {
        struct pair pair = pair_new();
        skua_sync_future wait[2];
        skua_future *future[2];
        int answer = 42;
        int got[2] = {0, 0};

        for (int i = 0; i < 2; i++)
            future[i] = waits(&wait[i], pair, &got[i]);
        CHECK_EQ(skua_oneshot_send(pair.tx, &answer), 0);
        CHECK_EQ(skua_future_poll(future[first], skua_waker_custom(&nobody)), 0);
        CHECK_EQ(skua_future_poll(future[1 - first], skua_waker_custom(&nobody)), SKUA_ECLOSED);
        CHECK(got[first] == 42 && got[1 - first] == 0);
        skua_oneshot_receiver_close(pair.rx);
    }
}

TEST(message_for_dropped_waits_goes_to_the_one_that_is_left)
{
    struct pair pair = pair_new();
    skua_sync_future wait[2];
    skua_future *future[2];
    int answer = 42;
    int got = 0;

    for (int i = 0; i < 2; i++)
        future[i] = waits(&wait[i], pair, &got);
    CHECK_EQ(skua_oneshot_send(pair.tx, &answer), 0);
    skua_future_drop(future[0]);
    CHECK_EQ(skua_future_poll(future[1], skua_waker_custom(&nobody)), 0);
    CHECK_EQ(got, 42);
    skua_oneshot_receiver_close(pair.rx);
}

/* ---- stress: both ends leave at about the same time ------------------------------------------ */

static void *answers_on_a_thread(void *arg)
{
    _Atomic(skua_oneshot_sender *) *next = arg;

    for (;;) {
        skua_oneshot_sender *sender = atomic_exchange(next, NULL);
        int answer = 42;

        if (sender == (void *)next)
            return NULL;
        if (sender != NULL)
            (void)skua_oneshot_send(sender, &answer);
    }
}

static int asks_again_and_again(void *arg)
{
    _Atomic(skua_oneshot_sender *) *next = arg;
    int64_t end = skua_now() + test_stress_time(1) / 4;
    uint64_t random = 3;

    while (skua_now() < end) {
        struct pair pair = pair_new();
        int got = 0;
        int rc;

        atomic_store(next, pair.tx);
        rc = skua_oneshot_recv_until(pair.rx, &got,
                                     skua_now() + (int64_t)(test_random(&random) % 20000));
        CHECK((rc == 0 && got == 42) || rc == -ETIMEDOUT);
        skua_oneshot_receiver_close(pair.rx);
        while (atomic_load(next) != NULL)
            CHECK_EQ(skua_yield(), 0);
    }
    return 0;
}

TEST(both_ends_leave_at_once)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        _Atomic(skua_oneshot_sender *) next = NULL;
        pthread_t thread;

        MUST(pthread_create(&thread, NULL, answers_on_a_thread, &next) == 0);
        test_run(runtime, asks_again_and_again, &next);
        atomic_store(&next, (void *)&next);
        pthread_join(thread, NULL);
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_comes_once),
        cmocka_unit_test(answer_waits_for_its_receiver),
        cmocka_unit_test(sender_that_leaves_ends_the_wait),
        cmocka_unit_test(sender_learns_that_nobody_wants_the_answer),
        cmocka_unit_test(cancelled_receive_loses_nothing),
        cmocka_unit_test(message_without_bytes_and_bad_sizes),
        cmocka_unit_test(message_for_a_wait_that_is_dropped_stays),
        cmocka_unit_test(message_for_a_wait_goes_to_it),
        cmocka_unit_test(one_of_several_waits_gets_the_message),
        cmocka_unit_test(message_for_dropped_waits_goes_to_the_one_that_is_left),
        cmocka_unit_test(both_ends_leave_at_once),
    };

    return TEST_MAIN(tests);
}
