/* drivers: both */
/* test_tls.c - handshakes: who is let in, what is agreed on, and what a failure says.
 *
 * Specifies tls.h: names and addresses; certificates that are expired, unknown, missing or chosen
 * by name; three ways to verify clients; versions, ALPN, resumption, reload; wrong options.
 */
#include "tls_pair.h"

#ifndef EKEYREJECTED
#define EKEYREJECTED EACCES
#endif

/* Both ends' results of one handshake. */
static void shakes(struct tls_pair pair, int client, int server, const char *text)
{
    pair_open(&pair);
    CHECK_EQ(pair.client_rc, client);
    CHECK_EQ(pair.server_rc, server);
    if (text != NULL && !CHECK(strstr(skua_tls_error_text(pair.client_tls), text) != NULL ||
                               strstr(skua_tls_error_text(pair.server_tls), text) != NULL))
        test_note("not %s: %s; %s", text, skua_tls_error_text(pair.client_tls),
                  skua_tls_error_text(pair.server_tls));
    pair_close(&pair);
}

#define SHAKES(client_rc, server_rc, text, ...)                                                    \
    shakes((struct tls_pair){__VA_ARGS__}, (client_rc), (server_rc), (text))

/* ---- whom a client believes ------------------------------------------------------------------ */

TEST_FIBER(tls_agrees)
{
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT()};

    pair_open(&pair);
    CHECK_EQ(pair.client_rc, 0);
    CHECK_EQ(pair.server_rc, 0);
    CHECK_EQ(pair.client_info.version, 13);
    CHECK(pair.client_info.verified);
    CHECK(!pair.client_info.resumed);
    CHECK(strcmp(pair.client_info.peer, "CN=a") == 0);
    CHECK(strcmp(pair.server_info.peer, "") == 0);
    CHECK(!pair.server_info.verified);
    CHECK(strcmp(pair.server_info.host, "a.test") == 0);
    CHECK(strncmp(pair.server_info.cipher, "TLS_", 4) == 0);
    CHECK(strcmp(pair.server_info.alpn, "") == 0);
    CHECK(strcmp(skua_tls_error_text(pair.client_tls), "") == 0);
    pair_close(&pair);
    return 0;
}

TEST_FIBER(tls_verifies_hosts)
{
    const struct certs *c = certs();

    SHAKES(0, 0, NULL, .server = SERVER(c->a), .client = CLIENT(), .host = "a.test.");
    SHAKES(0, 0, NULL, .server = SERVER(c->a), .client = CLIENT(), .host = "A.TEST");
    SHAKES(0, 0, NULL, .server = SERVER(c->b), .client = CLIENT(), .host = "x.b.test");
    SHAKES(0, 0, NULL, .server = SERVER(c->address), .client = CLIENT(), .host = "127.0.0.1");
    SHAKES(0, 0, NULL, .server = SERVER(c->address), .client = CLIENT(), .host = "::1");
    SHAKES(-EKEYREJECTED, -EPROTO, "hostname mismatch", .server = SERVER(c->a), .client = CLIENT(),
           .host = "b.test");
    SHAKES(-EKEYREJECTED, -EPROTO, "hostname mismatch", .server = SERVER(c->b), .client = CLIENT(),
           .host = "x.y.b.test");
    SHAKES(-EKEYREJECTED, -EPROTO, "hostname mismatch", .server = SERVER(c->a), .client = CLIENT(),
           .host = "a"); /* the subject is no name of a host */
    SHAKES(-EKEYREJECTED, -EPROTO, "IP address mismatch", .server = SERVER(c->address),
           .client = CLIENT(), .host = "127.0.0.2");
    return 0;
}

TEST_FIBER(tls_verifies_certificates)
{
    const struct certs *c = certs();
    const skua_tls_context_options *any = CLIENT(.verify = SKUA_TLS_VERIFY_NONE);

    SHAKES(-EKEYREJECTED, -EPROTO, "expired", .server = SERVER(c->expired), .client = CLIENT());
    SHAKES(-EKEYREJECTED, -EPROTO, "self-signed", .server = SERVER(c->self), .client = CLIENT());
    SHAKES(-EKEYREJECTED, -EPROTO, "unable to get local issuer", .server = SERVER(c->a),
           .client = SKUA_TLS_CONTEXT_OPTIONS(.ca = c->other_ca->chain));
    SHAKES(-EKEYREJECTED, -EPROTO, "unable to get local issuer", .server = SERVER(c->a),
           .client = NULL); /* the system does not know ours */
    SHAKES(0, 0, NULL, .server = SERVER(c->self), .client = any);
    SHAKES(0, 0, NULL, .server = SERVER(c->expired), .client = any, .host = "other.test");
    return 0;
}

/* ---- whom a server lets in ------------------------------------------------------------------- */

TEST_FIBER(tls_mutual)
{
    const struct certs *c = certs();
    const struct cert *who[] = {NULL, c->client, c->stranger};
    /* The server's answer to: none, a good one, one of an unknown authority. */
    const struct {
        skua_tls_verify verify;
        int rc[3];
    } cases[] = {
        {SKUA_TLS_VERIFY_NONE, {0, 0, 0}},
        {SKUA_TLS_VERIFY_OPTIONAL, {0, 0, -EKEYREJECTED}},
        {SKUA_TLS_VERIFY_REQUIRED, {-EKEYREJECTED, 0, -EKEYREJECTED}},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++)
        for (size_t j = 0; j < TEST_LEN(who); j++) {
            bool shown = cases[i].verify != SKUA_TLS_VERIFY_NONE && j == 1;
            struct tls_pair pair = {
                .server = SERVER(c->a, .ca = c->ca->chain, .verify = cases[i].verify),
                .client = CLIENT(.certificate = who[j] != NULL ? who[j]->chain : NULL,
                                 .key = who[j] != NULL ? who[j]->key : NULL)};

            pair_open(&pair);
            CHECK_EQ(pair.server_rc, cases[i].rc[j]);
            if (pair.server_rc == 0) {
                CHECK_EQ(pair.server_info.verified, shown);
                CHECK(strcmp(pair.server_info.peer, shown ? "CN=client" : "") == 0);
            }
            pair_close(&pair);
        }
    return 0;
}

/* In TLS 1.3 a client is done before the server has seen its certificate: it hears of it later. */
static int hears_of_it(void *arg)
{
    struct tls_pair *pair = arg;
    char byte;

    CHECK_EQ(pair->client_rc, 0);
    CHECK_EQ(skua_io_read(skua_tls_io(pair->client_tls), &byte, 1), -EPROTO);
    CHECK(strstr(skua_tls_error_text(pair->client_tls), "certificate required") != NULL);
    CHECK_EQ(skua_io_read(skua_tls_io(pair->client_tls), &byte, 1), -EPROTO);
    CHECK_EQ(skua_io_write(skua_tls_io(pair->client_tls), &byte, 1), -EPROTO);
    return 0;
}

TEST_FIBER(tls_refused_client_is_told)
{
    struct tls_pair pair = {
        .server = SERVER(certs()->a, .ca = certs()->ca->chain, .verify = SKUA_TLS_VERIFY_REQUIRED),
        .client = CLIENT()};

    pair_open(&pair);
    CHECK_EQ(pair.server_rc, -EKEYREJECTED);
    CHECK(strstr(skua_tls_error_text(pair.server_tls), "peer did not return a certificate") !=
          NULL);
    pair_run(hears_of_it, &pair);
    pair_close(&pair);
    return 0;
}

/* ---- what is agreed on ----------------------------------------------------------------------- */

static void gets_certificate(skua_tls_context *server, const char *host, const char *peer)
{
    struct tls_pair pair = {.server_context = server, .host = host};

    MUST(skua_tls_context_new(&pair.client_context, SKUA_TLS_CLIENT,
                              CLIENT(.verify = SKUA_TLS_VERIFY_NONE)) == 0);
    pair_shake(&pair);
    CHECK_EQ(pair.client_rc, 0);
    if (!CHECK(pair.client_rc == 0 && strcmp(pair.client_info.peer, peer) == 0))
        test_note("%s: %s", host, pair.client_info.peer);
    pair_hang_up(&pair);
    skua_tls_context_free(pair.client_context);
}

TEST_FIBER(tls_certificate_by_name)
{
    const struct certs *c = certs();
    const skua_tls_certificate more[] = {
        {.chain = c->b->chain, .key = c->b->key},
        {.chain = c->client->chain, .key = c->client->key, .names = "x.test,*.y.test"},
    };
    skua_tls_context *server;

    MUST(skua_tls_context_new(&server, SKUA_TLS_SERVER,
                              SERVER(c->a, .certificates = more, .certificates_count = 2)) == 0);
    gets_certificate(server, "a.test", "CN=a");
    gets_certificate(server, "b.test", "CN=b");
    gets_certificate(server, "B.Test", "CN=b");
    gets_certificate(server, "1.b.test", "CN=b");
    gets_certificate(server, "x.test", "CN=client");
    gets_certificate(server, "X.y.Test", "CN=client");
    gets_certificate(server, "y.test", "CN=a"); /* nobody's: the first */
    gets_certificate(server, "1.2.y.test", "CN=a");
    gets_certificate(server, "x.tes", "CN=a");
    gets_certificate(server, "127.0.0.1", "CN=a"); /* not asked for by name */
    skua_tls_context_free(server);
    return 0;
}

static void agrees(const char *server, const char *client, const char *wanted)
{
    struct tls_pair pair = {.server = SERVER(certs()->a, .alpn = server),
                            .client = CLIENT(.alpn = client)};

    pair_open(&pair);
    if (wanted != NULL) {
        CHECK_EQ(pair.client_rc, 0);
        CHECK_EQ(pair.server_rc, 0);
        CHECK(pair.client_rc != 0 || strcmp(pair.client_info.alpn, wanted) == 0);
        CHECK(pair.server_rc != 0 || strcmp(pair.server_info.alpn, wanted) == 0);
    } else {
        CHECK_EQ(pair.client_rc, -EPROTO);
        CHECK_EQ(pair.server_rc, -EPROTO);
        CHECK(strstr(skua_tls_error_text(pair.client_tls), "no application protocol") != NULL);
    }
    pair_close(&pair);
}

TEST_FIBER(tls_alpn)
{
    agrees("h2,http/1.1", "http/1.1,h2", "h2");
    agrees("h2,http/1.1", "http/1.1", "http/1.1");
    agrees("h2", NULL, "");
    agrees(NULL, "h2", "");
    agrees("h2", "http/1.1", NULL);
    return 0;
}

static void speaks(int server_min, int server_max, int client_min, int client_max, int wanted)
{
    struct tls_pair pair = {
        .server = SERVER(certs()->a, .version_min = server_min, .version_max = server_max),
        .client = CLIENT(.version_min = client_min, .version_max = client_max)};

    pair_open(&pair);
    CHECK_EQ(pair.client_rc, wanted != 0 ? 0 : -EPROTO);
    CHECK_EQ(pair.server_rc, wanted != 0 ? 0 : -EPROTO);
    CHECK_EQ(pair.client_info.version, wanted);
    CHECK_EQ(pair.server_info.version, wanted);
    pair_close(&pair);
}

TEST_FIBER(tls_versions)
{
    speaks(0, 0, 0, 0, 13);
    speaks(0, 12, 0, 0, 12);
    speaks(0, 0, 0, 12, 12);
    speaks(13, 0, 0, 0, 13);
    speaks(13, 0, 0, 12, 0);
    speaks(0, 12, 13, 0, 0);
    return 0;
}

/* ---- resumption and reload ------------------------------------------------------------------- */

/* A byte from the server, behind which tickets have come. */
static int says_byte(void *arg)
{
    struct tls_pair *pair = arg;

    CHECK_EQ(skua_io_write_all(skua_tls_io(pair->server_tls), "x", 1), 1);
    return 0;
}

static int hears_byte(void *arg)
{
    struct tls_pair *pair = arg;
    char byte = 0;

    CHECK_EQ(skua_io_read(skua_tls_io(pair->client_tls), &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    return 0;
}

static void resumes(struct tls_pair *pair, unsigned wanted)
{
    pair_shake(pair);
    CHECK_EQ(pair->client_rc, 0);
    CHECK_EQ(pair->server_rc, 0);
    CHECK_EQ(pair->client_info.resumed, wanted);
    CHECK_EQ(pair->server_info.resumed, wanted);
    CHECK(pair->client_info.verified);
    if (pair->client_rc == 0 && pair->server_rc == 0)
        pair_both(says_byte, hears_byte, pair);
    pair_hang_up(pair);
}

TEST_FIBER(tls_resumes)
{
    for (int version = 12; version <= 13; version++) {
        struct tls_pair pair = {.server = SERVER(certs()->a),
                                .client = CLIENT(.version_max = version)};

        pair_contexts(&pair);
        resumes(&pair, 0);
        resumes(&pair, 1);
        resumes(&pair, 1);
        CHECK_EQ(skua_tls_context_reload(pair.client_context, CLIENT(.version_max = version)), 0);
        resumes(&pair, 0); /* what was trusted is not what is trusted */
        resumes(&pair, 1);
        CHECK_EQ(skua_tls_context_reload(pair.server_context, SERVER(certs()->a)), 0);
        resumes(&pair, 0);
        pair_contexts_free(&pair);
    }
    return 0;
}

TEST_FIBER(tls_resumes_not)
{
    struct tls_pair server_off = {.server = SERVER(certs()->a, .no_resumption = 1),
                                  .client = CLIENT()};
    struct tls_pair client_off = {.server = SERVER(certs()->a),
                                  .client = CLIENT(.no_resumption = 1)};
    struct tls_pair hosts = {.server = SERVER(certs()->b), .client = CLIENT(), .host = "1.b.test"};

    for (int i = 0; i < 2; i++) {
        if (i == 0) {
            pair_contexts(&server_off);
            pair_contexts(&client_off);
        }
        resumes(&server_off, 0);
        resumes(&client_off, 0);
    }
    pair_contexts_free(&server_off);
    pair_contexts_free(&client_off);
    pair_contexts(&hosts);
    resumes(&hosts, 0);
    hosts.host = "2.b.test"; /* another host's session is not offered */
    resumes(&hosts, 0);
    hosts.host = "1.b.test";
    resumes(&hosts, 1);
    pair_contexts_free(&hosts);
    return 0;
}

TEST_FIBER(tls_reload)
{
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT()};
    struct tls_pair later = {.host = "b.test"};
    char text[128];

    pair_open(&pair);
    CHECK_EQ(skua_tls_context_reload(
                 pair.server_context,
                 SKUA_TLS_CONTEXT_OPTIONS(.certificate = certs()->b->chain, .key = "/no/such/file",
                                          .error_text = text, .error_size = sizeof text)),
             -ENOENT);
    CHECK(strstr(text, "key") != NULL);
    later.server_context = pair.server_context;
    later.client_context = pair.client_context;
    later.host = "a.test"; /* as it was */
    pair_shake(&later);
    CHECK_EQ(later.client_rc, 0);
    pair_hang_up(&later);
    CHECK_EQ(skua_tls_context_reload(pair.server_context, SERVER(certs()->b)), 0);
    later.host = "b.test";
    pair_shake(&later);
    CHECK_EQ(later.client_rc, 0);
    pair_hang_up(&later);
    pair_both(says_byte, hears_byte, &pair); /* the old one goes on */
    pair_contexts_free(&pair);
    pair_both(says_byte, hears_byte, &pair); /* also without its contexts */
    pair_hang_up(&pair);
    return 0;
}

/* ---- options --------------------------------------------------------------------------------- */

static void refuses(skua_tls_role role, skua_tls_context_options *options, int wanted)
{
    skua_tls_context *context = NULL;
    char text[200] = "";

    options->error_text = text;
    options->error_size = sizeof text;
    CHECK_EQ(skua_tls_context_new(&context, role, options), wanted);
    CHECK(context == NULL);
    skua_tls_context_free(context);
}

TEST(tls_options_are_checked)
{
    const struct certs *c = certs();
    skua_tls_context *context;

    refuses(SKUA_TLS_SERVER, SKUA_TLS_CONTEXT_OPTIONS(.alpn = NULL), -EINVAL);
    refuses(SKUA_TLS_SERVER, SKUA_TLS_CONTEXT_OPTIONS(.certificate = c->a->chain), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.key = c->a->key), -EINVAL);
    refuses(SKUA_TLS_SERVER, SKUA_TLS_CONTEXT_OPTIONS(.certificate = "/no/such/file", .key = "/no"),
            -ENOENT);
    refuses(SKUA_TLS_SERVER, SKUA_TLS_CONTEXT_OPTIONS(.certificate = c->a->chain, .key = c->b->key),
            -EBADMSG);
    refuses(SKUA_TLS_SERVER, SKUA_TLS_CONTEXT_OPTIONS(.certificate = c->a->key, .key = c->a->key),
            -EBADMSG);
    refuses(SKUA_TLS_SERVER,
            SKUA_TLS_CONTEXT_OPTIONS(.certificate = c->a->chain, .key = c->a->chain), -EBADMSG);
    refuses(SKUA_TLS_SERVER,
            SKUA_TLS_CONTEXT_OPTIONS(.certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n",
                                     .key = c->a->key),
            -EBADMSG);
    refuses(SKUA_TLS_SERVER, SERVER(c->a, .verify = SKUA_TLS_VERIFY_REQUIRED), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.verify = SKUA_TLS_VERIFY_OPTIONAL), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.verify = (skua_tls_verify)9), -EINVAL);
    refuses(SKUA_TLS_CLIENT, SKUA_TLS_CONTEXT_OPTIONS(.ca = c->a->key), -EBADMSG);
    refuses(SKUA_TLS_CLIENT, CLIENT(.version_min = 11), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.version_max = 14), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.version_min = 13, .version_max = 12), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.alpn = ""), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.alpn = "h2,"), -EINVAL);
    refuses(SKUA_TLS_CLIENT, CLIENT(.alpn = ",h2"), -EINVAL);
    refuses(SKUA_TLS_SERVER, SERVER(c->a, .certificates_count = 1), -EINVAL);
    refuses((skua_tls_role)0, CLIENT(.alpn = "h2"), -EINVAL);
    refuses(SKUA_TLS_CLIENT, &(skua_tls_context_options){.size = 1}, -EINVAL);
    CHECK_EQ(skua_tls_context_new(&context, SKUA_TLS_CLIENT, NULL), 0);
    skua_tls_context_free(context);
    skua_tls_context_free(NULL);
    skua_tls_close(NULL);
    CHECK(skua_tls_error_text(NULL)[0] == '\0');
}

TEST(tls_hosts_are_checked)
{
    static const char *const bad[] = {"",    ".a.test", "a..test", "a test",
                                      "a/b", "[::1]",   "*.a",     NULL};
    struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT()};
    skua_io none = {NULL, NULL};
    skua_tls *tls;
    char long_name[300];

    pair_contexts(&pair);
    for (size_t i = 0; i < TEST_LEN(bad); i++) {
        CHECK_EQ(skua_tls_connect(&tls, pair.client_context, none, bad[i], 0), -EINVAL);
        skua_tls_close(tls);
    }
    memset(long_name, 'a', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    CHECK_EQ(skua_tls_connect(&tls, pair.client_context, none, long_name, 0), -EINVAL);
    CHECK_EQ(skua_tls_connect(&tls, pair.server_context, none, "a.test", 0), -EINVAL);
    CHECK(tls == NULL);
    CHECK_EQ(skua_tls_accept(&tls, pair.client_context, none, 0), -EINVAL);
    pair_contexts_free(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_agrees),
        cmocka_unit_test(tls_verifies_hosts),
        cmocka_unit_test(tls_verifies_certificates),
        cmocka_unit_test(tls_mutual),
        cmocka_unit_test(tls_refused_client_is_told),
        cmocka_unit_test(tls_certificate_by_name),
        cmocka_unit_test(tls_alpn),
        cmocka_unit_test(tls_versions),
        cmocka_unit_test(tls_resumes),
        cmocka_unit_test(tls_resumes_not),
        cmocka_unit_test(tls_reload),
        cmocka_unit_test(tls_options_are_checked),
        cmocka_unit_test(tls_hosts_are_checked),
    };

    return TEST_MAIN(tests);
}
