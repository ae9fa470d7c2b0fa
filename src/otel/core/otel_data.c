/* otel_data.c - questions about data that is public.
 */
#include "otel/core/otel_impl.h"

size_t skua_otel_batch_size(const skua_otel_batch *batch)
{
    size_t size = 0;

    if (batch->signal != SKUA_OTEL_METRICS)
        return batch->count;
    for (uint32_t i = 0; i < batch->count; i++)
        size += batch->items.metrics[i].points_count;
    return size;
}
