/* unix_fds.c - descriptors that are passed along with bytes, through Unix streams.
 *
 * The futures are those of udp_future.c, over a stream's source: an attempt is one sendmsg or
 * recvmsg. Descriptors go with the first byte. A receive takes all that came, whatever room the
 * caller has, and closes what is too much: else the kernel would say no more than "some were cut
 * off".
 *
 * Stash      bytes that a dropped read left behind (tcp_future.c) come first; the descriptors that
 *            were with them are gone, as with any ordinary read.
 */
#include <string.h>

#include "net/net_impl.h"

#include <skua/unix.h>

/* Control data: room for the most that the kernel lets through. */
union fds_control {
    char bytes[CMSG_SPACE(SKUA_UNIX_FDS_MAX * sizeof(int))];
    struct cmsghdr align;
};

static struct skua_tcp *fds_tcp(skua_udp_future *self)
{
    return skua__container(self->life, struct skua_tcp, life);
}

static int64_t fds_attempt_send(skua_udp_future *self, int fd)
{
    const skua_unix_message *message = self->buf;
    struct iovec iov = {.iov_base = message->buf, .iov_len = message->len};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    size_t bytes = message->fds_len * sizeof(int);
    union fds_control control;
    struct cmsghdr *part;
    ssize_t n;

    if (!(skua__load_relaxed(&fds_tcp(self)->rights) & SKUA__MAY_WRITE))
        return SKUA_EUSAGE;
    if (message->len == 0 || message->fds_len > SKUA_UNIX_FDS_MAX)
        return -EINVAL;
    if (message->fds_len > 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(bytes);
        part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(part), message->fds, bytes);
    }
    n = skua__os_sendmsg(fd, &header);
    skua__tcp_moved(fds_tcp(self), SKUA__WRITE, n);
    return n;
}

/* Hands descriptors over to the caller while there is room, and closes the others. */
static void fds_take(skua_unix_message *message, const struct cmsghdr *part)
{
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

    for (size_t i = 0; i < count; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        if (message->fds_got < message->fds_len) {
            message->fds[message->fds_got++] = fd;
        } else {
            skua__os_close(fd);
            message->fds_lost = 1;
        }
    }
}

static int64_t fds_attempt_recv(skua_udp_future *self, int fd)
{
    struct skua__stream *stream = skua__tcp_stream(fds_tcp(self));
    skua_unix_message *message = self->buf;
    struct iovec iov = {.iov_base = message->buf, .iov_len = message->len};
    union fds_control control;
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control};
    ssize_t n;

    if (!(skua__load_relaxed(&fds_tcp(self)->rights) & SKUA__MAY_READ))
        return SKUA_EUSAGE;
    message->fds_got = 0;
    message->fds_lost = 0;
    if (message->len == 0)
        return -EINVAL;
    if (skua__source_look(&stream->source) & SKUA__STASHED)
        return skua__tcp_take_stash(stream, &iov, 1);
    n = skua__os_recvmsg(fd, &header);
    skua__tcp_moved(fds_tcp(self), SKUA__READ, n);
    if (n < 0)
        return n;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&header); part != NULL;
         part = CMSG_NXTHDR(&header, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
            fds_take(message, part);
    if (header.msg_flags & MSG_CTRUNC)
        message->fds_lost = 1;
    return n;
}

skua_future *skua_unix_send_fds_init(skua_udp_future *send, skua_tcp *tcp,
                                     const skua_unix_message *message)
{
    send->buf = (void *)(uintptr_t)message;
    return skua__udp_future_init(send, &skua__tcp_stream(tcp)->source, &tcp->life, SKUA__WRITE,
                                 fds_attempt_send);
}

skua_future *skua_unix_recv_fds_init(skua_udp_future *recv, skua_tcp *tcp,
                                     skua_unix_message *message)
{
    recv->buf = message;
    return skua__udp_future_init(recv, &skua__tcp_stream(tcp)->source, &tcp->life, SKUA__READ,
                                 fds_attempt_recv);
}

ssize_t skua_unix_send_fds(skua_tcp *tcp, const skua_unix_message *message)
{
    skua_udp_future send;

    return (ssize_t)skua__udp_await(skua_unix_send_fds_init(&send, tcp, message), SKUA_FOREVER);
}

ssize_t skua_unix_recv_fds_until(skua_tcp *tcp, skua_unix_message *message, int64_t deadline)
{
    skua_udp_future recv;

    return (ssize_t)skua__udp_await(skua_unix_recv_fds_init(&recv, tcp, message), deadline);
}

ssize_t skua_unix_recv_fds(skua_tcp *tcp, skua_unix_message *message)
{
    return skua_unix_recv_fds_until(tcp, message, SKUA_FOREVER);
}
