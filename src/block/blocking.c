/* blocking.c - a job's life on the side of whoever waits for it; and its run.
 *
 * Flow       skua_blocking -> skua_await -> blocking_poll: job made, waiter listed, submitted ->
 *            (block_pool.c: a thread) skua__job_run: fn, then the waiter is granted and woken ->
 *            blocking_poll: the result
 * Dropped    in line: taken out. Running: with .drop the waiter leaves its line, and the thread,
 *            which finds it empty, gives `arg` back; without, the fiber waits.
 */
#include <string.h>

#include "block/block_impl.h"

static struct skua__lock *job_lock(struct skua__job *job)
{
    return skua__sync_lock(&job->lock);
}

static void job_free(struct skua__job *job)
{
    skua__context_unref(job->context);
    skua__os_free(job);
}

/* Tells the waiter, or gives `arg` back. */
static void job_end(struct skua__job *job)
{
    struct skua__chain chain = {NULL, NULL};
    struct skua__pool *pool = job->pool; /* the caller has a reference */

    skua__lock_take(job_lock(job));
    if (job->waiters.first != NULL)
        skua__waiters_grant(&job->waiters, job->waiters.first, &chain);
    skua__lock_drop(job_lock(job));
    if (chain.first != NULL) {
        skua__chain_wake(&chain); /* the job is the waiter's */
        skua__pool_forget(pool);
        return;
    }
    if (job->drop != NULL)
        job->drop(job->arg);
    job_free(job);
}

void skua__job_run(struct skua__job *job)
{
    struct skua__thread *self = skua__thread_self();

    self->context = job->context;
    job->result = job->fn(job->arg);
    self->context = NULL;
    job_end(job);
}

void skua__job_refuse(struct skua__job *job)
{
    job->result = -EAGAIN;
    job->refused = true;
    job_end(job);
}

/* ---- the future ------------------------------------------------------------------------------ */

/* A poll task, or a foreign loop, cannot wait for a running job when it lets go. */
static bool blocking_may_wait(struct skua__thread *self, const skua_waker *waker)
{
    return skua__waker_is_task(waker) && skua__fiber_current(self) != NULL;
}

static skua_poll blocking_begin(skua_blocking_future *self, struct skua__thread *thread,
                                skua_waker *waker)
{
    struct skua__pool *pool = skua__pool_of(thread->core);
    struct skua__job *job = pool != NULL ? skua__os_alloc(sizeof *job) : NULL;
    int rc;

    if (job == NULL)
        return -ENOMEM;
    job->fn = self->fn;
    job->arg = self->arg;
    job->drop = self->drop;
    if (thread->current != NULL)
        job->context = skua__context_ref(thread->current->context);
    skua__waiters_push(&job->waiters, &self->waiter, waker); /* nobody else knows it yet */
    self->job = job;
    rc = skua__pool_submit(pool, thread, job);
    if (rc == 0)
        return SKUA_PENDING;
    (void)skua__waiter_leave(&self->waiter, job_lock(job), &job->waiters);
    self->job = NULL;
    job_free(job);
    return rc;
}

static skua_poll blocking_poll(skua_future *future, skua_waker *waker)
{
    skua_blocking_future *self = skua__container(future, skua_blocking_future, future);
    struct skua__thread *thread = skua__thread_self();
    skua_poll answer;

    if (self->job == NULL) {
        if (self->fn == NULL)
            return -EINVAL;
        if (thread->core == NULL)
            return self->fn(self->arg); /* a plain thread may block */
        if (self->drop == NULL && !blocking_may_wait(thread, waker))
            return SKUA_EUSAGE;
        answer = blocking_begin(self, thread, waker);
        if (answer != SKUA_PENDING && self->drop != NULL)
            self->drop(self->arg); /* it will never run */
        return answer;
    }
    answer = skua__waiter_again(&self->waiter, job_lock(self->job), waker);
    if (answer == 0) {
        bool refused = self->job->refused;

        answer = self->job->result;
        job_free(self->job);
        self->job = NULL;
        if (refused && self->drop != NULL)
            self->drop(self->arg); /* it will never run */
    }
    return answer;
}

/* The fiber stays until the job has ended: it may be using what is on the fiber's stack. */
static void blocking_wait_out(skua_blocking_future *self)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());

    while (skua__waiter_again(&self->waiter, job_lock(self->job), skua__task_waker(&fiber->task)) ==
           SKUA_PENDING)
        skua__fiber_park(skua__thread_self(), fiber);
    self->result = self->job->result;
    self->waited = 1;
    job_free(self->job);
}

static void blocking_drop(skua_future *future)
{
    skua_blocking_future *self = skua__container(future, skua_blocking_future, future);
    struct skua__job *job = self->job;
    void (*drop)(void *arg) = self->drop;
    struct skua__pool *pool;
    bool withdrawn;
    bool ended;

    if (job == NULL) { /* never asked: cancelled before */
        if (drop != NULL)
            drop(self->arg);
        return;
    }
    pool = job->pool;
    withdrawn = skua__pool_withdraw(pool, job);
    if (!withdrawn && drop == NULL) {
        blocking_wait_out(self);
        self->job = NULL;
        return;
    }
    self->job = NULL;
    /* Granted: it has ended, and is ours. Withdrawn: nobody else has it. Else its thread's. */
    ended = skua__waiter_leave(&self->waiter, job_lock(job), &job->waiters);
    if (!ended)
        skua__pool_forget(pool);
    if (ended || withdrawn) {
        job_free(job);
        if (drop != NULL)
            drop(self->arg);
    }
}

static const skua_future_ops blocking_ops = {
    .name = "blocking", .poll = blocking_poll, .drop = blocking_drop};

/* ---- for users ------------------------------------------------------------------------------- */

skua_future *skua_blocking_init(skua_blocking_future *blocking, skua_fiber_fn fn, void *arg,
                                const skua_blocking_options *options)
{
    bool valid = options == NULL || options->size == sizeof *options;

    blocking->future.ops = &blocking_ops;
    blocking->waiter.state = SKUA__IDLE;
    blocking->fn = valid ? fn : NULL;
    blocking->arg = arg;
    blocking->drop = options != NULL && valid ? options->drop : NULL;
    blocking->job = NULL;
    blocking->waited = 0;
    return &blocking->future;
}

int skua__blocking_quietly(skua_fiber_fn fn, void *arg, const skua_blocking_options *options)
{
    skua_blocking_future blocking;
    int rc = (int)skua_await(skua_blocking_init(&blocking, fn, arg, options));

    return blocking.waited ? blocking.result : rc;
}

/* A job that tells how long it has waited in line. */
struct blocking_told {
    skua_probe_op op;
    skua_fiber_fn fn;
    void *arg;
};

static int blocking_told_run(void *arg)
{
    struct blocking_told *told = arg;

    told->op.queued = skua__os_now() - told->op.start;
    return told->fn(told->arg);
}

static SKUA__NOINLINE int blocking_tell(skua_fiber_fn fn, void *arg,
                                        const skua_blocking_options *options)
{
    struct blocking_told told = {.fn = fn, .arg = arg};
    int rc;

    skua__op_begin(&told.op, "blocking.run", NULL);
    /* One that may be let go of while it runs must not look back here. */
    if (options == NULL && fn != NULL)
        rc = skua__blocking_quietly(blocking_told_run, &told, NULL);
    else
        rc = skua__blocking_quietly(fn, arg, options);
    skua__op_end(&told.op, rc, 0);
    return rc;
}

int skua_blocking_with(skua_fiber_fn fn, void *arg, const skua_blocking_options *options)
{
    if (skua__probe_ops())
        return blocking_tell(fn, arg, options);
    return skua__blocking_quietly(fn, arg, options);
}

void skua_blocking_options_init(skua_blocking_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int blocking_shielded(skua_fiber_fn fn, void *arg,
                             int (*run)(skua_fiber_fn fn, void *arg,
                                        const skua_blocking_options *options))
{
    bool shielded = skua_shield_begin() == 0; /* on a fiber */
    int rc = run(fn, arg, NULL);

    if (shielded)
        skua_shield_end();
    return rc;
}

int skua_block_in_place(skua_fiber_fn fn, void *arg)
{
    return blocking_shielded(fn, arg, skua_blocking_with);
}

int skua__block_quietly(skua_fiber_fn fn, void *arg)
{
    return blocking_shielded(fn, arg, skua__blocking_quietly);
}
