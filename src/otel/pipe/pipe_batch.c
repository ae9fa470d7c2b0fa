/* pipe_batch.c - a batch: items, and all that they point at, in memory of its own.
 *
 * Chunks are cut from their front; a piece larger than a chunk has one for itself. All is freed at
 * once, when the last destination has let go.
 */
#include "otel/pipe/pipe_impl.h"

#define BATCH_CHUNK ((size_t)32 * 1024)

struct skua__batch_chunk {
    struct skua__batch_chunk *next;
    size_t used, size;
    _Alignas(8) char bytes[];
};

struct skua__batch *skua__batch_new(skua_otel_signal signal, const skua_otel_resource *resource,
                                    uint32_t max, size_t item)
{
    struct skua__batch *batch = skua__otel_malloc(sizeof *batch);

    if (batch == NULL)
        return NULL;
    batch->refs = 1;
    batch->max = max;
    batch->data.signal = signal;
    batch->data.resource = resource;
    if (max != 0) {
        batch->items = skua__otel_raw(max * item);
        if (batch->items == NULL) {
            skua__otel_free(batch);
            return NULL;
        }
    }
    batch->data.items.spans = (const void *)batch->items;
    return batch;
}

void *skua__batch_alloc(struct skua__batch *batch, size_t size)
{
    struct skua__batch_chunk *chunk = batch->chunks;
    void *piece;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 7) & ~(size_t)7;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > BATCH_CHUNK / 4 ? size : BATCH_CHUNK;

        chunk = skua__otel_raw(sizeof *chunk + room);
        if (chunk == NULL)
            return NULL;
        chunk->used = 0;
        chunk->size = room;
        chunk->next = batch->chunks;
        batch->chunks = chunk;
    }
    piece = chunk->bytes + chunk->used;
    chunk->used += size;
    return piece;
}

void skua__batch_trim(struct skua__batch *batch, void *piece, size_t used)
{
    struct skua__batch_chunk *chunk = batch->chunks;

    used = (used + 7) & ~(size_t)7;
    chunk->used = (size_t)((char *)piece - chunk->bytes) + used;
}

struct skua__batch *skua__batch_ref(struct skua__batch *batch)
{
    batch->refs++;
    return batch;
}

void skua__batch_unref(struct skua__batch *batch)
{
    if (batch == NULL || --batch->refs != 0)
        return;
    while (batch->chunks != NULL) {
        struct skua__batch_chunk *next = batch->chunks->next;

        skua__otel_free(batch->chunks);
        batch->chunks = next;
    }
    if (batch->let_go != NULL)
        batch->let_go(batch->held);
    skua__otel_free(batch->items);
    skua__otel_free(batch);
}

/* Whose it is, of the item at an index. */
static const skua_otel_scope *batch_scope(char *items, const struct skua__otel_reader *reader,
                                          uint32_t index)
{
    return *reader->scope_at(items + index * reader->item);
}

void skua__batch_group(struct skua__batch *batch, const struct skua__otel_reader *reader)
{
    uint32_t count = batch->data.count, mixed = 1, to = 0;
    char *sorted;

    while (mixed < count &&
           batch_scope(batch->items, reader, mixed) == batch_scope(batch->items, reader, 0))
        mixed++;
    sorted = mixed < count ? skua__otel_raw(batch->max * reader->item) : NULL;
    if (sorted == NULL)
        return; /* as they came is right, too: only longer when it is sent */
    for (uint32_t i = 0; i < count; i++) {
        const skua_otel_scope *scope = batch_scope(batch->items, reader, i);

        for (uint32_t j = i; scope != NULL && j < count; j++) {
            if (batch_scope(batch->items, reader, j) != scope)
                continue;
            memcpy(sorted + to++ * reader->item, batch->items + j * reader->item, reader->item);
            if (j != i) /* moved: it has none any more */
                *reader->scope_at(batch->items + j * reader->item) = NULL;
        }
    }
    skua__otel_free(batch->items);
    batch->items = sorted;
    batch->data.items.spans = (const void *)sorted;
}

size_t skua_otel_batch_size(const skua_otel_batch *batch)
{
    size_t size = 0;

    if (batch->signal != SKUA_OTEL_METRICS)
        return batch->count;
    for (uint32_t i = 0; i < batch->count; i++)
        size += batch->items.metrics[i].points_count;
    return size;
}

void *skua_otel_alloc(skua_otel_arena *arena, size_t size)
{
    return skua__batch_alloc((struct skua__batch *)arena, size);
}

#undef BATCH_CHUNK
