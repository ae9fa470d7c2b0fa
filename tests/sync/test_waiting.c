/* test_waiting.c - the futures that the …ing() macros make in the caller's block.
 *
 * And the functions that SKUA_MPMC_TYPE and its sisters make for messages of one type.
 *
 * Specifies the macros at the end of sync.h, notify.h, token.h and the channels' headers: each is
 * the future of its wait, with its arguments in their places: pending and ready as the wait is.
 */
#include "part.h"

/* No branch is ready, and all are let go of. */
#define NOT_YET(future) CHECK_EQ(skua_try_select(future), -EAGAIN)
/* The branch is ready with `wanted`. */
#define NOW(wanted, future)                                                                        \
    do {                                                                                           \
        int64_t result = 99;                                                                       \
                                                                                                   \
        CHECK_EQ(skua_select_to(&result, future), 0);                                              \
        CHECK_EQ(result, (wanted));                                                                \
    } while (0)

TEST_WAITING(locks_are_taken_in_a_select)
{
    skua_semaphore sema = SKUA_SEMAPHORE_INIT(2);
    skua_mutex mutex = SKUA_MUTEX_INIT;
    skua_rwlock rwlock = SKUA_RWLOCK_INIT;

    NOT_YET(skua_semaphore_acquiring(&sema, 3));
    NOW(0, skua_semaphore_acquiring(&sema, 2));
    CHECK_EQ(skua_semaphore_available(&sema), 0);
    NOW(0, skua_mutex_locking(&mutex));
    NOT_YET(skua_mutex_locking(&mutex));
    CHECK_EQ(skua_mutex_unlock(&mutex), 0);
    NOW(0, skua_rwlock_reading(&rwlock));
    NOT_YET(skua_rwlock_writing(&rwlock));
    CHECK_EQ(skua_rwlock_read_unlock(&rwlock), 0);
    NOW(0, skua_rwlock_writing(&rwlock));
    NOT_YET(skua_rwlock_reading(&rwlock));
    CHECK_EQ(skua_rwlock_write_unlock(&rwlock), 0);
}

TEST_WAITING(signals_are_waited_for_in_a_select)
{
    skua_notify notify = SKUA_NOTIFY_INIT;
    skua_event event = SKUA_EVENT_INIT;
    skua_wait_group group = SKUA_WAIT_GROUP_INIT;
    skua_barrier barrier;

    NOT_YET(skua_notify_waiting(&notify));
    skua_notify_one(&notify);
    NOW(0, skua_notify_waiting(&notify));
    NOT_YET(skua_event_waiting(&event));
    skua_event_set(&event);
    NOW(0, skua_event_waiting(&event));
    MUST(skua_wait_group_add(&group, 1) == 0);
    NOT_YET(skua_wait_group_waiting(&group));
    CHECK_EQ(skua_wait_group_done(&group), 0);
    NOW(0, skua_wait_group_waiting(&group));
    MUST(skua_barrier_init(&barrier, 2) == 0);
    NOT_YET(skua_barrier_waiting(&barrier));
}

TEST_WAITING(tokens_are_waited_for_in_a_select)
{
    skua_tracker tracker = SKUA_TRACKER_INIT;
    skua_token *token;

    MUST(skua_token_new(&token, NULL) == 0);
    NOT_YET(skua_cancelling(token));
    skua_token_cancel(token);
    NOW(0, skua_cancelling(token));
    skua_token_unref(token);
    NOT_YET(skua_tracker_waiting(&tracker));
    skua_tracker_close(&tracker);
    NOW(0, skua_tracker_waiting(&tracker));
}

TEST_WAITING(queues_are_used_in_a_select)
{
    skua_mpsc_sender *tx;
    skua_mpsc_receiver *rx;
    skua_mpmc_sender *many_tx;
    skua_mpmc_receiver *many_rx;
    int sent = 7, got = 0;

    MUST(skua_mpsc_new(&tx, &rx, sizeof(int), 1) == 0);
    NOT_YET(skua_mpsc_receiving(rx, &got));
    NOW(0, skua_mpsc_sending(tx, &sent));
    NOT_YET(skua_mpsc_sending(tx, &sent));
    NOT_YET(skua_mpsc_reserving(tx, 1));
    NOW(0, skua_mpsc_receiving(rx, &got));
    CHECK_EQ(got, 7);
    NOW(0, skua_mpsc_reserving(tx, 1));
    CHECK_EQ(skua_mpsc_unreserve(tx, 1), 0);
    skua_mpsc_sender_close(tx);
    skua_mpsc_receiver_close(rx);
    MUST(skua_mpmc_new(&many_tx, &many_rx, sizeof(int), 1) == 0);
    NOT_YET(skua_mpmc_receiving(many_rx, &got));
    sent = 8;
    NOW(0, skua_mpmc_sending(many_tx, &sent));
    NOT_YET(skua_mpmc_sending(many_tx, &sent));
    NOW(0, skua_mpmc_receiving(many_rx, &got));
    CHECK_EQ(got, 8);
    skua_mpmc_sender_close(many_tx);
    skua_mpmc_receiver_close(many_rx);
}

TEST_WAITING(answers_are_waited_for_in_a_select)
{
    skua_oneshot_sender *tx;
    skua_oneshot_receiver *rx;
    int sent = 7, got = 0;

    MUST(skua_oneshot_new(&tx, &rx, sizeof(int)) == 0);
    NOT_YET(skua_oneshot_receiving(rx, &got));
    NOT_YET(skua_oneshot_closing(tx));
    CHECK_EQ(skua_oneshot_send(tx, &sent), 0);
    NOW(0, skua_oneshot_receiving(rx, &got));
    CHECK_EQ(got, 7);
    skua_oneshot_receiver_close(rx);
    MUST(skua_oneshot_new(&tx, &rx, sizeof(int)) == 0);
    skua_oneshot_receiver_close(rx);
    NOW(0, skua_oneshot_closing(tx));
    skua_oneshot_sender_close(tx);
}

static int is_nine(const void *value, void *arg)
{
    return *(const int *)value == *(const int *)arg;
}

TEST_WAITING(news_is_waited_for_in_a_select)
{
    skua_broadcast_sender *tx;
    skua_broadcast_receiver *rx;
    skua_watch_sender *watch_tx;
    skua_watch_receiver *watch_rx;
    int value = 7, got = 0, nine = 9;

    MUST(skua_broadcast_new(&tx, sizeof(int), 4) == 0);
    MUST(skua_broadcast_subscribe(tx, &rx) == 0);
    NOT_YET(skua_broadcast_receiving(rx, &got));
    CHECK(skua_broadcast_send(tx, &value) >= 0);
    NOW(0, skua_broadcast_receiving(rx, &got));
    CHECK_EQ(got, 7);
    skua_broadcast_sender_close(tx);
    skua_broadcast_receiver_close(rx);
    MUST(skua_watch_new(&watch_tx, &watch_rx, sizeof(int), &value) == 0);
    NOT_YET(skua_watch_changing(watch_rx));
    NOT_YET(skua_watch_closing(watch_tx));
    NOT_YET(skua_watch_waiting_for(watch_rx, is_nine, &nine, &got));
    CHECK_EQ(skua_watch_send(watch_tx, &nine), 0);
    NOW(0, skua_watch_changing(watch_rx));
    NOW(0, skua_watch_waiting_for(watch_rx, is_nine, &nine, &got));
    CHECK_EQ(got, 9);
    skua_watch_receiver_close(watch_rx);
    NOW(0, skua_watch_closing(watch_tx));
    skua_watch_sender_close(watch_tx);
}

/* ---- typed channels -------------------------------------------------------------------------- */

struct point {
    int x, y;
};

SKUA_MPMC_TYPE(jobs, struct point);
SKUA_ONESHOT_TYPE(reply, struct point);
SKUA_BROADCAST_TYPE(news, struct point);
SKUA_WATCH_TYPE(config, struct point);

TEST_WAITING(typed_queues_carry_values)
{
    struct point got = {0, 0};
    skua_mpmc_sender *tx;
    skua_mpmc_receiver *rx;
    skua_oneshot_sender *asked;
    skua_oneshot_receiver *answer;

    MUST(jobs_new(&tx, &rx, 2) == 0);
    CHECK_EQ(jobs_try_recv(rx, &got), -EAGAIN);
    CHECK_EQ(jobs_send(tx, (struct point){1, 2}), 0);
    CHECK_EQ(jobs_try_send(tx, (struct point){3, 4}), 0);
    CHECK_EQ(jobs_try_send(tx, (struct point){5, 6}), -EAGAIN);
    CHECK_EQ(jobs_recv(rx, &got), 0);
    CHECK(got.x == 1 && got.y == 2);
    skua_mpmc_sender_close(tx);
    skua_mpmc_receiver_close(rx);
    MUST(reply_new(&asked, &answer) == 0);
    CHECK_EQ(reply_try_recv(answer, &got), -EAGAIN);
    CHECK_EQ(reply_send(asked, (struct point){7, 8}), 0);
    CHECK_EQ(reply_recv(answer, &got), 0);
    CHECK(got.x == 7 && got.y == 8);
    skua_oneshot_receiver_close(answer);
}

TEST_WAITING(typed_news_carry_values)
{
    struct point got = {0, 0};
    skua_broadcast_sender *tx;
    skua_broadcast_receiver *rx;
    skua_watch_sender *set;
    skua_watch_receiver *look;

    MUST(news_new(&tx, 4) == 0);
    MUST(skua_broadcast_subscribe(tx, &rx) == 0);
    CHECK_EQ(news_try_recv(rx, &got), -EAGAIN);
    CHECK_EQ(news_send(tx, (struct point){1, 2}), 1);
    CHECK_EQ(news_recv(rx, &got), 0);
    CHECK(got.x == 1 && got.y == 2);
    skua_broadcast_sender_close(tx);
    skua_broadcast_receiver_close(rx);
    MUST(config_new(&set, &look, (struct point){3, 4}) == 0);
    CHECK_EQ(config_borrow(look, &got), 0);
    CHECK(got.x == 3 && got.y == 4);
    CHECK_EQ(config_send(set, (struct point){5, 6}), 0);
    CHECK_EQ(config_borrow_and_update(look, &got), 1);
    CHECK(got.x == 5 && got.y == 6);
    skua_watch_sender_close(set);
    skua_watch_receiver_close(look);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(locks_are_taken_in_a_select),
        TEST_WAITING_ENTRIES(signals_are_waited_for_in_a_select),
        TEST_WAITING_ENTRIES(tokens_are_waited_for_in_a_select),
        TEST_WAITING_ENTRIES(queues_are_used_in_a_select),
        TEST_WAITING_ENTRIES(answers_are_waited_for_in_a_select),
        TEST_WAITING_ENTRIES(news_is_waited_for_in_a_select),
        TEST_WAITING_ENTRIES(typed_queues_carry_values),
        TEST_WAITING_ENTRIES(typed_news_carry_values),
    };

    return TEST_MAIN(tests);
}
