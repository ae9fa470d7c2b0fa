/* stream.c - a stream's two verbs, its end, and the wait for an item.
 *
 * Flow       skua_stream_next -> skua__stream_ask -> the kind's next -> its source's next ...
 * Fast       on a fiber an item that is ready costs what a leaf does (cancellation, a unit of
 *            budget) and the ask itself, with the fiber's own waker: no future is made, nobody is
 *            told what is waited for. Only a stream that is not ready is asked again by an await.
 * Giving up  a wait that is dropped leaves the stream alone: what it has waits for the next ask, a
 *            waker that is still kept wakes once too often.
 */
#include "stream/stream_impl.h"

/* ---- the end --------------------------------------------------------------------------------- */

static skua_poll stream_over_next(skua_stream *self, void *item, skua_waker *waker)
{
    (void)self;
    (void)item;
    (void)waker;
    return 0;
}

const skua_stream_ops skua__stream_over = {.name = "over", .next = stream_over_next};

static skua_poll stream_refused_next(skua_stream *self, void *item, skua_waker *waker)
{
    (void)item;
    (void)waker;
    self->ops = &skua__stream_over;
    return -EINVAL;
}

static const skua_stream_ops stream_refused_ops = {.name = "refused", .next = stream_refused_next};

skua_stream *skua__stream_refuse(skua_stream *stream)
{
    stream->ops = &stream_refused_ops;
    return stream;
}

void skua_stream_drop(skua_stream *stream)
{
    const skua_stream_ops *ops;

    if (stream == NULL)
        return;
    ops = stream->ops;
    stream->ops = &skua__stream_over;
    if (ops->drop != NULL)
        ops->drop(stream);
}

void skua__stream_end(skua_stream *stream)
{
    skua_stream_drop(stream);
}

/* ---- asking ---------------------------------------------------------------------------------- */

skua_poll skua_stream_poll(skua_stream *stream, void *item, skua_waker *waker)
{
    return skua__stream_ask(stream, item, waker);
}

static skua_poll stream_future_poll(skua_future *future, skua_waker *waker)
{
    skua_stream_future *self = skua__container(future, skua_stream_future, future);

    return skua__stream_ask(self->stream, self->item, waker);
}

static const skua_future_ops stream_future_ops = {.name = "stream.next",
                                                  .poll = stream_future_poll};

skua_future *skua_stream_next_init(skua_stream_future *next, skua_stream *stream, void *item)
{
    next->future.ops = &stream_future_ops;
    next->stream = stream;
    next->item = item;
    return &next->future;
}

int skua_stream_next_until(skua_stream *stream, void *item, int64_t deadline)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    skua_stream_future next;
    skua_poll answer;
    int rc;

    if (skua__likely(fiber != NULL)) {
        rc = skua__task_leaf();
        if (skua__unlikely(rc != 0))
            return rc;
        answer = skua__stream_ask(stream, item, skua__task_waker(&fiber->task));
        if (skua__likely(answer != SKUA_PENDING))
            return (int)answer;
    }
    return (int)skua_await_until(skua_stream_next_init(&next, stream, item), deadline);
}

int skua_stream_next(skua_stream *stream, void *item)
{
    return skua_stream_next_until(stream, item, SKUA_FOREVER);
}
