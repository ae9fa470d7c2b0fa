/* runtime_block_on.c - the bridge from a thread into a runtime.
 *
 * The fiber gets a scope of its own in the calling thread's frame; what it spawns into its current
 * scope is joined before the call returns. On a multi-thread runtime the thread sleeps meanwhile;
 * a current-thread runtime is driven by it.
 */
#include "runtime/runtime_impl.h"

struct block_on_call {
    skua_fiber_fn fn;
    void *arg;
    skua_scope *scope;
    int result;
    _Atomic uint32_t called; /* fn has run; release by the fiber, acquire by the thread */
};

/* fn failed: what it left behind is cancelled. Otherwise its children may end by themselves. */
static int block_on_fiber(void *arg)
{
    struct block_on_call *call = arg;

    call->result = call->fn(call->arg);
    if (call->result < 0)
        (void)skua_scope_cancel(call->scope);
    skua__store_release(&call->called, 1);
    return call->result;
}

static bool block_on_empty(void *arg)
{
    return skua_scope_alive(arg) == 0;
}

bool skua__runtime_may_drive(skua_runtime *runtime)
{
    int owner = skua__load_acquire(&runtime->owner_thread); /* pairs with skua__runtime_drive */

    return skua__load_acquire(&runtime->driving) == 0 &&
           (owner == 0 || owner == skua__os_thread_id());
}

static void drive_tick(skua_custom_waker *waker)
{
    (void)waker; /* that the loop's wait ends is all that is wanted */
}

/* The loop, with a timer that ends its sleep at the deadline. */
static void drive_loop(struct skua__worker *worker, bool (*until)(void *arg), void *arg,
                       int64_t deadline)
{
    struct skua_custom_waker waker = {.wake = drive_tick, .ref = drive_tick, .unref = drive_tick};
    skua_sleep_future tick;

    skua_sleep_until_init(&tick, deadline);
    if (deadline != SKUA_FOREVER)
        skua__wheel_arm(&worker->wheel, &tick, (int64_t)tick.when, skua_waker_custom(&waker));
    skua__worker_loop(worker, until, arg);
    if (tick.waker != NULL)
        skua__wheel_cancel(&worker->wheel, &tick);
}

int skua__runtime_drive(skua_runtime *runtime, bool (*until)(void *arg), void *arg,
                        int64_t deadline)
{
    struct skua__worker *worker = runtime->sched.workers[0];
    int me = skua__os_thread_id();
    int nobody = 0;
    uint32_t idle = 0;
    struct skua__thread *before;

    if (!skua__cas_strong_acq_rel(&runtime->driving, &idle, 1))
        return SKUA_EUSAGE;
    if (skua__cas_strong_acq_rel(&runtime->owner_thread, &nobody, me)) {
        int rc = runtime->driver_ops->start(worker->thread.driver);

        skua__assert(rc == 0);
        (void)skua__os_altstack_init();
    } else if (nobody != me) {
        skua__store_release(&runtime->driving, 0);
        return SKUA_EUSAGE;
    }
    before = skua__thread_adopt(&worker->thread);
    skua__coro_thread(&worker->thread.loop);
    if (runtime->options.on_thread_start != NULL)
        runtime->options.on_thread_start(runtime->options.hook_arg);
    drive_loop(worker, until, arg, deadline);
    if (runtime->options.on_thread_stop != NULL)
        runtime->options.on_thread_stop(runtime->options.hook_arg);
    skua__thread_adopt(before);
    skua__store_release(&runtime->driving, 0);
    return 0;
}

static int block_on_run(skua_runtime *runtime, const skua_site *site, struct block_on_call *call)
{
    skua_scope scope;
    int rc;

    skua__scope_init(&scope, runtime, SKUA_COLLECT);
    call->scope = &scope;
    rc = skua_spawn_at(site, &scope, block_on_fiber, call, NULL);
    if (rc != 0)
        return rc;
    if (runtime->sched.multi)
        (void)skua_scope_join(&scope);
    else
        rc = skua__runtime_drive(runtime, block_on_empty, &scope, SKUA_FOREVER);
    /* The fiber itself could not start (no stack), or was cancelled before. */
    if (rc == 0 && skua__load_acquire(&call->called) == 0)
        rc = scope.first_error == -ECANCELED ? SKUA_ESTOPPED : scope.first_error;
    return rc;
}

int skua_block_on(skua_runtime *runtime, skua_fiber_fn fn, void *arg, int *result)
{
    static const skua_site site = {"block_on", __FILE__, "skua_block_on", __LINE__};
    struct block_on_call call = {.fn = fn, .arg = arg, .result = -ECANCELED};
    struct skua__thread *self = skua__thread_self();
    int rc;

    if (fn == NULL)
        return -EINVAL;
    if (self->core != NULL || skua__runtime_forked(runtime))
        return SKUA_EUSAGE;
    if (!runtime->sched.multi && !skua__runtime_may_drive(runtime))
        return SKUA_EUSAGE;
    rc = block_on_run(runtime, &site, &call);
    if (rc == 0 && result != NULL)
        *result = call.result;
    return rc;
}
