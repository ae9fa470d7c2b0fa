/* sdk_resource.c - who sends: what the program says, and what must be there.
 */
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "otel/sdk/sdk_impl.h"

#define RESOURCE_ADDED 5 /* attributes at most */

extern char *program_invocation_short_name;

static bool resource_is(const skua_attr *attr, const char *key)
{
    return attr->key_len == strlen(key) && memcmp(attr->key, key, attr->key_len) == 0;
}

static skua_attr *resource_find(const struct skua__sdk *sdk, const char *key)
{
    for (uint32_t i = 0; i < sdk->resource.attrs.count; i++)
        if (resource_is(&sdk->attrs[i], key))
            return &sdk->attrs[i];
    return NULL;
}

/* ---- copies ---------------------------------------------------------------------------------- */

static const void *resource_bytes(struct skua__batch *memory, const void *bytes, size_t size)
{
    char *copy = skua__batch_alloc(memory, size + 1);

    if (copy == NULL)
        return NULL;
    if (size != 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

static bool resource_texts(struct skua__batch *memory, skua_attr *attr)
{
    const char **copy = skua__batch_alloc(memory, (attr->count + 1) * sizeof *copy);

    for (uint32_t i = 0; copy != NULL && i < attr->count; i++) {
        const char *text = attr->value.strs[i] != NULL ? attr->value.strs[i] : "";

        copy[i] = resource_bytes(memory, text, strlen(text));
        if (copy[i] == NULL)
            return false;
    }
    attr->value.strs = copy;
    return copy != NULL;
}

/* Its key and value become copies; lists and maps are left as they are: the caller's. */
static bool resource_copy(struct skua__batch *memory, skua_attr *attr)
{
    size_t size = attr->count;

    attr->key = resource_bytes(memory, attr->key, attr->key_len);
    if (attr->key == NULL)
        return false;
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_STRS:
        return resource_texts(memory, attr);
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
    attr->value.bytes = resource_bytes(memory, attr->value.bytes, size);
    return attr->value.bytes != NULL;
}

/* ---- what must be there ---------------------------------------------------------------------- */

/* A random UUID (RFC 9562, version 4), with its NUL. */
static void resource_uuid(char text[37])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[16] = {0};
    char *at = text;

    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes) {
        int64_t now = skua__otel_now();
        int64_t pid = getpid();

        memcpy(bytes, &now, sizeof now);
        memcpy(bytes + 8, &pid, sizeof pid);
    }
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    *at = '\0';
}

static bool resource_add(struct skua__sdk *sdk, const char *key, const char *value)
{
    skua_attr attr = skua_attr_str(key, value);

    if (resource_find(sdk, key) != NULL)
        return true;
    if (!resource_copy(sdk->memory, &attr))
        return false;
    sdk->attrs[sdk->resource.attrs.count++] = attr;
    return true;
}

static bool resource_complete(struct skua__sdk *sdk)
{
    char name[256], uuid[37];

    (void)snprintf(name, sizeof name, "unknown_service:%s", program_invocation_short_name);
    resource_uuid(uuid);
    sdk->own_instance = resource_find(sdk, "service.instance.id") == NULL;
    return resource_add(sdk, "service.name", name) &&
           resource_add(sdk, "service.instance.id", uuid) &&
           resource_add(sdk, "telemetry.sdk.name", "skua") &&
           resource_add(sdk, "telemetry.sdk.language", "c") &&
           resource_add(sdk, "telemetry.sdk.version", skua_version());
}

int skua__sdk_resource(struct skua__sdk *sdk, const skua_otel_options *options)
{
    const char *schema = options->resource_schema != NULL ? options->resource_schema : "";

    sdk->memory = skua__batch_new(SKUA_OTEL_TRACES, NULL, 0, 0);
    if (sdk->memory == NULL)
        return -ENOMEM;
    sdk->attrs = skua__batch_alloc(sdk->memory,
                                   (options->resource_count + RESOURCE_ADDED) * sizeof(skua_attr));
    if (sdk->attrs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < options->resource_count; i++) {
        skua_attr attr = options->resource[i], *same;

        if (attr.type == SKUA_ATTR_NONE || attr.key_len == 0)
            continue;
        same = NULL;
        for (uint32_t j = 0; j < sdk->resource.attrs.count && same == NULL; j++)
            if (sdk->attrs[j].key_len == attr.key_len &&
                memcmp(sdk->attrs[j].key, attr.key, attr.key_len) == 0)
                same = &sdk->attrs[j];
        if (!resource_copy(sdk->memory, &attr))
            return -ENOMEM;
        if (same == NULL)
            same = &sdk->attrs[sdk->resource.attrs.count++];
        *same = attr;
    }
    if (!resource_complete(sdk))
        return -ENOMEM;
    sdk->resource.attrs.at = sdk->attrs;
    sdk->resource.schema_url.at = resource_bytes(sdk->memory, schema, strlen(schema));
    sdk->resource.schema_url.len = strlen(schema);
    return sdk->resource.schema_url.at != NULL ? 0 : -ENOMEM;
}

void skua__sdk_resource_forked(struct skua__sdk *sdk)
{
    skua_attr *instance = resource_find(sdk, "service.instance.id");
    skua_attr *pid = resource_find(sdk, "process.pid");
    char uuid[37];

    resource_uuid(uuid);
    if (sdk->own_instance && instance != NULL) {
        const char *copy = resource_bytes(sdk->memory, uuid, 36);

        instance->value.str = copy != NULL ? copy : instance->value.str;
    }
    if (pid != NULL && pid->type == SKUA_ATTR_I64)
        pid->value.i64 = getpid();
}

#undef RESOURCE_ADDED
