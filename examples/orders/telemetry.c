/* telemetry.c - what telemetry.h says, by the semantic conventions of database spans. */
#include "telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

#ifdef ORDERS_WITH_OTEL
#include <skua/otel/console.h>
#include <skua/otel/otlp.h>
#include <skua/otel/samplers.h>
#include <skua/otel/sdk.h>
#include <skua/propagation.h>
#endif

/* ---- start and stop -------------------------------------------------------------------------- */

#ifdef ORDERS_WITH_OTEL

#define TELEMETRY_STOP (2 * SKUA_SECOND)

static const char *telemetry_get(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* Spans as lines on standard error, or to a collector. NULL: nowhere. */
static int telemetry_exporter(skua_otel_exporter **ret)
{
    const char *endpoint = telemetry_get("OTEL_EXPORTER_OTLP_ENDPOINT");
    const char *protocol = telemetry_get("OTEL_EXPORTER_OTLP_PROTOCOL");

    if (strcmp(telemetry_get("OTEL_TRACES_EXPORTER"), "console") == 0)
        return skua_otel_console_new(ret, SKUA_OTEL_CONSOLE_OPTIONS(.stream = stderr));
    if (*endpoint == '\0' || strcmp(telemetry_get("OTEL_TRACES_EXPORTER"), "none") == 0)
        return 0;
    return skua_otlp_exporter_new(
        ret,
        SKUA_OTLP_OPTIONS(.endpoint = endpoint,
                          .protocol = strcmp(protocol, "grpc") == 0        ? SKUA_OTLP_GRPC
                                      : strcmp(protocol, "http/json") == 0 ? SKUA_OTLP_HTTP_JSON
                                                                           : 0));
}

/* All traces, or a part of those that begin here. */
static int telemetry_sampler(skua_otel_sampler **ret)
{
    const char *ratio = telemetry_get("OTEL_TRACES_SAMPLER_ARG");
    skua_otel_sampler *root = NULL;
    int rc = *ratio != '\0' ? skua_otel_sampler_ratio(strtod(ratio, NULL), &root) : 0;

    return rc == 0 && root != NULL
               ? skua_otel_sampler_parent_based(SKUA_OTEL_PARENT_BASED(.root = root), ret)
               : rc;
}

bool telemetry_start(void)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    skua_attr name = SKUA_STR("service.name", "orders");
    skua_otel_sampler *sampler = NULL;
    int rc;

    if (strcmp(telemetry_get("OTEL_SDK_DISABLED"), "true") == 0)
        return true;
    (void)skua_propagation_use("tracecontext,baggage");
    rc = telemetry_exporter(&to.exporter);
    if (rc == 0 && to.exporter == NULL)
        return true;
    if (rc == 0)
        rc = telemetry_sampler(&sampler);
    if (rc == 0)
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                               .resource = &name, .resource_count = 1,
                                               .sampler = sampler));
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
