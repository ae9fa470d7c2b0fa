/* h2s_serve.c - a connection: the fiber that sends and keeps the times, and the one that reads.
 *
 *     begun -> going -> stopping (GOAWAY, twice) -> said -> over
 *
 * Over       when nghttp2 wants neither to read nor to write: both sides have said goodbye and no
 *            stream is open, or the protocol was broken; when the client is gone; when the server
 *            cancels us. Then handlers whose response is not out are cancelled, all are waited for,
 *            and what the client still sends is read for a while, as HTTP/1.1 does (h1_serve.c).
 * Gathered   who has something to send tells this fiber, which lets the others go first: what they
 *            are about to answer goes out with it.
 */
#include "http/h2/h2s_impl.h"

#define SERVE2_LINGER (2 * SKUA_SECOND)
#define SERVE2_LINGER_MAX ((size_t)1 << 20)

/* ---- the reader ------------------------------------------------------------------------------ */

/* Cancels the handlers whose streams were reset. */
static void serve_cancel(struct skua__h2s *h2s)
{
    struct skua__h2s_stream *at;

    pthread_mutex_lock(&h2s->h2.mutex);
    while ((at = h2s->cancels) != NULL) {
        skua_task_id id = at->task;

        h2s->cancels = at->next_cancel;
        skua__h2_unref(&at->stream);
        pthread_mutex_unlock(&h2s->h2.mutex);
        if (id != 0)
            (void)skua_task_cancel_id(h2s->runtime, id);
        pthread_mutex_lock(&h2s->h2.mutex);
    }
    pthread_mutex_unlock(&h2s->h2.mutex);
}

/* Behind each read. */
static void serve_news(struct skua__h2s *h2s)
{
    struct skua__h2 *h2 = &h2s->h2;
    bool ready, cancels, told;

    pthread_mutex_lock(&h2->mutex);
    ready = h2s->ready != NULL;
    cancels = h2s->cancels != NULL;
    told = h2->dirty || h2->in_head || h2->known == 0 || h2->stopping != SKUA__H2_GOING;
    pthread_mutex_unlock(&h2->mutex);
    if (cancels)
        serve_cancel(h2s);
    if (ready)
        skua__h2s_start(h2s);
    if (told)
        skua_notify_one(&h2->work);
}

static int serve_reader(void *arg)
{
    struct skua__h2s *h2s = arg;
    struct skua__h2 *h2 = &h2s->h2;

    while (skua__h2_fill(h2, SKUA_FOREVER) == 0)
        serve_news(h2s);
    pthread_mutex_lock(&h2->mutex);
    h2s->reading = false;
    pthread_mutex_unlock(&h2->mutex);
    skua_notify_one(&h2->work);
    return 0;
}

static void serve_reader_drop(void *arg)
{
    struct skua__h2s *h2s = arg;

    pthread_mutex_lock(&h2s->h2.mutex);
    h2s->reading = false;
    skua__h2_fail(&h2s->h2, -ECANCELED);
    pthread_mutex_unlock(&h2s->h2.mutex);
    skua_notify_one(&h2s->h2.work); /* it may have failed before */
}

/* ---- times ----------------------------------------------------------------------------------- */

static void serve_earlier(int64_t *next, int64_t at)
{
    if (at < *next)
        *next = at;
}

/* Responses that nobody takes, and whose handlers have ended. Under the mutex. */
static void serve_left(struct skua__h2s *h2s, int64_t now)
{
    int64_t timeout = h2s->h2.setup.write_timeout;
    struct skua__h2_stream *at = h2s->h2.streams;

    while (at != NULL) {
        struct skua__h2_stream *next = at->next;

        if (at->known && !at->owned && at->begun && !at->out_sent && !at->over &&
            now - at->moved >= timeout)
            skua__h2_cut(at, NGHTTP2_CANCEL, -ETIMEDOUT);
        at = next;
    }
    h2s->left_at = now + timeout;
}

/* Does what is due. Under the mutex; when the next thing is. */
static int64_t serve_times(struct skua__h2s *h2s, int64_t now)
{
    const skua_http_server_options *options = h2s->call->options;
    struct skua__h2 *h2 = &h2s->h2;
    int64_t next = SKUA_FOREVER;
    int64_t at;

    if (h2->stopping == SKUA__H2_STOP_NOTICED && now >= h2->stop_next)
        skua__h2_stop(h2);
    serve_earlier(&next, h2->stopping == SKUA__H2_STOP_NOTICED ? h2->stop_next : SKUA_FOREVER);
    if (h2->known == 0 && h2s->handlers == 0 && h2->stopping != SKUA__H2_STOP_SAID) {
        at = skua__http_after(h2->idle_since, options->idle_timeout);
        if (now >= at)
            skua__h2_say_goaway(h2, NGHTTP2_NO_ERROR);
        serve_earlier(&next, now >= at ? SKUA_FOREVER : at);
    }
    if (h2->in_head) {
        at = skua__http_after(h2->head_began, options->head_timeout);
        if (now >= at) {
            h2s->call->watch->refused(h2s->call->watcher);
            (void)nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
            h2->in_head = false;
            h2->dirty = true;
        }
        serve_earlier(&next, now >= at ? SKUA_FOREVER : at);
    }
    if (h2->known != 0 && options->write_timeout != SKUA_FOREVER) {
        if (now >= h2s->left_at)
            serve_left(h2s, now);
        serve_earlier(&next, h2s->left_at);
    }
    return next;
}

/* ---- the connection's fiber ------------------------------------------------------------------ */

/* Until it is over: 0, or -ECANCELED and the like of its own. */
static int serve_loop(struct skua__h2s *h2s)
{
    struct skua__h2 *h2 = &h2s->h2;
    int rc = 0;

    for (;;) {
        bool stopping = h2s->call->watch->stopping(h2s->call->watcher);
        bool over, ready, cancels, again;
        int64_t next;

        (void)skua__h2_send(h2, SKUA_FOREVER);
        pthread_mutex_lock(&h2->mutex);
        if (stopping && h2->stopping == SKUA__H2_GOING)
            skua__h2_stop(h2);
        next = serve_times(h2s, skua_now());
        over = h2->error != 0;
        ready = h2s->ready != NULL;
        cancels = h2s->cancels != NULL;
        again = h2->dirty && !h2->broken;
        pthread_mutex_unlock(&h2->mutex);
        if (over || rc != 0)
            return rc;
        if (cancels)
            serve_cancel(h2s);
        if (ready)
            skua__h2s_start(h2s);
        if (again)
            continue;
        rc = skua_notified_until(&h2->work, next);
        if (rc == -ETIMEDOUT && skua_now() >= next)
            rc = 0;
        else if (rc == 0)
            rc = skua_yield();
    }
}

/* Handlers whose response cannot get out any more. */
static void serve_abandon(struct skua__h2s *h2s)
{
    struct skua__h2 *h2 = &h2s->h2;

    pthread_mutex_lock(&h2->mutex);
    for (struct skua__h2_stream *at = h2->streams; at != NULL; at = at->next) {
        struct skua__h2s_stream *self = (struct skua__h2s_stream *)at;

        if (self->task == 0 || at->out_sent || self->to_cancel)
            continue;
        self->to_cancel = true;
        self->next_cancel = h2s->cancels;
        h2s->cancels = self;
        skua__h2_ref(at);
    }
    pthread_mutex_unlock(&h2->mutex);
    serve_cancel(h2s);
    skua__h2s_start(h2s); /* which lets go of all that have not begun */
}

/* The client may be sending still: a socket that is closed now would throw away what we have said
 * last. */
static void serve2_linger(struct skua__h2 *h2)
{
    int64_t deadline = skua_now() + SERVE2_LINGER;
    char few[SKUA__H2_FEW];
    skua_deadline frame;
    size_t sum = 0;
    ssize_t n;

    (void)skua_deadline_begin(&frame, deadline);
    if (skua_io_shutdown(h2->io) == 0)
        while ((n = skua_io_read(h2->io, few, sizeof few)) > 0 && sum <= SERVE2_LINGER_MAX)
            sum += (size_t)n;
    (void)skua_deadline_end(&frame);
}

/* What has to be waited for, and in which order. 0, or the connection's error. */
static int serve_end(struct skua__h2s *h2s)
{
    struct skua__h2 *h2 = &h2s->h2;
    bool reading, broken;
    int error;

    pthread_mutex_lock(&h2->mutex);
    skua__h2_fail(h2, -ECANCELED); /* unless it has */
    error = h2->error;
    reading = h2s->reading;
    broken = h2->broken;
    pthread_mutex_unlock(&h2->mutex);
    serve_abandon(h2s);
    (void)skua_task_cancel_id(h2s->runtime, h2s->reader);
    while (reading) {
        if (skua_notified(&h2->work) != 0)
            break; /* we are cancelled: so are all others, by the join */
        pthread_mutex_lock(&h2->mutex);
        reading = h2s->reading;
        pthread_mutex_unlock(&h2->mutex);
    }
    if (!reading && !broken && (error == SKUA_EEOF || error == -EBADMSG))
        serve2_linger(h2);
    return error == SKUA_EEOF ? 0 : error;
}

int skua__h2s_serve(const struct skua__h2s_call *call, char *bytes, size_t len)
{
    const skua_http_server_options *options = call->options;
    struct skua__h2_setup setup = {.server = true,
                                   .hooks = &skua__h2s_hooks,
                                   .head_max = options->head_max,
                                   .headers_max = options->headers_max,
                                   .streams_max = options->streams_max,
                                   .window = options->stream_window,
                                   .write_timeout = options->write_timeout};
    struct skua__h2s *h2s = skua__http_malloc(sizeof *h2s);
    int rc = h2s != NULL ? skua__h2_init(&h2s->h2, call->io, &setup, h2s) : -ENOMEM;

    if (rc != 0) {
        skua__http_free(bytes);
        skua__http_free(h2s);
        return rc;
    }
    h2s->call = call;
    h2s->runtime = skua_runtime_current();
    h2s->ready_end = &h2s->ready;
    h2s->date_second = INT64_MIN;
    h2s->reading = true;
    rc = skua_scope_open(&h2s->scope, SKUA_COLLECT);
    if (rc == 0) {
        if (len != 0 && skua__h2_feed(&h2s->h2, bytes, len) == 0)
            serve_news(h2s);
        skua__http_free(bytes);
        bytes = NULL;
        rc = skua_spawn(&h2s->scope, serve_reader, h2s, .name = "http2.reader", .id = &h2s->reader,
                        .drop = serve_reader_drop,
                        .stack = call->secure ? SKUA_STACK_LARGE : SKUA_STACK_DEFAULT);
        if (rc != 0)
            serve_reader_drop(h2s);
        call->watch->listen(call->watcher, &h2s->h2.work);
        if (rc == 0)
            rc = serve_loop(h2s);
        call->watch->listen(call->watcher, NULL);
        if (rc == 0)
            rc = serve_end(h2s);
        else
            (void)serve_end(h2s);
        (void)skua_scope_join(&h2s->scope);
        serve_cancel(h2s); /* a stream that was reset since is still in the list */
    }
    skua__h2_free(&h2s->h2);
    skua__http_free(bytes);
    skua__http_free(h2s);
    return rc;
}

bool skua__h2s_there(void)
{
    return true;
}

#undef SERVE2_LINGER
#undef SERVE2_LINGER_MAX
