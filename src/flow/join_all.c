/* join_all.c - all of several futures: until each is ready, or until the first has failed.
 *
 * Flow       skua_join_all, skua_try_join -> skua_await -> join_all_poll -> the futures' polls
 * Memory     a future that has answered is marked finished (skua__future_finished), which is all
 *            that must be remembered of it: there is no bit map, and no bound of the count. Only
 *            the first round cannot tell "answered here" from "was never good": it asks all.
 * Cost       a wake asks those that are not ready; the ready ones at the front are not looked at.
 */
#include "flow/flow_impl.h"

/* Asks one future: its result, or SKUA_PENDING. */
static skua_poll join_all_ask(skua_join_all_future *self, size_t i, skua_waker *waker)
{
    skua_future *part = self->futures[i];
    skua_poll answer;

    if (part == NULL || (self->begun && part->ops == &skua__future_finished))
        return 0;
    answer = skua__future_poll_raw(part, waker);
    if (self->results != NULL)
        self->results[i] = answer;
    return answer;
}

static void join_all_drop(skua_future *future)
{
    skua_join_all_future *self = skua__container(future, skua_join_all_future, future);

    skua__flow_drop(self->futures, self->count);
}

static skua_poll join_all_poll(skua_future *future, skua_waker *waker)
{
    skua_join_all_future *self = skua__container(future, skua_join_all_future, future);
    bool all = true;

    for (size_t i = self->ready; i < self->count; i++) {
        skua_poll answer = join_all_ask(self, i, waker);

        if (answer == SKUA_PENDING)
            all = false;
        else if (answer < 0 && self->fails_fast) {
            join_all_drop(future);
            return answer;
        }
        if (all)
            self->ready = i + 1;
    }
    self->begun = 1;
    return all ? 0 : SKUA_PENDING;
}

static const skua_future_ops join_all_ops = {
    .name = "join_all", .poll = join_all_poll, .drop = join_all_drop};
static const skua_future_ops join_try_ops = {
    .name = "try_join", .poll = join_all_poll, .drop = join_all_drop};

/* ---- for users ------------------------------------------------------------------------------- */

skua_future *skua_join_all_init(skua_join_all_future *join, skua_future *const *futures,
                                int64_t *results, size_t count)
{
    join->future.ops = &join_all_ops;
    join->futures = futures;
    join->results = results;
    join->count = count;
    join->ready = 0;
    join->fails_fast = 0;
    join->begun = 0;
    /* Not at the first poll: a task that is cancelled already never comes there. */
    for (size_t i = 0; results != NULL && i < count; i++)
        results[i] = futures[i] != NULL ? SKUA_PENDING : 0;
    return &join->future;
}

skua_future *skua_try_join_init(skua_join_all_future *join, skua_future *const *futures,
                                int64_t *results, size_t count)
{
    skua_join_all_init(join, futures, results, count);
    join->future.ops = &join_try_ops;
    join->fails_fast = 1;
    return &join->future;
}

int skua_join_all(skua_future *const *futures, int64_t *results, size_t count)
{
    skua_join_all_future join;

    return (int)skua_await(skua_join_all_init(&join, futures, results, count));
}

int64_t skua_try_join(skua_future *const *futures, int64_t *results, size_t count)
{
    skua_join_all_future join;

    return skua_await(skua_try_join_init(&join, futures, results, count));
}
