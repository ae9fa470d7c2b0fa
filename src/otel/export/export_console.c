/* export_console.c - telemetry as lines: for people, spans as a tree; or as JSON.
 *
 * A line is made in memory and written at once, so that lines of other threads do not come in
 * between.
 *
 * Tree     a child ends before its parent, so it comes before it; here parents go first: roots, and
 *          spans whose parent is not in the export, each with what is below it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "otel/export/console_impl.h"

struct console {
    skua_otel_exporter exporter;
    FILE *stream;
    bool json;
};

/* ---- spans for people ------------------------------------------------------------------------ */

static const char *const console_kinds[] = {"",       "internal", "server",
                                            "client", "producer", "consumer"};

static const char *console_kind(uint8_t kind)
{
    return kind < sizeof console_kinds / sizeof console_kinds[0] ? console_kinds[kind] : "";
}

static void console_span(struct skua__console_line *line, const skua_otel_span *span,
                         unsigned depth)
{
    skua__console_time(line, span->start);
    skua__console_print(line, " %-8s %9.3f ms  ", console_kind(span->kind),
                        (double)(span->end - span->start) / 1e6);
    for (unsigned i = 0; i < depth; i++)
        skua__console_put(line, "  ", 2);
    skua__console_text(line, span->name.at, span->name.len);
    if (span->attrs.count != 0) {
        skua__console_put(line, " ", 1);
        skua__console_attrs(line, &span->attrs, false);
    }
    for (uint32_t i = 0; i < span->events_count; i++) {
        skua__console_put(line, "  [", 3);
        skua__console_text(line, span->events[i].name.at, span->events[i].name.len);
        skua__console_put(line, "]", 1);
    }
    if (span->status == 2) {
        skua__console_put(line, "  error: ", 9);
        skua__console_text(line, span->status_text.at, span->status_text.len);
    }
    skua__console_put(line, "\n", 1);
}

static bool console_below(const skua_otel_span *child, const skua_otel_span *parent)
{
    return memcmp(child->parent_id, parent->span_id, 8) == 0 &&
           memcmp(child->trace_id, parent->trace_id, 16) == 0;
}

/* What is below spans[top], which is printed; done[i]: spans[i] is, too. */
static void console_children(struct skua__console_line *line, const skua_otel_batch *batch,
                             bool *done, uint32_t top, unsigned depth)
{
    const skua_otel_span *spans = batch->items.spans;

    for (uint32_t i = 0; i < batch->count && depth < SKUA__CONSOLE_DEPTH; i++) {
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

static void console_tree(struct skua__console_line *line, const skua_otel_batch *batch)
{
    bool *done = skua__otel_malloc(batch->count * sizeof *done);

    line->failed = done == NULL;
    /* In the second round what is left: below SKUA__CONSOLE_DEPTH, or in a ring of parents. */
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

static void console_field(struct skua__console_line *line, const char *name, const uint8_t *id,
                          size_t len)
{
    static const uint8_t zeros[16];

    if (memcmp(id, zeros, len) == 0)
        return;
    skua__console_print(line, "\"%s\":\"", name);
    skua__console_hex(line, id, len);
    skua__console_put(line, "\",", 2);
}

static void console_object(struct skua__console_line *line, const skua_otel_span *span)
{
    skua__console_put(line, "{", 1);
    console_field(line, "traceId", span->trace_id, 16);
    console_field(line, "spanId", span->span_id, 8);
    console_field(line, "parentSpanId", span->parent_id, 8);
    skua__console_print(line, "\"name\":");
    skua__console_quoted(line, span->name.at, span->name.len);
    skua__console_print(line, ",\"kind\":\"%s\",\"start\":%" PRId64 ",\"end\":%" PRId64,
                        console_kind(span->kind), span->start, span->end);
    skua__console_print(line, ",\"attributes\":");
    skua__console_attrs(line, &span->attrs, true);
    for (uint32_t i = 0; i < span->events_count; i++) {
        skua__console_print(line,
                            "%s{\"time\":%" PRId64 ",\"name\":", i == 0 ? ",\"events\":[" : ",",
                            span->events[i].time);
        skua__console_quoted(line, span->events[i].name.at, span->events[i].name.len);
        skua__console_print(line, ",\"attributes\":");
        skua__console_attrs(line, &span->events[i].attrs, true);
        skua__console_print(line, i + 1 == span->events_count ? "}]" : "}");
    }
    if (span->status != 0)
        skua__console_print(line, ",\"status\":\"%s\"", span->status == 2 ? "error" : "ok");
    if (span->status_text.len != 0) {
        skua__console_print(line, ",\"message\":");
        skua__console_quoted(line, span->status_text.at, span->status_text.len);
    }
    if (span->scope != NULL) {
        skua__console_print(line, ",\"scope\":");
        skua__console_quoted(line, span->scope->name.at, span->scope->name.len);
    }
    skua__console_put(line, "}\n", 2);
}

/* ---- the exporter ---------------------------------------------------------------------------- */

static int64_t console_export(skua_otel_exporter *exporter, const skua_otel_batch *batch,
                              int64_t deadline)
{
    struct console *console = (struct console *)exporter;
    struct skua__console_line line = {.text = NULL};
    int64_t rc = 0;

    (void)deadline;
    if (batch->signal == SKUA_OTEL_METRICS)
        skua__console_metrics(&line, batch, console->json);
    else if (batch->signal == SKUA_OTEL_LOGS)
        skua__console_logs(&line, batch, console->json);
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
