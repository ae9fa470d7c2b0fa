/* meter_server.c - see meter_server.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "meter_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "meter_clock.h"

void meter_die(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

int meter_files_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        meter_die("getrlimit", errno);
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        meter_die("setrlimit", errno);
    return files.rlim_cur > 1 << 20 ? 1 << 20 : (int)files.rlim_cur;
}

void meter_pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        meter_die("sched_setaffinity", errno);
}

int meter_listen(int port, int flags)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof addr;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        meter_die("listen", errno);
    printf("port %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

int meter_stop_fd(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        meter_die("signalfd", errno);
    return fd;
}

void meter_server_end(uint64_t echoes, uint64_t bytes)
{
    struct rusage use;
    int64_t ticks_ns;

    /* rusage splits user from system but the sum is the scheduler's clock, cut to microseconds;
     * the clock itself is the finer of the two, so it is what is printed. */
    getrusage(RUSAGE_SELF, &use);
    ticks_ns = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * INT64_C(1000000000) +
               (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * INT64_C(1000);
    if (meter_cpu_ns() > ticks_ns)
        ticks_ns = meter_cpu_ns();
    printf("cpu_ns %" PRId64 " echoes %" PRIu64 " bytes %" PRIu64 "\n", ticks_ns, echoes, bytes);
    fflush(stdout);
}
