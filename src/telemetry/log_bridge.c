/* log_bridge.c - records of what others log: syslog's calls, and streams of text by their lines.
 */
#include <stdio.h>

#include "telemetry/log_api.h"

/* Bytes of a syslog text at most. */
#define BRIDGE_TEXT 2048

/* ---- syslog ---------------------------------------------------------------------------------- */

/* As the specification's data model maps syslog's severities. */
static const uint8_t bridge_severities[8] = {SKUA_FATAL, SKUA_ERROR + 2, SKUA_ERROR + 1,
                                             SKUA_ERROR, SKUA_WARN,      SKUA_INFO + 1,
                                             SKUA_INFO,  SKUA_DEBUG};
static const char bridge_names[8][8] = {"emerg",   "alert",  "crit", "err",
                                        "warning", "notice", "info", "debug"};

static skua_logger bridge_syslog = SKUA_LOGGER("syslog");
/* Release, acquire: the logger is complete. */
static _Atomic(skua_logger *) bridge_logger;

void skua_syslog_to(skua_logger *logger)
{
    skua__store_release(&bridge_logger, logger);
}

static void bridge_emit(skua_logger *logger, unsigned level, const char *text, size_t len)
{
    skua_log_emit(logger, &(skua_log_record){.size = sizeof(skua_log_record),
                                             .severity = (skua_severity)bridge_severities[level],
                                             .severity_text = bridge_names[level],
                                             .text = text,
                                             .text_len = len});
}

void skua_vsyslog(int priority, const char *format, va_list args)
{
    int error = errno;
    unsigned level = (unsigned)priority & 7;
    skua_logger *logger = skua__load_acquire(&bridge_logger);
    char text[BRIDGE_TEXT];
    size_t len;

    if (logger == NULL)
        logger = &bridge_syslog;
    if (skua_log_passes(logger, (skua_severity)bridge_severities[level])) {
        errno = error; /* for %m, which the C library knows */
        (void)vsnprintf(text, sizeof text, format, args);
        len = strlen(text);
        while (len > 0 && text[len - 1] == '\n') /* syslog(3) needs none; many write one */
            len--;
        text[len] = '\0';
        bridge_emit(logger, level, text, len);
    }
    errno = error;
}

void skua_syslog(int priority, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    skua_vsyslog(priority, format, args);
    va_end(args);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* What is in the room is a line. */
static void bridge_line(skua_log_lines *lines)
{
    const char *text = lines->room;
    size_t len = lines->len;

    if (len > 0 && text[len - 1] == '\r')
        len--;
    lines->len = 0;
    if (len >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
        if (len > 3)
            bridge_emit(lines->logger, (unsigned)(text[1] - '0'), text + 3, len - 3);
    } else if (len > 0) {
        skua_log_text(lines->logger, lines->severity, text, len, NULL, 0);
    }
}

void skua_log_lines_write(skua_log_lines *lines, const char *text, size_t len)
{
    if (len == 0)
        bridge_line(lines);
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t take = end != NULL ? (size_t)(end - text) : len;
        size_t room = sizeof lines->room - lines->len;

        if (take > room) {
            take = room;
            end = NULL;
        }
        memcpy(lines->room + lines->len, text, take);
        lines->len += take;
        text += take;
        len -= take;
        if (end != NULL) {
            text++;
            len--;
        }
        if (end != NULL || lines->len == sizeof lines->room)
            bridge_line(lines);
    }
}

/* A stream whose lines become records: fopencookie's functions. */
static ssize_t bridge_file_write(void *cookie, const char *text, size_t len)
{
    skua_log_lines_write(cookie, text, len);
    return (ssize_t)len;
}

static int bridge_file_close(void *cookie)
{
    skua_log_lines_write(cookie, "", 0);
    skua__os_free(cookie);
    return 0;
}

FILE *skua_log_file(skua_logger *logger, skua_severity severity)
{
    static const cookie_io_functions_t functions = {.write = bridge_file_write,
                                                    .close = bridge_file_close};
    skua_log_lines *lines = skua__os_alloc(sizeof *lines);
    FILE *file;

    if (lines == NULL)
        return NULL;
    lines->logger = logger;
    lines->severity = severity;
    file = fopencookie(lines, "w", functions);
    if (file == NULL)
        skua__os_free(lines);
    else
        (void)setvbuf(file, NULL, _IOLBF, BUFSIZ);
    return file;
}

#undef BRIDGE_TEXT
