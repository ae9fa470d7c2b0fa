/* drivers: both */
/* test_stop.c - stopping a runtime: every task cleans up and is joined, or is named.
 *
 * Specifies runtime.h: skua_runtime_stop, skua_runtime_free, stop_timeout, on_straggler: nothing
 * new is taken, what runs is cancelled, cleanups that wait are waited for, a task that does not
 * end in time is told to the hook and the runtime stays.
 */
#include <pthread.h>

#include "../lib/event.h"

static int counts_on(void *arg)
{
    for (;;) {
        int rc = skua_sleep(MS(1));

        if (rc != 0)
            return rc;
        atomic_fetch_add((atomic_int *)arg, 1);
    }
}

struct cleanups {
    atomic_int done;
    struct test_event never;
};

static int cleans_up(void *arg)
{
    struct cleanups *self = arg;
    int rc = test_event_wait(&self->never);

    CHECK_EQ(rc, -ECANCELED);
    skua_shield_begin();
    CHECK_EQ(skua_sleep(MS(2)), 0);
    skua_shield_end();
    atomic_fetch_add(&self->done, 1);
    return rc;
}

static int starts_many(void *arg)
{
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_spawn_on(skua_runtime_current(), cleans_up, arg), 0);
    while (test_event_waiters(&((struct cleanups *)arg)->never) < 100)
        skua_sleep(MS(1));
    return 0;
}

TEST(runtime_stop_cleans_up)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct cleanups cleanups = {.never = TEST_EVENT_INIT};
        int result = 77;

        test_run(runtime, starts_many, &cleanups);
        CHECK_EQ(atomic_load(&cleanups.done), 0);
        CHECK_EQ(skua_runtime_stop(runtime, SKUA_FOREVER), 0);
        CHECK_EQ(atomic_load(&cleanups.done), 100);
        CHECK(cleanups.never.waiters == NULL);
        CHECK_EQ(skua_spawn_on(runtime, test_fiber_return, NULL), SKUA_ESTOPPED);
        CHECK_EQ(skua_block_on(runtime, test_fiber_return, NULL, &result), SKUA_ESTOPPED);
        CHECK_EQ(result, 77);
        CHECK_EQ(skua_runtime_stop(runtime, skua_now()), 0);
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
}

struct straggling {
    struct test_event started, release;
    atomic_int named;
    atomic_bool right_name;
};

static int ignores_the_stop(void *arg)
{
    struct straggling *self = arg;
    int rc;

    skua_shield_begin();
    test_event_set(&self->started);
    rc = test_event_wait(&self->release);
    skua_shield_end();
    return rc;
}

static void note_straggler(const skua_task_info *task, void *arg)
{
    struct straggling *self = arg;

    atomic_fetch_add(&self->named, 1);
    if (task->site && strcmp(task->site->name, "mule") == 0)
        atomic_store(&self->right_name, true);
}

static int starts_mule(void *arg)
{
    struct straggling *self = arg;

    CHECK_EQ(skua_spawn_on(skua_runtime_current(), ignores_the_stop, self, .name = "mule"), 0);
    return test_event_wait(&self->started);
}

TEST(runtime_stop_names_stragglers)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        struct straggling self = {.started = TEST_EVENT_INIT, .release = TEST_EVENT_INIT};
        skua_runtime *runtime =
            test_runtime_with(&test_kinds[i], (skua_runtime_options){.on_straggler = note_straggler,
                                                                     .hook_arg = &self,
                                                                     .stop_timeout = MS(30)});
        int64_t begin;

        test_run(runtime, starts_mule, &self);
        begin = skua_now();
        CHECK_EQ(skua_runtime_stop(runtime, begin + MS(30)), -ETIMEDOUT);
        CHECK_RANGE(skua_now() - begin, MS(30), MS(30) + TEST_LATE);
        CHECK_EQ(atomic_load(&self.named), 1);
        CHECK(atomic_load(&self.right_name));
        CHECK_EQ(skua_runtime_free(runtime), -ETIMEDOUT); /* still there */
        CHECK_EQ(skua_spawn_on(runtime, test_fiber_return, NULL), SKUA_ESTOPPED);
        test_event_set(&self.release);
        CHECK_EQ(skua_runtime_stop(runtime, skua_now() + 10 * SKUA_SECOND), 0);
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
}

static int stops_its_own(void *arg)
{
    CHECK_EQ(skua_runtime_stop(arg, SKUA_FOREVER), SKUA_EUSAGE);
    CHECK_EQ(skua_runtime_stop(arg, skua_now()), SKUA_EUSAGE);
    CHECK_EQ(skua_cancelled(), 0);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), 0);
    return 0;
}

TEST(runtime_stop_is_not_for_its_workers)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        test_run(runtime, stops_its_own, runtime);
        test_runtime_free(runtime);
    }
}

static int stops_another(void *arg)
{
    skua_runtime *other;
    atomic_int count = 0;

    (void)arg;
    MUST(skua_runtime_new(&other, SKUA_RUNTIME_OPTIONS(.workers = 2)) == 0);
    CHECK_EQ(skua_spawn_on(other, counts_on, &count), 0);
    CHECK_EQ(skua_runtime_free(other), 0);
    return 0;
}

TEST_FIBER(runtime_stop_from_a_fiber_of_another)
{
    return stops_another(arg);
}

struct stopped_under {
    skua_runtime *runtime;
    struct test_event started;
    int result;
};

static int runs_until_stopped(void *arg)
{
    struct stopped_under *self = arg;

    test_event_set(&self->started);
    return skua_sleep(SKUA_FOREVER);
}

static void *blocks_until_stopped(void *arg)
{
    struct stopped_under *self = arg;

    CHECK_EQ(skua_block_on(self->runtime, runs_until_stopped, self, &self->result), 0);
    return NULL;
}

TEST(runtime_stop_ends_a_block_on)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        struct stopped_under self = {test_runtime(&test_kinds[i]), TEST_EVENT_INIT, 77};
        pthread_t thread;

        MUST(pthread_create(&thread, NULL, blocks_until_stopped, &self) == 0);
        CHECK_EQ(test_event_wait(&self.started), 0);
        CHECK_EQ(skua_runtime_stop(self.runtime, SKUA_FOREVER), 0);
        pthread_join(thread, NULL);
        CHECK_EQ(self.result, -ECANCELED);
        CHECK_EQ(skua_runtime_free(self.runtime), 0);
    }
}

static void *stops_from_elsewhere(void *arg)
{
    CHECK_EQ(skua_runtime_stop(arg, skua_now() + MS(50)), SKUA_EUSAGE);
    return NULL;
}

static int is_driven_meanwhile(void *arg)
{
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, stops_from_elsewhere, arg) == 0);
    CHECK_EQ(skua_sleep(MS(20)), 0);
    pthread_join(thread, NULL);
    /* Neither stopped nor broken. */
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), 0);
    CHECK_EQ(skua_sleep(MS(20)), 0);
    return 0;
}

/* A current-thread runtime is its thread's: nobody else's stop touches its timers or its tasks. */
TEST(runtime_stop_of_a_current_thread_runtime_by_another_thread)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);

    test_run(runtime, is_driven_meanwhile, runtime);
    test_runtime_free(runtime);
}

static int respawns(void *arg)
{
    int rc;

    while ((rc = skua_yield()) == 0)
        ;
    CHECK_EQ(rc, -ECANCELED);
    CHECK_EQ(skua_spawn_on(skua_runtime_current(), respawns, arg), SKUA_ESTOPPED);
    return rc;
}

/* Nothing new is taken while the old is being cancelled, not even from the tasks themselves. */
TEST(runtime_stop_takes_nothing_new)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        for (int n = 0; n < 20; n++)
            CHECK_EQ(skua_spawn_on(runtime, respawns, NULL), 0);
        test_thread_sleep(MS(5)); /* some have started; the others never will */
        CHECK_EQ(skua_runtime_stop(runtime, SKUA_FOREVER), 0);
        CHECK_EQ(skua_runtime_free(runtime), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime_stop_cleans_up),
        cmocka_unit_test(runtime_stop_names_stragglers),
        cmocka_unit_test(runtime_stop_is_not_for_its_workers),
        cmocka_unit_test(runtime_stop_from_a_fiber_of_another),
        cmocka_unit_test(runtime_stop_ends_a_block_on),
        cmocka_unit_test(runtime_stop_of_a_current_thread_runtime_by_another_thread),
        cmocka_unit_test(runtime_stop_takes_nothing_new),
    };

    return TEST_MAIN(tests);
}
