/* drivers: both */
/* test_process_clock.c - children under a test's clock.
 *
 * Specifies test.h, Clock: it stands while a task waits for a child, or for what a child says, as
 * long as the test has patience, and not a moment longer than the wait.
 */
#include <signal.h>
#include <time.h>

#include "../lib/shell.h"

static int sleeps_for_an_hour(void *arg)
{
    (void)arg;
    return skua_sleep(SKUA_HOUR);
}

static int64_t real_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SKUA_SECOND + now.tv_nsec;
}

/* The one hour of the other does not begin before the child has come. */
static int waits(void *arg)
{
    skua_process_status status = {.code = -1};
    skua_process *child = shell_start("sleep 0.03; exit 3");
    int64_t begin = skua_now();
    skua_task *task = NULL;

    (void)arg;
    MUST(skua_spawn(NULL, sleeps_for_an_hour, NULL, .task = &task) == 0);
    CHECK_EQ(skua_process_wait_until(child, &status, begin + MS(1)), 0);
    CHECK_EQ(status.code, 3);
    CHECK_EQ(skua_now(), begin);
    CHECK_EQ(skua_process_close(child), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_now(), begin + SKUA_HOUR);
    return 0;
}

TEST(clock_stands_for_a_child)
{
    CHECK_EQ(skua_test_run(waits, NULL, SKUA_TEST_OPTIONS(.patience = 15 * SKUA_SECOND)), 0);
    CHECK_EQ(skua_test_explore(5, waits, NULL), 0);
}

static int reads_output(void *arg)
{
    static const char *const argv[] = {"sh", "-c", "sleep 0.03; echo hi", NULL};
    char out[16];
    skua_process_text text = {.out = out, .out_size = sizeof out};
    int64_t begin = skua_now();

    (void)arg;
    CHECK_EQ(skua_process_output_with(argv, &text, begin + MS(1), NULL), 0);
    CHECK_EQ(strcmp(out, "hi\n"), 0);
    CHECK_EQ(skua_now(), begin);
    return 0;
}

TEST(clock_stands_for_what_a_child_says)
{
    CHECK_EQ(skua_test_run(reads_output, NULL, SKUA_TEST_OPTIONS(.patience = 15 * SKUA_SECOND)), 0);
}

/* A child that waits for us: the clock jumps in the end, and time-outs can be tested. */
static int loses_patience(void *arg)
{
    skua_process *child = shell_start("exec sleep 60");
    int64_t begin = skua_now(), real;
    skua_process_status status = {.signal = 0};

    (void)arg;
    CHECK_EQ(skua_process_wait_until(child, NULL, begin + SKUA_MINUTE), -ETIMEDOUT);
    CHECK_EQ(skua_now(), begin + SKUA_MINUTE);
    real = real_now();
    for (int i = 0; i < 1000; i++) /* nobody waits for it any more */
        CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
    CHECK_RANGE(real_now() - real, 0, 9 * SKUA_SECOND);
    CHECK_EQ(skua_process_signal(child, SIGKILL), 0);
    CHECK_EQ(skua_process_wait(child, &status), 0);
    CHECK_EQ(status.signal, SIGKILL);
    CHECK_EQ(skua_process_close(child), 0);
    real = real_now();
    for (int i = 0; i < 1000; i++) /* nor for one that has come */
        CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
    CHECK_RANGE(real_now() - real, 0, 9 * SKUA_SECOND);
    return 0;
}

TEST(clock_stands_as_long_as_the_test_has_patience)
{
    CHECK_EQ(skua_test_run(loses_patience, NULL, SKUA_TEST_OPTIONS(.patience = MS(20))), 0);
}

/* An output that fails, too, counts no more. */
static int fails_output(void *arg)
{
    static const char *const argv[] = {"sh", "-c", "exec sleep 60", NULL};
    char out[16];
    skua_process_text text = {.out = out, .out_size = sizeof out};
    int64_t begin = skua_now(), real;

    (void)arg;
    CHECK_EQ(skua_process_output_with(argv, &text, begin + MS(1), NULL), -ETIMEDOUT);
    real = real_now();
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(skua_sleep(SKUA_HOUR), 0);
    CHECK_RANGE(real_now() - real, 0, 9 * SKUA_SECOND);
    return 0;
}

TEST(clock_goes_on_after_an_output_that_fails)
{
    CHECK_EQ(skua_test_run(fails_output, NULL, SKUA_TEST_OPTIONS(.patience = MS(20))), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_stands_for_a_child),
        cmocka_unit_test(clock_stands_for_what_a_child_says),
        cmocka_unit_test(clock_stands_as_long_as_the_test_has_patience),
        cmocka_unit_test(clock_goes_on_after_an_output_that_fails),
    };

    return TEST_MAIN(tests);
}
