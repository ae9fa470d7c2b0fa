/* exec_runtime.c - executors on runtimes: each piece of work is run by a fiber.
 *
 * Ends       the fibers are children of the runtime, and counted by a wait group, so that closing
 *            waits for all that was launched. One that is cancelled before it began, by the
 *            runtime's stop, drops a piece of work instead.
 * Threads    "thread-pool" is a runtime of one worker, whose fibers hand their work to the pool of
 *            threads that may block, and wait for it.
 */
#include <string.h>

#include <skua/blocking.h>
#include <skua/executor.h>
#include <skua/notify.h>

#include "exec/exec_impl.h"
#include "runtime/runtime_impl.h"

struct exec_on {
    skua_executor executor;  /* first */
    skua_runtime *runtime;   /* constant, as the next two */
    bool owns;               /* the runtime is its own */
    bool blocks;             /* work runs on threads of the pool */
    _Atomic uint32_t fibers; /* launched, not over: when to stop driving a current-thread runtime */
    skua_wait_group over;    /* the same, for close */
};

static struct exec_on *exec_on_of(skua_executor *executor)
{
    return skua__container(executor, struct exec_on, executor);
}

static int exec_run_one(void *arg)
{
    (void)skua_executor_run_one(arg);
    return 0;
}

/* The executor may be gone behind it. Release, and acquire in exec_idle: one thread, in truth. */
static void exec_over(struct exec_on *self)
{
    skua__sub_acq_rel(&self->fibers, 1);
    skua_wait_group_done(&self->over);
}

static int exec_fiber(void *arg)
{
    struct exec_on *self = arg;

    if (self->blocks)
        (void)skua_block_in_place(exec_run_one, &self->executor);
    else
        (void)exec_run_one(&self->executor);
    exec_over(self);
    return 0;
}

static void exec_never_ran(void *arg)
{
    struct exec_on *self = arg;

    skua__executor_drop_one(&self->executor);
    exec_over(self);
}

static int exec_launch(skua_executor *executor)
{
    static const skua_site site = {"executor", __FILE__, "exec_launch", __LINE__};
    struct exec_on *self = exec_on_of(executor);
    skua_spawn_options options = {.size = sizeof options, .drop = exec_never_ran};
    int rc;

    rc = skua_wait_group_add(&self->over, 1);
    if (rc != 0)
        return rc;
    skua__add_relaxed(&self->fibers, 1); /* the spawn publishes it */
    rc = skua_spawn_at(&site, skua_runtime_scope(self->runtime), exec_fiber, self, &options);
    if (rc != 0)
        exec_over(self);
    return rc;
}

static bool exec_idle(void *arg)
{
    return skua__load_acquire(&((struct exec_on *)arg)->fibers) == 0;
}

static void exec_close(skua_executor *executor)
{
    struct exec_on *self = exec_on_of(executor);
    bool shielded = skua_shield_begin() == 0; /* on a fiber */

    (void)skua_executor_run(executor);
    if (skua_wait_group_wait(&self->over) != 0)
        skua__assert(false); /* in a poll task: executor.h */
    if (shielded)
        skua_shield_end();
    if (self->owns)
        (void)skua_runtime_free(self->runtime);
    skua__os_free(self);
}

static const skua_executor_ops exec_ops[] = {
    {.name = "multi-thread", .launch = exec_launch, .close = exec_close},
    {.name = "thread-per-core", .launch = exec_launch, .close = exec_close},
    {.name = "current-thread", .launch = exec_launch, .close = exec_close},
    {.name = "thread-pool", .launch = exec_launch, .close = exec_close},
    {.name = "runtime", .launch = exec_launch, .close = exec_close},
};
static const skua_runtime_kind exec_kinds[] = {SKUA_MULTI_THREAD, SKUA_THREAD_PER_CORE,
                                               SKUA_CURRENT_THREAD, SKUA_MULTI_THREAD};

#define EXEC_POOL 3u
#define EXEC_NAMED 4u /* the last one is not to be had by name */

static int exec_make(skua_executor **ret, unsigned which, skua_runtime *runtime)
{
    struct exec_on *self = skua__os_alloc(sizeof *self);

    if (self == NULL)
        return -ENOMEM;
    skua_executor_init(&self->executor, &exec_ops[which]);
    self->runtime = runtime;
    self->owns = which != EXEC_NAMED;
    self->blocks = which == EXEC_POOL;
    self->over = (skua_wait_group)SKUA_WAIT_GROUP_INIT;
    *ret = &self->executor;
    return 0;
}

int skua_executor_open(skua_executor **ret, const char *name, const skua_runtime_options *given)
{
    skua_runtime_options options;
    skua_runtime *runtime;
    unsigned which = 0;
    int rc;

    if (name != NULL && *name != '\0')
        while (which < EXEC_NAMED && strcmp(exec_ops[which].name, name) != 0)
            which++;
    if (which == EXEC_NAMED || (given != NULL && given->size != sizeof options))
        return -EINVAL;
    skua_runtime_options_init(&options);
    if (given != NULL)
        options = *given;
    options.kind = exec_kinds[which];
    if (which == EXEC_POOL)
        options.workers = 1;
    rc = skua_runtime_new(&runtime, &options);
    if (rc != 0)
        return rc;
    rc = exec_make(ret, which, runtime);
    if (rc != 0)
        (void)skua_runtime_free(runtime);
    return rc;
}

int skua_executor_on(skua_executor **ret, skua_runtime *runtime)
{
    return exec_make(ret, EXEC_NAMED, runtime);
}

int skua_executor_run(skua_executor *executor)
{
    struct exec_on *self = exec_on_of(executor);

    if (executor->ops->launch != exec_launch || self->runtime->sched.multi ||
        skua__thread_self()->core != NULL)
        return 0; /* it runs by itself, or the caller runs in it */
    if (!skua__runtime_may_drive(self->runtime))
        return SKUA_EUSAGE;
    return skua__runtime_drive(self->runtime, exec_idle, self, SKUA_FOREVER);
}

skua_runtime *skua_executor_runtime(skua_executor *executor)
{
    return executor->ops->launch == exec_launch ? exec_on_of(executor)->runtime : NULL;
}

#undef EXEC_POOL
#undef EXEC_NAMED
