/* pipe_collect.c - the collector: what is in the rings becomes batches.
 *
 *   ring -> record -> item in the open batch of its signal -> processors -> … full, or due: to all
 *                                                                          destinations
 *
 * A pass looks at each ring's head once: what comes while it runs is the next one's, so a pass ends
 * however fast the program is. The fiber gives way now and then, for the exporters beside it.
 *
 * Order      skua__pipe_awake before the heads are read: see pipe_main.c.
 */
#include "otel/core/otel_clock.h"
#include "otel/core/otel_warn.h"
#include "otel/pipe/pipe_impl.h"

#define COLLECT_RENEW INT64_C(1000000000) /* ns */
#define COLLECT_TURN 128                  /* records between two looks at others */

_Atomic uint64_t skua__pipe_filtered, skua__pipe_lost;

/* ---- scopes ---------------------------------------------------------------------------------- */

struct skua__pipe_scope {
    const void *maker; /* NULL: free */
    skua_otel_scope *scope;
};

static size_t collect_slot(const struct skua__pipe_scope *scopes, size_t size, const void *maker)
{
    size_t at = (size_t)((uintptr_t)maker * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (size - 1);

    while (scopes[at].maker != NULL && scopes[at].maker != maker)
        at = (at + 1) & (size - 1);
    return at;
}

static bool collect_scopes_grow(struct skua__pipe *pipe)
{
    size_t size = pipe->scopes_size != 0 ? pipe->scopes_size * 2 : 16;
    struct skua__pipe_scope *scopes;

    if (pipe->scopes_size != 0 && pipe->scopes_used < pipe->scopes_size / 2)
        return true;
    scopes = skua__otel_malloc(size * sizeof *scopes);
    if (scopes == NULL)
        return false;
    for (size_t i = 0; i < pipe->scopes_size; i++)
        if (pipe->scopes[i].maker != NULL)
            scopes[collect_slot(scopes, size, pipe->scopes[i].maker)] = pipe->scopes[i];
    skua__otel_free(pipe->scopes);
    pipe->scopes = scopes;
    pipe->scopes_size = size;
    return true;
}

/* NULL: no memory. */
static const skua_otel_scope *
collect_scope(struct skua__pipe *pipe, const struct skua__otel_reader *reader, const void *maker)
{
    skua_otel_scope *scope;
    size_t at;

    if (pipe->scopes_size != 0) {
        at = collect_slot(pipe->scopes, pipe->scopes_size, maker);
        if (pipe->scopes[at].maker == maker)
            return pipe->scopes[at].scope;
    }
    scope = collect_scopes_grow(pipe) ? skua__otel_malloc(sizeof *scope) : NULL;
    if (scope == NULL)
        return NULL;
    reader->scope(maker, scope);
    at = collect_slot(pipe->scopes, pipe->scopes_size, maker);
    pipe->scopes[at] = (struct skua__pipe_scope){maker, scope};
    pipe->scopes_used++;
    return scope;
}

void skua__pipe_scopes_free(struct skua__pipe *pipe)
{
    for (size_t i = 0; i < pipe->scopes_size; i++)
        skua__otel_free(pipe->scopes[i].scope);
    skua__otel_free(pipe->scopes);
    pipe->scopes = NULL;
    pipe->scopes_size = pipe->scopes_used = 0;
}

/* ---- batches --------------------------------------------------------------------------------- */

/* The open batch goes to all destinations of its signal. */
static void collect_send(struct skua__pipe *pipe, struct skua__pipe_stream *stream)
{
    struct skua__batch *batch = stream->open;

    stream->open = NULL;
    if (batch == NULL)
        return;
    if (batch->data.count != 0) {
        skua__batch_group(batch, stream->reader);
        for (size_t i = 0; i < pipe->dests_count; i++)
            if (pipe->dests[i].options.signal == batch->data.signal)
                skua__dest_push(&pipe->dests[i], batch);
    }
    skua__batch_unref(batch);
}

/* Whether all processors let it pass. */
static bool pcollect_filter(struct skua__pipe *pipe, struct skua__batch *batch, void *item)
{
    skua_otel_arena *arena = (skua_otel_arena *)batch;

    for (size_t i = 0; i < pipe->processors_count; i++) {
        skua_otel_processor *processor = pipe->processors[i];
        const skua_otel_processor_ops *ops = processor->ops;

        if (batch->data.signal == SKUA_OTEL_TRACES && ops->span != NULL &&
            ops->span(processor, item, arena) == 0)
            return false;
        if (batch->data.signal == SKUA_OTEL_LOGS && ops->log != NULL &&
            ops->log(processor, item, arena) == 0)
            return false;
    }
    return true;
}

/* False: no memory. */
static bool collect_item(struct skua__pipe *pipe, struct skua__pipe_stream *stream,
                         const void *record)
{
    const struct skua__otel_reader *reader = stream->reader;
    const skua_otel_scope *scope = collect_scope(pipe, reader, reader->scope_of(record));
    struct skua__batch *batch;
    void *room, *item;

    if (stream->open == NULL)
        stream->open =
            skua__batch_new(reader->signal, pipe->resource, stream->max_batch, reader->item);
    batch = stream->open;
    room = batch != NULL ? skua__batch_alloc(batch, reader->room(record)) : NULL;
    if (room == NULL || scope == NULL)
        return false;
    item = batch->items + batch->data.count * reader->item;
    skua__batch_trim(batch, room, reader->read(record, room, item));
    *reader->scope_at(item) = scope;
    if (!pcollect_filter(pipe, batch, item)) {
        skua__otel_bump(&skua__pipe_filtered, 1);
        return true;
    }
    if (++batch->data.count == stream->max_batch)
        collect_send(pipe, stream);
    return true;
}

static void collect_record(struct skua__pipe *pipe, const struct skua__otel_record *record)
{
    skua_otel_signal signal = record->kind == SKUA__OTEL_SPAN ? SKUA_OTEL_TRACES : SKUA_OTEL_LOGS;
    struct skua__pipe_stream *stream = &pipe->streams[signal];

    if (stream->reader == NULL || collect_item(pipe, stream, record + 1))
        return;
    skua__otel_bump(&skua__pipe_lost, 1);
    skua__otel_warn(SKUA__WARN_MEMORY, "no memory: items dropped");
}

static void collect_ring(struct skua__otel_thread *thread, void *arg)
{
    struct skua__otel_ring *ring = &thread->ring;
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    unsigned turn = 0;

    while (atomic_load_explicit(&ring->tail, memory_order_relaxed) != head) {
        const struct skua__otel_record *record = skua__otel_ring_peek(ring);

        if (record == NULL)
            break;
        collect_record(arg, record);
        skua__otel_ring_next(ring);
        if (++turn % COLLECT_TURN == 0)
            (void)skua_yield();
    }
}

/* ---- a pass ---------------------------------------------------------------------------------- */

uint64_t skua__pipe_dropped(void)
{
    struct skua__otel_counts counts;
    uint64_t dropped = 0;

    skua__otel_threads_count(&counts);
    for (size_t i = 0; i <= SKUA__OTEL_LOG; i++)
        dropped += counts.dropped[i];
    return dropped;
}

static void collect_tell_dropped(struct skua__pipe *pipe)
{
    uint64_t dropped = skua__pipe_dropped();

    if (dropped > pipe->dropped)
        skua__otel_warn(SKUA__WARN_FULL, "%llu items dropped: a thread's buffer was full",
                        (unsigned long long)(dropped - pipe->dropped));
    pipe->dropped = dropped;
}

void skua__pipe_collect(struct skua__pipe *pipe, bool all)
{
    int64_t now = skua_now();

    if (now - pipe->renewed >= COLLECT_RENEW) {
        skua__otel_clock_renew();
        pipe->renewed = now;
    }
    skua__pipe_awake();
    skua__otel_threads_each(collect_ring, pipe);
    for (size_t i = 0; i < SKUA_OTEL_SIGNALS; i++) {
        struct skua__pipe_stream *stream = &pipe->streams[i];

        if (stream->reader == NULL || (!all && stream->delay != 0 && now < stream->next))
            continue;
        collect_send(pipe, stream);
        stream->next = skua__otel_after(now, stream->delay);
    }
    collect_tell_dropped(pipe);
}

int64_t skua__pipe_next(const struct skua__pipe *pipe)
{
    int64_t next = SKUA_FOREVER;

    for (size_t i = 0; i < SKUA_OTEL_SIGNALS; i++) {
        const struct skua__pipe_stream *stream = &pipe->streams[i];

        if (stream->reader != NULL && stream->delay != 0 && stream->next < next)
            next = stream->next;
    }
    return next;
}

#undef COLLECT_RENEW
#undef COLLECT_TURN
