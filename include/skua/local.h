/* local.h - locks and signals for the tasks of one worker: no atomics, no locks inside.
 *
 * The same verbs, errors and order as in sync.h and notify.h, with another prefix, for programs
 * that give each thread its own tasks and data. Where several tasks of one worker share something,
 * a lock need not cost more than looking at it.
 *
 *     static _Thread_local skua_local_mutex mutex = SKUA_LOCAL_MUTEX_INIT;
 *
 *     if (skua_local_mutex_lock(&mutex) == 0) {
 *         ...                                     may wait: others of this worker run meanwhile
 *         skua_local_mutex_unlock(&mutex);
 *     }
 *
 * Its thread   an object belongs to the thread that uses it first; making it is no use. All that
 *              use it run there: tasks of a current-thread runtime, fibers that started on the
 *              worker (not SKUA_MIGRATABLE), tasks that were spawned SKUA_PINNED by them, or a
 *              plain thread with futures of its own. So it is with futures, dropping included.
 * Misuse       by another thread is a data race. A debug build of the library ends the process
 *              with a message at any such use; a release build does at those that wait or wake.
 * Everything   else is as there: first in, first out; every wait is safe to cancel; waiting
 *              allocates nothing; a call that does not wait spends one unit of its turn's budget;
 *              an object may be freed by whoever is let in last.
 * Source       Glommio's sync, Tokio's LocalSet.
 */
#ifndef SKUA_LOCAL_H
#define SKUA_LOCAL_H

#include <skua/task.h>

SKUA_C_BEGIN

/* ---- what the objects are made of: private --------------------------------------------------- */

typedef struct skua_local_waiter {
    struct skua_local_waiter *next, *prev;
    skua_waker *waker; /* a reference, while it is in line */
    uint64_t value;
    uint32_t state;
} skua_local_waiter;

typedef struct skua_local_line {
    skua_local_waiter *first, *last;
    const void *thread; /* whose it is, or NULL */
} skua_local_line;

/* A wait of any kind, for futures; its members are private. */
typedef struct skua_local_future {
    skua_future future;
    void *object;
    uint64_t value;
    skua_local_waiter waiter;
} skua_local_future;

/* ---- semaphore ------------------------------------------------------------------------------- */

/* The most permits a semaphore holds. */
#define SKUA_LOCAL_SEMAPHORE_MAX ((size_t)0x1fffffff)

typedef struct skua_local_semaphore {
    uint64_t permits; /* that are free */
    skua_local_line waiters;
    uint8_t closed;
} skua_local_semaphore;

#define SKUA_LOCAL_SEMAPHORE_INIT(permits)                                                         \
    {                                                                                              \
        (uint64_t)(permits), {NULL, NULL, NULL}, 0                                                 \
    }

/* Makes a semaphore.
 *
 * permits    free at the beginning; at most SKUA_LOCAL_SEMAPHORE_MAX
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_local_semaphore_init(skua_local_semaphore *sema, size_t permits);

/* Takes permits; waits in line until all of them are free.
 *
 * A request waits for its turn however small it is: a large one in front is not passed.
 *
 * permits    at most SKUA_LOCAL_SEMAPHORE_MAX; 0 takes none, and fails only when it is closed
 * Returns    0; SKUA_ECLOSED; -EINVAL; -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_semaphore_acquire(skua_local_semaphore *sema,
                                                         size_t permits);

/* As skua_local_semaphore_acquire, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_semaphore_acquire
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_semaphore_acquire_until(skua_local_semaphore *sema,
                                                               size_t permits, int64_t deadline);

/* Takes permits if they are free now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -EINVAL
 * Threads    its thread
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_semaphore_try_acquire(skua_local_semaphore *sema,
                                                             size_t permits);

/* Gives permits back, or adds new ones: they need not have been taken.
 *
 * Returns    0; -EINVAL when there would be more than SKUA_LOCAL_SEMAPHORE_MAX free
 * Threads    its thread
 * Since      0.2
 */
SKUA_API int skua_local_semaphore_release(skua_local_semaphore *sema, size_t permits);

/* Takes free permits out for good, as many as there are up to `permits`.
 *
 * Returns    how many
 * Threads    its thread
 * Since      0.2
 */
SKUA_API size_t skua_local_semaphore_forget(skua_local_semaphore *sema, size_t permits);

/* The permits that are free now.
 *
 * Returns    the count
 * Threads    its thread
 * Since      0.2
 */
SKUA_API size_t skua_local_semaphore_available(const skua_local_semaphore *sema);

/* Closes it: who waits and who comes gets SKUA_ECLOSED. What was taken may still be released.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_semaphore_close(skua_local_semaphore *sema);

/* Makes a future of an acquire: ready as skua_local_semaphore_acquire returns.
 *
 * Returns    &acquire->future
 * Threads    its thread
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_local_semaphore_acquire_init(skua_local_future *acquire,
                                                        skua_local_semaphore *sema, size_t permits);

/* ---- mutex ----------------------------------------------------------------------------------- */

/* A lock that may be held over waits; between two waits no other task of the worker runs, and no
 * lock is needed. Not recursive. */
typedef struct skua_local_mutex {
    skua_local_semaphore semaphore;
} skua_local_mutex;

#define SKUA_LOCAL_MUTEX_INIT                                                                      \
    {                                                                                              \
        SKUA_LOCAL_SEMAPHORE_INIT(1)                                                               \
    }

/* Locks; waits in line.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT: not locked
 * Threads    its thread: fibers, plain
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_mutex_lock(skua_local_mutex *mutex);

/* As skua_local_mutex_lock, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_mutex_lock
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_mutex_lock_until(skua_local_mutex *mutex, int64_t deadline);

/* Locks if it is free now.
 *
 * Returns    0; -EAGAIN
 * Threads    its thread
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_mutex_try_lock(skua_local_mutex *mutex);

/* Unlocks: the first in line has it.
 *
 * Returns    0; SKUA_EUSAGE when it is not locked
 * Threads    its thread, also another task than locked it
 * Since      0.2
 */
SKUA_API int skua_local_mutex_unlock(skua_local_mutex *mutex);

/* Makes a future of a lock: ready as skua_local_mutex_lock returns.
 *
 * Returns    &lock->future
 * Threads    its thread
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_local_mutex_lock_init(skua_local_future *lock, skua_local_mutex *mutex);

/* ---- rwlock ---------------------------------------------------------------------------------- */

/* As many readers at once. */
#define SKUA_LOCAL_RWLOCK_READERS SKUA_LOCAL_SEMAPHORE_MAX

/* Many readers, or one writer. First in, first out: a writer in line keeps later readers behind
 * it, so that it does not starve; a reader that holds it must not take it again. */
typedef struct skua_local_rwlock {
    skua_local_semaphore semaphore;
} skua_local_rwlock;

#define SKUA_LOCAL_RWLOCK_INIT                                                                     \
    {                                                                                              \
        SKUA_LOCAL_SEMAPHORE_INIT(SKUA_LOCAL_RWLOCK_READERS)                                       \
    }

/* Locks for reading.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_rwlock_read(skua_local_rwlock *rwlock);

/* As skua_local_rwlock_read, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_rwlock_read
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_rwlock_read_until(skua_local_rwlock *rwlock,
                                                         int64_t deadline);

/* Locks for writing.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_rwlock_write(skua_local_rwlock *rwlock);

/* As skua_local_rwlock_write, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_rwlock_write
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_rwlock_write_until(skua_local_rwlock *rwlock,
                                                          int64_t deadline);

/* Locks for reading if it can be had now, and nobody is in line.
 *
 * Returns    0; -EAGAIN
 * Threads    its thread
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_rwlock_try_read(skua_local_rwlock *rwlock);

/* Locks for writing if it can be had now.
 *
 * Returns    0; -EAGAIN
 * Threads    its thread
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_rwlock_try_write(skua_local_rwlock *rwlock);

/* Ends a read.
 *
 * Returns    0; SKUA_EUSAGE when nobody holds it
 * Threads    its thread
 * Since      0.2
 */
SKUA_API int skua_local_rwlock_read_unlock(skua_local_rwlock *rwlock);

/* Ends a write.
 *
 * Returns    0; SKUA_EUSAGE when no writer holds it
 * Threads    its thread
 * Since      0.2
 */
SKUA_API int skua_local_rwlock_write_unlock(skua_local_rwlock *rwlock);

/* Makes a reader of the writer, without letting another writer in between.
 *
 * Returns    0; SKUA_EUSAGE when no writer holds it
 * Threads    its thread
 * Since      0.2
 */
SKUA_API int skua_local_rwlock_downgrade(skua_local_rwlock *rwlock);

/* Makes a future of a read: ready as skua_local_rwlock_read returns.
 *
 * Returns    &read->future
 * Threads    its thread
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_local_rwlock_read_init(skua_local_future *read,
                                                  skua_local_rwlock *rwlock);

/* Makes a future of a write: ready as skua_local_rwlock_write returns.
 *
 * Returns    &write->future
 * Threads    its thread
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_local_rwlock_write_init(skua_local_future *write,
                                                   skua_local_rwlock *rwlock);

/* ---- notify ---------------------------------------------------------------------------------- */

/* Tells one task, or all, that something happened. It keeps one permit when nobody waits, so that
 * whoever comes next does not miss it. Zeroed memory is one, too. */
typedef struct skua_local_notify {
    uint64_t calls; /* of skua_local_notify_all */
    skua_local_line waiters;
    uint8_t permit;
} skua_local_notify;

#define SKUA_LOCAL_NOTIFY_INIT                                                                     \
    {                                                                                              \
        0, {NULL, NULL, NULL}, 0                                                                   \
    }

/* Waits to be told; takes the permit, if there is one.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe: what it was told goes to the next in line
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_notified(skua_local_notify *notify);

/* As skua_local_notified, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_notified
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_notified_until(skua_local_notify *notify, int64_t deadline);

/* Makes a future of a wait: ready as skua_local_notified returns. skua_local_notify_all after this
 * call reaches it, before it is polled for the first time, too.
 *
 * Returns    &notified->future
 * Threads    its thread
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_local_notified_init(skua_local_future *notified,
                                               skua_local_notify *notify);

/* Tells the first in line; when nobody waits, whoever comes next.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_notify_one(skua_local_notify *notify);

/* Tells the last in line, whose data are the warmest; when nobody waits, whoever comes next.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_notify_last(skua_local_notify *notify);

/* Tells everybody who waits now; leaves no permit.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_notify_all(skua_local_notify *notify);

/* ---- event ----------------------------------------------------------------------------------- */

/* Something that has happened, or not yet; it stays so until it is reset. Zeroed memory is one. */
typedef struct skua_local_event {
    skua_local_line waiters;
    uint8_t set;
} skua_local_event;

#define SKUA_LOCAL_EVENT_INIT                                                                      \
    {                                                                                              \
        {NULL, NULL, NULL}, 0                                                                      \
    }

/* Waits until it is set.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    its thread: fibers, plain
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_event_wait(skua_local_event *event);

/* As skua_local_event_wait, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_local_event_wait
 * Threads    its thread: fibers, plain
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_local_event_wait_until(skua_local_event *event, int64_t deadline);

/* Makes a future of a wait: ready as skua_local_event_wait returns.
 *
 * Returns    &wait->future
 * Threads    its thread
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_local_event_wait_init(skua_local_future *wait, skua_local_event *event);

/* Sets it: everybody who waits goes on, even if it is reset at once.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_event_set(skua_local_event *event);

/* Takes it back.
 *
 * Threads    its thread
 * Since      0.2
 */
SKUA_API void skua_local_event_reset(skua_local_event *event);

/* Whether it is set.
 *
 * Returns    1 or 0
 * Threads    its thread
 * Since      0.2
 */
SKUA_API int skua_local_event_is_set(const skua_local_event *event);

/* ---- in the caller's block ------------------------------------------------------------------- */

#ifndef __cplusplus
/* The futures of above in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    its thread
 * Since      0.2
 */
#define skua_local_semaphore_acquiring(sema, permits)                                              \
    skua_local_semaphore_acquire_init(SKUA__LOCAL_FUTURE, (sema), (permits))
#define skua_local_mutex_locking(mutex) skua_local_mutex_lock_init(SKUA__LOCAL_FUTURE, (mutex))
#define skua_local_rwlock_reading(rwlock) skua_local_rwlock_read_init(SKUA__LOCAL_FUTURE, (rwlock))
#define skua_local_rwlock_writing(rwlock) skua_local_rwlock_write_init(SKUA__LOCAL_FUTURE, (rwlock))
#define skua_local_notify_waiting(notify) skua_local_notified_init(SKUA__LOCAL_FUTURE, (notify))
#define skua_local_event_waiting(event) skua_local_event_wait_init(SKUA__LOCAL_FUTURE, (event))

#define SKUA__LOCAL_FUTURE (&(skua_local_future){.future = {0}})
#endif

SKUA_C_END

#endif
