/* test_limiter.c - so many inside, so many in line, the others shed.
 *
 * Specifies limit.h, limiter: both bounds, max_wait, the standing line, what a dropped wait does,
 * the limit at run time, closing, the counts.
 */
#include "../lib/line.h"
#include "../lib/part.h"

#define LIMITER(limiter, ...)                                                                      \
    MUST(skua_limiter_init((limiter), SKUA_LIMITER_OPTIONS(__VA_ARGS__)) == 0)

static skua_limiter_stats stats(const skua_limiter *limiter)
{
    skua_limiter_stats all = {.size = sizeof all};

    CHECK_EQ(skua_limiter_snapshot(limiter, &all), 0);
    return all;
}

#define CHECK_STATS(limiter, is_running, is_waiting, was_admitted, was_shed)                       \
    do {                                                                                           \
        skua_limiter_stats all_ = stats(limiter);                                                  \
        CHECK_EQ(all_.running, is_running);                                                        \
        CHECK_EQ(all_.waiting, is_waiting);                                                        \
        CHECK_EQ(all_.admitted, was_admitted);                                                     \
        CHECK_EQ(all_.shed, was_shed);                                                             \
    } while (0)

/* ---- one place as an object to line up for --------------------------------------------------- */

static int wait_one(void *object, int64_t deadline)
{
    return skua_limiter_enter_until(object, deadline);
}

static int length(void *object)
{
    return TEST_LINE((skua_limiter *)object);
}

static void pass_one(void *object)
{
    CHECK_EQ(skua_limiter_leave(object), 0);
}

static const struct test_line_ops one = {wait_one, NULL, length, pass_one};

/* ---- options, counting ----------------------------------------------------------------------- */

static int try_options(skua_limiter_options options)
{
    skua_limiter limiter;

    options.size = sizeof options;
    return skua_limiter_init(&limiter, &options);
}

TEST(limiter_options)
{
    skua_limiter limiter;
    skua_limiter_options options;
    skua_limiter_stats all = {.size = sizeof all - 1};

    skua_limiter_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    CHECK_EQ(skua_limiter_init(&limiter, &options), -EINVAL); /* nobody would run */
    options.running = 2;
    CHECK_EQ(skua_limiter_init(&limiter, &options), 0);
    CHECK_EQ(skua_limiter_snapshot(&limiter, &all), -EINVAL);
    CHECK_EQ(stats(&limiter).limit, 2);
    options.size++;
    CHECK_EQ(skua_limiter_init(&limiter, &options), -EINVAL);
    CHECK_EQ(skua_limiter_init(&limiter, NULL), -EINVAL);
#define OPTIONS(...) try_options((skua_limiter_options){__VA_ARGS__})
    CHECK_EQ(OPTIONS(.running = SKUA_SEMAPHORE_MAX, .waiting = SKUA_UNLIMITED), 0);
    CHECK_EQ(OPTIONS(.running = SKUA_SEMAPHORE_MAX + 1), -EINVAL);
    CHECK_EQ(OPTIONS(.running = 1, .max_wait = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.running = 1, .target = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.running = 1, .interval = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.running = 1, .target = SKUA_FOREVER, .interval = SKUA_FOREVER), 0);
#undef OPTIONS
}

TEST_WAITING(limiter_counts)
{
    skua_limiter limiter;

    LIMITER(&limiter, .running = 2);
    CHECK_EQ(skua_limiter_leave(&limiter), SKUA_EUSAGE);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    CHECK_EQ(skua_limiter_enter_until(&limiter, 0), 0);
    CHECK_EQ(skua_limiter_enter(&limiter), SKUA_ELIMIT); /* nobody waits, if that is not set */
    CHECK_EQ(skua_await(skua_limiter_entering(&limiter)), SKUA_ELIMIT);
    CHECK_EQ(skua_limiter_try_enter(&limiter), -EAGAIN); /* that one is not shed */
    CHECK_STATS(&limiter, 2, 0, 2, 2);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(skua_await(skua_limiter_entering(&limiter)), 0);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(skua_limiter_leave(&limiter), SKUA_EUSAGE);
    CHECK_EQ(skua_limiter_try_enter(&limiter), 0);
    CHECK_STATS(&limiter, 1, 0, 4, 2);
}

TEST_WAITING(limiter_waits_no_longer)
{
    skua_limiter limiter;
    int64_t begin = skua_now();

    LIMITER(&limiter, .running = 1, .waiting = 1, .max_wait = MS(5));
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    CHECK_EQ(skua_limiter_enter(&limiter), SKUA_ELIMIT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_STATS(&limiter, 1, 0, 1, 1);
}

TEST_FIBER_ORDERS(limiter_waits_as_long_as_it_is_set)
{
    skua_limiter limiter;
    int64_t begin = skua_now();

    LIMITER(&limiter, .running = 1, .waiting = 1, .max_wait = MS(5));
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    CHECK_EQ(skua_limiter_enter(&limiter), SKUA_ELIMIT);
    CHECK_EQ(skua_now() - begin, MS(5));
    CHECK_STATS(&limiter, 1, 0, 1, 1); /* the caller's own time is not the limiter's */
    CHECK_EQ(skua_limiter_enter_until(&limiter, begin + MS(10) - 1), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, MS(10) - 1);
    CHECK_STATS(&limiter, 1, 0, 1, 1);
    return 0;
}

/* ---- a minute of traffic --------------------------------------------------------------------- */

enum { SERVICE = 10, PLACES = 3, ROOM = 5, ARRIVALS = TEST_TSAN ? 6000 : 60000 };

struct service {
    skua_limiter limiter;
    int64_t worst;
    int done;
    int shed;
    int most;
    int inside;
};

static int arrives(void *arg)
{
    struct service *self = arg;
    int64_t begin = skua_now();
    int rc = skua_limiter_enter(&self->limiter);

    if (rc != 0) {
        CHECK_EQ(rc, SKUA_ELIMIT);
        CHECK_EQ(skua_now(), begin); /* at once */
        self->shed++;
        return 0;
    }
    if (skua_now() - begin > self->worst)
        self->worst = skua_now() - begin;
    self->inside++;
    self->most = self->inside > self->most ? self->inside : self->most;
    CHECK_EQ(skua_sleep(MS(SERVICE)), 0);
    self->inside--;
    self->done++;
    return skua_limiter_leave(&self->limiter);
}

/* One a millisecond comes, and three in ten milliseconds are served; so soon there is always
 * somebody in line, and each place is taken again in the moment at which it is free: one at 10, 20,
 * 30 … ms, one at 11, 21 …, one at 12, 22 …. */
static int overload(void *arg)
{
    struct service self = {.done = 0};
    skua_scope scope;

    (void)arg;
    LIMITER(&self.limiter, .running = PLACES, .waiting = ROOM);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < ARRIVALS; i++) {
        MUST(skua_spawn(&scope, arrives, &self) == 0);
        CHECK_EQ(skua_sleep(MS(1)), 0);
    }
    CHECK_EQ(skua_sleep(MS(1) / 2), 0); /* past the last moment at which one was free */
    CHECK_EQ(stats(&self.limiter).admitted, 3 + 3 * (ARRIVALS / SERVICE) - 2);
    CHECK_EQ(stats(&self.limiter).waiting, ROOM - 1);
    CHECK_EQ(stats(&self.limiter).running, PLACES);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(self.most, PLACES);
    CHECK_EQ(self.done + self.shed, ARRIVALS);
    CHECK_EQ(stats(&self.limiter).shed, self.shed);
    CHECK_EQ(stats(&self.limiter).admitted, self.done);
    CHECK_EQ(self.done, 3 + 3 * (ARRIVALS / SERVICE) - 2 + ROOM - 1);
    CHECK(self.worst <= MS(2 * SERVICE));
    return 0;
}

TEST(limiter_a_minute_of_traffic)
{
    CHECK_EQ(skua_test_run(overload, NULL, NULL), 0);
}

/* ---- in line --------------------------------------------------------------------------------- */

struct wait {
    skua_limiter *limiter;
    int64_t begin;
    int64_t deadline;
    int64_t waited;
    int64_t stays;
};

static int waits_and_stays(void *arg)
{
    struct wait *self = arg;
    int rc = skua_limiter_enter_until(self->limiter, self->deadline);

    self->waited = skua_now() - self->begin;
    if (rc == 0) {
        skua_shield_begin();
        CHECK_EQ(skua_sleep(self->stays), 0);
        skua_shield_end();
        CHECK_EQ(skua_limiter_leave(self->limiter), 0);
    }
    return rc;
}

static void spawn_wait(skua_limiter *limiter, struct wait *wait, int64_t stays, skua_task **task)
{
    size_t waiting = stats(limiter).waiting;

    *wait = (struct wait){limiter, skua_now(), SKUA_FOREVER, 0, stays};
    MUST(skua_spawn(NULL, waits_and_stays, wait, .task = task) == 0);
    while (stats(limiter).waiting == waiting)
        CHECK_EQ(skua_yield(), 0);
}

static int join(skua_task *task)
{
    int result = -1;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

TEST_FIBER_ORDERS(limiter_first_in_first_out)
{
    skua_limiter limiter;
    struct wait waits[4];
    skua_task *tasks[4];

    LIMITER(&limiter, .running = 1, .waiting = 4);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    for (int i = 0; i < 4; i++)
        spawn_wait(&limiter, &waits[i], SKUA_SECOND, &tasks[i]);
    CHECK_EQ(skua_limiter_enter(&limiter), SKUA_ELIMIT);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(skua_limiter_try_enter(&limiter), -EAGAIN);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(join(tasks[i]), 0);
        CHECK_EQ(waits[i].waited, i * SKUA_SECOND);
    }
    CHECK_STATS(&limiter, 0, 0, 5, 1);
    return 0;
}

TEST_FIBER_ORDERS(limiter_cancelled_leaves_room_in_line)
{
    skua_limiter limiter;
    struct wait waits[3];
    skua_task *tasks[3];

    LIMITER(&limiter, .running = 1, .waiting = 2);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    spawn_wait(&limiter, &waits[0], 0, &tasks[0]);
    spawn_wait(&limiter, &waits[1], 0, &tasks[1]);
    CHECK_EQ(skua_limiter_enter(&limiter), SKUA_ELIMIT);
    CHECK_EQ(skua_task_cancel(tasks[0]), 0);
    CHECK_EQ(join(tasks[0]), -ECANCELED);
    CHECK_STATS(&limiter, 1, 1, 1, 1);
    spawn_wait(&limiter, &waits[2], 0, &tasks[2]);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(join(tasks[1]), 0);
    CHECK_EQ(join(tasks[2]), 0);
    CHECK_STATS(&limiter, 0, 0, 3, 1);
    return 0;
}

/* Let in, and dropped before it knew: it never was inside, and the next one is. */
TEST(limiter_dropped_when_let_in)
{
    skua_limiter limiter;
    skua_limiter_future first, second;
    struct test_bell bells[2];
    skua_waker *wakers[2];

    for (int i = 0; i < 2; i++)
        wakers[i] = test_bell_init(&bells[i]);
    LIMITER(&limiter, .running = 1, .waiting = 2, .max_wait = SKUA_HOUR);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    CHECK_EQ(skua_future_poll(skua_limiter_enter_init(&first, &limiter), wakers[0]), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(skua_limiter_enter_init(&second, &limiter), wakers[1]), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&first.future, wakers[0]), SKUA_PENDING); /* spurious */
    CHECK_STATS(&limiter, 1, 2, 1, 0);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(TEST_RINGS(&bells[0]), 1);
    CHECK_STATS(&limiter, 1, 1, 2, 0);
    skua_future_drop(&first.future);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_STATS(&limiter, 1, 0, 2, 0);
    CHECK_EQ(skua_future_poll(&second.future, wakers[1]), 0);
    skua_future_drop(&second.future); /* finished: it stays inside */
    CHECK_STATS(&limiter, 1, 0, 2, 0);
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    for (int i = 0; i < 2; i++)
        test_bell_end(&bells[i]);
}

/* Shed, and dropped before it knew: nobody was answered so. */
TEST(limiter_dropped_when_shed)
{
    skua_limiter limiter;
    skua_limiter_future waits[3];
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);

    LIMITER(&limiter, .running = 1, .waiting = 3, .target = 1, .interval = 1);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_future_poll(skua_limiter_enter_init(&waits[i], &limiter), waker),
                 SKUA_PENDING);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_limiter_leave(&limiter),
             0); /* late: from now on the line may be a standing one */
    CHECK_EQ(skua_future_poll(&waits[0].future, waker), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_STATS(&limiter, 0, 0, 2, 2);
    CHECK_EQ(skua_future_poll(&waits[1].future, waker), SKUA_ELIMIT);
    skua_future_drop(&waits[2].future);
    CHECK_STATS(&limiter, 0, 0, 2, 1);
    test_bell_end(&bell);
}

TEST_FIBER(limiter_cancel_at_every_point)
{
    skua_limiter limiter;

    LIMITER(&limiter, .running = 1, .waiting = SKUA_UNLIMITED);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    test_line_cancel(&one, &limiter, arg);
    CHECK_STATS(&limiter, 1, 0, 1, 0);
    test_line_shield(&one, &limiter);
    CHECK_EQ(stats(&limiter).running, 1);
    test_line_name(&one, &limiter, arg, "limiter");
    return 0;
}

TEST(limiter_lets_in_everybody_in_turn)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *first = test_runtime(&test_kinds[i]);
        skua_runtime *second = test_runtime(&test_kinds[i]);
        skua_limiter limiter;

        LIMITER(&limiter, .running = 1, .waiting = SKUA_UNLIMITED, .max_wait = SKUA_HOUR);
        CHECK_EQ(skua_limiter_enter(&limiter), 0);
        test_line_in_order(&one, &limiter, first, second);
        CHECK_EQ(stats(&limiter).running, 0);
        test_runtime_free(second);
        test_runtime_free(first);
    }
}

/* ---- the limit ------------------------------------------------------------------------------- */

TEST_FIBER_ORDERS(limiter_set_limit)
{
    skua_limiter limiter;
    struct wait waits[4];
    skua_task *tasks[4];

    LIMITER(&limiter, .running = 1, .waiting = SKUA_UNLIMITED);
    CHECK_EQ(skua_limiter_set_limit(&limiter, 0), -EINVAL);
    CHECK_EQ(skua_limiter_set_limit(&limiter, SKUA_SEMAPHORE_MAX + 1), -EINVAL);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    for (int i = 0; i < 4; i++)
        spawn_wait(&limiter, &waits[i], SKUA_SECOND, &tasks[i]);
    CHECK_EQ(skua_limiter_set_limit(&limiter, 4), 0);
    CHECK_STATS(&limiter, 4, 1, 4, 0);
    CHECK_EQ(skua_limiter_set_limit(&limiter, 2), 0); /* who is inside stays */
    CHECK_STATS(&limiter, 4, 1, 4, 0);
    CHECK_EQ(stats(&limiter).limit, 2);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_STATS(&limiter, 3, 1, 4, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(join(tasks[i]), 0);
        CHECK_EQ(waits[i].waited, i < 3 ? 0 : SKUA_SECOND);
    }
    CHECK_STATS(&limiter, 0, 0, 5, 0);
    return 0;
}

/* ---- the standing line ----------------------------------------------------------------------- */

/* Who waits for 10 ms at a place that is free every 10 ms is shed when nobody was let in within
 * the 2 ms for 50 ms; a line that is worked off before is not. */
TEST_FIBER_ORDERS(limiter_a_standing_line_is_shed)
{
    skua_limiter limiter;
    struct wait waits[12];
    skua_task *tasks[12];

    LIMITER(&limiter, .running = 1, .waiting = SKUA_UNLIMITED, .target = MS(2), .interval = MS(50));
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    for (int i = 0; i < 12; i++)
        spawn_wait(&limiter, &waits[i], MS(10), &tasks[i]);
    CHECK_EQ(skua_limiter_leave(&limiter), 0); /* lets in the first, in time */
    for (int i = 0; i < 12; i++) {
        /* The second is the first who is late, at 10 ms; at 60 ms the line is a standing one. */
        CHECK_EQ(join(tasks[i]), i < 6 ? 0 : SKUA_ELIMIT);
        CHECK_EQ(waits[i].waited, i < 6 ? MS(10 * i) : MS(60));
    }
    CHECK_STATS(&limiter, 0, 0, 7, 6);
    /* One that goes straight in ends it; then a line of 40 ms is not touched. */
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    for (int i = 0; i < 5; i++)
        spawn_wait(&limiter, &waits[i], MS(10), &tasks[i]);
    CHECK_EQ(skua_sleep(MS(10)), 0);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(join(tasks[i]), 0);
    CHECK_STATS(&limiter, 0, 0, 13, 6);
    return 0;
}

/* Late, but not twice the target: let in, though the line stands. One in time ends it. */
TEST_FIBER_ORDERS(limiter_who_is_a_little_late_is_not_shed)
{
    static const struct {
        int64_t waits;
        int result;
    } steps[] = {
        {MS(20), 0}, {MS(10) + 1, 0}, {MS(20), 0},
        {MS(10), 0}, {MS(30), 0},     {MS(20) + 1, SKUA_ELIMIT},
    };
    skua_limiter limiter;
    struct wait wait;
    skua_task *task;

    LIMITER(&limiter, .running = 1, .waiting = SKUA_UNLIMITED, .target = MS(10), .interval = MS(1));
    for (size_t i = 0; i < TEST_LEN(steps); i++) {
        limiter.running++; /* a place that is taken without anybody having come in time */
        spawn_wait(&limiter, &wait, 0, &task);
        CHECK_EQ(skua_sleep(steps[i].waits), 0);
        CHECK_EQ(skua_limiter_leave(&limiter), 0);
        CHECK_EQ(join(task), steps[i].result);
        CHECK_EQ(wait.waited, steps[i].waits);
    }
    CHECK_STATS(&limiter, 0, 0, 5, 1);
    return 0;
}

/* ---- closing, races -------------------------------------------------------------------------- */

TEST_FIBER_ORDERS(limiter_closed_while_some_wait)
{
    skua_limiter limiter;
    struct wait waits[3];
    skua_task *tasks[3];

    LIMITER(&limiter, .running = 1, .waiting = 3, .max_wait = SKUA_HOUR);
    CHECK_EQ(skua_limiter_enter(&limiter), 0);
    for (int i = 0; i < 3; i++)
        spawn_wait(&limiter, &waits[i], 0, &tasks[i]);
    skua_limiter_close(&limiter);
    CHECK_STATS(&limiter, 1, 0, 1, 0);
    CHECK_EQ(skua_task_cancel(tasks[1]), 0); /* closed, and cancelled behind it */
    for (int i = 0; i < 3; i++)
        CHECK(join(tasks[i]) == SKUA_ECLOSED);
    CHECK_EQ(skua_limiter_enter(&limiter), SKUA_ECLOSED);
    CHECK_EQ(skua_limiter_try_enter(&limiter), SKUA_ECLOSED);
    CHECK_EQ(skua_await(skua_limiter_entering(&limiter)), SKUA_ECLOSED);
    CHECK_EQ(skua_limiter_leave(&limiter), 0);
    CHECK_EQ(skua_limiter_leave(&limiter), SKUA_EUSAGE);
    return 0;
}

static int any_time(void *arg)
{
    CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 4)), 0);
    return waits_and_stays(arg);
}

TEST_FIBER_ORDERS(limiter_races)
{
    skua_limiter limiter;
    struct wait waits[8];
    skua_task *tasks[8];
    skua_limiter_stats all;
    uint64_t in = 0, shed = 0;

    LIMITER(&limiter, .running = 2, .waiting = 4, .max_wait = 5, .target = 2, .interval = 3);
    for (int i = 0; i < 8; i++) {
        waits[i] =
            (struct wait){&limiter, skua_now(), SKUA_FOREVER, 0, (int64_t)(skua_test_random() % 7)};
        if (skua_test_random() % 3 == 0)
            waits[i].deadline = skua_now() + (int64_t)(skua_test_random() % 9);
        MUST(skua_spawn(NULL, any_time, &waits[i], .task = &tasks[i]) == 0);
    }
    CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 9) + 4), 0);
    (void)skua_task_cancel(tasks[skua_test_random() % 8]); /* it may have ended */
    CHECK_EQ(skua_limiter_set_limit(&limiter, 1 + skua_test_random() % 3), 0);
    if (skua_test_random() % 4 == 0)
        skua_limiter_close(&limiter);
    for (int i = 0; i < 8; i++) {
        int rc = join(tasks[i]);

        in += rc == 0;
        shed += rc == SKUA_ELIMIT;
        CHECK(rc == 0 || rc == SKUA_ELIMIT || rc == SKUA_ECLOSED || rc == -ECANCELED ||
              rc == -ETIMEDOUT);
    }
    all = stats(&limiter);
    CHECK_EQ(all.running, 0);
    CHECK_EQ(all.waiting, 0);
    CHECK_EQ(length(&limiter), 0);
    CHECK_EQ(all.admitted, in);
    CHECK(all.shed >= shed);
    return 0;
}

/* ---- as a future ----------------------------------------------------------------------------- */

struct polled {
    skua_async async;
    skua_limiter *limiter;
    skua_limiter_future enter;
    skua_poll answer;
};

static skua_poll polls(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->answer, skua_limiter_enter_init(&self->enter, self->limiter));
    SKUA_ASYNC_END(self->answer);
}

static int leaves_later(void *arg)
{
    while (stats(arg).waiting == 0)
        CHECK_EQ(skua_yield(), 0);
    return skua_limiter_leave(arg);
}

TEST_FIBER(limiter_in_poll_tasks)
{
    skua_limiter limiter;
    struct polled state = {.limiter = &limiter};

    LIMITER(&limiter, .running = 1, .waiting = 1, .max_wait = MS(3));
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), 0);
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), SKUA_ELIMIT);
    limiter.max_wait = SKUA_HOUR;
    MUST(skua_spawn(NULL, leaves_later, &limiter) == 0);
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), 0);
    CHECK_EQ(stats(&limiter).running, 1);
    return 0;
}

static int takes_and_gives(void *arg)
{
    int rc = skua_limiter_enter(arg);

    return rc != 0 ? rc : skua_limiter_leave(arg);
}

TEST_FIBER_CURRENT(limiter_spends_budget)
{
    skua_limiter limiter;

    LIMITER(&limiter, .running = 1);
    test_line_budget(takes_and_gives, &limiter);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limiter_options),
        TEST_WAITING_ENTRIES(limiter_counts),
        TEST_WAITING_ENTRIES(limiter_waits_no_longer),
        cmocka_unit_test(limiter_waits_as_long_as_it_is_set),
        cmocka_unit_test(limiter_a_minute_of_traffic),
        cmocka_unit_test(limiter_first_in_first_out),
        cmocka_unit_test(limiter_cancelled_leaves_room_in_line),
        cmocka_unit_test(limiter_dropped_when_let_in),
        cmocka_unit_test(limiter_dropped_when_shed),
        cmocka_unit_test(limiter_cancel_at_every_point),
        cmocka_unit_test(limiter_lets_in_everybody_in_turn),
        cmocka_unit_test(limiter_set_limit),
        cmocka_unit_test(limiter_a_standing_line_is_shed),
        cmocka_unit_test(limiter_who_is_a_little_late_is_not_shed),
        cmocka_unit_test(limiter_closed_while_some_wait),
        cmocka_unit_test(limiter_races),
        cmocka_unit_test(limiter_in_poll_tasks),
        cmocka_unit_test(limiter_spends_budget),
    };

    return TEST_MAIN(tests);
}
