/* drivers: both */
/* test_inspect.c - hooks and the snapshot: what a runtime tells about itself.
 *
 * Specifies runtime.h: the hooks are called on the right threads and balance; the numbers of
 * skua_runtime_snapshot and skua_runtime_each_task agree with what was done, and looking does not
 * disturb.
 */
#include <pthread.h>

#include "../lib/event.h"

/* ---- hooks ----------------------------------------------------------------------------------- */

static int sleeps_a_little(void *arg)
{
    (void)arg;
    return skua_sleep(MS(20));
}

struct hooks {
    atomic_int starts, stops, parks, unparks, spawns, dones;
    atomic_bool wrong_thread;
    pthread_t caller;
};

static void on_start(void *arg)
{
    atomic_fetch_add(&((struct hooks *)arg)->starts, 1);
}

static void on_stop(void *arg)
{
    atomic_fetch_add(&((struct hooks *)arg)->stops, 1);
}

static void on_park(void *arg)
{
    struct hooks *self = arg;

    atomic_fetch_add(&self->parks, 1);
}

static void on_unpark(void *arg)
{
    struct hooks *self = arg;

    CHECK(atomic_fetch_add(&self->unparks, 1) < atomic_load(&self->parks));
}

static void on_spawn(const skua_task_info *task, void *arg)
{
    CHECK(task->id != 0);
    CHECK(task->site && task->site->name && task->site->file && task->site->line > 0);
    atomic_fetch_add(&((struct hooks *)arg)->spawns, 1);
}

static void on_done(const skua_task_info *task, void *arg)
{
    CHECK(task->id != 0);
    CHECK(task->site && task->site->name);
    atomic_fetch_add(&((struct hooks *)arg)->dones, 1);
}

static int spawns_fifty(void *arg)
{
    skua_scope scope;

    (void)arg;
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(skua_spawn(&scope, sleeps_a_little, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_sleep(MS(50)), 0); /* alone: its worker parks */
    CHECK_EQ(skua_spawn_on(skua_runtime_current(), test_fiber_forever, NULL), 0);
    return 0;
}

TEST(runtime_hooks_balance)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        struct hooks hooks = {.caller = pthread_self()};
        skua_runtime *runtime =
            test_runtime_with(&test_kinds[i], (skua_runtime_options){.on_thread_start = on_start,
                                                                     .on_thread_stop = on_stop,
                                                                     .on_thread_park = on_park,
                                                                     .on_thread_unpark = on_unpark,
                                                                     .on_task_spawn = on_spawn,
                                                                     .on_task_done = on_done,
                                                                     .hook_arg = &hooks});

        test_run(runtime, spawns_fifty, NULL);
        test_runtime_free(runtime);
        if (test_kinds[i].workers)
            CHECK_EQ(atomic_load(&hooks.starts), test_kinds[i].workers);
        CHECK_EQ(atomic_load(&hooks.starts), atomic_load(&hooks.stops));
        CHECK_EQ(atomic_load(&hooks.spawns), 52);
        CHECK_EQ(atomic_load(&hooks.dones), 52);
        CHECK(atomic_load(&hooks.parks) > 0);
        CHECK_EQ(atomic_load(&hooks.parks), atomic_load(&hooks.unparks));
    }
}

/* ---- looking inside -------------------------------------------------------------------------- */

static void count_task(const skua_task_info *task, void *arg)
{
    CHECK(task->id != 0);
    CHECK(task->site && task->site->name);
    (*(int *)arg)++;
}

static int sleeps_an_hour(void *arg)
{
    (void)arg;
    return skua_sleep(SKUA_HOUR);
}

static int looks_inside(void *arg)
{
    skua_runtime_stats stats = {.size = sizeof stats};
    skua_worker_stats workers[8];
    skua_scope scope;
    int count, seen = 0;
    uint64_t spawns = 0, polls = 0;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_spawn(&scope, sleeps_an_hour, NULL), 0);
    for (int i = 0; i < 100 && stats.total.timers_armed < 100; i++) {
        skua_sleep(MS(10));
        skua_runtime_snapshot(arg, &stats, NULL, 0);
    }
    memset(workers, 0xff, sizeof workers);
    count = skua_runtime_snapshot(arg, &stats, workers, 8);
    CHECK_RANGE(count, 1, 4);
    CHECK_EQ(stats.workers, count);
    CHECK_EQ(stats.alive_tasks, 101);
    CHECK_EQ(stats.spawned_tasks, 101);
    CHECK_EQ(stats.remote_spawns + stats.total.spawns, 101);
    CHECK_EQ(skua_runtime_each_task(arg, count_task, &seen), 101);
    CHECK_EQ(seen, 101);
    CHECK(stats.stacks >= 101);
    CHECK(stats.cells_bytes >= 101 * 64);
    CHECK(stats.total.polls >= 101);
    CHECK_RANGE(stats.total.timers_armed, 100, 101);
    for (int i = 0; i < count; i++) {
        spawns += workers[i].spawns;
        polls += workers[i].polls;
        CHECK(workers[i].busy_ns >= 0);
    }
    CHECK_EQ(spawns, stats.total.spawns);
    CHECK(polls <= stats.total.polls + 100);
    skua_scope_cancel(&scope);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK_EQ(skua_runtime_snapshot(arg, &stats, NULL, 0), count);
    CHECK_EQ(stats.alive_tasks, 1);
    CHECK_EQ(stats.spawned_tasks, 101);
    return 0;
}

TEST_FIBER(runtime_snapshot_agrees)
{
    return looks_inside(arg);
}

TEST(runtime_snapshot_takes_care_of_sizes)
{
    skua_runtime *runtime = test_runtime(&test_kinds[3]);
    skua_runtime_stats stats = {.size = 1};
    skua_worker_stats workers[3];

    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), -EINVAL);
    stats.size = 0;
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), -EINVAL);
    stats.size = sizeof stats;
    memset(workers, 0xff, sizeof workers);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, workers, 2), 4);
    CHECK(workers[1].spawns != UINT64_MAX);
    CHECK(workers[2].spawns == UINT64_MAX);
    CHECK(stats.driver && (!strcmp(stats.driver, "epoll") || !strcmp(stats.driver, "io_uring") ||
                           !strcmp(stats.driver, "kqueue")));
    CHECK(strcmp(stats.name, "skua") == 0);
    test_runtime_free(runtime);
}

struct onlooker {
    skua_runtime *runtime;
    atomic_int done;
};

static void *looks_on(void *arg)
{
    struct onlooker *self = arg;
    skua_runtime_stats stats = {.size = sizeof stats};
    int seen = 0;

    while (atomic_load(&self->done) == 0) {
        skua_runtime_snapshot(self->runtime, &stats, NULL, 0);
        skua_runtime_each_task(self->runtime, count_task, &seen);
    }
    return NULL;
}

/* Looking on from another thread harms nobody, while tasks come and go. */
TEST_FIBER(runtime_snapshot_while_it_runs)
{
    struct onlooker self = {.runtime = arg};
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, looks_on, &self) == 0);
    for (int i = 0; i < 100; i++) {
        skua_scope scope;

        skua_scope_open(&scope, SKUA_COLLECT);
        for (int n = 0; n < 20; n++)
            CHECK_EQ(skua_spawn(&scope, test_fiber_return, NULL), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
    }
    atomic_store(&self.done, 1);
    pthread_join(thread, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime_hooks_balance),
        cmocka_unit_test(runtime_snapshot_agrees),
        cmocka_unit_test(runtime_snapshot_takes_care_of_sizes),
        cmocka_unit_test(runtime_snapshot_while_it_runs),
    };

    return TEST_MAIN(tests);
}
