/* h2c_answer.c - a response on a stream: head, body, trailers; and the stream's end.
 *
 * The strings are copied: a response lives longer than its stream.
 *
 * Waking     who reads for all sits in the stream of bytes, and is not woken by a reset of ours. So
 *            a reset brings a PING with it, when the one that it is to wake reads: its answer does.
 *            Not else: servers count PINGs, those of gRPC end a connection for a few.
 */
#include "http/h2client/h2c_impl.h"

static int answer_copy(struct skua__http_fields *to, const struct skua__http_fields *from,
                       struct skua__http_arena *arena)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct skua__http_field *field = &from->at[i];
        struct skua__http_field *copy = skua__http_fields_add(to, arena);

        if (copy == NULL)
            return -ENOMEM;
        *copy = *field;
        copy->name = skua__http_arena_copy(arena, field->name, field->name_len);
        copy->value = skua__http_arena_copy(arena, field->value, field->value_len);
        if (copy->name == NULL || copy->value == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* What was wrong with a head, or trailers; the stream is of no use then. Under the mutex. */
static int answer_check(const struct skua__h2_stream *stream)
{
    if (stream->no_memory)
        return -ENOMEM;
    return stream->too_large ? SKUA_ELIMIT : 0;
}

int skua__h2c_head(struct skua__h2c_stream *self, struct skua__http_answer *answer,
                   int64_t deadline)
{
    struct skua__h2_stream *stream = &self->stream;
    int rc = skua__h2_read_head(stream, deadline);

    if (rc != 0)
        return rc;
    pthread_mutex_lock(&stream->h2->mutex); /* trailers may come meanwhile, into the same arena */
    rc = answer_check(stream);
    if (rc == 0)
        rc = answer_copy(&answer->fields, &stream->head, answer->arena);
    answer->status = stream->status;
    answer->version = 20;
    answer->length = stream->status == 204 ? 0 : stream->length;
    pthread_mutex_unlock(&stream->h2->mutex);
    return rc;
}

static int answer_trailers(struct skua__h2_stream *stream, struct skua__http_answer *answer)
{
    int rc;

    pthread_mutex_lock(&stream->h2->mutex);
    rc = answer_check(stream);
    if (rc == 0 && answer->trailers.count == 0)
        rc = answer_copy(&answer->trailers, &stream->trailers, answer->arena);
    pthread_mutex_unlock(&stream->h2->mutex);
    return rc;
}

ssize_t skua__h2c_read(struct skua__h2c_stream *self, struct skua__http_answer *answer, void *buf,
                       size_t len, int64_t deadline)
{
    ssize_t n = len != 0 ? skua__h2_read(&self->stream, buf, len, deadline) : 0;

    return n != 0 || len == 0 ? n : answer_trailers(&self->stream, answer);
}

bool skua__h2c_ended(struct skua__h2c_stream *self)
{
    struct skua__h2_stream *stream = &self->stream;
    bool ended;

    pthread_mutex_lock(&stream->h2->mutex);
    ended = stream->in_ended && stream->in.len == stream->in.pos;
    pthread_mutex_unlock(&stream->h2->mutex);
    return ended;
}

/* ---- the end --------------------------------------------------------------------------------- */

void skua__h2c_cancel(struct skua__h2c_stream *self, uint32_t code, int error)
{
    struct skua__h2_stream *stream = &self->stream;
    struct skua__h2 *h2 = stream->h2;

    pthread_mutex_lock(&h2->mutex);
    if (stream->known && !stream->over && h2->leading && h2->leads_for == stream)
        (void)skua__h2_ping(h2);
    skua__h2_cut(stream, code, error);
    pthread_mutex_unlock(&h2->mutex);
    skua__h2_flush_soon(h2);
}

int64_t skua__h2c_reset_code(struct skua__h2c_stream *self)
{
    struct skua__h2_stream *stream = &self->stream;
    int64_t code;

    pthread_mutex_lock(&stream->h2->mutex);
    code = stream->over && !stream->cut && stream->error != stream->h2->error
               ? (int64_t)stream->code
               : -1;
    pthread_mutex_unlock(&stream->h2->mutex);
    return code;
}

bool skua__h2c_unprocessed(struct skua__h2c_stream *self)
{
    struct skua__h2_stream *stream = &self->stream;
    bool refused;

    pthread_mutex_lock(&stream->h2->mutex);
    refused = self->refused || (stream->over && stream->refused);
    pthread_mutex_unlock(&stream->h2->mutex);
    return refused;
}

bool skua__h2c_lost(struct skua__h2c_stream *self)
{
    struct skua__h2_stream *stream = &self->stream;
    bool lost;

    pthread_mutex_lock(&stream->h2->mutex);
    lost = stream->h2->error != 0 && !stream->head_done && stream->informed == 0;
    pthread_mutex_unlock(&stream->h2->mutex);
    return lost;
}

void skua__h2c_close(struct skua__h2c_stream *self)
{
    struct skua__h2 *h2;

    if (self == NULL)
        return;
    h2 = self->stream.h2;
    pthread_mutex_lock(&h2->mutex);
    if (self->stream.known && self->h2c->crowd != 0 && h2->leading && h2->leads_for == NULL)
        (void)skua__h2_ping(h2); /* who reads may be one that waits for this place */
    pthread_mutex_unlock(&h2->mutex);
    skua__h2_let_go(&self->stream);
}
