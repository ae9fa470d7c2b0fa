/* tcp_io.c - a socket as a stream of bytes (io.h). */
#include <skua/io.h>

#include "net/net_impl.h"

static ssize_t tcp_io_read(void *object, void *buf, size_t len, int64_t deadline)
{
    return skua_tcp_read_until(object, buf, len, deadline);
}

static ssize_t tcp_io_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    skua_tcp_future write;

    return (ssize_t)skua__tcp_await(skua_tcp_write_init(&write, object, buf, len), deadline);
}

static ssize_t tcp_io_writev(void *object, const struct iovec *iov, int count, int64_t deadline)
{
    skua_tcp_future write;

    return (ssize_t)skua__tcp_await(skua__tcp_vector_init(&write, object, iov, count, SKUA__WRITE),
                                    deadline);
}

static int tcp_io_shutdown(void *object)
{
    return skua_tcp_shutdown(object);
}

static const skua_io_ops tcp_io_ops = {.name = "tcp",
                                       .read = tcp_io_read,
                                       .write = tcp_io_write,
                                       .writev = tcp_io_writev,
                                       .shutdown = tcp_io_shutdown};

skua_io skua_tcp_io(skua_tcp *tcp)
{
    return (skua_io){.ops = &tcp_io_ops, .object = tcp};
}
