/* watch.c - one value, its version, and who waits for a newer one.
 *
 * Each change counts the version up, under the lock; a receiver is the version that it has seen
 * last. So nothing is queued: who looks sees the newest value, and many changes are one to who was
 * not looking. Who waits is told to look by each change, and by the last sender's end.
 *
 *   changed    waits until the version differs from the one that was seen, and takes it then, not
 *              when it was told: a wait that is dropped has seen nothing.
 *   wait_for   asks the user's function about a copy, without the lock; if the version moved on
 *              meanwhile it asks again, else it waits.
 *   closed     of the senders: waits until no receiver is left. The last one lets them pass, even
 *              if one subscribes right after.
 *
 * All of it is under one spin lock, which is held for the copy of the value. It is also held for
 * the function of send_if_modified, the one of a user's that is called under a spin lock: what it
 * may do is a few instructions, too, and broadcast.h says so. The last handle frees.
 */
#include <skua/broadcast.h>

#include <string.h>

#include "sync/sync_wait.h"

#define WATCH_SIZE_MAX ((size_t)1 << 20)

struct watch {
    uint8_t lock;     /* guards all but size, and what the receivers remember */
    uint64_t version; /* how often the value has changed */
    size_t senders;   /* handles, as the next one; of both the last one frees */
    size_t receivers;
    skua_waiter_list changing; /* receivers that wait for a change */
    skua_waiter_list closing;  /* senders that wait for the end of the receivers */
    size_t size;               /* constant */
    _Alignas(max_align_t) char value[];
};

struct skua_watch_receiver {
    struct watch *watch; /* constant */
    uint64_t seen;       /* a version; watch->lock */
};

static struct watch *watch_of(const skua_watch_sender *sender)
{
    return (struct watch *)(uintptr_t)sender;
}

static struct skua__lock *watch_lock(struct watch *watch)
{
    return skua__sync_lock(&watch->lock);
}

/* Lets all of a list go on. Under the lock. */
static void watch_tell(skua_waiter_list *list, struct skua__chain *chain)
{
    while (list->first != NULL)
        skua__waiters_grant(list, list->first, chain);
}

/* ---- handles --------------------------------------------------------------------------------- */

int skua_watch_new(skua_watch_sender **sender, skua_watch_receiver **receiver, size_t size,
                   const void *initial)
{
    struct watch *watch;

    if (size == 0 || size > WATCH_SIZE_MAX)
        return -EINVAL;
    watch = skua__os_alloc(sizeof *watch + size);
    if (watch == NULL)
        return -ENOMEM;
    watch->size = size;
    watch->senders = 1;
    memcpy(watch->value, initial, size);
    if (skua_watch_subscribe((skua_watch_sender *)(void *)watch, receiver) != 0) {
        skua__os_free(watch);
        return -ENOMEM;
    }
    *sender = (skua_watch_sender *)(void *)watch;
    return 0;
}

skua_watch_sender *skua_watch_sender_clone(skua_watch_sender *sender)
{
    struct watch *watch = watch_of(sender);

    skua__lock_take(watch_lock(watch));
    watch->senders++;
    skua__lock_drop(watch_lock(watch));
    return sender;
}

/* Drops the handle that *count counts; the last of its kind tells who waits for that. */
static void watch_leave(struct watch *watch, size_t *count, skua_waiter_list *list)
{
    struct skua__chain chain = {NULL, NULL};
    bool last;

    skua__lock_take(watch_lock(watch));
    skua__assert(*count != 0);
    if (--*count == 0)
        watch_tell(list, &chain);
    last = watch->senders == 0 && watch->receivers == 0;
    skua__lock_drop(watch_lock(watch));
    skua__chain_wake(&chain);
    if (last)
        skua__os_free(watch);
}

void skua_watch_sender_close(skua_watch_sender *sender)
{
    struct watch *watch = watch_of(sender);

    if (sender != NULL)
        watch_leave(watch, &watch->senders, &watch->changing);
}

/* Of `like` what it has seen; without one, what there is now. */
static int watch_join(struct watch *watch, const skua_watch_receiver *like,
                      skua_watch_receiver **ret_receiver)
{
    skua_watch_receiver *receiver = skua__os_alloc(sizeof *receiver);

    if (receiver == NULL)
        return -ENOMEM;
    receiver->watch = watch;
    skua__lock_take(watch_lock(watch));
    receiver->seen = like != NULL ? like->seen : watch->version;
    watch->receivers++;
    skua__lock_drop(watch_lock(watch));
    *ret_receiver = receiver;
    return 0;
}

int skua_watch_subscribe(skua_watch_sender *sender, skua_watch_receiver **receiver)
{
    return watch_join(watch_of(sender), NULL, receiver);
}

int skua_watch_receiver_clone(skua_watch_receiver *receiver, skua_watch_receiver **other)
{
    return watch_join(receiver->watch, receiver, other);
}

void skua_watch_receiver_close(skua_watch_receiver *receiver)
{
    if (receiver == NULL)
        return;
    watch_leave(receiver->watch, &receiver->watch->receivers, &receiver->watch->closing);
    skua__os_free(receiver);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Under the lock. */
static void watch_change(struct watch *watch, struct skua__chain *chain)
{
    watch->version++;
    watch_tell(&watch->changing, chain);
}

int skua_watch_send(skua_watch_sender *sender, const void *value)
{
    struct watch *watch = watch_of(sender);
    struct skua__chain chain = {NULL, NULL};
    bool wanted;

    skua__lock_take(watch_lock(watch));
    wanted = watch->receivers != 0;
    if (wanted) {
        memcpy(watch->value, value, watch->size);
        watch_change(watch, &chain);
    }
    skua__lock_drop(watch_lock(watch));
    skua__chain_wake(&chain);
    return wanted ? 0 : SKUA_ECLOSED;
}

int skua_watch_send_if_modified(skua_watch_sender *sender, skua_watch_change_fn fn, void *arg)
{
    struct watch *watch = watch_of(sender);
    struct skua__chain chain = {NULL, NULL};
    bool changed;

    skua__lock_take(watch_lock(watch));
    changed = fn(watch->value, arg) != 0;
    if (changed)
        watch_change(watch, &chain);
    skua__lock_drop(watch_lock(watch));
    skua__chain_wake(&chain);
    return changed;
}

int skua_watch_is_closed(skua_watch_sender *sender)
{
    struct watch *watch = watch_of(sender);
    int closed;

    skua__lock_take(watch_lock(watch));
    closed = watch->receivers == 0;
    skua__lock_drop(watch_lock(watch));
    return closed;
}

/* ---- looking --------------------------------------------------------------------------------- */

int skua_watch_borrow(skua_watch_receiver *receiver, void *copy)
{
    struct watch *watch = receiver->watch;
    int unseen;

    skua__lock_take(watch_lock(watch));
    memcpy(copy, watch->value, watch->size);
    unseen = receiver->seen != watch->version;
    skua__lock_drop(watch_lock(watch));
    return unseen;
}

int skua_watch_borrow_and_update(skua_watch_receiver *receiver, void *copy)
{
    struct watch *watch = receiver->watch;
    int unseen;

    skua__lock_take(watch_lock(watch));
    memcpy(copy, watch->value, watch->size);
    unseen = receiver->seen != watch->version;
    receiver->seen = watch->version;
    skua__lock_drop(watch_lock(watch));
    return unseen;
}

/* Under the lock: 0, and it is seen; -EAGAIN, SKUA_ECLOSED. */
static int watch_take(skua_watch_receiver *receiver)
{
    struct watch *watch = receiver->watch;

    if (receiver->seen != watch->version) {
        receiver->seen = watch->version;
        return 0;
    }
    return watch->senders == 0 ? SKUA_ECLOSED : -EAGAIN;
}

int skua_watch_try_changed(skua_watch_receiver *receiver)
{
    int rc;

    skua__lock_take(watch_lock(receiver->watch));
    rc = watch_take(receiver);
    skua__lock_drop(watch_lock(receiver->watch));
    return rc;
}

/* ---- waiting for a change -------------------------------------------------------------------- */

/* Listed and not told yet; otherwise the waiter is IDLE, new or told to look. */
static bool watch_waits_on(skua_sync_future *self, struct watch *watch, skua_waker *waker)
{
    /* Relaxed: IDLE is its owner's. */
    return skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE &&
           skua__waiter_again(&self->waiter, watch_lock(watch), waker) == SKUA_PENDING;
}

static skua_poll watch_changed_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_watch_receiver *receiver = self->object;
    struct watch *watch = receiver->watch;
    skua_poll answer;

    if (watch_waits_on(self, watch, waker))
        return SKUA_PENDING;
    skua__lock_take(watch_lock(watch));
    answer = watch_take(receiver);
    if (answer == -EAGAIN) {
        skua__waiters_push(&watch->changing, &self->waiter, waker);
        answer = SKUA_PENDING;
    }
    skua__lock_drop(watch_lock(watch));
    return answer;
}

/* Nothing to pass on: all who waited were told. */
static void watch_changed_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct watch *watch = ((skua_watch_receiver *)self->object)->watch;

    (void)skua__waiter_leave(&self->waiter, watch_lock(watch), &watch->changing);
}

static const skua_future_ops watch_changed_ops = {
    .name = "watch.changed", .poll = watch_changed_poll, .drop = watch_changed_drop};

static skua_future *watch_future(skua_sync_future *self, void *handle, uint64_t value,
                                 const skua_future_ops *ops)
{
    self->future.ops = ops;
    self->object = handle;
    self->value = value;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

skua_future *skua_watch_changed_init(skua_sync_future *changed, skua_watch_receiver *receiver)
{
    return watch_future(changed, receiver, 0, &watch_changed_ops);
}

int skua_watch_changed_until(skua_watch_receiver *receiver, int64_t deadline)
{
    skua_sync_future changed;

    return (int)skua_await_until(skua_watch_changed_init(&changed, receiver), deadline);
}

int skua_watch_changed(skua_watch_receiver *receiver)
{
    return skua_watch_changed_until(receiver, SKUA_FOREVER);
}

/* ---- waiting for a value --------------------------------------------------------------------- */

/* What wait_for looked at: its version, for the look whether it is still the newest. */
static bool watch_look(skua_watch_receiver *receiver, void *copy, uint64_t *ret_version)
{
    struct watch *watch = receiver->watch;
    bool over;

    skua__lock_take(watch_lock(watch));
    memcpy(copy, watch->value, watch->size);
    receiver->seen = watch->version;
    *ret_version = watch->version;
    over = watch->senders == 0;
    skua__lock_drop(watch_lock(watch));
    return over;
}

/* Lists the waiter, unless there is something to see behind `version`. */
static bool watch_line_up(struct watch *watch, uint64_t version, skua_waiter *waiter,
                          skua_waker *waker)
{
    bool waits;

    skua__lock_take(watch_lock(watch));
    waits = watch->version == version && watch->senders != 0;
    if (waits)
        skua__waiters_push(&watch->changing, waiter, waker);
    skua__lock_drop(watch_lock(watch));
    return waits;
}

static skua_poll watch_for_poll(skua_future *future, skua_waker *waker)
{
    skua_watch_for_future *self = skua__container(future, skua_watch_for_future, wait.future);
    skua_watch_receiver *receiver = self->wait.object;
    void *copy = (void *)(uintptr_t)self->wait.value;
    uint64_t version;
    bool over;

    if (watch_waits_on(&self->wait, receiver->watch, waker))
        return SKUA_PENDING;
    do {
        over = watch_look(receiver, copy, &version);
        if (self->fn(copy, self->arg) != 0)
            return 0;
        if (over)
            return SKUA_ECLOSED;
    } while (!watch_line_up(receiver->watch, version, &self->wait.waiter, waker));
    return SKUA_PENDING;
}

static const skua_future_ops watch_for_ops = {
    .name = "watch.wait_for", .poll = watch_for_poll, .drop = watch_changed_drop};

skua_future *skua_watch_wait_for_init(skua_watch_for_future *wait, skua_watch_receiver *receiver,
                                      skua_watch_test_fn fn, void *arg, void *copy)
{
    wait->fn = fn;
    wait->arg = arg;
    return watch_future(&wait->wait, receiver, (uintptr_t)copy, &watch_for_ops);
}

int skua_watch_wait_for_until(skua_watch_receiver *receiver, skua_watch_test_fn fn, void *arg,
                              void *copy, int64_t deadline)
{
    skua_watch_for_future wait;

    return (int)skua_await_until(skua_watch_wait_for_init(&wait, receiver, fn, arg, copy),
                                 deadline);
}

int skua_watch_wait_for(skua_watch_receiver *receiver, skua_watch_test_fn fn, void *arg, void *copy)
{
    return skua_watch_wait_for_until(receiver, fn, arg, copy, SKUA_FOREVER);
}

/* ---- waiting for the end of the receivers ---------------------------------------------------- */

static skua_poll watch_closed_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct watch *watch = self->object;
    bool closed;

    /* Relaxed: IDLE is its owner's. */
    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE)
        return skua__waiter_again(&self->waiter, watch_lock(watch), waker);
    skua__lock_take(watch_lock(watch));
    closed = watch->receivers == 0;
    if (!closed)
        skua__waiters_push(&watch->closing, &self->waiter, waker);
    skua__lock_drop(watch_lock(watch));
    return closed ? 0 : SKUA_PENDING;
}

static void watch_closed_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    struct watch *watch = self->object;

    (void)skua__waiter_leave(&self->waiter, watch_lock(watch), &watch->closing);
}

static const skua_future_ops watch_closed_ops = {
    .name = "watch.closed", .poll = watch_closed_poll, .drop = watch_closed_drop};

skua_future *skua_watch_closed_init(skua_sync_future *closed, skua_watch_sender *sender)
{
    return watch_future(closed, sender, 0, &watch_closed_ops);
}

int skua_watch_closed(skua_watch_sender *sender)
{
    skua_sync_future closed;

    return (int)skua_await(skua_watch_closed_init(&closed, sender));
}

#undef WATCH_SIZE_MAX
