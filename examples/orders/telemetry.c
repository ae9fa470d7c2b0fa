/* telemetry.c - telemetry's life, and the page of metrics.
 *
 *     traces    where OTEL_TRACES_EXPORTER says; else spans are ids alone, which log records have
 *     metrics   on GET /metrics; and where OTEL_METRICS_EXPORTER says
 *     logs      on standard error; or where OTEL_LOGS_EXPORTER says
 *
 * The environment is read by the SDK. What it does not say is said here, as if it had been there.
 * "stderr" is an exporter of the service's own: the console's, which does not write to standard
 * output, where the service says that it is ready. "console" is taken for it.
 */
#include "telemetry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/http/middleware.h>
#include <skua/http/router.h>
#include <skua/skua.h>

skua_logger orders_log = SKUA_LOGGER("orders");

#ifdef ORDERS_WITH_OTEL

#include <skua/otel/console.h>
#include <skua/otel/prometheus.h>
#include <skua/otel/sdk.h>
#include <skua/propagation.h>

#define TELEMETRY_STOP (2 * SKUA_SECOND)

static skua_otel_prometheus telemetry_prometheus;
static bool telemetry_json; /* lines of standard error are */

/* ---- "stderr" -------------------------------------------------------------------------------- */

static int telemetry_stderr(const skua_otel_provider *self, const skua_otel_properties *properties,
                            void **ret)
{
    skua_otel_exporter *exporter;
    int rc;

    (void)properties;
    rc = skua_otel_console_new(
        &exporter, SKUA_OTEL_CONSOLE_OPTIONS(.stream = stderr,
                                             .json = self->component == SKUA_OTEL_LOG_EXPORTER &&
                                                     telemetry_json));
    if (rc == 0)
        *ret = exporter;
    return rc;
}

static const skua_otel_provider telemetry_providers[] = {
    {SKUA_OTEL_SPAN_EXPORTER, "stderr", telemetry_stderr},
    {SKUA_OTEL_METRIC_EXPORTER, "stderr", telemetry_stderr},
    {SKUA_OTEL_LOG_EXPORTER, "stderr", telemetry_stderr},
};

/* ---- the environment ------------------------------------------------------------------------- */

static bool telemetry_said(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && *value != '\0';
}

static void telemetry_say(const char *name, const char *value)
{
    if (!telemetry_said(name))
        (void)setenv(name, value, 1);
}

/* Nobody else runs yet: the environment may be changed. */
static void telemetry_defaults(void)
{
    static const char *const exporters[] = {"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER",
                                            "OTEL_LOGS_EXPORTER"};
    static const char *const endpoints[] = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                                            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                                            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"};

    if (!telemetry_said("OTEL_RESOURCE_ATTRIBUTES"))
        telemetry_say("OTEL_SERVICE_NAME", "orders");
    for (size_t i = 0; i < sizeof exporters / sizeof *exporters; i++) {
        const char *value = getenv(exporters[i]);

        if (value != NULL && strcmp(value, "console") == 0)
            (void)setenv(exporters[i], "stderr", 1);
        /* With the first all three are sent there, with its own this one. */
        if (!telemetry_said("OTEL_EXPORTER_OTLP_ENDPOINT") && !telemetry_said(endpoints[i]))
            telemetry_say(exporters[i], i == 2 ? "stderr" : "none");
    }
    /* A line for each request, soon, and room for what comes meanwhile. */
    telemetry_say("OTEL_BLRP_SCHEDULE_DELAY", "100");
    telemetry_say("OTEL_BLRP_MAX_QUEUE_SIZE", "16384");
}

/* ---- life ------------------------------------------------------------------------------------ */

bool telemetry_start(const struct config *config)
{
    skua_otel_reader *reader = skua_otel_reader_new(NULL);
    int rc = reader != NULL ? 0 : -ENOMEM;

    telemetry_json = config->log == CONFIG_LOG_JSON;
    telemetry_defaults();
    if (!telemetry_said("SKUA_LOG"))
        (void)skua_log_levels("info");
    (void)skua_propagation_use("tracecontext,baggage");
    for (size_t i = 0; i < sizeof telemetry_providers / sizeof *telemetry_providers && rc == 0; i++)
        rc = skua_otel_provide(&telemetry_providers[i]);
    if (rc == 0)
        rc = skua_otel_start(SKUA_OTEL_OPTIONS(.readers = &reader, .readers_count = 1));
    if (rc != 0) {
        fprintf(stderr, "orders: telemetry: %s\n", skua_strerror(rc));
        skua_otel_reader_free(reader);
        return false;
    }
    telemetry_prometheus = (skua_otel_prometheus){.reader = reader, .without_scope = 1};
    return true;
}

void telemetry_stop(void)
{
    (void)skua_otel_shutdown(skua_now() + TELEMETRY_STOP);
    skua_otel_reader_free(telemetry_prometheus.reader);
}

int telemetry_page(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_otel_prometheus_handler(exchange, &telemetry_prometheus);
}

#undef TELEMETRY_STOP

#else

/* Without an SDK log records are lines of standard error, as log.h writes them. */
bool telemetry_start(const struct config *config)
{
    (void)config;
    return skua_log_levels("info") == 0;
}

void telemetry_stop(void)
{
}

int telemetry_page(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_refuse(exchange, 501, "built without libskua-otel");
}

#endif

/* ---- the access log -------------------------------------------------------------------------- */

static skua_logger access_log = SKUA_LOGGER("orders.access");

/* "host:port" without the port, and without the brackets of IPv6. */
static skua_attr access_client(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t len = colon != NULL ? (size_t)(colon - peer) : strlen(peer);

    if (len > 1 && peer[0] == '[' && peer[len - 1] == ']')
        return SKUA_TEXT("client.address", peer + 1, len - 2);
    return SKUA_TEXT("client.address", peer, len);
}

static void access_ended(skua_http_exchange *exchange, const skua_http_summary *summary,
                         void *state)
{
    const char *route = skua_http_route_of(exchange), *id = skua_http_request_id(exchange);
    int error = summary->error != 0 ? summary->error : summary->code;
    skua_attr attrs[11];
    size_t count = 0;
    char text[160];

    (void)state;
    attrs[count++] = SKUA_STR("http.request.method", skua_http_method(exchange));
    attrs[count++] = SKUA_STR("url.path", skua_http_path(exchange));
    if (*skua_http_query(exchange) != '\0')
        attrs[count++] = SKUA_STR("url.query", skua_http_query(exchange));
    if (route != NULL)
        attrs[count++] = SKUA_STR("http.route", route);
    attrs[count++] = SKUA_I64("http.response.status_code", summary->status);
    attrs[count++] = SKUA_I64("http.request.body.size", (int64_t)summary->received);
    attrs[count++] = SKUA_I64("http.response.body.size", (int64_t)summary->sent);
    attrs[count++] = access_client(skua_http_peer(exchange));
    attrs[count++] = SKUA_F64("duration", (double)summary->duration / SKUA_SECOND);
    if (id != NULL)
        attrs[count++] = SKUA_STR("request.id", id);
    if (error < 0)
        attrs[count++] = SKUA_STR("error.type", skua_error_name(error));
    (void)snprintf(text, sizeof text, "%s %.100s %d", skua_http_method(exchange),
                   skua_http_path(exchange), summary->status);
    skua_log_text(&access_log, summary->status >= 500 ? SKUA_ERROR : SKUA_INFO, text, strlen(text),
                  attrs, count);
}

int telemetry_access(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    int rc = skua_http_on_end(exchange, access_ended, state);

    return rc == 0 ? skua_http_chain_run(exchange, rest) : rc;
}
