/* test_join_set.c - tasks whose results are taken as they end. Specifies join_set.h: sets. */
#include "line.h"
#include "part.h"

/* ---- where sets are at home: a fiber's scope, or a thread's on a runtime of its own ---------- */

struct home {
    skua_runtime *runtime; /* NULL on a fiber */
    skua_scope scope;
    skua_join_set *set;
};

static skua_scope *home_scope(struct home *home)
{
    return &home->scope;
}

static void home_open(struct home *home, const skua_join_set_options *options)
{
    home->runtime = NULL;
    if (skua_task_current_id() != 0) {
        MUST(skua_scope_open(&home->scope, SKUA_COLLECT) == 0);
    } else {
        home->runtime = test_runtime(&test_kinds[2]);
        MUST(skua_scope_open_on(&home->scope, home->runtime, SKUA_COLLECT) == 0);
    }
    MUST(skua_join_set_open(&home->set, home_scope(home), options) == 0);
    CHECK_EQ(skua_join_set_len(home->set), 0);
}

/* Ends the set, and what is left in the scope, which may have failed. */
static void home_close(struct home *home)
{
    CHECK_EQ(skua_join_set_close(home->set), 0);
    (void)skua_scope_join(&home->scope);
    if (home->runtime != NULL)
        test_runtime_free(home->runtime);
}

/* A task that ends when it is told to. */
struct errand {
    struct test_event go;
    int result;
    atomic_int begun, ended, dropped;
};

static void errand_init(struct errand *errand, int result)
{
    *errand = (struct errand){.result = result};
    test_event_init(&errand->go);
}

static int runs_errand(void *arg)
{
    struct errand *errand = arg;
    int rc;

    atomic_store(&errand->begun, 1);
    rc = test_event_wait(&errand->go);
    atomic_store(&errand->ended, 1);
    return rc != 0 ? rc : errand->result;
}

static void drops_errand(void *arg)
{
    atomic_fetch_add(&((struct errand *)arg)->dropped, 1);
}

static void check_next(skua_join_set *set, uint64_t tag, int result)
{
    skua_joined joined = {0};

    CHECK_EQ(skua_join_set_next(set, &joined), 1);
    CHECK_EQ(joined.tag, tag);
    CHECK_EQ(joined.result, result);
    CHECK(joined.id != 0);
}

/* ---- taking ---------------------------------------------------------------------------------- */

TEST_WAITING(next_gives_results_as_tasks_end)
{
    static const int order[] = {2, 0, 1};
    struct errand errands[3];
    skua_joined untouched = {.tag = 77};
    struct home home;

    home_open(&home, NULL);
    CHECK_EQ(skua_join_set_next(home.set, &untouched), 0);
    for (int i = 0; i < 3; i++) {
        errand_init(&errands[i], 10 + i);
        CHECK_EQ(skua_join_set_spawn_tagged(home.set, (uint64_t)i, runs_errand, &errands[i]), 0);
        CHECK_EQ(skua_join_set_len(home.set), i + 1);
    }
    CHECK_EQ(skua_join_set_try_next(home.set, &untouched), -EAGAIN);
    CHECK_EQ(untouched.tag, 77);
    for (int i = 0; i < 3; i++) {
        test_event_set(&errands[order[i]].go);
        check_next(home.set, (uint64_t)order[i], 10 + order[i]);
        CHECK_EQ(skua_join_set_len(home.set), 2 - i);
    }
    CHECK_EQ(skua_join_set_next(home.set, NULL), 0);
    CHECK_EQ(skua_join_set_try_next(home.set, NULL), 0);
    home_close(&home);
}

TEST_WAITING(next_in_the_order_of_spawns)
{
    struct errand errands[3];
    struct home home;

    home_open(&home, SKUA_JOIN_SET_OPTIONS(.ordered = 1));
    for (int i = 0; i < 3; i++) {
        errand_init(&errands[i], i);
        CHECK_EQ(skua_join_set_spawn_tagged(home.set, (uint64_t)i, runs_errand, &errands[i]), 0);
    }
    test_event_set(&errands[2].go);
    test_event_set(&errands[1].go);
    while (atomic_load(&errands[1].ended) + atomic_load(&errands[2].ended) < 2)
        skua_yield();
    CHECK_EQ(skua_join_set_try_next(home.set, NULL), -EAGAIN); /* the oldest runs */
    test_event_set(&errands[0].go);
    for (int i = 0; i < 3; i++)
        check_next(home.set, (uint64_t)i, i);
    CHECK_EQ(skua_join_set_next(home.set, NULL), 0);
    home_close(&home);
}

static skua_poll polls_for_a_while(void *state, skua_waker *waker)
{
    int *left = state;

    if (*left % 10 == 0)
        return *left;
    --*left;
    skua_waker_wake(waker);
    return SKUA_PENDING;
}

TEST_WAITING(poll_tasks_are_taken_too)
{
    struct home home;
    int sum = 0, states[] = {20, 33, 58};
    skua_joined joined;

    home_open(&home, NULL);
    CHECK_EQ(skua_join_set_spawn_poll(home.set, polls_for_a_while, &states[0], .name = "poll"), 0);
    for (int i = 1; i < 3; i++)
        CHECK_EQ(
            skua_join_set_spawn_poll_tagged(home.set, (uint64_t)i, polls_for_a_while, &states[i]),
            0);
    while (skua_join_set_next(home.set, &joined) == 1) {
        CHECK_EQ(joined.result, 20 + 10 * (int)joined.tag + 10 * (joined.tag == 2));
        sum += joined.result;
    }
    CHECK_EQ(sum, 100);
    home_close(&home);
}

TEST_FIBER(next_has_a_deadline)
{
    struct errand errand;
    skua_deadline frame;
    struct home home;

    (void)arg;
    home_open(&home, NULL);
    errand_init(&errand, 5);
    CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errand), 0);
    CHECK_EQ(skua_join_set_next_until(home.set, NULL, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(2)), 0);
    CHECK_EQ(skua_join_set_next(home.set, NULL), -ETIMEDOUT);
    CHECK_EQ(skua_join_set_join_all(home.set), -ETIMEDOUT);
    skua_deadline_end(&frame);
    CHECK_EQ(skua_join_set_len(home.set), 1);
    test_event_set(&errand.go);
    check_next(home.set, 0, 5);
    home_close(&home);
    return 0;
}

TEST_WAITING(join_all_gives_the_first_error)
{
    static int results[] = {3, -EIO, -EPIPE, 0};
    struct home home;

    home_open(&home, SKUA_JOIN_SET_OPTIONS(.ordered = 1));
    CHECK_EQ(skua_join_set_join_all(home.set), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_join_set_spawn(home.set, test_fiber_return, (void *)(intptr_t)results[i]), 0);
    CHECK_EQ(skua_join_set_join_all(home.set), -EIO);
    CHECK_EQ(skua_join_set_len(home.set), 0);
    home_close(&home);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct taker {
    skua_join_set *set;
    skua_joined joined;
    int rc;
};

static int takes(void *arg)
{
    struct taker *taker = arg;

    taker->rc = skua_join_set_next(taker->set, &taker->joined);
    return 0;
}

/* A wait that is cancelled, or dropped when it was told already, has taken nothing. */
TEST_FIBER_CURRENT(next_is_cancel_safe)
{
    struct errand errand;
    struct taker taker;
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_sync_future first, second;
    skua_task *task;
    struct home home;

    home_open(&home, NULL);
    errand_init(&errand, 5);
    CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errand), 0);
    taker = (struct taker){.set = home.set, .rc = 77};
    CHECK_EQ(skua_spawn(&home.scope, takes, &taker, .task = &task), 0);
    CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(taker.rc, -ECANCELED);
    CHECK_EQ(skua_future_poll(skua_join_set_next_init(&first, home.set, NULL), waker),
             SKUA_PENDING);
    CHECK_EQ(skua_future_poll(skua_join_set_next_init(&second, home.set, NULL), waker),
             SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&second.future, waker), SKUA_PENDING);
    test_event_set(&errand.go);
    while (TEST_RINGS(&bell) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(TEST_RINGS(&bell), 1);
    skua_future_drop(&first.future);
    CHECK_EQ(TEST_RINGS(&bell), 2); /* the next in line is told */
    CHECK_EQ(skua_join_set_len(home.set), 1);
    CHECK_EQ(skua_future_poll(&second.future, waker), 1);
    CHECK_EQ(skua_future_poll(skua_join_set_next_init(&first, home.set, NULL), waker), 0);
    home_close(&home);
    test_bell_end(&bell);
    return 0;
}

/* In an ordered set one end may be good for several results: each that is there has a taker. */
TEST_FIBER_CURRENT(next_in_line_is_told_of_the_next_in_order)
{
    struct errand errands[3];
    struct test_bell bells[2];
    skua_waker *wakers[2];
    skua_sync_future waits[2];
    struct home home;

    home_open(&home, SKUA_JOIN_SET_OPTIONS(.ordered = 1));
    for (int i = 0; i < 3; i++) {
        errand_init(&errands[i], 5 + i);
        CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errands[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        wakers[i] = test_bell_init(&bells[i]);
        CHECK_EQ(skua_future_poll(skua_join_set_next_init(&waits[i], home.set, NULL), wakers[i]),
                 SKUA_PENDING);
    }
    for (int i = 1; i >= 0; i--) {
        CHECK_EQ(TEST_RINGS(&bells[0]), 0);
        test_event_set(&errands[i].go);
        while (!atomic_load(&errands[i].ended))
            CHECK_EQ(skua_yield(), 0);
    }
    CHECK_EQ(TEST_RINGS(&bells[0]), 1);
    CHECK_EQ(TEST_RINGS(&bells[1]), 0);
    CHECK_EQ(skua_future_poll(&waits[0].future, wakers[0]), 1);
    CHECK_EQ(TEST_RINGS(&bells[1]), 1);
    CHECK_EQ(skua_future_poll(&waits[1].future, wakers[1]), 1);
    home_close(&home);
    for (int i = 0; i < 2; i++)
        test_bell_end(&bells[i]);
    return 0;
}

/* One that is told, and finds that the set was emptied by another, says so. */
TEST_FIBER(everybody_learns_that_it_is_empty)
{
    struct errand errand;
    struct taker takers[5];
    skua_scope scope;
    struct home home;
    int taken = 0;

    home_open(&home, NULL);
    errand_init(&errand, 5);
    CHECK_EQ(skua_join_set_spawn_tagged(home.set, 9, runs_errand, &errand), 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 5; i++) {
        takers[i] = (struct taker){.set = home.set, .rc = 77};
        CHECK_EQ(skua_spawn(&scope, takes, &takers[i]), 0);
    }
    CHECK_EQ(skua_yield(), 0);
    test_event_set(&errand.go);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 5; i++) {
        CHECK(takers[i].rc == 0 || (takers[i].rc == 1 && takers[i].joined.tag == 9));
        taken += takers[i].rc;
    }
    CHECK_EQ(taken, 1);
    home_close(&home);
    return 0;
}

TEST_WAITING(next_in_a_select)
{
    struct errand errand;
    skua_joined joined = {0};
    int64_t result = 77;
    struct home home;

    home_open(&home, NULL);
    errand_init(&errand, 5);
    CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errand), 0);
    CHECK_EQ(skua_select(skua_joining_next(home.set, &joined), skua_sleeping(MS(1))), 1);
    test_event_set(&errand.go);
    CHECK_EQ(
        skua_select_to(&result, skua_joining_next(home.set, &joined), skua_sleeping(MS(20000))), 0);
    CHECK_EQ(result, 1);
    CHECK_EQ(joined.result, 5);
    home_close(&home);
}

struct polled {
    skua_async async;
    skua_join_set *set;
    skua_sync_future next;
    skua_joined joined;
    skua_poll answer;
    int sum;
};

static skua_poll takes_all(void *state, skua_waker *waker)
{
    struct polled *self = state;

    SKUA_ASYNC(self, waker);
    CHECK_EQ(skua_join_set_close(self->set), SKUA_EUSAGE); /* it may not wait */
    for (;;) {
        SKUA_AWAIT_TO(self->answer, skua_join_set_next_init(&self->next, self->set, &self->joined));
        if (self->answer != 1)
            break;
        self->sum += self->joined.result;
    }
    CHECK_EQ(skua_join_set_close(self->set), 0); /* an empty one */
    SKUA_ASYNC_END(self->answer != 0 ? self->answer : self->sum);
}

TEST_FIBER(poll_task_takes_and_closes)
{
    struct polled state = {.answer = 77};
    struct errand errands[3];
    skua_task *task;
    int result;

    MUST(skua_join_set_open(&state.set, NULL, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        errand_init(&errands[i], i + 1);
        CHECK_EQ(skua_join_set_spawn(state.set, runs_errand, &errands[i]), 0);
    }
    MUST(skua_spawn_poll(NULL, takes_all, &state, .task = &task) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_yield(), 0);
        test_event_set(&errands[i].go);
    }
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 6);
    return 0;
}

/* ---- cancelling and letting go --------------------------------------------------------------- */

TEST_WAITING(cancel_one)
{
    struct errand errands[2];
    skua_task_id ids[2], stranger;
    skua_joined joined;
    struct home home;

    home_open(&home, NULL);
    for (int i = 0; i < 2; i++) {
        errand_init(&errands[i], 5);
        CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errands[i], .id = &ids[i]), 0);
    }
    CHECK_EQ(skua_join_set_cancel(home.set, ids[1]), 0);
    CHECK_EQ(skua_join_set_next(home.set, &joined), 1);
    CHECK_EQ(joined.id, ids[1]);
    CHECK_EQ(joined.result, -ECANCELED);
    CHECK_EQ(skua_join_set_cancel(home.set, ids[1]), -ESRCH);
    CHECK_EQ(skua_join_set_cancel(home.set, 0), -ESRCH);
    stranger = skua_task_current_id();
    if (stranger != 0)
        CHECK_EQ(skua_join_set_cancel(home.set, stranger), -ESRCH); /* of another scope */
    CHECK_EQ(skua_cancelled(), 0);
    test_event_set(&errands[0].go);
    check_next(home.set, 0, 5);
    home_close(&home);
}

/* All are cancelled, also those that never begin, whose `arg` is given back. Then it goes on. */
TEST_FIBER_CURRENT(cancel_all)
{
    enum { MANY = 100 }; /* more than one handful */
    static struct errand errands[MANY];
    skua_joined joined;
    struct home home;

    for (int ordered = 0; ordered < 2; ordered++) {
        home_open(&home, SKUA_JOIN_SET_OPTIONS(.ordered = (unsigned)ordered));
        for (int i = 0; i < MANY; i++) {
            errand_init(&errands[i], 5);
            CHECK_EQ(skua_join_set_spawn_tagged(home.set, (uint64_t)i, runs_errand, &errands[i],
                                                .drop = drops_errand),
                     0);
            if (i == MANY / 2)
                CHECK_EQ(skua_yield(), 0); /* those begin */
        }
        skua_join_set_cancel_all(home.set);
        skua_join_set_cancel_all(home.set);
        CHECK_EQ(skua_join_set_len(home.set), MANY);
        for (int i = 0; i < MANY; i++) {
            CHECK_EQ(skua_join_set_next(home.set, &joined), 1);
            CHECK_EQ(joined.result, -ECANCELED);
            if (ordered)
                CHECK_EQ(joined.tag, i);
        }
        for (int i = 0; i < MANY; i++) {
            CHECK_EQ(errands[i].begun, i <= MANY / 2);
            CHECK_EQ(errands[i].dropped, i > MANY / 2);
        }
        CHECK_EQ(skua_join_set_spawn(home.set, test_fiber_return, (void *)4), 0);
        check_next(home.set, 0, 4);
        home_close(&home);
    }
    return 0;
}

TEST_WAITING(detached_tasks_go_on)
{
    enum { MANY = 70 };
    static struct errand errands[MANY];
    skua_task *task;
    int result = 0;
    struct home home;

    home_open(&home, SKUA_JOIN_SET_OPTIONS(.ordered = 1));
    for (int i = 0; i < MANY; i++) {
        errand_init(&errands[i], i);
        if (i % 3 == 0)
            test_event_set(&errands[i].go); /* some have ended, and some are just ending */
        CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errands[i], .task = &task), 0);
        if (i == MANY / 2)
            CHECK_EQ(skua_yield(), 0);
    }
    skua_join_set_detach_all(home.set);
    CHECK_EQ(skua_join_set_len(home.set), 0);
    CHECK_EQ(skua_join_set_next(home.set, NULL), 0);
    CHECK_EQ(skua_join_set_close(home.set), 0);
    for (int i = 0; i < MANY; i++)
        test_event_set(&errands[i].go);
    CHECK_EQ(skua_task_join(task, &result), 0); /* nobody else joins it any more */
    CHECK_EQ(result, MANY - 1);
    CHECK_EQ(skua_scope_join(&home.scope), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(errands[i].ended, 1);
    if (home.runtime != NULL)
        test_runtime_free(home.runtime);
}

/* ---- options of the spawn -------------------------------------------------------------------- */

static int tells_priority(void *arg)
{
    CHECK(strcmp(skua_task_current_name(), "errand") == 0);
    return (int)(intptr_t)arg;
}

TEST_WAITING(spawn_options_work)
{
    struct errand errand;
    skua_task *task = NULL;
    skua_task_id id = 0;
    skua_joined joined;
    struct home home;

    home_open(&home, NULL);
    CHECK_EQ(skua_join_set_spawn(home.set, tells_priority, (void *)3, .name = "errand",
                                 .priority = SKUA_HIGH, .stack = SKUA_STACK_LARGE,
                                 .flags = SKUA_SAVE_FP),
             0);
    check_next(home.set, 0, 3);
    errand_init(&errand, 5);
    CHECK_EQ(skua_join_set_spawn(home.set, runs_errand, &errand, .id = &id, .task = &task), 0);
    CHECK_EQ(skua_task_id_of(task), id);
    CHECK_EQ(skua_task_join(task, NULL), -EBUSY);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_join_set_next(home.set, &joined), 1);
    CHECK_EQ(joined.id, id);
    CHECK_EQ(joined.result, -ECANCELED);
    CHECK_EQ(skua_task_done(task), 1);
    skua_task_detach(task);
    home_close(&home);
}

/* A task that is met by its id, before its spawner has said what is to become of it. */
static void joins_at_birth(const skua_task_info *info, void *arg)
{
    skua_runtime **runtime = arg;
    struct test_bell bell;
    skua_waker *waker = test_bell_init(&bell);
    skua_join_future join;
    skua_task *task;
    int result = 0;

    if (strcmp(info->site->name, "met") != 0)
        return;
    MUST(skua_task_find(*runtime, info->id, &task) == 0);
    CHECK_EQ(skua_future_poll(skua_join_init(&join, task, &result), waker), -EBUSY);
    skua_task_detach(task);
    test_bell_end(&bell);
}

static int spawns_met(void *arg)
{
    skua_join_set *set;

    (void)arg;
    MUST(skua_join_set_open(&set, NULL, NULL) == 0);
    CHECK_EQ(skua_join_set_spawn(set, test_fiber_return, (void *)8, .name = "met"), 0);
    check_next(set, 0, 8);
    CHECK_EQ(skua_join_set_close(set), 0);
    return 0;
}

TEST(nobody_joins_before_the_set)
{
    static skua_runtime *runtime;

    runtime = test_runtime_with(&test_kinds[0], (skua_runtime_options){
                                                    .size = sizeof(skua_runtime_options),
                                                    .on_task_spawn = joins_at_birth,
                                                    .hook_arg = &runtime,
                                                });
    test_run(runtime, spawns_met, NULL);
    test_runtime_free(runtime);
}

TEST_FIBER(refusals)
{
    static const skua_site site = {"refused", __FILE__, "refusals", __LINE__};
    skua_join_set *set = NULL;
    skua_spawn_options spawn;
    struct home home;
    char large[5000];
    skua_scope scope = {0};

    skua_spawn_options_init(&spawn);
    CHECK_EQ(skua_join_set_open(NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_join_set_open(&set, NULL, &(skua_join_set_options){.ordered = 1}), -EINVAL);
    CHECK_EQ(skua_join_set_open(&set, NULL, SKUA_JOIN_SET_OPTIONS(.ordered = 2)), -EINVAL);
    CHECK_EQ(skua_join_set_open(&set, &scope, NULL), SKUA_EUSAGE);
    CHECK(set == NULL);
    CHECK_EQ(skua_join_set_close(NULL), 0);
    home_open(&home, SKUA_JOIN_SET_OPTIONS(.ordered = 1));
    CHECK_EQ(skua_join_set_spawn(home.set, (skua_fiber_fn)NULL, NULL), -EINVAL);
    CHECK_EQ(skua_join_set_spawn(home.set, test_fiber_return, NULL, .priority = 9), -EINVAL);
    spawn.size = 8;
    CHECK_EQ(skua_join_set_spawn_at(&site, home.set, 0, test_fiber_return, NULL, &spawn), -EINVAL);
    CHECK_EQ(skua_join_set_spawn_poll_at(&site, home.set, 0, polls_for_a_while, "", 1, &spawn),
             -EINVAL);
    CHECK_EQ(skua_join_set_spawn_poll(home.set, polls_for_a_while, &large), SKUA_ELIMIT);
    CHECK_EQ(skua_join_set_len(home.set), 0);
    CHECK_EQ(skua_scope_cancel(&home.scope), 0);
    CHECK_EQ(skua_join_set_spawn(home.set, test_fiber_return, NULL), -ECANCELED);
    CHECK_EQ(skua_join_set_next(home.set, NULL), 0);
    home_close(&home);
    return 0;
}

TEST(no_scope_on_a_thread)
{
    skua_join_set *set = NULL;

    CHECK_EQ(skua_join_set_open(&set, NULL, NULL), SKUA_EUSAGE);
    CHECK(set == NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(next_gives_results_as_tasks_end),
        TEST_WAITING_ENTRIES(next_in_the_order_of_spawns),
        TEST_WAITING_ENTRIES(poll_tasks_are_taken_too),
        cmocka_unit_test(next_has_a_deadline),
        TEST_WAITING_ENTRIES(join_all_gives_the_first_error),
        cmocka_unit_test(next_is_cancel_safe),
        cmocka_unit_test(next_in_line_is_told_of_the_next_in_order),
        cmocka_unit_test(everybody_learns_that_it_is_empty),
        TEST_WAITING_ENTRIES(next_in_a_select),
        cmocka_unit_test(poll_task_takes_and_closes),
        TEST_WAITING_ENTRIES(cancel_one),
        cmocka_unit_test(cancel_all),
        TEST_WAITING_ENTRIES(detached_tasks_go_on),
        TEST_WAITING_ENTRIES(spawn_options_work),
        cmocka_unit_test(nobody_joins_before_the_set),
        cmocka_unit_test(refusals),
        cmocka_unit_test(no_scope_on_a_thread),
    };

    return TEST_MAIN(tests);
}
