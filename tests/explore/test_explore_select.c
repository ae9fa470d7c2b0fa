/* test_explore_select.c - select, timeout and joins in 1,000 orders.
 *
 * Explored: tasks that wait for two channels, a semaphore, an event and a timer at a time, biased
 * or not, nested, without waiting, under a timeout, or for all of them together; in fibers and poll
 * tasks; some are cancelled at any moment. Messages and permits come at random moments, often the
 * same one.
 *
 * Always: the losers lost nothing: a message that a dropped branch was told of is received by
 * another, a permit that it was granted is free again; what won has its result; a timer never wins
 * early; a timeout ends at its moment; a join has the results of all that were ready.
 */
#include "explore.h"

enum { MESSAGES = 6, SELECTORS = 3, PERMITS = 2 };

struct market {
    skua_mpmc_sender *tx[2];
    skua_mpmc_receiver *rx[2];
    skua_semaphore sema;
    skua_event over;
    int sent[2];
    int got[2];
    size_t out;
    size_t most; /* permits that can be out */
};

static void market_open(struct market *market)
{
    *market = (struct market){.sema = SKUA_SEMAPHORE_INIT(PERMITS), .most = PERMITS};
    for (int i = 0; i < 2; i++)
        MUST(skua_mpmc_new(&market->tx[i], &market->rx[i], sizeof(int), 2) == 0);
}

static void market_close(struct market *market)
{
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_mpmc_len(market->rx[i]), 0);
        CHECK_EQ(market->got[i], market->sent[i]);
        skua_mpmc_sender_close(market->tx[i]);
        skua_mpmc_receiver_close(market->rx[i]);
    }
    CHECK_EQ(market->out, 0);
    CHECK_EQ(skua_semaphore_available(&market->sema), PERMITS);
}

/* Messages of each channel are 0, 1, 2 … in the order in which they must arrive. */
static void take(struct market *market, int which, int message)
{
    CHECK_EQ(message, market->got[which]);
    market->got[which]++;
}

static void hold_permit(struct market *market)
{
    market->out++;
    CHECK_RANGE(market->out, 1, market->most);
    explore_dawdle();
    market->out--;
    CHECK_EQ(skua_semaphore_release(&market->sema, 1), 0);
}

static int feeder(void *arg)
{
    struct market *market = arg;

    for (int i = 0; i < 2 * MESSAGES; i++) {
        int which = i % 2;

        explore_dawdle();
        CHECK_EQ(skua_mpmc_send(market->tx[which], &market->sent[which]), 0);
        market->sent[which]++;
    }
    return 0;
}

/* Takes the permits away for a while, so that others have to wait for them. */
static int hoarder(void *arg)
{
    struct market *market = arg;

    for (int i = 0; i < 3; i++) {
        if (skua_semaphore_acquire(&market->sema, PERMITS) != 0)
            return -ECANCELED;
        CHECK_EQ(market->out, 0);
        explore_dawdle();
        CHECK_EQ(market->out, 0);
        CHECK_EQ(skua_semaphore_release(&market->sema, PERMITS), 0);
        explore_dawdle();
    }
    return 0;
}

/* ---- select ---------------------------------------------------------------------------------- */

struct stall {
    skua_sync_future recv[2];
    skua_sync_future acquire;
    skua_sync_future over;
    skua_sleep_future nap;
    skua_select_future inner;
    skua_future *channels[2];
    int64_t inner_result;
    int message[2];
    int64_t deadline;
};

static void stall_init(struct stall *stall, struct market *market)
{
    for (int i = 0; i < 2; i++)
        stall->channels[i] =
            skua_mpmc_recv_init(&stall->recv[i], market->rx[i], &stall->message[i]);
    skua_semaphore_acquire_init(&stall->acquire, &market->sema, 1);
    skua_event_wait_init(&stall->over, &market->over);
    stall->deadline = explore_soon(2);
    skua_sleep_until_init(&stall->nap, stall->deadline);
}

/* What a branch of all has won: 0, or why to end. */
static int serve(struct market *market, struct stall *stall, int winner, int64_t result)
{
    switch (winner) {
    case 0:
    case 1:
        CHECK_EQ(result, 0);
        take(market, winner, stall->message[winner]);
        return 0;
    case 2:
        CHECK_EQ(result, 0);
        hold_permit(market);
        return 0;
    case 3:
        CHECK_EQ(skua_event_is_set(&market->over), 1);
        return -ESHUTDOWN;
    case 4:
        CHECK_EQ(result, 0);
        CHECK(skua_now() >= stall->deadline);
        return skua_sleep(EXPLORE_UNIT);
    default:
        CHECK(winner == -ECANCELED || winner == -EAGAIN || winner == -ETIMEDOUT);
        return winner == -ECANCELED ? winner : skua_sleep(EXPLORE_UNIT);
    }
}

static int selector(void *arg)
{
    struct market *market = arg;
    struct stall stall;
    int64_t result = 0;
    int winner;
    int rc = 0;

    while (rc == 0) {
        stall_init(&stall, market);
        skua_future *all[] = {stall.channels[0], stall.channels[1], &stall.acquire.future,
                              &stall.over.future, &stall.nap.future};

        if (explore_pick(3) == 0)
            all[explore_pick(3)] = NULL;
        if (explore_pick(4) == 0)
            winner = skua_select_from(all, 5, SKUA_SELECT_OPTIONS(.try_ = 1), &result);
        else if (explore_pick(2) == 0)
            winner = skua_select_from(all, 5, SKUA_SELECT_OPTIONS(.biased = 1), &result);
        else
            winner =
                skua_select_from(all, 5, SKUA_SELECT_OPTIONS(.deadline = explore_soon(1)), &result);
        rc = serve(market, &stall, winner, result);
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* The channels are a select of their own, which is one branch of another, under a timeout. */
static int nester(void *arg)
{
    struct market *market = arg;
    skua_select_future outer;
    struct stall stall;
    int64_t winner = -1;
    int64_t result;
    int rc = 0;

    while (rc == 0) {
        stall_init(&stall, market);
        skua_select_init(&stall.inner, stall.channels, 2, NULL, &stall.inner_result);
        skua_future *const all[] = {&stall.inner.future, &stall.over.future};
        int64_t deadline = explore_soon(2);

        result = -1;
        rc = skua_timeout_at(skua_select_init(&outer, all, 2, NULL, &result), deadline, &winner);
        if (rc == 0 && winner == 0) {
            CHECK_RANGE(result, 0, 1);
            rc = serve(market, &stall, (int)result, stall.inner_result);
        } else if (rc == 0) {
            rc = serve(market, &stall, 3, result);
        } else if (rc == -ETIMEDOUT) {
            CHECK_EQ(skua_now(), deadline); /* to the nanosecond: the clock jumps there */
            rc = skua_sleep(EXPLORE_UNIT);
        }
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

struct polled_selector {
    skua_async async;
    int64_t result;
    skua_select_future select;
    skua_future *all[3];
    struct market *market;
    skua_sync_future recv[2];
    skua_sync_future over;
    int message[2];
};

/* Cancelled, the whole select is dropped unseen, with what its branches were told. */
static skua_poll polled_selector(void *state, skua_waker *waker)
{
    struct polled_selector *self = state;
    skua_poll winner = 0;

    SKUA_ASYNC(self, waker);
    do {
        for (int i = 0; i < 2; i++)
            self->all[i] =
                skua_mpmc_recv_init(&self->recv[i], self->market->rx[i], &self->message[i]);
        self->all[2] = skua_event_wait_init(&self->over, &self->market->over);
        SKUA_AWAIT_TO(winner, skua_select_init(&self->select, self->all, 3, NULL, &self->result));
        if (winner == 0 || winner == 1)
            take(self->market, (int)winner, self->message[winner]);
    } while (winner == 0 || winner == 1);
    SKUA_ASYNC_END(winner < 0 ? winner : 0);
}

EXPLORE(select_losers_lose_nothing)
{
    struct market market;
    struct polled_selector polled = {.market = &market};
    struct explore_crew crew;
    struct explore_crew feeders;

    market_open(&market);
    explore_open(&crew);
    explore_add_poll(&crew, polled_selector, &polled, sizeof polled); /* this one stays */
    for (int i = 0; i < SELECTORS; i++)
        explore_add(&crew, selector, &market);
    explore_add(&crew, nester, &market);
    explore_add_poll(&crew, polled_selector, &polled, sizeof polled);
    explore_open(&feeders);
    explore_add(&feeders, feeder, &market);
    explore_add(&feeders, hoarder, &market);
    explore_cancel_some(&crew, 1, 4);
    CHECK_EQ(explore_join(&feeders), 0);
    if (explore_pick(2) == 0)
        for (unsigned i = 1; i < crew.count; i++)
            (void)skua_task_cancel(crew.tasks[i]);
    CHECK_EQ(skua_sleep(10 * EXPLORE_UNIT), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(market.got[i], MESSAGES); /* nobody waits beside a message */
    skua_event_set(&market.over);
    (void)explore_join(&crew);
    market_close(&market);
    return 0;
}

/* ---- joins ----------------------------------------------------------------------------------- */

/* Of a join that was cut off, those that were ready have their result, and the others nothing. */
static void take_joined(struct market *market, struct stall *stall, const int64_t *results)
{
    for (int i = 0; i < 2; i++) {
        CHECK(results[i] == 0 || results[i] == SKUA_PENDING);
        if (results[i] == 0)
            take(market, i, stall->message[i]);
    }
    CHECK(results[2] == 0 || results[2] == SKUA_PENDING);
    if (results[2] == 0)
        hold_permit(market);
}

/* Each channel has one that takes from it, so that what it took is the next that there was. */
static int joiner(void *arg)
{
    struct market *market = arg;
    skua_join_all_future join;
    struct stall stall;
    int64_t results[3];
    int shields = 0;
    int64_t rc = 0;

    while (market->got[0] < MESSAGES || market->got[1] < MESSAGES) {
        bool bounded = explore_pick(2) == 0;
        int64_t deadline = explore_soon(3);

        stall_init(&stall, market);
        skua_future *const all[] = {
            market->got[0] < MESSAGES ? stall.channels[0] : &stall.nap.future,
            market->got[1] < MESSAGES ? stall.channels[1] : NULL, &stall.acquire.future};
        bool takes[] = {market->got[0] < MESSAGES, market->got[1] < MESSAGES};

        if (explore_pick(2) == 0)
            skua_join_all_init(&join, all, results, 3);
        else
            skua_try_join_init(&join, all, results, 3);
        rc = bounded ? skua_await_until(&join.future, deadline) : skua_await(&join.future);
        CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
        if (rc == 0)
            for (int i = 0; i < 3; i++)
                CHECK_EQ(results[i], 0);
        for (int i = 0; i < 2; i++)
            if (!takes[i])
                results[i] = SKUA_PENDING; /* a nap, or nothing */
        take_joined(market, &stall, results);
        if (rc == -ECANCELED)
            shields += skua_shield_begin() == 0;
    }
    CHECK_RANGE(shields, 0, 1);
    if (shields != 0)
        CHECK_EQ(skua_shield_end(), 0);
    return 0;
}

EXPLORE(join_results_are_of_all_that_were_ready)
{
    struct market market;
    struct explore_crew crew;
    struct explore_crew feeders;

    market_open(&market);
    explore_open(&crew);
    explore_add(&crew, joiner, &market);
    explore_open(&feeders);
    explore_add(&feeders, feeder, &market);
    explore_add(&feeders, hoarder, &market);
    if (explore_pick(2) == 0) {
        CHECK_EQ(skua_sleep(1 + (int64_t)explore_pick(6) * EXPLORE_UNIT), 0);
        (void)skua_task_cancel(crew.tasks[0]);
    }
    CHECK_EQ(explore_join(&feeders), 0);
    CHECK_EQ(explore_join(&crew), 0);
    market_close(&market);
    return 0;
}

/* The first that fails ends it, and the others are dropped: their permits go to who waits. */
static int failing(void *arg)
{
    struct market *market = arg;
    skua_sync_future acquire[2];
    skua_sync_future recv;
    int64_t results[3];
    int message;
    int64_t rc;

    skua_future *const all[] = {
        skua_semaphore_acquire_init(&acquire[0], &market->sema, 1),
        skua_mpmc_recv_init(&recv, market->rx[0], &message),
        skua_semaphore_acquire_init(&acquire[1], &market->sema, 1),
    };

    rc = skua_try_join(all, results, 3);
    CHECK(rc == SKUA_ECLOSED || rc == -ECANCELED);
    CHECK(rc != SKUA_ECLOSED || results[1] == SKUA_ECLOSED);
    for (int i = 0; i < 3; i += 2)
        if (results[i] == 0)
            hold_permit(market);
    return (int)rc;
}

EXPLORE(try_join_drops_the_others_when_one_fails)
{
    struct market market;
    struct explore_crew crew;

    market_open(&market);
    explore_open(&crew);
    for (int i = 0; i < 4; i++)
        explore_add(&crew, failing, &market);
    explore_add(&crew, hoarder, &market);
    explore_cancel_some(&crew, 0, 3);
    (void)explore_wander();
    skua_mpmc_close(market.rx[0]);
    (void)explore_join(&crew);
    market_close(&market);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_losers_lose_nothing),
        cmocka_unit_test(join_results_are_of_all_that_were_ready),
        cmocka_unit_test(try_join_drops_the_others_when_one_fails),
    };

    return TEST_MAIN(tests);
}
