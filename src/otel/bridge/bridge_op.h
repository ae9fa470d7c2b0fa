/* bridge_op.h - operations of the library as spans and metrics.
 *
 *   bridge_op.c          the listener (skua/probe.h), its life
 *   bridge_op_span.c     BEGUN, ENDED -> a span
 *   bridge_op_metric.c   ENDED, MOVED -> metrics
 *
 * What happens where telemetry is suppressed, as on telemetry's own thread, makes nothing.
 */
#ifndef SKUA_OTEL_BRIDGE_OP_H
#define SKUA_OTEL_BRIDGE_OP_H

#include <skua/metric.h>
#include <skua/otel/sdk.h>
#include <skua/probe.h>
#include <skua/trace.h>

#include "otel/core/otel_impl.h"

/* Listens, as `what` says; OFF and DEFAULT: to nothing. Again: only `what` changes. */
void skua__bridge_ops_start(skua_otel_operations what);
/* Listens no more. Under no lock that is held over a fork. */
void skua__bridge_ops_stop(void);

/* ---- for each other -------------------------------------------------------------------------- */

/* At the beginning: the span; NULL: nobody is recorded who would have it as a child, or it is of a
 * kind that makes none. */
skua_span *skua__bridge_op_span(const skua_probe_op *op);
void skua__bridge_op_span_end(skua_span *span, const skua_probe_op *op);

/* Binds what is counted most; once. */
void skua__bridge_op_metric_init(void);
void skua__bridge_op_measure(const skua_probe_op *op);
void skua__bridge_op_moved(const char *what, int64_t bytes);

/* Why it failed, as error.type has it; "": it did not. A process that ended with a code other than
 * 0 has failed with that code. */
#define SKUA__OP_ERROR_MAX 24
const char *skua__bridge_op_error(const skua_probe_op *op, char room[SKUA__OP_ERROR_MAX]);
/* The last part of a path. */
const char *skua__bridge_op_base(const char *path);

#endif
