/* drivers: both */
/* test_tls_judges.c - TLS as programs see it that nobody here wrote: curl, openssl, Python.
 *
 * Each is skipped with a line where it is not installed. Towards a server of ours they are clients
 * that verify, offer ALPN, old versions, renegotiate, change keys; and openssl's server is what our
 * client talks to.
 */
#include <signal.h>
#include <unistd.h>

#include <skua/fd.h>
#include <skua/http/server.h>
#include <skua/process.h>

#include "../lib/shell.h"
#include "tls_pair.h"

struct judged {
    char folder[64];
    skua_http_server *server;
    skua_listener *listener;
    skua_tls_context *context;
    char port[8];
    skua_task *task;
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

static void leaves(const struct judged *self, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", self->folder, name);
    file = fopen(path, "we");
    MUST(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void folder_begin(struct judged *self)
{
    (void)snprintf(self->folder, sizeof self->folder, "/tmp/skua-tls-XXXXXX");
    MUST(mkdtemp(self->folder) != NULL);
    leaves(self, "ca.pem", certs()->ca->chain);
    leaves(self, "chain.pem", certs()->address->chain);
    leaves(self, "key.pem", certs()->address->key);
}

static void folder_end(const struct judged *self)
{
    char script[128];

    (void)snprintf(script, sizeof script, "rm -r %s", self->folder);
    CHECK_EQ(shell_run(script), 0);
}

static int judged_run(void *arg)
{
    struct judged *self = arg;

    return skua_http_server_run(self->server, self->listener);
}

static int says_scheme(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_replyf(exchange, 200, "text/plain", "over %s\n", skua_http_scheme(exchange));
}

/* Its certificate comes out of files. */
static void judged_begin(struct judged *self)
{
    char chain[128], key[128], address[SKUA_ADDRESS_MAX];

    folder_begin(self);
    (void)snprintf(chain, sizeof chain, "%s/chain.pem", self->folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", self->folder);
    MUST(skua_tls_context_new(
             &self->context, SKUA_TLS_SERVER,
             SKUA_TLS_CONTEXT_OPTIONS(.certificate = chain, .key = key, .alpn = "http/1.1")) == 0);
    MUST(skua_http_server_new(&self->server, says_scheme, NULL,
                              SKUA_HTTP_SERVER_OPTIONS(.tls = self->context)) == 0);
    MUST(skua_tcp_listen(&self->listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(self->listener, address, sizeof address) == 0);
    (void)snprintf(self->port, sizeof self->port, "%s", strrchr(address, ':') + 1);
    MUST(skua_spawn(NULL, judged_run, self, .task = &self->task) == 0);
}

static void judged_end(struct judged *self)
{
    (void)skua_task_cancel(self->task);
    CHECK_EQ(skua_task_join(self->task, NULL), 0);
    CHECK_EQ(skua_listener_close(self->listener), 0);
    skua_http_server_free(self->server);
    skua_tls_context_free(self->context);
    folder_end(self);
}

/* Runs a script in the folder, with $P the port: its exit code, and whether it says `wanted`. */
static void judges(const struct judged *self, const char *script, int code, const char *wanted)
{
    char all[1024], text[16384];
    int rc;

    (void)snprintf(all, sizeof all, "cd %s; P=%s; A=127.0.0.1:$P; %s", self->folder, self->port,
                   script);
    rc = shell_text(text, sizeof text, all, .err = SKUA_STDIO_OUT);
    if (!CHECK(code < 0 ? rc != 0 : rc == code) || !CHECK(strstr(text, wanted) != NULL))
        test_note("%s\nis %d, and says: %s", script, rc, text);
}

TEST_FIBER_CURRENT(tls_judged_by_curl)
{
    struct judged self;

    if (!installed("curl"))
        return 0;
    judged_begin(&self);
    judges(&self, "curl -sS --cacert ca.pem https://$A/", 0, "over https");
    judges(&self, "curl -sS --cacert ca.pem --tls-max 1.2 https://$A/ https://$A/", 0,
           "over https");
    judges(&self, "curl -sS https://$A/", 60, "certificate");
    judges(&self, "curl -sS --cacert ca.pem --resolve a.test:$P:127.0.0.1 https://a.test:$P/", 60,
           "match");
    judges(&self, "curl -sS http://$A/", -1, "curl:");
    judged_end(&self);
    return 0;
}

TEST_FIBER_CURRENT(tls_judged_by_openssl)
{
#define S_CLIENT "openssl s_client -connect $A -CAfile ca.pem -verify_return_error "
    struct judged self;

    if (!installed("openssl"))
        return 0;
    judged_begin(&self);
    judges(&self, S_CLIENT "-verify_ip 127.0.0.1 -alpn http/1.1 </dev/null", 0,
           "ALPN protocol: http/1.1");
    judges(&self, S_CLIENT "-verify_ip 127.0.0.1 </dev/null", 0, "Verify return code: 0 (ok)");
    judges(&self, S_CLIENT "-verify_ip 127.0.0.2 </dev/null", -1, "IP address mismatch");
    judges(&self, S_CLIENT "-alpn h2 </dev/null", -1, "no application protocol");
    judges(&self, S_CLIENT "-tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null", -1,
           "alert protocol version");
    /* Keys are changed, and the server is asked to change its own: the connection goes on. */
    judges(
        &self,
        "(sleep 0.2; echo K; sleep 0.2; printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 0.5) | " S_CLIENT
        "-tls1_3",
        0, "over https");
    /* A renegotiation is refused. */
    judges(&self, "(sleep 0.2; echo R; sleep 0.5) | " S_CLIENT "-tls1_2", -1, "no renegotiation");
    judges(&self, S_CLIENT "-sess_out s </dev/null >/dev/null 2>&1; " S_CLIENT "-tls1_2 </dev/null",
           0, "New, TLSv1.2");
    judges(&self,
           S_CLIENT "-tls1_2 -sess_out s </dev/null >/dev/null 2>&1; " S_CLIENT
                    "-tls1_2 -sess_in s </dev/null",
           0, "Reused, TLSv1.2");
    judged_end(&self);
    return 0;
#undef S_CLIENT
}

TEST_FIBER_CURRENT(tls_judged_by_python)
{
    struct judged self;

    if (!installed("python3"))
        return 0;
    judged_begin(&self);
    judges(&self,
           "python3 -c 'import ssl, urllib.request, sys\n"
           "context = ssl.create_default_context(cafile=\"ca.pem\")\n"
           "url = \"https://\" + sys.argv[1]\n"
           "for i in range(3):\n"
           "    answer = urllib.request.urlopen(url, context=context)\n"
           "    assert answer.read() == b\"over https\\n\"\n"
           "print(\"all well\")' $A",
           0, "all well");
    judged_end(&self);
    return 0;
}

/* ---- our client and openssl's server --------------------------------------------------------- */

struct page {
    skua_tcp *tcp;
    skua_tls_context *context;
};

static int wants_page(void *arg)
{
    struct page *self = arg;
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    int64_t deadline = skua_now() + 20 * SKUA_SECOND;
    char text[16384];
    size_t len = 0;
    skua_tls *tls;
    ssize_t n = 1;

    CHECK_EQ(skua_tls_connect(&tls, self->context, skua_tcp_io(self->tcp), "127.0.0.1", deadline),
             0);
    if (!CHECK(skua_tls_error_text(tls)[0] == '\0'))
        test_note("%s", skua_tls_error_text(tls));
    CHECK_EQ(skua_io_write_all(skua_tls_io(tls), request, sizeof request - 1), sizeof request - 1);
    while (n > 0 && len < sizeof text - 1) {
        n = skua_io_read_until(skua_tls_io(tls), text + len, sizeof text - 1 - len, deadline);
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    CHECK(strstr(text, "Ciphers supported in s_server") != NULL);
    skua_tls_close(tls);
    return 0;
}

/* Reads until "ACCEPT 127.0.0.1:port" has come. */
static void hears_address(skua_fd *out, char *address, size_t size)
{
    char text[4096] = "";
    const char *at = NULL;
    size_t len = 0;

    while (at == NULL || strchr(at, '\n') == NULL) {
        ssize_t n = skua_io_read_until(skua_fd_io(out), text + len, sizeof text - 1 - len,
                                       skua_now() + 20 * SKUA_SECOND);

        MUST(n > 0);
        len += (size_t)n;
        text[len] = '\0';
        at = strstr(text, "ACCEPT ");
    }
    at += strlen("ACCEPT ");
    (void)snprintf(address, size, "%.*s", (int)strcspn(at, "\n"), at);
}

TEST_FIBER_CURRENT(tls_judged_by_a_server)
{
    static const char *const options[] = {"", "-tls1_2", "-tls1_3"};
    struct judged self;
    struct page page;

    if (!installed("openssl"))
        return 0;
    folder_begin(&self);
    MUST(skua_tls_context_new(&page.context, SKUA_TLS_CLIENT, CLIENT()) == 0);
    for (size_t i = 0; i < TEST_LEN(options); i++) {
        char script[256], address[64];
        skua_process *server;
        skua_fd *out;

        (void)snprintf(script, sizeof script,
                       "cd %s; exec openssl s_server -accept 127.0.0.1:0 -cert chain.pem "
                       "-key key.pem -www %s",
                       self.folder, options[i]);
        server = shell_start(script, .out = SKUA_STDIO_PIPE, .in = SKUA_STDIO_NULL);
        out = skua_process_take_out(server);
        hears_address(out, address, sizeof address);
        MUST(skua_tcp_connect(&page.tcp, address, NULL) == 0);
        pair_run(wants_page, &page);
        CHECK_EQ(skua_tcp_close(page.tcp), 0);
        CHECK_EQ(skua_process_signal(server, SIGTERM), 0);
        CHECK_EQ(skua_process_wait(server, NULL), 0);
        CHECK_EQ(skua_process_close(server), 0);
        CHECK_EQ(skua_fd_close(out), 0);
    }
    skua_tls_context_free(page.context);
    folder_end(&self);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_judged_by_curl),
        cmocka_unit_test(tls_judged_by_openssl),
        cmocka_unit_test(tls_judged_by_python),
        cmocka_unit_test(tls_judged_by_a_server),
    };

    return TEST_MAIN(tests);
}
