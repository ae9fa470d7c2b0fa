/* test_libevent.c - a runtime inside a libevent loop, and the other way round. drivers: both
 *
 * Specifies adapters/skua_libevent.h.
 */
#include <event2/thread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "skua_libevent.h"

#include "foreign.h"

struct host {
    struct adapter adapter;
    skua_libevent guest;
};

static void quit(struct adapter *self)
{
    skua_libevent_stop(&((struct host *)(void *)self)->guest);
}

TEST(guest_of_libevent)
{
    int fds = test_fd_count();
    struct event_base *base = event_base_new();
    struct host host;

    MUST(base != NULL);
    adapter_begin(&host.adapter, quit);
    CHECK_EQ(skua_libevent_start(&host.guest, base, host.adapter.runtime), 0);
    CHECK_EQ(event_base_dispatch(base), 1); /* nothing is left to wait for */
    adapter_end(&host.adapter);
    event_base_free(base);
    CHECK_EQ(test_fd_settle(fds), fds);
}

/* ---- a loop in a fiber ----------------------------------------------------------------------- */

struct loop {
    struct foreign foreign; /* first */
    struct event_base *base;
    struct event *timer, *io, *bell;
    int eventfd;
};

static struct loop *loop_of(struct foreign *self)
{
    return (struct loop *)(void *)self;
}

static void loop_beats(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    foreign_beats(arg);
}

static void loop_hears(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    foreign_hears(arg);
}

static void loop_notified(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;

    (void)what;
    MUST(read(fd, &count, sizeof count) == sizeof count);
    foreign_notified(arg);
}

static void loop_make(struct foreign *foreign, int period)
{
    struct loop *self = loop_of(foreign);
    struct timeval every = {period / 1000, period % 1000 * 1000};

    self->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->base = event_base_new();
    MUST(self->base != NULL);
    self->timer = event_new(self->base, -1, EV_PERSIST, loop_beats, self);
    self->io = event_new(self->base, foreign->pipe[0], EV_READ | EV_PERSIST, loop_hears, self);
    self->bell = event_new(self->base, self->eventfd, EV_READ, loop_notified, self);
    MUST(self->timer != NULL && self->io != NULL && self->bell != NULL);
    MUST(event_add(self->timer, &every) == 0 && event_add(self->io, NULL) == 0);
    MUST(event_add(self->bell, NULL) == 0);
}

static int loop_run(struct foreign *foreign)
{
    return skua_libevent_run(loop_of(foreign)->base, SKUA_FOREVER);
}

static void loop_stop(struct foreign *foreign)
{
    MUST(event_base_loopbreak(loop_of(foreign)->base) == 0);
}

static void loop_notify(struct foreign *foreign)
{
    static const uint64_t one = 1;

    MUST(write(loop_of(foreign)->eventfd, &one, sizeof one) == sizeof one);
}

/* Without events it ends by itself. */
static void loop_end(struct foreign *foreign)
{
    struct loop *self = loop_of(foreign);

    event_free(self->timer);
    event_free(self->io);
    event_free(self->bell);
    CHECK_EQ(skua_libevent_run(self->base, MS(1)), 1);
    event_base_free(self->base);
    close(self->eventfd);
}

TEST_FIBER(libevent_in_a_fiber)
{
    struct loop loop = {.foreign = {.make = loop_make,
                                    .run = loop_run,
                                    .stop = loop_stop,
                                    .notify = loop_notify,
                                    .end = loop_end,
                                    .stopped = 0}};

    foreign_all(&loop.foreign);
    return 0;
}

/* An edge that was told and not taken is not told again: the loop sleeps. */
struct edge {
    struct event_base *base;
    int calls;
};

static void edge_hears(evutil_socket_t fd, short what, void *arg)
{
    struct edge *edge = arg;

    (void)fd;
    (void)what;
    edge->calls++;
}

static void edge_ends(evutil_socket_t fd, short what, void *arg)
{
    struct edge *edge = arg;

    (void)fd;
    (void)what;
    event_base_loopexit(edge->base, NULL);
}

TEST_FIBER_CURRENT(libevent_edges)
{
    struct edge edge = {.base = event_base_new()};
    skua_runtime_stats before = {.size = sizeof before}, after = {.size = sizeof after};
    struct event *io, *end;
    struct timeval wait = {0, 50000};
    int ends[2];

    MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && edge.base != NULL);
    io = event_new(edge.base, ends[0], EV_READ | EV_ET | EV_PERSIST, edge_hears, &edge);
    end = event_new(edge.base, -1, 0, edge_ends, &edge);
    MUST(event_add(io, NULL) == 0 && event_add(end, &wait) == 0);
    MUST(write(ends[1], "x", 1) == 1);
    skua_runtime_snapshot(skua_runtime_current(), &before, NULL, 0);
    CHECK_EQ(skua_libevent_run(edge.base, SKUA_FOREVER), 0);
    skua_runtime_snapshot(skua_runtime_current(), &after, NULL, 0);
    CHECK_EQ(edge.calls, 1);
    CHECK_RANGE(after.total.polls - before.total.polls, 0, 100); /* it did not spin */
    event_free(io);
    event_free(end);
    event_base_free(edge.base);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* What is done to the loop from outside is seen after the pause. */
static int activates(void *arg)
{
    CHECK_EQ(skua_sleep(MS(2)), 0);
    event_active(arg, EV_TIMEOUT, 0);
    return 0;
}

static int breaks(void *arg)
{
    CHECK_EQ(skua_sleep(MS(2)), 0);
    event_base_loopbreak(arg);
    return 0;
}

static int exits(void *arg)
{
    CHECK_EQ(skua_sleep(MS(2)), 0);
    event_base_loopexit(arg, NULL);
    return 0;
}

TEST_FIBER(libevent_looks_again)
{
    struct edge edge = {.base = event_base_new()};
    struct event *end = event_new(edge.base, -1, 0, edge_ends, &edge);
    struct timeval hour = {3600, 0};

    MUST(edge.base != NULL && end != NULL && event_add(end, &hour) == 0);
    CHECK_EQ(skua_libevent_run(edge.base, 0), -EINVAL);
    MUST(skua_spawn(NULL, activates, end) == 0);
    CHECK_EQ(skua_libevent_run(edge.base, MS(3)), 0);
    MUST(event_add(end, &hour) == 0);
    MUST(skua_spawn(NULL, exits, edge.base) == 0);
    CHECK_EQ(skua_libevent_run(edge.base, MS(3)), 0);
    event_free(end);
    event_base_free(edge.base);
    return 0;
}

/* By another thread it may come when libevent is about to forget it. */
TEST_FIBER_CURRENT(libevent_broken_by_a_task)
{
    struct edge edge = {.base = event_base_new()};
    struct event *end = event_new(edge.base, -1, 0, edge_ends, &edge);
    struct timeval hour = {3600, 0};

    MUST(edge.base != NULL && end != NULL && event_add(end, &hour) == 0);
    MUST(skua_spawn(NULL, breaks, edge.base) == 0);
    CHECK_EQ(skua_libevent_run(edge.base, MS(3)), 0);
    event_free(end);
    event_base_free(edge.base);
    return 0;
}

/* Signals come through a descriptor of libevent's own. */
static int raises(void *arg)
{
    (void)arg;
    CHECK_EQ(skua_sleep(MS(2)), 0);
    kill(getpid(), SIGUSR2);
    return 0;
}

TEST_FIBER_CURRENT(libevent_signals)
{
    struct edge edge = {.base = event_base_new()};
    struct event *end = evsignal_new(edge.base, SIGUSR2, edge_ends, &edge);

    MUST(edge.base != NULL && end != NULL && event_add(end, NULL) == 0);
    MUST(skua_spawn(NULL, raises, NULL) == 0);
    CHECK_EQ(skua_libevent_run(edge.base, SKUA_FOREVER), 0);
    event_free(end);
    event_base_free(edge.base);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_of_libevent),
        cmocka_unit_test(libevent_in_a_fiber),
        cmocka_unit_test(libevent_edges),
        cmocka_unit_test(libevent_looks_again),
        cmocka_unit_test(libevent_broken_by_a_task),
        cmocka_unit_test(libevent_signals),
    };

    MUST(evthread_use_pthreads() == 0);
    return TEST_MAIN(tests);
}
