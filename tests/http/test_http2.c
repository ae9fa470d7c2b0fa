/* test_http2.c - requests and responses over HTTP/2: what a handler sees, what a client gets.
 *
 * Specifies exchange.h and server.h for HTTP/2, with a client that writes its frames itself.
 */
#include "frames.h"

static int hello(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/plain", "hello\n", 6);
}

/* What a request looks like, as the body. */
static int tells(skua_http_exchange *exchange, void *state)
{
    const char *cookie = skua_http_header(exchange, "Cookie");
    const char *x = skua_http_header(exchange, "X-Name");

    (void)state;
    return skua_http_replyf(
        exchange, 200, "text/plain", "%s %s ? %s at %s, %d over %s, from %s; %lld; %s; %s",
        skua_http_method(exchange), skua_http_path(exchange), skua_http_query(exchange),
        skua_http_authority(exchange), skua_http_version(exchange), skua_http_scheme(exchange),
        skua_http_peer(exchange), (long long)skua_http_body_length(exchange),
        cookie != NULL ? cookie : "-", x != NULL ? x : "-");
}

TEST_FIBER(http2_request)
{
    struct wire *wire = calloc(1, sizeof *wire);
    skua_http_server_stats stats;

    wire_begin(wire, tells, NULL, SKUA_HTTP_SERVER_OPTIONS(.server_name = "me"));
    wire_ask(wire, 1, "GET", "/a%20b?c=d", "x-name: v w\ncookie: a=1\ncookie: b=2\ncookie: c=3\n",
             true);
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->status, 200);
    CHECK_STR(wire_answer(wire, 1)->body,
              "GET /a%20b ? c=d at a, 20 over http, from peer:1; 0; a=1; b=2; c=3; v w");
    CHECK_HAS(wire_answer(wire, 1)->fields, "content-type: text/plain\n");
    CHECK_HAS(wire_answer(wire, 1)->fields, "content-length: 71\n");
    CHECK_HAS(wire_answer(wire, 1)->fields, "server: me\n");
    CHECK_HAS(wire_answer(wire, 1)->fields, "date: ");
    wire_ask(wire, 3, "OPTIONS", "*", NULL, true);
    wire_head(wire, 5, ":method: GET\n:scheme: http\n:path: /\nhost: b:1\n", true);
    wire_until_ended(wire, 3);
    wire_until_ended(wire, 5);
    CHECK_HAS(wire_answer(wire, 3)->body, "OPTIONS * ");
    CHECK_HAS(wire_answer(wire, 5)->body, " at b:1, ");
    skua_http_server_stats_of(wire->server, &stats);
    CHECK_EQ(stats.requests, 3);
    CHECK_EQ(stats.refused, 0);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* The preface may come in pieces, and is no request of HTTP/1.1. */
TEST_FIBER(http2_preface)
{
    static const char all[] = PREFACE "\0\0\0\4\0\0\0\0\0";

    for (size_t piece = 1; piece < sizeof all; piece += 4) {
        struct wire *wire = calloc(1, sizeof *wire);

        wire_begin_mute(wire, hello, NULL, NULL);
        for (size_t at = 0; at < sizeof all - 1; at += piece) {
            wire_say(wire, all + at, piece < sizeof all - 1 - at ? piece : sizeof all - 1 - at);
            (void)skua_yield();
        }
        wire_ask(wire, 1, "GET", "/", NULL, true);
        wire_until_ended(wire, 1);
        CHECK_STR(wire_answer(wire, 1)->body, "hello\n");
        CHECK_EQ(wire_end(wire), 0);
        free(wire);
    }
    return 0;
}

/* As text: what a server says that does not take HTTP/2 for what it is. */
static void says_in_text(const char *said, const char *wanted,
                         const skua_http_server_options *options)
{
    struct wire *wire = calloc(1, sizeof *wire);
    char text[64] = "";

    wire_begin_mute(wire, hello, NULL, options);
    wire_say(wire, said, strlen(said));
    CHECK(skua_io_read(wire->io, text, sizeof text - 1) > 0);
    CHECK(strncmp(text, wanted, strlen(wanted)) == 0);
    (void)wire_end(wire);
    free(wire);
}

TEST_FIBER(http2_or_not)
{
    says_in_text(PREFACE, "HTTP/1.1 ", SKUA_HTTP_SERVER_OPTIONS(.http2 = -1));
    says_in_text("PRI * HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 ", NULL);
    says_in_text("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200", NULL);
    /* No upgrade from HTTP/1.1: it is answered as if there were none. */
    says_in_text("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                 "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
                 "HTTP/1.1 200", NULL);
    return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static int echo(skua_http_exchange *exchange, void *state)
{
    char buf[700];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if ((n = skua_http_write(exchange, buf, (size_t)n)) < 0)
            return (int)n;
    return (int)n;
}

TEST_FIBER(http2_body)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, echo, NULL, NULL);
    wire_ask(wire, 1, "POST", "/", NULL, false);
    wire_frame(wire, DATA, 0, 1, "abc", 3);
    wire_frame(wire, DATA, PADDED, 1, "\2de\0\0", 5);
    wire_sync(wire);
    wire_frame(wire, DATA, 0, 1, NULL, 0);
    wire_frame(wire, DATA, END_STREAM, 1, "fg", 2);
    wire_ask(wire, 3, "POST", "/", "content-length: 2\n", false);
    wire_frame(wire, DATA, END_STREAM, 3, "hi", 2);
    wire_until_ended(wire, 1);
    wire_until_ended(wire, 3);
    CHECK_STR(wire_answer(wire, 1)->body, "abcdefg");
    CHECK_STR(wire_answer(wire, 3)->body, "hi");
    wire_ask(wire, 5, "POST", "/", "content-length: 3\n", false);
    wire_frame(wire, DATA, END_STREAM, 5, "hi", 2);
    wire_ask(wire, 7, "POST", "/", "content-length: 1\n", false);
    wire_frame(wire, DATA, END_STREAM, 7, "hi", 2);
    for (uint32_t id = 5; id <= 7; id += 2) {
        wire_until_ended(wire, id);
        CHECK(wire_answer(wire, id)->reset);
        CHECK_EQ(wire_answer(wire, id)->code, NGHTTP2_PROTOCOL_ERROR);
    }
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

static int asks_first(skua_http_exchange *exchange, void *state)
{
    if (strcmp(skua_http_path(exchange), "/no") == 0)
        return skua_http_reply(exchange, 403, NULL, "no", 2);
    return echo(exchange, state);
}

TEST_FIBER(http2_expect)
{
    struct wire *wire = calloc(1, sizeof *wire);
    struct wire_frame frame;

    wire_begin(wire, asks_first, NULL, NULL);
    wire_ask(wire, 1, "POST", "/", "expect: 100-continue\n", false);
    while (wire_answer(wire, 1)->status != 100 && wire_read(wire, &frame))
        ;
    CHECK_EQ(wire_answer(wire, 1)->status, 100);
    wire_frame(wire, DATA, END_STREAM, 1, "abc", 3);
    wire_until_ended(wire, 1);
    CHECK_EQ(wire_answer(wire, 1)->status, 200);
    CHECK_STR(wire_answer(wire, 1)->body, "abc");
    wire_ask(wire, 3, "POST", "/no", "expect: 100-continue\n", false);
    wire_until_ended(wire, 3);
    CHECK_EQ(wire_answer(wire, 3)->status, 403);
    CHECK_EQ(wire_answer(wire, 3)->heads, 1);
    while (!wire_answer(wire, 3)->reset && wire_read(wire, &frame))
        ;
    CHECK_EQ(wire_answer(wire, 3)->code, NGHTTP2_NO_ERROR); /* we do not want the rest */
    wire_ask(wire, 5, "POST", "/", "expect: something\n", false);
    wire_until_ended(wire, 5);
    CHECK_EQ(wire_answer(wire, 5)->status, 417);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* ---- trailers -------------------------------------------------------------------------------- */

static int sums(skua_http_exchange *exchange, void *state)
{
    char buf[100];
    ssize_t n;
    const char *sum;

    CHECK(skua_http_trailer(exchange, "x-sum") == NULL);
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        ;
    if (n != 0)
        return n == -EBADMSG ? (int)n : 0;
    sum = skua_http_trailer(exchange, "X-Sum");
    CHECK_EQ(skua_http_set_trailer(exchange, "Content-Length", "1"), -EINVAL);
    CHECK_EQ(skua_http_set_trailer(exchange, "a b", "1"), -EINVAL);
    CHECK_EQ(skua_http_set_trailer(exchange, "a", "1\n2"), -EINVAL);
    CHECK_EQ(skua_http_set_trailer(exchange, "a", NULL), -EINVAL);
    CHECK_EQ(skua_http_set_trailer(exchange, "X-Status", "0"), 0);
    CHECK_EQ(skua_http_set_trailer(exchange, "x-status", "1"), 0);
    if (state != NULL)
        return skua_http_reply(exchange, 200, NULL, NULL, 0);
    CHECK_EQ(skua_http_write(exchange, "body", 4), 4);
    CHECK_EQ(skua_http_set_trailer(exchange, "X-Got", sum != NULL ? sum : "-"), 0);
    return 0;
}

TEST_FIBER(http2_trailers)
{
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, sums, NULL, NULL);
    wire_ask(wire, 1, "POST", "/", "te: trailers\n", false);
    wire_frame(wire, DATA, 0, 1, "abc", 3);
    wire_head(wire, 1, "x-sum: 6\n", true);
    wire_ask(wire, 3, "HEAD", "/", NULL, true);
    wire_until_ended(wire, 1);
    wire_until_ended(wire, 3);
    CHECK_STR(wire_answer(wire, 1)->body, "body");
    CHECK_STR(wire_answer(wire, 1)->trailers, "x-status: 1\nx-got: 6\n");
    CHECK_EQ(wire_answer(wire, 3)->body_len, 0);
    CHECK_STR(wire_answer(wire, 3)->trailers, "");
    CHECK_EQ(wire_end(wire), 0);
    wire_begin(wire, sums, wire, NULL); /* trailers without a body */
    wire_ask(wire, 1, "GET", "/", NULL, true);
    wire_until_ended(wire, 1);
    CHECK_STR(wire_answer(wire, 1)->trailers, "x-status: 1\n");
    wire_ask(wire, 3, "GET", "/", NULL, false);
    wire_head(wire, 3, "x-sum: 6\n:path: /\n", true);
    wire_until_ended(wire, 3);
    CHECK_EQ(wire_answer(wire, 3)->code, NGHTTP2_PROTOCOL_ERROR);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* ---- responses ------------------------------------------------------------------------------- */

static int many_kinds(skua_http_exchange *exchange, void *state)
{
    const char *path = skua_http_path(exchange);
    skua_io io;

    (void)state;
    if (strcmp(path, "/empty") == 0)
        return 0;
    if (strcmp(path, "/none") == 0)
        return -ENOENT;
    if (strcmp(path, "/cut") == 0)
        return skua_http_write(exchange, "half", 4) > 0 ? -EIO : 0;
    if (strcmp(path, "/less") == 0) {
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "9"), 0);
        return (int)skua_http_write(exchange, "half", 4) - 4;
    }
    if (strcmp(path, "/long") == 0) { /* more than nghttp2 sends */
        char *value = calloc(1, (2 << 20) + 1);

        MUST(value != NULL);
        memset(value, 'a', 2 << 20);
        CHECK_EQ(skua_http_set_header(exchange, "X-Long", value), 0);
        free(value);
    }
    if (strcmp(path, "/upgrade") == 0) {
        CHECK_EQ(skua_http_upgrade(exchange, "websocket", &io), -ENOTSUP);
        CHECK_EQ(skua_http_begun(exchange), 0);
    }
    CHECK_EQ(skua_http_set_header(exchange, "X-Many", "a"), 0);
    CHECK_EQ(skua_http_add_header(exchange, "X-Many", "b"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "Upgrade", "h3"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "Keep-Alive", "1"), 0);
    for (int i = 0; i < 30; i++)
        CHECK_EQ(skua_http_add_header(exchange, "n", "v"), 0);
    return skua_http_reply(exchange, strcmp(path, "/304") == 0 ? 304 : 200, NULL, "hello", 5);
}

TEST_FIBER(http2_responses)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *body;
        bool reset;
    } all[] = {{"GET", "/empty", 204, "", false}, {"GET", "/none", 404, NULL, false},
               {"GET", "/cut", 200, NULL, true},  {"GET", "/less", 200, NULL, true},
               {"GET", "/", 200, "hello", false}, {"HEAD", "/", 200, "", false},
               {"GET", "/304", 304, "", false},   {"GET", "/upgrade", 200, "hello", false},
               {"HEAD", "/none", 404, "", false}, {"GET", "/long", 0, NULL, true},
               {"CONNECT", "/", 0, NULL, true}};
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, many_kinds, NULL, NULL);
    for (uint32_t i = 0; i < TEST_LEN(all); i++) {
        struct wire_answer *answer = wire_answer(wire, 2 * i + 1);

        wire_ask(wire, 2 * i + 1, all[i].method, all[i].path, NULL, true);
        wire_until_ended(wire, 2 * i + 1);
        if (!CHECK_EQ(answer->status, all[i].status) || !CHECK_EQ(answer->reset, all[i].reset))
            test_note("%s %s", all[i].method, all[i].path);
        if (all[i].body != NULL)
            CHECK_STR(answer->body, all[i].body);
        if (all[i].reset && all[i].status == 200)
            CHECK_EQ(answer->code, NGHTTP2_INTERNAL_ERROR);
        CHECK(strstr(answer->fields, "upgrade") == NULL);
        CHECK(strstr(answer->fields, "keep-alive") == NULL);
    }
    CHECK_HAS(wire_answer(wire, 9)->fields, "x-many: a\nx-many: b\n");
    CHECK_HAS(wire_answer(wire, 11)->fields, "content-length: 5\n");
    CHECK(strstr(wire_answer(wire, 1)->fields, "content-length") == NULL);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

/* ---- requests that are refused --------------------------------------------------------------- */

TEST_FIBER(http2_refused)
{
    static const struct {
        const char *head;
        int status; /* 0: the stream is reset */
    } all[] = {
        {":method: GET\n:scheme: http\n:path: /\n", 0}, /* for whom? */
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\nhost: b\n", 400},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a@b\n", 400},
        {":method: GET\n:scheme: http\n:path: a\n:authority: a\n", 0},
        {":method: GET\n:scheme: http\n:path: /#a\n:authority: a\n", 400},
        {":method: GET\n:scheme: http\n:path: \n:authority: a\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\nX-Upper: b\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\nconnection: close\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\ntransfer-encoding: chunked\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\nte: gzip\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\n:status: 200\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\na: b\n:path: /\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:path: /\n:authority: a\n", 0},
        {":method: GET\n:path: /\n:authority: a\n", 0},
        {":scheme: http\n:path: /\n:authority: a\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\nx: a\rb\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\ncontent-length: x\n", 0},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\n:protocol: websocket\n", 0},
        {":method: CONNECT\n:authority: a:1\n", 501},
        {":method: GET\n:scheme: http\n:path: /\n:authority: a\n", 200},
    };
    struct wire *wire = calloc(1, sizeof *wire);

    wire_begin(wire, hello, NULL, NULL);
    for (uint32_t i = 0; i < TEST_LEN(all); i++) {
        struct wire_answer *answer = wire_answer(wire, 2 * i + 1);

        wire_head(wire, 2 * i + 1, all[i].head, true);
        wire_until_ended(wire, 2 * i + 1);
        if (!CHECK_EQ(answer->status, all[i].status))
            test_note("%s", all[i].head);
        CHECK_EQ(answer->reset, all[i].status == 0);
    }
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

TEST_FIBER(http2_limits)
{
    struct wire *wire = calloc(1, sizeof *wire);
    char lines[4096] = "";
    skua_http_server_stats stats;

    wire_begin(wire, echo, NULL,
               SKUA_HTTP_SERVER_OPTIONS(.head_max = 1024, .headers_max = 10, .body_max = 10));
    for (int i = 0; i < 11; i++)
        (void)snprintf(lines + strlen(lines), 32, "a%d: b\n", i);
    wire_ask(wire, 1, "GET", "/", lines, true);
    (void)snprintf(lines, sizeof lines, "a: %01000d\n", 0);
    wire_ask(wire, 3, "GET", "/", lines, true);
    wire_ask(wire, 5, "POST", "/", "content-length: 11\n", false);
    wire_ask(wire, 7, "POST", "/", NULL, false);
    wire_frame(wire, DATA, END_STREAM, 7, "0123456789a", 11);
    wire_ask(wire, 9, "POST", "/", NULL, false);
    wire_frame(wire, DATA, END_STREAM, 9, "0123456789", 10);
    for (uint32_t id = 1; id <= 9; id += 2)
        wire_until_ended(wire, id);
    CHECK_EQ(wire_answer(wire, 1)->status, 431);
    CHECK_EQ(wire_answer(wire, 3)->status, 431);
    CHECK_EQ(wire_answer(wire, 5)->status, 413);
    CHECK(wire_answer(wire, 7)->reset || wire_answer(wire, 7)->status == 413);
    CHECK_EQ(wire_answer(wire, 9)->status, 200);
    skua_http_server_stats_of(wire->server, &stats);
    CHECK_EQ(stats.refused, 2);
    CHECK_EQ(wire_end(wire), 0);
    free(wire);
    return 0;
}

TEST(http2_options)
{
    skua_http_server *server;

    CHECK_EQ(
        skua_http_server_new(&server, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.stream_window = 1000)),
        -EINVAL);
    CHECK_EQ(skua_http_server_new(&server, hello, NULL,
                                  SKUA_HTTP_SERVER_OPTIONS(.stream_window = 1 << 25)),
             -EINVAL);
    CHECK_EQ(skua_http_server_new(&server, hello, NULL,
                                  SKUA_HTTP_SERVER_OPTIONS(.streams_max = UINT32_MAX)),
             -EINVAL);
    CHECK_EQ(skua_http_server_new(&server, hello, NULL, SKUA_HTTP_SERVER_OPTIONS(.http2 = 2)),
             -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_request),   cmocka_unit_test(http2_preface),
        cmocka_unit_test(http2_or_not),    cmocka_unit_test(http2_body),
        cmocka_unit_test(http2_expect),    cmocka_unit_test(http2_trailers),
        cmocka_unit_test(http2_responses), cmocka_unit_test(http2_refused),
        cmocka_unit_test(http2_limits),    cmocka_unit_test(http2_options),
    };

    return TEST_MAIN(tests);
}
