/* test_stream_map.c - adapters that look at one item at a time, and those of several sources.
 *
 * Specifies stream_adapters.h: map to peekable, chain, zip, merge; what becomes of errors; that no
 * item is lost with a next that is given up, and that sources are dropped with what owns them.
 */
#include "../lib/script.h"

static int twice(const void *in, void *out, void *arg)
{
    int number = *(const int *)in;

    (void)arg;
    *(int *)out = 2 * number;
    return number == 13 ? -EDOM : number;
}

static int twice_the_odd(const void *in, void *out, void *arg)
{
    int number = *(const int *)in;

    (void)arg;
    *(int *)out = 2 * number;
    return number == 13 ? -EDOM : number % 2;
}

static int is_odd(const void *item, void *arg)
{
    (void)arg;
    return *(const int *)item == 13 ? -EDOM : *(const int *)item % 2;
}

static void counts(const void *item, void *arg)
{
    *(int *)arg += *(const int *)item;
}

/* ---- item by item ---------------------------------------------------------------------------- */

TEST_WAITING(map_makes_items)
{
    CHECK_STREAM(skua_streaming_map(SCRIPT(1, WAIT, 0, -EIO, 13, 3), twice, NULL, int, int), 2, 0,
                 -EIO, -EDOM, 6);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(filter_map_makes_some)
{
    CHECK_STREAM(
        skua_streaming_filter_map(SCRIPT(1, WAIT, 2, -EIO, 13, 3), twice_the_odd, NULL, int, int),
        2, -EIO, -EDOM, 6);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(filter_keeps_some)
{
    CHECK_STREAM(skua_streaming_filter(SCRIPT(2, 1, WAIT, 4, -EIO, 13, 3), is_odd, NULL), 1, -EIO,
                 -EDOM, 3);
    CHECK_STREAM_EMPTY(skua_streaming_filter(SCRIPT(2, 4, WAIT), is_odd, NULL));
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(take_while_ends)
{
    CHECK_STREAM(skua_streaming_take_while(SCRIPT(1, WAIT, -EIO, 13, 3, 4, 5), is_odd, NULL), 1,
                 -EIO, -EDOM, 3);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(skip_while_begins)
{
    CHECK_STREAM(skua_streaming_skip_while(SCRIPT(1, WAIT, -EIO, 13, 3, 4, 5, 13), is_odd, NULL),
                 -EIO, -EDOM, 4, 5, 13);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(take_counts_items)
{
    CHECK_STREAM(skua_streaming_take(SCRIPT(1, WAIT, -EIO, 2, 3), 2), 1, -EIO, 2);
    CHECK_STREAM(skua_streaming_take(SCRIPT(1), SIZE_MAX), 1);
    CHECK_STREAM_EMPTY(skua_streaming_take(SCRIPT(1), 0));
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(take_does_not_ask_for_more)
{
    struct test_script script;
    skua_stream *stream = skua_streaming_take(SCRIPT_IN(&script, 1, 2, 3), 2);
    int item;

    CHECK_EQ(skua_stream_count(stream, &item), 2);
    CHECK_EQ(script.asks, 2);
    CHECK_EQ(script.drops, 1);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(skip_counts_items)
{
    CHECK_STREAM(skua_streaming_skip(SCRIPT(1, WAIT, -EIO, 2, 3, 4), 2), -EIO, 3, 4);
    CHECK_STREAM(skua_streaming_skip(SCRIPT(1, WAIT), 0), 1);
    CHECK_STREAM_EMPTY(skua_streaming_skip(SCRIPT(1, WAIT), 2));
    CHECK_NO_SCRIPT_LEFT();
}

static int counts_on(void *item, void *arg)
{
    *(int *)item = (*(int *)arg)++;
    return *(int *)item <= 1003;
}

static int is_early(const void *item, void *arg)
{
    (void)arg;
    return *(const int *)item < 1000;
}

static int is_late(const void *item, void *arg)
{
    return !is_early(item, arg);
}

static int late_one(const void *in, void *out, void *arg)
{
    *(int *)out = *(const int *)in;
    return is_late(in, arg);
}

/* More at a time than a poll throws away. */
TEST_WAITING(many_are_thrown_away)
{
    int at[4][ASK_WAYS] = {{0}};

    CHECK_STREAM(skua_streaming_skip(skua_streaming_from(counts_on, &at[0][way], int), 1000), 1000,
                 1001, 1002, 1003);
    CHECK_STREAM(
        skua_streaming_skip_while(skua_streaming_from(counts_on, &at[1][way], int), is_early, NULL),
        1000, 1001, 1002, 1003);
    CHECK_STREAM(
        skua_streaming_filter(skua_streaming_from(counts_on, &at[2][way], int), is_late, NULL),
        1000, 1001, 1002, 1003);
    CHECK_STREAM(skua_streaming_filter_map(skua_streaming_from(counts_on, &at[3][way], int),
                                           late_one, NULL, int, int),
                 1000, 1001, 1002, 1003);
}

TEST_WAITING(inspect_sees_items)
{
    int sums[ASK_WAYS] = {0};

    CHECK_STREAM(skua_streaming_inspect(SCRIPT(1, WAIT, -EIO, 2), counts, &sums[way]), 1, -EIO, 2);
    for (int i = 0; i < ASK_WAYS; i++)
        CHECK_EQ(sums[i], 3);
    CHECK_NO_SCRIPT_LEFT();
}

struct numbered {
    uint64_t number;
    int item;
};

TEST_WAITING(enumerate_numbers_items)
{
    skua_stream *stream = skua_streaming_enumerate(SCRIPT(7, WAIT, -EIO, 8), struct numbered, item);
    struct numbered numbered;
    skua_stream_adapter wrong;

    CHECK_EQ(skua_stream_next(stream, &numbered), 1);
    CHECK_EQ(numbered.number * 100 + (uint64_t)numbered.item, 7);
    CHECK_EQ(skua_stream_next(stream, &numbered), -EIO);
    CHECK_EQ(skua_stream_next(stream, &numbered), 1);
    CHECK_EQ(numbered.number * 100 + (uint64_t)numbered.item, 108);
    CHECK_EQ(skua_stream_next(stream, &numbered), 0);
    CHECK_STREAM(skua_stream_enumerate_init(&wrong, SCRIPT(1), 4, 16), -EINVAL);
    CHECK_STREAM(skua_stream_enumerate_init(&wrong, SCRIPT(1), 8, 11), -EINVAL);
    CHECK_STREAM(skua_stream_enumerate_init(&wrong, SCRIPT(1), 17, 16), -EINVAL);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(try_ends_with_an_error)
{
    CHECK_STREAM(skua_streaming_try(SCRIPT(1, WAIT, 2, -EIO, 3)), 1, 2, -EIO);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(peek_of_another_stream_is_refused)
{
    skua_stream *stream = SCRIPT(1);
    int item;

    CHECK_EQ(skua_stream_peek(stream, &item), SKUA_EUSAGE);
    skua_stream_drop(stream);
    CHECK_EQ(skua_stream_peek(stream, &item), 0);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(peek_is_given_up)
{
    skua_stream *stream = skua_streaming_peekable(SCRIPT(SLEEP(1), 1, 2), int);
    int item = 0, other = 0;

    CHECK_EQ(skua_try_select(skua_stream_peeking(stream, &other)), -EAGAIN);
    CHECK_EQ(skua_stream_peek(stream, &item), 1);
    CHECK_EQ(item, 1);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 1);
    CHECK_EQ(skua_stream_peek(stream, &item), 1);
    CHECK_EQ(item, 2);
    skua_stream_drop(stream); /* with an item that was not taken */
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(adapters_on_adapters)
{
    int sums[ASK_WAYS] = {0};

    CHECK_STREAM(skua_streaming_inspect(
                     skua_streaming_take(
                         skua_streaming_skip(
                             skua_streaming_filter(
                                 skua_streaming_map(SCRIPT(1, 2, WAIT, 3, 4, -EIO, WAIT, 5, 6),
                                                    twice, NULL, int, int),
                                 is_odd, NULL),
                             0),
                         9),
                     counts, &sums[way]),
                 -EIO);
    CHECK_NO_SCRIPT_LEFT();
}

/* ---- several sources ------------------------------------------------------------------------- */

TEST_WAITING(chain_goes_on)
{
    CHECK_STREAM(skua_streaming_chain(SCRIPT(1, WAIT, -EIO), SCRIPT(WAIT), SCRIPT(2, 3)), 1, -EIO,
                 2, 3);
    CHECK_STREAM(skua_streaming_chain(SCRIPT(1)), 1);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(merge_is_fair)
{
    CHECK_STREAM(skua_streaming_merge(SCRIPT(1, 2, 3, 4), SCRIPT(11, 12), SCRIPT(21, -EIO, 23)), 1,
                 11, 21, 2, 12, -EIO, 3, 23, 4);
    CHECK_STREAM(skua_streaming_merge(SCRIPT(1, WAIT, 2), SCRIPT(11)), 1, 11, 2);
    CHECK_NO_SCRIPT_LEFT();
}

struct pair {
    int first;
    int second;
};

static int joins(const void *in, void *out, void *arg)
{
    const struct pair *pair = in;

    (void)arg;
    *(int *)out = pair->first * 100 + pair->second;
    return 0;
}

#define ZIP(first_stream, second_stream)                                                           \
    skua_streaming_map(                                                                            \
        skua_streaming_zip(first_stream, second_stream, struct pair, first, second), joins, NULL,  \
        struct pair, int)

TEST_WAITING(zip_makes_pairs)
{
    CHECK_STREAM(ZIP(SCRIPT(1, WAIT, 2, 3), SCRIPT(WAIT, 4, 5)), 104, 205);
    CHECK_STREAM(ZIP(SCRIPT(1, -EIO, 2), SCRIPT(WAIT, 4, -EDOM, 5, 6)), 104, -EIO, -EDOM, 205);
    CHECK_STREAM(ZIP(SCRIPT(1, SLEEP(2), 2), SCRIPT(SLEEP(1), 4, 5)), 104, 205);
    CHECK_STREAM_EMPTY(ZIP(SCRIPT(WAIT), SCRIPT(4)));
    CHECK_NO_SCRIPT_LEFT();
}

static skua_stream *of_chars(skua_stream_source *source)
{
    return skua_stream_array_init(source, "abc", 3, 1);
}

TEST_WAITING(sources_that_do_not_fit_are_refused)
{
    skua_stream_many many;
    skua_stream_source source;
    skua_stream *none[1] = {NULL};
    struct pair room;

    CHECK_STREAM(skua_stream_chain_init(&many, none, 0), -EINVAL);
    CHECK_STREAM(skua_stream_merge_init(&many, none, 0), -EINVAL);
    CHECK_STREAM(skua_streaming_chain(SCRIPT(1), of_chars(&source)), -EINVAL);
    CHECK_STREAM(skua_streaming_merge(of_chars(&source), SCRIPT(1)), -EINVAL);
    CHECK_STREAM(skua_stream_zip_init(&many, SCRIPT(1), 0, SCRIPT(1), 5, &room, 8), -EINVAL);
    CHECK_STREAM(skua_stream_zip_init(&many, SCRIPT(1), 9, SCRIPT(1), 0, &room, 8), -EINVAL);
    CHECK_NO_SCRIPT_LEFT();
}

TEST_WAITING(streams_that_are_dropped_drop_their_sources)
{
    struct test_script scripts[3];
    int item;
    skua_stream *stream = skua_streaming_map(
        skua_streaming_merge(SCRIPT_IN(&scripts[0], SLEEP(1000)),
                             skua_streaming_chain(SCRIPT_IN(&scripts[1], 1), SCRIPT(2)),
                             ZIP(SCRIPT(1), SCRIPT_IN(&scripts[2], SLEEP(1000)))),
        twice, NULL, int, int);

    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(skua_stream_next_until(stream, &item, skua_now() + MS(1)), -ETIMEDOUT);
    skua_stream_drop(stream);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(scripts[i].drops, 1);
    CHECK_NO_SCRIPT_LEFT();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(map_makes_items),
        TEST_WAITING_ENTRIES(filter_map_makes_some),
        TEST_WAITING_ENTRIES(filter_keeps_some),
        TEST_WAITING_ENTRIES(take_while_ends),
        TEST_WAITING_ENTRIES(skip_while_begins),
        TEST_WAITING_ENTRIES(take_counts_items),
        TEST_WAITING_ENTRIES(take_does_not_ask_for_more),
        TEST_WAITING_ENTRIES(skip_counts_items),
        TEST_WAITING_ENTRIES(many_are_thrown_away),
        TEST_WAITING_ENTRIES(inspect_sees_items),
        TEST_WAITING_ENTRIES(enumerate_numbers_items),
        TEST_WAITING_ENTRIES(try_ends_with_an_error),
        TEST_WAITING_ENTRIES(peek_of_another_stream_is_refused),
        TEST_WAITING_ENTRIES(peek_is_given_up),
        TEST_WAITING_ENTRIES(adapters_on_adapters),
        TEST_WAITING_ENTRIES(chain_goes_on),
        TEST_WAITING_ENTRIES(merge_is_fair),
        TEST_WAITING_ENTRIES(zip_makes_pairs),
        TEST_WAITING_ENTRIES(sources_that_do_not_fit_are_refused),
        TEST_WAITING_ENTRIES(streams_that_are_dropped_drop_their_sources),
    };

    return TEST_MAIN(tests);
}
