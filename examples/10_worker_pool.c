/* 10_worker_pool.c - a pool of workers behind a bounded channel: who makes jobs faster than they
 * are done waits for room, so that memory stays bounded.
 *
 *     cc 10_worker_pool.c -lskua && ./a.out
 */
#include <stdio.h>

#include <skua/skua.h>

enum { WORKERS = 4, JOBS = 1000, ROOM = 16 };

struct job {
    int number;
    skua_semaphore *done;
    long *sum; /* guarded by `mutex` */
    skua_mutex *mutex;
};

static int worker(void *arg)
{
    skua_mpmc_receiver *jobs = arg;
    struct job job;

    while (skua_mpmc_recv(jobs, &job) == 0) {
        if (skua_mutex_lock(job.mutex) != 0)
            break;
        *job.sum += job.number;
        skua_mutex_unlock(job.mutex);
        skua_semaphore_release(job.done, 1);
    }
    skua_mpmc_receiver_close(jobs);
    return 0;
}

static int app(void *arg)
{
    skua_semaphore done = SKUA_SEMAPHORE_INIT(0);
    skua_mutex mutex = SKUA_MUTEX_INIT;
    skua_mpmc_sender *sender;
    skua_mpmc_receiver *receiver;
    skua_scope scope;
    long sum = 0;
    int rc = skua_mpmc_new(&sender, &receiver, sizeof(struct job), ROOM);

    (void)arg;
    if (rc != 0)
        return rc;
    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < WORKERS; i++)
        if (skua_spawn(&scope, worker, skua_mpmc_receiver_clone(receiver)) != 0)
            skua_mpmc_receiver_close(receiver);
    skua_mpmc_receiver_close(receiver);
    for (int i = 1; rc == 0 && i <= JOBS; i++)
        rc = skua_mpmc_send(sender, &(struct job){i, &done, &sum, &mutex});
    skua_mpmc_sender_close(sender); /* the workers end when the channel is empty */
    if (rc == 0)
        rc = skua_semaphore_acquire(&done, JOBS);
    if (rc == 0)
        printf("%d jobs by %d workers: %ld\n", JOBS, WORKERS, sum);
    skua_scope_join(&scope);
    return rc;
}

int main(void)
{
    return skua_main(app, NULL, SKUA_RUNTIME_OPTIONS(.name = "pool", .stop_on = SKUA_SIGNALS_TERM));
}
