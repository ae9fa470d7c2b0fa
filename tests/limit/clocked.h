/* clocked.h - a test whose body is a fiber under a test's clock (test.h): pauses are told to the
 * nanosecond, and take no time. It must return 0. */
#ifndef SKUA_TESTS_CLOCKED_H
#define SKUA_TESTS_CLOCKED_H

#include "../lib/part.h"

#define TEST_CLOCKED(name)                                                                         \
    static int name##_fiber(void *arg);                                                            \
    TEST(name)                                                                                     \
    {                                                                                              \
        CHECK_EQ(skua_test_run(name##_fiber, NULL, NULL), 0);                                      \
    }                                                                                              \
    static int name##_fiber(TEST_UNUSED void *arg)

#endif
