/* test_rate_limiter.c - a token bucket: exact, in line, told, dropped, closed.
 *
 * Specifies limit.h, rate limiter. Everything about time is checked to the nanosecond, by the clock
 * of a test.
 */
#include "../lib/line.h"
#include "../lib/part.h"

typedef unsigned __int128 wide;

#define DAY (24 * SKUA_HOUR)

#define LIMITER(limiter, ...)                                                                      \
    MUST(skua_rate_limiter_init((limiter), SKUA_RATE_LIMITER_OPTIONS(__VA_ARGS__)) == 0)

/* Who waits, but for the first while it is told to look. */
static int length(void *object)
{
    skua_rate_limiter *limiter = object;

    return TEST_LINE(&limiter->line);
}

static void spawn(skua_fiber_fn fn, void *arg, skua_task **task)
{
    MUST(skua_spawn(NULL, fn, arg, .task = task) == 0);
}

static int join(skua_task *task)
{
    int result = -1;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- options --------------------------------------------------------------------------------- */

static int try_options(skua_rate_limiter_options options)
{
    skua_rate_limiter limiter;

    options.size = sizeof options;
    return skua_rate_limiter_init(&limiter, &options);
}

TEST(rate_limiter_options)
{
    skua_rate_limiter limiter;
    skua_rate_limiter_options options;

    skua_rate_limiter_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    CHECK_EQ(skua_rate_limiter_init(&limiter, &options), -EINVAL); /* no rate */
    options.rate = 7;
    CHECK_EQ(skua_rate_limiter_init(&limiter, &options), 0);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 7);
    options.size--;
    CHECK_EQ(skua_rate_limiter_init(&limiter, &options), -EINVAL);
    CHECK_EQ(skua_rate_limiter_init(&limiter, NULL), -EINVAL);
#define OPTIONS(...) try_options((skua_rate_limiter_options){__VA_ARGS__})
    CHECK_EQ(OPTIONS(.rate = SKUA_RATE_LIMITER_MAX, .period = INT64_C(1) << 62), 0);
    CHECK_EQ(OPTIONS(.rate = SKUA_RATE_LIMITER_MAX + 1, .burst = 1), -EINVAL);
    CHECK_EQ(OPTIONS(.rate = 1, .burst = SKUA_RATE_LIMITER_MAX), 0);
    CHECK_EQ(OPTIONS(.rate = 1, .burst = SKUA_RATE_LIMITER_MAX + 1), -EINVAL);
    CHECK_EQ(OPTIONS(.rate = 1, .period = -1), -EINVAL);
    CHECK_EQ(OPTIONS(.rate = 1, .period = (INT64_C(1) << 62) + 1), -EINVAL);
    CHECK_EQ(OPTIONS(.rate = 1, .burst = 3, .initial = 3), 0);
    CHECK_EQ(OPTIONS(.rate = 1, .burst = 3, .initial = 4), -EINVAL);
    CHECK_EQ(OPTIONS(.rate = 1, .burst = 3, .initial = SKUA_RATE_EMPTY), 0);
#undef OPTIONS
}

/* ---- counting -------------------------------------------------------------------------------- */

TEST_WAITING(rate_limiter_counts)
{
    skua_rate_limiter limiter;

    LIMITER(&limiter, .rate = 1, .period = DAY, .burst = 5, .initial = 4);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 4);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 1), 0);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 4), -EAGAIN);
    CHECK_EQ(skua_rate_limiter_acquire_until(&limiter, 2, 0), 0); /* they are there */
    CHECK_EQ(skua_rate_limiter_acquire_until(&limiter, 2, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 1); /* it took none */
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 1), 0);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 1), -EAGAIN);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 0), 0);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 0), 0);
    CHECK_EQ(length(&limiter), 0);
}

TEST_WAITING(rate_limiter_more_than_the_burst_never_comes)
{
    skua_rate_limiter limiter;

    LIMITER(&limiter, .rate = 100, .burst = 5);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 6), -EINVAL);
    CHECK_EQ(skua_rate_limiter_acquire_until(&limiter, UINT64_MAX, 0), -EINVAL);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 6), -EINVAL);
    CHECK_EQ(skua_await(skua_rate_limiter_acquiring(&limiter, 6)), -EINVAL);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 5);
}

TEST_WAITING(rate_limiter_waits)
{
    skua_rate_limiter limiter;
    int64_t begin = skua_now();

    LIMITER(&limiter, .rate = 1000, .burst = 2);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_rate_limiter_acquire(&limiter, 2), 0);
    CHECK_RANGE(skua_now() - begin, MS(8), MS(8) + TEST_LATE);
    CHECK_EQ(skua_await(skua_rate_limiter_acquiring(&limiter, 2)), 0);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
}

/* ---- exactly --------------------------------------------------------------------------------- */

struct traffic {
    uint64_t rate;
    int64_t period;
    uint64_t burst;
    uint64_t initial;
    int64_t length; /* ns */
    skua_rate_limiter limiter;
    uint64_t granted;
    int64_t begin;
    int64_t start;
};

/* When the last of `tokens` has come, if nobody ever let the bucket fill up. */
static int64_t due(const struct traffic *self, uint64_t tokens)
{
    if (tokens <= self->initial)
        return 0;
    return (int64_t)(((wide)(tokens - self->initial) * (uint64_t)self->period + self->rate - 1) /
                     self->rate);
}

static int uses(void *arg)
{
    struct traffic *self = arg;

    while (skua_now() - self->begin < self->length) {
        uint64_t tokens = 1 + skua_test_random() % self->burst;

        if (skua_test_random() % 2)
            tokens = tokens % 3 + 1 < self->burst ? tokens % 3 + 1 : 1;
        CHECK_EQ(skua_rate_limiter_acquire(&self->limiter, tokens), 0);
        self->granted += tokens;
        if (!CHECK_EQ(skua_now() - self->begin, due(self, self->granted)))
            return -EIO;
    }
    return 0;
}

static int traffic(void *arg)
{
    struct traffic *self = arg;
    skua_scope scope;
    int rc;

    self->begin = skua_now();
    self->granted = 0;
    LIMITER(&self->limiter, .rate = self->rate, .period = self->period, .burst = self->burst,
            .initial = self->initial != 0 ? self->initial : SKUA_RATE_EMPTY);
    CHECK_EQ(skua_rate_limiter_available(&self->limiter), self->initial);
    MUST(skua_scope_open(&scope, SKUA_FAIL_FAST) == 0);
    for (int i = 0; i < 4; i++)
        MUST(skua_spawn(&scope, uses, self) == 0);
    rc = skua_scope_join(&scope);
    CHECK(due(self, self->granted) >= self->length); /* and they were let through, all of them */
    return rc;
}

/* Somebody always waits, so that not a token is lost: each is granted at its nanosecond. */
TEST(rate_limiter_a_minute_of_traffic)
{
    static struct traffic cases[] = {
        {.rate = 7, .period = SKUA_SECOND, .burst = 3, .length = SKUA_MINUTE},
        {.rate = 50, .period = SKUA_SECOND, .burst = 50, .initial = 50, .length = SKUA_MINUTE},
        {.rate = 3, .period = 7 * SKUA_MILLISECOND + 1, .burst = 9, .length = SKUA_MINUTE / 20},
        {.rate = 1000000000, .period = SKUA_SECOND, .burst = 30000000, .length = SKUA_MINUTE},
        {.rate = 999999937, .period = SKUA_SECOND, .burst = 30000000, .length = SKUA_MINUTE},
        {.rate = 11, .period = 9 * DAY + 13, .burst = 2, .initial = 1, .length = 500 * DAY},
        {.rate = 1, .period = 1, .burst = 1000000000, .length = SKUA_MINUTE},
        {.rate = SKUA_RATE_LIMITER_MAX / 3,
         .period = INT64_C(1) << 62,
         .burst = SKUA_RATE_LIMITER_MAX >> 6,
         .length = INT64_C(1) << 58},
        {.rate = SKUA_RATE_LIMITER_MAX,
         .period = (INT64_C(1) << 62) - 1,
         .burst = SKUA_RATE_LIMITER_MAX / 100000,
         .length = SKUA_MINUTE},
    };
    static const int64_t starts[] = {1, SKUA_HOUR, INT64_C(1) << 62};

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        for (uint64_t seed = 0; seed < TEST_LEN(starts); seed++)
            if (!CHECK_EQ(skua_test_run(traffic, &cases[i],
                                        SKUA_TEST_OPTIONS(.seed = seed, .start = starts[seed])),
                          0))
                test_note("case %d, seed %d", (int)i, (int)seed);
    }
}

/* Looked at at every odd moment, full and empty, against the definition. */
static int looks(void *arg)
{
    struct traffic *self = arg;
    wide parts = (wide)self->initial * (uint64_t)self->period; /* of a token */
    int64_t last = skua_now();

    LIMITER(&self->limiter, .rate = self->rate, .period = self->period, .burst = self->burst,
            .initial = self->initial);
    for (int i = 0; i < 2000; i++) {
        uint64_t tokens = skua_test_random() % (self->burst + 1);
        wide most = (wide)self->burst * (uint64_t)self->period;
        int64_t step = (int64_t)(skua_test_random() >> (24 + skua_test_random() % 40));

        CHECK_EQ(skua_sleep(step), 0);
        parts += (wide)(skua_now() - last) * self->rate;
        parts = parts < most ? parts : most;
        last = skua_now();
        if (skua_test_random() % 2)
            CHECK(skua_rate_limiter_available(&self->limiter) == parts / (uint64_t)self->period);
        if (skua_test_random() % 4)
            continue;
        if (parts < (wide)tokens * (uint64_t)self->period) {
            CHECK_EQ(skua_rate_limiter_try_acquire(&self->limiter, tokens), -EAGAIN);
        } else if (CHECK_EQ(skua_rate_limiter_try_acquire(&self->limiter, tokens), 0)) {
            parts -= (wide)tokens * (uint64_t)self->period;
        }
    }
    return 0;
}

TEST(rate_limiter_nothing_is_rounded_away)
{
    static struct traffic cases[] = {
        {.rate = 3, .period = 7, .burst = 100, .initial = 1},
        {.rate = 999999937, .period = SKUA_SECOND, .burst = 1000000000, .initial = 5},
        {.rate = 13, .period = 3 * DAY + 17, .burst = 5, .initial = 5},
        {.rate = 1000000000, .period = SKUA_SECOND, .burst = 10, .initial = 10},
        {.rate = SKUA_RATE_LIMITER_MAX,
         .period = INT64_C(1) << 61,
         .burst = SKUA_RATE_LIMITER_MAX,
         .initial = 1},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++)
        for (uint64_t seed = 1; seed <= 5; seed++)
            CHECK_EQ(skua_test_run(looks, &cases[i], SKUA_TEST_OPTIONS(.seed = seed)), 0);
}

/* The end of time is not passed. */
static int waits_for_ever(void *arg)
{
    skua_rate_limiter limiter;

    (void)arg;
    LIMITER(&limiter, .rate = 1, .period = INT64_C(1) << 62, .burst = 9);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 9), 0);
    CHECK_EQ(skua_rate_limiter_acquire_until(&limiter, 9, skua_now() + 1000 * DAY), -ETIMEDOUT);
    CHECK_EQ(skua_rate_limiter_acquire_until(&limiter, 1, skua_now() + 1000 * DAY), -ETIMEDOUT);
    return 0;
}

TEST(rate_limiter_waits_longer_than_time)
{
    CHECK_EQ(skua_test_run(waits_for_ever, NULL, NULL), 0);
    CHECK_EQ(skua_test_run(waits_for_ever, NULL, SKUA_TEST_OPTIONS(.start = INT64_C(1) << 62)), 0);
}

/* ---- in line --------------------------------------------------------------------------------- */

struct wait {
    skua_rate_limiter *limiter;
    uint64_t tokens;
    int64_t begin;
    int64_t deadline;
    int64_t waited;
};

static int wait_for_tokens(void *arg)
{
    struct wait *self = arg;
    int rc = skua_rate_limiter_acquire_until(self->limiter, self->tokens, self->deadline);

    self->waited = skua_now() - self->begin;
    return rc;
}

/* Starts one wait after the other, so that they are in line in this order. */
static void line_up(skua_rate_limiter *limiter, struct wait *waits, skua_task **tasks,
                    const uint64_t *tokens, int count)
{
    for (int i = 0; i < count; i++) {
        waits[i] = (struct wait){limiter, tokens[i], skua_now(), SKUA_FOREVER, 0};
        spawn(wait_for_tokens, &waits[i], &tasks[i]);
        while (length(limiter) <= i)
            CHECK_EQ(skua_yield(), 0);
    }
}

TEST_FIBER_ORDERS(rate_limiter_a_small_request_does_not_pass_a_large_one)
{
    static const uint64_t tokens[] = {5, 1, 3, 1};
    static const int64_t waited[] = {5, 6, 9, 10};
    skua_rate_limiter limiter;
    struct wait waits[4];
    skua_task *tasks[4];

    LIMITER(&limiter, .rate = 1, .burst = 5, .initial = SKUA_RATE_EMPTY);
    line_up(&limiter, waits, tasks, tokens, 4);
    CHECK_EQ(skua_sleep(2 * SKUA_SECOND), 0);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 2);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 1), -EAGAIN); /* not past who is in line */
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 0), 0);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 0), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(join(tasks[i]), 0);
        CHECK_EQ(waits[i].waited, waited[i] * SKUA_SECOND);
    }
    CHECK_EQ(length(&limiter), 0);
    return 0;
}

/* Whoever leaves the line has taken nothing: the others have it as if it had not been there. */
TEST_FIBER_ORDERS(rate_limiter_a_dropped_wait_takes_no_tokens)
{
    static const uint64_t tokens[] = {5, 2, 2, 1};

    for (int victim = 0; victim < 4; victim++) {
        int64_t sum = 0, at = 0;
        skua_rate_limiter limiter;
        struct wait waits[4];
        skua_task *tasks[4];

        LIMITER(&limiter, .rate = 1, .burst = 5, .initial = SKUA_RATE_EMPTY);
        line_up(&limiter, waits, tasks, tokens, 4);
        CHECK_EQ(skua_sleep(3 * SKUA_SECOND + 1), 0);
        CHECK_EQ(skua_task_cancel(tasks[victim]), 0);
        CHECK_EQ(join(tasks[victim]), -ECANCELED);
        /* What had come is enough for the second, who may have it already. */
        CHECK_RANGE(length(&limiter), victim == 0 ? 1 : 3, 3);
        for (int i = 0; i < 4; i++) {
            if (i == victim)
                continue;
            sum += (int64_t)tokens[i];
            at = sum * SKUA_SECOND;
            if (victim == 0 && at < 3 * SKUA_SECOND + 1)
                at = 3 * SKUA_SECOND + 1; /* when the one in front went */
            CHECK_EQ(join(tasks[i]), 0);
            CHECK_EQ(waits[i].waited, at);
        }
        CHECK_EQ(length(&limiter), 0);
        CHECK_EQ(skua_rate_limiter_available(&limiter), 0);
    }
    return 0;
}

TEST_FIBER_ORDERS(rate_limiter_out_of_time)
{
    static const uint64_t tokens[] = {5, 1};
    skua_rate_limiter limiter;
    struct wait waits[2], late;
    skua_task *tasks[2];

    LIMITER(&limiter, .rate = 1, .burst = 5, .initial = SKUA_RATE_EMPTY);
    line_up(&limiter, waits, tasks, tokens, 2);
    late = (struct wait){&limiter, 1, skua_now(), skua_now() + 2 * SKUA_SECOND, 0};
    CHECK_EQ(wait_for_tokens(&late), -ETIMEDOUT);
    CHECK_EQ(late.waited, 2 * SKUA_SECOND);
    CHECK_EQ(length(&limiter), 2);
    CHECK_EQ(join(tasks[0]), 0);
    CHECK_EQ(join(tasks[1]), 0);
    CHECK_EQ(waits[1].waited, 6 * SKUA_SECOND);
    late = (struct wait){&limiter, 2, skua_now(), skua_now() + SKUA_SECOND, 0};
    CHECK_EQ(wait_for_tokens(&late), -ETIMEDOUT); /* with the turn */
    CHECK_EQ(skua_rate_limiter_available(&limiter), 1);
    return 0;
}

/* Dropped when the turn was passed to it, and it has not looked yet. */
TEST(rate_limiter_dropped_with_the_turn)
{
    skua_rate_limiter limiter;
    skua_rate_limiter_future first, second, third;
    struct test_bell bells[3];
    skua_waker *wakers[3];

    for (int i = 0; i < 3; i++)
        wakers[i] = test_bell_init(&bells[i]);
    LIMITER(&limiter, .rate = 1, .period = DAY, .burst = 5);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 2), 0);
    CHECK_EQ(skua_future_poll(skua_rate_limiter_acquire_init(&first, &limiter, 5), wakers[0]),
             SKUA_PENDING);
    CHECK_EQ(skua_future_poll(skua_rate_limiter_acquire_init(&second, &limiter, 4), wakers[1]),
             SKUA_PENDING);
    CHECK_EQ(skua_future_poll(skua_rate_limiter_acquire_init(&third, &limiter, 3), wakers[2]),
             SKUA_PENDING);
    CHECK_EQ(length(&limiter), 3);
    CHECK_EQ(skua_future_poll(&first.future, wakers[0]), SKUA_PENDING); /* spurious */
    CHECK_EQ(skua_future_poll(&third.future, wakers[2]), SKUA_PENDING);
    CHECK_EQ(length(&limiter), 3);
    skua_future_drop(&first.future);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_EQ(TEST_RINGS(&bells[2]), 0);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 1), -EAGAIN);
    skua_future_drop(&second.future);
    CHECK_EQ(TEST_RINGS(&bells[2]), 1);
    CHECK_EQ(skua_future_poll(&third.future, wakers[2]), 0);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 0);
    CHECK_EQ(length(&limiter), 0);
    CHECK_EQ(skua_thread_timers(), SKUA_FOREVER);
    skua_future_drop(&first.future); /* finished: nothing */
    for (int i = 0; i < 3; i++)
        test_bell_end(&bells[i]);
}

/* Told that its turn has come, and looking a nanosecond later: nothing is rounded away, either. */
TEST_FIBER_CLOCK(rate_limiter_told_and_late)
{
    static const int64_t at[] = {2, 3, 4}; /* 4/3 ns a token, and none is ahead of its time */
    skua_rate_limiter limiter;
    skua_rate_limiter_future waits[3];
    int64_t begin = skua_now();
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);

    LIMITER(&limiter, .rate = 3, .period = 4, .burst = 1, .initial = SKUA_RATE_EMPTY);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_future_poll(skua_rate_limiter_acquire_init(&waits[i], &limiter, 1), waker),
                 SKUA_PENDING);
    CHECK_EQ(skua_await(skua_rate_limiter_acquiring(&limiter, 0)), 0); /* not in line for none */
    CHECK_EQ(skua_await(skua_rate_limiter_acquiring(&limiter, 2)), -EINVAL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_sleep_until(begin + at[i]), 0);
        CHECK_EQ(skua_future_poll(&waits[i].future, waker), 0);
        if (i == 1) /* nobody was behind that one */
            CHECK_EQ(
                skua_future_poll(skua_rate_limiter_acquire_init(&waits[2], &limiter, 1), waker),
                SKUA_PENDING);
    }
    test_bell_end(&bell);
    return 0;
}

/* ---- told ------------------------------------------------------------------------------------ */

TEST_FIBER_ORDERS(rate_limiter_set_rate_is_told)
{
    static const uint64_t tokens[] = {5, 5};
    skua_rate_limiter limiter;
    struct wait waits[2];
    skua_task *tasks[2];

    LIMITER(&limiter, .rate = 1, .burst = 5, .initial = SKUA_RATE_EMPTY);
    line_up(&limiter, waits, tasks, tokens, 2);
    CHECK_EQ(skua_sleep(SKUA_SECOND + SKUA_SECOND / 2), 0); /* one and a half have come */
    CHECK_EQ(skua_rate_limiter_set_rate(&limiter, 7, 0), 0);
    CHECK_EQ(join(tasks[0]), 0); /* three and a half more, at seven a second */
    CHECK_EQ(waits[0].waited, 2 * SKUA_SECOND);
    CHECK_EQ(skua_rate_limiter_set_rate(&limiter, 5, SKUA_HOUR), 0); /* slower, too */
    CHECK_EQ(join(tasks[1]), 0);
    CHECK_EQ(waits[1].waited, 2 * SKUA_SECOND + SKUA_HOUR);
    CHECK_EQ(skua_rate_limiter_set_rate(&limiter, 0, 0), -EINVAL);
    CHECK_EQ(skua_rate_limiter_set_rate(&limiter, 1, -1), -EINVAL);
    CHECK_EQ(skua_rate_limiter_set_rate(&limiter, SKUA_RATE_LIMITER_MAX + 1, 0), -EINVAL);
    CHECK_EQ(skua_sleep(SKUA_HOUR / 5), 0);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 1);
    return 0;
}

static int closes(void *arg)
{
    CHECK_EQ(skua_sleep(SKUA_SECOND), 0);
    skua_rate_limiter_close(arg);
    return 0;
}

TEST_FIBER_ORDERS(rate_limiter_closed_while_some_wait)
{
    static const uint64_t tokens[] = {5, 1, 2};
    skua_rate_limiter limiter;
    struct wait waits[3];
    skua_task *tasks[3];
    skua_task *closer;

    LIMITER(&limiter, .rate = 1, .burst = 5, .initial = SKUA_RATE_EMPTY);
    line_up(&limiter, waits, tasks, tokens, 3);
    spawn(closes, &limiter, &closer);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(join(tasks[i]), SKUA_ECLOSED);
        CHECK_EQ(waits[i].waited, SKUA_SECOND);
    }
    CHECK_EQ(join(closer), 0);
    CHECK_EQ(length(&limiter), 0);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_rate_limiter_try_acquire(&limiter, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_await(skua_rate_limiter_acquiring(&limiter, 1)), SKUA_ECLOSED);
    return 0;
}

/* Closed, cancelled, told and granted in any order: nobody hangs, and nothing is left behind. */
static int disturbs(void *arg)
{
    struct wait *waits = arg;

    CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 3) * SKUA_SECOND), 0);
    CHECK_EQ(skua_rate_limiter_set_rate(waits->limiter, 1 + skua_test_random() % 3, 0), 0);
    CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 3) * SKUA_SECOND), 0);
    if (skua_test_random() % 2)
        skua_rate_limiter_close(waits->limiter);
    return 0;
}

TEST_FIBER_ORDERS(rate_limiter_races)
{
    skua_rate_limiter limiter;
    struct wait waits[5];
    skua_task *tasks[5];
    skua_task *disturber;

    LIMITER(&limiter, .rate = 1, .burst = 3, .initial = 1);
    for (int i = 0; i < 5; i++) {
        int64_t most = (int64_t)(skua_test_random() % 6) * SKUA_SECOND;

        waits[i] = (struct wait){&limiter, skua_test_random() % 4, skua_now(),
                                 most == 0 ? SKUA_FOREVER : skua_now() + most, 0};
        spawn(wait_for_tokens, &waits[i], &tasks[i]);
    }
    spawn(disturbs, waits, &disturber);
    CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 4) * SKUA_SECOND), 0);
    (void)skua_task_cancel(tasks[skua_test_random() % 5]); /* it may have ended */
    for (int i = 0; i < 5; i++) {
        int rc = join(tasks[i]);

        CHECK(rc == 0 || rc == SKUA_ECLOSED || rc == -ECANCELED || rc == -ETIMEDOUT);
    }
    CHECK_EQ(join(disturber), 0);
    CHECK_EQ(length(&limiter), 0);
    CHECK(limiter.line.told == NULL);
    return 0;
}

/* ---- as a future ----------------------------------------------------------------------------- */

struct polled {
    skua_async async;
    skua_rate_limiter *limiter;
    skua_rate_limiter_future acquire;
    skua_poll answer;
    int left;
};

static skua_poll polls(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    for (; self->left > 0; self->left--) {
        SKUA_AWAIT_TO(self->answer,
                      skua_rate_limiter_acquire_init(&self->acquire, self->limiter, 2));
        if (self->answer != 0)
            return self->answer;
    }
    SKUA_ASYNC_END(0);
}

TEST_FIBER(rate_limiter_in_poll_tasks)
{
    skua_rate_limiter limiter;
    struct polled state = {.limiter = &limiter, .left = 6};
    int64_t begin = skua_now();

    LIMITER(&limiter, .rate = 1000, .burst = 2);
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), 0);
    CHECK_RANGE(skua_now() - begin, MS(10), MS(10) + TEST_LATE);
    skua_rate_limiter_close(&limiter);
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), SKUA_ECLOSED);
    return 0;
}

TEST_FIBER_ORDERS(rate_limiter_in_a_select)
{
    skua_rate_limiter limiter;
    int64_t begin = skua_now(), result = 99;

    LIMITER(&limiter, .rate = 1, .burst = 3, .initial = SKUA_RATE_EMPTY);
    CHECK_EQ(skua_select(skua_rate_limiter_acquiring(&limiter, 3), skua_sleeping(SKUA_SECOND)), 1);
    CHECK_EQ(length(&limiter), 0);
    CHECK_EQ(skua_rate_limiter_available(&limiter), 1); /* the loser took none */
    CHECK_EQ(
        skua_select_to(&result, skua_rate_limiter_acquiring(&limiter, 3), skua_sleeping(SKUA_HOUR)),
        0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_now() - begin, 3 * SKUA_SECOND);
    return 0;
}

/* ---- what holds for everything one lines up for ---------------------------------------------- */

static int wait_one(void *object, int64_t deadline)
{
    return skua_rate_limiter_acquire_until(object, 1, deadline);
}

static const struct test_line_ops one = {wait_one, NULL, length, NULL};

TEST_FIBER(rate_limiter_cancelled)
{
    skua_rate_limiter limiter;

    LIMITER(&limiter, .rate = 1, .period = DAY, .burst = 1);
    CHECK_EQ(skua_rate_limiter_acquire(&limiter, 1), 0);
    test_line_cancel(&one, &limiter, arg);
    CHECK(limiter.line.told == NULL);
    test_line_name(&one, &limiter, arg, "rate_limiter");
    return 0;
}

static int takes_one(void *arg)
{
    return skua_rate_limiter_acquire(arg, 1);
}

TEST_FIBER_CURRENT(rate_limiter_spends_budget)
{
    skua_rate_limiter limiter;

    LIMITER(&limiter, .rate = 1, .burst = UINT64_C(1) << 60);
    test_line_budget(takes_one, &limiter);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_limiter_options),
        TEST_WAITING_ENTRIES(rate_limiter_counts),
        TEST_WAITING_ENTRIES(rate_limiter_more_than_the_burst_never_comes),
        TEST_WAITING_ENTRIES(rate_limiter_waits),
        cmocka_unit_test(rate_limiter_a_minute_of_traffic),
        cmocka_unit_test(rate_limiter_nothing_is_rounded_away),
        cmocka_unit_test(rate_limiter_waits_longer_than_time),
        cmocka_unit_test(rate_limiter_a_small_request_does_not_pass_a_large_one),
        cmocka_unit_test(rate_limiter_a_dropped_wait_takes_no_tokens),
        cmocka_unit_test(rate_limiter_out_of_time),
        cmocka_unit_test(rate_limiter_dropped_with_the_turn),
        cmocka_unit_test(rate_limiter_told_and_late),
        cmocka_unit_test(rate_limiter_set_rate_is_told),
        cmocka_unit_test(rate_limiter_closed_while_some_wait),
        cmocka_unit_test(rate_limiter_races),
        cmocka_unit_test(rate_limiter_in_poll_tasks),
        cmocka_unit_test(rate_limiter_in_a_select),
        cmocka_unit_test(rate_limiter_cancelled),
        cmocka_unit_test(rate_limiter_spends_budget),
    };

    return TEST_MAIN(tests);
}
