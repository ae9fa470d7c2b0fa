/* drivers: both */
/* test_tcp_poll.c - sockets in poll tasks: the futures of net.h.
 *
 * Specifies skua_tcp_read_init, skua_tcp_write_init, skua_accept_init: a whole echo server of poll
 * tasks, futures that are dropped by hand or by cancellation and have then done nothing, and
 * futures that are awaited on fibers.
 */
#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"

/* ---- an echo server of poll tasks ------------------------------------------------------------ */

struct echo {
    skua_async async;
    skua_tcp *tcp;
    skua_tcp_future io;
    skua_poll got, put;
    size_t at;
    char buf[1000];
};

static skua_poll echo(void *state, skua_waker *waker)
{
    struct echo *self = state;

    SKUA_ASYNC(self, waker);
    for (;;) {
        SKUA_AWAIT_TO(self->got,
                      skua_tcp_read_init(&self->io, self->tcp, self->buf, sizeof self->buf));
        if (self->got <= 0)
            break;
        for (self->at = 0; self->at < (size_t)self->got; self->at += (size_t)self->put) {
            SKUA_AWAIT_TO(self->put, skua_tcp_write_init(&self->io, self->tcp, self->buf + self->at,
                                                         (size_t)self->got - self->at));
            if (self->put < 0)
                break;
        }
    }
    CHECK_EQ(skua_tcp_close(self->tcp), 0);
    SKUA_ASYNC_END(self->got);
}

struct server {
    skua_async async;
    skua_listener *listener;
    skua_accept_future accept;
    skua_tcp *tcp;
    skua_poll answer;
    int left;
};

static skua_poll serve(void *state, skua_waker *waker)
{
    struct server *self = state;

    SKUA_ASYNC(self, waker);
    while (self->left-- > 0) {
        SKUA_AWAIT_TO(self->answer,
                      skua_tcp_accept_init(&self->accept, self->listener, &self->tcp));
        if (self->answer != 0)
            return self->answer;
        CHECK_EQ(skua_spawn_poll(NULL, echo, &(struct echo){.tcp = self->tcp}), 0);
    }
    SKUA_ASYNC_END(0);
}

struct client {
    const char *address;
    size_t size;
};

static int sends_pattern(void *arg)
{
    char buf[3333];

    for (size_t at = 0; at < 40000; at += 2000) {
        test_pattern_fill(buf, 2000, at);
        CHECK_EQ(skua_tcp_write_all(arg, buf, 2000), 2000);
    }
    return skua_tcp_shutdown(arg);
}

static int talks(void *arg)
{
    struct client *self = arg;
    skua_scope scope;
    skua_tcp *tcp;
    char buf[700];
    size_t seen = 0;
    ssize_t n;

    MUST(skua_tcp_connect(&tcp, self->address, NULL) == 0);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, sends_pattern, tcp), 0);
    while ((n = skua_tcp_read(tcp, buf, sizeof buf)) > 0) {
        CHECK(test_pattern_ok(buf, (size_t)n, seen));
        seen += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(seen, 40000);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return skua_tcp_close(tcp);
}

TEST_FIBER(tcp_poll_echo_server)
{
    char address[SKUA_ADDRESS_MAX];
    struct server server = {.listener = test_listen(address), .left = 20};
    struct client client = {.address = address};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    CHECK_EQ(skua_spawn_poll(&scope, serve, &server), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(skua_spawn(&scope, talks, &client), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_listener_close(server.listener), 0);
    return 0;
}

/* ---- cancelled and closed -------------------------------------------------------------------- */

static int end_of(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

static skua_poll reads_once(void *state, skua_waker *waker)
{
    struct echo *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->got, skua_tcp_read_init(&self->io, self->tcp, self->buf, 100));
    SKUA_ASYNC_END(self->got);
}

TEST_FIBER(tcp_poll_cancel_has_read_nothing)
{
    struct echo state = {.async = {0, 0}};
    skua_task *task;
    skua_tcp *peer;
    char buf[4];

    test_tcp_pair(&state.tcp, &peer);
    for (int i = 0; i < 10; i++) {
        MUST(skua_spawn_poll(NULL, reads_once, &state, .task = &task) == 0);
        test_until_parked(task, NULL);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(end_of(task), -ECANCELED);
        CHECK_EQ(skua_tcp_write_all(peer, "abc", 3), 3);
        CHECK_EQ(skua_tcp_read_exact(state.tcp, buf, 3), 3);
        CHECK(memcmp(buf, "abc", 3) == 0);
    }
    CHECK_EQ(skua_tcp_close(state.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    return 0;
}

TEST_FIBER(tcp_poll_close_ends_the_wait)
{
    char address[SKUA_ADDRESS_MAX];
    struct server server = {.listener = test_listen(address), .left = 1};
    struct echo state = {.async = {0, 0}};
    skua_task *reader, *acceptor;
    skua_tcp *peer;

    test_tcp_pair(&state.tcp, &peer);
    MUST(skua_spawn_poll(NULL, reads_once, &state, .task = &reader) == 0);
    MUST(skua_spawn_poll(NULL, serve, &server, .task = &acceptor) == 0);
    test_until_parked(reader, NULL);
    test_until_parked(acceptor, NULL);
    CHECK_EQ(skua_tcp_close(state.tcp), 0);
    CHECK_EQ(skua_listener_close(server.listener), 0);
    CHECK_EQ(end_of(reader), SKUA_ECLOSED);
    CHECK_EQ(end_of(acceptor), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_close(peer), 0);
    return 0;
}

TEST_FIBER(tcp_poll_second_reader_is_busy)
{
    struct echo state = {.async = {0, 0}};
    skua_task *first, *second;
    skua_tcp *peer;
    char byte;

    test_tcp_pair(&state.tcp, &peer);
    MUST(skua_spawn_poll(NULL, reads_once, &state, .task = &first) == 0);
    test_until_parked(first, NULL);
    MUST(skua_spawn_poll(NULL, reads_once, &state, .task = &second) == 0);
    CHECK_EQ(end_of(second), -EBUSY);
    CHECK_EQ(skua_tcp_read(state.tcp, &byte, 1), -EBUSY);
    CHECK_EQ(skua_tcp_write(peer, "x", 1), 1);
    CHECK_EQ(end_of(first), 1);
    CHECK_EQ(skua_tcp_close(state.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    return 0;
}

/* ---- on fibers ------------------------------------------------------------------------------- */

TEST_FIBER(tcp_poll_futures_on_a_fiber)
{
    char address[SKUA_ADDRESS_MAX], buf[8];
    skua_listener *listener = test_listen(address);
    skua_accept_future accept;
    skua_tcp_future io;
    skua_tcp *client, *server = NULL;
    int64_t late = skua_now() + MS(5);

    CHECK_EQ(skua_await_until(skua_tcp_accept_init(&accept, listener, &server), late), -ETIMEDOUT);
    CHECK(server == NULL);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    CHECK_EQ(skua_await(skua_tcp_accept_init(&accept, listener, &server)), 0);
    CHECK_EQ(skua_await_until(skua_tcp_read_init(&io, server, buf, 8), skua_now() + MS(5)),
             -ETIMEDOUT);
    skua_future_drop(skua_tcp_read_init(&io, server, buf, 8)); /* never polled */
    skua_future_drop(&io.future);
    CHECK_EQ(skua_await(skua_tcp_write_init(&io, client, "hello", 5)), 5);
    CHECK_EQ(skua_await(skua_tcp_read_init(&io, server, buf, 0)), 0);
    CHECK_EQ(skua_await(skua_tcp_read_init(&io, server, buf, 3)), 3);
    CHECK_EQ(skua_await(skua_tcp_read_init(&io, server, buf, 8)), 2);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_await(skua_tcp_read_init(&io, server, buf, 8)), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_await(skua_tcp_read_init(&io, server, buf, 8)), SKUA_ECLOSED);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(skua_await(skua_tcp_accept_init(&accept, listener, &server)), SKUA_ECLOSED);
    return 0;
}

/* Two futures on one socket in one task: reading and writing at a time. */
struct duplex {
    skua_async async;
    skua_tcp *tcp;
    skua_tcp_future read, write;
    bool has_read, has_written;
    char in[4];
};

static skua_poll reads_and_writes(void *state, skua_waker *waker)
{
    struct duplex *self = state;
    skua_poll answer;

    if (!self->read.future.ops) {
        skua_tcp_read_init(&self->read, self->tcp, self->in, 4);
        skua_tcp_write_init(&self->write, self->tcp, "ping", 4);
    }
    if (!self->has_read && (answer = skua_future_poll(&self->read.future, waker)) != SKUA_PENDING)
        self->has_read = CHECK_EQ(answer, 4);
    if (!self->has_written &&
        (answer = skua_future_poll(&self->write.future, waker)) != SKUA_PENDING)
        self->has_written = CHECK_EQ(answer, 4);
    return self->has_read && self->has_written ? 0 : SKUA_PENDING;
}

TEST_FIBER(tcp_poll_two_futures_of_one_task)
{
    struct duplex state = {.async = {0, 0}};
    skua_task *task;
    skua_tcp *peer;
    char buf[4];

    test_tcp_pair(&state.tcp, &peer);
    MUST(skua_spawn_poll(NULL, reads_and_writes, &state, .task = &task) == 0);
    CHECK_EQ(skua_tcp_read_exact(peer, buf, 4), 4);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_tcp_write_all(peer, buf, 4), 4);
    CHECK_EQ(end_of(task), 0);
    CHECK_EQ(skua_tcp_close(state.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_poll_echo_server),
        cmocka_unit_test(tcp_poll_cancel_has_read_nothing),
        cmocka_unit_test(tcp_poll_close_ends_the_wait),
        cmocka_unit_test(tcp_poll_second_reader_is_busy),
        cmocka_unit_test(tcp_poll_futures_on_a_fiber),
        cmocka_unit_test(tcp_poll_two_futures_of_one_task),
    };

    return TEST_MAIN(tests);
}
