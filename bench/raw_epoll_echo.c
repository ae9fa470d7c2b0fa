/* raw_epoll_echo.c - the echo server as one would write it by hand over epoll: the bar that
 * skua_echo.c is measured against.
 *
 * One thread; no task, no queue, no timer. A connection costs one epoll_ctl in its life, a request
 * one recv and one send, a batch of requests one epoll_wait:
 *
 * Edges     spare the kernel the second look at each reported socket that level-triggering takes
 *           in the next epoll_wait (--level keeps it, for comparison).
 * Short     a read that did not fill the buffer has emptied the socket, so the read that would
 * reads     only say EAGAIN is left out. The exception is a peer that has hung up: data and end
 *           may come as one edge, so EPOLLRDHUP asks for another read.
 * One       all connections share one buffer, which so stays in the cache. Only a connection
 * buffer    whose peer does not read gets one of its own, for what could not be sent; it is not
 *           read from until that is gone. Only then is EPOLLOUT asked for: an edge for room would
 *           otherwise come with traffic that never lacked it.
 *
 *     raw_epoll_echo [--port N] [--level]
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/meter_server.h"

#define EVENTS_MAX 1024
#define BUFFER_BYTES (64 * 1024)

/* What a connection still has to send; most never have. */
struct rest {
    size_t start;
    size_t end;
    char bytes[BUFFER_BYTES];
};

static struct {
    int epoll;
    int listener;
    int stop;
    uint32_t trigger;    /* EPOLLET, or nothing */
    struct rest **rests; /* by descriptor, NULL but for those that wait for room */
    uint64_t echoes;
    uint64_t bytes;
} server;

static char buffer[BUFFER_BYTES];

static void watch(int op, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    if (epoll_ctl(server.epoll, op, fd, &event) != 0)
        meter_die("epoll_ctl", errno);
}

static void conn_close(int fd)
{
    free(server.rests[fd]);
    server.rests[fd] = NULL;
    close(fd);
}

static void accept_all(void)
{
    int fd;

    while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | server.trigger);
}

/* The peer is slow: keeps the rest, and waits for room instead of requests. */
static bool conn_block(int fd, const char *bytes, size_t count)
{
    struct rest *rest = malloc(sizeof *rest);

    if (rest == NULL)
        return false;
    rest->start = 0;
    rest->end = count;
    memcpy(rest->bytes, bytes, count);
    server.rests[fd] = rest;
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT | server.trigger);
    return true;
}

/* There is room. Asking for requests again reports those that came meanwhile. */
static bool conn_unblock(int fd)
{
    struct rest *rest = server.rests[fd];

    while (rest->start < rest->end) {
        ssize_t n = send(fd, rest->bytes + rest->start, rest->end - rest->start, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN;
        rest->start += (size_t)n;
    }
    free(rest);
    server.rests[fd] = NULL;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLRDHUP | server.trigger);
    return true;
}

/* Echoes what has come. False when the connection has ended. */
static bool conn_echo(int fd, bool ending)
{
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        ssize_t sent;

        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        sent = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
        server.echoes++;
        server.bytes += (uint64_t)n;
        if (sent != n) {
            if (sent < 0 && errno != EAGAIN)
                return false;
            sent = sent < 0 ? 0 : sent;
            return conn_block(fd, buffer + sent, (size_t)(n - sent));
        }
        if (n < (ssize_t)sizeof buffer && !ending)
            return true;
    }
}

static void serve(void)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int count = epoll_wait(server.epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            bool ending = (events[i].events & ~(uint32_t)EPOLLIN) != 0;
            bool open;

            if (fd == server.stop)
                return;
            if (fd == server.listener) {
                accept_all();
                continue;
            }
            open = server.rests[fd] != NULL ? conn_unblock(fd) : conn_echo(fd, ending);
            if (!open)
                conn_close(fd);
        }
    }
}

int main(int argc, char **argv)
{
    int port = 0;

    server.trigger = EPOLLET;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--level") == 0) {
            server.trigger = 0;
        } else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            port = atoi(argv[++i]);
        } else {
            fprintf(stderr, "usage: raw_epoll_echo [--port N] [--level]\n");
            return 2;
        }
    }
    server.rests = calloc((size_t)meter_files_raise(), sizeof(struct rest *));
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.rests == NULL || server.epoll < 0)
        meter_die("start", ENOMEM);
    server.stop = meter_stop_fd();
    server.listener = meter_listen(port, SOCK_NONBLOCK);
    watch(EPOLL_CTL_ADD, server.stop, EPOLLIN);
    watch(EPOLL_CTL_ADD, server.listener, EPOLLIN | EPOLLET);
    serve();
    meter_server_end(server.echoes, server.bytes);
    return 0;
}
