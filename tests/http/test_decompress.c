/* drivers: both
 * test_decompress.c - coded bodies on their way in: a server's requests, a client's responses.
 *
 * Specifies skua_http_decompress_layer and the client's codings: what is decoded and how its head
 * looks then, what is refused; bodies that are malformed, cut short, or far bigger than they look;
 * both without memory.
 */
#include <skua/http/compress.h>
#include <skua/http/static.h>

#include "ask.h"
#include "codings.h"
#include "peer.h"

#define LEN ((size_t)50000)
#define BOMB ((size_t)64 << 20)

static char text[LEN], wire[4 * LEN];

/* ---- requests -------------------------------------------------------------------------------- */

static int counts(skua_http_exchange *exchange, void *state)
{
    char *body;
    size_t len;
    int rc;

    (void)state;
    if (skua_http_body_length(exchange) != 0)
        CHECK(skua_http_header(exchange, "Content-Encoding") == NULL);
    CHECK((skua_http_header(exchange, "Content-Length") == NULL) ==
          (skua_http_body_length(exchange) == -1));
    rc = skua_http_read_all(exchange, &body, &len, SIZE_MAX / 4);
    if (rc != 0)
        return rc;
    return skua_http_replyf(exchange, 200, NULL, "%zu %d", len,
                            len == LEN && memcmp(body, text, LEN) == 0);
}

static struct talk *posted(const char *headers, const char *body, size_t len, unsigned fault)
{
    const skua_http_layer around[] = {{skua_http_decompress_layer, NULL}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, counts, NULL);
    struct talk *talk = calloc(1, sizeof *talk);
    char *request = malloc(len + 512);
    int head;

    MUST(talk != NULL && request != NULL);
    talk->handler = skua_http_chain_handler;
    talk->state = &app;
    talk->fault = fault;
    head = snprintf(request, 512, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s\r\n",
                    len, headers);
    memcpy(request + head, body, len);
    talk_bytes(talk, request, (size_t)head + len);
    free(request);
    return talk;
}

static void posts(const char *headers, size_t len, int status, const char *answer)
{
    struct talk *talk = posted(headers, wire, len, 0);

    test_variant(headers);
    CHECK_EQ(talk_status(talk, 0), status);
    if (answer != NULL)
        CHECK_STR(talk_body(talk, 0), answer);
    if (status == 415)
        CHECK_HAS(talk, "Accept-Encoding: ");
    free(talk);
}

TEST_FIBER(requests_are_decoded)
{
    static const char *const headers[] = {"Content-Encoding: gzip\r\n",
                                          "Content-Encoding: deflate\r\n",
                                          "Content-Encoding: br\r\n", "Content-Encoding: zstd\r\n"};
    size_t len;

    text_like(text, LEN);
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        if (!is_there(coding))
            continue;
        len = coded(coding, text, LEN, wire, sizeof wire);
        posts(headers[coding], len, 200, "50000 1");
        posts(headers[coding], len - 1, 400, NULL);
        posts(headers[coding], len / 2, 400, NULL);
        posts(headers[coding], 0, 200, "0 0");
        if (coding != SKUA__ZSTD) /* whose frame may well have begun with these */
            wire[0] ^= 0x7f;
        wire[1] ^= 0x55;
        posts(headers[coding], len, 400, NULL);
    }
    memcpy(wire, text, LEN);
    posts("", LEN, 200, "50000 1");
    posts("Content-Encoding: identity\r\n", LEN, 200, "50000 1");
    posts("Content-Encoding: nope\r\n", LEN, 415, NULL);
    posts("Content-Encoding: identity\r\nContent-Encoding: aes128gcm\r\n", LEN, 415, NULL);
    posts("Content-Encoding: a b\r\n", LEN, 400, NULL);
    return 0;
}

/* Zeros, a thousand times as many as it has bytes. */
static char *bomb(size_t *len)
{
    char *zeros = calloc(1, BOMB);
    char *ret = malloc(BOMB / 100);

    MUST(zeros != NULL && ret != NULL);
    *len = coded(SKUA__GZIP, zeros, BOMB, ret, BOMB / 100);
    free(zeros);
    return ret;
}

TEST_FIBER_CURRENT(bombs_of_requests)
{
    struct talk *talk;
    char *body;
    size_t len;

    if (!is_there(SKUA__GZIP))
        return 0;
    body = bomb(&len);
    talk = posted("Content-Encoding: gzip\r\n", body, len, 0);
    CHECK_EQ(talk_status(talk, 0), 413); /* the server's body_max: 1 MiB */
    free(talk);
    free(body);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(requests_without_memory)
{
    size_t len;

    if (!is_there(SKUA__GZIP))
        return 0;
    text_like(text, LEN);
    len = coded(SKUA__GZIP, text, LEN, wire, sizeof wire);
    for (unsigned fault = 1; fault < 25; fault++) {
        struct talk *talk = posted("Content-Encoding: gzip\r\n", wire, len, fault);
        int status = talk_status(talk, 0);

        CHECK(status == 200 || status == 500 || talk->rc != 0);
        if (status == 200)
            CHECK_STR(talk_body(talk, 0), "50000 1");
        free(talk);
    }
    return 0;
}
#endif

/* ---- responses ------------------------------------------------------------------------------- */

static const char *reply_coding; /* of the answer in wire; NULL: said nothing */
static size_t reply_len;
static char asked[256]; /* the Accept-Encoding that came, or "-" */

static int replies(skua_http_exchange *exchange, void *state)
{
    const char *accept = skua_http_header(exchange, "Accept-Encoding");
    const char *from = skua_http_header(exchange, "Range");

    (void)state;
    (void)snprintf(asked, sizeof asked, "%s", accept != NULL ? accept : "-");
    if (strcmp(skua_http_path(exchange), "/none") == 0)
        return skua_http_set_header(exchange, "Content-Encoding", "gzip"); /* 204 */
    if (reply_coding != NULL)
        CHECK_EQ(skua_http_set_header(exchange, "Content-Encoding", reply_coding), 0);
    if (strcmp(skua_http_path(exchange), "/moved") == 0) {
        CHECK_EQ(skua_http_set_header(exchange, "Location", "/"), 0);
        return skua_http_reply(exchange, 302, NULL, wire, reply_len);
    }
    return skua_http_reply(exchange, from != NULL ? 206 : 200, "text/plain", wire, reply_len);
}

/* A whole answer: its length decoded, or the error. */
static ssize_t got(skua_http_client *client, const skua_http_request *request, char **ret)
{
    skua_http_response *response;
    size_t len = 0;
    char *body;
    int rc = skua_http_client_send(client, request, &response);

    if (rc != 0)
        return rc;
    rc = skua_http_response_read_all(response, &body, &len, 4 * LEN);
    if (rc == 0 && ret != NULL) {
        *ret = malloc(len + 1);
        memcpy(*ret, body, len + 1);
    }
    if (reply_coding != NULL && asked[0] == 'g' && rc == 0 && len == LEN) {
        CHECK(skua_http_response_header(response, "Content-Encoding") == NULL);
        CHECK(skua_http_response_header(response, "Content-Length") == NULL);
        CHECK_EQ(skua_http_response_length(response), -1);
    }
    skua_http_response_close(response);
    return rc == 0 ? (ssize_t)len : rc;
}

TEST_FIBER_CURRENT(responses_are_decoded)
{
    skua_http_client *client = client_with(NULL);
    struct site site;
    char *body;

    text_like(text, LEN);
    site_begin(&site, replies, NULL, NULL);
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        if (!is_there(coding))
            continue;
        reply_coding = skua__coding_kind(coding)->name;
        reply_len = coded(coding, text, LEN, wire, sizeof wire);
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), &body), LEN);
        CHECK_EQ(memcmp(body, text, LEN), 0);
        free(body);
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = AT(site.url, "/moved")), NULL), LEN);
        CHECK_TEXT(asked, skua__coding_list());
        reply_len--;
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), NULL), -EBADMSG);
        reply_len = 0;
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), NULL), 0);
    }
    CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = AT(site.url, "/none")), NULL), 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

/* Who has asked for something else gets what comes. */
TEST_FIBER_CURRENT(responses_as_they_come)
{
    const skua_http_field range = {"Range", "bytes=0-5"}, accept = {"accept-encoding", "gzip"};
    skua_http_client *client = client_with(NULL);
    skua_http_client *plain = client_with(SKUA_HTTP_CLIENT_OPTIONS(.decompress = -1));
    skua_http_client *never;
    struct site site;

    if (is_there(SKUA__GZIP)) {
        site_begin(&site, replies, NULL, NULL);
        text_like(text, LEN);
        reply_coding = "gzip";
        reply_len = coded(SKUA__GZIP, text, LEN, wire, sizeof wire);
        CHECK_EQ(got(plain, SKUA_HTTP_REQUEST(.url = site.url), NULL), reply_len);
        CHECK_TEXT(asked, "-");
        CHECK_EQ(got(client,
                     SKUA_HTTP_REQUEST(.url = site.url, .headers = &range, .headers_count = 1),
                     NULL),
                 reply_len);
        CHECK_TEXT(asked, "-");
        CHECK_EQ(got(client,
                     SKUA_HTTP_REQUEST(.url = site.url, .headers = &accept, .headers_count = 1),
                     NULL),
                 reply_len);
        CHECK_TEXT(asked, "gzip");
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url, .method = "HEAD"), NULL), 0);
        CHECK_TEXT(asked, "-");
        reply_coding = "gzip, nope";
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), NULL), reply_len);
        site_end(&site);
    }
    CHECK_EQ(skua_http_client_new(&never, SKUA_HTTP_CLIENT_OPTIONS(.decompress = 1)), -EINVAL);
    CHECK_EQ(skua_http_client_free(client), 0);
    CHECK_EQ(skua_http_client_free(plain), 0);
    return 0;
}

/* The same connection serves on, behind what was decoded to its end; not behind what was not well
 * before it. */
TEST_FIBER_CURRENT(connections_are_kept)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    struct site site;
    char few[10];

    if (is_there(SKUA__GZIP)) {
        site_begin(&site, replies, NULL, NULL);
        text_like(text, LEN);
        reply_coding = "gzip";
        reply_len = coded(SKUA__GZIP, text, LEN, wire, sizeof wire);
        for (int i = 0; i < 5; i++)
            CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), NULL), LEN);
        CHECK_EQ(client_stats(client).connections, 1);
        MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = site.url), &response) == 0);
        CHECK_EQ(skua_http_response_read(response, few, sizeof few), sizeof few);
        CHECK_EQ(memcmp(few, text, sizeof few), 0);
        skua_http_response_close(response); /* the rest is short enough to be read */
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), NULL), LEN);
        CHECK_EQ(client_stats(client).connections, 1);
        CHECK(reply_len > 10000); /* more than a piece */
        wire[0] ^= 1;
        CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), NULL), -EBADMSG);
        CHECK_EQ(client_stats(client).connections_now, 0);
        site_end(&site);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* Our own server and client, with all that a layer codes. */
static int long_text(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/plain", text, LEN);
}

TEST_FIBER(there_and_back)
{
    const skua_http_layer around[] = {{skua_http_compress_layer, NULL}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, long_text, NULL);
    skua_http_client *client = client_with(NULL);
    struct site site;
    char *body;

    text_like(text, LEN);
    site_begin(&site, skua_http_chain_handler, &app, NULL);
    CHECK_EQ(got(client, SKUA_HTTP_REQUEST(.url = site.url), &body), LEN);
    CHECK_EQ(memcmp(body, text, LEN), 0);
    free(body);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

static char *bomb_body;
static size_t bomb_len;

static int bombs(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_set_header(exchange, "Content-Encoding", "gzip"), 0);
    return skua_http_reply(exchange, 200, NULL, bomb_body, bomb_len);
}

TEST_FIBER_CURRENT(bombs_of_responses)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    struct site site;

    if (is_there(SKUA__GZIP)) {
        bomb_body = bomb(&bomb_len);
        site_begin(&site, bombs, NULL, NULL);
        CHECK_EQ(skua_http_get(client, site.url, 1 << 20, &response), SKUA_ELIMIT);
        site_end(&site);
        free(bomb_body);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_decoded),    cmocka_unit_test(bombs_of_requests),
        cmocka_unit_test(responses_are_decoded),   cmocka_unit_test(responses_as_they_come),
        cmocka_unit_test(connections_are_kept),    cmocka_unit_test(there_and_back),
        cmocka_unit_test(bombs_of_responses),
#ifdef SKUA_FAULTS
        cmocka_unit_test(requests_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
