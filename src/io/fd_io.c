/* fd_io.c - a descriptor as a stream of bytes (io.h).
 *
 * Directly   each call is the one of fd.h; buffers of several are those of the futures there, which
 *            alone take a deadline.
 * Ends       only a socket can end the one direction and keep the other. A pipe's end is told by
 *            closing it.
 */
#include <skua/io.h>

#include "io/io_impl.h"

static ssize_t fd_io_read(void *object, void *buf, size_t len, int64_t deadline)
{
    return skua_fd_read_until(object, buf, len, deadline);
}

static ssize_t fd_io_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    return skua_fd_write_until(object, buf, len, deadline);
}

static ssize_t fd_io_writev(void *object, const struct iovec *iov, int count, int64_t deadline)
{
    skua_fd_future write;

    return (ssize_t)skua__fd_await(skua__fd_vector_init(&write, object, iov, count, SKUA__WRITE),
                                   deadline);
}

static int fd_io_shutdown(void *object)
{
    skua_fd *fd = object;
    int rc = 0;

    if (!skua__fd_hold(fd))
        return SKUA_ECLOSED;
    if (fd->kind == SKUA__FILE_SOCKET)
        rc = skua__os_shutdown(fd->source.fd, SKUA__SHUT_WRITE);
    skua__source_unref(&fd->source);
    return rc;
}

static const skua_io_ops fd_io_ops = {.name = "fd",
                                      .read = fd_io_read,
                                      .write = fd_io_write,
                                      .writev = fd_io_writev,
                                      .shutdown = fd_io_shutdown};

skua_io skua_fd_io(skua_fd *fd)
{
    return (skua_io){.ops = &fd_io_ops, .object = fd};
}
