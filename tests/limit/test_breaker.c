/* test_breaker.c - the circuit breaker: every row of its table, the window, probes that are lost.
 *
 * Specifies breaker.h, by the clock of a test; a minute of traffic is compared with a model that
 * keeps every call.
 */
#include "harness.h"

#define BREAKER(breaker, ...)                                                                      \
    MUST(skua_breaker_init((breaker), SKUA_BREAKER_OPTIONS(__VA_ARGS__)) == 0)

static skua_breaker_stats stats(const skua_breaker *breaker)
{
    skua_breaker_stats all = {.size = sizeof all};

    CHECK_EQ(skua_breaker_snapshot(breaker, &all), 0);
    CHECK_EQ(all.state, skua_breaker_state(breaker));
    return all;
}

/* A call that takes a while. */
static int call_for(skua_breaker *breaker, int64_t ns, int64_t result)
{
    skua_breaker_ticket ticket;
    int rc = skua_breaker_enter(breaker, &ticket);

    if (rc != 0) {
        CHECK_EQ(rc, SKUA_ELIMIT);
        CHECK_EQ(skua_breaker_leave(breaker, &ticket, result), SKUA_EUSAGE);
        return rc;
    }
    CHECK_EQ(skua_sleep(ns), 0);
    CHECK_EQ(skua_breaker_leave(breaker, &ticket, result), 0);
    CHECK_EQ(skua_breaker_leave(breaker, &ticket, result), SKUA_EUSAGE);
    return 0;
}

static int call(skua_breaker *breaker, int64_t result)
{
    return call_for(breaker, 0, result);
}

static void calls(skua_breaker *breaker, int count, int64_t result)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ(call(breaker, result), 0);
}

#define CHECK_STATE(breaker, is) CHECK_EQ(skua_breaker_state(breaker), SKUA_CIRCUIT_##is)

/* ---- options --------------------------------------------------------------------------------- */

static int try_options(skua_breaker_options options)
{
    skua_breaker breaker;

    options.size = sizeof options;
    return skua_breaker_init(&breaker, &options);
}

TEST(breaker_options)
{
    skua_breaker breaker;
    skua_breaker_options options;
    skua_breaker_stats all = {.size = 0};

    skua_breaker_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    CHECK_EQ(skua_breaker_init(&breaker, &options), 0);
    CHECK_EQ(skua_breaker_init(&breaker, NULL), 0);
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(skua_breaker_retry_after(&breaker), 0);
    CHECK_EQ(skua_breaker_snapshot(&breaker, &all), -EINVAL);
    options.size++;
    CHECK_EQ(skua_breaker_init(&breaker, &options), -EINVAL);
#define OPTIONS(...) try_options((skua_breaker_options){__VA_ARGS__})
    CHECK_EQ(OPTIONS(.buckets = SKUA_BREAKER_BUCKETS), 0);
    CHECK_EQ(OPTIONS(.buckets = SKUA_BREAKER_BUCKETS + 1), -EINVAL);
    CHECK_EQ(OPTIONS(.window = 10), 0);
    CHECK_EQ(OPTIONS(.window = 9), -EINVAL);
    CHECK_EQ(OPTIONS(.window = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.failure_percent = 100, .slow_percent = 100), 0);
    CHECK_EQ(OPTIONS(.failure_percent = 101), -EINVAL);
    CHECK_EQ(OPTIONS(.slow_percent = 101), -EINVAL);
    CHECK_EQ(OPTIONS(.slow = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.open = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.open = 2, .open_max = 1), -EINVAL);
    CHECK_EQ(OPTIONS(.open = 2, .open_max = 2), 0);
    CHECK_EQ(OPTIONS(.abandon = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.open = SKUA_FOREVER), 0);
#undef OPTIONS
}

/* ---- closed -> open -------------------------------------------------------------------------- */

TEST_FIBER_ORDERS(breaker_opens_at_the_percentage)
{
    skua_breaker breaker;

    BREAKER(&breaker, .failure_percent = 30, .minimum = 10);
    calls(&breaker, 7, 0);
    calls(&breaker, 2, -EIO); /* below the minimum */
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(call(&breaker, 1), 0); /* a count is a success; 2 of 10 */
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(call(&breaker, -EIO), 0); /* 3 of 11 */
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(stats(&breaker).window.calls, 11);
    CHECK_EQ(stats(&breaker).window.failures, 3);
    CHECK_EQ(call(&breaker, -EIO), 0); /* 4 of 12 */
    CHECK_STATE(&breaker, OPEN);
    CHECK_EQ(call(&breaker, 0), SKUA_ELIMIT);
    CHECK_EQ(stats(&breaker).refused, 1);
    CHECK_EQ(stats(&breaker).opened, 1);
    return 0;
}

/* Exactly the percentage is enough, and the call that brings the minimum may be a good one. */
TEST_FIBER_ORDERS(breaker_opens_with_the_minimum)
{
    skua_breaker breaker;

    BREAKER(&breaker, .minimum = 4);
    calls(&breaker, 2, -EIO);
    calls(&breaker, 1, 0);
    CHECK_STATE(&breaker, CLOSED);
    calls(&breaker, 1, 0);
    CHECK_STATE(&breaker, OPEN);
    return 0;
}

TEST_FIBER_ORDERS(breaker_opens_when_slow)
{
    skua_breaker breaker;

    BREAKER(&breaker, .minimum = 4, .slow = MS(10), .slow_percent = 75);
    CHECK_EQ(call_for(&breaker, MS(10), 0), 0); /* not longer than that */
    for (int i = 0; i < 3; i++) {
        CHECK_STATE(&breaker, CLOSED);
        CHECK_EQ(call_for(&breaker, MS(10) + 1, 0), 0);
    }
    CHECK_STATE(&breaker, OPEN);
    BREAKER(&breaker, .minimum = 1); /* nothing is slow, if that is not set */
    CHECK_EQ(call_for(&breaker, SKUA_HOUR, 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    return 0;
}

TEST_FIBER_ORDERS(breaker_a_cancelled_call_says_nothing)
{
    skua_breaker breaker;

    BREAKER(&breaker, .minimum = 1);
    calls(&breaker, 5, -ECANCELED);
    CHECK_EQ(stats(&breaker).window.calls, 0);
    CHECK_STATE(&breaker, CLOSED);
    calls(&breaker, 1, -ETIMEDOUT);
    CHECK_STATE(&breaker, OPEN);
    return 0;
}

static skua_call_verdict only_eio(int64_t rc, void *arg)
{
    ++*(int *)arg;
    return rc == -EIO ? SKUA_CALL_FAILURE : rc > 100 ? SKUA_CALL_IGNORED : SKUA_CALL_SUCCESS;
}

TEST_FIBER_ORDERS(breaker_classify)
{
    skua_breaker breaker;
    int asked = 0;

    BREAKER(&breaker, .minimum = 2, .failure_percent = 100, .classify = only_eio, .arg = &asked);
    calls(&breaker, 2, -EINVAL);
    calls(&breaker, 2, 101);
    CHECK_EQ(stats(&breaker).window.calls, 2);
    CHECK_EQ(stats(&breaker).window.failures, 0);
    skua_breaker_reset(&breaker);
    calls(&breaker, 2, -EIO);
    CHECK_STATE(&breaker, OPEN);
    CHECK_EQ(asked, 6);
    return 0;
}

/* ---- the window ------------------------------------------------------------------------------ */

TEST_FIBER_ORDERS(breaker_the_window_moves_on)
{
    skua_breaker breaker;

    BREAKER(&breaker, .window = 10 * SKUA_SECOND, .buckets = 5, .minimum = 100);
    CHECK_EQ(skua_now() % (2 * SKUA_SECOND), 0); /* an hour: a bucket begins */
    for (int i = 0; i < 10; i++) {               /* one good and one bad a second */
        calls(&breaker, 1, 0);
        calls(&breaker, 1, -EIO);
        CHECK_EQ(stats(&breaker).window.calls, 2 * i + 2);
        CHECK_EQ(skua_sleep(SKUA_SECOND - 1), 0);
        CHECK_EQ(stats(&breaker).window.calls, 2 * i + 2);
        CHECK_EQ(skua_sleep(1), 0);
    }
    CHECK_EQ(stats(&breaker).window.calls, 16); /* the bucket of the first two seconds is gone */
    CHECK_EQ(stats(&breaker).window.failures, 8);
    CHECK_EQ(skua_sleep(6 * SKUA_SECOND), 0);
    CHECK_EQ(stats(&breaker).window.calls, 4);
    CHECK_EQ(skua_sleep(2 * SKUA_SECOND - 1), 0);
    CHECK_EQ(stats(&breaker).window.calls, 4);
    CHECK_EQ(skua_sleep(1), 0);
    CHECK_EQ(stats(&breaker).window.calls, 0);
    calls(&breaker, 3, 0);
    CHECK_EQ(skua_sleep(1000 * SKUA_HOUR), 0);
    CHECK_EQ(stats(&breaker).window.calls, 0);
    return 0;
}

/* A model that keeps each call, and looks at all of them each time. In ms. */
enum { MODEL_CALLS = 4000, MODEL_WINDOW = 5000, MODEL_BUCKETS = 8, MODEL_OPEN = 300 };

struct model {
    struct {
        int64_t step;
        bool failed;
    } calls[MODEL_CALLS];
    int count;
    bool open;
    int64_t until;
    int64_t open_for;
    int refused;
};

static void model_ends(struct model *model, bool failed)
{
    int64_t step = skua_now() / (MS(MODEL_WINDOW) / MODEL_BUCKETS);
    int in_window = 0, failures = 0;

    model->calls[model->count].step = step;
    model->calls[model->count++].failed = failed;
    for (int i = 0; i < model->count; i++) {
        if (model->calls[i].step <= step - MODEL_BUCKETS)
            continue;
        in_window++;
        failures += model->calls[i].failed;
    }
    if (in_window >= 10 && failures * 100 >= in_window * 40) {
        model->open = true;
        model->until = skua_now() + MS(MODEL_OPEN);
        model->open_for = MS(MODEL_OPEN);
    }
}

static int minute(TEST_UNUSED void *arg)
{
    static struct model model;
    skua_breaker breaker;
    int64_t begin = skua_now();
    int opened = 0;

    memset(&model, 0, sizeof model);
    BREAKER(&breaker, .window = MS(MODEL_WINDOW), .buckets = MODEL_BUCKETS, .failure_percent = 40,
            .minimum = 10, .open = MS(MODEL_OPEN), .open_max = MS(5 * MODEL_OPEN));
    while (skua_now() - begin < SKUA_MINUTE) {
        bool failed = skua_test_random() % 100 < ((skua_now() / MS(7000)) % 2 ? 50 : 20);
        int rc = call(&breaker, failed ? -EIO : 0);

        if (model.open && skua_now() < model.until) {
            model.refused++;
            CHECK_EQ(rc, SKUA_ELIMIT);
            CHECK_EQ(skua_breaker_retry_after(&breaker), model.until - skua_now());
        } else if (model.open && failed) {
            CHECK_EQ(rc, 0);
            opened++;
            model.open_for =
                model.open_for * 2 < MS(5 * MODEL_OPEN) ? model.open_for * 2 : MS(5 * MODEL_OPEN);
            model.until = skua_now() + model.open_for;
        } else if (model.open) {
            CHECK_EQ(rc, 0);
            model.open = false;
            model.count = 0;
        } else {
            CHECK_EQ(rc, 0);
            model_ends(&model, failed);
            opened += model.open;
        }
        if (!CHECK_EQ(skua_breaker_state(&breaker) != SKUA_CIRCUIT_CLOSED, model.open))
            return -EIO;
        CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % MS(60))), 0);
    }
    CHECK(opened > 5);
    CHECK_EQ(stats(&breaker).opened, opened);
    CHECK_EQ(stats(&breaker).refused, model.refused);
    return 0;
}

TEST(breaker_a_minute_of_traffic)
{
    CHECK_EQ(skua_test_explore(20, minute, NULL), 0);
}

/* ---- open -> half-open -> closed, open ------------------------------------------------------- */

static void open_it(skua_breaker *breaker)
{
    while (skua_breaker_state(breaker) == SKUA_CIRCUIT_CLOSED)
        CHECK_EQ(call(breaker, -EIO), 0);
}

TEST_FIBER_ORDERS(breaker_is_tried_when_the_time_is_over)
{
    skua_breaker breaker;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1);
    open_it(&breaker);
    CHECK_EQ(skua_breaker_retry_after(&breaker), SKUA_SECOND);
    CHECK_EQ(skua_sleep(SKUA_SECOND - 1), 0);
    CHECK_EQ(skua_breaker_retry_after(&breaker), 1);
    CHECK_EQ(call(&breaker, 0), SKUA_ELIMIT);
    CHECK_EQ(skua_sleep(1), 0);
    CHECK_EQ(skua_breaker_retry_after(&breaker), 0);
    CHECK_STATE(&breaker, OPEN); /* nobody has tried */
    CHECK_EQ(call(&breaker, -EIO), 0);
    CHECK_STATE(&breaker, OPEN);
    CHECK_EQ(skua_breaker_retry_after(&breaker), SKUA_SECOND); /* no growth, if not set */
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(call(&breaker, 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(stats(&breaker).window.calls, 0);
    CHECK_EQ(stats(&breaker).opened, 2);
    return 0;
}

TEST_FIBER_ORDERS(breaker_the_open_time_grows)
{
    static const int64_t grows[] = {3, 6, 12, 20, 20};
    skua_breaker breaker;

    BREAKER(&breaker, .open = 3, .open_max = 20, .minimum = 1);
    for (int round = 0; round < 2; round++) {
        open_it(&breaker);
        for (size_t i = 0; i < TEST_LEN(grows); i++) {
            CHECK_EQ(skua_breaker_retry_after(&breaker), grows[i]);
            CHECK_EQ(skua_sleep(grows[i]), 0);
            CHECK_EQ(call(&breaker, i + 1 < TEST_LEN(grows) ? -EIO : 0), 0);
        }
        CHECK_STATE(&breaker, CLOSED); /* and begins anew */
    }
    return 0;
}

TEST_FIBER_ORDERS(breaker_half_open_lets_a_few_through)
{
    skua_breaker breaker;
    skua_breaker_ticket a, b, c;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1, .probes = 2, .successes = 3,
            .abandon = SKUA_HOUR);
    open_it(&breaker);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &a), 0);
    CHECK_STATE(&breaker, HALF_OPEN);
    CHECK_EQ(skua_breaker_enter(&breaker, &b), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &c), SKUA_ELIMIT);
    CHECK_EQ(skua_breaker_retry_after(&breaker), SKUA_HOUR);
    CHECK_EQ(skua_breaker_leave(&breaker, &a, 0), 0);
    CHECK_EQ(skua_breaker_retry_after(&breaker), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &a), 0);
    CHECK_EQ(skua_breaker_leave(&breaker, &a, 0), 0);
    CHECK_EQ(skua_breaker_leave(&breaker, &b, -ECANCELED), 0); /* says nothing, makes room */
    CHECK_STATE(&breaker, HALF_OPEN);
    CHECK_EQ(skua_breaker_enter(&breaker, &a), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &b), 0);
    CHECK_EQ(skua_breaker_leave(&breaker, &a, 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(skua_breaker_leave(&breaker, &b, -EIO), 0); /* of another time: does not count */
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(stats(&breaker).window.calls, 0);
    return 0;
}

TEST_FIBER_ORDERS(breaker_a_call_counts_in_the_state_it_began_in)
{
    skua_breaker breaker;
    skua_breaker_ticket old, probe;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1);
    CHECK_EQ(skua_breaker_enter(&breaker, &old), 0);
    open_it(&breaker);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &probe), 0);
    CHECK_EQ(skua_breaker_leave(&breaker, &old, 0), 0); /* no probe: does not close it */
    CHECK_STATE(&breaker, HALF_OPEN);
    CHECK_EQ(skua_breaker_leave(&breaker, &probe, -EIO), 0);
    CHECK_STATE(&breaker, OPEN);
    return 0;
}

TEST_FIBER_ORDERS(breaker_a_slow_probe_has_failed)
{
    skua_breaker breaker;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1, .slow = MS(5), .abandon = SKUA_HOUR);
    open_it(&breaker);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(call_for(&breaker, MS(5) + 1, 0), 0);
    CHECK_STATE(&breaker, OPEN);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(call_for(&breaker, MS(5), 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    return 0;
}

/* ---- probes that are lost -------------------------------------------------------------------- */

static int enters_and_is_dropped(void *arg)
{
    skua_breaker_ticket ticket;

    CHECK_EQ(skua_breaker_enter(arg, &ticket), 0);
    return skua_sleep(SKUA_HOUR); /* cancelled: never leaves */
}

static int probe_for(void *arg)
{
    skua_breaker_ticket ticket;

    if (skua_breaker_enter(arg, &ticket) == 0)
        CHECK_EQ(skua_breaker_leave(arg, &ticket, skua_sleep(SKUA_HOUR)), 0);
    return 0;
}

TEST_FIBER_ORDERS(breaker_a_lost_probe_does_not_wedge_it)
{
    skua_breaker breaker;
    skua_breaker_ticket late, probe;
    skua_task *tasks[2];

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1, .probes = 3, .abandon = 7 * SKUA_SECOND);
    open_it(&breaker);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(NULL, enters_and_is_dropped, &breaker, .task = &tasks[i]) == 0);
    CHECK_EQ(skua_sleep(4 * SKUA_SECOND), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &late), 0); /* the newest probe counts */
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_task_cancel(tasks[i]), 0);
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    }
    CHECK_EQ(skua_sleep(7 * SKUA_SECOND - 1), 0);
    CHECK_EQ(skua_breaker_retry_after(&breaker), 1);
    CHECK_EQ(skua_breaker_enter(&breaker, &probe), SKUA_ELIMIT);
    CHECK_EQ(skua_sleep(1), 0);
    CHECK_EQ(skua_breaker_enter(&breaker, &probe), 0);
    CHECK_EQ(skua_breaker_leave(&breaker, &late, -EIO), 0); /* given up: does not count */
    CHECK_STATE(&breaker, HALF_OPEN);
    CHECK_EQ(skua_breaker_leave(&breaker, &probe, 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    return 0;
}

TEST_FIBER_ORDERS(breaker_a_cancelled_probe_makes_room)
{
    skua_breaker breaker;
    skua_task *task;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1, .abandon = SKUA_HOUR);
    open_it(&breaker);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    MUST(skua_spawn(NULL, probe_for, &breaker, .task = &task) == 0);
    CHECK_EQ(skua_sleep(1), 0);
    CHECK_EQ(call(&breaker, 0), SKUA_ELIMIT);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_STATE(&breaker, HALF_OPEN);
    CHECK_EQ(call(&breaker, 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    return 0;
}

/* ---- by hand, told, called ------------------------------------------------------------------- */

TEST_FIBER_ORDERS(breaker_forced)
{
    skua_breaker breaker;
    skua_breaker_ticket ticket;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1);
    CHECK_EQ(skua_breaker_force(&breaker, SKUA_CIRCUIT_HALF_OPEN), -EINVAL);
    CHECK_EQ(skua_breaker_enter(&breaker, &ticket), 0);
    CHECK_EQ(skua_breaker_force(&breaker, SKUA_CIRCUIT_OPEN), 0);
    CHECK_EQ(skua_breaker_leave(&breaker, &ticket, 0), 0);
    CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
    CHECK_EQ(skua_breaker_retry_after(&breaker), SKUA_FOREVER);
    CHECK_EQ(call(&breaker, 0), SKUA_ELIMIT);
    CHECK_EQ(skua_breaker_force(&breaker, SKUA_CIRCUIT_CLOSED), 0);
    calls(&breaker, 10, -EIO); /* whatever they say */
    CHECK_STATE(&breaker, CLOSED);
    CHECK_EQ(stats(&breaker).window.failures, 10);
    skua_breaker_reset(&breaker);
    CHECK_EQ(stats(&breaker).window.failures, 0);
    open_it(&breaker);
    CHECK_EQ(stats(&breaker).opened, 2);
    skua_breaker_reset(&breaker);
    CHECK_EQ(call(&breaker, 0), 0);
    CHECK_STATE(&breaker, CLOSED);
    return 0;
}

struct told {
    int count;
    skua_circuit from[8], to[8];
};

/* Outside the lock: it may use the breaker. */
static void on_change(skua_breaker *breaker, skua_circuit from, skua_circuit to, void *arg)
{
    struct told *self = arg;

    CHECK_EQ(skua_breaker_state(breaker), to);
    (void)skua_breaker_retry_after(breaker);
    MUST(self->count < 8);
    self->from[self->count] = from;
    self->to[self->count++] = to;
}

TEST_FIBER_ORDERS(breaker_tells_changes)
{
    static const skua_circuit states[] = {
        SKUA_CIRCUIT_CLOSED,    SKUA_CIRCUIT_OPEN,   SKUA_CIRCUIT_HALF_OPEN, SKUA_CIRCUIT_OPEN,
        SKUA_CIRCUIT_HALF_OPEN, SKUA_CIRCUIT_CLOSED, SKUA_CIRCUIT_OPEN,      SKUA_CIRCUIT_CLOSED};
    struct told told = {.count = 0};
    skua_breaker breaker;

    BREAKER(&breaker, .open = SKUA_SECOND, .minimum = 1, .on_change = on_change, .arg = &told);
    open_it(&breaker);
    CHECK_EQ(call(&breaker, 0), SKUA_ELIMIT);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(call(&breaker, -EIO), 0);
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    CHECK_EQ(call(&breaker, 0), 0);
    CHECK_EQ(skua_breaker_force(&breaker, SKUA_CIRCUIT_OPEN), 0);
    CHECK_EQ(skua_breaker_force(&breaker, SKUA_CIRCUIT_OPEN), 0); /* no change */
    skua_breaker_reset(&breaker);
    skua_breaker_reset(&breaker);
    CHECK_EQ(told.count, 7);
    for (int i = 0; i < 7; i++) {
        CHECK_EQ(told.from[i], states[i]);
        CHECK_EQ(told.to[i], states[i + 1]);
    }
    return 0;
}

static int counts(void *arg)
{
    return -++*(int *)arg;
}

TEST_FIBER_ORDERS(breaker_call)
{
    skua_breaker breaker;
    int count = 0;

    BREAKER(&breaker, .minimum = 2);
    CHECK_EQ(skua_breaker_call(&breaker, counts, &count), -1);
    CHECK_EQ(skua_breaker_call(&breaker, counts, &count), -2);
    CHECK_STATE(&breaker, OPEN);
    CHECK_EQ(skua_breaker_call(&breaker, counts, &count), SKUA_ELIMIT);
    CHECK_EQ(count, 2);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaker_options),
        cmocka_unit_test(breaker_opens_at_the_percentage),
        cmocka_unit_test(breaker_opens_with_the_minimum),
        cmocka_unit_test(breaker_opens_when_slow),
        cmocka_unit_test(breaker_a_cancelled_call_says_nothing),
        cmocka_unit_test(breaker_classify),
        cmocka_unit_test(breaker_the_window_moves_on),
        cmocka_unit_test(breaker_a_minute_of_traffic),
        cmocka_unit_test(breaker_is_tried_when_the_time_is_over),
        cmocka_unit_test(breaker_the_open_time_grows),
        cmocka_unit_test(breaker_half_open_lets_a_few_through),
        cmocka_unit_test(breaker_a_call_counts_in_the_state_it_began_in),
        cmocka_unit_test(breaker_a_slow_probe_has_failed),
        cmocka_unit_test(breaker_a_lost_probe_does_not_wedge_it),
        cmocka_unit_test(breaker_a_cancelled_probe_makes_room),
        cmocka_unit_test(breaker_forced),
        cmocka_unit_test(breaker_tells_changes),
        cmocka_unit_test(breaker_call),
    };

    return TEST_MAIN(tests);
}
