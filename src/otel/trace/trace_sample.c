/* trace_sample.c - the samplers that need no state.
 */
#include "otel/trace/trace_impl.h"

static skua_otel_sampling sample_always(skua_otel_sampler *self,
                                        const skua_otel_sampler_input *input,
                                        skua_otel_sampler_result *result)
{
    (void)self;
    (void)input;
    (void)result;
    return SKUA_OTEL_SAMPLE;
}

static skua_otel_sampling sample_never(skua_otel_sampler *self,
                                       const skua_otel_sampler_input *input,
                                       skua_otel_sampler_result *result)
{
    (void)self;
    (void)input;
    (void)result;
    return SKUA_OTEL_DROP;
}

skua_otel_sampler skua__sampler_always = {.sample = sample_always};
skua_otel_sampler skua__sampler_never = {.sample = sample_never};
