/* tls_pair.h - two ends of TLS in one test, over a connection in memory.
 *
 *     struct tls_pair pair = {.server = SERVER(certs()->a), .client = CLIENT(), .host = "a.test"};
 *
 *     pair_open(&pair);                  // both handshakes, in fibers of their own
 *     CHECK_EQ(pair.client_rc, 0);
 *     pair_close(&pair);
 *
 * OpenSSL needs stack: tests do what they do in pair_run, a fiber that has it.
 */
#ifndef SKUA_TESTS_TLS_PAIR_H
#define SKUA_TESTS_TLS_PAIR_H

#include <skua/http/tls.h>

#include "../lib/part.h"
#include "certs.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define SERVER(cert, ...)                                                                          \
    SKUA_TLS_CONTEXT_OPTIONS(.certificate = (cert)->chain, .key = (cert)->key, __VA_ARGS__)
#define CLIENT(...) SKUA_TLS_CONTEXT_OPTIONS(.ca = certs()->ca->chain, __VA_ARGS__)

struct tls_pair {
    const skua_tls_context_options *server, *client; /* of contexts that pair_contexts makes */
    const char *host;                                /* NULL: a.test */
    size_t capacity;                                 /* of the connection; 0: 4096 */
    skua_tls_context *server_context, *client_context;
    skua_duplex *client_end, *server_end;
    skua_tls *client_tls, *server_tls;
    int client_rc, server_rc;
    skua_tls_info client_info, server_info;
};

static inline void pair_contexts(struct tls_pair *pair)
{
    MUST(skua_tls_context_new(&pair->server_context, SKUA_TLS_SERVER, pair->server) == 0);
    MUST(skua_tls_context_new(&pair->client_context, SKUA_TLS_CLIENT, pair->client) == 0);
}

static inline void pair_contexts_free(struct tls_pair *pair)
{
    skua_tls_context_free(pair->server_context);
    skua_tls_context_free(pair->client_context);
}

static inline int pair_accept(void *arg)
{
    struct tls_pair *pair = arg;

    pair->server_rc = skua_tls_accept(&pair->server_tls, pair->server_context,
                                      skua_duplex_io(pair->server_end), SKUA_FOREVER);
    if (pair->server_rc != 0) /* the client sees the end */
        (void)skua_duplex_shutdown(pair->server_end);
    else
        CHECK_EQ(skua_tls_info_of(pair->server_tls, &pair->server_info), 0);
    return 0;
}

static inline int pair_connect(void *arg)
{
    struct tls_pair *pair = arg;

    pair->client_rc =
        skua_tls_connect(&pair->client_tls, pair->client_context, skua_duplex_io(pair->client_end),
                         pair->host != NULL ? pair->host : "a.test", SKUA_FOREVER);
    if (pair->client_rc != 0)
        (void)skua_duplex_shutdown(pair->client_end);
    else
        CHECK_EQ(skua_tls_info_of(pair->client_tls, &pair->client_info), 0);
    return 0;
}

/* Two fibers with enough stack, to their ends. */
static inline void pair_both(skua_fiber_fn a, skua_fiber_fn b, void *arg)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, a, arg, .stack = SKUA_STACK_LARGE) == 0);
    MUST(skua_spawn(&scope, b, arg, .stack = SKUA_STACK_LARGE) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
}

/* One. */
static inline void pair_run(skua_fiber_fn fn, void *arg)
{
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, fn, arg, .stack = SKUA_STACK_LARGE) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
}

/* A connection of the contexts that there are. */
static inline void pair_shake(struct tls_pair *pair)
{
    MUST(skua_duplex_new(&pair->client_end, &pair->server_end,
                         pair->capacity != 0 ? pair->capacity : 4096) == 0);
    memset(&pair->client_info, 0, sizeof pair->client_info);
    memset(&pair->server_info, 0, sizeof pair->server_info);
    pair_both(pair_accept, pair_connect, pair);
}

static inline void pair_hang_up(struct tls_pair *pair)
{
    skua_tls_close(pair->client_tls);
    skua_tls_close(pair->server_tls);
    skua_duplex_close(pair->client_end);
    skua_duplex_close(pair->server_end);
}

static inline void pair_open(struct tls_pair *pair)
{
    pair_contexts(pair);
    pair_shake(pair);
}

static inline void pair_close(struct tls_pair *pair)
{
    pair_hang_up(pair);
    pair_contexts_free(pair);
}

#endif
