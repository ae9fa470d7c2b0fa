/* test_limit_stress.c - limits under fibers of two workers and plain threads, all at once.
 *
 * Specifies what holds in any order of limit.h and breaker.h: the bounds, and that nothing is left
 * behind.
 */
#include "../lib/line.h"

/* Eight fibers and two threads for a while. */
static void everybody(skua_fiber_fn fiber, void *(*thread)(void *), void *arg, atomic_int *stop)
{
    pthread_t threads[2];
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 8; i++)
        MUST(skua_spawn(&scope, fiber, arg) == 0);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, thread, arg) == 0);
    CHECK_EQ(skua_sleep(test_stress_time(1)), 0);
    atomic_store(stop, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void run(skua_fiber_fn fn, void *arg)
{
    skua_runtime *runtime =
        test_runtime(&(struct test_kind){"2 workers", SKUA_MULTI_THREAD, 2, false});

    test_run(runtime, fn, arg);
    test_runtime_free(runtime);
}

/* ---- rate limiter ---------------------------------------------------------------------------- */

struct rate_stress {
    skua_rate_limiter limiter;
    _Atomic uint64_t taken;
    atomic_int stop;
};

static int rate_fiber(void *arg)
{
    struct rate_stress *self = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;

    while (!atomic_load(&self->stop)) {
        uint64_t tokens = test_random(&random) % 50;
        int64_t deadline = skua_now() + (int64_t)(test_random(&random) % 2000000);
        int rc = skua_rate_limiter_acquire_until(&self->limiter, tokens, deadline);

        if (rc == 0)
            atomic_fetch_add(&self->taken, tokens);
        else
            CHECK(rc == -ETIMEDOUT || rc == SKUA_ECLOSED);
        if (test_random(&random) % 64 == 0)
            CHECK_EQ(skua_rate_limiter_set_rate(&self->limiter, 100, MS(1)), 0);
    }
    return 0;
}

static void *rate_thread(void *arg)
{
    (void)rate_fiber(arg);
    return NULL;
}

static int rate_all(void *arg)
{
    struct rate_stress *self = arg;
    int64_t begin = skua_now();
    uint64_t taken;

    MUST(skua_rate_limiter_init(
             &self->limiter,
             SKUA_RATE_LIMITER_OPTIONS(.rate = 100, .period = MS(1), .burst = 100)) == 0);
    everybody(rate_fiber, rate_thread, self, &self->stop);
    taken = atomic_load(&self->taken);
    CHECK(taken <= 100 + 100 * (uint64_t)(skua_now() - begin) / MS(1));
    CHECK(taken > 100);
    CHECK_EQ(TEST_LINE(&self->limiter.line), 0);
    CHECK(self->limiter.line.told == NULL);
    return 0;
}

TEST(rate_limiter_stress)
{
    struct rate_stress self = {.stop = 0};

    run(rate_all, &self);
}

/* ---- limiter --------------------------------------------------------------------------------- */

struct limiter_stress {
    skua_limiter limiter;
    atomic_int inside, stop;
    _Atomic uint64_t in, shed;
};

static int limiter_fiber(void *arg)
{
    struct limiter_stress *self = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;

    while (!atomic_load(&self->stop)) {
        int64_t deadline = skua_now() + (int64_t)(test_random(&random) % 200000);
        int rc = skua_limiter_enter_until(&self->limiter, deadline);

        CHECK(rc == 0 || rc == SKUA_ELIMIT || rc == -ETIMEDOUT);
        atomic_fetch_add(&self->shed, rc == SKUA_ELIMIT);
        if (rc != 0)
            continue;
        atomic_fetch_add(&self->in, 1);
        CHECK_RANGE(atomic_fetch_add(&self->inside, 1), 0, 2);
        (void)skua_yield();
        atomic_fetch_sub(&self->inside, 1);
        CHECK_EQ(skua_limiter_leave(&self->limiter), 0);
    }
    return 0;
}

static void *limiter_thread(void *arg)
{
    (void)limiter_fiber(arg);
    return NULL;
}

static int limiter_all(void *arg)
{
    struct limiter_stress *self = arg;
    skua_limiter_stats all = {.size = sizeof all};

    MUST(skua_limiter_init(&self->limiter,
                           SKUA_LIMITER_OPTIONS(.running = 3, .waiting = 4, .max_wait = MS(1) / 10,
                                                .target = MS(1) / 50, .interval = MS(1) / 10)) ==
         0);
    everybody(limiter_fiber, limiter_thread, self, &self->stop);
    CHECK(self->in > 10);
    CHECK_EQ(skua_limiter_snapshot(&self->limiter, &all), 0);
    CHECK_EQ(all.running, 0);
    CHECK_EQ(all.waiting, 0);
    CHECK_EQ(all.admitted, self->in);
    CHECK(all.shed >= self->shed);
    CHECK_EQ(TEST_LINE(&self->limiter), 0);
    return 0;
}

TEST(limiter_stress)
{
    struct limiter_stress self = {.stop = 0};

    run(limiter_all, &self);
}

/* ---- circuit breaker ------------------------------------------------------------------------- */

struct breaker_stress {
    skua_breaker breaker;
    atomic_int stop;
    _Atomic uint64_t refused, done;
};

static int breaker_fiber(void *arg)
{
    struct breaker_stress *self = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;

    while (!atomic_load(&self->stop)) {
        skua_breaker_ticket ticket;
        uint64_t dice = test_random(&random) % 100;

        if (skua_breaker_enter(&self->breaker, &ticket) != 0) {
            atomic_fetch_add(&self->refused, 1);
            (void)skua_yield();
            continue;
        }
        (void)skua_yield();
        atomic_fetch_add(&self->done, 1);
        if (dice != 99) /* one in a hundred is lost */
            CHECK_EQ(skua_breaker_leave(&self->breaker, &ticket, dice < 45 ? -EIO : 0), 0);
        if (dice == 98 && test_random(&random) % 100 == 0)
            skua_breaker_reset(&self->breaker);
    }
    return 0;
}

static void *breaker_thread(void *arg)
{
    (void)breaker_fiber(arg);
    return NULL;
}

static int breaker_all(void *arg)
{
    struct breaker_stress *self = arg;
    skua_breaker_stats all = {.size = sizeof all};
    skua_breaker_ticket ticket;

    MUST(skua_breaker_init(&self->breaker,
                           SKUA_BREAKER_OPTIONS(.window = MS(1), .minimum = 10, .open = MS(1) / 10,
                                                .probes = 3, .successes = 2, .abandon = MS(1))) ==
         0);
    everybody(breaker_fiber, breaker_thread, self, &self->stop);
    CHECK(self->done > 10);
    CHECK_EQ(skua_breaker_snapshot(&self->breaker, &all), 0);
    CHECK_EQ(all.refused, self->refused);
    CHECK(all.opened > 1);
    CHECK_EQ(skua_sleep(MS(1)), 0); /* whatever it was left in, it is tried again */
    CHECK_EQ(skua_breaker_retry_after(&self->breaker), 0);
    CHECK_EQ(skua_breaker_enter(&self->breaker, &ticket), 0);
    return 0;
}

TEST(breaker_stress)
{
    struct breaker_stress self = {.stop = 0};

    run(breaker_all, &self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_limiter_stress),
        cmocka_unit_test(limiter_stress),
        cmocka_unit_test(breaker_stress),
    };

    return TEST_MAIN(tests);
}
