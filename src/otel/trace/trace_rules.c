/* trace_rules.c - samplers by rules, and by rate.
 *
 * Rate       a token bucket as one number: the time at which it would be full again (GCRA). A span
 *            takes a token by moving that time on, unless it is further away than the bucket is
 *            deep.
 */
#include <stdio.h>

#include <skua/time.h>

#include "otel/trace/trace_sample.h"

/* ---- what fits ------------------------------------------------------------------------------- */

/* Text of a value that is one, or a number or truth in words. */
static bool rules_text(const skua_attr *attr, char *buf, size_t size)
{
    switch (attr->type) {
    case SKUA_ATTR_STR:
        (void)snprintf(buf, size, "%.*s", (int)(attr->count < size ? attr->count : size - 1),
                       attr->value.str != NULL ? attr->value.str : "");
        return attr->count < size;
    case SKUA_ATTR_BOOL:
        (void)snprintf(buf, size, "%s", attr->value.i64 != 0 ? "true" : "false");
        return true;
    case SKUA_ATTR_I64:
        (void)snprintf(buf, size, "%lld", (long long)attr->value.i64);
        return true;
    case SKUA_ATTR_F64:
        (void)snprintf(buf, size, "%.15g", attr->value.f64);
        return true;
    default:
        return false;
    }
}

static bool rules_find(const skua_otel_sampler_input *input, const char *key, char *buf,
                       size_t size)
{
    for (size_t i = input->attrs_count; i-- > 0;) /* the last one counts */
        if (strlen(key) == input->attrs[i].key_len &&
            memcmp(key, input->attrs[i].key, input->attrs[i].key_len) == 0)
            return rules_text(&input->attrs[i], buf, size);
    return false;
}

static bool rules_any(const char *const *patterns, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (skua__otel_glob(patterns[i], text))
            return true;
    return false;
}

static bool rules_value(const skua_otel_span_match *match, const skua_otel_sampler_input *input)
{
    char text[512];

    if (match->key == NULL)
        return true;
    if (!rules_find(input, match->key, text, sizeof text))
        return false;
    for (size_t i = 0; i < match->values_count; i++)
        if (strcmp(match->values[i], text) == 0)
            return true;
    return false;
}

bool skua__span_matches(const skua_otel_span_match *match, const skua_otel_sampler_input *input)
{
    unsigned parent = input->parent == NULL        ? SKUA_OTEL_PARENT_NONE
                      : input->parent->remote != 0 ? SKUA_OTEL_PARENT_REMOTE
                                                   : SKUA_OTEL_PARENT_LOCAL;
    char text[512];

    if ((match->name != NULL && !skua__otel_glob(match->name, input->name)) ||
        (match->kinds != 0 && (match->kinds & 1u << input->kind) == 0) ||
        (match->parents != 0 && (match->parents & parent) == 0) || !rules_value(match, input))
        return false;
    if (match->pattern_key == NULL)
        return true;
    return rules_find(input, match->pattern_key, text, sizeof text) &&
           (match->included_count == 0 ||
            rules_any(match->included, match->included_count, text)) &&
           !rules_any(match->excluded, match->excluded_count, text);
}

/* ---- rules ----------------------------------------------------------------------------------- */

struct rules_sampler {
    skua_otel_sampler sampler;
    skua_otel_sampler *otherwise;
    size_t count;
    skua_otel_sampling_rule rules[];
};

static skua_otel_sampling rules_sample(skua_otel_sampler *sampler,
                                       const skua_otel_sampler_input *input,
                                       skua_otel_sampler_result *result)
{
    struct rules_sampler *self = (struct rules_sampler *)sampler;
    skua_otel_sampler *part = self->otherwise;

    for (size_t i = 0; i < self->count; i++)
        if (skua__span_matches(&self->rules[i].match, input)) {
            part = self->rules[i].sampler;
            break;
        }
    return part != NULL ? part->sample(part, input, result) : SKUA_OTEL_DROP;
}

static void rules_describe(const skua_otel_sampler *sampler, char *buf, size_t size)
{
    (void)snprintf(buf, size, "RuleBased{%zu rules}",
                   ((const struct rules_sampler *)sampler)->count);
}

static void rules_free(skua_otel_sampler *sampler)
{
    struct rules_sampler *self = (struct rules_sampler *)sampler;

    skua_otel_sampler_free(self->otherwise);
    for (size_t i = 0; i < self->count; i++)
        skua_otel_sampler_free(self->rules[i].sampler);
    skua__otel_free(self);
}

int skua_otel_sampler_rules(const skua_otel_sampling_rule *rules, size_t count,
                            skua_otel_sampler *otherwise, skua_otel_sampler **ret)
{
    struct rules_sampler *self = skua__otel_malloc(sizeof *self + count * sizeof *rules);

    *ret = NULL;
    if (self == NULL) {
        skua_otel_sampler_free(otherwise);
        for (size_t i = 0; i < count; i++)
            skua_otel_sampler_free(rules[i].sampler);
        return -ENOMEM;
    }
    self->sampler = (skua_otel_sampler){rules_sample, rules_describe, rules_free};
    self->otherwise = otherwise;
    self->count = count;
    if (count != 0)
        memcpy(self->rules, rules, count * sizeof *rules);
    *ret = &self->sampler;
    return 0;
}

/* ---- rate ------------------------------------------------------------------------------------ */

struct rate_sampler {
    skua_otel_sampler sampler;
    int64_t interval, depth; /* ns: of a token, of all that are saved but one */
    int64_t per_second;
    _Atomic int64_t full; /* when all tokens would be there again; monotonic ns */
};

static skua_otel_sampling rate_sample(skua_otel_sampler *sampler,
                                      const skua_otel_sampler_input *input,
                                      skua_otel_sampler_result *result)
{
    struct rate_sampler *self = (struct rate_sampler *)sampler;
    int64_t now = skua_now();
    /* Relaxed: the number is all that is shared. */
    int64_t full = atomic_load_explicit(&self->full, memory_order_relaxed), next;

    /* With which probability a span was kept, nobody knows. */
    if (input->parent != NULL)
        skua__ot_write(input->parent->trace_state, SKUA_OTEL_NO_THRESHOLD, result);
    do {
        if (full - now > self->depth)
            return SKUA_OTEL_DROP;
        next = (full > now ? full : now) + self->interval;
    } while (!atomic_compare_exchange_weak_explicit(&self->full, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return SKUA_OTEL_SAMPLE;
}

static void rate_describe(const skua_otel_sampler *sampler, char *buf, size_t size)
{
    (void)snprintf(buf, size, "RateLimited{%lld}",
                   (long long)((const struct rate_sampler *)sampler)->per_second);
}

static void rate_free(skua_otel_sampler *sampler)
{
    skua__otel_free(sampler);
}

int skua_otel_sampler_rate(int64_t per_second, int64_t burst, skua_otel_sampler **ret)
{
    struct rate_sampler *self;

    *ret = NULL;
    if (per_second < 1 || per_second > SKUA_SECOND || burst < 1 || burst > SKUA_SECOND)
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    self->sampler = (skua_otel_sampler){rate_sample, rate_describe, rate_free};
    self->interval = SKUA_SECOND / per_second;
    self->depth = self->interval * (burst - 1);
    self->per_second = per_second;
    atomic_init(&self->full, 0);
    *ret = &self->sampler;
    return 0;
}
