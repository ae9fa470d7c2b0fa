/* test_explore_mpmc.c - the channel with many receivers in 1,000 orders.
 *
 * Explored: bounded and unbounded channels; senders and receivers, fibers and poll tasks, that come
 * and go: cancelled in a wait, at the moment when it is granted, or before they have begun;
 * receives with a bound, and as the side of a select that may lose; a close in the middle, with
 * messages and waiting senders; the end of the last receiver.
 *
 * Always: each message that was sent is received by one of them, all of one sender's in order; a
 * receiver that was told of a message, and is cancelled, tells another; nobody waits beside a
 * message, or beside room; after a close all that is there is received, and then everybody is told.
 */
#include "explore.h"

enum { SENDERS = 3, PARCELS = 4, RECEIVERS = 4 };
enum fate { NOT_SENT, SENT, MAYBE };

struct parcel {
    int sender;
    int number;
};

struct source {
    struct depot *depot;
    int id;
};

struct depot {
    skua_mpmc_sender *tx;
    skua_mpmc_receiver *rx;
    struct explore_line sending;
    struct explore_line receiving;
    struct source sources[SENDERS];
    bool closed;
    enum fate fate[SENDERS][PARCELS];
    int got[SENDERS][PARCELS];
    int last[SENDERS];
};

static void depot_open(struct depot *depot)
{
    size_t capacity = explore_pick(4);
    int rc = capacity == 0 ? skua_mpmc_new_unbounded(&depot->tx, &depot->rx, sizeof(struct parcel))
                           : skua_mpmc_new(&depot->tx, &depot->rx, sizeof(struct parcel), capacity);

    MUST(rc == 0);
    depot->receiving.unordered = true; /* who is told first may find that another was faster */
    for (int i = 0; i < SENDERS; i++) {
        depot->sources[i] = (struct source){.depot = depot, .id = i};
        depot->last[i] = -1;
    }
}

/* ---- senders --------------------------------------------------------------------------------- */

static enum fate dropped_fate(const struct depot *depot, const struct explore_wait *wait)
{
    if (!wait->passed_on)
        return NOT_SENT;
    return depot->closed ? MAYBE : SENT;
}

static int send_somehow(struct depot *depot, skua_mpmc_sender *tx, const struct parcel *parcel,
                        enum fate *fate)
{
    struct explore_wait wait;
    skua_sleep_future nap;
    int64_t result = -EAGAIN;

    switch (explore_pick(4)) {
    case 0:
        return skua_mpmc_send_until(tx, parcel, explore_soon(3));
    case 1:
        return skua_mpmc_try_send(tx, parcel);
    case 2:
        skua_mpmc_send_init(&wait.inner, tx, parcel);
        explore_wait_init(&wait, &depot->sending);
        if (skua_select_to(&result, explore_nap(&nap), &wait.future) == 1)
            return (int)result;
        *fate = dropped_fate(depot, &wait);
        return -EAGAIN;
    default:
        return skua_mpmc_send(tx, parcel);
    }
}

static int sender(void *arg)
{
    struct source *source = arg;
    struct depot *depot = source->depot;
    skua_mpmc_sender *tx = skua_mpmc_sender_clone(depot->tx);
    int rc = 0;

    for (int i = 0; i < PARCELS && rc != -ECANCELED; i++) {
        const struct parcel parcel = {.sender = source->id, .number = i};
        bool was_closed;

        rc = explore_wander();
        was_closed = depot->closed;
        if (rc == 0)
            rc = send_somehow(depot, tx, &parcel, &depot->fate[source->id][i]);
        if (rc == 0)
            depot->fate[source->id][i] = SENT;
        CHECK(rc != SKUA_ECLOSED || depot->closed);
        CHECK(rc != 0 || !was_closed);
    }
    skua_mpmc_sender_close(tx);
    return rc;
}

struct polled_sender {
    skua_async async;
    struct depot *depot;
    struct parcel parcel;
    skua_sleep_future sleep;
    struct explore_wait wait;
};

static skua_poll polled_sender(void *state, skua_waker *waker)
{
    struct polled_sender *self = state;
    struct depot *depot = self->depot;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    for (self->parcel.number = 0; self->parcel.number < PARCELS; self->parcel.number++) {
        SKUA_AWAIT(explore_nap(&self->sleep));
        skua_mpmc_send_init(&self->wait.inner, depot->tx, &self->parcel);
        SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &depot->sending));
        depot->fate[self->parcel.sender][self->parcel.number] =
            rc == 0 ? SENT : dropped_fate(depot, &self->wait);
        if (rc < 0)
            return rc;
    }
    SKUA_ASYNC_END(0);
}

static void add_senders(struct explore_crew *crew, struct depot *depot)
{
    struct polled_sender polled = {.depot = depot, .parcel.sender = SENDERS - 1};

    explore_open(crew);
    for (int i = 0; i < SENDERS - 1; i++)
        explore_add(crew, sender, &depot->sources[i]);
    explore_add_poll(crew, polled_sender, &polled, sizeof polled);
}

/* ---- receivers ------------------------------------------------------------------------------- */

static void take(struct depot *depot, const struct parcel *parcel)
{
    MUST(parcel->sender >= 0 && parcel->sender < SENDERS);
    CHECK(parcel->number > depot->last[parcel->sender]);
    depot->last[parcel->sender] = parcel->number;
    CHECK_EQ(depot->got[parcel->sender][parcel->number]++, 0);
}

/* One that waits without a bound: nobody but a sender, or another receiver, tells it to look. */
static int patient_receiver(void *arg)
{
    struct depot *depot = arg;
    struct explore_wait wait;
    struct parcel parcel;
    int rc;

    for (;;) {
        skua_mpmc_recv_init(&wait.inner, depot->rx, &parcel);
        rc = (int)skua_await(explore_wait_init(&wait, &depot->receiving));
        if (rc != 0)
            return rc == SKUA_ECLOSED ? 0 : rc;
        take(depot, &parcel);
        explore_dawdle();
    }
}

static int restless_receiver(void *arg)
{
    struct depot *depot = arg;
    skua_mpmc_receiver *rx = skua_mpmc_receiver_clone(depot->rx);
    struct explore_wait wait;
    skua_sleep_future nap;
    struct parcel parcel;
    int64_t result;
    int rc = 0;

    while (rc != -ECANCELED && rc != SKUA_ECLOSED) {
        result = -EAGAIN;
        if (explore_pick(2) == 0) {
            rc = skua_mpmc_recv_until(rx, &parcel, explore_soon(2));
        } else {
            skua_mpmc_recv_init(&wait.inner, rx, &parcel);
            explore_wait_init(&wait, &depot->receiving);
            rc = skua_select_to(&result, &wait.future, explore_nap(&nap));
            rc = rc == 0 ? (int)result : rc == 1 ? -EAGAIN : rc;
        }
        if (rc == 0)
            take(depot, &parcel);
        else
            rc = rc == SKUA_ECLOSED ? rc : skua_sleep(EXPLORE_UNIT);
    }
    skua_mpmc_receiver_close(rx);
    return rc == SKUA_ECLOSED ? 0 : rc;
}

struct polled_receiver {
    skua_async async;
    struct depot *depot;
    struct parcel parcel;
    struct explore_wait wait;
    skua_sleep_future sleep;
};

static skua_poll polled_receiver(void *state, skua_waker *waker)
{
    struct polled_receiver *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    for (;;) {
        skua_mpmc_recv_init(&self->wait.inner, self->depot->rx, &self->parcel);
        SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &self->depot->receiving));
        if (rc != 0)
            return rc == SKUA_ECLOSED ? 0 : rc;
        take(self->depot, &self->parcel);
        SKUA_AWAIT(explore_nap(&self->sleep));
    }
    SKUA_ASYNC_END(0);
}

/* The first one stays to the end. */
static void add_receivers(struct explore_crew *crew, struct depot *depot)
{
    struct polled_receiver polled = {.depot = depot};

    for (int i = 0; i < RECEIVERS / 2; i++) {
        explore_add(crew, patient_receiver, depot);
        explore_add_poll(crew, polled_receiver, &polled, sizeof polled);
    }
    explore_add(crew, restless_receiver, depot);
}

/* ---- worlds ---------------------------------------------------------------------------------- */

static void check_parcels(const struct depot *depot, bool all)
{
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < PARCELS; j++)
            CHECK_RANGE(depot->got[i][j], all && depot->fate[i][j] == SENT,
                        depot->fate[i][j] != NOT_SENT);
    CHECK(depot->sending.first == NULL);
    CHECK(depot->receiving.first == NULL);
}

struct villain {
    struct explore_crew *crew;
    unsigned first;
};

static int villain(void *arg)
{
    struct villain *villain = arg;

    explore_cancel_some(villain->crew, villain->first, 5);
    return 0;
}

EXPLORE(mpmc_each_parcel_goes_to_one)
{
    struct depot depot = {.closed = false};
    struct explore_crew receivers;
    struct explore_crew senders;
    struct villain villainy = {.crew = &receivers, .first = 1};

    depot_open(&depot);
    explore_open(&receivers);
    add_receivers(&receivers, &depot);
    add_senders(&senders, &depot);
    MUST(skua_spawn(&senders.scope, villain, &villainy) == 0);
    explore_cancel_some(&senders, 0, 2);
    (void)explore_join(&senders);
    if (explore_pick(2) == 0) { /* the others leave: what they were told of is not forgotten */
        for (unsigned i = 1; i < receivers.count; i++)
            (void)skua_task_cancel(receivers.tasks[i]);
    }
    CHECK_EQ(skua_sleep(100 * EXPLORE_UNIT), 0);
    CHECK_EQ(skua_mpmc_len(depot.rx), 0); /* not only because it is closed */
    skua_mpmc_sender_close(depot.tx);
    (void)explore_join(&receivers);
    check_parcels(&depot, true);
    skua_mpmc_receiver_close(depot.rx);
    return 0;
}

/* A burst, and at the same moment receivers that go: those that stay take all of it. */
EXPLORE(mpmc_told_receivers_that_go_tell_another)
{
    struct depot depot = {.closed = false};
    struct polled_receiver polled = {.depot = &depot};
    struct parcel parcel = {.sender = 0};
    struct explore_crew crew;
    int count = 1 + (int)explore_pick(PARCELS);

    depot_open(&depot);
    explore_open(&crew);
    for (int i = 0; i < RECEIVERS; i++)
        if (i % 2 == 0)
            explore_add(&crew, patient_receiver, &depot);
        else
            explore_add_poll(&crew, polled_receiver, &polled, sizeof polled);
    CHECK_EQ(skua_test_advance(0), 0);
    CHECK_EQ(explore_queued(&depot.receiving), RECEIVERS);
    for (parcel.number = 0; parcel.number < count; parcel.number++) {
        int rc = skua_mpmc_try_send(depot.tx, &parcel);

        CHECK(rc == 0 || rc == -EAGAIN);
        depot.fate[0][parcel.number] = rc == 0 ? SENT : NOT_SENT;
        if (explore_pick(2) == 0)
            (void)skua_task_cancel(crew.tasks[1 + explore_pick(RECEIVERS - 1)]);
        if (explore_pick(3) == 0)
            (void)skua_yield();
    }
    CHECK_EQ(skua_sleep(100 * EXPLORE_UNIT), 0);
    CHECK_EQ(skua_mpmc_len(depot.rx), 0);
    CHECK_EQ(skua_scope_cancel(&crew.scope), 0);
    (void)explore_join(&crew);
    check_parcels(&depot, true);
    skua_mpmc_sender_close(depot.tx);
    skua_mpmc_receiver_close(depot.rx);
    return 0;
}

EXPLORE(mpmc_closed_in_the_middle_is_drained)
{
    struct depot depot = {.closed = false};
    struct explore_crew receivers;
    struct explore_crew senders;

    depot_open(&depot);
    explore_open(&receivers);
    if (explore_pick(2) == 0)
        add_receivers(&receivers, &depot);
    add_senders(&senders, &depot);
    explore_cancel_some(&senders, 0, 2);
    (void)explore_wander();
    depot.closed = true;
    skua_mpmc_close(depot.rx);
    CHECK_EQ(explore_queued(&depot.sending), 0);
    if (receivers.count == 0)
        for (int i = 0; i < RECEIVERS; i++)
            explore_add(&receivers, patient_receiver, &depot);
    (void)explore_join(&senders);
    CHECK_EQ(explore_join(&receivers), 0); /* although there is a sender still */
    check_parcels(&depot, true);
    skua_mpmc_sender_close(depot.tx);
    skua_mpmc_receiver_close(depot.rx);
    return 0;
}

EXPLORE(mpmc_senders_learn_that_the_last_receiver_is_gone)
{
    struct depot depot = {.closed = false};
    skua_mpmc_receiver *rx;
    struct explore_crew senders;
    struct parcel parcel;

    depot_open(&depot);
    rx = skua_mpmc_receiver_clone(depot.rx);
    add_senders(&senders, &depot);
    for (int i = (int)explore_pick(4); i > 0; i--) {
        (void)explore_wander();
        if (skua_mpmc_try_recv(rx, &parcel) == 0)
            take(&depot, &parcel);
    }
    skua_mpmc_receiver_close(rx);
    (void)explore_wander();
    CHECK_EQ(skua_mpmc_is_closed(depot.tx), 0);
    depot.closed = true;
    skua_mpmc_receiver_close(depot.rx);
    CHECK_EQ(explore_queued(&depot.sending), 0);
    (void)explore_join(&senders);
    check_parcels(&depot, false);
    skua_mpmc_sender_close(depot.tx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpmc_each_parcel_goes_to_one),
        cmocka_unit_test(mpmc_told_receivers_that_go_tell_another),
        cmocka_unit_test(mpmc_closed_in_the_middle_is_drained),
        cmocka_unit_test(mpmc_senders_learn_that_the_last_receiver_is_gone),
    };

    return TEST_MAIN(tests);
}
