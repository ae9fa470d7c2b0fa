/* unix.c - Unix sockets: names, listening, connecting, pairs, who the peer is.
 *
 * What is opened here is a stream (tcp.c), a listener (tcp_listen.c) or a datagram socket (udp.c)
 * like any other; this file knows how a name becomes one.
 *
 * Mode       a socket's file gets the mode of the unbound socket less the umask: that is set first,
 *            so that the file is never open to more than asked for; what the umask took is given
 *            back before anybody can connect.
 * Stale      a socket nobody is bound to refuses connections. It is removed if it is still the same
 *            file after that was found out.
 * Full       a connect to a full backlog says "would block", and nothing tells when that is over:
 *            it is tried again after 1 ms, 2, 4 … 16.
 */
#include <string.h>
#include <sys/un.h>

#include "net/net_impl.h"

#include <skua/unix.h>

#define UNIX_PAUSE_MIN SKUA_MILLISECOND
#define UNIX_PAUSE_MAX (16 * SKUA_MILLISECOND)

/* A name, and what is asked for with it. */
struct unix_place {
    struct skua__address address;
    const char *path; /* NULL: abstract, no file */
    int type;         /* SOCK_… */
    skua_unix_options options;
};

void skua_unix_options_init(skua_unix_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int unix_place(struct unix_place *place, const char *path, int type,
                      const skua_unix_options *given)
{
    skua_address address;
    int rc = skua_address_unix(&address, path);

    if (rc != 0)
        return rc;
    skua_unix_options_init(&place->options);
    if (given != NULL)
        place->options = *given;
    if (place->options.size != sizeof place->options || place->options.backlog < 0 ||
        place->options.mode > 0777 || place->options.unlink_stale > 1)
        return -EINVAL;
    skua__address_load(&place->address, &address);
    place->path = path[0] == '@' ? NULL : path;
    place->type = type;
    return 0;
}

static const struct sockaddr *unix_name(const struct unix_place *place)
{
    return (const struct sockaddr *)&place->address.storage;
}

/* ---- binding --------------------------------------------------------------------------------- */

/* How a connect to the name goes, without staying connected. */
static int unix_knock(const struct unix_place *place)
{
    int fd = skua__os_socket(AF_UNIX, place->type, 0);
    int rc;

    if (fd < 0)
        return fd;
    rc = skua__os_set_nonblocking(fd, true);
    if (rc == 0)
        rc = skua__os_connect(fd, unix_name(place), place->address.len);
    skua__os_close(fd);
    return rc;
}

/* Removes a socket that nobody is bound to. 0: nothing is in the way any more, or nothing was. */
static int unix_unlink_stale(const struct unix_place *place)
{
    uint64_t before[2] = {0};
    uint64_t now[2] = {0};
    int rc = skua__os_socket_file(place->path, before);

    if (rc <= 0)
        return rc == -ENOENT ? 0 : rc == 0 ? -EADDRINUSE : rc;
    rc = unix_knock(place);
    /* It may be asked, is full, of another kind, or not for us: somebody is there. */
    if (rc == 0 || rc == -EAGAIN || rc == -EPROTOTYPE || rc == -EACCES)
        return -EADDRINUSE;
    if (rc != -ECONNREFUSED)
        return rc == -ENOENT ? 0 : rc;
    rc = skua__os_socket_file(place->path, now);
    if (rc <= 0)
        return rc == -ENOENT ? 0 : rc == 0 ? -EADDRINUSE : rc;
    if (before[0] != now[0] || before[1] != now[1])
        return -EADDRINUSE; /* somebody was faster */
    return skua__os_unlink(SKUA__AT_CWD, place->path, false);
}

/* After the bind: the file is there, and goes when this fails. */
static int unix_finish(int fd, const struct unix_place *place)
{
    unsigned mode = place->options.mode;
    int backlog = place->options.backlog > 0 ? place->options.backlog : 4096;
    int rc = 0;

    if (place->path != NULL && mode != 0)
        rc = skua__os_chmod(place->path, mode);
    if (rc == 0 && place->type != SOCK_DGRAM)
        rc = skua__os_listen(fd, backlog);
    if (rc != 0 && place->path != NULL)
        (void)skua__os_unlink(SKUA__AT_CWD, place->path, false);
    return rc;
}

static int unix_setup(int fd, const struct unix_place *place)
{
    bool file = place->path != NULL;
    int rc = 0;

    if (file && place->options.mode != 0)
        rc = skua__os_fchmod(fd, place->options.mode);
    if (rc == 0 && place->type != SOCK_DGRAM)
        rc = skua__os_set_nonblocking(fd, true);
    if (rc == 0 && file && place->options.unlink_stale)
        rc = unix_unlink_stale(place);
    if (rc == 0)
        rc = skua__os_bind(fd, unix_name(place), place->address.len);
    return rc != 0 ? rc : unix_finish(fd, place);
}

/* A bound descriptor that listens if its type does, or an error. */
static int unix_open(const struct unix_place *place)
{
    int fd = skua__os_socket(AF_UNIX, place->type, 0);
    int rc;

    if (fd < 0)
        return fd;
    rc = unix_setup(fd, place);
    if (rc == 0)
        return fd;
    skua__os_close(fd);
    return rc;
}

static int unix_listen(skua_listener **ret, const char *path, const skua_unix_options *options,
                       int type, uint32_t kind)
{
    struct unix_place place;
    int rc = unix_place(&place, path, type, options);
    int fd;

    if (rc != 0)
        return rc;
    fd = unix_open(&place);
    if (fd < 0)
        return fd;
    rc = skua__listener_adopt(fd, kind, ret);
    if (rc != 0 && place.path != NULL)
        (void)skua__os_unlink(SKUA__AT_CWD, place.path, false);
    return rc;
}

int skua_unix_listen(skua_listener **ret, const char *path, const skua_unix_options *options)
{
    return unix_listen(ret, path, options, SOCK_STREAM, SKUA__LISTENS_STREAM);
}

int skua_unix_seqpacket_listen(skua_listener **ret, const char *path,
                               const skua_unix_options *options)
{
    return unix_listen(ret, path, options, SOCK_SEQPACKET, SKUA__LISTENS_PACKET);
}

int skua_unix_datagram_bind(skua_udp **ret, const char *path, const skua_unix_options *options)
{
    struct unix_place place;
    int rc = unix_place(&place, path == NULL ? "@" : path, SOCK_DGRAM, options);
    int fd;

    if (rc != 0)
        return rc;
    fd = path == NULL ? skua__os_socket(AF_UNIX, SOCK_DGRAM, 0) : unix_open(&place);
    if (fd < 0)
        return fd;
    rc = skua__udp_adopt(fd, AF_UNIX, ret);
    if (rc != 0 && path != NULL && place.path != NULL)
        (void)skua__os_unlink(SKUA__AT_CWD, place.path, false);
    return rc;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int unix_try_connect(int fd, const struct unix_place *place, int64_t deadline)
{
    int64_t pause = UNIX_PAUSE_MIN;
    int rc;

    while ((rc = skua__os_connect(fd, unix_name(place), place->address.len)) == -EAGAIN) {
        int64_t now = skua_now();

        if (now >= deadline)
            return -ETIMEDOUT;
        rc = skua_sleep_until(pause < deadline - now ? now + pause : deadline);
        if (rc != 0)
            return rc;
        pause = 2 * pause < UNIX_PAUSE_MAX ? 2 * pause : UNIX_PAUSE_MAX;
    }
    return rc;
}

/* A connected descriptor, or an error. */
static int unix_connect_now(const char *path, int type, int64_t deadline)
{
    struct unix_place place;
    int rc = unix_place(&place, path, type, NULL);
    int fd;

    if (rc == 0)
        rc = skua__task_leaf();
    if (rc != 0)
        return rc;
    fd = skua__os_socket(AF_UNIX, type, 0);
    if (fd < 0)
        return fd;
    rc = skua__os_set_nonblocking(fd, true);
    if (rc == 0)
        rc = unix_try_connect(fd, &place, deadline);
    if (rc == 0) /* from here on io_uring may wait for it */
        rc = skua__os_set_nonblocking(fd, false);
    if (rc == 0)
        return fd;
    skua__os_close(fd);
    return rc;
}

static int unix_connect(const char *path, int type, int64_t deadline)
{
    skua_probe_op op;
    bool told = skua__probe_ops();
    int fd;

    if (told)
        skua__op_begin(&op, "unix.connect", path);
    fd = unix_connect_now(path, type, deadline);
    if (told)
        skua__op_end(&op, fd < 0 ? fd : 0, 0);
    return fd;
}

int skua_unix_connect_until(skua_tcp **ret, const char *path, int64_t deadline)
{
    int fd = unix_connect(path, SOCK_STREAM, deadline);

    return fd < 0 ? fd : skua__unix_adopt(fd, ret);
}

int skua_unix_connect(skua_tcp **ret, const char *path)
{
    return skua_unix_connect_until(ret, path, SKUA_FOREVER);
}

int skua_unix_seqpacket_connect(skua_udp **ret, const char *path, int64_t deadline)
{
    int fd = unix_connect(path, SOCK_SEQPACKET, deadline);

    return fd < 0 ? fd : skua__udp_adopt(fd, AF_UNIX, ret);
}

int skua_unix_seqpacket_accept(skua_listener *listener, skua_udp **ret)
{
    return skua__accept_until(listener, ret, true, SKUA_FOREVER);
}

skua_future *skua_unix_seqpacket_accept_init(skua_accept_future *accept, skua_listener *listener,
                                             skua_udp **ret)
{
    return skua__accept_init(accept, listener, ret, true);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

int skua_unix_pair(skua_tcp **a, skua_tcp **b)
{
    skua_tcp *first;
    int fds[2];
    int rc = skua__os_socketpair(AF_UNIX, SOCK_STREAM, fds);

    if (rc != 0)
        return rc;
    rc = skua__unix_adopt(fds[0], &first);
    if (rc != 0) {
        skua__os_close(fds[1]);
        return rc;
    }
    rc = skua__unix_adopt(fds[1], b);
    if (rc == 0)
        *a = first;
    else
        (void)skua_tcp_close(first);
    return rc;
}

static int unix_packet_pair(skua_udp **a, skua_udp **b, int type)
{
    skua_udp *first;
    int fds[2];
    int rc = skua__os_socketpair(AF_UNIX, type, fds);

    if (rc != 0)
        return rc;
    rc = skua__udp_adopt(fds[0], AF_UNIX, &first);
    if (rc != 0) {
        skua__os_close(fds[1]);
        return rc;
    }
    rc = skua__udp_adopt(fds[1], AF_UNIX, b);
    if (rc == 0)
        *a = first;
    else
        (void)skua_udp_close(first);
    return rc;
}

int skua_unix_datagram_pair(skua_udp **a, skua_udp **b)
{
    return unix_packet_pair(a, b, SOCK_DGRAM);
}

int skua_unix_seqpacket_pair(skua_udp **a, skua_udp **b)
{
    return unix_packet_pair(a, b, SOCK_SEQPACKET);
}

/* ---- who is there ---------------------------------------------------------------------------- */

int skua_unix_peer_credentials(skua_tcp *tcp, skua_unix_credentials *ret)
{
    struct skua__stream *stream = skua__tcp_hold(tcp);
    struct ucred peer;
    unsigned len = sizeof peer;
    int rc;

    if (stream == NULL)
        return SKUA_ECLOSED;
    rc = skua__os_getsockopt(stream->source.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    skua__source_unref(&stream->source);
    if (rc != 0)
        return rc;
    if (peer.uid == (uid_t)-1) /* TCP's */
        return -ENOTCONN;
    *ret = (skua_unix_credentials){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    return 0;
}

#undef UNIX_PAUSE_MIN
#undef UNIX_PAUSE_MAX
