/* test_stream_tasks.c - functions that wait, in fibers, some at a time.
 *
 * Specifies stream_adapters.h: buffered, buffer_unordered, then, for_each_concurrent: order, the
 * bound and the back-pressure, errors, cancellation and drop at every moment, no memory, no fiber.
 */
#include <pthread.h>

#include "../lib/script.h"
#include "os/os.h"

static atomic_int running, most, begun;

static void count_up(void)
{
    int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most);

    atomic_fetch_add(&begun, 1);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        ;
}

static void counts_from_zero(void)
{
    CHECK_EQ(atomic_load(&running), 0);
    atomic_store(&most, 0);
    atomic_store(&begun, 0);
}

/* Sleeps as many tenths of ms as the item says; the result is the item. 13 is an error. */
static int looks_up(const void *in, void *out, void *arg)
{
    int number = *(const int *)in;
    int rc;

    (void)arg;
    count_up();
    rc = skua_sleep(MS(number) / 10);
    *(int *)out = number;
    atomic_fetch_sub(&running, 1);
    return rc != 0 ? rc : number == 13 ? -EDOM : number;
}

/* ---- order and bound ------------------------------------------------------------------------- */

TEST_FIBER(buffered_keeps_the_order)
{
    for (size_t limit = 1; limit < 8; limit++) {
        counts_from_zero();
        CHECK_STREAM(skua_streaming_buffered(SCRIPT(9, 5, WAIT, -EIO, 13, 1, 0), NULL, limit,
                                             looks_up, NULL, int),
                     9, 5, -EIO, -EDOM, 1, 0);
        CHECK_RANGE(atomic_load(&most), 1, limit);
        CHECK_NO_SCRIPT_LEFT();
    }
    return 0;
}

TEST_FIBER(then_is_one_at_a_time)
{
    counts_from_zero();
    CHECK_STREAM(skua_streaming_then(SCRIPT(3, 2, 13, WAIT, 1), NULL, looks_up, NULL, int), 3, 2,
                 -EDOM, 1);
    CHECK_EQ(atomic_load(&most), 1);
    CHECK_STREAM_EMPTY(skua_streaming_then(SCRIPT(WAIT), NULL, looks_up, NULL, int));
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

static int on_a_clock(void *arg)
{
    int64_t begin = skua_now();

    (void)arg;
    counts_from_zero();
    CHECK_STREAM(skua_streaming_buffer_unordered(SCRIPT(50, 10, -EIO, 30, 13, 20), NULL, 3,
                                                 looks_up, NULL, int),
                 -EIO, 10, -EDOM, 30, 20, 50);
    CHECK_EQ(atomic_load(&most), 3);
    /* 10 to 1 ms, 13 to 2.3, 30 to 3, 20 to 4.3 and 50 to 5. */
    CHECK_RANGE(skua_now() - begin, ASK_WAYS * MS(5), ASK_WAYS * MS(5) + MS(3));
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

TEST(buffer_unordered_gives_what_is_ready)
{
    CHECK_EQ(skua_test_run(on_a_clock, NULL, NULL), 0);
}

/* Nobody takes what is ready: not more than the limit is taken from the source. */
TEST_FIBER(buffered_takes_no_more_than_its_limit)
{
    for (int ordered = 0; ordered < 2; ordered++) {
        struct test_script script;
        skua_stream_tasks tasks;
        skua_stream *source = SCRIPT_IN(&script, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        skua_stream *stream =
            ordered ? skua_stream_buffered_init(&tasks, source, NULL, 3, looks_up, NULL, 4)
                    : skua_stream_buffer_unordered_init(&tasks, source, NULL, 3, looks_up, NULL, 4);
        int item;

        counts_from_zero();
        CHECK_EQ(skua_stream_next(stream, &item), 1);
        CHECK_EQ(skua_sleep(MS(5)), 0);
        CHECK_RANGE(script.asks, 3, 4);
        CHECK_EQ(skua_stream_count(stream, &item), 9);
        CHECK_EQ(atomic_load(&begun), 10);
    }
    return 0;
}

struct wide {
    char bytes[33];
};

static int widens(const void *in, void *out, void *arg)
{
    struct wide wide;

    CHECK_EQ((uintptr_t)in % 8 + (uintptr_t)out % 8, 0);
    memset(wide.bytes, *(const char *)in, sizeof wide.bytes);
    memcpy(out, &wide, sizeof wide);
    CHECK_EQ(*(int *)arg, 7);
    return skua_yield();
}

TEST_FIBER(buffered_items_of_any_size)
{
    int seven = 7;
    skua_stream *stream = skua_streaming_buffered(skua_streaming_array("abcdefgh", 8), NULL, 5,
                                                  widens, &seven, struct wide);
    struct wide wide;

    for (char c = 'a'; c <= 'h'; c++) {
        CHECK_EQ(skua_stream_next(stream, &wide), 1);
        CHECK(wide.bytes[0] == c && wide.bytes[32] == c);
    }
    CHECK_EQ(skua_stream_next(stream, &wide), 0);
    return 0;
}

TEST_FIBER(buffered_limits)
{
    skua_stream_tasks tasks;

    CHECK_STREAM(skua_stream_buffered_init(&tasks, SCRIPT(1), NULL, 0, looks_up, NULL, 4), -EINVAL);
    CHECK_STREAM(skua_stream_buffer_unordered_init(&tasks, SCRIPT(1), NULL,
                                                   SKUA_STREAM_FIBERS_MAX + 1, looks_up, NULL, 4),
                 -EINVAL);
    CHECK_STREAM(skua_stream_buffered_init(&tasks, SCRIPT(1), NULL, SKUA_STREAM_FIBERS_MAX,
                                           looks_up, NULL, 4),
                 1);
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

/* ---- on a plain thread ----------------------------------------------------------------------- */

TEST(buffered_on_a_plain_thread)
{
    skua_runtime *runtime = test_runtime(&test_kinds[TEST_KINDS - 1]);
    skua_scope scope;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_FAIL_FAST) == 0);
    CHECK_STREAM(skua_streaming_buffered(SCRIPT(9, 5, WAIT, 1), &scope, 2, looks_up, NULL, int), 9,
                 5, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_STREAM(skua_streaming_then(SCRIPT(1, 2), NULL, looks_up, NULL, int), SKUA_EUSAGE,
                 SKUA_EUSAGE); /* where should they run? */
    test_runtime_free(runtime);
}

/* ---- cancelled, dropped ---------------------------------------------------------------------- */

TEST_FIBER(buffered_stream_that_is_dropped_cancels_its_fibers)
{
    skua_scope scope;
    int64_t begin = skua_now();
    int item;

    counts_from_zero();
    CHECK_EQ(skua_scope_open(&scope, SKUA_FAIL_FAST), 0);
    for (int asked = 0; asked < 3; asked++) {
        skua_stream *stream = skua_streaming_buffered(
            SCRIPT(0, 1000000, 1000000, 1000000, 1000000, 1000000), NULL, 4, looks_up, NULL, int);

        if (asked > 0)
            CHECK_EQ(skua_stream_next(stream, &item), 1);
        if (asked > 1)
            CHECK_EQ(skua_stream_next_until(stream, &item, skua_now() + MS(1)), -ETIMEDOUT);
        skua_stream_drop(stream); /* with fibers that have begun and others */
    }
    CHECK_EQ(skua_scope_join(&scope), 0); /* and that is no failure */
    CHECK_RANGE(skua_now() - begin, 0, MS(1) + TEST_LATE);
    CHECK_NO_SCRIPT_LEFT();
    counts_from_zero();
    return 0;
}

static int asks_and_is_cancelled(void *arg)
{
    skua_stream *stream =
        skua_streaming_buffered(SCRIPT(1000000, 1000000), NULL, 2, looks_up, NULL, int);
    int item;

    atomic_store((atomic_int *)arg, 1);
    CHECK_EQ(skua_stream_next(stream, &item), -ECANCELED);
    skua_stream_drop(stream);
    return 0;
}

TEST_FIBER(buffered_wait_is_cancelled)
{
    skua_scope scope;
    skua_task *task;
    atomic_int flag = 0;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    MUST(skua_spawn(&scope, asks_and_is_cancelled, &flag, .task = &task) == 0);
    test_yield_until(&flag);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    counts_from_zero();
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

/* The scope ends, the stream does not: fibers that never ran, and spawns that are refused. */
TEST_FIBER_CURRENT(buffered_in_a_scope_that_is_cancelled)
{
    skua_scope scope;
    skua_stream *stream;
    int item;

    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    stream = skua_streaming_buffered(SCRIPT(5, 6, 7), NULL, 2, looks_up, NULL, int);
    CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &item)), -EAGAIN);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_stream_next(stream, &item), -ECANCELED);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    CHECK_EQ(skua_scope_join(&scope), -ECANCELED);
    counts_from_zero();
    return 0;
}

/* ---- for_each_concurrent --------------------------------------------------------------------- */

static int sleeps_and_adds(void *item, void *arg)
{
    int rc;

    count_up();
    rc = skua_sleep(MS(*(int *)item) / 10);
    if (rc == 0)
        atomic_fetch_add((atomic_int *)arg, *(int *)item);
    atomic_fetch_sub(&running, 1);
    return rc != 0 ? rc : *(int *)item == 13 ? -EDOM : 0;
}

TEST_FIBER_CLOCK(for_each_concurrent_on_a_clock)
{
    int64_t begin = skua_now();
    atomic_int sum = 0;

    counts_from_zero();
    CHECK_EQ(
        skua_stream_for_each_concurrent(SCRIPT(30, 20, WAIT, 10, 40), 3, sleeps_and_adds, &sum), 0);
    CHECK_EQ(atomic_load(&most), 3);
    CHECK_EQ(skua_now() - begin, MS(5)); /* 40 began at 1 ms, when 10 had ended */
    return 0;
}

TEST_FIBER(for_each_concurrent)
{
    struct test_script script;
    atomic_int sum = 0;

    counts_from_zero();
    CHECK_EQ(skua_stream_for_each_concurrent(SCRIPT_IN(&script, 3, 2, WAIT, 1, 4, 5, 6), 3,
                                             sleeps_and_adds, &sum),
             0);
    CHECK_EQ(atomic_load(&sum), 21);
    CHECK_RANGE(atomic_load(&most), 1, 3);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(skua_stream_for_each_concurrent(SCRIPT(1, -EIO, 1000000), 1, sleeps_and_adds, &sum),
             -EIO);
    CHECK_EQ(
        skua_stream_for_each_concurrent(SCRIPT(1000000, 13, 1000000), 3, sleeps_and_adds, &sum),
        -EDOM);
    counts_from_zero(); /* all have ended */
    CHECK_EQ(skua_stream_for_each_concurrent(SCRIPT(1), 0, sleeps_and_adds, &sum), -EINVAL);
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

TEST(for_each_concurrent_wants_a_fiber)
{
    atomic_int sum = 0;

    CHECK_EQ(skua_stream_for_each_concurrent(SCRIPT(1), 1, sleeps_and_adds, &sum), SKUA_EUSAGE);
    CHECK_NO_SCRIPT_LEFT();
}

/* ---- no memory ------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST_FIBER_CURRENT(buffered_without_memory)
{
    skua_stream *stream = skua_streaming_buffered(SCRIPT(1, 2), NULL, 2, looks_up, NULL, int);
    atomic_int sum = 0;
    int item;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_stream_next(stream, &item), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_stream_next(stream, &item), 1); /* nothing was lost */
    CHECK_EQ(item, 1);
    skua_stream_drop(stream);
    stream = skua_streaming_buffered(SCRIPT(1, 2), NULL, 2, looks_up, NULL, int);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_stream_next(stream, &item), -ENOMEM);
    skua_stream_drop(stream);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_stream_for_each_concurrent(SCRIPT(1, 2), 2, sleeps_and_adds, &sum), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}
#endif

/* No room for more tasks: the items whose fibers could not be had are told. */
static int crowded(void *arg)
{
    int errors = 0, items = 0, item, rc;
    skua_stream *stream =
        skua_streaming_buffered(SCRIPT(1, 1, 1, 1, 1, 1), NULL, 6, looks_up, NULL, int);

    (void)arg;
    while ((rc = skua_stream_next(stream, &item)) != 0) {
        items += rc == 1;
        errors += rc == SKUA_ELIMIT;
    }
    CHECK_EQ(items, 3);
    CHECK_EQ(errors, 3);
    return 0;
}

TEST(buffered_without_fibers)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[1], (skua_runtime_options){.tasks_max = 4});

    test_run(runtime, crowded, NULL);
    test_runtime_free(runtime);
}

/* ---- in any order, and under load ------------------------------------------------------------ */

static int random_sleep(const void *in, void *out, void *arg)
{
    int rc = skua_sleep((int64_t)(skua_test_random() % 3000));

    (void)arg;
    *(int *)out = *(const int *)in;
    return rc != 0 ? rc : skua_test_random() % 16 == 0 ? -EIO : 0;
}

static int twelve(void *item, void *arg)
{
    *(int *)item = (*(int *)arg)++;
    return *(int *)item < 12;
}

/* Ordered, then not, given up here and there, dropped in the middle now and then: in order, each
 * item once, and the scope is clean. */
static int works(void *arg)
{
    size_t limit = 1 + (size_t)(skua_test_random() % 5);
    int stop = skua_test_random() % 2 ? 100 : (int)(skua_test_random() % 12);
    int first = 0, second = 0, next = 0, count = 0, sum = 0, rc = 1;
    skua_scope scope;
    skua_stream *stream;

    (void)arg;
    if (skua_scope_open(&scope, SKUA_FAIL_FAST) != 0)
        return -1;
    stream = skua_streaming_buffered(skua_streaming_from(twelve, &first, int), NULL, limit,
                                     random_sleep, NULL, int);
    stream = skua_streaming_buffer_unordered(stream, NULL, limit, random_sleep, NULL, int);
    while (rc != 0 && count < stop) {
        int item = -1;

        rc = skua_stream_next_until(stream, &item,
                                    skua_now() + (int64_t)(skua_test_random() % 2000));
        count += rc == 1 || rc == -EIO;
        if (rc == 1)
            sum |= 1 << item;
        if (rc != 1 && rc != 0 && rc != -EIO && rc != -ETIMEDOUT)
            return rc;
    }
    skua_stream_drop(stream);
    rc = skua_scope_join(&scope);
    if (rc != 0 || (stop == 100 && count != 12) || __builtin_popcount((unsigned)sum) > count)
        return -2;
    stream = skua_streaming_buffered(skua_streaming_from(twelve, &second, int), NULL, limit,
                                     random_sleep, NULL, int);
    for (int item = 0; (rc = skua_stream_next(stream, &item)) != 0; next++)
        if (rc == 1 && item != next)
            return -3;
    return next == 12 ? 0 : -4;
}

TEST(buffered_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), works, NULL), 0);
}

static int yields(const void *in, void *out, void *arg)
{
    int rc = 0;

    (void)arg;
    for (int i = *(const int *)in % 4; i > 0 && rc == 0; i--)
        rc = skua_yield();
    *(int *)out = *(const int *)in;
    return rc;
}

static int counts_up(void *item, void *arg)
{
    *(int *)item = (*(int *)arg)++;
    return 1;
}

/* A plain thread asks, two workers work, streams end in the middle. */
TEST(buffered_stress)
{
    skua_runtime *runtime = test_runtime(&test_kinds[TEST_KINDS - 1]);
    int64_t end = skua_now() + test_stress_time(1);
    skua_scope scope;
    int round = 0;

    MUST(skua_scope_open_on(&scope, runtime, SKUA_FAIL_FAST) == 0);
    while (skua_now() < end) {
        int first = 0, item = 0, count = 0;
        skua_stream *stream = skua_streaming_from(counts_up, &first, int);

        stream =
            skua_streaming_buffered(stream, &scope, 1 + (size_t)(round % 7), yields, NULL, int);
        stream =
            skua_streaming_buffered(stream, &scope, 1 + (size_t)(round % 3), yields, NULL, int);
        for (; count < round % 100; count++) {
            CHECK_EQ(skua_stream_next(stream, &item), 1);
            CHECK_EQ(item, count);
        }
        skua_stream_drop(stream);
        round++;
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_note("%d rounds", round);
    test_runtime_free(runtime);
}

static int pauses(void *item, void *arg)
{
    (void)arg;
    return skua_sleep(*(int *)item % 3 * 10 * SKUA_MICROSECOND);
}

/* Fibers below a tee, below a merge, below fibers: all are under way when the runtime stops. */
static int pipes_until_it_stops(void *arg)
{
    int first = 0;
    skua_stream_tee tees[2];
    skua_stream *source = skua_streaming_from(counts_up, &first, int);
    skua_scope scope;
    int rc;

    (void)arg;
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    source = skua_streaming_buffered(source, &scope, 4, yields, NULL, int);
    rc = skua_stream_tee_init(tees, 2, source, &scope, 2);
    if (rc == 0) {
        skua_stream *slow = skua_streaming_throttle(&tees[1].stream, 20 * SKUA_MICROSECOND);

        rc = skua_stream_for_each_concurrent(skua_streaming_merge(&tees[0].stream, slow), 3, pauses,
                                             NULL);
    }
    CHECK(rc == -ECANCELED || rc == SKUA_ESTOPPED);
    (void)skua_scope_cancel(&scope);
    (void)skua_scope_join(&scope);
    return 0;
}

/* A plain thread asks meanwhile: it learns that nothing comes any more. */
static void *asks_until_it_stops(void *arg)
{
    skua_scope scope;
    int first = 0, item = 0, rc = 1;
    skua_stream *stream = skua_streaming_from(counts_up, &first, int);

    MUST(skua_scope_open_on(&scope, arg, SKUA_COLLECT) == 0);
    stream = skua_streaming_buffered(stream, &scope, 5, yields, NULL, int);
    while (rc > 0)
        rc = skua_stream_next(stream, &item);
    CHECK(rc == -ECANCELED || rc == SKUA_ESTOPPED);
    skua_stream_drop(stream);
    (void)skua_scope_join(&scope);
    return NULL;
}

TEST(streams_are_open_when_the_runtime_stops)
{
    for (int round = 0; round < TEST_COUNT(40); round++) {
        skua_runtime *runtime = test_runtime(&test_kinds[1 + round % (TEST_KINDS - 1)]);
        pthread_t thread;

        for (int i = 0; i < 4; i++)
            CHECK_EQ(skua_spawn_on(runtime, pipes_until_it_stops, NULL), 0);
        MUST(pthread_create(&thread, NULL, asks_until_it_stops, runtime) == 0);
        test_thread_sleep(SKUA_MILLISECOND);
        CHECK_EQ(skua_runtime_stop(runtime, SKUA_FOREVER), 0);
        pthread_join(thread, NULL);
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffered_keeps_the_order),
        cmocka_unit_test(then_is_one_at_a_time),
        cmocka_unit_test(buffer_unordered_gives_what_is_ready),
        cmocka_unit_test(buffered_takes_no_more_than_its_limit),
        cmocka_unit_test(buffered_items_of_any_size),
        cmocka_unit_test(buffered_limits),
        cmocka_unit_test(buffered_on_a_plain_thread),
        cmocka_unit_test(buffered_stream_that_is_dropped_cancels_its_fibers),
        cmocka_unit_test(buffered_wait_is_cancelled),
        cmocka_unit_test(buffered_in_a_scope_that_is_cancelled),
        cmocka_unit_test(for_each_concurrent),
        cmocka_unit_test(for_each_concurrent_on_a_clock),
        cmocka_unit_test(for_each_concurrent_wants_a_fiber),
#ifdef SKUA_FAULTS
        cmocka_unit_test(buffered_without_memory),
#endif
        cmocka_unit_test(buffered_without_fibers),
        cmocka_unit_test(buffered_in_any_order),
        cmocka_unit_test(streams_are_open_when_the_runtime_stops),
        cmocka_unit_test(buffered_stress),
    };

    return TEST_MAIN(tests);
}
