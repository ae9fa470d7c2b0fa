/* sockets.c - connected pairs, raw peers and patterns for the tests of TCP. */
#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net_impl.h"

skua_listener *test_listen(char *address)
{
    skua_listener *listener = NULL;

    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(listener, address, SKUA_ADDRESS_MAX) == 0);
    return listener;
}

void test_tcp_pair(skua_tcp **a, skua_tcp **b)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);

    MUST(skua_tcp_connect(a, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, b) == 0);
    MUST(skua_listener_close(listener) == 0);
}

int test_port(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon ? atoi(colon + 1) : -1;
}

int test_raw_connect(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)test_port(address)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(raw >= 0);
    MUST(connect(raw, (struct sockaddr *)&to, sizeof to) == 0);
    return raw;
}

void test_tcp_raw_pair(skua_tcp **tcp, int *raw)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);

    *raw = test_raw_connect(address);
    MUST(skua_tcp_accept(listener, tcp) == 0);
    MUST(skua_listener_close(listener) == 0);
}

void test_raw_reset(int raw)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    MUST(setsockopt(raw, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(raw);
}

void test_tcp_small(skua_tcp *tcp)
{
    int fd = skua__tcp_stream(tcp)->source.fd, size = 16384;

    MUST(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) == 0);
}

size_t test_tcp_fill(skua_tcp *tcp, size_t at)
{
    char buf[8192];
    size_t total = 0;

    for (;;) {
        skua_tcp_future write;
        int64_t n;

        test_pattern_fill(buf, sizeof buf, at + total);
        n = skua_await_until(skua_tcp_write_init(&write, tcp, buf, sizeof buf),
                             skua_now() + MS(50));
        if (n < 0) {
            CHECK_EQ(n, -ETIMEDOUT);
            return total;
        }
        total += (size_t)n;
    }
}

unsigned char test_pattern(size_t at)
{
    return (unsigned char)((at * 2654435761u) >> 13);
}

void test_pattern_fill(void *buf, size_t len, size_t at)
{
    unsigned char *bytes = buf;

    for (size_t i = 0; i < len; i++)
        bytes[i] = test_pattern(at + i);
}

bool test_pattern_ok(const void *buf, size_t len, size_t at)
{
    const unsigned char *bytes = buf;

    for (size_t i = 0; i < len; i++)
        if (bytes[i] != test_pattern(at + i))
            return false;
    return true;
}
