/* bench_udp.c - datagrams of 64 bytes over loopback, sent and received by one thread.
 *
 * udp_single_{epoll,uring}   ns of CPU a datagram: a fiber sends 32, each by a call; another
 *                            receives them, each by a call, with the sender's address, until there
 *                            are no more, and tells the first
 * udp_many_{epoll,uring}     the same with skua_udp_send_many and skua_udp_recv_many
 * udp_{single,many}_raw      a loop over epoll, edge-triggered, with sendto and recvfrom, sendmmsg
 *                            and recvmmsg: the same system calls
 * …_of_raw                   how much of its rate it is
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skua/skua.h>

#include "meter_server.h"
#include "meter_versus.h"

enum { BURST = 32, BYTES = 64 };

_Static_assert(BURST <= SKUA_UDP_MANY, "a burst is one call");

/* ---- ours ------------------------------------------------------------------------------------ */

struct job {
    skua_runtime *runtime;
    bool many;
    uint64_t repeats;
    int64_t cpu_ns;
    skua_udp *from;
    skua_udp *to;
    skua_address address; /* of `to` */
    skua_notify arrived;
};

static void send_burst(struct job *job)
{
    static char bytes[BURST][BYTES];
    skua_udp_message messages[BURST] = {0};

    for (unsigned i = 0; !job->many && i < BURST; i++)
        meter_must(skua_udp_send_to(job->from, bytes[i], BYTES, &job->address), "send_to");
    if (!job->many)
        return;
    for (unsigned i = 0; i < BURST; i++) {
        messages[i].address = job->address;
        messages[i].buf = bytes[i];
        messages[i].len = BYTES;
    }
    if (skua_udp_send_many(job->from, messages, BURST) != BURST)
        meter_die("send_many", EIO);
}

static unsigned receive_some(struct job *job)
{
    static char bytes[BURST][BYTES];
    static skua_udp_message messages[BURST];
    skua_address from;
    ssize_t n;

    if (!job->many) {
        meter_must(skua_udp_recv_from(job->to, bytes[0], BYTES, &from), "recv_from");
        return 1;
    }
    for (unsigned i = 0; i < BURST; i++) {
        messages[i].buf = bytes[i];
        messages[i].len = BYTES;
    }
    n = skua_udp_recv_many(job->to, messages, BURST);
    meter_must(n, "recv_many");
    return (unsigned)n;
}

static int receives(void *arg)
{
    struct job *job = arg;
    uint64_t got = 0;

    while (got < job->repeats * BURST) {
        got += receive_some(job);
        if (got % BURST == 0)
            skua_notify_one(&job->arrived);
    }
    return 0;
}

static int transfer(void *arg)
{
    struct job *job = arg;
    int64_t start = meter_cpu_ns();
    skua_scope scope;

    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, receives, job), "spawn");
    for (uint64_t i = 0; i < job->repeats; i++) {
        send_burst(job);
        meter_must(skua_notified(&job->arrived), "notified");
    }
    meter_must(skua_scope_join(&scope), "join");
    job->cpu_ns = meter_cpu_ns() - start;
    return 0;
}

static int64_t work_ours(uint64_t repeats, void *arg)
{
    struct job *job = arg;

    job->repeats = repeats;
    meter_must(skua_block_on(job->runtime, transfer, job, NULL), "block_on");
    return job->cpu_ns;
}

/* False: there is no such driver here. */
static bool job_begin(struct job *job, skua_driver driver, bool many)
{
    int rc = skua_runtime_new(&job->runtime,
                              SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .driver = driver));

    if (rc == -ENOSYS || rc == -EPERM)
        return false;
    meter_must(rc, "new");
    job->many = many;
    job->arrived = (skua_notify)SKUA_NOTIFY_INIT;
    meter_must(skua_udp_bind(&job->from, "127.0.0.1:0", NULL), "bind");
    meter_must(skua_udp_bind(&job->to, "127.0.0.1:0", NULL), "bind");
    meter_must(skua_udp_local_address(job->to, &job->address), "address");
    return true;
}

static void job_end(struct job *job)
{
    meter_must(skua_udp_close(job->from), "close");
    meter_must(skua_udp_close(job->to), "close");
    meter_must(skua_runtime_free(job->runtime), "free");
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct raw {
    bool many;
    int epoll;
    int from;
    int to;
    struct sockaddr_in address;
};

static void raw_send(const struct raw *raw)
{
    static char bytes[BURST][BYTES];
    struct mmsghdr messages[BURST] = {0};
    struct iovec buffers[BURST];
    struct sockaddr_in to = raw->address;

    for (unsigned i = 0; i < BURST; i++) {
        if (!raw->many && sendto(raw->from, bytes[i], BYTES, MSG_NOSIGNAL, (struct sockaddr *)&to,
                                 sizeof to) != BYTES)
            meter_die("sendto", errno);
        buffers[i] = (struct iovec){.iov_base = bytes[i], .iov_len = BYTES};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &buffers[i], .msg_iovlen = 1};
    }
    if (raw->many && sendmmsg(raw->from, messages, BURST, MSG_NOSIGNAL) != BURST)
        meter_die("sendmmsg", errno);
}

/* How many there were: one, or some; 0: no more. */
static unsigned raw_receive(const struct raw *raw)
{
    static char bytes[BURST][BYTES];
    struct mmsghdr messages[BURST] = {0};
    struct iovec buffers[BURST];
    struct sockaddr_storage from[BURST];
    socklen_t len = sizeof from[0];
    ssize_t n;

    if (!raw->many) {
        n = recvfrom(raw->to, bytes[0], BYTES, MSG_TRUNC, (struct sockaddr *)&from[0], &len);
        if (n != BYTES && (n >= 0 || errno != EAGAIN))
            meter_die("recvfrom", errno);
        return n == BYTES;
    }
    for (unsigned i = 0; i < BURST; i++) {
        buffers[i] = (struct iovec){.iov_base = bytes[i], .iov_len = BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &buffers[i],
                                              .msg_iovlen = 1};
    }
    n = recvmmsg(raw->to, messages, BURST, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN)
        meter_die("recvmmsg", errno);
    return n < 0 ? 0 : (unsigned)n;
}

static int64_t work_raw(uint64_t repeats, void *arg)
{
    const struct raw *raw = arg;
    int64_t start = meter_cpu_ns();

    for (uint64_t i = 0; i < repeats; i++) {
        unsigned got = 0;

        raw_send(raw);
        while (got < BURST) {
            struct epoll_event event;
            unsigned some;

            if (epoll_wait(raw->epoll, &event, 1, -1) < 0)
                meter_die("epoll_wait", errno);
            while ((some = raw_receive(raw)) > 0)
                got += some;
        }
    }
    return meter_cpu_ns() - start;
}

static int raw_socket(struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof *address) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &len) != 0)
        meter_die("socket", errno);
    return fd;
}

static void raw_begin(struct raw *raw, bool many)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};

    raw->many = many;
    raw->epoll = epoll_create1(EPOLL_CLOEXEC);
    raw->from = raw_socket(&raw->address);
    raw->to = raw_socket(&raw->address);
    if (raw->epoll < 0 || epoll_ctl(raw->epoll, EPOLL_CTL_ADD, raw->to, &event) != 0)
        meter_die("epoll", errno);
}

static void raw_end(const struct raw *raw)
{
    close(raw->epoll);
    close(raw->from);
    close(raw->to);
}

/* ---- running --------------------------------------------------------------------------------- */

#define NAMES(way)                                                                                 \
    {                                                                                              \
        "udp_" way "_raw", "udp_" way "_epoll", "udp_" way "_uring", "udp_" way "_epoll_of_raw",   \
            "udp_" way "_uring_of_raw"                                                             \
    }

static void run(struct meter_bench *bench, const char *const *names, bool many)
{
    static struct job jobs[2];
    static struct raw raw;
    struct meter_rival rivals[] = {{names[0], work_raw, &raw},
                                   {names[1], work_ours, &jobs[0]},
                                   {names[2], work_ours, &jobs[1]}};
    struct meter_ratio ratios[] = {{names[3], 0, 1}, {names[4], 0, 2}};
    unsigned drivers = 1;

    raw_begin(&raw, many);
    (void)job_begin(&jobs[0], SKUA_DRIVER_EPOLL, many);
    if (job_begin(&jobs[1], SKUA_DRIVER_IO_URING, many))
        drivers++;
    meter_versus_run(bench, BURST, rivals, 1 + drivers, ratios, drivers);
    while (drivers > 0)
        job_end(&jobs[--drivers]);
    raw_end(&raw);
}

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    static const char *const single[] = NAMES("single");
    static const char *const many[] = NAMES("many");

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    run(&bench, single, false);
    run(&bench, many, true);
    return meter_bench_end(&bench);
}
