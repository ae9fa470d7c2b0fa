/* drivers: both */
/* test_process_output.c - what is said to a child, and what it says.
 *
 * Specifies skua_process_output, and the pipes and other streams of process.h.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "part.h"
#include "shell.h"
#include "usage.h"

#define BIG 300000 /* more than the pipes of any system hold */

static char big[BIG], big_out[BIG + 1], big_err[BIG + 1];

static int output(const char *script, skua_process_text *text, int64_t deadline)
{
    return skua_process_output(SKUA_ARGV("sh", "-c", script), text, deadline);
}

/* ---- all at once ----------------------------------------------------------------------------- */

TEST_WAITING(both_outputs_are_collected)
{
    char out[16], err[16];
    skua_process_text text = {.out = out, .out_size = 16, .err = err, .err_size = 16};

    CHECK_EQ(output("echo one; echo two >&2; exit 3", &text, SKUA_FOREVER), 0);
    CHECK_EQ(text.status.code, 3);
    CHECK_EQ(text.out_len, 4);
    CHECK(strcmp(out, "one\n") == 0);
    CHECK_EQ(text.err_len, 4);
    CHECK(strcmp(err, "two\n") == 0);
    CHECK_EQ(text.truncated, 0);
}

/* Both sides write more than the pipes hold, before they read: nobody waits for the other. */
TEST_WAITING(nobody_waits_for_the_other)
{
    skua_process_text text = {.in = big,
                              .in_len = BIG,
                              .out = big_out,
                              .out_size = BIG + 1,
                              .err = big_err,
                              .err_size = BIG + 1};

    memset(big_out, 0, sizeof big_out);
    memset(big_err, 0, sizeof big_err);
    CHECK_EQ(output("tee /proc/self/fd/2", &text, SKUA_FOREVER), 0);
    CHECK_EQ(text.status.code, 0);
    CHECK_EQ(text.out_len, BIG);
    CHECK(memcmp(big_out, big, BIG) == 0);
    CHECK_EQ(text.err_len, BIG);
    CHECK(memcmp(big_err, big, BIG) == 0);
    CHECK_EQ(big_out[BIG], 0);
}

TEST_WAITING(limit_of_a_buffer)
{
    char out[5];
    skua_process_text text = {.out = out, .out_size = sizeof out};

    CHECK_EQ(output("printf 1234", &text, SKUA_FOREVER), 0);
    CHECK_EQ(text.out_len, 4);
    CHECK(strcmp(out, "1234") == 0);
    CHECK_EQ(output("printf 12345; exec sleep 60", &text, SKUA_FOREVER), SKUA_ELIMIT);
    CHECK_EQ(text.out_len, 4);
    CHECK(strcmp(out, "1234") == 0);
    text.truncate = 1;
    CHECK_EQ(output("yes | head -c 200000; exit 4", &text, SKUA_FOREVER), 0);
    CHECK_EQ(text.truncated, 1);
    CHECK_EQ(text.status.code, 4);
    CHECK(strcmp(out, "y\ny\n") == 0);
}

TEST_WAITING(input_that_is_not_read)
{
    skua_process_text text = {.in = big, .in_len = BIG};

    CHECK_EQ(output("exit 3", &text, SKUA_FOREVER), 0); /* its own affair */
    CHECK_EQ(text.status.code, 3);
    text.in_len = 0;
    CHECK_EQ(output("read x || exit 4", &text, SKUA_FOREVER), 0);
    CHECK_EQ(text.status.code, 4);
    text.in_len = BIG;
    CHECK_EQ(output("exec sleep 60", &text, skua_now() + MS(10)), -ETIMEDOUT);
}

TEST_WAITING(deadline_of_an_output)
{
    char out[16];
    skua_process_text text = {.out = out, .out_size = sizeof out};
    int64_t begin = skua_now();

    CHECK_EQ(output("echo one; exec sleep 60", &text, begin + MS(200)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(200), MS(200) + TEST_LATE);
    CHECK(strcmp(out, "one\n") == 0); /* what there was */
    CHECK_EQ(output("exec sleep 60", &text, 0), -ETIMEDOUT);
    CHECK_EQ(text.out_len, 0);
}

static int says_nothing(void *arg)
{
    char out[16];
    skua_process_text text = {.out = out, .out_size = sizeof out};

    atomic_store((atomic_int *)arg, 1);
    return output("exec sleep 60", &text, SKUA_FOREVER);
}

/* And the child is killed: see nothing_is_left. */
TEST_FIBER(cancelled_output)
{
    atomic_int begun = 0;
    skua_task *task;
    int result;

    MUST(skua_spawn(NULL, says_nothing, &begun, .task = &task) == 0);
    test_yield_until(&begun);
    CHECK_EQ(skua_sleep(MS(5)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

TEST_WAITING(output_that_cannot_begin)
{
    char out[16] = "before";
    skua_process_text text = {.out = out, .out_size = 0};

    CHECK_EQ(skua_process_output(SKUA_ARGV("true"), &text, SKUA_FOREVER), -EINVAL);
    text.out_size = 16;
    CHECK_EQ(skua_process_output(SKUA_ARGV("no-such-program"), &text, SKUA_FOREVER), -ENOENT);
    CHECK_EQ(text.out_len, 0);
    CHECK_EQ(out[0], 0);
    CHECK_EQ(skua_process_output(SKUA_ARGV("pwd"), &text, SKUA_FOREVER, .cwd = "/"), 0);
    CHECK(strcmp(out, "/\n") == 0);
}

/* ---- streams --------------------------------------------------------------------------------- */

TEST_WAITING(pipes_both_ways)
{
    skua_process *process;
    skua_fd *in, *out;
    char text[8];

    process = shell_start("while read x; do echo $x$x; done; exit 9", .in = SKUA_STDIO_PIPE,
                          .out = SKUA_STDIO_PIPE);
    in = skua_process_take_in(process);
    out = skua_process_take_out(process);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_fd_write(in, "ab\n", 3), 3);
        CHECK_EQ(skua_fd_read(out, text, sizeof text), 5);
        CHECK(memcmp(text, "abab\n", 5) == 0);
    }
    CHECK_EQ(skua_fd_close(in), 0);
    CHECK_EQ(skua_fd_read(out, text, sizeof text), 0);
    CHECK_EQ(skua_fd_close(out), 0);
    CHECK_EQ(shell_finish(process, text, sizeof text), 9);
}

TEST_WAITING(streams_of_each_kind)
{
    char text[64];
    int ends[2];

    CHECK_EQ(shell_text(text, sizeof text, "echo one; echo two >&2", .err = SKUA_STDIO_OUT), 0);
    CHECK(strcmp(text, "one\ntwo\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, "read x || echo end; readlink /proc/$$/fd/2",
                        .in = SKUA_STDIO_NULL, .err = SKUA_STDIO_NULL),
             0);
    CHECK(strcmp(text, "end\n/dev/null\n") == 0);
    MUST(pipe(ends) == 0);
    CHECK_EQ(shell_text(text, sizeof text, "echo one >&2", .err = SKUA_STDIO_FD(ends[1])), 0);
    CHECK_EQ(read(ends[0], text, sizeof text), 4);
    CHECK_EQ(fcntl(ends[1], F_GETFD), 0); /* as it was */
    close(ends[0]);
    close(ends[1]);
}

/* The child's end blocks, as programs expect; ours does not. */
TEST_WAITING(pipes_of_a_child_block)
{
    char text[64];

    CHECK_EQ(shell_text(text, sizeof text,
                        "while read name value; do case $name in flags:) echo $value;; esac; done "
                        "</proc/$$/fdinfo/1"),
             0);
    CHECK_EQ(strtol(text, NULL, 8) & O_NONBLOCK, 0);
    CHECK(strtol(text, NULL, 8) & O_WRONLY);
}

/* What has no standard stream itself hands none on, and no pipe by accident. */
TEST(closed_streams_stay_closed)
{
    int saved = fcntl(0, F_DUPFD_CLOEXEC, 100);
    char text[64];

    close(0);
    CHECK_EQ(shell_text(text, sizeof text, "[ -e /proc/$$/fd/0 ] || echo closed"), 0);
    CHECK(strcmp(text, "closed\n") == 0);
    CHECK_EQ(shell_text(text, sizeof text, "read x; echo $?", .in = SKUA_STDIO_NULL), 0);
    CHECK(strcmp(text, "1\n") == 0);
    if (saved >= 0) {
        dup2(saved, 0);
        close(saved);
    }
}

/* ---- what is left of all that ---------------------------------------------------------------- */

static int fds_before;

TEST(nothing_is_before)
{
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)('a' + i % 26);
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
        TEST_WAITING_ENTRIES(both_outputs_are_collected),
        TEST_WAITING_ENTRIES(nobody_waits_for_the_other),
        TEST_WAITING_ENTRIES(limit_of_a_buffer),
        TEST_WAITING_ENTRIES(input_that_is_not_read),
        TEST_WAITING_ENTRIES(deadline_of_an_output),
        cmocka_unit_test(cancelled_output),
        TEST_WAITING_ENTRIES(output_that_cannot_begin),
        TEST_WAITING_ENTRIES(pipes_both_ways),
        TEST_WAITING_ENTRIES(streams_of_each_kind),
        TEST_WAITING_ENTRIES(pipes_of_a_child_block),
        cmocka_unit_test(closed_streams_stay_closed),
        cmocka_unit_test(nothing_is_left),
    };

    return TEST_MAIN(tests);
}
