/* telemetry.c - what telemetry.h says, by the semantic conventions of database spans. */
#include "telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

#ifdef ORDERS_WITH_OTEL
#include <skua/otel/console.h>
#include <skua/otel/sdk.h>
#include <skua/propagation.h>
#endif

/* ---- start and stop -------------------------------------------------------------------------- */

#ifdef ORDERS_WITH_OTEL

#define TELEMETRY_STOP (2 * SKUA_SECOND)

/* Something says where to: without it nothing is started, and nobody is asked at localhost:4318. */
static bool telemetry_wanted(void)
{
    static const char *const names[] = {"OTEL_CONFIG_FILE", "OTEL_EXPORTER_OTLP_ENDPOINT",
                                        "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER",
                                        "OTEL_LOGS_EXPORTER"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);

        if (value != NULL && *value != '\0')
            return true;
    }
    return false;
}

bool telemetry_start(void)
{
    const char *traces = getenv("OTEL_TRACES_EXPORTER");
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    skua_attr name = SKUA_STR("service.name", "orders");
    int rc = 0;

    (void)skua_propagation_use("tracecontext,baggage");
    if (!telemetry_wanted())
        return true;
    if (traces != NULL && strcmp(traces, "console") == 0) /* standard output is the service's */
        rc = skua_otel_console_new(&to.exporter, SKUA_OTEL_CONSOLE_OPTIONS(.stream = stderr));
    if (rc == 0)
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = to.exporter != NULL ? &to : NULL,
                                               .destinations_count = to.exporter != NULL,
                                               .resource = &name, .resource_count = 1));
    if (rc != 0)
        fprintf(stderr, "orders: telemetry: %s\n", skua_strerror(rc));
    return rc == 0;
}

void telemetry_stop(void)
{
    (void)skua_otel_shutdown(skua_now() + TELEMETRY_STOP);
}

#undef TELEMETRY_STOP

#else

bool telemetry_start(void)
{
    return true;
}

void telemetry_stop(void)
{
}

#endif

/* ---- spans of statements --------------------------------------------------------------------- */

static skua_tracer sql_tracer = SKUA_TRACER("orders.sql", "1");

/* The table of a statement: the word behind FROM, INTO or UPDATE. Ours name one each. */
static const char *sql_table(const char *sql, size_t *len)
{
    static const char *const before[] = {" FROM ", "INTO ", "UPDATE "};

    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        const char *at = strstr(sql, before[i]);

        if (at == NULL)
            continue;
        at += strlen(before[i]);
        *len = strcspn(at, " (;");
        return at;
    }
    *len = 0;
    return "";
}

/* Name and attributes of a statement; the attributes' count. */
static size_t sql_describe(const char *system, const char *sql, char name[64], skua_attr attrs[4])
{
    size_t len, operation = strcspn(sql, " ");
    const char *table = sql_table(sql, &len);
    size_t count = 0;

    (void)snprintf(name, 64, "%.*s%s%.*s", (int)operation, sql, len != 0 ? " " : "", (int)len,
                   table);
    attrs[count++] = SKUA_STR("db.system.name", system);
    attrs[count++] = SKUA_TEXT("db.operation.name", sql, operation);
    attrs[count++] = SKUA_STR("db.query.text", sql);
    if (len != 0)
        attrs[count++] = SKUA_TEXT("db.collection.name", table, len);
    return count;
}

skua_span *sql_span(const char *system, const char *sql)
{
    skua_attr attrs[4];
    char name[64];
    size_t count;

    if (!SKUA_TRACE_ON())
        return NULL;
    count = sql_describe(system, sql, name, attrs);
    return skua_span_start(
        &sql_tracer, name,
        SKUA_SPAN_OPTIONS(.kind = SKUA_SPAN_CLIENT, .attrs = attrs, .attrs_count = count));
}

void sql_span_end(skua_span *span, int rc)
{
    if (rc < 0 && rc != -ENOENT && rc != -EEXIST) { /* those are answers */
        skua_span_set(span, SKUA_STR("error.type", skua_error_name(rc)));
        skua_span_set_status(span, SKUA_SPAN_ERROR, skua_strerror(rc));
    }
    skua_span_end(span);
}

void sql_batch_add(struct sql_batch *self, const skua_span_context *context)
{
    if (self->count < sizeof self->of / sizeof *self->of && skua_span_context_valid(context))
        self->of[self->count++] = *context;
}

skua_span *sql_batch_span(const struct sql_batch *self, const char *system, const char *sql)
{
    skua_span *span = sql_span(system, sql);

    skua_span_rename(span, "write a batch");
    for (size_t i = 0; i < self->count; i++)
        skua_span_link_to(span, &self->of[i], NULL, 0);
    return span;
}
