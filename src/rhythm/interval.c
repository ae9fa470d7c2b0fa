/* interval.c - ticks at a steady beat.
 *
 * Flow       skua_interval_tick -> tick_try -> skua_await -> tick_poll -> the future's own timer
 * State      `next` alone: when the tick to come is due. A tick moves it on when it is taken, and
 *            not before; so a wait that is dropped has taken nothing.
 * Owner      one task at a time. `busy` is held from the first poll of a wait to its end, so that a
 *            second one, or a reset under a wait, is told of and harms nobody.
 * Cost       a tick reads the clock once, twice when it waits. After Tokio's Interval.
 */
#include <string.h>

#include "rhythm/timed_line.h"

/* ---- whose it is ----------------------------------------------------------------------------- */

static _Atomic uint32_t *interval_busy(skua_interval *interval)
{
    return (_Atomic uint32_t *)(void *)&interval->busy;
}

static bool interval_claim(skua_interval *interval)
{
    uint32_t free = 0;

    /* Acquire pairs with the release below: what the owner before has left is seen. */
    return skua__cas_strong_acq_rel(interval_busy(interval), &free, 1);
}

static void interval_release(skua_interval *interval)
{
    skua__store_release(interval_busy(interval), 0);
}

/* ---- a tick ---------------------------------------------------------------------------------- */

/* When it is due after the tick of `due`, which was taken at `now`. */
static int64_t interval_following(const skua_interval *interval, int64_t due, int64_t now)
{
    if (now - due > SKUA_MISSED_AFTER) {
        if (interval->missed == SKUA_MISSED_DELAY)
            due = now;
        else if (interval->missed == SKUA_MISSED_SKIP)
            due = now - (now - due) % interval->period;
    }
    return skua__time_after(due, interval->period);
}

/* Takes the tick if it is due; -EAGAIN. The caller has claimed the interval. */
static int64_t interval_take(skua_interval *interval)
{
    int64_t now = skua_now();
    int64_t due = interval->next;

    if (now < due)
        return -EAGAIN;
    interval->next = interval_following(interval, due, now);
    return due;
}

static void interval_tick_drop(skua_future *future)
{
    skua_tick_future *self = skua__container(future, skua_tick_future, future);

    skua__sleep_drop(&self->timer.future);
    if (self->began)
        interval_release(self->interval);
    self->began = 0;
}

static skua_poll interval_tick_poll(skua_future *future, skua_waker *waker)
{
    skua_tick_future *self = skua__container(future, skua_tick_future, future);
    skua_poll answer;

    if (!self->began) {
        if (!interval_claim(self->interval))
            return -EBUSY;
        self->began = 1;
        skua_sleep_until_init(&self->timer, self->interval->next);
    }
    do {
        answer = interval_take(self->interval);
        if (answer == -EAGAIN && skua__sleep_poll(&self->timer.future, waker) == SKUA_PENDING)
            return SKUA_PENDING;
    } while (answer == -EAGAIN);
    interval_tick_drop(future);
    return answer;
}

static const skua_future_ops interval_tick_ops = {
    .name = "interval", .poll = interval_tick_poll, .drop = interval_tick_drop};

skua_future *skua_interval_tick_init(skua_tick_future *tick, skua_interval *interval)
{
    tick->future.ops = &interval_tick_ops;
    tick->interval = interval;
    tick->began = 0;
    skua_sleep_until_init(&tick->timer, 0);
    return &tick->future;
}

int64_t skua_interval_tick(skua_interval *interval)
{
    return skua_interval_tick_until(interval, SKUA_FOREVER);
}

int64_t skua_interval_tick_until(skua_interval *interval, int64_t deadline)
{
    skua_tick_future tick;
    int64_t answer = skua__task_leaf();

    if (skua__unlikely(answer != 0))
        return answer;
    if (!interval_claim(interval))
        return -EBUSY;
    answer = interval_take(interval);
    interval_release(interval);
    if (answer != -EAGAIN)
        return answer;
    return skua_await_until(skua_interval_tick_init(&tick, interval), deadline);
}

/* ---- making and resetting -------------------------------------------------------------------- */

void skua_interval_options_init(skua_interval_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua_interval_init_with(skua_interval *interval, int64_t period,
                            const skua_interval_options *options)
{
    skua_interval_options all;

    if (options != NULL && options->size != sizeof *options)
        return -EINVAL;
    skua_interval_options_init(&all);
    if (options != NULL)
        all = *options;
    if (period <= 0 || all.start < 0 || (unsigned)all.missed > SKUA_MISSED_SKIP)
        return -EINVAL;
    *interval = (skua_interval){.period = period,
                                .next = all.start != 0 ? all.start : skua_now(),
                                .missed = (uint32_t)all.missed};
    return 0;
}

int skua_interval_init(skua_interval *interval, int64_t period, skua_missed behaviour)
{
    const skua_interval_options options = {.size = sizeof options, .missed = behaviour};

    return skua_interval_init_with(interval, period, &options);
}

int skua_interval_reset_at(skua_interval *interval, int64_t deadline)
{
    if (!interval_claim(interval))
        return -EBUSY;
    interval->next = deadline > 0 ? deadline : 0;
    interval_release(interval);
    return 0;
}

int skua_interval_reset_after(skua_interval *interval, int64_t duration)
{
    return skua_interval_reset_at(interval, skua__time_after(skua_now(), duration));
}

int skua_interval_reset_immediately(skua_interval *interval)
{
    return skua_interval_reset_at(interval, skua_now());
}

int skua_interval_reset(skua_interval *interval)
{
    return skua_interval_reset_after(interval, interval->period);
}

int64_t skua_interval_period(const skua_interval *interval)
{
    return interval->period;
}
