/* test_http_retry.c - requests that are sent again.
 *
 * Specifies retry.h of libskua-http: which answers and errors, which methods and bodies; pauses and
 * what the server says about them, the time of all tries together, the budget; a clock that jumps.
 */
#include <time.h>
#include <unistd.h>

#include <skua/http/retry.h>
#include <skua/test.h>
#include <skua/unix.h>

#include "peer.h"

/* ---- a site that answers by a list ----------------------------------------------------------- */

struct answer {
    int status;         /* -1: after an hour */
    const char *header; /* Retry-After */
};

struct moody {
    const struct answer *answers; /* the last one again and again */
    size_t count;
    size_t asked;
    int64_t at[16];    /* when it was asked */
    char body[16][16]; /* what it was sent */
    char path[64];
    struct site site;
};

static int moods(skua_http_exchange *exchange, void *state)
{
    struct moody *self = state;
    size_t index = self->asked < self->count ? self->asked : self->count - 1;
    const struct answer *answer = &self->answers[index];
    size_t slot = self->asked++ % 16;
    char *body;

    self->at[slot] = skua_now();
    MUST(skua_http_read_all(exchange, &body, NULL, 15) == 0);
    (void)snprintf(self->body[slot], sizeof self->body[slot], "%s", body);
    if (answer->status < 0)
        (void)skua_sleep(SKUA_HOUR);
    if (answer->header != NULL)
        CHECK_EQ(skua_http_set_header(exchange, "Retry-After", answer->header), 0);
    return skua_http_replyf(exchange, answer->status < 0 ? 200 : answer->status, NULL, "%zu",
                            self->asked);
}

static void moody_begin(struct moody *self, const struct answer *answers, size_t count)
{
    static atomic_int number;

    memset(self, 0, sizeof *self);
    self->answers = answers;
    self->count = count;
    (void)snprintf(self->path, sizeof self->path, "@skua-retry-%d-%d", (int)getpid(),
                   atomic_fetch_add(&number, 1));
    MUST(skua_http_server_new(&self->site.server, moods, self,
                              SKUA_HTTP_SERVER_OPTIONS(.handler_timeout = SKUA_FOREVER)) == 0);
    MUST(skua_unix_listen(&self->site.listener, self->path, NULL) == 0);
    MUST(skua_spawn(NULL, site_run, &self->site, .task = &self->site.task) == 0);
}

static void moody_end(struct moody *self)
{
    site_end(&self->site);
}

/* The status of what came in the end, or the error. */
static int retried(struct moody *self, const char *method, int64_t timeout,
                   const skua_http_retry_options *options)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response = NULL;
    int rc = skua_http_client_send_retrying(client,
                                            SKUA_HTTP_REQUEST(.url = "http://a/",
                                                              .unix_path = self->path,
                                                              .method = method, .timeout = timeout),
                                            options, &response);

    CHECK((rc == 0) == (response != NULL));
    if (rc == 0) {
        rc = skua_http_response_status(response);
        CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 1000), 0);
    }
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_free(client), 0);
    return rc;
}

/* ---- which ----------------------------------------------------------------------------------- */

TEST_FIBER_CLOCK(passing_statuses)
{
    static const int passing[] = {408, 429, 502, 503, 504};
    static const int lasting[] = {200, 204, 302, 400, 404, 409, 425, 500, 501, 505};
    struct answer answers[] = {{0, NULL}, {200, NULL}};
    struct moody site;

    for (size_t i = 0; i < TEST_LEN(passing); i++) {
        answers[0].status = passing[i];
        moody_begin(&site, answers, 2);
        CHECK_EQ(retried(&site, NULL, 0, NULL), 200);
        CHECK_EQ(site.asked, 2);
        moody_end(&site);
    }
    for (size_t i = 0; i < TEST_LEN(lasting); i++) {
        answers[0].status = lasting[i];
        moody_begin(&site, answers, 2);
        CHECK_EQ(retried(&site, NULL, 0, NULL), lasting[i]);
        CHECK_EQ(site.asked, 1);
        moody_end(&site);
    }
    return 0;
}

TEST_FIBER_CLOCK(the_last_answer_counts)
{
    static const struct answer answers[] = {{503, NULL}};
    struct moody site;

    moody_begin(&site, answers, 1);
    CHECK_EQ(retried(&site, NULL, 0, NULL), 503);
    CHECK_EQ(site.asked, 3);
    CHECK_EQ(retried(&site, NULL, 0,
                     SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.attempts = 1))),
             503);
    CHECK_EQ(site.asked, 4);
    moody_end(&site);
    return 0;
}

TEST_FIBER_CLOCK(methods)
{
    static const struct answer answers[] = {{503, NULL}, {200, NULL}};
    static const struct {
        const char *method;
        unsigned any;
        int status;
    } cases[] = {{"HEAD", 0, 200}, {"PUT", 0, 200},   {"DELETE", 0, 200}, {"OPTIONS", 0, 200},
                 {"POST", 0, 503}, {"PATCH", 0, 503}, {"POST", 1, 200}};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct moody site;

        test_variant(cases[i].method);
        moody_begin(&site, answers, 2);
        CHECK_EQ(
            retried(&site, cases[i].method, 0, SKUA_HTTP_RETRY_OPTIONS(.any_method = cases[i].any)),
            cases[i].status);
        moody_end(&site);
    }
    return 0;
}

/* A POST to nobody was not sent, and may be again. */
TEST_FIBER(nobody_is_there)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    char address[SKUA_ADDRESS_MAX], url[SKUA_ADDRESS_MAX + 16];
    skua_listener *listener = test_listen(address);
    const skua_backoff_options quick = {
        .size = sizeof quick, .initial = SKUA_MILLISECOND, .attempts = 4};

    CHECK_EQ(skua_listener_close(listener), 0);
    (void)snprintf(url, sizeof url, "http://%s", address);
    CHECK_EQ(skua_http_client_send_retrying(client, SKUA_HTTP_REQUEST(.url = url, .method = "POST"),
                                            SKUA_HTTP_RETRY_OPTIONS(.backoff = &quick), &response),
             -ECONNREFUSED);
    CHECK_EQ(client_stats(client).connections_now, 0);
    CHECK_EQ(client_stats(client).waiting_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

struct onward {
    char url[SKUA_ADDRESS_MAX + 16];
    atomic_int asked;
};

static int sends_on(skua_http_exchange *exchange, void *state)
{
    struct onward *self = state;

    atomic_fetch_add(&self->asked, 1);
    CHECK_EQ(skua_http_set_header(exchange, "Location", self->url), 0);
    return skua_http_reply(exchange, 303, NULL, NULL, 0);
}

/* Who sends a POST on to nobody has acted upon it. */
TEST_FIBER(nobody_is_there_behind_a_redirect)
{
    static const char *const methods[] = {"POST", "PUT"};
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);
    const skua_backoff_options quick = {
        .size = sizeof quick, .initial = SKUA_MILLISECOND, .attempts = 3};
    struct onward onward = {.asked = 0};
    struct site site;

    CHECK_EQ(skua_listener_close(listener), 0);
    (void)snprintf(onward.url, sizeof onward.url, "http://%s", address);
    site_begin(&site, sends_on, &onward, NULL);
    for (int i = 0; i < 2; i++) {
        atomic_store(&onward.asked, 0);
        CHECK_EQ(skua_http_client_send_retrying(
                     client, SKUA_HTTP_REQUEST(.url = site.url, .method = methods[i]),
                     SKUA_HTTP_RETRY_OPTIONS(.backoff = &quick), &response),
                 -ECONNREFUSED);
        CHECK_EQ(atomic_load(&onward.asked), i == 0 ? 1 : 3);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&site);
    return 0;
}

TEST_FIBER(bad_input)
{
    skua_http_client *client = client_with(NULL);
    skua_http_response *response;
    const skua_http_request *request = SKUA_HTTP_REQUEST(.url = "nothing");

    CHECK_EQ(skua_http_client_send_retrying(client, NULL, NULL, &response), -EINVAL);
    CHECK_EQ(skua_http_client_send_retrying(client, request, NULL, &response), -EINVAL);
    CHECK_EQ(skua_http_client_send_retrying(client, request,
                                            SKUA_HTTP_RETRY_OPTIONS(.try_timeout = -1), &response),
             -EINVAL);
    CHECK_EQ(skua_http_client_send_retrying(client, request,
                                            SKUA_HTTP_RETRY_OPTIONS(.any_method = 2), &response),
             -EINVAL);
    CHECK_EQ(skua_http_client_send_retrying(
                 client, request,
                 SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.multiplier = 0.5)),
                 &response),
             -EINVAL);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* ---- when ------------------------------------------------------------------------------------ */

static int64_t waited(const struct moody *site)
{
    return site->at[1] - site->at[0];
}

TEST_FIBER_CLOCK(the_server_says_when)
{
    struct answer answers[] = {{503, NULL}, {200, NULL}};
    char date[40];
    time_t then = time(NULL) + 10;
    static const struct {
        const char *after;
        int64_t low, high; /* s; high 0: it is not tried again */
    } cases[] = {{"5", 5, 6},
                 {"0", 0, 1},
                 {"30", 30, 31},
                 {"31", 0, 0},
                 {"", 0, 1},
                 {"soon", 0, 1},
                 {"-5", 0, 1},
                 {"1.5", 0, 1},
                 {"99999999999999999999999", 0, 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", 0, 1},
                 {"Sun, 06 Nov 2094 08:49:37 GMT", 0, 0}};
    struct moody site;

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        test_variant(cases[i].after);
        answers[0].header = cases[i].after;
        moody_begin(&site, answers, 2);
        CHECK_EQ(retried(&site, NULL, 0, NULL), cases[i].high != 0 ? 200 : 503);
        if (cases[i].high != 0)
            CHECK_RANGE(waited(&site), cases[i].low * SKUA_SECOND, cases[i].high * SKUA_SECOND);
        moody_end(&site);
    }
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
    answers[0].header = date;
    moody_begin(&site, answers, 2);
    CHECK_EQ(retried(&site, NULL, 0, NULL), 200);
    CHECK_RANGE(waited(&site), 1 * SKUA_SECOND, 11 * SKUA_SECOND);
    moody_end(&site);
    answers[0].header = "40";
    moody_begin(&site, answers, 2);
    CHECK_EQ(retried(&site, NULL, 0, SKUA_HTTP_RETRY_OPTIONS(.retry_after_max = SKUA_MINUTE)), 200);
    moody_end(&site);
    return 0;
}

/* The request's time is that of all tries and pauses. */
TEST_FIBER_CLOCK(one_time_for_all)
{
    static const struct answer later[] = {{503, "8"}}, never[] = {{-1, NULL}};
    int64_t begin = skua_now();
    struct moody site;

    moody_begin(&site, later, 1);
    CHECK_EQ(retried(&site, NULL, 20 * SKUA_SECOND,
                     SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.attempts = 100))),
             503); /* a third pause would not end before */
    CHECK_EQ(site.asked, 3);
    CHECK_RANGE(skua_now() - begin, 16 * SKUA_SECOND, 20 * SKUA_SECOND);
    moody_end(&site);
    begin = skua_now();
    moody_begin(&site, never, 1);
    CHECK_EQ(retried(&site, NULL, 20 * SKUA_SECOND, NULL), -ETIMEDOUT);
    CHECK_EQ(site.asked, 1);
    CHECK_RANGE(skua_now() - begin, 20 * SKUA_SECOND, 21 * SKUA_SECOND);
    moody_end(&site);
    return 0;
}

TEST_FIBER_CLOCK(time_of_a_try)
{
    static const struct answer answers[] = {{-1, NULL}, {-1, NULL}, {200, NULL}};
    int64_t begin = skua_now();
    struct moody site;

    moody_begin(&site, answers, 3);
    CHECK_EQ(retried(&site, NULL, 0, SKUA_HTTP_RETRY_OPTIONS(.try_timeout = 2 * SKUA_SECOND)), 200);
    CHECK_EQ(site.asked, 3);
    CHECK_RANGE(skua_now() - begin, 4 * SKUA_SECOND, 6 * SKUA_SECOND);
    moody_end(&site);
    return 0;
}

/* The caller's own end is the end. */
TEST_FIBER_CLOCK(the_callers_deadline)
{
    static const struct answer answers[] = {{503, "8"}};
    int64_t begin = skua_now();
    struct moody site;
    skua_deadline frame;

    moody_begin(&site, answers, 1);
    (void)skua_deadline_begin(&frame, skua_now() + 10 * SKUA_SECOND);
    CHECK_EQ(retried(&site, NULL, 0,
                     SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.attempts = 9))),
             503);
    (void)skua_deadline_end(&frame);
    CHECK_EQ(site.asked, 2);
    CHECK_RANGE(skua_now() - begin, 8 * SKUA_SECOND, 10 * SKUA_SECOND);
    moody_end(&site);
    return 0;
}

static int retries_for_ever(void *arg)
{
    CHECK_EQ(retried(arg, NULL, 0,
                     SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.attempts = 1000))),
             -ECANCELED);
    return 0;
}

TEST_FIBER_CLOCK(cancelled_in_a_pause)
{
    static const struct answer answers[] = {{503, "20"}};
    struct moody site;
    skua_task *task;

    moody_begin(&site, answers, 1);
    MUST(skua_spawn(NULL, retries_for_ever, &site, .task = &task) == 0);
    CHECK_EQ(skua_sleep(30 * SKUA_SECOND), 0);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(site.asked, 2);
    moody_end(&site);
    return 0;
}

/* ---- how often ------------------------------------------------------------------------------- */

/* When all fails, retries are a fifth of the requests at most, not twice as many. */
TEST_FIBER_CLOCK(an_outage_is_not_multiplied)
{
    static const struct answer answers[] = {{503, NULL}};
    skua_retry_budget budget;
    struct moody site;

    MUST(skua_retry_budget_init(
             &budget, SKUA_RETRY_BUDGET_OPTIONS(.min_per_second = -1, .window = SKUA_HOUR)) == 0);
    moody_begin(&site, answers, 1);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(
            retried(&site, NULL, 0,
                    SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.budget = &budget))),
            503);
    CHECK_EQ(site.asked, 60);
    moody_end(&site);
    return 0;
}

static int told[8], tolds;

static void tells(unsigned attempt, int rc, int64_t pause, void *arg)
{
    CHECK(pause >= 0 && arg == told);
    CHECK_EQ(attempt, tolds + 1);
    told[tolds++] = rc;
}

static int not_found_is_passing(int rc, const skua_http_response *response, void *arg)
{
    CHECK(arg == told);
    return rc == 0 && skua_http_response_status(response) == 404;
}

TEST_FIBER_CLOCK(functions_of_ones_own)
{
    static const struct answer answers[] = {{404, NULL}, {404, NULL}, {503, NULL}, {200, NULL}};
    struct moody site;

    tolds = 0;
    moody_begin(&site, answers, 4);
    CHECK_EQ(retried(&site, NULL, 0,
                     SKUA_HTTP_RETRY_OPTIONS(.backoff = SKUA_BACKOFF_OPTIONS(.attempts = 9),
                                             .retry_if = not_found_is_passing, .on_retry = tells,
                                             .arg = told)),
             503);
    CHECK_EQ(tolds, 2);
    CHECK_EQ(told[0], 404);
    moody_end(&site);
    return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

struct stream {
    const char *left;
    int again; /* how often it was begun anew; -1: it cannot */
};

static ssize_t stream_read(void *state, void *buf, size_t len)
{
    struct stream *self = state;

    if (len > strlen(self->left))
        len = strlen(self->left);
    memcpy(buf, self->left, len);
    self->left += len;
    return (ssize_t)len;
}

static int stream_again(void *state)
{
    struct stream *self = state;

    if (self->again < 0)
        return -EIO;
    self->again++;
    self->left = "a body";
    return 0;
}

TEST_FIBER_CLOCK(bodies_are_sent_again)
{
    static const struct answer answers[] = {{503, NULL}, {503, NULL}, {200, NULL}};
    struct stream streams[] = {{"a body", 0}, {"a body", -1}, {"a body", 0}};
    skua_http_client *client = client_with(NULL);

    for (size_t i = 0; i < 4; i++) {
        skua_http_request request = *SKUA_HTTP_REQUEST(.url = "http://a/", .method = "PUT");
        skua_http_response *response;
        struct moody site;

        moody_begin(&site, answers, 3);
        request.unix_path = site.path;
        if (i < 3) {
            request.body_read = stream_read;
            request.body_again = i < 2 ? stream_again : NULL;
            request.body_state = &streams[i];
        } else {
            request.body = "a body";
            request.body_len = 6;
        }
        MUST(skua_http_client_send_retrying(client, &request, NULL, &response) == 0);
        CHECK_EQ(skua_http_response_status(response), i == 0 || i == 3 ? 200 : 503);
        CHECK_EQ(site.asked, i == 0 || i == 3 ? 3 : 1);
        for (size_t k = 0; k < site.asked; k++)
            CHECK_TEXT(site.body[k], "a body");
        skua_http_response_close(response);
        moody_end(&site);
    }
    CHECK_EQ(streams[0].again, 2);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* ---- connections ----------------------------------------------------------------------------- */

/* The first answer is cut in its head; the second one comes. */
TEST_FIBER(cut_connections)
{
    static const struct act acts[] = {{"HTTP/1.1 200", CLOSES},
                                      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", CLOSES}};
    const skua_backoff_options quick = {.size = sizeof quick, .initial = SKUA_MILLISECOND};
    skua_http_client *client = client_with(NULL);
    skua_http_response *response = NULL;
    struct peer peer;

    peer_begin(&peer, acts, TEST_LEN(acts));
    CHECK_EQ(skua_http_client_send_retrying(client, SKUA_HTTP_REQUEST(.url = peer.url),
                                            SKUA_HTTP_RETRY_OPTIONS(.backoff = &quick), &response),
             0);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 10), 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "ok");
    skua_http_response_close(response);
    peer_end(&peer);
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passing_statuses),
        cmocka_unit_test(the_last_answer_counts),
        cmocka_unit_test(methods),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(nobody_is_there_behind_a_redirect),
        cmocka_unit_test(bad_input),
        cmocka_unit_test(the_server_says_when),
        cmocka_unit_test(one_time_for_all),
        cmocka_unit_test(time_of_a_try),
        cmocka_unit_test(the_callers_deadline),
        cmocka_unit_test(cancelled_in_a_pause),
        cmocka_unit_test(an_outage_is_not_multiplied),
        cmocka_unit_test(functions_of_ones_own),
        cmocka_unit_test(bodies_are_sent_again),
        cmocka_unit_test(cut_connections),
    };

    return TEST_MAIN(tests);
}
