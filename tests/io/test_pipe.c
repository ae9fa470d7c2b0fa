/* drivers: both */
/* test_pipe.c - pipes and FIFOs: opened without blocking anybody, written without SIGPIPE.
 *
 * Specifies pipe.h: capacity, both ends' lives, FIFOs that wait for the other end or do not, and
 * that a write which nobody reads is an answer, whatever thread and kernel.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/parked.h"
#include "../lib/part.h"
#include "../lib/usage.h"
#include "os/os.h"

static skua_task *start(skua_fiber_fn fn, void *arg)
{
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, fn, arg, .task = &task) == 0);
    return task;
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

/* ---- pipes ----------------------------------------------------------------------------------- */

TEST_WAITING(pipe_carries_bytes_to_its_end)
{
    skua_fd *reader, *writer;
    char buf[8];

    MUST(skua_pipe_new(&reader, &writer, NULL) == 0);
    CHECK(fcntl(skua_fd_number(reader), F_GETFL) & O_NONBLOCK);
    CHECK_EQ(fcntl(skua_fd_number(writer), F_GETFD), FD_CLOEXEC);
    CHECK_EQ(skua_fd_read(writer, buf, 8), SKUA_EUSAGE);
    CHECK_EQ(skua_fd_write(reader, buf, 8), SKUA_EUSAGE);
    CHECK_EQ(skua_fd_read_until(reader, buf, 8, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_write(writer, "abc", 3), 3);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 3);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 0);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
}

TEST_WAITING(pipe_options)
{
    skua_pipe_options options;
    skua_fd *none = (skua_fd *)8, *reader = none, *writer = none;
    int fds = test_fd_count();

    skua_pipe_options_init(&options);
    options.size = 3;
    CHECK_EQ(skua_pipe_new(&reader, &writer, &options), -EINVAL);
    CHECK_EQ(skua_pipe_new(&reader, &writer, SKUA_PIPE_OPTIONS(.capacity = SIZE_MAX)), -EINVAL);
    CHECK(skua_pipe_new(&reader, &writer, SKUA_PIPE_OPTIONS(.capacity = INT32_MAX)) < 0);
    CHECK(reader == none && writer == none);
    CHECK_EQ(test_fd_count(), fds);
    MUST(skua_pipe_new(&reader, &writer, SKUA_PIPE_OPTIONS(.capacity = 4096)) == 0);
    CHECK_EQ(fcntl(skua_fd_number(reader), F_GETPIPE_SZ), 4096);
    for (size_t sent = 0; sent < 4096; sent += 512)
        CHECK_EQ(skua_fd_try_write(writer, (char[512]){0}, 512), 512);
    CHECK_EQ(skua_fd_try_write(writer, "x", 1), -EAGAIN);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(test_fd_count(), fds);
}

/* ---- SIGPIPE --------------------------------------------------------------------------------- */

static void writes_in_vain(void)
{
    skua_fd *reader, *writer;
    struct iovec iov = {"abc", 3};
    int ends[2];

    MUST(skua_pipe_new(&reader, &writer, NULL) == 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_write(writer, "abc", 3), -EPIPE);
    CHECK_EQ(skua_fd_write_all(writer, "abc", 3), -EPIPE);
    CHECK_EQ(skua_fd_try_write(writer, "abc", 3), -EPIPE);
    CHECK_EQ(skua_fd_writev(writer, &iov, 1), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);
    /* A socket that was adopted, too. */
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    MUST(skua_fd_adopt(&writer, ends[0], 0) == 0);
    close(ends[1]);
    CHECK_EQ(skua_fd_write(writer, "abc", 3), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);
}

static int writes_in_vain_fiber(void *arg)
{
    sigset_t pending;

    (void)arg;
    writes_in_vain();
    sigpending(&pending);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 0);
    return 0;
}

/* In a process of its own, which dies of a SIGPIPE. */
static int child_writes_in_vain(bool old_kernel)
{
    sigset_t set, pending;

    atomic_store(&skua__os_no_nosignal, old_kernel);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    writes_in_vain();
    test_each_kind(writes_in_vain_fiber);
    pthread_sigmask(SIG_BLOCK, NULL, &pending);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 0); /* the mask is as it was */
    /* The program's own that is pending stays so. */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    writes_in_vain();
    sigpending(&pending);
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    printf("alive, %d failures\n", test_failures());
    return test_failures();
}

TEST(pipe_write_in_vain_raises_no_signal)
{
    struct test_child child;

    CHECK_EQ(test_child_run(&child, "new", NULL), 0);
    CHECK(strstr(child.text, "alive, 0") != NULL);
    CHECK_EQ(test_child_run(&child, "old", NULL), 0);
    CHECK(strstr(child.text, "alive, 0") != NULL);
    if (test_failures() != 0)
        test_note("%s", child.text);
}

/* ---- FIFOs ----------------------------------------------------------------------------------- */

static char fifo_path[64];

static const char *fifo_new(void)
{
    static atomic_int count;

    snprintf(fifo_path, sizeof fifo_path, "/tmp/skua-fifo-%d-%d", (int)getpid(),
             atomic_fetch_add(&count, 1));
    unlink(fifo_path);
    MUST(mkfifo(fifo_path, 0600) == 0);
    return fifo_path;
}

TEST_WAITING(fifo_reader_opens_at_once)
{
    const char *path = fifo_new();
    skua_fd *reader, *writer;
    char buf[8];

    MUST(skua_fifo_open(&reader, path, SKUA_FIFO_READ) == 0);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 0); /* nobody writes: the end */
    MUST(skua_fifo_open(&writer, path, SKUA_FIFO_WRITE) == 0);
    CHECK_EQ(skua_fd_read_until(reader, buf, 8, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_write(writer, "abc", 3), 3);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 3);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    unlink(path);
}

TEST_WAITING(fifo_patient_reader_has_no_end_before_a_writer)
{
    const char *path = fifo_new();
    skua_fd *reader, *writer;
    char buf[8];

    MUST(skua_fifo_open(&reader, path, SKUA_FIFO_READ | SKUA_FIFO_PATIENT) == 0);
    CHECK_EQ(skua_fd_try_read(reader, buf, 8), -EAGAIN);
    CHECK_EQ(skua_fd_read_until(reader, buf, 8, skua_now() + MS(3)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_readable_until(reader, skua_now() + MS(3)), -ETIMEDOUT);
    MUST(skua_fifo_open(&writer, path, SKUA_FIFO_WRITE) == 0);
    CHECK_EQ(skua_fd_read_until(reader, buf, 8, skua_now() + MS(3)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_write(writer, "abc", 3), 3);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 3);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    /* A writer that came and left without a word is an end, too. */
    MUST(skua_fifo_open(&reader, path, SKUA_FIFO_READ | SKUA_FIFO_PATIENT) == 0);
    CHECK_EQ(skua_fd_try_read(reader, buf, 8), -EAGAIN);
    MUST(skua_fifo_open(&writer, path, SKUA_FIFO_WRITE) == 0);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(skua_fd_read_until(reader, buf, 8, skua_now() + TEST_LATE), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    unlink(path);
}

TEST_WAITING(fifo_of_a_server_has_no_end)
{
    const char *path = fifo_new();
    skua_fd *server, *client;
    char buf[8];

    MUST(skua_fifo_open(&server, path, SKUA_FIFO_READ | SKUA_FIFO_WRITE) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_fd_read_until(server, buf, 8, skua_now() + MS(2)), -ETIMEDOUT);
        MUST(skua_fifo_open(&client, path, SKUA_FIFO_WRITE) == 0);
        CHECK_EQ(skua_fd_write(client, "job", 3), 3);
        CHECK_EQ(skua_fd_close(client), 0);
        CHECK_EQ(skua_fd_read(server, buf, 8), 3);
    }
    CHECK_EQ(skua_fd_close(server), 0);
    unlink(path);
}

static int opens_for_writing(void *arg)
{
    skua_fd *writer;
    int rc = skua_fifo_open(&writer, fifo_path, SKUA_FIFO_WRITE);

    (void)arg;
    if (rc != 0)
        return rc;
    CHECK_EQ(skua_fd_write(writer, "abc", 3), 3);
    return skua_fd_close(writer);
}

static int beats(void *arg)
{
    while (skua_sleep(MS(1)) == 0)
        atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* The worker goes on meanwhile; a cancel, a deadline and a reader end the wait. */
TEST_FIBER(fifo_writer_waits_for_a_reader)
{
    const char *path = fifo_new();
    atomic_int heart = 0;
    skua_fd *reader, *writer = NULL;
    skua_task *pulse = start(beats, &heart), *task = start(opens_for_writing, NULL);
    int fds = test_fd_count();
    char buf[8];

    test_until_parked(task, "fifo.open");
    for (int beats_before = atomic_load(&heart); atomic_load(&heart) < beats_before + 3;)
        skua_sleep(MS(1));
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), -ECANCELED);
    CHECK_EQ(skua_fifo_open_until(&writer, path, SKUA_FIFO_WRITE, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_select(skua_fifo_opening(&writer, path, SKUA_FIFO_WRITE), skua_sleeping(MS(3))),
             1);
    CHECK(writer == NULL);
    CHECK_EQ(test_fd_count(), fds);
    task = start(opens_for_writing, NULL);
    test_until_parked(task, "fifo.open");
    MUST(skua_fifo_open(&reader, path, SKUA_FIFO_READ | SKUA_FIFO_PATIENT) == 0);
    CHECK_EQ(skua_fd_read(reader, buf, 8), 3);
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_task_cancel(pulse), 0);
    CHECK_EQ(finish(pulse), 0);
    unlink(path);
    return 0;
}

static void *reads_as_a_shell_does(void *arg)
{
    int fd = open(arg, O_RDONLY); /* blocks until there is a writer */
    char buf[8];

    CHECK_EQ(read(fd, buf, 8), 3);
    close(fd);
    return NULL;
}

/* `cat fifo`: a reader that is inside its own open is enough. */
TEST_FIBER(fifo_writer_meets_a_blocking_reader)
{
    const char *path = fifo_new();
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, reads_as_a_shell_does, (void *)(uintptr_t)path) == 0);
    CHECK_EQ(opens_for_writing(NULL), 0);
    pthread_join(thread, NULL);
    unlink(path);
    return 0;
}

/* Seconds of waiting, in no time. */
static int waits_a_minute(void *arg)
{
    skua_fd *writer = NULL;
    int64_t begin = skua_now();

    CHECK_EQ(skua_fifo_open_until(&writer, arg, SKUA_FIFO_WRITE, begin + SKUA_MINUTE), -ETIMEDOUT);
    CHECK_EQ(skua_now() - begin, SKUA_MINUTE);
    return 0;
}

TEST(fifo_writer_waits_by_the_tests_clock)
{
    const char *path = fifo_new();

    CHECK_EQ(skua_test_run(waits_a_minute, (void *)(uintptr_t)path, NULL), 0);
    unlink(path);
}

TEST_WAITING(fifo_refuses_what_is_none)
{
    static const unsigned modes[] = {0, 4, 6, 7, 8, 9};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    skua_fd *fd = NULL;
    int number = socket(AF_UNIX, SOCK_STREAM, 0);
    int fds = test_fd_count();

    for (size_t i = 0; i < TEST_LEN(modes); i++)
        CHECK_EQ(skua_fifo_open(&fd, "/tmp/nothing", modes[i]), -EINVAL);
    CHECK_EQ(skua_fifo_open(&fd, "/tmp/skua/no/such", SKUA_FIFO_READ), -ENOENT);
    CHECK_EQ(skua_fifo_open(&fd, "/tmp/skua/no/such", SKUA_FIFO_WRITE), -ENOENT);
    CHECK_EQ(skua_fifo_open(&fd, "/dev/null", SKUA_FIFO_WRITE), -EINVAL);
    CHECK_EQ(skua_fifo_open(&fd, "/proc/self/status", SKUA_FIFO_READ), -EINVAL);
    CHECK_EQ(skua_fifo_open(&fd, "/tmp", SKUA_FIFO_READ), -EINVAL);
    CHECK_EQ(skua_fifo_open(&fd, "/tmp", SKUA_FIFO_WRITE), -EINVAL);
    /* A socket says ENXIO, as a FIFO without a reader does; it would be waited for without end. */
    snprintf(name.sun_path, sizeof name.sun_path, "/tmp/skua-socket-%d", (int)getpid());
    unlink(name.sun_path);
    MUST(bind(number, (struct sockaddr *)&name, sizeof name) == 0);
    CHECK_EQ(skua_fifo_open(&fd, name.sun_path, SKUA_FIFO_WRITE), -EINVAL);
    unlink(name.sun_path);
    CHECK(fd == NULL);
    CHECK_EQ(test_fd_count(), fds);
    close(number);
}

/* ---- faults ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
TEST(pipe_faults_leave_nothing)
{
    static const enum skua__fault kinds[] = {SKUA__FAULT_MALLOC, SKUA__FAULT_SYSCALL};
    int fds = test_fd_count(), errors = 0;

    for (size_t k = 0; k < TEST_LEN(kinds); k++)
        for (unsigned n = 1, failed = 1; failed != 0; n++) {
            skua_fd *fd[100][2];
            int count = 0, rc = 0;

            /* As many as it takes until slots are allocated, not found. */
            for (; count < 100 && rc == 0; count += rc == 0) {
                skua__fault_arm(kinds[k], n, 1, ENOMEM);
                rc = skua_pipe_new(&fd[count][0], &fd[count][1],
                                   SKUA_PIPE_OPTIONS(.capacity = 4096));
                skua__fault_arm(kinds[k], 0, 0, 0);
            }
            CHECK(rc == 0 || rc == -ENOMEM);
            failed = rc != 0;
            errors += rc != 0;
            while (count-- > 0) {
                CHECK_EQ(skua_fd_close(fd[count][0]), 0);
                CHECK_EQ(skua_fd_close(fd[count][1]), 0);
            }
            CHECK_EQ(test_fd_count(), fds);
        }
    CHECK_EQ(errors, 2 + 2);
}

TEST(fifo_faults_leave_nothing)
{
    const char *path = fifo_new();
    int fds = test_fd_count(), errors = 0, rc;

    do {
        skua_fd *fd = NULL;

        skua__fault_arm(SKUA__FAULT_SYSCALL, (unsigned)errors + 1, 1, EMFILE);
        rc = skua_fifo_open(&fd, path, SKUA_FIFO_READ);
        skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
        CHECK(rc == 0 || (rc == -EMFILE && fd == NULL));
        errors += rc != 0;
        CHECK_EQ(skua_fd_close(fd), 0);
        CHECK_EQ(test_fd_count(), fds);
    } while (rc != 0);
    CHECK_EQ(errors, 2);
    unlink(path);
}
#endif

static int child_main(const char *mode)
{
    return child_writes_in_vain(strcmp(mode, "old") == 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(pipe_carries_bytes_to_its_end),
        TEST_WAITING_ENTRIES(pipe_options),
        cmocka_unit_test(pipe_write_in_vain_raises_no_signal),
        TEST_WAITING_ENTRIES(fifo_reader_opens_at_once),
        TEST_WAITING_ENTRIES(fifo_patient_reader_has_no_end_before_a_writer),
        TEST_WAITING_ENTRIES(fifo_of_a_server_has_no_end),
        cmocka_unit_test(fifo_writer_waits_for_a_reader),
        cmocka_unit_test(fifo_writer_meets_a_blocking_reader),
        cmocka_unit_test(fifo_writer_waits_by_the_tests_clock),
        TEST_WAITING_ENTRIES(fifo_refuses_what_is_none),
#ifdef SKUA_FAULTS
        cmocka_unit_test(pipe_faults_leave_nothing),
        cmocka_unit_test(fifo_faults_leave_nothing),
#endif
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
