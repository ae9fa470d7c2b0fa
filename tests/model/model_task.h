/* model_task.h - the library's own tasks, and around them what the model stands in for.
 *
 * For test_model_join.c, _scope.c and _timer.c, each a program of its own. Threads 0 and 1 may be
 * workers, the others are plain threads, which wait on their futex word as in the library. Queues
 * are a word with a bit a task (MODEL_OWN_QUEUE: the test has its own); cells come from the arena
 * and are counted as they come back.
 */
#ifndef SKUA_MODEL_TASK_H
#define SKUA_MODEL_TASK_H

#include <string.h>

#include "model_atomic.h"
#include "model_stand.h"

#include "task/await.c"
#include "task/task_join.c"
#include "task/task_life.c"
#include "task/task_spawn.c"
#include "task/task_scope.c"

/* Its own idea of the calling thread is the operating system's, of which there is one here. */
#define skua__thread_self model_thread_of_the_system
#include "task/thread_self.c"
#undef skua__thread_self

#define WORKERS 2
#define TASKS 3
#define ARENA 4096
_Static_assert(sizeof(struct skua__core) <= ARENA / 2, "the core has its half of it");

/* A custom waker that knows when it is gone. */
struct waiter {
    struct skua_custom_waker custom;
    struct model_bell bell;
    int refs;
    bool gone;
};

static struct skua__core *core;
static struct skua__thread threads[MODEL_THREADS];
static struct model_bell futexes[MODEL_THREADS];
static struct skua__wheel wheel;
static struct skua_task *tasks; /* cells of two lines, as fibers' */
static unsigned given[TASKS];   /* how often the cell came back */
static _Atomic uint32_t queued; /* a bit a task */
static struct model_bell runnable;
static skua_scope scope;

static unsigned task_index(const struct skua_task *task)
{
    return (unsigned)((const char *)task - (const char *)tasks) / 128;
}

static struct skua_task *task_at(unsigned index)
{
    return (struct skua_task *)(void *)((char *)tasks + index * (size_t)128);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct skua__thread *skua__thread_self(void)
{
    return &threads[model_self() < 0 ? 0 : model_self()];
}

/* As the kernel: the word is looked at after the waiter has queued up. */
int skua__os_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t deadline)
{
    struct model_bell *futex = &futexes[model_self()];

    model_check(deadline == INT64_MAX);
    model_hear(futex);
    if (skua__or_acq_rel(word, 0u) == value)
        model_sleep(futex);
    return 0;
}

void skua__os_futex_wake(_Atomic uint32_t *word, int count)
{
    (void)count;
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (word == &threads[i].wakes)
            model_ring(&futexes[i]);
}

/* ---- queues ---------------------------------------------------------------------------------- */

#ifndef MODEL_OWN_QUEUE
void skua__sched_schedule(struct skua__thread *self, struct skua_task *task)
{
    uint32_t bit = 1u << task_index(task);

    (void)self;
    model_check(!(skua__or_acq_rel(&queued, bit) & bit)); /* it was in no queue */
    model_ring(&runnable);
}

void skua__sched_requeue(struct skua__thread *self, struct skua_task *task)
{
    skua__sched_schedule(self, task);
}
#endif

/* ---- cells ----------------------------------------------------------------------------------- */

MODEL_UNSEEN static unsigned given_times(unsigned index)
{
    return given[index];
}

MODEL_UNSEEN static void given_again(unsigned index)
{
    given[index]++;
}

struct skua_task *skua__cell_take_slow(struct skua__cells *cells, struct skua__cell_cache *cache,
                                       unsigned cell_class)
{
    struct skua_task *task = task_at(0); /* the one that a test has reused */

    (void)cells;
    (void)cache;
    (void)cell_class;
    model_check(given_times(0) == 1);
    return task;
}

void skua__cell_give_slow(struct skua__cells *cells, struct skua__cell_cache *cache,
                          struct skua_task *task)
{
    (void)cells;
    (void)cache;
    model_use(task); /* whoever had a reference is done with it */
    given_again(task_index(task));
    model_check(given_times(task_index(task)) == 1);
}

struct skua_task *skua__cell_at(struct skua__cells *cells, uint32_t index)
{
    return skua__cell_of(cells->base, index);
}

/* ---- what does not come up ------------------------------------------------------------------- */

#define MODEL_NEVER(declaration)                                                                   \
    declaration                                                                                    \
    {                                                                                              \
        model_fail(__func__);                                                                      \
        __builtin_trap();                                                                          \
    }

/* clang-format off */
MODEL_NEVER(void skua__fiber_abandon(struct skua__thread *self SKUA__UNUSED,
                                     struct skua__fiber *fiber SKUA__UNUSED,
                                     int result SKUA__UNUSED))
MODEL_NEVER(void skua__fiber_run(struct skua__thread *self SKUA__UNUSED,
                                 struct skua__fiber *fiber SKUA__UNUSED))
MODEL_NEVER(void skua__fiber_park(struct skua__thread *self SKUA__UNUSED,
                                  struct skua__fiber *fiber SKUA__UNUSED))
MODEL_NEVER(void skua__fiber_yield(struct skua__thread *self SKUA__UNUSED,
                                   struct skua__fiber *fiber SKUA__UNUSED))
MODEL_NEVER(void skua__context_unref(struct skua__context *context SKUA__UNUSED))
MODEL_NEVER(struct skua__context *skua__context_with_queue(
    struct skua__context *outer SKUA__UNUSED, skua_task_queue *queue SKUA__UNUSED))
MODEL_NEVER(const skua_site *skua__site_named(const skua_site *site SKUA__UNUSED,
                                              const char *name SKUA__UNUSED))
MODEL_NEVER(void skua__task_describe(struct skua_task *task SKUA__UNUSED,
                                     skua_task_info *info SKUA__UNUSED))
MODEL_NEVER(void *skua__os_alloc(size_t size SKUA__UNUSED))
MODEL_NEVER(void *skua__os_slot_take(struct skua__slots *slots SKUA__UNUSED))
MODEL_NEVER(void skua__os_slot_give(struct skua__slots *slots SKUA__UNUSED,
                                    void *slot SKUA__UNUSED))
MODEL_NEVER(int skua__os_thread_start(skua__thread_handle *ret SKUA__UNUSED,
                                      const char *name SKUA__UNUSED,
                                      const struct skua__cpus *cpus SKUA__UNUSED,
                                      void *(*fn)(void *)SKUA__UNUSED, void *arg SKUA__UNUSED))
MODEL_NEVER(void skua__os_thread_detach(skua__thread_handle thread SKUA__UNUSED))
MODEL_NEVER(void skua__os_at_thread_end(void (*fn)(void *arg) SKUA__UNUSED,
                                        void *arg SKUA__UNUSED))
#ifndef MODEL_OWN_WHEEL
MODEL_NEVER(void skua__wheel_init(struct skua__wheel *unused SKUA__UNUSED,
                                  int64_t now SKUA__UNUSED))
#endif
/* clang-format on */

/* ---- a runtime ------------------------------------------------------------------------------- */

static void thread_begin(unsigned index, bool worker)
{
    struct skua__thread *thread = &threads[index];

    memset(thread, 0, sizeof *thread);
    thread->wheel = &wheel;
    thread->index = index;
    thread->core = worker ? core : NULL;
    thread->waker = (struct skua_custom_waker){thread_wake, thread_keep, thread_keep};
    for (unsigned i = 0; i < SKUA__CELL_CLASSES; i++)
        thread->cells.count[i] = SKUA__CELL_BATCH; /* full: each cell that comes back is seen */
}

/* `workers` of the threads are workers; no task is there yet, the scope is open. */
static void runtime_begin(unsigned workers, unsigned scope_flags)
{
    core = model_arena(ARENA);
    tasks = (struct skua_task *)(void *)((char *)core + ARENA / 2);
    core->cells.base = (char *)core;
    core->budget = 128;
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        thread_begin(i, i < workers);
    memset(futexes, 0, sizeof futexes);
    memset(given, 0, sizeof given);
    skua__store_relaxed(&queued, 0);
    runnable = (struct model_bell){0};
    skua__scope_init(&scope, (skua_runtime *)(void *)core, scope_flags);
}

/* Task `index` runs, with `handles` besides the runtime's own reference. */
static struct skua_task *task_begin(unsigned index, unsigned handles)
{
    struct skua_task *task = task_at(index);

    skua__store_relaxed(&task->generation, 1);
    skua__store_relaxed(&task->state, SKUA__ACTIVE | (handles + 1) * SKUA__REF);
    task->scope = &scope;
    task->cell_class = (uint8_t)skua__cell_class_of(128);
    if (skua__scope_enter(&scope, task) != 0)
        model_fail("the scope is closed");
    return task;
}

/* ---- wakers ---------------------------------------------------------------------------------- */

static struct waiter *waiter_of(struct skua_custom_waker *custom)
{
    return skua__container(custom, struct waiter, custom);
}

static void waiter_wake(struct skua_custom_waker *custom)
{
    model_check(!waiter_of(custom)->gone);
    model_use(custom); /* as whoever left it here has left it */
    model_ring(&waiter_of(custom)->bell);
    model_check(!waiter_of(custom)->gone); /* the wake is not over before it returns */
    model_use(custom);
}

static void waiter_ref(struct skua_custom_waker *custom)
{
    model_use(custom);
    waiter_of(custom)->refs++;
}

static void waiter_unref(struct skua_custom_waker *custom)
{
    model_check(!waiter_of(custom)->gone);
    model_check(waiter_of(custom)->refs-- > 0);
}

static SKUA__UNUSED skua_waker *waiter_begin(struct waiter *waiter)
{
    *waiter = (struct waiter){.custom = {waiter_wake, waiter_ref, waiter_unref}};
    return skua_waker_custom(&waiter->custom);
}

/* From here on nobody may know it. */
static SKUA__UNUSED void waiter_end(struct waiter *waiter)
{
    model_check(waiter->refs == 0);
    model_use(&waiter->custom);
    waiter->gone = true;
}

#endif
