/* drivers: both */
/* test_http_client_redirects.c - where a response leads, and what goes along.
 *
 * Specifies client.h, "Redirects": methods and bodies (RFC 9110, 15.4), references (RFC 3986, 5.4),
 * what stays behind on the way to another origin, and where it ends. "Proxies": what goes through
 * one, and what it is told.
 */
#include "peer.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define END "\r\n"

static ssize_t body_read_once(void *state, void *buf, size_t len)
{
    const char **text = state;
    size_t part = strlen(*text) < len ? strlen(*text) : len;

    memcpy(buf, *text, part);
    *text += part;
    return (ssize_t)part;
}

#define TO(status, where)                                                                          \
    "HTTP/1.1 " status " x\r\nLocation: " where "\r\nContent-Length: 2\r\n\r\nno"

TEST_FIBER(client_redirects_and_methods)
{
    static const struct {
        const char *status, *method, *next;
        bool body;
    } cases[] = {
        {"301", "GET", "GET", false},      {"302", "GET", "GET", false},
        {"301", "POST", "GET", false},     {"302", "POST", "GET", false},
        {"303", "POST", "GET", false},     {"303", "PUT", "GET", false},
        {"303", "HEAD", "HEAD", false},    {"301", "PUT", "PUT", true},
        {"307", "POST", "POST", true},     {"308", "PUT", "PUT", true},
        {"307", "DELETE", "DELETE", true}, {"302", "HEAD", "HEAD", false},
    };
    static const skua_http_field fields[] = {
        {"Content-Type", "a/b"}, {"Cookie", "c"}, {"Authorization", "d"}};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        bool head = strcmp(cases[i].method, "HEAD") == 0, get = strcmp(cases[i].method, "GET") == 0;
        skua_http_client *client = client_with(NULL);
        char first[200];
        struct act acts[] = {{first, STAYS}, {head ? OK END : OK LENGTH(0) END, LEAVES}};
        skua_http_response *response;
        struct peer peer;
        size_t len = strlen(cases[i].next);

        (void)snprintf(first, sizeof first,
                       "HTTP/1.1 %s x\r\nLocation: /next?a#b\r\nContent-Length: 2\r\n\r\n%s",
                       cases[i].status, head ? "" : "no");
        peer_begin(&peer, acts, TEST_LEN(acts));
        MUST(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = peer.url, .method = cases[i].method,
                                                     .headers = fields,
                                                     .headers_count = TEST_LEN(fields),
                                                     .body = head || get ? NULL : "body",
                                                     .body_len = head || get ? 0 : 4),
                                   &response) == 0);
        CHECK_EQ(skua_http_response_status(response), 200);
        CHECK_TEXT(skua_http_response_url(response), AT(peer.url, "/next?a"));
        skua_http_response_close(response);
        peer_stop(&peer);
        if (!CHECK(strncmp(peer.heard, cases[i].next, len) == 0 &&
                   strncmp(peer.heard + len, " /next?a ", 9) == 0))
            test_note("case %zu: %s", i, peer.heard);
        CHECK_EQ(strstr(peer.heard, "\r\n\r\nbody") != NULL, cases[i].body);
        CHECK_EQ(strstr(peer.heard, "Content-Type") != NULL,
                 strcmp(cases[i].method, cases[i].next) == 0);
        CHECK(strstr(peer.heard, "Cookie: c\r\n") && strstr(peer.heard, "Authorization: d\r\n"));
        CHECK_EQ(client_stats(client).connections, 1); /* the small body was read away */
        CHECK_EQ(client_stats(client).redirects, 1);
        CHECK_EQ(skua_http_client_free(client), 0);
        peer_end(&peer);
    }
    return 0;
}

/* What is wrong with the body of a redirect is not wrong with where it leads. */
TEST_FIBER(client_redirects_with_a_bad_body)
{
    static const struct act acts[] = {
        {"HTTP/1.1 302 x\r\nLocation: /b\r\n" CHUNKED END "x\r\nbad", LEAVES},
        {OK LENGTH(3) END "abc", LEAVES}};
    skua_http_client *client = client_with(NULL);
    struct peer peer;

    peer_begin(&peer, acts, TEST_LEN(acts));
    CHECK_EQ(gets_(client, peer.url, "abc"), 200);
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

TEST_FIBER(client_redirects_elsewhere)
{
    static const skua_http_field defaults[] = {{"Authorization", "a"}, {"X-D", "d"}};
    static const skua_http_field fields[] = {
        {"cookie", "b"}, {"Proxy-Authorization", "c"}, {"Host", "h"}, {"X-E", "e"}};
    skua_http_client *client = client_with(
        SKUA_HTTP_CLIENT_OPTIONS(.headers = defaults, .headers_count = TEST_LEN(defaults)));
    skua_http_response *response;
    struct peer a, b;
    char to_b[200], to_a[200], host[200];
    struct act acts_a[] = {{to_b, STAYS}, {OK LENGTH(0) END, LEAVES}};
    struct act acts_b[] = {{"HTTP/1.1 302 x\r\nLocation: /again\r\n" LENGTH(0) END, STAYS},
                           {to_a, LEAVES}};

    peer_begin(&a, acts_a, 2);
    peer_begin(&b, acts_b, 2);
    (void)snprintf(to_b, sizeof to_b, "HTTP/1.1 302 x\r\nLocation: //%s/b\r\n" LENGTH(0) END,
                   b.url + 7);
    (void)snprintf(to_a, sizeof to_a, "HTTP/1.1 302 x\r\nLocation: %s/a\r\n" LENGTH(0) END, a.url);
    (void)snprintf(host, sizeof host, "Host: %s\r\n", b.url + 7);
    MUST(skua_http_client_send(
             client,
             SKUA_HTTP_REQUEST(.url = a.url, .headers = fields, .headers_count = TEST_LEN(fields)),
             &response) == 0);
    CHECK_TEXT(skua_http_response_url(response), AT(a.url, "/a"));
    peer_stop(&a);
    peer_stop(&b);
    for (struct peer *peer = &a; peer != NULL; peer = peer == &a ? &b : NULL) {
        CHECK(strstr(peer->heard, "uthorization") == NULL); /* nor back at home */
        CHECK(strstr(peer->heard, "cookie") == NULL);
        CHECK(strstr(peer->heard, "X-D: d") != NULL && strstr(peer->heard, "X-E: e") != NULL);
    }
    CHECK(strstr(b.heard, host) != NULL);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&a);
    peer_end(&b);
    return 0;
}

TEST_FIBER(client_redirects_that_end)
{
    static const struct act loop[] = {{TO("302", "/"), STAYS},
                                      {TO("302", "/"), STAYS},
                                      {TO("302", "/"), STAYS},
                                      {TO("302", "/"), STAYS},
                                      {TO("302", "/"), LEAVES}};
    static const struct act answers[] = {{"HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n", STAYS},
                                         {TO("304", "/"), STAYS},
                                         {TO("302", "/"), STAYS},
                                         {TO("307", "/"), LEAVES}};
    static const struct act bad[] = {{TO("302", "http://u@a/"), LEAVES},
                                     {TO("302", "httpx://a/"), LEAVES},
                                     {TO("302", "http://"), LEAVES}};
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.redirects_max = 3));
    skua_http_response *response;
    const char *body = "body";
    struct peer peer;

    peer_begin(&peer, loop, TEST_LEN(loop));
    CHECK_EQ(gets_(client, peer.url, NULL), SKUA_ELIMIT);
    CHECK_EQ(client_stats(client).requests, 4);
    peer_end(&peer);
    peer_begin(&peer, answers, TEST_LEN(answers));
    CHECK_EQ(gets_(client, peer.url, ""), 302); /* without a place to go to */
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = peer.url, .redirects_max = -1),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 304);
    skua_http_response_close(response);
    peer_end(&peer);
    (void)skua_http_client_close_idle(client);
    peer_begin(&peer, answers + 2, 2);
    MUST(skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = peer.url, .redirects_max = -1),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 302);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 10), 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "no");
    skua_http_response_close(response);
    MUST(skua_http_client_send(client, /* a body that cannot be sent again */
                               SKUA_HTTP_REQUEST(.url = peer.url, .method = "POST",
                                                 .body_read = body_read_once, .body_state = &body,
                                                 .body_length = 4),
                               &response) == 0);
    CHECK_EQ(skua_http_response_status(response), 307);
    skua_http_response_close(response);
    peer_end(&peer);
    peer_begin(&peer, bad, TEST_LEN(bad));
    CHECK_EQ(gets_(client, peer.url, NULL), -EBADMSG);
    (void)skua_http_client_close_idle(client);
    CHECK_EQ(gets_(client, peer.url, NULL), -EPROTONOSUPPORT);
    (void)skua_http_client_close_idle(client);
    CHECK_EQ(gets_(client, peer.url, NULL), -EBADMSG);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_end(&peer);
    return 0;
}

/* RFC 3986, 5.4: references, relative to /b/c/d;p?q. */
TEST_FIBER(client_references)
{
    static const struct {
        const char *reference, *target;
    } cases[] = {{"g", "/b/c/g"},
                 {"./g", "/b/c/g"},
                 {"g/", "/b/c/g/"},
                 {"/g", "/g"},
                 {"?y", "/b/c/d;p?y"},
                 {"g?y", "/b/c/g?y"},
                 {"#s", "/b/c/d;p?q"},
                 {"g#s", "/b/c/g"},
                 {";x", "/b/c/;x"},
                 {"", "/b/c/d;p?q"},
                 {".", "/b/c/"},
                 {"./", "/b/c/"},
                 {"..", "/b/"},
                 {"../", "/b/"},
                 {"../g", "/b/g"},
                 {"../..", "/"},
                 {"../../g", "/g"},
                 {"../../../g", "/g"},
                 {"/./g", "/g"},
                 {"/../g", "/g"},
                 {"g.", "/b/c/g."},
                 {"..g", "/b/c/..g"},
                 {"./../g", "/b/g"},
                 {"./g/.", "/b/c/g/"},
                 {"g/./h", "/b/c/g/h"},
                 {"g/../h", "/b/c/h"},
                 {"g?y/../x", "/b/c/g?y/../x"},
                 {"a b", "/b/c/a%20b"},
                 {"\xc3\xa9", "/b/c/%C3%A9"},
                 {"g;x=1/../y", "/b/c/y"}};
    skua_http_client *client = client_with(NULL);

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        char first[200], wanted[100];
        struct act acts[] = {{first, STAYS}, {OK LENGTH(0) END, LEAVES}};
        struct peer peer;

        (void)snprintf(first, sizeof first, "HTTP/1.1 302 x\r\nLocation: %s\r\n" LENGTH(0) END,
                       cases[i].reference);
        (void)snprintf(wanted, sizeof wanted, "GET %s HTTP/1.1\r\n", cases[i].target);
        peer_begin(&peer, acts, 2);
        CHECK_EQ(gets_(client, AT(peer.url, "/b/c/d;p?q#f"), ""), 200);
        peer_stop(&peer);
        if (!CHECK(strncmp(peer.heard, wanted, strlen(wanted)) == 0))
            test_note("%s: %s", cases[i].reference, peer.heard);
        (void)skua_http_client_close_idle(client);
        peer_end(&peer);
    }
    CHECK_EQ(skua_http_client_free(client), 0);
    return 0;
}

/* ---- proxies --------------------------------------------------------------------------------- */

TEST_FIBER(client_through_a_proxy)
{
    static const struct act acts[] = {
        {"HTTP/1.1 302 x\r\nLocation: http://b.test:81/c\r\n" LENGTH(0) END, STAYS},
        {OK LENGTH(2) END "ok", LEAVES}};
    static const skua_http_field fields[] = {{"Proxy-Authorization", "p"}, {"Authorization", "a"}};
    struct peer peer;
    skua_http_client *client;
    skua_http_response *response;

    peer_begin(&peer, acts, TEST_LEN(acts));
    client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.proxy = peer.url + 7, .headers = fields,
                                                  .headers_count = TEST_LEN(fields)));
    MUST(skua_http_get(client, "http://A.test/b?c", 10, &response) == 0);
    CHECK_TEXT(skua_http_response_body(response, NULL), "ok");
    CHECK_TEXT(skua_http_response_url(response), "http://b.test:81/c");
    skua_http_response_close(response);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    peer_stop(&peer);
    CHECK(strstr(peer.heard, "GET http://b.test:81/c HTTP/1.1\r\nHost: b.test:81\r\n") ==
          peer.heard);
    CHECK(strstr(peer.heard, "Proxy-Authorization: p\r\n") != NULL);
    CHECK(strstr(peer.heard, "\r\nAuthorization") == NULL);
    peer_end(&peer);
    return 0;
}

/* Who is asked without the proxy is asked for a path, with no word to the proxy. */
TEST_FIBER(client_past_a_proxy)
{
    static const struct {
        const char *not_for;
        bool past;
    } cases[] = {{"*", true},      {"127.0.0.1", true},       {"a.test, 127.0.0.1", true},
                 {".0.0.1", true}, /* a name, as far as it is known */
                 {"", false},      {"a.test,7.0.0.1", false}, {"x127.0.0.1", false},
                 {".", false}};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        static const struct act acts[] = {{OK LENGTH(0) END, LEAVES}};
        struct peer proxy, peer;
        skua_http_client *client;
        struct peer *asked = cases[i].past ? &peer : &proxy;

        peer_begin(&proxy, acts, 1);
        peer_begin(&peer, acts, 1);
        client = client_with(
            SKUA_HTTP_CLIENT_OPTIONS(.proxy = proxy.url, .proxy_not_for = cases[i].not_for));
        CHECK_EQ(gets_(client, peer.url, ""), 200);
        CHECK_EQ(skua_http_client_free(client), 0);
        peer_stop(&proxy);
        peer_stop(&peer);
        if (!CHECK(strncmp(asked->heard, cases[i].past ? "GET / " : "GET http://127.", 6) == 0))
            test_note("not for %s", cases[i].not_for);
        peer_end(&proxy);
        peer_end(&peer);
    }
    return 0;
}

TEST(client_proxies_of_the_environment)
{
    skua_http_client *client;

    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy = "http://u:p@a/")),
             -EINVAL);
    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy = "socks5://a/")),
             -EPROTONOSUPPORT);
    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy = "https://a/")),
             -EPROTONOSUPPORT); /* proxies are asked in cleartext */
    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy_from_env = 2)), -EINVAL);
    MUST(setenv("http_proxy", "http://u:p@a/", 1) == 0);
    CHECK_EQ(skua_http_client_free(client_with(NULL)), 0); /* not asked for */
    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy_from_env = 1)), -EINVAL);
    CHECK_EQ(skua_http_client_new(
                 &client, SKUA_HTTP_CLIENT_OPTIONS(.proxy_from_env = 1, .proxy = "127.0.0.1:1")),
             0);
    CHECK_EQ(gets_(client, "http://a.test/", NULL), -ECONNREFUSED);
    CHECK_EQ(skua_http_client_free(client), 0);
    MUST(setenv("http_proxy", "127.0.0.1:1", 1) == 0);
    MUST(setenv("no_proxy", "other.test", 1) == 0);
    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy_from_env = 1)), 0);
    CHECK_EQ(gets_(client, "http://a.test/", NULL), -ECONNREFUSED);
    CHECK_EQ(skua_http_client_free(client), 0);
    MUST(unsetenv("http_proxy") == 0 && unsetenv("no_proxy") == 0);
    CHECK_EQ(skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.proxy_from_env = 1)), 0);
    CHECK_EQ(skua_http_client_free(client), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_redirects_and_methods),
        cmocka_unit_test(client_redirects_with_a_bad_body),
        cmocka_unit_test(client_redirects_elsewhere),
        cmocka_unit_test(client_redirects_that_end),
        cmocka_unit_test(client_references),
        cmocka_unit_test(client_through_a_proxy),
        cmocka_unit_test(client_past_a_proxy),
        cmocka_unit_test(client_proxies_of_the_environment),
    };

    return TEST_MAIN(tests);
}
