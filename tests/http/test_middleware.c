/* test_middleware.c - the layers that many servers need.
 *
 * Specifies middleware.h: logs that a client cannot forge, ids, time-outs, limits that shed, rates
 * by key, breakers, cross-origin requests, who asks; and each without memory.
 */
#include <skua/http/middleware.h>

#include "../lib/event.h"
#include "ask.h"

/* ---- a chain of one layer -------------------------------------------------------------------- */

static int status_as_told(skua_http_exchange *exchange, void *state)
{
    const char *status = skua_http_header(exchange, "X-Status");

    (void)state;
    if (status != NULL && atoi(status) < 0)
        return atoi(status);
    return skua_http_replyf(exchange, status != NULL ? atoi(status) : 200, "text/plain", "body");
}

static struct talk *ask(skua_http_layer_fn call, void *state, const char *request)
{
    const skua_http_layer around[] = {{call, state}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, status_as_told, NULL);

    return ask_chain(skua_http_chain_handler, &app, request);
}

static int ask_status(skua_http_layer_fn call, void *state, const char *request)
{
    struct talk *talk = ask(call, state, request);
    int status = talk_status(talk, 0);

    free(talk);
    return status;
}

/* ---- logs and ids ---------------------------------------------------------------------------- */

static char logged[4096];

static void keeps_line(const char *line, size_t len, void *arg)
{
    CHECK(arg == logged);
    CHECK(len < sizeof logged && line[len] == '\0' && line[len - 1] == '\n');
    CHECK(memchr(line, '\n', len) == line + len - 1); /* one line, whatever was sent */
    memcpy(logged, line, len + 1);
}

TEST_FIBER(log_lines)
{
    static const struct {
        skua_http_log_format format;
        const char *request, *wanted;
    } cases[] = {
        {SKUA_HTTP_LOG_COMMON, "GET /a?b=c", "] \"GET /a?b=c HTTP/1.1\" 200 4\n"},
        {SKUA_HTTP_LOG_COMMON, "HEAD /", "] \"HEAD / HTTP/1.1\" 200 0\n"},
        {SKUA_HTTP_LOG_COMMON, "GET /\" 200 5", ""}, /* a blank: no request at all */
        {SKUA_HTTP_LOG_COMMON, "GET /\"\\", "] \"GET /\\x22\\x5c HTTP/1.1\" 200 4\n"},
        {SKUA_HTTP_LOG_COMMON, "GET / HTTP/1.1\r\nX-Status: -2\r\n", " 404 14\n"},
        {SKUA_HTTP_LOG_COMBINED, "GET /", "200 4 \"-\" \"-\"\n"},
        {SKUA_HTTP_LOG_COMBINED,
         "GET / HTTP/1.1\r\nReferer: r\"r\r\nUser-Agent: a\tb\\n\xc3\xa4\r\n",
         "200 4 \"r\\x22r\" \"a\\x09b\\x5cn\\xc3\\xa4\"\n"},
        {SKUA_HTTP_LOG_JSON, "GET /a?b",
         "\"peer\":\"peer:1\",\"method\":\"GET\",\"path\":\"/"
         "a\",\"query\":\"b\",\"version\":\"1.1\","
         "\"status\":200,\"received\":0,\"sent\":4,\"seconds\":0."},
        {SKUA_HTTP_LOG_JSON, "GET /\"\\", "\"path\":\"/\\u0022\\u005c\""},
        {SKUA_HTTP_LOG_JSON, "GET / HTTP/1.1\r\nX-Status: -5\r\n", ",\"error\":\"EIO\"}\n"},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_http_log log =
            SKUA_HTTP_LOG(.format = cases[i].format, .write = keeps_line, .arg = logged);

        test_variant(cases[i].request);
        logged[0] = '\0';
        free(ask(skua_http_log_layer, &log, cases[i].request));
        if (!CHECK(strstr(logged, cases[i].wanted) != NULL))
            test_note("%s", logged);
        if (cases[i].format != SKUA_HTTP_LOG_JSON && logged[0] != '\0')
            CHECK(strncmp(logged, "peer - - [", 10) == 0);
    }
    return 0;
}

/* Of bytes above 0x7f only whole characters of UTF-8 are in a line of JSON. */
TEST_FIBER(log_json_is_utf8)
{
    static const struct {
        const char *path, *wanted;
    } cases[] = {{"/\xc3\xa4", "\"/\xc3\xa4\""},
                 {"/\xe2\x82\xac", "\"/\xe2\x82\xac\""},
                 {"/\xf0\x9f\x90\xa6", "\"/\xf0\x9f\x90\xa6\""},
                 {"/\xff", "\"/\\ufffd\""},
                 {"/\xc0\xaf", "\"/\\ufffd\\ufffd\""},
                 {"/\xe0\x80\xaf", "\"/\\ufffd\\ufffd\\ufffd\""},
                 {"/\xed\xa0\x80", "\"/\\ufffd\\ufffd\\ufffd\""},
                 {"/\xf4\x90\x80\x80", "\"/\\ufffd\\ufffd\\ufffd\\ufffd\""},
                 {"/\xc3", "\"/\\ufffd\""}};
    skua_http_log log =
        SKUA_HTTP_LOG(.format = SKUA_HTTP_LOG_JSON, .write = keeps_line, .arg = logged);

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        char request[64];

        (void)snprintf(request, sizeof request, "GET %s", cases[i].path);
        logged[0] = '\0';
        free(ask(skua_http_log_layer, &log, request));
        /* A server may refuse such a target before anybody is asked. */
        if (logged[0] != '\0' && !CHECK(strstr(logged, cases[i].wanted) != NULL))
            test_note("%s", logged);
    }
    return 0;
}

TEST_FIBER(log_files)
{
    FILE *file = tmpfile();
    skua_http_log log = SKUA_HTTP_LOG(.file = file);
    skua_http_log bad = SKUA_HTTP_LOG(.file = file, .format = (skua_http_log_format)7);
    char text[256] = "";

    MUST(file != NULL);
    free(ask(skua_http_log_layer, &log, "GET /x"));
    rewind(file);
    CHECK(fgets(text, sizeof text, file) != NULL && strstr(text, "GET /x HTTP/1.1") != NULL);
    CHECK_EQ(ask_status(skua_http_log_layer, &bad, "GET /"), 500);
    bad.format = SKUA_HTTP_LOG_COMMON;
    bad.size = 1;
    CHECK_EQ(ask_status(skua_http_log_layer, &bad, "GET /"), 500);
    (void)fclose(file);
    return 0;
}

TEST_FIBER(request_ids)
{
    static const char *const bad[] = {"", "a b", "a\"b", "a\\b", "<x>", "\xc3\xa4"};
    struct talk *talk =
        ask(skua_http_request_id_layer, NULL, "GET / HTTP/1.1\r\nX-Request-Id: aB-_.:/+=~9\r\n");
    char first[64], request[256], wanted[64];
    const char *id;

    CHECK_HAS(talk, "X-Request-Id: aB-_.:/+=~9\r\n");
    free(talk);
    talk = ask(skua_http_request_id_layer, NULL, "GET /");
    id = strstr(talk->text, "X-Request-Id: ");
    MUST(id != NULL);
    (void)snprintf(first, sizeof first, "%.46s", id);
    CHECK_EQ(strspn(id + 14, "0123456789abcdef"), 32);
    free(talk);
    talk = ask(skua_http_request_id_layer, NULL, "GET / HTTP/1.1\r\nX-Status: -2\r\n");
    CHECK_HAS(talk, "X-Request-Id: "); /* error pages have one, too */
    CHECK_LACKS(talk, first);
    free(talk);
    for (size_t i = 0; i < TEST_LEN(bad); i++) {
        (void)snprintf(request, sizeof request, "GET / HTTP/1.1\r\nX-Request-Id: %s\r\n", bad[i]);
        (void)snprintf(wanted, sizeof wanted, "X-Request-Id: %s\r\n", bad[i]);
        talk = ask(skua_http_request_id_layer, NULL, request);
        CHECK_HAS(talk, "X-Request-Id: ");
        CHECK_LACKS(talk, wanted);
        free(talk);
    }
    (void)snprintf(request, sizeof request, "GET / HTTP/1.1\r\nX-Request-Id: %0129d\r\n", 1);
    talk = ask(skua_http_request_id_layer, NULL, request);
    CHECK_LACKS(talk, "X-Request-Id: 000");
    free(talk);
    return 0;
}

/* ---- time and load --------------------------------------------------------------------------- */

static int sleeps(skua_http_exchange *exchange, void *state)
{
    int rc = skua_sleep(*(int64_t *)state);

    return rc == 0 ? skua_http_reply(exchange, 200, NULL, "", 0) : rc;
}

TEST_FIBER(time_outs)
{
    int64_t timeout = SKUA_MILLISECOND, nap = SKUA_FOREVER / 2;
    const skua_http_layer around[] = {{skua_http_timeout_layer, &timeout}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, sleeps, &nap);
    struct talk *talk = ask_chain(skua_http_chain_handler, &app, "GET /");

    CHECK_EQ(talk_status(talk, 0), 504);
    free(talk);
    timeout = SKUA_FOREVER;
    CHECK_EQ(ask_status(skua_http_timeout_layer, &timeout, "GET /"), 200);
    timeout = -1;
    CHECK_EQ(ask_status(skua_http_timeout_layer, &timeout, "GET /"), 500);
    return 0;
}

TEST_FIBER(limits)
{
    skua_limiter limiter;
    skua_http_limit limit = SKUA_HTTP_LIMIT(.limiter = &limiter);
    struct talk *talk;

    MUST(skua_limiter_init(&limiter, SKUA_LIMITER_OPTIONS(.running = 1)) == 0);
    for (int i = 0; i < 3; i++) /* each goes out again, also who fails */
        CHECK_EQ(ask_status(skua_http_limit_layer, &limit,
                            i == 1 ? "GET / HTTP/1.1\r\nX-Status: -5\r\n" : "GET /"),
                 i == 1 ? 500 : 200);
    MUST(skua_limiter_try_enter(&limiter) == 0);
    talk = ask(skua_http_limit_layer, &limit, "GET /");
    CHECK_EQ(talk_status(talk, 0), 503);
    CHECK_HAS(talk, "Retry-After: 1\r\n");
    free(talk);
    limit.retry_after = 1500 * SKUA_MILLISECOND;
    talk = ask(skua_http_limit_layer, &limit, "GET /");
    CHECK_HAS(talk, "Retry-After: 2\r\n");
    free(talk);
    limit.retry_after = -1;
    skua_limiter_close(&limiter);
    talk = ask(skua_http_limit_layer, &limit, "GET /");
    CHECK_EQ(talk_status(talk, 0), 503);
    CHECK_LACKS(talk, "Retry-After");
    free(talk);
    limit.limiter = NULL;
    CHECK_EQ(ask_status(skua_http_limit_layer, &limit, "GET /"), 500);
    return 0;
}

TEST_FIBER(breakers)
{
    static const struct {
        const char *request;
        int fails;
    } cases[] = {{"GET /", 0},
                 {"GET / HTTP/1.1\r\nX-Status: 404\r\n", 0},
                 {"GET / HTTP/1.1\r\nX-Status: -2\r\n", 0}, /* not there */
                 {"GET / HTTP/1.1\r\nX-Status: 500\r\n", 1},
                 {"GET / HTTP/1.1\r\nX-Status: -5\r\n", 1}};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_breaker breaker;
        struct talk *talk;

        test_variant(cases[i].request);
        MUST(skua_breaker_init(&breaker, SKUA_BREAKER_OPTIONS(.minimum = 1, .failure_percent = 1,
                                                              .open = 50 * SKUA_SECOND)) == 0);
        free(ask(skua_http_breaker_layer, &breaker, cases[i].request));
        talk = ask(skua_http_breaker_layer, &breaker, "GET /");
        CHECK_EQ(talk_status(talk, 0), cases[i].fails ? 503 : 200);
        if (cases[i].fails)
            CHECK_HAS(talk, "Retry-After: ");
        free(talk);
    }
    return 0;
}

static const char *key_of(skua_http_exchange *exchange, void *arg)
{
    CHECK(arg == logged);
    return skua_http_header(exchange, "X-Key");
}

static int rate_status(skua_http_rates *rates, const char *key)
{
    char request[128];

    (void)snprintf(request, sizeof request, "GET / HTTP/1.1\r\nX-Key: %s\r\n", key);
    return ask_status(skua_http_rates_layer, rates, request);
}

TEST_FIBER(rates_by_key)
{
    skua_http_rates_options options = {.size = sizeof options,
                                       .rate = 2,
                                       .period = 3600 * SKUA_SECOND,
                                       .keys = 2,
                                       .key = key_of,
                                       .arg = logged};
    skua_http_rates *rates;
    struct talk *talk;

    MUST(skua_http_rates_new(&rates, &options) == 0);
    CHECK_EQ(rate_status(rates, "a"), 200);
    CHECK_EQ(rate_status(rates, "a"), 200);
    CHECK_EQ(rate_status(rates, "a"), 429);
    CHECK_EQ(rate_status(rates, "b"), 200);
    CHECK_EQ(rate_status(rates, "a"), 429); /* and is newer than b */
    CHECK_EQ(rate_status(rates, "c"), 200); /* instead of b */
    CHECK_EQ(rate_status(rates, "a"), 429);
    CHECK_EQ(rate_status(rates, "b"), 200); /* instead of c */
    CHECK_EQ(rate_status(rates, "b"), 200);
    CHECK_EQ(rate_status(rates, "b"), 429);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(ask_status(skua_http_rates_layer, rates, "GET /"), 200); /* of nobody */
    skua_http_rates_free(rates);
    options.key = NULL;
    options.keys = 0;
    options.rate = 1;
    MUST(skua_http_rates_new(&rates, &options) == 0);
    CHECK_EQ(ask_status(skua_http_rates_layer, rates, "GET /"), 200);
    talk = ask(skua_http_rates_layer, rates, "GET /"); /* of the same peer */
    CHECK_EQ(talk_status(talk, 0), 429);
    CHECK_HAS(talk, "Retry-After: 3600\r\n");
    free(talk);
    skua_http_rates_free(rates);
    return 0;
}

/* More keys than there is room for, over and over: each begins anew, nothing is lost. */
TEST_FIBER(rates_of_many_keys)
{
    skua_http_rates *rates;
    char key[16];

    MUST(skua_http_rates_new(&rates, SKUA_HTTP_RATES_OPTIONS(.rate = 1, .keys = 20, .key = key_of,
                                                             .period = 3600 * SKUA_SECOND,
                                                             .arg = logged)) == 0);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "%d", i % 25);
        CHECK_EQ(rate_status(rates, key), 200);
    }
    CHECK_EQ(rate_status(rates, "24"), 429);
    skua_http_rates_free(rates);
    return 0;
}

TEST(rates_options)
{
    skua_http_rates *rates;

    CHECK_EQ(skua_http_rates_new(&rates, NULL), -EINVAL);
    CHECK_EQ(skua_http_rates_new(&rates, SKUA_HTTP_RATES_OPTIONS(.rate = 0)), -EINVAL);
    CHECK_EQ(skua_http_rates_new(&rates, SKUA_HTTP_RATES_OPTIONS(.rate = 1, .period = -1)),
             -EINVAL);
    CHECK_EQ(skua_http_rates_new(&rates, SKUA_HTTP_RATES_OPTIONS(.rate = 1, .keys = SIZE_MAX)),
             -EINVAL);
    skua_http_rates_free(NULL);
}

/* ---- cross-origin requests ------------------------------------------------------------------- */

static int ends_with_example(const char *origin, void *arg)
{
    size_t len = strlen(origin);

    CHECK(arg == logged);
    return len > 12 && strcmp(origin + len - 12, ".example.com") == 0;
}

TEST_FIBER(cors_requests)
{
    static const struct {
        const char *origin;
        int allowed;
    } cases[] = {{"https://a.org", 1},
                 {"https://b.org:8443", 1},
                 {"https://a.org.evil", 0},
                 {"https://a.or", 0},
                 {"http://a.org", 0},
                 {"null", 0},
                 {"https://x.example.com", 1},
                 {"", 0},
                 {",", 0},
                 {"https://a.org, https://b.org:8443", 0}};
    skua_http_cors cors =
        SKUA_HTTP_CORS(.origins = "https://a.org, https://b.org:8443", .allowed = ends_with_example,
                       .arg = logged, .expose = "X-A", .credentials = 1);
    struct talk *talk;
    char text[256];

    for (size_t i = 0; i < 2 * TEST_LEN(cases); i++) {
        const char *origin = cases[i / 2].origin;

        test_variant(origin);
        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nOrigin: %s\r\nX-Status: %d\r\n",
                       origin, i % 2 ? -5 : 200);
        talk = ask(skua_http_cors_layer, &cors, text);
        CHECK_EQ(talk_status(talk, 0), i % 2 ? 500 : 200); /* it runs, whoever asks */
        CHECK_HAS(talk, "Vary: Origin\r\n");
        (void)snprintf(text, sizeof text, "Access-Control-Allow-Origin: %s\r\n", origin);
        CHECK_EQ(ask_has(talk, text), cases[i / 2].allowed);
        CHECK_EQ(ask_has(talk, "Access-Control-Allow-"), cases[i / 2].allowed);
        CHECK_EQ(ask_has(talk, "Access-Control-Allow-Credentials: true\r\n"), cases[i / 2].allowed);
        CHECK_EQ(ask_has(talk, "Access-Control-Expose-Headers: X-A\r\n"), cases[i / 2].allowed);
        free(talk);
    }
    talk = ask(skua_http_cors_layer, &cors, "GET /");
    CHECK_HAS(talk, "Vary: Origin\r\n");
    CHECK_LACKS(talk, "Access-Control-");
    free(talk);
    return 0;
}

#define PREFLIGHT(origin)                                                                          \
    "OPTIONS / HTTP/1.1\r\nOrigin: " origin "\r\nAccess-Control-Request-Method: PUT\r\n"           \
    "Access-Control-Request-Headers: X-B, X-C\r\n"

TEST_FIBER(cors_preflights)
{
    skua_http_cors cors = SKUA_HTTP_CORS(.origins = "https://a.org", .methods = "GET, PUT",
                                         .headers = "X-B", .max_age = 600 * SKUA_SECOND);
    skua_http_cors any = SKUA_HTTP_CORS(.origins = "*", .headers = "*");
    struct talk *talk = ask(skua_http_cors_layer, &cors, PREFLIGHT("https://a.org"));

    CHECK_EQ(talk_status(talk, 0), 204);
    CHECK_HAS(talk, "Access-Control-Allow-Origin: https://a.org\r\n");
    CHECK_HAS(talk, "Access-Control-Allow-Methods: GET, PUT\r\n");
    CHECK_HAS(talk, "Access-Control-Allow-Headers: X-B\r\n");
    CHECK_HAS(talk, "Access-Control-Max-Age: 600\r\n");
    CHECK_HAS(talk, "Vary: Origin, Access-Control-Request-Method, ");
    CHECK_LACKS(talk, "Access-Control-Allow-Credentials");
    free(talk);
    talk = ask(skua_http_cors_layer, &cors, PREFLIGHT("https://b.org"));
    CHECK_EQ(talk_status(talk, 0), 204);
    CHECK_LACKS(talk, "Access-Control-");
    free(talk);
    talk = ask(skua_http_cors_layer, &any, PREFLIGHT("https://b.org"));
    CHECK_HAS(talk, "Access-Control-Allow-Origin: *\r\n");
    CHECK_HAS(talk, "Access-Control-Allow-Methods: GET, HEAD, POST\r\n");
    CHECK_HAS(talk, "Access-Control-Allow-Headers: X-B, X-C\r\n");
    CHECK_LACKS(talk, "Access-Control-Max-Age");
    free(talk);
    talk = ask(skua_http_cors_layer, &any, "GET / HTTP/1.1\r\nOrigin: https://b.org\r\n");
    CHECK_HAS(talk, "Access-Control-Allow-Origin: *\r\n");
    CHECK_LACKS(talk, "Vary");
    free(talk);
    talk = ask(skua_http_cors_layer, &cors, "OPTIONS / HTTP/1.1\r\nOrigin: https://a.org\r\n");
    CHECK_EQ(talk_status(talk, 0), 200); /* no preflight */
    free(talk);
    any.credentials = 1; /* every page could act as the visitor */
    CHECK_EQ(ask_status(skua_http_cors_layer, &any, "GET /"), 500);
    return 0;
}

/* ---- who asks -------------------------------------------------------------------------------- */

static int knows(skua_http_exchange *exchange, void *arg)
{
    const char *user, *password, *token;

    if (arg != NULL)
        return *(int *)arg;
    if (skua_http_bearer(exchange, &token) == 0)
        return skua_http_same_secret(token, "t0ken==") ? 0 : 403;
    if (skua_http_basic(exchange, &user, &password) != 0)
        return 401;
    return strcmp(user, "me") == 0 && skua_http_same_secret(password, "se:cret") ? 0 : 401;
}

TEST_FIBER(who_asks)
{
    static const struct {
        const char *authorization;
        int status;
    } cases[] = {
        {"Basic bWU6c2U6Y3JldA==", 200},
        {"bAsIc  bWU6c2U6Y3JldA==", 200},
        {"Basic bWU6c2U6Y3JldB==", 401}, /* bits that say nothing */
        {"Basic bWU6c2U6Y3JldA=", 401},
        {"Basic bWU6c2U6Y3JldA", 401},
        {"Basic bWU6c2U6Y3JldA==x", 401},
        {"Basic bWU6c2U6Y3Jl", 401},
        {"Basic bWU=", 401},
        /* no colon */ {"Basic A===", 401},
        {"Basic ====", 401},
        {"Basic", 401},
        {"Basicly bWU6c2U6Y3JldA==", 401},
        {"Basic bWU6c2U6Y3JldAA=", 401}, /* "secret\0" */
        {"Basic bWU6c2U6Y3Jl dA==", 401},
        {"Bearer t0ken==", 200},
        {"bearer t0ken==", 200},
        {"Bearer t0ken", 403},
        {"Bearer t0ken===", 403},
        {"Bearer t0=ken", 401},
        {"Bearer ", 401},
        {"Bearer a b", 401},
        {"Digest x", 401},
        {"", 401},
    };
    skua_http_auth auth = SKUA_HTTP_AUTH(.decide = knows, .challenge = "Basic realm=\"x\"");
    int rc = 200;
    struct talk *talk;

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        char text[256];

        (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nAuthorization: %s\r\n",
                       cases[i].authorization);
        test_variant(cases[i].authorization);
        talk = ask(skua_http_auth_layer, &auth, text);
        CHECK_EQ(talk_status(talk, 0), cases[i].status);
        CHECK_EQ(ask_has(talk, "WWW-Authenticate: Basic realm=\"x\"\r\n"), cases[i].status == 401);
        free(talk);
    }
    CHECK_EQ(ask_status(skua_http_auth_layer, &auth, "GET /"), 401);
    auth.arg = &rc;
    CHECK_EQ(ask_status(skua_http_auth_layer, &auth, "GET /"), 500); /* 200 is no decision */
    rc = -EBUSY;
    CHECK_EQ(ask_status(skua_http_auth_layer, &auth, "GET /"), 409);
    auth.decide = NULL;
    CHECK_EQ(ask_status(skua_http_auth_layer, &auth, "GET /"), 500);
    return 0;
}

TEST(secrets)
{
    CHECK_EQ(skua_http_same_secret("", ""), 1);
    CHECK_EQ(skua_http_same_secret("a", "a"), 1);
    CHECK_EQ(skua_http_same_secret("a", "b"), 0);
    CHECK_EQ(skua_http_same_secret("", "a"), 0);
    CHECK_EQ(skua_http_same_secret("a", ""), 0);
    CHECK_EQ(skua_http_same_secret("aa", "a"), 0);
    CHECK_EQ(skua_http_same_secret("abab", "ab"), 0);
    CHECK_EQ(skua_http_same_secret("ab", "abab"), 0);
}

static int page(skua_http_exchange *exchange, int status, const char *detail, void *state)
{
    (void)detail;
    return skua_http_replyf(exchange, status, "text/html", "<%s%d>", (char *)state, status);
}

TEST_FIBER(error_pages)
{
    skua_http_pages pages = SKUA_HTTP_PAGES(.page = page, .arg = "e");
    struct talk *talk = ask(skua_http_pages_layer, &pages, "GET / HTTP/1.1\r\nX-Status: -13\r\n");

    CHECK_EQ(talk_status(talk, 0), 403);
    CHECK_STR(talk_body(talk, 0), "<e403>");
    free(talk);
    pages.page = NULL;
    CHECK_EQ(ask_status(skua_http_pages_layer, &pages, "GET /"), 500);
    return 0;
}

#ifdef SKUA_FAULTS
/* Whatever is not to be had: an answer, an error page or the end. */
TEST_FIBER_CURRENT(middleware_without_memory)
{
    skua_http_log log =
        SKUA_HTTP_LOG(.format = SKUA_HTTP_LOG_JSON, .write = keeps_line, .arg = logged);
    skua_http_cors cors = SKUA_HTTP_CORS(.origins = "https://a.org", .credentials = 1);
    skua_http_auth auth = SKUA_HTTP_AUTH(.decide = knows);
    skua_http_pages pages = SKUA_HTTP_PAGES(.page = page, .arg = "e");
    const skua_http_layer around[] = {{skua_http_log_layer, &log},
                                      {skua_http_request_id_layer, NULL},
                                      {skua_http_pages_layer, &pages},
                                      {skua_http_cors_layer, &cors},
                                      {skua_http_auth_layer, &auth}};
    skua_http_chain app = SKUA_HTTP_CHAIN(around, status_as_told, NULL);
    struct talk *talk = calloc(1, sizeof *talk);
    int good = 0;
    char text[6000];

    MUST(talk != NULL);
    talk->handler = skua_http_chain_handler;
    talk->state = &app;
    /* So long that each piece of memory is one of its own. */
    (void)snprintf(text, sizeof text,
                   "GET /%03000d HTTP/1.1\r\nHost: a\r\nAuthorization: Basic "
                   "bWU6c2U6Y3JldA==\r\nOrigin: https://a.org\r\n\r\n",
                   1);
    for (talk->fault = 1; talk->fault < 16; talk->fault++) {
        skua_http_rates *rates;

        talk_to(talk, text);
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 500 ||
              talk_status(talk, 0) == 401);
        skua__fault_arm(SKUA__FAULT_MALLOC, talk->fault, 1, ENOMEM);
        CHECK_EQ(skua_http_rates_new(&rates, SKUA_HTTP_RATES_OPTIONS(.rate = 1)),
                 talk->fault <= 3 ? -ENOMEM : 0);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        if (talk->fault > 3)
            skua_http_rates_free(rates);
    }
    CHECK_RANGE(good, 5, 15);
    free(talk);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_lines),
        cmocka_unit_test(log_json_is_utf8),
        cmocka_unit_test(log_files),
        cmocka_unit_test(request_ids),
        cmocka_unit_test(time_outs),
        cmocka_unit_test(limits),
        cmocka_unit_test(breakers),
        cmocka_unit_test(rates_by_key),
        cmocka_unit_test(rates_of_many_keys),
        cmocka_unit_test(rates_options),
        cmocka_unit_test(cors_requests),
        cmocka_unit_test(cors_preflights),
        cmocka_unit_test(who_asks),
        cmocka_unit_test(secrets),
        cmocka_unit_test(error_pages),
#ifdef SKUA_FAULTS
        cmocka_unit_test(middleware_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
