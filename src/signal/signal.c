/* signal.c - listeners: each has a set of what has come, and a line of who waits for it.
 *
 * Flow       a handler (os_signal.c) -> its thread -> signal_deliver: every listener that wants it
 *            marks it, and gives it to the first in line -> woken behind the lock
 * Exact      what has come is taken and dealt out under one lock, and a listener joins the list
 *            under it, after what had come before, and before the handler is set: so it neither
 *            sees what came before it nor misses what the handler takes.
 * Memory     counted: the owner has a reference, and each future from its first poll on until it is
 *            finished. So who waits at a listener may see it closed.
 * Lock       one for all: signals are rare, and a section is a few instructions a listener.
 * Fork       the lock is held over it, so that the child finds everything whole; there each
 *            listener is closed, and nobody waits.
 */
#include "signal/signal_impl.h"

#define SIGNALS_BIT(number) (UINT64_C(1) << ((number)-1))

struct skua_signals {
    struct skua_signals *next;  /* of all that are open; lock: signals_lock, as all below */
    struct skua_signals **link; /* what points here; NULL: shut */
    uint64_t wanted;            /* bit number - 1; constant */
    uint64_t pending;           /* have come, and nobody has them yet */
    uint32_t refs;
    skua_waiter_list waiters; /* waiter.value: the number; 0: shut */
};

static struct skua__lock signals_lock;
static skua_signals *signals_all;      /* lock: signals_lock */
static _Atomic uint32_t signals_forks; /* 1: the fork handlers are registered */

/* ---- dealing out ----------------------------------------------------------------------------- */

/* Under the lock, as the following. The lowest number that is there, or 0. */
static int signals_take(skua_signals *signals)
{
    int number = signals->pending != 0 ? __builtin_ctzll(signals->pending) + 1 : 0;

    signals->pending &= signals->pending - 1;
    return number;
}

static void signals_give(skua_signals *signals, struct skua__chain *chain)
{
    skua_waiter *waiter;

    while (signals->pending != 0 && (waiter = signals->waiters.first) != NULL) {
        waiter->value = (uint64_t)signals_take(signals);
        skua__waiters_grant(&signals->waiters, waiter, chain);
    }
}

static void signals_deal(struct skua__chain *chain)
{
    uint64_t seen = skua__os_signals_take();

    if (seen == 0)
        return;
    for (skua_signals *at = signals_all; at != NULL; at = at->next) {
        at->pending |= seen & at->wanted;
        signals_give(at, chain);
    }
}

/* On the thread of the handlers. */
static void signals_deliver(void)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(&signals_lock);
    signals_deal(&chain);
    skua__lock_drop(&signals_lock);
    skua__chain_wake(&chain);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static void signals_fork_begin(void)
{
    skua__lock_take(&signals_lock);
}

static void signals_fork_parent(void)
{
    skua__lock_drop(&signals_lock);
}

static void signals_fork_child(void)
{
    for (skua_signals *at = signals_all; at != NULL; at = at->next) {
        at->link = NULL;
        at->pending = 0;
        at->waiters = (skua_waiter_list){NULL, NULL};
    }
    signals_all = NULL;
    skua__lock_drop(&signals_lock);
}

static int signals_watch_forks(void)
{
    uint32_t none = 0;
    int rc;

    if (!skua__cas_strong_acq_rel(&signals_forks, &none, 1))
        return 0;
    rc = skua__os_at_fork(signals_fork_begin, signals_fork_parent, signals_fork_child);
    if (rc != 0)
        skua__store_release(&signals_forks, 0);
    return rc;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int signals_set(const int *numbers, size_t count, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < count; i++) {
        if (!skua__os_signal_watchable(numbers[i]))
            return -EINVAL;
        *ret |= SIGNALS_BIT(numbers[i]);
    }
    return *ret != 0 ? 0 : -EINVAL;
}

static void signals_list(skua_signals *signals)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(&signals_lock);
    signals_deal(&chain); /* what came before is not for this one */
    signals->next = signals_all;
    signals->link = &signals_all;
    if (signals->next != NULL)
        signals->next->link = &signals->next;
    signals_all = signals;
    skua__lock_drop(&signals_lock);
    skua__chain_wake(&chain);
}

/* True: it was listed. */
static bool signals_unlist(skua_signals *signals)
{
    struct skua__chain chain = {NULL, NULL};
    bool listed;

    skua__lock_take(&signals_lock);
    listed = signals->link != NULL;
    if (listed) {
        signals_deal(&chain); /* what came before is the waiters', and the others' */
        *signals->link = signals->next;
        if (signals->next != NULL)
            signals->next->link = signals->link;
        signals->link = NULL;
        signals->pending = 0;
        while (signals->waiters.first != NULL) {
            signals->waiters.first->value = 0;
            skua__waiters_grant(&signals->waiters, signals->waiters.first, &chain);
        }
    }
    skua__lock_drop(&signals_lock);
    skua__chain_wake(&chain);
    return listed;
}

int skua_signals_open(skua_signals **ret, const int *numbers, size_t count)
{
    skua_signals *signals;
    uint64_t wanted;
    int rc = signals_set(numbers, count, &wanted);

    if (rc == 0)
        rc = signals_watch_forks();
    if (rc != 0)
        return rc;
    signals = skua__os_alloc(sizeof *signals);
    if (signals == NULL)
        return -ENOMEM;
    signals->wanted = wanted;
    signals->refs = 1;
    signals_list(signals); /* before the handler: what it sees first is not lost */
    rc = skua__os_signals_watch(wanted, signals_deliver);
    if (rc != 0) {
        (void)signals_unlist(signals);
        skua__os_free(signals);
        return rc;
    }
    *ret = signals;
    return 0;
}

/* Under the lock: whether that was the last one, and the caller is to free it behind the lock. */
static bool signals_unref(skua_signals *signals)
{
    return --signals->refs == 0;
}

void skua__signals_shut(skua_signals *signals)
{
    if (signals_unlist(signals))
        skua__os_signals_unwatch(signals->wanted);
}

void skua_signals_close(skua_signals *signals)
{
    bool last;

    if (signals == NULL)
        return;
    skua__signals_shut(signals);
    skua__lock_take(&signals_lock);
    last = signals_unref(signals);
    skua__lock_drop(&signals_lock);
    if (last)
        skua__os_free(signals);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Under the lock: a number, -EAGAIN or SKUA_ECLOSED. What has come this moment counts. */
static int signals_try(skua_signals *signals, struct skua__chain *chain)
{
    int number;

    if (signals->link == NULL)
        return SKUA_ECLOSED;
    signals_deal(chain);
    number = signals_take(signals);
    return number != 0 ? number : -EAGAIN;
}

/* The future is finished, and lets go of the listener. */
static void signals_leave(skua_sync_future *self)
{
    skua_signals *signals = self->object;
    bool last;

    self->value = 0;
    skua__lock_take(&signals_lock);
    last = signals_unref(signals);
    skua__lock_drop(&signals_lock);
    if (last)
        skua__os_free(signals);
}

static skua_poll signals_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_signals *signals = self->object;
    struct skua__chain chain = {NULL, NULL};
    skua_poll answer;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE) { /* its own */
        skua__lock_take(&signals_lock);
        answer = signals_try(signals, &chain);
        if (answer == -EAGAIN) {
            skua__waiters_push(&signals->waiters, &self->waiter, waker);
            signals->refs++;
            self->value = 1;
            answer = SKUA_PENDING;
        }
        skua__lock_drop(&signals_lock);
        skua__chain_wake(&chain);
        return answer;
    }
    answer = skua__waiter_again(&self->waiter, &signals_lock, waker);
    if (answer == SKUA_PENDING)
        return answer;
    signals_leave(self);
    return self->waiter.value != 0 ? (skua_poll)self->waiter.value : SKUA_ECLOSED;
}

/* What a dropped wait had been given goes to the next in line, or waits for the next who asks. */
static void signals_pass_on(skua_signals *signals, int number)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(&signals_lock);
    if (signals->link != NULL) {
        signals->pending |= SIGNALS_BIT(number);
        signals_give(signals, &chain);
    }
    skua__lock_drop(&signals_lock);
    skua__chain_wake(&chain);
}

static void signals_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_signals *signals = self->object;

    if (self->value == 0)
        return;
    if (skua__waiter_leave(&self->waiter, &signals_lock, &signals->waiters) &&
        self->waiter.value != 0)
        signals_pass_on(signals, (int)self->waiter.value);
    signals_leave(self);
}

static const skua_future_ops signals_ops = {
    .name = "signals", .poll = signals_poll, .drop = signals_drop};

skua_future *skua_signals_next_init(skua_sync_future *next, skua_signals *signals)
{
    next->future.ops = &signals_ops;
    next->object = signals;
    next->value = 0; /* 1: it has a reference */
    next->waiter.state = SKUA__IDLE;
    return &next->future;
}

int skua_signals_try_next(skua_signals *signals)
{
    struct skua__chain chain = {NULL, NULL};
    int rc;

    skua__lock_take(&signals_lock);
    rc = signals_try(signals, &chain);
    skua__lock_drop(&signals_lock);
    skua__chain_wake(&chain);
    return rc;
}

int skua_signals_next_until(skua_signals *signals, int64_t deadline)
{
    skua_sync_future next;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    rc = skua_signals_try_next(signals);
    if (rc != -EAGAIN)
        return rc;
    return (int)skua_await_until(skua_signals_next_init(&next, signals), deadline);
}

int skua_signals_next(skua_signals *signals)
{
    return skua_signals_next_until(signals, SKUA_FOREVER);
}

int skua_ctrl_c(void)
{
    static const int number = SIGINT;
    skua_signals *signals;
    int rc = skua_signals_open(&signals, &number, 1);

    if (rc != 0)
        return rc;
    rc = skua_signals_next(signals);
    skua_signals_close(signals);
    return rc > 0 ? 0 : rc;
}

#undef SIGNALS_BIT
