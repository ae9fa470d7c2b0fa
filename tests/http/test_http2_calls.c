/* drivers: both */
/* test_http2_calls.c - calls: written and read at once, by one task or by two; cancelled, refused,
 * answered early.
 *
 * Specifies call.h.
 */
#include <skua/http/call.h>

#include "peer.h"

static int converses(skua_http_exchange *exchange, void *state)
{
    const char *path = skua_http_path(exchange);
    const char *te = skua_http_header(exchange, "te");
    char buf[4096];
    ssize_t n;

    (void)state;
    if (strcmp(path, "/refuse") == 0)
        return skua_http_reply(exchange, 403, NULL, "no", 2);
    if (strcmp(path, "/never") == 0)
        return skua_sleep(SKUA_FOREVER);
    if (strcmp(path, "/fail") == 0) {
        (void)skua_http_flush(exchange);
        return -EIO;
    }
    MUST(skua_http_set_header(exchange, "Set-Cookie", "a=b") == 0);
    MUST(skua_http_set_trailer(exchange, "X-End", te != NULL ? te : "none") == 0);
    if (skua_http_flush(exchange) != 0)
        return 0;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if (skua_http_write(exchange, buf, (size_t)n) < 0 || skua_http_flush(exchange) != 0)
            return 0;
    return (int)n;
}

struct talks {
    skua_http_client *client;
    skua_http_cookies *jar;
    struct site site;
};

static void talks_begin(struct talks *talks)
{
    MUST(skua_http_cookies_new(&talks->jar) == 0);
    talks->client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY, .cookies = talks->jar));
    site_begin(&talks->site, converses, NULL, SKUA_HTTP_SERVER_OPTIONS(.body_max = 16 << 20));
}

static void talks_end(struct talks *talks, uint64_t connections)
{
    CHECK_EQ(client_stats(talks->client).connections, connections);
    CHECK_EQ(client_stats(talks->client).streams_now, 0);
    CHECK_EQ(skua_http_client_free(talks->client), 0);
    site_end(&talks->site);
    skua_http_cookies_free(talks->jar);
}

static skua_http_call *talks_open(struct talks *talks, const char *path, int64_t length)
{
    static const skua_http_field te = {"TE", "trailers"};
    skua_http_call *call;

    MUST(skua_http_client_open(talks->client,
                               SKUA_HTTP_REQUEST(.url = AT(talks->site.url, path), .method = "POST",
                                                 .headers = &te, .headers_count = 1,
                                                 .body_length = length),
                               &call) == 0);
    return call;
}

/* ---- both ways ------------------------------------------------------------------------------- */

TEST_FIBER(http2_calls_converse)
{
    skua_http_response *response, *same;
    const char *name, *value;
    skua_http_call *call;
    struct talks talks;
    char buf[64];

    talks_begin(&talks);
    call = talks_open(&talks, "/", 0);
    MUST(skua_http_call_response(call, &response) == 0); /* before anything was written */
    CHECK_EQ(skua_http_response_status(response), 200);
    CHECK_TEXT(skua_http_response_url(response), AT(talks.site.url, "/"));
    CHECK_EQ(skua_http_cookies_count(talks.jar), 1);
    for (int i = 0; i < 20; i++) {
        int len = snprintf(buf, sizeof buf, "line %d", i);

        CHECK_EQ(skua_http_call_write(call, buf, (size_t)len), 0);
        memset(buf, 0, sizeof buf);
        CHECK_EQ(skua_http_response_read(response, buf, sizeof buf - 1), len);
        CHECK_EQ(atoi(buf + 5), i);
    }
    CHECK_EQ(skua_http_response_read_until(response, buf, sizeof buf, skua_now() + MS(5)),
             -ETIMEDOUT); /* it goes on */
    CHECK_EQ(skua_http_call_write_end(call, "end", 3), 0);
    CHECK_EQ(skua_http_call_end(call), 0); /* again: nothing */
    CHECK_EQ(skua_http_call_write(call, "x", 1), -EPIPE);
    CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 3);
    CHECK_EQ(skua_http_response_trailer_at(response, 0, &name, &value), 0);
    CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 0);
    CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 0);
    MUST(skua_http_response_trailer_at(response, 0, &name, &value) == 1);
    CHECK_TEXT(name, "x-end");
    CHECK_TEXT(value, "trailers");
    skua_http_response_close(response); /* the call's: nothing happens */
    CHECK_EQ(skua_http_call_response(call, &same), 0);
    CHECK(same == response);
    CHECK_EQ(skua_http_call_reset_code(call), -1);
    CHECK_EQ(skua_http_call_unprocessed(call), 0);
    skua_http_call_close(call);
    talks_end(&talks, 1);
    return 0;
}

#define MUCH ((size_t)2 << 20)

static int writes_much(void *arg)
{
    char buf[10000];

    for (size_t at = 0; at < MUCH; at += sizeof buf) {
        size_t len = MUCH - at < sizeof buf ? MUCH - at : sizeof buf;

        test_pattern_fill(buf, len, at);
        MUST(skua_http_call_write(arg, buf, len) == 0);
    }
    CHECK_EQ(skua_http_call_end(arg), 0);
    return 0;
}

/* More than all windows hold: whoever sent all of it before reading would wait for ever. */
TEST_FIBER(http2_calls_are_duplex)
{
    skua_http_response *response;
    skua_http_call *call;
    struct talks talks;
    skua_task *writer;
    size_t at = 0;
    char buf[8192];
    ssize_t n;

    talks_begin(&talks);
    call = talks_open(&talks, "/", (int64_t)MUCH);
    MUST(skua_spawn(NULL, writes_much, call, .task = &writer) == 0);
    MUST(skua_http_call_response(call, &response) == 0);
    while ((n = skua_http_response_read(response, buf, sizeof buf)) > 0) {
        CHECK(test_pattern_ok(buf, (size_t)n, at));
        at += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(at, MUCH);
    CHECK_EQ(skua_task_join(writer, NULL), 0);
    skua_http_call_close(call);
    talks_end(&talks, 1);
    return 0;
}

/* ---- ends ------------------------------------------------------------------------------------ */

static int reads_for_ever(void *arg)
{
    skua_http_response *response;

    CHECK_EQ(skua_http_call_response_until(arg, &response, SKUA_FOREVER), -ECONNABORTED);
    return 0;
}

TEST_FIBER(http2_calls_are_cancelled)
{
    struct talks talks;
    skua_http_call *call;
    skua_task *reader;
    int64_t begin;

    talks_begin(&talks);
    call = talks_open(&talks, "/never", 0);
    MUST(skua_spawn(NULL, reads_for_ever, call, .task = &reader) == 0);
    (void)skua_sleep(MS(10)); /* it reads for all */
    begin = skua_now();
    skua_http_call_cancel(call, 8);
    CHECK_EQ(skua_task_join(reader, NULL), 0);
    CHECK(skua_now() - begin < 5 * TEST_LATE);
    CHECK_EQ(skua_http_call_write(call, "x", 1), -ECONNABORTED);
    CHECK_EQ(skua_http_call_reset_code(call), -1); /* it was not the peer */
    skua_http_call_close(call);
    call = talks_open(&talks, "/", 0); /* closed in the middle */
    CHECK_EQ(skua_http_call_write(call, "x", 1), 0);
    skua_http_call_close(call);
    talks_end(&talks, 1);
    return 0;
}

/* What the server does: it answers and wants no more; it fails. */
TEST_FIBER(http2_calls_are_ended_by_the_server)
{
    skua_http_response *response;
    static char buf[65536];
    struct talks talks;
    skua_http_call *call;
    int rc = 0;

    talks_begin(&talks);
    call = talks_open(&talks, "/refuse", 0);
    while (rc == 0)
        rc = skua_http_call_write(call, buf, sizeof buf);
    CHECK_EQ(rc, -EPIPE);
    MUST(skua_http_call_response(call, &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 403);
    CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 2);
    CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 0);
    skua_http_call_close(call);
    call = talks_open(&talks, "/fail", 0);
    rc = skua_http_call_response(call, &response); /* its head may have come, or not */
    if (rc == 0)
        rc = (int)skua_http_response_read(response, buf, sizeof buf);
    CHECK_EQ(rc, -ECONNRESET);
    CHECK_EQ(skua_http_call_write(call, buf, 1), -ECONNRESET);
    CHECK_RANGE(skua_http_call_reset_code(call), 1, 13);
    CHECK_EQ(skua_http_call_unprocessed(call), 0);
    skua_http_call_close(call);
    talks_end(&talks, 1);
    return 0;
}

TEST_FIBER(http2_calls_count_their_bytes)
{
    skua_http_response *response;
    skua_http_call *call;
    struct talks talks;

    talks_begin(&talks);
    call = talks_open(&talks, "/", 3);
    CHECK_EQ(skua_http_call_write(call, "abcd", 4), -EMSGSIZE);
    CHECK_EQ(skua_http_call_write(call, "ab", 2), 0);
    CHECK_EQ(skua_http_call_end(call), -EMSGSIZE);
    CHECK_EQ(skua_http_call_write_end(call, "c", 1), 0);
    MUST(skua_http_call_response(call, &response) == 0);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 10), 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "abc");
    skua_http_call_close(call);
    talks_end(&talks, 1);
    return 0;
}

TEST_FIBER(http2_calls_have_deadlines)
{
    skua_http_response *response;
    struct talks talks;
    skua_http_call *call;

    talks_begin(&talks);
    MUST(skua_http_client_open(
             talks.client,
             SKUA_HTTP_REQUEST(.url = AT(talks.site.url, "/never"), .timeout = MS(60)),
             &call) == 0);
    CHECK_EQ(skua_http_call_response_until(call, &response, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_http_call_response_until(call, &response, SKUA_FOREVER), -ETIMEDOUT);
    skua_http_call_close(call);
    talks_end(&talks, 1);
    return 0;
}

/* ---- what is no call ------------------------------------------------------------------------- */

TEST_FIBER(http2_calls_need_http2)
{
    static const skua_http_field te = {"TE", "gzip"};
    skua_http_client *client = client_with(NULL);
    skua_http_call *call = NULL;
    struct site site;

    site_begin(&site, converses, NULL, NULL);
    CHECK_EQ(skua_http_client_open(client, SKUA_HTTP_REQUEST(.url = site.url), &call),
             -EPROTONOSUPPORT);
    CHECK_EQ(gets_(client, AT(site.url, "/refuse"), "no"), 403);
    CHECK_EQ(client_stats(client).connections, 1); /* it is as good as new */
    CHECK_EQ(skua_http_client_open(client, SKUA_HTTP_REQUEST(.url = site.url, .body = "a"), &call),
             -EINVAL);
    CHECK_EQ(skua_http_client_open(client, SKUA_HTTP_REQUEST(.url = site.url, .expect_continue = 1),
                                   &call),
             -EINVAL);
    CHECK_EQ(
        skua_http_client_open(
            client, SKUA_HTTP_REQUEST(.url = site.url, .headers = &te, .headers_count = 1), &call),
        -EINVAL);
    CHECK_EQ(skua_http_client_open(client, SKUA_HTTP_REQUEST(.url = "x"), &call), -EINVAL);
    CHECK(call == NULL);
    skua_http_call_close(NULL);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_calls_converse),
        cmocka_unit_test(http2_calls_are_duplex),
        cmocka_unit_test(http2_calls_are_cancelled),
        cmocka_unit_test(http2_calls_are_ended_by_the_server),
        cmocka_unit_test(http2_calls_count_their_bytes),
        cmocka_unit_test(http2_calls_have_deadlines),
        cmocka_unit_test(http2_calls_need_http2),
    };

    return TEST_MAIN(tests);
}
