/* udp_future.c - trying and waiting, for what is tried as a whole: datagrams, batches of them,
 * descriptors that are passed.
 *
 * Poll       an attempt is one system call that never waits. It is made while the source is
 *            thought ready; "would block" clears that, and only that: that a datagram was short
 *            says nothing about the next one.
 * Waiting    readiness, on both drivers and for every waiter (drive_source.c). No buffer is lent
 *            to the kernel: dropping is immediate, and what was dropped has moved nothing.
 * Back-off   a Unix datagram to somebody whose queue is full can be sent again when there is
 *            room, but the kernel tells that to connected sockets only. Others ask again after
 *            1 ms, 2, 4 … 16, in their place among the source's waiters: a close wakes them. That
 *            the socket is writable wakes them, too, and means nothing: each vain attempt makes it
 *            so again.
 *
 * States     IDLE -> HELD -> IDLE. HELD has a reference on the source, which another task may
 *            close at any moment.
 */
#include <poll.h>

#include "net/net_impl.h"

#define UDP_IDLE 0u
#define UDP_HELD 1u

#define UDP_PAUSE_MIN SKUA_MILLISECOND
#define UDP_PAUSE_MAX (16 * SKUA_MILLISECOND)

static skua_udp_future *udp_future_of(skua_future *future)
{
    return skua__container(future, skua_udp_future, future);
}

static struct skua__source *udp_source(skua_udp_future *self)
{
    return self->source;
}

static unsigned udp_direction(const skua_udp_future *self)
{
    return self->kind & SKUA__WRITE;
}

/* The first poll's: true with the reference held from here on until there is an answer. */
static bool udp_begin(skua_udp_future *self)
{
    if (self->state == UDP_IDLE &&
        skua__slot_hold((_Atomic uint32_t *)self->life, self->seen, udp_source(self)))
        self->state = UDP_HELD;
    return self->state == UDP_HELD;
}

/* One attempt, if it may be worth it: a result, or -EAGAIN. */
static int64_t udp_attempt(skua_udp_future *self)
{
    struct skua__source *source = udp_source(self);
    unsigned direction = udp_direction(self);
    uint32_t bits = direction == SKUA__READ ? SKUA__READABLE | SKUA__HANGUP : SKUA__WRITABLE;
    uint32_t seen = skua__source_look(source);
    int64_t n;

    if (seen & skua__source_closed_bit(direction))
        return SKUA_ECLOSED;
    if (self->sleeping != NULL || !(seen & (direction == SKUA__READ ? bits | SKUA__STASHED : bits)))
        return -EAGAIN;
    n = self->attempt(self, source->fd);
    if (n == -EAGAIN)
        skua__source_drained(source, bits, seen);
    /* A close shuts the socket down, which may look like an end or an error. */
    if (n <= 0 && skua__source_look(source) & skua__source_closed_bit(direction))
        return SKUA_ECLOSED;
    return n;
}

static void udp_forget(skua_udp_future *self)
{
    if (self->waker != NULL)
        skua__source_forget(udp_source(self), udp_direction(self), self->waker);
    self->waker = NULL;
}

static int64_t udp_next_pause(skua_udp_future *self)
{
    self->pause = self->pause == 0 ? UDP_PAUSE_MIN : 2 * self->pause;
    if (self->pause > UDP_PAUSE_MAX)
        self->pause = UDP_PAUSE_MAX;
    return self->pause;
}

/* Sleeps with the waker left in the source. SKUA_PENDING; 1: try again; or an error. */
static int64_t udp_back_off(skua_udp_future *self, skua_waker *waker)
{
    struct skua__source *source = udp_source(self);
    int64_t rc = skua__source_claim(source, SKUA__WRITE, waker);

    if (rc != 0)
        return rc;
    self->waker = waker;
    /* The closer sets CLOSED and then takes the waker; this side the other way round. */
    if (skua__load_seq(&source->ready) & SKUA__CLOSED_WRITE)
        return SKUA_ECLOSED;
    if (self->sleeping == NULL)
        self->sleeping = skua_sleep_init(&self->sleep, udp_next_pause(self));
    if (self->sleeping->ops->poll(self->sleeping, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    self->sleeping = NULL;
    skua__or_acq_rel(&source->ready, SKUA__WRITABLE);
    return 1;
}

/* After an attempt that would block: leaves the waker. SKUA_PENDING; 1: try again; or an error. */
static int64_t udp_wait(skua_udp_future *self, skua_waker *waker)
{
    int64_t rc;

    if (skua__thread_self()->driver == NULL)
        return SKUA_EUSAGE; /* a plain thread's wait is skua__udp_await's */
    if (self->waker != waker)
        udp_forget(self); /* polled by another task: the newest waker counts */
    if (self->kind & SKUA__BACKS_OFF)
        return udp_back_off(self, waker);
    rc = skua__source_poll(udp_source(self), udp_direction(self), waker);
    if (rc != 0)
        return rc;
    self->waker = waker;
    return SKUA_PENDING;
}

static int64_t udp_finish(skua_udp_future *self, int64_t answer)
{
    udp_forget(self); /* an answer may come while it is there: woken by something else */
    skua_future_drop(self->sleeping);
    self->sleeping = NULL;
    self->state = UDP_IDLE;
    skua__source_unref(udp_source(self));
    return answer;
}

static skua_poll udp_poll(skua_future *future, skua_waker *waker)
{
    skua_udp_future *self = udp_future_of(future);
    int64_t answer;

    if (!udp_begin(self))
        return SKUA_ECLOSED;
    do {
        answer = udp_attempt(self);
        if (answer != -EAGAIN)
            return udp_finish(self, answer);
        answer = udp_wait(self, waker);
    } while (answer == 1);
    return answer == SKUA_PENDING ? answer : udp_finish(self, answer);
}

static void udp_drop(skua_future *future)
{
    skua_udp_future *self = udp_future_of(future);

    if (self->state == UDP_HELD)
        (void)udp_finish(self, 0);
}

static const skua_future_ops udp_recv_ops = {
    .name = "udp.recv", .poll = udp_poll, .drop = udp_drop};
static const skua_future_ops udp_send_ops = {
    .name = "udp.send", .poll = udp_poll, .drop = udp_drop};

skua_future *skua__udp_future_init(skua_udp_future *self, struct skua__source *source,
                                   _Atomic uint32_t *life, uint32_t kind,
                                   int64_t (*attempt)(skua_udp_future *self, int fd))
{
    self->future.ops = kind & SKUA__WRITE ? &udp_send_ops : &udp_recv_ops;
    self->source = source;
    self->life = life;
    self->seen = skua__load_acquire(life);
    self->attempt = attempt;
    self->waker = NULL;
    self->sleeping = NULL;
    self->pause = 0;
    self->state = UDP_IDLE;
    self->kind = kind;
    return &self->future;
}

/* ---- the attempts ---------------------------------------------------------------------------- */

static int64_t udp_receive(skua_udp_future *self, int fd, int flags)
{
    skua_address *from = self->address;
    unsigned len = sizeof from->words;
    ssize_t n = skua__os_recvfrom(fd, self->buf, self->len, flags | MSG_TRUNC,
                                  from == NULL ? NULL : (struct sockaddr *)(void *)from->words,
                                  from == NULL ? NULL : &len);

    if (n >= 0 && from != NULL) {
        from->len = len;
        from->any = 0;
        skua__address_unmap(from);
    }
    return n;
}

static int64_t udp_attempt_recv(skua_udp_future *self, int fd)
{
    int64_t n = udp_receive(self, fd, 0);

    skua__udp_moved(self, n);
    return n > (int64_t)self->len ? -EMSGSIZE : n;
}

static int64_t udp_attempt_peek(skua_udp_future *self, int fd)
{
    return udp_receive(self, fd, MSG_PEEK);
}

static int64_t udp_attempt_send(skua_udp_future *self, int fd)
{
    const skua_address *to = self->address;
    ssize_t n =
        skua__os_sendto(fd, self->buf, self->len,
                        to == NULL ? NULL : (const struct sockaddr *)(const void *)to->words,
                        to == NULL ? 0 : to->len);

    skua__udp_moved(self, n);
    return n;
}

static int64_t udp_attempt_ready(skua_udp_future *self, int fd)
{
    (void)self;
    (void)fd;
    return 0;
}

static skua_future *udp_init(skua_udp_future *self, skua_udp *udp, const void *buf, size_t len,
                             uint32_t kind, int64_t (*attempt)(skua_udp_future *self, int fd))
{
    self->buf = (void *)(uintptr_t)buf;
    self->len = len;
    self->address = NULL;
    return skua__udp_future_init(self, &udp->source, &udp->life, kind, attempt);
}

skua_future *skua_udp_recv_init(skua_udp_future *recv, skua_udp *udp, void *buf, size_t len,
                                skua_address *from)
{
    (void)udp_init(recv, udp, buf, len, SKUA__READ, udp_attempt_recv);
    recv->address = from;
    return &recv->future;
}

skua_future *skua_udp_send_init(skua_udp_future *send, skua_udp *udp, const void *buf, size_t len,
                                const skua_address *to)
{
    bool by_name = to != NULL && skua__load_relaxed(&udp->family) == AF_UNIX;

    (void)udp_init(send, udp, buf, len, by_name ? SKUA__WRITE | SKUA__BACKS_OFF : SKUA__WRITE,
                   udp_attempt_send);
    send->address = (skua_address *)(uintptr_t)to;
    return &send->future;
}

skua_future *skua_udp_peek_init(skua_udp_future *peek, skua_udp *udp, void *buf, size_t len,
                                skua_address *from)
{
    (void)udp_init(peek, udp, buf, len, SKUA__READ, udp_attempt_peek);
    peek->address = from;
    return &peek->future;
}

skua_future *skua_udp_readable_init(skua_udp_future *readable, skua_udp *udp)
{
    return udp_init(readable, udp, NULL, 0, SKUA__READ, udp_attempt_ready);
}

skua_future *skua_udp_writable_init(skua_udp_future *writable, skua_udp *udp)
{
    return udp_init(writable, udp, NULL, 0, SKUA__WRITE, udp_attempt_ready);
}

/* ---- direct calls ---------------------------------------------------------------------------- */

int64_t skua__udp_try(skua_future *future)
{
    skua_udp_future *self = udp_future_of(future);
    uint32_t bit = udp_direction(self) == SKUA__WRITE ? SKUA__WRITABLE : SKUA__READABLE;

    if (!udp_begin(self))
        return SKUA_ECLOSED;
    /* The bits are not asked: while nobody waits, nobody sets them. */
    if (!(skua__source_look(udp_source(self)) & bit))
        skua__or_acq_rel(&udp_source(self)->ready, bit);
    return udp_finish(self, udp_attempt(self));
}

/* Until an attempt may be worth it, on a plain thread: 0, or -ETIMEDOUT. */
static int64_t udp_pause_thread(skua_udp_future *self, int64_t deadline)
{
    struct skua__source *source = udp_source(self);
    bool writes = udp_direction(self) == SKUA__WRITE;
    int64_t now = skua__os_now();
    int64_t rc = 0;

    if (!(self->kind & SKUA__BACKS_OFF)) {
        rc = skua__os_poll(source->fd, writes ? POLLOUT : POLLIN, deadline);
    } else if (now >= deadline) {
        rc = -ETIMEDOUT;
    } else {
        int64_t pause = udp_next_pause(self);

        (void)skua_sleep_until(pause < deadline - now ? now + pause : deadline);
    }
    if (rc == 0)
        skua__or_acq_rel(&source->ready, writes ? SKUA__WRITABLE : SKUA__READABLE);
    return rc;
}

/* A plain thread blocks in poll(2): it has no driver. */
static int64_t udp_await_thread(skua_udp_future *self, int64_t deadline)
{
    int64_t n = skua__source_claim(udp_source(self), udp_direction(self), self->waker);

    while (n == 0) {
        n = udp_attempt(self);
        if (n != -EAGAIN)
            return n;
        n = udp_pause_thread(self, deadline);
    }
    return n;
}

int64_t skua__udp_await(skua_future *future, int64_t deadline)
{
    skua_udp_future *self = udp_future_of(future);
    struct skua__thread *thread = skua__thread_self();
    int64_t answer;

    if (thread->core != NULL)
        return skua_await_until(future, deadline);
    if (!udp_begin(self))
        return SKUA_ECLOSED;
    self->waker = skua_waker_custom(&thread->waker);
    if (!skua__source_fly(udp_source(self), udp_direction(self))) /* see skua__tcp_await */
        return udp_finish(self, SKUA_ECLOSED);
    answer = udp_await_thread(self, deadline);
    skua__source_land(udp_source(self));
    return udp_finish(self, answer);
}

ssize_t skua_udp_send_to_until(skua_udp *udp, const void *buf, size_t len, const skua_address *to,
                               int64_t deadline)
{
    skua_udp_future send;

    return (ssize_t)skua__udp_await(skua_udp_send_init(&send, udp, buf, len, to), deadline);
}

ssize_t skua_udp_send_to(skua_udp *udp, const void *buf, size_t len, const skua_address *to)
{
    return skua_udp_send_to_until(udp, buf, len, to, SKUA_FOREVER);
}

ssize_t skua_udp_send(skua_udp *udp, const void *buf, size_t len)
{
    return skua_udp_send_to_until(udp, buf, len, NULL, SKUA_FOREVER);
}

ssize_t skua_udp_try_send_to(skua_udp *udp, const void *buf, size_t len, const skua_address *to)
{
    skua_udp_future send;

    return (ssize_t)skua__udp_try(skua_udp_send_init(&send, udp, buf, len, to));
}

ssize_t skua_udp_recv_from_until(skua_udp *udp, void *buf, size_t len, skua_address *from,
                                 int64_t deadline)
{
    skua_udp_future recv;

    return (ssize_t)skua__udp_await(skua_udp_recv_init(&recv, udp, buf, len, from), deadline);
}

ssize_t skua_udp_recv_from(skua_udp *udp, void *buf, size_t len, skua_address *from)
{
    return skua_udp_recv_from_until(udp, buf, len, from, SKUA_FOREVER);
}

ssize_t skua_udp_recv(skua_udp *udp, void *buf, size_t len)
{
    return skua_udp_recv_from_until(udp, buf, len, NULL, SKUA_FOREVER);
}

ssize_t skua_udp_try_recv_from(skua_udp *udp, void *buf, size_t len, skua_address *from)
{
    skua_udp_future recv;

    return (ssize_t)skua__udp_try(skua_udp_recv_init(&recv, udp, buf, len, from));
}

ssize_t skua_udp_peek_from(skua_udp *udp, void *buf, size_t len, skua_address *from)
{
    skua_udp_future peek;

    return (ssize_t)skua__udp_await(skua_udp_peek_init(&peek, udp, buf, len, from), SKUA_FOREVER);
}

int skua_udp_readable(skua_udp *udp)
{
    skua_udp_future readable;

    return (int)skua__udp_await(skua_udp_readable_init(&readable, udp), SKUA_FOREVER);
}

int skua_udp_writable(skua_udp *udp)
{
    skua_udp_future writable;

    return (int)skua__udp_await(skua_udp_writable_init(&writable, udp), SKUA_FOREVER);
}

#undef UDP_IDLE
#undef UDP_HELD
#undef UDP_PAUSE_MIN
#undef UDP_PAUSE_MAX
