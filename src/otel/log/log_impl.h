/* log_impl.h - log records as the SDK has them.
 *
 *   log_record.c   the functions behind log.h: a record into its thread's ring
 *   log_read.c     out of it, as data.h has it
 *
 *   emit -> kept? -> notes of body and attributes, on the stack -> record in the thread's ring
 *
 * Cost       of a record without attributes: a read of the clock, and a copy of some 100 bytes and
 *            the text; no lock, no allocation.
 */
#ifndef SKUA_OTEL_LOG_IMPL_H
#define SKUA_OTEL_LOG_IMPL_H

#include <skua/otel/data.h>
#include <skua/telemetry.h>

#include "otel/core/otel_clock.h"
#include "otel/core/otel_reader.h"
#include "otel/core/otel_thread.h"
#include "otel/notes/notes_impl.h"

/* What all records follow; constant once it is installed, and never freed. */
struct skua__log_sdk {
    const void *owner;               /* of who installs it, for its functions */
    struct skua__otel_limits limits; /* attrs and value_len count */
    /* The least severity that is taken; 0: all. Those that do not say theirs are. */
    uint8_t minimum;
    /* Records inside of a trace that is not sampled are left out. */
    bool sampled_only;
    bool closed; /* telemetry is off: what comes late is counted */
    /* A ring has more than `wake_at` bytes: wakes the collector. Any thread, and must not wait. */
    void (*filled)(void);
    size_t wake_at;
    /* Processors that are asked: one of them says no: 0. NULL: there are none. */
    int (*enabled)(const struct skua__log_sdk *sdk, skua_severity severity, const char *event,
                   const skua_span_context *context);
    /* Of a scope: as skua_log_ops's; NULL: `minimum`. */
    unsigned (*minimum_of)(const struct skua__log_sdk *sdk, const skua_logger *logger);
    /* Of a scope: as `sampled_only`; asked of each logger once. NULL: as that. `number`: of this
     * SDK, by which loggers keep the answer; not 0. */
    bool (*sampled_only_of)(const struct skua__log_sdk *sdk, const skua_logger *logger);
    uint64_t number;
};

extern const skua_log_ops skua__log_ops;
extern _Atomic uint64_t skua__log_late; /* records that came when it was closed; relaxed */
/* Before skua_log_install. */
void skua__log_use(const struct skua__log_sdk *sdk);
const struct skua__log_sdk *skua__log_used(void);

/* Behind it: the text, the severity's text, the event's name, each with a NUL; from the next
 * multiple of 8 on the notes: the body first, when there is one; then attributes. */
struct skua__log_record {
    const skua_logger *logger;
    uint64_t time, observed; /* ticks; or ns since 1970 */
    uint8_t trace_id[16], span_id[8];
    uint8_t flags, severity;
    uint8_t bits; /* SKUA__LOG_… */
    uint8_t zero;
    uint32_t text_len, notes_len;
    uint32_t attrs, attrs_over;
    uint16_t severity_len, event_len;
};

#define SKUA__LOG_TIME_WALL 1u     /* time is ns since 1970 */
#define SKUA__LOG_OBSERVED_WALL 2u /* observed is */
#define SKUA__LOG_HAS_TEXT 4u      /* the body is the text */
#define SKUA__LOG_HAS_BODY 8u      /* the body is the first note */

extern const struct skua__otel_reader skua__otel_log_reader; /* log_read.c */

#endif
