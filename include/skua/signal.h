/* signal.h - the signals that processes send each other, as something to wait for.
 *
 *     skua_signals *signals;
 *
 *     if (skua_signals_open(&signals, SKUA_SIGNALS(SIGHUP, SIGUSR1)) == 0) {
 *         while ((number = skua_signals_next(signals)) > 0)
 *             if (number == SIGHUP)
 *                 read_configuration();
 *         skua_signals_close(signals);
 *     }
 *
 * Listeners  each sees each signal that comes after it was opened. There may be any number of them,
 *            in any runtimes and plain threads, also for the same signal, also beside skua_main's
 *            stop_on, which is one of them. Of several who wait at one listener, the first in line
 *            gets a signal.
 * Merging    a signal that comes again before its listener was asked for it is one signal, as the
 *            kernel itself does it. Of different ones that are there the lowest number comes first.
 * Handlers   while a signal has listeners, the library's handler has it, whatever it did before:
 *            SIGTERM does not end the process any more. With the last listener of it the handler
 *            from before comes back, if nobody has set another one meanwhile.
 * Threads    a thread of the library's own ("skua-signals") is there while there are listeners. It
 *            receives what the program's threads block. System calls of the program's threads that
 *            a handler interrupts begin again (SA_RESTART), where the kernel can do that.
 * fork       the child of a fork begins without listeners, with the handlers from before. Those of
 *            its parent say SKUA_ECLOSED there.
 * Source     Tokio's signal::unix, with an end that gives the handlers back.
 */
#ifndef SKUA_SIGNAL_H
#define SKUA_SIGNAL_H

#include <signal.h>

#include <skua/sync.h>

SKUA_C_BEGIN

/* A listener. */
typedef struct skua_signals skua_signals;

#ifndef __cplusplus
/* The two arguments of a list of numbers. */
#define SKUA_SIGNALS(...)                                                                          \
    ((const int[]){__VA_ARGS__}), (sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#endif

/* Begins to listen.
 *
 * ret        receives the listener, to be ended by skua_signals_close; untouched on failure
 * numbers    signals, `count` of them, copied: SKUA_SIGNALS(SIGHUP, …); one that is named twice
 *            counts once
 * Returns    0; -EINVAL: none, or one that cannot be listened for: SIGKILL, SIGSTOP, what the
 *            processor raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS), a number
 *            that is none; -ENOMEM, -EAGAIN (no thread)
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_signals_open(skua_signals **ret, const int *numbers, size_t count);

/* Ends a listener: who waits at it is told. Nobody else may use it any more.
 *
 * signals    NULL does nothing
 * Threads    any, but for wakers of one's own
 * Since      0.3
 */
SKUA_API void skua_signals_close(skua_signals *signals);

/* Waits for a signal.
 *
 * Returns    its number; SKUA_ECLOSED: the listener was closed; -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     safe: no signal is lost, it goes to the next in line
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_signals_next(skua_signals *signals);

/* As skua_signals_next, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_signals_next
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_signals_next_until(skua_signals *signals, int64_t deadline);

/* Takes a signal that has come.
 *
 * Returns    its number; -EAGAIN: none; SKUA_ECLOSED (in the child of a fork)
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_signals_try_next(skua_signals *signals);

/* Makes a future of a signal: ready as skua_signals_next returns.
 *
 * next       memory for the future, in place until finished
 * Returns    &next->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.3
 */
SKUA_API skua_future *skua_signals_next_init(skua_sync_future *next, skua_signals *signals);

/* Waits for an interrupt from the terminal: SIGINT, from now on.
 *
 * While it waits, SIGINT does not end the process.
 *
 * Returns    0; -ECANCELED, -ETIMEDOUT; -ENOMEM, -EAGAIN (no thread)
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_ctrl_c(void);

#ifndef __cplusplus
/* A signal in the caller's block: a branch of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    as skua_signals_next_init
 * Cancel     safe
 * Since      0.3
 */
#define skua_signals_waiting(signals) skua_signals_next_init(SKUA__WAIT, (signals))
#endif

SKUA_C_END

#endif
