/* health.h - whether a server lives, and whether it is ready: for load balancers and orchestrators.
 *
 *     skua_http_health_new(&health, NULL);
 *     skua_http_health_add(health, "db", ping_db, db, NULL);
 *     skua_http_health_add(health, "cache", ping_cache, cache,
 *                          SKUA_HTTP_CHECK_OPTIONS(.optional = 1, .timeout = SKUA_SECOND / 5));
 *     skua_http_route(router, "GET", "/livez", skua_http_health_live, health);
 *     skua_http_route(router, "GET", "/readyz", skua_http_health_ready, health);
 *     ...
 *     skua_http_health_set(health, SKUA_HTTP_READY);     -- 503 until then
 *
 * Liveness   200 as long as the process answers: a process that is only waiting for its database
 *            must not be killed for that, so no check is run.
 * Readiness  200, or 503: it is starting, or draining, or a check that is not optional fails. The
 *            checks run at the same time, each with a deadline, once for all who ask meanwhile;
 *            what they said counts for a while (keep), so that asking often costs nothing.
 * Draining   set it before the server is stopped, and stop some seconds later, when nobody sends
 *            requests here any more. As skua_http_server_options.on_stop, skua_http_health_drain
 *            says so at the latest moment: for a server of its own that tells of health.
 * ?verbose   tells more, as JSON: {"status":"ready","checks":[{"name":"db","status":"ok",
 *            "required":true,"seconds":0.002,"age":1.5}]}; a check that fails has "error". Who may
 *            ask learns the checks' names.
 *
 * Source     Kubernetes' probes and its API server's /livez and /readyz.
 */
#ifndef SKUA_HTTP_HEALTH_H
#define SKUA_HTTP_HEALTH_H

#include <skua/http/exchange.h>

SKUA_C_BEGIN

typedef struct skua_http_health skua_http_health;

typedef enum skua_http_health_state {
    SKUA_HTTP_STARTING = 0,
    SKUA_HTTP_READY, /* if the checks say so, too */
    SKUA_HTTP_DRAINING
} skua_http_health_state;

/* Looks whether something works. It waits as it likes, within its deadline; it is not to block.
 *
 * arg        what was registered with it
 * Returns    0 or more: it works; a negative code: it does not
 */
typedef int (*skua_http_check_fn)(void *arg);

/* Zero, or NULL for all of them, means the default. */
typedef struct skua_http_check_options {
    size_t size;       /* SKUA_HTTP_CHECK_OPTIONS sets it */
    unsigned optional; /* 1: it is told, but its failure does not make the server unready */
    int64_t timeout;   /* ns; its waits get -ETIMEDOUT; default 1 s */
    int64_t keep;      /* ns that what it said counts; default 1 s; -1: it is asked each time */
} skua_http_check_options;

#ifndef __cplusplus
#define SKUA_HTTP_CHECK_OPTIONS(...)                                                               \
    (&(const skua_http_check_options){.size = sizeof(skua_http_check_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_check_options_init(skua_http_check_options *options);

/* Makes one that is starting.
 *
 * ret        receives it, to be ended by skua_http_health_free; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_health_new(skua_http_health **ret);

/* Adds a check: before anybody asks.
 *
 * name       copied
 * fn, arg    called on fibers of its own, one at a time; alive as long as the health
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any, one at a time
 * Since      0.3
 */
SKUA_API int skua_http_health_add(skua_http_health *health, const char *name, skua_http_check_fn fn,
                                  void *arg, const skua_http_check_options *options);

/* Says how far the server is.
 *
 * Returns    0; -EINVAL: no such state
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_health_set(skua_http_health *health, skua_http_health_state state);

/* Says that it is draining: skua_http_server_options.on_stop.
 *
 * health     a skua_http_health
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_health_drain(void *health);

/* Runs the checks that are due, as readiness does.
 *
 * Returns    1: ready; 0: it is not; -ENOMEM; -ECANCELED, -ETIMEDOUT: this caller's own end
 * Threads    fibers
 * Since      0.3
 */
SKUA_API int skua_http_health_check(skua_http_health *health);

/* Answers who asks whether the process lives.
 *
 * health     a skua_http_health
 * Returns    as skua_http_handler
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_health_live(skua_http_exchange *exchange, void *health);

/* Answers who asks whether the server is ready: 200, or 503.
 *
 * health     a skua_http_health
 * Returns    as skua_http_handler
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_health_ready(skua_http_exchange *exchange, void *health);

/* Frees one that nobody asks any more.
 *
 * health     NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_health_free(skua_http_health *health);

SKUA_C_END

#endif
