/* test_stress_spawn.c - spawning as fast as can be, from everywhere, of all kinds.
 *
 * Fibers and poll tasks are spawned from fibers, poll tasks and foreign threads into nested scopes
 * until the time is up; every one must run exactly once and every scope must be joined.
 * SKUA_STRESS_SECONDS lengthens it, TEST_SEED repeats it.
 */
#include <pthread.h>

#include "../lib/event.h"

/* ThreadSanitizer takes a millisecond for a fiber, and knows no more than some thousands. */
enum { ALIVE_MAX = TEST_TSAN ? 100 : 2000 };

struct spawn_storm {
    skua_scope *scope;
    int64_t until;
    uint64_t seed;
    atomic_llong spawned, ran;
    struct test_latch threads;
};

static int leaf(void *arg)
{
    atomic_fetch_add(&((struct spawn_storm *)arg)->ran, 1);
    return 0;
}

static skua_poll poll_leaf(void *state, skua_waker *waker)
{
    (void)waker;
    return leaf(*(void **)state);
}

struct slow_leaf {
    skua_async async;
    struct spawn_storm *storm;
    skua_sleep_future sleep;
};

static skua_poll sleepy_leaf(void *state, skua_waker *waker)
{
    struct slow_leaf *self = state;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, 100 * SKUA_MICROSECOND));
    leaf(self->storm);
    SKUA_ASYNC_END(0);
}

static int branch(void *arg);

static void spawn_one(struct spawn_storm *storm, skua_scope *scope, uint64_t what)
{
    static const skua_priority priorities[] = {SKUA_NORMAL, SKUA_HIGH, SKUA_LOW, SKUA_NORMAL};
    skua_priority priority = priorities[(what >> 8) % 4];
    int rc;

    atomic_fetch_add(&storm->spawned, 1);
    switch (what % 8) {
    case 0:
        rc = skua_spawn(scope, branch, storm, .priority = priority);
        break;
    case 1:
    case 2:
        rc = skua_spawn_poll(scope, poll_leaf, &storm, .priority = priority);
        break;
    case 3:
        rc = skua_spawn_poll(scope, sleepy_leaf, &(struct slow_leaf){.storm = storm});
        break;
    case 4:
        rc = skua_spawn(scope, leaf, storm, .stack = SKUA_STACK_LARGE);
        break;
    default:
        rc = skua_spawn(scope, leaf, storm, .priority = priority);
    }
    CHECK_EQ(rc, 0);
}

/* A fiber with a scope of its own, whose children are leaves and now and then branches. */
static int branch(void *arg)
{
    struct spawn_storm *storm = arg;
    uint64_t random = (storm->seed ^ (skua_task_current_id() * 0x9e3779b97f4a7c15u)) | 1;
    skua_scope scope;
    int count = (int)(test_random(&random) % 6), rc;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < count; i++)
        spawn_one(storm, &scope, test_random(&random));
    if (random & 64)
        CHECK_EQ(skua_yield(), 0);
    rc = skua_scope_join(&scope);
    leaf(storm);
    return rc;
}

static void *foreign_spawner(void *arg)
{
    struct spawn_storm *storm = arg;
    uint64_t random = (storm->seed ^ (uint64_t)(uintptr_t)&random) | 1;

    while (skua_now() < storm->until) {
        for (int i = 0; i < ALIVE_MAX / 20; i++)
            spawn_one(storm, storm->scope, test_random(&random));
        do
            test_thread_sleep(MS(1));
        while (skua_scope_alive(storm->scope) > ALIVE_MAX);
    }
    test_latch_hit(&storm->threads);
    return NULL;
}

static int runs_storm(void *arg)
{
    struct spawn_storm *storm = arg;
    uint64_t random = storm->seed;
    pthread_t threads[2];
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    storm->scope = &scope;
    test_latch_init(&storm->threads, 2);
    for (int i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, foreign_spawner, storm) == 0);
    while (skua_now() < storm->until) {
        for (int i = 0; i < ALIVE_MAX / 20; i++)
            spawn_one(storm, &scope, test_random(&random));
        while (skua_scope_alive(&scope) > ALIVE_MAX)
            CHECK_EQ(skua_sleep(MS(1)), 0);
    }
    CHECK_EQ(test_latch_wait(&storm->threads), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

TEST(stress_spawn_storm)
{
    int64_t time = test_stress_time(5) / TEST_KINDS;
    uint64_t seed = test_seed();

    for (int i = 0; i < TEST_KINDS; i++) {
        struct spawn_storm storm = {.seed = seed, .until = skua_now() + time};
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        test_run(runtime, runs_storm, &storm);
        test_runtime_free(runtime);
        CHECK_EQ(atomic_load(&storm.ran), atomic_load(&storm.spawned));
        test_note("%s: %lld tasks", test_kinds[i].label, (long long)atomic_load(&storm.ran));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stress_spawn_storm),
    };

    return TEST_MAIN(tests);
}
