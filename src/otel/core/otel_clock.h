/* otel_clock.h - time for what happens often: the processor's counter where it is steady.
 *
 * Reading the clock costs more than all the rest of a span. So the hot path reads ticks; whoever
 * takes the records out turns ticks into ns since 1970, by an anchor (ticks, monotonic ns) and the
 * length of a tick.
 *
 *   skua__otel_ticks    hot: some 20 cycles
 *   skua__otel_time     ticks -> ns since 1970
 *
 * Where the counter is not steady (not x86-64 with invariant TSC, or the kernel does not trust it)
 * a tick is a ns of the monotonic clock.
 *
 * Wall time  of one process goes with the monotonic clock from its anchor: a step of the wall clock
 *            never makes a span end before it starts, and shows up when the anchor is renewed,
 *            which the collecting thread does once a second.
 */
#ifndef SKUA_OTEL_CORE_CLOCK_H
#define SKUA_OTEL_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

extern bool skua__otel_tsc; /* constant behind skua__otel_clock_init */

int64_t skua__otel_monotonic(void);

static inline uint64_t skua__otel_ticks(void)
{
#if defined(__x86_64__)
    if (__builtin_expect(skua__otel_tsc, 1))
        return __builtin_ia32_rdtsc();
#endif
    return (uint64_t)skua__otel_monotonic();
}

/* Once, before all others; takes some ms the first time, to learn how long a tick is. */
void skua__otel_clock_init(void);
/* A new anchor; one thread at a time. */
void skua__otel_clock_renew(void);
/* ns since 1970; on the thread that renews, or when nobody does. */
int64_t skua__otel_time(uint64_t ticks);
/* Of a span of ticks. */
int64_t skua__otel_span_of(uint64_t ticks);
/* Now, in ns since 1970, on any thread. */
int64_t skua__otel_now(void);

#endif
