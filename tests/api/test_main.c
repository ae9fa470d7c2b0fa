/* drivers: both */
/* test_main.c - skua_main: exit statuses and signals, each in a process of its own.
 *
 * Specifies runtime.h: skua_main. 0 when the fiber succeeds, or was cancelled because of a signal
 * that was asked for; 1 with a word on standard error when it fails; the second signal ends the
 * process at once with 128 + its number; a signal that was not asked for does what it always does.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/event.h"

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
    CHECK_EQ(skua_spawn(NULL, speaks_later, arg), 0);
    skua_sleep(MS(10));
    return arg ? -EIO : 0;
}

static int is_cancelled_without_signal(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

static int child_main(const char *mode)
{
    const skua_runtime_options *both = SKUA_RUNTIME_OPTIONS(.stop_on = SKUA_SIGNALS_TERM);
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
    if (strcmp(mode, "ignores") == 0)
        return skua_main(ignores_signals, NULL, both);
    if (strcmp(mode, "ignores current") == 0)
        return skua_main(ignores_signals, NULL, current);
    if (strcmp(mode, "leaves child") == 0)
        return skua_main(leaves_child_behind, NULL, NULL);
    if (strcmp(mode, "leaves child and fails") == 0)
        return skua_main(leaves_child_behind, "x", NULL);
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
        cmocka_unit_test(main_stops_on_signals),
        cmocka_unit_test(main_second_signal_ends_at_once),
        cmocka_unit_test(main_leaves_other_signals_alone),
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
