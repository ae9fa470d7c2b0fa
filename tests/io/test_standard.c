/* drivers: both */
/* test_standard.c - standard input, output and error, whatever they are, and as they were after us.
 *
 * Specifies standard.h: children whose streams are terminals, pipes, files, sockets and devices
 * copy their input to their output; the open file that they were given never becomes non-blocking,
 * or is blocking again when they have closed it.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/harness.h"
#include "../lib/usage.h"
#include "os/os.h"

/* ---- the child: copies ----------------------------------------------------------------------- */

static int copies_until_the_end(skua_fd *in, skua_fd *out, skua_fd *err)
{
    char buf[5000];
    ssize_t n;

    if (skua_fd_number(in) < 3 || skua_fd_number(out) < 3)
        return 3;
    while ((n = skua_fd_read(in, buf, sizeof buf)) > 0 && memcmp(buf, "quit", 4) != 0)
        if (skua_fd_write_all(out, buf, (size_t)n) != n)
            return 4;
    if (skua_fd_write(err, "end", 3) != 3)
        return 5;
    return n < 0 ? 6 : 0;
}

static int copies(void *arg)
{
    skua_fd *in, *out, *err;
    int result;

    (void)arg;
    if (skua_stdin_open(&in) != 0 || skua_stdout_open(&out) != 0 || skua_stderr_open(&err) != 0)
        return 2;
    result = copies_until_the_end(in, out, err);
    return skua_fd_close(in) | skua_fd_close(out) | skua_fd_close(err) ? 7 : result;
}

static int child_main(const char *mode)
{
    skua_runtime *runtime;
    int result = 9;

    if (strcmp(mode, "thread") == 0)
        return copies(NULL);
    if (skua_runtime_new(&runtime, NULL) != 0 || skua_block_on(runtime, copies, NULL, &result) != 0)
        return 10;
    skua_runtime_free(runtime);
    return result;
}

static int child_start(const char *mode, int in, int out, int err)
{
    int pid = fork();

    MUST(pid >= 0);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    test_self_exec(mode, environ);
}

static int child_end(int pid)
{
    int status = -1;

    MUST(waitpid(pid, &status, 0) == pid);
    return status;
}

static bool is_nonblocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* Reads until `text` has come, at most 10 s. */
static bool hears(int fd, const char *text)
{
    static char heard[4096];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    size_t len = 0;

    while (poll(&wait, 1, 10000) == 1) {
        ssize_t n = read(fd, heard + len, sizeof heard - 1 - len);

        if (n <= 0)
            return false;
        len += (size_t)n;
        heard[len] = '\0';
        if (strstr(heard, text) != NULL)
            return true;
    }
    return false;
}

static const char *const modes[] = {"thread", "fiber"};

/* ---- terminals ------------------------------------------------------------------------------- */

static void terminal_new(int *master, int *slave)
{
    struct termios termios;

    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0);
    *slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    MUST(*slave >= 0);
    MUST(tcgetattr(*slave, &termios) == 0);
    termios.c_lflag &= ~(tcflag_t)ECHO;
    MUST(tcsetattr(*slave, TCSANOW, &termios) == 0);
}

/* All three streams are one terminal, as in a shell. */
TEST(standard_terminal_stays_blocking)
{
    for (size_t i = 0; i < TEST_LEN(modes); i++) {
        int master, slave, pid;

        terminal_new(&master, &slave);
        pid = child_start(modes[i], slave, slave, slave);
        CHECK_EQ(write(master, "hello\nworld\n", 12), 12); /* a line at a time */
        CHECK(hears(master, "world"));
        CHECK(!is_nonblocking(slave));
        CHECK_EQ(write(master, "again\n", 6), 6);
        CHECK(hears(master, "again"));
        CHECK_EQ(write(master, "\4", 1), 1); /* ^D */
        CHECK(hears(master, "end"));
        CHECK_EQ(child_end(pid), 0);
        CHECK(!is_nonblocking(slave));
        close(master);
        close(slave);
    }
}

/* A terminal that nobody reads is full: the write waits, and goes on. */
TEST(standard_terminal_that_is_full)
{
    int master, slave, ends[2], pid;
    size_t len = 0;
    ssize_t n;
    char buf[4096];

    terminal_new(&master, &slave);
    MUST(pipe2(ends, O_CLOEXEC) == 0);
    pid = child_start("fiber", ends[0], slave, ends[1]);
    memset(buf, 'x', sizeof buf);
    for (int i = 0; i < 15; i++)
        CHECK_EQ(write(ends[1], buf, sizeof buf), sizeof buf);
    test_thread_sleep(MS(100));
    while (len < 15 * sizeof buf && (n = read(master, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], 'x');
        len += (size_t)n;
    }
    CHECK_EQ(len, 15 * sizeof buf);
    CHECK_EQ(write(ends[1], "quit", 4), 4);
    CHECK_EQ(child_end(pid), 0);
    close(ends[0]);
    close(ends[1]);
    close(master);
    close(slave);
}

/* The master of a terminal may not be opened anew (that makes a new one): shared, and put back. */
TEST(standard_master_of_a_terminal_is_blocking_again)
{
    int master, slave, pid;
    struct termios termios;

    terminal_new(&master, &slave);
    MUST(tcgetattr(slave, &termios) == 0);
    cfmakeraw(&termios);
    MUST(tcsetattr(slave, TCSANOW, &termios) == 0);
    pid = child_start("fiber", master, master, master);
    CHECK_EQ(write(slave, "hello", 5), 5);
    CHECK(hears(slave, "hello"));
    CHECK(is_nonblocking(master)); /* meanwhile */
    CHECK_EQ(write(slave, "quit", 4), 4);
    CHECK(hears(slave, "end"));
    CHECK_EQ(child_end(pid), 0);
    CHECK(!is_nonblocking(master));
    close(master);
    close(slave);
}

/* ---- pipes, sockets, files, devices ---------------------------------------------------------- */

TEST(standard_pipes_stay_blocking)
{
    for (size_t i = 0; i < TEST_LEN(modes); i++) {
        int in[2], out[2], pid;

        MUST(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        pid = child_start(modes[i], in[0], out[1], out[1]);
        CHECK_EQ(write(in[1], "hello", 5), 5);
        CHECK(hears(out[0], "hello"));
        CHECK(!is_nonblocking(in[0]) && !is_nonblocking(out[1]));
        close(in[0]);
        close(in[1]); /* the end */
        close(out[1]);
        CHECK(hears(out[0], "end"));
        CHECK_EQ(child_end(pid), 0);
        close(out[0]);
    }
}

/* Nobody reads the output: an answer, not a signal. */
TEST(standard_output_that_nobody_reads)
{
    int in[2], out[2], pid;

    MUST(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid = child_start("fiber", in[0], out[1], STDERR_FILENO);
    close(out[0]);
    close(out[1]);
    CHECK_EQ(write(in[1], "hello", 5), 5);
    CHECK_EQ(WEXITSTATUS(child_end(pid)), 4);
    close(in[0]);
    close(in[1]);
}

TEST(standard_socket_stays_blocking)
{
    int ends[2], pid;

    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    pid = child_start("fiber", ends[0], ends[0], ends[0]);
    CHECK_EQ(write(ends[1], "hello", 5), 5);
    CHECK(hears(ends[1], "hello"));
    CHECK(!is_nonblocking(ends[0]));
    shutdown(ends[1], SHUT_WR);
    CHECK(hears(ends[1], "end"));
    CHECK_EQ(child_end(pid), 0);
    CHECK(!is_nonblocking(ends[0]));
    close(ends[0]);
    close(ends[1]);
}

TEST(standard_files_and_devices)
{
    char name[] = "/tmp/skua-standard-XXXXXX";
    int file = mkstemp(name), null = open("/dev/null", O_RDWR | O_CLOEXEC), out[2];
    char buf[16];

    MUST(file >= 0 && null >= 0 && pipe2(out, O_CLOEXEC) == 0);
    CHECK_EQ(write(file, "hello", 5), 5);
    lseek(file, 0, SEEK_SET);
    CHECK_EQ(child_end(child_start("fiber", file, out[1], null)), 0);
    CHECK(hears(out[0], "hello"));
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 5); /* the position is shared */
    CHECK_EQ(ftruncate(file, 0), 0);
    lseek(file, 0, SEEK_SET);
    CHECK_EQ(write(out[1], "quit", 4), 4);
    CHECK_EQ(child_end(child_start("fiber", out[0], null, file)), 0);
    lseek(file, 0, SEEK_SET);
    CHECK_EQ(read(file, buf, sizeof buf), 3);
    CHECK_EQ(child_end(child_start("thread", null, null, null)), 0);
    unlink(name);
    close(file);
    close(null);
    close(out[0]);
    close(out[1]);
}

/* ---- in this process ------------------------------------------------------------------------- */

static void with_stream(int stream, int fd, void (*check)(void))
{
    int before = fcntl(stream, F_DUPFD_CLOEXEC, 100);

    dup2(fd, stream);
    check();
    dup2(before, stream);
    close(before);
}

static void opens_a_closed_one(void)
{
    skua_fd *untouched = (skua_fd *)8, *fd = untouched;

    close(0);
    CHECK_EQ(skua_stdin_open(&fd), -EBADF);
    CHECK(fd == untouched);
}

static void opens_one_for_writing(void)
{
    skua_fd *untouched = (skua_fd *)8, *fd = untouched;

    CHECK_EQ(skua_stdin_open(&fd), -EBADF);
    CHECK(fd == untouched);
}

TEST(standard_stream_that_is_not_there)
{
    int ends[2];

    MUST(pipe(ends) == 0);
    with_stream(0, ends[0], opens_a_closed_one);
    with_stream(0, ends[1], opens_one_for_writing);
    close(ends[0]);
    close(ends[1]);
}

#ifdef SKUA_FAULTS
/* Where it may not be opened anew it is shared, by two handles of one file: the last one puts it
 * back, in whatever order they go. */
static void shares(void)
{
    for (int order = 0; order < 2; order++) {
        int fds = test_fd_count();
        skua_fd *fd[2];
        char byte;

        for (int i = 0; i < 2; i++) {
            skua__fault_arm(SKUA__FAULT_SYSCALL, 3, 1, EACCES);
            MUST(skua_stdin_open(&fd[i]) == 0);
            skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
        }
        CHECK(is_nonblocking(0));
        CHECK_EQ(skua_fd_try_read(fd[0], &byte, 1), -EAGAIN);
        CHECK_EQ(skua_fd_close(fd[order]), 0);
        CHECK(is_nonblocking(0));
        CHECK_EQ(skua_fd_try_read(fd[!order], &byte, 1), -EAGAIN);
        CHECK_EQ(skua_fd_close(fd[!order]), 0);
        CHECK(!is_nonblocking(0));
        CHECK_EQ(test_fd_count(), fds);
    }
}

static skua_fd *share_stdin(void)
{
    skua_fd *fd;

    skua__fault_arm(SKUA__FAULT_SYSCALL, 3, 1, EACCES);
    MUST(skua_stdin_open(&fd) == 0);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    return fd;
}

/* The parent's handle is closed; then one of its own is opened and closed. */
_Noreturn static void forked_child(skua_fd *parents, int fds)
{
    skua_fd *own;
    bool stayed, used, put_back;

    alarm(20);
    stayed = skua_fd_close(parents) == 0 && is_nonblocking(0);
    own = share_stdin();
    used = is_nonblocking(0) && skua_fd_close(own) == 0 && is_nonblocking(0);
    fcntl(0, F_SETFL, 0);
    own = share_stdin();
    put_back = is_nonblocking(0) && skua_fd_close(own) == 0 && !is_nonblocking(0);
    fcntl(0, F_SETFL, O_NONBLOCK); /* as the parent needs it */
    _exit((stayed ? 0 : 1) + (used ? 0 : 2) + (put_back ? 0 : 4) +
          (test_fd_count() == fds ? 0 : 8));
}

/* The open file is the parent's, too, who needs it non-blocking until its own last close. */
static void shares_with_a_forked_child(void)
{
    int fds = test_fd_count(), pid;
    skua_fd *fd = share_stdin();
    char byte;

    pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        forked_child(fd, fds);
    CHECK_EQ(child_end(pid), 0);
    CHECK(is_nonblocking(0));
    CHECK_EQ(skua_fd_try_read(fd, &byte, 1), -EAGAIN);
    CHECK_EQ(skua_fd_close(fd), 0);
    CHECK(!is_nonblocking(0));
}

/* One that was non-blocking before is so after. */
static void shares_a_nonblocking_one(void)
{
    skua_fd *fd;

    skua__fault_arm(SKUA__FAULT_SYSCALL, 3, 1, EACCES);
    MUST(skua_stdin_open(&fd) == 0);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(skua_fd_close(fd), 0);
    CHECK(is_nonblocking(0));
}

static void fails_in_every_place(void)
{
    int fds = test_fd_count(), errors = 0, rc;

    do {
        skua_fd *fd = NULL;

        skua__fault_arm(SKUA__FAULT_SYSCALL, (unsigned)errors + 1, 1000, EMFILE);
        rc = skua_stdin_open(&fd);
        skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
        CHECK(rc == 0 || (rc == -EMFILE && fd == NULL));
        errors += rc != 0;
        CHECK_EQ(skua_fd_close(fd), 0);
        CHECK_EQ(test_fd_count(), fds);
        CHECK(!is_nonblocking(0));
    } while (rc != 0);
    CHECK_EQ(errors, 3);
}

TEST(standard_shared_stream_is_put_back)
{
    int ends[2];

    MUST(pipe(ends) == 0);
    with_stream(0, ends[0], shares);
    if (!TEST_TSAN && !TEST_EMULATED)
        with_stream(0, ends[0], shares_with_a_forked_child);
    with_stream(0, ends[0], fails_in_every_place);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    with_stream(0, ends[0], shares_a_nonblocking_one);
    close(ends[0]);
    close(ends[1]);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_terminal_stays_blocking),
        cmocka_unit_test(standard_terminal_that_is_full),
        cmocka_unit_test(standard_master_of_a_terminal_is_blocking_again),
        cmocka_unit_test(standard_pipes_stay_blocking),
        cmocka_unit_test(standard_output_that_nobody_reads),
        cmocka_unit_test(standard_socket_stays_blocking),
        cmocka_unit_test(standard_files_and_devices),
        cmocka_unit_test(standard_stream_that_is_not_there),
#ifdef SKUA_FAULTS
        cmocka_unit_test(standard_shared_stream_is_put_back),
#endif
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
