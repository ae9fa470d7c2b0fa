/* tcp_connect.c - one attempt to connect: start, wait until writable, ask how it went.
 *
 * The descriptor is made a socket first, so that waiting for it is waiting for any socket; an
 * attempt that fails, or is not waited for any more, closes it. Which addresses are tried, when and
 * by whom, is dns/tcp_dial.c's.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "net/net_impl.h"

static struct skua__source *connect_source(const struct skua__attempt *self)
{
    return &skua__tcp_stream(self->tcp)->source;
}

int skua__attempt_outcome(const struct skua__attempt *self)
{
    int fd = connect_source(self)->fd;
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

int skua__attempt_fd(const struct skua__attempt *self)
{
    return connect_source(self)->fd;
}

static void connect_forget(struct skua__attempt *self)
{
    if (self->waker != NULL)
        skua__source_forget(connect_source(self), SKUA__WRITE, self->waker);
    self->waker = NULL;
}

skua_poll skua__attempt_poll(struct skua__attempt *self, skua_waker *waker)
{
    struct skua__source *source = connect_source(self);

    for (;;) {
        uint32_t seen = skua__source_look(source);
        int rc = skua__attempt_outcome(self);

        if (rc != -EAGAIN) {
            connect_forget(self); /* something else may have woken the task */
            return rc;
        }
        skua__source_drained(source, SKUA__WRITABLE, seen);
        rc = skua__source_poll(source, SKUA__WRITE, waker);
        if (rc == 0) {
            self->waker = waker;
            return SKUA_PENDING;
        }
        if (rc < 0)
            return rc;
    }
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

int skua__attempt_begin(struct skua__attempt *self, const skua_address *to,
                        const skua_connect_options *options)
{
    struct skua__address address;
    int fd;

    skua__address_load(&address, to);
    fd = connect_begin(&address, options);
    self->waker = NULL;
    return fd < 0 ? fd : skua__tcp_adopt(fd, &self->tcp);
}

void skua__attempt_end(struct skua__attempt *self)
{
    if (self->tcp == NULL)
        return;
    connect_forget(self);
    (void)skua_tcp_close(self->tcp);
    self->tcp = NULL;
}

int skua__attempt_take(struct skua__attempt *self, skua_tcp **ret)
{
    /* From here on io_uring may wait for it. */
    int rc = skua__os_set_nonblocking(connect_source(self)->fd, false);

    if (rc != 0) {
        skua__attempt_end(self);
        return rc;
    }
    *ret = self->tcp;
    self->tcp = NULL;
    return 0;
}
