/* file_io.c - reading and writing: one system call a job, or several until everything is done.
 *
 * Flow       skua_file_read -> held, the cursor taken -> from the page cache, without a thread;
 *            if it is not there: (the worker's ring, or else the pool) readv -> the cursor and the
 *            file let go of
 * Chunks     a job reads or writes 4 MiB at most, so that a cancellation is not waited for long.
 *            The page cache is looked into only for what does not keep the worker: 128 KiB.
 * Cursor     is the kernel's. The mutex keeps what one task reads in several calls together, and
 *            has others park for it instead of threads of the pool.
 */
#include "fs/fs_impl.h"

#define FIO_NOW_MAX ((size_t)128 << 10) /* bytes a worker copies on the spot */
#define FIO_VECTORS 1024

struct fio {
    struct skua_file *file; /* held */
    const struct iovec *iov;
    int count;
    bool writes;
    int64_t offset; /* SKUA__AT_CURSOR: that is the caller's */
    char *buf;      /* of fio_call_all, `len` bytes */
    size_t len;
};

/* ---- one call -------------------------------------------------------------------------------- */

static int64_t fio_run(void *arg)
{
    struct fio *io = arg;

    if (skua__file_closed(io->file))
        return SKUA_ECLOSED;
    if (!io->writes)
        return skua__os_file_readv(io->file->fd, io->iov, io->count, io->offset);
    return skua__file_wrote(io->file,
                            skua__os_file_writev(io->file->fd, io->iov, io->count, io->offset));
}

/* Whether to look into the page cache first: on a worker, for what is soon copied. */
static bool fio_may_be_now(const struct fio *io)
{
    size_t len = 0;

    if (io->writes || (io->file->flags & SKUA__OPEN_DIRECT) || io->count > 16 ||
        skua__thread_self()->core == NULL)
        return false;
    for (int i = 0; i < io->count; i++) {
        if (io->iov[i].iov_len > FIO_NOW_MAX)
            return false;
        len += io->iov[i].iov_len;
    }
    return len <= FIO_NOW_MAX;
}

/* By the worker's ring; false: nothing was done, *ret says why. */
static bool fio_ring(const struct fio *io, int64_t *ret)
{
    struct skua__file_request request = {.call = io->writes ? SKUA__FILE_WRITES : SKUA__FILE_READS,
                                         .iov = io->iov,
                                         .count = io->count,
                                         .offset = io->offset};

    *ret = SKUA__FS_ELSEWHERE;
    if (io->count < 1 || !skua__file_ring(io->file, &request, ret))
        return false;
    if (io->writes)
        (void)skua__file_wrote(io->file, *ret);
    return true;
}

static int64_t fio_once(struct fio *io)
{
    int64_t done;
    ssize_t n;
    int rc;

    if (skua__file_closed(io->file))
        return SKUA_ECLOSED; /* while it waited for the cursor */
    if (fio_may_be_now(io)) {
        rc = skua__task_leaf();
        if (rc != 0)
            return rc;
        n = skua__os_file_readv_now(io->file->fd, io->iov, io->count, io->offset);
        if (n > 0)
            return n; /* 0 is not believed: Linux 5.9 and 5.10 say so before the end, too */
    }
    if (fio_ring(io, &done) || done != SKUA__FS_ELSEWHERE)
        return done; /* or it was cancelled */
    return skua__fs_run(fio_run, io);
}

/* Everything; the caller has the cursor, if that is meant. */
static int64_t fio_all(struct fio *io, char *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        struct iovec iov = {buf + done, skua__min_size(len - done, SKUA__FILE_CHUNK)};
        int64_t n;

        io->iov = &iov;
        io->count = 1;
        n = fio_once(io);
        if (n <= 0)
            return n < 0 ? n : io->writes ? -EIO : SKUA_EEOF;
        done += (size_t)n;
        if (io->offset != SKUA__AT_CURSOR)
            io->offset += n;
    }
    return (int64_t)len;
}

/* ---- the file and its cursor ----------------------------------------------------------------- */

/* 0: the file is held, and so is the cursor if it is meant. */
static int fio_begin(const struct fio *io)
{
    int rc = skua__file_enter(io->file);

    if (rc != 0 || io->offset != SKUA__AT_CURSOR)
        return rc;
    rc = skua_mutex_lock(&io->file->cursor);
    if (rc != 0)
        skua__file_let_go(io->file);
    return rc;
}

static void fio_end(struct skua_file *file, bool cursor)
{
    if (cursor)
        (void)skua_mutex_unlock(&file->cursor);
    skua__file_let_go(file);
}

static int64_t fio_call_now(void *arg)
{
    struct fio *io = arg;
    bool cursor = io->offset == SKUA__AT_CURSOR;
    int64_t n;

    if (io->count < 0 || io->count > FIO_VECTORS || io->offset < SKUA__AT_CURSOR)
        return -EINVAL;
    n = fio_begin(io);
    if (n != 0)
        return n;
    n = fio_once(io);
    fio_end(io->file, cursor);
    return n;
}

static int64_t fio_all_now(void *arg)
{
    struct fio *io = arg;
    bool cursor = io->offset == SKUA__AT_CURSOR;
    int64_t n = fio_begin(io);

    if (n != 0)
        return n;
    n = fio_all(io, io->buf, io->len);
    fio_end(io->file, cursor);
    return n;
}

static ssize_t fio_told(struct fio *io, int64_t (*call)(void *io))
{
    return (ssize_t)skua__fs_told(io->writes ? "file.write" : "file.read", NULL, true, call, io);
}

static ssize_t fio_call(struct fio *io)
{
    return fio_told(io, fio_call_now);
}

static ssize_t fio_call_all(struct fio *io, void *buf, size_t len)
{
    io->buf = buf;
    io->len = len;
    return fio_told(io, fio_all_now);
}

/* An offset of the user's: -1 is none, and means no cursor. */
static int64_t fio_offset(int64_t offset)
{
    return offset < 0 ? INT64_MIN : offset;
}

/* ---- for users ------------------------------------------------------------------------------- */

ssize_t skua_file_readv(skua_file *file, const struct iovec *iov, int count)
{
    struct fio io = {file, iov, count, false, SKUA__AT_CURSOR, NULL, 0};

    return fio_call(&io);
}

ssize_t skua_file_writev(skua_file *file, const struct iovec *iov, int count)
{
    struct fio io = {file, iov, count, true, SKUA__AT_CURSOR, NULL, 0};

    return fio_call(&io);
}

ssize_t skua_file_preadv(skua_file *file, const struct iovec *iov, int count, int64_t offset)
{
    struct fio io = {file, iov, count, false, fio_offset(offset), NULL, 0};

    return fio_call(&io);
}

ssize_t skua_file_pwritev(skua_file *file, const struct iovec *iov, int count, int64_t offset)
{
    struct fio io = {file, iov, count, true, fio_offset(offset), NULL, 0};

    return fio_call(&io);
}

ssize_t skua_file_read(skua_file *file, void *buf, size_t len)
{
    struct iovec iov = {buf, skua__min_size(len, SKUA__FILE_CHUNK)};

    return skua_file_readv(file, &iov, 1);
}

ssize_t skua_file_write(skua_file *file, const void *buf, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, skua__min_size(len, SKUA__FILE_CHUNK)};

    return skua_file_writev(file, &iov, 1);
}

ssize_t skua_file_pread(skua_file *file, void *buf, size_t len, int64_t offset)
{
    struct iovec iov = {buf, skua__min_size(len, SKUA__FILE_CHUNK)};

    return skua_file_preadv(file, &iov, 1, offset);
}

ssize_t skua_file_pwrite(skua_file *file, const void *buf, size_t len, int64_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)buf, skua__min_size(len, SKUA__FILE_CHUNK)};

    return skua_file_pwritev(file, &iov, 1, offset);
}

ssize_t skua_file_read_exact(skua_file *file, void *buf, size_t len)
{
    struct fio io = {file, NULL, 0, false, SKUA__AT_CURSOR, NULL, 0};

    return fio_call_all(&io, buf, len);
}

ssize_t skua_file_write_all(skua_file *file, const void *buf, size_t len)
{
    struct fio io = {file, NULL, 0, true, SKUA__AT_CURSOR, NULL, 0};

    return fio_call_all(&io, (void *)(uintptr_t)buf, len);
}

ssize_t skua_file_pread_exact(skua_file *file, void *buf, size_t len, int64_t offset)
{
    struct fio io = {file, NULL, 0, false, offset, NULL, 0};

    return offset < 0 ? -EINVAL : fio_call_all(&io, buf, len);
}

ssize_t skua_file_pwrite_all(skua_file *file, const void *buf, size_t len, int64_t offset)
{
    struct fio io = {file, NULL, 0, true, offset, NULL, 0};

    return offset < 0 ? -EINVAL : fio_call_all(&io, (void *)(uintptr_t)buf, len);
}

/* ---- to the end ------------------------------------------------------------------------------ */

struct fio_rest {
    struct skua_file *file; /* held, with the cursor */
    struct skua__slurp slurp;
};

static int64_t fio_rest_run(void *arg)
{
    struct fio_rest *rest = arg;

    return skua__file_closed(rest->file) ? SKUA_ECLOSED : skua__slurp_step(&rest->slurp);
}

static int64_t fio_rest_now(void *arg)
{
    struct fio_rest *rest = arg;
    struct fio io = {.file = rest->file, .offset = SKUA__AT_CURSOR};
    int64_t rc = fio_begin(&io);

    if (rc != 0)
        return rc;
    rest->slurp.fd = rest->file->fd;
    rc = skua__fs_steps(fio_rest_run, rest);
    fio_end(rest->file, true);
    return rc < 0 ? rc : (int64_t)rest->slurp.len;
}

ssize_t skua_file_read_to_end(skua_file *file, void **data, size_t limit)
{
    struct fio_rest rest = {file, {.limit = limit}};
    int64_t rc = skua__fs_told("file.read", NULL, true, fio_rest_now, &rest);

    if (rc < 0)
        skua__os_free(rest.slurp.data);
    else
        *data = rest.slurp.data;
    return (ssize_t)rc;
}

/* ---- the cursor ------------------------------------------------------------------------------ */

struct fio_seek {
    struct skua_file *file; /* held, with the cursor */
    int64_t offset;
    int whence;
};

static int64_t fio_seek_run(void *arg)
{
    struct fio_seek *seek = arg;

    if (skua__file_closed(seek->file))
        return SKUA_ECLOSED;
    return skua__os_file_seek(seek->file->fd, seek->offset, seek->whence);
}

int64_t skua_file_seek(skua_file *file, int64_t offset, skua_seek from)
{
    struct fio io = {file, NULL, 0, false, SKUA__AT_CURSOR, NULL, 0};
    struct fio_seek seek = {file, offset, (int)from};
    int64_t rc;

    if (from != SKUA_SEEK_START && from != SKUA_SEEK_CURSOR && from != SKUA_SEEK_END)
        return -EINVAL;
    rc = fio_begin(&io);
    if (rc != 0)
        return rc;
    /* Where the end is, a file system over the network asks; the rest is arithmetic. */
    rc = from == SKUA_SEEK_END ? skua__fs_run(fio_seek_run, &seek) : fio_seek_run(&seek);
    fio_end(file, true);
    return rc;
}

_Static_assert(SKUA_SEEK_START == 0 && SKUA_SEEK_CURSOR == 1 && SKUA_SEEK_END == 2,
               "as the kernel's SEEK_SET, SEEK_CUR and SEEK_END");

#undef FIO_NOW_MAX
#undef FIO_VECTORS
