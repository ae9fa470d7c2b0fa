/* bridge_runtime.h - metrics of runtimes: what they count, and what probes tell of them.
 *
 *   bridge_runtime.c        basic: snapshots of all runtimes, at each collect
 *   bridge_channel.c        basic: channels that have names
 *   bridge_runtime_turn.c   full: how long turns, queues and waits take, from probes
 *
 * Telemetry's own runtime is .unseen: neither finds it, so telemetry does not measure itself.
 */
#ifndef SKUA_OTEL_BRIDGE_RUNTIME_H
#define SKUA_OTEL_BRIDGE_RUNTIME_H

#include <skua/otel/sdk.h>
#include <skua/probe.h>
#include <skua/runtime.h>

#include "otel/metric/metric_impl.h"

/* Durations are counted by powers of two: bucket 0 is of what is below 2^10 ns, bucket n of
 * [2^(9+n), 2^(10+n)) ns, the last one of 2^29 ns and more. */
#define SKUA__RTM_BOUNDS 20
#define SKUA__RTM_BUCKETS (SKUA__RTM_BOUNDS + 1)

extern const skua_meter skua__rtm_meter;
extern const double skua__rtm_bounds[SKUA__RTM_BOUNDS]; /* s */

/* What is measured: the option, the environment (where `environment` says so), the default. */
skua_otel_runtime_metrics skua__rtm_level(skua_otel_runtime_metrics option, bool environment);
/* Of one start of telemetry at a time, behind that of its metrics. */
void skua__rtm_begin(skua_otel_runtime_metrics level);
void skua__rtm_end(void);
/* In the child of a fork: its parent's runtimes have counted for their own process. */
void skua__rtm_forked(void);

/* ---- bridge_channel.c ------------------------------------------------------------------------ */

void skua__channels_begin(void);
void skua__channels_end(void);

/* ---- bridge_runtime_turn.c ------------------------------------------------------------------- */

/* Listens; where that is not possible it is told, and nothing of this is measured. */
void skua__turns_begin(void);
void skua__turns_end(void);
/* What is new, into the histograms; while metrics are collected. */
void skua__turns_tell(skua_observer *observer);
/* Nothing runs in it any more. */
void skua__turns_over(const skua_runtime *runtime);
void skua__turns_forked(void);

#endif
