/* gate.c - waiting for a state that others bring about: event, wait group, barrier, once.
 *
 * Each is a gate: a lock, a list, and a number whose meaning is its own. A wait looks at the number
 * under the lock and is listed if it is not what it waits for; who changes the number grants to
 * everybody who waits, under the same lock. So nothing is missed in between.
 */
#include "sync/gate.h"

void skua__gate_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_gate *gate = self->object;

    (void)skua__waiter_leave(&self->waiter, skua__gate_lock(gate), &gate->waiters);
}

skua_future *skua__gate_future(skua_sync_future *self, skua_gate *gate, const skua_future_ops *ops)
{
    self->future.ops = ops;
    self->object = gate;
    self->value = 0;
    self->waiter.value = 0;
    self->waiter.state = SKUA__IDLE;
    return &self->future;
}

/* ---- event: the number is 1 while it is set -------------------------------------------------- */

static bool event_pass(skua_gate *gate)
{
    return skua__gate_get(gate) != 0;
}

static skua_poll event_poll(skua_future *future, skua_waker *waker)
{
    return skua__gate_poll(future, waker, event_pass);
}

static const skua_future_ops event_ops = {
    .name = "event", .poll = event_poll, .drop = skua__gate_drop};

skua_future *skua_event_wait_init(skua_sync_future *wait, skua_event *event)
{
    return skua__gate_future(wait, &event->gate, &event_ops);
}

int skua_event_wait(skua_event *event)
{
    return skua_event_wait_until(event, SKUA_FOREVER);
}

int skua_event_wait_until(skua_event *event, int64_t deadline)
{
    skua_sync_future wait;

    return (int)skua_await_until(skua_event_wait_init(&wait, event), deadline);
}

void skua_event_set(skua_event *event)
{
    struct skua__chain chain = {NULL, NULL};

    skua__lock_take(skua__gate_lock(&event->gate));
    skua__gate_set(&event->gate, 1);
    skua__gate_grant_all(&event->gate, &chain);
    skua__lock_drop(skua__gate_lock(&event->gate));
    skua__chain_wake(&chain);
}

void skua_event_reset(skua_event *event)
{
    skua__lock_take(skua__gate_lock(&event->gate));
    skua__gate_set(&event->gate, 0);
    skua__lock_drop(skua__gate_lock(&event->gate));
}

int skua_event_is_set(const skua_event *event)
{
    /* Acquire pairs with skua__gate_set. */
    return skua__load_acquire(skua__gate_number(&((skua_event *)(uintptr_t)event)->gate)) != 0;
}

/* ---- wait group: the number is how many are out ---------------------------------------------- */

static bool group_pass(skua_gate *gate)
{
    return skua__gate_get(gate) == 0;
}

static skua_poll group_poll(skua_future *future, skua_waker *waker)
{
    return skua__gate_poll(future, waker, group_pass);
}

static const skua_future_ops group_ops = {
    .name = "wait_group", .poll = group_poll, .drop = skua__gate_drop};

skua_future *skua_wait_group_wait_init(skua_sync_future *wait, skua_wait_group *group)
{
    return skua__gate_future(wait, &group->gate, &group_ops);
}

int skua_wait_group_wait(skua_wait_group *group)
{
    return skua_wait_group_wait_until(group, SKUA_FOREVER);
}

int skua_wait_group_wait_until(skua_wait_group *group, int64_t deadline)
{
    skua_sync_future wait;

    return (int)skua_await_until(skua_wait_group_wait_init(&wait, group), deadline);
}

int skua_wait_group_add(skua_wait_group *group, size_t count)
{
    int rc = 0;

    skua__lock_take(skua__gate_lock(&group->gate));
    if (count > SKUA_WAIT_GROUP_MAX - skua__gate_get(&group->gate))
        rc = -EINVAL;
    else
        skua__gate_set(&group->gate, skua__gate_get(&group->gate) + count);
    skua__lock_drop(skua__gate_lock(&group->gate));
    return rc;
}

int skua_wait_group_done(skua_wait_group *group)
{
    struct skua__chain chain = {NULL, NULL};
    int rc = SKUA_EUSAGE;

    skua__lock_take(skua__gate_lock(&group->gate));
    if (skua__gate_get(&group->gate) != 0) {
        skua__gate_set(&group->gate, skua__gate_get(&group->gate) - 1);
        if (skua__gate_get(&group->gate) == 0)
            skua__gate_grant_all(&group->gate, &chain);
        rc = 0;
    }
    skua__lock_drop(skua__gate_lock(&group->gate));
    skua__chain_wake(&chain);
    return rc;
}

/* ---- barrier: the number is how many have arrived -------------------------------------------- */

/* Arrives; the last one lets all pass and is the leader (the future's value). */
static skua_poll barrier_poll(skua_future *future, skua_waker *waker)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_barrier *barrier = skua__container((skua_gate *)self->object, skua_barrier, gate);
    struct skua__chain chain = {NULL, NULL};
    skua_poll answer = SKUA_PENDING;

    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) != SKUA__IDLE)
        return skua__waiter_again(&self->waiter, skua__gate_lock(&barrier->gate), waker);
    skua__lock_take(skua__gate_lock(&barrier->gate));
    if (skua__gate_get(&barrier->gate) + 1 >= barrier->parties) {
        skua__gate_set(&barrier->gate, 0);
        skua__gate_grant_all(&barrier->gate, &chain);
        answer = 1;
    } else {
        skua__gate_set(&barrier->gate, skua__gate_get(&barrier->gate) + 1);
        skua__waiters_push(&barrier->gate.waiters, &self->waiter, waker);
    }
    skua__lock_drop(skua__gate_lock(&barrier->gate));
    skua__chain_wake(&chain);
    return answer;
}

/* One that has not passed has not arrived either. */
static void barrier_drop(skua_future *future)
{
    skua_sync_future *self = skua__container(future, skua_sync_future, future);
    skua_gate *gate = self->object;
    bool queued = false;

    skua__lock_take(skua__gate_lock(gate));
    if (skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__QUEUED) {
        skua__gate_set(gate, skua__gate_get(gate) - 1);
        skua__waiters_unlink(&gate->waiters, &self->waiter);
        skua__store_relaxed(skua__waiter_state(&self->waiter), SKUA__IDLE);
        queued = true;
    }
    skua__lock_drop(skua__gate_lock(gate));
    if (queued)
        skua_waker_unref(self->waiter.waker);
    else
        (void)skua__waiter_leave(&self->waiter, skua__gate_lock(gate), &gate->waiters);
}

static const skua_future_ops barrier_ops = {
    .name = "barrier", .poll = barrier_poll, .drop = barrier_drop};

int skua_barrier_init(skua_barrier *barrier, size_t parties)
{
    if (parties == 0)
        return -EINVAL;
    *barrier = (skua_barrier)SKUA_BARRIER_INIT(parties);
    return 0;
}

skua_future *skua_barrier_wait_init(skua_sync_future *wait, skua_barrier *barrier)
{
    return skua__gate_future(wait, &barrier->gate, &barrier_ops);
}

int skua_barrier_wait(skua_barrier *barrier)
{
    skua_sync_future wait;

    return (int)skua_await(skua_barrier_wait_init(&wait, barrier));
}

/* ---- once: the number is a state ------------------------------------------------------------- */

#define ONCE_NEW 0u
#define ONCE_RUNS 1u
#define ONCE_DONE 2u

static bool once_pass(skua_gate *gate)
{
    return skua__gate_get(gate) != ONCE_RUNS;
}

static skua_poll once_poll(skua_future *future, skua_waker *waker)
{
    return skua__gate_poll(future, waker, once_pass);
}

static const skua_future_ops once_ops = {
    .name = "once", .poll = once_poll, .drop = skua__gate_drop};

/* 1: it is the caller's to run; 0: it has run; or why the wait for another ended. */
static int once_enter(skua_gate *gate)
{
    skua_sync_future wait;

    for (;;) {
        uint64_t state;
        int rc;

        skua__lock_take(skua__gate_lock(gate));
        state = skua__gate_get(gate);
        if (state == ONCE_NEW)
            skua__gate_set(gate, ONCE_RUNS);
        skua__lock_drop(skua__gate_lock(gate));
        if (state != ONCE_RUNS)
            return state == ONCE_NEW;
        rc = (int)skua_await(skua__gate_future(&wait, gate, &once_ops));
        if (rc != 0)
            return rc;
    }
}

int skua_once_run(skua_once *once, skua_fiber_fn fn, void *arg)
{
    struct skua__chain chain = {NULL, NULL};
    int rc = 0;

    /* Acquire pairs with skua__gate_set: what fn did is seen. */
    if (skua__likely(skua__load_acquire(skua__gate_number(&once->gate)) == ONCE_DONE))
        return 0;
    rc = once_enter(&once->gate);
    if (rc != 1)
        return rc;
    rc = fn(arg);
    skua__lock_take(skua__gate_lock(&once->gate));
    skua__gate_set(&once->gate, rc < 0 ? ONCE_NEW : ONCE_DONE);
    skua__gate_grant_all(&once->gate, &chain); /* after a failure they race for the next try */
    skua__lock_drop(skua__gate_lock(&once->gate));
    skua__chain_wake(&chain);
    return rc < 0 ? rc : 0;
}

int skua_once_done(const skua_once *once)
{
    /* Acquire pairs with skua__gate_set. */
    return skua__load_acquire(skua__gate_number(&((skua_once *)(uintptr_t)once)->gate)) ==
           ONCE_DONE;
}

#undef ONCE_NEW
#undef ONCE_RUNS
#undef ONCE_DONE
