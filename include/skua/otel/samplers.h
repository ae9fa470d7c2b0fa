/* samplers.h - the built-in samplers: which traces are kept.
 *
 *     skua_otel_sampler *root, *sampler;
 *
 *     skua_otel_sampler_ratio(0.01, &root);                     -- one trace of a hundred
 *     skua_otel_sampler_parent_based(SKUA_OTEL_PARENT_BASED(.root = root), &sampler);
 *     skua_otel_start(SKUA_OTEL_OPTIONS(.sampler = sampler));
 *
 * Parts      a sampler owns those it is made of, also when making it fails. What is started lives
 *            for ever, since spans may ask it at any time; skua_otel_sampler_free is for the
 *            others.
 * Fast       on, off, ratio, and these behind parent_based with its other parts left alone, are
 *            decided without a call.
 * Counts     probability and composites tell in the trace state (ot=th:…) with which probability a
 *            span was kept, so that who receives them can tell how many there were.
 *
 * Source     OpenTelemetry specification 1.60: trace/sdk, built-in samplers;
 *            trace/tracestate-probability-sampling.
 */
#ifndef SKUA_OTEL_SAMPLERS_H
#define SKUA_OTEL_SAMPLERS_H

#include <skua/otel/sampler.h>

SKUA_C_BEGIN

/* ---- simple ones ----------------------------------------------------------------------------- */

/* All spans.
 *
 * Returns    static
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_otel_sampler *skua_otel_sampler_always_on(void);

/* Nothing.
 *
 * Returns    static
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_otel_sampler *skua_otel_sampler_always_off(void);

/* A part of all traces, by their ids: the same ones wherever it is asked.
 *
 * ratio      from 0 to 1
 * ret        receives it
 * Returns    0; -EINVAL: not such a number; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_ratio(double ratio, skua_otel_sampler **ret);

/* As skua_otel_sampler_ratio, and writes its threshold into the trace state.
 *
 * ratio      from 2^-56 to 1, or 0, which is always_off
 * Returns    as skua_otel_sampler_ratio
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_probability(double ratio, skua_otel_sampler **ret);

/* Who decides, by the parent. NULL: on for roots and where the parent is sampled, else off. */
typedef struct skua_otel_parent_based {
    size_t size; /* of this struct; SKUA_OTEL_PARENT_BASED sets it */
    skua_otel_sampler *root;
    skua_otel_sampler *remote_sampled, *remote_not_sampled;
    skua_otel_sampler *local_sampled, *local_not_sampled;
} skua_otel_parent_based;

#ifndef __cplusplus
#define SKUA_OTEL_PARENT_BASED(...)                                                                \
    (&(const skua_otel_parent_based){.size = sizeof(skua_otel_parent_based), __VA_ARGS__})
#endif

/* As the parent was decided.
 *
 * parts      NULL: all defaults
 * Returns    0; -EINVAL: of another size; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_parent_based(const skua_otel_parent_based *parts,
                                            skua_otel_sampler **ret);

/* What `root` would drop is recorded: processors see every span, exporters only those sampled.
 *
 * Returns    0; -EINVAL: no root; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_always_record(skua_otel_sampler *root, skua_otel_sampler **ret);

/* So many a second, and no more: tokens that come evenly, `burst` of which are saved. For roots:
 * behind parent_based.
 *
 * Returns    0; -EINVAL: less than 1, or more than 10^9; -ENOMEM
 * Threads    any; no locks: one atomic exchange of a number
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_rate(int64_t per_second, int64_t burst, skua_otel_sampler **ret);

/* ---- by rules -------------------------------------------------------------------------------- */

#define SKUA_OTEL_PARENT_NONE 1u
#define SKUA_OTEL_PARENT_REMOTE 2u
#define SKUA_OTEL_PARENT_LOCAL 4u

/* Which spans: all that is said must hold. All of it lives as long as the sampler. Patterns: * any
 * characters, ? one. */
typedef struct skua_otel_span_match {
    const char *name; /* a pattern; NULL: any */
    unsigned kinds;   /* 1 << SKUA_SPAN_SERVER and so on; 0: any */
    unsigned parents; /* SKUA_OTEL_PARENT_…; 0: any */
    const char *key;  /* the attribute is there, and one of `values`, exactly; NULL: no matter */
    const char *const *values;
    size_t values_count;
    const char *pattern_key;     /* the attribute fits one of `included` (none: any), and none of */
    const char *const *included; /* `excluded`; NULL: no matter */
    size_t included_count;
    const char *const *excluded;
    size_t excluded_count;
} skua_otel_span_match;

typedef struct skua_otel_sampling_rule {
    skua_otel_span_match match;
    skua_otel_sampler *sampler; /* NULL: always_off */
} skua_otel_sampling_rule;

/* The first rule that fits decides; none: otherwise, NULL: always_off.
 *
 * rules      `count` of them; copied
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_rules(const skua_otel_sampling_rule *rules, size_t count,
                                     skua_otel_sampler *otherwise, skua_otel_sampler **ret);

/* ---- composable ones ------------------------------------------------------------------------- */

/* The threshold of who does not want a span. */
#define SKUA_OTEL_NO_THRESHOLD UINT64_MAX

/* What a composable sampler would do, before anybody decides. */
typedef struct skua_otel_intent {
    uint64_t threshold; /* of 2^56; SKUA_OTEL_NO_THRESHOLD: drop */
    int reliable;       /* 1: the threshold tells how many spans there were */
    skua_attr attrs[8]; /* to be set when it is sampled */
    size_t attrs_count;
} skua_otel_intent;

typedef struct skua_otel_composable skua_otel_composable;

/* One's own begin with this. */
struct skua_otel_composable {
    void (*intent)(skua_otel_composable *self, const skua_otel_sampler_input *input,
                   skua_otel_intent *ret); /* ret is all zeros */
    void (*describe)(const skua_otel_composable *self, char *buf, size_t size);
    void (*free)(skua_otel_composable *self); /* NULL: the caller's memory */
};

/* A sampler that decides as a composable one intends.
 *
 * Returns    0; -EINVAL: NULL; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_sampler_composite(skua_otel_composable *of, skua_otel_sampler **ret);

/* All spans.
 *
 * Returns    static
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_otel_composable *skua_otel_composable_always_on(void);

/* No span.
 *
 * Returns    static
 * Threads    any
 * Since      0.4
 */
SKUA_API skua_otel_composable *skua_otel_composable_always_off(void);

/* A part of all traces.
 *
 * ratio      from 2^-56 to 1; 0: always_off
 *
 * Returns    0; -EINVAL: not such a number; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_composable_probability(double ratio, skua_otel_composable **ret);

/* As the parent's threshold says; roots: as `root`.
 *
 * Returns    0; -EINVAL: no root; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_composable_parent_threshold(skua_otel_composable *root,
                                                   skua_otel_composable **ret);

/* As `of`, with attributes for spans that are sampled.
 *
 * attrs      `count` of them, 8 at most; as long as the sampler
 *
 * Returns    0; -EINVAL: none of it, or more than 8; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_composable_annotating(skua_otel_composable *of, const skua_attr *attrs,
                                             size_t count, skua_otel_composable **ret);

typedef struct skua_otel_composable_rule {
    skua_otel_span_match match;
    skua_otel_composable *sampler; /* NULL: always_off */
} skua_otel_composable_rule;

/* The first rule that fits says it; none: drop.
 *
 * rules      `count` of them; copied
 *
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_composable_rules(const skua_otel_composable_rule *rules, size_t count,
                                        skua_otel_composable **ret);

/* As skua_otel_sampler_free.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_composable_free(skua_otel_composable *self);

/* ---- all of them ----------------------------------------------------------------------------- */

/* Writes "ParentBased{root:…}", cut to fit.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_sampler_describe(const skua_otel_sampler *self, char *buf, size_t size);

/* Frees one that was never started, with its parts. NULL, and static ones: nothing happens.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_sampler_free(skua_otel_sampler *self);

SKUA_C_END

#endif
