/* bench_otel.c - what telemetry costs those who use it.
 *
 * otel_api_off             a span started and ended while no SDK is started: ns for one of the two
 *                          calls
 * otel_span_unsampled      a root span that the sampler drops, started and ended
 * otel_span_recorded       a root span that is recorded, without attributes
 * otel_span_10attr         the same with ten integer attributes, set by one call
 * otel_span_child          a span below another, started and ended
 * otel_counter_bound       an addition to a counter whose attributes were resolved before
 * otel_counter_3attr       an addition with three texts
 * otel_log                 a log record with a text, without attributes
 * otel_encode_spans_per_s  spans with one attribute, as OTLP
 *
 * The SDK runs with a batch processor and an exporter that throws away, on a thread of its own.
 * Five hundred spans are timed, and then collected while the clock stands: what the collector does
 * is not counted here. Nothing may be dropped, which is checked.
 */
#include <inttypes.h>
#include <stdlib.h>

#include <skua/metric.h>
#include <skua/otel/reader.h>
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include "meter_bench.h"
#include "otel/metric/metric_impl.h"
#include "otel/otlp/otlp_impl.h"

enum { SPANS = 500, ENCODED = 512 };

static skua_tracer tracer = SKUA_TRACER("bench", "1");
static skua_logger logger = SKUA_LOGGER("bench");
static const skua_meter meter = SKUA_METER("bench", "1");
static skua_counter counter = SKUA_COUNTER(&meter, "orders", "{order}", "");
static skua_bound bound;

/* ---- an SDK that throws away ----------------------------------------------------------------- */

static int64_t away_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int64_t deadline)
{
    (void)exporter;
    (void)batch;
    (void)deadline;
    return 0;
}

static const skua_otel_exporter_ops away_ops = {.name = "away", .export_batch = away_export};
static skua_otel_exporter away = {&away_ops};

static bool nothing_kept; /* what the sampler says */

static skua_otel_sampling sample(skua_otel_sampler *self, const skua_otel_sampler_input *input,
                                 skua_otel_sampler_result *result)
{
    (void)self;
    (void)input;
    (void)result;
    return nothing_kept ? SKUA_OTEL_DROP : SKUA_OTEL_SAMPLE;
}

static skua_otel_sampler never = {.sample = sample};

static void sdk_start(skua_otel_sampler *sampler)
{
    const skua_otel_destination destinations[] = {
        {.signal = SKUA_OTEL_TRACES, .exporter = &away, .max_queue = 1u << 20},
        {.signal = SKUA_OTEL_LOGS, .exporter = &away, .max_queue = 1u << 20}};

    meter_must(
        skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = destinations, .destinations_count = 2,
                                          .sampler = sampler, .buffer = (size_t)1 << 19)),
        "skua_otel_start");
}

/* Behind a round: what it has made is collected, and nothing was lost. */
static void sdk_empty(void)
{
    skua_otel_counts counts;

    meter_must(skua_otel_flush(skua_now() + 10 * SKUA_SECOND), "skua_otel_flush");
    skua_otel_stats(&counts);
    if (counts.full_spans + counts.full_logs + counts.lost != 0)
        meter_fail(SKUA_ELIMIT, "a thread's buffer");
}

static void sdk_stop(void)
{
    meter_must(skua_otel_shutdown(skua_now() + 10 * SKUA_SECOND), "skua_otel_shutdown");
}

/* ---- spans ----------------------------------------------------------------------------------- */

/* `repeats` times SPANS of them, each repeat timed alone. */
static int64_t spans(uint64_t repeats, int attrs)
{
    const skua_attr ten[] = {SKUA_I64("a", 1), SKUA_I64("b", 2), SKUA_I64("c", 3), SKUA_I64("d", 4),
                             SKUA_I64("e", 5), SKUA_I64("f", 6), SKUA_I64("g", 7), SKUA_I64("h", 8),
                             SKUA_I64("i", 9), SKUA_I64("j", 10)};
    int64_t took = 0;

    for (uint64_t i = 0; i < repeats; i++) {
        int64_t begun = meter_clock_read(CLOCK_MONOTONIC);

        for (int k = 0; k < SPANS; k++) {
            skua_span *span = skua_span_start(&tracer, "store order", NULL);

            if (attrs != 0)
                skua_span_set_attrs(span, ten, (size_t)attrs);
            skua_span_end(span);
        }
        took += meter_clock_read(CLOCK_MONOTONIC) - begun;
        if (skua_trace_table != NULL)
            sdk_empty();
    }
    return took;
}

static int64_t span_plain(uint64_t repeats, void *arg)
{
    (void)arg;
    return spans(repeats, 0);
}

static int64_t span_of_ten(uint64_t repeats, void *arg)
{
    (void)arg;
    return spans(repeats, 10);
}

static int64_t span_child(uint64_t repeats, void *arg)
{
    int64_t took = 0;

    (void)arg;
    SKUA_SPAN(parent, &tracer, "parent")
    took = spans(repeats, 0);
    return took;
}

/* ---- metrics and logs ------------------------------------------------------------------------ */

static int64_t counter_bound(uint64_t repeats, void *arg)
{
    int64_t begun = meter_clock_read(CLOCK_MONOTONIC);

    (void)arg;
    for (uint64_t i = 0; i < repeats * SPANS; i++) {
        skua_bound_add(&bound, 1);
        __asm__ volatile("" ::: "memory");
    }
    return meter_clock_read(CLOCK_MONOTONIC) - begun;
}

static int64_t counter_3attr(uint64_t repeats, void *arg)
{
    const char *method = "GET", *route = "/users/{id}", *status = "200";
    int64_t begun = meter_clock_read(CLOCK_MONOTONIC);

    (void)arg;
    for (uint64_t i = 0; i < repeats * SPANS; i++) {
        __asm__ volatile("" : "+r"(method), "+r"(route), "+r"(status)::"memory");
        skua_counter_add(&counter, 1, SKUA_STR("method", method), SKUA_STR("route", route),
                         SKUA_STR("status", status));
    }
    return meter_clock_read(CLOCK_MONOTONIC) - begun;
}

static int64_t logs(uint64_t repeats, void *arg)
{
    int64_t took = 0;

    (void)arg;
    for (uint64_t i = 0; i < repeats; i++) {
        int64_t begun = meter_clock_read(CLOCK_MONOTONIC);

        for (int k = 0; k < SPANS; k++)
            skua_log_info(&logger, "order stored");
        took += meter_clock_read(CLOCK_MONOTONIC) - begun;
        sdk_empty();
    }
    return took;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static int64_t encode(uint64_t repeats, void *arg)
{
    static const skua_otel_scope scope = {.name = {"bench", 5}, .version = {"1", 1}};
    const skua_attr attr = SKUA_I64("id", 42);
    const skua_otel_resource resource = {.attrs = {&attr, 1, 0}};
    skua_otel_span *items = calloc(ENCODED, sizeof *items);
    skua_otel_batch batch = {SKUA_OTEL_TRACES, ENCODED, &resource, {.spans = items}};
    struct skua__otlp out = {.bytes = NULL};
    int64_t begun;

    (void)arg;
    if (items == NULL)
        meter_fail(-ENOMEM, "calloc");
    for (int i = 0; i < ENCODED; i++)
        items[i] = (skua_otel_span){.trace_id = {1},
                                    .span_id = {2},
                                    .parent_id = {3},
                                    .flags = 3,
                                    .kind = SKUA_SPAN_INTERNAL,
                                    .name = {"store order", 11},
                                    .start = 1700000000000000000,
                                    .end = 1700000000000000100,
                                    .attrs = {&attr, 1, 0},
                                    .scope = &scope};
    begun = meter_clock_read(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < repeats; i++) {
        skua__otlp_begin(&out, (size_t)64 << 20);
        meter_must(skua__otlp_request(&out, &batch), "skua__otlp_request");
    }
    begun = meter_clock_read(CLOCK_MONOTONIC) - begun;
    skua__otlp_free(&out);
    free(items);
    return begun;
}

int main(int argc, char **argv)
{
    skua_otel_reader *reader;
    struct meter_bench bench;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_run(&bench, "otel_api_off", 2 * SPANS, span_plain, NULL);
    meter_bench_rate(&bench, "otel_encode_spans_per_s", ENCODED, encode, NULL);
    sdk_start(&never);
    nothing_kept = true;
    meter_bench_run(&bench, "otel_span_unsampled", SPANS, span_plain, NULL);
    sdk_stop();
    sdk_start(NULL);
    meter_bench_run(&bench, "otel_span_recorded", SPANS, span_plain, NULL);
    meter_bench_run(&bench, "otel_span_10attr", SPANS, span_of_ten, NULL);
    meter_bench_run(&bench, "otel_span_child", SPANS, span_child, NULL);
    meter_bench_run(&bench, "otel_log", SPANS, logs, NULL);
    sdk_stop();
    reader = skua_otel_reader_new(NULL);
    if (reader == NULL)
        meter_fail(-ENOMEM, "skua_otel_reader_new");
    meter_must(
        skua__metric_start(&(struct skua__metric_options){.readers = &reader, .readers_count = 1}),
        "skua__metric_start");
    meter_must(skua_bind(&counter, &bound, SKUA_STR("method", "GET")), "skua_bind");
    meter_bench_run(&bench, "otel_counter_bound", SPANS, counter_bound, NULL);
    meter_bench_run(&bench, "otel_counter_3attr", SPANS, counter_3attr, NULL);
    skua__metric_stop();
    return meter_bench_end(&bench);
}
