/* test_metric_sums.c - counters, gauges, bound and observable instruments: exact over threads that
 * come and go, for cumulative and delta readers at a time, over restarts and a fork.
 */
#include "metered.h"

#include <sys/wait.h>
#include <unistd.h>

static skua_counter orders = SKUA_COUNTER(&metered_meter, "orders", "{order}", "Orders");
static skua_counter_f64 paid = SKUA_COUNTER_F64(&metered_meter, "paid", "EUR", "Money");
static skua_updown active = SKUA_UPDOWN(&metered_meter, "active", "", "In flight");
static skua_updown_f64 level = SKUA_UPDOWN_F64(&metered_meter, "level", "", "");
static skua_gauge heat = SKUA_GAUGE(&metered_meter, "heat", "Cel", "");
static skua_gauge_f64 load = SKUA_GAUGE_F64(&metered_meter, "load", "", "");
static skua_observable seen = SKUA_OBSERVABLE_COUNTER(&metered_meter, "seen", "", "");
static skua_observable seen_f64 = SKUA_OBSERVABLE_COUNTER_F64(&metered_meter, "seen.f64", "", "");
static skua_observable depth = SKUA_OBSERVABLE_UPDOWN(&metered_meter, "depth", "", "");
static skua_observable warmth = SKUA_OBSERVABLE_GAUGE_F64(&metered_meter, "warmth", "", "");

TEST(metric_counter_sums_by_attributes_in_any_order)
{
    char name[8] = "bob";

    metered_start(NULL, 0);
    skua_counter_add(&orders, 1, SKUA_STR("user", "ann"), SKUA_I64("n", 7));
    skua_counter_add(&orders, 2, SKUA_I64("n", 7), SKUA_STR("user", "ann"));
    skua_counter_add(&orders, 4, SKUA_STR("user", name));
    strcpy(name, "eve"); /* the same address, other text */
    skua_counter_add(&orders, 8, SKUA_STR("user", name));
    skua_counter_add(&orders, 16, skua_attr_str("user", "ann"), skua_attr_i64("n", 7));
    skua_counter_add(&orders, 32, SKUA_STR("user", "no"), SKUA_STR("user", "eve")); /* the last */
    skua_counter_add(&orders, 64);
    metered_collect(0);
    CHECK_EQ(metered_points("orders"), 4);
    CHECK_EQ(metered_i64("orders", "user", "ann"), 19);
    CHECK_EQ(metered_i64("orders", "user", "bob"), 4);
    CHECK_EQ(metered_i64("orders", "user", "eve"), 40);
    CHECK_EQ(metered_metric("orders")->type, SKUA_OTEL_SUM);
    CHECK_EQ(metered_metric("orders")->monotonic, 1);
    CHECK_EQ(metered_metric("orders")->temporality, SKUA_OTEL_CUMULATIVE);
    CHECK(memcmp(metered_metric("orders")->unit.at, "{order}", 7) == 0);
    CHECK(memcmp(metered_metric("orders")->scope->name.at, "test", 4) == 0);
    metered_stop();
}

TEST(metric_kinds_are_kept)
{
    metered_start(NULL, 0);
    skua_updown_add(&active, 5);
    skua_updown_add(&active, -7);
    skua_counter_f64_add(&paid, 1.5);
    skua_counter_f64_add(&paid, 2.25);
    skua_updown_f64_add(&level, -0.5);
    skua_gauge_set(&heat, 20);
    skua_gauge_set(&heat, -3);
    skua_gauge_f64_set(&load, 0.75);
    metered_collect(0);
    CHECK_EQ(metered_i64("active", NULL, NULL), -2);
    CHECK_EQ(metered_metric("active")->monotonic, 0);
    CHECK(metered_point("paid", NULL, NULL)->value.f64 == 3.75);
    CHECK(metered_point("level", NULL, NULL)->value.f64 == -0.5);
    CHECK_EQ(metered_i64("heat", NULL, NULL), -3);
    CHECK_EQ(metered_metric("heat")->type, SKUA_OTEL_GAUGE);
    CHECK(metered_point("load", NULL, NULL)->value.f64 == 0.75);
    metered_stop();
}

TEST(metric_counter_refuses_negative_and_infinite_values)
{
    metered_start(NULL, 0);
    skua_counter_add(&orders, 5);
    skua_counter_add(&orders, -3);
    skua_counter_f64_add(&paid, 1);
    skua_counter_f64_add(&paid, -1);
    skua_counter_f64_add(&paid, NAN);
    skua_counter_f64_add(&paid, INFINITY);
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", NULL, NULL), 5);
    CHECK(metered_point("paid", NULL, NULL)->value.f64 == 1);
    CHECK(metered.warned > 0);
    metered_stop();
}

TEST(metric_reader_temporality_delta_and_cumulative_from_the_same_cells)
{
    int64_t first;

    metered_start(NULL, 0);
    skua_counter_add(&orders, 1);
    metered_collect(1);
    CHECK_EQ(metered_i64("orders", NULL, NULL), 1);
    CHECK_EQ(metered_metric("orders")->temporality, SKUA_OTEL_DELTA);
    first = metered_point("orders", NULL, NULL)->time;
    skua_counter_add(&orders, 2);
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", NULL, NULL), 3);
    skua_counter_add(&orders, 4);
    metered_collect(1);
    CHECK_EQ(metered_i64("orders", NULL, NULL), 6);
    CHECK_EQ(metered_point("orders", NULL, NULL)->start, first);
    metered_collect(1);
    CHECK_EQ(metered_points("orders"), 0); /* nothing came */
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", NULL, NULL), 7);
    /* Adding nothing is a value, too. */
    skua_counter_add(&orders, 0);
    metered_collect(1);
    CHECK_EQ(metered_i64("orders", NULL, NULL), 0);
    /* Updowns are cumulative for a reader that prefers delta. */
    skua_updown_add(&active, 1);
    metered_collect(1);
    CHECK_EQ(metered_metric("active")->temporality, SKUA_OTEL_CUMULATIVE);
    metered_stop();
}

TEST(metric_start_times_are_of_each_series)
{
    int64_t start;

    metered_start(NULL, 0);
    skua_counter_add(&orders, 1, SKUA_STR("user", "ann"));
    metered_collect(0);
    start = metered_point("orders", "user", "ann")->start;
    CHECK(start != 0);
    CHECK(start <= metered_point("orders", "user", "ann")->time);
    usleep(2000);
    skua_counter_add(&orders, 1, SKUA_STR("user", "bob"));
    metered_collect(0);
    CHECK_EQ(metered_point("orders", "user", "ann")->start, start);
    CHECK(metered_point("orders", "user", "bob")->start > start);
    metered_stop();
}

/* ---- bound ----------------------------------------------------------------------------------- */

TEST(metric_bound_instruments_count_with_the_others)
{
    skua_bound ann, all;

    metered_start(NULL, 0);
    CHECK_EQ(skua_bind(&orders, &ann, SKUA_STR("user", "ann")), 0);
    CHECK_EQ(skua_bind_attrs(&paid.instrument, &all, NULL, 0), 0);
    skua_bound_add(&ann, 1);
    skua_counter_add(&orders, 2, SKUA_STR("user", "ann"));
    skua_bound_add(&ann, 4);
    skua_bound_add(&ann, -1); /* refused */
    skua_bound_add_f64(&all, 0.5);
    skua_bound_add(&all, 2); /* converted */
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", "user", "ann"), 7);
    CHECK(metered_point("paid", NULL, NULL)->value.f64 == 2.5);
    skua_unbind(&ann);
    skua_unbind(&ann);
    skua_bound_add(&ann, 1); /* of nothing */
    skua_unbind(&all);
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", "user", "ann"), 7);
    metered_stop();
}

TEST(metric_handles_bind_before_and_again_after_a_restart)
{
    skua_bound ann;

    CHECK_EQ(skua_bind(&orders, &ann, SKUA_STR("user", "ann")), 0);
    skua_bound_add(&ann, 1); /* telemetry is off */
    skua_counter_add(&orders, 1);
    CHECK_EQ(skua_metric_enabled(&orders), 0);
    for (int i = 1; i <= 3; i++) {
        metered_start(NULL, 0);
        CHECK_EQ(skua_metric_enabled(&orders), 1);
        skua_bound_add(&ann, i);
        skua_counter_add(&orders, 10 * i, SKUA_STR("user", "bob"));
        metered_collect(0);
        CHECK_EQ(metered_i64("orders", "user", "ann"), i);
        CHECK_EQ(metered_i64("orders", "user", "bob"), 10 * i);
        metered_stop();
        skua_bound_add(&ann, 100);
    }
    skua_unbind(&ann);
}

/* ---- observables ----------------------------------------------------------------------------- */

static struct {
    int64_t seen;
    int calls;
    bool bob;
    skua_observing *ends;
} watched;

static void watch(skua_observer *observer, void *arg)
{
    CHECK(arg == &watched);
    watched.calls++;
    skua_observe(observer, &seen, watched.seen, SKUA_STR("user", "ann"));
    if (watched.bob)
        skua_observe(observer, &seen, 1000, SKUA_STR("user", "bob"));
    skua_observe_f64(observer, &seen_f64, (double)watched.seen / 2);
    skua_observe(observer, &depth, -watched.seen);
    skua_observe_f64(observer, &warmth, 0.25);
    skua_observe_f64(observer, &warmth, NAN, SKUA_STR("user", "nan"));
    if (watched.ends != NULL)
        skua_observing_end(watched.ends);
}

TEST(metric_observables_are_asked_at_each_collect)
{
    static skua_observing observing;

    watched.calls = 0;
    watched.bob = true;
    CHECK_EQ(skua_observing_begin(&observing, watch, &watched), 0);
    CHECK_EQ(skua_observing_begin(&observing, watch, &watched), -EBUSY);
    metered_start(NULL, 0);
    watched.seen = 10;
    metered_collect(0);
    CHECK_EQ(metered_i64("seen", "user", "ann"), 10);
    CHECK(metered_point("seen.f64", NULL, NULL)->value.f64 == 5);
    CHECK_EQ(metered_i64("depth", NULL, NULL), -10);
    CHECK_EQ(metered_metric("depth")->monotonic, 0);
    CHECK(metered_point("warmth", NULL, NULL)->value.f64 == 0.25);
    CHECK_EQ(metered_points("warmth"), 1);
    metered_collect(1);
    CHECK_EQ(metered_i64("seen", "user", "ann"), 10);
    watched.seen = 15;
    metered_collect(1); /* delta: what is new */
    CHECK_EQ(metered_i64("seen", "user", "ann"), 5);
    CHECK_EQ(metered_i64("seen", "user", "bob"), 0);
    watched.bob = false;
    metered_collect(0); /* what is not observed any more is not told */
    CHECK_EQ(metered_i64("seen", "user", "ann"), 15);
    CHECK(metered_point("seen", "user", "bob") == NULL);
    CHECK_EQ(watched.calls, 4);
    watched.ends = &observing; /* it ends itself */
    metered_collect(0);
    metered_collect(0);
    CHECK_EQ(watched.calls, 5);
    CHECK_EQ(metered_points("seen"), 0);
    watched.ends = NULL;
    metered_stop();
}

static void collects_inside(skua_observer *observer, void *arg)
{
    skua_otel_collected *got;

    (void)observer;
    *(int *)arg = skua_otel_collect(metered.reader[1], &got);
}

TEST(metric_collect_inside_of_a_callback_is_refused)
{
    static skua_observing observing;
    int rc = 0;

    metered_start(NULL, 0);
    CHECK_EQ(skua_observing_begin(&observing, collects_inside, &rc), 0);
    metered_collect(0);
    CHECK_EQ(rc, SKUA_EUSAGE);
    skua_observing_end(&observing);
    metered_stop();
}

TEST(metric_reader_of_no_sdk_has_nothing)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    skua_otel_collected *got;

    MUST(reader != NULL);
    CHECK_EQ(skua_otel_collect(reader, &got), -ENOENT);
    CHECK(got == NULL);
    skua_otel_reader_free(reader);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define ADDS TEST_COUNT(20000)

static skua_bound shared;

static void *add_some(void *arg)
{
    static const char *const users[] = {"ann", "bob", "eve"};

    (void)arg;
    for (int i = 0; i < ADDS; i++) {
        skua_counter_add(&orders, 1, SKUA_STR("user", users[i % 3]), SKUA_I64("n", 1));
        skua_bound_add(&shared, 2);
        skua_gauge_set(&heat, i);
        skua_counter_f64_add(&paid, 0.5);
    }
    return NULL;
}

/* Sums are exact while readers of both kinds collect, and threads come and go. */
TEST(metric_sums_are_exact_over_threads_that_come_and_go)
{
    enum { ROUNDS = 4, THREADS = 3 };
    int64_t delta = 0, want = (int64_t)ADDS * ROUNDS * THREADS, sum = 0;
    pthread_t threads[THREADS];

    metered_start(NULL, 0);
    CHECK_EQ(skua_bind(&orders, &shared, SKUA_STR("user", "shared")), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++)
            MUST(pthread_create(&threads[i], NULL, add_some, NULL) == 0);
        for (int i = 0; i < 20; i++) {
            metered_collect(1);
            if (metered_point("orders", "user", "shared") != NULL)
                delta += metered_i64("orders", "user", "shared");
            metered_collect(0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    metered_collect(1);
    if (metered_point("orders", "user", "shared") != NULL)
        delta += metered_i64("orders", "user", "shared");
    CHECK_EQ(delta, 2 * want);
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", "user", "shared"), 2 * want);
    sum = metered_i64("orders", "user", "ann") + metered_i64("orders", "user", "bob") +
          metered_i64("orders", "user", "eve");
    CHECK_EQ(sum, want);
    CHECK(metered_point("paid", NULL, NULL)->value.f64 == 0.5 * (double)want);
    CHECK_EQ(metered_i64("heat", NULL, NULL), ADDS - 1);
    skua_unbind(&shared);
    metered_stop();
}

static atomic_bool restarts_over;

static void *add_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&restarts_over)) {
        skua_counter_add(&orders, 1, SKUA_STR("user", "ann"));
        skua_bound_add(&shared, 1);
    }
    return NULL;
}

TEST(metric_sdk_restarts_under_threads_that_count)
{
    pthread_t threads[2];

    atomic_store(&restarts_over, false);
    CHECK_EQ(skua_bind(&orders, &shared, SKUA_STR("user", "shared")), 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, add_on, NULL) == 0);
    for (int i = 0; i < TEST_COUNT(100); i++) {
        metered_start(NULL, 0);
        metered_collect(i % 2);
        metered_stop();
    }
    atomic_store(&restarts_over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    skua_unbind(&shared);
}

/* ---- fork ------------------------------------------------------------------------------------ */

TEST(metric_child_of_a_fork_counts_from_zero)
{
    int status;
    pid_t child;

    metered_start(NULL, 0);
    skua_counter_add(&orders, 7, SKUA_STR("user", "ann"));
    child = fork();
    if (child == 0) {
        skua__metric_forked();
        skua_counter_add(&orders, 1, SKUA_STR("user", "ann"));
        metered_collect(0);
        _exit(metered_i64("orders", "user", "ann") == 1 ? 0 : 1);
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    metered_collect(0);
    CHECK_EQ(metered_i64("orders", "user", "ann"), 7);
    metered_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_counter_sums_by_attributes_in_any_order),
        cmocka_unit_test(metric_kinds_are_kept),
        cmocka_unit_test(metric_counter_refuses_negative_and_infinite_values),
        cmocka_unit_test(metric_reader_temporality_delta_and_cumulative_from_the_same_cells),
        cmocka_unit_test(metric_start_times_are_of_each_series),
        cmocka_unit_test(metric_bound_instruments_count_with_the_others),
        cmocka_unit_test(metric_handles_bind_before_and_again_after_a_restart),
        cmocka_unit_test(metric_observables_are_asked_at_each_collect),
        cmocka_unit_test(metric_collect_inside_of_a_callback_is_refused),
        cmocka_unit_test(metric_reader_of_no_sdk_has_nothing),
        cmocka_unit_test(metric_sums_are_exact_over_threads_that_come_and_go),
        cmocka_unit_test(metric_sdk_restarts_under_threads_that_count),
        cmocka_unit_test(metric_child_of_a_fork_counts_from_zero),
    };

    return TEST_MAIN(tests);
}
