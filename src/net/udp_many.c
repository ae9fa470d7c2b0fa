/* udp_many.c - many datagrams by one system call: sendmmsg and recvmmsg, GSO and GRO.
 *
 * The kernel's structs are made on the stack for each attempt: some 4 KiB for SKUA_UDP_MANY. More
 * than that go by further calls, so that an error is never one of a second system call, which had
 * nobody to be told to.
 */
#include <netinet/in.h>
#include <string.h>

#include "net/net_impl.h"

/* <netinet/udp.h> of older systems does not have them. */
#define BATCH_SEGMENT 103 /* UDP_SEGMENT, Linux 4.18 */
#define BATCH_GRO 104     /* UDP_GRO, Linux 5.0 */

/* What recvmmsg and sendmmsg take, for the messages of one call. */
struct batch {
    struct mmsghdr headers[SKUA_UDP_MANY];
    struct iovec buffers[SKUA_UDP_MANY];
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control[SKUA_UDP_MANY];
};

/* What was found out about the kernel, + 1; relaxed: all would learn the same. */
static _Atomic int batch_offloads;

/* ---- what the kernel can do ------------------------------------------------------------------ */

static int batch_probe(int fd, int name, int bit)
{
    int value = 1;
    int rc = skua__os_setsockopt(fd, IPPROTO_UDP, name, &value, sizeof value);

    if (rc == -ENOPROTOOPT || rc == -EINVAL)
        return 0;
    return rc != 0 ? rc : bit;
}

int skua_udp_offloads(void)
{
    int known = skua__load_relaxed(&batch_offloads);
    int gso, gro, fd;

    if (known != 0)
        return known - 1;
    fd = skua__os_socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    gso = batch_probe(fd, BATCH_SEGMENT, SKUA_UDP_GSO);
    gro = batch_probe(fd, BATCH_GRO, SKUA_UDP_GRO);
    skua__os_close(fd);
    if (gso < 0 || gro < 0)
        return gso < 0 ? gso : gro;
    skua__store_relaxed(&batch_offloads, (gso | gro) + 1);
    return gso | gro;
}

int skua_udp_set_gro(skua_udp *udp, int on)
{
    int value = on != 0;
    int rc;

    if (!skua__udp_hold(udp))
        return SKUA_ECLOSED;
    rc = skua__os_setsockopt(udp->source.fd, IPPROTO_UDP, BATCH_GRO, &value, sizeof value);
    skua__source_unref(&udp->source);
    return rc == -ENOPROTOOPT ? -ENOSYS : rc;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* The size of each datagram in the buffer, as control data. */
static void batch_put_segment(struct msghdr *header, void *control, uint16_t segment)
{
    struct cmsghdr *part;

    header->msg_control = control;
    header->msg_controllen = CMSG_SPACE(sizeof segment);
    part = CMSG_FIRSTHDR(header);
    part->cmsg_level = IPPROTO_UDP;
    part->cmsg_type = BATCH_SEGMENT;
    part->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(part), &segment, sizeof segment);
}

/* 0, or why the messages cannot be sent. */
static int batch_put(struct batch *batch, skua_udp_message *messages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        skua_udp_message *message = &messages[i];

        batch->buffers[i] = (struct iovec){.iov_base = message->buf, .iov_len = message->len};
        *header = (struct msghdr){.msg_iov = &batch->buffers[i], .msg_iovlen = 1};
        if (message->address.len != 0) {
            header->msg_name = message->address.words;
            header->msg_namelen = message->address.len;
        }
        if (message->segment == 0)
            continue;
        if (message->segment > UINT16_MAX)
            return -EINVAL;
        memset(&batch->control[i], 0, sizeof batch->control[i]);
        batch_put_segment(header, &batch->control[i], (uint16_t)message->segment);
    }
    return 0;
}

static int batch_check(const skua_udp_message *messages, unsigned count)
{
    unsigned segments = 0;
    int offloads;

    for (unsigned i = 0; i < count; i++)
        segments |= messages[i].segment;
    if (segments == 0)
        return 0;
    /* An old kernel would send it as one datagram. */
    offloads = skua_udp_offloads();
    if (offloads < 0)
        return offloads;
    return offloads & SKUA_UDP_GSO ? 0 : -ENOSYS;
}

static unsigned batch_count(const skua_udp_future *self)
{
    return (unsigned)skua__min_size(self->len, SKUA_UDP_MANY);
}

/* Tells of so many messages that went through. */
static void batch_moved(const skua_udp_future *self, int count)
{
    const skua_udp_message *messages = self->buf;
    int64_t bytes = 0;

    if (!skua__probe_on(SKUA_PROBE_MOVED))
        return;
    for (int i = 0; i < count; i++)
        bytes += (int64_t)messages[i].count;
    skua__udp_moved(self, bytes);
}

static int64_t batch_attempt_send(skua_udp_future *self, int fd)
{
    skua_udp_message *messages = self->buf;
    unsigned count = batch_count(self);
    struct batch batch;
    int rc;

    rc = batch_check(messages, count);
    if (rc == 0)
        rc = batch_put(&batch, messages, count);
    if (rc == 0)
        rc = skua__os_sendmmsg(fd, batch.headers, count);
    for (int i = 0; i < rc; i++)
        messages[i].count = batch.headers[i].msg_len;
    batch_moved(self, rc);
    return rc;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static uint32_t batch_segment(struct msghdr *header)
{
    int segment = 0;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part))
        if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == BATCH_GRO)
            memcpy(&segment, CMSG_DATA(part), sizeof segment);
    return (uint32_t)segment;
}

static void batch_get(struct mmsghdr *received, skua_udp_message *message)
{
    struct msghdr *header = &received->msg_hdr;

    message->count = received->msg_len;
    message->segment = batch_segment(header);
    message->truncated = (header->msg_flags & MSG_TRUNC) != 0;
    message->address.len = header->msg_namelen;
    message->address.any = 0;
    skua__address_unmap(&message->address);
}

static int64_t batch_attempt_recv(skua_udp_future *self, int fd)
{
    skua_udp_message *messages = self->buf;
    unsigned count = batch_count(self);
    struct batch batch;
    int rc;

    for (unsigned i = 0; i < count; i++) {
        batch.buffers[i] = (struct iovec){.iov_base = messages[i].buf, .iov_len = messages[i].len};
        batch.headers[i] =
            (struct mmsghdr){.msg_hdr = {.msg_name = messages[i].address.words,
                                         .msg_namelen = sizeof messages[i].address.words,
                                         .msg_iov = &batch.buffers[i],
                                         .msg_iovlen = 1,
                                         .msg_control = &batch.control[i],
                                         .msg_controllen = sizeof batch.control[i]}};
    }
    rc = skua__os_recvmmsg(fd, batch.headers, count);
    for (int i = 0; i < rc; i++)
        batch_get(&batch.headers[i], &messages[i]);
    batch_moved(self, rc);
    return rc;
}

/* ---- the calls ------------------------------------------------------------------------------- */

/* None is asked for: ready at once, whatever the socket is. */
static skua_poll batch_nothing_poll(skua_future *future, skua_waker *waker)
{
    (void)future;
    (void)waker;
    return 0;
}

static void batch_nothing_drop(skua_future *future)
{
    (void)future;
}

static const skua_future_ops batch_nothing_ops = {
    .name = "udp.nothing", .poll = batch_nothing_poll, .drop = batch_nothing_drop};

static skua_future *batch_init(skua_udp_future *self, skua_udp *udp, skua_udp_message *messages,
                               size_t count, uint32_t kind,
                               int64_t (*attempt)(skua_udp_future *self, int fd))
{
    self->buf = messages;
    self->len = count;
    self->address = NULL;
    (void)skua__udp_future_init(self, &udp->source, &udp->life, kind, attempt);
    if (count == 0)
        self->future.ops = &batch_nothing_ops;
    return &self->future;
}

skua_future *skua_udp_recv_many_init(skua_udp_future *recv, skua_udp *udp,
                                     skua_udp_message *messages, size_t count)
{
    return batch_init(recv, udp, messages, count, SKUA__READ, batch_attempt_recv);
}

skua_future *skua_udp_send_many_init(skua_udp_future *send, skua_udp *udp,
                                     skua_udp_message *messages, size_t count)
{
    bool by_name =
        count > 0 && messages[0].address.len != 0 && skua__load_relaxed(&udp->family) == AF_UNIX;

    return batch_init(send, udp, messages, count,
                      by_name ? SKUA__WRITE | SKUA__BACKS_OFF : SKUA__WRITE, batch_attempt_send);
}

ssize_t skua_udp_recv_many_until(skua_udp *udp, skua_udp_message *messages, size_t count,
                                 int64_t deadline)
{
    skua_udp_future recv;

    if (count == 0)
        return 0;
    return (ssize_t)skua__udp_await(skua_udp_recv_many_init(&recv, udp, messages, count), deadline);
}

ssize_t skua_udp_recv_many(skua_udp *udp, skua_udp_message *messages, size_t count)
{
    return skua_udp_recv_many_until(udp, messages, count, SKUA_FOREVER);
}

ssize_t skua_udp_send_many(skua_udp *udp, skua_udp_message *messages, size_t count)
{
    skua_udp_future send;

    if (count == 0)
        return 0;
    return (ssize_t)skua__udp_await(skua_udp_send_many_init(&send, udp, messages, count),
                                    SKUA_FOREVER);
}

#undef BATCH_SEGMENT
#undef BATCH_GRO
