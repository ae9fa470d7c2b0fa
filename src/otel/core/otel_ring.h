/* otel_ring.h - records of one thread on their way to the one that collects: spans, logs.
 *
 * A thread that has something to say writes it into a ring of bytes of its own; the collector
 * reads the rings of all threads. One writer, one reader, no lock, nobody waits: when the ring is
 * full the record is dropped, and counted.
 *
 *   head   where the writer goes on; its own      published by a release store
 *   tail   where the reader goes on; its own      published by a release store
 *
 * A record is a skua__otel_record with its bytes behind it, rounded up to 8; one that does not fit
 * before the end of the ring begins at its start, and a mark of its kind says so.
 *
 * Life       made at a thread's first record; when the thread ends it is given up, and the
 *            collector frees it when it is empty. In the child of a fork the parent's rings are
 *            forgotten: what is in them is the parent's to send.
 */
#ifndef SKUA_OTEL_CORE_RING_H
#define SKUA_OTEL_CORE_RING_H

#include <stdatomic.h>

#include "otel/core/otel_impl.h"

enum { SKUA__OTEL_WRAP, SKUA__OTEL_SPAN, SKUA__OTEL_LOG };

struct skua__otel_record {
    uint32_t size; /* with this header, a multiple of 8 */
    uint32_t kind;
};

struct skua__otel_ring {
    char *bytes;    /* constant */
    size_t size;    /* a power of two; constant */
    size_t seen;    /* the tail, as the writer last saw it; the writer's */
    size_t writing; /* begun, and not published yet; the writer's */
    _Atomic size_t head;
    _Alignas(64) _Atomic size_t tail;
    _Atomic uint32_t dropped[SKUA__OTEL_LOG + 1]; /* by kind; the writer adds, the reader takes */
    atomic_bool left;                             /* the thread is gone; release, acquire */
};

/* 0 or -ENOMEM. */
int skua__otel_ring_init(struct skua__otel_ring *ring, size_t size);
void skua__otel_ring_done(struct skua__otel_ring *ring);

/* Room for a record's bytes, aligned to 8; NULL: the ring is full, and that is counted. It is not
 * there until it is published. */
void *skua__otel_ring_begin(struct skua__otel_ring *ring, uint32_t kind, size_t size);
/* Publishes it. Returns how many bytes lie in the ring now, as far as the writer knows. */
size_t skua__otel_ring_publish(struct skua__otel_ring *ring);

/* How many lie there, as the reader says now; the writer's. */
size_t skua__otel_ring_used(struct skua__otel_ring *ring);

/* The reader: the oldest record, or NULL; it stays valid until skua__otel_ring_next. */
const struct skua__otel_record *skua__otel_ring_peek(struct skua__otel_ring *ring);
void skua__otel_ring_next(struct skua__otel_ring *ring);

#endif
