/* os_epoll.c - epoll, with nanosecond waits where the kernel has them.
 *
 * epoll_pwait2 (Linux 5.11) takes a timespec. Without it the wait is rounded up to the next
 * millisecond: a timer is then late, never early, and never spins.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int skua__os_epoll_open(void)
{
    int fd = skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (fd != 0)
        return fd;
    fd = epoll_create1(EPOLL_CLOEXEC);
    return fd == -1 ? -errno : fd;
}

int skua__os_epoll_ctl(int epfd, int op, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};
    int rc = op == EPOLL_CTL_DEL ? 0 : skua__fault_hit(SKUA__FAULT_SYSCALL);

    if (rc != 0)
        return rc;
    return epoll_ctl(epfd, op, fd, &event) == -1 ? -errno : 0;
}

int skua__os_epoll_any(const int *fds, unsigned count)
{
    int epfd = skua__os_epoll_open();
    int rc = 0;

    if (epfd < 0)
        return epfd;
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = skua__os_epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], EPOLLIN, NULL);
    if (rc == 0)
        return epfd;
    close(epfd);
    return rc;
}

static int epoll_wait_ms(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    int64_t ms = timeout_ns == INT64_MAX ? -1 : (timeout_ns + 999999) / 1000000;
    int rc = epoll_wait(epfd, events, max, ms > INT32_MAX ? INT32_MAX : (int)ms);

    return rc == -1 ? -errno : rc;
}

int skua__os_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    static _Atomic bool no_pwait2; /* relaxed: a hint; every value leads to a right wait */
    struct timespec left = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    long rc;

    if (timeout_ns == 0 || timeout_ns == INT64_MAX || skua__load_relaxed(&no_pwait2))
        return epoll_wait_ms(epfd, events, max, timeout_ns);
    skua__os_let_signals_in();
    rc = syscall(SYS_epoll_pwait2, epfd, events, max, &left, NULL, 0);
    skua__os_let_signals_in();
    if (rc >= 0)
        return (int)rc;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    skua__store_relaxed(&no_pwait2, true);
    return epoll_wait_ms(epfd, events, max, timeout_ns);
}

int skua__os_epoll_add(int epfd, int fd, void *data)
{
    return skua__os_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, EPOLLIN, data);
}

void skua__os_epoll_remove(int epfd, int fd)
{
    (void)skua__os_epoll_ctl(epfd, EPOLL_CTL_DEL, fd, 0, NULL);
}

int skua__os_epoll_data(int epfd, void **ret, int max, int64_t timeout_ns)
{
    struct epoll_event events[32];
    int count = skua__os_epoll_wait(epfd, events, max < 32 ? max : 32, timeout_ns);

    for (int i = 0; i < count; i++)
        ret[i] = events[i].data.ptr;
    return count;
}
