/* otlp_json.c - values, attributes, resource, scope, and the request, as JSON.
 */
#include "otel/otlp/otlp_json.h"

/* ---- fields ---------------------------------------------------------------------------------- */

void skua__otlp_json_texts(struct skua__json *out, const char *key, skua_otel_text text)
{
    if (text.len == 0)
        return;
    skua__json_key(out, key);
    skua__json_text(out, text.at, text.len);
}

void skua__otlp_json_time(struct skua__json *out, const char *key, int64_t time)
{
    if (time == 0)
        return;
    skua__json_key(out, key);
    skua__json_u64(out, (uint64_t)time);
}

void skua__otlp_json_count(struct skua__json *out, const char *key, int64_t count)
{
    if (count == 0)
        return;
    skua__json_key(out, key);
    skua__json_number(out, count);
}

void skua__otlp_json_id(struct skua__json *out, const char *key, const uint8_t *id, size_t size)
{
    static const uint8_t zeros[16];

    if (memcmp(id, zeros, size) == 0)
        return;
    skua__json_key(out, key);
    skua__json_hex(out, id, size);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void json_list(struct skua__json *out, const skua_attr *attrs, size_t count, unsigned depth)
{
    skua__json_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (attrs[i].type == SKUA_ATTR_NONE)
            continue;
        skua__json_open(out, '{');
        skua__json_key(out, "key");
        skua__json_text(out, attrs[i].key, attrs[i].key_len);
        skua__json_key(out, "value");
        skua__otlp_json_value(out, &attrs[i], depth);
        skua__json_close(out, '}');
    }
    skua__json_close(out, ']');
}

static void json_element(struct skua__json *out, const skua_attr *attr, uint32_t i, unsigned depth)
{
    skua_attr element = {.type = SKUA_ATTR_NONE};

    switch (attr->type) {
    case SKUA_ATTR_BOOLS:
        element.type = SKUA_ATTR_BOOL;
        element.value.i64 = attr->value.bools[i] != 0;
        break;
    case SKUA_ATTR_I64S:
        element.type = SKUA_ATTR_I64;
        element.value.i64 = attr->value.i64s[i];
        break;
    case SKUA_ATTR_F64S:
        element.type = SKUA_ATTR_F64;
        element.value.f64 = attr->value.f64s[i];
        break;
    case SKUA_ATTR_STRS:
        element = skua_attr_str("", attr->value.strs[i]);
        break;
    default:
        element = attr->value.attrs[i];
        break;
    }
    skua__otlp_json_value(out, &element, depth + 1);
}

/* {"values":[…]} of an array or a map. */
static void json_values(struct skua__json *out, const skua_attr *attr, unsigned depth)
{
    skua__json_open(out, '{');
    if (attr->count != 0) {
        skua__json_key(out, "values");
        if (attr->type == SKUA_ATTR_MAP) {
            json_list(out, attr->value.attrs, attr->count, depth + 1);
        } else {
            skua__json_open(out, '[');
            for (uint32_t i = 0; i < attr->count; i++)
                json_element(out, attr, i, depth);
            skua__json_close(out, ']');
        }
    }
    skua__json_close(out, '}');
}

static void json_content(struct skua__json *out, const skua_attr *attr, unsigned depth)
{
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_NONE:
        break;
    case SKUA_ATTR_BOOL:
        skua__json_key(out, "boolValue");
        skua__json_bool(out, attr->value.i64 != 0);
        break;
    case SKUA_ATTR_I64:
        skua__json_key(out, "intValue");
        skua__json_i64(out, attr->value.i64);
        break;
    case SKUA_ATTR_F64:
        skua__json_key(out, "doubleValue");
        skua__json_f64(out, attr->value.f64);
        break;
    case SKUA_ATTR_STR:
        skua__json_key(out, "stringValue");
        skua__json_text(out, attr->value.str, attr->count);
        break;
    case SKUA_ATTR_BYTES:
        skua__json_key(out, "bytesValue");
        skua__json_base64(out, attr->value.bytes, attr->count);
        break;
    case SKUA_ATTR_MAP:
        skua__json_key(out, "kvlistValue");
        json_values(out, attr, depth);
        break;
    default:
        skua__json_key(out, "arrayValue");
        json_values(out, attr, depth);
        break;
    }
}

void skua__otlp_json_value(struct skua__json *out, const skua_attr *attr, unsigned depth)
{
    skua__json_open(out, '{');
    if (depth <= SKUA__OTLP_DEPTH)
        json_content(out, attr, depth);
    skua__json_close(out, '}');
}

void skua__otlp_json_attrs(struct skua__json *out, const char *key, const skua_otel_attrs *attrs)
{
    if (attrs->count != 0) {
        skua__json_key(out, key);
        json_list(out, attrs->at, attrs->count, 0);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

/* What differs between the signals. */
static const struct {
    const char *resources, *scopes, *items;
} json_names[SKUA_OTEL_SIGNALS] = {
    [SKUA_OTEL_TRACES] = {"resourceSpans", "scopeSpans", "spans"},
    [SKUA_OTEL_METRICS] = {"resourceMetrics", "scopeMetrics", "metrics"},
    [SKUA_OTEL_LOGS] = {"resourceLogs", "scopeLogs", "logRecords"}};

static void json_item(struct skua__json *out, const skua_otel_batch *batch, uint32_t index)
{
    switch (batch->signal) {
    case SKUA_OTEL_TRACES:
        skua__otlp_json_span(out, &batch->items.spans[index]);
        break;
    case SKUA_OTEL_METRICS:
        skua__otlp_json_metric(out, &batch->items.metrics[index]);
        break;
    default:
        skua__otlp_json_log(out, &batch->items.logs[index]);
        break;
    }
}

static void json_scope(struct skua__json *out, const skua_otel_scope *scope)
{
    skua__json_key(out, "scope");
    skua__json_open(out, '{');
    skua__otlp_json_texts(out, "name", scope->name);
    skua__otlp_json_texts(out, "version", scope->version);
    skua__otlp_json_attrs(out, "attributes", &scope->attrs);
    skua__otlp_json_count(out, "droppedAttributesCount", scope->attrs.dropped);
    skua__json_close(out, '}');
}

/* The items of a scope from `from` on. Returns where the next scope begins. */
static uint32_t json_of_scope(struct skua__json *out, const skua_otel_batch *batch, uint32_t from)
{
    const skua_otel_scope *scope = skua__otlp_scope_of(batch, from);
    uint32_t at = from;

    skua__json_open(out, '{');
    if (scope != NULL)
        json_scope(out, scope);
    skua__json_key(out, json_names[batch->signal].items);
    skua__json_open(out, '[');
    for (; at < batch->count && out->error == 0 && skua__otlp_scope_of(batch, at) == scope; at++)
        json_item(out, batch, at);
    skua__json_close(out, ']');
    if (scope != NULL)
        skua__otlp_json_texts(out, "schemaUrl", scope->schema_url);
    skua__json_close(out, '}');
    return at;
}

static void json_resource(struct skua__json *out, const skua_otel_resource *resource)
{
    skua__json_key(out, "resource");
    skua__json_open(out, '{');
    skua__otlp_json_attrs(out, "attributes", &resource->attrs);
    skua__otlp_json_count(out, "droppedAttributesCount", resource->attrs.dropped);
    skua__json_close(out, '}');
}

int skua__otlp_json_request(struct skua__json *out, const skua_otel_batch *batch)
{
    skua__json_open(out, '{');
    if (batch->count != 0) {
        skua__json_key(out, json_names[batch->signal].resources);
        skua__json_open(out, '[');
        skua__json_open(out, '{');
        if (batch->resource != NULL)
            json_resource(out, batch->resource);
        skua__json_key(out, json_names[batch->signal].scopes);
        skua__json_open(out, '[');
        for (uint32_t at = 0; at < batch->count && out->error == 0;)
            at = json_of_scope(out, batch, at);
        skua__json_close(out, ']');
        if (batch->resource != NULL)
            skua__otlp_json_texts(out, "schemaUrl", batch->resource->schema_url);
        skua__json_close(out, '}');
        skua__json_close(out, ']');
    }
    skua__json_close(out, '}');
    return out->error;
}
