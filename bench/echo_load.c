/* echo_load.c - the other end of the echo: one request in flight a connection, and how long each
 * took.
 *
 *     echo_load --port N [--connections 50] [--size 64] [--seconds 1] [--warmup 0.2]
 *               [--cpu N] [--server-pid PID] [--verify]
 *
 * A closed loop: a connection sends `size` bytes, waits for them to come back whole, and sends
 * again at once. So the load never runs ahead of the server, and with C connections, C requests
 * are always on their way. One thread, edge-triggered epoll.
 *
 * The window  opens after the warm-up and lasts `seconds`. The clocks (wall, own CPU and, if told
 *             its pid, the server's CPU) are read when it opens and when it closes, in this same
 *             thread: no request is counted whose CPU time is not, but for those in flight.
 * The clock   is read once a reply: that is the end of one request and the start of the next.
 * The bytes   carry the request's number in front. Every reply's first 64 bytes are compared with
 *             what was sent, all of them with --verify (which costs the load time).
 *
 * Prints one line of JSON. Exit status 1, and the reason on stderr, if a byte came back wrong or a
 * connection was lost.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/meter_clock.h"
#include "lib/meter_hist.h"
#include "lib/meter_server.h"

#define EVENTS_MAX 512
#define SIZE_MAX_BYTES (1 << 20)
#define SIZE_MIN_BYTES 8 /* the request's number has to fit in */
#define CHECKED_BYTES 64

struct options {
    int port;
    int connections;
    int size;
    int cpu;
    int server_pid;
    double seconds;
    double warmup;
    bool verify;
};

struct conn {
    int fd;
    int sent; /* of this request */
    int got;  /* of its reply */
    uint64_t number;
    int64_t start_ns;
};

static struct options opts = {
    .connections = 50, .size = 64, .cpu = -1, .seconds = 1, .warmup = 0.2};
static struct meter_hist hist;
static char pattern[SIZE_MAX_BYTES]; /* what a request looks like behind its number */
static char reply[SIZE_MAX_BYTES];

/* The pattern is shared, so whoever is about to use it puts the number in. */
static const char *request_of(const struct conn *conn)
{
    memcpy(pattern, &conn->number, sizeof conn->number);
    return pattern;
}

/* Sends what is left of the request, or as much as the socket takes. */
static void conn_send(struct conn *conn)
{
    const char *request = request_of(conn);

    while (conn->sent < opts.size) {
        ssize_t n =
            send(conn->fd, request + conn->sent, (size_t)(opts.size - conn->sent), MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            meter_die("send", errno);
        conn->sent += (int)n;
    }
}

static void conn_next(struct conn *conn, int64_t now)
{
    conn->number++;
    conn->start_ns = now;
    conn->sent = 0;
    conn->got = 0;
    conn_send(conn);
}

static void conn_check(const struct conn *conn, const char *bytes, int count)
{
    if (!opts.verify && count > CHECKED_BYTES)
        count = CHECKED_BYTES;
    if (memcmp(request_of(conn) + conn->got, bytes, (size_t)count) != 0) {
        fprintf(stderr, "wrong bytes came back, near offset %d of request %" PRIu64 "\n", conn->got,
                conn->number);
        exit(1);
    }
}

/* Takes what has come of the reply; true when it is whole. A short read means that the socket is
 * empty and a new edge will come, and after a whole reply nothing more can come: so no read ever
 * runs into EAGAIN, but for an edge that told of room to write. */
static bool conn_recv(struct conn *conn)
{
    while (conn->got < opts.size) {
        int wanted = opts.size - conn->got;
        ssize_t n = recv(conn->fd, reply, (size_t)wanted, 0);

        if (n < 0 && errno == EAGAIN)
            return false;
        if (n <= 0)
            meter_die("connection lost", n < 0 ? errno : ECONNRESET);
        conn_check(conn, reply, (int)n);
        conn->got += (int)n;
        if (n < wanted)
            return false;
    }
    return true;
}

static void conn_open(struct conn *conn, int epoll)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opts.port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = conn};
    int one = 1;

    /* A request that may not fit the socket has to hear of room, too. Small ones always fit, and
     * must not pay for being told. */
    if (opts.size > 4096)
        event.events |= EPOLLOUT;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        meter_die("connect", errno);
    if (setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        fcntl(conn->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
        meter_die("connect", errno);
}

/* Echoes until `until`. The time is looked at once a batch. */
static void run(int epoll, int64_t until)
{
    struct epoll_event events[EVENTS_MAX];

    while (meter_now_ns() < until) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, 100);

        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            int64_t now;

            if (conn->sent < opts.size)
                conn_send(conn);
            if (!conn_recv(conn))
                continue;
            now = meter_now_ns();
            meter_hist_add(&hist, (uint64_t)(now - conn->start_ns));
            conn_next(conn, now);
        }
    }
}

static void measure(int epoll)
{
    int64_t wall_ns, load_ns, server_ns;

    run(epoll, meter_now_ns() + (int64_t)(opts.warmup * 1e9));
    meter_hist_clear(&hist);
    wall_ns = -meter_now_ns();
    load_ns = -meter_cpu_ns();
    server_ns = opts.server_pid > 0 ? -meter_cpu_of_ns(opts.server_pid) : 0;
    run(epoll, -wall_ns + (int64_t)(opts.seconds * 1e9));
    server_ns += opts.server_pid > 0 ? meter_cpu_of_ns(opts.server_pid) : 0;
    load_ns += meter_cpu_ns();
    wall_ns += meter_now_ns();
    printf("{\"connections\": %d, \"size\": %d, \"wall_ns\": %" PRId64 ", \"requests\": %" PRIu64
           ", \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"max_ns\": %" PRIu64
           ", \"load_cpu_ns\": %" PRId64 ", \"server_cpu_ns\": %" PRId64 "}\n",
           opts.connections, opts.size, wall_ns, hist.count, meter_hist_quantile(&hist, 0.5),
           meter_hist_quantile(&hist, 0.99), hist.max, load_ns, server_ns);
}

static void usage(void)
{
    fprintf(stderr, "usage: echo_load --port N [--connections 50] [--size 64] [--seconds 1] "
                    "[--warmup 0.2] [--cpu N] [--server-pid PID] [--verify]\n");
    exit(2);
}

static void options_read(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        const char *value = argv[i + 1];

        if (strcmp(name, "--verify") == 0) {
            opts.verify = true;
            continue;
        }
        if (value == NULL)
            usage();
        i++;
        if (strcmp(name, "--port") == 0)
            opts.port = atoi(value);
        else if (strcmp(name, "--connections") == 0)
            opts.connections = atoi(value);
        else if (strcmp(name, "--size") == 0)
            opts.size = atoi(value);
        else if (strcmp(name, "--cpu") == 0)
            opts.cpu = atoi(value);
        else if (strcmp(name, "--server-pid") == 0)
            opts.server_pid = atoi(value);
        else if (strcmp(name, "--seconds") == 0)
            opts.seconds = atof(value);
        else if (strcmp(name, "--warmup") == 0)
            opts.warmup = atof(value);
        else
            usage();
    }
    if (opts.port <= 0 || opts.connections <= 0 || opts.size < SIZE_MIN_BYTES ||
        opts.size > SIZE_MAX_BYTES)
        usage();
}

int main(int argc, char **argv)
{
    struct conn *conns;
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    options_read(argc, argv);
    if (opts.cpu >= 0)
        meter_pin(opts.cpu);
    if (meter_files_raise() < opts.connections + 16)
        meter_die("too many connections", EMFILE);
    for (int i = 0; i < SIZE_MAX_BYTES; i++)
        pattern[i] = (char)(i * 31 + i / 251);
    conns = calloc((size_t)opts.connections, sizeof *conns);
    if (conns == NULL || epoll < 0)
        meter_die("start", ENOMEM);
    for (int i = 0; i < opts.connections; i++)
        conn_open(&conns[i], epoll);
    for (int i = 0; i < opts.connections; i++)
        conn_next(&conns[i], meter_now_ns());
    measure(epoll);
    for (int i = 0; i < opts.connections; i++)
        close(conns[i].fd);
    free(conns);
    return 0;
}
