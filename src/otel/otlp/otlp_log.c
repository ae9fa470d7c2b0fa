/* otlp_log.c - log records. Fields of opentelemetry/proto/logs/v1.
 */
#include "otel/otlp/otlp_impl.h"

void skua__otlp_log(struct skua__otlp *out, const skua_otel_log *log)
{
    size_t from = skua__otlp_size(out);

    skua__otlp_text(out, 12, log->event_name.at, log->event_name.len);
    skua__otlp_fixed64(out, 11, (uint64_t)log->observed);
    skua__otlp_id(out, 10, log->span_id, 8);
    skua__otlp_id(out, 9, log->trace_id, 16);
    skua__otlp_fixed32(out, 8, log->flags);
    skua__otlp_u64(out, 7, log->attrs.dropped);
    skua__otlp_attrs(out, 6, log->attrs.at, log->attrs.count, 0);
    if (log->body.type != SKUA_ATTR_NONE) {
        size_t inner = skua__otlp_size(out);

        skua__otlp_value(out, &log->body, 0);
        skua__otlp_message(out, 5, inner);
    }
    skua__otlp_text(out, 3, log->severity_text.at, log->severity_text.len);
    skua__otlp_u64(out, 2, log->severity);
    skua__otlp_fixed64(out, 1, (uint64_t)log->time);
    skua__otlp_message(out, 2, from);
}
