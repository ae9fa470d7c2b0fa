/* test_http_cookies.c - the jar: what is taken, for how long, and who gets it.
 *
 * Specifies cookies.h, by RFC 6265, as tables; and that a client keeps and sends what is in it.
 */
#include "peer.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static skua_http_cookies *jar_new(void)
{
    skua_http_cookies *jar;

    MUST(skua_http_cookies_new(&jar) == 0);
    return jar;
}

static const struct {
    const char *from, *text;
    int taken;
    const char *to, *sent;
} rows[] = {
    {"http://a.test/", "x=y", 1, "http://a.test/b/c?d", "x=y"},
    {"http://a.test/", " x = y z ; HttpOnly; Foo=bar", 1, "http://a.test/", "x=y z"},
    {"http://a.test/", "x=", 1, "http://a.test/", "x="},
    {"http://a.test/", "x=a=b", 1, "http://a.test/", "x=a=b"},
    {"http://a.test/", "x=\"q\"", 1, "http://a.test/", "x=\"q\""},
    {"http://a.test/", "=y", 0, "http://a.test/", ""},
    {"http://a.test/", "x", 0, "http://a.test/", ""},
    {"http://a.test/", "", 0, "http://a.test/", ""},
    {"http://a.test/", "x=\x01", 0, "http://a.test/", ""},
    /* the same for every port; the host in any case */
    {"http://a.test:81/", "x=y", 1, "http://A.TEST/", "x=y"},
    /* host-only */
    {"http://a.test/", "x=y", 1, "http://b.a.test/", ""},
    {"http://a.test/", "x=y; Domain=", 1, "http://b.a.test/", ""},
    /* domains */
    {"http://a.test/", "x=y; Domain=a.test", 1, "http://b.a.test/", "x=y"},
    {"http://a.test/", "x=y; domain=.A.test", 1, "http://a.test/", "x=y"},
    {"http://b.a.test/", "x=y; Domain=a.test", 1, "http://a.test/", "x=y"},
    {"http://b.a.test/", "x=y; Domain=a.test", 1, "http://ba.test/", ""},
    {"http://ba.test/", "x=y; Domain=a.test", 0, "http://a.test/", ""},
    {"http://a.test/", "x=y; Domain=b.a.test", 0, "http://b.a.test/", ""},
    {"http://a.test/", "x=y; Domain=test", 0, "http://b.test/", ""},
    {"http://localhost/", "x=y; Domain=localhost", 1, "http://localhost/", "x=y"},
    {"http://10.0.0.1/", "x=y; Domain=0.0.1", 0, "http://20.0.0.1/", ""},
    {"http://10.0.0.1/", "x=y; Domain=10.0.0.1", 1, "http://10.0.0.1/", "x=y"},
    {"http://[::1]/", "x=y", 1, "http://[::1]:8080/", "x=y"},
    /* paths */
    {"http://a.test/b/c", "x=y", 1, "http://a.test/b/", "x=y"},
    {"http://a.test/b/c", "x=y", 1, "http://a.test/b", "x=y"},
    {"http://a.test/b/c?/d/e", "x=y", 1, "http://a.test/b?z", "x=y"},
    {"http://a.test/b/c", "x=y", 1, "http://a.test/bc", ""},
    {"http://a.test/b/c", "x=y", 1, "http://a.test/", ""},
    {"http://a.test/b", "x=y", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Path=/b", 1, "http://a.test/b/c", "x=y"},
    {"http://a.test/", "x=y; Path=/b/", 1, "http://a.test/b", ""},
    {"http://a.test/b/c", "x=y; Path=no", 1, "http://a.test/b", "x=y"},
    {"http://a.test/", "x=y; Path=/b; Path=/c", 1, "http://a.test/c", "x=y"},
    /* secure */
    {"http://a.test/", "x=y; Secure", 0, "http://a.test/", ""},
    {"http://a.test/", "__Secure-x=y", 0, "http://a.test/", ""},
    {"http://a.test/", "__Host-x=y; Path=/", 0, "http://a.test/", ""},
    /* time */
    {"http://a.test/", "x=y; Max-Age=100", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Max-Age=99999999999999999999", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Max-Age=0", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Max-Age=-1", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Max-Age=-", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Max-Age=1x", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Max-Age=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 1, "http://a.test/",
     "x=y"},
    {"http://a.test/", "x=y; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Expires=Thursday, 01-Jan-70 00:00:00 GMT", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Expires=Thu Jan  1 00:00:00 1970", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Expires=Sat, 29 Feb 2020 23:59:59 GMT", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Expires=Thu, 01 Jan 1601 00:00:00 GMT", 1, "http://a.test/", ""},
    {"http://a.test/", "x=y; Expires=Fri, 31 Dec 9999 23:59:59 GMT", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires=01-jan-69 1:2:3", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires=Thu, 01 Jan 1600 00:00:00 GMT", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires=Thu, 32 Jan 1970 00:00:00 GMT", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires=Thu, 01 Jan 1970 24:00:00 GMT", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires=1970", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires=", 1, "http://a.test/", "x=y"},
    {"http://a.test/", "x=y; Expires", 1, "http://a.test/", "x=y"},
};

TEST(cookies_who_gets_them)
{
    for (size_t i = 0; i < TEST_LEN(rows); i++) {
        skua_http_cookies *jar = jar_new();
        char text[100];

        CHECK_EQ(skua_http_cookies_put(jar, rows[i].from, rows[i].text), rows[i].taken);
        CHECK_EQ(skua_http_cookies_get(jar, rows[i].to, text, sizeof text), strlen(rows[i].sent));
        if (!CHECK(strcmp(text, rows[i].sent) == 0))
            test_note("%s at %s, to %s: %s", rows[i].text, rows[i].from, rows[i].to, text);
        skua_http_cookies_free(jar);
    }
}

TEST(cookies_many)
{
    skua_http_cookies *jar = jar_new();
    char text[8192], name[64], *long_one = malloc(5001);

    MUST(long_one != NULL);
#define PUT(text) CHECK_EQ(skua_http_cookies_put(jar, "http://a.test/b/c/d", (text)), 1)
#define GET(wanted)                                                                                \
    (CHECK_EQ(skua_http_cookies_get(jar, "http://a.test/b/c/d", text, sizeof text),                \
              strlen(wanted)),                                                                     \
     CHECK(strcmp(text, (wanted)) == 0))
    PUT("a=1; Path=/");
    PUT("b=2");
    PUT("c=3; Path=/");
    PUT("d=4; Path=/b");
    PUT("e=5");
    GET("b=2; e=5; d=4; a=1; c=3"); /* longer paths first, then as they came */
    PUT("a=6; Path=/");
    PUT("a=7");
    GET("b=2; e=5; a=7; d=4; a=6; c=3");
    PUT("a=; Path=/; Max-Age=0");
    PUT("zz=; Max-Age=0");
    CHECK_EQ(skua_http_cookies_count(jar), 5);
    CHECK_EQ(skua_http_cookies_get(jar, "http://a.test/b/c/d", text, 6), 23);
    CHECK_TEXT(text, "b=2; ");
    CHECK_EQ(skua_http_cookies_get(jar, "http://a.test/b/c/d", NULL, 0), 23);
    skua_http_cookies_clear(jar);
    CHECK_EQ(skua_http_cookies_count(jar), 0);
    GET("");
    for (int i = 0; i < 1100; i++) {
        char url[64];

        (void)snprintf(url, sizeof url, "http://h%d.test/", i / 100);
        (void)snprintf(name, sizeof name, "n%d=v", i);
        CHECK_EQ(skua_http_cookies_put(jar, url, name), 1);
    }
    CHECK_EQ(skua_http_cookies_count(jar), 550); /* 50 of each, the newest */
    CHECK(skua_http_cookies_get(jar, "http://h0.test/", text, sizeof text) > 0);
    CHECK(strncmp(text, "n50=v; n51=v; ", 14) == 0);
    for (int i = 11; i < 30; i++)
        for (int k = 0; k < 50; k++) {
            char url[64];

            (void)snprintf(url, sizeof url, "http://h%d.test/", i);
            (void)snprintf(name, sizeof name, "n%d=v", k);
            CHECK_EQ(skua_http_cookies_put(jar, url, name), 1);
        }
    CHECK_EQ(skua_http_cookies_count(jar), 1000);
    memset(long_one, 'x', 5000);
    long_one[5000] = '\0';
    long_one[1] = '=';
    CHECK_EQ(skua_http_cookies_put(jar, "http://a.test/", long_one), 0);
    long_one[4097] = '\0';
    CHECK_EQ(skua_http_cookies_put(jar, "http://a.test/", long_one), 1);
    CHECK_EQ(skua_http_cookies_put(jar, "a.test", "x=y"), -EINVAL);
    CHECK_EQ(skua_http_cookies_get(jar, "ftp://a.test/", NULL, 0), -EPROTONOSUPPORT);
    skua_http_cookies_free(jar);
    skua_http_cookies_free(NULL);
    free(long_one);
}

TEST_FIBER(cookies_of_a_client)
{
    static const struct act acts[] = {
        {"HTTP/1.1 302 x\r\nLocation: /b\r\nSet-Cookie: x=1\r\nset-cookie: y=2; Path=/c\r\n"
         "Content-Length: 0\r\n\r\n",
         STAYS},
        {"HTTP/1.1 200 OK\r\nSet-Cookie: x=; Max-Age=0\r\nContent-Length: 0\r\n\r\n", LEAVES},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", LEAVES},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", LEAVES}};
    static const skua_http_field own = {"cookie", "own=1"};
    skua_http_cookies *jar = jar_new();
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.cookies = jar));
    skua_http_response *response;
    struct peer peer;

    peer_begin(&peer, acts, 2);
    CHECK_EQ(gets_(client, peer.url, ""), 200);
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "GET /b HTTP/1.1\r\n") != NULL);
    CHECK(strstr(peer.heard, "\r\nCookie: x=1\r\n") != NULL);
    CHECK_EQ(skua_http_cookies_count(jar), 1);
    peer.acts += 2;
    peer.count = 1;
    MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
    CHECK_EQ(gets_(client, AT(peer.url, "/c"), ""), 200);
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "\r\nCookie: y=2\r\n") != NULL);
    MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
    MUST(skua_http_client_send(
             client,
             SKUA_HTTP_REQUEST(.url = AT(peer.url, "/c"), .headers = &own, .headers_count = 1),
             &response) == 0);
    skua_http_response_close(response);
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "\r\ncookie: own=1\r\n") != NULL);
    CHECK(strstr(peer.heard, "Cookie: ") == NULL);
    peer_end(&peer);
    CHECK_EQ(skua_http_client_free(client), 0);
    skua_http_cookies_free(jar);
    return 0;
}

#ifdef SKUA_FAULTS
TEST(cookies_without_memory)
{
    skua_http_cookies *jar = NULL;
    int rc = -ENOMEM;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_http_cookies_new(&jar), -ENOMEM);
    jar = jar_new();
    for (unsigned nth = 1; nth < 10 && rc == -ENOMEM; nth++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_http_cookies_put(jar, "http://a.test/", "x=y");
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK(rc == (nth <= 2 ? -ENOMEM : 1));
        CHECK_EQ(skua_http_cookies_count(jar), rc == 1);
    }
    CHECK_EQ(rc, 1);
    skua_http_cookies_free(jar);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_who_gets_them),
        cmocka_unit_test(cookies_many),
        cmocka_unit_test(cookies_of_a_client),
#ifdef SKUA_FAULTS
        cmocka_unit_test(cookies_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
