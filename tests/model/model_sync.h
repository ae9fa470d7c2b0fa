/* model_sync.h - locks and signals as they are, and waiters to stand before them.
 *
 * For test_model_sync.c, test_model_notify.c and those of what is built on it, each a program of
 * its own: sync_wait.c, semaphore.c, notify.c and gate.c, and below them threads that wait in the
 * way of a plain one, and memory that knows when it is freed.
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
    bool impatient; /* waits that have no deadline are given up like those with one */
};

static struct skua__thread thread_states[MODEL_THREADS];
static int fiber_verdict; /* of those that are fibers; 0: there are none */
static struct waiter waiters[MODEL_THREADS];
static struct skua__fiber fibers[MODEL_THREADS];
static bool as_fibers; /* threads are fibers, too: direct calls then get in line themselves */
static int answers[MODEL_THREADS];
static SKUA__UNUSED char work; /* handed from one to the next */

/* ---- what is below --------------------------------------------------------------------------- */

static struct waiter *waiter_of(skua_waker *waker)
{
    for (int i = 0; i < MODEL_THREADS; i++)
        if (waker == skua__task_waker(&fibers[i].task))
            return &waiters[i];
    return (struct waiter *)(void *)waker;
}

void skua_waker_wake(skua_waker *waker)
{
    model_check(!waiter_of(waker)->gone);
    model_ring(&waiter_of(waker)->bell);
    /* A wake goes on after the task has begun to run. */
    model_check(!waiter_of(waker)->gone);
    model_use(waiter_of(waker));
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
    return &thread_states[model_self() < 0 ? 0 : model_self()];
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
    return skua_await_until(future, waiters[model_self()].impatient ? IMPATIENT : SKUA_FOREVER);
}

int64_t skua__await_asked(struct skua__fiber *fiber, skua_future *future, int64_t deadline)
{
    struct waiter *waiter = &waiters[model_self()];
    skua_poll answer;

    do {
        if (deadline == IMPATIENT) {
            future->ops->drop(future);
            answer = -ETIMEDOUT;
            break;
        }
        model_sleep(&waiter->bell);
        answer = future->ops->poll(future, skua__task_waker(&fiber->task));
    } while (answer == SKUA_PENDING);
    model_check(waiter->refs == 0);
    return answer;
}

int skua__fiber_verdict(struct skua__fiber *fiber)
{
    (void)fiber;
    model_check(fiber_verdict != 0);
    return fiber_verdict;
}

int skua__fiber_leaf(struct skua__thread *self, struct skua__fiber *fiber)
{
    int verdict = skua__fiber_verdict(fiber);

    if (verdict == 0)
        self->budget--;
    return verdict;
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

/* ---- memory ---------------------------------------------------------------------------------- */

#define BLOCKS 8

static struct {
    void *ptr;
    size_t size;
} blocks[BLOCKS]; /* what was allocated; size 0: freed */
static _Alignas(64) char pool[16384];
static size_t pool_used;

MODEL_UNSEEN void *skua__os_alloc(size_t size)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i].ptr == NULL) {
            size_t room = (size + 63) & ~(size_t)63;

            if (room > sizeof pool - pool_used)
                break;
            blocks[i].ptr = pool + pool_used;
            blocks[i].size = size;
            pool_used += room; /* never made anew in a schedule */
            return blocks[i].ptr;
        }
    model_fail("no memory");
    return NULL;
}

void *skua__os_alloc_unset(size_t size)
{
    return skua__os_alloc(size);
}

void *skua__os_alloc_aligned(size_t size, size_t align)
{
    model_check(align <= 64);
    return skua__os_alloc(size);
}

MODEL_UNSEEN void skua__os_free(void *ptr)
{
    for (unsigned i = 0; i < BLOCKS && ptr != NULL; i++)
        if (blocks[i].ptr == ptr) {
            model_check(blocks[i].size != 0);
            model_free(ptr, blocks[i].size);
            blocks[i].size = 0;
            return;
        }
    model_check(ptr == NULL);
}

static SKUA__UNUSED void check_all_freed(void)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        model_check(blocks[i].size == 0);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void waiters_begin(void)
{
    memset(waiters, 0, sizeof waiters);
    memset(thread_states, 0, sizeof thread_states);
    memset(blocks, 0, sizeof blocks);
    memset(pool, 0, pool_used);
    pool_used = 0;
    for (int i = 0; i < MODEL_THREADS; i++) {
        thread_states[i].budget = 1u << 30;
        if (as_fibers) {
            memset(&fibers[i], 0, sizeof fibers[i]);
            fibers[i].task.flags = SKUA__FIBER;
            thread_states[i].current = &fibers[i].task;
        }
        answers[i] = NOT_YET;
    }
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

/* Explores with three threads, for which all schedules are too many. */
static SKUA__UNUSED void pass_bounded(struct model_case the_case)
{
    the_case.preemptions = 2;
    the_case.stale = 2;
    model_pass(&the_case);
}

#endif
