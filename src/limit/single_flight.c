/* single_flight.c - the same work once, however many ask for it at the same time.
 *
 * A call has a struct skua__flight in its frame. As leader it is the flight: listed by its key,
 * with the waiters in line behind it. As waiter it lies in the leader's line.
 *
 *   from      event                                to
 *   -         no flight with the key               leader    listed, until forgotten or over
 *   -         a flight                             waiter    in its line
 *   leader    fn has ended                         over      all waiters are given the result
 *   leader    fn ended because its task did        over      the first waiter leads
 *   waiter    granted a result                     over
 *   waiter    granted to lead                      leader    with the rest of the line
 *   waiter    dropped                              over      off the line, under the lock
 *   waiter    dropped when it was to lead          over      the next waiter leads
 *
 * Copying   is done after the lock was let go of and before the waiter is told: a waiter that is
 *           granted stays in its place until then (sync_wait.h), even one that is cancelled. One
 *           that has left is on no list: its memory is not touched any more.
 * Last      touch of `flights` is the leader's under the lock; waiters look at it no more.
 */
#include <string.h>

#include <skua/single_flight.h>

#include "sync/sync_wait.h"

struct skua__flight {
    skua_future future;          /* as waiter: of its wait */
    skua_waiter waiter;          /* as waiter: in the leader's line */
    skua_single_flight *flights; /* constant, as all to out_size */
    const void *owner;           /* the task or thread that calls: who would wait for itself */
    const void *key;
    size_t key_len;
    uint64_t hash;
    void *out;
    size_t out_size;
    struct skua__flight *leader; /* lock: whose line it is in; itself: leads */
    struct skua__flight *next;   /* lock: listed beside it */
    skua_waiter_list line;       /* lock: as leader */
    bool listed;                 /* lock: as leader */
    bool shared;                 /* with rc */
    int rc;                      /* the result; the leader's until the waiter is told */
};

/* What a wait's future says: the result is there, or this one is to lead. */
#define FLIGHT_TOLD 0
#define FLIGHT_LEADS 1

static struct skua__lock *flight_lock(skua_single_flight *flights)
{
    return skua__sync_lock(&flights->lock);
}

/* FNV-1a, with its upper bits folded into those that choose the list. */
static uint64_t flight_hash(const void *key, size_t len)
{
    const unsigned char *bytes = key;
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash ^ (hash >> 32);
}

/* ---- under the lock -------------------------------------------------------------------------- */

static struct skua__flight **flight_place(skua_single_flight *flights, uint64_t hash)
{
    return &flights->flights[hash % (sizeof flights->flights / sizeof flights->flights[0])];
}

static struct skua__flight *flight_find(skua_single_flight *flights, const void *key, size_t len,
                                        uint64_t hash)
{
    struct skua__flight *flight = *flight_place(flights, hash);

    while (flight != NULL && (flight->hash != hash || flight->key_len != len ||
                              (len != 0 && memcmp(flight->key, key, len) != 0)))
        flight = flight->next;
    return flight;
}

static void flight_list(struct skua__flight *flight)
{
    struct skua__flight **place = flight_place(flight->flights, flight->hash);

    flight->next = *place;
    *place = flight;
    flight->listed = true;
}

static void flight_unlist(struct skua__flight *flight)
{
    struct skua__flight **at = flight_place(flight->flights, flight->hash);

    if (!flight->listed)
        return;
    while (*at != flight)
        at = &(*at)->next;
    *at = flight->next;
    flight->listed = false;
}

/* The first waiter leads in this one's place, with those behind it in its line. */
static void flight_hand_over(struct skua__flight *flight, struct skua__chain *chain)
{
    skua_waiter *first = flight->line.first;
    struct skua__flight *heir;
    bool listed = flight->listed;

    flight_unlist(flight);
    if (first == NULL)
        return;
    heir = skua__container(first, struct skua__flight, waiter);
    skua__waiters_grant(&flight->line, first, chain);
    heir->line = flight->line;
    for (skua_waiter *waiter = heir->line.first; waiter != NULL; waiter = waiter->next)
        skua__container(waiter, struct skua__flight, waiter)->leader = heir;
    heir->leader = heir;
    if (listed)
        flight_list(heir);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Leads if there is no flight; else stands in line, if there is a waker. */
static skua_poll flight_enter(struct skua__flight *self, skua_waker *waker)
{
    struct skua__flight *leader;
    skua_poll answer = SKUA_PENDING;

    skua__lock_take(flight_lock(self->flights));
    leader = flight_find(self->flights, self->key, self->key_len, self->hash);
    if (leader == NULL) {
        self->leader = self;
        flight_list(self);
        answer = FLIGHT_LEADS;
    } else if (leader->owner == self->owner) {
        answer = -EDEADLK;
    } else if (leader->out_size != self->out_size) {
        answer = -EINVAL;
    } else if (waker != NULL) {
        self->leader = leader;
        skua__waiters_push(&leader->line, &self->waiter, waker);
    }
    skua__lock_drop(flight_lock(self->flights));
    return answer;
}

static skua_poll flight_poll(skua_future *future, skua_waker *waker)
{
    struct skua__flight *self = skua__container(future, struct skua__flight, future);
    skua_poll answer;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE)
        return flight_enter(self, waker);
    answer = skua__waiter_again(&self->waiter, flight_lock(self->flights), waker);
    if (answer == SKUA_PENDING)
        return answer;
    return self->leader == self ? FLIGHT_LEADS : FLIGHT_TOLD;
}

static void flight_drop(skua_future *future)
{
    struct skua__flight *self = skua__container(future, struct skua__flight, future);
    struct skua__chain chain = {NULL, NULL};

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE)
        return;
    skua__lock_take(flight_lock(self->flights));
    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__QUEUED) {
        /* Which line it is in is known only here: it may have a new leader. */
        skua__waiters_unlink(&self->leader->line, &self->waiter);
        skua__lock_drop(flight_lock(self->flights));
        skua_waker_unref(self->waiter.waker);
        skua__store_relaxed(skua__waiter_state(&self->waiter), SKUA__IDLE);
        return;
    }
    skua__lock_drop(flight_lock(self->flights));
    (void)skua__waiter_leave(&self->waiter, flight_lock(self->flights),
                             NULL); /* granted: settles */
    if (self->leader != self)
        return;
    skua__lock_take(flight_lock(self->flights));
    flight_hand_over(self, &chain);
    skua__lock_drop(flight_lock(self->flights));
    skua__chain_wake(&chain);
}

static const skua_future_ops flight_ops = {
    .name = "single_flight", .poll = flight_poll, .drop = flight_drop};

/* ---- leading --------------------------------------------------------------------------------- */

/* Gives the result to all who are on the chain; they are in their places until they are woken. */
static void flight_copy(const struct skua__flight *flight, const struct skua__chain *chain)
{
    for (skua_waiter *waiter = chain->first; waiter != NULL; waiter = waiter->next) {
        struct skua__flight *to = skua__container(waiter, struct skua__flight, waiter);

        to->rc = flight->rc;
        to->shared = true;
        if (flight->rc >= 0 && flight->out_size != 0)
            memcpy(to->out, flight->out, flight->out_size);
    }
}

static void flight_lead(struct skua__flight *self, int (*fn)(void *arg, void *out), void *arg)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());
    struct skua__chain chain = {NULL, NULL};
    bool ended;

    self->rc = fn(arg, self->out);
    /* Not the work has failed then, but who did it. In a shield nothing ends it. */
    ended = (self->rc == -ECANCELED || self->rc == -ETIMEDOUT) && fiber != NULL &&
            skua__fiber_verdict(fiber) != 0;
    skua__lock_take(flight_lock(self->flights));
    if (ended) {
        flight_hand_over(self, &chain);
    } else {
        flight_unlist(self);
        while (self->line.first != NULL)
            skua__waiters_grant(&self->line, self->line.first, &chain);
        self->shared = chain.first != NULL;
    }
    skua__lock_drop(flight_lock(self->flights));
    if (!ended)
        flight_copy(self, &chain);
    skua__chain_wake(&chain);
}

/* ---- for users ------------------------------------------------------------------------------- */

int skua_single_flight_do(skua_single_flight *flights, const void *key, size_t key_len,
                          int (*fn)(void *arg, void *out), void *arg, void *out, size_t out_size,
                          int *shared)
{
    struct skua__thread *self = skua__thread_self();
    struct skua__flight flight = {
        .future.ops = &flight_ops,
        .waiter.state = SKUA__IDLE,
        .flights = flights,
        .owner = self->current != NULL ? (const void *)self->current : (const void *)self,
        .key = key,
        .key_len = key_len,
        .out = out,
        .out_size = out_size,
    };
    int64_t answer;

    if (skua__fiber_current(self) == NULL && (self->current != NULL || self->core != NULL))
        return SKUA_EUSAGE;
    answer = skua__task_leaf();
    if (answer != 0)
        return (int)answer;
    flight.hash = flight_hash(key, key_len);
    answer = flight_enter(&flight, NULL);
    if (answer == SKUA_PENDING)
        answer = skua_await(&flight.future);
    if (answer < 0)
        return (int)answer;
    if (answer == FLIGHT_LEADS)
        flight_lead(&flight, fn, arg);
    if (shared != NULL)
        *shared = flight.shared;
    return flight.rc;
}

int skua_single_flight_forget(skua_single_flight *flights, const void *key, size_t key_len)
{
    uint64_t hash = flight_hash(key, key_len);
    struct skua__flight *flight;

    skua__lock_take(flight_lock(flights));
    flight = flight_find(flights, key, key_len, hash);
    if (flight != NULL)
        flight_unlist(flight);
    skua__lock_drop(flight_lock(flights));
    return flight != NULL;
}

#undef FLIGHT_TOLD
#undef FLIGHT_LEADS
