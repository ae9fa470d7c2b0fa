/* os_message.c - sockets: messages with addresses and control data, in batches; names in files.
 *
 * As os_fd.c: each call is one system call with its errno turned into a negative return, restarted
 * when a signal interrupted it, and with a fault point in front. None of them waits.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

/* The value of a system call, or its negative errno. */
#define MESSAGE_RESULT(type, call)                                                                 \
    do {                                                                                           \
        type message_rc = skua__fault_hit(SKUA__FAULT_SYSCALL);                                    \
                                                                                                   \
        if (message_rc != 0)                                                                       \
            return message_rc;                                                                     \
        do {                                                                                       \
            message_rc = (call);                                                                   \
        } while (message_rc == -1 && errno == EINTR);                                              \
        return message_rc == -1 ? -errno : message_rc;                                             \
    } while (0)

ssize_t skua__os_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                          unsigned *addr_len)
{
    MESSAGE_RESULT(ssize_t, recvfrom(fd, buf, len, flags | MSG_DONTWAIT, addr, addr_len));
}

ssize_t skua__os_sendto(int fd, const void *buf, size_t len, const struct sockaddr *addr,
                        unsigned addr_len)
{
    MESSAGE_RESULT(ssize_t, sendto(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL, addr, addr_len));
}

ssize_t skua__os_recvmsg(int fd, struct msghdr *message)
{
    MESSAGE_RESULT(ssize_t, recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
}

/* musl copies control data, to set the padding to zero, and takes 1,024 bytes of it: eight fewer
 * than the most descriptors of a message need. Here the padding is zero already (unix_fds.c). */
static ssize_t message_send(int fd, const struct msghdr *message, int flags)
{
#if defined(__GLIBC__) /* which the sanitizers know */
    return sendmsg(fd, message, flags);
#else
    return syscall(SYS_sendmsg, fd, message, flags);
#endif
}

ssize_t skua__os_sendmsg(int fd, const struct msghdr *message)
{
    MESSAGE_RESULT(ssize_t, message_send(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int skua__os_recvmmsg(int fd, struct mmsghdr *messages, unsigned count)
{
    MESSAGE_RESULT(int, recvmmsg(fd, messages, count, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL));
}

int skua__os_sendmmsg(int fd, struct mmsghdr *messages, unsigned count)
{
    MESSAGE_RESULT(int, sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int skua__os_socketpair(int family, int type, int fds[2])
{
    MESSAGE_RESULT(int, socketpair(family, type | SOCK_CLOEXEC, 0, fds));
}

/* ---- names of sockets in the file system ----------------------------------------------------- */

int skua__os_socket_file(const char *path, uint64_t id[2])
{
    struct stat stat;
    int rc = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    if (lstat(path, &stat) == -1)
        return -errno;
    id[0] = stat.st_dev;
    id[1] = stat.st_ino;
    return S_ISSOCK(stat.st_mode) ? 1 : 0;
}

int skua__os_fchmod(int fd, unsigned mode)
{
    MESSAGE_RESULT(int, fchmod(fd, mode));
}

#undef MESSAGE_RESULT
