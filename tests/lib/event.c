/* event.c - an event that tasks and threads wait for: a future of the user's own. */
#include "event.h"

static void unlink_wait(struct test_event_wait *wait)
{
    if (!wait->waker)
        return;
    if (wait->prev)
        wait->prev->next = wait->next;
    else
        wait->event->waiters = wait->next;
    if (wait->next)
        wait->next->prev = wait->prev;
}

static void link_wait(struct test_event_wait *wait)
{
    wait->prev = NULL;
    wait->next = wait->event->waiters;
    if (wait->next)
        wait->next->prev = wait;
    wait->event->waiters = wait;
}

static skua_poll event_poll(skua_future *self, skua_waker *waker)
{
    struct test_event_wait *wait = (struct test_event_wait *)self;
    struct test_event *event = wait->event;
    skua_waker *old = wait->waker;
    bool set;

    pthread_mutex_lock(&event->lock);
    set = event->set;
    if (set)
        unlink_wait(wait);
    else if (!old)
        link_wait(wait);
    wait->waker = set ? NULL : skua_waker_ref(waker);
    pthread_mutex_unlock(&event->lock);
    skua_waker_unref(old);
    return set ? SKUA_READY : SKUA_PENDING;
}

static void event_drop(skua_future *self)
{
    struct test_event_wait *wait = (struct test_event_wait *)self;
    skua_waker *old;

    pthread_mutex_lock(&wait->event->lock);
    unlink_wait(wait);
    old = wait->waker;
    wait->waker = NULL;
    pthread_mutex_unlock(&wait->event->lock);
    skua_waker_unref(old);
}

static const skua_future_ops event_ops = {"test.event", event_poll, event_drop};

skua_future *test_event_wait_init(struct test_event_wait *wait, struct test_event *event)
{
    *wait = (struct test_event_wait){.future = {&event_ops}, .event = event};
    return &wait->future;
}

void test_event_init(struct test_event *event)
{
    pthread_mutex_init(&event->lock, NULL);
    event->set = false;
    event->waiters = NULL;
}

static void wake_all(struct test_event *event, bool set)
{
    pthread_mutex_lock(&event->lock);
    event->set |= set;
    for (struct test_event_wait *wait = event->waiters; wait; wait = wait->next)
        skua_waker_wake(wait->waker);
    pthread_mutex_unlock(&event->lock);
}

void test_event_set(struct test_event *event)
{
    wake_all(event, true);
}

void test_event_nudge(struct test_event *event)
{
    wake_all(event, false);
}

int test_event_wait(struct test_event *event)
{
    struct test_event_wait wait;

    return (int)skua_await(test_event_wait_init(&wait, event));
}

int test_event_waiters(struct test_event *event)
{
    int count = 0;

    pthread_mutex_lock(&event->lock);
    for (struct test_event_wait *wait = event->waiters; wait; wait = wait->next)
        count++;
    pthread_mutex_unlock(&event->lock);
    return count;
}

void test_latch_init(struct test_latch *latch, int count)
{
    atomic_init(&latch->left, count);
    test_event_init(&latch->done);
}

void test_latch_hit(struct test_latch *latch)
{
    if (atomic_fetch_sub(&latch->left, 1) == 1)
        test_event_set(&latch->done);
}

int test_latch_wait(struct test_latch *latch)
{
    return test_event_wait(&latch->done);
}
