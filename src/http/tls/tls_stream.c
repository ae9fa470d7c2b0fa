/* tls_stream.c - a connection's bytes: read, write, shutdown.
 *
 * Read       a step of SSL_read under the mutex; when it wants more, what waits to be sent goes out
 *            (an answer that the peer may be waiting for), and the reader fills `in`. A cancelled
 *            fill has read nothing, so it lost nothing.
 * Write      what is left from before goes out first: until it has, nothing is taken. Then as many
 *            records as `out` has room for are made and sent. From there on they count as written,
 *            whatever becomes of the wait: a record that was made cannot be taken back.
 * Budget     a read out of what is here already spends a unit, as does the lock of a write.
 */
#include <limits.h>

#include <skua/scheduler.h>

#include "http/tls/tls_impl.h"
#include "http/tls/tls_more.h"

/* ---- read ------------------------------------------------------------------------------------ */

/* One step. The count, 0 at the end, an error; or what it wants, in `wants`. */
static ssize_t stream_step(struct skua_tls *tls, void *buf, size_t len, int *wants)
{
    ssize_t n;

    *wants = 0;
    pthread_mutex_lock(&tls->mutex);
    if (tls->error != 0) {
        n = tls->error;
    } else {
        ERR_clear_error();
        n = SSL_read(tls->ssl, buf, len < INT_MAX ? (int)len : INT_MAX);
        if (n <= 0) {
            n = skua__tls_failed(tls, (int)n);
            *wants = n > 0 ? (int)n : 0;
        }
    }
    pthread_mutex_unlock(&tls->mutex);
    return n;
}

static ssize_t stream_read_on(struct skua_tls *tls, void *buf, size_t len, int64_t deadline)
{
    for (;;) {
        int wants, rc;
        ssize_t n = stream_step(tls, buf, len, &wants);

        if (wants == 0) {
            if (n < 0) /* an alert says why */
                skua__tls_flush_now(tls);
            return n;
        }
        if (wants == SKUA__TLS_WANT_READ) {
            /* Not waited for: the peer may take it only when we have read what it says. */
            skua__tls_flush_now(tls);
            rc = skua__tls_fill(tls, deadline);
        } else {
            rc = skua__tls_flush(tls, deadline);
        }
        if (rc != 0)
            return rc;
    }
}

/* Takes one of the two places. */
static int stream_enter(struct skua_tls *tls, bool *place)
{
    int rc = skua_yield_if_needed();

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&tls->mutex);
    if (tls->info.version == 0)
        rc = SKUA_EUSAGE;
    else if (*place)
        rc = -EBUSY;
    else
        *place = true;
    pthread_mutex_unlock(&tls->mutex);
    return rc;
}

static void stream_leave(struct skua_tls *tls, bool *place)
{
    pthread_mutex_lock(&tls->mutex);
    *place = false;
    pthread_mutex_unlock(&tls->mutex);
}

static ssize_t stream_read(void *object, void *buf, size_t len, int64_t deadline)
{
    struct skua_tls *tls = object;
    ssize_t n = stream_enter(tls, &tls->reading);

    if (n == 0) {
        n = stream_read_on(tls, buf, len, deadline);
        stream_leave(tls, &tls->reading);
    }
    return n;
}

/* ---- write ----------------------------------------------------------------------------------- */

/* Why nothing may be said any more; 0: it may. Under the mutex. */
static int stream_over(const struct skua_tls *tls)
{
    return tls->error == SKUA_EEOF ? -EPIPE : tls->error;
}

/* -EAGAIN: `out` is full. To read is wanted for a renegotiation alone, which there is none of. */
static int stream_seal_failed(int why)
{
    if (why == SKUA__TLS_WANT_WRITE)
        return -EAGAIN;
    return why < 0 ? why : -EPROTO;
}

/* Makes records of as much as there is room for: the count, or an error. Nothing waits in `out` but
 * what the reader may have added, which is small. */
static ssize_t stream_seal(struct skua_tls *tls, const char *buf, size_t len)
{
    size_t done = 0;
    int rc;

    pthread_mutex_lock(&tls->mutex);
    rc = tls->told_end ? -EPIPE : stream_over(tls);
    /* Room for the whole record: it is never cut in two by the limit. */
    while (rc == 0 && done < len && tls->out.len + SKUA__TLS_IN <= SKUA__TLS_OUT) {
        size_t part = len - done < SKUA__TLS_RECORD ? len - done : SKUA__TLS_RECORD;
        int n;

        ERR_clear_error();
        n = SSL_write(tls->ssl, buf + done, (int)part);
        if (n > 0)
            done += (size_t)n;
        else
            rc = stream_seal_failed(skua__tls_failed(tls, n));
    }
    pthread_mutex_unlock(&tls->mutex);
    if (done == 0 && rc == 0)
        rc = -EAGAIN; /* the reader has filled it */
    return done != 0 ? (ssize_t)done : rc;
}

/* With `sending`, and nothing of before left to be sent. */
static ssize_t stream_write_on(struct skua_tls *tls, const char *buf, size_t len, int64_t deadline)
{
    int rc = skua__tls_send(tls, deadline);
    ssize_t n;

    while (rc == 0) {
        n = stream_seal(tls, buf, len);
        rc = n < 0 && n != -EAGAIN ? (int)n : skua__tls_send(tls, deadline);
        if (n > 0)
            return rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT ? n : rc;
    }
    return rc;
}

static ssize_t stream_write_entered(struct skua_tls *tls, const void *buf, size_t len,
                                    int64_t deadline)
{
    ssize_t n = skua_mutex_lock_until(&tls->sending, deadline);

    if (n == 0) {
        n = stream_write_on(tls, buf, len, deadline);
        skua__tls_unlock_sending(tls);
    }
    return n;
}

static ssize_t stream_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    struct skua_tls *tls = object;
    ssize_t n = stream_enter(tls, &tls->writing);

    if (n == 0) {
        n = stream_write_entered(tls, buf, len, deadline);
        stream_leave(tls, &tls->writing);
    }
    return n;
}

/* Small pieces become one record. */
static ssize_t stream_gather(struct skua_tls *tls, const struct iovec *iov, int count,
                             int64_t deadline)
{
    size_t len = 0;

    if (tls->gather == NULL)
        tls->gather = skua__http_malloc(SKUA__TLS_RECORD);
    if (tls->gather == NULL) /* then the first piece alone */
        return stream_write_entered(tls, iov->iov_base, iov->iov_len, deadline);
    for (int i = 0; i < count && len < SKUA__TLS_RECORD; i++) {
        size_t part =
            iov[i].iov_len < SKUA__TLS_RECORD - len ? iov[i].iov_len : SKUA__TLS_RECORD - len;

        if (part != 0)
            memcpy(tls->gather + len, iov[i].iov_base, part);
        len += part;
    }
    return stream_write_entered(tls, tls->gather, len, deadline);
}

static ssize_t stream_writev(void *object, const struct iovec *iov, int count, int64_t deadline)
{
    struct skua_tls *tls = object;
    ssize_t n;

    while (count > 0 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    if (count <= 0)
        return 0;
    if (count == 1 || iov->iov_len >= SKUA__TLS_RECORD)
        return stream_write(tls, iov->iov_base, iov->iov_len, deadline);
    n = stream_enter(tls, &tls->writing);
    if (n == 0) {
        n = stream_gather(tls, iov, count, deadline);
        stream_leave(tls, &tls->writing);
    }
    return n;
}

/* ---- shutdown -------------------------------------------------------------------------------- */

/* Makes close_notify, once. */
static int stream_seal_end(struct skua_tls *tls)
{
    int rc;

    pthread_mutex_lock(&tls->mutex);
    rc = stream_over(tls);
    if (rc == 0 && !tls->told_end) {
        ERR_clear_error();
        if (SSL_shutdown(tls->ssl) < 0)
            rc = skua__tls_failed(tls, -1);
        else
            tls->told_end = true;
    }
    pthread_mutex_unlock(&tls->mutex);
    return rc > 0 ? -EPROTO : rc; /* out of room: cannot be, but for alerts */
}

/* With `sending`: what was written is in front of it. */
static int stream_say_end(struct skua_tls *tls)
{
    int rc = skua__tls_send(tls, SKUA_FOREVER);

    if (rc == 0)
        rc = stream_seal_end(tls);
    return rc != 0 ? rc : skua__tls_send(tls, SKUA_FOREVER);
}

void skua__tls_goodbye(skua_tls *tls)
{
    if (tls->info.version != 0 && stream_seal_end(tls) == 0)
        skua__tls_flush_now(tls);
}

static int stream_shutdown(void *object)
{
    struct skua_tls *tls = object;
    int rc = tls->info.version == 0 ? SKUA_EUSAGE : skua_mutex_lock(&tls->sending);

    if (rc != 0)
        return rc;
    rc = stream_say_end(tls);
    skua__tls_unlock_sending(tls);
    if (rc == 0)
        rc = skua_io_shutdown(tls->under);
    return rc == -ENOTCONN ? 0 : rc; /* a socket whose both ends have ended: that was before */
}

const skua_io_ops skua__tls_ops = {
    .name = "tls",
    .read = stream_read,
    .write = stream_write,
    .writev = stream_writev,
    .shutdown = stream_shutdown,
};

skua_io skua_tls_io(skua_tls *tls)
{
    return (skua_io){&skua__tls_ops, tls};
}
