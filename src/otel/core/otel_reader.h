/* otel_reader.h - how records of a kind are read out of the rings: whoever writes them says so.
 *
 *   skua__otel_span_reader    trace/trace_record.c
 *   skua__otel_log_reader     log
 */
#ifndef SKUA_OTEL_CORE_READER_H
#define SKUA_OTEL_CORE_READER_H

#include "otel/core/otel_impl.h"

/* Of one kind of record: skua__otel_span_reader (trace), skua__otel_log_reader (log). */
struct skua__otel_reader {
    uint32_t kind; /* SKUA__OTEL_SPAN … */
    skua_otel_signal signal;
    size_t item; /* bytes of an item: a skua_otel_span or a skua_otel_log */
    /* `record` is what stands behind the ring's skua__otel_record. Bytes that reading needs, at
     * most. */
    size_t (*room)(const void *record);
    /* Reads it into `item`; all that it points at is copied into `room` (aligned to 8), but for the
     * scope, which the caller sets. Returns how many bytes of `room` were used. */
    size_t (*read)(const void *record, char *room, void *item);
    /* Who made it: the skua_tracer, the logger; static. */
    const void *(*scope_of)(const void *record);
    /* What it is as a scope; asked once of each. */
    void (*scope)(const void *maker, skua_otel_scope *ret);
    /* Where an item's scope goes. */
    const skua_otel_scope **(*scope_at)(void *item);
};

#endif
