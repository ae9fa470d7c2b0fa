/* drivers: both */
/* test_http2_client.c - the client speaks HTTP/2 with our own server: requests that share a
 * connection, bodies both ways, the line, time-outs that end a stream, connections that go away.
 *
 * Specifies client.h, "HTTP/2". Calls are in test_http2_calls.c.
 */
#include "peer.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define H2(...) SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY, __VA_ARGS__)

/* Says what it was asked; "/slow" takes its time, "/never" all of it. */
static int tells(skua_http_exchange *exchange, void *state)
{
    const char *path = skua_http_path(exchange);
    char text[2048];
    const char *name, *value;
    size_t len = 0;

    (void)state;
    if (strcmp(path, "/slow") == 0)
        (void)skua_sleep(MS(30));
    if (strcmp(path, "/never") == 0)
        return skua_sleep(SKUA_FOREVER);
    if (strcmp(path, "/refuse") == 0)
        return skua_http_reply(exchange, 413, NULL, "no", 2);
    if (strcmp(path, "/empty") == 0)
        return skua_http_reply(exchange, 204, NULL, NULL, 0);
    len += (size_t)snprintf(text + len, sizeof text - len, "%s %s://%s%s?%s;",
                            skua_http_method(exchange), skua_http_scheme(exchange),
                            skua_http_authority(exchange), path, skua_http_query(exchange));
    for (size_t i = 0; skua_http_header_at(exchange, i, &name, &value) && len < 1500; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s=%s;", name, value);
    MUST(skua_http_set_header(exchange, "X-Answer", "yes") == 0);
    return skua_http_reply(exchange, 200, "text/plain", text, len);
}

static int echoes(skua_http_exchange *exchange, void *state)
{
    char buf[8192];
    ssize_t n;

    (void)state;
    MUST(skua_http_set_trailer(exchange, "X-Sum", "42") == 0);
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if (skua_http_write(exchange, buf, (size_t)n) < 0)
            return 0;
    return (int)n;
}

/* ---- one request ----------------------------------------------------------------------------- */

TEST_FIBER(http2_client_gets)
{
    static const skua_http_field fields[] = {{"X-Mixed", "Case"}, {"Cookie", "a=b"}};
    skua_http_client *client = client_with(H2(.connections_max = 4));
    skua_http_client_stats stats;
    skua_http_response *response;
    const char *body, *name, *value;
    char wanted[128];
    struct site site;

    site_begin(&site, tells, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        MUST(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = AT(site.url, "/a?b"), .headers = fields,
                                                     .headers_count = 2),
                                   &response) == 0);
        CHECK_EQ(skua_http_response_version(response), 20);
        CHECK_EQ(skua_http_response_status(response), 200);
        CHECK_TEXT(skua_http_response_header(response, "x-answer"), "yes");
        MUST(skua_http_response_header_at(response, 0, &name, &value) == 1);
        CHECK(*name != ':');
        CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 4096), 0);
        body = skua_http_response_body(response, NULL);
        (void)snprintf(wanted, sizeof wanted, "GET http://%s/a?b;", site.address);
        CHECK(strstr(body, wanted) == body);
        CHECK(strstr(body, "x-mixed=Case;") != NULL);
        CHECK(strstr(body, "cookie=a=b;") != NULL);
        CHECK(strstr(body, "user-agent=skua;") != NULL);
        CHECK(strstr(body, "host=") == NULL || strstr(body, "Host=") == NULL);
        CHECK_EQ(skua_http_response_length(response), strlen(body));
        CHECK_EQ(client_stats(client).streams_now, 0); /* it is read, though not closed */
        skua_http_response_close(response);
    }
    stats = client_stats(client);
    CHECK_EQ(stats.connections, 1);
    CHECK_EQ(stats.http2, 1);
    CHECK_EQ(stats.reused, 2);
    CHECK_EQ(stats.connections_idle, 1);
    CHECK_EQ(skua_http_client_close_idle(client), 1);
    CHECK_EQ(gets_(client, site.url, NULL), 200);
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

TEST_FIBER(http2_client_knows_bodies_that_are_none)
{
    skua_http_client *client = client_with(H2(.connections_max = 4));
    skua_http_response *response;
    struct site site;

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = site.url, .method = "HEAD"),
                               &response) == 0);
    CHECK(skua_http_response_length(response) > 10);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 0), 0);
    skua_http_response_close(response);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = AT(site.url, "/empty")),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 204);
    CHECK_EQ(skua_http_response_length(response), 0);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 0), 0);
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

struct source {
    size_t at, len;
    int failure;
};

static ssize_t source_read(void *state, void *buf, size_t len)
{
    struct source *source = state;

    if (source->failure != 0 && source->at > 50000)
        return source->failure;
    if (len > source->len - source->at)
        len = source->len - source->at;
    test_pattern_fill(buf, len, source->at);
    source->at += len;
    return (ssize_t)len;
}

/* A body by a stream, with its length said or not, and its echo with a trailer. */
TEST_FIBER(http2_client_sends_bodies)
{
    const size_t len = 300 * 1000;
    skua_http_client *client = client_with(H2(.connections_max = 4));
    skua_http_response *response;
    const char *name, *value;
    struct site site;
    size_t got;

    site_begin(&site, echoes, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        struct source source = {.len = len};

        MUST(skua_http_client_send(
                 client,
                 SKUA_HTTP_REQUEST(.url = site.url, .method = "POST", .body_read = source_read,
                                   .body_state = &source, .body_length = i & 1 ? (int64_t)len : 0,
                                   .expect_continue = i >> 1),
                 &response) == 0);
        CHECK_EQ(skua_http_response_trailer_at(response, 0, &name, &value), 0);
        CHECK_EQ(skua_http_response_read_all(response, NULL, &got, len), 0);
        CHECK_EQ(got, len);
        CHECK(test_pattern_ok(skua_http_response_body(response, NULL), len, 0));
        MUST(skua_http_response_trailer_at(response, 0, &name, &value) == 1);
        CHECK_TEXT(value, "42");
        CHECK_EQ(skua_http_response_trailer_at(response, 1, &name, &value), 0);
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

/* What goes wrong with a body ends its stream alone. */
TEST_FIBER(http2_client_and_bad_bodies)
{
    skua_http_client *client = client_with(H2(.connections_max = 4));
    struct source fails = {.len = 100000, .failure = -EIO};
    struct source is_short = {.len = 10};
    skua_http_response *response;
    char big[1000] = "";
    struct site site;

    site_begin(&site, tells, NULL, NULL);
    CHECK_EQ(gets_(client, site.url, NULL), 200);
    CHECK_EQ(
        skua_http_client_send(client,
                              SKUA_HTTP_REQUEST(.url = AT(site.url, "/slow"), .method = "POST",
                                                .body_read = source_read, .body_state = &fails),
                              &response),
        -EIO);
    CHECK_EQ(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = AT(site.url, "/slow"), .method = "POST",
                                                     .body_read = source_read,
                                                     .body_state = &is_short, .body_length = 11),
                                   &response),
             -EMSGSIZE);
    MUST(skua_http_client_send(client,
                               SKUA_HTTP_REQUEST(.url = AT(site.url, "/refuse"), .method = "POST",
                                                 .body = big, .body_len = sizeof big,
                                                 .expect_continue = 1),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 413);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 10), 0);
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(client_stats(client).streams_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

/* The server answers, and does not want the rest of a long body. */
TEST_FIBER(http2_client_is_answered_early)
{
    skua_http_client *client = client_with(H2(.connections_max = 4));
    struct source source = {.len = (size_t)64 << 20};
    skua_http_response *response;
    struct site site;

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_client_send(client,
                               SKUA_HTTP_REQUEST(.url = AT(site.url, "/refuse"), .method = "POST",
                                                 .body_read = source_read, .body_state = &source),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 413);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 10), 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "no");
    skua_http_response_close(response);
    CHECK(source.at < source.len);
    CHECK_EQ(gets_(client, site.url, NULL), 200);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

/* ---- many ------------------------------------------------------------------------------------ */

struct many {
    skua_http_client *client;
    const char *url;
    atomic_int well;
};

static int one_of_many(void *arg)
{
    struct many *many = arg;

    for (int i = 0; i < 3; i++) {
        int rc = gets_(many->client, many->url, NULL);

        if (CHECK_EQ(rc, 200))
            atomic_fetch_add(&many->well, 1);
    }
    return 0;
}

static void many_at_once(struct many *many, int count)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < count; i++)
        MUST(skua_spawn(&scope, one_of_many, many) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
}

TEST_FIBER(http2_client_shares_a_connection)
{
    struct many many = {.client = client_with(H2(.connections_per_origin = 4))};
    struct site site;

    site_begin(&site, tells, NULL, NULL);
    many.url = AT(site.url, "/slow");
    many_at_once(&many, 40);
    CHECK_EQ(atomic_load(&many.well), 120);
    CHECK_EQ(client_stats(many.client).connections, 1); /* the first one is waited for */
    CHECK_EQ(client_stats(many.client).requests, 120);
    CHECK_EQ(skua_http_client_free(many.client), 0);
    site_end(&site);
    return 0;
}

/* A connection that is full is not waited for as long as there may be more of them; then there is
 * the line. */
TEST_FIBER(http2_client_makes_more_when_one_is_full)
{
    for (size_t most = 1; most <= 3; most += 2) {
        struct many many = {.client = client_with(H2(.connections_per_origin = most))};
        skua_http_client_stats stats;
        struct site site;

        site_begin(&site, tells, NULL, SKUA_HTTP_SERVER_OPTIONS(.streams_max = 2));
        CHECK_EQ(gets_(many.client, site.url, NULL), 200); /* so that the 2 are known */
        many.url = AT(site.url, "/slow");
        many_at_once(&many, 9);
        stats = client_stats(many.client);
        CHECK_EQ(atomic_load(&many.well), 27);
        CHECK_RANGE(stats.connections, most == 1 ? 1 : 2, most);
        CHECK_EQ(stats.streams_now, 0);
        CHECK_EQ(stats.waiting_now, 0);
        CHECK_EQ(skua_http_client_free(many.client), 0);
        site_end(&site);
    }
    return 0;
}

/* A server that wants its connections to end after a few requests says so in time. */
TEST_FIBER(http2_client_goes_where_connections_end)
{
    struct many many = {.client = client_with(H2(.connections_per_origin = 2))};
    struct site site;

    site_begin(&site, tells, NULL, SKUA_HTTP_SERVER_OPTIONS(.requests_max = 5));
    many.url = site.url;
    many_at_once(&many, 12);
    CHECK_EQ(atomic_load(&many.well), 36);
    CHECK(client_stats(many.client).connections >= 4);
    CHECK_EQ(skua_http_client_free(many.client), 0);
    site_end(&site);
    return 0;
}

/* ---- streams that end early ------------------------------------------------------------------ */

TEST_FIBER(http2_client_ends_streams_alone)
{
    skua_http_client *client = client_with(H2(.connections_max = 4));
    skua_http_response *open, *response;
    skua_deadline frame;
    struct site site;
    char buf[16];

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = site.url), &open) == 0);
    CHECK_EQ(
        skua_http_client_send(
            client, SKUA_HTTP_REQUEST(.url = AT(site.url, "/never"), .timeout = MS(20)), &response),
        -ETIMEDOUT);
    MUST(skua_deadline_begin(&frame, skua_now() + MS(20)) == 0);
    CHECK_EQ(gets_(client, AT(site.url, "/never"), NULL), -ETIMEDOUT);
    (void)skua_deadline_end(&frame);
    CHECK_EQ(client_stats(client).streams_now, 1);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = site.url), &response) == 0);
    skua_http_response_close(response); /* not read */
    CHECK(skua_http_response_read(open, buf, sizeof buf) > 0);
    skua_http_response_close(open); /* half read */
    CHECK_EQ(gets_(client, site.url, NULL), 200);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(client_stats(client).connections_idle, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

static int asks_for_ever(void *arg)
{
    void **args = arg;
    int rc = gets_(args[0], args[1], NULL);

    CHECK_EQ(rc, -ECANCELED);
    return 0;
}

TEST_FIBER(http2_client_is_cancelled)
{
    skua_http_client *client = client_with(H2(.connections_max = 4));
    skua_task *tasks[3];
    struct site site;
    void *args[2] = {client};

    site_begin(&site, tells, NULL, NULL);
    args[1] = (void *)(uintptr_t)AT(site.url, "/never");
    for (size_t i = 0; i < 3; i++)
        MUST(skua_spawn(NULL, asks_for_ever, args, .task = &tasks[i]) == 0);
    while (client_stats(client).streams_now < 3)
        (void)skua_sleep(MS(1));
    (void)skua_sleep(MS(5));
    for (size_t i = 0; i < 3; i++) { /* the one that reads for all is among them */
        (void)skua_task_cancel(tasks[i]);
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
        CHECK_EQ(gets_(client, site.url, NULL), 200);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(client_stats(client).streams_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

/* It is busy as long as a response is open. */
TEST_FIBER(http2_client_is_not_freed_while_used)
{
    skua_http_client *client = client_with(H2(.connections_max = 4));
    skua_http_response *response;
    struct site site;

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = site.url), &response) == 0);
    CHECK_EQ(skua_http_client_close_idle(client), 0);
    CHECK_EQ(skua_http_client_free(client), -EBUSY);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

/* ---- no memory ------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(http2_client_without_memory)
{
    int before = test_fd_count();
    struct site site;
    int failed = 0;

    site_begin(&site, echoes, NULL, NULL);
    for (unsigned nth = 1; nth < 250; nth++) {
        skua_http_client *client = NULL;
        skua_http_response *response;
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_http_client_new(&client, H2(.total_timeout = TEST_LATE));
        if (rc == 0)
            rc = skua_http_post(client, site.url, NULL, "abc", 3, 100, &response);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        if (rc == 0)
            skua_http_response_close(response);
        else /* it may have been the server's, who gave up then */
            CHECK(rc == -ENOMEM || rc == -ETIMEDOUT || rc == SKUA_EEOF || rc == -ECONNRESET ||
                  rc == -EPIPE || rc == -EBADMSG);
        failed += rc == -ENOMEM;
        CHECK_EQ(skua_http_client_free(client), 0);
        if (rc == 0 && nth > 120)
            break;
    }
    CHECK_RANGE(failed, 20, 120);
    site_end(&site);
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http2_client_gets),
        cmocka_unit_test(http2_client_knows_bodies_that_are_none),
        cmocka_unit_test(http2_client_sends_bodies),
        cmocka_unit_test(http2_client_and_bad_bodies),
        cmocka_unit_test(http2_client_is_answered_early),
        cmocka_unit_test(http2_client_shares_a_connection),
        cmocka_unit_test(http2_client_makes_more_when_one_is_full),
        cmocka_unit_test(http2_client_goes_where_connections_end),
        cmocka_unit_test(http2_client_ends_streams_alone),
        cmocka_unit_test(http2_client_is_cancelled),
        cmocka_unit_test(http2_client_is_not_freed_while_used),
#ifdef SKUA_FAULTS
        cmocka_unit_test(http2_client_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
