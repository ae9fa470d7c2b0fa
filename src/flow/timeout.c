/* timeout.c - a future that is not waited for longer than it may take.
 *
 * Flow       skua_timeout -> skua_await -> timeout_poll -> the work's poll, then the timer's
 * Order      the work is asked first each time, so that what is ready wins over a time that is up,
 *            however late this task gets its turn. Work that never waits keeps no timer.
 */
#include "flow/flow_impl.h"

static void timeout_drop(skua_future *future)
{
    skua_timeout_future *self = skua__container(future, skua_timeout_future, future);

    skua__sleep_drop(&self->timer.future); /* first: it would wake a fiber that parks below */
    skua_future_drop(self->work);
}

static skua_poll timeout_poll(skua_future *future, skua_waker *waker)
{
    skua_timeout_future *self = skua__container(future, skua_timeout_future, future);
    skua_poll answer = skua__future_poll_raw(self->work, waker);
    bool ready = answer != SKUA_PENDING;

    if (!ready && !skua__flow_late(&self->timer, waker))
        return SKUA_PENDING;
    if (ready && self->result != NULL)
        *self->result = answer;
    timeout_drop(future);
    return ready ? 0 : -ETIMEDOUT;
}

static const skua_future_ops timeout_ops = {
    .name = "timeout", .poll = timeout_poll, .drop = timeout_drop};

static skua_future *timeout_init(skua_timeout_future *timeout, skua_future *work, int64_t *result)
{
    timeout->future.ops = &timeout_ops;
    timeout->work = work;
    timeout->result = result;
    return &timeout->future;
}

/* ---- for users ------------------------------------------------------------------------------- */

skua_future *skua_timeout_init(skua_timeout_future *timeout, skua_future *future, int64_t duration,
                               int64_t *result)
{
    skua_sleep_init(&timeout->timer, duration);
    return timeout_init(timeout, future, result);
}

skua_future *skua_timeout_at_init(skua_timeout_future *timeout, skua_future *future,
                                  int64_t deadline, int64_t *result)
{
    skua_sleep_until_init(&timeout->timer, deadline);
    return timeout_init(timeout, future, result);
}

int skua_timeout(skua_future *future, int64_t duration, int64_t *result)
{
    skua_timeout_future timeout;

    return (int)skua_await(skua_timeout_init(&timeout, future, duration, result));
}

int skua_timeout_at(skua_future *future, int64_t deadline, int64_t *result)
{
    skua_timeout_future timeout;

    return (int)skua_await(skua_timeout_at_init(&timeout, future, deadline, result));
}
