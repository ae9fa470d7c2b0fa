/* trace_sample.h - what the files of samplers share.
 *
 *   trace_sample.c      on, off, ratio, parent_based, always_record; the fast path
 *   trace_rules.c       by rules, by rate
 *   trace_composite.c   probability, composites
 *   trace_state.c       OpenTelemetry's part of the trace state: ot=th:…;rv:…
 */
#ifndef SKUA_OTEL_TRACE_SAMPLE_H
#define SKUA_OTEL_TRACE_SAMPLE_H

#include <skua/otel/samplers.h>

#include "otel/trace/trace_impl.h"

#define SKUA__SAMPLE_ALL (UINT64_C(1) << 56) /* thresholds and randomness are below */

/* The lower 56 bits of a trace id. */
static inline uint64_t skua__sample_random(const uint8_t trace_id[16])
{
    uint64_t word;

    memcpy(&word, trace_id + 8, 8);
    return __builtin_bswap64(word) & (SKUA__SAMPLE_ALL - 1);
}

/* The threshold of a ratio from 0 to 1, rounded to 4 digits where `digits`. */
uint64_t skua__sample_threshold(double ratio, bool digits);

/* ---- trace state (trace_state.c) ------------------------------------------------------------- */

struct skua__ot {
    bool has_threshold, has_random;
    uint64_t threshold, random;
};

/* Of a trace state; NULL: there is none. */
struct skua__ot skua__ot_read(const char *state);
/* What decides: the explicit randomness, or the trace id's. */
uint64_t skua__ot_random(const struct skua__ot *ot, const uint8_t trace_id[16]);
/* The state with another threshold (SKUA_OTEL_NO_THRESHOLD: without one); the rest as it is. In the
 * result's room, cut by members; unchanged where it says so already. */
void skua__ot_write(const char *state, uint64_t threshold, skua_otel_sampler_result *result);

/* ---- rules (trace_rules.c) ------------------------------------------------------------------- */

bool skua__span_matches(const skua_otel_span_match *match, const skua_otel_sampler_input *input);

/* "0.000100", or as many digits as it takes. */
void skua__sample_ratio(double ratio, char *buf, size_t size);

#endif
