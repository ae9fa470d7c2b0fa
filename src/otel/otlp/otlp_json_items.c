/* otlp_json_items.c - spans and log records as JSON.
 */
#include "otel/otlp/otlp_json.h"

/* Of Span.flags and Link.flags beside the 8 bits of W3C. */
#define ITEMS_HAS_REMOTE 0x100u
#define ITEMS_IS_REMOTE 0x200u

static void items_flags(struct skua__json *out, uint8_t flags, uint8_t remote)
{
    skua__otlp_json_count(out, "flags", flags | ITEMS_HAS_REMOTE | (remote ? ITEMS_IS_REMOTE : 0));
}

/* With what was dropped of them. */
static void items_attrs(struct skua__json *out, const skua_otel_attrs *attrs)
{
    skua__otlp_json_attrs(out, "attributes", attrs);
    skua__otlp_json_count(out, "droppedAttributesCount", attrs->dropped);
}

static void items_events(struct skua__json *out, const skua_otel_span *span)
{
    if (span->events_count == 0)
        return;
    skua__json_key(out, "events");
    skua__json_open(out, '[');
    for (uint32_t i = 0; i < span->events_count; i++) {
        const skua_otel_event *event = &span->events[i];

        skua__json_open(out, '{');
        skua__otlp_json_time(out, "timeUnixNano", event->time);
        skua__otlp_json_texts(out, "name", event->name);
        items_attrs(out, &event->attrs);
        skua__json_close(out, '}');
    }
    skua__json_close(out, ']');
}

static void items_links(struct skua__json *out, const skua_otel_span *span)
{
    if (span->links_count == 0)
        return;
    skua__json_key(out, "links");
    skua__json_open(out, '[');
    for (uint32_t i = 0; i < span->links_count; i++) {
        const skua_otel_link *link = &span->links[i];

        skua__json_open(out, '{');
        skua__otlp_json_id(out, "traceId", link->trace_id, 16);
        skua__otlp_json_id(out, "spanId", link->span_id, 8);
        skua__otlp_json_texts(out, "traceState", link->trace_state);
        items_attrs(out, &link->attrs);
        items_flags(out, link->flags, link->remote);
        skua__json_close(out, '}');
    }
    skua__json_close(out, ']');
}

static void items_status(struct skua__json *out, const skua_otel_span *span)
{
    if (span->status == 0 && span->status_text.len == 0)
        return;
    skua__json_key(out, "status");
    skua__json_open(out, '{');
    skua__otlp_json_texts(out, "message", span->status_text);
    skua__otlp_json_count(out, "code", span->status);
    skua__json_close(out, '}');
}

void skua__otlp_json_span(struct skua__json *out, const skua_otel_span *span)
{
    skua__json_open(out, '{');
    skua__otlp_json_id(out, "traceId", span->trace_id, 16);
    skua__otlp_json_id(out, "spanId", span->span_id, 8);
    skua__otlp_json_texts(out, "traceState", span->trace_state);
    skua__otlp_json_id(out, "parentSpanId", span->parent_id, 8);
    items_flags(out, span->flags, span->parent_remote);
    skua__otlp_json_texts(out, "name", span->name);
    skua__otlp_json_count(out, "kind", span->kind);
    skua__otlp_json_time(out, "startTimeUnixNano", span->start);
    skua__otlp_json_time(out, "endTimeUnixNano", span->end);
    items_attrs(out, &span->attrs);
    items_events(out, span);
    skua__otlp_json_count(out, "droppedEventsCount", span->events_dropped);
    items_links(out, span);
    skua__otlp_json_count(out, "droppedLinksCount", span->links_dropped);
    items_status(out, span);
    skua__json_close(out, '}');
}

void skua__otlp_json_log(struct skua__json *out, const skua_otel_log *log)
{
    skua__json_open(out, '{');
    skua__otlp_json_time(out, "timeUnixNano", log->time);
    skua__otlp_json_time(out, "observedTimeUnixNano", log->observed);
    skua__otlp_json_count(out, "severityNumber", log->severity);
    skua__otlp_json_texts(out, "severityText", log->severity_text);
    skua__otlp_json_texts(out, "eventName", log->event_name);
    if (log->body.type != SKUA_ATTR_NONE) {
        skua__json_key(out, "body");
        skua__otlp_json_value(out, &log->body, 0);
    }
    items_attrs(out, &log->attrs);
    skua__otlp_json_count(out, "flags", log->flags);
    skua__otlp_json_id(out, "traceId", log->trace_id, 16);
    skua__otlp_json_id(out, "spanId", log->span_id, 8);
    skua__json_close(out, '}');
}

#undef ITEMS_HAS_REMOTE
#undef ITEMS_IS_REMOTE
