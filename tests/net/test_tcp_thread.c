/* drivers: both */
/* test_tcp_thread.c - plain threads use the same calls on the same sockets.
 *
 * Specifies net.h for threads: listening, accepting, connecting, reading and writing without any
 * runtime; then one end on a thread and the other on a fiber; closing and splitting across them.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"

static void *echoes_on_a_thread(void *arg)
{
    skua_tcp *tcp = arg;
    char buf[5000];
    ssize_t n;

    while ((n = skua_tcp_read(tcp, buf, sizeof buf)) > 0)
        if ((n = skua_tcp_write_all(tcp, buf, (size_t)n)) < 0)
            break;
    CHECK_EQ(n, 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return NULL;
}

static void *pours_on_a_thread(void *arg)
{
    char buf[3000];

    for (size_t at = 0; at < 900000; at += sizeof buf) {
        test_pattern_fill(buf, sizeof buf, at);
        CHECK_EQ(skua_tcp_write_all(arg, buf, sizeof buf), sizeof buf);
    }
    CHECK_EQ(skua_tcp_shutdown(arg), 0);
    return NULL;
}

static size_t reads_pattern(skua_tcp *tcp)
{
    size_t seen = 0;
    char buf[7000];
    ssize_t n;

    while ((n = skua_tcp_read(tcp, buf, sizeof buf)) > 0) {
        if (!CHECK(test_pattern_ok(buf, (size_t)n, seen)))
            break;
        seen += (size_t)n;
    }
    CHECK_EQ(n, 0);
    return seen;
}

TEST(tcp_thread_without_a_runtime)
{
    skua_tcp *a, *b;
    pthread_t echo, pour;

    test_tcp_pair(&a, &b);
    MUST(pthread_create(&echo, NULL, echoes_on_a_thread, b) == 0);
    MUST(pthread_create(&pour, NULL, pours_on_a_thread, a) == 0);
    CHECK_EQ(reads_pattern(a), 900000);
    pthread_join(echo, NULL);
    pthread_join(pour, NULL);
    CHECK_EQ(skua_tcp_close(a), 0);
}

static int echo_fiber(void *arg)
{
    echoes_on_a_thread(arg);
    return 0;
}

/* The thread's socket was made by the thread, the fiber's end by the thread as well. */
TEST(tcp_thread_talks_to_a_fiber)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        skua_task *task;
        pthread_t pour;
        skua_tcp *a, *b;

        test_tcp_pair(&a, &b);
        MUST(skua_spawn_on(runtime, echo_fiber, b, .task = &task) == 0);
        MUST(pthread_create(&pour, NULL, pours_on_a_thread, a) == 0);
        CHECK_EQ(reads_pattern(a), 900000);
        pthread_join(pour, NULL);
        CHECK_EQ(skua_task_join(task, NULL), 0);
        CHECK_EQ(skua_tcp_close(a), 0);
        test_runtime_free(runtime);
    }
}

struct handover {
    skua_tcp *a, *b;
};

static int talks_on_a_fiber(void *arg)
{
    struct handover *self = arg;
    char buf[8];

    if (!self->a)
        test_tcp_pair(&self->a, &self->b);
    CHECK_EQ(skua_tcp_read_until(self->a, buf, 8, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_tcp_write_all(self->b, "fiber", 5), 5);
    CHECK_EQ(skua_tcp_read(self->a, buf, 8), 5);
    return 0;
}

/* A socket wanders: thread, fiber of one runtime, thread; each runtime is gone before the next. */
TEST(tcp_thread_hands_a_socket_around)
{
    struct handover self = {NULL, NULL};
    char buf[8];

    for (int i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);

        test_run(runtime, talks_on_a_fiber, &self);
        CHECK_EQ(skua_tcp_read_until(self.a, buf, 8, skua_now() + MS(2)), -ETIMEDOUT);
        CHECK_EQ(skua_tcp_write_all(self.b, "thread", 6), 6);
        CHECK_EQ(skua_tcp_read(self.a, buf, 8), 6);
        test_runtime_free(runtime);
        CHECK_EQ(skua_tcp_write_all(self.b, "after", 5), 5);
        CHECK_EQ(skua_tcp_read(self.a, buf, 8), 5);
    }
    CHECK_EQ(skua_tcp_close(self.a), 0);
    CHECK_EQ(skua_tcp_close(self.b), 0);
}

/* ---- closing from another thread ------------------------------------------------------------- */

struct waiting {
    skua_tcp *tcp;
    skua_listener *listener;
    int64_t limit, read, accepted;
};

static void *reads_on_a_thread(void *arg)
{
    struct waiting *self = arg;
    char byte;

    self->read = skua_tcp_read_until(self->tcp, &byte, 1, self->limit);
    return NULL;
}

static void *accepts_on_a_thread(void *arg)
{
    struct waiting *self = arg;
    skua_tcp *tcp = NULL;

    self->accepted = skua_tcp_accept_until(self->listener, &tcp, self->limit);
    CHECK(tcp == NULL);
    return NULL;
}

TEST(tcp_thread_second_waiter_is_busy)
{
    char address[SKUA_ADDRESS_MAX], byte;
    int64_t soon = skua_now() + TEST_LATE;
    struct waiting self = {.listener = test_listen(address), .limit = SKUA_FOREVER};
    pthread_t reader, acceptor;
    skua_tcp *peer, *none = NULL;

    test_tcp_pair(&self.tcp, &peer);
    MUST(pthread_create(&reader, NULL, reads_on_a_thread, &self) == 0);
    MUST(pthread_create(&acceptor, NULL, accepts_on_a_thread, &self) == 0);
    test_until_tcp_read(self.tcp);
    test_until_accepted(self.listener);
    CHECK_EQ(skua_tcp_read_until(self.tcp, &byte, 1, soon), -EBUSY);
    CHECK_EQ(skua_tcp_accept_until(self.listener, &none, soon), -EBUSY);
    CHECK(none == NULL);
    CHECK_EQ(skua_tcp_write(peer, "x", 1), 1); /* the first ones wait on as if nothing had been */
    CHECK_EQ(skua_listener_close(self.listener), 0);
    pthread_join(reader, NULL);
    pthread_join(acceptor, NULL);
    CHECK_EQ(self.read, 1);
    CHECK_EQ(self.accepted, SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_tcp_close(peer), 0);
}

TEST(tcp_thread_close_wakes_another)
{
    char address[SKUA_ADDRESS_MAX];
    struct waiting self = {.listener = test_listen(address), .limit = SKUA_FOREVER};
    int64_t begin;
    pthread_t reader, acceptor;
    skua_tcp *peer;

    test_tcp_pair(&self.tcp, &peer);
    MUST(pthread_create(&reader, NULL, reads_on_a_thread, &self) == 0);
    MUST(pthread_create(&acceptor, NULL, accepts_on_a_thread, &self) == 0);
    test_until_tcp_read(self.tcp);
    test_until_accepted(self.listener);
    begin = skua_now();
    CHECK_EQ(skua_tcp_close(self.tcp), 0);
    CHECK_EQ(skua_listener_close(self.listener), 0);
    pthread_join(reader, NULL);
    pthread_join(acceptor, NULL);
    CHECK_EQ(self.read, SKUA_ECLOSED);
    CHECK_EQ(self.accepted, SKUA_ECLOSED);
    CHECK_RANGE(skua_now() - begin, 0, TEST_LATE);
    CHECK_EQ(skua_tcp_close(peer), 0);
}

static int reads_byte(void *arg)
{
    char byte;

    return (int)skua_tcp_read(arg, &byte, 1);
}

TEST(tcp_thread_closes_a_fibers_socket)
{
    for (int i = 1; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        skua_tcp *a, *b;
        skua_task *task;
        int result = 0;

        test_tcp_pair(&a, &b);
        MUST(skua_spawn_on(runtime, reads_byte, a, .task = &task) == 0);
        test_until_parked(task, "tcp.read");
        CHECK_EQ(skua_tcp_close(a), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, SKUA_ECLOSED);
        CHECK_EQ(skua_tcp_close(b), 0);
        test_runtime_free(runtime);
    }
}

/* ---- signals --------------------------------------------------------------------------------- */

static void on_signal(int number)
{
    (void)number;
}

static void *pesters(void *arg)
{
    pthread_t target = *(pthread_t *)arg;

    for (int i = 0; i < 20; i++) {
        test_thread_sleep(MS(2));
        pthread_kill(target, SIGUSR1);
    }
    return NULL;
}

/* A handler that runs does not end a wait: nobody sees -EINTR. */
TEST(tcp_thread_signals_end_no_wait)
{
    struct sigaction action = {.sa_handler = on_signal};
    pthread_t self = pthread_self(), thread;
    int64_t begin = skua_now();
    skua_tcp *a, *b;
    char byte;

    sigaction(SIGUSR1, &action, NULL);
    test_tcp_pair(&a, &b);
    MUST(pthread_create(&thread, NULL, pesters, &self) == 0);
    CHECK_EQ(skua_tcp_read_until(a, &byte, 1, begin + MS(30)), -ETIMEDOUT);
    CHECK_EQ(skua_tcp_read_until(a, &byte, 1, 0), -ETIMEDOUT);
    CHECK_EQ(skua_tcp_read_until(a, &byte, 1, INT64_MIN), -ETIMEDOUT);
    CHECK(skua_now() - begin >= MS(30));
    CHECK_EQ(skua_sleep(MS(10)), 0);
    CHECK(skua_now() - begin >= MS(40));
    pthread_join(thread, NULL);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
}

struct racer {
    skua_tcp *tcp;
    atomic_int ready;
    ssize_t answer;
};

static void *reads_at_once(void *arg)
{
    struct racer *self = arg;
    char byte;

    atomic_store(&self->ready, 1);
    self->answer = skua_tcp_read(self->tcp, &byte, 1);
    return NULL;
}

/* The peer is there: a close that comes at whatever moment is no end of the stream. */
TEST(tcp_thread_close_is_not_an_end)
{
    for (int i = 0; i < TEST_COUNT(1000); i++) {
        struct racer racer = {.answer = 77};
        pthread_t thread;
        skua_tcp *peer;

        test_tcp_pair(&racer.tcp, &peer);
        MUST(pthread_create(&thread, NULL, reads_at_once, &racer) == 0);
        while (!atomic_load(&racer.ready))
            sched_yield();
        for (volatile int spin = 0; spin < i % 500 * 8; spin++)
            continue;
        CHECK_EQ(skua_tcp_close(racer.tcp), 0);
        pthread_join(thread, NULL);
        CHECK_EQ(racer.answer, SKUA_ECLOSED);
        CHECK_EQ(skua_tcp_close(peer), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_thread_without_a_runtime),
        cmocka_unit_test(tcp_thread_talks_to_a_fiber),
        cmocka_unit_test(tcp_thread_hands_a_socket_around),
        cmocka_unit_test(tcp_thread_second_waiter_is_busy),
        cmocka_unit_test(tcp_thread_close_wakes_another),
        cmocka_unit_test(tcp_thread_closes_a_fibers_socket),
        cmocka_unit_test(tcp_thread_signals_end_no_wait),
        cmocka_unit_test(tcp_thread_close_is_not_an_end),
    };

    return TEST_MAIN(tests);
}
