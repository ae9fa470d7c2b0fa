/* server_connection.c - a connection: listed, served by its fiber, counted, closed.
 *
 * Life       listed by who accepts -> its fiber: a handshake where there is TLS, then requests
 *            until the end -> off the list, closed, and the fiber that accepts is told
 */
#include "http/server/server_impl.h"

/* ---- counts ---------------------------------------------------------------------------------- */

static uint64_t server_count(_Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

void skua__server_add(skua_http_server_stats *stats, struct skua__server_connection *connection)
{
    uint64_t done = server_count(&connection->done); /* before begun: it is never more */
    uint64_t begun = server_count(&connection->begun);

    stats->requests += begun;
    stats->requests_now += begun > done ? begun - done : 0;
    stats->refused += server_count(&connection->refused);
}

/* ---- a connection ---------------------------------------------------------------------------- */

/* Into the chain of its address; false: there are as many from there as may be. Under the mutex. */
static bool server_chain(skua_http_server *server, struct skua__server_connection *self)
{
    struct skua__server_connection **chain;
    uint32_t hash = 2166136261u;
    size_t others = 0;

    if (server->chains == NULL || self->host_len == 0)
        return true;
    for (size_t i = 0; i < self->host_len; i++)
        hash = (hash ^ (unsigned char)self->peer[i]) * 16777619u;
    chain = &server->chains[(hash ^ hash >> 16) % SKUA__SERVER_CHAINS];
    for (const struct skua__server_connection *at = *chain; at != NULL; at = at->peer_next)
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
static bool server_list(skua_http_server *server, struct skua__server_connection *self)
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

static void server_unlist(skua_http_server *server, struct skua__server_connection *self)
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
    skua__server_add(&server->past, self);
    pthread_mutex_unlock(&server->mutex);
}

/* One more of the connection's own counts. */
static void server_bump(_Atomic uint64_t *count)
{
    atomic_store_explicit(count, server_count(count) + 1, memory_order_relaxed);
}

static bool server_idle(void *arg, bool idle)
{
    struct skua__server_connection *self = arg;
    int was = SKUA__SERVER_IDLE;

    if (idle) {
        atomic_store(&self->state, SKUA__SERVER_IDLE);
        if (!atomic_load(&self->run->stopping))
            return true;
        (void)atomic_compare_exchange_strong(&self->state, &was, SKUA__SERVER_BUSY);
        return false;
    }
    return atomic_compare_exchange_strong(&self->state, &was, SKUA__SERVER_BUSY);
}

static bool server_last(void *arg)
{
    struct skua__server_connection *self = arg;
    size_t most = self->run->server->options.requests_max;

    return atomic_load(&self->run->stopping) || (most != 0 && server_count(&self->begun) >= most);
}

static void server_refused(void *arg)
{
    struct skua__server_connection *self = arg;

    server_bump(&self->refused);
}

static int server_readable(void *arg, int64_t deadline)
{
    struct skua__server_connection *self = arg;
    skua_tcp_future readable;

    return (int)skua_await_until(skua_tcp_readable_init(&readable, self->tcp), deadline);
}

static int64_t server_sendfile(void *arg, int file, int64_t *offset, int64_t count)
{
    struct skua__server_connection *self = arg;

    return skua_tcp_sendfile(self->tcp, file, offset, count);
}

static const struct skua__h1_watch server_watch = {.idle = server_idle,
                                                   .last = server_last,
                                                   .refused = server_refused,
                                                   .readable = server_readable,
                                                   .sendfile = server_sendfile};
/* What TLS has taken from the socket already is not seen by a look at that. */
static const struct skua__h1_watch server_watch_tls = {
    .idle = server_idle, .last = server_last, .refused = server_refused};

/* Around the user's: counts. */
static int server_handle(skua_http_exchange *exchange, void *arg)
{
    struct skua__server_connection *self = arg;
    skua_http_server *server = self->run->server;
    int rc;

    server_bump(&self->begun);
    rc = server->handler(exchange, server->state);
    server_bump(&self->done);
    return rc;
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------- */

/* As server_handle and server_refused; by the fibers of a connection. */
static int server_handle_http2(skua_http_exchange *exchange, void *arg)
{
    struct skua__server_connection *self = arg;
    skua_http_server *server = self->run->server;
    int rc;

    (void)atomic_fetch_add_explicit(&self->begun, 1, memory_order_relaxed);
    rc = server->handler(exchange, server->state);
    (void)atomic_fetch_add_explicit(&self->done, 1, memory_order_relaxed);
    return rc;
}

static void server_refused_http2(void *arg)
{
    struct skua__server_connection *self = arg;

    (void)atomic_fetch_add_explicit(&self->refused, 1, memory_order_relaxed);
}

static void server_listen(void *arg, skua_notify *told)
{
    struct skua__server_connection *self = arg;
    skua_http_server *server = self->run->server;

    pthread_mutex_lock(&server->mutex);
    self->told = told;
    pthread_mutex_unlock(&server->mutex);
}

static bool server_stopping(void *arg)
{
    struct skua__server_connection *self = arg;

    return atomic_load(&self->run->stopping);
}

static int server_speak_http2(struct skua__server_connection *self, skua_io io, const char *peer,
                              bool secure, char *begun, size_t len)
{
    static const struct skua__h2s_watch watch = {
        .listen = server_listen, .stopping = server_stopping, .refused = server_refused_http2};
    struct skua__h2s_call call = {.io = io,
                                  .options = &self->run->server->options,
                                  .watch = &watch,
                                  .watcher = self,
                                  .handler = server_handle_http2,
                                  .peer = peer,
                                  .secure = secure};

    return skua__h2s_serve(&call, begun, len);
}

/* ---- a connection's fiber -------------------------------------------------------------------- */

/* The connection has ended; or never began. */
static void server_drop(void *arg)
{
    struct skua__server_connection *self = arg;
    struct skua__server_run *run = self->run;
    skua_http_server *server = run->server;

    server_unlist(server, self); /* from here on nobody stops it */
    (void)skua_tcp_close(self->tcp);
    skua__http_free(self);
    (void)skua_semaphore_release(&server->room, 1);
    /* Release pairs with the acquire in server_drain. */
    atomic_fetch_sub_explicit(&run->open, 1, memory_order_release);
    skua_notify_one(&run->ended); /* the run waits for this fiber's end, too */
}

static bool server_http2(const skua_http_server *server)
{
    return server->options.http2 >= 0 && skua__h2s_there();
}

/* HTTP/1.1, or by prior knowledge HTTP/2. */
static int server_speak(struct skua__server_connection *self, skua_io io, const char *peer,
                        const struct skua__h1_watch *watch, bool secure)
{
    skua_http_server *server = self->run->server;
    struct skua__h1 h1;
    int rc;

    if (server->options.http2 > 0)
        return server_speak_http2(self, io, peer, secure, NULL, 0);
    rc = skua__h1_init(&h1, io, &server->options);
    if (rc != 0)
        return rc;
    skua__h1_watch_by(&h1, watch, self);
    h1.exchange.secure = secure;
    h1.exchange.peer = peer;
    h1.preface = !secure && server_http2(server);
    rc = skua__h1_serve(&h1, server_handle, self);
    if (rc == SKUA__H1_PREFACE) {
        char *begun = skua__http_raw(h1.len);
        size_t len = h1.len;

        if (begun != NULL)
            memcpy(begun, h1.buf, len);
        skua__h1_free(&h1);
        return begun != NULL ? server_speak_http2(self, io, peer, false, begun, len) : -ENOMEM;
    }
    skua__h1_free(&h1);
    return rc;
}

static bool server_agreed_http2(const skua_tls *tls)
{
    skua_tls_info info;

    return skua_tls_info_of(tls, &info) == 0 && strcmp(info.alpn, "h2") == 0;
}

static void server_speak_tls(struct skua__server_connection *self)
{
    const skua_http_server_options *options = &self->run->server->options;
    skua_io under = skua_tcp_io(self->tcp);
    skua_deadline frame;
    skua_tls *tls;
    bool ours;
    int rc;

    if (!server_idle(self, true)) /* a stop does not wait for handshakes */
        return;
    rc = skua_tls_accept(&tls, options->tls, under,
                         skua__http_deadline(options->tls_timeout, SKUA_FOREVER));
    ours = server_idle(self, false);
    if (ours && rc != 0) {
        server_bump(&self->refused);
    } else if (ours) {
        if (server_http2(self->run->server) && server_agreed_http2(tls))
            (void)server_speak_http2(self, skua_tls_io(tls), self->peer, true, NULL, 0);
        else
            (void)server_speak(self, skua_tls_io(tls), self->peer, &server_watch_tls, true);
        (void)server_idle(self, false); /* still ours, or the stopper's, who has cancelled us */
        if (skua_deadline_begin(&frame,
                                skua__http_deadline(options->write_timeout, SKUA_FOREVER)) == 0)
            (void)skua_io_shutdown(skua_tls_io(tls)); /* or the client takes the end for a cut */
        (void)skua_deadline_end(&frame);
    }
    skua_tls_close(tls);
}

static int server_connection(void *arg)
{
    struct skua__server_connection *self = arg;

    self->id = skua_task_current_id();
    if (self->run->server->options.tls != NULL)
        server_speak_tls(self);
    else
        (void)server_speak(self, skua_tcp_io(self->tcp), self->peer, &server_watch, false);
    server_drop(self);
    return 0;
}

int skua__server_begin(struct skua__server_run *run, skua_tcp *tcp)
{
    struct skua__server_connection *self = skua__http_malloc(sizeof *self);
    const char *port;
    int rc;

    if (self == NULL) {
        (void)skua_tcp_close(tcp);
        (void)skua_semaphore_release(&run->server->room, 1);
        return -ENOMEM;
    }
    self->run = run;
    self->tcp = tcp;
    atomic_init(&self->state, SKUA__SERVER_BUSY);
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

/* ---- a connection that somebody else has ----------------------------------------------------- */

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
    struct skua__server_run run = {.server = server, .ended = SKUA_NOTIFY_INIT};
    struct skua__server_connection self = {.run = &run};
    int rc;

    (void)server_list(server, &self);
    rc = server_speak(&self, io, peer != NULL ? peer : "", &watch, false);
    server_unlist(server, &self);
    return rc;
}
