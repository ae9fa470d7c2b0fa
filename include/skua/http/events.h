/* events.h - server-sent events: a response that goes on, an event at a time.
 *
 *     static int ticks(skua_http_exchange *exchange, void *state)
 *     {
 *         int rc = 0;
 *
 *         while (rc == 0 && (rc = wait_for_news(state, 15 * SKUA_SECOND)) >= 0)
 *             rc = rc == 0 ? skua_http_event_comment(exchange, "")        -- is anybody there?
 *                          : skua_http_event(exchange, "news", NULL, text_of(state));
 *         return rc;
 *     }
 *
 * A client that has lost its connection comes back, and says in the header Last-Event-ID which
 * event it has seen last. One that has gone away is noticed when something is sent to it: a comment
 * now and then does that, and keeps what is in between from giving up.
 *
 * Source     HTML, 9.2 (server-sent events)
 */
#ifndef SKUA_HTTP_EVENTS_H
#define SKUA_HTTP_EVENTS_H

#include <skua/http/exchange.h>

SKUA_C_BEGIN

/* Sends an event, at once. The first one begins the response, of the type text/event-stream, which
 * caches do not keep.
 *
 * event      its name; NULL: "message"
 * id         of this event; NULL: that of the one before stays
 * data       lines, however they end
 * Returns    0; -EINVAL: a name or id with a line's end; -ENOMEM; else as skua_http_reply
 * Cancel     not safe, as skua_http_reply
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_event(skua_http_exchange *exchange, const char *event, const char *id,
                             const char *data);

/* Sends a comment, which nobody gets to see.
 *
 * text       one line
 * Returns    as skua_http_event
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_event_comment(skua_http_exchange *exchange, const char *text);

SKUA_C_END

#endif
