/* test_otel_scopes.c - what a file says of tracers, meters and loggers by their names, and of the
 * cardinality of a reader's kinds of instruments.
 */
#include <stdlib.h>
#include <unistd.h>

#include <skua/log.h>
#include <skua/metric.h>
#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/trace.h>

#include "../lib/harness.h"

static skua_tracer loud = SKUA_TRACER("loud", "1"), noisy = SKUA_TRACER("noisy.db", "1");
static skua_logger said = SKUA_LOGGER("said"), quiet = SKUA_LOGGER("quiet.db");
static skua_logger worse = SKUA_LOGGER("worse"), traced = SKUA_LOGGER("traced");
static const skua_meter counted = SKUA_METER("counted", "1"), idle = SKUA_METER("idle.db", "1");
static skua_counter works = SKUA_COUNTER(&counted, "works", "{work}", "Work");
static skua_counter idles = SKUA_COUNTER(&idle, "idles", "{work}", "No work");
static skua_histogram took = SKUA_HISTOGRAM(&counted, "took", "s", "Time");

static const char scopes[] = "file_format: '1.1'\n"
                             "tracer_provider:\n"
                             "  processors: [{simple: {exporter: {console: }}}]\n"
                             "  tracer_configurator/development:\n"
                             "    tracers: [{name: 'noisy.*', config: {enabled: false}}]\n"
                             "meter_provider:\n"
                             "  readers: [{periodic: {exporter: {console: }}}]\n"
                             "  meter_configurator/development:\n"
                             "    default_config: {enabled: false}\n"
                             "    meters: [{name: count?d, config: {enabled: true}}]\n"
                             "logger_provider:\n"
                             "  processors: [{simple: {exporter: {console: }}}]\n"
                             "  logger_configurator/development:\n"
                             "    loggers:\n"
                             "      - {name: 'quiet.*', config: {enabled: false}}\n"
                             "      - {name: worse, config: {minimum_severity: warn}}\n"
                             "      - {name: traced, config: {trace_based: true}}\n";

static int64_t soon(void)
{
    return skua_now() + 2 * TEST_LATE;
}

static bool has_metric(skua_otel_reader *reader, const char *name)
{
    skua_otel_collected *got;
    bool has = false;

    MUST(skua_otel_collect(reader, &got) == 0);
    for (uint32_t i = 0; i < got->batch.count; i++)
        has = has || (got->batch.items.metrics[i].name.len == strlen(name) &&
                      memcmp(got->batch.items.metrics[i].name.at, name, strlen(name)) == 0);
    skua_otel_collected_free(got);
    return has;
}

/* Of all that could be said, what is on comes; twice, with other loggers and tracers the second
 * time: answers that were kept are of one start. */
static void say(bool all)
{
    const skua_span_context unsampled = {.trace_id = {1}, .span_id = {2}, .remote = 1};
    skua_span_frame frame;
    skua_span *span = skua_span_start(&noisy, "off", NULL);

    CHECK((span != NULL) == all);
    skua_span_end(span);
    skua_span_end(skua_span_start(&loud, "on", NULL));
    skua_counter_add(&works, 1);
    skua_counter_add(&idles, 1);
    skua_log_at(&said, SKUA_INFO, "1");
    skua_log_at(&quiet, SKUA_FATAL, "2");
    skua_log_at(&worse, SKUA_INFO, "3");
    skua_log_at(&worse, SKUA_WARN, "4");
    skua_log_at(&traced, SKUA_INFO, "5");
    MUST(skua_trace_attach(&frame, &unsampled) == 0);
    skua_log_at(&traced, SKUA_INFO, "6");
    skua_log_at(&said, SKUA_INFO, "7");
    CHECK_EQ(skua_log_enabled(&traced, SKUA_INFO, NULL), all);
    (void)skua_span_leave(&frame);
}

static void started(skua_otel_config *config, bool all)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    skua_otel_destination to[2];
    skua_otel_exporter *memory;
    skua_otel_log logs[8];
    int times[10] = {0};

    MUST(reader != NULL && skua_otel_memory_new(&memory) == 0);
    to[0] = (skua_otel_destination){.signal = SKUA_OTEL_TRACES, .exporter = memory};
    to[1] = (skua_otel_destination){.signal = SKUA_OTEL_LOGS, .exporter = memory};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = to, .destinations_count = 2,
                                           .config = config, .environment_off = 1,
                                           .readers = &reader, .readers_count = 1)) == 0);
    say(all);
    say(all); /* by the answers that are kept */
    CHECK_EQ(skua_otel_flush(soon()), 0);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), all ? 4 : 2);
    CHECK_EQ(skua_otel_memory_logs(memory, logs, 8), all ? 14 : 8);
    for (int i = 0; i < (all ? 0 : 8); i++) /* those of a logger stand together */
        times[logs[i].body.value.str[0] - '0']++;
    for (int i = 0; i < (all ? 0 : 8); i++)
        CHECK_EQ(times[i], i == 1 || i == 4 || i == 5 || i == 7 ? 2 : 0);
    CHECK(has_metric(reader, "works"));
    CHECK_EQ(has_metric(reader, "idles"), all);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_memory_free(memory);
    skua_otel_reader_free(reader);
}

/* Answers that were kept are of one start: another file says the contrary. */
static void started_otherwise(void)
{
    static const char text[] =
        "file_format: '1.1'\n"
        "tracer_provider:\n"
        "  processors: [{simple: {exporter: {console: }}}]\n"
        "  tracer_configurator/development: {tracers: [{name: loud, config: {enabled: false}}]}\n";
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    skua_otel_exporter *memory;
    skua_otel_config *config;

    MUST(skua_otel_config_parse_text(text, sizeof text - 1, NULL, &config) == 0);
    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .config = config, .environment_off = 1)) == 0);
    CHECK(skua_span_start(&loud, "off", NULL) == NULL);
    skua_span_end(skua_span_start(&noisy, "on", NULL));
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    CHECK_EQ(skua_otel_memory_spans(memory, NULL, 0), 1);
    skua_otel_memory_free(memory);
}

TEST(scopes_are_on_as_a_file_says)
{
    skua_otel_config_fault fault;
    skua_otel_config *config;
    int rc = skua_otel_config_parse_text(scopes, sizeof scopes - 1, &fault, &config);

    if (rc == -ENOSYS)
        return; /* built without libyaml */
    if (!CHECK_EQ(rc, 0))
        test_note("line %d: %s", fault.line, fault.text);
    MUST(rc == 0);
    started(NULL, true);
    started(config, false);
    started(NULL, true);
    started_otherwise();
}

/* ---- cardinality ----------------------------------------------------------------------------- */

static bool file_has(const char *path, const char *text, const char *after)
{
    static char all[65536];
    FILE *in = fopen(path, "r");
    const char *at;

    MUST(in != NULL);
    all[fread(all, 1, sizeof all - 1, in)] = '\0';
    (void)fclose(in);
    at = strstr(all, after);
    return at != NULL && strstr(at, text) != NULL;
}

TEST(kinds_of_instruments_have_their_own_limits)
{
    char path[] = "/tmp/skua_scopes_XXXXXX", out[64], text[512];
    skua_otel_config_fault fault;
    skua_otel_config *config;
    int rc;

    MUST(mkdtemp(path) != NULL);
    (void)snprintf(out, sizeof out, "%s/out.jsonl", path);
    (void)snprintf(text, sizeof text,
                   "file_format: '1.1'\n"
                   "meter_provider:\n"
                   "  readers:\n"
                   "    - periodic:\n"
                   "        exporter: {otlp_file/development: {output_stream: 'file://%s'}}\n"
                   "        max_export_batch_size/development: 3\n"
                   "        cardinality_limits: {default: 3, histogram: 9}\n"
                   "  views: [{selector: {instrument_name: 'otel.sdk.*'},\n"
                   "           stream: {aggregation: {drop: }}}]\n",
                   out);
    rc = skua_otel_config_parse_text(text, strlen(text), &fault, &config);
    if (rc != -ENOSYS) {
        MUST(rc == 0);
        MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.config = config, .environment_off = 1)) == 0);
        for (int64_t i = 0; i < 6; i++) {
            skua_counter_add(&works, 1, SKUA_I64("which", i));
            skua_histogram_record(&took, 1.0, SKUA_I64("which", i));
        }
        CHECK_EQ(skua_otel_shutdown(soon()), 0);
        CHECK(file_has(out, "otel.metric.overflow", "\"works\""));
        CHECK(!file_has(out, "otel.metric.overflow", "\"took\""));
        CHECK(file_has(out, "\n{", "\"works\"")); /* in parts of 3 points */
        CHECK(file_has(out, "\"took\"", "\n"));
        (void)unlink(out);
    }
    (void)rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_are_on_as_a_file_says),
        cmocka_unit_test(kinds_of_instruments_have_their_own_limits),
    };

    return TEST_MAIN(tests);
}
