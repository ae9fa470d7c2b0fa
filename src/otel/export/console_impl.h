/* console_impl.h - what the console prints of each signal.
 *
 *   console_line.c     lines that grow, and values
 *   console_metric.c   metrics and log records
 *   export_console.c   spans; the exporter
 */
#ifndef SKUA_OTEL_CONSOLE_IMPL_H
#define SKUA_OTEL_CONSOLE_IMPL_H

#include <skua/otel/console.h>

#include "otel/core/otel_impl.h"

#define SKUA__CONSOLE_DEPTH 32

/* A line that grows; an error stays in it. */
struct skua__console_line {
    char *text;
    size_t len, room;
    bool failed;
};

void skua__console_put(struct skua__console_line *line, const char *text, size_t len);
__attribute__((format(printf, 2, 3))) void skua__console_print(struct skua__console_line *line,
                                                               const char *format, ...);
/* For people. */
void skua__console_text(struct skua__console_line *line, const char *text, size_t len);
/* A JSON string. */
void skua__console_quoted(struct skua__console_line *line, const char *text, size_t len);
void skua__console_hex(struct skua__console_line *line, const uint8_t *bytes, size_t len);
/* One of the two. */
void skua__console_string(struct skua__console_line *line, const char *text, size_t len, bool json);
void skua__console_value(struct skua__console_line *line, const skua_attr *attr, bool json,
                         unsigned depth);
void skua__console_attrs(struct skua__console_line *line, const skua_otel_attrs *attrs, bool json);
/* Of the day, UTC. */
void skua__console_time(struct skua__console_line *line, int64_t time);

/* All of a batch. */
void skua__console_metrics(struct skua__console_line *line, const skua_otel_batch *batch,
                           bool json);
void skua__console_logs(struct skua__console_line *line, const skua_otel_batch *batch, bool json);

#endif
