/* test_explore_watch.c - the newest value to whoever looks, in 1,000 orders.
 *
 * Explored: two senders that set values, change them in place, or decide not to; receivers that
 * wait for a change, for a certain value, with and without a bound, in a select that they may lose,
 * in a poll task, are cancelled and go on, are cloned, and leave; senders that wait for the end of
 * the receivers; the end of the last sender.
 *
 * Always: what a receiver sees grows, and is new when it is told so; a change that came after its
 * last look is told, once; the last value is seen by everybody who stays; and nobody waits beside a
 * value that it has not seen, or for a sender that is gone.
 */
#include "explore.h"

enum { CHANGES = 6, RECEIVERS = 4 };

struct screen {
    skua_watch_sender *tx;
    int64_t value;
    int receivers;
    bool over;
};

/* ---- senders --------------------------------------------------------------------------------- */

static int count_up(void *value, void *arg)
{
    struct screen *screen = arg;

    CHECK_EQ(*(int64_t *)value, screen->value);
    if (explore_pick(3) == 0)
        return 0;
    *(int64_t *)value = ++screen->value;
    return 1;
}

static void change(struct screen *screen)
{
    int64_t value = screen->value + 1;
    int rc;

    if (explore_pick(2) == 0) {
        rc = skua_watch_send_if_modified(screen->tx, count_up, screen);
        CHECK_EQ(rc, screen->value == value);
    } else {
        rc = skua_watch_send(screen->tx, &value);
        CHECK_EQ(rc, screen->receivers != 0 ? 0 : SKUA_ECLOSED);
        screen->value += rc == 0;
    }
}

static int sender(void *arg)
{
    struct screen *screen = arg;
    int rc = 0;

    for (int i = 0; i < CHANGES && rc == 0; i++) {
        change(screen);
        rc = explore_wander();
    }
    return rc;
}

/* Stops when nobody looks any more; it may have been told of an end that is over again. */
static int attentive_sender(void *arg)
{
    struct screen *screen = arg;
    skua_sync_future closed;
    skua_sleep_future nap;
    int rc = 1;

    CHECK_EQ(skua_watch_is_closed(screen->tx), screen->receivers == 0);
    for (int i = 0; i < CHANGES && rc == 1; i++) {
        rc = skua_select(skua_watch_closed_init(&closed, screen->tx), explore_nap(&nap));
        change(screen);
    }
    return rc < 0 ? rc : 0;
}

/* ---- receivers ------------------------------------------------------------------------------- */

struct eye {
    struct screen *screen;
    skua_watch_receiver *rx;
    int64_t seen;
    int64_t wanted;
};

static void eye_open(struct eye *eye, struct screen *screen)
{
    eye->screen = screen;
    eye->seen = screen->value;
    MUST(skua_watch_subscribe(screen->tx, &eye->rx) == 0);
    screen->receivers++;
}

static void eye_close(struct eye *eye)
{
    eye->screen->receivers--;
    skua_watch_receiver_close(eye->rx);
}

static void look(struct eye *eye)
{
    bool is_new = eye->seen != eye->screen->value;
    int64_t value = -1;

    if (explore_pick(2) == 0) {
        CHECK_EQ(skua_watch_borrow(eye->rx, &value), is_new);
    } else {
        CHECK_EQ(skua_watch_borrow_and_update(eye->rx, &value), is_new);
        eye->seen = eye->screen->value;
    }
    CHECK_EQ(value, eye->screen->value);
}

/* What a wait for a change has returned. */
static void note(struct eye *eye, int64_t rc)
{
    if (rc == 0) {
        CHECK(eye->screen->value > eye->seen);
        eye->seen = eye->screen->value;
    } else if (rc == SKUA_ECLOSED) {
        CHECK(eye->screen->over);
        CHECK_EQ(eye->seen, eye->screen->value);
    } else {
        CHECK(rc == -EAGAIN || rc == -ECANCELED || rc == -ETIMEDOUT);
    }
}

static int is_wanted(const void *value, void *arg)
{
    struct eye *eye = arg;

    CHECK(*(const int64_t *)value >= eye->seen); /* they are looked at in order */
    eye->seen = *(const int64_t *)value;
    return eye->seen >= eye->wanted;
}

static int64_t wait_for_value(struct eye *eye, int64_t deadline)
{
    int64_t value = -1;
    int64_t rc;

    eye->wanted = eye->screen->value + (int64_t)explore_pick(3);
    rc = skua_watch_wait_for_until(eye->rx, is_wanted, eye, &value, deadline);
    if (rc == 0) {
        CHECK(value >= eye->wanted);
        CHECK_EQ(value, eye->seen);
    } else if (rc == SKUA_ECLOSED) {
        CHECK(eye->screen->over);
        CHECK(eye->screen->value < eye->wanted);
        CHECK_EQ(eye->seen, eye->screen->value);
    }
    return rc;
}

static int64_t wait_somehow(struct eye *eye)
{
    skua_sync_future changed;
    skua_sleep_future nap;
    int64_t rc = -EAGAIN;
    int64_t result;

    switch (explore_pick(6)) {
    case 0:
        rc = skua_watch_changed_until(eye->rx, explore_soon(2));
        break;
    case 1:
        rc = skua_watch_try_changed(eye->rx);
        break;
    case 2:
        rc = skua_select_to(&result, explore_nap(&nap), skua_watch_changed_init(&changed, eye->rx));
        rc = rc == 1 ? result : rc == 0 ? -EAGAIN : rc;
        break;
    case 3:
        return wait_for_value(eye, explore_soon(3));
    case 4:
        return wait_for_value(eye, SKUA_FOREVER);
    default:
        rc = skua_watch_changed(eye->rx);
    }
    note(eye, rc);
    return rc;
}

/* A clone has seen what this one has. */
static void check_clone(struct eye *eye)
{
    struct eye other = *eye;

    MUST(skua_watch_receiver_clone(eye->rx, &other.rx) == 0);
    eye->screen->receivers++;
    explore_dawdle();
    note(&other, skua_watch_try_changed(other.rx));
    eye_close(&other);
}

static int receiver(void *arg)
{
    struct eye *eye = arg;
    bool stays = explore_pick(3) != 0;
    int shields = 0;
    int64_t rc = 0;

    for (int i = 0; (stays || i < 4) && rc != SKUA_ECLOSED; i++) {
        rc = wait_somehow(eye);
        if (rc == -ECANCELED && shields == 0)
            shields += skua_shield_begin() == 0; /* what it had not seen it still has not */
        if (explore_pick(4) == 0)
            look(eye);
        if (explore_pick(8) == 0)
            check_clone(eye);
        (void)skua_sleep_until(explore_soon(2));
        if (rc == -EAGAIN)
            (void)skua_sleep(EXPLORE_UNIT);
    }
    if (shields != 0)
        CHECK_EQ(skua_shield_end(), 0);
    return 0;
}

struct polled_receiver {
    skua_async async;
    struct eye *eye;
    skua_sync_future changed;
    skua_sleep_future sleep;
};

static skua_poll polled_receiver(void *state, skua_waker *waker)
{
    struct polled_receiver *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    do {
        SKUA_AWAIT_TO(rc, skua_watch_changed_init(&self->changed, self->eye->rx));
        note(self->eye, rc);
        SKUA_AWAIT(explore_nap(&self->sleep));
    } while (rc == 0);
    SKUA_ASYNC_END(0);
}

/* ---- worlds ---------------------------------------------------------------------------------- */

static void screen_open(struct screen *screen)
{
    skua_watch_receiver *first;

    *screen = (struct screen){.value = 0};
    MUST(skua_watch_new(&screen->tx, &first, sizeof screen->value, &screen->value) == 0);
    skua_watch_receiver_close(first);
}

EXPLORE(watch_receivers_see_what_is_new_and_the_last)
{
    struct screen screen;
    struct eye eyes[RECEIVERS];
    struct explore_crew receivers;
    struct explore_crew senders;

    screen_open(&screen);
    explore_open(&receivers);
    for (int i = 0; i < RECEIVERS; i++) {
        struct polled_receiver polled = {.eye = &eyes[i]};

        eye_open(&eyes[i], &screen);
        if (i == 0)
            explore_add_poll(&receivers, polled_receiver, &polled, sizeof polled);
        else
            explore_add(&receivers, receiver, &eyes[i]);
    }
    explore_open(&senders);
    explore_add(&senders, sender, &screen);
    explore_add(&senders, attentive_sender, &screen);
    explore_cancel_some(&receivers, 0, 3);
    (void)explore_join(&senders);
    screen.over = true;
    skua_watch_sender_close(screen.tx);
    (void)explore_join(&receivers);
    for (int i = 0; i < RECEIVERS; i++) {
        look(&eyes[i]); /* the value outlives its senders */
        eye_close(&eyes[i]);
    }
    return 0;
}

static int follower(void *arg)
{
    struct eye *eye = arg;
    int64_t rc;

    while ((rc = skua_watch_changed(eye->rx)) == 0)
        note(eye, rc);
    note(eye, rc);
    return rc == SKUA_ECLOSED ? 0 : (int)rc;
}

static int waits_for_the_end(void *arg)
{
    struct screen *screen = arg;
    int rc = skua_watch_closed(screen->tx);

    CHECK(rc == -ECANCELED || screen->receivers == 0);
    return rc;
}

/* Nobody polls for another reason than a change; and at the end nobody looks any more. */
EXPLORE(watch_changes_reach_all_that_wait)
{
    struct screen screen;
    struct eye eyes[RECEIVERS];
    struct explore_crew crew;

    screen_open(&screen);
    explore_open(&crew);
    for (int i = 0; i < RECEIVERS; i++) {
        eye_open(&eyes[i], &screen);
        explore_add(&crew, follower, &eyes[i]);
    }
    for (int i = 0; i < 3; i++)
        explore_add(&crew, waits_for_the_end, &screen);
    for (int i = 0; i < CHANGES; i++) {
        change(&screen);
        if (explore_pick(2) == 0)
            explore_cancel_some(&crew, 2, 1);
        CHECK_EQ(skua_test_advance(0), 0);
        CHECK_EQ(eyes[0].seen, screen.value);
        CHECK_EQ(eyes[1].seen, screen.value);
    }
    for (int i = 0; i < RECEIVERS; i++)
        (void)skua_task_cancel(crew.tasks[i]);
    CHECK_EQ(skua_test_advance(0), 0);
    for (int i = 0; i < RECEIVERS; i++)
        eye_close(&eyes[i]);
    (void)explore_join(&crew);
    CHECK_EQ(skua_watch_is_closed(screen.tx), 1);
    skua_watch_sender_close(screen.tx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch_receivers_see_what_is_new_and_the_last),
        cmocka_unit_test(watch_changes_reach_all_that_wait),
    };

    return TEST_MAIN(tests);
}
