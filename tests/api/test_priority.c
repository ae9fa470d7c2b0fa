/* test_priority.c - HIGH goes first, LOW goes last, BACKGROUND behind all, and nobody starves.
 *
 * Specifies task.h: skua_priority. Of four turns three are HIGH's when it has work; LOW gets one
 * of sixteen at least, BACKGROUND one of 64. Observed on one worker, where turns have an order.
 */
#include "../lib/event.h"

enum { EACH = 60 };

struct order {
    atomic_int next;
    int place[4][EACH]; /* by priority: the turns in which its tasks ran */
    int seen[4];
};

struct runner {
    struct order *order;
    int class;
};

static int takes_a_place(void *arg)
{
    struct runner *self = arg;
    struct order *order = self->order;

    order->place[self->class][order->seen[self->class]++] = atomic_fetch_add(&order->next, 1);
    return 0;
}

static skua_poll poll_takes_a_place(void *state, skua_waker *waker)
{
    (void)waker;
    return takes_a_place(*(void **)state);
}

static int mean(const int *place)
{
    int sum = 0;

    for (int i = 0; i < EACH; i++)
        sum += place[i];
    return sum / EACH;
}

/* Spawned in the unfavourable order: LOW first, HIGH last. */
static void check_order(bool poll_tasks)
{
    static const skua_priority classes[] = {SKUA_BACKGROUND, SKUA_LOW, SKUA_NORMAL, SKUA_HIGH};
    struct order *order = calloc(1, sizeof *order);
    struct runner runners[4];
    skua_scope scope;
    int early = 0;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < EACH; i++) {
            void *runner = &runners[c];

            runners[c] = (struct runner){order, (int)classes[c]};
            if (poll_tasks)
                CHECK_EQ(
                    skua_spawn_poll(&scope, poll_takes_a_place, &runner, .priority = classes[c]),
                    0);
            else
                CHECK_EQ(skua_spawn(&scope, takes_a_place, runner, .priority = classes[c]), 0);
        }
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&order->next), 4 * EACH);
    CHECK(mean(order->place[SKUA_HIGH]) < mean(order->place[SKUA_NORMAL]));
    CHECK(mean(order->place[SKUA_NORMAL]) < mean(order->place[SKUA_LOW]));
    CHECK(mean(order->place[SKUA_LOW]) < mean(order->place[SKUA_BACKGROUND]));
    for (int i = 0; i < EACH; i++)
        early += order->place[SKUA_HIGH][i] < EACH;
    CHECK_RANGE(early, EACH * 3 / 4 - 5, EACH);
    free(order);
}

TEST_FIBER_CURRENT(priority_orders_fibers)
{
    check_order(false);
    return 0;
}

TEST_FIBER_CURRENT(priority_orders_poll_tasks)
{
    check_order(true);
    return 0;
}

/* ---- from a thread: the same through the shared queue --------------------------------------- */

struct doorman {
    atomic_int inside, open;
};

/* Keeps the only worker busy, so that what is spawned meanwhile must queue. */
static int blocks_the_worker(void *arg)
{
    struct doorman *self = arg;

    atomic_store(&self->inside, 1);
    while (!atomic_load(&self->open))
        ;
    return 0;
}

static int fills(void *arg)
{
    atomic_fetch_add(&((struct order *)arg)->next, 1);
    return 0;
}

/* A thousand NORMAL tasks queue; the others come behind them, and get their shares. */
static void check_injected_order(skua_runtime *runtime, struct order *order)
{
    struct runner low = {order, SKUA_LOW}, high = {order, SKUA_HIGH};
    struct runner background = {order, SKUA_BACKGROUND};
    struct doorman door = {.inside = 0};
    skua_scope scope;

    CHECK_EQ(skua_scope_open_on(&scope, runtime, SKUA_COLLECT), 0);
    CHECK_EQ(skua_spawn(&scope, blocks_the_worker, &door), 0);
    test_yield_until(&door.inside);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(skua_spawn(&scope, fills, order), 0);
    for (int i = 0; i < EACH; i++) {
        CHECK_EQ(skua_spawn(&scope, takes_a_place, &low, .priority = SKUA_LOW), 0);
        CHECK_EQ(skua_spawn(&scope, takes_a_place, &high, .priority = SKUA_HIGH), 0);
        CHECK_EQ(skua_spawn(&scope, takes_a_place, &background, .priority = SKUA_BACKGROUND), 0);
    }
    atomic_store(&door.open, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&order->next), 1000 + 3 * EACH);
    CHECK_RANGE(order->place[SKUA_BACKGROUND][0], 0, 150); /* it need not wait for all the others */
    CHECK(mean(order->place[SKUA_BACKGROUND]) > mean(order->place[SKUA_LOW]));
    /* one after the other they would be at 1,030; by their shares at 40 and 480 */
    if (!CHECK(mean(order->place[SKUA_HIGH]) < 150) || !CHECK(mean(order->place[SKUA_LOW]) < 750))
        test_note("HIGH at %d, LOW at %d", mean(order->place[SKUA_HIGH]),
                  mean(order->place[SKUA_LOW]));
}

TEST(priority_orders_what_threads_spawn)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct order *order = calloc(1, sizeof *order);

    check_injected_order(runtime, order);
    test_runtime_free(runtime);
    free(order);
}

static int sets_flag(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

static int works_a_little(void *arg)
{
    (void)arg;
    for (volatile int i = 0; i < 2000; i++)
        ;
    return 0;
}

/* Threads spawn more NORMAL work than the worker can do: a LOW task gets its turn all the same. */
TEST(priority_low_of_a_thread_is_never_starved)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    int64_t until = skua_now() + 5 * SKUA_SECOND;
    atomic_int ran = 0;
    skua_scope scope;
    int spawned = 0;

    CHECK_EQ(skua_scope_open_on(&scope, runtime, SKUA_COLLECT), 0);
    for (; !atomic_load(&ran) && skua_now() < until; spawned++) {
        while (skua_scope_alive(&scope) > 2000)
            skua_yield();
        CHECK_EQ(skua_spawn(&scope, works_a_little, NULL), 0);
        if (spawned == 1500)
            CHECK_EQ(skua_spawn(&scope, sets_flag, &ran, .priority = SKUA_LOW), 0);
    }
    CHECK_EQ(atomic_load(&ran), 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
}

/* ---- starving -------------------------------------------------------------------------------- */

struct contest {
    atomic_int stop;
    atomic_llong turns[4];
};

struct contestant {
    struct contest *contest;
    int class;
};

static int yields_and_counts(void *arg)
{
    struct contestant *self = arg;

    while (!atomic_load(&self->contest->stop)) {
        atomic_fetch_add(&self->contest->turns[self->class], 1);
        if (skua_yield() != 0)
            return -EIO;
    }
    return 0;
}

static void run_contest(struct contest *contest, const skua_priority *classes, int count)
{
    struct contestant contestants[8];
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < count; i++) {
        contestants[i] = (struct contestant){contest, (int)classes[i]};
        CHECK_EQ(skua_spawn(&scope, yields_and_counts, &contestants[i], .priority = classes[i]), 0);
    }
    CHECK_EQ(skua_sleep(MS(200)), 0);
    atomic_store(&contest->stop, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
}

static void check_share(const struct contest *contest, int class, int per_thousand)
{
    const atomic_llong *turns = contest->turns;
    int64_t all = 0;

    for (int i = 0; i < 4; i++)
        all += atomic_load(&turns[i]);
    if (!CHECK(all > 100 && atomic_load(&turns[class]) * 1000 >= all * per_thousand))
        test_note("%lld of %lld turns", (long long)atomic_load(&turns[class]), (long long)all);
}

TEST_FIBER_CURRENT(priority_low_is_never_starved)
{
    static const skua_priority classes[] = {SKUA_NORMAL, SKUA_NORMAL, SKUA_HIGH,
                                            SKUA_HIGH,   SKUA_LOW,    SKUA_HIGH};
    struct contest contest = {.stop = 0};

    run_contest(&contest, classes, 6);
    check_share(&contest, SKUA_LOW, 50);     /* promised: 62 */
    check_share(&contest, SKUA_NORMAL, 120); /* a quarter, less LOW's share */
    check_share(&contest, SKUA_HIGH, 600);
    return 0;
}

TEST_FIBER_CURRENT(priority_background_is_never_starved)
{
    static const skua_priority classes[] = {SKUA_NORMAL, SKUA_BACKGROUND, SKUA_HIGH, SKUA_HIGH,
                                            SKUA_LOW};
    struct contest contest = {.stop = 0};

    run_contest(&contest, classes, 5);
    check_share(&contest, SKUA_BACKGROUND, 14); /* promised: 15.6 */
    check_share(&contest, SKUA_LOW, 50);
    check_share(&contest, SKUA_NORMAL, 120);
    check_share(&contest, SKUA_HIGH, 600);
    return 0;
}

/* It takes no more than its share from the others. */
TEST_FIBER_CURRENT(priority_background_beside_normal)
{
    static const skua_priority classes[] = {SKUA_BACKGROUND, SKUA_BACKGROUND, SKUA_NORMAL};
    struct contest contest = {.stop = 0};

    run_contest(&contest, classes, 3);
    check_share(&contest, SKUA_BACKGROUND, 14);
    check_share(&contest, SKUA_NORMAL, 970);
    return 0;
}

TEST_FIBER_CURRENT(priority_low_beside_normal)
{
    static const skua_priority classes[] = {SKUA_NORMAL, SKUA_NORMAL, SKUA_LOW};
    struct contest contest = {.stop = 0};

    run_contest(&contest, classes, 3);
    check_share(&contest, SKUA_LOW, 50);
    check_share(&contest, SKUA_NORMAL, 500);
    return 0;
}

TEST_FIBER_CURRENT(priority_normal_beside_high)
{
    static const skua_priority classes[] = {SKUA_HIGH, SKUA_NORMAL, SKUA_HIGH};
    struct contest contest = {.stop = 0};

    run_contest(&contest, classes, 3);
    check_share(&contest, SKUA_NORMAL, 150);
    check_share(&contest, SKUA_HIGH, 600);
    return 0;
}

/* Poll tasks are not bound: what is LOW waits in the shared queue of a multi-thread runtime. */
static skua_poll poll_counts_turns(void *state, skua_waker *waker)
{
    struct contestant *self = *(struct contestant **)state;

    if (atomic_load(&self->contest->stop))
        return SKUA_READY;
    atomic_fetch_add(&self->contest->turns[self->class], 1);
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

static int polls_compete(void *arg)
{
    static const skua_priority classes[] = {SKUA_NORMAL, SKUA_LOW, SKUA_BACKGROUND};
    struct contest *contest = arg;
    struct contestant contestants[60];
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 60; i++) {
        struct contestant *self = &contestants[i];

        *self = (struct contestant){contest, classes[i % 3]};
        CHECK_EQ(skua_spawn_poll(&scope, poll_counts_turns, &self, .priority = classes[i % 3]), 0);
    }
    CHECK_EQ(skua_sleep(MS(200)), 0);
    atomic_store(&contest->stop, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

TEST(priority_low_poll_tasks_come_after_normal)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct contest contest = {.stop = 0};

    test_run(runtime, polls_compete, &contest);
    check_share(&contest, SKUA_LOW, 50);
    check_share(&contest, SKUA_BACKGROUND, 14);
    check_share(&contest, SKUA_NORMAL, 850);
    test_runtime_free(runtime);
}

/* On any number of workers nobody starves, whatever the others are. */
TEST_FIBER(priority_nobody_starves)
{
    static const skua_priority classes[] = {SKUA_HIGH, SKUA_HIGH, SKUA_HIGH, SKUA_HIGH,
                                            SKUA_HIGH, SKUA_HIGH, SKUA_LOW,  SKUA_NORMAL};
    struct contest contest = {.stop = 0};

    run_contest(&contest, classes, 8);
    check_share(&contest, SKUA_LOW, 3); /* workers may differ much in speed */
    check_share(&contest, SKUA_NORMAL, 3);
    return 0;
}

/* Of one class some are bound to the worker and some wait in the shared queue: neither kind starves
 * the other, nor do both together starve the classes behind them. */
static int kinds_compete(void *arg)
{
    struct contest *contest = arg;
    struct contestant bound[4], shared[4];
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int class = 0; class < 4; class ++) {
        struct contestant *self = &shared[class];

        bound[class] = (struct contestant){&contest[0], class};
        *self = (struct contestant){&contest[1], class};
        CHECK_EQ(
            skua_spawn(&scope, yields_and_counts, &bound[class], .priority = (skua_priority) class),
            0);
        CHECK_EQ(
            skua_spawn_poll(&scope, poll_counts_turns, &self, .priority = (skua_priority) class),
            0);
    }
    CHECK_EQ(skua_sleep(MS(200)), 0);
    atomic_store(&contest[0].stop, 1);
    atomic_store(&contest[1].stop, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

static void check_kinds_compete(unsigned inject_interval)
{
    static const int least[] = {
        [SKUA_NORMAL] = 50, [SKUA_HIGH] = 150, [SKUA_LOW] = 15, [SKUA_BACKGROUND] = 3};
    skua_runtime *runtime = test_runtime_with(
        &test_kinds[1], (skua_runtime_options){.inject_interval = inject_interval});
    struct contest contest[2] = {{.stop = 0}, {.stop = 0}};
    int64_t all = 0;

    test_run(runtime, kinds_compete, contest);
    for (int class = 0; class < 4; class ++)
        all += atomic_load(&contest[0].turns[class]) + atomic_load(&contest[1].turns[class]);
    for (int class = 0; class < 4; class ++)
        for (int kind = 0; kind < 2; kind++) {
            int64_t turns = atomic_load(&contest[kind].turns[class]);

            if (!CHECK(all > 1000 && turns * 1000 >= all * least[class]))
                test_note("class %d, %s: %lld of %lld turns", class, kind ? "shared" : "bound",
                          (long long)turns, (long long)all);
        }
    test_runtime_free(runtime);
}

TEST(priority_bound_and_shared_tasks_starve_nobody)
{
    check_kinds_compete(0);
    check_kinds_compete(1); /* looks at the shared queue all the time */
}

static void check_beside_high(const struct test_kind *kind, int fibers)
{
    skua_runtime *runtime = test_runtime(kind);
    struct contest contest = {.stop = 0};
    struct contestant normal = {&contest, SKUA_NORMAL};
    struct contestant high = {&contest, SKUA_HIGH}, *self = &high;
    atomic_int ran[4] = {0, 0, 0, 0};
    int64_t until = skua_now() + 5 * SKUA_SECOND;
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < fibers; i++)
        CHECK_EQ(skua_spawn(&scope, yields_and_counts, &normal,
                            .worker = SKUA_WORKER(i % (int)kind->workers)),
                 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(skua_spawn_poll(&scope, poll_counts_turns, &self, .priority = SKUA_HIGH), 0);
    for (int class = 0; class < 4; class ++)
        CHECK_EQ(skua_spawn(&scope, sets_flag, &ran[class], .priority = (skua_priority) class), 0);
    for (int class = 0; class < 4; class ++) {
        while (!atomic_load(&ran[class]) && skua_now() < until)
            skua_yield();
        if (!CHECK(atomic_load(&ran[class])))
            test_note("class %d beside %d fibers", class, fibers);
    }
    atomic_store(&contest.stop, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_runtime_free(runtime);
}

/* The shared queue is full of high work, and has what a thread spawned besides: that runs, too,
 * whether the workers have work of their own or not. */
TEST(priority_high_poll_tasks_do_not_starve_what_threads_spawn)
{
    for (int kind = 1; kind <= 3; kind++)
        for (int fibers = 0; fibers <= 8; fibers += 8)
            check_beside_high(&test_kinds[kind], fibers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priority_orders_fibers),
        cmocka_unit_test(priority_orders_poll_tasks),
        cmocka_unit_test(priority_orders_what_threads_spawn),
        cmocka_unit_test(priority_low_of_a_thread_is_never_starved),
        cmocka_unit_test(priority_low_is_never_starved),
        cmocka_unit_test(priority_background_is_never_starved),
        cmocka_unit_test(priority_background_beside_normal),
        cmocka_unit_test(priority_low_beside_normal),
        cmocka_unit_test(priority_normal_beside_high),
        cmocka_unit_test(priority_low_poll_tasks_come_after_normal),
        cmocka_unit_test(priority_bound_and_shared_tasks_starve_nobody),
        cmocka_unit_test(priority_high_poll_tasks_do_not_starve_what_threads_spawn),
        cmocka_unit_test(priority_nobody_starves),
    };

    return TEST_MAIN(tests);
}
