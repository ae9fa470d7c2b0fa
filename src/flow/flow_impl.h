/* flow_impl.h - what select, join and timeout share: futures that are made of futures.
 *
 * Each is polled by whoever awaits it, who has looked at budget, cancellation and deadline by then,
 * so that the parts are asked with skua__future_poll_raw. All parts get the same waker. When one
 * of them has an answer for the whole, the whole lets go of the rest inside its poll, before it
 * answers: the caller's array is then of no use to anybody. That may park a fiber, as any drop.
 */
#ifndef SKUA_FLOW_FLOW_IMPL_H
#define SKUA_FLOW_FLOW_IMPL_H

#include <skua/flow.h>

#include "task/task_impl.h"

/* Lets go of all parts that are neither finished nor NULL, in order. */
SKUA__INLINE void skua__flow_drop(skua_future *const *futures, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (futures[i] != NULL && futures[i]->ops != &skua__future_finished)
            skua_future_drop(futures[i]);
}

/* Arms a whole's own timer, if it is not yet, and says whether the time is up. A deadline that
 * never comes keeps no timer: it neither binds the task nor is it something to wait for. */
SKUA__INLINE bool skua__flow_late(skua_sleep_future *timer, skua_waker *waker)
{
    if (timer->when == (uint64_t)SKUA__WHEEL_HORIZON)
        return false;
    return skua__sleep_poll(&timer->future, waker) != SKUA_PENDING;
}

#endif
