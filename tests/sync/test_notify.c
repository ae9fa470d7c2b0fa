/* test_notify.c - telling one, the last, or all.
 *
 * Specifies notify.h, notify: one permit is kept for whoever comes next; notify_all reaches every
 * future made before it, and leaves nothing; what a dropped wait was told goes to the next in line.
 */
#include "../lib/line.h"

static int wait_told(void *object, int64_t deadline)
{
    return skua_notified_until(object, deadline);
}

static skua_future *init_told(skua_sync_future *wait, void *object)
{
    return skua_notified_init(wait, object);
}

static int length(void *object)
{
    return TEST_LINE((skua_notify *)object);
}

static void tell_one(void *object)
{
    skua_notify_one(object);
}

static void tell_all(void *object)
{
    skua_notify_all(object);
}

static const struct test_line_ops one = {wait_told, init_told, length, tell_one};
static const struct test_line_ops all = {wait_told, init_told, length, tell_all};

static void check_no_permit(skua_notify *notify)
{
    CHECK_EQ(skua_notified_until(notify, skua_now()), -ETIMEDOUT);
    CHECK_EQ(length(notify), 0);
}

static void check_permit(skua_notify *notify)
{
    CHECK_EQ(skua_notified(notify), 0);
    check_no_permit(notify);
}

/* ---- the permit ------------------------------------------------------------------------------ */

static void check_basics(void)
{
    skua_notify notify = SKUA_NOTIFY_INIT;
    skua_notify zeroed;

    memset(&zeroed, 0, sizeof zeroed);
    check_no_permit(&zeroed);
    skua_notify_one(&zeroed);
    check_permit(&zeroed);
    check_no_permit(&notify);
    skua_notify_one(&notify);
    skua_notify_one(&notify);
    skua_notify_last(&notify);
    check_permit(&notify); /* one at most */
    skua_notify_last(&notify);
    CHECK_EQ(skua_notified_until(&notify, 0), 0); /* it is there: no wait */
    check_no_permit(&notify);
    skua_notify_all(&notify); /* nobody waits: nothing is left */
    check_no_permit(&notify);
    skua_notify_one(&notify);
    skua_notify_all(&notify); /* … and nothing taken */
    check_permit(&notify);
}

TEST_FIBER(notify_on_a_fiber)
{
    check_basics();
    return 0;
}

TEST(notify_on_a_thread)
{
    check_basics();
}

/* ---- in line --------------------------------------------------------------------------------- */

TEST(notify_tells_everybody_from_everywhere)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_notify notify = SKUA_NOTIFY_INIT;

        test_line_in_order(&one, &notify, first, second);
        check_permit(&notify); /* of the last one's pass */
        test_line_together(&all, &notify, first, second);
        check_no_permit(&notify);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

TEST_FIBER(notify_tells_on_one_runtime)
{
    skua_notify notify = SKUA_NOTIFY_INIT;

    test_line_in_order(&one, &notify, arg, arg);
    check_permit(&notify);
    test_line_together(&all, &notify, arg, arg);
    check_no_permit(&notify);
    return 0;
}

/* Waits that are polled by hand. */
struct waits {
    skua_notify notify;
    struct test_bell bells[6];
    skua_waker *wakers[6];
    skua_sync_future waits[6];
    int count;
};

static void make(struct waits *self)
{
    int at = self->count++;

    self->wakers[at] = test_bell_init(&self->bells[at]);
    skua_notified_init(&self->waits[at], &self->notify);
}

static int64_t poll(struct waits *self, int at)
{
    return skua_future_poll(&self->waits[at].future, self->wakers[at]);
}

static void drop(struct waits *self, int at)
{
    skua_future_drop(&self->waits[at].future);
    test_bell_end(&self->bells[at]);
}

static void make_in_line(struct waits *self, int count)
{
    for (int i = 0; i < count; i++) {
        make(self);
        CHECK_EQ(poll(self, self->count - 1), SKUA_PENDING);
    }
}

/* `text`: a digit for each: how often it was woken. */
static void check_rings(struct waits *self, const char *text)
{
    for (int i = 0; i < self->count; i++)
        CHECK_EQ(TEST_RINGS(&self->bells[i]), text[i] - '0');
}

static void end_told(struct waits *self, int at)
{
    CHECK_EQ(poll(self, at), 0);
    test_bell_end(&self->bells[at]);
}

TEST(notify_one_tells_the_first_and_last_the_last)
{
    struct waits waits = {.notify = SKUA_NOTIFY_INIT};

    make_in_line(&waits, 4);
    skua_notify_last(&waits.notify);
    check_rings(&waits, "0001");
    skua_notify_one(&waits.notify);
    check_rings(&waits, "1001");
    skua_notify_last(&waits.notify);
    check_rings(&waits, "1011");
    CHECK_EQ(poll(&waits, 1), SKUA_PENDING);
    skua_notify_last(&waits.notify);
    check_rings(&waits, "1111");
    for (int i = 0; i < 4; i++)
        end_told(&waits, i);
    check_no_permit(&waits.notify);
}

/* A future that is made before a notify_all, but not yet polled, is reached; not one after it. */
TEST(notify_all_reaches_who_came_before)
{
    struct waits waits = {.notify = SKUA_NOTIFY_INIT};

    make(&waits);
    make_in_line(&waits, 2);
    skua_notify_all(&waits.notify);
    make(&waits);
    check_rings(&waits, "0110");
    CHECK_EQ(poll(&waits, 3), SKUA_PENDING);
    CHECK_EQ(poll(&waits, 0), 0);
    CHECK_EQ(poll(&waits, 1), 0);
    CHECK_EQ(poll(&waits, 2), 0);
    CHECK_EQ(length(&waits.notify), 1);
    skua_notify_one(&waits.notify);
    end_told(&waits, 3);
    check_no_permit(&waits.notify);
}

/* notify_one is for who waits: a future that is not polled is not told, but finds the permit. */
TEST(notify_one_leaves_the_permit_to_who_is_polled)
{
    struct waits waits = {.notify = SKUA_NOTIFY_INIT};

    make(&waits);
    make(&waits);
    skua_notify_one(&waits.notify);
    CHECK_EQ(poll(&waits, 1), 0);
    CHECK_EQ(poll(&waits, 0), SKUA_PENDING);
    skua_notify_one(&waits.notify);
    end_told(&waits, 0);
    skua_notify_one(&waits.notify);
    waits.count = 0;
    make(&waits);
    skua_notify_all(&waits.notify);
    CHECK_EQ(poll(&waits, 0), 0); /* by notify_all: the permit stays */
    check_permit(&waits.notify);
}

TEST(notify_wakes_only_the_newest_waker)
{
    skua_notify notify = SKUA_NOTIFY_INIT;
    struct test_bell before, after;
    skua_waker *newest = test_bell_init(&after);
    skua_sync_future wait;

    CHECK_EQ(skua_future_poll(skua_notified_init(&wait, &notify), test_bell_init(&before)),
             SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&wait.future, newest), SKUA_PENDING);
    test_bell_end(&before);
    skua_notify_one(&notify);
    CHECK_EQ(TEST_RINGS(&before), 0);
    CHECK_EQ(TEST_RINGS(&after), 1);
    CHECK_EQ(skua_future_poll(&wait.future, newest), 0);
    test_bell_end(&after);
}

/* ---- cancelled, dropped ---------------------------------------------------------------------- */

TEST_FIBER(notify_cancelled)
{
    skua_notify notify = SKUA_NOTIFY_INIT;

    test_line_cancel(&one, &notify, arg);
    check_no_permit(&notify);
    test_line_shield(&one, &notify);
    check_no_permit(&notify);
    return 0;
}

TEST_FIBER(notify_cancelled_with_a_permit)
{
    skua_notify notify = SKUA_NOTIFY_INIT;
    skua_deadline frame;

    skua_notify_one(&notify);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now()), 0);
    CHECK_EQ(skua_notified(&notify), -ETIMEDOUT); /* the task's time is up: it asks no more */
    CHECK_EQ(skua_deadline_end(&frame), 0);
    check_permit(&notify);
    return 0;
}

TEST(notify_dropped_when_told)
{
    skua_notify notify = SKUA_NOTIFY_INIT;

    test_line_drop(&one, &notify);
    check_permit(&notify);
}

TEST_FIBER_CURRENT(notify_cancelled_when_told)
{
    skua_notify notify = SKUA_NOTIFY_INIT;

    test_line_cancel_granted(&one, &notify, arg);
    check_permit(&notify);
    return 0;
}

TEST(notify_dropped_when_the_last_was_told)
{
    struct waits waits = {.notify = SKUA_NOTIFY_INIT};

    make_in_line(&waits, 3);
    skua_notify_last(&waits.notify);
    check_rings(&waits, "001");
    drop(&waits, 2);
    check_rings(&waits, "101"); /* the next in line is the first */
    drop(&waits, 0);
    check_rings(&waits, "111");
    drop(&waits, 1);
    check_permit(&waits.notify);
}

/* What all were told is not passed on: it is nobody's. */
TEST(notify_dropped_when_all_were_told)
{
    struct waits waits = {.notify = SKUA_NOTIFY_INIT};

    make_in_line(&waits, 2);
    make(&waits);
    skua_notify_all(&waits.notify);
    make_in_line(&waits, 1);
    for (int i = 0; i < 3; i++)
        drop(&waits, i);
    check_rings(&waits, "1100");
    CHECK_EQ(poll(&waits, 3), SKUA_PENDING);
    drop(&waits, 3);
    check_no_permit(&waits.notify);
}

/* Dropped when both came: what was told to it alone goes on, though all were told after it. */
TEST(notify_dropped_between_one_and_all)
{
    struct waits waits = {.notify = SKUA_NOTIFY_INIT};

    make_in_line(&waits, 2);
    skua_notify_one(&waits.notify);
    skua_notify_all(&waits.notify);
    check_rings(&waits, "11");
    make_in_line(&waits, 1);
    drop(&waits, 0);
    check_rings(&waits, "111");
    drop(&waits, 1);
    end_told(&waits, 2);
    check_no_permit(&waits.notify);
}

/* ---- what it is for -------------------------------------------------------------------------- */

enum { ROUNDS = 100 };

struct table {
    skua_notify ping, pong;
    int ball; /* whose turn it is */
};

static int returns_the_ball(void *arg)
{
    struct table *table = arg;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(skua_notified(&table->ping), 0);
        CHECK_EQ(table->ball++, 2 * i + 1);
        skua_notify_one(&table->pong);
    }
    return 0;
}

static void *returns_the_ball_on_a_thread(void *arg)
{
    returns_the_ball(arg);
    return NULL;
}

static void serve(struct table *table)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(table->ball++, 2 * i);
        skua_notify_one(&table->ping);
        CHECK_EQ(skua_notified(&table->pong), 0);
    }
    CHECK_EQ(table->ball, 2 * ROUNDS);
}

TEST_FIBER(notify_plays_with_a_fiber)
{
    struct table table = {.ping = SKUA_NOTIFY_INIT, .pong = SKUA_NOTIFY_INIT};
    skua_task *task;

    MUST(skua_spawn(NULL, returns_the_ball, &table, .task = &task) == 0);
    serve(&table);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    return 0;
}

TEST_FIBER(notify_plays_with_a_thread)
{
    struct table table = {.ping = SKUA_NOTIFY_INIT, .pong = SKUA_NOTIFY_INIT};
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, returns_the_ball_on_a_thread, &table) == 0);
    serve(&table);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return 0;
}

static int tells_itself(void *arg)
{
    skua_notify_one(arg);
    return skua_notified(arg);
}

TEST_FIBER_CURRENT(notify_spends_budget)
{
    skua_notify notify = SKUA_NOTIFY_INIT;

    test_line_budget(tells_itself, &notify);
    return 0;
}

TEST_FIBER(notify_names_the_wait)
{
    skua_notify notify = SKUA_NOTIFY_INIT;

    test_line_name(&one, &notify, arg, "notify");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notify_on_a_fiber),
        cmocka_unit_test(notify_on_a_thread),
        cmocka_unit_test(notify_tells_everybody_from_everywhere),
        cmocka_unit_test(notify_tells_on_one_runtime),
        cmocka_unit_test(notify_one_tells_the_first_and_last_the_last),
        cmocka_unit_test(notify_all_reaches_who_came_before),
        cmocka_unit_test(notify_one_leaves_the_permit_to_who_is_polled),
        cmocka_unit_test(notify_wakes_only_the_newest_waker),
        cmocka_unit_test(notify_cancelled),
        cmocka_unit_test(notify_cancelled_with_a_permit),
        cmocka_unit_test(notify_dropped_when_told),
        cmocka_unit_test(notify_cancelled_when_told),
        cmocka_unit_test(notify_dropped_when_the_last_was_told),
        cmocka_unit_test(notify_dropped_when_all_were_told),
        cmocka_unit_test(notify_dropped_between_one_and_all),
        cmocka_unit_test(notify_plays_with_a_fiber),
        cmocka_unit_test(notify_plays_with_a_thread),
        cmocka_unit_test(notify_spends_budget),
        cmocka_unit_test(notify_names_the_wait),
    };

    return TEST_MAIN(tests);
}
