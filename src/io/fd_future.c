/* fd_future.c - waiting for a descriptor: one future a direction, for every kind of waiter.
 *
 * Poll       the system call is tried while the source is thought ready; only "would block" says
 *            that it is not. A count shorter than asked for says nothing here: a terminal gives a
 *            line at a time, an eventfd 8 bytes, a pipe of packets a packet.
 * Ready      who reads by himself never tells us of his "would block": so a wait for readiness asks
 *            the kernel, each time.
 * Waiting    readiness, on both drivers: the waker is left in the source. A plain thread blocks in
 *            poll(2), with an eventfd that a close rings.
 * No end     a FIFO that no writer has opened reads as ended. Whether it has one, or had, poll(2)
 *            knows: it reports nothing until the first one comes.
 *
 * States     IDLE -> HELD -> IDLE. HELD has a reference on the source, which another task may close
 *            at any moment.
 */
#include <poll.h>
#include <sys/socket.h>

#include "io/io_impl.h"

#define FD_IDLE 0u
#define FD_HELD 1u

/* kind: SKUA__READ or SKUA__WRITE, and perhaps one of these. */
#define FD_VECTOR 2u /* buf is an array of len iovecs */
#define FD_READY 4u  /* nothing is transferred: 0 when a try is worth it */
#define FD_ALL 8u    /* goes on until everything is written */
#define FD_CALL 16u  /* the descriptor's own function, for buf */

static skua_fd_future *fd_future_of(skua_future *future)
{
    return skua__container(future, skua_fd_future, future);
}

static unsigned fd_direction(const skua_fd_future *self)
{
    return self->kind & SKUA__WRITE;
}

/* ---- the system calls ------------------------------------------------------------------------ */

static ssize_t fd_read(skua_fd *fd, const struct iovec *iov, int count)
{
    int number = fd->source.fd;
    ssize_t n;

    if (fd->kind == SKUA__FILE_SOCKET)
        return skua__os_readv(number, iov, count);
    if (!skua__load_relaxed(&fd->unopened)) /* the reader's own */
        return skua__os_plain_readv(number, iov, count);
    n = skua__os_poll(number, POLLIN, 0);
    if (n != 0)
        return n == -ETIMEDOUT ? -EAGAIN : n;
    skua__store_relaxed(&fd->unopened, false);
    return skua__os_plain_readv(number, iov, count);
}

static ssize_t fd_write(skua_fd *fd, const struct iovec *iov, int count)
{
    int number = fd->source.fd;

    switch (fd->kind) {
    case SKUA__FILE_SOCKET:
        return skua__os_sendv(number, iov, count);
    case SKUA__FILE_PIPE:
        return skua__os_pipe_writev(number, iov, count);
    default:
        return skua__os_plain_writev(number, iov, count);
    }
}

/* Asks the kernel: 0 or -EAGAIN. */
static int64_t fd_ready(skua_fd_future *self)
{
    short events = fd_direction(self) == SKUA__READ ? POLLIN : POLLOUT;
    int rc = skua__os_poll(self->fd->source.fd, events, 0);

    return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

static int64_t fd_transfer(skua_fd_future *self)
{
    struct iovec rest = {.iov_base = (char *)self->buf + self->done,
                         .iov_len = self->len - self->done};
    const struct iovec *iov = self->kind & FD_VECTOR ? self->buf : &rest;
    int count = self->kind & FD_VECTOR ? (int)self->len : 1;

    if (self->kind & FD_READY)
        return fd_ready(self);
    if (self->kind & FD_CALL)
        return self->fd->call(self->fd, self->buf);
    return fd_direction(self) == SKUA__READ ? fd_read(self->fd, iov, count)
                                            : fd_write(self->fd, iov, count);
}

/* ---- one try --------------------------------------------------------------------------------- */

static bool fd_asks_nothing(const skua_fd_future *self)
{
    const struct iovec *iov = self->buf;

    if (self->kind & (FD_READY | FD_CALL))
        return false;
    if (!(self->kind & FD_VECTOR))
        return self->len == 0;
    for (size_t i = 0; i < self->len; i++)
        if (iov[i].iov_len != 0)
            return false;
    return true;
}

/* The first poll's: 1, with the reference held from here on until there is an answer; or that. */
static int fd_begin(skua_fd_future *self)
{
    unsigned right = fd_direction(self) == SKUA__READ ? SKUA__FILE_READ : SKUA__FILE_WRITE;
    struct skua__source *source = &self->fd->source;
    int answer = 1;

    if (self->state != FD_IDLE)
        return 1;
    if (!skua__slot_hold(&self->fd->life, self->life, source))
        return SKUA_ECLOSED;
    if (!(self->kind & FD_READY) && !(self->fd->access & right))
        answer = SKUA_EUSAGE;
    else if (fd_asks_nothing(self))
        answer = 0;
    if (answer == 1)
        self->state = FD_HELD;
    else
        skua__source_unref(source);
    return answer;
}

/* One try: a result, or -EAGAIN. */
static int64_t fd_try_once(skua_fd_future *self)
{
    struct skua__source *source = &self->fd->source;
    unsigned direction = fd_direction(self);
    uint32_t bits = direction == SKUA__READ ? SKUA__READABLE | SKUA__HANGUP : SKUA__WRITABLE;
    uint32_t seen = skua__source_look(source);
    int64_t n;

    if (seen & skua__source_closed_bit(direction))
        return SKUA_ECLOSED;
    if (!(seen & bits))
        return -EAGAIN;
    n = fd_transfer(self);
    if (n == -EAGAIN)
        skua__source_drained(source, bits, seen);
    return n;
}

/* Tries until there is an answer, or -EAGAIN. */
static int64_t fd_try(skua_fd_future *self)
{
    int64_t n;

    do {
        n = fd_try_once(self);
        if (n < 0 || !(self->kind & FD_ALL))
            return n;
        self->done += (size_t)n;
    } while (self->done < self->len);
    return (int64_t)self->len;
}

static int64_t fd_finish(skua_fd_future *self, int64_t answer)
{
    struct skua__source *source = &self->fd->source;

    /* An answer may come while the waker is still there: woken by something else. */
    if (self->waker != NULL)
        skua__source_forget(source, fd_direction(self), self->waker);
    self->waker = NULL;
    self->state = FD_IDLE;
    skua__source_unref(source);
    return answer;
}

/* ---- the future ------------------------------------------------------------------------------ */

skua_poll skua__fd_poll(skua_future *future, skua_waker *waker)
{
    skua_fd_future *self = fd_future_of(future);
    int64_t answer;

    if (skua__thread_self()->driver == NULL)
        return SKUA_EUSAGE; /* a plain thread's wait is skua__fd_await's */
    answer = fd_begin(self);
    if (answer != 1)
        return answer;
    if (self->waker != NULL && self->waker != waker) { /* only the newest one counts */
        skua__source_forget(&self->fd->source, fd_direction(self), self->waker);
        self->waker = NULL;
    }
    do {
        answer = fd_try(self);
        if (answer == -EAGAIN)
            answer = skua__source_poll(&self->fd->source, fd_direction(self), waker);
        else
            break;
        if (answer == 0) {
            self->waker = waker;
            return SKUA_PENDING;
        }
    } while (answer == 1);
    return fd_finish(self, answer);
}

void skua__fd_drop(skua_future *future)
{
    skua_fd_future *self = fd_future_of(future);

    if (self->state != FD_IDLE)
        (void)fd_finish(self, 0);
}

static const skua_future_ops fd_read_ops = {
    .name = "fd.read", .poll = skua__fd_poll, .drop = skua__fd_drop};
static const skua_future_ops fd_write_ops = {
    .name = "fd.write", .poll = skua__fd_poll, .drop = skua__fd_drop};

static skua_future *fd_future_init(skua_fd_future *self, skua_fd *fd, void *buf, size_t len,
                                   uint32_t kind)
{
    self->future.ops = kind & SKUA__WRITE ? &fd_write_ops : &fd_read_ops;
    self->fd = fd;
    self->life = skua__load_acquire(&fd->life);
    self->buf = buf;
    self->len = len;
    self->done = 0;
    self->waker = NULL;
    self->state = FD_IDLE;
    self->kind = kind;
    return &self->future;
}

skua_future *skua_fd_readable_init(skua_fd_future *readable, skua_fd *fd)
{
    return fd_future_init(readable, fd, NULL, 0, SKUA__READ | FD_READY);
}

skua_future *skua_fd_writable_init(skua_fd_future *writable, skua_fd *fd)
{
    return fd_future_init(writable, fd, NULL, 0, SKUA__WRITE | FD_READY);
}

skua_future *skua_fd_read_init(skua_fd_future *read, skua_fd *fd, void *buf, size_t len)
{
    return fd_future_init(read, fd, buf, len, SKUA__READ);
}

skua_future *skua_fd_write_init(skua_fd_future *write, skua_fd *fd, const void *buf, size_t len)
{
    return fd_future_init(write, fd, (void *)(uintptr_t)buf, len, SKUA__WRITE);
}

skua_future *skua_fd_write_all_init(skua_fd_future *write, skua_fd *fd, const void *buf, size_t len)
{
    return fd_future_init(write, fd, (void *)(uintptr_t)buf, len, SKUA__WRITE | FD_ALL);
}

skua_future *skua__fd_vector_init(skua_fd_future *self, skua_fd *fd, const struct iovec *iov,
                                  int count, unsigned direction)
{
    return fd_future_init(self, fd, (void *)(uintptr_t)iov, (size_t)count, direction | FD_VECTOR);
}

skua_future *skua__fd_call_init(skua_fd_future *self, skua_fd *fd, void *arg,
                                const skua_future_ops *ops)
{
    fd_future_init(self, fd, arg, 0, SKUA__READ | FD_CALL);
    self->future.ops = ops;
    return &self->future;
}

/* ---- direct calls ---------------------------------------------------------------------------- */

int64_t skua__fd_try(skua_future *future)
{
    skua_fd_future *self = fd_future_of(future);
    int64_t n = fd_begin(self);
    uint32_t bit;

    if (n != 1)
        return n;
    /* Somebody wants to know: what is known is not asked. */
    bit = fd_direction(self) == SKUA__READ ? SKUA__READABLE : SKUA__WRITABLE;
    if (!(skua__source_look(&self->fd->source) & bit))
        skua__or_acq_rel(&self->fd->source.ready, bit);
    return fd_finish(self, fd_try(self));
}

/* A plain thread's waker, on its stack: skua__source_forget waits until a wake is done. */
struct fd_bell {
    skua_custom_waker waker; /* first */
    int eventfd;
};

static void fd_bell_wake(skua_custom_waker *waker)
{
    skua__os_eventfd_add(skua__container(waker, struct fd_bell, waker)->eventfd);
}

static void fd_bell_count(skua_custom_waker *waker)
{
    (void)waker;
}

/* Between the claim and the forgetting. */
static int64_t fd_await_bell(skua_fd_future *self, struct fd_bell *bell, int64_t deadline)
{
    bool reads = fd_direction(self) == SKUA__READ;
    struct skua__source *source = &self->fd->source;
    int64_t n;

    do {
        n = fd_try(self);
        if (n != -EAGAIN)
            return n;
        /* The closer sets CLOSED and then looks for the waker; this side the other way round. */
        if (skua__load_seq(&source->ready) & skua__source_closed_bit(fd_direction(self)))
            return SKUA_ECLOSED;
        n = skua__os_poll_bell(source->fd, reads ? POLLIN : POLLOUT, bell->eventfd, deadline);
        if (n == 0)
            skua__or_acq_rel(&source->ready, reads ? SKUA__READABLE : SKUA__WRITABLE);
        /* A wake took the waker out of its place; the next one is to find it there. */
        if (n == 0)
            n = skua__source_claim(source, fd_direction(self), self->waker);
    } while (n == 0);
    return n;
}

/* A plain thread that must wait: it has no driver. */
static int64_t fd_await_thread(skua_fd_future *self, int64_t deadline)
{
    struct fd_bell bell = {
        .waker = {.wake = fd_bell_wake, .ref = fd_bell_count, .unref = fd_bell_count}};
    int64_t answer;

    bell.eventfd = skua__os_eventfd();
    if (bell.eventfd < 0)
        return fd_finish(self, bell.eventfd);
    answer =
        skua__source_claim(&self->fd->source, fd_direction(self), skua_waker_custom(&bell.waker));
    if (answer == 0) {
        self->waker = skua_waker_custom(&bell.waker);
        answer = fd_await_bell(self, &bell, deadline);
    }
    answer = fd_finish(self, answer);
    skua__os_close(bell.eventfd);
    return answer;
}

int64_t skua__fd_await(skua_future *future, int64_t deadline)
{
    skua_fd_future *self = fd_future_of(future);
    int64_t answer;

    if (skua__thread_self()->core != NULL)
        return skua_await_until(future, deadline);
    answer = fd_begin(self);
    if (answer != 1)
        return answer;
    answer = fd_try(self);
    return answer != -EAGAIN ? fd_finish(self, answer) : fd_await_thread(self, deadline);
}

#undef FD_IDLE
#undef FD_HELD
#undef FD_VECTOR
#undef FD_READY
#undef FD_ALL
#undef FD_CALL
