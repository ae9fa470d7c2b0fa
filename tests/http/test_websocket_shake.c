/* test_websocket_shake.c - how WebSockets begin and end on sockets: both sides' handshakes, hostile
 * ones, subprotocols, origins; a server that is stopped.
 *
 * drivers: both
 *
 * Specifies websocket.h: skua_websocket_accept, skua_websocket_connect, "Stopping".
 */
#include <skua/http/websocket.h>

#include "ask.h"
#include "peer.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define GOOD "GET / HTTP/1.1\r\n" UPGRADE VERSION KEY

/* Accepts with the options that are its state, echoes, and closes. */
static int echo(skua_http_exchange *exchange, void *state)
{
    skua_websocket_message message;
    skua_websocket *ws;
    int rc = skua_websocket_accept(&ws, exchange, state);

    if (rc != 0)
        return rc;
    while ((rc = skua_websocket_recv(ws, &message)) == 0)
        if (skua_websocket_send(ws, message.type, message.data, message.len) != 0)
            break;
    (void)skua_websocket_close(ws, rc == -ECANCELED ? 1001 : 1000, "stopping");
    skua_websocket_free(ws);
    return 0;
}

/* ---- a server's ------------------------------------------------------------------------------ */

static int nobody(skua_http_exchange *exchange, const char *origin, void *state)
{
    (void)exchange;
    (void)state;
    return strcmp(origin, "http://friend") == 0;
}

static const skua_websocket_options listed = {.size = sizeof listed,
                                              .origins = "https://x.test, https://y.test:8"};
static const skua_websocket_options anybody = {.size = sizeof anybody, .origins = "*"};
static const skua_websocket_options hooked = {.size = sizeof hooked, .origin = nobody};
static const skua_websocket_options chats = {.size = sizeof chats, .protocols = "chat.v2, chat.v1"};

TEST_FIBER_CURRENT(a_server_judges_requests)
{
    static const struct {
        const char *request;
        const skua_websocket_options *options;
        int status;
        const char *line; /* of the answer */
    } asks[] = {
        /* RFC 6455, 1.3 */
        {GOOD, NULL, 101, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"},
        {GOOD "Connection: x\r\n", NULL, 101, "Upgrade: websocket\r\n"},
        {"POST / HTTP/1.1\r\nContent-Length: 0\r\n" UPGRADE VERSION KEY, NULL, 405,
         "Allow: GET\r\n"},
        {"GET / HTTP/1.1\r\n", NULL, 426, "Upgrade: websocket\r\n"},
        {"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" VERSION KEY, NULL, 426, ""},
        {"GET / HTTP/1.1\r\nUpgrade: websocket\r\n" VERSION KEY, NULL, 426, ""},
        {"GET / HTTP/1.1\r\n" UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", NULL, 426,
         "Sec-WebSocket-Version: 13\r\n"},
        {"GET / HTTP/1.1\r\n" UPGRADE KEY, NULL, 426, "Sec-WebSocket-Version: 13\r\n"},
        {GOOD VERSION, NULL, 426, ""},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION, NULL, 400, ""},
        {GOOD KEY, NULL, 400, ""},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: c2hvcnQ=\r\n", NULL, 400, ""},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",
         NULL, 400, ""},
        {"GET / HTTP/1.1\r\n" UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n",
         NULL, 400, ""},
        {GOOD "Origin: http://a\r\n", NULL, 101, ""}, /* the host is "a" */
        {GOOD "Origin: https://A\r\n", NULL, 101, ""},
        {GOOD "Origin: http://a:81\r\n", NULL, 403, ""},
        {GOOD "Origin: http://b\r\n", NULL, 403, ""},
        {GOOD "Origin: null\r\n", NULL, 403, ""},
        {GOOD "Origin: http://b\r\n", &anybody, 101, ""},
        {GOOD "Origin: https://y.test:8\r\n", &listed, 101, ""},
        {GOOD "Origin: https://y.test\r\n", &listed, 403, ""},
        {GOOD "Origin: http://a\r\n", &listed, 403, ""},
        {GOOD, &listed, 101, ""},
        {GOOD "Origin: http://friend\r\n", &hooked, 101, ""},
        {GOOD "Origin: http://a\r\n", &hooked, 403, ""},
        {GOOD "Sec-WebSocket-Protocol: chat.v1, x, chat.v2\r\n", &chats, 101,
         "Sec-WebSocket-Protocol: chat.v2\r\n"},
        {GOOD "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: chat.v1\r\n", &chats, 101,
         "Sec-WebSocket-Protocol: chat.v1\r\n"},
    };

    for (size_t i = 0; i < TEST_LEN(asks); i++) {
        struct talk *talk;

        test_variant(asks[i].request);
        talk = ask_chain(echo, (void *)(uintptr_t)asks[i].options, asks[i].request);
        CHECK_EQ(talk_status(talk, 0), asks[i].status);
        if (*asks[i].line != '\0')
            CHECK_HAS(talk, asks[i].line);
        if (asks[i].status != 101)
            CHECK_LACKS(talk, "Sec-WebSocket-Accept");
        if (strstr(asks[i].line, "Protocol") == NULL)
            CHECK_LACKS(talk, "Sec-WebSocket-Protocol");
        free(talk);
    }
    return 0;
}

/* Frames that come with the request are not lost. */
TEST_FIBER_CURRENT(frames_behind_the_request)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = echo;
    talk_to(talk, GOOD "Host: a\r\n\r\n"
                       "\x81\x82\1\1\1\1ih\x88\x80\1\1\1\1");
    CHECK_EQ(talk_status(talk, 0), 101);
    CHECK(strstr(talk_body(talk, 0), "\x81\2hi\x88") != NULL);
    free(talk);
    return 0;
}

/* ---- a client's ------------------------------------------------------------------------------ */

static const char *ws_url(const char *url, const char *path)
{
    static char text[512];

    (void)snprintf(text, sizeof text, "ws%s%s", url + 4, path);
    return text;
}

TEST_FIBER(a_client_and_a_server)
{
    const skua_http_field field = {"X-Who", "me"};
    struct site site;
    skua_websocket *ws;
    skua_websocket_message message;
    skua_websocket_info info;
    char *big = calloc(1, 300000);

    MUST(big != NULL);
    site_begin(&site, echo, (void *)(uintptr_t)&chats, NULL);
    MUST(skua_websocket_connect(&ws, ws_url(site.url, "/a?b"),
                                SKUA_WEBSOCKET_OPTIONS(.protocols = "x, chat.v1", .headers = &field,
                                                       .headers_count = 1)) == 0);
    skua_websocket_info_of(ws, &info);
    CHECK_TEXT(info.protocol, "chat.v1");
    CHECK_EQ(info.deflate, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(skua_websocket_send_text(ws, "over sockets"), 0);
        CHECK_EQ(skua_websocket_recv(ws, &message), 0);
        CHECK_TEXT(message.data, "over sockets");
    }
    CHECK_EQ(skua_websocket_send(ws, SKUA_WEBSOCKET_BINARY, big, 300000), 0);
    CHECK_EQ(skua_websocket_recv(ws, &message), 0);
    CHECK_EQ(message.len, 300000);
    CHECK_EQ(skua_websocket_close(ws, 1000, NULL), 0);
    skua_websocket_free(ws);
    free(big);
    site_end(&site);
    return 0;
}

static int answers_falsely(const char *answer)
{
    const struct act acts[] = {{answer, CLOSES}};
    struct peer peer;
    skua_websocket *ws = NULL;
    int rc;

    peer_begin(&peer, acts, 1);
    rc = skua_websocket_connect(
        &ws, ws_url(peer.url, "/"),
        SKUA_WEBSOCKET_OPTIONS(.protocols = "p", .deadline = skua_now() + 2 * TEST_LATE));
    CHECK(ws == NULL);
    peer_end(&peer);
    return rc;
}

TEST_FIBER_CURRENT(a_client_judges_answers)
{
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    CHECK_EQ(answers_falsely("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), -EPROTO);
    CHECK_EQ(answers_falsely("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), -EACCES);
    CHECK_EQ(answers_falsely("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), -ENOENT);
    CHECK_EQ(answers_falsely("HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n"), -EPROTO);
    CHECK_EQ(answers_falsely(SWITCH "\r\n"), -EPROTO); /* no answer to the key */
    CHECK_EQ(answers_falsely(SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
             -EPROTO); /* to another key */
    CHECK_EQ(answers_falsely("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\n\r\n"), -EPROTO);
    CHECK_EQ(answers_falsely("SSH-2.0-x\r\n\r\n"), -EBADMSG);
    CHECK_EQ(answers_falsely(""), SKUA_EEOF);
#undef SWITCH
    return 0;
}

/* A server that answers the key, and then adds what it is told to. */
static int answers_and_adds(skua_http_exchange *exchange, void *state)
{
    const char *const *header = state;
    skua_websocket *ws;

    (void)skua_http_add_header(exchange, header[0], header[1]);
    if (skua_websocket_accept(&ws, exchange, NULL) == 0)
        skua_websocket_free(ws);
    return 0;
}

TEST_FIBER_CURRENT(what_nobody_asked_for)
{
    static const char *const headers[][2] = {
        {"Sec-WebSocket-Protocol", "p"},
        {"Sec-WebSocket-Extensions", "permessage-deflate"},
        {"Sec-WebSocket-Extensions", "x-other"},
    };

    for (size_t i = 0; i < TEST_LEN(headers); i++) {
        struct site site;
        skua_websocket *ws = NULL;

        site_begin(&site, answers_and_adds, (void *)(uintptr_t)headers[i], NULL);
        CHECK_EQ(skua_websocket_connect(&ws, ws_url(site.url, "/"), NULL), -EPROTO);
        site_end(&site);
    }
    return 0;
}

TEST_FIBER_CURRENT(urls_and_headers)
{
    static const char *const bad[] = {"ws:/a",     "ws://", "ws://a#b", "ws://a@b/",
                                      "ws://a:0/", "a",     "ws://a /"};
    const skua_http_field host = {"Host", "a"}, key = {"Sec-WebSocket-Key", "a"},
                          line = {"A", "\n"};
    const skua_http_field *fields[] = {&host, &key, &line};
    skua_websocket *ws = NULL;

    for (size_t i = 0; i < TEST_LEN(bad); i++)
        CHECK_EQ(skua_websocket_connect(&ws, bad[i], NULL), -EINVAL);
    CHECK_EQ(skua_websocket_connect(&ws, "http://a/", NULL), -EPROTONOSUPPORT);
    CHECK_EQ(skua_websocket_connect(&ws, "wss://a/", NULL), -EPROTONOSUPPORT); /* no context */
    for (size_t i = 0; i < TEST_LEN(fields); i++)
        CHECK_EQ(
            skua_websocket_connect(
                &ws, "ws://a/", SKUA_WEBSOCKET_OPTIONS(.headers = fields[i], .headers_count = 1)),
            -EINVAL);
    CHECK_EQ(skua_websocket_connect(&ws, "ws://a/", SKUA_WEBSOCKET_OPTIONS(.protocols = "a b")),
             -EINVAL);
    CHECK_EQ(skua_websocket_connect(&ws, "ws://a/", SKUA_WEBSOCKET_OPTIONS(.protocols = "a, (b)")),
             -EINVAL);
    return 0;
}

static int connects(void *arg)
{
    skua_websocket *ws = NULL;
    int rc = skua_websocket_connect(&ws, arg, NULL);

    CHECK(ws == NULL);
    return rc;
}

TEST_FIBER(a_server_that_does_not_answer)
{
    static const struct act acts[] = {{"", HANGS}, {"HTTP/1.1 101 Switching Pro", LEAVES}};

    for (size_t i = 0; i < TEST_LEN(acts); i++) {
        struct peer peer;
        skua_task *task;
        skua_websocket *ws = NULL;
        int result = 0;
        int before = test_fd_count();

        peer_begin(&peer, &acts[i], 1);
        MUST(skua_spawn(NULL, connects, (void *)(uintptr_t)ws_url(peer.url, "/"), .task = &task) ==
             0);
        CHECK_EQ(skua_sleep(2 * SKUA_MILLISECOND), 0);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        CHECK_EQ(skua_websocket_connect(
                     &ws, ws_url(peer.url, "/"),
                     SKUA_WEBSOCKET_OPTIONS(.deadline = skua_now() + SKUA_MILLISECOND)),
                 -ETIMEDOUT);
        peer_end(&peer);
        CHECK_EQ(test_fd_settle(before), before);
    }
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(a_clients_memory_fails)
{
    const skua_websocket_options options = {
        .size = sizeof options, .deflate = 1, .deadline = skua_now() + 20 * SKUA_SECOND};
    int before = test_fd_count();
    int failed = 0, connected = 0;
    struct site site;

    site_begin(&site, echo, NULL, NULL);
    for (unsigned nth = 1; nth < 40; nth++) {
        skua_websocket *ws = NULL;
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_websocket_connect(&ws, ws_url(site.url, "/"), &options);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK_EQ(rc == 0, ws != NULL);
        if (rc == 0)
            CHECK_EQ(skua_websocket_close(ws, 1000, NULL), 0);
        else /* it may have been the server's */
            CHECK(rc == -ENOMEM || rc == SKUA_EEOF || rc == -EPROTO || rc == -ECONNRESET);
        skua_websocket_free(ws);
        failed += rc == -ENOMEM;
        connected += rc == 0;
    }
    CHECK(failed > 4 && connected > 4);
    site_end(&site);
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}
#endif

/* ---- a server that stops --------------------------------------------------------------------- */

TEST_FIBER(a_server_that_stops_says_so)
{
    struct site site;
    skua_websocket *ws[3];
    skua_websocket_message message;
    skua_websocket_info info;
    int result = 0;

    site_begin(&site, echo, NULL, SKUA_HTTP_SERVER_OPTIONS(.drain_timeout = 10 * SKUA_MILLISECOND));
    for (int i = 0; i < 3; i++) {
        MUST(skua_websocket_connect(&ws[i], ws_url(site.url, "/"), NULL) == 0);
        CHECK_EQ(skua_websocket_send_text(ws[i], "a"), 0);
        CHECK_EQ(skua_websocket_recv(ws[i], &message), 0);
    }
    CHECK_EQ(skua_task_cancel(site.task), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_websocket_recv(ws[i], &message), SKUA_ECLOSED);
        skua_websocket_info_of(ws[i], &info);
        CHECK_EQ(info.close_code, 1001);
        CHECK_TEXT(info.close_reason, "stopping");
        CHECK_EQ(skua_websocket_close(ws[i], 1000, NULL), 0);
        skua_websocket_free(ws[i]);
    }
    CHECK_EQ(skua_task_join(site.task, &result), 0);
    CHECK_EQ(skua_listener_close(site.listener), 0);
    skua_http_server_free(site.server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_judges_requests),
        cmocka_unit_test(frames_behind_the_request),
        cmocka_unit_test(a_client_and_a_server),
        cmocka_unit_test(a_client_judges_answers),
        cmocka_unit_test(what_nobody_asked_for),
        cmocka_unit_test(urls_and_headers),
        cmocka_unit_test(a_server_that_does_not_answer),
#ifdef SKUA_FAULTS
        cmocka_unit_test(a_clients_memory_fails),
#endif
        cmocka_unit_test(a_server_that_stops_says_so),
    };

    return TEST_MAIN(tests);
}
