/* console_line.c - lines of the console: what grows in memory, and values in it.
 *
 * Bytes that would move a terminal's cursor are shown as \xNN; in JSON all is repaired and escaped
 * (RFC 8259).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "otel/export/console_impl.h"

/* ---- lines ----------------------------------------------------------------------------------- */

void skua__console_put(struct skua__console_line *line, const char *text, size_t len)
{
    if (line->failed)
        return;
    if (line->room - line->len < len) {
        size_t room = (line->room + len) * 2 + 256;
        char *more = skua__otel_realloc(line->text, room);

        line->failed = more == NULL;
        if (more == NULL)
            return;
        line->text = more;
        line->room = room;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

__attribute__((format(printf, 2, 3))) void skua__console_print(struct skua__console_line *line,
                                                               const char *format, ...)
{
    char text[128];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0)
        skua__console_put(line, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

/* Well-formed text for people. U+0080 to U+009F steer terminals, too: C2 and one more byte. */
static void console_well_formed(struct skua__console_line *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == 0xc2 && (unsigned char)text[i + 1] < 0xa0)
            skua__console_print(line, "\\xc2\\x%02x", (unsigned char)text[++i]);
        else if (byte < 0x20 || byte == 0x7f)
            skua__console_print(line, "\\x%02x", byte);
        else
            skua__console_put(line, text + i, 1);
    }
}

/* Text for people; bytes that are no UTF-8 stay, but those that steer old terminals. */
void skua__console_text(struct skua__console_line *line, const char *text, size_t len)
{
    while (len > 0) {
        size_t good = skua__otel_utf8(text, len);

        console_well_formed(line, text, good);
        if (good == len)
            return;
        if ((unsigned char)text[good] < 0xa0)
            skua__console_print(line, "\\x%02x", (unsigned char)text[good]);
        else
            skua__console_put(line, text + good, 1);
        text += good + 1;
        len -= good + 1;
    }
}

/* A JSON string. */
void skua__console_quoted(struct skua__console_line *line, const char *text, size_t len)
{
    size_t good;

    skua__console_put(line, "\"", 1);
    while (len > 0) {
        good = skua__otel_utf8(text, len);
        for (size_t i = 0; i < good; i++) {
            unsigned char byte = (unsigned char)text[i];

            if (byte < 0x20)
                skua__console_print(line, "\\u%04x", byte);
            else if (byte == '"' || byte == '\\')
                skua__console_print(line, "\\%c", byte);
            else
                skua__console_put(line, text + i, 1);
        }
        if (good < len)
            skua__console_put(line, "\xef\xbf\xbd", 3);
        good += good < len;
        text += good;
        len -= good;
    }
    skua__console_put(line, "\"", 1);
}

void skua__console_hex(struct skua__console_line *line, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        skua__console_print(line, "%02x", bytes[i]);
}

/* ---- values: as JSON has them, but texts and floats for people ------------------------------- */

/* A point in place of what the locale has between digits, which may be of several bytes. */
static void console_point(char *text)
{
    char *at = text + strspn(text, "-0123456789");
    size_t len = strcspn(at, "0123456789");

    if (*at == '\0' || *at == 'e' || *at == 'i' || *at == 'n' || at[len] == '\0')
        return;
    *at = '.';
    memmove(at + 1, at + len, strlen(at + len) + 1);
}

static void console_f64(struct skua__console_line *line, double value, bool json)
{
    char text[32];

    if (json && !(value - value == 0)) { /* JSON has no such numbers */
        skua__console_print(line, "\"%g\"", value);
        return;
    }
    (void)snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value) /* that is not all of it */
        (void)snprintf(text, sizeof text, "%.17g", value);
    console_point(text);
    skua__console_print(line, "%s", text);
}

void skua__console_string(struct skua__console_line *line, const char *text, size_t len, bool json)
{
    if (json)
        skua__console_quoted(line, text, len);
    else
        skua__console_text(line, text, len);
}

static void console_element(struct skua__console_line *line, const skua_attr *attr, uint32_t i,
                            bool json, unsigned depth)
{
    const char *text;

    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_BOOLS:
        skua__console_print(line, "%s", attr->value.bools[i] ? "true" : "false");
        break;
    case SKUA_ATTR_I64S:
        skua__console_print(line, "%" PRId64, attr->value.i64s[i]);
        break;
    case SKUA_ATTR_F64S:
        console_f64(line, attr->value.f64s[i], json);
        break;
    case SKUA_ATTR_STRS:
        text = attr->value.strs[i] != NULL ? attr->value.strs[i] : "";
        skua__console_string(line, text, strlen(text), json);
        break;
    default:
        if (attr->type == SKUA_ATTR_MAP) {
            skua__console_string(line, attr->value.attrs[i].key, attr->value.attrs[i].key_len,
                                 json);
            skua__console_put(line, ":", 1);
        }
        skua__console_value(line, &attr->value.attrs[i], json, depth + 1);
        break;
    }
}

void skua__console_value(struct skua__console_line *line, const skua_attr *attr, bool json,
                         unsigned depth)
{
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_BOOL:
        skua__console_print(line, "%s", attr->value.i64 != 0 ? "true" : "false");
        return;
    case SKUA_ATTR_I64:
        skua__console_print(line, "%" PRId64, attr->value.i64);
        return;
    case SKUA_ATTR_F64:
        console_f64(line, attr->value.f64, json);
        return;
    case SKUA_ATTR_STR:
        skua__console_string(line, attr->value.str, attr->count, json);
        return;
    case SKUA_ATTR_BYTES:
        skua__console_put(line, "\"", json);
        skua__console_hex(line, attr->value.bytes, attr->count);
        skua__console_put(line, "\"", json);
        return;
    case SKUA_ATTR_NONE:
        skua__console_put(line, "null", 4);
        return;
    default:
        break;
    }
    skua__console_put(line, attr->type == SKUA_ATTR_MAP ? "{" : "[", 1);
    for (uint32_t i = 0; i < attr->count && depth < SKUA__CONSOLE_DEPTH; i++) {
        skua__console_put(line, ",", i != 0);
        console_element(line, attr, i, json, depth);
    }
    skua__console_put(line, attr->type == SKUA_ATTR_MAP ? "}" : "]", 1);
}

void skua__console_attrs(struct skua__console_line *line, const skua_otel_attrs *attrs, bool json)
{
    skua__console_put(line, "{", 1);
    for (uint32_t i = 0; i < attrs->count; i++) {
        skua__console_put(line, json ? "," : ", ", i == 0 ? 0 : json ? 1 : 2);
        skua__console_string(line, attrs->at[i].key, attrs->at[i].key_len, json);
        skua__console_put(line, json ? ":" : "=", 1);
        skua__console_value(line, &attrs->at[i], json, 0);
    }
    skua__console_put(line, "}", 1);
}

void skua__console_time(struct skua__console_line *line, int64_t time)
{
    time_t second = (time_t)(time / 1000000000);
    struct tm day;

    memset(&day, 0, sizeof day);
    (void)gmtime_r(&second, &day);
    skua__console_print(line, "%02d:%02d:%02d.%06d", day.tm_hour, day.tm_min, day.tm_sec,
                        (int)(time % 1000000000 / 1000));
}
