/* local_channel.c - see local_channel.h: messages by value between the tasks of one worker.
 *
 * Memory     blocks of messages, read from `read` on, written from `write` on, each with the end of
 *            its block. A bounded channel has one block, whose next is itself: a ring. An unbounded
 *            one adds blocks behind the last; one that was emptied is kept.
 *
 *   send       room: the message is queued, and the first receiver in line is woken for it.
 *              none: the sender waits in line; whoever takes a message puts the first sender's in.
 *              So a sender that goes on has sent, and one that is dropped before has not.
 *   receive    takes the oldest message, if there are more than receivers that were woken for one
 *              (`promised`) and have not come yet. So a newcomer does not pass them. A receiver
 *              that was woken and is dropped leaves its message to the next in line.
 *   close      senders get SKUA_ECLOSED; receivers, too, as soon as nothing is queued.
 *
 * Holds      somebody waits to send: the channel is full, and open.
 *            somebody waits to receive: all that is queued is promised.
 * Cost       send: compare, copy, three stores, a look at the line of receivers. Receive: the same,
 *            and a look at whether it is closed.
 */
#include <string.h>

#include <skua/local_channel.h>

#include "local/local_wait.h"

#define LOCAL_SIZE_MAX ((size_t)1 << 20)
#define LOCAL_BLOCK_SIZE 4096u
#define LOCAL_BYTES_MAX (SIZE_MAX / 4)
#define LOCAL_UNBOUNDED SIZE_MAX

/* skua_local_waiter.value: why it was woken. */
#define LOCAL_PROMISED 1u /* a receiver: a message is its own; a sender: its message is in */
#define LOCAL_ENDED 2u    /* closed */

struct local_block {
    struct local_block *next; /* NULL: the last one */
    _Alignas(max_align_t) char bytes[];
};

/* All of it is its thread's. */
struct skua_local_channel {
    char *write; /* where the next message goes; at write_end: to the next block */
    char *write_end;
    char *read; /* the oldest message, or where it will be; never at read_end */
    char *read_end;
    size_t len;
    size_t limit; /* the most that may be queued: the capacity; 0: closed */
    size_t promised;
    size_t size; /* of a message; constant */
    skua_local_line sending;
    skua_local_line receiving;
    struct local_block *head; /* read from */
    struct local_block *tail; /* written to */
    struct local_block *spare;
    size_t block_bytes; /* of a block's messages; constant */
    bool closed;
};

/* ---- the queue ------------------------------------------------------------------------------- */

/* Messages are small and mostly whole words, often one: a loop is cheaper than a call. */
SKUA__INLINE void local_channel_copy(void *to, const void *from, size_t size)
{
    uint64_t word;

    if (skua__likely(size == sizeof word)) {
        memcpy(to, from, sizeof word);
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

static struct local_block *local_channel_block(const struct skua_local_channel *channel)
{
    return skua__os_alloc(sizeof(struct local_block) + channel->block_bytes);
}

/* The block that is written to is full: on to the next, or a new one. False: no memory. */
static SKUA__NOINLINE bool local_channel_write_on(struct skua_local_channel *channel)
{
    struct local_block *block = channel->tail->next;

    if (block == NULL) {
        block = channel->spare != NULL ? channel->spare : local_channel_block(channel);
        if (block == NULL)
            return false;
        channel->spare = NULL;
        channel->tail->next = block;
        channel->tail = block;
    }
    channel->write = block->bytes;
    channel->write_end = block->bytes + channel->block_bytes;
    return true;
}

/* The block that is read from is read to its end. */
static SKUA__NOINLINE void local_channel_read_on(struct skua_local_channel *channel)
{
    struct local_block *block = channel->head;

    if (block->next == NULL) { /* the only one: written to its end, too, it begins again */
        channel->write = block->bytes;
    } else if (block->next != block) {
        channel->head = block->next;
        block->next = NULL;
        if (channel->spare == NULL)
            channel->spare = block;
        else
            skua__os_free(block);
    }
    channel->read = channel->head->bytes;
    channel->read_end = channel->head->bytes + channel->block_bytes;
}

/* Without a look at the limit. False: no memory (unbounded). */
SKUA__INLINE bool local_channel_put(struct skua_local_channel *channel, const void *message)
{
    size_t size = channel->size; /* read once: for the compiler the copy may change anything */
    char *to;

    if (skua__unlikely(channel->write == channel->write_end) && !local_channel_write_on(channel))
        return false;
    to = channel->write;
    channel->write = to + size;
    channel->len++;
    local_channel_copy(to, message, size);
    return true;
}

/* ---- those in line --------------------------------------------------------------------------- */

/* The first receiver in line is woken for a message that nobody was promised. */
static SKUA__NOINLINE void local_channel_promise(struct skua_local_channel *channel)
{
    skua_local_waiter *waiter = channel->receiving.first;

    waiter->value = LOCAL_PROMISED;
    channel->promised++;
    skua__local_grant(&channel->receiving, waiter);
}

static void local_channel_end_all(skua_local_line *line)
{
    while (line->first != NULL) {
        line->first->value = LOCAL_ENDED;
        skua__local_grant(line, line->first);
    }
}

/* After a message was taken: there is room for the first sender in line; or that was the end. */
static SKUA__NOINLINE void local_channel_admit(struct skua_local_channel *channel)
{
    skua_local_waiter *waiter;

    while (channel->len < channel->limit && (waiter = channel->sending.first) != NULL) {
        const skua_local_future *self = skua__local_waiting(waiter);

        (void)local_channel_put(channel, (const void *)(uintptr_t)self->value); /* a ring */
        waiter->value = LOCAL_PROMISED;
        skua__local_grant(&channel->sending, waiter);
        if (channel->receiving.first != NULL)
            local_channel_promise(channel);
    }
    if (channel->closed && channel->len == 0)
        local_channel_end_all(&channel->receiving);
}

/* ---- trying ---------------------------------------------------------------------------------- */

/* There is room. */
SKUA__INLINE int local_channel_give(struct skua_local_channel *channel, const void *message)
{
    if (skua__unlikely(!local_channel_put(channel, message)))
        return -ENOMEM;
    if (skua__unlikely(channel->receiving.first != NULL))
        local_channel_promise(channel);
    return 0;
}

SKUA__INLINE int local_channel_try_put(struct skua_local_channel *channel, const void *message)
{
    skua__local_touch(&channel->receiving);
    if (skua__unlikely(channel->len >= channel->limit)) /* nobody is in line, else */
        return channel->closed ? SKUA_ECLOSED : -EAGAIN;
    return local_channel_give(channel, message);
}

/* There is one, and it is the caller's. */
SKUA__INLINE void local_channel_take(struct skua_local_channel *channel, void *message)
{
    char *from = channel->read;
    size_t size = channel->size; /* as above */

    channel->read = from + size;
    channel->len--;
    local_channel_copy(message, from, size); /* before the block is given back */
    if (skua__unlikely(from + size == channel->read_end))
        local_channel_read_on(channel);
    if (skua__unlikely(channel->sending.first != NULL || channel->closed))
        local_channel_admit(channel);
}

SKUA__INLINE int local_channel_try_take(struct skua_local_channel *channel, void *message)
{
    skua__local_touch(&channel->receiving);
    if (skua__unlikely(channel->len <= channel->promised))
        return channel->closed && channel->len == 0 ? SKUA_ECLOSED : -EAGAIN;
    local_channel_take(channel, message);
    return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static skua_poll local_send_poll(skua_future *future, skua_waker *waker)
{
    skua_local_future *self = skua__local_future_of(future);
    struct skua_local_channel *channel = self->object;
    skua_poll answer;

    if (self->waiter.state != SKUA__LOCAL_IDLE) {
        answer = skua__local_again(&self->waiter, waker);
        return answer == 0 && self->waiter.value == LOCAL_ENDED ? SKUA_ECLOSED : answer;
    }
    answer = local_channel_try_put(channel, (const void *)(uintptr_t)self->value);
    if (answer != -EAGAIN)
        return answer;
    skua__local_line_up(&channel->sending, &self->waiter, waker);
    return SKUA_PENDING;
}

/* A message that was put in is sent, although its sender does not learn it. */
static void local_send_drop(skua_future *future)
{
    skua_local_future *self = skua__local_future_of(future);
    struct skua_local_channel *channel = self->object;

    if (self->waiter.state != SKUA__LOCAL_IDLE)
        (void)skua__local_leave(&channel->sending, &self->waiter);
}

static const skua_future_ops local_send_ops = {
    .name = "local.channel.send", .poll = local_send_poll, .drop = local_send_drop};

skua_future *skua_local_channel_send_init(skua_local_future *send, skua_local_channel *channel,
                                          const void *message)
{
    return skua__local_future(send, channel, (uintptr_t)message, &local_send_ops);
}

/* Apart from the usual case, which so needs no room for a future. */
static SKUA__NOINLINE int local_send_slow(struct skua_local_channel *channel, const void *message,
                                          int64_t deadline)
{
    skua_local_future wait;
    int rc = skua__task_leaf();

    if (rc != 0)
        return rc;
    rc = local_channel_try_put(channel, message);
    if (rc != -EAGAIN)
        return rc;
    return (int)skua_await_until(skua_local_channel_send_init(&wait, channel, message), deadline);
}

int skua_local_channel_try_send(skua_local_channel *channel, const void *message)
{
    return local_channel_try_put(channel, message);
}

SKUA__INLINE int local_channel_send(struct skua_local_channel *channel, const void *message,
                                    int64_t deadline)
{
    skua__local_touch(&channel->receiving);
    if (skua__likely(channel->len < channel->limit && skua__local_leaf()))
        return local_channel_give(channel, message);
    return local_send_slow(channel, message, deadline);
}

int skua_local_channel_send(skua_local_channel *channel, const void *message)
{
    return local_channel_send(channel, message, SKUA_FOREVER);
}

int skua_local_channel_send_until(skua_local_channel *channel, const void *message,
                                  int64_t deadline)
{
    return local_channel_send(channel, message, deadline);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static skua_poll local_recv_poll(skua_future *future, skua_waker *waker)
{
    skua_local_future *self = skua__local_future_of(future);
    struct skua_local_channel *channel = self->object;
    void *message = (void *)(uintptr_t)self->value;
    skua_poll answer;

    if (self->waiter.state == SKUA__LOCAL_IDLE) {
        answer = local_channel_try_take(channel, message);
        if (answer != -EAGAIN)
            return answer;
        skua__local_touch(&channel->receiving);
        skua__local_line_up(&channel->receiving, &self->waiter, waker);
        return SKUA_PENDING;
    }
    answer = skua__local_again(&self->waiter, waker);
    if (answer == SKUA_PENDING)
        return answer;
    if (self->waiter.value == LOCAL_ENDED)
        return SKUA_ECLOSED;
    skua__local_touch(&channel->receiving);
    channel->promised--;
    local_channel_take(channel, message);
    return 0;
}

/* The message that it was promised is the next one's in line, or anybody's. */
static void local_recv_drop(skua_future *future)
{
    skua_local_future *self = skua__local_future_of(future);
    struct skua_local_channel *channel = self->object;

    if (self->waiter.state == SKUA__LOCAL_IDLE ||
        !skua__local_leave(&channel->receiving, &self->waiter) || self->waiter.value == LOCAL_ENDED)
        return;
    channel->promised--;
    if (channel->receiving.first != NULL)
        local_channel_promise(channel);
}

static const skua_future_ops local_recv_ops = {
    .name = "local.channel.recv", .poll = local_recv_poll, .drop = local_recv_drop};

skua_future *skua_local_channel_recv_init(skua_local_future *recv, skua_local_channel *channel,
                                          void *message)
{
    return skua__local_future(recv, channel, (uintptr_t)message, &local_recv_ops);
}

int skua_local_channel_try_recv(skua_local_channel *channel, void *message)
{
    return local_channel_try_take(channel, message);
}

static SKUA__NOINLINE int local_recv_slow(struct skua_local_channel *channel, void *message,
                                          int64_t deadline)
{
    skua_local_future wait;
    int rc = skua__task_leaf();

    if (rc != 0)
        return rc;
    rc = local_channel_try_take(channel, message);
    if (rc != -EAGAIN)
        return rc;
    return (int)skua_await_until(skua_local_channel_recv_init(&wait, channel, message), deadline);
}

SKUA__INLINE int local_channel_recv(struct skua_local_channel *channel, void *message,
                                    int64_t deadline)
{
    skua__local_touch(&channel->receiving);
    if (skua__likely(channel->len > channel->promised && skua__local_leaf())) {
        local_channel_take(channel, message);
        return 0;
    }
    return local_recv_slow(channel, message, deadline);
}

int skua_local_channel_recv(skua_local_channel *channel, void *message)
{
    return local_channel_recv(channel, message, SKUA_FOREVER);
}

int skua_local_channel_recv_until(skua_local_channel *channel, void *message, int64_t deadline)
{
    return local_channel_recv(channel, message, deadline);
}

/* ---- making, closing, ending ----------------------------------------------------------------- */

static int local_channel_open(skua_local_channel **ret, size_t size, size_t capacity,
                              size_t per_block)
{
    struct skua_local_channel *channel;

    channel = skua__os_alloc_aligned(sizeof *channel, SKUA__CACHE_LINE);
    if (channel == NULL)
        return -ENOMEM;
    channel->size = size;
    channel->limit = capacity;
    channel->block_bytes = per_block * size;
    channel->head = channel->tail = local_channel_block(channel);
    if (channel->head == NULL) {
        skua__os_free(channel);
        return -ENOMEM;
    }
    if (capacity != LOCAL_UNBOUNDED)
        channel->head->next = channel->head;
    channel->read = channel->write = channel->head->bytes;
    channel->read_end = channel->write_end = channel->head->bytes + channel->block_bytes;
    *ret = channel;
    return 0;
}

int skua_local_channel_new(skua_local_channel **channel, size_t size, size_t capacity)
{
    if (size == 0 || size > LOCAL_SIZE_MAX || capacity == 0 || capacity > LOCAL_BYTES_MAX / size)
        return -EINVAL;
    return local_channel_open(channel, size, capacity, capacity);
}

int skua_local_channel_new_unbounded(skua_local_channel **channel, size_t size)
{
    if (size == 0 || size > LOCAL_SIZE_MAX)
        return -EINVAL;
    return local_channel_open(channel, size, LOCAL_UNBOUNDED,
                              size < LOCAL_BLOCK_SIZE / 4 ? LOCAL_BLOCK_SIZE / size : 4);
}

void skua_local_channel_close(skua_local_channel *channel)
{
    skua__local_touch(&channel->receiving);
    channel->closed = true;
    channel->limit = 0;
    local_channel_end_all(&channel->sending);
    if (channel->len == 0)
        local_channel_end_all(&channel->receiving);
}

void skua_local_channel_free(skua_local_channel *channel)
{
    struct local_block *block;

    if (channel == NULL)
        return;
    skua__assert(channel->sending.first == NULL && channel->receiving.first == NULL &&
                 channel->promised == 0); /* nobody waits for it */
    channel->tail->next = NULL;           /* a ring's, too */
    while ((block = channel->head) != NULL) {
        channel->head = block->next;
        skua__os_free(block);
    }
    skua__os_free(channel->spare);
    skua__os_free(channel);
}

int skua_local_channel_is_closed(skua_local_channel *channel)
{
    skua__local_touch(&channel->receiving);
    return channel->closed;
}

size_t skua_local_channel_len(skua_local_channel *channel)
{
    skua__local_touch(&channel->receiving);
    return channel->len;
}

#undef LOCAL_SIZE_MAX
#undef LOCAL_BLOCK_SIZE
#undef LOCAL_BYTES_MAX
#undef LOCAL_UNBOUNDED
#undef LOCAL_PROMISED
#undef LOCAL_ENDED
