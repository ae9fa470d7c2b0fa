/* chan.h - the queue behind mpsc and mpmc: messages by value, first in, first out.
 *
 * A bounded channel has a ring, allocated with it; an unbounded one has linked blocks, of which one
 * that was emptied is kept. All of a channel is under its spin lock, which is held for the copy of
 * a message; memory is allocated without it.
 *
 *   send       room: the message is queued, and the first receiver in line told to look.
 *              none: the sender waits in line; whoever takes a message moves the first sender's
 *              message into the queue and grants it. So a sender that goes on has sent, and one
 *              that is dropped has not.
 *   receive    takes the oldest message. A receiver that was told to look and is dropped, or finds
 *              that another was faster, passes it on, or waits again: messages stay in the queue
 *              until somebody takes them, so none is lost with a receiver.
 *   reserve    room for messages that are to come; a waiter in the senders' line like others.
 *   close      by the receivers (nobody sends any more), or by the last sender (nobody will).
 *              What is queued or has room reserved may still be received; then SKUA_ECLOSED.
 *
 * Two counts of handles, and one of both: the last one frees.
 */
#ifndef SKUA_CHANNEL_CHAN_H
#define SKUA_CHANNEL_CHAN_H

#include "sync/sync_wait.h"

#define SKUA__CHAN_UNBOUNDED SIZE_MAX

struct skua__chan_block {
    struct skua__chan_block *next;
    _Alignas(max_align_t) char bytes[];
};

struct skua__chan {
    uint8_t lock;   /* guards all up to `refs` */
    bool closed;    /* nobody may send any more, or no sender is left */
    size_t at_head; /* of the oldest message in the ring, or in the block `head` */
    size_t at_tail; /* of the next one in the ring, or in the block `tail` */
    size_t len;
    size_t reserved;
    size_t senders;
    size_t receivers;
    skua_waiter_list sending; /* bounded */
    skua_waiter_list receiving;
    struct skua__chan_block *head; /* unbounded, as the next two; NULL: no block yet */
    struct skua__chan_block *tail;
    struct skua__chan_block *spare;
    size_t refs;     /* handles of both kinds, and weak ones */
    size_t capacity; /* constant, as the next three; SKUA__CHAN_UNBOUNDED */
    size_t size;     /* of a message */
    size_t per_block;
    char *ring;                   /* bounded: room for `capacity` messages; NULL: unbounded */
    struct skua__chan_name *name; /* NULL: it has none; guard: the list of names (chan_name.c) */
};

/* 0; -EINVAL, -ENOMEM. One sender and one receiver are open. */
int skua__chan_new(struct skua__chan **ret, size_t size, size_t capacity);

void skua__chan_add_sender(struct skua__chan *chan);
void skua__chan_add_receiver(struct skua__chan *chan);
void skua__chan_drop_sender(struct skua__chan *chan);
void skua__chan_drop_receiver(struct skua__chan *chan);
/* Weak handles: no sender, but memory. upgrade: false when no sender is left. */
void skua__chan_add_weak(struct skua__chan *chan);
void skua__chan_drop_weak(struct skua__chan *chan);
bool skua__chan_upgrade(struct skua__chan *chan);
/* Nobody sends any more. */
void skua__chan_close(struct skua__chan *chan);

/* 0; -EAGAIN, SKUA_ECLOSED, -ENOMEM. */
int skua__chan_try_send(struct skua__chan *chan, const void *item);
int skua__chan_send(struct skua__chan *chan, const void *item, int64_t deadline);
int skua__chan_try_recv(struct skua__chan *chan, void *item);
int skua__chan_recv(struct skua__chan *chan, void *item, int64_t deadline);
/* Up to `most` of what is there: a count; -EAGAIN, SKUA_ECLOSED. */
int64_t skua__chan_try_recv_many(struct skua__chan *chan, void *items, size_t most);
/* Room for `count` messages. */
int skua__chan_try_reserve(struct skua__chan *chan, size_t count);
int skua__chan_send_reserved(struct skua__chan *chan, const void *item);
int skua__chan_unreserve(struct skua__chan *chan, size_t count);
size_t skua__chan_len(struct skua__chan *chan);
int skua__chan_closed(struct skua__chan *chan);

skua_future *skua__chan_send_init(skua_sync_future *self, struct skua__chan *chan,
                                  const void *item);
skua_future *skua__chan_recv_init(skua_sync_future *self, struct skua__chan *chan, void *item);
skua_future *skua__chan_reserve_init(skua_sync_future *self, struct skua__chan *chan, size_t count);

#endif
