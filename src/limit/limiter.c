/* limiter.c - so many inside at a time, so many in line; the others are shed at once.
 *
 * Line       first in, first out, on the list that locks are built on (sync_wait.h). Not on a
 *            semaphore: that hands a permit to who is first, and here who is first may be refused
 *            at that moment because it has waited too long. Bounds, counts and line have one lock.
 *
 *   waiter    event                                               verdict
 *   in line   somebody leaves, or the limit grows                 IN      it is inside
 *   in line   the same, but the line stands, and it waited long   SHED    the next one is looked at
 *   in line   its max_wait is over: its own timer                 SHED    by itself
 *   in line   close                                               OUT
 *
 * Standing   CoDel's estimator: `above` is set, to an interval from now, by the first one let in
 *            late (after more than the target), and cleared by the first one in time; who goes
 *            straight in is in time. While it lies in the past, nobody was in time for an interval.
 *            What is shed then is facebook's rule, whoever waited twice the target, not the
 *            paper's, one in ever shorter intervals: requests do not slow down when one is lost.
 * Last touch a leave touches the limiter last when it lets go of the lock; who is let in is woken
 *            only after that, and so may free the memory.
 */
#include <errno.h>
#include <string.h>

#include <skua/limit.h>

#include "sync/sync_wait.h"

enum limiter_verdict { LIMITER_IN, LIMITER_SHED, LIMITER_OUT };

static struct skua__lock *limiter_lock(skua_limiter *limiter)
{
    return skua__sync_lock(&limiter->lock);
}

/* The clock is read only for limiters that look at it; without a target nobody is late. */
static int64_t limiter_now(const skua_limiter *limiter)
{
    return limiter->target != 0 ? skua_now() : 0;
}

/* ---- letting in: under the lock -------------------------------------------------------------- */

/* Whether somebody who has waited from `since` to `now` is to be shed when it is its turn. */
static bool limiter_late(skua_limiter *limiter, int64_t since, int64_t now)
{
    int64_t waited = now - since;

    if (skua__likely(waited <= limiter->target)) {
        limiter->above = 0;
        return false;
    }
    if (limiter->above == 0)
        limiter->above = skua__time_after(now, limiter->interval);
    return now >= limiter->above && waited - limiter->target > limiter->target;
}

static void limiter_judge(skua_limiter *limiter, skua_waiter *waiter, enum limiter_verdict verdict,
                          struct skua__chain *chain)
{
    limiter->waiting--;
    limiter->running += verdict == LIMITER_IN;
    limiter->admitted += verdict == LIMITER_IN;
    limiter->shed += verdict == LIMITER_SHED;
    waiter->value = verdict;
    skua__waiters_grant(&limiter->waiters, waiter, chain);
}

/* Lets in from the line as many as there is room for. */
static void limiter_give(skua_limiter *limiter, int64_t now, struct skua__chain *chain)
{
    skua_waiter *waiter;

    while (limiter->running < limiter->limit && (waiter = limiter->waiters.first) != NULL) {
        int64_t since = skua__container(waiter, skua_limiter_future, waiter)->since;
        bool late = limiter_late(limiter, since, now);

        limiter_judge(limiter, waiter, late ? LIMITER_SHED : LIMITER_IN, chain);
    }
}

/* Straight in: 0, or why not. */
static int limiter_step(skua_limiter *limiter)
{
    if (skua__unlikely(limiter->closed))
        return SKUA_ECLOSED;
    if (limiter->running >= limiter->limit || limiter->waiters.first != NULL)
        return -EAGAIN;
    limiter->running++;
    limiter->admitted++;
    limiter->above = 0;
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static skua_poll limiter_arrive(skua_limiter_future *self, skua_waker *waker)
{
    skua_limiter *limiter = self->limiter;
    int64_t now = limiter_now(limiter);
    skua_poll answer;

    skua__lock_take(limiter_lock(limiter));
    answer = limiter_step(limiter);
    if (answer == -EAGAIN && limiter->waiting >= limiter->max_waiting) {
        limiter->shed++;
        answer = SKUA_ELIMIT;
    } else if (answer == -EAGAIN) {
        limiter->waiting++;
        self->since = now;
        skua__waiters_push(&limiter->waiters, &self->waiter, waker);
        answer = SKUA_PENDING;
    }
    skua__lock_drop(limiter_lock(limiter));
    return answer;
}

/* Takes itself out of the line. False: there was a verdict before; the waiter's, then. */
static bool limiter_unline(skua_limiter_future *self, bool shed)
{
    skua_limiter *limiter = self->limiter;
    bool queued;

    skua__lock_take(limiter_lock(limiter));
    queued = skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__QUEUED;
    if (queued) {
        skua__waiters_unlink(&limiter->waiters, &self->waiter);
        limiter->waiting--;
        limiter->shed += shed;
    }
    skua__lock_drop(limiter_lock(limiter));
    if (!queued) { /* waits for the granter's last touch */
        (void)skua__waiter_leave(&self->waiter, limiter_lock(limiter), &limiter->waiters);
        return false;
    }
    skua_waker_unref(self->waiter.waker);
    skua__store_relaxed(skua__waiter_state(&self->waiter), SKUA__IDLE); /* nobody else has it */
    return true;
}

static skua_poll limiter_answer(const skua_limiter_future *self)
{
    if (self->waiter.value == LIMITER_IN)
        return 0;
    return self->waiter.value == LIMITER_SHED ? SKUA_ELIMIT : SKUA_ECLOSED;
}

/* In line: the verdict, or the end of its patience. */
static skua_poll limiter_wait(skua_limiter_future *self, skua_waker *waker)
{
    skua_poll answer = skua__waiter_again(&self->waiter, limiter_lock(self->limiter), waker);

    if (answer != SKUA_PENDING)
        return limiter_answer(self);
    if (self->limiter->max_wait == SKUA_FOREVER ||
        skua__sleep_poll(&self->timer.future, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    return limiter_unline(self, true) ? SKUA_ELIMIT : limiter_answer(self);
}

static skua_poll limiter_poll(skua_future *future, skua_waker *waker)
{
    skua_limiter_future *self = skua__container(future, skua_limiter_future, future);
    skua_poll answer;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE) {
        answer = limiter_arrive(self, waker);
        if (answer != SKUA_PENDING || self->limiter->max_wait == SKUA_FOREVER)
            return answer;
        skua_sleep_init(&self->timer, self->limiter->max_wait);
    }
    answer = limiter_wait(self, waker);
    if (answer != SKUA_PENDING)
        skua__sleep_drop(&self->timer.future);
    return answer;
}

static void limiter_drop(skua_future *future)
{
    skua_limiter_future *self = skua__container(future, skua_limiter_future, future);
    skua_limiter *limiter = self->limiter;
    struct skua__chain chain = {NULL, NULL};
    int64_t now;

    skua__sleep_drop(&self->timer.future);
    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE ||
        limiter_unline(self, false) || self->waiter.value == LIMITER_OUT)
        return;
    /* Let in, or shed, at this moment: it never was, as nobody is told. */
    now = limiter_now(limiter);
    skua__lock_take(limiter_lock(limiter));
    if (self->waiter.value == LIMITER_IN) {
        limiter->running--;
        limiter->admitted--;
        limiter_give(limiter, now, &chain);
    } else {
        limiter->shed--;
    }
    skua__lock_drop(limiter_lock(limiter));
    skua__chain_wake(&chain);
}

static const skua_future_ops limiter_ops = {
    .name = "limiter", .poll = limiter_poll, .drop = limiter_drop};

/* ---- for users ------------------------------------------------------------------------------- */

void skua_limiter_options_init(skua_limiter_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_limiter_init(skua_limiter *limiter, const skua_limiter_options *options)
{
    if (options == NULL || options->size != sizeof *options || options->running == 0 ||
        options->running > SKUA_SEMAPHORE_MAX || options->max_wait < 0 || options->target < 0 ||
        options->interval < 0)
        return -EINVAL;
    memset(limiter, 0, sizeof *limiter);
    limiter->limit = options->running;
    limiter->max_waiting = options->waiting;
    limiter->max_wait = options->max_wait != 0 ? options->max_wait : SKUA_FOREVER;
    limiter->target = options->target;
    limiter->interval = options->interval != 0 ? options->interval : 100 * SKUA_MILLISECOND;
    return 0;
}

skua_future *skua_limiter_enter_init(skua_limiter_future *enter, skua_limiter *limiter)
{
    enter->future.ops = &limiter_ops;
    enter->limiter = limiter;
    enter->since = 0;
    enter->waiter.state = SKUA__IDLE;
    skua_sleep_until_init(&enter->timer, 0);
    return &enter->future;
}

int skua_limiter_enter(skua_limiter *limiter)
{
    return skua_limiter_enter_until(limiter, SKUA_FOREVER);
}

int skua_limiter_enter_until(skua_limiter *limiter, int64_t deadline)
{
    skua_limiter_future wait;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    rc = skua_limiter_try_enter(limiter);
    if (skua__likely(rc != -EAGAIN))
        return rc;
    return (int)skua_await_until(skua_limiter_enter_init(&wait, limiter), deadline);
}

int skua_limiter_try_enter(skua_limiter *limiter)
{
    int rc;

    skua__lock_take(limiter_lock(limiter));
    rc = limiter_step(limiter);
    skua__lock_drop(limiter_lock(limiter));
    return rc;
}

int skua_limiter_leave(skua_limiter *limiter)
{
    struct skua__chain chain = {NULL, NULL};
    int64_t now = limiter_now(limiter);
    int rc = SKUA_EUSAGE;

    skua__lock_take(limiter_lock(limiter));
    if (skua__likely(limiter->running != 0)) {
        limiter->running--;
        limiter_give(limiter, now, &chain);
        rc = 0;
    }
    skua__lock_drop(limiter_lock(limiter));
    skua__chain_wake(&chain);
    return rc;
}

int skua_limiter_set_limit(skua_limiter *limiter, size_t limit)
{
    struct skua__chain chain = {NULL, NULL};
    int64_t now = limiter_now(limiter);

    if (limit == 0 || limit > SKUA_SEMAPHORE_MAX)
        return -EINVAL;
    skua__lock_take(limiter_lock(limiter));
    limiter->limit = limit;
    limiter_give(limiter, now, &chain);
    skua__lock_drop(limiter_lock(limiter));
    skua__chain_wake(&chain);
    return 0;
}

int skua_limiter_snapshot(const skua_limiter *limiter, skua_limiter_stats *stats)
{
    skua_limiter *self = (skua_limiter *)(uintptr_t)limiter;

    if (stats->size != sizeof *stats)
        return -EINVAL;
    skua__lock_take(limiter_lock(self));
    stats->limit = self->limit;
    stats->running = self->running;
    stats->waiting = self->waiting;
    stats->admitted = self->admitted;
    stats->shed = self->shed;
    skua__lock_drop(limiter_lock(self));
    return 0;
}

void skua_limiter_close(skua_limiter *limiter)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(limiter_lock(limiter));
    limiter->closed = 1;
    while (limiter->waiters.first != NULL)
        limiter_judge(limiter, limiter->waiters.first, LIMITER_OUT, &chain);
    skua__lock_drop(limiter_lock(limiter));
    skua__chain_wake(&chain);
}
