/* skua_echo.c - the echo server that is measured beside the raw loops (raw_epoll_echo.c,
 * raw_uring_echo.c): one worker, one fiber a connection.
 *
 * As in those all connections share one buffer: a fiber waits until its socket is readable, reads
 * into it, and writes at once. Only what the peer does not take is copied, and waits for it.
 * --own gives each connection a buffer on its fiber's stack instead, as simple programs do.
 *
 * Options: --port N (0 = any), --own. Prints "port N" when it listens; ends on SIGTERM or SIGINT.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <skua/skua.h>

static const char *address = "127.0.0.1:0";
static char shared[64 * 1024]; /* whoever runs: there is one worker, and no wait between */

static ssize_t write_rest(skua_tcp *conn, const char *bytes, size_t len)
{
    char *copy = malloc(len);
    ssize_t n = -ENOMEM;

    if (copy != NULL) {
        memcpy(copy, bytes, len);
        n = skua_tcp_write_all(conn, copy, len);
    }
    free(copy);
    return n;
}

static int echo(void *arg)
{
    skua_tcp *conn = arg;

    while (skua_tcp_readable(conn) == 0) {
        ssize_t n = skua_tcp_try_read(conn, shared, sizeof shared);
        ssize_t sent;

        if (n == -EAGAIN)
            continue;
        if (n <= 0)
            break;
        sent = skua_tcp_try_write(conn, shared, (size_t)n);
        sent = sent == -EAGAIN ? 0 : sent;
        if (sent < 0 || (sent < n && write_rest(conn, shared + sent, (size_t)(n - sent)) < 0))
            break;
    }
    skua_tcp_close(conn);
    return 0;
}

static int echo_own(void *arg)
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
    skua_fiber_fn handler = arg != NULL ? echo_own : echo;
    skua_listener *listener;
    skua_tcp *conn;
    char text[SKUA_ADDRESS_MAX];
    int rc = skua_tcp_listen(&listener, address, NULL);

    if (rc != 0)
        return rc;
    skua_listener_address(listener, text, sizeof text);
    printf("port %s\n", strrchr(text, ':') + 1);
    fflush(stdout);
    while ((rc = skua_tcp_accept(listener, &conn)) == 0)
        if (skua_spawn(NULL, handler, conn) != 0)
            skua_tcp_close(conn);
    skua_listener_close(listener);
    return rc;
}

int main(int argc, char **argv)
{
    static char text[64];
    struct rlimit files;
    char *own = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            snprintf(text, sizeof text, "127.0.0.1:%d", atoi(argv[++i]));
            address = text;
        } else if (strcmp(argv[i], "--own") == 0) {
            own = argv[i];
        } else {
            fprintf(stderr, "usage: skua_echo [--port N] [--own]\n");
            return 2;
        }
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return skua_main(serve, own,
                     SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .name = "echo",
                                          .stop_on = SKUA_SIGNALS_TERM));
}
