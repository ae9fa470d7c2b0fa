/* event.h - an event that tasks and threads wait for: a future of the user's own.
 *
 * It is written as the headers tell a user to write one, and so the tests that lean on it also
 * test that contract: poll keeps a reference on the newest waker, drop forgets it, set wakes from
 * any thread. An event that is set stays set. */
#ifndef SKUA_TESTS_EVENT_H
#define SKUA_TESTS_EVENT_H

#include <pthread.h>

#include "harness.h"

struct test_event_wait;

struct test_event {
    pthread_mutex_t lock;
    bool set;                        /* lock */
    struct test_event_wait *waiters; /* lock */
};

struct test_event_wait {
    skua_future future;
    struct test_event *event;
    skua_waker *waker;                   /* event->lock: a reference, NULL when not linked */
    struct test_event_wait *next, *prev; /* event->lock */
};

#define TEST_EVENT_INIT                                                                            \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

void test_event_init(struct test_event *event);
void test_event_set(struct test_event *event);
/* Wakes who waits without setting: a spurious wake. */
void test_event_nudge(struct test_event *event);
skua_future *test_event_wait_init(struct test_event_wait *wait, struct test_event *event);
/* 0, -ECANCELED or -ETIMEDOUT; fibers and threads. */
int test_event_wait(struct test_event *event);
/* How many wait now. */
int test_event_waiters(struct test_event *event);

/* Counts down: ready when `left` is 0. */
struct test_latch {
    atomic_int left;
    struct test_event done;
};

void test_latch_init(struct test_latch *latch, int count);
void test_latch_hit(struct test_latch *latch);
int test_latch_wait(struct test_latch *latch);

#endif
