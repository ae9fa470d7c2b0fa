/* udp.h - UDP: bind, send, receive; also what Unix datagram and seqpacket sockets do (unix.h).
 *
 * A socket is bound to an address and then sends to anybody and receives from anybody, or is
 * connected: then it has one peer, hears nobody else, and is told that the peer is not there.
 *
 *     skua_udp *udp;
 *     skua_address from;
 *     char buf[1500];
 *
 *     rc = skua_udp_bind(&udp, "*:7000", NULL);
 *     while (rc == 0 && (n = skua_udp_recv_from(udp, buf, sizeof buf, &from)) >= 0)
 *         n = skua_udp_send_to(udp, buf, (size_t)n, &from);
 *     skua_udp_close(udp);
 *
 * As with TCP one task receives and one sends at a time, on any workers; a second one that would
 * have to wait gets -EBUSY. Every wait ends with the caller's cancellation or deadline, and a wait
 * that ended so has received, or sent, nothing. Closing is allowed at any moment, by anybody.
 *
 * Too long   a datagram that is longer than the buffer is told: -EMSGSIZE. The buffer holds its
 *            beginning, the sender is told, the rest is lost, and the next call gets the next
 *            datagram. (Go and Tokio cut it off and say nothing on Unix; Windows says this.)
 * Empty      a datagram may have no bytes: a receive of 0 is one. Not with a seqpacket socket,
 *            where 0 is the end, as with a stream.
 * Refused    an earlier datagram of a connected socket that found nobody is told by the next call
 *            that sends or receives: -ECONNREFUSED, once. The socket is as good as before.
 * Addresses  are values, see address.h. An IPv4 peer of an IPv6 socket is told as IPv4.
 */
#ifndef SKUA_UDP_H
#define SKUA_UDP_H

#include <skua/address.h>
#include <skua/time.h>

SKUA_C_BEGIN

typedef struct skua_udp skua_udp;

/* ---- sockets --------------------------------------------------------------------------------- */

typedef struct skua_udp_options {
    size_t size;            /* stamped by the macro */
    unsigned reuse_port;    /* 1: several sockets share the port; the kernel spreads (default 0) */
    unsigned reuse_address; /* 1: several receive a group's datagrams at one port (default 0) */
    unsigned v6_only;       /* 1: an IPv6 socket takes no IPv4 (default 0) */
    unsigned broadcast;     /* 1: may send to broadcast addresses (default 0) */
    int ttl;                /* routers that a datagram may pass, 1 to 255 (default: the system's) */
    int recv_buffer; /* bytes that the kernel keeps (default: the system's; cut by rmem_max) */
    int send_buffer; /* likewise, by wmem_max */
} skua_udp_options;

#ifndef __cplusplus
#define SKUA_UDP_OPTIONS(...)                                                                      \
    (&(const skua_udp_options){.size = sizeof(skua_udp_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_udp_options_init(skua_udp_options *options);

/* Makes a socket that is bound to an address.
 *
 * ret        receives the socket, to be ended by skua_udp_close; untouched on failure
 * address    "127.0.0.1:0", "[::]:53", "*:80" …; port 0: the system chooses
 * options    NULL = defaults
 * Returns    0; -EINVAL (no address, bad options), -EADDRINUSE, -EACCES, -EMFILE, -ENOMEM …
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_udp_bind(skua_udp **ret, const char *address,
                                          const skua_udp_options *options);

/* Sets the peer: skua_udp_send goes there, only what comes from there is received. Nothing is sent.
 *
 * peer       NULL: none any more
 * Returns    0; -EINVAL, -EAFNOSUPPORT, -ENETUNREACH …; SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_connect(skua_udp *udp, const skua_address *peer);

/* Closes a socket. Tasks that wait on it get SKUA_ECLOSED.
 *
 * udp        NULL does nothing
 * Returns    0; -EBADF when it is closed already
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_close(skua_udp *udp);

/* This side's address, with the port that the system chose.
 *
 * Returns    0; SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_local_address(skua_udp *udp, skua_address *ret);

/* The peer's address.
 *
 * Returns    0; -ENOTCONN, SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_peer_address(skua_udp *udp, skua_address *ret);

/* ---- sending and receiving ------------------------------------------------------------------- */

/* Sends a datagram to the peer.
 *
 * buf, len   the caller's; len 0 is an empty datagram
 * Returns    len; -EDESTADDRREQ or -ENOTCONN (no peer), -EMSGSIZE (too long to be sent),
 *            -ECONNREFUSED (an earlier one, see the top), -ENETUNREACH, -EPERM …; SKUA_ECLOSED,
 *            -EBUSY, -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads; one sender at a time
 * Cancel     safe: nothing was sent
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_send(skua_udp *udp, const void *buf, size_t len);

/* Sends a datagram to an address.
 *
 * to         the caller's; NULL: to the peer
 * Returns    as skua_udp_send
 * Threads    as skua_udp_send
 * Cancel     safe: nothing was sent
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_send_to(skua_udp *udp, const void *buf, size_t len,
                                  const skua_address *to);

/* As skua_udp_send_to, at most until `deadline`.
 *
 * Returns    as skua_udp_send
 * Threads    as skua_udp_send
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_send_to_until(skua_udp *udp, const void *buf, size_t len,
                                        const skua_address *to, int64_t deadline);

/* As skua_udp_send_to, and does not wait.
 *
 * Returns    as skua_udp_send; -EAGAIN when the socket takes nothing
 * Threads    any; one sender at a time
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_try_send_to(skua_udp *udp, const void *buf, size_t len,
                                      const skua_address *to);

/* Receives a datagram.
 *
 * buf, len   the caller's; untouched after the return
 * Returns    its length, which may be 0; -EMSGSIZE (it was longer than len), -ECONNREFUSED (see
 *            the top); SKUA_ECLOSED, -EBUSY, -ECANCELED, -ETIMEDOUT …
 * Threads    fibers, plain threads; one receiver at a time
 * Cancel     safe: nothing was received
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_recv(skua_udp *udp, void *buf, size_t len);

/* Receives a datagram, and says from whom.
 *
 * from       receives the sender, also with -EMSGSIZE; else untouched on failure; may be NULL
 * Returns    as skua_udp_recv
 * Threads    as skua_udp_recv
 * Cancel     safe: nothing was received
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_recv_from(skua_udp *udp, void *buf, size_t len, skua_address *from);

/* As skua_udp_recv_from, at most until `deadline`.
 *
 * Returns    as skua_udp_recv
 * Threads    as skua_udp_recv
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_recv_from_until(skua_udp *udp, void *buf, size_t len, skua_address *from,
                                          int64_t deadline);

/* As skua_udp_recv_from, and does not wait.
 *
 * Returns    as skua_udp_recv; -EAGAIN when there is nothing
 * Threads    any; one receiver at a time
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_try_recv_from(skua_udp *udp, void *buf, size_t len, skua_address *from);

/* Looks at the next datagram, which stays.
 *
 * buf, len   receives its beginning; NULL, 0: to learn its length
 * from       receives the sender; may be NULL
 * Returns    its length, which may be more than len; else as skua_udp_recv
 * Threads    as skua_udp_recv
 * Cancel     safe
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_peek_from(skua_udp *udp, void *buf, size_t len, skua_address *from);

/* Waits until skua_udp_try_recv_from may give something. It may say so in vain, see
 * skua_tcp_readable.
 *
 * Returns    0; SKUA_ECLOSED, -EBUSY, -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads; one receiver at a time
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_udp_readable(skua_udp *udp);

/* Waits until skua_udp_try_send_to may take something.
 *
 * Returns    as skua_udp_readable
 * Threads    fibers, plain threads; one sender at a time
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_udp_writable(skua_udp *udp);

/* ---- many at a time -------------------------------------------------------------------------- */

/* A datagram of many. The caller fills in buf and len, and to send address and segment. */
typedef struct skua_udp_message {
    skua_address address; /* to whom; none: the peer. Received: from whom */
    void *buf;
    size_t len;
    size_t count;       /* receives the bytes that were moved */
    uint32_t segment;   /* bytes of each datagram of several in one buffer; 0: it is one. See GSO */
    uint32_t truncated; /* receives 1 when it was longer than len */
} skua_udp_message;

/* As many go by one call; what is more stays for the next one. */
#define SKUA_UDP_MANY 32

/* Sends datagrams, by one system call (sendmmsg).
 *
 * messages   the caller's
 * count      of more than SKUA_UDP_MANY the others are left
 * Returns    how many were sent, at least one (0 only when count is 0); what stopped the next one
 *            is told when it is sent again. Else as skua_udp_send; -ENOSYS: no GSO
 * Threads    as skua_udp_send
 * Cancel     safe: nothing was sent
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_send_many(skua_udp *udp, skua_udp_message *messages, size_t count);

/* Receives what is there, at least one datagram, by one system call (recvmmsg).
 *
 * messages   the caller's; what is too long is told by `truncated`
 * count      at most SKUA_UDP_MANY are received
 * Returns    how many were received (0 only when count is 0); else as skua_udp_recv
 * Threads    as skua_udp_recv
 * Cancel     safe: nothing was received
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_recv_many(skua_udp *udp, skua_udp_message *messages, size_t count);

/* As skua_udp_recv_many, at most until `deadline`.
 *
 * Returns    as skua_udp_recv_many
 * Threads    as skua_udp_recv
 * Since      0.2
 */
SKUA_API ssize_t skua_udp_recv_many_until(skua_udp *udp, skua_udp_message *messages, size_t count,
                                          int64_t deadline);

/* GSO and GRO: one buffer with several datagrams of one size, of which only the last may be
 * shorter, goes through the kernel as one. To send set `segment` (at most 64 datagrams and 64 KiB a
 * buffer; -EIO where the network card cannot). To receive switch it on and use skua_udp_recv_many,
 * which tells `segment`, with buffers of 64 KiB. */
#define SKUA_UDP_GSO 1
#define SKUA_UDP_GRO 2

/* Asks the kernel what it can do.
 *
 * Returns    SKUA_UDP_GSO | SKUA_UDP_GRO, or one of them, or 0; -EMFILE …
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_offloads(void);

/* Switches GRO on or off.
 *
 * Returns    0; -ENOSYS where the kernel has none; SKUA_ECLOSED, -errno
 * Threads    any
 * Source     Linux 5.0, UDP_GRO; Tokio's quinn-udp
 * Since      0.2
 */
SKUA_API int skua_udp_set_gro(skua_udp *udp, int on);

/* ---- options of a socket --------------------------------------------------------------------- */

/* Lets it send to broadcast addresses (1), or not (0).
 *
 * Returns    0; SKUA_ECLOSED; -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_set_broadcast(skua_udp *udp, int on);

/* How many routers what it sends may pass.
 *
 * ttl        1 to 255
 * Returns    0; -EINVAL, SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_set_ttl(skua_udp *udp, int ttl);

/* Joins a multicast group: what is sent there is received, too.
 *
 * group      IPv4 or IPv6; its port does not matter
 * interface  its name ("eth0"); NULL: the system's choice
 * Returns    0; -EINVAL (no group), -ENODEV (no interface), -EADDRINUSE (joined already),
 *            -ENOBUFS; SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_join(skua_udp *udp, const skua_address *group, const char *interface);

/* Leaves a group.
 *
 * Returns    0; -EADDRNOTAVAIL (not joined); else as skua_udp_join
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_leave(skua_udp *udp, const skua_address *group, const char *interface);

/* Whether this machine's members hear what the socket sends to a group (1, the default).
 *
 * Returns    0; SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_set_multicast_loop(skua_udp *udp, int on);

/* How many routers what is sent to groups may pass.
 *
 * ttl        0 (this machine) to 255; the system's default is 1
 * Returns    0; -EINVAL, SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_set_multicast_ttl(skua_udp *udp, int ttl);

/* Where what is sent to groups leaves the machine.
 *
 * interface  its name; NULL: the system's choice
 * Returns    0; -ENODEV, SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_udp_set_multicast_interface(skua_udp *udp, const char *interface);

/* ---- futures, for poll tasks, select and timeouts -------------------------------------------- */

/* Waits for sending or receiving. Its members are private. */
typedef struct skua_udp_future {
    skua_future future;
    void *source; /* what it waits for */
    void *life;   /* where its life is told */
    void *buf;
    size_t len;
    skua_address *address;
    skua_waker *waker; /* whom to wake; NULL when not registered */
    int64_t (*attempt)(struct skua_udp_future *self, int fd);
    skua_future *sleeping; /* &sleep.future while backing off */
    skua_sleep_future sleep;
    int64_t pause;
    uint32_t state;
    uint32_t kind;
    uint32_t seen;
} skua_udp_future;

/* Makes a future of a receive: ready as skua_udp_recv_from returns.
 *
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped receive has received nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_recv_init(skua_udp_future *recv, skua_udp *udp, void *buf,
                                         size_t len, skua_address *from);

/* Makes a future of a send: ready as skua_udp_send_to returns.
 *
 * to         in place until it is finished; NULL: to the peer
 * Returns    &send->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped send has sent nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_send_init(skua_udp_future *send, skua_udp *udp, const void *buf,
                                         size_t len, const skua_address *to);

/* Makes a future of a look: ready as skua_udp_peek_from returns.
 *
 * Returns    &peek->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_peek_init(skua_udp_future *peek, skua_udp *udp, void *buf,
                                         size_t len, skua_address *from);

/* Makes a future of many: ready as skua_udp_recv_many returns.
 *
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe: nothing was received
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_recv_many_init(skua_udp_future *recv, skua_udp *udp,
                                              skua_udp_message *messages, size_t count);

/* Makes a future of many: ready as skua_udp_send_many returns.
 *
 * Returns    &send->future
 * Threads    where it is awaited
 * Cancel     safe: nothing was sent
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_send_many_init(skua_udp_future *send, skua_udp *udp,
                                              skua_udp_message *messages, size_t count);

/* Makes a future of a wait: ready as skua_udp_readable returns.
 *
 * Returns    &readable->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_readable_init(skua_udp_future *readable, skua_udp *udp);

/* Makes a future of a wait: ready as skua_udp_writable returns.
 *
 * Returns    &writable->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_udp_writable_init(skua_udp_future *writable, skua_udp *udp);

#ifndef __cplusplus
/* A receive and a send in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    tasks
 * Since      0.2
 */
#define skua_udp_receiving(udp, buf, len, from)                                                    \
    skua_udp_recv_init(&(skua_udp_future){.future = {0}}, (udp), (buf), (len), (from))
#define skua_udp_sending(udp, buf, len, to)                                                        \
    skua_udp_send_init(&(skua_udp_future){.future = {0}}, (udp), (buf), (len), (to))
#endif

SKUA_C_END

#endif
