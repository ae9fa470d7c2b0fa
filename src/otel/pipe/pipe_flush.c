/* pipe_flush.c - flush and stop: barriers behind all that was published before.
 *
 *   flush   a pass has emptied the rings (pipe_main.c) -> each destination's newest number is noted
 *           -> a fiber waits until all of them are done with theirs -> exporters flush -> answered
 *   stop    a last pass -> destinations are emptied until the deadline -> what still runs is
 *           cancelled, what is left is counted -> exporters shut down
 *
 * Margin     a stop that has to cancel does so a little before its deadline: so that who waits for
 *            it has its answer, and the thread has ended, at that time.
 */
#include "otel/core/otel_warn.h"
#include "otel/pipe/pipe_impl.h"

#define FLUSH_MARGIN INT64_C(2000000) /* ns */

struct flush_job {
    struct skua__pipe *pipe;
    struct skua__pipe_ask *ask;
    uint64_t failed;  /* items, when it began */
    uint64_t marks[]; /* of destinations, then of readers */
};

uint64_t skua__pipe_failed(const struct skua__pipe *pipe)
{
    uint64_t failed = 0;

    for (size_t i = 0; i < pipe->dests_count + pipe->periodics_count; i++) {
        struct skua__dest_counts *counts =
            i < pipe->dests_count ? pipe->dests[i].options.counts
                                  : pipe->periodics[i - pipe->dests_count].options.counts;

        failed += atomic_load_explicit(&counts->failed, memory_order_relaxed) +
                  atomic_load_explicit(&counts->dropped_full, memory_order_relaxed);
    }
    for (size_t i = 0; i < pipe->periodics_count; i++)
        failed += pipe->periodics[i].missed;
    return failed;
}

/* The error of one of those that failed. */
static int flush_error(const struct skua__pipe *pipe)
{
    for (size_t i = 0; i < pipe->dests_count; i++)
        if (pipe->dests[i].error != 0)
            return pipe->dests[i].error;
    for (size_t i = 0; i < pipe->periodics_count; i++)
        if (pipe->periodics[i].error != 0)
            return pipe->periodics[i].error;
    return SKUA_ELIMIT; /* a queue was full */
}

static void flush_marks(struct skua__pipe *pipe, uint64_t *marks)
{
    for (size_t i = 0; i < pipe->dests_count; i++)
        marks[i] = pipe->dests[i].pushed;
    for (size_t i = 0; i < pipe->periodics_count; i++)
        marks[pipe->dests_count + i] = skua__periodic_ask(&pipe->periodics[i]);
}

/* Waits for all of them. */
static int flush_wait(struct skua__pipe *pipe, const uint64_t *marks, int64_t deadline)
{
    int rc = 0;

    for (size_t i = 0; i < pipe->dests_count; i++) {
        int one = skua__dest_wait(&pipe->dests[i], marks[i], deadline);

        rc = rc != 0 ? rc : one;
    }
    for (size_t i = 0; i < pipe->periodics_count; i++) {
        int one = skua__periodic_wait(&pipe->periodics[i], marks[pipe->dests_count + i], deadline);

        rc = rc != 0 ? rc : one;
    }
    return rc;
}

/* Tells processors and exporters: to flush, or (`end`) that nothing comes any more. */
static int flush_tell(struct skua__pipe *pipe, int64_t deadline, bool end)
{
    int rc = 0;

    for (size_t i = 0; i < pipe->processors_count; i++) {
        skua_otel_processor *processor = pipe->processors[i];
        int (*fn)(skua_otel_processor *, int64_t) =
            end ? processor->ops->shutdown : processor->ops->flush;
        int one = fn != NULL ? fn(processor, deadline) : 0;

        rc = rc != 0 ? rc : one;
    }
    for (size_t i = 0; i < pipe->outlets_count; i++) {
        skua_otel_exporter *exporter = pipe->outlets[i].exporter;
        int (*fn)(skua_otel_exporter *, int64_t) =
            end ? exporter->ops->shutdown : exporter->ops->flush;
        int one = fn != NULL ? fn(exporter, deadline) : 0;

        rc = rc != 0 ? rc : one;
    }
    return rc;
}

/* ---- flush ----------------------------------------------------------------------------------- */

static void flush_answer(struct skua__pipe_ask *ask, int rc)
{
    ask->result = rc;
    skua_event_set(&ask->done);
    skua__pipe_ask_unref(ask);
}

static void flush_dropped(void *arg)
{
    struct flush_job *job = arg;

    flush_answer(job->ask, -ECANCELED);
    skua__otel_free(job);
}

static int flush_fiber(void *arg)
{
    struct flush_job *job = arg;
    struct skua__pipe *pipe = job->pipe;
    int64_t deadline = job->ask->deadline;
    skua_deadline frame;
    int rc = flush_wait(pipe, job->marks, deadline);

    if (pipe->stop == NULL && skua_deadline_begin(&frame, deadline) == 0) {
        int told = flush_tell(pipe, deadline, false);

        (void)skua_deadline_end(&frame);
        rc = rc != 0 ? rc : told;
    }
    if (rc == 0 && skua__pipe_failed(pipe) != job->failed)
        rc = flush_error(pipe);
    flush_answer(job->ask, rc);
    skua__otel_free(job);
    return 0;
}

void skua__pipe_flush(struct skua__pipe *pipe, struct skua__pipe_ask *ask, uint64_t failed)
{
    size_t marks = pipe->dests_count + pipe->periodics_count;
    struct flush_job *job = skua__otel_malloc(sizeof *job + marks * sizeof *job->marks);
    int rc = -ENOMEM;

    if (job != NULL) {
        job->pipe = pipe;
        job->ask = ask;
        job->failed = failed;
        flush_marks(pipe, job->marks);
        rc = skua_spawn(pipe->flushing, flush_fiber, job, .name = "telemetry flush",
                        .stack = SKUA_STACK_LARGE, .drop = flush_dropped);
    }
    if (rc == 0)
        return;
    skua__otel_free(job);
    flush_answer(ask, rc);
}

/* ---- stop ------------------------------------------------------------------------------------ */

static void stop_close(struct skua__pipe *pipe, bool cancel)
{
    for (size_t i = 0; i < pipe->dests_count; i++) {
        skua__dest_close(&pipe->dests[i], cancel);
        skua__dest_drop(&pipe->dests[i]);
    }
    for (size_t i = 0; i < pipe->periodics_count; i++)
        skua__periodic_close(&pipe->periodics[i], cancel);
}

int skua__pipe_stop(struct skua__pipe *pipe, int64_t deadline, uint64_t failed)
{
    size_t count = pipe->dests_count + pipe->periodics_count;
    uint64_t *marks = skua__otel_malloc((count + 1) * sizeof *marks);
    int64_t inner = deadline - FLUSH_MARGIN;
    skua_deadline frame;
    int rc = -ENOMEM, told = 0;

    if (deadline == SKUA_FOREVER || inner < skua_now())
        inner = deadline;
    if (marks != NULL) {
        flush_marks(pipe, marks);
        rc = flush_wait(pipe, marks, inner);
        skua__otel_free(marks);
    }
    skua__pipe_guests_end(pipe);
    stop_close(pipe, rc != 0);
    if (skua_deadline_begin(&frame, inner) == 0) {
        (void)skua_scope_join(pipe->flushing);
        told = flush_tell(pipe, deadline, true);
        (void)skua_deadline_end(&frame);
    } else {
        (void)skua_scope_cancel(pipe->flushing);
        (void)skua_scope_join(pipe->flushing);
    }
    if (rc == 0 && skua__pipe_failed(pipe) != failed)
        rc = flush_error(pipe);
    return rc != 0 ? rc : told;
}

#undef FLUSH_MARGIN
