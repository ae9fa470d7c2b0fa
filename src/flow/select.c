/* select.c - several futures at once: the first, all, or none in time.
 *
 * The futures share their task's waker: whichever becomes ready wakes the task, and all that are
 * open are asked again. So a select costs a poll of each, once when it begins and once a wake.
 * Where a fair select begins to ask is drawn anew each time, by a worker from its own dice: in a
 * test runtime the test's seed decides.
 */
#include <skua/flow.h>
#include <skua/time.h>

#include "base/rand.h"
#include "task/task_impl.h"

/* ---- select ---------------------------------------------------------------------------------- */

static uint32_t select_start(uint32_t count)
{
    static _Thread_local uint64_t turn; /* a plain thread's */
    struct skua__thread *self = skua__thread_self();

    if (skua__likely(self->core != NULL))
        return (uint32_t)(skua__sched_random(self) >> 33) % count;
    turn = turn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((turn >> 33) % count);
}

static void flow_drop_others(skua_future **futures, uint32_t count, uint32_t winner)
{
    for (uint32_t i = 0; i < count; i++)
        if (i != winner)
            skua_future_drop(futures[i]);
}

static skua_poll select_poll(skua_future *future, skua_waker *waker)
{
    skua_select_future *self = skua__container(future, skua_select_future, future);
    uint32_t start = self->biased ? 0 : select_start(self->count);
    bool any = false;

    for (uint32_t i = 0; i < self->count; i++) {
        uint32_t index = (start + i) % self->count;
        skua_poll answer;

        if (self->futures[index] == NULL)
            continue;
        any = true;
        answer = skua__future_poll_raw(self->futures[index], waker);
        if (answer == SKUA_PENDING)
            continue;
        if (self->result != NULL)
            *self->result = answer;
        flow_drop_others(self->futures, self->count, index);
        return index;
    }
    return any ? SKUA_PENDING : SKUA_EUSAGE;
}

static void select_drop(skua_future *future)
{
    skua_select_future *self = skua__container(future, skua_select_future, future);

    flow_drop_others(self->futures, self->count, UINT32_MAX);
}

static const skua_future_ops select_ops = {
    .name = "select", .poll = select_poll, .drop = select_drop};

skua_future *skua_select_init(skua_select_future *select, skua_future **futures, size_t count,
                              int64_t *result, int biased)
{
    select->future.ops = &select_ops;
    select->futures = futures;
    select->result = result;
    select->count = (uint32_t)count;
    select->biased = biased != 0;
    return &select->future;
}

static int select_wait(skua_future **futures, size_t count, int64_t *result, int biased)
{
    skua_select_future select;

    if (count == 0 || count > SKUA_FLOW_MAX)
        return -EINVAL;
    return (int)skua_await(skua_select_init(&select, futures, count, result, biased));
}

int skua_select_from(skua_future **futures, size_t count, int64_t *result)
{
    return select_wait(futures, count, result, 0);
}

int skua_select_biased_from(skua_future **futures, size_t count, int64_t *result)
{
    return select_wait(futures, count, result, 1);
}

/* ---- join ------------------------------------------------------------------------------------ */

static skua_poll join_all_poll(skua_future *future, skua_waker *waker)
{
    skua_join_all_future *self = skua__container(future, skua_join_all_future, future);

    for (uint32_t i = 0; i < self->count; i++) {
        skua_poll answer;

        if (!(self->open >> i & 1))
            continue;
        answer = skua__future_poll_raw(self->futures[i], waker);
        if (answer == SKUA_PENDING)
            continue;
        self->open &= ~(UINT64_C(1) << i);
        if (self->results != NULL)
            self->results[i] = answer;
        if (self->fails_fast && answer < 0) {
            flow_drop_others(self->futures, self->count, i); /* finished ones: nothing to do */
            return answer;
        }
    }
    return self->open != 0 ? SKUA_PENDING : 0;
}

static void join_all_drop(skua_future *future)
{
    skua_join_all_future *self = skua__container(future, skua_join_all_future, future);

    flow_drop_others(self->futures, self->count, UINT32_MAX);
}

static const skua_future_ops join_all_ops = {
    .name = "join_all", .poll = join_all_poll, .drop = join_all_drop};

skua_future *skua_join_all_init(skua_join_all_future *join, skua_future **futures, int64_t *results,
                                size_t count, int fails_fast)
{
    join->future.ops = &join_all_ops;
    join->futures = futures;
    join->results = results;
    join->count = (uint32_t)count;
    join->fails_fast = fails_fast != 0;
    join->open = 0;
    for (uint32_t i = 0; i < join->count; i++)
        if (futures[i] != NULL)
            join->open |= UINT64_C(1) << i;
    return &join->future;
}

static int join_all_wait(skua_future **futures, int64_t *results, size_t count, int fails_fast)
{
    skua_join_all_future join;

    if (count > SKUA_FLOW_MAX)
        return -EINVAL;
    return (int)skua_await(skua_join_all_init(&join, futures, results, count, fails_fast));
}

int skua_join_all(skua_future **futures, int64_t *results, size_t count)
{
    return join_all_wait(futures, results, count, 0);
}

int skua_try_join(skua_future **futures, int64_t *results, size_t count)
{
    return join_all_wait(futures, results, count, 1);
}

/* ---- timeout --------------------------------------------------------------------------------- */

int64_t skua_timeout(skua_future *future, int64_t duration)
{
    int64_t now = skua_now();
    int64_t end = duration < INT64_MAX - now ? now + duration : INT64_MAX;

    /* skua_await_until asks the future before it looks at the time. */
    return skua_await_until(future, duration > 0 ? end : now);
}
