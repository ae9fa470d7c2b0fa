/* test_explore_gates.c - event, wait group, barrier and once in 1,000 orders.
 *
 * Explored: waiters as fibers and poll tasks, with and without a bound, that come before, between
 * and after what they wait for, and are cancelled at any moment; an event that is set and reset at
 * once; a wait group that comes to zero, and starts again; arrivals at a barrier that are taken
 * back; runners of a once that fail, or are cancelled in the middle of it.
 *
 * Always: a set reaches everybody who waits at that moment, and nobody passes without one; each
 * round of a barrier has all its parties and one leader; a once is run by one at a time, succeeds
 * once, and whoever comes back with 0 comes after that.
 */
#include "explore.h"

/* ---- event ----------------------------------------------------------------------------------- */

enum { WAITERS = 5 };

struct signal {
    skua_event event;
    struct explore_line line;
    int sets;
    int waiting;
};

static int watcher(void *arg)
{
    struct signal *signal = arg;
    struct explore_wait wait;
    int before;
    int rc;

    rc = explore_wander();
    if (rc != 0)
        return rc;
    do {
        before = signal->sets - skua_event_is_set(&signal->event);
        skua_event_wait_init(&wait.inner, &signal->event);
        rc = (int)skua_await_until(explore_wait_init(&wait, &signal->line), explore_soon(4));
        CHECK(rc != 0 || signal->sets > before);
    } while (rc == -ETIMEDOUT && skua_sleep(EXPLORE_UNIT) == 0);
    return rc;
}

struct polled_watcher {
    skua_async async;
    int before;
    struct signal *signal;
    struct explore_wait wait;
};

static skua_poll polled_watcher(void *state, skua_waker *waker)
{
    struct polled_watcher *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    self->before = self->signal->sets - skua_event_is_set(&self->signal->event);
    skua_event_wait_init(&self->wait.inner, &self->signal->event);
    SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &self->signal->line));
    CHECK(rc != 0 || self->signal->sets > self->before);
    SKUA_ASYNC_END(rc);
}

EXPLORE(event_set_reaches_all_that_wait)
{
    struct signal signal = {.event = SKUA_EVENT_INIT};
    struct polled_watcher polled = {.signal = &signal};
    struct explore_crew crew;

    explore_open(&crew);
    for (int i = 0; i < WAITERS; i++)
        explore_add(&crew, watcher, &signal);
    explore_add_poll(&crew, polled_watcher, &polled, sizeof polled);
    explore_add_poll(&crew, polled_watcher, &polled, sizeof polled);
    for (int i = 0; i < 3; i++) {
        explore_cancel_some(&crew, 0, 1);
        (void)explore_wander();
        signal.sets++;
        skua_event_set(&signal.event);
        CHECK_EQ(explore_queued(&signal.line), 0);
        if (explore_pick(2) == 0)
            (void)explore_wander();
        skua_event_reset(&signal.event);
    }
    signal.sets++;
    skua_event_set(&signal.event); /* and for whoever came too late */
    (void)explore_join(&crew);
    CHECK(signal.line.first == NULL);
    return 0;
}

/* ---- wait group ------------------------------------------------------------------------------ */

struct group {
    skua_wait_group group;
    struct explore_line line;
    int out;
    int zeros;
};

static void group_add(struct group *group, int count)
{
    group->out += count;
    CHECK_EQ(skua_wait_group_add(&group->group, (size_t)count), 0);
}

static int errand(void *arg)
{
    struct group *group = arg;

    for (int i = 0; i < 2; i++) {
        explore_dawdle();
        if (i == 0 && explore_pick(2) == 0) {
            group_add(group, 1); /* one more, before it says that it is done */
            i--;
        }
        group->zeros += --group->out == 0;
        CHECK_EQ(skua_wait_group_done(&group->group), 0);
        if (group->out == 0)
            CHECK_EQ(explore_queued(&group->line), 0);
        if (i == 0)
            group_add(group, 1);
    }
    return 0;
}

static int group_waiter(void *arg)
{
    struct group *group = arg;
    struct explore_wait wait;
    int before;
    int rc = explore_wander();

    while (rc == 0 || rc == -ETIMEDOUT) {
        before = group->zeros - (group->out == 0);
        skua_wait_group_wait_init(&wait.inner, &group->group);
        rc = (int)skua_await_until(explore_wait_init(&wait, &group->line), explore_soon(6));
        if (rc == 0) {
            CHECK(group->zeros > before || group->out == 0);
            break;
        }
        rc = skua_sleep(EXPLORE_UNIT);
    }
    return rc;
}

EXPLORE(wait_group_waits_for_all_that_are_out)
{
    struct group group = {.group = SKUA_WAIT_GROUP_INIT};
    struct explore_crew errands;
    struct explore_crew crew;

    explore_open(&errands);
    for (int i = 0; i < 3; i++) {
        group_add(&group, 1);
        explore_add(&errands, errand, &group);
    }
    explore_open(&crew);
    for (int i = 0; i < WAITERS; i++)
        explore_add(&crew, group_waiter, &group);
    explore_cancel_some(&crew, 0, 3);
    (void)explore_join(&crew);
    CHECK_EQ(explore_join(&errands), 0);
    CHECK_EQ(group.out, 0);
    CHECK_EQ(skua_wait_group_wait(&group.group), 0);
    CHECK_EQ(skua_wait_group_done(&group.group), SKUA_EUSAGE);
    return 0;
}

/* ---- barrier --------------------------------------------------------------------------------- */

enum { PARTIES = 3 };

struct meeting {
    skua_barrier barrier;
    struct explore_line line;
    int rounds;    /* that had a leader */
    int followers; /* told that they passed, but not as the leader */
};

static void note_arrival(struct meeting *meeting, int64_t rc)
{
    CHECK(rc == 0 || rc == 1 || rc == -ECANCELED || rc == -ETIMEDOUT);
    meeting->rounds += rc == 1;
    meeting->followers += rc == 0;
    if (rc == 1)
        CHECK_EQ(explore_queued(&meeting->line), 0);
}

static int64_t arrive(struct meeting *meeting, int64_t deadline)
{
    struct explore_wait wait;
    int64_t rc;
    int queued;

    skua_barrier_wait_init(&wait.inner, &meeting->barrier);
    explore_wait_init(&wait, &meeting->line);
    queued = explore_queued(&meeting->line);
    CHECK_RANGE(queued, 0, PARTIES - 1);
    rc = skua_await_until(&wait.future, deadline);
    note_arrival(meeting, rc);
    return rc;
}

static int regular(void *arg)
{
    int64_t rc;

    do
        rc = arrive(arg, SKUA_FOREVER);
    while (rc >= 0 && skua_sleep((1 + explore_pick(2)) * EXPLORE_UNIT) == 0);
    return (int)rc;
}

static int passer_by(void *arg)
{
    while (explore_wander() == 0 && skua_sleep(EXPLORE_UNIT) == 0)
        (void)arrive(arg, explore_soon(2));
    return 0;
}

struct polled_passer_by {
    skua_async async;
    struct meeting *meeting;
    skua_sleep_future sleep;
    struct explore_wait wait;
};

static skua_poll polled_passer_by(void *state, skua_waker *waker)
{
    struct polled_passer_by *self = state;
    skua_poll rc = 0;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(explore_nap(&self->sleep));
    skua_barrier_wait_init(&self->wait.inner, &self->meeting->barrier);
    SKUA_AWAIT_TO(rc, explore_wait_init(&self->wait, &self->meeting->line));
    note_arrival(self->meeting, rc);
    SKUA_ASYNC_END(rc);
}

EXPLORE(barrier_rounds_have_one_leader_and_all_parties)
{
    struct meeting meeting = {.barrier = SKUA_BARRIER_INIT(PARTIES)};
    struct polled_passer_by polled = {.meeting = &meeting};
    struct explore_crew crew;

    explore_open(&crew);
    for (int i = 0; i < PARTIES; i++)
        explore_add(&crew, regular, &meeting);
    for (int i = 0; i < 2; i++) {
        explore_add(&crew, passer_by, &meeting);
        explore_add_poll(&crew, polled_passer_by, &polled, sizeof polled);
    }
    explore_cancel_some(&crew, PARTIES, 4);
    CHECK_EQ(skua_sleep(10 * EXPLORE_UNIT), 0); /* the regulars alone make one in two units */
    CHECK_RANGE(meeting.rounds, 5, 1000);
    CHECK_EQ(skua_scope_cancel(&crew.scope), 0);
    (void)explore_join(&crew);
    CHECK_EQ(meeting.followers + meeting.line.passed_on, meeting.rounds * (PARTIES - 1));
    CHECK_EQ(meeting.barrier.gate.number, 0); /* nobody is counted as arrived */
    return 0;
}

/* ---- once ------------------------------------------------------------------------------------ */

struct errands {
    skua_once once;
    int running;
    int runs;
    int successes;
    int cancelled;
};

static int set_up(void *arg)
{
    struct errands *errands = arg;
    int rc;

    CHECK_EQ(errands->running++, 0);
    CHECK_EQ(errands->successes, 0);
    errands->runs++;
    rc = explore_wander();
    if (rc == 0 && explore_pick(3) == 0)
        rc = -EIO;
    errands->running--;
    errands->successes += rc == 0;
    errands->cancelled += rc == -ECANCELED;
    return rc;
}

static int user(void *arg)
{
    struct errands *errands = arg;
    int rc = explore_wander();

    while (rc == 0) {
        int before = errands->runs;

        rc = skua_once_run(&errands->once, set_up, errands);
        CHECK_EQ(skua_once_done(&errands->once), errands->successes);
        if (rc == 0) {
            CHECK_EQ(errands->successes, 1);
            return 0;
        }
        CHECK(rc == -ECANCELED || errands->runs > before); /* a failure is told to its runner */
        if (rc == -EIO)
            rc = explore_wander();
    }
    return rc;
}

EXPLORE(once_succeeds_once_whoever_is_cancelled)
{
    struct errands errands = {.once = SKUA_ONCE_INIT};
    struct explore_crew crew;
    int runs;

    explore_open(&crew);
    for (int i = 0; i < WAITERS; i++)
        explore_add(&crew, user, &errands);
    explore_cancel_some(&crew, 1, 4);
    (void)explore_join(&crew);
    CHECK_EQ(errands.running, 0);
    CHECK_EQ(errands.successes,
             1); /* the first one is not cancelled: it goes on until it is done */
    runs = errands.runs;
    CHECK_EQ(skua_once_run(&errands.once, set_up, &errands), 0);
    CHECK_EQ(errands.runs, runs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_set_reaches_all_that_wait),
        cmocka_unit_test(wait_group_waits_for_all_that_are_out),
        cmocka_unit_test(barrier_rounds_have_one_leader_and_all_parties),
        cmocka_unit_test(once_succeeds_once_whoever_is_cancelled),
    };

    return TEST_MAIN(tests);
}
