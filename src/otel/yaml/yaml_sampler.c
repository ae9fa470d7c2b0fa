/* yaml_sampler.c - samplers, and what they are made of. `out` is a pointer to one.
 */
#include "otel/yaml/yaml_impl.h"

#define SAMPLER struct skua__config_sampler
#define COMPOSABLE struct skua__config_composable
#define RULE struct skua__config_rule

/* ---- composable ones ------------------------------------------------------------------------- */

static bool sampler_composable(struct skua__yaml *self, const skua_otel_properties *node,
                               void *out);

static bool sampler_kinds(struct skua__yaml *self, const skua_otel_properties *node,
                          const char *const *names, uint32_t *out, unsigned shift)
{
    if (node->kind != SKUA__YAML_SEQ || node->count == 0)
        return skua__yaml_fail(self, node->line, "%s: not a list, or nothing in it", node->key);
    for (size_t i = 0; i < node->count; i++) {
        unsigned at = 0;

        while (names[at] != NULL &&
               (node->at[i].kind != SKUA__YAML_STR || strcmp(names[at], node->at[i].text) != 0))
            at++;
        if (names[at] == NULL)
            return skua__yaml_fail(self, node->at[i].line, "%s: \"%.80s\" is not known", node->key,
                                   node->at[i].text);
        *out |= 1u << (at + shift);
    }
    return true;
}

static bool sampler_rule_kinds(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const char *const names[] = {"internal", "server",   "client",
                                        "producer", "consumer", NULL};

    return sampler_kinds(self, node, names, &((RULE *)out)->kinds, 1);
}

static bool sampler_rule_parents(struct skua__yaml *self, const skua_otel_properties *node,
                                 void *out)
{
    static const char *const names[] = {"none", "remote", "local", NULL};

    return sampler_kinds(self, node, names, &((RULE *)out)->parents, 0);
}

static bool sampler_rule_values(struct skua__yaml *self, const skua_otel_properties *node,
                                void *out)
{
    static const struct skua__yaml_field fields[] = {
        {"key", SKUA__FIELD_STR, offsetof(RULE, values_key), 0, NULL, NULL, true},
        {"values", SKUA__FIELD_NAMES, offsetof(RULE, values), 0, NULL, NULL, true},
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool sampler_rule_patterns(struct skua__yaml *self, const skua_otel_properties *node,
                                  void *out)
{
    static const struct skua__yaml_field fields[] = {
        {"key", SKUA__FIELD_STR, offsetof(RULE, patterns_key), 0, NULL, NULL, true},
        SKUA__ROW("included", NAMES, RULE, patterns.included),
        SKUA__ROW("excluded", NAMES, RULE, patterns.excluded),
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool sampler_rule(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_ANY("attribute_values", sampler_rule_values),
        SKUA__ROW_ANY("attribute_patterns", sampler_rule_patterns),
        SKUA__ROW_ANY("span_kinds", sampler_rule_kinds),
        SKUA__ROW_ANY("parent", sampler_rule_parents),
        {"sampler", SKUA__FIELD_PART, offsetof(RULE, sampler), 0, sampler_composable, NULL, true},
        SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

static bool sampler_rules(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    COMPOSABLE *composable = out;
    const void *rules;

    if (!skua__yaml_each(self, node, sizeof(RULE), sampler_rule, &rules, &composable->rules_count))
        return false;
    composable->rules = rules;
    return true;
}

static bool sampler_composable(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field ratio[] = {SKUA__ROW("ratio", F64, COMPOSABLE, ratio),
                                                    SKUA__ROW_END};
    static const struct skua__yaml_field parent[] = {
        {"root", SKUA__FIELD_PART, offsetof(COMPOSABLE, root), 0, sampler_composable, NULL, true},
        SKUA__ROW_END};
    static const struct skua__yaml_field rules[] = {SKUA__ROW_ANY("rules", sampler_rules),
                                                    SKUA__ROW_END};
    const skua_otel_properties *one = skua__yaml_one(self, node);
    COMPOSABLE *made = one != NULL ? skua__yaml_alloc(self, sizeof *made) : NULL;

    if (made == NULL)
        return false;
    *(const COMPOSABLE **)out = made;
    made->ratio = 1;
    if (strcmp(one->key, "always_on") == 0)
        return skua__yaml_empty(self, one);
    if (strcmp(one->key, "always_off") == 0) {
        made->kind = SKUA__COMPOSABLE_ALWAYS_OFF;
        return skua__yaml_empty(self, one);
    }
    if (strcmp(one->key, "probability") == 0) {
        made->kind = SKUA__COMPOSABLE_PROBABILITY;
        return skua__yaml_map(self, one, ratio, made);
    }
    if (strcmp(one->key, "parent_threshold") == 0) {
        made->kind = SKUA__COMPOSABLE_PARENT_THRESHOLD;
        return skua__yaml_map(self, one, parent, made);
    }
    if (strcmp(one->key, "rule_based") == 0) {
        made->kind = SKUA__COMPOSABLE_RULES;
        return skua__yaml_map(self, one, rules, made);
    }
    return skua__yaml_fail(self, one->line, "%.80s: not known", one->key);
}

/* ---- samplers -------------------------------------------------------------------------------- */

static const struct skua__yaml_field sampler_parent[] = {
    SKUA__ROW_PART("root", SAMPLER, root, skua__yaml_sampler),
    SKUA__ROW_PART("remote_parent_sampled", SAMPLER, remote_sampled, skua__yaml_sampler),
    SKUA__ROW_PART("remote_parent_not_sampled", SAMPLER, remote_not, skua__yaml_sampler),
    SKUA__ROW_PART("local_parent_sampled", SAMPLER, local_sampled, skua__yaml_sampler),
    SKUA__ROW_PART("local_parent_not_sampled", SAMPLER, local_not, skua__yaml_sampler),
    SKUA__ROW_END};
static const struct skua__yaml_field sampler_record[] = {
    {"root", SKUA__FIELD_PART, offsetof(SAMPLER, root), 0, skua__yaml_sampler, NULL, true},
    SKUA__ROW_END};
static const struct skua__yaml_field sampler_ratio[] = {SKUA__ROW("ratio", F64, SAMPLER, ratio),
                                                        SKUA__ROW_END};
static const struct skua__yaml_field sampler_jaeger[] = {
    {"endpoint", SKUA__FIELD_STR, offsetof(SAMPLER, endpoint), 0, NULL, NULL, true},
    SKUA__ROW_MIN("interval", MS, SAMPLER, interval, 1),
    SKUA__ROW_PART("initial_sampler", SAMPLER, root, skua__yaml_sampler),
    SKUA__ROW_END};
static const struct skua__yaml_field sampler_none[] = {SKUA__ROW_END};

static const struct {
    const char *name;
    enum skua__config_sampler_kind kind;
    const struct skua__yaml_field *fields;
} sampler_names[] = {
    {"always_on", SKUA__SAMPLER_ALWAYS_ON, sampler_none},
    {"always_off", SKUA__SAMPLER_ALWAYS_OFF, sampler_none},
    {"always_record", SKUA__SAMPLER_ALWAYS_RECORD, sampler_record},
    {"parent_based", SKUA__SAMPLER_PARENT_BASED, sampler_parent},
    {"trace_id_ratio_based", SKUA__SAMPLER_RATIO, sampler_ratio},
    {"probability/development", SKUA__SAMPLER_PROBABILITY, sampler_ratio},
    {"jaeger_remote/development", SKUA__SAMPLER_JAEGER, sampler_jaeger},
};

bool skua__yaml_sampler(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    const skua_otel_properties *one = skua__yaml_one(self, node);
    SAMPLER *made = one != NULL ? skua__yaml_alloc(self, sizeof *made) : NULL;

    if (made == NULL)
        return false;
    *(const SAMPLER **)out = made;
    made->ratio = 1;
    for (size_t i = 0; i < sizeof sampler_names / sizeof sampler_names[0]; i++)
        if (strcmp(one->key, sampler_names[i].name) == 0) {
            made->kind = sampler_names[i].kind;
            if (made->kind == SKUA__SAMPLER_JAEGER) {
                made->ratio = 0.001;
                made->interval = INT64_C(60000000000);
            }
            return skua__yaml_map(self, one, sampler_names[i].fields, made);
        }
    if (strcmp(one->key, "composite/development") == 0) {
        made->kind = SKUA__SAMPLER_COMPOSITE;
        return sampler_composable(self, one, &made->composable);
    }
    made->kind = SKUA__SAMPLER_PLUGIN;
    return skua__yaml_plugin(self, one, SKUA_OTEL_SAMPLER, &made->plugin);
}

#undef SAMPLER
#undef COMPOSABLE
#undef RULE
