/* plain_value.c - a value as plain JSON: for those who have no types of their own for it.
 */
#include "otel/output/output_impl.h"

/* Attributes inside attributes; deeper ones are null. */
#define VALUE_DEPTH 64

static void value_element(struct skua__json *out, const skua_attr *attr, uint32_t i, unsigned depth)
{
    const char *text;

    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_BOOLS:
        skua__json_bool(out, attr->value.bools[i] != 0);
        break;
    case SKUA_ATTR_I64S:
        skua__json_number(out, attr->value.i64s[i]);
        break;
    case SKUA_ATTR_F64S:
        skua__json_f64(out, attr->value.f64s[i]);
        break;
    case SKUA_ATTR_STRS:
        text = attr->value.strs[i] != NULL ? attr->value.strs[i] : "";
        skua__json_text(out, text, strlen(text));
        break;
    default:
        skua__plain_value(out, &attr->value.attrs[i], depth + 1);
        break;
    }
}

static void value_map(struct skua__json *out, const skua_attr *attr, unsigned depth)
{
    skua__json_open(out, '{');
    for (uint32_t i = 0; i < attr->count; i++) {
        const skua_attr *inner = &attr->value.attrs[i];

        skua__json_text(out, inner->key, inner->key_len);
        skua__json_raw(out, ":", 1);
        skua__plain_value(out, inner, depth + 1);
    }
    skua__json_close(out, '}');
}

void skua__plain_value(struct skua__json *out, const skua_attr *attr, unsigned depth)
{
    switch ((skua_attr_type)(depth < VALUE_DEPTH ? attr->type : SKUA_ATTR_NONE)) {
    case SKUA_ATTR_NONE:
        skua__json_null(out);
        break;
    case SKUA_ATTR_BOOL:
        skua__json_bool(out, attr->value.i64 != 0);
        break;
    case SKUA_ATTR_I64:
        skua__json_number(out, attr->value.i64);
        break;
    case SKUA_ATTR_F64:
        skua__json_f64(out, attr->value.f64);
        break;
    case SKUA_ATTR_STR:
        skua__json_text(out, attr->value.str, attr->count);
        break;
    case SKUA_ATTR_BYTES:
        skua__json_base64(out, attr->value.bytes, attr->count);
        break;
    case SKUA_ATTR_MAP:
        value_map(out, attr, depth);
        break;
    default:
        skua__json_open(out, '[');
        for (uint32_t i = 0; i < attr->count; i++)
            value_element(out, attr, i, depth);
        skua__json_close(out, ']');
        break;
    }
}

#undef VALUE_DEPTH
