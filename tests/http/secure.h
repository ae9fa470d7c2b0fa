/* secure.h - for the tests of the client over TLS: servers of ours, and scripts that speak TLS.
 *
 * OpenSSL needs stack: tests do what they do in secure_run, a fiber that has it.
 */
#ifndef SKUA_TESTS_SECURE_H
#define SKUA_TESTS_SECURE_H

#include <unistd.h>

#include <skua/unix.h>

#include "peer.h"
#include "tls_pair.h"

#ifdef EKEYREJECTED
#define REJECTED (-EKEYREJECTED)
#else
#define REJECTED (-EACCES)
#endif

static inline void secure_run(skua_fiber_fn fn, void *arg)
{
    skua_task *task;
    int result = 1;

    MUST(skua_spawn(NULL, fn, arg, .task = &task, .stack = SKUA_STACK_LARGE) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
}

/* ---- a server of ours, on a Unix socket: any name leads there -------------------------------- */

struct secure {
    struct site site;
    skua_tls_context *context;
    char path[64];
};

static inline void secure_begin_on(struct secure *secure, const skua_tls_context_options *options,
                                   skua_http_handler handler, void *state)
{
    MUST(skua_tls_context_new(&secure->context, SKUA_TLS_SERVER, options) == 0);
    MUST(skua_http_server_new(&secure->site.server, handler, state,
                              SKUA_HTTP_SERVER_OPTIONS(.tls = secure->context)) == 0);
    MUST(skua_spawn(NULL, site_run, &secure->site, .task = &secure->site.task) == 0);
}

static inline void secure_begin(struct secure *secure, const skua_tls_context_options *options,
                                skua_http_handler handler, void *state)
{
    static atomic_int names;

    (void)snprintf(secure->path, sizeof secure->path, "@skua-tls-client-%d-%d", (int)getpid(),
                   atomic_fetch_add(&names, 1));
    MUST(skua_unix_listen(&secure->site.listener, secure->path, NULL) == 0);
    secure_begin_on(secure, options, handler, state);
}

/* The same at "https://127.0.0.1:port". */
static inline void secure_begin_tcp(struct secure *secure, const skua_tls_context_options *options,
                                    skua_http_handler handler, void *state)
{
    struct site *site = &secure->site;

    site->listener = test_listen(site->address);
    (void)snprintf(site->url, sizeof site->url, "https://%s", site->address);
    secure_begin_on(secure, options, handler, state);
}

static inline void secure_end(struct secure *secure)
{
    site_end(&secure->site);
    skua_tls_context_free(secure->context);
}

/* ---- a peer that speaks TLS by a script ------------------------------------------------------ */

enum end { SAYS_IT, CUTS };

struct script {
    skua_listener *listener;
    skua_tls_context *context;
    char url[SKUA_ADDRESS_MAX + 16];
    const char *text; /* is said to each request's head, on a connection of its own */
    enum end end;
    skua_task *task;
};

static inline void script_one(struct script *script, skua_tcp *tcp)
{
    char heard[4096] = "";
    size_t len = 0;
    skua_tls *tls;
    ssize_t n = 1;

    if (skua_tls_accept(&tls, script->context, skua_tcp_io(tcp), SKUA_FOREVER) == 0) {
        while (n > 0 && strstr(heard, "\r\n\r\n") == NULL) {
            n = skua_io_read(skua_tls_io(tls), heard + len, sizeof heard - 1 - len);
            len += n > 0 ? (size_t)n : 0;
            heard[len] = '\0';
        }
        (void)skua_io_write_all(skua_tls_io(tls), script->text, strlen(script->text));
        if (script->end == SAYS_IT)
            (void)skua_io_shutdown(skua_tls_io(tls));
        else
            (void)skua_tcp_shutdown(tcp);
        while (skua_tcp_read(tcp, heard, sizeof heard) > 0) /* so that no reset overtakes it */
            ;
    }
    skua_tls_close(tls);
}

static inline int script_run(void *arg)
{
    struct script *script = arg;
    skua_tcp *tcp;

    while (skua_tcp_accept(script->listener, &tcp) == 0) {
        script_one(script, tcp);
        CHECK_EQ(skua_tcp_close(tcp), 0);
    }
    return 0;
}

static inline void script_begin(struct script *script)
{
    char address[SKUA_ADDRESS_MAX];

    script->listener = test_listen(address);
    (void)snprintf(script->url, sizeof script->url, "https://%s", address);
    MUST(skua_tls_context_new(&script->context, SKUA_TLS_SERVER, SERVER(certs()->address)) == 0);
    MUST(skua_spawn(NULL, script_run, script, .task = &script->task, .stack = SKUA_STACK_LARGE) ==
         0);
}

static inline void script_end(struct script *script)
{
    (void)skua_task_cancel(script->task);
    CHECK_EQ(skua_task_join(script->task, NULL), 0);
    CHECK_EQ(skua_listener_close(script->listener), 0);
    skua_tls_context_free(script->context);
}

/* ---- the client ------------------------------------------------------------------------------ */

static inline skua_tls_context *trusts(const skua_tls_context_options *options)
{
    skua_tls_context *context;

    MUST(skua_tls_context_new(&context, SKUA_TLS_CLIENT, options) == 0);
    return context;
}

/* The status of a GET, or the error, with its text. */
static inline int gets_text(skua_http_client *client, skua_http_request request, char text[200])
{
    skua_http_response *response;
    int rc;

    request.error_text = text;
    request.error_size = 200;
    rc = skua_http_client_send(client, &request, &response);
    if (rc != 0)
        return rc;
    CHECK(*text == '\0');
    rc = skua_http_response_read_all(response, NULL, NULL, 1 << 20);
    if (rc == 0)
        rc = skua_http_response_status(response);
    skua_http_response_close(response);
    return rc;
}

#endif
