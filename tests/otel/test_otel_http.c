/* drivers: both */
/* test_otel_http.c - servers and clients of HTTP/1.1 make spans by themselves.
 *
 * Specifies: a client's span is its server's parent; what handlers make is inside; names by route;
 * attributes by the semantic conventions; errors on either side; redirects and repeats; answers
 * that are cut; many requests at a time, each tree for itself; nothing where telemetry is off or
 * suppressed. HTTP/2, gRPC and WebSockets are in test_otel_http2.c.
 */
#include <skua/http/middleware.h>
#include <skua/http/router.h>
#include <skua/join_set.h>

#include "traced.h"

static skua_tracer tracer = SKUA_TRACER("test", "1");
static skua_http_client *onward; /* of handlers that ask on */
static char onward_url[128];

static int spawned(void *arg)
{
    SKUA_SPAN(span, &tracer, "spawned")
    skua_span_set(span, SKUA_I64("id", (intptr_t)arg));
    return 0;
}

/* A span inside, and one in a task that it spawns. */
static int order(skua_http_exchange *exchange, void *state)
{
    const char *id = skua_http_param(exchange, "id");
    skua_task *task;

    (void)state;
    SKUA_SPAN(span, &tracer, "inside")
    {
        skua_span_set(span, SKUA_I64("id", atoi(id)));
        MUST(skua_spawn(NULL, spawned, (void *)(intptr_t)atoi(id), .task = &task) == 0);
        MUST(skua_task_join(task, NULL) == 0);
    }
    return skua_http_replyf(exchange, 200, "text/plain", "%s", id);
}

static int fails(skua_http_exchange *exchange, void *state)
{
    (void)exchange;
    (void)state;
    return -EIO;
}

static int invalid(skua_http_exchange *exchange, void *state)
{
    (void)exchange;
    (void)state;
    return -EINVAL;
}

static int current(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_replyf(exchange, 200, NULL, "%s",
                            skua_span_current() != NULL ? "a span" : "-");
}

static int refuses(skua_http_exchange *exchange, void *state)
{
    return skua_http_reply(exchange, (int)(intptr_t)state, NULL, "no", 2);
}

/* Half of what it says that it will send. */
static int cuts(skua_http_exchange *exchange, void *state)
{
    (void)state;
    MUST(skua_http_set_header(exchange, "Content-Length", "10") == 0);
    MUST(skua_http_write(exchange, "12345", 5) == 5);
    return -EPROTO;
}

static int moved(skua_http_exchange *exchange, void *state)
{
    MUST(skua_http_set_header(exchange, "Location", state) == 0);
    return skua_http_reply(exchange, 302, NULL, NULL, 0);
}

/* Says which of telemetry's fields came. */
static int fields(skua_http_exchange *exchange, void *state)
{
    const char *parent = skua_http_header(exchange, "traceparent");
    const char *baggage = skua_http_header(exchange, "baggage");
    const char *user = skua_baggage_get("user");

    (void)state;
    return skua_http_replyf(exchange, 200, NULL, "%s %s %s", parent != NULL ? parent : "-",
                            baggage != NULL ? baggage : "-", user != NULL ? user : "-");
}

static int asks_on(skua_http_exchange *exchange, void *state)
{
    skua_http_response *response;
    char url[256];
    int rc;

    (void)state;
    (void)snprintf(url, sizeof url, "%s%s?id=%s", onward_url, "/fields",
                   skua_http_param(exchange, "id"));
    rc = skua_http_get(onward, url, 1000, &response);
    if (rc != 0)
        return rc;
    rc = skua_http_replyf(exchange, 200, NULL, "%s", skua_http_response_body(response, NULL));
    skua_http_response_close(response);
    return rc;
}

static int renames(skua_http_exchange *exchange, void *state)
{
    (void)state;
    skua_span_rename(skua_span_current(), "of its own");
    return skua_http_reply(exchange, 200, NULL, NULL, 0);
}

static skua_http_router *routes(void)
{
    skua_http_router *router;

    MUST(skua_http_router_new(&router) == 0);
    MUST(skua_http_route(router, "GET", "/orders/:id", order, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/fails", fails, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/invalid", invalid, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/current", current, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/503", refuses, (void *)503) == 0);
    MUST(skua_http_route(router, "GET", "/409", refuses, (void *)409) == 0);
    MUST(skua_http_route(router, "GET", "/cuts", cuts, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/moved", moved, (void *)(uintptr_t) "/orders/9") == 0);
    MUST(skua_http_route(router, "GET", "/fields", fields, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/on/:id", asks_on, NULL) == 0);
    MUST(skua_http_route(router, "GET", "/renames", renames, NULL) == 0);
    return router;
}

struct place {
    struct site site;
    skua_http_router *router;
    skua_http_client *client;
};

static void place_begin(struct place *place)
{
    place->router = routes();
    place->client = client_with(NULL);
    site_begin(&place->site, skua_http_router_handler, place->router, NULL);
}

static void place_end(struct place *place)
{
    site_end(&place->site);
    skua_http_client_free(place->client);
    skua_http_router_free(place->router);
}

/* ---- one request ---------------------------------------------------------------------------- */

TEST_FIBER(http_spans_of_a_request_make_one_tree)
{
    const skua_otel_span *mine, *client, *server, *inside, *deep;
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    SKUA_SPAN(span, &tracer, "mine")
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/orders/7"), "7"), 200);
    MUST(traced_wait(5));
    mine = traced_next(NULL, SKUA_SPAN_INTERNAL, "mine");
    client = traced_next(NULL, SKUA_SPAN_CLIENT, "GET");
    server = traced_next(NULL, SKUA_SPAN_SERVER, "GET /orders/:id");
    inside = traced_next(NULL, 0, "inside");
    deep = traced_next(NULL, 0, "spawned");
    MUST(mine != NULL && client != NULL && server != NULL && inside != NULL && deep != NULL);
    CHECK(traced_root(mine));
    CHECK(traced_child(client, mine));
    CHECK(traced_child(server, client));
    CHECK(server->parent_remote);
    CHECK(traced_child(inside, server));
    CHECK(traced_child(deep, inside));
    CHECK(traced_is(server->scope->name, "skua.http.server"));
    CHECK(traced_is(client->scope->name, "skua.http.client"));
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http_spans_have_the_attributes_of_the_conventions)
{
    static const skua_http_field agent[] = {{"User-Agent", "me/1"}};
    const skua_otel_span *client, *server;
    skua_http_response *response;
    struct place place;
    const char *port;

    traced_begin(NULL);
    place_begin(&place);
    port = strrchr(place.site.address, ':') + 1;
    MUST(skua_http_client_send(place.client,
                               SKUA_HTTP_REQUEST(.url = AT(place.site.url, "/orders/7?a=b&sig=xyz"),
                                                 .headers = agent, .headers_count = 1),
                               &response) == 0);
    skua_http_response_close(response);
    MUST(traced_wait(4));
    client = traced_next(NULL, SKUA_SPAN_CLIENT, NULL);
    server = traced_next(NULL, SKUA_SPAN_SERVER, NULL);
    CHECK_ATTRS(
        server, {"http.request.method", "GET"}, {"http.request.method_original", ""},
        {"url.path", "/orders/7"}, {"url.query", "a=b&sig=REDACTED"}, {"url.scheme", "http"},
        {"http.route", "/orders/:id"}, {"http.response.status_code", "200"},
        {"server.address", "127.0.0.1"}, {"server.port", port}, {"client.address", "127.0.0.1"},
        {"network.protocol.version", "1.1"}, {"user_agent.original", "me/1"}, {"error.type", ""});
    CHECK_ATTRS(client, {"http.request.method", "GET"}, {"server.address", "127.0.0.1"},
                {"server.port", port},
                {"url.full", AT(place.site.url, "/orders/7?a=b&sig=REDACTED")},
                {"http.response.status_code", "200"}, {"network.protocol.version", "1.1"},
                {"http.request.resend_count", ""}, {"error.type", ""});
    CHECK_EQ(server->status, SKUA_SPAN_UNSET);
    CHECK_EQ(client->status, SKUA_SPAN_UNSET);
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http_spans_know_few_methods_and_names)
{
    static const struct {
        const char *method, *path, *name, *known, *original;
    } rows[] = {{"GET", "/nowhere/17", "GET", "GET", ""},
                {"PROPFIND", "/pot", "HTTP", "_OTHER", "PROPFIND"},
                {"GET", "/renames", "of its own", "GET", ""}};
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        const skua_otel_span *server, *client;
        skua_http_response *response;

        skua_otel_memory_clear(traced_memory);
        MUST(skua_http_client_send(place.client,
                                   SKUA_HTTP_REQUEST(.method = rows[i].method,
                                                     .url = AT(place.site.url, rows[i].path)),
                                   &response) == 0);
        skua_http_response_close(response);
        MUST(traced_wait(2));
        server = traced_next(NULL, SKUA_SPAN_SERVER, NULL);
        client = traced_next(NULL, SKUA_SPAN_CLIENT, NULL);
        CHECK(traced_is(server->name, rows[i].name));
        CHECK_ATTRS(server, {"http.request.method", rows[i].known},
                    {"http.request.method_original", rows[i].original});
        CHECK_ATTRS(client, {"http.request.method", rows[i].known},
                    {"http.request.method_original", rows[i].original});
    }
    place_end(&place);
    traced_end();
    return 0;
}

/* ---- the access log ------------------------------------------------------------------------- */

static char logged[2048];

static void keeps(const char *line, size_t len, void *arg)
{
    (void)arg;
    (void)snprintf(logged, sizeof logged, "%.*s", (int)len, line);
}

TEST_FIBER(http_the_access_log_names_trace_and_span)
{
    static skua_http_log log = {.size = sizeof log, .format = SKUA_HTTP_LOG_JSON, .write = keeps};
    const skua_otel_span *server;
    struct place place;
    char wanted[128];
    size_t len = 0;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_http_route_layer(place.router, skua_http_log_layer, &log) == 0);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/renames"), NULL), 200);
    MUST(traced_wait(2));
    server = traced_next(NULL, SKUA_SPAN_SERVER, NULL);
    len += (size_t)snprintf(wanted, sizeof wanted, "\"trace_id\":\"");
    for (size_t i = 0; i < 16; i++)
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%02x", server->trace_id[i]);
    len += (size_t)snprintf(wanted + len, sizeof wanted - len, "\",\"span_id\":\"");
    for (size_t i = 0; i < 8; i++)
        len += (size_t)snprintf(wanted + len, sizeof wanted - len, "%02x", server->span_id[i]);
    if (!CHECK(strstr(logged, wanted) != NULL))
        test_note("no %s in %s", wanted, logged);
    place_end(&place);
    traced_end();
    return 0;
}

/* ---- errors --------------------------------------------------------------------------------- */

TEST_FIBER(http_spans_tell_errors_of_their_own_side)
{
    static const struct {
        const char *path, *status, *server, *client; /* error.type */
    } rows[] = {{"/409", "409", "", "409"},      {"/nowhere", "404", "", "404"},
                {"/invalid", "400", "", "400"},  {"/503", "503", "503", "503"},
                {"/fails", "500", "EIO", "500"}, {"/cuts", "200", "EPROTO", ""}};
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        const skua_otel_span *server, *client;
        skua_http_response *response;

        skua_otel_memory_clear(traced_memory);
        MUST(skua_http_client_send(place.client,
                                   SKUA_HTTP_REQUEST(.url = AT(place.site.url, rows[i].path)),
                                   &response) == 0);
        skua_http_response_close(response);
        MUST(traced_wait(2));
        server = traced_next(NULL, SKUA_SPAN_SERVER, NULL);
        client = traced_next(NULL, SKUA_SPAN_CLIENT, NULL);
        CHECK_ATTRS(server, {"http.response.status_code", rows[i].status},
                    {"error.type", rows[i].server});
        CHECK_ATTRS(client, {"http.response.status_code", rows[i].status},
                    {"error.type", rows[i].client});
        CHECK_EQ(server->status, *rows[i].server ? SKUA_SPAN_ERROR : SKUA_SPAN_UNSET);
        CHECK_EQ(client->status, *rows[i].client ? SKUA_SPAN_ERROR : SKUA_SPAN_UNSET);
    }
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http_a_client_without_an_answer_has_a_span_with_the_error)
{
    static const struct act acts[] = {{"", RESETS}};
    const skua_otel_span *client;
    struct peer peer;
    skua_http_client *http = client_with(NULL);

    traced_begin(NULL);
    peer_begin(&peer, acts, TEST_LEN(acts));
    CHECK(gets_(http, peer.url, NULL) < 0);
    peer_end(&peer);
    MUST(traced_wait(1));
    client = traced_next(NULL, SKUA_SPAN_CLIENT, NULL);
    CHECK_ATTRS(client, {"http.response.status_code", ""}, {"network.protocol.version", ""});
    CHECK(*ATTR(client, "error.type") != '\0');
    CHECK_EQ(client->status, SKUA_SPAN_ERROR);
    skua_http_client_free(http);
    traced_end();
    return 0;
}

/* ---- again and on --------------------------------------------------------------------------- */

TEST_FIBER(http_each_redirect_and_each_repeat_is_a_span)
{
    /* The second request finds the kept connection closed, and is sent again. */
    static const struct act acts[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", CLOSES},
                                      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", CLOSES}};
    const skua_otel_span *first, *second;
    struct place place;
    struct peer peer;

    traced_begin(NULL);
    place_begin(&place);
    SKUA_SPAN(span, &tracer, "mine")
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/moved"), "9"), 200);
    MUST(traced_wait(7));
    first = traced_next(NULL, SKUA_SPAN_CLIENT, NULL);
    second = traced_next(first, SKUA_SPAN_CLIENT, NULL);
    CHECK_ATTRS(first, {"http.response.status_code", "302"}, {"http.request.resend_count", ""});
    CHECK_ATTRS(second, {"http.response.status_code", "200"}, {"http.request.resend_count", "1"});
    CHECK(memcmp(first->parent_id, second->parent_id, 8) == 0);
    CHECK(traced_child(traced_next(NULL, SKUA_SPAN_SERVER, "GET /moved"), first));
    CHECK(traced_child(traced_next(NULL, SKUA_SPAN_SERVER, "GET /orders/:id"), second));
    place_end(&place);
    skua_otel_memory_clear(traced_memory);

    place.client = client_with(NULL);
    peer_begin(&peer, acts, TEST_LEN(acts));
    CHECK_EQ(gets_(place.client, peer.url, NULL), 200);
    CHECK_EQ(gets_(place.client, peer.url, NULL), 200);
    CHECK(strstr(peer.heard, "traceparent: ") != NULL);
    CHECK(strstr(strstr(peer.heard, "traceparent: ") + 1, "traceparent: ") == NULL);
    peer_end(&peer);
    skua_http_client_free(place.client);
    traced_end();
    return 0;
}

/* ---- propagation ---------------------------------------------------------------------------- */

TEST_FIBER(http_what_came_goes_on_over_two_servers)
{
    static const skua_http_field came[] = {
        {"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"Tracestate", "other=1"},
        {"Baggage", "user=ada"}};
    const skua_otel_span *first, *asked, *second;
    skua_http_response *response;
    struct place front, back;
    char text[256];

    traced_begin(NULL);
    place_begin(&front);
    place_begin(&back);
    onward = back.client;
    (void)snprintf(onward_url, sizeof onward_url, "%s", back.site.url);
    /* Not traced itself: it hands on what it was given. */
    skua_span_frame frame;
    CHECK_EQ(skua_trace_suppress(&frame), 0);
    MUST(skua_http_client_send(front.client,
                               SKUA_HTTP_REQUEST(.url = AT(front.site.url, "/on/5"),
                                                 .headers = came, .headers_count = 3),
                               &response) == 0);
    MUST(skua_http_response_read_all(response, NULL, NULL, 1000) == 0);
    CHECK_EQ(skua_span_leave(&frame), 0);
    MUST(traced_wait(3));
    first = traced_next(NULL, SKUA_SPAN_SERVER, "GET /on/:id");
    asked = traced_next(NULL, SKUA_SPAN_CLIENT, NULL);
    second = traced_next(NULL, SKUA_SPAN_SERVER, "GET /fields");
    MUST(first != NULL && asked != NULL && second != NULL);
    CHECK(memcmp(first->trace_id,
                 "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c", 16) == 0);
    CHECK(memcmp(first->parent_id, "\xb7\xad\x6b\x71\x69\x20\x33\x31", 8) == 0);
    CHECK(traced_is(first->trace_state, "other=1"));
    CHECK(traced_child(asked, first));
    CHECK(traced_child(second, asked));
    (void)snprintf(text, sizeof text,
                   "00-0af7651916cd43dd8448eb211c80319c-%02x%02x%02x%02x%02x%02x%02x%02x-01 "
                   "user=ada ada",
                   asked->span_id[0], asked->span_id[1], asked->span_id[2], asked->span_id[3],
                   asked->span_id[4], asked->span_id[5], asked->span_id[6], asked->span_id[7]);
    CHECK_TEXT(skua_http_response_body(response, NULL), text);
    skua_http_response_close(response);
    place_end(&front);
    place_end(&back);
    traced_end();
    return 0;
}

TEST_FIBER(http_without_an_sdk_what_came_goes_on_as_it_was)
{
    static const skua_http_field came[] = {
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"baggage", "user=ada"}};
    skua_http_response *response;
    struct place front, back;

    CHECK_EQ(skua_propagation_use("tracecontext,baggage"), 0);
    place_begin(&front);
    place_begin(&back);
    onward = back.client;
    (void)snprintf(onward_url, sizeof onward_url, "%s", back.site.url);
    MUST(skua_http_client_send(front.client,
                               SKUA_HTTP_REQUEST(.url = AT(front.site.url, "/on/5"),
                                                 .headers = came, .headers_count = 2),
                               &response) == 0);
    MUST(skua_http_response_read_all(response, NULL, NULL, 1000) == 0);
    CHECK_TEXT(skua_http_response_body(response, NULL),
               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 user=ada ada");
    skua_http_response_close(response);
    CHECK_EQ(gets_(front.client, AT(front.site.url, "/on/5"), "- - -"), 200);
    CHECK_EQ(skua_propagation_use("none"), 0);
    place_end(&front);
    place_end(&back);
    return 0;
}

TEST_FIBER(http_a_suppressed_client_writes_nothing)
{
    struct place place;
    skua_baggage_frame baggage;
    skua_span_frame frame;

    traced_begin(NULL);
    place_begin(&place);
    CHECK_EQ(skua_baggage_set(&baggage, "user", "ada", NULL), 0);
    CHECK_EQ(skua_trace_suppress(&frame), 0);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/fields"), "- - -"), 200);
    CHECK_EQ(skua_span_leave(&frame), 0);
    CHECK_EQ(skua_baggage_end(&baggage), 0);
    MUST(traced_wait(1)); /* the server's, which begins a trace */
    CHECK(traced_root(&traced[0]));
    place_end(&place);
    traced_end();
    return 0;
}

/* As a proxy has them, that hands on all fields. */
TEST_FIBER(http_a_clients_own_context_comes_instead_of_fields_that_are_there)
{
    static const skua_http_field old[] = {
        {"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
    skua_http_response *response;
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_http_client_send(place.client,
                               SKUA_HTTP_REQUEST(.url = AT(place.site.url, "/fields"),
                                                 .headers = old, .headers_count = 1),
                               &response) == 0);
    skua_http_response_close(response);
    MUST(traced_wait(2));
    CHECK(traced_child(traced_next(NULL, SKUA_SPAN_SERVER, NULL),
                       traced_next(NULL, SKUA_SPAN_CLIENT, NULL)));
    place_end(&place);
    traced_end();
    return 0;
}

TEST_FIBER(http_a_kept_connection_keeps_no_span)
{
    struct place place;

    traced_begin(NULL);
    place_begin(&place);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/current"), "a span"), 200);
    CHECK(traced_wait(2));
    traced_end();
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/current"), "-"), 200);
    CHECK_EQ(client_stats(place.client).reused, 1);
    place_end(&place);
    return 0;
}

TEST_FIBER(http_a_server_inside_of_a_span_begins_traces_of_its_own)
{
    struct place place;

    traced_begin(NULL);
    SKUA_SPAN(span, &tracer, "the whole program")
    place_begin(&place);
    skua_span_frame frame;
    CHECK_EQ(skua_trace_suppress(&frame), 0);
    CHECK_EQ(gets_(place.client, AT(place.site.url, "/renames"), NULL), 200);
    CHECK_EQ(skua_span_leave(&frame), 0);
    MUST(traced_wait(2));
    CHECK(traced_root(traced_next(NULL, SKUA_SPAN_SERVER, NULL)));
    place_end(&place);
    traced_end();
    return 0;
}

/* ---- many ----------------------------------------------------------------------------------- */

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

TEST_FIBER(http_sixty_four_requests_are_sixty_four_trees)
{
    enum { MANY = 64 };
    struct place place;
    struct many asks[MANY];
    skua_scope scope;
    size_t trees = 0;

    traced_begin(NULL);
    place_begin(&place);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < MANY; i++) {
        asks[i] = (struct many){&place, i};
        MUST(skua_spawn(&scope, many_asks, &asks[i]) == 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    /* A kept connection may be found closed: no; so each request is sent once. */
    MUST(traced_wait(5 * MANY));
    for (const skua_otel_span *mine = NULL;
         (mine = traced_next(mine, SKUA_SPAN_INTERNAL, "mine")) != NULL;) {
        const char *id = ATTR(mine, "id");
        size_t count = 0;

        CHECK(traced_root(mine));
        for (size_t i = 0; i < traced_count; i++) {
            if (memcmp(traced[i].trace_id, mine->trace_id, 16) != 0)
                continue;
            count++;
            if (traced[i].kind == SKUA_SPAN_INTERNAL)
                CHECK_TEXT(ATTR(&traced[i], "id"), id);
            if (traced[i].kind == SKUA_SPAN_SERVER)
                CHECK_TEXT(ATTR(&traced[i], "url.path") + 8, id);
        }
        CHECK_EQ(count, 5);
        trees++;
    }
    CHECK_EQ(trees, MANY);
    place_end(&place);
    traced_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_spans_of_a_request_make_one_tree),
        cmocka_unit_test(http_spans_have_the_attributes_of_the_conventions),
        cmocka_unit_test(http_spans_know_few_methods_and_names),
        cmocka_unit_test(http_the_access_log_names_trace_and_span),
        cmocka_unit_test(http_spans_tell_errors_of_their_own_side),
        cmocka_unit_test(http_a_client_without_an_answer_has_a_span_with_the_error),
        cmocka_unit_test(http_each_redirect_and_each_repeat_is_a_span),
        cmocka_unit_test(http_what_came_goes_on_over_two_servers),
        cmocka_unit_test(http_without_an_sdk_what_came_goes_on_as_it_was),
        cmocka_unit_test(http_a_suppressed_client_writes_nothing),
        cmocka_unit_test(http_a_clients_own_context_comes_instead_of_fields_that_are_there),
        cmocka_unit_test(http_a_kept_connection_keeps_no_span),
        cmocka_unit_test(http_a_server_inside_of_a_span_begins_traces_of_its_own),
        cmocka_unit_test(http_sixty_four_requests_are_sixty_four_trees),
    };

    return TEST_MAIN(tests);
}
