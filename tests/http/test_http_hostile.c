/* test_http_hostile.c - clients that want the server's time and memory, and handlers in trouble.
 *
 * Specifies server.h, "Defences", where test_http_requests.c cannot: bodies that drip,
 * lengths and headers without an end, limits behind a longer buffer; trailers, limits of one body;
 * and that a response with a hole in it is never gone on with.
 */
#include "../lib/event.h"
#include "talk.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static struct talk *talk_new(skua_http_handler handler, const skua_http_server_options *options)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = handler;
    talk->options = options;
    return talk;
}

/* Answers with the body. */
static int echoes(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, SIZE_MAX);

    (void)state;
    return rc == 0 ? skua_http_reply(exchange, 200, NULL, body, len) : rc;
}

/* ---- trailers -------------------------------------------------------------------------------- */

static const char *trailer(const skua_http_exchange *exchange, const char *name)
{
    const char *value = skua_http_trailer(exchange, name);

    return value != NULL ? value : "none";
}

static int tells_trailers(skua_http_exchange *exchange, void *state)
{
    char buf[100];

    (void)state;
    CHECK(skua_http_trailer(exchange, "sum") == NULL);
    while (skua_http_read(exchange, buf, sizeof buf) > 0)
        ;
    CHECK(skua_http_header(exchange, "sum") == NULL);
    CHECK_STR(skua_http_header(exchange, "x"), "head");
    return skua_http_replyf(exchange, 200, NULL, "%s,%s,%s,%s", trailer(exchange, "Sum"),
                            trailer(exchange, "x"), trailer(exchange, "EMPTY"),
                            trailer(exchange, "other"));
}

TEST_FIBER(http_trailers)
{
    static const char text[] =
        POST "X: head\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
             "sum:\t 1 2 \t\r\nX: behind\r\nEmpty:\r\n\r\n" GET "X: head\r\n\r\n";
    struct talk *talk = talk_new(tells_trailers, NULL);

    for (talk->piece = 0; talk->piece < 4; talk->piece++) {
        talk_to(talk, text);
        CHECK(strncmp(talk_body(talk, 0), "1 2,behind,,noneHTTP/1.1 200", 28) == 0);
        CHECK(strncmp(talk_body(talk, 1), "none,none,none,none", 19) == 0);
    }
    free(talk);
    return 0;
}

/* ---- what has no end ------------------------------------------------------------------------- */

/* `times` times `part` behind `head`, and then `tail`: the status of the answer. */
static int status_of(struct talk *talk, const char *head, const char *part, size_t times,
                     const char *tail)
{
    size_t room = strlen(head) + times * strlen(part) + strlen(tail) + 1;
    char *text = malloc(room);
    char *at;

    MUST(text != NULL);
    at = stpcpy(text, head);
    for (size_t i = 0; i < times; i++)
        at = stpcpy(at, part);
    at = stpcpy(at, tail);
    talk_bytes(talk, text, (size_t)(at - text));
    free(text);
    return talk_status(talk, 0);
}

TEST_FIBER(http_heads_without_an_end)
{
    struct talk *talk = talk_new(echoes, SKUA_HTTP_SERVER_OPTIONS(.headers_max = 4));

    CHECK_EQ(status_of(talk, GET, "A:\r\n", 3, "\r\n"), 200);
    CHECK_EQ(status_of(talk, GET, "A:\r\n", 4, "\r\n"), 431);
    CHECK_EQ(status_of(talk, GET, "A:\r\n", 100, ""), 431); /* and is told so before its end */
    CHECK_EQ(status_of(talk, GET "X: ", "aaaaaaaa", 10000, ""), 431);
    CHECK_EQ(status_of(talk, "GET /", "aaaaaaaa", 10000, ""), 414);
    free(talk);
    return 0;
}

TEST_FIBER(http_trailers_without_an_end)
{
    struct talk *talk =
        talk_new(echoes, SKUA_HTTP_SERVER_OPTIONS(.headers_max = 4, .head_max = 1024));

    CHECK_EQ(status_of(talk, CHUNKED "0\r\n", "A: b\r\n", 4, "\r\n"), 200);
    CHECK_EQ(status_of(talk, CHUNKED "0\r\n", "A: b\r\n", 5, "\r\n"), 400);
    CHECK_EQ(status_of(talk, CHUNKED "0\r\n", "A: b\r\n", 10000, ""), 400);
    CHECK_EQ(status_of(talk, CHUNKED "0\r\nA:", "bbbbbbbb", 10000, ""), 400);
    CHECK_EQ(status_of(talk, CHUNKED "0\r\nA:", "bbbbbbbb", 120, "\r\n\r\n"), 200);
    free(talk);
    return 0;
}

TEST_FIBER(http_chunks_without_an_end)
{
    struct talk *talk = talk_new(echoes, NULL);

    CHECK_EQ(status_of(talk, CHUNKED "1", ";xyz", 1000, "\r\na\r\n0\r\n\r\n"), 200);
    CHECK_EQ(status_of(talk, CHUNKED "1", ";xyz", 10000, "\r\na\r\n0\r\n\r\n"), 400);
    CHECK_EQ(status_of(talk, CHUNKED "1", ";xyz", 10000, ""), 400);
    CHECK_EQ(status_of(talk, CHUNKED "", "0000", 10000, ""), 400);
    CHECK_EQ(status_of(talk, CHUNKED, "1\r\na\r\n", 30000, "0\r\n\r\n"),
             200); /* small ones are fine */
    CHECK_EQ(status_of(talk, CHUNKED, "1;xxxxxxxxxxxxxxxxxxxx\r\na\r\n", 10000, "0\r\n\r\n"), 400);
    free(talk);
    return 0;
}

/* What came behind a body may be more than a head may have; its limit is the same. */
TEST_FIBER(http_head_behind_a_body)
{
    static const char head[] = POST "Content-Length: 2000\r\n\r\n";
    struct talk *talk = talk_new(echoes, SKUA_HTTP_SERVER_OPTIONS(.head_max = 1024));
    char text[12000];
    char *at = stpcpy(text, head);

    memset(at, 'b', 2000);
    at = stpcpy(at + 2000, "GET /");
    memset(at, 'a', 1200); /* the whole head comes together with the body's end */
    (void)stpcpy(at + 1200, " HTTP/1.1\r\nHost: a\r\n\r\n");
    talk_to(talk, text);
    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK_EQ(talk_status(talk, 1), 414);
    free(talk);
    return 0;
}

/* A head that fills its limit exactly, in one piece and byte by byte. */
TEST_FIBER(http_head_of_the_limit)
{
    struct talk *talk = talk_new(echoes, SKUA_HTTP_SERVER_OPTIONS(.head_max = 5000));
    char text[6000];

    for (size_t size = 4998; size < 5003; size++) {
        char *at = stpcpy(text, GET "X: ");
        size_t fill = size - (size_t)(at - text) - 4;

        memset(at, 'x', fill);
        (void)stpcpy(at + fill, "\r\n\r\n");
        MUST(strlen(text) == size);
        for (talk->piece = 0; talk->piece < 2; talk->piece++) {
            talk_to(talk, text);
            CHECK_EQ(talk_status(talk, 0), size <= 5000 ? 200 : 431);
        }
    }
    free(talk);
    return 0;
}

/* ---- limits of one body ---------------------------------------------------------------------- */

static int takes_three(skua_http_exchange *exchange, void *state)
{
    CHECK_EQ(skua_http_set_body_max(exchange, -2), -EINVAL);
    if (strcmp(skua_http_path(exchange), "/three") == 0)
        CHECK_EQ(skua_http_set_body_max(exchange, 3), 0);
    if (strcmp(skua_http_path(exchange), "/any") == 0)
        CHECK_EQ(skua_http_set_body_max(exchange, -1), 0);
    return echoes(exchange, state);
}

TEST_FIBER(http_limit_of_one_body)
{
    struct talk *talk = talk_new(takes_three, SKUA_HTTP_SERVER_OPTIONS(.body_max = 5));

    talk_to(talk, "POST /three HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                  "POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef" POST
                  "Content-Length: 5\r\n\r\nabcde" POST "Content-Length: 6\r\n\r\nabcdef");
    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK_EQ(talk_status(talk, 1), 200);
    CHECK_EQ(talk_status(talk, 2), 200); /* the limit was one request's */
    CHECK_EQ(talk_status(talk, 3), 413);
    talk_to(talk, "POST /three HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
    CHECK_EQ(talk_status(talk, 0), 413);
    free(talk);
    return 0;
}

/* ---- framing of answers without a body ------------------------------------------------------- */

static int quiet(skua_http_exchange *exchange, void *state)
{
    const char *path = skua_http_path(exchange);

    (void)state;
    if (strcmp(path, "/304") == 0)
        return skua_http_reply(exchange, 304, NULL, NULL, 0);
    if (strcmp(path, "/304-7") == 0) {
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "7"), 0);
        return skua_http_set_status(exchange, 304);
    }
    if (strcmp(path, "/204") == 0)
        return skua_http_reply(exchange, 204, NULL, "not sent", 8);
    CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "7"), 0);
    return strcmp(path, "/reply") == 0 ? skua_http_reply(exchange, 200, NULL, NULL, 0) : 0;
}

TEST_FIBER(http_answers_without_a_body)
{
    struct talk *talk = talk_new(quiet, NULL);

    talk_to(talk, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK(strstr(talk->text, "Content-Length: 7\r\n") != NULL);
    talk_to(talk, "HEAD /reply HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(strstr(talk->text, "Content-Length: 7\r\n") != NULL);
    talk_to(talk, "GET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(strstr(talk->text, "Content-Length") == NULL);
    CHECK_STR(talk_body(talk, 0), "");
    talk_to(talk, "GET /304-7 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(strstr(talk->text, "Content-Length: 7\r\n") != NULL);
    CHECK_STR(talk_body(talk, 0), "");
    talk_to(talk, "GET /204 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(strstr(talk->text, "Content-Length") == NULL);
    CHECK_STR(talk_body(talk, 0), "");
    talk_to(talk, GET "\r\n" GET "\r\n"); /* seven bytes are promised, and none comes */
    CHECK(talk_response(talk, 1) == NULL);
    free(talk);
    return 0;
}

/* ---- slow bodies ----------------------------------------------------------------------------- */

/* A client over a connection in memory, by hand. */
struct line {
    struct talk_server server;
    skua_duplex *client;
    skua_scope scope;
};

static void line_begin(struct line *line, skua_http_handler handler, void *state,
                       const skua_http_server_options *options)
{
    MUST(skua_http_server_new(&line->server.server, handler, state, options) == 0);
    MUST(skua_duplex_new(&line->client, &line->server.end, 4096) == 0);
    MUST(skua_scope_open(&line->scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&line->scope, talk_serve, &line->server) == 0);
}

static void line_end(struct line *line)
{
    skua_duplex_close(line->client);
    CHECK_EQ(skua_scope_join(&line->scope), 0);
    skua_http_server_free(line->server.server);
}

static void line_says(struct line *line, const char *text)
{
    (void)skua_io_write_all(skua_duplex_io(line->client), text, strlen(text));
}

/* What comes until the deadline, or the end. */
static size_t line_hears(struct line *line, char *text, size_t room, int64_t deadline)
{
    size_t len = 0;
    ssize_t n = 1;

    while (n > 0 && len < room - 1) {
        n = skua_duplex_read_until(line->client, text + len, room - 1 - len, deadline);
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    return len;
}

/* A body of 10,000 bytes, so many of them every so often: the status, and when it came. */
static int drips(size_t bytes, int64_t every, int64_t *took)
{
    struct line line;
    char text[20000], piece[10001];
    int64_t begun = skua_now();

    line_begin(&line, echoes, NULL, NULL);
    memset(piece, 'a', sizeof piece);
    piece[bytes] = '\0';
    line_says(&line, POST "Content-Length: 10000\r\n\r\n");
    text[0] = '\0';
    for (size_t sent = 0; sent < 10000 && text[0] == '\0'; sent += bytes) {
        line_says(&line, piece);
        (void)line_hears(&line, text, sizeof text, skua_now() + every);
    }
    *took = skua_now() - begun;
    line_end(&line);
    return text[0] != '\0' ? atoi(text + 9) : 0;
}

TEST_FIBER_CLOCK(http_bodies_that_drip)
{
    int64_t took;

    CHECK_EQ(drips(1, 29 * SKUA_SECOND, &took), 408);
    CHECK_RANGE(took, 5 * SKUA_SECOND, 30 * SKUA_SECOND);
    CHECK_EQ(drips(200, SKUA_SECOND, &took), 408);
    CHECK_RANGE(took, 6 * SKUA_SECOND, 40 * SKUA_SECOND);
    CHECK_EQ(drips(250, SKUA_SECOND, &took), 200);
    CHECK_EQ(drips(5000, 20 * SKUA_SECOND, &took), 200); /* it was ahead */
    return 0;
}

/* The handler's own time is not the client's. */
static int thinks(skua_http_exchange *exchange, void *state)
{
    char buf[1000];
    ssize_t n, sum = 0;

    (void)state;
    while ((n = skua_http_read(exchange, buf, 100)) > 0) {
        sum += n;
        CHECK_EQ(skua_sleep(60 * SKUA_SECOND), 0);
    }
    return n == 0 ? skua_http_replyf(exchange, 200, NULL, "%zd", sum) : (int)n;
}

TEST_FIBER_CLOCK(http_handlers_that_think)
{
    struct line line;
    char text[9000], body[8001];

    line_begin(&line, thinks, NULL, NULL);
    memset(body, 'a', 8000);
    body[8000] = '\0';
    line_says(&line, POST "Content-Length: 8000\r\n\r\n");
    line_says(&line, body);
    (void)line_hears(&line, text, sizeof text, skua_now() + 3 * SKUA_HOUR);
    CHECK(strstr(text, "\r\n\r\n8000") != NULL);
    line_end(&line);
    return 0;
}

/* The rate may be left to the time-out between two bytes, and to none. */
TEST_FIBER_CLOCK(http_bodies_without_a_rate)
{
    struct line line;
    char text[9000];

    line_begin(&line, echoes, NULL, SKUA_HTTP_SERVER_OPTIONS(.body_rate_min = -1));
    line_says(&line, POST "Content-Length: 3\r\n\r\na");
    CHECK_EQ(line_hears(&line, text, sizeof text, skua_now() + 29 * SKUA_SECOND), 0);
    line_says(&line, "b");
    CHECK_EQ(line_hears(&line, text, sizeof text, skua_now() + 29 * SKUA_SECOND), 0);
    CHECK_RANGE(line_hears(&line, text, sizeof text, skua_now() + 5 * SKUA_SECOND), 1, 9000);
    CHECK(strstr(text, "408 Request Timeout\r\n") != NULL);
    CHECK(strstr(text, "Connection: close\r\n") != NULL);
    line_end(&line);
    return 0;
}

/* ---- handlers in trouble --------------------------------------------------------------------- */

/* Its deadline ends while its answer is on the way: half of it has been taken. */
static int goes_on(skua_http_exchange *exchange, void *state)
{
    char text[6000];
    skua_deadline frame;

    (void)state;
    memset(text, 'a', sizeof text);
    CHECK_EQ(skua_http_write(exchange, text, sizeof text), sizeof text);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(10)), 0);
    CHECK_EQ(skua_http_read(exchange, text, sizeof text), -ETIMEDOUT);
    (void)skua_deadline_end(&frame);
    CHECK_EQ(skua_http_write(exchange, "tail", 4), -ETIMEDOUT);
    return 0;
}

TEST_FIBER_CLOCK(http_response_with_a_hole)
{
    struct line line;
    char text[20000];

    line_begin(&line, goes_on, NULL, NULL);
    line_says(&line, POST "Content-Length: 3\r\n\r\n");
    CHECK_EQ(skua_sleep(MS(20)), 0);
    (void)line_hears(&line, text, sizeof text, SKUA_FOREVER);
    CHECK(strstr(text, "tail") == NULL);
    CHECK(strstr(text, "\r\n0\r\n\r\n") == NULL);
    line_end(&line);
    return 0;
}

/* Each byte at each place of a value. */
static int sets_values(skua_http_exchange *exchange, void *state)
{
    char text[20];

    (void)state;
    for (size_t len = 1; len < sizeof text; len++)
        for (size_t at = 0; at < len; at++)
            for (int byte = 1; byte < 256; byte++) {
                bool good = byte == '\t' || (byte >= 0x20 && byte != 0x7f);

                memset(text, at % 2 != 0 ? '\xff' : 'a', len);
                text[at] = (char)byte;
                text[len] = '\0';
                MUST(skua_http_set_header(exchange, "X", text) == (good ? 0 : -EINVAL));
                CHECK_EQ(skua_http_set_header(exchange, "X", NULL), 0);
            }
    return 0;
}

TEST_FIBER_CURRENT(http_values)
{
    struct talk *talk = talk_new(sets_values, NULL);

    talk_to(talk, GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 204);
    free(talk);
    return 0;
}

static int allocates(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK(skua_http_alloc(exchange, 0) != NULL);
    CHECK(skua_http_alloc(exchange, SIZE_MAX) == NULL);
    return 0;
}

TEST_FIBER(http_memory_of_nothing)
{
    struct talk *talk = talk_new(allocates, NULL);

    talk_to(talk, GET "\r\n");
    CHECK_EQ(talk_status(talk, 0), 204);
    free(talk);
    return 0;
}

/* Time-outs near the end of time. */
TEST_FIBER_CLOCK(http_time_outs_without_an_end)
{
    const int64_t never = SKUA_FOREVER - 1;
    struct talk *talk =
        talk_new(echoes, SKUA_HTTP_SERVER_OPTIONS(.head_timeout = never, .body_timeout = never,
                                                  .write_timeout = never, .idle_timeout = never,
                                                  .handler_timeout = never));

    talk->piece = 1;
    talk_to(talk, POST "Content-Length: 3\r\n\r\nabc");
    CHECK_EQ(talk_status(talk, 0), 200);
    free(talk);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_trailers),
        cmocka_unit_test(http_heads_without_an_end),
        cmocka_unit_test(http_trailers_without_an_end),
        cmocka_unit_test(http_chunks_without_an_end),
        cmocka_unit_test(http_head_behind_a_body),
        cmocka_unit_test(http_head_of_the_limit),
        cmocka_unit_test(http_limit_of_one_body),
        cmocka_unit_test(http_answers_without_a_body),
        cmocka_unit_test(http_bodies_that_drip),
        cmocka_unit_test(http_handlers_that_think),
        cmocka_unit_test(http_bodies_without_a_rate),
        cmocka_unit_test(http_response_with_a_hole),
        cmocka_unit_test(http_values),
        cmocka_unit_test(http_memory_of_nothing),
        cmocka_unit_test(http_time_outs_without_an_end),
    };

    return TEST_MAIN(tests);
}
