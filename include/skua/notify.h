/* notify.h - telling and awaiting: notify, condition variable, event, wait group, barrier, once.
 *
 * As the locks of sync.h they live in the caller's memory, work between fibers, poll tasks and
 * plain threads of any runtime, and allocate nothing to wait; order, cancellation, memory and
 * budget are as there.
 *
 *     static skua_event started = SKUA_EVENT_INIT;
 *
 *     skua_event_set(&started);              anywhere
 *     rc = skua_event_wait(&started);        anywhere else
 */
#ifndef SKUA_NOTIFY_H
#define SKUA_NOTIFY_H

#include <skua/sync.h>

SKUA_C_BEGIN

/* ---- notify ---------------------------------------------------------------------------------- */

/* Tells one task, or all, that something happened. It keeps one permit when nobody waits, so that
 * whoever comes next does not miss it. Zeroed memory is one, too. */
typedef struct skua_notify {
    uint64_t calls;
    skua_waiter_list waiters;
    uint8_t lock;
    uint8_t permit;
} skua_notify;

#define SKUA_NOTIFY_INIT                                                                           \
    {                                                                                              \
        0, {NULL, NULL}, 0, 0                                                                      \
    }

/* Waits to be told; takes the permit, if there is one.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: what it was told goes to the next in line
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_notified(skua_notify *notify);

/* As skua_notified, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_notified
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_notified_until(skua_notify *notify, int64_t deadline);

/* Makes a future of a wait: ready as skua_notified returns. skua_notify_all after this call
 * reaches it, before it is polled for the first time, too.
 *
 * Returns    &notified->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_notified_init(skua_sync_future *notified, skua_notify *notify);

/* Tells the first in line; when nobody waits, whoever comes next.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_notify_one(skua_notify *notify);

/* Tells the last in line, whose data are the warmest; when nobody waits, whoever comes next.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_notify_last(skua_notify *notify);

/* Tells everybody who waits now; leaves no permit.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_notify_all(skua_notify *notify);

/* ---- condition variable ---------------------------------------------------------------------- */

/* Waiting for what a mutex guards. Zeroed memory is one, too. */
typedef struct skua_cond {
    skua_waiter_list waiters;
    uint8_t lock;
} skua_cond;

#define SKUA_COND_INIT                                                                             \
    {                                                                                              \
        {NULL, NULL}, 0                                                                            \
    }

/* Lets go of the mutex, waits for a signal, and locks the mutex again, whatever is returned.
 *
 * mutex      locked by the caller
 * Returns    0 (look again at what you wait for); -ECANCELED, -ETIMEDOUT; SKUA_EUSAGE when the
 *            mutex was not locked
 * Threads    fibers, plain threads
 * Cancel     safe: a signal it was given goes to the next in line
 * Since      0.2
 */
SKUA_API int skua_cond_wait(skua_cond *cond, skua_mutex *mutex);

/* As skua_cond_wait, at most until `deadline`, and as long as locking again takes.
 *
 * deadline   monotonic ns
 * Returns    as skua_cond_wait
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_cond_wait_until(skua_cond *cond, skua_mutex *mutex, int64_t deadline);

/* Wakes the first that waits, if any.
 *
 * Threads    any, with the mutex or without
 * Since      0.2
 */
SKUA_API void skua_cond_signal(skua_cond *cond);

/* Wakes all that wait.
 *
 * Threads    any, with the mutex or without
 * Since      0.2
 */
SKUA_API void skua_cond_broadcast(skua_cond *cond);

/* ---- event ----------------------------------------------------------------------------------- */

/* Something that has happened, or not yet; it stays so until it is reset. Zeroed memory is one. */
typedef struct skua_event {
    skua_gate gate;
} skua_event;

#define SKUA_EVENT_INIT                                                                            \
    {                                                                                              \
        {                                                                                          \
            0, {NULL, NULL}, 0                                                                     \
        }                                                                                          \
    }

/* Waits until it is set.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_event_wait(skua_event *event);

/* As skua_event_wait, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_event_wait
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_event_wait_until(skua_event *event, int64_t deadline);

/* Makes a future of a wait: ready as skua_event_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_event_wait_init(skua_sync_future *wait, skua_event *event);

/* Sets it: everybody who waits goes on, even if it is reset at once.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_event_set(skua_event *event);

/* Takes it back.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_event_reset(skua_event *event);

/* Whether it is set.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_event_is_set(const skua_event *event);

/* ---- wait group ------------------------------------------------------------------------------ */

#define SKUA_WAIT_GROUP_MAX ((size_t)0x7fffffff)

/* Counts what is out, and waits until nothing is. Zeroed memory is one, too. */
typedef struct skua_wait_group {
    skua_gate gate;
} skua_wait_group;

#define SKUA_WAIT_GROUP_INIT                                                                       \
    {                                                                                              \
        {                                                                                          \
            0, {NULL, NULL}, 0                                                                     \
        }                                                                                          \
    }

/* Counts up.
 *
 * Returns    0; -EINVAL over SKUA_WAIT_GROUP_MAX
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_wait_group_add(skua_wait_group *group, size_t count);

/* Counts down by one; at zero all that wait go on.
 *
 * Returns    0; SKUA_EUSAGE when nothing is out
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_wait_group_done(skua_wait_group *group);

/* Waits until nothing is out.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_wait_group_wait(skua_wait_group *group);

/* As skua_wait_group_wait, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_wait_group_wait
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_wait_group_wait_until(skua_wait_group *group, int64_t deadline);

/* Makes a future of a wait: ready as skua_wait_group_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_wait_group_wait_init(skua_sync_future *wait, skua_wait_group *group);

/* ---- barrier --------------------------------------------------------------------------------- */

/* A place where a number of tasks meet, again and again. */
typedef struct skua_barrier {
    skua_gate gate;
    size_t parties;
} skua_barrier;

#define SKUA_BARRIER_INIT(parties)                                                                 \
    {                                                                                              \
        {0, {NULL, NULL}, 0}, (parties)                                                            \
    }

/* Makes a barrier.
 *
 * parties    how many meet; at least 1
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_barrier_init(skua_barrier *barrier, size_t parties);

/* Arrives, and waits for the others.
 *
 * Returns    1 for one of them, the leader; 0 for the others; -ECANCELED, -ETIMEDOUT: it has not
 *            arrived, and the others wait on, unless the last one came at that very moment
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_barrier_wait(skua_barrier *barrier);

/* Makes a future of an arrival: ready as skua_barrier_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_barrier_wait_init(skua_sync_future *wait, skua_barrier *barrier);

/* ---- once ------------------------------------------------------------------------------------ */

/* Something that is done once, by whoever comes first. Zeroed memory is one, too. */
typedef struct skua_once {
    skua_gate gate;
} skua_once;

#define SKUA_ONCE_INIT                                                                             \
    {                                                                                              \
        {                                                                                          \
            0, {NULL, NULL}, 0                                                                     \
        }                                                                                          \
    }

/* Runs fn(arg), unless it has succeeded before; waits while another runs it. When it fails, the
 * next caller (one that waits, too) runs it again.
 *
 * fn         may wait; 0 or a count: done; negative: failed
 * Returns    0: it is done; fn's error to who ran it; -ECANCELED, -ETIMEDOUT of a wait
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_once_run(skua_once *once, skua_fiber_fn fn, void *arg);

/* Whether it is done.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_once_done(const skua_once *once);

#ifndef __cplusplus
/* The waits in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Cancel     as the futures above
 * Since      0.2
 */
#define skua_notify_waiting(notify) skua_notified_init(SKUA__WAIT, (notify))
#define skua_event_waiting(event) skua_event_wait_init(SKUA__WAIT, (event))
#define skua_wait_group_waiting(group) skua_wait_group_wait_init(SKUA__WAIT, (group))
#define skua_barrier_waiting(barrier) skua_barrier_wait_init(SKUA__WAIT, (barrier))
#endif

SKUA_C_END

#endif
