/* drivers: both */
/* test_udp_end.c - how waits on datagram sockets end otherwise: cancelled, late, busy, closed.
 *
 * Specifies udp.h: a receive that was cancelled or timed out has received nothing, a second
 * receiver is busy, a close from anywhere ends every use and never lets one touch the next socket
 * in the slot, no descriptor is left, and a failing system call is told as it is.
 */
#include <pthread.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"
#include "os/os.h"

static skua_udp *bound(skua_address *address)
{
    skua_udp *udp = NULL;

    MUST(skua_udp_bind(&udp, "127.0.0.1:0", NULL) == 0);
    MUST(skua_udp_local_address(udp, address) == 0);
    return udp;
}

static void udp_pair(skua_udp **a, skua_udp **b)
{
    skua_address at_a, at_b;

    *a = bound(&at_a);
    *b = bound(&at_b);
    MUST(skua_udp_connect(*a, &at_b) == 0);
    MUST(skua_udp_connect(*b, &at_a) == 0);
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- cancelled and late ---------------------------------------------------------------------- */

struct waiting {
    skua_udp *udp;
    char buf[64];
    int64_t deadline;
    int64_t answer;
};

static int receives(void *arg)
{
    struct waiting *self = arg;

    return (int)skua_udp_recv_from_until(self->udp, self->buf, sizeof self->buf, NULL,
                                         self->deadline);
}

TEST_FIBER(udp_cancelled_receive_has_received_nothing)
{
    struct waiting self = {.deadline = SKUA_FOREVER};
    char buf[64];
    skua_task *task;
    skua_udp *peer;

    udp_pair(&self.udp, &peer);
    for (int i = 0; i < 10; i++) {
        memset(self.buf, 'z', sizeof self.buf);
        MUST(skua_spawn(NULL, receives, &self, .task = &task) == 0);
        test_until_parked(task, "udp.recv");
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), -ECANCELED);
        CHECK_EQ(skua_udp_send(peer, "abc", 3), 3);
        CHECK_EQ(skua_udp_recv(self.udp, buf, sizeof buf), 3);
        CHECK_EQ(self.buf[0], 'z');
    }
    CHECK_EQ(skua_udp_close(self.udp), 0);
    CHECK_EQ(skua_udp_close(peer), 0);
    return 0;
}

TEST_FIBER(udp_late_receive_has_received_nothing)
{
    struct waiting self = {.deadline = 0};
    skua_deadline frame;
    skua_udp *peer;
    char buf[8];
    int64_t begin = skua_now();

    udp_pair(&self.udp, &peer);
    self.deadline = begin + MS(5);
    CHECK_EQ(receives(&self), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    MUST(skua_deadline_begin(&frame, skua_now() + MS(5)) == 0);
    CHECK_EQ(skua_udp_recv(self.udp, buf, 8), -ETIMEDOUT);
    CHECK_EQ(skua_udp_readable(self.udp), -ETIMEDOUT);
    CHECK_EQ(skua_udp_peek_from(self.udp, buf, 8, NULL), -ETIMEDOUT);
    MUST(skua_deadline_end(&frame) == 0);
    CHECK_EQ(skua_udp_send(peer, "abc", 3), 3);
    CHECK_EQ(skua_udp_recv(self.udp, buf, 8), 3);
    CHECK_EQ(skua_udp_close(self.udp), 0);
    CHECK_EQ(skua_udp_close(peer), 0);
    return 0;
}

TEST(udp_late_on_a_thread)
{
    struct waiting self = {.deadline = 0};
    skua_udp *peer;
    int64_t begin;

    udp_pair(&self.udp, &peer);
    begin = skua_now();
    self.deadline = begin + MS(5);
    CHECK_EQ(receives(&self), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(skua_udp_close(self.udp), 0);
    CHECK_EQ(skua_udp_close(peer), 0);
}

/* Data and cancel come together: each datagram is received once, in order, or stays. */
struct race {
    skua_udp *udp;
    uint32_t next;
};

static int receives_until_cancelled(void *arg)
{
    struct race *self = arg;
    uint32_t number;

    for (;;) {
        ssize_t n = skua_udp_recv(self->udp, &number, sizeof number);

        if (n < 0)
            return (int)n;
        CHECK_EQ(number, self->next);
        self->next++;
    }
}

static void takes_the_rest(struct race *self)
{
    uint32_t number;

    while (skua_udp_try_recv_from(self->udp, &number, sizeof number, NULL) > 0) {
        CHECK_EQ(number, self->next);
        self->next++;
    }
}

TEST_FIBER(udp_cancel_races_the_data)
{
    struct race race = {.next = 0};
    uint64_t random = test_seed();
    uint32_t sent = 0;
    skua_udp *peer;
    int rounds = TEST_COUNT(500);

    udp_pair(&race.udp, &peer);
    for (int i = 0; i < rounds; i++) {
        skua_task *task;

        MUST(skua_spawn(NULL, receives_until_cancelled, &race, .task = &task) == 0);
        for (uint64_t spins = test_random(&random) % 3; spins > 0; spins--)
            skua_yield();
        CHECK_EQ(skua_udp_send(peer, &sent, sizeof sent), sizeof sent);
        sent++;
        for (uint64_t spins = test_random(&random) % 4; spins > 0; spins--)
            skua_yield();
        skua_task_cancel(task);
        CHECK_EQ(finish(task), -ECANCELED);
        if (sent - race.next > 50) /* before the kernel has no room for more */
            takes_the_rest(&race);
    }
    takes_the_rest(&race);
    CHECK_EQ(race.next, sent);
    CHECK_EQ(skua_udp_close(race.udp), 0);
    CHECK_EQ(skua_udp_close(peer), 0);
    return 0;
}

/* ---- busy ------------------------------------------------------------------------------------ */

TEST_FIBER(udp_second_receiver_is_busy)
{
    struct waiting self = {.deadline = SKUA_FOREVER};
    skua_task *task;
    skua_udp *peer;
    char byte;

    udp_pair(&self.udp, &peer);
    MUST(skua_spawn(NULL, receives, &self, .task = &task) == 0);
    test_until_parked(task, "udp.recv");
    CHECK_EQ(skua_udp_recv(self.udp, &byte, 1), -EBUSY);
    CHECK_EQ(skua_udp_readable(self.udp), -EBUSY);
    CHECK_EQ(skua_udp_send(self.udp, "x", 1), 1); /* sending is another matter */
    CHECK_EQ(skua_udp_send(peer, "x", 1), 1);
    CHECK_EQ(finish(task), 1);
    CHECK_EQ(skua_udp_close(self.udp), 0);
    CHECK_EQ(skua_udp_close(peer), 0);
    return 0;
}

/* ---- closed ---------------------------------------------------------------------------------- */

static void *receives_thread(void *arg)
{
    struct waiting *self = arg;

    self->answer = receives(self);
    return NULL;
}

TEST_FIBER(udp_close_ends_the_waits)
{
    int fds = test_fd_count();
    struct waiting self = {.deadline = SKUA_FOREVER}, other = {.deadline = SKUA_FOREVER};
    skua_address at;
    pthread_t thread;
    skua_task *task;
    char byte;

    self.udp = bound(&at);
    other.udp = bound(&at);
    MUST(skua_spawn(NULL, receives, &self, .task = &task) == 0);
    MUST(pthread_create(&thread, NULL, receives_thread, &other) == 0);
    test_until_parked(task, "udp.recv");
    test_until_udp_read(other.udp);
    CHECK_EQ(skua_udp_close(self.udp), 0);
    CHECK_EQ(skua_udp_close(other.udp), 0);
    CHECK_EQ(finish(task), SKUA_ECLOSED);
    pthread_join(thread, NULL);
    CHECK_EQ(other.answer, SKUA_ECLOSED);
    CHECK_EQ(skua_udp_recv(self.udp, &byte, 1), SKUA_ECLOSED);
    skua_sleep(MS(5)); /* a ring lets go of a descriptor at its next turn */
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

/* Nothing that a wait has armed outlives the socket: its port is free again. */
TEST_FIBER(udp_close_frees_the_port)
{
    char name[SKUA_ADDRESS_MAX];
    skua_address at;
    skua_udp *udp = bound(&at);
    struct waiting self = {.udp = udp, .deadline = skua_now() + MS(3)};
    int rc;

    CHECK_EQ(receives(&self), -ETIMEDOUT);
    CHECK_EQ(skua_address_format(&at, name, sizeof name), 0);
    CHECK_EQ(skua_udp_bind(&udp, name, NULL), -EADDRINUSE);
    CHECK_EQ(skua_udp_close(udp), 0);
    for (int i = 0; (rc = skua_udp_bind(&udp, name, NULL)) == -EADDRINUSE && i < 1000; i++)
        skua_sleep(MS(1));
    CHECK_EQ(rc, 0);
    CHECK_EQ(skua_udp_close(udp), 0);
    return 0;
}

/* What was begun on a socket that is closed by now is not done to the next one in its slot. */
TEST_FIBER(udp_futures_of_another_life)
{
    skua_address at, sink_at;
    skua_udp *udp = bound(&at), *sink = bound(&sink_at), *next;
    skua_udp_future send, recv;
    char buf[8];

    skua_udp_send_init(&send, udp, "secret", 6, &sink_at);
    skua_udp_recv_init(&recv, udp, buf, sizeof buf, NULL);
    CHECK_EQ(skua_udp_close(udp), 0);
    next = bound(&at);
    CHECK(next == udp); /* the slot is used again */
    CHECK_EQ(skua_udp_send_to(sink, "mine", 4, &at), 4);
    CHECK_EQ(skua_await(&send.future), SKUA_ECLOSED);
    CHECK_EQ(skua_await(&recv.future), SKUA_ECLOSED);
    CHECK_EQ(skua_udp_try_recv_from(sink, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_EQ(skua_udp_recv(next, buf, sizeof buf), 4);
    CHECK_EQ(skua_udp_close(next), 0);
    CHECK_EQ(skua_udp_close(sink), 0);
    return 0;
}

/* A socket is closed while others begin to receive, to send and to look at it. What the next one
 * in the slot hears is its own. */
struct churn {
    _Atomic(skua_udp *) victim;
    atomic_int end;
    skua_address to;
};

static int uses(void *arg)
{
    struct churn *churn = arg;
    char buf[16];

    while (!atomic_load(&churn->end)) {
        skua_udp *victim = atomic_load(&churn->victim);
        ssize_t n;

        if (victim == NULL) {
            skua_yield();
            continue;
        }
        n = skua_udp_try_send_to(victim, "ssss", 4, &churn->to);
        CHECK(n == 4 || n == SKUA_ECLOSED || n == -EAGAIN);
        n = skua_udp_recv_from_until(victim, buf, sizeof buf, NULL, skua_now() + MS(2));
        if (n != SKUA_ECLOSED && n != -ETIMEDOUT && n != -EBUSY)
            CHECK_EQ(n, 1);
        skua_yield();
    }
    return 0;
}

static void *uses_thread(void *arg)
{
    uses(arg);
    return NULL;
}

TEST(udp_close_races_every_use)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    int fds = test_fd_count();
    int64_t end = skua_now() + test_stress_time(1);
    struct churn churn = {.end = 0};
    skua_udp *sink = bound(&churn.to);
    skua_task *tasks[2];
    pthread_t thread;
    int rounds = 0;

    for (int i = 0; i < 2; i++)
        MUST(skua_spawn(skua_runtime_scope(runtime), uses, &churn, .task = &tasks[i]) == 0);
    MUST(pthread_create(&thread, NULL, uses_thread, &churn) == 0);
    while (skua_now() < end) {
        skua_address at;
        skua_udp *udp = bound(&at);

        atomic_store(&churn.victim, udp);
        if (rounds % 3 == 0)
            (void)skua_udp_send_to(sink, "x", 1, &at);
        for (volatile int i = 0; i < rounds % 5000; i++)
            continue;
        CHECK_EQ(skua_udp_close(udp), 0);
        rounds++;
    }
    atomic_store(&churn.end, 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_udp_close(sink), 0);
    CHECK(rounds > 10);
    test_note("%d rounds", rounds);
    CHECK_EQ(test_fd_settle(fds), fds);
    test_runtime_free(runtime);
}

/* Closed by another worker at the moment at which a receive begins to wait, over and over. */
static int closes(void *arg)
{
    skua_yield();
    return skua_udp_close(arg);
}

TEST_FIBER(udp_close_races_a_receive)
{
    int fds = test_fd_count();
    int rounds = TEST_COUNT(500);

    for (int i = 0; i < rounds; i++) {
        struct waiting self = {.deadline = SKUA_FOREVER};
        skua_address at;
        skua_task *task, *closer;

        self.udp = bound(&at);
        MUST(skua_spawn(NULL, receives, &self, .task = &task) == 0);
        MUST(skua_spawn(NULL, closes, self.udp, .task = &closer) == 0);
        CHECK_EQ(finish(task), SKUA_ECLOSED);
        CHECK_EQ(finish(closer), 0);
    }
    skua_sleep(MS(5));
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

/* ---- failed ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS

/* On a plain thread: no worker beside it is hit instead. */
TEST(udp_injected_errors_are_told)
{
    skua_udp_message message = {.buf = "x", .len = 1};
    skua_udp *a, *b;
    char byte;

    udp_pair(&a, &b);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ENOBUFS);
    CHECK_EQ(skua_udp_try_send_to(a, "x", 1, NULL), -ENOBUFS);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ENOMEM);
    CHECK_EQ(skua_udp_try_recv_from(b, &byte, 1, NULL), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EPERM);
    CHECK_EQ(skua_udp_send_many(a, &message, 1), -EPERM);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EIO);
    CHECK_EQ(skua_udp_recv_many(b, &message, 1), -EIO);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EINTR);
    CHECK_EQ(skua_udp_set_broadcast(a, 1), -EINTR);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(skua_udp_send(a, "x", 1), 1);
    CHECK_EQ(skua_udp_recv(b, &byte, 1), 1);
    CHECK_EQ(skua_udp_close(a), 0);
    CHECK_EQ(skua_udp_close(b), 0);
}

/* Whatever fails while a socket is made, none is left and nothing is written. */
TEST(udp_bind_fails_cleanly)
{
    static const enum skua__fault kinds[] = {SKUA__FAULT_MALLOC, SKUA__FAULT_SYSCALL};
    skua_udp *untouched = (skua_udp *)8;
    skua_udp *held[64];
    skua_address at;
    int fds, rc;

    for (size_t i = 0; i < TEST_LEN(held); i++) /* empties the free list, which needs no memory */
        held[i] = bound(&at);
    fds = test_fd_count();
    for (size_t kind = 0; kind < TEST_LEN(kinds); kind++)
        for (unsigned n = 1;; n++) {
            skua_udp *udp = untouched;

            skua__fault_arm(kinds[kind], n, 1, kind == 0 ? ENOMEM : ENOBUFS);
            rc =
                skua_udp_bind(&udp, "*:0",
                              SKUA_UDP_OPTIONS(.reuse_port = 1, .reuse_address = 1, .broadcast = 1,
                                               .ttl = 9, .recv_buffer = 9000, .send_buffer = 9000));
            skua__fault_arm(kinds[kind], 0, 0, 0);
            if (rc == 0) {
                CHECK(kind == 0 || n > 9);
                CHECK_EQ(skua_udp_close(udp), 0);
                break;
            }
            CHECK_EQ(rc, kind == 0 ? -ENOMEM : -ENOBUFS);
            CHECK(udp == untouched);
            CHECK_EQ(test_fd_count(), fds);
        }
    for (size_t i = 0; i < TEST_LEN(held); i++)
        CHECK_EQ(skua_udp_close(held[i]), 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_cancelled_receive_has_received_nothing),
        cmocka_unit_test(udp_late_receive_has_received_nothing),
        cmocka_unit_test(udp_late_on_a_thread),
        cmocka_unit_test(udp_cancel_races_the_data),
        cmocka_unit_test(udp_second_receiver_is_busy),
        cmocka_unit_test(udp_close_ends_the_waits),
        cmocka_unit_test(udp_close_frees_the_port),
        cmocka_unit_test(udp_futures_of_another_life),
        cmocka_unit_test(udp_close_races_every_use),
        cmocka_unit_test(udp_close_races_a_receive),
#ifdef SKUA_FAULTS
        cmocka_unit_test(udp_injected_errors_are_told),
        cmocka_unit_test(udp_bind_fails_cleanly),
#endif
    };

    return TEST_MAIN(tests);
}
