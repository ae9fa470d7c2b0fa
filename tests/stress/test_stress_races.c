/* test_stress_races.c - two parties at the same moment, again and again.
 *
 * Specifies what the handshakes of task_join.c, task_scope.c, task_life.c and runtime.c promise.
 * Each test is a race that was once lost, repeated with a varying delay; who loses it again hangs
 * (the watchdog tells) or crashes.
 */
#include <pthread.h>

#include "../lib/event.h"

/* Lets the partner begin a little earlier or later each time. */
static void dither(int round, int span)
{
    for (volatile int i = 0; i < round % span; i++)
        continue;
}

static bool time_is_left(int64_t end)
{
    return skua_now() < end;
}

/* ---- two joiners ----------------------------------------------------------------------------- */

struct joiners {
    skua_task *handles[2];
    int results[2];
    atomic_int release;
    atomic_int round; /* which one the second joiner is to take part in; -1: end */
    atomic_int ready; /* … and which one it waits for */
    atomic_int done;
};

static int waits_for_release(void *arg)
{
    struct joiners *joiners = arg;

    while (!atomic_load(&joiners->release))
        (void)skua_sleep(100 * SKUA_MICROSECOND);
    return 7;
}

/* One that is refused lets the task end, so that the other's wait does. */
static void join_one(struct joiners *joiners, int me)
{
    int result = 0;
    int rc = skua_task_join(joiners->handles[me], &result);

    joiners->results[me] = rc == 0 ? result : rc;
    if (rc != 0) {
        skua_task_detach(joiners->handles[me]);
        atomic_store(&joiners->release, 1);
    }
    atomic_fetch_add(&joiners->done, 1);
}

static void *second_joiner(void *arg)
{
    struct joiners *joiners = arg;

    for (int round = 1;; round++) {
        atomic_store(&joiners->ready, round);
        while (atomic_load(&joiners->round) != round)
            if (atomic_load(&joiners->round) < 0)
                return NULL;
        join_one(joiners, 1);
    }
}

static void join_round(skua_runtime *runtime, struct joiners *joiners, int round)
{
    skua_task_id id;

    atomic_store(&joiners->release, 0);
    atomic_store(&joiners->done, 0);
    MUST(skua_spawn_on(runtime, waits_for_release, joiners, .task = &joiners->handles[0],
                       .id = &id) == 0);
    MUST(skua_task_find(runtime, id, &joiners->handles[1]) == 0);
    while (atomic_load(&joiners->ready) < round)
        continue;
    atomic_store(&joiners->round, round);
    dither(round, 40);
    join_one(joiners, 0);
    while (atomic_load(&joiners->done) < 2)
        continue;
    CHECK((joiners->results[0] == 7 && joiners->results[1] == -EBUSY) ||
          (joiners->results[1] == 7 && joiners->results[0] == -EBUSY));
}

TEST(of_two_joiners_one_is_served_and_one_is_busy)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct joiners joiners = {.release = 0};
    int64_t end = skua_now() + test_stress_time(2);
    pthread_t thread;
    int round = 1;

    MUST(pthread_create(&thread, NULL, second_joiner, &joiners) == 0);
    for (; time_is_left(end) && test_failures() == 0; round++)
        join_round(runtime, &joiners, round);
    while (atomic_load(&joiners.ready) < round)
        continue;
    atomic_store(&joiners.round, -1);
    pthread_join(thread, NULL);
    test_note("%d rounds", round);
    test_runtime_free(runtime);
}

/* ---- a cancel while the last child leaves ---------------------------------------------------- */

struct canceller {
    skua_scope scope;
    atomic_int on;
    atomic_int idle;
    atomic_int end;
};

static void *cancels_again_and_again(void *arg)
{
    struct canceller *canceller = arg;

    while (!atomic_load(&canceller->end)) {
        atomic_store(&canceller->idle, 1);
        while (!atomic_load(&canceller->on) && !atomic_load(&canceller->end))
            continue;
        atomic_store(&canceller->idle, 0);
        while (atomic_load(&canceller->on))
            (void)skua_scope_cancel(&canceller->scope);
    }
    return NULL;
}

TEST(scope_is_cancelled_while_its_last_child_leaves)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct canceller canceller = {.on = 0};
    int64_t end = skua_now() + test_stress_time(2);
    pthread_t thread;
    int round = 0;

    MUST(pthread_create(&thread, NULL, cancels_again_and_again, &canceller) == 0);
    for (; time_is_left(end); round++) {
        while (!atomic_load(&canceller.idle))
            continue;
        MUST(skua_scope_open_on(&canceller.scope, runtime, SKUA_COLLECT) == 0);
        MUST(skua_spawn(&canceller.scope, test_fiber_return, NULL) == 0);
        atomic_store(&canceller.on, 1);
        (void)skua_scope_join(&canceller.scope);
        atomic_store(&canceller.on, 0);
        while (!atomic_load(&canceller.idle))
            continue;
    }
    atomic_store(&canceller.end, 1);
    pthread_join(thread, NULL);
    test_note("%d rounds", round);
    test_runtime_free(runtime);
}

/* ---- a spawn that is refused while somebody lists tasks -------------------------------------- */

struct lister {
    skua_runtime *runtime;
    atomic_int end;
    long walks;
};

static void *lists_tasks(void *arg)
{
    struct lister *lister = arg;

    while (!atomic_load(&lister->end)) {
        (void)skua_runtime_each_task(lister->runtime, NULL, NULL);
        lister->walks++;
    }
    return NULL;
}

TEST(spawn_is_refused_while_tasks_are_listed)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct lister lister = {.runtime = runtime};
    int64_t end = skua_now() + test_stress_time(2);
    skua_task *handle;
    skua_scope scope;
    pthread_t thread;
    int round = 0;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    MUST(skua_scope_cancel(&scope) == 0);
    MUST(pthread_create(&thread, NULL, lists_tasks, &lister) == 0);
    for (; round % 64 != 0 || time_is_left(end); round++)
        if (!CHECK_EQ(round % 2 != 0 ? skua_spawn(&scope, test_fiber_return, NULL)
                                     : skua_spawn(&scope, test_fiber_return, NULL, .task = &handle),
                      -ECANCELED))
            break;
    atomic_store(&lister.end, 1);
    pthread_join(thread, NULL);
    CHECK(skua_scope_join(&scope) == 0);
    test_note("%d spawns, %ld walks", round, lister.walks);
    test_runtime_free(runtime);
}

/* ---- an end while workers go to sleep -------------------------------------------------------- */

TEST(runtime_is_freed_while_its_workers_go_to_sleep)
{
    int64_t end = skua_now() + test_stress_time(2);
    int round = 0;

    for (; time_is_left(end); round++) {
        skua_runtime *runtime;

        MUST(skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.workers = 1 + round % 2)) == 0);
        dither(round * 7, 30000);
        MUST(skua_runtime_free(runtime) == 0);
    }
    test_note("%d runtimes", round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_joiners_one_is_served_and_one_is_busy),
        cmocka_unit_test(scope_is_cancelled_while_its_last_child_leaves),
        cmocka_unit_test(spawn_is_refused_while_tasks_are_listed),
        cmocka_unit_test(runtime_is_freed_while_its_workers_go_to_sleep),
    };

    return TEST_MAIN(tests);
}
