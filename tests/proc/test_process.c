/* drivers: both */
/* test_process.c - children: how they start, what they get, how they end.
 *
 * Specifies process.h but for skua_process_output and what fails (test_process_output.c). Children
 * are scripts of the shell.
 */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "part.h"
#include "shell.h"
#include "usage.h"

/* ---- how they end ---------------------------------------------------------------------------- */

TEST_WAITING(exit_code_is_told)
{
    CHECK_EQ(shell_run("exit 0"), 0);
    CHECK_EQ(shell_run("exit 7"), 7);
    CHECK_EQ(shell_run("exit 255"), 255);
}

TEST_WAITING(end_by_a_signal_is_told)
{
    skua_process_status status = {0};
    skua_process *process;

    process = shell_start("exec sleep 60", .group = SKUA_PROCESS_GROUP);
    CHECK_EQ(skua_process_try_wait(process, &status), -EAGAIN);
    CHECK_EQ(status.code, 0);
    CHECK_EQ(skua_process_signal(process, 0), 0);
    CHECK_EQ(skua_process_signal_group(process, SIGTERM), 0);
    CHECK_EQ(skua_process_wait(process, &status), 0);
    CHECK_EQ(status.code, -1);
    CHECK_EQ(status.signal, SIGTERM);
    CHECK_EQ(status.core, 0);
    CHECK_EQ(skua_process_signal(process, SIGTERM), -ESRCH);
    CHECK_EQ(skua_process_signal(process, 0), -ESRCH);
    CHECK_EQ(skua_process_close(process), 0);
}

/* It is told again and again. */
TEST_WAITING(end_stays_told)
{
    skua_process_status status = {0};
    skua_process *process = shell_start("exit 3");

    CHECK_EQ(skua_process_wait(process, NULL), 0);
    CHECK_EQ(skua_process_try_wait(process, &status), 0);
    CHECK_EQ(status.code, 3);
    status.code = 0;
    CHECK_EQ(skua_process_wait_until(process, &status, 0), 0);
    CHECK_EQ(status.code, 3);
    CHECK_EQ(skua_process_close(process), 0);
    CHECK_EQ(skua_process_close(NULL), 0);
}

TEST_WAITING(deadline_ends_the_wait)
{
    skua_process *process = shell_start("exec sleep 60", .kill_on_close = SIGKILL);
    int64_t begin = skua_now();

    CHECK_EQ(skua_process_wait_until(process, NULL, begin + MS(5)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), TEST_LATE);
    CHECK_EQ(skua_process_signal(process, 0), 0);
    CHECK_EQ(skua_process_close(process), 0);
}

/* ---- what does not start --------------------------------------------------------------------- */

static int start_fails(const char *program, const char *cwd)
{
    const char *const argv[] = {program, NULL};
    skua_process *untouched = (skua_process *)8, *process = untouched;
    int rc = skua_process_spawn(&process, argv, .cwd = cwd);

    CHECK(process == untouched);
    return rc;
}

TEST_WAITING(failure_of_the_program_is_told)
{
    CHECK_EQ(start_fails("/nowhere/at/all", NULL), -ENOENT);
    CHECK_EQ(start_fails("no-such-program-anywhere", NULL), -ENOENT);
    CHECK_EQ(start_fails("/", NULL), -EACCES);
    CHECK_EQ(start_fails("/dev/null", NULL), -EACCES);
    CHECK_EQ(start_fails("/dev/null/program", NULL), -ENOTDIR);
    CHECK_EQ(start_fails("/bin/sh", "/nowhere"), -ENOENT);
    CHECK_EQ(start_fails("/bin/sh", "/dev/null"), -ENOTDIR);
    CHECK_EQ(start_fails("", NULL), -ENOENT);
    CHECK_EQ(shell_children_settle(0), 0);
}

TEST(bad_options)
{
    static const char *const argv[] = {"true", NULL}, *const none[] = {NULL};
    skua_process_fd twice[] = {{3, 0}, {3, 1}}, low[] = {{2, 0}}, closed[] = {{3, 12345}};
    skua_process_options options;
    skua_process *process;

    skua_process_options_init(&options);
    options.size--;
    CHECK_EQ(skua_process_spawn_with(&process, argv, &options), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, none), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .in = SKUA_STDIO_OUT), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .out = SKUA_STDIO_OUT), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .err = SKUA_STDIO_FD(-1)), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .err = SKUA_STDIO_FD(12345)), -EBADF);
    CHECK_EQ(skua_process_spawn(&process, argv, .group = 3), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .kill_on_close = 65), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .parent_death = -1), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .nice = 41), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .fds = twice, .fd_count = 2), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .fds = low, .fd_count = 1), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .fds = twice, .fd_count = 251), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .fd_count = 1), -EINVAL);
    CHECK_EQ(skua_process_spawn(&process, argv, .fds = closed, .fd_count = 1), -EBADF);
    CHECK_EQ(skua_process_spawn(&process, argv, .set_groups = 1, .group_count = 1), -EINVAL);
}

/* ---- what they get --------------------------------------------------------------------------- */

TEST_WAITING(program_is_found_as_execvp_does)
{
    char dir[] = "/tmp/skua-process-XXXXXX", path[64], text[64];
    static const char *const argv[] = {"./noshebang", "one", NULL};
    skua_process *process;
    FILE *file;

    MUST(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/noshebang", dir);
    file = fopen(path, "w");
    MUST(file != NULL);
    fputs("echo $0 $1 $#\n", file); /* the shell's, without saying so */
    fclose(file);
    CHECK_EQ(skua_process_spawn(&process, argv, .cwd = dir), -EACCES);
    MUST(chmod(path, 0755) == 0);
    MUST(skua_process_spawn(&process, argv, .cwd = dir, .out = SKUA_STDIO_PIPE) == 0);
    CHECK_EQ(shell_finish(process, text, sizeof text), 0);
    CHECK(strcmp(text, "./noshebang one 1\n") == 0);
    unlink(path);
    rmdir(dir);
}

TEST_WAITING(argv_0_may_be_another_name)
{
    static const char *const argv[] = {"-myself", "-c", "echo $0", NULL};
    skua_process *process;
    char text[64];

    MUST(skua_process_spawn(&process, argv, .program = "sh", .out = SKUA_STDIO_PIPE) == 0);
    CHECK_EQ(shell_finish(process, text, sizeof text), 0);
    CHECK(strcmp(text, "-myself\n") == 0);
}

TEST_WAITING(directory)
{
    char text[64];

    CHECK_EQ(shell_text(text, sizeof text, "pwd", .cwd = "/"), 0);
    CHECK(strcmp(text, "/\n") == 0);
}

TEST_WAITING(environment)
{
    static const char *const env[] = {"FIRST=1", "SKUA_GONE", "FIRST=2", "EMPTY=", NULL};
    static const char script[] = "echo $FIRST-${EMPTY-none}-${SKUA_GONE-none}-${SKUA_KEPT-none}";
    char text[64];

    CHECK_EQ(shell_text(text, sizeof text, script, .env = env), 0);
    CHECK(strcmp(text, "2--none-kept\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, script, .env = env, .clear_env = 1), 0);
    CHECK(strcmp(text, "2--none-none\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, script), 0);
    CHECK(strcmp(text, "-none-gone-kept\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, "grep -zc ^FIRST= /proc/$$/environ", .env = env), 0);
    CHECK(strcmp(text, "1\n") == 0); /* once, not twice */
}

TEST_WAITING(nice_and_session)
{
    char text[64], mine[16];

    CHECK_EQ(shell_text(text, sizeof text, "nice"), 0);
    snprintf(mine, sizeof mine, "%d\n", atoi(text) < 16 ? atoi(text) + 3 : 19); /* 19 is the last */
    CHECK_EQ(shell_text(text, sizeof text, "nice", .nice = 3), 0);
    CHECK(strcmp(text, mine) == 0);
    /* The fields of stat: pid, name, state, parent, group, session. */
    CHECK_EQ(shell_text(text, sizeof text,
                        "read p n s q g h rest </proc/$$/stat; "
                        "[ $$ = $g ] && [ $g != $h ] && echo own group",
                        .group = SKUA_PROCESS_GROUP),
             0);
    CHECK(strcmp(text, "own group\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text,
                        "read p n s q g h rest </proc/$$/stat; "
                        "[ $$ = $g ] && [ $g = $h ] && echo own session",
                        .group = SKUA_PROCESS_SESSION),
             0);
    CHECK(strcmp(text, "own session\n") == 0);
}

static const char signals_script[] =
    "while read name value; do case $name in SigBlk:|SigIgn:) echo $name$value;; esac; "
    "done </proc/$$/status";

/* Threads of the library block signals; the test ignores one. */
TEST_WAITING(signals_are_at_their_defaults)
{
    char text[128];

    signal(SIGUSR2, SIG_IGN);
    CHECK_EQ(shell_text(text, sizeof text, signals_script), 0);
    CHECK(strcmp(text, "SigBlk:0000000000000000\nSigIgn:0000000000000000\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, signals_script, .keep_ignored = 1), 0);
    CHECK(strstr(text, "SigBlk:0000000000000000") != NULL);
    CHECK(strtoul(strstr(text, "SigIgn:") + 7, NULL, 16) & 1UL << (SIGUSR2 - 1));
    signal(SIGUSR2, SIG_DFL);
}

/* Only root may; the memory is copied then. */
TEST_WAITING(user_and_groups)
{
    static const gid_t groups[] = {54321, 54322};
    char text[256];

    if (geteuid() != 0) {
        skua_process *process;

        CHECK_EQ(skua_process_spawn(&process, SKUA_ARGV("true"), .uid = 0, .set_uid = 1), -EPERM);
        return;
    }
    CHECK_EQ(shell_text(text, sizeof text, "id -u; id -g; id -G", .uid = 12345, .set_uid = 1,
                        .gid = 12346, .set_gid = 1),
             0);
    CHECK(strcmp(text, "12345\n12346\n12346\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, "id -u; id -G", .uid = 12345, .set_uid = 1, .gid = 7,
                        .set_gid = 1, .groups = groups, .group_count = 2, .set_groups = 1),
             0);
    CHECK(strcmp(text, "12345\n7 54321 54322\n") == 0);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* The list has the shell's own look at the directory in it, which is closed by then. */
static const char fds_script[] =
    "for fd in /proc/$$/fd/*; do [ -e $fd ] && printf '%s ' ${fd##*/}; done; true";

TEST_WAITING(nothing_leaks_to_a_child)
{
    skua_process_fd fds[2];
    int open[2], high;
    char text[256];

    MUST(pipe(open) == 0); /* not close-on-exec */
    high = dup2(open[1], 200);
    CHECK_EQ(shell_text(text, sizeof text, fds_script), 0);
    CHECK(strcmp(text, "0 1 2 ") == 0);
    fds[0] = (skua_process_fd){.theirs = 5, .ours = open[0]};
    fds[1] = (skua_process_fd){.theirs = 9, .ours = open[1]};
    CHECK_EQ(
        shell_text(text, sizeof text, fds_script, .in = SKUA_STDIO_NULL, .fds = fds, .fd_count = 2),
        0);
    CHECK(strcmp(text, "0 1 2 5 9 ") == 0);
    close(open[0]);
    close(open[1]);
    close(high);
}

/* The shell's own redirections know one digit. */
static const char change_script[] = "echo a >/proc/$$/fd/57; echo b >/proc/$$/fd/58; "
                                    "echo c >/proc/$$/fd/59";

/* Numbers that change places, and one descriptor twice. */
TEST_WAITING(descriptors_change_places)
{
    static const skua_process_fd fds[] = {{59, 58}, {57, 58}, {58, 57}};
    int one[2], two[2];
    skua_process *process;
    char text[16] = "";

    MUST(pipe(one) == 0 && pipe(two) == 0);
    MUST(dup2(one[1], 57) == 57 && dup2(two[1], 58) == 58);
    process = shell_start(change_script, .fds = fds, .fd_count = 3);
    CHECK_EQ(shell_finish(process, text, sizeof text), 0);
    CHECK_EQ(read(two[0], text, sizeof text), 4);
    CHECK(memcmp(text, "a\nc\n", 4) == 0);
    CHECK_EQ(read(one[0], text, sizeof text), 2);
    CHECK(memcmp(text, "b\n", 2) == 0);
    close(57), close(58), close(one[0]), close(one[1]), close(two[0]), close(two[1]);
}

/* ---- what is left of all that ---------------------------------------------------------------- */

static int fds_before;

TEST(nothing_is_before)
{
    CHECK_EQ(shell_run("exit 0"), 0);
    fds_before = shell_quiet_fds();
}

TEST(nothing_is_left)
{
    CHECK_EQ(shell_children_settle(0), 0);
    CHECK_EQ(shell_quiet_fds(), fds_before);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_before),
        TEST_WAITING_ENTRIES(exit_code_is_told),
        TEST_WAITING_ENTRIES(end_by_a_signal_is_told),
        TEST_WAITING_ENTRIES(end_stays_told),
        TEST_WAITING_ENTRIES(deadline_ends_the_wait),
        TEST_WAITING_ENTRIES(failure_of_the_program_is_told),
        cmocka_unit_test(bad_options),
        TEST_WAITING_ENTRIES(program_is_found_as_execvp_does),
        TEST_WAITING_ENTRIES(argv_0_may_be_another_name),
        TEST_WAITING_ENTRIES(directory),
        TEST_WAITING_ENTRIES(environment),
        TEST_WAITING_ENTRIES(nice_and_session),
        TEST_WAITING_ENTRIES(signals_are_at_their_defaults),
        TEST_WAITING_ENTRIES(user_and_groups),
        TEST_WAITING_ENTRIES(nothing_leaks_to_a_child),
        TEST_WAITING_ENTRIES(descriptors_change_places),
        cmocka_unit_test(nothing_is_left),
    };

    setenv("SKUA_GONE", "gone", 1);
    setenv("SKUA_KEPT", "kept", 1);
    return TEST_MAIN(tests);
}
