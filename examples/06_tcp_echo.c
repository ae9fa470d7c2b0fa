/* 06_tcp_echo.c - an echo server: a fiber per connection, and a graceful stop on Ctrl-C.
 *
 * Try it with `nc localhost 7000`. On SIGINT or SIGTERM the accept below returns -ECANCELED, and
 * so does every read of the connections: each closes its socket, and all are joined before main
 * returns. Listens on the first argument, or on 127.0.0.1:7000. */
#include <skua/skua.h>

#include <stdio.h>

static int echo(void *arg)
{
    skua_tcp *conn = arg;
    char buf[16 * 1024];
    ssize_t n;

    while ((n = skua_tcp_read(conn, buf, sizeof buf)) > 0)
        if ((n = skua_tcp_write_all(conn, buf, (size_t)n)) < 0)
            break;
    skua_tcp_close(conn);
    return (int)n;
}

static int app(void *arg)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_tcp *conn;
    int rc = skua_tcp_listen(&listener, arg, NULL);

    if (rc < 0)
        return rc;
    skua_listener_address(listener, address, sizeof address);
    printf("listening on %s\n", address);
    fflush(stdout);
    while ((rc = skua_tcp_accept(listener, &conn)) == 0)
        if (skua_spawn(NULL, echo, conn) < 0) /* joined when the scope ends */
            skua_tcp_close(conn);
    skua_listener_close(listener);
    return rc; /* -ECANCELED on Ctrl-C */
}

int main(int argc, char **argv)
{
    return skua_main(app, argc > 1 ? argv[1] : "127.0.0.1:7000",
                     SKUA_RUNTIME_OPTIONS(.name = "echo", .stop_on = SKUA_SIGNALS_TERM));
}
