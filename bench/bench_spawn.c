/* bench_spawn.c - what a task's life costs, and a runtime's.
 *
 * spawn_join_{poll,fiber}_{ct,mt2}   a fiber opens a scope, spawns 1,000 tasks that end at once,
 *                                    and joins the scope: ns a task. ct: a current-thread runtime
 *                                    pinned to processor 0; mt2: two workers, left to the system
 * spawn_remote_mt2                   the same by a plain thread, with skua_scope_open_on
 * start_stop                         skua_runtime_new with two workers, and skua_runtime_free
 */
#include <skua/skua.h>

#include "meter_bench.h"

enum { TASKS = 1000 };

struct job {
    skua_runtime *runtime;
    uint64_t repeats;
    int64_t took_ns;
};

/* ---- the tasks ------------------------------------------------------------------------------- */

static int fiber_empty(void *arg)
{
    (void)arg;
    return 0;
}

static skua_poll poll_empty(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    return SKUA_READY;
}

/* ---- spawned from a fiber -------------------------------------------------------------------- */

static int spawn_fibers(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();
    skua_scope scope;

    for (uint64_t i = 0; i < job->repeats; i++) {
        meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
        for (int k = 0; k < TASKS; k++)
            meter_must(skua_spawn(&scope, fiber_empty, NULL), "spawn");
        meter_must(skua_scope_join(&scope), "join");
    }
    job->took_ns = meter_now_ns() - start;
    return 0;
}

static int spawn_polls(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_now_ns();
    uint64_t state = 0;
    skua_scope scope;

    for (uint64_t i = 0; i < job->repeats; i++) {
        meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
        for (int k = 0; k < TASKS; k++)
            meter_must(skua_spawn_poll(&scope, poll_empty, &state), "spawn");
        meter_must(skua_scope_join(&scope), "join");
    }
    job->took_ns = meter_now_ns() - start;
    return 0;
}

static int64_t work_fibers(uint64_t repeats, void *arg)
{
    struct job job = {.runtime = arg, .repeats = repeats};

    meter_must(skua_block_on(job.runtime, spawn_fibers, &job, NULL), "block_on");
    return job.took_ns;
}

static int64_t work_polls(uint64_t repeats, void *arg)
{
    struct job job = {.runtime = arg, .repeats = repeats};

    meter_must(skua_block_on(job.runtime, spawn_polls, &job, NULL), "block_on");
    return job.took_ns;
}

/* ---- spawned from a plain thread ------------------------------------------------------------- */

static int64_t work_remote(uint64_t repeats, void *arg)
{
    int64_t start = meter_now_ns();
    skua_scope scope;

    for (uint64_t i = 0; i < repeats; i++) {
        meter_must(skua_scope_open_on(&scope, arg, SKUA_COLLECT), "open_on");
        for (int k = 0; k < TASKS; k++)
            meter_must(skua_spawn(&scope, fiber_empty, NULL), "spawn");
        meter_must(skua_scope_join(&scope), "join");
    }
    return meter_now_ns() - start;
}

/* ---- runtimes -------------------------------------------------------------------------------- */

static int64_t work_start_stop(uint64_t repeats, void *arg)
{
    int64_t start = meter_now_ns();
    skua_runtime *runtime;

    (void)arg;
    for (uint64_t i = 0; i < repeats; i++) {
        meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "new");
        meter_must(skua_runtime_free(runtime), "free");
    }
    return meter_now_ns() - start;
}

static void run_current_thread(struct meter_bench *bench)
{
    skua_runtime *runtime;

    meter_bench_pin(bench, 0);
    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)),
               "new");
    meter_bench_run(bench, "spawn_join_poll_ct", TASKS, work_polls, runtime);
    meter_bench_run(bench, "spawn_join_fiber_ct", TASKS, work_fibers, runtime);
    meter_must(skua_runtime_free(runtime), "free");
    meter_bench_pin(bench, -1);
}

static void run_multi_thread(struct meter_bench *bench)
{
    skua_runtime *runtime;

    meter_must(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 2)), "new");
    meter_bench_run(bench, "spawn_join_poll_mt2", TASKS, work_polls, runtime);
    meter_bench_run(bench, "spawn_join_fiber_mt2", TASKS, work_fibers, runtime);
    meter_bench_run(bench, "spawn_remote_mt2", TASKS, work_remote, runtime);
    meter_must(skua_runtime_free(runtime), "free");
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;

    meter_bench_begin(&bench, argc, argv);
    run_current_thread(&bench);
    run_multi_thread(&bench);
    meter_bench_run(&bench, "start_stop", 1, work_start_stop, NULL);
    return meter_bench_end(&bench);
}
