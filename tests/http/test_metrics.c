/* test_metrics.c - the layer that counts, and the page for Prometheus.
 *
 * Specifies prometheus.h: what is counted under which labels, both formats to the letter, a bound
 * for series whatever clients send, what servers, clients, runtimes and collectors add.
 */
#include <locale.h>
#include <math.h>

#include <skua/http/prometheus.h>

#include "ask.h"

/* Long ago, so that whoever waits is in the last bucket, and all others in the first. */
static const double one_bound[] = {3600};
#define COUNTED SKUA_HTTP_METRICS_OPTIONS(.bounds = one_bound, .bounds_count = 1)

static int answers(skua_http_exchange *exchange, void *state)
{
    char buf[64];

    (void)state;
    if (strcmp(skua_http_path(exchange), "/u/fail") == 0)
        return -EIO;
    while (skua_http_read(exchange, buf, sizeof buf) > 0)
        ;
    return skua_http_reply(exchange, 200, "text/plain", "hello", 5);
}

/* A router behind the layer, with the page at /metrics. */
struct app {
    skua_http_metrics *metrics;
    skua_http_router *router;
    skua_http_layer around[1];
    skua_http_chain chain;
};

static void app_begin(struct app *app, const skua_http_metrics_options *options)
{
    MUST(skua_http_metrics_new(&app->metrics, options) == 0);
    MUST(skua_http_router_new(&app->router) == 0);
    MUST(skua_http_route(app->router, NULL, "/u/:id", answers, NULL) == 0);
    MUST(skua_http_route(app->router, "GET", "/metrics", skua_http_prometheus, app->metrics) == 0);
    app->around[0] = (skua_http_layer){skua_http_metrics_layer, app->metrics};
    app->chain = (skua_http_chain){app->around, 1, skua_http_router_handler, app->router};
}

static void app_end(struct app *app)
{
    skua_http_router_free(app->router);
    skua_http_metrics_free(app->metrics);
}

static struct talk *app_ask(struct app *app, const char *request)
{
    return ask_chain(skua_http_chain_handler, &app->chain, request);
}

static void check_line(const struct talk *talk, const char *line, bool there)
{
    char text[300];

    (void)snprintf(text, sizeof text, "\n%s\n", line);
    if (!CHECK((strstr(talk->text, text) != NULL) == there))
        test_note("%s: %s\n%s", there ? "no" : "there is", line, talk->text);
}

TEST_FIBER(metrics_are_counted)
{
    struct app app;
    struct talk *talk;

    app_begin(&app, COUNTED);
    for (int i = 0; i < 3; i++)
        free(app_ask(&app, "GET /u/7"));
    free(app_ask(&app, "POST /u/8 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"));
    free(app_ask(&app, "GET /u/fail"));
    free(app_ask(&app, "GET /none/of/these"));
    free(app_ask(&app, "PROPFIND /u/1"));
    talk = app_ask(&app, "GET /metrics");
    CHECK_HAS(talk, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    check_line(talk, "# TYPE http_server_requests_total counter", true);
    check_line(talk, "# HELP http_server_requests_total Requests that have ended.", true);
#define GOT "{method=\"GET\",route=\"/u/:id\",status=\"2xx\""
    check_line(talk, "http_server_requests_total" GOT "} 3", true);
    check_line(talk, "http_server_request_duration_seconds_bucket" GOT ",le=\"3600\"} 3", true);
    check_line(talk, "http_server_request_duration_seconds_bucket" GOT ",le=\"+Inf\"} 3", true);
    check_line(talk, "http_server_request_duration_seconds_count" GOT "} 3", true);
    check_line(talk, "http_server_response_body_bytes_total" GOT "} 15", true);
    check_line(talk, "http_server_responses_broken_total" GOT "} 0", true);
    check_line(talk, "http_server_requests_total{method=\"GET\",route=\"/u/:id\",status=\"5xx\"} 1",
               true);
    check_line(talk, "http_server_requests_total{method=\"GET\",route=\"\",status=\"4xx\"} 1",
               true);
    check_line(talk,
               "http_server_requests_total{method=\"other\",route=\"/u/:id\",status=\"2xx\"} 1",
               true);
    check_line(talk, "http_server_requests_in_flight 1", true); /* the one for the page */
    CHECK(strstr(talk->text, "# EOF") == NULL);
    free(talk);
    app_end(&app);
    return 0;
}

TEST_FIBER(metrics_see_bodies_and_what_breaks)
{
    struct app app;
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    app_begin(&app, NULL);
    talk->handler = skua_http_chain_handler;
    talk->state = &app.chain;
    talk_to(talk, "PUT /u/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
                  "1234567890123456789012345678901234567890123456789012345678901234567890"
                  "123456789012345678901234567890"
                  "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    check_line(talk,
               "http_server_request_body_bytes_total{method=\"PUT\",route=\"/u/:id\","
               "status=\"2xx\"} 100",
               true);
    free(talk);
    app_end(&app);
    return 0;
}

/* ---- formats --------------------------------------------------------------------------------- */

static int collects(skua_http_samples *samples, void *arg)
{
    static const double bounds[] = {0.5, 1, 2.5};
    static const uint64_t counts[] = {1, 0, 2, 4};
    const skua_http_label labels[] = {{"a", "x\"y\\z\nw"}, {"b_1", "\xc3\xa4\xff"}};
    const skua_http_label bad[] = {{"le", "1"}, {"__a", "1"}, {"1a", "1"}, {"a-b", "1"}, {"", ""}};
    const char *const names[] = {"", "1a", "a-b", "a_total_", "a"};

    CHECK(arg != NULL);
    for (size_t i = 0; i < TEST_LEN(names); i++)
        CHECK_EQ(skua_http_samples_family(samples, SKUA_HTTP_COUNTER, names[i], ""), -EINVAL);
    CHECK_EQ(skua_http_samples_family(samples, SKUA_HTTP_GAUGE, "a_total", ""), -EINVAL);
    CHECK_EQ(skua_http_samples_family(samples, (skua_http_sample_kind)4, "a", ""), -EINVAL);
    CHECK_EQ(skua_http_samples_family(samples, SKUA_HTTP_GAUGE, "own:gauge", "a \\ \"b\"\nc"), 0);
    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_http_samples_value(samples, 1, &bad[i], 1), -EINVAL);
    CHECK_EQ(skua_http_samples_histogram(samples, bounds, counts, 3, 1, NULL, 0), SKUA_EUSAGE);
    CHECK_EQ(skua_http_samples_value(samples, -1.5, labels, 2), 0);
    CHECK_EQ(skua_http_samples_value(samples, 0.1, NULL, 0), 0);
    CHECK_EQ(skua_http_samples_value(samples, 1e300, labels, 0), 0);
    CHECK_EQ(skua_http_samples_value(samples, HUGE_VAL, NULL, 0), 0);
    CHECK_EQ(skua_http_samples_value(samples, NAN, NULL, 0), 0);
    CHECK_EQ(skua_http_samples_number(samples, UINT64_MAX, NULL, 0), 0);
    CHECK_EQ(skua_http_samples_family(samples, SKUA_HTTP_COUNTER, "own_total", "n"), 0);
    CHECK_EQ(skua_http_samples_number(samples, 7, NULL, 0), 0);
    CHECK_EQ(skua_http_samples_family(samples, SKUA_HTTP_HISTOGRAM, "own_hist", "h"), 0);
    CHECK_EQ(skua_http_samples_value(samples, 1, NULL, 0), SKUA_EUSAGE);
    return skua_http_samples_histogram(samples, bounds, counts, 3, 12.25, NULL, 0);
}

static const char own_common[] =
    "own:gauge{a=\"x\\\"y\\\\z\\nw\",b_1=\"\xc3\xa4\xef\xbf\xbd\"} -1.5\n"
    "own:gauge 0.1\nown:gauge 1e+300\nown:gauge +Inf\nown:gauge NaN\n"
    "own:gauge 18446744073709551615\n";

static void check_formats(struct app *app)
{
    char wanted[1024];
    struct talk *talk = app_ask(app, "GET /metrics");

    (void)snprintf(wanted, sizeof wanted,
                   "# HELP own:gauge a \\\\ \"b\"\\nc\n# TYPE own:gauge gauge\n%s"
                   "# HELP own_total n\n# TYPE own_total counter\nown_total 7\n"
                   "# HELP own_hist h\n# TYPE own_hist histogram\n"
                   "own_hist_bucket{le=\"0.5\"} 1\nown_hist_bucket{le=\"1\"} 1\n"
                   "own_hist_bucket{le=\"2.5\"} 3\nown_hist_bucket{le=\"+Inf\"} 7\n"
                   "own_hist_count 7\nown_hist_sum 12.25\n",
                   own_common);
    if (!CHECK(strstr(talk->text, wanted) != NULL))
        test_note("%s", strstr(talk->text, "# HELP own"));
    free(talk);
    talk = app_ask(app, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; "
                        "version=1.0.0,text/plain;q=0.5\r\n");
    CHECK_HAS(talk, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n");
    (void)snprintf(wanted, sizeof wanted,
                   "# HELP own:gauge a \\\\ \\\"b\\\"\\nc\n# TYPE own:gauge gauge\n%s"
                   "# HELP own n\n# TYPE own counter\nown_total 7\n"
                   "# HELP own_hist h\n# TYPE own_hist histogram\n"
                   "own_hist_bucket{le=\"0.5\"} 1\nown_hist_bucket{le=\"1.0\"} 1\n"
                   "own_hist_bucket{le=\"2.5\"} 3\nown_hist_bucket{le=\"+Inf\"} 7\n"
                   "own_hist_count 7\nown_hist_sum 12.25\n# EOF\n",
                   own_common);
    if (!CHECK(strstr(talk->text, wanted) != NULL))
        test_note("%s", strstr(talk->text, "# HELP own"));
    free(talk);
}

TEST_FIBER_CURRENT(metrics_have_two_formats)
{
    struct app app;

    app_begin(&app, NULL);
    CHECK_EQ(skua_http_metrics_add_collector(app.metrics, collects, &app), 0);
    CHECK_EQ(skua_http_metrics_add_collector(app.metrics, NULL, NULL), -EINVAL);
    check_formats(&app);
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") != NULL) {
        check_formats(&app);
        (void)setlocale(LC_NUMERIC, "C");
    }
    app_end(&app);
    return 0;
}

static int fails(skua_http_samples *samples, void *arg)
{
    (void)samples;
    return *(int *)arg;
}

TEST_FIBER(metrics_of_a_collector_that_fails)
{
    int code = -ENOENT;
    struct app app;
    struct talk *talk;

    app_begin(&app, NULL);
    CHECK_EQ(skua_http_metrics_add_collector(app.metrics, fails, &code), 0);
    talk = app_ask(&app, "GET /metrics");
    CHECK_EQ(talk_status(talk, 0), 404);
    free(talk);
    app_end(&app);
    return 0;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

TEST_FIBER(metrics_have_a_bound)
{
    static const double falling[] = {2, 1}, zero[] = {0}, odd[] = {NAN};
    const skua_http_metrics_options bad[] = {
        {0, 0, NULL, 0},
        {sizeof bad[0], 100001, NULL, 0},
        {sizeof bad[0], 0, falling, 2},
        {sizeof bad[0], 0, zero, 1},
        {sizeof bad[0], 0, odd, 1},
        {sizeof bad[0], 0, falling, 0},
        {sizeof bad[0], 0, NULL, 1},
        {sizeof bad[0], 0, falling, SKUA_HTTP_METRICS_BOUNDS + 1}};
    skua_http_metrics *none;
    struct app app;
    struct talk *talk;

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_http_metrics_new(&none, &bad[i]), -EINVAL);
    skua_http_metrics_free(NULL);
    app_begin(&app,
              SKUA_HTTP_METRICS_OPTIONS(.series_max = 2, .bounds = one_bound, .bounds_count = 1));
    free(app_ask(&app, "GET /u/1"));
    free(app_ask(&app, "PUT /u/1"));
    free(app_ask(&app, "POST /u/1"));
    free(app_ask(&app, "PATCH /u/1"));
    free(app_ask(&app, "GET /u/2"));
    talk = app_ask(&app, "GET /metrics");
    check_line(talk, "http_server_requests_total" GOT "} 2", true);
    check_line(talk, "http_server_requests_total{method=\"PUT\",route=\"/u/:id\",status=\"2xx\"} 1",
               true);
    check_line(talk,
               "http_server_requests_total{method=\"other\",route=\"other\",status=\"2xx\"} 2",
               true);
    CHECK(strstr(talk->text, "POST") == NULL);
    free(talk);
    app_end(&app);
    return 0;
}

/* ---- others ---------------------------------------------------------------------------------- */

TEST_FIBER(metrics_of_server_client_and_runtime)
{
    skua_http_server *server;
    skua_http_client *client;
    struct app app;
    struct talk *talk;

    app_begin(&app, NULL);
    MUST(skua_http_server_new(&server, answers, NULL, NULL) == 0);
    MUST(skua_http_client_new(&client, NULL) == 0);
    CHECK_EQ(skua_http_metrics_add_server(app.metrics, "w\"eb", server), 0);
    CHECK_EQ(skua_http_metrics_add_client(app.metrics, "db", client), 0);
    CHECK_EQ(skua_http_metrics_add_client(app.metrics, "other", client), 0);
    CHECK_EQ(skua_http_metrics_add_runtime(app.metrics, skua_runtime_current()), 0);
    CHECK_EQ(skua_http_metrics_add_server(app.metrics, NULL, server), -EINVAL);
    CHECK_EQ(skua_http_metrics_add_client(app.metrics, "x", NULL), -EINVAL);
    CHECK_EQ(skua_http_metrics_add_runtime(app.metrics, NULL), -EINVAL);
    talk = app_ask(&app, "GET /metrics");
    check_line(talk, "skua_http_server_connections{server=\"w\\\"eb\"} 0", true);
    check_line(talk, "# TYPE skua_http_server_refused_total counter", true);
    check_line(talk,
               "skua_http_client_requests_total{client=\"db\"} 0\n"
               "skua_http_client_requests_total{client=\"other\"} 0",
               true);
    check_line(talk, "# TYPE skua_runtime_tasks gauge", true);
    CHECK(strstr(talk->text, "\nskua_runtime_blocking_wait_seconds_total{runtime=\"") != NULL);
    CHECK(strstr(talk->text, "\nskua_worker_polls_total{runtime=\"") != NULL);
    CHECK(strstr(talk->text, "\",worker=\"0\"} ") != NULL);
    free(talk);
    app_end(&app);
    CHECK_EQ(skua_http_client_free(client), 0);
    skua_http_server_free(server);
    return 0;
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 3, ROUNDS = 400 };

static int asks(void *arg)
{
    for (int i = 0; i < TEST_COUNT(ROUNDS); i++)
        free(app_ask(arg, i % 2 == 0 ? "GET /u/1" : "PUT /u/1"));
    return 0;
}

TEST_FIBER(metrics_of_many_at_a_time)
{
    struct app app;
    struct talk *talk;
    char line[200];
    skua_scope scope;
    int half = (TEST_COUNT(ROUNDS) + 1) / 2;

    app_begin(&app, COUNTED);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < THREADS; i++)
        MUST(skua_spawn(&scope, asks, &app) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    talk = app_ask(&app, "GET /metrics");
    (void)snprintf(line, sizeof line, "http_server_requests_total" GOT "} %d", THREADS * half);
    check_line(talk, line, true);
    check_line(talk, "http_server_requests_in_flight 1", true);
    free(talk);
    app_end(&app);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(metrics_without_memory)
{
    struct app app;
    struct talk *talk = calloc(1, sizeof *talk);
    skua_http_metrics *metrics;
    int good = 0;

    MUST(talk != NULL);
    for (unsigned fault = 1; fault <= 3; fault++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
        CHECK_EQ(skua_http_metrics_new(&metrics, NULL), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    app_begin(&app, COUNTED);
    for (unsigned fault = 1; fault <= 2; fault++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
        CHECK_EQ(skua_http_metrics_add_runtime(app.metrics, skua_runtime_current()), -ENOMEM);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    MUST(skua_http_metrics_add_runtime(app.metrics, skua_runtime_current()) == 0);
    talk->handler = skua_http_chain_handler;
    talk->state = &app.chain;
    for (talk->fault = 1; talk->fault < 14; talk->fault++) {
        talk_to(talk, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 500);
    }
    CHECK_RANGE(good, 3, 12);
    check_line(talk, "http_server_requests_in_flight 1", true); /* whatever failed */
    free(talk);
    app_end(&app);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_are_counted),
        cmocka_unit_test(metrics_see_bodies_and_what_breaks),
        cmocka_unit_test(metrics_have_two_formats),
        cmocka_unit_test(metrics_of_a_collector_that_fails),
        cmocka_unit_test(metrics_have_a_bound),
        cmocka_unit_test(metrics_of_server_client_and_runtime),
        cmocka_unit_test(metrics_of_many_at_a_time),
#ifdef SKUA_FAULTS
        cmocka_unit_test(metrics_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
