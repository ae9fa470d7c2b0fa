/* bell.c - how a future is written: a struct, a poll, a drop; see skua/future.h.
 *
 * The lock is a plain mutex: it is held for a few instructions and nothing waits inside. The waker
 * is taken out of the bell before it is woken, so that a ring never wakes who has left.
 */
#include "bell.h"

struct bell_future {
    skua_future future; /* first: the poll gets this and finds the rest behind it */
    struct bell *bell;
};

static skua_poll bell_poll(skua_future *future, skua_waker *waker)
{
    struct bell *bell = ((struct bell_future *)future)->bell;
    skua_waker *old;
    bool rung;

    pthread_mutex_lock(&bell->lock);
    rung = bell->rung;
    bell->rung = false;
    old = bell->waker;
    bell->waker = rung ? NULL : skua_waker_ref(waker); /* the newest waker counts */
    pthread_mutex_unlock(&bell->lock);
    skua_waker_unref(old);
    return rung ? SKUA_READY : SKUA_PENDING;
}

static void bell_drop(skua_future *future)
{
    struct bell *bell = ((struct bell_future *)future)->bell;
    skua_waker *old;

    pthread_mutex_lock(&bell->lock);
    old = bell->waker;
    bell->waker = NULL;
    pthread_mutex_unlock(&bell->lock);
    skua_waker_unref(old);
}

static const skua_future_ops bell_ops = {.name = "bell", .poll = bell_poll, .drop = bell_drop};

void bell_init(struct bell *bell)
{
    *bell = (struct bell){.rung = false};
    pthread_mutex_init(&bell->lock, NULL);
}

void bell_done(struct bell *bell)
{
    pthread_mutex_destroy(&bell->lock);
}

void bell_ring(struct bell *bell)
{
    skua_waker *waker;

    pthread_mutex_lock(&bell->lock);
    bell->rung = true;
    waker = bell->waker;
    bell->waker = NULL;
    pthread_mutex_unlock(&bell->lock);
    if (waker != NULL) {
        skua_waker_wake(waker);
        skua_waker_unref(waker);
    }
}

int64_t bell_wait_until(struct bell *bell, int64_t deadline)
{
    struct bell_future wait = {.future.ops = &bell_ops, .bell = bell};

    return skua_await_until(&wait.future, deadline);
}
