/* chan_wait.c - see chan.h: waiting to send, to reserve and to receive; handles and closing. */
#include "channel/chan_impl.h"

static skua_sync_future *chan_future_of(skua_future *future)
{
    return skua__container(future, skua_sync_future, future);
}

static bool chan_is_new(skua_sync_future *self)
{
    return skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE; /* own, if so */
}

/* ---- senders in line ------------------------------------------------------------------------- */

static skua_poll chan_reserve_poll(skua_future *future, skua_waker *waker);
static void chan_reserve_drop(skua_future *future);

static const skua_future_ops chan_reserve_ops = {
    .name = "channel.reserve", .poll = chan_reserve_poll, .drop = chan_reserve_drop};

/* Whoever made room puts the first sender's message in; a reserver takes what there is and waits
 * for the rest, as with a semaphore. */
void skua__chan_admit(struct skua__chan *chan, struct skua__chain *chain)
{
    skua_waiter *waiter;

    while ((waiter = chan->sending.first) != NULL && skua__chan_room(chan) != 0) {
        skua_sync_future *self = skua__container(waiter, skua_sync_future, waiter);

        if (self->future.ops == &chan_reserve_ops) {
            size_t room = skua__chan_room(chan);
            size_t part = waiter->value < room ? (size_t)waiter->value : room;

            chan->reserved += part;
            waiter->value -= part;
            if (waiter->value != 0)
                return;
        } else {
            skua__chan_put(chan, (const void *)(uintptr_t)self->value);
            skua__chan_tell_receiver(chan, chain);
        }
        skua__waiters_grant(&chan->sending, waiter, chain);
    }
}

/* Gets in line: SKUA_PENDING, or SKUA_ECLOSED. Room may have come since the try. */
static skua_poll chan_line_up(skua_sync_future *self, skua_waker *waker)
{
    struct skua__chan *chan = self->object;
    struct skua__chain chain = {NULL, NULL};
    skua_poll answer = SKUA_ECLOSED;

    skua__lock_take(skua__chan_lock(chan));
    if (!chan->closed) {
        skua__waiters_push(&chan->sending, &self->waiter, waker);
        skua__chan_admit(chan, &chain);
        answer = SKUA_PENDING;
    }
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    return answer;
}

static skua_poll chan_again(skua_sync_future *self, skua_waker *waker)
{
    skua_poll answer = skua__waiter_again(&self->waiter, skua__chan_lock(self->object), waker);

    return answer == 0 && self->waiter.value == SKUA__CHAN_REFUSED ? SKUA_ECLOSED : answer;
}

static skua_poll chan_send_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = chan_future_of(future);
    skua_poll answer;

    if (!chan_is_new(self))
        return chan_again(self, waker);
    answer = skua__chan_try_send(self->object, (const void *)(uintptr_t)self->value);
    return answer == -EAGAIN ? chan_line_up(self, waker) : answer;
}

/* A message that was put in is sent, although its sender does not learn it. */
static void chan_send_drop(skua_future *future)
{
    skua_sync_future *self = chan_future_of(future);
    struct skua__chan *chan = self->object;

    (void)skua__waiter_leave(&self->waiter, skua__chan_lock(chan), &chan->sending);
}

static const skua_future_ops chan_send_ops = {
    .name = "channel.send", .poll = chan_send_poll, .drop = chan_send_drop};

static skua_poll chan_reserve_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = chan_future_of(future);
    skua_poll answer;

    if (!chan_is_new(self))
        return chan_again(self, waker);
    answer = skua__chan_try_reserve(self->object, (size_t)self->value);
    return answer == -EAGAIN ? chan_line_up(self, waker) : answer;
}

/* What it had goes to the next in line. */
static void chan_reserve_drop(skua_future *future)
{
    skua_sync_future *self = chan_future_of(future);
    struct skua__chan *chan = self->object;

    if (chan_is_new(self))
        return;
    (void)skua__waiter_leave(&self->waiter, skua__chan_lock(chan), &chan->sending);
    if (self->waiter.value != SKUA__CHAN_REFUSED)
        (void)skua__chan_unreserve(chan, (size_t)(self->value - self->waiter.value));
}

/* ---- receivers in line ----------------------------------------------------------------------- */

void skua__chan_end_receivers(struct skua__chan *chan, struct skua__chain *chain)
{
    while (chan->receiving.first != NULL)
        skua__chan_tell_receiver(chan, chain);
}

static skua_poll chan_recv_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = chan_future_of(future);
    skua_poll answer;

    if (!chan_is_new(self)) {
        answer = skua__waiter_again(&self->waiter, skua__chan_lock(self->object), waker);
        if (answer == SKUA_PENDING)
            return answer;
    }
    if (skua__likely(skua__chan_recv_fast(self->object, (void *)(uintptr_t)self->value)))
        return 0;
    return skua__chan_recv_or_wait(self->object, (void *)(uintptr_t)self->value, &self->waiter,
                                   waker);
}

/* One that was told to look, and does not, tells the next. */
static void chan_recv_drop(skua_future *future)
{
    skua_sync_future *self = chan_future_of(future);
    struct skua__chan *chan = self->object;
    struct skua__chain chain = {NULL, NULL};

    if (!skua__waiter_leave(&self->waiter, skua__chan_lock(chan), &chan->receiving))
        return;
    skua__lock_take(skua__chan_lock(chan));
    if (chan->len != 0)
        skua__chan_tell_receiver(chan, &chain);
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
}

static const skua_future_ops chan_recv_ops = {
    .name = "channel.recv", .poll = chan_recv_poll, .drop = chan_recv_drop};

/* ---- futures and direct calls ---------------------------------------------------------------- */

static skua_future *chan_future(skua_sync_future *self, struct skua__chan *chan, uint64_t value,
                                const skua_future_ops *ops)
{
    self->future.ops = ops;
    self->object = chan;
    self->value = value;
    self->waiter.value = value;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

skua_future *skua__chan_send_init(skua_sync_future *self, struct skua__chan *chan, const void *item)
{
    return chan_future(self, chan, (uintptr_t)item, &chan_send_ops);
}

skua_future *skua__chan_recv_init(skua_sync_future *self, struct skua__chan *chan, void *item)
{
    return chan_future(self, chan, (uintptr_t)item, &chan_recv_ops);
}

skua_future *skua__chan_reserve_init(skua_sync_future *self, struct skua__chan *chan, size_t count)
{
    return chan_future(self, chan, count, &chan_reserve_ops);
}

/* There is no room, or not for us yet. */
static SKUA__NOINLINE int chan_send_waiting(struct skua__chan *chan, const void *item,
                                            int64_t deadline)
{
    skua_sync_future wait;

    return (int)skua_await_until(skua__chan_send_init(&wait, chan, item), deadline);
}

int skua__chan_send(struct skua__chan *chan, const void *item, int64_t deadline)
{
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    if (skua__likely(skua__chan_send_fast(chan, item)))
        return 0;
    rc = skua__chan_send_slow(chan, item);
    return skua__likely(rc != -EAGAIN) ? rc : chan_send_waiting(chan, item, deadline);
}

/* The lock is still held, from the look that found nothing. A fiber gets in line at once: what an
 * await looks at first, the leaf has. A thread waits in the usual way. */
static SKUA__NOINLINE int chan_recv_waiting(struct skua__chan *chan, void *item, int64_t deadline)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    skua_sync_future wait;
    skua_poll answer;

    skua__chan_recv_init(&wait, chan, item);
    if (skua__unlikely(fiber == NULL)) {
        answer = skua__chan_recv_slow(chan, item);
        return (int)(answer == -EAGAIN ? skua_await_until(&wait.future, deadline) : answer);
    }
    answer = skua__chan_recv_or_wait(chan, item, &wait.waiter, skua__task_waker(&fiber->task));
    if (answer == SKUA_PENDING)
        answer = skua__await_asked(fiber, &wait.future, deadline);
    return (int)answer;
}

int skua__chan_recv(struct skua__chan *chan, void *item, int64_t deadline)
{
    int rc = skua__task_leaf();

    if (skua__unlikely(rc != 0))
        return rc;
    if (skua__likely(skua__chan_recv_fast(chan, item)))
        return 0;
    return chan_recv_waiting(chan, item, deadline);
}

/* ---- handles and closing --------------------------------------------------------------------- */

/* Under the lock: nobody sends any more. Room that was reserved may still be used. */
static void chan_close(struct skua__chan *chan, struct skua__chain *chain)
{
    chan->closed = true;
    while (chan->sending.first != NULL) {
        skua_waiter *waiter = chan->sending.first;
        skua_sync_future *self = skua__container(waiter, skua_sync_future, waiter);

        if (self->future.ops == &chan_reserve_ops)
            chan->reserved -= (size_t)(self->value - waiter->value);
        waiter->value = SKUA__CHAN_REFUSED;
        skua__waiters_grant(&chan->sending, waiter, chain);
    }
    if (chan->len == 0 && chan->reserved == 0)
        skua__chan_end_receivers(chan, chain);
}

void skua__chan_close(struct skua__chan *chan)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(skua__chan_lock(chan));
    chan_close(chan, &chain);
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
}

/* Drops a handle of the kind that *count counts; the last of its kind closes, the last of all
 * frees. */
static void chan_drop(struct skua__chan *chan, size_t *count)
{
    struct skua__chain chain = {NULL, NULL};
    bool last;

    skua__lock_take(skua__chan_lock(chan));
    if (count != NULL && --*count == 0)
        chan_close(chan, &chain);
    last = --chan->refs == 0;
    skua__lock_drop(skua__chan_lock(chan));
    skua__chain_wake(&chain);
    if (last)
        skua__chan_free(chan);
}

static bool chan_add(struct skua__chan *chan, size_t *count, bool even_if_none)
{
    bool added;

    skua__lock_take(skua__chan_lock(chan));
    added = even_if_none || *count != 0;
    if (added) {
        chan->refs++;
        if (count != NULL)
            ++*count;
    }
    skua__lock_drop(skua__chan_lock(chan));
    return added;
}

void skua__chan_add_sender(struct skua__chan *chan)
{
    (void)chan_add(chan, &chan->senders, true);
}

void skua__chan_add_receiver(struct skua__chan *chan)
{
    (void)chan_add(chan, &chan->receivers, true);
}

void skua__chan_add_weak(struct skua__chan *chan)
{
    (void)chan_add(chan, NULL, true);
}

bool skua__chan_upgrade(struct skua__chan *chan)
{
    return chan_add(chan, &chan->senders, false);
}

void skua__chan_drop_sender(struct skua__chan *chan)
{
    chan_drop(chan, &chan->senders);
}

void skua__chan_drop_receiver(struct skua__chan *chan)
{
    chan_drop(chan, &chan->receivers);
}

void skua__chan_drop_weak(struct skua__chan *chan)
{
    chan_drop(chan, NULL);
}
