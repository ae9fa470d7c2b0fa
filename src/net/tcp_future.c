/* tcp_future.c - waiting to read and to write: one future a direction, for every kind of waiter.
 *
 * Poll       the system call is tried while the source is thought ready. A transfer shorter than
 *            asked for means that the socket is empty (or full) now: the next one waits first,
 *            which saves the call that would only say "would block".
 * Waiting    readiness, on both drivers and for every waiter; but a fiber on io_uring lends its
 *            buffer to the kernel and is resumed when it is filled: one system call less.
 * Dropping   a receive in flight is cancelled, and the fiber waits for the kernel's last word. If
 *            that is data, it is stashed for the next read: a dropped read has read nothing.
 *            Writes are never lent: a dropped write has written nothing.
 *
 * States     IDLE -> HELD -> FLYING (lent) -> LANDED -> HELD -> IDLE. All but IDLE hold a reference
 *            on the stream, which another task may close at any moment. HELD: tries, or waits for
 *            readiness with its waker left in the source. FLYING_FOR: polled again in flight, with
 *            another waker.
 */
#include <string.h>
#include <poll.h>

#include "net/net_impl.h"

#define TCP_IDLE 0u
#define TCP_FLYING 1u
#define TCP_LANDED 2u
#define TCP_HELD 3u
#define TCP_FLYING_FOR 4u /* for another waker than the lender's, with a reference on it */

/* kind: SKUA__READ or SKUA__WRITE, and perhaps one of these. */
#define TCP_VECTOR 2u /* buf is an array of len iovecs */
#define TCP_READY 4u  /* nothing is transferred: 0 when a try may be worth it */

static skua_tcp_future *tcp_future_of(skua_future *future)
{
    return skua__container(future, skua_tcp_future, future);
}

static struct skua__stream *tcp_stream(skua_tcp_future *self)
{
    return skua__tcp_stream(self->tcp);
}

static bool tcp_flies(const skua_tcp_future *self)
{
    return self->state == TCP_FLYING || self->state == TCP_FLYING_FOR;
}

static struct skua__source *tcp_source(skua_tcp_future *self)
{
    return &tcp_stream(self)->source;
}

/* ---- the system calls ------------------------------------------------------------------------ */

ssize_t skua__tcp_take_stash(struct skua__stream *stream, const struct iovec *iov, size_t count)
{
    struct skua__stash *stash = stream->stash;
    ssize_t done = 0;

    if (stream->stash_error != 0)
        return stream->stash_error;
    for (size_t i = 0; i < count && stash->len > 0; i++) {
        size_t n = skua__min_size(stash->len, iov[i].iov_len);

        memcpy(iov[i].iov_base, stash->bytes + stash->from, n);
        stash->from += n;
        stash->len -= n;
        done += (ssize_t)n;
    }
    if (stash->len == 0) {
        stream->stash = NULL;
        skua__os_free(stash);
        skua__and_acq_rel(&stream->source.ready, ~SKUA__STASHED);
    }
    return done;
}

static ssize_t tcp_take_stash(struct skua__stream *stream, skua_tcp_future *self)
{
    struct iovec one = {.iov_base = self->buf, .iov_len = self->len};

    if (self->kind & TCP_VECTOR)
        return skua__tcp_take_stash(stream, self->buf, self->len);
    return skua__tcp_take_stash(stream, &one, 1);
}

static size_t tcp_wanted(const skua_tcp_future *self)
{
    const struct iovec *iov = self->buf;
    size_t sum = 0;

    if (!(self->kind & TCP_VECTOR))
        return self->len;
    for (size_t i = 0; i < self->len; i++)
        sum += iov[i].iov_len;
    return sum;
}

/* Whether a transfer that gave `n` says that the socket is empty, or full. */
static bool tcp_is_short(const skua_tcp_future *self, int64_t n)
{
    return n >= 0 && (size_t)n < tcp_wanted(self) &&
           (self->kind & SKUA__WRITE ||
            !(skua__load_relaxed(&self->tcp->rights) & SKUA__HAS_MARKS));
}

/* The first poll's: 1, with the reference held from here on until there is an answer; 0: nothing is
 * asked for; or an error. */
static int tcp_begin(skua_tcp_future *self)
{
    uint32_t right = self->kind & SKUA__WRITE ? SKUA__MAY_WRITE : SKUA__MAY_READ;

    if (self->state != TCP_IDLE)
        return 1;
    if (!(self->life & SKUA__LIFE_OPEN))
        return SKUA_ECLOSED;
    if (!(skua__load_relaxed(&self->tcp->rights) & right))
        return SKUA_EUSAGE;
    if (tcp_wanted(self) == 0 && !(self->kind & TCP_READY))
        return 0;
    if (!skua__slot_hold(&self->tcp->life, self->life, tcp_source(self)))
        return SKUA_ECLOSED;
    self->state = TCP_HELD;
    return 1;
}

static ssize_t tcp_transfer(skua_tcp_future *self)
{
    int fd = tcp_source(self)->fd;

    switch (self->kind) {
    case SKUA__READ:
        return skua__os_recv(fd, self->buf, self->len, 0);
    case SKUA__WRITE:
        return skua__os_send(fd, self->buf, self->len, 0);
    case SKUA__READ | TCP_VECTOR:
        return skua__os_readv(fd, self->buf, (int)self->len);
    default:
        return skua__os_sendv(fd, self->buf, (int)self->len);
    }
}

/* ---- completion: a receive lent to the kernel ------------------------------------------------ */

static void tcp_landed(struct skua__op *op, int result, bool more)
{
    skua_tcp_future *self = skua__container(op, skua_tcp_future, operation);
    bool counted = self->state == TCP_FLYING_FOR;
    skua_waker *waker = self->waker;

    (void)more; /* one at a time */
    self->result = result;
    self->state = TCP_LANDED;
    skua_waker_wake(waker);
    if (counted)
        skua_waker_unref(waker);
}

/* Polled again in flight, by somebody else: the newest waker counts. It is counted, as a close may
 * take it out of the source before the landing wakes it; the lender's need not be, whose fiber is
 * there until then. On the ring's worker, as the landing is. */
static void tcp_fly_for(skua_tcp_future *self, skua_waker *waker)
{
    struct skua__source *source = tcp_source(self);
    skua_waker *before = self->waker;

    if (before == waker)
        return;
    skua__source_forget(source, SKUA__READ, before);
    /* Whatever it says: in_flight has a close end the flight, and the landing wakes it. */
    (void)skua__source_claim(source, SKUA__READ, waker);
    self->waker = skua_waker_ref(waker);
    if (self->state == TCP_FLYING_FOR)
        skua_waker_unref(before);
    self->state = TCP_FLYING_FOR;
}

/* Whether this waiter may lend: a fiber that stays on this worker, whose driver takes it. */
static bool tcp_may_lend(struct skua__thread *self, skua_waker *waker, uint32_t kind)
{
    struct skua_task *task = self->current;

    return kind == SKUA__READ && task != NULL && skua__task_waker(task) == waker &&
           (task->flags & (SKUA__FIBER | SKUA__MIGRATES)) == SKUA__FIBER &&
           self->driver->ops->recv != NULL;
}

/* Lends the buffer. 0: it flies; -EAGAIN: not now; 1: look again. */
static int tcp_lend(skua_tcp_future *self, struct skua__driver *driver, skua_waker *waker)
{
    struct skua__source *source = tcp_source(self);
    struct skua__op *op = (struct skua__op *)(void *)&self->operation;
    int rc;

    _Static_assert(sizeof self->operation == sizeof *op, "the operation's room");
    /* In the waiter's place, so that a second reader sees it and a close wakes it. */
    rc = skua__source_claim(source, SKUA__READ, waker);
    if (rc != 0)
        return rc;
    if (!skua__source_fly(source, SKUA__READ)) {
        skua__source_forget(source, SKUA__READ, waker);
        return 1;
    }
    op->complete = tcp_landed;
    self->waker = waker;
    rc = driver->ops->recv(driver, op, source->fd, self->buf, self->len);
    if (rc != 0) {
        skua__source_land(source);
        skua__source_forget(source, SKUA__READ, waker);
        return rc;
    }
    self->state = TCP_FLYING;
    return 0;
}

/* Takes the kernel's answer. The reference stays. */
static int64_t tcp_collect(skua_tcp_future *self)
{
    struct skua__source *source = tcp_source(self);

    self->state = TCP_HELD;
    skua__source_land(source);
    skua__source_forget(source, SKUA__READ, self->waker);
    self->waker = NULL;
    skua__tcp_moved(self->tcp, SKUA__READ, self->result);
    if (tcp_is_short(self, self->result))
        skua__source_drained(source, SKUA__READABLE, skua__source_look(source));
    else
        skua__source_tell(source, SKUA__READABLE);
    return self->result;
}

/* A transfer's answer, told. */
static SKUA__COLD int64_t tcp_told(const skua_tcp_future *self, int64_t n)
{
    skua__tcp_tell(self->tcp, self->kind & SKUA__WRITE, n);
    return n;
}

static void tcp_stash(skua_tcp_future *self, size_t len)
{
    struct skua__stream *stream = tcp_stream(self);
    struct skua__stash *stash = skua__os_alloc(sizeof *stash + len);

    skua__or_acq_rel(&stream->source.ready, SKUA__STASHED);
    if (stash == NULL) {
        stream->stash_error = -ENOMEM; /* bytes are missing: the stream is of no use any more */
        return;
    }
    stash->len = len;
    memcpy(stash->bytes, self->buf, len);
    stream->stash = stash;
}

/* ---- the future ------------------------------------------------------------------------------ */

/* One try: a result, or -EAGAIN. */
static int64_t tcp_try(skua_tcp_future *self)
{
    struct skua__stream *stream = tcp_stream(self);
    unsigned direction = self->kind & SKUA__WRITE;
    uint32_t bits = direction == SKUA__READ ? SKUA__READABLE | SKUA__HANGUP : SKUA__WRITABLE;
    uint32_t seen = skua__source_look(&stream->source);
    int64_t n;

    if (seen & skua__source_closed_bit(direction))
        return SKUA_ECLOSED;
    if (skua__unlikely(seen & SKUA__STASHED) && direction == SKUA__READ)
        return self->kind & TCP_READY ? 0 : tcp_take_stash(stream, self);
    if (!(seen & bits))
        return -EAGAIN;
    if (self->kind & TCP_READY)
        return 0;
    n = tcp_transfer(self);
    /* A close shuts the socket down, which may look like an end or an error. */
    if (n <= 0 && skua__source_look(&stream->source) & skua__source_closed_bit(direction))
        return SKUA_ECLOSED;
    if (n == -EAGAIN)
        skua__source_drained(&stream->source, bits, seen);
    else if (tcp_is_short(self, n)) /* there may be an end behind it */
        skua__source_drained(&stream->source, bits & ~SKUA__HANGUP, seen);
    return skua__probe_on(SKUA_PROBE_MOVED) ? tcp_told(self, n) : n;
}

/* After a try that would block: leaves the waker, or lends the buffer. SKUA_PENDING; 1: try again;
 * or an error. */
static int64_t tcp_wait(skua_tcp_future *self, struct skua__thread *thread, skua_waker *waker)
{
    int64_t rc = -EAGAIN;

    if (thread->driver == NULL)
        return SKUA_EUSAGE; /* a plain thread's wait is skua__tcp_await's */
    if (tcp_may_lend(thread, waker, self->kind))
        rc = tcp_lend(self, thread->driver, waker);
    if (rc == 0)
        return SKUA_PENDING;
    if (rc != -EAGAIN)
        return rc;
    rc = skua__source_poll(tcp_source(self), self->kind & SKUA__WRITE, waker);
    if (rc != 0)
        return rc;
    self->waker = waker;
    return SKUA_PENDING;
}

static void tcp_forget(skua_tcp_future *self)
{
    if (self->waker != NULL)
        skua__source_forget(tcp_source(self), self->kind & SKUA__WRITE, self->waker);
    self->waker = NULL;
}

static int64_t tcp_finish(skua_tcp_future *self, int64_t answer)
{
    tcp_forget(self); /* an answer may come while it is there: woken by something else */
    self->state = TCP_IDLE;
    skua__source_unref(tcp_source(self));
    return answer;
}

static skua_poll tcp_poll(skua_future *future, skua_waker *waker)
{
    skua_tcp_future *self = tcp_future_of(future);
    int64_t answer = tcp_begin(self);

    if (skua__unlikely(answer != 1))
        return answer;
    if (tcp_flies(self)) {
        tcp_fly_for(self, waker);
        return SKUA_PENDING;
    }
    if (self->state == TCP_LANDED) {
        answer = tcp_collect(self);
        if (skua__source_look(tcp_source(self)) & SKUA__CLOSED_READ)
            return tcp_finish(self, SKUA_ECLOSED);
        /* Not ours to see: a ring that ended, or a receive that the kernel wants repeated. */
        if (answer != -ECANCELED && answer != -EAGAIN && answer != -EINTR)
            return tcp_finish(self, answer);
    }
    if (self->waker != waker)
        tcp_forget(self); /* polled by another task: the newest waker counts */
    do {
        answer = tcp_try(self);
        if (answer == -EAGAIN)
            answer = tcp_wait(self, skua__thread_self(), waker);
        else
            break;
        if (answer == SKUA_PENDING)
            return answer;
    } while (answer == 1);
    return tcp_finish(self, answer);
}

/* Calls a lent receive back, and waits until it has landed. */
static void tcp_recall(skua_tcp_future *self, struct skua__thread *thread)
{
    struct skua__op *op = (struct skua__op *)(void *)&self->operation;
    struct skua__fiber *fiber = skua__fiber_current(thread);

    /* The fiber that lent it: it is to be woken now, whoever was to be. */
    tcp_fly_for(self, skua__task_waker(thread->current));
    /* It may not land by itself. Where there is no room for the cancel, the worker makes some. */
    while (tcp_flies(self) && thread->driver->ops->cancel(thread->driver, op) != 0)
        skua__fiber_yield(thread, fiber);
    while (tcp_flies(self))
        skua__fiber_park(thread, fiber);
}

static void tcp_drop(skua_future *future)
{
    skua_tcp_future *self = tcp_future_of(future);

    if (self->state == TCP_IDLE)
        return;
    if (tcp_flies(self))
        tcp_recall(self, skua__thread_self());
    if (self->state == TCP_LANDED) {
        int64_t n = tcp_collect(self);

        if (n > 0)
            tcp_stash(self, (size_t)n);
    }
    (void)tcp_finish(self, 0);
}

static const skua_future_ops tcp_read_ops = {
    .name = "tcp.read", .poll = tcp_poll, .drop = tcp_drop};
static const skua_future_ops tcp_write_ops = {
    .name = "tcp.write", .poll = tcp_poll, .drop = tcp_drop};

static skua_future *tcp_future_init(skua_tcp_future *self, skua_tcp *tcp, void *buf, size_t len,
                                    uint32_t kind)
{
    self->future.ops = kind & SKUA__WRITE ? &tcp_write_ops : &tcp_read_ops;
    self->tcp = tcp;
    self->life = skua__load_acquire(&tcp->life);
    self->buf = buf;
    self->len = len;
    self->waker = NULL;
    self->operation = NULL;
    self->state = TCP_IDLE;
    self->kind = kind;
    return &self->future;
}

skua_future *skua_tcp_read_init(skua_tcp_future *read, skua_tcp *tcp, void *buf, size_t len)
{
    return tcp_future_init(read, tcp, buf, len, SKUA__READ);
}

skua_future *skua_tcp_write_init(skua_tcp_future *write, skua_tcp *tcp, const void *buf, size_t len)
{
    return tcp_future_init(write, tcp, (void *)(uintptr_t)buf, len, SKUA__WRITE);
}

skua_future *skua_tcp_readable_init(skua_tcp_future *readable, skua_tcp *tcp)
{
    return tcp_future_init(readable, tcp, NULL, 0, SKUA__READ | TCP_READY);
}

skua_future *skua_tcp_writable_init(skua_tcp_future *writable, skua_tcp *tcp)
{
    return tcp_future_init(writable, tcp, NULL, 0, SKUA__WRITE | TCP_READY);
}

skua_future *skua__tcp_vector_init(skua_tcp_future *self, skua_tcp *tcp, const struct iovec *iov,
                                   int count, unsigned direction)
{
    return tcp_future_init(self, tcp, (void *)(uintptr_t)iov, (size_t)count,
                           direction | TCP_VECTOR);
}

/* ---- direct calls ---------------------------------------------------------------------------- */

/* One try by whoever calls. The bits are not asked: while nobody waits, nobody sets them. */
ssize_t skua__tcp_try(skua_future *future)
{
    skua_tcp_future *self = tcp_future_of(future);
    int64_t n = tcp_begin(self);
    uint32_t bit;

    if (n != 1)
        return (ssize_t)n;
    bit = self->kind & SKUA__WRITE ? SKUA__WRITABLE : SKUA__READABLE;
    if (!(skua__source_look(tcp_source(self)) & bit))
        skua__or_acq_rel(&tcp_source(self)->ready, bit);
    return (ssize_t)tcp_finish(self, tcp_try(self));
}

/* A plain thread blocks in poll(2): it has no driver. */
static int64_t tcp_await_thread(skua_tcp_future *self, int64_t deadline)
{
    struct skua__source *source = tcp_source(self);
    bool writes = self->kind & SKUA__WRITE;
    int64_t n = skua__source_claim(source, self->kind & SKUA__WRITE, self->waker);

    if (n != 0)
        return n;
    do {
        n = tcp_try(self);
        if (n != -EAGAIN)
            return n;
        n = skua__os_poll(source->fd, writes ? POLLOUT : POLLIN, deadline);
        if (n == 0)
            skua__or_acq_rel(&source->ready, writes ? SKUA__WRITABLE : SKUA__READABLE);
    } while (n == 0);
    return n;
}

int64_t skua__tcp_await(skua_future *future, int64_t deadline)
{
    skua_tcp_future *self = tcp_future_of(future);
    struct skua__thread *thread = skua__thread_self();
    int64_t answer;

    if (thread->core != NULL)
        return skua_await_until(future, deadline);
    /* Another may close the socket meanwhile: the reference keeps it, and the closer shuts it down,
     * which ends the poll(2), this one and those behind it. */
    answer = tcp_begin(self);
    if (answer != 1)
        return answer;
    self->waker = skua_waker_custom(&thread->waker);
    if (!skua__source_fly(tcp_source(self), self->kind & SKUA__WRITE))
        return tcp_finish(self, SKUA_ECLOSED);
    answer = tcp_await_thread(self, deadline);
    skua__source_land(tcp_source(self));
    return tcp_finish(self, answer);
}

#undef TCP_IDLE
#undef TCP_FLYING
#undef TCP_LANDED
#undef TCP_HELD
#undef TCP_FLYING_FOR
#undef TCP_VECTOR
#undef TCP_READY
