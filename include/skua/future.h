/* future.h - the one thing that waits, the wakers that end a wait, and stackless poll tasks.
 *
 * A future is a small struct in the CALLER's memory: on a fiber's stack, inside another struct.
 * It has two verbs. poll() asks "done?": it returns the result, or SKUA_PENDING after having kept
 * the waker, which will be woken when asking again is worth it. drop() lets go: when it returns,
 * nothing refers to the struct any more. Three rules hold for every future:
 *
 *   1. A future is polled until it is ready, or dropped; after either it is finished, and
 *      dropping it again does nothing. It is not moved or copied in between.
 *   2. Wakes may be spurious: whoever is woken polls again and believes only the answer.
 *   3. Only the newest waker given to poll() is woken.
 *
 * Who awaits decides how it waits: on a fiber the fiber parks, on a plain thread the thread
 * sleeps, a poll task returns SKUA_PENDING to its worker. The future is the same.
 * Semantics follow Rust's std::future and Tokio's; unlike there, cancellation is structured
 * (task.h): a cancelled task's waits end with -ECANCELED, one after the other.
 */
#ifndef SKUA_FUTURE_H
#define SKUA_FUTURE_H

#include <skua/base.h>

SKUA_C_BEGIN

/* The answer of a poll: SKUA_PENDING, or the result: 0, a count, or a negative error code. */
typedef int64_t skua_poll;
#define SKUA_PENDING INT64_MIN
#define SKUA_READY ((skua_poll)0)

/* Wakes one task, thread or foreign loop. Opaque; handed to poll functions. */
typedef struct skua_waker skua_waker;

typedef struct skua_future skua_future;

/* What a kind of future is. One static table per kind. */
typedef struct skua_future_ops {
    const char *name; /* what a task that waits for it is waiting for: "sleep", "tcp.read" */
    skua_poll (*poll)(skua_future *self, skua_waker *waker);
    void (*drop)(skua_future *self);
} skua_future_ops;

struct skua_future {
    const skua_future_ops *ops; /* the creator; constant until finished */
};

/* Polls a future on behalf of a poll task or of a foreign loop.
 *
 * Beside asking the future it does what every wait of a task does: it spends one unit of the
 * turn's budget (and wakes the task again when there is none left), and when the task is
 * cancelled or past its deadline it drops the future and says so.
 *
 * future     not finished
 * waker      the one that the poll function was handed, or a custom one
 * Returns    SKUA_PENDING or the future's result; -ECANCELED, -ETIMEDOUT: the future is dropped
 * Threads    poll tasks, foreign loops. On a fiber use skua_await.
 * Since      0.1
 */
SKUA_API skua_poll skua_future_poll(skua_future *future, skua_waker *waker);

/* Lets go of a future: what it waited for is cancelled, nothing refers to it any more.
 *
 * On a fiber this may park until the kernel has given back a buffer.
 *
 * future     any state, finished too; NULL does nothing
 * Threads    where the future was polled
 * Since      0.1
 */
SKUA_API void skua_future_drop(skua_future *future);

/* Waits for a future.
 *
 * On a fiber: parks the fiber. On a plain thread: sleeps. The future is finished afterwards,
 * whatever was returned.
 *
 * Returns    the future's result; -ECANCELED when the task is cancelled (not inside a shield),
 *            -ETIMEDOUT when the task's deadline passed; SKUA_EUSAGE inside a poll task, whose
 *            way is SKUA_AWAIT (the future is dropped)
 * Threads    fibers, plain threads
 * Since      0.1
 */
SKUA_API int64_t skua_await(skua_future *future);

/* Waits for a future, at most until a deadline.
 *
 * deadline   monotonic ns; the earlier of it and the task's own deadline counts
 * Returns    as skua_await
 * Threads    fibers, plain threads
 * Since      0.1
 */
SKUA_API int64_t skua_await_until(skua_future *future, int64_t deadline);

/* ---- wakers ---------------------------------------------------------------------------------- */

/* Wakes what the waker stands for. Never blocks, may be called any number of times.
 *
 * Threads    any; not in a signal handler
 * Since      0.1
 */
SKUA_API void skua_waker_wake(skua_waker *waker);

/* Takes a reference on a waker, for a future of one's own that keeps it.
 *
 * Returns    the waker
 * Ownership  each reference is given back with skua_waker_unref
 * Threads    any
 * Since      0.1
 */
SKUA_API skua_waker *skua_waker_ref(skua_waker *waker);

/* Gives back a reference. NULL does nothing.
 *
 * Threads    any
 * Since      0.1
 */
SKUA_API void skua_waker_unref(skua_waker *waker);

typedef struct skua_custom_waker skua_custom_waker;

/* A waker of one's own, for foreign event loops: embed it as the first member of a struct. The
 * struct lives until the last unref; ref and unref count from whatever the owner starts with. */
struct skua_custom_waker {
    void (*wake)(skua_custom_waker *self);  /* any thread; must not block or poll */
    void (*ref)(skua_custom_waker *self);   /* any thread */
    void (*unref)(skua_custom_waker *self); /* any thread */
};

/* The waker that stands for a custom one.
 *
 * custom     aligned as a pointer, alive while referenced
 * Returns    the waker to hand to skua_future_poll; valid as long as `custom`
 * Threads    any
 * Since      0.1
 */
SKUA_API skua_waker *skua_waker_custom(skua_custom_waker *custom);

/* ---- stackless poll tasks -------------------------------------------------------------------
 *
 * A poll task is a function that is called again and again on a state struct. These macros write
 * the state machine: a switch on the line where it waits. Locals do not live across SKUA_AWAIT:
 * what must, goes into the struct; so do the futures. One SKUA_AWAIT a line, none inside a switch.
 *
 *     struct blink { skua_async async; int n; skua_sleep_future sleep; };
 *
 *     static skua_poll blink(void *state, skua_waker *waker)
 *     {
 *         struct blink *self = state;
 *
 *         SKUA_ASYNC(self, waker);
 *         for (self->n = 0; self->n < 10; self->n++)
 *             SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_SECOND));
 *         SKUA_ASYNC_END(0);
 *     }
 */
typedef struct skua_async {
    uint32_t line;   /* private: where to go on */
    int32_t waiting; /* private: the awaited future, in bytes from here */
} skua_async;

#if defined(__cplusplus) && __cplusplus >= 201703L
#define SKUA__FALLTHROUGH [[fallthrough]]
#elif defined(__GNUC__)
#define SKUA__FALLTHROUGH __attribute__((fallthrough))
#else
#define SKUA__FALLTHROUGH ((void)0)
#endif

/* Opens the body of a poll function; `self` points at a struct with a member `async`. */
#define SKUA_ASYNC(self, waker)                                                                    \
    skua_async *const skua__async = &(self)->async;                                                \
    skua_waker *const skua__waker = (waker);                                                       \
    switch (skua__async->line) {                                                                   \
    case 0:                                                                                        \
        (void)skua__waker

/* Waits for a future inside the state struct and stores its result in `result`. */
#define SKUA_AWAIT_TO(result, future)                                                              \
    do {                                                                                           \
        skua__async->waiting = (int32_t)((char *)(future) - (char *)skua__async);                  \
        skua__async->line = (uint32_t)__LINE__;                                                    \
        SKUA__FALLTHROUGH;                                                                         \
    case __LINE__:                                                                                 \
        (result) = skua_future_poll(                                                               \
            (skua_future *)(void *)((char *)skua__async + skua__async->waiting), skua__waker);     \
        if ((result) == SKUA_PENDING)                                                              \
            return SKUA_PENDING;                                                                   \
    } while (0)

/* Waits for a future inside the state struct; on -ECANCELED or -ETIMEDOUT the task ends with it. */
#define SKUA_AWAIT(future)                                                                         \
    do {                                                                                           \
        skua__async->waiting = (int32_t)((char *)(future) - (char *)skua__async);                  \
        skua__async->line = (uint32_t)__LINE__;                                                    \
        SKUA__FALLTHROUGH;                                                                         \
    case __LINE__: {                                                                               \
        const skua_poll skua__answer = skua_future_poll(                                           \
            (skua_future *)(void *)((char *)skua__async + skua__async->waiting), skua__waker);     \
        if (skua__answer == SKUA_PENDING)                                                          \
            return SKUA_PENDING;                                                                   \
        if (skua__answer == SKUA__CANCELED || skua__answer == SKUA__TIMEDOUT)                      \
            return skua__answer;                                                                   \
    }                                                                                              \
    } while (0)

/* Closes the body; `result` is the task's result. */
#define SKUA_ASYNC_END(result)                                                                     \
    break;                                                                                         \
    default:                                                                                       \
        break;                                                                                     \
        }                                                                                          \
        return (result)

#define SKUA__CANCELED (-125) /* -ECANCELED and -ETIMEDOUT, without <errno.h> in a header */
#define SKUA__TIMEDOUT (-110)

SKUA_C_END

#endif
