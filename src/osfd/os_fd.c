/* os_fd.c - descriptors: eventfd, sockets, poll.
 *
 * Thin: each call is one system call with its errno turned into a negative return, restarted when
 * a signal interrupted it before it did anything, and with a fault point in front.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

/* The value of a system call, or its negative errno. */
#define FD_RESULT(call)                                                                            \
    do {                                                                                           \
        long fd_rc = skua__fault_hit(SKUA__FAULT_SYSCALL);                                         \
                                                                                                   \
        if (fd_rc != 0)                                                                            \
            return (int)fd_rc;                                                                     \
        do {                                                                                       \
            fd_rc = (call);                                                                        \
        } while (fd_rc == -1 && errno == EINTR);                                                   \
        return fd_rc == -1 ? -errno : (int)fd_rc;                                                  \
    } while (0)

int skua__os_close(int fd)
{
    /* Never restarted: on Linux the descriptor is gone even when close was interrupted. */
    return close(fd) == -1 && errno != EINTR ? -errno : 0;
}

void skua__os_open_standard(void)
{
    int fd;

    do { /* the lowest that is free */
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

int skua__os_open_append(const char *path)
{
    FD_RESULT(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
}

ssize_t skua__os_write_all(int fd, const void *buf, size_t len)
{
    const char *from = buf;
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(fd, from + done, len - done);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -errno;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int skua__os_eventfd(void)
{
    FD_RESULT(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
}

void skua__os_eventfd_add(int fd)
{
    uint64_t one = 1;

    /* EAGAIN means the counter is full: it is readable all the same. */
    while (write(fd, &one, sizeof one) == -1 && errno == EINTR)
        continue;
}

void skua__os_eventfd_take(int fd)
{
    uint64_t count;

    while (read(fd, &count, sizeof count) == -1 && errno == EINTR)
        continue;
}

int skua__os_set_nonblocking(int fd, bool on)
{
    FD_RESULT(fcntl(fd, F_SETFL, on ? O_RDWR | O_NONBLOCK : O_RDWR));
}

int skua__os_socket(int family, int type, int protocol)
{
    FD_RESULT(socket(family, type | SOCK_CLOEXEC, protocol));
}

int skua__os_bind(int fd, const struct sockaddr *addr, unsigned len)
{
    FD_RESULT(bind(fd, addr, len));
}

int skua__os_listen(int fd, int backlog)
{
    FD_RESULT(listen(fd, backlog));
}

int skua__os_accept(int fd, struct sockaddr *addr, unsigned *len)
{
    FD_RESULT(accept4(fd, addr, len, SOCK_CLOEXEC));
}

int skua__os_connect(int fd, const struct sockaddr *addr, unsigned len)
{
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    /* An interrupted connect goes on in the kernel, as one that is in progress does. */
    if (connect(fd, addr, len) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

int skua__os_shutdown(int fd, int how)
{
    FD_RESULT(shutdown(fd, how));
}

int skua__os_setsockopt(int fd, int level, int name, const void *value, unsigned len)
{
    FD_RESULT(setsockopt(fd, level, name, value, len));
}

int skua__os_getsockopt(int fd, int level, int name, void *value, unsigned *len)
{
    FD_RESULT(getsockopt(fd, level, name, value, len));
}

int skua__os_getsockname(int fd, struct sockaddr *addr, unsigned *len)
{
    FD_RESULT(getsockname(fd, addr, len));
}

int skua__os_getpeername(int fd, struct sockaddr *addr, unsigned *len)
{
    FD_RESULT(getpeername(fd, addr, len));
}

/* The four that move data are on the hot path: no fault point, and their count may exceed int. */
ssize_t skua__os_recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t n;

    do {
        n = recv(fd, buf, len, flags | MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    return n == -1 ? -errno : n;
}

ssize_t skua__os_send(int fd, const void *buf, size_t len, int flags)
{
    ssize_t n;

    do {
        n = send(fd, buf, len, flags | MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    return n == -1 ? -errno : n;
}

ssize_t skua__os_readv(int fd, const struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;

    do {
        n = recvmsg(fd, &msg, MSG_DONTWAIT);
    } while (n == -1 && errno == EINTR);
    return n == -1 ? -errno : n;
}

ssize_t skua__os_sendv(int fd, const struct iovec *iov, int count)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t n;

    do {
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n == -1 && errno == EINTR);
    return n == -1 ? -errno : n;
}

int skua__os_poll(int fd, short events, int64_t deadline)
{
    struct pollfd wait = {.fd = fd, .events = events};
    struct timespec left;
    int rc;

    do {
        rc = ppoll(&wait, 1, skua__os_time_left(deadline, &left), NULL);
    } while (rc == -1 && errno == EINTR);
    if (rc == -1)
        return -errno;
    return rc == 0 ? -ETIMEDOUT : 0;
}

#undef FD_RESULT
