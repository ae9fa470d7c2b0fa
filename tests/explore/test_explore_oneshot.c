/* test_explore_oneshot.c - one message from one to one, in 1,000 orders.
 *
 * Explored: a sender that sends, or ends without, sooner or later, or is cancelled while it waits
 * for the receiver's end; a receiver that waits with and without a bound, as the side of a select
 * that may lose, in a poll task, is cancelled, asks again, or goes away; several pairs at a time.
 *
 * Always: an answer that was sent (0) is received once by a receiver that stays, whatever its waits
 * ended with before; a sender that gets SKUA_ECLOSED had no receiver any more; a receiver that gets
 * it had no answer to come; and whoever waits for the receiver's end learns of it, and only then.
 */
#include "explore.h"

enum { PAIRS = 3 };

struct pair {
    skua_oneshot_sender *tx;
    skua_oneshot_receiver *rx;
    bool left;     /* the receiver has gone */
    bool answered; /* the sender has sent, or ended */
    int sent;      /* what send returned; -EAGAIN: it was not called */
    int received;
};

/* ---- the sender's end ------------------------------------------------------------------------ */

static void watch_receiver(struct pair *pair)
{
    skua_sync_future closed;
    skua_sleep_future nap;
    int rc;

    if (explore_pick(2) == 0) {
        CHECK_EQ(skua_oneshot_is_closed(pair->tx), pair->left);
        return;
    }
    rc = skua_select(skua_oneshot_closed_init(&closed, pair->tx), explore_nap(&nap));
    CHECK(rc != 0 || pair->left);
    if (explore_pick(4) == 0) {
        rc = skua_oneshot_closed(pair->tx); /* until it has gone, or this one is cancelled */
        CHECK(rc == -ECANCELED || pair->left);
    }
}

/* Cancelled or not: it has an end to give. */
static int answerer(void *arg)
{
    struct pair *pair = arg;
    int answer = 42;
    bool left;

    (void)explore_wander();
    watch_receiver(pair);
    (void)explore_wander();
    left = pair->left;
    pair->answered = true;
    if (explore_pick(4) == 0) {
        skua_oneshot_sender_close(pair->tx);
        return 0;
    }
    pair->sent = skua_oneshot_send(pair->tx, &answer);
    CHECK_EQ(pair->sent, left ? SKUA_ECLOSED : 0);
    return 0;
}

/* ---- the receiver's end ---------------------------------------------------------------------- */

static int64_t receive_somehow(struct pair *pair, int *message)
{
    skua_sync_future recv;
    skua_sleep_future nap;
    int64_t result = 0;

    switch (explore_pick(4)) {
    case 0:
        return skua_oneshot_recv_until(pair->rx, message, explore_soon(2));
    case 1:
        return skua_oneshot_try_recv(pair->rx, message);
    case 2:
        if (skua_select_to(&result, explore_nap(&nap),
                           skua_oneshot_recv_init(&recv, pair->rx, message)) == 1)
            return result;
        return -EAGAIN;
    default:
        return skua_oneshot_recv(pair->rx, message);
    }
}

static void note(struct pair *pair, int64_t rc, int message)
{
    if (rc == 0) {
        CHECK_EQ(message, 42);
        CHECK_EQ(pair->received++, 0);
    } else {
        CHECK_EQ(message, 0); /* untouched */
    }
    if (rc == 0 || rc == SKUA_ECLOSED)
        CHECK(pair->answered);
}

/* Asks until it has an answer, or knows that there is none; or goes before. */
static int asker(void *arg)
{
    struct pair *pair = arg;
    int64_t rc = -EAGAIN;
    int message = 0;

    for (int i = 0; i < 4 && rc != 0 && rc != SKUA_ECLOSED && skua_cancelled() == 0; i++) {
        rc = receive_somehow(pair, &message);
        note(pair, rc, message);
        if (rc != 0)
            explore_dawdle();
    }
    if (rc == 0) {
        message = 0;
        rc = skua_oneshot_try_recv(pair->rx, &message);
        CHECK_EQ(rc, SKUA_ECLOSED);
        note(pair, rc, message);
    }
    return 0;
}

struct polled_asker {
    skua_async async;
    int message;
    struct pair *pair;
    skua_sleep_future sleep;
    skua_sync_future recv;
};

static skua_poll polled_asker(void *state, skua_waker *waker)
{
    struct polled_asker *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(explore_nap(&self->sleep));
    SKUA_AWAIT_TO(rc, skua_oneshot_recv_init(&self->recv, self->pair->rx, &self->message));
    note(self->pair, rc, self->message);
    SKUA_ASYNC_END(0);
}

/* ---- worlds ---------------------------------------------------------------------------------- */

static int leave(void *arg)
{
    struct pair *pair = arg;

    explore_dawdle();
    pair->left = true;
    skua_oneshot_receiver_close(pair->rx);
    return 0;
}

static void pair_open(struct pair *pair)
{
    *pair = (struct pair){.sent = -EAGAIN};
    MUST(skua_oneshot_new(&pair->tx, &pair->rx, sizeof(int)) == 0);
}

/* The askers' ends stay open until the senders have ended, unless they may leave. */
static void answers_arrive(bool may_leave)
{
    struct pair pairs[PAIRS];
    struct explore_crew askers;
    struct explore_crew answerers;

    for (int i = 0; i < PAIRS; i++)
        pair_open(&pairs[i]);
    explore_open(&answerers);
    explore_open(&askers);
    for (int i = 0; i < PAIRS; i++) {
        struct polled_asker polled = {.pair = &pairs[i]};

        MUST(skua_spawn(&answerers.scope, answerer, &pairs[i]) == 0);
        if (explore_pick(2) == 0)
            explore_add(&askers, asker, &pairs[i]);
        else
            explore_add_poll(&askers, polled_asker, &polled, sizeof polled);
    }
    explore_cancel_some(&askers, 0, 3);
    if (may_leave)
        for (int i = 0; i < PAIRS; i++)
            (void)skua_task_cancel(askers.tasks[i]);
    if (!may_leave && skua_sleep(10 * EXPLORE_UNIT) == 0)
        (void)skua_scope_cancel(&answerers.scope); /* who waits for the receiver's end, in vain */
    (void)explore_join(&askers);
    for (int i = 0; may_leave && i < PAIRS; i++)
        (void)leave(&pairs[i]);
    (void)explore_join(&answerers);
    for (int i = 0; i < PAIRS; i++) {
        struct pair *pair = &pairs[i];
        int message = 0;
        int rc;

        CHECK(pair->answered);
        if (may_leave)
            continue;
        if (pair->received == 0) {
            rc = skua_oneshot_recv(pair->rx, &message);
            note(pair, rc, message);
        }
        CHECK_EQ(pair->received, pair->sent == 0);
        skua_oneshot_receiver_close(pair->rx);
    }
}

EXPLORE(oneshot_answers_are_received_once)
{
    answers_arrive(false);
    return 0;
}

EXPLORE(oneshot_senders_learn_that_nobody_wants_the_answer)
{
    answers_arrive(true);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oneshot_answers_are_received_once),
        cmocka_unit_test(oneshot_senders_learn_that_nobody_wants_the_answer),
    };

    return TEST_MAIN(tests);
}
