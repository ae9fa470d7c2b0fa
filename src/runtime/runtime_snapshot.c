/* runtime_snapshot.c - looking inside a runtime from outside.
 *
 * Every counter has one writer, which stores it with a relaxed atomic; a snapshot reads each with
 * another. Nothing stops meanwhile: each number is right, together they are of nearly one moment.
 */
#include <stddef.h>
#include <string.h>

#include "runtime/runtime_impl.h"

_Static_assert(sizeof(skua_worker_stats) % sizeof(uint64_t) == 0, "read word by word");
_Static_assert(SKUA_LATE_BUCKETS == SKUA__WHEEL_LATE, "the wheel counts them");

static void snapshot_worker(struct skua__worker *worker, skua_worker_stats *ret)
{
    const uint64_t *from = (const uint64_t *)(const void *)&worker->stats;
    uint64_t *to = (uint64_t *)(void *)ret;

    for (size_t i = 0; i < sizeof *ret / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    ret->spawns = skua__load_relaxed(&worker->thread.spawned);
    ret->budget_yields = skua__load_relaxed(&worker->thread.budget_yields);
    ret->queue_len += skua__deque_len(&worker->deque);
}

static void snapshot_add(skua_worker_stats *total, const skua_worker_stats *one)
{
    const uint64_t *from = (const uint64_t *)(const void *)one;
    uint64_t *to = (uint64_t *)(void *)total;

    for (size_t i = 0; i < sizeof *one / sizeof *to; i++)
        to[i] += from[i];
}

static void snapshot_late(const struct skua__worker *worker, skua_runtime_stats *stats)
{
    for (unsigned i = 0; i < SKUA_LATE_BUCKETS; i++)
        stats->timers_late[i] += __atomic_load_n(&worker->wheel.late[i], __ATOMIC_RELAXED);
    stats->timers_late_ns += __atomic_load_n(&worker->wheel.late_ns, __ATOMIC_RELAXED);
}

int skua_runtime_snapshot(skua_runtime *runtime, skua_runtime_stats *stats,
                          skua_worker_stats *workers, unsigned count)
{
    const size_t old = offsetof(skua_runtime_stats, timers_late); /* as 0.4 has it */
    skua_worker_stats one;
    size_t size;

    if (stats == NULL || (stats->size != sizeof *stats && stats->size != old))
        return -EINVAL;
    size = stats->size;
    if (skua__runtime_forked(runtime))
        return SKUA_EUSAGE;
    memset(stats, 0, size);
    stats->size = size;
    stats->name = runtime->name;
    stats->driver = runtime->driver_ops->park.name;
    stats->workers = runtime->workers_made;
    stats->alive_tasks = skua__runtime_alive(runtime);
    stats->remote_spawns = skua__load_relaxed(&runtime->core.remote_spawned);
    stats->inject_len = skua__load_relaxed(&runtime->sched.inject_len);
    stats->stacks = skua__stack_count(&runtime->core.stacks);
    stats->cells_bytes = skua__load_relaxed(&runtime->core.cells.bytes);
    for (unsigned i = 0; i < runtime->workers_made; i++) {
        snapshot_worker(runtime->sched.workers[i], &one);
        snapshot_add(&stats->total, &one);
        if (size != old)
            snapshot_late(runtime->sched.workers[i], stats);
        if (workers != NULL && i < count)
            workers[i] = one;
    }
    skua__pool_stats(skua__load_acquire(&runtime->core.pool), stats);
    stats->spawned_tasks = stats->total.spawns + stats->remote_spawns;
    return (int)runtime->workers_made;
}

struct snapshot_walk {
    void (*fn)(const skua_task_info *task, void *arg);
    void *arg;
    int64_t count;
};

static void snapshot_visit(struct skua_task *task, void *arg)
{
    struct snapshot_walk *walk = arg;
    skua_task_info info;

    if (!skua__task_ref_alive(task, 0))
        return;
    skua__task_describe(task, &info);
    skua__task_unref(skua__thread_self(), task);
    walk->count++;
    if (walk->fn != NULL)
        walk->fn(&info, walk->arg);
}

int64_t skua_runtime_each_task(skua_runtime *runtime,
                               void (*fn)(const skua_task_info *task, void *arg), void *arg)
{
    struct snapshot_walk walk = {.fn = fn, .arg = arg};

    if (skua__runtime_forked(runtime))
        return SKUA_EUSAGE;
    skua__cells_each(&runtime->core.cells, snapshot_visit, &walk);
    return walk.count;
}
