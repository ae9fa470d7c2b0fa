/* test_grpc_server.c - a gRPC server's handler, without a connection: kinds of methods, status,
 * metadata, limits, what is malformed, and what is no gRPC at all.
 */
#include "grpc_fake.h"

/* ---- methods --------------------------------------------------------------------------------- */

/* Says what it got, once. */
static int echo(skua_grpc_call *call, void *state)
{
    const void *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, &message, &len);

    (void)state;
    return rc == 0 ? skua_grpc_send(call, message, len) : rc;
}

/* Each byte of the message as one. */
static int split(skua_grpc_call *call, void *state)
{
    const char *message;
    size_t len;
    int rc = skua_grpc_recv_only(call, (const void **)&message, &len);

    (void)state;
    for (size_t i = 0; rc == 0 && i < len; i++)
        rc = i % 2 == 0 ? skua_grpc_send(call, message + i, 1)
                        : skua_grpc_send_more(call, message + i, 1);
    return rc;
}

/* The bytes of all messages, counted. */
static int count(skua_grpc_call *call, void *state)
{
    const void *message;
    char text[24];
    size_t len, sum = 0;
    int rc;

    (void)state;
    while ((rc = skua_grpc_recv(call, &message, &len)) == 1)
        sum += len;
    (void)snprintf(text, sizeof text, "%zu", sum);
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

static int result; /* of `gives` */

static int gives(skua_grpc_call *call, void *state)
{
    (void)call;
    (void)state;
    return result;
}

static int fails(skua_grpc_call *call, void *state)
{
    skua_grpc_entry trailer = {"why-bin", "\0\1", 2};

    (void)state;
    CHECK_EQ(skua_grpc_add_trailer(call, &trailer), 0);
    trailer.name = "grpc-x";
    CHECK_EQ(skua_grpc_add_trailer(call, &trailer), -EINVAL);
    return skua_grpc_fail_with(call, SKUA_GRPC_NOT_FOUND, "no \xc3\xa9", "\x08\x05", 2);
}

/* Says its metadata again, in front and behind. */
static int mirrors(skua_grpc_call *call, void *state)
{
    const skua_grpc_entry *entry;

    (void)state;
    for (size_t i = 0; (entry = skua_grpc_metadata_at(call, i)) != NULL; i++) {
        CHECK_EQ(skua_grpc_add_header(call, entry), 0);
        CHECK_EQ(skua_grpc_add_trailer(call, entry), 0);
    }
    CHECK(skua_grpc_metadata(call, "nobody") == NULL);
    CHECK_STR(skua_grpc_path(call), "/a.B/Mirrors");
    CHECK_STR(skua_http_peer(skua_grpc_exchange(call)), "peer:1");
    CHECK_EQ(skua_grpc_send(call, "", 0), 0);
    CHECK_EQ(skua_grpc_send(call, "", 0), SKUA_EUSAGE); /* one is all */
    return 0;
}

static int sleeps(skua_grpc_call *call, void *state)
{
    (void)state;
    return skua_grpc_deadline(call) != SKUA_FOREVER ? skua_sleep(SKUA_HOUR) : -EIO;
}

static int big(skua_grpc_call *call, void *state)
{
    static const char zeros[5000];

    (void)state;
    CHECK_EQ(skua_grpc_send(call, zeros, 100), 0);
    return skua_grpc_send(call, zeros, sizeof zeros);
}

static const skua_grpc_method methods[] = {
    {"Echo", SKUA_GRPC_UNARY, echo},           {"Split", SKUA_GRPC_SERVER_STREAM, split},
    {"Count", SKUA_GRPC_CLIENT_STREAM, count}, {"Chat", SKUA_GRPC_BIDI, chat},
    {"Gives", SKUA_GRPC_SERVER_STREAM, gives}, {"Fails", SKUA_GRPC_UNARY, fails},
    {"Mirrors", SKUA_GRPC_UNARY, mirrors},     {"Sleeps", SKUA_GRPC_UNARY, sleeps},
    {"Big", SKUA_GRPC_SERVER_STREAM, big},     {"Silent", SKUA_GRPC_UNARY, gives}};
static const skua_grpc_service service = {"a.B", methods, TEST_LEN(methods), NULL, 0};

static skua_grpc_server *server_with(const skua_grpc_server_options *options)
{
    skua_grpc_server *server;

    MUST(skua_grpc_server_new(&server, options) == 0);
    MUST(skua_grpc_add(server, &service, NULL) == 0);
    return server;
}

/* ---- the table ------------------------------------------------------------------------------- */

TEST(services_are_checked)
{
    static const skua_grpc_method none[] = {{"X", SKUA_GRPC_UNARY, NULL}};
    static const skua_grpc_method slash[] = {{"X/Y", SKUA_GRPC_UNARY, echo}};
    static const skua_grpc_method odd[] = {{"X", (skua_grpc_kind)4, echo}};
    skua_grpc_server_options options;
    skua_grpc_server *server = server_with(NULL);

    CHECK_EQ(skua_grpc_add(server, &service, NULL), -EEXIST);
    CHECK_EQ(skua_grpc_add(server, &(skua_grpc_service){"", none, 0, NULL, 0}, NULL), -EINVAL);
    CHECK_EQ(skua_grpc_add(server, &(skua_grpc_service){"x/y", none, 0, NULL, 0}, NULL), -EINVAL);
    CHECK_EQ(skua_grpc_add(server, &(skua_grpc_service){"x", none, 1, NULL, 0}, NULL), -EINVAL);
    CHECK_EQ(skua_grpc_add(server, &(skua_grpc_service){"x", slash, 1, NULL, 0}, NULL), -EINVAL);
    CHECK_EQ(skua_grpc_add(server, &(skua_grpc_service){"x", odd, 1, NULL, 0}, NULL), -EINVAL);
    CHECK_STR(skua_grpc_service_at(server, 0), "a.B");
    CHECK(skua_grpc_service_at(server, 1) == NULL);
    skua_grpc_server_free(server);
    skua_grpc_server_options_init(&options);
    CHECK_EQ(skua_grpc_server_new(&server, &options), 0);
    skua_grpc_server_free(server);
    skua_grpc_server_free(NULL);
    options.timeout_max = -1;
    CHECK_EQ(skua_grpc_server_new(&server, &options), -EINVAL);
    options = (skua_grpc_server_options){.size = 3};
    CHECK_EQ(skua_grpc_server_new(&server, &options), -EINVAL);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

TEST_FIBER_CURRENT(a_message_comes_whole_however_it_is_cut)
{
    static char body[64];
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    for (size_t piece = 0; piece < 16; piece++) {
        fake = (struct fake){.path = "/a.B/Echo", .body = body, .piece = piece};
        fake.body_len = (size_t)(fake_frame(body, 0, "hello", 5) - body);
        fake_call(&fake, server);
        CHECK_EQ(fake_status(&fake), 0);
        CHECK(fake.out_len == 10 && memcmp(fake.out, "\0\0\0\0\5hello", 10) == 0);
        CHECK_EQ(fake.exchange.status, 200);
        CHECK_STR(fake_header(&fake, "content-type"), "application/grpc");
        CHECK(fake_header(&fake, "grpc-status") == NULL);
        CHECK(fake.begins == 1 && fake.ends == 1 && fake.flushes == 0);
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(streams_each_way)
{
    static char body[64];
    char *at = fake_frame(fake_frame(fake_frame(body, 0, "abc", 3), 0, "", 0), 0, "de", 2);
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    fake = (struct fake){.path = "/a.B/Chat", .body = body, .body_len = (size_t)(at - body)};
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), 0);
    CHECK(fake.out_len == fake.body_len && memcmp(fake.out, body, fake.out_len) == 0);
    CHECK_EQ(fake.flushes, 3);
    fake_end_call(&fake);
    fake.path = "/a.B/Count";
    fake_call(&fake, server);
    CHECK(fake.out_len == 6 && fake.out[5] == '5' && fake_status(&fake) == 0);
    fake_end_call(&fake);
    fake.path = "/a.B/Split";
    fake.body_len = 8;
    fake_call(&fake, server);
    CHECK(fake.out_len == 18 && memcmp(fake.out + 12, "\0\0\0\0\1c", 6) == 0);
    CHECK_EQ(fake.flushes, 2);
    fake_end_call(&fake);
    fake.path = "/a.B/Count"; /* no message at all */
    fake.body_len = 0;
    fake_call(&fake, server);
    CHECK(fake.out_len == 6 && fake.out[5] == '0' && fake_status(&fake) == 0);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(one_message_is_not_none_and_not_two)
{
    static char body[64];
    char *at = fake_frame(fake_frame(body, 0, "a", 1), 0, "b", 1);
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    fake = (struct fake){.path = "/a.B/Echo", .body = body};
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_UNIMPLEMENTED);
    fake_end_call(&fake);
    fake.body_len = (size_t)(at - body);
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_UNIMPLEMENTED);
    CHECK_STR(fake_message(&fake), "the method wants one message, and got more");
    fake_end_call(&fake);
    result = 0;
    fake.path = "/a.B/Silent"; /* and answers with none */
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_INTERNAL);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

static int takes_a_turn(void *arg)
{
    *(bool *)arg = true;
    return 0;
}

/* Nothing waits here, and yet others have their turn. */
TEST_FIBER_CURRENT(a_long_stream_lets_others_go_first)
{
    static char body[256];
    static const char zeros[100];
    skua_grpc_server *server = server_with(NULL);
    static const char *const paths[] = {"/a.B/Split", "/a.B/Count"};
    static struct fake fake;

    for (size_t i = 0; i < TEST_LEN(paths); i++) {
        bool taken = false;
        char *at = body;
        skua_scope scope;

        fake = (struct fake){.path = paths[i], .body = body};
        for (int n = 0; n < (i == 0 ? 1 : 40); n++)
            at = fake_frame(at, 0, zeros, i == 0 ? 100 : 0);
        fake.body_len = (size_t)(at - body);
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        MUST(skua_spawn(&scope, takes_a_turn, &taken) == 0);
        fake_call(&fake, server);
        CHECK_EQ(fake_status(&fake), 0);
        CHECK(taken);
        CHECK_EQ(skua_scope_join(&scope), 0);
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

/* ---- status and metadata --------------------------------------------------------------------- */

TEST_FIBER_CURRENT(a_result_is_a_status)
{
    static const int results[][2] = {{0, 0},
                                     {5, 5},
                                     {99, SKUA_GRPC_UNKNOWN},
                                     {-ENOENT, SKUA_GRPC_NOT_FOUND},
                                     {-ECANCELED, SKUA_GRPC_CANCELLED},
                                     {16, 16}};
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    for (size_t i = 0; i < TEST_LEN(results); i++) {
        fake = (struct fake){.path = "/a.B/Gives"};
        result = results[i][0];
        fake_call(&fake, server);
        CHECK_EQ(fake.rc, 0);
        CHECK_EQ(fake_status(&fake), results[i][1]);
        /* Trailers-Only, when there is nothing but a failure. */
        CHECK_EQ(fake_header(&fake, "grpc-status") != NULL, results[i][1] != 0);
        CHECK(fake.begins == 1 && fake.ends == 1);
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(a_failure_has_words_details_and_metadata)
{
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    fake = (struct fake){.path = "/a.B/Fails"};
    fake_call(&fake, server);
    CHECK_STR(fake_header(&fake, "grpc-status"), "5");
    CHECK_STR(fake_header(&fake, "grpc-message"), "no %C3%A9");
    CHECK_STR(fake_header(&fake, "grpc-status-details-bin"), "CAU");
    CHECK_STR(fake_header(&fake, "why-bin"), "AAE");
    CHECK_EQ(fake.exchange.status, 200);
    CHECK_EQ(fake.exchange.response_trailers.count, 0);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(metadata_goes_both_ways)
{
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    fake = (struct fake){.path = "/a.B/Mirrors",
                         .headers = {{"x-user", "ann"}, {"key-bin", "AAE="}, {"te", "trailers"}}};
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), 0);
    CHECK_STR(fake_header(&fake, "x-user"), "ann");
    CHECK_STR(fake_header(&fake, "key-bin"), "AAE");
    CHECK_STR(fake_trailer(&fake, "x-user"), "ann");
    CHECK_STR(fake_trailer(&fake, "key-bin"), "AAE");
    CHECK(fake_header(&fake, "te") == NULL);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CLOCK(a_timeout_is_a_deadline_around_the_method)
{
    skua_grpc_server *server = server_with(SKUA_GRPC_SERVER_OPTIONS(.timeout_max = SKUA_MINUTE));
    int64_t began = skua_now();
    static struct fake fake;

    fake = (struct fake){.path = "/a.B/Sleeps", .headers = {{"grpc-timeout", "500m"}}};
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_DEADLINE_EXCEEDED);
    CHECK_RANGE(skua_now() - began, MS(500), MS(600));
    fake_end_call(&fake);
    fake.headers[0][1] = "1H"; /* the server has its own mind */
    fake_call(&fake, server);
    CHECK_RANGE(skua_now() - began, SKUA_MINUTE, 2 * SKUA_MINUTE);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_DEADLINE_EXCEEDED);
    fake_end_call(&fake);
    CHECK_EQ(skua_deadline_current(), SKUA_FOREVER);
    skua_grpc_server_free(server);
    return 0;
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static const struct {
    const char *what;
    struct fake fake;
    int http, grpc; /* grpc is -1: there is no status of gRPC */
} wrongs[] = {
    {"another type", {.path = "/a.B/Echo", .headers = {{"content-type", "text/plain"}}}, 415, -1},
    {"grpc-web",
     {.path = "/a.B/Echo", .headers = {{"content-type", "application/grpc-web"}}},
     415,
     -1},
    {"HTTP/1.1", {.path = "/a.B/Echo", .version = 11}, 505, -1},
    {"a GET", {.path = "/a.B/Echo", .method = "GET"}, 405, -1},
    {"+proto, but no message",
     {.path = "/a.B/Echo", .headers = {{"content-type", "application/grpc+proto"}}},
     200,
     SKUA_GRPC_UNIMPLEMENTED},
    {"no service", {.path = "/a.C/Echo"}, 200, SKUA_GRPC_UNIMPLEMENTED},
    {"a service's beginning", {.path = "/a./Echo"}, 200, SKUA_GRPC_UNIMPLEMENTED},
    {"no method", {.path = "/a.B/echo"}, 200, SKUA_GRPC_UNIMPLEMENTED},
    {"no slash", {.path = "*"}, 200, SKUA_GRPC_UNIMPLEMENTED},
    {"a slash", {.path = "/"}, 200, SKUA_GRPC_UNIMPLEMENTED},
    {"slashes", {.path = "//"}, 200, SKUA_GRPC_UNIMPLEMENTED},
    {"a time-out",
     {.path = "/a.B/Echo", .headers = {{"grpc-timeout", "soon"}}},
     200,
     SKUA_GRPC_INTERNAL},
    {"a coding",
     {.path = "/a.B/Echo", .headers = {{"grpc-encoding", "snappy"}}},
     200,
     SKUA_GRPC_UNIMPLEMENTED},
    {"a flag", {.path = "/a.B/Echo", .body = "\2\0\0\0\0", .body_len = 5}, 200, SKUA_GRPC_INTERNAL},
    {"packed as nobody says",
     {.path = "/a.B/Echo", .body = "\1\0\0\0\1x", .body_len = 6},
     200,
     SKUA_GRPC_INTERNAL},
    {"a cut head", {.path = "/a.B/Echo", .body = "\0\0\0", .body_len = 3}, 200, SKUA_GRPC_INTERNAL},
    {"a cut message",
     {.path = "/a.B/Echo", .body = "\0\0\0\0\5hell", .body_len = 9},
     200,
     SKUA_GRPC_INTERNAL},
    {"more than anybody has",
     {.path = "/a.B/Echo",
      .body = "\0\xff\xff\xff\xff"
              "abc",
      .body_len = 8},
     200,
     SKUA_GRPC_RESOURCE_EXHAUSTED},
    {"a byte too much",
     {.path = "/a.B/Echo",
      .body = "\0\0\x40\0\1"
              "abc",
      .body_len = 8},
     200,
     SKUA_GRPC_RESOURCE_EXHAUSTED},
    {"gone", {.path = "/a.B/Chat", .fails = -ECONNRESET}, 200, SKUA_GRPC_UNAVAILABLE}};

TEST_FIBER_CURRENT(what_is_wrong_is_told)
{
    skua_grpc_server *server = server_with(NULL);
    static struct fake fake;

    for (size_t i = 0; i < TEST_LEN(wrongs); i++) {
        int failures = test_failures();

        fake = wrongs[i].fake;
        fake_call(&fake, server);
        CHECK_EQ(fake.exchange.status, wrongs[i].http);
        CHECK_EQ(fake_status(&fake), wrongs[i].grpc);
        CHECK(fake.begins == 1 && fake.ends == 1);
        if (test_failures() != failures)
            test_note("%s: %s", wrongs[i].what, fake_message(&fake));
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

static int elsewhere(skua_http_exchange *exchange, void *state)
{
    return skua_http_reply(exchange, 200, "text/plain", state, strlen(state));
}

TEST_FIBER_CURRENT(what_is_no_grpc_goes_to_the_fallback)
{
    static char text[] = "another";
    skua_grpc_server *server =
        server_with(SKUA_GRPC_SERVER_OPTIONS(.fallback = elsewhere, .fallback_state = text));
    static struct fake fake;

    fake =
        (struct fake){.path = "/page", .headers = {{"content-type", "text/html"}}, .version = 11};
    fake_call(&fake, server);
    CHECK(fake.out_len == 7 && memcmp(fake.out, text, 7) == 0);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(limits_are_those_of_the_options)
{
    static char body[4096];
    skua_grpc_server *server =
        server_with(SKUA_GRPC_SERVER_OPTIONS(.recv_max = 100, .send_max = 1000));
    static struct fake fake;
    static const char zeros[101];

    fake = (struct fake){.path = "/a.B/Echo", .body = body};
    fake.body_len = (size_t)(fake_frame(body, 0, zeros, 100) - body);
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), 0);
    fake_end_call(&fake);
    fake.body_len = (size_t)(fake_frame(body, 0, zeros, 101) - body);
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_RESOURCE_EXHAUSTED);
    CHECK_STR(fake_message(&fake), "a message is longer than is received");
    fake_end_call(&fake);
    fake.path = "/a.B/Big";
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_RESOURCE_EXHAUSTED);
    CHECK_STR(fake_trailer(&fake, "grpc-message"), "a message is longer than is sent");
    CHECK_EQ(fake.out_len, 105);
    fake_end_call(&fake);
    skua_grpc_server_free(server);
    return 0;
}

TEST_FIBER_CURRENT(messages_are_compressed_where_both_like_it)
{
    static char body[8192], zeros[5000];
    skua_grpc_server *server = server_with(SKUA_GRPC_SERVER_OPTIONS(.compress_min = 100));
    struct skua__grpc_buffer packed = {.at = NULL}, plain = {.at = NULL};
    static struct fake fake;
    ssize_t n = skua__grpc_pack(zeros, sizeof zeros, &packed);

    if (n == -ENOTSUP)
        return 0; /* there is no zlib */
    fake = (struct fake){
        .path = "/a.B/Chat",
        .headers = {{"grpc-encoding", "gzip"}, {"grpc-accept-encoding", "identity, gzip"}},
        .body = body};
    fake.body_len =
        (size_t)(fake_frame(fake_frame(body, 1, packed.at, (size_t)n), 0, zeros, 99) - body);
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), 0);
    CHECK_STR(fake_header(&fake, "grpc-encoding"), "gzip");
    CHECK(fake.out_len < 300 && fake.out[0] == 1);
    CHECK_EQ(skua__grpc_unpack(SKUA__GRPC_GZIP, fake.out + 5, (unsigned char)fake.out[4], 1 << 20,
                               &plain),
             sizeof zeros);
    CHECK_EQ(fake.out[fake.out_len - 99 - 5], 0); /* the small one is as it was */
    fake_end_call(&fake);
    fake.headers[1][1] = "identity";
    fake_call(&fake, server);
    CHECK(fake_header(&fake, "grpc-encoding") == NULL);
    CHECK_EQ(fake.out_len, sizeof zeros + 99 + 10);
    fake_end_call(&fake);
    body[9] ^= 0x55; /* in the middle of what is packed */
    body[20] ^= 0x55;
    fake_call(&fake, server);
    CHECK_EQ(fake_status(&fake), SKUA_GRPC_INTERNAL);
    CHECK_STR(fake_message(&fake), "a message does not unpack");
    fake_end_call(&fake);
    skua__http_free(packed.at);
    skua__http_free(plain.at);
    skua_grpc_server_free(server);
    return 0;
}

/* ---- hostile --------------------------------------------------------------------------------- */

/* Whatever comes: it ends, with a status that is one. */
TEST_FIBER_CURRENT(random_frames_have_an_end)
{
    static const char noise[60] = {1, 0, 0, 0, 2, 0x1f, (char)0x8b};
    static char body[600];
    skua_grpc_server *server = server_with(SKUA_GRPC_SERVER_OPTIONS(.recv_max = 300));
    uint64_t seed = test_seed();
    static struct fake fake;

    for (int i = 0; i < TEST_COUNT(20000); i++) {
        char *at = body;

        while (at < body + 500 && test_random(&seed) % 8 != 0) {
            size_t len = test_random(&seed) % 60;

            at = fake_frame(at, (int)(test_random(&seed) % 32 == 0), noise, len);
            if (test_random(&seed) % 16 == 0)
                at[-(ptrdiff_t)(test_random(&seed) % (len + 5)) - 1] = (char)test_random(&seed);
        }
        fake = (struct fake){.path = i % 2 != 0 ? "/a.B/Chat" : "/a.B/Count",
                             .body = body,
                             .body_len = (size_t)(at - body),
                             .piece = test_random(&seed) % 20};
        if (test_random(&seed) % 4 == 0)
            fake.headers[0][0] = "grpc-encoding", fake.headers[0][1] = "deflate";
        if (fake.body_len != 0 && test_random(&seed) % 8 == 0)
            fake.body_len -= test_random(&seed) % fake.body_len;
        fake_call(&fake, server);
        CHECK_RANGE(fake_status(&fake), 0, 16);
        CHECK_EQ(fake.ends, 1);
        fake_end_call(&fake);
    }
    skua_grpc_server_free(server);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(no_memory_is_a_status_or_an_error_page)
{
    static char body[8192];
    static char random[3000];
    uint64_t seed = test_seed();
    static struct fake fake;
    unsigned faults = 0;

    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (char)test_random(&seed);
    for (unsigned i = 1; i < 60; i++) {
        skua_grpc_server *server = server_with(SKUA_GRPC_SERVER_OPTIONS(.compress_min = 1));

        fake = (struct fake){.path = "/a.B/Chat",
                             .headers = {{"x", "y"}, {"grpc-accept-encoding", "gzip"}},
                             .body = body};
        fake.body_len = (size_t)(fake_frame(body, 0, random, sizeof random) - body);
        fake_begin_exchange(&fake);
        skua__fault_arm(SKUA__FAULT_MALLOC, i, 1, ENOMEM);
        fake.rc = skua_grpc_handler(&fake.exchange, server);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        (void)skua__http_exchange_finish(&fake.exchange, fake.rc);
        faults += fake.rc != 0 || fake_status(&fake) != 0;
        CHECK(fake.rc == 0 || fake.rc == -ENOMEM);
        CHECK(fake.rc != 0 || fake_status(&fake) == 0 ||
              fake_status(&fake) == SKUA_GRPC_RESOURCE_EXHAUSTED);
        fake_end_call(&fake);
        skua_grpc_server_free(server);
    }
    CHECK_RANGE(faults, 2, 40);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_are_checked),
        cmocka_unit_test(a_message_comes_whole_however_it_is_cut),
        cmocka_unit_test(streams_each_way),
        cmocka_unit_test(one_message_is_not_none_and_not_two),
        cmocka_unit_test(a_long_stream_lets_others_go_first),
        cmocka_unit_test(a_result_is_a_status),
        cmocka_unit_test(a_failure_has_words_details_and_metadata),
        cmocka_unit_test(metadata_goes_both_ways),
        cmocka_unit_test(a_timeout_is_a_deadline_around_the_method),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(what_is_no_grpc_goes_to_the_fallback),
        cmocka_unit_test(limits_are_those_of_the_options),
        cmocka_unit_test(messages_are_compressed_where_both_like_it),
        cmocka_unit_test(random_frames_have_an_end),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory_is_a_status_or_an_error_page),
#endif
    };

    return TEST_MAIN(tests);
}
