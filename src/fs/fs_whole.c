/* fs_whole.c - whole files: read to the end, written atomically, copied; and files for a while.
 *
 * Flow       read: open -> step by step, a chunk each -> close, all on threads of the pool
 *            write_atomic: one job: a new file beside the old one -> written, synced -> renamed ->
 *            the directory synced. Whatever fails before the rename, the new file is removed.
 *            copy: open both -> a chunk a job, in the kernel, or through memory where it cannot
 */
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "fs/fs_impl.h"
#include "os/os_statx.h"

#define WHOLE_FIRST ((size_t)4 << 10) /* bytes, where a file does not say its size */
#define WHOLE_COPY ((size_t)128 << 10)
#define WHOLE_TRIES 16 /* random names that are taken: somebody plays a trick */

/* ---- reading to the end ---------------------------------------------------------------------- */

/* Room for `room` bytes and the zero. */
static int whole_grow(struct skua__slurp *slurp, size_t room)
{
    char *data = skua__os_alloc(room + 1);

    if (data == NULL)
        return -ENOMEM;
    if (slurp->len != 0)
        memcpy(data, slurp->data, slurp->len);
    skua__os_free(slurp->data);
    slurp->data = data;
    slurp->room = room;
    return 0;
}

/* The first room: the rest of the file, and a byte to see the end with. */
static size_t whole_guess(const struct skua__slurp *slurp)
{
    struct statx status;
    int64_t at = skua__os_file_seek(slurp->fd, 0, SKUA_SEEK_CURSOR);
    uint64_t left = 0;

    if (at >= 0 && skua__os_file_stat(slurp->fd, "", true, &status) == 0 &&
        status.stx_size > (uint64_t)at)
        left = status.stx_size - (uint64_t)at;
    /* It may be anything, in /proc; and it may be more than there is memory. */
    if (left > slurp->limit)
        left = slurp->limit;
    return left < WHOLE_FIRST ? WHOLE_FIRST : (size_t)left + 1;
}

int64_t skua__slurp_step(struct skua__slurp *slurp)
{
    size_t step = 0;

    while (step < SKUA__FILE_CHUNK) {
        struct iovec iov;
        ssize_t n;
        int rc = 0;

        if (slurp->len == slurp->room)
            rc = whole_grow(slurp, slurp->room == 0 ? whole_guess(slurp) : 2 * slurp->room);
        if (rc != 0)
            return rc;
        iov.iov_base = slurp->data + slurp->len;
        iov.iov_len = skua__min_size(slurp->room - slurp->len, SKUA__FILE_CHUNK - step);
        n = skua__os_file_readv(slurp->fd, &iov, 1, SKUA__AT_CURSOR);
        if (n <= 0) {
            slurp->data[slurp->len] = 0; /* it has been read into, perhaps, and not kept */
            return n;
        }
        slurp->len += (size_t)n;
        step += (size_t)n;
        if (slurp->len > slurp->limit)
            return -EFBIG;
    }
    return SKUA__FS_MORE;
}

struct whole_read {
    const char *path;
    struct skua__slurp slurp;
};

/* Opens it with the first step, and closes it with the last one. */
static int64_t whole_read_run(void *arg)
{
    struct whole_read *whole = arg;
    int64_t rc;

    if (whole->slurp.fd < 0)
        whole->slurp.fd = skua__os_file_open(SKUA__AT_CWD, whole->path, SKUA__OPEN_READ, 0);
    if (whole->slurp.fd < 0)
        return whole->slurp.fd;
    rc = skua__slurp_step(&whole->slurp);
    if (rc != SKUA__FS_MORE) {
        (void)skua__os_file_close(whole->slurp.fd);
        whole->slurp.fd = -1;
    }
    return rc;
}

static int64_t whole_read_now(void *arg)
{
    struct whole_read *whole = arg;
    int64_t rc = skua__fs_steps(whole_read_run, whole);

    return rc == 0 ? (int64_t)whole->slurp.len : rc;
}

ssize_t skua_fs_read(const char *path, void **data, size_t limit)
{
    struct whole_read whole = {path, {.fd = -1, .limit = limit}};
    int64_t rc =
        path == NULL ? -EINVAL : skua__fs_told("fs.read", path, true, whole_read_now, &whole);

    if (rc >= 0) {
        *data = whole.slurp.data;
        return (ssize_t)rc;
    }
    if (whole.slurp.fd >= 0) /* cancelled between two steps */
        (void)skua__fs_close(whole.slurp.fd);
    skua__os_free(whole.slurp.data);
    return (ssize_t)rc;
}

/* ---- names of its own ------------------------------------------------------------------------ */

/* "dir/.skua-random"; *ret is to be freed. */
static int whole_unique(const char *dir, size_t dir_len, char **ret)
{
    size_t size = dir_len + 32;
    char *name = skua__os_alloc(size);

    if (name == NULL)
        return -ENOMEM;
    memcpy(name, dir, dir_len);
    snprintf(name + dir_len, size - dir_len, "/.skua-%016llx",
             (unsigned long long)skua__os_random());
    *ret = name;
    return 0;
}

/* A new file with a name of its own in `dir`: its descriptor, and its name, to be freed. */
static int whole_make(const char *dir, size_t dir_len, unsigned flags, uint32_t mode, char **ret)
{
    int fd = -EEXIST;

    for (int i = 0; i < WHOLE_TRIES && fd == -EEXIST; i++) {
        char *name;
        int rc = whole_unique(dir, dir_len, &name);

        if (rc != 0)
            return rc;
        fd = skua__os_file_open(SKUA__AT_CWD, name, flags | SKUA__OPEN_NEW, mode);
        if (fd >= 0)
            *ret = name;
        else
            skua__os_free(name);
    }
    return fd;
}

/* ---- writing atomically ---------------------------------------------------------------------- */

struct whole_write {
    const char *path;
    const char *data;
    size_t len;
    uint32_t mode;
};

static int whole_fill(int fd, const char *data, size_t len)
{
    while (len > 0) {
        struct iovec iov = {(void *)(uintptr_t)data, skua__min_size(len, SKUA__FILE_CHUNK)};
        ssize_t n = skua__os_file_writev(fd, &iov, 1, SKUA__AT_CURSOR);

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Of the file that is there, where the caller does not say. */
static int whole_permissions(const struct whole_write *write, int fd)
{
    struct statx status;
    int rc;

    if (write->mode != 0)
        return skua__os_file_chmod(fd, write->mode);
    rc = skua__os_file_stat(SKUA__AT_CWD, write->path, false, &status);
    if (rc == -ENOENT)
        return 0;
    if (rc != 0 || !S_ISREG(status.stx_mode))
        return rc;
    return skua__os_file_chmod(fd, status.stx_mode & 07777);
}

static int whole_sync_dir(const char *dir)
{
    int fd = skua__os_file_open(SKUA__AT_CWD, dir, SKUA__OPEN_READ | SKUA__OPEN_DIRECTORY, 0);
    int rc;

    if (fd < 0)
        return fd;
    rc = skua__os_file_sync(fd, false);
    (void)skua__os_file_close(fd);
    return rc == -EINVAL ? 0 : rc; /* a file system without such a thing */
}

static int64_t whole_write_run(void *arg)
{
    struct whole_write *write = arg;
    const char *slash = strrchr(write->path, '/');
    size_t above = slash != NULL ? (size_t)(slash - write->path) : 0;
    const char *dir = above != 0 ? write->path : slash != NULL ? "/." : ".";
    size_t dir_len = above != 0 ? above : strlen(dir);
    char *name;
    int fd = whole_make(dir, dir_len, SKUA__OPEN_WRITE, write->mode != 0 ? 0600 : 0666, &name);
    int rc, closed;

    if (fd < 0)
        return fd;
    rc = whole_fill(fd, write->data, write->len);
    if (rc == 0)
        rc = whole_permissions(write, fd);
    if (rc == 0)
        rc = skua__os_file_sync(fd, false);
    closed = skua__os_file_close(fd);
    if (rc == 0)
        rc = closed;
    if (rc == 0)
        rc = skua__os_rename(name, write->path, 0);
    if (rc != 0)
        (void)skua__os_unlink(SKUA__AT_CWD, name, false);
    else {
        name[dir_len] = 0; /* its directory */
        rc = whole_sync_dir(name);
    }
    skua__os_free(name);
    return rc;
}

static int64_t whole_write_now(void *arg)
{
    struct whole_write *write = arg;
    int64_t rc = skua__fs_run(whole_write_run, write);

    return rc == 0 ? (int64_t)write->len : rc;
}

int skua_fs_write_atomic(const char *path, const void *data, size_t len, uint32_t mode)
{
    struct whole_write write = {path, data, len, mode};
    int64_t rc;

    if (path == NULL || mode > 07777)
        return -EINVAL;
    rc = skua__fs_told("fs.write", path, true, whole_write_now, &write);
    return rc < 0 ? (int)rc : 0;
}

/* ---- copying --------------------------------------------------------------------------------- */

struct whole_copy {
    const char *from_path;
    const char *to_path;
    int from; /* -1: not begun */
    int to;
    bool by_hand; /* the kernel cannot */
    uint32_t mode;
    int64_t done;
    char *buf; /* by hand */
};

static int whole_copy_open(struct whole_copy *copy)
{
    struct statx from, to;
    int rc;

    copy->from = skua__os_file_open(SKUA__AT_CWD, copy->from_path, SKUA__OPEN_READ, 0);
    if (copy->from < 0)
        return copy->from;
    rc = skua__os_file_stat(copy->from, "", true, &from);
    if (rc != 0 || S_ISDIR(from.stx_mode))
        return rc != 0 ? rc : -EISDIR;
    copy->mode = from.stx_mode & 07777;
    copy->to = skua__os_file_open(SKUA__AT_CWD, copy->to_path, SKUA__OPEN_WRITE | SKUA__OPEN_CREATE,
                                  copy->mode);
    if (copy->to < 0)
        return copy->to;
    rc = skua__os_file_stat(copy->to, "", true, &to);
    if (rc != 0)
        return rc;
    /* Emptied only now: it might be the same file by another name. */
    if (to.stx_ino == from.stx_ino && to.stx_dev_major == from.stx_dev_major &&
        to.stx_dev_minor == from.stx_dev_minor)
        return -EINVAL;
    rc = S_ISREG(to.stx_mode) ? skua__os_file_truncate(copy->to, 0) : 0;
    return rc == 0 && S_ISREG(to.stx_mode) ? skua__os_file_chmod(copy->to, copy->mode) : rc;
}

/* As much as the buffer holds; 0 at the end. */
static ssize_t whole_copy_by_hand(struct whole_copy *copy)
{
    struct iovec iov;
    ssize_t n;
    int rc;

    if (copy->buf == NULL)
        copy->buf = skua__os_alloc(WHOLE_COPY);
    if (copy->buf == NULL)
        return -ENOMEM;
    iov = (struct iovec){copy->buf, WHOLE_COPY};
    n = skua__os_file_readv(copy->from, &iov, 1, SKUA__AT_CURSOR);
    if (n <= 0)
        return n;
    rc = whole_fill(copy->to, copy->buf, (size_t)n);
    return rc != 0 ? rc : n;
}

static ssize_t whole_copy_part(struct whole_copy *copy)
{
    ssize_t n;

    if (!copy->by_hand) {
        n = skua__os_file_copy(copy->from, copy->to, SKUA__FILE_CHUNK);
        /* Two file systems, one that cannot, a filter that forbids the call; or a file of /proc,
         * which looks empty. */
        copy->by_hand = n == -EXDEV || n == -EINVAL || n == -ENOSYS || n == -EOPNOTSUPP ||
                        n == -EPERM || n == -EBADF || (n == 0 && copy->done == 0);
        if (!copy->by_hand)
            return n;
    }
    return whole_copy_by_hand(copy);
}

static int64_t whole_copy_run(void *arg)
{
    struct whole_copy *copy = arg;
    size_t step = 0;
    ssize_t n = copy->from < 0 ? whole_copy_open(copy) : 0;

    if (n != 0)
        return n;
    while (step < SKUA__FILE_CHUNK) {
        n = whole_copy_part(copy);
        if (n <= 0)
            return n;
        step += (size_t)n;
        copy->done += n;
    }
    return SKUA__FS_MORE;
}

static int64_t whole_copy_now(void *arg)
{
    struct whole_copy *copy = arg;
    int64_t rc = skua__fs_steps(whole_copy_run, copy);
    int closed = copy->to >= 0 ? skua__fs_close(copy->to) : 0;

    if (copy->from >= 0)
        (void)skua__fs_close(copy->from);
    skua__os_free(copy->buf);
    if (rc != 0 || closed != 0)
        return rc != 0 ? rc : closed;
    return copy->done;
}

int64_t skua_fs_copy(const char *from, const char *to)
{
    struct whole_copy copy = {.from_path = from, .to_path = to, .from = -1, .to = -1};

    if (from == NULL || to == NULL)
        return -EINVAL;
    return skua__fs_told("fs.copy", from, true, whole_copy_now, &copy);
}

/* ---- for a while ----------------------------------------------------------------------------- */

static const char *whole_temp(const char *dir)
{
    const char *named = dir != NULL ? dir : skua__os_env("TMPDIR");

    return named != NULL && named[0] != 0 ? named : "/tmp";
}

static int64_t whole_temp_run(void *arg)
{
    const char *dir = arg;
    char *name;
    int fd = skua__os_file_open(SKUA__AT_CWD, dir,
                                SKUA__OPEN_READ | SKUA__OPEN_WRITE | SKUA__OPEN_NAMELESS, 0600);

    if (fd != -EOPNOTSUPP && fd != -EISDIR)
        return fd;
    /* A file system without nameless files: a name for a moment. */
    fd = whole_make(dir, strlen(dir), SKUA__OPEN_READ | SKUA__OPEN_WRITE, 0600, &name);
    if (fd >= 0) {
        (void)skua__os_unlink(SKUA__AT_CWD, name, false);
        skua__os_free(name);
    }
    return fd;
}

int skua_fs_temp_file(skua_file **ret, const char *dir)
{
    struct skua_file *file = skua__file_slot();
    int64_t fd;

    if (file == NULL)
        return -ENOMEM;
    fd = skua__fs_run(whole_temp_run, (void *)(uintptr_t)whole_temp(dir));
    if (fd < 0) {
        skua__file_unslot(file);
        return (int)fd;
    }
    *ret = skua__file_begin(file, (int)fd, SKUA__OPEN_READ | SKUA__OPEN_WRITE);
    return 0;
}

static int64_t whole_temp_dir_run(void *arg)
{
    char **name = arg;

    return skua__os_mkdir(*name, 0700);
}

int skua_fs_temp_dir(const char *dir, char **ret)
{
    int rc = -EEXIST;

    dir = whole_temp(dir);
    for (int i = 0; i < WHOLE_TRIES && rc == -EEXIST; i++) {
        char *name;

        rc = whole_unique(dir, strlen(dir), &name);
        if (rc != 0)
            return rc;
        rc = (int)skua__fs_run(whole_temp_dir_run, &name);
        if (rc == 0)
            *ret = name;
        else
            skua__os_free(name);
    }
    return rc;
}

#undef WHOLE_FIRST
#undef WHOLE_COPY
#undef WHOLE_TRIES
