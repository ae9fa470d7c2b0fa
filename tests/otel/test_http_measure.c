/* drivers: both */
/* test_http_measure.c - servers and clients of HTTP make metrics by themselves.
 *
 * Specifies: durations and requests under way by the semantic conventions, on both sides, with
 * routes and errors; also where there are no spans; the span as an example of the value; nothing
 * where telemetry is suppressed; and that a signal without a destination is off.
 */
#include <skua/http/router.h>
#include <skua/otel/reader.h>

#include "traced.h"

static skua_otel_reader *reader;
static skua_otel_collected *got;

static int answers(skua_http_exchange *exchange, void *state)
{
    int status = (int)(intptr_t)state;

    return status > 0 ? skua_http_reply(exchange, status, NULL, "x", 1) : status;
}

struct place {
    struct site site;
    skua_http_router *router;
    skua_http_client *client;
};

static void place_begin(struct place *place)
{
    MUST(skua_http_router_new(&place->router) == 0);
    MUST(skua_http_route(place->router, "GET", "/things/:id", answers, (void *)200) == 0);
    MUST(skua_http_route(place->router, "GET", "/busy", answers, (void *)503) == 0);
    MUST(skua_http_route(place->router, "GET", "/breaks", answers, (void *)(intptr_t)-EIO) == 0);
    place->client = client_with(NULL);
    site_begin(&place->site, skua_http_router_handler, place->router, NULL);
}

static void place_end(struct place *place)
{
    site_end(&place->site);
    skua_http_client_free(place->client);
    skua_http_router_free(place->router);
}

/* Metrics alone. */
static void measured_begin(void)
{
    reader = skua_otel_reader_new(NULL);
    MUST(reader != NULL);
    MUST(skua_otel_start(
             SKUA_OTEL_OPTIONS(.readers = &reader, .readers_count = 1, .environment_off = 1)) == 0);
}

static void measured_end(void)
{
    skua_otel_collected_free(got);
    got = NULL;
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_reader_free(reader);
}

static const skua_attr *attr_of(const skua_otel_point *point, const char *key)
{
    for (uint32_t i = 0; i < point->attrs.count; i++)
        if (strcmp(point->attrs.at[i].key, key) == 0)
            return &point->attrs.at[i];
    return NULL;
}

static bool has(const skua_otel_point *point, const char *key, const char *value)
{
    const skua_attr *attr = attr_of(point, key);
    char number[24];

    if (attr == NULL || value == NULL)
        return attr == NULL && value == NULL;
    if (attr->type == SKUA_ATTR_STR)
        return attr->count == strlen(value) && memcmp(attr->value.str, value, attr->count) == 0;
    (void)snprintf(number, sizeof number, "%lld", (long long)attr->value.i64);
    return strcmp(number, value) == 0;
}

/* The point of a metric whose attribute is that; NULL: there is none. */
static const skua_otel_point *point(const char *name, const char *key, const char *value)
{
    for (uint32_t m = 0; m < got->batch.count; m++) {
        const skua_otel_metric *metric = &got->batch.items.metrics[m];

        if (metric->name.len != strlen(name) || memcmp(metric->name.at, name, strlen(name)) != 0)
            continue;
        for (uint32_t i = 0; i < metric->points_count; i++)
            if (has(&metric->points[i], key, value))
                return &metric->points[i];
    }
    return NULL;
}

/* Until the server has counted so many, whose answers may be there before. */
static const skua_otel_point *counted(const char *name, const char *key, const char *value,
                                      uint64_t count)
{
    int64_t deadline = skua_now() + 2 * TEST_LATE;

    for (;;) {
        const skua_otel_point *seen;

        skua_otel_collected_free(got);
        MUST(skua_otel_collect(reader, &got) == 0);
        seen = point(name, key, value);
        if ((seen != NULL && seen->count >= count) || skua_now() > deadline)
            return seen;
        (void)skua_sleep(MS(1));
    }
}

#define SERVED "http.server.request.duration"
#define ASKED "http.client.request.duration"
#define ACTIVE "http.server.active_requests"

TEST_FIBER(requests_are_measured_on_both_sides)
{
    const skua_otel_point *seen;
    struct place place;

    measured_begin();
    place_begin(&place);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gets_(place.client, AT(place.site.url, "/things/7"), "x"), 200);
    seen = counted(SERVED, "http.route", "/things/:id", 3);
    MUST(seen != NULL);
    CHECK_EQ(seen->count, 3);
    CHECK(seen->has_sum && seen->sum > 0 && seen->sum < 60 && seen->bounds_count == 14);
    CHECK(has(seen, "http.request.method", "GET") && has(seen, "url.scheme", "http"));
    CHECK(has(seen, "http.response.status_code", "200") && has(seen, "error.type", NULL));
    CHECK(has(seen, "network.protocol.version", "1.1") && seen->attrs.count == 5);
    seen = point(ASKED, "http.response.status_code", "200");
    MUST(seen != NULL);
    CHECK_EQ(seen->count, 3);
    CHECK(has(seen, "server.address", "127.0.0.1") && attr_of(seen, "server.port") != NULL);
    CHECK(has(seen, "http.route", NULL) && has(seen, "url.scheme", "http"));
    seen = point(ACTIVE, "http.request.method", "GET");
    MUST(seen != NULL);
    CHECK_EQ(seen->value.i64, 0);
    CHECK_EQ(seen->attrs.count, 2);
    place_end(&place);
    measured_end();
    return 0;
}

TEST_FIBER(errors_have_a_type)
{
    const skua_otel_point *seen;
    struct place place;

    measured_begin();
    place_begin(&place);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/busy"), NULL), 503);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/breaks"), NULL), 500);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/nowhere"), NULL), 404);
    seen = counted(SERVED, "http.response.status_code", "503", 1);
    MUST(seen != NULL);
    CHECK(has(seen, "error.type", "503"));
    seen = counted(SERVED, "http.response.status_code", "500", 1);
    MUST(seen != NULL);
    CHECK(has(seen, "error.type", skua_error_name(-EIO)));
    seen = counted(SERVED, "http.response.status_code", "404", 1);
    MUST(seen != NULL);
    CHECK(has(seen, "error.type", NULL) && has(seen, "http.route", NULL));
    seen = point(ASKED, "http.response.status_code", "404");
    MUST(seen != NULL);
    CHECK(has(seen, "error.type", "404"));
    place_end(&place);
    CHECK(gets_(place.client = client_with(NULL), "http://127.0.0.1:1/", NULL) < 0);
    skua_http_client_free(place.client);
    seen = counted(ASKED, "server.port", "1", 1);
    MUST(seen != NULL);
    CHECK(has(seen, "error.type", skua_error_name(-ECONNREFUSED)));
    CHECK(has(seen, "http.response.status_code", NULL) &&
          has(seen, "network.protocol.version", NULL));
    measured_end();
    return 0;
}

/* ---- requests that nobody waits for any more ------------------------------------------------- */

static int sleeps(skua_http_exchange *exchange, void *state)
{
    (void)exchange;
    (void)state;
    return skua_sleep(SKUA_HOUR);
}

static int reads(skua_http_exchange *exchange, void *state)
{
    char buf[64];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        continue;
    return (int)n;
}

static int pours(skua_http_exchange *exchange, void *state)
{
    static const char much[4096];
    int rc = 0;

    (void)state;
    while (rc >= 0)
        rc = (int)skua_http_write(exchange, much, sizeof much);
    return rc;
}

static int upgrades(skua_http_exchange *exchange, void *state)
{
    skua_io io;
    char buf[8];
    int rc = skua_http_upgrade(exchange, "parrot", &io);

    (void)state;
    while (rc == 0 && skua_io_read(io, buf, sizeof buf) > 0)
        continue;
    return rc;
}

/* Says something to the server, hears the beginning of an answer where there is to be one, and
 * leaves. */
static void leaves(const struct place *place, const char *text, bool hears)
{
    char buf[16];
    skua_tcp *tcp;

    MUST(skua_tcp_connect(&tcp, place->site.address, NULL) == 0);
    CHECK_EQ(skua_tcp_write_all(tcp, text, strlen(text)), strlen(text));
    if (hears)
        CHECK(skua_tcp_read_exact(tcp, buf, sizeof buf) == sizeof buf);
    CHECK_EQ(skua_tcp_close(tcp), 0);
}

static uint64_t served_in_all(void)
{
    uint64_t count = 0;

    for (uint32_t m = 0; m < got->batch.count; m++) {
        const skua_otel_metric *metric = &got->batch.items.metrics[m];

        for (uint32_t i = 0; i < metric->points_count; i++)
            if (metric->name.len == strlen(SERVED) &&
                memcmp(metric->name.at, SERVED, metric->name.len) == 0)
                count += metric->points[i].count;
    }
    return count;
}

/* All requests are over, and one that may not have got as far as the server. */
static void nothing_is_active(uint64_t requests, unsigned maybe)
{
    int64_t deadline = skua_now() + 2 * TEST_LATE;

    do {
        (void)skua_sleep(MS(1));
        skua_otel_collected_free(got);
        MUST(skua_otel_collect(reader, &got) == 0);
    } while (served_in_all() < requests + maybe && skua_now() < deadline);
    CHECK_RANGE(served_in_all(), requests, requests + maybe);
    MUST(point(ACTIVE, "http.request.method", "GET") != NULL);
    CHECK_EQ(point(ACTIVE, "http.request.method", "GET")->value.i64, 0);
    CHECK_EQ(point(ACTIVE, "http.request.method", "POST")->value.i64, 0);
}

TEST_FIBER(requests_that_are_left_are_active_no_more)
{
    static const char upgrade[] = "GET /upgrades HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                                  "Upgrade: parrot\r\n\r\n";
    skua_http_response *response;
    struct place place;
    unsigned maybe = 0;
    skua_tcp *open;
    char buf[12];
    int rc;

    measured_begin();
    MUST(skua_http_router_new(&place.router) == 0);
    MUST(skua_http_route(place.router, "GET", "/sleeps", sleeps, NULL) == 0);
    MUST(skua_http_route(place.router, "POST", "/reads", reads, NULL) == 0);
    MUST(skua_http_route(place.router, "GET", "/pours", pours, NULL) == 0);
    MUST(skua_http_route(place.router, "GET", "/upgrades", upgrades, NULL) == 0);
    site_begin(&place.site, skua_http_router_handler, place.router,
               SKUA_HTTP_SERVER_OPTIONS(.handler_timeout = MS(100)));
    leaves(&place, "GET /sleeps HTTP/1.1\r\nHost: a\r\n\r\n", false);
    leaves(&place, "POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", false);
    leaves(&place, "GET /pours HTTP/1.1\r\nHost: a\r\n\r\n", true);
    leaves(&place, "GET /pours HTTP/1.1\r\nHost: a\r\n\r\nGET /sleeps HTTP/1.1\r\nHo", true);
    MUST(skua_tcp_connect(&open, place.site.address, NULL) == 0);
    CHECK(skua_tcp_write_all(open, upgrade, strlen(upgrade)) > 0);
    CHECK_EQ(skua_tcp_read_exact(open, buf, sizeof buf), sizeof buf);
    CHECK(memcmp(buf, "HTTP/1.1 101", sizeof buf) == 0);
    place.client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY));
    rc = skua_http_client_send(
        place.client, SKUA_HTTP_REQUEST(.url = AT(place.site.url, "/sleeps"), .timeout = MS(20)),
        &response);
    if (rc != -EPROTONOSUPPORT) { /* it is not built in */
        CHECK_EQ(rc, -ETIMEDOUT);
        maybe = 1; /* on a busy machine there is no connection yet */
    }
    nothing_is_active(5, maybe);
    CHECK_EQ(skua_tcp_close(open), 0);
    skua_http_client_free(place.client); /* first: the server need not wait for it to hang up */
    site_end(&place.site);
    skua_http_router_free(place.router);
    measured_end();
    return 0;
}

TEST_FIBER(a_span_is_the_example_of_its_duration)
{
    skua_otel_destination to = {.signal = SKUA_OTEL_TRACES};
    const skua_otel_point *seen;
    struct place place;

    MUST(skua_otel_memory_new(&traced_memory) == 0);
    to.exporter = traced_memory;
    reader = skua_otel_reader_new(NULL);
    MUST(reader != NULL);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1,
                                           .readers = &reader, .readers_count = 1,
                                           .environment_off = 1)) == 0);
    place_begin(&place);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/things/7"), "x"), 200);
    seen = counted(SERVED, "http.route", "/things/:id", 1);
    MUST(seen != NULL && traced_wait(2) && seen->exemplars_count == 1);
    for (size_t i = 0; i < traced_count; i++)
        if (traced[i].kind == SKUA_SPAN_SERVER)
            CHECK(memcmp(seen->exemplars[0].span_id, traced[i].span_id, 8) == 0);
    place_end(&place);
    measured_end();
    skua_otel_memory_free(traced_memory);
    return 0;
}

TEST_FIBER(suppressed_requests_are_not_measured)
{
    skua_span_frame frame;
    struct place place;

    measured_begin();
    place_begin(&place);
    MUST(skua_trace_suppress(&frame) == 0);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/things/7"), "x"), 200);
    (void)skua_span_leave(&frame);
    MUST(counted(SERVED, "http.route", "/things/:id", 1) != NULL);
    CHECK(point(ASKED, "http.request.method", "GET") == NULL);
    place_end(&place);
    measured_end();
    return 0;
}

/* A server that was begun there: the page of metrics, say. */
TEST_FIBER(servers_that_are_suppressed_are_not_measured)
{
    skua_span_frame frame;
    struct place place;

    measured_begin();
    MUST(skua_trace_suppress(&frame) == 0);
    place_begin(&place);
    (void)skua_span_leave(&frame);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/things/7"), "x"), 200);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/things/8"), "x"), 200);
    MUST(counted(ASKED, "http.request.method", "GET", 2) != NULL);
    CHECK(point(SERVED, "http.request.method", "GET") == NULL);
    CHECK(point(ACTIVE, "http.request.method", "GET") == NULL);
    place_end(&place);
    measured_end();
    return 0;
}

/* ---- signals that nobody gets ---------------------------------------------------------------- */

static skua_tracer tracer = SKUA_TRACER("test", "1");

/* Whether a span of now would be recorded; it has ids in any case. */
static bool records_spans(void)
{
    skua_span_context context = {.flags = 0};
    bool records = false;

    SKUA_SPAN(span, &tracer, "work")
    {
        records = skua_span_recording(span) != 0;
        CHECK_EQ(skua_span_context_of(span, &context), 0);
    }
    CHECK(skua_span_context_valid(&context));
    CHECK((context.flags & SKUA_TRACE_SAMPLED) != 0); /* those behind this process keep theirs */
    return records;
}

static void one_signal(skua_otel_signal signal, bool spans, bool logs)
{
    skua_otel_destination to = {.signal = signal};
    skua_otel_exporter *memory;

    MUST(skua_otel_memory_new(&memory) == 0);
    to.exporter = memory;
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.destinations = &to, .destinations_count = 1)) == 0);
    CHECK_EQ(records_spans(), spans);
    CHECK_EQ(skua_log_installed() != NULL, logs);
    CHECK_EQ(skua_otel_shutdown(skua_now() + 2 * TEST_LATE), 0);
    skua_otel_memory_free(memory);
}

TEST(what_goes_nowhere_is_off)
{
    const skua_otel_point *live;

    measured_begin();
    CHECK(skua_metric_installed() != NULL && skua_log_installed() == NULL);
    CHECK(!records_spans());
    MUST(skua_otel_collect(reader, &got) == 0);
    CHECK(point("otel.sdk.span.started", "otel.span.sampling_result", "DROP") != NULL);
    live = point("otel.sdk.span.live", "otel.span.sampling_result", "RECORD_AND_SAMPLE");
    CHECK(live == NULL || live->value.i64 == 0); /* nobody tells the end of what is not recorded */
    measured_end();
    one_signal(SKUA_OTEL_LOGS, false, true);
    one_signal(SKUA_OTEL_TRACES, true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_measured_on_both_sides),
        cmocka_unit_test(errors_have_a_type),
        cmocka_unit_test(requests_that_are_left_are_active_no_more),
        cmocka_unit_test(a_span_is_the_example_of_its_duration),
        cmocka_unit_test(suppressed_requests_are_not_measured),
        cmocka_unit_test(servers_that_are_suppressed_are_not_measured),
        cmocka_unit_test(what_goes_nowhere_is_off),
    };

    return TEST_MAIN(tests);
}
