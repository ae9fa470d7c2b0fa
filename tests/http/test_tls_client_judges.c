/* drivers: both */
/* test_tls_client_judges.c - the client, and those between it and its servers: proxies that make
 * tunnels; servers that nobody here wrote: openssl's, Python's.
 *
 * Specifies client.h, "Proxies", and with the servers of others "Schemes". Each judge is skipped
 * with a line where it is not installed.
 */
#include <signal.h>

#include <skua/fd.h>
#include <skua/process.h>

#include "../lib/shell.h"
#include "secure.h"

/* ---- proxies --------------------------------------------------------------------------------- */

struct proxy {
    skua_listener *listener;
    char url[SKUA_ADDRESS_MAX + 16];
    const char *to;     /* where its tunnels lead */
    const char *answer; /* to CONNECT */
    char heard[4096];   /* the last request's head */
    int tunnels;
    skua_task *task;
};

static void proxy_one(struct proxy *proxy, skua_tcp *tcp)
{
    size_t len = 0;
    ssize_t n = 1;
    skua_tcp *on;

    proxy->heard[0] = '\0';
    while (n > 0 && strstr(proxy->heard, "\r\n\r\n") == NULL) {
        n = skua_tcp_read(tcp, proxy->heard + len, sizeof proxy->heard - 1 - len);
        len += n > 0 ? (size_t)n : 0;
        proxy->heard[len] = '\0';
    }
    (void)skua_tcp_write_all(tcp, proxy->answer, strlen(proxy->answer));
    if (proxy->to == NULL)
        return;
    proxy->tunnels++;
    MUST(skua_tcp_connect(&on, proxy->to, NULL) == 0);
    (void)skua_copy_bidirectional(skua_tcp_io(tcp), skua_tcp_io(on), NULL, NULL, NULL);
    CHECK_EQ(skua_tcp_close(on), 0);
}

static int proxy_run(void *arg)
{
    struct proxy *proxy = arg;
    skua_tcp *tcp;

    while (skua_tcp_accept(proxy->listener, &tcp) == 0) {
        proxy_one(proxy, tcp);
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    return 0;
}

static void proxy_begin(struct proxy *proxy)
{
    char address[SKUA_ADDRESS_MAX];

    proxy->listener = test_listen(address);
    (void)snprintf(proxy->url, sizeof proxy->url, "http://%s", address);
    MUST(skua_spawn(NULL, proxy_run, proxy, .task = &proxy->task) == 0);
}

static void proxy_end(struct proxy *proxy)
{
    (void)skua_task_cancel(proxy->task);
    CHECK_EQ(skua_task_join(proxy->task, NULL), 0);
    CHECK_EQ(skua_listener_close(proxy->listener), 0);
}

static int says_secret(skua_http_exchange *exchange, void *state)
{
    const char *secret = skua_http_header(exchange, "proxy-authorization");

    (void)state;
    return skua_http_replyf(exchange, 200, "text/plain", "to %s%s", skua_http_authority(exchange),
                            secret != NULL ? secret : "");
}

static int tunnels(void *arg)
{
    static const skua_http_field secret = {"Proxy-Authorization", "secret"};
    struct proxy proxy = {.answer = "HTTP/1.1 102 wait\r\n\r\nHTTP/1.1 200 \r\nX: y\r\n\r\n"};
    skua_tls_context *context = trusts(CLIENT());
    skua_http_response *response;
    skua_http_client *client;
    struct secure secure;

    (void)arg;
    proxy_begin(&proxy);
    secure_begin_tcp(&secure, SERVER(certs()->a, .alpn = "http/1.1"), says_secret, NULL);
    proxy.to = secure.site.address;
    client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context, .proxy = proxy.url));
    for (int i = 0; i < 3; i++) {
        MUST(skua_http_client_send(client,
                                   SKUA_HTTP_REQUEST(.url = "https://a.test:99/",
                                                     .headers = &secret, .headers_count = 1),
                                   &response) == 0);
        CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 1000), 0);
        CHECK_TEXT(skua_http_response_body(response, NULL), "to a.test:99"); /* and no secret */
        skua_http_response_close(response);
    }
    CHECK_EQ(skua_http_client_close_idle(client), 1); /* the proxy has one at a time */
    CHECK_EQ(gets_(client, "https://b.test/", NULL), REJECTED);
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    proxy_end(&proxy);
    CHECK_EQ(proxy.tunnels, 2);
    CHECK(strstr(proxy.heard, "CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n") ==
          proxy.heard);
    secure_end(&secure);
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER(tls_client_through_a_proxy)
{
    secure_run(tunnels, NULL);
    return 0;
}

static int no_tunnels(void *arg)
{
    static const skua_http_field secret = {"Proxy-Authorization", "secret"};
    static const struct {
        const char *answer;
        int rc;
        const char *text;
    } cases[] = {
        {"HTTP/1.1 407 Who are you\r\n\r\n", -EACCES, "HTTP/1.1 407 Who are you"},
        {"HTTP/1.1 502 no\r\nContent-Length: 2\r\n\r\nno", -ECONNREFUSED, "HTTP/1.1 502 no"},
        {"HTTP/1.1 302 no\r\nLocation: /\r\n\r\n", -ECONNREFUSED, "HTTP/1.1 302 no"},
        {"HTTP/1.1 101 x\r\n\r\n", -ECONNREFUSED, "HTTP/1.1 101 x"},
        {"HTTP/2 200 x\r\n\r\n", -EBADMSG, ""},
        {"HTTP/1.1 200 x\nY: z\r\n\r\n", -EBADMSG, ""},
        {"HTTP/1.1 2x0 x\r\n\r\n", -EBADMSG, ""},
        {"HTTP/1.1 ", SKUA_EEOF, ""},
        {"HTTP/1.1 200 "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxx",
         SKUA_ELIMIT, ""},
        {"", SKUA_EEOF, ""}};

    (void)arg;
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        struct proxy proxy = {.answer = cases[i].answer};
        skua_http_client *client;
        char text[200];

        proxy_begin(&proxy);
        client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.proxy = proxy.url, .headers = &secret,
                                                      .headers_count = 1, .head_max = 256,
                                                      .total_timeout = 20 * SKUA_SECOND));
        if (!CHECK_EQ(gets_text(client, *SKUA_HTTP_REQUEST(.url = "https://a.test/"), text),
                      cases[i].rc))
            test_note("of case %d", (int)i);
        CHECK_TEXT(text, cases[i].text);
        CHECK_EQ(client_stats(client).connections_now, 0);
        CHECK_EQ(skua_http_client_free(client), 0);
        proxy_end(&proxy);
        CHECK(strstr(proxy.heard, "\r\nProxy-Authorization: secret\r\n\r\n") != NULL);
    }
    return 0;
}

TEST_FIBER_CURRENT(tls_client_without_a_tunnel)
{
    secure_run(no_tunnels, NULL);
    return 0;
}

/* ---- servers of others ----------------------------------------------------------------------- */

struct judge {
    char folder[64];
    skua_process *server;
    skua_fd *out;
    char url[128];
};

static bool installed(const char *tool)
{
    char script[64];

    (void)snprintf(script, sizeof script, "command -v %s >/dev/null", tool);
    if (shell_run(script) == 0)
        return true;
    test_note("skipped: there is no %s", tool);
    return false;
}

static void leaves(const struct judge *judge, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", judge->folder, name);
    file = fopen(path, "we");
    MUST(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* A server that says where it is as "ACCEPT address". */
static void judge_begin(struct judge *judge, const char *command)
{
    char script[2048], text[4096] = "";
    const char *at = NULL;
    size_t len = 0;

    (void)snprintf(judge->folder, sizeof judge->folder, "/tmp/skua-tls-XXXXXX");
    MUST(mkdtemp(judge->folder) != NULL);
    leaves(judge, "ca.pem", certs()->ca->chain);
    leaves(judge, "chain.pem", certs()->address->chain);
    leaves(judge, "key.pem", certs()->address->key);
    (void)snprintf(script, sizeof script, "cd %s; exec %s 2>/dev/null", judge->folder, command);
    judge->server = shell_start(script, .out = SKUA_STDIO_PIPE, .in = SKUA_STDIO_NULL);
    judge->out = skua_process_take_out(judge->server);
    while (at == NULL || strchr(at, '\n') == NULL) {
        ssize_t n = skua_io_read_until(skua_fd_io(judge->out), text + len, sizeof text - 1 - len,
                                       skua_now() + 20 * SKUA_SECOND);

        MUST(n > 0);
        len += (size_t)n;
        text[len] = '\0';
        at = strstr(text, "ACCEPT ");
    }
    at += strlen("ACCEPT ");
    (void)snprintf(judge->url, sizeof judge->url, "https://%.*s/", (int)strcspn(at, "\n"), at);
}

static void judge_end(struct judge *judge)
{
    char script[128];

    CHECK_EQ(skua_process_signal(judge->server, SIGTERM), 0);
    CHECK_EQ(skua_process_wait(judge->server, NULL), 0);
    CHECK_EQ(skua_process_close(judge->server), 0);
    CHECK_EQ(skua_fd_close(judge->out), 0);
    (void)snprintf(script, sizeof script, "rm -r %s", judge->folder);
    CHECK_EQ(shell_run(script), 0);
}

/* The statuses of two requests, and how many of their connections were resumed. */
static int asks_judge(void *arg)
{
    const struct judge *judge = arg;
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context, .total_timeout = 20 * SKUA_SECOND));
    char text[200];

    for (int i = 0; i < 2; i++) {
        if (!CHECK_EQ(gets_text(client, *SKUA_HTTP_REQUEST(.url = judge->url), text), 200))
            test_note("%s", text);
        (void)skua_http_client_close_idle(client);
    }
    CHECK_EQ(client_stats(client).connections, 2);
    CHECK_EQ(client_stats(client).resumed, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    skua_tls_context_free(context);
    return 0;
}

static int asks_weak(void *arg)
{
    const struct judge *judge = arg;
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context, .total_timeout = 20 * SKUA_SECOND));
    char text[200];

    CHECK_EQ(gets_text(client, *SKUA_HTTP_REQUEST(.url = judge->url), text), -EPROTO);
    CHECK(*text != '\0');
    CHECK_EQ(skua_http_client_free(client), 0);
    skua_tls_context_free(context);
    return 0;
}

#define S_SERVER "openssl s_server -accept 127.0.0.1:0 -cert chain.pem -key key.pem 2>/dev/null "

TEST_FIBER_CURRENT(tls_client_judged_by_openssl)
{
    struct judge judge;

    if (!installed("openssl"))
        return 0;
    judge_begin(&judge, S_SERVER "-WWW"); /* files, with an end that it says */
    leaves(&judge, "x", "a file");
    memcpy(judge.url + strlen(judge.url), "x", 2);
    secure_run(asks_judge, &judge);
    judge_end(&judge);
    judge_begin(&judge, S_SERVER "-www -tls1_1 -cipher ALL:@SECLEVEL=0");
    secure_run(asks_weak, &judge);
    judge_end(&judge);
    /* What is not forward secret, and what does not authenticate what it encrypts. */
    judge_begin(&judge, S_SERVER "-www -tls1_2 -cipher AES128-GCM-SHA256");
    secure_run(asks_weak, &judge);
    judge_end(&judge);
    judge_begin(&judge, S_SERVER "-www -tls1_2 -cipher ECDHE-RSA-AES128-SHA256:"
                                 "ECDHE-ECDSA-AES128-SHA256");
    secure_run(asks_weak, &judge);
    judge_end(&judge);
    return 0;
}

TEST_FIBER_CURRENT(tls_client_judged_by_python)
{
    struct judge judge;

    if (!installed("python3"))
        return 0;
    judge_begin(&judge, "python3 -c 'import http.server, ssl\n"
                        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
                        "context.load_cert_chain(\"chain.pem\", \"key.pem\")\n"
                        "server = http.server.HTTPServer((\"127.0.0.1\", 0), "
                        "http.server.SimpleHTTPRequestHandler)\n"
                        "server.socket = context.wrap_socket(server.socket, server_side=True)\n"
                        "print(\"ACCEPT 127.0.0.1:%d\" % server.server_port, flush=True)\n"
                        "server.serve_forever()'");
    secure_run(asks_judge, &judge);
    judge_end(&judge);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_client_through_a_proxy),
        cmocka_unit_test(tls_client_without_a_tunnel),
        cmocka_unit_test(tls_client_judged_by_openssl),
        cmocka_unit_test(tls_client_judged_by_python),
    };

    return TEST_MAIN(tests);
}
