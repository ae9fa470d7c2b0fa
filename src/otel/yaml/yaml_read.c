/* yaml_read.c - mappings, read by tables of fields.
 *
 * A member that no table knows is a fault, as the schema says (additionalProperties: false). Null
 * is as good as not said, but for what must be there.
 */
#include <skua/time.h>

#include "otel/yaml/yaml_impl.h"

static bool read_number(struct skua__yaml *self, const skua_otel_properties *node, int64_t min,
                        int64_t max, int64_t *ret)
{
    if (node->kind != SKUA__YAML_INT || node->i64 < min || node->i64 > max)
        return skua__yaml_fail(self, node->line, "%.80s: not a whole number from %lld to %lld",
                               node->key, (long long)min, (long long)max);
    *ret = node->i64;
    return true;
}

static bool read_enum(struct skua__yaml *self, const skua_otel_properties *node,
                      const char *const *names, int *out)
{
    for (int i = 0; node->kind == SKUA__YAML_STR && names[i] != NULL; i++)
        if (strcmp(names[i], node->text) == 0) {
            *out = i;
            return true;
        }
    return skua__yaml_fail(self, node->line, "%.80s: \"%.80s\" is not known", node->key,
                           node->text);
}

static bool read_name(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    if (node->kind != SKUA__YAML_STR)
        return skua__yaml_fail(self, node->line, "not text");
    *(const char **)out = node->text;
    return true;
}

static bool read_names(struct skua__yaml *self, const skua_otel_properties *node,
                       struct skua__config_names *out)
{
    const void *at = NULL;

    if (!skua__yaml_each(self, node, sizeof(char *), read_name, &at, &out->count))
        return false;
    out->at = at;
    return true;
}

static bool read_field(struct skua__yaml *self, const skua_otel_properties *node,
                       const struct skua__yaml_field *field, char *out)
{
    void *member = out + field->offset;
    int64_t number = 0;
    bool good;

    switch (field->type) {
    case SKUA__FIELD_ANY:
        return field->fn(self, node, out);
    case SKUA__FIELD_PART:
        return field->fn(self, node, member);
    case SKUA__FIELD_NONE:
        return skua__yaml_empty(self, node);
    case SKUA__FIELD_NAMES:
        return read_names(self, node, member);
    case SKUA__FIELD_ENUM:
        return read_enum(self, node, field->names, member);
    case SKUA__FIELD_BOOL:
    case SKUA__FIELD_NOT:
        if (node->kind != SKUA__YAML_BOOL)
            return skua__yaml_fail(self, node->line, "%.80s: neither true nor false", node->key);
        *(bool *)member = (node->i64 != 0) == (field->type == SKUA__FIELD_BOOL);
        return true;
    case SKUA__FIELD_STR:
        if (node->kind != SKUA__YAML_STR)
            return skua__yaml_fail(self, node->line, "%.80s: not text", node->key);
        *(const char **)member = node->text;
        return true;
    case SKUA__FIELD_F64:
        if ((node->kind != SKUA__YAML_INT && node->kind != SKUA__YAML_FLOAT) ||
            !(node->f64 >= 0 && node->f64 <= 1))
            return skua__yaml_fail(self, node->line, "%.80s: not a number from 0 to 1", node->key);
        *(double *)member = node->f64;
        return true;
    case SKUA__FIELD_U32:
        good = read_number(self, node, field->min, INT32_MAX, &number);
        if (good)
            *(uint32_t *)member = (uint32_t)number;
        return good;
    case SKUA__FIELD_I64:
        return read_number(self, node, field->min, INT64_MAX, member);
    case SKUA__FIELD_MS:
        good = read_number(self, node, field->min, INT64_MAX / SKUA_MILLISECOND, &number);
        if (good)
            *(int64_t *)member = number * SKUA_MILLISECOND;
        return good;
    }
    return false;
}

static const skua_otel_properties *read_member(const skua_otel_properties *node, const char *name)
{
    for (size_t i = 0; node->kind == SKUA__YAML_MAP && i < node->count; i++)
        if (strcmp(node->at[i].key, name) == 0)
            return &node->at[i];
    return NULL;
}

bool skua__yaml_map(struct skua__yaml *self, const skua_otel_properties *node,
                    const struct skua__yaml_field *fields, void *out)
{
    if (node->kind != SKUA__YAML_MAP && node->kind != SKUA__YAML_NULL)
        return skua__yaml_fail(self, node->line, "%.80s: not a mapping", node->key);
    for (const struct skua__yaml_field *field = fields; field->name != NULL; field++)
        if (field->required && read_member(node, field->name) == NULL)
            return skua__yaml_fail(self, node->line, "%.80s: no %s", node->key, field->name);
    for (size_t i = 0; i < node->count; i++) {
        const struct skua__yaml_field *field = fields;
        const skua_otel_properties *member = &node->at[i];

        while (field->name != NULL && strcmp(field->name, member->key) != 0)
            field++;
        if (field->name == NULL)
            return skua__yaml_fail(self, member->line, "%.80s: not known in %.80s", member->key,
                                   *node->key != '\0' ? node->key : "the list");
        if (member->kind == SKUA__YAML_NULL && !field->required)
            continue;
        if (!read_field(self, member, field, out))
            return false;
    }
    return true;
}

const skua_otel_properties *skua__yaml_one(struct skua__yaml *self,
                                           const skua_otel_properties *node)
{
    if (node->kind == SKUA__YAML_MAP && node->count == 1)
        return &node->at[0];
    (void)skua__yaml_fail(self, node->line, "%.80s: not a mapping with one member", node->key);
    return NULL;
}

bool skua__yaml_each(struct skua__yaml *self, const skua_otel_properties *node, size_t size,
                     skua__yaml_fn *fn, const void **ret, size_t *ret_count)
{
    char *all;

    if (node->kind != SKUA__YAML_SEQ || node->count == 0)
        return skua__yaml_fail(self, node->line, "%.80s: not a list, or nothing in it", node->key);
    all = skua__yaml_alloc(self, node->count * size);
    if (all == NULL)
        return false;
    for (size_t i = 0; i < node->count; i++)
        if (!fn(self, &node->at[i], all + i * size))
            return false;
    *ret = all;
    *ret_count = node->count;
    return true;
}

bool skua__yaml_filter(struct skua__yaml *self, const skua_otel_properties *node, void *out)
{
    static const struct skua__yaml_field fields[] = {
        {"included", SKUA__FIELD_NAMES, offsetof(struct skua__config_filter, included), 0, NULL,
         NULL, false},
        {"excluded", SKUA__FIELD_NAMES, offsetof(struct skua__config_filter, excluded), 0, NULL,
         NULL, false},
        {NULL, SKUA__FIELD_ANY, 0, 0, NULL, NULL, false}};

    return skua__yaml_map(self, node, fields, out);
}

bool skua__yaml_empty(struct skua__yaml *self, const skua_otel_properties *node)
{
    static const struct skua__yaml_field none = {NULL, SKUA__FIELD_ANY, 0, 0, NULL, NULL, false};

    return skua__yaml_map(self, node, &none, NULL);
}

bool skua__yaml_plugin(struct skua__yaml *self, const skua_otel_properties *node,
                       skua_otel_component component, struct skua__config_plugin *out)
{
    if (skua__config_provider(component, node->key) == NULL)
        return skua__yaml_fail(self, node->line, "%.80s: not known, and no plugin", node->key);
    out->name = node->key;
    out->properties = node->kind == SKUA__YAML_MAP ? node : NULL;
    return true;
}
