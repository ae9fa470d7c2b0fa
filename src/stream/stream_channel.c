/* stream_channel.c - a channel's messages as a stream, through the channel's own receive futures.
 *
 * Flow       the channel is tried; when nothing is there a receive future waits for something, and
 *            is what is polled until it has received.
 * Room       a receive future has the place for its message, but each next may bring another one.
 *            Futures of channels receive inside their poll only. So one that waits with an item of
 *            a next that was given up is dropped, which passes on what it was told, and the channel
 *            is tried again. No message is lost, nor copied twice.
 * Watch      has no messages: its future only tells of a change, and the value is copied then.
 */
#include "stream/stream_impl.h"

struct skua__stream_receive {
    int (*try_)(void *receiver, void *item);
    skua_future *(*init)(skua_sync_future *wait, void *receiver, void *item);
};

/* The functions of a kind of channel, with one type for all kinds of receivers. */
#define STREAM_RECEIVE(kind)                                                                       \
    static int channel_##kind##_try(void *receiver, void *item)                                    \
    {                                                                                              \
        return skua_##kind##_try_recv(receiver, item);                                             \
    }                                                                                              \
    static skua_future *channel_##kind##_init(skua_sync_future *wait, void *receiver, void *item)  \
    {                                                                                              \
        return skua_##kind##_recv_init(wait, receiver, item);                                      \
    }                                                                                              \
    static const struct skua__stream_receive channel_##kind = {channel_##kind##_try,               \
                                                               channel_##kind##_init}
STREAM_RECEIVE(mpsc);
STREAM_RECEIVE(mpmc);
STREAM_RECEIVE(oneshot);
STREAM_RECEIVE(broadcast);

static int channel_watch_try(void *receiver, void *item)
{
    int rc = skua_watch_try_changed(receiver);

    if (rc == 0)
        (void)skua_watch_borrow_and_update(receiver, item);
    return rc;
}

static skua_future *channel_watch_wait(skua_sync_future *wait, void *receiver, void *item)
{
    (void)item;
    return skua_watch_changed_init(wait, receiver);
}

static const struct skua__stream_receive channel_watch = {channel_watch_try, channel_watch_wait};

/* ---- asking ---------------------------------------------------------------------------------- */

static skua_stream_channel *channel_of(skua_stream *stream)
{
    return skua__container(stream, skua_stream_channel, stream);
}

static void channel_drop(skua_stream *stream)
{
    skua_stream_channel *self = channel_of(stream);

    if (self->waits)
        skua_future_drop(&self->wait.future);
    self->waits = 0;
}

static skua_poll channel_wait(skua_stream_channel *self, void *item, skua_waker *waker)
{
    skua_poll answer;

    if (!self->waits) {
        self->receive->init(&self->wait, self->receiver, item);
        self->item = item;
        self->waits = 1;
    }
    answer = skua__future_poll_raw(&self->wait.future, waker);
    if (answer == SKUA_PENDING)
        return answer;
    self->waits = 0;
    if (answer == 0 && self->receive == &channel_watch)
        (void)skua_watch_borrow_and_update(self->receiver, item);
    return answer;
}

static skua_poll channel_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_channel *self = channel_of(stream);
    skua_poll answer = -EAGAIN;

    if (skua__unlikely(self->waits && self->item != item))
        channel_drop(stream);
    if (!self->waits)
        answer = self->receive->try_(self->receiver, item);
    if (answer == -EAGAIN)
        answer = channel_wait(self, item, waker);
    if (skua__likely(answer == 0))
        return 1;
    return answer == SKUA_ECLOSED ? 0 : answer;
}

static skua_poll channel_watch_next(skua_stream *stream, void *item, skua_waker *waker)
{
    skua_stream_channel *self = channel_of(stream);

    if (skua__likely(self->begun))
        return channel_next(stream, item, waker);
    self->begun = 1;
    (void)skua_watch_borrow_and_update(self->receiver, item);
    return 1;
}

static const skua_stream_ops channel_mpsc_ops = {
    .name = "mpsc", .next = channel_next, .drop = channel_drop};
static const skua_stream_ops channel_mpmc_ops = {
    .name = "mpmc", .next = channel_next, .drop = channel_drop};
static const skua_stream_ops channel_oneshot_ops = {
    .name = "oneshot", .next = channel_next, .drop = channel_drop};
static const skua_stream_ops channel_broadcast_ops = {
    .name = "broadcast", .next = channel_next, .drop = channel_drop};
static const skua_stream_ops channel_watch_ops = {
    .name = "watch", .next = channel_watch_next, .drop = channel_drop};

/* ---- for users ------------------------------------------------------------------------------- */

static skua_stream *channel_init(skua_stream_channel *self, void *receiver, size_t item_size,
                                 const skua_stream_ops *ops,
                                 const struct skua__stream_receive *receive)
{
    self->stream.ops = ops;
    self->stream.item_size = item_size;
    self->receive = receive;
    self->receiver = receiver;
    self->waits = 0;
    self->begun = 0;
    return &self->stream;
}

skua_stream *skua_stream_mpsc_init(skua_stream_channel *channel, skua_mpsc_receiver *receiver,
                                   size_t item_size)
{
    return channel_init(channel, receiver, item_size, &channel_mpsc_ops, &channel_mpsc);
}

skua_stream *skua_stream_mpmc_init(skua_stream_channel *channel, skua_mpmc_receiver *receiver,
                                   size_t item_size)
{
    return channel_init(channel, receiver, item_size, &channel_mpmc_ops, &channel_mpmc);
}

skua_stream *skua_stream_oneshot_init(skua_stream_channel *channel, skua_oneshot_receiver *receiver,
                                      size_t item_size)
{
    return channel_init(channel, receiver, item_size, &channel_oneshot_ops, &channel_oneshot);
}

skua_stream *skua_stream_broadcast_init(skua_stream_channel *channel,
                                        skua_broadcast_receiver *receiver, size_t item_size)
{
    return channel_init(channel, receiver, item_size, &channel_broadcast_ops, &channel_broadcast);
}

skua_stream *skua_stream_watch_init(skua_stream_channel *channel, skua_watch_receiver *receiver,
                                    size_t item_size)
{
    return channel_init(channel, receiver, item_size, &channel_watch_ops, &channel_watch);
}

#undef STREAM_RECEIVE
