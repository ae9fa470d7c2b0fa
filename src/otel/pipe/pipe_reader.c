/* pipe_reader.c - metrics: a fiber that collects and exports in a rhythm.
 *
 *   sleep until the next multiple of the interval, or told -> collect -> export part by part
 *
 * One export at a time, whatever the exporter could take: points of a stream must arrive in order.
 * A collection that is late is not made up for: cumulative sums have it all, deltas the next one.
 */
#include <skua/flow.h>

#include "otel/core/otel_warn.h"
#include "otel/metric/metric_impl.h"
#include "otel/pipe/pipe_impl.h"

/* A shutdown has ended the export before these points were tried. */
static void reader_drop(struct skua__periodic *self, size_t points)
{
    _Atomic uint64_t *count = &self->options.counts->dropped_shutdown;

    if (points == 0)
        return;
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + points,
                          memory_order_relaxed);
    skua__otel_warn(SKUA__WARN_OTHER, "shut down with %zu points of metrics not sent: dropped",
                    points);
}

/* Part by part, by points. */
static int64_t reader_export(struct skua__periodic *self, struct skua__batch *batch)
{
    const struct skua__periodic_options *options = &self->options;
    const struct skua__dest_options dest = {.exporter = options->exporter,
                                            .timeout = options->timeout,
                                            .counts = options->counts,
                                            .watch = options->watch};
    uint32_t max = options->max_batch != 0 ? options->max_batch : UINT32_MAX;
    uint32_t metric = 0, point = 0;
    skua_otel_metric *room = skua__batch_alloc(batch, batch->data.count * sizeof *room);
    size_t left = skua_otel_batch_size(&batch->data), size;
    const skua_otel_answer none = {.lost = 0};
    skua_otel_batch part;
    int64_t worst = 0;

    if (room == NULL)
        return skua__dest_count(options->counts, options->exporter, left, -ENOMEM, &none);
    while (skua_cancelled() == 0 &&
           skua__metric_part(&batch->data, max, &metric, &point, room, &part)) {
        skua_otel_answer answer;
        int64_t rc;
        int error;

        size = skua_otel_batch_size(&part);
        left -= size;
        atomic_store_explicit(&options->counts->inflight, size, memory_order_relaxed);
        rc = skua__dest_call(self->pipe, &dest, &part, &answer);
        atomic_store_explicit(&options->counts->inflight, 0, memory_order_relaxed);
        error = skua__dest_count(options->counts, options->exporter, size, rc, &answer);
        worst = error != 0 ? error : worst;
    }
    reader_drop(self, left);
    return worst;
}

static int64_t reader_gather(struct skua__periodic *self, struct skua__batch *batch)
{
    const struct skua__periodic_options *options = &self->options;
    int64_t before = skua_now();
    int rc = options->collect(options->source, batch);

    if (options->watch != NULL)
        options->watch->collected(options->watch, skua_now() - before, rc);
    return rc;
}

static void reader_once(struct skua__periodic *self)
{
    struct skua__batch *batch =
        skua__batch_new(SKUA_OTEL_METRICS, self->pipe->resource, 0, sizeof(skua_otel_metric));
    int64_t rc = -ENOMEM;

    if (batch != NULL)
        rc = reader_gather(self, batch);
    if (rc < 0) {
        self->missed++;
        skua__otel_warn(SKUA__WARN_EXPORT, "metrics were not collected: %s", skua_strerror(rc));
    } else if (batch->data.count != 0) {
        rc = reader_export(self, batch);
    }
    if (rc < 0)
        self->error = (int)rc;
    skua__batch_unref(batch);
}

static int reader_fiber(void *arg)
{
    struct skua__periodic *self = arg;
    int64_t interval = self->options.interval, next = skua__otel_after(skua_now(), interval);

    self->begun = true;
    while (skua_cancelled() == 0) {
        uint64_t asked;

        if (self->asked == self->done && !self->closing) {
            int rc = skua_notified_until(&self->work, next);

            (void)rc; /* told, due, cancelled: all are looked at */
        }
        asked = self->asked;
        if (asked != self->done || skua_now() >= next) {
            reader_once(self);
            self->done = asked;
            skua_notify_all(&self->over);
        } else if (self->closing) {
            break;
        }
        while (next <= skua_now())
            next = skua__otel_after(next, interval);
    }
    self->done = UINT64_MAX;
    skua_notify_all(&self->over);
    return 0;
}

int skua__periodic_start(struct skua__periodic *periodic)
{
    return skua_spawn(NULL, reader_fiber, periodic, .name = "telemetry metrics",
                      .stack = SKUA_STACK_LARGE, .task = &periodic->task);
}

uint64_t skua__periodic_ask(struct skua__periodic *periodic)
{
    periodic->asked++;
    skua_notify_one(&periodic->work);
    return periodic->asked;
}

int skua__periodic_wait(struct skua__periodic *periodic, uint64_t time, int64_t deadline)
{
    for (;;) {
        skua_sync_future told;
        skua_future *future = skua_notified_init(&told, &periodic->over);
        int64_t result = 0;
        int rc;

        if (periodic->done >= time) {
            skua_future_drop(future);
            return 0;
        }
        rc = skua_timeout_at(future, deadline, &result);
        if (rc != 0)
            return rc;
    }
}

void skua__periodic_close(struct skua__periodic *periodic, bool cancel)
{
    periodic->closing = true;
    if (periodic->task == NULL)
        return;
    if (cancel)
        (void)skua_task_cancel(periodic->task);
    skua_notify_one(&periodic->work);
    (void)skua_task_join(periodic->task, NULL);
    periodic->task = NULL;
}
