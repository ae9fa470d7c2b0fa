/* file.h - telemetry into files, and for people: exporters that need no network.
 *
 *     skua_otel_exporter *file, *log;
 *
 *     rc = skua_otel_file_new(&file, SKUA_OTEL_FILE_OPTIONS(.path = "traces.jsonl"));
 *     rc = skua_otel_log_console_new(&log, NULL);
 *
 * File       JSON lines as the OpenTelemetry protocol has them: each line is one request of one
 *            signal, and whoever reads the protocol's JSON can read it (the Collector's
 *            otlpjsonfile receiver, say). All signals may go to one exporter each, or one file.
 * Log        one record a line: time, severity, logger, text, attributes; in colours on a terminal.
 *            What is in a record cannot begin a line or steer the terminal: controls are written as
 *            escapes.
 *
 * Errors     an export that could not be written has failed, and is counted as such: -ENOSPC, say.
 *            The next one is tried again. No piece of a line is left behind, where that can be
 *            helped.
 * Source     OpenTelemetry specification 1.60: protocol/file-exporter, logs/sdk_exporters/stdout.
 */
#ifndef SKUA_OTEL_FILE_H
#define SKUA_OTEL_FILE_H

#include <skua/otel/exporter.h>

SKUA_C_BEGIN

/* Zero means the default. */
typedef struct skua_otel_file_options {
    size_t size;      /* of this struct; SKUA_OTEL_FILE_OPTIONS sets it */
    const char *path; /* copied; what is there is appended to (default NULL: standard output) */
    int64_t rotate;   /* bytes: a file that would have more becomes path.1 (default: any) */
    unsigned keep;    /* older files, path.1 to path.keep, at most 1000 (default 4) */
    unsigned sync;    /* 1: an export is done when it is on the disk */
    uint32_t mode;    /* of a new file, less the umask (default 0640) */
    size_t max_line;  /* bytes of an export; more: -EMSGSIZE (default 64 MiB) */
} skua_otel_file_options;

#ifndef __cplusplus
#define SKUA_OTEL_FILE_OPTIONS(...)                                                                \
    (&(const skua_otel_file_options){.size = sizeof(skua_otel_file_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_file_options_init(skua_otel_file_options *options);

/* Makes an exporter that writes lines of JSON. The file is opened by the first export.
 *
 * ret        receives it, to be handed to telemetry, which frees it
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_file_new(skua_otel_exporter **ret, const skua_otel_file_options *options);

typedef enum skua_otel_colours {
    SKUA_OTEL_COLOURS_AUTO, /* on a terminal, unless NO_COLOR is set */
    SKUA_OTEL_COLOURS_ALWAYS,
    SKUA_OTEL_COLOURS_NEVER
} skua_otel_colours;

/* Zero means the default. */
typedef struct skua_otel_log_console_options {
    size_t size;        /* of this struct; SKUA_OTEL_LOG_CONSOLE_OPTIONS sets it */
    unsigned to_stderr; /* 1: standard error (default: standard output) */
    unsigned json;      /* 1: lines of JSON instead, a record each */
    skua_otel_colours colours;
} skua_otel_log_console_options;

#ifndef __cplusplus
#define SKUA_OTEL_LOG_CONSOLE_OPTIONS(...)                                                         \
    (&(const skua_otel_log_console_options){.size = sizeof(skua_otel_log_console_options),         \
                                            __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_otel_log_console_options_init(skua_otel_log_console_options *options);

/* Makes an exporter that writes log records for people; of other signals it takes nothing.
 *
 * ret        receives it, to be handed to telemetry, which frees it
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -ENOMEM
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_otel_log_console_new(skua_otel_exporter **ret,
                                       const skua_otel_log_console_options *options);

SKUA_C_END

#endif
