/* log_line.c - a record as a line of text:
 *
 *   2026-11-21T18:34:05.123456Z INFO shop.orders: order stored order.id=17 by="x y" trace=… span=…
 *
 * One record is one line, whatever is in it: controls and line ends are written as escapes, so that
 * nobody's input looks like a record of its own. What does not fit is cut.
 */
#include <stdio.h>
#include <time.h>

#include "telemetry/log_api.h"

/* Attributes inside attributes. */
#define LINE_DEPTH 8

struct log_line {
    char *at, *end; /* room for the "\n" stands behind `end` */
};

static void line_char(struct log_line *line, char c)
{
    if (line->at < line->end)
        *line->at++ = c;
}

/* Controls as escapes: those of one byte, and U+0080 to U+009F, which steer terminals, too. */
static void line_text(struct log_line *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool second = c == 0xc2 && i + 1 < len && ((unsigned char)text[i + 1] & 0xe0) == 0x80;
        char escape[5];

        if (c >= ' ' && c != 0x7f && !second) {
            line_char(line, (char)c);
            continue;
        }
        if (second)
            c = (unsigned char)text[++i];
        (void)snprintf(escape, sizeof escape, c == '\n' ? "\\n" : "\\x%02x", c);
        for (const char *at = escape; *at != '\0'; at++)
            line_char(line, *at);
    }
}

static void line_word(struct log_line *line, const char *word)
{
    line_text(line, word, strlen(word));
}

__attribute__((format(printf, 2, 3))) static void line_format(struct log_line *line,
                                                              const char *format, ...)
{
    char text[64];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    line_word(line, text);
}

static void line_hex(struct log_line *line, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && line->at < line->end; i++)
        line_format(line, "%02x", bytes[i]);
}

/* In quotes, where it would be mistaken without. */
static void line_quoted(struct log_line *line, const char *text, size_t len)
{
    bool plain = len > 0;

    for (size_t i = 0; i < len && plain; i++)
        plain = (unsigned char)text[i] > ' ' && strchr("\"=,[]{}", text[i]) == NULL;
    if (plain) {
        line_text(line, text, len);
        return;
    }
    line_char(line, '"');
    for (size_t from = 0, i = 0; i <= len; i++) {
        if (i < len && text[i] != '"' && text[i] != '\\')
            continue;
        line_text(line, text + from, i - from);
        if (i < len) {
            line_char(line, '\\');
            line_char(line, text[i]);
        }
        from = i + 1;
    }
    line_char(line, '"');
}

static void line_value(struct log_line *line, const skua_attr *attr, unsigned depth);

static void line_element(struct log_line *line, const skua_attr *attr, uint32_t i, unsigned depth)
{
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_BOOLS:
        line_word(line, attr->value.bools[i] ? "true" : "false");
        break;
    case SKUA_ATTR_I64S:
        line_format(line, "%lld", (long long)attr->value.i64s[i]);
        break;
    case SKUA_ATTR_F64S:
        line_format(line, "%g", attr->value.f64s[i]);
        break;
    case SKUA_ATTR_STRS:
        if (attr->value.strs[i] != NULL)
            line_quoted(line, attr->value.strs[i], strlen(attr->value.strs[i]));
        break;
    case SKUA_ATTR_MAP:
        line_text(line, attr->value.attrs[i].key, attr->value.attrs[i].key_len);
        line_char(line, '=');
        line_value(line, &attr->value.attrs[i], depth + 1);
        break;
    default:
        line_value(line, &attr->value.attrs[i], depth + 1);
        break;
    }
}

static void line_value(struct log_line *line, const skua_attr *attr, unsigned depth)
{
    bool map = attr->type == SKUA_ATTR_MAP;

    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_NONE:
        break;
    case SKUA_ATTR_BOOL:
        line_word(line, attr->value.i64 != 0 ? "true" : "false");
        break;
    case SKUA_ATTR_I64:
        line_format(line, "%lld", (long long)attr->value.i64);
        break;
    case SKUA_ATTR_F64:
        line_format(line, "%g", attr->value.f64);
        break;
    case SKUA_ATTR_STR:
        line_quoted(line, attr->value.str, attr->count);
        break;
    case SKUA_ATTR_BYTES:
        line_hex(line, attr->value.bytes, attr->count);
        break;
    default:
        line_char(line, map ? '{' : '[');
        for (uint32_t i = 0; i < attr->count && depth < LINE_DEPTH && line->at < line->end; i++) {
            if (i != 0)
                line_char(line, ',');
            line_element(line, attr, i, depth);
        }
        line_char(line, map ? '}' : ']');
        break;
    }
}

static void line_time(struct log_line *line, int64_t time)
{
    struct timespec now = {.tv_sec = (time_t)(time / SKUA_SECOND), .tv_nsec = time % SKUA_SECOND};
    struct tm parts;

    if (time == 0)
        (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) == NULL)
        return;
    line_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                (long)now.tv_nsec / 1000);
}

static void line_attr(struct log_line *line, const skua_attr *attr)
{
    line_char(line, ' ');
    line_text(line, attr->key, attr->key_len);
    line_char(line, '=');
    line_value(line, attr, 0);
}

static void line_ids(struct log_line *line, const skua_span_context *context)
{
    line_word(line, " trace=");
    line_hex(line, context->trace_id, sizeof context->trace_id);
    line_word(line, " span=");
    line_hex(line, context->span_id, sizeof context->span_id);
}

size_t skua__log_line(char *out, size_t size, const skua_logger *logger,
                      const skua_log_record *record)
{
    static const char names[][6] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    struct log_line line = {out, out + size - 1};

    line_time(&line, record->time);
    line_word(&line, record->severity != 0 ? names[(record->severity - 1) / 4] : "-");
    line_char(&line, ' ');
    line_word(&line, logger->name != NULL ? logger->name : "");
    line_word(&line, ": ");
    if (record->event != NULL)
        line_format(&line, "[%s] ", record->event);
    if (record->body != NULL)
        line_value(&line, record->body, 0);
    else if (record->text != NULL)
        line_text(&line, record->text, record->text_len);
    for (size_t i = 0; i < record->attrs_count; i++)
        if (record->attrs[i].type != SKUA_ATTR_NONE)
            line_attr(&line, &record->attrs[i]);
    if (record->error != 0) {
        skua_attr what =
            skua_attr_str("error", record->error_text != NULL ? record->error_text
                                                              : skua_strerror(record->error));
        line_attr(&line, &what);
    }
    if (record->context != NULL && skua_span_context_valid(record->context))
        line_ids(&line, record->context);
    *line.at++ = '\n';
    return (size_t)(line.at - out);
}

#undef LINE_DEPTH
