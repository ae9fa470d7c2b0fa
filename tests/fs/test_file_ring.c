/* test_file_ring.c - files on a ring: many reads at a time, past the page cache, cancelled, closed.
 *
 * Specifies what file.h says of reads and writes that take their time, on each driver; and that on
 * io_uring no thread of the pool is used for them. drivers: both
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "part.h"
#include "usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define BOTH SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)

enum { BLOCK = 4096, BLOCKS = 1024, MANY = 256 };

static uint64_t jobs(void)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    MUST(skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0) > 0);
    return stats.blocking_jobs;
}

static bool on_ring(void)
{
    skua_runtime_stats stats = {.size = sizeof stats};

    MUST(skua_runtime_snapshot(skua_runtime_current(), &stats, NULL, 0) > 0);
    return strcmp(stats.driver, "io_uring") == 0;
}

/* ---- a file whose every word says where it is ------------------------------------------------ */

static void fill(uint64_t *words, size_t bytes, int64_t offset)
{
    for (size_t i = 0; i < bytes / 8; i++)
        words[i] = (uint64_t)offset + 8 * i;
}

static bool filled(const uint64_t *words, size_t bytes, int64_t offset)
{
    for (size_t i = 0; i < bytes / 8; i++)
        if (words[i] != (uint64_t)offset + 8 * i)
            return false;
    return true;
}

/* Of 4 MiB, on the disk and not in the page cache, as far as the kernel likes. */
static void make_file(struct test_area *area)
{
    uint64_t *words = malloc((size_t)BLOCKS * BLOCK);
    skua_file *file;

    MUST(words != NULL);
    fill(words, (size_t)BLOCKS * BLOCK, 0);
    MUST(skua_file_open(&file, test_area_name(area, "data"), BOTH) == 0);
    CHECK_EQ(skua_file_write_all(file, words, (size_t)BLOCKS * BLOCK), BLOCKS * BLOCK);
    CHECK_EQ(skua_file_sync(file), 0);
    CHECK_EQ(skua_file_advise(file, 0, 0, SKUA_ADVICE_DONT_NEED), 0);
    CHECK_EQ(skua_file_close(file), 0);
    free(words);
}

/* Past the page cache, if the file system can. */
static skua_file *open_data(struct test_area *area, bool direct)
{
    const char *path = test_area_name(area, "data");
    skua_file *file;

    if (direct &&
        skua_file_open(&file, path, SKUA_FILE_OPTIONS(.read = 1, .write = 1, .direct = 1)) == 0)
        return file;
    MUST(skua_file_open(&file, path, BOTH) == 0);
    return file;
}

struct access {
    skua_file *file;
    int64_t offset;
    size_t len;
    uint64_t *words; /* `len` bytes */
    ssize_t result;
    atomic_int begun;
    bool writes;
    int64_t within; /* ns; 0: no deadline */
};

static struct access *access_new(size_t count, skua_file *file, size_t len)
{
    struct access *all = calloc(count, sizeof *all);

    MUST(all != NULL);
    for (size_t i = 0; i < count; i++) {
        all[i].file = file;
        all[i].len = len;
        MUST(posix_memalign((void **)&all[i].words, BLOCK, len) == 0);
        memset(all[i].words, 0xaa, len);
    }
    return all;
}

static void access_free(struct access *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(all[i].words);
    free(all);
}

static bool untouched(const struct access *self)
{
    const unsigned char *bytes = (const unsigned char *)self->words;

    for (size_t i = 0; i < self->len; i++)
        if (bytes[i] != 0xaa)
            return false;
    return true;
}

static int accesses(void *arg)
{
    struct access *self = arg;
    skua_deadline deadline;

    if (self->within != 0)
        CHECK_EQ(skua_deadline_begin(&deadline, skua_now() + self->within), 0);
    atomic_store(&self->begun, 1);
    self->result = self->writes ? skua_file_pwrite(self->file, self->words, self->len, self->offset)
                                : skua_file_pread(self->file, self->words, self->len, self->offset);
    if (self->within != 0)
        CHECK_EQ(skua_deadline_end(&deadline), 0);
    return 0;
}

/* ---- many at a time -------------------------------------------------------------------------- */

static void reads_many(bool direct)
{
    struct test_area area;
    struct access *all;
    skua_scope scope;
    skua_file *file;
    uint64_t before;

    test_area_open(&area);
    make_file(&area);
    file = open_data(&area, direct);
    all = access_new(MANY, file, BLOCK);
    before = jobs();
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < MANY; i++) {
        all[i].offset = (int64_t)(i * 37 % BLOCKS) * BLOCK;
        CHECK_EQ(skua_spawn(&scope, accesses, &all[i]), 0);
    }
    CHECK_EQ(skua_scope_join(&scope), 0);
    if (on_ring())
        CHECK_EQ(jobs(), before); /* no thread was needed */
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(all[i].result, BLOCK);
        CHECK(filled(all[i].words, BLOCK, all[i].offset));
    }
    access_free(all, MANY);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
}

TEST_FIBER(many_reads_at_a_time)
{
    int before = test_fd_count();

    reads_many(false);
    reads_many(true);
    CHECK_EQ(test_fd_settle(before), before);
    return 0;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* Each way to read follows the file, and ends where it ends. */
static void follows(skua_file *file, bool direct)
{
    struct access *one = access_new(1, file, 4 * (size_t)BLOCK);
    char *bytes = (char *)one->words;
    struct iovec iov[2] = {{bytes, BLOCK}, {bytes + BLOCK, BLOCK}};
    int64_t at = 0;
    ssize_t n;

    CHECK_EQ(skua_file_pread(file, bytes, 0, 0), 0);
    CHECK_EQ(skua_file_readv(file, iov, 0), 0);

    while ((n = skua_file_readv(file, iov, 2)) > 0) {
        CHECK_EQ(n, 2 * BLOCK);
        CHECK(filled(one->words, 2 * (size_t)BLOCK, at));
        at += n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(at, BLOCKS * BLOCK);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), at);
    CHECK_EQ(skua_file_preadv(file, iov, 2, at - 3 * BLOCK), 2 * BLOCK);
    CHECK(filled(one->words, 2 * (size_t)BLOCK, at - 3 * BLOCK));
    CHECK_EQ(skua_file_pread(file, bytes, 4 * BLOCK, at - BLOCK), BLOCK); /* short */
    CHECK(filled(one->words, BLOCK, at - BLOCK));
    CHECK_EQ(skua_file_pread(file, bytes, BLOCK, at), 0);
    CHECK_EQ(skua_file_pread_exact(file, bytes, 4 * BLOCK, at - BLOCK), SKUA_EEOF);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), at);
    /* A direct read begins at a block. */
    CHECK_EQ(skua_file_pread(file, bytes, direct ? BLOCK : 16, 8 * BLOCK), direct ? BLOCK : 16);
    CHECK(filled(one->words, 16, 8 * BLOCK));
    access_free(one, 1);
}

TEST_FIBER(reads_follow_each_other)
{
    struct test_area area;
    skua_file *file;

    test_area_open(&area);
    make_file(&area);
    for (int direct = 0; direct < 2; direct++) {
        file = open_data(&area, direct != 0);
        follows(file, direct != 0);
        CHECK_EQ(skua_file_close(file), 0);
    }
    test_area_close(&area);
    return 0;
}

TEST_FIBER(writes_follow_each_other)
{
    struct access *one = access_new(1, NULL, 2 * (size_t)BLOCK);
    char *bytes = (char *)one->words;
    struct iovec iov[2] = {{bytes, BLOCK}, {bytes + BLOCK, BLOCK}};
    skua_metadata metadata;
    struct test_area area;
    skua_file *file;

    test_area_open(&area);
    make_file(&area);
    for (int direct = 0; direct < 2; direct++) {
        file = open_data(&area, direct != 0);
        for (int64_t at = 0; at < 8 * BLOCK; at += 2 * BLOCK) {
            fill(one->words, 2 * (size_t)BLOCK, at + 7);
            CHECK_EQ(skua_file_writev(file, iov, 2), 2 * BLOCK);
        }
        CHECK_EQ(skua_file_pwritev(file, iov, 2, 16 * BLOCK), 2 * BLOCK);
        CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 8 * BLOCK);
        CHECK_EQ(skua_file_sync_data(file), 0);
        CHECK_EQ(skua_file_pread(file, bytes, BLOCK, 4 * BLOCK), BLOCK);
        CHECK(filled(one->words, BLOCK, 4 * BLOCK + 7));
        CHECK_EQ(skua_file_pread(file, bytes, BLOCK, 16 * BLOCK), BLOCK);
        CHECK(filled(one->words, BLOCK, 6 * BLOCK + 7));
        CHECK_EQ(skua_file_metadata(file, &metadata), 0);
        CHECK_EQ(metadata.size, BLOCKS * BLOCK);
        CHECK_EQ(skua_file_close(file), 0);
    }
    access_free(one, 1);
    test_area_close(&area);
    return 0;
}

/* What is appended goes to the end, wherever the cursor is. */
TEST_FIBER(appends_go_to_the_end)
{
    struct test_area area;
    skua_file *file;
    char c = 0;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_put(&area, "log", "one"),
                        SKUA_FILE_OPTIONS(.read = 1, .append = 1)) == 0);
    CHECK_EQ(skua_file_read(file, &c, 1), 1);
    CHECK_EQ(skua_file_write(file, "two", 3), 3);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 6);
    CHECK_EQ(skua_file_pwrite(file, "three", 5, 1), 5);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 6);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK(test_area_has(&area, "log", "onetwothree"));
    test_area_close(&area);
    return 0;
}

/* A ring alone would read and write pipes at any offset. */
TEST_FIBER(pipes_have_no_offsets)
{
    struct test_area area;
    skua_file *file;
    char c = 'x';

    test_area_open(&area);
    MUST(mkfifo(test_area_name(&area, "fifo"), 0600) == 0);
    MUST(skua_file_open(&file, test_area_name(&area, "fifo"),
                        SKUA_FILE_OPTIONS(.read = 1, .write = 1)) == 0);
    for (int i = 0; i < 2; i++) { /* also when it is known */
        CHECK_EQ(skua_file_pwrite(file, &c, 1, 0), -ESPIPE);
        CHECK_EQ(skua_file_pwrite_all(file, &c, 1, 7), -ESPIPE);
        CHECK_EQ(skua_file_write(file, &c, 1), 1);
        CHECK_EQ(skua_file_pread(file, &c, 1, 0), -ESPIPE);
        CHECK_EQ(skua_file_read(file, &c, 1), 1);
    }
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    return 0;
}

/* ---- cancelled ------------------------------------------------------------------------------- */

/* A round of reads, each cancelled at another moment. How many were. */
static int cancels_reads(skua_file *file, struct access *all, int count, int round)
{
    skua_task *tasks[16];
    int cancelled = 0;

    for (int i = 0; i < count; i++) {
        memset(all[i].words, 0xaa, all[i].len);
        all[i].file = file;
        all[i].offset = (int64_t)((round * 16 + i) * 29 % (BLOCKS - 16)) * BLOCK;
        all[i].within = round % 3 == 2 ? (i + 1) * 10 * SKUA_MICROSECOND : 0;
        MUST(skua_spawn(NULL, accesses, &all[i], .task = &tasks[i]) == 0);
    }
    for (int i = 0; i < round % 4; i++)
        CHECK_EQ(skua_yield(), 0);
    if (round % 5 == 4)
        CHECK_EQ(skua_sleep(round % 7 * 30 * SKUA_MICROSECOND), 0);
    for (int i = 0; i < count; i++)
        if (i % 4 != 3)
            (void)skua_task_cancel(tasks[i]);
    for (int i = 0; i < count; i++) {
        (void)skua_task_join(tasks[i], NULL);
        cancelled += all[i].result == -ECANCELED || all[i].result == -ETIMEDOUT;
    }
    return cancelled;
}

/* What was read is there, and what was not touches nobody's memory afterwards. */
TEST_FIBER(reads_are_cancelled)
{
    enum { COUNT = 16 };
    int rounds = TEST_COUNT(64), before = test_fd_count(), cancelled = 0;
    struct test_area area;
    struct access *all;
    skua_file *file;

    test_area_open(&area);
    make_file(&area);
    file = open_data(&area, true);
    all = access_new(COUNT, file, 16 * (size_t)BLOCK);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < COUNT; i++)
            all[i].result = 12345;
        cancelled += cancels_reads(file, all, COUNT, round);
        for (int i = 0; i < COUNT; i++) {
            ssize_t n = all[i].result;

            if (n == 12345) /* it was cancelled before it began */
                CHECK(untouched(&all[i]));
            else if (n < 0)
                CHECK((n == -ECANCELED || (n == -ETIMEDOUT && all[i].within != 0)) &&
                      untouched(&all[i])); /* nothing was done */
            else
                CHECK(n == 16 * BLOCK && filled(all[i].words, (size_t)n, all[i].offset));
            memset(all[i].words, 0xaa, all[i].len);
        }
    }
    for (int i = 0; i < COUNT; i++)
        CHECK(untouched(&all[i]));
    test_note("%d of %d cancelled", cancelled, rounds * COUNT);
    access_free(all, COUNT);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(test_fd_settle(before), before);
    test_area_close(&area);
    return 0;
}

/* A write has happened, and says so; or it has not. In the same file they wait for each other, so
 * that there is something to cancel. */
TEST_FIBER(cancelled_writes_have_happened_or_not)
{
    enum { COUNT = 8, LEN = 512 << 10 };
    skua_task *tasks[COUNT];
    struct test_area area;
    struct access *all;
    skua_file *file;
    uint64_t *there;
    int cancelled = 0;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "data"), BOTH) == 0);
    all = access_new(COUNT, file, LEN);
    there = malloc(LEN);
    for (int i = 0; i < COUNT; i++) {
        all[i].writes = true;
        all[i].offset = (int64_t)i * LEN;
        all[i].result = -ECANCELED; /* if it never begins */
        fill(all[i].words, LEN, all[i].offset + 1);
        MUST(skua_spawn(NULL, accesses, &all[i], .task = &tasks[i]) == 0);
    }
    test_yield_until(&all[COUNT - 1].begun);
    for (int i = 0; i < COUNT; i++)
        (void)skua_task_cancel(tasks[i]);
    for (int i = 0; i < COUNT; i++)
        (void)skua_task_join(tasks[i], NULL);
    CHECK_EQ(skua_file_truncate(file, (int64_t)COUNT * LEN), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(skua_file_pread_exact(file, there, LEN, all[i].offset), LEN);
        cancelled += all[i].result == -ECANCELED;
        if (all[i].result > 0)
            CHECK(filled(there, (size_t)all[i].result, all[i].offset + 1));
        else
            CHECK(all[i].result == -ECANCELED && there[0] == 0 && there[LEN / 8 - 1] == 0);
    }
    CHECK_EQ(skua_file_sync(file), 0); /* a cancellation is no failed write */
    test_note("%d of %d cancelled", cancelled, COUNT);
    free(there);
    access_free(all, COUNT);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    return 0;
}

/* ---- closed, stopped ------------------------------------------------------------------------- */

TEST_FIBER(close_waits_for_reads_in_flight)
{
    enum { COUNT = 64 };
    int before = test_fd_count();
    struct test_area area;
    struct access *all;
    skua_scope scope;
    skua_file *file;

    test_area_open(&area);
    make_file(&area);
    file = open_data(&area, true);
    all = access_new(COUNT, file, 16 * (size_t)BLOCK);
    MUST(skua_scope_open(&scope, SKUA_COLLECT) == 0);
    for (int i = 0; i < COUNT; i++) {
        all[i].offset = (int64_t)i * BLOCK;
        CHECK_EQ(skua_spawn(&scope, accesses, &all[i]), 0);
    }
    test_yield_until(&all[COUNT / 2].begun);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(test_fd_settle(before), before);
    CHECK_EQ(skua_scope_join(&scope), 0);
    for (int i = 0; i < COUNT; i++)
        CHECK(all[i].result == SKUA_ECLOSED ||
              (all[i].result == 16 * BLOCK && filled(all[i].words, all[i].len, all[i].offset)));
    access_free(all, COUNT);
    test_area_close(&area);
    return 0;
}

struct endless {
    struct test_area area;
    skua_file *file;
    atomic_int reads;
};

static int reads_for_ever(void *arg)
{
    struct endless *endless = arg;
    struct access *one = access_new(1, endless->file, 16 * (size_t)BLOCK);
    int rc = 0;

    while (rc == 0) {
        one->result = skua_file_pread(endless->file, one->words, one->len, 0);
        atomic_fetch_add(&endless->reads, 1);
        rc = one->result == (ssize_t)one->len ? 0 : (int)one->result;
    }
    access_free(one, 1);
    return rc == -ECANCELED ? 0 : rc;
}

static int begins_endless(void *arg)
{
    struct endless *endless = arg;

    test_area_open(&endless->area);
    make_file(&endless->area);
    endless->file = open_data(&endless->area, true);
    for (int i = 0; i < 32; i++)
        MUST(skua_spawn_on(skua_runtime_current(), reads_for_ever, endless) == 0);
    while (atomic_load(&endless->reads) < 100)
        CHECK_EQ(skua_yield(), 0);
    return 0;
}

/* A runtime ends with reads in flight: it waits for them. */
TEST(runtime_ends_with_reads_in_flight)
{
    int before = test_fd_count();

    for (size_t i = 0; i < TEST_KINDS; i++) {
        skua_runtime *runtime = test_runtime(&test_kinds[i]);
        struct endless endless = {.reads = 0};

        test_run(runtime, begins_endless, &endless);
        test_runtime_free(runtime);
        CHECK_EQ(skua_file_close(endless.file), 0);
        CHECK_EQ(test_fd_settle(before), before);
        test_area_close(&endless.area);
    }
}

/* A test's clock stands while the kernel reads: no deadline passes. */
TEST_FIBER_CLOCK(clock_waits_for_reads)
{
    struct test_area area;
    struct access *one;
    skua_file *file;
    int64_t begin;

    test_area_open(&area);
    make_file(&area);
    file = open_data(&area, true);
    one = access_new(1, file, 64 * (size_t)BLOCK);
    one->within = SKUA_MILLISECOND;
    begin = skua_now();
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(accesses(one), 0);
        CHECK_EQ(one->result, 64 * BLOCK);
    }
    CHECK_EQ(skua_now(), begin);
    access_free(one, 1);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    return 0;
}

/* ---- faults ---------------------------------------------------------------------------------- */

#ifdef SKUA_FAULTS

static void disarm(void)
{
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    skua__fault_arm(SKUA__FAULT_SHORT, 0, 0, 0);
}

TEST_FIBER_CURRENT(ring_that_fails)
{
    struct test_area area;
    struct access *one;
    skua_file *file;
    uint64_t before;

    if (!on_ring())
        return 0;
    test_area_open(&area);
    make_file(&area);
    file = open_data(&area, true);
    one = access_new(1, file, BLOCK);
    one->offset = 3 * BLOCK;
    CHECK_EQ(accesses(one), 0); /* that the file can be sought in is known */
    before = jobs();
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 5, EINTR);
    CHECK_EQ(accesses(one), 0);
    CHECK_EQ(one->result, BLOCK);
    CHECK_EQ(jobs(), before);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EAGAIN); /* no room: the pool does it */
    CHECK_EQ(accesses(one), 0);
    CHECK_EQ(one->result, BLOCK);
    CHECK(filled(one->words, BLOCK, one->offset));
    CHECK_EQ(jobs(), before + 1);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EIO);
    CHECK_EQ(accesses(one), 0);
    CHECK_EQ(one->result, -EIO);
    disarm();
    CHECK_EQ(skua_file_sync(file), 0); /* of a read nobody is told again */
    one->writes = true;
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ENOSPC);
    CHECK_EQ(accesses(one), 0);
    CHECK_EQ(one->result, -ENOSPC);
    disarm();
    CHECK_EQ(skua_file_sync(file), -ENOSPC);
    CHECK_EQ(skua_file_sync(file), 0);
    one->within = 1; /* it is over before it begins: no failure of the file's */
    CHECK_EQ(accesses(one), 0);
    CHECK_EQ(one->result, -ETIMEDOUT);
    CHECK_EQ(skua_file_sync(file), 0);
    access_free(one, 1);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    return 0;
}

TEST_FIBER(short_counts_in_a_ring)
{
    char buf[2 * BLOCK];
    struct test_area area;
    skua_file *file;

    test_area_open(&area);
    make_file(&area);
    file = open_data(&area, false);
    skua__fault_arm(SKUA__FAULT_SHORT, 1, 1000000, 1);
    CHECK_EQ(skua_file_pread_exact(file, buf, sizeof buf, BLOCK), sizeof buf);
    CHECK(filled((uint64_t *)(void *)buf, sizeof buf, BLOCK));
    CHECK_EQ(skua_file_write_all(file, buf, sizeof buf), sizeof buf);
    CHECK_EQ(skua_file_pwrite(file, buf, 8, 0), 4);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), sizeof buf);
    disarm();
    CHECK_EQ(skua_file_pread(file, buf, sizeof buf, 0), sizeof buf);
    CHECK(filled((uint64_t *)(void *)buf, sizeof buf, BLOCK));
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    return 0;
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_reads_at_a_time),
        cmocka_unit_test(reads_follow_each_other),
        cmocka_unit_test(writes_follow_each_other),
        cmocka_unit_test(appends_go_to_the_end),
        cmocka_unit_test(pipes_have_no_offsets),
        cmocka_unit_test(reads_are_cancelled),
        cmocka_unit_test(cancelled_writes_have_happened_or_not),
        cmocka_unit_test(close_waits_for_reads_in_flight),
        cmocka_unit_test(runtime_ends_with_reads_in_flight),
        cmocka_unit_test(clock_waits_for_reads),
#ifdef SKUA_FAULTS
        cmocka_unit_test(ring_that_fails),
        cmocka_unit_test(short_counts_in_a_ring),
#endif
    };

    return TEST_MAIN(tests);
}
