/* otel_warn.h - what goes wrong inside telemetry is said on standard error, and not too often.
 *
 * Of each reason one line in ten seconds; the next one says how many were left out. Never through
 * telemetry itself.
 */
#ifndef SKUA_OTEL_CORE_WARN_H
#define SKUA_OTEL_CORE_WARN_H

#include "otel/core/otel_impl.h"

enum {
    SKUA__WARN_FULL,   /* a ring or a queue */
    SKUA__WARN_EXPORT, /* an export failed, or rejected something */
    SKUA__WARN_MEMORY,
    SKUA__WARN_CONFIG,
    SKUA__WARN_OTHER,
    SKUA__WARN_REASONS /* how many there are */
};

__attribute__((format(printf, 2, 3))) void skua__otel_warn(int reason, const char *format, ...);
/* Where lines go instead: no newline at their end. NULL: standard error. They are of any level. */
void skua__otel_warn_to(void (*fn)(void *arg, const char *line), void *arg);
/* The least severity that is said, behind that; lines are warnings. */
void skua__otel_warn_level(int severity);
/* Around a fork. */
void skua__otel_warn_lock(void);
void skua__otel_warn_unlock(void);

#endif
