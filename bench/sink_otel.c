/* sink_otel.c - a collector that takes all and keeps nothing: whom bench/otel_cost has spans sent
 * to. It answers every request with 200, and prints where it listens.
 *
 *     sink_otel          -- until it is killed */
#include <skua/http/exchange.h>
#include <skua/http/server.h>
#include <skua/skua.h>

#include <stdio.h>

static int swallow(skua_http_exchange *exchange, void *state)
{
    char room[8192]; /* on a fiber: its stack is small */
    int64_t n;

    (void)state;
    while ((n = skua_http_read(exchange, room, sizeof room)) > 0)
        continue;
    return n < 0 ? (int)n : skua_http_reply(exchange, 200, "application/x-protobuf", NULL, 0);
}

static int serve(void *arg)
{
    skua_http_server *server;
    skua_listener *listener;
    char address[SKUA_ADDRESS_MAX];
    int rc = skua_http_server_new(&server, swallow, arg,
                                  SKUA_HTTP_SERVER_OPTIONS(.body_max = (int64_t)256 << 20));

    if (rc != 0)
        return rc;
    rc = skua_tcp_listen(&listener, "127.0.0.1:0", NULL);
    if (rc == 0) {
        (void)skua_listener_address(listener, address, sizeof address);
        printf("ready on %s\n", address);
        (void)fflush(stdout);
        rc = skua_http_server_run(server, listener);
        (void)skua_listener_close(listener);
    }
    skua_http_server_free(server);
    return rc;
}

int main(void)
{
    return skua_main(serve, NULL, SKUA_RUNTIME_OPTIONS(.workers = 1, .stop_on = SKUA_SIGNALS_TERM));
}
