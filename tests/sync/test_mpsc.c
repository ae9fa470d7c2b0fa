/* test_mpsc.c - many senders, one receiver.
 *
 * Specifies mpsc.h: order, room, reserving, closing from either side, weak senders, and that no
 * message is lost or doubled when waits are dropped at any moment.
 */
#include <pthread.h>

#include "../lib/event.h"
#include "../lib/parked.h"

struct channel {
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;
};

static struct channel channel_of(size_t capacity)
{
    struct channel channel;

    MUST((capacity == 0
              ? skua_mpsc_new_unbounded(&channel.tx, &channel.rx, sizeof(uint64_t))
              : skua_mpsc_new(&channel.tx, &channel.rx, sizeof(uint64_t), capacity)) == 0);
    return channel;
}

static void channel_end(struct channel *channel)
{
    skua_mpsc_sender_close(channel->tx);
    skua_mpsc_receiver_close(channel->rx);
}

static int send_number(struct channel *channel, uint64_t number)
{
    return skua_mpsc_send(channel->tx, &number);
}

static int try_send_number(struct channel *channel, uint64_t number)
{
    return skua_mpsc_try_send(channel->tx, &number);
}

/* ---- order and room -------------------------------------------------------------------------- */

TEST_FIBER(messages_come_in_order)
{
    for (size_t capacity = 0; capacity < 5; capacity++) {
        struct channel channel = channel_of(capacity);
        uint64_t got = 0;
        uint64_t next = 0;
        uint64_t sent = 0;

        while (sent < 3000) {
            while (sent < 3000 && (capacity != 0 || sent % 700 != 699) &&
                   try_send_number(&channel, sent) == 0)
                sent++;
            sent += capacity == 0 && sent % 700 == 699 && try_send_number(&channel, sent) == 0;
            for (int i = 0; i < 3 && skua_mpsc_try_recv(channel.rx, &got) == 0; i++)
                CHECK_EQ(got, next++);
        }
        CHECK_EQ(skua_mpsc_len(channel.rx), sent - next);
        while (skua_mpsc_try_recv(channel.rx, &got) == 0)
            CHECK_EQ(got, next++);
        CHECK_EQ(next, 3000);
        CHECK_EQ(skua_mpsc_try_recv(channel.rx, &got), -EAGAIN);
        channel_end(&channel);
    }
    return 0;
}

TEST_FIBER(full_channel_takes_nothing)
{
    struct channel channel = channel_of(2);
    uint64_t got = 77;

    CHECK_EQ(try_send_number(&channel, 1), 0);
    CHECK_EQ(try_send_number(&channel, 2), 0);
    CHECK_EQ(try_send_number(&channel, 3), -EAGAIN);
    CHECK_EQ(skua_mpsc_send_until(channel.tx, &got, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_mpsc_len(channel.rx), 2);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(got, 1);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(got, 2);
    CHECK_EQ(skua_mpsc_recv_until(channel.rx, &got, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(got, 2);
    channel_end(&channel);
    return 0;
}

struct sender {
    struct channel *channel;
    uint64_t number;
    int rc;
};

static int sends_its_number(void *arg)
{
    struct sender *self = arg;

    self->rc = send_number(self->channel, self->number);
    return 0;
}

/* On one worker: who waits first sends first. */
TEST_FIBER_CURRENT(senders_wait_in_line)
{
    struct channel channel = channel_of(1);
    struct sender senders[10];
    skua_scope scope;
    uint64_t got;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    CHECK_EQ(send_number(&channel, 99), 0);
    for (int i = 0; i < 10; i++) {
        senders[i] = (struct sender){&channel, (uint64_t)i, 77};
        MUST(skua_spawn(&scope, sends_its_number, &senders[i]) == 0);
    }
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(got, 99);
    CHECK_EQ(try_send_number(&channel, 1), -EAGAIN); /* the room is the first sender's */
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
        CHECK_EQ(got, i);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(senders[i].rc, 0);
    channel_end(&channel);
    return 0;
}

TEST_FIBER(recv_many_takes_what_is_there)
{
    struct channel channel = channel_of(0);
    uint64_t got[8] = {0};

    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(send_number(&channel, i), 0);
    CHECK_EQ(skua_mpsc_recv_many(channel.rx, got, 0), -EINVAL);
    CHECK_EQ(skua_mpsc_recv_many(channel.rx, got, 3), 3);
    CHECK_EQ(skua_mpsc_recv_many(channel.rx, got + 3, 5), 2);
    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(got[i], i);
    channel_end(&channel);
    return 0;
}

/* ---- reserving ------------------------------------------------------------------------------- */

TEST_FIBER(reserved_room_is_kept)
{
    struct channel channel = channel_of(4);
    uint64_t number = 5;

    CHECK_EQ(skua_mpsc_send_reserved(channel.tx, &number), SKUA_EUSAGE);
    CHECK_EQ(skua_mpsc_try_reserve(channel.tx, 5), -EINVAL);
    CHECK_EQ(skua_mpsc_reserve(channel.tx, 5), -EINVAL);
    CHECK_EQ(skua_mpsc_reserve(channel.tx, 3), 0);
    CHECK_EQ(try_send_number(&channel, 1), 0);
    CHECK_EQ(try_send_number(&channel, 2), -EAGAIN);
    CHECK_EQ(skua_mpsc_try_reserve(channel.tx, 1), -EAGAIN);
    CHECK_EQ(skua_mpsc_send_reserved(channel.tx, &number), 0);
    CHECK_EQ(skua_mpsc_unreserve(channel.tx, 3), SKUA_EUSAGE);
    CHECK_EQ(skua_mpsc_unreserve(channel.tx, 2), 0);
    CHECK_EQ(try_send_number(&channel, 2), 0);
    CHECK_EQ(skua_mpsc_len(channel.rx), 3);
    channel_end(&channel);
    return 0;
}

static int reserves_two(void *arg)
{
    struct sender *self = arg;

    self->rc = skua_mpsc_reserve(self->channel->tx, 2);
    return 0;
}

/* One that waits for two keeps a later one behind it, and gives back what it had when it goes. */
TEST_FIBER_CURRENT(reserver_that_is_cancelled_gives_back)
{
    struct channel channel = channel_of(2);
    struct sender reserver = {&channel, 0, 77};
    struct sender sender = {&channel, 8, 77};
    skua_task *reserving;
    skua_task *sending;
    uint64_t got;

    CHECK_EQ(try_send_number(&channel, 1), 0);
    MUST(skua_spawn(NULL, reserves_two, &reserver, .task = &reserving) == 0);
    CHECK_EQ(skua_yield(), 0);
    MUST(skua_spawn(NULL, sends_its_number, &sender, .task = &sending) == 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(sender.rc, 77); /* behind it, although there was room for one */
    CHECK_EQ(skua_task_cancel(reserving), 0);
    CHECK_EQ(skua_task_join(reserving, NULL), 0);
    CHECK_EQ(reserver.rc, -ECANCELED);
    CHECK_EQ(skua_task_join(sending, NULL), 0);
    CHECK_EQ(sender.rc, 0);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(got, 8);
    CHECK_EQ(skua_mpsc_try_reserve(channel.tx, 2), 0);
    channel_end(&channel);
    return 0;
}

/* ---- cancellation ---------------------------------------------------------------------------- */

static int receives_as_long_as_it_may(void *arg)
{
    struct sender *self = arg;

    do {
        self->rc = skua_mpsc_recv(self->channel->rx, &self->number);
        if (self->rc == 0)
            self->rc = send_number(self->channel, self->number);
    } while (self->rc == 0);
    return 0;
}

/* Also where no call ever has to wait. */
TEST_FIBER(cancelled_task_learns_it_from_a_channel_that_is_never_empty)
{
    struct channel channel = channel_of(0);
    struct sender self = {&channel, 5, 77};
    skua_task *task;

    CHECK_EQ(send_number(&channel, 1), 0);
    MUST(skua_spawn(NULL, receives_as_long_as_it_may, &self, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK(self.rc == -ECANCELED || self.rc == 77);
    channel_end(&channel);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

struct spender {
    struct channel spent;
    struct channel empty;
    uint64_t units; /* of its turn's budget, before it waits */
};

static int spends_and_receives(void *arg)
{
    struct spender *spender = arg;
    uint64_t got;

    for (uint64_t i = 0; i < spender->units; i++) {
        int rc = send_number(&spender->spent, i);

        if (rc != 0)
            return rc;
    }
    return skua_mpsc_recv(spender->empty.rx, &got);
}

/* One of them finds its budget spent in the receive itself, lets others run, and is cancelled while
 * they do: its one wake comes before it waits. */
TEST_FIBER_CURRENT(receive_learns_of_a_cancel_that_came_before_it_waits)
{
    for (uint64_t units = 0; units < 150; units++) {
        struct spender spender = {channel_of(0), channel_of(1), units};
        skua_task *task;
        int result = 77;

        MUST(skua_spawn(NULL, spends_and_receives, &spender, .task = &task) == 0);
        CHECK_EQ(skua_yield(), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        channel_end(&spender.spent);
        channel_end(&spender.empty);
    }
    return 0;
}

TEST_FIBER(last_sender_ends_the_channel)
{
    struct channel channel = channel_of(3);
    skua_mpsc_sender *other = skua_mpsc_sender_clone(channel.tx);
    skua_mpsc_weak *weak = skua_mpsc_downgrade(channel.tx);
    uint64_t got = 77;

    CHECK_EQ(send_number(&channel, 1), 0);
    skua_mpsc_sender_close(channel.tx);
    channel.tx = skua_mpsc_upgrade(weak);
    CHECK(channel.tx != NULL);
    CHECK_EQ(send_number(&channel, 2), 0);
    skua_mpsc_sender_close(channel.tx);
    CHECK_EQ(skua_mpsc_is_closed(other), 0);
    skua_mpsc_sender_close(other);
    CHECK(skua_mpsc_upgrade(weak) == NULL);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(got, 2);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), SKUA_ECLOSED);
    CHECK_EQ(skua_mpsc_try_recv(channel.rx, &got), SKUA_ECLOSED);
    CHECK_EQ(got, 2);
    skua_mpsc_receiver_close(channel.rx);
    skua_mpsc_weak_close(weak);
    skua_mpsc_sender_close(NULL);
    skua_mpsc_receiver_close(NULL);
    skua_mpsc_weak_close(NULL);
    return 0;
}

TEST_FIBER(receiver_that_closes_drains)
{
    struct channel channel = channel_of(3);
    uint64_t got = 77;
    uint64_t late = 9;

    CHECK_EQ(send_number(&channel, 1), 0);
    CHECK_EQ(skua_mpsc_reserve(channel.tx, 1), 0);
    skua_mpsc_close(channel.rx);
    CHECK_EQ(skua_mpsc_is_closed(channel.tx), 1);
    CHECK_EQ(send_number(&channel, 2), SKUA_ECLOSED);
    CHECK_EQ(skua_mpsc_reserve(channel.tx, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(skua_mpsc_try_recv(channel.rx, &got), -EAGAIN); /* one is reserved */
    CHECK_EQ(skua_mpsc_send_reserved(channel.tx, &late), 0);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), 0);
    CHECK_EQ(got, 9);
    CHECK_EQ(skua_mpsc_recv(channel.rx, &got), SKUA_ECLOSED);
    channel_end(&channel);
    return 0;
}

static int receives_one(void *arg)
{
    struct sender *self = arg;

    self->rc = skua_mpsc_recv(self->channel->rx, &self->number);
    return 0;
}

TEST_FIBER(waits_end_when_the_other_side_goes)
{
    for (int side = 0; side < 3; side++) {
        struct channel channel = channel_of(1);
        struct sender self = {&channel, 5, 77};
        skua_task *task;

        if (side != 0)
            CHECK_EQ(send_number(&channel, 1), 0);
        MUST(skua_spawn(NULL, side == 0 ? receives_one : sends_its_number, &self, .task = &task) ==
             0);
        test_until_parked(task, NULL);
        if (side == 0)
            skua_mpsc_sender_close(channel.tx);
        else if (side == 1)
            skua_mpsc_close(channel.rx);
        else
            skua_mpsc_receiver_close(channel.rx);
        CHECK_EQ(skua_task_join(task, NULL), 0);
        CHECK_EQ(self.rc, SKUA_ECLOSED);
        if (side == 0)
            skua_mpsc_receiver_close(channel.rx);
        else
            skua_mpsc_sender_close(channel.tx);
        if (side == 1)
            skua_mpsc_receiver_close(channel.rx);
    }
    return 0;
}

/* ---- poll tasks, threads, types -------------------------------------------------------------- */

struct poller {
    skua_async async;
    struct channel *channel;
    skua_sync_future wait;
    uint64_t number;
    uint64_t sum;
    skua_poll answer;
};

static skua_poll poll_sums(void *state, skua_waker *waker)
{
    struct poller *self = state;

    SKUA_ASYNC(self, waker);
    for (;;) {
        SKUA_AWAIT_TO(self->answer,
                      skua_mpsc_recv_init(&self->wait, self->channel->rx, &self->number));
        if (self->answer < 0)
            break;
        self->sum += self->number;
    }
    SKUA_ASYNC_END((skua_poll)self->sum);
}

static void *thread_sends(void *arg)
{
    for (uint64_t i = 1; i <= 1000; i++)
        CHECK_EQ(send_number(arg, i), 0);
    skua_mpsc_sender_close(((struct channel *)arg)->tx);
    return NULL;
}

TEST_FIBER(thread_sends_to_a_poll_task)
{
    struct channel channel = channel_of(7);
    struct poller poller = {.channel = &channel};
    skua_task *task;
    pthread_t thread;
    int result;

    MUST(skua_spawn_poll(NULL, poll_sums, &poller, .task = &task) == 0);
    MUST(pthread_create(&thread, NULL, thread_sends, &channel) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 500500);
    pthread_join(thread, NULL);
    skua_mpsc_receiver_close(channel.rx);
    return 0;
}

struct point {
    int x, y;
    char name[20];
};

SKUA_MPSC_TYPE(points, struct point);

TEST_FIBER(typed_channel)
{
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;
    struct point point;

    MUST(points_new(&tx, &rx, 2) == 0);
    CHECK_EQ(points_send(tx, (struct point){1, 2, "a"}), 0);
    CHECK_EQ(points_try_send(tx, (struct point){3, 4, "b"}), 0);
    CHECK_EQ(points_recv(rx, &point), 0);
    CHECK(point.x == 1 && point.y == 2 && strcmp(point.name, "a") == 0);
    CHECK_EQ(points_try_recv(rx, &point), 0);
    CHECK(point.x == 3 && point.y == 4 && strcmp(point.name, "b") == 0);
    skua_mpsc_sender_close(tx);
    skua_mpsc_receiver_close(rx);
    return 0;
}

/* ---- bad input, faults ----------------------------------------------------------------------- */

TEST(channel_that_cannot_be)
{
    struct channel channel = {NULL, NULL};

    CHECK_EQ(skua_mpsc_new(&channel.tx, &channel.rx, 0, 1), -EINVAL);
    CHECK_EQ(skua_mpsc_new(&channel.tx, &channel.rx, 8, 0), -EINVAL);
    CHECK_EQ(skua_mpsc_new(&channel.tx, &channel.rx, 8, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_mpsc_new(&channel.tx, &channel.rx, 8, SIZE_MAX / 16), -EINVAL);
    CHECK_EQ(skua_mpsc_new(&channel.tx, &channel.rx, (size_t)1 << 21, 1), -EINVAL);
    CHECK_EQ(skua_mpsc_new_unbounded(&channel.tx, &channel.rx, 0), -EINVAL);
    CHECK(channel.tx == NULL && channel.rx == NULL);
}

/* ---- stress ---------------------------------------------------------------------------------- */

enum { PRODUCERS = 4 };

struct flood {
    struct channel channel;
    int64_t end;
    atomic_ullong sent[PRODUCERS]; /* acknowledged, the highest number + 1 */
    atomic_ullong unsure;          /* sends that ended otherwise */
};

struct producer {
    struct flood *flood;
    uint64_t index;
};

/* Numbers carry their producer. Some sends have hardly any time. */
static int floods(void *arg)
{
    struct producer *self = arg;
    struct flood *flood = self->flood;
    uint64_t random = self->index * 7919 + 1;

    for (uint64_t i = 0; skua_now() < flood->end; i++) {
        uint64_t message = self->index << 48 | i;
        int rc = test_random(&random) % 4 == 0
                     ? skua_mpsc_send_until(flood->channel.tx, &message,
                                            skua_now() + (int64_t)(test_random(&random) % 30000))
                     : skua_mpsc_send(flood->channel.tx, &message);

        if (rc == 0)
            atomic_fetch_add(&flood->sent[self->index], 1);
        else if (CHECK_EQ(rc, -ETIMEDOUT))
            atomic_fetch_add(&flood->unsure, 1);
    }
    skua_mpsc_sender_close(flood->channel.tx);
    return 0;
}

static int flood_runs(void *arg)
{
    struct flood flood = {.channel = channel_of(3), .end = skua_now() + test_stress_time(1) / 2};
    struct producer producers[PRODUCERS];
    uint64_t next[PRODUCERS] = {0};
    uint64_t got = 0;
    uint64_t sure = 0;
    uint64_t random = 5;
    skua_scope scope;
    uint64_t message;
    int rc;

    (void)arg;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (uint64_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&flood, i};
        (void)skua_mpsc_sender_clone(flood.channel.tx);
        MUST(skua_spawn(&scope, floods, &producers[i]) == 0);
    }
    skua_mpsc_sender_close(flood.channel.tx);
    while ((rc = test_random(&random) % 4 == 0
                     ? skua_mpsc_recv_until(flood.channel.rx, &message,
                                            skua_now() + (int64_t)(test_random(&random) % 30000))
                     : skua_mpsc_recv(flood.channel.rx, &message)) != SKUA_ECLOSED) {
        uint64_t index = message >> 48;

        if (rc == -ETIMEDOUT)
            continue;
        if (!CHECK_EQ(rc, 0) || !CHECK(index < PRODUCERS) ||
            !CHECK((message & 0xffffffffffff) >= next[index])) /* in order, none twice */
            break;
        next[index] = (message & 0xffffffffffff) + 1;
        got++;
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < PRODUCERS; i++)
        sure += atomic_load(&flood.sent[i]);
    CHECK_RANGE(got, sure, sure + atomic_load(&flood.unsure));
    skua_mpsc_receiver_close(flood.channel.rx);
    return 0;
}

TEST(flood_loses_and_doubles_nothing)
{
    test_each_kind(flood_runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_in_order),
        cmocka_unit_test(full_channel_takes_nothing),
        cmocka_unit_test(senders_wait_in_line),
        cmocka_unit_test(recv_many_takes_what_is_there),
        cmocka_unit_test(reserved_room_is_kept),
        cmocka_unit_test(reserver_that_is_cancelled_gives_back),
        cmocka_unit_test(cancelled_task_learns_it_from_a_channel_that_is_never_empty),
        cmocka_unit_test(receive_learns_of_a_cancel_that_came_before_it_waits),
        cmocka_unit_test(last_sender_ends_the_channel),
        cmocka_unit_test(receiver_that_closes_drains),
        cmocka_unit_test(waits_end_when_the_other_side_goes),
        cmocka_unit_test(thread_sends_to_a_poll_task),
        cmocka_unit_test(typed_channel),
        cmocka_unit_test(channel_that_cannot_be),
        cmocka_unit_test(flood_loses_and_doubles_nothing),
    };

    return TEST_MAIN(tests);
}
