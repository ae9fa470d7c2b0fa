/* config_value.c - values as variables and files write them.
 */
#include <stdlib.h>
#include <strings.h>

#include "otel/config/config_impl.h"

const char *skua__config_trim(const char *text, size_t *len)
{
    while (*len != 0 && (*text == ' ' || *text == '\t')) {
        text++;
        (*len)--;
    }
    while (*len != 0 && (text[*len - 1] == ' ' || text[*len - 1] == '\t'))
        (*len)--;
    return text;
}

bool skua__config_integer(const char *text, int64_t *ret)
{
    size_t len = strlen(text), digits;
    char copy[24];
    char *end;

    text = skua__config_trim(text, &len);
    digits = len != 0 && (*text == '-' || *text == '+') ? 1 : 0;
    if (len == digits || len >= sizeof copy)
        return false;
    for (size_t i = digits; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    errno = 0;
    *ret = strtoll(copy, &end, 10);
    return errno == 0;
}

/* By hand, since strtod asks the locale what a point is. Digits, a point, an exponent. */
bool skua__config_number(const char *text, double *ret)
{
    size_t len = strlen(text), at = 0, digits = 0;
    double value = 0, scale = 1;
    int64_t exponent = 0;
    bool minus;

    text = skua__config_trim(text, &len);
    minus = len != 0 && *text == '-';
    at = len != 0 && (*text == '-' || *text == '+');
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++, digits++)
        value = value * 10 + (text[at] - '0');
    if (at < len && text[at] == '.')
        for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++, digits++) {
            value = value * 10 + (text[at] - '0');
            scale *= 10;
        }
    if (digits == 0)
        return false;
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        char copy[8] = "";

        if (len - at - 1 == 0 || len - at - 1 >= sizeof copy)
            return false;
        memcpy(copy, text + at + 1, len - at - 1);
        if (!skua__config_integer(copy, &exponent) || exponent > 400 || exponent < -400)
            return false;
        at = len;
    }
    if (at != len)
        return false;
    for (; exponent > 0; exponent--)
        value *= 10;
    for (; exponent < 0; exponent++)
        scale *= 10;
    *ret = minus ? -(value / scale) : value / scale;
    return *ret - *ret == 0; /* it is finite */
}

int skua__config_severity(const char *name)
{
    static const char *const names[] = {"trace", "debug", "info", "warn", "error", "fatal"};

    for (int i = 0; i < 6; i++) {
        size_t len = strlen(names[i]);

        if (strncasecmp(name, names[i], len) != 0)
            continue;
        if (name[len] == '\0')
            return 4 * i + 1;
        if (name[len] >= '2' && name[len] <= '4' && name[len + 1] == '\0')
            return 4 * i + 1 + name[len] - '1';
    }
    return 0;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static int value_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decoded, in the configuration's memory. -EINVAL: a '%' without its digits, or a NUL. */
static int value_decode(skua_otel_config *config, const char *text, size_t len, const char **ret)
{
    char *out = skua__config_alloc(config, len + 1);
    size_t used = 0;

    if (out == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && len - i > 2 ? value_hex(text[i + 1]) : -1;
        int low = high >= 0 ? value_hex(text[i + 2]) : -1;

        if (text[i] == '%' && (low < 0 || (high | low) == 0))
            return -EINVAL;
        out[used++] = low >= 0 ? (char)(high << 4 | low) : text[i];
        if (low >= 0)
            i += 2;
    }
    *ret = out;
    return 0;
}

int skua__config_pairs(skua_otel_config *config, const char *text, struct skua__config_pair **ret,
                       size_t *ret_count)
{
    size_t room = 1, count = 0;
    struct skua__config_pair *pairs;

    for (const char *at = text; *at != '\0'; at++)
        room += *at == ',';
    pairs = skua__config_alloc(config, room * sizeof *pairs);
    if (pairs == NULL)
        return -ENOMEM;
    for (;;) {
        size_t size = strcspn(text, ","), len = size, name_len, value_len;
        const char *at = skua__config_trim(text, &len), *equal = memchr(at, '=', len), *name;
        int rc = len != 0 && equal == NULL ? -EINVAL : 0;

        if (rc == 0 && len != 0) {
            name_len = (size_t)(equal - at);
            name = skua__config_trim(at, &name_len);
            value_len = len - (size_t)(equal - at) - 1;
            at = skua__config_trim(equal + 1, &value_len);
            rc = name_len == 0 ? -EINVAL : value_decode(config, name, name_len, &pairs[count].name);
            if (rc == 0)
                rc = value_decode(config, at, value_len, &pairs[count].value);
            count++;
        }
        if (rc < 0)
            return rc;
        if (text[size] == '\0')
            break;
        text += size + 1;
    }
    *ret = pairs;
    *ret_count = count;
    return 0;
}
