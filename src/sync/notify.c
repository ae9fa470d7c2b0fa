/* notify.c - telling tasks that something happened: notify, and the condition variable.
 *
 * notify     holds at most one permit. notify_one gives to the first waiter, or leaves the permit
 *            for the next; notify_all gives to everybody who had made a future before, polled or
 *            not: each future remembers how many such calls there had been. After Tokio's Notify.
 * cond       a list without a permit. A wait is listed before the mutex is let go of, so that a
 *            signal given under the mutex cannot be missed; it comes back with the mutex held,
 *            whatever ended it.
 * Dropped    a wait that was granted by _one or _last, and is dropped before it has seen that,
 *            passes it on: no wake is lost.
 */
#include "sync/sync_wait.h"

/* skua_waiter.value: what granted it. */
#define NOTIFY_ONE 1u
#define NOTIFY_ALL 2u

static struct skua__lock *notify_lock(skua_notify *notify)
{
    return skua__sync_lock(&notify->lock);
}

/* Changed under the lock; read without it when a future is made. */
static _Atomic uint64_t *notify_calls(skua_notify *notify)
{
    return (_Atomic uint64_t *)(void *)&notify->calls;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static skua_poll notify_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_notify *notify = self->object;
    skua_poll answer = 0;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE)
        return skua__waiter_again(&self->waiter, notify_lock(notify), waker);
    skua__lock_take(notify_lock(notify));
    if (skua__load_relaxed(notify_calls(notify)) != self->value) {
        answer = 0; /* told by notify_all; a permit stays */
    } else if (notify->permit != 0) {
        notify->permit = 0;
    } else {
        skua__waiters_push(&notify->waiters, &self->waiter, waker);
        answer = SKUA_PENDING;
    }
    skua__lock_drop(notify_lock(notify));
    return answer;
}

static void notify_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_notify *notify = self->object;

    if (skua__waiter_leave(&self->waiter, notify_lock(notify), &notify->waiters) &&
        self->waiter.value == NOTIFY_ONE)
        skua_notify_one(notify);
}

static const skua_future_ops notify_ops = {
    .name = "notify", .poll = notify_poll, .drop = notify_drop};

skua_future *skua_notified_init(skua_sync_future *notified, skua_notify *notify)
{
    notified->future.ops = &notify_ops;
    notified->object = notify;
    /* Acquire: a notify_all that is not counted here comes later, and finds this one. */
    notified->value = skua__load_acquire(notify_calls(notify));
    notified->waiter.state = SKUA__IDLE;
    return &notified->future;
}

int skua_notified(skua_notify *notify)
{
    skua_sync_future notified;

    return (int)skua_await(skua_notified_init(&notified, notify));
}

int skua_notified_until(skua_notify *notify, int64_t deadline)
{
    skua_sync_future notified;

    return (int)skua_await_until(skua_notified_init(&notified, notify), deadline);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void notify_give(skua_waiter_list *list, skua_waiter *waiter, uint64_t how,
                        struct skua__chain *chain)
{
    waiter->value = how;
    skua__waiters_grant(list, waiter, chain);
}

static void notify_some(skua_notify *notify, bool last)
{
    struct skua__chain chain = {NULL, NULL};
    skua_waiter *waiter;

    skua__lock_take(notify_lock(notify));
    waiter = last ? notify->waiters.last : notify->waiters.first;
    if (waiter != NULL)
        notify_give(&notify->waiters, waiter, NOTIFY_ONE, &chain);
    else
        notify->permit = 1;
    skua__lock_drop(notify_lock(notify));
    skua__chain_wake(&chain);
}

void skua_notify_one(skua_notify *notify)
{
    notify_some(notify, false);
}

void skua_notify_last(skua_notify *notify)
{
    notify_some(notify, true);
}

void skua_notify_all(skua_notify *notify)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(notify_lock(notify));
    /* Release pairs with skua_notified_init. */
    skua__store_release(notify_calls(notify), skua__load_relaxed(notify_calls(notify)) + 1);
    while (notify->waiters.first != NULL)
        notify_give(&notify->waiters, notify->waiters.first, NOTIFY_ALL, &chain);
    skua__lock_drop(notify_lock(notify));
    skua__chain_wake(&chain);
}

/* ---- condition variable ---------------------------------------------------------------------- */

static struct skua__lock *cond_lock(skua_cond *cond)
{
    return skua__sync_lock(&cond->lock);
}

struct cond_wait {
    skua_sync_future wait;
    skua_mutex *mutex;
    bool unlocked; /* the first poll has let go of the mutex */
};

static skua_poll cond_poll(skua_future *future, skua_waker *waker)
{
    struct cond_wait *self = skua__container(future, struct cond_wait, wait.future);
    skua_cond *cond = self->wait.object;

    if (self->unlocked)
        return skua__waiter_again(&self->wait.waiter, cond_lock(cond), waker);
    skua__lock_take(cond_lock(cond));
    skua__waiters_push(&cond->waiters, &self->wait.waiter, waker);
    skua__lock_drop(cond_lock(cond));
    self->unlocked = true;
    (void)skua_mutex_unlock(self->mutex);
    return SKUA_PENDING;
}

static void cond_drop(skua_future *future)
{
    struct cond_wait *self = skua__container(future, struct cond_wait, wait.future);
    skua_cond *cond = self->wait.object;

    if (skua__waiter_leave(&self->wait.waiter, cond_lock(cond), &cond->waiters) &&
        self->wait.waiter.value == NOTIFY_ONE)
        skua_cond_signal(cond);
}

static const skua_future_ops cond_ops = {.name = "cond", .poll = cond_poll, .drop = cond_drop};

/* Whatever ended the wait: a shield keeps a cancellation or a deadline from ending this one. */
static void cond_lock_again(skua_mutex *mutex)
{
    bool shielded = skua_shield_begin() == 0; /* on a plain thread there is none */
    int rc = skua_mutex_lock(mutex);

    skua__assert(rc == 0);
    if (shielded)
        (void)skua_shield_end();
}

int skua_cond_wait_until(skua_cond *cond, skua_mutex *mutex, int64_t deadline)
{
    struct cond_wait self = {.wait = {.future = {.ops = &cond_ops}, .object = cond},
                             .mutex = mutex};
    int rc;

    if (skua_mutex_try_lock(mutex) == 0) { /* nobody held it */
        (void)skua_mutex_unlock(mutex);
        return SKUA_EUSAGE;
    }
    rc = (int)skua_await_until(&self.wait.future, deadline);
    if (self.unlocked)
        cond_lock_again(mutex);
    return rc;
}

int skua_cond_wait(skua_cond *cond, skua_mutex *mutex)
{
    return skua_cond_wait_until(cond, mutex, SKUA_FOREVER);
}

static void cond_wake(skua_cond *cond, bool all)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(cond_lock(cond));
    do {
        if (cond->waiters.first != NULL)
            notify_give(&cond->waiters, cond->waiters.first, all ? NOTIFY_ALL : NOTIFY_ONE, &chain);
    } while (all && cond->waiters.first != NULL);
    skua__lock_drop(cond_lock(cond));
    skua__chain_wake(&chain);
}

void skua_cond_signal(skua_cond *cond)
{
    cond_wake(cond, false);
}

void skua_cond_broadcast(skua_cond *cond)
{
    cond_wake(cond, true);
}

#undef NOTIFY_ONE
#undef NOTIFY_ALL
