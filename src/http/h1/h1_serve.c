/* h1_serve.c - a connection's life: idle, a head, the handler, what is left behind it, again.
 *
 * The end    of a connection whose client is, or may be, still sending: closing it then would make
 *            our system answer with a reset, which throws away the response that is on its way. So
 *            we say that we are done, and read what comes, for a while (RFC 9112, 9.6).
 */
#include <skua/task.h>

#include "http/core/http_trace.h"
#include "http/h1/h1_impl.h"

#define SERVE_LINGER (2 * SKUA_SECOND)
#define SERVE_LINGER_MAX ((size_t)1 << 20)

int skua__h1_init(struct skua__h1 *h1, skua_io io, const skua_http_server_options *options)
{
    memset(h1, 0, sizeof *h1);
    h1->io = io;
    h1->options = options;
    h1->chunk = SIZE_MAX;
    h1->date_second = INT64_MIN;
    h1->exchange.carrier = &skua__h1_carrier;
    h1->exchange.body_max = options->body_max;
    h1->exchange.peer = "";
    return skua__h1_kit_take(h1);
}

void skua__h1_watch_by(struct skua__h1 *h1, const struct skua__h1_watch *watch, void *watcher)
{
    h1->watch = watch;
    h1->watcher = watcher;
}

void skua__h1_free(struct skua__h1 *h1)
{
    skua__h1_kit_give(h1);
    memset(h1, 0, sizeof *h1);
}

/* The buffer is free by now, and a fiber's stack is dear: what it has touched stays in memory. */
static void serve_linger(struct skua__h1 *h1)
{
    int64_t deadline = skua_now() + SERVE_LINGER;
    size_t sum = 0;
    ssize_t n;

    if (skua_io_shutdown(h1->io) != 0)
        return;
    while ((n = skua_io_read_until(h1->io, h1->in, h1->in_room, deadline)) > 0)
        if ((sum += (size_t)n) > SERVE_LINGER_MAX)
            return;
}

/* One request. 1: the connection may be used again; 0: it has ended in order; an error. */
static int serve_one(struct skua__h1 *h1, skua_http_handler handler, void *state)
{
    skua_http_exchange *exchange = &h1->exchange;
    int rc = skua__http_exchange_run(exchange, handler, state, h1->options->handler_timeout);

    if (rc != 0)
        return rc;
    if (!skua__h1_body_skip(h1)) {
        rc = skua__h1_flush(h1);
        if (rc == 0)
            serve_linger(h1);
        return rc;
    }
    return h1->keep_alive;
}

int skua__h1_serve(struct skua__h1 *h1, skua_http_handler handler, void *state)
{
    int rc;

    while ((rc = skua__h1_head(h1)) > 0) {
        if (rc == SKUA__H1_PREFACE)
            return rc;
        rc = serve_one(h1, handler, state);
        if (rc <= 0)
            break;
    }
    if (rc == 0) {
        rc = skua__h1_flush(h1);
        if (rc == 0 && h1->len > h1->pos) /* it sends requests that are not going to be answered */
            serve_linger(h1);
        return rc;
    }
    (void)skua__h1_flush(h1); /* the answers before, and what there is of one that is cut short */
    if (rc == -EBADMSG)
        serve_linger(h1);
    return rc;
}

#undef SERVE_LINGER
#undef SERVE_LINGER_MAX
