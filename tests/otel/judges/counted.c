/* counted.c - each operation of telemetry a few hundred times, for who counts instructions.
 *
 *     otel_counted --about      the compiler, the libc and the machine: what counts hang on
 *     otel_counted              runs counted_NAME of each; run by tests/otel/judges/instructions
 *
 * Threads of telemetry never come into these functions, so what they do is not counted. The clock
 * is read as on a processor whose counter is steady, which the machine under it may not show.
 */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/log.h>
#include <skua/metric.h>
#include <skua/otel/reader.h>
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include "otel/core/otel_clock.h"
#include "otel/metric/metric_impl.h"
#include "otel/otlp/otlp_impl.h"

#define COUNTED_TIMES 500 /* instructions tells the same */

static skua_tracer tracer = SKUA_TRACER("counted", "1");
static skua_logger logger = SKUA_LOGGER("counted");
static const skua_meter meter = SKUA_METER("counted", "1");
static skua_counter counter = SKUA_COUNTER(&meter, "orders", "{order}", "");
static skua_bound bound;

static void must(int64_t rc, const char *what)
{
    if (rc < 0) {
        (void)fprintf(stderr, "%s: %s\n", what, skua_strerror(rc));
        exit(1);
    }
}

/* A loop that has a name of its own, and is run once before: what happens once is not counted. */
#define COUNTED(name, ...)                                                                         \
    static inline __attribute__((always_inline)) void name##_loop(int times)                       \
    {                                                                                              \
        for (int i = 0; i < times; i++) {                                                          \
            __VA_ARGS__;                                                                           \
            __asm__ volatile("# " #name ::: "memory"); /* else loops that are the same are one */  \
        }                                                                                          \
    }                                                                                              \
    __attribute__((noinline)) void counted_##name(void);                                           \
    void counted_##name(void)                                                                      \
    {                                                                                              \
        name##_loop(COUNTED_TIMES);                                                                \
    }                                                                                              \
    static void name(void)                                                                         \
    {                                                                                              \
        name##_loop(COUNTED_TIMES / 10);                                                           \
        settle();                                                                                  \
        counted_##name();                                                                          \
        settle();                                                                                  \
    }

static bool started; /* the SDK */

/* What was made is collected, so that no loop meets a full buffer; nothing was dropped. */
static void settle(void)
{
    skua_otel_counts counts;

    if (!started)
        return;
    must(skua_otel_flush(skua_now() + 60 * SKUA_SECOND), "skua_otel_flush");
    skua_otel_stats(&counts);
    if (counts.full_spans + counts.full_logs + counts.lost != 0)
        must(SKUA_ELIMIT, "a thread's buffer");
}

static const char *status = "200";
static const skua_attr *ten;

COUNTED(otel_api_off, skua_span_end(skua_span_start(&tracer, "store order", NULL)))
COUNTED(otel_span_unsampled, skua_span_end(skua_span_start(&tracer, "store order", NULL)))
COUNTED(otel_span_recorded, skua_span_end(skua_span_start(&tracer, "store order", NULL)))
COUNTED(otel_span_child, skua_span_end(skua_span_start(&tracer, "store order", NULL)))
COUNTED(otel_span_10attr, skua_span *span = skua_span_start(&tracer, "store order", NULL);
        skua_span_set_attrs(span, ten, 10); skua_span_end(span))
COUNTED(otel_log, skua_log_info(&logger, "order stored"))
COUNTED(otel_counter_bound, skua_bound_add(&bound, 1))

COUNTED(otel_counter_3attr,
        skua_counter_add(&counter, 1, SKUA_STR("method", "GET"), SKUA_STR("route", "/users/{id}"),
                         SKUA_STR("status", status)))

/* ---- encoding -------------------------------------------------------------------------------- */

static skua_otel_span items[COUNTED_TIMES];
static struct skua__otlp out;

static void encode(size_t count)
{
    static const skua_otel_resource resource = {.attrs = {NULL, 0, 0}};
    skua_otel_batch batch = {SKUA_OTEL_TRACES, count, &resource, {.spans = items}};

    skua__otlp_begin(&out, (size_t)64 << 20);
    must(skua__otlp_request(&out, &batch), "skua__otlp_request");
}

__attribute__((noinline)) void counted_otel_encode_span(void);
void counted_otel_encode_span(void)
{
    encode(COUNTED_TIMES);
}

static void otel_encode_span(void)
{
    static const skua_otel_scope scope = {.name = {"counted", 7}, .version = {"1", 1}};
    const skua_attr attr = SKUA_I64("id", 42);

    for (int i = 0; i < COUNTED_TIMES; i++)
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
    encode(COUNTED_TIMES);
    counted_otel_encode_span();
    skua__otlp_free(&out);
}

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

static skua_otel_sampling never(skua_otel_sampler *self, const skua_otel_sampler_input *input,
                                skua_otel_sampler_result *result)
{
    (void)self;
    (void)input;
    (void)result;
    return SKUA_OTEL_DROP;
}

static void sdk_start(skua_otel_sampler *sampler)
{
    const skua_otel_destination destinations[] = {
        {.signal = SKUA_OTEL_TRACES,
         .exporter = &away,
         .max_queue = 1u << 20,
         .delay = SKUA_MINUTE},
        {.signal = SKUA_OTEL_LOGS, .exporter = &away, .max_queue = 1u << 20, .delay = SKUA_MINUTE}};

    must(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = destinations, .destinations_count = 2,
                                           .sampler = sampler, .buffer = (size_t)1 << 19)),
         "skua_otel_start");
    skua__otel_tsc = true;
    started = true;
}

static void sdk_stop(void)
{
    started = false;
    must(skua_otel_shutdown(skua_now() + 60 * SKUA_SECOND), "skua_otel_shutdown");
}

static void spans_and_logs(void)
{
    const skua_attr attrs[] = {
        SKUA_I64("a", 1), SKUA_I64("b", 2), SKUA_I64("c", 3), SKUA_I64("d", 4), SKUA_I64("e", 5),
        SKUA_I64("f", 6), SKUA_I64("g", 7), SKUA_I64("h", 8), SKUA_I64("i", 9), SKUA_I64("j", 10)};
    skua_otel_sampler drops = {.sample = never};

    ten = attrs;
    sdk_start(&drops);
    otel_span_unsampled();
    sdk_stop();
    sdk_start(NULL);
    otel_span_recorded();
    SKUA_SPAN(parent, &tracer, "parent")
    otel_span_child();
    otel_span_10attr();
    otel_log();
    sdk_stop();
}

static void metrics(void)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);

    if (reader == NULL)
        must(-ENOMEM, "skua_otel_reader_new");
    must(skua__metric_start(&(struct skua__metric_options){.readers = &reader, .readers_count = 1}),
         "skua__metric_start");
    must(skua_bind(&counter, &bound, SKUA_STR("method", "GET")), "skua_bind");
    otel_counter_bound();
    otel_counter_3attr();
    skua__metric_stop();
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--about") == 0) {
        (void)printf("%s %s glibc-%s %s\n",
#ifdef __clang__
                     "clang", __clang_version__,
#else
                     "gcc", __VERSION__,
#endif
                     gnu_get_libc_version(),
#ifdef __x86_64__
                     "x86_64"
#else
                     "other"
#endif
        );
        return 0;
    }
    otel_api_off();
    otel_encode_span();
    spans_and_logs();
    metrics();
    return 0;
}
