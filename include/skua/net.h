/* net.h - TCP: listen, accept, connect, read, write.
 *
 * A socket may be used by one reading and one writing task at a time, on any workers; a second
 * reader (or writer) gets -EBUSY. Every wait ends with the caller's cancellation or deadline
 * (-ECANCELED, -ETIMEDOUT), and the socket is as good afterwards as before.
 *
 * Addresses are strings: "127.0.0.1:80", "[::1]:80", ":80" or "*:80" (every address, both IP
 * versions), "localhost:80"; port 0 lets the system choose. skua_tcp_connect takes names of hosts,
 * too. Streams of Unix sockets are used with the same functions: unix.h opens them.
 */
#ifndef SKUA_NET_H
#define SKUA_NET_H

#include <sys/uio.h>

#include <skua/address.h>
#include <skua/io.h>
#include <skua/net_future.h>

SKUA_C_BEGIN

typedef struct skua_listener skua_listener;
typedef struct skua_tcp skua_tcp;

/* ---- listening ------------------------------------------------------------------------------- */

typedef struct skua_listen_options {
    size_t size;         /* stamped by the macro */
    int backlog;         /* connections the kernel holds (default 4096, cut by somaxconn) */
    unsigned reuse_port; /* 1: several listeners share the port (default 0) */
    unsigned v6_only;    /* 1: an IPv6 listener takes no IPv4 (default 0) */
    unsigned no_nodelay; /* 1: leave Nagle's algorithm on for accepted sockets (default 0) */
} skua_listen_options;

#ifndef __cplusplus
#define SKUA_LISTEN_OPTIONS(...)                                                                   \
    (&(const skua_listen_options){.size = sizeof(skua_listen_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.1
 */
SKUA_API void skua_listen_options_init(skua_listen_options *options);

/* Listens on an address.
 *
 * ret        receives the listener, to be ended by skua_listener_close; untouched on failure
 * address    see above
 * options    NULL = defaults
 * Returns    0; -EINVAL (no address), -EADDRINUSE, -EACCES, -EMFILE, -ENOMEM …
 * Threads    any
 * Since      0.1
 */
SKUA_API SKUA_NODISCARD int skua_tcp_listen(skua_listener **ret, const char *address,
                                            const skua_listen_options *options);

/* Makes a listener of a socket that listens already: one that a service manager handed over
 * (service.h), or a parent process. A Unix socket, too (unix.h); one of packets is for
 * skua_unix_seqpacket_accept.
 *
 * ret        receives the listener, to be ended by skua_listener_close; untouched on failure
 * fd         the listener's from now on, and closed with it; the caller's still on failure
 * options    NULL = defaults; only no_nodelay counts
 * Returns    0; -EINVAL: it does not listen; -EBADF, -ENOTSOCK, -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_tcp_listen_adopt(skua_listener **ret, int fd,
                                                  const skua_listen_options *options);

/* Takes the next connection.
 *
 * When the process has no descriptors or memory left (EMFILE, ENFILE, ENOBUFS, ENOMEM) this does
 * not fail: it backs off (10 ms, doubling to 1 s), says so once on standard error, and goes on;
 * connections that were reset while they waited are skipped.
 *
 * ret        receives the socket, to be ended by skua_tcp_close; untouched on failure
 * Returns    0; -ECANCELED, -ETIMEDOUT; SKUA_ECLOSED when the listener was closed; -EBUSY when
 *            another task accepts
 * Threads    fibers, plain threads
 * Cancel     safe: no connection is lost
 * Since      0.1
 */
SKUA_API SKUA_NODISCARD int skua_tcp_accept(skua_listener *listener, skua_tcp **ret);

/* As skua_tcp_accept, at most until `deadline`.
 *
 * Returns    as skua_tcp_accept
 * Threads    fibers, plain threads
 * Since      0.1
 */
SKUA_API SKUA_NODISCARD int skua_tcp_accept_until(skua_listener *listener, skua_tcp **ret,
                                                  int64_t deadline);

/* The address a listener is bound to, with the port that the system chose.
 *
 * buf        SKUA_ADDRESS_MAX bytes
 * Returns    0; SKUA_ECLOSED
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_listener_address(skua_listener *listener, char *buf, size_t len);

/* Closes a listener. A task in accept gets SKUA_ECLOSED.
 *
 * listener   NULL does nothing
 * Returns    0; -EBADF when it is closed already
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_listener_close(skua_listener *listener);

/* ---- connecting ------------------------------------------------------------------------------ */

typedef struct skua_connect_options {
    size_t size;                    /* stamped by the macro */
    const char *bind;               /* local address (default: the system's choice) */
    int64_t deadline;               /* monotonic ns (default 0: none but the task's own) */
    unsigned no_nodelay;            /* 1: leave Nagle's algorithm on (default 0) */
    struct skua_resolver *resolver; /* of names, see resolve.h (default: the process's) */
    int64_t attempt_delay; /* ns that one attempt has before the next begins (default 250 ms) */
} skua_connect_options;

#ifndef __cplusplus
#define SKUA_CONNECT_OPTIONS(...)                                                                  \
    (&(const skua_connect_options){.size = sizeof(skua_connect_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.1
 */
SKUA_API void skua_connect_options_init(skua_connect_options *options);

/* Connects to an address, or to a name with a port: "example.org:80".
 *
 * A name is resolved (resolve.h), and its addresses are tried as "happy eyeballs" has it: both IP
 * versions in turn, the best address first; the next one as soon as one has failed, or has not
 * answered for .attempt_delay; 16 at a time at most. The first that answers wins.
 *
 * ret        receives the socket, to be ended by skua_tcp_close; untouched on failure
 * address    as at the top, or a name; its port is part of it
 * Returns    0; -EINVAL (neither of these), -ECONNREFUSED, -EHOSTUNREACH …: of several attempts the
 *            first failure that came from out there, rather than one of this machine, which has no
 *            such route or family; -ENOENT, -EAGAIN, -EIO, -ENAMETOOLONG (the name, see resolve.h);
 *            -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads
 * Cancel     the name is let go of, and all half-made connections are closed
 * Source     RFC 8305; it asks for A and AAAA records as one, so that its resolution delay is the
 *            resolver's affair
 * Since      0.1, names since 0.3
 */
SKUA_API SKUA_NODISCARD int skua_tcp_connect(skua_tcp **ret, const char *address,
                                             const skua_connect_options *options);

/* ---- reading and writing --------------------------------------------------------------------- */

/* Reads what is there, at least one byte.
 *
 * buf, len   the caller's; untouched after the return
 * Returns    the count; 0 at the end of the stream (or when len is 0); -ECONNRESET …,
 *            SKUA_ECLOSED, -EBUSY, -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads; one reader at a time
 * Cancel     safe: nothing was read
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_read(skua_tcp *tcp, void *buf, size_t len);

/* As skua_tcp_read, at most until `deadline`.
 *
 * Returns    as skua_tcp_read
 * Threads    as skua_tcp_read
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_read_until(skua_tcp *tcp, void *buf, size_t len, int64_t deadline);

/* Reads exactly `len` bytes.
 *
 * Returns    len; SKUA_EEOF when the stream ended before; else as skua_tcp_read. On failure an
 *            unknown part of buf was read.
 * Threads    as skua_tcp_read
 * Cancel     not safe: what was read so far is lost
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_read_exact(skua_tcp *tcp, void *buf, size_t len);

/* Reads into several buffers.
 *
 * iov, count at most 1,024
 * Returns    as skua_tcp_read
 * Threads    as skua_tcp_read
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_readv(skua_tcp *tcp, const struct iovec *iov, int count);

/* Writes what the socket takes, at least one byte.
 *
 * buf, len   the caller's; the kernel has copied what it took
 * Returns    the count (0 only when len is 0); -EPIPE, -ECONNRESET …, SKUA_ECLOSED, -EBUSY,
 *            -ECANCELED, -ETIMEDOUT; never a SIGPIPE
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe: nothing was written
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_write(skua_tcp *tcp, const void *buf, size_t len);

/* Writes everything.
 *
 * Returns    len; else as skua_tcp_write, an unknown part was written
 * Threads    as skua_tcp_write
 * Cancel     not safe: how much was written is not told
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_write_all(skua_tcp *tcp, const void *buf, size_t len);

/* As skua_tcp_write_all, at most until `deadline`.
 *
 * Returns    as skua_tcp_write_all
 * Threads    as skua_tcp_write
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_write_all_until(skua_tcp *tcp, const void *buf, size_t len,
                                          int64_t deadline);

/* Writes from several buffers.
 *
 * Returns    as skua_tcp_write
 * Threads    as skua_tcp_write
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_writev(skua_tcp *tcp, const struct iovec *iov, int count);

/* Waits until skua_tcp_try_read may give something: bytes, the end, or an error.
 *
 * With it a connection holds no buffer while it waits: ten thousand idle ones share one, which
 * stays in the cache. It may say so in vain; then the try says -EAGAIN, and the next wait waits.
 *
 *     while ((rc = skua_tcp_readable(tcp)) == 0) {
 *         n = skua_tcp_try_read(tcp, shared, sizeof shared);
 *         if (n == -EAGAIN)
 *             continue;
 *         ...                          no other task runs until the next wait
 *     }
 *
 * Returns    0; SKUA_ECLOSED, -EBUSY, -ECANCELED, -ETIMEDOUT
 * Threads    fibers, plain threads; one reader at a time
 * Cancel     safe
 * Source     Tokio's TcpStream::readable
 * Since      0.1
 */
SKUA_API SKUA_NODISCARD int skua_tcp_readable(skua_tcp *tcp);

/* Waits until skua_tcp_try_write may take something.
 *
 * Returns    as skua_tcp_readable
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe
 * Since      0.1
 */
SKUA_API SKUA_NODISCARD int skua_tcp_writable(skua_tcp *tcp);

/* Reads what is there, and does not wait.
 *
 * Returns    as skua_tcp_read; -EAGAIN when there is nothing
 * Threads    any; one reader at a time
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_try_read(skua_tcp *tcp, void *buf, size_t len);

/* Writes what the socket takes, and does not wait.
 *
 * Returns    as skua_tcp_write; -EAGAIN when it takes nothing
 * Threads    any; one writer at a time
 * Since      0.1
 */
SKUA_API ssize_t skua_tcp_try_write(skua_tcp *tcp, const void *buf, size_t len);

/* Ends the stream to the peer; reading goes on (half-close).
 *
 * Returns    0; -ENOTCONN, SKUA_ECLOSED
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_shutdown(skua_tcp *tcp);

/* Closes a socket. Tasks that wait on it get SKUA_ECLOSED.
 *
 * tcp        NULL does nothing
 * Returns    0; -EBADF when it is closed already
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_close(skua_tcp *tcp);

/* Splits a socket in halves for two owners: each is closed on its own, the writing half's close
 * ends the stream to the peer, the second close closes the socket.
 *
 * tcp        no longer the caller's when 0 was returned
 * reader     receives the half that reads
 * writer     receives the half that writes
 * Returns    0; SKUA_ECLOSED; SKUA_EUSAGE for a half
 * Threads    any; no task waits on tcp
 * Since      0.1
 */
SKUA_API int skua_tcp_split(skua_tcp *tcp, skua_tcp **reader, skua_tcp **writer);

/* A socket as a stream of bytes (io.h).
 *
 * tcp        the caller's; a half, too, for what it may do
 * Returns    a value that is good until the socket is closed
 * Threads    any
 * Since      0.2
 */
SKUA_API skua_io skua_tcp_io(skua_tcp *tcp);

/* Sends a part of a file, inside the kernel.
 *
 * Reading a file may wait for a disk, and the worker with it: what is not in the page cache is sent
 * by skua_blocking (blocking.h), where that is not wanted.
 *
 * file       a descriptor of a regular file, the caller's; its own position does not move
 * offset     where to begin, bytes from the file's front; moved on by what was sent, also when it
 *            fails: so the call may be made again
 * count      bytes at most
 * Returns    how many were sent: `count`, or fewer at the file's end; -EINVAL: no such file, or out
 *            of range; -EIO …; else as skua_tcp_write
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe: *offset says how far it came
 * Source     sendfile(2)
 * Since      0.2
 */
SKUA_API int64_t skua_tcp_sendfile(skua_tcp *tcp, int file, int64_t *offset, int64_t count);

/* ---- options and addresses of a socket ------------------------------------------------------- */

/* Switches Nagle's algorithm off (1, the default of Skua's sockets) or on (0).
 *
 * Returns    0; SKUA_ECLOSED; -errno
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_set_nodelay(skua_tcp *tcp, int on);

/* Asks for probes of an idle connection.
 *
 * idle       ns before the first probe, rounded up to seconds; 0 = no probes
 * interval   ns between probes, rounded up to seconds; 0 = the system's
 * count      probes lost before the connection is given up; 0 = the system's
 * Returns    0; SKUA_ECLOSED; -errno
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_set_keepalive(skua_tcp *tcp, int64_t idle, int64_t interval, int count);

/* How long close waits in the kernel for unsent data to go out.
 *
 * linger     ns, rounded up to seconds; 0 = reset the connection; negative = the system's default
 * Returns    0; SKUA_ECLOSED; -errno
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_set_linger(skua_tcp *tcp, int64_t linger);

/* This side's address.
 *
 * buf        SKUA_ADDRESS_MAX bytes
 * Returns    0; -ENOSPC, SKUA_ECLOSED, -errno
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_local_address(skua_tcp *tcp, char *buf, size_t len);

/* The peer's address.
 *
 * Returns    as skua_tcp_local_address
 * Threads    any
 * Since      0.1
 */
SKUA_API int skua_tcp_peer_address(skua_tcp *tcp, char *buf, size_t len);

SKUA_C_END

#endif
