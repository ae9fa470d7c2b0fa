/* sdk_self.c - telemetry's own numbers as metrics: otel.sdk.*, of a meter "skua.otel".
 *
 * They are observed: who makes a span pays nothing for them. A program that does not want them says
 * so (.self_metrics_off), or has a view that drops them.
 *
 * Source     OpenTelemetry semantic conventions 1.41: otel/sdk-metrics.
 */
#include <stdio.h>

#include "otel/sdk/sdk_impl.h"

static const skua_meter self_meter = SKUA_METER("skua.otel", SKUA_VERSION);

#define SELF_COUNTER(name, unit, text) SKUA_OBSERVABLE_COUNTER(&self_meter, name, unit, text)
#define SELF_UPDOWN(name, unit, text) SKUA_OBSERVABLE_UPDOWN(&self_meter, name, unit, text)

static skua_observable self_started =
    SELF_COUNTER("otel.sdk.span.started", "{span}", "Spans that were started, also those dropped");
static skua_observable self_created =
    SELF_COUNTER("otel.sdk.log.created", "{log_record}", "Log records that were made");

/* By signal; metrics have no processor. */
static skua_observable self_size[SKUA_OTEL_SIGNALS] = {
    SELF_UPDOWN("otel.sdk.processor.span.queue.size", "{span}", "Spans in the queue"),
    SELF_UPDOWN("", "", ""),
    SELF_UPDOWN("otel.sdk.processor.log.queue.size", "{log_record}", "Records in the queue")};
static skua_observable self_capacity[SKUA_OTEL_SIGNALS] = {
    SELF_UPDOWN("otel.sdk.processor.span.queue.capacity", "{span}", "Spans that the queue holds"),
    SELF_UPDOWN("", "", ""),
    SELF_UPDOWN("otel.sdk.processor.log.queue.capacity", "{log_record}",
                "Records that the queue holds")};
static skua_observable self_processed[SKUA_OTEL_SIGNALS] = {
    SELF_COUNTER("otel.sdk.processor.span.processed", "{span}",
                 "Spans that are through, or were dropped: error.type says why"),
    SELF_COUNTER("", "", ""),
    SELF_COUNTER("otel.sdk.processor.log.processed", "{log_record}",
                 "Records that are through, or were dropped: error.type says why")};
static skua_observable self_inflight[SKUA_OTEL_SIGNALS] = {
    SELF_UPDOWN("otel.sdk.exporter.span.inflight", "{span}", "Spans that are being sent"),
    SELF_UPDOWN("otel.sdk.exporter.metric_data_point.inflight", "{data_point}",
                "Points that are being sent"),
    SELF_UPDOWN("otel.sdk.exporter.log.inflight", "{log_record}", "Records that are being sent")};
static skua_observable self_exported[SKUA_OTEL_SIGNALS] = {
    SELF_COUNTER("otel.sdk.exporter.span.exported", "{span}",
                 "Spans that arrived, or did not: error.type says why"),
    SELF_COUNTER("otel.sdk.exporter.metric_data_point.exported", "{data_point}",
                 "Points that arrived, or did not: error.type says why"),
    SELF_COUNTER("otel.sdk.exporter.log.exported", "{log_record}",
                 "Records that arrived, or did not: error.type says why")};

#undef SELF_COUNTER
#undef SELF_UPDOWN

/* A value of a component, with what went wrong; NULL: nothing did. */
static void self_tell(skua_observer *observer, skua_observable *what, uint64_t value,
                      const char *type, size_t number, const char *error)
{
    char name[96];
    skua_attr attrs[3];

    if (error != NULL && value == 0)
        return;
    (void)snprintf(name, sizeof name, "%s/%zu", type, number);
    attrs[0] = skua_attr_str("otel.component.type", type);
    attrs[1] = skua_attr_str("otel.component.name", name);
    attrs[2] = skua_attr_str("error.type", error != NULL ? error : "");
    skua_observe_attrs(observer, what, (int64_t)value, attrs, error != NULL ? 3 : 2);
}

/* "otlp_http_exporter" of spans is an "otlp_http_span_exporter". */
static void self_exporter_type(const char *name, skua_otel_signal signal, char type[80])
{
    static const char *const what[] = {"_span", "_metric", "_log"};
    size_t len = name != NULL ? strlen(name) : 0, end = strlen("_exporter");
    bool ends = len >= end && strcmp(name + len - end, "_exporter") == 0;
    size_t own = strlen(what[signal]);

    if (ends && len - end >= own && memcmp(name + len - end - own, what[signal], own) == 0)
        ends = false; /* it says so itself */
    if (ends)
        (void)snprintf(type, 80, "%.*s%s_exporter", (int)(len - end), name, what[signal]);
    else
        (void)snprintf(type, 80, "%s", name != NULL ? name : "exporter");
}

static void self_processor(skua_observer *observer, const struct skua__sdk *sdk, size_t i,
                           const skua_otel_destination_counts *counts)
{
    static const char *const types[2][SKUA_OTEL_SIGNALS] = {
        {"batching_span_processor", "", "batching_log_processor"},
        {"simple_span_processor", "", "simple_log_processor"}};
    skua_otel_signal signal = counts->signal;
    const char *type = types[sdk->dests[i].simple][signal];

    self_tell(observer, &self_size[signal], counts->queued, type, i, NULL);
    self_tell(observer, &self_capacity[signal], counts->capacity, type, i, NULL);
    self_tell(observer, &self_processed[signal],
              counts->exported + counts->rejected + counts->failed, type, i, NULL);
    self_tell(observer, &self_processed[signal], counts->full, type, i, "queue_full");
    self_tell(observer, &self_processed[signal], counts->shutdown, type, i, "already_shutdown");
}

static void self_exporter(skua_observer *observer, size_t i,
                          const skua_otel_destination_counts *counts)
{
    char type[80];

    self_exporter_type(counts->name, counts->signal, type);
    self_tell(observer, &self_inflight[counts->signal], counts->inflight, type, i, NULL);
    self_tell(observer, &self_exported[counts->signal], counts->exported, type, i, NULL);
    self_tell(observer, &self_exported[counts->signal], counts->rejected, type, i, "rejected");
    self_tell(observer, &self_exported[counts->signal], counts->failed, type, i, "_OTHER");
}

static void self_spans(skua_observer *observer, const struct skua__otel_counts *counts)
{
    static const char *const results[] = {"DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"};

    for (size_t i = 0; i < 3; i++) {
        skua_attr result = skua_attr_str("otel.span.sampling_result", results[i]);

        skua_observe_attrs(observer, &self_started, (int64_t)counts->started[i], &result, 1);
    }
    skua_observe_attrs(observer, &self_created, (int64_t)counts->logs, NULL, 0);
}

/* No lock is taken but the threads' list's: it may be asked while telemetry is stopped. */
static void self_observe(skua_observer *observer, void *arg)
{
    struct skua__sdk *sdk = arg;
    struct skua__otel_counts counts;

    skua__otel_threads_count(&counts);
    self_spans(observer, &counts);
    for (size_t i = 0; i < sdk->dests_count; i++) {
        skua_otel_destination_counts dest;

        skua__sdk_counts(sdk, i, &dest);
        if (dest.signal != SKUA_OTEL_METRICS)
            self_processor(observer, sdk, i, &dest);
        self_exporter(observer, i, &dest);
    }
}

static skua_observing self_observing;

void skua__sdk_self_begin(struct skua__sdk *sdk)
{
    (void)skua_observing_begin(&self_observing, self_observe, sdk);
}

void skua__sdk_self_end(void)
{
    skua_observing_end(&self_observing);
}
