/* skua_cares.h - names resolved by c-ares: no thread is needed, and a query that is let go of ends.
 *
 *     skua_cares cares;
 *
 *     skua_cares_init(&cares);                                // before there are other threads
 *     skua_resolver_set_default(&cares.resolver);
 *     rc = skua_tcp_connect(&tcp, "example.org:443", NULL);   // asks c-ares
 *     ...
 *     skua_cares_end(&cares);                                 // nobody asks it any more
 *
 * Each query has a channel of its own, with what resolv.conf says at that moment: so queries are
 * independent, run on any fibers and threads at a time, and are cancelled one by one. A fiber waits
 * for the channel's sockets and its next timeout as for any descriptor; a plain thread sleeps in
 * poll(2). Poll tasks ask on a thread of the blocking pool, as any resolver (resolve.h).
 *
 * Errors are resolve.h's: a server that is silent, refuses or fails is -EAGAIN, as getaddrinfo says
 * it, and -ETIMEDOUT is the caller's deadline. /etc/hosts is read as c-ares reads it: by the fiber.
 * Its timeouts go by the system's clock, also in a test's runtime (test.h).
 * For c-ares 1.16 and later. For your own program: copy it, or include it.
 */
#ifndef SKUA_CARES_H
#define SKUA_CARES_H

#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skua/skua.h>

/* Sockets of one query: a server has one for UDP and one for TCP. */
#define SKUA_CARES_SOCKETS 16

typedef struct skua_cares {
    skua_resolver resolver; /* first */
    const char *servers;    /* "192.0.2.1,[2001:db8::1]:5353"; NULL: resolv.conf's */
    int timeout_ms;         /* of the first try at a server; 0: c-ares' own */
    int tries;              /* at each server; 0: c-ares' own */
} skua_cares;

/* A socket of c-ares, and what it wants to know of it. */
typedef struct skua_cares_socket {
    ares_socket_t number;
    int reads, writes;
    skua_fd *watched; /* a duplicate: c-ares closes its own when it likes; NULL: none yet */
} skua_cares_socket;

/* One query, on the stack of whoever asks. */
typedef struct skua_cares_query {
    skua_addresses *ret;
    int64_t deadline;
    int done, rc;
    unsigned count;
    skua_cares_socket sockets[SKUA_CARES_SOCKETS];
} skua_cares_query;

static inline int skua_cares_error(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return 0;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        return -ENOENT;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
        return -EAGAIN;
    case ARES_ENOMEM:
        return -ENOMEM;
    case ARES_EBADNAME:
        return -EINVAL;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
        return -ECANCELED;
    default:
        return -EIO;
    }
}

/* c-ares tells of each socket what it waits for there: nothing, before it closes it. */
static inline void skua_cares_on_socket(void *data, ares_socket_t number, int reads, int writes)
{
    skua_cares_query *self = (skua_cares_query *)data;
    unsigned i = 0;

    while (i < self->count && self->sockets[i].number != number)
        i++;
    if (i == self->count && (i == SKUA_CARES_SOCKETS || (!reads && !writes)))
        return; /* one too many is not watched: its server is as one that is silent */
    if (i == self->count) {
        memset(&self->sockets[i], 0, sizeof self->sockets[i]);
        self->sockets[i].number = number;
        self->count++;
    }
    self->sockets[i].reads = reads;
    self->sockets[i].writes = writes;
    if (reads || writes)
        return;
    skua_fd_close(self->sockets[i].watched);
    self->sockets[i] = self->sockets[--self->count];
}

static inline void skua_cares_on_answer(void *arg, int status, int timeouts,
                                        struct ares_addrinfo *found)
{
    skua_cares_query *self = (skua_cares_query *)arg;
    skua_address address;

    (void)timeouts;
    self->done = 1;
    self->rc = skua_cares_error(status);
    if (found == NULL)
        return;
    for (struct ares_addrinfo_node *at = found->nodes; self->rc == 0 && at; at = at->ai_next)
        if (skua_address_from_sockaddr(&address, at->ai_addr, (size_t)at->ai_addrlen) == 0)
            self->rc = skua_addresses_add(self->ret, &address);
    ares_freeaddrinfo(found);
}

/* Waits for a fiber: what is ready is in *reads or *writes. 0, or why it ended. */
static inline int skua_cares_wait_fiber(skua_cares_query *self, int64_t until, ares_socket_t *reads,
                                        ares_socket_t *writes)
{
    skua_fd_future waits[2 * SKUA_CARES_SOCKETS];
    skua_future *futures[2 * SKUA_CARES_SOCKETS + 1];
    skua_select_options options;
    skua_sleep_future sleep;
    unsigned n = 0;
    int which;

    for (unsigned i = 0; i < 2 * self->count; i++) {
        skua_cares_socket *socket = &self->sockets[i / 2];
        int rc = 0;
        int copy;

        if (socket->watched == NULL) {
            copy = fcntl(socket->number, F_DUPFD_CLOEXEC, 0);
            rc = copy < 0 ? -errno : skua_fd_adopt(&socket->watched, copy, 0);
            if (rc != 0 && copy >= 0)
                close(copy);
        }
        if (rc != 0)
            return rc;
        futures[n++] =
            i % 2 == 0 ? socket->reads ? skua_fd_readable_init(&waits[i], socket->watched) : NULL
            : socket->writes ? skua_fd_writable_init(&waits[i], socket->watched)
                             : NULL;
    }
    futures[n] = skua_sleep_until_init(&sleep, until);
    skua_select_options_init(&options);
    which = skua_select_from(futures, n + 1, &options, NULL);
    if (which >= 0 && (unsigned)which < n)
        *(which % 2 == 0 ? reads : writes) = self->sockets[which / 2].number;
    return which < 0 ? which : 0;
}

/* The same for a plain thread. */
static inline int skua_cares_wait_thread(skua_cares_query *self, int64_t until,
                                         ares_socket_t *reads, ares_socket_t *writes)
{
    struct pollfd fds[SKUA_CARES_SOCKETS];
    int64_t left = until == SKUA_FOREVER ? -1 : until - skua_now();
    int timeout = -1;

    if (left >= 0 || until != SKUA_FOREVER)
        timeout = left <= 0            ? 0
                  : left > SKUA_MINUTE ? 60000
                                       : (int)((left + SKUA_MILLISECOND - 1) / SKUA_MILLISECOND);
    for (unsigned i = 0; i < self->count; i++) {
        fds[i].fd = self->sockets[i].number;
        fds[i].events = (short)((self->sockets[i].reads ? POLLIN : 0) |
                                (self->sockets[i].writes ? POLLOUT : 0));
        fds[i].revents = 0;
    }
    if (poll(fds, self->count, timeout) < 0 && errno != EINTR)
        return -errno;
    for (unsigned i = 0; i < self->count; i++) {
        if (fds[i].revents == 0)
            continue;
        /* An error is whatever it waits for. */
        if (self->sockets[i].reads && (fds[i].revents & ~POLLOUT))
            *reads = fds[i].fd;
        if (self->sockets[i].writes && (fds[i].revents & ~POLLIN))
            *writes = fds[i].fd;
        break;
    }
    return 0;
}

/* One wait, and what c-ares does about it. */
static inline int skua_cares_step(skua_cares_query *self, ares_channel channel)
{
    ares_socket_t reads = ARES_SOCKET_BAD;
    ares_socket_t writes = ARES_SOCKET_BAD;
    int64_t until = self->deadline;
    struct timeval room;
    struct timeval *next = ares_timeout(channel, NULL, &room);
    int64_t timeout;
    int rc;

    if (next != NULL) {
        timeout = skua_now() + next->tv_sec * SKUA_SECOND + next->tv_usec * SKUA_MICROSECOND;
        until = timeout < until ? timeout : until;
    }
    rc = skua_runtime_current() != NULL ? skua_cares_wait_fiber(self, until, &reads, &writes)
                                        : skua_cares_wait_thread(self, until, &reads, &writes);
    if (rc != 0)
        return rc;
    ares_process_fd(channel, reads, writes);
    return !self->done && skua_now() >= self->deadline ? -ETIMEDOUT : 0;
}

static inline int skua_cares_resolve(skua_resolver *resolver, const skua_query *query,
                                     skua_addresses *ret)
{
    skua_cares *cares = (skua_cares *)(void *)resolver;
    struct ares_addrinfo_hints hints;
    struct ares_options options;
    skua_cares_query self;
    ares_channel channel;
    int mask = ARES_OPT_SOCK_STATE_CB;
    int rc;

    memset(&self, 0, sizeof self);
    memset(&hints, 0, sizeof hints);
    memset(&options, 0, sizeof options);
    self.ret = ret;
    self.deadline = query->deadline;
    options.sock_state_cb = skua_cares_on_socket;
    options.sock_state_cb_data = &self;
    options.timeout = cares->timeout_ms;
    options.tries = cares->tries;
    mask |= cares->timeout_ms > 0 ? ARES_OPT_TIMEOUTMS : 0;
    mask |= cares->tries > 0 ? ARES_OPT_TRIES : 0;
    rc = skua_cares_error(ares_init_options(&channel, &options, mask));
    if (rc != 0)
        return rc;
    if (cares->servers != NULL)
        rc = skua_cares_error(ares_set_servers_ports_csv(channel, cares->servers));
    if (rc == 0) {
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_family = query->family == SKUA_ADDRESS_V4   ? AF_INET
                          : query->family == SKUA_ADDRESS_V6 ? AF_INET6
                                                             : AF_UNSPEC;
        ares_getaddrinfo(channel, query->host, NULL, &hints, skua_cares_on_answer, &self);
        while (!self.done && rc == 0)
            rc = skua_cares_step(&self, channel);
        rc = rc != 0 ? rc : self.rc;
    }
    ares_destroy(channel); /* cancels a query that is under way, and says that sockets are closed */
    return rc;
}

/* Makes a resolver; its other members may be set then. Not while other threads use c-ares' own
 * ares_library_init. 0, or -ENOMEM, -EIO. */
static inline int skua_cares_init(skua_cares *self)
{
    static const skua_resolver_ops ops = {"c-ares", skua_cares_resolve};

    memset(self, 0, sizeof *self);
    self->resolver.ops = &ops;
    return skua_cares_error(ares_library_init(ARES_LIB_INIT_ALL));
}

/* Nobody asks it any more, nor does what was left behind by poll tasks. */
static inline void skua_cares_end(skua_cares *self)
{
    (void)self;
    ares_library_cleanup();
}

#endif
