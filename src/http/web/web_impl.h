/* web_impl.h - what the parts of http/web share: texts that grow, hosts, times of HTTP.
 *
 *   web_log.c      the access log, ids of requests
 *   web_guard.c    time-outs, limits, breakers; who asks
 *   web_rates.c    rates by key
 *   web_cors.c     cross-origin requests
 *   web_extract.c  typed values, forms, cookies
 *   web_events.c   server-sent events
 *   web_static.c   files: their names, their types
 *   web_file.c     conditions, ranges, sending
 */
#ifndef SKUA_HTTP_WEB_IMPL_H
#define SKUA_HTTP_WEB_IMPL_H

#include "http/core/http_impl.h"

/* A text in an exchange's memory, with a NUL behind it. */
struct skua__web_text {
    struct skua__http_arena *arena;
    char *text;
    size_t len, room;
    bool failed; /* there was no memory */
};

void skua__web_put(struct skua__web_text *text, const char *bytes, size_t len);
/* Short ones only: 64 bytes at most. */
void skua__web_printf(struct skua__web_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A text as a string of JSON, with its quotes; what is no UTF-8 becomes U+FFFD. (web_log.c) */
void skua__web_json(struct skua__web_text *text, const char *string);
/* How many bytes a character of UTF-8 has; 0: it is none (overlong, a surrogate, too high). */
size_t skua__web_utf8(const char *text);

/* A peer without its port and brackets. */
#define SKUA__WEB_HOST 128
void skua__web_host(const char *peer, char host[SKUA__WEB_HOST]);

/* Replies with the status, and Retry-After in whole seconds, rounded up; ns below 0: without. */
int skua__web_refuse_for(skua_http_exchange *exchange, int status, int64_t ns);

#endif
