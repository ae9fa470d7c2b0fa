/* test_extract.c - values out of requests.
 *
 * Specifies extract.h: types with their ranges, places, required and not, reasons in the error
 * page, forms, and cookies both ways.
 */
#include <skua/http/extract.h>

#include <math.h>

#include "ask.h"

enum { INT64, UINT64, DOUBLE, BOOL, STRING };

struct wanted {
    int type;
    unsigned from;
};

/* Answers with the value of "v", or "none". */
static int tells(skua_http_exchange *exchange, void *state)
{
    const struct wanted *wanted = state;
    const char *text = "none";
    int64_t i = 0;
    uint64_t u = 0;
    double d = 0;
    int b = 0;
    int rc = wanted->from == SKUA_HTTP_FORM ? skua_http_read_form(exchange, 100) : 0;

    if (rc < 0)
        return rc;
    switch (wanted->type) {
    case INT64:
        rc = skua_http_get_int64(exchange, wanted->from, "v", &i, -9, INT64_MAX);
        return rc < 0 ? rc : skua_http_replyf(exchange, 200, NULL, "%d %lld", rc, (long long)i);
    case UINT64:
        rc = skua_http_get_uint64(exchange, wanted->from, "v", &u, UINT64_MAX - 1);
        return rc < 0 ? rc
                      : skua_http_replyf(exchange, 200, NULL, "%d %llu", rc, (unsigned long long)u);
    case DOUBLE:
        rc = skua_http_get_double(exchange, wanted->from, "v", &d, -100, HUGE_VAL);
        return rc < 0 ? rc : skua_http_replyf(exchange, 200, NULL, "%d %g", rc, d);
    case BOOL:
        rc = skua_http_get_bool(exchange, wanted->from, "v", &b);
        return rc < 0 ? rc : skua_http_replyf(exchange, 200, NULL, "%d %d", rc, b);
    default:
        rc = skua_http_get_string(exchange, wanted->from, "v", &text, 6);
        return rc < 0 ? rc : skua_http_replyf(exchange, 200, NULL, "%d %s", rc, text);
    }
}

static const struct {
    int type;
    const char *query, *wanted; /* a body, or what the 400 says */
} typed[] = {
    {INT64, "v=0", "1 0"},
    {INT64, "v=-9", "1 -9"},
    {INT64, "v=007", "1 7"},
    {INT64, "v=9223372036854775807", "1 9223372036854775807"},
    {INT64, "v=9223372036854775808", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=-9223372036854775808", "\"v\" in the query is out of range"},
    {INT64, "v=-9223372036854775809", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=-10", "\"v\" in the query is out of range"},
    {INT64, "v=", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=-", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=--1", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=%2B1", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=+1", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=1.0", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=0x1", "\"v\" in the query is no whole number, or too large"},
    {INT64, "v=%31", "1 1"},
    {INT64, "v=%3", "\"v\" in the query is malformed"},
    {INT64, "v=1%00", "\"v\" in the query is malformed"},
    {INT64, "w=%3&%=1&v=1", "1 1"}, /* others are not looked at */
    {INT64, "w=1", "0 0"},
    {INT64, "", "0 0"},
    {INT64, "v=1&v=2", "1 1"},
    {INT64, "&&v=1", "1 1"},
    {INT64, "%76=1", "1 1"},
    {UINT64, "v=18446744073709551614", "1 18446744073709551614"},
    {UINT64, "v=18446744073709551615", "\"v\" in the query is out of range"},
    {UINT64, "v=18446744073709551616", "\"v\" in the query is no whole number, or too large"},
    {UINT64, "v=-1", "\"v\" in the query is no whole number, or too large"},
    {DOUBLE, "v=1.5", "1 1.5"},
    {DOUBLE, "v=-2e1", "1 -20"},
    {DOUBLE, "v=.5", "1 0.5"},
    {DOUBLE, "v=5.", "1 5"},
    {DOUBLE, "v=2E%2B3", "1 2000"},
    {DOUBLE, "v=-101", "\"v\" in the query is out of range"},
    {DOUBLE, "v=1e999", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=1e", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=.", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=nan", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=inf", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=0x10", "\"v\" in the query is no number, or too large"},
    {DOUBLE, "v=1,5", "\"v\" in the query is no number, or too large"},
    {BOOL, "v=true", "1 1"},
    {BOOL, "v=0", "1 0"},
    {BOOL, "v=false", "1 0"},
    {BOOL, "v=1", "1 1"},
    {BOOL, "v=TRUE", "\"v\" in the query is neither true nor false"},
    {BOOL, "v", "\"v\" in the query is neither true nor false"},
    {STRING, "v=a%20b+c", "1 a b c"},
    {STRING, "v=1234567", "\"v\" in the query is too long"},
    {STRING, "v=123456", "1 123456"},
    {STRING, "v", "1 "},
    {STRING, "", "0 none"},
    {STRING, "vv=1", "0 none"},
};

TEST_FIBER(extract_types)
{
    for (size_t i = 0; i < TEST_LEN(typed); i++) {
        struct wanted wanted = {typed[i].type, SKUA_HTTP_QUERY};
        struct talk *talk;
        char text[256], page[256];

        test_variant(typed[i].query);
        (void)snprintf(text, sizeof text, "GET /?%s", typed[i].query);
        (void)snprintf(page, sizeof page, "400 Bad Request\n%s\n", typed[i].wanted);
        talk = ask_chain(tells, &wanted, text);
        CHECK_STR(talk_body(talk, 0), typed[i].wanted[0] == '"' ? page : typed[i].wanted);
        free(talk);
    }
    return 0;
}

TEST_FIBER(extract_places)
{
    static const struct {
        unsigned from;
        const char *request, *wanted;
    } cases[] = {
        {SKUA_HTTP_PATH, "GET /p/1%202", "1 1 2"},
        {SKUA_HTTP_PATH | SKUA_HTTP_REQUIRED, "GET /p/1", "1 1"},
        {SKUA_HTTP_HEADER, "GET /p/x HTTP/1.1\r\nV: h\r\n", "1 h"},
        {SKUA_HTTP_HEADER, "GET /p/x", "0 none"},
        {SKUA_HTTP_HEADER | SKUA_HTTP_REQUIRED, "GET /p/x",
         "400 Bad Request\n\"v\" in the headers is missing\n"},
        {SKUA_HTTP_QUERY | SKUA_HTTP_REQUIRED, "GET /p/x",
         "400 Bad Request\n\"v\" in the query is missing\n"},
        {SKUA_HTTP_QUERY | SKUA_HTTP_REQUIRED, "GET /p/x?v=", "1 "},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: a=v; v=1; v=2\r\n", "1 1"},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: a=1\r\nCookie: v=2\r\n", "1 2"},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: v=\"q\"; b\r\n", "1 q"},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: v=\"\r\n", "1 \""},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: v=a=b ;c\r\n", "1 a=b"},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: v; vv=1;; =;V=3;\r\n", "0 none"},
        {SKUA_HTTP_COOKIE, "GET /p/x HTTP/1.1\r\nCookie: v=%20\r\n", "1 %20"},
        {SKUA_HTTP_COOKIE, "GET /p/x", "0 none"},
        {77, "GET /p/x", "500 Internal Server Error\n"},
        {SKUA_HTTP_REQUIRED, "GET /p/x", "500 Internal Server Error\n"},
    };
    struct wanted wanted = {STRING, 0};
    skua_http_router *router;

    MUST(skua_http_router_new(&router) == 0);
    MUST(skua_http_route(router, "GET", "/p/:v", tells, &wanted) == 0);
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct talk *talk;

        test_variant(cases[i].request);
        wanted.from = cases[i].from;
        talk = ask_chain(skua_http_router_handler, router, cases[i].request);
        CHECK_STR(talk_body(talk, 0), cases[i].wanted);
        free(talk);
    }
    skua_http_router_free(router);
    return 0;
}

TEST_FIBER(extract_forms)
{
    static const struct {
        const char *type, *body;
        int status;
        const char *wanted;
    } cases[] = {
        {"application/x-www-form-urlencoded", "a=1&v=x+y", 200, "1 x y"},
        {"Application/X-WWW-Form-URLencoded; charset=utf-8", "v=1", 200, "1 1"},
        {"application/x-www-form-urlencoded", "", 200, "0 none"},
        {"application/x-www-form-urlencoded", "v=%zz", 400,
         "400 Bad Request\n\"v\" in the form is malformed\n"},
        {"application/x-www-form-urlencodedx", "v=1", 415,
         "415 Unsupported Media Type\nthe body is no form\n"},
        {"text/plain", "v=1", 415, "415 Unsupported Media Type\nthe body is no form\n"},
    };
    struct wanted wanted = {STRING, SKUA_HTTP_FORM};
    struct talk *talk = calloc(1, sizeof *talk);
    char text[512];

    MUST(talk != NULL);
    talk->handler = tells;
    talk->state = &wanted;
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        test_variant(cases[i].body);
        (void)snprintf(text, sizeof text,
                       "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: "
                       "%zu\r\n\r\n%s",
                       cases[i].type, strlen(cases[i].body), cases[i].body);
        talk_to(talk, text);
        CHECK_EQ(talk_status(talk, 0), cases[i].status);
        CHECK_STR(talk_body(talk, 0), cases[i].wanted);
    }
    (void)snprintf(text, sizeof text,
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 101\r\n\r\n"
                   "%0101d",
                   cases[0].type, 1);
    talk_to(talk, text);
    CHECK_EQ(talk_status(talk, 0), 413);
    talk_bytes(talk,
               "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
               "Content-Length: 4\r\n\r\nv=\0001",
               sizeof "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: "
                      "application/x-www-form-urlencoded\r\nContent-Length: 4\r\n\r\nv=\0001" -
                   1);
    CHECK_EQ(talk_status(talk, 0), 400);
    wanted.from = SKUA_HTTP_FORM | SKUA_HTTP_REQUIRED; /* which was not read */
    talk_to(talk, "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_EQ(talk_status(talk, 0), 500);
    free(talk);
    return 0;
}

/* ---- cookies --------------------------------------------------------------------------------- */

struct cookie {
    const char *name, *value;
    skua_http_cookie_options options;
    const char *wanted; /* NULL: it is refused */
};

static int sets(skua_http_exchange *exchange, void *state)
{
    const struct cookie *cookie = state;
    skua_http_cookie_options options = cookie->options;
    int rc;

    options.size = sizeof options;
    rc = skua_http_set_cookie(exchange, cookie->name, cookie->value, &options);
    return skua_http_replyf(exchange, 200, NULL, "%d", rc);
}

TEST_FIBER(cookies_set)
{
    static const struct cookie cases[] = {
        {"a", "b", {0}, "a=b; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"},
        {"a", "", {0}, "a=; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"},
        {"a",
         "b",
         {.path = "/x", .domain = "a.org", .max_age = 90 * SKUA_SECOND},
         "a=b; Path=/x; Domain=a.org; Max-Age=90; Secure; HttpOnly; SameSite=Lax\r\n"},
        {"a",
         "b",
         {.max_age = -1, .insecure = 1, .scripts = 1, .same_site = SKUA_HTTP_SAME_SITE_STRICT},
         "a=b; Path=/; Max-Age=0; SameSite=Strict\r\n"},
        {"a",
         "b",
         {.same_site = SKUA_HTTP_SAME_SITE_NONE},
         "a=b; Path=/; Secure; HttpOnly; SameSite=None\r\n"},
        {"__Host-a", "b", {0}, "__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"},
        {"a", "b", {.same_site = SKUA_HTTP_SAME_SITE_NONE, .insecure = 1}, NULL},
        {"a", "b", {.same_site = (skua_http_same_site)3}, NULL},
        {"__Host-a", "b", {.domain = "a.org"}, NULL},
        {"__Host-a", "b", {.path = "/x"}, NULL},
        {"__Host-a", "b", {.insecure = 1}, NULL},
        {"__Secure-a", "b", {.insecure = 1}, NULL},
        {"", "b", {0}, NULL},
        {"a b", "b", {0}, NULL},
        {"a=", "b", {0}, NULL},
        {"a", "b;c", {0}, NULL},
        {"a", "b c", {0}, NULL},
        {"a", "b\r\nX: y", {0}, NULL},
        {"a", "\"b\"", {0}, NULL},
        {"a", "b,c", {0}, NULL},
        {"a", "b\\c", {0}, NULL},
        {"a", "\xc3\xa4", {0}, NULL},
        {"a", "b", {.path = "x"}, NULL},
        {"a", "b", {.path = "/x; Domain=evil"}, NULL},
        {"a", "b", {.path = "/x\r\nX: y"}, NULL},
        {"a", "b", {.domain = ""}, NULL},
        {"a", "b", {.domain = "a;b"}, NULL},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct talk *talk = ask_chain(sets, (void *)(uintptr_t)&cases[i], "GET /");
        char text[256];

        test_variant(cases[i].value);
        (void)snprintf(text, sizeof text, "Set-Cookie: %s",
                       cases[i].wanted != NULL ? cases[i].wanted : "");
        CHECK_EQ(ask_has(talk, text), cases[i].wanted != NULL);
        CHECK_EQ(atoi(talk_body(talk, 0)), cases[i].wanted != NULL ? 0 : -EINVAL);
        free(talk);
    }
    return 0;
}

static int sets_two(skua_http_exchange *exchange, void *state)
{
    skua_http_cookie_options bad = {.size = 1};

    (void)state;
    CHECK_EQ(skua_http_set_cookie(exchange, "a", "1", NULL), 0);
    CHECK_EQ(skua_http_set_cookie(exchange, "b", "2", SKUA_HTTP_COOKIE_OPTIONS(.insecure = 1)), 0);
    CHECK_EQ(skua_http_set_cookie(exchange, "b", "2", &bad), -EINVAL);
    CHECK_EQ(skua_http_fail(exchange, 0, 400, "x"), -EINVAL);
    CHECK_EQ(skua_http_fail(exchange, -EIO, 200, "x"), -EINVAL);
    return skua_http_reply(exchange, 200, NULL, "", 0);
}

static int fails(skua_http_exchange *exchange, void *state)
{
    (void)skua_http_fail(exchange, -EIO, 418, "no coffee");
    return *(int *)state;
}

TEST_FIBER(cookies_and_reasons)
{
    struct talk *talk = ask_chain(sets_two, NULL, "GET /");
    int code = -EIO;

    CHECK_HAS(talk, "Set-Cookie: a=1; ");
    CHECK_HAS(talk, "Set-Cookie: b=2; ");
    free(talk);
    talk = ask_chain(fails, &code, "GET /");
    CHECK_EQ(talk_status(talk, 0), 418);
    CHECK_STR(talk_body(talk, 0), "418 \nno coffee\n");
    free(talk);
    code = -ENOENT; /* for another reason */
    talk = ask_chain(fails, &code, "GET /");
    CHECK_STR(talk_body(talk, 0), "404 Not Found\n");
    free(talk);
    return 0;
}

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(extract_without_memory)
{
    struct wanted wanted = {STRING, SKUA_HTTP_QUERY};
    struct talk *talk = calloc(1, sizeof *talk);
    char text[6000];
    int good = 0;

    MUST(talk != NULL);
    talk->handler = tells;
    talk->state = &wanted;
    (void)snprintf(text, sizeof text, "GET /?%05000d=1&v=2 HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    for (talk->fault = 1; talk->fault < 12; talk->fault++) {
        talk_to(talk, text);
        good += talk_status(talk, 0) == 200;
        CHECK(talk->len == 0 || talk_status(talk, 0) == 200 || talk_status(talk, 0) >= 500);
    }
    CHECK_RANGE(good, 3, 11);
    free(talk);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extract_types),          cmocka_unit_test(extract_places),
        cmocka_unit_test(extract_forms),          cmocka_unit_test(cookies_set),
        cmocka_unit_test(cookies_and_reasons),
#ifdef SKUA_FAULTS
        cmocka_unit_test(extract_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
