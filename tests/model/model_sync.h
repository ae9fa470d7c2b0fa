/* model_sync.h - locks and signals as they are, and waiters to stand before them.
 *
 * For test_model_sync.c and test_model_notify.c, each a program of its own: sync_wait.c,
 * semaphore.c, notify.c and gate.c, and below them threads that wait in the way of a plain one.
 */
#ifndef SKUA_MODEL_SYNC_H
#define SKUA_MODEL_SYNC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model_atomic.h"
#include "model_stand.h"

#include "sync/gate.c"
#include "sync/notify.c"
#include "sync/semaphore.c"
#include "sync/sync_wait.c"

#define IMPATIENT 0 /* a deadline: asks once, and gives up */
#define NOT_YET 77  /* an answer */

/* A thread as a waiter: its address is the waker. */
struct waiter {
    struct model_bell bell;
    int refs;
    bool gone;
};

static struct skua__thread thread_state;
static struct waiter waiters[MODEL_THREADS];
static int answers[MODEL_THREADS];
static char work; /* handed from one to the next */

/* ---- what is below --------------------------------------------------------------------------- */

static struct waiter *waiter_of(skua_waker *waker)
{
    return (struct waiter *)(void *)waker;
}

void skua_waker_wake(skua_waker *waker)
{
    model_check(!waiter_of(waker)->gone);
    model_ring(&waiter_of(waker)->bell);
    /* A wake goes on after the task has begun to run. */
    model_check(!waiter_of(waker)->gone);
    model_use(waker);
}

skua_waker *skua_waker_ref(skua_waker *waker)
{
    waiter_of(waker)->refs++;
    return waker;
}

void skua_waker_unref(skua_waker *waker)
{
    if (waker == NULL)
        return;
    model_check(!waiter_of(waker)->gone);
    model_check(waiter_of(waker)->refs-- > 0);
}

struct skua__thread *skua__thread_self(void)
{
    return &thread_state;
}

int64_t skua_await_until(skua_future *future, int64_t deadline)
{
    struct waiter *waiter = &waiters[model_self()];
    skua_poll answer;

    while ((answer = future->ops->poll(future, (skua_waker *)(void *)waiter)) == SKUA_PENDING) {
        if (deadline == IMPATIENT) {
            future->ops->drop(future);
            answer = -ETIMEDOUT;
            break;
        }
        model_sleep(&waiter->bell);
    }
    model_check(waiter->refs == 0);
    return answer;
}

int64_t skua_await(skua_future *future)
{
    return skua_await_until(future, SKUA_FOREVER);
}

/* There are no fibers. */
int skua__fiber_verdict(struct skua__fiber *fiber)
{
    (void)fiber;
    model_fail(__func__);
    return 0;
}

void skua__fiber_yield(struct skua__thread *self, struct skua__fiber *fiber)
{
    (void)self;
    (void)fiber;
    model_fail(__func__);
}

int skua_shield_begin(void)
{
    return SKUA_EUSAGE;
}

int skua_shield_end(void)
{
    return SKUA_EUSAGE;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void waiters_begin(void)
{
    memset(waiters, 0, sizeof waiters);
    memset(&thread_state, 0, sizeof thread_state);
    thread_state.budget = 1u << 30;
    for (int i = 0; i < MODEL_THREADS; i++)
        answers[i] = NOT_YET;
}

/* The thread is over: nobody may know it from here on. */
static void answered(int answer)
{
    struct waiter *waiter = &waiters[model_self()];

    model_check(waiter->refs == 0);
    model_use(waiter); /* all wakes happen before it goes */
    waiter->gone = true;
    answers[model_self()] = answer;
}

/* Overwrites an object. Its atomics by stores of the model, too: so that orders in which another
 * comes later are not taken for the same as those in which it comes before. */
static void overwrite(void *object, size_t size, uint64_t *word, uint8_t *lock)
{
    skua__store_relaxed((_Atomic uint64_t *)(void *)word, 0);
    skua__store_relaxed(&skua__sync_lock(lock)->held, 0);
    memset(object, 0xee, size);
}

#define FREE(object, part, word) overwrite(&(object), sizeof(object), &(part).word, &(part).lock)

/* Explores with three threads, for which all schedules are too many. */
static void pass_bounded(struct model_case the_case)
{
    the_case.preemptions = 2;
    the_case.stale = 2;
    model_pass(&the_case);
}

#endif
