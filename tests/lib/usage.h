/* usage.h - what the process holds and uses, as the kernel tells it in /proc/self. */
#ifndef SKUA_TESTS_USAGE_H
#define SKUA_TESTS_USAGE_H

#include <stdint.h>

struct test_usage {
    int64_t cpu_ns;   /* processor time of the chosen threads */
    int64_t switches; /* times they went to sleep on their own accord: wake-ups, in other words */
    int threads;      /* how many they are */
};

/* Sums over the threads whose name starts with `prefix`. */
void test_usage_of(const char *prefix, struct test_usage *usage);
/* Open descriptors. */
int test_fd_count(void);
/* Waits up to 2 TEST_LATE until there are `count` of them: one that an operation in the kernel
 * holds is closed when the kernel has given it back. Fibers and threads. */
int test_fd_settle(int count);
/* Threads; under TSan one is the sanitizer's own. */
int test_thread_count(void);
/* Waits up to 2 TEST_LATE until there are `count` threads: the kernel reaps one after its join. */
int test_thread_settle(int count);
/* Bytes of resident memory. */
int64_t test_resident(void);

#endif
