/* drivers: both */
/* test_tls_websocket.c - WebSockets over TLS: "wss", the host that is asked for, and no trust.
 *
 * Specifies websocket.h: skua_websocket_connect with a context.
 */
#include <skua/http/server.h>
#include <skua/http/websocket.h>

#include "../lib/sockets.h"
#include "tls_pair.h"

struct served {
    skua_http_server *server;
    skua_listener *listener;
    skua_tls_context *context;
    char address[SKUA_ADDRESS_MAX];
    skua_task *task;
};

static int served_run(void *arg)
{
    struct served *self = arg;

    return skua_http_server_run(self->server, self->listener);
}

static int echo(skua_http_exchange *exchange, void *state)
{
    skua_websocket_message message;
    skua_websocket *ws;
    int rc = skua_websocket_accept(&ws, exchange, state);

    if (rc != 0)
        return rc;
    CHECK_EQ(strcmp(skua_http_scheme(exchange), "https"), 0);
    while (skua_websocket_recv(ws, &message) == 0)
        CHECK_EQ(skua_websocket_send(ws, message.type, message.data, message.len), 0);
    (void)skua_websocket_close(ws, 1000, NULL);
    skua_websocket_free(ws);
    return 0;
}

static int talks(void *arg)
{
    struct served *served = arg;
    skua_tls_context *good, *strict;
    skua_websocket_message message;
    skua_websocket *ws = NULL;
    char url[SKUA_ADDRESS_MAX + 16];

    MUST(skua_tls_context_new(&good, SKUA_TLS_CLIENT, CLIENT()) == 0);
    MUST(skua_tls_context_new(&strict, SKUA_TLS_CLIENT,
                              SKUA_TLS_CONTEXT_OPTIONS(.ca = certs()->other_ca->chain)) == 0);
    (void)snprintf(url, sizeof url, "wss://%s/a", served->address);
    CHECK_EQ(skua_websocket_connect(&ws, url, SKUA_WEBSOCKET_OPTIONS(.tls = strict)),
             -EKEYREJECTED);
    MUST(skua_websocket_connect(&ws, url, SKUA_WEBSOCKET_OPTIONS(.tls = good)) == 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(skua_websocket_send(ws, SKUA_WEBSOCKET_TEXT, "secret", 6), 0);
        CHECK_EQ(skua_websocket_recv(ws, &message), 0);
        CHECK(message.len == 6 && memcmp(message.data, "secret", 6) == 0);
    }
    CHECK_EQ(skua_websocket_close(ws, 1000, NULL), 0);
    skua_websocket_free(ws);
    skua_tls_context_free(good);
    skua_tls_context_free(strict);
    return 0;
}

TEST_FIBER(websockets_over_tls)
{
    struct served served;
    skua_task *task;
    int result = 0;

    MUST(skua_tls_context_new(&served.context, SKUA_TLS_SERVER, SERVER(certs()->address)) == 0);
    MUST(skua_http_server_new(&served.server, echo, NULL,
                              SKUA_HTTP_SERVER_OPTIONS(.tls = served.context)) == 0);
    MUST(skua_tcp_listen(&served.listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(served.listener, served.address, sizeof served.address) == 0);
    MUST(skua_spawn(NULL, served_run, &served, .task = &served.task) == 0);
    MUST(skua_spawn(NULL, talks, &served, .task = &task, .stack = SKUA_STACK_LARGE) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    (void)skua_task_cancel(served.task);
    CHECK_EQ(skua_task_join(served.task, &result), 0);
    CHECK_EQ(skua_listener_close(served.listener), 0);
    skua_http_server_free(served.server);
    skua_tls_context_free(served.context);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websockets_over_tls),
    };

    return TEST_MAIN(tests);
}
