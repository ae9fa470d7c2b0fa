/* str.c - strings and the numbers written in them. */
#include <inttypes.h>
#include <string.h>

#include "mem.h"
#include "str.h"

struct str *str_new_raw(size_t len)
{
    struct str *str = mem_alloc(sizeof *str + len);

    atomic_init(&str->refs, 1);
    str->len = len;
    return str;
}

struct str *str_new(const void *bytes, size_t len)
{
    struct str *str = str_new_raw(len);

    if (len > 0)
        memcpy(str->bytes, bytes, len);
    return str;
}

struct str *str_of_integer(int64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRId64, number);

    return str_new(digits, (size_t)len);
}

struct str *str_ref(struct str *str)
{
    /* Relaxed: whoever refs has a reference, or the lock of the key that has one. */
    atomic_fetch_add_explicit(&str->refs, 1, memory_order_relaxed);
    return str;
}

void str_unref(struct str *str)
{
    if (str == NULL)
        return;
    /* Release and acquire: every reader is done with the bytes before they are freed. */
    if (atomic_fetch_sub_explicit(&str->refs, 1, memory_order_acq_rel) == 1)
        free(str);
}

bool str_equals(const struct str *str, const char *bytes, size_t len)
{
    return str->len == len && (len == 0 || memcmp(str->bytes, bytes, len) == 0);
}

bool integer_parse(const char *bytes, size_t len, int64_t *number)
{
    bool negative = len > 0 && bytes[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t magnitude = 0;
    size_t i = negative ? 1 : 0;

    if (len == i || len - i > 19)
        return false;
    if (bytes[i] == '0' && len > 1) /* neither 007 nor -0 */
        return false;
    for (; i < len; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
        magnitude = magnitude * 10 + (uint64_t)(bytes[i] - '0'); /* 19 digits fit in 64 bits */
    }
    if (magnitude > limit)
        return false;
    *number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
