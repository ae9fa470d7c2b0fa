/* http_measure.c - the instruments of requests, and their attributes by the conventions. */
#include "http/measure/http_measure.h"

#define MEASURE_ATTRS 8

static const skua_meter measure_server_meter = SKUA_METER("skua.http.server", SKUA_VERSION);
static const skua_meter measure_client_meter = SKUA_METER("skua.http.client", SKUA_VERSION);

/* Those that the conventions advise. */
static const double measure_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                        0.5,   0.75, 1,     2.5,  5,     7.5, 10};

static skua_histogram measure_served =
    SKUA_HISTOGRAM_BOUNDS(&measure_server_meter, "http.server.request.duration", "s",
                          "Duration of HTTP server requests.", measure_bounds);
static skua_updown measure_active =
    SKUA_UPDOWN(&measure_server_meter, "http.server.active_requests", "{request}",
                "Number of active HTTP server requests.");
static skua_histogram measure_asked =
    SKUA_HISTOGRAM_BOUNDS(&measure_client_meter, "http.client.request.duration", "s",
                          "Duration of HTTP client requests.", measure_bounds);

static void measure_flying(const char *method, bool secure, int64_t n)
{
    skua_updown_add(&measure_active, n, SKUA_STR("http.request.method", method),
                    SKUA_STR("url.scheme", secure ? "https" : "http"));
}

/* What both sides tell; their count. */
static size_t measure_describe(const struct skua__http_measured *what, skua_attr *attrs)
{
    size_t count = 0;

    attrs[count++] = SKUA_STR("http.request.method", what->method);
    attrs[count++] = SKUA_STR("url.scheme", what->secure ? "https" : "http");
    if (what->status != 0)
        attrs[count++] = SKUA_I64("http.response.status_code", what->status);
    if (what->error != NULL)
        attrs[count++] = SKUA_STR("error.type", what->error);
    if (what->version != NULL)
        attrs[count++] = SKUA_STR("network.protocol.version", what->version);
    return count;
}

void skua__http_measure_begin(const char *method, bool secure)
{
    measure_flying(method, secure, 1);
}

void skua__http_measure_end(const struct skua__http_measured *what, int64_t ns)
{
    skua_attr attrs[MEASURE_ATTRS];
    size_t count = measure_describe(what, attrs);

    if (what->route != NULL)
        attrs[count++] = SKUA_STR("http.route", what->route);
    skua_metric_f64(&measure_served.instrument, (double)ns / 1e9, attrs, count);
    measure_flying(what->method, what->secure, -1);
}

void skua__http_measure_asked(const struct skua__http_measured *what, int64_t ns)
{
    skua_attr attrs[MEASURE_ATTRS];
    size_t count = measure_describe(what, attrs);

    attrs[count++] = SKUA_TEXT("server.address", what->server, what->server_len);
    attrs[count++] = SKUA_I64("server.port", what->port);
    skua_metric_f64(&measure_asked.instrument, (double)ns / 1e9, attrs, count);
}

#undef MEASURE_ATTRS
