/* test_guest.c - a current-thread runtime inside a foreign event loop. drivers: both
 *
 * Specifies runtime.h: skua_runtime_fd, skua_runtime_turn. The foreign loop is poll(2), which is
 * all that any loop has to be able to do.
 */
#include <poll.h>
#include <pthread.h>

#include "event.h"
#include "sockets.h"
#include "usage.h"

static const struct test_kind current = {"guest", SKUA_CURRENT_THREAD, 0, false};

/* Turns the runtime as a foreign loop would, until `done` is set: how many turns it took. */
static int loop_until(skua_runtime *runtime, atomic_int *done)
{
    struct pollfd guest = {.fd = skua_runtime_fd(runtime), .events = POLLIN};
    int64_t next = skua_now();
    int turns = 0;

    MUST(guest.fd >= 0);
    while (!atomic_load(done)) {
        int64_t left = next == SKUA_FOREVER ? -1 : next - skua_now();
        int ms = left < 0 ? (next == SKUA_FOREVER ? -1 : 0) : (int)((left + 999999) / 1000000);

        MUST(poll(&guest, 1, ms) >= 0);
        next = skua_runtime_turn(runtime);
        MUST(next >= 0);
        turns++;
    }
    return turns;
}

static int sets(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

TEST(guest_runs_what_is_spawned)
{
    skua_runtime *runtime = test_runtime(&current);
    atomic_int before = 0, between = 0;

    CHECK_EQ(skua_spawn_on(runtime, sets, &before), 0); /* before the loop knows of it */
    (void)loop_until(runtime, &before);
    CHECK_EQ(skua_spawn_on(runtime, sets, &between), 0); /* between two turns, on this thread */
    (void)loop_until(runtime, &between);
    test_runtime_free(runtime);
}

static int sleeps_and_sets(void *arg)
{
    CHECK_EQ(skua_sleep(MS(5)), 0);
    return sets(arg);
}

TEST(guest_tells_when_its_timers_are_due)
{
    skua_runtime *runtime = test_runtime(&current);
    int64_t begin = skua_now();
    atomic_int done = 0;

    CHECK_EQ(skua_spawn_on(runtime, sleeps_and_sets, &done), 0);
    CHECK_RANGE(loop_until(runtime, &done), 1, 20); /* it does not turn round and round */
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(skua_runtime_turn(runtime), SKUA_FOREVER);
    test_runtime_free(runtime);
}

struct outside {
    skua_runtime *runtime;
    struct test_event event;
    atomic_int done;
};

static int waits_and_sets(void *arg)
{
    struct outside *self = arg;

    CHECK_EQ(test_event_wait(&self->event), 0);
    return sets(&self->done);
}

static void *wakes_from_outside(void *arg)
{
    struct outside *self = arg;

    test_thread_sleep(MS(2));
    test_event_set(&self->event);
    return NULL;
}

static void *spawns_from_outside(void *arg)
{
    struct outside *self = arg;

    test_thread_sleep(MS(2));
    CHECK_EQ(skua_spawn_on(self->runtime, sets, &self->done), 0);
    return NULL;
}

/* Other threads wake it while the loop waits. */
TEST(guest_is_told_by_other_threads)
{
    void *(*const bodies[])(void *) = {wakes_from_outside, spawns_from_outside};

    for (size_t i = 0; i < TEST_LEN(bodies); i++) {
        struct outside self = {.runtime = test_runtime(&current)};
        pthread_t thread;

        test_event_init(&self.event);
        if (i == 0)
            CHECK_EQ(skua_spawn_on(self.runtime, waits_and_sets, &self), 0);
        MUST(pthread_create(&thread, NULL, bodies[i], &self) == 0);
        CHECK_RANGE(loop_until(self.runtime, &self.done), 1, 20);
        pthread_join(thread, NULL);
        test_runtime_free(self.runtime);
    }
}

/* ---- I/O ------------------------------------------------------------------------------------- */

static int echoes_once(void *arg)
{
    char buf[8];
    ssize_t n = skua_tcp_read(arg, buf, sizeof buf);

    CHECK_EQ(n, 4);
    CHECK_EQ(skua_tcp_write_all(arg, buf, (size_t)n), 4);
    skua_tcp_close(arg);
    return 0;
}

static int talks_to_itself(void *arg)
{
    skua_listener *listener;
    skua_tcp *client, *served;
    char address[64], buf[8];

    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, &served) == 0);
    CHECK_EQ(skua_spawn(NULL, echoes_once, served), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_tcp_write_all(client, "ping", 4), 4);
    CHECK_EQ(skua_tcp_read(client, buf, sizeof buf), 4);
    CHECK_EQ(skua_tcp_read(client, buf, sizeof buf), 0);
    skua_tcp_close(client);
    skua_listener_close(listener);
    return sets(arg);
}

TEST(guest_does_its_io)
{
    int fds = test_fd_count();
    skua_runtime *runtime = test_runtime(&current);
    atomic_int done = 0;

    CHECK_EQ(skua_spawn_on(runtime, talks_to_itself, &done), 0);
    CHECK_RANGE(loop_until(runtime, &done), 1, 100);
    test_runtime_free(runtime);
    CHECK_EQ(test_fd_settle(fds), fds);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int never_waits(void *arg)
{
    while (!atomic_load((atomic_int *)arg))
        CHECK_EQ(skua_yield(), 0);
    return 0;
}

/* Work without end does not keep the loop from its own. */
TEST(guest_gives_the_thread_back)
{
    skua_runtime *runtime = test_runtime(&current);
    atomic_int stop = 0;

    CHECK_EQ(skua_spawn_on(runtime, never_waits, &stop), 0);
    for (int i = 0; i < 10; i++)
        CHECK(skua_runtime_turn(runtime) <= skua_now());
    atomic_store(&stop, 1);
    CHECK_EQ(skua_runtime_turn(runtime), SKUA_FOREVER);
    test_runtime_free(runtime);
}

/* Both ways of driving it, one after the other. */
TEST(guest_is_also_blocked_on)
{
    skua_runtime *runtime = test_runtime(&current);
    atomic_int done = 0;
    int result = 0;

    CHECK_EQ(skua_block_on(runtime, test_fiber_return, (void *)3, &result), 0);
    CHECK_EQ(result, 3);
    CHECK_EQ(skua_spawn_on(runtime, sleeps_and_sets, &done), 0);
    (void)loop_until(runtime, &done);
    CHECK_EQ(skua_block_on(runtime, test_fiber_return, (void *)4, &result), 0);
    CHECK_EQ(result, 4);
    test_runtime_free(runtime);
}

static int turns_inside(void *arg)
{
    CHECK_EQ(skua_runtime_turn(arg), SKUA_EUSAGE);
    return 0;
}

static void *turns_elsewhere(void *arg)
{
    return (void *)(intptr_t)skua_runtime_turn(arg);
}

TEST(guest_refuses)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    pthread_t thread;
    void *answer;

    CHECK_EQ(skua_runtime_fd(runtime), SKUA_EUSAGE);
    CHECK_EQ(skua_runtime_turn(runtime), SKUA_EUSAGE);
    test_runtime_free(runtime);
    runtime = test_runtime(&current);
    CHECK_EQ(skua_block_on(runtime, turns_inside, runtime, NULL), 0);
    MUST(pthread_create(&thread, NULL, turns_elsewhere, runtime) == 0);
    pthread_join(thread, &answer);
    CHECK_EQ((intptr_t)answer, SKUA_EUSAGE);
    test_runtime_free(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guest_runs_what_is_spawned),
        cmocka_unit_test(guest_tells_when_its_timers_are_due),
        cmocka_unit_test(guest_is_told_by_other_threads),
        cmocka_unit_test(guest_does_its_io),
        cmocka_unit_test(guest_gives_the_thread_back),
        cmocka_unit_test(guest_is_also_blocked_on),
        cmocka_unit_test(guest_refuses),
    };

    return TEST_MAIN(tests);
}
