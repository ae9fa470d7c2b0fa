/* bench_accept.c - TCP connections accepted and closed, over loopback.
 *
 * tcp_accepts_{epoll,uring}   ns of CPU a connection, from the first look at the listener, with 128
 *                             connections in its queue, until all are accepted and closed and the
 *                             next accept waits: an accept loop in a fiber
 * tcp_accepts_raw             the same in a loop over epoll, edge-triggered
 * …_of_raw                    how much of its rate it is
 *
 * The connections are made by the same thread before the clock is read, and their other ends closed
 * behind it: the clients are not measured, and what the kernel does for both is the same. As both
 * loops would for a server, each connection has TCP_NODELAY and does not block.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skua/skua.h>

#include "meter_server.h"
#include "meter_versus.h"

enum { BATCH = 128 };

/* ---- the clients ----------------------------------------------------------------------------- */

static int clients[BATCH];

static void clients_connect(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (unsigned i = 0; i < BATCH; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (clients[i] < 0 || connect(clients[i], (struct sockaddr *)&to, sizeof to) != 0)
            meter_die("connect", errno);
    }
}

/* By a reset, so that no port waits. */
static void clients_close(void)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    for (unsigned i = 0; i < BATCH; i++) {
        (void)setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        close(clients[i]);
    }
}

/* ---- ours ------------------------------------------------------------------------------------ */

struct job {
    skua_runtime *runtime;
    skua_listener *listener;
    unsigned port;
    uint64_t repeats;
    int64_t cpu_ns;
    skua_notify closed; /* all of a batch */
};

static int accepts(void *arg)
{
    struct job *job = arg;
    skua_tcp *conn;

    for (uint64_t i = 1; i <= job->repeats * BATCH; i++) {
        meter_must(skua_tcp_accept(job->listener, &conn), "accept");
        skua_tcp_close(conn);
        if (i % BATCH == 0)
            skua_notify_one(&job->closed);
    }
    return 0;
}

static int serve(void *arg)
{
    struct job *job = arg;
    skua_scope scope;

    job->cpu_ns = 0;
    meter_must(skua_scope_open(&scope, SKUA_COLLECT), "open");
    meter_must(skua_spawn(&scope, accepts, job), "spawn");
    meter_must(skua_yield(), "yield"); /* it waits */
    for (uint64_t i = 0; i < job->repeats; i++) {
        clients_connect(job->port);
        job->cpu_ns -= meter_cpu_ns();
        meter_must(skua_notified(&job->closed), "notified");
        job->cpu_ns += meter_cpu_ns();
        clients_close();
    }
    return skua_scope_join(&scope);
}

static int64_t work_ours(uint64_t repeats, void *arg)
{
    struct job *job = arg;

    job->repeats = repeats;
    meter_must(skua_block_on(job->runtime, serve, job, NULL), "block_on");
    return job->cpu_ns;
}

/* False: there is no such driver here. */
static bool job_begin(struct job *job, skua_driver driver)
{
    char text[SKUA_ADDRESS_MAX];
    int rc = skua_runtime_new(&job->runtime,
                              SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD, .driver = driver));

    if (rc == -ENOSYS || rc == -EPERM)
        return false;
    meter_must(rc, "new");
    job->closed = (skua_notify)SKUA_NOTIFY_INIT;
    meter_must(skua_tcp_listen(&job->listener, "127.0.0.1:0", NULL), "listen");
    meter_must(skua_listener_address(job->listener, text, sizeof text), "address");
    job->port = (unsigned)atoi(strrchr(text, ':') + 1);
    return true;
}

static void job_end(struct job *job)
{
    meter_must(skua_listener_close(job->listener), "close");
    meter_must(skua_runtime_free(job->runtime), "free");
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct raw {
    int epoll;
    int listener;
    unsigned port;
};

static int64_t work_raw(uint64_t repeats, void *arg)
{
    const struct raw *raw = arg;
    int64_t cpu_ns = 0;

    for (uint64_t i = 0; i < repeats; i++) {
        unsigned got = 0;

        clients_connect(raw->port);
        cpu_ns -= meter_cpu_ns();
        while (got < BATCH) {
            struct epoll_event event;
            int fd;

            if (epoll_wait(raw->epoll, &event, 1, -1) < 0)
                meter_die("epoll_wait", errno);
            while ((fd = accept4(raw->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                close(fd);
                got++;
            }
        }
        cpu_ns += meter_cpu_ns();
        clients_close();
    }
    return cpu_ns;
}

static void raw_begin(struct raw *raw)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    socklen_t len = sizeof address;
    int on = 1;

    raw->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    raw->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (raw->listener < 0 || raw->epoll < 0 ||
        setsockopt(raw->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(raw->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(raw->listener, 4096) != 0 ||
        getsockname(raw->listener, (struct sockaddr *)&address, &len) != 0 ||
        epoll_ctl(raw->epoll, EPOLL_CTL_ADD, raw->listener, &event) != 0)
        meter_die("listen", errno);
    raw->port = ntohs(address.sin_port);
}

/* ---- running --------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static struct meter_bench bench;
    static struct job jobs[2];
    static struct raw raw;
    static const struct meter_rival rivals[] = {{"tcp_accepts_raw", work_raw, &raw},
                                                {"tcp_accepts_epoll", work_ours, &jobs[0]},
                                                {"tcp_accepts_uring", work_ours, &jobs[1]}};
    static const struct meter_ratio ratios[] = {{"tcp_accepts_epoll_of_raw", 0, 1},
                                                {"tcp_accepts_uring_of_raw", 0, 2}};
    unsigned drivers = 1;

    meter_bench_begin(&bench, argc, argv);
    meter_bench_pin(&bench, 0);
    meter_files_raise();
    raw_begin(&raw);
    (void)job_begin(&jobs[0], SKUA_DRIVER_EPOLL);
    if (job_begin(&jobs[1], SKUA_DRIVER_IO_URING))
        drivers++;
    meter_versus_run(&bench, BATCH, rivals, 1 + drivers, ratios, drivers);
    while (drivers > 0)
        job_end(&jobs[--drivers]);
    close(raw.epoll);
    close(raw.listener);
    return meter_bench_end(&bench);
}
