/* test_local_channel.c - messages between the tasks of one worker.
 *
 * Specifies local_channel.h: order, room, what is promised to whom, closing, memory. What lines
 * have in common: test_local_line.c.
 */
#include "../lib/line.h"
#include "../lib/part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_local_channel *channel_of(size_t size, size_t capacity)
{
    skua_local_channel *channel = NULL;

    MUST((capacity == 0 ? skua_local_channel_new_unbounded(&channel, size)
                        : skua_local_channel_new(&channel, size, capacity)) == 0);
    return channel;
}

static int try_send(skua_local_channel *channel, uint64_t number)
{
    return skua_local_channel_try_send(channel, &number);
}

/* The number of the message, or the error. */
static int64_t try_recv(skua_local_channel *channel)
{
    uint64_t number = 77;
    int rc = skua_local_channel_try_recv(channel, &number);

    CHECK(rc == 0 || number == 77);
    return rc != 0 ? rc : (int64_t)number;
}

/* ---- the queue ------------------------------------------------------------------------------- */

TEST(local_channel_that_cannot_be)
{
    skua_local_channel *channel = NULL;

    CHECK_EQ(skua_local_channel_new(&channel, 0, 1), -EINVAL);
    CHECK_EQ(skua_local_channel_new(&channel, 8, 0), -EINVAL);
    CHECK_EQ(skua_local_channel_new(&channel, 8, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_local_channel_new(&channel, 8, SIZE_MAX / 16), -EINVAL);
    CHECK_EQ(skua_local_channel_new(&channel, ((size_t)1 << 20) + 1, 1), -EINVAL);
    CHECK_EQ(skua_local_channel_new_unbounded(&channel, 0), -EINVAL);
    CHECK_EQ(skua_local_channel_new_unbounded(&channel, ((size_t)1 << 20) + 1), -EINVAL);
    CHECK(channel == NULL);
    skua_local_channel_free(NULL);
}

/* Messages of all sizes, put in and taken at random: what comes out is what went in. */
static void check_messages(size_t size, size_t capacity)
{
    skua_local_channel *channel = channel_of(size, capacity);
    unsigned char *message = malloc(size);
    uint64_t random = size * 31 + capacity + 1;
    size_t in = 0, out = 0;
    size_t most = capacity != 0 ? capacity : size > 4096 ? 9 : 3000;

    for (int i = 0; i < (size > 4096 ? 40 : 400); i++) {
        size_t burst = test_random(&random) % (most + most / 2 + 1);
        bool sends = test_random(&random) % 2;

        for (; burst > 0 && sends && in - out < most; burst--) {
            memset(message, (int)(in % 251), size);
            CHECK_EQ(skua_local_channel_try_send(channel, message), 0);
            in++;
        }
        if (sends && capacity != 0 && in - out == capacity)
            CHECK_EQ(skua_local_channel_try_send(channel, message), -EAGAIN);
        for (; burst > 0 && !sends && in != out; burst--) {
            CHECK_EQ(skua_local_channel_try_recv(channel, message), 0);
            CHECK_EQ(message[0], out % 251);
            CHECK_EQ(message[size - 1], out % 251);
            out++;
        }
        CHECK_EQ(skua_local_channel_len(channel), in - out);
        if (in == out)
            CHECK_EQ(skua_local_channel_try_recv(channel, message), -EAGAIN);
    }
    free(message);
    skua_local_channel_free(channel); /* with what is still there */
}

TEST(local_channel_first_in_first_out)
{
    static const size_t sizes[] = {1, 3, 8, 24, 64, 72, 100, 1024, 1 << 20};
    static const size_t capacities[] = {0, 1, 2, 7, 100};

    for (size_t s = 0; s < TEST_LEN(sizes); s++)
        for (size_t c = 0; c < TEST_LEN(capacities); c++)
            if (sizes[s] < 4096 || capacities[c] < 100)
                check_messages(sizes[s], capacities[c]);
}

TEST_WAITING(local_channel_sends_and_receives)
{
    for (size_t capacity = 0; capacity < 4; capacity++) {
        skua_local_channel *channel = channel_of(sizeof(uint64_t), capacity);
        uint64_t message = 5;
        uint64_t got = 0;

        CHECK_EQ(skua_local_channel_recv_until(channel, &got, skua_now() + MS(1)), -ETIMEDOUT);
        CHECK_EQ(skua_local_channel_send(channel, &message), 0);
        CHECK_EQ(skua_local_channel_recv(channel, &got), 0);
        CHECK_EQ(got, 5);
        message = 6;
        CHECK_EQ(skua_local_channel_send_until(channel, &message, 0), 0);
        CHECK_EQ(skua_local_channel_recv_until(channel, &got, 0), 0);
        CHECK_EQ(got, 6);
        message = 7;
        CHECK_EQ(skua_await(skua_local_channel_sending(channel, &message)), 0);
        CHECK_EQ(skua_select(skua_local_channel_receiving(channel, &got)), 0);
        CHECK_EQ(got, 7);
        for (size_t i = 0; i < capacity; i++)
            CHECK_EQ(skua_local_channel_send(channel, &message), 0);
        if (capacity != 0)
            CHECK_EQ(skua_local_channel_send_until(channel, &message, skua_now() + MS(1)),
                     -ETIMEDOUT);
        CHECK_EQ(skua_local_channel_len(channel), capacity);
        skua_local_channel_free(channel);
    }
}

/* ---- those in line --------------------------------------------------------------------------- */

enum { WAITS = 3 };

struct waits {
    struct test_bell bells[WAITS];
    skua_waker *wakers[WAITS];
    skua_local_future waits[WAITS];
    uint64_t messages[WAITS];
};

static int64_t asked(struct waits *self, int i)
{
    return skua_future_poll(&self->waits[i].future, self->wakers[i]);
}

static void receivers_wait(struct waits *self, skua_local_channel *channel)
{
    for (int i = 0; i < WAITS; i++) {
        self->messages[i] = 77;
        self->wakers[i] = test_bell_init(&self->bells[i]);
        skua_local_channel_recv_init(&self->waits[i], channel, &self->messages[i]);
        CHECK_EQ(asked(self, i), SKUA_PENDING);
    }
}

static void senders_wait(struct waits *self, skua_local_channel *channel)
{
    for (int i = 0; i < WAITS; i++) {
        self->messages[i] = 10 + (uint64_t)i;
        self->wakers[i] = test_bell_init(&self->bells[i]);
        skua_local_channel_send_init(&self->waits[i], channel, &self->messages[i]);
        CHECK_EQ(asked(self, i), SKUA_PENDING);
    }
}

static void waits_end(struct waits *self, skua_local_channel *channel)
{
    for (int i = 0; i < WAITS; i++)
        test_bell_end(&self->bells[i]);
    skua_local_channel_free(channel);
}

TEST(local_channel_a_message_is_promised_to_the_first_in_line)
{
    skua_local_channel *channel = channel_of(sizeof(uint64_t), 4);
    struct waits all;

    receivers_wait(&all, channel);
    CHECK_EQ(try_send(channel, 1), 0);
    CHECK_EQ(TEST_RINGS(&all.bells[0]), 1);
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 0);
    CHECK_EQ(skua_local_channel_len(channel), 1);
    CHECK_EQ(try_recv(channel), -EAGAIN);
    skua_future_drop(&all.waits[0].future); /* on to the next */
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 1);
    CHECK_EQ(try_recv(channel), -EAGAIN);
    CHECK_EQ(try_send(channel, 2), 0);
    CHECK_EQ(try_send(channel, 3), 0);
    CHECK_EQ(TEST_RINGS(&all.bells[2]), 1);
    CHECK_EQ(try_recv(channel), 1); /* one of the three is nobody's: the oldest goes first */
    CHECK_EQ(try_recv(channel), -EAGAIN);
    CHECK_EQ(asked(&all, 2), 0);
    CHECK_EQ(all.messages[2], 2);
    skua_future_drop(&all.waits[1].future); /* nobody comes next: it is anybody's */
    CHECK_EQ(try_recv(channel), 3);
    CHECK_EQ(all.messages[0], 77);
    CHECK_EQ(all.messages[1], 77);
    waits_end(&all, channel);
}

TEST(local_channel_senders_in_line)
{
    skua_local_channel *channel = channel_of(sizeof(uint64_t), 2);
    struct waits all;

    CHECK_EQ(try_send(channel, 1), 0);
    CHECK_EQ(try_send(channel, 2), 0);
    senders_wait(&all, channel);
    CHECK_EQ(try_recv(channel), 1);
    CHECK_EQ(try_send(channel, 9), -EAGAIN); /* the first in line has the room */
    CHECK_EQ(TEST_RINGS(&all.bells[0]), 1);
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 0);
    skua_future_drop(&all.waits[0].future); /* sent, although it does not learn it */
    skua_future_drop(&all.waits[1].future); /* not sent */
    CHECK_EQ(try_recv(channel), 2);
    CHECK_EQ(asked(&all, 2), 0);
    CHECK_EQ(try_recv(channel), 10);
    CHECK_EQ(try_recv(channel), 12);
    CHECK_EQ(try_recv(channel), -EAGAIN);
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 0);
    waits_end(&all, channel);
}

/* Room for one: a message that is taken lets a sender in, which lets a receiver in. */
TEST(local_channel_both_in_line)
{
    skua_local_channel *channel = channel_of(sizeof(uint64_t), 1);
    struct waits receivers, senders;

    receivers_wait(&receivers, channel);
    CHECK_EQ(try_send(channel, 1), 0);
    senders_wait(&senders, channel);
    CHECK_EQ(asked(&receivers, 0), 0);
    CHECK_EQ(asked(&senders, 0), 0);
    CHECK_EQ(TEST_RINGS(&receivers.bells[1]), 1);
    CHECK_EQ(TEST_RINGS(&receivers.bells[2]), 0);
    CHECK_EQ(asked(&receivers, 1), 0);
    CHECK_EQ(asked(&receivers, 2), 0);
    CHECK_EQ(receivers.messages[0], 1);
    CHECK_EQ(receivers.messages[1], 10);
    CHECK_EQ(receivers.messages[2], 11);
    CHECK_EQ(asked(&senders, 1), 0);
    CHECK_EQ(asked(&senders, 2), 0);
    CHECK_EQ(try_recv(channel), 12);
    for (int i = 0; i < WAITS; i++)
        test_bell_end(&receivers.bells[i]);
    waits_end(&senders, channel);
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_WAITING(local_channel_closed_is_emptied_first)
{
    for (size_t capacity = 0; capacity < 6; capacity += 3) {
        skua_local_channel *channel = channel_of(sizeof(uint64_t), capacity);
        uint64_t message = 5;

        CHECK_EQ(skua_local_channel_send(channel, &message), 0);
        CHECK_EQ(skua_local_channel_send(channel, &message), 0);
        CHECK_EQ(skua_local_channel_is_closed(channel), 0);
        skua_local_channel_close(channel);
        skua_local_channel_close(channel);
        CHECK_EQ(skua_local_channel_is_closed(channel), 1);
        CHECK_EQ(skua_local_channel_send(channel, &message), SKUA_ECLOSED);
        CHECK_EQ(skua_local_channel_try_send(channel, &message), SKUA_ECLOSED);
        CHECK_EQ(skua_local_channel_len(channel), 2);
        CHECK_EQ(skua_local_channel_recv(channel, &message), 0);
        CHECK_EQ(try_recv(channel), 5);
        CHECK_EQ(skua_local_channel_recv(channel, &message), SKUA_ECLOSED);
        CHECK_EQ(skua_await(skua_local_channel_receiving(channel, &message)), SKUA_ECLOSED);
        CHECK_EQ(skua_await(skua_local_channel_sending(channel, &message)), SKUA_ECLOSED);
        CHECK_EQ(try_recv(channel), SKUA_ECLOSED);
        skua_local_channel_free(channel);
    }
}

TEST(local_channel_closed_while_senders_wait)
{
    skua_local_channel *channel = channel_of(sizeof(uint64_t), 1);
    struct waits all;

    CHECK_EQ(try_send(channel, 1), 0);
    senders_wait(&all, channel);
    CHECK_EQ(try_recv(channel), 1);
    skua_local_channel_close(channel);
    CHECK_EQ(asked(&all, 0), 0); /* it was in before */
    CHECK_EQ(asked(&all, 1), SKUA_ECLOSED);
    skua_future_drop(&all.waits[2].future);
    CHECK_EQ(try_recv(channel), 10);
    CHECK_EQ(try_recv(channel), SKUA_ECLOSED);
    waits_end(&all, channel);
}

TEST(local_channel_closed_while_receivers_wait)
{
    for (int dropped = 0; dropped < 2; dropped++) {
        skua_local_channel *channel = channel_of(sizeof(uint64_t), 4);
        struct waits all;

        receivers_wait(&all, channel);
        CHECK_EQ(try_send(channel, 1), 0);
        skua_local_channel_close(channel);
        CHECK_EQ(try_recv(channel), -EAGAIN); /* promised, and may yet be left to another */
        CHECK_EQ(asked(&all, 1), SKUA_PENDING);
        if (dropped)
            skua_future_drop(&all.waits[0].future);
        CHECK_EQ(asked(&all, dropped), 0);
        CHECK_EQ(all.messages[dropped], 1);
        CHECK_EQ(asked(&all, 2), SKUA_ECLOSED);
        if (!dropped)
            skua_future_drop(&all.waits[1].future);
        CHECK_EQ(try_recv(channel), SKUA_ECLOSED);
        waits_end(&all, channel);
    }
}

TEST(local_channel_closed_when_empty)
{
    skua_local_channel *channel = channel_of(sizeof(uint64_t), 0);
    struct waits all;

    receivers_wait(&all, channel);
    skua_local_channel_close(channel);
    skua_future_drop(&all.waits[1].future);
    skua_local_channel_free(channel); /* who was told so does not look again */
    CHECK_EQ(asked(&all, 0), SKUA_ECLOSED);
    CHECK_EQ(asked(&all, 2), SKUA_ECLOSED);
    waits_end(&all, NULL);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST(local_channel_without_memory)
{
    skua_local_channel *channel = NULL;
    uint64_t sent = 0;
    int rc = 0;

    for (unsigned nth = 1; nth <= 2; nth++) { /* the channel, and its messages */
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_local_channel_new(&channel, 8, 10), -ENOMEM);
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_local_channel_new_unbounded(&channel, 8), -ENOMEM);
    }
    CHECK(channel == NULL);
    channel = channel_of(sizeof sent, 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    while ((rc = try_send(channel, sent)) == 0)
        sent++;
    CHECK_EQ(rc, -ENOMEM);
    CHECK_EQ(skua_local_channel_len(channel), sent);
    for (int i = 0; i < 5000; i++, sent++) /* the next time there is some */
        CHECK_EQ(skua_local_channel_send(channel, &sent), 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    for (uint64_t i = 0; i < sent; i++)
        CHECK_EQ(try_recv(channel), i);
    skua_local_channel_free(channel);
}
#endif

/* Emptied again and again, it needs no more memory: a block that was emptied is kept. */
TEST(local_channel_keeps_a_block)
{
    skua_local_channel *channel = channel_of(sizeof(uint64_t), 0);

    for (uint64_t round = 0; round < 10; round++) {
#ifdef SKUA_FAULTS
        if (round > 2)
            skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM); /* none is asked for */
#endif
        for (uint64_t i = 0; i < 500; i++)
            CHECK_EQ(try_send(channel, i), 0);
        for (uint64_t i = 0; i < 500; i++)
            CHECK_EQ(try_recv(channel), i);
    }
#ifdef SKUA_FAULTS
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
#endif
    skua_local_channel_free(channel);
}

/* ---- in whatever order ----------------------------------------------------------------------- */

enum { SENDERS = 4, RECEIVERS = 4, MESSAGES = 8, NONE = 1000 };

struct market {
    skua_local_channel *channel;
    bool sent[SENDERS][MESSAGES]; /* 0 was returned */
    int next[SENDERS];            /* what comes from each is in order */
};

struct seller {
    struct market *market;
    int index;
};

static int64_t patience(void)
{
    return skua_test_random() % 2 ? SKUA_FOREVER
                                  : skua_now() + (int64_t)(skua_test_random() % 4) * SKUA_SECOND;
}

static int sells(void *arg)
{
    struct seller *self = arg;
    struct market *market = self->market;

    for (int i = 0; i < MESSAGES; i++) {
        uint64_t message = (uint64_t)(self->index * NONE + i);
        int rc = skua_local_channel_send_until(market->channel, &message, patience());

        CHECK(rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT);
        market->sent[self->index][i] = rc == 0;
        if (skua_test_random() % 3 == 0)
            (void)skua_sleep((int64_t)(skua_test_random() % 3) * SKUA_SECOND);
    }
    return 0;
}

static void bought(struct market *market, uint64_t message)
{
    int from = (int)(message / NONE), number = (int)(message % NONE);

    if (!CHECK(from < SENDERS && number < MESSAGES))
        return;
    CHECK(number >= market->next[from]);
    for (int i = market->next[from]; i < number; i++) /* each one before was not sent */
        CHECK(!market->sent[from][i]);
    market->next[from] = number + 1;
}

static int buys(void *arg)
{
    struct market *market = arg;
    uint64_t message;
    int rc;

    do {
        rc = skua_local_channel_recv_until(market->channel, &message, patience());
        if (rc == 0)
            bought(market, message);
    } while (rc == 0 || rc == -ETIMEDOUT);
    CHECK(rc == SKUA_ECLOSED || rc == -ECANCELED);
    return 0;
}

struct buyer {
    skua_async async;
    struct market *market;
    skua_local_future recv;
    uint64_t message;
    skua_poll answer;
};

static skua_poll buys_in_poll_task(void *state, skua_waker *waker)
{
    struct buyer *self = state;

    SKUA_ASYNC(self, waker);
    do {
        SKUA_AWAIT_TO(self->answer, skua_local_channel_recv_init(&self->recv, self->market->channel,
                                                                 &self->message));
        if (self->answer == 0)
            bought(self->market, self->message);
    } while (self->answer == 0);
    SKUA_ASYNC_END(0);
}

static int market_explored(void *arg)
{
    struct market market = {.channel = channel_of(sizeof(uint64_t), *(size_t *)arg)};
    struct seller sellers[SENDERS];
    skua_task *tasks[SENDERS + RECEIVERS];
    skua_scope buying, selling;
    int rc;

    MUST(skua_scope_open(&buying, SKUA_COLLECT) == 0);
    for (int i = 0; i < RECEIVERS; i++)
        MUST((i % 2
                  ? skua_spawn(&buying, buys, &market, .task = &tasks[i])
                  : skua_spawn_poll(&buying, buys_in_poll_task,
                                    (&(struct buyer){.market = &market}), .task = &tasks[i])) == 0);
    MUST(skua_scope_open(&selling, SKUA_COLLECT) == 0);
    for (int i = 0; i < SENDERS; i++) {
        sellers[i] = (struct seller){&market, i};
        MUST(skua_spawn(&selling, sells, &sellers[i], .task = &tasks[RECEIVERS + i]) == 0);
    }
    for (int i = 1; i < SENDERS + RECEIVERS; i += 2) {
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 4) * SKUA_SECOND), 0);
        if (skua_test_random() % 2 && i != 1)
            (void)skua_task_cancel(tasks[i]);
    }
    rc = skua_scope_join(&selling);
    CHECK(rc == 0 || rc == -ECANCELED);
    skua_local_channel_close(market.channel);
    rc = skua_scope_join(&buying);
    CHECK(rc == 0 || rc == -ECANCELED);
    for (int i = 0; i < SENDERS + RECEIVERS; i++)
        skua_task_detach(tasks[i]);
    for (int from = 0; from < SENDERS; from++) /* nothing that was sent is missing */
        for (int i = market.next[from]; i < MESSAGES; i++)
            CHECK(!market.sent[from][i]);
    CHECK_EQ(skua_local_channel_len(market.channel), 0);
    skua_local_channel_free(market.channel);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(local_channel_in_whatever_order)
{
    static const size_t capacities[] = {1, 2, 5, 0};

    test_limit(60);
    for (size_t i = 0; i < TEST_LEN(capacities); i++)
        CHECK_EQ(skua_test_explore(TEST_COUNT(1000), market_explored, (void *)&capacities[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_channel_that_cannot_be),
        cmocka_unit_test(local_channel_first_in_first_out),
        TEST_WAITING_ENTRIES(local_channel_sends_and_receives),
        cmocka_unit_test(local_channel_a_message_is_promised_to_the_first_in_line),
        cmocka_unit_test(local_channel_senders_in_line),
        cmocka_unit_test(local_channel_both_in_line),
        TEST_WAITING_ENTRIES(local_channel_closed_is_emptied_first),
        cmocka_unit_test(local_channel_closed_while_senders_wait),
        cmocka_unit_test(local_channel_closed_while_receivers_wait),
        cmocka_unit_test(local_channel_closed_when_empty),
#ifdef SKUA_FAULTS
        cmocka_unit_test(local_channel_without_memory),
#endif
        cmocka_unit_test(local_channel_keeps_a_block),
        cmocka_unit_test(local_channel_in_whatever_order),
    };

    return TEST_MAIN(tests);
}
