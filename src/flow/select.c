/* select.c - the first of several futures.
 *
 * Flow       skua_select -> skua_select_from -> skua_await -> select_poll -> the branches' polls
 * Poll       asks each branch, from a random one on, until one answers; then drops the others.
 *            Nothing is remembered between two polls: whoever was woken asks all again, as wakes
 *            may be spurious anyway. A wake costs O(branches), without a list or a lock.
 * Order      branches, then "none is ready", then the deadline: what is ready wins over both.
 * Finished   whatever the answer is, all branches are: also when the select was wrong in itself.
 */
#include <string.h>

#include "base/rand.h"
#include "flow/flow_impl.h"

/* Where to begin. A worker has random numbers, a test's from its seed; on a plain thread the clock
 * will do, so that there is no state of the thread's to be kept. */
static size_t select_first(const skua_select_future *self)
{
    struct skua__thread *thread;
    struct skua__rand rng;
    uint64_t random;

    if (self->biased || self->count == 1)
        return 0;
    thread = skua__thread_self();
    if (skua__likely(thread->core != NULL)) {
        random = skua__sched_random(thread);
    } else {
        skua__rand_seed(&rng, (uint64_t)skua__os_now());
        random = skua__rand_next(&rng);
    }
    return (size_t)(((random >> 32) * self->count) >> 32);
}

/* The index of a branch that is ready, SKUA_PENDING, or why there is nothing to wait for. */
static skua_poll select_ask(skua_select_future *self, skua_waker *waker)
{
    skua_poll verdict = SKUA_EUSAGE;
    size_t at = select_first(self);

    for (size_t left = self->count; left > 0; left--) {
        skua_future *branch = self->futures[at];

        if (branch != NULL) {
            skua_poll answer = skua__future_poll_raw(branch, waker);

            if (answer != SKUA_PENDING) {
                if (self->result != NULL)
                    *self->result = answer;
                return (skua_poll)at;
            }
            verdict = SKUA_PENDING;
        }
        at = at + 1 < self->count ? at + 1 : 0;
    }
    return self->try_ ? -EAGAIN : verdict;
}

static void select_drop(skua_future *future)
{
    skua_select_future *self = skua__container(future, skua_select_future, future);

    skua__sleep_drop(&self->timer.future); /* first: it would wake a fiber that parks below */
    skua__flow_drop(self->futures, self->count);
}

static skua_poll select_poll(skua_future *future, skua_waker *waker)
{
    skua_select_future *self = skua__container(future, skua_select_future, future);
    skua_poll answer = self->refused;

    if (skua__likely(answer == 0))
        answer = select_ask(self, waker);
    if (answer == SKUA_PENDING && skua__flow_late(&self->timer, waker))
        answer = -ETIMEDOUT;
    if (answer != SKUA_PENDING)
        select_drop(future);
    return answer;
}

static const skua_future_ops select_ops = {
    .name = "select", .poll = select_poll, .drop = select_drop};

/* 0, or why it is not to be asked at all. */
static int select_refusal(size_t count, const skua_select_options *options)
{
    if (count == 0 || count > SKUA_SELECT_MAX)
        return SKUA_EUSAGE;
    if (options != NULL &&
        (options->size != sizeof *options || options->biased > 1 || options->try_ > 1))
        return -EINVAL;
    return 0;
}

/* ---- for users ------------------------------------------------------------------------------- */

skua_future *skua_select_init(skua_select_future *select, skua_future *const *futures, size_t count,
                              const skua_select_options *options, int64_t *result)
{
    int64_t deadline = SKUA_FOREVER;

    select->future.ops = &select_ops;
    select->futures = futures;
    select->result = result;
    select->count = count;
    select->refused = select_refusal(count, options);
    select->biased = 0;
    select->try_ = 0;
    if (options != NULL && select->refused == 0) {
        select->biased = (uint8_t)options->biased;
        select->try_ = (uint8_t)options->try_;
        if (options->deadline != 0)
            deadline = options->deadline;
    }
    skua_sleep_until_init(&select->timer, deadline);
    return &select->future;
}

int skua_select_from(skua_future *const *futures, size_t count, const skua_select_options *options,
                     int64_t *result)
{
    skua_select_future select;

    return (int)skua_await(skua_select_init(&select, futures, count, options, result));
}

void skua_select_options_init(skua_select_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}
