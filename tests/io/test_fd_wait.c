/* drivers: both */
/* test_fd_wait.c - waits for descriptors that end otherwise: cancelled, timed out, closed, dropped.
 *
 * Specifies fd.h: a cancelled or late wait has read and written nothing, a second waiter is told,
 * close ends every wait at once and never lets one touch the next file with the number, release
 * refuses what is in use, and failures of the system are told and leave nothing behind.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/parked.h"
#include "../lib/part.h"
#include "../lib/usage.h"
#include "io/io_impl.h"

static void adopt_pipe(skua_fd **reader, skua_fd **writer)
{
    int ends[2];

    MUST(pipe(ends) == 0);
    MUST(skua_fd_adopt(reader, ends[0], 0) == 0);
    MUST(skua_fd_adopt(writer, ends[1], 0) == 0);
}

static size_t fill(skua_fd *writer)
{
    char block[4096] = {0};
    size_t len = 0;
    ssize_t n;

    while ((n = skua_fd_try_write(writer, block, sizeof block)) > 0)
        len += (size_t)n;
    CHECK_EQ(n, -EAGAIN);
    return len;
}

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

static int reads_byte(void *arg)
{
    char byte;

    return (int)skua_fd_read(arg, &byte, 1);
}

static int writes_byte(void *arg)
{
    return (int)skua_fd_write(arg, "x", 1);
}

static int waits_readable(void *arg)
{
    return skua_fd_readable(arg);
}

/* Until somebody waits for it. */
static void until_waited(skua_fd *fd, unsigned direction)
{
    while (skua__load_seq(&fd->source.waiter[direction]) == NULL)
        skua_sleep(MS(1));
}

/* ---- cancelled, timed out, busy -------------------------------------------------------------- */

TEST_FIBER(fd_cancel_and_deadline_lose_nothing)
{
    skua_fd *reader, *writer;
    char buf[16];

    adopt_pipe(&reader, &writer);
    for (int i = 0; i < 5; i++) {
        skua_task *task = start(i % 2 ? reads_byte : waits_readable, reader);

        test_until_parked(task, NULL);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), -ECANCELED);
        CHECK_EQ(skua_fd_read_until(reader, buf, 1, skua_now() + MS(1)), -ETIMEDOUT);
        CHECK_EQ(skua_fd_write(writer, "abc", 3), 3);
        CHECK_EQ(skua_fd_read(reader, buf, sizeof buf), 3);
        CHECK(memcmp(buf, "abc", 3) == 0);
    }
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
    return 0;
}

TEST_FIBER(fd_cancelled_write_has_written_nothing)
{
    skua_fd *reader, *writer;
    char buf[4096];
    size_t len, got = 0;
    ssize_t n;

    adopt_pipe(&reader, &writer);
    len = fill(writer);
    for (int i = 0; i < 3; i++) {
        skua_task *task = start(writes_byte, writer);

        test_until_parked(task, NULL);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), -ECANCELED);
        CHECK_EQ(skua_fd_write_until(writer, "x", 1, skua_now() + MS(1)), -ETIMEDOUT);
        CHECK_EQ(skua_fd_write_all_until(writer, "x", 1, skua_now() + MS(1)), -ETIMEDOUT);
    }
    CHECK_EQ(skua_fd_close(writer), 0);
    while ((n = skua_fd_read(reader, buf, sizeof buf)) > 0)
        got += (size_t)n;
    CHECK_EQ(n, 0);
    CHECK_EQ(got, len);
    CHECK_EQ(skua_fd_close(reader), 0);
    return 0;
}

TEST_FIBER(fd_second_waiter_is_busy)
{
    skua_fd *reader, *writer;
    skua_task *first;
    char byte;

    adopt_pipe(&reader, &writer);
    first = start(reads_byte, reader);
    until_waited(reader, SKUA__READ);
    CHECK_EQ(skua_fd_read(reader, &byte, 1), -EBUSY);
    CHECK_EQ(skua_fd_readable(reader), -EBUSY);
    CHECK_EQ(skua_fd_release(reader), -EBUSY); /* and it is still good */
    CHECK_EQ(skua_fd_write(writer, "x", 1), 1);
    CHECK_EQ(finish(first), 1);
    CHECK_EQ(skua_fd_write(writer, "x", 1), 1);
    CHECK_EQ(skua_fd_read(reader, &byte, 1), 1);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
    return 0;
}

TEST_FIBER(fd_reader_and_writer_of_one)
{
    int ends[2];
    skua_fd *fd;
    skua_task *reads, *writes;
    char block[4096];

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(skua_fd_adopt(&fd, ends[0], 0) == 0);
    fill(fd);
    reads = start(reads_byte, fd);
    writes = start(writes_byte, fd);
    until_waited(fd, SKUA__READ);
    until_waited(fd, SKUA__WRITE);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(finish(reads), 1);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (read(ends[1], block, sizeof block) > 0)
        continue;
    CHECK_EQ(finish(writes), 1);
    CHECK_EQ(skua_fd_close(fd), 0);
    close(ends[1]);
    return 0;
}

enum { MANY = 100 };

/* More than a look at the kernel takes at a time. */
TEST_FIBER(fd_many_are_ready_at_once)
{
    skua_fd *reader[MANY], *writer[MANY];
    skua_task *task[MANY];

    for (int i = 0; i < MANY; i++) {
        adopt_pipe(&reader[i], &writer[i]);
        task[i] = start(reads_byte, reader[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++)
            until_waited(reader[i], SKUA__READ);
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(skua_fd_try_write(writer[i], "x", 1), 1); /* no other task runs meanwhile */
        for (int i = 0; i < MANY; i++) {
            CHECK_EQ(finish(task[i]), 1);
            if (round == 0)
                task[i] = start(reads_byte, reader[i]);
        }
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(skua_fd_close(reader[i]), 0);
        CHECK_EQ(skua_fd_close(writer[i]), 0);
    }
    return 0;
}

/* ---- closed ---------------------------------------------------------------------------------- */

/* The other end of a descriptor sees the close at once, whatever driver watched it. */
TEST_FIBER(fd_close_ends_the_waits_and_the_file)
{
    skua_fd *reader, *writer;
    skua_task *task;
    char byte;

    adopt_pipe(&reader, &writer);
    task = start(reads_byte, reader);
    until_waited(reader, SKUA__READ);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(finish(task), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_write(writer, "x", 1), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);

    adopt_pipe(&reader, &writer);
    fill(writer);
    task = start(writes_byte, writer);
    until_waited(writer, SKUA__WRITE);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(finish(task), SKUA_ECLOSED);
    while (skua_fd_read(reader, &byte, 1) == 1)
        continue;
    CHECK_EQ(skua_fd_read(reader, &byte, 1), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    return 0;
}

/* Released after a wait: watched by nobody, and good for its owner. */
TEST_FIBER(fd_release_after_a_wait)
{
    int fds = test_fd_count();
    skua_fd *reader, *writer;
    char byte;
    int number;

    adopt_pipe(&reader, &writer);
    CHECK_EQ(skua_fd_read_until(reader, &byte, 1, skua_now() + MS(2)), -ETIMEDOUT);
    number = skua_fd_release(reader);
    CHECK(number >= 0);
    CHECK_EQ(skua_fd_write(writer, "x", 1), 1);
    CHECK_EQ(read(number, &byte, 1), 1);
    MUST(skua_fd_adopt(&reader, number, 0) == 0); /* and again */
    CHECK_EQ(skua_fd_read_until(reader, &byte, 1, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fd_write(writer, "x", 1), 1);
    CHECK_EQ(skua_fd_read(reader, &byte, 1), 1);
    number = skua_fd_release(reader);
    close(number);
    CHECK_EQ(skua_fd_write(writer, "x", 1), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_RANGE(test_fd_count() - fds, 0, 1); /* a ring's epoll set */
    return 0;
}

struct thread_wait {
    skua_fd *fd;
    int64_t deadline;
    int64_t answer;
};

static void *reads_on_a_thread(void *arg)
{
    struct thread_wait *self = arg;
    char byte;

    self->answer = skua_fd_read_until(self->fd, &byte, 1, self->deadline);
    return NULL;
}

TEST(fd_close_ends_a_threads_wait)
{
    int fds = test_fd_count();
    struct thread_wait self = {.deadline = SKUA_FOREVER};
    int64_t begin;
    skua_fd *writer;
    pthread_t thread;
    char byte;

    adopt_pipe(&self.fd, &writer);
    MUST(pthread_create(&thread, NULL, reads_on_a_thread, &self) == 0);
    until_waited(self.fd, SKUA__READ);
    CHECK_EQ(skua_fd_read_until(self.fd, &byte, 1, skua_now() + MS(5)), -EBUSY);
    for (int i = 0; i < 3; i++) { /* a wake for nothing: it waits on, and may be woken again */
        skua__source_tell(&self.fd->source, SKUA__READABLE);
        test_thread_sleep(MS(5));
        until_waited(self.fd, SKUA__READ);
    }
    begin = skua_now();
    CHECK_EQ(skua_fd_close(self.fd), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(self.answer, SKUA_ECLOSED);
    CHECK_RANGE(skua_now() - begin, 0, TEST_LATE);
    CHECK_EQ(skua_fd_write(writer, "x", 1), -EPIPE);
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(test_fd_count(), fds);
}

static void on_signal(int number)
{
    (void)number;
}

/* A handler that runs ends no wait: nobody sees -EINTR. */
TEST(fd_signals_end_no_wait)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct thread_wait self = {.deadline = skua_now() + MS(60)};
    skua_fd *writer;
    pthread_t thread;

    sigaction(SIGUSR1, &action, NULL);
    adopt_pipe(&self.fd, &writer);
    MUST(pthread_create(&thread, NULL, reads_on_a_thread, &self) == 0);
    for (int i = 0; i < 20; i++) {
        test_thread_sleep(MS(1));
        pthread_kill(thread, SIGUSR1);
    }
    pthread_join(thread, NULL);
    CHECK_EQ(self.answer, -ETIMEDOUT);
    CHECK(skua_now() >= self.deadline);
    CHECK_EQ(skua_fd_close(self.fd), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
}

/* ---- close while it is used, and the number used again --------------------------------------- */

struct churn {
    _Atomic(skua_fd *) victim; /* what the writer is to begin a write on; NULL: nothing yet */
    atomic_int begun;
    atomic_int end;
};

static int writes_secrets(void *arg)
{
    struct churn *churn = arg;

    while (!atomic_load(&churn->end)) {
        skua_fd *victim = atomic_exchange(&churn->victim, NULL);
        skua_fd_future write;

        if (victim == NULL)
            continue;
        skua_fd_write_init(&write, victim, "ssss", 4);
        atomic_store(&churn->begun, 1);
        (void)skua_await(&write.future);
    }
    return 0;
}

/* The next pipe has the numbers of the last one, and its slot: what it hears must be its own. */
static void churn_round(struct churn *churn, int round)
{
    skua_fd *reader, *writer, *next_reader, *next;
    int ends[2];
    char buf[8];

    adopt_pipe(&reader, &writer);
    atomic_store(&churn->begun, 0);
    atomic_store(&churn->victim, writer);
    while (!atomic_load(&churn->begun))
        continue;
    for (volatile int i = 0; i < round % 300; i++)
        continue;
    CHECK_EQ(skua_fd_close(writer), 0);
    MUST(pipe(ends) == 0);
    MUST(skua_fd_adopt(&next, ends[1], 0) ==
         0); /* first: the slot is the one that was freed last */
    MUST(skua_fd_adopt(&next_reader, ends[0], 0) == 0);
    CHECK_EQ(skua_fd_write(next, "n", 1), 1);
    CHECK_EQ(skua_fd_read(next_reader, buf, sizeof buf), 1);
    CHECK_EQ(buf[0], 'n');
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(next), 0);
    CHECK_EQ(skua_fd_close(next_reader), 0);
}

TEST(fd_close_while_a_write_begins)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct churn churn = {.end = 0};
    int64_t end = skua_now() + test_stress_time(1);
    skua_task *writer;
    int round = 0;

    MUST(skua_spawn_on(runtime, writes_secrets, &churn, .task = &writer) == 0);
    for (; skua_now() < end && test_failures() == 0; round++)
        churn_round(&churn, round);
    atomic_store(&churn.end, 1);
    CHECK_EQ(skua_task_join(writer, NULL), 0);
    test_note("%d rounds", round);
    test_runtime_free(runtime);
}

struct storm {
    _Atomic(skua_fd *) reader;
    _Atomic(skua_fd *) writer;
    atomic_int end;
    atomic_int closed; /* waits that a close ended */
};

static int storm_reads(void *arg)
{
    struct storm *storm = arg;
    char buf[64];

    while (!atomic_load(&storm->end)) {
        skua_fd *fd = atomic_load(&storm->reader);
        ssize_t n = skua_fd_read_until(fd, buf, sizeof buf, skua_now() + MS(1));

        if (n != SKUA_EUSAGE) /* a stale handle, whose slot is a writer's by now */
            CHECK(n >= 0 || n == SKUA_ECLOSED || n == -ETIMEDOUT || n == -EBUSY);
        atomic_fetch_add(&storm->closed, n == SKUA_ECLOSED);
        for (ssize_t i = 0; i < n; i++)
            CHECK_EQ(buf[i], 'w');
    }
    return 0;
}

static int storm_writes(void *arg)
{
    struct storm *storm = arg;

    while (!atomic_load(&storm->end)) {
        ssize_t n = skua_fd_write_until(atomic_load(&storm->writer), "www", 3, skua_now() + MS(1));

        if (n != SKUA_EUSAGE)
            CHECK(n == 3 || n == SKUA_ECLOSED || n == -EPIPE || n == -ETIMEDOUT || n == -EBUSY);
        skua_yield();
    }
    return 0;
}

static void *storm_reads_on_a_thread(void *arg)
{
    storm_reads(arg);
    return NULL;
}

/* Pipes are closed and made anew under readers and writers on two workers and a thread. */
TEST(fd_close_races_readers_and_writers)
{
    int fds = test_fd_count();
    skua_runtime *runtime = test_runtime_with(
        &test_kinds[1], (skua_runtime_options){.size = sizeof(skua_runtime_options)});
    struct storm storm = {.end = 0};
    int64_t end = skua_now() + test_stress_time(1);
    skua_task *tasks[3];
    pthread_t thread;
    skua_fd *reader, *writer;
    int round = 0;

    adopt_pipe(&reader, &writer);
    atomic_store(&storm.reader, reader);
    atomic_store(&storm.writer, writer);
    for (int i = 0; i < 3; i++)
        MUST(skua_spawn_on(runtime, i ? storm_reads : storm_writes, &storm, .task = &tasks[i]) ==
             0);
    MUST(pthread_create(&thread, NULL, storm_reads_on_a_thread, &storm) == 0);
    for (; skua_now() < end && test_failures() == 0; round++) {
        skua_fd *old_reader = reader, *old_writer = writer;

        adopt_pipe(&reader, &writer);
        atomic_store(&storm.reader, reader);
        atomic_store(&storm.writer, writer);
        if (round % 3 == 0)
            test_thread_sleep(MS(1) / 4);
        CHECK_EQ(skua_fd_close(round % 2 ? old_reader : old_writer), 0);
        CHECK_EQ(skua_fd_close(round % 2 ? old_writer : old_reader), 0);
    }
    atomic_store(&storm.end, 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(skua_task_join(tasks[i], NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
    test_note("%d rounds, %d closed waits", round, atomic_load(&storm.closed));
    test_runtime_free(runtime);
    CHECK_EQ(test_fd_count(), fds);
}

/* ---- a runtime that ends --------------------------------------------------------------------- */

struct mover {
    skua_fd *reader, *writer;
    int64_t got;
};

static int reads_in_vain(void *arg)
{
    struct mover *mover = arg;
    char byte;

    CHECK_EQ(skua_fd_read_until(mover->reader, &byte, 1, skua_now() + MS(5)), -ETIMEDOUT);
    return 0;
}

static int reads_elsewhere(void *arg)
{
    struct mover *mover = arg;
    char byte;

    mover->got = skua_fd_read_until(mover->reader, &byte, 1, skua_now() + 4 * TEST_LATE);
    return 0;
}

TEST(fd_is_watched_on_when_its_first_runtime_ends)
{
    for (int kind = 0; kind < 2; kind++) {
        skua_runtime *first = test_runtime(&test_kinds[kind]);
        skua_runtime *second = test_runtime(&test_kinds[1]);
        struct mover mover = {.got = 0};
        skua_task *handle;

        adopt_pipe(&mover.reader, &mover.writer);
        test_run(first, reads_in_vain, &mover);
        MUST(skua_spawn_on(second, reads_elsewhere, &mover, .task = &handle) == 0);
        test_until_parked(handle, NULL);
        test_runtime_free(first);
        CHECK_EQ(skua_fd_write(mover.writer, "x", 1), 1);
        CHECK_EQ(skua_task_join(handle, NULL), 0);
        CHECK_EQ(mover.got, 1);
        CHECK_EQ(skua_fd_close(mover.reader), 0);
        CHECK_EQ(skua_fd_close(mover.writer), 0);
        test_runtime_free(second);
    }
}

/* ---- futures --------------------------------------------------------------------------------- */

TEST_FIBER(fd_futures_in_a_select)
{
    skua_fd *reader, *writer;
    char buf[8];

    adopt_pipe(&reader, &writer);
    CHECK_EQ(skua_select(skua_fd_reading(reader, buf, 8), skua_sleeping(MS(1))), 1);
    CHECK_EQ(skua_select(skua_fd_awaiting_readable(reader), skua_sleeping(MS(1))), 1);
    CHECK_EQ(skua_select(skua_fd_awaiting_readable(reader), skua_fd_awaiting_writable(writer)), 1);
    CHECK_EQ(skua_select(skua_fd_awaiting_readable(reader), skua_fd_writing(writer, "ab", 2)), 1);
    CHECK_EQ(skua_select(skua_fd_reading(reader, buf, 1), skua_sleeping(MS(1000))), 0);
    CHECK_EQ(skua_fd_read(reader, buf + 1, 7), 1);
    CHECK(memcmp(buf, "ab", 2) == 0);
    CHECK_EQ(skua_await(skua_fd_writing_all(writer, "cd", 2)), 2);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_await(skua_fd_reading(reader, buf, 8)), SKUA_ECLOSED);
    CHECK_EQ(skua_fd_close(writer), 0);
    return 0;
}

struct echo {
    skua_async async;
    skua_fd *reader, *writer;
    skua_fd_future io;
    skua_poll got;
    char buf[100];
};

static skua_poll echoes(void *state, skua_waker *waker)
{
    struct echo *self = state;

    SKUA_ASYNC(self, waker);
    for (;;) {
        SKUA_AWAIT_TO(self->got,
                      skua_fd_read_init(&self->io, self->reader, self->buf, sizeof self->buf));
        if (self->got <= 0)
            break;
        SKUA_AWAIT_TO(self->got, skua_fd_write_all_init(&self->io, self->writer, self->buf,
                                                        (size_t)self->got));
        if (self->got <= 0)
            break;
    }
    SKUA_ASYNC_END(self->got);
}

TEST_FIBER(fd_futures_in_a_poll_task)
{
    skua_fd *reader, *writer;
    struct echo state = {.got = 0};
    skua_task *task;
    char buf[100];

    adopt_pipe(&state.reader, &writer);
    adopt_pipe(&reader, &state.writer);
    MUST(skua_spawn_poll(NULL, echoes, &state, .task = &task) == 0);
    for (int i = 1; i < 50; i++) {
        CHECK_EQ(skua_fd_write(writer, buf, (size_t)i), i);
        CHECK_EQ(skua_fd_read(reader, buf, sizeof buf), i);
    }
    CHECK_EQ(skua_fd_close(writer), 0);
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(skua_fd_close(state.reader), 0);
    CHECK_EQ(skua_fd_close(state.writer), 0);
    CHECK_EQ(skua_fd_close(reader), 0);
    return 0;
}

/* ---- faults ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS
/* Every call that adopting makes, and every allocation, fails in its turn. */
TEST(fd_adopt_that_fails_leaves_the_descriptor)
{
    static const enum skua__fault kinds[] = {SKUA__FAULT_MALLOC, SKUA__FAULT_SYSCALL};
    int fds = test_fd_count(), errors = 0;

    for (size_t k = 0; k < TEST_LEN(kinds); k++)
        for (unsigned n = 1, left = 1; left != 0; n++) {
            skua_fd *fd[300];
            int rc = 0, count = 0, number = 0;

            /* As many as it takes until a slot is allocated, not found. */
            for (; count < 300 && rc == 0; count += rc == 0) {
                number = eventfd(0, 0);
                MUST(number >= 0);
                skua__fault_arm(kinds[k], n, 1, ENOMEM);
                rc = skua_fd_adopt(&fd[count], number, 0);
                skua__fault_arm(kinds[k], 0, 0, 0);
            }
            CHECK(rc == 0 || rc == -ENOMEM);
            errors += rc != 0;
            left = rc != 0;
            if (rc != 0) {
                CHECK_EQ(fcntl(number, F_GETFL) & O_NONBLOCK, 0);
                CHECK_EQ(fcntl(number, F_GETFD), 0);
                CHECK_EQ(close(number), 0);
            }
            while (count > 0)
                CHECK_EQ(skua_fd_close(fd[--count]), 0);
        }
    CHECK_EQ(errors, 8 + 1);
    CHECK_EQ(test_fd_count(), fds);
}

/* What a wait needs of the system: a place in an epoll set, or an eventfd on a thread. */
TEST_WAITING(fd_wait_that_fails_is_told)
{
    skua_fd *reader, *writer;
    char byte;

    adopt_pipe(&reader, &writer);
    CHECK_EQ(skua_fd_try_read(reader, &byte, 1), -EAGAIN);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ENOSPC);
    CHECK_EQ(skua_fd_read_until(reader, &byte, 1, skua_now() + MS(5)), -ENOSPC);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(skua_fd_read_until(reader, &byte, 1, skua_now() + MS(5)), -ETIMEDOUT);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EIO); /* the write itself */
    CHECK_EQ(skua_fd_write(writer, "x", 1), -EIO);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(skua_fd_write(writer, "x", 1), 1);
    CHECK_EQ(skua_fd_read(reader, &byte, 1), 1);
    CHECK_EQ(skua_fd_close(reader), 0);
    CHECK_EQ(skua_fd_close(writer), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fd_cancel_and_deadline_lose_nothing),
        cmocka_unit_test(fd_cancelled_write_has_written_nothing),
        cmocka_unit_test(fd_second_waiter_is_busy),
        cmocka_unit_test(fd_reader_and_writer_of_one),
        cmocka_unit_test(fd_many_are_ready_at_once),
        cmocka_unit_test(fd_close_ends_the_waits_and_the_file),
        cmocka_unit_test(fd_release_after_a_wait),
        cmocka_unit_test(fd_close_ends_a_threads_wait),
        cmocka_unit_test(fd_signals_end_no_wait),
        cmocka_unit_test(fd_close_while_a_write_begins),
        cmocka_unit_test(fd_close_races_readers_and_writers),
        cmocka_unit_test(fd_is_watched_on_when_its_first_runtime_ends),
        cmocka_unit_test(fd_futures_in_a_select),
        cmocka_unit_test(fd_futures_in_a_poll_task),
#ifdef SKUA_FAULTS
        cmocka_unit_test(fd_adopt_that_fails_leaves_the_descriptor),
        TEST_WAITING_ENTRIES(fd_wait_that_fails_is_told),
#endif
    };

    return TEST_MAIN(tests);
}
