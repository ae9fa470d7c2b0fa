/* test_mpmc.c - many senders, many receivers: each message goes to exactly one of them.
 *
 * Specifies mpmc.h. What it has in common with mpsc is tested there (test_mpsc.c): one queue is
 * behind both.
 */
#include <pthread.h>

#include "../lib/event.h"

struct channel {
    skua_mpmc_sender *tx;
    skua_mpmc_receiver *rx;
};

static struct channel channel_of(size_t capacity)
{
    struct channel channel;

    MUST((capacity == 0
              ? skua_mpmc_new_unbounded(&channel.tx, &channel.rx, sizeof(uint64_t))
              : skua_mpmc_new(&channel.tx, &channel.rx, sizeof(uint64_t), capacity)) == 0);
    return channel;
}

struct receiver {
    struct channel *channel;
    uint64_t got;
    int rc;
};

static int receives_one(void *arg)
{
    struct receiver *self = arg;

    self->rc = skua_mpmc_recv(self->channel->rx, &self->got);
    return 0;
}

/* ---- who gets what --------------------------------------------------------------------------- */

TEST_FIBER_CURRENT(receivers_wait_in_line)
{
    struct channel channel = channel_of(4);
    struct receiver receivers[3];
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 3; i++) {
        receivers[i] = (struct receiver){&channel, 99, 77};
        MUST(skua_spawn(&scope, receives_one, &receivers[i]) == 0);
    }
    CHECK_EQ(skua_yield(), 0);
    for (uint64_t i = 0; i < 3; i++)
        CHECK_EQ(skua_mpmc_send(channel.tx, &i), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_EQ(receivers[i].rc, 0);
        CHECK_EQ(receivers[i].got, i);
    }
    skua_mpmc_sender_close(channel.tx);
    skua_mpmc_receiver_close(channel.rx);
    return 0;
}

/* The first in line is cancelled after it was told: the next one has the message. */
TEST_FIBER_CURRENT(message_of_a_cancelled_receiver_goes_to_the_next)
{
    struct channel channel = channel_of(4);
    struct receiver first = {&channel, 99, 77};
    struct receiver second = {&channel, 99, 77};
    uint64_t message = 5;
    skua_task *tasks[2];

    MUST(skua_spawn(NULL, receives_one, &first, .task = &tasks[0]) == 0);
    MUST(skua_spawn(NULL, receives_one, &second, .task = &tasks[1]) == 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_mpmc_send(channel.tx, &message), 0);
    CHECK_EQ(skua_task_cancel(tasks[0]), 0);
    CHECK_EQ(skua_task_join(tasks[0], NULL), 0);
    if (first.rc == -ECANCELED) {
        CHECK_EQ(skua_task_join(tasks[1], NULL), 0);
        CHECK_EQ(second.rc, 0);
        CHECK_EQ(second.got, 5);
    } else { /* its answer won over the cancellation */
        CHECK_EQ(first.rc, 0);
        CHECK_EQ(first.got, 5);
        skua_mpmc_sender_close(channel.tx);
        CHECK_EQ(skua_task_join(tasks[1], NULL), 0);
        CHECK_EQ(second.rc, SKUA_ECLOSED);
        channel.tx = NULL;
    }
    skua_mpmc_sender_close(channel.tx);
    skua_mpmc_receiver_close(channel.rx);
    return 0;
}

/* A future that was told and is dropped by hand passes it on. */
static skua_poll poll_drops_what_it_was_told(void *state, skua_waker *waker)
{
    struct channel *channel = *(struct channel **)state;
    skua_sync_future told;
    uint64_t message = 5;
    uint64_t got = 0;

    skua_mpmc_recv_init(&told, channel->rx, &got);
    CHECK_EQ(skua_future_poll(&told.future, waker), SKUA_PENDING);
    CHECK_EQ(skua_mpmc_send(channel->tx, &message), 0);
    skua_future_drop(&told.future);
    CHECK_EQ(got, 0);
    return SKUA_READY;
}

TEST_FIBER(message_of_a_dropped_future_stays)
{
    struct channel channel = channel_of(4);
    struct channel *state = &channel;
    struct receiver second = {&channel, 99, 77};
    skua_task *tasks[2];

    MUST(skua_spawn_poll(NULL, poll_drops_what_it_was_told, &state, .task = &tasks[0]) == 0);
    MUST(skua_spawn(NULL, receives_one, &second, .task = &tasks[1]) == 0);
    CHECK_EQ(skua_task_join(tasks[0], NULL), 0);
    CHECK_EQ(skua_task_join(tasks[1], NULL), 0);
    CHECK_EQ(second.rc, 0);
    CHECK_EQ(second.got, 5);
    skua_mpmc_sender_close(channel.tx);
    skua_mpmc_receiver_close(channel.rx);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_FIBER(last_receiver_closes_the_channel)
{
    struct channel channel = channel_of(4);
    skua_mpmc_receiver *other = skua_mpmc_receiver_clone(channel.rx);
    uint64_t message = 1;

    CHECK_EQ(skua_mpmc_send(channel.tx, &message), 0);
    skua_mpmc_receiver_close(channel.rx);
    CHECK_EQ(skua_mpmc_is_closed(channel.tx), 0);
    CHECK_EQ(skua_mpmc_send(channel.tx, &message), 0);
    CHECK_EQ(skua_mpmc_len(other), 2);
    skua_mpmc_receiver_close(other);
    CHECK_EQ(skua_mpmc_is_closed(channel.tx), 1);
    CHECK_EQ(skua_mpmc_send(channel.tx, &message), SKUA_ECLOSED);
    CHECK_EQ(skua_mpmc_try_send(channel.tx, &message), SKUA_ECLOSED);
    skua_mpmc_sender_close(channel.tx);
    return 0;
}

TEST_FIBER(close_ends_all_who_wait)
{
    struct channel channel = channel_of(1);
    struct receiver receivers[5];
    uint64_t message;
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 5; i++) {
        receivers[i] = (struct receiver){&channel, 99, 77};
        MUST(skua_spawn(&scope, receives_one, &receivers[i]) == 0);
    }
    CHECK_EQ(skua_sleep(MS(1)), 0);
    skua_mpmc_close(channel.rx);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(receivers[i].rc, SKUA_ECLOSED);
    CHECK_EQ(skua_mpmc_try_recv(channel.rx, &message), SKUA_ECLOSED);
    skua_mpmc_sender_close(channel.tx);
    skua_mpmc_receiver_close(channel.rx);
    return 0;
}

/* ---- stress ---------------------------------------------------------------------------------- */

enum { PEERS = 4, MESSAGES = 20000 };

struct market {
    struct channel channel;
    atomic_ullong next;  /* the number of the next message */
    unsigned char *seen; /* how often each was received */
    atomic_int receivers_in_a_hurry;
};

static int sells(void *arg)
{
    struct market *market = arg;
    uint64_t message;

    while ((message = atomic_fetch_add(&market->next, 1)) < MESSAGES)
        CHECK_EQ(skua_mpmc_send(market->channel.tx, &message), 0);
    skua_mpmc_sender_close(market->channel.tx);
    return 0;
}

static int buys(void *arg)
{
    struct market *market = arg;
    bool hurry = atomic_fetch_add(&market->receivers_in_a_hurry, 1) % 2 == 0;
    uint64_t message;
    int rc;

    do {
        rc = hurry ? skua_mpmc_recv_until(market->channel.rx, &message,
                                          skua_now() + 20 * SKUA_MICROSECOND)
                   : skua_mpmc_recv(market->channel.rx, &message);
        if (rc == 0 && CHECK(message < MESSAGES))
            __atomic_fetch_add(&market->seen[message], 1, __ATOMIC_RELAXED);
    } while (rc == 0 || rc == -ETIMEDOUT);
    CHECK_EQ(rc, SKUA_ECLOSED);
    skua_mpmc_receiver_close(market->channel.rx);
    return 0;
}

static void *buys_on_a_thread(void *arg)
{
    (void)buys(arg);
    return NULL;
}

static int market_day(void *arg)
{
    size_t capacity = *(size_t *)arg;
    struct market market = {.channel = channel_of(capacity)};
    skua_scope scope;
    pthread_t thread;

    market.seen = calloc(MESSAGES, 1);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < PEERS; i++) {
        (void)skua_mpmc_sender_clone(market.channel.tx);
        (void)skua_mpmc_receiver_clone(market.channel.rx);
        MUST(skua_spawn(&scope, sells, &market) == 0);
        MUST(skua_spawn(&scope, buys, &market) == 0);
    }
    MUST(pthread_create(&thread, NULL, buys_on_a_thread, &market) == 0);
    skua_mpmc_sender_close(market.channel.tx);
    CHECK_EQ(skua_scope_join(&scope), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < MESSAGES; i++)
        if (!CHECK_EQ(market.seen[i], 1))
            break;
    free(market.seen);
    return 0;
}

TEST(each_message_is_received_once)
{
    static const size_t capacities[] = {1, 3, 100, 0};

    for (int kind = 0; kind < TEST_KINDS; kind++)
        for (size_t i = 0; i < TEST_LEN(capacities); i++) {
            skua_runtime *runtime = test_runtime(&test_kinds[kind]);
            size_t capacity = capacities[i];

            test_run(runtime, market_day, &capacity);
            test_runtime_free(runtime);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(receivers_wait_in_line),
        cmocka_unit_test(message_of_a_cancelled_receiver_goes_to_the_next),
        cmocka_unit_test(message_of_a_dropped_future_stays),
        cmocka_unit_test(last_receiver_closes_the_channel),
        cmocka_unit_test(close_ends_all_who_wait),
        cmocka_unit_test(each_message_is_received_once),
    };

    return TEST_MAIN(tests);
}
