/* local_notify.c - telling the tasks of one worker that something happened: notify, and the event.
 *
 * notify     holds at most one permit. notify_one gives to the first in line, or leaves the permit
 *            for the next; notify_all gives to everybody who had made a future before, polled or
 *            not: each future remembers how many such calls there had been. One that was told by
 *            _one or _last, and is dropped before it has seen that, passes it on: no wake is lost.
 * event      is set or not; setting grants to everybody in line.
 */
#include "local/local_wait.h"

/* skua_local_waiter.value: what granted it. */
#define LOCAL_TOLD_ONE 1u
#define LOCAL_TOLD_ALL 2u

/* ---- notify: waiting ------------------------------------------------------------------------- */

static skua_poll local_notify_poll(skua_future *future, skua_waker *waker)
{
    skua_local_future *self = skua__local_future_of(future);
    skua_local_notify *notify = self->object;

    if (self->waiter.state != SKUA__LOCAL_IDLE)
        return skua__local_again(&self->waiter, waker);
    skua__local_touch(&notify->waiters);
    if (notify->calls != self->value)
        return 0; /* told by notify_all; a permit stays */
    if (notify->permit != 0) {
        notify->permit = 0;
        return 0;
    }
    skua__local_line_up(&notify->waiters, &self->waiter, waker);
    return SKUA_PENDING;
}

static void local_notify_drop(skua_future *future)
{
    skua_local_future *self = skua__local_future_of(future);
    skua_local_notify *notify = self->object;

    if (self->waiter.state == SKUA__LOCAL_IDLE)
        return;
    if (skua__local_leave(&notify->waiters, &self->waiter) && self->waiter.value == LOCAL_TOLD_ONE)
        skua_local_notify_one(notify);
}

static const skua_future_ops local_notify_ops = {
    .name = "local.notify", .poll = local_notify_poll, .drop = local_notify_drop};

skua_future *skua_local_notified_init(skua_local_future *notified, skua_local_notify *notify)
{
    skua__local_touch(&notify->waiters);
    return skua__local_future(notified, notify, notify->calls, &local_notify_ops);
}

int skua_local_notified(skua_local_notify *notify)
{
    return skua_local_notified_until(notify, SKUA_FOREVER);
}

int skua_local_notified_until(skua_local_notify *notify, int64_t deadline)
{
    skua_local_future notified;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    skua_local_notified_init(&notified, notify);
    if (notify->permit == 0)
        return (int)skua_await_until(&notified.future, deadline);
    notify->permit = 0;
    return 0;
}

/* ---- notify: telling ------------------------------------------------------------------------- */

static void local_notify_give(skua_local_notify *notify, skua_local_waiter *waiter, uint64_t how)
{
    waiter->value = how;
    skua__local_grant(&notify->waiters, waiter);
}

static void local_notify_some(skua_local_notify *notify, skua_local_waiter *waiter)
{
    skua__local_touch(&notify->waiters);
    if (waiter != NULL)
        local_notify_give(notify, waiter, LOCAL_TOLD_ONE);
    else
        notify->permit = 1;
}

void skua_local_notify_one(skua_local_notify *notify)
{
    local_notify_some(notify, notify->waiters.first);
}

void skua_local_notify_last(skua_local_notify *notify)
{
    local_notify_some(notify, notify->waiters.last);
}

void skua_local_notify_all(skua_local_notify *notify)
{
    skua__local_touch(&notify->waiters);
    notify->calls++;
    while (notify->waiters.first != NULL)
        local_notify_give(notify, notify->waiters.first, LOCAL_TOLD_ALL);
}

/* ---- event ----------------------------------------------------------------------------------- */

static skua_poll local_event_poll(skua_future *future, skua_waker *waker)
{
    skua_local_future *self = skua__local_future_of(future);
    skua_local_event *event = self->object;

    if (self->waiter.state != SKUA__LOCAL_IDLE)
        return skua__local_again(&self->waiter, waker);
    skua__local_touch(&event->waiters);
    if (event->set)
        return 0;
    skua__local_line_up(&event->waiters, &self->waiter, waker);
    return SKUA_PENDING;
}

static void local_event_drop(skua_future *future)
{
    skua_local_future *self = skua__local_future_of(future);
    skua_local_event *event = self->object;

    if (self->waiter.state != SKUA__LOCAL_IDLE)
        (void)skua__local_leave(&event->waiters, &self->waiter);
}

static const skua_future_ops local_event_ops = {
    .name = "local.event", .poll = local_event_poll, .drop = local_event_drop};

skua_future *skua_local_event_wait_init(skua_local_future *wait, skua_local_event *event)
{
    return skua__local_future(wait, event, 0, &local_event_ops);
}

int skua_local_event_wait(skua_local_event *event)
{
    return skua_local_event_wait_until(event, SKUA_FOREVER);
}

int skua_local_event_wait_until(skua_local_event *event, int64_t deadline)
{
    skua_local_future wait;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    skua__local_touch(&event->waiters);
    if (event->set)
        return 0;
    return (int)skua_await_until(skua_local_event_wait_init(&wait, event), deadline);
}

void skua_local_event_set(skua_local_event *event)
{
    skua__local_touch(&event->waiters);
    event->set = 1;
    while (event->waiters.first != NULL)
        skua__local_grant(&event->waiters, event->waiters.first);
}

void skua_local_event_reset(skua_local_event *event)
{
    skua__local_touch(&event->waiters);
    event->set = 0;
}

int skua_local_event_is_set(const skua_local_event *event)
{
    skua__local_touch(&event->waiters);
    return event->set;
}

#undef LOCAL_TOLD_ONE
#undef LOCAL_TOLD_ALL
