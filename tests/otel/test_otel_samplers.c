/* test_otel_samplers.c - which spans the built-in samplers keep, what they write into the trace
 * state, and what they call themselves.
 *
 * Specifies samplers.h. Thresholds and trace states are those of the specification's own tables
 * (trace/tracestate-probability-sampling, trace/tracestate-handling).
 */
#include <pthread.h>

#include <skua/otel/samplers.h>

#include "otel/trace/trace_sample.h"

#include "../lib/harness.h"

#define OFF SKUA_OTEL_DROP
#define ON SKUA_OTEL_SAMPLE

/* A trace id whose lower 56 bits are `random`. */
static void trace_id(uint8_t id[16], uint64_t random)
{
    memset(id, 0xab, 16);
    for (int i = 0; i < 7; i++)
        id[15 - i] = (uint8_t)(random >> 8 * i);
}

struct asked {
    skua_otel_sampling sampling;
    skua_otel_sampler_result result;
    const char *state; /* of the new span */
};

static struct asked ask(skua_otel_sampler *sampler, uint64_t random, const char *state, int flags,
                        int remote)
{
    static struct asked asked;
    uint8_t id[16];
    skua_span_context parent = {
        .flags = (uint8_t)flags, .remote = (uint8_t)remote, .trace_state = state};
    skua_otel_sampler_input input = {.trace_id = id,
                                     .parent = flags < 0 ? NULL : &parent,
                                     .name = "GET /orders",
                                     .kind = SKUA_SPAN_SERVER};

    trace_id(id, random);
    asked = (struct asked){.sampling = 0};
    asked.sampling = sampler->sample(sampler, &input, &asked.result);
    asked.state = asked.result.trace_state != NULL ? asked.result.trace_state : state;
    return asked;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

#define CHECK_NAME(sampler, want)                                                                  \
    do {                                                                                           \
        char name_[512];                                                                           \
                                                                                                   \
        skua_otel_sampler_describe((sampler), name_, sizeof name_);                                \
        if (!CHECK(same(name_, (want))))                                                           \
            test_note("%s", name_);                                                                \
    } while (0)

#define HALF (SKUA__SAMPLE_ALL / 2)

TEST(on_off_and_ratio)
{
    skua_otel_sampler *ratio;

    CHECK_EQ(ask(skua_otel_sampler_always_on(), 0, NULL, 0, 0).sampling, ON);
    CHECK_EQ(ask(skua_otel_sampler_always_off(), SKUA__SAMPLE_ALL - 1, NULL, 1, 0).sampling, OFF);
    CHECK_NAME(skua_otel_sampler_always_on(), "AlwaysOnSampler");
    CHECK_NAME(skua_otel_sampler_always_off(), "AlwaysOffSampler");
    CHECK_EQ(skua_otel_sampler_ratio(0.5, &ratio), 0);
    CHECK_EQ(ask(ratio, HALF - 1, "a=b", 1, 0).sampling, OFF); /* the parent's flag is ignored */
    CHECK_EQ(ask(ratio, HALF, "a=b", 0, 0).sampling, ON);
    CHECK(same(ask(ratio, HALF, "a=b", 0, 0).state, "a=b"));
    CHECK_NAME(ratio, "TraceIdRatioBased{0.500000}");
    skua_otel_sampler_free(ratio);
    CHECK_EQ(skua_otel_sampler_ratio(0.0001, &ratio), 0);
    CHECK_NAME(ratio, "TraceIdRatioBased{0.000100}");
    skua_otel_sampler_free(ratio);
    CHECK_EQ(skua_otel_sampler_ratio(0, &ratio), 0);
    CHECK_EQ(ask(ratio, SKUA__SAMPLE_ALL - 1, NULL, -1, 0).sampling, OFF);
    skua_otel_sampler_free(ratio);
    CHECK_EQ(skua_otel_sampler_ratio(1, &ratio), 0);
    CHECK_EQ(ask(ratio, 0, NULL, -1, 0).sampling, ON);
    skua_otel_sampler_free(ratio);
    CHECK_EQ(skua_otel_sampler_ratio(-0.1, &ratio), -EINVAL);
    CHECK_EQ(skua_otel_sampler_ratio(1.1, &ratio), -EINVAL);
    CHECK_EQ(skua_otel_sampler_ratio(strtod("nan", NULL), &ratio), -EINVAL);
    CHECK(ratio == NULL);
}

TEST(a_higher_ratio_keeps_what_a_lower_one_does)
{
    uint64_t seed = test_seed();
    skua_otel_sampler *low, *high;
    int kept = 0;

    MUST(skua_otel_sampler_ratio(0.1, &low) == 0 && skua_otel_sampler_ratio(0.3, &high) == 0);
    for (int i = 0; i < 10000; i++) {
        uint64_t random = (test_random(&seed) << 32 ^ test_random(&seed)) & (SKUA__SAMPLE_ALL - 1);
        bool in_low = ask(low, random, NULL, -1, 0).sampling == ON;

        CHECK(!in_low || ask(high, random, NULL, -1, 0).sampling == ON);
        kept += in_low;
    }
    CHECK_RANGE(kept, 800, 1200); /* 1000, and more than 6 deviations */
    skua_otel_sampler_free(low);
    skua_otel_sampler_free(high);
}

static const struct {
    double ratio;
    const char *th;
} thresholds[] = {
    {1, "0"},
    {0.5, "8"},
    {1.0 / 3, "aaab"},
    {0.25, "c"},
    {0.2, "cccd"},
    {0.125, "e"},
    {0.1, "e666"},
    {0.0625, "f"},
    {0.01, "fd70a"},
    {0.001, "ffbe77"},
    {0.0001, "fff9724"},
    {0.00001, "ffff583a"},
    {0.000001, "ffffef39"},
};

TEST(probability_tells_its_threshold)
{
    for (size_t i = 0; i < TEST_LEN(thresholds); i++) {
        skua_otel_sampler *sampler;
        char want[32];

        MUST(skua_otel_sampler_probability(thresholds[i].ratio, &sampler) == 0);
        snprintf(want, sizeof want, "ot=th:%s", thresholds[i].th);
        CHECK(same(ask(sampler, SKUA__SAMPLE_ALL - 1, NULL, -1, 0).state, want));
        skua_otel_sampler_free(sampler);
    }
}

TEST(probability_writes_into_the_state)
{
    static const struct {
        const char *state;
        uint64_t random;
        skua_otel_sampling sampling;
        const char *want;
    } cases[] = {
        {NULL, HALF, ON, "ot=th:8"},
        {NULL, HALF - 1, OFF, NULL},
        {"a=b", HALF, ON, "ot=th:8,a=b"},
        {"a=b", 0, OFF, "a=b"},
        {"a=b,ot=th:c,c=d", HALF, ON, "ot=th:8,a=b,c=d"},
        {"a=b,ot=th:c,c=d", 0, OFF, "a=b,c=d"},
        {"ot=rv:7fffffffffffff", HALF, OFF, "ot=rv:7fffffffffffff"},
        {"ot=rv:80000000000000", 0, ON, "ot=th:8;rv:80000000000000"},
        {"ot=th:c;rv:80000000000000;x:y,z=1", 0, ON, "ot=th:8;rv:80000000000000;x:y,z=1"},
        {"ot=rv:8000000000000", HALF, ON, "ot=th:8;rv:8000000000000"}, /* 13 digits are none */
        {"ot=rv:8000000000000G", 0, OFF, "ot=rv:8000000000000G"},
        {"other=ot=th", HALF, ON, "ot=th:8,other=ot=th"},
    };
    skua_otel_sampler *sampler;

    MUST(skua_otel_sampler_probability(0.5, &sampler) == 0);
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct asked asked = ask(sampler, cases[i].random, cases[i].state, 0, 1);

        test_variant(cases[i].state != NULL ? cases[i].state : "none");
        CHECK_EQ(asked.sampling, cases[i].sampling);
        if (!CHECK(same(asked.state, cases[i].want)))
            test_note("%s", asked.state);
    }
    skua_otel_sampler_free(sampler);
    CHECK_EQ(skua_otel_sampler_probability(1e-18, &sampler), -EINVAL);
    CHECK_EQ(skua_otel_sampler_probability(0, &sampler), 0);
    CHECK_EQ(ask(sampler, SKUA__SAMPLE_ALL - 1, NULL, -1, 0).sampling, OFF);
    skua_otel_sampler_free(sampler);
}

TEST(a_full_state_loses_its_end)
{
    char state[520], want[520];
    skua_otel_sampler *sampler;
    struct asked asked;

    MUST(skua_otel_sampler_probability(0.5, &sampler) == 0);
    memset(state, 'x', sizeof state);
    memcpy(state, "a=", 2);
    memcpy(state + 250, ",b=", 3);
    state[511] = '\0';
    asked = ask(sampler, HALF, state, 1, 1);
    snprintf(want, sizeof want, "ot=th:8,%.250s", state);
    CHECK(same(asked.state, want));
    skua_otel_sampler_free(sampler);
}

TEST(parent_based_has_five_parts)
{
    static const struct {
        int flags, remote;
        size_t part;
    } cases[] = {{-1, 0, 0}, {1, 1, 1}, {0, 1, 2}, {1, 0, 3}, {0, 0, 4}};
    skua_otel_sampler *sampler;

    for (size_t on = 0; on < 5; on++) {
        skua_otel_sampler *parts[5];

        for (size_t i = 0; i < 5; i++)
            parts[i] = i == on ? skua_otel_sampler_always_on() : skua_otel_sampler_always_off();
        MUST(skua_otel_sampler_parent_based(
                 SKUA_OTEL_PARENT_BASED(.root = parts[0], .remote_sampled = parts[1],
                                        .remote_not_sampled = parts[2], .local_sampled = parts[3],
                                        .local_not_sampled = parts[4]),
                 &sampler) == 0);
        for (size_t i = 0; i < 5; i++)
            CHECK_EQ(ask(sampler, 0, NULL, cases[i].flags, cases[i].remote).sampling,
                     cases[i].part == on ? ON : OFF);
        skua_otel_sampler_free(sampler);
    }
    MUST(skua_otel_sampler_parent_based(NULL, &sampler) == 0);
    CHECK_NAME(sampler, "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler,"
                        "remoteParentNotSampled:AlwaysOffSampler,"
                        "localParentSampled:AlwaysOnSampler,"
                        "localParentNotSampled:AlwaysOffSampler}");
    CHECK_EQ(ask(sampler, 0, NULL, -1, 0).sampling, ON);
    CHECK_EQ(ask(sampler, 0, NULL, 1, 1).sampling, ON);
    CHECK_EQ(ask(sampler, 0, NULL, 0, 1).sampling, OFF);
    skua_otel_sampler_free(sampler);
    CHECK_EQ(skua_otel_sampler_parent_based(&(skua_otel_parent_based){.size = 1}, &sampler),
             -EINVAL);
}

TEST(always_record_drops_nothing)
{
    skua_otel_sampler *ratio, *sampler;

    MUST(skua_otel_sampler_ratio(0.5, &ratio) == 0);
    MUST(skua_otel_sampler_always_record(ratio, &sampler) == 0);
    CHECK_EQ(ask(sampler, 0, NULL, -1, 0).sampling, SKUA_OTEL_RECORD);
    CHECK_EQ(ask(sampler, HALF, NULL, -1, 0).sampling, ON);
    CHECK_NAME(sampler, "AlwaysRecordSampler{root:TraceIdRatioBased{0.500000}}");
    skua_otel_sampler_free(sampler);
    CHECK_EQ(skua_otel_sampler_always_record(NULL, &sampler), -EINVAL);
}

/* ---- rules ----------------------------------------------------------------------------------- */

TEST(rules_are_asked_in_order)
{
    static const char *const values[] = {"redis", "7", "true", "0.5"};
    static const char *const in[] = {"/api/*"}, *const out[] = {"/api/in?ernal*"};
    const skua_attr attrs[] = {SKUA_STR("db", "redis"), SKUA_I64("n", 7), SKUA_BOOL("yes", 1),
                               SKUA_F64("half", 0.5), SKUA_STR("path", "/api/x")};
    const skua_attr hidden[] = {SKUA_STR("path", "/api/internal/x")};
    const struct {
        skua_otel_span_match match;
        bool fits;
    } cases[] = {
        {{.name = NULL}, true},
        {{.name = "GET *"}, true},
        {{.name = "GET /orders"}, true},
        {{.name = "*orders*"}, true},
        {{.name = "G?T*s"}, true},
        {{.name = "get *"}, false},
        {{.name = "GET"}, false},
        {{.name = ""}, false},
        {{.kinds = 1u << SKUA_SPAN_SERVER}, true},
        {{.kinds = 1u << SKUA_SPAN_CLIENT}, false},
        {{.parents = SKUA_OTEL_PARENT_REMOTE}, true},
        {{.parents = SKUA_OTEL_PARENT_NONE | SKUA_OTEL_PARENT_LOCAL}, false},
        {{.key = "db", .values = values, .values_count = 4}, true},
        {{.key = "n", .values = values, .values_count = 4}, true},
        {{.key = "yes", .values = values, .values_count = 4}, true},
        {{.key = "half", .values = values, .values_count = 4}, true},
        {{.key = "path", .values = values, .values_count = 4}, false},
        {{.key = "none", .values = values, .values_count = 4}, false},
        {{.pattern_key = "path"}, true},
        {{.pattern_key = "path", .included = in, .included_count = 1}, true},
        {{.pattern_key = "path", .excluded = out, .excluded_count = 1}, true},
        {{.pattern_key = "db", .included = in, .included_count = 1}, false},
        {{.pattern_key = "none"}, false},
    };
    skua_span_context parent = {.remote = 1};
    skua_otel_sampler_input input = {.name = "GET /orders",
                                     .parent = &parent,
                                     .kind = SKUA_SPAN_SERVER,
                                     .attrs = attrs,
                                     .attrs_count = TEST_LEN(attrs)};
    skua_otel_span_match excluding = {.pattern_key = "path",
                                      .included = in,
                                      .included_count = 1,
                                      .excluded = out,
                                      .excluded_count = 1};

    for (size_t i = 0; i < TEST_LEN(cases); i++)
        CHECK_EQ(skua__span_matches(&cases[i].match, &input), cases[i].fits);
    CHECK(skua__span_matches(&excluding, &input));
    input.attrs = hidden;
    input.attrs_count = 1;
    CHECK(!skua__span_matches(&excluding, &input));
}

TEST(the_first_rule_that_fits_decides)
{
    skua_otel_sampling_rule rules[] = {
        {{.name = "GET /health*"}, NULL},
        {{.kinds = 1u << SKUA_SPAN_SERVER}, skua_otel_sampler_always_on()},
        {{.name = NULL}, skua_otel_sampler_always_off()},
    };
    skua_otel_sampler *sampler;

    MUST(skua_otel_sampler_rules(rules, 3, NULL, &sampler) == 0);
    CHECK_EQ(ask(sampler, 0, NULL, -1, 0).sampling, ON);
    skua_otel_sampler_free(sampler);
    rules[0].match.name = "GET /*";
    MUST(skua_otel_sampler_rules(rules, 3, NULL, &sampler) == 0);
    CHECK_EQ(ask(sampler, 0, NULL, -1, 0).sampling, OFF);
    skua_otel_sampler_free(sampler);
    MUST(skua_otel_sampler_rules(NULL, 0, skua_otel_sampler_always_on(), &sampler) == 0);
    CHECK_EQ(ask(sampler, 0, NULL, -1, 0).sampling, ON);
    skua_otel_sampler_free(sampler);
}

/* ---- rate ------------------------------------------------------------------------------------ */

static atomic_int rate_kept;

static void *rate_thread(void *sampler)
{
    uint8_t id[16] = {1};
    skua_otel_sampler_input input = {.trace_id = id, .name = "x"};
    skua_otel_sampler *self = sampler;

    for (int i = 0; i < 20000; i++) {
        skua_otel_sampler_result result = {.trace_state = NULL};

        if (self->sample(self, &input, &result) == ON)
            atomic_fetch_add(&rate_kept, 1);
    }
    return NULL;
}

TEST(rate_is_kept_over_threads)
{
    skua_otel_sampler *sampler;
    pthread_t threads[4];
    int64_t begin, elapsed;

    MUST(skua_otel_sampler_rate(1000, 50, &sampler) == 0);
    CHECK_NAME(sampler, "RateLimited{1000}");
    begin = skua_now();
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&threads[i], NULL, rate_thread, sampler) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    elapsed = skua_now() - begin;
    CHECK_RANGE(atomic_load(&rate_kept), 50, 51 + elapsed / MS(1));
    CHECK(same(ask(sampler, 0, "ot=th:8,a=b", 1, 1).state, "a=b"));
    skua_otel_sampler_free(sampler);
    CHECK_EQ(skua_otel_sampler_rate(0, 1, &sampler), -EINVAL);
    CHECK_EQ(skua_otel_sampler_rate(1, 0, &sampler), -EINVAL);
}

/* ---- composites ------------------------------------------------------------------------------ */

static skua_otel_composable *half(void)
{
    skua_otel_composable *of;

    MUST(skua_otel_composable_probability(0.5, &of) == 0);
    return of;
}

TEST(parent_threshold_follows_the_parent)
{
    static const struct {
        const char *state;
        int flags;
        uint64_t random;
        skua_otel_sampling sampling;
        const char *want;
    } cases[] = {
        {NULL, -1, HALF, ON, "ot=th:8"}, /* the root's */
        {NULL, -1, 0, OFF, NULL},        {"ot=th:c", 1, HALF + HALF / 2, ON, "ot=th:c"},
        {"ot=th:c", 1, HALF, ON, ""}, /* the flag denies it: it is erased */
        {"ot=th:c", 0, HALF, OFF, ""},   {NULL, 1, 0, ON, NULL},
        {"a=b", 1, 0, ON, "a=b"},        {NULL, 0, SKUA__SAMPLE_ALL - 1, OFF, NULL},
    };
    skua_otel_composable *of;
    skua_otel_sampler *sampler;

    MUST(skua_otel_composable_parent_threshold(half(), &of) == 0);
    MUST(skua_otel_sampler_composite(of, &sampler) == 0);
    CHECK_NAME(sampler, "CompositeSampler{ComposableParentThreshold{root:"
                        "ComposableProbability{0.500000}}}");
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct asked asked = ask(sampler, cases[i].random, cases[i].state, cases[i].flags, 1);

        CHECK_EQ(asked.sampling, cases[i].sampling);
        if (!CHECK(same(asked.state, cases[i].want)))
            test_note("%zu: %s", i, asked.state);
    }
    skua_otel_sampler_free(sampler);
}

TEST(composites_of_rules_and_attributes)
{
    static const skua_attr attrs[] = {{.key = "kept", .key_len = 4, .type = SKUA_ATTR_BOOL}};
    skua_otel_composable_rule rules[] = {{{.name = "GET /health"}, NULL},
                                         {{.name = "GET *"}, NULL}};
    skua_otel_composable *of;
    skua_otel_sampler *sampler;
    struct asked asked;

    MUST(skua_otel_composable_annotating(half(), attrs, 1, &rules[1].sampler) == 0);
    MUST(skua_otel_composable_rules(rules, 2, &of) == 0);
    MUST(skua_otel_sampler_composite(of, &sampler) == 0);
    asked = ask(sampler, HALF, NULL, -1, 0);
    CHECK_EQ(asked.sampling, ON);
    CHECK_EQ(asked.result.attrs_count, 1);
    CHECK(same(asked.result.attrs[0].key, "kept"));
    asked = ask(sampler, 0, NULL, -1, 0);
    CHECK_EQ(asked.sampling, OFF);
    CHECK_EQ(asked.result.attrs_count, 0);
    skua_otel_sampler_free(sampler);
    rules[0] = (skua_otel_composable_rule){{.name = "*"}, NULL};
    rules[1] = (skua_otel_composable_rule){{.name = "*"}, skua_otel_composable_always_on()};
    MUST(skua_otel_composable_rules(rules, 2, &of) == 0);
    MUST(skua_otel_sampler_composite(of, &sampler) == 0);
    CHECK_EQ(ask(sampler, HALF, NULL, -1, 0).sampling, OFF);
    skua_otel_sampler_free(sampler);
}

/* ---- the fast path --------------------------------------------------------------------------- */

TEST(common_samplers_need_no_call)
{
    skua_otel_sampler *ratio, *sampler;
    struct skua__trace_sdk sdk = {.threshold = 1};

    skua__trace_sampler(&sdk, NULL);
    CHECK(sdk.sampler == NULL && sdk.threshold == 0 && !sdk.orphan);
    skua__trace_sampler(&sdk, skua_otel_sampler_always_off());
    CHECK(sdk.sampler == NULL && sdk.threshold == SKUA__SAMPLE_ALL && sdk.orphan);
    MUST(skua_otel_sampler_ratio(0.5, &ratio) == 0);
    MUST(skua_otel_sampler_parent_based(SKUA_OTEL_PARENT_BASED(.root = ratio), &sampler) == 0);
    skua__trace_sampler(&sdk, sampler);
    CHECK(sdk.sampler == NULL && sdk.threshold == HALF && !sdk.orphan);
    skua_otel_sampler_free(sampler);
    MUST(skua_otel_sampler_parent_based(
             SKUA_OTEL_PARENT_BASED(.local_sampled = skua_otel_sampler_always_off()), &sampler) ==
         0);
    skua__trace_sampler(&sdk, sampler);
    CHECK(sdk.sampler == sampler);
    skua_otel_sampler_free(sampler);
}

#ifdef SKUA_FAULTS
#include "os/os.h"

/* Whatever fails, the parts are freed: the sanitizer says so. */
TEST(samplers_without_memory)
{
    for (unsigned n = 1; n <= 3; n++) {
        skua_otel_composable *of;
        skua_otel_sampler *sampler = NULL;

        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        if (skua_otel_composable_probability(0.5, &of) == 0 &&
            skua_otel_composable_parent_threshold(of, &of) == 0 &&
            skua_otel_sampler_composite(of, &sampler) == 0)
            test_die(__FILE__, __LINE__, "no fault");
        CHECK(sampler == NULL);
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        if (skua_otel_sampler_ratio(0.5, &sampler) == 0 &&
            skua_otel_sampler_parent_based(SKUA_OTEL_PARENT_BASED(.root = sampler), &sampler) ==
                0 &&
            skua_otel_sampler_always_record(sampler, &sampler) == 0)
            test_die(__FILE__, __LINE__, "no fault");
        CHECK(sampler == NULL);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_off_and_ratio),
        cmocka_unit_test(a_higher_ratio_keeps_what_a_lower_one_does),
        cmocka_unit_test(probability_tells_its_threshold),
        cmocka_unit_test(probability_writes_into_the_state),
        cmocka_unit_test(a_full_state_loses_its_end),
        cmocka_unit_test(parent_based_has_five_parts),
        cmocka_unit_test(always_record_drops_nothing),
        cmocka_unit_test(rules_are_asked_in_order),
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(rate_is_kept_over_threads),
        cmocka_unit_test(parent_threshold_follows_the_parent),
        cmocka_unit_test(composites_of_rules_and_attributes),
        cmocka_unit_test(common_samplers_need_no_call),
#ifdef SKUA_FAULTS
        cmocka_unit_test(samplers_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
