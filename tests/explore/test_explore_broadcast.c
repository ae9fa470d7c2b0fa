/* test_explore_broadcast.c - every message to every receiver, in 1,000 orders.
 *
 * Explored: two senders, a fiber and a poll task, with rings of one to four messages; receivers
 * that subscribe before, between and after, that are quick or too slow, wait with and without a
 * bound or in a select that they may lose, are cancelled and go on, subscribe a second one of what
 * they have, and leave; the end of the last sender.
 *
 * Always: a receiver sees all messages from its subscription on, each once and in order, but for
 * those that it is told are missing: as many as were overwritten at that moment, no more. After the
 * last sender's end it gets the rest, and then is told. Nobody waits beside a message.
 */
#include "explore.h"

enum { SENDERS = 2, MESSAGES = 6, RECEIVERS = 4 };

struct radio {
    skua_broadcast_sender *tx;
    uint64_t capacity;
    uint64_t sent; /* also the next message */
    size_t receivers;
    bool over;
};

/* ---- senders --------------------------------------------------------------------------------- */

static void send_next(struct radio *radio)
{
    int64_t rc = skua_broadcast_send(radio->tx, &radio->sent);

    CHECK_EQ(rc, radio->receivers != 0 ? (int64_t)radio->receivers : SKUA_ECLOSED);
    radio->sent += rc > 0;
}

static int sender(void *arg)
{
    struct radio *radio = arg;

    for (int i = 0; i < MESSAGES; i++) {
        if (explore_wander() != 0)
            return -ECANCELED;
        for (int burst = 1 + (int)explore_pick(3); burst > 0; burst--)
            send_next(radio);
    }
    return 0;
}

struct polled_sender {
    skua_async async;
    int count;
    struct radio *radio;
    skua_sleep_future sleep;
};

static skua_poll polled_sender(void *state, skua_waker *waker)
{
    struct polled_sender *self = state;

    SKUA_ASYNC(self, waker);
    for (self->count = 0; self->count < MESSAGES; self->count++) {
        SKUA_AWAIT(explore_nap(&self->sleep));
        send_next(self->radio);
    }
    SKUA_ASYNC_END(0);
}

/* ---- receivers ------------------------------------------------------------------------------- */

struct ear {
    struct radio *radio;
    skua_broadcast_receiver *rx;
    uint64_t next; /* the message that comes next */
};

static void ear_open(struct ear *ear, struct radio *radio)
{
    ear->radio = radio;
    ear->next = radio->sent;
    MUST(skua_broadcast_subscribe(radio->tx, &ear->rx) == 0);
    radio->receivers++;
}

static void ear_close(struct ear *ear)
{
    skua_broadcast_receiver_close(ear->rx);
    ear->radio->receivers--;
}

static void note(struct ear *ear, int64_t rc, uint64_t message)
{
    struct radio *radio = ear->radio;

    switch (rc) {
    case 0:
        CHECK_EQ(message, ear->next);
        ear->next++;
        CHECK(radio->sent - ear->next < radio->capacity);
        break;
    case SKUA_ELAGGED: {
        uint64_t lag = skua_broadcast_lag(ear->rx);

        CHECK_RANGE(lag, 1, radio->sent);
        ear->next += lag;
        CHECK_EQ(radio->sent - ear->next, radio->capacity); /* and not one more than it must */
        break;
    }
    case SKUA_ECLOSED:
        CHECK(radio->over);
        CHECK_EQ(ear->next, radio->sent);
        break;
    default:
        CHECK(rc == -EAGAIN || rc == -ECANCELED || rc == -ETIMEDOUT);
    }
    CHECK_EQ(skua_broadcast_len(ear->rx), radio->sent - ear->next);
}

static void receive_somehow(struct ear *ear, int64_t *ret_rc)
{
    struct radio *radio = ear->radio;
    uint64_t message = UINT64_MAX;
    skua_sync_future recv;
    skua_sleep_future nap;
    int64_t rc = -EAGAIN;
    int64_t result;

    switch (explore_pick(5)) {
    case 0:
        rc = skua_broadcast_recv_until(ear->rx, &message, explore_soon(2));
        break;
    case 1:
        rc = skua_broadcast_try_recv(ear->rx, &message);
        CHECK((rc == -EAGAIN) == (ear->next == radio->sent && !radio->over));
        break;
    case 2:
        rc = skua_select_to(&result, explore_nap(&nap),
                            skua_broadcast_recv_init(&recv, ear->rx, &message));
        rc = rc == 1 ? result : rc == 0 ? -EAGAIN : rc;
        break;
    default:
        rc = skua_broadcast_recv(ear->rx, &message);
    }
    note(ear, rc, message);
    *ret_rc = rc;
}

/* What a new one of the same channel gets is what is sent from now on. */
static void check_resubscribe(struct ear *ear)
{
    struct ear other = {.radio = ear->radio, .next = ear->radio->sent};
    uint64_t message;

    MUST(skua_broadcast_resubscribe(ear->rx, &other.rx) == 0);
    ear->radio->receivers++;
    note(&other, skua_broadcast_try_recv(other.rx, &message), 0);
    explore_dawdle();
    message = UINT64_MAX;
    if (ear->radio->sent != other.next) {
        int rc = skua_broadcast_try_recv(other.rx, &message);

        note(&other, rc, message);
    }
    ear_close(&other);
}

static int receiver(void *arg)
{
    bool stays = explore_pick(3) != 0;
    int shields = 0;
    int64_t rc = 0;
    struct ear ear;

    explore_dawdle();
    ear_open(&ear, arg);
    for (int i = 0; (stays || i < 5) && rc != SKUA_ECLOSED; i++) {
        receive_somehow(&ear, &rc);
        if (rc == -ECANCELED && shields == 0)
            shields += skua_shield_begin() == 0; /* and it has missed nothing by that */
        if (rc == -EAGAIN)
            (void)skua_sleep(EXPLORE_UNIT);
        if (explore_pick(8) == 0)
            check_resubscribe(&ear);
        explore_dawdle();
    }
    if (shields != 0)
        CHECK_EQ(skua_shield_end(), 0);
    ear_close(&ear);
    return 0;
}

struct polled_receiver {
    skua_async async;
    struct ear ear;
    uint64_t message;
    skua_sync_future recv;
};

static skua_poll polled_receiver(void *state, skua_waker *waker)
{
    struct polled_receiver *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    ear_open(&self->ear, self->ear.radio);
    do {
        self->message = UINT64_MAX;
        SKUA_AWAIT_TO(rc, skua_broadcast_recv_init(&self->recv, self->ear.rx, &self->message));
        note(&self->ear, rc, self->message);
    } while (rc == 0 || rc == SKUA_ELAGGED);
    ear_close(&self->ear);
    SKUA_ASYNC_END(0);
}

/* ---- the world ------------------------------------------------------------------------------- */

EXPLORE(broadcast_receivers_see_all_or_are_told_what_is_missing)
{
    struct radio radio = {.capacity = (uint64_t)1 << explore_pick(3)};
    struct polled_sender polled_send = {.radio = &radio};
    struct polled_receiver polled_recv = {.ear.radio = &radio};
    struct explore_crew receivers;
    struct explore_crew senders;

    MUST(skua_broadcast_new(&radio.tx, sizeof radio.sent, (size_t)radio.capacity) == 0);
    explore_open(&receivers);
    for (int i = 0; i < RECEIVERS; i++)
        explore_add(&receivers, receiver, &radio);
    explore_add_poll(&receivers, polled_receiver, &polled_recv, sizeof polled_recv);
    explore_open(&senders);
    for (int i = 0; i < SENDERS - 1; i++)
        explore_add(&senders, sender, &radio);
    explore_add_poll(&senders, polled_sender, &polled_send, sizeof polled_send);
    explore_cancel_some(&receivers, 0, 3);
    explore_cancel_some(&senders, 0, 1);
    (void)explore_join(&senders);
    if (explore_pick(2) == 0)
        CHECK_EQ(skua_sleep(4 * EXPLORE_UNIT), 0);
    CHECK_EQ(skua_test_advance(0), 0); /* who comes late has subscribed, or will find no sender */
    while (skua_scope_alive(&receivers.scope) > radio.receivers)
        CHECK_EQ(skua_sleep(EXPLORE_UNIT), 0);
    radio.over = true;
    skua_broadcast_sender_close(radio.tx);
    (void)explore_join(&receivers);
    CHECK_EQ(radio.receivers, 0);
    return 0;
}

/* Waiters are told of each message: whoever is quick misses none, with a ring of one, too. */
static int quick_receiver(void *arg)
{
    struct ear *ear = arg;
    uint64_t message = 0;
    int64_t rc;

    while ((rc = skua_broadcast_recv(ear->rx, &message)) == 0)
        note(ear, rc, message);
    note(ear, rc, message);
    return rc == SKUA_ECLOSED ? 0 : (int)rc;
}

EXPLORE(broadcast_reaches_all_that_wait)
{
    struct radio radio = {.capacity = 1};
    struct ear ears[RECEIVERS];
    struct explore_crew crew;

    MUST(skua_broadcast_new(&radio.tx, sizeof radio.sent, 1) == 0);
    explore_open(&crew);
    for (int i = 0; i < RECEIVERS; i++) {
        ear_open(&ears[i], &radio);
        explore_add(&crew, quick_receiver, &ears[i]);
    }
    for (int i = 0; i < MESSAGES; i++) {
        if (i > 2)
            explore_cancel_some(&crew, 2, 1);
        send_next(&radio);
        CHECK_EQ(skua_test_advance(0), 0);
        CHECK_EQ(ears[0].next, radio.sent);
        CHECK_EQ(ears[1].next, radio.sent);
    }
    radio.over = true;
    skua_broadcast_sender_close(radio.tx);
    (void)explore_join(&crew);
    for (int i = 0; i < RECEIVERS; i++)
        ear_close(&ears[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadcast_receivers_see_all_or_are_told_what_is_missing),
        cmocka_unit_test(broadcast_reaches_all_that_wait),
    };

    return TEST_MAIN(tests);
}
