/* test_local_notify.c - notify and event of one worker.
 *
 * Specifies local.h: the one permit, whom one, last and all reach, what a dropped wait passes on;
 * an event that stays. What lines have in common: test_local_line.c.
 */
#include "../lib/line.h"
#include "../lib/part.h"

enum { WAITS = 4 };

/* Waits that are polled by hand. */
struct waits {
    struct test_bell bells[WAITS];
    skua_waker *wakers[WAITS];
    skua_local_future waits[WAITS];
};

static void waits_init(struct waits *self)
{
    for (int i = 0; i < WAITS; i++)
        self->wakers[i] = test_bell_init(&self->bells[i]);
}

static int64_t asked(struct waits *self, int i)
{
    return skua_future_poll(&self->waits[i].future, self->wakers[i]);
}

static void waits_end(struct waits *self)
{
    for (int i = 0; i < WAITS; i++)
        test_bell_end(&self->bells[i]);
}

/* All are in line. */
static void notify_waits(struct waits *self, skua_local_notify *notify)
{
    waits_init(self);
    for (int i = 0; i < WAITS; i++) {
        skua_local_notified_init(&self->waits[i], notify);
        CHECK_EQ(asked(self, i), SKUA_PENDING);
    }
}

/* ---- notify ---------------------------------------------------------------------------------- */

TEST_WAITING(local_notify_keeps_one_permit)
{
    skua_local_notify notify = SKUA_LOCAL_NOTIFY_INIT;
    skua_local_notify zeroed;

    memset(&zeroed, 0, sizeof zeroed);
    CHECK_EQ(skua_local_notified_until(&zeroed, 0), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        skua_local_notify_one(&notify);
        skua_local_notify_one(&notify);
        skua_local_notify_last(&notify);
        CHECK_EQ(skua_local_notified(&notify), 0);
        CHECK_EQ(skua_local_notified_until(&notify, skua_now() + MS(1)), -ETIMEDOUT);
        skua_local_notify_last(&notify);
        CHECK_EQ(skua_local_notified_until(&notify, 0), 0);
        skua_local_notify_one(&notify);
        CHECK_EQ(skua_await(skua_local_notify_waiting(&notify)), 0);
        skua_local_notify_all(&notify);
        CHECK_EQ(skua_local_notified_until(&notify, skua_now() + MS(1)), -ETIMEDOUT);
    }
}

TEST(local_notify_tells_the_first_and_the_last)
{
    skua_local_notify notify = SKUA_LOCAL_NOTIFY_INIT;
    struct waits all;

    notify_waits(&all, &notify);
    skua_local_notify_last(&notify);
    CHECK_EQ(asked(&all, 3), 0);
    skua_local_notify_one(&notify);
    CHECK_EQ(asked(&all, 0), 0);
    CHECK_EQ(asked(&all, 1), SKUA_PENDING);
    CHECK_EQ(asked(&all, 2), SKUA_PENDING);
    skua_local_notify_last(&notify);
    skua_local_notify_last(&notify);
    CHECK_EQ(asked(&all, 2), 0);
    CHECK_EQ(asked(&all, 1), 0);
    CHECK_EQ(skua_local_notified_until(&notify, 0), -ETIMEDOUT);
    waits_end(&all);
}

/* It reaches a future that was made, but not polled yet; and leaves a permit where it is. */
TEST(local_notify_all_tells_everybody)
{
    skua_local_notify notify = SKUA_LOCAL_NOTIFY_INIT;
    skua_local_future made;
    struct waits all;

    notify_waits(&all, &notify);
    skua_local_notified_init(&made, &notify);
    skua_local_notify_all(&notify);
    skua_local_notify_one(&notify);
    for (int i = 0; i < WAITS; i++) {
        CHECK_EQ(TEST_RINGS(&all.bells[i]), 1);
        CHECK_EQ(asked(&all, i), 0);
    }
    CHECK_EQ(skua_future_poll(&made.future, all.wakers[0]), 0);
    CHECK_EQ(skua_local_notified_until(&notify, 0), 0);
    CHECK_EQ(skua_local_notified_until(&notify, 0), -ETIMEDOUT);
    skua_local_notified_init(&made, &notify); /* later than that call */
    CHECK_EQ(skua_future_poll(&made.future, all.wakers[0]), SKUA_PENDING);
    skua_future_drop(&made.future);
    waits_end(&all);
}

/* What one was told by _one goes to the next; what all were told does not. */
TEST(local_notify_dropped_when_told)
{
    skua_local_notify notify = SKUA_LOCAL_NOTIFY_INIT;
    struct waits all;

    notify_waits(&all, &notify);
    skua_local_notify_last(&notify);
    skua_future_drop(&all.waits[3].future);
    CHECK_EQ(asked(&all, 0), 0);
    CHECK_EQ(asked(&all, 1), SKUA_PENDING);
    skua_local_notify_all(&notify);
    skua_future_drop(&all.waits[1].future);
    skua_future_drop(&all.waits[2].future);
    CHECK_EQ(skua_local_notified_until(&notify, 0), -ETIMEDOUT);
    waits_end(&all);
}

/* ---- event ----------------------------------------------------------------------------------- */

TEST_WAITING(local_event_stays)
{
    skua_local_event event = SKUA_LOCAL_EVENT_INIT;

    CHECK_EQ(skua_local_event_is_set(&event), 0);
    CHECK_EQ(skua_local_event_wait_until(&event, skua_now() + MS(1)), -ETIMEDOUT);
    skua_local_event_set(&event);
    skua_local_event_set(&event);
    CHECK_EQ(skua_local_event_is_set(&event), 1);
    CHECK_EQ(skua_local_event_wait(&event), 0);
    CHECK_EQ(skua_local_event_wait_until(&event, 0), 0);
    CHECK_EQ(skua_await(skua_local_event_waiting(&event)), 0);
    skua_local_event_reset(&event);
    CHECK_EQ(skua_local_event_is_set(&event), 0);
    CHECK_EQ(skua_timeout(skua_local_event_waiting(&event), MS(1), NULL), -ETIMEDOUT);
}

/* Who was in line goes on, although it is not set any more, and may be gone. */
TEST(local_event_lets_everybody_in)
{
    skua_local_event *event = calloc(1, sizeof *event); /* zeroed is one */
    struct waits all;

    waits_init(&all);
    for (int i = 0; i < WAITS; i++) {
        skua_local_event_wait_init(&all.waits[i], event);
        CHECK_EQ(asked(&all, i), SKUA_PENDING);
    }
    skua_future_drop(&all.waits[1].future);
    skua_local_event_set(event);
    skua_local_event_reset(event);
    free(event);
    skua_future_drop(&all.waits[2].future);
    CHECK_EQ(asked(&all, 0), 0);
    CHECK_EQ(asked(&all, 3), 0);
    CHECK_EQ(TEST_RINGS(&all.bells[1]), 0);
    waits_end(&all);
}

TEST_FIBER(local_event_cancelled_before)
{
    skua_local_event event = SKUA_LOCAL_EVENT_INIT;
    skua_deadline frame;

    skua_local_event_set(&event);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now()), 0);
    CHECK_EQ(skua_local_event_wait(&event), -ETIMEDOUT); /* the task's, not the call's */
    CHECK_EQ(skua_deadline_end(&frame), 0);
    return 0;
}

static int event_is_there(void *arg)
{
    return skua_local_event_wait(arg);
}

TEST_FIBER_CURRENT(local_event_spends_budget)
{
    skua_local_event event = SKUA_LOCAL_EVENT_INIT;

    skua_local_event_set(&event);
    test_line_budget(event_is_there, &event);
    return 0;
}

/* ---- in whatever order ----------------------------------------------------------------------- */

enum { TASKS = 6 };

struct crowd {
    skua_local_event event;
    skua_local_event doors[TASKS]; /* open one after the other */
    int passed;
};

static int passes_doors(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; i < TASKS; i++) {
        int64_t rc;

        do {
            int64_t patience = (int64_t)(skua_test_random() % 4) * SKUA_SECOND;

            rc = skua_select(skua_local_event_waiting(&crowd->doors[i]), skua_sleeping(patience));
            CHECK(rc == 0 || rc == 1);
        } while (rc == 1);
        CHECK(skua_local_event_is_set(&crowd->doors[i]));
    }
    crowd->passed++;
    return skua_local_event_wait(&crowd->event);
}

static int crowd_explored(TEST_UNUSED void *arg)
{
    struct crowd crowd = {.event = SKUA_LOCAL_EVENT_INIT};
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < TASKS; i++)
        MUST(skua_spawn(&scope, passes_doors, &crowd) == 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(crowd.passed, 0);
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 5) * SKUA_SECOND), 0);
        skua_local_event_set(&crowd.doors[i]);
    }
    CHECK_EQ(skua_sleep(SKUA_MINUTE), 0);
    CHECK_EQ(crowd.passed, TASKS);
    skua_local_event_set(&crowd.event);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return test_failures() == 0 ? 0 : -EIO;
}

TEST(local_event_in_whatever_order)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), crowd_explored, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(local_notify_keeps_one_permit),
        cmocka_unit_test(local_notify_tells_the_first_and_the_last),
        cmocka_unit_test(local_notify_all_tells_everybody),
        cmocka_unit_test(local_notify_dropped_when_told),
        TEST_WAITING_ENTRIES(local_event_stays),
        cmocka_unit_test(local_event_lets_everybody_in),
        cmocka_unit_test(local_event_cancelled_before),
        cmocka_unit_test(local_event_spends_budget),
        cmocka_unit_test(local_event_in_whatever_order),
    };

    return TEST_MAIN(tests);
}
