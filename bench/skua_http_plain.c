/* skua_http_plain.c - the HTTP server that http_compare measures beside others: one worker, short
 * answers.
 *
 *   /json            an object that is made anew each time
 *   anything else    a short text
 *
 * Options: --port N (0 = any), --tls CERT KEY. Prints "port N" when it listens; ends on SIGTERM or
 * SIGINT.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <skua/http/server.h>
#include <skua/skua.h>

static char address[64] = "127.0.0.1:0";
static const char *cert, *key;

static int hello(skua_http_exchange *exchange, void *state)
{
    (void)state;
    if (strcmp(skua_http_path(exchange), "/json") == 0)
        return skua_http_replyf(exchange, 200, "application/json", "{\"message\":\"%s\"}",
                                "Hello, World!");
    return skua_http_reply(exchange, 200, "text/plain", "Hello, World!", 13);
}

static int listen_on(skua_http_server *server)
{
    char bound[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    int rc = skua_tcp_listen(&listener, address, NULL);

    if (rc != 0)
        return rc;
    (void)skua_listener_address(listener, bound, sizeof bound);
    printf("port %s\n", strrchr(bound, ':') + 1);
    (void)fflush(stdout);
    rc = skua_http_server_run(server, listener);
    (void)skua_listener_close(listener);
    return rc;
}

static int serve(void *arg)
{
    skua_tls_context *tls = NULL;
    skua_http_server *server;
    int rc = 0;

    if (cert != NULL)
        rc = skua_tls_context_new(
            &tls, SKUA_TLS_SERVER,
            SKUA_TLS_CONTEXT_OPTIONS(.certificate = cert, .key = key, .alpn = "h2,http/1.1"));
    if (rc == 0)
        rc = skua_http_server_new(
            &server, hello, arg,
            SKUA_HTTP_SERVER_OPTIONS(.server_name = "skua", .tls = tls, .connections_max = 20000));
    if (rc == 0) {
        rc = listen_on(server);
        skua_http_server_free(server);
    }
    skua_tls_context_free(tls);
    return rc == -ECANCELED ? 0 : rc;
}

int main(int argc, char **argv)
{
    struct rlimit files;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--port") == 0 && i + 1 < argc)
            (void)snprintf(address, sizeof address, "127.0.0.1:%d", atoi(argv[++i]));
        else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
            cert = argv[++i];
            key = argv[++i];
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return skua_main(
        serve, NULL,
        SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .stop_on = SKUA_SIGNALS_TERM));
}
