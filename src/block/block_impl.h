/* block_impl.h - the pool of threads that may block, and its jobs.
 *
 *   job        from          event                              to
 *              -             submitted, its waiter listed       LINED UP   in a shard's line
 *              LINED UP      a thread takes it                  RUNNING
 *              LINED UP      its waiter leaves                  (freed by the waiter)
 *              LINED UP      no thread is left, none can start  ENDED, without a run
 *              RUNNING       fn ends, somebody waits            ENDED      freed by the waiter
 *              RUNNING       its waiter leaves                  ABANDONED
 *              ABANDONED     fn ends: drop(arg)                 (freed by its thread)
 *
 * Each job has a line of one waiter (sync_wait.h): that somebody is in it is what "waits" means.
 */
#ifndef SKUA_BLOCK_BLOCK_IMPL_H
#define SKUA_BLOCK_BLOCK_IMPL_H

#include <skua/blocking.h>

#include "base/list.h"
#include "sync/sync_wait.h"

struct skua__pool;

struct skua__job {
    struct skua__node link;        /* lock: the shard's */
    struct skua__pool *pool;       /* constant once submitted */
    struct skua__job_shard *shard; /* constant once submitted */
    bool lined_up;                 /* lock: the shard's */
    uint8_t lock;                  /* guards waiters */
    skua_waiter_list waiters;      /* one, or none */
    skua_fiber_fn fn;              /* constant, as the next three */
    void *arg;
    void (*drop)(void *arg);
    struct skua__context *context; /* one reference */
    int64_t since;                 /* lined up, ns; constant */
    int result;                    /* the thread's, then the waiter's */
    bool refused;                  /* it did not run: likewise */
};

/* The pool of a runtime, made at its first use; NULL: no memory. */
struct skua__pool *skua__pool_of(struct skua__core *core);
/* Lines a job up: 0, or -EAGAIN: it is not lined up, and there is no thread. */
int skua__pool_submit(struct skua__pool *pool, struct skua__thread *self, struct skua__job *job);
/* Takes a job out of the line: false when it is running, or has run. */
bool skua__pool_withdraw(struct skua__pool *pool, struct skua__job *job);
/* A job's waiter has been told, or has left. */
void skua__pool_forget(struct skua__pool *pool);
/* Whether somebody waits for a job: something will happen. */
bool skua__pool_awaited(struct skua__pool *pool);
/* Ends the threads, at `deadline` at the latest those that are idle: how many are left. */
unsigned skua__pool_stop(struct skua__pool *pool, int64_t deadline);
/* For snapshots. */
void skua__pool_stats(struct skua__pool *pool, skua_runtime_stats *ret);

/* blocking.c: skua_blocking_with and skua_block_in_place for the library's own jobs, which are told
 * as what they do. */
int skua__blocking_quietly(skua_fiber_fn fn, void *arg, const skua_blocking_options *options);
int skua__block_quietly(skua_fiber_fn fn, void *arg);

/* blocking.c: runs a job on a thread of the pool. */
void skua__job_run(struct skua__job *job);
/* Ends a job that was in line and will not run: -EAGAIN. Any thread. */
void skua__job_refuse(struct skua__job *job);

#endif
