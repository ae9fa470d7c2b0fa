/* sdk_stats.c - telemetry's own numbers.
 */
#include "otel/sdk/sdk_impl.h"

static uint64_t stats_load(_Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

uint64_t skua__sdk_started(const struct skua__otel_counts *counts, skua_otel_sampling sampling)
{
    uint64_t sum = 0;

    for (unsigned parent = 0; parent < 3; parent++)
        sum += counts->started[SKUA__OTEL_STARTED(parent, sampling)];
    return sum;
}

void skua_otel_stats(skua_otel_counts *ret)
{
    struct skua__sdk *sdk = skua__sdk_last();
    struct skua__otel_counts counts;

    skua__otel_threads_count(&counts);
    *ret = (skua_otel_counts){.spans_dropped = skua__sdk_started(&counts, SKUA_OTEL_DROP),
                              .spans_recorded = skua__sdk_started(&counts, SKUA_OTEL_RECORD),
                              .spans_sampled = skua__sdk_started(&counts, SKUA_OTEL_SAMPLE),
                              .logs = counts.logs,
                              .full_spans = counts.dropped[SKUA__OTEL_SPAN],
                              .full_logs = counts.dropped[SKUA__OTEL_LOG],
                              .lost = counts.lost + stats_load(&skua__pipe_lost),
                              .filtered = stats_load(&skua__pipe_filtered),
                              .late = stats_load(&skua__trace_late) + stats_load(&skua__log_late),
                              .destinations = sdk != NULL ? sdk->dests_count : 0};
}

void skua__sdk_counts(struct skua__sdk *sdk, size_t index, skua_otel_destination_counts *ret)
{
    struct skua__dest_counts *counts = &sdk->counts[index];

    *ret = (skua_otel_destination_counts){.name = sdk->names[index],
                                          .signal = sdk->dests[index].signal,
                                          .queued = stats_load(&counts->queued),
                                          .inflight = stats_load(&counts->inflight),
                                          .capacity = sdk->dests[index].max_queue,
                                          .exported = stats_load(&counts->exported),
                                          .rejected = stats_load(&counts->rejected),
                                          .failed = stats_load(&counts->failed),
                                          .full = stats_load(&counts->dropped_full),
                                          .shutdown = stats_load(&counts->dropped_shutdown),
                                          .exports = stats_load(&counts->exports),
                                          .timeouts = stats_load(&counts->late),
                                          .export_ns = stats_load(&counts->export_ns)};
}

int skua_otel_destination_stats(size_t index, skua_otel_destination_counts *ret)
{
    struct skua__sdk *sdk = skua__sdk_last();

    *ret = (skua_otel_destination_counts){.name = NULL};
    if (sdk == NULL || index >= sdk->dests_count)
        return -ENOENT;
    skua__sdk_counts(sdk, index, ret);
    return 0;
}
