/* remote_sampler.c - the sampler that a collector rules: decides by what was told last.
 *
 * A rule     is one word: its kind in the upper bits, and a threshold of 2^56, or ns between two
 *            traces, in the lower ones.
 * Operations a table of pointers, open addressing, made once; twice as large as it will ever be
 *            filled. Written by one fiber: an operation is complete before it is stored (release),
 *            and never changes its name.
 */
#include <stdio.h>

#include <skua/time.h>

#include "otel/remote/remote_impl.h"
#include "otel/trace/trace_sample.h"

#define REMOTE_SLOTS 4096u /* a power of two, more than SKUA__REMOTE_OPS */
#define REMOTE_BITS 60
#define REMOTE_VALUE ((UINT64_C(1) << REMOTE_BITS) - 1)

enum remote_kind {
    REMOTE_INITIAL, /* nothing was told yet */
    REMOTE_RATIO,
    REMOTE_RATE,
    REMOTE_AS_ALL /* of an operation that is not told any more */
};

struct remote_rule {
    _Atomic uint64_t word;  /* relaxed: it is all that there is */
    _Atomic uint64_t lower; /* ns between two traces that are kept at least; 0: none */
    _Atomic int64_t full;   /* when a trace was kept by rate, as in rate_sample; monotonic ns */
};

struct remote_op {
    struct remote_rule rule;
    uint64_t hash;
    bool told; /* this time; who writes rules */
    char name[SKUA__REMOTE_NAME];
};

struct skua__remote_all {
    struct remote_rule rule;
    _Atomic(struct remote_op *) ops[REMOTE_SLOTS]; /* release, acquire */
    size_t ops_count;                              /* who writes rules */
};

/* FNV-1a. */
static uint64_t remote_hash(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
    return hash;
}

/* Where it is, or would be. */
static _Atomic(struct remote_op *) *remote_slot(struct skua__remote_all *all, const char *name,
                                                uint64_t hash)
{
    for (unsigned at = (unsigned)hash;; at++) {
        _Atomic(struct remote_op *) *slot = &all->ops[at & (REMOTE_SLOTS - 1)];
        struct remote_op *op = atomic_load_explicit(slot, memory_order_acquire);

        if (op == NULL || (op->hash == hash && strcmp(op->name, name) == 0))
            return slot;
    }
}

/* ---- a decision ------------------------------------------------------------------------------ */

/* Traces come evenly; as many as a second has are saved, one at least. */
static bool remote_take(struct remote_rule *rule, uint64_t interval)
{
    int64_t gap = (int64_t)interval, depth = gap < SKUA_SECOND ? SKUA_SECOND - gap : 0;
    int64_t now = skua_now(), full = atomic_load_explicit(&rule->full, memory_order_relaxed), next;

    if (interval == 0)
        return false;
    do {
        /* Further than any trace of this rule has put it: it is of a slower one, and forgotten. */
        int64_t ahead = full - now <= depth + gap ? full - now : 0;

        if (ahead > depth)
            return false;
        next = now + (ahead > 0 ? ahead : 0) + gap;
    } while (!atomic_compare_exchange_weak_explicit(&rule->full, &full, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static skua_otel_sampling remote_sample(skua_otel_sampler *sampler,
                                        const skua_otel_sampler_input *input,
                                        skua_otel_sampler_result *result)
{
    struct skua__remote *self = (struct skua__remote *)sampler;
    struct remote_rule *rule = &self->all->rule;
    uint64_t word = atomic_load_explicit(&rule->word, memory_order_relaxed), own, value;
    void (*attached)(void) = atomic_load_explicit(&self->attached, memory_order_relaxed);
    struct remote_op *op;
    bool kept;

    if (__builtin_expect(attached != NULL, 0))
        attached();
    if (word >> REMOTE_BITS == REMOTE_INITIAL)
        return self->initial->sample(self->initial, input, result);
    op = atomic_load_explicit(remote_slot(self->all, input->name, remote_hash(input->name)),
                              memory_order_acquire);
    own = op != NULL ? atomic_load_explicit(&op->rule.word, memory_order_relaxed) : 0;
    if (own >> REMOTE_BITS == REMOTE_RATIO) { /* the only kind of those that are told */
        rule = &op->rule;
        word = own;
    }
    value = word & REMOTE_VALUE;
    if (word >> REMOTE_BITS == REMOTE_RATE)
        return remote_take(rule, value) ? SKUA_OTEL_SAMPLE : SKUA_OTEL_DROP;
    kept = skua__sample_random(input->trace_id) >= value;
    /* Those that are kept anyway count for what is kept at least. */
    return remote_take(rule, atomic_load_explicit(&rule->lower, memory_order_relaxed)) || kept
               ? SKUA_OTEL_SAMPLE
               : SKUA_OTEL_DROP;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* ns between two, of so many a second; 0: none at all. */
static uint64_t remote_interval(double rate)
{
    double ns = rate > 0 ? (double)SKUA_SECOND / rate : 0;

    return ns >= 1e18 ? 0 : (uint64_t)ns;
}

static void remote_set(struct remote_rule *rule, enum remote_kind kind, uint64_t value,
                       double lower)
{
    atomic_store_explicit(&rule->lower, remote_interval(lower), memory_order_relaxed);
    atomic_store_explicit(&rule->word, (uint64_t)kind << REMOTE_BITS | value, memory_order_relaxed);
}

static int remote_set_op(struct skua__remote_all *all, const struct skua__remote_op *told,
                         double lower)
{
    uint64_t hash = remote_hash(told->name);
    _Atomic(struct remote_op *) *slot = remote_slot(all, told->name, hash);
    struct remote_op *op = atomic_load_explicit(slot, memory_order_relaxed);
    bool is_new = op == NULL;

    if (is_new && all->ops_count == SKUA__REMOTE_OPS)
        return 0; /* more than there is room for: as all */
    if (is_new)
        op = skua__otel_malloc(sizeof *op);
    if (op == NULL)
        return -ENOMEM;
    remote_set(&op->rule, REMOTE_RATIO, skua__sample_threshold(told->ratio, false), lower);
    op->told = true;
    if (!is_new)
        return 0;
    op->hash = hash;
    memcpy(op->name, told->name, sizeof op->name);
    atomic_store_explicit(slot, op, memory_order_release);
    all->ops_count++;
    return 0;
}

int skua__remote_rule(struct skua__remote *self, const struct skua__remote_told *told)
{
    struct skua__remote_all *all = self->all;
    int rc = 0;

    for (unsigned i = 0; i < REMOTE_SLOTS; i++) {
        struct remote_op *op = atomic_load_explicit(&all->ops[i], memory_order_relaxed);

        if (op != NULL)
            op->told = false;
    }
    for (size_t i = 0; i < told->ops_count && told->has_ops; i++)
        if (remote_set_op(all, &told->ops[i], told->lower) != 0)
            rc = -ENOMEM;
    for (unsigned i = 0; i < REMOTE_SLOTS; i++) {
        struct remote_op *op = atomic_load_explicit(&all->ops[i], memory_order_relaxed);

        if (op != NULL && !op->told)
            remote_set(&op->rule, REMOTE_AS_ALL, 0, 0);
    }
    if (told->has_ops || told->has_ratio)
        remote_set(&all->rule, REMOTE_RATIO, skua__sample_threshold(told->ratio, false),
                   told->has_ops ? told->lower : 0);
    else
        remote_set(&all->rule, REMOTE_RATE, remote_interval(told->rate), 0);
    return rc;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void remote_describe(const skua_otel_sampler *sampler, char *buf, size_t size)
{
    (void)snprintf(buf, size, "JaegerRemoteSampler{%s}",
                   ((const struct skua__remote *)sampler)->endpoint);
}

static void remote_free(skua_otel_sampler *sampler)
{
    struct skua__remote *self = (struct skua__remote *)sampler;

    for (unsigned i = 0; self->all != NULL && i < REMOTE_SLOTS; i++)
        skua__otel_free(atomic_load_explicit(&self->all->ops[i], memory_order_relaxed));
    skua_otel_sampler_free(self->initial);
    skua__otel_free(self->all);
    skua__otel_free(self->endpoint);
    skua__otel_free(self);
}

int skua__remote_new(struct skua__remote **ret, const char *endpoint, int64_t interval,
                     skua_otel_sampler *initial)
{
    struct skua__remote *self = skua__otel_malloc(sizeof *self);
    size_t size = strlen(endpoint) + 1;

    *ret = NULL;
    if (self == NULL) {
        skua_otel_sampler_free(initial);
        return -ENOMEM;
    }
    self->sampler = (skua_otel_sampler){remote_sample, remote_describe, remote_free};
    self->initial = initial;
    self->interval = interval;
    self->endpoint = skua__otel_raw(size);
    self->all = skua__otel_malloc(sizeof *self->all);
    if (self->endpoint == NULL || self->all == NULL) {
        remote_free(&self->sampler);
        return -ENOMEM;
    }
    memcpy(self->endpoint, endpoint, size);
    *ret = self;
    return 0;
}

skua_otel_sampler *skua__remote_sampler(struct skua__remote *self)
{
    return &self->sampler;
}

#undef REMOTE_SLOTS
#undef REMOTE_BITS
#undef REMOTE_VALUE
