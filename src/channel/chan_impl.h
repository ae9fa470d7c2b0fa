/* chan_impl.h - what the files of the channel share: chan.c (the queue, trying), chan_wait.c
 * (waiting, handles, closing), chan_name.c (names). All but skua__chan_free are called under the
 * lock, unless they say otherwise. */
#ifndef SKUA_CHANNEL_CHAN_IMPL_H
#define SKUA_CHANNEL_CHAN_IMPL_H

#include <string.h>

#include "channel/chan.h"

#define SKUA__CHAN_SIZE_MAX ((size_t)1 << 20)
#define SKUA__CHAN_BLOCK_SIZE 4096u
#define SKUA__CHAN_BYTES_MAX (SIZE_MAX / 4)

/* skua_waiter.value of a sender that was refused. */
#define SKUA__CHAN_REFUSED UINT64_MAX

SKUA__INLINE struct skua__lock *skua__chan_lock(struct skua__chan *chan)
{
    return skua__sync_lock(&chan->lock);
}

/* Messages are small and mostly whole words: a loop is cheaper than a call. */
SKUA__INLINE void skua__chan_copy(void *to, const void *from, size_t size)
{
    uint64_t word;

    if (skua__likely(size == sizeof word)) { /* a number or a pointer */
        memcpy(&word, from, sizeof word);
        memcpy(to, &word, sizeof word);
        return;
    }
    if (skua__unlikely(size % sizeof word != 0 || size > 64)) {
        memcpy(to, from, size);
        return;
    }
    for (size_t at = 0; at < size; at += sizeof word) {
        memcpy(&word, (const char *)from + at, sizeof word);
        memcpy((char *)to + at, &word, sizeof word);
    }
}

SKUA__INLINE size_t skua__chan_room(const struct skua__chan *chan)
{
    return chan->capacity - chan->len - chan->reserved;
}

SKUA__INLINE bool skua__chan_has_room(const struct skua__chan *chan, size_t count)
{
    return count <= skua__chan_room(chan);
}

/* Queues a message, for which there is room and memory. */
void skua__chan_put(struct skua__chan *chan, const void *item);
/* Lets waiting senders go on, in order, as far as there is room. */
void skua__chan_admit(struct skua__chan *chan, struct skua__chain *chain);
/* All receivers are to look: nothing will come any more. */
void skua__chan_end_receivers(struct skua__chan *chan, struct skua__chain *chain);

/* The first receiver in line is to look. */
SKUA__INLINE void skua__chan_tell_receiver(struct skua__chan *chan, struct skua__chain *chain)
{
    if (chan->receiving.first != NULL)
        skua__waiters_grant(&chan->receiving, chan->receiving.first, chain);
}

/* ---- the usual case -------------------------------------------------------------------------- */

/* A place in the ring that comes after `at`. */
SKUA__INLINE size_t skua__chan_after(const struct skua__chan *chan, size_t at)
{
    return at + 1 == chan->capacity ? 0 : at + 1;
}

/* The counts first: what is copied might be anything, for all that the compiler knows. */
SKUA__INLINE void skua__chan_put_ring(struct skua__chan *chan, const void *item)
{
    size_t at = chan->at_tail;

    chan->at_tail = skua__chan_after(chan, at);
    chan->len++;
    skua__chan_copy(chan->ring + at * chan->size, item, chan->size);
}

SKUA__INLINE void skua__chan_take_ring(struct skua__chan *chan, void *item)
{
    size_t at = chan->at_head;

    chan->at_head = skua__chan_after(chan, at);
    chan->len--;
    skua__chan_copy(item, chan->ring + at * chan->size, chan->size);
}

/* Nothing will come any more. */
SKUA__INLINE bool skua__chan_is_over(const struct skua__chan *chan)
{
    return chan->len == 0 && chan->reserved == 0 && chan->closed;
}

/* Somebody waits for room, or for a message. */
SKUA__INLINE bool skua__chan_has_line(const struct skua__chan *chan)
{
    return ((uintptr_t)chan->sending.first | (uintptr_t)chan->receiving.first) != 0;
}

/* A ring with room, and nobody in either line to be told. Takes the lock; false: still has it. */
SKUA__INLINE bool skua__chan_send_fast(struct skua__chan *chan, const void *item)
{
    skua__lock_take(skua__chan_lock(chan));
    if (skua__unlikely(chan->ring == NULL || chan->closed || skua__chan_has_line(chan) ||
                       !skua__chan_has_room(chan, 1)))
        return false;
    skua__chan_put_ring(chan, item);
    skua__lock_drop(skua__chan_lock(chan));
    return true;
}

/* A ring with a message, and nobody in either line to be told. Takes the lock; false: still has
 * it. */
SKUA__INLINE bool skua__chan_recv_fast(struct skua__chan *chan, void *item)
{
    skua__lock_take(skua__chan_lock(chan));
    if (skua__unlikely(chan->ring == NULL || chan->len == 0 || skua__chan_has_line(chan)))
        return false;
    skua__chan_take_ring(chan, item);
    skua__lock_drop(skua__chan_lock(chan));
    return true;
}

/* What the two are where that is not so. Both let go of the lock. */
int skua__chan_send_slow(struct skua__chan *chan, const void *item);
int skua__chan_recv_slow(struct skua__chan *chan, void *item);

/* The second one, for who waits: 0, SKUA_ECLOSED; SKUA_PENDING: the waiter is in line. The look and
 * the getting in line are one section: nothing comes between them. */
SKUA__INLINE skua_poll skua__chan_recv_or_wait(struct skua__chan *chan, void *item,
                                               skua_waiter *waiter, skua_waker *waker)
{
    if (skua__unlikely(chan->len != 0 || skua__chan_is_over(chan)))
        return skua__chan_recv_slow(chan, item);
    skua__waiters_push(&chan->receiving, waiter, waker);
    skua__lock_drop(skua__chan_lock(chan));
    return SKUA_PENDING;
}
/* Without the lock, the last handle's. */
void skua__chan_free(struct skua__chan *chan);
/* Takes it out of the list of those that have names; without the lock. */
void skua__chan_unname(struct skua__chan *chan);

#endif
