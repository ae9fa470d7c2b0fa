/* test_explore_timer.c - sleeps, bounds and the clock in 1,000 orders.
 *
 * Explored: sleeps from a nanosecond to years, many that end at the same moment, in fibers and poll
 * tasks, as futures that are made early and awaited late; bounds of waits that never end; timers
 * that are taken back: by a cancel, by a select that another won, by hand; a clock that is moved by
 * hand, past many timers at a time.
 *
 * Always: nobody is woken early, nobody late (a virtual clock stops at each timer, to the
 * nanosecond), and so all in order; a timer that was taken back does not wake anybody, nor does it
 * move the clock; what never comes is no moment to move to.
 */
#include "explore.h"

enum { SLEEPERS = 8, NAPS = 3 };

struct alarm {
    int64_t latest; /* the last moment at which anybody was woken */
    int64_t goal;   /* nobody sleeps longer */
    int woken;
};

/* From a nanosecond to a year, of any magnitude: each level of a wheel. */
static int64_t some_duration(void)
{
    return (int64_t)(skua_test_random() >> (9 + explore_pick(54)));
}

static int64_t some_moment(struct alarm *alarm)
{
    int64_t moment = explore_pick(3) == 0 ? explore_soon(3) : skua_now() + some_duration();

    alarm->goal = moment > alarm->goal ? moment : alarm->goal;
    return moment;
}

static void note(struct alarm *alarm, int64_t moment, int64_t begin)
{
    CHECK_EQ(skua_now(), moment > begin ? moment : begin);
    CHECK(skua_now() >= alarm->latest);
    alarm->latest = skua_now();
    alarm->woken++;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static int sleeper(void *arg)
{
    struct alarm *alarm = arg;
    skua_sleep_future sleep;
    skua_sleep_future other;
    int rc = 0;

    for (int i = 0; i < NAPS && rc == 0; i++) {
        int64_t moment = some_moment(alarm);
        int64_t begin = skua_now();
        int64_t answer;

        switch (explore_pick(5)) {
        case 0:
            rc = skua_sleep_until(moment);
            break;
        case 1:
            rc = skua_sleep(moment - begin);
            break;
        case 2: /* made early, awaited late: the moment may be over by then */
            skua_sleep_until_init(&sleep, moment);
            explore_dawdle();
            begin = skua_now();
            rc = (int)skua_await(&sleep.future);
            break;
        case 3: /* as the bound of a sleep that has no end */
            rc = (int)skua_await_until(skua_sleep_init(&sleep, SKUA_FOREVER), moment);
            rc = rc == -ETIMEDOUT ? 0 : rc;
            break;
        default: /* the later one is taken back */
            rc = skua_select_to(&answer, skua_sleep_until_init(&sleep, moment),
                                skua_sleep_until_init(&other, moment + some_duration() + 1));
        }
        CHECK(rc == 0 || rc == -ECANCELED);
        if (rc == 0)
            note(alarm, moment, begin);
        else
            CHECK(skua_now() <= alarm->goal);
    }
    return rc;
}

struct polled_sleeper {
    skua_async async;
    int naps;
    int64_t moment;
    struct alarm *alarm;
    skua_sleep_future sleep;
};

static skua_poll polled_sleeper(void *state, skua_waker *waker)
{
    struct polled_sleeper *self = state;

    SKUA_ASYNC(self, waker);
    for (self->naps = 0; self->naps < NAPS; self->naps++) {
        self->moment = some_moment(self->alarm);
        SKUA_AWAIT(skua_sleep_until_init(&self->sleep, self->moment));
        note(self->alarm, self->moment, 0);
    }
    SKUA_ASYNC_END(0);
}

static void add_sleepers(struct explore_crew *crew, struct alarm *alarm)
{
    struct polled_sleeper polled = {.alarm = alarm};

    for (int i = 0; i < SLEEPERS; i++)
        if (i % 4 != 0)
            explore_add(crew, sleeper, alarm);
        else
            explore_add_poll(crew, polled_sleeper, &polled, sizeof polled);
}

EXPLORE(sleeps_end_in_time_and_in_order)
{
    struct alarm alarm = {.latest = skua_now(), .goal = skua_now()};
    struct explore_crew crew;

    explore_open(&crew);
    add_sleepers(&crew, &alarm);
    (void)explore_join(&crew);
    CHECK_EQ(alarm.woken, SLEEPERS * NAPS);
    CHECK_EQ(skua_now(), alarm.latest); /* the clock has not moved for what was taken back */
    return 0;
}

/* Whoever is cancelled is out of the wheel: the others' moments stay what they were. */
EXPLORE(sleeps_that_are_cancelled_leave_the_others_alone)
{
    struct alarm alarm = {.latest = skua_now(), .goal = skua_now()};
    struct explore_crew crew;

    explore_open(&crew);
    add_sleepers(&crew, &alarm);
    explore_cancel_some(&crew, 0, SLEEPERS);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_sleep(some_duration()), 0);
        explore_cancel_some(&crew, 0, 2);
    }
    (void)explore_join(&crew);
    CHECK_RANGE(alarm.woken, 0, SLEEPERS * NAPS);
    return 0;
}

/* ---- by hand --------------------------------------------------------------------------------- */

/* Each step ends where it was to, with all that was due on the way done, each at its own time. */
EXPLORE(clock_moved_by_hand_stops_at_each_timer)
{
    struct alarm alarm = {.latest = skua_now(), .goal = skua_now()};
    struct explore_crew crew;

    CHECK_EQ(skua_test_pause(), 0);
    explore_open(&crew);
    add_sleepers(&crew, &alarm);
    for (int i = 0; i < 4; i++) {
        int64_t begin = skua_now();
        int64_t step = explore_pick(2) == 0 ? some_duration() : explore_pick(4) * EXPLORE_UNIT;

        CHECK_EQ(skua_test_advance(step), 0);
        CHECK_EQ(skua_now(), begin + step);
        CHECK(alarm.latest <= skua_now());
        if (explore_pick(4) == 0)
            (void)skua_task_cancel(crew.tasks[explore_pick(SLEEPERS)]);
    }
    CHECK_EQ(skua_test_resume(), 0);
    (void)explore_join(&crew);
    return 0;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

struct pause {
    skua_event event;
    int64_t set_at;
};

/* Set or over, whichever comes first; at the same moment either, but in time. */
static int bounded_waiter(void *arg)
{
    struct pause *pause = arg;
    skua_sync_future wait;
    int64_t deadline = explore_soon(6) + 1 - (int64_t)explore_pick(3);
    int64_t begin = skua_now();
    int64_t result = 0;
    int rc;

    if (explore_pick(2) == 0)
        rc = skua_event_wait_until(&pause->event, deadline);
    else
        rc = skua_timeout_at(skua_event_wait_init(&wait, &pause->event), deadline, &result);
    CHECK_EQ(result, 0);
    if (rc == -ETIMEDOUT) {
        CHECK_EQ(skua_now(), deadline > begin ? deadline : begin);
        CHECK_EQ(skua_event_is_set(&pause->event), 0); /* an answer that is there wins */
    } else {
        CHECK_EQ(rc, 0);
        CHECK_EQ(skua_now(), pause->set_at);
        CHECK(pause->set_at <= deadline);
    }
    return 0;
}

EXPLORE(bounds_end_waits_in_time)
{
    struct pause pause = {.event = SKUA_EVENT_INIT, .set_at = explore_soon(4) + EXPLORE_UNIT};
    struct explore_crew crew;

    explore_open(&crew);
    for (int i = 0; i < SLEEPERS; i++)
        explore_add(&crew, bounded_waiter, &pause);
    CHECK_EQ(skua_sleep_until(pause.set_at), 0);
    skua_event_set(&pause.event);
    return explore_join(&crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeps_end_in_time_and_in_order),
        cmocka_unit_test(sleeps_that_are_cancelled_leave_the_others_alone),
        cmocka_unit_test(clock_moved_by_hand_stops_at_each_timer),
        cmocka_unit_test(bounds_end_waits_in_time),
    };

    return TEST_MAIN(tests);
}
