/* os_file.c - descriptors of any kind: what one is, its flags, reading, writing, pipes, inotify.
 *
 * SIGPIPE    a write to a pipe that nobody reads raises it, and there is no MSG_NOSIGNAL for pipes.
 *            Linux 6.18 has RWF_NOSIGNAL for pwritev2. Before that: the signal is blocked, the one
 *            that the write raised is taken out of what is pending, and the mask is as before. It
 *            is raised for the writing thread, so that no other one may take it meanwhile. What was
 *            pending before stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#define FILE_NOSIGNAL 0x100 /* RWF_NOSIGNAL, which older headers do not have */
#define FILE_PTMX_MAJOR 5
#define FILE_PTMX_MINOR 2

_Atomic bool skua__os_no_nosignal;

/* The value of a call, or its negative errno; begun again when a signal interrupted it. */
#define FILE_CALL(rc, call)                                                                        \
    do {                                                                                           \
        (rc) = skua__fault_hit(SKUA__FAULT_SYSCALL);                                               \
        if ((rc) != 0)                                                                             \
            break;                                                                                 \
        do {                                                                                       \
            (rc) = (call);                                                                         \
        } while ((rc) == -1 && errno == EINTR);                                                    \
        if ((rc) == -1)                                                                            \
            (rc) = -errno;                                                                         \
    } while (0)

/* ---- what it is ------------------------------------------------------------------------------ */

int skua__os_file_kind(int fd)
{
    struct termios termios;
    struct stat stat;
    int rc;

    FILE_CALL(rc, fstat(fd, &stat));
    if (rc != 0)
        return rc;
    if (S_ISSOCK(stat.st_mode))
        return SKUA__FILE_SOCKET;
    if (S_ISFIFO(stat.st_mode))
        return SKUA__FILE_PIPE;
    /* The name of a terminal's master makes a new terminal. */
    if (S_ISCHR(stat.st_mode) && stat.st_rdev != makedev(FILE_PTMX_MAJOR, FILE_PTMX_MINOR) &&
        tcgetattr(fd, &termios) == 0)
        return SKUA__FILE_TERMINAL;
    return SKUA__FILE_OTHER;
}

int skua__os_path_kind(const char *path)
{
    struct stat status;
    int rc;

    FILE_CALL(rc, stat(path, &status));
    if (rc != 0)
        return rc;
    return S_ISFIFO(status.st_mode) ? SKUA__FILE_PIPE : SKUA__FILE_OTHER;
}

int skua__os_file_access(int fd)
{
    int rc;

    FILE_CALL(rc, fcntl(fd, F_GETFL));
    if (rc < 0)
        return rc;
    if (rc & O_PATH)
        return -EBADF;
    rc &= O_ACCMODE;
    return (rc != O_WRONLY ? SKUA__FILE_READ : 0) | (rc != O_RDONLY ? SKUA__FILE_WRITE : 0);
}

int skua__os_pollable(int fd)
{
    int set = skua__os_epoll_open();
    int rc;

    if (set < 0)
        return set;
    rc = skua__os_epoll_ctl(set, EPOLL_CTL_ADD, fd, EPOLLIN, NULL);
    skua__os_close(set);
    return rc;
}

static int file_change(int fd, int get, int set, int bit, bool on)
{
    int flags;
    int rc;

    FILE_CALL(flags, fcntl(fd, get));
    if (flags < 0 || (flags & bit) == (on ? bit : 0))
        return flags < 0 ? flags : on;
    FILE_CALL(rc, fcntl(fd, set, flags ^ bit));
    return rc < 0 ? rc : !on;
}

int skua__os_change_nonblocking(int fd, bool on)
{
    return file_change(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int skua__os_change_cloexec(int fd, bool on)
{
    return file_change(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

/* ---- reading and writing --------------------------------------------------------------------- */

ssize_t skua__os_plain_readv(int fd, const struct iovec *iov, int count)
{
    ssize_t n;

    FILE_CALL(n, readv(fd, iov, count));
    return n;
}

ssize_t skua__os_plain_writev(int fd, const struct iovec *iov, int count)
{
    ssize_t n;

    FILE_CALL(n, writev(fd, iov, count));
    return n;
}

/* SIGPIPE kept off by hand: what the thread had before. */
struct file_quiet {
    sigset_t pipe;
    sigset_t before;
    sigset_t pending;
};

static void file_quiet_begin(struct file_quiet *quiet)
{
    sigemptyset(&quiet->pipe);
    sigaddset(&quiet->pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &quiet->pipe, &quiet->before);
    sigpending(&quiet->pending);
}

static ssize_t file_quiet_end(const struct file_quiet *quiet, ssize_t n)
{
    static const struct timespec now = {0, 0};

    if (n == -EPIPE && !sigismember(&quiet->pending, SIGPIPE))
        while (sigtimedwait(&quiet->pipe, NULL, &now) == -1 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    return n;
}

static ssize_t file_write_masked(int fd, const struct iovec *iov, int count)
{
    struct file_quiet quiet;

    file_quiet_begin(&quiet);
    return file_quiet_end(&quiet, skua__os_plain_writev(fd, iov, count));
}

ssize_t skua__os_pipe_writev(int fd, const struct iovec *iov, int count)
{
    ssize_t n;

    /* Relaxed: a hint; every value leads to a right write. */
    if (skua__load_relaxed(&skua__os_no_nosignal))
        return file_write_masked(fd, iov, count);
    /* -1 twice: the position is the file's own. */
    FILE_CALL(n, syscall(SYS_pwritev2, fd, iov, count, -1L, -1L, FILE_NOSIGNAL));
    if (n != -EOPNOTSUPP && n != -ENOSYS && n != -EPERM) /* not known, or forbidden */
        return n;
    skua__store_relaxed(&skua__os_no_nosignal, true);
    return file_write_masked(fd, iov, count);
}

ssize_t skua__os_splice(int from, int to, size_t len)
{
    struct file_quiet quiet;
    ssize_t n;

    file_quiet_begin(&quiet);
    FILE_CALL(n, splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    return file_quiet_end(&quiet, n);
}

ssize_t skua__os_sendfile(int from, int to, int64_t *offset, size_t len)
{
    struct file_quiet quiet;
    off_t at = *offset;
    ssize_t n;

    file_quiet_begin(&quiet);
    FILE_CALL(n, sendfile(to, from, &at, len));
    *offset = at;
    return file_quiet_end(&quiet, n);
}

int skua__os_poll_bell(int fd, short events, int bell, int64_t deadline)
{
    struct pollfd waits[] = {{.fd = fd, .events = events}, {.fd = bell, .events = POLLIN}};
    struct timespec left;
    int rc;

    do {
        rc = ppoll(waits, 2, skua__os_time_left(deadline, &left), NULL);
    } while (rc == -1 && errno == EINTR);
    if (rc == -1)
        return -errno;
    if (waits[1].revents != 0)
        skua__os_eventfd_take(bell);
    return rc == 0 ? -ETIMEDOUT : 0;
}

/* ---- pipes and files by name ----------------------------------------------------------------- */

int skua__os_pipe(int ret[2])
{
    int rc;

    FILE_CALL(rc, pipe2(ret, O_CLOEXEC | O_NONBLOCK));
    return rc;
}

int skua__os_pipe_capacity(int fd, int bytes)
{
    int rc;

    FILE_CALL(rc, fcntl(fd, F_SETPIPE_SZ, bytes));
    return rc;
}

int skua__os_open(const char *path, unsigned access)
{
    int mode = access == SKUA__FILE_READ    ? O_RDONLY
               : access == SKUA__FILE_WRITE ? O_WRONLY
                                            : O_RDWR;
    int rc;

    FILE_CALL(rc, open(path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    return rc;
}

int skua__os_reopen(int fd, unsigned access)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return skua__os_open(path, access);
}

int skua__os_dup(int fd)
{
    int rc;

    FILE_CALL(rc, fcntl(fd, F_DUPFD_CLOEXEC, 3));
    return rc;
}

/* ---- inotify --------------------------------------------------------------------------------- */

int skua__os_inotify(void)
{
    int rc;

    FILE_CALL(rc, inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    return rc;
}

int skua__os_inotify_add(int fd, const char *path, uint32_t mask)
{
    int rc;

    FILE_CALL(rc, inotify_add_watch(fd, path, mask));
    return rc;
}

int skua__os_inotify_remove(int fd, int id)
{
    int rc;

    FILE_CALL(rc, inotify_rm_watch(fd, id));
    return rc;
}

#undef FILE_NOSIGNAL
#undef FILE_PTMX_MAJOR
#undef FILE_PTMX_MINOR
#undef FILE_CALL
