/* test_tls_grpc.c - gRPC over TLS: HTTP/2 is agreed on, and where it cannot be the call says so. */
#include <skua/http/grpc_client.h>
#include <skua/http/grpc_server.h>

#include "secure.h"

static int echo(skua_grpc_call *call, void *state)
{
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    (void)state;
    CHECK_TEXT(skua_http_scheme(skua_grpc_exchange(call)), "https");
    return rc == 0 ? skua_grpc_send(call, message, len) : rc;
}

static const skua_grpc_method methods[] = {{"Echo", SKUA_GRPC_UNARY, echo}};
static const skua_grpc_service service = {"a.B", methods, 1, NULL, 0};

static int asks(skua_http_client *client, const char *url)
{
    skua_grpc_call *call;
    const void *reply;
    size_t len;
    int rc = skua_grpc_unary(client, url, "a.B/Echo", "hello", 5, NULL, &call, &reply, &len);

    CHECK(rc != 0 || (len == 5 && memcmp(reply, "hello", 5) == 0));
    skua_grpc_close(call);
    return rc;
}

static int calls(void *arg)
{
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));
    skua_http_client *stranger = client_with(NULL);
    skua_grpc_server *server;
    struct secure secure;

    (void)arg;
    MUST(skua_grpc_server_new(&server, NULL) == 0);
    MUST(skua_grpc_add(server, &service, NULL) == 0);
    secure_begin_tcp(&secure, SERVER(certs()->address, .alpn = "h2,http/1.1"), skua_grpc_handler,
                     server);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(asks(client, secure.site.url), 0);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(asks(stranger, secure.site.url), SKUA_GRPC_UNAVAILABLE); /* trusts nobody */
    CHECK_EQ(skua_http_client_close_idle(client), 1);
    secure_end(&secure);
    secure_begin_tcp(&secure, SERVER(certs()->address, .alpn = "http/1.1"), skua_grpc_handler,
                     server);
    CHECK_EQ(asks(client, secure.site.url), SKUA_GRPC_UNAVAILABLE);
    secure_end(&secure);
    CHECK_EQ(skua_http_client_free(stranger), 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    skua_grpc_server_free(server);
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER_CURRENT(calls_over_tls)
{
    secure_run(calls, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_over_tls)};

    return TEST_MAIN(tests);
}
