/* drivers: both */
/* test_tls_http.c - a server with TLS: HTTP/1.1 over it, handshakes that fail, stopping; and what
 * others make of it: curl, openssl, Python, each where it is.
 */
#include <skua/http/server.h>

#include "../lib/sockets.h"
#include "tls_pair.h"

struct served {
    skua_http_server *server;
    skua_listener *listener;
    skua_tls_context *context, *client;
    char address[SKUA_ADDRESS_MAX];
    skua_task *task;
};

static int served_run(void *arg)
{
    struct served *self = arg;

    return skua_http_server_run(self->server, self->listener);
}

static int says_scheme(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_replyf(exchange, 200, "text/plain", "%s\n", skua_http_scheme(exchange));
}

static void served_begin(struct served *self, int64_t tls_timeout)
{
    MUST(skua_tls_context_new(&self->context, SKUA_TLS_SERVER,
                              SERVER(certs()->address, .alpn = "http/1.1")) == 0);
    MUST(skua_tls_context_new(&self->client, SKUA_TLS_CLIENT, CLIENT()) == 0);
    MUST(skua_http_server_new(
             &self->server, says_scheme, NULL,
             SKUA_HTTP_SERVER_OPTIONS(.tls = self->context, .tls_timeout = tls_timeout)) == 0);
    MUST(skua_tcp_listen(&self->listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(self->listener, self->address, sizeof self->address) == 0);
    MUST(skua_spawn(NULL, served_run, self, .task = &self->task) == 0);
}

static void served_end(struct served *self, uint64_t requests, uint64_t refused)
{
    skua_http_server_stats stats;
    int result = 0;

    (void)skua_task_cancel(self->task);
    CHECK_EQ(skua_task_join(self->task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    skua_http_server_stats_of(self->server, &stats);
    CHECK_EQ(stats.requests, requests);
    CHECK_EQ(stats.refused, refused);
    CHECK_EQ(stats.connections_now, 0);
    CHECK_EQ(skua_listener_close(self->listener), 0);
    skua_http_server_free(self->server);
    skua_tls_context_free(self->context);
    skua_tls_context_free(self->client);
}

/* Asks, keeps the connection or not, and reads to the end. */
static void asks(struct served *served, const char *request, bool ends)
{
    char text[2048] = "";
    size_t len = 0;
    skua_tcp *tcp;
    skua_tls *tls;
    ssize_t n;

    MUST(skua_tcp_connect(&tcp, served->address, NULL) == 0);
    CHECK_EQ(skua_tls_connect(&tls, served->client, skua_tcp_io(tcp), "127.0.0.1",
                              skua_now() + 20 * SKUA_SECOND),
             0);
    CHECK_EQ(skua_io_write_all(skua_tls_io(tls), request, strlen(request)), strlen(request));
    while ((n = skua_io_read_until(skua_tls_io(tls), text + len, sizeof text - 1 - len,
                                   skua_now() + 10 * SKUA_SECOND)) > 0) {
        len += (size_t)n;
        if (!ends && strstr(text, "https\n") != NULL)
            break;
    }
    CHECK(ends ? n == 0 : n > 0); /* with close_notify: not a cut */
    CHECK(strstr(text, "\r\n\r\nhttps\n") != NULL);
    skua_tls_close(tls);
    CHECK_EQ(skua_tcp_close(tcp), 0);
}

static int asks_all(void *arg)
{
    struct served *served = arg;

    for (int i = 0; i < 3; i++) {
        asks(served, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true);
        asks(served, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false);
    }
    return 0;
}

TEST_FIBER(tls_http_serves)
{
    struct served served;

    served_begin(&served, 0);
    pair_run(asks_all, &served);
    served_end(&served, 6, 0);
    return 0;
}

TEST_FIBER(tls_http_refuses)
{
    struct served served;
    char text[64];
    skua_tcp *tcp;

    served_begin(&served, MS(300));
    MUST(skua_tcp_connect(&tcp, served.address, NULL) == 0);
    CHECK(skua_tcp_write_all(tcp, "GET / HTTP/1.0\r\n\r\n", 18) == 18); /* no TLS */
    while (skua_tcp_read(tcp, text, sizeof text) > 0)
        ;
    CHECK_EQ(skua_tcp_close(tcp), 0);
    MUST(skua_tcp_connect(&tcp, served.address, NULL) == 0); /* silent */
    CHECK(skua_tcp_read(tcp, text, sizeof text) <= 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served, 0, 2);
    return 0;
}

/* A stop closes connections that are idle, also in the middle of a record, and does not wait. */
static int stays_idle(void *arg)
{
    struct served *served = arg;
    static const char part[] = {23, 3, 3, 0, 99, 1, 2, 3};
    int64_t deadline = skua_now() + 20 * SKUA_SECOND;
    skua_tcp *tcp;
    skua_tls *tls;
    char byte;

    MUST(skua_tcp_connect(&tcp, served->address, NULL) == 0);
    CHECK_EQ(skua_tls_connect(&tls, served->client, skua_tcp_io(tcp), "127.0.0.1", deadline), 0);
    CHECK_EQ(skua_io_write_all(skua_tls_io(tls), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27), 27);
    CHECK_EQ(skua_io_read_until(skua_tls_io(tls), &byte, 1, deadline), 1);
    CHECK_EQ(skua_tcp_write_all(tcp, part, sizeof part), sizeof part);
    (void)skua_sleep(MS(20));
    (void)skua_task_cancel(served->task);
    while (skua_tcp_read_until(tcp, &byte, 1, deadline) > 0)
        ;
    CHECK(skua_now() < deadline - 15 * SKUA_SECOND);
    skua_tls_close(tls);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

TEST_FIBER(tls_http_stops)
{
    struct served served;

    served_begin(&served, 0);
    pair_run(stays_idle, &served);
    served_end(&served, 1, 0);
    return 0;
}

/* Nor does it wait for a handshake. */
TEST_FIBER(tls_http_stops_in_a_handshake)
{
    struct served served;
    int64_t begin;
    skua_tcp *tcp;

    served_begin(&served, SKUA_MINUTE);
    MUST(skua_tcp_connect(&tcp, served.address, NULL) == 0);
    CHECK_EQ(skua_tcp_write_all(tcp, "\x16\x03\x01", 3), 3);
    (void)skua_sleep(MS(20));
    begin = skua_now();
    served_end(&served, 0, 0);
    CHECK(skua_now() - begin < 5 * SKUA_SECOND);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_http_serves),
        cmocka_unit_test(tls_http_refuses),
        cmocka_unit_test(tls_http_stops),
        cmocka_unit_test(tls_http_stops_in_a_handshake),
    };

    return TEST_MAIN(tests);
}
