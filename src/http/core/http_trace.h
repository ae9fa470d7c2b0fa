/* http_trace.h - spans of requests, on both sides: made by libskua's API alone, so that whoever
 * starts an SDK sees them, and nobody else pays more than a look.
 *
 *   server   http_trace.c      one span around the handler, ended with the response
 *   client   http_trace_ask.c  one span each time that a request is sent, until its answer's head
 *
 * Source: OpenTelemetry semantic conventions, HTTP (stable).
 */
#ifndef SKUA_HTTP_CORE_TRACE_H
#define SKUA_HTTP_CORE_TRACE_H

#include <skua/propagation.h>

#include "http/core/http_impl.h"
#include "http/measure/http_measure.h"

/* ---- for both (http_trace_text.c) ------------------------------------------------------------ */

#define SKUA__HTTP_TRACE_HOST 256
#define SKUA__HTTP_TRACE_QUERY 512

/* "host:port" taken apart, without the brackets of IPv6. */
struct skua__http_trace_peer {
    const char *host;
    size_t host_len;
    int64_t port; /* 0: none is said */
};

struct skua__http_trace_peer skua__http_trace_peer(const char *address);
/* The method, or "_OTHER" for one that is not known: names of spans must be few. */
const char *skua__http_trace_method(const char *method);
/* The name that a span has without a route. */
const char *skua__http_trace_name(const char *method);
/* "1.1" of 11. */
const char *skua__http_trace_version(int version);
/* A query without its signatures, in `room` where they are there, cut to fit. */
const char *skua__http_trace_query(const char *query, size_t len, char *room, size_t size,
                                   size_t *ret_len);
#define SKUA__HTTP_TRACE_NUMBER 12
/* error.type: a code's name, else a status from `from` on, as text in `room`; NULL: no error. */
const char *skua__http_trace_error(int status, int from, int error,
                                   char room[SKUA__HTTP_TRACE_NUMBER]);
/* How it ended: the attributes of a status and of an error (0: none), and the span's own status.
 * from: statuses from here on are errors. */
void skua__http_trace_status(skua_span *span, int status, int from, int error);

/* Whether anything is to be done for a request at all. */
static inline bool skua__http_trace_on(void)
{
    const char *name = skua_propagation()->name;

    return SKUA_TRACE_ON() || name == NULL || strcmp(name, "none") != 0;
}

/* ---- a server's (http_trace.c) --------------------------------------------------------------- */

/* What is current around a handler; in its fiber's frame. */
struct skua__http_trace {
    skua_propagation_frame incoming;
    skua_span_frame frame;
};

/* Calls the handler within a timeout, and makes the response whole: 0, or an error: it is not, and
 * the connection ends. With a span around all of it, when there is telemetry. */
int skua__http_exchange_run(skua_http_exchange *exchange, skua_http_handler handler, void *state,
                            int64_t timeout);
/* The route is known. */
void skua__http_trace_route(skua_http_exchange *exchange);
/* The response is whole, or cut by an error; later ones do nothing. code: the handler's. */
void skua__http_trace_end(skua_http_exchange *exchange, int code, int error);

/* ---- a client's (http_trace_ask.c) ----------------------------------------------------------- */

/* A request, each time that it is sent. */
struct skua__http_trace_ask {
    const char *method;
    const char *address; /* "host:port" */
    const char *url;
    unsigned resend; /* so many times it was sent before */
};

/* Starts a span, and writes its context among the headers. NULL: there is none, and is no
 * error: what is current is written then. */
skua_span *skua__http_trace_ask(const struct skua__http_trace_ask *ask,
                                struct skua__http_fields *fields, struct skua__http_arena *arena);
/* The head of the answer has come, or rc: an error. */
void skua__http_trace_answered(skua_span *span, int rc, int status, int version);

#endif
