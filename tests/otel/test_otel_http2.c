/* drivers: both */
/* test_otel_http2.c - spans of requests in HTTP/2, of calls, and of gRPC.
 *
 * Specifies: as test_otel_http.c, with many streams of a connection; a stream that is reset; a
 * call's span ends with the call; gRPC's names, attributes and codes on either side.
 */
#include <skua/http/call.h>
#include <skua/http/grpc_client.h>
#include <skua/http/grpc_server.h>
#include <skua/http/router.h>

#include "traced.h"

static skua_tracer tracer = SKUA_TRACER("test", "1");

static int order(skua_http_exchange *exchange, void *state)
{
    const char *id = skua_http_param(exchange, "id");

    (void)state;
    SKUA_SPAN(span, &tracer, "inside")
    {
        skua_span_set(span, SKUA_I64("id", atoi(id)));
        (void)skua_sleep(MS(1));
    }
    return skua_http_replyf(exchange, 200, "text/plain", "%s", id);
}

static int waits(skua_http_exchange *exchange, void *state)
{
    int rc = skua_http_flush(exchange);

    (void)state;
    return rc == 0 ? skua_sleep(SKUA_FOREVER) : rc;
}

struct place {
    struct site site;
    skua_http_router *router;
    skua_http_client *client;
};

static void place_begin(struct place *place)
{
    MUST(skua_http_router_new(&place->router) == 0);
    MUST(skua_http_route(place->router, "GET", "/orders/:id", order, NULL) == 0);
    MUST(skua_http_route(place->router, "GET", "/waits", waits, NULL) == 0);
    place->client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY));
    site_begin(&place->site, skua_http_router_handler, place->router, NULL);
}

static void place_end(struct place *place)
{
    CHECK_EQ(skua_http_client_free(place->client), 0);
    site_end(&place->site);
    skua_http_router_free(place->router);
}

/* ---- requests ------------------------------------------------------------------------------- */

struct many {
    struct place *place;
    int id;
};

static int many_asks(void *arg)
{
    const struct many *self = arg;
    char path[32], body[16];

    (void)snprintf(path, sizeof path, "/orders/%d", self->id);
    (void)snprintf(body, sizeof body, "%d", self->id);
    SKUA_SPAN(span, &tracer, "mine")
    {
        skua_span_set(span, SKUA_I64("id", self->id));
        CHECK_EQ(gets_(self->place->client, AT(self->place->site.url, path), body), 200);
    }
    return 0;
}

TEST_FIBER(http2_requests_that_share_a_connection_are_trees_of_their_own)
{
    enum { MANY = 64 };
    struct place place;
    struct many asks[MANY];
    skua_scope scope;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < MANY; i++) {
        asks[i] = (struct many){&place, i};
        MUST(skua_spawn(&scope, many_asks, &asks[i]) == 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    MUST(traced_wait(4 * MANY));
    for (const skua_otel_span *inside = NULL;
         (inside = traced_next(inside, 0, "inside")) != NULL;) {
        size_t count = 0;

        for (size_t i = 0; i < traced_count; i++) {
            if (memcmp(traced[i].trace_id, inside->trace_id, 16) != 0)
                continue;
            count++;
            if (traced[i].kind == SKUA_SPAN_INTERNAL)
                CHECK_TEXT(ATTR(&traced[i], "id"), ATTR(inside, "id"));
            if (traced[i].kind == SKUA_SPAN_SERVER) {
                CHECK(traced_child(inside, &traced[i]));
                CHECK(traced_is(traced[i].name, "GET /orders/:id"));
                CHECK_ATTRS(&traced[i], {"network.protocol.version", "2"},
                            {"server.address", "127.0.0.1"}, {"url.scheme", "http"});
            }
            if (traced[i].kind == SKUA_SPAN_CLIENT)
                CHECK_ATTRS(&traced[i], {"network.protocol.version", "2"},
                            {"http.response.status_code", "200"});
        }
        CHECK_EQ(count, 4);
    }
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http2_methods_that_are_not_known_have_no_names)
{
    skua_http_response *response;
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_http_client_send(
             place.client,
             SKUA_HTTP_REQUEST(.method = "BREW", .url = AT(place.site.url, "/orders/1")),
             &response) == 0);
    skua_http_response_close(response);
    MUST(traced_wait(2));
    CHECK(traced_is(traced[0].name, "HTTP"));
    CHECK(traced_is(traced[1].name, "HTTP"));
    CHECK_ATTRS(&traced[0], {"http.request.method", "_OTHER"},
                {"http.request.method_original", "BREW"});
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http2_a_client_that_goes_away_cuts_the_servers_span)
{
    const skua_otel_span *server;
    skua_http_response *response;
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_http_client_send(place.client, SKUA_HTTP_REQUEST(.url = AT(place.site.url, "/waits")),
                               &response) == 0);
    skua_http_response_close(response);
    MUST(traced_wait(2));
    server = traced_next(NULL, SKUA_SPAN_SERVER, "GET /waits");
    MUST(server != NULL);
    CHECK_ATTRS(server, {"error.type", "ECANCELED"});
    CHECK_EQ(server->status, SKUA_SPAN_ERROR);
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http2_a_calls_span_lasts_as_long_as_the_call)
{
    skua_http_response *response;
    const skua_otel_span *client;
    skua_http_call *call;
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_http_client_open(
             place.client, SKUA_HTTP_REQUEST(.url = AT(place.site.url, "/orders/3")), &call) == 0);
    CHECK_EQ(skua_http_call_end(call), 0);
    MUST(skua_http_call_response(call, &response) == 0);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 100), 0);
    MUST(traced_wait(2));
    CHECK(traced_next(NULL, SKUA_SPAN_CLIENT, NULL) == NULL);
    CHECK(skua_span_recording(skua_http_call_span(call)));
    skua_http_call_close(call);
    MUST(traced_wait(3));
    client = traced_next(NULL, SKUA_SPAN_CLIENT, "GET");
    MUST(client != NULL);
    CHECK_ATTRS(client, {"http.response.status_code", "200"});
    CHECK(traced_child(traced_next(NULL, SKUA_SPAN_SERVER, NULL), client));
    place_end(&place);
    traced_end();
    return 0;
}

/* ---- gRPC ----------------------------------------------------------------------------------- */

static int echo(skua_grpc_call *call, void *state)
{
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    (void)state;
    SKUA_SPAN(span, &tracer, "inside")
    skua_span_set(span, SKUA_I64("bytes", (int64_t)len));
    return rc == 0 ? skua_grpc_send(call, message, len) : rc;
}

static int missing(skua_grpc_call *call, void *state)
{
    (void)state;
    return skua_grpc_fail(call, SKUA_GRPC_NOT_FOUND, "it is not there");
}

static int breaks(skua_grpc_call *call, void *state)
{
    (void)state;
    return skua_grpc_fail(call, SKUA_GRPC_DATA_LOSS, "lost");
}

static const skua_grpc_method methods[] = {{"Echo", SKUA_GRPC_UNARY, echo},
                                           {"Missing", SKUA_GRPC_UNARY, missing},
                                           {"Breaks", SKUA_GRPC_UNARY, breaks}};
static const skua_grpc_service service = {"shop.Orders", methods, TEST_LEN(methods), NULL, 0};

TEST_FIBER(http2_grpc_calls_are_described_on_their_requests_spans)
{
    static const struct {
        const char *method, *name, *code, *server, *client; /* error.type */
    } rows[] = {{"shop.Orders/Echo", "Echo", "0", "", ""},
                {"shop.Orders/Missing", "Missing", "5", "", "NOT_FOUND"},
                {"shop.Orders/Breaks", "Breaks", "15", "DATA_LOSS", "DATA_LOSS"}};
    skua_http_client *client = client_with(NULL);
    skua_grpc_server *grpc;
    struct site site;

    traced_begin(NULL);
    MUST(skua_grpc_server_new(&grpc, NULL) == 0);
    MUST(skua_grpc_add(grpc, &service, NULL) == 0);
    site_begin(&site, skua_grpc_handler, grpc, NULL);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        const skua_otel_span *asks, *serves;
        const void *reply;
        skua_grpc_call *call;
        size_t len;

        skua_otel_memory_clear(traced_memory);
        MUST(skua_grpc_unary(client, site.url, rows[i].method, "abc", 3, NULL, &call, &reply,
                             &len) >= 0);
        skua_grpc_close(call);
        MUST(traced_wait(i == 0 ? 3 : 2));
        asks = traced_next(NULL, SKUA_SPAN_CLIENT, rows[i].method);
        serves = traced_next(NULL, SKUA_SPAN_SERVER, rows[i].method);
        MUST(asks != NULL && serves != NULL);
        CHECK(traced_child(serves, asks));
        CHECK_ATTRS(asks, {"rpc.system", "grpc"}, {"rpc.service", "shop.Orders"},
                    {"rpc.method", rows[i].name}, {"rpc.grpc.status_code", rows[i].code},
                    {"error.type", rows[i].client}, {"http.response.status_code", "200"});
        CHECK_ATTRS(serves, {"rpc.system", "grpc"}, {"rpc.service", "shop.Orders"},
                    {"rpc.method", rows[i].name}, {"rpc.grpc.status_code", rows[i].code},
                    {"error.type", rows[i].server}, {"http.response.status_code", "200"});
        CHECK_EQ(asks->status, *rows[i].client ? SKUA_SPAN_ERROR : SKUA_SPAN_UNSET);
        CHECK_EQ(serves->status, *rows[i].server ? SKUA_SPAN_ERROR : SKUA_SPAN_UNSET);
        if (i == 0)
            CHECK(traced_child(traced_next(NULL, 0, "inside"), serves));
    }
    CHECK_EQ(skua_http_client_free(client), 0); /* a server waits for its clients' end */
    site_end(&site);
    skua_grpc_server_free(grpc);
    traced_end();
    return 0;
}

TEST_FIBER(http2_a_call_of_a_method_that_is_not_there_gives_the_server_no_name)
{
    skua_http_client *client = client_with(NULL);
    const skua_otel_span *serves;
    skua_grpc_server *grpc;
    struct site site;
    const void *reply;
    skua_grpc_call *call;
    size_t len;

    traced_begin(NULL);
    MUST(skua_grpc_server_new(&grpc, NULL) == 0);
    MUST(skua_grpc_add(grpc, &service, NULL) == 0);
    site_begin(&site, skua_grpc_handler, grpc, NULL);
    CHECK_EQ(skua_grpc_unary(client, site.url, "evil/17", "", 0, NULL, &call, &reply, &len),
             SKUA_GRPC_UNIMPLEMENTED);
    skua_grpc_close(call);
    MUST(traced_wait(2));
    serves = traced_next(NULL, SKUA_SPAN_SERVER, NULL);
    CHECK(traced_is(serves->name, "POST"));
    CHECK_ATTRS(serves, {"rpc.method", ""}, {"rpc.grpc.status_code", "12"},
                {"error.type", "UNIMPLEMENTED"});
    CHECK_EQ(skua_http_client_free(client), 0); /* a server waits for its clients' end */
    site_end(&site);
    skua_grpc_server_free(grpc);
    traced_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_requests_that_share_a_connection_are_trees_of_their_own),
        cmocka_unit_test(http2_methods_that_are_not_known_have_no_names),
        cmocka_unit_test(http2_a_client_that_goes_away_cuts_the_servers_span),
        cmocka_unit_test(http2_a_calls_span_lasts_as_long_as_the_call),
        cmocka_unit_test(http2_grpc_calls_are_described_on_their_requests_spans),
        cmocka_unit_test(http2_a_call_of_a_method_that_is_not_there_gives_the_server_no_name),
    };

    return TEST_MAIN(tests);
}
