/* h2_stream.c - a stream: opened, read, written, reset, let go of.
 *
 * in     filled by the one who feeds nghttp2, emptied by the reader, who gives the window back
 * out    filled by the writer, emptied by the one who sends, which wakes the writer when half of it
 *        is free: few long turns rather than many short ones
 */
#include "http/h2/h2_impl.h"

#define STREAM_FIRST ((size_t)1024)

/* ---- buffers --------------------------------------------------------------------------------- */

int skua__h2_buffer_add(struct skua__h2_buffer *buffer, const void *bytes, size_t len)
{
    size_t there = buffer->len - buffer->pos;

    if (there == 0)
        buffer->pos = buffer->len = 0;
    if (buffer->room - buffer->len < len && buffer->pos != 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->pos, there);
        buffer->pos = 0;
        buffer->len = there;
    }
    if (buffer->room - buffer->len < len) {
        size_t room = buffer->room != 0 ? buffer->room : STREAM_FIRST;
        char *more;

        while (room - there < len)
            room *= 2;
        more = skua__http_realloc(buffer->bytes, room);
        if (more == NULL)
            return -ENOMEM;
        buffer->bytes = more;
        buffer->room = room;
    }
    memcpy(buffer->bytes + buffer->len, bytes, len);
    buffer->len += len;
    return 0;
}

void skua__h2_buffer_free(struct skua__h2_buffer *buffer)
{
    skua__http_free(buffer->bytes);
    *buffer = (struct skua__h2_buffer){NULL, 0, 0, 0};
}

/* ---- a stream's life ------------------------------------------------------------------------- */

int skua__h2_error_of(uint32_t code)
{
    switch (code) {
    case NGHTTP2_NO_ERROR:
        return -EPIPE;
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_FRAME_SIZE_ERROR:
    case NGHTTP2_COMPRESSION_ERROR:
        return -EBADMSG;
    default:
        return -ECONNRESET;
    }
}

void skua__h2_stream_add(struct skua__h2 *h2, struct skua__h2_stream *stream)
{
    stream->h2 = h2;
    stream->length = -1;
    stream->next = h2->streams;
    stream->link = &h2->streams;
    if (stream->next != NULL)
        stream->next->link = &stream->next;
    h2->streams = stream;
}

void skua__h2_own(struct skua__h2_stream *stream)
{
    stream->owned = true;
    stream->refs++;
}

void skua__h2_ref(struct skua__h2_stream *stream)
{
    stream->refs++;
}

void skua__h2_unref(struct skua__h2_stream *stream)
{
    if (--stream->refs != 0)
        return;
    *stream->link = stream->next;
    if (stream->next != NULL)
        stream->next->link = stream->link;
    skua__h2_buffer_free(&stream->in);
    skua__h2_buffer_free(&stream->out);
    skua__http_arena_free(&stream->arena);
    stream->h2->setup.hooks->free(stream);
}

void skua__h2_over(struct skua__h2_stream *stream, uint32_t code, int error)
{
    if (stream->over)
        return;
    stream->over = true;
    stream->code = code;
    stream->error = error;
    skua__h2_buffer_free(&stream->out);
    skua__h2_wake(stream);
}

void skua__h2_cut(struct skua__h2_stream *stream, uint32_t code, int error)
{
    struct skua__h2 *h2 = stream->h2;

    /* Once: a second one would go out also where the first has only withdrawn the request. */
    if (stream->known && !stream->cut &&
        nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, stream->id, code) == 0)
        h2->dirty = true;
    skua__h2_over(stream, code, error);
    stream->cut = true;
    skua__h2_buffer_free(&stream->in);
}

/* Under the mutex: nghttp2 looks into out again. */
static void stream_resume(struct skua__h2_stream *stream)
{
    if (stream->deferred)
        (void)nghttp2_session_resume_data(stream->h2->session, stream->id);
    stream->deferred = false;
    stream->h2->dirty = true;
}

void skua__h2_reset(struct skua__h2_stream *stream, uint32_t code, int error)
{
    struct skua__h2 *h2 = stream->h2;
    bool had;

    pthread_mutex_lock(&h2->mutex);
    had = stream->known;
    skua__h2_cut(stream, code, error);
    pthread_mutex_unlock(&h2->mutex);
    if (had)
        skua__h2_flush_soon(h2);
}

void skua__h2_reset_behind(struct skua__h2_stream *stream, uint32_t code, int error)
{
    struct skua__h2 *h2 = stream->h2;

    pthread_mutex_lock(&h2->mutex);
    if (stream->begun && !stream->over && !stream->out_ended) {
        stream->out_ended = stream->out_cut = true;
        stream->out_code = code;
        stream_resume(stream);
    } else {
        skua__h2_cut(stream, code, error);
    }
    pthread_mutex_unlock(&h2->mutex);
    skua__h2_flush_soon(h2);
}

void skua__h2_let_go(struct skua__h2_stream *stream)
{
    struct skua__h2 *h2 = stream->h2;
    bool had;

    pthread_mutex_lock(&h2->mutex);
    had = stream->known;
    stream->owned = false;
    stream->let_go = true;
    if (stream->known && !stream->out_ended)
        skua__h2_cut(stream, NGHTTP2_CANCEL, -ECANCELED);
    else if (stream->known && !h2->setup.server && !stream->in_ended)
        skua__h2_cut(stream, NGHTTP2_CANCEL, -ECANCELED);
    skua__h2_buffer_free(&stream->in);
    skua__h2_unref(stream);
    pthread_mutex_unlock(&h2->mutex);
    if (had)
        skua__h2_flush_soon(h2);
}

/* ---- opening --------------------------------------------------------------------------------- */

static nghttp2_data_provider stream_provider(struct skua__h2_stream *stream)
{
    return (nghttp2_data_provider){.source.ptr = stream, .read_callback = skua__h2_on_out};
}

/* What nghttp2 said to a head; 0 or an error. */
static int stream_submitted(struct skua__h2_stream *stream, ssize_t rc, bool end)
{
    if (rc == NGHTTP2_ERR_NOMEM)
        return -ENOMEM;
    if (rc < 0)
        return SKUA_ECLOSED;
    stream->begun = true;
    stream->out_ended = end;
    stream->moved = skua_now();
    stream->h2->dirty = true;
    return 0;
}

int skua__h2_request(struct skua__h2_stream *stream, const nghttp2_nv *fields, size_t count,
                     bool end)
{
    struct skua__h2 *h2 = stream->h2;
    nghttp2_data_provider provider = stream_provider(stream);
    int32_t id = 0;
    int rc;

    pthread_mutex_lock(&h2->mutex);
    if (h2->error != 0 || h2->draining || h2->stopping != SKUA__H2_GOING) {
        rc = SKUA_ECLOSED;
    } else if (skua__h2_room(h2) == 0) {
        rc = -EAGAIN;
    } else {
        id = nghttp2_submit_request(h2->session, NULL, fields, count, end ? NULL : &provider,
                                    stream);
        rc = stream_submitted(stream, id, end);
    }
    if (rc == 0) {
        stream->id = id;
        stream->known = true;
        stream->refs++;
        h2->known++;
    }
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

int skua__h2_respond(struct skua__h2_stream *stream, const nghttp2_nv *fields, size_t count,
                     bool end)
{
    struct skua__h2 *h2 = stream->h2;
    nghttp2_data_provider provider = stream_provider(stream);
    int rc;

    pthread_mutex_lock(&h2->mutex);
    rc = stream->over ? stream->error : 0;
    if (rc == 0)
        rc = stream_submitted(
            stream,
            nghttp2_submit_response(h2->session, stream->id, fields, count, end ? NULL : &provider),
            end);
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

int skua__h2_inform(struct skua__h2_stream *stream, int status)
{
    struct skua__h2 *h2 = stream->h2;
    char digits[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                      (char)('0' + status % 10), '\0'};
    nghttp2_nv field = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)digits, 7, 3,
                        NGHTTP2_NV_FLAG_NONE};
    int rc;

    pthread_mutex_lock(&h2->mutex);
    rc = stream->over ? stream->error : 0;
    if (rc == 0 && !stream->begun && /* else it is too late for that */
        nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, stream->id, NULL, &field, 1, NULL) !=
            0)
        rc = -ENOMEM;
    h2->dirty = true;
    pthread_mutex_unlock(&h2->mutex);
    return rc == 0 ? skua__h2_flush(h2) : rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool stream_head_ready(void *arg)
{
    const struct skua__h2_stream *stream = arg;

    return stream->head_done || stream->over;
}

int skua__h2_read_head(struct skua__h2_stream *stream, int64_t deadline)
{
    struct skua__h2 *h2 = stream->h2;
    int rc;

    pthread_mutex_lock(&h2->mutex);
    rc = skua__h2_wait(h2, stream, false, stream_head_ready, stream, deadline);
    if (stream->head_done)
        rc = 0;
    else if (stream->over)
        rc = stream->error;
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

static bool stream_body_ready(void *arg)
{
    const struct skua__h2_stream *stream = arg;

    return stream->in.len != stream->in.pos || stream->in_ended || stream->over;
}

/* Under the mutex: takes bytes out of `in`; their window is the peer's again. */
static ssize_t stream_take(struct skua__h2_stream *stream, void *buf, size_t len)
{
    struct skua__h2_buffer *in = &stream->in;
    struct skua__h2 *h2 = stream->h2;

    if (len > in->len - in->pos)
        len = in->len - in->pos;
    memcpy(buf, in->bytes + in->pos, len);
    in->pos += len;
    if (in->pos == in->len && in->room > SKUA__H2_OUT)
        skua__h2_buffer_free(in);
    if (stream->known && !stream->in_ended) {
        (void)nghttp2_session_consume_stream(h2->session, stream->id, len);
        if (nghttp2_session_want_write(h2->session) != 0)
            h2->dirty = true;
    }
    return (ssize_t)len;
}

ssize_t skua__h2_read(struct skua__h2_stream *stream, void *buf, size_t len, int64_t deadline)
{
    struct skua__h2 *h2 = stream->h2;
    bool due;
    ssize_t n = skua_yield_if_needed(); /* or who never waits keeps the connection's reader off */

    if (n < 0)
        return n;
    pthread_mutex_lock(&h2->mutex);
    n = skua__h2_wait(h2, stream, false, stream_body_ready, stream, deadline);
    if (stream->in.len != stream->in.pos)
        n = stream_take(stream, buf, len);
    else if (stream->in_ended && !stream->cut)
        n = 0;
    else if (stream->over)
        n = stream->error;
    due = h2->dirty;
    pthread_mutex_unlock(&h2->mutex);
    if (due && n > 0)
        (void)skua__h2_flush(h2); /* when it fails the next call says so */
    return n;
}

/* ---- writing --------------------------------------------------------------------------------- */

static size_t stream_room(const struct skua__h2_stream *stream)
{
    return SKUA__H2_OUT - (stream->out.len - stream->out.pos);
}

static bool stream_out_ready(void *arg)
{
    const struct skua__h2_stream *stream = arg;

    return stream->over || stream_room(stream) >= SKUA__H2_OUT / 2;
}

/* Under the mutex: until there is room. */
static int stream_wait_room(struct skua__h2_stream *stream, int64_t timeout)
{
    int64_t deadline = skua__http_deadline(timeout, SKUA_FOREVER);
    int rc;

    do {
        rc = skua__h2_wait(stream->h2, stream, true, stream_out_ready, stream, deadline);
        if (stream->over)
            return stream->error;
        if (stream_room(stream) != 0)
            return 0;
        /* The peer takes a little now and then: that is enough. */
        if (rc == -ETIMEDOUT && timeout != SKUA_FOREVER &&
            skua__http_after(stream->moved, timeout) > deadline) {
            deadline = skua__http_after(stream->moved, timeout);
            rc = 0;
        }
    } while (rc == 0);
    return rc;
}

int skua__h2_write(struct skua__h2_stream *stream, const void *buf, size_t len, int64_t timeout)
{
    struct skua__h2 *h2 = stream->h2;
    const char *data = buf;
    int rc = skua_yield_if_needed();

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&h2->mutex);
    while (rc == 0 && len != 0) {
        size_t part = stream_room(stream) < len ? stream_room(stream) : len;

        if (stream->over) {
            rc = stream->error;
            break;
        }
        if (part != 0) {
            rc = skua__h2_buffer_add(&stream->out, data, part);
            if (rc != 0)
                break;
            data += part;
            len -= part;
            stream_resume(stream);
        }
        if (len != 0) {
            if (h2->setup.server)
                skua_notify_one(&h2->work);
            rc = stream_wait_room(stream, timeout);
        }
    }
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

int skua__h2_end(struct skua__h2_stream *stream, nghttp2_nv *trailers, size_t count)
{
    struct skua__h2 *h2 = stream->h2;
    int rc;

    pthread_mutex_lock(&h2->mutex);
    rc = stream->over ? stream->error : 0;
    if (rc == 0 && !stream->out_ended) {
        stream->out_trailers = trailers;
        stream->out_trailers_count = count;
        stream->out_ended = true;
        stream_resume(stream);
    }
    pthread_mutex_unlock(&h2->mutex);
    return rc;
}

#undef STREAM_FIRST
