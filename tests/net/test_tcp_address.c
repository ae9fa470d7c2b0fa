/* drivers: both */
/* test_tcp_address.c - which strings are addresses, and what options do.
 *
 * Specifies net.h: addresses of both IP versions, port 0, what is refused with -EINVAL; options of
 * listening and connecting; nodelay, keepalive, linger; local and peer addresses.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/sockets.h"

/* ---- strings --------------------------------------------------------------------------------- */

TEST_FIBER(address_strings_refused)
{
    static const char *const wrong[] = {
        /* 0 */ "",
        /* 1 */ ":",
        /* 2 */ "127.0.0.1",
        /* 3 */ "127.0.0.1:",
        /* 4 */ "127.0.0.1:65536",
        /* 5 */ "127.0.0.1:-1",
        /* 6 */ "127.0.0.1:+1",
        /* 7 */ "127.0.0.1: 1",
        /* 8 */ "127.0.0.1:1 ",
        /* 9 */ " 127.0.0.1:1",
        /* 10 */ "127.0.0.1:1x",
        /* 11 */ "127.0.0.1:0x50",
        /* 12 */ "127.0.0.1:99999999999999999999",
        /* 13 */ "127.0.0.1:http",
        /* 14 */ "256.0.0.1:1",
        /* 15 */ "127.0.0:1",
        /* 16 */ "127.0.0.1.1:1",
        /* 17 */ "[::1]",
        /* 18 */ "[::1]:",
        /* 19 */ "[::1:1",
        /* 20 */ "::1]:1",
        /* 21 */ "[::1]1",
        /* 22 */ "[]:1",
        /* 23 */ "[127.0.0.1]:1",
        /* 24 */ "[:::1]:1",
        /* 25 */ "[1:2:3:4:5:6:7:8:9]:1",
        /* 26 */ "example.com:",
        /* 27 */ "localhost",
        /* 28 */ "80",
        /* 29 */ "**:80",
        /* 30 */ "127.0.0.1:80:80",
        /* 31 */ "11111111111111111111111111111111111111111111111111111111111111111111111111111:1",
    };

    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        skua_listener *no_listener = (skua_listener *)8, *listener = no_listener;
        skua_tcp *no_tcp = (skua_tcp *)8, *tcp = no_tcp;

        if (!CHECK_EQ(skua_tcp_listen(&listener, wrong[i], NULL), -EINVAL) ||
            !CHECK_EQ(skua_tcp_connect(&tcp, wrong[i], NULL), -EINVAL))
            test_note("row %zu: \"%s\"", i, wrong[i]);
        CHECK(listener == no_listener);
        CHECK(tcp == no_tcp);
    }
    return 0;
}

/* Names are for connecting (test_dial.c). */
TEST_FIBER(address_listening_takes_no_names)
{
    skua_listener *listener = NULL;

    CHECK_EQ(skua_tcp_listen(&listener, "example.com:80", NULL), -EINVAL);
    CHECK(listener == NULL);
    return 0;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 loop = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&loop, sizeof loop) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

/* Listens, connects by `to` (a format for the port), and compares what both ends say. */
static void check_route(const char *at, const char *to, const char *prefix)
{
    char bound[SKUA_ADDRESS_MAX], target[SKUA_ADDRESS_MAX], peer[SKUA_ADDRESS_MAX];
    char local[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_tcp *client, *server;

    if (!CHECK_EQ(skua_tcp_listen(&listener, at, NULL), 0)) {
        test_note("listen \"%s\"", at);
        return;
    }
    CHECK_EQ(skua_listener_address(listener, bound, sizeof bound), 0);
    CHECK_RANGE(test_port(bound), 1, 65535);
    snprintf(target, sizeof target, to, test_port(bound));
    if (!CHECK_EQ(skua_tcp_connect(&client, target, NULL), 0)) {
        test_note("connect \"%s\" to \"%s\"", target, bound);
        skua_listener_close(listener);
        return;
    }
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK_EQ(skua_tcp_local_address(client, local, sizeof local), 0);
    CHECK_EQ(skua_tcp_peer_address(server, peer, sizeof peer), 0);
    CHECK_EQ(test_port(local), test_port(peer));
    CHECK_EQ(skua_tcp_peer_address(client, peer, sizeof peer), 0);
    CHECK_EQ(test_port(peer), test_port(bound));
    if (!CHECK(strncmp(peer, prefix, strlen(prefix)) == 0))
        test_note("the peer is %s", peer);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
}

TEST_FIBER(address_strings_taken)
{
    check_route("127.0.0.1:0", "127.0.0.1:%d", "127.0.0.1:");
    check_route("0.0.0.0:0", "127.0.0.1:%d", "127.0.0.1:");
    check_route("0.0.0.0:0", "127.0.0.2:%d", "127.0.0.2:");
    check_route("localhost:0", "localhost:%d", "");
    check_route(":0", "127.0.0.1:%d", "127.0.0.1:");
    check_route("*:0", "localhost:%d", "");
    check_route("127.0.0.1:00000", "127.0.0.1:%05d", "127.0.0.1:");
    if (!has_ipv6()) {
        test_note("no IPv6 here");
        return 0;
    }
    check_route("[::1]:0", "[::1]:%d", "[::1]:");
    check_route("[0:0:0:0:0:0:0:1]:0", "[::1]:%d", "[::1]:");
    check_route("[::]:0", "[::1]:%d", "[::1]:");
    check_route("[::]:0", "127.0.0.1:%d", "127.0.0.1:");
    check_route(":0", "[::1]:%d", "[::1]:");
    check_route("*:0", "[::1]:%d", "[::1]:");
    return 0;
}

/* ---- listening ------------------------------------------------------------------------------- */

TEST_FIBER(address_in_use)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address), *again = NULL;

    CHECK_EQ(skua_tcp_listen(&again, address, NULL), -EADDRINUSE);
    CHECK_EQ(skua_tcp_listen(&again, address, SKUA_LISTEN_OPTIONS(.reuse_port = 1)), -EADDRINUSE);
    CHECK(again == NULL);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(skua_tcp_listen(&again, address, NULL), 0); /* free at once */
    CHECK_EQ(skua_listener_close(again), 0);
    CHECK_EQ(skua_listener_close(again), -EBADF);
    CHECK_EQ(skua_listener_address(again, address, sizeof address), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_listen(&again, "203.0.113.1:0", NULL), -EADDRNOTAVAIL);
    return 0;
}

/* A server that restarts can take its port again, though connections of before linger. */
TEST_FIBER(address_after_a_restart)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    skua_tcp *client, *server;

    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK_EQ(skua_tcp_close(server), 0); /* first: its end goes to TIME_WAIT */
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(skua_tcp_listen(&listener, address, NULL), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

TEST_FIBER(address_v6_only)
{
    char bound[SKUA_ADDRESS_MAX], target[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_tcp *tcp = NULL;

    if (!has_ipv6())
        return 0;
    MUST(skua_tcp_listen(&listener, "[::]:0", SKUA_LISTEN_OPTIONS(.v6_only = 1)) == 0);
    CHECK_EQ(skua_listener_address(listener, bound, sizeof bound), 0);
    snprintf(target, sizeof target, "127.0.0.1:%d", test_port(bound));
    CHECK_EQ(skua_tcp_connect(&tcp, target, NULL), -ECONNREFUSED);
    snprintf(target, sizeof target, "[::1]:%d", test_port(bound));
    CHECK_EQ(skua_tcp_connect(&tcp, target, NULL), 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

/* ---- connecting ------------------------------------------------------------------------------ */

TEST_FIBER(address_connect_refused)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    skua_tcp *untouched = (skua_tcp *)8, *tcp = untouched;

    CHECK_EQ(skua_listener_close(listener), 0);
    CHECK_EQ(skua_tcp_connect(&tcp, address, NULL), -ECONNREFUSED);
    CHECK(tcp == untouched);
    return 0;
}

TEST_FIBER(address_connect_options)
{
    char address[SKUA_ADDRESS_MAX], local[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    skua_tcp *tcp = NULL;

    CHECK_EQ(skua_tcp_connect(&tcp, address, SKUA_CONNECT_OPTIONS(.bind = "127.0.0.3:0")), 0);
    CHECK_EQ(skua_tcp_local_address(tcp, local, sizeof local), 0);
    CHECK(strncmp(local, "127.0.0.3:", 10) == 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    tcp = NULL;
    CHECK_EQ(skua_tcp_connect(&tcp, address, SKUA_CONNECT_OPTIONS(.bind = "nonsense")), -EINVAL);
    CHECK_EQ(skua_tcp_connect(&tcp, address, SKUA_CONNECT_OPTIONS(.bind = "203.0.113.1:0")),
             -EADDRNOTAVAIL);
    CHECK(tcp == NULL);
    CHECK_EQ(
        skua_tcp_connect(&tcp, address, SKUA_CONNECT_OPTIONS(.deadline = skua_now() + SKUA_MINUTE)),
        0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

TEST(address_options_init)
{
    skua_listen_options listen;
    skua_connect_options connect;

    memset(&listen, 0xff, sizeof listen);
    memset(&connect, 0xff, sizeof connect);
    skua_listen_options_init(&listen);
    skua_connect_options_init(&connect);
    CHECK_EQ(listen.size, sizeof listen);
    CHECK_EQ(listen.reuse_port, 0);
    CHECK_EQ(connect.size, sizeof connect);
    CHECK(connect.bind == NULL);
    CHECK_EQ(connect.deadline, 0);
    CHECK(connect.resolver == NULL);
    CHECK_EQ(connect.attempt_delay, 0);
}

/* ---- options of a socket --------------------------------------------------------------------- */

TEST_FIBER(address_socket_options)
{
    skua_tcp *a, *b;
    char byte;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_set_nodelay(a, 0), 0);
    CHECK_EQ(skua_tcp_set_nodelay(a, 1), 0);
    CHECK_EQ(skua_tcp_set_keepalive(a, 0, 0, 0), 0);
    CHECK_EQ(skua_tcp_set_keepalive(a, SKUA_MINUTE, 10 * SKUA_SECOND, 3), 0);
    CHECK_EQ(skua_tcp_set_keepalive(a, 1, 1, 1), 0); /* rounded up to a second */
    CHECK_EQ(skua_tcp_set_linger(a, SKUA_SECOND), 0);
    CHECK_EQ(skua_tcp_set_linger(a, 1), 0);
    CHECK_EQ(skua_tcp_set_linger(a, -1), 0);
    CHECK_EQ(skua_tcp_write(a, "x", 1), 1);
    CHECK_EQ(skua_tcp_read(b, &byte, 1), 1);
    CHECK_EQ(skua_tcp_set_linger(a, 0), 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_read(b, &byte, 1), -ECONNRESET);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

/* The kernel's view of what the options did: the only descriptors here are the pair's. */
static int newest_fd(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    return getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

TEST_FIBER_CURRENT(address_nodelay_is_the_default)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    int client_fd = newest_fd(), server_fd;
    skua_tcp *client, *server;

    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    server_fd = newest_fd();
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK(option(client_fd, IPPROTO_TCP, TCP_NODELAY) > 0);
    CHECK(option(server_fd, IPPROTO_TCP, TCP_NODELAY) > 0);
    CHECK_EQ(skua_tcp_set_nodelay(client, 0), 0);
    CHECK_EQ(option(client_fd, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQ(option(client_fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(skua_tcp_set_keepalive(client, SKUA_SECOND * 5 / 2, SKUA_SECOND, 4), 0);
    CHECK(option(client_fd, SOL_SOCKET, SO_KEEPALIVE) > 0);
    CHECK_EQ(option(client_fd, IPPROTO_TCP, TCP_KEEPIDLE), 3);
    CHECK_EQ(option(client_fd, IPPROTO_TCP, TCP_KEEPINTVL), 1);
    CHECK_EQ(option(client_fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    CHECK_EQ(skua_tcp_set_keepalive(client, 0, 0, 0), 0);
    CHECK_EQ(option(client_fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

/* What was handed over is a TCP listener, whatever the slot was before; its connections are told,
 * those too that came before. */
TEST_FIBER_CURRENT(address_adopted_listener)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_tcp *client, *server;
    int fd, server_fd;

    MUST(skua_unix_seqpacket_listen(&listener, "@skua-adopted", NULL) == 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    MUST(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 8) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at.sin_port));
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    MUST(skua_tcp_listen_adopt(&listener, fd, NULL) == 0);
    CHECK_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    server_fd = newest_fd();
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK(option(server_fd, IPPROTO_TCP, TCP_NODELAY) > 0);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

TEST_FIBER_CURRENT(address_no_nodelay)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener;
    skua_tcp *client, *server;
    int server_fd;

    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", SKUA_LISTEN_OPTIONS(.no_nodelay = 1)) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    server_fd = newest_fd();
    MUST(skua_tcp_accept(listener, &server) == 0);
    CHECK_EQ(option(server_fd, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_strings_refused),
        cmocka_unit_test(address_strings_taken),
        cmocka_unit_test(address_listening_takes_no_names),
        cmocka_unit_test(address_in_use),
        cmocka_unit_test(address_after_a_restart),
        cmocka_unit_test(address_v6_only),
        cmocka_unit_test(address_connect_refused),
        cmocka_unit_test(address_connect_options),
        cmocka_unit_test(address_options_init),
        cmocka_unit_test(address_socket_options),
        cmocka_unit_test(address_nodelay_is_the_default),
        cmocka_unit_test(address_adopted_listener),
        cmocka_unit_test(address_no_nodelay),
    };

    return TEST_MAIN(tests);
}
