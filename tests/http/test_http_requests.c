/* test_http_requests.c - what is a request, and what is none: a corpus with the status of each.
 *
 * Specifies server.h, "Defences": what two programs may understand differently is refused, and its
 * connection closed; limits; and that all of it is the same whatever the pieces it comes in.
 * Sources: RFC 9112; the smuggling requests that have been published for other servers.
 */
#include "talk.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

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

struct corpus {
    const char *name;
    const char *text;
    int status;
    const char *body; /* NULL: whatever */
};

static const struct corpus corpus[] = {
    {"plain", GET("/") "\r\n", 200, "GET / ? @a []"},
    {"query", GET("/a/b?c=d?e") "\r\n", 200, "GET /a/b ?c=d?e @a []"},
    {"blank lines before", "\r\n\r\n" GET("/") "\r\n", 200, "GET / ? @a []"},
    {"absolute", "GET http://b:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x ?y @b:80 []"},
    {"absolute, no path", "GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET / ? @b []"},
    {"absolute, query only", "GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET / ?x @b []"},
    {"absolute, in capitals", "GET HTTP://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /x ? @b []"},
    {"absolute, of the server", "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", 200,
     "OPTIONS * ? @b []"},
    {"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200, "OPTIONS * ? @a []"},
    {"1.0 without a host", "GET / HTTP/1.0\r\n\r\n", 200, "GET / ? @ []"},
    {"length", POST "Content-Length: 3\r\n\r\nabc", 200, "POST / ? @a [abc]"},
    {"length 0", POST "Content-Length: 0\r\n\r\n", 200, "POST / ? @a []"},
    {"chunks", POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200,
     "POST / ? @a [abcde]"},
    {"chunks, in any case", POST "transfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200,
     "POST / ? @a []"},
    {"trailers", POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", 200,
     "POST / ? @a [a]"},
    {"trailers without a value",
     POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX:\r\nY: \r\n\r\n", 200,
     "POST / ? @a [a]"},
    {"empty value", GET("/") "X:\r\nY: \r\n\r\n", 200, NULL},
    {"bytes over 127 in a value", GET("/") "X: \xc3\xa9\xff\r\n\r\n", 200, NULL},
    {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 200, NULL},

    {"no host", "GET / HTTP/1.1\r\n\r\n", 400, NULL},
    {"two hosts", GET("/") "Host: b\r\n\r\n", 400, NULL},
    {"two equal hosts", GET("/") "host: a\r\n\r\n", 400, NULL},
    {"a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, NULL},
    {"a host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, NULL},
    {"a host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, NULL},
    {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400, NULL},
    {"bare LF in one line", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, NULL},
    {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400, NULL},
    {"bare CR in a value", GET("/") "X: a\rb\r\n\r\n", 400, NULL},
    {"folded", GET("/") "X: a\r\n b\r\n\r\n", 400, NULL},
    {"folded with a tab", GET("/") "X: a\r\n\tb\r\n\r\n", 400, NULL},
    {"folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, NULL},
    {"blank before the colon", GET("/") "X : a\r\n\r\n", 400, NULL},
    {"tab before the colon", GET("/") "X\t: a\r\n\r\n", 400, NULL},
    {"no name", GET("/") ": a\r\n\r\n", 400, NULL},
    {"no colon", GET("/") "X\r\n\r\n", 400, NULL},
    {"a name with a blank", GET("/") "X Y: a\r\n\r\n", 400, NULL},
    {"a name with a byte over 127", GET("/") "X\xc3: a\r\n\r\n", 400, NULL},
    {"a value with DEL", GET("/") "X: \x7f\r\n\r\n", 400, NULL},
    {"a value with a control", GET("/") "X: a\x01\r\n\r\n", 400, NULL},
    {"length and chunks", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400, NULL},
    {"chunks and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     400, NULL},
    {"two lengths", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, NULL},
    {"two equal lengths", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, NULL},
    {"a list of lengths", POST "Content-Length: 3, 3\r\n\r\nabc", 400, NULL},
    {"a length with a sign", POST "Content-Length: +3\r\n\r\nabc", 400, NULL},
    {"a negative length", POST "Content-Length: -3\r\n\r\nabc", 400, NULL},
    {"a hexadecimal length", POST "Content-Length: 0x3\r\n\r\nabc", 400, NULL},
    {"a length of words", POST "Content-Length: three\r\n\r\nabc", 400, NULL},
    {"an empty length", POST "Content-Length: \r\n\r\n", 400, NULL},
    {"a length beyond 64 bits", POST "Content-Length: 99999999999999999999\r\n\r\n", 400, NULL},
    {"a length with blanks in it", POST "Content-Length: 1 2\r\n\r\nabc", 400, NULL},
    {"two codings", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, NULL},
    {"chunked not last", POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 400, NULL},
    {"chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     NULL},
    {"an unknown coding", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, NULL},
    {"chunked with a vertical tab",
     POST "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n",
     400, NULL},
    {"chunks in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL},
    {"a chunk without a length", POST "Transfer-Encoding: chunked\r\n\r\n\r\nabc", 400, NULL},
    {"a chunk that is longer", POST "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400,
     NULL},
    {"a chunk of hex and more", POST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
     400, NULL},
    {"a chunk's length with a sign", POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400,
     NULL},
    {"a chunk's length beyond 64 bits",
     POST "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n", 400, NULL},
    {"trailers with bare LF", POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\nZ: y\r\n\r\n", 400,
     NULL},
    {"a bare LF for trailers", POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\n\r\n\r\n", 400, NULL},
    {"a folded trailer", POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", 400,
     NULL},
    {"a trailer with a blank before the colon",
     POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n", 400, NULL},
    {"a trailer with a bare CR", POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\rz\r\n\r\n", 400,
     NULL},
    {"a trailer without a colon", POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n", 400,
     NULL},
    {"a trailer without a name", POST "Transfer-Encoding: chunked\r\n\r\n0\r\n: y\r\n\r\n", 400,
     NULL},
    {"a bare LF in a chunk's extension",
     POST "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\nab\r\n0\r\n\r\n", 400, NULL},
    {"a bare CR in a chunk's extension",
     POST "Transfer-Encoding: chunked\r\n\r\n2;\rxx\r\nab\r\n0\r\n\r\n", 400, NULL},
    {"a blank before a chunk's length",
     POST "Transfer-Encoding: chunked\r\n\r\n 2\r\nab\r\n0\r\n\r\n", 400, NULL},
    {"chunks with bare LF", POST "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400, NULL},
    {"a target with a fragment", GET("/a#b") "\r\n", 400, NULL},
    {"a target with a control", GET("/a\x01") "\r\n", 400, NULL},
    {"a target without a slash", GET("a") "\r\n", 400, NULL},
    {"an asterisk for GET", GET("*") "\r\n", 400, NULL},
    {"absolute without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"absolute with a user", "GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"absolute beside a host that is none", "GET http://b/x HTTP/1.1\r\nHost: a b\r\n\r\n", 400,
     NULL},
    {"no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"no version", "GET /\r\nHost: a\r\n\r\n", 400, NULL},
    {"version 0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, NULL},
    {"version 3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, NULL},
    {"another protocol", "GET / ICE/1.0\r\nHost: a\r\n\r\n", 400, NULL},
    {"RTSP", "DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n", 400, NULL},
    {"a method nobody knows", "FROB / HTTP/1.1\r\nHost: a\r\n\r\n", 501, NULL},
    {"a method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL},
    {"a method in small letters", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, NULL},
    {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501, NULL},
    {"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, NULL},
    {"another expectation", POST "Expect: wonders\r\nContent-Length: 1\r\n\r\na", 417, NULL},
};

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_corpus),
        cmocka_unit_test(http_refused_is_the_last),
        cmocka_unit_test(http_limits),
    };

    return TEST_MAIN(tests);
}
