/* flow.h - several futures at once: select, join, timeout.
 *
 *     skua_sleep_future sleep;
 *     skua_sync_future recv;
 *
 *     switch (skua_select(skua_mpsc_recv_init(&recv, rx, &item),       0
 *                         skua_sleep_init(&sleep, SKUA_SECOND))) {      1
 *     case 0: handle(&item); break;
 *     case 1: flush(); break;
 *     default: return -ECANCELED;                                       this task was cancelled
 *     }
 *
 * The losers of a select are dropped: nothing was received and lost. Everything is in the caller's
 * memory; nothing is allocated. One unit of the turn's budget is spent for all futures of a wait.
 *
 * Source     Tokio's select!, join!, try_join!, time::timeout
 */
#ifndef SKUA_FLOW_H
#define SKUA_FLOW_H

#include <skua/future.h>

SKUA_C_BEGIN

/* The most futures of one select or join. */
#define SKUA_FLOW_MAX 64

/* ---- select ---------------------------------------------------------------------------------- */

/* A select as a future of its own, to be nested, or awaited by a poll task. Members are private. */
typedef struct skua_select_future {
    skua_future future;
    skua_future **futures;
    int64_t *result;
    uint32_t count;
    uint32_t biased;
} skua_select_future;

/* Waits for the first of several futures, and drops the others.
 *
 * Fair: each round of asking begins at another one, so that one that is always ready does not keep
 * the others from winning.
 *
 * futures    `count` of them, the caller's; NULL: left out. All are finished afterwards.
 * count      1 to SKUA_FLOW_MAX
 * result     receives what the winner returned; NULL: not wanted
 * Returns    the winner's index; -ECANCELED, -ETIMEDOUT of the waiting task; SKUA_EUSAGE when all
 *            are NULL; -EINVAL for the count
 * Threads    fibers, plain threads
 * Cancel     safe, if dropping each of them is
 * Since      0.2
 */
SKUA_API int skua_select_from(skua_future **futures, size_t count, int64_t *result);

/* As skua_select_from, but asks in the order of the array: the first that is ready wins.
 *
 * Returns    as skua_select_from
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_select_biased_from(skua_future **futures, size_t count, int64_t *result);

/* Makes a future of a select: ready as skua_select_from returns.
 *
 * futures    stay where they are until it is finished
 * biased     0 or 1
 * Returns    &select->future
 * Threads    where it is awaited
 * Since      0.2
 */
SKUA_API skua_future *skua_select_init(skua_select_future *select, skua_future **futures,
                                       size_t count, int64_t *result, int biased);

#ifndef __cplusplus
/* skua_select(a, b, …): the same for futures that are written out; a condition may leave one out:
 * skua_select(a, ready ? b : NULL). */
#define skua_select(...)                                                                           \
    skua_select_from((skua_future *[]){__VA_ARGS__},                                               \
                     sizeof((skua_future *[]){__VA_ARGS__}) / sizeof(skua_future *), (int64_t *)0)
#define skua_select_biased(...)                                                                    \
    skua_select_biased_from((skua_future *[]){__VA_ARGS__},                                        \
                            sizeof((skua_future *[]){__VA_ARGS__}) / sizeof(skua_future *),        \
                            (int64_t *)0)
#endif

/* ---- join ------------------------------------------------------------------------------------ */

/* A join as a future of its own. Its members are private. */
typedef struct skua_join_all_future {
    skua_future future;
    skua_future **futures;
    int64_t *results;
    uint64_t open; /* which are not ready yet, by bit */
    uint32_t count;
    uint32_t fails_fast;
} skua_join_all_future;

/* Waits for all of several futures.
 *
 * futures    `count` of them, the caller's; NULL: left out
 * results    receives what each returned; NULL: not wanted
 * count      0 to SKUA_FLOW_MAX
 * Returns    0; -ECANCELED, -ETIMEDOUT of the waiting task: those that were not ready are dropped;
 *            -EINVAL for the count
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_join_all(skua_future **futures, int64_t *results, size_t count);

/* As skua_join_all, but the first that fails ends it: the others are dropped.
 *
 * Returns    0; the first negative result; else as skua_join_all
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int skua_try_join(skua_future **futures, int64_t *results, size_t count);

/* Makes a future of a join: ready as skua_join_all or skua_try_join returns.
 *
 * futures    stay where they are until it is finished, as do `results`
 * fails_fast 0: join_all; 1: try_join
 * Returns    &join->future
 * Threads    where it is awaited
 * Since      0.2
 */
SKUA_API skua_future *skua_join_all_init(skua_join_all_future *join, skua_future **futures,
                                         int64_t *results, size_t count, int fails_fast);

/* ---- timeout --------------------------------------------------------------------------------- */

/* Waits for a future for at most a while. Work that is ready wins, also when the time is up.
 *
 * future     finished afterwards
 * duration   ns
 * Returns    the future's result; -ETIMEDOUT: it was dropped; -ECANCELED
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API int64_t skua_timeout(skua_future *future, int64_t duration);

SKUA_C_END

#endif
