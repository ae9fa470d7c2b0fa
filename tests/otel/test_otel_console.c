/* test_otel_console.c - spans, metrics and log records as lines, and metrics read in a rhythm.
 */
#include <locale.h>

#include <skua/otel/console.h>
#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/telemetry.h>

#include "otel/sdk/sdk_impl.h"

#include "../lib/harness.h"

static skua_tracer tracer = SKUA_TRACER("test.console", "1");

static int64_t soon(void)
{
    return skua_now() + TEST_LATE;
}

/* ---- the console ----------------------------------------------------------------------------- */

static void make_spans(void)
{
    SKUA_SPAN(outer, &tracer, "outer \x1b[2J", SKUA_I64("n", 7), SKUA_STR("s", "a\"b\n\xff"))
    {
        SKUA_SPAN(inner, &tracer, "inner", SKUA_F64("f", 0.5), SKUA_BOOL("b", 1))
        {
            SKUA_SPAN(leaf, &tracer, "leaf")
            {
                skua_span_event(leaf, "half", 0, NULL, 0);
            }
            skua_span_set_status(inner, SKUA_SPAN_ERROR, "broken");
        }
        (void)outer;
    }
}

static char *printed(unsigned json)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    MUST(stream != NULL);
    MUST(skua_otel_console_new(&to.exporter,
                               SKUA_OTEL_CONSOLE_OPTIONS(.stream = stream, .json = json)) == 0);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    make_spans();
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    (void)fclose(stream);
    return text;
}

TEST(lines_are_a_tree_and_move_no_cursor)
{
    char *text = printed(0);
    const char *outer = strstr(text, "ms  outer \\x1b[2J {n=7, s=a\"b\\x0a\xff}\n");
    const char *inner = strstr(text, "ms    inner {f=0.5, b=true}  error: broken\n");
    const char *leaf = strstr(text, "ms      leaf  [half]\n");

    CHECK(outer != NULL && inner != NULL && leaf != NULL);
    CHECK(outer < inner && inner < leaf);
    CHECK(strchr(text, '\x1b') == NULL);
    if (test_failures() != 0)
        test_note("%s", text);
    free(text);
}

TEST(json_is_one_object_a_line)
{
    char *text = printed(1);

    CHECK(strstr(text, "\"name\":\"outer \\u001b[2J\"") != NULL);
    CHECK(strstr(text, "\"attributes\":{\"n\":7,\"s\":\"a\\\"b\\u000a\xef\xbf\xbd\"}") != NULL);
    CHECK(strstr(text, "\"events\":[{\"time\":") != NULL);
    CHECK(strstr(text, "\"status\":\"error\",\"message\":\"broken\"") != NULL);
    CHECK(strstr(text, "\"scope\":\"test.console\"}\n") != NULL);
    CHECK(text[0] == '{' && strlen(text) > 0 && text[strlen(text) - 1] == '\n');
    if (test_failures() != 0)
        test_note("%s", text);
    free(text);
}

/* What the console prints of a batch. */
static char *printed_batch(const skua_otel_batch *batch, unsigned json)
{
    skua_otel_exporter *exporter;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    MUST(stream != NULL);
    MUST(skua_otel_console_new(&exporter,
                               SKUA_OTEL_CONSOLE_OPTIONS(.stream = stream, .json = json)) == 0);
    CHECK_EQ(exporter->ops->export_batch(exporter, batch, SKUA_FOREVER), 0);
    exporter->ops->free(exporter);
    (void)fclose(stream);
    return text;
}

/* What steers a terminal in two bytes (U+0080 to U+009F), or in one that is no UTF-8, is shown. */
TEST(lines_have_no_controls_of_two_bytes)
{
    const skua_attr attr = SKUA_STR("k", "\x9b\xc3\xa9\xc2\xa0");
    const skua_otel_span span = {.name = {"a\xc2\x9b"
                                          "2Jb",
                                          6},
                                 .end = 1000,
                                 .kind = 1,
                                 .attrs = {&attr, 1, 0}};
    const skua_otel_batch batch = {SKUA_OTEL_TRACES, 1, NULL, {.spans = &span}};
    char *text = printed_batch(&batch, 0);

    CHECK(strstr(text, "a\\xc2\\x9b2Jb {k=\\x9b\xc3\xa9\xc2\xa0}") != NULL);
    free(text);
}

/* JSON has a point, whatever people's numbers have. */
TEST(json_of_the_console_knows_no_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    static const double bounds[] = {2.5};
    static const uint64_t counts[] = {1, 0};
    const skua_otel_point point = {.has_sum = 1,
                                   .count = 1,
                                   .sum = 0.5,
                                   .bounds = bounds,
                                   .counts = counts,
                                   .bounds_count = 1};
    const skua_otel_metric metric = {
        .name = {"h", 1}, .type = SKUA_OTEL_HISTOGRAM, .points = &point, .points_count = 1};
    const skua_otel_batch batch = {SKUA_OTEL_METRICS, 1, NULL, {.metrics = &metric}};
    const char *found = NULL;
    char *text;

    for (size_t i = 0; i < TEST_LEN(names) && found == NULL; i++)
        found = setlocale(LC_NUMERIC, names[i]);
    if (found == NULL)
        test_note("no locale with a comma here");
    text = printed_batch(&batch, 1);
    (void)setlocale(LC_NUMERIC, "C");
    CHECK(strstr(text, "\"sum\":0.5,\"bounds\":[2.5],\"counts\":[1,0]") != NULL);
    free(text);
}

static void check_printed(const skua_otel_batch *batch, unsigned json, const char *wanted)
{
    char *text = printed_batch(batch, json);

    if (strcmp(text, wanted) != 0)
        test_note("%s", text);
    CHECK(strcmp(text, wanted) == 0);
    free(text);
}

/* A program may speak German; JSON has points. */
TEST(json_lines_know_no_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    const char *found = NULL;
    char *text;

    for (size_t i = 0; i < TEST_LEN(names) && found == NULL; i++)
        found = setlocale(LC_NUMERIC, names[i]);
    if (found == NULL)
        test_note("no locale with a comma here");
    text = printed(1);
    (void)setlocale(LC_NUMERIC, "C");
    CHECK(strstr(text, "{\"f\":0.5,\"b\":true}") != NULL);
    free(text);
}

TEST(metrics_have_a_line_a_point)
{
    skua_attr attr = SKUA_STR("k", "v");
    const double bounds[] = {1, 2};
    const uint64_t counts[] = {1, 0, 3};
    const skua_otel_point sums[] = {{.time = 7, .attrs = {.at = &attr, .count = 1}, .value.i64 = 5},
                                    {.time = 8, .is_f64 = 1, .value.f64 = 0.1}};
    const skua_otel_point spread = {.time = 9,
                                    .has_sum = 1,
                                    .has_min = 1,
                                    .has_max = 1,
                                    .count = 4,
                                    .sum = 8,
                                    .min = 0.5,
                                    .max = 3,
                                    .bounds = bounds,
                                    .counts = counts,
                                    .bounds_count = 2};
    const skua_otel_point none = {.time = 9};
    const skua_otel_metric metrics[] = {{.name = {"a\x1b", 2},
                                         .unit = {"By", 2},
                                         .type = SKUA_OTEL_SUM,
                                         .points = sums,
                                         .points_count = 2},
                                        {.name = {"h", 1},
                                         .unit = {"s", 1},
                                         .type = SKUA_OTEL_HISTOGRAM,
                                         .points = &spread,
                                         .points_count = 1},
                                        {.name = {"e", 1},
                                         .unit = {"1", 1},
                                         .type = SKUA_OTEL_EXPONENTIAL,
                                         .points = &none,
                                         .points_count = 1}};
    const skua_otel_batch batch = {
        .signal = SKUA_OTEL_METRICS, .count = 3, .items.metrics = metrics};

    check_printed(&batch, 0,
                  "a\\x1b {k=v}  5 By\n"
                  "a\\x1b  0.1 By\n"
                  "h  4 times, mean 2 s, 0.5 to 3\n"
                  "e  0 times\n");
    check_printed(&batch, 1,
                  "{\"metric\":\"a\\u001b\",\"unit\":\"By\",\"type\":\"sum\",\"time\":7,"
                  "\"attributes\":{\"k\":\"v\"},\"value\":5}\n"
                  "{\"metric\":\"a\\u001b\",\"unit\":\"By\",\"type\":\"sum\",\"time\":8,"
                  "\"attributes\":{},\"value\":0.1}\n"
                  "{\"metric\":\"h\",\"unit\":\"s\",\"type\":\"histogram\",\"time\":9,"
                  "\"attributes\":{},\"count\":4,\"sum\":8,\"min\":0.5,\"max\":3,"
                  "\"bounds\":[1,2],\"counts\":[1,0,3]}\n"
                  "{\"metric\":\"e\",\"unit\":\"1\",\"type\":\"exponential\",\"time\":9,"
                  "\"attributes\":{},\"count\":0,\"scale\":0}\n");
}

TEST(log_records_name_their_trace)
{
    static const skua_otel_scope scope = {.name = {"shop", 4}};
    skua_attr attr = SKUA_I64("n", 7);
    const skua_otel_log logs[] = {{.time = 1000000000123456789,
                                   .severity = SKUA_WARN,
                                   .trace_id = {0xab, [15] = 1},
                                   .span_id = {0xcd, [7] = 2},
                                   .body = SKUA_STR("", "a\nb"),
                                   .attrs = {.at = &attr, .count = 1},
                                   .scope = &scope},
                                  {.observed = 1000000000, .event_name = {"e", 1}, .severity = 99}};
    const skua_otel_batch batch = {.signal = SKUA_OTEL_LOGS, .count = 2, .items.logs = logs};

    check_printed(&batch, 0,
                  "01:46:40.123456 WARN  shop: a\\x0ab {n=7}"
                  " trace=ab000000000000000000000000000001 span=cd00000000000002\n"
                  "00:00:01.000000       \n");
    check_printed(&batch, 1,
                  "{\"time\":\"2001-09-09T01:46:40.123456Z\",\"severity\":\"WARN\","
                  "\"logger\":\"shop\",\"message\":\"a\\u000ab\","
                  "\"traceId\":\"ab000000000000000000000000000001\","
                  "\"spanId\":\"cd00000000000002\",\"attributes\":{\"n\":7}}\n"
                  "{\"time\":\"1970-01-01T00:00:01.000000Z\",\"severity\":\"\",\"event\":\"e\","
                  "\"attributes\":{}}\n");
}

TEST(bad_options_make_no_console)
{
    skua_otel_exporter *exporter;
    skua_otel_console_options options = {.size = 1};

    CHECK_EQ(skua_otel_console_new(&exporter, &options), -EINVAL);
    CHECK_EQ(skua_otel_console_new(&exporter, SKUA_OTEL_CONSOLE_OPTIONS(.json = 2)), -EINVAL);
}

/* ---- chosen by the environment --------------------------------------------------------------- */

static FILE *mine_stream;

static int make_mine(const skua_otel_provider *self, const skua_otel_properties *properties,
                     void **ret)
{
    CHECK(properties == NULL && strcmp(self->name, "mine") == 0);
    return skua_otel_console_new((skua_otel_exporter **)ret,
                                 SKUA_OTEL_CONSOLE_OPTIONS(.stream = mine_stream));
}

TEST(a_programs_own_exporter_is_named_by_the_environment)
{
    static const skua_otel_provider mine = {SKUA_OTEL_SPAN_EXPORTER, "mine", make_mine};
    static const char *const names[] = {"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER",
                                        "OTEL_LOGS_EXPORTER"};
    char *text = NULL;
    size_t size = 0;

    mine_stream = open_memstream(&text, &size);
    MUST(mine_stream != NULL && skua_otel_provide(&mine) == 0);
    for (unsigned i = 0; i < 3; i++)
        (void)setenv(names[i], i == 0 ? "mine" : "none", 1);
    MUST(skua_otel_start(NULL) == 0);
    SKUA_SPAN(span, &tracer, "work")
    skua_span_set(span, SKUA_I64("n", 7));
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    for (unsigned i = 0; i < 3; i++)
        (void)unsetenv(names[i]);
    (void)fclose(mine_stream);
    CHECK(strstr(text, " ms  work {n=7}\n") != NULL);
    free(text);
}

/* ---- metrics, which others collect ----------------------------------------------------------- */

static atomic_uint collects, fails;

static int collect(void *source, struct skua__batch *batch)
{
    static const skua_otel_scope scope = {.name = {"m", 1}, .version = {"", 0}};
    skua_otel_point *point = skua__batch_alloc(batch, sizeof *point);
    skua_otel_metric *metrics = skua__batch_alloc(batch, 5 * sizeof *metrics);

    MUST(source != NULL && point != NULL && metrics != NULL);
    atomic_fetch_add(&collects, 1);
    if (atomic_load(&fails) != 0)
        return -EIO;
    *point = (skua_otel_point){.time = 1, .value.i64 = 1};
    for (int i = 0; i < 5; i++)
        metrics[i] = (skua_otel_metric){.name = {"n", 1},
                                        .description = {"", 0},
                                        .unit = {"", 0},
                                        .type = SKUA_OTEL_GAUGE,
                                        .points = point,
                                        .points_count = 1,
                                        .scope = &scope};
    batch->data.items.metrics = metrics;
    batch->data.count = 5;
    return 0;
}

TEST(metrics_are_collected_in_a_rhythm_at_a_flush_and_at_the_end)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_METRICS, .delay = MS(5), .max_batch = 2};
    skua_otel_destination_counts counts;
    skua_otel_exporter *memory;
    int64_t until = soon();
    unsigned before;

    skua__sdk_collecting = collect;
    atomic_store(&collects, 0);
    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    while (atomic_load(&collects) < 3 && skua_now() < until)
        test_thread_sleep(MS(1));
    CHECK(atomic_load(&collects) >= 3);
    before = atomic_load(&collects);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK(atomic_load(&collects) > before);
    atomic_store(&fails, 1);
    CHECK_EQ(skua_otel_flush(soon()), -EIO);
    atomic_store(&fails, 0);
    before = atomic_load(&collects);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK(atomic_load(&collects) > before);
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_EQ(counts.exported % 5, 0);
    CHECK_EQ(counts.exports, counts.exported / 5 * 3); /* of two, two and one */
    CHECK_EQ(skua_otel_memory_metrics(memory, NULL, 0), counts.exported);
    skua_otel_memory_free(memory);
    skua__sdk_collecting = skua__sdk_collect;
}

/* ---- faults ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(a_start_without_memory_leaves_nothing_behind)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    unsigned failed = 0;
    int rc = -1;

    for (unsigned nth = 1; nth < 200 && rc != 0; nth++) {
        MUST(skua_otel_console_new(&to.exporter, NULL) == 0);
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        failed += rc != 0;
        if (rc != 0) {
            CHECK_EQ(rc, -ENOMEM);
            CHECK(skua_trace_installed() == NULL);
            to.exporter->ops->free(to.exporter);
        } else {
            CHECK_EQ(skua_otel_shutdown(soon()), 0);
        }
    }
    CHECK(failed > 5);
    test_note("%u points", failed);
}

/* Whatever fails while spans are made, all of them are accounted for. */
TEST(spans_without_memory_are_counted)
{
    skua_otel_destination to = {.max_queue = 10000};
    skua_otel_exporter *memory;
    skua_otel_counts before, after;
    skua_otel_destination_counts counts;
    size_t there;
    unsigned made = 0;

    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    skua_otel_stats(&before);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    for (unsigned i = 0; i < 300; i++) {
        skua_span *span;

        skua__fault_arm(SKUA__FAULT_MALLOC, i % 7 + 1, 1, ENOMEM);
        span = skua_span_start(&tracer,
                               "a name that is so long that it has no room inside of what "
                               "a span is made of, so that memory is needed for it",
                               NULL);
        made += span != NULL;
        skua_span_set(span, SKUA_STR("k", "v"));
        skua_span_set_status(span, SKUA_SPAN_ERROR, "text");
        skua_span_end(span);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    (void)skua_otel_flush(soon()); /* telemetry's thread may have met a fault, too */
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    there = skua_otel_memory_spans(memory, NULL, 0);
    skua_otel_stats(&after);
    CHECK_EQ(after.spans_sampled - before.spans_sampled, made);
    CHECK_EQ(there + (after.lost - before.lost) + counts.full + counts.failed, 300);
    (void)skua_otel_shutdown(soon());
    skua_otel_memory_free(memory);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_a_tree_and_move_no_cursor),
        cmocka_unit_test(json_is_one_object_a_line),
        cmocka_unit_test(json_lines_know_no_locale),
        cmocka_unit_test(lines_have_no_controls_of_two_bytes),
        cmocka_unit_test(json_of_the_console_knows_no_locale),
        cmocka_unit_test(metrics_have_a_line_a_point),
        cmocka_unit_test(log_records_name_their_trace),
        cmocka_unit_test(bad_options_make_no_console),
        cmocka_unit_test(a_programs_own_exporter_is_named_by_the_environment),
        cmocka_unit_test(metrics_are_collected_in_a_rhythm_at_a_flush_and_at_the_end),
#ifdef SKUA_FAULTS
        cmocka_unit_test(a_start_without_memory_leaves_nothing_behind),
        cmocka_unit_test(spans_without_memory_are_counted),
#endif
    };

    return TEST_MAIN(tests);
}
