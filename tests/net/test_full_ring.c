/* drivers: both */
/* test_full_ring.c - a ring that takes nothing: waits end and others go on, as if it did.
 *
 * Specifies runtime.h where the kernel has no memory for one more operation: wakes from outside
 * arrive, a cancelled read ends when there is room again, a closed socket is given back then, and
 * no worker stands still until that is so.
 */
#include <pthread.h>

#include <skua/sync.h>

#include "../lib/event.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

#ifndef SKUA_FAULTS

int main(void)
{
    fprintf(stderr, "skipped: built without SKUA_FAULTS\n");
    return 77;
}

#else

#include "os/os.h"

enum { WAKES = 5 };

static void ring_is_full(void)
{
    skua__fault_arm(SKUA__FAULT_RING, 1, UINT32_MAX, EBUSY);
}

static void ring_has_room(void)
{
    skua__fault_arm(SKUA__FAULT_RING, 0, 0, 0);
}

/* The others of this worker go on, by their timers. */
static void check_others_go_on(void)
{
    for (int i = 0; i < 5; i++)
        CHECK_EQ(skua_sleep(MS(1)), 0);
}

static void *releases(void *arg)
{
    for (int i = 0; i < WAKES; i++) {
        (void)skua_sleep(MS(3)); /* a plain thread; the worker sleeps meanwhile */
        skua_semaphore_release(arg, 1);
    }
    return NULL;
}

TEST_FIBER(full_ring_wakes_from_outside)
{
    skua_semaphore semaphore;
    pthread_t thread;

    skua_semaphore_init(&semaphore, 0);
    ring_is_full();
    MUST(pthread_create(&thread, NULL, releases, &semaphore) == 0);
    for (int i = 0; i < WAKES; i++)
        CHECK_EQ(skua_semaphore_acquire(&semaphore, 1), 0);
    ring_has_room();
    pthread_join(thread, NULL);
    return 0;
}

static int reads_one(void *arg)
{
    char byte;

    return (int)skua_tcp_read(arg, &byte, 1);
}

TEST_FIBER(full_ring_cancel_of_a_read)
{
    skua_tcp *mine, *other;
    skua_task *task;
    int result = 0;

    test_tcp_pair(&mine, &other);
    MUST(skua_spawn(NULL, reads_one, mine, .task = &task) == 0);
    check_others_go_on(); /* it reads; or is cancelled before, which ends it as well */
    ring_is_full();
    CHECK_EQ(skua_task_cancel(task), 0);
    check_others_go_on();
    ring_has_room();
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(skua_tcp_close(mine), 0);
    CHECK_EQ(skua_tcp_close(other), 0);
    return 0;
}

static int waits_until_readable(void *arg)
{
    skua_tcp_future readable;
    char byte;

    CHECK_EQ(skua_tcp_try_read(arg, &byte, 1), -EAGAIN); /* nobody knows before */
    return (int)skua_await(skua_tcp_readable_init(&readable, arg));
}

TEST_FIBER(full_ring_close_of_one_that_is_waited_for)
{
    int fds = test_fd_count();
    skua_tcp *mine, *other;
    skua_task *task;
    int result = 0;

    test_tcp_pair(&mine, &other);
    MUST(skua_spawn(NULL, waits_until_readable, mine, .task = &task) == 0);
    check_others_go_on();
    ring_is_full();
    CHECK_EQ(skua_tcp_close(mine), 0);
    check_others_go_on();
    ring_has_room();
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, SKUA_ECLOSED);
    CHECK_EQ(test_fd_settle(fds + 1), fds + 1); /* and the other end has nothing to do with it */
    CHECK_EQ(skua_tcp_close(other), 0);
    CHECK_EQ(test_fd_settle(fds), fds);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_ring_wakes_from_outside),
        cmocka_unit_test(full_ring_cancel_of_a_read),
        cmocka_unit_test(full_ring_close_of_one_that_is_waited_for),
    };

    return TEST_MAIN(tests);
}

#endif
