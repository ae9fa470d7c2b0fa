/* h2c_connection.c - a connection of the client's pool that speaks HTTP/2.
 *
 * While streams are open somebody reads (http/h2). When none is, what the server says lies in the
 * socket: that it is going away, mostly. So before a connection is used somebody looks, which costs
 * a read that does not wait; unless another one is reading anyway.
 */
#include "http/h2client/h2c_impl.h"

/* Reads in one look: a server that always has something to say is not waited for. */
#define H2C_LOOKS 64

static void h2c_on_head(struct skua__h2_stream *stream)
{
    (void)stream;
}

static void h2c_on_closed(struct skua__h2_stream *stream)
{
    (void)stream;
}

static void h2c_on_free(struct skua__h2_stream *stream)
{
    skua__http_free(stream);
}

static const struct skua__h2_hooks h2c_hooks = {
    .head = h2c_on_head, .closed = h2c_on_closed, .free = h2c_on_free};

int skua__h2c_new(struct skua__h2c **ret, const struct skua__http_link *link,
                  const skua_http_client_options *options)
{
    struct skua__h2_setup setup = {.hooks = &h2c_hooks,
                                   .head_max = options->head_max,
                                   .headers_max = options->headers_max,
                                   .window = SKUA__H2C_WINDOW,
                                   .write_timeout = options->write_timeout};
    struct skua__h2c *h2c = skua__http_malloc(sizeof *h2c);
    int rc = -ENOMEM;

    if (h2c != NULL)
        rc = skua__h2_init(&h2c->h2, link->io, &setup, h2c);
    if (rc != 0) {
        skua__http_free(h2c);
        return rc;
    }
    h2c->link = *link;
    h2c->options = options;
    *ret = h2c;
    return 0;
}

void skua__h2c_free(struct skua__h2c *h2c)
{
    skua__h2_free(&h2c->h2);
    h2c->link.close(h2c->link.object);
    skua__http_free(h2c);
}

static bool h2c_is_usable(struct skua__h2 *h2)
{
    return h2->error == 0 && !h2->draining && h2->stopping == SKUA__H2_GOING &&
           nghttp2_session_check_request_allowed(h2->session) != 0;
}

bool skua__h2c_usable(struct skua__h2c *h2c)
{
    bool usable;

    pthread_mutex_lock(&h2c->h2.mutex);
    usable = h2c_is_usable(&h2c->h2);
    pthread_mutex_unlock(&h2c->h2.mutex);
    return usable;
}

size_t skua__h2c_places(struct skua__h2c *h2c)
{
    struct skua__h2 *h2 = &h2c->h2;
    size_t places = 0;

    pthread_mutex_lock(&h2->mutex);
    if (h2c_is_usable(h2))
        places = nghttp2_session_get_remote_settings(h2->session,
                                                     NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    pthread_mutex_unlock(&h2->mutex);
    return places;
}

static bool h2c_at_once(void *arg)
{
    (void)arg;
    return true;
}

bool skua__h2c_alive(struct skua__h2c *h2c)
{
    struct skua__h2 *h2 = &h2c->h2;
    bool usable;
    int rc = 0;

    pthread_mutex_lock(&h2->mutex);
    for (int i = 0; i < H2C_LOOKS && rc == 0 && !h2->leading && h2->error == 0; i++) {
        h2->leading = true;
        pthread_mutex_unlock(&h2->mutex);
        rc = skua__h2_fill(h2, 0);
        pthread_mutex_lock(&h2->mutex);
        h2->leading = false;
    }
    /* Who has come meanwhile stands in line: it is called. */
    (void)skua__h2_wait(h2, NULL, false, h2c_at_once, NULL, 0);
    usable = h2c_is_usable(h2);
    pthread_mutex_unlock(&h2->mutex);
    return usable;
}

#undef H2C_LOOKS
