/* child.h - runs a part of a test in a process of its own.
 *
 * The child is the same executable, started anew with "--child MODE": no thread, lock or handler
 * of the parent is in it, which a bare fork would carry along (and which ThreadSanitizer refuses).
 *
 *     static int child_main(const char *mode) { ... }       // the exit status
 *     int main(int argc, char **argv)
 *     {
 *         if (argc == 3)
 *             return child_main(argv[2]);
 *         return TEST_MAIN(tests);
 *     }
 */
#ifndef SKUA_TESTS_CHILD_H
#define SKUA_TESTS_CHILD_H

#include <stddef.h>

struct test_child {
    int pid;
    int out;          /* the child's standard output and error, one pipe */
    size_t len;       /* bytes of text */
    char text[16384]; /* what it wrote so far, closed by a zero */
};

/* What a fork does to start this program anew with "--child MODE"; goes through the emulator that
 * runs this program, if one does. */
_Noreturn void test_self_exec(const char *mode, char *const env[]);

/* Starts a child; `env` is "NAME=value" or NULL. */
void test_child_start(struct test_child *child, const char *mode, const char *env);
/* Waits until the child wrote `text`; 1, or 0 when it ended or 20 s passed before. */
int test_child_until(struct test_child *child, const char *text);
void test_child_signal(struct test_child *child, int signal);
/* Waits for its end (at most 20 s, then it is killed); the status of waitpid. */
int test_child_end(struct test_child *child);
/* Starts, waits, returns the status. */
int test_child_run(struct test_child *child, const char *mode, const char *env);

#endif
