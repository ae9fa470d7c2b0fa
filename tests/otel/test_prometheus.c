/* test_prometheus.c - metrics as text for Prometheus: names, labels, kinds, both formats; and the
 * page that serves them. Prometheus itself reads a page in tests/otel/judges/prometheus.
 */
#include "../http/ask.h"
#include "metered.h"

#include <pthread.h>
#include <unistd.h>

#include <skua/otel/prometheus.h>
#include <skua/otel/sdk.h>
#include <skua/telemetry.h>

static skua_counter orders =
    SKUA_COUNTER(&metered_meter, "shop.orders", "{order}", "All \"or\\ders\"\n");
static skua_counter_f64 busy = SKUA_COUNTER_F64(&metered_meter, "cpu.time", "s", "Busy");
static skua_updown active = SKUA_UPDOWN(&metered_meter, "active", "By/s", "");
static skua_gauge_f64 load = SKUA_GAUGE_F64(&metered_meter, "load", "1", "");
static skua_histogram took = SKUA_HISTOGRAM(&metered_meter, "took", "ms", "Time");
static skua_histogram sized = SKUA_HISTOGRAM(&metered_meter, "sized", "By", "Size");

static char *page;

static const skua_attr resource_attrs[] = {{.key = "service.name",
                                            .type = SKUA_ATTR_STR,
                                            .key_len = 12,
                                            .count = 4,
                                            .value = {.str = "shop"}}};
static const skua_otel_resource resource = {{resource_attrs, 1, 0}, {"", 0}};

static void write_page(skua_otel_prometheus options, skua_otel_prometheus_format format)
{
    skua_otel_prometheus_free(page);
    page = NULL;
    MUST(skua_otel_prometheus_write(&options, &metered.got->batch, format, &page, NULL) == 0);
}

static bool has(const char *text)
{
    bool there = strstr(page, text) != NULL;

    if (!there)
        test_note("no \"%s\" in:\n%s", text, page);
    return there;
}

static void stop(void)
{
    skua_otel_prometheus_free(page);
    page = NULL;
    metered_stop();
}

#define SCOPE "otel_scope_name=\"test\",otel_scope_version=\"1\""

TEST(prometheus_counters_gauges_and_units)
{
    metered_start(NULL, 0);
    skua_counter_add(&orders, 3, SKUA_STR("http.route", "/\"a\\b\nc"), SKUA_BOOL("ok", 1));
    skua_counter_f64_add(&busy, 0.1);
    skua_updown_add(&active, -5);
    skua_gauge_f64_set(&load, 0.75);
    metered_collect(0);
    write_page((skua_otel_prometheus){0}, SKUA_OTEL_PROMETHEUS_TEXT);
    CHECK(has("# TYPE shop_orders_total counter\n"));
    CHECK(has("# HELP shop_orders_total All \"or\\\\ders\"\\n\n"));
    CHECK(has("shop_orders_total{http_route=\"/\\\"a\\\\b\\nc\",ok=\"true\"," SCOPE "} 3\n"));
    CHECK(has("cpu_time_seconds_total{" SCOPE "} 0.1\n"));
    CHECK(has("# TYPE active_bytes_per_second gauge\nactive_bytes_per_second{" SCOPE "} -5\n"));
    CHECK(has("load_ratio{" SCOPE "} 0.75\n"));
    CHECK(strstr(page, "EOF") == NULL && strstr(page, "UNIT") == NULL);
    write_page((skua_otel_prometheus){0}, SKUA_OTEL_OPENMETRICS);
    CHECK(has("# TYPE cpu_time_seconds counter\n# UNIT cpu_time_seconds seconds\n"));
    CHECK(has("cpu_time_seconds_total{" SCOPE "} 0.1\n"));
    CHECK(strcmp(page + strlen(page) - 6, "# EOF\n") == 0);
    write_page((skua_otel_prometheus){.without_scope = 1, .without_units = 1, .without_total = 1},
               SKUA_OTEL_PROMETHEUS_TEXT);
    CHECK(has("cpu_time{} 0.1\n"));
    CHECK(has("active{} -5\n"));
    stop();
}

TEST(prometheus_histograms_are_cumulative)
{
    static const skua_otel_view views[] = {{.size = sizeof(skua_otel_view),
                                            .instrument = "sized",
                                            .aggregation = {.kind = SKUA_OTEL_BASE2}}};

    metered_start(views, 1);
    skua_histogram_record(&took, 3);
    skua_histogram_record(&took, 7);
    skua_histogram_record(&took, 20000);
    skua_histogram_record(&sized, 0);
    skua_histogram_record(&sized, 1);
    skua_histogram_record(&sized, 4);
    metered_collect(0);
    write_page((skua_otel_prometheus){.without_scope = 1}, SKUA_OTEL_PROMETHEUS_TEXT);
    CHECK(has("# TYPE took_milliseconds histogram\n"));
    CHECK(has("took_milliseconds_bucket{le=\"0\"} 0\n"));
    CHECK(has("took_milliseconds_bucket{le=\"5\"} 1\n"));
    CHECK(has("took_milliseconds_bucket{le=\"10\"} 2\n"));
    CHECK(has("took_milliseconds_bucket{le=\"10000\"} 2\n"));
    CHECK(has("took_milliseconds_bucket{le=\"+Inf\"} 3\n"));
    CHECK(has("took_milliseconds_sum{} 20010\n"));
    CHECK(has("took_milliseconds_count{} 3\n"));
    CHECK(has("sized_bytes_bucket{le=\"0\"} 1\n"));
    CHECK(has("sized_bytes_bucket{le=\"1\"} 2\n"));
    CHECK(has("sized_bytes_bucket{le=\"4\"} 3\n"));
    CHECK(has("sized_bytes_bucket{le=\"+Inf\"} 3\n"));
    write_page((skua_otel_prometheus){.without_scope = 1}, SKUA_OTEL_OPENMETRICS);
    CHECK(has("took_milliseconds_bucket{le=\"5.0\"} 1\n"));
    stop();
}

TEST(prometheus_names_and_labels_are_sanitised)
{
    static skua_counter odd = SKUA_COUNTER(&metered_meter, "a.-/b_total", "{x}/s", "");

    metered_start(NULL, 0);
    skua_counter_add(&odd, 1, SKUA_STR("a.b", "1"), SKUA_STR("a-b", "2"), SKUA_I64("9", 3));
    metered_collect(0);
    write_page((skua_otel_prometheus){.without_scope = 1}, SKUA_OTEL_PROMETHEUS_TEXT);
    /* Keys that collide have their values joined in the order of the keys. */
    CHECK(has("a_b_per_second_total{_9=\"3\",a_b=\"2;1\"} 1\n"));
    stop();
}

TEST(prometheus_scope_attributes_are_labels)
{
    static const skua_attr attrs[] = {{.key = "team.name",
                                       .type = SKUA_ATTR_I64,
                                       .flags = 1,
                                       .key_len = 9,
                                       .count = 1,
                                       .value = {.i64 = 7}}};
    static const skua_meter meter = {"full", "2", "http://schema", attrs, 1};
    static skua_counter counter = SKUA_COUNTER(&meter, "c", "", "");

    metered_start(NULL, 0);
    skua_counter_add(&counter, 1);
    metered_collect(0);
    write_page((skua_otel_prometheus){0}, SKUA_OTEL_PROMETHEUS_TEXT);
    CHECK(has("c_total{otel_scope_name=\"full\",otel_scope_version=\"2\","
              "otel_scope_schema_url=\"http://schema\",otel_scope_team_name=\"7\"} 1\n"));
    metered_collect(1); /* deltas are not for Prometheus */
    write_page((skua_otel_prometheus){0}, SKUA_OTEL_PROMETHEUS_TEXT);
    CHECK(page[0] == '\0');
    stop();
}

TEST(prometheus_metadata_is_told_once)
{
    static const skua_meter other = SKUA_METER("other", "2");
    static skua_counter twin = SKUA_COUNTER(&other, "shop_orders", "{order}", "Others");
    static skua_gauge clash = SKUA_GAUGE(&other, "shop.orders", "", "");
    const char *first;

    metered_start(NULL, 0);
    skua_counter_add(&orders, 1);
    skua_updown_add(&active, 1);
    skua_counter_add(&twin, 2);
    skua_gauge_set(&clash, 5);
    metered_collect(0);
    write_page((skua_otel_prometheus){0}, SKUA_OTEL_PROMETHEUS_TEXT);
    first = strstr(page, "# TYPE shop_orders");
    MUST(first != NULL);
    CHECK(strstr(first + 1, "# TYPE shop_orders") == NULL);
    CHECK(strstr(page, "Others") == NULL);
    CHECK(has("shop_orders_total{otel_scope_name=\"other\",otel_scope_version=\"2\"} 2\n"));
    CHECK(strstr(page, "} 5\n") == NULL); /* of another type: left out, and reported */
    CHECK(metered.warned > 0);
    stop();
}

TEST(prometheus_target_info_and_exemplars)
{
    static const skua_trace_ops no_ops = {.size = sizeof no_ops};
    static const skua_span_context sampled = {
        {0xab, 2, 3}, {0xcd, 5, 6}, SKUA_TRACE_SAMPLED, 1, NULL};
    skua_span_frame frame;

    CHECK_EQ(skua_trace_install(&no_ops), 0);
    metered_start(NULL, 0);
    CHECK_EQ(skua_trace_attach(&frame, &sampled), 0);
    skua_counter_add(&orders, 1);
    skua_histogram_record(&took, 7);
    CHECK_EQ(skua_span_leave(&frame), 0);
    skua_counter_f64_add(&busy, 1e-7);
    skua_updown_add(&active, 2);
    skua_gauge_f64_set(&load, -0.75);
    metered_collect(0);
    metered.got->batch.resource = &resource;
    for (int i = 0; i < 2; i++) {
        write_page((skua_otel_prometheus){0}, (skua_otel_prometheus_format)i);
        CHECK(has("target_info{service_name=\"shop\"} 1\n"));
    }
    CHECK(has("# TYPE target info\n"));
    CHECK(has("shop_orders_total{" SCOPE "} 1 # {trace_id=\"ab020300000000000000000000000000\","
              "span_id=\"cd05060000000000\"} 1 "));
    CHECK(has(",le=\"10.0\"} 1 # {trace_id"));
    CHECK(has(",le=\"25.0\"} 1\n"));
    stop();
    CHECK_EQ(skua_trace_install(NULL), 0);
}

TEST_FIBER_CURRENT(prometheus_page_is_served_in_the_format_that_is_accepted)
{
    skua_otel_prometheus prometheus = {0};
    struct talk *talk;

    (void)arg;
    metered_start(NULL, 0);
    prometheus.reader = metered.reader[0];
    skua_counter_add(&orders, 7);
    talk = ask_chain(skua_otel_prometheus_handler, &prometheus, "GET /metrics HTTP/1.1\r\n");
    CHECK(strncmp(talk->text, "HTTP/1.1 200", 12) == 0);
    CHECK_HAS(talk, "Content-Type: text/plain; version=0.0.4");
    CHECK(strstr(talk->text, "shop_orders_total{" SCOPE "} 7\n") != NULL);
    free(talk);
    talk = ask_chain(skua_otel_prometheus_handler, &prometheus,
                     "GET /metrics HTTP/1.1\r\nAccept: "
                     "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5\r\n");
    CHECK_HAS(talk, "Content-Type: application/openmetrics-text; version=1.0.0");
    CHECK(strstr(talk->text, "# EOF\n") != NULL);
    free(talk);
    talk = ask_chain(
        skua_otel_prometheus_handler, &prometheus,
        "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;q=0, text/plain\r\n");
    CHECK_HAS(talk, "Content-Type: text/plain");
    free(talk);
    skua__metric_stop();
    talk = ask_chain(skua_otel_prometheus_handler, &prometheus, "GET /metrics HTTP/1.1\r\n");
    CHECK(strncmp(talk->text, "HTTP/1.1 503", 12) == 0);
    free(talk);
    stop();
    return 0;
}

#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(prometheus_says_that_there_is_no_memory)
{
    unsigned calls = 0;

    metered_start(NULL, 0);
    skua_counter_add(&orders, 1, SKUA_STR("a", "b"));
    metered_collect(0);
    for (unsigned n = 1; n <= calls + 1 && n < 100; n++) {
        skua_otel_prometheus options = {0};
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        rc = skua_otel_prometheus_write(&options, &metered.got->batch, SKUA_OTEL_OPENMETRICS, &page,
                                        NULL);
        calls = skua__fault_calls(SKUA__FAULT_MALLOC);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK_EQ(rc, n <= calls ? -ENOMEM : 0);
        skua_otel_prometheus_free(page);
        page = NULL;
    }
    stop();
}
#endif

/* ---- several who ask ------------------------------------------------------------------------- */

static struct {
    skua_otel_reader *reader;
    atomic_uint stop, here, most, scrapes;
} asking;

static void is_asked(skua_observer *observer, void *arg)
{
    unsigned here = atomic_fetch_add(&asking.here, 1) + 1;

    (void)observer;
    (void)arg;
    if (here > atomic_load(&asking.most))
        atomic_store(&asking.most, here);
    (void)usleep(2000);
    (void)atomic_fetch_sub(&asking.here, 1);
}

static void *asks(void *arg)
{
    skua_otel_collected *got;

    while (atomic_load(&asking.stop) == 0)
        if (skua_otel_collect(asking.reader, &got) == 0) {
            (void)atomic_fetch_add(&asking.scrapes, 1);
            skua_otel_collected_free(got);
        }
    return arg;
}

/* Two ask on and on, while telemetry is shut down and started: one of them may still read the last
 * start's metrics, and the other this one's; what is observing is asked by one at a time. */
TEST(prometheus_two_who_ask_over_restarts)
{
    static skua_observing observing;
    pthread_t threads[2];

    asking.reader = skua_otel_reader_new(NULL);
    MUST(asking.reader != NULL && skua_observing_begin(&observing, is_asked, NULL) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, asks, NULL) == 0);
    for (int i = 0; i < TEST_COUNT(40); i++) {
        MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .readers = &asking.reader,
                                               .readers_count = 1)) == 0);
        (void)usleep(7000);
        CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    }
    atomic_store(&asking.stop, 1);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    skua_observing_end(&observing);
    skua_otel_reader_free(asking.reader);
    CHECK(atomic_load(&asking.scrapes) > 0);
    CHECK_EQ(atomic_load(&asking.most), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_counters_gauges_and_units),
        cmocka_unit_test(prometheus_histograms_are_cumulative),
        cmocka_unit_test(prometheus_names_and_labels_are_sanitised),
        cmocka_unit_test(prometheus_scope_attributes_are_labels),
        cmocka_unit_test(prometheus_metadata_is_told_once),
        cmocka_unit_test(prometheus_target_info_and_exemplars),
        cmocka_unit_test(prometheus_page_is_served_in_the_format_that_is_accepted),
#ifdef SKUA_FAULTS
        cmocka_unit_test(prometheus_says_that_there_is_no_memory),
        cmocka_unit_test(prometheus_two_who_ask_over_restarts),
#endif
    };

    return TEST_MAIN(tests);
}
