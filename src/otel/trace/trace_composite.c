/* trace_composite.c - samplers that say a threshold, and what is composed of them.
 *
 *   probability   a fixed threshold, written into the trace state of what is kept
 *   composite     asks a composable sampler for its threshold, and decides once, by what is random
 *   of
 *                 the trace: thresholds in one trace are thereby consistent
 *
 * Source     OpenTelemetry specification 1.60: trace/sdk, CompositeSampler, ProbabilitySampler.
 */
#include <stdio.h>

#include "otel/trace/trace_sample.h"

struct composite_sampler {
    skua_otel_sampler sampler;
    skua_otel_composable *of;
};

/* Every composable of ours. */
struct composite_part {
    skua_otel_composable composable;
    uint64_t threshold; /* of probability */
    double ratio;
    skua_otel_composable *of; /* of parent_threshold and annotating */
    const skua_attr *attrs;   /* of annotating */
    size_t count;             /* of attrs, or of rules */
    skua_otel_composable_rule rules[];
};

/* ---- composite ------------------------------------------------------------------------------- */

/* Of the last span that was sampled, until it has taken them: nothing waits in between. */
static __thread skua_attr composite_attrs[8];

static skua_otel_sampling composite_decide(const skua_otel_sampler_input *input,
                                           const skua_otel_intent *intent,
                                           skua_otel_sampler_result *result)
{
    const char *state = input->parent != NULL ? input->parent->trace_state : NULL;
    struct skua__ot ot = skua__ot_read(state);
    uint64_t random = skua__ot_random(&ot, input->trace_id);
    struct skua__otel_thread *thread;

    if (intent->threshold == SKUA_OTEL_NO_THRESHOLD) {
        skua__ot_write(state, SKUA_OTEL_NO_THRESHOLD, result);
        return SKUA_OTEL_DROP;
    }
    if (!intent->reliable && intent->threshold != 0 && (thread = skua__otel_thread()) != NULL)
        random = skua__otel_random(thread) >> 8;
    if (random < intent->threshold) {
        skua__ot_write(state, SKUA_OTEL_NO_THRESHOLD, result);
        return SKUA_OTEL_DROP;
    }
    skua__ot_write(state, intent->reliable ? intent->threshold : SKUA_OTEL_NO_THRESHOLD, result);
    result->attrs_count = intent->attrs_count < 8 ? intent->attrs_count : 8;
    memcpy(composite_attrs, intent->attrs, result->attrs_count * sizeof(skua_attr));
    result->attrs = composite_attrs;
    return SKUA_OTEL_SAMPLE;
}

static skua_otel_sampling composite_sample(skua_otel_sampler *sampler,
                                           const skua_otel_sampler_input *input,
                                           skua_otel_sampler_result *result)
{
    skua_otel_composable *of = ((struct composite_sampler *)sampler)->of;
    skua_otel_intent intent = {.threshold = 0};

    of->intent(of, input, &intent);
    return composite_decide(input, &intent, result);
}

static void composite_describe_part(const skua_otel_composable *self, char *buf, size_t size)
{
    if (self->describe != NULL)
        self->describe(self, buf, size);
    else
        (void)snprintf(buf, size, "custom");
}

static void composite_describe(const skua_otel_sampler *sampler, char *buf, size_t size)
{
    char of[256];

    composite_describe_part(((const struct composite_sampler *)sampler)->of, of, sizeof of);
    (void)snprintf(buf, size, "CompositeSampler{%s}", of);
}

static void composite_free(skua_otel_sampler *sampler)
{
    skua_otel_composable_free(((struct composite_sampler *)sampler)->of);
    skua__otel_free(sampler);
}

int skua_otel_sampler_composite(skua_otel_composable *of, skua_otel_sampler **ret)
{
    struct composite_sampler *self;

    *ret = NULL;
    if (of == NULL)
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL) {
        skua_otel_composable_free(of);
        return -ENOMEM;
    }
    *self = (struct composite_sampler){{composite_sample, composite_describe, composite_free}, of};
    *ret = &self->sampler;
    return 0;
}

void skua_otel_composable_free(skua_otel_composable *self)
{
    if (self != NULL && self->free != NULL)
        self->free(self);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void part_free(skua_otel_composable *composable)
{
    struct composite_part *self = (struct composite_part *)composable;

    skua_otel_composable_free(self->of);
    for (size_t i = 0; self->attrs == NULL && i < self->count; i++)
        skua_otel_composable_free(self->rules[i].sampler);
    skua__otel_free(self);
}

static void part_fixed(skua_otel_composable *composable, const skua_otel_sampler_input *input,
                       skua_otel_intent *ret)
{
    (void)input;
    ret->threshold = ((struct composite_part *)composable)->threshold;
    ret->reliable = ret->threshold != SKUA_OTEL_NO_THRESHOLD;
}

static void part_describe_on(const skua_otel_composable *self, char *buf, size_t size)
{
    (void)self;
    (void)snprintf(buf, size, "ComposableAlwaysOn");
}

static void part_describe_off(const skua_otel_composable *self, char *buf, size_t size)
{
    (void)self;
    (void)snprintf(buf, size, "ComposableAlwaysOff");
}

static void part_describe_ratio(const skua_otel_composable *self, char *buf, size_t size)
{
    char number[32];

    skua__sample_ratio(((const struct composite_part *)self)->ratio, number, sizeof number);
    (void)snprintf(buf, size, "ComposableProbability{%s}", number);
}

static struct composite_part part_on = {.composable = {part_fixed, part_describe_on, NULL}};
static struct composite_part part_off = {.composable = {part_fixed, part_describe_off, NULL},
                                         .threshold = SKUA_OTEL_NO_THRESHOLD};

skua_otel_composable *skua_otel_composable_always_on(void)
{
    return &part_on.composable;
}

skua_otel_composable *skua_otel_composable_always_off(void)
{
    return &part_off.composable;
}

/* NULL: no memory; `of` is freed then. */
static struct composite_part *part_new(skua_otel_composable *of, size_t rules)
{
    struct composite_part *self =
        skua__otel_malloc(sizeof *self + rules * sizeof(skua_otel_composable_rule));

    if (self == NULL) {
        skua_otel_composable_free(of);
        return NULL;
    }
    self->composable.free = part_free;
    self->of = of;
    return self;
}

int skua_otel_composable_probability(double ratio, skua_otel_composable **ret)
{
    struct composite_part *self;

    *ret = ratio == 0 ? &part_off.composable : NULL;
    if (ratio == 0)
        return 0;
    if (!(ratio >= 1.0 / (double)SKUA__SAMPLE_ALL && ratio <= 1))
        return -EINVAL;
    self = part_new(NULL, 0);
    if (self == NULL)
        return -ENOMEM;
    self->composable.intent = part_fixed;
    self->composable.describe = part_describe_ratio;
    self->threshold = skua__sample_threshold(ratio, true);
    self->ratio = ratio;
    *ret = &self->composable;
    return 0;
}

int skua_otel_sampler_probability(double ratio, skua_otel_sampler **ret)
{
    skua_otel_composable *of;
    int rc = skua_otel_composable_probability(ratio, &of);

    *ret = NULL;
    return rc < 0 ? rc : skua_otel_sampler_composite(of, ret);
}

/* ---- parent_threshold ------------------------------------------------------------------------ */

static void part_parent(skua_otel_composable *composable, const skua_otel_sampler_input *input,
                        skua_otel_intent *ret)
{
    skua_otel_composable *root = ((struct composite_part *)composable)->of;
    const skua_span_context *parent = input->parent;
    struct skua__ot ot;
    bool sampled;

    if (parent == NULL) {
        root->intent(root, input, ret);
        return;
    }
    ot = skua__ot_read(parent->trace_state);
    sampled = (parent->flags & SKUA_TRACE_SAMPLED) != 0;
    /* A threshold that the flag denies is none. */
    if (ot.has_threshold && sampled == (skua__ot_random(&ot, input->trace_id) >= ot.threshold)) {
        ret->threshold = ot.threshold;
        ret->reliable = 1;
    } else {
        ret->threshold = sampled ? 0 : SKUA_OTEL_NO_THRESHOLD;
    }
}

static void part_describe_parent(const skua_otel_composable *self, char *buf, size_t size)
{
    char root[160];

    composite_describe_part(((const struct composite_part *)self)->of, root, sizeof root);
    (void)snprintf(buf, size, "ComposableParentThreshold{root:%s}", root);
}

int skua_otel_composable_parent_threshold(skua_otel_composable *root, skua_otel_composable **ret)
{
    struct composite_part *self;

    *ret = NULL;
    if (root == NULL)
        return -EINVAL;
    self = part_new(root, 0);
    if (self == NULL)
        return -ENOMEM;
    self->composable.intent = part_parent;
    self->composable.describe = part_describe_parent;
    *ret = &self->composable;
    return 0;
}

/* ---- annotating ------------------------------------------------------------------------------ */

static void part_annotate(skua_otel_composable *composable, const skua_otel_sampler_input *input,
                          skua_otel_intent *ret)
{
    struct composite_part *self = (struct composite_part *)composable;

    self->of->intent(self->of, input, ret);
    for (size_t i = 0; i < self->count && ret->attrs_count < 8; i++)
        ret->attrs[ret->attrs_count++] = self->attrs[i];
}

static void part_describe_annotate(const skua_otel_composable *self, char *buf, size_t size)
{
    char of[160];

    composite_describe_part(((const struct composite_part *)self)->of, of, sizeof of);
    (void)snprintf(buf, size, "ComposableAnnotating{%s}", of);
}

int skua_otel_composable_annotating(skua_otel_composable *of, const skua_attr *attrs, size_t count,
                                    skua_otel_composable **ret)
{
    struct composite_part *self;

    *ret = NULL;
    if (of == NULL || attrs == NULL || count > 8)
        return -EINVAL;
    self = part_new(of, 0);
    if (self == NULL)
        return -ENOMEM;
    self->composable.intent = part_annotate;
    self->composable.describe = part_describe_annotate;
    self->attrs = attrs;
    self->count = count;
    *ret = &self->composable;
    return 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void part_rules(skua_otel_composable *composable, const skua_otel_sampler_input *input,
                       skua_otel_intent *ret)
{
    struct composite_part *self = (struct composite_part *)composable;

    for (size_t i = 0; i < self->count; i++) {
        skua_otel_composable *of = self->rules[i].sampler;

        if (!skua__span_matches(&self->rules[i].match, input))
            continue;
        if (of == NULL)
            break;
        of->intent(of, input, ret);
        return;
    }
    ret->threshold = SKUA_OTEL_NO_THRESHOLD;
}

static void part_describe_rules(const skua_otel_composable *self, char *buf, size_t size)
{
    (void)snprintf(buf, size, "ComposableRuleBased{%zu rules}",
                   ((const struct composite_part *)self)->count);
}

int skua_otel_composable_rules(const skua_otel_composable_rule *rules, size_t count,
                               skua_otel_composable **ret)
{
    struct composite_part *self = part_new(NULL, count);

    *ret = NULL;
    if (self == NULL) {
        for (size_t i = 0; i < count; i++)
            skua_otel_composable_free(rules[i].sampler);
        return -ENOMEM;
    }
    self->composable.intent = part_rules;
    self->composable.describe = part_describe_rules;
    self->count = count;
    if (count != 0)
        memcpy(self->rules, rules, count * sizeof *rules);
    *ret = &self->composable;
    return 0;
}
