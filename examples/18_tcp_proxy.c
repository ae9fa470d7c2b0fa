/* 18_tcp_proxy.c - a TCP proxy: everything that comes is passed on, both ways.
 *
 *     $ 18_tcp_proxy 127.0.0.1:8080 127.0.0.1:80       until Ctrl-C
 *     $ 18_tcp_proxy                                   shows itself over the loopback
 *     proxy: 11 bytes to the target, 11 bytes back
 *     client: hello again
 *
 * A connection is a fiber that connects to the target and copies both ways. When one side has said
 * all, the other is told (half-close), and may go on; the bytes themselves stay in the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

/* ---- the proxy ------------------------------------------------------------------------------- */

struct proxy {
    skua_listener *listener;
    const char *target;
};

struct passage {
    skua_tcp *client;
    const char *target;
};

static void passage_drop(void *arg)
{
    struct passage *self = arg;

    skua_tcp_close(self->client);
    free(self);
}

/* One connection. Its failure is its own: the proxy goes on. */
static int pass_on(void *arg)
{
    struct passage *self = arg;
    int64_t sent = 0, received = 0;
    skua_tcp *target;
    int rc = skua_tcp_connect(&target, self->target, NULL);

    if (rc == 0) {
        rc = skua_copy_bidirectional(skua_tcp_io(self->client), skua_tcp_io(target), &sent,
                                     &received, NULL);
        skua_tcp_close(target);
        printf("proxy: %lld bytes to the target, %lld bytes back\n", (long long)sent,
               (long long)received);
    }
    if (rc < 0)
        fprintf(stderr, "proxy: %s\n", skua_strerror(rc));
    passage_drop(self);
    return 0;
}

static int proxy(void *arg)
{
    struct proxy *self = arg;
    skua_tcp *client;
    int rc;

    while ((rc = skua_tcp_accept(self->listener, &client)) == 0) {
        struct passage *passage = malloc(sizeof *passage);

        if (passage == NULL) {
            skua_tcp_close(client);
            continue;
        }
        *passage = (struct passage){.client = client, .target = self->target};
        if (skua_spawn(NULL, pass_on, passage, .drop = passage_drop) < 0)
            passage_drop(passage);
    }
    return rc;
}

/* ---- on its own ------------------------------------------------------------------------------ */

/* The target: says again what it hears, once, and to the end. */
static int echo(void *arg)
{
    skua_tcp *conn;
    int64_t n = skua_tcp_accept(arg, &conn);

    if (n < 0)
        return (int)n;
    n = skua_copy(skua_tcp_io(conn), skua_tcp_io(conn), SKUA_COPY_ALL, NULL);
    skua_tcp_close(conn);
    return n < 0 ? (int)n : 0;
}

static int ask(const char *address)
{
    char answer[64];
    size_t len = 0;
    skua_tcp *conn;
    ssize_t n;
    int rc = skua_tcp_connect(&conn, address, NULL);

    if (rc < 0)
        return rc;
    n = skua_tcp_write_all(conn, "hello again", strlen("hello again"));
    if (n > 0)
        n = skua_tcp_shutdown(conn); /* that is all; the answer comes to its end */
    while (n >= 0 && len < sizeof answer &&
           (n = skua_tcp_read(conn, answer + len, sizeof answer - len)) > 0)
        len += (size_t)n;
    skua_tcp_close(conn);
    if (n >= 0)
        printf("client: %.*s\n", (int)len, answer);
    return (int)n;
}

static int demonstrate(void *arg)
{
    char target[SKUA_ADDRESS_MAX], address[SKUA_ADDRESS_MAX];
    struct proxy self = {.target = target};
    skua_listener *echoes = NULL;
    skua_scope scope;
    int rc = skua_tcp_listen(&echoes, "127.0.0.1:0", NULL);

    (void)arg;
    if (rc == 0)
        rc = skua_tcp_listen(&self.listener, "127.0.0.1:0", NULL);
    if (rc < 0)
        goto out;
    skua_listener_address(echoes, target, sizeof target);
    skua_listener_address(self.listener, address, sizeof address);
    skua_scope_open(&scope, SKUA_COLLECT);
    rc = skua_spawn(&scope, echo, echoes);
    if (rc == 0)
        rc = skua_spawn(&scope, proxy, &self);
    if (rc == 0)
        rc = ask(address);
    skua_listener_close(self.listener); /* ends the proxy */
    self.listener = NULL;
    if (rc < 0)
        skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
out:
    skua_listener_close(self.listener);
    skua_listener_close(echoes);
    return rc;
}

/* ---- with addresses -------------------------------------------------------------------------- */

static int serve(void *arg)
{
    char **argv = arg;
    char address[SKUA_ADDRESS_MAX];
    struct proxy self = {.target = argv[2]};
    int rc = skua_tcp_listen(&self.listener, argv[1], NULL);

    if (rc < 0)
        return rc;
    skua_listener_address(self.listener, address, sizeof address);
    printf("listening on %s\n", address);
    fflush(stdout);
    rc = proxy(&self);
    skua_listener_close(self.listener);
    return rc; /* -ECANCELED on Ctrl-C */
}

int main(int argc, char **argv)
{
    if (argc != 1 && argc != 3) {
        fprintf(stderr, "usage: %s [listen-address target-address]\n", argv[0]);
        return 2;
    }
    return skua_main(argc == 3 ? serve : demonstrate, argv,
                     SKUA_RUNTIME_OPTIONS(.name = "proxy", .stop_on = SKUA_SIGNALS_TERM));
}
