/* output_log.c - the exporter that writes log records for people:
 *
 *   2026-11-21T18:34:05.123456Z WARN  shop.orders: slow query seconds=1.5 trace=… span=…
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <skua/otel/file.h>

#include "otel/otlp/otlp_json.h"
#include "otel/output/output_impl.h"

#define LOG_MAX ((size_t)64 << 20)

struct output_log {
    skua_otel_exporter base;
    struct skua__sink sink;
    struct skua__json text, value;
    bool coloured, json; /* constant */
};

/* Of each severity's four: its name and colour. */
static const struct {
    const char *name, *colour;
} output_severities[] = {{"TRACE", "\033[90m"}, {"DEBUG", "\033[36m"}, {"INFO ", "\033[32m"},
                         {"WARN ", "\033[33m"}, {"ERROR", "\033[31m"}, {"FATAL", "\033[1;31m"}};

/* ---- pieces ---------------------------------------------------------------------------------- */

static void output_word(struct skua__json *out, const char *word)
{
    skua__json_raw(out, word, strlen(word));
}

/* Bytes of a control at `text`; 0: it is none. U+0080 to U+009F steer terminals, too. */
static size_t output_control(const char *text, size_t len)
{
    unsigned char c = (unsigned char)text[0];

    if (c < ' ' || c == 0x7f)
        return 1;
    return c == 0xc2 && len > 1 && (unsigned char)text[1] < 0xa0 ? 2 : 0;
}

/* Well-formed text, with its controls as escapes. */
static void output_printable(struct skua__json *out, const char *text, size_t len)
{
    size_t from = 0;

    for (size_t i = 0; i < len;) {
        size_t control = output_control(text + i, len - i);
        char escape[8];

        if (control == 0) {
            i++;
            continue;
        }
        skua__json_raw(out, text + from, i - from);
        (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)text[i + control - 1]);
        output_word(out, text[i] == '\n' ? "\\n" : text[i] == '\t' ? "\\t" : escape);
        i += control;
        from = i;
    }
    skua__json_raw(out, text + from, len - from);
}

static void output_text(struct skua__json *out, const char *text, size_t len)
{
    while (len > 0) {
        size_t good = skua__otel_utf8(text, len);

        output_printable(out, text, good);
        if (good == len)
            return;
        output_word(out, "\xef\xbf\xbd");
        text += good + 1;
        len -= good + 1;
    }
}

static void output_time(struct skua__json *out, int64_t time)
{
    time_t seconds = (time_t)(time / SKUA_SECOND);
    char text[80];
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL)
        return;
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ ", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                   (int)(time % SKUA_SECOND / 1000));
    output_word(out, text);
}

static void output_id(struct skua__json *out, const char *name, const uint8_t *id, size_t len)
{
    char text[33];

    for (size_t i = 0; i < len; i++)
        (void)snprintf(text + i * 2, 3, "%02x", id[i]);
    output_word(out, name);
    output_word(out, text);
}

/* Whether it can stand without quotes. */
static bool output_plain(const skua_attr *attr)
{
    if (attr->type != SKUA_ATTR_STR || attr->count == 0)
        return false;
    for (uint32_t i = 0; i < attr->count; i++)
        if ((unsigned char)attr->value.str[i] <= ' ' || attr->value.str[i] == '"' ||
            attr->value.str[i] == '=')
            return false;
    return true;
}

/* As JSON, whose controls are escapes; the writer's own commas do not belong here. */
static void output_value(struct output_log *self, const skua_attr *attr)
{
    struct skua__json *value = &self->value;

    skua__json_begin(value, LOG_MAX);
    skua__plain_value(value, attr, 0);
    if (value->error == 0)
        output_text(&self->text, value->bytes, value->len);
    else
        self->text.error = value->error;
}

static void output_attr(struct output_log *self, const skua_attr *attr)
{
    struct skua__json *out = &self->text;

    if (attr->type == SKUA_ATTR_NONE)
        return;
    output_word(out, self->coloured ? " \033[2m" : " ");
    output_text(out, attr->key, attr->key_len);
    output_word(out, self->coloured ? "=\033[0m" : "=");
    if (output_plain(attr)) {
        output_text(out, attr->value.str, attr->count);
        return;
    }
    output_value(self, attr);
}

/* ---- a record -------------------------------------------------------------------------------- */

static void output_severity(struct output_log *self, const skua_otel_log *log)
{
    struct skua__json *out = &self->text;
    unsigned which = (log->severity - 1u) / 4;

    if (log->severity == 0 || which >= sizeof output_severities / sizeof *output_severities) {
        output_word(out, "-     ");
        return;
    }
    if (self->coloured)
        output_word(out, output_severities[which].colour);
    output_word(out, output_severities[which].name);
    output_word(out, self->coloured ? "\033[0m " : " ");
}

static void output_record(struct output_log *self, const skua_otel_log *log)
{
    static const uint8_t none[16];
    struct skua__json *out = &self->text;

    output_time(out, log->time != 0 ? log->time : log->observed);
    output_severity(self, log);
    if (log->scope != NULL && log->scope->name.len != 0) {
        output_text(out, log->scope->name.at, log->scope->name.len);
        output_word(out, ": ");
    }
    if (log->event_name.len != 0) {
        output_word(out, "[");
        output_text(out, log->event_name.at, log->event_name.len);
        output_word(out, "] ");
    }
    if (log->body.type == SKUA_ATTR_STR)
        output_text(out, log->body.value.str, log->body.count);
    else if (log->body.type != SKUA_ATTR_NONE)
        output_value(self, &log->body);
    for (uint32_t i = 0; i < log->attrs.count; i++)
        output_attr(self, &log->attrs.at[i]);
    if (memcmp(log->trace_id, none, sizeof log->trace_id) != 0) {
        output_id(out, " trace=", log->trace_id, sizeof log->trace_id);
        output_id(out, " span=", log->span_id, sizeof log->span_id);
    }
    output_word(out, "\n");
}

static int64_t output_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                             int64_t deadline)
{
    struct output_log *self = (struct output_log *)(void *)exporter;

    if (batch->signal != SKUA_OTEL_LOGS)
        return 0;
    skua__json_begin(&self->text, LOG_MAX);
    for (uint32_t i = 0; i < batch->count && self->text.error == 0; i++) {
        if (!self->json) {
            output_record(self, &batch->items.logs[i]);
            continue;
        }
        skua__otlp_json_log(&self->text, &batch->items.logs[i]);
        skua__json_raw(&self->text, "\n", 1);
    }
    if (self->text.error != 0)
        return self->text.error;
    return skua__sink_write(&self->sink, self->text.bytes, self->text.len, deadline);
}

/* ---- the exporter ---------------------------------------------------------------------------- */

static int output_shutdown(skua_otel_exporter *exporter, int64_t deadline)
{
    (void)deadline;
    return skua__sink_close(&((struct output_log *)(void *)exporter)->sink);
}

static void output_forked(skua_otel_exporter *exporter)
{
    struct output_log *self = (struct output_log *)(void *)exporter;

    skua__sink_forked(&self->sink);
    self->text = self->value = (struct skua__json){.bytes = NULL};
}

static void output_free(skua_otel_exporter *exporter)
{
    struct output_log *self = (struct output_log *)(void *)exporter;

    skua__sink_free(&self->sink);
    skua__json_free(&self->text);
    skua__json_free(&self->value);
    skua__otel_free(self);
}

static const skua_otel_exporter_ops output_ops = {.name = "console_log_exporter",
                                                  .export_batch = output_export,
                                                  .shutdown = output_shutdown,
                                                  .free = output_free,
                                                  .forked = output_forked};

/* NO_COLOR: no-color.org. */
static bool output_wants_colour(const skua_otel_log_console_options *options)
{
    const char *never = getenv("NO_COLOR");

    if (options->colours != SKUA_OTEL_COLOURS_AUTO)
        return options->colours == SKUA_OTEL_COLOURS_ALWAYS;
    return (never == NULL || *never == '\0') && isatty(options->to_stderr ? 2 : 1);
}

void skua_otel_log_console_options_init(skua_otel_log_console_options *options)
{
    *options = (skua_otel_log_console_options){.size = sizeof *options};
}

int skua_otel_log_console_new(skua_otel_exporter **ret,
                              const skua_otel_log_console_options *options)
{
    static const skua_otel_log_console_options defaults = {.size = sizeof defaults};
    struct output_log *self;

    if (options == NULL)
        options = &defaults;
    if (options->size != sizeof *options || options->colours > SKUA_OTEL_COLOURS_NEVER)
        return -EINVAL;
    self = skua__otel_malloc(sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    self->base.ops = &output_ops;
    self->sink.number = options->to_stderr ? 2 : 1;
    self->json = options->json != 0;
    self->coloured = !self->json && output_wants_colour(options);
    *ret = &self->base;
    return 0;
}

#undef LOG_MAX
