/* otel_thread.c - the states of all threads, in a list.
 *
 * Flow       first use -> made, listed -> … -> the thread ends: its ring is marked (release) ->
 *            the collector, who sees the mark (acquire) and then an empty ring, frees it
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "otel/core/otel_thread.h"

#define THREAD_RING ((size_t)512 * 1024)

__thread struct skua__otel_thread *skua__otel_thread_own __attribute__((tls_model("initial-exec")));

static struct {
    pthread_mutex_t mutex;
    struct skua__otel_thread *first; /* guard: mutex */
    struct skua__otel_counts past;   /* of threads that were freed; guard: mutex */
    atomic_size_t ring;              /* relaxed: any of its values will do */
    pthread_once_t once;
    pthread_key_t key; /* its destructor tells of a thread's end; constant behind once */
    bool keyed;        /* constant behind once */
} threads = {.mutex = PTHREAD_MUTEX_INITIALIZER, .ring = THREAD_RING, .once = PTHREAD_ONCE_INIT};

static void threads_free_spare(struct skua__otel_thread *self)
{
    while (self->spare != NULL) {
        void *spare = self->spare;

        memcpy(&self->spare, spare, sizeof self->spare); /* its first word links them */
        self->spare_free(spare);
    }
    self->spare_count = 0;
}

static void threads_ended(void *arg)
{
    struct skua__otel_thread *self = arg;

    skua__otel_thread_own = NULL;
    threads_free_spare(self);
    atomic_store_explicit(&self->ring.left, true, memory_order_release);
}

static void threads_once(void)
{
    threads.keyed = pthread_key_create(&threads.key, threads_ended) == 0;
}

static void threads_seed(struct skua__otel_thread *self)
{
    if (getrandom(self->random, sizeof self->random, GRND_NONBLOCK) !=
        (ssize_t)sizeof self->random) {
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        self->random[0] = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
        self->random[1] = (uint64_t)(uintptr_t)self;
    }
    if ((self->random[0] | self->random[1]) == 0)
        self->random[0] = 1;
    for (int i = 0; i < 8; i++)
        (void)skua__otel_random(self);
}

struct skua__otel_thread *skua__otel_thread_make(void)
{
    struct skua__otel_thread *self;

    (void)pthread_once(&threads.once, threads_once);
    if (!threads.keyed)
        return NULL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL)
        return NULL;
    if (skua__otel_ring_init(&self->ring,
                             atomic_load_explicit(&threads.ring, memory_order_relaxed)) != 0) {
        skua__otel_free(self);
        return NULL;
    }
    if (pthread_setspecific(threads.key, self) != 0) {
        skua__otel_ring_done(&self->ring);
        skua__otel_free(self);
        return NULL;
    }
    threads_seed(self);
    pthread_mutex_lock(&threads.mutex);
    self->next = threads.first;
    threads.first = self;
    pthread_mutex_unlock(&threads.mutex);
    skua__otel_thread_own = self;
    return self;
}

/* ---- for the collector ----------------------------------------------------------------------- */

static uint64_t threads_load(_Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void threads_add(struct skua__otel_counts *counts, struct skua__otel_thread *thread)
{
    for (size_t i = 0; i < 9; i++)
        counts->started[i] += threads_load(&thread->started[i]);
    for (size_t i = 0; i < 2; i++)
        counts->ended[i] += threads_load(&thread->ended[i]);
    counts->logs += threads_load(&thread->logs);
    counts->lost += threads_load(&thread->lost);
    for (size_t i = 0; i <= SKUA__OTEL_LOG; i++)
        counts->dropped[i] += atomic_load_explicit(&thread->ring.dropped[i], memory_order_relaxed);
}

void skua__otel_threads_count(struct skua__otel_counts *ret)
{
    pthread_mutex_lock(&threads.mutex);
    *ret = threads.past;
    for (struct skua__otel_thread *at = threads.first; at != NULL; at = at->next)
        threads_add(ret, at);
    pthread_mutex_unlock(&threads.mutex);
}

/* The list as it is now: threads are put before its front only, and taken out by the collector. */
static struct skua__otel_thread *threads_front(void)
{
    struct skua__otel_thread *first;

    pthread_mutex_lock(&threads.mutex);
    first = threads.first;
    pthread_mutex_unlock(&threads.mutex);
    return first;
}

static void threads_free(struct skua__otel_thread *gone)
{
    struct skua__otel_thread **at = &threads.first;

    pthread_mutex_lock(&threads.mutex);
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    threads_add(&threads.past, gone);
    pthread_mutex_unlock(&threads.mutex);
    skua__otel_ring_done(&gone->ring);
    skua__otel_free(gone);
}

void skua__otel_threads_each(void (*fn)(struct skua__otel_thread *thread, void *arg), void *arg)
{
    struct skua__otel_thread *next;

    for (struct skua__otel_thread *at = threads_front(); at != NULL; at = next) {
        bool left = atomic_load_explicit(&at->ring.left, memory_order_acquire);

        next = at->next;
        fn(at, arg);
        if (left && skua__otel_ring_peek(&at->ring) == NULL)
            threads_free(at);
    }
}

void skua__otel_threads_ring(size_t size)
{
    atomic_store_explicit(&threads.ring, size, memory_order_relaxed);
}

void skua__otel_threads_lock(void)
{
    pthread_mutex_lock(&threads.mutex);
}

void skua__otel_threads_unlock(void)
{
    pthread_mutex_unlock(&threads.mutex);
}

/* Rings are what is large: they go. The rest of other threads' states was in use when they were cut
 * off, so it is left alone. */
void skua__otel_threads_forget(void)
{
    for (struct skua__otel_thread *at = threads.first; at != NULL; at = at->next)
        skua__otel_ring_done(&at->ring);
    threads.first = NULL;
    threads.past = (struct skua__otel_counts){.logs = 0};
    skua__otel_thread_own = NULL;
    if (threads.keyed)
        (void)pthread_setspecific(threads.key, NULL);
}

#undef THREAD_RING
