/* emulated.h - what a kqueue that is emulated by libkqueue does not do. */
#ifndef SKUA_TESTS_EMULATED_H
#define SKUA_TESTS_EMULATED_H

/* Why the test, or program of tests, cannot pass with the driver that is asked for; or NULL. */
const char *test_not_emulated(const char *name);
/* Once a program: libkqueue has a thread while there is a kqueue. So there is one, and tests that
 * count threads count the same at each moment. */
void test_kqueue_keep(void);
/* Waits until the descriptors of closed kqueues are closed, too: libkqueue does that in a thread of
 * its own, a little later. */
void test_kqueues_close(void);

#endif
