/* retry.h - a request that is sent again, when its answer says so or does not come.
 *
 *     static skua_retry_budget budget = SKUA_RETRY_BUDGET_INIT;
 *
 *     rc = skua_http_client_send_retrying(
 *         client, SKUA_HTTP_REQUEST(.url = url, .timeout = 20 * SKUA_SECOND),
 *         SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.attempts = 4,
 *                                                                 .budget = &budget)),
 *         &response);
 *
 * What        408, 429, 502, 503 and 504; a connection that is refused, reset or ended before the
 *             head of the answer was there; time-outs. Not what will be the same again: an answer
 *             that is malformed, another status, a URL. With a function of one's own: what it says.
 * Whether     only a request that may be sent twice: of an idempotent method (GET, HEAD, OPTIONS,
 *             TRACE, PUT, DELETE), or with .any_method, or to which no connection was made at all
 *             (-ECONNREFUSED, and not behind a redirect: whoever sent it on has acted); and whose
 *             body can be had again (.body, or .body_again).
 * When        after a pause as retry.h of libskua has it, exponential with jitter, and not before
 *             the server wants it (Retry-After, in seconds or as a date). One that wants more than
 *             .retry_after_max has said no.
 * How often   .attempts of the backoff, 3 by default. Give all requests to one service the same
 *             budget: when it is down, retries do not multiply its load.
 * Until when  request.timeout, or the client's total_timeout, counts from the call for all tries,
 *             their pauses, and the body that is read in the end.
 * In the end  the last answer is handed out whatever its status, or the last error.
 *
 * Source     RFC 9110 (9.2.2, 10.2.3), RFC 6585; Finagle, gRPC's A6, AWS' SDKs, reqwest-retry.
 */
#ifndef SKUA_HTTP_RETRY_H
#define SKUA_HTTP_RETRY_H

#include <skua/http/client.h>
#include <skua/retry.h>

SKUA_C_BEGIN

/* The functions get `arg`, and run where the call waits. */
typedef struct skua_http_retry_options {
    size_t size;                         /* stamped by the macro */
    const skua_backoff_options *backoff; /* pauses, tries, budget (default NULL: its defaults) */
    int64_t try_timeout; /* ns for a try, to the head of its answer; fibers only (default 0: what
                                the client's time-outs say) */
    int64_t retry_after_max; /* ns (default 30 s) */
    unsigned any_method;     /* 1: also methods that are not idempotent: the server may act twice */
    /* Whether to send it again: not 0: yes. Asked instead of the list above, for requests that may
     * be sent twice. rc: an error, or 0: then there is a response, whose head may be asked. */
    int (*retry_if)(int rc, const skua_http_response *response, void *arg);
    /* Told before each pause: which try it was, from 1; its error, or its status; ns. */
    void (*on_retry)(unsigned attempt, int rc, int64_t pause, void *arg);
    void *arg;
} skua_http_retry_options;

#ifndef __cplusplus
#define SKUA_HTTP_RETRY_OPTIONS(...)                                                               \
    (&(const skua_http_retry_options){.size = sizeof(skua_http_retry_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_retry_options_init(skua_http_retry_options *options);

/* As skua_http_client_send, again and again. Answers that are not handed out are closed, and their
 * connections kept where the bodies are short.
 *
 * request    each try is counted by the client as a request of its own
 * options    NULL: all defaults
 * response   as skua_http_client_send
 * Returns    as skua_http_client_send, of the last try; -ECANCELED, -ETIMEDOUT also in a pause: the
 *            caller's own end; SKUA_EUSAGE: a .try_timeout outside a fiber
 * Threads    fibers, plain threads
 * Cancel     as skua_http_client_send
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_client_send_retrying(skua_http_client *client,
                                                           const skua_http_request *request,
                                                           const skua_http_retry_options *options,
                                                           skua_http_response **response);

SKUA_C_END

#endif
