/* file.h - open files: read, write, seek, sync, lock.
 *
 *     skua_file *file;
 *     int rc = skua_file_open(&file, "log", SKUA_FILE_OPTIONS(.append = 1, .create = 1));
 *
 *     if (rc == 0) {
 *         n = skua_file_write_all(file, line, len);
 *         rc = skua_file_close(file);             // reports, too
 *     }
 *
 * The fiber parks, its worker goes on. What is in the page cache is read at once. Other reads, and
 * writes and syncs, are operations of io_uring where the runtime's driver is that; all else, and
 * all with epoll, is a job of blocking.h, because without io_uring the kernel has no way of waiting
 * for a file but to wait. On a plain thread a call is the system call. Poll tasks have the futures
 * at the end, and may close; every other call returns SKUA_EUSAGE there.
 *
 * Cancel     Cancellation and a deadline that passes take a call out of the pool's line, or of the
 *            kernel's: nothing was done, -ECANCELED or -ETIMEDOUT. A call that has begun is waited
 *            for, and its result is returned: it uses the caller's buffer, and what it did is not
 *            lost. So each call has either happened or not; "Cancel" below names what consists of
 *            several.
 * Sharing    A file may be used by any number of tasks and threads at a time. The cursor is one
 *            task's at a time, first in, first out; what has an offset does not touch it, and goes
 *            on side by side.
 * Errors     A failed write is reported by the write, and once more by the next skua_file_sync,
 *            skua_file_sync_data or skua_file_close: whoever looks only there does not miss it.
 * Signals    A call that a signal interrupts is done again. Short reads and writes are counts.
 * Not here   what waits without end: pipes, terminals. They can be opened, but each wait for one
 *            occupies a thread of the pool and cannot be cancelled.
 * Source     Tokio's fs::File and Rust's std::fs::File, with C's shape.
 */
#ifndef SKUA_FILE_H
#define SKUA_FILE_H

#include <sys/uio.h>

#include <skua/blocking.h>

SKUA_C_BEGIN

typedef struct skua_file skua_file;

/* ---- opening and closing --------------------------------------------------------------------- */

/* One of read, write and append at least; none: read. */
typedef struct skua_file_options {
    size_t size;         /* stamped by the macro */
    unsigned read;       /* 1: may read */
    unsigned write;      /* 1: may write */
    unsigned append;     /* 1: each write goes to the end, also one with an offset */
    unsigned truncate;   /* 1: empty it; with write */
    unsigned create;     /* 1: make it if it is not there; with write or append */
    unsigned create_new; /* 1: make it, -EEXIST if it is there; with write or append */
    unsigned direct;     /* 1: past the page cache (O_DIRECT); buffers, offsets and lengths are
                            multiples of the device's block, 4096 bytes nearly everywhere */
    unsigned no_follow;  /* 1: -ELOOP if the name is a symbolic link */
    unsigned sync;       /* 1: each write returns when its data is on the disk (O_DSYNC) */
    uint32_t mode;       /* of a new file, less the umask (default 0666) */
} skua_file_options;

#ifndef __cplusplus
#define SKUA_FILE_OPTIONS(...)                                                                     \
    (&(const skua_file_options){.size = sizeof(skua_file_options), __VA_ARGS__})
#endif

/* Fills in the defaults, for C++ and other languages.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_file_options_init(skua_file_options *options);

/* Opens a file. It is closed in programs that this one executes.
 *
 * ret        receives it, to be ended by skua_file_close; untouched on failure
 * path       a name
 * options    NULL = defaults: for reading
 * Returns    0; -ENOENT, -EACCES, -EEXIST, -EISDIR, -ENOTDIR, -ELOOP, -EMFILE …; -EINVAL (options);
 *            -ENOMEM, -EAGAIN (no thread of the pool), -ECANCELED, -ETIMEDOUT, SKUA_EUSAGE
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_file_open(skua_file **ret, const char *path,
                                           const skua_file_options *options);

/* Closes a file. Calls that come later, or wait for the cursor, get SKUA_ECLOSED.
 *
 * It waits for calls that are under way, and is not cancelled: afterwards the descriptor is closed
 * and the locks are gone, whatever it returns. In a poll task it does not wait: the last call that
 * is under way closes the descriptor.
 *
 * file       NULL does nothing
 * Returns    0; -ENOSPC, -EIO, -EDQUOT …: an earlier write that no sync has told of, or close's own
 *            error; -EBADF when it is closed already
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_file_close(skua_file *file);

/* The descriptor, for calls that are not here. It is the file's: do not close it.
 *
 * Returns    the number; SKUA_ECLOSED
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_file_number(skua_file *file);

/* ---- at the cursor --------------------------------------------------------------------------- */

/* Reads at the cursor, and moves it by as much.
 *
 * buf, len   the caller's; untouched after the return; at most 4 MiB are read at a time
 * Returns    the count; 0 at the end of the file (or when len is 0); SKUA_ECLOSED; -EBADF (not for
 *            reading), -EISDIR, -EIO …; -ENOMEM, -EAGAIN (no thread of the pool), -ECANCELED,
 *            -ETIMEDOUT, SKUA_EUSAGE
 * Threads    fibers, plain threads
 * Cancel     safe: the cursor has moved by what was returned
 * Since      0.3
 */
SKUA_API ssize_t skua_file_read(skua_file *file, void *buf, size_t len);

/* Writes at the cursor, and moves it by as much.
 *
 * buf, len   the caller's; untouched after the return; at most 4 MiB are written at a time
 * Returns    the count, which may be less than len; SKUA_ECLOSED; -EBADF (not for writing),
 *            -ENOSPC, -EDQUOT, -EFBIG (SIGXFSZ may be raised, too), -EIO …; else as
 *            skua_file_read
 * Threads    fibers, plain threads
 * Cancel     safe: what was returned was written
 * Since      0.3
 */
SKUA_API ssize_t skua_file_write(skua_file *file, const void *buf, size_t len);

/* Reads exactly `len` bytes at the cursor, which is this task's until they are there.
 *
 * Returns    len; SKUA_EEOF when the file ends before; else as skua_file_read. On failure the
 *            cursor is behind what was read.
 * Threads    fibers, plain threads
 * Cancel     between reads of 4 MiB: how much was read is not told
 * Since      0.3
 */
SKUA_API ssize_t skua_file_read_exact(skua_file *file, void *buf, size_t len);

/* Writes everything at the cursor, which is this task's until it is done.
 *
 * Returns    len; else as skua_file_write. On failure the cursor is behind what was written.
 * Threads    fibers, plain threads
 * Cancel     between writes of 4 MiB: how much was written is not told
 * Since      0.3
 */
SKUA_API ssize_t skua_file_write_all(skua_file *file, const void *buf, size_t len);

/* Reads into several buffers, in one system call.
 *
 * iov, count the caller's, as the buffers; at most 1024
 * Returns    as skua_file_read; -EINVAL (count)
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API ssize_t skua_file_readv(skua_file *file, const struct iovec *iov, int count);

/* Writes several buffers, in one system call.
 *
 * iov, count the caller's, as the buffers; at most 1024
 * Returns    as skua_file_write; -EINVAL (count)
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API ssize_t skua_file_writev(skua_file *file, const struct iovec *iov, int count);

/* Reads from the cursor to the end into memory of its own.
 *
 * data       receives it, with a zero byte behind, to be freed by free(); untouched on failure
 * limit      the most bytes to accept
 * Returns    the count; -EFBIG when there are more than `limit`; -ENOMEM; else as skua_file_read
 * Threads    fibers, plain threads
 * Cancel     between reads of 4 MiB; the cursor has moved
 * Since      0.3
 */
SKUA_API ssize_t skua_file_read_to_end(skua_file *file, void **data, size_t limit);

/* What an offset of skua_file_seek counts from. */
typedef enum skua_seek { SKUA_SEEK_START, SKUA_SEEK_CURSOR, SKUA_SEEK_END } skua_seek;

/* Moves the cursor.
 *
 * offset     bytes, from `from` on
 * Returns    where it is now, in bytes from the start; -EINVAL (before the start), -ESPIPE,
 *            SKUA_ECLOSED, -ENOMEM, -EAGAIN, -ECANCELED, -ETIMEDOUT, SKUA_EUSAGE
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API int64_t skua_file_seek(skua_file *file, int64_t offset, skua_seek from);

/* ---- at offsets ------------------------------------------------------------------------------ */

/* Reads at an offset. The cursor stays.
 *
 * buf, len   as of skua_file_read
 * offset     bytes from the start
 * Returns    as skua_file_read; -EINVAL (offset), -ESPIPE
 * Threads    fibers, plain threads; any number at a time
 * Cancel     safe
 * Since      0.3
 */
SKUA_API ssize_t skua_file_pread(skua_file *file, void *buf, size_t len, int64_t offset);

/* Writes at an offset. The cursor stays.
 *
 * buf, len   as of skua_file_write
 * offset     bytes from the start; not looked at in a file that was opened with .append
 * Returns    as skua_file_write; -EINVAL (offset), -ESPIPE
 * Threads    fibers, plain threads; any number at a time
 * Cancel     safe
 * Since      0.3
 */
SKUA_API ssize_t skua_file_pwrite(skua_file *file, const void *buf, size_t len, int64_t offset);

/* Reads exactly `len` bytes at an offset.
 *
 * Returns    len; SKUA_EEOF; else as skua_file_pread
 * Threads    fibers, plain threads
 * Cancel     safe: nothing has changed
 * Since      0.3
 */
SKUA_API ssize_t skua_file_pread_exact(skua_file *file, void *buf, size_t len, int64_t offset);

/* Writes everything at an offset.
 *
 * Returns    len; else as skua_file_pwrite
 * Threads    fibers, plain threads
 * Cancel     between writes of 4 MiB: how much was written is not told
 * Since      0.3
 */
SKUA_API ssize_t skua_file_pwrite_all(skua_file *file, const void *buf, size_t len, int64_t offset);

/* As skua_file_readv, at an offset.
 *
 * Returns    as skua_file_pread
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API ssize_t skua_file_preadv(skua_file *file, const struct iovec *iov, int count,
                                  int64_t offset);

/* As skua_file_writev, at an offset.
 *
 * Returns    as skua_file_pwrite
 * Threads    fibers, plain threads
 * Cancel     safe
 * Since      0.3
 */
SKUA_API ssize_t skua_file_pwritev(skua_file *file, const struct iovec *iov, int count,
                                   int64_t offset);

/* ---- the file itself ------------------------------------------------------------------------- */

/* Waits until data and metadata are on the disk (fsync).
 *
 * Returns    0; -EIO, -ENOSPC …: of this, or of an earlier write: each is told once; else as
 *            skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_file_sync(skua_file *file);

/* The same without metadata that is not needed to read the data, as times (fdatasync).
 *
 * Returns    as skua_file_sync
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_file_sync_data(skua_file *file);

/* Sets the length: cuts, or adds a hole. The cursor stays.
 *
 * size       bytes
 * Returns    0; -EINVAL (negative, or not for writing), -EFBIG …; else as skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_file_truncate(skua_file *file, int64_t size);

#define SKUA_ALLOCATE_KEEP_SIZE 0x1u  /* blocks behind the end do not make the file longer */
#define SKUA_ALLOCATE_PUNCH_HOLE 0x2u /* gives blocks back: they read as zero */

/* Has blocks for a part of a file, so that a later write there does not fail with -ENOSPC.
 *
 * flags      SKUA_ALLOCATE_* or 0
 * offset     bytes, as len, which is more than 0
 * Returns    0; -ENOSPC, -EOPNOTSUPP (the file system cannot), -EINVAL …; else as skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_file_allocate(skua_file *file, unsigned flags, int64_t offset, int64_t len);

/* How a part of a file will be read. */
typedef enum skua_file_advice {
    SKUA_ADVICE_NORMAL,
    SKUA_ADVICE_SEQUENTIAL,
    SKUA_ADVICE_RANDOM,
    SKUA_ADVICE_WILL_NEED, /* begin to read it */
    SKUA_ADVICE_DONT_NEED  /* it may leave the page cache */
} skua_file_advice;

/* Tells the kernel.
 *
 * offset     bytes, as len; len 0: to the end
 * Returns    0; -EINVAL, -ESPIPE; else as skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_file_advise(skua_file *file, int64_t offset, int64_t len,
                              skua_file_advice advice);

typedef enum skua_file_kind {
    SKUA_FILE_UNKNOWN, /* read_dir: the file system does not say; ask for the metadata */
    SKUA_FILE_REGULAR,
    SKUA_FILE_DIRECTORY,
    SKUA_FILE_SYMLINK,
    SKUA_FILE_FIFO,
    SKUA_FILE_SOCKET,
    SKUA_FILE_BLOCK_DEVICE,
    SKUA_FILE_CHAR_DEVICE
} skua_file_kind;

/* What is known about a file. Times are ns since 1970 (not of the monotonic clock). */
typedef struct skua_metadata {
    uint64_t size;      /* bytes */
    uint64_t allocated; /* bytes on the disk */
    skua_file_kind kind;
    uint32_t mode; /* permissions: 07777 */
    uint32_t uid, gid;
    uint64_t links;
    uint64_t ino, dev; /* together they name a file */
    int64_t accessed, modified, changed;
    int64_t created; /* 0: the file system does not say */
} skua_metadata;

/* Asks for it.
 *
 * ret        filled in; untouched on failure
 * Returns    0; as skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_file_metadata(skua_file *file, skua_metadata *ret);

/* Sets the permissions.
 *
 * mode       07777
 * Returns    0; -EPERM …; -EINVAL (mode); else as skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_file_set_permissions(skua_file *file, uint32_t mode);

/* ---- locks between processes ----------------------------------------------------------------- */

typedef enum skua_file_lock_kind { SKUA_FILE_SHARED, SKUA_FILE_EXCLUSIVE } skua_file_lock_kind;

/* Locks a file against who locks it, too, in this process or another (flock). The lock is the open
 * file's: its tasks share it, and a lock of the other kind replaces it. Closing unlocks.
 *
 * The kernel cannot be asked to tell: it is tried again and again, after 1 ms, doubling to 64 ms.
 *
 * Returns    0; SKUA_ECLOSED, -EINVAL, -ENOLCK; -ECANCELED, -ETIMEDOUT: not locked; else as
 *            skua_file_read
 * Threads    fibers, plain threads
 * Cancel     safe, at any moment
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_file_lock(skua_file *file, skua_file_lock_kind kind);

/* As skua_file_lock, at most until `deadline`.
 *
 * deadline   monotonic ns
 * Returns    as skua_file_lock
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_file_lock_until(skua_file *file, skua_file_lock_kind kind,
                                                 int64_t deadline);

/* Locks if it can be had now.
 *
 * Returns    0; -EBUSY: it is another's; else as skua_file_lock
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_file_try_lock(skua_file *file, skua_file_lock_kind kind);

/* Unlocks. A file that is not locked stays so.
 *
 * Returns    0; as skua_file_read
 * Threads    fibers, plain threads
 * Since      0.3
 */
SKUA_API int skua_file_unlock(skua_file *file);

/* ---- as futures ------------------------------------------------------------------------------ */

/* A read or a write at an offset that is waited for. Its members are private. */
typedef struct skua_file_future {
    skua_future future;
    skua_blocking_future job;
    struct skua__file_job *io; /* NULL: not begun, or over */
    skua_file *file;
    void *buf;
    size_t len;
    int64_t offset;
    int writes;
} skua_file_future;

/* Makes a future of a read at an offset: ready as skua_file_pread returns.
 *
 * It reads into memory of its own and copies: so it may be dropped while a thread reads.
 *
 * buf, len   the caller's until the future is ready or dropped; at most 1 MiB is read
 * Returns    &read->future
 * Threads    where it is awaited: fibers, plain threads, poll tasks
 * Cancel     at once: a job that runs is left to itself
 * Since      0.3
 */
SKUA_API skua_future *skua_file_pread_init(skua_file_future *read, skua_file *file, void *buf,
                                           size_t len, int64_t offset);

/* Makes a future of a write at an offset: ready as skua_file_pwrite returns.
 *
 * buf, len   as of skua_file_pread_init; copied at the first poll; at most 1 MiB is written
 * Returns    &write->future
 * Threads    where it is awaited: fibers, plain threads, poll tasks
 * Cancel     at once; a job that runs is left to itself, and whether it has written is not told;
 *            the next sync or close tells if it failed
 * Since      0.3
 */
SKUA_API skua_future *skua_file_pwrite_init(skua_file_future *write, skua_file *file,
                                            const void *buf, size_t len, int64_t offset);

#ifndef __cplusplus
/* Both in the caller's block: branches of a select, work under a timeout (flow.h).
 *
 * Returns    a future that lives as long as the enclosing block
 * Threads    where it is awaited
 * Since      0.3
 */
#define skua_file_preading(file, buf, len, offset)                                                 \
    skua_file_pread_init(&(skua_file_future){.io = NULL}, (file), (buf), (len), (offset))
#define skua_file_pwriting(file, buf, len, offset)                                                 \
    skua_file_pwrite_init(&(skua_file_future){.io = NULL}, (file), (buf), (len), (offset))
#endif

SKUA_C_END

#endif
