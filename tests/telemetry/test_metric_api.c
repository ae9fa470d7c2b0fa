/* test_metric_api.c - the API of metrics without an SDK, and with a table of the test's own.
 */
#include "../lib/harness.h"

#include <pthread.h>

#include <skua/telemetry.h>

static const skua_meter meter = SKUA_METER("test", "1");
static skua_counter orders = SKUA_COUNTER(&meter, "orders", "{order}", "Orders");
static skua_histogram took = SKUA_HISTOGRAM(&meter, "took", "s", "Time");
static skua_observable seen = SKUA_OBSERVABLE_COUNTER(&meter, "seen", "", "");

static int made;

static const char *make(void)
{
    made++;
    return "x";
}

TEST(metric_without_an_sdk_nothing_happens_and_nothing_is_made)
{
    skua_bound bound;

    made = 0;
    skua_counter_add(&orders, 1);
    skua_counter_add(&orders, 1, SKUA_STR("a", make()), SKUA_STR("b", make()));
    skua_histogram_record(&took, 0.5, SKUA_STR("a", make()));
    CHECK_EQ(made, 0);
    CHECK_EQ(skua_metric_enabled(&orders), 0);
    CHECK_EQ(skua_bind(&orders, &bound, SKUA_STR("a", make())), 0);
    CHECK_EQ(made, 1);
    skua_bound_add(&bound, 1);
    skua_bound_add_f64(&bound, 1);
    skua_unbind(&bound);
    skua_unbind(&bound);
    CHECK_EQ(orders.instrument.bound, 0);
}

/* ---- a table --------------------------------------------------------------------------------- */

static struct {
    int64_t i64;
    double f64;
    size_t count;
    const skua_instrument *instrument;
    char text[64];
    int unbound;
} told;

static void told_attrs(const skua_instrument *instrument, const skua_attr *attrs, size_t count)
{
    told.instrument = instrument;
    told.count = count;
    told.text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        (void)snprintf(told.text + strlen(told.text), sizeof told.text - strlen(told.text),
                       "%s=%.*s;", attrs[i].key, (int)attrs[i].count, attrs[i].value.str);
}

static void tell_i64(skua_instrument *instrument, int64_t value, const skua_attr *attrs,
                     size_t count)
{
    told.i64 = value;
    told_attrs(instrument, attrs, count);
}

static void tell_f64(skua_instrument *instrument, double value, const skua_attr *attrs,
                     size_t count)
{
    told.f64 = value;
    told_attrs(instrument, attrs, count);
}

static void tell_bound_i64(skua_bound *bound, int64_t value)
{
    tell_i64(bound->instrument, value, bound->attrs, bound->attrs_count);
}

static void tell_bound_f64(skua_bound *bound, double value)
{
    tell_f64(bound->instrument, value, bound->attrs, bound->attrs_count);
}

static void tell_unbind(skua_bound *bound)
{
    CHECK(bound->instrument == &orders.instrument);
    told.unbound++;
}

static int tell_enabled(skua_instrument *instrument)
{
    return instrument == &orders.instrument;
}

static const skua_metric_ops ops = {sizeof ops,     tell_i64,    tell_f64,    tell_bound_i64,
                                    tell_bound_f64, tell_unbind, tell_enabled};

TEST(metric_sdk_gets_values_and_attributes)
{
    static const skua_metric_ops small = {.size = 1};
    char key[8] = "k", text[8] = "text";
    skua_bound bound;

    CHECK_EQ(skua_metric_install(&small), -EINVAL);
    CHECK_EQ(skua_metric_install(&ops), 0);
    CHECK_EQ(skua_metric_install(&ops), -EBUSY);
    skua_counter_add(&orders, 7);
    CHECK(told.instrument == &orders.instrument && told.i64 == 7 && told.count == 0);
    skua_counter_add(&orders, 8, SKUA_STR("a", "x"), SKUA_STR("b", "y"));
    CHECK(told.count == 2 && strcmp(told.text, "a=x;b=y;") == 0);
    skua_histogram_record(&took, 0.25);
    CHECK(told.instrument == &took.instrument && told.f64 == 0.25);
    CHECK_EQ(skua_metric_enabled(&orders), 1);
    CHECK_EQ(skua_metric_enabled(&took), 0);
    /* What is bound is a copy. Arrays of text do not tell series apart. */
    CHECK_EQ(skua_bind(&orders, &bound, skua_attr_str(key, text),
                       SKUA_STRS("s", ((const char *const[]){"a"}), 1), SKUA_STR("b", text)),
             0);
    strcpy(key, "K");
    strcpy(text, "TEXT");
    skua_bound_add(&bound, 9);
    CHECK(told.i64 == 9 && strcmp(told.text, "k=text;b=text;") == 0);
    skua_bound_add_f64(&bound, 0.5);
    CHECK(told.f64 == 0.5);
    skua_unbind(&bound);
    CHECK_EQ(told.unbound, 1);
    CHECK_EQ(skua_metric_install(NULL), 0);
    skua_counter_add(&orders, 100);
    CHECK_EQ(told.i64, 9);
}

/* ---- observing ------------------------------------------------------------------------------- */

static struct {
    int64_t sum;
    skua_observing first, second, third;
    atomic_bool inside, leave, ended;
} watched;

static void observe_i64(skua_observer *observer, skua_instrument *instrument, int64_t value,
                        const skua_attr *attrs, size_t count)
{
    (void)observer;
    CHECK(instrument == &seen.instrument);
    CHECK(count == 0 || attrs[0].type == SKUA_ATTR_STR);
    watched.sum += value;
}

static void observe_f64(skua_observer *observer, skua_instrument *instrument, double value,
                        const skua_attr *attrs, size_t count)
{
    observe_i64(observer, instrument, (int64_t)value, attrs, count);
}

static skua_observer observer = {observe_i64, observe_f64};

static void one(skua_observer *to, void *arg)
{
    skua_observe(to, &seen, 1);
    skua_observe_f64(to, &seen, 10, SKUA_STR("a", "b"));
    if (arg != NULL)
        skua_observing_end(arg);
}

TEST(metric_callbacks_run_until_they_end)
{
    watched.sum = 0;
    CHECK_EQ(skua_observing_begin(&watched.first, one, NULL), 0);
    CHECK_EQ(skua_observing_begin(&watched.second, one, &watched.second), 0);
    CHECK_EQ(skua_observing_begin(&watched.second, one, NULL), -EBUSY);
    skua_observing_run(&observer);
    CHECK_EQ(watched.sum, 22);
    skua_observing_run(&observer); /* the second has ended itself */
    CHECK_EQ(watched.sum, 33);
    /* One that ends the next one. */
    CHECK_EQ(skua_observing_begin(&watched.third, one, &watched.first), 0);
    skua_observing_run(&observer);
    CHECK_EQ(watched.sum, 44);
    skua_observing_end(&watched.third);
    skua_observing_end(&watched.third);
    skua_observing_run(&observer);
    CHECK_EQ(watched.sum, 44);
}

static void stay(skua_observer *to, void *arg)
{
    (void)to;
    (void)arg;
    atomic_store(&watched.inside, true);
    while (!atomic_load(&watched.leave))
        sched_yield();
    CHECK(!atomic_load(&watched.ended));
}

static void *run_all(void *arg)
{
    (void)arg;
    skua_observing_run(&observer);
    return NULL;
}

static void *end_it(void *arg)
{
    (void)arg;
    skua_observing_end(&watched.first);
    atomic_store(&watched.ended, true);
    return NULL;
}

/* Its memory is the caller's again only when the function has returned. */
TEST(metric_end_waits_for_a_callback_that_runs)
{
    pthread_t runner, ender;

    CHECK_EQ(skua_observing_begin(&watched.first, stay, NULL), 0);
    MUST(pthread_create(&runner, NULL, run_all, NULL) == 0);
    while (!atomic_load(&watched.inside))
        sched_yield();
    MUST(pthread_create(&ender, NULL, end_it, NULL) == 0);
    (void)skua_sleep(MS(5));
    CHECK(!atomic_load(&watched.ended));
    atomic_store(&watched.leave, true);
    pthread_join(runner, NULL);
    pthread_join(ender, NULL);
    CHECK(atomic_load(&watched.ended));
}

#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(metric_bind_says_that_there_is_no_memory)
{
    skua_bound bound;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_bind(&orders, &bound, SKUA_STR("a", "b")), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    skua_bound_add(&bound, 1);
    skua_unbind(&bound);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_without_an_sdk_nothing_happens_and_nothing_is_made),
        cmocka_unit_test(metric_sdk_gets_values_and_attributes),
        cmocka_unit_test(metric_callbacks_run_until_they_end),
        cmocka_unit_test(metric_end_waits_for_a_callback_that_runs),
#ifdef SKUA_FAULTS
        cmocka_unit_test(metric_bind_says_that_there_is_no_memory),
#endif
    };

    return TEST_MAIN(tests);
}
