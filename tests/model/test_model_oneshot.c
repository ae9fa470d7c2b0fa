/* test_model_oneshot.c - one message: sent, waited for and given up at the same moment.
 *
 * oneshot.c as it is, over sync_wait.c. The message that was sent is received, with what was done
 * before, or nobody wanted it; whoever waits for the other end learns of it; the last end frees,
 * and nobody touches the memory behind it.
 */
#include "model_sync.h"

#include "channel/oneshot.c"

static skua_oneshot_sender *sender;
static skua_oneshot_receiver *receiver;
static char goods; /* what the message stands for */

static void begin(void)
{
    waiters_begin();
    goods = 0;
    model_check(skua_oneshot_new(&sender, &receiver, sizeof(uint64_t)) == 0);
}

/* ---- threads --------------------------------------------------------------------------------- */

static int send(void)
{
    static const uint64_t message = 7;

    goods = 1;
    return skua_oneshot_send(sender, &message);
}

static int receive(int64_t deadline)
{
    uint64_t message = 0;
    int rc = skua_oneshot_recv_until(receiver, &message, deadline);

    if (rc == 0) {
        model_check(message == 7 && goods == 1);
        goods = 2;
    }
    return rc;
}

static void sends(void)
{
    answered(send());
}

static void leaves(void)
{
    skua_oneshot_sender_close(sender);
    answered(0);
}

static void receives_and_leaves(void)
{
    int rc = receive(SKUA_FOREVER);

    skua_oneshot_receiver_close(receiver);
    answered(rc);
}

static void receives_a_moment_and_leaves(void)
{
    int rc = receive(IMPATIENT);

    skua_oneshot_receiver_close(receiver);
    answered(rc);
}

static void receives_in_the_end(void)
{
    int rc = receive(IMPATIENT);

    if (rc == -ETIMEDOUT)
        rc = receive(SKUA_FOREVER);
    skua_oneshot_receiver_close(receiver);
    answered(rc);
}

static void receiver_leaves(void)
{
    skua_oneshot_receiver_close(receiver);
    answered(0);
}

static void waits_for_the_end(void)
{
    model_check(skua_oneshot_closed(sender) == 0);
    model_check(skua_oneshot_is_closed(sender) == 1);
    model_check(send() == SKUA_ECLOSED);
    answered(0);
}

/* Works as long as somebody wants it, then sends all the same. */
static void waits_a_moment_and_sends(void)
{
    skua_sync_future closed;
    int64_t rc = skua_await_until(skua_oneshot_closed_init(&closed, sender), IMPATIENT);
    int answer = send();

    model_check(rc == -ETIMEDOUT || answer == SKUA_ECLOSED);
    answered(answer);
}

static void end_received(void)
{
    check_all_freed();
    model_check(answers[0] == 0 && answers[1] == 0 && goods == 2);
}

static void end_closed(void)
{
    check_all_freed();
    model_check(answers[0] == 0 && answers[1] == SKUA_ECLOSED);
}

static void end_left(void)
{
    check_all_freed();
    model_check(answers[0] == 0 && answers[1] == 0);
}

/* Sent, and perhaps nobody looked; or refused, and nobody got it. */
static void end_wanted_or_not(void)
{
    check_all_freed();
    model_check(answers[0] == 0 || (answers[0] == SKUA_ECLOSED && answers[1] != 0));
    model_check((goods == 2) == (answers[1] == 0));
}

static void end_nobody_looked(void)
{
    check_all_freed();
    model_check(answers[0] == 0 || answers[0] == SKUA_ECLOSED);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void test_send(void **state)
{
    struct model_case one = {.name = "a send, a receive",
                             .begin = begin,
                             .thread = {sends, receives_and_leaves},
                             .end = end_received};

    (void)state;
    model_pass(&one);
    one.name = "a send, a receive that gave up once";
    one.thread[1] = receives_in_the_end;
    model_pass(&one);
    one.name = "a send, a receive that gives up";
    one.thread[1] = receives_a_moment_and_leaves;
    one.end = end_wanted_or_not;
    model_pass(&one);
    one.name = "a send, the receiver leaves";
    one.thread[1] = receiver_leaves;
    one.end = end_nobody_looked;
    model_pass(&one);
}

/* Fibers get in line in the section of their first look. */
static void test_fibers(void **state)
{
    as_fibers = true;
    test_send(state);
    as_fibers = false;
}

static void test_ends(void **state)
{
    struct model_case end = {.name = "the sender leaves, a receive",
                             .begin = begin,
                             .thread = {leaves, receives_and_leaves},
                             .end = end_closed};

    (void)state;
    model_pass(&end);
    end.name = "a wait for the receiver's end";
    end.thread[0] = waits_for_the_end;
    end.thread[1] = receiver_leaves;
    end.end = end_left;
    model_pass(&end);
    end.name = "the same that gives up, and sends";
    end.thread[0] = waits_a_moment_and_sends;
    end.thread[1] = receives_a_moment_and_leaves;
    end.end = end_wanted_or_not;
    model_pass(&end);
    end.name = "both leave";
    end.thread[0] = leaves;
    end.thread[1] = receiver_leaves;
    end.end = end_left;
    model_pass(&end);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua__waiter_again: load skua__waiter_state(waiter): acquire",
     "waiter_settle looks again, with acquire"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("lock.h oneshot.c sync_wait.c sync_wait.h", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send),
        cmocka_unit_test(test_fibers),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
