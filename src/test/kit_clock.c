/* kit_clock.c - when a test's clock moves: by itself, by hand, or never again.
 *
 * A worker parks when no task can run. A test's worker then looks at I/O without waiting for it;
 * when there is none, and no wake from outside, the clock moves to the next timer, or to where
 * skua_test_advance wants it, whichever comes first. So everything that one moment brought has run
 * before the next one begins. When there is no next one the worker does wait, in its driver and in
 * real time, for whatever other threads and the kernel may bring; when that is nothing, either, it
 * is a deadlock.
 *
 * Jobs       while somebody waits for one of blocking.h, or for the kernel to be done with a file,
 *            the clock stands, and the worker waits.
 * Children   while somebody waits for one (process.h) the same, but for the test's patience at
 *            most: it may be one that ends only when a timer has fired.
 * Forever    a timer at the wheel's horizon is a wait without end, and no moment to move to.
 */
#include <stdio.h>

#include "test/kit_impl.h"

/* How many tasks a deadlock names. */
#define KIT_NAMED_MAX 50

struct kit_advance {
    skua_future future;
    struct skua__kit *kit;
    skua_waker *waker;
    int64_t goal;
    bool reached;
};

/* ---- deadlocks ------------------------------------------------------------------------------- */

static void kit_tell_task(const skua_task_info *info, void *arg)
{
    int *left = arg;

    if ((*left)-- <= 0)
        return;
    fprintf(stderr, "skua: test:   '%s' (%s:%d) waits%s%s\n", info->site->name, info->site->file,
            info->site->line, info->waiting_for != NULL ? " for " : "",
            info->waiting_for != NULL ? info->waiting_for : "");
}

static void kit_tell_deadlock(struct skua__kit *kit, uint64_t timers)
{
    int left = KIT_NAMED_MAX;

    fprintf(stderr, "skua: test: deadlock: %s\n",
            kit->deadlocked ? "tasks that were cancelled for the one above still wait"
                            : "every task waits, and nothing will wake one");
    (void)skua_runtime_each_task(kit->runtime, kit_tell_task, &left);
    if (left < 0)
        fprintf(stderr, "skua: test:   and %d more\n", -left);
    if (kit->paused && timers != 0)
        fprintf(stderr, "skua: test: the clock is paused, and %llu timers are armed\n",
                (unsigned long long)timers);
}

/* Tasks that end when they are cancelled let the test end, too. The others are left. */
static void kit_deadlock(struct skua__kit *kit, struct skua__worker *worker)
{
    kit_tell_deadlock(kit, worker->wheel.armed);
    kit->stuck = kit->deadlocked;
    kit->deadlocked = true;
    kit->paused = false; /* who cleans up may sleep */
    skua__runtime_cancel_all(kit->runtime);
}

/* ---- parking --------------------------------------------------------------------------------- */

/* The clock reaches `advance`'s goal: its fiber goes on. */
static void kit_reach(struct skua__kit *kit, struct kit_advance *advance)
{
    skua_waker *waker = advance->waker;

    kit->now = advance->goal;
    kit->advance = NULL;
    advance->reached = true;
    advance->waker = NULL;
    skua_waker_wake(waker);
    skua_waker_unref(waker);
}

/* Moves the clock to the next moment at which something happens; false: there is none. */
static bool kit_step(struct skua__kit *kit, struct skua__worker *worker)
{
    struct kit_advance *advance = kit->advance;
    int64_t next = skua__wheel_next_exact(&worker->wheel);
    int64_t last = SKUA__WHEEL_HORIZON - 1; /* to which the clock may move */
    unsigned fired;

    if (advance != NULL)
        last = advance->goal;
    else if (kit->paused)
        last = kit->now;
    if (next > last) {
        if (advance != NULL)
            kit_reach(kit, advance);
        return advance != NULL;
    }
    kit->now = next > kit->now ? next : kit->now;
    fired = skua__wheel_advance_exact(&worker->wheel, kit->now);
    skua__stat(worker, timers_fired, fired);
    return true;
}

/* Waits for the outside, as long as the test has patience; events, or 0. */
static int kit_outside(struct skua__kit *kit, struct skua__worker *worker)
{
    struct skua__driver *driver = worker->thread.driver;
    int64_t begin = skua__os_now();
    int64_t left = kit->patience;
    int events = 0;

    while (events == 0 && left > 0 && !skua__queue_any(worker)) {
        events = driver->ops->park.turn(driver, left);
        if (left != SKUA_FOREVER)
            left = kit->patience - (skua__os_now() - begin);
    }
    return events;
}

/* Nothing here will wake a task. */
static int kit_wait(struct skua__kit *kit, struct skua__worker *worker)
{
    int events = kit_outside(kit, worker);

    if (events == 0 && !skua__queue_any(worker))
        kit_deadlock(kit, worker);
    return events;
}

static int kit_turn(struct skua__driver *driver, int64_t timeout_ns)
{
    struct skua__thread *self = skua__thread_self();
    struct skua__worker *worker = skua__worker_of(self);
    struct skua__kit *kit = skua__kit_of(self);
    struct skua__core *core = worker->sched->core;
    int events = driver->ops->park.turn(driver, 0);

    if (timeout_ns == 0 || events != 0 || skua__queue_any(worker))
        return events;
    if (driver->files != 0 || skua__pool_awaited(skua__load_acquire(&core->pool)))
        return driver->ops->park.turn(driver, INT64_MAX); /* its end wakes this worker */
    if (skua__load_relaxed(&core->awaited) != 0)          /* this thread's own, as its tasks are */
        events = kit_outside(kit, worker);
    if (events != 0 || skua__queue_any(worker))
        return events;
    return kit_step(kit, worker) ? 0 : kit_wait(kit, worker);
}

static void kit_unpark(struct skua__driver *driver)
{
    driver->ops->park.unpark(driver);
}

const struct skua__park_ops skua__kit_park = {
    .name = "test", .turn = kit_turn, .unpark = kit_unpark};

/* ---- by hand --------------------------------------------------------------------------------- */

static void kit_advance_drop(skua_future *future)
{
    struct kit_advance *self = skua__container(future, struct kit_advance, future);

    if (self->kit->advance == self)
        self->kit->advance = NULL;
    skua_waker_unref(self->waker);
    self->waker = NULL;
}

static skua_poll kit_advance_poll(skua_future *future, skua_waker *waker)
{
    struct kit_advance *self = skua__container(future, struct kit_advance, future);

    if (self->reached)
        return 0;
    if (self->kit->advance != NULL && self->kit->advance != self)
        return -EBUSY;
    self->kit->advance = self;
    skua_waker_ref(waker);
    skua_waker_unref(self->waker);
    self->waker = waker;
    return SKUA_PENDING;
}

static const skua_future_ops kit_advance_ops = {
    .name = "test.advance", .poll = kit_advance_poll, .drop = kit_advance_drop};

int skua_test_advance(int64_t ns)
{
    struct skua__thread *self = skua__thread_self();
    struct kit_advance advance = {.future.ops = &kit_advance_ops, .kit = skua__kit_of(self)};

    if (advance.kit == NULL || skua__fiber_current(self) == NULL)
        return SKUA_EUSAGE;
    if (ns < 0)
        return -EINVAL;
    /* Beyond the horizon there is no moment. */
    advance.goal = SKUA__WHEEL_HORIZON - 1;
    if (ns < advance.goal - advance.kit->now)
        advance.goal = advance.kit->now + ns;
    return (int)skua_await(&advance.future);
}

static int kit_set_paused(bool paused)
{
    struct skua__kit *kit = skua__kit_of(skua__thread_self());

    if (kit == NULL)
        return SKUA_EUSAGE;
    kit->paused = paused;
    return 0;
}

int skua_test_pause(void)
{
    return kit_set_paused(true);
}

int skua_test_resume(void)
{
    return kit_set_paused(false);
}

uint64_t skua_test_random(void)
{
    struct skua__thread *self = skua__thread_self();

    return skua__kit_of(self) == NULL ? 0 : skua__sched_random(self);
}

#undef KIT_NAMED_MAX
