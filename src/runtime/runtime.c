/* runtime.c - making and freeing a runtime.
 *
 * Order of making: options, driver, arena and stacks, workers with their drivers, threads. Each
 * step that fails undoes the ones before it. Drivers are opened here, on the maker's thread, so
 * that their errors are its errors; each worker then takes its own over (driver start).
 * Freeing stops first (runtime_stop.c); when tasks do not end, nothing is freed, for they use it.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/runtime_impl.h"

/* ---- workers --------------------------------------------------------------------------------- */

static bool runtime_quit(void *arg)
{
    struct skua__sched *sched = arg;

    return skua__load_acquire(&sched->quit) != 0; /* pairs with runtime_stop.c */
}

static void *runtime_thread(void *arg)
{
    struct skua__worker *worker = arg;
    skua_runtime *runtime = skua__container(worker->sched, skua_runtime, sched);
    int rc;

    skua__thread_adopt(&worker->thread);
    skua__coro_thread(&worker->thread.loop);
    skua__os_thread_exact_timers();
    (void)skua__os_altstack_init(); /* without it an overflow ends the process all the same */
    rc = runtime->driver_ops->start(worker->thread.driver);
    skua__assert(rc == 0);
    if (runtime->options.on_thread_start != NULL)
        runtime->options.on_thread_start(runtime->options.hook_arg);
    skua__worker_loop(worker, runtime_quit, worker->sched);
    if (runtime->options.on_thread_stop != NULL)
        runtime->options.on_thread_stop(runtime->options.hook_arg);
    skua__os_altstack_done();
    skua__thread_adopt(NULL);
    return NULL;
}

static int runtime_add_worker(skua_runtime *runtime)
{
    unsigned index = runtime->workers_made;
    struct skua__worker *worker = skua__os_alloc_aligned(sizeof *worker, SKUA__CACHE_LINE);
    int rc;

    if (worker == NULL)
        return -ENOMEM;
    rc = runtime->driver_ops->open(&worker->thread.driver);
    if (rc != 0) {
        skua__os_free(worker);
        return rc;
    }
    skua__wheel_init(&worker->wheel, skua__os_now());
    skua__stack_cache_init(&worker->thread.stacks, &runtime->core.stacks);
    worker->thread.core = &runtime->core;
    worker->thread.wheel = &worker->wheel;
    worker->thread.index = index;
    worker->thread.due = INT64_MAX;
    worker->sched = &runtime->sched;
    worker->inject_left = runtime->sched.inject_interval;
    skua__rand_seed(&worker->rng, runtime->options.seed + index);
    runtime->sched.workers[index] = worker;
    runtime->workers_made++;
    return skua__policy_open(worker);
}

static int runtime_start_threads(skua_runtime *runtime)
{
    char name[32];
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < runtime->workers_made; i++) {
        struct skua__worker *worker = runtime->sched.workers[i];

        snprintf(name, sizeof name, "%.10s-%u", runtime->name, i);
        rc =
            skua__os_thread_start(&worker->handle, name, &runtime->cpus[i], runtime_thread, worker);
        if (rc == 0)
            runtime->threads_started++;
    }
    return rc;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void runtime_wire(skua_runtime *runtime)
{
    struct skua__core *core = &runtime->core;
    struct skua__sched *sched = &runtime->sched;
    const skua_runtime_options *options = &runtime->options;

    core->sched = sched;
    core->budget = options->budget;
    core->tasks_max = options->tasks_max;
    core->on_task_spawn = options->on_task_spawn;
    core->on_task_done = options->on_task_done;
    core->hook_arg = options->hook_arg;
    core->blocking_threads = options->blocking_threads;
    core->blocking_keep_alive = options->blocking_keep_alive;
    core->name = options->name;
    skua__scope_init(&core->root, runtime, SKUA_COLLECT);
    sched->core = core;
    sched->count = options->workers;
    sched->multi = options->kind != SKUA_CURRENT_THREAD;
    sched->steals = options->kind == SKUA_MULTI_THREAD;
    sched->policy = options->scheduler;
    sched->simple = !sched->multi && sched->policy == NULL;
    core->workers = sched->count;
    core->unseen = options->unseen != 0;
    if (options->kind == SKUA_THREAD_PER_CORE || sched->policy != NULL)
        core->spawn_flags = SKUA__PINS;
    sched->spins = sched->multi && sched->count > 1 && sched->count <= skua__os_cpu_count();
    sched->event_interval = options->event_interval;
    sched->inject_interval = options->inject_interval;
    sched->park = &runtime->driver_ops->park;
    sched->on_thread_park = options->on_thread_park;
    sched->on_thread_unpark = options->on_thread_unpark;
}

static void runtime_release(skua_runtime *runtime)
{
    skua__runtime_unlist(runtime);
    for (unsigned i = 0; i < runtime->workers_made; i++) {
        struct skua__worker *worker = runtime->sched.workers[i];

        skua__policy_close(worker);
        runtime->driver_ops->close(worker->thread.driver);
        skua__stack_cache_done(&worker->thread.stacks);
        skua__os_free(worker);
    }
    skua__stack_depot_done(&runtime->core.stacks);
    if (runtime->core.cells.base != NULL)
        skua__cells_done(&runtime->core.cells);
    skua__os_free(runtime->sched.workers);
    skua__os_free(runtime->sched.sleepers);
    skua__os_free(runtime->cpus);
    skua__os_free(runtime);
    skua__probe_trace_end();
}

static void runtime_join_threads(skua_runtime *runtime)
{
    /* A worker that parks says so and then looks at quit; this side the other way round. */
    skua__store_seq(&runtime->sched.quit, 1);
    skua__fence_seq();
    for (unsigned i = 0; i < runtime->threads_started; i++) {
        skua__idle_unpark(runtime->sched.workers[i]);
        skua__os_thread_join(runtime->sched.workers[i]->handle);
    }
    runtime->threads_started = 0;
}

static int runtime_build(skua_runtime *runtime)
{
    unsigned count = runtime->options.workers;
    int rc = skua__cells_init(&runtime->core.cells, &runtime->core);

    if (rc != 0)
        return rc;
    runtime->sched.workers = skua__os_alloc(count * sizeof(struct skua__worker *));
    runtime->sched.sleepers = skua__os_alloc(count * sizeof(uint16_t));
    runtime->cpus = skua__os_alloc(count * sizeof *runtime->cpus);
    if (runtime->sched.workers == NULL || runtime->sched.sleepers == NULL || runtime->cpus == NULL)
        return -ENOMEM;
    if (runtime->sched.multi)
        rc = skua__place_workers(&runtime->options, runtime->cpus);
    runtime->sched.spins = runtime->sched.spins && skua__place_is_wide(runtime->cpus, count);
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = runtime_add_worker(runtime);
    if (rc == 0 && runtime->sched.multi)
        rc = runtime_start_threads(runtime);
    return rc;
}

int skua_runtime_new(skua_runtime **ret, const skua_runtime_options *given)
{
    skua_runtime_options options;
    skua_runtime *runtime;
    size_t sizes[2];
    int rc = skua__options_resolve(given, &options);

    if (rc != 0)
        return rc;
    runtime = skua__os_alloc_aligned(sizeof *runtime, SKUA__CACHE_LINE);
    if (runtime == NULL)
        return -ENOMEM;
    runtime->options = options;
    snprintf(runtime->name, sizeof runtime->name, "%s", options.name);
    runtime->options.name = runtime->name;
    rc = skua__driver_choose(options.driver, &runtime->driver_ops);
    rc = rc != 0 ? rc : skua__os_overflow_install(skua__fiber_overflow);
    if (rc != 0) {
        skua__os_free(runtime);
        return rc;
    }
    skua__probe_trace_begin();
    sizes[SKUA_STACK_DEFAULT] = options.stack_size;
    sizes[SKUA_STACK_LARGE] = options.stack_size_large;
    skua__stack_depot_init(&runtime->core.stacks, sizes);
    runtime_wire(runtime);
    rc = skua__runtime_list(runtime);
    rc = rc != 0 ? rc : runtime_build(runtime);
    if (rc != 0) {
        runtime_join_threads(runtime);
        runtime_release(runtime);
        return rc;
    }
    skua__runtime_show(runtime);
    *ret = runtime;
    return 0;
}

/* ---- freeing --------------------------------------------------------------------------------- */

/* Jobs that nobody waits for any more go on, and what they need stays; that is said. */
static void runtime_stop_pool(skua_runtime *runtime)
{
    struct skua__pool *pool = skua__load_acquire(&runtime->core.pool);
    int64_t timeout = runtime->options.stop_timeout;
    int64_t now = skua__os_now();
    unsigned left = skua__pool_stop(pool, skua__time_after(now, timeout));

    if (left != 0)
        fprintf(stderr, "skua: %s: %u blocking jobs did not end and are left alone\n",
                runtime->name, left);
}

int skua_runtime_free(skua_runtime *runtime)
{
    int64_t timeout;
    int64_t now;
    int rc;

    if (runtime == NULL)
        return 0;
    if (skua__runtime_forked(runtime))
        return SKUA_EUSAGE;
    timeout = runtime->options.stop_timeout;
    now = skua__core_now(&runtime->core);
    rc = skua_runtime_stop(runtime, skua__time_after(now, timeout));
    if (rc != 0)
        return rc;
    runtime_join_threads(runtime);
    skua__runtime_unlist(runtime); /* while all that snapshots read is there */
    runtime_stop_pool(runtime);
    runtime_release(runtime);
    return 0;
}

int skua_runtime_worker_cpu(skua_runtime *runtime, unsigned worker)
{
    if (worker >= runtime->workers_made)
        return -EINVAL;
    if (skua__cpus_count(&runtime->cpus[worker]) != 1)
        return -ENOENT;
    for (unsigned i = 0;; i++)
        if (skua__cpus_has(&runtime->cpus[worker], i))
            return (int)i;
}

skua_runtime *skua_runtime_current(void)
{
    struct skua__thread *self = skua__thread_self();

    return self->current == NULL ? NULL : (skua_runtime *)(void *)self->core;
}

skua_scope *skua_runtime_scope(skua_runtime *runtime)
{
    return &runtime->core.root;
}
