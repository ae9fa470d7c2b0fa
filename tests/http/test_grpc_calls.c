/* drivers: both */
/* test_grpc_calls.c - calls from our client to our server: kinds of methods, deadlines, cancelling,
 * metadata, details, compression, two tasks on one call, what a server that is none answers.
 */
#include <pthread.h>

#include <skua/http/grpc_client.h>
#include <skua/http/grpc_server.h>

#include "peer.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define CHECK_STR(actual, wanted) CHECK_TEXT(actual, wanted)

/* ---- methods --------------------------------------------------------------------------------- */

static atomic_int cancels;

static int echo(skua_grpc_call *call, void *state)
{
    const skua_grpc_entry *entry;
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    (void)state;
    for (size_t i = 0; (entry = skua_grpc_metadata_at(call, i)) != NULL; i++)
        if (strncmp(entry->name, "x-", 2) == 0) {
            CHECK_EQ(skua_grpc_add_header(call, entry), 0);
            CHECK_EQ(skua_grpc_add_trailer(call, entry), 0);
        }
    return rc == 0 ? skua_grpc_send(call, message, len) : rc;
}

/* So many messages of so many bytes: "count size". */
static int stream(skua_grpc_call *call, void *state)
{
    static const char zeros[100000];
    const void *message;
    size_t len;
    char *end;
    long count, size;
    int rc = skua_grpc_recv_only(call, &message, &len);

    (void)state;
    if (rc != 0 || len > 20)
        return rc;
    count = strtol(message, &end, 10);
    size = strtol(end, NULL, 10);
    while (rc == 0 && count-- != 0)
        rc = skua_grpc_send(call, zeros, (size_t)size);
    return rc;
}

static int count(skua_grpc_call *call, void *state)
{
    const void *message;
    char text[48];
    size_t len, sum = 0, messages = 0;
    int rc;

    (void)state;
    while ((rc = skua_grpc_recv(call, &message, &len)) == 1) {
        sum += len;
        messages++;
    }
    (void)snprintf(text, sizeof text, "%zu %zu", messages, sum);
    return rc == 0 ? skua_grpc_send(call, text, strlen(text)) : rc;
}

static int chat(skua_grpc_call *call, void *state)
{
    const void *message;
    size_t len;
    int rc;

    (void)state;
    while ((rc = skua_grpc_recv(call, &message, &len)) == 1)
        if ((rc = skua_grpc_send(call, message, len)) != 0)
            return rc;
    return rc;
}

static int sleeps(skua_grpc_call *call, void *state)
{
    int rc = skua_grpc_flush(call);

    (void)state;
    if (rc == 0)
        rc = skua_sleep(SKUA_HOUR);
    if (rc == -ECANCELED)
        atomic_fetch_add(&cancels, 1);
    return rc;
}

static int fails(skua_grpc_call *call, void *state)
{
    char info[32], details[128];
    ssize_t len = skua_grpc_write_retry_info(3 * SKUA_SECOND, info, sizeof info);
    ssize_t n = skua_grpc_write_details(14, "later", "google.rpc.RetryInfo", info, (size_t)len,
                                        details, sizeof details);
    skua_grpc_entry trailer = {"x-why-bin", "\0\1\2", 3};

    (void)state;
    CHECK_EQ(skua_grpc_add_trailer(call, &trailer), 0);
    CHECK_EQ(skua_grpc_add_trailer(call, &trailer), 0);
    return skua_grpc_fail_with(call, SKUA_GRPC_UNAVAILABLE, "l\xc3\xa4ter, 100%", details,
                               (size_t)n);
}

/* One message, and then a failure. */
static int breaks(skua_grpc_call *call, void *state)
{
    (void)state;
    return skua_grpc_send(call, "one", 3) == 0 ? skua_grpc_fail(call, SKUA_GRPC_DATA_LOSS, "lost")
                                               : -EIO;
}

static const skua_grpc_method methods[] = {
    {"Echo", SKUA_GRPC_UNARY, echo},           {"Stream", SKUA_GRPC_SERVER_STREAM, stream},
    {"Count", SKUA_GRPC_CLIENT_STREAM, count}, {"Chat", SKUA_GRPC_BIDI, chat},
    {"Sleeps", SKUA_GRPC_UNARY, sleeps},       {"Fails", SKUA_GRPC_UNARY, fails},
    {"Breaks", SKUA_GRPC_BIDI, breaks}};
static const skua_grpc_service service = {"a.B", methods, TEST_LEN(methods), NULL, 0};

/* ---- both sides ------------------------------------------------------------------------------ */

struct pair {
    skua_grpc_server *server;
    struct site site;
    skua_http_client *client;
    const char *url;
};

static void pair_begin(struct pair *self, const skua_grpc_server_options *options)
{
    MUST(skua_grpc_server_new(&self->server, options) == 0);
    MUST(skua_grpc_add(self->server, &service, NULL) == 0);
    site_begin(&self->site, skua_grpc_handler, self->server, NULL);
    self->client = client_with(NULL);
    self->url = self->site.url;
}

static void pair_end(struct pair *self)
{
    CHECK_EQ(skua_http_client_free(self->client), 0);
    site_end(&self->site);
    skua_grpc_server_free(self->server);
}

static skua_grpc_call *opened(const struct pair *self, const char *method, skua_grpc_kind kind,
                              const skua_grpc_call_options *options)
{
    skua_grpc_call *call;

    MUST(skua_grpc_open(self->client, self->url, method, kind, options, &call) == 0);
    return call;
}

/* A unary call: its code, and that the reply is `wanted`. */
static int asks(const struct pair *self, const char *method, const char *request,
                const skua_grpc_call_options *options, const char *wanted)
{
    skua_grpc_call *call;
    const void *reply;
    size_t len;
    int rc = skua_grpc_unary(self->client, self->url, method, request, strlen(request), options,
                             &call, &reply, &len);

    CHECK(len == strlen(wanted) && memcmp(reply, wanted, len) == 0);
    CHECK((rc < 0) == (call == NULL));
    if (call != NULL)
        CHECK_EQ(skua_grpc_status_of(call)->code, rc);
    skua_grpc_close(call);
    return rc;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

TEST_FIBER(all_kinds_of_methods)
{
    struct pair pair;
    skua_grpc_call *call;
    const void *message;
    size_t len;
    int rc, messages = 0;

    pair_begin(&pair, NULL);
    CHECK_EQ(asks(&pair, "a.B/Echo", "hello", NULL, "hello"), 0);
    CHECK_EQ(asks(&pair, "/a.B/Echo", "", NULL, ""), 0);

    call = opened(&pair, "a.B/Stream", SKUA_GRPC_SERVER_STREAM, NULL);
    CHECK_EQ(skua_grpc_send(call, "5 1000", 6), 0);
    CHECK_EQ(skua_grpc_send(call, "5 1000", 6), SKUA_EUSAGE);
    while ((rc = skua_grpc_recv(call, &message, &len)) == 1) {
        CHECK_EQ(len, 1000);
        messages++;
    }
    CHECK(rc == 0 && messages == 5);
    CHECK_EQ(skua_grpc_recv(call, &message, &len), 0);
    CHECK_EQ(skua_grpc_finish(call), 0);
    skua_grpc_close(call);

    call = opened(&pair, "a.B/Count", SKUA_GRPC_CLIENT_STREAM, NULL);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(skua_grpc_send_more(call, "abc", 3), 0);
    CHECK_EQ(skua_grpc_half_close(call), 0);
    CHECK_EQ(skua_grpc_half_close(call), 0);
    CHECK_EQ(skua_grpc_send(call, "abc", 3), SKUA_EUSAGE);
    CHECK_EQ(skua_grpc_recv_only(call, &message, &len), 0);
    CHECK(len == 5 && memcmp(message, "10 30", 5) == 0);
    skua_grpc_close(call);

    call = opened(&pair, "a.B/Chat", SKUA_GRPC_BIDI, NULL);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(skua_grpc_send(call, &i, sizeof i), 0);
        CHECK_EQ(skua_grpc_recv(call, &message, &len), 1);
        CHECK(len == sizeof i && memcmp(message, &i, len) == 0);
    }
    CHECK_EQ(skua_grpc_finish(call), 0);
    skua_grpc_close(call);
    CHECK_EQ(client_stats(pair.client).connections, 1); /* for all of them */
    pair_end(&pair);
    return 0;
}

struct flood {
    skua_grpc_call *call;
    int count;
    size_t size;
};

static int floods(void *arg)
{
    static const char zeros[100000];
    struct flood *self = arg;
    int rc = 0;

    for (int i = 0; rc == 0 && i < self->count; i++)
        rc = skua_grpc_send(self->call, zeros, self->size);
    return rc == 0 ? skua_grpc_half_close(self->call) : rc;
}

/* One sends while the other receives: else both sides would wait for each other for ever. */
TEST_FIBER(two_tasks_share_a_call)
{
    struct pair pair;
    struct flood flood = {.count = 40, .size = 100000};
    skua_scope scope;
    const void *message;
    size_t len, sum = 0;
    int rc;

    pair_begin(&pair, NULL);
    flood.call = opened(&pair, "a.B/Chat", SKUA_GRPC_BIDI, NULL);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, floods, &flood) == 0);
    while ((rc = skua_grpc_recv(flood.call, &message, &len)) == 1)
        sum += len;
    CHECK_EQ(rc, 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_grpc_finish(flood.call), 0);
    CHECK_EQ(sum, 4000000);
    skua_grpc_close(flood.call);
    pair_end(&pair);
    return 0;
}

struct elsewhere {
    struct pair pair;
    atomic_int done;
};

static void *calls_elsewhere(void *arg)
{
    struct elsewhere *self = arg;
    skua_grpc_call *call;
    const void *message;
    size_t len;

    for (int i = 0; i < 10; i++)
        CHECK_EQ(asks(&self->pair, "a.B/Echo", "hello", NULL, "hello"), 0);
    call = opened(&self->pair, "a.B/Chat", SKUA_GRPC_BIDI, NULL);
    CHECK_EQ(skua_grpc_send(call, "hello", 5), 0);
    CHECK_EQ(skua_grpc_recv(call, &message, &len), 1);
    CHECK_EQ(skua_grpc_finish(call), 0);
    skua_grpc_close(call);
    CHECK_EQ(asks(&self->pair, "a.B/Sleeps", "", SKUA_GRPC_CALL_OPTIONS(.timeout = MS(20)), ""),
             SKUA_GRPC_DEADLINE_EXCEEDED);
    atomic_fetch_add(&self->done, 1);
    return NULL;
}

TEST_FIBER(plain_threads_call)
{
    struct elsewhere self = {.done = 0};
    pthread_t threads[3];

    pair_begin(&self.pair, NULL);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_create(&threads[i], NULL, calls_elsewhere, &self) == 0);
    while (atomic_load(&self.done) < (int)TEST_LEN(threads))
        CHECK_EQ(skua_sleep(MS(1)), 0);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    pair_end(&self.pair);
    return 0;
}

/* Whoever has enough, the server or this side, wakes who sends. */
static void ends_who_sends(const char *method, const skua_grpc_call_options *options, int code,
                           const char *why)
{
    struct pair pair;
    struct flood flood = {.count = 1000000, .size = 1000};
    skua_scope scope;
    const void *message;
    size_t len;
    int rc;

    pair_begin(&pair, NULL);
    flood.call = opened(&pair, method, SKUA_GRPC_BIDI, options);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, floods, &flood) == 0);
    while ((rc = skua_grpc_recv(flood.call, &message, &len)) == 1)
        ;
    CHECK_EQ(rc, 0);
    CHECK_EQ(skua_scope_join(&scope), SKUA_ECLOSED);
    CHECK_EQ(skua_grpc_finish(flood.call), code);
    CHECK_STR(skua_grpc_status_of(flood.call)->message, why);
    skua_grpc_close(flood.call);
    pair_end(&pair);
}

TEST_FIBER(an_end_wakes_who_sends)
{
    ends_who_sends("a.B/Breaks", NULL, SKUA_GRPC_DATA_LOSS, "lost");
    ends_who_sends("a.B/Chat", SKUA_GRPC_CALL_OPTIONS(.recv_max = 999),
                   SKUA_GRPC_RESOURCE_EXHAUSTED, "a message is longer than is received");
    return 0;
}

/* ---- status, metadata ------------------------------------------------------------------------ */

TEST_FIBER_CURRENT(details_and_metadata_come_back)
{
    static const skua_grpc_entry entries[] = {{"x-a", "one", 0}, {"x-b-bin", "\0\xff", 2}};
    struct pair pair;
    skua_grpc_call *call;
    const void *reply;
    size_t len;
    int64_t delay = 0;

    pair_begin(&pair, NULL);
    CHECK_EQ(skua_grpc_unary(pair.client, pair.url, "a.B/Fails", "", 0, NULL, &call, &reply, &len),
             SKUA_GRPC_UNAVAILABLE);
    CHECK_STR(skua_grpc_status_of(call)->message, "l\xc3\xa4ter, 100%");
    CHECK_EQ(skua_grpc_retry_delay(skua_grpc_status_of(call), &delay), 1);
    CHECK_EQ(delay, 3 * SKUA_SECOND);
    CHECK(skua_grpc_trailer(call, "x-why-bin") != NULL &&
          skua_grpc_trailer(call, "x-why-bin")->len == 3);
    CHECK(skua_grpc_trailer_at(call, 1) != NULL && skua_grpc_trailer_at(call, 1)->len == 3);
    CHECK(skua_grpc_exchange(call) == NULL);
    skua_grpc_close(call);

    CHECK_EQ(skua_grpc_unary(pair.client, pair.url, "a.B/Echo", "x", 1,
                             SKUA_GRPC_CALL_OPTIONS(.metadata = entries, .metadata_count = 2),
                             &call, &reply, &len),
             0);
    for (size_t i = 0; i < TEST_LEN(entries); i++) {
        const skua_grpc_entry *head = skua_grpc_metadata(call, entries[i].name);
        const skua_grpc_entry *trailer = skua_grpc_trailer(call, entries[i].name);

        CHECK(head != NULL && trailer != NULL && head->len == trailer->len);
        CHECK(head != NULL && memcmp(head->value, entries[i].value, head->len) == 0);
    }
    skua_grpc_close(call);
    CHECK_EQ(asks(&pair, "a.B/None", "", NULL, ""), SKUA_GRPC_UNIMPLEMENTED);
    CHECK_EQ(asks(&pair, "a.C/Echo", "", NULL, ""), SKUA_GRPC_UNIMPLEMENTED);
    pair_end(&pair);
    return 0;
}

TEST_FIBER_CURRENT(bad_calls_are_refused)
{
    static const skua_grpc_entry bad = {"grpc-x", "one", 0};
    struct pair pair;
    skua_grpc_call *call = NULL;
    skua_grpc_call_options options;

    pair_begin(&pair, NULL);
    skua_grpc_call_options_init(&options);
    options.timeout = -1;
    CHECK_EQ(skua_grpc_open(pair.client, pair.url, "a.B/Echo", SKUA_GRPC_UNARY, &options, &call),
             -EINVAL);
    CHECK_EQ(skua_grpc_open(pair.client, pair.url, "", SKUA_GRPC_UNARY, NULL, &call), -EINVAL);
    CHECK_EQ(skua_grpc_open(pair.client, "nowhere", "a/b", SKUA_GRPC_UNARY, NULL, &call), -EINVAL);
    CHECK_EQ(skua_grpc_open(pair.client, pair.url, "a b/c", SKUA_GRPC_UNARY, NULL, &call), -EINVAL);
    CHECK_EQ(skua_grpc_open(pair.client, pair.url, "a/b", (skua_grpc_kind)7, NULL, &call), -EINVAL);
    CHECK_EQ(asks(&pair, "a.B/Echo", "",
                  SKUA_GRPC_CALL_OPTIONS(.metadata = &bad, .metadata_count = 1), ""),
             -EINVAL);
    CHECK_EQ(asks(&pair, "a.B/Echo", "12345", SKUA_GRPC_CALL_OPTIONS(.send_max = 4), ""),
             -EMSGSIZE);
    CHECK(call == NULL);
    skua_grpc_close(NULL);
    pair_end(&pair);
    return 0;
}

TEST_FIBER_CURRENT(messages_have_limits_and_may_be_packed)
{
    struct pair pair;
    skua_grpc_call *call;
    const void *message;
    size_t len;
    char big[3000];

    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    pair_begin(&pair, SKUA_GRPC_SERVER_OPTIONS(.recv_max = 5000, .compress_min = 1000));
    CHECK_EQ(asks(&pair, "a.B/Echo", big, SKUA_GRPC_CALL_OPTIONS(.compress_min = 1), big), 0);
    CHECK_EQ(asks(&pair, "a.B/Echo", big, NULL, big), 0);
    CHECK_EQ(asks(&pair, "a.B/Echo", big, SKUA_GRPC_CALL_OPTIONS(.recv_max = 2998), ""),
             SKUA_GRPC_RESOURCE_EXHAUSTED);
    call = opened(&pair, "a.B/Stream", SKUA_GRPC_SERVER_STREAM, NULL);
    CHECK_EQ(skua_grpc_send(call, "3 100000", 8), 0);
    for (int i = 0; i < 3; i++)
        CHECK(skua_grpc_recv(call, &message, &len) == 1 && len == 100000);
    CHECK_EQ(skua_grpc_finish(call), 0);
    skua_grpc_close(call);
    call = opened(&pair, "a.B/Count", SKUA_GRPC_CLIENT_STREAM, NULL);
    (void)skua_grpc_send(call, big, sizeof big);
    (void)skua_grpc_send(call, (const char[5001]){""}, 5001);
    CHECK_EQ(skua_grpc_finish(call), SKUA_GRPC_RESOURCE_EXHAUSTED);
    CHECK_STR(skua_grpc_status_of(call)->message, "a message is longer than is received");
    skua_grpc_close(call);
    pair_end(&pair);
    return 0;
}

/* ---- deadlines and cancelling ---------------------------------------------------------------- */

TEST_FIBER(deadlines_end_calls_on_both_sides)
{
    struct pair pair;
    skua_deadline frame;
    int64_t began = skua_now();

    pair_begin(&pair, NULL);
    CHECK_EQ(asks(&pair, "a.B/Sleeps", "", SKUA_GRPC_CALL_OPTIONS(.timeout = MS(30)), ""),
             SKUA_GRPC_DEADLINE_EXCEEDED);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(30)), 0);
    CHECK_EQ(asks(&pair, "a.B/Sleeps", "", NULL, ""), SKUA_GRPC_DEADLINE_EXCEEDED);
    CHECK_EQ(asks(&pair, "a.B/Sleeps", "", NULL, ""), SKUA_GRPC_DEADLINE_EXCEEDED);
    CHECK_EQ(skua_deadline_end(&frame), 0);
    CHECK_RANGE(skua_now() - began, MS(60), 2 * TEST_LATE);
    CHECK_EQ(asks(&pair, "a.B/Echo", "there", NULL, "there"), 0);
    pair_end(&pair);
    return 0;
}

static int receives(void *arg)
{
    const void *message;
    size_t len;

    return skua_grpc_recv(arg, &message, &len);
}

TEST_FIBER(cancelling_is_told_to_the_server)
{
    struct pair pair;
    skua_grpc_call *call;
    skua_task *task;
    int result = 1, before = atomic_load(&cancels);

    pair_begin(&pair, NULL);
    call = opened(&pair, "a.B/Sleeps", SKUA_GRPC_SERVER_STREAM, NULL);
    CHECK_EQ(skua_grpc_send(call, "", 0), 0);
    CHECK_EQ(skua_grpc_wait_head(call), 0);
    MUST(skua_spawn(NULL, receives, call, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(5)), 0);
    CHECK_EQ(skua_task_cancel(task), 0); /* who receives; the call goes on */
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(atomic_load(&cancels), before);
    skua_grpc_cancel(call);
    CHECK_EQ(skua_grpc_finish(call), SKUA_GRPC_CANCELLED);
    skua_grpc_close(call);
    for (int64_t end = skua_now() + TEST_LATE; atomic_load(&cancels) == before;) {
        MUST(skua_now() < end);
        CHECK_EQ(skua_sleep(MS(1)), 0);
    }
    call = opened(&pair, "a.B/Sleeps", SKUA_GRPC_SERVER_STREAM, NULL);
    CHECK_EQ(skua_grpc_send(call, "", 0), 0);
    CHECK_EQ(skua_grpc_wait_head(call), 0);
    skua_grpc_close(call); /* is one, too */
    for (int64_t end = skua_now() + TEST_LATE; atomic_load(&cancels) == before + 1;) {
        MUST(skua_now() < end);
        CHECK_EQ(skua_sleep(MS(1)), 0);
    }
    pair_end(&pair);
    return 0;
}

/* ---- servers that are none ------------------------------------------------------------------- */

static int page(skua_http_exchange *exchange, void *state)
{
    int status = *(int *)state;

    if (status == 0) /* gRPC, but no status */
        return skua_http_reply(exchange, 200, "application/grpc", "\0\0\0\0\1x", 6);
    if (status == 1) { /* cut in the middle, with a good status */
        CHECK_EQ(skua_http_set_trailer(exchange, "grpc-status", "0"), 0);
        CHECK_EQ(skua_http_set_header(exchange, "content-type", "application/grpc"), 0);
        return skua_http_write(exchange, "\0\0\0\0\5hell", 9) == 9 ? 0 : -EIO;
    }
    return skua_http_replyf(exchange, status, "text/html", "<p>%d", status);
}

TEST_FIBER_CURRENT(what_is_no_grpc_has_a_status)
{
    static const int statuses[][2] = {
        {503, SKUA_GRPC_UNAVAILABLE},     {404, SKUA_GRPC_UNIMPLEMENTED},
        {401, SKUA_GRPC_UNAUTHENTICATED}, {200, SKUA_GRPC_UNKNOWN},
        {302, SKUA_GRPC_UNKNOWN},         {1, SKUA_GRPC_INTERNAL}};
    struct pair pair = {.client = client_with(NULL)};
    skua_grpc_call *call;
    int status = 0;

    site_begin(&pair.site, page, &status, NULL);
    pair.url = pair.site.url;
    CHECK_EQ(asks(&pair, "a/b", "", NULL, "x"), SKUA_GRPC_UNKNOWN);
    for (size_t i = 0; i < TEST_LEN(statuses); i++) {
        status = statuses[i][0];
        CHECK_EQ(asks(&pair, "a/b", "", NULL, ""), statuses[i][1]);
    }
    CHECK_EQ(skua_http_client_free(pair.client), 0);
    site_end(&pair.site);
    pair.client = client_with(NULL);
    CHECK_EQ(asks(&pair, "a/b", "", NULL, ""), SKUA_GRPC_UNAVAILABLE); /* nobody is there */
    call = opened(&pair, "a/b", SKUA_GRPC_BIDI, NULL);
    CHECK_EQ(skua_grpc_unprocessed(call), 1);
    CHECK_EQ(skua_grpc_send(call, "", 0), SKUA_ECLOSED);
    CHECK_EQ(skua_grpc_finish(call), SKUA_GRPC_UNAVAILABLE);
    skua_grpc_cancel(call);
    skua_grpc_close(call);
    CHECK_EQ(skua_http_client_free(pair.client), 0);
    return 0;
}

/* Any bytes as the body of a response, and any fields behind it: each call has an end. */
static int babbles(skua_http_exchange *exchange, void *state)
{
    static const char *const fields[][2] = {
        {"grpc-status", "0"},     {"grpc-status", "-1"},        {"grpc-status", "99999999999999"},
        {"grpc-status", ""},      {"grpc-message", "%"},        {"grpc-status-details-bin", "=="},
        {"x-bin", "AAE=,?, ,Zg"}, {"grpc-encoding", "gzip"},    {"grpc-encoding", "lzma"},
        {"grpc-status", "5"},     {"grpc-message", "%00%zz%41"}};
    uint64_t *seed = state;
    char body[64];
    size_t len = test_random(seed) % sizeof body;
    int rc = skua_http_set_header(exchange, "content-type", "application/grpc+x");

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(test_random(seed) % 4 == 0 ? test_random(seed) : 0);
    for (int i = 0; i < 4; i++) {
        const char *const *field = fields[test_random(seed) % TEST_LEN(fields)];

        if (rc == 0 && i % 2 == 0)
            rc = skua_http_add_trailer(exchange, field[0], field[1]);
        else if (rc == 0 && test_random(seed) % 4 == 0)
            rc = skua_http_add_header(exchange, field[0], field[1]);
    }
    if (rc == 0 && test_random(seed) % 8 == 0)
        return -EIO;
    return rc == 0 && skua_http_write(exchange, body, len) < 0 ? -EPIPE : rc;
}

TEST_FIBER_CURRENT(babble_has_a_status)
{
    uint64_t seed = test_seed();
    struct pair pair = {.client = client_with(NULL)};
    const void *message;
    size_t len;
    int rc;

    site_begin(&pair.site, babbles, &seed, NULL);
    pair.url = pair.site.url;
    for (int i = 0; i < TEST_COUNT(400); i++) {
        skua_grpc_call *call = opened(&pair, "a/b", (skua_grpc_kind)(i % 4), NULL);

        rc = skua_grpc_send(call, "x", 1);
        CHECK(rc == 0 || rc == SKUA_ECLOSED);
        rc = skua_grpc_half_close(call);
        CHECK(rc == 0 || rc == SKUA_ECLOSED);
        while ((rc = skua_grpc_recv(call, &message, &len)) == 1)
            CHECK_RANGE(len, 0, 64);
        CHECK_EQ(rc, 0);
        CHECK_RANGE(skua_grpc_finish(call), 0, 16);
        skua_grpc_close(call);
    }
    CHECK_EQ(skua_http_client_free(pair.client), 0);
    site_end(&pair.site);
    return 0;
}

/* A stream may be silent for longer than a body may. */
TEST_FIBER_CURRENT(streams_have_time)
{
    struct pair pair;
    skua_grpc_call *call;
    const void *message;
    size_t len;

    MUST(skua_grpc_server_new(&pair.server, NULL) == 0);
    MUST(skua_grpc_add(pair.server, &service, NULL) == 0);
    site_begin(&pair.site, skua_grpc_handler, pair.server,
               SKUA_HTTP_SERVER_OPTIONS(.body_timeout = MS(20), .body_max = 10,
                                        .body_rate_min = INT32_MAX));
    pair.client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.read_timeout = MS(20), .head_timeout = MS(20),
                                             .total_timeout = MS(50)));
    pair.url = pair.site.url;
    call = opened(&pair, "a.B/Chat", SKUA_GRPC_BIDI, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_sleep(MS(40)), 0);
        CHECK_EQ(skua_grpc_send(call, "12345678", 8), 0);
        CHECK_EQ(skua_grpc_recv(call, &message, &len), 1);
        CHECK_TEXT(message, "12345678");
    }
    CHECK_EQ(skua_grpc_finish(call), 0);
    skua_grpc_close(call);
    pair_end(&pair);
    return 0;
}

#ifdef SKUA_FAULTS
/* Whatever fails for want of memory, on either side: an answer, and nothing is left behind. */
TEST_FIBER_CURRENT(no_memory_is_an_answer)
{
    struct pair pair;
    skua_grpc_entry entry = {"x-a", "one", 0};
    unsigned failed = 0;

    pair_begin(&pair, SKUA_GRPC_SERVER_OPTIONS(.compress_min = 1));
    CHECK_EQ(asks(&pair, "a.B/Echo", "hello", NULL, "hello"), 0);
    for (unsigned i = 1; i < 60; i++) {
        skua_grpc_call *call;
        const void *reply;
        size_t len;
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        rc = skua_grpc_unary(
            pair.client, pair.url, "a.B/Echo", "hello, hello, hello, hello", 26,
            SKUA_GRPC_CALL_OPTIONS(.metadata = &entry, .metadata_count = 1, .compress_min = 1),
            &call, &reply, &len);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK((rc < 0) == (call == NULL));
        CHECK(rc != 0 || (len == 26 && memcmp(reply, "hello, ", 7) == 0));
        failed += rc != 0;
        skua_grpc_close(call);
    }
    CHECK_RANGE(failed, 8, 58);
    CHECK_EQ(asks(&pair, "a.B/Echo", "hello", NULL, "hello"), 0);
    pair_end(&pair);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_of_methods),
        cmocka_unit_test(two_tasks_share_a_call),
        cmocka_unit_test(plain_threads_call),
        cmocka_unit_test(an_end_wakes_who_sends),
        cmocka_unit_test(details_and_metadata_come_back),
        cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(messages_have_limits_and_may_be_packed),
        cmocka_unit_test(deadlines_end_calls_on_both_sides),
        cmocka_unit_test(cancelling_is_told_to_the_server),
        cmocka_unit_test(what_is_no_grpc_has_a_status),
        cmocka_unit_test(babble_has_a_status),
        cmocka_unit_test(streams_have_time),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory_is_an_answer),
#endif
    };

    return TEST_MAIN(tests);
}
