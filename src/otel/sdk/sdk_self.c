/* sdk_self.c - telemetry's own numbers as metrics: otel.sdk.*, of a meter "skua.otel".
 *
 *   observed    all that is counted anyway: spans and records by their threads, items by their
 *               destinations. Who makes a span pays nothing more for them
 *   measured    how long exports and collections took: on telemetry's thread
 *
 * A program that does not want them says so (.self_metrics_off), or has a view that drops them.
 *
 * Components  are told apart by a number of their type, in the order of the destinations. The
 *             processor of metrics is their reader.
 * Live        is what was started less what has ended. Threads are asked one behind the other, and
 *             the child of a fork ends what it did not start: what is less than nothing is nothing.
 *
 * Source      OpenTelemetry semantic conventions 1.44: otel/sdk-metrics.
 */
#include <stdio.h>

#include "otel/sdk/sdk_impl.h"

static const skua_meter self_meter = SKUA_METER("skua.otel", SKUA_VERSION);

#define SELF_COUNTER(name, unit, text) SKUA_OBSERVABLE_COUNTER(&self_meter, name, unit, text)
#define SELF_UPDOWN(name, unit, text) SKUA_OBSERVABLE_UPDOWN(&self_meter, name, unit, text)

static skua_observable self_started =
    SELF_COUNTER("otel.sdk.span.started", "{span}", "Spans that were started, also those dropped");
static skua_observable self_live =
    SELF_UPDOWN("otel.sdk.span.live", "{span}", "Spans that are recorded, and have not ended");
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

static skua_histogram self_collection =
    SKUA_HISTOGRAM(&self_meter, "otel.sdk.metric_reader.collection.duration", "s",
                   "How long a reader has collected: error.type says what went wrong");
static skua_histogram self_operation =
    SKUA_HISTOGRAM(&self_meter, "otel.sdk.exporter.operation.duration", "s",
                   "How long an export took: error.type says what went wrong");

/* ---- attributes ------------------------------------------------------------------------------ */

#define SELF_ATTRS 6

struct self_attrs {
    skua_attr at[SELF_ATTRS];
    size_t count;
};

static void self_add(struct self_attrs *attrs, skua_attr attr)
{
    attrs->at[attrs->count++] = attr;
}

/* Of a processor or a reader. */
static struct self_attrs self_of_processor(const struct skua__sdk_self *self)
{
    return (struct self_attrs){{SKUA_STR("otel.component.type", self->processor),
                                SKUA_STR("otel.component.name", self->processor_name)},
                               2};
}

static struct self_attrs self_of_exporter(const struct skua__sdk_self *self)
{
    struct self_attrs attrs = {{SKUA_STR("otel.component.type", self->exporter),
                                SKUA_STR("otel.component.name", self->exporter_name)},
                               2};

    if (self->server != NULL)
        self_add(&attrs, SKUA_STR("server.address", self->server));
    if (self->server != NULL && self->port != 0)
        self_add(&attrs, SKUA_I64("server.port", self->port));
    return attrs;
}

/* ---- observed -------------------------------------------------------------------------------- */

/* A value, with what went wrong; NULL: nothing did. */
static void self_tell(skua_observer *observer, skua_observable *what, uint64_t value,
                      struct self_attrs attrs, const char *error)
{
    if (error != NULL && value == 0)
        return;
    if (error != NULL)
        self_add(&attrs, SKUA_STR("error.type", error));
    skua_observe_attrs(observer, what, (int64_t)value, attrs.at, attrs.count);
}

static void self_processor(skua_observer *observer, const struct skua__sdk_self *self,
                           const skua_otel_destination_counts *counts)
{
    struct self_attrs attrs = self_of_processor(self);
    skua_otel_signal signal = counts->signal;

    self_tell(observer, &self_size[signal], counts->queued, attrs, NULL);
    self_tell(observer, &self_capacity[signal], counts->capacity, attrs, NULL);
    self_tell(observer, &self_processed[signal],
              counts->exported + counts->rejected + counts->failed, attrs, NULL);
    self_tell(observer, &self_processed[signal], counts->full, attrs, "queue_full");
    self_tell(observer, &self_processed[signal], counts->shutdown, attrs, "already_shutdown");
}

static void self_exporter(skua_observer *observer, const struct skua__sdk_self *self,
                          struct skua__dest_counts *errors,
                          const skua_otel_destination_counts *counts)
{
    struct self_attrs attrs = self_of_exporter(self);
    skua_observable *exported = &self_exported[counts->signal];
    uint64_t told = 0;

    self_tell(observer, &self_inflight[counts->signal], counts->inflight, attrs, NULL);
    self_tell(observer, exported, counts->exported, attrs, NULL);
    self_tell(observer, exported, counts->rejected, attrs, "rejected");
    for (size_t i = 0; i < SKUA__DEST_ERRORS; i++) {
        int error = atomic_load_explicit(&errors->errors[i], memory_order_relaxed);
        uint64_t items = atomic_load_explicit(&errors->errors_items[i], memory_order_relaxed);

        if (error == 0)
            break;
        self_tell(observer, exported, items, attrs, skua_error_name(error));
        told += items;
    }
    /* One more may have failed since the sum was read: it is told the next time. */
    self_tell(observer, exported, counts->failed > told ? counts->failed - told : 0, attrs,
              "_OTHER");
}

static void self_spans(skua_observer *observer, const struct skua__otel_counts *counts)
{
    static const char *const results[] = {"DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"};
    static const char *const parents[] = {"none", "local", "remote"};

    for (unsigned result = 0; result < 3; result++) {
        skua_attr attrs[] = {SKUA_STR("otel.span.sampling_result", results[result]),
                             SKUA_STR("otel.span.parent.origin", "")};
        uint64_t started = skua__sdk_started(counts, (skua_otel_sampling)result), ended;

        for (unsigned parent = 0; parent < 3; parent++) {
            attrs[1] = SKUA_STR("otel.span.parent.origin", parents[parent]);
            skua_observe_attrs(observer, &self_started,
                               (int64_t)counts->started[SKUA__OTEL_STARTED(parent, result)], attrs,
                               2);
        }
        if (result == SKUA_OTEL_DROP)
            continue;
        ended = counts->ended[result == SKUA_OTEL_SAMPLE];
        skua_observe_attrs(observer, &self_live, started > ended ? (int64_t)(started - ended) : 0,
                           attrs, 1);
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
            self_processor(observer, &sdk->selves[i], &dest);
        self_exporter(observer, &sdk->selves[i], &sdk->counts[i], &dest);
    }
}

/* ---- measured -------------------------------------------------------------------------------- */

static void self_record(skua_histogram *histogram, int64_t ns, int64_t rc, struct self_attrs attrs)
{
    if (rc < 0)
        self_add(&attrs, SKUA_STR("error.type", skua_error_name(rc)));
    skua_metric_f64(&histogram->instrument, (double)ns / 1e9, attrs.at, attrs.count);
}

static void self_collected(const struct skua__dest_watch *watch, int64_t ns, int rc)
{
    self_record(&self_collection, ns, rc, self_of_processor((const void *)watch));
}

static void self_told(const struct skua__dest_watch *watch, int64_t ns, int64_t rc,
                      const skua_otel_answer *answer)
{
    struct self_attrs attrs = self_of_exporter((const void *)watch);

    if (answer->http_status >= 0)
        self_add(&attrs, SKUA_I64("http.response.status_code", answer->http_status));
    else if (answer->grpc_status >= 0)
        self_add(&attrs, SKUA_I64("rpc.grpc.status_code", answer->grpc_status));
    self_record(&self_operation, ns, rc, attrs);
}

/* ---- what components are called -------------------------------------------------------------- */

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

static void self_name(const struct skua__sdk *sdk, size_t i)
{
    static const char *const processors[2][SKUA_OTEL_SIGNALS] = {
        {"batching_span_processor", "periodic_metric_reader", "batching_log_processor"},
        {"simple_span_processor", "periodic_metric_reader", "simple_log_processor"}};
    struct skua__sdk_self *self = &sdk->selves[i];
    const skua_otel_destination *dest = &sdk->dests[i];
    unsigned processor = 0, exporter = 0;

    *self = (struct skua__sdk_self){.watch = {self_told, self_collected}};
    (void)snprintf(self->processor, sizeof self->processor, "%s",
                   processors[dest->simple][dest->signal]);
    self_exporter_type(sdk->names[i], dest->signal, self->exporter);
    for (size_t j = 0; j < i; j++) {
        processor += strcmp(sdk->selves[j].processor, self->processor) == 0;
        exporter += strcmp(sdk->selves[j].exporter, self->exporter) == 0;
    }
    (void)snprintf(self->processor_name, sizeof self->processor_name, "%s/%u", self->processor,
                   processor);
    (void)snprintf(self->exporter_name, sizeof self->exporter_name, "%s/%u", self->exporter,
                   exporter);
    if (dest->exporter->ops->server != NULL)
        self->server = dest->exporter->ops->server(dest->exporter, dest->signal, &self->port);
}

/* ---- life ------------------------------------------------------------------------------------ */

static skua_observing self_observing;

void skua__sdk_self_begin(struct skua__sdk *sdk)
{
    for (size_t i = 0; i < sdk->dests_count; i++)
        self_name(sdk, i);
    (void)skua_observing_begin(&self_observing, self_observe, sdk);
}

void skua__sdk_self_end(void)
{
    skua_observing_end(&self_observing);
}

#undef SELF_ATTRS
