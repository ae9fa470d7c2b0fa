/* chan.c - see chan.h: the queue itself, and trying. */
#include "channel/chan_impl.h"

/* ---- the queue ------------------------------------------------------------------------------- */

/* Under the lock: whether a message can be put in without more memory. */
static bool chan_has_place(const struct skua__chan *chan)
{
    return chan->ring != NULL || (chan->tail != NULL && chan->at_tail < chan->per_block) ||
           chan->spare != NULL;
}

/* Unbounded: a block more. Lets go of the lock meanwhile. */
static SKUA__NOINLINE bool chan_provide(struct skua__chan *chan)
{
    struct skua__chan_block *block;

    skua__lock_drop(skua__chan_lock(chan));
    block = skua__os_alloc(sizeof *block + chan->per_block * chan->size);
    skua__lock_take(skua__chan_lock(chan));
    if (block == NULL)
        return chan_has_place(chan);
    block->next = chan->spare; /* another may have brought one, too: there is use for it */
    chan->spare = block;
    return true;
}

static void chan_add_block(struct skua__chan *chan)
{
    struct skua__chan_block *block = chan->spare;

    chan->spare = block->next;
    block->next = NULL;
    if (chan->tail != NULL)
        chan->tail->next = block;
    else
        chan->head = block;
    chan->tail = block;
    chan->at_tail = 0;
}

void skua__chan_put(struct skua__chan *chan, const void *item)
{
    if (skua__likely(chan->ring != NULL)) {
        skua__chan_put_ring(chan, item);
        return;
    }
    if (skua__unlikely(chan->tail == NULL || chan->at_tail == chan->per_block))
        chan_add_block(chan);
    skua__chan_copy(chan->tail->bytes + chan->at_tail++ * chan->size, item, chan->size);
    chan->len++;
}

/* The head block is empty: it is kept if none is, or left in *ret_empty to be freed. */
static void chan_drop_block(struct skua__chan *chan, struct skua__chan_block **ret_empty)
{
    struct skua__chan_block *block = chan->head;

    chan->at_head = 0;
    if (block == chan->tail) { /* the only one: it begins again */
        chan->at_tail = 0;
        return;
    }
    chan->head = block->next;
    block->next = NULL;
    if (chan->spare == NULL) {
        chan->spare = block;
    } else {
        block->next = *ret_empty;
        *ret_empty = block;
    }
}

SKUA__INLINE void chan_take(struct skua__chan *chan, void *item,
                            struct skua__chan_block **ret_empty)
{
    if (skua__likely(chan->ring != NULL)) {
        skua__chan_take_ring(chan, item);
        return;
    }
    chan->len--;
    skua__chan_copy(item, chan->head->bytes + chan->at_head++ * chan->size, chan->size);
    if (chan->at_head == chan->per_block || chan->len == 0)
        chan_drop_block(chan, ret_empty);
}

static void chan_free_blocks(struct skua__chan_block *block)
{
    while (block != NULL) {
        struct skua__chan_block *next = block->next;

        skua__os_free(block);
        block = next;
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

SKUA__NOINLINE int skua__chan_send_slow(struct skua__chan *chan, const void *item)
{
    struct skua__chain chain = {NULL, NULL};
    int rc = 0;

    if (skua__likely(chan->ring != NULL && chan->receiving.first != NULL && !chan->closed &&
                     chan->sending.first == NULL && skua__chan_has_room(chan, 1))) {
        skua__chan_put_ring(chan, item);
        skua__chan_tell_receiver(chan, &chain);
        skua__lock_drop(skua__chan_lock(chan));
        skua__chain_wake(&chain);
        return 0;
    }
    /* Providing lets go of the lock, so it comes before the looks. */
    if (skua__unlikely(!chan_has_place(chan) && !chan_provide(chan)))
        rc = -ENOMEM;
    else if (skua__unlikely(chan->closed))
        rc = SKUA_ECLOSED;
    else if (!skua__chan_has_room(chan, 1) || chan->sending.first != NULL)
        rc = -EAGAIN;
    if (skua__likely(rc == 0)) {
        skua__chan_put(chan, item);
        skua__chan_tell_receiver(chan, &chain);
    }
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    return rc;
}

int skua__chan_try_send(struct skua__chan *chan, const void *item)
{
    return skua__likely(skua__chan_send_fast(chan, item)) ? 0 : skua__chan_send_slow(chan, item);
}

int skua__chan_try_reserve(struct skua__chan *chan, size_t count)
{
    int rc = 0;

    skua__lock_take(skua__chan_lock(chan));
    if (chan->closed)
        rc = SKUA_ECLOSED;
    else if (!skua__chan_has_room(chan, count) || chan->sending.first != NULL)
        rc = -EAGAIN;
    else
        chan->reserved += count;
    skua__lock_drop(skua__chan_lock(chan));
    return rc;
}

int skua__chan_send_reserved(struct skua__chan *chan, const void *item)
{
    struct skua__chain chain = {NULL, NULL};
    int rc = 0;

    skua__lock_take(skua__chan_lock(chan));
    if (!chan_has_place(chan) && !chan_provide(chan))
        rc = -ENOMEM;
    else if (chan->reserved == 0)
        rc = SKUA_EUSAGE;
    if (rc == 0) {
        chan->reserved--;
        skua__chan_put(chan, item);
        skua__chan_tell_receiver(chan, &chain);
    }
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    return rc;
}

int skua__chan_unreserve(struct skua__chan *chan, size_t count)
{
    struct skua__chain chain = {NULL, NULL};
    int rc = SKUA_EUSAGE;

    skua__lock_take(skua__chan_lock(chan));
    if (count <= chan->reserved) {
        chan->reserved -= count;
        skua__chan_admit(chan, &chain);
        if (chan->closed && chan->reserved == 0 && chan->len == 0)
            skua__chan_end_receivers(chan, &chain);
        rc = 0;
    }
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    return rc;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Takes up to `most`, and tells those whom it concerns: a count; -EAGAIN, SKUA_ECLOSED. Under the
 * lock. */
SKUA__INLINE int64_t chan_take_many(struct skua__chan *chan, void *items, size_t most,
                                    struct skua__chan_block **ret_empty, struct skua__chain *chain)
{
    int64_t count = 0;

    while ((size_t)count < most && chan->len != 0)
        chan_take(chan, (char *)items + (size_t)count++ * chan->size, ret_empty);
    if (count == 0)
        return most == 0 ? 0 : skua__chan_is_over(chan) ? SKUA_ECLOSED : -EAGAIN;
    skua__chan_admit(chan, chain);
    /* A receiver that was told and came too late waits again: there may be more for another. */
    if (chan->len != 0)
        skua__chan_tell_receiver(chan, chain);
    else if (skua__chan_is_over(chan))
        skua__chan_end_receivers(chan, chain);
    return count;
}

int64_t skua__chan_try_recv_many(struct skua__chan *chan, void *items, size_t most)
{
    struct skua__chain chain = {NULL, NULL};
    struct skua__chan_block *empty = NULL;
    int64_t count;

    skua__lock_take(skua__chan_lock(chan));
    count = chan_take_many(chan, items, most, &empty, &chain);
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    chan_free_blocks(empty);
    return count;
}

SKUA__NOINLINE int skua__chan_recv_slow(struct skua__chan *chan, void *item)
{
    struct skua__chain chain = {NULL, NULL};
    struct skua__chan_block *empty = NULL;
    int64_t count;

    count = chan_take_many(chan, item, 1, &empty, &chain);
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    chan_free_blocks(empty);
    return count == 1 ? 0 : (int)count;
}

int skua__chan_try_recv(struct skua__chan *chan, void *item)
{
    if (skua__likely(skua__chan_recv_fast(chan, item)))
        return 0;
    return skua__chan_recv_slow(chan, item);
}

size_t skua__chan_len(struct skua__chan *chan)
{
    size_t len;

    skua__lock_take(skua__chan_lock(chan));
    len = chan->len;
    skua__lock_drop(skua__chan_lock(chan));
    return len;
}

int skua__chan_closed(struct skua__chan *chan)
{
    int closed;

    skua__lock_take(skua__chan_lock(chan));
    closed = chan->closed;
    skua__lock_drop(skua__chan_lock(chan));
    return closed;
}

/* ---- memory ---------------------------------------------------------------------------------- */

int skua__chan_new(struct skua__chan **ret, size_t size, size_t capacity)
{
    struct skua__chan *chan;

    if (size == 0 || size > SKUA__CHAN_SIZE_MAX || capacity == 0 ||
        (capacity != SKUA__CHAN_UNBOUNDED && capacity > SKUA__CHAN_BYTES_MAX / size))
        return -EINVAL;
    chan = skua__os_alloc_aligned(sizeof *chan, SKUA__CACHE_LINE);
    if (chan == NULL)
        return -ENOMEM;
    chan->size = size;
    chan->capacity = capacity;
    chan->per_block = size < SKUA__CHAN_BLOCK_SIZE / 4 ? SKUA__CHAN_BLOCK_SIZE / size : 4;
    if (capacity != SKUA__CHAN_UNBOUNDED) {
        chan->ring = skua__os_alloc(capacity * size);
        if (chan->ring == NULL) {
            skua__os_free(chan);
            return -ENOMEM;
        }
    }
    chan->senders = 1;
    chan->receivers = 1;
    chan->refs = 2;
    *ret = chan;
    return 0;
}

void skua__chan_free(struct skua__chan *chan)
{
    if (chan->name != NULL) /* nobody else has a handle any more */
        skua__chan_unname(chan);
    chan_free_blocks(chan->head);
    chan_free_blocks(chan->spare);
    skua__os_free(chan->ring);
    skua__os_free(chan);
}
