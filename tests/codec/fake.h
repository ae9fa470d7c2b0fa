/* fake.h - a stream of bytes that does what a test has written down: short reads and writes, an
 * error at any call, interruptions, waits that do not end, counts that are lies.
 */
#ifndef SKUA_TESTS_CODEC_FAKE_H
#define SKUA_TESTS_CODEC_FAKE_H

#include "../lib/part.h"

struct fake {
    const char *text; /* what is read */
    size_t len;
    size_t piece;       /* at most so many bytes a call; 0 = as many as are asked for */
    uint64_t random;    /* not 0: a random number of bytes a call */
    unsigned calls;     /* of read and write */
    unsigned fail_call; /* the call with this number, from 1 … */
    ssize_t fail;       /* … says this, once */
    bool interrupts;    /* every other call says -EINTR */
    size_t stall_at;    /* when so many bytes have passed, calls wait for ever; 0 = never */
    size_t passed;
    bool ended; /* a read has said 0: another one is a mistake */
    char *got;  /* what was written; room for `room` */
    size_t room;
    size_t count;
    unsigned vectors; /* calls of writev */
    int shutdowns;
    int shutdown_rc;
    int64_t deadline; /* of the last call */
};

/* How many bytes this call moves of `len`; or what it says. */
static TEST_UNUSED ssize_t fake_step(struct fake *self, size_t len, int64_t deadline)
{
    skua_sleep_future sleep;
    size_t n = self->piece != 0 && self->piece < len ? self->piece : len;

    self->deadline = deadline;
    self->calls++;
    if (self->interrupts && self->calls % 2 == 1)
        return -EINTR;
    if (self->fail_call == self->calls)
        return self->fail;
    if (self->stall_at != 0 && self->passed >= self->stall_at)
        return (ssize_t)skua_await_until(skua_sleep_init(&sleep, SKUA_FOREVER), deadline);
    if (self->stall_at != 0 && n > self->stall_at - self->passed)
        n = self->stall_at - self->passed;
    if (self->random != 0 && n > 1)
        n = 1 + test_random(&self->random) % n;
    return (ssize_t)n;
}

static TEST_UNUSED ssize_t fake_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct fake *self = object;
    ssize_t n;

    CHECK(len > 0);
    CHECK(!self->ended);
    n = fake_step(self, len, deadline);
    if (n <= 0)
        return n;
    n = (size_t)n < self->len ? n : (ssize_t)self->len;
    self->ended = n == 0;
    memcpy(buf, self->text, (size_t)n);
    self->text += n;
    self->len -= (size_t)n;
    self->passed += (size_t)n;
    return n;
}

static TEST_UNUSED ssize_t fake_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct fake *self = object;
    ssize_t n;

    CHECK(len > 0);
    n = fake_step(self, len, deadline);
    if (n <= 0 || (size_t)n > len)
        return n;
    MUST(self->count + (size_t)n <= self->room);
    memcpy(self->got + self->count, buf, (size_t)n);
    self->count += (size_t)n;
    self->passed += (size_t)n;
    return n;
}

static TEST_UNUSED ssize_t fake_writev(void *object, const struct iovec *iov, int count,
                                       int64_t deadline)
{
    struct fake *self = object;
    char all[4096];
    size_t len = 0;

    self->vectors++;
    for (int i = 0; i < count; i++) {
        CHECK(iov[i].iov_len > 0);
        MUST(len + iov[i].iov_len <= sizeof all);
        memcpy(all + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    return fake_write(object, all, len, deadline);
}

static TEST_UNUSED int fake_shutdown(void *object)
{
    struct fake *self = object;

    self->shutdowns++;
    return self->shutdown_rc;
}

static TEST_UNUSED skua_io fake_io(struct fake *fake)
{
    static const skua_io_ops ops = {
        .name = "fake", .read = fake_read, .write = fake_write, .shutdown = fake_shutdown};

    return (skua_io){.ops = &ops, .object = fake};
}

/* The same with writev. */
static TEST_UNUSED skua_io fake_io_vector(struct fake *fake)
{
    static const skua_io_ops ops = {.name = "fake",
                                    .read = fake_read,
                                    .write = fake_write,
                                    .writev = fake_writev,
                                    .shutdown = fake_shutdown};

    return (skua_io){.ops = &ops, .object = fake};
}

#endif
