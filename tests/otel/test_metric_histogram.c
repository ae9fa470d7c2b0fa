/* test_metric_histogram.c - buckets: explicit ones and exponential ones, against formulas of their
 * own, over threads, for both temporalities.
 */
#include "metered.h"

static skua_histogram took = SKUA_HISTOGRAM(&metered_meter, "took", "s", "Time");
static skua_histogram_i64 size = SKUA_HISTOGRAM_I64(&metered_meter, "size", "By", "");
static const double few[] = {1, 2, 4};
static skua_histogram advised = SKUA_HISTOGRAM_BOUNDS(&metered_meter, "advised", "", "", few);
static skua_updown_f64 both = SKUA_UPDOWN_F64(&metered_meter, "both", "", "");

#define VIEW(...)                                                                                  \
    {                                                                                              \
        .size = sizeof(skua_otel_view), __VA_ARGS__                                                \
    }

TEST(metric_histogram_has_the_default_buckets)
{
    static const double bounds[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                    500, 750, 1000, 2500, 5000, 7500, 10000};
    const skua_otel_point *point;

    metered_start(NULL, 0);
    for (size_t i = 0; i < TEST_LEN(bounds); i++)
        skua_histogram_record(&took, bounds[i]); /* a bound is of the bucket below it */
    skua_histogram_record(&took, 10000.5);
    skua_histogram_record(&took, -1);
    skua_histogram_record(&took, NAN);
    skua_histogram_record(&took, INFINITY);
    metered_collect(0);
    point = metered_point("took", NULL, NULL);
    MUST(point != NULL);
    CHECK_EQ(metered_metric("took")->type, SKUA_OTEL_HISTOGRAM);
    CHECK_EQ(point->bounds_count, 15);
    CHECK(memcmp(point->bounds, bounds, sizeof bounds) == 0);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(point->counts[i], 1);
    CHECK_EQ(point->count, 16);
    CHECK(point->has_sum && point->sum == 27765 + 10000.5);
    CHECK(point->has_min && point->min == 0);
    CHECK(point->has_max && point->max == 10000.5);
    metered_stop();
}

TEST(metric_histogram_takes_the_advised_buckets)
{
    metered_start(NULL, 0);
    skua_histogram_record(&advised, 3);
    skua_histogram_i64_record(&size, 3);
    metered_collect(0);
    CHECK_EQ(metered_point("advised", NULL, NULL)->bounds_count, 3);
    CHECK_EQ(metered_point("advised", NULL, NULL)->counts[2], 1);
    CHECK(metered_point("size", NULL, NULL)->sum == 3);
    metered_stop();
}

TEST(metric_histogram_min_and_max_of_a_delta_are_of_its_interval)
{
    metered_start(NULL, 0);
    skua_histogram_record(&took, 1);
    skua_histogram_record(&took, 100);
    metered_collect(1);
    CHECK(metered_point("took", NULL, NULL)->min == 1);
    skua_histogram_record(&took, 50);
    metered_collect(1);
    CHECK(metered_point("took", NULL, NULL)->min == 50);
    CHECK(metered_point("took", NULL, NULL)->max == 50);
    CHECK(metered_point("took", NULL, NULL)->sum == 50);
    CHECK_EQ(metered_point("took", NULL, NULL)->count, 1);
    metered_collect(0);
    CHECK(metered_point("took", NULL, NULL)->min == 1);
    CHECK(metered_point("took", NULL, NULL)->max == 100);
    CHECK_EQ(metered_point("took", NULL, NULL)->count, 3);
    metered_stop();
}

TEST(metric_histogram_of_negative_values_has_no_sum)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "both", .aggregation = {.kind = SKUA_OTEL_EXPLICIT, .no_min_max = 1})};
    const skua_otel_point *point;

    metered_start(views, 1);
    skua_updown_f64_add(&both, -3);
    metered_collect(0);
    point = metered_point("both", NULL, NULL);
    MUST(point != NULL);
    CHECK_EQ(point->counts[0], 1);
    CHECK_EQ(point->has_sum, 0);
    CHECK_EQ(point->has_min, 0);
    metered_stop();
}

/* ---- exponential ----------------------------------------------------------------------------- */

/* Whether bucket i at that scale has the value: base^i < value <= base^(i+1), by long doubles. */
static bool in_bucket(double value, int32_t scale, int32_t i)
{
    long double at = log2l((long double)value) * ldexpl(1, scale);

    return (long double)i < at + 1e-9L && at <= (long double)i + 1 + 1e-9L;
}

TEST(metric_base2_index_is_that_of_the_formula)
{
    static const double values[] = {1e-300, 1e-9, 0.1, 0.3, 0.99, 1.01, 1.5,
                                    1.999,  3,    5,   1e3, 1e9,  1e300};

    for (int32_t scale = -10; scale <= 20; scale++) {
        for (size_t i = 0; i < TEST_LEN(values); i++)
            if (scale < 20 || fabs(log2(values[i])) < 900)
                CHECK(in_bucket(values[i], scale, skua__base2_index(values[i], scale)));
        /* Powers of two exactly: upper bounds belong to their bucket. */
        for (int e = -50; e <= 50; e++) {
            int64_t want = scale >= 0 ? ((int64_t)e * (INT64_C(1) << scale)) - 1
                                      : (int64_t)floor((e - 1) / ldexp(1, -scale));

            CHECK_EQ(skua__base2_index(ldexp(1, e), scale), want);
        }
    }
    /* Table of the specification's own: base 2 and 4. */
    CHECK_EQ(skua__base2_index(1, 0), -1);
    CHECK_EQ(skua__base2_index(2, 0), 0);
    CHECK_EQ(skua__base2_index(2.1, 0), 1);
    CHECK_EQ(skua__base2_index(4, -1), 0);
    CHECK_EQ(skua__base2_index(5, -1), 1);
    CHECK_EQ(skua__base2_index(1, -1), -1);
    CHECK_EQ(skua__base2_index(5e-324, 0), skua__base2_index(2.2250738585072014e-308, 0));
}

static const skua_otel_view base2_view[] = {
    VIEW(.instrument = "*", .aggregation = {.kind = SKUA_OTEL_BASE2})};

/* Each count is that of the values in its bucket. */
static void check_buckets(const skua_otel_point *point, const double *values, size_t count)
{
    uint64_t total = point->zero_count;

    for (int s = 0; s < 2; s++) {
        const skua_otel_buckets *side = s == 0 ? &point->positive : &point->negative;

        CHECK(side->count <= 160);
        for (uint32_t b = 0; b < side->count; b++) {
            uint64_t want = 0;

            for (size_t i = 0; i < count; i++)
                want +=
                    (values[i] < 0) == s && values[i] != 0 &&
                    skua__base2_index(fabs(values[i]), point->scale) == side->offset + (int32_t)b;
            CHECK_EQ(side->counts[b], want);
            total += side->counts[b];
        }
    }
    CHECK_EQ(total, count);
    CHECK_EQ(point->count, count);
}

TEST(metric_base2_histogram_scales_down_as_values_spread)
{
    double values[1000];
    uint64_t seed = test_seed();
    size_t count = 0;
    int32_t scale = 20;

    metered_start(base2_view, 1);
    while (count < 1000) {
        double spread = (double)count / 50;
        double value = exp(((double)(test_random(&seed) % 2000) / 1000 - 1) * spread);

        values[count++] = value;
        skua_histogram_record(&took, value);
        if (count % 100 != 0)
            continue;
        metered_collect(0);
        MUST(metered_point("took", NULL, NULL) != NULL);
        CHECK_EQ(metered_metric("took")->type, SKUA_OTEL_EXPONENTIAL);
        check_buckets(metered_point("took", NULL, NULL), values, count);
        CHECK(metered_point("took", NULL, NULL)->scale <= scale);
        scale = metered_point("took", NULL, NULL)->scale;
    }
    CHECK(scale < 10);
    metered_stop();
}

TEST(metric_base2_histogram_has_zeros_and_negative_values)
{
    static const double values[] = {0, 0, 1, -1, -8, 4, 4, -0.5};

    metered_start(base2_view, 1);
    for (size_t i = 0; i < TEST_LEN(values); i++)
        skua_updown_f64_add(&both, values[i]);
    metered_collect(0);
    CHECK_EQ(metered_point("both", NULL, NULL)->zero_count, 2);
    check_buckets(metered_point("both", NULL, NULL), values, TEST_LEN(values));
    metered_stop();
}

TEST(metric_base2_one_value_has_the_best_scale)
{
    metered_start(base2_view, 1);
    skua_histogram_record(&took, 3);
    metered_collect(0);
    CHECK_EQ(metered_point("took", NULL, NULL)->scale, 20);
    CHECK_EQ(metered_point("took", NULL, NULL)->positive.count, 1);
    metered_stop();
}

TEST(metric_base2_extremes_fit)
{
    static const double values[] = {1e-308, 1, 1.7e308};

    metered_start(base2_view, 1);
    for (size_t i = 0; i < TEST_LEN(values); i++)
        skua_histogram_record(&took, values[i]);
    metered_collect(0);
    check_buckets(metered_point("took", NULL, NULL), values, TEST_LEN(values));
    metered_stop();
}

#define RECORDS (TEST_COUNT(20000) / 5 * 5)

static void *record_some(void *arg)
{
    for (int i = 0; i < RECORDS; i++) {
        skua_histogram_record(&took, (double)(uintptr_t)arg * (i % 100 + 1));
        skua_histogram_record(&advised, i % 5);
    }
    return NULL;
}

/* Buckets of several threads, each of its own scale, are one histogram; deltas add up. */
TEST(metric_histograms_are_exact_over_threads)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "took", .aggregation = {.kind = SKUA_OTEL_BASE2})};
    uint64_t delta = 0, explicit_delta = 0;
    double sum = 0;
    pthread_t threads[3];

    metered_start(views, 1);
    for (uintptr_t i = 0; i < 3; i++)
        MUST(pthread_create(&threads[i], NULL, record_some, (void *)(i * 1000 + 1)) == 0);
    for (int i = 0; i <= 20; i++) {
        if (i == 20)
            for (int k = 0; k < 3; k++)
                pthread_join(threads[k], NULL);
        metered_collect(1);
        if (metered_point("took", NULL, NULL) != NULL) {
            delta += metered_point("took", NULL, NULL)->count;
            sum += metered_point("took", NULL, NULL)->sum;
        }
        if (metered_point("advised", NULL, NULL) != NULL)
            explicit_delta += metered_point("advised", NULL, NULL)->count;
    }
    CHECK_EQ(delta, 3 * RECORDS);
    CHECK_EQ(explicit_delta, 3 * RECORDS);
    metered_collect(0);
    CHECK_EQ(metered_point("took", NULL, NULL)->count, 3 * RECORDS);
    CHECK(metered_point("took", NULL, NULL)->sum == sum);
    CHECK(metered_point("took", NULL, NULL)->min == 1);
    CHECK(metered_point("took", NULL, NULL)->max == 200100);
    CHECK_EQ(metered_point("advised", NULL, NULL)->counts[0], 3 * RECORDS / 5 * 2);
    CHECK_EQ(metered_point("advised", NULL, NULL)->count, 3 * RECORDS);
    metered_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_histogram_has_the_default_buckets),
        cmocka_unit_test(metric_histogram_takes_the_advised_buckets),
        cmocka_unit_test(metric_histogram_min_and_max_of_a_delta_are_of_its_interval),
        cmocka_unit_test(metric_histogram_of_negative_values_has_no_sum),
        cmocka_unit_test(metric_base2_index_is_that_of_the_formula),
        cmocka_unit_test(metric_base2_histogram_scales_down_as_values_spread),
        cmocka_unit_test(metric_base2_histogram_has_zeros_and_negative_values),
        cmocka_unit_test(metric_base2_one_value_has_the_best_scale),
        cmocka_unit_test(metric_base2_extremes_fit),
        cmocka_unit_test(metric_histograms_are_exact_over_threads),
    };

    return TEST_MAIN(tests);
}
