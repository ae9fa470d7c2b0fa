/* pipe_main.c - telemetry's own thread: one current-thread runtime, and what it is asked.
 *
 *   start -> thread -> fibers of destinations and readers; the main fiber collects
 *                      asked, woken or due -> a pass -> flushes are answered … -> stop -> over
 *
 * Silence    the thread has telemetry switched off, and so has all that it spawns.
 * Waking     what wakes it is static: a thread that finds its ring half full may come to it while
 *            the pipe stops and is freed.
 * Order      the collector clears `woken`, a fence, reads the heads; who publishes stores the head,
 *            a fence, reads `woken`: so either the pass sees the record, or the publisher sees that
 *            it has to wake.
 */
#include <stdlib.h>

#include "otel/core/otel_warn.h"
#include "otel/pipe/pipe_impl.h"

#define PMAIN_BATCH UINT32_C(65536) /* items of a batch, whatever is said: it has room for all */

static skua_notify pmain_wake;
static atomic_bool pmain_woken; /* somebody has told; see the top */
static __thread bool pmain_here;

bool skua__pipe_here(void)
{
    return pmain_here;
}

void skua__pipe_wake(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&pmain_woken, memory_order_relaxed) &&
        !atomic_exchange_explicit(&pmain_woken, true, memory_order_relaxed))
        skua_notify_one(&pmain_wake);
}

void skua__pipe_awake(void)
{
    atomic_store_explicit(&pmain_woken, false, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void skua__pipe_forget(void)
{
    pmain_wake = (skua_notify)SKUA_NOTIFY_INIT;
    atomic_store_explicit(&pmain_woken, false, memory_order_relaxed);
}

/* ---- asks ------------------------------------------------------------------------------------ */

void skua__pipe_ask_unref(struct skua__pipe_ask *ask)
{
    /* Release and acquire: whoever frees it comes after the other's last look. */
    if (atomic_fetch_sub_explicit(&ask->refs, 1, memory_order_acq_rel) == 1)
        skua__otel_free(ask);
}

struct skua__pipe_ask *skua__pipe_ask_new(int what)
{
    struct skua__pipe_ask *ask = skua__otel_malloc(sizeof *ask);

    if (ask == NULL)
        return NULL;
    ask->what = what;
    atomic_store_explicit(&ask->refs, 1, memory_order_relaxed);
    return ask;
}

struct skua__pipe_ask *skua__pipe_ask_ref(struct skua__pipe_ask *ask)
{
    (void)atomic_fetch_add_explicit(&ask->refs, 1, memory_order_relaxed);
    return ask;
}

void skua__pipe_ask(struct skua__pipe *pipe, struct skua__pipe_ask *ask, int64_t deadline)
{
    ask->deadline = deadline;
    pthread_mutex_lock(&pipe->mutex);
    ask->next = pipe->asks;
    pipe->asks = ask;
    pthread_mutex_unlock(&pipe->mutex);
    skua_notify_one(&pmain_wake);
}

/* All of them, the oldest first. */
static struct skua__pipe_ask *pmain_asks(struct skua__pipe *pipe)
{
    struct skua__pipe_ask *asks, *sorted = NULL;

    pthread_mutex_lock(&pipe->mutex);
    asks = pipe->asks;
    pipe->asks = NULL;
    pthread_mutex_unlock(&pipe->mutex);
    while (asks != NULL) {
        struct skua__pipe_ask *next = asks->next;

        asks->next = sorted;
        sorted = asks;
        asks = next;
    }
    return sorted;
}

/* ---- the main fiber -------------------------------------------------------------------------- */

static void pmain_started(struct skua__pipe *pipe, int rc)
{
    pthread_mutex_lock(&pipe->mutex);
    pipe->started = true;
    pipe->start_error = rc;
    pthread_cond_signal(&pipe->changed);
    pthread_mutex_unlock(&pipe->mutex);
}

/* Fibers get their stacks when they begin, and may find none then: a destination without a fiber
 * would be silent for ever. */
static int pmain_begun(struct skua__pipe *pipe)
{
    for (size_t i = 0; i < pipe->dests_count; i++)
        while (pipe->dests[i].begun < pipe->dests[i].workers) {
            for (unsigned j = 0; j < pipe->dests[i].workers; j++)
                if (skua_task_done(pipe->dests[i].tasks[j]))
                    return -ENOMEM;
            (void)skua_yield();
        }
    for (size_t i = 0; i < pipe->periodics_count; i++)
        while (!pipe->periodics[i].begun) {
            if (skua_task_done(pipe->periodics[i].task))
                return -ENOMEM;
            (void)skua_yield();
        }
    return 0;
}

static int pmain_fibers(struct skua__pipe *pipe)
{
    int rc = 0;

    for (size_t i = 0; i < pipe->dests_count && rc == 0; i++)
        rc = skua__dest_start(&pipe->dests[i]);
    for (size_t i = 0; i < pipe->periodics_count && rc == 0; i++)
        rc = skua__periodic_start(&pipe->periodics[i]);
    for (size_t i = 0; i < pipe->guests_count && rc == 0; i++)
        rc = skua_spawn(NULL, pipe->guests[i].fn, pipe->guests[i].arg, .name = "telemetry guest",
                        .stack = SKUA_STACK_LARGE, .task = &pipe->guest_tasks[i]);
    return rc == 0 ? pmain_begun(pipe) : rc;
}

void skua__pipe_guests_end(struct skua__pipe *pipe)
{
    for (size_t i = 0; i < pipe->guests_count; i++) {
        if (pipe->guest_tasks[i] == NULL)
            continue;
        (void)skua_task_cancel(pipe->guest_tasks[i]);
        (void)skua_task_join(pipe->guest_tasks[i], NULL);
        pipe->guest_tasks[i] = NULL;
    }
}

static void pmain_run(struct skua__pipe *pipe)
{
    struct skua__pipe_ask *next;

    for (;;) {
        struct skua__pipe_ask *ask = pmain_asks(pipe);
        uint64_t failed;
        int64_t due = skua__pipe_next(pipe);

        if (ask == NULL) {
            int rc = skua_notified_until(&pmain_wake, due); /* told or due: the same */

            (void)rc;
            ask = pmain_asks(pipe);
        }
        failed = skua__pipe_failed(pipe);
        skua__pipe_collect(pipe, ask != NULL);
        for (; ask != NULL; ask = next) {
            next = ask->next;
            if (ask->what == SKUA__PIPE_FLUSH)
                skua__pipe_flush(pipe, ask, failed);
            else
                pipe->stop = ask; /* the last one */
        }
        if (pipe->stop != NULL) {
            pipe->stop->result = skua__pipe_stop(pipe, pipe->stop->deadline, failed);
            return;
        }
    }
}

static int pmain_fiber(void *arg)
{
    struct skua__pipe *pipe = arg;
    skua_scope flushing;
    int rc = skua_scope_open(&flushing, SKUA_COLLECT);

    if (rc != 0)
        return rc;
    pipe->flushing = &flushing;
    rc = pmain_fibers(pipe);
    if (rc == 0) {
        pmain_started(pipe, 0);
        pmain_run(pipe);
    } else {
        for (size_t i = 0; i < pipe->dests_count; i++)
            skua__dest_close(&pipe->dests[i], true);
        for (size_t i = 0; i < pipe->periodics_count; i++)
            skua__periodic_close(&pipe->periodics[i], true);
        skua__pipe_guests_end(pipe);
        (void)skua_scope_join(&flushing);
    }
    return rc;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void pmain_free(struct skua__pipe *pipe)
{
    for (size_t i = 0; i < pipe->dests_count; i++)
        skua__dest_free(&pipe->dests[i]);
    for (size_t i = 0; i < SKUA_OTEL_SIGNALS; i++)
        skua__batch_unref(pipe->streams[i].open);
    (void)skua_runtime_free(pipe->runtime);
    skua__pipe_scopes_free(pipe);
    skua__otel_free(pipe->dests);
    skua__otel_free(pipe->periodics);
    skua__otel_free(pipe->outlets);
    skua__otel_free(pipe->guests);
    skua__otel_free(pipe->guest_tasks);
    pthread_mutex_destroy(&pipe->mutex);
    pthread_cond_destroy(&pipe->changed);
    skua__otel_free(pipe);
}

static void *pmain_thread(void *arg)
{
    struct skua__pipe *pipe = arg;
    void (*over)(struct skua__pipe_ask *, void *) = pipe->over;
    void *over_arg = pipe->over_arg;
    struct skua__pipe_ask *stop;
    skua_span_frame frame;
    int result = 0, rc;

    pmain_here = true;
    rc = skua_trace_suppress(&frame);
    if (rc == 0)
        rc = skua_block_on(pipe->runtime, pmain_fiber, pipe, &result);
    (void)skua_span_leave(&frame);
    stop = pipe->stop;
    if (!pipe->started) { /* who starts it frees it */
        pmain_started(pipe, rc != 0 ? rc : result);
        return NULL;
    }
    pmain_free(pipe);
    over(stop, over_arg);
    return NULL;
}

skua_semaphore *skua__pipe_turn(struct skua__pipe *pipe, const skua_otel_exporter *exporter)
{
    size_t i = 0;

    while (pipe->outlets[i].exporter != exporter)
        i++;
    return &pipe->outlets[i].turn;
}

static void pmain_outlet(struct skua__pipe *pipe, skua_otel_exporter *exporter)
{
    struct skua__pipe_outlet *outlet = &pipe->outlets[pipe->outlets_count];
    unsigned calls = exporter->ops->concurrency;

    for (size_t i = 0; i < pipe->outlets_count; i++)
        if (pipe->outlets[i].exporter == exporter)
            return;
    outlet->exporter = exporter;
    (void)skua_semaphore_init(&outlet->turn, calls != 0 ? calls : 1);
    pipe->outlets_count++;
}

/* The stream that a destination takes from. */
static void pmain_stream(struct skua__pipe *pipe, const struct skua__pipe_options *options,
                         const struct skua__dest_options *dest)
{
    struct skua__pipe_stream *stream = &pipe->streams[dest->signal];

    if (stream->reader == NULL) {
        for (size_t i = 0; i < options->readers_count; i++)
            if (options->readers[i]->signal == dest->signal)
                stream->reader = options->readers[i];
        stream->max_batch = dest->max_batch;
        stream->delay = dest->delay;
    }
    if (dest->max_batch < stream->max_batch)
        stream->max_batch = dest->max_batch;
    if (stream->max_batch > PMAIN_BATCH)
        stream->max_batch = PMAIN_BATCH;
    if (dest->delay < stream->delay)
        stream->delay = dest->delay;
}

static int pmain_fill(struct skua__pipe *pipe, const struct skua__pipe_options *options)
{
    size_t dests = options->dests_count, periodics = options->periodics_count;
    size_t guests = options->guests_count;

    pipe->dropped = skua__pipe_dropped();
    pipe->resource = options->resource;
    pipe->processors = options->processors;
    pipe->processors_count = options->processors_count;
    pipe->dests = skua__otel_malloc((dests + 1) * sizeof *pipe->dests);
    pipe->periodics = skua__otel_malloc((periodics + 1) * sizeof *pipe->periodics);
    pipe->outlets = skua__otel_malloc((dests + periodics + 1) * sizeof *pipe->outlets);
    pipe->guests = skua__otel_malloc((guests + 1) * sizeof *pipe->guests);
    pipe->guest_tasks = skua__otel_malloc((guests + 1) * sizeof *pipe->guest_tasks);
    if (pipe->dests == NULL || pipe->periodics == NULL || pipe->outlets == NULL ||
        pipe->guests == NULL || pipe->guest_tasks == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < guests; i++)
        pipe->guests[pipe->guests_count++] = options->guests[i];
    for (size_t i = 0; i < dests; i++) {
        pipe->dests_count++;
        if (skua__dest_init(&pipe->dests[i], pipe, &options->dests[i]) != 0)
            return -ENOMEM;
        pmain_outlet(pipe, options->dests[i].exporter);
        pmain_stream(pipe, options, &options->dests[i]);
    }
    for (size_t i = 0; i < periodics; i++) {
        pipe->periodics[i] =
            (struct skua__periodic){.options = options->periodics[i], .pipe = pipe};
        pipe->periodics_count++;
        pmain_outlet(pipe, options->periodics[i].exporter);
    }
    /* Its main fiber shuts exporters down, which may talk over TLS. */
    return skua_runtime_new(&pipe->runtime,
                            SKUA_RUNTIME_OPTIONS(.name = "telemetry", .kind = SKUA_CURRENT_THREAD,
                                                 .unseen = 1, .stack_size = (size_t)256 * 1024));
}

/* Waits until its fibers run, or could not be made: some 100 us. */
static int pmain_launch(struct skua__pipe *pipe)
{
    pthread_t thread;
    int rc = -pthread_create(&thread, NULL, pmain_thread, pipe);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&pipe->mutex);
    while (!pipe->started)
        pthread_cond_wait(&pipe->changed, &pipe->mutex);
    rc = pipe->start_error;
    pthread_mutex_unlock(&pipe->mutex);
    if (rc != 0)
        (void)pthread_join(thread, NULL);
    else
        (void)pthread_detach(thread);
    return rc;
}

int skua__pipe_start(struct skua__pipe **ret, const struct skua__pipe_options *options,
                     void (*over)(struct skua__pipe_ask *stop, void *arg), void *arg)
{
    struct skua__pipe *pipe = skua__otel_malloc(sizeof *pipe);
    int rc;

    if (pipe == NULL)
        return -ENOMEM;
    pthread_mutex_init(&pipe->mutex, NULL);
    pthread_cond_init(&pipe->changed, NULL);
    pipe->over = over;
    pipe->over_arg = arg;
    rc = pmain_fill(pipe, options);
    if (rc == 0)
        rc = pmain_launch(pipe);
    if (rc != 0)
        pmain_free(pipe);
    else
        *ret = pipe;
    return rc;
}

#undef PMAIN_BATCH
