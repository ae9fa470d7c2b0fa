/* breaker.h - the circuit breaker: what fails anyway is not called, and gets time to recover.
 *
 *     static skua_breaker breaker;
 *
 *     skua_breaker_init(&breaker, SKUA_BREAKER_OPTIONS(.open = 2 * SKUA_SECOND));
 *
 *     rc = skua_breaker_call(&breaker, ask_the_server, &question);   // SKUA_ELIMIT: was not asked
 *
 *     if ((rc = skua_breaker_enter(&breaker, &ticket)) == 0) {       // the same, step by step
 *         rc = ask_the_server(&question);
 *         skua_breaker_leave(&breaker, &ticket, rc);
 *     }
 *
 *   from        when                                                       to
 *   CLOSED      a call ends, the window has the minimum of calls, and so   OPEN
 *               many per cent of them as are set, or more, failed or were slow
 *   OPEN        somebody enters, and the open time is over                 HALF_OPEN
 *   HALF_OPEN   a probe fails, or is slow                                  OPEN
 *   HALF_OPEN   so many probes as are needed succeeded                     CLOSED, window empty
 *   any         skua_breaker_force                                         OPEN or CLOSED, stays
 *   any         skua_breaker_reset                                         CLOSED, window empty
 *
 * A call counts in the state in which it was let through: who leaves after a change says nothing.
 * Lives in the caller's memory and needs no free. Nothing waits, nothing is allocated, there is no
 * timer: time is looked at when somebody enters or leaves (skua_now() of whoever calls; in a test
 * it is made and used by that test's tasks alone).
 *
 * Source     Nygard's Release It!; resilience4j (percentages, slow calls), Hystrix (the window of
 *            buckets), gobreaker (calls count in the state they began in).
 */
#ifndef SKUA_BREAKER_H
#define SKUA_BREAKER_H

#include <skua/task.h>

SKUA_C_BEGIN

typedef enum skua_circuit {
    SKUA_CIRCUIT_CLOSED = 0, /* calls go through, and are counted */
    SKUA_CIRCUIT_OPEN,       /* calls are refused */
    SKUA_CIRCUIT_HALF_OPEN   /* a few calls go through, to see */
} skua_circuit;

/* What the end of a call says about what was called. */
typedef enum skua_call_verdict {
    SKUA_CALL_SUCCESS = 0,
    SKUA_CALL_FAILURE,
    SKUA_CALL_IGNORED /* nothing: it is not counted */
} skua_call_verdict;

/* The most buckets of a window. */
#define SKUA_BREAKER_BUCKETS 16

typedef struct skua_breaker skua_breaker;

typedef struct skua_breaker_options {
    size_t size;              /* stamped by the macro */
    int64_t window;           /* ns that are looked back on (default 10 s) */
    unsigned buckets;         /* steps in which the window moves on, to SKUA_BREAKER_BUCKETS
                                 (default 10) */
    unsigned failure_percent; /* of the window's calls failed: open; 1 to 100 (default 50) */
    uint64_t minimum;         /* calls in the window, before percentages count (default 20) */
    int64_t slow;             /* ns: a longer call is a slow one (default 0: none is) */
    unsigned slow_percent;    /* of the window's calls were slow: open; 1 to 100 (default 100) */
    int64_t open;             /* ns that it stays open before probes (default 5 s) */
    int64_t open_max;         /* ns: each time that a probe fails it stays open twice as long, up
                                 to this (default: open, so that nothing grows) */
    unsigned probes;          /* at a time when half-open (default 1) */
    unsigned successes;       /* of probes that close it (default 1) */
    int64_t abandon;          /* ns after which probes that did not leave are given up, so that
                                 others are let through (default: open) */
    /* The verdict on a result (default: -ECANCELED is ignored, what else is negative failed). */
    skua_call_verdict (*classify)(int64_t rc, void *arg);
    /* Is told of each change, by whoever made it, outside the lock. It must not wait. */
    void (*on_change)(skua_breaker *breaker, skua_circuit from, skua_circuit to, void *arg);
    void *arg; /* handed to both (default NULL) */
} skua_breaker_options;

typedef struct skua_breaker_counts {
    uint64_t calls;
    uint64_t failures;
    uint64_t slow;
} skua_breaker_counts;

typedef struct skua_breaker_stats {
    size_t size; /* set by the caller: sizeof(skua_breaker_stats) */
    skua_circuit state;
    skua_breaker_counts window; /* the calls of the window */
    uint64_t refused;           /* answered with SKUA_ELIMIT, ever */
    uint64_t opened;            /* how often it opened */
} skua_breaker_stats;

/* A circuit breaker; its members are private. They are guarded by its lock, but the options:
 * constant. */
struct skua_breaker {
    skua_breaker_options options; /* with the defaults filled in */
    uint64_t generation;          /* counts changes; a call counts in the one it began in */
    int64_t width;                /* ns of a bucket; constant */
    int64_t step;                 /* number of the newest bucket since the clock's start */
    int64_t until;                /* ns: open until then */
    int64_t open_for;             /* ns that it stays open, next time */
    int64_t probed;               /* ns: when the newest probe began */
    uint64_t out;                 /* probes that did not leave yet */
    uint64_t successes;           /* of probes */
    uint64_t refused;
    uint64_t opened;
    skua_breaker_counts total; /* of all buckets */
    skua_breaker_counts buckets[SKUA_BREAKER_BUCKETS];
    uint8_t state;
    uint8_t forced;
    uint8_t lock;
};

/* A call that is let through. Its members are private. */
typedef struct skua_breaker_ticket {
    uint64_t generation; /* 0: not out */
    int64_t begin;       /* ns */
} skua_breaker_ticket;

#ifndef __cplusplus
#define SKUA_BREAKER_OPTIONS(...)                                                                  \
    (&(const skua_breaker_options){.size = sizeof(skua_breaker_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_breaker_options_init(skua_breaker_options *options);

/* Makes a breaker, closed.
 *
 * options    copied; NULL = defaults
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_breaker_init(skua_breaker *breaker, const skua_breaker_options *options);

/* Asks whether to call.
 *
 * ticket     receives what skua_breaker_leave wants, in place until then. Who never leaves again
 *            (a dropped task) says nothing; a probe of its kind is given up after .abandon
 * Returns    0: call, and leave; SKUA_ELIMIT: do not call
 * Threads    any; never waits
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_breaker_enter(skua_breaker *breaker, skua_breaker_ticket *ticket);

/* Tells how a call went.
 *
 * ticket     of skua_breaker_enter, which returned 0; used up
 * rc         the call's result: negative is a failure, -ECANCELED nothing, unless .classify knows
 *            better
 * Returns    0; SKUA_EUSAGE for a ticket that is not out: not entered, refused, or left already
 * Threads    any, also another one than entered
 * Since      0.2
 */
SKUA_API int skua_breaker_leave(skua_breaker *breaker, skua_breaker_ticket *ticket, int64_t rc);

/* Enters, calls fn(arg), leaves with its result.
 *
 * Returns    fn's result; SKUA_ELIMIT when it was not called
 * Threads    any from which fn may be called
 * Since      0.2
 */
SKUA_API int skua_breaker_call(skua_breaker *breaker, int (*fn)(void *arg), void *arg);

/* The state, as of the last enter or leave: it stays open until somebody enters and is a probe.
 *
 * Returns    the state, which may be another one already
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_circuit skua_breaker_state(const skua_breaker *breaker);

/* When to ask again.
 *
 * Returns    ns from now: 0 when an enter would succeed now; the rest of the open time; when all
 *            probes are out, the time after which they are given up; SKUA_FOREVER when it was
 *            forced open
 * Threads    any
 * Since      0.2
 */
SKUA_API int64_t skua_breaker_retry_after(const skua_breaker *breaker);

/* Opens or closes it by hand: it stays so until skua_breaker_reset, whatever the calls say.
 *
 * state      SKUA_CIRCUIT_OPEN or SKUA_CIRCUIT_CLOSED
 * Returns    0; -EINVAL
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_breaker_force(skua_breaker *breaker, skua_circuit state);

/* Closes it, forgets the window and the growth of the open time, ends what was forced.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_breaker_reset(skua_breaker *breaker);

/* Looks inside: numbers of one instant.
 *
 * stats      its `size` set by the caller
 * Returns    0; -EINVAL when the size is unknown
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_breaker_snapshot(const skua_breaker *breaker, skua_breaker_stats *stats);

SKUA_C_END

#endif
