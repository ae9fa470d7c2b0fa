/* h2_wait.c - who waits, who reads for all, who sends for all.
 *
 * Server     a fiber reads, another one sends; a wait is only a wait.
 * Client     there is nobody but those who call. In skua__h2_wait each looks what has to be done,
 *            in this order: is it ready; send, if there is something and nobody does; read, if
 *            nobody does; else stand in line. Whoever stops doing something calls the next of the
 *            line that can do it (wait_hand_on), and so does whoever leaves: as long as somebody
 *            waits somebody reads, and what is to be sent is being sent.
 * Deaf       who reads is not woken: it sits in the stream's read. So it must want nothing that
 *            another task brings about. News come by reading alone, but for room in `out`, which
 *            the one who sends makes: a writer therefore stands in line while somebody sends, for a
 *            while (WAIT_ROOM): then it reads nonetheless, since that one may be stuck because the
 *            peer is, for nobody reads. A connection that fails otherwise is seen when the slice of
 *            its read (write_timeout) is over.
 * Slow       who sends does so until its own deadline, and leaves the rest in the wire. A peer that
 *            takes nothing for write_timeout, whoever tried, has failed.
 * Fair       who sends hands on after a wire full when others wait: a small request does not carry
 *            a big one's body for ever.
 */
#include <skua/task.h>

#include "http/h2/h2_impl.h"

#define WAIT_ROOM (50 * SKUA_MILLISECOND)
/* Of one that is cancelled while it sends, and nobody else can; of a reset that is to go out. */
#define WAIT_GRACE SKUA_SECOND

/* ---- the line -------------------------------------------------------------------------------- */

void skua__h2_wake(struct skua__h2_stream *stream)
{
    for (struct skua__h2_waiter *at = stream->waiters; at != NULL; at = at->next)
        skua_notify_one(&at->notify);
}

void skua__h2_wake_connection(struct skua__h2 *h2)
{
    for (struct skua__h2_waiter *at = h2->waiters; at != NULL; at = at->next)
        skua_notify_one(&at->notify);
}

static void wait_link(struct skua__h2 *h2, struct skua__h2_stream *stream,
                      struct skua__h2_waiter *self)
{
    struct skua__h2_waiter **list = stream != NULL ? &stream->waiters : &h2->waiters;

    self->next = *list;
    self->link = list;
    if (self->next != NULL)
        self->next->link = &self->next;
    *list = self;
    self->line_next = NULL;
    self->line_prev = h2->line_last;
    if (h2->line_last != NULL)
        h2->line_last->line_next = self;
    else
        h2->line_first = self;
    h2->line_last = self;
}

static void wait_unlink(struct skua__h2 *h2, struct skua__h2_waiter *self)
{
    *self->link = self->next;
    if (self->next != NULL)
        self->next->link = self->link;
    if (self->line_next != NULL)
        self->line_next->line_prev = self->line_prev;
    else
        h2->line_last = self->line_prev;
    if (self->line_prev != NULL)
        self->line_prev->line_next = self->line_next;
    else
        h2->line_first = self->line_next;
}

static bool wait_to_send(const struct skua__h2 *h2)
{
    return !h2->broken && (h2->dirty || h2->wire_len != h2->wire_pos);
}

/* Calls somebody of the line, if something is not being done. */
static void wait_hand_on(struct skua__h2 *h2)
{
    struct skua__h2_waiter *at = h2->line_first;

    if (h2->setup.server || at == NULL)
        return;
    if (!h2->sending && wait_to_send(h2)) {
        h2->owed = true;
        skua_notify_one(&at->notify);
        return;
    }
    if (h2->leading)
        return;
    while (at != NULL && at->writes && h2->sending)
        at = at->line_next;
    /* Writers alone: they may have come while somebody read. */
    skua_notify_one(&(at != NULL ? at : h2->line_first)->notify);
}

/* ---- reading --------------------------------------------------------------------------------- */

int skua__h2_fill(struct skua__h2 *h2, int64_t deadline)
{
    char few[SKUA__H2_FEW];
    char *bytes = few;
    size_t room = sizeof few;
    ssize_t n;
    int rc;

    if (h2->in != NULL) {
        bytes = h2->in;
        room = SKUA__H2_IN;
    }
    n = skua_io_read_until(h2->io, bytes, room, deadline);
    if (n == -EINTR)
        return 0;
    if (n == -ECANCELED || n == -ETIMEDOUT)
        return (int)n;
    if (n <= 0) {
        pthread_mutex_lock(&h2->mutex);
        skua__h2_fail(h2, n == 0 ? SKUA_EEOF : (int)n);
        n = h2->error;
        pthread_mutex_unlock(&h2->mutex);
        return (int)n;
    }
    rc = skua__h2_feed(h2, bytes, (size_t)n);
    if (rc != 0)
        return rc;
    /* Much comes: a buffer; nothing is open any more: none. */
    if (h2->in == NULL && (size_t)n == room)
        h2->in = skua__http_raw(SKUA__H2_IN); /* without one it goes on as before */
    if (h2->in != NULL && (size_t)n < sizeof few) {
        bool idle;

        pthread_mutex_lock(&h2->mutex);
        idle = h2->known == 0;
        pthread_mutex_unlock(&h2->mutex);
        if (idle) {
            skua__http_free(h2->in);
            h2->in = NULL;
        }
    }
    return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Under the mutex: takes frames out of nghttp2. False: there is nothing to be sent. */
static bool wait_gather(struct skua__h2 *h2)
{
    if (h2->wire_pos == h2->wire_len)
        h2->wire_pos = h2->wire_len = 0;
    if (h2->dirty && h2->wire == NULL) {
        h2->wire = skua__http_raw(SKUA__H2_WIRE);
        if (h2->wire == NULL) {
            h2->broken = true;
            skua__h2_fail(h2, -ENOMEM);
            return false;
        }
    }
    h2->stuffed = false;
    while (h2->dirty && SKUA__H2_WIRE - h2->wire_len >= 2 * SKUA__H2_FRAME) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(h2->session, &bytes);

        if (n < 0) {
            h2->broken = true;
            skua__h2_fail(h2, n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EBADMSG);
            return false;
        }
        if (n == 0) {
            h2->dirty = h2->stuffed;
            break;
        }
        memcpy(h2->wire + h2->wire_len, bytes, (size_t)n);
        h2->wire_len += (size_t)n;
    }
    if (h2->error == 0 && nghttp2_session_want_read(h2->session) == 0 &&
        nghttp2_session_want_write(h2->session) == 0)
        skua__h2_fail(h2, h2->said_code != 0 ? -EBADMSG : SKUA_EEOF);
    return h2->wire_len != h2->wire_pos;
}

/* Under the mutex, which it leaves: one call. 0, or an error. */
static int wait_put(struct skua__h2 *h2, int64_t deadline)
{
    ssize_t n;

    pthread_mutex_unlock(&h2->mutex);
    n = skua_io_write_until(h2->io, h2->wire + h2->wire_pos, h2->wire_len - h2->wire_pos, deadline);
    pthread_mutex_lock(&h2->mutex);
    if (n > 0) {
        h2->wire_pos += (size_t)n;
        h2->stuck = 0;
    }
    return n >= 0 || n == -EINTR ? 0 : (int)n;
}

/* Under the mutex: what is to become of a wire whose sender has got `rc`. 0: it goes on,
 * shielded. */
static int wait_put_failed(struct skua__h2 *h2, int rc, int64_t deadline, bool shielded)
{
    bool own = (rc == -ECANCELED || rc == -ETIMEDOUT) && skua_now() < deadline && !shielded;

    if (own && (h2->setup.server || h2->line_first != NULL))
        return rc; /* the next one sends on */
    if (own)
        return 0;
    h2->broken = true;
    skua__h2_fail(h2, rc);
    return h2->error;
}

int skua__h2_send(struct skua__h2 *h2, int64_t until)
{
    int64_t timeout = h2->setup.write_timeout;
    bool shielded = false;
    bool owed;
    int own = 0;
    int rc = 0;

    pthread_mutex_lock(&h2->mutex);
    if (h2->sending) {
        pthread_mutex_unlock(&h2->mutex);
        return 0;
    }
    h2->sending = true;
    owed = h2->owed;
    h2->owed = false;
    wait_hand_on(h2); /* who has read may be stuck here: the next one reads on */
    while (rc == 0 && !h2->broken && wait_gather(h2)) {
        int64_t begun = skua_now();
        int64_t deadline = skua__http_after(begun, timeout > h2->stuck ? timeout - h2->stuck : 0);
        bool mine = until < deadline && !shielded;

        rc = wait_put(h2, mine ? until : deadline);
        if (rc == -ETIMEDOUT && mine && skua_now() >= until) {
            h2->stuck += skua_now() - begun;
            h2->owed = owed;
            break; /* it stays in the wire, for the next one */
        }
        if (rc != 0) {
            own = rc;
            rc = wait_put_failed(h2, rc, deadline, shielded);
            if (rc == 0) {
                shielded = true;
                timeout = timeout < WAIT_GRACE ? timeout : WAIT_GRACE;
                h2->stuck = 0;
                (void)skua_shield_begin();
            }
        } else if (!h2->setup.server && h2->line_first != NULL) {
            break; /* others wait: they send on */
        }
    }
    if (h2->broken)
        rc = h2->error;
    h2->sending = false;
    if (h2->wire != NULL && h2->wire_pos == h2->wire_len && h2->known == 0) {
        skua__http_free(h2->wire);
        h2->wire = NULL;
        h2->wire_pos = h2->wire_len = 0;
    }
    wait_hand_on(h2);
    pthread_mutex_unlock(&h2->mutex);
    if (shielded)
        (void)skua_shield_end();
    return rc != 0 ? rc : own;
}

int skua__h2_flush_until(struct skua__h2 *h2, int64_t until)
{
    bool due;

    if (h2->setup.server) {
        skua_notify_one(&h2->work);
        return 0;
    }
    pthread_mutex_lock(&h2->mutex);
    due = !h2->sending && wait_to_send(h2);
    pthread_mutex_unlock(&h2->mutex);
    return due ? skua__h2_send(h2, until) : 0;
}

int skua__h2_flush(struct skua__h2 *h2)
{
    return skua__h2_flush_until(h2, SKUA_FOREVER);
}

void skua__h2_flush_soon(struct skua__h2 *h2)
{
    (void)skua__h2_flush_until(h2, h2->setup.server ? SKUA_FOREVER : skua_now() + WAIT_GRACE);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* In line. */
static int wait_in_line(struct skua__h2 *h2, struct skua__h2_stream *stream, bool writes,
                        int64_t deadline)
{
    struct skua__h2_waiter self = {.notify = SKUA_NOTIFY_INIT, .writes = writes};
    int rc;

    wait_link(h2, stream, &self);
    pthread_mutex_unlock(&h2->mutex);
    rc = skua_notified_until(&self.notify, deadline);
    pthread_mutex_lock(&h2->mutex);
    wait_unlink(h2, &self);
    return rc;
}

/* Leads: reads once for all. Without an error when only the slice is over. */
static int wait_lead(struct skua__h2 *h2, struct skua__h2_stream *stream, int64_t slice,
                     int64_t deadline)
{
    int64_t until = skua__http_deadline(slice, deadline);
    int rc;

    h2->leading = true;
    h2->leads_for = stream;
    pthread_mutex_unlock(&h2->mutex);
    rc = skua__h2_fill(h2, until);
    pthread_mutex_lock(&h2->mutex);
    h2->leading = false;
    h2->leads_for = NULL;
    return rc == -ETIMEDOUT && until < deadline && skua_now() >= until ? 0 : rc;
}

/* One step of a client's. 0, or -ECANCELED, -ETIMEDOUT. */
static int wait_step(struct skua__h2 *h2, struct skua__h2_stream *stream, bool writes,
                     int64_t deadline)
{
    int64_t slice = h2->setup.write_timeout;
    int rc;

    if (!h2->sending && wait_to_send(h2)) {
        pthread_mutex_unlock(&h2->mutex);
        rc = skua__h2_send(h2, deadline);
        pthread_mutex_lock(&h2->mutex);
        return rc == -ECANCELED || rc == -ETIMEDOUT ? rc : 0;
    }
    if (h2->leading)
        return wait_in_line(h2, stream, writes, deadline);
    if (writes && h2->sending) {
        int64_t soon = skua__http_deadline(WAIT_ROOM, deadline);

        rc = wait_in_line(h2, stream, writes, soon);
        if (rc != -ETIMEDOUT || soon == deadline || skua_now() < soon)
            return rc;
        if (h2->leading || !h2->sending)
            return 0;
        slice = WAIT_ROOM;
    }
    rc = wait_lead(h2, stream, slice, deadline);
    return rc == -ECANCELED || rc == -ETIMEDOUT ? rc : 0;
}

int skua__h2_wait(struct skua__h2 *h2, struct skua__h2_stream *stream, bool writes,
                  bool (*ready)(void *arg), void *arg, int64_t deadline)
{
    int rc = 0;

    while (rc == 0 && !ready(arg))
        rc = h2->setup.server ? wait_in_line(h2, stream, writes, deadline)
                              : wait_step(h2, stream, writes, deadline);
    wait_hand_on(h2);
    /* It was left to us, or to one that has gone before us: who reads would not hear of it. */
    if (h2->owed && !h2->sending && h2->line_first == NULL && wait_to_send(h2)) {
        pthread_mutex_unlock(&h2->mutex);
        (void)skua__h2_send(h2, skua_now() + WAIT_GRACE);
        pthread_mutex_lock(&h2->mutex);
    }
    return rc;
}

#undef WAIT_ROOM
#undef WAIT_GRACE
