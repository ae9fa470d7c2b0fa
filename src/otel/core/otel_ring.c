/* otel_ring.c - one writer, one reader.
 *
 * Orders     the writer's release store of head makes a record's bytes seen by the reader's acquire
 *            load; the reader's release store of tail says that it is done with bytes before the
 *            writer, who loads it with acquire, writes over them.
 */
#include "otel/core/otel_ring.h"

#define RING_HEADER sizeof(struct skua__otel_record)

int skua__otel_ring_init(struct skua__otel_ring *ring, size_t size)
{
    *ring = (struct skua__otel_ring){.bytes = skua__otel_raw(size), .size = size};
    return ring->bytes != NULL ? 0 : -ENOMEM;
}

void skua__otel_ring_done(struct skua__otel_ring *ring)
{
    skua__otel_free(ring->bytes);
    ring->bytes = NULL;
}

/* Whether `size` bytes are free from `head` on. */
static bool ring_has(struct skua__otel_ring *ring, size_t head, size_t size)
{
    if (ring->size - (head - ring->seen) >= size)
        return true;
    ring->seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return ring->size - (head - ring->seen) >= size;
}

void *skua__otel_ring_begin(struct skua__otel_ring *ring, uint32_t kind, size_t size)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* our own */
    size_t at = head & (ring->size - 1), end = ring->size - at, gap = 0;
    struct skua__otel_record *record;

    size = (RING_HEADER + size + 7) & ~(size_t)7;
    if (size > end)
        gap = end;
    if (size > ring->size / 2 || !ring_has(ring, head, gap + size)) {
        /* Relaxed: a count, which the reader takes when it comes by. */
        atomic_fetch_add_explicit(&ring->dropped[kind], 1, memory_order_relaxed);
        return NULL;
    }
    if (gap != 0) {
        record = (struct skua__otel_record *)(void *)(ring->bytes + at);
        *record = (struct skua__otel_record){(uint32_t)gap, SKUA__OTEL_WRAP};
        at = 0;
    }
    record = (struct skua__otel_record *)(void *)(ring->bytes + at);
    *record = (struct skua__otel_record){(uint32_t)size, kind};
    ring->writing = head + gap + size;
    return record + 1;
}

size_t skua__otel_ring_publish(struct skua__otel_ring *ring)
{
    atomic_store_explicit(&ring->head, ring->writing, memory_order_release);
    return ring->writing - ring->seen;
}

size_t skua__otel_ring_used(struct skua__otel_ring *ring)
{
    ring->seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return ring->writing - ring->seen;
}

const struct skua__otel_record *skua__otel_ring_peek(struct skua__otel_ring *ring)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* our own */
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    const struct skua__otel_record *record;

    if (tail == head)
        return NULL;
    record =
        (const struct skua__otel_record *)(const void *)(ring->bytes + (tail & (ring->size - 1)));
    if (record->kind != SKUA__OTEL_WRAP)
        return record;
    atomic_store_explicit(&ring->tail, tail + record->size, memory_order_release);
    return skua__otel_ring_peek(ring);
}

void skua__otel_ring_next(struct skua__otel_ring *ring)
{
    const struct skua__otel_record *record = skua__otel_ring_peek(ring);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* our own */

    if (record != NULL)
        atomic_store_explicit(&ring->tail, tail + record->size, memory_order_release);
}

#undef RING_HEADER
