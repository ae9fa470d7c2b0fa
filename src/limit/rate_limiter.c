/* rate_limiter.c - a token bucket that is exact, and a line of those who wait for tokens.
 *
 * Bucket     tokens and a rest, in period-ths of a token, as of `last`. After t ns there are
 *            rest + t * rate period-ths more: whole ones become tokens, the others stay the rest.
 *            So nothing is rounded away, however often it is looked at. Every product of two of
 *            the limits' 62 bits has room in 128. A full bucket overflows; but while somebody waits
 *            for it, what comes after the moment at which it is full and before the end of that
 *            nanosecond is kept, since nobody can look in between: else a line of waits for the
 *            whole burst would fall behind by a part of a nanosecond each time.
 * Line       who comes while there are too few tokens takes the turn, if nobody has it, or lines
 *            up for it. Who has the turn waits for the bucket alone, by a timer of its own thread,
 *            takes its tokens itself and passes the turn on. So tokens are never on the way to
 *            anybody, and a dropped wait has none to give back: it passes the turn.
 *
 *   phase   event                                        to
 *   NEW     too few tokens, nobody has the turn          TURN   in the list `turn`, timer armed
 *   NEW     somebody has the turn                        LINE   in the list `waiters`
 *   LINE    the turn is passed to it                     TURN
 *   TURN    the timer; or told: set_rate, close          TURN   looks again
 *   TURN    there are enough                             ready, the turn is passed
 *
 * Told       who has the turn is in a list, too, so that it can be woken as all waiters are
 *            (sync_wait.h): a wake of a waiter that is not taken off a list might come when its
 *            runtime is gone.
 * Cost       without waiting: the lock, the clock, a multiplication, a division by the period.
 */
#include <errno.h>
#include <string.h>

#include <skua/limit.h>

#include "sync/sync_wait.h"

__extension__ typedef unsigned __int128 rate_wide;

enum rate_phase { RATE_NEW, RATE_LINE, RATE_TURN };

static struct skua__lock *rate_lock(skua_rate_limiter *limiter)
{
    return skua__sync_lock(&limiter->lock);
}

/* ---- the bucket: under the lock -------------------------------------------------------------- */

/* Counts the time until `now`. Who read its clock before another one, who was first here, finds
 * it counted already. */
static void rate_fill(skua_rate_limiter *limiter, int64_t now)
{
    uint64_t room = limiter->tokens < limiter->burst ? limiter->burst - limiter->tokens : 0;
    rate_wide parts, grown;

    if (now <= limiter->last)
        return;
    parts = (rate_wide)((uint64_t)now - (uint64_t)limiter->last) * limiter->rate + limiter->rest;
    limiter->last = now;
    if (skua__likely(parts >> 64 == 0)) /* a short division for what is short */
        grown = (uint64_t)parts / limiter->period;
    else
        grown = parts / limiter->period;
    parts -= (grown < room ? grown : room) * limiter->period;
    if (grown < room) {
        limiter->tokens += (uint64_t)grown;
        limiter->rest = (uint64_t)parts;
        return;
    }
    if (!limiter->busy)
        parts = 0;
    else if (parts >= limiter->rate)
        parts = limiter->rate - 1;
    limiter->tokens = limiter->burst + (uint64_t)parts / limiter->period;
    limiter->rest = (uint64_t)parts % limiter->period;
}

/* The first moment at which there are `tokens`, more than there are now. */
static int64_t rate_due(const skua_rate_limiter *limiter, uint64_t tokens)
{
    rate_wide parts = (rate_wide)(tokens - limiter->tokens) * limiter->period - limiter->rest;
    rate_wide wait = (parts + limiter->rate - 1) / limiter->rate;

    return wait < (rate_wide)(SKUA_FOREVER - limiter->last) ? limiter->last + (int64_t)wait
                                                            : SKUA_FOREVER;
}

/* Passes the turn to who is first in line. */
static void rate_pass(skua_rate_limiter *limiter, struct skua__chain *chain)
{
    if (limiter->waiters.first != NULL)
        skua__waiters_grant(&limiter->waiters, limiter->waiters.first, chain);
    else
        limiter->busy = 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int rate_try(skua_rate_limiter *limiter, uint64_t tokens)
{
    int64_t now = skua_now();
    int answer = -EAGAIN;

    if (skua__unlikely(tokens > limiter->burst))
        return -EINVAL;
    skua__lock_take(rate_lock(limiter));
    if (skua__unlikely(limiter->closed)) {
        answer = SKUA_ECLOSED;
    } else if (tokens == 0) {
        answer = 0;
    } else if (!limiter->busy) {
        rate_fill(limiter, now);
        if (limiter->tokens >= tokens) {
            limiter->tokens -= tokens;
            answer = 0;
        }
    }
    skua__lock_drop(rate_lock(limiter));
    return answer;
}

/* One look, with or without the turn: the answer, or pending in the list of the phase; with the
 * turn, *ret_due is when to look again. */
static skua_poll rate_look(skua_rate_limiter_future *self, skua_waker *waker, int64_t *ret_due)
{
    skua_rate_limiter *limiter = self->limiter;
    struct skua__chain chain = {NULL, NULL};
    int64_t now = skua_now();
    skua_poll answer = SKUA_PENDING;

    skua__lock_take(rate_lock(limiter));
    if (skua__unlikely(limiter->closed)) {
        answer = SKUA_ECLOSED; /* the turn is nobody's any more */
    } else if (self->tokens == 0) {
        answer = 0;
    } else if (self->phase == RATE_NEW && limiter->busy) {
        self->phase = RATE_LINE;
        skua__waiters_push(&limiter->waiters, &self->waiter, waker);
    } else {
        rate_fill(limiter, now);
        if (limiter->tokens >= self->tokens) {
            limiter->tokens -= self->tokens;
            answer = 0;
            if (self->phase == RATE_TURN)
                rate_pass(limiter, &chain);
        } else {
            limiter->busy = 1;
            self->phase = RATE_TURN;
            skua__waiters_push(&limiter->turn, &self->waiter, waker);
            *ret_due = rate_due(limiter, self->tokens);
        }
    }
    skua__lock_drop(rate_lock(limiter));
    skua__chain_wake(&chain);
    return answer;
}

static skua_poll rate_poll(skua_future *future, skua_waker *waker)
{
    skua_rate_limiter_future *self = skua__container(future, skua_rate_limiter_future, future);
    skua_rate_limiter *limiter = self->limiter;
    skua_poll answer;
    int64_t due = SKUA_FOREVER;

    if (skua__unlikely(self->tokens > limiter->burst))
        return -EINVAL;
    if (self->phase == RATE_LINE) {
        if (skua__waiter_again(&self->waiter, rate_lock(limiter), waker) == SKUA_PENDING)
            return SKUA_PENDING;
        self->phase = RATE_TURN;
    }
    do {
        if (self->phase == RATE_TURN) /* a spurious wake may be a real one: all is done again */
            (void)skua__waiter_leave(&self->waiter, rate_lock(limiter), &limiter->turn);
        skua__sleep_drop(&self->timer.future);
        answer = rate_look(self, waker, &due);
        if (answer != SKUA_PENDING || self->phase != RATE_TURN)
            return answer;
        skua_sleep_until_init(&self->timer, due);
    } while (skua__sleep_poll(&self->timer.future, waker) != SKUA_PENDING);
    return SKUA_PENDING;
}

static void rate_drop(skua_future *future)
{
    skua_rate_limiter_future *self = skua__container(future, skua_rate_limiter_future, future);
    skua_rate_limiter *limiter = self->limiter;
    struct skua__chain chain = {NULL, NULL};

    skua__sleep_drop(&self->timer.future);
    if (self->phase == RATE_LINE) {
        if (!skua__waiter_leave(&self->waiter, rate_lock(limiter), &limiter->waiters))
            return;
    } else if (self->phase == RATE_TURN) {
        (void)skua__waiter_leave(&self->waiter, rate_lock(limiter), &limiter->turn);
    } else {
        return;
    }
    skua__lock_take(rate_lock(limiter));
    rate_pass(limiter, &chain);
    skua__lock_drop(rate_lock(limiter));
    skua__chain_wake(&chain);
}

static const skua_future_ops rate_ops = {
    .name = "rate_limiter", .poll = rate_poll, .drop = rate_drop};

/* ---- for users ------------------------------------------------------------------------------- */

void skua_rate_limiter_options_init(skua_rate_limiter_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static bool rate_is_bad(uint64_t rate, int64_t period)
{
    return rate == 0 || rate > SKUA_RATE_LIMITER_MAX || period <= 0 ||
           (uint64_t)period > SKUA_RATE_LIMITER_MAX;
}

int skua_rate_limiter_init(skua_rate_limiter *limiter, const skua_rate_limiter_options *options)
{
    int64_t period;
    uint64_t burst;
    uint64_t initial;

    if (options == NULL || options->size != sizeof *options)
        return -EINVAL;
    period = options->period != 0 ? options->period : SKUA_SECOND;
    burst = options->burst != 0 ? options->burst : options->rate;
    initial = options->initial != 0 ? options->initial : burst;
    if (initial == SKUA_RATE_EMPTY)
        initial = 0;
    if (rate_is_bad(options->rate, period) || burst > SKUA_RATE_LIMITER_MAX || initial > burst)
        return -EINVAL;
    memset(limiter, 0, sizeof *limiter);
    limiter->rate = options->rate;
    limiter->period = (uint64_t)period;
    limiter->burst = burst;
    limiter->tokens = initial;
    limiter->last = skua_now();
    return 0;
}

skua_future *skua_rate_limiter_acquire_init(skua_rate_limiter_future *acquire,
                                            skua_rate_limiter *limiter, uint64_t tokens)
{
    acquire->future.ops = &rate_ops;
    acquire->limiter = limiter;
    acquire->tokens = tokens;
    acquire->phase = RATE_NEW;
    acquire->waiter.state = SKUA__IDLE;
    skua_sleep_until_init(&acquire->timer, 0);
    return &acquire->future;
}

int skua_rate_limiter_acquire(skua_rate_limiter *limiter, uint64_t tokens)
{
    return skua_rate_limiter_acquire_until(limiter, tokens, SKUA_FOREVER);
}

int skua_rate_limiter_acquire_until(skua_rate_limiter *limiter, uint64_t tokens, int64_t deadline)
{
    skua_rate_limiter_future wait;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    rc = rate_try(limiter, tokens);
    if (skua__likely(rc != -EAGAIN))
        return rc;
    return (int)skua_await_until(skua_rate_limiter_acquire_init(&wait, limiter, tokens), deadline);
}

int skua_rate_limiter_try_acquire(skua_rate_limiter *limiter, uint64_t tokens)
{
    return rate_try(limiter, tokens);
}

uint64_t skua_rate_limiter_available(const skua_rate_limiter *limiter)
{
    skua_rate_limiter *self = (skua_rate_limiter *)(uintptr_t)limiter;
    int64_t now = skua_now();
    uint64_t tokens;

    skua__lock_take(rate_lock(self));
    rate_fill(self, now);
    tokens = self->tokens < self->burst ? self->tokens : self->burst;
    skua__lock_drop(rate_lock(self));
    return tokens;
}

int skua_rate_limiter_set_rate(skua_rate_limiter *limiter, uint64_t rate, int64_t period)
{
    struct skua__chain chain = {NULL, NULL};
    int64_t now = skua_now();

    period = period != 0 ? period : SKUA_SECOND;
    if (rate_is_bad(rate, period))
        return -EINVAL;
    skua__lock_take(rate_lock(limiter));
    rate_fill(limiter, now);
    limiter->rest = (uint64_t)((rate_wide)limiter->rest * (uint64_t)period / limiter->period);
    limiter->rate = rate;
    limiter->period = (uint64_t)period;
    if (limiter->turn.first != NULL) /* its timer is for another rate */
        skua__waiters_grant(&limiter->turn, limiter->turn.first, &chain);
    skua__lock_drop(rate_lock(limiter));
    skua__chain_wake(&chain);
    return 0;
}

void skua_rate_limiter_close(skua_rate_limiter *limiter)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(rate_lock(limiter));
    limiter->closed = 1;
    if (limiter->turn.first != NULL)
        skua__waiters_grant(&limiter->turn, limiter->turn.first, &chain);
    while (limiter->waiters.first != NULL)
        skua__waiters_grant(&limiter->waiters, limiter->waiters.first, &chain);
    skua__lock_drop(rate_lock(limiter));
    skua__chain_wake(&chain);
}
