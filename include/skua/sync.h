/* sync.h - locks between tasks: mutex, rwlock, semaphore; what notify.h builds on, too.
 *
 * Each lives in the caller's memory, is made by SKUA_X_INIT (or an _init function), and needs no
 * free. Each works between fibers, poll tasks and plain threads of any runtime, with the same call:
 * on a fiber it parks, on a plain thread it sleeps; a poll task awaits the future that the
 * …_init function makes. Waiting allocates nothing.
 *
 *     static skua_mutex mutex = SKUA_MUTEX_INIT;
 *
 *     if (skua_mutex_lock(&mutex) == 0) {
 *         ...
 *         skua_mutex_unlock(&mutex);
 *     }
 *
 * Order      first in, first out, for everything that hands something out.
 * Cancel     every wait is safe: a wait that is dropped (cancelled, out of time, lost in a select)
 *            has taken nothing; what it was granted at that moment goes to the next in line.
 * Memory     what was done before an unlock, release, set, done or notify is seen by who is let in
 *            by it. An object may be freed by whoever is let in last.
 * Budget     each call that does not wait spends one unit of its turn's budget.
 * Source     Tokio's sync (fairness, cancellation), with C's shape.
 */
#ifndef SKUA_SYNC_H
#define SKUA_SYNC_H

#include <skua/task.h>

SKUA_C_BEGIN

/* ---- what the objects are made of: private --------------------------------------------------- */

typedef struct skua_waiter {
    struct skua_waiter *next, *prev;
    skua_waker *waker;
    uint64_t value;
    uint32_t state;
} skua_waiter;

typedef struct skua_waiter_list {
    skua_waiter *first, *last;
} skua_waiter_list;

typedef struct skua_gate {
    uint64_t number;
    skua_waiter_list waiters;
    uint8_t lock;
} skua_gate;

/* A wait of any kind, for futures; its members are private. */
typedef struct skua_sync_future {
    skua_future future;
    void *object;
    uint64_t value;
    skua_waiter waiter;
} skua_sync_future;

#ifndef __cplusplus
/* Room for one in the caller's block. */
#define SKUA__WAIT (&(skua_sync_future){.value = 0})
#endif

/* ---- semaphore ------------------------------------------------------------------------------- */

/* The most permits a semaphore holds. */
#define SKUA_SEMAPHORE_MAX ((size_t)0x1fffffff)

typedef struct skua_semaphore {
    uint64_t state;
    skua_waiter_list waiters;
    uint8_t lock;
} skua_semaphore;

#define SKUA_SEMAPHORE_INIT(permits)                                                               \
    {                                                                                              \
        (uint64_t)(permits) * 4, {NULL, NULL}, 0                                                   \
    }

/* Makes a semaphore.
 *
 * permits    free at the beginning; at most SKUA_SEMAPHORE_MAX
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_semaphore_init(skua_semaphore *sema, size_t permits);

/* Takes permits; waits in line until all of them are free.
 *
 * A request waits for its turn however small it is: a large one in front is not passed.
 *
 * permits    at most SKUA_SEMAPHORE_MAX; 0 takes none, and fails only when it is closed
 * Returns    0; SKUA_ECLOSED; -EINVAL; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_semaphore_acquire(skua_semaphore *sema, size_t permits);

/* As skua_semaphore_acquire, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_semaphore_acquire
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_semaphore_acquire_until(skua_semaphore *sema, size_t permits,
                                                         int64_t deadline);

/* Takes permits if they are free now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_semaphore_try_acquire(skua_semaphore *sema, size_t permits);

/* Gives permits back, or adds new ones: they need not have been taken.
 *
 * Returns    0; -EINVAL when there would be more than SKUA_SEMAPHORE_MAX free
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_semaphore_release(skua_semaphore *sema, size_t permits);

/* Takes free permits out for good, as many as there are up to `permits`.
 *
 * Returns    how many
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_semaphore_forget(skua_semaphore *sema, size_t permits);

/* The permits that are free now.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_semaphore_available(const skua_semaphore *sema);

/* Closes it: who waits and who comes gets SKUA_ECLOSED. What was taken may still be released.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_semaphore_close(skua_semaphore *sema);

/* Makes a future of an acquire: ready as skua_semaphore_acquire returns.
 *
 * Returns    &acquire->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_semaphore_acquire_init(skua_sync_future *acquire, skua_semaphore *sema,
                                                  size_t permits);

/* ---- mutex ----------------------------------------------------------------------------------- */

/* A lock that may be held over waits. For a few instructions without a wait a thread's mutex does
 * as well. Not recursive. */
typedef struct skua_mutex {
    skua_semaphore semaphore;
} skua_mutex;

#define SKUA_MUTEX_INIT                                                                            \
    {                                                                                              \
        SKUA_SEMAPHORE_INIT(1)                                                                     \
    }

/* Locks; waits in line.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT: not locked
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mutex_lock(skua_mutex *mutex);

/* As skua_mutex_lock, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_mutex_lock
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mutex_lock_until(skua_mutex *mutex, int64_t deadline);

/* Locks if it is free now.
 *
 * Returns    0; -EAGAIN
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_mutex_try_lock(skua_mutex *mutex);

/* Unlocks: the first in line has it.
 *
 * Returns    0; SKUA_EUSAGE when it is not locked
 * Threads    any, also another one than locked it
 * Since      0.2
 */
SKUA_API int skua_mutex_unlock(skua_mutex *mutex);

/* Makes a future of a lock: ready as skua_mutex_lock returns.
 *
 * Returns    &lock->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_mutex_lock_init(skua_sync_future *lock, skua_mutex *mutex);

/* ---- rwlock ---------------------------------------------------------------------------------- */

/* As many readers at once. */
#define SKUA_RWLOCK_READERS SKUA_SEMAPHORE_MAX

/* Many readers, or one writer. First in, first out: a writer in line keeps later readers behind
 * it, so that it does not starve; a reader that holds it must not take it again. */
typedef struct skua_rwlock {
    skua_semaphore semaphore;
} skua_rwlock;

#define SKUA_RWLOCK_INIT                                                                           \
    {                                                                                              \
        SKUA_SEMAPHORE_INIT(SKUA_RWLOCK_READERS)                                                   \
    }

/* Locks for reading.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rwlock_read(skua_rwlock *rwlock);

/* As skua_rwlock_read, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_rwlock_read
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rwlock_read_until(skua_rwlock *rwlock, int64_t deadline);

/* Locks for writing.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rwlock_write(skua_rwlock *rwlock);

/* As skua_rwlock_write, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_rwlock_write
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rwlock_write_until(skua_rwlock *rwlock, int64_t deadline);

/* Locks for reading if it can be had now, and nobody is in line.
 *
 * Returns    0; -EAGAIN
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rwlock_try_read(skua_rwlock *rwlock);

/* Locks for writing if it can be had now.
 *
 * Returns    0; -EAGAIN
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rwlock_try_write(skua_rwlock *rwlock);

/* Ends a read.
 *
 * Returns    0; SKUA_EUSAGE when nobody holds it
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_rwlock_read_unlock(skua_rwlock *rwlock);

/* Ends a write.
 *
 * Returns    0; SKUA_EUSAGE when no writer holds it
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_rwlock_write_unlock(skua_rwlock *rwlock);

/* Makes a reader of the writer, without letting another writer in between.
 *
 * Returns    0; SKUA_EUSAGE when no writer holds it
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_rwlock_downgrade(skua_rwlock *rwlock);

/* Makes a future of a read: ready as skua_rwlock_read returns.
 *
 * Returns    &read->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_rwlock_read_init(skua_sync_future *read, skua_rwlock *rwlock);

/* Makes a future of a write: ready as skua_rwlock_write returns.
 *
 * Returns    &write->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_rwlock_write_init(skua_sync_future *write, skua_rwlock *rwlock);

#ifndef __cplusplus
/* The four waits in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
#define skua_semaphore_acquiring(sema, permits)                                                    \
    skua_semaphore_acquire_init(SKUA__WAIT, (sema), (permits))
#define skua_mutex_locking(mutex) skua_mutex_lock_init(SKUA__WAIT, (mutex))
#define skua_rwlock_reading(rwlock) skua_rwlock_read_init(SKUA__WAIT, (rwlock))
#define skua_rwlock_writing(rwlock) skua_rwlock_write_init(SKUA__WAIT, (rwlock))
#endif

SKUA_C_END

#endif
