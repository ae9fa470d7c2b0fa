/* prometheus_name.c - names, units and labels as Prometheus takes them.
 *
 *   name    [a-zA-Z_:][a-zA-Z0-9_:]*     others become "_", several of them one
 *   label   [a-zA-Z_][a-zA-Z0-9_]*       two that become one have both values, with ";" between
 *   unit    UCUM's short ones in words: "By/s" is bytes_per_second; what stands in {} is left out
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "otel/export/prometheus_impl.h"

/* ---- text ------------------------------------------------------------------------------------ */

void skua__prom_add(struct skua__prom *out, const char *text, size_t len)
{
    if (out->failed)
        return;
    if (out->room - out->len <= len) { /* one more for the NUL */
        size_t room = 2 * (out->room + len) + 256;
        char *at = skua__otel_realloc(out->at, room);

        if (at == NULL) {
            out->failed = true;
            return;
        }
        out->at = at;
        out->room = room;
    }
    memcpy(out->at + out->len, text, len);
    out->len += len;
    out->at[out->len] = '\0';
}

void skua__prom_str(struct skua__prom *out, const char *text)
{
    skua__prom_add(out, text, strlen(text));
}

void skua__prom_u64(struct skua__prom *out, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    skua__prom_str(out, text);
}

void skua__prom_i64(struct skua__prom *out, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    skua__prom_str(out, text);
}

/* The shortest text that is read as the same number. */
void skua__prom_f64(struct skua__prom *out, double value)
{
    char text[40];

    if (isnan(value) || isinf(value)) {
        skua__prom_str(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (char *at = text; *at != '\0'; at++)
        if (*at == ',') /* of a locale */
            *at = '.';
    skua__prom_str(out, text);
}

void skua__prom_escaped(struct skua__prom *out, const char *text, size_t len, bool quoted)
{
    size_t size = skua__otel_repaired(text, len), from = 0;
    char *whole = skua__otel_raw(size + 1);

    if (whole == NULL) {
        out->failed = true;
        return;
    }
    skua__otel_repair(whole, text, len);
    for (size_t i = 0; i < size; i++) {
        if (whole[i] != '\\' && whole[i] != '\n' && !(quoted && whole[i] == '"'))
            continue;
        skua__prom_add(out, whole + from, i - from);
        skua__prom_str(out, whole[i] == '\n' ? "\\n" : whole[i] == '"' ? "\\\"" : "\\\\");
        from = i + 1;
    }
    skua__prom_add(out, whole + from, size - from);
    skua__otel_free(whole);
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char *const prom_units[][2] = {
    {"d", "days"},          {"h", "hours"},         {"min", "minutes"},    {"s", "seconds"},
    {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},
    {"KiBy", "kibibytes"},  {"MiBy", "mebibytes"},  {"GiBy", "gibibytes"}, {"TiBy", "tibibytes"},
    {"KBy", "kilobytes"},   {"kBy", "kilobytes"},   {"MBy", "megabytes"},  {"GBy", "gigabytes"},
    {"TBy", "terabytes"},   {"m", "meters"},        {"V", "volts"},        {"A", "amperes"},
    {"J", "joules"},        {"W", "watts"},         {"g", "grams"},        {"Cel", "celsius"},
    {"Hz", "hertz"},        {"%", "percent"},
};

static const char *const prom_per[][2] = {
    {"s", "second"}, {"m", "minute"}, {"min", "minute"}, {"h", "hour"},
    {"d", "day"},    {"w", "week"},   {"mo", "month"},   {"y", "year"},
};

/* Appends what is allowed of a text; several others become one "_". */
static void prom_clean(char *ret, size_t size, const char *text, size_t len, bool colon)
{
    size_t used = strlen(ret);

    for (size_t i = 0; i < len && used + 1 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        bool ok = c < 0x80 && (isalnum(c) || (colon && c == ':'));

        if (used == 0 && isdigit(c))
            ret[used++] = '_';
        if (!ok && used > 0 && ret[used - 1] == '_')
            continue;
        ret[used++] = ok ? (char)c : '_';
    }
    ret[used] = '\0';
}

static void prom_unit_part(char *ret, const char *part, size_t len, const char *const (*table)[2],
                           size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(table[i][0]) == len && memcmp(table[i][0], part, len) == 0) {
            (void)strncat(ret, table[i][1], 64);
            return;
        }
    prom_clean(ret, 128, part, len, false);
}

/* Without what stands in {}. */
static size_t prom_bare(char *ret, size_t size, const skua_otel_text *unit)
{
    size_t used = 0;
    int depth = 0;

    for (size_t i = 0; i < unit->len && used + 1 < size; i++) {
        if (unit->at[i] == '{')
            depth++;
        else if (unit->at[i] == '}')
            depth -= depth > 0;
        else if (depth == 0)
            ret[used++] = unit->at[i];
    }
    ret[used] = '\0';
    return used;
}

static void prom_unit(char *ret, const skua_otel_metric *metric)
{
    char bare[64];
    size_t len = prom_bare(bare, sizeof bare, &metric->unit);
    const char *slash = memchr(bare, '/', len);
    size_t first = slash != NULL ? (size_t)(slash - bare) : len;

    ret[0] = '\0';
    if (len == 0)
        return;
    if (strcmp(bare, "1") == 0) {
        if (metric->type == SKUA_OTEL_GAUGE)
            (void)strncat(ret, "ratio", 8);
        return;
    }
    prom_unit_part(ret, bare, first, prom_units, sizeof prom_units / sizeof *prom_units);
    if (slash != NULL && slash[1] != '\0') {
        (void)strncat(ret, ret[0] != '\0' ? "_per_" : "per_", 8);
        prom_unit_part(ret, slash + 1, strlen(slash + 1), prom_per,
                       sizeof prom_per / sizeof *prom_per);
    }
}

static bool prom_ends(const char *name, const char *end)
{
    size_t len = strlen(name), size = strlen(end);

    return len >= size && strcmp(name + len - size, end) == 0;
}

void skua__prom_name(char *ret, const skua_otel_prometheus *options, const skua_otel_metric *metric,
                     char *unit)
{
    ret[0] = '\0';
    prom_clean(ret, 320, metric->name.at, metric->name.len, true);
    if (metric->type == SKUA_OTEL_SUM && metric->monotonic && prom_ends(ret, "_total"))
        ret[strlen(ret) - 6] = '\0'; /* it comes again behind the unit */
    unit[0] = '\0';
    if (options->without_units == 0)
        prom_unit(unit, metric);
    if (unit[0] == '\0')
        return;
    if (!prom_ends(ret, unit)) {
        (void)strncat(ret, "_", 2);
        (void)strncat(ret, unit, 128);
    }
}

/* ---- labels ---------------------------------------------------------------------------------- */

static void prom_value(struct skua__prom *out, const skua_attr *attr)
{
    switch (attr->type) {
    case SKUA_ATTR_BOOL:
        skua__prom_str(out, attr->value.i64 ? "true" : "false");
        return;
    case SKUA_ATTR_I64:
        skua__prom_i64(out, attr->value.i64);
        return;
    case SKUA_ATTR_F64:
        skua__prom_f64(out, attr->value.f64);
        return;
    case SKUA_ATTR_STR:
    case SKUA_ATTR_BYTES:
        skua__prom_escaped(out, attr->value.str, attr->count, true);
        return;
    default:
        break;
    }
    skua__prom_str(out, "[");
    for (uint32_t i = 0; i < attr->count; i++) {
        if (i > 0)
            skua__prom_str(out, ",");
        if (attr->type == SKUA_ATTR_BOOLS)
            skua__prom_str(out, attr->value.bools[i] ? "true" : "false");
        else if (attr->type == SKUA_ATTR_I64S)
            skua__prom_i64(out, attr->value.i64s[i]);
        else if (attr->type == SKUA_ATTR_F64S)
            skua__prom_f64(out, attr->value.f64s[i]);
        else if (attr->type == SKUA_ATTR_STRS)
            skua__prom_escaped(out, attr->value.strs[i], strlen(attr->value.strs[i]), true);
    }
    skua__prom_str(out, "]");
}

static void prom_key(char *ret, size_t size, const char *prefix, const skua_attr *attr)
{
    ret[0] = '\0';
    (void)strncat(ret, prefix, 32);
    prom_clean(ret, size, attr->key, attr->key_len, false);
}

void skua__prom_label(struct skua__prom *out, const char *name, const char *value, size_t len,
                      bool *some)
{
    skua__prom_str(out, *some ? "," : "");
    skua__prom_str(out, name);
    skua__prom_str(out, "=\"");
    skua__prom_escaped(out, value, len, true);
    skua__prom_str(out, "\"");
    *some = true;
}

void skua__prom_labels(struct skua__prom *out, const char *prefix, const skua_otel_attrs *attrs,
                       bool *some)
{
    char key[256], other[256];

    for (uint32_t i = 0; i < attrs->count; i++) {
        bool again = false;

        prom_key(key, sizeof key, prefix, &attrs->at[i]);
        for (uint32_t k = 0; k < i && !again; k++) {
            prom_key(other, sizeof other, prefix, &attrs->at[k]);
            again = strcmp(key, other) == 0;
        }
        if (again || key[0] == '\0')
            continue; /* its value stands with the first one's */
        skua__prom_str(out, *some ? "," : "");
        skua__prom_str(out, key);
        skua__prom_str(out, "=\"");
        prom_value(out, &attrs->at[i]);
        for (uint32_t k = i + 1; k < attrs->count; k++) {
            prom_key(other, sizeof other, prefix, &attrs->at[k]);
            if (strcmp(key, other) == 0) {
                skua__prom_str(out, ";");
                prom_value(out, &attrs->at[k]);
            }
        }
        skua__prom_str(out, "\"");
        *some = true;
    }
}
