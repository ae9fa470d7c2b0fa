/* test_stream_channel.c - channels as streams.
 *
 * Specifies stream.h: mpsc, mpmc, oneshot, broadcast and watch as sources: what they say, how they
 * end, that a next that is given up loses no message, and that another receiver gets its turn.
 */
#include <pthread.h>

#include "../lib/script.h"

static void send_all(skua_mpsc_sender *tx, int first, int last)
{
    for (int i = first; i <= last; i++)
        CHECK_EQ(skua_mpsc_send(tx, &i), 0);
}

static int sends(void *arg)
{
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(skua_sleep(MS(1) / 2), 0);
        send_all(arg, i, i);
    }
    skua_mpsc_sender_close(arg);
    return 0;
}

static void *sends_from_a_thread(void *arg)
{
    sends(arg);
    return NULL;
}

/* A stream of 1, 2, 3, sent by a thread meanwhile. */
static skua_stream *sent(skua_stream_channel *channel, skua_mpsc_receiver **rx, pthread_t *thread)
{
    skua_mpsc_sender *tx;

    MUST(skua_mpsc_new(&tx, rx, sizeof(int), 1) == 0);
    MUST(pthread_create(thread, NULL, sends_from_a_thread, tx) == 0);
    return skua_stream_mpsc_init(channel, *rx, sizeof(int));
}

TEST_WAITING(mpsc_as_a_stream)
{
    skua_stream_channel channel;
    skua_mpsc_receiver *rx[ASK_WAYS];
    pthread_t threads[ASK_WAYS];

    CHECK_STREAM(sent(&channel, &rx[way], &threads[way]), 1, 2, 3);
    for (int i = 0; i < ASK_WAYS; i++) {
        pthread_join(threads[i], NULL);
        skua_mpsc_receiver_close(rx[i]);
    }
}

TEST_WAITING(mpsc_stream_is_given_up)
{
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;
    skua_stream *stream;
    int place = 0, other = 0;

    MUST(skua_mpsc_new(&tx, &rx, sizeof(int), 4) == 0);
    stream = skua_streaming_mpsc(rx, int);
    CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &place)), -EAGAIN);
    send_all(tx, 7, 9);
    CHECK_EQ(place, 0); /* nobody asks for it any more */
    CHECK_EQ(skua_stream_next(stream, &other), 1);
    CHECK_EQ(other, 7);
    CHECK_EQ(skua_stream_next(stream, &other), 1);
    skua_stream_drop(stream);
    CHECK_EQ(skua_mpsc_try_recv(rx, &other), 0); /* the receiver is as it was */
    CHECK_EQ(other, 9);
    CHECK_EQ(place, 0);
    skua_mpsc_sender_close(tx);
    skua_mpsc_receiver_close(rx);
}

/* A stream that was told of a message, and given up, does not keep it from others when it is
 * dropped. */
TEST_WAITING(mpmc_stream_that_is_dropped_tells_the_next)
{
    skua_mpmc_sender *tx;
    skua_mpmc_receiver *rx, *second;
    skua_stream *streams[2];
    int number = 5, item = 0, late = 0;
    skua_stream_future waits;
    skua_future *next;

    MUST(skua_mpmc_new(&tx, &rx, sizeof(int), 4) == 0);
    second = skua_mpmc_receiver_clone(rx);
    streams[0] = skua_streaming_mpmc(rx, int);
    streams[1] = skua_streaming_mpmc(second, int);
    CHECK_EQ(skua_try_select(skua_stream_nexting(streams[0], &item)), -EAGAIN);
    next = skua_stream_next_init(&waits, streams[1], &late);
    CHECK_EQ(skua_await_until(next, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(skua_mpmc_send(tx, &number), 0);
    skua_stream_drop(streams[0]);
    CHECK_EQ(skua_stream_next_until(streams[1], &late, skua_now() + TEST_LATE), 1);
    CHECK_EQ(late, 5);
    skua_mpmc_sender_close(tx);
    CHECK_EQ(skua_stream_next(streams[1], &late), 0);
    skua_mpmc_receiver_close(rx);
    skua_mpmc_receiver_close(second);
}

TEST_WAITING(oneshot_as_a_stream)
{
    skua_oneshot_sender *tx;
    skua_oneshot_receiver *rx;
    skua_stream *stream;
    int number = 5, item = 0;

    for (int sends_one = 0; sends_one < 2; sends_one++) {
        MUST(skua_oneshot_new(&tx, &rx, sizeof(int)) == 0);
        stream = skua_streaming_oneshot(rx, int);
        CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &item)), -EAGAIN);
        if (sends_one)
            CHECK_EQ(skua_oneshot_send(tx, &number), 0);
        else
            skua_oneshot_sender_close(tx);
        CHECK_EQ(skua_stream_next(stream, &item), sends_one);
        CHECK_EQ(skua_stream_next(stream, &item), 0);
        skua_oneshot_receiver_close(rx);
    }
    CHECK_EQ(item, 5);
}

TEST_WAITING(broadcast_as_a_stream)
{
    skua_broadcast_sender *tx;
    skua_broadcast_receiver *rx;
    skua_stream *stream;
    int item = 0;

    MUST(skua_broadcast_new(&tx, sizeof(int), 2) == 0);
    MUST(skua_broadcast_subscribe(tx, &rx) == 0);
    stream = skua_streaming_broadcast(rx, int);
    CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &item)), -EAGAIN);
    for (int i = 1; i <= 5; i++)
        CHECK_EQ(skua_broadcast_send(tx, &i), 1);
    CHECK_EQ(skua_stream_next(stream, &item), SKUA_ELAGGED);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 4);
    skua_broadcast_sender_close(tx);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 5);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    skua_broadcast_receiver_close(rx);
}

TEST_WAITING(watch_as_a_stream)
{
    skua_watch_sender *tx;
    skua_watch_receiver *rx;
    skua_stream *stream;
    int value = 1, item = 0;

    MUST(skua_watch_new(&tx, &rx, sizeof(int), &value) == 0);
    stream = skua_streaming_watch(rx, int);
    CHECK_EQ(skua_stream_next(stream, &item), 1); /* the one that there is */
    CHECK_EQ(item, 1);
    CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &item)), -EAGAIN);
    for (value = 2; value <= 3; value++)
        CHECK_EQ(skua_watch_send(tx, &value), 0);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 3);
    CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &item)), -EAGAIN);
    value = 4;
    CHECK_EQ(skua_watch_send(tx, &value), 0);
    skua_watch_sender_close(tx);
    CHECK_EQ(skua_stream_next(stream, &item), 1);
    CHECK_EQ(item, 4);
    CHECK_EQ(skua_stream_next(stream, &item), 0);
    skua_watch_receiver_close(rx);
}

/* ---- many at a time -------------------------------------------------------------------------- */

enum { SENDERS = 3, EACH = 40 };

static int sends_many(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        CHECK_EQ(skua_mpsc_send(arg, &i), 0);
        if (skua_test_random() % 4 == 0)
            CHECK_EQ(skua_sleep((int64_t)(skua_test_random() % 1000)), 0);
    }
    skua_mpsc_sender_close(arg);
    return 0;
}

/* Three channels merged, asked in a way that gives up now and then: nothing is lost or doubled. */
static int merges(void *arg)
{
    skua_mpsc_receiver *rx[SENDERS];
    skua_mpsc_sender *tx;
    skua_stream_channel channels[SENDERS];
    skua_stream *sources[SENDERS];
    skua_stream_many merge;
    skua_stream *stream;
    int count = 0, sum = 0, rc = 1;

    (void)arg;
    for (int i = 0; i < SENDERS; i++) {
        if (skua_mpsc_new(&tx, &rx[i], sizeof(int), 2) != 0 ||
            skua_spawn(NULL, sends_many, tx) != 0)
            return -1;
        sources[i] = skua_stream_mpsc_init(&channels[i], rx[i], sizeof(int));
    }
    stream = skua_stream_merge_init(&merge, sources, SENDERS);
    while (rc != 0) {
        int64_t patience = skua_now() + (int64_t)(skua_test_random() % 500);
        int places[8], *item = &places[skua_test_random() % 8];

        rc = skua_stream_next_until(stream, item, patience);
        if (rc == 1) {
            count++;
            sum += *item;
        } else if (rc != 0 && rc != -ETIMEDOUT) {
            return -2;
        }
    }
    for (int i = 0; i < SENDERS; i++)
        skua_mpsc_receiver_close(rx[i]);
    return count == SENDERS * EACH && sum == SENDERS * EACH * (EACH - 1) / 2 ? 0 : -3;
}

TEST(merge_of_channels_loses_nothing_in_any_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), merges, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(mpsc_as_a_stream),
        TEST_WAITING_ENTRIES(mpsc_stream_is_given_up),
        TEST_WAITING_ENTRIES(mpmc_stream_that_is_dropped_tells_the_next),
        TEST_WAITING_ENTRIES(oneshot_as_a_stream),
        TEST_WAITING_ENTRIES(broadcast_as_a_stream),
        TEST_WAITING_ENTRIES(watch_as_a_stream),
        cmocka_unit_test(merge_of_channels_loses_nothing_in_any_order),
    };

    return TEST_MAIN(tests);
}
