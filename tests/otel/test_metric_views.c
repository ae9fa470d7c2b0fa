/* test_metric_views.c - views, names that collide, filters, producers, parts of batches; and memory
 * that fails.
 */
#include "metered.h"

static skua_counter orders = SKUA_COUNTER(&metered_meter, "shop.orders", "{order}", "Orders");
static skua_counter items = SKUA_COUNTER(&metered_meter, "shop.items", "{item}", "Items");
static skua_histogram took = SKUA_HISTOGRAM(&metered_meter, "took", "s", "Time");
static skua_gauge heat = SKUA_GAUGE(&metered_meter, "heat", "Cel", "");
static skua_observable seen = SKUA_OBSERVABLE_COUNTER(&metered_meter, "seen", "", "");

#define VIEW(...)                                                                                  \
    {                                                                                              \
        .size = sizeof(skua_otel_view), __VA_ARGS__                                                \
    }

static int start_of(const skua_otel_view *views, size_t count)
{
    int rc;

    metered.reader[0] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    rc = metered_start_readers(views, count, SKUA__EXEMPLARS_TRACE);
    if (rc != 0) {
        skua_otel_reader_free(metered.reader[0]);
        metered.reader[0] = NULL;
        skua__otel_warn_to(NULL, NULL);
    }
    return rc;
}

/* ---- selection ------------------------------------------------------------------------------- */

TEST(metric_view_renames_and_describes)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "shop.ORDERS", .name = "sales", .description = "Sold")};

    metered_start(views, 1);
    skua_counter_add(&orders, 3);
    skua_counter_add(&items, 4);
    metered_collect(0);
    CHECK_EQ(metered_i64("sales", NULL, NULL), 3);
    CHECK(memcmp(metered_metric("sales")->description.at, "Sold", 4) == 0);
    CHECK(metered_metric("shop.orders") == NULL);
    CHECK_EQ(metered_i64("shop.items", NULL, NULL), 4); /* none fits: as it is */
    metered_stop();
}

TEST(metric_view_selects_by_wildcards_kind_unit_and_meter)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "*.orders", .description = "star"),
        VIEW(.instrument = "t??k", .description = "marks"),
        VIEW(.kind = SKUA_KIND_GAUGE, .description = "kind"),
        VIEW(.unit = "{item}", .description = "unit"),
        VIEW(.instrument = "*", .meter = "other", .description = "other"),
        VIEW(.instrument = "*", .meter_version = "2", .description = "other"),
        VIEW(.instrument = "heat", .meter_schema_url = "http://x", .description = "other"),
    };
    static const char *const want[][2] = {
        {"shop.orders", "star"}, {"took", "marks"}, {"heat", "kind"}, {"shop.items", "unit"}};

    metered_start(views, TEST_LEN(views));
    skua_counter_add(&orders, 1);
    skua_counter_add(&items, 1);
    skua_histogram_record(&took, 1);
    skua_gauge_set(&heat, 1);
    metered_collect(0);
    CHECK_EQ(metered.got->batch.count, 4);
    for (size_t i = 0; i < TEST_LEN(want); i++) {
        const skua_otel_metric *metric = metered_metric(want[i][0]);

        MUST(metric != NULL);
        CHECK(strcmp(metric->description.at, want[i][1]) == 0);
    }
    metered_stop();
}

TEST(metric_view_match_all_can_drop_and_one_keep)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "*", .aggregation = {.kind = SKUA_OTEL_OMIT}),
        VIEW(.instrument = "shop.orders")};

    metered_start(views, 2);
    CHECK_EQ(skua_metric_enabled(&items), 0);
    CHECK_EQ(skua_metric_enabled(&orders), 1);
    skua_counter_add(&orders, 1);
    skua_counter_add(&items, 1);
    metered_collect(0);
    CHECK_EQ(metered.got->batch.count, 1);
    CHECK_EQ(metered_i64("shop.orders", NULL, NULL), 1);
    metered_stop();
}

TEST(metric_view_keeps_or_excludes_attributes)
{
    static const char *const route[] = {"route"};
    static const skua_otel_view views[] = {
        VIEW(.instrument = "shop.orders", .keys = route, .keys_count = 1),
        VIEW(.instrument = "shop.items", .keys = route, .keys_count = 1, .exclude = 1),
        VIEW(.instrument = "took", .no_keys = 1)};

    metered_start(views, 3);
    for (int i = 0; i < 10; i++) {
        skua_counter_add(&orders, 1, SKUA_I64("user", i), SKUA_STR("route", "/"));
        skua_counter_add(&items, 1, SKUA_I64("user", i % 2), SKUA_I64("route", i));
        skua_histogram_record(&took, 1, SKUA_I64("user", i));
    }
    metered_collect(0);
    CHECK_EQ(metered_points("shop.orders"), 1);
    CHECK_EQ(metered_i64("shop.orders", "route", "/"), 10);
    CHECK_EQ(metered_points("shop.items"), 2);
    CHECK_EQ(metered_points("took"), 1);
    CHECK_EQ(metered_point("took", NULL, NULL)->attrs.count, 0);
    CHECK_EQ(metered_point("took", NULL, NULL)->count, 10);
    metered_stop();
}

TEST(metric_instrument_advises_attributes)
{
    static const char *const route[] = {"route"};
    static skua_counter advised = {
        {&metered_meter, "advised", NULL, NULL, NULL, route, 0, 1, SKUA_KIND_COUNTER, 0, 0}};

    metered_start(NULL, 0);
    skua_counter_add(&advised, 1, SKUA_STR("route", "/"), SKUA_STR("user", "ann"));
    metered_collect(0);
    CHECK_EQ(metered_point("advised", "route", "/")->attrs.count, 1);
    metered_stop();
}

TEST(metric_several_views_make_several_streams)
{
    static const double one[] = {1};
    static const skua_otel_view views[] = {
        VIEW(.instrument = "took", .name = "took.sum", .aggregation = {.kind = SKUA_OTEL_SUMMED}),
        VIEW(.instrument = "took",
             .aggregation = {.kind = SKUA_OTEL_EXPLICIT, .bounds = one, .bounds_count = 1}),
        VIEW(.instrument = "took", .name = "took.base2",
             .aggregation = {.kind = SKUA_OTEL_BASE2, .max_size = 4})};

    metered_start(views, 3);
    for (int i = 1; i <= 8; i++)
        skua_histogram_record(&took, i, SKUA_I64("n", i % 2));
    metered_collect(0);
    CHECK_EQ(metered_points("took.sum"), 2);
    CHECK(metered_point("took.sum", NULL, NULL)->value.f64 == 16);
    CHECK_EQ(metered_metric("took.sum")->type, SKUA_OTEL_SUM);
    CHECK_EQ(metered_point("took", NULL, NULL)->bounds_count, 1);
    CHECK_EQ(metered_metric("took.base2")->type, SKUA_OTEL_EXPONENTIAL);
    CHECK(metered_point("took.base2", NULL, NULL)->positive.count <= 4);
    metered_stop();
}

TEST(metric_view_that_does_not_go_with_an_instrument_is_left_out)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "heat", .aggregation = {.kind = SKUA_OTEL_SUMMED})};

    metered_start(views, 1);
    skua_gauge_set(&heat, 5);
    metered_collect(0);
    CHECK_EQ(metered_metric("heat")->type, SKUA_OTEL_GAUGE);
    CHECK(metered.warned > 0);
    metered_stop();
}

TEST(metric_views_that_are_not_valid_are_refused)
{
    static const double down[] = {2, 1};
    static const skua_otel_view bad[] = {
        VIEW(.instrument = "a*", .name = "b"),
        VIEW(.name = "b"),
        VIEW(.instrument = "a",
             .aggregation = {.kind = SKUA_OTEL_EXPLICIT, .bounds = down, .bounds_count = 2}),
        VIEW(.instrument = "a", .aggregation = {.kind = SKUA_OTEL_BASE2, .max_size = 1}),
        VIEW(.instrument = "a", .aggregation = {.kind = SKUA_OTEL_BASE2, .max_scale = 21}),
        {.size = 1}};

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(start_of(&bad[i], 1), -EINVAL);
}

static skua_otel_aggregation base2_for_histograms(void *arg, skua_instrument_kind kind)
{
    (void)arg;
    return (skua_otel_aggregation){.kind = kind == SKUA_KIND_HISTOGRAM ? SKUA_OTEL_BASE2
                                                                       : SKUA_OTEL_BY_KIND};
}

static skua_otel_temporality delta_of_counters(void *arg, skua_instrument_kind kind)
{
    (void)arg;
    return kind == SKUA_KIND_COUNTER ? SKUA_OTEL_DELTA : SKUA_OTEL_CUMULATIVE;
}

TEST(metric_reader_has_defaults_by_kind)
{
    skua_otel_reader_options options = {.size = sizeof options,
                                        .aggregation_of = base2_for_histograms,
                                        .temporality_of = delta_of_counters};

    metered.reader[0] = skua_otel_reader_new(&options);
    metered.reader[1] = metered_reader(SKUA_OTEL_PREFER_CUMULATIVE, 0);
    MUST(metered_start_readers(NULL, 0, SKUA__EXEMPLARS_TRACE) == 0);
    skua_histogram_record(&took, 2);
    skua_counter_add(&orders, 1);
    metered_collect(0);
    CHECK_EQ(metered_metric("took")->type, SKUA_OTEL_EXPONENTIAL);
    CHECK_EQ(metered_metric("took")->temporality, SKUA_OTEL_CUMULATIVE);
    CHECK_EQ(metered_metric("shop.orders")->temporality, SKUA_OTEL_DELTA);
    metered_collect(1);
    CHECK_EQ(metered_metric("took")->type, SKUA_OTEL_HISTOGRAM);
    metered_stop();
}

/* ---- names ----------------------------------------------------------------------------------- */

TEST(metric_names_and_units_are_judged)
{
    static const struct {
        const char *name;
        int ok;
    } names[] = {{"a", 1},   {"A_b.c-d/9", 1}, {"9a", 0},       {"_a", 0},
                 {"a b", 0}, {"", 0},          {"\xc3\xa4", 0}, {"a\xc3\xa4", 0}};
    static skua_counter handles[TEST_LEN(names)], odd, longest;
    static char name[257], unit[65];

    metered_start(NULL, 0);
    for (size_t i = 0; i < TEST_LEN(names); i++) {
        handles[i] = (skua_counter)SKUA_COUNTER(&metered_meter, names[i].name, "", "");
        CHECK_EQ(skua_metric_enabled(&handles[i]), names[i].ok);
    }
    memset(name, 'a', 255);
    longest = (skua_counter)SKUA_COUNTER(&metered_meter, name, "", "");
    CHECK_EQ(skua_metric_enabled(&longest), 1);
    name[255] = 'a';
    longest = (skua_counter)SKUA_COUNTER(&metered_meter, name, "", "");
    CHECK_EQ(skua_metric_enabled(&longest), 0);
    CHECK(metered.warned > 0);
    memset(unit, 'u', 64);
    odd = (skua_counter)SKUA_COUNTER(&metered_meter, "odd", unit, "");
    skua_counter_add(&odd, 1);
    metered_collect(0);
    CHECK_EQ(metered_metric("odd")->unit.len, 0);
    metered_stop();
}

TEST(metric_duplicates_take_the_name_that_was_seen_first)
{
    static skua_counter same = SKUA_COUNTER(&metered_meter, "Shop.Orders", "{order}", "Orders");
    static skua_updown other = SKUA_UPDOWN(&metered_meter, "SHOP.ORDERS", "{order}", "Orders");
    static const skua_meter twin = SKUA_METER("test", "1"), foreign = SKUA_METER("foreign", "1");
    static skua_counter of_twin = SKUA_COUNTER(&twin, "shop.orders", "{order}", "Orders");
    static skua_updown elsewhere = SKUA_UPDOWN(&foreign, "shop.orders", "", "");

    metered_start(NULL, 0);
    skua_counter_add(&orders, 1);
    skua_counter_add(&same, 2);
    skua_counter_add(&of_twin, 4);
    CHECK_EQ(metered.warned, 0);
    skua_updown_add(&elsewhere, 64);
    CHECK_EQ(metered.warned, 0);
    skua_updown_add(&other, 32);
    CHECK_EQ(metered.warned, 1);
    metered_collect(0);
    CHECK_EQ(metered_nth("shop.orders", 0)->points[0].value.i64, 7);
    CHECK_EQ(metered_nth("shop.orders", 1)->points[0].value.i64, 32);
    CHECK_EQ(metered_nth("shop.orders", 2)->points[0].value.i64, 64);
    CHECK(memcmp(metered_nth("shop.orders", 2)->scope->name.at, "foreign", 7) == 0);
    CHECK(metered_metric("Shop.Orders") == NULL);
    metered_stop();
}

TEST(metric_meter_has_schema_url_and_attributes)
{
    static const skua_attr attrs[] = {{.key = "team",
                                       .type = SKUA_ATTR_I64,
                                       .flags = 1,
                                       .key_len = 4,
                                       .count = 1,
                                       .value = {.i64 = 7}}};
    static const skua_meter meter = {"full", "2", "http://schema", attrs, 1};
    static const skua_meter nameless = {"", NULL, NULL, NULL, 0};
    static skua_counter counter = SKUA_COUNTER(&meter, "c", "", "");
    static skua_counter fallback = SKUA_COUNTER(&nameless, "d", "", "");
    const skua_otel_scope *scope;

    metered_start(NULL, 0);
    skua_counter_add(&counter, 1);
    skua_counter_add(&fallback, 2); /* works, and is reported */
    CHECK_EQ(metered.warned, 1);
    metered_collect(0);
    scope = metered_metric("c")->scope;
    CHECK(memcmp(scope->schema_url.at, "http://schema", 13) == 0);
    CHECK_EQ(scope->attrs.at[0].value.i64, 7);
    CHECK_EQ(metered_i64("d", NULL, NULL), 2);
    CHECK_EQ(metered_metric("d")->scope->name.len, 0);
    metered_stop();
}

/* ---- filters, producers, parts --------------------------------------------------------------- */

static skua_otel_verdict judge(void *arg, const skua_otel_scope *scope,
                               const skua_otel_metric *metric)
{
    (void)arg;
    (void)scope;
    if (metric->name.at[0] == 't')
        return SKUA_OTEL_REJECT;
    return strcmp(metric->name.at, "shop.items") == 0 ? SKUA_OTEL_ACCEPT : SKUA_OTEL_ACCEPT_SOME;
}

static int judge_point(void *arg, const skua_otel_metric *metric, const skua_otel_attrs *attrs)
{
    (void)arg;
    (void)metric;
    return attrs->count != 0 && attrs->at[0].value.i64 % 2 == 0;
}

static int produce(void *arg, skua_otel_sink *sink)
{
    static const skua_attr odd = {
        .key = "n", .type = SKUA_ATTR_I64, .key_len = 1, .count = 1, .value = {.i64 = 1}};
    static const skua_attr even = {
        .key = "n", .type = SKUA_ATTR_I64, .key_len = 1, .count = 1, .value = {.i64 = 2}};
    skua_otel_point *points = sink->alloc(sink, 2 * sizeof *points);
    skua_otel_metric metric = {.name = {"foreign", 7}, .type = SKUA_OTEL_GAUGE};

    MUST(points != NULL && sink->filter != NULL);
    memset(points, 0, 2 * sizeof *points);
    points[0].attrs = (skua_otel_attrs){&odd, 1, 0};
    points[1].attrs = (skua_otel_attrs){&even, 1, 0};
    points[1].value.i64 = 77;
    metric.points = points;
    metric.points_count = 2;
    CHECK_EQ(sink->add(sink, &metric), 0);
    metric.name.at = "took";
    CHECK_EQ(sink->add(sink, &metric), 0);
    return *(int *)arg;
}

TEST(metric_filter_holds_for_instruments_and_producers)
{
    int rc = 0;
    skua_otel_filter filter = {judge, judge_point, NULL};
    skua_otel_producer producer = {produce, &rc};
    skua_otel_reader_options options = {
        .size = sizeof options, .producers = &producer, .producers_count = 1, .filter = &filter};

    metered.reader[0] = skua_otel_reader_new(&options);
    MUST(metered_start_readers(NULL, 0, SKUA__EXEMPLARS_TRACE) == 0);
    for (int i = 0; i < 10; i++) {
        skua_counter_add(&orders, 1, SKUA_I64("n", i));
        skua_counter_add(&items, 1, SKUA_I64("n", i));
        skua_histogram_record(&took, 1);
    }
    metered_collect(0);
    CHECK_EQ(metered_points("shop.orders"), 5);
    CHECK_EQ(metered_points("shop.items"), 10);
    CHECK(metered_metric("took") == NULL);
    CHECK_EQ(metered_points("foreign"), 1);
    CHECK_EQ(metered_metric("foreign")->points[0].value.i64, 77);
    rc = -EIO; /* one that fails does not hold up the others */
    metered_collect(0);
    CHECK_EQ(metered_points("shop.items"), 10);
    CHECK(metered.warned > 0);
    metered_stop();
}

TEST(metric_batches_are_cut_at_the_largest_size)
{
    skua_otel_metric room[3];
    skua_otel_batch part;
    uint32_t metric = 0, point = 0, parts = 0, points = 0;

    metered_start(NULL, 0);
    for (int i = 0; i < 10; i++) {
        skua_counter_add(&orders, 1, SKUA_I64("n", i));
        skua_counter_add(&items, 1, SKUA_I64("n", i));
    }
    skua_gauge_set(&heat, 1);
    metered_collect(0);
    while (skua__metric_part(&metered.got->batch, 4, &metric, &point, room, &part)) {
        CHECK(skua_otel_batch_size(&part) <= 4);
        points += (uint32_t)skua_otel_batch_size(&part);
        parts++;
    }
    CHECK_EQ(points, 21);
    CHECK_EQ(parts, 6);
    metered_stop();
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
#include "os/os.h"

static void observe_one(skua_observer *observer, void *arg)
{
    (void)arg;
    skua_observe(observer, &seen, 1);
}

/* Whatever allocation fails: nothing crashes, values are lost and counted, and the next works. */
TEST(metric_survives_any_allocation_that_fails)
{
    static const skua_otel_view views[] = {
        VIEW(.instrument = "took", .aggregation = {.kind = SKUA_OTEL_BASE2}),
        VIEW(.instrument = "shop.orders", .cardinality = 3)};
    static skua_observing observing;
    unsigned calls = 0;

    CHECK_EQ(skua_observing_begin(&observing, observe_one, NULL), 0);
    for (unsigned n = 1; n <= calls + 1 && n < 300; n++) {
        skua_otel_collected *got = NULL;
        skua_bound bound;
        int rc;

        metered_start(views, 2);
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        for (int i = 0; i < 5; i++)
            skua_counter_add(&orders, 1, SKUA_I64("n", i));
        skua_histogram_record(&took, 1);
        rc = skua_bind(&items, &bound, skua_attr_str("n", "x"));
        CHECK(rc == 0 || rc == -ENOMEM);
        skua_bound_add(&bound, 1);
        rc = skua_otel_collect(metered.reader[0], &got);
        CHECK(rc == 0 || rc == -ENOMEM);
        calls = skua__fault_calls(SKUA__FAULT_MALLOC);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        skua_otel_collected_free(got);
        skua_histogram_record(&took, 1);
        metered_collect(0);
        CHECK(metered_point("took", NULL, NULL) != NULL &&
              metered_point("took", NULL, NULL)->count >= 1);
        skua_unbind(&bound);
        metered_stop();
    }
    CHECK(calls > 10);
    skua_observing_end(&observing);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_view_renames_and_describes),
        cmocka_unit_test(metric_view_selects_by_wildcards_kind_unit_and_meter),
        cmocka_unit_test(metric_view_match_all_can_drop_and_one_keep),
        cmocka_unit_test(metric_view_keeps_or_excludes_attributes),
        cmocka_unit_test(metric_instrument_advises_attributes),
        cmocka_unit_test(metric_several_views_make_several_streams),
        cmocka_unit_test(metric_view_that_does_not_go_with_an_instrument_is_left_out),
        cmocka_unit_test(metric_views_that_are_not_valid_are_refused),
        cmocka_unit_test(metric_reader_has_defaults_by_kind),
        cmocka_unit_test(metric_names_and_units_are_judged),
        cmocka_unit_test(metric_duplicates_take_the_name_that_was_seen_first),
        cmocka_unit_test(metric_meter_has_schema_url_and_attributes),
        cmocka_unit_test(metric_filter_holds_for_instruments_and_producers),
        cmocka_unit_test(metric_batches_are_cut_at_the_largest_size),
#ifdef SKUA_FAULTS
        cmocka_unit_test(metric_survives_any_allocation_that_fails),
#endif
    };

    return TEST_MAIN(tests);
}
