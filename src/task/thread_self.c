/* thread_self.c - what the library keeps for each thread, and how a plain thread waits.
 *
 * A worker's struct lives in the worker. A plain thread gets one at its first call and gives it
 * back when it ends; the structs are pooled and never freed, so that a waker of a thread that has
 * ended still points at a futex word. A late wake then ends somebody's futex wait early, which
 * every waiter allows for.
 */
#include "task/task_impl.h"

static _Thread_local struct skua__thread *thread_mine;

static struct skua__lock thread_pool_lock;
static struct skua__thread *thread_pool; /* lock: thread_pool_lock */

static void thread_wake(struct skua_custom_waker *waker)
{
    struct skua__thread *thread = skua__container(waker, struct skua__thread, waker);

    /* Release pairs with the acquire in thread_wait: what the waker did before is seen. */
    skua__add_acq_rel(&thread->wakes, 1);
    skua__os_futex_wake(&thread->wakes, 1);
}

static void thread_keep(struct skua_custom_waker *waker)
{
    (void)waker; /* pooled: nothing to count */
}

/* At the end of a plain thread. */
static void thread_ended(void *arg)
{
    struct skua__thread *thread = arg;

    thread_mine = NULL; /* a destructor that comes later and calls Skua gets another one */
    skua__lock_take(&thread_pool_lock);
    thread->pooled = thread_pool;
    thread_pool = thread;
    skua__lock_drop(&thread_pool_lock);
}

static struct skua__thread *thread_make(void)
{
    struct skua__thread *thread = skua__os_alloc_aligned(sizeof *thread, SKUA__CACHE_LINE);
    struct skua__wheel *wheel = skua__os_alloc(sizeof *wheel);

    skua__os_lock_over_fork(&thread_pool_lock);
    if (thread == NULL || wheel == NULL)
        skua__panic(__FILE__, __LINE__, __func__, "out of memory for a thread's own state");
    skua__wheel_init(wheel, skua__os_now());
    thread->wheel = wheel;
    thread->index = ~0u;
    thread->waker.wake = thread_wake;
    thread->waker.ref = thread_keep;
    thread->waker.unref = thread_keep;
    return thread;
}

static SKUA__COLD struct skua__thread *thread_enroll(void)
{
    struct skua__thread *thread;

    skua__lock_take(&thread_pool_lock);
    thread = thread_pool;
    if (thread != NULL)
        thread_pool = thread->pooled;
    skua__lock_drop(&thread_pool_lock);
    if (thread == NULL)
        thread = thread_make();
    thread_mine = thread;
    skua__os_at_thread_end(thread_ended, thread);
    return thread;
}

struct skua__thread *skua__thread_self(void)
{
    struct skua__thread *thread = thread_mine;

    /* Nothing of this function may be computed once and kept: a fiber may return elsewhere. */
    __asm__ __volatile__("" : "+r"(thread));
    return skua__likely(thread != NULL) ? thread : thread_enroll();
}

struct skua__thread *skua__thread_peek(void)
{
    struct skua__thread *thread = thread_mine;

    __asm__ __volatile__("" : "+r"(thread)); /* as above */
    return thread;
}

struct skua__thread *skua__thread_adopt(struct skua__thread *thread)
{
    struct skua__thread *before = thread_mine;

    thread_mine = thread;
    return before;
}
