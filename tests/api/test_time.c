/* drivers: both */
/* test_time.c - the clock and sleeping: never early, in order, and cheap to give up.
 *
 * Specifies time.h. Many timers of random durations are armed, dropped and fired, and what
 * happened is compared with a sorted model; the seed is printed.
 */
#include <pthread.h>

#include "../lib/event.h"

TEST(time_goes_forward)
{
    int64_t last = skua_now();

    for (int i = 0; i < 100000; i++) {
        int64_t now = skua_now();

        if (now < last && !CHECK(now >= last))
            break;
        last = now;
    }
    CHECK(last > 0);
}

/* ---- one sleep ------------------------------------------------------------------------------- */

static void check_never_early(void)
{
    static const int64_t durations[] = {1,       1000,    32768,   32769,   65536,
                                        100000,  1000000, 2097152, 2100000, 4000000,
                                        5000000, MS(10),  MS(50),  MS(135)};

    for (size_t i = 0; i < TEST_LEN(durations); i++) {
        int64_t begin = skua_now();

        CHECK_EQ(skua_sleep(durations[i]), 0);
        CHECK_RANGE(skua_now() - begin, durations[i], durations[i] + TEST_LATE);
        begin = skua_now();
        CHECK_EQ(skua_sleep_until(begin + durations[i]), 0);
        CHECK_RANGE(skua_now() - begin, durations[i], durations[i] + TEST_LATE);
    }
}

TEST_FIBER(time_sleep_is_never_early)
{
    check_never_early();
    return 0;
}

TEST(time_sleep_is_never_early_on_a_thread)
{
    check_never_early();
}

static void check_past(void)
{
    static const int64_t durations[] = {0, -1, -MS(1), INT64_MIN};
    int64_t begin = skua_now();

    for (size_t i = 0; i < TEST_LEN(durations); i++) {
        skua_sleep_future sleep;

        CHECK_EQ(skua_sleep(durations[i]), 0);
        CHECK_EQ(skua_await(skua_sleep_init(&sleep, durations[i])), 0);
    }
    CHECK_EQ(skua_sleep_until(begin), 0);
    CHECK_EQ(skua_sleep_until(0), 0);
    CHECK_EQ(skua_sleep_until(INT64_MIN), 0);
    CHECK_RANGE(skua_now() - begin, 0, TEST_LATE);
}

TEST_FIBER(time_past_is_ready_at_once)
{
    check_past();
    return 0;
}

TEST(time_past_is_ready_at_once_on_a_thread)
{
    check_past();
}

/* Sums that do not fit must not wrap around into the past. */
TEST_FIBER(time_forever_never_ends)
{
    static const int64_t durations[] = {
        SKUA_FOREVER,     SKUA_FOREVER - 1,           SKUA_FOREVER / 2,
        INT64_C(1) << 61, 200 * 365 * 24 * SKUA_HOUR, SKUA_HOUR * 24 * 365,
        SKUA_MINUTE};

    for (size_t i = 0; i < TEST_LEN(durations); i++) {
        skua_sleep_future sleep;

        CHECK_EQ(skua_await_until(skua_sleep_init(&sleep, durations[i]), skua_now() + MS(3)),
                 -ETIMEDOUT);
        CHECK_EQ(skua_await_until(skua_sleep_until_init(&sleep, durations[i]), skua_now() + MS(3)),
                 durations[i] > skua_now() ? -ETIMEDOUT : 0);
    }
    return 0;
}

/* ---- many sleeps, against a model ------------------------------------------------------------ */

enum { TIMERS = 1000 };

struct timers {
    skua_future future;
    skua_sleep_future sleeps[TIMERS];
    int64_t deadline[TIMERS]; /* the model */
    int64_t fired[TIMERS];    /* when its poll said ready; 0 = not yet, -1 = dropped */
    int round[TIMERS];        /* in which poll of them all */
    uint64_t random;
    int open, dropped, rounds;
};

/* Polls every timer that is open, and drops one of them by chance. */
static skua_poll timers_poll(skua_future *future, skua_waker *waker)
{
    struct timers *self = (struct timers *)future;
    int victim = (int)(test_random(&self->random) % TIMERS);

    if (self->fired[victim] == 0 && self->dropped < TIMERS / 3) {
        skua_future_drop(&self->sleeps[victim].future);
        self->fired[victim] = -1;
        self->dropped++;
        self->open--;
    }
    self->rounds++;
    for (int i = 0; i < TIMERS; i++) {
        skua_future *sleep = &self->sleeps[i].future;

        if (self->fired[i] != 0 || sleep->ops->poll(sleep, waker) == SKUA_PENDING)
            continue;
        self->fired[i] = skua_now();
        self->round[i] = self->rounds;
        self->open--;
    }
    return self->open > 0 ? SKUA_PENDING : SKUA_READY;
}

static void timers_drop(skua_future *future)
{
    struct timers *self = (struct timers *)future;

    for (int i = 0; i < TIMERS; i++)
        if (self->fired[i] == 0)
            skua_future_drop(&self->sleeps[i].future);
}

static const skua_future_ops timers_ops = {"timers", timers_poll, timers_drop};

static struct timers *timers_new(uint64_t seed, int64_t longest)
{
    struct timers *self = calloc(1, sizeof *self);

    self->future.ops = &timers_ops;
    self->random = seed;
    self->open = TIMERS;
    for (int i = 0; i < TIMERS; i++) {
        int64_t duration = (int64_t)(test_random(&self->random) % (uint64_t)longest);

        self->deadline[i] = skua_now() + duration;
        skua_sleep_until_init(&self->sleeps[i], self->deadline[i]);
    }
    return self;
}

/* When one is seen to have fired, every timer that was due before it is seen in the same round.
 * (In the round after, at the latest: the first round arms them, one by one.) */
static void timers_check(const struct timers *self)
{
    const int64_t ticks = 100 * SKUA_MICROSECOND;

    for (int i = 0; i < TIMERS; i++) {
        if (self->fired[i] == -1)
            continue;
        CHECK_RANGE(self->fired[i] - self->deadline[i], 0, TEST_LATE);
        for (int j = 0; j < TIMERS; j++)
            if (self->round[j] > self->round[i] + 1 &&
                self->deadline[j] + ticks < self->deadline[i])
                CHECK(!"an earlier timer fired later");
    }
}

static int64_t run_timers(struct timers *self)
{
    int64_t rc = skua_await(&self->future);

    timers_check(self);
    free(self);
    return rc;
}

TEST_FIBER(time_many_timers_like_the_model)
{
    CHECK_EQ(run_timers(timers_new(test_seed(), MS(200))), 0);
    return 0;
}

TEST(time_many_timers_like_the_model_on_a_thread)
{
    CHECK_EQ(run_timers(timers_new(test_seed(), MS(200))), 0);
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
}

/* A drop of them all leaves nothing armed: what comes later does not touch freed memory. */
TEST_FIBER(time_dropped_timers_are_gone)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    struct timers *self = timers_new(test_seed(), SKUA_HOUR);

    self->dropped = TIMERS; /* no drops by chance */
    CHECK_EQ(skua_await_until(&self->future, skua_now() + MS(20)), -ETIMEDOUT);
    memset(self, 0xee, sizeof *self);
    free(self);
    CHECK_EQ(skua_sleep(MS(20)), 0);
    CHECK(skua_runtime_snapshot(arg, &stats, NULL, 0) > 0);
    CHECK(stats.total.timers_armed < 5);
    return 0;
}

/* ---- many sleepers --------------------------------------------------------------------------- */

struct sleeper {
    skua_async async;
    int64_t deadline;
    skua_sleep_future sleep;
    struct sleep_log *log;
};

struct sleep_log {
    atomic_int count;
    int64_t deadline[20000], seen[20000];
};

static skua_poll sleeps_and_logs(void *state, skua_waker *waker)
{
    struct sleeper *self = state;
    int at;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(skua_sleep_until_init(&self->sleep, self->deadline));
    at = atomic_fetch_add(&self->log->count, 1);
    self->log->deadline[at] = self->deadline;
    self->log->seen[at] = skua_now();
    SKUA_ASYNC_END(0);
}

TEST_FIBER(time_many_sleepers)
{
    int count = TEST_COUNT(19000);
    struct sleep_log *log = calloc(1, sizeof *log);
    uint64_t random = test_seed();
    int64_t latest = 0;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < count; i++) {
        struct sleeper state = {.log = log};

        state.deadline = skua_now() + (int64_t)(test_random(&random) % MS(300));
        latest = state.deadline > latest ? state.deadline : latest;
        CHECK_EQ(skua_spawn_poll(&scope, sleeps_and_logs, &state), 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_RANGE(skua_now(), latest, latest + TEST_LATE);
    CHECK_EQ(atomic_load(&log->count), count);
    for (int i = 0; i < count; i++)
        CHECK(log->seen[i] >= log->deadline[i]);
    free(log);
    return 0;
}

/* ---- exactness ------------------------------------------------------------------------------- */

/* A tick is 32.8 us; an idle machine fires within a few of them. A tenth of the sleeps must be so
 * exact; the others make room for whatever else the machine does. */
TEST_FIBER(time_sleep_is_exact)
{
    enum { ROUNDS = 51 };
    int exact = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t until = skua_now() + MS(2) + i * 1357;

        CHECK_EQ(skua_sleep_until(until), 0);
        exact += skua_now() - until < MS(1);
    }
    if (!TEST_SANITIZED)
        CHECK_RANGE(exact, ROUNDS / 10, ROUNDS);
    return 0;
}

/* ---- plain threads --------------------------------------------------------------------------- */

static void *sleeps_in_turns(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        int64_t begin = skua_now();

        CHECK_EQ(skua_sleep(MS(1)), 0);
        CHECK(skua_now() - begin >= MS(1));
    }
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    return NULL;
}

/* Threads that never saw a runtime have timers of their own, and leave nothing behind. */
TEST(time_threads_without_a_runtime)
{
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        MUST(pthread_create(&threads[i], NULL, sleeps_in_turns, NULL) == 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

TEST_FIBER(time_thread_timers_are_not_for_workers)
{
    CHECK_EQ(skua_thread_timers(), SKUA_EUSAGE);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_forward),
        cmocka_unit_test(time_sleep_is_never_early),
        cmocka_unit_test(time_sleep_is_never_early_on_a_thread),
        cmocka_unit_test(time_past_is_ready_at_once),
        cmocka_unit_test(time_past_is_ready_at_once_on_a_thread),
        cmocka_unit_test(time_forever_never_ends),
        cmocka_unit_test(time_many_timers_like_the_model),
        cmocka_unit_test(time_many_timers_like_the_model_on_a_thread),
        cmocka_unit_test(time_dropped_timers_are_gone),
        cmocka_unit_test(time_many_sleepers),
        cmocka_unit_test(time_sleep_is_exact),
        cmocka_unit_test(time_threads_without_a_runtime),
        cmocka_unit_test(time_thread_timers_are_not_for_workers),
    };

    return TEST_MAIN(tests);
}
