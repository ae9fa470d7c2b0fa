/* os_path.c - files and their names.
 *
 * Thin: each call is one system call with its errno turned into a negative return, restarted when
 * a signal interrupted it before it did anything. The fault point is inside of that loop, so that
 * a test can interrupt a call, too. Flags are the library's own: the floors above include no
 * <fcntl.h>. All of this may block, but for skua__os_file_readv_now.
 *
 * preadv2, statx and renameat2 go to the kernel directly: not every C library has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/os.h"
#include "os/os_statx.h"

/* The kernel's numbers, which older headers do not have. */
enum {
    OSF_NOWAIT = 8, /* RWF_NOWAIT */
    OSF_NO_REPLACE = 1 << 0,
    OSF_EXCHANGE = 1 << 1,
};

/* The value of a system call, or its negative errno. */
#define OSF_RESULT(type, call)                                                                     \
    do {                                                                                           \
        type osf_rc;                                                                               \
                                                                                                   \
        do {                                                                                       \
            osf_rc = skua__fault_hit(SKUA__FAULT_SYSCALL);                                         \
            if (osf_rc == 0 && (osf_rc = (call)) == -1)                                            \
                osf_rc = -errno;                                                                   \
        } while (osf_rc == -EINTR);                                                                \
        return osf_rc;                                                                             \
    } while (0)

/* ---- open files ------------------------------------------------------------------------------ */

static int osf_open_flags(unsigned flags)
{
    int access =
        flags & SKUA__OPEN_WRITE ? (flags & SKUA__OPEN_READ ? O_RDWR : O_WRONLY) : O_RDONLY;

    access |= flags & SKUA__OPEN_APPEND ? O_APPEND : 0;
    access |= flags & SKUA__OPEN_TRUNCATE ? O_TRUNC : 0;
    access |= flags & SKUA__OPEN_CREATE ? O_CREAT : 0;
    access |= flags & SKUA__OPEN_NEW ? O_CREAT | O_EXCL : 0;
    access |= flags & SKUA__OPEN_DIRECT ? O_DIRECT : 0;
    access |= flags & SKUA__OPEN_NO_FOLLOW ? O_NOFOLLOW : 0;
    access |= flags & SKUA__OPEN_SYNC ? O_DSYNC : 0;
    access |= flags & SKUA__OPEN_DIRECTORY ? O_DIRECTORY : 0;
    access |= flags & SKUA__OPEN_NAMELESS ? O_TMPFILE : 0;
    return access | O_CLOEXEC | O_NOCTTY;
}

int skua__os_file_open(int dir, const char *path, unsigned flags, uint32_t mode)
{
    OSF_RESULT(int, openat(dir, path, osf_open_flags(flags), (mode_t)mode));
}

int skua__os_file_close(int fd)
{
    int rc = skua__os_close(fd);
    int fault = skua__fault_hit(SKUA__FAULT_SYSCALL);

    return fault != 0 && fault != -EINTR ? fault : rc;
}

/* In tests: the first half of the first buffer, instead of all of them. */
static const struct iovec *osf_short(const struct iovec *iov, int *count, struct iovec *part)
{
    if (skua__fault_hit(SKUA__FAULT_SHORT) == 0 || *count < 1)
        return iov;
    *part = *iov;
    part->iov_len = (part->iov_len + 1) / 2;
    *count = 1;
    return part;
}

ssize_t skua__os_file_readv(int fd, const struct iovec *iov, int count, int64_t offset)
{
    struct iovec part;

    iov = osf_short(iov, &count, &part);
    OSF_RESULT(ssize_t, offset == SKUA__AT_CURSOR ? readv(fd, iov, count)
                                                  : preadv(fd, iov, count, (off_t)offset));
}

ssize_t skua__os_file_readv_now(int fd, const struct iovec *iov, int count, int64_t offset)
{
    struct iovec part;

    iov = osf_short(iov, &count, &part);
    OSF_RESULT(ssize_t, syscall(SYS_preadv2, fd, iov, count, offset, 0L, OSF_NOWAIT));
}

ssize_t skua__os_file_writev(int fd, const struct iovec *iov, int count, int64_t offset)
{
    struct iovec part;

    iov = osf_short(iov, &count, &part);
    OSF_RESULT(ssize_t, offset == SKUA__AT_CURSOR ? writev(fd, iov, count)
                                                  : pwritev(fd, iov, count, (off_t)offset));
}

int64_t skua__os_file_seek(int fd, int64_t offset, int whence)
{
    OSF_RESULT(int64_t, lseek(fd, (off_t)offset, whence));
}

int skua__os_file_sync(int fd, bool data_only)
{
    OSF_RESULT(int, data_only ? fdatasync(fd) : fsync(fd));
}

int skua__os_file_truncate(int fd, int64_t size)
{
    OSF_RESULT(int, ftruncate(fd, (off_t)size));
}

int skua__os_file_allocate(int fd, unsigned flags, int64_t offset, int64_t len)
{
    int mode = flags & SKUA__ALLOCATE_KEEP_SIZE ? FALLOC_FL_KEEP_SIZE : 0;

    if (flags & SKUA__ALLOCATE_PUNCH)
        mode |= FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    OSF_RESULT(int, fallocate(fd, mode, (off_t)offset, (off_t)len));
}

int skua__os_file_advise(int fd, int64_t offset, int64_t len, int advice)
{
    static const int advices[] = {POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                  POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED};
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    return rc != 0 ? rc : -posix_fadvise(fd, (off_t)offset, (off_t)len, advices[advice]);
}

int skua__os_file_stat(int dir, const char *path, bool follow, struct statx *ret)
{
    int flags = (follow ? 0 : AT_SYMLINK_NOFOLLOW) | (path[0] == 0 ? AT_EMPTY_PATH : 0);

    OSF_RESULT(int,
               (int)syscall(SYS_statx, dir, path, flags, STATX_BASIC_STATS | STATX_BTIME, ret));
}

int skua__os_file_chmod(int fd, uint32_t mode)
{
    OSF_RESULT(int, fchmod(fd, (mode_t)mode));
}

int skua__os_file_lock(int fd, int how)
{
    int operation = how == SKUA__LOCK_SHARED      ? LOCK_SH | LOCK_NB
                    : how == SKUA__LOCK_EXCLUSIVE ? LOCK_EX | LOCK_NB
                                                  : LOCK_UN;

    OSF_RESULT(int, flock(fd, operation));
}

ssize_t skua__os_file_copy(int from, int to, size_t len)
{
    OSF_RESULT(ssize_t, copy_file_range(from, NULL, to, NULL, len, 0));
}

ssize_t skua__os_dir_read(int fd, void *buf, size_t len)
{
    OSF_RESULT(ssize_t, syscall(SYS_getdents64, fd, buf, len));
}

/* ---- names ----------------------------------------------------------------------------------- */

int skua__os_chmod(const char *path, uint32_t mode)
{
    OSF_RESULT(int, chmod(path, (mode_t)mode));
}

int skua__os_rename(const char *from, const char *to, unsigned flags)
{
    unsigned how = flags & SKUA__RENAME_NO_REPLACE ? OSF_NO_REPLACE : 0;

    how |= flags & SKUA__RENAME_EXCHANGE ? OSF_EXCHANGE : 0;
    OSF_RESULT(int, (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, how));
}

int skua__os_unlink(int dir, const char *path, bool directory)
{
    OSF_RESULT(int, unlinkat(dir, path, directory ? AT_REMOVEDIR : 0));
}

int skua__os_link(const char *from, const char *to)
{
    OSF_RESULT(int, link(from, to));
}

int skua__os_symlink(const char *target, const char *path)
{
    OSF_RESULT(int, symlink(target, path));
}

ssize_t skua__os_readlink(const char *path, char *buf, size_t len)
{
    OSF_RESULT(ssize_t, readlink(path, buf, len));
}

int skua__os_mkdir(const char *path, uint32_t mode)
{
    OSF_RESULT(int, mkdir(path, (mode_t)mode));
}

int skua__os_realpath(const char *path, char **ret)
{
    char *real;

    if (skua__fault_hit(SKUA__FAULT_MALLOC) != 0)
        return -ENOMEM;
    real = realpath(path, NULL);
    if (real == NULL)
        return -errno;
    *ret = real;
    return 0;
}

_Static_assert(AT_FDCWD == SKUA__AT_CWD, "the header's number for <fcntl.h>'s");

#undef OSF_RESULT
