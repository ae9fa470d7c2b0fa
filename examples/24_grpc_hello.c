/* 24_grpc_hello.c - a gRPC server and a client with typed messages: a method of each kind.
 *
 *     ./24_grpc_hello                      serves, and asks itself a few things
 *     ./24_grpc_hello 127.0.0.1:50051      serves until Ctrl-C
 *     ./24_grpc_hello ask http://127.0.0.1:50051
 *
 *     grpcurl -plaintext -d '{"name": "you"}' 127.0.0.1:50051 hello.Greeter/SayHello
 *
 * The messages and the functions around them are made of hello.proto, by protobuf-c and by
 * protoc-gen-skua:
 *
 *     PATH=$PATH:../tools/gen protoc --c_out=. --skua_out=. hello.proto
 *     cc 24_grpc_hello.c hello.*.c $(pkg-config --cflags --libs skua-http libprotobuf-c) && ./a.out
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <skua/http/grpc_services.h>
#include <skua/http/server.h>
#include <skua/skua.h>

#include "hello.skua.h"

/* ---- the server ------------------------------------------------------------------------------ */

/* "Hello, NAME!", in the call's memory; NULL: there is none. */
static char *greeting(skua_grpc_call *call, const char *name)
{
    size_t size = strlen(name) + 10;
    char *text = skua_grpc_alloc(call, size);

    if (text != NULL)
        (void)snprintf(text, size, "Hello, %s!", name);
    return text;
}

static int say_hello(skua_grpc_call *call, const Hello__HelloRequest *request,
                     Hello__HelloReply *reply, void *state)
{
    (void)state;
    if (*request->name == '\0')
        return skua_grpc_fail(call, SKUA_GRPC_INVALID_ARGUMENT, "nobody to greet");
    reply->text = greeting(call, request->name);
    return reply->text != NULL ? 0 : -ENOMEM;
}

static int count_down(skua_grpc_call *call, const Hello__CountRequest *request, void *state)
{
    Hello__HelloReply reply = HELLO__HELLO_REPLY__INIT;
    char text[24];
    int rc = 0;

    (void)state;
    reply.text = text;
    for (int i = request->from; rc == 0 && i >= 0; i--) {
        (void)snprintf(text, sizeof text, "%d", i);
        rc = hello__greeter__count_down_send_reply(call, &reply);
        if (rc == 0)
            rc = skua_sleep(10 * SKUA_MILLISECOND); /* -ETIMEDOUT: DEADLINE_EXCEEDED */
    }
    return rc;
}

static int greet_all(skua_grpc_call *call, Hello__HelloReply *reply, void *state)
{
    Hello__HelloRequest *request;
    static const char end[] = "and that is all";
    char *text = skua_grpc_alloc(call, 1024);
    size_t len = 0;
    int rc = text != NULL ? 1 : -ENOMEM;

    (void)state;
    while (rc == 1 && (rc = hello__greeter__greet_all_recv_request(call, &request)) == 1) {
        if (len + strlen(request->name) < 900)
            len += (size_t)snprintf(text + len, 1024 - len, "%s, ", request->name);
        hello__hello_request__free_unpacked(request, NULL);
    }
    if (rc == 0) {
        memcpy(text + len, end, sizeof end);
        reply->text = text;
    }
    return rc;
}

static int chat(skua_grpc_call *call, void *state)
{
    Hello__HelloReply reply = HELLO__HELLO_REPLY__INIT;
    Hello__HelloRequest *request;
    int rc;

    (void)state;
    while ((rc = hello__greeter__chat_recv_request(call, &request)) == 1) {
        reply.text = request->name;
        rc = hello__greeter__chat_send_reply(call, &reply);
        hello__hello_request__free_unpacked(request, NULL);
        if (rc != 0)
            break;
    }
    return rc;
}

static const hello__greeter_methods methods = {say_hello, count_down, greet_all, chat, NULL};

/* ---- the client ------------------------------------------------------------------------------ */

static int greets(skua_http_client *client, const char *url, char *name)
{
    Hello__HelloRequest request = HELLO__HELLO_REQUEST__INIT;
    Hello__HelloReply *reply;
    skua_grpc_call *call;
    int rc;

    request.name = name;
    rc = hello__greeter__say_hello_call(
        client, url, &request, SKUA_GRPC_CALL_OPTIONS(.timeout = 5 * SKUA_SECOND), &call, &reply);
    if (rc == 0)
        printf("%s\n", reply->text);
    else if (rc > 0)
        printf("%s: %s\n", skua_grpc_code_name(rc), skua_grpc_status_of(call)->message);
    if (reply != NULL)
        hello__hello_reply__free_unpacked(reply, NULL);
    skua_grpc_close(call);
    return rc < 0 ? rc : 0;
}

/* Prints what comes, to the call's end. */
static int counts(skua_http_client *client, const char *url, int from)
{
    Hello__CountRequest request = HELLO__COUNT_REQUEST__INIT;
    Hello__HelloReply *reply;
    skua_grpc_call *call;
    int rc;

    request.from = from;
    rc = hello__greeter__count_down_call(client, url, &request, NULL, &call);
    if (rc != 0)
        return rc;
    while ((rc = hello__greeter__count_down_recv_reply(call, &reply)) == 1) {
        printf("%s ", reply->text);
        hello__hello_reply__free_unpacked(reply, NULL);
    }
    if (rc == 0)
        rc = skua_grpc_finish(call);
    printf("%s\n", rc >= 0 ? skua_grpc_code_name(rc) : skua_strerror(rc));
    skua_grpc_close(call);
    return rc < 0 ? rc : 0;
}

static int greets_all(skua_http_client *client, const char *url)
{
    static char names[][8] = {"Ann", "Ben", "Cleo"};
    Hello__HelloRequest request = HELLO__HELLO_REQUEST__INIT;
    Hello__HelloReply *reply = NULL;
    skua_grpc_call *call;
    int rc = hello__greeter__greet_all_call(client, url, NULL, &call);

    if (rc != 0)
        return rc;
    for (int i = 0; rc == 0 && i < 3; i++) {
        request.name = names[i];
        rc = hello__greeter__greet_all_send_request(call, &request);
    }
    if (rc == 0)
        rc = skua_grpc_half_close(call);
    if (rc == 0)
        rc = hello__greeter__greet_all_recv_reply(call, &reply);
    if (rc == 0)
        printf("%s\n", reply->text);
    if (reply != NULL)
        hello__hello_reply__free_unpacked(reply, NULL);
    skua_grpc_close(call);
    return rc > 0 ? -EIO : rc;
}

static int chats(skua_http_client *client, const char *url)
{
    Hello__HelloRequest request = HELLO__HELLO_REQUEST__INIT;
    Hello__HelloReply *reply;
    skua_grpc_call *call;
    char text[16];
    int rc = hello__greeter__chat_call(client, url, NULL, &call);

    if (rc != 0)
        return rc;
    request.name = text;
    for (int i = 1; rc == 0 && i <= 3; i++) {
        (void)snprintf(text, sizeof text, "word %d", i);
        rc = hello__greeter__chat_send_request(call, &request);
        if (rc != 0 || (rc = hello__greeter__chat_recv_reply(call, &reply)) != 1)
            break;
        printf("%s back\n", reply->text);
        hello__hello_reply__free_unpacked(reply, NULL);
        rc = 0;
    }
    if (rc == 0)
        rc = skua_grpc_finish(call);
    skua_grpc_close(call);
    return rc > 0 ? -EIO : rc;
}

static int ask(const char *url)
{
    static char world[] = "world", nobody[] = "";
    skua_http_client *client;
    int rc = skua_http_client_new(&client, NULL);

    if (rc != 0)
        return rc;
    rc = greets(client, url, world);
    if (rc == 0)
        rc = greets(client, url, nobody);
    if (rc == 0)
        rc = counts(client, url, 5);
    if (rc == 0)
        rc = greets_all(client, url);
    if (rc == 0)
        rc = chats(client, url);
    (void)skua_http_client_free(client);
    return rc;
}

/* ---- both ------------------------------------------------------------------------------------ */

struct app {
    const char *address; /* NULL: asks itself */
    const char *url;     /* of somebody else to ask; NULL: serves */
    skua_grpc_server *grpc;
    skua_http_server *server;
    skua_listener *listener;
};

static int run(void *arg)
{
    struct app *app = arg;

    return skua_http_server_run(app->server, app->listener);
}

static int asks_itself(struct app *app, const char *address)
{
    char url[SKUA_ADDRESS_MAX + 8];
    skua_scope scope;
    int rc;

    (void)snprintf(url, sizeof url, "http://%s", address);
    (void)skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&scope, run, app);
    if (rc == 0)
        rc = ask(url);
    (void)skua_scope_cancel(&scope); /* as Ctrl-C does */
    (void)skua_scope_join(&scope);
    return rc;
}

static int serve(struct app *app)
{
    char address[SKUA_ADDRESS_MAX];
    int rc = skua_tcp_listen(&app->listener, app->address ? app->address : "127.0.0.1:0", NULL);

    if (rc != 0)
        return rc;
    (void)skua_listener_address(app->listener, address, sizeof address);
    printf("serving gRPC on %s\n", address);
    (void)fflush(stdout);
    rc = app->address != NULL ? run(app) : asks_itself(app, address);
    (void)skua_listener_close(app->listener);
    return rc;
}

static int start(void *arg)
{
    struct app *app = arg;
    int rc;

    if (app->url != NULL)
        return ask(app->url);
    rc = skua_grpc_server_new(&app->grpc, NULL);
    if (rc != 0)
        return rc;
    rc = hello__greeter_add(app->grpc, &methods);
    if (rc == 0)
        rc = skua_grpc_add_reflection(app->grpc);
    if (rc == 0)
        rc = skua_http_server_new(&app->server, skua_grpc_handler, app->grpc, NULL);
    if (rc == 0) {
        rc = serve(app);
        skua_http_server_free(app->server);
    }
    skua_grpc_server_free(app->grpc);
    return rc;
}

int main(int argc, char **argv)
{
    struct app app = {.address = NULL};

    if (argc == 3 && strcmp(argv[1], "ask") == 0)
        app.url = argv[2];
    else if (argc > 1)
        app.address = argv[1];
    return skua_main(start, &app,
                     SKUA_RUNTIME_OPTIONS(.name = "hello", .stop_on = SKUA_SIGNALS_TERM));
}
