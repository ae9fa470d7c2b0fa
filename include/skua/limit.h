/* limit.h - not more than is good: how often (rate limiter), and how many at a time (limiter). For
 * not at all, while it fails anyway, see breaker.h.
 *
 *     skua_rate_limiter rate;
 *     skua_limiter inside;
 *
 *     skua_rate_limiter_init(&rate, SKUA_RATE_LIMITER_OPTIONS(.rate = 100));
 *     skua_limiter_init(&inside, SKUA_LIMITER_OPTIONS(.running = 8, .waiting = 64));
 *
 *     if ((rc = skua_rate_limiter_acquire(&rate, 1)) == 0 &&
 *         (rc = skua_limiter_enter(&inside)) == 0) {
 *         rc = ask_the_server();
 *         skua_limiter_leave(&inside);
 *     }
 *
 * Each lives in the caller's memory and needs no free. Each works between fibers, poll tasks and
 * plain threads of any runtime, with the same call. There is no background task and no thread;
 * nothing is allocated.
 *
 * Clock      skua_now() of whoever calls. In a test (test.h) an object is made and used by that
 *            test's tasks alone. A caller whose clock stands behind adds no time, and takes none.
 * Cancel     every wait is safe: a wait that is dropped has taken nothing; what it was granted, or
 *            its turn, goes to the next in line.
 * Memory     as in sync.h: what was done before a leave is seen by who is let in by it.
 * Source     RFC 2697, golang.org/x/time/rate, governor and leaky-bucket for the rate limiter;
 *            Nichols and Jacobson's CoDel (2012), as facebook's servers use it, for the limiter.
 */
#ifndef SKUA_LIMIT_H
#define SKUA_LIMIT_H

#include <skua/interval.h>
#include <skua/sync.h>
#include <skua/time.h>

SKUA_C_BEGIN

/* ---- rate limiter: a token bucket ------------------------------------------------------------ */

/* The most of every option of a rate limiter. */
#define SKUA_RATE_LIMITER_MAX ((uint64_t)1 << 62)
/* .initial of a bucket that begins empty. */
#define SKUA_RATE_EMPTY UINT64_MAX

typedef struct skua_rate_limiter_options {
    size_t size;      /* stamped by the macro */
    uint64_t rate;    /* tokens that come in a period; 1 to SKUA_RATE_LIMITER_MAX, no default */
    int64_t period;   /* ns, 1 to SKUA_RATE_LIMITER_MAX (default SKUA_SECOND) */
    uint64_t burst;   /* the most tokens that the bucket holds, to SKUA_RATE_LIMITER_MAX (default
                         rate). What comes while a timer is late is lost when it does not fit in */
    uint64_t initial; /* tokens in it at the beginning, at most burst, or SKUA_RATE_EMPTY (default
                         burst) */
} skua_rate_limiter_options;

/* A rate limiter; its members are private. They are guarded by its line's lock, but burst:
 * constant. */
typedef struct skua_rate_limiter {
    uint64_t rate;
    uint64_t period;
    uint64_t burst;
    uint64_t tokens; /* there are, as of `last` */
    uint64_t rest;   /* and a part of one more: this many period-ths */
    int64_t last;    /* ns: until when the time is counted */
    skua_timed_line line;
    uint8_t closed;
} skua_rate_limiter;

/* A wait for tokens; its members are private, and its task's. */
typedef skua_timed_future skua_rate_limiter_future;

#ifndef __cplusplus
#define SKUA_RATE_LIMITER_OPTIONS(...)                                                             \
    (&(const skua_rate_limiter_options){.size = sizeof(skua_rate_limiter_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages; `rate` is to be set.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_rate_limiter_options_init(skua_rate_limiter_options *options);

/* Makes a rate limiter: in any t ns no more than burst + rate * (t + 1) / period tokens are given,
 * and who waits has them at the first nanosecond at which they are there: nothing is rounded away.
 *
 * options    .rate is to be set, so not NULL
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_rate_limiter_init(skua_rate_limiter *limiter,
                                    const skua_rate_limiter_options *options);

/* Takes tokens; waits in line until all of them have come.
 *
 * First in, first out: a large request in front is not passed by a small one. Who is first in line
 * arms a timer of its own.
 *
 * tokens     at most the burst; 0 takes none, and fails only when it is closed
 * Returns    0; SKUA_ECLOSED; -EINVAL: more than the burst, which never come; -ECANCELED,
 *            -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: no tokens are taken
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rate_limiter_acquire(skua_rate_limiter *limiter, uint64_t tokens);

/* As skua_rate_limiter_acquire, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_rate_limiter_acquire
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rate_limiter_acquire_until(skua_rate_limiter *limiter,
                                                            uint64_t tokens, int64_t deadline);

/* Takes tokens if they are there now and nobody is in line.
 *
 * Returns    0; -EAGAIN; SKUA_ECLOSED; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_rate_limiter_try_acquire(skua_rate_limiter *limiter,
                                                          uint64_t tokens);

/* Makes a future of an acquire: ready as skua_rate_limiter_acquire returns.
 *
 * Returns    &acquire->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_rate_limiter_acquire_init(skua_rate_limiter_future *acquire,
                                                     skua_rate_limiter *limiter, uint64_t tokens);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_rate_limiter_acquiring(limiter, tokens)                                               \
    skua_rate_limiter_acquire_init(&(skua_rate_limiter_future){.future = {0}}, (limiter), (tokens))
#endif

/* The tokens that are there now. While somebody is in line they are being saved for who is first.
 *
 * Returns    the count, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API uint64_t skua_rate_limiter_available(const skua_rate_limiter *limiter);

/* Changes the rate from now on; who waits waits accordingly. The tokens that are there stay, so
 * does the burst.
 *
 * rate       tokens that come in a period, 1 to SKUA_RATE_LIMITER_MAX
 * period     ns, 1 to SKUA_RATE_LIMITER_MAX; 0: SKUA_SECOND
 * Returns    0; -EINVAL: nothing has changed
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_rate_limiter_set_rate(skua_rate_limiter *limiter, uint64_t rate, int64_t period);

/* Closes it: who waits and who comes gets SKUA_ECLOSED.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_rate_limiter_close(skua_rate_limiter *limiter);

/* ---- limiter: a bulkhead that sheds load ----------------------------------------------------- */

/* .waiting of a line without a bound. */
#define SKUA_UNLIMITED SIZE_MAX

typedef struct skua_limiter_options {
    size_t size;      /* stamped by the macro */
    size_t running;   /* inside at a time; 1 to SKUA_SEMAPHORE_MAX, no default */
    size_t waiting;   /* in line; who comes then is shed (default 0: nobody waits). A line without
                         a bound is SKUA_UNLIMITED */
    int64_t max_wait; /* ns in line, then one is shed (default SKUA_FOREVER) */
    int64_t target;   /* ns in line that are no harm: see skua_limiter_init (default 0: off) */
    int64_t interval; /* ns above the target until the line counts as a standing one (default
                         100 ms) */
} skua_limiter_options;

typedef struct skua_limiter_stats {
    size_t size; /* set by the caller: sizeof(skua_limiter_stats) */
    size_t limit;
    size_t running;    /* inside, now */
    size_t waiting;    /* in line, now */
    uint64_t admitted; /* let in, ever */
    uint64_t shed;     /* answered with SKUA_ELIMIT, ever */
} skua_limiter_stats;

/* A limiter; its members are private. They are guarded by its lock, but the bounds: constant. */
typedef struct skua_limiter {
    size_t limit;
    size_t running;
    size_t waiting;
    size_t max_waiting;
    int64_t max_wait;
    int64_t target;
    int64_t interval;
    int64_t above; /* ns: when the line becomes a standing one; 0: the last one in was in time */
    uint64_t admitted;
    uint64_t shed;
    skua_waiter_list waiters;
    uint8_t lock;
    uint8_t closed;
} skua_limiter;

/* A wait for being let in; its members are private, and its task's. */
typedef struct skua_limiter_future {
    skua_future future;
    skua_limiter *limiter;
    int64_t since;      /* ns; guard of it and the next: the limiter's lock */
    skua_waiter waiter; /* its value is the verdict */
    skua_sleep_future timer;
} skua_limiter_future;

#ifndef __cplusplus
#define SKUA_LIMITER_OPTIONS(...)                                                                  \
    (&(const skua_limiter_options){.size = sizeof(skua_limiter_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages; `running` is to be set.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_limiter_options_init(skua_limiter_options *options);

/* Makes a limiter.
 *
 * With a target, when nobody was let in within the target for a whole interval, the line is a
 * standing one, which only makes everybody late. From then on whose turn it is after more than
 * twice the target is shed, until somebody is let in within the target. So the line is kept short
 * while more come than are served, and a burst that is worked off in an interval is not touched.
 *
 * options    .running is to be set, so not NULL
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_limiter_init(skua_limiter *limiter, const skua_limiter_options *options);

/* Goes in; waits in line, first in, first out, while the limit is reached.
 *
 * Returns    0: inside, until skua_limiter_leave; SKUA_ELIMIT: shed, at once because the line is
 *            full, or after having waited for too long; SKUA_ECLOSED; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_limiter_enter(skua_limiter *limiter);

/* As skua_limiter_enter, at most until `deadline`. Who runs out of its own time is not shed.
 *
 * deadline   monotonic ns
 * Returns    as skua_limiter_enter
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_limiter_enter_until(skua_limiter *limiter, int64_t deadline);

/* Goes in if that is possible now. Who fails is not shed.
 *
 * Returns    0: inside; -EAGAIN; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_limiter_try_enter(skua_limiter *limiter);

/* Goes out: the first in line is let in.
 *
 * Returns    0; SKUA_EUSAGE when nobody is inside
 * Threads    any, also another one than went in
 * Since      0.2
 */
SKUA_API int skua_limiter_leave(skua_limiter *limiter);

/* Makes a future of an enter: ready as skua_limiter_enter returns.
 *
 * Returns    &enter->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_limiter_enter_init(skua_limiter_future *enter, skua_limiter *limiter);

#ifndef __cplusplus
/* The same in the caller's block: a branch of a select (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_limiter_entering(limiter)                                                             \
    skua_limiter_enter_init(&(skua_limiter_future){.future = {0}}, (limiter))
#endif

/* Changes how many may be inside. With more, who is in line is let in; with less, who is inside
 * stays.
 *
 * limit      1 to SKUA_SEMAPHORE_MAX
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_limiter_set_limit(skua_limiter *limiter, size_t limit);

/* Looks inside: numbers of one instant.
 *
 * stats      its `size` set by the caller
 * Returns    0; -EINVAL when the size is unknown
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_limiter_snapshot(const skua_limiter *limiter, skua_limiter_stats *stats);

/* Closes it: who waits and who comes gets SKUA_ECLOSED. Who is inside leaves as always.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_limiter_close(skua_limiter *limiter);

SKUA_C_END

#endif
