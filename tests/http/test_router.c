/* test_router.c - which handler answers which path, and what it learns from it.
 *
 * Specifies router.h: text before ":name" before "*name", whatever the order; decoded segments;
 * HEAD, OPTIONS, 405 with Allow, 404, 400 and the fallback; nesting; patterns that are refused.
 */
#include "talk.h"

/* Answers with the route and its parameters: "/users/:id id=7". */
static int tells(skua_http_exchange *exchange, void *state)
{
    static const char *const names[] = {"id", "post", "path", "v"};
    char text[2000];
    size_t len = (size_t)snprintf(text, sizeof text, "%s%s", skua_http_route_of(exchange),
                                  state != NULL ? (char *)state : "");

    for (size_t i = 0; i < TEST_LEN(names); i++)
        if (skua_http_param(exchange, names[i]) != NULL)
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%s", names[i],
                                    skua_http_param(exchange, names[i]));
    return skua_http_reply(exchange, 200, NULL, text, len);
}

static skua_http_router *router_with(const char *const *patterns, size_t count)
{
    skua_http_router *router;

    MUST(skua_http_router_new(&router) == 0);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(skua_http_route(router, "GET", patterns[i], tells, NULL), 0);
    return router;
}

static struct talk *talk_with(skua_http_router *router)
{
    struct talk *talk = calloc(1, sizeof *talk);

    MUST(talk != NULL);
    talk->handler = skua_http_router_handler;
    talk->state = router;
    return talk;
}

static void ask(struct talk *talk, const char *method, const char *path)
{
    char text[1024];

    test_variant(path);
    (void)snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
    talk_to(talk, text);
}

struct asked {
    const char *path, *wanted; /* wanted: a body, or a status */
};

static void ask_all(struct talk *talk, const struct asked *at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ask(talk, "GET", at[i].path);
        if (atoi(at[i].wanted) != 0)
            CHECK_EQ(talk_status(talk, 0), atoi(at[i].wanted));
        else
            CHECK_STR(talk_body(talk, 0), at[i].wanted);
    }
}

static const char *const patterns[] = {"/",
                                       "/users",
                                       "/users/:id",
                                       "/users/me",
                                       "/users/:id/posts/:post",
                                       "/files/*path",
                                       "/files/readme",
                                       "/:v/x/:id",
                                       "/a/",
                                       "/a%20b"};

static const struct asked asked[] = {
    {"/", "/"},
    {"/users", "/users"},
    {"/users?x", "/users"},
    {"/users/", "404"},
    {"/users/7", "/users/:id id=7"},
    {"/users/me", "/users/me"},
    {"/users/m%65", "/users/me"},
    {"/users/a%2Fb", "/users/:id id=a/b"},
    {"/users/a+b", "/users/:id id=a+b"},
    {"/users/7/posts/8", "/users/:id/posts/:post id=7 post=8"},
    {"/users/me/posts/8", "/users/:id/posts/:post id=me post=8"},
    {"/users/7/posts", "404"},
    {"/users/x/7", "/:v/x/:id id=7 v=users"},
    {"/files/", "/files/*path path="},
    {"/files", "404"},
    {"/files/a/b%20c/d", "/files/*path path=a/b c/d"},
    {"/files/readme", "/files/readme"},
    {"/files/readme/x", "/files/*path path=readme/x"},
    {"/1/x/2", "/:v/x/:id id=2 v=1"},
    {"/users/x/2/3", "404"},
    {"/a/", "/a/"},
    {"/a", "404"},
    {"//", "404"},
    {"/a%2520b", "/a%20b"},
    {"/nothing", "404"},
    {"/users/%", "400"},
    {"/users/%4", "400"},
    {"/users/%zz", "400"},
    {"/users/%00", "400"},
};

TEST_FIBER(router_finds)
{
    skua_http_router *router = router_with(patterns, TEST_LEN(patterns));
    struct talk *talk = talk_with(router);

    ask_all(talk, asked, TEST_LEN(asked));
    free(talk);
    skua_http_router_free(router);
    return 0;
}

TEST_FIBER(router_order_does_not_matter)
{
    const char *reversed[TEST_LEN(patterns)];
    skua_http_router *router;
    struct talk *talk;

    for (size_t i = 0; i < TEST_LEN(patterns); i++)
        reversed[i] = patterns[TEST_LEN(patterns) - 1 - i];
    router = router_with(reversed, TEST_LEN(reversed));
    talk = talk_with(router);
    ask_all(talk, asked, TEST_LEN(asked));
    free(talk);
    skua_http_router_free(router);
    return 0;
}

/* A path of more segments than any route has is no path, however long. */
TEST_FIBER(router_deep_paths)
{
    skua_http_router *router = router_with(patterns, TEST_LEN(patterns));
    struct talk *talk = talk_with(router);
    char path[402];

    for (size_t i = 0; i < 400; i += 2)
        memcpy(path + i, "/a", 3);
    ask(talk, "GET", path);
    CHECK_EQ(talk_status(talk, 0), 404);
    free(talk);
    skua_http_router_free(router);
    return 0;
}

TEST_FIBER(router_methods)
{
    skua_http_router *router;
    struct talk *talk;

    MUST(skua_http_router_new(&router) == 0);
    CHECK_EQ(skua_http_route(router, "GET", "/a", tells, " get"), 0);
    CHECK_EQ(skua_http_route(router, "PUT", "/a", tells, " put"), 0);
    CHECK_EQ(skua_http_route(router, NULL, "/any", tells, " any"), 0);
    CHECK_EQ(skua_http_route(router, "POST", "/any", tells, " post"), 0);
    CHECK_EQ(skua_http_route(router, "OPTIONS", "/own", tells, " own"), 0);
    CHECK_EQ(skua_http_route(router, "HEAD", "/own", tells, " head"), 0);
    talk = talk_with(router);
    ask(talk, "PUT", "/a");
    CHECK_STR(talk_body(talk, 0), "/a put");
    ask(talk, "HEAD", "/a");
    CHECK_EQ(talk_status(talk, 0), 200);
    CHECK(strstr(talk->text, "Content-Length: 6\r\n") != NULL);
    CHECK_STR(talk_body(talk, 0), "");
    ask(talk, "POST", "/a");
    CHECK_EQ(talk_status(talk, 0), 405);
    CHECK(strstr(talk->text, "Allow: PUT, GET, HEAD, OPTIONS\r\n") != NULL);
    ask(talk, "OPTIONS", "/a");
    CHECK_EQ(talk_status(talk, 0), 204);
    CHECK(strstr(talk->text, "Allow: PUT, GET, HEAD, OPTIONS\r\n") != NULL);
    ask(talk, "DELETE", "/any");
    CHECK_STR(talk_body(talk, 0), "/any any");
    ask(talk, "POST", "/any");
    CHECK_STR(talk_body(talk, 0), "/any post");
    ask(talk, "OPTIONS", "/own");
    CHECK_STR(talk_body(talk, 0), "/own own");
    ask(talk, "GET", "/own");
    CHECK_EQ(talk_status(talk, 0), 405);
    CHECK(strstr(talk->text, "Allow: HEAD, OPTIONS\r\n") != NULL);
    free(talk);
    skua_http_router_free(router);
    return 0;
}

static int is_not_there(skua_http_exchange *exchange, void *state)
{
    return skua_http_replyf(exchange, 404, NULL, "no %s%s", skua_http_path(exchange),
                            (char *)state);
}

TEST_FIBER(router_fallback)
{
    skua_http_router *router = router_with(patterns, TEST_LEN(patterns));
    struct talk *talk = talk_with(router);

    skua_http_route_fallback(router, is_not_there, "!");
    ask(talk, "GET", "/nothing");
    CHECK_STR(talk_body(talk, 0), "no /nothing!");
    ask(talk, "GET", "/users");
    CHECK_STR(talk_body(talk, 0), "/users");
    free(talk);
    skua_http_router_free(router);
    return 0;
}

TEST_FIBER(router_nests)
{
    static const char *const inside[] = {"/", "/users/:id", "/files/*path"};
    static const struct asked wanted[] = {{"/api/1", "/api/:v v=1"},
                                          {"/api/1/", "404"},
                                          {"/api/1/users/7", "/api/:v/users/:id id=7 v=1"},
                                          {"/api/1/files/a/b", "/api/:v/files/*path path=a/b v=1"},
                                          {"/users/7", "404"},
                                          {"/", "/"}};
    skua_http_router *inner = router_with(inside, TEST_LEN(inside));
    skua_http_router *router = router_with(patterns, 1);
    struct talk *talk = talk_with(router);

    CHECK_EQ(skua_http_route_nest(router, "/api/:v", inner), 0);
    CHECK_EQ(skua_http_route_nest(router, "/api/:v/", inner), -EEXIST);
    CHECK_EQ(skua_http_route_nest(router, "api", inner), -EINVAL);
    CHECK_EQ(skua_http_route_nest(router, "/a/*b", inner), -EINVAL);
    CHECK_EQ(skua_http_route_nest(router, "/b/:id", inner), -EINVAL); /* two of one name */
    ask(talk, "GET", "/b/1");
    CHECK_EQ(talk_status(talk, 0), 404); /* of what failed nothing was added */
    skua_http_router_free(inner);
    ask_all(talk, wanted, TEST_LEN(wanted));
    free(talk);
    skua_http_router_free(router);
    return 0;
}

TEST(router_refuses)
{
    static const char *const bad[] = {"",      "users",  "/:",      "/a/*",    "/*a/b",
                                      "/:a:b", "/:a/:a", "/*path/", "/:a/b/*a"};
    static const char *const same[] = {"/users/:name", "/files/*rest", "/"};
    skua_http_router *router = router_with(patterns, TEST_LEN(patterns));
    char text[200];

    for (size_t i = 0; i < TEST_LEN(bad); i++) {
        test_variant(bad[i]);
        CHECK_EQ(skua_http_route(router, "GET", bad[i], tells, NULL), i == 5 ? 0 : -EINVAL);
    }
    for (size_t i = 0; i < TEST_LEN(same); i++)
        CHECK_EQ(skua_http_route(router, "GET", same[i], tells, NULL), -EEXIST);
    CHECK_EQ(skua_http_route(router, "G T", "/x", tells, NULL), -EINVAL);
    CHECK_EQ(skua_http_route(router, "GET", "/x", NULL, NULL), -EINVAL);
    for (size_t i = 0; i < 17; i++)
        (void)snprintf(text + 4 * i, 6, "/:%c%c", (int)('a' + i / 4), (int)('a' + i % 4));
    CHECK_EQ(skua_http_route(router, "GET", text, tells, NULL), -EINVAL);
    text[4 * 16] = '\0';
    CHECK_EQ(skua_http_route(router, "GET", text, tells, NULL), 0);
    skua_http_router_free(router);
    skua_http_router_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(router_finds),      cmocka_unit_test(router_order_does_not_matter),
        cmocka_unit_test(router_deep_paths), cmocka_unit_test(router_methods),
        cmocka_unit_test(router_fallback),   cmocka_unit_test(router_nests),
        cmocka_unit_test(router_refuses),
    };

    return TEST_MAIN(tests);
}
