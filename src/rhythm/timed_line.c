/* timed_line.c - see timed_line.h: looking, arming, leaving.
 *
 * Waiting    skua__timed_wait -> skua_await -> skua__timed_poll -> timed_step -> look -> timed_arm
 * Telling    a poke, an insert … -> skua__timed_tell -> the wake of the first in line -> its poll
 */
#include "rhythm/timed_line.h"

static bool timed_is_idle(skua_timed_future *self)
{
    return skua__load_relaxed(skua__waiter_state(&self->waiter)) == SKUA__IDLE; /* own, if so */
}

void skua__timed_tell(skua_timed_line *line, struct skua__chain *chain)
{
    skua_waiter *first = line->waiters.first;

    if (line->told != NULL || first == NULL)
        return;
    line->told = first;
    skua__waiters_grant(&line->waiters, first, chain);
}

/* Under the lock, as skua__waiters_push: one that was told comes back to its place. */
static void timed_push_front(skua_waiter_list *list, skua_waiter *waiter, skua_waker *waker)
{
    waiter->waker = skua_waker_ref(waker);
    waiter->prev = NULL;
    waiter->next = list->first;
    if (list->first != NULL)
        list->first->prev = waiter;
    else
        list->last = waiter;
    list->first = waiter;
    skua__store_relaxed(skua__waiter_state(waiter), SKUA__QUEUED); /* read back under the lock */
}

/* What a poll finds out under the lock, for behind it. */
struct timed_step {
    int64_t now;
    int64_t again;
    skua_waker *left; /* the waker of who has left the list with an answer */
    struct skua__chain chain;
};

/* Under the lock. One that was told between the poll's begin and now will be woken: it looks
 * then. */
static skua_poll timed_step(skua_timed_future *self, skua_waker *waker, struct timed_step *step)
{
    const struct skua__timed_kind *kind =
        skua__container(self->future.ops, const struct skua__timed_kind, ops);
    skua_timed_line *line = self->line;
    skua_waiter *waiter = &self->waiter;
    uint32_t state = skua__load_relaxed(skua__waiter_state(waiter)); /* changed under the lock */
    bool queued = state == SKUA__QUEUED;
    bool first =
        line->told != NULL ? line->told == waiter : line->waiters.first == (queued ? waiter : NULL);
    skua_poll answer = SKUA_PENDING;

    if (!queued && state != SKUA__IDLE)
        return SKUA_PENDING;
    if (first) {
        answer = kind->look(line, self->value, step->now, &step->again);
        line->told = NULL; /* the look still sees that somebody waits */
    }
    self->leads = first;
    if (answer == SKUA_PENDING) {
        if (!queued && first)
            timed_push_front(&line->waiters, waiter, waker);
        else if (!queued)
            skua__waiters_push(&line->waiters, waiter, waker);
        return SKUA_PENDING;
    }
    if (queued) {
        skua__waiters_unlink(&line->waiters, waiter);
        skua__store_relaxed(skua__waiter_state(waiter), SKUA__IDLE); /* nobody else has it */
        step->left = waiter->waker;
    }
    if (step->again != SKUA_FOREVER)
        skua__timed_tell(line, &step->chain);
    return answer;
}

/* True: the moment has come. */
static bool timed_arm(skua_timed_future *self, int64_t again, skua_waker *waker)
{
    skua_sleep_future *timer = &self->timer;

    if (again == SKUA_FOREVER) {
        skua__sleep_drop(&timer->future);
        return false;
    }
    if (timer->waker == NULL || timer->when != (uint64_t)again)
        skua_sleep_reset(timer, again);
    return skua__sleep_poll(&timer->future, waker) != SKUA_PENDING;
}

skua_poll skua__timed_poll(skua_future *future, skua_waker *waker)
{
    skua_timed_future *self = skua__container(future, skua_timed_future, future);
    struct skua__lock *lock = skua__timed_lock(self->line);
    struct timed_step step;
    skua_poll answer;

    do {
        step = (struct timed_step){.now = skua_now(), .again = SKUA_FOREVER};
        /* In line, the newest waker is kept; told, it is nobody else's any more. */
        if (!timed_is_idle(self))
            (void)skua__waiter_again(&self->waiter, lock, waker);
        skua__lock_take(lock);
        answer = timed_step(self, waker, &step);
        skua__lock_drop(lock);
        /* From here on the object may be gone, if there was an answer. */
        skua__chain_wake(&step.chain);
        skua_waker_unref(step.left);
    } while (answer == SKUA_PENDING && timed_arm(self, step.again, waker));
    if (answer != SKUA_PENDING)
        skua__sleep_drop(&self->timer.future);
    return answer;
}

void skua__timed_drop(skua_future *future)
{
    skua_timed_future *self = skua__container(future, skua_timed_future, future);
    skua_timed_line *line = self->line;
    struct skua__chain chain = {NULL, NULL};
    bool told;

    skua__sleep_drop(&self->timer.future);
    if (timed_is_idle(self))
        return;
    told = skua__waiter_leave(&self->waiter, skua__timed_lock(line), &line->waiters);
    if (!told && !self->leads)
        return;
    skua__lock_take(skua__timed_lock(line));
    if (line->told == &self->waiter)
        line->told = NULL;
    skua__timed_tell(line, &chain);
    skua__lock_drop(skua__timed_lock(line));
    skua__chain_wake(&chain);
}

int skua__timed_try(skua_timed_line *line, const struct skua__timed_kind *kind, void *value)
{
    int64_t now = skua_now();
    int64_t again = SKUA_FOREVER;
    skua_poll answer = SKUA_PENDING;

    skua__lock_take(skua__timed_lock(line));
    if (line->told == NULL && line->waiters.first == NULL)
        answer = kind->look(line, value, now, &again);
    skua__lock_drop(skua__timed_lock(line));
    return answer == SKUA_PENDING ? -EAGAIN : (int)answer;
}

skua_future *skua__timed_init(skua_timed_future *self, skua_timed_line *line,
                              const struct skua__timed_kind *kind, void *value)
{
    self->future.ops = &kind->ops;
    self->line = line;
    self->value = value;
    self->waiter.state = SKUA__IDLE;
    self->leads = 0;
    skua_sleep_until_init(&self->timer, 0);
    return &self->future;
}

int skua__timed_wait(skua_timed_line *line, const struct skua__timed_kind *kind, void *value,
                     int64_t deadline)
{
    skua_timed_future wait;
    int rc;

    rc = skua__task_leaf();
    if (skua__unlikely(rc != 0))
        return rc;
    rc = skua__timed_try(line, kind, value);
    if (rc != -EAGAIN)
        return rc;
    return (int)skua_await_until(skua__timed_init(&wait, line, kind, value), deadline);
}
