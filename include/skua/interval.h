/* interval.h - rhythm: ticks at a steady beat, calls that wait until it is quiet, and calls that
 * keep a distance.
 *
 *     skua_interval beat;
 *
 *     skua_interval_init(&beat, SKUA_SECOND, SKUA_MISSED_SKIP);
 *     while (skua_interval_tick(&beat) >= 0)       now, then each second, whatever the work takes
 *         report();
 *
 *     skua_debounce_poke(&saving);                 anywhere, with each key that is pressed
 *     while (skua_debounce_wait(&saving) == 0)     elsewhere: nobody has typed for a while
 *         save();
 *
 *     if (skua_throttle_try(&warning) == 0)        at most one a minute
 *         warn();
 *
 * All three live in the caller's memory and need no free. No task stands behind them: whoever waits
 * has the timer, and the first of several that wait in line.
 *
 * Threads    an interval belongs to one task at a time; the other two to everybody.
 * Clock      that of who calls (skua_now): in a test (test.h) all of it is exact to the nanosecond.
 * Source     Tokio's time::Interval; lodash's debounce and throttle, and what ReactiveX calls
 *            debounce and throttleFirst, with waits in place of callbacks.
 */
#ifndef SKUA_INTERVAL_H
#define SKUA_INTERVAL_H

#include <skua/sync.h>
#include <skua/time.h>

SKUA_C_BEGIN

/* ---- interval -------------------------------------------------------------------------------- */

/* When to tick next, after a tick that was asked for more than 5 ms late (SKUA_MISSED_AFTER). What
 * is less late is not missed, but comes from the timers: the beat goes on as it was.
 *
 *     expected   |     1     |     2     |     3     |     4     |     5     |     6     |
 *     BURST      | work -----|          delay          | work | work | work -| work -----|
 *     DELAY      | work -----|          delay          | work -----| work -----| work -----|
 *     SKIP       | work -----|          delay          | work ---| work -----| work -----|
 */
typedef enum skua_missed {
    SKUA_MISSED_BURST, /* a period after the one that was missed: at once, until caught up */
    SKUA_MISSED_DELAY, /* a period after now: the beat is moved */
    SKUA_MISSED_SKIP   /* at the next moment of the old beat: what was missed is left out */
} skua_missed;

/* How late a tick may be, in ns, without having been missed. */
#define SKUA_MISSED_AFTER (5 * SKUA_MILLISECOND)

typedef struct skua_interval_options {
    size_t size;        /* stamped by the macro */
    int64_t start;      /* monotonic ns of the first tick (default 0: now) */
    skua_missed missed; /* (default SKUA_MISSED_BURST) */
} skua_interval_options;

/* A beat. Its members are private. */
typedef struct skua_interval {
    int64_t period;
    int64_t next;    /* when the next tick is due; guard: busy, as of all the others */
    uint32_t missed; /* skua_missed */
    uint32_t busy;   /* 1: a tick is being waited for; atomic */
} skua_interval;

/* A wait for a tick. Its members are private. */
typedef struct skua_tick_future {
    skua_future future;
    skua_interval *interval;
    uint32_t began; /* 1: `busy` is its own */
    skua_sleep_future timer;
} skua_tick_future;

/* Makes an interval whose first tick is due at once.
 *
 * interval   the caller's memory; of one task at a time
 * period     ns from tick to tick, more than 0
 * behaviour  what happens after a missed tick; SKUA_MISSED_BURST is the usual one
 * Returns    0; -EINVAL: the interval is untouched
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_interval_init(skua_interval *interval, int64_t period, skua_missed behaviour);

/* Makes an interval by options, for one that does not begin now.
 *
 * options    NULL = defaults; a start that has passed makes ticks that were missed
 * Returns    0; -EINVAL: the interval is untouched
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_interval_init_with(skua_interval *interval, int64_t period,
                                     const skua_interval_options *options);

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_interval_options_init(skua_interval_options *options);

/* Waits for the next tick.
 *
 * Returns    the moment at which it was due, monotonic ns: not later than now; -ECANCELED,
 *            -ETIMEDOUT; -EBUSY: another tick of it is being waited for
 * Threads    fibers, plain threads; the task that has the interval
 * Cancel     safe: the tick is there for the next wait
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int64_t skua_interval_tick(skua_interval *interval);

/* As skua_interval_tick, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_interval_tick
 * Threads    as skua_interval_tick
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int64_t skua_interval_tick_until(skua_interval *interval, int64_t deadline);

/* Makes a future of a tick: ready as skua_interval_tick returns.
 *
 * tick       memory for the future, in place until finished, as the interval
 * Returns    &tick->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_interval_tick_init(skua_tick_future *tick, skua_interval *interval);

/* Begins the beat anew: the next tick is due a period from now.
 *
 * Returns    0; -EBUSY: a tick is being waited for, and nothing has changed
 * Threads    the task that has the interval
 * Since      0.2
 */
SKUA_API int skua_interval_reset(skua_interval *interval);

/* The next tick is due now, and the others follow it.
 *
 * Returns    as skua_interval_reset
 * Threads    as skua_interval_reset
 * Since      0.2
 */
SKUA_API int skua_interval_reset_immediately(skua_interval *interval);

/* The next tick is due after `duration`, and the others follow it.
 *
 * duration   ns from now; 0 or less is now
 * Returns    as skua_interval_reset
 * Threads    as skua_interval_reset
 * Since      0.2
 */
SKUA_API int skua_interval_reset_after(skua_interval *interval, int64_t duration);

/* The next tick is due at `deadline`, and the others follow it.
 *
 * deadline   monotonic ns; one that has passed makes ticks that were missed
 * Returns    as skua_interval_reset
 * Threads    as skua_interval_reset
 * Since      0.2
 */
SKUA_API int skua_interval_reset_at(skua_interval *interval, int64_t deadline);

/* How long it is from tick to tick.
 *
 * Returns    ns
 * Threads    any
 * Since      0.2
 */
SKUA_API int64_t skua_interval_period(const skua_interval *interval);

#ifndef __cplusplus
#define SKUA_INTERVAL_OPTIONS(...)                                                                 \
    (&(const skua_interval_options){.size = sizeof(skua_interval_options), __VA_ARGS__})

/* A tick in the caller's block: a branch of a select, work for a join (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    as skua_interval_tick_init
 * Since      0.2
 */
#define skua_ticking(interval)                                                                     \
    skua_interval_tick_init(&(skua_tick_future){.future = {0}}, (interval))
#endif

/* ---- waits in line for a moment: private ----------------------------------------------------- */

/* Where waits stand in line, of which the first has the timer. */
typedef struct skua_timed_line {
    skua_waiter_list waiters; /* lock, as the next */
    skua_waiter *told;        /* the first: woken to look, and not in the list meanwhile */
    uint8_t lock;
} skua_timed_line;

/* A wait for a moment of something that several may wait for: of a debounce, a throttle, a delay
 * queue (delay_queue.h), a rate limiter (limit.h). Its members are private. */
typedef struct skua_timed_future {
    skua_future future;
    skua_timed_line *line;
    void *value;
    skua_waiter waiter;
    uint32_t leads; /* 1: it was the first when it looked, and the timer is its own */
    skua_sleep_future timer;
} skua_timed_future;

/* ---- debounce -------------------------------------------------------------------------------- */

/* Which edge of a burst is told. A burst is pokes that are less than `quiet` apart. */
typedef enum skua_edge {
    SKUA_EDGE_TRAILING, /* its end: it has been quiet since the last poke */
    SKUA_EDGE_LEADING,  /* its first poke, at once */
    SKUA_EDGE_BOTH      /* its first poke, and its end if there were more */
} skua_edge;

typedef struct skua_debounce_options {
    size_t size;      /* stamped by the macro */
    int64_t max_wait; /* ns that a poke waits at most, in a burst that does not end: then it is
                         told, and after that again each max_wait. Less than quiet counts as quiet
                         (default 0: as long as the burst lasts) */
    skua_edge edge;   /* (default SKUA_EDGE_TRAILING) */
} skua_debounce_options;

/* Bursts of pokes that are told once. Its members are private. */
typedef struct skua_debounce {
    skua_timed_line line;
    int64_t quiet;    /* constant, as the next */
    int64_t max_wait; /* SKUA_FOREVER: none */
    int64_t last;     /* the newest poke; lock: line, as the following */
    int64_t since;    /* from when max_wait counts: the burst's begin, or when it was told last */
    uint8_t edge;     /* skua_edge; constant */
    uint8_t begun;    /* 1: there was a poke, `last` is one */
    uint8_t now;      /* 1: an edge is to be told at once */
    uint8_t poked;    /* 1: pokes are to be told at the end */
} skua_debounce;

/* Makes a debounce.
 *
 * debounce   the caller's memory, while anybody uses it
 * quiet      ns without a poke that end a burst, more than 0
 * options    NULL = defaults
 * Returns    0; -EINVAL: it is untouched
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_debounce_init(skua_debounce *debounce, int64_t quiet,
                                const skua_debounce_options *options);

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_debounce_options_init(skua_debounce_options *options);

/* Tells that something has happened. Never waits; wakes somebody at the begin of a burst at most.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_debounce_poke(skua_debounce *debounce);

/* Waits for the edge of a burst.
 *
 * Each edge is told to one of those who wait, the first in line. Edges that come when nobody waits
 * are told to the next one that does, as one.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: the edge is told to the next in line
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_debounce_wait(skua_debounce *debounce);

/* As skua_debounce_wait, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_debounce_wait
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_debounce_wait_until(skua_debounce *debounce, int64_t deadline);

/* Makes a future of a wait: ready as skua_debounce_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_debounce_wait_init(skua_timed_future *wait, skua_debounce *debounce);

/* Ends the burst now: what was poked and not told is told at once.
 *
 * Returns    1: there was something; 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_debounce_flush(skua_debounce *debounce);

/* Forgets the burst: what was poked and not told is not told, and the next poke begins a new one.
 *
 * Returns    1: there was something; 0
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_debounce_cancel(skua_debounce *debounce);

/* ---- throttle -------------------------------------------------------------------------------- */

/* Turns that are a period apart, or more. Its members are private. */
typedef struct skua_throttle {
    skua_timed_line line;
    int64_t period; /* constant */
    int64_t next;   /* when the next turn may be; lock: line */
} skua_throttle;

/* Makes a throttle, whose first turn is there.
 *
 * throttle   the caller's memory, while anybody uses it
 * period     ns from one turn to the next at least, more than 0
 * Returns    0; -EINVAL: it is untouched
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_throttle_init(skua_throttle *throttle, int64_t period);

/* Takes a turn, if there is one now and nobody is in line.
 *
 * Returns    0; -EAGAIN: the last one is less than a period ago
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_throttle_try(skua_throttle *throttle);

/* Waits in line for a turn, and takes it.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT: none was taken
 * Threads    fibers, plain threads
 * Cancel     safe: the turn goes to the next in line
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_throttle_wait(skua_throttle *throttle);

/* As skua_throttle_wait, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_throttle_wait
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_throttle_wait_until(skua_throttle *throttle, int64_t deadline);

/* Makes a future of a wait: ready as skua_throttle_wait returns.
 *
 * Returns    &wait->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_throttle_wait_init(skua_timed_future *wait, skua_throttle *throttle);

#ifndef __cplusplus
#define SKUA_DEBOUNCE_OPTIONS(...)                                                                 \
    (&(const skua_debounce_options){.size = sizeof(skua_debounce_options), __VA_ARGS__})

/* The two waits in the caller's block.
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.2
 */
#define skua_debouncing(debounce)                                                                  \
    skua_debounce_wait_init(&(skua_timed_future){.future = {0}}, (debounce))
#define skua_throttling(throttle)                                                                  \
    skua_throttle_wait_init(&(skua_timed_future){.future = {0}}, (throttle))
#endif

SKUA_C_END

#endif
