/* test_zipkin_export.c - spans to Zipkin: what is sent, to which answers it is sent again.
 *
 * Specifies zipkin.h, against a peer that follows a script, by a clock that jumps. What stands in
 * the body is test_otel_output.c's, and the judges'.
 */
#include <stdlib.h>

#include <skua/otel/sdk.h>
#include <skua/otel/zipkin.h>

#include "export.h"

#include "otel/core/otel_warn.h"

#define ACCEPTED "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"

static char warned[1024];

static void warns(void *arg, const char *line)
{
    size_t len = strlen(warned);

    (void)arg;
    (void)snprintf(warned + len, sizeof warned - len, "%s\n", line);
}

static skua_otel_exporter *zipkin_with(const skua_otel_zipkin_options *options)
{
    skua_otel_exporter *exporter;

    MUST(skua_otel_zipkin_new(&exporter, options) == 0);
    return exporter;
}

/* One batch to a peer, behind `path`; the exporter's result. */
static int64_t told(const struct act *acts, size_t count, const char *path,
                    const skua_otel_zipkin_options *options, struct peer *peer,
                    skua_otlp_stats *stats)
{
    skua_otel_zipkin_options all = *options;
    skua_otel_exporter *exporter;
    int64_t rc;

    warned[0] = '\0';
    skua__otel_warn_to(warns, NULL);
    peer_begin(peer, acts, count);
    all.endpoint = AT(peer->url, path);
    exporter = zipkin_with(&all);
    rc = exports(exporter, batch_of_spans());
    *stats = stats_of(exporter);
    exporter_ends(exporter);
    peer_end(peer);
    skua__otel_warn_to(NULL, NULL);
    CHECK_EQ(stats->exported[0] + stats->rejected[0] + stats->failed[0], BATCH_SPANS);
    return rc;
}

TEST_FIBER_CLOCK(zipkin_sends_a_batch)
{
    static const struct act acts[] = {{ACCEPTED, LEAVES}};
    static const skua_http_field headers[] = {{"X-Key", "secret"}};
    skua_otlp_stats stats;
    struct peer peer;
    const char *body;

    CHECK_EQ(told(acts, 1, "/api/v2/spans",
                  SKUA_OTEL_ZIPKIN_OPTIONS(.headers = headers, .headers_count = 1), &peer, &stats),
             0);
    CHECK(strstr(peer.heard, "POST /api/v2/spans HTTP/1.1\r\n") != NULL);
    CHECK(strstr(peer.heard, "Content-Type: application/json\r\n") != NULL);
    CHECK(strstr(peer.heard, "User-Agent: OTel-Zipkin-Exporter-C/" SKUA_VERSION "\r\n") != NULL);
    CHECK(strstr(peer.heard, "X-Key: secret\r\n") != NULL);
    body = strstr(peer.heard, "\r\n\r\n");
    CHECK(body != NULL &&
          strncmp(body + 4, "[{\"traceId\":\"01000000000000000000000000000000\",", 47) == 0);
    CHECK_EQ(stats.exported[0], BATCH_SPANS);
    CHECK_EQ(stats.requests, 1);
    CHECK(warned[0] == '\0');
    return 0;
}

TEST_FIBER_CLOCK(zipkin_gzip_and_paths)
{
    static const struct act acts[] = {{ACCEPTED, LEAVES}};
    skua_otlp_stats stats;
    struct peer peer;
    const char *body;

    CHECK_EQ(told(acts, 1, "", SKUA_OTEL_ZIPKIN_OPTIONS(.gzip = 1), &peer, &stats), 0);
    CHECK(strncmp(peer.heard, "POST / HTTP/1.1\r\n", 17) == 0);
    CHECK(strstr(peer.heard, "Content-Encoding: gzip\r\n") != NULL);
    body = strstr(peer.heard, "\r\n\r\n");
    CHECK(body != NULL && memcmp(body + 4, "\x1f\x8b\x08", 3) == 0);
    return 0;
}

/* Any answer of 2xx will do, whatever it says; others are as OTLP's. */
TEST_FIBER_CLOCK(zipkin_again_by_status)
{
    static const struct {
        const char *answer;
        int requests;
        int64_t rc;
        const char *says; /* in the warning; NULL: there is none */
    } rows[] = {
        {"200 OK\r\nContent-Length: 2\r\n\r\nok", 1, 0, NULL},
        {"200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n[", 1, 0, NULL},
        {"204 No\r\n\r\n", 1, 0, NULL},
        {"302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 1, -EPROTO, ""},
        {"400 x\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nno span", 1, -EINVAL,
         "no span"},
        {"429 x\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", 2, 0, NULL},
        {"500 x\r\nContent-Length: 0\r\n\r\n", 1, -EPROTO, ""},
        {"503 x\r\nContent-Length: 0\r\n\r\n", 2, 0, NULL},
    };

    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua_otlp_stats stats;
        struct peer peer;
        char text[256];
        struct act acts[] = {{text, STAYS}, {ACCEPTED, LEAVES}};
        int64_t rc;

        (void)snprintf(text, sizeof text, "HTTP/1.1 %s", rows[i].answer);
        rc = told(acts, 2, "/z", SKUA_OTEL_ZIPKIN_OPTIONS(.attempts = 3), &peer, &stats);
        if (!CHECK_EQ(rc, rows[i].rc) || !CHECK_EQ(stats.requests, rows[i].requests) ||
            !CHECK((warned[0] != '\0') == (rows[i].says != NULL)) ||
            !CHECK(rows[i].says == NULL || strstr(warned, rows[i].says) != NULL))
            test_note("%s: %s", rows[i].answer, warned);
    }
    return 0;
}

TEST_FIBER_CLOCK(zipkin_hangs_until_the_timeout)
{
    static const struct act acts[] = {{"", LEAVES}};
    int64_t begin = skua_now();
    skua_otlp_stats stats;
    struct peer peer;

    CHECK_EQ(told(acts, 1, "/z", SKUA_OTEL_ZIPKIN_OPTIONS(.attempts = 1), &peer, &stats),
             -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, 10 * SKUA_SECOND, 11 * SKUA_SECOND);
    return 0;
}

static int ignores(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    return len != 0 && *(const char *)bytes == '[' ? 0 : -EBADMSG;
}

TEST_FIBER_CLOCK(zipkin_takes_spans_alone)
{
    skua_otel_exporter *exporter = zipkin_with(NULL);
    char text[100];

    skua__otel_warn_to(warns, NULL);
    CHECK_TEXT(exporter->ops->name, "zipkin_http_span_exporter");
    CHECK_TEXT(exporter->ops->encoding, "zipkin_json");
    CHECK_EQ(exports(exporter, batch_of_logs()), -EINVAL);
    CHECK_EQ(exports(exporter, batch_of_points()), -EINVAL);
    CHECK_EQ(exporter->ops->encode(exporter, batch_of_spans(), ignores, NULL), 0);
    CHECK_EQ(stats_of(exporter).requests, 0);
    exporter_ends(exporter);
    skua__otel_warn_to(NULL, NULL);
    CHECK_EQ(skua_otel_zipkin_new(&exporter, &(skua_otel_zipkin_options){.size = 1}), -EINVAL);
    CHECK_EQ(skua_otel_zipkin_new(&exporter, SKUA_OTEL_ZIPKIN_OPTIONS(.endpoint = "zipkin:9411",
                                                                      .error_text = text,
                                                                      .error_size = sizeof text)),
             -EINVAL);
    CHECK(strstr(text, "endpoint") != NULL);
    return 0;
}

/* By OTEL_*: a whole start, to a peer. */
TEST_FIBER_CURRENT(zipkin_by_the_environment)
{
    static const struct act acts[] = {{ACCEPTED, LEAVES}};
    static skua_tracer tracer = SKUA_TRACER("zipkin", "1");
    struct peer peer;
    skua_otel_destination_counts counts;

    warned[0] = '\0';
    peer_begin(&peer, acts, 1);
    (void)setenv("OTEL_TRACES_EXPORTER", "zipkin", 1);
    (void)setenv("OTEL_METRICS_EXPORTER", "none", 1);
    (void)setenv("OTEL_LOGS_EXPORTER", "none", 1);
    (void)setenv("OTEL_SERVICE_NAME", "shop", 1);
    (void)setenv("OTEL_EXPORTER_ZIPKIN_ENDPOINT", AT(peer.url, "/api/v2/spans"), 1);
    MUST(skua_otel_start(SKUA_OTEL_OPTIONS(.on_warning = warns)) == 0);
    skua_span_end(skua_span_start(&tracer, "bought", NULL));
    CHECK_EQ(skua_otel_shutdown(skua_now() + TEST_LATE), 0);
    CHECK_EQ(skua_otel_destination_stats(0, &counts), 0);
    CHECK_TEXT(counts.name, "zipkin_http_span_exporter");
    CHECK_EQ(counts.exported, 1);
    peer_end(&peer);
    CHECK(strncmp(peer.heard, "POST /api/v2/spans HTTP", 23) == 0);
    CHECK(strstr(peer.heard, "\"name\":\"bought\"") != NULL);
    CHECK(strstr(peer.heard, "\"localEndpoint\":{\"serviceName\":\"shop\"}") != NULL);
    CHECK_TEXT(warned, "");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipkin_sends_a_batch),
        cmocka_unit_test(zipkin_gzip_and_paths),
        cmocka_unit_test(zipkin_again_by_status),
        cmocka_unit_test(zipkin_hangs_until_the_timeout),
        cmocka_unit_test(zipkin_takes_spans_alone),
        cmocka_unit_test(zipkin_by_the_environment),
    };

    return TEST_MAIN(tests);
}
