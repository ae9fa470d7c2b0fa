/* tcp_listen.c - listening and accepting.
 *
 * Flow       listen: socket, options, bind, listen. accept: try; wait until readable; try again.
 * Exhausted  when the process or the system has no descriptor or memory for one more connection,
 *            accept waits 10 ms, then 20, up to 1 s, and tries again: the connections wait in the
 *            kernel's queue and are served when others end. It is said once, until it is over.
 * No delay   on Linux a connection has its listener's TCP_NODELAY, which spares a call for each.
 *            An adopted listener may be others', too, and have connections that were made before:
 *            there each connection is told.
 * Skipped    connections that died in the queue (ECONNABORTED and what accept(2) lists as errors
 *            of the new socket).
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <poll.h>

#include "net/net_impl.h"

#define LISTEN_PAUSE_MIN (10 * SKUA_MILLISECOND)
#define LISTEN_PAUSE_MAX SKUA_SECOND

static struct skua__slots listen_slots = SKUA__SLOTS(struct skua_listener, next_free);

void skua_listen_options_init(skua_listen_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- listening ------------------------------------------------------------------------------- */

static void listen_release(struct skua__source *source)
{
    skua__os_slot_give(&listen_slots, skua__container(source, skua_listener, source));
}

static skua_listener *listen_slot(int fd, uint32_t kind)
{
    skua_listener *listener = skua__os_slot_take(&listen_slots);

    if (listener == NULL)
        return NULL;
    skua__source_init(&listener->source, fd, listen_release);
    skua__store_relaxed(&listener->exhausted, 0);
    listener->kind = kind;
    listener->nodelay = false;
    return listener;
}

int skua__listener_adopt(int fd, uint32_t kind, skua_listener **ret)
{
    skua_listener *listener = listen_slot(fd, kind);

    if (listener == NULL) {
        skua__os_close(fd);
        return -ENOMEM;
    }
    skua__slot_open(&listener->life);
    *ret = listener;
    return 0;
}

static int listen_setup(int fd, const struct skua__address *address,
                        const skua_listen_options *options)
{
    int on = 1;
    int v6_only = options->v6_only != 0;
    int backlog = options->backlog > 0 ? options->backlog : 4096;
    int rc = skua__os_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);

    if (rc == 0 && options->reuse_port)
        rc = skua__os_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (rc == 0 && address->storage.ss_family == AF_INET6)
        rc = skua__os_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    if (rc == 0 && !options->no_nodelay)
        rc = skua__os_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (rc == 0)
        rc = skua__os_set_nonblocking(fd, true);
    if (rc == 0)
        rc = skua__os_bind(fd, (const struct sockaddr *)&address->storage, address->len);
    return rc == 0 ? skua__os_listen(fd, backlog) : rc;
}

/* A bound, listening descriptor, or an error. */
static int listen_socket(const struct skua__address *address, const skua_listen_options *options)
{
    int fd = skua__os_socket(address->storage.ss_family, SOCK_STREAM, 0);
    int rc;

    if (fd < 0)
        return fd;
    rc = listen_setup(fd, address, options);
    if (rc < 0) {
        skua__os_close(fd);
        return rc;
    }
    return fd;
}

static int listen_check(const skua_listen_options *options)
{
    if (options->size != sizeof *options || options->backlog < 0 || options->reuse_port > 1 ||
        options->v6_only > 1 || options->no_nodelay > 1)
        return -EINVAL;
    return 0;
}

int skua_tcp_listen(skua_listener **ret, const char *text, const skua_listen_options *given)
{
    skua_listen_options options = {.size = sizeof options};
    struct skua__address address;
    int rc = skua__address_parse(text, &address);
    int fd;

    if (given != NULL)
        options = *given;
    rc = rc != 0 ? rc : listen_check(&options);
    if (rc != 0)
        return rc;
    fd = listen_socket(&address, &options);
    if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && address.any_family) {
        skua__address_any_v4(&address);
        fd = listen_socket(&address, &options);
    }
    if (fd < 0)
        return fd;
    return skua__listener_adopt(fd, SKUA__LISTENS_TCP, ret);
}

/* What a socket's connections are (SKUA__LISTENS_…); or an error, if it does not listen. */
static int listen_kind(int fd)
{
    static const int names[] = {SO_ACCEPTCONN, SO_DOMAIN, SO_TYPE};
    int values[3] = {0};

    for (unsigned i = 0; i < 3; i++) {
        unsigned len = sizeof values[i];
        int rc = skua__os_getsockopt(fd, SOL_SOCKET, names[i], &values[i], &len);

        if (rc != 0)
            return rc;
    }
    if (!values[0])
        return -EINVAL;
    if (values[1] != AF_UNIX)
        return SKUA__LISTENS_TCP;
    return values[2] == SOCK_STREAM ? SKUA__LISTENS_STREAM : SKUA__LISTENS_PACKET;
}

int skua_tcp_listen_adopt(skua_listener **ret, int fd, const skua_listen_options *options)
{
    int rc = options != NULL ? listen_check(options) : 0;
    int kind = rc == 0 ? listen_kind(fd) : rc;
    skua_listener *listener;

    if (kind < 0)
        return kind;
    rc = skua__os_set_nonblocking(fd, true);
    if (rc != 0)
        return rc;
    listener = listen_slot(fd, (uint32_t)kind);
    if (listener == NULL)
        return -ENOMEM;
    listener->nodelay = kind == SKUA__LISTENS_TCP && (options == NULL || !options->no_nodelay);
    skua__slot_open(&listener->life);
    *ret = listener;
    return 0;
}

int skua_listener_close(skua_listener *listener)
{
    if (listener == NULL)
        return 0;
    if (!skua__slot_close(&listener->life))
        return -EBADF;
    (void)skua__source_close(&listener->source, SKUA__CLOSED);
    skua__source_unref(&listener->source);
    return 0;
}

int skua_listener_address(skua_listener *listener, char *buf, size_t len)
{
    struct skua__address address = {.len = sizeof address.storage};
    int rc;

    if (!skua__slot_hold(&listener->life, skua__load_acquire(&listener->life), &listener->source))
        return SKUA_ECLOSED;
    rc = skua__os_getsockname(listener->source.fd, (struct sockaddr *)&address.storage,
                              &address.len);
    skua__source_unref(&listener->source);
    return rc != 0 ? rc : skua__address_format(&address, buf, len);
}

/* ---- accepting ------------------------------------------------------------------------------- */

static bool listen_is_exhaustion(int64_t rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

/* Errors of a connection that is gone; the next one may be better. */
static bool listen_is_skipped(int64_t rc)
{
    return rc == -ECONNABORTED || rc == -EPROTO || rc == -ENETDOWN || rc == -ENOPROTOOPT ||
           rc == -EHOSTDOWN || rc == -ENONET || rc == -EHOSTUNREACH || rc == -ENETUNREACH;
}

/* A socket without a descriptor yet. Memory comes first: a connection that was accepted is not
 * thrown away for want of it. */
static int listen_room(skua_listener *listener, skua_tcp **tcp, skua_udp **udp)
{
    if (listener->kind == SKUA__LISTENS_PACKET)
        return skua__udp_adopt(-1, AF_UNIX, udp);
    return listener->kind == SKUA__LISTENS_STREAM ? skua__unix_adopt(-1, tcp)
                                                  : skua__tcp_adopt(-1, tcp);
}

/* One connection, -EAGAIN when there is none, or an error of exhaustion. */
static int listen_take(skua_listener *listener, void *ret, bool packets)
{
    skua_tcp *tcp = NULL;
    skua_udp *udp = NULL;
    int on = 1;
    int fd;

    if (packets != (listener->kind == SKUA__LISTENS_PACKET))
        return SKUA_EUSAGE;
    fd = listen_room(listener, &tcp, &udp);
    if (fd != 0)
        return fd;
    do {
        fd = skua__os_accept(listener->source.fd, NULL, NULL);
    } while (listen_is_skipped(fd));
    /* Nobody else has it yet. */
    if (packets)
        udp->source.fd = fd;
    else
        skua__tcp_stream(tcp)->source.fd = fd;
    if (fd < 0) {
        (void)skua_tcp_close(tcp); /* one of the two is NULL */
        (void)skua_udp_close(udp);
        return fd;
    }
    skua__store_relaxed(&listener->exhausted, 0);
    if (listener->nodelay)
        (void)skua__os_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (packets)
        *(skua_udp **)ret = udp;
    else
        *(skua_tcp **)ret = tcp;
    return 0;
}

static void listen_tell_exhausted(skua_listener *listener, int rc)
{
    /* Relaxed: at worst it is said twice. */
    if (skua__load_relaxed(&listener->exhausted) != 0)
        return;
    skua__store_relaxed(&listener->exhausted, 1);
    fprintf(stderr, "skua: accept: %s; connections wait until that is over\n", skua_strerror(rc));
}

static int64_t listen_next_pause(int64_t pause)
{
    if (pause == 0)
        return LISTEN_PAUSE_MIN;
    return 2 * pause < LISTEN_PAUSE_MAX ? 2 * pause : LISTEN_PAUSE_MAX;
}

static skua_sleep_future *listen_sleep(skua_accept_future *self)
{
    _Static_assert(sizeof self->sleep == sizeof(skua_sleep_future), "the sleep's room");
    return (skua_sleep_future *)(void *)&self->sleep;
}

/* From the first poll on until there is an answer. */
static bool listen_hold(skua_accept_future *self)
{
    if (self->held == 0)
        self->held = skua__slot_hold(&self->listener->life, self->life, &self->listener->source);
    return self->held != 0;
}

static void listen_forget(skua_accept_future *self)
{
    if (self->waker != NULL)
        skua__source_forget(&self->listener->source, SKUA__READ, self->waker);
    self->waker = NULL;
}

/* Sleeps, with the waker left in the source: a close wakes it. SKUA_PENDING; 1: try again; or an
 * error. */
static int64_t listen_back_off(skua_accept_future *self, skua_waker *waker)
{
    struct skua__source *source = &self->listener->source;
    int64_t rc = skua__source_claim(source, SKUA__READ, waker);

    if (rc != 0)
        return rc;
    self->waker = waker;
    /* The closer sets CLOSED and then takes the waker; this side the other way round. */
    if (skua__load_seq(&source->ready) & SKUA__CLOSED_READ)
        return SKUA_ECLOSED;
    if (self->sleeping->ops->poll(self->sleeping, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    self->sleeping = NULL;
    return 1;
}

/* Tries, and leaves the waker where it must wait: a result, SKUA_PENDING, or 1: try again. */
static int64_t listen_try(skua_accept_future *self, skua_waker *waker)
{
    struct skua__source *source = &self->listener->source;
    uint32_t seen = skua__source_look(source);
    int64_t rc;

    if (seen & SKUA__CLOSED)
        return SKUA_ECLOSED;
    rc = listen_take(self->listener, self->ret, self->packets != 0);
    if (rc == -EINVAL && skua__source_look(source) & SKUA__CLOSED)
        return SKUA_ECLOSED; /* shut down by a close */
    if (listen_is_exhaustion(rc)) {
        listen_tell_exhausted(self->listener, (int)rc);
        self->pause = listen_next_pause(self->pause);
        self->sleeping = skua_sleep_init(listen_sleep(self), self->pause);
        return 1;
    }
    if (rc != -EAGAIN)
        return rc;
    skua__source_drained(source, SKUA__READABLE | SKUA__HANGUP, seen);
    rc = skua__source_poll(source, SKUA__READ, waker);
    if (rc == 0) {
        self->waker = waker;
        return SKUA_PENDING;
    }
    return rc;
}

/* Also after an answer: the waker may still be there, if something else woke the task. */
static void listen_drop(skua_future *future)
{
    skua_accept_future *self = skua__container(future, skua_accept_future, future);

    skua_future_drop(self->sleeping);
    self->sleeping = NULL;
    listen_forget(self);
    if (self->held != 0)
        skua__source_unref(&self->listener->source);
    self->held = 0;
}

static skua_poll listen_poll(skua_future *future, skua_waker *waker)
{
    skua_accept_future *self = skua__container(future, skua_accept_future, future);
    int64_t answer;

    if (skua__thread_self()->driver == NULL)
        return SKUA_EUSAGE; /* a plain thread's wait is skua_tcp_accept_until's */
    if (!listen_hold(self))
        return SKUA_ECLOSED;
    if (self->waker != waker)
        listen_forget(self); /* polled by another task: the newest waker counts */
    do {
        answer = self->sleeping != NULL ? listen_back_off(self, waker) : 1;
        if (answer == 1)
            answer = listen_try(self, waker);
    } while (answer == 1);
    if (answer == SKUA_PENDING)
        return answer;
    listen_drop(future);
    return answer;
}

static const skua_future_ops listen_ops = {
    .name = "tcp.accept", .poll = listen_poll, .drop = listen_drop};

skua_future *skua__accept_init(skua_accept_future *accept, skua_listener *listener, void *ret,
                               bool packets)
{
    memset(accept, 0, sizeof *accept);
    accept->future.ops = &listen_ops;
    accept->listener = listener;
    accept->life = skua__load_acquire(&listener->life);
    accept->ret = ret;
    accept->packets = packets;
    return &accept->future;
}

skua_future *skua_tcp_accept_init(skua_accept_future *accept, skua_listener *listener,
                                  skua_tcp **ret)
{
    return skua__accept_init(accept, listener, ret, false);
}

/* Out of descriptors or memory, on a plain thread: 0 after a pause, or -ETIMEDOUT. */
static int listen_pause_thread(skua_listener *listener, int rc, int64_t *pause, int64_t deadline)
{
    int64_t now = skua__os_now();

    listen_tell_exhausted(listener, rc);
    *pause = listen_next_pause(*pause);
    if (now >= deadline)
        return -ETIMEDOUT;
    (void)skua_sleep_until(now + *pause < deadline ? now + *pause : deadline);
    return 0;
}

/* A plain thread blocks in poll(2). */
static int listen_accept_thread(skua_listener *listener, void *ret, bool packets, int64_t deadline)
{
    int64_t pause = 0;
    int rc;

    do {
        if (skua__source_look(&listener->source) & SKUA__CLOSED)
            return SKUA_ECLOSED;
        rc = listen_take(listener, ret, packets);
        if (rc == 0)
            return 0;
        if (rc == -EAGAIN)
            rc = skua__os_poll(listener->source.fd, POLLIN, deadline);
        else if (rc == -EINVAL)
            rc = 0; /* shut down by a close, as the next look will say */
        else if (listen_is_exhaustion(rc))
            rc = listen_pause_thread(listener, rc, &pause, deadline);
    } while (rc == 0);
    return rc;
}

static int listen_accept(skua_listener *listener, void *ret, bool packets, int64_t deadline)
{
    uint32_t life = skua__load_acquire(&listener->life);
    skua_accept_future accept;
    skua_waker *waker;
    int rc;

    if (!(life & SKUA__LIFE_OPEN))
        return SKUA_ECLOSED;
    if (skua__thread_self()->core != NULL)
        return (int)skua_await_until(skua__accept_init(&accept, listener, ret, packets), deadline);
    if (!skua__slot_hold(&listener->life, life, &listener->source))
        return SKUA_ECLOSED;
    waker = skua_waker_custom(&skua__thread_self()->waker);
    rc = skua__source_claim(&listener->source, SKUA__READ, waker);
    if (rc == 0) {
        /* Another may close it meanwhile: see skua__tcp_await. */
        rc = SKUA_ECLOSED;
        if (skua__source_fly(&listener->source, SKUA__READ)) {
            rc = listen_accept_thread(listener, ret, packets, deadline);
            skua__source_land(&listener->source);
        }
        skua__source_forget(&listener->source, SKUA__READ, waker);
    }
    skua__source_unref(&listener->source);
    return rc;
}

/* The same, told. */
static SKUA__NOINLINE int listen_accept_told(skua_listener *listener, void *ret, bool packets,
                                             int64_t deadline)
{
    bool tcp = listener->kind == SKUA__LISTENS_TCP;
    char peer[SKUA_ADDRESS_MAX];
    skua_probe_op op;
    int rc;

    skua__op_begin(&op, tcp ? "tcp.accept" : "unix.accept", NULL);
    rc = listen_accept(listener, ret, packets, deadline);
    if (rc == 0 && tcp && skua_tcp_peer_address(*(skua_tcp **)ret, peer, sizeof peer) == 0)
        op.peer = peer;
    skua__op_end(&op, rc, 0);
    return rc;
}

int skua__accept_until(skua_listener *listener, void *ret, bool packets, int64_t deadline)
{
    if (skua__probe_ops())
        return listen_accept_told(listener, ret, packets, deadline);
    return listen_accept(listener, ret, packets, deadline);
}

int skua_tcp_accept_until(skua_listener *listener, skua_tcp **ret, int64_t deadline)
{
    return skua__accept_until(listener, ret, false, deadline);
}

int skua_tcp_accept(skua_listener *listener, skua_tcp **ret)
{
    return skua_tcp_accept_until(listener, ret, SKUA_FOREVER);
}

#undef LISTEN_PAUSE_MIN
#undef LISTEN_PAUSE_MAX
