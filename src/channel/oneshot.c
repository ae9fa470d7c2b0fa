/* oneshot.c - one message from one to one.
 *
 * Both ends are the same memory, which the last end that leaves frees. What has happened is three
 * flags, set under the lock: SENT (the message is there to be taken), and which end is gone. Two
 * lists: whoever waits for the message, and whoever waits for the receiver's end.
 *
 * Promise    a receiver that waits alone is promised the message when it is sent: its waiter says
 *            so, SENT is not set, and nobody else gets the message. So its next poll copies it
 *            without the lock. Dropped instead, it sets SENT, and the message is there again.
 *            Where several wait, all are told to look, and the first one takes it.
 * Leaving    the sender's end comes first mostly, and nobody but the receiver's end has the memory
 *            any more: that one sees so without the lock.
 * Cost       an answer that is waited for is two locks, and the wake and the park of its fiber.
 */
#include <skua/oneshot.h>

#include <string.h>

#include "sync/sync_wait.h"

#define ONESHOT_SENT 1u
#define ONESHOT_SENDER_GONE 2u
#define ONESHOT_RECEIVER_GONE 4u
#define ONESHOT_SIZE_MAX ((size_t)1 << 20)

struct oneshot {
    uint8_t lock;          /* guards all of it but size, and a promised message */
    _Atomic uint8_t flags; /* written under the lock */
    uint32_t size;         /* constant */
    skua_waiter_list receiving;
    skua_waiter_list closing;
    _Alignas(max_align_t) char message[];
};

/* skua_waiter.value of a receiver that the message is promised to; 0: of others. */
#define ONESHOT_PROMISED 1u

static struct oneshot *oneshot_of(const void *end)
{
    return (struct oneshot *)(uintptr_t)end;
}

static struct skua__lock *oneshot_lock(struct oneshot *oneshot)
{
    return skua__sync_lock(&oneshot->lock);
}

int skua_oneshot_new(skua_oneshot_sender **sender, skua_oneshot_receiver **receiver, size_t size)
{
    struct oneshot *oneshot;

    if (size > ONESHOT_SIZE_MAX)
        return -EINVAL;
    oneshot = skua__os_alloc_unset(sizeof *oneshot + size);
    if (oneshot == NULL)
        return -ENOMEM;
    memset(oneshot, 0, sizeof *oneshot);
    oneshot->size = (uint32_t)size;
    *sender = (skua_oneshot_sender *)(void *)oneshot;
    *receiver = (skua_oneshot_receiver *)(void *)oneshot;
    return 0;
}

/* Under the lock, or by an end that knows to be the last. */
static unsigned oneshot_flags(struct oneshot *oneshot)
{
    return skua__load_relaxed(&oneshot->flags); /* the lock orders it */
}

/* Under the lock. Release pairs with oneshot_is_left: who sees the flag sees the lock taken. */
static void oneshot_set(struct oneshot *oneshot, unsigned flags)
{
    skua__store_release(&oneshot->flags, (uint8_t)flags);
}

/* Numbers and pointers are copied without a call. */
SKUA__INLINE void oneshot_copy(void *to, const void *from, size_t size)
{
    uint64_t word;

    if (skua__likely(size == sizeof word)) {
        memcpy(&word, from, sizeof word);
        memcpy(to, &word, sizeof word);
    } else if (size != 0) {
        memcpy(to, from, size);
    }
}

/* Sets flags for an end, tells who waits on `list`; frees when both ends are gone. Lets go of the
 * lock. */
SKUA__INLINE void oneshot_leave(struct oneshot *oneshot, unsigned flags, skua_waiter_list *list)
{
    struct skua__chain chain = {NULL, NULL};
    unsigned both = ONESHOT_SENDER_GONE | ONESHOT_RECEIVER_GONE;

    flags |= oneshot_flags(oneshot);
    oneshot_set(oneshot, flags);
    while (list->first != NULL)
        skua__waiters_grant(list, list->first, &chain);
    skua__lock_drop(oneshot_lock(oneshot));
    if (chain.first != NULL)
        skua__chain_wake(&chain);
    if ((flags & both) == both)
        skua__os_free(oneshot);
}

/* Whether the sender is gone, and has let go of the lock: then it never comes back. */
static bool oneshot_is_left(struct oneshot *oneshot)
{
    /* Acquire pairs with oneshot_set: the sender had taken the lock by then, so that the next load
     * sees it taken, or let go of. Its acquire pairs with skua__lock_drop: all that the sender did
     * comes before the memory is freed. */
    return (skua__load_acquire(&oneshot->flags) & ONESHOT_SENDER_GONE) != 0 &&
           skua__load_acquire(&oneshot_lock(oneshot)->held) == 0;
}

/* ---- the sender's end ------------------------------------------------------------------------ */

int skua_oneshot_send(skua_oneshot_sender *sender, const void *message)
{
    struct oneshot *oneshot = oneshot_of(sender);
    unsigned flags = ONESHOT_SENDER_GONE;
    skua_waiter *waiter;
    bool wanted;

    skua__lock_take(oneshot_lock(oneshot));
    wanted = !(oneshot_flags(oneshot) & ONESHOT_RECEIVER_GONE);
    if (skua__likely(wanted)) {
        oneshot_copy(oneshot->message, message, oneshot->size);
        waiter = oneshot->receiving.first;
        if (waiter != NULL && waiter->next == NULL)
            waiter->value = ONESHOT_PROMISED;
        else
            flags |= ONESHOT_SENT;
    }
    oneshot_leave(oneshot, flags, &oneshot->receiving);
    return wanted ? 0 : SKUA_ECLOSED;
}

void skua_oneshot_sender_close(skua_oneshot_sender *sender)
{
    struct oneshot *oneshot = oneshot_of(sender);

    if (sender == NULL)
        return;
    skua__lock_take(oneshot_lock(oneshot));
    oneshot_leave(oneshot, ONESHOT_SENDER_GONE, &oneshot->receiving);
}

int skua_oneshot_is_closed(skua_oneshot_sender *sender)
{
    struct oneshot *oneshot = oneshot_of(sender);
    int closed;

    skua__lock_take(oneshot_lock(oneshot));
    closed = (oneshot_flags(oneshot) & ONESHOT_RECEIVER_GONE) != 0;
    skua__lock_drop(oneshot_lock(oneshot));
    return closed;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Under the lock: 0, -EAGAIN, SKUA_ECLOSED. */
static int oneshot_take(struct oneshot *oneshot, void *message)
{
    unsigned flags = oneshot_flags(oneshot);

    if (flags & ONESHOT_SENT) {
        oneshot_copy(message, oneshot->message, oneshot->size);
        oneshot_set(oneshot, flags & ~ONESHOT_SENT);
        return 0;
    }
    return flags & ONESHOT_SENDER_GONE ? SKUA_ECLOSED : -EAGAIN;
}

static bool oneshot_is_new(skua_sync_future *self)
{
    return skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE; /* own, if so */
}

static skua_poll oneshot_recv_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct oneshot *oneshot = self->object;
    skua_poll answer;

    if (!oneshot_is_new(self)) {
        if (skua__waiter_again(&self->waiter, oneshot_lock(oneshot), waker) == SKUA_PENDING)
            return SKUA_PENDING;
        if (skua__likely(self->waiter.value == ONESHOT_PROMISED)) { /* nobody else reads it */
            oneshot_copy((void *)(uintptr_t)self->value, oneshot->message, oneshot->size);
            return 0;
        }
    }
    skua__lock_take(oneshot_lock(oneshot));
    answer = oneshot_take(oneshot, (void *)(uintptr_t)self->value);
    if (answer == -EAGAIN) {
        skua__waiters_push(&oneshot->receiving, &self->waiter, waker);
        answer = SKUA_PENDING;
    }
    skua__lock_drop(oneshot_lock(oneshot));
    return answer;
}

static void oneshot_recv_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct oneshot *oneshot = self->object;

    if (!skua__waiter_leave(&self->waiter, oneshot_lock(oneshot), &oneshot->receiving) ||
        self->waiter.value != ONESHOT_PROMISED)
        return;
    skua__lock_take(oneshot_lock(oneshot));
    oneshot_set(oneshot, oneshot_flags(oneshot) | ONESHOT_SENT);
    skua__lock_drop(oneshot_lock(oneshot));
}

static skua_poll oneshot_closed_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct oneshot *oneshot = self->object;
    bool closed;

    if (!oneshot_is_new(self))
        return skua__waiter_again(&self->waiter, oneshot_lock(oneshot), waker);
    skua__lock_take(oneshot_lock(oneshot));
    closed = (oneshot_flags(oneshot) & ONESHOT_RECEIVER_GONE) != 0;
    if (!closed)
        skua__waiters_push(&oneshot->closing, &self->waiter, waker);
    skua__lock_drop(oneshot_lock(oneshot));
    return closed ? 0 : SKUA_PENDING;
}

static void oneshot_closed_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct oneshot *oneshot = self->object;

    (void)skua__waiter_leave(&self->waiter, oneshot_lock(oneshot), &oneshot->closing);
}

static const skua_future_ops oneshot_recv_ops = {
    .name = "oneshot.recv", .poll = oneshot_recv_poll, .drop = oneshot_recv_drop};
static const skua_future_ops oneshot_closed_ops = {
    .name = "oneshot.closed", .poll = oneshot_closed_poll, .drop = oneshot_closed_drop};

static skua_future *oneshot_future(skua_sync_future *self, void *end, uint64_t value,
                                   const skua_future_ops *ops)
{
    self->future.ops = ops;
    self->object = end;
    self->value = value;
    self->waiter.value = 0;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

skua_future *skua_oneshot_closed_init(skua_sync_future *closed, skua_oneshot_sender *sender)
{
    return oneshot_future(closed, sender, 0, &oneshot_closed_ops);
}

int skua_oneshot_closed(skua_oneshot_sender *sender)
{
    skua_sync_future closed;

    return (int)skua_await(skua_oneshot_closed_init(&closed, sender));
}

/* ---- the receiver's end ---------------------------------------------------------------------- */

skua_future *skua_oneshot_recv_init(skua_sync_future *recv, skua_oneshot_receiver *receiver,
                                    void *message)
{
    return oneshot_future(recv, receiver, (uintptr_t)message, &oneshot_recv_ops);
}

int skua_oneshot_recv(skua_oneshot_receiver *receiver, void *message)
{
    return skua_oneshot_recv_until(receiver, message, SKUA_FOREVER);
}

int skua_oneshot_recv_until(skua_oneshot_receiver *receiver, void *message, int64_t deadline)
{
    struct oneshot *oneshot = oneshot_of(receiver);
    skua_sync_future recv;
    struct skua__fiber *fiber;
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    fiber = skua__fiber_current(skua__thread_self());
    skua_oneshot_recv_init(&recv, receiver, message);
    if (skua__unlikely(fiber == NULL))
        return (int)skua_await_until(&recv.future, deadline);
    /* A fiber gets in line at once: what an await looks at first, the leaf has. */
    skua__lock_take(oneshot_lock(oneshot));
    rc = oneshot_take(oneshot, message);
    if (rc == -EAGAIN)
        skua__waiters_push(&oneshot->receiving, &recv.waiter, skua__task_waker(&fiber->task));
    skua__lock_drop(oneshot_lock(oneshot));
    return rc == -EAGAIN ? (int)skua__await_asked(fiber, &recv.future, deadline) : rc;
}

int skua_oneshot_try_recv(skua_oneshot_receiver *receiver, void *message)
{
    struct oneshot *oneshot = oneshot_of(receiver);
    int rc;

    skua__lock_take(oneshot_lock(oneshot));
    rc = oneshot_take(oneshot, message);
    skua__lock_drop(oneshot_lock(oneshot));
    return rc;
}

void skua_oneshot_receiver_close(skua_oneshot_receiver *receiver)
{
    struct oneshot *oneshot = oneshot_of(receiver);

    if (receiver == NULL)
        return;
    if (skua__likely(oneshot_is_left(oneshot))) {
        skua__os_free(oneshot);
        return;
    }
    skua__lock_take(oneshot_lock(oneshot));
    oneshot_leave(oneshot, ONESHOT_RECEIVER_GONE, &oneshot->closing);
}

#undef ONESHOT_SENT
#undef ONESHOT_SENDER_GONE
#undef ONESHOT_RECEIVER_GONE
#undef ONESHOT_SIZE_MAX
#undef ONESHOT_PROMISED
