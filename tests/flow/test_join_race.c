/* test_join_race.c - join sets whose owners, tasks and waiters get in each other's way.
 *
 * Specifies join_set.h: skua_join_set_close, and what holds for sets when spawns, ends, waits,
 * cancellations and faults come in any order, on any thread.
 */
#include <pthread.h>

#include "flow/join_impl.h"
#include "line.h"
#include "part.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static atomic_int alive; /* tasks that have begun, and have not ended */

static int lives(void *arg)
{
    int rc;

    (void)arg;
    atomic_fetch_add(&alive, 1);
    rc = skua_sleep(SKUA_HOUR);
    skua_shield_begin();
    skua_yield(); /* cleaning up takes a while */
    skua_shield_end();
    atomic_fetch_sub(&alive, 1);
    return rc;
}

static void alive_until(int count)
{
    while (atomic_load(&alive) != count)
        skua_yield();
}

static void open_set(skua_join_set **set, skua_scope *scope, unsigned ordered)
{
    MUST(skua_join_set_open(set, scope, SKUA_JOIN_SET_OPTIONS(.ordered = ordered)) == 0);
}

/* ---- close ----------------------------------------------------------------------------------- */

static int closes(void *arg)
{
    CHECK_EQ(skua_join_set_close(arg), 0);
    CHECK_EQ(atomic_load(&alive), 0); /* it has waited for them */
    return 0;
}

TEST_FIBER(close_cancels_and_waits)
{
    skua_join_set *set;
    skua_scope scope;

    for (unsigned ordered = 0; ordered < 2; ordered++) {
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        open_set(&set, NULL, ordered);
        for (int i = 0; i < 40; i++)
            CHECK_EQ(skua_join_set_spawn(set, i % 4 ? lives : test_fiber_return, NULL), 0);
        if (ordered)
            alive_until(30);
        closes(set);
        CHECK_EQ(skua_scope_join(&scope), -ECANCELED); /* as ever: the first error of a child */
    }
    return 0;
}

/* The owner is cancelled while it waits: what it closes then is waited for all the same. */
static int owns(void *arg)
{
    skua_join_set *set;

    (void)arg;
    open_set(&set, NULL, 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_join_set_spawn(set, lives, NULL), 0);
    CHECK_EQ(skua_join_set_next(set, NULL), -ECANCELED);
    CHECK_EQ(skua_join_set_next(set, NULL), -ECANCELED); /* also at the beginning of a wait */
    CHECK_EQ(skua_join_set_len(set), 5);
    return closes(set);
}

TEST_FIBER(owner_is_cancelled)
{
    skua_task *task;
    int result = 77;

    CHECK_EQ(skua_spawn(NULL, owns, NULL, .task = &task), 0);
    alive_until(5);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    return 0;
}

TEST_FIBER(scope_is_cancelled)
{
    skua_join_set *set;
    skua_joined joined;
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    open_set(&set, NULL, 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_join_set_spawn(set, lives, NULL), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_join_set_spawn(set, lives, NULL), -ECANCELED);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(skua_join_set_next(set, &joined), 1);
        CHECK_EQ(joined.result, -ECANCELED);
    }
    CHECK_EQ(skua_join_set_next(set, &joined), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK_EQ(skua_join_set_next(set, &joined), 0); /* a set may be left over */
    CHECK_EQ(skua_join_set_close(set), 0);
    return 0;
}

struct waiter {
    skua_join_set *set;
    int rc;
    atomic_int ready;
};

static int waits(void *arg)
{
    struct waiter *waiter = arg;

    atomic_store(&waiter->ready, 1);
    waiter->rc = skua_join_set_next(waiter->set, NULL);
    return 0;
}

/* Whoever waits in next, on whichever budget, learns of the close, and the set is there until he
 * has. */
TEST_FIBER_CURRENT(waiters_learn_of_the_close)
{
    enum { WAITERS = 8 };
    struct waiter waiters[WAITERS];
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_sync_future polled;
    skua_join_set *set;
    skua_scope scope;

    for (int round = 0; round < 3; round++) {
        open_set(&set, NULL, 0);
        CHECK_EQ(skua_join_set_spawn(set, lives, NULL), 0);
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        CHECK_EQ(skua_future_poll(skua_join_set_next_init(&polled, set, NULL), waker),
                 SKUA_PENDING);
        for (int i = 0; i < WAITERS; i++) {
            waiters[i] = (struct waiter){.set = set, .rc = 77};
            CHECK_EQ(skua_spawn(&scope, waits, &waiters[i]), 0);
        }
        CHECK_EQ(skua_yield(), 0);
        CHECK_EQ(skua_join_set_close(set), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
        for (int i = 0; i < WAITERS; i++)
            CHECK_EQ(waiters[i].rc, SKUA_ECLOSED);
        if (round == 1)
            skua_future_drop(&polled.future);
        else
            CHECK_EQ(skua_future_poll(&polled.future, waker), SKUA_ECLOSED);
    }
    test_bell_end(&bell);
    return 0;
}

static int spends_its_budget_and_waits(void *arg)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(0);
    struct waiter *waiter = arg;

    for (int i = 0; i < waiter->rc; i++) {
        skua_semaphore_release(&sema, 1);
        CHECK_EQ(skua_semaphore_acquire(&sema, 1), 0);
    }
    return waits(arg);
}

/* It gives way inside the call, before it is in line; then nothing keeps the set but itself. */
TEST_FIBER_CURRENT(waiters_at_the_end_of_their_turn_learn_of_the_close)
{
    struct waiter waiter;
    skua_join_set *set;
    skua_scope scope;

    for (int spent = 0; spent < 600; spent++) {
        MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
        open_set(&set, NULL, 0);
        waiter = (struct waiter){.set = set, .rc = spent / 2};
        if (spent % 2)
            CHECK_EQ(skua_join_set_spawn(set, lives, NULL), 0);
        CHECK_EQ(skua_spawn(&scope, spends_its_budget_and_waits, &waiter), 0);
        while (!atomic_load(&waiter.ready))
            CHECK_EQ(skua_yield(), 0);
        skua_join_set_detach_all(set);
        CHECK_EQ(skua_join_set_close(set), 0);
        CHECK_EQ(skua_scope_cancel(&scope), 0);
        (void)skua_scope_join(&scope);
        CHECK(waiter.rc == 0 || waiter.rc == SKUA_ECLOSED || waiter.rc == -ECANCELED);
    }
    return 0;
}

static int spawns_at_its_end(void *arg)
{
    int rc = skua_sleep(SKUA_HOUR);

    CHECK_EQ(skua_join_set_spawn((skua_join_set *)arg, test_fiber_return, NULL), SKUA_ECLOSED);
    return rc;
}

static int spawns_two(void *arg)
{
    CHECK_EQ(skua_join_set_spawn((skua_join_set *)arg, test_fiber_return, (void *)1), 0);
    CHECK_EQ(skua_join_set_spawn((skua_join_set *)arg, spawns_at_its_end, arg), 0);
    return 2;
}

/* Tasks of the set spawn into it, until it is closed. */
TEST_FIBER(tasks_spawn_into_their_set)
{
    skua_join_set *set;
    skua_joined joined;
    int sum = 0;

    open_set(&set, NULL, 0);
    CHECK_EQ(skua_join_set_spawn(set, spawns_two, set), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(skua_join_set_next(set, &joined), 1);
        sum += joined.result;
    }
    CHECK_EQ(sum, 3);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_join_set_len(set), 1);
    CHECK_EQ(skua_join_set_close(set), 0);
    return 0;
}

/* ---- closed while it spawns ------------------------------------------------------------------ */

static skua_join_set *open_one;
static atomic_int spawning;

static bool is_closed(skua_join_set *set)
{
    bool closed;

    skua__lock_take(skua__join_lock(set));
    closed = set->closed;
    skua__lock_drop(skua__join_lock(set));
    return closed;
}

/* Keeps the spawn of "late" until the set is closed. */
static void waits_for_the_close(const skua_task_info *info, void *arg)
{
    (void)arg;
    if (strcmp(info->site->name, "late") != 0)
        return;
    atomic_store(&spawning, 1);
    while (!is_closed(open_one))
        test_thread_sleep(MS(1) / 10);
}

static int spawns_late(void *arg)
{
    (void)arg;
    return skua_join_set_spawn(open_one, lives, NULL, .name = "late");
}

TEST(task_that_is_spawned_into_a_closing_set_is_cancelled)
{
    skua_runtime *runtime = test_runtime_with(
        &test_kinds[1], (skua_runtime_options){.size = sizeof(skua_runtime_options),
                                               .on_task_spawn = waits_for_the_close});
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    open_set(&open_one, &scope, 0);
    CHECK_EQ(skua_join_set_spawn(open_one, spawns_late, NULL), 0);
    test_yield_until(&spawning);
    CHECK_EQ(skua_join_set_close(open_one), 0);
    CHECK_EQ(atomic_load(&alive), 0);
    (void)skua_scope_join(&scope);
    test_runtime_free(runtime);
}

/* ---- any order ------------------------------------------------------------------------------- */

struct crowd {
    skua_join_set *set;
    int spawned, taken, cancelled, refused;
    uint64_t last; /* ordered: the newest tag that was taken */
    bool ordered;
};

static int sleeps_a_little(void *arg)
{
    int rc = skua_sleep((int64_t)(skua_test_random() % 5) * MS(1));

    return rc != 0 ? rc : (int)(intptr_t)arg;
}

static void count(struct crowd *crowd, const skua_joined *joined)
{
    crowd->taken++;
    CHECK(joined->result == (int)joined->tag || joined->result == -ECANCELED);
    if (crowd->ordered)
        CHECK_EQ(joined->tag, crowd->last + 1);
    crowd->last = joined->tag;
}

/* Waits in each of the ways there are, and is cancelled in some of them. */
static int takes_some(void *arg)
{
    struct crowd *crowd = arg;
    skua_joined joined;
    int64_t answer = 1;

    while (answer != 0 && answer != SKUA_ECLOSED && answer != -ECANCELED) {
        switch (skua_test_random() % 4) {
        case 0:
            answer = skua_join_set_try_next(crowd->set, &joined);
            if (answer == -EAGAIN && skua_yield() != 0)
                answer = -ECANCELED;
            break;
        case 1:
            answer = skua_join_set_next_until(crowd->set, &joined, skua_now() + MS(1));
            break;
        case 2:
            if (skua_timeout(skua_joining_next(crowd->set, &joined), MS(1), &answer) != 0)
                answer = skua_cancelled() == 0 ? -EAGAIN : -ECANCELED;
            break;
        default:
            answer = skua_join_set_next(crowd->set, &joined);
        }
        if (answer == 1)
            count(crowd, &joined);
    }
    return 0;
}

static int spawns_some(void *arg)
{
    struct crowd *crowd = arg;
    skua_task_id id;

    for (int i = 0; i < 5; i++) {
        int tag = ++crowd->spawned;

        if (skua_join_set_spawn_tagged(crowd->set, (uint64_t)tag, sleeps_a_little,
                                       (void *)(intptr_t)tag, .id = &id) != 0)
            return -EIO;
        if (skua_test_random() % 4 == 0 && skua_join_set_cancel(crowd->set, id) == 0)
            crowd->cancelled++;
        skua_yield();
    }
    if (skua_test_random() % 2)
        skua_join_set_cancel_all(crowd->set);
    return 0;
}

static int mixes(void *arg)
{
    struct crowd crowd = {.ordered = arg != NULL};
    skua_task *taker;
    skua_scope scope;
    skua_joined joined;
    int rc;

    open_set(&crowd.set, NULL, crowd.ordered);
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, spawns_some, &crowd), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_spawn(&scope, takes_some, &crowd, .task = &taker), 0);
    skua_sleep((int64_t)(skua_test_random() % 5) * MS(1));
    skua_task_cancel(taker);
    skua_task_detach(taker);
    rc = skua_scope_join(&scope);
    while (skua_test_random() % 8 != 0 && skua_join_set_next(crowd.set, &joined) == 1)
        count(&crowd, &joined);
    CHECK_EQ(crowd.taken + (int)skua_join_set_len(crowd.set), crowd.spawned);
    CHECK_EQ(skua_join_set_close(crowd.set), 0);
    return test_failures() != 0 || (rc != 0 && rc != -ECANCELED) ? -EIO : 0;
}

TEST(every_result_is_taken_once_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), mixes, NULL), 0);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), mixes, "ordered"), 0);
}

/* A close that comes in between: every task has ended, every waiter was told. */
static int closes_early(void *arg)
{
    struct crowd crowd = {.set = NULL};
    skua_scope tasks, others;

    (void)arg;
    atomic_store(&alive, 0);
    skua_scope_open(&tasks, SKUA_COLLECT);
    open_set(&crowd.set, &tasks, (unsigned)(skua_test_random() % 2));
    skua_scope_open(&others, SKUA_COLLECT);
    CHECK_EQ(skua_join_set_spawn(crowd.set, lives, NULL), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_join_set_spawn(crowd.set, sleeps_a_little, NULL), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_spawn(&others, takes_some, &crowd), 0);
    skua_sleep((int64_t)(skua_test_random() % 4) * MS(1));
    skua_scope_cancel(&others); /* those that have not begun may not begin now */
    CHECK_EQ(skua_join_set_cancel(crowd.set, 0), -ESRCH);
    skua_scope_join(&others);
    CHECK_EQ(skua_join_set_close(crowd.set), 0);
    CHECK_EQ(atomic_load(&alive), 0);
    CHECK(skua_scope_join(&tasks) <= 0);
    return test_failures() != 0 ? -EIO : 0;
}

TEST(close_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), closes_early, NULL), 0);
}

/* ---- memory ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(no_memory)
{
    skua_join_set *set = NULL;
    skua_task *task = (skua_task *)8;
    int n;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_join_set_open(&set, NULL, NULL), -ENOMEM);
    CHECK(set == NULL);
    open_set(&set, NULL, 1);
    for (n = 1; n < 10; n++) { /* the node, the task */
        skua__fault_arm(SKUA__FAULT_MALLOC, (unsigned)n, 1, ENOMEM);
        if (skua_join_set_spawn(set, lives, NULL, .task = &task) == 0)
            break;
        CHECK(task == (skua_task *)8);
        CHECK_EQ(skua_join_set_len(set), 0);
        CHECK_EQ(skua_join_set_next(set, NULL), 0);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK(n >= 3 && n < 10);
    skua_task_detach(task);
    CHECK_EQ(skua_join_set_close(set), 0);
    return 0;
}
#endif

/* ---- stress ---------------------------------------------------------------------------------- */

struct storm {
    skua_join_set *set;
    int64_t end;
    atomic_int spawners;
    atomic_llong spawned, taken, sum_in, sum_out;
};

static int yields_a_little(void *arg)
{
    intptr_t tag = (intptr_t)arg;

    for (intptr_t i = 0; i < tag % 3; i++)
        if (skua_yield() != 0)
            break;
    return (int)tag;
}

static int storm_spawns(void *arg)
{
    struct storm *storm = arg;

    for (int i = 1; skua_now() < storm->end; i = i % 1000 + 1) {
        skua_task_id id;

        if (skua_join_set_spawn_tagged(storm->set, (uint64_t)i, yields_a_little,
                                       (void *)(intptr_t)i, .id = &id) != 0)
            break;
        atomic_fetch_add(&storm->spawned, 1);
        atomic_fetch_add(&storm->sum_in, i);
        if (i % 16 == 0)
            (void)skua_join_set_cancel(storm->set, id);
        if (i % 100 == 0)
            skua_join_set_cancel_all(storm->set);
        while (skua_join_set_len(storm->set) > 200 && skua_now() < storm->end)
            skua_yield();
    }
    atomic_fetch_sub(&storm->spawners, 1);
    return 0;
}

static int storm_takes(void *arg)
{
    struct storm *storm = arg;
    skua_joined joined;

    for (;;) {
        bool over = atomic_load(&storm->spawners) == 0;
        int rc = skua_join_set_next_until(storm->set, &joined, skua_now() + MS(1));

        if (rc == 1) {
            CHECK(joined.result == (int)joined.tag || joined.result == -ECANCELED);
            atomic_fetch_add(&storm->taken, 1);
            atomic_fetch_add(&storm->sum_out, (long long)joined.tag);
        } else if (rc == 0 && over) {
            return 0;
        } else if (rc == 0) {
            skua_yield();
        }
    }
}

static void *storm_spawns_thread(void *arg)
{
    (void)storm_spawns(arg);
    return NULL;
}

static void *storm_takes_thread(void *arg)
{
    (void)storm_takes(arg);
    return NULL;
}

/* Fibers and threads spawn and take; tasks end on both workers. Nothing is lost, or taken twice. */
TEST(stress)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        struct storm storm = {.end = skua_now() + test_stress_time(1) / 2, .spawners = 3};
        skua_runtime *runtime = test_runtime(&test_kinds[2]);
        pthread_t threads[2];
        skua_scope scope;

        MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
        open_set(&storm.set, &scope, ordered);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(skua_spawn(&scope, storm_spawns, &storm), 0);
            CHECK_EQ(skua_spawn(&scope, storm_takes, &storm), 0);
        }
        MUST(pthread_create(&threads[0], NULL, storm_spawns_thread, &storm) == 0);
        MUST(pthread_create(&threads[1], NULL, storm_takes_thread, &storm) == 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        (void)skua_scope_join(&scope);
        CHECK_EQ(skua_join_set_close(storm.set), 0);
        CHECK_EQ(storm.taken, storm.spawned);
        CHECK_EQ(storm.sum_out, storm.sum_in);
        test_note("%lld tasks", (long long)storm.taken);
        test_runtime_free(runtime);
    }
}

static void *waits_thread(void *arg)
{
    (void)waits(arg);
    return NULL;
}

/* Sets that are detached, or closed under the eyes of who waits in another thread, while their
 * tasks end. */
TEST(stress_close)
{
    int64_t end = skua_now() + test_stress_time(1) / 2;
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int round = 0; skua_now() < end; round++) {
        struct waiter waiter = {.rc = 77};
        pthread_t thread;

        open_set(&waiter.set, &scope, (unsigned)round % 2);
        CHECK_EQ(skua_join_set_spawn(waiter.set, lives, NULL), 0);
        MUST(pthread_create(&thread, NULL, waits_thread, &waiter) == 0);
        while (TEST_LINE(waiter.set) == 0)
            skua_yield();
        for (int i = 0; i < 20; i++)
            CHECK_EQ(skua_join_set_spawn(waiter.set, yields_a_little, (void *)(intptr_t)i), 0);
        if (round % 3 == 0)
            skua_join_set_detach_all(waiter.set);
        CHECK_EQ(skua_join_set_close(waiter.set), 0);
        pthread_join(thread, NULL);
        CHECK(waiter.rc == 1 || waiter.rc == SKUA_ECLOSED || (waiter.rc == 0 && round % 3 == 0));
        if (round % 3 == 0)
            CHECK(skua_scope_alive(&scope) >= 1); /* one that lives on, to be cancelled below */
    }
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    CHECK_EQ(atomic_load(&alive), 0);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_cancels_and_waits),
        cmocka_unit_test(owner_is_cancelled),
        cmocka_unit_test(scope_is_cancelled),
        cmocka_unit_test(waiters_learn_of_the_close),
        cmocka_unit_test(waiters_at_the_end_of_their_turn_learn_of_the_close),
        cmocka_unit_test(tasks_spawn_into_their_set),
        cmocka_unit_test(task_that_is_spawned_into_a_closing_set_is_cancelled),
        cmocka_unit_test(every_result_is_taken_once_in_any_order),
        cmocka_unit_test(close_in_any_order),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory),
#endif
        cmocka_unit_test(stress),
        cmocka_unit_test(stress_close),
    };

    return TEST_MAIN(tests);
}
