/* fd.h - any descriptor that can be waited for: what other libraries and the system hand out.
 *
 *     skua_fd *timer;
 *     uint64_t ticks;
 *
 *     rc = skua_fd_adopt(&timer, timerfd_create(CLOCK_MONOTONIC, 0), 0);
 *     ...
 *     while (skua_fd_read(timer, &ticks, sizeof ticks) == sizeof ticks)
 *         beat(ticks);
 *     skua_fd_close(timer);
 *
 * Sockets, pipes, FIFOs, terminals, eventfds, timerfds, pidfds, signalfds, inotify, epoll sets.
 * Regular files, directories and devices such as /dev/null cannot be waited for: the system calls
 * them ready, always. They are refused with -EPERM, whatever the driver.
 *
 * A descriptor may be used by one reading and one writing task at a time, on any workers; a second
 * reader (or writer) gets -EBUSY. Every wait ends with the caller's cancellation or deadline
 * (-ECANCELED, -ETIMEDOUT), and the descriptor is as good afterwards as before. A read or a write
 * is the system call of that name: what it means, and how much at a time, is the kind's affair (an
 * eventfd reads 8 bytes, a terminal a line). Bytes are never lent to the kernel.
 *
 * A library that brings its own descriptor and reads it by itself (libpq, libcurl, a device's) is
 * waited for with skua_fd_readable and skua_fd_writable alone, and gets its descriptor back with
 * skua_fd_release. After Tokio's AsyncFd.
 *
 * pipe.h has pipes and FIFOs, standard.h the standard streams, fs_watch.h files that change.
 */
#ifndef SKUA_FD_H
#define SKUA_FD_H

#include <sys/uio.h>

#include <skua/future.h>
#include <skua/io.h>

SKUA_C_BEGIN

typedef struct skua_fd skua_fd;

/* Takes a descriptor over. It is made non-blocking and close-on-exec.
 *
 * Non-blocking is a property of the open file, which others may share: a terminal, or a pipe that
 * was inherited (for those see standard.h).
 *
 * ret        receives the handle, to be ended by skua_fd_close or skua_fd_release; untouched on
 *            failure
 * fd         open; Skua's when 0 was returned, else the caller's, with the flags that it had.
 *            Nobody else closes it, and it is not adopted twice
 * flags      0
 * Returns    0; -EPERM: it cannot be waited for; -EBADF, -EINVAL (flags), -ENOMEM, -EMFILE …
 * Threads    any
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fd_adopt(skua_fd **ret, int fd, unsigned flags);

/* The number of the descriptor, for what Skua has no call for: ioctl, setsockopt, tcsetattr.
 *
 * Returns    the number, borrowed: it is Skua's, and valid until the handle is closed or released;
 *            SKUA_ECLOSED
 * Threads    any
 * Since      0.2
 */
SKUA_API int skua_fd_number(skua_fd *fd);

/* Gives the descriptor back: no longer watched, flags as they were when it was adopted. The handle
 * has ended.
 *
 * Returns    the number, the caller's from here on; -EBUSY: somebody reads, writes or waits, and
 *            the handle is still good; SKUA_ECLOSED
 * Threads    any; nobody closes the handle or begins to use it meanwhile
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fd_release(skua_fd *fd);

/* Closes a descriptor. Tasks and threads that wait for it get SKUA_ECLOSED.
 *
 * While another worker or thread is inside a read or a write the descriptor is closed when that
 * returns: its number is not given to another file before.
 *
 * fd         NULL does nothing
 * Returns    0; -EBADF when it is closed already
 * Threads    any, at any moment
 * Since      0.2
 */
SKUA_API int skua_fd_close(skua_fd *fd);

/* ---- waiting --------------------------------------------------------------------------------- */

/* Waits until a read will not block: bytes, the end, or an error.
 *
 * It asks the kernel (poll): true until something was read, whoever reads, with whatever call.
 *
 * Returns    0; SKUA_ECLOSED, -EBUSY, -ECANCELED, -ETIMEDOUT; -ENOMEM, -ENOSPC, -EMFILE: the
 *            system watches no more
 * Threads    fibers, plain threads; one reader at a time. A plain thread's wait takes a descriptor
 * Cancel     safe
 * Source     Tokio's AsyncFd::readable
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fd_readable(skua_fd *fd);

/* As skua_fd_readable, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fd_readable
 * Threads    as skua_fd_readable
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fd_readable_until(skua_fd *fd, int64_t deadline);

/* Waits until a write will not block: room, or an error.
 *
 * Returns    as skua_fd_readable
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fd_writable(skua_fd *fd);

/* As skua_fd_writable, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fd_readable
 * Threads    as skua_fd_writable
 * Since      0.2
 */
SKUA_API SKUA_NODISCARD int skua_fd_writable_until(skua_fd *fd, int64_t deadline);

/* ---- reading --------------------------------------------------------------------------------- */

/* Reads what is there.
 *
 * buf, len   the caller's; untouched after the return
 * Returns    the count; 0 at the end of the file (or when len is 0); SKUA_EUSAGE: it is not open
 *            for reading; SKUA_ECLOSED, -EBUSY, -ECANCELED, -ETIMEDOUT; what read(2) says (-EIO,
 *            -EINVAL for a buffer that is too small …); and as skua_fd_readable
 * Threads    fibers, plain threads; one reader at a time
 * Cancel     safe: nothing was read
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_read(skua_fd *fd, void *buf, size_t len);

/* As skua_fd_read, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fd_read
 * Threads    as skua_fd_read
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_read_until(skua_fd *fd, void *buf, size_t len, int64_t deadline);

/* Reads into several buffers.
 *
 * iov, count at most 1,024
 * Returns    as skua_fd_read
 * Threads    as skua_fd_read
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_readv(skua_fd *fd, const struct iovec *iov, int count);

/* Reads what is there, and does not wait.
 *
 * Returns    as skua_fd_read; -EAGAIN when there is nothing
 * Threads    any; one reader at a time
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_try_read(skua_fd *fd, void *buf, size_t len);

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes what the descriptor takes.
 *
 * buf, len   the caller's; the kernel has copied what it took
 * Returns    the count (0 only when len is 0); -EPIPE: nobody reads any more, and never a SIGPIPE;
 *            SKUA_EUSAGE: it is not open for writing; SKUA_ECLOSED, -EBUSY, -ECANCELED,
 *            -ETIMEDOUT; what write(2) says; and as skua_fd_readable
 * Threads    fibers, plain threads; one writer at a time
 * Cancel     safe: nothing was written
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_write(skua_fd *fd, const void *buf, size_t len);

/* As skua_fd_write, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fd_write
 * Threads    as skua_fd_write
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_write_until(skua_fd *fd, const void *buf, size_t len, int64_t deadline);

/* Writes everything.
 *
 * Returns    len; else as skua_fd_write, an unknown part was written
 * Threads    as skua_fd_write
 * Cancel     not safe: how much was written is not told
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_write_all(skua_fd *fd, const void *buf, size_t len);

/* As skua_fd_write_all, at most until `deadline`, monotonic ns.
 *
 * Returns    as skua_fd_write_all
 * Threads    as skua_fd_write
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_write_all_until(skua_fd *fd, const void *buf, size_t len,
                                         int64_t deadline);

/* Writes from several buffers.
 *
 * iov, count at most 1,024
 * Returns    as skua_fd_write
 * Threads    as skua_fd_write
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_writev(skua_fd *fd, const struct iovec *iov, int count);

/* Writes what the descriptor takes, and does not wait.
 *
 * Returns    as skua_fd_write; -EAGAIN when it takes nothing
 * Threads    any; one writer at a time
 * Since      0.2
 */
SKUA_API ssize_t skua_fd_try_write(skua_fd *fd, const void *buf, size_t len);

/* ---- as a stream of bytes -------------------------------------------------------------------- */

/* A descriptor as a stream of bytes (io.h): for buffered.h, framing.h and skua_copy. Pipes, FIFOs,
 * the standard streams, a child's, terminals and sockets, whose bytes make a stream.
 *
 *     char room[4096];
 *     skua_reader in;
 *
 *     skua_reader_init(&in, skua_fd_io(fd), room, sizeof room);
 *     while ((rc = skua_reader_read_line(&in, 0, &line, &len)) > 0) ...
 *
 * skua_io_shutdown ends what a socket sends, for all who have it. Nothing else has an end of that
 * kind, and it does nothing there: a pipe ends when the last descriptor of its writing end is
 * closed. What is read after the end of a terminal (^D) or of a FIFO may be there again.
 *
 * fd         the caller's
 * Returns    a value that is good until the handle is closed or released
 * Threads    any
 * Since      0.3
 */
SKUA_API skua_io skua_fd_io(skua_fd *fd);

/* ---- futures, for poll tasks, select and timeouts -------------------------------------------- */

/* Waits for a descriptor. Its members are private. */
typedef struct skua_fd_future {
    skua_future future;
    skua_fd *fd;
    void *buf;
    size_t len;
    size_t done;       /* of what is written in parts */
    skua_waker *waker; /* whom to wake; NULL when not registered */
    uint32_t state;    /* private, as the next two */
    uint32_t kind;
    uint32_t life;
} skua_fd_future;

/* Makes a future of a wait: ready as skua_fd_readable returns.
 *
 * Returns    &readable->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_fd_readable_init(skua_fd_future *readable, skua_fd *fd);

/* Makes a future of a wait: ready as skua_fd_writable returns.
 *
 * Returns    &writable->future
 * Threads    where it is awaited
 * Cancel     safe
 * Since      0.2
 */
SKUA_API skua_future *skua_fd_writable_init(skua_fd_future *writable, skua_fd *fd);

/* Makes a future of a read: ready as skua_fd_read returns.
 *
 * Returns    &read->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped read has read nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_fd_read_init(skua_fd_future *read, skua_fd *fd, void *buf, size_t len);

/* Makes a future of a write: ready as skua_fd_write returns.
 *
 * Returns    &write->future
 * Threads    where it is awaited
 * Cancel     safe: a dropped write has written nothing
 * Since      0.2
 */
SKUA_API skua_future *skua_fd_write_init(skua_fd_future *write, skua_fd *fd, const void *buf,
                                         size_t len);

/* Makes a future of writing everything: ready as skua_fd_write_all returns.
 *
 * Returns    &write->future
 * Threads    where it is awaited
 * Cancel     not safe: a dropped one may have written a part
 * Since      0.2
 */
SKUA_API skua_future *skua_fd_write_all_init(skua_fd_future *write, skua_fd *fd, const void *buf,
                                             size_t len);

#ifndef __cplusplus
/* The same in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    tasks
 * Since      0.2
 */
#define skua_fd_awaiting_readable(fd) skua_fd_readable_init(&(skua_fd_future){.future = {0}}, (fd))
#define skua_fd_awaiting_writable(fd) skua_fd_writable_init(&(skua_fd_future){.future = {0}}, (fd))
#define skua_fd_reading(fd, buf, len)                                                              \
    skua_fd_read_init(&(skua_fd_future){.future = {0}}, (fd), (buf), (len))
#define skua_fd_writing(fd, buf, len)                                                              \
    skua_fd_write_init(&(skua_fd_future){.future = {0}}, (fd), (buf), (len))
#define skua_fd_writing_all(fd, buf, len)                                                          \
    skua_fd_write_all_init(&(skua_fd_future){.future = {0}}, (fd), (buf), (len))
#endif

SKUA_C_END

#endif
