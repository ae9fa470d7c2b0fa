/* mpmc.c - the channel of chan.h as mpmc.h shows it. A handle is the channel. */
#include <skua/mpmc.h>

#include "channel/chan.h"

static struct skua__chan *mpmc_of(const void *handle)
{
    return (struct skua__chan *)(uintptr_t)handle;
}

/* ---- handles --------------------------------------------------------------------------------- */

static int mpmc_open(skua_mpmc_sender **sender, skua_mpmc_receiver **receiver, size_t size,
                     size_t capacity)
{
    struct skua__chan *chan;
    int rc = skua__chan_new(&chan, size, capacity);

    if (rc != 0)
        return rc;
    *sender = (skua_mpmc_sender *)(void *)chan;
    *receiver = (skua_mpmc_receiver *)(void *)chan;
    return 0;
}

int skua_mpmc_new(skua_mpmc_sender **sender, skua_mpmc_receiver **receiver, size_t size,
                  size_t capacity)
{
    return capacity == SKUA__CHAN_UNBOUNDED ? -EINVAL : mpmc_open(sender, receiver, size, capacity);
}

int skua_mpmc_new_unbounded(skua_mpmc_sender **sender, skua_mpmc_receiver **receiver, size_t size)
{
    return mpmc_open(sender, receiver, size, SKUA__CHAN_UNBOUNDED);
}

skua_mpmc_sender *skua_mpmc_sender_clone(skua_mpmc_sender *sender)
{
    skua__chan_add_sender(mpmc_of(sender));
    return sender;
}

void skua_mpmc_sender_close(skua_mpmc_sender *sender)
{
    if (sender != NULL)
        skua__chan_drop_sender(mpmc_of(sender));
}

skua_mpmc_receiver *skua_mpmc_receiver_clone(skua_mpmc_receiver *receiver)
{
    skua__chan_add_receiver(mpmc_of(receiver));
    return receiver;
}

void skua_mpmc_receiver_close(skua_mpmc_receiver *receiver)
{
    if (receiver != NULL)
        skua__chan_drop_receiver(mpmc_of(receiver));
}

void skua_mpmc_close(skua_mpmc_receiver *receiver)
{
    skua__chan_close(mpmc_of(receiver));
}

/* ---- sending --------------------------------------------------------------------------------- */

int skua_mpmc_send(skua_mpmc_sender *sender, const void *message)
{
    return skua__chan_send(mpmc_of(sender), message, SKUA_FOREVER);
}

int skua_mpmc_send_until(skua_mpmc_sender *sender, const void *message, int64_t deadline)
{
    return skua__chan_send(mpmc_of(sender), message, deadline);
}

int skua_mpmc_try_send(skua_mpmc_sender *sender, const void *message)
{
    return skua__chan_try_send(mpmc_of(sender), message);
}

skua_future *skua_mpmc_send_init(skua_sync_future *send, skua_mpmc_sender *sender,
                                 const void *message)
{
    return skua__chan_send_init(send, mpmc_of(sender), message);
}

/* ---- receiving ------------------------------------------------------------------------------- */

int skua_mpmc_recv(skua_mpmc_receiver *receiver, void *message)
{
    return skua__chan_recv(mpmc_of(receiver), message, SKUA_FOREVER);
}

int skua_mpmc_recv_until(skua_mpmc_receiver *receiver, void *message, int64_t deadline)
{
    return skua__chan_recv(mpmc_of(receiver), message, deadline);
}

int skua_mpmc_try_recv(skua_mpmc_receiver *receiver, void *message)
{
    return skua__chan_try_recv(mpmc_of(receiver), message);
}

skua_future *skua_mpmc_recv_init(skua_sync_future *recv, skua_mpmc_receiver *receiver,
                                 void *message)
{
    return skua__chan_recv_init(recv, mpmc_of(receiver), message);
}

size_t skua_mpmc_len(skua_mpmc_receiver *receiver)
{
    return skua__chan_len(mpmc_of(receiver));
}

int skua_mpmc_is_closed(skua_mpmc_sender *sender)
{
    return skua__chan_closed(mpmc_of(sender));
}
