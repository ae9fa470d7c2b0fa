/* otel_warn.c - lines on standard error, at a limited rate.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "otel/core/otel_clock.h"
#include "otel/core/otel_warn.h"

#define WARN_EVERY INT64_C(10000000000) /* ns */
#define WARN_SEVERITY 16                /* warn4: lines are warnings, all of them */
#define WARN_MORE 48                    /* bytes for how many were left out */

static struct {
    pthread_mutex_t mutex;
    void (*fn)(void *arg, const char *line);
    void *arg;
    bool silent;
    int64_t next[SKUA__WARN_REASONS]; /* monotonic */
    unsigned left_out[SKUA__WARN_REASONS];
} warn = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void skua__otel_warn_to(void (*fn)(void *arg, const char *line), void *arg)
{
    pthread_mutex_lock(&warn.mutex);
    warn.fn = fn;
    warn.arg = arg;
    warn.silent = false;
    memset(warn.next, 0, sizeof warn.next);
    memset(warn.left_out, 0, sizeof warn.left_out);
    pthread_mutex_unlock(&warn.mutex);
}

void skua__otel_warn_level(int severity)
{
    pthread_mutex_lock(&warn.mutex);
    warn.silent = severity > WARN_SEVERITY;
    pthread_mutex_unlock(&warn.mutex);
}

void skua__otel_warn(int reason, const char *format, ...)
{
    int64_t now = skua__otel_monotonic();
    void (*fn)(void *arg, const char *line);
    char line[512] = "";
    unsigned left_out;
    int len;
    void *arg;
    va_list args;

    pthread_mutex_lock(&warn.mutex);
    if (warn.silent || now < warn.next[reason]) {
        warn.left_out[reason]++;
        pthread_mutex_unlock(&warn.mutex);
        return;
    }
    warn.next[reason] = now + WARN_EVERY;
    left_out = warn.left_out[reason];
    warn.left_out[reason] = 0;
    fn = warn.fn;
    arg = warn.arg;
    pthread_mutex_unlock(&warn.mutex);
    va_start(args, format);
    len = vsnprintf(line, sizeof line - WARN_MORE, format, args);
    va_end(args);
    if (left_out != 0 && len >= 0)
        (void)snprintf(line + strlen(line), WARN_MORE, " (and %u more like it)", left_out);
    if (fn != NULL)
        fn(arg, line);
    else
        (void)fprintf(stderr, "skua: telemetry: %s\n", line);
}

void skua__otel_warn_lock(void)
{
    pthread_mutex_lock(&warn.mutex);
}

void skua__otel_warn_unlock(void)
{
    pthread_mutex_unlock(&warn.mutex);
}

#undef WARN_EVERY
#undef WARN_SEVERITY
#undef WARN_MORE
