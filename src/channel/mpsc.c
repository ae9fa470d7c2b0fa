/* mpsc.c - the channel of chan.h as mpsc.h shows it: one receiver. A handle is the channel. */
#include <skua/mpsc.h>

#include "channel/chan.h"

static struct skua__chan *mpsc_of(const void *handle)
{
    return (struct skua__chan *)(uintptr_t)handle;
}

/* ---- handles --------------------------------------------------------------------------------- */

static int mpsc_open(skua_mpsc_sender **sender, skua_mpsc_receiver **receiver, size_t size,
                     size_t capacity)
{
    struct skua__chan *chan;
    int rc = skua__chan_new(&chan, size, capacity);

    if (rc != 0)
        return rc;
    *sender = (skua_mpsc_sender *)(void *)chan;
    *receiver = (skua_mpsc_receiver *)(void *)chan;
    return 0;
}

int skua_mpsc_new(skua_mpsc_sender **sender, skua_mpsc_receiver **receiver, size_t size,
                  size_t capacity)
{
    return capacity == SKUA__CHAN_UNBOUNDED ? -EINVAL : mpsc_open(sender, receiver, size, capacity);
}

int skua_mpsc_new_unbounded(skua_mpsc_sender **sender, skua_mpsc_receiver **receiver, size_t size)
{
    return mpsc_open(sender, receiver, size, SKUA__CHAN_UNBOUNDED);
}

skua_mpsc_sender *skua_mpsc_sender_clone(skua_mpsc_sender *sender)
{
    skua__chan_add_sender(mpsc_of(sender));
    return sender;
}

void skua_mpsc_sender_close(skua_mpsc_sender *sender)
{
    if (sender != NULL)
        skua__chan_drop_sender(mpsc_of(sender));
}

void skua_mpsc_receiver_close(skua_mpsc_receiver *receiver)
{
    if (receiver != NULL)
        skua__chan_drop_receiver(mpsc_of(receiver));
}

void skua_mpsc_close(skua_mpsc_receiver *receiver)
{
    skua__chan_close(mpsc_of(receiver));
}

/* ---- sending --------------------------------------------------------------------------------- */

int skua_mpsc_send(skua_mpsc_sender *sender, const void *message)
{
    return skua__chan_send(mpsc_of(sender), message, SKUA_FOREVER);
}

int skua_mpsc_send_until(skua_mpsc_sender *sender, const void *message, int64_t deadline)
{
    return skua__chan_send(mpsc_of(sender), message, deadline);
}

int skua_mpsc_try_send(skua_mpsc_sender *sender, const void *message)
{
    return skua__chan_try_send(mpsc_of(sender), message);
}

skua_future *skua_mpsc_send_init(skua_sync_future *send, skua_mpsc_sender *sender,
                                 const void *message)
{
    return skua__chan_send_init(send, mpsc_of(sender), message);
}

int skua_mpsc_reserve(skua_mpsc_sender *sender, size_t count)
{
    skua_sync_future reserve;

    if (count > mpsc_of(sender)->capacity)
        return -EINVAL;
    return (int)skua_await(skua_mpsc_reserve_init(&reserve, sender, count));
}

int skua_mpsc_try_reserve(skua_mpsc_sender *sender, size_t count)
{
    if (count > mpsc_of(sender)->capacity)
        return -EINVAL;
    return skua__chan_try_reserve(mpsc_of(sender), count);
}

int skua_mpsc_send_reserved(skua_mpsc_sender *sender, const void *message)
{
    return skua__chan_send_reserved(mpsc_of(sender), message);
}

int skua_mpsc_unreserve(skua_mpsc_sender *sender, size_t count)
{
    return skua__chan_unreserve(mpsc_of(sender), count);
}

skua_future *skua_mpsc_reserve_init(skua_sync_future *reserve, skua_mpsc_sender *sender,
                                    size_t count)
{
    return skua__chan_reserve_init(reserve, mpsc_of(sender), count);
}

/* ---- receiving ------------------------------------------------------------------------------- */

int skua_mpsc_recv(skua_mpsc_receiver *receiver, void *message)
{
    return skua__chan_recv(mpsc_of(receiver), message, SKUA_FOREVER);
}

int skua_mpsc_recv_until(skua_mpsc_receiver *receiver, void *message, int64_t deadline)
{
    return skua__chan_recv(mpsc_of(receiver), message, deadline);
}

int skua_mpsc_try_recv(skua_mpsc_receiver *receiver, void *message)
{
    return skua__chan_try_recv(mpsc_of(receiver), message);
}

int64_t skua_mpsc_recv_many(skua_mpsc_receiver *receiver, void *messages, size_t most)
{
    int64_t count;
    int rc;

    if (most == 0)
        return -EINVAL;
    rc = skua__chan_recv(mpsc_of(receiver), messages, SKUA_FOREVER);
    if (rc != 0)
        return rc;
    count = skua__chan_try_recv_many(mpsc_of(receiver), (char *)messages + mpsc_of(receiver)->size,
                                     most - 1);
    return count > 0 ? 1 + count : 1;
}

skua_future *skua_mpsc_recv_init(skua_sync_future *recv, skua_mpsc_receiver *receiver,
                                 void *message)
{
    return skua__chan_recv_init(recv, mpsc_of(receiver), message);
}

size_t skua_mpsc_len(skua_mpsc_receiver *receiver)
{
    return skua__chan_len(mpsc_of(receiver));
}

int skua_mpsc_is_closed(skua_mpsc_sender *sender)
{
    return skua__chan_closed(mpsc_of(sender));
}

/* ---- weak senders ---------------------------------------------------------------------------- */

skua_mpsc_weak *skua_mpsc_downgrade(skua_mpsc_sender *sender)
{
    skua__chan_add_weak(mpsc_of(sender));
    return (skua_mpsc_weak *)(void *)sender;
}

skua_mpsc_sender *skua_mpsc_upgrade(skua_mpsc_weak *weak)
{
    return skua__chan_upgrade(mpsc_of(weak)) ? (skua_mpsc_sender *)(void *)weak : NULL;
}

void skua_mpsc_weak_close(skua_mpsc_weak *weak)
{
    if (weak != NULL)
        skua__chan_drop_weak(mpsc_of(weak));
}
