/* server.c - a server: its options, what it accepts, and how it stops.
 *
 * Connections  each is a fiber in the scope of the fiber that accepts. That scope is not cancelled
 *              with its opener, but only when the drain is over: what is under way may end.
 */
#include "http/server/server_impl.h"

/* After an accept that failed for want of memory. */
#define SERVER_PAUSE (10 * SKUA_MILLISECOND)

/* ---- options --------------------------------------------------------------------------------- */

void skua_http_server_options_init(skua_http_server_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static void server_default(int64_t *option, int64_t value)
{
    if (*option == 0)
        *option = value;
}

static int server_options(skua_http_server_options *ret, const skua_http_server_options *given)
{
    skua_http_server_options_init(ret);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        *ret = *given;
    if (ret->head_max == 0)
        ret->head_max = (size_t)16 * 1024;
    if (ret->headers_max == 0)
        ret->headers_max = 100;
    if (ret->connections_max == 0)
        ret->connections_max = 10000;
    if (ret->streams_max == 0)
        ret->streams_max = 128;
    if (ret->stream_window == 0)
        ret->stream_window = 128 * 1024;
    server_default(&ret->body_max, (int64_t)1 << 20);
    server_default(&ret->body_rate_min, 240);
    server_default(&ret->head_timeout, 10 * SKUA_SECOND);
    server_default(&ret->body_timeout, 30 * SKUA_SECOND);
    server_default(&ret->write_timeout, 30 * SKUA_SECOND);
    server_default(&ret->idle_timeout, 75 * SKUA_SECOND);
    server_default(&ret->handler_timeout, SKUA_FOREVER);
    server_default(&ret->drain_timeout, 10 * SKUA_SECOND);
    server_default(&ret->tls_timeout, 10 * SKUA_SECOND);
    if (ret->head_max < 256 || ret->head_max > UINT32_MAX / 2 || ret->body_max < -1 ||
        ret->body_rate_min < -1 || ret->body_rate_min > INT32_MAX ||
        ret->streams_max > INT32_MAX / 8 || ret->stream_window < 16 * 1024 ||
        ret->stream_window > 16 * 1024 * 1024 || ret->http2 < -1 || ret->http2 > 1 ||
        ret->connections_max > UINT32_MAX / 2 || ret->head_timeout < 0 || ret->body_timeout < 0 ||
        ret->write_timeout < 0 || ret->idle_timeout < 0 || ret->handler_timeout < 0 ||
        ret->drain_timeout < 0 || ret->tls_timeout < 0)
        return -EINVAL;
    if (ret->http2 > 0 && !skua__h2s_there())
        return -ENOTSUP;
    return ret->server_name == NULL ||
                   skua__http_is_value(ret->server_name, strlen(ret->server_name))
               ? 0
               : -EINVAL;
}

int skua_http_server_new(skua_http_server **ret, skua_http_handler handler, void *state,
                         const skua_http_server_options *given)
{
    skua_http_server_options options;
    skua_http_server *server;
    int rc = handler != NULL ? server_options(&options, given) : -EINVAL;

    if (rc != 0)
        return rc;
    server = skua__http_malloc(sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->options = options;
    if (options.server_name != NULL) {
        size_t len = strlen(options.server_name) + 1;
        char *name = skua__http_malloc(len);

        if (name == NULL) {
            skua__http_free(server);
            return -ENOMEM;
        }
        server->options.server_name = memcpy(name, options.server_name, len);
    }
    if (options.peer_max != 0) {
        server->chains = skua__http_malloc(SKUA__SERVER_CHAINS * sizeof *server->chains);
        if (server->chains == NULL) {
            skua__http_free((char *)(uintptr_t)server->options.server_name);
            skua__http_free(server);
            return -ENOMEM;
        }
    }
    server->handler = handler;
    server->state = state;
    (void)skua_semaphore_init(&server->room, (uint32_t)options.connections_max);
    (void)pthread_mutex_init(&server->mutex, NULL);
    *ret = server;
    return 0;
}

void skua_http_server_free(skua_http_server *server)
{
    if (server == NULL)
        return;
    (void)pthread_mutex_destroy(&server->mutex);
    skua__http_free((char *)(uintptr_t)server->options.server_name);
    skua__http_free(server->chains);
    skua__http_free(server);
}

void skua_http_server_stats_of(skua_http_server *server, skua_http_server_stats *ret)
{
    pthread_mutex_lock(&server->mutex);
    *ret = server->past;
    for (struct skua__server_connection *at = server->list; at != NULL; at = at->next)
        skua__server_add(ret, at);
    pthread_mutex_unlock(&server->mutex);
}

/* ---- running --------------------------------------------------------------------------------- */

/* No more requests: idle connections end. */
static void server_quiesce(struct skua__server_run *run)
{
    skua_http_server *server = run->server;

    atomic_store(&run->stopping, true);
    pthread_mutex_lock(&server->mutex);
    for (struct skua__server_connection *at = server->list; at != NULL; at = at->next) {
        int was = SKUA__SERVER_IDLE;

        if (at->run == run && at->told != NULL)
            skua_notify_one(at->told);
        else if (at->run == run &&
                 atomic_compare_exchange_strong(&at->state, &was, SKUA__SERVER_STOPPED))
            (void)skua_task_cancel_id(run->runtime, at->id);
    }
    pthread_mutex_unlock(&server->mutex);
}

/* Waits until the last connection has ended; cancels what is left at the deadline. */
static void server_drain(struct skua__server_run *run)
{
    int64_t deadline = skua__http_deadline(run->server->options.drain_timeout, SKUA_FOREVER);
    int rc = 0;

    (void)skua_shield_begin();
    if (run->server->options.on_stop != NULL)
        run->server->options.on_stop(run->server->options.stop_arg);
    server_quiesce(run);
    while (atomic_load_explicit(&run->open, memory_order_acquire) != 0 && rc == 0)
        rc = skua_notified_until(&run->ended, deadline);
    if (rc != 0)
        (void)skua_scope_cancel(&run->scope);
    (void)skua_scope_join(&run->scope);
    (void)skua_shield_end();
}

/* One connection, within the limit. */
static int server_accept(struct skua__server_run *run, skua_listener *listener)
{
    skua_http_server *server = run->server;
    skua_tcp *tcp;
    int rc = skua_semaphore_acquire(&server->room, 1);

    if (rc != 0)
        return rc;
    rc = skua_tcp_accept(listener, &tcp);
    if (rc != 0) {
        (void)skua_semaphore_release(&server->room, 1);
        return rc;
    }
    rc = skua__server_begin(run, tcp);
    return rc == -ENOMEM || rc == SKUA_ELIMIT ? skua_sleep(SERVER_PAUSE) : rc;
}

int skua_http_server_run(skua_http_server *server, skua_listener *listener)
{
    struct skua__server_run run = {
        .server = server, .runtime = skua_runtime_current(), .ended = SKUA_NOTIFY_INIT};
    int rc = skua_scope_open(&run.scope, SKUA_COLLECT);

    if (rc != 0)
        return rc;
    while ((rc = server_accept(&run, listener)) == 0)
        ;
    server_drain(&run);
    return rc;
}

int skua_http_serve(const char *address, skua_http_handler handler, void *state,
                    const skua_http_server_options *options)
{
    skua_http_server *server;
    skua_listener *listener;
    int rc = skua_http_server_new(&server, handler, state, options);

    if (rc != 0)
        return rc;
    rc = skua_tcp_listen(&listener, address, NULL);
    if (rc == 0) {
        rc = skua_http_server_run(server, listener);
        (void)skua_listener_close(listener);
    }
    skua_http_server_free(server);
    return rc;
}

#undef SERVER_PAUSE
