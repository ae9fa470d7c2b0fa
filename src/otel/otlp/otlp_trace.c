/* otlp_trace.c - spans, and the requests of all signals, which differ in their items only.
 *
 * Fields of opentelemetry/proto/trace/v1 and collector/{trace,metrics,logs}/v1.
 */
#include "otel/otlp/otlp_impl.h"

/* Of Span.flags and Link.flags beside the 8 bits of W3C. */
#define TRACE_HAS_REMOTE 0x100u
#define TRACE_IS_REMOTE 0x200u

static uint32_t trace_flags(uint8_t flags, uint8_t remote)
{
    return flags | TRACE_HAS_REMOTE | (remote ? TRACE_IS_REMOTE : 0);
}

static void trace_one_event(struct skua__otlp *out, const skua_otel_event *event)
{
    size_t from = skua__otlp_size(out);

    skua__otlp_u64(out, 4, event->attrs.dropped);
    skua__otlp_attrs(out, 3, event->attrs.at, event->attrs.count, 0);
    skua__otlp_text(out, 2, event->name.at, event->name.len);
    skua__otlp_fixed64(out, 1, (uint64_t)event->time);
    skua__otlp_message(out, 11, from);
}

static void trace_link(struct skua__otlp *out, const skua_otel_link *link)
{
    size_t from = skua__otlp_size(out);

    skua__otlp_fixed32(out, 6, trace_flags(link->flags, link->remote));
    skua__otlp_u64(out, 5, link->attrs.dropped);
    skua__otlp_attrs(out, 4, link->attrs.at, link->attrs.count, 0);
    skua__otlp_text(out, 3, link->trace_state.at, link->trace_state.len);
    skua__otlp_id(out, 2, link->span_id, 8);
    skua__otlp_id(out, 1, link->trace_id, 16);
    skua__otlp_message(out, 13, from);
}

static void trace_status(struct skua__otlp *out, const skua_otel_span *span)
{
    size_t from = skua__otlp_size(out);

    if (span->status == 0 && span->status_text.len == 0)
        return;
    skua__otlp_u64(out, 3, span->status);
    skua__otlp_text(out, 2, span->status_text.at, span->status_text.len);
    skua__otlp_message(out, 15, from);
}

void skua__otlp_span(struct skua__otlp *out, const skua_otel_span *span)
{
    size_t from = skua__otlp_size(out);

    skua__otlp_fixed32(out, 16, trace_flags(span->flags, span->parent_remote));
    trace_status(out, span);
    skua__otlp_u64(out, 14, span->links_dropped);
    for (uint32_t i = span->links_count; i-- > 0;)
        trace_link(out, &span->links[i]);
    skua__otlp_u64(out, 12, span->events_dropped);
    for (uint32_t i = span->events_count; i-- > 0;)
        trace_one_event(out, &span->events[i]);
    skua__otlp_u64(out, 10, span->attrs.dropped);
    skua__otlp_attrs(out, 9, span->attrs.at, span->attrs.count, 0);
    skua__otlp_fixed64(out, 8, (uint64_t)span->end);
    skua__otlp_fixed64(out, 7, (uint64_t)span->start);
    skua__otlp_u64(out, 6, span->kind);
    skua__otlp_text(out, 5, span->name.at, span->name.len);
    skua__otlp_id(out, 4, span->parent_id, 8);
    skua__otlp_text(out, 3, span->trace_state.at, span->trace_state.len);
    skua__otlp_id(out, 2, span->span_id, 8);
    skua__otlp_id(out, 1, span->trace_id, 16);
    skua__otlp_message(out, 2, from);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void trace_item(struct skua__otlp *out, const skua_otel_batch *batch, uint32_t index)
{
    switch (batch->signal) {
    case SKUA_OTEL_TRACES:
        skua__otlp_span(out, &batch->items.spans[index]);
        break;
    case SKUA_OTEL_METRICS:
        skua__otlp_metric(out, &batch->items.metrics[index]);
        break;
    default:
        skua__otlp_log(out, &batch->items.logs[index]);
        break;
    }
}

int skua__otlp_request(struct skua__otlp *out, const skua_otel_batch *batch)
{
    size_t from = 0;

    if (batch->count == 0)
        return out->error;
    for (uint32_t i = batch->count; i-- > 0 && out->error == 0;) {
        const skua_otel_scope *scope = skua__otlp_scope_of(batch, i);

        trace_item(out, batch, i);
        if (i != 0 && skua__otlp_scope_of(batch, i - 1) == scope)
            continue;
        skua__otlp_scope_end(out, scope, from);
        from = skua__otlp_size(out);
    }
    skua__otlp_resource_end(out, batch->resource);
    if (out->error == 0 && skua__otlp_size(out) > out->max)
        out->error = -EMSGSIZE;
    return out->error;
}

#undef TRACE_HAS_REMOTE
#undef TRACE_IS_REMOTE
