/* test_otel_self.c - telemetry's own numbers: otel.sdk.*, all of them, after work that is known.
 *
 * Specifies the semantic conventions' otel/sdk-metrics: names, kinds, units, attributes, values.
 * What is collected is written as lines, "name kind unit key=value … = value", keys in order;
 * of a histogram the value is how many were recorded.
 */
#include <stdlib.h>

#include <skua/http/server.h>
#include <skua/log.h>
#include <skua/metric.h>
#include <skua/otel/memory.h>
#include <skua/otel/otlp.h>
#include <skua/otel/sdk.h>
#include <skua/trace.h>

#include "../http/served.h"

static skua_tracer tracer = SKUA_TRACER("test.self", "1");
static skua_logger logger = SKUA_LOGGER("test.self");

static int64_t soon(void)
{
    return skua_now() + 2 * TEST_LATE;
}

/* ---- what is collected, as lines ------------------------------------------------------------- */

static char said[32768];

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const skua_attr *const *)a)->key, (*(const skua_attr *const *)b)->key);
}

static size_t say_attrs(size_t len, const skua_otel_attrs *attrs)
{
    const skua_attr *sorted[16];

    MUST(attrs->count <= TEST_LEN(sorted));
    for (uint32_t i = 0; i < attrs->count; i++)
        sorted[i] = &attrs->at[i];
    qsort(sorted, attrs->count, sizeof sorted[0], by_key);
    for (uint32_t i = 0; i < attrs->count; i++) {
        if (sorted[i]->type == SKUA_ATTR_I64)
            len += (size_t)snprintf(said + len, sizeof said - len, " %s=%lld", sorted[i]->key,
                                    (long long)sorted[i]->value.i64);
        else
            len += (size_t)snprintf(said + len, sizeof said - len, " %s=%.*s", sorted[i]->key,
                                    (int)sorted[i]->count, sorted[i]->value.str);
    }
    return len;
}

static size_t say_metric(size_t len, const skua_otel_metric *metric)
{
    const char *kind = metric->type == SKUA_OTEL_HISTOGRAM ? "histogram"
                       : metric->type != SKUA_OTEL_SUM     ? "?"
                       : metric->monotonic                 ? "counter"
                                                           : "updown";

    for (uint32_t i = 0; i < metric->points_count; i++) {
        const skua_otel_point *point = &metric->points[i];

        len +=
            (size_t)snprintf(said + len, sizeof said - len, "%.*s %s %.*s", (int)metric->name.len,
                             metric->name.at, kind, (int)metric->unit.len, metric->unit.at);
        len = say_attrs(len, &point->attrs);
        len += (size_t)snprintf(said + len, sizeof said - len, " = %lld\n",
                                metric->type == SKUA_OTEL_HISTOGRAM ? (long long)point->count
                                                                    : (long long)point->value.i64);
        MUST(len < sizeof said);
    }
    return len;
}

static void say(skua_otel_reader *reader)
{
    skua_otel_collected *got;
    size_t len = 1;

    MUST(skua_otel_collect(reader, &got) == 0);
    (void)strcpy(said, "\n");
    for (uint32_t i = 0; i < got->batch.count; i++) {
        const skua_otel_metric *metric = &got->batch.items.metrics[i];

        if (metric->name.len > 9 && memcmp(metric->name.at, "otel.sdk.", 9) == 0)
            len = say_metric(len, metric);
    }
    skua_otel_collected_free(got);
}

/* Whether such a line is there; `end`: the whole line. */
static bool says_line(const char *line, bool end)
{
    char text[512];

    (void)snprintf(text, sizeof text, "\n%s%s", line, end ? "\n" : "");
    return strstr(said, text) != NULL;
}

#define CHECK_SAID(line)                                                                           \
    do {                                                                                           \
        if (!CHECK(says_line((line), true)))                                                       \
            test_note("missing: %s", (line));                                                      \
    } while (0)

/* ---- whom it is sent to ---------------------------------------------------------------------- */

/* A collector that takes all, and an exporter that fails with an answer of its own. */
static int collect(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "application/x-protobuf", "", 0);
}

static int64_t refuses(skua_otel_exporter *exporter, const skua_otel_batch *batch, int64_t deadline,
                       skua_otel_answer *answer)
{
    (void)exporter;
    (void)batch;
    (void)deadline;
    CHECK_EQ(answer->http_status, -1);
    CHECK_EQ(answer->grpc_status, -1);
    answer->grpc_status = 14;
    return -ECONNREFUSED;
}

static int64_t rejects_one(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    (void)exporter;
    (void)batch;
    (void)deadline;
    return 1;
}

static const char *somewhere(const skua_otel_exporter *exporter, skua_otel_signal signal, int *port)
{
    (void)exporter;
    CHECK_EQ(signal, SKUA_OTEL_TRACES);
    *port = 4317;
    return "somewhere";
}

static const skua_otel_exporter_ops refusing_ops = {.name = "my_exporter",
                                                    .export_batch = rejects_one, /* not called */
                                                    .export_told = refuses,
                                                    .server = somewhere};
static const skua_otel_exporter_ops rejecting_ops = {.name = "my_exporter",
                                                     .export_batch = rejects_one};

/* ---- known work ------------------------------------------------------------------------------ */

static skua_otel_sampling by_name(skua_otel_sampler *self, const skua_otel_sampler_input *input,
                                  skua_otel_sampler_result *result)
{
    (void)self;
    (void)result;
    return input->name[0] == 'd'   ? SKUA_OTEL_DROP
           : input->name[0] == 'r' ? SKUA_OTEL_RECORD
                                   : SKUA_OTEL_SAMPLE;
}

static void make(unsigned count, const char *name, skua_span *parent)
{
    skua_span_frame frame;

    (void)skua_span_enter(&frame, parent);
    while (count-- > 0)
        skua_span_end(skua_span_start(&tracer, name, NULL));
    (void)skua_span_leave(&frame);
}

static void make_remote(unsigned count, const char *name)
{
    skua_span_context context = {.trace_id = {1}, .span_id = {2}, .flags = 1, .remote = 1};
    skua_span_frame frame;

    MUST(skua_trace_attach(&frame, &context) == 0);
    make(count, name, NULL);
    (void)skua_span_leave(&frame);
}

/* Two spans stay open. */
static void work(skua_span *open[2])
{
    open[0] = skua_span_start(&tracer, "sampled, stays", NULL);
    open[1] = skua_span_start(&tracer, "recorded, stays", NULL);
    make(2, "sampled", NULL);
    make(3, "dropped", NULL);
    make(4, "recorded", NULL);
    make(5, "sampled", open[0]);
    make(6, "dropped", open[0]);
    make_remote(1, "sampled");
    make_remote(7, "recorded");
    for (int i = 0; i < 9; i++)
        skua_log_at(&logger, SKUA_INFO, "said");
}

static const char *const numbers[] = {
    "otel.sdk.span.started counter {span} otel.span.parent.origin=none "
    "otel.span.sampling_result=RECORD_AND_SAMPLE = 3",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=none "
    "otel.span.sampling_result=RECORD_ONLY = 5",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=none "
    "otel.span.sampling_result=DROP = 3",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=local "
    "otel.span.sampling_result=RECORD_AND_SAMPLE = 5",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=local "
    "otel.span.sampling_result=RECORD_ONLY = 0",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=local "
    "otel.span.sampling_result=DROP = 6",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=remote "
    "otel.span.sampling_result=RECORD_AND_SAMPLE = 1",
    "otel.sdk.span.started counter {span} otel.span.parent.origin=remote "
    "otel.span.sampling_result=RECORD_ONLY = 7",
    "otel.sdk.span.live updown {span} otel.span.sampling_result=RECORD_AND_SAMPLE = 1",
    "otel.sdk.span.live updown {span} otel.span.sampling_result=RECORD_ONLY = 1",
    "otel.sdk.log.created counter {log_record} = 9",
#define BATCHING                                                                                   \
    "otel.component.name=batching_span_processor/1 otel.component.type=batching_span_processor"
    "otel.sdk.processor.span.queue.size updown {span} " BATCHING " = 0",
    "otel.sdk.processor.span.queue.capacity updown {span} " BATCHING " = 77",
    "otel.sdk.processor.span.processed counter {span} " BATCHING " = 8",
#undef BATCHING
#define LOGS "otel.component.name=simple_log_processor/0 otel.component.type=simple_log_processor"
    "otel.sdk.processor.log.queue.size updown {log_record} " LOGS " = 0",
    "otel.sdk.processor.log.queue.capacity updown {log_record} " LOGS " = 2048",
    "otel.sdk.processor.log.processed counter {log_record} " LOGS " = 9",
#undef LOGS
#define MEMORY                                                                                     \
    "otel.component.name=in_memory_log_exporter/0 otel.component.type=in_memory_log_exporter"
    "otel.sdk.exporter.log.inflight updown {log_record} " MEMORY " = 0",
    "otel.sdk.exporter.log.exported counter {log_record} " MEMORY " = 9",
#undef MEMORY
#define REFUSES "otel.component.name=my_span_exporter/0 otel.component.type=my_span_exporter"
#define SERVER " server.address=somewhere server.port=4317"
    "otel.sdk.exporter.span.inflight updown {span} " REFUSES SERVER " = 0",
    "otel.sdk.exporter.span.exported counter {span} " REFUSES SERVER " = 0",
    "otel.sdk.exporter.span.exported counter {span} error.type=ECONNREFUSED " REFUSES SERVER " = 8",
    "otel.sdk.exporter.operation.duration histogram s error.type=ECONNREFUSED " REFUSES
    " rpc.grpc.status_code=14" SERVER " = 1",
#undef REFUSES
#undef SERVER
#define REJECTS "otel.component.name=my_span_exporter/1 otel.component.type=my_span_exporter"
    "otel.sdk.exporter.span.exported counter {span} " REJECTS " = 7",
    "otel.sdk.exporter.span.exported counter {span} error.type=rejected " REJECTS " = 1",
    "otel.sdk.exporter.operation.duration histogram s " REJECTS " = 1",
#undef REJECTS
#define READER                                                                                     \
    "otel.component.name=periodic_metric_reader/0 otel.component.type=periodic_metric_reader"
    "otel.sdk.metric_reader.collection.duration histogram s " READER " = 1",
#undef READER
#define POINTS                                                                                     \
    "otel.component.name=in_memory_metric_exporter/0 "                                             \
    "otel.component.type=in_memory_metric_exporter"
    "otel.sdk.exporter.metric_data_point.inflight updown {data_point} " POINTS " = 0",
    "otel.sdk.exporter.operation.duration histogram s " POINTS " = 1"
#undef POINTS
};

TEST_FIBER_CURRENT(all_of_telemetrys_own_numbers)
{
    skua_otel_exporter refusing = {&refusing_ops}, rejecting = {&rejecting_ops}, *memory, *otlp;
    static struct served served;
    static skua_otel_sampler sampler = {.sample = by_name};
    skua_otel_destination to[5];
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    skua_span_frame frame;
    skua_span *open[2];
    char url[128], line[512];

    MUST(reader != NULL && skua_otel_memory_new(&memory) == 0);
    MUST(skua_trace_suppress(&frame) == 0); /* the server's own spans do not count */
    served_begin(&served, collect, NULL, SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(200)));
    (void)skua_span_leave(&frame);
    (void)snprintf(url, sizeof url, "http://%s/", served.address);
    MUST(skua_otlp_exporter_new(&otlp, SKUA_OTLP_OPTIONS(.traces_endpoint = url)) == 0);
    to[0] = (skua_otel_destination){.signal = SKUA_OTEL_TRACES, .exporter = otlp};
    to[1] =
        (skua_otel_destination){.signal = SKUA_OTEL_TRACES, .exporter = &refusing, .max_queue = 77};
    to[2] = (skua_otel_destination){.signal = SKUA_OTEL_LOGS, .exporter = memory, .simple = 1};
    to[3] = (skua_otel_destination){.signal = SKUA_OTEL_METRICS, .exporter = memory};
    to[4] = (skua_otel_destination){.signal = SKUA_OTEL_TRACES, .exporter = &rejecting};
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = to, .destinations_count = 5,
                                           .environment_off = 1, .sampler = &sampler,
                                           .readers = &reader, .readers_count = 1)) == 0);
    work(open);
    CHECK_EQ(skua_otel_flush(soon()), -ECONNREFUSED);
    say(reader);
    for (size_t i = 0; i < TEST_LEN(numbers); i++)
        CHECK_SAID(numbers[i]);
#define OTLP                                                                                       \
    "otel.component.name=otlp_http_span_exporter/0 otel.component.type=otlp_http_span_exporter"
    (void)snprintf(line, sizeof line,
                   "otel.sdk.exporter.span.exported counter {span} " OTLP
                   " server.address=127.0.0.1 server.port=%s = 8",
                   strchr(served.address, ':') + 1);
    CHECK_SAID(line);
    (void)snprintf(line, sizeof line,
                   "otel.sdk.exporter.operation.duration histogram s "
                   "http.response.status_code=200 " OTLP
                   " server.address=127.0.0.1 server.port=%s = 1",
                   strchr(served.address, ':') + 1);
    CHECK_SAID(line);
#undef OTLP
    CHECK(says_line("otel.sdk.exporter.metric_data_point.exported counter {data_point} "
                    "otel.component.name=in_memory_metric_exporter/0 ",
                    false));
    CHECK(strstr(said, "_OTHER") == NULL && strstr(said, "queue_full") == NULL);
    skua_span_end(open[0]);
    skua_span_end(open[1]);
    CHECK_EQ(skua_otel_flush(soon()), -ECONNREFUSED);
    say(reader);
    CHECK_SAID("otel.sdk.exporter.span.exported counter {span} error.type=ECONNREFUSED "
               "otel.component.name=my_span_exporter/0 otel.component.type=my_span_exporter "
               "server.address=somewhere server.port=4317 = 9");
    CHECK_SAID("otel.sdk.span.live updown {span} otel.span.sampling_result=RECORD_AND_SAMPLE = 0");
    CHECK_SAID("otel.sdk.span.live updown {span} otel.span.sampling_result=RECORD_ONLY = 0");
    (void)skua_otel_shutdown(soon());
    skua_otel_memory_free(memory);
    skua_otel_reader_free(reader);
    served_end(&served);
    return 0;
}

/* ---- while an exporter hangs ----------------------------------------------------------------- */

static skua_event hung = SKUA_EVENT_INIT;

static int64_t hangs(skua_otel_exporter *exporter, const skua_otel_batch *batch, int64_t deadline)
{
    (void)exporter;
    (void)batch;
    (void)deadline;
    return skua_event_wait(&hung);
}

static const skua_otel_exporter_ops hanging_ops = {.name = "hanging", .export_batch = hangs};

/* Two spans more, until `done` says that they are where they belong. */
static void push(bool (*done)(const skua_otel_destination_counts *counts))
{
    skua_otel_destination_counts counts;
    int64_t until = soon();

    make(2, "sampled", NULL);
    do {
        (void)skua_otel_flush(skua_now() + MS(20));
        MUST(skua_otel_destination_stats(0, &counts) == 0 && skua_now() < until);
    } while (!done(&counts));
}

static bool is_inflight(const skua_otel_destination_counts *counts)
{
    return counts->inflight == 2;
}

static bool is_queued(const skua_otel_destination_counts *counts)
{
    return counts->queued == 2;
}

static bool is_full(const skua_otel_destination_counts *counts)
{
    return counts->full == 2;
}

TEST(a_queue_that_is_full_and_what_is_in_flight)
{
    skua_otel_exporter hanging = {&hanging_ops};
    skua_otel_destination to = {.exporter = &hanging, .max_queue = 2};
    skua_otel_reader *reader = skua_otel_reader_new(NULL);

    MUST(reader != NULL);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .environment_off = 1, .readers = &reader,
                                           .readers_count = 1)) == 0);
    push(is_inflight);
    push(is_queued);
    push(is_full);
    say(reader);
    CHECK_SAID("otel.sdk.exporter.span.inflight updown {span} otel.component.name=hanging/0 "
               "otel.component.type=hanging = 2");
    CHECK_SAID("otel.sdk.processor.span.queue.size updown {span} "
               "otel.component.name=batching_span_processor/0 "
               "otel.component.type=batching_span_processor = 2");
    CHECK_SAID("otel.sdk.processor.span.processed counter {span} error.type=queue_full "
               "otel.component.name=batching_span_processor/0 "
               "otel.component.type=batching_span_processor = 2");
    CHECK(strstr(said, "operation.duration") == NULL);
    skua_event_set(&hung);
    CHECK_EQ(skua_otel_flush(soon()), 0);
    say(reader);
    CHECK_SAID("otel.sdk.exporter.span.exported counter {span} otel.component.name=hanging/0 "
               "otel.component.type=hanging = 4");
    CHECK_SAID("otel.sdk.exporter.operation.duration histogram s otel.component.name=hanging/0 "
               "otel.component.type=hanging = 2");
    CHECK_EQ(skua_otel_shutdown(soon()), 0);
    skua_otel_reader_free(reader);
}

/* ---- a batch in parts ------------------------------------------------------------------------ */

/* Of three, one was rejected, one could not be sent. */
static int64_t loses_one(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                         int64_t deadline, skua_otel_answer *answer)
{
    (void)exporter;
    (void)deadline;
    CHECK_EQ(batch->count, 3);
    answer->lost = 1;
    answer->error = -EMSGSIZE;
    return 2;
}

TEST(parts_that_did_not_arrive_have_failed)
{
    static const skua_otel_exporter_ops ops = {
        .name = "parts", .export_batch = rejects_one, .export_told = loses_one};
    static skua_otel_exporter parts = {&ops};
    static skua_tracer tracer = SKUA_TRACER("test.parts", "1");
    const skua_otel_destination to = {.signal = SKUA_OTEL_TRACES, .exporter = &parts};
    skua_otel_destination_counts counts;

    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .destinations = &to,
                                           .destinations_count = 1)) == 0);
    for (int i = 0; i < 3; i++)
        skua_span_end(skua_span_start(&tracer, "work", NULL));
    CHECK_EQ(skua_otel_flush(skua_now() + TEST_LATE), -EMSGSIZE);
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_EQ(counts.exported, 1);
    CHECK_EQ(counts.rejected, 1);
    CHECK_EQ(counts.failed, 1);
    CHECK_EQ(skua_otel_shutdown(skua_now() + TEST_LATE), 0);
}

/* ---- a shutdown that ends early -------------------------------------------------------------- */

/* A shutdown cuts off the first of many parts: the points of the others are counted, too. */
static int64_t hangs_for_ever(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                              int64_t deadline)
{
    (void)exporter;
    (void)batch;
    (void)deadline;
    return skua_sleep(SKUA_FOREVER);
}

TEST(points_that_a_shutdown_cuts_off_are_counted)
{
    static const skua_otel_exporter_ops ops = {.name = "hangs", .export_batch = hangs_for_ever};
    static skua_otel_exporter hanging = {&ops};
    static skua_meter meter = SKUA_METER("test.parts", "1");
    static skua_counter counters[] = {SKUA_COUNTER(&meter, "a", "1", "a"),
                                      SKUA_COUNTER(&meter, "b", "1", "b"),
                                      SKUA_COUNTER(&meter, "c", "1", "c")};
    const skua_otel_destination to = {
        .signal = SKUA_OTEL_METRICS, .exporter = &hanging, .max_batch = 1};
    skua_otel_destination_counts counts;

    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.environment_off = 1, .destinations = &to,
                                           .destinations_count = 1, .self_metrics_off = 1,
                                           .runtime_metrics = SKUA_OTEL_RUNTIME_OFF,
                                           .operations = SKUA_OTEL_OPERATIONS_OFF)) == 0);
    for (size_t i = 0; i < TEST_LEN(counters); i++)
        skua_counter_add(&counters[i], 1);
    CHECK_EQ(skua_otel_shutdown(skua_now() + MS(50)), -ETIMEDOUT);
    (void)skua_otel_shutdown(skua_now() + 20 * SKUA_SECOND); /* the first one's end */
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_EQ(counts.exported + counts.failed + counts.shutdown, TEST_LEN(counters));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_telemetrys_own_numbers),
        cmocka_unit_test(a_queue_that_is_full_and_what_is_in_flight),
        cmocka_unit_test(parts_that_did_not_arrive_have_failed),
        cmocka_unit_test(points_that_a_shutdown_cuts_off_are_counted),
    };

    return TEST_MAIN(tests);
}
