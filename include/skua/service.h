/* service.h - what a service manager and a service tell each other: sd_notify and socket
 * activation, without libsystemd.
 *
 *     if (skua_service_listen_fds(NULL, 0) > 0)
 *         rc = skua_tcp_listen_adopt(&listener, SKUA_SERVICE_FDS, NULL);
 *     skua_service_watchdog(skua_runtime_current());         pings as long as the runtime lives
 *     skua_service_ready();
 *     ...                                                    serves, until it is told to stop
 *     skua_service_stopping();
 *
 * Nobody     where no manager listens ($NOTIFY_SOCKET is not set), each call does nothing: a
 *            service may make them always.
 * Source     sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), whose protocols are stable.
 */
#ifndef SKUA_SERVICE_H
#define SKUA_SERVICE_H

#include <skua/runtime.h>

SKUA_C_BEGIN

/* Tells the manager something.
 *
 * state      lines "NAME=value", as of sd_notify(3)
 * Returns    1: it was told; 0: there is none; -EINVAL: no text, or $NOTIFY_SOCKET is no address;
 *            -ECONNREFUSED, -ENOENT, -EAGAIN …: it was not told
 * Threads    any; does not wait
 * Since      0.3
 */
SKUA_API int skua_service_notify(const char *state);

/* The service is ready: READY=1.
 *
 * Returns    as skua_service_notify
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_service_ready(void);

/* The service stops: STOPPING=1.
 *
 * Returns    as skua_service_notify
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_service_stopping(void);

/* What the service does, for people: STATUS=….
 *
 * text       one line; at most 500 bytes of it are told
 * Returns    as skua_service_notify
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_service_status(const char *text);

/* How often the manager wants to be pinged: WatchdogSec=.
 *
 * Returns    ns, after which it takes the service for dead; 0: it does not want that, or not from
 *            this process ($WATCHDOG_USEC, $WATCHDOG_PID); -EINVAL: these are no numbers
 * Threads    any
 * Since      0.3
 */
SKUA_API int64_t skua_service_watchdog_interval(void);

/* Pings the manager (WATCHDOG=1) at once and each half of the interval, by a task in the runtime's
 * root scope: so as long as the runtime runs tasks, and not when its workers are stuck. The task
 * ends when the runtime stops.
 *
 * Returns    1: it does; 0: the manager does not want that; -EINVAL; what skua_spawn_on fails with
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_service_watchdog(skua_runtime *runtime);

/* The first of the descriptors that the manager handed over. */
#define SKUA_SERVICE_FDS 3

/* Takes the descriptors that the manager opened for the service: SKUA_SERVICE_FDS and those behind
 * it. They are made close-on-exec, and the environment is cleared of them, so that it is done once,
 * and processes that this one starts do not take them for theirs. What is a listening TCP socket
 * is for skua_tcp_listen_adopt.
 *
 * names      receives $LISTEN_FDNAMES, the names with ':' between, cut to `len` bytes with the
 *            closing zero; NULL: not wanted; untouched on failure
 * Returns    how many; 0: none, or not for this process ($LISTEN_PID); -EINVAL: no numbers; -EBADF:
 *            they are not open
 * Threads    the main thread, before others look at the environment
 * Since      0.3
 */
SKUA_API int skua_service_listen_fds(char *names, size_t len);

SKUA_C_END

#endif
