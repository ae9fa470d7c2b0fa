/* skua_echo.c - the echo server that is measured beside the raw loops (raw_epoll_echo.c,
 * raw_uring_echo.c): one worker, one fiber a connection, written as a user would.
 *
 * Options: --port N (0 = any). Prints "port N" when it listens; ends on SIGTERM or SIGINT.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <skua/skua.h>

static const char *address = "127.0.0.1:0";

static int echo(void *arg)
{
    skua_tcp *conn = arg;
    char buf[16 * 1024];
    ssize_t n;

    while ((n = skua_tcp_read(conn, buf, sizeof buf)) > 0)
        if ((n = skua_tcp_write_all(conn, buf, (size_t)n)) < 0)
            break;
    skua_tcp_close(conn);
    return 0;
}

static int serve(void *arg)
{
    skua_listener *listener;
    skua_tcp *conn;
    char text[SKUA_ADDRESS_MAX];
    int rc = skua_tcp_listen(&listener, address, NULL);

    (void)arg;
    if (rc != 0)
        return rc;
    skua_listener_address(listener, text, sizeof text);
    printf("port %s\n", strrchr(text, ':') + 1);
    fflush(stdout);
    while ((rc = skua_tcp_accept(listener, &conn)) == 0)
        if (skua_spawn(NULL, echo, conn) != 0)
            skua_tcp_close(conn);
    skua_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    static char text[64];
    struct rlimit files;

    if (argc == 3 && strcmp(argv[1], "--port") == 0) {
        snprintf(text, sizeof text, "127.0.0.1:%d", atoi(argv[2]));
        address = text;
    } else if (argc != 1) {
        fprintf(stderr, "usage: skua_echo [--port N]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return skua_main(serve, NULL,
                     SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .name = "echo",
                                          .stop_on = SKUA_SIGNALS_TERM));
}
