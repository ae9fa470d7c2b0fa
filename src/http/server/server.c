/* server.c - a server: options, what it accepts, its connections, and how it stops.
 *
 * Connections  each is a fiber in the scope of the fiber that accepts. That scope is not cancelled
 *              with its opener, but only when the drain is over: what is under way may end.
 * Idle         a connection says when it begins to wait for a request, and when one has come. Who
 *              stops the server says so, then cancels those that are idle; a request that came
 *              first is served, and its answer says that it is the last. Nobody but a connection
 *              closes its socket: a handle that is closed may be another socket's by the time that
 *              its fiber, which was about to wait, comes to use it.
 *
 *                  stopper                       connection
 *                  stopping = true               state = IDLE
 *                  state: IDLE -> STOPPED        stopping?
 *
 *              Both sides are sequentially consistent: at least one of them sees the other. Who
 *              takes the state out of IDLE decides whether the connection goes on.
 * Peers        connections hang in chains by the address that they come from, too, so that those of
 *              one can be counted; only where they are limited.
 * Counts       each connection's own, relaxed: a question adds them up under the lock.
 * Lock         the server's mutex guards the list. It is held for a few instructions, but for a
 *              stop and a question.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <skua/notify.h>
#include <skua/runtime.h>
#include <skua/sync.h>
#include <skua/task.h>

#include "http/h1/h1_impl.h"

/* After an accept that failed for want of memory. */
#define SERVER_PAUSE (10 * SKUA_MILLISECOND)
/* Chains of peers; a power of two. */
#define SERVER_CHAINS 1024u

enum { SERVER_BUSY, SERVER_IDLE, SERVER_STOPPED };

/* One fiber that accepts. */
struct server_run {
    skua_http_server *server; /* constant */
    atomic_bool stopping;     /* seq_cst, see above */
    skua_runtime *runtime;    /* constant */
    atomic_size_t open;       /* connections; the last one wakes; acquire, release */
    skua_notify ended;        /* a connection has ended */
    skua_scope scope;         /* of the connections */
};

struct server_connection {
    struct server_connection *next, **link; /* guard: the server's mutex */
    struct server_run *run;                 /* constant */
    skua_tcp *tcp;                          /* its fiber's, which closes it */
    skua_task_id id;                        /* its fiber's; set before it is idle */
    atomic_int state;                       /* seq_cst, see above */
    _Atomic uint64_t begun, done, refused;  /* requests; its fiber's; a question reads, relaxed */
    struct server_connection *peer_next;    /* in its chain; guard: the mutex */
    struct server_connection **peer_link;   /* NULL: in none; guard: the mutex */
    size_t host_len;                        /* of peer, without the port; constant */
    char peer[SKUA_ADDRESS_MAX];            /* constant */
};

struct skua_http_server {
    skua_http_server_options options; /* constant */
    skua_http_handler handler;        /* constant */
    void *state;                      /* constant */
    skua_semaphore room;              /* of connections */
    pthread_mutex_t mutex;
    struct server_connection *list;    /* guard: mutex */
    struct server_connection **chains; /* SERVER_CHAINS of them; NULL: no limit; guard: mutex */
    skua_http_server_stats past;       /* of connections that have ended; guard: mutex */
};

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
        ret->connections_max > UINT32_MAX / 2 || ret->head_timeout < 0 || ret->body_timeout < 0 ||
        ret->write_timeout < 0 || ret->idle_timeout < 0 || ret->handler_timeout < 0 ||
        ret->drain_timeout < 0 || ret->tls_timeout < 0)
        return -EINVAL;
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
        server->chains = skua__http_malloc(SERVER_CHAINS * sizeof *server->chains);
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

static uint64_t server_count(_Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void server_add(skua_http_server_stats *stats, struct server_connection *connection)
{
    uint64_t done = server_count(&connection->done); /* before begun: it is never more */
    uint64_t begun = server_count(&connection->begun);

    stats->requests += begun;
    stats->requests_now += begun > done ? begun - done : 0;
    stats->refused += server_count(&connection->refused);
}

void skua_http_server_stats_of(skua_http_server *server, skua_http_server_stats *ret)
{
    pthread_mutex_lock(&server->mutex);
    *ret = server->past;
    for (struct server_connection *at = server->list; at != NULL; at = at->next)
        server_add(ret, at);
    pthread_mutex_unlock(&server->mutex);
}

/* ---- a connection ---------------------------------------------------------------------------- */

/* Into the chain of its address; false: there are as many from there as may be. Under the mutex. */
static bool server_chain(skua_http_server *server, struct server_connection *self)
{
    struct server_connection **chain;
    uint32_t hash = 2166136261u;
    size_t others = 0;

    if (server->chains == NULL || self->host_len == 0)
        return true;
    for (size_t i = 0; i < self->host_len; i++)
        hash = (hash ^ (unsigned char)self->peer[i]) * 16777619u;
    chain = &server->chains[(hash ^ hash >> 16) % SERVER_CHAINS];
    for (const struct server_connection *at = *chain; at != NULL; at = at->peer_next)
        others += at->host_len == self->host_len && memcmp(at->peer, self->peer, at->host_len) == 0;
    if (others >= server->options.peer_max)
        return false;
    self->peer_next = *chain;
    self->peer_link = chain;
    if (self->peer_next != NULL)
        self->peer_next->peer_link = &self->peer_next;
    *chain = self;
    return true;
}

/* False: it is one too many from where it comes. */
static bool server_list(skua_http_server *server, struct server_connection *self)
{
    pthread_mutex_lock(&server->mutex);
    if (!server_chain(server, self)) {
        server->past.turned_away++;
        pthread_mutex_unlock(&server->mutex);
        return false;
    }
    self->next = server->list;
    self->link = &server->list;
    if (self->next != NULL)
        self->next->link = &self->next;
    server->list = self;
    server->past.connections++;
    server->past.connections_now++;
    pthread_mutex_unlock(&server->mutex);
    return true;
}

static void server_unlist(skua_http_server *server, struct server_connection *self)
{
    pthread_mutex_lock(&server->mutex);
    *self->link = self->next;
    if (self->next != NULL)
        self->next->link = self->link;
    if (self->peer_link != NULL) {
        *self->peer_link = self->peer_next;
        if (self->peer_next != NULL)
            self->peer_next->peer_link = self->peer_link;
    }
    server->past.connections_now--;
    atomic_store_explicit(&self->done, server_count(&self->begun), memory_order_relaxed);
    server_add(&server->past, self);
    pthread_mutex_unlock(&server->mutex);
}

/* One more of the connection's own counts. */
static void server_bump(_Atomic uint64_t *count)
{
    atomic_store_explicit(count, server_count(count) + 1, memory_order_relaxed);
}

static bool server_idle(void *arg, bool idle)
{
    struct server_connection *self = arg;
    int was = SERVER_IDLE;

    if (idle) {
        atomic_store(&self->state, SERVER_IDLE);
        if (!atomic_load(&self->run->stopping))
            return true;
        (void)atomic_compare_exchange_strong(&self->state, &was, SERVER_BUSY);
        return false;
    }
    return atomic_compare_exchange_strong(&self->state, &was, SERVER_BUSY);
}

static bool server_last(void *arg)
{
    struct server_connection *self = arg;
    size_t most = self->run->server->options.requests_max;

    return atomic_load(&self->run->stopping) || (most != 0 && server_count(&self->begun) >= most);
}

static void server_refused(void *arg)
{
    struct server_connection *self = arg;

    server_bump(&self->refused);
}

static int server_readable(void *arg, int64_t deadline)
{
    struct server_connection *self = arg;
    skua_tcp_future readable;

    return (int)skua_await_until(skua_tcp_readable_init(&readable, self->tcp), deadline);
}

static const struct skua__h1_watch server_watch = {.idle = server_idle,
                                                   .last = server_last,
                                                   .refused = server_refused,
                                                   .readable = server_readable};

/* Around the user's: counts. */
static int server_handle(skua_http_exchange *exchange, void *arg)
{
    struct server_connection *self = arg;
    skua_http_server *server = self->run->server;
    int rc;

    server_bump(&self->begun);
    rc = server->handler(exchange, server->state);
    server_bump(&self->done);
    return rc;
}

/* The connection has ended; or never began. */
static void server_drop(void *arg)
{
    struct server_connection *self = arg;
    struct server_run *run = self->run;
    skua_http_server *server = run->server;

    server_unlist(server, self); /* from here on nobody stops it */
    (void)skua_tcp_close(self->tcp);
    skua__http_free(self);
    (void)skua_semaphore_release(&server->room, 1);
    /* Release pairs with the acquire in server_drain. */
    atomic_fetch_sub_explicit(&run->open, 1, memory_order_release);
    skua_notify_one(&run->ended); /* the run waits for this fiber's end, too */
}

static void server_speak(struct server_connection *self, skua_io io, bool secure)
{
    struct skua__h1 h1;

    if (skua__h1_init(&h1, io, &self->run->server->options) == 0) {
        skua__h1_watch_by(&h1, &server_watch, self);
        h1.exchange.secure = secure;
        h1.exchange.peer = self->peer;
        (void)skua__h1_serve(&h1, server_handle, self);
        skua__h1_free(&h1);
    }
}

/* What TLS reads and writes: a record may take it several calls, and a socket that was closed in
 * between is not touched again. */
static ssize_t server_tls_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct server_connection *self = object;

    if (atomic_load(&self->state) == SERVER_STOPPED)
        return SKUA_ECLOSED;
    return skua_tcp_read_until(self->tcp, buf, len, deadline);
}

static ssize_t server_tls_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct server_connection *self = object;

    if (atomic_load(&self->state) == SERVER_STOPPED)
        return SKUA_ECLOSED;
    return skua_io_write_until(skua_tcp_io(self->tcp), buf, len, deadline);
}

static int server_tls_shutdown(void *object)
{
    struct server_connection *self = object;

    return atomic_load(&self->state) == SERVER_STOPPED ? SKUA_ECLOSED
                                                       : skua_tcp_shutdown(self->tcp);
}

static void server_speak_tls(struct server_connection *self)
{
    static const skua_io_ops ops = {.name = "server.tls",
                                    .read = server_tls_read,
                                    .write = server_tls_write,
                                    .shutdown = server_tls_shutdown};
    const skua_http_server_options *options = &self->run->server->options;
    skua_io under = {&ops, self};
    skua_deadline frame;
    skua_tls *tls;
    bool ours;
    int rc;

    if (!server_idle(self, true)) /* a stop does not wait for handshakes */
        return;
    rc = skua_tls_accept(&tls, options->tls, under, skua__h1_deadline(options->tls_timeout));
    ours = server_idle(self, false);
    if (ours && rc != 0) {
        server_bump(&self->refused);
    } else if (ours) {
        server_speak(self, skua_tls_io(tls), true);
        (void)server_idle(self, false); /* still ours, or the stopper's, who has closed it */
        if (skua_deadline_begin(&frame, skua__h1_deadline(options->write_timeout)) == 0)
            (void)skua_io_shutdown(skua_tls_io(tls)); /* or the client takes the end for a cut */
        (void)skua_deadline_end(&frame);
    }
    skua_tls_close(tls);
}

static int server_connection(void *arg)
{
    struct server_connection *self = arg;

    self->id = skua_task_current_id();
    if (self->run->server->options.tls != NULL)
        server_speak_tls(self);
    else
        server_speak(self, skua_tcp_io(self->tcp), false);
    server_drop(self);
    return 0;
}

/* The socket is the connection's from here on, whatever happens. */
static int server_begin(struct server_run *run, skua_tcp *tcp)
{
    struct server_connection *self = skua__http_malloc(sizeof *self);
    const char *port;
    int rc;

    if (self == NULL) {
        (void)skua_tcp_close(tcp);
        (void)skua_semaphore_release(&run->server->room, 1);
        return -ENOMEM;
    }
    self->run = run;
    self->tcp = tcp;
    atomic_init(&self->state, SERVER_BUSY);
    if (skua_tcp_peer_address(tcp, self->peer, sizeof self->peer) != 0)
        self->peer[0] = '\0';
    port = strrchr(self->peer, ':'); /* none: a Unix socket's */
    self->host_len = port != NULL && self->peer[0] != '/' && self->peer[0] != '@'
                         ? (size_t)(port - self->peer)
                         : 0;
    if (!server_list(run->server, self)) {
        (void)skua_tcp_close(tcp);
        skua__http_free(self);
        (void)skua_semaphore_release(&run->server->room, 1);
        return 0;
    }
    atomic_fetch_add_explicit(&run->open, 1, memory_order_relaxed); /* of the same fiber */
    rc = skua_spawn(
        &run->scope, server_connection, self, .name = "http.connection", .drop = server_drop,
        .stack = run->server->options.tls != NULL ? SKUA_STACK_LARGE : SKUA_STACK_DEFAULT);
    if (rc != 0)
        server_drop(self);
    return rc;
}

/* ---- running --------------------------------------------------------------------------------- */

/* No more requests: idle connections end. */
static void server_quiesce(struct server_run *run)
{
    skua_http_server *server = run->server;

    atomic_store(&run->stopping, true);
    pthread_mutex_lock(&server->mutex);
    for (struct server_connection *at = server->list; at != NULL; at = at->next) {
        int was = SERVER_IDLE;

        if (at->run == run && atomic_compare_exchange_strong(&at->state, &was, SERVER_STOPPED))
            (void)skua_task_cancel_id(run->runtime, at->id);
    }
    pthread_mutex_unlock(&server->mutex);
}

/* Waits until the last connection has ended; cancels what is left at the deadline. */
static void server_drain(struct server_run *run)
{
    int64_t deadline = skua__h1_deadline(run->server->options.drain_timeout);
    int rc = 0;

    (void)skua_shield_begin();
    server_quiesce(run);
    while (atomic_load_explicit(&run->open, memory_order_acquire) != 0 && rc == 0)
        rc = skua_notified_until(&run->ended, deadline);
    if (rc != 0)
        (void)skua_scope_cancel(&run->scope);
    (void)skua_scope_join(&run->scope);
    (void)skua_shield_end();
}

/* One connection, within the limit. */
static int server_accept(struct server_run *run, skua_listener *listener)
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
    rc = server_begin(run, tcp);
    return rc == -ENOMEM || rc == SKUA_ELIMIT ? skua_sleep(SERVER_PAUSE) : rc;
}

int skua_http_server_run(skua_http_server *server, skua_listener *listener)
{
    struct server_run run = {
        .server = server, .runtime = skua_runtime_current(), .ended = SKUA_NOTIFY_INIT};
    int rc = skua_scope_open(&run.scope, SKUA_COLLECT);

    if (rc != 0)
        return rc;
    while ((rc = server_accept(&run, listener)) == 0)
        ;
    server_drain(&run);
    return rc;
}

static bool server_always(void *arg, bool idle)
{
    (void)arg;
    (void)idle;
    return true;
}

int skua_http_server_serve(skua_http_server *server, skua_io io, const char *peer)
{
    static const struct skua__h1_watch watch = {
        .idle = server_always, .last = server_last, .refused = server_refused};
    struct server_run run = {.server = server, .ended = SKUA_NOTIFY_INIT};
    struct server_connection self = {.run = &run};
    struct skua__h1 h1;
    int rc = skua__h1_init(&h1, io, &server->options);

    if (rc != 0)
        return rc;
    skua__h1_watch_by(&h1, &watch, &self);
    if (peer != NULL)
        h1.exchange.peer = peer;
    (void)server_list(server, &self);
    rc = skua__h1_serve(&h1, server_handle, &self);
    server_unlist(server, &self);
    skua__h1_free(&h1);
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
#undef SERVER_CHAINS
