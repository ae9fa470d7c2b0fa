/* otlp_common.c - what the requests of all signals have: values, attributes, resource, scope.
 *
 * Fields of opentelemetry/proto/common/v1 and resource/v1; their numbers stand in the calls.
 */
#include "otel/otlp/otlp_impl.h"

/* ---- values ---------------------------------------------------------------------------------- */

/* One element of an array: an AnyValue in field 1 of ArrayValue. */
static void common_element(struct skua__otlp *out, const skua_attr *element, unsigned depth)
{
    size_t from = skua__otlp_size(out);

    skua__otlp_value(out, element, depth);
    skua__otlp_message(out, 1, from);
}

/* An element of an array of one type, as a value of its own. */
static skua_attr common_at(const skua_attr *attr, uint32_t index)
{
    skua_attr element = {.type = SKUA_ATTR_NONE};

    switch (attr->type) {
    case SKUA_ATTR_BOOLS:
        element.type = SKUA_ATTR_BOOL;
        element.value.i64 = attr->value.bools[index] != 0;
        break;
    case SKUA_ATTR_I64S:
        element.type = SKUA_ATTR_I64;
        element.value.i64 = attr->value.i64s[index];
        break;
    case SKUA_ATTR_F64S:
        element.type = SKUA_ATTR_F64;
        element.value.f64 = attr->value.f64s[index];
        break;
    default:
        element = skua_attr_str("", attr->value.strs[index]);
        break;
    }
    return element;
}

static void common_array(struct skua__otlp *out, const skua_attr *attr, unsigned depth)
{
    size_t from = skua__otlp_size(out);

    for (uint32_t i = attr->count; i-- > 0;) {
        skua_attr element;

        if (attr->type == SKUA_ATTR_LIST) {
            common_element(out, &attr->value.attrs[i], depth + 1);
            continue;
        }
        element = common_at(attr, i);
        common_element(out, &element, depth + 1);
    }
    skua__otlp_message(out, 5, from);
}

void skua__otlp_value(struct skua__otlp *out, const skua_attr *attr, unsigned depth)
{
    size_t from = skua__otlp_size(out);

    if (depth > SKUA__OTLP_DEPTH)
        return;
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_NONE:
        break;
    case SKUA_ATTR_BOOL:
        skua__otlp_varint(out, attr->value.i64 != 0);
        skua__otlp_tag(out, 2, SKUA__WIRE_VARINT);
        break;
    case SKUA_ATTR_I64:
        skua__otlp_varint(out, (uint64_t)attr->value.i64);
        skua__otlp_tag(out, 3, SKUA__WIRE_VARINT);
        break;
    case SKUA_ATTR_F64:
        skua__otlp_f64_always(out, 4, attr->value.f64);
        break;
    case SKUA_ATTR_STR:
        skua__otlp_text_always(out, 1, attr->value.str, attr->count);
        break;
    case SKUA_ATTR_BYTES:
        skua__otlp_raw(out, attr->value.bytes, attr->count);
        skua__otlp_message(out, 7, from);
        break;
    case SKUA_ATTR_MAP:
        skua__otlp_attrs(out, 1, attr->value.attrs, attr->count, depth + 1);
        skua__otlp_message(out, 6, from);
        break;
    case SKUA_ATTR_BOOLS:
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
    case SKUA_ATTR_STRS:
    case SKUA_ATTR_LIST:
        common_array(out, attr, depth);
        break;
    }
}

void skua__otlp_attrs(struct skua__otlp *out, unsigned field, const skua_attr *attrs, size_t count,
                      unsigned depth)
{
    for (size_t i = count; i-- > 0;) {
        size_t from = skua__otlp_size(out);

        if (attrs[i].type == SKUA_ATTR_NONE)
            continue;
        skua__otlp_value(out, &attrs[i], depth);
        skua__otlp_message(out, 2, from);
        skua__otlp_text_always(out, 1, attrs[i].key, attrs[i].key_len);
        skua__otlp_message(out, field, from);
    }
}

/* ---- scope and resource ---------------------------------------------------------------------- */

const skua_otel_scope *skua__otlp_scope_of(const skua_otel_batch *batch, uint32_t index)
{
    switch (batch->signal) {
    case SKUA_OTEL_TRACES:
        return batch->items.spans[index].scope;
    case SKUA_OTEL_METRICS:
        return batch->items.metrics[index].scope;
    default:
        return batch->items.logs[index].scope;
    }
}

void skua__otlp_scope_end(struct skua__otlp *out, const skua_otel_scope *scope, size_t from)
{
    size_t inner;

    if (scope != NULL) {
        /* its schema_url is the last field of the message: it was written by nobody yet, and
         * protobuf does not mind the order */
        skua__otlp_text(out, 3, scope->schema_url.at, scope->schema_url.len);
        inner = skua__otlp_size(out);
        skua__otlp_u64(out, 4, scope->attrs.dropped);
        skua__otlp_attrs(out, 3, scope->attrs.at, scope->attrs.count, 0);
        skua__otlp_text(out, 2, scope->version.at, scope->version.len);
        skua__otlp_text(out, 1, scope->name.at, scope->name.len);
        skua__otlp_message(out, 1, inner);
    }
    skua__otlp_message(out, 2, from);
}

void skua__otlp_resource_end(struct skua__otlp *out, const skua_otel_resource *resource)
{
    size_t inner;

    if (resource != NULL) {
        skua__otlp_text(out, 3, resource->schema_url.at, resource->schema_url.len);
        inner = skua__otlp_size(out);
        skua__otlp_u64(out, 2, resource->attrs.dropped);
        skua__otlp_attrs(out, 1, resource->attrs.at, resource->attrs.count, 0);
        skua__otlp_message(out, 1, inner);
    }
    skua__otlp_message(out, 1, 0);
}
