/* probe.h - the library's side of <skua/probe.h>: how events are told.
 *
 * Guards     skua__probe_mask holds the kinds that somebody wants. It is a hint, read relaxed: a
 *            listener that was attached or detached a moment ago may miss or get an event, and
 *            whoever needs to see a runtime whole attaches before it starts it.
 */
#ifndef SKUA_PROBE_PROBE_H
#define SKUA_PROBE_PROBE_H

#include <skua/probe.h>

#include "base/atomic.h"

extern _Atomic(uint32_t) skua__probe_mask;

/* Whether anybody wants this kind. Relaxed: see above; partner: the stores in probe.c. */
#define skua__probe_on(kind)                                                                       \
    skua__unlikely(skua__load_relaxed(&skua__probe_mask) & SKUA_PROBE_BIT(kind))

/* Kinds that the library itself wants, whoever listens: some more, some less. */
void skua__probe_own(uint32_t more, uint32_t less);
/* Whether anybody wants operations. */
#define skua__probe_ops()                                                                          \
    skua__unlikely(skua__load_relaxed(&skua__probe_mask) &                                         \
                   (SKUA_PROBE_BIT(SKUA_PROBE_BEGUN) | SKUA_PROBE_BIT(SKUA_PROBE_ENDED)))

/* Hands an event to those listeners that want its kind. */
SKUA__COLD void skua__probe_emit(skua_probe_event *event);

/* The listener behind SKUA_TRACE=file.json (probe_trace.c): begins when the first runtime of the
 * process starts, writes the file when the last one ends. Both count their calls. */
void skua__probe_trace_begin(void);
void skua__probe_trace_end(void);

#endif
