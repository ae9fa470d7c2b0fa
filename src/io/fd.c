/* fd.c - descriptors: taking over, giving back, closing; the direct calls over fd_future.c.
 *
 * Adopting   asks what it is. That it can be waited for at all is asked of an epoll set that is
 *            made for the question: so it is known at once, on a thread without a driver, too. Of
 *            sockets and pipes it is known without.
 * Closing    ends the handle's life, wakes who waits, and drops the handle's reference. Who is in
 *            the middle of a system call has a reference of its own: the descriptor is closed with
 *            the last.
 * Releasing  the same, if the handle's reference is the only one: then nobody is in the middle of
 *            anything, and nobody begins, for the life is over.
 */
#include "io/io_impl.h"

#define FD_VECTOR_MAX 1024

static struct skua__slots fd_slots = SKUA__SLOTS(struct skua_fd, next_free);

/* ---- slots ----------------------------------------------------------------------------------- */

static void fd_released(struct skua__source *source)
{
    skua_fd *fd = skua__container(source, skua_fd, source);

    skua__os_free(fd->memory);
    fd->memory = NULL;
    skua__os_slot_give(&fd_slots, fd);
}

int skua__fd_new(int number, int kind, unsigned access, skua_fd **ret)
{
    skua_fd *fd = skua__os_slot_take(&fd_slots);

    if (fd == NULL)
        return -ENOMEM;
    fd->kind = kind;
    fd->access = access;
    fd->was_blocking = false;
    fd->was_inherited = false;
    skua__store_relaxed(&fd->unopened, false);
    fd->call = NULL;
    fd->memory = NULL;
    skua__source_init(&fd->source, number, fd_released);
    fd->source.raw = true;
    skua__slot_open(&fd->life);
    *ret = fd;
    return 0;
}

bool skua__fd_hold(skua_fd *fd)
{
    return skua__slot_hold(&fd->life, skua__load_acquire(&fd->life), &fd->source);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The flags that Skua needs, and those that were there: see struct skua_fd. */
struct fd_flags {
    int nonblocking;
    int cloexec;
};

static void fd_flags_back(int number, struct fd_flags was)
{
    if (was.nonblocking == 0)
        (void)skua__os_change_nonblocking(number, false);
    if (was.cloexec == 0)
        (void)skua__os_change_cloexec(number, false);
}

static int fd_flags_set(int number, struct fd_flags *was)
{
    was->cloexec = -1;
    was->nonblocking = skua__os_change_nonblocking(number, true);
    if (was->nonblocking >= 0)
        was->cloexec = skua__os_change_cloexec(number, true);
    if (was->nonblocking >= 0 && was->cloexec >= 0)
        return 0;
    fd_flags_back(number, *was);
    return was->nonblocking < 0 ? was->nonblocking : was->cloexec;
}

static int fd_adopt_as(skua_fd **ret, int number, int kind, unsigned access)
{
    struct fd_flags was;
    skua_fd *fd;
    int rc = fd_flags_set(number, &was);

    if (rc != 0)
        return rc;
    rc = skua__fd_new(number, kind, access, &fd);
    if (rc != 0) {
        fd_flags_back(number, was);
        return rc;
    }
    fd->was_blocking = was.nonblocking == 0;
    fd->was_inherited = was.cloexec == 0;
    *ret = fd;
    return 0;
}

int skua_fd_adopt(skua_fd **ret, int fd, unsigned flags)
{
    int access = flags != 0 ? -EINVAL : skua__os_file_access(fd);
    int kind = access < 0 ? access : skua__os_file_kind(fd);
    int rc = kind < 0 ? kind : 0;

    if (rc == 0 && kind != SKUA__FILE_SOCKET && kind != SKUA__FILE_PIPE)
        rc = skua__os_pollable(fd);
    return rc != 0 ? rc : fd_adopt_as(ret, fd, kind, (unsigned)access);
}

int skua_fd_number(skua_fd *fd)
{
    int number;

    if (!skua__fd_hold(fd))
        return SKUA_ECLOSED;
    number = fd->source.fd;
    skua__source_unref(&fd->source);
    return number;
}

int skua_fd_release(skua_fd *fd)
{
    uint32_t life = skua__load_acquire(&fd->life);
    bool blocking;
    bool inherited;
    int number;

    if (!skua__slot_close(&fd->life))
        return SKUA_ECLOSED;
    blocking = fd->was_blocking;
    inherited = fd->was_inherited;
    number = skua__source_take(&fd->source);
    if (number < 0) {
        skua__store_release(&fd->life, life); /* its reference is still there: it goes on */
        return number;
    }
    fd_flags_back(number, (struct fd_flags){.nonblocking = !blocking, .cloexec = !inherited});
    return number;
}

int skua_fd_close(skua_fd *fd)
{
    if (fd == NULL)
        return 0;
    if (!skua__slot_close(&fd->life))
        return -EBADF;
    (void)skua__source_close(&fd->source, SKUA__CLOSED);
    skua__source_unref(&fd->source);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

int skua_fd_readable_until(skua_fd *fd, int64_t deadline)
{
    skua_fd_future readable;

    return (int)skua__fd_await(skua_fd_readable_init(&readable, fd), deadline);
}

int skua_fd_readable(skua_fd *fd)
{
    return skua_fd_readable_until(fd, SKUA_FOREVER);
}

int skua_fd_writable_until(skua_fd *fd, int64_t deadline)
{
    skua_fd_future writable;

    return (int)skua__fd_await(skua_fd_writable_init(&writable, fd), deadline);
}

int skua_fd_writable(skua_fd *fd)
{
    return skua_fd_writable_until(fd, SKUA_FOREVER);
}

/* ---- reading and writing --------------------------------------------------------------------- */

ssize_t skua_fd_read_until(skua_fd *fd, void *buf, size_t len, int64_t deadline)
{
    skua_fd_future read;

    return (ssize_t)skua__fd_await(skua_fd_read_init(&read, fd, buf, len), deadline);
}

ssize_t skua_fd_read(skua_fd *fd, void *buf, size_t len)
{
    return skua_fd_read_until(fd, buf, len, SKUA_FOREVER);
}

ssize_t skua_fd_try_read(skua_fd *fd, void *buf, size_t len)
{
    skua_fd_future read;

    return (ssize_t)skua__fd_try(skua_fd_read_init(&read, fd, buf, len));
}

ssize_t skua_fd_write_until(skua_fd *fd, const void *buf, size_t len, int64_t deadline)
{
    skua_fd_future write;

    return (ssize_t)skua__fd_await(skua_fd_write_init(&write, fd, buf, len), deadline);
}

ssize_t skua_fd_write(skua_fd *fd, const void *buf, size_t len)
{
    return skua_fd_write_until(fd, buf, len, SKUA_FOREVER);
}

ssize_t skua_fd_write_all_until(skua_fd *fd, const void *buf, size_t len, int64_t deadline)
{
    skua_fd_future write;

    return (ssize_t)skua__fd_await(skua_fd_write_all_init(&write, fd, buf, len), deadline);
}

ssize_t skua_fd_write_all(skua_fd *fd, const void *buf, size_t len)
{
    return skua_fd_write_all_until(fd, buf, len, SKUA_FOREVER);
}

ssize_t skua_fd_try_write(skua_fd *fd, const void *buf, size_t len)
{
    skua_fd_future write;

    return (ssize_t)skua__fd_try(skua_fd_write_init(&write, fd, buf, len));
}

static ssize_t fd_vector(skua_fd *fd, const struct iovec *iov, int count, unsigned direction)
{
    skua_fd_future transfer;

    if (count < 0 || count > FD_VECTOR_MAX || (count > 0 && iov == NULL))
        return -EINVAL;
    return (ssize_t)skua__fd_await(skua__fd_vector_init(&transfer, fd, iov, count, direction),
                                   SKUA_FOREVER);
}

ssize_t skua_fd_readv(skua_fd *fd, const struct iovec *iov, int count)
{
    return fd_vector(fd, iov, count, SKUA__READ);
}

ssize_t skua_fd_writev(skua_fd *fd, const struct iovec *iov, int count)
{
    return fd_vector(fd, iov, count, SKUA__WRITE);
}

#undef FD_VECTOR_MAX
