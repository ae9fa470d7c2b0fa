/* rate_limiter.c - a token bucket that is exact, and a line of those who wait for tokens.
 *
 * Bucket     tokens and a rest, in period-ths of a token, as of `last`. After t ns there are
 *            rest + t * rate period-ths more: whole ones become tokens, the others stay the rest.
 *            So nothing is rounded away, however often it is looked at. Every product of two of
 *            the limits' 62 bits has room in 128. A full bucket overflows; but while somebody waits
 *            for it, what comes after the moment at which it is full and before the end of that
 *            nanosecond is kept, since nobody can look in between: else a line of waits for the
 *            whole burst would fall behind by a part of a nanosecond each time.
 * Line       who comes while there are too few tokens stands in a line of which the first has the
 *            timer (timed_line.h), and takes its tokens itself. So tokens are never on the way to
 *            anybody, and a dropped wait has none to give back. What the next one needs is known
 *            only to it: so whoever leaves the line with an answer has it look.
 * Cost       without waiting: the lock, the clock, a multiplication, a division by the period.
 */
#include <errno.h>
#include <string.h>

#include <skua/limit.h>

#include "rhythm/timed_line.h"

__extension__ typedef unsigned __int128 rate_wide;

static struct skua__lock *rate_lock(skua_rate_limiter *limiter)
{
    return skua__timed_lock(&limiter->line);
}

/* Under the lock: whether somebody is in line. */
static bool rate_waited_for(const skua_rate_limiter *limiter)
{
    return limiter->line.waiters.first != NULL || limiter->line.told != NULL;
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
    if (!rate_waited_for(limiter))
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
    } else if (!rate_waited_for(limiter)) {
        rate_fill(limiter, now);
        if (limiter->tokens >= tokens) {
            limiter->tokens -= tokens;
            answer = 0;
        }
    }
    skua__lock_drop(rate_lock(limiter));
    return answer;
}

/* For the first in line. Tokens and pointers have the same room. */
static skua_poll rate_look(skua_timed_line *line, void *value, int64_t now, int64_t *again)
{
    skua_rate_limiter *limiter = skua__container(line, skua_rate_limiter, line);
    uint64_t tokens = (uintptr_t)value;

    *again = now; /* with an answer it leaves, and the next one is to look */
    if (skua__unlikely(limiter->closed))
        return SKUA_ECLOSED;
    rate_fill(limiter, now);
    if (limiter->tokens < tokens) {
        *again = rate_due(limiter, tokens);
        return SKUA_PENDING;
    }
    limiter->tokens -= tokens;
    return 0;
}

/* None, or more than there can be, is answered without standing in line. */
static skua_poll rate_poll(skua_future *future, skua_waker *waker)
{
    skua_rate_limiter_future *self = skua__container(future, skua_rate_limiter_future, future);
    skua_rate_limiter *limiter = skua__container(self->line, skua_rate_limiter, line);
    uint64_t tokens = (uintptr_t)self->value;

    if (skua__unlikely(tokens == 0 || tokens > limiter->burst))
        return rate_try(limiter, tokens);
    return skua__timed_poll(future, waker);
}

static const struct skua__timed_kind rate_kind = {
    .ops = {.name = "rate_limiter", .poll = rate_poll, .drop = skua__timed_drop},
    .look = rate_look};

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
    _Static_assert(sizeof(void *) == sizeof tokens, "the tokens' room");
    return skua__timed_init(acquire, &limiter->line, &rate_kind, (void *)(uintptr_t)tokens);
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
    skua__timed_tell(&limiter->line, &chain); /* its timer is for another rate */
    skua__lock_drop(rate_lock(limiter));
    skua__chain_wake(&chain);
    return 0;
}

void skua_rate_limiter_close(skua_rate_limiter *limiter)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(rate_lock(limiter));
    limiter->closed = 1;
    skua__timed_tell(&limiter->line, &chain); /* each that leaves tells the next */
    skua__lock_drop(rate_lock(limiter));
    skua__chain_wake(&chain);
}
