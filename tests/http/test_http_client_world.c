/* drivers: both */
/* test_http_client_world.c - the client elsewhere: on plain threads, Unix sockets and IPv6, without
 * memory, with another program, and many requests from two workers at a time.
 *
 * Specifies client.h, "Threads" of its calls, .unix_path, and -ENOMEM.
 */
#include <pthread.h>
#include <unistd.h>

#include <skua/process.h>
#include <skua/unix.h>

#include "peer.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define KEPT "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"

static void *peer_thread(void *arg)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, peer_run, arg);
    test_runtime_free(runtime);
    return NULL;
}

/* ---- plain threads --------------------------------------------------------------------------- */

struct line {
    skua_http_client *client;
    const char *url;
    atomic_int wrong;
};

static void *thread_of_a_line(void *arg)
{
    struct line *line = arg;

    for (int i = 0; i < 5; i++)
        if (gets_(line->client, line->url, "a") != 200)
            atomic_fetch_add(&line->wrong, 1);
    return NULL;
}

TEST(client_on_threads)
{
    static const struct act acts[] = {
        {KEPT, STAYS}, {KEPT, STAYS}, {KEPT, STAYS}, {KEPT, STAYS},  {KEPT, STAYS}, {KEPT, STAYS},
        {KEPT, STAYS}, {KEPT, STAYS}, {KEPT, STAYS}, {KEPT, STAYS},  {KEPT, STAYS}, {KEPT, STAYS},
        {KEPT, STAYS}, {KEPT, STAYS}, {KEPT, STAYS}, {KEPT, LEAVES}, {KEPT, STAYS}, {"", LEAVES}};
    struct line line = {.client =
                            client_with(SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = 1))};
    skua_http_response *response;
    pthread_t peer_of, threads[3];
    struct peer peer;

    peer_listen(&peer, acts, TEST_LEN(acts));
    line.url = peer.url;
    MUST(pthread_create(&peer_of, NULL, peer_thread, &peer) == 0);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_create(&threads[i], NULL, thread_of_a_line, &line) == 0);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    CHECK_EQ(atomic_load(&line.wrong), 0);
    CHECK_EQ(client_stats(line.client).connections, 1); /* they stood in line for it */
    CHECK_EQ(gets_(line.client, peer.url, "a"), 200);
    CHECK_EQ(skua_http_client_close_idle(line.client), 1);
    MUST(skua_http_client_send(line.client, SKUA_HTTP_REQUEST(.url = peer.url), &response) == 0);
    CHECK_EQ(skua_http_client_send(line.client,
                                   SKUA_HTTP_REQUEST(.url = peer.url, .timeout = MS(5)),
                                   &(skua_http_response *){NULL}),
             -ETIMEDOUT); /* in line */
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_send(line.client,
                                   SKUA_HTTP_REQUEST(.url = peer.url, .timeout = MS(5)),
                                   &(skua_http_response *){NULL}),
             -ETIMEDOUT); /* for the answer */
    CHECK_EQ(skua_http_client_free(line.client), 0);
    MUST(pthread_join(peer_of, NULL) == 0);
    CHECK_EQ(skua_listener_close(peer.listener), 0);
}

/* ---- other sockets --------------------------------------------------------------------------- */

TEST_FIBER(client_on_a_unix_socket)
{
    static const struct act acts[] = {
        {KEPT, STAYS},
        {"HTTP/1.1 302 x\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", STAYS},
        {KEPT, STAYS},
        {"HTTP/1.1 302 x\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n", LEAVES}};
    static atomic_int names;
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    struct peer peer = {.acts = acts, .count = TEST_LEN(acts)};
    char path[60];

    (void)snprintf(path, sizeof path, "@skua-http-%d-%d", (int)getpid(),
                   atomic_fetch_add(&names, 1));
    MUST(skua_unix_listen(&peer.listener, path, NULL) == 0);
    MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
    for (int i = 0; i < 3; i++) {
        MUST(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = "http://engine/a", .unix_path = path),
                                   &response) == 0);
        CHECK_EQ(skua_http_response_status(response), i < 2 ? 200 : 302); /* not to elsewhere */
        CHECK_TEXT(skua_http_response_url(response),
                   i == 1 ? "http://engine/b" : "http://engine/a");
        CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 10), 0);
        skua_http_response_close(response);
    }
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "GET /a HTTP/1.1\r\nHost: engine\r\n") == peer.heard);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

TEST_FIBER(client_on_ipv6)
{
    static const struct act acts[] = {{KEPT, LEAVES}};
    skua_http_client *client = client_with(NULL);
    struct peer peer = {.acts = acts, .count = 1};
    char address[SKUA_ADDRESS_MAX], wanted[200];
    int rc = skua_tcp_listen(&peer.listener, "[::1]:0", NULL);

    if (rc == 0) { /* not everybody has it */
        MUST(skua_listener_address(peer.listener, address, sizeof address) == 0);
        (void)snprintf(peer.url, sizeof peer.url, "HTTP://%s?x", address);
        (void)snprintf(wanted, sizeof wanted, "GET /?x HTTP/1.1\r\nHost: %s\r\n", address);
        MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
        CHECK_EQ(gets_(client, peer.url, "a"), 200);
        peer_stop(&peer);
        CHECK(strstr(peer.heard, wanted) == peer.heard);
        peer_end(&peer);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_nobody_listens)
{
    skua_http_client *client = client_with(NULL);
    struct peer peer;

    peer_listen(&peer, NULL, 0);
    CHECK_EQ(skua_listener_close(peer.listener), 0);
    CHECK_EQ(gets_(client, peer.url, NULL), -ECONNREFUSED);
    CHECK_EQ(skua_http_client_send(
                 client, SKUA_HTTP_REQUEST(.url = "http://a/", .unix_path = "@skua-nobody"),
                 &(skua_http_response *){NULL}),
             -ECONNREFUSED);
    CHECK_EQ(client_stats(client).connections_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* ---- another program ------------------------------------------------------------------------- */

/* Python's server, which speaks HTTP/1.0, where there is one. */
TEST_FIBER_CURRENT(client_and_pythons_server)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    skua_process *python;
    char text[300], *url = NULL;
    size_t len = 0;
    ssize_t n = 1;
    skua_fd *out;
    int rc = skua_process_spawn(
        &python, SKUA_ARGV("python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"),
        .out = SKUA_STDIO_PIPE, .err = SKUA_STDIO_NULL, .kill_on_close = 1, .cwd = "/");

    test_limit(60);
    out = rc == 0 ? skua_process_take_out(python) : NULL;
    for (text[0] = '\0'; rc == 0 && n > 0 && strchr(text, ')') == NULL; text[len] = '\0') {
        n = skua_fd_read(out, text + len, sizeof text - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (strchr(text, ')') != NULL && (url = strchr(text, '(')) != NULL) {
        *strchr(++url, ')') = '\0';
        MUST(skua_http_get(client, url, 1 << 20, &response) == 0);
        CHECK_EQ(skua_http_response_status(response), 200);
        CHECK_EQ(skua_http_response_version(response), 10);
        CHECK(strstr(skua_http_response_body(response, NULL), "Directory listing") != NULL);
        skua_http_response_close(response);
        CHECK_EQ(gets_(client, AT(url, "no-such-file"), NULL), 404);
        CHECK_EQ(gets_(client, AT(url, "usr"), NULL), 200); /* by way of /usr/ */
        CHECK_EQ(client_stats(client).redirects, 1);
    } else {
        test_note("there is no Python to talk to");
    }
    if (rc == 0) {
        (void)skua_fd_close(out);
        (void)skua_process_close(python);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(client_without_memory)
{
    static const skua_http_field fields[] = {{"A", "b"}};
    static const struct act acts[] = {
        {"HTTP/1.1 302 x\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\na\r\n0\r\nX: y\r\n\r\n",
         STAYS},
        {"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n",
         LEAVES}};
    int before = test_fd_count();
    int failed = 0;

    for (unsigned nth = 1; nth < 100; nth++) {
        skua_http_client *client = NULL;
        skua_http_response *response;
        struct peer peer;
        int rc;

        peer_begin(&peer, acts, TEST_LEN(acts));
        (void)skua_yield(); /* it has made what it needs */
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_http_client_new(&client,
                                  SKUA_HTTP_CLIENT_OPTIONS(.headers = fields, .headers_count = 1,
                                                           .total_timeout = TEST_LATE));
        if (rc == 0)
            rc = skua_http_get(client, peer.url, 100, &response);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        if (rc == 0)
            skua_http_response_close(response);
        else /* it may have been the peer's, who gave up then */
            CHECK(rc == -ENOMEM || rc == -ETIMEDOUT || rc == SKUA_EEOF);
        failed += rc == -ENOMEM;
        CHECK_EQ(skua_http_client_free(client), 0);
        peer_end(&peer);
        if (rc == 0)
            break;
    }
    CHECK_RANGE(failed, 10, 60);
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}
#endif

/* ---- many at a time -------------------------------------------------------------------------- */

struct storm {
    skua_http_client *client;
    struct site sites[3];
    int64_t until;
    atomic_int answers, cancels, wrong;
};

static int storm_answers(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return strcmp(skua_http_path(exchange), "/stream") == 0
               ? (int)skua_http_write(exchange, "stream", 6) - 6
               : skua_http_reply(exchange, 200, NULL, "whole", 5);
}

static int storm_asks(void *arg)
{
    struct storm *storm = arg;
    uint64_t random = 88172645463325252u + (uint64_t)(uintptr_t)&random;

    while (skua_now() < storm->until) {
        uint64_t r = test_random(&random);
        const char *url = AT(storm->sites[r % 3].url, r & 64 ? "/stream" : "/whole");
        skua_http_response *response = NULL;
        skua_deadline frame;
        int rc;

        (void)skua_deadline_begin(&frame, r & 128 ? SKUA_FOREVER
                                                  : skua_now() + (int64_t)(r >> 20 & 0x7ffff));
        rc = skua_http_client_send(storm->client, SKUA_HTTP_REQUEST(.url = url), &response);
        if (rc == 0 && (r & 256)) {
            rc = skua_http_response_read_all(response, NULL, NULL, 6);
            if (rc == 0 &&
                strcmp(skua_http_response_body(response, NULL), r & 64 ? "stream" : "whole") != 0)
                rc = -EPROTO;
        }
        skua_http_response_close(response);
        (void)skua_deadline_end(&frame);
        atomic_fetch_add(rc == 0            ? &storm->answers
                         : rc == -ETIMEDOUT ? &storm->cancels
                                            : &storm->wrong,
                         1);
    }
    return 0;
}

static int storm_run(void *arg)
{
    struct storm *storm = arg;
    skua_scope scope;

    storm->client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = 3, .connections_max = 5));
    for (size_t i = 0; i < TEST_LEN(storm->sites); i++)
        site_begin(&storm->sites[i], storm_answers, NULL,
                   SKUA_HTTP_SERVER_OPTIONS(.requests_max = 7));
    storm->until = skua_now() + test_stress_time(1);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 20; i++)
        MUST(skua_spawn(&scope, storm_asks, storm) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&storm->wrong), 0);
    CHECK(atomic_load(&storm->answers) > 20);
    CHECK_RANGE(client_stats(storm->client).connections_now, 0, 5);
    CHECK_EQ(client_stats(storm->client).connections_now,
             client_stats(storm->client).connections_idle);
    CHECK_EQ(client_stats(storm->client).waiting_now, 0);
    CHECK_EQ(skua_http_client_free(storm->client), 0);
    for (size_t i = 0; i < TEST_LEN(storm->sites); i++)
        site_end(&storm->sites[i]);
    return 0;
}

TEST(client_storm)
{
    static struct storm storm;
    int before = test_fd_count();
    skua_runtime *runtime = test_runtime(&test_kinds[2]);

    test_run(runtime, storm_run, &storm);
    test_runtime_free(runtime);
    CHECK_EQ(test_fd_settle(before), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_on_threads),
        cmocka_unit_test(client_on_a_unix_socket),
        cmocka_unit_test(client_on_ipv6),
        cmocka_unit_test(client_nobody_listens),
#ifdef SKUA_FAULTS
        cmocka_unit_test(client_without_memory),
#endif
        cmocka_unit_test(client_storm),
        cmocka_unit_test(client_and_pythons_server), /* last: its descriptors go late */
    };

    return TEST_MAIN(tests);
}
