/* test_explore_notify.c - notify and the condition variable in 1,000 orders.
 *
 * Explored: waiters, told one by one (the first or the last in line) or all at once, that are
 * cancelled before they are told, at the moment when they are, and after; waits that lose a select;
 * futures of a wait that are made early and polled late; a bounded buffer whose users wait on two
 * condition variables, and may be cancelled in any of their waits.
 *
 * Always: as many waits end well as were told to, no more and no fewer, whoever is cancelled (what
 * it was told goes to the next, or stays as the permit); the first in line is told first;
 * notify_all reaches every future that was made before it; the mutex is held again when a wait on a
 * condition variable ends. A wake that is lost leaves somebody waiting for ever: a deadlock.
 */
#include "explore.h"

/* ---- as many as were told -------------------------------------------------------------------- */

enum { WAITERS = 5 };

struct bell {
    skua_notify notify;
    struct explore_line line;
    int heard;
};

static int listener(void *arg)
{
    struct bell *bell = arg;
    struct explore_wait wait;
    int rc;

    skua_notified_init(&wait.inner, &bell->notify);
    rc = (int)skua_await(explore_wait_init(&wait, &bell->line));
    bell->heard += rc == 0;
    return rc;
}

/* Listens until it has heard, but does not stay in line for long. */
static int restless_listener(void *arg)
{
    struct bell *bell = arg;
    struct explore_wait wait;
    skua_sleep_future nap;
    int rc;

    do {
        skua_notified_init(&wait.inner, &bell->notify);
        rc = skua_select(explore_wait_init(&wait, &bell->line), explore_nap(&nap));
    } while (rc == 1);
    bell->heard += rc == 0;
    return rc;
}

struct polled_listener {
    skua_async async;
    struct bell *bell;
    struct explore_wait wait;
};

static skua_poll polled_listener(void *state, skua_waker *waker)
{
    struct polled_listener *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    skua_notified_init(&self->wait.inner, &self->bell->notify);
    SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &self->bell->line));
    self->bell->heard += rc == 0;
    SKUA_ASYNC_END(rc);
}

static void add_listeners(struct explore_crew *crew, struct bell *bell)
{
    struct polled_listener polled = {.bell = bell};

    for (int i = 0; i < WAITERS; i++)
        if (i % 2 == 0)
            explore_add(crew, listener, bell);
        else
            explore_add_poll(crew, polled_listener, &polled, sizeof polled);
}

struct ringer {
    struct bell *bell;
    int times;
    bool last;
};

static int ring(void *arg)
{
    struct ringer *ringer = arg;

    for (; ringer->times > 0; ringer->times--) {
        explore_dawdle();
        if (ringer->last)
            skua_notify_last(&ringer->bell->notify);
        else
            skua_notify_one(&ringer->bell->notify);
    }
    return 0;
}

/* All are in line; some are told, some are cancelled, at the same time, and enough are left. */
EXPLORE(notify_one_ends_one_wait_whoever_is_cancelled)
{
    struct bell bell = {.notify = SKUA_NOTIFY_INIT};
    struct ringer ringer = {.bell = &bell, .times = 1 + (int)explore_pick(3)};
    struct explore_crew crew;
    struct explore_crew ringers;
    int times = ringer.times;

    explore_open(&crew);
    add_listeners(&crew, &bell);
    CHECK_EQ(skua_test_advance(0), 0);
    CHECK_EQ(explore_queued(&bell.line), WAITERS);
    explore_open(&ringers);
    explore_add(&ringers, ring, &ringer);
    explore_cancel_some(&crew, 0, 2);
    CHECK_EQ(explore_join(&ringers), 0);
    CHECK_EQ(skua_test_advance(10 * EXPLORE_UNIT), 0);
    CHECK_EQ(bell.heard, times);
    CHECK_EQ(bell.notify.permit, 0);
    CHECK_EQ(skua_scope_cancel(&crew.scope), 0);
    (void)explore_join(&crew);
    CHECK_EQ(bell.heard, times);
    return 0;
}

/* One call, while tasks come, go, and are cancelled: one hears it, or the permit is there. */
EXPLORE(notify_one_is_never_lost)
{
    struct bell bell = {.notify = SKUA_NOTIFY_INIT};
    struct ringer ringer = {.bell = &bell, .times = 1, .last = explore_pick(2) == 0};
    struct explore_crew crew;

    bell.line.unordered = ringer.last;
    explore_open(&crew);
    explore_add(&crew, ring, &ringer);
    for (int i = 0; i < 3; i++)
        explore_add(&crew, explore_pick(2) == 0 ? listener : restless_listener, &bell);
    explore_cancel_some(&crew, 1, 5);
    CHECK_EQ(skua_sleep(10 * EXPLORE_UNIT), 0);
    CHECK_EQ(bell.heard + bell.notify.permit, 1);
    if (bell.notify.permit != 0)
        CHECK_EQ(explore_queued(&bell.line), 0);
    CHECK_EQ(skua_scope_cancel(&crew.scope), 0);
    (void)explore_join(&crew);
    CHECK_EQ(bell.heard + bell.notify.permit, 1);
    return 0;
}

/* ---- work for whoever is told ---------------------------------------------------------------- */

enum { WORK = 6 };

struct shop {
    skua_notify notify;
    int open;
    int done;
};

static int clerk(void *arg)
{
    struct shop *shop = arg;
    int rc = 0;

    while (rc == 0) {
        shop->done += shop->open; /* all that is there, without a wait */
        shop->open = 0;
        rc = skua_notified_until(&shop->notify, explore_soon(4));
        if (rc == -ETIMEDOUT)
            rc = skua_sleep(EXPLORE_UNIT);
    }
    return rc;
}

static int last_clerk(void *arg)
{
    struct shop *shop = arg;
    int rc = 0;

    while (rc == 0) {
        shop->done += shop->open;
        shop->open = 0;
        rc = skua_notified(&shop->notify);
    }
    return rc;
}

/* Whoever is told takes all the work. When the others are gone the last one is told of the rest. */
EXPLORE(notify_permit_keeps_work_from_being_forgotten)
{
    struct shop shop = {.notify = SKUA_NOTIFY_INIT};
    struct explore_crew crew;

    explore_open(&crew);
    explore_add(&crew, last_clerk, &shop);
    for (int i = 0; i < 3; i++)
        explore_add(&crew, clerk, &shop);
    for (int i = 0; i < WORK; i++) {
        (void)explore_wander();
        if (i % 2 == 0)
            (void)skua_task_cancel(crew.tasks[1 + explore_pick(3)]);
        shop.open++;
        skua_notify_one(&shop.notify);
        if (i % 2 != 0)
            (void)skua_task_cancel(crew.tasks[1 + explore_pick(3)]);
    }
    for (unsigned i = 1; i < crew.count; i++)
        (void)skua_task_cancel(crew.tasks[i]);
    CHECK_EQ(skua_test_advance(0), 0); /* until all wait, or have ended */
    CHECK_EQ(shop.done, WORK);
    CHECK_EQ(shop.open, 0);
    (void)skua_task_cancel(crew.tasks[0]);
    (void)explore_join(&crew);
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

struct crowd {
    skua_notify notify;
    struct explore_line line;
    bool over;
    int calls;
    int ended;
};

/* The future first, then the look, then the wait: nothing that is told in between is missed. */
static int spectator(void *arg)
{
    struct crowd *crowd = arg;
    struct explore_wait wait;
    int before;
    int rc = 0;

    while (rc == 0) {
        skua_notified_init(&wait.inner, &crowd->notify);
        explore_wait_init(&wait, &crowd->line);
        before = crowd->calls;
        if (crowd->over) {
            skua_future_drop(&wait.future);
            crowd->ended++;
            return 0;
        }
        explore_dawdle();
        rc = (int)skua_await(&wait.future);
        CHECK(rc != 0 || crowd->calls > before);
    }
    crowd->ended++;
    return rc;
}

EXPLORE(notify_all_reaches_every_wait_made_before)
{
    struct crowd crowd = {.notify = SKUA_NOTIFY_INIT, .line.unordered = true};
    struct explore_crew crew;

    explore_open(&crew);
    for (int i = 0; i < WAITERS; i++)
        explore_add(&crew, spectator, &crowd);
    explore_cancel_some(&crew, 0, 2);
    for (int left = 1 + (int)explore_pick(3); left > 0; left--) {
        (void)explore_wander();
        crowd.over = left == 1;
        crowd.calls++;
        skua_notify_all(&crowd.notify);
        CHECK_EQ(explore_queued(&crowd.line), 0);
    }
    (void)explore_join(&crew);
    CHECK_RANGE(crowd.ended, WAITERS - 2, WAITERS); /* one that is cancelled may never begin */
    CHECK_EQ(crowd.notify.permit, 0);
    return 0;
}

/* ---- condition variable ---------------------------------------------------------------------- */

enum { ROOM = 2, ITEMS = 8 };

struct buffer {
    skua_mutex mutex;
    skua_cond not_full;
    skua_cond not_empty;
    int holder;
    int len;
    int put;
    int taken;
};

static int wait_on(struct buffer *buffer, skua_cond *cond, bool patient)
{
    int rc;

    CHECK_EQ(buffer->holder--, 1);
    rc = patient ? skua_cond_wait(cond, &buffer->mutex)
                 : skua_cond_wait_until(cond, &buffer->mutex, explore_soon(2));
    CHECK_EQ(buffer->holder++, 0);
    return rc;
}

static void leave(struct buffer *buffer)
{
    CHECK_EQ(buffer->holder--, 1);
    CHECK_EQ(skua_mutex_unlock(&buffer->mutex), 0);
}

/* Moves one item: in, when `by` is 1, out when it is -1. */
static int move_one(struct buffer *buffer, int by, bool patient)
{
    skua_cond *mine = by > 0 ? &buffer->not_full : &buffer->not_empty;
    skua_cond *theirs = by > 0 ? &buffer->not_empty : &buffer->not_full;
    int rc = skua_mutex_lock(&buffer->mutex);

    if (rc != 0)
        return rc;
    CHECK_EQ(buffer->holder++, 0);
    while (rc == 0 && buffer->len == (by > 0 ? ROOM : 0))
        rc = wait_on(buffer, mine, patient);
    if (rc == 0) {
        buffer->len += by;
        CHECK_RANGE(buffer->len, 0, ROOM);
        *(by > 0 ? &buffer->put : &buffer->taken) += 1;
        if (explore_pick(2) == 0) {
            skua_cond_signal(theirs);
            theirs = NULL;
        }
    }
    leave(buffer);
    if (rc == 0 && theirs != NULL)
        skua_cond_signal(theirs);
    return rc;
}

static int move_many(struct buffer *buffer, int by, bool patient)
{
    int rc = 0;

    while (rc == 0) {
        if (patient && (by > 0 ? buffer->put : buffer->taken) >= ITEMS)
            return 0;
        rc = move_one(buffer, by, patient);
        if (rc != -ECANCELED)
            rc = skua_sleep((1 + explore_pick(2)) * EXPLORE_UNIT);
    }
    return rc;
}

static int producer(void *arg)
{
    return move_many(arg, 1, true);
}

static int consumer(void *arg)
{
    return move_many(arg, -1, true);
}

static int short_producer(void *arg)
{
    return move_many(arg, 1, false);
}

static int short_consumer(void *arg)
{
    return move_many(arg, -1, false);
}

/* A producer and a consumer stay; the others are cancelled sooner or later. The signals that were
 * meant for these must not be lost to those. */
EXPLORE(cond_signals_are_passed_on)
{
    struct buffer buffer = {.mutex = SKUA_MUTEX_INIT};
    struct explore_crew crew;

    explore_open(&crew);
    explore_add(&crew, producer, &buffer);
    explore_add(&crew, consumer, &buffer);
    for (int i = 0; i < 2; i++) {
        explore_add(&crew, short_producer, &buffer);
        explore_add(&crew, short_consumer, &buffer);
    }
    for (unsigned i = 2; i < crew.count; i++) {
        CHECK_EQ(skua_sleep(explore_pick(6) * EXPLORE_UNIT), 0);
        (void)skua_task_cancel(crew.tasks[i]);
    }
    CHECK_EQ(skua_sleep(20 * ITEMS * EXPLORE_UNIT), 0);
    CHECK(buffer.put >= ITEMS && buffer.taken >= ITEMS);
    CHECK_EQ(skua_scope_cancel(&crew.scope), 0); /* one may wait for what nobody will bring */
    (void)explore_join(&crew);
    CHECK_EQ(buffer.holder, 0);
    CHECK_EQ(buffer.put - buffer.taken, buffer.len);
    CHECK_EQ(skua_mutex_try_lock(&buffer.mutex), 0);
    CHECK_EQ(skua_mutex_unlock(&buffer.mutex), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notify_one_ends_one_wait_whoever_is_cancelled),
        cmocka_unit_test(notify_one_is_never_lost),
        cmocka_unit_test(notify_permit_keeps_work_from_being_forgotten),
        cmocka_unit_test(notify_all_reaches_every_wait_made_before),
        cmocka_unit_test(cond_signals_are_passed_on),
    };

    return TEST_MAIN(tests);
}
