/* unix.h - Unix sockets: between processes of one machine, by a path or a name, or by nothing.
 *
 * A Unix stream IS a skua_tcp: what this header opens is used with the functions of net.h: accept,
 * read, write, readable, split, shutdown, lines, the futures, close. Only what TCP alone has
 * (nodelay, keepalive) is -EOPNOTSUPP.
 *
 *     skua_listener *listener;
 *     skua_tcp *conn;
 *
 *     rc = skua_unix_listen(&listener, "/run/app.sock", SKUA_UNIX_OPTIONS(.unlink_stale = 1));
 *     while (rc == 0 && (rc = skua_tcp_accept(listener, &conn)) == 0)
 *         skua_spawn(skua_scope_current(), serve, conn);
 *
 * Datagram sockets (unconnected messages) and seqpacket sockets (connections whose messages keep
 * their bounds) are each a skua_udp, used with the functions of udp.h; what IP alone has (ttl,
 * groups) is -EOPNOTSUPP.
 *
 * Names      a path of at most 107 bytes, which appears as a file; "@name" is abstract: no file,
 *            no permissions, gone with the socket. A path stays when its socket is closed, and is
 *            stale then: remove it, or let the next one do so (unlink_stale).
 * Full       nothing tells when a full backlog, or the full queue of a datagram socket that is not
 *            one's peer, has room again: connects and sends ask again after 1 to 16 ms.
 */
#ifndef SKUA_UNIX_H
#define SKUA_UNIX_H

#include <skua/net.h>
#include <skua/udp.h>

SKUA_C_BEGIN

/* ---- streams --------------------------------------------------------------------------------- */

typedef struct skua_unix_options {
    size_t size;           /* stamped by the macro */
    int backlog;           /* connections the kernel holds (default 4096, cut by somaxconn) */
    unsigned mode;         /* of the file, such as 0600; never more, not for a moment (default 0:
                            * 0777 less the umask) */
    unsigned unlink_stale; /* 1: a socket at the path that nobody listens on is removed; anything
                            * else there stays (default 0) */
} skua_unix_options;

#ifndef __cplusplus
#define SKUA_UNIX_OPTIONS(...)                                                                     \
    (&(const skua_unix_options){.size = sizeof(skua_unix_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.2
 */
SKUA_API void skua_unix_options_init(skua_unix_options *options);

/* Listens. Connections are taken by skua_tcp_accept.
 *
 * Two processes that find the same stale socket at the same moment may take the path from one
 * another: who starts several takes a lock of its own first.
 *
 * ret        receives the listener, to be ended by skua_listener_close; untouched on failure
 * path       or "@name"
 * options    NULL = defaults
 * Returns    0; -EADDRINUSE (somebody listens, or something else is there), -ENAMETOOLONG,
 *            -EINVAL, -EACCES, -ENOENT (no such folder), -EROFS, -EMFILE, -ENOMEM …
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_listen(skua_listener **ret, const char *path,
                                             const skua_unix_options *options);

/* Connects a stream.
 *
 * ret        receives the socket, to be ended by skua_tcp_close; untouched on failure
 * Returns    0; -ENOENT, -ECONNREFUSED (nobody listens), -EACCES, -EPROTOTYPE (another kind of
 *            socket has the path), -ENAMETOOLONG, -EINVAL; -ECANCELED, -ETIMEDOUT …
 * Threads    fibers, plain threads
 * Cancel     nothing was connected
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_connect(skua_tcp **ret, const char *path);

/* As skua_unix_connect, at most until `deadline`.
 *
 * Returns    as skua_unix_connect
 * Threads    fibers, plain threads
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_connect_until(skua_tcp **ret, const char *path,
                                                    int64_t deadline);

/* Makes two streams that are connected with one another.
 *
 * a, b       receive the sockets, to be ended by skua_tcp_close; untouched on failure
 * Returns    0; -EMFILE, -ENOMEM …
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_pair(skua_tcp **a, skua_tcp **b);

/* Who is at the other end: as it was when it connected, listened, or made the pair. */
typedef struct skua_unix_credentials {
    int pid; /* 0: of another pid namespace */
    unsigned uid;
    unsigned gid;
} skua_unix_credentials;

/* Asks the kernel who the peer of a stream is.
 *
 * Returns    0; -ENOTCONN (no Unix stream); SKUA_ECLOSED
 * Threads    any
 * Source     SO_PEERCRED, unix(7)
 * Since      0.2
 */
SKUA_API int skua_unix_peer_credentials(skua_tcp *tcp, skua_unix_credentials *ret);

/* ---- passing descriptors --------------------------------------------------------------------- */

/* As many at most go with one message. */
#define SKUA_UNIX_FDS_MAX 253

/* Bytes, and descriptors that go with the first of them. */
typedef struct skua_unix_message {
    void *buf; /* the caller's */
    size_t len;
    int *fds;          /* the caller's array: what is sent, or room */
    unsigned fds_len;  /* how many there are to send, or how many there is room for */
    unsigned fds_got;  /* receives how many came into fds */
    unsigned fds_lost; /* receives 1 when more came than there was room for, or than the process may
                        * have: they were closed */
} skua_unix_message;

/* Sends bytes with descriptors: the peer gets copies of them.
 *
 * message    len at least 1; fds stay the caller's and open
 * Returns    the count of bytes, as skua_tcp_write; when at least one went, the descriptors went.
 *            The rest of the bytes is for skua_tcp_write_all. -EINVAL (no byte, too many), -EBADF
 *            (one is not open), -ETOOMANYREFS (too many are on their way)
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe: nothing was sent
 * Since      0.2
 */
SKUA_API ssize_t skua_unix_send_fds(skua_tcp *tcp, const skua_unix_message *message);

/* Receives bytes, and the descriptors that came with them; an ordinary read closes those.
 *
 * message    buf, len, fds and fds_len filled in; the others are received
 * Returns    the count of bytes, as skua_tcp_read; the descriptors in fds are the caller's now and
 *            close-on-exec
 * Threads    fibers, plain threads; one reader at a time
 * Cancel     safe: nothing was received
 * Since      0.2
 */
SKUA_API ssize_t skua_unix_recv_fds(skua_tcp *tcp, skua_unix_message *message);

/* As skua_unix_recv_fds, at most until `deadline`.
 *
 * Returns    as skua_unix_recv_fds
 * Threads    as skua_unix_recv_fds
 * Since      0.2
 */
SKUA_API ssize_t skua_unix_recv_fds_until(skua_tcp *tcp, skua_unix_message *message,
                                          int64_t deadline);

/* Makes a future of a send: ready as skua_unix_send_fds returns.
 *
 * message    in place until it is finished
 * Returns    &send->future
 * Threads    where it is awaited
 * Cancel     safe: nothing was sent
 * Since      0.2
 */
SKUA_API skua_future *skua_unix_send_fds_init(skua_udp_future *send, skua_tcp *tcp,
                                              const skua_unix_message *message);

/* Makes a future of a receive: ready as skua_unix_recv_fds returns.
 *
 * Returns    &recv->future
 * Threads    where it is awaited
 * Cancel     safe: nothing was received
 * Since      0.2
 */
SKUA_API skua_future *skua_unix_recv_fds_init(skua_udp_future *recv, skua_tcp *tcp,
                                              skua_unix_message *message);

/* ---- datagrams ------------------------------------------------------------------------------- */

/* Makes a datagram socket: udp.h's functions work on it, with addresses of skua_address_unix.
 *
 * What is sent is not lost: when the receiver's queue is full, the sender waits. When nobody is
 * there any more, a send says -ECONNREFUSED, or -EPIPE while the kernel is still clearing up.
 *
 * path       or "@name"; NULL: no name, it can send and cannot be answered
 * options    NULL = defaults; backlog does not matter
 * Returns    as skua_unix_listen
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_datagram_bind(skua_udp **ret, const char *path,
                                                    const skua_unix_options *options);

/* Makes two datagram sockets, each the other's peer.
 *
 * Returns    as skua_unix_pair
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_datagram_pair(skua_udp **a, skua_udp **b);

/* ---- seqpacket ------------------------------------------------------------------------------- */

/* Listens for connections of messages. They are taken by skua_unix_seqpacket_accept; to
 * skua_tcp_accept it is SKUA_EUSAGE.
 *
 * Returns    as skua_unix_listen
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_seqpacket_listen(skua_listener **ret, const char *path,
                                                       const skua_unix_options *options);

/* Takes the next connection: skua_udp_send and skua_udp_recv work on it; a receive of 0 is its end.
 *
 * ret        receives the socket, to be ended by skua_udp_close; untouched on failure
 * Returns    as skua_tcp_accept; SKUA_EUSAGE for a listener of streams
 * Threads    fibers, plain threads
 * Cancel     safe: no connection is lost
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_seqpacket_accept(skua_listener *listener, skua_udp **ret);

/* Makes a future of that.
 *
 * Returns    &accept->future
 * Threads    where it is awaited
 * Cancel     safe: no connection is lost
 * Since      0.2
 */
SKUA_API skua_future *skua_unix_seqpacket_accept_init(skua_accept_future *accept,
                                                      skua_listener *listener, skua_udp **ret);

/* Connects.
 *
 * deadline   monotonic ns
 * Returns    as skua_unix_connect
 * Threads    fibers, plain threads
 * Cancel     nothing was connected
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_seqpacket_connect(skua_udp **ret, const char *path,
                                                        int64_t deadline);

/* Makes two that are connected with one another.
 *
 * Returns    as skua_unix_pair
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_unix_seqpacket_pair(skua_udp **a, skua_udp **b);

SKUA_C_END

#endif
