/* parked.h - sees that somebody waits: no test sleeps in the belief that another does by now.
 *
 *     MUST(skua_spawn(NULL, reads, tcp, .task = &task) == 0);
 *     test_until_parked(task, "tcp.read");
 *     CHECK_EQ(skua_tcp_read(tcp, &byte, 1), -EBUSY);
 *
 * On a loaded machine a task may begin much later than the few milliseconds which a test would
 * sleep, and then the test itself is the first reader, and waits for ever. These waits have no end
 * of their own: the watchdog tells which test hangs, and what each of its tasks waits for.
 *
 * Fibers and plain threads.
 */
#ifndef SKUA_TESTS_PARKED_H
#define SKUA_TESTS_PARKED_H

#include "harness.h"

/* Waits until `task`, of which the caller has the handle, is parked in its wait for the future of
 * this name (NULL: in any wait, a sleep as well), or has ended: whether it is parked. A poll task's
 * waits have no names: it is pending, and nobody has woken it. */
bool test_parks(skua_task *task, const char *name);
/* The same where it may not end. */
#define test_until_parked(task, name) CHECK(test_parks((task), (name)))

/* Waits until somebody waits for input, a task that lends no buffer or a plain thread. */
void test_until_tcp_read(skua_tcp *tcp);
void test_until_udp_read(skua_udp *udp);
void test_until_udp_written(skua_udp *udp);
void test_until_accepted(skua_listener *listener);

/* For a plain thread whose wait cannot be seen otherwise: it tells who it is just before, in an
 * `id` that was 0; the other waits until the kernel says that it sleeps. Nothing may keep it from
 * its wait then, as a lock that somebody else holds. */
void test_thread_is(atomic_int *id);
void test_until_asleep(const atomic_int *id);

#endif
