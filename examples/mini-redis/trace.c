/* trace.c - what trace.h says. */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

#include <skua/skua.h>

#ifdef REDIS_WITH_OTEL

#include <skua/otel/sdk.h>

bool trace_start(void)
{
    static const char *const names[] = {"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT",
                                        "OTEL_CONFIG_FILE"};
    bool wanted = false;
    int rc;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);

        wanted = wanted || (value != NULL && *value != '\0');
    }
    if (!wanted)
        return true;
    (void)setenv("OTEL_METRICS_EXPORTER", "none", 0); /* there are spans alone */
    (void)setenv("OTEL_LOGS_EXPORTER", "none", 0);
    (void)setenv("OTEL_BSP_MAX_QUEUE_SIZE", "65536", 0); /* commands come by the 100,000 a second */
    (void)setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8192", 0);
    rc = skua_otel_start(NULL);
    if (rc != 0)
        fprintf(stderr, "mini-redis: telemetry: %s\n", skua_strerror(rc));
    return rc == 0;
}

void trace_stop(void)
{
    (void)skua_otel_shutdown(skua_now() + 2 * SKUA_SECOND);
}

#else

bool trace_start(void)
{
    return true;
}

void trace_stop(void)
{
}

#endif

static skua_tracer trace_tracer = SKUA_TRACER("mini-redis", "1");

skua_span *trace_begin(const char *command)
{
    const skua_attr attrs[] = {SKUA_STR("db.system.name", "redis"),
                               SKUA_STR("db.operation.name", command)};

    return skua_span_start(
        &trace_tracer, command,
        SKUA_SPAN_OPTIONS(.kind = SKUA_SPAN_SERVER, .root = 1, .attrs = attrs, .attrs_count = 2));
}

void trace_end(skua_span *span, bool error)
{
    if (error)
        skua_span_set_status(span, SKUA_SPAN_ERROR, NULL);
    skua_span_end(span);
}
