/* http_measure.h - metrics of requests, on both sides: by libskua's API alone, so that whoever
 * starts an SDK sees them, and nobody else pays more than a look.
 *
 *     http.server.request.duration   s, until the response is whole, or cut
 *     http.server.active_requests    {request}
 *     http.client.request.duration   s, each time that a request is sent, until its answer's head
 *
 * Clients' long calls (client.h: skua_http_call), which are both ways, are not measured.
 *
 * Source: OpenTelemetry semantic conventions, HTTP metrics (stable).
 */
#ifndef SKUA_HTTP_MEASURE_H
#define SKUA_HTTP_MEASURE_H

#include <skua/metric.h>

#include <stdbool.h>

/* What a request was; all of it few different values. */
struct skua__http_measured {
    const char *method;  /* "_OTHER": one that is not known */
    const char *route;   /* of a server; NULL: none */
    const char *version; /* "1.1"; NULL: there is no answer */
    const char *error;   /* error.type; NULL: none */
    const char *server;  /* a client's: its host … */
    size_t server_len;
    int64_t port; /* … and port */
    int status;   /* 0: of an answer that nobody has got a head of */
    bool secure;
};

/* A server's request is under way. */
void skua__http_measure_begin(const char *method, bool secure);
/* ... and not any more. */
void skua__http_measure_end(const struct skua__http_measured *what, int64_t ns);
/* A client's has its answer, or none. */
void skua__http_measure_asked(const struct skua__http_measured *what, int64_t ns);

#endif
