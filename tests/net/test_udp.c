/* drivers: both */
/* test_udp.c - datagrams: from anybody to anybody, between peers, too long, empty, refused.
 *
 * Specifies udp.h: what is sent is received whole or told to be too long, who sent it, what a
 * connected socket hears, what a look leaves, what trying and waiting say; fibers, plain threads
 * and poll tasks on both ends.
 */
#include <pthread.h>
#include <signal.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"

static skua_udp *bound(const char *at, skua_address *address)
{
    skua_udp *udp = NULL;

    MUST(skua_udp_bind(&udp, at, NULL) == 0);
    MUST(skua_udp_local_address(udp, address) == 0);
    return udp;
}

/* Two sockets, each the other's peer. */
static void udp_pair(skua_udp **a, skua_udp **b)
{
    skua_address at_a, at_b;

    *a = bound("127.0.0.1:0", &at_a);
    *b = bound("127.0.0.1:0", &at_b);
    MUST(skua_udp_connect(*a, &at_b) == 0);
    MUST(skua_udp_connect(*b, &at_a) == 0);
}

static void close_both(skua_udp *a, skua_udp *b)
{
    CHECK_EQ(skua_udp_close(a), 0);
    CHECK_EQ(skua_udp_close(b), 0);
}

/* ---- from anybody to anybody ----------------------------------------------------------------- */

static void check_to_and_from(void)
{
    skua_address at_a, at_b, from;
    skua_udp *a = bound("127.0.0.1:0", &at_a), *b = bound("127.0.0.1:0", &at_b);
    char buf[100];

    CHECK_EQ(skua_udp_send_to(a, "hello", 5, &at_b), 5);
    CHECK_EQ(skua_udp_send_to(a, "you", 3, &at_b), 3);
    CHECK_EQ(skua_udp_recv_from(b, buf, sizeof buf, &from), 5);
    CHECK(memcmp(buf, "hello", 5) == 0);
    CHECK(skua_address_equal(&from, &at_a));
    CHECK_EQ(skua_udp_recv(b, buf, sizeof buf), 3);
    CHECK_EQ(skua_udp_send_to(b, "me?", 3, &from), 3);
    CHECK_EQ(skua_udp_recv_from(a, buf, sizeof buf, &from), 3);
    CHECK(skua_address_equal(&from, &at_b));
    CHECK_EQ(skua_udp_send(a, "x", 1), -EDESTADDRREQ);
    CHECK_EQ(skua_udp_peer_address(a, &from), -ENOTCONN);
    close_both(a, b);
    CHECK_EQ(skua_udp_close(a), -EBADF);
    CHECK_EQ(skua_udp_recv(b, buf, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_send_to(b, buf, 1, &at_a), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_local_address(b, &from), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_connect(b, &at_a), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_set_ttl(b, 3), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_close(NULL), 0);
}

TEST_FIBER(udp_to_and_from_anybody)
{
    check_to_and_from();
    return 0;
}

TEST(udp_to_and_from_anybody_on_a_thread)
{
    check_to_and_from();
}

static bool has_v6(void)
{
    skua_udp *udp;
    bool there = skua_udp_bind(&udp, "[::1]:0", NULL) == 0;

    if (there)
        CHECK_EQ(skua_udp_close(udp), 0);
    return there;
}

/* An IPv4 peer of an IPv6 socket is told as IPv4, and can be answered. */
TEST_FIBER(udp_both_versions_on_one_socket)
{
    skua_address at, to, from, mine;
    skua_udp *both = bound("*:0", &at), *v4 = bound("127.0.0.1:0", &mine), *v6;
    char buf[8];

    MUST(skua_address_parse(&to, "127.0.0.1:1") == 0);
    CHECK_EQ(skua_address_set_port(&to, skua_address_port(&at)), 0);
    CHECK_EQ(skua_udp_send_to(v4, "four", 4, &to), 4);
    CHECK_EQ(skua_udp_recv_from(both, buf, sizeof buf, &from), 4);
    CHECK(skua_address_equal(&from, &mine));
    CHECK_EQ(skua_udp_send_to(both, "back", 4, &from), 4);
    CHECK_EQ(skua_udp_recv(v4, buf, sizeof buf), 4);
    if (has_v6()) {
        v6 = bound("[::1]:0", &mine);
        MUST(skua_address_parse(&to, "[::1]:1") == 0);
        CHECK_EQ(skua_address_set_port(&to, skua_address_port(&at)), 0);
        CHECK_EQ(skua_udp_send_to(v6, "six", 3, &to), 3);
        CHECK_EQ(skua_udp_recv_from(both, buf, sizeof buf, &from), 3);
        CHECK(skua_address_equal(&from, &mine));
        CHECK_EQ(skua_address_kind_of(&from), SKUA_ADDRESS_V6);
        CHECK_EQ(skua_udp_close(v6), 0);
        CHECK_EQ(skua_udp_bind(&v6, "[::]:0", SKUA_UDP_OPTIONS(.v6_only = 1)), 0);
        CHECK_EQ(skua_udp_send_to(v6, "x", 1, &from), 1);
        MUST(skua_address_parse(&to, "127.0.0.1:9") == 0);
        CHECK_EQ(skua_udp_send_to(v6, "x", 1, &to), -ENETUNREACH);
        CHECK_EQ(skua_udp_close(v6), 0);
    }
    close_both(both, v4);
    return 0;
}

/* ---- lengths --------------------------------------------------------------------------------- */

TEST_FIBER(udp_too_long_is_told_and_the_next_is_whole)
{
    skua_address from, mine;
    skua_udp *a, *b;
    char buf[8];

    udp_pair(&a, &b);
    MUST(skua_udp_local_address(a, &mine) == 0);
    CHECK_EQ(skua_udp_send(a, "123456789", 9), 9);
    CHECK_EQ(skua_udp_send(a, "12345678", 8), 8);
    CHECK_EQ(skua_udp_send(a, "abc", 3), 3);
    memset(&from, 0, sizeof from);
    CHECK_EQ(skua_udp_recv_from(b, buf, 8, &from), -EMSGSIZE);
    CHECK(memcmp(buf, "12345678", 8) == 0);
    CHECK(skua_address_equal(&from, &mine));
    CHECK_EQ(skua_udp_recv(b, buf, 8), 8); /* exactly */
    CHECK_EQ(skua_udp_recv(b, NULL, 0), -EMSGSIZE);
    CHECK_EQ(skua_udp_try_recv_from(b, buf, 8, NULL), -EAGAIN);
    close_both(a, b);
    return 0;
}

TEST_FIBER(udp_empty_datagrams_are_datagrams)
{
    skua_udp *a, *b;
    char byte;

    udp_pair(&a, &b);
    CHECK_EQ(skua_udp_send(a, NULL, 0), 0);
    CHECK_EQ(skua_udp_send(a, "x", 1), 1);
    CHECK_EQ(skua_udp_send(a, NULL, 0), 0);
    CHECK_EQ(skua_udp_recv(b, &byte, 1), 0);
    CHECK_EQ(skua_udp_recv(b, &byte, 1), 1);
    CHECK_EQ(skua_udp_recv(b, NULL, 0), 0);
    CHECK_EQ(skua_udp_recv_from_until(b, &byte, 1, NULL, skua_now() + MS(3)), -ETIMEDOUT);
    close_both(a, b);
    return 0;
}

TEST_FIBER(udp_longest_datagrams)
{
    static char big[65508], back[65508];
    skua_udp *a, *b;

    udp_pair(&a, &b);
    test_pattern_fill(big, 65507, 5);
    CHECK_EQ(skua_udp_send(a, big, 65508), -EMSGSIZE);
    CHECK_EQ(skua_udp_send(a, big, 65507), 65507);
    CHECK_EQ(skua_udp_recv(b, back, sizeof back), 65507);
    CHECK(test_pattern_ok(back, 65507, 5));
    close_both(a, b);
    return 0;
}

TEST_FIBER(udp_a_look_leaves_the_datagram)
{
    skua_address from, mine;
    skua_udp *a, *b;
    char buf[8];

    udp_pair(&a, &b);
    MUST(skua_udp_local_address(a, &mine) == 0);
    CHECK_EQ(skua_udp_send(a, "123456789", 9), 9);
    CHECK_EQ(skua_udp_peek_from(b, NULL, 0, NULL), 9);
    CHECK_EQ(skua_udp_peek_from(b, buf, 4, &from), 9);
    CHECK(memcmp(buf, "1234", 4) == 0);
    CHECK(skua_address_equal(&from, &mine));
    CHECK_EQ(skua_udp_recv(b, buf, 8), -EMSGSIZE);
    CHECK_EQ(skua_udp_try_recv_from(b, buf, 8, NULL), -EAGAIN);
    close_both(a, b);
    return 0;
}

/* ---- peers ----------------------------------------------------------------------------------- */

TEST_FIBER(udp_connected_hears_its_peer_only)
{
    skua_address at_a, at_stranger, peer;
    skua_udp *a, *b, *stranger = bound("127.0.0.1:0", &at_stranger);
    char buf[8];

    udp_pair(&a, &b);
    MUST(skua_udp_local_address(a, &at_a) == 0);
    CHECK_EQ(skua_udp_peer_address(b, &peer), 0);
    CHECK(skua_address_equal(&peer, &at_a));
    CHECK_EQ(skua_udp_send_to(stranger, "psst", 4, &at_a), 4);
    CHECK_EQ(skua_udp_send(b, "hello", 5), 5);
    CHECK_EQ(skua_udp_recv(a, buf, sizeof buf), 5);
    CHECK_EQ(skua_udp_try_recv_from(a, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_EQ(skua_udp_connect(a, NULL), 0); /* hears everybody again */
    CHECK_EQ(skua_udp_peer_address(a, &peer), -ENOTCONN);
    CHECK_EQ(skua_udp_send_to(stranger, "again", 5, &at_a), 5);
    CHECK_EQ(skua_udp_recv_from(a, buf, sizeof buf, &peer), 5);
    CHECK(skua_address_equal(&peer, &at_stranger));
    CHECK_EQ(skua_udp_close(stranger), 0);
    close_both(a, b);
    return 0;
}

static void check_refused(void)
{
    skua_address nobody;
    skua_udp *gone = bound("127.0.0.1:0", &nobody), *a;
    skua_address mine;
    char byte;

    CHECK_EQ(skua_udp_close(gone), 0);
    a = bound("127.0.0.1:0", &mine);
    CHECK_EQ(skua_udp_send_to(a, "x", 1, &nobody), 1); /* not connected: nobody is told */
    CHECK_EQ(skua_udp_recv_from_until(a, &byte, 1, NULL, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_udp_connect(a, &nobody), 0);
    CHECK_EQ(skua_udp_send(a, "x", 1), 1);
    CHECK_EQ(skua_udp_recv(a, &byte, 1), -ECONNREFUSED);
    CHECK_EQ(skua_udp_recv_from_until(a, &byte, 1, NULL, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_udp_send(a, "x", 1), 1);
    CHECK_EQ(skua_udp_send(a, "x", 1), -ECONNREFUSED);
    gone = NULL;
    CHECK_EQ(skua_udp_connect(a, &mine), 0); /* as good as before */
    CHECK_EQ(skua_udp_send(a, "x", 1), 1);
    CHECK_EQ(skua_udp_recv(a, &byte, 1), 1);
    CHECK_EQ(skua_udp_close(a), 0);
}

TEST_FIBER(udp_refused_is_told_once)
{
    check_refused();
    return 0;
}

TEST(udp_refused_is_told_once_on_a_thread)
{
    check_refused();
}

/* A receive that waits already is told, too. */
static int receives_refusal(void *arg)
{
    char byte;

    return (int)skua_udp_recv(arg, &byte, 1);
}

TEST_FIBER(udp_refused_ends_a_wait)
{
    skua_address nobody, mine;
    skua_udp *gone = bound("127.0.0.1:0", &nobody), *a = bound("127.0.0.1:0", &mine);
    skua_task *task;
    int result = 0;

    CHECK_EQ(skua_udp_close(gone), 0);
    CHECK_EQ(skua_udp_connect(a, &nobody), 0);
    MUST(skua_spawn(NULL, receives_refusal, a, .task = &task) == 0);
    test_until_parked(task, "udp.recv");
    CHECK_EQ(skua_udp_send(a, "x", 1), 1);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECONNREFUSED);
    CHECK_EQ(skua_udp_close(a), 0);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct echo {
    skua_udp *udp;
    int count;
};

static int echoes(void *arg)
{
    struct echo *self = arg;
    skua_address from;
    char buf[2000];

    for (int i = 0; i < self->count; i++) {
        ssize_t n = skua_udp_recv_from(self->udp, buf, sizeof buf, &from);

        if (!CHECK(n >= 0) || !CHECK_EQ(skua_udp_send_to(self->udp, buf, (size_t)n, &from), n))
            break;
    }
    return 0;
}

static void asks(skua_address *server, int rounds)
{
    skua_address mine;
    skua_udp *udp = bound("127.0.0.1:0", &mine);
    char out[1500], in[1500];

    CHECK_EQ(skua_udp_connect(udp, server), 0);
    for (int i = 0; i < rounds; i++) {
        size_t len = (size_t)(i * 37) % sizeof out;

        test_pattern_fill(out, len, (size_t)i);
        CHECK_EQ(skua_udp_send(udp, out, len), len);
        CHECK_EQ(skua_udp_recv(udp, in, sizeof in), len);
        if (!CHECK(test_pattern_ok(in, len, (size_t)i)))
            break;
    }
    CHECK_EQ(skua_udp_close(udp), 0);
}

static int asks_fiber(void *arg)
{
    asks(arg, 50);
    return 0;
}

TEST_FIBER(udp_echo_for_many)
{
    skua_address server;
    struct echo echo = {.udp = bound("127.0.0.1:0", &server), .count = 500};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, echoes, &echo) == 0);
    for (int i = 0; i < 10; i++)
        MUST(skua_spawn(&scope, asks_fiber, &server) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_udp_close(echo.udp), 0);
    return 0;
}

static void *echoes_thread(void *arg)
{
    echoes(arg);
    return NULL;
}

static void *asks_thread(void *arg)
{
    asks(arg, 200);
    return NULL;
}

/* A thread serves a fiber, and a fiber a thread. */
TEST_FIBER(udp_between_threads_and_fibers)
{
    skua_address server;
    struct echo echo = {.udp = bound("127.0.0.1:0", &server), .count = 50};
    pthread_t thread;
    skua_task *task;

    MUST(pthread_create(&thread, NULL, echoes_thread, &echo) == 0);
    asks(&server, 50);
    pthread_join(thread, NULL);
    echo.count = 200;
    MUST(skua_spawn(NULL, echoes, &echo, .task = &task) == 0);
    MUST(pthread_create(&thread, NULL, asks_thread, &server) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_udp_close(echo.udp), 0);
    return 0;
}

struct pings {
    skua_async async;
    skua_udp *udp;
    skua_address to, from;
    skua_udp_future io;
    skua_poll answer;
    int i;
    char buf[16];
};

static skua_poll pings(void *state, skua_waker *waker)
{
    struct pings *self = state;

    SKUA_ASYNC(self, waker);
    for (self->i = 0; self->i < 20; self->i++) {
        SKUA_AWAIT_TO(self->answer, skua_udp_send_init(&self->io, self->udp, "ping", 4, &self->to));
        CHECK_EQ(self->answer, 4);
        SKUA_AWAIT_TO(self->answer, skua_udp_peek_init(&self->io, self->udp, NULL, 0, NULL));
        CHECK_EQ(self->answer, 4);
        SKUA_AWAIT_TO(self->answer,
                      skua_udp_recv_init(&self->io, self->udp, self->buf, 16, &self->from));
        CHECK_EQ(self->answer, 4);
        CHECK(skua_address_equal(&self->from, &self->to));
    }
    SKUA_ASYNC_END(0);
}

TEST_FIBER(udp_poll_task)
{
    skua_address mine;
    struct pings state = {.udp = bound("127.0.0.1:0", &mine)};
    struct echo echo = {.udp = bound("127.0.0.1:0", &state.to), .count = 20};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, echoes, &echo) == 0);
    MUST(skua_spawn_poll(&scope, pings, &state) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    close_both(state.udp, echo.udp);
    return 0;
}

static int sends_later(void *arg)
{
    CHECK_EQ(skua_sleep(MS(10)), 0);
    CHECK_EQ(skua_udp_send(arg, "later", 5), 5);
    return 0;
}

TEST_FIBER(udp_readable_and_writable)
{
    skua_udp *a, *b;
    char buf[8];
    int64_t begin = skua_now();

    udp_pair(&a, &b);
    CHECK_EQ(skua_udp_try_recv_from(b, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_EQ(skua_udp_writable(a), 0);
    CHECK_EQ(skua_udp_try_send_to(a, "now", 3, NULL), 3);
    CHECK_EQ(skua_udp_readable(b), 0);
    CHECK_EQ(skua_udp_try_recv_from(b, buf, sizeof buf, NULL), 3);
    CHECK_EQ(skua_udp_try_recv_from(b, buf, sizeof buf, NULL), -EAGAIN);
    MUST(skua_spawn(NULL, sends_later, a) == 0);
    while (skua_udp_readable(b) == 0 && skua_udp_try_recv_from(b, buf, sizeof buf, NULL) == -EAGAIN)
        continue;
    CHECK(skua_now() - begin >= MS(10));
    close_both(a, b);
    CHECK_EQ(skua_udp_readable(b), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_writable(b), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_try_recv_from(b, buf, 1, NULL), SKUA_ECLOSED);
    return 0;
}

/* The macros: a branch of a select that loses has received nothing. */
TEST_FIBER(udp_in_a_select)
{
    skua_udp *a, *b;
    char buf[8] = "";

    udp_pair(&a, &b);
    CHECK_EQ(skua_select(skua_udp_receiving(b, buf, 8, NULL), skua_sleeping(MS(3))), 1);
    CHECK_EQ(skua_udp_send(a, "abc", 3), 3);
    CHECK_EQ(skua_select(skua_sleeping(0), skua_udp_receiving(b, buf, 8, NULL)), 0);
    CHECK_EQ(skua_select(skua_udp_receiving(b, buf, 8, NULL), skua_sleeping(SKUA_SECOND)), 0);
    CHECK(memcmp(buf, "abc", 3) == 0);
    CHECK_EQ(skua_await(skua_udp_sending(b, "de", 2, NULL)), 2);
    CHECK_EQ(skua_udp_recv(a, buf, 8), 2);
    close_both(a, b);
    return 0;
}

/* ---- signals --------------------------------------------------------------------------------- */

static void nothing(int number)
{
    (void)number;
}

struct disturbed {
    skua_udp *udp;
    atomic_int tid, done;
    pthread_t thread;
};

static void *receives_disturbed(void *arg)
{
    struct disturbed *self = arg;
    int64_t begin = skua_now();
    char buf[8];

    CHECK_EQ(skua_udp_recv_from_until(self->udp, buf, 8, NULL, begin + MS(30)), -ETIMEDOUT);
    CHECK(skua_now() - begin >= MS(30));
    CHECK_EQ(skua_udp_recv(self->udp, buf, 8), 4);
    atomic_store(&self->done, 1);
    return NULL;
}

/* Signals that interrupt poll(2) are nobody's business. */
TEST(udp_signals_do_not_end_a_wait)
{
    struct sigaction action = {.sa_handler = nothing};
    struct disturbed self = {.done = 0};
    skua_udp *peer;

    sigaction(SIGUSR1, &action, NULL);
    udp_pair(&self.udp, &peer);
    MUST(pthread_create(&self.thread, NULL, receives_disturbed, &self) == 0);
    for (int i = 0; i < 60; i++) {
        pthread_kill(self.thread, SIGUSR1);
        test_thread_sleep(MS(1));
    }
    CHECK(!atomic_load(&self.done));
    CHECK_EQ(skua_udp_send(peer, "done", 4), 4);
    pthread_join(self.thread, NULL);
    CHECK_EQ(atomic_load(&self.done), 1);
    close_both(self.udp, peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_to_and_from_anybody),
        cmocka_unit_test(udp_to_and_from_anybody_on_a_thread),
        cmocka_unit_test(udp_both_versions_on_one_socket),
        cmocka_unit_test(udp_too_long_is_told_and_the_next_is_whole),
        cmocka_unit_test(udp_empty_datagrams_are_datagrams),
        cmocka_unit_test(udp_longest_datagrams),
        cmocka_unit_test(udp_a_look_leaves_the_datagram),
        cmocka_unit_test(udp_connected_hears_its_peer_only),
        cmocka_unit_test(udp_refused_is_told_once),
        cmocka_unit_test(udp_refused_is_told_once_on_a_thread),
        cmocka_unit_test(udp_refused_ends_a_wait),
        cmocka_unit_test(udp_echo_for_many),
        cmocka_unit_test(udp_between_threads_and_fibers),
        cmocka_unit_test(udp_poll_task),
        cmocka_unit_test(udp_readable_and_writable),
        cmocka_unit_test(udp_in_a_select),
        cmocka_unit_test(udp_signals_do_not_end_a_wait),
    };

    return TEST_MAIN(tests);
}
