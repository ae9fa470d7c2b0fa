/* token.h - telling many to stop, and waiting until they have: cancellation tokens, task trackers.
 *
 * A scope cancels and joins its children (task.h): that is mostly what you want. A token is for
 * what cuts across: "the server stops", told to tasks of many scopes and runtimes, each of which
 * decides what to do about it. A tracker counts tasks that nobody joins, and waits for the last.
 *
 *     skua_token *stop;
 *
 *     rc = skua_token_new(&stop, NULL);
 *     ...
 *     while (skua_token_is_cancelled(stop) == 0)   in one task
 *         ...
 *     skua_token_cancel(stop);                     in another
 *
 * Source     tokio-util's CancellationToken and TaskTracker.
 */
#ifndef SKUA_TOKEN_H
#define SKUA_TOKEN_H

#include <skua/sync.h>

SKUA_C_BEGIN

/* ---- cancellation tokens --------------------------------------------------------------------- */

typedef struct skua_token skua_token;

/* Makes a token; with a parent, one that is cancelled with it.
 *
 * ret        receives the token, to be ended by skua_token_unref
 * parent     NULL: none. A child of a cancelled one is cancelled from the beginning.
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_token_new(skua_token **ret, skua_token *parent);

/* Another reference, for another owner.
 *
 * Returns    the token
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_token *skua_token_ref(skua_token *token);

/* Gives a reference back; the last one ends the token. Its children stay, and are still cancelled
 * with its parents.
 *
 * token      NULL does nothing
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_token_unref(skua_token *token);

/* Cancels it and all that descend from it, and nothing else. For good; a second time does nothing.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_token_cancel(skua_token *token);

/* Whether it was cancelled.
 *
 * Returns    1 or 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_token_is_cancelled(const skua_token *token);

/* Waits until it is cancelled.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT of the waiting task
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_token_wait(skua_token *token);

/* Makes a future of that, to be awaited beside others: ready as skua_token_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_token_wait_init(skua_sync_future *wait, skua_token *token);

/* ---- task trackers --------------------------------------------------------------------------- */

#define SKUA_TRACKER_MAX ((size_t)0x7fffffff)

/* Counts what runs. Zeroed memory is one, too. */
typedef struct skua_tracker {
    skua_gate gate;
} skua_tracker;

#define SKUA_TRACKER_INIT                                                                          \
    {                                                                                              \
        {                                                                                          \
            0, {NULL, NULL}, 0                                                                     \
        }                                                                                          \
    }

/* Counts one more, also when it is closed.
 *
 * Returns    0; -EINVAL over SKUA_TRACKER_MAX
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_tracker_enter(skua_tracker *tracker);

/* Counts one less.
 *
 * Returns    0; SKUA_EUSAGE when nothing is counted
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_tracker_leave(skua_tracker *tracker);

/* Spawns a fiber that is counted from now until it has ended.
 *
 * scope      as for skua_spawn
 * Returns    as skua_spawn
 * Threads    as skua_spawn
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_tracker_spawn(skua_tracker *tracker, skua_scope *scope,
                                               skua_fiber_fn fn, void *arg);

/* Says that no more are to come: waits end when it is closed and empty.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_tracker_close(skua_tracker *tracker);

/* Takes that back.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_tracker_reopen(skua_tracker *tracker);

/* How many are counted now.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API size_t skua_tracker_len(const skua_tracker *tracker);

/* Waits until it is closed and empty.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_tracker_wait(skua_tracker *tracker);

/* As skua_tracker_wait, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_tracker_wait
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_tracker_wait_until(skua_tracker *tracker, int64_t deadline);

/* Makes a future of a wait: ready as skua_tracker_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_tracker_wait_init(skua_sync_future *wait, skua_tracker *tracker);

#ifndef __cplusplus
/* The waits in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
#define skua_cancelling(token) skua_token_wait_init(SKUA__WAIT, (token))
#define skua_tracker_waiting(tracker) skua_tracker_wait_init(SKUA__WAIT, (tracker))
#endif

SKUA_C_END

#endif
