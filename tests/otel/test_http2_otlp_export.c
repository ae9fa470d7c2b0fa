/* test_http2_otlp_export.c - the exporter over gRPC: statuses, RetryInfo, partial success.
 *
 * Specifies otlp.h, "Again", against our own server of gRPC, by a clock that jumps.
 */
#include <skua/http/grpc_client.h>
#include <skua/http/grpc_server.h>

#include "export.h"

#include "otel/core/otel_warn.h"

/* What the server answers, one after the other; the last one again and again. */
struct says {
    int code;
    int64_t delay; /* of a RetryInfo; -1: there is none */
    const char *reply;
    size_t reply_len;
    int64_t waits; /* before it answers */
};

struct collector {
    const struct says *says;
    size_t count, at;
    char path[128], key[64], agent[64], coding[16];
    size_t heard; /* bytes of the last message */
    struct site site;
    skua_grpc_server *server;
};

static int collects(skua_grpc_call *call, void *state)
{
    struct collector *self = state;
    const struct says *says = &self->says[self->at];
    const skua_grpc_entry *key = skua_grpc_metadata(call, "x-key");
    const char *agent = skua_http_header(skua_grpc_exchange(call), "User-Agent");
    const char *coding = skua_http_header(skua_grpc_exchange(call), "grpc-encoding");
    uint8_t info[32], details[256];
    const void *message;
    size_t len;
    ssize_t info_len, n;
    int rc = skua_grpc_recv_only(call, &message, &len);

    if (rc != 0)
        return rc;
    self->at += self->at + 1 < self->count;
    self->heard = len;
    (void)snprintf(self->path, sizeof self->path, "%s", skua_grpc_path(call));
    (void)snprintf(self->key, sizeof self->key, "%s", key != NULL ? (const char *)key->value : "");
    (void)snprintf(self->agent, sizeof self->agent, "%s", agent != NULL ? agent : "");
    (void)snprintf(self->coding, sizeof self->coding, "%s", coding != NULL ? coding : "");
    if (says->waits != 0 && (rc = skua_sleep(says->waits)) != 0)
        return rc;
    if (says->code == 0)
        return skua_grpc_send(call, says->reply != NULL ? says->reply : "", says->reply_len);
    if (says->delay < 0)
        return skua_grpc_fail(call, says->code, "no");
    info_len = skua_grpc_write_retry_info(says->delay, info, sizeof info);
    n = skua_grpc_write_details(says->code, "no", "google.rpc.RetryInfo", info, (size_t)info_len,
                                details, sizeof details);
    return skua_grpc_fail_with(call, says->code, "no", details, (size_t)n);
}

static const skua_grpc_method methods[] = {{"Export", SKUA_GRPC_UNARY, collects}};
static const skua_grpc_service services[] = {
    {"opentelemetry.proto.collector.trace.v1.TraceService", methods, 1, NULL, 0},
    {"opentelemetry.proto.collector.metrics.v1.MetricsService", methods, 1, NULL, 0},
    {"opentelemetry.proto.collector.logs.v1.LogsService", methods, 1, NULL, 0}};

static void collector_begin(struct collector *self, const struct says *says, size_t count)
{
    memset(self, 0, sizeof *self);
    self->says = says;
    self->count = count;
    MUST(skua_grpc_server_new(&self->server, NULL) == 0);
    for (size_t i = 0; i < TEST_LEN(services); i++)
        MUST(skua_grpc_add(self->server, &services[i], self) == 0);
    site_begin(&self->site, skua_grpc_handler, self->server, NULL);
}

static void collector_end(struct collector *self)
{
    site_end(&self->site);
    skua_grpc_server_free(self->server);
}

static skua_otel_exporter *exporter_to(const struct collector *collector,
                                       const skua_otlp_options *options)
{
    skua_otlp_options all = *options;

    all.endpoint = collector->site.url;
    all.protocol = SKUA_OTLP_GRPC;
    return exporter_with(&all);
}

static const struct says fine = {.delay = -1};

TEST_FIBER_CLOCK(otlp_grpc_sends)
{
    static const skua_http_field headers[] = {{"X-Key", "abc"}};
    struct collector collector;
    skua_otel_exporter *exporter;

    collector_begin(&collector, &fine, 1);
    exporter = exporter_to(&collector, SKUA_OTLP_OPTIONS(.headers = headers, .headers_count = 1));
    CHECK_EQ(exports(exporter, batch_of_spans()), 0);
    CHECK_TEXT(collector.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    CHECK_TEXT(collector.key, "abc");
    CHECK_TEXT(collector.agent, "OTel-OTLP-Exporter-C/" SKUA_VERSION);
    CHECK_TEXT(collector.coding, "");
    CHECK(collector.heard > 60);
    CHECK_EQ(exports(exporter, batch_of_points()), 0);
    CHECK_TEXT(collector.path, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export");
    CHECK_EQ(exports(exporter, batch_of_logs()), 0);
    CHECK_TEXT(collector.path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    CHECK_EQ(stats_of(exporter).exported[0], BATCH_SPANS);
    exporter_ends(exporter);
    collector_end(&collector);
    return 0;
}

TEST_FIBER_CLOCK(otlp_grpc_gzip)
{
    struct collector collector;
    skua_otel_exporter *exporter;

    collector_begin(&collector, &fine, 1);
    exporter = exporter_to(&collector, SKUA_OTLP_OPTIONS(.compression = SKUA_OTLP_GZIP));
    CHECK_EQ(exports(exporter, batch_of_spans()), 0);
    CHECK_TEXT(collector.coding, "gzip");
    CHECK(collector.heard > 60); /* unpacked */
    exporter_ends(exporter);
    collector_end(&collector);
    return 0;
}

/* All 17 codes, with a RetryInfo and without. */
TEST_FIBER_CLOCK(otlp_grpc_retry_by_code)
{
    static const bool again[17] = {
        [SKUA_GRPC_CANCELLED] = true,   [SKUA_GRPC_DEADLINE_EXCEEDED] = true,
        [SKUA_GRPC_ABORTED] = true,     [SKUA_GRPC_OUT_OF_RANGE] = true,
        [SKUA_GRPC_UNAVAILABLE] = true, [SKUA_GRPC_DATA_LOSS] = true};

    for (int code = 0; code < 17; code++) {
        for (int info = 0; info < 2; info++) {
            struct says says[] = {{.code = code, .delay = info ? 2 * SKUA_SECOND : -1},
                                  {.delay = -1}};
            bool wanted = again[code] || (code == SKUA_GRPC_RESOURCE_EXHAUSTED && info);
            struct collector collector;
            skua_otel_exporter *exporter;
            int64_t begin, rc;

            collector_begin(&collector, says, 2);
            exporter = exporter_to(&collector, SKUA_OTLP_OPTIONS(.attempts = 3));
            begin = skua_now();
            rc = exports(exporter, batch_of_spans());
            if (!CHECK_EQ(stats_of(exporter).requests, wanted ? 2 : 1) ||
                !CHECK(wanted || code == 0 ? rc == 0 : rc < 0))
                test_note("code %d, with info %d: %lld", code, info, (long long)rc);
            if (wanted)
                CHECK_RANGE(skua_now() - begin, info ? 2 * SKUA_SECOND : SKUA_SECOND / 2,
                            4 * SKUA_SECOND);
            exporter_ends(exporter);
            collector_end(&collector);
        }
    }
    return 0;
}

/* The pause that the collector wanted is the one that later ones grow from: 4, then 3 to 6 s. */
TEST_FIBER_CLOCK(otlp_grpc_grows_from_retry_info)
{
    static const struct says says[] = {{.code = SKUA_GRPC_UNAVAILABLE, .delay = 4 * SKUA_SECOND},
                                       {.code = SKUA_GRPC_UNAVAILABLE, .delay = -1},
                                       {.delay = -1}};
    struct collector collector;
    skua_otel_exporter *exporter;
    int64_t begin;

    collector_begin(&collector, says, TEST_LEN(says));
    exporter = exporter_to(&collector, SKUA_OTLP_OPTIONS(.timeout = SKUA_MINUTE));
    begin = skua_now();
    CHECK_EQ(exports(exporter, batch_of_spans()), 0);
    CHECK_RANGE(skua_now() - begin, 7 * SKUA_SECOND, 10 * SKUA_SECOND + MS(10));
    exporter_ends(exporter);
    collector_end(&collector);
    return 0;
}

TEST_FIBER_CLOCK(otlp_grpc_partial_success)
{
    static const struct says says[] = {
        {.delay = -1, .reply = "\x0a\x07\x08\x02\x12\x03old", .reply_len = 9},
        {.delay = -1, .reply = "\x0a\xff", .reply_len = 2}};
    struct collector collector;
    skua_otel_exporter *exporter;

    collector_begin(&collector, says, 2);
    exporter = exporter_to(&collector, SKUA_OTLP_OPTIONS(.attempts = 3));
    CHECK_EQ(exports(exporter, batch_of_spans()), 2);
    CHECK_EQ(exports(exporter, batch_of_spans()), -EBADMSG);
    CHECK_EQ(stats_of(exporter).rejected[0], 2);
    CHECK_EQ(stats_of(exporter).exported[0], 1);
    CHECK_EQ(stats_of(exporter).failed[0], 3);
    CHECK_EQ(stats_of(exporter).requests, 2);
    exporter_ends(exporter);
    collector_end(&collector);
    return 0;
}

TEST_FIBER_CLOCK(otlp_grpc_hangs_until_the_timeout)
{
    static const struct says says = {.delay = -1, .waits = SKUA_MINUTE};
    int64_t begin;
    struct collector collector;
    skua_otel_exporter *exporter;

    collector_begin(&collector, &says, 1);
    exporter = exporter_to(&collector, SKUA_OTLP_OPTIONS(.timeout = 2 * SKUA_SECOND));
    begin = skua_now();
    CHECK_EQ(exports(exporter, batch_of_spans()), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, 2 * SKUA_SECOND, 2 * SKUA_SECOND + MS(10));
    exporter_ends(exporter);
    collector_end(&collector);
    return 0;
}

TEST_FIBER_CLOCK(otlp_grpc_nobody_listens)
{
    skua_otel_exporter *exporter =
        exporter_with(SKUA_OTLP_OPTIONS(.endpoint = "127.0.0.1:1", .insecure = 1,
                                        .protocol = SKUA_OTLP_GRPC, .attempts = 2));
    int64_t rc = exports(exporter, batch_of_spans());

    CHECK_EQ(skua_otel_may_succeed(rc), 1);
    CHECK_EQ(stats_of(exporter).requests, 2);
    exporter_ends(exporter);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(otlp_grpc_sends),
        cmocka_unit_test(otlp_grpc_gzip),
        cmocka_unit_test(otlp_grpc_retry_by_code),
        cmocka_unit_test(otlp_grpc_grows_from_retry_info),
        cmocka_unit_test(otlp_grpc_partial_success),
        cmocka_unit_test(otlp_grpc_hangs_until_the_timeout),
        cmocka_unit_test(otlp_grpc_nobody_listens),
    };

    return TEST_MAIN(tests);
}
