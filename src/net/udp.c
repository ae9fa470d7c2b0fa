/* udp.c - datagram sockets: life, addresses, options.
 *
 * A socket is a slot with lives, as TCP's are (net_impl.h). Unlike a stream it is used as it is: no
 * halves, and nothing to wait for but one try (udp_future.c) or many (udp_many.c).
 *
 * Both versions  what is set for IPv4 and for IPv6 by different options is set by one function; on
 *            an IPv6 socket, which may speak IPv4 too, both.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "net/net_impl.h"

static struct skua__slots udp_slots = SKUA__SLOTS(struct skua_udp, next_free);

/* ---- slots ----------------------------------------------------------------------------------- */

static void udp_release(struct skua__source *source)
{
    skua__os_slot_give(&udp_slots, skua__container(source, struct skua_udp, source));
}

int skua__udp_adopt(int fd, int family, skua_udp **ret)
{
    struct skua_udp *udp = skua__os_slot_take(&udp_slots);

    if (udp == NULL) {
        if (fd >= 0)
            skua__os_close(fd);
        return -ENOMEM;
    }
    skua__store_relaxed(&udp->family, family);
    skua__source_init(&udp->source, fd, udp_release);
    skua__slot_open(&udp->life);
    *ret = udp;
    return 0;
}

int skua_udp_close(skua_udp *udp)
{
    if (udp == NULL)
        return 0;
    if (!skua__slot_close(&udp->life))
        return -EBADF;
    (void)skua__source_close(&udp->source, SKUA__CLOSED);
    skua__source_unref(&udp->source);
    return 0;
}

/* ---- binding --------------------------------------------------------------------------------- */

void skua_udp_options_init(skua_udp_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static int udp_check(const skua_udp_options *options)
{
    if (options->size != sizeof *options || options->reuse_port > 1 || options->reuse_address > 1 ||
        options->v6_only > 1 || options->broadcast > 1 || options->ttl < 0 || options->ttl > 255 ||
        options->recv_buffer < 0 || options->send_buffer < 0)
        return -EINVAL;
    return 0;
}

/* An option with an IPv4 and an IPv6 form. */
static int udp_set_both(int fd, int family, int name_v4, int name_v6, int value)
{
    int rc = 0;

    if (family == AF_INET6)
        rc = skua__os_setsockopt(fd, IPPROTO_IPV6, name_v6, &value, sizeof value);
    if (rc == 0 && family != AF_UNIX)
        rc = skua__os_setsockopt(fd, IPPROTO_IP, name_v4, &value, sizeof value);
    return family == AF_UNIX ? -EOPNOTSUPP : rc;
}

/* Sets an option of the socket itself, unless it is to stay as it is. */
static int udp_set_if(int rc, int fd, int name, int value)
{
    if (rc != 0 || value == 0)
        return rc;
    return skua__os_setsockopt(fd, SOL_SOCKET, name, &value, sizeof value);
}

static int udp_setup(int fd, const struct skua__address *address, const skua_udp_options *options)
{
    int family = address->storage.ss_family;
    int v6_only = options->v6_only != 0;
    int rc = 0;

    rc = udp_set_if(rc, fd, SO_REUSEADDR, (int)options->reuse_address);
    rc = udp_set_if(rc, fd, SO_REUSEPORT, (int)options->reuse_port);
    rc = udp_set_if(rc, fd, SO_BROADCAST, (int)options->broadcast);
    rc = udp_set_if(rc, fd, SO_RCVBUF, options->recv_buffer);
    rc = udp_set_if(rc, fd, SO_SNDBUF, options->send_buffer);
    if (rc == 0 && options->ttl != 0)
        rc = udp_set_both(fd, family, IP_TTL, IPV6_UNICAST_HOPS, options->ttl);
    if (rc == 0 && family == AF_INET6)
        rc = skua__os_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    if (rc == 0)
        rc = skua__os_bind(fd, (const struct sockaddr *)&address->storage, address->len);
    return rc;
}

/* A bound descriptor, or an error. */
static int udp_open(const struct skua__address *address, const skua_udp_options *options)
{
    int fd = skua__os_socket(address->storage.ss_family, SOCK_DGRAM, 0);
    int rc;

    if (fd < 0)
        return fd;
    rc = udp_setup(fd, address, options);
    if (rc == 0)
        return fd;
    skua__os_close(fd);
    return rc;
}

int skua_udp_bind(skua_udp **ret, const char *text, const skua_udp_options *given)
{
    skua_udp_options options = {.size = sizeof options};
    struct skua__address address;
    int rc = skua__address_parse(text, &address);
    int fd;

    if (given != NULL)
        options = *given;
    rc = rc != 0 ? rc : udp_check(&options);
    if (rc != 0)
        return rc;
    fd = udp_open(&address, &options);
    if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && address.any_family) {
        skua__address_any_v4(&address);
        fd = udp_open(&address, &options);
    }
    return fd < 0 ? fd : skua__udp_adopt(fd, address.storage.ss_family, ret);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* Takes the peer away. With it the kernel takes a port that it had chosen itself: that is bound
 * again. */
static int udp_disconnect(int fd)
{
    static const struct sockaddr none = {.sa_family = AF_UNSPEC};
    struct skua__address before = {.len = sizeof before.storage};
    struct skua__address now = {.len = sizeof now.storage};
    struct sockaddr_in *was = (struct sockaddr_in *)&before.storage;
    struct sockaddr_in *is = (struct sockaddr_in *)&now.storage; /* its port is where IPv6's is */
    int rc = skua__os_getsockname(fd, (struct sockaddr *)was, &before.len);

    if (rc == 0)
        rc = skua__os_connect(fd, &none, sizeof none);
    if (rc == 0)
        rc = skua__os_getsockname(fd, (struct sockaddr *)is, &now.len);
    if (rc != 0 || now.storage.ss_family == AF_UNIX || is->sin_port != 0)
        return rc;
    is->sin_port = was->sin_port;
    return skua__os_bind(fd, (const struct sockaddr *)is, now.len);
}

int skua_udp_connect(skua_udp *udp, const skua_address *peer)
{
    struct skua__address address = {.len = 0};
    int rc;

    if (peer != NULL)
        skua__address_load(&address, peer);
    if (peer != NULL && address.len == 0)
        return -EINVAL;
    if (!skua__udp_hold(udp))
        return SKUA_ECLOSED;
    if (peer == NULL)
        rc = udp_disconnect(udp->source.fd);
    else
        rc = skua__os_connect(udp->source.fd, (const struct sockaddr *)&address.storage,
                              address.len);
    skua__source_unref(&udp->source);
    return rc;
}

static int udp_address(skua_udp *udp, skua_address *ret,
                       int (*get)(int fd, struct sockaddr *addr, unsigned *len))
{
    struct skua__address address = {.len = sizeof address.storage};
    int rc;

    if (!skua__udp_hold(udp))
        return SKUA_ECLOSED;
    rc = get(udp->source.fd, (struct sockaddr *)&address.storage, &address.len);
    skua__source_unref(&udp->source);
    if (rc != 0)
        return rc;
    skua__address_store(ret, &address);
    skua__address_unmap(ret);
    return 0;
}

int skua_udp_local_address(skua_udp *udp, skua_address *ret)
{
    return udp_address(udp, ret, skua__os_getsockname);
}

int skua_udp_peer_address(skua_udp *udp, skua_address *ret)
{
    return udp_address(udp, ret, skua__os_getpeername);
}

/* ---- options --------------------------------------------------------------------------------- */

static int udp_set(skua_udp *udp, int level, int name, const void *value, unsigned len)
{
    int rc;

    if (!skua__udp_hold(udp))
        return SKUA_ECLOSED;
    rc = skua__os_setsockopt(udp->source.fd, level, name, value, len);
    skua__source_unref(&udp->source);
    return rc;
}

static int udp_set_number(skua_udp *udp, int name_v4, int name_v6, int value, int least)
{
    int rc;

    if (value < least || value > 255)
        return -EINVAL;
    if (!skua__udp_hold(udp))
        return SKUA_ECLOSED;
    rc = udp_set_both(udp->source.fd, skua__load_relaxed(&udp->family), name_v4, name_v6, value);
    skua__source_unref(&udp->source);
    return rc;
}

int skua_udp_set_broadcast(skua_udp *udp, int on)
{
    int value = on != 0;

    return udp_set(udp, SOL_SOCKET, SO_BROADCAST, &value, sizeof value);
}

int skua_udp_set_ttl(skua_udp *udp, int ttl)
{
    return udp_set_number(udp, IP_TTL, IPV6_UNICAST_HOPS, ttl, 1);
}

int skua_udp_set_multicast_loop(skua_udp *udp, int on)
{
    return udp_set_number(udp, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on != 0, 0);
}

int skua_udp_set_multicast_ttl(skua_udp *udp, int ttl)
{
    return udp_set_number(udp, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl, 0);
}

/* The number of an interface, 0: the system's choice. */
static int udp_interface(const char *name, unsigned *ret)
{
    *ret = name == NULL ? 0 : if_nametoindex(name);
    return name != NULL && *ret == 0 ? -ENODEV : 0;
}

int skua_udp_set_multicast_interface(skua_udp *udp, const char *interface)
{
    struct ip_mreqn v4 = {.imr_ifindex = 0};
    unsigned index;
    int family;
    int rc = udp_interface(interface, &index);

    if (rc != 0)
        return rc;
    if (!skua__udp_hold(udp))
        return SKUA_ECLOSED;
    family = skua__load_relaxed(&udp->family);
    v4.imr_ifindex = (int)index;
    if (family == AF_INET6)
        rc = skua__os_setsockopt(udp->source.fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &v4.imr_ifindex,
                                 sizeof v4.imr_ifindex);
    if (rc == 0)
        rc = skua__os_setsockopt(udp->source.fd, IPPROTO_IP, IP_MULTICAST_IF, &v4, sizeof v4);
    skua__source_unref(&udp->source);
    return rc;
}

static bool udp_is_group(const struct skua__address *group)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&group->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&group->storage;

    if (group->storage.ss_family == AF_INET)
        return IN_MULTICAST(ntohl(in->sin_addr.s_addr));
    return group->storage.ss_family == AF_INET6 && IN6_IS_ADDR_MULTICAST(&in6->sin6_addr);
}

static int udp_group(skua_udp *udp, int name, const skua_address *address, const char *interface)
{
    struct group_req request;
    struct skua__address group;
    unsigned index;
    int rc = udp_interface(interface, &index);

    skua__address_load(&group, address);
    if (rc != 0 || !udp_is_group(&group))
        return rc != 0 ? rc : -EINVAL;
    memset(&request, 0, sizeof request);
    request.gr_interface = index;
    memcpy(&request.gr_group, &group.storage, sizeof request.gr_group);
    return udp_set(udp, group.storage.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, name,
                   &request, sizeof request);
}

int skua_udp_join(skua_udp *udp, const skua_address *group, const char *interface)
{
    return udp_group(udp, MCAST_JOIN_GROUP, group, interface);
}

int skua_udp_leave(skua_udp *udp, const skua_address *group, const char *interface)
{
    return udp_group(udp, MCAST_LEAVE_GROUP, group, interface);
}
