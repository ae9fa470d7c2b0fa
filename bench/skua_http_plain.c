/* skua_http_plain.c - the HTTP server that http_compare measures beside nginx: one worker, a short
 * answer to everything.
 *
 * Options: --port N (0 = any). Prints "port N" when it listens; ends on SIGTERM or SIGINT.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/http/server.h>
#include <skua/skua.h>

static char address[64] = "127.0.0.1:0";

static int hello(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/plain", "Hello, World!", 13);
}

static int serve(void *arg)
{
    char bound[SKUA_ADDRESS_MAX];
    skua_http_server *server;
    skua_listener *listener;
    int rc =
        skua_http_server_new(&server, hello, arg, SKUA_HTTP_SERVER_OPTIONS(.server_name = "skua"));

    if (rc != 0)
        return rc;
    rc = skua_tcp_listen(&listener, address, NULL);
    if (rc == 0) {
        (void)skua_listener_address(listener, bound, sizeof bound);
        printf("port %s\n", strrchr(bound, ':') + 1);
        (void)fflush(stdout);
        rc = skua_http_server_run(server, listener);
        (void)skua_listener_close(listener);
    }
    skua_http_server_free(server);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--port") == 0)
        (void)snprintf(address, sizeof address, "127.0.0.1:%d", atoi(argv[2]));
    return skua_main(
        serve, NULL,
        SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .stop_on = SKUA_SIGNALS_TERM));
}
