/* script.h - a stream that says what a test has written down, and what comes out of streams.
 *
 *     CHECK_STREAM(skua_streaming_map(SCRIPT(1, WAIT, -EIO, 2), twice, NULL, int, int),
 *                  2, -EIO, 4);
 *
 * Items are ints from 0 on; negative numbers are errors. The stream is made anew for each way of
 * asking: direct calls; futures that are given up before they are ready, each with another place
 * for its item; a poll task (on fibers); and with each answer peeked at before it is taken.
 */
#ifndef SKUA_TESTS_SCRIPT_H
#define SKUA_TESTS_SCRIPT_H

#include <limits.h>

#include "part.h"

/* In a script: not ready, and woken at once; not ready for some time; woken too early, too. */
#define WAIT INT_MIN
#define SLEEP(ms) (INT_MIN + 1 + (ms))

struct test_script {
    skua_stream stream;
    const int *steps;
    size_t count;
    size_t at;
    bool sleeps;
    skua_sleep_future sleep;
    int asks;
    int drops;
};

/* How many scripts were made and are not dropped yet. */
extern atomic_int test_scripts_alive;
#define CHECK_NO_SCRIPT_LEFT() CHECK_EQ(atomic_exchange(&test_scripts_alive, 0), 0)

skua_stream *test_script_init(struct test_script *script, const int *steps, size_t count);

#define SCRIPT__COUNT(...) (sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
#define SCRIPT(...) SCRIPT_IN(&(struct test_script){.at = 0}, __VA_ARGS__)
#define SCRIPT_IN(script, ...)                                                                     \
    test_script_init((script), (const int[]){__VA_ARGS__}, SCRIPT__COUNT(__VA_ARGS__))

enum test_asking { ASK_DIRECT, ASK_GIVING_UP, ASK_POLL_TASK, ASK_PEEKING, ASK_WAYS };

/* Asks `stream` until its end and compares the answers. */
void test_stream_check(skua_stream *stream, enum test_asking way, const int *wanted, size_t count,
                       const char *file, int line);

#define CHECK_STREAM(make, ...)                                                                    \
    do {                                                                                           \
        for (enum test_asking way = ASK_DIRECT; way < ASK_WAYS; way++) {                           \
            skua_stream *made = (make);                                                            \
                                                                                                   \
            test_stream_check(made, way, (const int[]){__VA_ARGS__}, SCRIPT__COUNT(__VA_ARGS__),   \
                              __FILE__, __LINE__);                                                 \
        }                                                                                          \
    } while (0)
/* The same of a stream that says nothing but its end. */
#define CHECK_STREAM_EMPTY(make)                                                                   \
    do {                                                                                           \
        for (enum test_asking way = ASK_DIRECT; way < ASK_WAYS; way++) {                           \
            skua_stream *made = (make);                                                            \
                                                                                                   \
            test_stream_check(made, way, NULL, 0, __FILE__, __LINE__);                             \
        }                                                                                          \
    } while (0)

#endif
