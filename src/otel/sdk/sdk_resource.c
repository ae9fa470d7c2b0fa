/* sdk_resource.c - who sends: what the options say stands before what the configuration does, and
 * before what is found out (config_resource.c).
 */
#include "otel/sdk/sdk_impl.h"

static bool resource_texts(skua_otel_config *config, skua_attr *attr)
{
    const char **copy = skua__config_alloc(config, (attr->count + 1) * sizeof *copy);

    for (uint32_t i = 0; copy != NULL && i < attr->count; i++) {
        const char *text = attr->value.strs[i] != NULL ? attr->value.strs[i] : "";

        copy[i] = skua__config_copy(config, text, strlen(text));
        if (copy[i] == NULL)
            return false;
    }
    attr->value.strs = copy;
    return copy != NULL;
}

/* Its key and value become copies; lists and maps are left as they are: the caller's. */
static bool resource_copy(skua_otel_config *config, skua_attr *attr)
{
    size_t size = attr->count;

    attr->key = skua__config_copy(config, attr->key, attr->key_len);
    if (attr->key == NULL)
        return false;
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_STRS:
        return resource_texts(config, attr);
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
        size *= 8;
        break;
    case SKUA_ATTR_STR:
    case SKUA_ATTR_BYTES:
    case SKUA_ATTR_BOOLS:
        break;
    default:
        return true;
    }
    attr->value.bytes =
        skua__config_copy(config, size != 0 ? (const char *)attr->value.bytes : "", size);
    return attr->value.bytes != NULL;
}

/* The options' attributes, the last of each key, then the configuration's. */
static int resource_said(skua_otel_config *config, const skua_otel_options *options)
{
    struct skua__config_resource *said = &config->resource;
    size_t room = options->resource_count + said->attrs_count, count = 0;
    skua_attr *attrs = skua__config_alloc(config, (room + 1) * sizeof *attrs);

    if (attrs == NULL)
        return -ENOMEM;
    for (size_t i = options->resource_count; i-- > 0;) {
        attrs[count] = options->resource[i];
        if (attrs[count].type == SKUA_ATTR_NONE || attrs[count].key_len == 0)
            continue;
        if (!resource_copy(config, &attrs[count++]))
            return -ENOMEM;
    }
    for (size_t i = 0; i < said->attrs_count; i++)
        attrs[count++] = said->attrs[i];
    said->attrs = attrs;
    said->attrs_count = count;
    if (options->resource_schema == NULL)
        return 0;
    said->schema_url =
        skua__config_copy(config, options->resource_schema, strlen(options->resource_schema));
    return said->schema_url != NULL ? 0 : -ENOMEM;
}

int skua__sdk_resource(struct skua__sdk *sdk, const skua_otel_options *options)
{
    int rc = resource_said(sdk->config, options);

    return rc == 0 ? skua__config_resource_create(sdk->config, "", &sdk->resource) : rc;
}

void skua__sdk_resource_forked(struct skua__sdk *sdk)
{
    skua_otel_resource resource;

    /* Without memory it is the parent's still: better than none. */
    if (skua__config_resource_create(sdk->config, "", &resource) == 0)
        sdk->resource = resource;
}
