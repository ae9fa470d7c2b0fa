/* drivers: both */
/* test_clock.c - the clock of a test: it jumps, it stands, it is nobody else's.
 *
 * Specifies the clock of test.h: to the nanosecond, in order, with everything of one moment done
 * before the next begins.
 */
#include <pthread.h>

#include "harness.h"

#define DAY (24 * SKUA_HOUR)

/* ---- jumping --------------------------------------------------------------------------------- */

static int sleep_a_day(void *arg)
{
    int64_t begin = skua_now();

    CHECK_EQ(begin, *(int64_t *)arg);
    CHECK_EQ(skua_sleep(DAY), 0);
    CHECK_EQ(skua_now() - begin, DAY);
    CHECK_EQ(skua_sleep_until(begin + 2 * DAY), 0);
    CHECK_EQ(skua_now() - begin, 2 * DAY);
    for (int i = 0; i < 365; i++)
        CHECK_EQ(skua_sleep(DAY + 1), 0);
    CHECK_EQ(skua_now() - begin, 367 * DAY + 365);
    return 7;
}

TEST(clock_days_pass_at_once)
{
    int64_t start = SKUA_HOUR;
    int64_t begin = skua_now();

    CHECK_EQ(skua_test_run(sleep_a_day, &start, NULL), 7);
    start = 12345;
    CHECK_EQ(skua_test_run(sleep_a_day, &start, SKUA_TEST_OPTIONS(.start = start)), 7);
    start = INT64_C(1) << 62;
    CHECK_EQ(skua_test_run(sleep_a_day, &start, SKUA_TEST_OPTIONS(.start = start)), 7);
    CHECK_RANGE(skua_now() - begin, 0, TEST_LATE);
}

TEST_FIBER_CLOCK(clock_stands_while_tasks_run)
{
    int64_t begin = skua_now();

    test_thread_sleep(MS(2));
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_now(), begin);
    CHECK_EQ(skua_sleep(0), 0);
    CHECK_EQ(skua_sleep_until(begin), 0);
    CHECK_EQ(skua_now(), begin);
    CHECK_EQ(skua_sleep(1), 0);
    CHECK_EQ(skua_now(), begin + 1);
    return 0;
}

/* ---- many timers, against a model ------------------------------------------------------------ */

enum { SLEEPERS = TEST_COUNT(1000) };

struct sleeper {
    int64_t deadline;
    int number;
};

static int64_t last_woken;
static int woken;

static int sleeper(void *arg)
{
    struct sleeper *self = arg;

    self->deadline = skua_now() + self->deadline;
    CHECK_EQ(skua_sleep_until(self->deadline), 0);
    CHECK_EQ(skua_now(), self->deadline);
    CHECK(skua_now() >= last_woken);
    last_woken = skua_now();
    woken++;
    return 0;
}

/* Durations of every size, many of them within one tick of the wheel. */
static int many_sleepers(void *arg)
{
    static struct sleeper sleepers[SLEEPERS];
    skua_scope scope;

    last_woken = 0;
    woken = 0;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < SLEEPERS; i++) {
        sleepers[i].deadline = (int64_t)(test_random(arg) >> (test_random(arg) % 47));
        sleepers[i].deadline = i % 3 == 0 ? sleepers[i].deadline % 40000 : sleepers[i].deadline;
        MUST(skua_spawn(&scope, sleeper, &sleepers[i]) == 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(woken, SLEEPERS);
    return 0;
}

TEST(clock_many_timers_fire_in_order_to_the_nanosecond)
{
    uint64_t random = test_seed();

    for (uint64_t seed = 0; seed < 10; seed++)
        CHECK_EQ(skua_test_run(many_sleepers, &random, SKUA_TEST_OPTIONS(.seed = seed)), 0);
}

/* ---- by hand --------------------------------------------------------------------------------- */

static char fired[64];
static size_t fired_count;

struct alarm {
    int64_t after;
    char name;
};

static int alarm_rings(void *arg)
{
    struct alarm *alarm = arg;
    int rc = skua_sleep(alarm->after);

    if (rc == 0 && fired_count < sizeof fired - 1)
        fired[fired_count++] = alarm->name;
    return rc;
}

static void check_fired(const char *wanted)
{
    fired[fired_count] = '\0';
    if (!CHECK(strcmp(fired, wanted) == 0))
        test_note("fired: %s, not %s", fired, wanted);
}

/* All of it in one moment: the sleepers have begun to sleep when this returns. */
static void set_alarms(struct alarm *alarms, size_t count)
{
    fired_count = 0;
    for (size_t i = 0; i < count; i++)
        MUST(skua_spawn(NULL, alarm_rings, &alarms[i]) == 0);
    CHECK_EQ(skua_test_advance(0), 0);
}

static int advance_exactly(TEST_UNUSED void *arg)
{
    struct alarm alarms[] = {{MS(30), 'f'},     {MS(20) + 1, 'e'}, {MS(20), 'c'}, {MS(10), 'b'},
                             {MS(20) + 1, 'E'}, {1, 'a'},          {MS(20), 'd'}};
    int64_t begin = skua_now();

    set_alarms(alarms, TEST_LEN(alarms));
    CHECK_EQ(skua_now(), begin);
    check_fired("");
    CHECK_EQ(skua_test_advance(1), 0);
    check_fired("a");
    CHECK_EQ(skua_test_advance(MS(10) - 2), 0);
    check_fired("a");
    CHECK_EQ(skua_test_advance(1), 0);
    check_fired("ab");
    CHECK_EQ(skua_test_advance(MS(10)), 0);
    CHECK_EQ(skua_now(), begin + MS(20));
    check_fired("abcd");
    CHECK_EQ(skua_test_advance(1), 0);
    check_fired("abcdeE");
    CHECK_EQ(skua_test_advance(DAY), 0);
    CHECK_EQ(skua_now(), begin + MS(20) + 1 + DAY);
    check_fired("abcdeEf");
    return 0;
}

TEST(clock_advance_fires_what_is_due_and_nothing_else)
{
    CHECK_EQ(skua_test_run(advance_exactly, NULL, NULL), 0);
    CHECK_EQ(skua_test_run(advance_exactly, NULL, SKUA_TEST_OPTIONS(.paused = 1)), 0);
}

static int ticker(void *arg)
{
    for (int i = 0; i < 10; i++) {
        int64_t begin = skua_now();

        CHECK_EQ(skua_sleep(MS(5)), 0);
        CHECK_EQ(skua_now(), begin + MS(5)); /* not later, by one long step of the clock */
        CHECK_EQ(skua_yield(), 0);
        ++*(int *)arg;
    }
    return 0;
}

TEST_FIBER_CLOCK(clock_advance_stops_at_each_moment)
{
    static int ticks; /* the ticker goes on when this fiber has ended */

    ticks = 0;
    MUST(skua_spawn(NULL, ticker, &ticks) == 0);
    CHECK_EQ(skua_test_advance(MS(22)), 0);
    CHECK_EQ(ticks, 4);
    CHECK_EQ(skua_test_advance(MS(3)), 0);
    CHECK_EQ(ticks, 5);
    return 0;
}

TEST_FIBER_CLOCK(clock_pause_and_resume)
{
    struct alarm alarms[] = {{DAY, 'a'}};
    int64_t begin = skua_now();

    CHECK_EQ(skua_test_pause(), 0);
    set_alarms(alarms, 1);
    CHECK_EQ(skua_test_advance(DAY - 1), 0);
    for (int i = 0; i < 1000; i++)
        skua_yield();
    check_fired("");
    CHECK_EQ(skua_now(), begin + DAY - 1);
    CHECK_EQ(skua_test_resume(), 0);
    CHECK_EQ(skua_sleep(DAY), 0);
    check_fired("a");
    CHECK_EQ(skua_now(), begin + 2 * DAY - 1);
    return 0;
}

static int advance_too(TEST_UNUSED void *arg)
{
    CHECK_EQ(skua_test_advance(1), -EBUSY);
    return 0;
}

static int cancel_it(void *arg)
{
    CHECK_EQ(skua_sleep(MS(7)), 0);
    return skua_task_cancel(arg);
}

static int advance_far(TEST_UNUSED void *arg)
{
    CHECK_EQ(skua_test_advance(DAY), -ECANCELED);
    return 0;
}

TEST_FIBER_CLOCK(clock_advance_can_be_given_up)
{
    int64_t begin = skua_now();
    skua_deadline deadline;
    skua_task *task;

    MUST(skua_spawn(NULL, advance_far, NULL, .task = &task) == 0);
    CHECK_EQ(skua_yield(), 0);
    MUST(skua_spawn(NULL, advance_too, NULL) == 0);
    MUST(skua_spawn(NULL, cancel_it, task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_now(), begin + MS(7));
    skua_deadline_begin(&deadline, begin + MS(9));
    CHECK_EQ(skua_test_advance(DAY), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + MS(9));
    skua_deadline_end(&deadline);
    CHECK_EQ(skua_test_advance(SKUA_FOREVER), 0);
    CHECK(skua_now() > begin + 100 * 365 * DAY);
    return 0;
}

/* ---- deadlines ------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(clock_deadlines_go_by_it)
{
    int64_t begin = skua_now();
    skua_deadline deadline;
    skua_sleep_future sleep;

    CHECK_EQ(skua_await_until(skua_sleep_init(&sleep, DAY), begin + MS(3)), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + MS(3));
    CHECK_EQ(skua_await_until(skua_sleep_init(&sleep, MS(1)), begin + DAY), 0);
    CHECK_EQ(skua_now(), begin + MS(4));
    skua_deadline_begin(&deadline, begin + MS(5));
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + MS(5));
    CHECK_EQ(skua_cancelled(), -ETIMEDOUT);
    CHECK_EQ(skua_yield(), -ETIMEDOUT);
    skua_deadline_end(&deadline);
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_await_until(skua_sleep_init(&sleep, SKUA_FOREVER), begin + DAY), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + DAY);
    return 0;
}

struct blink {
    skua_async async;
    int n;
    skua_sleep_future sleep;
};

static skua_poll blink(void *state, skua_waker *waker)
{
    struct blink *self = state;

    SKUA_ASYNC(self, waker);
    for (self->n = 0; self->n < 1000; self->n++)
        SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_SECOND));
    SKUA_ASYNC_END(5);
}

TEST_FIBER_CLOCK(clock_poll_tasks_go_by_it)
{
    int64_t begin = skua_now();
    struct blink state = {0};
    skua_deadline deadline;
    skua_task *task;
    int result = 0;

    MUST(skua_spawn_poll(NULL, blink, &state, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 5);
    CHECK_EQ(skua_now(), begin + 1000 * SKUA_SECOND);
    begin = skua_now();
    skua_deadline_begin(&deadline, begin + SKUA_SECOND / 2);
    MUST(skua_spawn_poll(NULL, blink, &state, .task = &task) == 0);
    skua_deadline_end(&deadline);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + SKUA_SECOND / 2);
    return 0;
}

/* ---- whose clock it is not ------------------------------------------------------------------- */

static void *look_at_clock(void *arg)
{
    *(int64_t *)arg = skua_now();
    (void)skua_sleep(MS(1));
    return NULL;
}

static int64_t on_thread(void)
{
    int64_t now = 0;
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, look_at_clock, &now) == 0);
    pthread_join(thread, NULL);
    return now;
}

static int look_in_runtime(void *arg)
{
    *(int64_t *)arg = skua_now();
    return skua_sleep(MS(1));
}

static int others_are_real(void *arg)
{
    skua_runtime *other = *(skua_runtime **)arg;
    int64_t there = 0;
    skua_task *task;

    CHECK_EQ(skua_sleep(100 * 365 * DAY), 0);
    CHECK_RANGE(skua_now(), 100 * 365 * DAY, 101 * 365 * DAY);
    CHECK_RANGE(on_thread(), 0, 50 * 365 * DAY);
    MUST(skua_spawn_on(other, look_in_runtime, &there, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0); /* which waits for another thread */
    CHECK_RANGE(there, 0, 50 * 365 * DAY);
    return 0;
}

TEST(clock_others_keep_the_systems)
{
    skua_runtime *other = test_runtime(&test_kinds[2]);
    int64_t before = skua_now();

    CHECK_EQ(
        skua_test_run(others_are_real, &other, SKUA_TEST_OPTIONS(.patience = 20 * SKUA_SECOND)), 0);
    CHECK_RANGE(skua_now() - before, MS(1), 20 * SKUA_SECOND);
    test_runtime_free(other);
}

static void *test_on_thread(void *arg)
{
    int rounds = TEST_COUNT(20);

    for (int i = 0; i < rounds; i++)
        CHECK_EQ(skua_test_run(sleep_a_day, arg, SKUA_TEST_OPTIONS(.start = *(int64_t *)arg)), 7);
    return NULL;
}

TEST(clock_two_tests_on_two_threads)
{
    int64_t starts[] = {SKUA_HOUR, 1000 * DAY};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, test_on_thread, &starts[i]) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* ---- with a socket --------------------------------------------------------------------------- */

static int echo_once(void *arg)
{
    skua_tcp *conn = NULL;
    char byte = 0;
    int rc = skua_tcp_accept(arg, &conn);

    while (rc == 0 && skua_tcp_read(conn, &byte, 1) == 1)
        rc = (int)skua_tcp_write_all(conn, &byte, 1) < 0;
    (void)skua_tcp_close(conn);
    return rc;
}

/* Input that is there comes before the timer of whoever would give up waiting for it. */
TEST_FIBER_CLOCK(clock_waits_for_ready_sockets)
{
    int64_t begin = skua_now();
    char address[64];
    skua_listener *listener;
    skua_tcp *conn;
    char byte;

    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) >= 0);
    MUST(skua_spawn(NULL, echo_once, listener) == 0);
    MUST(skua_tcp_connect(&conn, address, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        skua_deadline deadline;

        skua_deadline_begin(&deadline, skua_now() + MS(1));
        CHECK_EQ(skua_tcp_write_all(conn, "x", 1), 1);
        CHECK_EQ(skua_tcp_read(conn, &byte, 1), 1);
        skua_deadline_end(&deadline);
    }
    CHECK_EQ(skua_now(), begin);
    (void)skua_tcp_close(conn);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    (void)skua_listener_close(listener);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_days_pass_at_once),
        cmocka_unit_test(clock_stands_while_tasks_run),
        cmocka_unit_test(clock_many_timers_fire_in_order_to_the_nanosecond),
        cmocka_unit_test(clock_advance_fires_what_is_due_and_nothing_else),
        cmocka_unit_test(clock_advance_stops_at_each_moment),
        cmocka_unit_test(clock_pause_and_resume),
        cmocka_unit_test(clock_advance_can_be_given_up),
        cmocka_unit_test(clock_deadlines_go_by_it),
        cmocka_unit_test(clock_poll_tasks_go_by_it),
        cmocka_unit_test(clock_others_keep_the_systems),
        cmocka_unit_test(clock_two_tests_on_two_threads),
        cmocka_unit_test(clock_waits_for_ready_sockets),
    };

    return TEST_MAIN(tests);
}
