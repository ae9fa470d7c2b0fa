/* test_explore_mpsc.c - the channel with one receiver in 1,000 orders.
 *
 * Explored: bounded channels of one to three places and unbounded ones; senders that send in every
 * way there is (plain, until, try, as the side of a select that may lose, into reserved room) and
 * are cancelled at any of it; a receiver that receives one or many, with and without a bound, and
 * goes on after it was cancelled; a channel that is closed by its last sender, by its receiver, or
 * loses its receiver, in the middle; weak senders that race with the end of the last strong one.
 *
 * Always: what was sent is received once, and in the order of its sender; what was not sent is not
 * there; what is in the channel is not forgotten by a receiver that waits; the first in line is
 * first let in; and room that was reserved, or granted to a wait that was dropped, is there again.
 */
#include "explore.h"

enum { SENDERS = 4, LETTERS = 4 };
enum fate { NOT_SENT, SENT, MAYBE };

struct letter {
    int sender;
    int number;
};

struct post {
    struct office *office;
    int id;
};

struct office {
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;
    struct explore_line line;
    struct post posts[SENDERS];
    size_t capacity; /* 0: unbounded */
    bool closed;     /* somebody has closed it */
    enum fate fate[SENDERS][LETTERS];
    int got[SENDERS][LETTERS];
    int last[SENDERS];
};

static void office_open(struct office *office)
{
    size_t capacity = explore_pick(4);
    int rc = capacity == 0
                 ? skua_mpsc_new_unbounded(&office->tx, &office->rx, sizeof(struct letter))
                 : skua_mpsc_new(&office->tx, &office->rx, sizeof(struct letter), capacity);

    MUST(rc == 0);
    for (int i = 0; i < SENDERS; i++) {
        office->posts[i] = (struct post){.office = office, .id = i};
        office->last[i] = -1;
    }
    office->capacity = capacity;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* One that was granted, and dropped before it knew, was sent; or told that the channel is closed.
 */
static enum fate dropped_fate(const struct office *office, const struct explore_wait *wait)
{
    if (!wait->passed_on)
        return NOT_SENT;
    return office->closed ? MAYBE : SENT;
}

static int send_or_nap(struct office *office, skua_mpsc_sender *tx, const struct letter *letter,
                       enum fate *fate)
{
    struct explore_wait wait;
    skua_sleep_future nap;
    int64_t result = -EAGAIN;

    skua_mpsc_send_init(&wait.inner, tx, letter);
    explore_wait_init(&wait, &office->line);
    if (skua_select_to(&result, explore_nap(&nap), &wait.future) == 1)
        return (int)result;
    *fate = dropped_fate(office, &wait);
    return -EAGAIN;
}

/* Waits in line for room for several, which it may have in part when it gives up. */
static int reserve_somehow(struct office *office, skua_mpsc_sender *tx, size_t count)
{
    struct explore_wait wait;
    skua_sleep_future nap;
    int64_t result = -EAGAIN;

    if (explore_pick(4) == 0)
        return skua_mpsc_try_reserve(tx, count);
    skua_mpsc_reserve_init(&wait.inner, tx, count);
    explore_wait_init(&wait, &office->line);
    if (explore_pick(2) == 0)
        return (int)skua_await_until(&wait.future, explore_soon(3));
    (void)skua_select_to(&result, explore_nap(&nap), &wait.future);
    return wait.ready ? (int)result : -EAGAIN;
}

static int send_reserved(struct office *office, skua_mpsc_sender *tx, const struct letter *letter)
{
    size_t count = 1 + explore_pick(office->capacity == 0 ? 2 : (unsigned)office->capacity);
    int rc = reserve_somehow(office, tx, count);

    if (rc != 0)
        return rc;
    explore_dawdle();
    if (explore_pick(3) != 0) {
        CHECK_EQ(skua_mpsc_send_reserved(tx, letter), 0);
        count--;
    } else {
        rc = -EAGAIN;
    }
    explore_dawdle();
    CHECK_EQ(skua_mpsc_unreserve(tx, count), 0);
    return rc;
}

static int send_somehow(struct office *office, skua_mpsc_sender *tx, const struct letter *letter,
                        enum fate *fate)
{
    struct explore_wait wait;
    int queued = explore_queued(&office->line);
    int rc;

    switch (explore_pick(6)) {
    case 0:
        return skua_mpsc_send(tx, letter);
    case 1:
        return skua_mpsc_send_until(tx, letter, explore_soon(3));
    case 2:
        rc = skua_mpsc_try_send(tx, letter);
        CHECK(rc != 0 || queued == 0);
        return rc;
    case 3:
        return send_or_nap(office, tx, letter, fate);
    case 4:
        return send_reserved(office, tx, letter);
    default:
        skua_mpsc_send_init(&wait.inner, tx, letter);
        return (int)skua_await(explore_wait_init(&wait, &office->line));
    }
}

static int sender(void *arg)
{
    struct post *post = arg;
    struct office *office = post->office;
    skua_mpsc_sender *tx = skua_mpsc_sender_clone(office->tx);
    int rc = 0;

    for (int i = 0; i < LETTERS && rc != -ECANCELED; i++) {
        const struct letter letter = {.sender = post->id, .number = i};
        bool was_closed;

        rc = explore_wander();
        was_closed = office->closed;
        if (rc == 0)
            rc = send_somehow(office, tx, &letter, &office->fate[post->id][i]);
        if (rc == 0)
            office->fate[post->id][i] = SENT;
        CHECK(rc != SKUA_ECLOSED || office->closed);
        CHECK(rc != 0 || !was_closed);
    }
    skua_mpsc_sender_close(tx);
    return rc;
}

struct polled_sender {
    skua_async async;
    struct post *post;
    struct letter letter;
    skua_sleep_future sleep;
    struct explore_wait wait;
};

static skua_poll polled_sender(void *state, skua_waker *waker)
{
    struct polled_sender *self = state;
    struct office *office = self->post->office;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    for (self->letter.number = 0; self->letter.number < LETTERS; self->letter.number++) {
        SKUA_AWAIT(explore_nap(&self->sleep));
        skua_mpsc_send_init(&self->wait.inner, office->tx, &self->letter);
        SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &office->line));
        office->fate[self->letter.sender][self->letter.number] =
            rc == 0 ? SENT : dropped_fate(office, &self->wait);
        if (rc < 0)
            return rc;
    }
    SKUA_ASYNC_END(0);
}

static void add_senders(struct explore_crew *crew, struct office *office)
{
    struct polled_sender polled = {.letter.sender = SENDERS - 1};

    polled.post = &office->posts[SENDERS - 1];
    explore_open(crew);
    for (int i = 0; i < SENDERS - 1; i++)
        explore_add(crew, sender, &office->posts[i]);
    explore_add_poll(crew, polled_sender, &polled, sizeof polled);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void take(struct office *office, const struct letter *letter)
{
    MUST(letter->sender >= 0 && letter->sender < SENDERS);
    CHECK(letter->number > office->last[letter->sender]);
    office->last[letter->sender] = letter->number;
    CHECK_EQ(office->got[letter->sender][letter->number]++, 0);
}

static int64_t receive_somehow(struct office *office, struct letter *letters)
{
    skua_sync_future recv;
    skua_sleep_future nap;
    int64_t rc = -EAGAIN;

    switch (explore_pick(6)) {
    case 0:
        rc = skua_mpsc_recv_until(office->rx, letters, explore_soon(2));
        break;
    case 1:
        rc = skua_mpsc_try_recv(office->rx, letters);
        break;
    case 2:
        switch (skua_select_to(&rc, explore_nap(&nap),
                               skua_mpsc_recv_init(&recv, office->rx, letters))) {
        case 0:
            return -EAGAIN;
        case 1:
            break;
        default:
            return -ECANCELED;
        }
        break;
    case 3:
        return skua_mpsc_recv_many(office->rx, letters, 1 + explore_pick(3));
    default:
        rc = skua_mpsc_recv(office->rx, letters);
    }
    return rc == 0 ? 1 : rc;
}

/* Cancelled, it receives the rest in a shield: it has lost nothing by that. */
static int receiver(void *arg)
{
    struct office *office = arg;
    struct letter letters[3];
    int shields = 0;
    int64_t count;

    do {
        count = receive_somehow(office, letters);
        for (int64_t i = 0; i < count; i++)
            take(office, &letters[i]);
        if (count == -ECANCELED)
            shields += skua_shield_begin() == 0;
        if (count == -EAGAIN)
            (void)skua_sleep(EXPLORE_UNIT);
        explore_dawdle();
    } while (count != SKUA_ECLOSED);
    CHECK_RANGE(shields, 0, 1);
    if (shields != 0)
        CHECK_EQ(skua_shield_end(), 0);
    return 0;
}

/* ---- worlds ---------------------------------------------------------------------------------- */

/* Whatever was reserved, or granted to whoever was cancelled, is room again. */
static void check_room(struct office *office)
{
    size_t room = office->capacity - skua_mpsc_len(office->rx);

    if (office->capacity == 0)
        return;
    CHECK_EQ(skua_mpsc_try_reserve(office->tx, room), 0);
    CHECK_EQ(skua_mpsc_try_reserve(office->tx, 1), -EAGAIN);
    CHECK_EQ(skua_mpsc_unreserve(office->tx, room), 0);
    CHECK_EQ(skua_mpsc_unreserve(office->tx, 1), SKUA_EUSAGE);
}

static void check_letters(const struct office *office, bool all)
{
    for (int i = 0; i < SENDERS; i++)
        for (int j = 0; j < LETTERS; j++)
            CHECK_RANGE(office->got[i][j], all && office->fate[i][j] == SENT,
                        office->fate[i][j] != NOT_SENT);
    CHECK(office->line.first == NULL);
}

EXPLORE(mpsc_letters_arrive_once_and_in_order)
{
    struct office office = {.closed = false};
    struct explore_crew reader;
    struct explore_crew crew;

    office_open(&office);
    explore_open(&reader);
    explore_add(&reader, receiver, &office);
    add_senders(&crew, &office);
    explore_cancel_some(&crew, 0, 3);
    if (explore_pick(2) == 0 && skua_yield() == 0 && skua_yield() == 0 && skua_sleep(1) == 0)
        explore_cancel_some(&reader, 0, 1); /* it has begun: there is a receiver */
    (void)explore_join(&crew);
    check_room(&office);
    CHECK_EQ(skua_sleep(100 * EXPLORE_UNIT), 0);
    CHECK_EQ(skua_mpsc_len(office.rx), 0); /* not only because it is closed */
    skua_mpsc_sender_close(office.tx);
    (void)explore_join(&reader);
    check_letters(&office, true);
    skua_mpsc_receiver_close(office.rx);
    return 0;
}

/* Whoever waits for room is told, and what was sent, or reserved, before is received still. */
EXPLORE(mpsc_closed_in_the_middle_is_drained)
{
    struct office office = {.closed = false};
    struct explore_crew reader;
    struct explore_crew crew;

    office_open(&office);
    explore_open(&reader);
    if (explore_pick(2) == 0)
        explore_add(&reader, receiver, &office);
    add_senders(&crew, &office);
    explore_cancel_some(&crew, 0, 3);
    (void)explore_wander();
    office.closed = true;
    skua_mpsc_close(office.rx);
    CHECK_EQ(explore_queued(&office.line), 0);
    if (reader.count == 0)
        explore_add(&reader, receiver, &office);
    (void)explore_join(&crew);
    CHECK_EQ(explore_join(&reader), 0); /* it ends, although there is a sender still */
    check_letters(&office, true);
    CHECK_EQ(skua_mpsc_is_closed(office.tx), 1);
    skua_mpsc_sender_close(office.tx);
    skua_mpsc_receiver_close(office.rx);
    return 0;
}

EXPLORE(mpsc_senders_learn_that_the_receiver_is_gone)
{
    struct office office = {.closed = false};
    struct letter letter;
    struct explore_crew crew;

    office_open(&office);
    add_senders(&crew, &office);
    for (int left = (int)explore_pick(6); left > 0; left--) {
        (void)explore_wander();
        if (skua_mpsc_try_recv(office.rx, &letter) == 0)
            take(&office, &letter);
    }
    explore_cancel_some(&crew, 0, 3);
    office.closed = true;
    skua_mpsc_receiver_close(office.rx);
    CHECK_EQ(explore_queued(&office.line), 0);
    (void)explore_join(&crew);
    check_letters(&office, false);
    skua_mpsc_sender_close(office.tx);
    return 0;
}

/* ---- weak senders ---------------------------------------------------------------------------- */

struct club {
    skua_mpsc_weak *weak;
    skua_mpsc_receiver *rx;
    int strong;
    int sent;
    int got;
};

static int member(void *arg)
{
    struct club *club = arg;

    for (int i = 0; i < 3; i++) {
        skua_mpsc_sender *tx;
        int strong;

        explore_dawdle();
        strong = club->strong;
        tx = skua_mpsc_upgrade(club->weak);
        CHECK_EQ(tx != NULL, strong != 0);
        if (tx == NULL)
            continue;
        club->strong++;
        explore_dawdle();
        club->sent += skua_mpsc_send(tx, &i) == 0;
        club->strong--;
        skua_mpsc_sender_close(tx);
    }
    return 0;
}

static int club_reader(void *arg)
{
    struct club *club = arg;
    int message;
    int rc;

    while ((rc = skua_mpsc_recv(club->rx, &message)) == 0)
        club->got++;
    CHECK_EQ(rc, SKUA_ECLOSED);
    CHECK_EQ(club->strong, 0);
    return 0;
}

EXPLORE(mpsc_weak_senders_do_not_keep_it_open)
{
    struct club club = {.strong = 1};
    skua_mpsc_sender *tx;
    struct explore_crew crew;

    MUST(skua_mpsc_new(&tx, &club.rx, sizeof(int), 1) == 0);
    club.weak = skua_mpsc_downgrade(tx);
    explore_open(&crew);
    explore_add(&crew, club_reader, &club);
    for (int i = 0; i < 4; i++)
        explore_add(&crew, member, &club);
    explore_cancel_some(&crew, 1, 3);
    club.strong--;
    skua_mpsc_sender_close(tx);
    (void)explore_join(&crew);
    CHECK_EQ(club.got, club.sent);
    CHECK(skua_mpsc_upgrade(club.weak) == NULL);
    skua_mpsc_weak_close(club.weak);
    skua_mpsc_receiver_close(club.rx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpsc_letters_arrive_once_and_in_order),
        cmocka_unit_test(mpsc_closed_in_the_middle_is_drained),
        cmocka_unit_test(mpsc_senders_learn_that_the_receiver_is_gone),
        cmocka_unit_test(mpsc_weak_senders_do_not_keep_it_open),
    };

    return TEST_MAIN(tests);
}
