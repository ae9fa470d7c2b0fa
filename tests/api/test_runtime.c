/* drivers: both */
/* test_runtime.c - runtimes: options, the environment, block_on.
 *
 * Specifies runtime.h but for stopping (test_stop.c), hooks and the snapshot (test_inspect.c) and
 * skua_main (test_main.c): which options are refused, who may block on a runtime, that several
 * live side by side, and that none leaves anything behind.
 */
#include <pthread.h>

#include "../lib/event.h"
#include "../lib/usage.h"

/* ---- options --------------------------------------------------------------------------------- */

#define OPTIONS(...)                                                                               \
    {                                                                                              \
        .size = sizeof(skua_runtime_options), __VA_ARGS__                                          \
    }

TEST(runtime_refuses_options)
{
    static const skua_runtime_options wrong[] = {
        /* 0 */ OPTIONS(.workers = 1025),
        /* 1 */ OPTIONS(.workers = UINT32_MAX),
        /* 2 */ OPTIONS(.stack_size = 1),
        /* 3 */ OPTIONS(.stack_size = 16 * 1024 - 1),
        /* 4 */ OPTIONS(.stack_size = 64 * 1024 * 1024 + 1),
        /* 5 */ OPTIONS(.stack_size = SIZE_MAX),
        /* 6 */ OPTIONS(.stack_size_large = SIZE_MAX),
        /* 7 */ OPTIONS(.stack_size_large = 1),
        /* 8 */ OPTIONS(.kind = (skua_runtime_kind)7),
        /* 9 */ OPTIONS(.driver = (skua_driver)7),
        /* 10 */ OPTIONS(.stop_timeout = -1),
        /* 11 */ OPTIONS(.placement = (skua_placement)7),
        /* 12 */ OPTIONS(.cpus = "all"),
        /* 13 */ OPTIONS(.cpus = "1023"), /* not on this machine */
        /* 14 */ OPTIONS(.workers = 1, .cpus_exclude = "0-1023"),
        /* 15 */ OPTIONS(.numa_nodes = "1000"),
        /* 16 */ OPTIONS(.one_per_core = 2),
        /* 17 */ OPTIONS(.ignore_quota = -1),
        /* 18 */ OPTIONS(.kind = SKUA_CURRENT_THREAD, .cpus = "0"),
        /* 19 */ OPTIONS(.kind = SKUA_CURRENT_THREAD, .placement = SKUA_PLACE_PACK),
        /* 20 */ {.size = 0},
        /* 21 */ {.size = 3},
    };
    int fds = test_fd_count(), threads = test_thread_count();

    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        skua_runtime *untouched = (skua_runtime *)8, *runtime = untouched;
        int rc = skua_runtime_new(&runtime, &wrong[i]);

        if (!CHECK_EQ(rc, -EINVAL))
            test_note("in row %zu", i);
        CHECK(runtime == untouched || rc == 0);
        if (rc == 0)
            skua_runtime_free(runtime);
    }
    CHECK_EQ(test_fd_count(), fds);
    CHECK_EQ(test_thread_settle(threads), threads);
}

TEST(runtime_takes_the_bounds)
{
    static const skua_runtime_options right[] = {
        OPTIONS(.workers = 1, .stack_size = 16 * 1024),
        OPTIONS(.workers = 1, .stack_size = 64 * 1024 * 1024),
        OPTIONS(.workers = 1, .stack_size = 20000), /* no multiple of a page */
        OPTIONS(.workers = 64),
        OPTIONS(.workers = 2, .budget = 1, .event_interval = 1, .inject_interval = 1),
        OPTIONS(.workers = 2, .budget = 1000000, .event_interval = 1000000),
        OPTIONS(.workers = 1, .stop_timeout = SKUA_FOREVER, .seed = 1),
        OPTIONS(.kind = SKUA_CURRENT_THREAD, .name = ""),
        OPTIONS(.workers = 1, .name = "a name that is much longer than a thread's can be"),
    };

    for (size_t i = 0; i < TEST_LEN(right); i++) {
        skua_runtime *runtime = NULL;
        int result = 0;

        MUST(skua_runtime_new(&runtime, &right[i]) == 0);
        CHECK_EQ(skua_block_on(runtime, test_fiber_return, (void *)3, &result), 0);
        CHECK_EQ(result, 3);
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
    CHECK_EQ(skua_runtime_free(NULL), 0);
}

TEST(runtime_options_init)
{
    skua_runtime_options options;
    skua_runtime *runtime;

    memset(&options, 0xff, sizeof options);
    skua_runtime_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    CHECK(options.on_straggler == NULL && options.hook_arg == NULL);
    MUST(skua_runtime_new(&runtime, &options) == 0);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    MUST(skua_runtime_new(&runtime, NULL) == 0);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

/* The name is copied: what the caller does to it later does not matter. */
TEST(runtime_copies_its_name)
{
    char name[] = "courier";
    skua_runtime_stats stats = {.size = sizeof stats};
    skua_runtime *runtime;

    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.name = name, .workers = 3)) == 0);
    memset(name, 'x', sizeof name - 1);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 3);
    CHECK(strcmp(stats.name, "courier") == 0);
    CHECK_EQ(stats.workers, 3);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

TEST(runtime_reads_the_environment)
{
    static const char *const wrong[][2] = {
        {"SKUA_DRIVER", "select"}, {"SKUA_DRIVER", "EPOLL"}, {"SKUA_WORKERS", "0"},
        {"SKUA_WORKERS", "-1"},    {"SKUA_WORKERS", "two"},  {"SKUA_WORKERS", "2x"},
        {"SKUA_WORKERS", "1025"},  {"SKUA_WORKERS", "1e1"},  {"SKUA_WORKERS", "99999999999999"},
    };
    const char *driver = getenv("SKUA_DRIVER");
    char *before = driver ? strdup(driver) : NULL;
    skua_runtime_stats stats = {.size = sizeof stats};
    skua_runtime *runtime;

    for (size_t i = 0; i < TEST_LEN(wrong); i++) {
        setenv(wrong[i][0], wrong[i][1], 1);
        if (!CHECK_EQ(skua_runtime_new(&runtime, NULL), -EINVAL))
            test_note("%s=%s", wrong[i][0], wrong[i][1]);
        unsetenv(wrong[i][0]);
    }
    setenv("SKUA_WORKERS", "3", 1);
    setenv("SKUA_DRIVER", "epoll", 1);
    MUST(skua_runtime_new(&runtime, NULL) == 0);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 3);
    CHECK(strcmp(stats.driver, "epoll") == 0);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 1)) == 0);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 1);
    CHECK_EQ(skua_runtime_free(runtime), 0);
    unsetenv("SKUA_WORKERS");
    unsetenv("SKUA_DRIVER");
    if (before)
        setenv("SKUA_DRIVER", before, 1);
    free(before);
}

/* ---- block_on -------------------------------------------------------------------------------- */

static int blocks_inside(void *arg)
{
    skua_runtime *other = arg;
    int result = 77;

    CHECK_EQ(skua_block_on(skua_runtime_current(), test_fiber_return, NULL, &result), SKUA_EUSAGE);
    CHECK_EQ(skua_block_on(other, test_fiber_return, NULL, &result), SKUA_EUSAGE);
    CHECK_EQ(result, 77);
    return 0;
}

TEST(runtime_block_on_is_for_threads)
{
    for (int i = 0; i < TEST_KINDS; i++)
        for (int j = 0; j < 2; j++) {
            skua_runtime *other = test_runtime(&test_kinds[j]);
            skua_runtime *runtime = test_runtime(&test_kinds[i]);

            test_run(runtime, blocks_inside, other);
            test_runtime_free(runtime);
            test_runtime_free(other);
        }
}

struct crowd {
    skua_runtime *runtime;
    atomic_int sum;
};

static int adds_after_sleep(void *arg)
{
    skua_sleep(MS(1));
    return atomic_fetch_add((atomic_int *)arg, 1) >= 0 ? 1 : 0;
}

static void *blocks_often(void *arg)
{
    struct crowd *self = arg;

    for (int i = 0; i < 50; i++) {
        int result = 0;

        CHECK_EQ(skua_block_on(self->runtime, adds_after_sleep, &self->sum, &result), 0);
        CHECK_EQ(result, 1);
    }
    return NULL;
}

TEST(runtime_many_threads_block_on_one)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        struct crowd crowd = {.runtime = test_runtime(&test_kinds[i])};
        pthread_t threads[6];

        for (int n = 0; n < 6; n++)
            MUST(pthread_create(&threads[n], NULL, blocks_often, &crowd) == 0);
        for (int n = 0; n < 6; n++)
            pthread_join(threads[n], NULL);
        CHECK_EQ(atomic_load(&crowd.sum), 300);
        test_runtime_free(crowd.runtime);
    }
}

struct driving {
    skua_runtime *runtime;
    struct test_event inside, leave;
};

static int stays_inside(void *arg)
{
    struct driving *self = arg;

    test_event_set(&self->inside);
    return test_event_wait(&self->leave);
}

static void *drives(void *arg)
{
    struct driving *self = arg;

    CHECK_EQ(skua_block_on(self->runtime, stays_inside, self, NULL), 0);
    return NULL;
}

/* It belongs to the first thread that drives it, for ever. */
TEST(runtime_current_thread_has_one_driver)
{
    struct driving self = {test_runtime(&test_kinds[0]), TEST_EVENT_INIT, TEST_EVENT_INIT};
    pthread_t thread;
    int result = 77;

    MUST(pthread_create(&thread, NULL, drives, &self) == 0);
    CHECK_EQ(test_event_wait(&self.inside), 0);
    CHECK_EQ(skua_block_on(self.runtime, test_fiber_return, NULL, &result), SKUA_EUSAGE);
    CHECK_EQ(result, 77);
    test_event_set(&self.leave);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_block_on(self.runtime, test_fiber_return, NULL, &result), SKUA_EUSAGE);
    CHECK_EQ(result, 77);
    test_runtime_free(self.runtime);
}

static int counts_on(void *arg)
{
    for (;;) {
        int rc = skua_sleep(MS(1));

        if (rc != 0)
            return rc;
        atomic_fetch_add((atomic_int *)arg, 1);
    }
}

static int sleeps_a_little(void *arg)
{
    (void)arg;
    return skua_sleep(MS(20));
}

static int sees_it_count(void *arg)
{
    int before = atomic_load((atomic_int *)arg);

    while (atomic_load((atomic_int *)arg) == before)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    return 0;
}

/* Between two block_on a current-thread runtime stands still; its tasks go on in the next one. */
TEST(runtime_current_thread_runs_inside_block_on)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);
    atomic_int count = 0;
    int before;

    CHECK_EQ(skua_spawn_on(runtime, counts_on, &count), 0);
    test_thread_sleep(MS(20));
    CHECK_EQ(atomic_load(&count), 0);
    test_run(runtime, sees_it_count, &count);
    before = atomic_load(&count);
    test_thread_sleep(MS(20));
    CHECK_EQ(atomic_load(&count), before);
    test_run(runtime, sees_it_count, &count);
    test_runtime_free(runtime);
}

struct leftover {
    atomic_int begun, ended;
    int rc, result;
    int64_t duration;
};

static int is_left_over(void *arg)
{
    struct leftover *self = arg;

    atomic_store(&self->begun, 1);
    self->rc = skua_sleep(self->duration);
    skua_shield_begin();
    skua_sleep(MS(5));
    skua_shield_end();
    atomic_store(&self->ended, 1);
    return self->rc;
}

static int leaves_one_over(void *arg)
{
    struct leftover *self = arg;

    CHECK_EQ(skua_spawn(NULL, is_left_over, self), 0);
    test_yield_until(&self->begun); /* who is cancelled before that never begins */
    return self->result;
}

/* Joined always; cancelled when the fiber failed. */
TEST(runtime_block_on_joins_what_is_left)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct leftover ends = {.rc = 77, .result = 8, .duration = MS(30)};
        struct leftover cancelled = {.rc = 77, .result = -EIO, .duration = SKUA_FOREVER};
        int result = 0;

        CHECK_EQ(skua_block_on(runtime, leaves_one_over, &ends, &result), 0);
        CHECK_EQ(result, 8);
        CHECK_EQ(atomic_load(&ends.ended), 1);
        CHECK_EQ(ends.rc, 0);
        CHECK_EQ(skua_block_on(runtime, leaves_one_over, &cancelled, &result), 0);
        CHECK_EQ(result, -EIO);
        CHECK_EQ(atomic_load(&cancelled.ended), 1);
        CHECK_EQ(cancelled.rc, -ECANCELED);
        test_runtime_free(runtime);
    }
}

/* ---- several at once ------------------------------------------------------------------------- */

TEST(runtime_several_at_once)
{
    enum { COUNT = 8 };
    struct crowd crowds[COUNT];
    pthread_t threads[COUNT];

    for (int i = 0; i < COUNT; i++) {
        atomic_init(&crowds[i].sum, 0);
        crowds[i].runtime = test_runtime(&test_kinds[i % TEST_KINDS]);
        MUST(pthread_create(&threads[i], NULL, blocks_often, &crowds[i]) == 0);
    }
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(atomic_load(&crowds[i].sum), 50);
    }
    for (int i = 0; i < COUNT; i++)
        test_runtime_free(crowds[i].runtime);
}

TEST(runtime_leaves_nothing_behind)
{
    int fds, threads = test_thread_count();

    CHECK_EQ(skua_runtime_free(test_runtime(&test_kinds[3])), 0); /* what is made once is made */
    fds = test_fd_count();
    CHECK_EQ(test_thread_settle(threads), threads);
    for (int i = 0; i < 50; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i % TEST_KINDS]);

        test_run(runtime, sleeps_a_little, NULL);
        test_runtime_free(runtime);
    }
    CHECK_EQ(test_fd_count(), fds);
    CHECK_EQ(test_thread_settle(threads), threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime_refuses_options),
        cmocka_unit_test(runtime_takes_the_bounds),
        cmocka_unit_test(runtime_options_init),
        cmocka_unit_test(runtime_copies_its_name),
        cmocka_unit_test(runtime_reads_the_environment),
        cmocka_unit_test(runtime_block_on_is_for_threads),
        cmocka_unit_test(runtime_many_threads_block_on_one),
        cmocka_unit_test(runtime_current_thread_has_one_driver),
        cmocka_unit_test(runtime_current_thread_runs_inside_block_on),
        cmocka_unit_test(runtime_block_on_joins_what_is_left),
        cmocka_unit_test(runtime_several_at_once),
        cmocka_unit_test(runtime_leaves_nothing_behind),
    };

    return TEST_MAIN(tests);
}
