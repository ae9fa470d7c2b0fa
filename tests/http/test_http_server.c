/* drivers: both */
/* test_http_server.c - a server on sockets: connections, pipelining, bodies, time-outs, stopping.
 *
 * Specifies server.h and the behaviour of exchange.h on a connection: answers in their order,
 * connections kept and closed as RFC 9112 (9) says, a body read late or not at all, a client that
 * is slow, silent or gone, a handler that fails before and behind its first byte, and a stop that
 * lets what is under way end.
 */
#include "../lib/event.h"
#include "../lib/sockets.h"
#include "served.h"

/* ---- connections ----------------------------------------------------------------------------- */

TEST_FIBER(http_connection_is_kept)
{
    struct served served;
    skua_http_server_stats stats;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, hello, NULL, NULL);
    tcp = connected(&served);
    for (int i = 0; i < 3; i++) {
        says(tcp, GET "\r\n");
        hears(tcp, text, sizeof text, "hello\n", 1);
        CHECK(strstr(text, "Content-Length: 6\r\n") != NULL);
        CHECK(strstr(text, "Date: ") != NULL);
        CHECK(strstr(text, "Connection:") == NULL);
    }
    skua_http_server_stats_of(served.server, &stats);
    CHECK_EQ(stats.connections, 1);
    CHECK_EQ(stats.connections_now, 1);
    CHECK_EQ(stats.requests, 3);
    says(tcp, GET "Connection: close\r\n\r\n");
    hears(tcp, text, sizeof text, "hello\n", 1);
    CHECK(strstr(text, "Connection: close\r\n") != NULL);
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

TEST_FIBER(http_old_clients)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, hello, NULL, NULL);
    tcp = connected(&served);
    says(tcp, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hears(tcp, text, sizeof text, "hello\n", 1);
    CHECK(strstr(text, "Connection: keep-alive\r\n") != NULL);
    says(tcp, "GET / HTTP/1.0\r\n\r\n");
    hears(tcp, text, sizeof text, "hello\n", 1);
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

TEST_FIBER(http_pipelined)
{
    struct served served;
    skua_tcp *tcp;
    char text[16384] = "";

    served_begin(&served, hello, NULL, NULL);
    tcp = connected(&served);
    for (int i = 0; i < 50; i++)
        strncat(text, GET "\r\n", sizeof text - strlen(text) - 1);
    says(tcp, text);
    hears(tcp, text, sizeof text, "hello\n", 50);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

TEST_FIBER(http_connection_of_so_many_requests)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.requests_max = 2));
    tcp = connected(&served);
    says(tcp, GET "\r\n" GET "\r\n" GET "\r\n");
    hears(tcp, text, sizeof text, "hello\n", 2);
    CHECK(strstr(strstr(text, "hello\n"), "Connection: close\r\n") != NULL);
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

TEST_FIBER(http_many_at_once)
{
    struct served served;
    skua_tcp *tcp[20];
    char text[4096];

    served_begin(&served, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.connections_max = 5));
    for (size_t i = 0; i < TEST_LEN(tcp); i++) {
        tcp[i] = connected(&served);
        says(tcp[i], GET "\r\n");
    }
    for (size_t i = 0; i < TEST_LEN(tcp); i++) { /* those that are beyond wait for the others */
        hears(tcp[i], text, sizeof text, "hello\n", 1);
        CHECK_EQ(skua_tcp_close(tcp[i]), 0);
    }
    served_end(&served);
    return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static int echo(skua_http_exchange *exchange, void *state)
{
    char buf[3000];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if ((n = skua_http_write(exchange, buf, (size_t)n)) < 0)
            break;
    return (int)n;
}

TEST_FIBER(http_body_is_asked_for)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, echo, NULL, NULL);
    tcp = connected(&served);
    says(tcp, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    hears(tcp, text, sizeof text, "\r\n\r\n", 1);
    CHECK_STR(text, "HTTP/1.1 100 Continue\r\n\r\n");
    says(tcp, "abcde");
    hears(tcp, text, sizeof text, "\r\n0\r\n\r\n", 1);
    CHECK(strstr(text, "00000005\r\nabcde\r\n") != NULL);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

/* Who is not asked may not send it; nobody knows whether the next bytes are the body. */
TEST_FIBER(http_body_is_not_asked_for)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, hello, NULL, NULL);
    tcp = connected(&served);
    says(tcp, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    hears(tcp, text, sizeof text, "hello\n", 1);
    CHECK(strstr(text, "100 Continue") == NULL);
    CHECK(strstr(text, "Connection: close\r\n") != NULL);
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

TEST_FIBER(http_body_that_nobody_reads)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, hello, NULL, NULL);
    tcp = connected(&served);
    says(tcp,
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde" GET "\r\n"
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET
         "\r\n");
    hears(tcp, text, sizeof text, "hello\n", 4);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

static int streams(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_set_header(exchange, "X-Kind", "stream"), 0);
    CHECK_EQ(skua_http_write(exchange, "one", 3), 3);
    CHECK_EQ(skua_http_begun(exchange), 1);
    CHECK_EQ(skua_http_set_status(exchange, 500), -EALREADY);
    CHECK_EQ(skua_http_set_header(exchange, "X-Kind", "other"), -EALREADY);
    CHECK_EQ(skua_http_flush(exchange), 0);
    CHECK_EQ(skua_http_flush(exchange), 0); /* an empty chunk would be the end */
    CHECK_EQ(skua_http_write(exchange, "", 0), 0);
    CHECK_EQ(skua_http_write(exchange, "two", 3), 3);
    return 0;
}

TEST_FIBER(http_body_in_chunks)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = streams;
    talk_to(talk, GET "\r\n");
    CHECK(strstr(talk->text, "Transfer-Encoding: chunked\r\n") != NULL);
    CHECK(strstr(talk->text, "X-Kind: stream\r\n") != NULL);
    CHECK_STR(talk_body(talk, 0), "00000003\r\none\r\n00000003\r\ntwo\r\n0\r\n\r\n");
    talk_to(talk, "GET / HTTP/1.0\r\n\r\n");
    CHECK_STR(talk_body(talk, 0), "onetwo");
    CHECK(strstr(talk->text, "Connection: close\r\n") != NULL);
    talk_to(talk, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(talk_body(talk, 0), "");
    free(talk);
    return 0;
}

static int is_big(skua_http_exchange *exchange, void *state)
{
    size_t len = (size_t)atoi(skua_http_query(exchange));
    char *text = malloc(len + 1);
    int rc;

    (void)state;
    MUST(text != NULL);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 23);
    if (strcmp(skua_http_path(exchange), "/whole") == 0) {
        rc = skua_http_reply(exchange, 200, NULL, text, len);
    } else {
        rc = skua_http_write(exchange, text, len) == (ssize_t)len ? 0 : -EIO;
    }
    free(text);
    return rc;
}

TEST_FIBER(http_bodies_of_all_sizes)
{
    static const int sizes[] = {1, 100, 15000, 16000, 16383, 16384, 16385, 40000, 200000};
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = is_big;
    for (size_t i = 0; i < TEST_LEN(sizes); i++) {
        char text[200];
        const char *body;

        (void)snprintf(text, sizeof text, "GET /whole?%d HTTP/1.1\r\nHost: a\r\n\r\n", sizes[i]);
        talk_to(talk, text);
        body = talk_body(talk, 0);
        CHECK_EQ(strlen(body), sizes[i]);
        for (int k = 0; k < sizes[i]; k++)
            MUST(body[k] == 'a' + k % 23);
        (void)snprintf(text, sizeof text, "GET /parts?%d HTTP/1.0\r\n\r\n", sizes[i]);
        talk_to(talk, text);
        CHECK_EQ(strlen(talk_body(talk, 0)), sizes[i]);
    }
    free(talk);
    return 0;
}

/* ---- handlers that fail ---------------------------------------------------------------------- */

static int fails(skua_http_exchange *exchange, void *state)
{
    const char *query = skua_http_query(exchange);

    (void)state;
    if (strcmp(query, "late") == 0)
        CHECK_EQ(skua_http_write(exchange, "half", 4), 4);
    if (strcmp(query, "short") == 0) {
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "10"), 0);
        CHECK_EQ(skua_http_write(exchange, "half", 4), 4);
        return 0;
    }
    if (strcmp(query, "long") == 0) {
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "3"), 0);
        CHECK_EQ(skua_http_write(exchange, "half", 4), -EMSGSIZE);
        CHECK_EQ(skua_http_write(exchange, "abc", 3), 3);
        return 0;
    }
    if (strcmp(query, "nothing") == 0)
        return 0;
    CHECK_EQ(skua_http_set_header(exchange, "X-Secret", "y"),
             skua_http_begun(exchange) ? -EALREADY : 0);
    return -ENOENT;
}

TEST_FIBER(http_handlers_that_fail)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = fails;
    talk_to(talk, "GET /?early HTTP/1.1\r\nHost: a\r\n\r\n" GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 404);
    CHECK_EQ(talk_status(talk, 1), 404); /* the connection goes on */
    CHECK(strstr(talk->text, "X-Secret") == NULL);
    talk_to(talk, "GET /?late HTTP/1.1\r\nHost: a\r\n\r\n" GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK(talk_response(talk, 1) == NULL);
    CHECK(strstr(talk->text, "\r\n0\r\n") == NULL); /* the client sees that it is cut */
    talk_to(talk, "GET /?short HTTP/1.1\r\nHost: a\r\n\r\n" GET "\r\n");
    CHECK(talk_response(talk, 1) == NULL);
    talk_to(talk, "GET /?long HTTP/1.1\r\nHost: a\r\n\r\n" GET "\r\n");
    CHECK_EQ(talk_status(talk, 1), 404);
    CHECK(strstr(talk->text, "\r\n\r\nabcHTTP/1.1") != NULL);
    talk_to(talk, "GET /?nothing HTTP/1.1\r\nHost: a\r\n\r\n" GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 204);
    CHECK_EQ(talk_status(talk, 1), 404);
    free(talk);
    return 0;
}

static int bad_headers(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_set_header(exchange, "X Y", "a"), -EINVAL);
    CHECK_EQ(skua_http_set_header(exchange, "", "a"), -EINVAL);
    CHECK_EQ(skua_http_set_header(exchange, "X", "a\r\nY: b"), -EINVAL);
    CHECK_EQ(skua_http_set_header(exchange, "Connection", "close"), -EINVAL);
    CHECK_EQ(skua_http_set_header(exchange, "transfer-encoding", "chunked"), -EINVAL);
    CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "x"), -EINVAL);
    CHECK_EQ(skua_http_add_header(exchange, "X", NULL), -EINVAL);
    CHECK_EQ(skua_http_set_status(exchange, 199), -EINVAL);
    CHECK_EQ(skua_http_set_status(exchange, 600), -EINVAL);
    CHECK_EQ(skua_http_add_header(exchange, "Set-Cookie", "a=1"), 0);
    CHECK_EQ(skua_http_add_header(exchange, "Set-Cookie", "b=2"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "X", "1"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "x", "2"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "Gone", "2"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "Gone", NULL), 0);
    CHECK_EQ(skua_http_reply(exchange, 201, NULL, "x", 1), 0);
    CHECK_EQ(skua_http_reply(exchange, 201, NULL, "x", 1), -EALREADY);
    CHECK_EQ(skua_http_write(exchange, "x", 1), -EALREADY);
    return 0;
}

TEST_FIBER(http_headers_of_a_response)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = bad_headers;
    talk->options = SKUA_HTTP_SERVER_OPTIONS(.server_name = "skua/test");
    talk_to(talk, GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 201);
    CHECK(strstr(talk->text, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n") != NULL);
    CHECK(strstr(talk->text, "x: 2\r\n") != NULL);
    CHECK(strstr(talk->text, "X: 1\r\n") == NULL);
    CHECK(strstr(talk->text, "Gone") == NULL);
    CHECK(strstr(talk->text, "Server: skua/test\r\n") != NULL);
    free(talk);
    return 0;
}

/* ---- slow and silent clients ----------------------------------------------------------------- */

TEST_FIBER(http_time_outs)
{
    struct served served;
    skua_tcp *tcp;
    char text[4096];

    served_begin(&served, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.idle_timeout = MS(30)));
    tcp = connected(&served);
    hears_the_end(tcp); /* says nothing: no answer either */
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    served_begin(&served, echo, NULL,
                 SKUA_HTTP_SERVER_OPTIONS(.head_timeout = MS(30), .body_timeout = MS(30)));
    tcp = connected(&served);
    says(tcp, "GET / HT");
    hears(tcp, text, sizeof text, "408 Request Timeout\n", 1);
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    tcp = connected(&served);
    says(tcp, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    hears_the_end(tcp);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    served_end(&served);
    return 0;
}

static int sleeps(skua_http_exchange *exchange, void *state)
{
    int rc = skua_sleep(SKUA_HOUR);

    CHECK_EQ(rc, (intptr_t)state);
    return rc != 0 ? rc : hello(exchange, NULL);
}

TEST_FIBER(http_handlers_time_out)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = sleeps;
    talk->state = (void *)(intptr_t)-ETIMEDOUT;
    talk->options = SKUA_HTTP_SERVER_OPTIONS(.handler_timeout = MS(10));
    talk_to(talk, GET "\r\n" GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 504);
    CHECK_EQ(talk_status(talk, 1), 504);
    free(talk);
    return 0;
}

/* ---- stopping -------------------------------------------------------------------------------- */

struct gate {
    struct test_event inside, open;
    int rc; /* of the wait, as it is to be */
};

static int waits_inside(skua_http_exchange *exchange, void *state)
{
    struct gate *gate = state;

    test_event_set(&gate->inside);
    CHECK_EQ(test_event_wait(&gate->open), gate->rc);
    return hello(exchange, NULL);
}

static int opens(void *arg)
{
    struct gate *gate = arg;

    (void)skua_sleep(MS(20));
    test_event_set(&gate->open);
    return 0;
}

TEST_FIBER(http_stop_lets_requests_end)
{
    struct gate gate = {.rc = 0};
    struct served served;
    skua_tcp *busy, *idle;
    char text[4096];

    test_event_init(&gate.inside);
    test_event_init(&gate.open);
    served_begin(&served, waits_inside, &gate, NULL);
    idle = connected(&served);
    busy = connected(&served);
    says(busy, GET "\r\n");
    CHECK_EQ(test_event_wait(&gate.inside), 0);
    CHECK_EQ(skua_spawn(NULL, opens, &gate), 0);
    served_end(&served);
    hears(busy, text, sizeof text, "hello\n", 1);
    CHECK(strstr(text, "Connection: close\r\n") != NULL);
    hears_the_end(busy);
    hears_the_end(idle);
    CHECK_EQ(skua_tcp_close(busy), 0);
    CHECK_EQ(skua_tcp_close(idle), 0);
    return 0;
}

TEST_FIBER(http_stop_has_an_end)
{
    struct gate gate = {.rc = -ECANCELED};
    struct served served;
    skua_tcp *busy;

    test_event_init(&gate.inside);
    test_event_init(&gate.open);
    served_begin(&served, waits_inside, &gate, SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = MS(20)));
    busy = connected(&served);
    says(busy, GET "\r\n");
    CHECK_EQ(test_event_wait(&gate.inside), 0);
    served_end(&served);
    CHECK_EQ(skua_tcp_close(busy), 0);
    return 0;
}

TEST_FIBER(http_listener_that_is_closed)
{
    struct served served;
    int result = 0;

    served_begin(&served, hello, NULL, NULL);
    CHECK_EQ(skua_listener_close(served.listener), 0);
    CHECK_EQ(skua_task_join(served.task, &result), 0);
    CHECK_EQ(result, SKUA_ECLOSED);
    skua_http_server_free(served.server);
    return 0;
}

#ifdef SKUA_FAULTS
/* Whatever is not to be had: an answer or the end of the connection, and nothing is left. */
TEST_FIBER_CURRENT(http_without_memory)
{
    struct talk *talk = calloc(1, sizeof *talk);
    char text[9000];
    int answers = 0;

    MUST(talk != NULL);
    talk->handler = echo;
    (void)snprintf(text, sizeof text,
                   "POST /%05000d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET "\r\n",
                   1);
    for (talk->fault = 1; talk->fault < 20; talk->fault++) {
        skua_http_server *server;

        talk_bytes(talk, text, strlen(text));
        answers += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) == 503);
        skua__fault_arm(SKUA__FAULT_MALLOC, talk->fault, 1, ENOMEM);
        if (skua_http_server_new(&server, echo, NULL,
                                 SKUA_HTTP_SERVER_OPTIONS(.server_name = "a", .peer_max = 1)) == 0)
            skua_http_server_free(server);
        else
            CHECK(talk->fault <= 3);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
    CHECK_RANGE(answers, 5, 18);
    free(talk);
    return 0;
}
#endif

TEST(http_server_options)
{
    skua_http_server_options bad = {.size = 1};
    skua_http_server *server;

    CHECK_EQ(skua_http_server_new(&server, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_http_server_new(&server, hello, NULL, &bad), -EINVAL);
    skua_http_server_options_init(&bad);
    bad.idle_timeout = -1;
    CHECK_EQ(skua_http_server_new(&server, hello, NULL, &bad), -EINVAL);
    skua_http_server_options_init(&bad);
    bad.server_name = "a\r\nb";
    CHECK_EQ(skua_http_server_new(&server, hello, NULL, &bad), -EINVAL);
    skua_http_server_options_init(&bad);
    bad.head_max = 10;
    CHECK_EQ(skua_http_server_new(&server, hello, NULL, &bad), -EINVAL);
    skua_http_server_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_connection_is_kept),
        cmocka_unit_test(http_old_clients),
        cmocka_unit_test(http_pipelined),
        cmocka_unit_test(http_connection_of_so_many_requests),
        cmocka_unit_test(http_many_at_once),
        cmocka_unit_test(http_body_is_asked_for),
        cmocka_unit_test(http_body_is_not_asked_for),
        cmocka_unit_test(http_body_that_nobody_reads),
        cmocka_unit_test(http_body_in_chunks),
        cmocka_unit_test(http_bodies_of_all_sizes),
        cmocka_unit_test(http_handlers_that_fail),
        cmocka_unit_test(http_headers_of_a_response),
        cmocka_unit_test(http_time_outs),
        cmocka_unit_test(http_handlers_time_out),
        cmocka_unit_test(http_stop_lets_requests_end),
        cmocka_unit_test(http_stop_has_an_end),
        cmocka_unit_test(http_listener_that_is_closed),
        cmocka_unit_test(http_server_options),
#ifdef SKUA_FAULTS
        cmocka_unit_test(http_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
