/* trace_sample.c - the samplers that nearly everybody has, and how they are decided fast.
 *
 *   threshold     a trace is kept when the lower 56 bits of its id are not below it: 0 keeps all,
 *                 2^56 nothing; so on, off and ratio are one comparison
 *   fast path     skua__trace_sampler takes these out of their objects, also out of a parent_based
 *                 whose other parts are the defaults; what is left is called
 */
#include <stdio.h>
#include <stdlib.h>

#include "otel/trace/trace_sample.h"

struct sample_ratio {
    skua_otel_sampler sampler;
    uint64_t threshold;
    double ratio;
};

struct sample_parent {
    skua_otel_sampler sampler;
    skua_otel_sampler *root, *parts[2][2]; /* by remote, by sampled */
};

struct sample_record {
    skua_otel_sampler sampler;
    skua_otel_sampler *root;
};

/* ---- on, off, ratio -------------------------------------------------------------------------- */

static skua_otel_sampling sample_ratio(skua_otel_sampler *self,
                                       const skua_otel_sampler_input *input,
                                       skua_otel_sampler_result *result)
{
    (void)result;
    return skua__sample_random(input->trace_id) >= ((struct sample_ratio *)self)->threshold
               ? SKUA_OTEL_SAMPLE
               : SKUA_OTEL_DROP;
}

static void describe_on(const skua_otel_sampler *self, char *buf, size_t size)
{
    (void)self;
    (void)snprintf(buf, size, "AlwaysOnSampler");
}

static void describe_off(const skua_otel_sampler *self, char *buf, size_t size)
{
    (void)self;
    (void)snprintf(buf, size, "AlwaysOffSampler");
}

void skua__sample_ratio(double ratio, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%.6f", ratio);
    if (strtod(buf, NULL) != ratio)
        (void)snprintf(buf, size, "%.17g", ratio);
}

static void describe_ratio(const skua_otel_sampler *self, char *buf, size_t size)
{
    char number[32];

    skua__sample_ratio(((const struct sample_ratio *)self)->ratio, number, sizeof number);
    (void)snprintf(buf, size, "TraceIdRatioBased{%s}", number);
}

static struct sample_ratio sample_on = {{sample_ratio, describe_on, NULL}, 0, 1};
static struct sample_ratio sample_off = {{sample_ratio, describe_off, NULL}, SKUA__SAMPLE_ALL, 0};

skua_otel_sampler *skua_otel_sampler_always_on(void)
{
    return &sample_on.sampler;
}

skua_otel_sampler *skua_otel_sampler_always_off(void)
{
    return &sample_off.sampler;
}

/* By 4 digits: 4 significant ones behind the leading f's, as the specification recommends. */
uint64_t skua__sample_threshold(double ratio, bool digits)
{
    uint64_t threshold = SKUA__SAMPLE_ALL - (uint64_t)(ratio * (double)SKUA__SAMPLE_ALL + 0.5);
    unsigned precision = 4, halvings = 0;
    uint64_t unit;

    if (!digits || threshold == SKUA__SAMPLE_ALL)
        return threshold;
    for (double at = ratio; at < 0.5; at *= 2)
        halvings++;
    precision += halvings / 4;
    unit = precision < 14 ? UINT64_C(1) << 4 * (14 - precision) : 1;
    threshold = (threshold + unit / 2) & ~(unit - 1);
    return threshold < SKUA__SAMPLE_ALL ? threshold : SKUA__SAMPLE_ALL - unit;
}

static void free_ratio(skua_otel_sampler *self)
{
    skua__otel_free(self);
}

int skua_otel_sampler_ratio(double ratio, skua_otel_sampler **ret)
{
    struct sample_ratio *self;

    *ret = NULL;
    if (!(ratio >= 0 && ratio <= 1))
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    *self = (struct sample_ratio){
        {sample_ratio, describe_ratio, free_ratio}, skua__sample_threshold(ratio, false), ratio};
    *ret = &self->sampler;
    return 0;
}

/* ---- parent_based ---------------------------------------------------------------------------- */

static skua_otel_sampling sample_parent(skua_otel_sampler *sampler,
                                        const skua_otel_sampler_input *input,
                                        skua_otel_sampler_result *result)
{
    struct sample_parent *self = (struct sample_parent *)sampler;
    const skua_span_context *parent = input->parent;
    skua_otel_sampler *part =
        parent == NULL
            ? self->root
            : self->parts[parent->remote != 0][(parent->flags & SKUA_TRACE_SAMPLED) != 0];

    return part->sample(part, input, result);
}

static void describe_parent(const skua_otel_sampler *sampler, char *buf, size_t size)
{
    const struct sample_parent *self = (const struct sample_parent *)sampler;
    char root[96], parts[4][96];

    skua_otel_sampler_describe(self->root, root, sizeof root);
    for (size_t i = 0; i < 4; i++)
        skua_otel_sampler_describe(self->parts[i / 2][i % 2], parts[i], sizeof parts[i]);
    (void)snprintf(buf, size,
                   "ParentBased{root:%s,remoteParentSampled:%s,remoteParentNotSampled:%s,"
                   "localParentSampled:%s,localParentNotSampled:%s}",
                   root, parts[3], parts[2], parts[1], parts[0]);
}

static void free_parent(skua_otel_sampler *sampler)
{
    struct sample_parent *self = (struct sample_parent *)sampler;

    skua_otel_sampler_free(self->root);
    for (size_t i = 0; i < 4; i++)
        skua_otel_sampler_free(self->parts[i / 2][i % 2]);
    skua__otel_free(self);
}

static skua_otel_sampler *sample_or(skua_otel_sampler *part, struct sample_ratio *standard)
{
    return part != NULL ? part : &standard->sampler;
}

int skua_otel_sampler_parent_based(const skua_otel_parent_based *parts, skua_otel_sampler **ret)
{
    static const skua_otel_parent_based none = {.size = sizeof none};
    struct sample_parent *self;

    *ret = NULL;
    if (parts == NULL)
        parts = &none;
    if (parts->size != sizeof *parts)
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL) {
        skua_otel_sampler_free(parts->root);
        skua_otel_sampler_free(parts->remote_sampled);
        skua_otel_sampler_free(parts->remote_not_sampled);
        skua_otel_sampler_free(parts->local_sampled);
        skua_otel_sampler_free(parts->local_not_sampled);
        return -ENOMEM;
    }
    self->sampler = (skua_otel_sampler){sample_parent, describe_parent, free_parent};
    self->root = sample_or(parts->root, &sample_on);
    self->parts[1][1] = sample_or(parts->remote_sampled, &sample_on);
    self->parts[1][0] = sample_or(parts->remote_not_sampled, &sample_off);
    self->parts[0][1] = sample_or(parts->local_sampled, &sample_on);
    self->parts[0][0] = sample_or(parts->local_not_sampled, &sample_off);
    *ret = &self->sampler;
    return 0;
}

/* ---- always_record --------------------------------------------------------------------------- */

static skua_otel_sampling sample_record(skua_otel_sampler *sampler,
                                        const skua_otel_sampler_input *input,
                                        skua_otel_sampler_result *result)
{
    skua_otel_sampler *root = ((struct sample_record *)sampler)->root;
    skua_otel_sampling sampling = root->sample(root, input, result);

    return sampling == SKUA_OTEL_DROP ? SKUA_OTEL_RECORD : sampling;
}

static void describe_record(const skua_otel_sampler *sampler, char *buf, size_t size)
{
    char root[512];

    skua_otel_sampler_describe(((const struct sample_record *)sampler)->root, root, sizeof root);
    (void)snprintf(buf, size, "AlwaysRecordSampler{root:%s}", root);
}

static void free_record(skua_otel_sampler *sampler)
{
    skua_otel_sampler_free(((struct sample_record *)sampler)->root);
    skua__otel_free(sampler);
}

int skua_otel_sampler_always_record(skua_otel_sampler *root, skua_otel_sampler **ret)
{
    struct sample_record *self;

    *ret = NULL;
    if (root == NULL)
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL) {
        skua_otel_sampler_free(root);
        return -ENOMEM;
    }
    *self = (struct sample_record){{sample_record, describe_record, free_record}, root};
    *ret = &self->sampler;
    return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

void skua_otel_sampler_describe(const skua_otel_sampler *self, char *buf, size_t size)
{
    if (self->describe != NULL)
        self->describe(self, buf, size);
    else
        (void)snprintf(buf, size, "custom");
}

void skua_otel_sampler_free(skua_otel_sampler *self)
{
    if (self != NULL && self->free != NULL)
        self->free(self);
}

/* ---- the fast path --------------------------------------------------------------------------- */

static bool sample_is_ratio(const skua_otel_sampler *sampler)
{
    return sampler->sample == sample_ratio;
}

void skua__trace_sampler(struct skua__trace_sdk *sdk, skua_otel_sampler *sampler)
{
    const struct sample_parent *parent = (const struct sample_parent *)sampler;

    sdk->sampler = NULL;
    sdk->threshold = 0;
    sdk->orphan = false;
    if (sampler == NULL)
        return;
    if (sample_is_ratio(sampler)) {
        sdk->threshold = ((const struct sample_ratio *)sampler)->threshold;
        sdk->orphan = true;
    } else if (sampler->sample == sample_parent && sample_is_ratio(parent->root) &&
               parent->parts[0][0] == &sample_off.sampler &&
               parent->parts[1][0] == &sample_off.sampler &&
               parent->parts[0][1] == &sample_on.sampler &&
               parent->parts[1][1] == &sample_on.sampler) {
        sdk->threshold = ((const struct sample_ratio *)parent->root)->threshold;
    } else {
        sdk->sampler = sampler;
    }
}
