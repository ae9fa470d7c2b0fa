/* attribute.h - attributes: what spans, events, measurements, log records and resources are
 * described with.
 *
 *     skua_span_set(span, SKUA_STR("user.name", name), SKUA_I64("cart.items", 3));
 *
 * An attribute is a value: 32 bytes that point at their key and text. Whoever is handed one copies
 * what it keeps before it returns, but for keys made by the macros here: those are string literals,
 * and are kept as pointers. A library that is unloaded (dlclose) shuts telemetry down before, or
 * makes its attributes by the functions, whose keys are copied.
 *
 * Text       UTF-8. Bytes that are not are replaced by U+FFFD when they are sent.
 * Null       a value of type SKUA_ATTR_NONE is not valid by the specification: it is left out.
 * Twice      of several with a key the last one counts.
 *
 * Source     OpenTelemetry specification 1.60, common: attributes, AnyValue.
 */
#ifndef SKUA_ATTRIBUTE_H
#define SKUA_ATTRIBUTE_H

#include <string.h>

#include <skua/base.h>

SKUA_C_BEGIN

typedef enum skua_attr_type {
    SKUA_ATTR_NONE,
    SKUA_ATTR_BOOL,
    SKUA_ATTR_I64,
    SKUA_ATTR_F64,
    SKUA_ATTR_STR,
    SKUA_ATTR_BYTES,
    SKUA_ATTR_BOOLS, /* arrays of one type */
    SKUA_ATTR_I64S,
    SKUA_ATTR_F64S,
    SKUA_ATTR_STRS,
    SKUA_ATTR_LIST, /* of any values: attributes whose keys do not count; bodies of logs */
    SKUA_ATTR_MAP   /* attributes inside an attribute; bodies of logs */
} skua_attr_type;

/* The key is a literal: it may be kept as a pointer. */
#define SKUA_ATTR_STATIC 1u

typedef struct skua_attr {
    const char *key; /* ends with a NUL; not empty */
    uint8_t type;    /* a skua_attr_type */
    uint8_t flags;   /* SKUA_ATTR_STATIC */
    uint16_t key_len;
    uint32_t count; /* bytes of STR and BYTES, elements of the arrays, LIST and MAP */
    union {
        int64_t i64; /* BOOL: 0 or 1 */
        double f64;
        const char *str; /* no NUL needed; NULL is "" */
        const void *bytes;
        const uint8_t *bools;
        const int64_t *i64s;
        const double *f64s;
        const char *const *strs; /* each ends with a NUL */
        const struct skua_attr *attrs;
    } value;
} skua_attr;

/* ---- making them ------------------------------------------------------------------------------
 *
 * The macros take a literal as key. The functions take any, which is copied by who keeps it; a key
 * beyond 65,535 bytes is cut. What a value points at is the caller's, until the call that it is
 * handed to returns.
 *
 * Threads    any
 * Since      0.4
 */

static inline skua_attr skua_attr_of(const char *key, skua_attr_type type, uint32_t count)
{
    size_t len = strlen(key);
    skua_attr attr;

    attr.key = key;
    attr.type = (uint8_t)type;
    attr.flags = 0;
    attr.key_len = len < UINT16_MAX ? (uint16_t)len : (uint16_t)UINT16_MAX;
    attr.count = count;
    attr.value.i64 = 0;
    return attr;
}

static inline skua_attr skua_attr_bool(const char *key, int value)
{
    skua_attr attr = skua_attr_of(key, SKUA_ATTR_BOOL, 1);

    attr.value.i64 = value != 0;
    return attr;
}

static inline skua_attr skua_attr_i64(const char *key, int64_t value)
{
    skua_attr attr = skua_attr_of(key, SKUA_ATTR_I64, 1);

    attr.value.i64 = value;
    return attr;
}

static inline skua_attr skua_attr_f64(const char *key, double value)
{
    skua_attr attr = skua_attr_of(key, SKUA_ATTR_F64, 1);

    attr.value.f64 = value;
    return attr;
}

static inline skua_attr skua_attr_text(const char *key, const char *value, size_t len)
{
    skua_attr attr = skua_attr_of(key, SKUA_ATTR_STR,
                                  value == NULL      ? 0
                                  : len < UINT32_MAX ? (uint32_t)len
                                                     : (uint32_t)UINT32_MAX);

    attr.value.str = value != NULL ? value : "";
    return attr;
}

static inline skua_attr skua_attr_str(const char *key, const char *value)
{
    return skua_attr_text(key, value, value != NULL ? strlen(value) : 0);
}

/* Anything else: bytes, arrays, maps: `count` bytes or elements at `values`. */
static inline skua_attr skua_attr_many(const char *key, skua_attr_type type, const void *values,
                                       size_t count)
{
    skua_attr attr = skua_attr_of(key, type, (uint32_t)count);

    attr.value.bytes = values;
    return attr;
}

static inline skua_attr skua_attr_static(skua_attr attr)
{
    attr.flags = SKUA_ATTR_STATIC;
    return attr;
}

#define SKUA_BOOL(key, value) skua_attr_static(skua_attr_bool("" key, (value)))
#define SKUA_I64(key, value) skua_attr_static(skua_attr_i64("" key, (value)))
#define SKUA_F64(key, value) skua_attr_static(skua_attr_f64("" key, (value)))
#define SKUA_STR(key, value) skua_attr_static(skua_attr_str("" key, (value)))
#define SKUA_TEXT(key, value, len) skua_attr_static(skua_attr_text("" key, (value), (len)))
#define SKUA_BYTES(key, value, len)                                                                \
    skua_attr_static(skua_attr_many("" key, SKUA_ATTR_BYTES, (value), (len)))
#define SKUA_I64S(key, values, count)                                                              \
    skua_attr_static(skua_attr_many("" key, SKUA_ATTR_I64S, (values), (count)))
#define SKUA_F64S(key, values, count)                                                              \
    skua_attr_static(skua_attr_many("" key, SKUA_ATTR_F64S, (values), (count)))
#define SKUA_STRS(key, values, count)                                                              \
    skua_attr_static(skua_attr_many("" key, SKUA_ATTR_STRS, (values), (count)))

/* For the macros that take attributes at their end: an array of them, and its count. */
#ifndef __cplusplus
#define SKUA_ATTRS(...) ((const skua_attr[]){__VA_ARGS__})
#define SKUA_ATTRS_COUNT(...) (sizeof(SKUA_ATTRS(__VA_ARGS__)) / sizeof(skua_attr))
#endif

SKUA_C_END

#endif
