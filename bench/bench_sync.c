/* bench_sync.c - what locks and channels cost.
 *
 * mutex_uncontended      ns a lock and unlock, in one fiber
 * mutex_two_tasks        the same by two fibers on one worker, which their budgets make take turns
 * mutex_handover         the same, but each yields now and then while it holds it: the other waits,
 *                        and is handed the lock
 * semaphore_uncontended  ns an acquire and release of one permit
 * notify_pingpong_ct     ns a round trip of two notifies between two fibers
 * mpsc_1p_ct             ns a message of 8 bytes, bounded (100), one producer, one worker
 * mpsc_1p_mt2, mpsc_4p_mt2  the same on two workers, with one producer and with four
 * mpsc_unbounded_ct      unbounded
 * local_mutex, local_semaphore, local_channel_ct  as mutex_uncontended, semaphore_uncontended and
 *                        mpsc_1p_ct, with the objects of local.h
 */
#include <skua/skua.h>

#include "meter_bench.h"

enum { BATCH = 1000, CAPACITY = 100 };

struct job {
    skua_fiber_fn body;
    uint64_t repeats;
    int64_t took_ns;
    int producers;
    bool unbounded;
    skua_mutex mutex;
    skua_semaphore semaphore;
    skua_notify to;
    skua_notify fro;
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;
    skua_local_mutex local_mutex;
    skua_local_semaphore local_semaphore;
    skua_local_channel *local_channel;
};

/* ---- locks ----------------------------------------------------------------------------------- */

static int lock_alone(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_mutex_lock(&job->mutex), "lock");
        skua_mutex_unlock(&job->mutex);
    }
    return 0;
}

static int acquire_alone(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_semaphore_acquire(&job->semaphore, 1), "acquire");
        skua_semaphore_release(&job->semaphore, 1);
    }
    return 0;
}

static int lock_holding(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH / 2; i++) {
        meter_must(skua_mutex_lock(&job->mutex), "lock");
        if (i % 64 == 0)
            meter_must(skua_yield(), "yield");
        skua_mutex_unlock(&job->mutex);
    }
    return 0;
}

static int two_of(skua_fiber_fn body, void *arg)
{
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, body, arg), "spawn");
    meter_must(skua_spawn(&scope, body, arg), "spawn");
    return skua_scope_join(&scope);
}

static int lock_half(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH / 2; i++) {
        meter_must(skua_mutex_lock(&job->mutex), "lock");
        skua_mutex_unlock(&job->mutex);
    }
    return 0;
}

static int lock_two(void *arg)
{
    return two_of(lock_half, arg);
}

static int lock_handover(void *arg)
{
    return two_of(lock_holding, arg);
}

/* ---- notify ---------------------------------------------------------------------------------- */

static int returns_notifies(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_notified(&job->to), "notified");
        skua_notify_one(&job->fro);
    }
    return 0;
}

static int notify_pingpong(void *arg)
{
    struct job *job = arg;
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, returns_notifies, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        skua_notify_one(&job->to);
        meter_must(skua_notified(&job->fro), "notified");
    }
    return skua_scope_join(&scope);
}

/* ---- channel --------------------------------------------------------------------------------- */

static int produces(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH / (uint64_t)job->producers; i++)
        meter_must(skua_mpsc_send(job->tx, &i), "send");
    return 0;
}

static int consumes(void *arg)
{
    struct job *job = arg;
    uint64_t each = job->repeats * BATCH / (uint64_t)job->producers;
    skua_scope scope;
    uint64_t message;

    meter_must(job->unbounded ? skua_mpsc_new_unbounded(&job->tx, &job->rx, sizeof message)
                              : skua_mpsc_new(&job->tx, &job->rx, sizeof message, CAPACITY),
               "channel");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    for (int i = 0; i < job->producers; i++)
        meter_must(skua_spawn(&scope, produces, job), "spawn");
    for (uint64_t i = 0; i < each * (uint64_t)job->producers; i++)
        meter_must(skua_mpsc_recv(job->rx, &message), "recv");
    meter_must(skua_scope_join(&scope), "join");
    skua_mpsc_sender_close(job->tx);
    skua_mpsc_receiver_close(job->rx);
    return 0;
}

/* ---- one worker's own ------------------------------------------------------------------------ */

static int local_lock_alone(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_local_mutex_lock(&job->local_mutex), "lock");
        skua_local_mutex_unlock(&job->local_mutex);
    }
    return 0;
}

static int local_acquire_alone(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++) {
        meter_must(skua_local_semaphore_acquire(&job->local_semaphore, 1), "acquire");
        skua_local_semaphore_release(&job->local_semaphore, 1);
    }
    return 0;
}

static int local_produces(void *arg)
{
    struct job *job = arg;

    for (uint64_t i = 0; i < job->repeats * BATCH; i++)
        meter_must(skua_local_channel_send(job->local_channel, &i), "send");
    return 0;
}

static int local_consumes(void *arg)
{
    struct job *job = arg;
    skua_scope scope;
    uint64_t message;

    meter_must(skua_local_channel_new(&job->local_channel, sizeof message, CAPACITY), "channel");
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, local_produces, job), "spawn");
    for (uint64_t i = 0; i < job->repeats * BATCH; i++)
        meter_must(skua_local_channel_recv(job->local_channel, &message), "recv");
    meter_must(skua_scope_join(&scope), "join");
    skua_local_channel_free(job->local_channel);
    return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

struct plan {
    skua_runtime *runtime;
    skua_fiber_fn body;
    int producers;
    bool unbounded;
};

static int timed(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();

    meter_must(job->body(job), "benchmark");
    job->took_ns = meter_now_ns() - start;
    return 0;
}

static int64_t work(uint64_t repeats, void *arg)
{
    const struct plan *plan = arg;
    struct job job = {.body = plan->body,
                      .repeats = repeats,
                      .producers = plan->producers,
                      .unbounded = plan->unbounded,
                      .mutex = SKUA_MUTEX_INIT,
                      .semaphore = SKUA_SEMAPHORE_INIT(8),
                      .local_mutex = SKUA_LOCAL_MUTEX_INIT,
                      .local_semaphore = SKUA_LOCAL_SEMAPHORE_INIT(8),
                      .to = SKUA_NOTIFY_INIT,
                      .fro = SKUA_NOTIFY_INIT};

    meter_must(skua_block_on(plan->runtime, timed, &job, NULL), "block_on");
    return job.took_ns;
}

static void run(struct meter_bench *bench, const char *name, skua_runtime *runtime,
                skua_fiber_fn body, int producers, bool unbounded)
{
    struct plan plan = {
        .runtime = runtime, .body = body, .producers = producers, .unbounded = unbounded};

    meter_bench_run(bench, name, BATCH, work, &plan);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    skua_runtime *runtime;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)),
               "new");
    run(&bench, "mutex_uncontended", runtime, lock_alone, 0, false);
    run(&bench, "mutex_two_tasks", runtime, lock_two, 0, false);
    run(&bench, "mutex_handover", runtime, lock_handover, 0, false);
    run(&bench, "semaphore_uncontended", runtime, acquire_alone, 0, false);
    run(&bench, "notify_pingpong_ct", runtime, notify_pingpong, 0, false);
    run(&bench, "mpsc_1p_ct", runtime, consumes, 1, false);
    run(&bench, "mpsc_unbounded_ct", runtime, consumes, 1, true);
    run(&bench, "local_mutex", runtime, local_lock_alone, 0, false);
    run(&bench, "local_semaphore", runtime, local_acquire_alone, 0, false);
    run(&bench, "local_channel_ct", runtime, local_consumes, 1, false);
    meter_must(skua_runtime_free(runtime), "free");
    meter_bench_pin(&bench, -1);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "new");
    run(&bench, "mpsc_1p_mt2", runtime, consumes, 1, false);
    run(&bench, "mpsc_4p_mt2", runtime, consumes, 4, false);
    meter_must(skua_runtime_free(runtime), "free");
    return meter_bench_end(&bench);
}
