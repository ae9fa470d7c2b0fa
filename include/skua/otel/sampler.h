/* sampler.h - which traces are kept: the functions of a sampler, one's own or a built-in one.
 *
 *     static skua_otel_sampling rare(skua_otel_sampler *self, const skua_otel_sampler_input *input,
 *                                    skua_otel_sampler_result *result)
 *     {
 *         return strcmp(input->name, "GET /health") == 0 ? SKUA_OTEL_DROP : SKUA_OTEL_SAMPLE;
 *     }
 *
 * A sampler is asked when a span starts, on the thread that starts it, before anything is kept: it
 * must be quick, must not wait, and may be asked by many threads at a time.
 *
 * Source     OpenTelemetry specification 1.60: trace/sdk, sampling; tracestate probability
 *            sampling.
 */
#ifndef SKUA_OTEL_SAMPLER_H
#define SKUA_OTEL_SAMPLER_H

#include <skua/otel/data.h>
#include <skua/trace.h>

SKUA_C_BEGIN

typedef enum skua_otel_sampling {
    SKUA_OTEL_DROP,   /* not recorded, not sampled */
    SKUA_OTEL_RECORD, /* processors see it, exporters do not */
    SKUA_OTEL_SAMPLE  /* recorded, and the flag is set for those that come behind */
} skua_otel_sampling;

typedef struct skua_otel_sampler_input {
    const uint8_t *trace_id;         /* 16 bytes; the parent's, or the new one's */
    const skua_span_context *parent; /* NULL: a root */
    const char *name;
    skua_span_kind kind;
    const skua_attr *attrs; /* those given at the start */
    size_t attrs_count;
    const skua_span_link *links;
    size_t links_count;
    const skua_tracer *tracer;
} skua_otel_sampler_input;

/* What it may say beside its decision. All zero when it is called. */
typedef struct skua_otel_sampler_result {
    const skua_attr *attrs; /* to be set on the span; as long as the sampler */
    size_t attrs_count;
    /* The trace state of the new span; NULL: the parent's. At most 512 bytes with its NUL. */
    const char *trace_state;
    char room[512]; /* where it may be made */
} skua_otel_sampler_result;

typedef struct skua_otel_sampler skua_otel_sampler;

struct skua_otel_sampler {
    skua_otel_sampling (*sample)(skua_otel_sampler *self, const skua_otel_sampler_input *input,
                                 skua_otel_sampler_result *result);
    /* "ParentBased{root:…}"; writes it, cut to fit. NULL: "custom". */
    void (*describe)(const skua_otel_sampler *self, char *buf, size_t size);
    void (*free)(skua_otel_sampler *self); /* NULL: the caller's memory */
};

SKUA_C_END

#endif
