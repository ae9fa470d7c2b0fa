/* test_broadcast.c - every message to every receiver.
 *
 * Specifies broadcast.h's first half: what each receiver gets, how it learns that it fell behind,
 * closing, and that a dropped wait has received nothing. test_watch.c has the other half.
 */
#include <pthread.h>

#include "../lib/event.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

enum { RECEIVERS = 3 };

/* One sender, and receivers of numbers. */
struct channel {
    skua_broadcast_sender *tx;
    skua_broadcast_receiver *rx[RECEIVERS];
};

static struct channel channel_of(size_t capacity, int receivers)
{
    struct channel channel = {NULL, {NULL}};

    MUST(skua_broadcast_new(&channel.tx, sizeof(uint64_t), capacity) == 0);
    for (int i = 0; i < receivers; i++)
        MUST(skua_broadcast_subscribe(channel.tx, &channel.rx[i]) == 0);
    return channel;
}

static void channel_end(struct channel *channel)
{
    skua_broadcast_sender_close(channel->tx);
    for (int i = 0; i < RECEIVERS; i++)
        skua_broadcast_receiver_close(channel->rx[i]);
}

/* The numbers from `first` to before `end`; each reaches `receivers`. */
static void send_numbers(struct channel *channel, uint64_t first, uint64_t end, int64_t receivers)
{
    for (uint64_t number = first; number < end; number++)
        CHECK_EQ(skua_broadcast_send(channel->tx, &number), receivers);
}

static void recv_numbers(skua_broadcast_receiver *rx, uint64_t first, uint64_t end)
{
    uint64_t got = 77;

    for (uint64_t number = first; number < end; number++) {
        CHECK_EQ(skua_broadcast_recv(rx, &got), 0);
        CHECK_EQ(got, number);
    }
}

/* Nothing to receive now, for this reason. */
static void check_nothing(skua_broadcast_receiver *rx, int reason)
{
    uint64_t got = 77;

    CHECK_EQ(skua_broadcast_try_recv(rx, &got), reason);
    CHECK_EQ(got, 77);
    CHECK_EQ(skua_broadcast_len(rx), 0);
}

/* ---- who gets what --------------------------------------------------------------------------- */

TEST_FIBER(everybody_gets_every_message)
{
    struct channel channel = channel_of(8, RECEIVERS);

    for (uint64_t round = 0; round < 50; round++) {
        send_numbers(&channel, round * 5, round * 5 + 5, RECEIVERS);
        for (int i = 0; i < RECEIVERS; i++) {
            CHECK_EQ(skua_broadcast_len(channel.rx[i]), 5);
            recv_numbers(channel.rx[i], round * 5, round * 5 + 5);
            check_nothing(channel.rx[i], -EAGAIN);
        }
    }
    channel_end(&channel);
    return 0;
}

TEST_FIBER(subscriber_gets_what_comes_later)
{
    struct channel channel = channel_of(8, 1);

    send_numbers(&channel, 0, 2, 1);
    MUST(skua_broadcast_subscribe(channel.tx, &channel.rx[1]) == 0);
    send_numbers(&channel, 2, 4, 2);
    MUST(skua_broadcast_resubscribe(channel.rx[0], &channel.rx[2]) == 0);
    check_nothing(channel.rx[2], -EAGAIN);
    send_numbers(&channel, 4, 6, 3);
    for (int i = 0; i < RECEIVERS; i++) {
        recv_numbers(channel.rx[i], (uint64_t)i * 2, 6);
        check_nothing(channel.rx[i], -EAGAIN);
    }
    channel_end(&channel);
    return 0;
}

TEST_FIBER(message_for_nobody_is_not_kept)
{
    struct channel channel = channel_of(4, 0);
    uint64_t number = 5;

    CHECK_EQ(skua_broadcast_send(channel.tx, &number), SKUA_ECLOSED);
    MUST(skua_broadcast_subscribe(channel.tx, &channel.rx[0]) == 0);
    check_nothing(channel.rx[0], -EAGAIN);
    send_numbers(&channel, 1, 3, 1);
    recv_numbers(channel.rx[0], 1, 2);
    skua_broadcast_receiver_close(channel.rx[0]);
    CHECK_EQ(skua_broadcast_send(channel.tx, &number), SKUA_ECLOSED);
    MUST(skua_broadcast_subscribe(channel.tx, &channel.rx[0]) == 0);
    check_nothing(channel.rx[0], -EAGAIN);
    channel_end(&channel);
    return 0;
}

TEST_FIBER(messages_of_any_size)
{
    static const size_t sizes[] = {1, 3, 8, 100, (size_t)1 << 20};

    for (size_t i = 0; i < TEST_LEN(sizes); i++) {
        unsigned char *out = calloc(2, sizes[i]);
        unsigned char *in = out + sizes[i];
        struct channel channel = {NULL, {NULL}};

        MUST(skua_broadcast_new(&channel.tx, sizes[i], 3) == 0);
        MUST(skua_broadcast_subscribe(channel.tx, &channel.rx[0]) == 0);
        for (int fill = 1; fill < 10; fill++) {
            memset(out, fill, sizes[i]);
            CHECK_EQ(skua_broadcast_send(channel.tx, out), 1);
            CHECK_EQ(skua_broadcast_recv(channel.rx[0], in), 0);
            CHECK(memcmp(out, in, sizes[i]) == 0);
        }
        channel_end(&channel);
        free(out);
    }
    return 0;
}

/* ---- falling behind -------------------------------------------------------------------------- */

TEST_FIBER(receiver_that_fell_behind_is_told)
{
    struct channel channel = channel_of(3, 2); /* room for 4 */
    uint64_t got = 77;

    CHECK_EQ(skua_broadcast_lag(channel.rx[0]), 0);
    send_numbers(&channel, 0, 4, 2);
    recv_numbers(channel.rx[1], 0, 4);
    send_numbers(&channel, 4, 8, 2);
    recv_numbers(channel.rx[1], 4, 8); /* the other one's lag is its own */
    send_numbers(&channel, 8, 10, 2);
    CHECK_EQ(skua_broadcast_len(channel.rx[0]), 10);
    CHECK_EQ(skua_broadcast_recv(channel.rx[0], &got), SKUA_ELAGGED);
    CHECK_EQ(got, 77);
    CHECK_EQ(skua_broadcast_lag(channel.rx[0]), 6);
    CHECK_EQ(skua_broadcast_len(channel.rx[0]), 4);
    recv_numbers(channel.rx[0], 6, 8);
    CHECK_EQ(skua_broadcast_lag(channel.rx[0]), 6);
    send_numbers(&channel, 10, 13, 2);
    CHECK_EQ(skua_broadcast_try_recv(channel.rx[0], &got), SKUA_ELAGGED);
    CHECK_EQ(skua_broadcast_lag(channel.rx[0]), 1);
    recv_numbers(channel.rx[0], 9, 13);
    check_nothing(channel.rx[0], -EAGAIN);
    CHECK_EQ(skua_broadcast_lag(channel.rx[1]), 0);
    channel_end(&channel);
    return 0;
}

/* Told about one gap, and fallen behind again before it went on: both are counted. */
TEST_FIBER(lag_is_told_as_often_as_it_comes)
{
    struct channel channel = channel_of(1, 1);
    uint64_t got = 77;

    send_numbers(&channel, 0, 5, 1);
    CHECK_EQ(skua_broadcast_recv(channel.rx[0], &got), SKUA_ELAGGED);
    CHECK_EQ(skua_broadcast_lag(channel.rx[0]), 4);
    send_numbers(&channel, 5, 7, 1);
    CHECK_EQ(skua_broadcast_recv(channel.rx[0], &got), SKUA_ELAGGED);
    CHECK_EQ(skua_broadcast_lag(channel.rx[0]), 2);
    recv_numbers(channel.rx[0], 6, 7);
    channel_end(&channel);
    return 0;
}

TEST_FIBER(capacity_is_rounded_up)
{
    static const size_t rounded[] = {0, 1, 2, 4, 4, 8, 8, 8, 8, 16};

    for (size_t capacity = 1; capacity < TEST_LEN(rounded); capacity++) {
        struct channel channel = channel_of(capacity, 2);
        uint64_t got = 77;

        send_numbers(&channel, 0, rounded[capacity], 2);
        recv_numbers(channel.rx[0], 0, rounded[capacity]);
        send_numbers(&channel, rounded[capacity], rounded[capacity] + 1, 2);
        CHECK_EQ(skua_broadcast_recv(channel.rx[1], &got), SKUA_ELAGGED);
        CHECK_EQ(skua_broadcast_lag(channel.rx[1]), 1);
        recv_numbers(channel.rx[1], 1, rounded[capacity] + 1);
        channel_end(&channel);
    }
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_FIBER(last_sender_closes_the_channel)
{
    struct channel channel = channel_of(4, 2);
    skua_broadcast_sender *other = skua_broadcast_sender_clone(channel.tx);
    uint64_t got = 77;

    send_numbers(&channel, 0, 3, 2);
    skua_broadcast_sender_close(other);
    recv_numbers(channel.rx[0], 0, 3);
    check_nothing(channel.rx[0], -EAGAIN);
    send_numbers(&channel, 3, 6, 2);
    skua_broadcast_sender_close(channel.tx);
    channel.tx = NULL;
    recv_numbers(channel.rx[0], 3, 6);
    check_nothing(channel.rx[0], SKUA_ECLOSED);
    CHECK_EQ(skua_broadcast_recv(channel.rx[0], &got), SKUA_ECLOSED);
    CHECK_EQ(skua_broadcast_recv(channel.rx[1], &got), SKUA_ELAGGED);
    CHECK_EQ(skua_broadcast_lag(channel.rx[1]), 2);
    MUST(skua_broadcast_resubscribe(channel.rx[1], &channel.rx[2]) == 0);
    check_nothing(channel.rx[2], SKUA_ECLOSED);
    recv_numbers(channel.rx[1], 2, 6);
    check_nothing(channel.rx[1], SKUA_ECLOSED);
    channel_end(&channel);
    skua_broadcast_sender_close(NULL);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct listener {
    skua_broadcast_receiver *rx;
    uint64_t got;
    skua_poll rc;
    atomic_int begun, done;
};

static void listener_init(struct listener *self, skua_broadcast_receiver *rx)
{
    memset(self, 0, sizeof *self);
    self->rx = rx;
    self->got = 77;
    self->rc = 77;
}

static int listens(void *arg)
{
    struct listener *self = arg;

    atomic_store(&self->begun, 1);
    self->rc = skua_broadcast_recv(self->rx, &self->got);
    atomic_store(&self->done, 1);
    return 0;
}

static void *thread_listens(void *arg)
{
    return (void *)(intptr_t)listens(arg);
}

struct polled {
    skua_async async;
    void *who;
    skua_sync_future recv;
    skua_poll rc;
};

static skua_poll listens_in_poll_task(void *state, skua_waker *waker)
{
    struct polled *self = state;
    struct listener *listener = self->who;

    SKUA_ASYNC(self, waker);
    SKUA_AWAIT_TO(self->rc, skua_broadcast_recv_init(&self->recv, listener->rx, &listener->got));
    listener->rc = self->rc;
    atomic_store(&listener->done, 1);
    SKUA_ASYNC_END(0);
}

/* A fiber, a poll task and a thread wait, each with its receiver; `end` is what ends the waits. */
static void listen_in_all_ways(struct channel *channel, void (*end)(struct channel *channel),
                               int rc, uint64_t got)
{
    struct listener listeners[3];
    struct polled polled = {.who = &listeners[1]};
    skua_scope scope;
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        listener_init(&listeners[i], channel->rx[i]);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    MUST(skua_spawn(&scope, listens, &listeners[0]) == 0);
    MUST(skua_spawn_poll(&scope, listens_in_poll_task, &polled) == 0);
    MUST(pthread_create(&thread, NULL, thread_listens, &listeners[2]) == 0);
    CHECK_EQ(skua_sleep(MS(1)), 0); /* they wait by now, mostly */
    end(channel);
    CHECK_EQ(skua_scope_join(&scope), 0);
    test_yield_until(&listeners[2].done);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(listeners[i].rc, rc);
        CHECK_EQ(listeners[i].got, got);
    }
}

static void sends_five(struct channel *channel)
{
    send_numbers(channel, 5, 6, RECEIVERS);
}

static void closes(struct channel *channel)
{
    skua_broadcast_sender_close(channel->tx);
    channel->tx = NULL;
}

TEST_FIBER(one_send_ends_all_waits)
{
    struct channel channel = channel_of(4, RECEIVERS);

    for (int i = 0; i < 5; i++)
        listen_in_all_ways(&channel, sends_five, 0, 5);
    listen_in_all_ways(&channel, closes, SKUA_ECLOSED, 77);
    channel_end(&channel);
    return 0;
}

/* Two with one receiver: a message goes to one of them, and the other waits on. */
TEST_FIBER(tasks_that_share_a_receiver_share_its_messages)
{
    struct channel channel = channel_of(4, 1);
    struct listener listeners[2];
    skua_scope scope;

    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < 2; i++) {
        listener_init(&listeners[i], channel.rx[0]);
        MUST(skua_spawn(&scope, listens, &listeners[i]) == 0);
    }
    CHECK_EQ(skua_sleep(MS(1)), 0);
    send_numbers(&channel, 0, 1, 1);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK(atomic_load(&listeners[0].done) + atomic_load(&listeners[1].done) <= 1);
    send_numbers(&channel, 1, 2, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(listeners[0].rc, 0);
    CHECK_EQ(listeners[1].rc, 0);
    CHECK_EQ(listeners[0].got + listeners[1].got, 1);
    channel_end(&channel);
    return 0;
}

/* ---- cancellation ---------------------------------------------------------------------------- */

TEST_FIBER(cancelled_receive_loses_nothing)
{
    struct channel channel = channel_of(4, 1);
    struct listener listener;
    uint64_t got = 77;
    skua_task *task;

    listener_init(&listener, channel.rx[0]);
    MUST(skua_spawn(NULL, listens, &listener, .task = &task) == 0);
    test_yield_until(&listener.begun);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(listener.rc, -ECANCELED);
    CHECK_EQ(skua_broadcast_recv_until(channel.rx[0], &got, skua_now() + MS(1)), -ETIMEDOUT);
    CHECK_EQ(got, 77);
    send_numbers(&channel, 0, 2, 1);
    CHECK_EQ(skua_broadcast_recv_until(channel.rx[0], &got, 0), 0); /* what is there wins */
    CHECK_EQ(got, 0);
    recv_numbers(channel.rx[0], 1, 2);
    channel_end(&channel);
    return 0;
}

static int listens_after_cancellation(void *arg)
{
    atomic_store(&((struct listener *)arg)->begun, 1);
    CHECK_EQ(skua_sleep(SKUA_FOREVER), -ECANCELED);
    return listens(arg);
}

/* However much there is: who is cancelled learns it at its next receive. */
TEST_FIBER(cancelled_task_receives_no_more)
{
    struct channel channel = channel_of(4, 1);
    struct listener listener;
    skua_task *task;

    listener_init(&listener, channel.rx[0]);
    send_numbers(&channel, 0, 2, 1);
    MUST(skua_spawn(NULL, listens_after_cancellation, &listener, .task = &task) == 0);
    test_yield_until(&listener.begun);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(listener.rc, -ECANCELED);
    CHECK_EQ(listener.got, 77);
    recv_numbers(channel.rx[0], 0, 2);
    channel_end(&channel);
    return 0;
}

/* Told to look, and dropped before it did. */
static skua_poll poll_drops_what_it_was_told(void *state, skua_waker *waker)
{
    struct channel *channel = *(struct channel **)state;
    skua_sync_future told, waits;
    uint64_t got = 77;

    skua_broadcast_recv_init(&told, channel->rx[0], &got);
    CHECK_EQ(skua_future_poll(&told.future, waker), SKUA_PENDING);
    send_numbers(channel, 0, 1, 2);
    skua_future_drop(&told.future);
    skua_future_drop(&told.future);
    CHECK_EQ(got, 77);
    skua_broadcast_recv_init(&waits, channel->rx[0], &got);
    CHECK_EQ(skua_future_poll(&waits.future, waker), 0);
    CHECK_EQ(got, 0);
    skua_broadcast_recv_init(&waits, channel->rx[0], &got);
    CHECK_EQ(skua_future_poll(&waits.future, waker), SKUA_PENDING);
    CHECK_EQ(skua_future_poll(&waits.future, waker), SKUA_PENDING);
    skua_future_drop(&waits.future);
    skua_broadcast_recv_init(&waits, channel->rx[0], &got);
    skua_future_drop(&waits.future); /* never polled */
    return SKUA_READY;
}

TEST_FIBER(dropped_future_has_received_nothing)
{
    struct channel channel = channel_of(4, 2);
    struct channel *state = &channel;
    skua_task *task;

    MUST(skua_spawn_poll(NULL, poll_drops_what_it_was_told, &state, .task = &task) == 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    recv_numbers(channel.rx[1], 0, 1);
    send_numbers(&channel, 1, 2, 2);
    recv_numbers(channel.rx[0], 1, 2);
    recv_numbers(channel.rx[1], 1, 2);
    channel_end(&channel);
    return 0;
}

/* ---- what is refused ------------------------------------------------------------------------- */

TEST(bad_arguments)
{
    skua_broadcast_sender *tx = NULL;

    CHECK_EQ(skua_broadcast_new(&tx, 0, 1), -EINVAL);
    CHECK_EQ(skua_broadcast_new(&tx, 8, 0), -EINVAL);
    CHECK_EQ(skua_broadcast_new(&tx, ((size_t)1 << 20) + 1, 1), -EINVAL);
    CHECK_EQ(skua_broadcast_new(&tx, 1, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_broadcast_new(&tx, 8, SIZE_MAX / 8), -EINVAL);
    CHECK_EQ(skua_broadcast_new(&tx, (size_t)1 << 20, SIZE_MAX / 8), -EINVAL);
    CHECK(tx == NULL);
    skua_broadcast_receiver_close(NULL);
}

#ifdef SKUA_FAULTS
static void fail_next_allocation(void)
{
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
}

TEST(no_memory)
{
    struct channel channel = {NULL, {NULL}};

    fail_next_allocation();
    CHECK_EQ(skua_broadcast_new(&channel.tx, 8, 4), -ENOMEM);
    CHECK(channel.tx == NULL);
    channel = channel_of(4, 1);
    fail_next_allocation();
    CHECK_EQ(skua_broadcast_subscribe(channel.tx, &channel.rx[1]), -ENOMEM);
    fail_next_allocation();
    CHECK_EQ(skua_broadcast_resubscribe(channel.rx[0], &channel.rx[1]), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK(channel.rx[1] == NULL);
    send_numbers(&channel, 0, 1, 1); /* those that were not made do not count */
    recv_numbers(channel.rx[0], 0, 1);
    channel_end(&channel);
}
#endif

/* ---- stress ---------------------------------------------------------------------------------- */

enum { SPEAKERS = 3, HEARERS = 6, CAPACITY = 16 };

struct word {
    uint64_t speaker;
    uint64_t number;
    uint64_t check; /* a torn one does not fit */
};

struct forum {
    skua_broadcast_sender *tx;
    int64_t end;
    atomic_ullong sent; /* by all that have ended */
};

static int speaks(void *arg)
{
    static atomic_ullong names;
    struct forum *forum = arg;
    struct word word = {atomic_fetch_add(&names, 1) % SPEAKERS, 0, 0};
    uint64_t random = 9 + word.speaker;

    while (skua_now() < forum->end) {
        for (uint64_t burst = test_random(&random) % (2 * CAPACITY); burst != 0; burst--) {
            word.check = ++word.number * 3 + word.speaker;
            CHECK(skua_broadcast_send(forum->tx, &word) >= HEARERS);
        }
        (void)skua_yield();
    }
    atomic_fetch_add(&forum->sent, word.number);
    skua_broadcast_sender_close(forum->tx);
    return 0;
}

static void *thread_speaks(void *arg)
{
    return (void *)(intptr_t)speaks(arg);
}

struct hearer {
    skua_broadcast_receiver *rx;
    bool hurry; /* its waits end soon, too */
    struct word word;
    uint64_t last[SPEAKERS]; /* of each speaker: the newest number */
    uint64_t heard, missed;
    atomic_int done;
};

/* False when there is no more to come. */
static bool hears(struct hearer *self, int64_t rc)
{
    const struct word *word = &self->word;

    if (rc == SKUA_ELAGGED) {
        CHECK(skua_broadcast_lag(self->rx) > 0);
        self->missed += skua_broadcast_lag(self->rx);
    } else if (rc == 0 && CHECK(word->speaker < SPEAKERS)) {
        CHECK_EQ(word->check, word->number * 3 + word->speaker);
        CHECK(word->number > self->last[word->speaker]);
        self->last[word->speaker] = word->number;
        self->heard++;
    } else if (rc != -ETIMEDOUT) {
        CHECK_EQ(rc, SKUA_ECLOSED);
        atomic_store(&self->done, 1);
        return false;
    }
    return true;
}

static int hears_all(void *arg)
{
    struct hearer *self = arg;
    int64_t until;

    do {
        until = self->hurry ? skua_now() + 20 * SKUA_MICROSECOND : SKUA_FOREVER;
    } while (hears(self, skua_broadcast_recv_until(self->rx, &self->word, until)));
    return 0;
}

static void *thread_hears(void *arg)
{
    return (void *)(intptr_t)hears_all(arg);
}

static skua_poll hears_in_poll_task(void *state, skua_waker *waker)
{
    struct polled *self = state;
    struct hearer *hearer = self->who;

    SKUA_ASYNC(self, waker);
    do {
        SKUA_AWAIT_TO(self->rc, skua_broadcast_recv_init(&self->recv, hearer->rx, &hearer->word));
    } while (hears(hearer, self->rc));
    SKUA_ASYNC_END(0);
}

/* Comes and goes while others speak: what it gets is in order, from wherever it came in. */
static int drops_in(void *arg)
{
    struct forum *forum = arg;

    while (skua_now() < forum->end) {
        struct hearer hearer = {.hurry = true};

        MUST(skua_broadcast_subscribe(forum->tx, &hearer.rx) == 0);
        for (int i = 0; i < 5; i++)
            (void)hears(&hearer, skua_broadcast_recv_until(hearer.rx, &hearer.word,
                                                           skua_now() + SKUA_MICROSECOND));
        skua_broadcast_receiver_close(hearer.rx);
    }
    skua_broadcast_sender_close(forum->tx);
    return 0;
}

static void start_hearers(struct hearer *hearers, skua_scope *scope, pthread_t *threads)
{
    for (int i = 0; i < HEARERS; i++) {
        struct polled polled = {.who = &hearers[i]};

        hearers[i].hurry = i % 2 != 0;
        if (i < 2)
            MUST(pthread_create(&threads[i], NULL, thread_hears, &hearers[i]) == 0);
        else if (i < 4)
            MUST(skua_spawn(scope, hears_all, &hearers[i]) == 0);
        else
            MUST(skua_spawn_poll(scope, hears_in_poll_task, &polled) == 0);
    }
}

static int forum_day(void *arg)
{
    struct forum *forum = arg;
    struct hearer hearers[HEARERS] = {{0}};
    skua_scope scope;
    pthread_t threads[3];

    for (int i = 0; i < HEARERS; i++)
        MUST(skua_broadcast_subscribe(forum->tx, &hearers[i].rx) == 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    start_hearers(hearers, &scope, threads);
    for (int i = 0; i < SPEAKERS; i++)
        (void)skua_broadcast_sender_clone(forum->tx);
    MUST(pthread_create(&threads[2], NULL, thread_speaks, forum) == 0);
    for (int i = 1; i < SPEAKERS; i++)
        MUST(skua_spawn(&scope, speaks, forum) == 0);
    MUST(skua_spawn(&scope, drops_in, forum) == 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < HEARERS; i++) {
        CHECK_EQ(atomic_load(&hearers[i].done), 1);
        CHECK_EQ(hearers[i].heard + hearers[i].missed, atomic_load(&forum->sent));
        skua_broadcast_receiver_close(hearers[i].rx);
    }
    test_note("%llu sent; heard %llu (thread), %llu (fiber), %llu (poll task)",
              (unsigned long long)forum->sent, (unsigned long long)hearers[0].heard,
              (unsigned long long)hearers[2].heard, (unsigned long long)hearers[4].heard);
    return 0;
}

TEST(all_hear_the_same_or_learn_what_they_missed)
{
    int64_t time = test_stress_time(1) / TEST_KINDS;

    for (int kind = 0; kind < TEST_KINDS; kind++) {
        skua_runtime *runtime = test_runtime(&test_kinds[kind]);
        struct forum forum = {.end = skua_now() + time};

        MUST(skua_broadcast_new(&forum.tx, sizeof(struct word), CAPACITY) == 0);
        test_run(runtime, forum_day, &forum);
        test_runtime_free(runtime);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_every_message),
        cmocka_unit_test(subscriber_gets_what_comes_later),
        cmocka_unit_test(message_for_nobody_is_not_kept),
        cmocka_unit_test(messages_of_any_size),
        cmocka_unit_test(receiver_that_fell_behind_is_told),
        cmocka_unit_test(lag_is_told_as_often_as_it_comes),
        cmocka_unit_test(capacity_is_rounded_up),
        cmocka_unit_test(last_sender_closes_the_channel),
        cmocka_unit_test(one_send_ends_all_waits),
        cmocka_unit_test(tasks_that_share_a_receiver_share_its_messages),
        cmocka_unit_test(cancelled_receive_loses_nothing),
        cmocka_unit_test(cancelled_task_receives_no_more),
        cmocka_unit_test(dropped_future_has_received_nothing),
        cmocka_unit_test(bad_arguments),
#ifdef SKUA_FAULTS
        cmocka_unit_test(no_memory),
#endif
        cmocka_unit_test(all_hear_the_same_or_learn_what_they_missed),
    };

    return TEST_MAIN(tests);
}
