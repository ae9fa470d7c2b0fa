/* tcp_io.c - a socket as a stream: of bytes (io.h), and of the lines that its read future gives.
 *
 * Kernel     splice and sendfile wait for a socket that blocks, whatever they are told. So the
 *            first of them makes the socket one that does not, for good (SKUA__UNBLOCKED). To a
 *            ring that is the same for a receive; where a kernel says -EAGAIN, it is asked again.
 * Stash      what was received for a dropped read is not in the socket: it is read, not spliced.
 */
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

/* ---- inside the kernel ----------------------------------------------------------------------- */

/* Bytes that a system call moves, so that no other task waits long for this one. */
#define TCP_KERNEL_MAX ((size_t)1 << 20)

/* One system call between a socket and something else. */
struct tcp_kernel_call {
    ssize_t (*call)(const struct tcp_kernel_call *self, int fd);
    int other;
    size_t len;
    int64_t *offset;
    unsigned direction; /* of the socket */
};

/* The socket does not block from here on. Whoever sees the bit sees that, too. */
static int tcp_unblock(struct skua__source *source, uint32_t seen)
{
    int rc = 0;

    if (seen & SKUA__UNBLOCKED)
        return 0;
    rc = skua__os_set_nonblocking(source->fd, true);
    if (rc == 0)
        skua__or_acq_rel(&source->ready, SKUA__UNBLOCKED);
    return rc;
}

/* After a wait: a count, -EAGAIN: it was in vain, -ENOSYS: not in this way, or another code. */
static ssize_t tcp_kernel_try(struct skua__source *source, const struct tcp_kernel_call *self)
{
    bool reads = self->direction == SKUA__READ;
    uint32_t seen = skua__source_look(source);
    ssize_t n;

    if (seen & skua__source_closed_bit(self->direction))
        return SKUA_ECLOSED;
    if (reads && (seen & SKUA__STASHED))
        return -ENOSYS;
    if (tcp_unblock(source, seen) != 0)
        return -ENOSYS;
    seen = skua__source_look(source);
    n = self->call(self, source->fd);
    if (n == -EAGAIN)
        skua__source_drained(source, reads ? SKUA__READABLE | SKUA__HANGUP : SKUA__WRITABLE, seen);
    return n;
}

static ssize_t tcp_kernel(skua_tcp *tcp, const struct tcp_kernel_call *self, int64_t deadline)
{
    ssize_t n;

    do {
        skua_tcp_future ready;
        skua_future *wait = self->direction == SKUA__READ ? skua_tcp_readable_init(&ready, tcp)
                                                          : skua_tcp_writable_init(&ready, tcp);
        struct skua__stream *stream;

        n = (ssize_t)skua__tcp_await(wait, deadline);
        if (n < 0)
            return n;
        stream = skua__tcp_hold(tcp);
        if (stream == NULL)
            return SKUA_ECLOSED;
        n = tcp_kernel_try(&stream->source, self);
        skua__tcp_moved(tcp, self->direction, n);
        skua__source_unref(&stream->source);
    } while (n == -EAGAIN);
    return n;
}

static ssize_t tcp_call_to_pipe(const struct tcp_kernel_call *self, int fd)
{
    return skua__os_splice(fd, self->other, self->len);
}

static ssize_t tcp_call_from_pipe(const struct tcp_kernel_call *self, int fd)
{
    return skua__os_splice(self->other, fd, self->len);
}

static ssize_t tcp_call_sendfile(const struct tcp_kernel_call *self, int fd)
{
    return skua__os_sendfile(self->other, fd, self->offset, self->len);
}

/* Unix streams have marks between their bytes, which a splice does not heed. */
static ssize_t tcp_io_splice(skua_tcp *tcp, const struct tcp_kernel_call *self, int64_t deadline)
{
    ssize_t n;

    if (skua__load_relaxed(&tcp->rights) & SKUA__HAS_MARKS) /* constant while it is open */
        return -ENOSYS;
    n = tcp_kernel(tcp, self, deadline);
    return n == -EINVAL ? -ENOSYS : n; /* this kernel does not splice it */
}

static ssize_t tcp_io_to_pipe(void *object, int pipe, size_t len, int64_t deadline)
{
    const struct tcp_kernel_call call = {
        .call = tcp_call_to_pipe, .other = pipe, .len = len, .direction = SKUA__READ};

    return tcp_io_splice(object, &call, deadline);
}

static ssize_t tcp_io_from_pipe(void *object, int pipe, size_t len, int64_t deadline)
{
    const struct tcp_kernel_call call = {
        .call = tcp_call_from_pipe, .other = pipe, .len = len, .direction = SKUA__WRITE};

    return tcp_io_splice(object, &call, deadline);
}

int64_t skua_tcp_sendfile(skua_tcp *tcp, int file, int64_t *offset, int64_t count)
{
    int64_t begin = *offset;

    if (begin < 0 || count < 0 || begin > INT64_MAX - count)
        return -EINVAL;
    while (*offset - begin < count) {
        size_t left = (size_t)(count - (*offset - begin));
        const struct tcp_kernel_call call = {.call = tcp_call_sendfile,
                                             .other = file,
                                             .len = skua__min_size(left, TCP_KERNEL_MAX),
                                             .offset = offset,
                                             .direction = SKUA__WRITE};
        ssize_t n = tcp_kernel(tcp, &call, SKUA_FOREVER);

        if (n < 0)
            return n;
        if (n == 0)
            break; /* the file's end */
    }
    return *offset - begin;
}

/* ---- as a stream of bytes -------------------------------------------------------------------- */

static const skua_io_ops tcp_io_ops = {.name = "tcp",
                                       .read = tcp_io_read,
                                       .write = tcp_io_write,
                                       .writev = tcp_io_writev,
                                       .shutdown = tcp_io_shutdown,
                                       .to_pipe = tcp_io_to_pipe,
                                       .from_pipe = tcp_io_from_pipe};

skua_io skua_tcp_io(skua_tcp *tcp)
{
    return (skua_io){.ops = &tcp_io_ops, .object = tcp};
}

/* ---- lines ----------------------------------------------------------------------------------- */

static skua_future *tcp_lines_read(void *arg, void *buf, size_t len)
{
    skua_tcp_lines *self = arg;

    return skua_tcp_read_init(&self->read, self->tcp, buf, len);
}

skua_stream *skua_tcp_lines_init(skua_tcp_lines *lines, skua_tcp *tcp, char *buf, size_t size)
{
    lines->tcp = tcp;
    return skua_stream_lines_init(&lines->lines, tcp_lines_read, lines, buf, size);
}

#undef TCP_KERNEL_MAX
