/* retry.h - trying again: backoff, retries with a budget, hedged requests.
 *
 * What fails for a moment is tried again, after a pause that grows and is drawn at random, so that
 * many callers do not come back at the same time. Three things bound it: the number of tries, a
 * deadline, and a budget that all callers of a service share: when the service is down, retries do
 * not multiply its load.
 *
 *     static skua_retry_budget budget = SKUA_RETRY_BUDGET_INIT;
 *
 *     rc = skua_retry(fetch, &page,
 *                     SKUA_RETRY_OPTIONS(.try_timeout = SKUA_SECOND,
 *                                        .backoff = SKUA_BACKOFF_OPTIONS(.attempts = 5,
 *                                                                        .budget = &budget)));
 *
 * A hedge is for what is slow instead of failing: a second request is sent when the first has taken
 * longer than most do, and the first answer counts. Both only for what may be done twice.
 *
 * Random     numbers are the worker's: a seeded test (test.h) draws the same pauses again.
 * Source     AWS, "Exponential Backoff and Jitter"; Finagle's RetryBudget, gRPC's A6; Dean and
 *            Barroso, "The Tail at Scale"; tower's retry and hedge.
 */
#ifndef SKUA_RETRY_H
#define SKUA_RETRY_H

#include <skua/task.h>
#include <skua/time.h>

SKUA_C_BEGIN

/* ---- the budget ------------------------------------------------------------------------------ */

/* The most that .percent and .min_per_second may be. */
#define SKUA_RETRY_BUDGET_MAX 100000

/* How many retries there may be, measured by the requests of the last while. Any number of callers
 * share one, on any threads. Its members are private. */
typedef struct skua_retry_budget {
    int64_t slot;      /* ns, a tenth of the window; constant, as the next two */
    int64_t reserve;   /* what is there without any request, in percent of a retry */
    int64_t deposit;   /* what a request brings, in percent of a retry */
    int64_t at;        /* lock: the newest slot's number in time */
    int64_t slots[10]; /* lock: what came in less what went out, by number modulo 10 */
    uint8_t lock;
} skua_retry_budget;

/* One with all defaults. */
#define SKUA_RETRY_BUDGET_INIT                                                                     \
    {                                                                                              \
        SKUA_SECOND, 10000, 20, 0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0                               \
    }

typedef struct skua_retry_budget_options {
    size_t size;        /* stamped by the macro */
    int64_t window;     /* ns that a request counts, 10 ns to an hour (default 10 s) */
    int percent;        /* retries for 100 requests (default 20); negative: none */
    int min_per_second; /* retries beside these, on average over the window (default 10); negative:
                           none */
} skua_retry_budget_options;

#ifndef __cplusplus
#define SKUA_RETRY_BUDGET_OPTIONS(...)                                                             \
    (&(const skua_retry_budget_options){.size = sizeof(skua_retry_budget_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_retry_budget_options_init(skua_retry_budget_options *options);

/* Makes a budget.
 *
 * budget     memory for it, in place as long as it is used; needs no free
 * options    NULL = defaults
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_retry_budget_init(skua_retry_budget *budget,
                                    const skua_retry_budget_options *options);

/* Counts a request. A backoff with a budget does it for its caller.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_retry_budget_deposit(skua_retry_budget *budget);

/* Takes a retry out, if there is one. A backoff with a budget does it for its caller.
 *
 * Returns    0; SKUA_ELIMIT: nothing is left, do not retry
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_retry_budget_try_withdraw(skua_retry_budget *budget);

/* How many retries are left now.
 *
 * Returns    a count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API int64_t skua_retry_budget_balance(skua_retry_budget *budget);

/* ---- backoff --------------------------------------------------------------------------------- */

/* Where in 0 to the bound of a pause it lies; the bound is .initial, and grows with each pause. */
typedef enum skua_jitter {
    SKUA_JITTER_FULL = 0,    /* anywhere (the default): spreads callers best */
    SKUA_JITTER_NONE,        /* at the bound: for one caller alone, and for tests */
    SKUA_JITTER_EQUAL,       /* in the upper half */
    SKUA_JITTER_DECORRELATED /* from .initial to three times the pause before, at most .max; the
                                multiplier is not used */
} skua_jitter;

/* .attempts without a bound. */
#define SKUA_ATTEMPTS_FOREVER UINT32_MAX

typedef struct skua_backoff_options {
    size_t size;               /* stamped by the macro */
    int64_t initial;           /* ns, the first pause's bound (default 100 ms) */
    int64_t max;               /* ns, every pause's bound, not less than .initial (default 10 s, or
                                  .initial if that is more) */
    double multiplier;         /* how the bound grows, 1 or more (default 2) */
    skua_jitter jitter;        /* (default SKUA_JITTER_FULL) */
    uint32_t attempts;         /* tries, with the first one: a pause less (default 3, as most
                                  clients do) */
    int64_t deadline;          /* monotonic ns: no pause ends then or later (default 0: none) */
    int64_t total;             /* the same in ns from the begin (default 0: none) */
    skua_retry_budget *budget; /* borrowed; asked last, for each pause (default NULL: none) */
} skua_backoff_options;

#ifndef __cplusplus
#define SKUA_BACKOFF_OPTIONS(...)                                                                  \
    (&(const skua_backoff_options){.size = sizeof(skua_backoff_options), __VA_ARGS__})
#endif

/* The pauses of one request, for loops that skua_retry does not fit. One owner. Its members are
 * private. */
typedef struct skua_backoff {
    skua_backoff_options options; /* with the defaults filled in */
    int64_t bound;                /* of the next pause; decorrelated: the pause before */
    int64_t deadline;             /* monotonic ns */
    uint32_t left;                /* pauses */
} skua_backoff;

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_backoff_options_init(skua_backoff_options *options);

/* Begins a request: the total time counts from here, and the budget has a request more.
 *
 * backoff    memory for it; needs no free
 * options    NULL = defaults; copied
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_backoff_init(skua_backoff *backoff, const skua_backoff_options *options);

/* Begins the next request with the same options: what skua_backoff_init does. For connections that
 * are kept up: call it when one was made.
 *
 * Threads    its owner
 * Since      0.2
 */
SKUA_API void skua_backoff_reset(skua_backoff *backoff);

/* The pause before the next try. It does not wait: skua_sleep, or a future of time.h, does.
 *
 * Returns    ns, 0 or more; SKUA_ELIMIT: do not try again. All attempts were made; or the pause
 *            would not end before the deadline, or before the calling task's own (not inside a
 *            shield); or the budget has nothing left
 * Threads    its owner
 * Since      0.2
 */
SKUA_API int64_t skua_backoff_next(skua_backoff *backoff);

/* As skua_backoff_next, when the peer has said how long to stay away (Retry-After).
 *
 * hint       ns: the pause is not shorter, also where .max is; 0 or less: it has said nothing
 * Returns    as skua_backoff_next
 * Threads    its owner
 * Since      0.2
 */
SKUA_API int64_t skua_backoff_next_after(skua_backoff *backoff, int64_t hint);

/* ---- retry ----------------------------------------------------------------------------------- */

/* Every callback gets the `arg` of the call, runs where that waits, and must not wait itself. */
typedef struct skua_retry_options {
    size_t size;                         /* stamped by the macro */
    const skua_backoff_options *backoff; /* pauses and bounds (default NULL: its defaults) */
    int64_t try_timeout; /* ns that a try may take; on fibers its waits end then with -ETIMEDOUT, as
                            by skua_deadline_begin (default 0: no bound) */
    int (*retry_if)(int rc, void *arg);    /* not 0: try again after this failure (default: kinds
                                              io, timeout and limit of skua_error_kind) */
    int64_t (*hint_of)(int rc, void *arg); /* the hint for skua_backoff_next_after (default: 0) */
    void (*on_retry)(unsigned attempt, int rc, int64_t pause, void *arg); /* told before each
                         pause: which try it was, from 1, how it ended, ns (default: nobody) */
} skua_retry_options;

#ifndef __cplusplus
#define SKUA_RETRY_OPTIONS(...)                                                                    \
    (&(const skua_retry_options){.size = sizeof(skua_retry_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_retry_options_init(skua_retry_options *options);

/* Calls fn(arg) until it succeeds, with pauses.
 *
 * A try that ran out of its own time is a failure like any other; when the task's deadline has
 * passed, or it is cancelled, that ends all.
 *
 * fn         0 or more: done; a negative code: failed
 * arg        the caller's, for fn and the callbacks
 * options    NULL = defaults
 * Returns    fn's result: 0 or more; or the last failure, when it is not one to retry, or
 *            skua_backoff_next says so; -ECANCELED, -ETIMEDOUT: the task's own end, before a try
 *            or in a pause; -EINVAL, SKUA_EUSAGE (inside a poll task; a .try_timeout on a plain
 *            thread): nothing was tried. No memory for a try's deadline is that try's -ENOMEM
 * Threads    fibers, plain threads
 * Cancel     safe when fn is
 * Since      0.2
 */
SKUA_API int skua_retry(int (*fn)(void *arg), void *arg, const skua_retry_options *options);

/* The same as a future. Its members are private. */
typedef struct skua_retry_future {
    skua_future future;
    skua_future *(*start)(void *arg);
    void *arg;
    skua_future *current; /* the try under way; NULL: a pause, or nothing yet */
    skua_retry_options options;
    skua_backoff backoff;
    skua_sleep_future timer; /* of the pause, or of the try */
    uint32_t attempt;
    int32_t refused; /* why it ends when it is polled first, or 0 */
} skua_retry_future;

/* Makes a future of tries that are futures: ready as skua_retry returns, with the last try's
 * result, which may be more than an int holds.
 *
 * start      makes a try's future, in the caller's memory: the same memory will do each time, as
 *            the one before is finished by then. NULL ends all with SKUA_EUSAGE
 * arg        for start and the callbacks, in place until it is finished
 * options    NULL = defaults; copied. Times count from here; .try_timeout holds everywhere
 * Returns    &retry->future
 * Threads    where it is awaited
 * Cancel     safe when its tries are
 * Since      0.2
 */
SKUA_API skua_future *skua_retry_init(skua_retry_future *retry, skua_future *(*start)(void *arg),
                                      void *arg, const skua_retry_options *options);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_retrying(start, arg, options)                                                         \
    skua_retry_init(&(skua_retry_future){.future = {0}}, (start), (arg), (options))
#endif

/* ---- hedge ----------------------------------------------------------------------------------- */

/* A hedge. Its members are private. */
typedef struct skua_hedge_future {
    skua_future future;
    skua_future *branches[2]; /* the caller's; constant */
    int64_t *result;
    skua_sleep_future timer;
    uint8_t hedged; /* the fallback has its turn */
    uint8_t failed; /* a bit for each branch */
} skua_hedge_future;

/* Waits for the first success of two futures. The second is not polled, so that it does nothing,
 * before `delay` has passed or the first has failed. As in a select (flow.h) both are finished
 * afterwards, ready or dropped, whatever is returned.
 *
 * primary    the request
 * delay      ns from now, such as the time that 95 of 100 requests take; 0 or less: both at once;
 *            SKUA_FOREVER: only after a failure
 * fallback   the same request once more; NULL: none, for conditions
 * result     receives the winner's result; NULL = not wanted; untouched when none has won
 * Returns    the winner's index: 0 or 1, the primary's when both are ready; when both failed, the
 *            error of the one that failed last; -ECANCELED, -ETIMEDOUT; SKUA_EUSAGE: no primary,
 *            or inside a poll task
 * Threads    fibers, plain threads
 * Cancel     safe when its futures are
 * Since      0.2
 */
SKUA_API int skua_hedge(skua_future *primary, int64_t delay, skua_future *fallback,
                        int64_t *result);

/* Makes a future of that: ready as skua_hedge returns; `delay` counts from this call.
 *
 * Returns    &hedge->future
 * Threads    where it is awaited
 * Cancel     safe when its futures are
 * Since      0.2
 */
SKUA_API skua_future *skua_hedge_init(skua_hedge_future *hedge, skua_future *primary, int64_t delay,
                                      skua_future *fallback, int64_t *result);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_hedging(primary, delay, fallback, result)                                             \
    skua_hedge_init(&(skua_hedge_future){.future = {0}}, (primary), (delay), (fallback), (result))
#endif

/* The most calls of a hedge. */
#define SKUA_HEDGE_MAX 16

/* Hedges calls in direct style: runs fn(args[0]) as a fiber, then fn(args[1]) beside it when
 * `delay` has passed, and so on; the next one at once when all that run have failed. The first
 * success cancels the others.
 *
 * All have ended when it returns. A loser may have succeeded, too: what it left in its args[i] is
 * the caller's to give back.
 *
 * fn         0 or more: success; a negative code: failed
 * args       one for each call, the caller's
 * count      1 to SKUA_HEDGE_MAX
 * delay      ns between two calls; 0 or less: all at once; SKUA_FOREVER: only after failures
 * winner     receives the winner's index; NULL = not wanted; untouched when none has won
 * Returns    the winner's result; when all failed, the last error (-ENOMEM, SKUA_ELIMIT …: a call
 *            that could not be spawned has failed, too); -ECANCELED, -ETIMEDOUT: the caller's own
 *            end; SKUA_EUSAGE: a count out of range, or not on a fiber
 * Threads    fibers
 * Cancel     safe: the calls are cancelled and joined
 * Since      0.2
 */
SKUA_API int skua_hedge_call(skua_fiber_fn fn, void *const *args, size_t count, int64_t delay,
                             size_t *winner);

SKUA_C_END

#endif
