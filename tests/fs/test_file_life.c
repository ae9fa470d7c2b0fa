/* test_file_life.c - files that are cancelled, closed, and used by many.
 *
 * Specifies what file.h and fs.h say of cancelling, closing and sharing. drivers: both
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "event.h"
#include "parked.h"
#include "part.h"
#include "usage.h"

#define BOTH SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)

/* A fifo's end that keeps whoever reads from it until the test writes into the other one. */
static skua_file *open_fifo(struct test_area *area, int *writer)
{
    const char *path = test_area_name(area, "fifo");
    skua_file *file;

    MUST(mkfifo(path, 0600) == 0);
    MUST(skua_file_open(&file, path, SKUA_FILE_OPTIONS(.read = 1, .write = 1)) == 0);
    *writer = open(path, O_WRONLY | O_CLOEXEC);
    MUST(*writer >= 0);
    return file;
}

static uint64_t jobs(skua_runtime *runtime)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    MUST(skua_runtime_snapshot(runtime, &stats, NULL, 0) > 0);
    return stats.blocking_jobs;
}

static bool on_ring(void)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    MUST(skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0) > 0);
    return strcmp(stats.driver, "io_uring") == 0;
}

static uint64_t jobs_in_line(void)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    MUST(skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0) > 0);
    return stats.blocking_queue;
}

struct reader {
    skua_file *file;
    char buf[4];
    ssize_t result;
};

static int reads(void *arg)
{
    struct reader *self = arg;

    self->result = skua_file_read(self->file, self->buf, sizeof self->buf);
    return 0;
}

/* Spawns a fiber whose read runs on a thread and does not end. */
static skua_task *begin_read(struct reader *reader)
{
    uint64_t before = jobs(skua_runtime_current());
    skua_task *task;

    MUST(skua_spawn(NULL, reads, reader, .task = &task) == 0);
    while (jobs(skua_runtime_current()) == before)
        CHECK_EQ(skua_yield(), 0);
    return task;
}

/* ---- cancelling ------------------------------------------------------------------------------ */

/* What a thread has begun is waited for, and what it brought is not lost. */
TEST_FIBER(running_read_is_waited_for)
{
    struct reader reader = {.result = 0};
    struct test_area area;
    skua_task *task;
    int writer;

    test_area_open(&area);
    reader.file = open_fifo(&area, &writer);
    task = begin_read(&reader);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_sleep(MS(2)), 0);
    CHECK_EQ(skua_task_done(task), 0);
    MUST(write(writer, "abc", 3) == 3);
    close(writer);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(reader.result, 3);
    CHECK(memcmp(reader.buf, "abc", 3) == 0);
    CHECK_EQ(skua_file_close(reader.file), 0);
    test_area_close(&area);
    return 0;
}

struct opener {
    const char *path;
    skua_file *file;
    int result;
};

static int opens(void *arg)
{
    struct opener *self = arg;

    self->result = skua_file_open(&self->file, self->path, NULL);
    return 0;
}

/* The descriptor is the caller's, and not lost either. */
TEST_FIBER(running_open_is_waited_for)
{
    int before = test_fd_count();
    struct opener opener = {.file = NULL};
    struct test_area area;
    skua_task *task;
    int writer;

    test_area_open(&area);
    opener.path = test_area_name(&area, "fifo");
    MUST(mkfifo(opener.path, 0600) == 0);
    MUST(skua_spawn(NULL, opens, &opener, .task = &task) == 0);
    while (jobs(skua_runtime_current()) == 0)
        CHECK_EQ(skua_yield(), 0);
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_task_cancel(task), 0);
    writer = open(opener.path, O_WRONLY);
    MUST(writer >= 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(opener.result, 0);
    close(writer);
    CHECK_EQ(skua_file_close(opener.file), 0);
    CHECK_EQ(test_fd_settle(before), before);
    test_area_close(&area);
    return 0;
}

enum { WRITES, SYNCS, OPENS, STATS, REMOVES, COPIES, READS_ALL, CALLS };

struct lined_up {
    struct test_area *area;
    skua_file *file;
    int call;
    int64_t within; /* ns; 0 = no deadline */
    int64_t result;
};

static int64_t calls_one(struct lined_up *self)
{
    const char *path = test_area_name(self->area, "a");
    skua_metadata metadata;
    skua_file *other;
    void *data;

    switch (self->call) {
    case WRITES:
        return skua_file_write(self->file, "x", 1);
    case SYNCS:
        return skua_file_sync(self->file);
    case OPENS:
        return skua_file_open(&other, path, NULL);
    case STATS:
        return skua_fs_metadata(path, &metadata);
    case REMOVES:
        return skua_fs_remove_all(path);
    case COPIES:
        return skua_fs_copy(path, test_area_name(self->area, "b"));
    default:
        return skua_fs_read(path, &data, 100);
    }
}

static int calls_in_line(void *arg)
{
    struct lined_up *self = arg;
    skua_deadline deadline;

    if (self->within != 0)
        CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + self->within), 0);
    self->result = calls_one(self);
    if (self->within != 0)
        CHECK_EQ(skua_deadline_end(&deadline), 0);
    return 0;
}

static void leave_the_line(struct test_area *area, skua_file *file, int call, bool deadline)
{
    struct lined_up lined_up = {area, file, call, deadline ? MS(2) : 0, 0};
    skua_task *task;

    MUST(skua_spawn(NULL, calls_in_line, &lined_up, .task = &task) == 0);
    while (jobs_in_line() == 0 && !skua_task_done(task))
        CHECK_EQ(skua_yield(), 0);
    if (!deadline)
        CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(lined_up.result, deadline ? -ETIMEDOUT : -ECANCELED);
}

/* The pool's only thread is taken: what is in line has done nothing. */
static int line_is_left(TEST_UNUSED void *arg)
{
    struct reader reader = {.result = 0};
    struct test_area area;
    skua_file *file;
    skua_task *task;
    int before, writer;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_put(&area, "a", "text"), BOTH) == 0);
    reader.file = open_fifo(&area, &writer);
    task = begin_read(&reader);
    before = test_fd_count();
    for (int call = on_ring() ? OPENS : WRITES; call < CALLS; call++) /* a ring needs no thread */
        for (int deadline = 0; deadline < 2; deadline++)
            leave_the_line(&area, file, call, deadline != 0);
    CHECK_EQ(test_fd_count(), before);
    CHECK(test_area_has(&area, "a", "text"));
    MUST(write(writer, "a", 1) == 1);
    close(writer);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(skua_file_close(reader.file), 0);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    return 0;
}

TEST(calls_in_line_do_nothing_when_they_are_cancelled)
{
    for (size_t i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime =
            test_runtime_with(&test_kinds[i], (skua_runtime_options){.blocking_threads = 1});

        test_run(runtime, line_is_left, NULL);
        test_runtime_free(runtime);
    }
}

/* Who waits for the cursor leaves at once. */
TEST_FIBER(wait_for_the_cursor_is_cancelled)
{
    struct reader first = {.result = 0}, second = {.result = 0};
    struct test_area area;
    skua_task *holds, *waits;
    int writer;

    test_area_open(&area);
    first.file = second.file = open_fifo(&area, &writer);
    holds = begin_read(&first);
    MUST(skua_spawn(NULL, reads, &second, .task = &waits) == 0);
    test_until_parked(waits, NULL);
    CHECK_EQ(skua_task_cancel(waits), 0);
    CHECK_EQ(skua_task_join(waits, NULL), 0);
    CHECK_EQ(second.result, -ECANCELED);
    MUST(write(writer, "ab", 2) == 2);
    close(writer);
    CHECK_EQ(skua_task_join(holds, NULL), 0);
    CHECK_EQ(first.result, 2);
    CHECK_EQ(skua_file_close(first.file), 0);
    test_area_close(&area);
    return 0;
}

static int locks(void *arg)
{
    return skua_file_lock(arg, SKUA_FILE_EXCLUSIVE) == -ECANCELED ? 0 : -EIO;
}

TEST_FIBER(wait_for_a_lock_is_cancelled)
{
    struct test_area area;
    skua_file *a, *b;
    skua_task *task;
    int result = 1;

    test_area_open(&area);
    MUST(skua_file_open(&a, test_area_put(&area, "a", ""), NULL) == 0);
    MUST(skua_file_open(&b, test_area_name(&area, "a"), NULL) == 0);
    CHECK_EQ(skua_file_lock(a, SKUA_FILE_SHARED), 0);
    MUST(skua_spawn(NULL, locks, b, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_file_close(a), 0);
    CHECK_EQ(skua_file_close(b), 0);
    test_area_close(&area);
    return 0;
}

struct sleeper {
    skua_file *file;
    atomic_int begun;
};

/* A cached read is a wait like any other: it does not begin in a cancelled task. */
static int reads_cancelled(void *arg)
{
    struct sleeper *self = arg;
    char buf[4];

    atomic_store(&self->begun, 1);
    CHECK_EQ(skua_sleep(SKUA_HOUR), -ECANCELED);
    CHECK_EQ(skua_file_pread(self->file, buf, 4, 0), -ECANCELED);
    CHECK_EQ(skua_file_read(self->file, buf, 4), -ECANCELED);
    CHECK_EQ(skua_file_close(self->file), 0); /* this it does */
    return 0;
}

TEST_FIBER(cancelled_task_closes)
{
    struct sleeper sleeper = {.begun = 0};
    int before = test_fd_count();
    struct test_area area;
    skua_task *task;

    test_area_open(&area);
    MUST(skua_file_open(&sleeper.file, test_area_put(&area, "a", "text"), NULL) == 0);
    MUST(skua_spawn(NULL, reads_cancelled, &sleeper, .task = &task) == 0);
    test_yield_until(&sleeper.begun);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(test_fd_settle(before), before);
    test_area_close(&area);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

TEST_WAITING(closed_files_say_so)
{
    struct iovec iov = {NULL, 0};
    skua_metadata metadata;
    struct test_area area;
    skua_file *file;
    void *data;
    char c;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_put(&area, "a", "text"), BOTH) == 0);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(skua_file_close(file), -EBADF);
    CHECK_EQ(skua_file_number(file), SKUA_ECLOSED);
    CHECK_EQ(skua_file_read(file, &c, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_write(file, &c, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_pread(file, &c, 1, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_file_pwrite(file, &c, 1, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_file_read_exact(file, &c, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_write_all(file, &c, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_readv(file, &iov, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_read_to_end(file, &data, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_START), SKUA_ECLOSED);
    CHECK_EQ(skua_file_sync(file), SKUA_ECLOSED);
    CHECK_EQ(skua_file_sync_data(file), SKUA_ECLOSED);
    CHECK_EQ(skua_file_truncate(file, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_file_allocate(file, 0, 0, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_file_advise(file, 0, 0, SKUA_ADVICE_NORMAL), SKUA_ECLOSED);
    CHECK_EQ(skua_file_metadata(file, &metadata), SKUA_ECLOSED);
    CHECK_EQ(skua_file_set_permissions(file, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_file_lock(file, SKUA_FILE_SHARED), SKUA_ECLOSED);
    CHECK_EQ(skua_file_try_lock(file, SKUA_FILE_SHARED), SKUA_ECLOSED);
    CHECK_EQ(skua_file_unlock(file), SKUA_ECLOSED);
    test_area_close(&area);
}

static int closes(void *arg)
{
    return skua_file_close(arg);
}

TEST_FIBER(close_waits_for_what_runs_and_ends_what_waits)
{
    struct reader first = {.result = 0}, second = {.result = 0};
    int before = test_fd_count(), result = 1;
    struct test_area area;
    skua_task *runs, *waits, *closer;
    int writer;

    test_area_open(&area);
    first.file = second.file = open_fifo(&area, &writer);
    runs = begin_read(&first);
    MUST(skua_spawn(NULL, reads, &second, .task = &waits) == 0);
    test_until_parked(waits, NULL);
    MUST(skua_spawn(NULL, closes, first.file, .task = &closer) == 0);
    test_until_parked(closer, NULL);
    CHECK_EQ(skua_task_cancel(closer), 0); /* no way back */
    CHECK_EQ(skua_sleep(MS(1)), 0);
    CHECK_EQ(skua_task_done(closer), 0);
    CHECK_EQ(skua_file_number(first.file), SKUA_ECLOSED);
    CHECK_EQ(skua_file_close(first.file), -EBADF);
    MUST(write(writer, "abcdefg", 7) == 7); /* some is left, for which nobody asks any more */
    close(writer);
    CHECK_EQ(skua_task_join(closer, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_task_join(runs, NULL), 0);
    CHECK_EQ(skua_task_join(waits, NULL), 0);
    CHECK_EQ(first.result, 4);
    CHECK_EQ(second.result, SKUA_ECLOSED);
    CHECK_EQ(test_fd_settle(before), before);
    test_area_close(&area);
    return 0;
}

struct poller {
    skua_async async;
    skua_file *file;
    int *closed;
};

static skua_poll polls(void *state, TEST_UNUSED skua_waker *waker)
{
    struct poller *self = state;
    skua_metadata metadata;
    skua_file *other;
    skua_dir *dir;
    char c;

    CHECK_EQ(skua_file_read(self->file, &c, 1), SKUA_EUSAGE);
    CHECK_EQ(skua_file_pwrite_all(self->file, &c, 1, 0), SKUA_EUSAGE);
    CHECK_EQ(skua_file_sync(self->file), SKUA_EUSAGE);
    CHECK_EQ(skua_file_seek(self->file, 0, SKUA_SEEK_START), SKUA_EUSAGE);
    CHECK_EQ(skua_file_lock(self->file, SKUA_FILE_SHARED), SKUA_EUSAGE);
    CHECK_EQ(skua_file_open(&other, "/", NULL), SKUA_EUSAGE);
    CHECK_EQ(skua_fs_metadata("/", &metadata), SKUA_EUSAGE);
    CHECK_EQ(skua_dir_open(&dir, "/"), SKUA_EUSAGE);
    *self->closed = skua_file_close(self->file);
    return 0;
}

TEST_FIBER(poll_tasks_only_close)
{
    struct reader reader = {.result = 0};
    int before = test_fd_count(), closed = 1, writer;
    struct poller state = {.closed = &closed};
    struct test_area area;
    skua_task *task;

    test_area_open(&area);
    MUST(skua_file_open(&state.file, test_area_put(&area, "a", "text"), NULL) == 0);
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), 0);
    CHECK_EQ(closed, 0);
    /* Now somebody reads, and is the last one: it closes. */
    reader.file = state.file = open_fifo(&area, &writer);
    task = begin_read(&reader);
    CHECK_EQ(test_run_poll(polls, &state, sizeof state), 0);
    CHECK_EQ(closed, 0);
    MUST(write(writer, "a", 1) == 1);
    close(writer);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    CHECK_EQ(reader.result, 1);
    CHECK_EQ(test_fd_settle(before), before);
    test_area_close(&area);
    return 0;
}

/* ---- many users ------------------------------------------------------------------------------ */

struct crowd {
    struct test_area area;
    _Atomic(skua_file *) file;
    atomic_int stop;
    atomic_int reads;
};

static int uses(void *arg)
{
    struct crowd *crowd = arg;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;
    char buf[8];

    while (!atomic_load(&crowd->stop)) {
        skua_file *file = atomic_load(&crowd->file);
        uint64_t which = test_random(&random) % 4;
        int64_t n = which == 0   ? skua_file_pread(file, buf, 8, 0)
                    : which == 1 ? skua_file_read(file, buf, 8)
                    : which == 2 ? skua_file_pwrite(file, "12345678", 8, 0)
                                 : skua_file_sync_data(file) + 8;

        if (n == 8 || n == 0)
            atomic_fetch_add(&crowd->reads, 1);
        else
            CHECK(n == SKUA_ECLOSED || n == SKUA_ECLOSED + 8 || n == -ECANCELED);
        if (skua_yield() != 0)
            break;
    }
    return 0;
}

static void *uses_on_a_thread(void *arg)
{
    uses(arg);
    return NULL;
}

/* Files are closed and opened under everybody's hands: the next one may be in the same slot. */
TEST(close_races_with_reads_and_writes)
{
    skua_runtime *runtime = test_runtime(&test_kinds[2]);
    int64_t until = skua_now() + test_stress_time(1);
    struct crowd crowd = {.stop = 0};
    int before = test_fd_count();
    skua_file *file;
    skua_scope scope;
    pthread_t thread;

    test_area_open(&crowd.area);
    MUST(skua_file_open(&file, test_area_put(&crowd.area, "a", "12345678"), BOTH) == 0);
    atomic_store(&crowd.file, file);
    MUST(skua_scope_open_on(&scope, runtime, SKUA_COLLECT) == 0);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(skua_spawn(&scope, uses, &crowd), 0);
    MUST(pthread_create(&thread, NULL, uses_on_a_thread, &crowd) == 0);
    while (skua_now() < until) {
        test_thread_sleep(200 * SKUA_MICROSECOND);
        CHECK_EQ(skua_file_close(file), 0);
        MUST(skua_file_open(&file, test_area_name(&crowd.area, "a"), BOTH) == 0);
        atomic_store(&crowd.file, file);
    }
    atomic_store(&crowd.stop, 1);
    CHECK_EQ(skua_scope_join(&scope), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK(atomic_load(&crowd.reads) > 0);
    CHECK(test_area_has(&crowd.area, "a", "12345678"));
    test_runtime_free(runtime);
    CHECK(test_fd_settle(before) <= before);
    test_area_close(&crowd.area);
}

enum { LINES = 100, WRITERS = 8, LINE = 64 };

static int writes_lines(void *arg)
{
    static atomic_int names;
    char line[LINE];

    memset(line, 'a' + atomic_fetch_add(&names, 1) % WRITERS, sizeof line);
    for (int i = 0; i < LINES; i++)
        CHECK_EQ(skua_file_write_all(arg, line, sizeof line), LINE);
    return 0;
}

/* The cursor is one task's at a time: no line is mixed with another, and none is lost. */
TEST_FIBER(cursor_is_shared)
{
    int count[WRITERS] = {0};
    struct test_area area;
    skua_scope scope;
    skua_file *file;
    void *data;
    char *text;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(skua_spawn(&scope, writes_lines, file), 0);
    CHECK_EQ(skua_scope_join(&scope), 0);
    CHECK_EQ(skua_file_close(file), 0);
    MUST(skua_fs_read(test_area_name(&area, "a"), &data, 1 << 20) == LINES * WRITERS * LINE);
    text = data;
    for (int i = 0; i < LINES * WRITERS; i++, text += LINE) {
        CHECK(text[0] >= 'a' && text[0] < 'a' + WRITERS);
        for (int k = 1; k < LINE; k++)
            CHECK(text[k] == text[0]);
        count[text[0] - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(count[i], LINES);
    free(data);
    test_area_close(&area);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_read_is_waited_for),
        cmocka_unit_test(running_open_is_waited_for),
        cmocka_unit_test(calls_in_line_do_nothing_when_they_are_cancelled),
        cmocka_unit_test(wait_for_the_cursor_is_cancelled),
        cmocka_unit_test(wait_for_a_lock_is_cancelled),
        cmocka_unit_test(cancelled_task_closes),
        TEST_WAITING_ENTRIES(closed_files_say_so),
        cmocka_unit_test(close_waits_for_what_runs_and_ends_what_waits),
        cmocka_unit_test(poll_tasks_only_close),
        cmocka_unit_test(close_races_with_reads_and_writes),
        cmocka_unit_test(cursor_is_shared),
    };

    return TEST_MAIN(tests);
}
