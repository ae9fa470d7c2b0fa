/* test_otel_monitor.c - the performance monitor's measures as metrics (skua/monitor.h).
 *
 * Specifies skua_monitor_metrics_begin: a count and four percentiles for each measure, at each
 * collection, for an SDK that was started before or after.
 */
#include "metered.h"

static skua_measure query = SKUA_MEASURE_OF("db.query", NULL);
static skua_measure unused = SKUA_MEASURE_OF("unused", "By");

TEST(measures_are_metrics)
{
    CHECK_EQ(skua_monitor_metrics_begin(), 0);
    metered_start(NULL, 0);
    for (int i = 1; i <= 100; i++)
        skua_measure_record(&query, i / 2); /* small ones: exact */
    skua_measure_record(&unused, 1);
    CHECK_EQ(skua_monitor_reset("unused"), 0);
    metered_collect(0);
    CHECK_EQ(metered_points("skua.measure.count"), 2);
    CHECK_EQ(metered_i64("skua.measure.count", "skua.measure.name", "db.query"), 100);
    CHECK_EQ(metered_i64("skua.measure.count", "skua.measure.name", "unused"), 0);
    CHECK_EQ(metered_points("skua.measure.value"), 4);
    CHECK_EQ(metered_i64("skua.measure.value", "quantile", "0.5"), 25);
    CHECK_EQ(metered_i64("skua.measure.value", "quantile", "0.9"), 45);
    CHECK_EQ(metered_i64("skua.measure.value", "unit", "ns"), 25);
    skua_measure_record(&query, 1);
    metered_collect(1);
    CHECK_EQ(metered_i64("skua.measure.count", "skua.measure.name", "db.query"), 101);
    skua_monitor_metrics_end();
    metered_collect(1);
    CHECK_EQ(metered_points("skua.measure.count"), 0);
    metered_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(measures_are_metrics)};

    return TEST_MAIN(tests);
}
