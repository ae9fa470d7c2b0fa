/* test_metric_limits.c - how many series there are, what becomes of those beyond, and which single
 * values are kept.
 */
#include "metered.h"

#include <skua/telemetry.h>

static skua_counter orders = SKUA_COUNTER(&metered_meter, "shop.orders", "{order}", "Orders");
static skua_counter items = SKUA_COUNTER(&metered_meter, "shop.items", "{item}", "Items");
static skua_histogram took = SKUA_HISTOGRAM(&metered_meter, "took", "s", "Time");

#define VIEW(...)                                                                                  \
    {                                                                                              \
        .size = sizeof(skua_otel_view), __VA_ARGS__                                                \
    }

/* ---- cardinality ----------------------------------------------------------------------------- */

static const skua_otel_point *overflow_of(const char *name)
{
    const skua_otel_metric *metric = metered_metric(name);

    for (uint32_t i = 0; metric != NULL && i < metric->points_count; i++)
        if (metered_attr(&metric->points[i].attrs, "otel.metric.overflow") != NULL)
            return &metric->points[i];
    return NULL;
}

TEST(metric_cardinality_is_2000_and_the_rest_overflows)
{
    metered_start(NULL, 0);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3000; i++)
            skua_counter_add(&orders, 1, SKUA_I64("user", i));
    metered_collect(0);
    CHECK_EQ(metered_points("shop.orders"), 2000);
    MUST(overflow_of("shop.orders") != NULL);
    CHECK_EQ(overflow_of("shop.orders")->value.i64, 2 * (3000 - 1999));
    CHECK_EQ(overflow_of("shop.orders")->attrs.count, 1);
    CHECK_EQ(overflow_of("shop.orders")->attrs.at[0].value.i64, 1);
    metered_stop();
}

TEST(metric_cardinality_limits_of_views_and_readers)
{
    static const skua_otel_view views[] = {VIEW(.instrument = "shop.items", .cardinality = 3)};

    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 5);
    metered.reader[1] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 10);
    MUST(metered_start_readers(views, 1, SKUA__EXEMPLARS_TRACE) == 0);
    for (int i = 0; i < 20; i++) {
        skua_counter_add(&orders, 1, SKUA_I64("user", i));
        skua_counter_add(&items, 1, SKUA_I64("user", i));
        skua_histogram_record(&took, 1, SKUA_I64("user", i));
    }
    for (int round = 0; round < 2; round++) {
        metered_collect(0);
        CHECK_EQ(metered_points("shop.orders"), 5);
        CHECK_EQ(overflow_of("shop.orders")->value.i64, 16);
        CHECK_EQ(metered_points("shop.items"), 3);
        CHECK_EQ(overflow_of("shop.items")->value.i64, 18);
        CHECK_EQ(overflow_of("took")->count, 16);
        metered_collect(1);
        CHECK_EQ(metered_points("shop.orders"), 10);
        CHECK_EQ(overflow_of("shop.orders")->value.i64, 11);
        CHECK_EQ(metered_points("shop.items"), 3);
    }
    metered_stop();
}

/* Of a delta reader each interval has room for series of its own; nothing of them is lost. */
TEST(metric_cardinality_of_a_delta_reader_is_reclaimed)
{
    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_DELTA, 11);
    MUST(metered_start_readers(NULL, 0, SKUA__EXEMPLARS_TRACE) == 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            skua_counter_add(&orders, i + 1, SKUA_I64("user", 10 * round + i));
        metered_collect(0);
        CHECK_EQ(metered_points("shop.orders"), 10);
        CHECK(overflow_of("shop.orders") == NULL);
    }
    metered_stop();
}

static void *churn(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;

    for (int i = 0; i < TEST_COUNT(20000); i++)
        skua_counter_add(&orders, 1, SKUA_I64("user", (int64_t)(test_random(&seed) % 100)));
    return NULL;
}

/* Series are given up and made again while threads count: nothing is lost, and nothing twice. */
TEST(metric_reclaimed_series_lose_nothing)
{
    pthread_t threads[2];
    int64_t sum = 0;

    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_DELTA, 30);
    MUST(metered_start_readers(NULL, 0, SKUA__EXEMPLARS_TRACE) == 0);
    for (uintptr_t i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
    for (int i = 0; i <= 60; i++) {
        if (i == 59)
            for (int k = 0; k < 2; k++)
                pthread_join(threads[k], NULL);
        metered_collect(0);
        for (uint32_t k = 0; k < metered_points("shop.orders"); k++)
            sum += metered_metric("shop.orders")->points[k].value.i64;
        CHECK(metered_points("shop.orders") <= 30);
    }
    CHECK_EQ(sum, 2 * TEST_COUNT(20000));
    metered_stop();
}

/* A thread may have been about to count when its series was given up: that is told, too. At its
 * next turn it lets go of the series, which is freed then. */
TEST(metric_late_values_of_a_retired_series_are_kept)
{
    struct skua__metric_stream *stream;
    struct skua__cell *cell;

    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_DELTA, 30);
    MUST(metered_start_readers(NULL, 0, SKUA__EXEMPLARS_TRACE) == 0);
    skua_counter_add(&orders, 1, SKUA_STR("user", "ann"));
    cell = skua__metric_own->cells;
    stream = cell->stream;
    metered_collect(0);
    metered_collect(0); /* an interval without a value */
    CHECK(cell->series->retired);
    CHECK_EQ(stream->count, 0);
    skua__cell_i64(cell, 5);
    metered_collect(0);
    CHECK_EQ(metered_i64("shop.orders", "user", "ann"), 5);
    skua__cell_i64(cell, 7);
    skua_counter_add(&orders, 1, SKUA_STR("user", "ann"));
    metered_collect(0);
    CHECK_EQ(metered_i64("shop.orders", "user", "ann"), 8);
    CHECK(stream->retired == NULL);
    CHECK(skua__metric_own->cells != NULL && skua__metric_own->cells->mine == NULL);
    metered_stop();
}

/* What is bound stays, however long nothing comes. */
TEST(metric_bound_series_are_not_reclaimed)
{
    skua_bound ann;

    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_DELTA, 3);
    MUST(metered_start_readers(NULL, 0, SKUA__EXEMPLARS_TRACE) == 0);
    CHECK_EQ(skua_bind(&orders, &ann, SKUA_STR("user", "ann")), 0);
    for (int i = 0; i < 5; i++) {
        skua_bound_add(&ann, i);
        metered_collect(0);
        CHECK_EQ(metered_i64("shop.orders", "user", "ann"), i);
        metered_collect(0);
        metered_collect(0);
        CHECK(!skua__metric_own->cells->series->retired);
        CHECK(skua__metric_own->cells->mine == NULL);
    }
    skua_unbind(&ann);
    metered_stop();
}

/* ---- exemplars ------------------------------------------------------------------------------- */

static const skua_trace_ops no_ops = {.size = sizeof no_ops};
static const skua_span_context sampled = {{1, 2, 3}, {4, 5, 6}, SKUA_TRACE_SAMPLED, 1, NULL};
static const skua_span_context unsampled = {{1, 2, 3}, {4, 5, 7}, 0, 1, NULL};

static void count_in(const skua_span_context *context, int n)
{
    skua_span_frame frame;

    CHECK_EQ(skua_trace_attach(&frame, context), 0);
    for (int i = 0; i < n; i++) {
        skua_counter_add(&orders, i + 1, SKUA_STR("user", "ann"), SKUA_STR("route", "/"));
        skua_histogram_record(&took, 7 * i, SKUA_STR("user", "ann"));
    }
    CHECK_EQ(skua_span_leave(&frame), 0);
}

TEST(metric_exemplars_of_sampled_spans_keep_filtered_attributes)
{
    static const char *const route[] = {"route"};
    static const skua_otel_view views[] = {
        VIEW(.instrument = "shop.*", .keys = route, .keys_count = 1)};
    const skua_otel_point *point;
    const skua_otel_exemplar *exemplar;

    CHECK_EQ(skua_trace_install(&no_ops), 0);
    metered_start(views, 1);
    count_in(&unsampled, 3);
    skua_counter_add(&orders, 1);
    metered_collect(0);
    CHECK_EQ(metered_point("shop.orders", NULL, NULL)->exemplars_count, 0);
    count_in(&sampled, 1);
    metered_collect(0);
    point = metered_point("shop.orders", "route", "/");
    MUST(point->exemplars_count == 1);
    exemplar = &point->exemplars[0];
    CHECK(memcmp(exemplar->trace_id, sampled.trace_id, 16) == 0);
    CHECK(memcmp(exemplar->span_id, sampled.span_id, 8) == 0);
    CHECK(exemplar->time > point->start && exemplar->time <= point->time);
    CHECK_EQ(exemplar->is_f64, 0);
    CHECK_EQ(exemplar->value.i64, 1);
    CHECK_EQ(exemplar->attrs.count, 1);
    CHECK(memcmp(exemplar->attrs.at[0].key, "user", 5) == 0);
    metered_collect(0); /* told once */
    CHECK_EQ(metered_point("shop.orders", "route", "/")->exemplars_count, 0);
    metered_collect(1); /* by each reader */
    CHECK_EQ(metered_point("shop.orders", "route", "/")->exemplars_count, 1);
    metered_stop();
    CHECK_EQ(skua_trace_install(NULL), 0);
}

TEST(metric_exemplars_one_of_each_bucket_and_some_of_a_sum)
{
    CHECK_EQ(skua_trace_install(&no_ops), 0);
    metered_start(NULL, 0);
    count_in(&sampled, 100); /* 0, 7, 14, … 693: nine buckets */
    metered_collect(0);
    CHECK_EQ(metered_point("took", "user", "ann")->exemplars_count, 9);
    for (uint32_t i = 0; i < 9; i++)
        CHECK(metered_point("took", "user", "ann")->exemplars[i].is_f64);
    CHECK_EQ(metered_point("shop.orders", "user", "ann")->exemplars_count, 4);
    metered_stop();
    CHECK_EQ(skua_trace_install(NULL), 0);
}

TEST(metric_exemplar_filters_always_on_and_off)
{
    for (int off = 0; off < 2; off++) {
        CHECK_EQ(skua_trace_install(&no_ops), 0);
        metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
        MUST(metered_start_readers(NULL, 0, off ? SKUA__EXEMPLARS_OFF : SKUA__EXEMPLARS_ON) == 0);
        count_in(&sampled, 1);
        skua_counter_add(&orders, 1); /* without a span */
        metered_collect(0);
        CHECK_EQ(metered_point("shop.orders", "user", "ann")->exemplars_count, !off);
        CHECK_EQ(metered_point("shop.orders", NULL, NULL)->exemplars_count, !off);
        metered_stop();
        CHECK_EQ(skua_trace_install(NULL), 0);
    }
}

static int offer_large(void *arg, const skua_otel_measurement *measurement, uint32_t places)
{
    CHECK(arg == &orders);
    CHECK_EQ(places, 2);
    CHECK(measurement->time > 0 && measurement->attrs_count == 2 && measurement->span != NULL);
    return measurement->value >= 9 ? (int)(measurement->seen & 1) : -1;
}

TEST(metric_exemplar_reservoir_of_the_users)
{
    static const skua_otel_reservoir large = {offer_large, &orders, 2};
    static const skua_otel_view views[] = {VIEW(.instrument = "shop.*", .reservoir = &large)};
    const skua_otel_point *point;

    CHECK_EQ(skua_trace_install(&no_ops), 0);
    metered_start(views, 1);
    count_in(&sampled, 10);
    metered_collect(0);
    point = metered_point("shop.orders", NULL, NULL);
    MUST(point->exemplars_count == 2);
    CHECK_EQ(point->exemplars[0].value.i64 + point->exemplars[1].value.i64, 19);
    metered_stop();
    CHECK_EQ(skua_trace_install(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_cardinality_is_2000_and_the_rest_overflows),
        cmocka_unit_test(metric_cardinality_limits_of_views_and_readers),
        cmocka_unit_test(metric_cardinality_of_a_delta_reader_is_reclaimed),
        cmocka_unit_test(metric_reclaimed_series_lose_nothing),
        cmocka_unit_test(metric_late_values_of_a_retired_series_are_kept),
        cmocka_unit_test(metric_bound_series_are_not_reclaimed),
        cmocka_unit_test(metric_exemplars_of_sampled_spans_keep_filtered_attributes),
        cmocka_unit_test(metric_exemplars_one_of_each_bucket_and_some_of_a_sum),
        cmocka_unit_test(metric_exemplar_filters_always_on_and_off),
        cmocka_unit_test(metric_exemplar_reservoir_of_the_users),
    };

    return TEST_MAIN(tests);
}
