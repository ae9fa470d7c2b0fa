/* test_monitor.c - the performance monitor (skua/monitor.h): counts, times, percentiles, reports.
 *
 * Specifies that values are counted exactly and by thread without loss, how far percentiles may be
 * off, what a block is that is measured, resets, reports, the rhythm, and failures. Measures live
 * as long as the process: each test has names of its own.
 */
#include <locale.h>

#include "../lib/event.h"

#ifdef SKUA_FAULTS
#include "watch/measure_impl.h"
#endif

static skua_measured get(const char *name)
{
    skua_measured measured = {.size = sizeof measured};

    MUST(skua_monitor_get(name, &measured) == 0);
    return measured;
}

/* ---- values ---------------------------------------------------------------------------------- */

TEST(values_are_counted)
{
    static skua_measure measure = SKUA_MEASURE_OF("values", "By");
    skua_measured measured = {.size = sizeof measured};

    CHECK_EQ(skua_monitor_get("values", &measured), -ENOENT);
    CHECK_EQ(skua_monitor_quantile("values", 0.5), -ENOENT);
    CHECK_EQ(skua_monitor_reset("values"), -ENOENT);
    for (int i = 1; i <= 1000; i++)
        skua_measure_record(&measure, i);
    measured = get("values");
    CHECK_EQ(measured.count, 1000);
    CHECK_EQ(measured.sum, 500500);
    CHECK_EQ(measured.min, 1);
    CHECK_EQ(measured.max, 1000);
    CHECK(measured.mean == 500.5 && measured.rate > 0);
    CHECK(strcmp(measured.name, "values") == 0 && strcmp(measured.unit, "By") == 0);
    CHECK_RANGE(measured.p50, 492, 508);
    CHECK_RANGE(measured.p90, 886, 914);
    CHECK_RANGE(measured.p99, 974, 1000);
    CHECK_RANGE(measured.p999, 984, 1000);
    CHECK_EQ(skua_monitor_quantile("values", 0), 1);
    CHECK_EQ(skua_monitor_quantile("values", 1), measured.p999);
    CHECK_EQ(skua_monitor_quantile("values", 0.02), 20); /* small ones are exact */
    CHECK_EQ(skua_monitor_quantile("values", 1.1), -EINVAL);
    measured.size = 3;
    CHECK_EQ(skua_monitor_get("values", &measured), -EINVAL);
}

/* Of one value every percentile is the value; so two values show how far the first one is off. */
TEST(percentiles_are_within_1_6_percent)
{
    static skua_measure measure = SKUA_MEASURE_OF("percent", NULL);
    uint64_t seed = test_seed();

    for (int i = 0; i < TEST_COUNT(3000); i++) {
        int64_t value = (int64_t)(test_random(&seed) >> (20 + test_random(&seed) % 44));
        int64_t off = value / 64;

        skua_measure_record(&measure, value);
        skua_measure_record(&measure, 0);
        skua_measure_record(&measure, INT64_MAX);
        CHECK_RANGE(skua_monitor_quantile("percent", 0.5), value - off, value + off);
        CHECK_EQ(get("percent").max, INT64_MAX);
        CHECK_EQ(skua_monitor_reset("percent"), 0);
    }
}

TEST(values_at_the_edges)
{
    static skua_measure measure = SKUA_MEASURE_OF("edges", NULL);

    skua_measure_record(&measure, -5);
    CHECK_EQ(get("edges").max, 0);
    CHECK_EQ(get("edges").sum, 0);
    CHECK_EQ(get("edges").p50, 0);
    skua_measure_record(&measure, INT64_C(1) << 44);
    CHECK_EQ(get("edges").max, INT64_C(1) << 44);
    CHECK_EQ(get("edges").p99, INT64_C(1) << 44);
    CHECK_EQ(skua_monitor_reset("edges"), 0);
    /* The greatest that has a bucket of its own kind is none of those that have not. */
    skua_measure_record(&measure, (INT64_C(1) << 44) - 1);
    skua_measure_record(&measure, INT64_MAX);
    CHECK_RANGE(get("edges").p50, (INT64_C(63) << 38), INT64_C(1) << 44);
    CHECK_EQ(skua_monitor_reset("edges"), 0);
    CHECK_EQ(get("edges").count, 0);
    CHECK_EQ(get("edges").min, 0);
    CHECK_EQ(get("edges").p99, 0);
    skua_measure_record(&measure, 77);
    CHECK_EQ(get("edges").count, 1);
    CHECK_EQ(get("edges").p50, 77);
    CHECK_EQ(get("edges").sum, 77);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static int leaves(int how)
{
    SKUA_MEASURE("block")
    {
        if (how == 0)
            return 1;
        if (how == 1)
            break;
        SKUA_MEASURE("block inside")
        {
            how = 9;
        }
    }
    return how;
}

TEST_FIBER(a_block_is_measured_on_every_way_out)
{
    skua_measure_frame frame = {NULL, 0, 0};
    static skua_measure pair = SKUA_MEASURE_OF("pair", NULL);

    (void)skua_monitor_reset(NULL);
    CHECK_EQ(leaves(0), 1);
    CHECK_EQ(leaves(1), 1);
    CHECK_EQ(leaves(2), 9);
    CHECK_EQ(get("block").count, 3);
    CHECK_EQ(get("block inside").count, 1);
    CHECK(get("block").min >= 0 && get("block").max < SKUA_MINUTE);
    SKUA_MEASURE("slept")
    {
        CHECK_EQ(skua_sleep(MS(2)), 0);
    }
    CHECK(get("slept").min >= MS(1));
    CHECK_EQ(skua_measure_end(&frame), 0);
    skua_measure_begin(&frame, &pair);
    CHECK(skua_measure_end(&frame) >= 0);
    CHECK_EQ(skua_measure_end(&frame), 0);
    return 0;
}

/* ---- many threads ---------------------------------------------------------------------------- */

#define THREADS 4

static atomic_bool counting;

static void *counts(void *arg)
{
    static skua_measure shared = SKUA_MEASURE_OF("shared", "1");

    for (int i = 0; i < *(int *)arg; i++)
        skua_measure_record(&shared, i % 100);
    return NULL;
}

static void *watches(void *arg)
{
    while (atomic_load(&counting)) {
        skua_measured measured = {.size = sizeof measured};

        if (skua_monitor_get("shared", &measured) != 0 || measured.count == 0)
            continue;
        CHECK(measured.min >= 0 && measured.max <= 99 && measured.min <= measured.max);
        CHECK(measured.p50 >= measured.min && measured.p50 <= measured.max);
        CHECK(measured.count <= (uint64_t)THREADS * 200000);
        if (arg != NULL)
            CHECK_EQ(skua_monitor_reset("shared"), 0);
    }
    return NULL;
}

static void count_on_threads(bool resets)
{
    int times = TEST_COUNT(200000);
    pthread_t threads[THREADS], watcher;

    atomic_store(&counting, true);
    MUST(pthread_create(&watcher, NULL, watches, resets ? &times : NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, counts, &times) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&counting, false);
    pthread_join(watcher, NULL);
    if (!resets)
        CHECK_EQ(get("shared").count, (uint64_t)THREADS * (uint64_t)times);
}

TEST(threads_count_without_loss_while_somebody_looks)
{
    count_on_threads(false);
    (void)skua_monitor_reset("shared");
    count_on_threads(false); /* with the cells of those that ended */
    CHECK_EQ(skua_monitor_lost(), 0);
}

TEST(threads_count_while_somebody_resets)
{
    skua_measured measured;

    (void)skua_monitor_reset("shared");
    count_on_threads(true);
    (void)skua_monitor_reset("shared");
    CHECK_EQ(get("shared").count, 0);
    count_on_threads(false);
    measured = get("shared");
    CHECK_EQ(measured.sum, (int64_t)measured.count / 100 * 4950);
}

/* ---- reports --------------------------------------------------------------------------------- */

struct report {
    char text[32768];
    int count;
};

static void keep(const char *text, size_t len, void *arg)
{
    struct report *report = arg;

    MUST(len < sizeof report->text && text[len - 1] == '\n');
    memcpy(report->text, text, len);
    report->text[len] = '\0';
    report->count++;
}

static int spawns_ten(void)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 10; i++)
        MUST(skua_spawn(&scope, test_fiber_return, NULL) == 0);
    return skua_scope_join(&scope);
}

TEST_FIBER(figures_of_a_runtime_are_of_the_time_between)
{
    skua_monitor_base base = {.time = 0};
    skua_runtime_rates rates = {.size = sizeof rates};
    skua_runtime *runtime = skua_runtime_current();

    CHECK_EQ(skua_monitor_runtime(runtime, &base, &rates), 0);
    CHECK(rates.seconds == 0 && rates.busy == 0);
    CHECK_EQ(spawns_ten(), 0);
    CHECK_EQ(skua_monitor_runtime(runtime, &base, &rates), 0);
    CHECK(rates.seconds > 0 && rates.busy >= 0 && rates.busy <= 1);
    CHECK_EQ(rates.spawned, 10);
    CHECK_RANGE(rates.polls, 10, 40);
    CHECK(rates.workers > 0 && rates.name != NULL);
    CHECK_EQ(skua_monitor_runtime(runtime, &base, &rates), 0);
    CHECK_EQ(rates.spawned, 0);
    rates.size = 1;
    CHECK_EQ(skua_monitor_runtime(runtime, &base, &rates), -EINVAL);
    return 0;
}

TEST_FIBER_CURRENT(reports_as_a_table_and_as_json)
{
    static skua_measure odd = SKUA_MEASURE_OF("odd \"name\"\n", "By");
    static struct report report;
    skua_monitor_options options;
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    skua_measure_record(&odd, 12345);
    CHECK_EQ(skua_monitor_print(to), 0);
    fclose(to);
    CHECK(strncmp(text, "MEASURE ", 8) == 0);
    CHECK(strstr(text, "\nodd \"name\"? ") != NULL && strstr(text, " 12345 By") != NULL);
    free(text);
    skua_monitor_options_init(&options);
    options.json = 1;
    options.reset = 1;
    options.runtime = skua_runtime_current();
    CHECK_EQ(skua_monitor_report(&options, keep, &report), 0);
    CHECK(strncmp(report.text, "{\"lost\":", 8) == 0);
    CHECK(strstr(report.text, "{\"name\":\"odd \\\"name\\\"\\u000a\",\"unit\":\"By\",\"count\":1,"
                              "\"sum\":12345,") != NULL);
    CHECK(strstr(report.text, ",\"runtime\":{\"name\":") != NULL);
    CHECK(strcmp(report.text + strlen(report.text) - 3, "}}\n") == 0);
    CHECK(strchr(report.text, '\n') == report.text + strlen(report.text) - 1);
    CHECK_EQ(get("odd \"name\"\n").count, 0); /* reset */
    options.size = 2;
    CHECK_EQ(skua_monitor_report(&options, keep, &report), -EINVAL);
    CHECK_EQ(skua_monitor_report(NULL, NULL, NULL), -EINVAL);
    return 0;
}

/* A program may speak German; JSON has points. */
TEST_FIBER_CURRENT(json_knows_no_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    static skua_measure half = SKUA_MEASURE_OF("half", "By");
    static struct report report;
    const char *found = NULL;

    for (size_t i = 0; i < TEST_LEN(names) && found == NULL; i++)
        found = setlocale(LC_NUMERIC, names[i]);
    if (found == NULL)
        test_note("no locale with a comma here");
    skua_measure_record(&half, 1000000);
    skua_measure_record(&half, 1000001);
    CHECK_EQ(skua_monitor_report(SKUA_MONITOR_OPTIONS(.json = 1, .runtime = skua_runtime_current()),
                                 keep, &report),
             0);
    (void)setlocale(LC_NUMERIC, "C");
    CHECK(strstr(report.text, ",\"mean\":1000000.500,\"rate\":") != NULL);
    CHECK(strstr(report.text, ",\"seconds\":0.000,\"busy\":0.0000,\"alive\":") != NULL);
    return 0;
}

/* Controls steer terminals; letters are not controls, though their bytes may look like those of
 * another time. What is not UTF-8 is no letter. */
TEST_FIBER_CURRENT(names_of_other_tongues_are_shown)
{
    static skua_measure tongues =
        SKUA_MEASURE_OF("Gr\xc3\xb6\xc3\x9f\x65 \xe6\x97\xa5 \xc2\x9b\x1b[1m \x9b \xc3", "By");
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    skua_measure_record(&tongues, 1);
    CHECK_EQ(skua_monitor_print(to), 0);
    fclose(to);
    CHECK(strstr(text, "\nGr\xc3\xb6\xc3\x9f\x65 \xe6\x97\xa5 ??[1m ? ? ") != NULL);
    free(text);
    return 0;
}

TEST_FIBER_CLOCK(reports_in_a_rhythm)
{
    static struct report report;
    skua_scope scope;

    memset(&report, 0, sizeof report);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_monitor_every(&scope, 0, NULL, keep, &report), -EINVAL);
    CHECK_EQ(skua_monitor_every(&scope, SKUA_SECOND, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_monitor_every(&scope, SKUA_SECOND, NULL, keep, &report), 0);
    CHECK_EQ(skua_sleep(SKUA_SECOND * 3 + MS(500)), 0);
    CHECK_EQ(report.count, 3);
    CHECK(strstr(report.text, "runtime ") != NULL);
    skua_scope_cancel(&scope);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(report.count, 4); /* the last one */
    return 0;
}

TEST(metrics_need_no_sdk)
{
    CHECK_EQ(skua_monitor_metrics_begin(), 0);
    CHECK_EQ(skua_monitor_metrics_begin(), -EBUSY);
    skua_monitor_metrics_end();
    skua_monitor_metrics_end();
    CHECK_EQ(skua_monitor_metrics_begin(), 0);
    skua_monitor_metrics_end();
}

/* ---- failures -------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
static void *records_one(void *arg)
{
    skua_measure_record(arg, 1);
    return NULL;
}

TEST(no_memory)
{
    static skua_measure measure = SKUA_MEASURE_OF("poor", NULL);
    static struct report report;
    skua_measured measured = {.size = sizeof measured};
    uint64_t lost = skua_monitor_lost();
    unsigned n = 1;
    int rc;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    records_one(&measure);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_monitor_lost(), lost + 1);
    records_one(&measure);
    CHECK_EQ(get("poor").count, 1);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_monitor_get("poor", &measured), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_monitor_quantile("poor", 0.5), -ENOMEM);
    for (rc = -ENOMEM; rc == -ENOMEM && n < 20; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        rc = skua_monitor_report(NULL, keep, &report);
        CHECK_EQ(report.count, rc == 0);
    }
    CHECK_EQ(rc, 0);
    CHECK(n > 3);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
}
#endif

#ifdef SKUA_FAULTS
static int blocks(void)
{
    int count = 0;

    for (struct skua__measure_block *at = atomic_load(&skua__measure_blocks); at != NULL;
         at = at->next)
        count++;
    return count;
}

TEST(threads_that_come_and_go_take_no_more_memory)
{
    static skua_measure measure = SKUA_MEASURE_OF("come and go", NULL);
    int before = blocks();

    for (int i = 0; i < 20; i++) {
        pthread_t thread;

        MUST(pthread_create(&thread, NULL, records_one, &measure) == 0);
        pthread_join(thread, NULL);
    }
    CHECK_RANGE(blocks(), before, before + 1);
    CHECK_EQ(get("come and go").count, 20);
}
#endif

TEST(more_names_than_there_is_room_for)
{
    static skua_measure measures[300];
    static char names[300][16];
    skua_measured measured = {.size = sizeof measured};
    uint64_t lost = skua_monitor_lost();
    int64_t all;

    for (int i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "name %d", i);
        measures[i].name = names[i];
        skua_measure_record(&measures[i], i);
        skua_measure_record(&measures[i], i);
    }
    all = skua_monitor_lost() - lost;
    CHECK_RANGE(all, 2 * 45, 2 * 80);
    CHECK_EQ(all % 2, 0);
    CHECK_EQ(get("name 200").count, 2);
    CHECK_EQ(skua_monitor_get("name 299", &measured), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_counted),
        cmocka_unit_test(percentiles_are_within_1_6_percent),
        cmocka_unit_test(values_at_the_edges),
        cmocka_unit_test(a_block_is_measured_on_every_way_out),
        cmocka_unit_test(threads_count_without_loss_while_somebody_looks),
        cmocka_unit_test(threads_count_while_somebody_resets),
        cmocka_unit_test(figures_of_a_runtime_are_of_the_time_between),
        cmocka_unit_test(reports_as_a_table_and_as_json),
        cmocka_unit_test(json_knows_no_locale),
        cmocka_unit_test(names_of_other_tongues_are_shown),
        cmocka_unit_test(reports_in_a_rhythm),
        cmocka_unit_test(metrics_need_no_sdk),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory),
        cmocka_unit_test(threads_that_come_and_go_take_no_more_memory),
#endif
        cmocka_unit_test(more_names_than_there_is_room_for),
    };

    return TEST_MAIN(tests);
}
