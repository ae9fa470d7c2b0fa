/* otel_thread.h - what telemetry has of each thread: a ring, random numbers, spare spans.
 *
 * Made at the first use on a thread, listed for the collector, given up when the thread ends; the
 * collector frees it once its ring is empty. The hot path touches only memory of its own thread.
 *
 * Fork       the child's one thread finds that its state is of another process, and forgets it; the
 *            list of the parent's is dropped by the child's handler (otel_thread.c).
 * Fibers     no function that uses it waits in between, so a fiber cannot change threads under it.
 */
#ifndef SKUA_OTEL_CORE_THREAD_H
#define SKUA_OTEL_CORE_THREAD_H

#include "otel/core/otel_ring.h"

/* Where a span is counted: by its parent (0: none, 1: local, 2: remote) and skua_otel_sampling. */
#define SKUA__OTEL_STARTED(parent, sampling) ((unsigned)(parent)*3 + (unsigned)(sampling))

struct skua__otel_thread {
    struct skua__otel_thread *next; /* of all; guard: the list's mutex */
    struct skua__otel_ring ring;
    uint64_t random[2]; /* the thread's */
    void *spare;        /* spans to be used again; the thread's */
    unsigned spare_count;
    void (*spare_free)(void *spare); /* frees one of them and returns; the thread's */
    /* Spans; one writer, relaxed. Those that were started by SKUA__OTEL_STARTED, those recorded
     * that have ended on this thread by whether they are sampled. */
    _Atomic uint64_t started[9], ended[2];
    _Atomic uint64_t logs; /* records made; one writer, relaxed */
    _Atomic uint64_t lost; /* for lack of memory; one writer, relaxed */
};

extern __thread struct skua__otel_thread *skua__otel_thread_own
    __attribute__((tls_model("initial-exec")));

/* Makes it; NULL: no memory, or the thread is about to end. */
struct skua__otel_thread *skua__otel_thread_make(void);

static inline struct skua__otel_thread *skua__otel_thread(void)
{
    struct skua__otel_thread *self = skua__otel_thread_own;

    return __builtin_expect(self != NULL, 1) ? self : skua__otel_thread_make();
}

/* 64 random bits, never 0 (xoroshiro128+; Blackman and Vigna, 2018). */
static inline uint64_t skua__otel_random(struct skua__otel_thread *self)
{
    uint64_t a = self->random[0], b = self->random[1], sum = a + b;

    b ^= a;
    self->random[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
    self->random[1] = b << 37 | b >> 27;
    return __builtin_expect(sum != 0, 1) ? sum : 1;
}

/* Adds to a count that only this thread writes: no locked instruction. */
static inline void skua__otel_bump(_Atomic uint64_t *count, uint64_t n)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* Calls fn for each, with `gone`: the thread has ended, and nothing more comes into its ring. The
 * collector's; those that have ended and are empty behind it are freed. */
void skua__otel_threads_each(void (*fn)(struct skua__otel_thread *thread, void *arg), void *arg);
/* Sums of all counts, those of threads that have ended, too. */
struct skua__otel_counts {
    uint64_t started[9], ended[2], logs, lost, dropped[SKUA__OTEL_LOG + 1];
};
void skua__otel_threads_count(struct skua__otel_counts *ret);
/* Size of rings that are made from now on; a power of two. */
void skua__otel_threads_ring(size_t size);
/* Around a fork; in the child, under it: all are forgotten. */
void skua__otel_threads_lock(void);
void skua__otel_threads_unlock(void);
void skua__otel_threads_forget(void);

#endif
