/* test_stream_timed.c - streams with a clock, to the nanosecond of a test's clock.
 *
 * Specifies stream.h and stream_adapters.h: interval, timeout, throttle, chunks,
 * and merge by the clock.
 */
#include "../lib/script.h"

static int64_t began;

/* A test whose body runs in a fiber under a clock of its own. */
#define TEST_CLOCK(name)                                                                           \
    static void name##_body(void);                                                                 \
    static int name##_fiber(TEST_UNUSED void *arg)                                                 \
    {                                                                                              \
        began = skua_now();                                                                        \
        name##_body();                                                                             \
        CHECK_NO_SCRIPT_LEFT();                                                                    \
        return 0;                                                                                  \
    }                                                                                              \
    TEST(name)                                                                                     \
    {                                                                                              \
        CHECK_EQ(skua_test_run(name##_fiber, NULL, NULL), 0);                                      \
    }                                                                                              \
    static void name##_body(void)

/* The next answer is `wanted`, `ms` after the test's begin. */
#define CHECK_NEXT(stream, item, wanted, ms)                                                       \
    do {                                                                                           \
        CHECK_EQ(skua_stream_next((stream), (item)), (wanted));                                    \
        CHECK_EQ(skua_now() - began, MS(ms));                                                      \
    } while (0)

/* ---- interval -------------------------------------------------------------------------------- */

TEST_CLOCK(interval_ticks)
{
    skua_stream *stream = skua_streaming_interval(MS(10));
    int64_t tick = 0;

    for (int i = 0; i < 4; i++) {
        CHECK_NEXT(stream, &tick, 1, 10 * i);
        CHECK_EQ(tick, began + MS(10 * i));
    }
    skua_stream_drop(stream);
}

TEST_CLOCK(interval_skips_what_was_missed)
{
    skua_stream *stream = skua_streaming_interval(MS(10));
    int64_t tick = 0;

    CHECK_NEXT(stream, &tick, 1, 0);
    CHECK_EQ(skua_sleep(MS(35)), 0);
    CHECK_NEXT(stream, &tick, 1, 35); /* that of 10, late; 20 and 30 are not told */
    CHECK_EQ(tick, began + MS(10));
    CHECK_NEXT(stream, &tick, 1, 40);
    CHECK_EQ(tick, began + MS(40));
    CHECK_EQ(skua_sleep(MS(20)), 0);
    CHECK_NEXT(stream, &tick, 1, 60); /* 50, at the moment of 60 */
    CHECK_EQ(tick, began + MS(50));
    CHECK_NEXT(stream, &tick, 1, 70);
    skua_stream_drop(stream);
}

TEST_CLOCK(interval_is_given_up)
{
    skua_stream *stream = skua_streaming_interval(MS(10));
    int64_t tick = 0;

    CHECK_NEXT(stream, &tick, 1, 0);
    CHECK_EQ(skua_stream_next_until(stream, &tick, began + MS(4)), -ETIMEDOUT);
    CHECK_NEXT(stream, &tick, 1, 10);
    CHECK_EQ(skua_stream_next_until(stream, &tick, began + MS(14)), -ETIMEDOUT);
    skua_stream_drop(stream); /* with its timer */
}

TEST_CLOCK(interval_of_nothing_is_refused)
{
    int64_t tick;
    skua_stream *stream = skua_streaming_interval(0);

    CHECK_EQ(skua_stream_next(stream, &tick), -EINVAL);
    CHECK_EQ(skua_stream_next(stream, &tick), 0);
    stream = skua_streaming_interval(SKUA_FOREVER);
    CHECK_EQ(skua_stream_next(stream, &tick), 1);
    CHECK_EQ(skua_stream_next_until(stream, &tick, began + SKUA_HOUR), -ETIMEDOUT);
    skua_stream_drop(stream);
}

/* ---- timeout --------------------------------------------------------------------------------- */

TEST_CLOCK(timeout_tells_and_goes_on)
{
    skua_stream *stream =
        skua_streaming_timeout(SCRIPT(1, SLEEP(25), 2, SLEEP(9), -EIO, SLEEP(10), 3), MS(10));
    int item = 0;

    CHECK_NEXT(stream, &item, 1, 0);
    CHECK_NEXT(stream, &item, -ETIMEDOUT, 10);
    CHECK_NEXT(stream, &item, -ETIMEDOUT, 20);
    CHECK_NEXT(stream, &item, 1, 25);
    CHECK_EQ(item, 2);
    CHECK_NEXT(stream, &item, -EIO, 34);
    CHECK_EQ(skua_sleep(MS(50)), 0); /* nobody waits: no time passes for it */
    CHECK_EQ(skua_stream_next_until(stream, &item, began + MS(90)), -ETIMEDOUT);
    CHECK_NEXT(stream, &item, -ETIMEDOUT, 94); /* its own, of a wait that was given up between */
    CHECK_NEXT(stream, &item, 1, 94);
    CHECK_EQ(item, 3);
    CHECK_NEXT(stream, &item, 0, 94);
}

TEST_CLOCK(timeout_of_nothing_is_at_once)
{
    skua_stream *stream = skua_streaming_timeout(SCRIPT(1, SLEEP(5), 2), 0);
    int item = 0;

    CHECK_NEXT(stream, &item, 1, 0);
    CHECK_NEXT(stream, &item, -ETIMEDOUT, 0);
    skua_stream_drop(stream);
    stream = skua_streaming_timeout(SCRIPT(SLEEP(5000), 2), SKUA_FOREVER);
    CHECK_NEXT(stream, &item, 1, 5000);
    skua_stream_drop(stream);
}

/* ---- throttle -------------------------------------------------------------------------------- */

TEST_CLOCK(throttle_slows)
{
    struct test_script script;
    skua_stream *stream =
        skua_streaming_throttle(SCRIPT_IN(&script, 1, 2, -EIO, 3, SLEEP(15), 4, 5), MS(10));
    int item = 0;

    CHECK_NEXT(stream, &item, 1, 0);
    CHECK_EQ(skua_stream_next_until(stream, &item, began + MS(4)), -ETIMEDOUT);
    CHECK_EQ(script.asks, 1);
    CHECK_NEXT(stream, &item, 1, 10);
    CHECK_NEXT(stream, &item, -EIO, 20);
    CHECK_NEXT(stream, &item, 1, 20);
    CHECK_EQ(skua_sleep(MS(3)), 0);
    CHECK_NEXT(stream, &item, 1, 45); /* the source is asked at 30, and takes 15 */
    CHECK_EQ(skua_sleep(MS(20)), 0);
    CHECK_EQ(item, 4);
    skua_stream_drop(stream);
    CHECK_STREAM(skua_streaming_throttle(SCRIPT(1, 2), 0), 1, 2);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* A chunk as a number: its items are digits. */
static int digits(const void *in, void *out, void *arg)
{
    const skua_chunk *chunk = in;
    int number = 0;

    (void)arg;
    for (size_t i = 0; i < chunk->count; i++)
        number = number * 10 + ((const int *)chunk->items)[i];
    *(int *)out = number;
    return 0;
}

#define CHUNKS(source, capacity, timeout)                                                          \
    skua_streaming_map(skua_streaming_chunks(source, int, capacity, timeout), digits, NULL,        \
                       skua_chunk, int)

TEST_CLOCK(chunks_are_full)
{
    CHECK_STREAM(CHUNKS(SCRIPT(1, 2, WAIT, 3, SLEEP(1000), 4, 5), 3, SKUA_FOREVER), 123, 45);
    CHECK_STREAM(CHUNKS(SCRIPT(1, WAIT, 2), 2, SKUA_FOREVER), 12);
    CHECK_STREAM(CHUNKS(SCRIPT(1, 2), 1, SKUA_FOREVER), 1, 2);
    CHECK_STREAM_EMPTY(CHUNKS(SCRIPT(WAIT), 2, SKUA_FOREVER));
}

TEST_CLOCK(chunks_keep_errors_in_their_place)
{
    CHECK_STREAM(CHUNKS(SCRIPT(-EIO, 1, 2, -EDOM, -EIO, 3, 4, 5), 3, SKUA_FOREVER), -EIO, 12, -EDOM,
                 -EIO, 345);
}

TEST_CLOCK(chunks_in_time)
{
    skua_stream *stream = CHUNKS(
        SCRIPT(SLEEP(50), 1, SLEEP(4), 2, SLEEP(7), 3, 4, 5, 6, SLEEP(1), -EIO, 7), 3, MS(10));
    int item = 0;

    CHECK_NEXT(stream, &item, 1, 60); /* ten after its first one */
    CHECK_EQ(item, 12);
    CHECK_NEXT(stream, &item, 1, 61);
    CHECK_EQ(item, 345);
    CHECK_EQ(skua_stream_next_until(stream, &item, began + MS(61)), -ETIMEDOUT);
    CHECK_NEXT(stream, &item, 1, 62); /* an error follows */
    CHECK_EQ(item, 6);
    CHECK_NEXT(stream, &item, -EIO, 62);
    CHECK_NEXT(stream, &item, 1, 62);
    CHECK_EQ(item, 7);
    CHECK_NEXT(stream, &item, 0, 62);
}

TEST_CLOCK(chunks_of_nothing_are_refused)
{
    skua_stream_timed chunks;
    skua_chunk chunk;
    skua_stream *stream = skua_stream_chunks_init(&chunks, SCRIPT(1), &began, 0, SKUA_FOREVER);

    CHECK_EQ(skua_stream_next(stream, &chunk), -EINVAL);
    CHECK_EQ(skua_stream_next(stream, &chunk), 0);
    stream = CHUNKS(SCRIPT(1, SLEEP(100)), 4, MS(1000));
    CHECK_EQ(skua_stream_next_until(stream, &chunk, began + MS(5)), -ETIMEDOUT);
    skua_stream_drop(stream); /* with an item and a timer */
}

TEST_CLOCK(merge_gives_what_comes_first)
{
    CHECK_STREAM(skua_streaming_merge(SCRIPT(SLEEP(20), 1), SCRIPT(SLEEP(1), 11, 12)), 11, 12, 1);
    CHECK_STREAM(skua_streaming_chain(SCRIPT(SLEEP(20), 1), SCRIPT(SLEEP(1), 11, 12)), 1, 11, 12);
}

/* ---- in any order ---------------------------------------------------------------------------- */

static int times_out(void *arg)
{
    int64_t begin = skua_now();
    skua_stream *stream = skua_streaming_timeout(
        skua_streaming_throttle(skua_streaming_merge(SCRIPT(SLEEP(3), 1, SLEEP(9), 2),
                                                     SCRIPT(SLEEP(8), 3, SLEEP(30), 4)),
                                MS(2)),
        MS(10));
    int item = 0, sum = 0, late = 0, rc;

    (void)arg;
    while ((rc = skua_stream_next(stream, &item)) != 0) {
        sum += rc == 1 ? item : 0;
        late += rc == -ETIMEDOUT;
    }
    return sum == 10 && late == 2 && skua_now() - begin == MS(42) ? 0 : -1;
}

TEST(streams_with_clocks_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), times_out, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interval_ticks),
        cmocka_unit_test(interval_skips_what_was_missed),
        cmocka_unit_test(interval_is_given_up),
        cmocka_unit_test(interval_of_nothing_is_refused),
        cmocka_unit_test(timeout_tells_and_goes_on),
        cmocka_unit_test(timeout_of_nothing_is_at_once),
        cmocka_unit_test(throttle_slows),
        cmocka_unit_test(chunks_are_full),
        cmocka_unit_test(chunks_keep_errors_in_their_place),
        cmocka_unit_test(chunks_in_time),
        cmocka_unit_test(chunks_of_nothing_are_refused),
        cmocka_unit_test(merge_gives_what_comes_first),
        cmocka_unit_test(streams_with_clocks_in_any_order),
    };

    return TEST_MAIN(tests);
}
