/* part.h - a future that is part of others, for the tests of flow.h: it counts what is done to it,
 * is ready when a test says so, and knows as which of all it was dropped.
 *
 * TEST_WAITING(name) is a test whose body waits: it runs in a fiber on each kind of runtime, and on
 * a plain thread.
 */
#ifndef SKUA_TESTS_PART_H
#define SKUA_TESTS_PART_H

#include "event.h"

struct test_part {
    skua_future future;
    struct test_event given;
    struct test_event_wait wait;
    int64_t result;
    int polls;
    int drops;
    int place; /* 1 for the first part that was dropped since it was made, and so on */
    int *dropped;
};

/* What a test makes its parts in. */
struct test_parts {
    int dropped;
    struct test_part part[65];
    skua_future *futures[65];
};

/* Makes `count` parts that are pending, and the array of their futures. */
void test_parts_init(struct test_parts *parts, size_t count);
/* Makes a part ready. Any thread. */
void test_part_give(struct test_part *part, int64_t result);
/* Whether nothing waits for the first `count` parts, and each but `winner` (-1: each) was dropped
 * exactly once, in order; the winner never. */
void test_parts_check(struct test_parts *parts, size_t count, int winner);

/* Bodies of a fiber and of a thread: they wait until somebody waits for the part that is their
 * argument, and make it ready with 77. */
int test_part_giver(void *arg);
void *test_part_giver_thread(void *arg);

/* Runs a poll task to its end and returns its result. */
int test_run_poll(skua_poll_fn fn, const void *state, size_t size);

#define TEST_WAITING(name)                                                                         \
    static void name##_body(void);                                                                 \
    TEST_FIBER(name##_on_fibers)                                                                   \
    {                                                                                              \
        name##_body();                                                                             \
        return 0;                                                                                  \
    }                                                                                              \
    TEST(name##_on_a_thread)                                                                       \
    {                                                                                              \
        name##_body();                                                                             \
    }                                                                                              \
    static void name##_body(void)

#define TEST_WAITING_ENTRIES(name)                                                                 \
    cmocka_unit_test(name##_on_fibers), cmocka_unit_test(name##_on_a_thread)

#endif
