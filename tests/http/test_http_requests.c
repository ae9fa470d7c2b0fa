/* test_http_requests.c - what is a request, and what is none: a corpus with the status of each.
 *
 * Specifies server.h, "Defences": what two programs may understand differently is refused, and its
 * connection closed; limits; and that all of it is the same whatever the pieces it comes in.
 * Sources: RFC 9112; the smuggling requests that have been published for other servers.
 */
#include "corpus.h"
#include "talk.h"

#include "http/core/http_impl.h"

/* Answers with what it was asked: "GET / ? [body]". */
static int tells(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc = skua_http_read_all(exchange, &body, &len, 100000);

    (void)state;
    if (rc != 0)
        return rc;
    return skua_http_replyf(exchange, 200, "text/plain", "%s %s ?%s @%s [%s]",
                            skua_http_method(exchange), skua_http_path(exchange),
                            skua_http_query(exchange), skua_http_authority(exchange), body);
}

static void check_corpus(struct talk *talk, const struct corpus *at)
{
    test_variant(at->name);
    talk_to(talk, at->text);
    if (!CHECK_EQ(talk_status(talk, 0), at->status))
        test_note("it wrote: %s", talk->text);
    CHECK(talk_response(talk, 1) == NULL);
    if (at->body != NULL)
        CHECK_STR(talk_body(talk, 0), at->body);
    /* A body may be malformed: then the handler has had the request. */
    if (at->status >= 400)
        CHECK(strstr(talk->text, "Connection: close\r\n") != NULL);
}

TEST_FIBER(http_corpus)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = tells;
    for (size_t i = 0; i < TEST_LEN(corpus); i++)
        for (size_t piece = 0; piece < 4; piece++) {
            talk->piece = piece;
            check_corpus(talk, &corpus[i]);
        }
    free(talk);
    return 0;
}

/* Behind a request that was refused nothing is answered. */
TEST_FIBER(http_refused_is_the_last)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = tells;
    for (size_t i = 0; i < TEST_LEN(corpus); i++) {
        char text[2048];

        if (corpus[i].status < 400)
            continue;
        test_variant(corpus[i].name);
        (void)snprintf(text, sizeof text, "%s%s", corpus[i].text, GET("/second") "\r\n");
        talk_to(talk, text);
        CHECK(strstr(talk->text, "/second") == NULL);
        CHECK(talk_response(talk, 1) == NULL);
    }
    free(talk);
    return 0;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static int status_with(const skua_http_server_options *options, const char *text, size_t len)
{
    struct talk *talk = calloc(1, sizeof *talk);
    int status;

    MUST(talk != NULL);
    talk->handler = tells;
    talk->options = options;
    talk_bytes(talk, text, len);
    status = talk_status(talk, 0);
    CHECK(status == 200 || strstr(talk->text, "Connection: close\r\n") != NULL);
    free(talk);
    return status;
}

TEST_FIBER(http_limits)
{
    const skua_http_server_options *options =
        SKUA_HTTP_SERVER_OPTIONS(.head_max = 1024, .headers_max = 4, .body_max = 10);
    char text[8192];
    int len;

    len = snprintf(text, sizeof text, "GET /%0900d HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    CHECK_EQ(status_with(options, text, (size_t)len), 200);
    len = snprintf(text, sizeof text, "GET /%02000d HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    CHECK_EQ(status_with(options, text, (size_t)len), 414);
    len = snprintf(text, sizeof text, GET("/") "X: %02000d\r\n\r\n", 1);
    CHECK_EQ(status_with(options, text, (size_t)len), 431);
    len = snprintf(text, sizeof text, GET("/") "A: 1\r\nB: 2\r\nC: 3\r\n\r\n");
    CHECK_EQ(status_with(options, text, (size_t)len), 200);
    len = snprintf(text, sizeof text, GET("/") "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n");
    CHECK_EQ(status_with(options, text, (size_t)len), 431);
    len = snprintf(text, sizeof text, POST "Content-Length: 10\r\n\r\n0123456789");
    CHECK_EQ(status_with(options, text, (size_t)len), 200);
    len = snprintf(text, sizeof text, POST "Content-Length: 11\r\n\r\n0123456789a");
    CHECK_EQ(status_with(options, text, (size_t)len), 413);
    len = snprintf(text, sizeof text,
                   POST "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n");
    CHECK_EQ(status_with(options, text, (size_t)len), 413);
    return 0;
}

/* By itself: the parser of today refuses most of these, too, which another version may not. */
TEST(http_lines_are_whole)
{
    static const struct {
        const char *text;
        size_t len;
        bool whole;
    } heads[] = {
        {"", 0, true},
        {"a\r\n\r\n", 5, true},
        {"a\r\nb\r\n\r\n", 8, true},
        {"a\n", 2, false},
        {"\na", 2, false},
        {"a\r\nb\n\r\n", 7, false},
        {"a\r\r\n", 4, false},
        {"a\rb\r\n", 5, false},
        {"a\r", 2, false},
        {"a\r\n b\r\n", 7, false},
        {"a\r\n\tb\r\n", 7, false},
        {"a\0b\r\n", 5, false},
    };

    for (size_t i = 0; i < TEST_LEN(heads); i++) {
        test_variant(heads[i].text);
        CHECK_EQ(skua__http_lines_are_whole(heads[i].text, heads[i].len), heads[i].whole);
    }
}

/* ---- trailers of a response ------------------------------------------------------------------ */

static int ends_with_a_sum(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_set_trailer(exchange, "Host", "a"), -EINVAL);
    CHECK_EQ(skua_http_write(exchange, "body", 4), 4);
    CHECK_EQ(skua_http_set_trailer(exchange, "X-Sum", "1"), 0);
    CHECK_EQ(skua_http_set_trailer(exchange, "x-sum", "2"), 0);
    CHECK_EQ(skua_http_set_trailer(exchange, "X-Other", ""), 0);
    return 0;
}

static int ends_too_early(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_set_trailer(exchange, "X-Sum", "1"), 0);
    CHECK_EQ(skua_http_reply(exchange, 200, NULL, "body", 4), 0);
    CHECK_EQ(skua_http_set_trailer(exchange, "X-Sum", "2"), -EALREADY);
    return 0;
}

/* Only behind chunks, and only to who looks at them. */
TEST_FIBER(http_response_trailers)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = ends_with_a_sum;
    talk_to(talk, "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip, trailers\r\n\r\n");
    CHECK_STR(talk_body(talk, 0), "00000004\r\nbody\r\n0\r\nx-sum: 2\r\nX-Other: \r\n\r\n");
    talk_to(talk, "GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\n\r\n");
    CHECK_STR(talk_body(talk, 0), "00000004\r\nbody\r\n0\r\n\r\n");
    talk_to(talk, "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n");
    CHECK_STR(talk_body(talk, 0), "body");
    talk->handler = ends_too_early;
    talk_to(talk, "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    CHECK_STR(talk_body(talk, 0), "body");
    free(talk);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_lines_are_whole),     cmocka_unit_test(http_corpus),
        cmocka_unit_test(http_refused_is_the_last), cmocka_unit_test(http_limits),
        cmocka_unit_test(http_response_trailers),
    };

    return TEST_MAIN(tests);
}
