/* test_compress.c - the layers that code responses and decode requests.
 *
 * Specifies compress.h: which responses are coded, what their heads say then, HEAD and conditional
 * requests, streams of which each flush arrives, logs; requests decoded under the limits, refused,
 * cut short; and both without memory.
 */
#include <inttypes.h>

#include <skua/http/compress.h>
#include <skua/http/events.h>
#include <skua/http/middleware.h>
#include <skua/http/static.h>

#include "ask.h"
#include "codings.h"

#define LEN ((size_t)20000)

static char text[LEN], back[LEN + 1];

/* ---- responses ------------------------------------------------------------------------------- */

/* The path says how: "/reply", "/stream", "/known", "/tag", and the headers X-Type and X-Add what
 * with. */
static int answers(skua_http_exchange *exchange, void *state)
{
    const char *type = skua_http_header(exchange, "X-Type");
    const char *add = skua_http_header(exchange, "X-Add");
    const char *length = skua_http_header(exchange, "X-Length");
    const char *path = skua_http_path(exchange);
    size_t len = length != NULL ? (size_t)atol(length) : LEN;
    ssize_t rc = 0;

    (void)state;
    if (add != NULL)
        CHECK_EQ(skua_http_set_header(exchange, add, skua_http_header(exchange, "X-Value")), 0);
    if (type == NULL)
        type = "text/plain; charset=utf-8";
    if (strcmp(path, "/tag") == 0) {
        rc = skua_http_not_modified(exchange, "\"v1\"", 0);
        if (rc != 0)
            return rc < 0 ? (int)rc : 0;
    }
    if (strcmp(path, "/stream") != 0 && strcmp(path, "/known") != 0)
        return skua_http_reply(exchange, 200, type, text, len);
    CHECK_EQ(skua_http_set_header(exchange, "Content-Type", type), 0);
    if (strcmp(path, "/known") == 0)
        CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "20000"), 0);
    for (size_t at = 0; rc >= 0 && at < len; at += 100)
        rc = skua_http_write(exchange, text + at, len - at < 100 ? len - at : 100);
    return rc < 0 ? (int)rc : 0;
}

static struct talk *asked(skua_http_compress *compress, const char *request)
{
    const skua_http_layer around[] = {{skua_http_compress_layer, compress}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, answers, NULL);
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    text_like(text, LEN);
    talk->handler = skua_http_chain_handler;
    talk->state = &app;
    talk_to(talk, request);
    return talk;
}

/* The body of an answer to HTTP/1.0, which ends with the connection; coding NULL: not coded. */
static void check_body(const struct talk *talk, const char *coding)
{
    const char *body = talk_body(talk, 0);
    size_t len = talk->len - (size_t)(body - talk->text);
    enum skua__coding which;

    if (coding == NULL) {
        CHECK_EQ(len, LEN);
        CHECK_EQ(memcmp(body, text, LEN), 0);
        return;
    }
    which = (enum skua__coding)skua__coding_named(coding, strlen(coding));
    CHECK(len < LEN / 2);
    memset(back, 0, sizeof back);
    CHECK_EQ(decoded(&which, 1, (struct coded_source){body, len, 0}, back, sizeof back, LEN), LEN);
    CHECK_EQ(memcmp(back, text, LEN), 0);
}

TEST_FIBER(coded_as_the_client_likes)
{
    static const char *const paths[] = {"/reply", "/stream", "/known"};
    static const char *const codings[] = {"gzip", "br", "zstd"};
    char request[256], line[64];

    for (size_t i = 0; i < 9; i++) {
        struct talk *talk;

        if (skua__coding_named(codings[i / 3], strlen(codings[i / 3])) < 0)
            continue;
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nAccept-Encoding: %s\r\n\r\n",
                       paths[i % 3], codings[i / 3]);
        test_variant(request);
        talk = asked(NULL, request);
        CHECK_EQ(talk_status(talk, 0), 200);
        (void)snprintf(line, sizeof line, "Content-Encoding: %s\r\n", codings[i / 3]);
        CHECK_HAS(talk, line);
        CHECK_HAS(talk, "Vary: Accept-Encoding\r\n");
        CHECK_LACKS(talk, "Content-Length");
        check_body(talk, codings[i / 3]);
        free(talk);
    }
    return 0;
}

TEST_FIBER(which_are_coded)
{
    static const struct {
        const char *headers; /* of the request */
        int coded, vary;
    } cases[] = {
        {"", 1, 1},
        {"X-Length: 1024\r\n", 1, 1},
        {"X-Length: 1023\r\n", 0, 0},
        {"X-Length: 0\r\n", 0, 0},
        {"X-Type: application/json\r\n", 1, 1},
        {"X-Type: Application/Problem+JSON;x=y\r\n", 1, 1},
        {"X-Type: image/svg+xml\r\n", 1, 1},
        {"X-Type: application/wasm\r\n", 1, 1},
        {"X-Type: image/png\r\n", 0, 0},
        {"X-Type: application/jsonp\r\n", 0, 0},
        {"X-Type: texts/plain\r\n", 0, 0},
        {"X-Type: text/event-stream\r\n", 0, 0},
        {"X-Add: Content-Encoding\r\nX-Value: other\r\n", 0, 0},
        {"X-Add: Content-Range\r\nX-Value: bytes 0-1/2\r\n", 0, 0},
        {"X-Add: Repr-Digest\r\nX-Value: x\r\n", 0, 0},
        {"X-Add: Cache-Control\r\nX-Value: public, No-Transform\r\n", 0, 0},
        {"X-Add: Cache-Control\r\nX-Value: public\r\n", 1, 1},
        {"Accept-Encoding: identity\r\n", 1, 1},
    };
    char request[512];

    for (size_t i = 0; i < TEST_LEN(cases) && is_there(SKUA__GZIP); i++) {
        struct talk *talk;

        test_variant(cases[i].headers);
        (void)snprintf(request, sizeof request,
                       "GET /reply HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n%s\r\n",
                       cases[i].headers);
        talk = asked(NULL, request);
        CHECK_EQ(ask_has(talk, "Content-Encoding: gzip\r\n"), cases[i].coded);
        CHECK_EQ(ask_has(talk, "Vary: Accept-Encoding\r\n"), cases[i].vary);
        CHECK_EQ(ask_has(talk, "Content-Length: "), !cases[i].coded);
        free(talk);
    }
    return 0;
}

/* A client that does not want it gets the same, said to depend on what it wanted. */
TEST_FIBER(not_coded)
{
    static const char *const requests[] = {
        "GET /reply HTTP/1.0\r\n\r\n",
        "GET /stream HTTP/1.0\r\nAccept-Encoding: nope\r\n\r\n",
        "GET /known HTTP/1.0\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
    };

    for (size_t i = 0; i < TEST_LEN(requests); i++) {
        struct talk *talk = asked(NULL, requests[i]);

        CHECK_LACKS(talk, "Content-Encoding");
        CHECK_HAS(talk, "Vary: Accept-Encoding\r\n");
        check_body(talk, NULL);
        free(talk);
    }
    return 0;
}

TEST_FIBER(nothing_will_do)
{
    struct talk *talk = asked(NULL, "GET /reply HTTP/1.0\r\nAccept-Encoding: *;q=0\r\n\r\n");

    CHECK_EQ(talk_status(talk, 0), 406);
    CHECK_HAS(talk, "Vary: Accept-Encoding\r\n");
    free(talk);
    if (!is_there(SKUA__GZIP))
        return 0;
    talk = asked(NULL, "GET /reply HTTP/1.0\r\nAccept-Encoding: gzip\r\nX-Type: image/png\r\n"
                       "Accept-Encoding: identity;q=0\r\nX-Length: 10\r\n\r\n");
    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK_HAS(talk, "Content-Encoding: gzip\r\n"); /* whatever it is: to please the client */
    free(talk);
    return 0;
}

TEST_FIBER(its_options)
{
    skua_http_compress compress = SKUA_HTTP_COMPRESS(.codings = "deflate", .types = "image/*, *+z",
                                                     .min = 5, .gzip_level = 9);
    skua_http_compress wrong[] = {SKUA_HTTP_COMPRESS(.min = -1),
                                  SKUA_HTTP_COMPRESS(.br_level = 1),
                                  SKUA_HTTP_COMPRESS(.gzip_level = 10),
                                  SKUA_HTTP_COMPRESS(.zstd_level = 20),
                                  {.size = 1}};
    struct talk *talk;

    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        talk = asked(&wrong[i], "GET /reply HTTP/1.0\r\n\r\n");
        CHECK_EQ(talk_status(talk, 0), 500);
        free(talk);
    }
    if (!is_there(SKUA__DEFLATE))
        return 0;
    talk = asked(&compress, "GET /reply HTTP/1.0\r\nAccept-Encoding: gzip, deflate\r\n"
                            "X-Type: image/x\r\n\r\n");
    CHECK_HAS(talk, "Content-Encoding: deflate\r\n");
    check_body(talk, "deflate");
    free(talk);
    talk = asked(&compress, "GET /reply HTTP/1.0\r\nAccept-Encoding: gzip, deflate\r\n\r\n");
    CHECK_LACKS(talk, "Content-Encoding");
    free(talk);
    return 0;
}

/* HEAD says what GET would say, and conditions hold for what was coded. */
TEST_FIBER(heads_and_tags)
{
    struct talk *talk;

    if (!is_there(SKUA__GZIP))
        return 0;
    talk = asked(NULL, "HEAD /tag HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
                       "GET /tag HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
                       "If-None-Match: W/\"v1\"\r\n\r\n");
    CHECK_HAS(talk, "Content-Encoding: gzip\r\n");
    CHECK_HAS(talk, "ETag: W/\"v1\"\r\n");
    CHECK_LACKS(talk, "Content-Length");
    CHECK_LACKS(talk, "Transfer-Encoding");
    CHECK_EQ(talk_status(talk, 1), 304);
    CHECK(strstr(talk_response(talk, 1), "ETag: W/\"v1\"\r\n") != NULL);
    CHECK(strstr(talk_response(talk, 1), "Vary: Accept-Encoding\r\n") != NULL);
    CHECK_STR(talk_body(talk, 1), "");
    free(talk);
    talk = asked(NULL, "GET /tag HTTP/1.0\r\nIf-Match: \"v1\"\r\n\r\n");
    CHECK_HAS(talk, "ETag: \"v1\"\r\n");
    check_body(talk, NULL);
    free(talk);
    return 0;
}

/* ---- streams --------------------------------------------------------------------------------- */

static ssize_t listener_read(void *state, void *buf, size_t len)
{
    return skua_duplex_read(state, buf, len);
}

static int ticks(skua_http_exchange *exchange, void *state)
{
    skua_event *more = state;
    int rc = 0;

    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = skua_http_event(exchange, NULL, NULL, "tick");
        if (rc == 0)
            rc = skua_event_wait(more);
        skua_event_reset(more);
    }
    return rc;
}

/* Each event can be decoded when it was sent, and nothing more was. */
TEST_FIBER(events_arrive_at_once)
{
    static const skua_http_compress compress = SKUA_HTTP_COMPRESS(.types = "text/*");
    const char *wanted = "data: tick\n\n";
    enum skua__coding codings[] = {SKUA__GZIP, SKUA__BROTLI, SKUA__ZSTD};
    skua_event more;
    const skua_http_layer around[] = {{skua_http_compress_layer, (void *)(uintptr_t)&compress}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, ticks, &more);

    for (size_t i = 0; i < TEST_LEN(codings); i++) {
        struct talk_server self = {.rc = 1};
        struct skua__decoding *decoding;
        skua_duplex *client;
        skua_scope scope;
        char request[128], got[1024];
        size_t len = 0;

        if (!is_there(codings[i]))
            continue;
        more = (skua_event)SKUA_EVENT_INIT;
        MUST(skua_http_server_new(&self.server, skua_http_chain_handler, &app, NULL) == 0);
        MUST(skua_duplex_new(&client, &self.end, 4096) == 0);
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        MUST(skua_spawn(&scope, talk_serve, &self) == 0);
        (void)snprintf(request, sizeof request, "GET / HTTP/1.0\r\nAccept-Encoding: %s\r\n\r\n",
                       skua__coding_kind(codings[i])->name);
        CHECK_EQ(skua_io_write_all(skua_duplex_io(client), request, strlen(request)),
                 strlen(request));
        do { /* the head, a byte at a time */
            MUST(len < sizeof got && skua_duplex_read(client, got + len, 1) == 1);
            len++;
        } while (len < 4 || memcmp(got + len - 4, "\r\n\r\n", 4) != 0);
        decoding = skua__decoding_new(&codings[i], 1, listener_read, client);
        MUST(decoding != NULL);
        for (int k = 0; k < 3; k++) {
            for (len = 0; len < strlen(wanted);) {
                ssize_t n = skua__decoding_read(decoding, got + len, sizeof got - len, -1);

                MUST(n > 0);
                len += (size_t)n;
            }
            CHECK(len == strlen(wanted) && memcmp(got, wanted, len) == 0);
            skua_event_set(&more);
        }
        CHECK_EQ(skua__decoding_read(decoding, got, sizeof got, -1), 0);
        (void)skua_duplex_shutdown(client);
        CHECK_EQ(skua_scope_join(&scope), 0);
        skua__decoding_free(decoding);
        skua_duplex_close(client);
        skua_http_server_free(self.server);
    }
    return 0;
}

/* ---- around and below ------------------------------------------------------------------------ */

static uint64_t sent, received;

static void keeps_counts(const char *line, size_t len, void *arg)
{
    (void)len;
    (void)arg;
    MUST(sscanf(strstr(line, "\"received\":"), "\"received\":%" SCNu64 ",\"sent\":%" SCNu64,
                &received, &sent) == 2);
}

/* Of two layers the inner one's options count; a log outside sees what was sent. */
TEST_FIBER(layers_around_each_other)
{
    skua_http_log log = SKUA_HTTP_LOG(.format = SKUA_HTTP_LOG_JSON, .write = keeps_counts);
    skua_http_compress inner = SKUA_HTTP_COMPRESS(.codings = "gzip");
    const skua_http_layer around[] = {{skua_http_log_layer, &log},
                                      {skua_http_compress_layer, NULL},
                                      {skua_http_decompress_layer, NULL},
                                      {skua_http_compress_layer, &inner}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, answers, NULL);
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    if (!is_there(SKUA__GZIP)) {
        free(talk);
        return 0;
    }
    text_like(text, LEN);
    talk->handler = skua_http_chain_handler;
    talk->state = &app;
    talk_to(talk, "GET /stream HTTP/1.0\r\nAccept-Encoding: br, gzip\r\n"
                  "Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n0123456789");
    CHECK_HAS(talk, "Content-Encoding: gzip\r\n");
    check_body(talk, "gzip");
    CHECK_EQ(sent, talk->len - (size_t)(talk_body(talk, 0) - talk->text));
    free(talk);
    return 0;
}

static int zeros(skua_http_exchange *exchange, void *state)
{
    size_t len = (size_t)8 << 20;
    char *body = calloc(1, len);
    int rc;

    (void)state;
    MUST(body != NULL);
    rc = skua_http_reply(exchange, 200, "text/plain", body, len);
    free(body);
    return rc;
}

static int takes_turns(void *arg)
{
    int *turns = arg;

    while (skua_yield() == 0)
        ++*turns;
    return 0;
}

/* A body that gets very short does not keep the worker to itself. */
TEST_FIBER_CURRENT(others_have_their_turn)
{
    const skua_http_layer around[] = {{skua_http_compress_layer, NULL}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, zeros, NULL);
    struct talk *talk;
    skua_task *task;
    int turns = 0;

    if (!is_there(SKUA__ZSTD))
        return 0;
    MUST(skua_spawn(NULL, takes_turns, &turns, .task = &task) == 0);
    talk = ask_chain(skua_http_chain_handler, &app, "GET / HTTP/1.1\r\nAccept-Encoding: zstd\r\n");
    CHECK_HAS(talk, "Content-Encoding: zstd\r\n");
    CHECK(talk->len < 100000);
    CHECK(turns > 100);
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    free(talk);
    return 0;
}

/* What the handler has promised holds, coded or not. */
static int breaks_its_promise(skua_http_exchange *exchange, void *state)
{
    (void)state;
    CHECK_EQ(skua_http_set_header(exchange, "Content-Type", "text/plain"), 0);
    CHECK_EQ(skua_http_set_header(exchange, "Content-Length", "2000"), 0);
    CHECK_EQ(skua_http_write(exchange, text, 1500), 1500);
    CHECK_EQ(skua_http_write(exchange, text, 501), -EMSGSIZE);
    return 0;
}

TEST_FIBER(promises)
{
    const skua_http_layer around[] = {{skua_http_compress_layer, NULL}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, breaks_its_promise, NULL);
    struct talk *talk =
        ask_chain(skua_http_chain_handler, &app, "GET / HTTP/1.1\r\nAccept-Encoding: *\r\n");

    CHECK(talk->rc != 0);
    CHECK(memcmp(talk->text + talk->len - 5, "0\r\n\r\n", 5) != 0); /* the client sees it */
    free(talk);
    return 0;
}

#ifdef SKUA_FAULTS
/* A response that cannot be coded is sent as it is; else it is refused, or cut short. */
TEST_FIBER_CURRENT(responses_without_memory)
{
    static const char *const codings[] = {"gzip", "br", "zstd"};
    bool plain = false;
    char request[128];

    for (size_t i = 0; i < 3; i++)
        for (unsigned fault = 1; fault < 40; fault++) {
            const skua_http_layer around[] = {{skua_http_compress_layer, NULL}};
            skua_http_chain app = SKUA_HTTP_CHAIN(around, answers, NULL);
            struct talk *talk = calloc(1, sizeof *talk);

            MUST(talk != NULL);
            talk->handler = skua_http_chain_handler;
            talk->state = &app;
            talk->fault = fault;
            (void)snprintf(request, sizeof request,
                           "GET /reply HTTP/1.0\r\nAccept-Encoding: %s\r\n\r\n", codings[i]);
            talk_to(talk, request);
            if (talk_status(talk, 0) == 200 && talk->rc == 0) {
                bool coded = ask_has(talk, "Content-Encoding");

                plain |= !coded;
                check_body(talk, coded ? codings[i] : NULL);
            }
            free(talk);
        }
    CHECK(plain || !is_there(SKUA__GZIP));
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coded_as_the_client_likes),
        cmocka_unit_test(which_are_coded),
        cmocka_unit_test(not_coded),
        cmocka_unit_test(nothing_will_do),
        cmocka_unit_test(its_options),
        cmocka_unit_test(heads_and_tags),
        cmocka_unit_test(events_arrive_at_once),
        cmocka_unit_test(layers_around_each_other),
        cmocka_unit_test(others_have_their_turn),
        cmocka_unit_test(promises),
#ifdef SKUA_FAULTS
        cmocka_unit_test(responses_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
