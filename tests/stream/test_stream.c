/* test_stream.c - a stream's verbs, its end, its sources and its ends.
 *
 * Specifies stream.h: asking from fibers, threads, poll tasks and select; what is said after the
 * end; cancellation and deadlines; from, array, repeat, pending; for_each, fold, count, collect.
 */
#include <pthread.h>

#include "../lib/script.h"

/* ---- answers --------------------------------------------------------------------------------- */

TEST_WAITING(stream_says_its_items_and_errors_and_its_end)
{
    CHECK_STREAM(SCRIPT(1), 1);
    CHECK_STREAM(SCRIPT(1, 2, 3), 1, 2, 3);
    CHECK_STREAM(SCRIPT(1, WAIT, -EIO, WAIT, WAIT, 3), 1, -EIO, 3);
    CHECK_STREAM(SCRIPT(SLEEP(1), 1, SLEEP(2), SKUA_ECLOSED), 1, SKUA_ECLOSED);
    CHECK_STREAM_EMPTY(SCRIPT(WAIT));
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_is_dropped_once_by_its_end_or_by_drop)
{
    struct test_script script;
    skua_stream *stream = SCRIPT_IN(&script, 7);
    int item = 0;

    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 7);
    CHECK_EQ(script.drops, 0);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(script.asks, 2);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    skua_stream_drop(stream);
    CHECK_EQ(script.asks, 2);
    CHECK_EQ(script.drops, 1);

    stream = SCRIPT_IN(&script, 7);
    skua_stream_drop(stream);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    CHECK_EQ(script.asks, 0);
    CHECK_EQ(script.drops, 1);
    skua_stream_drop(NULL);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_next_until)
{
    skua_stream *stream = SCRIPT(SLEEP(40), 1, 2);
    int64_t begin = skua_now();
    int item = 0;

    CHECK_EQ(skua_stream_next_until(stream, &item, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 1);
    CHECK_EQ(skua_stream_next_until(stream, &item, 0), 1); /* it is there: no wait */
    CHECK_EQ(item, 2);
    CHECK_EQ(skua_stream_next_until(stream, &item, 0), 0);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_in_a_select)
{
    skua_stream *slow = SCRIPT(SLEEP(30), 1), *fast = SCRIPT(SLEEP(1), 2);
    int items[2] = {0};
    int64_t result = 99;

    CHECK_EQ(skua_select_to(&result, skua_stream_nexting(slow, &items[0]),
                            skua_stream_nexting(fast, &items[1])),
             1);
    CHECK_EQ(result, 1);
    CHECK_EQ(items[1], 2);
    CHECK_EQ(skua_select_to(&result, skua_stream_nexting(slow, &items[0]),
                            skua_stream_nexting(fast, &items[1])),
             1);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_stream_next(slow, &items[0]), 1);
    CHECK_EQ(items[0], 1);
    skua_stream_drop(slow);
    CHECK_NO_SCRIPT_LEFT();
}

static skua_poll asks_directly(void *state, skua_waker *waker)
{
    int item;

    (void)waker;
    CHECK_EQ(skua_stream_next(*(skua_stream **)state, &item), SKUA_EUSAGE);
    CHECK_EQ(skua_stream_count(*(skua_stream **)state, &item), SKUA_EUSAGE);
    return 0;
}

TEST_FIBER(stream_next_in_a_poll_task_is_refused)
{
    struct test_script script;
    skua_stream *stream = SCRIPT_IN(&script, 1);

    CHECK_EQ(test_run_poll(asks_directly, &stream, sizeof stream), 0);
    CHECK_EQ(script.asks, 0);
    CHECK_EQ(script.drops, 1); /* by the count */
    return 0;
}

/* ---- cancelled, out of time ------------------------------------------------------------------ */

struct waiting {
    skua_stream *stream;
    atomic_int waits;
    int result;
};

static int asks_once(void *arg)
{
    struct waiting *waiting = arg;
    int item;

    atomic_store(&waiting->waits, 1);
    waiting->result = skua_stream_next(waiting->stream, &item);
    CHECK_EQ(skua_stream_next(waiting->stream, &item), waiting->result);
    CHECK_EQ(skua_stream_count(waiting->stream, &item), waiting->result);
    return 0;
}

TEST_FIBER(stream_wait_is_cancelled)
{
    struct test_script script;
    struct waiting waiting = {.stream = SCRIPT_IN(&script, SLEEP(100000), 1)};
    skua_task *task;

    MUST(skua_spawn(NULL, asks_once, &waiting, .task = &task) == 0);
    test_yield_until(&waiting.waits);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(waiting.result, -ECANCELED);
    CHECK_EQ(script.drops, 1);
    return 0;
}

TEST_FIBER(stream_that_is_ready_ends_with_its_task)
{
    int one = 1, item;
    skua_stream *ones = skua_streaming_repeat(&one);
    skua_deadline deadline;

    CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + MS(3)), 0);
    CHECK_EQ(skua_stream_count(ones, &item), -ETIMEDOUT);
    CHECK_EQ(skua_deadline_end(&deadline), 0);
    return 0;
}

static int sets(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

static int no(const void *item, void *arg)
{
    (void)item;
    (void)arg;
    return 0;
}

/* A filter that accepts nothing of an endless stream: other tasks run all the same. */
static int stuck(void *arg)
{
    int one = 1, item;

    CHECK_EQ(skua_stream_count(skua_streaming_filter(skua_streaming_repeat(&one), no, arg), &item),
             -ECANCELED);
    return 0;
}

TEST_FIBER(stream_lets_others_run)
{
    atomic_int flag = 0;
    skua_task *task;

    MUST(skua_spawn(NULL, stuck, NULL, .task = &task) == 0);
    CHECK_EQ(skua_yield(), 0);
    MUST(skua_spawn(NULL, sets, &flag) == 0);
    test_yield_until(&flag);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    return 0;
}

/* ---- sources --------------------------------------------------------------------------------- */

static int counts_to_three(void *item, void *arg)
{
    int *state = arg;

    if (*state == 3)
        return 0;
    *(int *)item = ++*state;
    return *state == 2 ? -EDOM : 7;
}

TEST_WAITING(stream_from_a_function)
{
    int states[ASK_WAYS] = {0};

    CHECK_STREAM(skua_streaming_from(counts_to_three, &states[way], int), 1, -EDOM, 3);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_of_an_array)
{
    static const int numbers[] = {5, 6, 7};
    static const struct odd {
        char bytes[11];
    } odd[] = {{"one"}, {"two"}};
    struct odd item;
    skua_stream *stream = skua_streaming_array(odd, 2);

    CHECK_STREAM(skua_streaming_array(numbers, 3), 5, 6, 7);
    CHECK_STREAM_EMPTY(skua_streaming_array(numbers, 0));
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(strcmp(item.bytes, "one"), 0);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(strcmp(item.bytes, "two"), 0);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_of_words_and_of_nothing)
{
    static const uint64_t words[] = {UINT64_MAX, 1};
    skua_stream_source source;
    skua_stream *stream = skua_stream_array_init(&source, words, 5, 0);
    uint64_t word = 0;

    CHECK_EQ(skua_stream_count(stream, NULL), 5); /* items without bytes */
    stream = skua_stream_array_init(&source, words, 2, sizeof *words);
    CHECK_EQ(skua_stream_next(stream, &word), 1);
    CHECK(word == UINT64_MAX);
    skua_stream_drop(stream);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_that_repeats_and_one_that_never_is_ready)
{
    int seven = 7, item = 0;
    skua_stream *sevens = skua_streaming_repeat(&seven), *never = skua_streaming_pending(int);

    for (int i = 0; i < 1000; i++)
        CHECK_EQ(skua_stream_next(sevens, &item) * item, 7);
    skua_stream_drop(sevens);
    CHECK_EQ(skua_stream_next_until(never, &item, skua_now() + MS(1)), -ETIMEDOUT);
    skua_stream_drop(never);
    CHECK_EQ(skua_stream_next(never, &item), 0);
    CHECK_NO_SCRIPT_LEFT();
}

/* ---- ends ------------------------------------------------------------------------------------ */

static int adds(void *item, void *arg)
{
    *(int *)arg += *(int *)item;
    return *(int *)item == 4 ? -ERANGE : 5;
}

static int multiplies(void *result, const void *item)
{
    *(int *)result *= *(const int *)item;
    return *(int *)result > 100 ? -ERANGE : 0;
}

TEST_WAITING(stream_for_each)
{
    struct test_script script;
    int item, sum = 0;

    CHECK_EQ(skua_stream_for_each(SCRIPT_IN(&script, 1, WAIT, 2, 3), &item, adds, &sum), 0);
    CHECK_EQ(sum, 6);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(skua_stream_for_each(SCRIPT_IN(&script, 1, -EIO, 3), &item, adds, &sum), -EIO);
    CHECK_EQ(sum, 7);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(skua_stream_for_each(SCRIPT_IN(&script, 4, 5), &item, adds, &sum), -ERANGE);
    CHECK_EQ(sum, 11);
    CHECK_EQ(script.drops, 1);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_fold)
{
    struct test_script script;
    int item, product = 1;

    CHECK_EQ(skua_stream_fold(SCRIPT_IN(&script, 2, WAIT, 3, 4), &item, multiplies, &product), 0);
    CHECK_EQ(product, 24);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(skua_stream_fold(SCRIPT_IN(&script, 2, 3, 4), &item, multiplies, &product), -ERANGE);
    CHECK_EQ(product, 144);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(skua_stream_fold(SCRIPT_IN(&script, -EIO), &item, multiplies, &product), -EIO);
    CHECK_EQ(script.drops, 1);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_count)
{
    struct test_script script;
    int item;

    CHECK_EQ(skua_stream_count(SCRIPT_IN(&script, 2, WAIT, 3, 4), &item), 3);
    CHECK_EQ(skua_stream_count(SCRIPT_IN(&script, WAIT), &item), 0);
    CHECK_EQ(skua_stream_count(SCRIPT_IN(&script, 1, -EIO, 1), &item), -EIO);
    CHECK_EQ(script.drops, 1);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(stream_collect)
{
    struct test_script script;
    skua_stream *stream = SCRIPT_IN(&script, 1, WAIT, 2, 3);
    int items[3] = {0};

    CHECK_EQ(skua_stream_collect(stream, items, 2), 2);
    CHECK_EQ(items[1], 2);
    CHECK_EQ(items[2], 0);
    CHECK_EQ(script.drops, 0);
    CHECK_EQ(skua_stream_collect(stream, items, 0), 0);
    CHECK_EQ(script.drops, 0);
    CHECK_EQ(skua_stream_collect(stream, items, 2), 1);
    CHECK_EQ(items[0], 3);
    CHECK_EQ(script.drops, 1);
    CHECK_EQ(skua_stream_collect(stream, items, 2), 0);
    CHECK_EQ(skua_stream_collect(SCRIPT_IN(&script, 1, -EIO), items, 3), -EIO);
    CHECK_EQ(script.drops, 1);
    CHECK_NO_SCRIPT_LEFT();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(stream_says_its_items_and_errors_and_its_end),
        TEST_WAITING_ENTRIES(stream_is_dropped_once_by_its_end_or_by_drop),
        TEST_WAITING_ENTRIES(stream_next_until),
        TEST_WAITING_ENTRIES(stream_in_a_select),
        cmocka_unit_test(stream_next_in_a_poll_task_is_refused),
        cmocka_unit_test(stream_wait_is_cancelled),
        cmocka_unit_test(stream_that_is_ready_ends_with_its_task),
        cmocka_unit_test(stream_lets_others_run),
        TEST_WAITING_ENTRIES(stream_from_a_function),
        TEST_WAITING_ENTRIES(stream_of_an_array),
        TEST_WAITING_ENTRIES(stream_of_words_and_of_nothing),
        TEST_WAITING_ENTRIES(stream_that_repeats_and_one_that_never_is_ready),
        TEST_WAITING_ENTRIES(stream_for_each),
        TEST_WAITING_ENTRIES(stream_fold),
        TEST_WAITING_ENTRIES(stream_count),
        TEST_WAITING_ENTRIES(stream_collect),
    };

    return TEST_MAIN(tests);
}
