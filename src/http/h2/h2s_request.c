/* h2s_request.c - a request: from its head to the handler on a fiber of its own, and behind it.
 *
 *     opened (reader) -> head whole -> ready -> its fiber: checked, handled, finished -> let go of
 *
 * Refused    what a request of HTTP/1.1 would be refused for is refused here, with the same status:
 *            but only the stream ends with it. What breaks HTTP/2's own rules never gets here:
 *            nghttp2 has reset the stream.
 *
 * Sources: RFC 9113 (8.1 to 8.5), RFC 9110 (7.2, 10.1.1).
 */
#include "http/core/http_trace.h"
#include "http/h2/h2s_impl.h"

/* ---- what the core tells: under the mutex ---------------------------------------------------- */

static struct skua__h2_stream *request_open(struct skua__h2 *h2)
{
    struct skua__h2s *h2s = h2->owner;
    struct skua__h2s_stream *self = skua__http_raw(sizeof *self);

    if (self == NULL)
        return NULL;
    memset(self, 0, offsetof(struct skua__h2s_stream, arena));
    self->h2s = h2s;
    skua__http_arena_lend(&self->stream.arena, self->head_arena, SKUA__H2S_ARENA);
    return &self->stream;
}

static void request_head(struct skua__h2_stream *stream)
{
    struct skua__h2s_stream *self = (struct skua__h2s_stream *)stream;
    struct skua__h2s *h2s = self->h2s;
    struct skua__h2 *h2 = &h2s->h2;
    size_t most = h2s->call->options->requests_max;

    skua__h2_own(stream);
    *h2s->ready_end = self;
    h2s->ready_end = &self->next_ready;
    h2s->ready_count++;
    h2s->requests++;
    if (most != 0 && h2s->requests >= most)
        skua__h2_say_goaway(h2, NGHTTP2_NO_ERROR);
    if (h2s->ready_count > (size_t)4 * h2->setup.streams_max)
        (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void request_closed(struct skua__h2_stream *stream)
{
    struct skua__h2s_stream *self = (struct skua__h2s_stream *)stream;
    struct skua__h2s *h2s = self->h2s;

    if (self->task == 0 || stream->out_sent || self->to_cancel)
        return;
    self->to_cancel = true;
    self->next_cancel = h2s->cancels;
    h2s->cancels = self;
    skua__h2_ref(stream);
}

static void request_free(struct skua__h2_stream *stream)
{
    struct skua__h2s_stream *self = (struct skua__h2s_stream *)stream;

    skua__http_arena_free(&self->exchange.arena);
    skua__http_free(self);
}

const struct skua__h2_hooks skua__h2s_hooks = {
    .open = request_open, .head = request_head, .closed = request_closed, .free = request_free};

/* ---- from the head to the exchange ----------------------------------------------------------- */

/* Whom it is for: the status to refuse it with, or 0. */
static int request_authority(struct skua__h2s_stream *self)
{
    skua_http_exchange *exchange = &self->exchange;
    const char *authority = self->stream.authority;
    bool twice = false;
    const struct skua__http_field *host =
        skua__http_fields_only(&exchange->request, "host", &twice);

    if (twice || (authority == NULL && host == NULL))
        return 400;
    if (authority != NULL && host != NULL &&
        (strlen(authority) != host->value_len ||
         !skua__http_same(authority, host->value, host->value_len)))
        return 400;
    exchange->authority = authority != NULL ? authority : host->value;
    return skua__http_is_authority(exchange->authority) ? 0 : 400;
}

static int request_target(struct skua__h2s_stream *self)
{
    skua_http_exchange *exchange = &self->exchange;
    char *path = (char *)(uintptr_t)self->stream.path; /* ours: it is in the stream's arena */
    char *query;

    if (strcmp(exchange->method, "CONNECT") == 0)
        return 501;
    if (path == NULL || self->stream.scheme == NULL)
        return 400;
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f || *at == '#')
            return 400;
    if (*path != '/' && !(strcmp(path, "*") == 0 && strcmp(exchange->method, "OPTIONS") == 0))
        return 400;
    query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    exchange->path = path;
    exchange->query = query != NULL ? query : "";
    return 0;
}

static int request_body(struct skua__h2s_stream *self, bool ended)
{
    skua_http_exchange *exchange = &self->exchange;
    const struct skua__http_field *expect =
        skua__http_fields_find(&exchange->request, "expect", 6, 0);

    exchange->body_length = ended && self->stream.length < 0 ? 0 : self->stream.length;
    exchange->body_ended = ended || exchange->body_length == 0;
    if (expect == NULL)
        return 0;
    if (expect->value_len != 12 || !skua__http_same(expect->value, "100-continue", 12))
        return 417;
    self->continue_wanted = !exchange->body_ended;
    return 0;
}

/* The exchange; the status to refuse it with, or 0. ended: there is no body. */
static int request_exchange(struct skua__h2s_stream *self, bool ended)
{
    const struct skua__h2s_call *call = self->h2s->call;
    struct skua__h2_stream *stream = &self->stream;
    skua_http_exchange *exchange = &self->exchange;
    int status;

    skua__http_arena_lend(&exchange->arena, self->arena, SKUA__H2S_ARENA);
    skua__http_exchange_reset(exchange);
    exchange->carrier = &skua__h2s_carrier;
    exchange->version = 20;
    exchange->secure = call->secure;
    exchange->peer = call->peer;
    exchange->body_max = call->options->body_max;
    exchange->request = stream->head;
    exchange->method = "GET";
    if (stream->too_large)
        return 431;
    if (stream->no_memory)
        return 503;
    if (stream->method == NULL || !skua__http_is_token(stream->method, strlen(stream->method)))
        return 400;
    exchange->method = stream->method;
    status = request_target(self);
    if (status == 0)
        status = request_authority(self);
    return status == 0 ? request_body(self, ended) : status;
}

/* ---- its fiber ------------------------------------------------------------------------------- */

static int request_handle(struct skua__h2s_stream *self)
{
    const struct skua__h2s_call *call = self->h2s->call;

    return skua__http_exchange_run(&self->exchange, call->handler, call->watcher,
                                   call->options->handler_timeout);
}

static int request_refuse(struct skua__h2s_stream *self, int status)
{
    const struct skua__h2s_call *call = self->h2s->call;

    self->exchange.method = "GET"; /* whatever it was, the page has a body */
    call->watch->refused(call->watcher);
    return skua__http_exchange_refuse(&self->exchange, status);
}

/* Its fiber ends, or never was. */
static void request_done(struct skua__h2s_stream *self)
{
    struct skua__h2s *h2s = self->h2s;
    struct skua__h2 *h2 = &h2s->h2;

    pthread_mutex_lock(&h2->mutex);
    self->task = 0;
    if (--h2s->handlers == 0)
        h2->idle_since = skua_now();
    pthread_mutex_unlock(&h2->mutex);
    skua__h2_let_go(&self->stream);
    skua_notify_one(&h2->work); /* the connection outlives its fibers: it joins them */
}

static int request_fiber(void *arg)
{
    struct skua__h2s_stream *self = arg;
    struct skua__h2_stream *stream = &self->stream;
    pthread_mutex_t *mutex = &self->h2s->h2.mutex;
    bool over, ended;
    int rc = 0;

    pthread_mutex_lock(mutex);
    over = stream->over;
    ended = stream->in_ended && stream->in.len == stream->in.pos;
    self->task = skua_task_current_id();
    pthread_mutex_unlock(mutex);
    if (!over) {
        int status = request_exchange(self, ended);

        rc = status == 0 ? request_handle(self) : request_refuse(self, status);
    }
    if (rc != 0)
        skua__h2_reset_behind(stream, rc == -ECANCELED ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR,
                              rc);
    request_done(self);
    return 0;
}

static void request_drop(void *arg)
{
    struct skua__h2s_stream *self = arg;

    skua__h2_reset(&self->stream, NGHTTP2_REFUSED_STREAM, -ECANCELED);
    request_done(self);
}

/* Under the mutex: takes the first one that waits; NULL: none, or enough run. */
static struct skua__h2s_stream *request_next(struct skua__h2s *h2s)
{
    struct skua__h2s_stream *self = h2s->ready;

    if (self == NULL || (!self->stream.over && h2s->handlers >= h2s->h2.setup.streams_max))
        return NULL;
    h2s->ready = self->next_ready;
    if (h2s->ready == NULL)
        h2s->ready_end = &h2s->ready;
    h2s->ready_count--;
    return self;
}

void skua__h2s_start(struct skua__h2s *h2s)
{
    struct skua__h2 *h2 = &h2s->h2;
    struct skua__h2s_stream *self;

    pthread_mutex_lock(&h2->mutex);
    while ((self = request_next(h2s)) != NULL) {
        bool over = self->stream.over;

        h2s->handlers++;
        pthread_mutex_unlock(&h2->mutex);
        if (over || skua_spawn(&h2s->scope, request_fiber, self, .name = "http2.request",
                               .drop = request_drop) != 0)
            request_drop(self);
        pthread_mutex_lock(&h2->mutex);
    }
    pthread_mutex_unlock(&h2->mutex);
}
