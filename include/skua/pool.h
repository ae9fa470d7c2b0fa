/* pool.h - a pool of objects that are dear to make: connections, sessions, large buffers.
 *
 * The pool makes objects when they are asked for, up to a bound, and keeps those that are put back
 * for the next who asks. Who finds none waits in line.
 *
 *     rc = skua_pool_new(&pool, SKUA_POOL_OPTIONS(.create = dial, .destroy = hang_up, .ctx = "db",
 *                                                 .max = 20, .idle_timeout = SKUA_MINUTE));
 *     ...
 *     if (skua_pool_get(pool, &conn) == 0) {
 *         rc = query(conn);
 *         if (rc == 0)
 *             skua_pool_put(pool, conn);
 *         else
 *             skua_pool_discard(pool, conn);
 *     }
 *
 * Order      first in, first out, for who waits; last in, first out, for objects: the one used last
 *            is the warmest, and those that are not needed grow old and go.
 * Callbacks  create, check and destroy run in the task that gets or puts, never under a lock; on a
 *            fiber they may wait. So a get is a direct call, and no future: a poll task leaves it
 *            to a fiber.
 * Bound      an object counts from before its create until after its destroy: there are never more
 *            than .max alive.
 * Time       there is no task in the background: what has grown too old is never handed out, and
 *            goes one by one with the puts that come, or at once by skua_pool_reap.
 * Source     Go's database/sql, deadpool, HikariCP.
 */
#ifndef SKUA_POOL_H
#define SKUA_POOL_H

#include <skua/sync.h>

SKUA_C_BEGIN

typedef struct skua_pool skua_pool;

/* The most objects of a pool. */
#define SKUA_POOL_MAX ((size_t)65536)

typedef struct skua_pool_options {
    size_t size; /* stamped by the macro */
    /* Makes an object: 0, with it in *object; or a negative code, which is the get's answer. On a
     * fiber it may wait. Required. */
    int (*create)(void *ctx, void **object);
    void (*destroy)(void *ctx, void *object); /* ends an object (default: nothing to do) */
    /* Whether an object that was used before may be used again: not 0; asked before it is handed
     * out (default: it may). */
    int (*check)(void *ctx, void *object);
    void *ctx;            /* for these three, the caller's (default NULL) */
    size_t max;           /* objects alive, 1 to SKUA_POOL_MAX (default 10) */
    size_t max_idle;      /* objects kept while nobody uses them, at most .max (default: .max) */
    int64_t idle_timeout; /* ns unused after which an object goes (default 0: it stays) */
    int64_t max_lifetime; /* ns after its create when it is not handed out or kept any more
                             (default 0: no bound) */
} skua_pool_options;

/* What a pool holds. */
typedef struct skua_pool_counts {
    size_t alive;   /* objects: idle, out, and those that are being made or ended */
    size_t idle;    /* of these, ready to be handed out */
    size_t waiting; /* calls in line */
} skua_pool_counts;

#ifndef __cplusplus
#define SKUA_POOL_OPTIONS(...)                                                                     \
    (&(const skua_pool_options){.size = sizeof(skua_pool_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_pool_options_init(skua_pool_options *options);

/* Makes a pool, with no object in it. It keeps a record for each object there may be, made here:
 * nothing is allocated later but by `create`.
 *
 * ret        receives the pool; untouched on failure
 * options    copied; `ctx` is in place as long as the pool
 * Returns    0; -ENOMEM, -EINVAL
 * Ownership  the caller's, to be ended by skua_pool_free
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_pool_new(skua_pool **ret, const skua_pool_options *options);

/* Takes an object: an idle one, or a new one; else waits in line for one, or for the room to make
 * one. An idle one that has grown too old, or that `check` refuses, is destroyed, and another one
 * made. When `create` fails, the room goes to the next in line, who tries in turn.
 *
 * object     receives it; untouched on failure
 * Returns    0; what `create` failed with; SKUA_ECLOSED; -ECANCELED, -ETIMEDOUT; SKUA_EUSAGE inside
 *            a poll task
 * Ownership  the caller's, until it is put back or discarded
 * Threads    fibers, plain threads
 * Cancel     safe: what it was given in line goes to the next
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_pool_get(skua_pool *pool, void **object);

/* As skua_pool_get, in line at most until `deadline`; with one that has passed it does not wait in
 * line. What `create` waits for is bounded by the task's deadline alone.
 *
 * deadline   monotonic ns
 * Returns    as skua_pool_get
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_pool_get_until(skua_pool *pool, void **object, int64_t deadline);

/* Takes an idle object, if there is one that is good. Makes none: `create` might wait.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED
 * Threads    any; waits only if `check` or `destroy` do
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_pool_try_get(skua_pool *pool, void **object);

/* Gives an object back: to the first in line, or to the idle ones. One that is too old or too many,
 * or whose pool was closed, is destroyed.
 *
 * object     of this pool, and out
 * Returns    0; SKUA_EUSAGE: it is not one of this pool's that is out (never got here, or put back
 *            twice, unless somebody else has got it in between)
 * Threads    any; waits only if `destroy` does
 * Since      0.2
 */
SKUA_API int skua_pool_put(skua_pool *pool, void *object);

/* Destroys an object that is out: one that is broken. The room for it goes to the first in line.
 *
 * Returns    as skua_pool_put
 * Threads    as skua_pool_put
 * Since      0.2
 */
SKUA_API int skua_pool_discard(skua_pool *pool, void *object);

/* Destroys the idle objects that have grown too old. For a task that calls it now and then, when
 * there may be long times without a get or put.
 *
 * Returns    how many
 * Threads    as skua_pool_put
 * Since      0.2
 */
SKUA_API size_t skua_pool_reap(skua_pool *pool);

/* What it holds now.
 *
 * counts     receives it; it may be something else already
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_pool_count(skua_pool *pool, skua_pool_counts *counts);

/* Closes it: who waits and who comes gets SKUA_ECLOSED; idle objects are destroyed now, those that
 * are out when they are put back. A second time does nothing.
 *
 * Threads    as skua_pool_put
 * Since      0.2
 */
SKUA_API void skua_pool_close(skua_pool *pool);

/* Closes and frees it. Nobody else uses it any more.
 *
 * pool       NULL does nothing
 * Returns    0; -EBUSY: objects are out, or being made or ended: it is closed, but not freed
 * Threads    as skua_pool_put
 * Since      0.2
 */
SKUA_API int skua_pool_free(skua_pool *pool);

SKUA_C_END

#endif
