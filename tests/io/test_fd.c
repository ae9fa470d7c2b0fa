/* drivers: both */
/* test_fd.c - descriptors of every kind: adopted, waited for, read, written, given back.
 *
 * Specifies fd.h: what is adopted and what is refused, alike on both drivers; that reads and writes
 * are the system's own; flags; readiness that is true each time; futures in tasks and selects; and
 * that no descriptor is left over.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/part.h"
#include "../lib/usage.h"

static skua_fd *adopt(int number)
{
    skua_fd *fd = NULL;

    MUST(number >= 0);
    MUST(skua_fd_adopt(&fd, number, 0) == 0);
    return fd;
}

/* A pipe: both ends adopted. */
static void adopt_pipe(skua_fd **reader, skua_fd **writer)
{
    int ends[2];

    MUST(pipe(ends) == 0);
    *reader = adopt(ends[0]);
    *writer = adopt(ends[1]);
}

static skua_task *start(skua_fiber_fn fn, void *arg)
{
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, fn, arg, .task = &task) == 0);
    return task;
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- what is adopted, and what is not -------------------------------------------------------- */

TEST_WAITING(fd_refuses_what_cannot_be_waited_for)
{
    static const struct {
        const char *path;
        int flags;
        int wanted;
    } refused[] = {
        {"/proc/self/exe", O_RDONLY, -EPERM},
        {"/", O_RDONLY | O_DIRECTORY, -EPERM},
        {"/dev/null", O_RDWR, -EPERM},
        {"/dev/zero", O_RDONLY, -EPERM},
        {"/", O_PATH, -EBADF},
    };
    skua_fd *untouched = (skua_fd *)8, *fd = untouched;
    int ends[2];
    int fds = test_fd_count();

    for (size_t i = 0; i < TEST_LEN(refused); i++) {
        int number = open(refused[i].path, refused[i].flags);
        int before;

        MUST(number >= 0);
        before = fcntl(number, F_GETFL);
        CHECK_EQ(skua_fd_adopt(&fd, number, 0), refused[i].wanted);
        CHECK_EQ(fcntl(number, F_GETFL), before); /* still the caller's, as it was */
        CHECK_EQ(fcntl(number, F_GETFD), 0);
        CHECK_EQ(close(number), 0);
    }
    CHECK_EQ(skua_fd_adopt(&fd, -1, 0), -EBADF);
    CHECK_EQ(skua_fd_adopt(&fd, 100000, 0), -EBADF);
    MUST(pipe(ends) == 0);
    CHECK_EQ(skua_fd_adopt(&fd, ends[0], 1), -EINVAL);
    CHECK(fd == untouched);
    CHECK_EQ(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(test_fd_count(), fds);
}

TEST_WAITING(fd_flags_are_set_and_given_back)
{
    static const int before[] = {0, O_NONBLOCK, O_CLOEXEC, O_NONBLOCK | O_CLOEXEC};
    int ends[2];

    for (size_t i = 0; i < TEST_LEN(before); i++) {
        int flags, exec;
        skua_fd *fd;

        MUST(pipe2(ends, before[i]) == 0);
        flags = fcntl(ends[0], F_GETFL);
        exec = fcntl(ends[0], F_GETFD);
        fd = adopt(ends[0]);
        CHECK_EQ(skua_fd_number(fd), ends[0]);
        CHECK(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
        CHECK_EQ(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
        CHECK_EQ(skua_fd_release(fd), ends[0]);
        CHECK_EQ(fcntl(ends[0], F_GETFL), flags);
        CHECK_EQ(fcntl(ends[0], F_GETFD), exec);
        CHECK_EQ(skua_fd_release(fd), SKUA_ECLOSED);
        CHECK_EQ(skua_fd_number(fd), SKUA_ECLOSED);
        CHECK_EQ(skua_fd_close(fd), -EBADF);
        close(ends[0]);
        close(ends[1]);
    }
    CHECK_EQ(skua_fd_close(NULL), 0);
}

/* ---- every kind ------------------------------------------------------------------------------ */

TEST_WAITING(fd_eventfd)
{
    int number = eventfd(0, 0);
    skua_fd *fd = adopt(number);
    uint64_t count = 0;

    CHECK_EQ(skua_fd_try_read(fd, &count, 8), -EAGAIN);
    CHECK_EQ(skua_fd_read_until(fd, &count, 8, skua_now() + MS(5)), -ETIMEDOUT);
    count = 7;
    CHECK_EQ(skua_fd_write(fd, &count, 8), 8);
    count = 0;
    CHECK_EQ(skua_fd_readable(fd), 0);
    CHECK_EQ(skua_fd_read(fd, &count, 4), -EINVAL); /* the system's own answer */
    CHECK_EQ(skua_fd_read(fd, &count, 100), 8);
    CHECK_EQ(count, 7);
    count = UINT64_MAX - 1; /* full */
    CHECK_EQ(skua_fd_write(fd, &count, 8), 8);
    count = 1;
    CHECK_EQ(skua_fd_try_write(fd, &count, 8), -EAGAIN);
    CHECK_EQ(skua_fd_write_until(fd, &count, 8, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_read(fd, &count, 8), 8);
    CHECK_EQ(skua_fd_write(fd, &count, 8), 8);
    CHECK_EQ(skua_fd_close(fd), 0);
}

TEST_WAITING(fd_timerfd)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = MS(10)}, .it_interval = {.tv_nsec = MS(5)}};
    int number = timerfd_create(CLOCK_MONOTONIC, 0);
    skua_fd *fd = adopt(number);
    int64_t begin = skua_now();
    uint64_t ticks;

    MUST(timerfd_settime(number, 0, &soon, NULL) == 0);
    CHECK_EQ(skua_fd_read(fd, &ticks, sizeof ticks), 8);
    CHECK_RANGE(skua_now() - begin, MS(9), MS(10) + TEST_LATE);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_fd_read(fd, &ticks, sizeof ticks), 8);
    CHECK_EQ(skua_fd_write(fd, &ticks, 8), -EINVAL);
    CHECK_EQ(skua_fd_close(fd), 0);
}

/* A process that ends is told by its pidfd, which is never read. */
TEST_WAITING(fd_pidfd)
{
    struct test_child child;
    skua_fd *fd;

    test_child_start(&child, "forever", NULL);
    fd = adopt((int)syscall(SYS_pidfd_open, child.pid, 0));
    CHECK_EQ(skua_fd_readable_until(fd, skua_now() + MS(10)), -ETIMEDOUT);
    test_child_signal(&child, SIGKILL);
    CHECK_EQ(skua_fd_readable_until(fd, skua_now() + TEST_LATE), 0);
    CHECK_EQ(skua_fd_close(fd), 0);
    CHECK_EQ(test_child_end(&child), SIGKILL);
}

TEST_WAITING(fd_signalfd)
{
    struct signalfd_siginfo info;
    sigset_t set;
    skua_fd *fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    fd = adopt(signalfd(-1, &set, 0));
    CHECK_EQ(skua_fd_read_until(fd, &info, sizeof info, skua_now() + MS(5)), -ETIMEDOUT);
    pthread_kill(pthread_self(), SIGUSR2);
    CHECK_EQ(skua_fd_try_read(fd, &info, sizeof info), sizeof info); /* the calling thread's */
    CHECK_EQ(info.ssi_signo, SIGUSR2);
    CHECK_EQ(skua_fd_close(fd), 0);
}

/* A set that itself waits for others: what a foreign event loop gives out. */
TEST_WAITING(fd_epoll_set)
{
    int set = epoll_create1(0), bell = eventfd(0, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = bell};
    uint64_t one = 1;
    skua_fd *fd = adopt(set);

    MUST(epoll_ctl(set, EPOLL_CTL_ADD, bell, &event) == 0);
    CHECK_EQ(skua_fd_readable_until(fd, skua_now() + MS(5)), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(write(bell, &one, 8), 8);
        CHECK_EQ(skua_fd_readable(fd), 0);
        CHECK_EQ(epoll_wait(set, &event, 1, 0), 1);
        CHECK_EQ(read(bell, &one, 8), 8);
        CHECK_EQ(skua_fd_readable_until(fd, skua_now() + MS(2)), -ETIMEDOUT);
    }
    CHECK_EQ(skua_fd_close(fd), 0);
    close(bell);
}

/* A datagram at a time: a short one says nothing about the next. */
TEST_WAITING(fd_datagrams)
{
    int ends[2];
    skua_fd *a, *b;
    char buf[100];

    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
    a = adopt(ends[0]);
    b = adopt(ends[1]);
    CHECK_EQ(skua_fd_write(a, "one", 3), 3);
    CHECK_EQ(skua_fd_write(a, "four", 4), 4);
    CHECK_EQ(skua_fd_write(a, "seven", 5), 5);
    CHECK_EQ(skua_fd_read(b, buf, sizeof buf), 3);
    CHECK_EQ(skua_fd_read(b, buf, sizeof buf), 4);
    CHECK_EQ(skua_fd_read(b, buf, sizeof buf), 5);
    CHECK_EQ(skua_fd_read_until(b, buf, sizeof buf, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_close(b), 0);
    CHECK_EQ(skua_fd_write(a, "x", 1), -ECONNREFUSED);
    CHECK_EQ(skua_fd_close(a), 0);
}

TEST_WAITING(fd_packet_pipe)
{
    int ends[2];
    skua_fd *reader, *writer;
    char buf[100];

    MUST(pipe2(ends, O_DIRECT) == 0);
    reader = adopt(ends[0]);
    writer = adopt(ends[1]);
    CHECK_EQ(skua_fd_write(writer, "one", 3), 3);
    CHECK_EQ(skua_fd_write(writer, "four", 4), 4);
    CHECK_EQ(skua_fd_read(reader, buf, sizeof buf), 3);
    CHECK_EQ(skua_fd_read(reader, buf, sizeof buf), 4);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(skua_fd_read(reader, buf, sizeof buf), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
}

/* ---- reading and writing --------------------------------------------------------------------- */

TEST_WAITING(fd_ends_that_are_not_open)
{
    skua_fd *reader, *writer;
    char byte = 'x';

    adopt_pipe(&reader, &writer);
    CHECK_EQ(skua_fd_write(reader, &byte, 1), SKUA_EUSAGE);
    CHECK_EQ(skua_fd_read(writer, &byte, 1), SKUA_EUSAGE);
    CHECK_EQ(skua_fd_try_read(writer, &byte, 1), SKUA_EUSAGE);
    CHECK_EQ(skua_fd_read(reader, &byte, 0), 0);
    CHECK_EQ(skua_fd_write(writer, NULL, 0), 0);
    CHECK_EQ(skua_fd_write_all(writer, NULL, 0), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_read(reader, &byte, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_read(reader, &byte, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_readable(reader), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_number(reader), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_close(reader), -EBADF);
    CHECK_EQ(skua_fd_write(writer, &byte, 1), -EPIPE); /* and no SIGPIPE */
    CHECK_EQ(skua_fd_writable(writer), 0);             /* it will not block */
    CHECK_EQ(skua_fd_close(writer), 0);
}

TEST_WAITING(fd_vectors)
{
    skua_fd *reader, *writer;
    char in[2][4] = {"", ""};
    struct iovec out[] = {{"abc", 3}, {"", 0}, {"defg", 4}}, room[] = {{in[0], 4}, {in[1], 4}};
    struct iovec nothing[] = {{NULL, 0}, {NULL, 0}};

    adopt_pipe(&reader, &writer);
    CHECK_EQ(skua_fd_writev(writer, out, 3), 7);
    CHECK_EQ(skua_fd_readv(reader, room, 2), 7);
    CHECK(memcmp(in[0], "abcd", 4) == 0 && memcmp(in[1], "efg", 3) == 0);
    CHECK_EQ(skua_fd_readv(reader, nothing, 2), 0);
    CHECK_EQ(skua_fd_readv(reader, NULL, 0), 0);
    CHECK_EQ(skua_fd_readv(reader, NULL, 1), -EINVAL);
    CHECK_EQ(skua_fd_readv(reader, room, -1), -EINVAL);
    CHECK_EQ(skua_fd_writev(writer, out, 1025), -EINVAL);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_writev(writer, out, 3), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);
}

enum { POUR = 1000000 };

static int pours(void *arg)
{
    char *buf = malloc(POUR);

    for (int i = 0; i < POUR; i++)
        buf[i] = (char)(i * 7 >> 3);
    CHECK_EQ(skua_fd_write_all(arg, buf, POUR), POUR);
    free(buf);
    return skua_fd_close(arg);
}

/* More than the pipe holds: written in parts, read in odd ones. */
TEST_FIBER(fd_write_all_goes_through_a_full_pipe)
{
    skua_fd *reader, *writer;
    skua_task *task;
    char buf[777];
    size_t seen = 0;
    ssize_t n;

    adopt_pipe(&reader, &writer);
    task = start(pours, writer);
    while ((n = skua_fd_read(reader, buf, sizeof buf)) > 0)
        for (ssize_t i = 0; i < n; i++, seen++)
            if (buf[i] != (char)(seen * 7 >> 3) && !CHECK(false))
                return -1;
    CHECK_EQ(n, 0);
    CHECK_EQ(seen, POUR);
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    return 0;
}

/* Who reads by himself never says that there is nothing left: the wait asks the kernel. */
TEST_WAITING(fd_readable_is_true_each_time)
{
    skua_fd *reader, *writer;
    char buf[8];

    adopt_pipe(&reader, &writer);
    CHECK_EQ(skua_fd_readable_until(reader, skua_now() + MS(2)), -ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_fd_write(writer, "abcd", 4), 4);
        CHECK_EQ(skua_fd_readable(reader), 0);
        CHECK_EQ(skua_fd_readable(reader), 0);
        CHECK_EQ(read(skua_fd_number(reader), buf, 2), 2);
        CHECK_EQ(skua_fd_readable(reader), 0);
        CHECK_EQ(read(skua_fd_number(reader), buf, 2), 2);
        CHECK_EQ(skua_fd_readable_until(reader, skua_now() + MS(2)), -ETIMEDOUT);
    }
    CHECK_EQ(skua_fd_writable(writer), 0);
    while (write(skua_fd_number(writer), buf, sizeof buf) > 0)
        continue;
    CHECK_EQ(skua_fd_writable_until(writer, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_writable(writer), 0); /* a write will fail at once */
    CHECK_EQ(skua_fd_close(writer), 0);
}

/* ---- the end --------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(fd_refuses_what_cannot_be_waited_for),
        TEST_WAITING_ENTRIES(fd_flags_are_set_and_given_back),
        TEST_WAITING_ENTRIES(fd_eventfd),
        TEST_WAITING_ENTRIES(fd_timerfd),
        TEST_WAITING_ENTRIES(fd_pidfd),
        TEST_WAITING_ENTRIES(fd_signalfd),
        TEST_WAITING_ENTRIES(fd_epoll_set),
        TEST_WAITING_ENTRIES(fd_datagrams),
        TEST_WAITING_ENTRIES(fd_packet_pipe),
        TEST_WAITING_ENTRIES(fd_ends_that_are_not_open),
        TEST_WAITING_ENTRIES(fd_vectors),
        cmocka_unit_test(fd_write_all_goes_through_a_full_pipe),
        TEST_WAITING_ENTRIES(fd_readable_is_true_each_time),
    };

    if (argc == 3)
        return skua_sleep(20 * SKUA_SECOND); /* the child of fd_pidfd */
    (void)argv;
    return TEST_MAIN(tests);
}
