/* drivers: both */
/* test_tcp_race.c - a socket that somebody closes while somebody else begins to use it, and events
 * that come too late or too early.
 *
 * Specifies net.h: closing is allowed at any moment, ends every use with SKUA_ECLOSED, and never
 * lets one touch the next connection. The delays that make the races certain are put in by the
 * test: a driver whose `watch` is slow, an event told by hand.
 */
#include <pthread.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "net/net_impl.h"

/* ---- close while the wait begins ------------------------------------------------------------- */

static struct {
    struct skua__driver_ops ops;
    int (*watch)(struct skua__driver *driver, struct skua__source *source, unsigned direction);
    struct skua__source *source; /* of the slow one */
    atomic_int inside;
} slow;

static int slow_watch(struct skua__driver *driver, struct skua__source *source, unsigned direction)
{
    if (source == slow.source && direction == SKUA__READ) {
        atomic_store(&slow.inside, 1);
        test_thread_sleep(MS(50));
    }
    return slow.watch(driver, source, direction);
}

struct slow_reader {
    skua_tcp *tcp;
    skua_tcp_future read;
    char byte;
    bool begun;
    int64_t answer;
};

/* A poll task: a fiber on io_uring lends its buffer instead of watching. */
static skua_poll slow_reader_poll(void *state, skua_waker *waker)
{
    struct slow_reader *self = *(struct slow_reader **)state;
    struct skua__driver *driver = skua__thread_self()->driver;

    if (!self->begun) {
        slow.ops = *driver->ops;
        slow.watch = slow.ops.watch;
        slow.ops.watch = slow_watch;
        driver->ops = &slow.ops;
        skua_tcp_read_init(&self->read, self->tcp, &self->byte, 1);
        self->begun = true;
    }
    self->answer = skua_future_poll(&self->read.future, waker);
    return self->answer == SKUA_PENDING ? SKUA_PENDING : SKUA_READY;
}

TEST(close_while_a_read_begins_to_wait)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct slow_reader reader = {.begun = false};
    struct slow_reader *state = &reader;
    skua_task *handle;
    skua_tcp *peer;
    char byte;

    test_tcp_pair(&reader.tcp, &peer);
    atomic_store(&slow.inside, 0);
    slow.source = &skua__tcp_stream(reader.tcp)->source;
    MUST(skua_spawn_poll(skua_runtime_scope(runtime), slow_reader_poll, &state, .task = &handle) ==
         0);
    while (!atomic_load(&slow.inside))
        continue;
    CHECK_EQ(skua_tcp_close(reader.tcp), 0);
    CHECK_EQ(skua_task_join(handle, NULL), 0);
    CHECK_EQ(reader.answer, SKUA_ECLOSED);
    /* Nothing keeps the descriptor open: the peer sees the end. */
    CHECK_EQ(skua_tcp_read_until(peer, &byte, 1, skua_now() + TEST_LATE), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
    slow.source = NULL;
    test_runtime_free(runtime);
}

/* ---- close while it is used, and the slot used again ----------------------------------------- */

struct churn {
    skua_listener *listener;
    char address[SKUA_ADDRESS_MAX];
    _Atomic(skua_tcp *) victim; /* what the writer is to begin a write on; NULL: nothing yet */
    atomic_int begun;           /* it has begun: the future is made */
    atomic_int end;
};

/* Writes "ssss" (secrets) to the victim, which is closed at about the same time. */
static int writes_secrets(void *arg)
{
    struct churn *churn = arg;

    while (!atomic_load(&churn->end)) {
        skua_tcp *victim = atomic_exchange(&churn->victim, NULL);
        skua_tcp_future write;

        if (victim == NULL)
            continue;
        skua_tcp_write_init(&write, victim, "ssss", 4);
        atomic_store(&churn->begun, 1);
        (void)skua_await(&write.future);
    }
    return 0;
}

/* What the next connection in the slot hears must be its own. */
static void churn_round(struct churn *churn, int round)
{
    skua_tcp *client;
    skua_tcp *served;
    skua_tcp *next_client;
    skua_tcp *next;
    char byte = 0;

    MUST(skua_tcp_connect(&client, churn->address, NULL) == 0);
    MUST(skua_tcp_accept(churn->listener, &served) == 0);
    MUST(skua_tcp_connect(&next_client, churn->address, NULL) == 0);
    atomic_store(&churn->begun, 0);
    atomic_store(&churn->victim, served);
    while (!atomic_load(&churn->begun))
        continue;
    for (volatile int i = 0; i < round % 300; i++)
        continue;
    CHECK_EQ(skua_tcp_close(served), 0);
    MUST(skua_tcp_accept(churn->listener, &next) == 0);
    MUST(skua_tcp_write(next, "n", 1) == 1);
    CHECK_EQ(skua_tcp_read(next_client, &byte, 1), 1);
    CHECK_EQ(byte, 'n');
    CHECK_EQ(skua_tcp_close(next), 0);
    CHECK_EQ(skua_tcp_close(client), 0);
    CHECK_EQ(skua_tcp_close(next_client), 0);
}

/* The write may come first or be refused: but a byte for the old connection must not reach the next
 * one, whose slot and descriptor are the same. */
TEST(close_while_a_write_begins)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct churn churn = {.end = 0};
    int64_t end = skua_now() + test_stress_time(2);
    skua_task *writer;
    int round = 0;

    churn.listener = test_listen(churn.address);
    MUST(skua_spawn_on(runtime, writes_secrets, &churn, .task = &writer) == 0);
    for (; skua_now() < end && test_failures() == 0; round++)
        churn_round(&churn, round);
    atomic_store(&churn.end, 1);
    CHECK_EQ(skua_task_join(writer, NULL), 0);
    CHECK_EQ(skua_listener_close(churn.listener), 0);
    test_note("%d rounds", round);
    test_runtime_free(runtime);
}

/* ---- an event of the slot's last socket ------------------------------------------------------ */

static int beats(void *arg)
{
    while (skua_sleep(MS(1)) == 0)
        atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

TEST_FIBER(late_hangup_of_another_socket_is_no_livelock)
{
    atomic_int heart = 0;
    skua_task *handle;
    skua_tcp *a;
    skua_tcp *b;
    char byte;

    test_tcp_pair(&a, &b);
    MUST(skua_spawn(NULL, beats, &heart, .task = &handle) == 0);
    skua__source_tell(&skua__tcp_stream(a)->source, SKUA__READABLE | SKUA__HANGUP);
    do
        CHECK_EQ(skua_tcp_read_until(a, &byte, 1, skua_now() + MS(100)), -ETIMEDOUT);
    while (atomic_load(&heart) <= 5);
    /* A true one is still seen. */
    CHECK_EQ(skua_tcp_write(b, "x", 1), 1);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_tcp_read(a, &byte, 1), 1);
    CHECK_EQ(skua_tcp_read(a, &byte, 1), 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_task_cancel(handle), 0);
    CHECK_EQ(skua_task_join(handle, NULL), 0);
    return 0;
}

/* ---- a socket that outlives the runtime that watched it -------------------------------------- */

struct mover {
    skua_tcp *a;
    skua_tcp *b;
    int64_t got;
};

static int reads_in_vain(void *arg)
{
    struct mover *mover = arg;
    char byte;

    CHECK_EQ(skua_tcp_read_until(mover->a, &byte, 1, skua_now() + MS(5)), -ETIMEDOUT);
    return 0;
}

static int reads_elsewhere(void *arg)
{
    struct mover *mover = arg;
    char byte;

    mover->got = skua_tcp_read_until(mover->a, &byte, 1, skua_now() + 4 * TEST_LATE);
    return 0;
}

TEST(socket_is_watched_on_when_its_first_runtime_ends)
{
    for (int kind = 0; kind < 2; kind++) { /* the first: current-thread, or one worker */
        skua_runtime *first = test_runtime(&test_kinds[kind]);
        skua_runtime *second = test_runtime(&test_kinds[1]);
        struct mover mover = {.got = 0};
        skua_task *handle;

        test_tcp_pair(&mover.a, &mover.b);
        test_run(first, reads_in_vain, &mover);
        MUST(skua_spawn_on(second, reads_elsewhere, &mover, .task = &handle) == 0);
        test_until_parked(handle, "tcp.read");
        test_runtime_free(first);
        CHECK_EQ(skua_tcp_write(mover.b, "x", 1), 1);
        CHECK_EQ(skua_task_join(handle, NULL), 0);
        CHECK_EQ(mover.got, 1);
        CHECK_EQ(skua_tcp_close(mover.a), 0);
        CHECK_EQ(skua_tcp_close(mover.b), 0);
        test_runtime_free(second);
    }
}

/* ---- use of a half that may not ----------------------------------------------------------------
 */

static skua_poll poll_reads_from_the_writer(void *state, skua_waker *waker)
{
    skua_tcp *writer = *(skua_tcp **)state;
    skua_tcp_future read;
    char byte;

    skua_tcp_read_init(&read, writer, &byte, 1);
    CHECK_EQ(skua_future_poll(&read.future, waker), SKUA_EUSAGE);
    skua_tcp_write_init(&read, writer, &byte, 0);
    CHECK_EQ(skua_future_poll(&read.future, waker), 0);
    return SKUA_READY;
}

TEST_FIBER(poll_task_may_not_read_from_the_writing_half)
{
    skua_tcp *a;
    skua_tcp *b;
    skua_tcp *reader;
    skua_tcp *writer;
    skua_task *handle;

    test_tcp_pair(&a, &b);
    MUST(skua_tcp_split(a, &reader, &writer) == 0);
    MUST(skua_spawn_poll(NULL, poll_reads_from_the_writer, &writer, .task = &handle) == 0);
    CHECK_EQ(skua_task_join(handle, NULL), 0);
    CHECK_EQ(skua_tcp_close(writer), 0);
    CHECK_EQ(skua_tcp_close(reader), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_while_a_read_begins_to_wait),
        cmocka_unit_test(close_while_a_write_begins),
        cmocka_unit_test(late_hangup_of_another_socket_is_no_livelock),
        cmocka_unit_test(socket_is_watched_on_when_its_first_runtime_ends),
        cmocka_unit_test(poll_task_may_not_read_from_the_writing_half),
    };

    return TEST_MAIN(tests);
}
