/* drivers: both */
/* test_fd_io.c - descriptors as streams of bytes: pipes, sockets, the standard streams.
 *
 * Specifies fd.h, skua_fd_io: short reads and writes, several buffers, the end, the half-close of
 * sockets, closing, deadlines, cancellation; under a reader of lines, and under copies.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/child.h"
#include "../lib/part.h"
#include "../lib/sockets.h"
#include "../lib/usage.h"

static void io_pipe(skua_fd **reader, skua_fd **writer)
{
    MUST(skua_pipe_new(reader, writer, NULL) == 0);
}

static void io_sockets(skua_fd *ends[2])
{
    int numbers[2];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, numbers) == 0);
    for (int i = 0; i < 2; i++)
        MUST(skua_fd_adopt(&ends[i], numbers[i], 0) == 0);
}

TEST_WAITING(fd_io_of_a_pipe)
{
    struct iovec iov[2] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cd", 2}};
    skua_fd *reader, *writer;
    char buf[16];

    io_pipe(&reader, &writer);
    CHECK_EQ(strcmp(skua_fd_io(reader).ops->name, "fd"), 0);
    CHECK_EQ(skua_io_write_all(skua_fd_io(writer), "12345", 5), 5);
    CHECK_EQ(skua_fd_io(writer).ops->writev(writer, iov, 2, SKUA_FOREVER), 4);
    CHECK_EQ(skua_io_read_exact(skua_fd_io(reader), buf, 3), 3);
    CHECK_EQ(memcmp(buf, "123", 3), 0);
    CHECK_EQ(skua_io_read(skua_fd_io(reader), buf, 0), 0);
    CHECK_EQ(skua_io_read(skua_fd_io(reader), buf, sizeof buf), 6); /* what is there: short */
    CHECK_EQ(memcmp(buf, "45abcd", 6), 0);
    CHECK_EQ(skua_io_read_until(skua_fd_io(reader), buf, 4, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_io_read(skua_fd_io(writer), buf, 4), SKUA_EUSAGE);
    CHECK_EQ(skua_io_write(skua_fd_io(reader), buf, 4), SKUA_EUSAGE);
    CHECK_EQ(skua_io_shutdown(skua_fd_io(writer)), 0); /* a pipe has no such end … */
    CHECK_EQ(skua_io_write(skua_fd_io(writer), "x", 1), 1);
    CHECK_EQ(skua_io_read(skua_fd_io(reader), buf, 4), 1);
    CHECK_EQ(skua_fd_close(writer), 0); /* … but this one */
    CHECK_EQ(skua_io_read(skua_fd_io(reader), buf, 4), 0);
    CHECK_EQ(skua_io_read_exact(skua_fd_io(reader), buf, 4), SKUA_EEOF);
    CHECK_EQ(skua_io_write(skua_fd_io(writer), "x", 1), SKUA_ECLOSED);
    CHECK_EQ(skua_io_shutdown(skua_fd_io(writer)), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_io_read(skua_fd_io(reader), buf, 4), SKUA_ECLOSED);
}

TEST_WAITING(fd_io_nobody_reads)
{
    skua_fd *reader, *writer;

    io_pipe(&reader, &writer);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_io_write_all(skua_fd_io(writer), "x", 1), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);
}

/* A pipe takes 64 KiB and no more: a write is short, and a deadline ends the next. */
TEST_WAITING(fd_io_short_writes)
{
    static char buf[1 << 20];
    struct iovec iov = {buf, sizeof buf};
    skua_fd *reader, *writer;
    ssize_t n;

    io_pipe(&reader, &writer);
    n = skua_io_write(skua_fd_io(writer), buf, sizeof buf);
    CHECK_RANGE(n, 1, sizeof buf - 1);
    CHECK_EQ(skua_io_write_until(skua_fd_io(writer), buf, 1, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_io(writer).ops->writev(writer, &iov, 1, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
}

TEST_WAITING(fd_io_half_close_of_a_socket)
{
    skua_fd *ends[2];
    char buf[8];

    io_sockets(ends);
    CHECK_EQ(skua_io_write_all(skua_fd_io(ends[0]), "bye", 3), 3);
    CHECK_EQ(skua_io_shutdown(skua_fd_io(ends[0])), 0);
    CHECK_EQ(skua_io_read_exact(skua_fd_io(ends[1]), buf, 3), 3);
    CHECK_EQ(skua_io_read(skua_fd_io(ends[1]), buf, 3), 0);
    CHECK_EQ(skua_io_write(skua_fd_io(ends[0]), "x", 1), -EPIPE);
    CHECK_EQ(skua_io_write_all(skua_fd_io(ends[1]), "too", 3), 3); /* the other way goes on */
    CHECK_EQ(skua_io_read_exact(skua_fd_io(ends[0]), buf, 3), 3);
    skua_fd_close(ends[0]);
    skua_fd_close(ends[1]);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static int io_reads(void *arg)
{
    char buf[8];

    return (int)skua_io_read(skua_fd_io(arg), buf, sizeof buf);
}

static int io_writes(void *arg)
{
    static const char buf[1 << 18];

    return (int)skua_io_write_all(skua_fd_io(arg), buf, sizeof buf);
}

static skua_task *io_start(skua_fiber_fn fn, skua_fd *fd)
{
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, fn, fd, .task = &task) == 0);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    return task;
}

static int io_finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

TEST_FIBER(fd_io_ends_with_the_task)
{
    skua_fd *reader, *writer;
    skua_task *task;
    char buf[4];

    io_pipe(&reader, &writer);
    task = io_start(io_reads, reader);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(io_finish(task), -ECANCELED);
    CHECK_EQ(skua_io_write_all(skua_fd_io(writer), "ok", 2), 2); /* nothing was lost */
    CHECK_EQ(skua_io_read_exact(skua_fd_io(reader), buf, 2), 2);
    task = io_start(io_writes, writer);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(io_finish(task), -ECANCELED);
    skua_fd_close(reader);
    skua_fd_close(writer);
    return 0;
}

TEST_FIBER(fd_io_ends_with_the_descriptor)
{
    skua_fd *reader, *writer;
    skua_task *task;

    io_pipe(&reader, &writer);
    task = io_start(io_reads, reader);
    CHECK_EQ(skua_io_read(skua_fd_io(reader), &(char){0}, 1), -EBUSY);
    skua_fd_close(reader);
    CHECK_EQ(io_finish(task), SKUA_ECLOSED);
    skua_fd_close(writer);
    return 0;
}

/* ---- what is built on it --------------------------------------------------------------------- */

#define IO_MANY ((size_t)100000)

static int io_writes_pattern(void *arg)
{
    char buf[1000];
    size_t at = 0;
    int rc = 0;

    while (rc == 0 && at < IO_MANY) {
        test_pattern_fill(buf, sizeof buf, at);
        if (skua_io_write_all(skua_fd_io(arg), buf, sizeof buf) != (ssize_t)sizeof buf)
            rc = -EIO;
        at += sizeof buf;
    }
    skua_fd_close(arg);
    return rc;
}

static int io_copies(void *arg)
{
    skua_fd **fds = arg;
    int64_t n = skua_copy(skua_fd_io(fds[0]), skua_fd_io(fds[1]), SKUA_COPY_ALL,
                          SKUA_COPY_OPTIONS(.buffer = 4096));

    skua_fd_close(fds[0]);
    skua_fd_close(fds[1]);
    return n == (int64_t)IO_MANY ? 0 : -EIO;
}

/* A pipe, a copy, a socket; the copy ends when the pipe does. */
static void io_copy_once(void)
{
    skua_task *writes, *copies;
    skua_fd *reader, *writer, *ends[2];
    char buf[997];
    size_t at = 0;
    ssize_t n;

    io_pipe(&reader, &writer);
    io_sockets(ends);
    MUST(skua_spawn(NULL, io_writes_pattern, writer, .task = &writes) == 0);
    MUST(skua_spawn(NULL, io_copies, ((skua_fd *[]){reader, ends[0]}), .task = &copies) == 0);
    while ((n = skua_io_read(skua_fd_io(ends[1]), buf, sizeof buf)) > 0) {
        CHECK(test_pattern_ok(buf, (size_t)n, at));
        at += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(at, IO_MANY);
    CHECK_EQ(io_finish(writes), 0);
    CHECK_EQ(io_finish(copies), 0);
    skua_fd_close(ends[1]);
}

TEST_FIBER(fd_io_copied)
{
    int fds = test_fd_count();

    for (int i = 0; i < 3; i++)
        io_copy_once();
    CHECK_RANGE(test_fd_count() - fds, 0, 4); /* a ring's epoll set, one a worker */
    return 0;
}

TEST_WAITING(fd_io_lines)
{
    skua_fd *reader, *writer;
    skua_reader lines;
    const char *line;
    char room[64];
    size_t len;

    io_pipe(&reader, &writer);
    CHECK_EQ(skua_io_write_all(skua_fd_io(writer), "one\r\ntwo\nthr", 12), 12);
    skua_fd_close(writer);
    CHECK_EQ(skua_reader_init(&lines, skua_fd_io(reader), room, sizeof room), 0);
    CHECK_EQ(skua_reader_read_line(&lines, 0, &line, &len), 1);
    CHECK(len == 3 && memcmp(line, "one", 3) == 0);
    CHECK_EQ(skua_reader_read_line(&lines, 0, &line, &len), 1);
    CHECK(len == 3 && memcmp(line, "two", 3) == 0);
    CHECK_EQ(skua_reader_read_line(&lines, 0, &line, &len), 1);
    CHECK(len == 3 && memcmp(line, "thr", 3) == 0);
    CHECK_EQ(skua_reader_read_line(&lines, 0, &line, &len), 0);
    skua_fd_close(reader);
}

/* ---- the standard streams: a child, whose input is a pipe, says its lines backwards ---------- */

static int says_backwards(void *arg)
{
    skua_fd *in = NULL, *out = NULL;
    char room[256], space[256];
    skua_reader reader;
    skua_writer writer;
    const char *line;
    size_t len;

    (void)arg;
    if (skua_stdin_open(&in) != 0 || skua_stdout_open(&out) != 0 ||
        skua_reader_init(&reader, skua_fd_io(in), room, sizeof room) != 0 ||
        skua_writer_init(&writer, skua_fd_io(out), space, sizeof space) != 0)
        return 2;
    while (skua_reader_read_line(&reader, 0, &line, &len) == 1) {
        while (len > 0)
            if (skua_writer_put(&writer, line[--len]) < 0)
                return 3;
        if (skua_writer_put(&writer, '.') < 0)
            return 3;
    }
    if (skua_writer_flush(&writer) != 0)
        return 4;
    skua_fd_close(in);
    skua_fd_close(out);
    return 0;
}

static int child_main(const char *mode)
{
    int ends[2];

    if (pipe(ends) != 0 || dup2(ends[0], 0) != 0 || write(ends[1], "abc\ndef\n", 8) != 8)
        return 9;
    close(ends[0]);
    close(ends[1]);
    return strcmp(mode, "fiber") == 0 ? skua_main(says_backwards, NULL, NULL)
                                      : says_backwards(NULL);
}

TEST(fd_io_standard_streams)
{
    static const char *const modes[] = {"fiber", "thread"};

    for (size_t i = 0; i < TEST_LEN(modes); i++) {
        struct test_child child;

        CHECK_EQ(test_child_run(&child, modes[i], NULL), 0);
        CHECK(strstr(child.text, "cba.fed.") != NULL);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(fd_io_of_a_pipe),
        TEST_WAITING_ENTRIES(fd_io_nobody_reads),
        TEST_WAITING_ENTRIES(fd_io_short_writes),
        TEST_WAITING_ENTRIES(fd_io_half_close_of_a_socket),
        cmocka_unit_test(fd_io_ends_with_the_task),
        cmocka_unit_test(fd_io_ends_with_the_descriptor),
        cmocka_unit_test(fd_io_copied),
        TEST_WAITING_ENTRIES(fd_io_lines),
        cmocka_unit_test(fd_io_standard_streams),
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
