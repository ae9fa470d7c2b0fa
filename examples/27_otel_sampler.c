/* 27_otel_sampler.c - which traces are kept, and where they go, by functions of one's own.
 *
 * A sampler is asked when a span starts, and must be quick. This one keeps no checks of health, all
 * orders of customers who pay for it, and one of four of the others. An exporter is handed batches
 * on telemetry's own thread, and may wait. This one prints a line for each span. */
#include <skua/otel/sdk.h>
#include <skua/skua.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static skua_tracer tracer = SKUA_TRACER("example.shop", "1.0.0");

/* ---- the sampler ----------------------------------------------------------------------------- */

static bool has(const skua_otel_sampler_input *input, const char *key, const char *value)
{
    for (size_t i = 0; i < input->attrs_count; i++) {
        const skua_attr *at = &input->attrs[i];

        if (strcmp(at->key, key) == 0 && at->type == SKUA_ATTR_STR && at->count == strlen(value) &&
            memcmp(at->value.str, value, at->count) == 0)
            return true;
    }
    return false;
}

static skua_otel_sampling choose(skua_otel_sampler *self, const skua_otel_sampler_input *input,
                                 skua_otel_sampler_result *result)
{
    static const skua_attr why[] = {{.key = "sampled.by",
                                     .type = SKUA_ATTR_STR,
                                     .key_len = 10,
                                     .count = 4,
                                     .value = {.str = "gold"}}};

    (void)self;
    if (input->parent != NULL) /* a trace is kept as a whole, or not at all */
        return input->parent->flags & SKUA_TRACE_SAMPLED ? SKUA_OTEL_SAMPLE : SKUA_OTEL_DROP;
    if (strcmp(input->name, "GET /health") == 0)
        return SKUA_OTEL_DROP;
    if (has(input, "customer.tier", "gold")) {
        result->attrs = why;
        result->attrs_count = 1;
        return SKUA_OTEL_SAMPLE;
    }
    /* The id is random: so all processes that a trace goes through would decide alike. */
    return input->trace_id[15] % 4 == 0 ? SKUA_OTEL_SAMPLE : SKUA_OTEL_DROP;
}

/* ---- the exporter ---------------------------------------------------------------------------- */

struct printer {
    skua_otel_exporter exporter; /* first */
    unsigned long spans;         /* telemetry's thread's, until the shutdown */
};

static int64_t print(skua_otel_exporter *exporter, const skua_otel_batch *batch, int64_t deadline)
{
    struct printer *self = (struct printer *)exporter;

    (void)deadline;
    for (uint32_t i = 0; batch->signal == SKUA_OTEL_TRACES && i < batch->count; i++) {
        const skua_otel_span *span = &batch->items.spans[i];

        self->spans++;
        if (self->spans <= 5)
            printf("%02x%02x…  %-14.*s %8.3f ms\n", span->trace_id[0], span->trace_id[1],
                   (int)span->name.len, span->name.at, (double)(span->end - span->start) / 1e6);
    }
    return 0;
}

/* ---- the program ----------------------------------------------------------------------------- */

static int shop(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        bool gold = i % 100 == 0;

        SKUA_SPAN(health, &tracer, "GET /health")
        skua_span_set(health, SKUA_I64("http.response.status_code", 200));
        SKUA_SPAN(order, &tracer, "POST /orders", SKUA_STR("customer.tier", gold ? "gold" : "-"))
        SKUA_SPAN(store, &tracer, "store order")
        skua_span_set(store, SKUA_I64("order.id", i));
    }
    return 0;
}

int main(void)
{
    static const skua_otel_exporter_ops ops = {.name = "printer", .export_batch = print};
    static skua_otel_sampler sampler = {.sample = choose};
    static struct printer printer = {.exporter = {&ops}};
    skua_otel_destination to = {.exporter = &printer.exporter, .max_queue = 8192};
    int rc = skua_otel_start(
        SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1, .sampler = &sampler));

    if (rc == 0)
        rc = skua_main(shop, NULL, NULL);
    (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
    printf("%lu spans were kept of 3000: about a quarter of the orders, each with its part\n",
           printer.spans);
    return rc != 0;
}
