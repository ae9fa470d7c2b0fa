/* time.h - the clock, and sleeping.
 *
 * Timers live in a wheel of the worker they were armed on: arming and cancelling are O(1) and
 * take no lock. A timer never fires early; it fires within a tick (32.8 µs) plus what the kernel
 * and the running task cost.
 */
#ifndef SKUA_TIME_H
#define SKUA_TIME_H

#include <skua/future.h>

SKUA_C_BEGIN

/* The monotonic clock; in a test runtime (test.h) that runtime's own.
 *
 * Returns    nanoseconds since an unspecified start, never going backwards
 * Threads    any
 * Since      0.1
 */
SKUA_API int64_t skua_now(void);

/* A wait for a moment. Its members are private. */
typedef struct skua_sleep_future {
    skua_future future;
    skua_waker *waker; /* whom to wake; NULL when not armed */
    void *link[2];     /* in a wheel's slot; guard: the thread that armed it */
    uint64_t when;     /* the deadline in ns, or that it has fired, see base/wheel.h */
} skua_sleep_future;

/* Makes a future that is ready (0) after `duration`.
 *
 * sleep      memory for the future, in place until finished
 * duration   ns from now; 0 or less is ready at once
 * Returns    &sleep->future
 * Threads    any; polled and dropped on the thread or task that awaits it
 * Cancel     safe: nothing happens but that the timer is gone
 * Since      0.1
 */
SKUA_API skua_future *skua_sleep_init(skua_sleep_future *sleep, int64_t duration);

/* Makes a future that is ready (0) at `deadline`, monotonic ns.
 *
 * Returns    &sleep->future
 * Threads    as skua_sleep_init
 * Since      0.1
 */
SKUA_API skua_future *skua_sleep_until_init(skua_sleep_future *sleep, int64_t deadline);

#ifndef __cplusplus
/* The same two in the caller's block: a branch of a select, work for a join (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    as skua_sleep_init
 * Since      0.2
 */
#define skua_sleeping(duration) skua_sleep_init(&(skua_sleep_future){.future = {0}}, (duration))
#define skua_sleeping_until(deadline)                                                              \
    skua_sleep_until_init(&(skua_sleep_future){.future = {0}}, (deadline))
#endif

/* Moves a sleep to another moment, in place: it is ready at `deadline` instead, earlier or later.
 *
 * A sleep that waits goes on waiting with the waker that it has: nobody need poll it again. So a
 * branch of a select may put off the time limit that is another branch of it. One that is finished,
 * ready or dropped, begins anew. After Tokio's Sleep::reset.
 *
 * sleep      made by one of the functions above, in any state
 * deadline   monotonic ns; what has passed is ready at once
 * Threads    the task or plain thread that polls it, and nobody else: the timer is its worker's
 * Cancel     safe, as before
 * Since      0.2
 */
SKUA_API void skua_sleep_reset(skua_sleep_future *sleep, int64_t deadline);

/* Sleeps.
 *
 * duration   ns
 * Returns    0; -ECANCELED, -ETIMEDOUT (see skua_await)
 * Threads    fibers, plain threads
 * Since      0.1
 */
SKUA_API int skua_sleep(int64_t duration);

/* Sleeps until a moment on the monotonic clock.
 *
 * Returns    as skua_sleep
 * Threads    fibers, plain threads
 * Since      0.1
 */
SKUA_API int skua_sleep_until(int64_t deadline);

/* Fires the timers of the calling plain thread that are due. A foreign loop that polls futures
 * with custom wakers calls this when the returned moment comes.
 *
 * Returns    the deadline of the next one, SKUA_FOREVER when there is none; SKUA_EUSAGE on a
 *            worker, whose driver does it
 * Threads    plain threads
 * Since      0.1
 */
SKUA_API int64_t skua_thread_timers(void);

SKUA_C_END

#endif
