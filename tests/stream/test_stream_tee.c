/* test_stream_tee.c - one stream for several tasks.
 *
 * Specifies stream_adapters.h, skua_stream_tee_init: everything to everybody, the slowest holds
 * back, those that are dropped do not, and what is left behind when all are: nothing.
 */
#include <pthread.h>

#include "../lib/script.h"
#include "os/os.h"

TEST_FIBER(tee_gives_all_to_all)
{
    for (size_t capacity = 4; capacity < 7; capacity++) {
        skua_stream_tee tees[2];
        struct test_script script;
        skua_scope scope;
        int item;

        CHECK_EQ(skua_scope_open(&scope, SKUA_FAIL_FAST), 0);
        MUST(skua_stream_tee_init(tees, 2, SCRIPT_IN(&script, 1, WAIT, -EIO, 2), NULL, capacity) ==
             0);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), 1);
            CHECK_EQ(item, 1);
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), -EIO);
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), 1);
            CHECK_EQ(item, 2);
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), 0);
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), 0);
        }
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(script.drops, 1);
        CHECK_NO_SCRIPT_LEFT();
    }
    return 0;
}

static skua_stream *tee_alone(skua_stream_tee *tee, skua_stream *source)
{
    MUST(skua_stream_tee_init(tee, 1, source, NULL, 1) == 0);
    return &tee->stream;
}

TEST_FIBER(tee_of_one)
{
    static struct test_script scripts[ASK_WAYS];
    static const int steps[] = {1, WAIT, -EIO, SLEEP(1), 2};
    skua_stream_tee tee;

    CHECK_STREAM(tee_alone(&tee, test_script_init(&scripts[way], steps, TEST_LEN(steps))), 1, -EIO,
                 2);
    return 0;
}

TEST_FIBER(tee_is_held_back_by_the_slowest)
{
    skua_stream_tee tees[2];
    struct test_script script;
    skua_scope scope;
    int item;

    CHECK_EQ(skua_scope_open(&scope, SKUA_FAIL_FAST), 0);
    MUST(skua_stream_tee_init(tees, 2, SCRIPT_IN(&script, 1, 2, 3, 4, 5, 6), NULL, 2) == 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_stream_next(&tees[0].stream, &item), 1);
    (void)skua_stream_next_until(&tees[0].stream, &item, skua_now() + MS(5));
    CHECK_RANGE(script.asks, 2, 3);
    skua_stream_drop(&tees[1].stream); /* it holds nobody back any more */
    while (skua_stream_next(&tees[0].stream, &item) == 1)
        ;
    CHECK_EQ(item, 6);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

TEST_FIBER(tee_that_nobody_wants_ends)
{
    int64_t begin = skua_now();

    for (int waits = 0; waits < 2; waits++) {
        skua_stream_tee tees[3];
        struct test_script script;
        skua_scope scope;
        int item;

        CHECK_EQ(skua_scope_open(&scope, SKUA_FAIL_FAST), 0);
        MUST(skua_stream_tee_init(tees, 3, SCRIPT_IN(&script, SLEEP(100000), 1), NULL, 1) == 0);
        if (waits)
            CHECK_EQ(skua_stream_next_until(&tees[0].stream, &item, skua_now() + MS(2)),
                     -ETIMEDOUT);
        for (int i = 0; i < 3; i++)
            skua_stream_drop(&tees[i].stream);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(script.drops, 1);
    }
    CHECK_RANGE(skua_now() - begin, 0, MS(2) + TEST_LATE);
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

TEST_FIBER(tee_whose_fiber_is_cancelled)
{
    for (int runs = 0; runs < 2; runs++) {
        skua_stream_tee tees[2];
        struct test_script script;
        skua_scope scope;
        int item;

        CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
        MUST(skua_stream_tee_init(tees, 2, SCRIPT_IN(&script, SLEEP(100000), 1), NULL, 1) == 0);
        if (runs)
            CHECK_EQ(skua_sleep(MS(2)), 0);
        CHECK_EQ(skua_scope_cancel(&scope), 0);
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), -ECANCELED);
            CHECK_EQ(skua_stream_next(&tees[i].stream, &item), 0);
        }
        (void)skua_scope_join(&scope);
        CHECK_EQ(script.drops, 1);
    }
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

TEST_FIBER(tee_that_cannot_be_made)
{
    struct test_script script;
    skua_stream_tee tees[2];
    skua_stream *source = SCRIPT_IN(&script, 1);
    skua_scope scope;
    int item;

    CHECK_EQ(skua_stream_tee_init(tees, 0, source, NULL, 1), -EINVAL);
    CHECK_EQ(skua_stream_tee_init(tees, 2, source, NULL, 0), -EINVAL);
#ifdef SKUA_FAULTS
    for (unsigned nth = 1; nth <= 5; nth++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        CHECK_EQ(skua_stream_tee_init(tees, 2, source, NULL, 1), -ENOMEM);
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    }
#endif
    CHECK_EQ(skua_scope_open(&scope, SKUA_COLLECT), 0);
    CHECK_EQ(skua_scope_cancel(&scope), 0);
    CHECK_EQ(skua_stream_tee_init(tees, 2, source, NULL, 1), -ECANCELED);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_stream_next(source, &item), 1); /* it is as it was */
    skua_stream_drop(source);
    CHECK_NO_SCRIPT_LEFT();
    return 0;
}

/* ---- in any order, and under load ------------------------------------------------------------ */

struct reader {
    skua_stream *stream;
    int stop;
    int result;
};

static int reads(void *arg)
{
    struct reader *reader = arg;
    int item, next = 0, rc = 1;

    while (next < reader->stop && rc != 0) {
        rc = skua_stream_next_until(reader->stream, &item,
                                    skua_now() + (int64_t)(skua_test_random() % 100000));
        if (rc == 1 && item != next++)
            reader->result = -1;
        else if (rc < 0 && rc != -ETIMEDOUT)
            reader->result = rc;
        if (reader->result < 0)
            break;
    }
    skua_stream_drop(reader->stream);
    if (reader->result == 0)
        reader->result = next;
    return 0;
}

static int forty(void *item, void *arg)
{
    *(int *)item = (*(int *)arg)++;
    return *(int *)item < 40;
}

static int tees(void *arg)
{
    skua_stream_tee tee[3];
    struct reader readers[3] = {
        {.stop = 100}, {.stop = (int)(skua_test_random() % 45)}, {.stop = 7}};
    int first = 0;
    skua_stream *source = skua_streaming_from(forty, &first, int);
    skua_scope scope;

    (void)arg;
    if (skua_scope_open(&scope, SKUA_FAIL_FAST) != 0 ||
        skua_stream_tee_init(tee, 3, source, NULL, 1 + (size_t)(skua_test_random() % 4)) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        readers[i].stream = &tee[i].stream;
        if (skua_spawn(&scope, reads, &readers[i]) != 0)
            return -2;
    }
    if (skua_scope_join(&scope) != 0 || readers[0].result != 40 || readers[2].result != 7)
        return -3;
    return readers[1].result == (readers[1].stop < 40 ? readers[1].stop : 40) ? 0 : -4;
}

TEST(tee_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), tees, NULL), 0);
}

static void *reads_on_a_thread(void *arg)
{
    reads(arg);
    return NULL;
}

TEST(tee_stress)
{
    skua_runtime *runtime = test_runtime(&test_kinds[TEST_KINDS - 1]);
    int64_t end = skua_now() + test_stress_time(1);

    for (int round = 0; skua_now() < end; round++) {
        skua_stream_tee tee[2];
        struct reader readers[2] = {{.stop = 100}, {.stop = round % 45}};
        int first = 0;
        skua_scope scope;
        pthread_t thread;

        MUST(skua_scope_open_on(&scope, runtime, SKUA_FAIL_FAST) == 0);
        MUST(skua_stream_tee_init(tee, 2, skua_streaming_from(forty, &first, int), &scope, 3) == 0);
        for (int i = 0; i < 2; i++)
            readers[i].stream = &tee[i].stream;
        MUST(pthread_create(&thread, NULL, reads_on_a_thread, &readers[0]) == 0);
        MUST(skua_spawn(&scope, reads, &readers[1]) == 0);
        pthread_join(thread, NULL);
        CHECK_EQ(skua_scope_join(&scope), 0);
        CHECK_EQ(readers[0].result, 40);
        CHECK_EQ(readers[1].result, round % 45 < 40 ? round % 45 : 40);
    }
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tee_gives_all_to_all),
        cmocka_unit_test(tee_of_one),
        cmocka_unit_test(tee_is_held_back_by_the_slowest),
        cmocka_unit_test(tee_that_nobody_wants_ends),
        cmocka_unit_test(tee_whose_fiber_is_cancelled),
        cmocka_unit_test(tee_that_cannot_be_made),
        cmocka_unit_test(tee_in_any_order),
        cmocka_unit_test(tee_stress),
    };

    return TEST_MAIN(tests);
}
