/* drivers: both */
/* test_otel_websocket.c - a request that becomes a WebSocket: its span ends with the 101, and is
 * the parent of what the handler does from then on.
 */
#include <skua/http/websocket.h>

#include "traced.h"

static skua_tracer tracer = SKUA_TRACER("test", "1");

static int echo(skua_http_exchange *exchange, void *state)
{
    skua_websocket_message message;
    skua_websocket *ws;
    int rc = skua_websocket_accept(&ws, exchange, state);

    if (rc != 0)
        return rc;
    while ((rc = skua_websocket_recv(ws, &message)) == 0)
        SKUA_SPAN(span, &tracer, "message")
        {
            skua_span_set(span, SKUA_I64("bytes", (int64_t)message.len));
            if (skua_websocket_send(ws, message.type, message.data, message.len) != 0)
                break;
        }
    skua_websocket_free(ws);
    return -EIO; /* the connection's, which is not the request's */
}

TEST_FIBER(websocket_the_span_of_its_request_ends_with_the_upgrade)
{
    skua_websocket_message message;
    const skua_otel_span *server, *client;
    skua_websocket *ws;
    struct site site;
    char url[SKUA_ADDRESS_MAX + 16];

    traced_begin(NULL);
    site_begin(&site, echo, NULL, NULL);
    (void)snprintf(url, sizeof url, "ws://%s/chat", site.address);
    MUST(skua_websocket_connect(&ws, url, NULL) == 0);
    MUST(traced_wait(2));
    client = traced_next(NULL, SKUA_SPAN_CLIENT, "GET");
    server = traced_next(NULL, SKUA_SPAN_SERVER, "GET");
    MUST(client != NULL && server != NULL);
    CHECK(traced_child(server, client));
    CHECK_ATTRS(client, {"http.response.status_code", "101"}, {"url.full", url},
                {"error.type", ""});
    CHECK_ATTRS(server, {"http.response.status_code", "101"}, {"url.path", "/chat"},
                {"error.type", ""});
    CHECK_EQ(server->status, SKUA_SPAN_UNSET);
    CHECK_EQ(skua_websocket_send_text(ws, "hello"), 0);
    MUST(skua_websocket_recv(ws, &message) == 0);
    MUST(traced_wait(3));
    server = traced_next(NULL, SKUA_SPAN_SERVER, NULL);
    CHECK(traced_child(traced_next(NULL, 0, "message"), server));
    skua_websocket_free(ws);
    site_end(&site);
    CHECK(traced_wait(3));
    traced_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket_the_span_of_its_request_ends_with_the_upgrade),
    };

    return TEST_MAIN(tests);
}
