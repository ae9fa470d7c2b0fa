/* semaphore.c - permits, handed out first in, first out. The mutex and the rwlock are made of it.
 *
 * State      one word: the free permits, WAITERS (the list may have somebody in it), CLOSED.
 * Fast       acquire and release are one compare-and-swap while nobody waits.
 * Queue      a waiter takes the permits that are there and waits for the rest; so while somebody
 *            waits none is free, and a small request does not pass a large one. A release gives to
 *            the first waiter, then to the next; what is left becomes free. A waiter that is
 *            dropped gives back what it had: it goes to the next in line.
 * Last touch a release touches the semaphore last when it makes permits free, or when it lets go of
 *            the lock after having given them all to waiters. Waiters are woken, and so let in,
 *            only after that. So whoever acquires may free the memory. After Tokio's batch
 *            semaphore.
 */
#include "sync/sync_wait.h"

#define SEMA_WAITERS UINT64_C(1)
#define SEMA_CLOSED UINT64_C(2)
#define SEMA_ONE UINT64_C(4)

static _Atomic uint64_t *sema_state(skua_semaphore *sema)
{
    return (_Atomic uint64_t *)(void *)&sema->state;
}

static struct skua__lock *sema_lock(skua_semaphore *sema)
{
    return skua__sync_lock(&sema->lock);
}

static uint64_t sema_free(uint64_t state)
{
    return state / SEMA_ONE;
}

/* ---- giving ---------------------------------------------------------------------------------- */

/* Under the lock: gives to the waiters in order; returns what nobody needs. */
static uint64_t sema_give(skua_semaphore *sema, uint64_t count, struct skua__chain *chain)
{
    skua_waiter *waiter;

    while (count != 0 && (waiter = sema->waiters.first) != NULL) {
        uint64_t part = waiter->value < count ? waiter->value : count;

        waiter->value -= part;
        count -= part;
        if (waiter->value == 0)
            skua__waiters_grant(&sema->waiters, waiter, chain);
    }
    return count;
}

/* To those in line first; what is left becomes free. Only then are they woken: see Last touch. */
static SKUA__NOINLINE void sema_release_slow(skua_semaphore *sema, uint64_t count)
{
    struct skua__chain chain = {NULL, NULL};
    uint64_t state;

    do {
        skua__lock_take(sema_lock(sema));
        count = sema_give(sema, count, &chain);
        if (sema->waiters.first == NULL)
            skua__and_acq_rel(sema_state(sema), ~SEMA_WAITERS);
        skua__lock_drop(sema_lock(sema));
        if (count == 0)
            break;
        state = skua__load_relaxed(sema_state(sema)); /* the CAS synchronises */
        while (!(state & SEMA_WAITERS) && count != 0)
            if (skua__cas_acq_rel(sema_state(sema), &state, state + count * SEMA_ONE))
                count = 0;
    } while (count != 0); /* somebody has come meanwhile */
    skua__chain_wake(&chain);
}

static void sema_release(skua_semaphore *sema, uint64_t count)
{
    uint64_t state = skua__load_relaxed(sema_state(sema)); /* the CAS synchronises */

    if (count == 0)
        return;
    while (!(state & SEMA_WAITERS))
        if (skua__cas_acq_rel(sema_state(sema), &state, state + count * SEMA_ONE))
            return; /* release: the next holder sees what this one did */
    sema_release_slow(sema, count);
}

/* ---- taking ---------------------------------------------------------------------------------- */

SKUA__INLINE int sema_try(skua_semaphore *sema, uint64_t count)
{
    uint64_t state = skua__load_relaxed(sema_state(sema)); /* the CAS synchronises */

    do {
        if (skua__unlikely(state & SEMA_CLOSED))
            return SKUA_ECLOSED;
        if (sema_free(state) < count)
            return -EAGAIN;
    } while (!skua__cas_acq_rel(sema_state(sema), &state, state - count * SEMA_ONE));
    return 0;
}

/* Takes what is there; without the rest, waits for it. */
static skua_poll sema_enqueue(skua_semaphore *sema, skua_waiter *waiter, skua_waker *waker)
{
    uint64_t wanted = waiter->value;
    uint64_t state;
    uint64_t part;

    skua__lock_take(sema_lock(sema));
    state = skua__load_relaxed(sema_state(sema));
    do {
        if (state & SEMA_CLOSED) {
            skua__lock_drop(sema_lock(sema));
            return SKUA_ECLOSED;
        }
        part = sema_free(state) < wanted ? sema_free(state) : wanted;
    } while (!skua__cas_acq_rel(sema_state(sema), &state,
                                (state - part * SEMA_ONE) | (part < wanted ? SEMA_WAITERS : 0)));
    waiter->value = wanted - part;
    if (part < wanted)
        skua__waiters_push(&sema->waiters, waiter, waker);
    skua__lock_drop(sema_lock(sema));
    return part < wanted ? SKUA_PENDING : 0;
}

static skua_poll sema_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_semaphore *sema = self->object;
    skua_poll answer;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE) {
        if (skua__unlikely(self->value > SKUA_SEMAPHORE_MAX))
            return -EINVAL;
        answer = sema_try(sema, self->value);
        return answer != -EAGAIN ? answer : sema_enqueue(sema, &self->waiter, waker);
    }
    answer = skua__waiter_again(&self->waiter, sema_lock(sema), waker);
    /* Woken without all of it: closed. What it had was given back by the closer. */
    return answer == 0 && self->waiter.value != 0 ? SKUA_ECLOSED : answer;
}

static void sema_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    bool waited = skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE;
    bool granted = skua__waiter_leave(&self->waiter, sema_lock(self->object),
                                      &((skua_semaphore *)self->object)->waiters);

    if (granted && self->waiter.value != 0)
        return; /* closed */
    if (waited)
        sema_release(self->object, self->value - self->waiter.value);
}

static const skua_future_ops sema_ops = {.name = "semaphore", .poll = sema_poll, .drop = sema_drop};
static const skua_future_ops mutex_ops = {.name = "mutex", .poll = sema_poll, .drop = sema_drop};
static const skua_future_ops read_ops = {
    .name = "rwlock.read", .poll = sema_poll, .drop = sema_drop};
static const skua_future_ops write_ops = {
    .name = "rwlock.write", .poll = sema_poll, .drop = sema_drop};

static skua_future *sema_future(skua_sync_future *self, skua_semaphore *sema, uint64_t count,
                                const skua_future_ops *ops)
{
    self->future.ops = ops;
    self->object = sema;
    self->value = count;
    self->waiter.value = count;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

static SKUA__NOINLINE int sema_wait(skua_semaphore *sema, uint64_t count,
                                    const skua_future_ops *ops, int64_t deadline)
{
    skua_sync_future wait;

    return (int)skua_await_until(sema_future(&wait, sema, count, ops), deadline);
}

SKUA__INLINE int sema_acquire(skua_semaphore *sema, uint64_t count, const skua_future_ops *ops,
                              int64_t deadline)
{
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    rc = sema_try(sema, count);
    return skua__likely(rc != -EAGAIN) ? rc : sema_wait(sema, count, ops, deadline);
}

/* ---- semaphore ------------------------------------------------------------------------------- */

int skua_semaphore_init(skua_semaphore *sema, size_t permits)
{
    if (permits > SKUA_SEMAPHORE_MAX)
        return -EINVAL;
    *sema = (skua_semaphore)SKUA_SEMAPHORE_INIT(permits);
    return 0;
}

skua_future *skua_semaphore_acquire_init(skua_sync_future *acquire, skua_semaphore *sema,
                                         size_t permits)
{
    return sema_future(acquire, sema, permits, &sema_ops);
}

int skua_semaphore_acquire(skua_semaphore *sema, size_t permits)
{
    return skua_semaphore_acquire_until(sema, permits, SKUA_FOREVER);
}

int skua_semaphore_acquire_until(skua_semaphore *sema, size_t permits, int64_t deadline)
{
    if (permits > SKUA_SEMAPHORE_MAX)
        return -EINVAL;
    return sema_acquire(sema, permits, &sema_ops, deadline);
}

int skua_semaphore_try_acquire(skua_semaphore *sema, size_t permits)
{
    return permits > SKUA_SEMAPHORE_MAX ? -EINVAL : sema_try(sema, permits);
}

int skua_semaphore_release(skua_semaphore *sema, size_t permits)
{
    uint64_t free = sema_free(skua__load_relaxed(sema_state(sema))); /* a check of the caller */

    if (permits > SKUA_SEMAPHORE_MAX - free)
        return -EINVAL;
    sema_release(sema, permits);
    return 0;
}

size_t skua_semaphore_forget(skua_semaphore *sema, size_t permits)
{
    uint64_t state = skua__load_relaxed(sema_state(sema));
    uint64_t part;

    do {
        part = sema_free(state) < permits ? sema_free(state) : permits;
    } while (!skua__cas_acq_rel(sema_state(sema), &state, state - part * SEMA_ONE));
    return (size_t)part;
}

size_t skua_semaphore_available(const skua_semaphore *sema)
{
    return (size_t)sema_free(skua__load_acquire(sema_state((skua_semaphore *)(uintptr_t)sema)));
}

void skua_semaphore_close(skua_semaphore *sema)
{
    struct skua__chain chain = {NULL, NULL};
    uint64_t back = 0;
    skua_waiter *waiter;

    skua__lock_take(sema_lock(sema));
    skua__or_acq_rel(sema_state(sema), SEMA_CLOSED);
    while ((waiter = sema->waiters.first) != NULL) {
        skua_sync_future *self = skua__container(waiter, skua_sync_future, waiter);

        back += self->value - waiter->value;
        skua__waiters_grant(&sema->waiters, waiter, &chain);
    }
    skua__and_acq_rel(sema_state(sema), ~SEMA_WAITERS);
    skua__lock_drop(sema_lock(sema));
    sema_release(sema, back);
    skua__chain_wake(&chain);
}

/* ---- mutex ----------------------------------------------------------------------------------- */

skua_future *skua_mutex_lock_init(skua_sync_future *lock, skua_mutex *mutex)
{
    return sema_future(lock, &mutex->semaphore, 1, &mutex_ops);
}

int skua_mutex_lock(skua_mutex *mutex)
{
    uint64_t unlocked = SEMA_ONE;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    if (skua__likely(skua__cas_strong_acq_rel(sema_state(&mutex->semaphore), &unlocked, 0)))
        return 0;
    return sema_wait(&mutex->semaphore, 1, &mutex_ops, SKUA_FOREVER);
}

int skua_mutex_lock_until(skua_mutex *mutex, int64_t deadline)
{
    return sema_acquire(&mutex->semaphore, 1, &mutex_ops, deadline);
}

int skua_mutex_try_lock(skua_mutex *mutex)
{
    return sema_try(&mutex->semaphore, 1);
}

int skua_mutex_unlock(skua_mutex *mutex)
{
    uint64_t locked = 0;

    if (skua__likely(skua__cas_strong_acq_rel(sema_state(&mutex->semaphore), &locked, SEMA_ONE)))
        return 0;
    if (skua__unlikely(sema_free(locked) != 0))
        return SKUA_EUSAGE;
    sema_release(&mutex->semaphore, 1);
    return 0;
}

/* ---- rwlock: a reader takes one permit, a writer all of them --------------------------------- */

skua_future *skua_rwlock_read_init(skua_sync_future *read, skua_rwlock *rwlock)
{
    return sema_future(read, &rwlock->semaphore, 1, &read_ops);
}

skua_future *skua_rwlock_write_init(skua_sync_future *write, skua_rwlock *rwlock)
{
    return sema_future(write, &rwlock->semaphore, SKUA_RWLOCK_READERS, &write_ops);
}

int skua_rwlock_read(skua_rwlock *rwlock)
{
    return skua_rwlock_read_until(rwlock, SKUA_FOREVER);
}

int skua_rwlock_read_until(skua_rwlock *rwlock, int64_t deadline)
{
    return sema_acquire(&rwlock->semaphore, 1, &read_ops, deadline);
}

int skua_rwlock_write(skua_rwlock *rwlock)
{
    return skua_rwlock_write_until(rwlock, SKUA_FOREVER);
}

int skua_rwlock_write_until(skua_rwlock *rwlock, int64_t deadline)
{
    return sema_acquire(&rwlock->semaphore, SKUA_RWLOCK_READERS, &write_ops, deadline);
}

int skua_rwlock_try_read(skua_rwlock *rwlock)
{
    return sema_try(&rwlock->semaphore, 1);
}

int skua_rwlock_try_write(skua_rwlock *rwlock)
{
    return sema_try(&rwlock->semaphore, SKUA_RWLOCK_READERS);
}

int skua_rwlock_read_unlock(skua_rwlock *rwlock)
{
    /* The caller's own permit is out: it is somebody's mistake when all are there. */
    if (sema_free(skua__load_relaxed(sema_state(&rwlock->semaphore))) >= SKUA_RWLOCK_READERS)
        return SKUA_EUSAGE;
    sema_release(&rwlock->semaphore, 1);
    return 0;
}

/* Nothing is free; but then readers may hold it, too, and the writer in line the rest. */
static bool rwlock_written(skua_semaphore *sema)
{
    uint64_t state = skua__load_relaxed(sema_state(sema)); /* the holder's check */
    const skua_waiter *first;
    bool written;

    if (skua__unlikely(sema_free(state) != 0) || skua__likely(!(state & SEMA_WAITERS)))
        return sema_free(state) == 0;
    skua__lock_take(sema_lock(sema));
    first = sema->waiters.first;
    written =
        first == NULL || first->value == skua__container(first, skua_sync_future, waiter)->value;
    skua__lock_drop(sema_lock(sema));
    return written;
}

int skua_rwlock_write_unlock(skua_rwlock *rwlock)
{
    if (skua__unlikely(!rwlock_written(&rwlock->semaphore)))
        return SKUA_EUSAGE;
    sema_release(&rwlock->semaphore, SKUA_RWLOCK_READERS);
    return 0;
}

int skua_rwlock_downgrade(skua_rwlock *rwlock)
{
    if (skua__unlikely(!rwlock_written(&rwlock->semaphore)))
        return SKUA_EUSAGE;
    sema_release(&rwlock->semaphore, SKUA_RWLOCK_READERS - 1);
    return 0;
}

#undef SEMA_WAITERS
#undef SEMA_CLOSED
#undef SEMA_ONE
