/* test_executor.c - one interface for whoever runs work.
 *
 * Specifies executor.h.
 */
#include <pthread.h>

#include <skua/executor.h>

#include "event.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static const char *const names[] = {"multi-thread", "thread-per-core", "current-thread",
                                    "thread-pool"};

struct tally {
    atomic_int ran, dropped, inside, most;
};

static int counts(void *arg)
{
    atomic_fetch_add(&((struct tally *)arg)->ran, 1);
    return 0;
}

static void drops(void *arg)
{
    atomic_fetch_add(&((struct tally *)arg)->dropped, 1);
}

/* ---- by name --------------------------------------------------------------------------------- */

TEST(executor_of_every_name_runs_each_work_once)
{
    for (size_t i = 0; i < TEST_LEN(names); i++) {
        struct tally tally = {.ran = 0};
        skua_executor *executor;

        MUST(skua_executor_open(&executor, names[i], NULL) == 0);
        CHECK(strcmp(executor->ops->name, names[i]) == 0);
        CHECK(skua_executor_runtime(executor) != NULL);
        for (int k = 0; k < 200; k++)
            CHECK_EQ(skua_executor_submit(executor, counts, &tally, .drop = drops), 0);
        skua_executor_close(executor);
        if (!CHECK_EQ(atomic_load(&tally.ran), 200))
            test_note("%s", names[i]);
        CHECK_EQ(atomic_load(&tally.dropped), 0);
    }
}

TEST(executor_of_no_name_is_multi_thread)
{
    skua_executor *executor;

    MUST(skua_executor_open(&executor, NULL, NULL) == 0);
    CHECK(strcmp(executor->ops->name, "multi-thread") == 0);
    skua_executor_close(executor);
    CHECK_EQ(skua_executor_open(&executor, "fibers", NULL), -EINVAL);
    CHECK_EQ(skua_executor_open(&executor, "runtime", NULL), -EINVAL);
    CHECK_EQ(skua_executor_open(&executor, "", SKUA_RUNTIME_OPTIONS(.workers = 5000)), -EINVAL);
    skua_executor_close(NULL);
}

static int is_on_a_fiber(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, skua_task_current_id() != 0);
    return 0;
}

TEST(executor_runs_where_its_name_says)
{
    for (size_t i = 0; i < TEST_LEN(names); i++) {
        atomic_int on_fibers = 0;
        skua_executor *executor;

        MUST(skua_executor_open(&executor, names[i], NULL) == 0);
        CHECK_EQ(skua_executor_submit(executor, is_on_a_fiber, &on_fibers), 0);
        skua_executor_close(executor);
        CHECK_EQ(atomic_load(&on_fibers), strcmp(names[i], "thread-pool") != 0);
    }
}

TEST(executor_of_the_current_thread_is_driven)
{
    struct tally tally = {.ran = 0};
    skua_executor *executor;

    MUST(skua_executor_open(&executor, "current-thread", NULL) == 0);
    CHECK_EQ(skua_executor_submit(executor, counts, &tally), 0);
    CHECK_EQ(atomic_load(&tally.ran), 0);
    CHECK_EQ(skua_executor_waiting(executor), 1);
    CHECK_EQ(skua_executor_run(executor), 0);
    CHECK_EQ(atomic_load(&tally.ran), 1);
    CHECK_EQ(skua_executor_submit(executor, counts, &tally), 0);
    while (skua_runtime_turn(skua_executor_runtime(executor)) <= skua_now()) /* or as a guest */
        continue;
    CHECK_EQ(atomic_load(&tally.ran), 2);
    skua_executor_close(executor);
}

/* ---- on a runtime that is there -------------------------------------------------------------- */

static int uses_an_executor(void *arg)
{
    struct tally tally = {.ran = 0};
    skua_executor *executor;

    MUST(skua_executor_on(&executor, skua_runtime_current()) == 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(skua_executor_submit(executor, counts, &tally), 0);
    skua_executor_close(executor);
    CHECK_EQ(atomic_load(&tally.ran), 20);
    (void)arg;
    return 0;
}

TEST_FIBER(executor_on_a_runtime)
{
    return uses_an_executor(arg);
}

TEST(executor_on_the_runtime_of_a_test)
{
    CHECK_EQ(skua_test_explore(100, uses_an_executor, NULL), 0);
}

/* ---- moving ---------------------------------------------------------------------------------- */

TEST(work_that_has_not_begun_is_moved)
{
    for (size_t i = 0; i < TEST_LEN(names); i++) {
        struct tally tally = {.ran = 0};
        skua_executor *from, *to;

        MUST(skua_executor_open(&from, "current-thread", NULL) == 0);
        MUST(skua_executor_open(&to, names[i], NULL) == 0);
        for (int k = 0; k < 50; k++)
            CHECK_EQ(skua_executor_submit(from, counts, &tally), 0);
        CHECK_EQ(skua_executor_move(from, from), 0);
        CHECK_EQ(skua_executor_move(from, to), 50);
        CHECK_EQ(skua_executor_waiting(from), 0);
        CHECK_EQ(skua_executor_move(from, to), 0);
        skua_executor_close(to);
        CHECK_EQ(atomic_load(&tally.ran), 50);
        skua_executor_close(from); /* its launches find nothing */
        CHECK_EQ(atomic_load(&tally.ran), 50);
    }
}

/* One of the user's own: it runs work when it is told to, two pieces at most. */
struct shelf {
    skua_executor executor;
    int room, closed;
};

static int shelf_launch(skua_executor *executor)
{
    struct shelf *self = (struct shelf *)(void *)executor;

    return self->room-- > 0 ? 0 : SKUA_ELIMIT;
}

static void shelf_close(skua_executor *executor)
{
    while (skua_executor_run_one(executor))
        continue;
    ((struct shelf *)(void *)executor)->closed = 1;
}

static const skua_executor_ops shelf_ops = {
    .name = "shelf", .launch = shelf_launch, .close = shelf_close};

TEST(executor_of_ones_own)
{
    struct tally tally = {.ran = 0};
    struct shelf shelf = {.room = 2};
    skua_executor *from;

    skua_executor_init(&shelf.executor, &shelf_ops);
    CHECK(skua_executor_runtime(&shelf.executor) == NULL);
    CHECK_EQ(skua_executor_run(&shelf.executor), 0);
    MUST(skua_executor_open(&from, "current-thread", NULL) == 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_executor_submit(from, counts, &tally), 0);
    CHECK_EQ(skua_executor_move(from, &shelf.executor), 2); /* the third stays where it was */
    CHECK_EQ(skua_executor_waiting(from), 1);
    CHECK_EQ(skua_executor_move(from, &shelf.executor), SKUA_ELIMIT);
    CHECK_EQ(skua_executor_submit(&shelf.executor, counts, &tally, .drop = drops), SKUA_ELIMIT);
    CHECK_EQ(atomic_load(&tally.dropped), 0); /* it was not taken */
    skua_executor_close(&shelf.executor);
    CHECK_EQ(shelf.closed, 1);
    CHECK_EQ(atomic_load(&tally.ran), 2);
    skua_executor_close(from);
    CHECK_EQ(atomic_load(&tally.ran), 3);
}

/* ---- decorators ------------------------------------------------------------------------------ */

static char story[256];

static void tells(const char *text, void *arg)
{
    int words = (int)strcspn(text, "0123456789");

    (void)arg;
    snprintf(story + strlen(story), sizeof story - strlen(story), "%.*s;", words, text);
}

static int refuses(skua_decorator *self, const skua_work *work)
{
    (void)self;
    return work->name != NULL && strcmp(work->name, "bad") == 0 ? -EPERM : 0;
}

static int fails(void *arg)
{
    (void)counts(arg);
    return -EIO;
}

TEST(decorators_are_called_around_work)
{
    struct tally tally = {.ran = 0};
    skua_decorator guard = {.name = "guard", .begin = refuses};
    skua_work_times times;
    skua_work_log log;
    skua_executor *executor;

    story[0] = '\0';
    MUST(skua_executor_open(&executor, "current-thread", NULL) == 0);
    CHECK_EQ(skua_executor_decorate(executor, skua_decorator_log(&log, tells, NULL)), 0);
    CHECK_EQ(skua_executor_decorate(executor, &guard), 0);
    CHECK_EQ(skua_executor_decorate(executor, skua_decorator_time(&times)), 0);
    CHECK_EQ(skua_executor_submit(executor, counts, &tally, .name = "good"), 0);
    CHECK_EQ(skua_executor_submit(executor, counts, &tally, .drop = drops, .name = "bad"), 0);
    CHECK_EQ(skua_executor_submit(executor, fails, &tally), 0);
    skua_executor_close(executor);
    CHECK_EQ(atomic_load(&tally.ran), 2);
    CHECK_EQ(atomic_load(&tally.dropped), 1);
    CHECK_EQ(times.count, 2); /* inside the guard */
    CHECK_EQ(times.failed, 1);
    CHECK(times.total_ns >= times.longest_ns);
    if (!CHECK(strcmp(story, "good begins;good ends with ;bad begins;bad ends with -;work begins;"
                             "work ends with -;") == 0))
        test_note("%s", story);
}

static int crowds(void *arg)
{
    struct tally *tally = arg;
    int inside = atomic_fetch_add(&tally->inside, 1) + 1;
    int most = atomic_load(&tally->most);

    while (inside > most && !atomic_compare_exchange_weak(&tally->most, &most, inside))
        continue;
    CHECK_EQ(skua_sleep(100 * SKUA_MICROSECOND), 0);
    atomic_fetch_sub(&tally->inside, 1);
    return counts(arg);
}

TEST(decorator_limits_on_every_executor)
{
    for (size_t i = 0; i < TEST_LEN(names); i++) {
        struct tally tally = {.ran = 0};
        skua_executor *executor;
        skua_work_limit limit;

        MUST(skua_executor_open(&executor, names[i], NULL) == 0);
        CHECK_EQ(skua_executor_decorate(executor, skua_decorator_limit(&limit, 3)), 0);
        for (int k = 0; k < 40; k++)
            CHECK_EQ(skua_executor_submit(executor, crowds, &tally), 0);
        skua_executor_close(executor);
        CHECK_EQ(atomic_load(&tally.ran), 40);
        CHECK_RANGE(atomic_load(&tally.most), 1, 3);
        CHECK_EQ(skua_semaphore_available(&limit.semaphore), 3);
    }
}

/* ---- mistakes and faults --------------------------------------------------------------------- */

TEST(executor_refuses)
{
    skua_executor *executor;
    skua_work_limit limit;

    MUST(skua_executor_open(&executor, NULL, NULL) == 0);
    CHECK_EQ(skua_executor_submit(executor, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_executor_decorate(executor, NULL), -EINVAL);
    for (int i = 0; i < SKUA_DECORATORS_MAX; i++)
        CHECK_EQ(skua_executor_decorate(executor, skua_decorator_limit(&limit, 0)), 0);
    CHECK_EQ(skua_executor_decorate(executor, skua_decorator_limit(&limit, 0)), SKUA_ELIMIT);
    skua_executor_close(executor);
}

TEST(executor_of_a_stopped_runtime_takes_nothing)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct tally tally = {.ran = 0};
    skua_executor *executor;

    MUST(skua_executor_on(&executor, runtime) == 0);
    CHECK_EQ(skua_runtime_stop(runtime, SKUA_FOREVER), 0);
    CHECK_EQ(skua_executor_submit(executor, counts, &tally, .drop = drops), SKUA_ESTOPPED);
    CHECK_EQ(skua_executor_waiting(executor), 0);
    skua_executor_close(executor);
    CHECK_EQ(atomic_load(&tally.ran) + atomic_load(&tally.dropped), 0);
    test_runtime_free(runtime);
}

#ifdef SKUA_FAULTS
TEST(executor_without_memory)
{
    struct tally tally = {.ran = 0};
    skua_executor *executor;
    unsigned nth = 1;
    int rc;

    do { /* each allocation of a runtime's, then the executor's own */
        skua__fault_arm(SKUA__FAULT_MALLOC, nth++, 1, ENOMEM);
        rc = skua_executor_open(&executor, "current-thread", NULL);
    } while (rc == -ENOMEM && nth < 50);
    CHECK_EQ(rc, 0);
    CHECK_RANGE(nth, 3, 50);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM); /* the item */
    CHECK_EQ(skua_executor_submit(executor, counts, &tally), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 2, 1, ENOMEM); /* its fiber */
    CHECK_EQ(skua_executor_submit(executor, counts, &tally), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_executor_waiting(executor), 0);
    CHECK_EQ(skua_executor_submit(executor, counts, &tally), 0);
    skua_executor_close(executor);
    CHECK_EQ(atomic_load(&tally.ran), 1);
}
#endif

/* ---- stress ---------------------------------------------------------------------------------- */

struct crowd {
    skua_executor *executors[2];
    struct tally tally;
    atomic_int submitted, stop;
};

static void *submits(void *arg)
{
    struct crowd *crowd = arg;

    for (int i = 0; !atomic_load(&crowd->stop); i++) {
        while (skua_executor_waiting(crowd->executors[i % 2]) > 200)
            test_thread_sleep(20 * SKUA_MICROSECOND);
        if (skua_executor_submit(crowd->executors[i % 2], counts, &crowd->tally) == 0)
            atomic_fetch_add(&crowd->submitted, 1);
        if (i % 64 == 0)
            CHECK(skua_executor_move(crowd->executors[0], crowd->executors[1]) >= 0);
    }
    return NULL;
}

TEST(work_is_submitted_and_moved_by_many_threads)
{
    struct crowd crowd = {.stop = 0};
    pthread_t threads[3];

    MUST(skua_executor_open(&crowd.executors[0], "multi-thread", NULL) == 0);
    MUST(skua_executor_open(&crowd.executors[1], "thread-pool", NULL) == 0);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        MUST(pthread_create(&threads[i], NULL, submits, &crowd) == 0);
    test_thread_sleep(MS(300));
    atomic_store(&crowd.stop, 1);
    for (size_t i = 0; i < TEST_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    skua_executor_close(crowd.executors[0]);
    skua_executor_close(crowd.executors[1]);
    CHECK_EQ(atomic_load(&crowd.tally.ran), atomic_load(&crowd.submitted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executor_of_every_name_runs_each_work_once),
        cmocka_unit_test(executor_of_no_name_is_multi_thread),
        cmocka_unit_test(executor_runs_where_its_name_says),
        cmocka_unit_test(executor_of_the_current_thread_is_driven),
        cmocka_unit_test(executor_on_a_runtime),
        cmocka_unit_test(executor_on_the_runtime_of_a_test),
        cmocka_unit_test(work_that_has_not_begun_is_moved),
        cmocka_unit_test(executor_of_ones_own),
        cmocka_unit_test(decorators_are_called_around_work),
        cmocka_unit_test(decorator_limits_on_every_executor),
        cmocka_unit_test(executor_refuses),
        cmocka_unit_test(executor_of_a_stopped_runtime_takes_nothing),
#ifdef SKUA_FAULTS
        cmocka_unit_test(executor_without_memory),
#endif
        cmocka_unit_test(work_is_submitted_and_moved_by_many_threads),
    };

    return TEST_MAIN(tests);
}
