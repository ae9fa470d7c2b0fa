/* memory.h - an exporter that keeps what it is handed, for tests of programs that make telemetry.
 *
 *     skua_otel_exporter *memory;
 *     skua_otel_span spans[8];
 *
 *     skua_otel_memory_new(&memory);
 *     … skua_otel_start with it …
 *     skua_otel_flush(skua_now() + SKUA_SECOND);
 *     assert(skua_otel_memory_spans(memory, spans, 8) == 1);
 *     assert(memcmp(spans[0].name.at, "store order", 11) == 0);
 *
 * Ownership  telemetry frees its exporters at its shutdown; this one is counted: the caller has a
 *            reference of its own, until skua_otel_memory_free: so that a test may look behind the
 *            shutdown.
 */
#ifndef SKUA_OTEL_MEMORY_H
#define SKUA_OTEL_MEMORY_H

#include <skua/otel/exporter.h>

SKUA_C_BEGIN

/* Makes one.
 *
 * Returns    0; -ENOMEM
 * Ownership  two references: the caller's (skua_otel_memory_free), and telemetry's, when it is
 *            started with it; without a start, exporter->ops->free is to be called, too
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_memory_new(skua_otel_exporter **ret);

/* Lets go of the caller's reference.
 *
 * memory     NULL does nothing
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_memory_free(skua_otel_exporter *memory);

/* What was exported, in the order in which it came. What the items point at lives until the next
 * skua_otel_memory_clear, or the exporter's end.
 *
 * ret        room for `max` items; NULL when max is 0
 * Returns    how many there are, of which max at most were stored
 * Threads    any
 * Since      0.4
 */
SKUA_API size_t skua_otel_memory_spans(skua_otel_exporter *memory, skua_otel_span *ret, size_t max);

/* As skua_otel_memory_spans.
 *
 * Returns    as skua_otel_memory_spans
 * Threads    any
 * Since      0.4
 */
SKUA_API size_t skua_otel_memory_logs(skua_otel_exporter *memory, skua_otel_log *ret, size_t max);

/* As skua_otel_memory_spans.
 *
 * Returns    as skua_otel_memory_spans
 * Threads    any
 * Since      0.4
 */
SKUA_API size_t skua_otel_memory_metrics(skua_otel_exporter *memory, skua_otel_metric *ret,
                                         size_t max);

/* The resource of the last batch.
 *
 * Returns    as long as the items; NULL: none came yet
 * Threads    any
 * Since      0.4
 */
SKUA_API const skua_otel_resource *skua_otel_memory_resource(skua_otel_exporter *memory);

/* Forgets all.
 *
 * Threads    any, when nobody looks at items
 * Since      0.4
 */
SKUA_API void skua_otel_memory_clear(skua_otel_exporter *memory);

SKUA_C_END

#endif
