/* flow.h - several futures at a time: select, join, timeout.
 *
 * These functions await futures together in one task: no task is spawned, nothing is allocated.
 * Whatever they return, all futures that they were given are finished afterwards: ready or dropped,
 * each exactly once, in the order of the array. So nothing refers to them any more, and whatever
 * says "Cancel safe" in its header loses nothing when it is dropped.
 *
 *     switch (skua_select(skua_event_wait_init(&wait, &stop),       0
 *                         skua_reading(tcp, buf, sizeof buf),       1
 *                         idle ? skua_sleeping(SKUA_SECOND) : NULL  2, only when idle
 *                         )) {
 *
 * Nesting    each of them is a future, too (skua_select_future …): for poll tasks, for a select in
 *            a select, for a timeout around a join.
 * Cost       a wake asks each future that is not ready yet: right for dozens. Thousands are
 *            tasks in a scope (task.h).
 * Budget     one unit for all futures together (see skua_future_poll).
 * Cancelling the task's cancellation and deadline end the wait: everything is dropped. An answer
 *            that is there at the same time wins.
 * Source     Tokio's select!, join!, try_join! and timeout; Go's select for the default branch.
 */
#ifndef SKUA_FLOW_H
#define SKUA_FLOW_H

#include <skua/time.h>

SKUA_C_BEGIN

/* ---- select: the first one ------------------------------------------------------------------- */

/* The most branches of a select. */
#define SKUA_SELECT_MAX 64

typedef struct skua_select_options {
    size_t size;      /* stamped by the macro */
    int64_t deadline; /* monotonic ns (default 0: none but the task's own) */
    unsigned biased;  /* 1: branches are asked in order, the first that is ready wins (default 0:
                         a random one is asked first, then the others in turn) */
    unsigned try_;    /* 1: does not wait for a branch: -EAGAIN when none is ready (default 0) */
} skua_select_options;

/* A select. Its members are private. */
typedef struct skua_select_future {
    skua_future future;
    skua_future *const *futures; /* the caller's; constant, as all but the timer */
    int64_t *result;
    size_t count;
    int32_t refused; /* why it ends when it is polled first, or 0 */
    uint8_t biased;
    uint8_t try_;
    skua_sleep_future timer;
} skua_select_future;

/* Waits for the first of several futures, and drops the others before it returns.
 *
 * Without .biased none of the branches that are ready is favoured for its place: each wins one
 * time in `count` at least, on average.
 *
 * futures    the branches. NULL is one that is switched off, for conditions: `wanted ? f : NULL`
 * count      1 to SKUA_SELECT_MAX
 * options    NULL = defaults
 * result     receives the winner's result; NULL = not wanted; untouched when none has won
 * Returns    the winner's index, whatever its result is; -ECANCELED, -ETIMEDOUT (the task's end, or
 *            the deadline's); -EAGAIN with .try_; SKUA_EUSAGE: no or too many branches, all of them
 *            NULL without .try_, or inside a poll task; -EINVAL for options that do not exist
 * Threads    fibers, plain threads (there without the futures of net.h, which are a task's)
 * Cancel     safe when its branches are
 * Since      0.2
 */
SKUA_API int skua_select_from(skua_future *const *futures, size_t count,
                              const skua_select_options *options, int64_t *result);

/* Makes a future of a select: ready as skua_select_from returns. The options are copied.
 *
 * futures    in place until it is finished, as what it points at and `result`
 * Returns    &select->future
 * Threads    where it is awaited
 * Cancel     safe when its branches are
 * Since      0.2
 */
SKUA_API skua_future *skua_select_init(skua_select_future *select, skua_future *const *futures,
                                       size_t count, const skua_select_options *options,
                                       int64_t *result);

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_select_options_init(skua_select_options *options);

#ifndef __cplusplus
#define SKUA_SELECT_OPTIONS(...)                                                                   \
    (&(const skua_select_options){.size = sizeof(skua_select_options), __VA_ARGS__})

/* An array in the caller's block, and its length; the futures are made once: sizeof only looks. */
#define SKUA__FUTURES(...) ((skua_future *const[]){__VA_ARGS__})
#define SKUA__BRANCHES(...)                                                                        \
    SKUA__FUTURES(__VA_ARGS__), (sizeof SKUA__FUTURES(__VA_ARGS__) / sizeof(skua_future *))

/* skua_select_from over its arguments, futures or NULL: all defaults; with the result wanted; in
 * order; or without waiting, which makes -EAGAIN the default branch. What other libraries call race
 * is skua_select, or skua_select_to when the winner's result is what counts.
 *
 * Returns    as skua_select_from
 * Threads    as skua_select_from
 * Since      0.2
 */
#define skua_select(...) skua_select_from(SKUA__BRANCHES(__VA_ARGS__), NULL, NULL)
#define skua_select_to(result, ...) skua_select_from(SKUA__BRANCHES(__VA_ARGS__), NULL, (result))
#define skua_select_biased(...)                                                                    \
    skua_select_from(SKUA__BRANCHES(__VA_ARGS__), SKUA_SELECT_OPTIONS(.biased = 1), NULL)
#define skua_try_select(...)                                                                       \
    skua_select_from(SKUA__BRANCHES(__VA_ARGS__), SKUA_SELECT_OPTIONS(.try_ = 1), NULL)
#define skua_race(...) skua_select(__VA_ARGS__)

/* A select in the caller's block: a branch of another, work under a timeout.
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_selecting(...)                                                                        \
    skua_select_init(&(skua_select_future){.future = {0}}, SKUA__BRANCHES(__VA_ARGS__), NULL, NULL)
#endif

/* ---- join: all of them ----------------------------------------------------------------------- */

/* A join of futures, of either kind. Its members are private. */
typedef struct skua_join_all_future {
    skua_future future;
    skua_future *const *futures; /* the caller's; constant, as the next two */
    int64_t *results;
    size_t count;
    size_t ready; /* all before this one are */
    uint8_t fails_fast;
    uint8_t begun;
} skua_join_all_future;

/* Waits until all futures are ready, whatever their results are.
 *
 * futures    each of them once; NULL counts as ready, with 0
 * results    receives the result of each; of one that was dropped it is SKUA_PENDING. NULL = not
 *            wanted
 * count      of both; 0 returns at once
 * Returns    0; -ECANCELED, -ETIMEDOUT: those that were not ready are dropped; SKUA_EUSAGE inside
 *            a poll task
 * Threads    as skua_select_from
 * Cancel     safe when its futures are; `results` tells which of them were ready
 * Since      0.2
 */
SKUA_API int skua_join_all(skua_future *const *futures, int64_t *results, size_t count);

/* Waits until all futures are ready, or until one of them has failed: the others are dropped.
 *
 * futures, results, count   as for skua_join_all
 * Returns    0; the first negative result; else as skua_join_all
 * Threads    as skua_select_from
 * Cancel     as skua_join_all
 * Since      0.2
 */
SKUA_API int64_t skua_try_join(skua_future *const *futures, int64_t *results, size_t count);

/* Makes a future of that: ready as skua_join_all returns.
 *
 * futures    in place until it is finished, as what it points at and `results`
 * Returns    &join->future
 * Threads    where it is awaited
 * Cancel     as skua_join_all
 * Since      0.2
 */
SKUA_API skua_future *skua_join_all_init(skua_join_all_future *join, skua_future *const *futures,
                                         int64_t *results, size_t count);

/* Makes a future of that: ready as skua_try_join returns.
 *
 * Returns    &join->future
 * Threads    where it is awaited
 * Cancel     as skua_join_all
 * Since      0.2
 */
SKUA_API skua_future *skua_try_join_init(skua_join_all_future *join, skua_future *const *futures,
                                         int64_t *results, size_t count);

/* ---- timeout --------------------------------------------------------------------------------- */

/* A future with a bound. Its members are private. */
typedef struct skua_timeout_future {
    skua_future future;
    skua_future *work; /* the caller's; constant, as the next */
    int64_t *result;
    skua_sleep_future timer;
} skua_timeout_future;

/* Waits for a future, for a while at most.
 *
 * The work is asked before the clock: what is ready wins over a time that is up. Unlike
 * skua_await_until this tells the work's own -ETIMEDOUT from its own.
 *
 * future     the work
 * duration   ns from now; with 0 or less the work is asked once
 * result     receives the work's result; NULL = not wanted; untouched when it has none
 * Returns    0: the work was ready; -ETIMEDOUT, -ECANCELED: the work was dropped; SKUA_EUSAGE
 *            inside a poll task
 * Threads    as skua_select_from
 * Cancel     safe when the work is
 * Since      0.2
 */
SKUA_API int skua_timeout(skua_future *future, int64_t duration, int64_t *result);

/* Waits for a future, until a moment at most.
 *
 * deadline   monotonic ns
 * Returns    as skua_timeout
 * Threads    as skua_select_from
 * Cancel     safe when the work is
 * Since      0.2
 */
SKUA_API int skua_timeout_at(skua_future *future, int64_t deadline, int64_t *result);

/* Makes a future of that: ready as skua_timeout returns; `duration` counts from this call.
 *
 * future     the work, in place until it is finished, as `result`
 * Returns    &timeout->future
 * Threads    where it is awaited
 * Cancel     safe when the work is
 * Since      0.2
 */
SKUA_API skua_future *skua_timeout_init(skua_timeout_future *timeout, skua_future *future,
                                        int64_t duration, int64_t *result);

/* Makes a future of that: ready as skua_timeout_at returns.
 *
 * Returns    &timeout->future
 * Threads    where it is awaited
 * Cancel     safe when the work is
 * Since      0.2
 */
SKUA_API skua_future *skua_timeout_at_init(skua_timeout_future *timeout, skua_future *future,
                                           int64_t deadline, int64_t *result);

SKUA_C_END

#endif
