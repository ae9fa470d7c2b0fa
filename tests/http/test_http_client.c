/* drivers: both */
/* test_http_client.c - the client against our own server: requests, bodies, the pool, redirects.
 *
 * Specifies client.h where both sides behave: what is sent and what is told of the response, bodies
 * of every kind both ways, connections that are kept and their limits, redirects as RFC 9110 (15.4)
 * has them, plain threads, Unix sockets, time-outs and cancellation.
 */
#include "peer.h"

/* ---- what is sent ---------------------------------------------------------------------------- */

/* Answers with what it was asked. */
static int tells(skua_http_exchange *exchange, void *state)
{
    const char *name, *value;
    char text[4096];
    size_t len = 0;
    char *body;
    int rc = skua_http_read_all(exchange, &body, NULL, 1 << 20);

    (void)state;
    if (rc != 0)
        return rc;
    for (size_t i = 0; skua_http_header_at(exchange, i, &name, &value); i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s=%s;", name, value);
    return skua_http_replyf(exchange, 200, "text/plain", "%s %s ?%s %s [%s]",
                            skua_http_method(exchange), skua_http_path(exchange),
                            skua_http_query(exchange), text, body);
}

TEST_FIBER(client_gets)
{
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.decompress = -1));
    struct site site;
    skua_http_response *response;
    const char *name, *value;
    char text[512];
    size_t len;

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_get(client, AT(site.url, "/a%20b?c=d#e"), 1000, &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 200);
    CHECK_EQ(skua_http_response_version(response), 11);
    CHECK_TEXT(skua_http_response_url(response), AT(site.url, "/a%20b?c=d"));
    CHECK_TEXT(skua_http_response_header(response, "content-TYPE"), "text/plain");
    CHECK(skua_http_response_header(response, "X-None") == NULL);
    CHECK_EQ(skua_http_response_header_at(response, 0, &name, &value), 1);
    CHECK_TEXT(name, "Date");
    CHECK_EQ(skua_http_response_header_at(response, 99, &name, &value), 0);
    CHECK_EQ(skua_http_response_trailer_at(response, 0, &name, &value), 0);
    (void)snprintf(text, sizeof text, "GET /a%%20b ?c=d Host=%s;User-Agent=skua;Accept=*/*; []",
                   site.address);
    CHECK_TEXT(skua_http_response_body(response, &len), text);
    CHECK_EQ(len, strlen(text));
    CHECK_EQ(skua_http_response_length(response), len);
    CHECK_EQ(skua_http_response_read(response, text, sizeof text), 0);
    skua_http_response_close(response);
    CHECK_EQ(gets_(client, site.url, NULL), 200);
    CHECK_EQ(gets_(client, AT(site.url, "?x"), NULL), 200);
    site_end(&site);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_headers)
{
    static const skua_http_field defaults[] = {{"X-A", "default"}, {"X-B", "default"}};
    static const skua_http_field fields[] = {
        {"x-a", "own"}, {"Cookie", "1"}, {"Cookie", "2"}, {"Host", "other"}, {"accept", "a/b"}};
    skua_http_client *client = client_with(
        SKUA_HTTP_CLIENT_OPTIONS(.user_agent = "", .decompress = -1, .headers = defaults,
                                 .headers_count = TEST_LEN(defaults)));
    struct site site;
    skua_http_response *response;
    char *text;

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_client_send(client,
                               SKUA_HTTP_REQUEST(.url = AT(site.url, "/"), .method = "DELETE",
                                                 .headers = fields,
                                                 .headers_count = TEST_LEN(fields)),
                               &response) == 0);
    CHECK_EQ(skua_http_response_read_all(response, &text, NULL, 1000), 0);
    CHECK_TEXT(text, "DELETE / ? Host=other;X-B=default;x-a=own;Cookie=1;Cookie=2;accept=a/b; []");
    skua_http_response_close(response);
    site_end(&site);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* Refuses without reading. */
static int refuses(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 403, NULL, "no\n", 3);
}

/* A head that is longer than the client's and the server's buffers. */
TEST_FIBER(client_long_headers)
{
    skua_http_client *client = client_with(NULL);
    char *value = malloc(40001);
    skua_http_field fields[] = {{"X-A", value}, {"X-B", value}};
    struct site site;
    skua_http_response *response;

    MUST(value != NULL);
    memset(value, 'v', 40000);
    value[40000] = '\0';
    site_begin(&site, refuses, NULL, SKUA_HTTP_SERVER_OPTIONS(.head_max = 100000));
    MUST(skua_http_client_send(client,
                               SKUA_HTTP_REQUEST(.url = site.url, .headers = fields,
                                                 .headers_count = TEST_LEN(fields)),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 403);
    skua_http_response_close(response);
    site_end(&site);
    free(value);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_posts)
{
    skua_http_client *client = client_with(NULL);
    struct site site;
    skua_http_response *response;
    const char *body;

    site_begin(&site, tells, NULL, NULL);
    MUST(skua_http_post(client, AT(site.url, "/p"), "text/x", "abc", 3, 1000, &response) == 0);
    body = skua_http_response_body(response, NULL);
    CHECK(strstr(body, "POST /p") != NULL && strstr(body, "Content-Type=text/x;") != NULL);
    CHECK(strstr(body, "Content-Length=3;") != NULL && strstr(body, "[abc]") != NULL);
    skua_http_response_close(response);
    MUST(skua_http_post(client, AT(site.url, "/p"), NULL, NULL, 0, 1000, &response) == 0);
    body = skua_http_response_body(response, NULL);
    CHECK(strstr(body, "Content-Length=0;") != NULL && strstr(body, "Content-Type") == NULL);
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(client_stats(client).reused, 1);
    site_end(&site);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST(client_bad_urls)
{
    static const char *const urls[] = {
        "",           "/",           "http:",          "http:/a",      "http://",
        "http:///a",  "http://u@a/", "http://u:p@a/",  "http://a b/",  "http://a/b c",
        "http://a:x", "http://a:0/", "http://a:65536", "http://[::1",  "http://[]/",
        "a.b",        "http://a\\b", "http://a/\xc3",  "http://a/\r\n"};
    skua_http_client *client = client_with(NULL);

    for (size_t i = 0; i < TEST_LEN(urls); i++)
        if (!CHECK_EQ(gets_(client, urls[i], NULL), -EINVAL))
            test_note("of %s", urls[i]);
    CHECK_EQ(gets_(client, "httpx://a/", NULL), -EPROTONOSUPPORT);
    CHECK_EQ(gets_(client, "ftp://a/", NULL), -EPROTONOSUPPORT);
    CHECK_EQ(client_stats(client).connections, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
}

TEST(client_bad_input)
{
    static const struct {
        const char *name, *value;
    } fields[] = {{"X Y", "a"},
                  {"", "a"},
                  {"X", "a\r\nY: b"},
                  {"X", NULL},
                  {"Connection", ""},
                  {"te", "a"},
                  {"Expect", "a"},
                  {"Content-length", "1"},
                  {"Transfer-Encoding", "chunked"}};
    skua_http_client *client = client_with(NULL);
    skua_http_response *response = NULL;
    skua_http_client *other;
    skua_http_request request;
    skua_http_client_options options;

    for (size_t i = 0; i < TEST_LEN(fields); i++) {
        skua_http_field field = {fields[i].name, fields[i].value};

        CHECK_EQ(skua_http_client_send(client,
                                       SKUA_HTTP_REQUEST(.url = "http://127.0.0.1:1/",
                                                         .headers = &field, .headers_count = 1),
                                       &response),
                 -EINVAL);
        CHECK_EQ(skua_http_client_new(
                     &other, SKUA_HTTP_CLIENT_OPTIONS(.headers = &field, .headers_count = 1)),
                 -EINVAL);
    }
#define BAD(...)                                                                                   \
    CHECK_EQ(skua_http_client_send(                                                                \
                 client, SKUA_HTTP_REQUEST(.url = "http://127.0.0.1:1/", __VA_ARGS__), &response), \
             -EINVAL)
    BAD(.method = "");
    BAD(.method = "A B");
    BAD(.method = "CONNECT");
    BAD(.body_len = 1);
    BAD(.body_length = 1);
    BAD(.body_length = -1);
    BAD(.timeout = -1);
    BAD(.redirects_max = -2);
    BAD(.unix_path = "");
    BAD(.headers_count = 1);
#undef BAD
    skua_http_request_init(&request);
    CHECK_EQ(skua_http_client_send(client, &request, &response), -EINVAL);
    request.url = "http://127.0.0.1:1/";
    request.size--;
    CHECK_EQ(skua_http_client_send(client, &request, &response), -EINVAL);
    CHECK(response == NULL);
    skua_http_client_options_init(&options);
    options.size++;
    CHECK_EQ(skua_http_client_new(&other, &options), -EINVAL);
    CHECK_EQ(skua_http_client_new(&other, SKUA_HTTP_CLIENT_OPTIONS(.head_max = 1)), -EINVAL);
    CHECK_EQ(skua_http_client_new(&other, SKUA_HTTP_CLIENT_OPTIONS(.read_timeout = -1)), -EINVAL);
    CHECK_EQ(skua_http_client_new(&other, SKUA_HTTP_CLIENT_OPTIONS(.user_agent = "\n")), -EINVAL);
    CHECK_EQ(client_stats(client).connections_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    CHECK_EQ(skua_http_client_free(NULL), 0);
    skua_http_response_close(NULL);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* A body of ?length bytes: in one piece at /whole, else in chunks. */
static int is_big(skua_http_exchange *exchange, void *state)
{
    size_t len = (size_t)atoi(skua_http_query(exchange));
    char buf[3000];
    int rc = 0;

    (void)state;
    if (strcmp(skua_http_path(exchange), "/whole") == 0)
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", skua_http_query(exchange)), 0);
    for (size_t i = 0; i < len && rc >= 0; i += sizeof buf) {
        size_t part = len - i < sizeof buf ? len - i : sizeof buf;

        test_pattern_fill(buf, part, i);
        rc = (int)skua_http_write(exchange, buf, part);
    }
    return rc < 0 ? rc : skua_http_flush(exchange);
}

TEST_FIBER(client_reads_bodies_of_all_sizes)
{
    static const int sizes[] = {0, 1, 4095, 16384, 16385, 200000};
    skua_http_client *client = client_with(NULL);
    struct site site;
    char *buf = malloc(200001);

    MUST(buf != NULL);
    site_begin(&site, is_big, NULL, NULL);
    for (size_t i = 0; i < 2 * TEST_LEN(sizes); i++) {
        size_t size = (size_t)sizes[i / 2];
        skua_http_response *response;
        char path[40];
        size_t sum = 0;
        ssize_t n;

        (void)snprintf(path, sizeof path, "/%s?%zu", i % 2 ? "whole" : "chunks", size);
        MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = AT(site.url, path)),
                                   &response) == 0);
        CHECK_EQ(skua_http_response_length(response), i % 2 ? (int64_t)size : -1);
        while ((n = skua_http_response_read(response, buf + sum, 200001 - sum)) > 0)
            sum += (size_t)n;
        CHECK_EQ(n, 0);
        CHECK_EQ(sum, size);
        CHECK(test_pattern_ok(buf, sum, 0));
        CHECK_EQ(client_stats(client).connections_idle, 1); /* before the response is closed */
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    site_end(&site);
    free(buf);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* Says how many bytes of the pattern came. */
static int counts(skua_http_exchange *exchange, void *state)
{
    char buf[5000];
    size_t sum = 0;
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0) {
        CHECK(test_pattern_ok(buf, (size_t)n, sum));
        sum += (size_t)n;
    }
    return n < 0 ? (int)n
                 : skua_http_replyf(exchange, 200, NULL, "%zu of %lld", sum,
                                    (long long)skua_http_body_length(exchange));
}

struct source {
    size_t len, at;
    int fails; /* at its end */
};

static ssize_t source_read(void *state, void *buf, size_t len)
{
    struct source *self = state;

    if (self->at == self->len)
        return self->fails;
    if (len > self->len - self->at)
        len = self->len - self->at;
    test_pattern_fill(buf, len, self->at);
    self->at += len;
    return (ssize_t)len;
}

TEST_FIBER(client_sends_streams)
{
    static const size_t sizes[] = {1, 16362, 16384, 300000};
    skua_http_client *client = client_with(NULL);
    struct site site;

    site_begin(&site, counts, NULL, NULL);
    for (size_t i = 0; i < 4 * TEST_LEN(sizes); i++) {
        struct source source = {.len = sizes[i / 4]};
        int64_t length = i & 1 ? (int64_t)source.len : 0;
        skua_http_response *response;
        char *body, wanted[60];

        (void)snprintf(wanted, sizeof wanted, "%zu of %lld", source.len,
                       length != 0 ? (long long)length : -1);
        MUST(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = site.url, .method = "PUT",
                                                     .body_read = source_read,
                                                     .body_state = &source, .body_length = length,
                                                     .expect_continue = (i & 2) != 0),
                                   &response) == 0);
        MUST(skua_http_response_read_all(response, &body, NULL, 100) == 0);
        CHECK_TEXT(body, wanted);
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    site_end(&site);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_sends_big_bytes)
{
    skua_http_client *client = client_with(NULL);
    size_t len = 1000000;
    char *bytes = malloc(len);
    struct site site;
    skua_http_response *response;

    MUST(bytes != NULL);
    test_pattern_fill(bytes, len, 0);
    site_begin(&site, counts, NULL, NULL);
    MUST(skua_http_post(client, site.url, NULL, bytes, len, 100, &response) == 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "1000000 of 1000000");
    skua_http_response_close(response);
    site_end(&site);
    free(bytes);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_streams_that_fail)
{
    skua_http_client *client = client_with(NULL);
    struct site site;
    skua_http_response *response;
    struct source fails = {.len = 10, .fails = -ENODATA};
    struct source is_short = {.len = 10};

    site_begin(&site, counts, NULL, NULL);
    CHECK_EQ(skua_http_client_send(
                 client,
                 SKUA_HTTP_REQUEST(.url = site.url, .body_read = source_read, .body_state = &fails),
                 &response),
             -ENODATA);
    CHECK_EQ(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = site.url, .body_read = source_read,
                                                     .body_state = &is_short, .body_length = 11),
                                   &response),
             -EMSGSIZE);
    CHECK_EQ(client_stats(client).connections_now, 0);
    site_end(&site);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_is_refused_in_the_middle)
{
    skua_http_client *client = client_with(NULL);
    struct source source = {.len = (size_t)64 << 20};
    struct site site;
    skua_http_response *response;

    site_begin(&site, refuses, NULL, NULL);
    for (unsigned asks = 0; asks < 2; asks++) {
        source.at = 0;
        MUST(skua_http_client_send(
                 client,
                 SKUA_HTTP_REQUEST(.url = site.url, .method = "PUT", .body_read = source_read,
                                   .body_state = &source, .expect_continue = asks),
                 &response) == 0);
        CHECK_EQ(skua_http_response_status(response), 403);
        CHECK(source.at < source.len);
        CHECK(asks == 0 || source.at == 0);
        skua_http_response_close(response);
        CHECK_EQ(client_stats(client).connections_now, 0);
    }
    site_end(&site);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

TEST_FIBER(client_bodies_that_are_left)
{
    static const struct {
        const char *path;
        unsigned kept;
    } cases[] = {{"/whole?100", 1},
                 {"/chunks?100", 1},
                 {"/whole?60000", 1},
                 {"/whole?5000000", 0},
                 {"/chunks?5000000", 0}};
    struct site site;

    site_begin(&site, is_big, NULL, NULL);
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_http_client *client = client_with(NULL);
        skua_http_response *response;

        MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = AT(site.url, cases[i].path)),
                                   &response) == 0);
        CHECK_EQ(skua_http_client_free(client), -EBUSY);
        skua_http_response_close(response);
        CHECK_EQ(client_stats(client).connections_idle, cases[i].kept);
        CHECK_EQ(client_stats(client).connections_now, cases[i].kept);
        CHECK_EQ(skua_http_get(client, AT(site.url, "/whole?1000"), 999, &response), SKUA_ELIMIT);
        CHECK_EQ(skua_http_get(client, AT(site.url, "/chunks?1000"), 999, &response), SKUA_ELIMIT);
        CHECK_EQ(gets_(client, AT(site.url, "/chunks?1000"), NULL), 200);
        CHECK_EQ(skua_http_client_close_idle(client), 1);
        CHECK_EQ(skua_http_client_free(client), 0);
    }
    site_end(&site);
    return 0;
}

/* ---- the pool -------------------------------------------------------------------------------- */

struct crowd {
    skua_http_client *client;
    const char *url;
    atomic_int now, most, served;
    int rc[40];
    int order[40]; /* the first to end, … */
    atomic_int ended;
};

static int slow(skua_http_exchange *exchange, void *state)
{
    struct crowd *crowd = state;
    int now = atomic_fetch_add(&crowd->now, 1) + 1;
    int most = atomic_load(&crowd->most);
    int rc;

    while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now))
        ;
    rc = skua_sleep(SKUA_MILLISECOND);
    atomic_fetch_sub(&crowd->now, 1);
    return rc != 0 ? rc : skua_http_reply(exchange, 200, NULL, "ok", 2);
}

static int one_of_many(void *arg)
{
    struct crowd *crowd = arg;
    int index = atomic_fetch_add(&crowd->served, 1);

    crowd->rc[index] = gets_(crowd->client, crowd->url, NULL);
    crowd->order[atomic_fetch_add(&crowd->ended, 1) % 40] = index;
    return 0;
}

TEST_FIBER(client_limits_of_the_pool)
{
    struct crowd crowd = {.client =
                              client_with(SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = 3,
                                                                   .connections_max = 4))};
    struct site site, other;
    skua_scope scope;

    site_begin(&site, slow, &crowd, NULL);
    site_begin(&other, slow, &crowd, NULL);
    for (int round = 0; round < 2; round++) {
        crowd.url = round == 0 ? site.url : other.url;
        atomic_store(&crowd.served, 0);
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        for (size_t i = 0; i < TEST_LEN(crowd.rc); i++)
            MUST(skua_spawn(&scope, one_of_many, &crowd) == 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        for (size_t i = 0; i < TEST_LEN(crowd.rc); i++)
            CHECK_EQ(crowd.rc[i], 200);
    }
    CHECK_RANGE(atomic_load(&crowd.most), 1, 3);
    CHECK_RANGE(client_stats(crowd.client).connections, 4, 6); /* three, and three, one evicted */
    CHECK_RANGE(client_stats(crowd.client).connections_now, 1, 4);
    CHECK_EQ(client_stats(crowd.client).requests, 80);
    CHECK_EQ(client_stats(crowd.client).waiting_now, 0);
    site_end(&site);
    site_end(&other);
    CHECK_EQ(skua_http_client_free(crowd.client), 0);
    return 0;
}

TEST_FIBER(client_waits_in_line)
{
    struct crowd crowd = {.client =
                              client_with(SKUA_HTTP_CLIENT_OPTIONS(.connections_per_origin = 1))};
    skua_http_response *response, *none;
    skua_deadline frame;
    skua_task *task[3];
    struct site site;

    site_begin(&site, is_big, NULL, NULL);
    crowd.url = AT(site.url, "/whole?0");
    MUST(skua_http_client_send(crowd.client, SKUA_HTTP_REQUEST(.url = AT(site.url, "/whole?9")),
                               &response) == 0);
    CHECK_EQ(skua_http_client_send(crowd.client,
                                   SKUA_HTTP_REQUEST(.url = site.url, .timeout = MS(1)), &none),
             -ETIMEDOUT);
    (void)skua_deadline_begin(&frame, skua_now() + MS(1));
    CHECK_EQ(gets_(crowd.client, site.url, NULL), -ETIMEDOUT);
    (void)skua_deadline_end(&frame);
    CHECK_EQ(client_stats(crowd.client).waiting_now, 0);
    for (size_t i = 0; i < TEST_LEN(task); i++) {
        MUST(skua_spawn(NULL, one_of_many, &crowd, .task = &task[i]) == 0);
        while (client_stats(crowd.client).waiting_now != i + 1)
            (void)skua_yield();
    }
    (void)skua_task_cancel(task[1]);
    CHECK_EQ(skua_task_join(task[1], NULL), 0);
    CHECK_EQ(client_stats(crowd.client).waiting_now, 2);
    skua_http_response_close(response);
    CHECK_EQ(skua_task_join(task[0], NULL), 0);
    CHECK_EQ(skua_task_join(task[2], NULL), 0);
    CHECK_EQ(client_stats(crowd.client).connections, 1);
    CHECK_EQ(crowd.rc[0] + crowd.rc[1] + crowd.rc[2], 200 + 200 - ECANCELED);
    CHECK_EQ(crowd.order[0],
             1); /* it was cancelled; the others in their order, one worker or two */
    CHECK_EQ(crowd.order[1] + 2 * crowd.order[2], 0 + 2 * 2);
    site_end(&site);
    CHECK_EQ(skua_http_client_free(crowd.client), 0);
    return 0;
}

/* One connection in all: who came first is first, whichever origin it wants. */
TEST_FIBER(client_waits_in_line_for_another_origin)
{
    struct crowd crowd = {.client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.connections_max = 1))};
    skua_http_response *response;
    skua_task *task[4];
    struct site sites[2];

    site_begin(&sites[0], is_big, NULL, NULL);
    site_begin(&sites[1], is_big, NULL, NULL);
    MUST(skua_http_client_send(crowd.client, SKUA_HTTP_REQUEST(.url = AT(sites[0].url, "/whole?9")),
                               &response) == 0);
    for (size_t i = 0; i < TEST_LEN(task); i++) { /* the other one, this one, the other one, … */
        crowd.url = AT(sites[i % 2 == 0].url, "/whole?0");
        MUST(skua_spawn(NULL, one_of_many, &crowd, .task = &task[i]) == 0);
        while (client_stats(crowd.client).waiting_now != i + 1)
            (void)skua_yield();
    }
    skua_http_response_close(response);
    for (size_t i = 0; i < TEST_LEN(task); i++) {
        CHECK_EQ(skua_task_join(task[i], NULL), 0);
        CHECK_EQ(crowd.rc[i], 200);
        CHECK_EQ(crowd.order[i], i);
    }
    CHECK_EQ(client_stats(crowd.client).connections, 5);
    CHECK_EQ(client_stats(crowd.client).connections_now, 1);
    site_end(&sites[0]);
    site_end(&sites[1]);
    CHECK_EQ(skua_http_client_free(crowd.client), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_gets),
        cmocka_unit_test(client_headers),
        cmocka_unit_test(client_long_headers),
        cmocka_unit_test(client_posts),
        cmocka_unit_test(client_bad_urls),
        cmocka_unit_test(client_bad_input),
        cmocka_unit_test(client_reads_bodies_of_all_sizes),
        cmocka_unit_test(client_sends_streams),
        cmocka_unit_test(client_sends_big_bytes),
        cmocka_unit_test(client_streams_that_fail),
        cmocka_unit_test(client_is_refused_in_the_middle),
        cmocka_unit_test(client_bodies_that_are_left),
        cmocka_unit_test(client_limits_of_the_pool),
        cmocka_unit_test(client_waits_in_line),
        cmocka_unit_test(client_waits_in_line_for_another_origin),
    };

    return TEST_MAIN(tests);
}
