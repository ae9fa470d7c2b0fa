/* stream_source.c - streams of what is there: from a function, an array, one item; and of nothing.
 *
 * None of them waits, so none keeps a waker: who asks an endless one in a loop is stopped by the
 * budget of its own asks.
 */
#include "stream/stream_impl.h"

static skua_stream_source *source_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_source, stream);
}

static skua_stream *source_init(skua_stream_source *self, const skua_stream_ops *ops,
                                size_t item_size)
{
    self->stream.ops = ops;
    self->stream.item_size = item_size;
    return &self->stream;
}

/* ---- a function ------------------------------------------------------------------------------ */

static skua_poll source_from_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_source *self = source_of(stream);
    int rc = self->fn(item, self->arg);

    (void)waker;
    return rc > 0 ? 1 : rc;
}

static const skua_stream_ops source_from_ops = {.name = "from", .next = source_from_next};

skua_stream *skua_stream_from_init(skua_stream_source *source, skua_stream_from_fn fn, void *arg,
                                   size_t item_size)
{
    source->fn = fn;
    source->arg = arg;
    return source_init(source, &source_from_ops, item_size);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static skua_poll source_array_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_source *self = source_of(stream);

    (void)waker;
    if (self->left == 0)
        return 0;
    self->left--;
    skua__stream_copy(item, self->at, stream->item_size);
    self->at += stream->item_size;
    return 1;
}

static const skua_stream_ops source_array_ops = {.name = "array", .next = source_array_next};

skua_stream *skua_stream_array_init(skua_stream_source *source, const void *items, size_t count,
                                    size_t item_size)
{
    source->at = items;
    source->left = count;
    return source_init(source, &source_array_ops, item_size);
}

static skua_poll source_repeat_next(skua_stream *stream, void *item, skua_waker *waker)
{
    (void)waker;
    skua__stream_copy(item, source_of(stream)->at, stream->item_size);
    return 1;
}

static const skua_stream_ops source_repeat_ops = {.name = "repeat", .next = source_repeat_next};

skua_stream *skua_stream_repeat_init(skua_stream_source *source, const void *item, size_t item_size)
{
    source->at = item;
    return source_init(source, &source_repeat_ops, item_size);
}

/* ---- nothing --------------------------------------------------------------------------------- */

static skua_poll source_pending_next(skua_stream *stream, void *item, skua_waker *waker)
{
    (void)stream;
    (void)item;
    (void)waker;
    return SKUA_PENDING;
}

static const skua_stream_ops source_pending_ops = {.name = "pending", .next = source_pending_next};

skua_stream *skua_stream_pending_init(skua_stream_source *source, size_t item_size)
{
    return source_init(source, &source_pending_ops, item_size);
}
