/* middleware.h - layers that many servers need: logs, request ids, time-outs, limits, CORS, auth.
 *
 *     skua_http_log log = SKUA_HTTP_LOG(.file = stderr);
 *     skua_http_cors cors = SKUA_HTTP_CORS(.origins = "https://example.org");
 *     skua_http_layer around[] = {{skua_http_request_id_layer, NULL},
 *                                 {skua_http_log_layer, &log},
 *                                 {skua_http_cors_layer, &cors}};
 *     skua_http_chain app = SKUA_HTTP_CHAIN(around, skua_http_router_handler, router);
 *
 * Each is a layer of layer.h; its state is a struct in the caller's memory, stamped by its macro,
 * which does not change while it is used. One whose struct is wrong fails with SKUA_EUSAGE (500).
 * What a layer refuses gets the exchange's error page (skua_http_refuse).
 *
 * Order      the log outside, so that it sees what the others refuse; pages and CORS outside of
 *            what may refuse; limits outside of what costs; auth last, or before rates by user.
 * Threads    all layers: the handler's fiber; any number of them at a time
 */
#ifndef SKUA_HTTP_MIDDLEWARE_H
#define SKUA_HTTP_MIDDLEWARE_H

#include <stdio.h>

#include <skua/breaker.h>
#include <skua/http/layer.h>
#include <skua/limit.h>

SKUA_C_BEGIN

/* ---- access log ------------------------------------------------------------------------------ */

typedef enum skua_http_log_format {
    SKUA_HTTP_LOG_COMMON = 0, /* host - - [time] "GET /path HTTP/1.1" 200 123 */
    SKUA_HTTP_LOG_COMBINED,   /* and "referer" "user agent" */
    SKUA_HTTP_LOG_JSON        /* an object: time, peer, method, path, query, version, route, status,
                                 received, sent, seconds, and id, trace_id, span_id, error where
                                 there are */
} skua_http_log_format;

typedef struct skua_http_log {
    size_t size; /* SKUA_HTTP_LOG sets it */
    skua_http_log_format format;
    FILE *file; /* each line is written at once, and may block; NULL: no file */
    /* Is given each line, which ends with a newline and a NUL behind len; NULL: no function. */
    void (*write)(const char *line, size_t len, void *arg);
    void *arg;
} skua_http_log;

#define SKUA_HTTP_LOG(...)                                                                         \
    {                                                                                              \
        .size = sizeof(skua_http_log), __VA_ARGS__                                                 \
    }

/* Logs each exchange when it has ended. What the client sent cannot break a line or a quoted part:
 * control characters, quotes and backslashes are escaped (\xHH, in JSON as JSON has it; there bytes
 * that are no UTF-8 become U+FFFD). A line for which there is no memory is left out.
 *
 * log        a skua_http_log
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_log_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                 void *log);

/* ---- request id ------------------------------------------------------------------------------ */

/* Gives each request an id: that of its X-Request-Id header when it is well-formed (1 to 128
 * letters, digits and any of "-_.:/+=~"), else 128 random bits in hexadecimal digits. The response
 * carries it in the same header.
 *
 * state      not used
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_request_id_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                        void *state);

/* The id.
 *
 * Returns    as long as the exchange; NULL: no layer gave one
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API const char *skua_http_request_id(const skua_http_exchange *exchange);

/* ---- time and load --------------------------------------------------------------------------- */

/* Sets a deadline for all waits of the rest; one that fails with -ETIMEDOUT gets 504.
 *
 * timeout    an int64_t: ns from now on
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_timeout_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                     void *timeout);

typedef struct skua_http_limit {
    size_t size; /* SKUA_HTTP_LIMIT sets it */
    skua_limiter *limiter;
    int64_t retry_after; /* ns, sent in whole seconds to who is shed; 0: 1 s; below 0: not said */
} skua_http_limit;

#define SKUA_HTTP_LIMIT(...)                                                                       \
    {                                                                                              \
        .size = sizeof(skua_http_limit), __VA_ARGS__                                               \
    }

/* Lets so many requests run the rest at a time as the limiter does; whom it sheds, or all when it
 * is closed, get 503 and Retry-After.
 *
 * limit      a skua_http_limit
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_limit_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                   void *limit);

/* Runs the rest through a circuit breaker: what fails with a status of 500 or more is a failure
 * (its code, or -EIO for a response with such a status). While it is open: 503 and Retry-After.
 *
 * breaker    a skua_breaker
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_breaker_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                     void *breaker);

/* Rates of many clients. */
typedef struct skua_http_rates skua_http_rates;

typedef struct skua_http_rates_options {
    size_t size;    /* SKUA_HTTP_RATES_OPTIONS sets it */
    uint64_t rate;  /* requests that come in a period; no default */
    int64_t period; /* ns; default 1 s */
    uint64_t burst; /* default rate */
    size_t keys;    /* remembered at a time; default 10,000. Beyond, who asked longest ago is
                       forgotten, and begins anew */
    /* Of whom a request is: a string that lives as long as the exchange; NULL: not limited.
     * Default: the peer's address without its port. */
    const char *(*key)(skua_http_exchange *exchange, void *arg);
    void *arg;
} skua_http_rates_options;

#define SKUA_HTTP_RATES_OPTIONS(...)                                                               \
    (&(const skua_http_rates_options){.size = sizeof(skua_http_rates_options), __VA_ARGS__})

/* Makes a table of rates.
 *
 * ret        receives it, to be ended by skua_http_rates_free; untouched on failure
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_rates_new(skua_http_rates **ret,
                                                const skua_http_rates_options *options);

/* Limits how often each client asks; who asks more often gets 429 and Retry-After.
 *
 * rates      a skua_http_rates
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_rates_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                   void *rates);

/* Frees a table that nobody uses any more.
 *
 * rates      NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_rates_free(skua_http_rates *rates);

/* ---- cross-origin requests ------------------------------------------------------------------- */

typedef struct skua_http_cors {
    size_t size; /* SKUA_HTTP_CORS sets it */
    const char
        *origins; /* allowed, with commas between: "https://a.org, https://b.org"; "*": any */
    /* Asked for an origin that the list does not have; 1: allowed. NULL: only the list counts. */
    int (*allowed)(const char *origin, void *arg);
    void *arg;
    const char *methods; /* NULL: "GET, HEAD, POST" */
    const char *headers; /* of requests; NULL: none but the harmless ones; "*": what is asked for */
    const char *expose;  /* headers of the response that scripts may read; NULL: none more */
    unsigned credentials; /* 1: with cookies and the like; not together with origins "*" */
    int64_t max_age;      /* ns that a preflight counts; 0: not said */
} skua_http_cors;

#define SKUA_HTTP_CORS(...)                                                                        \
    {                                                                                              \
        .size = sizeof(skua_http_cors), __VA_ARGS__                                                \
    }

/* Cross-origin resource sharing: says which pages of other origins may use the responses. Answers
 * preflights (OPTIONS with Access-Control-Request-Method) itself, with 204; of one that is not
 * allowed the browser sees that nothing is said. Requests of other origins run as any: browsers
 * enforce what is said, others do not (so it is no defence of the server). It stands around a
 * router, not in one: a preflight is no GET, and finds no route.
 *
 * cors       a skua_http_cors
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 *
 * Source     the Fetch standard, 3.2
 */
SKUA_API int skua_http_cors_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                  void *cors);

/* ---- who asks -------------------------------------------------------------------------------- */

typedef struct skua_http_auth {
    size_t size; /* SKUA_HTTP_AUTH sets it */
    /* 0: go on; 401 or 403: refused with it; a negative code: failed with it. */
    int (*decide)(skua_http_exchange *exchange, void *arg);
    void *arg;
    const char *challenge; /* WWW-Authenticate of a 401: "Basic realm=\"x\"" */
} skua_http_auth;

#define SKUA_HTTP_AUTH(...)                                                                        \
    {                                                                                              \
        .size = sizeof(skua_http_auth), __VA_ARGS__                                                \
    }

/* Runs the rest for whom a function lets through.
 *
 * auth       a skua_http_auth
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_auth_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                  void *auth);

/* Name and password of "Authorization: Basic" (RFC 7617).
 *
 * user, password  receive them, which live as long as the exchange
 * Returns    0; -ENOENT: there is no such header; -EBADMSG: it is malformed; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_basic(skua_http_exchange *exchange, const char **user,
                                            const char **password);

/* The token of "Authorization: Bearer" (RFC 6750).
 *
 * token      receives it, which lives as long as the exchange
 * Returns    0; -ENOENT: there is no such header; -EBADMSG: it is malformed
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_bearer(skua_http_exchange *exchange, const char **token);

/* Compares a secret with what a client says, in a time that does not tell where they differ.
 *
 * Returns    1: they are the same; 0
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_same_secret(const char *said, const char *secret);

/* ---- error pages ----------------------------------------------------------------------------- */

typedef struct skua_http_pages {
    size_t size; /* SKUA_HTTP_PAGES sets it */
    skua_http_page_fn page;
    void *arg; /* its state */
} skua_http_pages;

#define SKUA_HTTP_PAGES(...)                                                                       \
    {                                                                                              \
        .size = sizeof(skua_http_pages), __VA_ARGS__                                               \
    }

/* Has a function make the pages of what the rest refuses, and of its failures.
 *
 * pages      a skua_http_pages
 * Returns    as skua_http_layer_fn
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_pages_layer(skua_http_exchange *exchange, const skua_http_chain *rest,
                                   void *pages);

SKUA_C_END

#endif
