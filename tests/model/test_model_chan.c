/* test_model_chan.c - the channel: sending, receiving, reserving, giving up and closing at the same
 * moment.
 *
 * chan.c and chan_wait.c as they are, over sync_wait.c. Each message that was sent is received
 * once, in the order of its sender, and whoever receives it sees what was done before it was sent;
 * nobody is left waiting for a message or room that is there; the last handle frees, and nobody
 * touches the channel behind it.
 */
#include "model_sync.h"

#include "channel/chan.c"
#include "channel/chan_wait.c"

void skua__chan_unname(struct skua__chan *of)
{
    (void)of; /* none has a name */
}

#define MESSAGES 5 /* 1 … 4 */

static struct skua__chan *chan;
static char goods[MESSAGES];        /* what a message stands for: written before, read behind */
static unsigned received[MESSAGES]; /* how often */
static uint64_t sent[MESSAGES];     /* the messages, where senders that wait may leave them */

static void begin_with(size_t capacity)
{
    waiters_begin();
    memset(goods, 0, sizeof goods);
    memset(received, 0, sizeof received);
    for (uint64_t i = 0; i < MESSAGES; i++)
        sent[i] = i;
    model_check(skua__chan_new(&chan, sizeof(uint64_t), capacity) == 0);
}

static void begin(void)
{
    begin_with(1);
}

/* ---- threads --------------------------------------------------------------------------------- */

MODEL_UNSEEN static void is_received(uint64_t message)
{
    model_check(message >= 1 && message < MESSAGES && received[message]++ == 0);
}

MODEL_UNSEEN static unsigned received_count(void)
{
    return received[1] + received[2] + received[3] + received[4];
}

static int send(unsigned message, int64_t deadline)
{
    goods[message] = 1;
    return skua__chan_send(chan, &sent[message], deadline);
}

/* The message, or 0 and why in *ret_rc. */
static uint64_t receive(int64_t deadline, int *ret_rc)
{
    uint64_t message = 0;

    *ret_rc = skua__chan_recv(chan, &message, deadline);
    if (*ret_rc != 0)
        return 0;
    is_received(message);
    model_check(goods[message] == 1);
    goods[message] = 2; /* it is the receiver's now */
    return message;
}

static void sends(void)
{
    answered(send(1, SKUA_FOREVER));
}

static void sends_another(void)
{
    answered(send(2, SKUA_FOREVER));
}

static void sends_two(void)
{
    model_check(send(1, SKUA_FOREVER) == 0);
    answered(send(2, SKUA_FOREVER));
}

static void sends_a_moment(void)
{
    answered(send(2, IMPATIENT));
}

static void receives(void)
{
    int rc;

    (void)receive(SKUA_FOREVER, &rc);
    answered(rc);
}

static void receives_two(void)
{
    int rc;
    uint64_t first = receive(SKUA_FOREVER, &rc);
    uint64_t second;

    model_check(rc == 0);
    second = receive(SKUA_FOREVER, &rc);
    model_check(rc == 0 && first != second);
    answered(0);
}

static void receives_two_in_order(void)
{
    int rc;

    model_check(receive(SKUA_FOREVER, &rc) == 1);
    model_check(receive(SKUA_FOREVER, &rc) == 2);
    answered(0);
}

static void receives_a_moment(void)
{
    int rc;

    (void)receive(IMPATIENT, &rc);
    answered(rc);
}

static void end_all_received(void)
{
    model_check(answers[0] == 0 && answers[1] == 0);
    model_check(chan->len == 0 && chan->reserved == 0 && chan->lock == 0);
    model_check(chan->sending.first == NULL && chan->receiving.first == NULL);
}

/* ---- sending and receiving ------------------------------------------------------------------- */

static void test_send(void **state)
{
    struct model_case one = {.name = "a send, a receive",
                             .begin = begin,
                             .thread = {sends, receives},
                             .end = end_all_received};

    (void)state;
    model_pass(&one);
    one.name = "two sends through room for one";
    one.thread[0] = sends_two;
    one.thread[1] = receives_two_in_order;
    model_pass(&one);
    one.name = "two senders, a receiver of two";
    one.thread[0] = sends;
    one.thread[1] = receives_two;
    one.thread[2] = sends_another;
    pass_bounded(one);
}

static void begin_unbounded(void)
{
    begin_with(SKUA__CHAN_UNBOUNDED);
}

/* Each finds that there is no block yet, and lets go of the lock to bring one. */
static void test_unbounded(void **state)
{
    struct model_case two = {.name = "unbounded: two senders, a receiver of two",
                             .begin = begin_unbounded,
                             .thread = {sends, receives_two, sends_another},
                             .end = end_all_received};

    (void)state;
    pass_bounded(two);
}

/* ---- giving up ------------------------------------------------------------------------------- */

/* A sender that gave up may have sent, when somebody made room meanwhile; then it is there. */
static void end_gave_up(void)
{
    model_check(answers[0] == 0 && answers[1] == 0);
    model_check(received[1] + received[2] + chan->len == 1 + (answers[2] == 0) ||
                (answers[2] == -ETIMEDOUT && received[1] + received[2] + chan->len == 2));
    model_check(chan->sending.first == NULL && chan->receiving.first == NULL);
}

/* The one message was for one of them; the patient one waits for it only if the other has it. */
static void end_one_received(void)
{
    model_check(received_count() == 1 && chan->len == 0);
    model_check(answers[0] == 0 || (answers[0] == NOT_YET && answers[1] == 0));
    model_check((chan->receiving.first == NULL) == (answers[0] == 0));
}

static void test_giving_up(void **state)
{
    struct model_case vain = {.name = "a send, one that gives up, a receive",
                              .begin = begin,
                              .thread = {sends, receives, sends_a_moment},
                              .end = end_gave_up};

    (void)state;
    pass_bounded(vain);
    vain.name = "two receives, one gives up, a send";
    vain.thread[0] = receives;
    vain.thread[1] = receives_a_moment;
    vain.thread[2] = sends;
    vain.end = end_one_received;
    vain.sleep_ends = true;
    pass_bounded(vain);
}

/* A fiber that finds nothing gets in line in the same section. */
static void test_fibers(void **state)
{
    struct model_case one = {.name = "fibers: a send, a receive",
                             .begin = begin,
                             .thread = {sends, receives},
                             .end = end_all_received};

    (void)state;
    as_fibers = true;
    model_pass(&one);
    one.name = "fibers: two senders, a receiver of two";
    one.thread[1] = receives_two;
    one.thread[2] = sends_another;
    pass_bounded(one);
    one.name = "fibers: two receives, one gives up, a send";
    one.thread[0] = receives;
    one.thread[1] = receives_a_moment;
    one.thread[2] = sends;
    one.end = end_one_received;
    one.sleep_ends = true;
    pass_bounded(one);
    as_fibers = false;
}

/* ---- reserving ------------------------------------------------------------------------------- */

static int reserve(int64_t deadline)
{
    skua_sync_future wait;

    return (int)skua_await_until(skua__chan_reserve_init(&wait, chan, 1), deadline);
}

static void reserves_and_sends(void)
{
    int rc = reserve(SKUA_FOREVER);

    model_check(rc == 0);
    goods[1] = 1;
    answered(skua__chan_send_reserved(chan, &sent[1]));
}

/* Room that it got is given back. */
static void reserves_a_moment(void)
{
    int rc = reserve(IMPATIENT);

    if (rc == 0)
        model_check(skua__chan_unreserve(chan, 1) == 0);
    answered(rc);
}

static void test_reserve(void **state)
{
    struct model_case room = {.name = "a reserve, a reserve that gives up",
                              .begin = begin,
                              .thread = {reserves_and_sends, reserves_a_moment}};

    (void)state;
    model_pass(&room);
    room.name = "a reserve, one that gives up, a receive";
    room.thread[1] = receives;
    room.thread[2] = reserves_a_moment;
    room.end = end_all_received;
    pass_bounded(room);
}

/* ---- closing, and the last handle ------------------------------------------------------------ */

static void sends_and_leaves(void)
{
    int rc = send(1, SKUA_FOREVER);

    skua__chan_drop_sender(chan);
    answered(rc);
}

static void sends_two_and_leaves(void)
{
    int rc = send(1, SKUA_FOREVER);

    if (rc == 0)
        rc = send(2, SKUA_FOREVER);
    skua__chan_drop_sender(chan);
    answered(rc);
}

static void leaves(void)
{
    skua__chan_drop_sender(chan);
}

/* Until there is nobody left to send. */
static void receives_all_and_leaves(void)
{
    int rc;

    while (receive(SKUA_FOREVER, &rc) != 0)
        continue;
    model_check(rc == SKUA_ECLOSED);
    skua__chan_drop_receiver(chan);
    answered(0);
}

/* The wait is cut short, then the receiver goes. */
static void receives_a_moment_and_leaves(void)
{
    int rc;

    (void)receive(IMPATIENT, &rc);
    model_check(rc == 0 || rc == -ETIMEDOUT || rc == SKUA_ECLOSED);
    skua__chan_drop_receiver(chan);
    answered(rc);
}

static void closes(void)
{
    skua__chan_close(chan);
}

static void begin_two_senders(void)
{
    begin();
    skua__chan_add_sender(chan);
}

static void end_freed(void)
{
    check_all_freed();
}

static void end_sent_and_freed(void)
{
    check_all_freed();
    model_check(answers[0] == 0 && answers[1] == 0 && received[1] == 1);
}

/* Refused, or sent: then it is there, or was received. */
static void end_closed(void)
{
    model_check(answers[0] == 0 || answers[0] == SKUA_ECLOSED);
    model_check(answers[1] == 0 || answers[1] == SKUA_ECLOSED);
    model_check((answers[0] == 0) == (received[1] + chan->len == 1));
    model_check((answers[1] == 0) == (received[1] == 1));
}

static void test_close(void **state)
{
    struct model_case close = {.name = "the last sender sends and leaves, a receiver of all",
                               .begin = begin,
                               .thread = {sends_and_leaves, receives_all_and_leaves},
                               .end = end_sent_and_freed};

    (void)state;
    model_pass(&close);
    close.name = "a sender of two, a receiver that leaves";
    close.thread[0] = sends_two_and_leaves;
    close.thread[1] = receives_a_moment_and_leaves;
    close.end = end_freed;
    model_pass(&close);
    close.name = "two senders leave, a receiver of all";
    close.begin = begin_two_senders;
    close.thread[0] = sends_and_leaves;
    close.thread[1] = receives_all_and_leaves;
    close.thread[2] = leaves;
    close.end = end_sent_and_freed;
    pass_bounded(close);
    close.name = "a send, a receive, a close";
    close.begin = begin;
    close.thread[0] = sends;
    close.thread[1] = receives;
    close.thread[2] = closes;
    close.end = end_closed;
    pass_bounded(close);
}

/* ---- controls -------------------------------------------------------------------------------- */

static const struct model_allow allowed[] = {
    {"skua__waiter_again: load skua__waiter_state(waiter): acquire",
     "waiter_settle looks again, with acquire"},
    {NULL, NULL}};

static void test_controls(void **state)
{
    (void)state;
    model_controls("lock.h chan.c chan_wait.c sync_wait.c sync_wait.h", allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send),      cmocka_unit_test(test_unbounded),
        cmocka_unit_test(test_giving_up), cmocka_unit_test(test_fibers),
        cmocka_unit_test(test_reserve),   cmocka_unit_test(test_close),
        cmocka_unit_test(test_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
