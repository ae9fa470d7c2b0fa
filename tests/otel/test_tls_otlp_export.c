/* test_tls_otlp_export.c - the exporter over TLS: trust, names, certificates of its own.
 *
 * Specifies otlp.h, .certificate, .client_certificate, .client_key, over HTTP and gRPC.
 */
#include <skua/http/grpc_server.h>

#include "../http/secure.h"
#include "export.h"

static int collects(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, 1 << 20);

    ++*(int *)state;
    return rc != 0 ? rc : skua_http_reply(exchange, 200, "application/x-protobuf", "", 0);
}

struct row {
    const char *endpoint;
    const char *ca, *chain, *key;
    int64_t rc;
};

static int64_t sends(const struct secure *secure, const struct row *row,
                     skua_otlp_protocol protocol)
{
    skua_otel_exporter *exporter =
        exporter_with(SKUA_OTLP_OPTIONS(.endpoint = row->endpoint, .unix_path = secure->path,
                                        .protocol = protocol, .certificate = row->ca,
                                        .client_certificate = row->chain, .client_key = row->key,
                                        .attempts = 2, .timeout = 3 * SKUA_SECOND));
    int64_t rc = exports(exporter, batch_of_spans());
    skua_otlp_stats stats = stats_of(exporter);

    CHECK_EQ(stats.exported[0], rc == 0 ? BATCH_SPANS : 0);
    CHECK_EQ(stats.failed[0], rc < 0 ? BATCH_SPANS : 0);
    exporter_ends(exporter);
    return rc;
}

static int trusts_and_names(void *arg)
{
    const struct cert *ca = cert_make(&(struct cert_of){.cn = "test authority", .ca = true});
    const struct cert *stranger = cert_make(&(struct cert_of){.cn = "stranger", .ca = true});
    const struct cert *cert = cert_make(&(struct cert_of){.issuer = ca, .san = "DNS:a.test"});
    const struct cert *own = cert_make(&(struct cert_of){.issuer = ca, .cn = "orders"});
    const struct row rows[] = {
        {"https://a.test", ca->chain, own->chain, own->key, 0},
        {"https://b.test", ca->chain, own->chain, own->key, REJECTED},       /* another name */
        {"https://a.test", stranger->chain, own->chain, own->key, REJECTED}, /* nobody trusts it */
        {"https://a.test", ca->chain, NULL, NULL, -1},                       /* who asks? */
    };
    struct secure secure;
    int served = 0;

    (void)arg;
    secure_begin(&secure,
                 SKUA_TLS_CONTEXT_OPTIONS(.certificate = cert->chain, .key = cert->key,
                                          .ca = ca->chain, .verify = SKUA_TLS_VERIFY_REQUIRED),
                 collects, &served);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        int64_t rc = sends(&secure, &rows[i], SKUA_OTLP_HTTP_PROTOBUF);

        if (!CHECK(rows[i].rc == -1 ? rc < 0 : rc == rows[i].rc))
            test_note("row %zu: %lld", i, (long long)rc);
    }
    CHECK_EQ(served, 1);
    secure_end(&secure);
    return 0;
}

TEST_FIBER_CURRENT(tls_otlp_trusts_and_names)
{
    secure_run(trusts_and_names, NULL);
    return 0;
}

static int answers(skua_grpc_call *call, void *state)
{
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    ++*(int *)state;
    return rc != 0 ? rc : skua_grpc_send(call, "", 0);
}

static int over_grpc(void *arg)
{
    static const skua_grpc_method methods[] = {{"Export", SKUA_GRPC_UNARY, answers}};
    static const skua_grpc_service service = {"opentelemetry.proto.collector.trace.v1.TraceService",
                                              methods, 1, NULL, 0};
    const struct cert *ca = cert_make(&(struct cert_of){.cn = "test authority", .ca = true});
    const struct cert *cert = cert_make(&(struct cert_of){.issuer = ca, .san = "DNS:a.test"});
    const struct row rows[] = {{"https://a.test", ca->chain, NULL, NULL, 0},
                               {"a.test:443", ca->chain, NULL, NULL, 0}}; /* TLS, if not insecure */
    skua_grpc_server *server;
    struct secure secure;
    int served = 0;

    (void)arg;
    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_add(server, &service, &served) == 0);
    secure_begin(
        &secure,
        SKUA_TLS_CONTEXT_OPTIONS(.certificate = cert->chain, .key = cert->key, .alpn = "h2"),
        skua_grpc_handler, server);
    for (size_t i = 0; i < TEST_LEN(rows); i++)
        CHECK_EQ(sends(&secure, &rows[i], SKUA_OTLP_GRPC), 0);
    CHECK_EQ(served, 2);
    secure_end(&secure);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(tls_otlp_over_grpc)
{
    secure_run(over_grpc, NULL);
    return 0;
}

TEST(tls_otlp_options)
{
    const struct cert *cert = cert_make(&(struct cert_of){.cn = "orders"});
    skua_otel_exporter *none = NULL;
    char text[128];

    CHECK_EQ(skua_otlp_exporter_new(&none, SKUA_OTLP_OPTIONS(.endpoint = "https://a",
                                                             .client_certificate = cert->chain,
                                                             .error_text = text,
                                                             .error_size = sizeof text)),
             -EINVAL);
    CHECK(strstr(text, "key") != NULL);
    CHECK_EQ(skua_otlp_exporter_new(
                 &none, SKUA_OTLP_OPTIONS(.endpoint = "https://a", .certificate = "/nowhere.pem")),
             -ENOENT);
    CHECK(none == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_otlp_trusts_and_names),
        cmocka_unit_test(tls_otlp_over_grpc),
        cmocka_unit_test(tls_otlp_options),
    };

    return TEST_MAIN(tests);
}
