/* test_otel_start.c - telemetry started by the environment: what goes where, and who wins.
 *
 * A server of the test's receives it, and counts requests by path.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skua/http/server.h>
#include <skua/log.h>
#include <skua/metric.h>
#include <skua/otel/memory.h>
#include <skua/otel/sdk.h>
#include <skua/propagation.h>
#include <skua/trace.h>

#include "../http/served.h"
#include "otel/core/otel_warn.h"

static skua_tracer tracer = SKUA_TRACER("test.start", "1");
static skua_logger logger = SKUA_LOGGER("test.start");
static const skua_meter meter = SKUA_METER("test.start", "1");
static skua_counter works = SKUA_COUNTER(&meter, "works", "{work}", "Work");

/* ---- who receives it ------------------------------------------------------------------------- */

enum { TRACES, METRICS, LOGS, OTHERS, PATHS };

static struct collector {
    struct served served;
    atomic_uint got[PATHS];
    atomic_uint json, gzip, keyed;
    atomic_bool hangs;
    char url[128];
} collector;

static bool header_is(skua_http_exchange *exchange, const char *name, const char *value)
{
    const char *text = skua_http_header(exchange, name);

    return text != NULL && strcmp(text, value) == 0;
}

static int collect(skua_http_exchange *exchange, void *state)
{
    static const char *const paths[] = {"/v1/traces", "/v1/metrics", "/v1/logs"};
    unsigned which = TRACES;

    (void)state;
    if (atomic_load(&collector.hangs))
        return skua_sleep(SKUA_FOREVER);
    while (which < OTHERS && strcmp(skua_http_path(exchange), paths[which]) != 0)
        which++;
    atomic_fetch_add(&collector.got[which], 1);
    atomic_fetch_add(&collector.json, header_is(exchange, "content-type", "application/json"));
    atomic_fetch_add(&collector.gzip, header_is(exchange, "content-encoding", "gzip"));
    atomic_fetch_add(&collector.keyed, header_is(exchange, "x-key", "secret"));
    return skua_http_reply(exchange, 200, "application/x-protobuf", "", 0);
}

static void collector_begin(void)
{
    memset(&collector, 0, sizeof collector);
    served_begin(&collector.served, collect, NULL,
                 SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(200)));
    (void)snprintf(collector.url, sizeof collector.url, "http://%s", collector.served.address);
}

/* ---- the environment ------------------------------------------------------------------------- */

static const char *const names[] = {"OTEL_SDK_DISABLED",
                                    "OTEL_TRACES_EXPORTER",
                                    "OTEL_METRICS_EXPORTER",
                                    "OTEL_LOGS_EXPORTER",
                                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                                    "OTEL_EXPORTER_OTLP_PROTOCOL",
                                    "OTEL_EXPORTER_OTLP_HEADERS",
                                    "OTEL_EXPORTER_OTLP_COMPRESSION",
                                    "OTEL_EXPORTER_OTLP_TIMEOUT",
                                    "OTEL_EXPORTER_PROMETHEUS_PORT",
                                    "OTEL_EXPORTER_ZIPKIN_ENDPOINT",
                                    "OTEL_BSP_MAX_QUEUE_SIZE",
                                    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                                    "OTEL_BSP_SCHEDULE_DELAY",
                                    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
                                    "OTEL_TRACES_SAMPLER",
                                    "OTEL_RESOURCE_ATTRIBUTES",
                                    "OTEL_PROPAGATORS",
                                    "OTEL_METRIC_EXPORT_INTERVAL",
                                    "OTEL_CONFIG_FILE"};

static char warned[2048];

static void warns(void *arg, const char *line)
{
    size_t len = strlen(warned);

    (void)arg;
    (void)snprintf(warned + len, sizeof warned - len, "%s\n", line);
}

static void forget(void)
{
    for (size_t i = 0; i < TEST_LEN(names); i++)
        (void)unsetenv(names[i]);
    warned[0] = '\0';
}

static void set(const char *name, const char *value)
{
    (void)setenv(name, value, 1);
}

static int64_t soon(void)
{
    return skua_now() + 2 * TEST_LATE;
}

static void work(void)
{
    SKUA_SPAN(span, &tracer, "work", SKUA_I64("a", 1), SKUA_I64("b", 2))
    {
        skua_counter_add(&works, 1);
        skua_log_at(&logger, SKUA_INFO, "worked");
    }
}

/* ---- which exporter -------------------------------------------------------------------------- */

/* One start by the environment, with work of all kinds. */
static int started(void)
{
    int rc = skua_otel_start(SKUA_OTEL_OPTIONS(.on_warning = warns));

    if (rc != 0)
        return rc;
    work();
    return skua_otel_shutdown(soon());
}

static const struct row {
    const char *name, *value, *name2, *value2;
    unsigned traces, metrics, logs; /* requests that come */
    unsigned json, gzip, keyed;
    const char *warning; /* NULL: none */
} rows[] = {
    {"OTEL_BSP_MAX_QUEUE_SIZE", "", NULL, NULL, 1, 1, 1, 0, 0, 0, NULL},
    {"OTEL_TRACES_EXPORTER", "none", NULL, NULL, 0, 1, 1, 0, 0, 0, NULL},
    {"OTEL_METRICS_EXPORTER", "none", NULL, NULL, 1, 0, 1, 0, 0, 0, NULL},
    {"OTEL_LOGS_EXPORTER", "none", NULL, NULL, 1, 1, 0, 0, 0, 0, NULL},
    {"OTEL_TRACES_EXPORTER", "otlp", NULL, NULL, 1, 1, 1, 0, 0, 0, NULL},
    {"OTEL_TRACES_EXPORTER", "smoke", NULL, NULL, 1, 1, 1, 0, 0, 0, "\"smoke\" is not known"},
    {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", NULL, NULL, 1, 1, 1, 3, 0, 0, NULL},
    {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", NULL, NULL, 1, 1, 1, 0, 3, 0, NULL},
    {"OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret", NULL, NULL, 1, 1, 1, 0, 0, 3, NULL},
    {"OTEL_SDK_DISABLED", "true", NULL, NULL, 0, 0, 0, 0, 0, 0, NULL},
    {"OTEL_SDK_DISABLED", "yes", NULL, NULL, 1, 1, 1, 0, 0, 0, "OTEL_SDK_DISABLED"},
    {"OTEL_TRACES_SAMPLER", "always_off", NULL, NULL, 0, 1, 1, 0, 0, 0, NULL},
    {"OTEL_METRICS_EXPORTER", "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT", "0", 1, 0, 1, 0, 0, 0,
     NULL},
    {"OTEL_TRACES_EXPORTER", "zipkin", "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "localhost:9411", 0, 1, 1,
     0, 0, 0, "cannot be made"},
    /* No pause would be no end, and the longest one is beyond the clock's. */
    {"OTEL_METRIC_EXPORT_INTERVAL", "0", NULL, NULL, 1, 1, 1, 0, 0, 0, "METRIC_EXPORT_INTERVAL"},
    {"OTEL_BSP_MAX_QUEUE_SIZE", "2147483647", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2147483647", 1, 1,
     1, 0, 0, 0, NULL},
    {"OTEL_METRIC_EXPORT_INTERVAL", "9223372036854", "OTEL_EXPORTER_OTLP_TIMEOUT", "9223372036854",
     1, 1, 1, 0, 0, 0, NULL},
};

TEST_FIBER_CURRENT(the_environment_says_what_goes_where)
{
    collector_begin();
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        const struct row *row = &rows[i];

        forget();
        for (unsigned j = 0; j < PATHS; j++)
            atomic_store(&collector.got[j], 0);
        atomic_store(&collector.json, 0);
        atomic_store(&collector.gzip, 0);
        atomic_store(&collector.keyed, 0);
        set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url);
        set(row->name, row->value);
        if (row->name2 != NULL)
            set(row->name2, row->value2);
        CHECK_EQ(started(), 0);
        if (atomic_load(&collector.got[TRACES]) != row->traces ||
            atomic_load(&collector.got[METRICS]) != row->metrics ||
            atomic_load(&collector.got[LOGS]) != row->logs ||
            (warned[0] != '\0') != (row->warning != NULL))
            test_note("%s=%s: %s", row->name, row->value, warned);
        CHECK_EQ(atomic_load(&collector.got[TRACES]), row->traces);
        CHECK_EQ(atomic_load(&collector.got[METRICS]), row->metrics);
        CHECK_EQ(atomic_load(&collector.got[LOGS]), row->logs);
        CHECK_EQ(atomic_load(&collector.got[OTHERS]), 0);
        CHECK_EQ(atomic_load(&collector.json), row->json);
        CHECK_EQ(atomic_load(&collector.gzip), row->gzip);
        CHECK_EQ(atomic_load(&collector.keyed), row->keyed);
        CHECK(row->warning == NULL ? warned[0] == '\0' : strstr(warned, row->warning) != NULL);
    }
    forget();
    served_end(&collector.served);
    return 0;
}

/* ---- who wins -------------------------------------------------------------------------------- */

static skua_otel_exporter *start_memory(skua_otel_options *options)
{
    static skua_otel_destination to;
    skua_otel_exporter *memory;

    MUST(skua_otel_memory_new(&memory) == 0);
    to = (skua_otel_destination){.exporter = memory};
    options->destinations = &to;
    options->destinations_count = 1;
    MUST(skua_otel_start(options) == 0);
    return memory;
}

static void stop_memory(skua_otel_exporter *memory)
{
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_memory_free(memory);
}

static bool has_key(const skua_otel_attrs *attrs, const char *key, const char *text)
{
    for (uint32_t i = 0; i < attrs->count; i++)
        if (strcmp(attrs->at[i].key, key) == 0)
            return text == NULL || (attrs->at[i].count == strlen(text) &&
                                    memcmp(attrs->at[i].value.str, text, strlen(text)) == 0);
    return false;
}

TEST(options_come_before_the_environment)
{
    const skua_attr who[] = {SKUA_STR("service.name", "said")};
    skua_otel_destination_counts counts;
    skua_otel_exporter *memory;
    skua_otel_options options;
    skua_otel_span got[1];

    forget();
    set("OTEL_RESOURCE_ATTRIBUTES", "service.name=env,place=here");
    set("OTEL_BSP_MAX_QUEUE_SIZE", "77");
    set("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1");
    skua_otel_options_init(&options);
    options.resource = who;
    options.resource_count = 1;
    memory = start_memory(&options);
    work();
    CHECK_EQ(skua_otel_flush(soon()), 0);
    MUST(skua_otel_memory_spans(memory, got, 1) == 1);
    CHECK_EQ(got[0].attrs.count, 1);
    CHECK_EQ(got[0].attrs.dropped, 1);
    CHECK(has_key(&skua_otel_memory_resource(memory)->attrs, "service.name", "said"));
    CHECK(has_key(&skua_otel_memory_resource(memory)->attrs, "place", "here"));
    CHECK(has_key(&skua_otel_memory_resource(memory)->attrs, "process.pid", NULL));
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_EQ(counts.capacity, 77);
    CHECK_EQ(skua_otel_destination_stats(1, &counts), -ENOENT);
    stop_memory(memory);
    options.limits.attrs = 2;
    options.environment_off = 1;
    memory = start_memory(&options);
    work();
    CHECK_EQ(skua_otel_flush(soon()), 0);
    MUST(skua_otel_memory_spans(memory, got, 1) == 1);
    CHECK_EQ(got[0].attrs.count, 2);
    CHECK(!has_key(&skua_otel_memory_resource(memory)->attrs, "place", NULL));
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_EQ(counts.capacity, 2048);
    stop_memory(memory);
    forget();
}

TEST(disabled_it_is_off_and_context_travels)
{
    skua_otel_exporter *memory;
    skua_otel_options options;

    forget();
    set("OTEL_SDK_DISABLED", "true");
    set("OTEL_PROPAGATORS", "b3");
    skua_otel_options_init(&options);
    memory = start_memory(&options);
    CHECK(skua_trace_installed() == NULL);
    CHECK(skua_metric_installed() == NULL);
    CHECK(skua_log_installed() == NULL);
    CHECK(skua_propagation() != skua_propagator_named("tracecontext"));
    stop_memory(memory);
    forget();
    memory = start_memory(&options);
    CHECK(skua_trace_installed() != NULL);
    stop_memory(memory);
}

/* What telemetry says of its own work are warnings. */
TEST(the_level_of_its_own_messages)
{
    static const struct {
        const char *level;
        bool said;
    } levels[] = {
        {"info", true}, {"warn", true}, {"warn4", true}, {"error", false}, {"none", false}};

    for (size_t i = 0; i < TEST_LEN(levels); i++) {
        forget();
        set("OTEL_LOG_LEVEL", levels[i].level);
        set("OTEL_METRICS_EXPORTER", "none");
        set("OTEL_LOGS_EXPORTER", "none");
        set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.on_warning = warns)) == 0);
        work();
        /* Time for one try; then the pause before the next is cut off. */
        (void)skua_otel_shutdown(skua_now() + (TEST_SANITIZED ? MS(600) : MS(200)));
        (void)skua_otel_shutdown(soon()); /* the first one's end */
        if (!CHECK_EQ(warned[0] != '\0', levels[i].said))
            test_note("%s: %s", levels[i].level, warned);
        CHECK(!levels[i].said ||
              strstr(warned, "ECONNREFUSED") != NULL); /* not: cancelled, alone */
    }
    (void)unsetenv("OTEL_LOG_LEVEL");
    forget();
}

TEST(a_file_that_is_wrong_is_an_error)
{
    forget();
    set("OTEL_CONFIG_FILE", "/nowhere/otel.yaml");
    CHECK(skua_otel_start(SKUA_OTEL_OPTIONS(.on_warning = warns)) < 0);
    CHECK(strstr(warned, "/nowhere/otel.yaml") != NULL);
    CHECK(skua_trace_installed() == NULL);
    forget();
}

static const char file[] =
    "file_format: '1.1'\n"
    "resource:\n"
    "  attributes: [{name: service.name, value: shop}]\n"
    "tracer_provider:\n"
    "  processors:\n"
    "    - batch: {exporter: {otlp_http: {endpoint: '${START_URL}/v1/traces', encoding: json}}}\n"
    "meter_provider:\n"
    "  readers:\n"
    "    - periodic: {exporter: {otlp_file/development: {output_stream: 'file://${START_OUT}'}}}\n"
    "  views:\n"
    "    - {selector: {instrument_name: works}, stream: {name: done}}\n"
    "    - {selector: {instrument_name: otel.sdk.*}, stream: {aggregation: {drop: }}}\n";

static void write_file(const char *path)
{
    FILE *out = fopen(path, "w");

    MUST(out != NULL && fputs(file, out) >= 0 && fclose(out) == 0);
}

static bool file_has(const char *path, const char *text)
{
    static char all[65536];
    FILE *in = fopen(path, "r");

    if (in == NULL)
        return false;
    all[fread(all, 1, sizeof all - 1, in)] = '\0';
    (void)fclose(in);
    return strstr(all, text) != NULL;
}

/* Its exporters, views and resource, and nothing of what variables say. */
TEST_FIBER_CURRENT(a_file_says_it_all)
{
    char path[] = "/tmp/skua_start_XXXXXX", yaml[64], out[64];
    int rc;

    forget();
    MUST(mkdtemp(path) != NULL);
    (void)snprintf(yaml, sizeof yaml, "%s/otel.yaml", path);
    (void)snprintf(out, sizeof out, "%s/out.jsonl", path);
    write_file(yaml);
    collector_begin();
    set("OTEL_CONFIG_FILE", yaml);
    set("OTEL_TRACES_EXPORTER", "none");
    set("START_URL", collector.url);
    set("START_OUT", out);
    rc = started();
    if (rc != -ENOSYS) { /* built without libyaml */
        CHECK_EQ(rc, 0);
        CHECK_EQ(atomic_load(&collector.got[TRACES]), 1);
        CHECK_EQ(atomic_load(&collector.json), 1);
        CHECK_EQ(atomic_load(&collector.got[METRICS]) + atomic_load(&collector.got[LOGS]), 0);
        CHECK(file_has(out, "\"done\""));
        CHECK(file_has(out, "\"shop\""));
        CHECK(!file_has(out, "\"works\""));
        CHECK(!file_has(out, "otel.sdk."));
        CHECK(warned[0] == '\0');
    }
    (void)unlink(out);
    (void)unlink(yaml);
    (void)rmdir(path);
    forget();
    served_end(&collector.served);
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The collector never answers. */
TEST_FIBER_CURRENT(a_shutdown_ends_in_time_with_metrics_too)
{
    int64_t began;
    int rc;

    forget();
    collector_begin();
    atomic_store(&collector.hangs, true);
    set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.on_warning = warns)) == 0);
    work();
    began = skua_now();
    rc = skua_otel_shutdown(began + MS(100));
    CHECK_EQ(rc, -ETIMEDOUT);
    CHECK(skua_now() - began < MS(100) + TEST_LATE);
    do
        rc = skua_otel_shutdown(soon());
    while (rc == -ETIMEDOUT);
    CHECK_EQ(rc, 0);
    CHECK(skua_metric_installed() == NULL);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1)) == 0);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    forget();
    served_end(&collector.served);
    return 0;
}

/* ---- telemetry's own numbers ----------------------------------------------------------------- */

static const skua_otel_metric *metric_of(const skua_otel_collected *got, const char *name)
{
    for (uint32_t i = 0; i < got->batch.count; i++)
        if (got->batch.items.metrics[i].name.len == strlen(name) &&
            memcmp(got->batch.items.metrics[i].name.at, name, strlen(name)) == 0)
            return &got->batch.items.metrics[i];
    return NULL;
}

TEST(telemetry_says_what_it_does)
{
    static const char *const all[] = {"otel.sdk.span.started",
                                      "otel.sdk.processor.span.queue.size",
                                      "otel.sdk.log.created",
                                      "otel.sdk.processor.span.queue.capacity",
                                      "otel.sdk.exporter.span.inflight",
                                      "otel.sdk.processor.span.processed",
                                      "otel.sdk.exporter.span.exported"};

    for (unsigned off = 0; off < 2; off++) {
        skua_otel_reader *reader = skua_otel_reader_new(NULL);
        skua_otel_exporter *memory;
        skua_otel_collected *got;
        skua_otel_options options;
        const skua_otel_metric *metric;

        MUST(reader != NULL);
        skua_otel_options_init(&options);
        options.environment_off = 1;
        options.readers = &reader;
        options.readers_count = 1;
        options.self_metrics_off = off;
        memory = start_memory(&options);
        work();
        CHECK_EQ(skua_otel_flush(soon()), 0);
        MUST(skua_otel_collect(reader, &got) == 0);
        for (size_t i = 0; i < TEST_LEN(all); i++)
            CHECK((metric_of(got, all[i]) != NULL) == (off == 0));
        CHECK(metric_of(got, "works") != NULL);
        metric = metric_of(got, "otel.sdk.exporter.span.exported");
        if (metric != NULL) {
            CHECK_EQ(metric->points_count, 1);
            CHECK_EQ(metric->points[0].value.i64, 1);
            CHECK(has_key(&metric->points[0].attrs, "otel.component.name",
                          "in_memory_span_exporter/0"));
        }
        skua_otel_collected_free(got);
        stop_memory(memory);
        CHECK_EQ(skua_otel_collect(reader, &got), -ENOENT);
        skua_otel_reader_free(reader);
    }
}

/* ---- forks ----------------------------------------------------------------------------------- */

static int child(skua_otel_reader *reader)
{
    skua_otel_collected *got;
    const skua_otel_metric *metric;

    work();
    if (skua_otel_flush(soon()) != 0 || skua_otel_collect(reader, &got) != 0)
        return 2;
    metric = metric_of(got, "works");
    if (metric == NULL || metric->points[0].value.i64 != 1)
        return 3;
    skua_otel_collected_free(got);
    return skua_otel_shutdown(soon()) == 0 && skua_metric_installed() == NULL ? 0 : 4;
}

/* What the parent has counted is its own. */
TEST(the_child_of_a_fork_counts_anew)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    skua_otel_exporter *memory;
    skua_otel_options options;
    int status = 0;
    pid_t pid;

    if (TEST_TSAN)
        return; /* it allows no thread in a child */
    MUST(reader != NULL);
    forget();
    skua_otel_options_init(&options);
    options.environment_off = 1;
    options.readers = &reader;
    options.readers_count = 1;
    memory = start_memory(&options);
    work();
    work();
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        _exit(child(reader));
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    stop_memory(memory);
    skua_otel_reader_free(reader);
}

/* A child that makes no span, and shuts down: what it has counted is sent. */
TEST(the_child_of_a_fork_sends_metrics_without_a_span)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_METRICS};
    int status = 0;
    pid_t pid;

    if (TEST_TSAN)
        return; /* it allows no thread in a child */
    MUST(skua_otel_memory_new(&to.exporter) == 0);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .destinations = &to,
                                           .destinations_count = 1)) == 0);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        skua_otel_destination_counts counts = {.exported = 0};

        skua_counter_add(&works, 1);
        if (skua_otel_shutdown(soon()) != 0 || skua_otel_destination_stats(0, &counts) != 0)
            _exit(2);
        _exit(counts.exported != 0 ? 0 : 3);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    stop_memory(to.exporter);
}

/* Where nobody gets spans none is recorded: in the child neither. */
TEST(the_child_of_a_fork_records_no_spans_for_nobody)
{
    static skua_tracer spans = SKUA_TRACER("test.forked", "1");
    skua_otel_destination to = {.signal = SKUA_OTEL_METRICS};
    int status = 0;
    pid_t pid;

    if (TEST_TSAN)
        return; /* it allows no thread in a child */
    MUST(skua_otel_memory_new(&to.exporter) == 0);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .destinations = &to,
                                           .destinations_count = 1)) == 0);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        skua_span *span = skua_span_start(&spans, "of the child", NULL);
        int recording = skua_span_recording(span);

        skua_span_end(span);
        _exit(span == NULL ? 2 : recording ? 3 : skua_otel_shutdown(soon()) == 0 ? 0 : 4);
    }
    MUST(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    stop_memory(to.exporter);
}

/* ---- faults ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
#include "os/os.h"

TEST(a_start_by_the_environment_without_memory_leaves_nothing_behind)
{
    unsigned failed = 0;
    int rc = -1;

    forget();
    set("OTEL_RESOURCE_ATTRIBUTES", "a=b,c=d");
    set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret");
    set("OTEL_TRACES_SAMPLER", "traceidratio");
    for (unsigned nth = 1; nth < 1000 && rc != 0; nth++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.self_metrics_off = 1,
                                               .runtime_metrics = SKUA_OTEL_RUNTIME_OFF,
                                               .on_warning = warns));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        failed += rc != 0;
        if (rc != 0) {
            CHECK_EQ(rc, -ENOMEM);
            CHECK(skua_trace_installed() == NULL);
            CHECK(skua_metric_installed() == NULL);
            CHECK(skua_log_installed() == NULL);
        }
    }
    CHECK_EQ(rc, 0);
    CHECK(failed > 30);
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    test_note("%u points", failed);
    forget();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_says_what_goes_where),
        cmocka_unit_test(options_come_before_the_environment),
        cmocka_unit_test(disabled_it_is_off_and_context_travels),
        cmocka_unit_test(the_level_of_its_own_messages),
        cmocka_unit_test(a_file_that_is_wrong_is_an_error),
        cmocka_unit_test(a_file_says_it_all),
        cmocka_unit_test(a_shutdown_ends_in_time_with_metrics_too),
        cmocka_unit_test(telemetry_says_what_it_does),
        cmocka_unit_test(the_child_of_a_fork_counts_anew),
        cmocka_unit_test(the_child_of_a_fork_sends_metrics_without_a_span),
        cmocka_unit_test(the_child_of_a_fork_records_no_spans_for_nobody),
#ifdef SKUA_FAULTS
        cmocka_unit_test(a_start_by_the_environment_without_memory_leaves_nothing_behind),
#endif
    };

    return TEST_MAIN(tests);
}
