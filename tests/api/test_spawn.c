/* test_spawn.c - spawning: results, names, ids, handles, limits, stacks and flags.
 *
 * Specifies task.h: skua_spawn, skua_spawn_poll, skua_spawn_on, skua_task_join, _detach, _cancel,
 * _done, _find, _cancel_id, the spawn options and the limits that make a spawn fail.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/event.h"

/* ---- results --------------------------------------------------------------------------------- */

TEST_FIBER(spawn_gives_results)
{
    static const int results[] = {0, 1, 7, INT_MAX, -1, -EIO, SKUA_EEOF, -ECANCELED, INT_MIN};
    skua_scope scope;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    for (size_t i = 0; i < TEST_LEN(results); i++) {
        skua_task *task = NULL;
        int result = 12345;

        MUST(skua_spawn(&scope, test_fiber_return, (void *)(intptr_t)results[i], .task = &task) ==
             0);
        MUST(task != NULL);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, results[i]);
    }
    CHECK_EQ(skua_scope_join(&scope), -1);
    return 0;
}

TEST_FIBER(spawn_join_wants_no_result)
{
    skua_task *task;

    MUST(skua_spawn(NULL, test_fiber_return, (void *)3, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    return 0;
}

static int count_up(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

TEST_FIBER(spawn_runs_each_once)
{
    enum { COUNT = 2000 };
    atomic_int ran = 0;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_FAIL_FAST);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(skua_spawn(&scope, count_up, &ran), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&ran), COUNT);
    return 0;
}

/* ---- names and ids --------------------------------------------------------------------------- */

static int says_name(void *arg)
{
    const char *name = skua_task_current_name();

    return name && strcmp(name, arg) == 0 ? 0 : -ENOENT;
}

TEST_FIBER(spawn_names_tasks)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, says_name, "says_name"), 0);
    CHECK_EQ(skua_spawn(&scope, says_name, "orders", .name = "orders"), 0);
    CHECK_EQ(skua_spawn(&scope, says_name, "", .name = ""), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

TEST(spawn_no_name_or_id_outside)
{
    CHECK(skua_task_current_name() == NULL);
    CHECK_EQ(skua_task_current_id(), 0);
    CHECK(skua_scope_current() == NULL);
    CHECK(skua_runtime_current() == NULL);
}

static int gives_id(void *arg)
{
    *(skua_task_id *)arg = skua_task_current_id();
    return 0;
}

TEST_FIBER(spawn_ids_agree)
{
    skua_task_id inside = 0, option = 0, of;
    skua_task *task;

    CHECK(skua_task_current_id() != 0);
    MUST(skua_spawn(NULL, gives_id, &inside, .task = &task, .id = &option) == 0);
    of = skua_task_id_of(task);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK(inside != 0);
    CHECK(inside == option);
    CHECK(inside == of);
    CHECK(inside != skua_task_current_id());
    return 0;
}

static int id_order(const void *a, const void *b)
{
    skua_task_id left = *(const skua_task_id *)a, right = *(const skua_task_id *)b;

    return (left > right) - (left < right);
}

TEST_FIBER(spawn_ids_are_never_reused)
{
    const int count = TEST_COUNT(5000);
    skua_task_id *ids = calloc((size_t)count, sizeof *ids);

    for (int i = 0; i < count; i++) {
        skua_scope scope;

        skua_scope_open(&scope, SKUA_COLLECT);
        CHECK_EQ(skua_spawn(&scope, test_fiber_return, NULL, .id = &ids[i]), 0);
        CHECK_EQ(skua_scope_join(&scope), 0);
    }
    qsort(ids, (size_t)count, sizeof *ids, id_order);
    CHECK(ids[0] != 0);
    for (int i = 1; i < count; i++)
        CHECK(ids[i] != ids[i - 1]);
    free(ids);
    return 0;
}

TEST_FIBER(spawn_stale_ids_name_nothing)
{
    skua_runtime *runtime = arg;
    skua_task *untouched = (skua_task *)8, *task = untouched;
    skua_scope scope;
    skua_task_id id;

    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, test_fiber_return, NULL, .id = &id) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_task_find(runtime, id, &task), -ESRCH);
    CHECK_EQ(skua_task_cancel_id(runtime, id), -ESRCH);
    for (int i = 0; i < 200; i++) {
        uint64_t wild = i == 0 ? 0 : i == 1 ? UINT64_MAX : id ^ (UINT64_C(1) << (i % 64));

        if (wild == skua_task_current_id())
            continue;
        CHECK_EQ(skua_task_find(runtime, wild, &task), -ESRCH);
        CHECK_EQ(skua_task_cancel_id(runtime, wild), -ESRCH);
    }
    CHECK(task == untouched);
    CHECK_EQ(skua_cancelled(), 0);
    return 0;
}

TEST_FIBER(spawn_find_gives_a_handle)
{
    skua_runtime *runtime = arg;
    skua_task *found = NULL, *own = NULL;
    skua_task_id id;
    int result = 0;

    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .id = &id, .task = &own) == 0);
    MUST(skua_task_find(runtime, id, &found) == 0);
    CHECK(skua_task_id_of(found) == id);
    CHECK_EQ(skua_task_done(found), 0);
    CHECK_EQ(skua_task_cancel_id(runtime, id), 0);
    CHECK_EQ(skua_task_join(found, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_task_done(own), 1);
    CHECK_EQ(skua_task_find(runtime, id, &found), -ESRCH);
    skua_task_detach(own);
    return 0;
}

/* An id of one runtime is none of another's: it finds nothing, or at the very least harms none. */
TEST(spawn_ids_belong_to_their_runtime)
{
    skua_runtime *one = test_runtime(&test_kinds[1]), *two = test_runtime(&test_kinds[1]);
    skua_task_id id;
    skua_task *task;
    int result;

    MUST(skua_spawn_on(one, test_fiber_forever, NULL, .id = &id) == 0);
    CHECK_EQ(skua_block_on(two, test_fiber_return, (void *)4, &result), 0);
    CHECK_EQ(result, 4);
    CHECK_EQ(skua_task_find(two, id, &task), -ESRCH);
    test_runtime_free(two);
    test_runtime_free(one);
}

/* ---- handles --------------------------------------------------------------------------------- */

TEST_FIBER(spawn_detach_leaves_it_to_the_scope)
{
    atomic_int ran = 0;
    skua_task *task;
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 100; i++) {
        MUST(skua_spawn(&scope, count_up, &ran, .task = &task) == 0);
        skua_task_detach(task);
    }
    skua_task_detach(NULL);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&ran), 100);
    return 0;
}

/* A handle outlives the task, and its scope: it still tells the result. */
TEST_FIBER(spawn_handle_outlives_the_scope)
{
    skua_task *task;
    skua_scope scope;
    int result = 0;

    skua_scope_open(&scope, SKUA_COLLECT);
    MUST(skua_spawn(&scope, test_fiber_return, (void *)9, .task = &task) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_task_done(task), 1);
    CHECK_EQ(skua_task_cancel(task), -ESRCH);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 9);
    return 0;
}

struct joiner {
    skua_task *task;
    struct test_event ready;
    int rc, result;
};

static int join_it(void *arg)
{
    struct joiner *self = arg;

    self->result = 12345;
    test_event_set(&self->ready);
    self->rc = skua_task_join(self->task, &self->result);
    return 0;
}

TEST_FIBER_CLOCK(spawn_second_join_is_busy)
{
    struct joiner first = {.ready = TEST_EVENT_INIT};
    skua_task *second, *joiner;
    int result = 77;

    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .task = &first.task) == 0);
    MUST(skua_task_find(arg, skua_task_id_of(first.task), &second) == 0);
    MUST(skua_spawn(NULL, join_it, &first, .task = &joiner) == 0);
    test_event_wait(&first.ready);
    CHECK_EQ(skua_test_advance(0), 0); /* it joins */
    CHECK_EQ(skua_task_join(second, &result), -EBUSY);
    CHECK_EQ(result, 77);
    CHECK_EQ(skua_task_cancel(second), 0);
    CHECK_EQ(skua_task_join(joiner, NULL), 0);
    CHECK_EQ(first.rc, 0);
    CHECK_EQ(first.result, -ECANCELED);
    skua_task_detach(second);
    return 0;
}

TEST_FIBER(spawn_join_of_oneself_is_refused)
{
    skua_task *self;
    int result = 77;

    MUST(skua_task_find(arg, skua_task_current_id(), &self) == 0);
    CHECK_EQ(skua_task_join(self, &result), -EDEADLK);
    CHECK_EQ(result, 77);
    CHECK_EQ(skua_task_done(self), 0);
    skua_task_detach(self);
    return 0;
}

TEST_FIBER_CLOCK(spawn_cancelled_join_keeps_the_handle)
{
    struct joiner joining = {.ready = TEST_EVENT_INIT};
    skua_task *joiner;
    int result = 0;

    MUST(skua_spawn(NULL, test_fiber_forever, NULL, .task = &joining.task) == 0);
    MUST(skua_spawn(NULL, join_it, &joining, .task = &joiner) == 0);
    test_event_wait(&joining.ready);
    CHECK_EQ(skua_test_advance(0), 0); /* it joins */
    CHECK_EQ(skua_task_cancel(joiner), 0);
    CHECK_EQ(skua_task_join(joiner, NULL), 0);
    CHECK_EQ(joining.rc, -ECANCELED);
    CHECK_EQ(joining.result, 12345);
    CHECK_EQ(skua_task_done(joining.task), 0);
    CHECK_EQ(skua_task_cancel(joining.task), 0);
    CHECK_EQ(skua_task_join(joining.task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

TEST_FIBER(spawn_join_of_a_finished_task)
{
    skua_task *task;
    int result = 0;

    MUST(skua_spawn(NULL, test_fiber_return, (void *)5, .task = &task) == 0);
    while (!skua_task_done(task))
        skua_yield();
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 5);
    return 0;
}

/* ---- from threads ---------------------------------------------------------------------------- */

struct spawner {
    skua_scope *scope;
    atomic_int *ran;
    struct test_latch *latch;
};

static void *spawn_many(void *arg)
{
    struct spawner *self = arg;

    for (int i = 0; i < 200; i++)
        CHECK_EQ(skua_spawn(self->scope, count_up, self->ran), 0);
    test_latch_hit(self->latch);
    return NULL;
}

TEST_FIBER(spawn_from_threads)
{
    pthread_t threads[4];
    atomic_int ran = 0;
    struct test_latch latch;
    skua_scope scope;
    struct spawner self = {&scope, &ran, &latch};

    test_latch_init(&latch, 4);
    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 4; i++)
        MUST(pthread_create(&threads[i], NULL, spawn_many, &self) == 0);
    CHECK_EQ(test_latch_wait(&latch), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(atomic_load(&ran), 800);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

TEST(spawn_and_join_from_the_main_thread)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        for (int n = 0; n < 200; n++) {
            skua_task *task;
            int result = 0;

            MUST(skua_spawn_on(runtime, test_fiber_return, (void *)(intptr_t)n, .task = &task) ==
                 0);
            CHECK_EQ(skua_task_join(task, &result), 0);
            CHECK_EQ(result, n);
        }
        CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), SKUA_EUSAGE);
        test_runtime_free(runtime);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static skua_poll never_polled(void *state, skua_waker *waker)
{
    (void)state;
    (void)waker;
    CHECK(!"polled");
    return 0;
}

static int fills_up(void *arg)
{
    skua_runtime *runtime = arg;
    skua_scope scope;
    int spawned = 0, rc;

    for (int round = 0; round < 3; round++) {
        skua_task *untouched = (skua_task *)8, *task = untouched;
        skua_task_id id = 4711;

        skua_scope_open(&scope, SKUA_COLLECT);
        for (spawned = 0; (rc = skua_spawn(&scope, test_fiber_forever, NULL)) == 0;)
            MUST(++spawned < 100);
        CHECK_EQ(rc, SKUA_ELIMIT);
        CHECK_EQ(spawned, 9);
        CHECK_EQ(skua_spawn(&scope, test_fiber_forever, NULL, .task = &task, .id = &id),
                 SKUA_ELIMIT);
        CHECK_EQ(skua_spawn_poll(&scope, never_polled, &id), SKUA_ELIMIT);
        CHECK_EQ(skua_spawn_on(runtime, test_fiber_forever, NULL), SKUA_ELIMIT);
        CHECK(task == untouched);
        CHECK_EQ(id, 4711);
        CHECK_EQ(skua_scope_alive(&scope), 9);
        skua_scope_cancel(&scope);
        CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    }
    return 0;
}

TEST(spawn_tasks_max)
{
    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime =
            test_runtime_with(&test_kinds[i], (skua_runtime_options){.tasks_max = 10});

        test_run(runtime, fills_up, runtime);
        test_runtime_free(runtime);
    }
}

struct big_state {
    unsigned char bytes[4032];
};

struct too_big_state {
    unsigned char bytes[4033];
};

static skua_poll sums_state(void *state, skua_waker *waker)
{
    struct big_state *self = state;
    int64_t sum = 0;

    (void)waker;
    for (size_t i = 0; i < sizeof self->bytes; i++)
        sum += self->bytes[i];
    return sum;
}

TEST_FIBER(spawn_poll_copies_the_state)
{
    static const skua_site site = {"wild", __FILE__, "nowhere", 1};
    struct big_state *state = malloc(sizeof *state);
    struct too_big_state *too_big = calloc(1, sizeof *too_big);
    skua_task *task;
    int result = 0, wanted = 0;

    for (size_t i = 0; i < sizeof state->bytes; i++)
        wanted += state->bytes[i] = (unsigned char)(i * 7);
    MUST(skua_spawn_poll(NULL, sums_state, state, .task = &task) == 0);
    memset(state, 255, sizeof *state);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, wanted);
    CHECK_EQ(skua_spawn_poll(NULL, sums_state, too_big), SKUA_ELIMIT);
    CHECK_EQ(skua_spawn_poll_at(&site, NULL, sums_state, too_big, SIZE_MAX, NULL), SKUA_ELIMIT);
    free(state);
    free(too_big);
    return 0;
}

/* ---- stacks and flags ------------------------------------------------------------------------ */

static __attribute__((noinline)) int uses_stack(size_t bytes)
{
    volatile unsigned char room[4096];

    room[0] = 1;
    room[sizeof room - 1] = 1;
    return bytes > sizeof room ? uses_stack(bytes - sizeof room) + room[0] : room[0];
}

static int fiber_uses_stack(void *arg)
{
    return uses_stack((size_t)arg) > 0 && skua_yield() == 0 ? 0 : -EIO;
}

TEST_FIBER(spawn_stack_classes)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn(&scope, fiber_uses_stack, (void *)(48 * 1024)), 0);
    CHECK_EQ(skua_spawn(&scope, fiber_uses_stack, (void *)(200 * 1024), .stack = SKUA_STACK_LARGE),
             0);
    CHECK_EQ(skua_spawn(&scope, fiber_uses_stack, (void *)(48 * 1024)), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

static __attribute__((noinline)) long thread_id(void)
{
    return syscall(SYS_gettid);
}

static int stays_here(void *arg)
{
    long home = arg ? (long)arg : thread_id();

    for (int i = 0; i < 50; i++) {
        if (thread_id() != home)
            return -EXDEV;
        if (i % 10 == 0)
            skua_sleep(SKUA_MILLISECOND);
        else
            skua_yield();
    }
    return 0;
}

TEST_FIBER(spawn_a_started_fiber_stays_on_its_worker)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_spawn(&scope, stays_here, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

TEST_FIBER(spawn_pinned_runs_where_it_was_spawned)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(skua_spawn(&scope, stays_here, (void *)thread_id(), .flags = SKUA_PINNED), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

static int wanders(void *arg)
{
    volatile int kept = (int)(intptr_t)arg;

    for (int i = 0; i < 200; i++)
        if (skua_yield() != 0 || kept != (int)(intptr_t)arg)
            return -EIO;
    return 0;
}

TEST_FIBER(spawn_migratable_fibers_work)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (intptr_t i = 0; i < 64; i++)
        CHECK_EQ(skua_spawn(&scope, wanders, (void *)i, .flags = SKUA_MIGRATABLE), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

/* The rounding mode of the processor's floating point unit, 0 to 3, without a need for libm. */
static unsigned rounding(void)
{
#if defined(__x86_64__)
    return (__builtin_ia32_stmxcsr() >> 13) & 3;
#elif defined(__aarch64__)
    uint64_t word;

    __asm__ __volatile__("mrs %0, fpcr" : "=r"(word));
    return (unsigned)(word >> 22) & 3;
#else
    return 0;
#endif
}

static void round_by(unsigned mode)
{
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~(3u << 13)) | (mode << 13));
#elif defined(__aarch64__)
    __asm__ __volatile__("msr fpcr, %0" : : "r"((uint64_t)mode << 22));
#else
    (void)mode;
#endif
}

static int rounds_up(void *arg)
{
    unsigned mode = (unsigned)(uintptr_t)arg;
    int bad = rounding() != 0;

    round_by(mode);
    for (int i = 0; i < 20; i++) {
        skua_yield();
        bad += rounding() != mode;
    }
    round_by(0);
    return bad ? -EIO : 0;
}

TEST_FIBER(spawn_save_fp_keeps_the_rounding_mode)
{
    skua_scope scope;

    skua_scope_open(&scope, SKUA_COLLECT);
    for (uintptr_t i = 0; i < 16; i++)
        CHECK_EQ(
            skua_spawn(&scope, rounds_up, (void *)(i % 4), .flags = SKUA_SAVE_FP | SKUA_PINNED), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(rounding(), 0);
    return 0;
}

TEST_FIBER(spawn_without_macros)
{
    static const skua_site site = {"plain", __FILE__, "nowhere", 1};
    skua_spawn_options options;
    skua_task *task;
    skua_scope scope;
    int result = 0;

    memset(&options, 0xff, sizeof options);
    skua_spawn_options_init(&options);
    CHECK_EQ(options.size, sizeof options);
    CHECK(options.name == NULL && options.task == NULL && options.id == NULL);
    CHECK_EQ(options.priority, SKUA_NORMAL);
    CHECK_EQ(options.flags, 0);
    options.task = &task;
    skua_scope_open(&scope, SKUA_COLLECT);
    CHECK_EQ(skua_spawn_at(&site, &scope, says_name, "plain", NULL), 0);
    MUST(skua_spawn_at(&site, &scope, says_name, "plain", &options) == 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spawn_gives_results),
        cmocka_unit_test(spawn_join_wants_no_result),
        cmocka_unit_test(spawn_runs_each_once),
        cmocka_unit_test(spawn_names_tasks),
        cmocka_unit_test(spawn_no_name_or_id_outside),
        cmocka_unit_test(spawn_ids_agree),
        cmocka_unit_test(spawn_ids_are_never_reused),
        cmocka_unit_test(spawn_stale_ids_name_nothing),
        cmocka_unit_test(spawn_find_gives_a_handle),
        cmocka_unit_test(spawn_ids_belong_to_their_runtime),
        cmocka_unit_test(spawn_detach_leaves_it_to_the_scope),
        cmocka_unit_test(spawn_handle_outlives_the_scope),
        cmocka_unit_test(spawn_second_join_is_busy),
        cmocka_unit_test(spawn_join_of_oneself_is_refused),
        cmocka_unit_test(spawn_cancelled_join_keeps_the_handle),
        cmocka_unit_test(spawn_join_of_a_finished_task),
        cmocka_unit_test(spawn_from_threads),
        cmocka_unit_test(spawn_and_join_from_the_main_thread),
        cmocka_unit_test(spawn_tasks_max),
        cmocka_unit_test(spawn_poll_copies_the_state),
        cmocka_unit_test(spawn_stack_classes),
        cmocka_unit_test(spawn_a_started_fiber_stays_on_its_worker),
        cmocka_unit_test(spawn_pinned_runs_where_it_was_spawned),
        cmocka_unit_test(spawn_migratable_fibers_work),
        cmocka_unit_test(spawn_save_fp_keeps_the_rounding_mode),
        cmocka_unit_test(spawn_without_macros),
    };

    return TEST_MAIN(tests);
}
