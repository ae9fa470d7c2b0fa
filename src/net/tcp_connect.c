/* tcp_connect.c - connecting: start, wait until writable, ask how it went.
 *
 * The descriptor is made a socket first, so that waiting for it is waiting for any socket; a
 * connect that fails, or is not waited for any more, closes it.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <poll.h>

#include "net/net_impl.h"

struct connect_future {
    skua_future future;
    struct skua__source *source;
    skua_waker *waker;
};

void skua_connect_options_init(skua_connect_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* How the connect went: 0, its error, or -EAGAIN while it is under way. */
static int connect_outcome(int fd)
{
    struct sockaddr_storage peer;
    unsigned len = sizeof(int);
    int error = 0;
    int rc = skua__os_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);

    if (rc != 0 || error != 0)
        return rc != 0 ? rc : -error;
    len = sizeof peer;
    rc = skua__os_getpeername(fd, (struct sockaddr *)&peer, &len);
    return rc == -ENOTCONN ? -EAGAIN : rc;
}

static void connect_drop(skua_future *future)
{
    struct connect_future *self = skua__container(future, struct connect_future, future);

    if (self->waker != NULL)
        skua__source_forget(self->source, SKUA__WRITE, self->waker);
    self->waker = NULL;
}

static skua_poll connect_poll(skua_future *future, skua_waker *waker)
{
    struct connect_future *self = skua__container(future, struct connect_future, future);

    for (;;) {
        uint32_t seen = skua__source_look(self->source);
        int rc = connect_outcome(self->source->fd);

        if (rc != -EAGAIN) {
            connect_drop(future); /* something else may have woken the task */
            return rc;
        }
        skua__source_drained(self->source, SKUA__WRITABLE, seen);
        rc = skua__source_poll(self->source, SKUA__WRITE, waker);
        if (rc == 0) {
            self->waker = waker;
            return SKUA_PENDING;
        }
        if (rc < 0)
            return rc;
    }
}

static const skua_future_ops connect_ops = {
    .name = "tcp.connect", .poll = connect_poll, .drop = connect_drop};

static int connect_wait(skua_tcp *tcp, int64_t deadline)
{
    struct connect_future wait = {.future.ops = &connect_ops,
                                  .source = &skua__tcp_stream(tcp)->source};
    int rc;

    if (skua__thread_self()->core != NULL)
        return (int)skua_await_until(&wait.future, deadline);
    do {
        rc = skua__os_poll(wait.source->fd, POLLOUT, deadline);
        if (rc == 0)
            rc = connect_outcome(wait.source->fd);
    } while (rc == -EAGAIN);
    return rc;
}

/* A socket with its options, and its connect begun: the descriptor or an error. */
static int connect_begin(const struct skua__address *address, const skua_connect_options *options)
{
    struct skua__address local;
    int on = 1;
    int fd = skua__os_socket(address->storage.ss_family, SOCK_STREAM, 0);
    int rc = 0;

    if (fd < 0)
        return fd;
    if (options->bind != NULL) {
        rc = skua__address_parse(options->bind, &local);
        if (rc == 0)
            rc = skua__os_bind(fd, (const struct sockaddr *)&local.storage, local.len);
    }
    if (rc == 0 && !options->no_nodelay)
        rc = skua__os_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (rc == 0)
        rc = skua__os_set_nonblocking(fd, true);
    if (rc == 0)
        rc = skua__os_connect(fd, (const struct sockaddr *)&address->storage, address->len);
    if (rc == 0 || rc == -EINPROGRESS)
        return fd;
    skua__os_close(fd);
    return rc;
}

int skua_tcp_connect(skua_tcp **ret, const char *text, const skua_connect_options *given)
{
    skua_connect_options options = {.size = sizeof options};
    struct skua__address address;
    skua_tcp *tcp;
    int rc = skua__address_parse(text, &address);
    int fd;

    if (given != NULL)
        options = *given;
    if (rc != 0 || options.size != sizeof options || options.no_nodelay > 1)
        return -EINVAL;
    fd = connect_begin(&address, &options);
    if (fd < 0)
        return fd;
    rc = skua__tcp_adopt(fd, &tcp);
    if (rc != 0)
        return rc;
    rc = connect_wait(tcp, options.deadline == 0 ? SKUA_FOREVER : options.deadline);
    if (rc == 0) /* from here on io_uring may wait for it */
        rc = skua__os_set_nonblocking(fd, false);
    if (rc != 0) {
        (void)skua_tcp_close(tcp);
        return rc;
    }
    *ret = tcp;
    return 0;
}
