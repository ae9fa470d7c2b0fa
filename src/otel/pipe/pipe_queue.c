/* pipe_queue.c - a destination: a bounded queue, and fibers that export what is in it.
 *
 *   push -> entry (a part of a batch) … -> a fiber takes it -> its turn at the exporter -> export
 *                \-> no room: dropped, counted
 *
 * Bound      items that wait; those that are being exported have left the queue, as in the
 *            specification's batch processor. What comes last is dropped.
 * Turn       one exporter may stand behind several destinations (of several signals): a semaphore
 *            of the exporter's holds as many permits as it takes calls at a time.
 * Order      entries have numbers; a destination is done with all up to a number when neither the
 *            queue nor a fiber has one that is not higher.
 */
#include <skua/flow.h>

#include "otel/core/otel_clock.h"
#include "otel/core/otel_warn.h"
#include "otel/pipe/pipe_impl.h"

static void queue_add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static const char *queue_name(const skua_otel_exporter *exporter)
{
    const char *name = exporter->ops->name;

    return name != NULL ? name : "exporter";
}

int skua__dest_init(struct skua__dest *dest, struct skua__pipe *pipe,
                    const struct skua__dest_options *options)
{
    unsigned workers = options->exporter->ops->concurrency;

    *dest = (struct skua__dest){
        .options = *options, .pipe = pipe, .workers = workers != 0 ? workers : 1};
    dest->active = skua__otel_malloc(dest->workers * sizeof *dest->active);
    dest->tasks = skua__otel_malloc(dest->workers * sizeof(skua_task *));
    return dest->active != NULL && dest->tasks != NULL ? 0 : -ENOMEM;
}

void skua__dest_free(struct skua__dest *dest)
{
    skua__otel_free(dest->active);
    skua__otel_free(dest->tasks);
}

/* ---- in -------------------------------------------------------------------------------------- */

static uint32_t queue_put(struct skua__dest *dest, struct skua__batch *batch, uint32_t from,
                          uint32_t count)
{
    struct skua__dest_entry *entry = skua__otel_malloc(sizeof *entry);

    if (entry == NULL)
        return 0;
    entry->batch = skua__batch_ref(batch);
    entry->from = from;
    entry->count = count;
    entry->seq = ++dest->pushed;
    if (dest->last != NULL)
        dest->last->next = entry;
    else
        dest->first = entry;
    dest->last = entry;
    dest->queued += count;
    skua_notify_one(&dest->work);
    return count;
}

void skua__dest_push(struct skua__dest *dest, struct skua__batch *batch)
{
    const struct skua__dest_options *options = &dest->options;
    uint32_t from = 0, count = batch->data.count;

    while (from < count) {
        uint32_t room = options->max_queue - dest->queued, part = count - from;

        if (part > options->max_batch)
            part = options->max_batch;
        if (part > room)
            part = room;
        if (part == 0 || queue_put(dest, batch, from, part) == 0)
            break;
        from += part;
    }
    atomic_store_explicit(&options->counts->queued, dest->queued, memory_order_relaxed);
    if (from == count)
        return;
    queue_add(&options->counts->dropped_full, count - from);
    skua__otel_warn(SKUA__WARN_FULL, "%s: its queue is full: %u items dropped",
                    queue_name(options->exporter), count - from);
}

/* ---- out ------------------------------------------------------------------------------------- */

static struct skua__dest_entry *queue_take(struct skua__dest *dest, unsigned worker)
{
    struct skua__dest_entry *entry = dest->first;

    dest->first = entry->next;
    if (dest->first == NULL)
        dest->last = NULL;
    dest->queued -= entry->count;
    dest->active[worker] = entry->seq;
    atomic_store_explicit(&dest->options.counts->queued, dest->queued, memory_order_relaxed);
    return entry;
}

static void queue_entry_free(struct skua__dest_entry *entry)
{
    skua__batch_unref(entry->batch);
    skua__otel_free(entry);
}

static void queue_drop_entry(struct skua__dest *dest, struct skua__dest_entry *entry)
{
    queue_add(&dest->options.counts->dropped_shutdown, entry->count);
    queue_entry_free(entry);
}

/* By its kind, as long as there is room for more of them. */
static void queue_error(struct skua__dest_counts *counts, int error, size_t size)
{
    for (size_t i = 0; i < SKUA__DEST_ERRORS; i++) {
        int is = atomic_load_explicit(&counts->errors[i], memory_order_relaxed);

        if (is == 0)
            atomic_store_explicit(&counts->errors[i], error, memory_order_relaxed);
        if (is != 0 && is != error)
            continue;
        queue_add(&counts->errors_items[i], size);
        break;
    }
}

static void queue_failed(struct skua__dest_counts *counts, skua_otel_exporter *exporter,
                         size_t items, int error)
{
    if (error == -ETIMEDOUT)
        queue_add(&counts->late, 1);
    queue_add(&counts->failed, items);
    queue_error(counts, error, items);
    skua__otel_warn(SKUA__WARN_EXPORT, "%s: export failed: %s (%zu items dropped)",
                    queue_name(exporter), skua_strerror(error), items);
}

int skua__dest_count(struct skua__dest_counts *counts, skua_otel_exporter *exporter, size_t size,
                     int64_t rc, const skua_otel_answer *answer)
{
    uint64_t lost = answer->error < 0 && answer->lost > 0 ? (uint64_t)answer->lost : 0, rejected;

    if (rc < 0) {
        queue_failed(counts, exporter, size, (int)rc);
        return (int)rc;
    }
    if ((uint64_t)rc > size)
        rc = (int64_t)size;
    if (lost > (uint64_t)rc)
        lost = (uint64_t)rc;
    rejected = (uint64_t)rc - lost;
    queue_add(&counts->exported, size - (uint64_t)rc);
    queue_add(&counts->rejected, rejected);
    if (rejected != 0)
        skua__otel_warn(SKUA__WARN_EXPORT, "%s: %llu of %zu items rejected", queue_name(exporter),
                        (unsigned long long)rejected, size);
    if (lost != 0)
        queue_failed(counts, exporter, (size_t)lost, answer->error);
    return lost != 0 ? answer->error : 0;
}

static skua_otel_batch queue_part(const struct skua__dest_entry *entry)
{
    skua_otel_batch part = entry->batch->data;

    part.count = entry->count;
    if (part.signal == SKUA_OTEL_TRACES)
        part.items.spans += entry->from;
    else if (part.signal == SKUA_OTEL_LOGS)
        part.items.logs += entry->from;
    else
        part.items.metrics += entry->from;
    return part;
}

/* The call itself, measured. */
static int64_t queue_call(const struct skua__dest_options *options, const skua_otel_batch *part,
                          int64_t before, int64_t deadline, skua_otel_answer *answer)
{
    skua_otel_exporter *exporter = options->exporter;
    int64_t rc, took;

    rc = exporter->ops->export_told != NULL
             ? exporter->ops->export_told(exporter, part, deadline, answer)
             : exporter->ops->export_batch(exporter, part, deadline);
    took = skua_now() - before;
    queue_add(&options->counts->exports, 1);
    queue_add(&options->counts->export_ns, (uint64_t)took);
    if (options->watch != NULL)
        options->watch->exported(options->watch, took, rc, answer);
    return rc;
}

int64_t skua__dest_call(struct skua__pipe *pipe, const struct skua__dest_options *options,
                        const skua_otel_batch *part, skua_otel_answer *answer)
{
    skua_semaphore *turn = skua__pipe_turn(pipe, options->exporter);
    int64_t before, timeout = options->timeout, rc = skua_semaphore_acquire(turn, 1);
    skua_deadline frame;

    *answer = (skua_otel_answer){.http_status = -1, .grpc_status = -1};
    if (rc != 0)
        return rc;
    before = skua_now();
    if (timeout > SKUA_FOREVER - before)
        timeout = SKUA_FOREVER - before;
    rc = skua_deadline_begin(&frame, before + timeout);
    if (rc == 0)
        rc = queue_call(options, part, before, before + timeout, answer);
    (void)skua_deadline_end(&frame);
    (void)skua_semaphore_release(turn, 1);
    return rc;
}

static void queue_export(struct skua__dest *dest, struct skua__dest_entry *entry)
{
    struct skua__dest_counts *counts = dest->options.counts;
    skua_otel_batch part = queue_part(entry);
    skua_otel_answer answer;
    int64_t rc;
    int error;

    atomic_fetch_add_explicit(&counts->inflight, part.count, memory_order_relaxed);
    rc = skua__dest_call(dest->pipe, &dest->options, &part, &answer);
    atomic_fetch_sub_explicit(&counts->inflight, part.count, memory_order_relaxed);
    if (rc < 0 && skua_cancelled()) {
        dest->error = -ETIMEDOUT;
        queue_drop_entry(dest, entry);
        return;
    }
    error = skua__dest_count(counts, dest->options.exporter, part.count, rc, &answer);
    if (error != 0)
        dest->error = error;
    queue_entry_free(entry);
}

static int queue_run(struct skua__dest *dest, unsigned worker)
{
    int rc;

    while (skua_cancelled() == 0) {
        if (dest->first == NULL) {
            if (dest->closing)
                break;
            rc = skua_notified(&dest->work);
            (void)rc; /* cancelled: seen above */
            continue;
        }
        queue_export(dest, queue_take(dest, worker));
        dest->active[worker] = 0;
        skua_notify_all(&dest->done);
    }
    skua_notify_all(&dest->done);
    return 0;
}

struct queue_worker {
    struct skua__dest *dest;
    unsigned worker;
};

static int queue_fiber(void *arg)
{
    struct queue_worker self = *(struct queue_worker *)arg;

    skua__otel_free(arg);
    self.dest->begun++;
    return queue_run(self.dest, self.worker);
}

int skua__dest_start(struct skua__dest *dest)
{
    for (unsigned i = 0; i < dest->workers; i++) {
        struct queue_worker *worker = skua__otel_raw(sizeof *worker);
        int rc = worker != NULL ? 0 : -ENOMEM;

        if (rc == 0) {
            *worker = (struct queue_worker){dest, i};
            rc = skua_spawn(NULL, queue_fiber, worker, .name = "telemetry export",
                            .stack = SKUA_STACK_LARGE, .drop = skua__otel_free,
                            .task = &dest->tasks[i]);
        }
        if (rc != 0) {
            skua__otel_free(worker);
            return rc;
        }
    }
    return 0;
}

/* ---- to the end ------------------------------------------------------------------------------ */

static bool queue_done(const struct skua__dest *dest, uint64_t seq)
{
    if (dest->first != NULL && dest->first->seq <= seq)
        return false;
    for (unsigned i = 0; i < dest->workers; i++)
        if (dest->active[i] != 0 && dest->active[i] <= seq)
            return false;
    return true;
}

int skua__dest_wait(struct skua__dest *dest, uint64_t seq, int64_t deadline)
{
    for (;;) {
        skua_sync_future told;
        skua_future *future = skua_notified_init(&told, &dest->done);
        int64_t result = 0;
        int rc;

        if (queue_done(dest, seq)) {
            skua_future_drop(future);
            return 0;
        }
        rc = skua_timeout_at(future, deadline, &result);
        if (rc != 0)
            return rc;
    }
}

void skua__dest_close(struct skua__dest *dest, bool cancel)
{
    dest->closing = true;
    for (unsigned i = 0; i < dest->workers && dest->tasks[i] != NULL; i++) {
        if (cancel)
            (void)skua_task_cancel(dest->tasks[i]);
        else
            skua_notify_one(&dest->work);
    }
    skua_notify_all(&dest->work);
    for (unsigned i = 0; i < dest->workers && dest->tasks[i] != NULL; i++) {
        (void)skua_task_join(dest->tasks[i], NULL);
        dest->tasks[i] = NULL;
    }
}

void skua__dest_drop(struct skua__dest *dest)
{
    uint32_t count = dest->queued;

    while (dest->first != NULL) {
        struct skua__dest_entry *entry = dest->first;

        dest->first = entry->next;
        queue_drop_entry(dest, entry);
    }
    dest->last = NULL;
    dest->queued = 0;
    atomic_store_explicit(&dest->options.counts->queued, 0, memory_order_relaxed);
    if (count != 0)
        skua__otel_warn(SKUA__WARN_OTHER, "%s: shut down with %u items in its queue: dropped",
                        queue_name(dest->options.exporter), count);
}
