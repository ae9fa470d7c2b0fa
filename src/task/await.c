/* await.c - waiting: on a fiber, on a plain thread, and for a poll task; and the sleep future.
 *
 * One code path a kind of waiter, one future for all of them:
 *
 *   fiber          poll; pending: park, poll again … The budget, the cancellation and the deadline
 *                  of the task are looked at here, once for every kind of future.
 *   plain thread   poll with a waker that is a futex word; sleep on it, or until its next timer.
 *   poll task      skua_future_poll: the same looks, then SKUA_PENDING goes up to the worker.
 *
 * On fibers and threads an answer wins over a cancellation that came at the same time: what was
 * received is not lost, the next wait tells. A poll task is told first, before the future is asked:
 * the answer goes where a dropped wait's answer goes, to the next in line.
 */
#include <skua/scheduler.h>

#include "task/task_impl.h"

/* ---- futures --------------------------------------------------------------------------------- */

/* What a future is after its answer or its drop: there is nothing more to ask or to let go of. */
static skua_poll await_finished_poll(skua_future *future, skua_waker *waker)
{
    (void)future;
    (void)waker;
    return SKUA_EUSAGE;
}

static void await_finished_drop(skua_future *future)
{
    (void)future;
}

const skua_future_ops skua__future_finished = {
    .name = "finished", .poll = await_finished_poll, .drop = await_finished_drop};

void skua_future_drop(skua_future *future)
{
    const skua_future_ops *ops;

    if (future == NULL)
        return;
    ops = future->ops;
    if (ops->drop != NULL)
        ops->drop(future);
    future->ops = &skua__future_finished;
}

/* A task that was cancelled because the time was up has run out of time. */
static SKUA__COLD int await_cancelled_verdict(struct skua_task *task)
{
    return skua__context_deadline(task->context) <= skua_now() ? -ETIMEDOUT : -ECANCELED;
}

/* 0, or why the task's waits end. Only a task under a deadline has the clock read for it. */
SKUA__INLINE int await_verdict(struct skua_task *task)
{
    /* Relaxed: whoever cancels wakes afterwards, and the wake synchronises. */
    if (skua__unlikely(skua__load_relaxed(&task->state) & SKUA__CANCELLED))
        return await_cancelled_verdict(task);
    if (skua__unlikely(task->context != NULL) && task->context->deadline != INT64_MAX &&
        task->context->deadline <= skua_now())
        return -ETIMEDOUT;
    return 0;
}

SKUA__INLINE int await_fiber_verdict(struct skua__fiber *fiber)
{
    return skua__unlikely(fiber->shields != 0) ? 0 : await_verdict(&fiber->task);
}

int skua__fiber_verdict(struct skua__fiber *fiber)
{
    return await_fiber_verdict(fiber);
}

SKUA__NOINLINE int skua__fiber_leaf(struct skua__thread *self, struct skua__fiber *fiber)
{
    int verdict = skua__fiber_verdict(fiber);

    if (verdict != 0)
        return verdict;
    if (self->budget != 0)
        self->budget--;
    else
        skua__fiber_yield(self, fiber);
    return 0;
}

skua_poll skua_future_poll(skua_future *future, skua_waker *waker)
{
    struct skua__thread *self;
    int verdict;

    if (skua__unlikely(!skua__waker_is_task(waker)))
        return skua__future_poll_raw(future, waker);
    self = skua__thread_self();
    verdict = await_verdict(skua__waker_task(waker));
    if (skua__unlikely(verdict != 0)) {
        skua_future_drop(future);
        return verdict;
    }
    if (skua__unlikely(self->budget == 0)) {
        skua__bump(&self->budget_yields);
        skua_waker_wake(waker);
        return SKUA_PENDING;
    }
    self->budget--;
    return skua__future_poll_raw(future, waker);
}

/* ---- on a fiber ------------------------------------------------------------------------------ */

/* Parks; but a future that is woken each time it is polled must not keep the others waiting. */
SKUA__INLINE void await_pause(struct skua__fiber *fiber)
{
    struct skua__thread *self = skua__thread_self();

    if (skua__unlikely(self->budget == 0)) {
        skua__bump(&self->budget_yields);
        skua__fiber_yield(self, fiber);
        return;
    }
    self->budget--;
    skua__fiber_park(self, fiber);
}

/* Parks and polls until there is an answer, or the task is cancelled. */
SKUA__INLINE int64_t await_without_end(struct skua__fiber *fiber, skua_future *future)
{
    struct skua_task *task = &fiber->task;
    int64_t answer;

    for (;;) {
        await_pause(fiber);
        answer = skua__future_poll_raw(future, skua__task_waker(task));
        if (skua__likely(answer != SKUA_PENDING))
            return answer;
        /* Relaxed: the cancel's wake brought us here. */
        if (!fiber->shields && (skua__load_relaxed(&task->state) & SKUA__CANCELLED)) {
            skua_future_drop(future);
            return await_cancelled_verdict(task);
        }
    }
}

/* The same, with an end of the task's patience. */
static SKUA__NOINLINE int64_t await_with_end(struct skua__fiber *fiber, skua_future *future,
                                             int64_t deadline)
{
    struct skua_task *task = &fiber->task;
    skua_waker *waker = skua__task_waker(task);
    skua_sleep_future timer;
    int64_t answer;

    skua_sleep_until_init(&timer, deadline);
    if (deadline <= skua_now() || skua__sleep_poll(&timer.future, waker) == 0) {
        skua_future_drop(future);
        return -ETIMEDOUT;
    }
    for (;;) {
        await_pause(fiber);
        answer = skua__future_poll_raw(future, waker);
        if (answer != SKUA_PENDING)
            break;
        if (timer.when == SKUA__WHEEL_FIRED)
            answer = -ETIMEDOUT;
        else if (!fiber->shields && (skua__load_relaxed(&task->state) & SKUA__CANCELLED))
            answer = await_cancelled_verdict(task); /* relaxed: the cancel's wake brought us here */
        else
            continue;
        skua_future_drop(future);
        break;
    }
    skua__sleep_drop(&timer.future);
    return answer;
}

/* At most until `deadline`, the call's, and until the task's own. */
SKUA__INLINE int64_t await_parked(struct skua__fiber *fiber, skua_future *future, int64_t deadline)
{
    const struct skua__context *context = fiber->task.context;

    if (skua__unlikely(context != NULL) && !fiber->shields && context->deadline < deadline)
        deadline = context->deadline;
    if (skua__likely(deadline == INT64_MAX))
        return await_without_end(fiber, future);
    return await_with_end(fiber, future, deadline);
}

static int64_t await_fiber(struct skua__thread *self, struct skua__fiber *fiber,
                           skua_future *future, int64_t deadline)
{
    int64_t answer = 0;

    if (skua__likely(fiber->shields == 0))
        answer = await_verdict(&fiber->task);
    if (skua__unlikely(answer == 0 && self->budget == 0)) {
        skua__bump(&self->budget_yields);
        skua__fiber_yield(self, fiber);
        self = skua__thread_self();
        answer = skua__fiber_verdict(fiber); /* a cancel's one wake may have come meanwhile */
    }
    if (skua__unlikely(answer != 0)) {
        skua_future_drop(future);
        return answer;
    }
    self->budget--;
    /* Named before the poll: a future that parks on its own account is seen, too. Relaxed: only
     * listings read it. */
    skua__store_relaxed(&fiber->waiting_for, future->ops->name);
    answer = skua__future_poll_raw(future, skua__task_waker(&fiber->task));
    if (answer == SKUA_PENDING)
        answer = await_parked(fiber, future, deadline);
    skua__store_relaxed(&fiber->waiting_for, NULL);
    return answer;
}

int64_t skua__await_asked(struct skua__fiber *fiber, skua_future *future, int64_t deadline)
{
    int64_t answer = await_fiber_verdict(fiber); /* a cancel's one wake may have come before it */

    if (skua__unlikely(answer != 0)) {
        skua_future_drop(future);
        return answer;
    }
    skua__store_relaxed(&fiber->waiting_for, future->ops->name); /* relaxed, as above */
    answer = await_parked(fiber, future, deadline);
    skua__store_relaxed(&fiber->waiting_for, NULL);
    return answer;
}

/* ---- on a plain thread ----------------------------------------------------------------------- */

static int64_t await_thread(struct skua__thread *self, skua_future *future, int64_t deadline)
{
    skua_waker *waker = skua_waker_custom(&self->waker);

    for (;;) {
        /* Acquire pairs with thread_wake. Read before the poll: a wake in between ends the wait
         * at once. */
        uint32_t wakes = skua__load_acquire(&self->wakes);
        int64_t answer = skua__future_poll_raw(future, waker);
        int64_t until;

        if (answer != SKUA_PENDING)
            return answer;
        until = skua__wheel_next(self->wheel);
        until = until < deadline ? until : deadline;
        (void)skua__os_futex_wait(&self->wakes, wakes, until);
        if (until == INT64_MAX)
            continue;
        until = skua__os_now();
        skua__wheel_advance(self->wheel, until);
        if (until < deadline)
            continue;
        answer = skua__future_poll_raw(future, waker);
        if (answer != SKUA_PENDING)
            return answer;
        skua_future_drop(future);
        return -ETIMEDOUT;
    }
}

/* ---- for users ------------------------------------------------------------------------------- */

int64_t skua_await_until(skua_future *future, int64_t deadline)
{
    struct skua__thread *self = skua__thread_self();
    struct skua_task *task = self->current;

    if (skua__likely(task != NULL && (task->flags & SKUA__FIBER)))
        return await_fiber(self, skua__fiber_of(task), future, deadline);
    if (task == NULL && self->core == NULL)
        return await_thread(self, future, deadline);
    skua_future_drop(future); /* inside a poll task, or in a worker's hook */
    return SKUA_EUSAGE;
}

int64_t skua_await(skua_future *future)
{
    return skua_await_until(future, SKUA_FOREVER);
}

int skua_yield(void)
{
    struct skua__thread *self = skua__thread_self();
    struct skua_task *task = self->current;

    if (skua__unlikely(task == NULL || !(task->flags & SKUA__FIBER))) {
        if (task != NULL || self->core != NULL)
            return SKUA_EUSAGE;
        skua__os_thread_yield();
        return 0;
    }
    skua__fiber_yield(self, skua__fiber_of(task));
    if (skua__unlikely(skua__fiber_of(task)->shields != 0))
        return 0;
    return await_verdict(task);
}

int skua_yield_if_needed(void)
{
    struct skua__thread *self = skua__thread_self();

    if (self->current != NULL && skua__fiber_current(self) == NULL)
        return SKUA_EUSAGE;
    if (self->current != NULL && self->due != INT64_MAX && skua__core_now(self->core) >= self->due)
        return skua_yield();
    return skua__task_leaf();
}

int skua_cancelled(void)
{
    struct skua_task *task = skua__thread_self()->current;

    return task == NULL ? 0 : await_verdict(task);
}

int skua_shield_begin(void)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());

    if (fiber == NULL || fiber->shields == UINT16_MAX)
        return SKUA_EUSAGE;
    fiber->shields++;
    return 0;
}

int skua_shield_end(void)
{
    struct skua__fiber *fiber = skua__fiber_current(skua__thread_self());

    if (fiber == NULL || fiber->shields == 0)
        return SKUA_EUSAGE;
    fiber->shields--;
    return 0;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

/* The wheel belongs to the thread; a task with a timer in it is bound to the worker, so that poll
 * and drop come from the same thread. `when` is the deadline, then FIRED, then 0: seen. */
static const skua_future_ops sleep_ops = {
    .name = "sleep", .poll = skua__sleep_poll, .drop = skua__sleep_drop};

static void sleep_unbind(struct skua__thread *self, skua_sleep_future *sleep)
{
    sleep->when = 0;
    if (self->current != NULL)
        skua__task_unbind(self->current);
}

skua_poll skua__sleep_poll(skua_future *future, skua_waker *waker)
{
    skua_sleep_future *sleep = skua__container(future, skua_sleep_future, future);
    struct skua__thread *self = skua__thread_self();

    if (sleep->waker != NULL) {
        if (sleep->waker != waker) {
            skua_waker_unref(sleep->waker);
            sleep->waker = skua_waker_ref(waker);
        }
        return SKUA_PENDING;
    }
    if (sleep->when == SKUA__WHEEL_FIRED) {
        sleep_unbind(self, sleep);
        return 0;
    }
    /* No clock is read: what has passed since the wheel last turned fires at the next turn. */
    if ((int64_t)sleep->when <= skua__wheel_now(self->wheel))
        return 0;
    skua__wheel_arm(self->wheel, sleep, (int64_t)sleep->when, skua_waker_ref(waker));
    if (self->current != NULL)
        skua__task_bind(self->current);
    return SKUA_PENDING;
}

void skua__sleep_drop(skua_future *future)
{
    skua_sleep_future *sleep = skua__container(future, skua_sleep_future, future);
    struct skua__thread *self;
    skua_waker *waker = sleep->waker;

    if (skua__likely(waker == NULL && sleep->when != SKUA__WHEEL_FIRED))
        return; /* not armed */
    self = skua__thread_self();
    if (waker != NULL) {
        skua__wheel_cancel(self->wheel, sleep);
        skua_waker_unref(waker);
    }
    sleep_unbind(self, sleep);
}

skua_future *skua_sleep_until_init(skua_sleep_future *sleep, int64_t deadline)
{
    sleep->future.ops = &sleep_ops;
    sleep->waker = NULL;
    deadline = deadline < SKUA__WHEEL_HORIZON ? deadline : SKUA__WHEEL_HORIZON;
    sleep->when = deadline > 0 ? (uint64_t)deadline : 0;
    return &sleep->future;
}

/* An armed timer stays armed, for the same waker, and so its task stays bound as often as before.
 * One that has fired has woken its task already, which asks again and finds the new moment. */
void skua_sleep_reset(skua_sleep_future *sleep, int64_t deadline)
{
    struct skua__thread *self = skua__thread_self();
    skua_waker *waker = sleep->waker;

    if (waker != NULL) {
        skua__wheel_cancel(self->wheel, sleep);
        skua_sleep_until_init(sleep, deadline);
        skua__wheel_arm(self->wheel, sleep, (int64_t)sleep->when, waker);
        return;
    }
    if (sleep->when == SKUA__WHEEL_FIRED)
        sleep_unbind(self, sleep);
    skua_sleep_until_init(sleep, deadline);
}

int64_t skua_now(void)
{
    const struct skua__thread *self = skua__thread_peek();

    return skua__core_now(self != NULL ? self->core : NULL);
}

skua_future *skua_sleep_init(skua_sleep_future *sleep, int64_t duration)
{
    if (duration <= 0)
        return skua_sleep_until_init(sleep, 0);
    return skua_sleep_until_init(sleep, skua__time_after(skua_now(), duration));
}

int skua_sleep(int64_t duration)
{
    skua_sleep_future sleep;

    return (int)skua_await(skua_sleep_init(&sleep, duration));
}

int skua_sleep_until(int64_t deadline)
{
    skua_sleep_future sleep;

    return (int)skua_await(skua_sleep_until_init(&sleep, deadline));
}

int64_t skua_thread_timers(void)
{
    struct skua__thread *self = skua__thread_self();

    if (self->core != NULL)
        return SKUA_EUSAGE;
    skua__wheel_advance(self->wheel, skua__os_now());
    return skua__wheel_next(self->wheel);
}

/* ---- wakers ---------------------------------------------------------------------------------- */

void skua_waker_wake(skua_waker *waker)
{
    if (skua__likely(skua__waker_is_task(waker)))
        skua__task_wake(skua__waker_task(waker));
    else
        skua__waker_custom_of(waker)->wake(skua__waker_custom_of(waker));
}

skua_waker *skua_waker_ref(skua_waker *waker)
{
    if (skua__unlikely(!skua__waker_is_task(waker)))
        skua__waker_custom_of(waker)->ref(skua__waker_custom_of(waker));
    return waker;
}

void skua_waker_unref(skua_waker *waker)
{
    if (skua__unlikely(!skua__waker_is_task(waker))) /* NULL counts as a task's */
        skua__waker_custom_of(waker)->unref(skua__waker_custom_of(waker));
}

skua_waker *skua_waker_custom(skua_custom_waker *custom)
{
    return (skua_waker *)((uintptr_t)custom | 1);
}
