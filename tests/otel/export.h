/* export.h - batches to be exported, and exporters of tests. */
#ifndef SKUA_TESTS_EXPORT_H
#define SKUA_TESTS_EXPORT_H

#include <skua/otel/otlp.h>

#include "../http/peer.h"

#define BATCH_SPANS 3

#define TEXT(literal) ((skua_otel_text){(literal), sizeof(literal) - 1})

/* Three spans, whose bytes in protobuf are known by nobody but a decoder. */
static inline const skua_otel_batch *batch_of_spans(void)
{
    static const skua_otel_resource resource = {.schema_url = {"http://schema", 13}};
    static const skua_otel_scope scope = {.name = {"tests", 5}, .version = {"1", 1}};
    static skua_otel_span spans[BATCH_SPANS];
    static skua_otel_batch batch;

    for (uint8_t i = 0; i < BATCH_SPANS; i++) {
        spans[i] = (skua_otel_span){
            .kind = 1, .name = TEXT("work"), .start = 1000, .end = 2000, .scope = &scope};
        spans[i].trace_id[0] = spans[i].span_id[0] = (uint8_t)(i + 1);
    }
    batch = (skua_otel_batch){.signal = SKUA_OTEL_TRACES,
                              .count = BATCH_SPANS,
                              .resource = &resource,
                              .items.spans = spans};
    return &batch;
}

static inline const skua_otel_batch *batch_of_logs(void)
{
    static const skua_otel_resource resource;
    static const skua_otel_scope scope = {.name = {"tests", 5}};
    static skua_otel_log log;
    static const skua_otel_batch batch = {
        .signal = SKUA_OTEL_LOGS, .count = 1, .resource = &resource, .items.logs = &log};

    log = (skua_otel_log){.time = 1, .severity = 9, .scope = &scope};
    log.body = skua_attr_str("", "said");
    return &batch;
}

static inline const skua_otel_batch *batch_of_points(void)
{
    static const skua_otel_resource resource;
    static const skua_otel_scope scope = {.name = {"tests", 5}};
    static const skua_otel_point points[2] = {{.start = 1, .time = 2, .value.i64 = 5},
                                              {.start = 1, .time = 2, .value.i64 = 6}};
    static const skua_otel_metric metric = {.name = {"things", 6},
                                            .type = SKUA_OTEL_SUM,
                                            .temporality = SKUA_OTEL_CUMULATIVE,
                                            .monotonic = 1,
                                            .points = points,
                                            .points_count = 2,
                                            .scope = &scope};
    static const skua_otel_batch batch = {
        .signal = SKUA_OTEL_METRICS, .count = 1, .resource = &resource, .items.metrics = &metric};

    return &batch;
}

static inline skua_otel_exporter *exporter_with(const skua_otlp_options *options)
{
    skua_otel_exporter *exporter;

    MUST(skua_otlp_exporter_new(&exporter, options) == 0);
    return exporter;
}

static inline int64_t exports(skua_otel_exporter *exporter, const skua_otel_batch *batch)
{
    return exporter->ops->export_batch(exporter, batch, SKUA_FOREVER);
}

/* A fiber of one export. */
static inline int exports_one(void *arg)
{
    return (int)exports(arg, batch_of_spans());
}

static inline skua_otlp_stats stats_of(const skua_otel_exporter *exporter)
{
    skua_otlp_stats stats;

    skua_otlp_stats_of(exporter, &stats);
    return stats;
}

static inline void exporter_ends(skua_otel_exporter *exporter)
{
    CHECK_EQ(exporter->ops->shutdown(exporter, SKUA_FOREVER), 0);
    exporter->ops->free(exporter);
}

#endif
