/* test_thread_per_core.c - workers that share nothing: a task stays where it was spawned, or where
 * it was sent.
 *
 * Specifies runtime.h: SKUA_THREAD_PER_CORE and the placement of workers (on trees of files that
 * stand for other machines: unit/test_topology.c); task.h: .worker, skua_worker_current.
 */
#include <sched.h>

#include "../lib/event.h"

static skua_runtime *cores(unsigned count)
{
    const struct test_kind kind = {"cores", SKUA_THREAD_PER_CORE, count, false};

    return test_runtime(&kind);
}

static int is_on(void *arg)
{
    int here = (int)(intptr_t)arg;

    for (int i = 0; i < 20; i++) {
        CHECK_EQ(skua_worker_current(), here);
        CHECK_EQ(i % 2 ? skua_yield() : skua_sleep(100 * SKUA_MICROSECOND), 0);
    }
    return 0;
}

struct poll_on {
    skua_async async;
    int here, n;
    skua_sleep_future sleep;
};

static skua_poll poll_is_on(void *state, skua_waker *waker)
{
    struct poll_on *self = state;

    SKUA_ASYNC(self, waker);
    for (self->n = 0; self->n < 20; self->n++) {
        CHECK_EQ(skua_worker_current(), self->here);
        SKUA_AWAIT(skua_sleep_init(&self->sleep, 100 * SKUA_MICROSECOND));
    }
    SKUA_ASYNC_END(0);
}

/* ---- staying --------------------------------------------------------------------------------- */

/* Its children, and theirs, whatever their kind, are where it is. */
static int family_stays(void *arg)
{
    int here = skua_worker_current();

    (void)arg;
    for (intptr_t i = 0; i < 20; i++) {
        CHECK_EQ(skua_spawn(NULL, is_on, (void *)(intptr_t)here, .flags = SKUA_MIGRATABLE), 0);
        CHECK_EQ(skua_spawn_poll(NULL, poll_is_on, &(struct poll_on){.here = here}), 0);
    }
    return 0;
}

static int families(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQ(skua_spawn(NULL, family_stays, NULL, .worker = SKUA_WORKER(i)), 0);
    return 0;
}

TEST(task_stays_on_the_worker_that_spawned_it)
{
    skua_runtime *runtime = cores(4);
    skua_runtime_stats stats = {.size = sizeof stats};

    test_run(runtime, families, NULL);
    CHECK_EQ(skua_runtime_snapshot(runtime, &stats, NULL, 0), 4);
    CHECK_EQ(stats.total.steals, 0);
    CHECK_EQ(stats.total.steal_misses, 0);
    CHECK_EQ(stats.inject_len, 0);
    test_runtime_free(runtime);
}

/* ---- from outside ---------------------------------------------------------------------------- */

struct census {
    atomic_int at[4];
};

static int is_counted(void *arg)
{
    struct census *census = arg;

    atomic_fetch_add(&census->at[skua_worker_current()], 1);
    return 0;
}

TEST(tasks_from_outside_go_to_each_worker_in_turn)
{
    skua_runtime *runtime = cores(4);
    struct census census = {.at = {0}};
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 400; i++)
        CHECK_EQ(skua_spawn(&scope, is_counted, &census), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(atomic_load(&census.at[i]), 100);
    test_runtime_free(runtime);
}

TEST(task_runs_on_the_worker_that_it_was_spawned_for)
{
    skua_runtime *runtime = cores(4);
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(skua_spawn(&scope, is_on, (void *)(intptr_t)(i % 4), .worker = SKUA_WORKER(i % 4)),
                 0);
        CHECK_EQ(skua_spawn_poll(&scope, poll_is_on, &(struct poll_on){.here = i % 4},
                                 .worker = SKUA_WORKER(i % 4)),
                 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
}

/* In other runtimes, too: it is pinned there. */
static int sends_to_workers(void *arg)
{
    int workers = (int)(intptr_t)arg;

    for (int i = 0; i < workers; i++) {
        CHECK_EQ(skua_spawn(NULL, is_on, (void *)(intptr_t)i, .worker = SKUA_WORKER(i)), 0);
        CHECK_EQ(skua_spawn_poll(NULL, poll_is_on, &(struct poll_on){.here = i},
                                 .worker = SKUA_WORKER(i)),
                 0);
    }
    CHECK_EQ(skua_spawn(NULL, is_on, NULL, .worker = SKUA_WORKER(workers)), -EINVAL);
    CHECK_EQ(skua_spawn_poll(NULL, poll_is_on, &(struct poll_on){.here = 0},
                             .worker = SKUA_WORKER(workers)),
             -EINVAL);
    return 0;
}

TEST(worker_is_chosen_in_every_kind_of_runtime)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        unsigned workers = test_kinds[i].workers == 0 ? 1 : test_kinds[i].workers;

        test_run(runtime, sends_to_workers, (void *)(intptr_t)workers);
        test_runtime_free(runtime);
    }
}

/* A worker that was asked for holds a fiber that may migrate, and one that outsiders wake. */
static int is_woken_on(void *arg)
{
    struct test_event *event = arg;
    int here = skua_worker_current();

    for (int i = 0; i < 50; i++) {
        CHECK_EQ(i % 2 ? skua_yield() : skua_sleep(10 * SKUA_MICROSECOND), 0);
        CHECK_EQ(skua_worker_current(), here);
    }
    CHECK_EQ(test_event_wait(event), 0);
    CHECK_EQ(skua_worker_current(), here);
    return here;
}

TEST(worker_holds_what_may_migrate)
{
    const struct test_kind kind = {"4 workers", SKUA_MULTI_THREAD, 4, false};
    skua_runtime *runtime = test_runtime(&kind);
    struct test_event event = TEST_EVENT_INIT;
    skua_task *tasks[40];
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (unsigned i = 0; i < 40; i++)
        CHECK_EQ(skua_spawn(&scope, is_woken_on, &event, .worker = SKUA_WORKER(i % 4),
                            .priority = (skua_priority)(i / 4 % 4), .task = &tasks[i],
                            .flags = i % 3 == 0 ? SKUA_MIGRATABLE | SKUA_PINNED : SKUA_MIGRATABLE),
                 0);
    test_thread_sleep(MS(5));
    test_event_set(&event);
    for (int i = 0; i < 40; i++) {
        int here = -1;

        CHECK_EQ(skua_task_join(tasks[i], &here), 0);
        CHECK_EQ(here, i % 4);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
}

TEST(worker_of_no_task_is_none)
{
    CHECK_EQ(skua_worker_current(), SKUA_EUSAGE);
}

/* ---- stopping -------------------------------------------------------------------------------- */

struct siege {
    skua_runtime *runtime;
    atomic_int taken, ran, dropped;
    atomic_int ready;
};

static int defends(void *arg)
{
    struct siege *siege = arg;

    (void)skua_yield();
    atomic_fetch_add(&siege->ran, 1);
    return 0;
}

static void falls(void *arg)
{
    struct siege *siege = arg;

    atomic_fetch_add(&siege->dropped, 1);
}

/* Spawns for all workers, and cancels some before they can have begun, until the gate is shut. */
static void *besieges(void *arg)
{
    struct siege *siege = arg;
    int rc = 0;

    for (unsigned i = 0; rc == 0; i++) {
        skua_task *task = NULL;

        rc = skua_spawn_on(siege->runtime, defends, siege, .worker = i % 3, .drop = falls,
                           .priority = (skua_priority)(i % 4), .task = &task);
        if (rc != 0)
            break;
        atomic_fetch_add(&siege->taken, 1);
        if (i % 5 == 0)
            (void)skua_task_cancel(task);
        skua_task_detach(task);
        if (i == 100)
            atomic_fetch_add(&siege->ready, 1);
        if (i % 64 == 0)
            skua_yield();
    }
    CHECK(rc == SKUA_ESTOPPED || rc == -ECANCELED);
    return NULL;
}

/* What threads spawn while a runtime stops runs, or is dropped: once. */
TEST(stopping_accounts_for_what_comes_from_outside)
{
    for (int round = 0; round < TEST_COUNT(20); round++) {
        const struct test_kind *kind = &test_kinds[TEST_KINDS - 1 - round % 3];
        struct siege siege = {.runtime = test_runtime(kind)};
        pthread_t threads[2];

        for (int i = 0; i < 2; i++)
            MUST(pthread_create(&threads[i], NULL, besieges, &siege) == 0);
        while (atomic_load(&siege.ready) != 2)
            skua_yield();
        CHECK_EQ(skua_runtime_stop(siege.runtime, SKUA_FOREVER), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(skua_runtime_stop(siege.runtime, SKUA_FOREVER), 0);
        CHECK_EQ(atomic_load(&siege.ran) + atomic_load(&siege.dropped), atomic_load(&siege.taken));
        test_runtime_free(siege.runtime);
    }
}

/* ---- between workers ------------------------------------------------------------------------- */

struct trade {
    skua_mpsc_sender *orders;
    skua_mpsc_receiver *inbox;
    int64_t sum;
};

static int sells(void *arg)
{
    struct trade *trade = arg;
    int order;

    CHECK_EQ(skua_worker_current(), 1);
    while (skua_mpsc_recv(trade->inbox, &order) == 0)
        trade->sum += order;
    return 0;
}

static int buys(void *arg)
{
    struct trade *trade = arg;

    CHECK_EQ(skua_worker_current(), 0);
    for (int i = 1; i <= 1000; i++)
        CHECK_EQ(skua_mpsc_send(trade->orders, &i), 0);
    skua_mpsc_sender_close(trade->orders);
    return 0;
}

TEST(channel_crosses_from_worker_to_worker)
{
    skua_runtime *runtime = cores(2);
    struct trade trade = {.sum = 0};
    skua_scope scope;

    MUST(skua_mpsc_new(&trade.orders, &trade.inbox, sizeof(int), 4) == 0);
    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    CHECK_EQ(skua_spawn(&scope, sells, &trade, .worker = SKUA_WORKER(1)), 0);
    CHECK_EQ(skua_spawn(&scope, buys, &trade, .worker = SKUA_WORKER(0)), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(trade.sum, 500500);
    skua_mpsc_receiver_close(trade.inbox);
    test_runtime_free(runtime);
}

/* ---- on processors --------------------------------------------------------------------------- */

static int sees_processor(void *arg)
{
    *(int *)arg = sched_getcpu();
    return 0;
}

/* Each worker is on the processor that the runtime tells. */
static void check_placed(skua_runtime *runtime, int workers)
{
    skua_scope scope;
    int seen[4];

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < workers; i++)
        CHECK_EQ(skua_spawn(&scope, sees_processor, &seen[i], .worker = SKUA_WORKER(i)), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < workers; i++)
        CHECK_EQ(skua_runtime_worker_cpu(runtime, (unsigned)i), seen[i]);
    CHECK_EQ(skua_runtime_worker_cpu(runtime, (unsigned)workers), -EINVAL);
}

/* The first one that this process may use, as a list. */
static const char *first_processor(int *number)
{
    static char list[16];
    cpu_set_t set;

    MUST(sched_getaffinity(0, sizeof set, &set) == 0);
    for (*number = 0; !CPU_ISSET(*number, &set);)
        ++*number;
    snprintf(list, sizeof list, "%d", *number);
    return list;
}

TEST(workers_have_a_processor_each)
{
    skua_runtime *runtime = cores(4);

    check_placed(runtime, 4);
    test_runtime_free(runtime);
}

TEST(workers_stay_on_the_given_processors)
{
    const struct test_kind kind = {"2 workers", SKUA_MULTI_THREAD, 2, false};
    int first;
    const char *list = first_processor(&first);
    skua_runtime *runtime = test_runtime_with(&kind, (skua_runtime_options){.cpus = list});

    CHECK_EQ(skua_runtime_worker_cpu(runtime, 1), first);
    check_placed(runtime, 2);
    test_runtime_free(runtime);
    runtime = NULL;
    MUST(skua_runtime_new(&runtime,
                          SKUA_RUNTIME_OPTIONS(.kind = SKUA_THREAD_PER_CORE, .cpus = list)) == 0);
    CHECK_EQ(skua_runtime_worker_cpu(runtime, 0), first); /* one processor: one worker */
    CHECK_EQ(skua_runtime_worker_cpu(runtime, 1), -EINVAL);
    CHECK_EQ(skua_runtime_free(runtime), 0);
}

TEST(workers_go_anywhere_by_default)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);

    CHECK_EQ(skua_runtime_worker_cpu(runtime, 0), -ENOENT);
    CHECK_EQ(skua_runtime_worker_cpu(runtime, 2), -EINVAL);
    test_runtime_free(runtime);
    runtime = test_runtime(&test_kinds[0]);
    CHECK_EQ(skua_runtime_worker_cpu(runtime, 0), -ENOENT);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(task_stays_on_the_worker_that_spawned_it),
        cmocka_unit_test(tasks_from_outside_go_to_each_worker_in_turn),
        cmocka_unit_test(task_runs_on_the_worker_that_it_was_spawned_for),
        cmocka_unit_test(worker_is_chosen_in_every_kind_of_runtime),
        cmocka_unit_test(worker_holds_what_may_migrate),
        cmocka_unit_test(worker_of_no_task_is_none),
        cmocka_unit_test(stopping_accounts_for_what_comes_from_outside),
        cmocka_unit_test(channel_crosses_from_worker_to_worker),
        cmocka_unit_test(workers_have_a_processor_each),
        cmocka_unit_test(workers_stay_on_the_given_processors),
        cmocka_unit_test(workers_go_anywhere_by_default),
    };

    return TEST_MAIN(tests);
}
