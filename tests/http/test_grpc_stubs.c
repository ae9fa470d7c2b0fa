/* test_grpc_stubs.c - functions that protoc-gen-skua has made, between our client and our server:
 * names that are odd, methods that nobody has written, messages that are malformed.
 *
 * Methods of each kind are in examples/24_grpc_hello.c, which is run as a test, too.
 */
#include "stubs.skua.h"

#include "peer.h"

/* Deletes its text, and counts. */
static int deletes(skua_grpc_call *call, const Outer__InnerText *request, Outer__InnerText *reply,
                   void *state)
{
    (void)call;
    CHECK(state == &deletes);
    reply->count = (int32_t)strlen(request->text);
    return 0;
}

static int returns_them(skua_grpc_call *call, void *state)
{
    Outer__InnerText *request;
    int rc;

    (void)state;
    while ((rc = httpthing__get_urlof2_things_recv_request(call, &request)) == 1) {
        rc = httpthing__get_urlof2_things_send_reply(call, request);
        protobuf_c_message_free_unpacked(&request->base, NULL);
        if (rc != 0)
            break;
    }
    return rc;
}

static const httpthing_methods methods = {
    .delete_ = deletes, .get_urlof2_things = returns_them, .state = (void *)(uintptr_t)&deletes};

struct stubs {
    skua_grpc_server *server;
    struct site site;
    skua_http_client *client;
    const char *url;
};

static void stubs_begin(struct stubs *self)
{
    static const nothing_methods nothing;

    MUST(skua_grpc_server_new(&self->server, NULL) == 0);
    MUST(httpthing_add(self->server, &methods) == 0);
    MUST(nothing_add(self->server, &nothing) == 0);
    site_begin(&self->site, skua_grpc_handler, self->server, NULL);
    self->client = client_with(NULL);
    self->url = self->site.url;
}

static void stubs_end(struct stubs *self)
{
    CHECK_EQ(skua_http_client_free(self->client), 0);
    site_end(&self->site);
    skua_grpc_server_free(self->server);
}

TEST_FIBER_CURRENT(typed_calls)
{
    static char text[] = "four";
    Outer__InnerText request = OUTER__INNER_TEXT__INIT;
    Outer__InnerText *reply;
    skua_grpc_call *call;
    struct stubs stubs;

    stubs_begin(&stubs);
    request.text = text;
    CHECK_EQ(httpthing__delete_call(stubs.client, stubs.url, &request, NULL, NULL, &reply), 0);
    if (CHECK(reply != NULL)) {
        CHECK(reply->count == 4 && *reply->text == '\0');
        protobuf_c_message_free_unpacked(&reply->base, NULL);
    }
    MUST(httpthing__get_urlof2_things_call(stubs.client, stubs.url, NULL, &call) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(httpthing__get_urlof2_things_send_request(call, &request), 0);
        CHECK_EQ(httpthing__get_urlof2_things_recv_reply(call, &reply), 1);
        CHECK_TEXT(reply->text, "four");
        protobuf_c_message_free_unpacked(&reply->base, NULL);
    }
    CHECK_EQ(skua_grpc_half_close(call), 0);
    CHECK_EQ(httpthing__get_urlof2_things_recv_reply(call, &reply), 0);
    CHECK(reply == NULL);
    CHECK_EQ(skua_grpc_finish(call), 0);
    skua_grpc_close(call);
    /* Nobody has written it. */
    MUST(httpthing__peek_it_call(stubs.client, stubs.url, &request, NULL, &call) == 0);
    CHECK_EQ(httpthing__peek_it_recv_reply(call, &reply), 0);
    CHECK_EQ(skua_grpc_finish(call), SKUA_GRPC_UNIMPLEMENTED);
    skua_grpc_close(call);
    stubs_end(&stubs);
    return 0;
}

TEST_FIBER_CURRENT(failures_of_typed_calls)
{
    static char text[] = "four";
    Outer__InnerText request = OUTER__INNER_TEXT__INIT;
    Outer__InnerText *reply;
    skua_grpc_call *call;
    struct stubs stubs;
    const void *bytes;
    size_t len;

    stubs_begin(&stubs);
    request.text = text;
    CHECK_EQ(
        httpthing__delete_call(stubs.client, "http://127.0.0.1:1", &request, NULL, &call, &reply),
        SKUA_GRPC_UNAVAILABLE);
    CHECK(reply == NULL && call != NULL);
    skua_grpc_close(call);
    CHECK_EQ(httpthing__delete_call(stubs.client, "no url", &request, NULL, &call, &reply),
             -EINVAL);
    CHECK(reply == NULL && call == NULL);
    CHECK_EQ(httpthing__delete_call(stubs.client, stubs.url, &request,
                                    SKUA_GRPC_CALL_OPTIONS(.send_max = 1), &call, &reply),
             -EMSGSIZE);
    CHECK(reply == NULL && call == NULL);
    /* What is no message. */
    CHECK_EQ(skua_grpc_unary(stubs.client, stubs.url, "HTTPThing/Delete", "\x0b", 1, NULL, &call,
                             &bytes, &len),
             SKUA_GRPC_INTERNAL);
    CHECK_TEXT(skua_grpc_status_of(call)->message, "a message is malformed");
    skua_grpc_close(call);
    MUST(skua_grpc_open(stubs.client, stubs.url, "HTTPThing/GetURLOf2Things", SKUA_GRPC_BIDI, NULL,
                        &call) == 0);
    CHECK_EQ(skua_grpc_send(call, "\x0b", 1), 0);
    CHECK_EQ(skua_grpc_finish(call), SKUA_GRPC_INTERNAL);
    skua_grpc_close(call);
    stubs_end(&stubs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_calls),
        cmocka_unit_test(failures_of_typed_calls),
    };

    return TEST_MAIN(tests);
}
