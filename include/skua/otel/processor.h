/* processor.h - what happens to telemetry on its way: hooks of one's own at the start and end of
 * spans, and filters that leave out, enrich or redact before anything is sent.
 *
 *     static int hide(skua_otel_processor *self, skua_otel_span *span, skua_otel_arena *arena)
 *     {
 *         return span->name.len < 6 || memcmp(span->name.at, "health", 6) != 0;  -- 0: left out
 *     }
 *
 *     static const skua_otel_processor_ops ops = {.name = "hide", .span = hide};
 *     static skua_otel_processor processor = {&ops};
 *
 * Hooks      on_start and on_ending run on the thread of who starts and ends the span: they must be
 *            quick, and not wait. What they do with the span counts (skua_span_set and the like).
 *            Spans that they make themselves see no hooks.
 * Filters    span and log run on telemetry's own thread, in the order of the options, once for all
 *            destinations. What they change is sent. Memory for it comes from the arena.
 *
 * Source     OpenTelemetry specification 1.60: trace/sdk, span processor; logs/sdk.
 */
#ifndef SKUA_OTEL_PROCESSOR_H
#define SKUA_OTEL_PROCESSOR_H

#include <skua/log.h>
#include <skua/otel/data.h>
#include <skua/trace.h>

SKUA_C_BEGIN

typedef struct skua_otel_processor skua_otel_processor;
typedef struct skua_otel_arena skua_otel_arena;

typedef struct skua_otel_processor_ops {
    const char *name;
    /* A span that is recorded has started. parent: NULL: a root. NULL: no interest; so with all. */
    void (*on_start)(skua_otel_processor *self, skua_span *span, const skua_span_context *parent);
    /* It is about to end: the last time that something can be set on it. */
    void (*on_ending)(skua_otel_processor *self, skua_span *span);
    /* A span, a log record that is to be sent. 1: it goes on; 0: it is left out. */
    int (*span)(skua_otel_processor *self, skua_otel_span *span, skua_otel_arena *arena);
    int (*log)(skua_otel_processor *self, skua_otel_log *log, skua_otel_arena *arena);
    /* As an exporter's, before theirs; on telemetry's thread. */
    int (*flush)(skua_otel_processor *self, int64_t deadline);
    int (*shutdown)(skua_otel_processor *self, int64_t deadline);
    /* Whether a record like this would go on: what skua_log_enabled says. On the thread that asks;
     * event, context: NULL: none. NULL: yes. */
    int (*log_enabled)(skua_otel_processor *self, skua_severity severity, const char *event,
                       const skua_span_context *context);
} skua_otel_processor_ops;

/* The beginning of every processor; its own data stands behind it. It lives until telemetry is shut
 * down, and hooks that are under way have returned. */
struct skua_otel_processor {
    const skua_otel_processor_ops *ops;
};

/* Memory that lives as long as the span or record that is processed.
 *
 * Returns    size bytes, aligned to 8, not cleared; NULL: there is none
 * Threads    the one that runs the filter
 * Since      0.4
 */
SKUA_API void *skua_otel_alloc(skua_otel_arena *arena, size_t size);

SKUA_C_END

#endif
