/* test_select.c - the first, all, or none in time. Specifies flow.h. */
#include <pthread.h>

#include "../lib/event.h"

/* A future that counts what is done to it, and is ready when it is told. */
struct probe {
    skua_future future;
    int64_t answer; /* SKUA_PENDING: not yet */
    int polls;
    int drops;
};

static skua_poll probe_poll(skua_future *future, skua_waker *waker)
{
    struct probe *self = (struct probe *)future;

    (void)waker;
    self->polls++;
    return self->answer;
}

static void probe_drop(skua_future *future)
{
    ((struct probe *)future)->drops++;
}

static const skua_future_ops probe_ops = {.name = "probe", .poll = probe_poll, .drop = probe_drop};

static struct probe probe_of(int64_t answer)
{
    return (struct probe){.future = {.ops = &probe_ops}, .answer = answer};
}

/* ---- select ---------------------------------------------------------------------------------- */

TEST_FIBER(first_wins_and_the_others_are_dropped_once)
{
    struct probe a = probe_of(SKUA_PENDING);
    struct probe b = probe_of(-5);
    struct probe c = probe_of(SKUA_PENDING);
    skua_future *futures[] = {&a.future, &b.future, NULL, &c.future};
    int64_t result = 0;

    CHECK_EQ(skua_select_from(futures, 4, &result), 1);
    CHECK_EQ(result, -5);
    CHECK_EQ(a.drops, 1);
    CHECK_EQ(b.drops, 0);
    CHECK_EQ(c.drops, 1);
    skua_future_drop(&a.future); /* finished: nothing more happens */
    CHECK_EQ(a.drops, 1);
    return 0;
}

TEST_FIBER(select_is_fair_and_biased_is_not)
{
    int wins[2] = {0, 0};

    for (int i = 0; i < 1000; i++) {
        struct probe a = probe_of(0);
        struct probe b = probe_of(0);

        wins[skua_select(&a.future, &b.future)]++;
        a = probe_of(0);
        b = probe_of(0);
        CHECK_EQ(skua_select_biased(&a.future, &b.future), 0);
        CHECK_EQ(b.polls, 0);
    }
    CHECK_RANGE(wins[0], 300, 700);
    CHECK_EQ(wins[0] + wins[1], 1000);
    return 0;
}

static int sets_later(void *arg)
{
    CHECK_EQ(skua_yield(), 0);
    test_event_set(arg);
    return 0;
}

TEST_FIBER(select_waits_for_a_time_or_an_event)
{
    for (int round = 0; round < 20; round++) {
        struct test_event event = TEST_EVENT_INIT;
        struct test_event_wait wait;
        skua_sleep_future sleep;
        int64_t duration = round % 2 ? MS(1) : SKUA_HOUR;
        skua_task *task = NULL;

        if (round % 2 == 0)
            MUST(skua_spawn(NULL, sets_later, &event, .task = &task) == 0);
        CHECK_EQ(
            skua_select(test_event_wait_init(&wait, &event), skua_sleep_init(&sleep, duration)),
            round % 2);
        CHECK_EQ(test_event_waiters(&event), 0);
        if (task != NULL)
            CHECK_EQ(skua_task_join(task, NULL), 0);
    }
    return 0;
}

/* A receive that loses a select has received nothing. */
TEST_FIBER(select_over_channels_loses_no_message)
{
    skua_mpsc_sender *senders[2];
    skua_mpsc_receiver *receivers[2];
    uint64_t sum = 0;

    for (int i = 0; i < 2; i++)
        MUST(skua_mpsc_new(&senders[i], &receivers[i], sizeof(uint64_t), 100) == 0);
    for (uint64_t i = 1; i <= 100; i++)
        for (int k = 0; k < 2; k++)
            CHECK_EQ(skua_mpsc_send(senders[k], &i), 0);
    for (int i = 0; i < 200; i++) {
        skua_sync_future recv[2];
        uint64_t messages[2] = {0, 0};
        int won = skua_select(skua_mpsc_recv_init(&recv[0], receivers[0], &messages[0]),
                              skua_mpsc_recv_init(&recv[1], receivers[1], &messages[1]));

        MUST(won == 0 || won == 1);
        CHECK_EQ(messages[1 - won], 0);
        sum += messages[won];
    }
    CHECK_EQ(sum, 2 * 5050);
    for (int i = 0; i < 2; i++) {
        skua_mpsc_sender_close(senders[i]);
        skua_mpsc_receiver_close(receivers[i]);
    }
    return 0;
}

static int selects_forever(void *arg)
{
    struct probe *probes = arg;

    return skua_select(&probes[0].future, &probes[1].future);
}

TEST_FIBER(cancelled_select_drops_all)
{
    struct probe probes[2] = {probe_of(SKUA_PENDING), probe_of(SKUA_PENDING)};
    skua_task *task;
    int result;

    MUST(skua_spawn(NULL, selects_forever, probes, .task = &task) == 0);
    while (__atomic_load_n(&probes[1].polls, __ATOMIC_RELAXED) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(probes[0].drops, 1);
    CHECK_EQ(probes[1].drops, 1);
    return 0;
}

TEST_FIBER(select_of_nothing_is_a_mistake)
{
    skua_future *futures[65] = {NULL};

    CHECK_EQ(skua_select_from(futures, 0, NULL), -EINVAL);
    CHECK_EQ(skua_select_from(futures, 65, NULL), -EINVAL);
    CHECK_EQ(skua_select_from(futures, 64, NULL), SKUA_EUSAGE);
    return 0;
}

/* Nested, and on a plain thread. */
TEST(select_of_a_select_on_a_thread)
{
    struct probe a = probe_of(SKUA_PENDING);
    struct probe b = probe_of(7);
    skua_future *inner[] = {&a.future, &b.future};
    skua_select_future select;
    skua_sleep_future sleep;
    int64_t result = 0;

    CHECK_EQ(skua_select(skua_sleep_init(&sleep, SKUA_HOUR),
                         skua_select_init(&select, inner, 2, &result, 0)),
             1);
    CHECK_EQ(result, 7);
    CHECK_EQ(a.drops, 1);
}

/* ---- join ------------------------------------------------------------------------------------ */

TEST_FIBER(join_all_waits_for_all)
{
    skua_sleep_future sleeps[3];
    skua_future *futures[4] = {NULL};
    int64_t results[4] = {77, 77, 77, 77};
    int64_t begin = skua_now();

    for (int i = 0; i < 3; i++)
        futures[i] = skua_sleep_init(&sleeps[i], MS(1 + i));
    CHECK_EQ(skua_join_all(futures, results, 4), 0);
    CHECK(skua_now() - begin >= MS(3));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(results[i], 0);
    CHECK_EQ(results[3], 77); /* left out */
    CHECK_EQ(skua_join_all(futures, NULL, 0), 0);
    CHECK_EQ(skua_join_all(futures, NULL, 65), -EINVAL);
    return 0;
}

TEST_FIBER(try_join_ends_with_the_first_failure)
{
    struct probe a = probe_of(3);
    struct probe b = probe_of(SKUA_PENDING);
    struct probe c = probe_of(-5);
    struct probe d = probe_of(SKUA_PENDING);
    skua_future *futures[] = {&a.future, &b.future, &c.future, &d.future};
    int64_t results[4] = {0};

    CHECK_EQ(skua_try_join(futures, results, 4), -5);
    CHECK_EQ(results[0], 3);
    CHECK_EQ(results[2], -5);
    CHECK_EQ(a.drops, 0);
    CHECK_EQ(b.drops, 1);
    CHECK_EQ(c.drops, 0);
    CHECK_EQ(d.drops, 1);
    return 0;
}

/* ---- timeout --------------------------------------------------------------------------------- */

TEST_FIBER(timeout_ends_what_is_too_slow)
{
    struct probe ready = probe_of(9);
    struct probe never = probe_of(SKUA_PENDING);
    skua_sleep_future sleep;

    CHECK_EQ(skua_timeout(skua_sleep_init(&sleep, MS(1)), SKUA_HOUR), 0);
    CHECK_EQ(skua_timeout(skua_sleep_init(&sleep, SKUA_HOUR), MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_timeout(&ready.future, 0), 9); /* what is ready wins */
    CHECK_EQ(skua_timeout(&never.future, -1), -ETIMEDOUT);
    CHECK_EQ(never.drops, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_wins_and_the_others_are_dropped_once),
        cmocka_unit_test(select_is_fair_and_biased_is_not),
        cmocka_unit_test(select_waits_for_a_time_or_an_event),
        cmocka_unit_test(select_over_channels_loses_no_message),
        cmocka_unit_test(cancelled_select_drops_all),
        cmocka_unit_test(select_of_nothing_is_a_mistake),
        cmocka_unit_test(select_of_a_select_on_a_thread),
        cmocka_unit_test(join_all_waits_for_all),
        cmocka_unit_test(try_join_ends_with_the_first_failure),
        cmocka_unit_test(timeout_ends_what_is_too_slow),
    };

    return TEST_MAIN(tests);
}
