/* tcp.c - streams: life, options, and the direct calls over the futures of tcp_future.c.
 *
 * A socket is a handle (skua_tcp) on a stream; two handles when it was split. Closing a handle
 * marks the stream closed when it was the last one, wakes who waits on it, and drops the handle's
 * reference. Operations hold a reference of their own while they run, so that the descriptor's
 * number stays theirs until the last of them has left.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "net/net_impl.h"

static struct skua__slots tcp_slots = SKUA__SLOTS(struct skua__stream, next_free);

/* ---- slots ----------------------------------------------------------------------------------- */

/* Begins a handle's life. The caller's reference is the handle's from here on. */
static struct skua_tcp *tcp_handle_open(struct skua__stream *stream, unsigned index,
                                        uint32_t rights)
{
    struct skua_tcp *tcp = skua__tcp_handle(stream, index);

    skua__store_relaxed(&tcp->rights, rights);
    skua__slot_open(&tcp->life);
    return tcp;
}

static void tcp_stream_release(struct skua__source *source)
{
    struct skua__stream *stream = skua__container(source, struct skua__stream, source);

    skua__os_free(stream->stash);
    stream->stash = NULL;
    skua__os_slot_give(&tcp_slots, stream);
}

static struct skua__stream *tcp_stream_new(int fd)
{
    struct skua__stream *stream = skua__os_slot_take(&tcp_slots);

    if (stream == NULL)
        return NULL;
    skua__store_relaxed(&stream->halves, 1);
    stream->stash = NULL;
    stream->stash_error = 0;
    skua__source_init(&stream->source, fd, tcp_stream_release);
    return stream;
}

int skua__tcp_adopt(int fd, skua_tcp **ret)
{
    struct skua__stream *stream = tcp_stream_new(fd);

    if (stream == NULL) {
        skua__os_close(fd);
        return -ENOMEM;
    }
    *ret = tcp_handle_open(stream, 0, SKUA__MAY_BOTH);
    return 0;
}

int skua__unix_adopt(int fd, skua_tcp **ret)
{
    int rc = skua__tcp_adopt(fd, ret);

    if (rc == 0) /* nobody else has it yet */
        skua__store_relaxed(&(*ret)->rights, SKUA__MAY_BOTH | SKUA__HAS_MARKS);
    return rc;
}

struct skua__stream *skua__tcp_hold(skua_tcp *tcp)
{
    struct skua__stream *stream = skua__tcp_stream(tcp);

    return skua__slot_hold(&tcp->life, skua__load_acquire(&tcp->life), &stream->source) ? stream
                                                                                        : NULL;
}

/* ---- closing --------------------------------------------------------------------------------- */

int skua_tcp_close(skua_tcp *tcp)
{
    struct skua__stream *stream;

    if (tcp == NULL)
        return 0;
    if (!skua__slot_close(&tcp->life))
        return -EBADF;
    stream = skua__tcp_stream(tcp);
    if (skua__sub_acq_rel(&stream->halves, 1) == 1)
        (void)skua__source_close(&stream->source, SKUA__CLOSED);
    else if ((skua__load_relaxed(&tcp->rights) & SKUA__MAY_BOTH) == SKUA__MAY_READ)
        (void)skua__source_close(&stream->source, SKUA__CLOSED_READ);
    else if (skua__source_close(&stream->source, SKUA__CLOSED_WRITE))
        (void)skua__os_shutdown(stream->source.fd, SKUA__SHUT_WRITE);
    skua__source_unref(&stream->source);
    return 0;
}

int skua_tcp_split(skua_tcp *tcp, skua_tcp **reader, skua_tcp **writer)
{
    struct skua__stream *stream = skua__tcp_hold(tcp);
    uint32_t rights;

    if (stream == NULL)
        return SKUA_ECLOSED;
    rights = skua__load_relaxed(&tcp->rights);
    if ((rights & SKUA__MAY_BOTH) != SKUA__MAY_BOTH) {
        skua__source_unref(&stream->source);
        return SKUA_EUSAGE;
    }
    skua__store_release(&stream->halves, 2);
    skua__store_relaxed(&tcp->rights, rights & ~SKUA__MAY_WRITE);
    *reader = tcp;
    *writer = tcp_handle_open(stream, 1, SKUA__MAY_WRITE); /* takes over the reference */
    return 0;
}

int skua_tcp_shutdown(skua_tcp *tcp)
{
    struct skua__stream *stream = skua__tcp_hold(tcp);
    int rc = SKUA_EUSAGE;

    if (stream == NULL)
        return SKUA_ECLOSED;
    if (skua__load_relaxed(&tcp->rights) & SKUA__MAY_WRITE)
        rc = skua__os_shutdown(stream->source.fd, SKUA__SHUT_WRITE);
    skua__source_unref(&stream->source);
    return rc;
}

/* ---- reading and writing --------------------------------------------------------------------- */

ssize_t skua_tcp_read_until(skua_tcp *tcp, void *buf, size_t len, int64_t deadline)
{
    skua_tcp_future read;

    return (ssize_t)skua__tcp_await(skua_tcp_read_init(&read, tcp, buf, len), deadline);
}

ssize_t skua_tcp_read(skua_tcp *tcp, void *buf, size_t len)
{
    return skua_tcp_read_until(tcp, buf, len, SKUA_FOREVER);
}

ssize_t skua_tcp_read_exact(skua_tcp *tcp, void *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = skua_tcp_read(tcp, (char *)buf + done, len - done);

        if (n <= 0)
            return n == 0 ? SKUA_EEOF : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static ssize_t tcp_write_until(skua_tcp *tcp, const void *buf, size_t len, int64_t deadline)
{
    skua_tcp_future write;

    return (ssize_t)skua__tcp_await(skua_tcp_write_init(&write, tcp, buf, len), deadline);
}

ssize_t skua_tcp_write(skua_tcp *tcp, const void *buf, size_t len)
{
    return tcp_write_until(tcp, buf, len, SKUA_FOREVER);
}

ssize_t skua_tcp_write_all_until(skua_tcp *tcp, const void *buf, size_t len, int64_t deadline)
{
    size_t done = 0;

    do {
        ssize_t n = tcp_write_until(tcp, (const char *)buf + done, len - done, deadline);

        if (n < 0)
            return n;
        done += (size_t)n;
    } while (done < len);
    return (ssize_t)done;
}

ssize_t skua_tcp_write_all(skua_tcp *tcp, const void *buf, size_t len)
{
    return skua_tcp_write_all_until(tcp, buf, len, SKUA_FOREVER);
}

ssize_t skua_tcp_readv(skua_tcp *tcp, const struct iovec *iov, int count)
{
    skua_tcp_future read;

    if (count < 0 || count > 1024 || (count > 0 && iov == NULL))
        return -EINVAL;
    return (ssize_t)skua__tcp_await(skua__tcp_vector_init(&read, tcp, iov, count, SKUA__READ),
                                    SKUA_FOREVER);
}

ssize_t skua_tcp_writev(skua_tcp *tcp, const struct iovec *iov, int count)
{
    skua_tcp_future write;

    if (count < 0 || count > 1024 || (count > 0 && iov == NULL))
        return -EINVAL;
    return (ssize_t)skua__tcp_await(skua__tcp_vector_init(&write, tcp, iov, count, SKUA__WRITE),
                                    SKUA_FOREVER);
}

/* ---- waiting and trying apart ---------------------------------------------------------------- */

int skua_tcp_readable(skua_tcp *tcp)
{
    skua_tcp_future readable;

    return (int)skua__tcp_await(skua_tcp_readable_init(&readable, tcp), SKUA_FOREVER);
}

int skua_tcp_writable(skua_tcp *tcp)
{
    skua_tcp_future writable;

    return (int)skua__tcp_await(skua_tcp_writable_init(&writable, tcp), SKUA_FOREVER);
}

ssize_t skua_tcp_try_read(skua_tcp *tcp, void *buf, size_t len)
{
    skua_tcp_future read;

    return skua__tcp_try(skua_tcp_read_init(&read, tcp, buf, len));
}

ssize_t skua_tcp_try_write(skua_tcp *tcp, const void *buf, size_t len)
{
    skua_tcp_future write;

    return skua__tcp_try(skua_tcp_write_init(&write, tcp, buf, len));
}

void skua__tcp_tell(const skua_tcp *tcp, unsigned direction, int64_t bytes)
{
    bool writes = direction == SKUA__WRITE;

    if (bytes <= 0)
        return;
    if (skua__load_relaxed(&tcp->rights) & SKUA__HAS_MARKS)
        skua__tell_moved(writes ? "unix.write" : "unix.read", bytes);
    else
        skua__tell_moved(writes ? "tcp.write" : "tcp.read", bytes);
}

/* ---- options and addresses ------------------------------------------------------------------- */

static int tcp_set(skua_tcp *tcp, int level, int name, const void *value, unsigned len)
{
    struct skua__stream *stream = skua__tcp_hold(tcp);
    int rc;

    if (stream == NULL)
        return SKUA_ECLOSED;
    rc = skua__os_setsockopt(stream->source.fd, level, name, value, len);
    skua__source_unref(&stream->source);
    return rc;
}

/* Whole seconds, rounded up, at most what the kernel takes. */
static int tcp_seconds(int64_t ns)
{
    int64_t seconds = ns / SKUA_SECOND + (ns % SKUA_SECOND != 0);

    return seconds > 32767 ? 32767 : (int)seconds;
}

int skua_tcp_set_nodelay(skua_tcp *tcp, int on)
{
    int value = on != 0;

    return tcp_set(tcp, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value);
}

int skua_tcp_set_keepalive(skua_tcp *tcp, int64_t idle, int64_t interval, int count)
{
    int on = idle > 0;
    int value = tcp_seconds(idle);
    int rc;

    if (idle < 0 || interval < 0 || count < 0)
        return -EINVAL;
    rc = tcp_set(tcp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (rc == 0 && on)
        rc = tcp_set(tcp, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value);
    value = tcp_seconds(interval);
    if (rc == 0 && value > 0)
        rc = tcp_set(tcp, IPPROTO_TCP, TCP_KEEPINTVL, &value, sizeof value);
    if (rc == 0 && count > 0)
        rc = tcp_set(tcp, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    return rc;
}

int skua_tcp_set_linger(skua_tcp *tcp, int64_t linger)
{
    struct linger value = {.l_onoff = linger >= 0,
                           .l_linger = linger > 0 ? tcp_seconds(linger) : 0};

    return tcp_set(tcp, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

static int tcp_address(skua_tcp *tcp, char *buf, size_t len,
                       int (*get)(int fd, struct sockaddr *addr, unsigned *len))
{
    struct skua__address address = {.len = sizeof address.storage};
    struct skua__stream *stream = skua__tcp_hold(tcp);
    int rc;

    if (stream == NULL)
        return SKUA_ECLOSED;
    rc = get(stream->source.fd, (struct sockaddr *)&address.storage, &address.len);
    skua__source_unref(&stream->source);
    return rc != 0 ? rc : skua__address_format(&address, buf, len);
}

int skua_tcp_local_address(skua_tcp *tcp, char *buf, size_t len)
{
    return tcp_address(tcp, buf, len, skua__os_getsockname);
}

int skua_tcp_peer_address(skua_tcp *tcp, char *buf, size_t len)
{
    return tcp_address(tcp, buf, len, skua__os_getpeername);
}
