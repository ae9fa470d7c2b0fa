/* local_semaphore.c - permits for the tasks of one worker, handed out first in, first out; the
 * mutex and the rwlock are made of it.
 *
 * Free       while somebody waits no permit is free: a waiter takes what is there and waits for the
 *            rest, a release gives to the first in line, then to the next, and only what is left
 *            becomes free. So a small request does not pass a large one, and whoever finds enough
 *            permits free need not look at the line.
 * Dropped    a wait gives back what it had so far, or was granted: it goes to the next in line.
 * Cost       an acquire is a look at `closed` and `permits`, a release one at the line.
 */
#include "local/local_wait.h"

/* ---- giving ---------------------------------------------------------------------------------- */

/* To those in line first; what is left becomes free. */
static SKUA__NOINLINE void local_sema_give(skua_local_semaphore *sema, uint64_t count)
{
    skua_local_waiter *waiter;

    skua__local_touch(&sema->waiters);
    while (count != 0 && (waiter = sema->waiters.first) != NULL) {
        uint64_t part = waiter->value < count ? waiter->value : count;

        waiter->value -= part;
        count -= part;
        if (waiter->value == 0)
            skua__local_grant(&sema->waiters, waiter);
    }
    sema->permits += count;
}

SKUA__INLINE void local_sema_release(skua_local_semaphore *sema, uint64_t count)
{
    if (skua__likely(sema->waiters.first == NULL))
        sema->permits += count;
    else
        local_sema_give(sema, count);
}

/* ---- taking ---------------------------------------------------------------------------------- */

SKUA__INLINE int local_sema_try(skua_local_semaphore *sema, uint64_t count)
{
    skua__local_touch(&sema->waiters);
    if (skua__unlikely(sema->closed))
        return SKUA_ECLOSED;
    if (skua__unlikely(sema->permits < count))
        return -EAGAIN;
    sema->permits -= count;
    return 0;
}

/* Takes what is there, which is not enough, and waits for the rest. */
static skua_poll local_sema_enqueue(skua_local_future *self, skua_waker *waker)
{
    skua_local_semaphore *sema = self->object;

    self->waiter.value = self->value - sema->permits;
    sema->permits = 0;
    skua__local_line_up(&sema->waiters, &self->waiter, waker);
    return SKUA_PENDING;
}

static skua_poll local_sema_poll(skua_future *future, skua_waker *waker)
{
    skua_local_future *self = skua__local_future_of(future);
    skua_poll answer;

    if (self->waiter.state == SKUA__LOCAL_IDLE) {
        if (skua__unlikely(self->value > SKUA_LOCAL_SEMAPHORE_MAX))
            return -EINVAL;
        answer = local_sema_try(self->object, self->value);
        return answer != -EAGAIN ? answer : local_sema_enqueue(self, waker);
    }
    answer = skua__local_again(&self->waiter, waker);
    /* Woken without all of it: closed. What it had was given back by the closer. */
    return answer == 0 && self->waiter.value != 0 ? SKUA_ECLOSED : answer;
}

static void local_sema_drop(skua_future *future)
{
    skua_local_future *self = skua__local_future_of(future);
    skua_local_semaphore *sema = self->object;

    if (self->waiter.state == SKUA__LOCAL_IDLE)
        return;
    if (skua__local_leave(&sema->waiters, &self->waiter) && self->waiter.value != 0)
        return; /* closed */
    local_sema_give(sema, self->value - self->waiter.value);
}

static const skua_future_ops local_sema_ops = {
    .name = "local.semaphore", .poll = local_sema_poll, .drop = local_sema_drop};
static const skua_future_ops local_mutex_ops = {
    .name = "local.mutex", .poll = local_sema_poll, .drop = local_sema_drop};
static const skua_future_ops local_read_ops = {
    .name = "local.rwlock.read", .poll = local_sema_poll, .drop = local_sema_drop};
static const skua_future_ops local_write_ops = {
    .name = "local.rwlock.write", .poll = local_sema_poll, .drop = local_sema_drop};

/* Apart from the usual case, which so needs no room for a future. */
static SKUA__NOINLINE int local_sema_acquire_slow(skua_local_semaphore *sema, uint64_t count,
                                                  const skua_future_ops *ops, int64_t deadline)
{
    skua_local_future wait;
    int rc = skua__task_leaf();

    if (rc != 0)
        return rc;
    rc = local_sema_try(sema, count);
    if (rc != -EAGAIN)
        return rc;
    return (int)skua_await_until(skua__local_future(&wait, sema, count, ops), deadline);
}

SKUA__INLINE int local_sema_acquire(skua_local_semaphore *sema, uint64_t count,
                                    const skua_future_ops *ops, int64_t deadline)
{
    skua__local_touch(&sema->waiters);
    if (skua__likely(!sema->closed && sema->permits >= count && skua__local_leaf())) {
        sema->permits -= count;
        return 0;
    }
    return local_sema_acquire_slow(sema, count, ops, deadline);
}

/* ---- semaphore ------------------------------------------------------------------------------- */

int skua_local_semaphore_init(skua_local_semaphore *sema, size_t permits)
{
    if (permits > SKUA_LOCAL_SEMAPHORE_MAX)
        return -EINVAL;
    *sema = (skua_local_semaphore)SKUA_LOCAL_SEMAPHORE_INIT(permits);
    return 0;
}

skua_future *skua_local_semaphore_acquire_init(skua_local_future *acquire,
                                               skua_local_semaphore *sema, size_t permits)
{
    return skua__local_future(acquire, sema, permits, &local_sema_ops);
}

int skua_local_semaphore_acquire(skua_local_semaphore *sema, size_t permits)
{
    if (skua__unlikely(permits > SKUA_LOCAL_SEMAPHORE_MAX))
        return -EINVAL;
    return local_sema_acquire(sema, permits, &local_sema_ops, SKUA_FOREVER);
}

int skua_local_semaphore_acquire_until(skua_local_semaphore *sema, size_t permits, int64_t deadline)
{
    if (skua__unlikely(permits > SKUA_LOCAL_SEMAPHORE_MAX))
        return -EINVAL;
    return local_sema_acquire(sema, permits, &local_sema_ops, deadline);
}

int skua_local_semaphore_try_acquire(skua_local_semaphore *sema, size_t permits)
{
    return permits > SKUA_LOCAL_SEMAPHORE_MAX ? -EINVAL : local_sema_try(sema, permits);
}

int skua_local_semaphore_release(skua_local_semaphore *sema, size_t permits)
{
    skua__local_touch(&sema->waiters);
    if (skua__unlikely(permits > SKUA_LOCAL_SEMAPHORE_MAX - sema->permits))
        return -EINVAL;
    local_sema_release(sema, permits);
    return 0;
}

size_t skua_local_semaphore_forget(skua_local_semaphore *sema, size_t permits)
{
    size_t part;

    skua__local_touch(&sema->waiters);
    part = sema->permits < permits ? (size_t)sema->permits : permits;
    sema->permits -= part;
    return part;
}

size_t skua_local_semaphore_available(const skua_local_semaphore *sema)
{
    skua__local_touch(&sema->waiters);
    return (size_t)sema->permits;
}

void skua_local_semaphore_close(skua_local_semaphore *sema)
{
    skua_local_waiter *waiter;

    skua__local_touch(&sema->waiters);
    sema->closed = 1;
    while ((waiter = sema->waiters.first) != NULL) {
        sema->permits += skua__local_waiting(waiter)->value - waiter->value;
        skua__local_grant(&sema->waiters, waiter);
    }
}

/* ---- mutex ----------------------------------------------------------------------------------- */

skua_future *skua_local_mutex_lock_init(skua_local_future *lock, skua_local_mutex *mutex)
{
    return skua__local_future(lock, &mutex->semaphore, 1, &local_mutex_ops);
}

/* A mutex is never closed; and 0 is stored, instead of one less than what was read, so that the
 * processor need not wait for the unlock's store before it goes on. */
SKUA__INLINE int local_mutex_acquire(skua_local_mutex *mutex, int64_t deadline)
{
    skua__local_touch(&mutex->semaphore.waiters);
    if (skua__likely(mutex->semaphore.permits != 0 && skua__local_leaf())) {
        mutex->semaphore.permits = 0;
        return 0;
    }
    return local_sema_acquire_slow(&mutex->semaphore, 1, &local_mutex_ops, deadline);
}

int skua_local_mutex_lock(skua_local_mutex *mutex)
{
    return local_mutex_acquire(mutex, SKUA_FOREVER);
}

int skua_local_mutex_lock_until(skua_local_mutex *mutex, int64_t deadline)
{
    return local_mutex_acquire(mutex, deadline);
}

int skua_local_mutex_try_lock(skua_local_mutex *mutex)
{
    skua__local_touch(&mutex->semaphore.waiters);
    if (mutex->semaphore.permits == 0)
        return -EAGAIN;
    mutex->semaphore.permits = 0;
    return 0;
}

int skua_local_mutex_unlock(skua_local_mutex *mutex)
{
    skua__local_touch(&mutex->semaphore.waiters);
    if (skua__unlikely(mutex->semaphore.permits != 0))
        return SKUA_EUSAGE;
    if (skua__likely(mutex->semaphore.waiters.first == NULL))
        mutex->semaphore.permits = 1; /* as in the lock */
    else
        local_sema_give(&mutex->semaphore, 1);
    return 0;
}

/* ---- rwlock: a reader takes one permit, a writer all of them --------------------------------- */

skua_future *skua_local_rwlock_read_init(skua_local_future *read, skua_local_rwlock *rwlock)
{
    return skua__local_future(read, &rwlock->semaphore, 1, &local_read_ops);
}

skua_future *skua_local_rwlock_write_init(skua_local_future *write, skua_local_rwlock *rwlock)
{
    return skua__local_future(write, &rwlock->semaphore, SKUA_LOCAL_RWLOCK_READERS,
                              &local_write_ops);
}

int skua_local_rwlock_read(skua_local_rwlock *rwlock)
{
    return skua_local_rwlock_read_until(rwlock, SKUA_FOREVER);
}

int skua_local_rwlock_read_until(skua_local_rwlock *rwlock, int64_t deadline)
{
    return local_sema_acquire(&rwlock->semaphore, 1, &local_read_ops, deadline);
}

int skua_local_rwlock_write(skua_local_rwlock *rwlock)
{
    return skua_local_rwlock_write_until(rwlock, SKUA_FOREVER);
}

int skua_local_rwlock_write_until(skua_local_rwlock *rwlock, int64_t deadline)
{
    return local_sema_acquire(&rwlock->semaphore, SKUA_LOCAL_RWLOCK_READERS, &local_write_ops,
                              deadline);
}

int skua_local_rwlock_try_read(skua_local_rwlock *rwlock)
{
    return local_sema_try(&rwlock->semaphore, 1);
}

int skua_local_rwlock_try_write(skua_local_rwlock *rwlock)
{
    return local_sema_try(&rwlock->semaphore, SKUA_LOCAL_RWLOCK_READERS);
}

int skua_local_rwlock_read_unlock(skua_local_rwlock *rwlock)
{
    skua__local_touch(&rwlock->semaphore.waiters);
    /* The caller's own permit is out: it is somebody's mistake when all are there. */
    if (skua__unlikely(rwlock->semaphore.permits >= SKUA_LOCAL_RWLOCK_READERS))
        return SKUA_EUSAGE;
    local_sema_release(&rwlock->semaphore, 1);
    return 0;
}

/* Nothing is free; but then readers may hold it, too, and the writer in line the rest. */
static bool local_rwlock_written(skua_local_semaphore *sema)
{
    skua_local_waiter *first = sema->waiters.first;

    skua__local_touch(&sema->waiters);
    return sema->permits == 0 &&
           (first == NULL || first->value == skua__local_waiting(first)->value);
}

int skua_local_rwlock_write_unlock(skua_local_rwlock *rwlock)
{
    if (skua__unlikely(!local_rwlock_written(&rwlock->semaphore)))
        return SKUA_EUSAGE;
    local_sema_release(&rwlock->semaphore, SKUA_LOCAL_RWLOCK_READERS);
    return 0;
}

int skua_local_rwlock_downgrade(skua_local_rwlock *rwlock)
{
    if (skua__unlikely(!local_rwlock_written(&rwlock->semaphore)))
        return SKUA_EUSAGE;
    local_sema_release(&rwlock->semaphore, SKUA_LOCAL_RWLOCK_READERS - 1);
    return 0;
}
