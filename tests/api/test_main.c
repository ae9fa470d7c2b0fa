/* drivers: both */
/* test_main.c - skua_main: exit statuses and signals, each in a process of its own.
 *
 * Specifies runtime.h: skua_main. 0 when the fiber succeeds, or was cancelled because of a signal
 * that was asked for; 1 with a word on standard error when it fails; what has not ended when
 * stop_timeout is over is named, and the status is 1; the second signal ends the process at once
 * with 128 + its number; a signal that was not asked for does what it always does. A standard
 * stream that was closed is /dev/null.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/event.h"
#include "../lib/parked.h"

/* ---- the children ---------------------------------------------------------------------------- */

static void say(const char *text)
{
    MUST(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

static int waits_for_signal(void *arg)
{
    int rc;

    say("ready\n");
    rc = skua_sleep(SKUA_FOREVER);
    skua_shield_begin();
    skua_sleep(MS(10));
    skua_shield_end();
    say("cleaned up\n");
    return arg ? (int)(intptr_t)arg : rc;
}

static int ignores_signals(void *arg)
{
    (void)arg;
    skua_shield_begin();
    say("ready\n");
    for (;;) {
        skua_sleep(MS(1));
        if (skua_cancelled() != 0)
            break;
    }
    say("cancelled\n");
    return skua_sleep(SKUA_FOREVER);
}

static int tells_argument(void *arg)
{
    say(strcmp(arg, "argument") == 0 ? "argument\n" : "no argument\n");
    return 0;
}

static int speaks_later(void *arg)
{
    int rc = skua_sleep(arg ? SKUA_FOREVER : MS(20));

    say(rc == 0 ? "joined\n" : "cancelled\n");
    return rc;
}

static int leaves_child_behind(void *arg)
{
    skua_task *task;

    MUST(skua_spawn(NULL, speaks_later, arg, .task = &task) == 0);
    if (arg) /* who is cancelled before it begins says nothing */
        test_until_parked(task, "sleep");
    skua_task_detach(task);
    return arg ? -EIO : 0;
}

static int drains(void *arg)
{
    int rc = skua_sleep(SKUA_FOREVER);

    (void)skua_shield_begin();
    (void)skua_sleep(arg ? SKUA_FOREVER : MS(50));
    (void)skua_shield_end();
    say(rc == -ECANCELED ? "drained\n" : "not cancelled\n");
    return 0;
}

/* Three that go on: a child, one of the runtime's, the program's fiber. */
static int serves(void *arg)
{
    skua_runtime *runtime = skua_runtime_current();
    skua_task *tasks[2];

    MUST(skua_spawn(NULL, drains, arg, .name = "request", .task = &tasks[0]) == 0);
    MUST(skua_spawn_on(runtime, drains, NULL, .name = "service", .task = &tasks[1]) == 0);
    for (int i = 0; i < 2; i++) {
        test_until_parked(tasks[i], "sleep");
        skua_task_detach(tasks[i]);
    }
    say("ready\n");
    (void)skua_sleep(SKUA_FOREVER);
    CHECK_EQ(skua_spawn(NULL, test_fiber_return, NULL), -ECANCELED);
    CHECK_EQ(skua_spawn_on(skua_runtime_current(), test_fiber_return, NULL), -ECANCELED);
    say(test_failures() == 0 ? "cleaned up\n" : "wrong\n");
    return 0;
}

static skua_signals *also;

static int listens_too(void *arg)
{
    (void)arg;
    MUST(skua_signals_open(&also, SKUA_SIGNALS(SIGTERM, SIGHUP)) == 0);
    say("ready\n");
    (void)skua_sleep(SKUA_FOREVER);
    (void)skua_shield_begin();
    if (skua_signals_next(also) == SIGTERM)
        say("seen twice\n");
    (void)skua_shield_end();
    skua_signals_close(also);
    say("cleaned up\n");
    return 0;
}

static int is_cancelled_without_signal(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

/* ThreadSanitizer defers a handler until the fiber that it interrupted runs again, which one that
 * waits for the signal never does. The library's own thread, which has no fibers, takes them there.
 */
static void leave_signals_to_the_library(const char *mode)
{
    sigset_t set;

    if (!TEST_TSAN || strcmp(mode, "none") == 0 || strcmp(mode, "int only") == 0)
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    MUST(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

/* The argument: a stream that is left, to say it. */
static int sees_null_devices(void *arg)
{
    struct stat null, stream;
    int same = 0;

    MUST(stat("/dev/null", &null) == 0);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        same += fstat(fd, &stream) == 0 && stream.st_rdev == null.st_rdev;
    MUST(dprintf((int)(intptr_t)arg, "%d null devices\n", same) > 0);
    return 0;
}

static int without_streams(void)
{
    int kept = fcntl(STDOUT_FILENO, F_DUPFD, 10);

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        MUST(close(fd) == 0);
    return skua_main(sees_null_devices, (void *)(intptr_t)kept, NULL);
}

static int child_main(const char *mode)
{
    const skua_runtime_options *both = SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM);
    const skua_runtime_options *brief =
        SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM, .stop_timeout = MS(200));
    const skua_runtime_options *brief_current =
        SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM, .stop_timeout = MS(200),
                             .kind = SKUA_CURRENT_THREAD);
    const skua_runtime_options *current =
        SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM, .kind = SKUA_CURRENT_THREAD);

    if (strcmp(mode, "argument") == 0)
        return skua_main(tells_argument, "argument", NULL);
    if (strncmp(mode, "return ", 7) == 0)
        return skua_main(test_fiber_return, (void *)(intptr_t)atoi(mode + 7), NULL);
    if (strcmp(mode, "options") == 0)
        return skua_main(test_fiber_return, NULL, SKUA_RUNTIME_OPTIONS(.workers = 5000));
    if (strcmp(mode, "both") == 0)
        return skua_main(waits_for_signal, NULL, both);
    if (strcmp(mode, "current") == 0)
        return skua_main(waits_for_signal, NULL, current);
    if (strcmp(mode, "fails after signal") == 0)
        return skua_main(waits_for_signal, (void *)(intptr_t)-EIO, both);
    if (strcmp(mode, "succeeds after signal") == 0)
        return skua_main(waits_for_signal, (void *)5, both);
    if (strcmp(mode, "int only") == 0)
        return skua_main(waits_for_signal, NULL, SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_INT));
    if (strcmp(mode, "none") == 0)
        return skua_main(waits_for_signal, NULL, NULL);
    if (strcmp(mode, "drains") == 0)
        return skua_main(serves, NULL, both);
    if (strcmp(mode, "drains current") == 0)
        return skua_main(serves, NULL, current);
    if (strcmp(mode, "overdue") == 0)
        return skua_main(serves, "x", brief);
    if (strcmp(mode, "overdue current") == 0)
        return skua_main(serves, "x", brief_current);
    if (strcmp(mode, "overdue main") == 0)
        return skua_main(ignores_signals, NULL, brief);
    if (strcmp(mode, "listens") == 0)
        return skua_main(listens_too, NULL, both);
    if (strcmp(mode, "ignores") == 0)
        return skua_main(ignores_signals, NULL, both);
    if (strcmp(mode, "ignores current") == 0)
        return skua_main(ignores_signals, NULL, current);
    if (strcmp(mode, "leaves child") == 0)
        return skua_main(leaves_child_behind, NULL, NULL);
    if (strcmp(mode, "leaves child and fails") == 0)
        return skua_main(leaves_child_behind, "x", NULL);
    if (strcmp(mode, "no streams") == 0)
        return without_streams();
    if (strcmp(mode, "cancelled") == 0)
        return skua_main(is_cancelled_without_signal, NULL, both);
    return 99;
}

/* ---- statuses -------------------------------------------------------------------------------- */

static void check_exit(const char *mode, int wanted, const char *text)
{
    struct test_child child;
    int status;

    test_variant(mode);
    status = test_child_run(&child, mode, NULL);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), wanted);
    if (text && !CHECK(strstr(child.text, text) != NULL))
        test_note("it wrote: %s", child.text);
    if (wanted == 0 && !text)
        CHECK_EQ(child.len, 0);
}

TEST(main_exit_statuses)
{
    check_exit("argument", 0, "argument\n");
    check_exit("return 0", 0, NULL);
    check_exit("return 7", 0, NULL);
    check_exit("return -5", 1, skua_strerror(-EIO));
    check_exit("return -4098", 1, skua_strerror(SKUA_EEOF));
    check_exit("return -125", 1, skua_strerror(-ECANCELED));
    check_exit("cancelled", 1, skua_strerror(-ECANCELED));
    check_exit("options", 1, skua_strerror(-EINVAL));
    check_exit("leaves child", 0, "joined\n");
    check_exit("leaves child and fails", 1, "cancelled\n");
}

TEST(main_opens_streams_that_are_closed)
{
    check_exit("no streams", 0, "3 null devices\n");
}

/* ---- signals --------------------------------------------------------------------------------- */

static void check_signal(const char *mode, int signal, int wanted)
{
    struct test_child child;
    int status;

    test_variant(mode);
    test_child_start(&child, mode, NULL);
    CHECK(test_child_until(&child, "ready\n"));
    test_child_signal(&child, signal);
    status = test_child_end(&child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), wanted);
    CHECK(strstr(child.text, "cleaned up\n") != NULL);
}

TEST(main_stops_on_signals)
{
    check_signal("both", SIGINT, 0);
    check_signal("both", SIGTERM, 0);
    check_signal("current", SIGINT, 0);
    check_signal("current", SIGTERM, 0);
    check_signal("int only", SIGINT, 0);
    check_signal("fails after signal", SIGTERM, 1);
    check_signal("succeeds after signal", SIGTERM, 0);
}

static void check_second_signal(const char *mode, int first, int second)
{
    struct test_child child;
    int status;

    test_variant(mode);
    test_child_start(&child, mode, NULL);
    CHECK(test_child_until(&child, "ready\n"));
    test_child_signal(&child, first);
    CHECK(test_child_until(&child, "cancelled\n"));
    test_child_signal(&child, second);
    status = test_child_end(&child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 128 + second);
}

static void check_stop(const char *mode, const char *ready, int wanted, const char *named)
{
    struct test_child child;
    int64_t began = skua_now();
    int status;

    test_variant(mode);
    test_child_start(&child, mode, NULL);
    CHECK(test_child_until(&child, ready));
    test_child_signal(&child, SIGTERM);
    status = test_child_end(&child);
    CHECK(WIFEXITED(status));
    if (!CHECK_EQ(WEXITSTATUS(status), wanted) || strstr(child.text, "cleaned up") == NULL)
        test_note("it wrote: %s", child.text);
    CHECK(skua_now() - began < MS(200) + 2 * TEST_LATE);
    CHECK((strstr(child.text, "did not end") != NULL) == (named != NULL));
    if (named != NULL && !CHECK(strstr(child.text, named) != NULL))
        test_note("it wrote: %s", child.text);
    CHECK(strstr(child.text, "task 'service'") == NULL);
    if (named == NULL)
        CHECK(strstr(child.text, "cleaned up\n") != NULL);
}

TEST(main_drains_until_the_deadline)
{
    check_stop("drains", "ready\n", 0, NULL);
    check_stop("drains current", "ready\n", 0, NULL);
    check_stop("listens", "ready\n", 0, NULL);
    check_stop("overdue", "ready\n", 1, "task 'request' (");
    check_stop("overdue current", "ready\n", 1, "did not end, waiting for sleep");
    check_stop("overdue main", "ready\n", 1, "task 'main' (");
}

TEST(main_second_signal_ends_at_once)
{
    check_second_signal("ignores", SIGINT, SIGINT);
    check_second_signal("ignores", SIGTERM, SIGINT);
    check_second_signal("ignores", SIGINT, SIGTERM);
    check_second_signal("ignores current", SIGINT, SIGINT);
}

static void check_killed(const char *mode, int signal)
{
    struct test_child child;
    int status;

    test_variant(mode);
    test_child_start(&child, mode, NULL);
    CHECK(test_child_until(&child, "ready\n"));
    test_child_signal(&child, signal);
    status = test_child_end(&child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), signal);
    CHECK(strstr(child.text, "cleaned up\n") == NULL);
}

TEST(main_leaves_other_signals_alone)
{
    check_killed("none", SIGINT);
    check_killed("none", SIGTERM);
    check_killed("int only", SIGTERM);
    check_killed("both", SIGHUP);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(main_exit_statuses),
        cmocka_unit_test(main_opens_streams_that_are_closed),
        cmocka_unit_test(main_stops_on_signals),
        cmocka_unit_test(main_drains_until_the_deadline),
        cmocka_unit_test(main_second_signal_ends_at_once),
        cmocka_unit_test(main_leaves_other_signals_alone),
    };

    if (argc == 3) {
        leave_signals_to_the_library(argv[2]);
        return child_main(argv[2]);
    }
    return TEST_MAIN(tests);
}
