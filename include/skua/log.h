/* log.h - log records: what a program has to say, with values instead of text to be parsed.
 *
 *     static skua_logger logger = SKUA_LOGGER("shop.orders");
 *
 *     skua_log_info(&logger, "order stored", SKUA_I64("order.id", id), SKUA_STR("by", name));
 *     skua_logf(&logger, SKUA_DEBUG, "took %d ms", ms);
 *
 * Off        a level that is switched off costs a load and a branch; its arguments are not
 *            evaluated.
 * Where to   the SDK that is started (libskua-otel's skua_otel_start). Without one, nowhere; or to
 *            standard error, a line each, when the environment variable SKUA_LOG is set or
 *            skua_log_levels was called.
 * Levels     "info,skua.net=debug,shop.*=trace,noisy=off": the longest name that fits a logger's
 *            decides. A name fits itself and what stands below it, behind a dot; one with ".*" only
 *            what stands below. A level alone is for all others; a name alone means trace. They are
 *            SKUA_LOG's, until skua_log_levels sets others, at any time. Where nothing is said, an
 *            SDK gets everything, and standard error gets info.
 * Traces     a record has the ids of the current span (trace.h). Where telemetry is suppressed,
 *            records are dropped.
 *
 * Source     OpenTelemetry specification 1.60, logs/api; levels as Rust's env_logger reads them.
 */
#ifndef SKUA_LOG_H
#define SKUA_LOG_H

#include <stdarg.h>
#include <stdio.h>

#include <skua/trace.h>

SKUA_C_BEGIN

/* The first of the four severities of each name; 1 to 24 are all valid. */
typedef enum skua_severity {
    SKUA_TRACE = 1,
    SKUA_DEBUG = 5,
    SKUA_INFO = 9,
    SKUA_WARN = 13,
    SKUA_ERROR = 17,
    SKUA_FATAL = 21
} skua_severity;

/* ---- loggers --------------------------------------------------------------------------------- */

/* Who logs: a library or a part of a program (the instrumentation scope). Static, made by
 * SKUA_LOGGER; its strings are literals, or live as long as the process. */
typedef struct skua_logger {
    const char *name, *version, *schema_url; /* NULL: "" */
    const skua_attr *attrs;                  /* of the scope; NULL: none */
    size_t attrs_count;
    const void *bound;        /* of the SDK, as long as `generation` is its own; private */
    uint64_t generation;      /* private */
    struct skua_logger *next; /* of those that were used; private */
    uint8_t level;            /* what is less does not pass; atomic, relaxed: a hint; private */
    uint8_t listed;           /* private */
} skua_logger;

#define SKUA_LOGGER(name) SKUA_LOGGER_WITH(name, NULL, NULL, NULL, 0)
#define SKUA_LOGGER_WITH(name, version, schema_url, attrs, count)                                  \
    {                                                                                              \
        (name), (version), (schema_url), (attrs), (count), NULL, 0, NULL, 0, 0                     \
    }

/* Forgets a logger that was used: its memory is about to go, with a library that is unloaded, say.
 *
 * logger     nobody uses it any more; telemetry with its records is flushed. Its memory does not
 *            become another logger as long as that telemetry runs, which knows it by its address
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_logger_forget(skua_logger *logger);

/* Sets the levels of all loggers, at once and for good.
 *
 * levels     as above, copied; NULL: those of SKUA_LOG again
 * Returns    0; -EINVAL: they cannot be read; -ENOMEM. Nothing has changed then
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_log_levels(const char *levels);

/* Whether a record would go anywhere: ask before what is dear to make.
 *
 * event      its event's name, for SDKs that ask for it; NULL: none
 * Returns    1 or 0; it may change at any time
 * Threads    any
 * Since      0.4
 */
SKUA_API int skua_log_enabled(skua_logger *logger, skua_severity severity, const char *event);

/* ---- records --------------------------------------------------------------------------------- */

/* A record with all it may have. Zero, or NULL, means none, but for what is said. All of it is the
 * caller's until skua_log_emit returns. */
typedef struct skua_log_record {
    size_t size;               /* of this struct; SKUA_LOG_RECORD sets it */
    skua_severity severity;    /* 1 to 24; 0: not said: it always passes */
    const char *severity_text; /* what it is called where it comes from */
    const char *event;         /* the name of what happened: "device.app.lifecycle" */
    int64_t time;              /* when it happened, ns since 1970; 0: now */
    int64_t observed;          /* when it was heard of; 0: now */
    const char *text;          /* the body */
    size_t text_len;           /* its bytes; 0: up to its NUL */
    const skua_attr *body;     /* a body of any type instead; its key does not count */
    const skua_attr *attrs;
    size_t attrs_count;
    const skua_span_context *context; /* NULL: the current span's */
    int64_t error;                    /* a negative code: exception.type, exception.message; those
                                         of attrs count, where both are there */
    const char *error_text;           /* exception.message; NULL: the code's own */
} skua_log_record;

#ifndef __cplusplus
#define SKUA_LOG_RECORD(...)                                                                       \
    (&(const skua_log_record){.size = sizeof(skua_log_record), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_log_record_init(skua_log_record *record);

/* Logs a record.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_log_emit(skua_logger *logger, const skua_log_record *record);

/* Logs a text with attributes; what the macros below call.
 *
 * text       copied; NULL: ""
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_log_text(skua_logger *logger, skua_severity severity, const char *text,
                            size_t len, const skua_attr *attrs, size_t count);

/* Logs a text as printf writes it; it is written only where its level passes. Up to 64 KiB of it
 * are kept; without memory, the first 512 bytes.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_logf(skua_logger *logger, skua_severity severity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, of arguments that are a list already.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_vlogf(skua_logger *logger, skua_severity severity, const char *format,
                         va_list args) __attribute__((format(printf, 3, 0)));

/* Relaxed: levels that are changed are seen soon, nothing else hangs on them. A logger that was
 * never used lets everything pass, to be asked in earnest. */
static inline int skua_log_passes(const skua_logger *logger, skua_severity severity)
{
    return (unsigned)severity >= __atomic_load_n(&logger->level, __ATOMIC_RELAXED);
}

#define skua_logf(logger, severity, ...)                                                           \
    (__builtin_expect(skua_log_passes((logger), (severity)), 0)                                    \
         ? (skua_logf)((logger), (severity), __VA_ARGS__)                                          \
         : (void)0)

#ifndef __cplusplus
/* Logs a text, a string with a NUL, behind which attributes may follow:
 *
 *     skua_log_warn(&logger, "slow query", SKUA_F64("seconds", took));
 *
 * Threads    any
 * Since      0.4
 */
#define skua_log_at(logger, severity, ...)                                                         \
    (__builtin_expect(skua_log_passes((logger), (severity)), 0)                                    \
         ? skua__log_now((logger), (severity), SKUA__LOG_FIRST(__VA_ARGS__, 0),                    \
                         (const skua_attr[]){SKUA__LOG_REST(__VA_ARGS__, {.key = NULL})},          \
                         sizeof((const skua_attr[]){SKUA__LOG_REST(__VA_ARGS__, {.key = NULL})}) / \
                                 sizeof(skua_attr) -                                               \
                             1)                                                                    \
         : (void)0)
#define skua_log_trace(logger, ...) skua_log_at((logger), SKUA_TRACE, __VA_ARGS__)
#define skua_log_debug(logger, ...) skua_log_at((logger), SKUA_DEBUG, __VA_ARGS__)
#define skua_log_info(logger, ...) skua_log_at((logger), SKUA_INFO, __VA_ARGS__)
#define skua_log_warn(logger, ...) skua_log_at((logger), SKUA_WARN, __VA_ARGS__)
#define skua_log_error(logger, ...) skua_log_at((logger), SKUA_ERROR, __VA_ARGS__)
#define skua_log_fatal(logger, ...) skua_log_at((logger), SKUA_FATAL, __VA_ARGS__)

#define SKUA__LOG_FIRST(first, ...) first
#define SKUA__LOG_REST(first, ...) __VA_ARGS__
static inline void skua__log_now(skua_logger *logger, skua_severity severity, const char *text,
                                 const skua_attr *attrs, size_t count)
{
    skua_log_text(logger, severity, text, text != NULL ? strlen(text) : 0, attrs, count);
}
#endif

/* ---- bridges from others --------------------------------------------------------------------- */

/* Logs as syslog(3) does: where a program has its calls, `#define syslog skua_syslog`, after
 *
 *     skua_syslog_to(&logger);
 *
 * priority   LOG_EMERG (0) to LOG_DEBUG (7); facilities are left out of it. They are fatal, fatal2
 *            (alert), error2 (critical), error, warn, info2 (notice), info and debug
 * format     %m is strerror(errno), as there
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_syslog(int priority, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, of arguments that are a list already.
 *
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_vsyslog(int priority, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* Whose records skua_syslog makes; NULL: those of a logger "syslog".
 *
 * logger     static
 * Threads    any
 * Since      0.4
 */
SKUA_API void skua_syslog_to(skua_logger *logger);

/* A piece of a stream of text whose lines become records; who has the stream keeps it. */
typedef struct skua_log_lines {
    skua_logger *logger;
    skua_severity severity;
    size_t len;
    char room[1016];
} skua_log_lines;

/* Makes records of text that comes in pieces: one a line; without its end, "\n" or "\r\n"; empty
 * ones are left out, and one that is longer than some 1,000 bytes becomes several. A first piece
 * "<3>" says a severity as syslog counts it.
 *
 * lines      all zeros but logger and severity, at the beginning
 * len        0: the stream has ended: what is left is a record
 * Threads    one at a time
 * Since      0.4
 */
SKUA_API void skua_log_lines_write(skua_log_lines *lines, const char *text, size_t len);

/* A stream to be written to, whose lines become records so: for libraries that log to a FILE. For
 * those that log to a descriptor, hand them the end of a pipe (pipe.h), and let a fiber read the
 * other one and call skua_log_lines_write.
 *
 * logger     static
 * Returns    the stream, to be closed by fclose; NULL: no memory
 * Threads    any
 * Since      0.4
 */
SKUA_API FILE *skua_log_file(skua_logger *logger, skua_severity severity);

SKUA_C_END

#endif
