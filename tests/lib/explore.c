/* explore.c - see explore.h. */
#include "explore.h"

#include "sync/sync_wait.h"

/* ---- orders and dice ------------------------------------------------------------------------- */

static int explore_once(void *arg)
{
    skua_fiber_fn fn = *(skua_fiber_fn *)arg;
    int before = test_failures();
    int rc = fn(NULL);

    return rc < 0 || test_failures() == before ? rc : -EIO;
}

void explore_orders(skua_fiber_fn fn)
{
    CHECK_EQ(skua_test_explore(EXPLORE_ORDERS, explore_once, &fn), 0);
}

unsigned explore_pick(unsigned n)
{
    return (unsigned)(skua_test_random() % n);
}

int64_t explore_soon(unsigned units)
{
    return skua_now() + (int64_t)explore_pick(units + 1) * EXPLORE_UNIT;
}

skua_future *explore_nap(skua_sleep_future *sleep)
{
    return skua_sleep_until_init(sleep, explore_soon(2));
}

int explore_wander(void)
{
    switch (explore_pick(4)) {
    case 0:
        return 0;
    case 1:
        return skua_yield();
    default:
        return skua_sleep_until(explore_soon(2));
    }
}

void explore_dawdle(void)
{
    (void)skua_shield_begin();
    (void)explore_wander();
    (void)skua_shield_end();
}

/* ---- tasks that may be cancelled ------------------------------------------------------------- */

void explore_open(struct explore_crew *crew)
{
    crew->count = 0;
    MUST(skua_scope_open(&crew->scope, SKUA_COLLECT) == 0);
}

void explore_add(struct explore_crew *crew, skua_fiber_fn fn, void *arg)
{
    MUST(crew->count < EXPLORE_CREW_MAX);
    MUST(skua_spawn(&crew->scope, fn, arg, .task = &crew->tasks[crew->count++]) == 0);
}

void explore_add_poll(struct explore_crew *crew, skua_poll_fn fn, const void *state, size_t size)
{
    MUST(crew->count < EXPLORE_CREW_MAX);
    MUST(skua_spawn_poll_at(SKUA__SITE("poll"), &crew->scope, fn, state, size,
                            SKUA_SPAWN_OPTIONS(.task = &crew->tasks[crew->count++])) == 0);
}

void explore_cancel_some(struct explore_crew *crew, unsigned first, unsigned most)
{
    for (unsigned left = explore_pick(most + 1); left > 0; left--) {
        (void)explore_wander();
        (void)skua_task_cancel(crew->tasks[first + explore_pick(crew->count - first)]);
    }
}

int explore_join(struct explore_crew *crew)
{
    int rc = skua_scope_join(&crew->scope);

    for (unsigned i = 0; i < crew->count; i++) {
        CHECK_EQ(skua_task_done(crew->tasks[i]), 1);
        skua_task_detach(crew->tasks[i]);
    }
    return rc;
}

/* ---- a line ---------------------------------------------------------------------------------- */

static bool wait_is_queued(const struct explore_wait *wait)
{
    return wait->inner.waiter.state == SKUA__QUEUED;
}

static void wait_link(struct explore_wait *wait)
{
    wait->prev = wait->line->last;
    wait->next = NULL;
    if (wait->prev != NULL)
        wait->prev->next = wait;
    else
        wait->line->first = wait;
    wait->line->last = wait;
    wait->linked = true;
}

static void wait_unlink(struct explore_wait *wait)
{
    if (!wait->linked)
        return;
    if (wait->prev != NULL)
        wait->prev->next = wait->next;
    else
        wait->line->first = wait->next;
    if (wait->next != NULL)
        wait->next->prev = wait->prev;
    else
        wait->line->last = wait->prev;
    wait->linked = false;
}

/* Nobody in front is still queued: whoever is has been granted, and had no turn yet. */
static void wait_check(const struct explore_wait *wait)
{
    const struct explore_wait *other = wait->linked ? wait->prev : wait->line->last;

    for (; other != NULL; other = other->prev)
        CHECK(!wait_is_queued(other));
}

static skua_poll wait_poll(skua_future *future, skua_waker *waker)
{
    struct explore_wait *wait = skua__container(future, struct explore_wait, future);
    skua_poll answer = skua__future_poll_raw(&wait->inner.future, waker);

    if (answer == SKUA_PENDING) {
        if (!wait->linked)
            wait_link(wait);
        return answer;
    }
    if (answer >= 0 && !wait->line->unordered)
        wait_check(wait);
    wait->ready = true;
    wait_unlink(wait);
    return answer;
}

static void wait_drop(skua_future *future)
{
    struct explore_wait *wait = skua__container(future, struct explore_wait, future);

    wait->passed_on = wait->linked && !wait_is_queued(wait);
    wait->line->passed_on += wait->passed_on;
    wait_unlink(wait);
    skua_future_drop(&wait->inner.future);
}

static const skua_future_ops wait_ops = {.name = "line", .poll = wait_poll, .drop = wait_drop};

skua_future *explore_wait_init(struct explore_wait *wait, struct explore_line *line)
{
    wait->future.ops = &wait_ops;
    wait->line = line;
    wait->linked = false;
    wait->ready = false;
    wait->passed_on = false;
    return &wait->future;
}

int explore_queued(const struct explore_line *line)
{
    int count = 0;

    for (const struct explore_wait *wait = line->first; wait != NULL; wait = wait->next)
        count += wait_is_queued(wait);
    return count;
}
