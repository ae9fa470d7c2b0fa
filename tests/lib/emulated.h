/* emulated.h - what a kqueue that is emulated by libkqueue does not do. */
#ifndef SKUA_TESTS_EMULATED_H
#define SKUA_TESTS_EMULATED_H

/* Why the test, or program of tests, cannot pass with this driver on this system, or NULL: it is to be run. */
const char *test_not_emulated(const char *name);
/* Waits until the descriptors of closed kqueues are closed, too: libkqueue closes them in a thread
 * of its own, a little later. */
void test_kqueues_close(void);

#endif
