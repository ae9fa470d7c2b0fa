/* broadcast.c - every message to every receiver: a ring that the sender overwrites.
 *
 * Messages have numbers, counted from 0; number n is in slot n modulo the capacity, and the ring
 * has the newest `capacity` of them. A receiver is the number of the message that it takes next.
 *
 *   send       writes the next slot, whoever has not read it, and tells all who wait to look. So a
 *              sender never waits, and what a receiver costs it is a wake, not a copy.
 *   receive    number still in the ring: copied. Overwritten: what is missing is told, once, and
 *              the receiver goes on with the oldest there is. Not sent yet: waits.
 *   dropped    messages stay in the ring and each receiver has its own number: a wait that is
 *              dropped has nothing to pass on.
 *
 * All of it is under one spin lock, which is held for the copy of a message. A message that nobody
 * is there for is not written: who subscribes begins behind it anyway. The last handle frees.
 * After Tokio's broadcast channel, whose slots have a lock each.
 */
#include <skua/broadcast.h>

#include <string.h>

#include "sync/sync_wait.h"

#define BROADCAST_SIZE_MAX ((size_t)1 << 20)
#define BROADCAST_BYTES_MAX (SIZE_MAX / 8) /* doubled at most, by the rounding up */

struct broadcast {
    uint8_t lock;     /* guards all up to `size`, and what the receivers remember */
    uint64_t tail;    /* the number of the next message */
    size_t senders;   /* handles, as the next one; of both the last one frees */
    size_t receivers; /* and how many each message goes to */
    skua_waiter_list receiving;
    size_t size;     /* of a message; constant, as the next one */
    size_t capacity; /* a power of two */
    _Alignas(max_align_t) char ring[];
};

struct skua_broadcast_receiver {
    struct broadcast *channel; /* constant */
    uint64_t next;             /* the number of the message to take; channel->lock */
    uint64_t lag;              /* what was missing the last time; channel->lock */
};

static struct broadcast *broadcast_of(const skua_broadcast_sender *sender)
{
    return (struct broadcast *)(uintptr_t)sender;
}

static struct skua__lock *broadcast_lock(struct broadcast *channel)
{
    return skua__sync_lock(&channel->lock);
}

static char *broadcast_slot(struct broadcast *channel, uint64_t number)
{
    return channel->ring + ((size_t)number & (channel->capacity - 1)) * channel->size;
}

/* ---- handles --------------------------------------------------------------------------------- */

int skua_broadcast_new(skua_broadcast_sender **sender, size_t size, size_t capacity)
{
    struct broadcast *channel;
    size_t rounded = 1;

    if (size == 0 || size > BROADCAST_SIZE_MAX || capacity == 0 ||
        capacity > BROADCAST_BYTES_MAX / size)
        return -EINVAL;
    while (rounded < capacity)
        rounded *= 2;
    channel = skua__os_alloc(sizeof *channel + rounded * size);
    if (channel == NULL)
        return -ENOMEM;
    channel->size = size;
    channel->capacity = rounded;
    channel->senders = 1;
    *sender = (skua_broadcast_sender *)(void *)channel;
    return 0;
}

skua_broadcast_sender *skua_broadcast_sender_clone(skua_broadcast_sender *sender)
{
    struct broadcast *channel = broadcast_of(sender);

    skua__lock_take(broadcast_lock(channel));
    channel->senders++;
    skua__lock_drop(broadcast_lock(channel));
    return sender;
}

/* Everybody who waits is to look. Under the lock. */
static void broadcast_tell(struct broadcast *channel, struct skua__chain *chain)
{
    while (channel->receiving.first != NULL)
        skua__waiters_grant(&channel->receiving, channel->receiving.first, chain);
}

/* Drops the handle that *count counts. */
static void broadcast_leave(struct broadcast *channel, size_t *count)
{
    struct skua__chain chain = {NULL, NULL};
    bool last;

    skua__lock_take(broadcast_lock(channel));
    skua__assert(*count != 0);
    --*count;
    if (channel->senders == 0)
        broadcast_tell(channel, &chain);
    last = channel->senders == 0 && channel->receivers == 0;
    skua__lock_drop(broadcast_lock(channel));
    skua__chain_wake(&chain);
    if (last)
        skua__os_free(channel);
}

void skua_broadcast_sender_close(skua_broadcast_sender *sender)
{
    if (sender != NULL)
        broadcast_leave(broadcast_of(sender), &broadcast_of(sender)->senders);
}

static int broadcast_join(struct broadcast *channel, skua_broadcast_receiver **ret_receiver)
{
    skua_broadcast_receiver *receiver = skua__os_alloc(sizeof *receiver);

    if (receiver == NULL)
        return -ENOMEM;
    receiver->channel = channel;
    skua__lock_take(broadcast_lock(channel));
    receiver->next = channel->tail;
    channel->receivers++;
    skua__lock_drop(broadcast_lock(channel));
    *ret_receiver = receiver;
    return 0;
}

int skua_broadcast_subscribe(skua_broadcast_sender *sender, skua_broadcast_receiver **receiver)
{
    return broadcast_join(broadcast_of(sender), receiver);
}

int skua_broadcast_resubscribe(skua_broadcast_receiver *receiver, skua_broadcast_receiver **other)
{
    return broadcast_join(receiver->channel, other);
}

void skua_broadcast_receiver_close(skua_broadcast_receiver *receiver)
{
    if (receiver == NULL)
        return;
    broadcast_leave(receiver->channel, &receiver->channel->receivers);
    skua__os_free(receiver);
}

/* ---- sending and taking ---------------------------------------------------------------------- */

int64_t skua_broadcast_send(skua_broadcast_sender *sender, const void *message)
{
    struct broadcast *channel = broadcast_of(sender);
    struct skua__chain chain = {NULL, NULL};
    size_t receivers;

    skua__lock_take(broadcast_lock(channel));
    receivers = channel->receivers;
    if (receivers != 0) {
        memcpy(broadcast_slot(channel, channel->tail), message, channel->size);
        channel->tail++;
        broadcast_tell(channel, &chain);
    }
    skua__lock_drop(broadcast_lock(channel));
    skua__chain_wake(&chain);
    return receivers != 0 ? (int64_t)receivers : SKUA_ECLOSED;
}

/* Under the lock: 0, -EAGAIN, SKUA_ELAGGED, SKUA_ECLOSED. */
static int broadcast_take(skua_broadcast_receiver *receiver, void *message)
{
    struct broadcast *channel = receiver->channel;
    uint64_t behind = channel->tail - receiver->next;

    if (behind == 0)
        return channel->senders == 0 ? SKUA_ECLOSED : -EAGAIN;
    if (skua__unlikely(behind > channel->capacity)) {
        receiver->lag = behind - channel->capacity;
        receiver->next += receiver->lag;
        return SKUA_ELAGGED;
    }
    memcpy(message, broadcast_slot(channel, receiver->next), channel->size);
    receiver->next++;
    return 0;
}

int skua_broadcast_try_recv(skua_broadcast_receiver *receiver, void *message)
{
    int rc;

    skua__lock_take(broadcast_lock(receiver->channel));
    rc = broadcast_take(receiver, message);
    skua__lock_drop(broadcast_lock(receiver->channel));
    return rc;
}

uint64_t skua_broadcast_len(skua_broadcast_receiver *receiver)
{
    uint64_t behind;

    skua__lock_take(broadcast_lock(receiver->channel));
    behind = receiver->channel->tail - receiver->next;
    skua__lock_drop(broadcast_lock(receiver->channel));
    return behind;
}

uint64_t skua_broadcast_lag(skua_broadcast_receiver *receiver)
{
    uint64_t lag;

    skua__lock_take(broadcast_lock(receiver->channel));
    lag = receiver->lag;
    skua__lock_drop(broadcast_lock(receiver->channel));
    return lag;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static skua_poll broadcast_recv_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_broadcast_receiver *receiver = self->object;
    struct skua__lock *lock = broadcast_lock(receiver->channel);
    skua_poll answer;

    /* Relaxed: IDLE is its owner's. */
    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE &&
        skua__waiter_again(&self->waiter, lock, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    skua__lock_take(lock);
    answer = broadcast_take(receiver, (void *)(uintptr_t)self->value);
    if (answer == -EAGAIN) { /* new, or another task with this receiver was faster */
        skua__waiters_push(&receiver->channel->receiving, &self->waiter, waker);
        answer = SKUA_PENDING;
    }
    skua__lock_drop(lock);
    return answer;
}

/* Nothing to pass on: all who waited were told, and the message is still there. */
static void broadcast_recv_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct broadcast *channel = ((skua_broadcast_receiver *)self->object)->channel;

    (void)skua__waiter_leave(&self->waiter, broadcast_lock(channel), &channel->receiving);
}

static const skua_future_ops broadcast_recv_ops = {
    .name = "broadcast.recv", .poll = broadcast_recv_poll, .drop = broadcast_recv_drop};

skua_future *skua_broadcast_recv_init(skua_sync_future *recv, skua_broadcast_receiver *receiver,
                                      void *message)
{
    recv->future.ops = &broadcast_recv_ops;
    recv->object = receiver;
    recv->value = (uintptr_t)message;
    recv->waiter.state = SKUA__IDLE;
    return &recv->future;
}

int skua_broadcast_recv_until(skua_broadcast_receiver *receiver, void *message, int64_t deadline)
{
    skua_sync_future recv;

    return (int)skua_await_until(skua_broadcast_recv_init(&recv, receiver, message), deadline);
}

int skua_broadcast_recv(skua_broadcast_receiver *receiver, void *message)
{
    return skua_broadcast_recv_until(receiver, message, SKUA_FOREVER);
}

#undef BROADCAST_SIZE_MAX
#undef BROADCAST_BYTES_MAX
