/* drivers: both */
/* test_tls_http2_client.c - which version of HTTP is spoken, as TLS agrees on it; plain threads
 * that share a connection; and servers of HTTP/2 that nobody here wrote: Node's, nghttp2's.
 *
 * Specifies client.h, .http2, "Threads". A judge is skipped with a line where it is not installed.
 */
#include <signal.h>

#include <pthread.h>

#include <skua/fd.h>
#include <skua/http/call.h>
#include <skua/process.h>

#include "../lib/shell.h"
#include "secure.h"

static int says(skua_http_exchange *exchange, void *state)
{
    (void)state;
    return skua_http_reply(exchange, 200, "text/plain", "a", 1);
}

/* The version of the answer to a GET, or the error. */
static int version_of(skua_http_client *client, const char *url, skua_http2_use use)
{
    skua_http_response *response;
    int rc = skua_http_client_send(client, SKUA_HTTP_REQUEST(.url = url, .http2 = use), &response);

    if (rc != 0)
        return rc;
    CHECK_EQ(skua_http_response_status(response), 200);
    CHECK_EQ(skua_http_response_read_all(response, NULL, NULL, 1 << 20), 0);
    rc = skua_http_response_version(response);
    skua_http_response_close(response);
    return rc;
}

/* ---- ALPN ------------------------------------------------------------------------------------ */

static int agrees(void *arg)
{
    static const struct {
        const char *server, *client; /* lists; NULL: none */
        skua_http2_use use;
        int version; /* 0: an error */
    } cases[] = {{"h2,http/1.1", NULL, SKUA_HTTP2_DEFAULT, 20},
                 {"h2,http/1.1", NULL, SKUA_HTTP2_AUTO, 20},
                 {"h2,http/1.1", NULL, SKUA_HTTP2_OFF, 11},
                 {"h2,http/1.1", NULL, SKUA_HTTP2_ONLY, 20},
                 {"h2,http/1.1", "http/1.1", SKUA_HTTP2_AUTO, 11},
                 {"h2,http/1.1", "http/1.1", SKUA_HTTP2_ONLY, 20},
                 {"http/1.1", NULL, SKUA_HTTP2_AUTO, 11},
                 {"http/1.1", NULL, SKUA_HTTP2_ONLY, 0},
                 {NULL, NULL, SKUA_HTTP2_AUTO, 11},
                 {NULL, NULL, SKUA_HTTP2_ONLY, 0}};

    (void)arg;
    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        skua_tls_context *context = trusts(CLIENT(.alpn = cases[i].client));
        skua_http_client *client = client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context));
        struct secure secure;
        int version;

        secure_begin_tcp(&secure, SERVER(certs()->address, .alpn = cases[i].server), says, NULL);
        for (int k = 0; k < 2; k++) {
            version = version_of(client, secure.site.url, cases[i].use);
            if (cases[i].version == 0 ? !CHECK(version == -EPROTO || version == -EPROTONOSUPPORT)
                                      : !CHECK_EQ(version, cases[i].version))
                test_note("of case %d: %d", (int)i, version);
        }
        CHECK_EQ(client_stats(client).connections, cases[i].version != 0);
        CHECK_EQ(client_stats(client).http2, cases[i].version == 20);
        CHECK_EQ(skua_http_client_free(client), 0);
        secure_end(&secure);
        skua_tls_context_free(context);
    }
    return 0;
}

TEST_FIBER_CURRENT(tls_http2_is_agreed_on)
{
    secure_run(agrees, NULL);
    return 0;
}

/* Many at once: the first one's handshake is waited for, and then all share it, or none. */
static int one_of_many(void *arg)
{
    void **args = arg;

    CHECK(version_of(args[0], args[1], SKUA_HTTP2_AUTO) > 0);
    return 0;
}

static int many(void *arg)
{
    (void)arg;
    for (int old = 0; old < 2; old++) {
        skua_tls_context *context = trusts(CLIENT());
        skua_http_client *client =
            client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context, .connections_per_origin = 4));
        struct secure secure;
        skua_task *tasks[20];
        void *args[2] = {client, secure.site.url};

        secure_begin_tcp(&secure,
                         SERVER(certs()->address, .alpn = old ? "http/1.1" : "h2,http/1.1"), says,
                         NULL);
        for (size_t i = 0; i < TEST_LEN(tasks); i++)
            MUST(skua_spawn(NULL, one_of_many, args, .task = &tasks[i],
                            .stack = SKUA_STACK_LARGE) == 0);
        for (size_t i = 0; i < TEST_LEN(tasks); i++)
            CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
        CHECK_RANGE(client_stats(client).connections, 1, old ? 4 : 1);
        CHECK_EQ(skua_http_client_free(client), 0);
        secure_end(&secure);
        skua_tls_context_free(context);
    }
    return 0;
}

TEST_FIBER(tls_http2_is_shared)
{
    secure_run(many, NULL);
    return 0;
}

/* ---- plain threads --------------------------------------------------------------------------- */

struct threads {
    skua_http_client *client;
    char url[SKUA_ADDRESS_MAX + 16];
    skua_listener *listener;
    skua_http_server *server;
    skua_event ready;
    atomic_int well;
};

static int threads_serve(void *arg)
{
    struct threads *self = arg;

    return skua_http_server_run(self->server, self->listener) == -ECANCELED ? 0 : 1;
}

static int serves(void *arg)
{
    struct threads *self = arg;
    char address[SKUA_ADDRESS_MAX];
    skua_task *task;

    self->listener = test_listen(address);
    (void)snprintf(self->url, sizeof self->url, "http://%s/", address);
    MUST(skua_http_server_new(&self->server, says, NULL, NULL) == 0);
    MUST(skua_spawn(NULL, threads_serve, self, .task = &task) == 0);
    skua_event_set(&self->ready);
    while (atomic_load(&self->well) >= 0)
        (void)skua_sleep(MS(5));
    (void)skua_task_cancel(task);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_listener_close(self->listener), 0);
    skua_http_server_free(self->server);
    return 0;
}

static void *serving_thread(void *arg)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, serves, arg);
    test_runtime_free(runtime);
    return NULL;
}

static void *asking_thread(void *arg)
{
    struct threads *self = arg;

    for (int i = 0; i < 20; i++)
        if (version_of(self->client, self->url, SKUA_HTTP2_ONLY) == 20)
            atomic_fetch_add(&self->well, 1);
    return NULL;
}

TEST(http2_on_threads)
{
    struct threads self = {.ready = SKUA_EVENT_INIT};
    pthread_t serving, asking[4];

    self.client = client_with(NULL);
    MUST(pthread_create(&serving, NULL, serving_thread, &self) == 0);
    MUST(skua_event_wait(&self.ready) == 0);
    for (size_t i = 0; i < TEST_LEN(asking); i++)
        MUST(pthread_create(&asking[i], NULL, asking_thread, &self) == 0);
    for (size_t i = 0; i < TEST_LEN(asking); i++)
        MUST(pthread_join(asking[i], NULL) == 0);
    CHECK_EQ(atomic_load(&self.well), 80);
    CHECK_EQ(client_stats(self.client).connections, 1);
    CHECK_EQ(skua_http_client_free(self.client), 0);
    atomic_store(&self.well, -1000);
    MUST(pthread_join(serving, NULL) == 0);
}

/* ---- judges ---------------------------------------------------------------------------------- */

struct judge {
    char folder[64];
    skua_process *server;
    skua_fd *out;
    char address[64];
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

static void judge_begin(struct judge *judge, const char *command)
{
    char script[4096];

    (void)snprintf(judge->folder, sizeof judge->folder, "/tmp/skua-http2-XXXXXX");
    MUST(mkdtemp(judge->folder) != NULL);
    leaves(judge, "chain.pem", certs()->address->chain);
    leaves(judge, "key.pem", certs()->address->key);
    (void)snprintf(script, sizeof script, "cd %s; exec %s", judge->folder, command);
    judge->server = shell_start(script, .out = SKUA_STDIO_PIPE, .in = SKUA_STDIO_NULL);
    judge->out = skua_process_take_out(judge->server);
}

static void judge_end(struct judge *judge)
{
    char script[128];

    CHECK_EQ(skua_process_signal(judge->server, SIGKILL), 0);
    CHECK_EQ(skua_process_wait(judge->server, NULL), 0);
    CHECK_EQ(skua_process_close(judge->server), 0);
    CHECK_EQ(skua_fd_close(judge->out), 0);
    (void)snprintf(script, sizeof script, "rm -r %s", judge->folder);
    CHECK_EQ(shell_run(script), 0);
}

/* "ACCEPT address" of its output. */
static void judge_hears(struct judge *judge)
{
    char text[1024] = "";
    size_t len = 0;

    while (strchr(text, '\n') == NULL) {
        ssize_t n = skua_io_read_until(skua_fd_io(judge->out), text + len, sizeof text - 1 - len,
                                       skua_now() + 20 * SKUA_SECOND);

        MUST(n > 0);
        len += (size_t)n;
        text[len] = '\0';
    }
    MUST(strncmp(text, "ACCEPT ", 7) == 0);
    (void)snprintf(judge->address, sizeof judge->address, "%.*s", (int)strcspn(text + 7, "\n"),
                   text + 7);
}

/* Echoes, with a trailer, "X-Sum: <bytes>"; "/refuse" is 413 at once; "/goaway" says goodbye. */
#define NODE_SERVER                                                                                \
    "node -e '"                                                                                    \
    "const fs = require(\"fs\"), http2 = require(\"http2\");\n"                                    \
    "const server = http2.createSecureServer({key: fs.readFileSync(\"key.pem\"), "                 \
    "cert: fs.readFileSync(\"chain.pem\"), settings: {maxConcurrentStreams: 3}});\n"               \
    "server.on(\"sessionError\", () => {});\n"                                                     \
    "server.on(\"stream\", (stream, head) => {\n"                                                  \
    "  stream.on(\"error\", () => {});\n"                                                          \
    "  if (head[\":path\"] == \"/refuse\") {\n"                                                    \
    "    stream.respond({\":status\": 413}); stream.end(\"no\"); return; }\n"                      \
    "  if (head[\":path\"] == \"/goaway\") stream.session.close();\n"                              \
    "  let sum = 0;\n"                                                                             \
    "  stream.additionalHeaders({\":status\": 103, \"link\": \"x\"});\n"                           \
    "  stream.respond({\":status\": 200}, {waitForTrailers: true});\n"                             \
    "  stream.on(\"wantTrailers\", () => stream.sendTrailers({\"x-sum\": \"\" + sum}));\n"         \
    "  stream.on(\"data\", (piece) => { sum += piece.length; stream.write(piece); });\n"           \
    "  stream.on(\"end\", () => stream.end());\n"                                                  \
    "});\n"                                                                                        \
    "server.listen(0, \"127.0.0.1\", () => console.log(\"ACCEPT 127.0.0.1:\" + "                   \
    "server.address().port));'"

static int node_echoes(void *arg)
{
    void **args = arg;
    const size_t len = 150 * 1000;
    char *body = malloc(len);
    skua_http_response *response;
    const char *name, *value;

    MUST(body != NULL);
    test_pattern_fill(body, len, 0);
    for (int i = 0; i < 3; i++) {
        MUST(skua_http_post(args[0], args[1], NULL, body, len, len, &response) == 0);
        CHECK(test_pattern_ok(skua_http_response_body(response, NULL), len, 0));
        MUST(skua_http_response_trailer_at(response, 0, &name, &value) == 1);
        CHECK_EQ(atol(value), len);
        skua_http_response_close(response);
    }
    free(body);
    return 0;
}

static int asks_node(void *arg)
{
    struct judge *judge = arg;
    skua_tls_context *context = trusts(CLIENT());
    skua_http_client *client =
        client_with(SKUA_HTTP_CLIENT_OPTIONS(.tls = context, .connections_per_origin = 1,
                                             .total_timeout = 20 * SKUA_SECOND));
    char url[128];
    void *args[2] = {client, url};
    skua_http_response *response;
    skua_task *tasks[8];
    skua_http_call *call;
    char buf[16];

    (void)snprintf(url, sizeof url, "https://%s/", judge->address);
    for (size_t i = 0; i < TEST_LEN(tasks); i++)
        MUST(skua_spawn(NULL, node_echoes, args, .task = &tasks[i], .stack = SKUA_STACK_LARGE) ==
             0);
    for (size_t i = 0; i < TEST_LEN(tasks); i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    CHECK_EQ(client_stats(client).connections, 1);
    MUST(skua_http_client_open(client, SKUA_HTTP_REQUEST(.url = url, .method = "POST"), &call) ==
         0);
    MUST(skua_http_call_response(call, &response) == 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(skua_http_call_write(call, "abc", 3), 0);
        CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 3);
    }
    CHECK_EQ(skua_http_call_end(call), 0);
    CHECK_EQ(skua_http_response_read(response, buf, sizeof buf), 0);
    skua_http_call_close(call);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(version_of(client, AT(url, "goaway"), SKUA_HTTP2_AUTO), 20);
        (void)skua_sleep(MS(5));
    }
    CHECK_EQ(client_stats(client).streams_now, 0);
    CHECK_EQ(skua_http_client_free(client), 0);
    skua_tls_context_free(context);
    return 0;
}

TEST_FIBER_CURRENT(http2_judged_by_node)
{
    struct judge judge;

    if (!installed("node"))
        return 0;
    judge_begin(&judge, NODE_SERVER);
    judge_hears(&judge);
    secure_run(asks_node, &judge);
    judge_end(&judge);
    return 0;
}

/* A port that nobody has just now: nghttpd does not tell its own. */
static int free_port(void)
{
    char address[SKUA_ADDRESS_MAX];
    skua_listener *listener = test_listen(address);

    CHECK_EQ(skua_listener_close(listener), 0);
    return test_port(address);
}

TEST_FIBER_CURRENT(http2_judged_by_nghttpd)
{
    skua_http_client *client = client_with(
        SKUA_HTTP_CLIENT_OPTIONS(.http2 = SKUA_HTTP2_ONLY, .total_timeout = 20 * SKUA_SECOND));
    int64_t deadline = skua_now() + 15 * SKUA_SECOND;
    char command[256], url[64];
    skua_http_response *response;
    struct judge judge;
    int port;

    if (!installed("nghttpd")) {
        CHECK_EQ(skua_http_client_free(client), 0);
        return 0;
    }
    port = free_port();
    (void)snprintf(command, sizeof command,
                   "nghttpd -a 127.0.0.1 -m 2 --echo-upload --trailer x-sum:1 -d . --no-tls %d",
                   port);
    judge_begin(&judge, command);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/key.pem", port);
    while (gets_(client, url, certs()->address->key) != 200 && skua_now() < deadline)
        (void)skua_sleep(MS(20));
    for (int i = 0; i < 4; i++) {
        MUST(skua_http_post(client, url, NULL, certs()->address->chain,
                            strlen(certs()->address->chain), 10000, &response) == 0);
        CHECK_TEXT(skua_http_response_body(response, NULL), certs()->address->chain);
        skua_http_response_close(response);
    }
    CHECK_EQ(client_stats(client).connections, 1);
    CHECK_EQ(skua_http_client_free(client), 0);
    judge_end(&judge);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_http2_is_agreed_on),  cmocka_unit_test(tls_http2_is_shared),
        cmocka_unit_test(http2_on_threads),        cmocka_unit_test(http2_judged_by_node),
        cmocka_unit_test(http2_judged_by_nghttpd),
    };

    return TEST_MAIN(tests);
}
