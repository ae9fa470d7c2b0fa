/* tls_pipe.c - between OpenSSL and the stream below: three buffers, and who moves them.
 *
 * in     filled by the reader, or the handshake, outside of the mutex: it is empty then, and
 *        OpenSSL, which only takes from it under the mutex, finds nothing until it is full
 * out    what OpenSSL wants to say. It has a limit: beyond it OpenSSL is told to come again, which
 *        makes the caller send first. So a peer that never reads cannot make it grow
 * sent   taken from out by who holds `sending`, and then sent, with no other lock. What is left of
 *        it after a cancellation is sent by the next one: the order stays
 *
 * Who adds to `out` while another one sends need not wait: the sender looks again after it has
 * unlocked.
 */
#include "http/tls/tls_impl.h"

#define PIPE_FIRST ((size_t)4096)

/* ---- OpenSSL's side: under the mutex --------------------------------------------------------- */

static int pipe_read(BIO *bio, char *buf, int size)
{
    struct skua_tls *tls = BIO_get_data(bio);
    size_t len = size > 0 ? (size_t)size : 0;

    BIO_clear_retry_flags(bio);
    if (len > tls->in.len - tls->in.pos)
        len = tls->in.len - tls->in.pos;
    if (len == 0) {
        if (tls->in_ended)
            return 0;
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(buf, tls->in.bytes + tls->in.pos, len);
    tls->in.pos += len;
    return (int)len;
}

static bool pipe_room(struct skua__tls_buffer *out, size_t len)
{
    size_t room = out->room != 0 ? out->room : PIPE_FIRST;
    char *bytes;

    while (room - out->len < len && room < SKUA__TLS_OUT)
        room *= 2;
    if (room == out->room)
        return true;
    bytes = skua__http_realloc(out->bytes, room);
    if (bytes == NULL)
        return false;
    out->bytes = bytes;
    out->room = room;
    return true;
}

static int pipe_write(BIO *bio, const char *buf, int size)
{
    struct skua_tls *tls = BIO_get_data(bio);
    size_t len = size > 0 ? (size_t)size : 0;

    BIO_clear_retry_flags(bio);
    if (!pipe_room(&tls->out, len)) {
        tls->no_memory = true;
        return -1;
    }
    if (len > tls->out.room - tls->out.len)
        len = tls->out.room - tls->out.len;
    if (len == 0 && size > 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(tls->out.bytes + tls->out.len, buf, len);
    tls->out.len += len;
    return (int)len;
}

static long pipe_ctrl(BIO *bio, int what, long number, void *pointer)
{
    const struct skua_tls *tls = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (what == BIO_CTRL_EOF)
        return tls != NULL && tls->in_ended && tls->in.pos == tls->in.len;
    return what == BIO_CTRL_FLUSH || what == BIO_CTRL_DUP;
}

BIO_METHOD *skua__tls_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "skua");

    if (method != NULL) {
        (void)BIO_meth_set_read(method, pipe_read);
        (void)BIO_meth_set_write(method, pipe_write);
        (void)BIO_meth_set_ctrl(method, pipe_ctrl);
    }
    return method;
}

int skua__tls_pipe(struct skua_tls *tls)
{
    BIO *bio;

    tls->in.bytes = skua__http_malloc(SKUA__TLS_IN);
    tls->in.room = SKUA__TLS_IN;
    bio = tls->in.bytes != NULL ? BIO_new(tls->context->method) : NULL;
    if (bio == NULL)
        return -ENOMEM;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio); /* has the one reference for both */
    return 0;
}

void skua__tls_pipe_free(struct skua_tls *tls)
{
    skua__http_free(tls->in.bytes);
    skua__http_free(tls->out.bytes);
    skua__http_free(tls->sent.bytes);
}

/* ---- the stream's side: outside of it -------------------------------------------------------- */

int skua__tls_fill(struct skua_tls *tls, int64_t deadline)
{
    ssize_t n;

    pthread_mutex_lock(&tls->mutex);
    tls->in.pos = tls->in.len = 0;
    pthread_mutex_unlock(&tls->mutex);
    /* The bytes are nobody's but ours: OpenSSL sees an empty buffer. */
    n = skua_io_read_until(tls->under, tls->in.bytes, tls->in.room, deadline);
    pthread_mutex_lock(&tls->mutex);
    if (n > 0)
        tls->in.len = (size_t)n;
    else if (n == 0)
        tls->in_ended = true;
    pthread_mutex_unlock(&tls->mutex);
    return n < 0 ? (int)n : 0;
}

/* Whether something waits in `out`, or is left in `sent`. */
static bool pipe_waits(struct skua_tls *tls)
{
    bool waits;

    pthread_mutex_lock(&tls->mutex);
    waits = tls->out.len != 0 || tls->left;
    pthread_mutex_unlock(&tls->mutex);
    return waits;
}

/* `sent` is empty: it gets what waits. */
static bool pipe_take(struct skua_tls *tls)
{
    struct skua__tls_buffer empty;

    tls->sent.pos = tls->sent.len = 0;
    pthread_mutex_lock(&tls->mutex);
    empty = tls->sent;
    tls->sent = tls->out;
    tls->out = empty;
    tls->left = tls->sent.len != 0;
    pthread_mutex_unlock(&tls->mutex);
    return tls->sent.len != 0;
}

int skua__tls_send(struct skua_tls *tls, int64_t deadline)
{
    struct skua__tls_buffer *sent = &tls->sent;

    while (sent->pos < sent->len || pipe_take(tls)) {
        ssize_t n = skua_io_write_until(tls->under, sent->bytes + sent->pos, sent->len - sent->pos,
                                        deadline);

        if (n < 0)
            return (int)n;
        sent->pos += (size_t)n;
    }
    return 0;
}

void skua__tls_flush_now(struct skua_tls *tls)
{
    /* Who adds to `out` looks in here afterwards, and so does who unlocks: one of the two gets the
     * lock. What the stream below does not take at once stays where it is. */
    while (pipe_waits(tls) && skua_mutex_try_lock(&tls->sending) == 0) {
        int rc = skua__tls_send(tls, skua_now());

        (void)skua_mutex_unlock(&tls->sending);
        if (rc != 0)
            return;
    }
}

void skua__tls_unlock_sending(struct skua_tls *tls)
{
    (void)skua_mutex_unlock(&tls->sending);
    skua__tls_flush_now(tls);
}

int skua__tls_flush(struct skua_tls *tls, int64_t deadline)
{
    int rc = skua_mutex_lock_until(&tls->sending, deadline);

    if (rc == 0) {
        rc = skua__tls_send(tls, deadline);
        skua__tls_unlock_sending(tls);
    }
    return rc;
}

#undef PIPE_FIRST
