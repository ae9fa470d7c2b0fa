/* export_console.c - spans as lines: for people, as a tree, or as JSON.
 *
 * A line is made in memory and written at once, so that lines of other threads do not come in
 * between. Bytes that would move a terminal's cursor are shown as \xNN; in JSON all is repaired and
 * escaped (RFC 8259).
 *
 * Tree     a child ends before its parent, so it comes before it; here parents go first: roots, and
 *          spans whose parent is not in the export, each with what is below it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <skua/otel/console.h>

#include "otel/core/otel_impl.h"

#define CONSOLE_DEPTH 32

struct console {
    skua_otel_exporter exporter;
    FILE *stream;
    bool json;
};

/* A line that grows; an error stays in it. */
struct console_line {
    char *text;
    size_t len, room;
    bool failed;
};

/* ---- lines ----------------------------------------------------------------------------------- */

static void console_put(struct console_line *line, const char *text, size_t len)
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

__attribute__((format(printf, 2, 3))) static void console_print(struct console_line *line,
                                                                const char *format, ...)
{
    char text[128];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0)
        console_put(line, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

/* Text for people. */
static void console_text(struct console_line *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte < 0x20 || byte == 0x7f)
            console_print(line, "\\x%02x", byte);
        else
            console_put(line, text + i, 1);
    }
}

/* A JSON string. */
static void console_quoted(struct console_line *line, const char *text, size_t len)
{
    size_t good;

    console_put(line, "\"", 1);
    while (len > 0) {
        good = skua__otel_utf8(text, len);
        for (size_t i = 0; i < good; i++) {
            unsigned char byte = (unsigned char)text[i];

            if (byte < 0x20)
                console_print(line, "\\u%04x", byte);
            else if (byte == '"' || byte == '\\')
                console_print(line, "\\%c", byte);
            else
                console_put(line, text + i, 1);
        }
        if (good < len)
            console_put(line, "\xef\xbf\xbd", 3);
        good += good < len;
        text += good;
        len -= good;
    }
    console_put(line, "\"", 1);
}

static void console_hex(struct console_line *line, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        console_print(line, "%02x", bytes[i]);
}

/* ---- values: as JSON has them, but texts and floats for people ------------------------------- */

static void console_value(struct console_line *line, const skua_attr *attr, bool json,
                          unsigned depth);

static void console_f64(struct console_line *line, double value, bool json)
{
    if (json && !(value - value == 0)) /* JSON has no such numbers */
        console_print(line, "\"%g\"", value);
    else
        console_print(line, "%.17g", value);
}

static void console_string(struct console_line *line, const char *text, size_t len, bool json)
{
    if (json)
        console_quoted(line, text, len);
    else
        console_text(line, text, len);
}

static void console_element(struct console_line *line, const skua_attr *attr, uint32_t i, bool json,
                            unsigned depth)
{
    const char *text;

    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_BOOLS:
        console_print(line, "%s", attr->value.bools[i] ? "true" : "false");
        break;
    case SKUA_ATTR_I64S:
        console_print(line, "%" PRId64, attr->value.i64s[i]);
        break;
    case SKUA_ATTR_F64S:
        console_f64(line, attr->value.f64s[i], json);
        break;
    case SKUA_ATTR_STRS:
        text = attr->value.strs[i] != NULL ? attr->value.strs[i] : "";
        console_string(line, text, strlen(text), json);
        break;
    default:
        if (attr->type == SKUA_ATTR_MAP) {
            console_string(line, attr->value.attrs[i].key, attr->value.attrs[i].key_len, json);
            console_put(line, ":", 1);
        }
        console_value(line, &attr->value.attrs[i], json, depth + 1);
        break;
    }
}

static void console_value(struct console_line *line, const skua_attr *attr, bool json,
                          unsigned depth)
{
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_BOOL:
        console_print(line, "%s", attr->value.i64 != 0 ? "true" : "false");
        return;
    case SKUA_ATTR_I64:
        console_print(line, "%" PRId64, attr->value.i64);
        return;
    case SKUA_ATTR_F64:
        console_f64(line, attr->value.f64, json);
        return;
    case SKUA_ATTR_STR:
        console_string(line, attr->value.str, attr->count, json);
        return;
    case SKUA_ATTR_BYTES:
        console_put(line, "\"", json);
        console_hex(line, attr->value.bytes, attr->count);
        console_put(line, "\"", json);
        return;
    case SKUA_ATTR_NONE:
        console_put(line, "null", 4);
        return;
    default:
        break;
    }
    console_put(line, attr->type == SKUA_ATTR_MAP ? "{" : "[", 1);
    for (uint32_t i = 0; i < attr->count && depth < CONSOLE_DEPTH; i++) {
        console_put(line, ",", i != 0);
        console_element(line, attr, i, json, depth);
    }
    console_put(line, attr->type == SKUA_ATTR_MAP ? "}" : "]", 1);
}

static void console_attrs(struct console_line *line, const skua_otel_attrs *attrs, bool json)
{
    console_put(line, "{", 1);
    for (uint32_t i = 0; i < attrs->count; i++) {
        console_put(line, json ? "," : ", ", i == 0 ? 0 : json ? 1 : 2);
        console_string(line, attrs->at[i].key, attrs->at[i].key_len, json);
        console_put(line, json ? ":" : "=", 1);
        console_value(line, &attrs->at[i], json, 0);
    }
    console_put(line, "}", 1);
}

/* ---- spans for people ------------------------------------------------------------------------ */

static const char *const console_kinds[] = {"",       "internal", "server",
                                            "client", "producer", "consumer"};

static const char *console_kind(uint8_t kind)
{
    return kind < sizeof console_kinds / sizeof console_kinds[0] ? console_kinds[kind] : "";
}

static void console_span(struct console_line *line, const skua_otel_span *span, unsigned depth)
{
    time_t second = (time_t)(span->start / 1000000000);
    struct tm day;

    memset(&day, 0, sizeof day);
    (void)gmtime_r(&second, &day);
    console_print(line, "%02d:%02d:%02d.%06d %-8s %9.3f ms  ", day.tm_hour, day.tm_min, day.tm_sec,
                  (int)(span->start % 1000000000 / 1000), console_kind(span->kind),
                  (double)(span->end - span->start) / 1e6);
    for (unsigned i = 0; i < depth; i++)
        console_put(line, "  ", 2);
    console_text(line, span->name.at, span->name.len);
    if (span->attrs.count != 0) {
        console_put(line, " ", 1);
        console_attrs(line, &span->attrs, false);
    }
    for (uint32_t i = 0; i < span->events_count; i++) {
        console_put(line, "  [", 3);
        console_text(line, span->events[i].name.at, span->events[i].name.len);
        console_put(line, "]", 1);
    }
    if (span->status == 2) {
        console_put(line, "  error: ", 9);
        console_text(line, span->status_text.at, span->status_text.len);
    }
    console_put(line, "\n", 1);
}

static bool console_below(const skua_otel_span *child, const skua_otel_span *parent)
{
    return memcmp(child->parent_id, parent->span_id, 8) == 0 &&
           memcmp(child->trace_id, parent->trace_id, 16) == 0;
}

/* What is below spans[top], which is printed; done[i]: spans[i] is, too. */
static void console_children(struct console_line *line, const skua_otel_batch *batch, bool *done,
                             uint32_t top, unsigned depth)
{
    const skua_otel_span *spans = batch->items.spans;

    for (uint32_t i = 0; i < batch->count && depth < CONSOLE_DEPTH; i++) {
        if (done[i] || !console_below(&spans[i], &spans[top]))
            continue;
        done[i] = true;
        console_span(line, &spans[i], depth);
        console_children(line, batch, done, i, depth + 1);
    }
}

static bool console_has_parent(const skua_otel_batch *batch, uint32_t at)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (i != at && console_below(&batch->items.spans[at], &batch->items.spans[i]))
            return true;
    return false;
}

static void console_tree(struct console_line *line, const skua_otel_batch *batch)
{
    bool *done = skua__otel_malloc(batch->count * sizeof *done);

    line->failed = done == NULL;
    /* In the second round what is left: below CONSOLE_DEPTH, or in a ring of parents. */
    for (unsigned round = 0; done != NULL && round < 2; round++)
        for (uint32_t i = 0; i < batch->count; i++) {
            if (done[i] || (round == 0 && console_has_parent(batch, i)))
                continue;
            done[i] = true;
            console_span(line, &batch->items.spans[i], 0);
            console_children(line, batch, done, i, 1);
        }
    skua__otel_free(done);
}

/* ---- spans as JSON --------------------------------------------------------------------------- */

static void console_field(struct console_line *line, const char *name, const uint8_t *id,
                          size_t len)
{
    static const uint8_t zeros[16];

    if (memcmp(id, zeros, len) == 0)
        return;
    console_print(line, "\"%s\":\"", name);
    console_hex(line, id, len);
    console_put(line, "\",", 2);
}

static void console_object(struct console_line *line, const skua_otel_span *span)
{
    console_put(line, "{", 1);
    console_field(line, "traceId", span->trace_id, 16);
    console_field(line, "spanId", span->span_id, 8);
    console_field(line, "parentSpanId", span->parent_id, 8);
    console_print(line, "\"name\":");
    console_quoted(line, span->name.at, span->name.len);
    console_print(line, ",\"kind\":\"%s\",\"start\":%" PRId64 ",\"end\":%" PRId64,
                  console_kind(span->kind), span->start, span->end);
    console_print(line, ",\"attributes\":");
    console_attrs(line, &span->attrs, true);
    for (uint32_t i = 0; i < span->events_count; i++) {
        console_print(line, "%s{\"time\":%" PRId64 ",\"name\":", i == 0 ? ",\"events\":[" : ",",
                      span->events[i].time);
        console_quoted(line, span->events[i].name.at, span->events[i].name.len);
        console_print(line, ",\"attributes\":");
        console_attrs(line, &span->events[i].attrs, true);
        console_print(line, i + 1 == span->events_count ? "}]" : "}");
    }
    if (span->status != 0)
        console_print(line, ",\"status\":\"%s\"", span->status == 2 ? "error" : "ok");
    if (span->status_text.len != 0) {
        console_print(line, ",\"message\":");
        console_quoted(line, span->status_text.at, span->status_text.len);
    }
    if (span->scope != NULL) {
        console_print(line, ",\"scope\":");
        console_quoted(line, span->scope->name.at, span->scope->name.len);
    }
    console_put(line, "}\n", 2);
}

/* ---- the exporter ---------------------------------------------------------------------------- */

static int64_t console_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                              int64_t deadline)
{
    struct console *console = (struct console *)exporter;
    struct console_line line = {.text = NULL};
    int64_t rc = 0;

    (void)deadline;
    if (batch->signal != SKUA_OTEL_TRACES)
        console_print(&line, "%zu %s\n", skua_otel_batch_size(batch),
                      batch->signal == SKUA_OTEL_LOGS ? "log records" : "points of metrics");
    else if (!console->json)
        console_tree(&line, batch);
    else
        for (uint32_t i = 0; i < batch->count; i++)
            console_object(&line, &batch->items.spans[i]);
    if (line.failed)
        rc = -ENOMEM;
    else if (fwrite(line.text, 1, line.len, console->stream) != line.len ||
             fflush(console->stream) != 0)
        rc = errno != 0 ? -errno : -EIO;
    skua__otel_free(line.text);
    return rc;
}

static void console_free(skua_otel_exporter *exporter)
{
    skua__otel_free(exporter);
}

static const skua_otel_exporter_ops console_ops = {
    .name = "console_exporter", .export_batch = console_export, .free = console_free};

int skua_otel_console_new(skua_otel_exporter **ret, const skua_otel_console_options *options)
{
    struct console *console;

    if (options != NULL && (options->size != sizeof *options || options->json > 1))
        return -EINVAL;
    console = skua__otel_malloc(sizeof *console);
    if (console == NULL)
        return -ENOMEM;
    console->exporter.ops = &console_ops;
    console->stream = options != NULL && options->stream != NULL ? options->stream : stdout;
    console->json = options != NULL && options->json != 0;
    *ret = &console->exporter;
    return 0;
}

#undef CONSOLE_DEPTH
