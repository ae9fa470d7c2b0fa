/* yaml_resource.c - who sends: attributes, detectors.
 */
#include "otel/yaml/yaml_impl.h"

#define RESOURCE struct skua__config_resource

/* ---- attributes ------------------------------------------------------------------------------ */

struct resource_attr {
    const char *name, *type;
    const skua_otel_properties *value;
};

static bool resource_value(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    (void)self;
    ((struct resource_attr *)out)->value = node;
    return true;
}

/* One value into an array's element. */
static bool resource_element(const skua_otel_properties *node, skua__yaml_kind kind, void *out,
                             size_t i)
{
    if (kind == SKUA__YAML_FLOAT ? node->kind != SKUA__YAML_INT && node->kind != kind
                                 : node->kind != kind)
        return false;
    if (kind == SKUA__YAML_STR)
        ((const char **)out)[i] = node->text;
    else if (kind == SKUA__YAML_BOOL)
        ((uint8_t *)out)[i] = node->i64 != 0;
    else if (kind == SKUA__YAML_INT)
        ((int64_t *)out)[i] = node->i64;
    else
        ((double *)out)[i] = node->f64;
    return true;
}

/* The kind that a type's name asks for; NULL: what the value is. */
static bool resource_kind(const char *type, const skua_otel_properties *value, skua__yaml_kind *ret)
{
    static const char *const names[] = {"string", "bool", "int", "double"};
    static const skua__yaml_kind kinds[] = {SKUA__YAML_STR, SKUA__YAML_BOOL, SKUA__YAML_INT,
                                            SKUA__YAML_FLOAT};
    bool array = value->kind == SKUA__YAML_SEQ;

    if (type == NULL) {
        const skua_otel_properties *first = array && value->count != 0 ? &value->at[0] : value;

        *ret = first->kind;
        for (size_t i = 0; array && i < value->count; i++) /* 1, 2.5: numbers */
            if (*ret == SKUA__YAML_INT && value->at[i].kind == SKUA__YAML_FLOAT)
                *ret = SKUA__YAML_FLOAT;
        return true;
    }
    for (size_t i = 0; i < 4; i++) {
        size_t len = strlen(names[i]);

        if (strncmp(type, names[i], len) == 0 && strcmp(type + len, array ? "_array" : "") == 0) {
            *ret = kinds[i];
            return true;
        }
    }
    return false;
}

static bool resource_make(struct skua__yaml *self, const skua_otel_properties *node,
                          const struct resource_attr *from, skua_attr *out)
{
    const skua_otel_properties *value = from->value;
    bool array = value->kind == SKUA__YAML_SEQ;
    size_t count = array ? value->count : 1;
    skua__yaml_kind kind;
    void *all;

    if (!resource_kind(from->type, value, &kind) || kind == SKUA__YAML_NULL ||
        kind >= SKUA__YAML_MAP || count == 0)
        return skua__yaml_fail(self, node->line, "%.80s: its value is not of a type that is known",
                               from->name);
    all = skua__yaml_alloc(self, (count + 1) * sizeof(double));
    if (all == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!resource_element(array ? &value->at[i] : value, kind, all, i))
            return skua__yaml_fail(self, node->line, "%.80s: its value is not of its type",
                                   from->name);
    if (array)
        *out = skua_attr_many(from->name,
                              kind == SKUA__YAML_STR    ? SKUA_ATTR_STRS
                              : kind == SKUA__YAML_BOOL ? SKUA_ATTR_BOOLS
                              : kind == SKUA__YAML_INT  ? SKUA_ATTR_I64S
                                                        : SKUA_ATTR_F64S,
                              all, count);
    else
        *out = kind == SKUA__YAML_STR    ? skua_attr_str(from->name, value->text)
               : kind == SKUA__YAML_BOOL ? skua_attr_bool(from->name, value->i64 != 0)
               : kind == SKUA__YAML_INT  ? skua_attr_i64(from->name, value->i64)
                                         : skua_attr_f64(from->name, value->f64);
    return true;
}

static bool resource_attr(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        {"name", SKUA__FIELD_STR, offsetof(struct resource_attr, name), 0, NULL, NULL, true},
        SKUA__ROW_MUST("value", resource_value),
        SKUA__ROW("type", STR, struct resource_attr, type),
        SKUA__ROW_END};
    struct resource_attr from = {.name = NULL};

    return skua__yaml_map(self, node, fields, &from) && resource_make(self, node, &from, out);
}

/* Adds attributes whose keys are not there yet. */
static bool yaml_resource_add(struct skua__yaml *self, RESOURCE *out, const skua_attr *attrs,
                              size_t count, bool win)
{
    const skua_attr *first = win ? attrs : out->attrs, *second = win ? out->attrs : attrs;
    size_t first_count = win ? count : out->attrs_count, used = 0;
    size_t second_count = win ? out->attrs_count : count;
    skua_attr *all = skua__yaml_alloc(self, (first_count + second_count + 1) * sizeof *all);

    if (all == NULL)
        return false;
    for (size_t i = 0; i < first_count + second_count; i++) {
        const skua_attr *attr = i < first_count ? &first[i] : &second[i - first_count];
        bool again = false;

        for (size_t j = 0; j < used; j++)
            again = again || strcmp(all[j].key, attr->key) == 0;
        if (!again)
            all[used++] = *attr;
    }
    out->attrs = all;
    out->attrs_count = used;
    return true;
}

static bool resource_attrs(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    const void *at;
    size_t count;

    return skua__yaml_each(self, node, sizeof(skua_attr), resource_attr, &at, &count) &&
           yaml_resource_add(self, out, at, count, true);
}

static bool resource_list(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    struct skua__config_pair *pairs;
    skua_attr *attrs;
    size_t count;
    int rc = node->kind == SKUA__YAML_STR
                 ? skua__config_pairs(self->config, node->text, &pairs, &count)
                 : -EINVAL;

    if (rc == -ENOMEM)
        return skua__yaml_no_memory(self);
    if (rc < 0)
        return skua__yaml_fail(self, node->line, "attributes_list: not \"key=value,…\"");
    attrs = skua__yaml_alloc(self, (count + 1) * sizeof *attrs);
    for (size_t i = 0; attrs != NULL && i < count; i++)
        attrs[i] = skua_attr_str(pairs[i].name, pairs[i].value);
    return attrs != NULL && yaml_resource_add(self, out, attrs, count, false);
}

/* ---- detectors ------------------------------------------------------------------------------- */

static bool resource_detectors(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const char *const names[] = {"container", "host", "process", "service", "os"};
    RESOURCE *resource = out;
    struct skua__config_plugin *plugins;

    if (node->kind != SKUA__YAML_SEQ || node->count == 0)
        return skua__yaml_fail(self, node->line, "detectors: not a list, or nothing in it");
    plugins = skua__yaml_alloc(self, node->count * sizeof *plugins);
    if (plugins == NULL)
        return false;
    for (size_t i = 0; i < node->count; i++) {
        const skua_otel_properties *one = skua__yaml_one(self, &node->at[i]);
        size_t at = 0;

        if (one == NULL)
            return false;
        while (at < 5 && strcmp(names[at], one->key) != 0)
            at++;
        if (at < 5)
            resource->detectors |= 1u << at;
        if (at < 5 ? !skua__yaml_empty(self, one)
                   : !skua__yaml_plugin(self, one, SKUA_OTEL_RESOURCE_DETECTOR,
                                        &plugins[resource->plugins_count++]))
            return false;
    }
    resource->plugins = plugins;
    return true;
}

static bool resource_detection(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_PART("attributes", RESOURCE, detected, skua__yaml_filter),
        SKUA__ROW_ANY("detectors", resource_detectors), SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, out);
}

bool skua__yaml_resource(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        SKUA__ROW_ANY("attributes", resource_attrs),
        SKUA__ROW_ANY("attributes_list", resource_list),
        SKUA__ROW("schema_url", STR, RESOURCE, schema_url),
        SKUA__ROW_ANY("detection/development", resource_detection), SKUA__ROW_END};

    return skua__yaml_map(self, node, fields, &((skua_otel_config *)out)->resource);
}

#undef RESOURCE
