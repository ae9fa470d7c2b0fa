/* h2_session.c - a session of nghttp2: how it is set up, and what it tells of the frames.
 *
 * nghttp2 keeps the states of streams, windows and HPACK, and answers what breaks the protocol:
 * with RST_STREAM, or with GOAWAY, behind which it reads nothing. What it tells us we write down in
 * the stream, and wake who waits.
 */
#include "http/h2/h2_impl.h"

/* Opaque data of our PINGs: the stop's, and the numbered ones. */
#define SESSION_STOP "skuastop"
/* Between the two GOAWAYs, when the client does not answer the PING. */
#define SESSION_STOP_WAIT SKUA_SECOND

static struct skua__h2_stream *session_stream(nghttp2_session *session, int32_t id)
{
    return id != 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

/* ---- heads ----------------------------------------------------------------------------------- */

static int session_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct skua__h2 *h2 = arg;
    struct skua__h2_stream *stream;

    if (!h2->setup.server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    skua__h2_calm_worth(h2);
    stream = h2->error == 0 ? h2->setup.hooks->open(h2) : NULL;
    if (stream == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    skua__h2_stream_add(h2, stream);
    stream->id = frame->hd.stream_id;
    stream->known = true;
    stream->refs++;
    h2->known++;
    h2->opened = stream->id;
    (void)nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static int session_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *arg)
{
    struct skua__h2_stream *stream = session_stream(session, frame->hd.stream_id);

    (void)flags;
    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS || stream == NULL || stream->over)
        return 0;
    return skua__h2_field(stream, stream->head_done, (const char *)name, name_len,
                          (const char *)value, value_len) == 0
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Not only not kept: the stream is reset. */
static int session_on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                                     const uint8_t *name, size_t name_len, const uint8_t *value,
                                     size_t value_len, uint8_t flags, void *arg)
{
    (void)session;
    (void)frame;
    (void)name;
    (void)name_len;
    (void)value;
    (void)value_len;
    (void)flags;
    (void)arg;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void session_head(struct skua__h2 *h2, struct skua__h2_stream *stream)
{
    if (stream->head_done) /* trailers; too many of them are no head's */
        return;
    if (!h2->setup.server && stream->status < 200) {
        skua__h2_head_informed(stream);
        return;
    }
    skua__h2_head_done(stream);
    h2->setup.hooks->head(stream);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void session_on_goaway(struct skua__h2 *h2, const nghttp2_goaway *frame)
{
    h2->draining = true;
    h2->last_id = frame->last_stream_id;
    h2->goaway_code = frame->error_code;
    skua__h2_wake_connection(h2);
}

static void session_on_ping(struct skua__h2 *h2, const nghttp2_ping *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        return;
    if (memcmp(frame->opaque_data, SESSION_STOP, 8) == 0) {
        h2->stop_next = skua_now();
        return;
    }
    h2->pongs++;
    skua__h2_wake_connection(h2);
}

static int session_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct skua__h2 *h2 = arg;
    struct skua__h2_stream *stream = session_stream(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY)
        session_on_goaway(h2, &frame->goaway);
    else if (frame->hd.type == NGHTTP2_PING)
        session_on_ping(h2, &frame->ping);
    else if (frame->hd.type == NGHTTP2_SETTINGS)
        skua__h2_wake_connection(h2); /* it may take more streams */
    else if (frame->hd.type == NGHTTP2_RST_STREAM && h2->setup.server && !skua__h2_calm_reset(h2))
        skua__h2_flooded(h2);
    if (stream == NULL || stream->over ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        stream->in_ended = true;
    if (frame->hd.type == NGHTTP2_HEADERS && stream->head_done &&
        (stream->too_large || stream->no_memory)) /* trailers, of which some are missing */
        skua__h2_cut(stream, NGHTTP2_ENHANCE_YOUR_CALM, stream->no_memory ? -ENOMEM : -EBADMSG);
    else if (frame->hd.type == NGHTTP2_HEADERS)
        session_head(h2, stream);
    if (frame->hd.type == NGHTTP2_HEADERS || stream->in_ended)
        skua__h2_wake(stream);
    return 0;
}

static int session_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                           const uint8_t *bytes, size_t len, void *arg)
{
    struct skua__h2 *h2 = arg;
    struct skua__h2_stream *stream = session_stream(session, id);

    (void)flags;
    (void)nghttp2_session_consume_connection(session, len);
    skua__h2_calm_worth(h2);
    if (stream == NULL || stream->over || stream->let_go) {
        (void)nghttp2_session_consume_stream(session, id, len);
        return 0;
    }
    stream->came += len;
    if (skua__h2_buffer_add(&stream->in, bytes, len) != 0)
        skua__h2_cut(stream, NGHTTP2_INTERNAL_ERROR, -ENOMEM);
    else
        skua__h2_wake(stream);
    return 0;
}

/* A frame that broke a rule of its stream: it will be reset. */
static int session_on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                                    void *arg)
{
    struct skua__h2 *h2 = arg;

    (void)session;
    (void)frame;
    (void)code;
    if (!skua__h2_calm_reset(h2))
        skua__h2_flooded(h2);
    return 0;
}

/* ---- what goes out --------------------------------------------------------------------------- */

ssize_t skua__h2_on_out(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
                        uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct skua__h2_stream *stream = source->ptr;
    size_t there = stream->out.len - stream->out.pos;

    (void)buf;
    (void)arg;
    if (stream->over) { /* its RST_STREAM is on its way */
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (there == 0 && stream->out_cut)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, stream->out_code);
    if (there == 0 && (!stream->out_ended || stream->out_cut)) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len > there)
        len = there;
    if (len != 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (len == there && stream->out_ended && !stream->out_cut) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->out_trailers_count != 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (nghttp2_submit_trailer(session, id, stream->out_trailers,
                                       stream->out_trailers_count) != 0)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)len;
}

/* The head of a DATA frame, and its bytes out of the stream's `out`. nghttp2 goes on to the next
 * such frame, or gives us one of another kind: for that there must be room, too. */
static int session_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                                size_t len, nghttp2_data_source *source, void *arg)
{
    struct skua__h2 *h2 = arg;
    struct skua__h2_stream *stream = source->ptr;

    (void)session;
    (void)frame;
    if (stream->out.len - stream->out.pos < len)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it was reset while this had to wait */
    if (SKUA__H2_WIRE - h2->wire_len < 9 + len + SKUA__H2_FRAME) {
        h2->stuffed = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    memcpy(h2->wire + h2->wire_len, head, 9);
    memcpy(h2->wire + h2->wire_len + 9, stream->out.bytes + stream->out.pos, len);
    h2->wire_len += 9 + len;
    stream->out.pos += len;
    stream->moved = skua_now();
    if (stream->out.len - stream->out.pos <= SKUA__H2_OUT / 2)
        skua__h2_wake(stream);
    skua__h2_calm_worth(h2);
    return 0;
}

static int session_on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct skua__h2 *h2 = arg;
    struct skua__h2_stream *stream = session_stream(session, frame->hd.stream_id);

    if (frame->hd.type == NGHTTP2_GOAWAY)
        h2->said_code = frame->goaway.error_code;
    if (frame->hd.type == NGHTTP2_RST_STREAM && stream != NULL)
        stream->reset = true;
    if (stream == NULL || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    stream->out_sent = true;
    if (h2->setup.server && !stream->in_ended && !stream->over) /* RFC 9113, 8.1 */
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    return 0;
}

static void session_closed(struct skua__h2 *h2, struct skua__h2_stream *stream, uint32_t code)
{
    if (!stream->known)
        return;
    stream->known = false;
    h2->past[h2->past_next++ % SKUA__H2_PAST] = stream->reset ? -stream->id : stream->id;
    if (--h2->known == 0)
        h2->idle_since = skua_now();
    if (!stream->in_ended || !stream->out_sent) {
        stream->refused = code == NGHTTP2_REFUSED_STREAM;
        skua__h2_over(stream, code, skua__h2_error_of(code));
    }
    h2->setup.hooks->closed(stream);
    skua__h2_unref(stream);
    skua__h2_wake_connection(h2);
}

static int session_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct skua__h2_stream *stream = session_stream(session, id);

    if (stream != NULL)
        session_closed(arg, stream, code);
    return 0;
}

/* A head that never went out: the peer says goodbye, the stream was reset before, or it is longer
 * than nghttp2 sends. */
static int session_on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code,
                               void *arg)
{
    struct skua__h2 *h2 = arg;
    struct skua__h2_stream *stream = h2->streams;

    (void)code;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    while (stream != NULL && !(stream->known && stream->id == frame->hd.stream_id))
        stream = stream->next;
    if (stream != NULL && h2->setup.server)
        skua__h2_cut(stream, NGHTTP2_INTERNAL_ERROR, -EMSGSIZE);
    if (stream == NULL || h2->setup.server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    (void)nghttp2_session_set_stream_user_data(session, stream->id, NULL); /* it closes it, too */
    session_closed(h2, stream, NGHTTP2_REFUSED_STREAM);
    return 0;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static int session_callbacks(nghttp2_session_callbacks **ret)
{
    nghttp2_session_callbacks *all;

    if (nghttp2_session_callbacks_new(&all) != 0)
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, session_on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(all, session_on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(all, session_on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, session_on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, session_on_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, session_on_invalid_frame);
    nghttp2_session_callbacks_set_send_data_callback(all, session_on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, session_on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(all, session_on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, session_on_close);
    *ret = all;
    return 0;
}

/* nghttp2's memory is ours, so that it may fail as ours does. */
static void *session_malloc(size_t size, void *arg)
{
    (void)arg;
    return skua__http_raw(size);
}

static void session_free(void *memory, void *arg)
{
    (void)arg;
    skua__http_free(memory);
}

static void *session_calloc(size_t count, size_t size, void *arg)
{
    (void)arg;
    return size != 0 && count > SIZE_MAX / size ? NULL : skua__http_malloc(count * size);
}

static void *session_realloc(void *memory, size_t size, void *arg)
{
    (void)arg;
    return skua__http_realloc(memory, size);
}

static int session_make(struct skua__h2 *h2)
{
    nghttp2_mem memory = {NULL, session_malloc, session_free, session_calloc, session_realloc};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = session_callbacks(&callbacks);

    if (rc != 0)
        return rc;
    if (nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(callbacks);
        return -ENOMEM;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, 1000);
    nghttp2_option_set_max_send_header_block_length(option, (size_t)1 << 20);
    if (h2->setup.server)
        rc = nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &memory);
    else
        rc = nghttp2_session_client_new3(&h2->session, callbacks, h2, option, &memory);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc == 0 ? 0 : -ENOMEM;
}

static int session_settings(struct skua__h2 *h2)
{
    const struct skua__h2_setup *setup = &h2->setup;
    nghttp2_settings_entry settings[5];
    size_t count = 0;
    uint32_t head = setup->head_max < UINT32_MAX ? (uint32_t)setup->head_max : UINT32_MAX;
    int rc;

    settings[count++] =
        (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, setup->window};
    settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, head};
    if (setup->server)
        settings[count++] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, setup->streams_max};
    else
        settings[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    rc = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, count);
    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                   SKUA__H2_CONNECTION_WINDOW);
    return rc == 0 ? 0 : -ENOMEM;
}

int skua__h2_init(struct skua__h2 *h2, skua_io io, const struct skua__h2_setup *setup, void *owner)
{
    int rc;

    memset(h2, 0, sizeof *h2);
    h2->io = io;
    h2->setup = *setup;
    h2->owner = owner;
    h2->dirty = true;
    h2->idle_since = skua_now();
    skua__h2_frames_begin(h2);
    rc = session_make(h2);
    if (rc == 0)
        rc = session_settings(h2);
    if (rc != 0) {
        nghttp2_session_del(h2->session);
        return rc;
    }
    (void)pthread_mutex_init(&h2->mutex, NULL);
    return 0;
}

void skua__h2_free(struct skua__h2 *h2)
{
    struct skua__h2_stream *next;

    for (struct skua__h2_stream *at = h2->streams; at != NULL; at = next) {
        next = at->next;
        at->known = false;
        skua__h2_unref(at);
    }
    nghttp2_session_del(h2->session);
    skua__http_free(h2->wire);
    skua__http_free(h2->in);
    (void)pthread_mutex_destroy(&h2->mutex);
}

/* ---- the connection -------------------------------------------------------------------------- */

void skua__h2_fail(struct skua__h2 *h2, int error)
{
    if (h2->error != 0)
        return;
    h2->error = error;
    for (struct skua__h2_stream *at = h2->streams; at != NULL; at = at->next)
        skua__h2_over(at, NGHTTP2_INTERNAL_ERROR, error);
    skua__h2_wake_connection(h2);
    skua_notify_one(&h2->work);
}

void skua__h2_say_goaway(struct skua__h2 *h2, uint32_t code)
{
    if (h2->stopping == SKUA__H2_STOP_SAID)
        return;
    (void)nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h2->session), code, NULL,
                                0);
    h2->stopping = SKUA__H2_STOP_SAID;
    h2->stop_next = SKUA_FOREVER;
    h2->dirty = true;
}

void skua__h2_stop(struct skua__h2 *h2)
{
    if (h2->stopping == SKUA__H2_GOING && h2->known != 0) {
        (void)nghttp2_submit_shutdown_notice(h2->session);
        (void)nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, (const uint8_t *)SESSION_STOP);
        h2->stopping = SKUA__H2_STOP_NOTICED;
        h2->stop_next = skua_now() + SESSION_STOP_WAIT;
        h2->dirty = true;
    } else if (h2->stopping == SKUA__H2_GOING || skua_now() >= h2->stop_next) {
        skua__h2_say_goaway(h2, NGHTTP2_NO_ERROR);
    }
}

int skua__h2_ping(struct skua__h2 *h2)
{
    uint8_t number[8];

    memcpy(number, &h2->pings, sizeof number);
    if (nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, number) != 0)
        return -ENOMEM;
    h2->pings++;
    h2->dirty = true;
    return 0;
}

size_t skua__h2_room(struct skua__h2 *h2)
{
    uint32_t most;

    if (h2->error != 0 || h2->draining || h2->stopping != SKUA__H2_GOING ||
        nghttp2_session_check_request_allowed(h2->session) == 0)
        return 0;
    most =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return most > h2->known ? most - h2->known : 0;
}

#undef SESSION_STOP
#undef SESSION_STOP_WAIT
