/* web_events.c - server-sent events, as HTML (9.2) has them: lines "field: value", an empty one.
 *
 * A line's end in a name would begin a field of its own, or an event: it is refused. In the data
 * each line gets its own field; CR, LF and both are line ends to the client, so they are here. The
 * exchange's memory is not used: a response of events may go on for days.
 */
#include <skua/http/events.h>

#include "http/core/http_impl.h"

static int events_begin(skua_http_exchange *exchange)
{
    int rc;

    if (exchange->begun)
        return 0;
    rc = skua_http_set_header(exchange, "Content-Type", "text/event-stream");
    return rc == 0 ? skua_http_set_header(exchange, "Cache-Control", "no-cache") : rc;
}

/* "field: value" and the line's end; NULL: no line. */
static int events_line(skua_http_exchange *exchange, const char *field, const char *value,
                       size_t len)
{
    ssize_t rc = 0;

    if (value == NULL)
        return 0;
    rc = skua_http_write(exchange, field, strlen(field));
    if (rc >= 0)
        rc = skua_http_write(exchange, value, len);
    if (rc >= 0)
        rc = skua_http_write(exchange, "\n", 1);
    return rc < 0 ? (int)rc : 0;
}

static bool events_is_line(const char *text)
{
    return text == NULL || strpbrk(text, "\r\n") == NULL;
}

int skua_http_event(skua_http_exchange *exchange, const char *event, const char *id,
                    const char *data)
{
    int rc = events_is_line(event) && events_is_line(id) ? events_begin(exchange) : -EINVAL;
    bool more = true;

    if (rc == 0)
        rc = events_line(exchange, "event: ", event, event != NULL ? strlen(event) : 0);
    if (rc == 0)
        rc = events_line(exchange, "id: ", id, id != NULL ? strlen(id) : 0);
    while (rc == 0 && more) {
        size_t len = strcspn(data, "\r\n");

        rc = events_line(exchange, "data: ", data, len);
        data += len;
        more = *data != '\0';
        data += strncmp(data, "\r\n", 2) == 0 ? 2 : more;
    }
    if (rc == 0 && skua_http_write(exchange, "\n", 1) < 0)
        rc = exchange->error;
    return rc == 0 ? skua_http_flush(exchange) : rc;
}

int skua_http_event_comment(skua_http_exchange *exchange, const char *text)
{
    int rc = events_is_line(text) ? events_begin(exchange) : -EINVAL;

    if (rc == 0)
        rc = events_line(exchange, ": ", text, strlen(text));
    return rc == 0 ? skua_http_flush(exchange) : rc;
}
