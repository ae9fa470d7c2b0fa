/* send_exporter.c - the exporter: encodes a batch, sends it, and again, and counts what came of it.
 *
 * Flow       export_batch: a slot's memory -> the request's bytes -> gzip -> try, pause, try …
 *            -> one of: arrived (with some rejected), or given up. Each item of a batch is counted
 *            once, when that is known.
 * Halves     a batch of which the request would be too long is sent in two halves, one behind the
 *            other, and these likewise, down to what has one item: so no item is lost by others.
 *            All of them share the time of the batch.
 * Pauses     the backoff of libskua. A collector that wants a longer one gets it, and those behind
 *            it grow from there.
 * Cost       no allocation in the steady state but by compression and by the HTTP client.
 */
#include <stdio.h>
#include <unistd.h>

#include <skua/retry.h>
#include <skua/task.h>

#include "otel/output/output_impl.h"
#include "otel/send/send_impl.h"

static void exporter_add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static const char *exporter_items(skua_otel_signal signal)
{
    static const char *const names[] = {"spans", "points of metrics", "log records"};

    return names[signal];
}

static void exporter_says(const struct skua__send *self, skua_otel_signal signal, size_t items,
                          struct skua__send_answer *answer)
{
    const char *colon = answer->text[0] != '\0' ? ": " : "";
    char status[24] = "";

    skua__send_redact(self, answer->text);
    if (answer->answered)
        (void)snprintf(status, sizeof status, ", status %d", answer->status);
    if (answer->rc < 0)
        skua__otel_warn(SKUA__WARN_EXPORT, "%zu %s did not get to %s: %s%s%s%s", items,
                        exporter_items(signal), self->shown[signal], skua_error_name(answer->rc),
                        status, colon, answer->text);
    else if (answer->partial)
        skua__otel_warn(SKUA__WARN_EXPORT, "%lld of %zu %s were rejected by %s%s%s",
                        (long long)answer->rc, items, exporter_items(signal), self->shown[signal],
                        colon, answer->text);
}

static void exporter_counts(struct skua__send *self, skua_otel_signal signal, size_t items,
                            struct skua__send_answer *answer)
{
    struct skua__send_counts *counts = &self->counts;

    if (answer->rc > (int64_t)items)
        answer->rc = (int64_t)items; /* more than there were: a collector that cannot count */
    if (answer->partial)
        exporter_add(&counts->partial, 1);
    if (answer->rc < 0) {
        exporter_add(&counts->failed[signal], items);
    } else {
        exporter_add(&counts->rejected[signal], (uint64_t)answer->rc);
        exporter_add(&counts->exported[signal], items - (uint64_t)answer->rc);
    }
    exporter_says(self, signal, items, answer);
}

/* ---- tries ----------------------------------------------------------------------------------- */

static void exporter_try(struct skua__send *self, const struct skua__send_request *request,
                         struct skua__send_answer *answer)
{
    skua_http_client *client;
    int rc = skua__send_client_of(self, &client);

    *answer = (struct skua__send_answer){.rc = rc, .after = -1, .again = rc != 0};
    if (rc != 0)
        return;
    exporter_add(&self->counts.requests, 1);
    exporter_add(&self->counts.bytes, request->len);
    if (self->protocol == SKUA_OTLP_GRPC)
        skua__send_grpc(self, client, request, answer);
    else
        skua__send_http(self, client, request, answer);
    if (answer->rc == -ETIMEDOUT && skua_now() >= request->deadline)
        answer->again = false;
}

/* The pauses of a batch, from `initial` on. */
static void exporter_backoff(const struct skua__send *self, skua_backoff *backoff, int64_t initial,
                             int64_t deadline)
{
    /* The numbers are in range: options_numbers and the callers see to it. */
    (void)skua_backoff_init(
        backoff,
        SKUA_BACKOFF_OPTIONS(.initial = initial,
                             .max = initial > self->retry_max ? initial : self->retry_max,
                             .multiplier = self->retry_multiplier, .jitter = SKUA_JITTER_EQUAL,
                             .attempts = SKUA_ATTEMPTS_FOREVER, .deadline = deadline));
}

/* It ends because there is no time left, or nobody waits any more: what is said of it is why it had
 * not arrived before. `before`: of the last try that failed by itself; 0: none did. */
static void exporter_gives_up(struct skua__send_answer *answer, int64_t before)
{
    if ((answer->rc == -ECANCELED || answer->rc == -ETIMEDOUT) && before < 0 &&
        answer->text[0] == '\0')
        (void)snprintf(answer->text, sizeof answer->text, "before that %s",
                       skua_error_name(before));
}

static void exporter_tries(struct skua__send *self, const struct skua__send_request *request,
                           struct skua__send_answer *answer)
{
    int64_t before = 0;
    skua_backoff backoff;

    exporter_backoff(self, &backoff, self->retry_initial, request->deadline);
    for (unsigned attempt = 1;; attempt++) {
        int64_t pause;
        int rc;

        exporter_try(self, request, answer);
        if (!answer->again || attempt >= self->attempts) {
            exporter_gives_up(answer, before);
            return;
        }
        before = answer->rc;
        pause = skua_backoff_next_after(&backoff, answer->after);
        if (pause < 0)
            return;                              /* it would end too late */
        if (answer->after > self->retry_initial) /* from there it grows */
            exporter_backoff(self, &backoff,
                             (int64_t)((double)answer->after * self->retry_multiplier),
                             request->deadline);
        rc = skua_sleep(pause);
        if (rc != 0) {
            answer->rc = rc;
            exporter_gives_up(answer, before);
            return;
        }
        exporter_add(&self->counts.retries, 1);
    }
}

/* ---- a batch --------------------------------------------------------------------------------- */

/* `told`: receives the last answer's status; NULL: nobody wants it. */
static int64_t exporter_send(struct skua__send *self, skua_otel_signal signal, const void *bytes,
                             size_t len, size_t items, int64_t deadline, skua_otel_answer *told)
{
    struct skua__send_request request = {.signal = signal, .body = bytes, .len = len};
    struct skua__send_answer answer = {.after = -1};
    int64_t latest = skua__otel_after(skua_now(), self->timeout);
    void *coded = NULL;
    skua_deadline frame;
    int framed;

    request.deadline = deadline < latest ? deadline : latest;
    if (self->gzip && self->protocol != SKUA_OTLP_GRPC) {
        answer.rc = skua__send_gzip(bytes, len, &coded, &request.len);
        request.body = coded;
        request.coded = true;
    }
    if (answer.rc == 0) {
        framed = skua_deadline_begin(&frame, request.deadline);
        exporter_tries(self, &request, &answer);
        if (framed != SKUA_EUSAGE) /* on a thread there are the request's own time-outs */
            (void)skua_deadline_end(&frame);
    }
    skua__otel_free(coded);
    if (told != NULL && answer.answered)
        *(self->protocol == SKUA_OTLP_GRPC ? &told->grpc_status : &told->http_status) =
            answer.status;
    exporter_counts(self, signal, items, &answer);
    return answer.rc;
}

/* Memory that nobody has; NULL: a plain one is to be used, more come than were announced. */
static struct skua__send_slot *exporter_slot(struct skua__send *self)
{
    for (unsigned i = 0; i < self->concurrency; i++)
        if (!atomic_flag_test_and_set_explicit(&self->slots[i].taken, memory_order_acquire))
            return &self->slots[i];
    return NULL;
}

/* Encodes as the protocol wants it; *ret are the slot's bytes. */
static int64_t exporter_encoded(const struct skua__send *self, struct skua__send_slot *slot,
                                const skua_otel_batch *batch, const void **ret, size_t *len)
{
    int rc;

    if (self->zipkin && batch->signal != SKUA_OTEL_TRACES)
        return -EINVAL; /* it has a place for spans alone */
    if (self->protocol == SKUA_OTLP_HTTP_JSON) {
        skua__json_begin(&slot->json, self->request_max);
        rc = self->zipkin ? skua__zipkin_spans(&slot->json, batch)
                          : skua__otlp_json_request(&slot->json, batch);
        *ret = slot->json.bytes;
        *len = slot->json.len;
    } else {
        skua__otlp_begin(&slot->protobuf, self->request_max);
        rc = skua__otlp_request(&slot->protobuf, batch);
        *ret = slot->protobuf.bytes + slot->protobuf.at;
        *len = skua__otlp_size(&slot->protobuf);
    }
    return rc == 0 && *len > self->request_max ? -EMSGSIZE : rc;
}

/* A batch that could not even be tried. */
static void exporter_refused(struct skua__send *self, const skua_otel_batch *batch, int64_t rc)
{
    struct skua__send_answer answer = {.rc = rc};
    size_t items = skua_otel_batch_size(batch);

    exporter_add(&self->counts.too_long, rc == -EMSGSIZE ? items : 0);
    exporter_counts(self, batch->signal, items, &answer);
}

/* With memory to encode into, which is kept for others where it is a slot's. */
static int64_t exporter_with(struct skua__send *self, const skua_otel_batch *batch,
                             int64_t (*fn)(struct skua__send *self, struct skua__send_slot *slot,
                                           const skua_otel_batch *batch, void *arg),
                             void *arg)
{
    struct skua__send_slot own = {.taken = ATOMIC_FLAG_INIT}, *slot = exporter_slot(self);
    int64_t rc = fn(self, slot != NULL ? slot : &own, batch, arg);

    skua__otlp_free(&own.protobuf);
    skua__json_free(&own.json);
    if (slot != NULL)
        atomic_flag_clear_explicit(&slot->taken, memory_order_release);
    return rc;
}

/* ---- a batch in halves ----------------------------------------------------------------------- */

struct exporter_call {
    int64_t deadline;
    skua_otel_answer *told;
    int64_t rejected; /* items, of parts that arrived */
    int64_t lost;     /* items of those that did not */
    int64_t error;    /* of these; 0: all arrived */
    bool arrived;     /* some did */
};

/* A batch's part. Of the points of one metric `metric` is the memory. */
static skua_otel_batch exporter_part(const skua_otel_batch *batch, uint32_t from, uint32_t count,
                                     skua_otel_metric *metric)
{
    skua_otel_batch part = *batch;

    if (batch->count == 1) {
        *metric = batch->items.metrics[0];
        metric->points += from;
        metric->points_count = count;
        part.items.metrics = metric;
        return part;
    }
    part.count = count;
    if (batch->signal == SKUA_OTEL_TRACES)
        part.items.spans += from;
    else if (batch->signal == SKUA_OTEL_LOGS)
        part.items.logs += from;
    else
        part.items.metrics += from;
    return part;
}

static void exporter_parts(struct skua__send *self, struct skua__send_slot *slot,
                           const skua_otel_batch *batch, struct exporter_call *call)
{
    size_t size = skua_otel_batch_size(batch), len;
    const void *bytes;
    int64_t rc = exporter_encoded(self, slot, batch, &bytes, &len);

    if (rc == -EMSGSIZE && (batch->count > 1 || size > 1)) {
        uint32_t count = batch->count > 1 ? batch->count : (uint32_t)size, half = count / 2;
        skua_otel_metric metric;
        skua_otel_batch part = exporter_part(batch, 0, half, &metric);

        exporter_parts(self, slot, &part, call);
        part = exporter_part(batch, half, count - half, &metric);
        exporter_parts(self, slot, &part, call);
        return;
    }
    if (rc == 0 && call->error != 0 && skua_now() >= call->deadline)
        rc = -ETIMEDOUT; /* the parts before this one have used up its time */
    if (rc == 0)
        rc = exporter_send(self, batch->signal, bytes, len, size, call->deadline, call->told);
    else
        exporter_refused(self, batch, rc);
    if (rc >= 0) {
        call->arrived = true;
        call->rejected += rc;
        return;
    }
    call->lost += (int64_t)size;
    if (call->error == 0 || skua_otel_may_succeed(rc))
        call->error = rc;
}

static int64_t exporter_sends(struct skua__send *self, struct skua__send_slot *slot,
                              const skua_otel_batch *batch, void *arg)
{
    struct exporter_call *call = arg;

    exporter_parts(self, slot, batch, call);
    if (!call->arrived)
        return call->error;
    if (call->told != NULL) {
        call->told->lost = call->lost;
        call->told->error = (int)call->error;
    }
    return call->rejected + call->lost;
}

static int64_t exporter_told(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                             int64_t deadline, skua_otel_answer *told)
{
    struct skua__send *self = (struct skua__send *)exporter;
    int64_t latest = skua__otel_after(skua_now(), self->timeout);
    struct exporter_call call = {.deadline = deadline < latest ? deadline : latest, .told = told};

    if (batch->count == 0)
        return 0;
    exporter_add(&self->counts.batches, 1);
    return exporter_with(self, batch, exporter_sends, &call);
}

static int64_t exporter_batch(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                              int64_t deadline)
{
    return exporter_told(exporter, batch, deadline, NULL);
}

struct exporter_sink {
    int (*sink)(void *arg, const void *bytes, size_t len);
    void *arg;
};

/* The bytes are one record on a disk: it is not halved. */
static int64_t exporter_sinks(struct skua__send *self, struct skua__send_slot *slot,
                              const skua_otel_batch *batch, void *arg)
{
    const struct exporter_sink *sink = arg;
    const void *bytes;
    size_t len;
    int64_t rc = exporter_encoded(self, slot, batch, &bytes, &len);

    if (rc == 0)
        return sink->sink(sink->arg, bytes, len);
    exporter_add(&self->counts.batches, 1);
    exporter_refused(self, batch, rc);
    return rc;
}

static int exporter_encode(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                           int (*sink)(void *arg, const void *bytes, size_t len), void *arg)
{
    struct exporter_sink to = {sink, arg};

    return (int)exporter_with((struct skua__send *)exporter, batch, exporter_sinks, &to);
}

static int64_t exporter_bytes(skua_otel_exporter *exporter, skua_otel_signal signal,
                              const void *bytes, size_t len, size_t items, int64_t deadline)
{
    struct skua__send *self = (struct skua__send *)exporter;

    exporter_add(&self->counts.batches, 1);
    return exporter_send(self, signal, bytes, len, items, deadline, NULL);
}

static const char *exporter_server(const skua_otel_exporter *exporter, skua_otel_signal signal,
                                   int *port)
{
    const struct skua__send *self = (const struct skua__send *)exporter;

    *port = self->ports[signal];
    return self->hosts[signal];
}

/* ---- its end --------------------------------------------------------------------------------- */

static int exporter_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    struct skua__send *self = (struct skua__send *)exporter;
    struct skua__send_client *now = atomic_load_explicit(&self->client, memory_order_acquire);

    (void)deadline;
    if (now != NULL && now->process == getpid())
        (void)skua_http_client_close_idle(now->client);
    return 0;
}

static void exporter_free(skua_otel_exporter *exporter)
{
    struct skua__send *self = (struct skua__send *)exporter;
    struct skua__send_client *now = atomic_load_explicit(&self->client, memory_order_acquire);

    while (now != NULL) {
        struct skua__send_client *older = now->older;

        if (now->process == getpid())
            (void)skua_http_client_free(now->client);
        skua__otel_free(now);
        now = older;
    }
    skua__send_free(self);
}

void skua__send_ops(struct skua__send *self,
                    skua_otel_temporality (*temporality)(const skua_otel_exporter *exporter,
                                                         int kind))
{
    static const char *const names[] = {"otlp_http_exporter", "otlp_http_json_exporter",
                                        "otlp_grpc_exporter"};

    self->ops = (skua_otel_exporter_ops){
        .name = self->zipkin ? "zipkin_http_span_exporter" : names[self->protocol],
        .export_batch = exporter_batch,
        .shutdown = exporter_shutdown,
        .free = exporter_free,
        .temporality = temporality,
        .concurrency = self->concurrency,
        .encode = exporter_encode,
        .export_bytes = exporter_bytes,
        .server = exporter_server,
        .export_told = exporter_told,
        .encoding = self->zipkin                            ? "zipkin_json"
                    : self->protocol == SKUA_OTLP_HTTP_JSON ? "otlp_json"
                                                            : "otlp_proto"};
    self->base.ops = &self->ops;
}

static uint64_t exporter_count(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

void skua_otlp_stats_of(const skua_otel_exporter *exporter, skua_otlp_stats *ret)
{
    const struct skua__send_counts *counts = &((const struct skua__send *)exporter)->counts;

    for (int i = 0; i < SKUA_OTEL_SIGNALS; i++) {
        ret->exported[i] = exporter_count(&counts->exported[i]);
        ret->rejected[i] = exporter_count(&counts->rejected[i]);
        ret->failed[i] = exporter_count(&counts->failed[i]);
    }
    ret->batches = exporter_count(&counts->batches);
    ret->requests = exporter_count(&counts->requests);
    ret->retries = exporter_count(&counts->retries);
    ret->partial = exporter_count(&counts->partial);
    ret->too_long = exporter_count(&counts->too_long);
    ret->bytes = exporter_count(&counts->bytes);
}
