/* test_many.c - 100,000 parked fibers and 1,000,000 sleeping poll tasks, alive at once.
 *
 * The architecture's promise: a million poll tasks in well under 100 MB of headers and states, a
 * parked fiber from 4 KiB resident, guards that do not run into vm.max_map_count. Prints the
 * resident memory a task. Under sanitizers the counts are smaller and memory is not judged.
 */
#include "../lib/event.h"
#include "../lib/usage.h"

struct sleeper {
    skua_async async;
    atomic_int *started;
    skua_sleep_future sleep;
};

static skua_poll sleeps_long(void *state, skua_waker *waker)
{
    struct sleeper *self = state;

    SKUA_ASYNC(self, waker);
    atomic_fetch_add(self->started, 1);
    SKUA_AWAIT(skua_sleep_init(&self->sleep, SKUA_HOUR));
    SKUA_ASYNC_END(0);
}

struct crowd {
    struct test_event *never;
    atomic_int started;
};

static int parks(void *arg)
{
    struct crowd *self = arg;

    atomic_fetch_add(&self->started, 1);
    return skua_sleep(SKUA_HOUR);
}

static int count_of(int full)
{
    return TEST_TSAN ? full / 200 : TEST_ASAN ? full / 50 : full;
}

static void spawn_fibers(skua_scope *scope, struct crowd *crowd, int count)
{
    for (int i = 0; i < count; i++) {
        int rc = skua_spawn(scope, parks, crowd);

        if (!CHECK_EQ(rc, 0))
            return;
    }
    while (atomic_load(&crowd->started) < count)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_sleep(MS(50)), 0); /* the last one parks */
}

static void spawn_poll_tasks(skua_scope *scope, int count)
{
    atomic_int started = 0;

    for (int i = 0; i < count; i++)
        if (!CHECK_EQ(skua_spawn_poll(scope, sleeps_long, &(struct sleeper){.started = &started}),
                      0))
            return;
    while (atomic_load(&started) < count)
        CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_sleep(MS(50)), 0);
}

static int makes_a_crowd(void *arg)
{
    int fibers = count_of(100000), polls = count_of(1000000);
    struct crowd crowd = {.started = 0};
    int64_t empty = test_resident(), with_fibers, with_all, begin = skua_now();
    skua_runtime_stats stats = {.size = sizeof stats};
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    spawn_fibers(&scope, &crowd, fibers);
    with_fibers = test_resident();
    spawn_poll_tasks(&scope, polls);
    with_all = test_resident();
    CHECK_EQ(skua_scope_alive(&scope), fibers + polls);
    skua_runtime_snapshot(arg, &stats, NULL, 0);
    CHECK_EQ(stats.alive_tasks, fibers + polls + 1);
    test_note("%d fibers: %lld bytes each; %d poll tasks: %lld bytes each; %.1f s", fibers,
              (long long)((with_fibers - empty) / fibers), polls,
              (long long)((with_all - with_fibers) / polls),
              (double)(skua_now() - begin) / (double)SKUA_SECOND);
    if (!TEST_SANITIZED) {
        CHECK_RANGE((with_fibers - empty) / fibers, 1, 9 * 1024);
        CHECK_RANGE((with_all - with_fibers) / polls, 1, 256);
    }
    begin = skua_now();
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    test_note("cancelled and joined in %.1f s", (double)(skua_now() - begin) / (double)SKUA_SECOND);
    return 0;
}

static void run_many(const struct test_kind *kind)
{
    skua_runtime *runtime = test_runtime(kind);

    test_limit(60);
    test_run(runtime, makes_a_crowd, runtime);
    test_runtime_free(runtime);
}

TEST(many_tasks_on_the_current_thread)
{
    run_many(&test_kinds[0]);
}

TEST(many_tasks_on_two_workers)
{
    run_many(&test_kinds[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_tasks_on_the_current_thread),
        cmocka_unit_test(many_tasks_on_two_workers),
    };

    return TEST_MAIN(tests);
}
