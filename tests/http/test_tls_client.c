/* drivers: both */
/* test_tls_client.c - the client asks for "https": hosts verified, connections kept, sessions
 * resumed, ends that are vouched for, tunnels of proxies, redirects, no memory.
 *
 * Specifies client.h, "Schemes", "Proxies", .tls, .error_text and .connect_timeout.
 */
#include "secure.h"

static int says(skua_http_exchange *exchange, void *state)
{
    const char *secret = skua_http_header(exchange, "proxy-authorization");
    const char *authorization = skua_http_header(exchange, "authorization");

    (void)state;
    return skua_http_replyf(exchange, 200, "text/plain", "%s %s%s%s", skua_http_scheme(exchange),
                            skua_http_authority(exchange), secret != NULL ? secret : "",
                            authorization != NULL ? authorization : "");
}

#define HTTP1(cert, ...) SERVER(cert, .alpn = "http/1.1", __VA_ARGS__)

/* ---- connections ----------------------------------------------------------------------------- */

static int kept(void *arg)
{
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));
    skua_http_client_stats stats;
    struct secure secure;

    (void)arg;
    secure_begin_tcp(&secure, HTTP1(certs()->address), says, NULL);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(gets_(client, secure.site.url, NULL), 200);
    stats = client_stats(client);
    CHECK_EQ(stats.connections, 1); /* tickets that lie there are no reason to close it */
    CHECK_EQ(stats.reused, 2);
    CHECK_EQ(stats.resumed, 0);
    CHECK_EQ(skua_http_client_close_idle(client), 1);
    CHECK_EQ(gets_(client, secure.site.url, NULL), 200);
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(client_stats(client).resumed, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    secure_end(&secure);
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER(tls_client_keeps)
{
    secure_run(kept, NULL);
    return 0;
}

/* The server ends an idle connection, with close_notify: that is seen before it is used. */
static int ended(void *arg)
{
    struct script script = {.text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
                            .end = SAYS_IT};
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));

    (void)arg;
    script_begin(&script);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(gets_(client, script.url, "a"), 200);
        (void)skua_sleep(MS(10));
    }
    CHECK_EQ(client_stats(client).connections, 3);
    CHECK_EQ(skua_http_client_free(client), 0);
    script_end(&script);
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER(tls_client_sees_the_end)
{
    secure_run(ended, NULL);
    return 0;
}

/* A body up to the connection's end is whole when TLS says so, and only then. */
static int cut(void *arg)
{
    static const struct {
        const char *text;
        enum end end;
        int rc;
    } cases[] = {{"HTTP/1.1 200 OK\r\n\r\nall of it", SAYS_IT, 200},
                 {"HTTP/1.1 200 OK\r\n\r\nall of it", CUTS, SKUA_EEOF},
                 {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", CUTS, SKUA_EEOF},
                 {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", SAYS_IT, SKUA_EEOF},
                 {"", CUTS, SKUA_EEOF}};
    skua_tls_context *context = trusts(CLIENT());

    (void)arg;
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct script script = {.text = cases[i].text, .end = cases[i].end};
        skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));

        script_begin(&script);
        if (!CHECK_EQ(gets_(client, script.url, NULL), cases[i].rc))
            test_note("of case %d", (int)i);
        CHECK_EQ(skua_http_client_free(client), 0);
        script_end(&script);
    }
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER(tls_client_trusts_no_cut)
{
    secure_run(cut, NULL);
    return 0;
}

static int echoes(skua_http_exchange *exchange, void *state)
{
    char buf[8192];
    ssize_t n;

    (void)state;
    while ((n = skua_http_read(exchange, buf, sizeof buf)) > 0)
        if (skua_http_write(exchange, buf, (size_t)n) < 0)
            return 0;
    return (int)n;
}

static int big(void *arg)
{
    const size_t len = 60 * 1000;
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));
    char *body = malloc(len);
    skua_http_response *response;
    struct secure secure;
    size_t got;

    (void)arg;
    MUST(body != NULL);
    test_pattern_fill(body, len, 0);
    secure_begin_tcp(&secure, HTTP1(certs()->address), echoes, NULL);
    MUST(skua_http_post(client, secure.site.url, NULL, body, len, len, &response) == 0);
    CHECK(test_pattern_ok(skua_http_response_body(response, &got), len, 0));
    CHECK_EQ(got, len);
    skua_http_response_close(response);
    CHECK_EQ(skua_http_client_free(client), 0);
    secure_end(&secure);
    skua_tls_context_free(context);
    free(body);
    return 0;
}

TEST_FIBER(tls_client_posts)
{
    secure_run(big, NULL);
    return 0;
}

/* ---- whom to trust --------------------------------------------------------------------------- */

static int hosts(void *arg)
{
    const struct certs *all = certs();
    const struct {
        const struct cert *cert;
        const char *url;
        int rc;
        const char *text;
    } cases[] = {{all->a, "https://a.test/", 200, ""},
                 {all->a, "https://A.TEST/", 200, ""},
                 {all->a, "https://b.test/", REJECTED, "hostname mismatch"},
                 {all->a, "https://127.0.0.1/", REJECTED, "IP address mismatch"},
                 {all->b, "https://x.b.test:99/", 200, ""},
                 {all->b, "https://x.y.b.test/", REJECTED, "hostname mismatch"},
                 {all->address, "https://127.0.0.1/", 200, ""},
                 {all->address, "https://[::1]:4711/", 200, ""},
                 {all->address, "https://[::2]:4711/", REJECTED, "IP address mismatch"},
                 {all->expired, "https://a.test/", REJECTED, "certificate has expired"},
                 {all->self, "https://a.test/", REJECTED, "self-signed"},
                 {all->stranger, "https://a.test/", REJECTED, "issuer"}};
    skua_tls_context *context = trusts(CLIENT());

    (void)arg;
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));
        struct secure secure;
        char text[200];
        int rc;

        secure_begin(&secure, HTTP1(cases[i].cert), says, NULL);
        rc = gets_text(client, *SKUA_HTTP_REQUEST(.url = cases[i].url, .unix_path = secure.path),
                       text);
        if (!CHECK_EQ(rc, cases[i].rc) || !CHECK(strstr(text, cases[i].text) != NULL))
            test_note("case %d says: %s", (int)i, text);
        CHECK_EQ(client_stats(client).connections_now, rc == 200);
        CHECK_EQ(skua_http_client_free(client), 0);
        secure_end(&secure);
    }
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER_CURRENT(tls_client_verifies_hosts)
{
    secure_run(hosts, NULL);
    return 0;
}

/* Without a context of the user's the system's store counts, in which nobody of ours is. */
static int of_the_system(void *arg)
{
    skua_http_client *client = client_with(NULL);
    struct secure secure;
    char text[200];

    (void)arg;
    secure_begin_tcp(&secure, HTTP1(certs()->address), says, NULL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(gets_text(client, *SKUA_HTTP_REQUEST(.url = secure.site.url), text), REJECTED);
    CHECK(strstr(text, "issuer") != NULL);
    CHECK_EQ(skua_http_client_free(client), 0);
    secure_end(&secure);
    return 0;
}

TEST_FIBER(tls_client_has_the_systems_store)
{
    secure_run(of_the_system, NULL);
    return 0;
}

/* Both show who they are. */
static int mutual(void *arg)
{
    skua_tls_context *nobody = trusts(CLIENT());
    skua_tls_context *somebody =
        trusts(CLIENT(.certificate = certs()->client->chain, .key = certs()->client->key));
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = somebody));
    skua_http_client *stranger = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = nobody));
    struct secure secure;
    char text[200];
    int rc;

    (void)arg;
    secure_begin_tcp(
        &secure,
        HTTP1(certs()->address, .verify = SKUA_TLS_VERIFY_REQUIRED, .ca = certs()->ca->chain), says,
        NULL);
    CHECK_EQ(gets_(client, secure.site.url, NULL), 200);
    rc = gets_text(stranger, *SKUA_HTTP_REQUEST(.url = secure.site.url), text);
    CHECK(rc == -EPROTO || rc == -EPIPE || rc == -ECONNRESET); /* 1.3 tells it late */
    CHECK_EQ(skua_http_client_free(client), 0);
    CHECK_EQ(skua_http_client_free(stranger), 0);
    secure_end(&secure);
    skua_tls_context_free(nobody);
    skua_tls_context_free(somebody);
    return 0;
}

TEST_FIBER(tls_client_shows_itself)
{
    secure_run(mutual, NULL);
    return 0;
}

/* ---- servers that do not speak it ------------------------------------------------------------ */

static int wrong_peers(void *arg)
{
    static const struct act acts[] = {{"HTTP/1.1 400 what\r\n\r\n", CLOSES}};
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.connect_timeout = MS(300)));
    char address[SKUA_ADDRESS_MAX], url[SKUA_ADDRESS_MAX + 16], text[200];
    int64_t begin = skua_now();
    skua_listener *silent;
    struct peer peer;

    (void)arg;
    silent = test_listen(address);
    CHECK_EQ(gets_text(
                 client,
                 *SKUA_HTTP_REQUEST(.url = (snprintf(url, sizeof url, "https://%s", address), url)),
                 text),
             -ETIMEDOUT); /* the handshake is a part of connecting */
    CHECK_RANGE(skua_now() - begin, MS(300), MS(300) + 10 * TEST_LATE);
    CHECK(strstr(text, "handshake") != NULL);
    peer_listen(&peer, acts, TEST_LEN(acts));
    peer.hasty = true;
    MUST(skua_spawn(NULL, peer_run, &peer, .task = &peer.task) == 0);
    (void)snprintf(url, sizeof url, "https%s", peer.url + 4);
    CHECK(gets_text(client, *SKUA_HTTP_REQUEST(.url = url, .timeout = MS(200)), text) < 0);
    CHECK_EQ(client_stats(client).connections_now, 0);
    peer_end(&peer);
    CHECK_EQ(skua_http_client_free(client), 0);
    CHECK_EQ(skua_listener_close(silent), 0);
    return 0;
}

TEST_FIBER(tls_client_and_wrong_peers)
{
    secure_run(wrong_peers, NULL);
    return 0;
}

/* ---- redirects ------------------------------------------------------------------------------- */

static int redirects(skua_http_exchange *exchange, void *state)
{
    if (strcmp(skua_http_path(exchange), "/there") != 0)
        return says(exchange, NULL);
    MUST(skua_http_set_header(exchange, "Location", state) == 0);
    return skua_http_reply(exchange, 302, NULL, NULL, 0);
}

/* From "http" to "https" and back: another origin each time, which gets no credentials. */
static int there_and_back(void *arg)
{
    static const skua_http_field secret = {"Authorization", "mine"};
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));
    char to_secure[256], to_plain[256], wanted[256];
    skua_http_response *response;
    struct secure secure;
    struct site plain;

    (void)arg;
    secure_begin_tcp(&secure, HTTP1(certs()->address), redirects, to_plain);
    site_begin(&plain, redirects, to_secure, NULL);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(to_secure, sizeof to_secure, "%s/%s", secure.site.url, i ? "there" : "");
        (void)snprintf(to_plain, sizeof to_plain, "%s/", plain.url);
        (void)snprintf(wanted, sizeof wanted, "%s %s", i ? "http" : "https",
                       i ? plain.address : secure.site.address);
        MUST(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = AT(plain.url, "/there"),
                                                     .headers = &secret, .headers_count = 1),
                                   &response) == 0);
        MUST(skua_http_response_read_all(response, NULL, NULL, 1000) == 0);
        CHECK_TEXT(skua_http_response_body(response, NULL), wanted);
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).redirects, 3);
    CHECK_EQ(skua_http_client_free(client), 0);
    site_end(&plain);
    secure_end(&secure);
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER(tls_client_is_redirected)
{
    secure_run(there_and_back, NULL);
    return 0;
}

/* ---- no memory ------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
static int without_memory(void *arg)
{
    skua_tls_context *context = trusts(CLIENT());
    int before = test_fd_count();
    struct secure secure;
    int failed = 0;

    (void)arg;
    secure_begin_tcp(&secure, HTTP1(certs()->address), says, NULL);
    for (unsigned nth = 1; nth < 150; nth++) {
        skua_http_client *client = NULL;
        skua_http_response *response;
        int rc;

        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        rc = skua_http_client_new(
            &client, SKUA_HTTP_CLIENT_OPTIONS(.tls = context, .total_timeout = TEST_LATE));
        if (rc == 0)
            rc = skua_http_get(client, secure.site.url, 100, &response);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        if (rc == 0)
            skua_http_response_close(response);
        else /* it may have been the server's, who gave up then */
            CHECK(rc == -ENOMEM || rc == -ETIMEDOUT || rc == SKUA_EEOF || rc == -ECONNRESET ||
                  rc == -EPIPE || rc == -EPROTO);
        failed += rc == -ENOMEM;
        CHECK_EQ(skua_http_client_free(client), 0);
        if (rc == 0 && nth > 60)
            break;
    }
    CHECK_RANGE(failed, 10, 60);
    secure_end(&secure);
    skua_tls_context_free(context);
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}

TEST_FIBER_CURRENT(tls_client_without_memory)
{
    secure_run(without_memory, NULL);
    return 0;
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_client_keeps),
        cmocka_unit_test(tls_client_sees_the_end),
        cmocka_unit_test(tls_client_trusts_no_cut),
        cmocka_unit_test(tls_client_posts),
        cmocka_unit_test(tls_client_verifies_hosts),
        cmocka_unit_test(tls_client_has_the_systems_store),
        cmocka_unit_test(tls_client_shows_itself),
        cmocka_unit_test(tls_client_and_wrong_peers),
        cmocka_unit_test(tls_client_is_redirected),
#ifdef SKUA_FAULTS
        cmocka_unit_test(tls_client_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
