/* block_pool.c - threads that may block: as many as there are jobs, up to a bound.
 *
 * Flow       skua__pool_submit: into a shard's line -> wakes an idle thread, or starts one ->
 *            block_thread: takes jobs while there are any -> idle -> ends after keep_alive
 * Shards     jobs wait in one of 16 lines, by the submitting thread, so that many submitters do not
 *            wait for each other's lock. Jobs of one thread begin in order; a thread that looks for
 *            work begins at the shard behind its last one, so that no line is left out.
 * Idle       `idle` counts threads that sleep and that nobody has claimed yet. Who calls a thread
 *            claims one by counting it down, and then gives a token, which the sleeper takes: so
 *            each call has a thread of its own, even if the tokens go to others.
 * Calling    `coming` counts threads that were called, or started, and have not looked for a job
 *            yet. While there is one, a submitter calls nobody: a burst of jobs costs it one
 *            system call. A thread that comes takes a job, and before it runs that it calls two
 *            more for what is still in line: so there is soon a thread for each job while there
 *            are any, in as many steps as the jobs' number has bits.
 * Spinning   a thread whose last sleep was short looks for a token for 20 us before it sleeps, if
 *            no other does: short jobs in a row are spared two system calls and two switches each.
 *            It yields meanwhile: who submits may need its processor.
 * Lost work  submit: the job, then a look at `coming`, `idle` and `threads`; a thread: counts
 *            itself come, idle, or out, then a look at `queued`. All sequentially consistent: one
 *            sees the other. So does who has counted a thread that cannot be started: it refuses
 *            the jobs that rely on it.
 * Memory     the pool is counted: its runtime has a reference, each thread one. So a job that does
 *            not end outlives its runtime, and nothing else does.
 */
#include <stdio.h>

#include "block/block_impl.h"

#define BLOCK_SHARDS 16
#define BLOCK_STOP 0x80000000u
#define BLOCK_CALLS 2 /* by each thread that comes */
/* How long one thread spins, and after sleeps up to what length: see sched_idle.c. */
#define BLOCK_SPIN (20 * SKUA_MICROSECOND)
#define BLOCK_SPIN_PAYS (500 * SKUA_MICROSECOND)

struct skua__job_shard {
    SKUA__ALIGNED(SKUA__CACHE_LINE) struct skua__lock lock;
    struct skua__node jobs; /* lock, as the next two */
    uint64_t taken;
    uint64_t waited_ns;
};

struct skua__pool {
    struct skua__job_shard shards[BLOCK_SHARDS];
    SKUA__ALIGNED(SKUA__CACHE_LINE) _Atomic uint32_t queued; /* jobs in line; see above */
    _Atomic uint32_t lines;    /* a bit for each shard that may have some: a hint */
    _Atomic uint32_t idle;     /* see above, as the next two */
    _Atomic uint32_t coming;   /* see above; below zero while a new one is faster than who counts */
    _Atomic uint32_t spinning; /* threads that look for a token and do not sleep */
    _Atomic uint32_t tokens;   /* the futex of sleepers; BLOCK_STOP: they are to end */
    _Atomic uint32_t threads;  /* a futex for who waits until none is left */
    _Atomic uint32_t awaited;  /* jobs that somebody waits for and has not been told about */
    _Atomic uint32_t refs;
    _Atomic uint32_t named; /* a number for the next thread's name; relaxed */
    unsigned most;          /* constant, as all below */
    int64_t keep_alive;
    char name[16];
};

/* ---- making and freeing ---------------------------------------------------------------------- */

static void block_unref(struct skua__pool *pool)
{
    /* Both orders: whoever frees comes after everybody's last look. */
    if (skua__sub_acq_rel(&pool->refs, 1) == 1)
        skua__os_free(pool);
}

static SKUA__COLD struct skua__pool *block_make(struct skua__core *core)
{
    struct skua__pool *pool = skua__os_alloc_aligned(sizeof *pool, SKUA__CACHE_LINE);
    struct skua__pool *other = NULL;

    if (pool == NULL)
        return NULL;
    for (unsigned i = 0; i < BLOCK_SHARDS; i++)
        skua__list_init(&pool->shards[i].jobs);
    skua__store_relaxed(&pool->refs, 1);
    pool->most = core->blocking_threads;
    pool->keep_alive = core->blocking_keep_alive;
    snprintf(pool->name, sizeof pool->name, "%.9s", core->name);
    /* Release pairs with the acquire in skua__pool_of. */
    if (skua__cas_strong_acq_rel(&core->pool, &other, pool))
        return pool;
    skua__os_free(pool);
    return other;
}

struct skua__pool *skua__pool_of(struct skua__core *core)
{
    struct skua__pool *pool = skua__load_acquire(&core->pool);

    return skua__likely(pool != NULL) ? pool : block_make(core);
}

/* ---- the lines ------------------------------------------------------------------------------- */

static void block_line_up(struct skua__pool *pool, unsigned index, struct skua__job *job)
{
    struct skua__job_shard *shard = &pool->shards[index];

    job->shard = shard;
    job->since = skua__os_now();
    skua__lock_take(&shard->lock);
    skua__list_push(&shard->jobs, &job->link);
    job->lined_up = true;
    /* In this order, and the other way round below: who sees it counted finds its line, and waits
     * at the lock; it does not look round and round while we are off the processor. */
    skua__or_acq_rel(&pool->lines, 1u << index);
    skua__add_seq(&pool->queued, 1);
    skua__lock_drop(&shard->lock);
}

/* Under the shard's lock. */
static void block_unline(struct skua__pool *pool, struct skua__job *job)
{
    unsigned index = (unsigned)(job->shard - pool->shards);

    skua__node_unlink(&job->link);
    job->lined_up = false;
    skua__sub_seq(&pool->queued, 1);
    if (skua__list_empty(&job->shard->jobs))
        skua__and_acq_rel(&pool->lines, ~(1u << index));
}

bool skua__pool_withdraw(struct skua__pool *pool, struct skua__job *job)
{
    bool withdrawn;

    skua__lock_take(&job->shard->lock);
    withdrawn = job->lined_up;
    if (withdrawn)
        block_unline(pool, job);
    skua__lock_drop(&job->shard->lock);
    return withdrawn;
}

static struct skua__job *block_take_from(struct skua__pool *pool, struct skua__job_shard *shard)
{
    struct skua__job *job = NULL;

    skua__lock_take(&shard->lock);
    if (!skua__list_empty(&shard->jobs)) {
        job = skua__container(shard->jobs.next, struct skua__job, link);
        block_unline(pool, job);
        shard->taken++;
        shard->waited_ns += (uint64_t)(skua__os_now() - job->since);
    }
    skua__lock_drop(&shard->lock);
    return job;
}

/* A job, if there is any; the shards in turn from *at on. */
static struct skua__job *block_take(struct skua__pool *pool, unsigned *at)
{
    struct skua__job *job = NULL;

    while (job == NULL && skua__load_seq(&pool->queued) != 0) {
        uint32_t lines = skua__load_acquire(&pool->lines); /* a hint: the lock decides */

        for (unsigned i = 0; job == NULL && i < BLOCK_SHARDS; i++) {
            unsigned index = (*at + i) % BLOCK_SHARDS;

            if (lines >> index & 1)
                job = block_take_from(pool, &pool->shards[index]);
            if (job != NULL)
                *at = index + 1;
        }
        if (job == NULL)
            skua__relax(); /* one is about to be lined up, or was taken by another */
    }
    return job;
}

/* ---- threads --------------------------------------------------------------------------------- */

static void block_thread(void *arg);

/* Counts down, but not below zero. */
static bool block_claim(_Atomic uint32_t *count)
{
    uint32_t seen = skua__load_seq(count);

    while ((seen & ~BLOCK_STOP) != 0)
        if (skua__cas_strong_seq(count, &seen, seen - 1))
            return true;
    return false;
}

/* Looks for a token for a little while. True: it has one. */
static bool block_spin(struct skua__pool *pool)
{
    int64_t end = skua__os_now() + BLOCK_SPIN;
    bool called;

    skua__add_seq(&pool->spinning, 1);
    do {
        skua__os_thread_yield();
        called = block_claim(&pool->tokens);
    } while (!called && skua__os_now() < end);
    skua__sub_seq(&pool->spinning, 1);
    /* A token that was given between these two was left to us; who has one leaves it to another. */
    if (called && (skua__load_seq(&pool->tokens) & ~BLOCK_STOP) != 0)
        skua__os_futex_wake(&pool->tokens, 1);
    return called;
}

/* Sleeps until it is called: true, and it is coming; or until keep_alive or all is over: false. */
static bool block_idle(struct skua__pool *pool, bool *spins)
{
    int64_t since = skua__os_now();
    int64_t deadline = skua__time_after(since, pool->keep_alive);

    skua__add_seq(&pool->idle, 1);
    if (skua__load_seq(&pool->queued) != 0 && block_claim(&pool->idle)) {
        skua__add_seq(&pool->coming, 1);
        return true;
    }
    /* Relaxed: at worst two of them spin. */
    if (*spins && skua__load_relaxed(&pool->spinning) == 0 && block_spin(pool))
        return true;
    for (;;) {
        uint32_t tokens = skua__load_seq(&pool->tokens);
        bool over = (tokens & BLOCK_STOP) != 0;

        if (block_claim(&pool->tokens)) {
            *spins = skua__os_now() - since < BLOCK_SPIN_PAYS;
            return true;
        }
        /* As long as there is none, and not: as long as there are as many as before. One may have
         * been taken meanwhile, and another given. */
        if (!over)
            over = skua__os_futex_wait(&pool->tokens, 0, deadline) == -ETIMEDOUT;
        if (over && block_claim(&pool->idle))
            return false;
        if (over)
            skua__os_thread_yield(); /* claimed: its token is on the way */
    }
}

/* Leaves, unless there is work after all and no other thread came for it: then it is coming. */
static bool block_leave(struct skua__pool *pool)
{
    uint32_t threads;

    skua__sub_seq(&pool->threads, 1);
    if (skua__load_seq(&pool->queued) == 0)
        return true;
    threads = skua__load_seq(&pool->threads);
    while (threads < pool->most)
        if (skua__cas_strong_seq(&pool->threads, &threads, threads + 1)) {
            skua__add_seq(&pool->coming, 1);
            return false;
        }
    return true;
}

/* One more thread, unless there are enough: 0, -EAGAIN … */
static int block_grow(struct skua__pool *pool)
{
    uint32_t threads = skua__load_seq(&pool->threads);
    char name[32];
    int rc;

    do {
        if (threads >= pool->most)
            return 0;
    } while (!skua__cas_strong_seq(&pool->threads, &threads, threads + 1));
    skua__add_relaxed(&pool->refs, 1); /* the submitter's runtime has one, or the caller */
    snprintf(name, sizeof name, "%s-b%u", pool->name, skua__add_relaxed(&pool->named, 1));
    rc = skua__thread_start(name, block_thread, pool);
    if (rc == 0) {
        /* Not before: nobody may count on one that cannot be started. */
        skua__add_seq(&pool->coming, 1);
        return 0;
    }
    block_unref(pool);
    skua__sub_seq(&pool->threads, 1);
    skua__os_futex_wake(&pool->threads, 1);
    return rc;
}

/* One more thread for what is in line, if there may be one: 0, -EAGAIN … */
static int block_call(struct skua__pool *pool)
{
    if (!block_claim(&pool->idle))
        return block_grow(pool);
    skua__add_seq(&pool->coming, 1);
    /* A spinner counts itself out before its last look: as many tokens as there are spinners are
     * seen without a system call. */
    if ((skua__add_seq(&pool->tokens, 1) & ~BLOCK_STOP) >= skua__load_seq(&pool->spinning))
        skua__os_futex_wake(&pool->tokens, 1);
    return 0;
}

/* A thread has come, and has a job if there was one: whoever submitted meanwhile called nobody. */
static void block_come(struct skua__pool *pool)
{
    skua__sub_seq(&pool->coming, 1);
    for (unsigned i = 0; i < BLOCK_CALLS; i++) {
        int32_t queued = (int32_t)skua__load_seq(&pool->queued);

        if (queued <= (int32_t)skua__load_seq(&pool->coming) || queued == 0)
            return;
        (void)block_call(pool); /* without one more they wait for those that there are */
    }
}

static void block_thread(void *arg)
{
    struct skua__pool *pool = arg;
    unsigned at = 0;
    bool spins = false;

    do {
        do {
            struct skua__job *job = block_take(pool, &at);

            block_come(pool);
            for (; job != NULL; job = block_take(pool, &at))
                skua__job_run(job);
        } while (block_idle(pool, &spins));
    } while (!block_leave(pool));
    skua__os_futex_wake(&pool->threads, 1);
    block_unref(pool);
}

/* No thread could be started, and none is there: what others have lined up since it was counted,
 * relying on it, has none either. They counted `queued` up before they looked at `threads`. */
static void block_refuse(struct skua__pool *pool)
{
    struct skua__job *job = NULL;
    unsigned at = 0;

    do {
        job = skua__load_seq(&pool->threads) == 0 ? block_take(pool, &at) : NULL;
        if (job != NULL)
            skua__job_refuse(job);
    } while (job != NULL);
}

int skua__pool_submit(struct skua__pool *pool, struct skua__thread *self, struct skua__job *job)
{
    int rc;

    job->pool = pool;
    skua__add_seq(&pool->awaited, 1);
    block_line_up(pool, self->index % BLOCK_SHARDS, job);
    if ((int32_t)skua__load_seq(&pool->coming) > 0)
        return 0; /* that one will see it */
    rc = block_call(pool);
    /* Without a thread it would wait for ever; with one it is only later. */
    if (rc == 0 || skua__load_seq(&pool->threads) != 0)
        return 0;
    rc = skua__pool_withdraw(pool, job) ? -EAGAIN : 0; /* 0: another one has refused it */
    if (rc != 0)
        skua__pool_forget(pool);
    block_refuse(pool);
    return rc;
}

void skua__pool_forget(struct skua__pool *pool)
{
    skua__sub_seq(&pool->awaited, 1);
}

bool skua__pool_awaited(struct skua__pool *pool)
{
    return pool != NULL && skua__load_seq(&pool->awaited) != 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

unsigned skua__pool_stop(struct skua__pool *pool, int64_t deadline)
{
    uint32_t threads;

    if (pool == NULL)
        return 0;
    skua__or_seq(&pool->tokens, BLOCK_STOP);
    skua__os_futex_wake(&pool->tokens, INT32_MAX);
    while ((threads = skua__load_seq(&pool->threads)) != 0)
        if (skua__os_futex_wait(&pool->threads, threads, deadline) == -ETIMEDOUT)
            break;
    block_unref(pool);
    return threads;
}

void skua__pool_stats(struct skua__pool *pool, skua_runtime_stats *ret)
{
    if (pool == NULL)
        return;
    ret->blocking_threads = skua__load_relaxed(&pool->threads); /* each a number by itself */
    ret->blocking_idle = skua__load_relaxed(&pool->idle);
    ret->blocking_queue = skua__load_relaxed(&pool->queued);
    for (unsigned i = 0; i < BLOCK_SHARDS; i++) {
        struct skua__job_shard *shard = &pool->shards[i];

        skua__lock_take(&shard->lock);
        ret->blocking_jobs += shard->taken;
        ret->blocking_wait_ns += shard->waited_ns;
        skua__lock_drop(&shard->lock);
    }
}

#undef BLOCK_SHARDS
#undef BLOCK_STOP
#undef BLOCK_CALLS
#undef BLOCK_SPIN
#undef BLOCK_SPIN_PAYS
