/* thread_self.c - what the library keeps for each thread, and how a plain thread waits.
 *
 * A worker's struct lives in the worker. A plain thread gets one at its first call and gives it
 * back when it ends; the structs are pooled and never freed, so that a waker of a thread that has
 * ended still points at a futex word. A late wake then ends somebody's futex wait early, which
 * every waiter allows for.
 *
 * Memory     a plain thread of the program that gets no state ends the process: nothing could wait
 *            there. A thread of the library's own has its state before it is started.
 */
#include "task/task_impl.h"

static _Thread_local struct skua__thread *thread_mine;

static struct skua__slots thread_slots = SKUA__SLOTS(struct skua__thread, pooled);

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
    skua__os_slot_give(&thread_slots, thread);
}

/* NULL: no memory. */
static struct skua__thread *thread_take(void)
{
    struct skua__thread *thread = skua__os_slot_take(&thread_slots);

    if (thread == NULL || thread->wheel != NULL)
        return thread;
    thread->wheel = skua__os_alloc(sizeof *thread->wheel);
    if (thread->wheel == NULL) {
        skua__os_slot_give(&thread_slots, thread);
        return NULL;
    }
    skua__wheel_init(thread->wheel, skua__os_now());
    thread->index = ~0u;
    thread->waker.wake = thread_wake;
    thread->waker.ref = thread_keep;
    thread->waker.unref = thread_keep;
    return thread;
}

/* The calling thread's from here on. */
static void thread_is_mine(struct skua__thread *thread)
{
    thread_mine = thread;
    skua__os_at_thread_end(thread_ended, thread);
}

static SKUA__COLD struct skua__thread *thread_enroll(void)
{
    struct skua__thread *thread = thread_take();

    if (thread == NULL)
        skua__panic(__FILE__, __LINE__, __func__, "out of memory for a thread's own state");
    thread_is_mine(thread);
    return thread;
}

static void *thread_run(void *arg)
{
    struct skua__thread *thread = arg;

    thread_is_mine(thread);
    thread->run(thread->run_arg);
    return NULL;
}

int skua__thread_start(const char *name, void (*fn)(void *arg), void *arg)
{
    struct skua__thread *thread = thread_take();
    struct skua__cpus anywhere = {{0}};
    skua__thread_handle handle;
    int rc;

    if (thread == NULL)
        return -ENOMEM;
    thread->run = fn;
    thread->run_arg = arg;
    rc = skua__os_thread_start(&handle, name, &anywhere, thread_run, thread);
    if (rc == 0)
        skua__os_thread_detach(handle);
    else
        skua__os_slot_give(&thread_slots, thread);
    return rc;
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
