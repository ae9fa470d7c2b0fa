/* test_file.c - open files: what each call does, and what it refuses.
 *
 * Specifies file.h, but for cancelling, closing and faults (test_file_life.c). drivers: both
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "part.h"
#include "usage.h"

#define READ SKUA_FILE_OPTIONS(.read = 1)
#define WRITE SKUA_FILE_OPTIONS(.write = 1, .create = 1)
#define BOTH SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)
#define APPEND SKUA_FILE_OPTIONS(.append = 1, .create = 1)

/* ---- opening --------------------------------------------------------------------------------- */

static void refuses_to_open(const char *path, const skua_file_options *options, int wanted)
{
    skua_file *file = NULL;

    CHECK_EQ(skua_file_open(&file, path, options), wanted);
    CHECK(file == NULL);
}

TEST_WAITING(open_refuses)
{
    skua_file_options bad = {.size = 3};
    struct test_area area;
    const char *there;

    test_area_open(&area);
    there = test_area_put(&area, "there", "x");
    refuses_to_open(test_area_name(&area, "missing"), NULL, -ENOENT);
    refuses_to_open(test_area_name(&area, "missing/below"), WRITE, -ENOENT);
    refuses_to_open(test_area_name(&area, "there/below"), WRITE, -ENOTDIR);
    refuses_to_open(area.path, WRITE, -EISDIR);
    refuses_to_open(there, SKUA_FILE_OPTIONS(.write = 1, .create_new = 1), -EEXIST);
    MUST(symlink("loop", test_area_name(&area, "loop")) == 0);
    refuses_to_open(test_area_name(&area, "loop"), READ, -ELOOP);
    MUST(symlink("there", test_area_name(&area, "link")) == 0);
    refuses_to_open(test_area_name(&area, "link"), SKUA_FILE_OPTIONS(.no_follow = 1), -ELOOP);
    refuses_to_open(there, &bad, -EINVAL);
    refuses_to_open(NULL, NULL, -EINVAL);
    refuses_to_open(there, SKUA_FILE_OPTIONS(.create = 1), -EINVAL);
    refuses_to_open(there, SKUA_FILE_OPTIONS(.read = 1, .truncate = 1), -EINVAL);
    refuses_to_open(there, SKUA_FILE_OPTIONS(.append = 1, .truncate = 1), -EINVAL);
    refuses_to_open(there, SKUA_FILE_OPTIONS(.mode = 010000), -EINVAL);
    CHECK(test_area_has(&area, "there", "x"));
    test_area_close(&area);
}

static void writes_text(const char *path, const skua_file_options *options, const char *text)
{
    skua_file *file;

    MUST(skua_file_open(&file, path, options) == 0);
    CHECK_EQ(skua_file_write_all(file, text, strlen(text)), strlen(text));
    CHECK_EQ(skua_file_close(file), 0);
}

TEST_WAITING(options_of_opening)
{
    skua_file_options options;
    struct test_area area;
    struct stat status;
    const char *path;

    test_area_open(&area);
    path = test_area_name(&area, "a");
    skua_file_options_init(&options);
    options.write = options.create_new = 1;
    options.mode = 0640;
    writes_text(path, &options, "hello");
    CHECK(stat(path, &status) == 0 && (status.st_mode & 07777) == 0640);
    writes_text(path, WRITE, "J");
    CHECK(test_area_has(&area, "a", "Jello"));
    writes_text(path, APPEND, " there");
    CHECK(test_area_has(&area, "a", "Jello there"));
    writes_text(path, SKUA_FILE_OPTIONS(.write = 1, .truncate = 1, .sync = 1), "new");
    CHECK(test_area_has(&area, "a", "new"));
    test_area_close(&area);
}

TEST_WAITING(descriptors_are_given_back)
{
    struct test_area area;
    int before, number;
    skua_file *file;
    const char *path;

    test_area_open(&area);
    path = test_area_put(&area, "a", "x");
    MUST(skua_file_open(&file, path, NULL) == 0); /* the runtime has made what it makes */
    CHECK_EQ(skua_file_close(file), 0);
    before = test_fd_count();
    MUST(skua_file_open(&file, path, NULL) == 0);
    number = skua_file_number(file);
    CHECK(number >= 0 && (fcntl(number, F_GETFD) & FD_CLOEXEC));
    CHECK_EQ(test_fd_count(), before + 1);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(test_fd_count(), before);
    CHECK_EQ(skua_file_close(NULL), 0);
    test_area_close(&area);
}

/* ---- reading and writing --------------------------------------------------------------------- */

TEST_WAITING(cursor_moves_by_what_was_done)
{
    struct test_area area;
    skua_file *file;
    char buf[16] = "";

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    CHECK_EQ(skua_file_write(file, "abcdef", 6), 6);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 6);
    CHECK_EQ(skua_file_read(file, buf, 4), 0);
    CHECK_EQ(skua_file_seek(file, 1, SKUA_SEEK_START), 1);
    CHECK_EQ(skua_file_read(file, buf, 2), 2);
    CHECK(memcmp(buf, "bc", 2) == 0);
    CHECK_EQ(skua_file_read(file, buf, 0), 0);
    CHECK_EQ(skua_file_seek(file, -1, SKUA_SEEK_CURSOR), 2);
    CHECK_EQ(skua_file_seek(file, -2, SKUA_SEEK_END), 4);
    CHECK_EQ(skua_file_read(file, buf, sizeof buf), 2);
    CHECK(memcmp(buf, "ef", 2) == 0);
    CHECK_EQ(skua_file_seek(file, -1, SKUA_SEEK_START), -EINVAL);
    CHECK_EQ(skua_file_seek(file, 0, (skua_seek)3), -EINVAL);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
}

TEST_WAITING(offsets_leave_the_cursor)
{
    struct test_area area;
    skua_file *file;
    char buf[16] = "";

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    CHECK_EQ(skua_file_pwrite(file, "xyz", 3, 4), 3);
    CHECK_EQ(skua_file_pwrite_all(file, "abcd", 4, 0), 4);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 0);
    CHECK_EQ(skua_file_pread(file, buf, 3, 3), 3);
    CHECK(memcmp(buf, "dxy", 3) == 0);
    CHECK_EQ(skua_file_pread(file, buf, 16, 6), 1);
    CHECK_EQ(skua_file_pread(file, buf, 16, 7), 0);
    CHECK_EQ(skua_file_pread_exact(file, buf, 7, 0), 7);
    CHECK(memcmp(buf, "abcdxyz", 7) == 0);
    CHECK_EQ(skua_file_pread_exact(file, buf, 2, 6), SKUA_EEOF);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 0);
    CHECK_EQ(skua_file_pread(file, buf, 1, -1), -EINVAL); /* -1 is not the cursor */
    CHECK_EQ(skua_file_pwrite(file, buf, 1, -1), -EINVAL);
    CHECK_EQ(skua_file_pread_exact(file, buf, 1, -1), -EINVAL);
    CHECK_EQ(skua_file_pwrite_all(file, buf, 1, -1), -EINVAL);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
}

TEST_WAITING(exactly_and_to_the_end)
{
    struct test_area area;
    skua_file *file;
    char buf[8] = "";
    void *rest = NULL;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_put(&area, "a", "abcdefgh"), NULL) == 0);
    CHECK_EQ(skua_file_read_exact(file, buf, 3), 3);
    CHECK(memcmp(buf, "abc", 3) == 0);
    CHECK_EQ(skua_file_read_to_end(file, &rest, 4), -EFBIG);
    CHECK(rest == NULL);
    CHECK_EQ(skua_file_seek(file, 3, SKUA_SEEK_START), 3);
    CHECK_EQ(skua_file_read_to_end(file, &rest, 5), 5);
    CHECK(memcmp(rest, "defgh", 6) == 0); /* with the zero */
    free(rest);
    CHECK_EQ(skua_file_read_to_end(file, &rest, 0), 0);
    CHECK_EQ(*(char *)rest, 0);
    free(rest);
    CHECK_EQ(skua_file_seek(file, 6, SKUA_SEEK_START), 6);
    CHECK_EQ(skua_file_read_exact(file, buf, 3), SKUA_EEOF);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 8);
    CHECK_EQ(skua_file_write(file, "x", 1), -EBADF);
    CHECK_EQ(skua_file_close(file), 0); /* a mistake is not told twice */
    test_area_close(&area);
}

TEST_WAITING(several_buffers)
{
    char a[4] = "", b[4] = "";
    struct iovec out[] = {{"abc", 3}, {"", 0}, {"def", 3}};
    struct iovec in[] = {{a, 2}, {b, 4}};
    struct test_area area;
    skua_file *file;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    CHECK_EQ(skua_file_writev(file, out, 3), 6);
    CHECK_EQ(skua_file_pwritev(file, out, 1, 6), 3);
    CHECK_EQ(skua_file_preadv(file, in, 2, 0), 6);
    CHECK(memcmp(a, "ab", 2) == 0 && memcmp(b, "cdef", 4) == 0);
    CHECK_EQ(skua_file_seek(file, 5, SKUA_SEEK_START), 5);
    CHECK_EQ(skua_file_readv(file, in, 2), 4);
    CHECK(memcmp(a, "fa", 2) == 0 && memcmp(b, "bc", 2) == 0);
    CHECK_EQ(skua_file_readv(file, in, 0), 0);
    CHECK_EQ(skua_file_readv(file, in, -1), -EINVAL);
    CHECK_EQ(skua_file_writev(file, out, 1025), -EINVAL);
    CHECK_EQ(skua_file_preadv(file, in, 2, -1), -EINVAL);
    CHECK_EQ(skua_file_pwritev(file, out, 2, INT64_MIN), -EINVAL);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
}

/* More than one job each way. */
TEST_WAITING(large_files)
{
    size_t len = ((size_t)9 << 20) + 7;
    char *out = malloc(len), *in = calloc(1, len);
    struct test_area area;
    skua_file *file;
    void *whole;

    MUST(out != NULL && in != NULL);
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(i * 7 + (i >> 13));
    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    CHECK_EQ(skua_file_write(file, out, len), 4 << 20);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_START), 0);
    CHECK_EQ(skua_file_write_all(file, out, len), len);
    CHECK_EQ(skua_file_pread_exact(file, in, len, 0), len);
    CHECK(memcmp(in, out, len) == 0);
    CHECK_EQ(skua_file_seek(file, 1, SKUA_SEEK_START), 1);
    CHECK_EQ(skua_file_read_exact(file, in, len - 1), len - 1);
    CHECK(memcmp(in, out + 1, len - 1) == 0);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_START), 0);
    CHECK_EQ(skua_file_read_to_end(file, &whole, len), len);
    CHECK(memcmp(whole, out, len) == 0);
    free(whole);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    free(out);
    free(in);
}

TEST_WAITING(past_the_page_cache)
{
    char *buf = aligned_alloc(4096, 8192);
    struct test_area area;
    skua_file *file;
    int rc;

    MUST(buf != NULL);
    memset(buf, 'd', 8192);
    test_area_open(&area);
    rc = skua_file_open(&file, test_area_name(&area, "a"),
                        SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1, .direct = 1));
    if (rc != 0) {
        test_note("no direct I/O here: %s", skua_strerror(rc));
    } else {
        CHECK_EQ(skua_file_write_all(file, buf, 8192), 8192);
        memset(buf, 0, 8192);
        CHECK_EQ(skua_file_pread(file, buf, 8192, 0), 8192);
        CHECK_EQ(buf[8191], 'd');
        CHECK_EQ(skua_file_close(file), 0);
    }
    test_area_close(&area);
    free(buf);
}

/* ---- the file itself ------------------------------------------------------------------------- */

TEST_WAITING(length_and_blocks)
{
    skua_metadata metadata;
    struct test_area area;
    skua_file *file;
    char buf[4] = "zzz";
    int rc;

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_put(&area, "a", "abcdef"), BOTH) == 0);
    CHECK_EQ(skua_file_truncate(file, 3), 0);
    CHECK_EQ(skua_file_truncate(file, 6), 0);
    CHECK_EQ(skua_file_pread(file, buf, 4, 2), 4);
    CHECK(memcmp(buf, "c\0\0\0", 4) == 0);
    CHECK_EQ(skua_file_truncate(file, -1), -EINVAL);
    rc = skua_file_allocate(file, 0, 0, 100000);
    if (rc != -EOPNOTSUPP) {
        CHECK_EQ(rc, 0);
        CHECK_EQ(skua_file_allocate(file, SKUA_ALLOCATE_KEEP_SIZE, 0, 200000), 0);
        CHECK_EQ(skua_file_metadata(file, &metadata), 0);
        CHECK_EQ(metadata.size, 100000);
        CHECK(metadata.allocated >= 100000);
        CHECK_EQ(skua_file_allocate(file, SKUA_ALLOCATE_PUNCH_HOLE, 0, 1), 0);
        CHECK_EQ(skua_file_pread(file, buf, 2, 0), 2);
        CHECK(memcmp(buf, "\0b", 2) == 0);
        CHECK_EQ(skua_file_allocate(file, 0, 0, 0), -EINVAL);
    }
    CHECK_EQ(skua_file_allocate(file, 4, 0, 1), -EINVAL);
    for (int advice = SKUA_ADVICE_NORMAL; advice <= SKUA_ADVICE_DONT_NEED; advice++)
        CHECK_EQ(skua_file_advise(file, 0, 0, (skua_file_advice)advice), 0);
    CHECK_EQ(skua_file_advise(file, 0, 0, (skua_file_advice)5), -EINVAL);
    CHECK_EQ(skua_file_sync(file), 0);
    CHECK_EQ(skua_file_sync_data(file), 0);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
}

TEST_WAITING(metadata_is_what_stat_says)
{
    skua_metadata found = {.size = 99};
    struct test_area area;
    struct stat status;
    const char *path;
    skua_file *file;

    test_area_open(&area);
    path = test_area_put(&area, "a", "abcdef");
    MUST(link(path, test_area_name(&area, "b")) == 0);
    MUST(skua_file_open(&file, path, NULL) == 0);
    CHECK_EQ(skua_file_set_permissions(file, 0604), 0);
    CHECK_EQ(skua_file_set_permissions(file, 010000), -EINVAL);
    MUST(stat(path, &status) == 0);
    CHECK_EQ(skua_file_metadata(file, &found), 0);
    CHECK_EQ(found.size, 6);
    CHECK_EQ(found.kind, SKUA_FILE_REGULAR);
    CHECK_EQ(found.mode, 0604);
    CHECK_EQ(found.links, 2);
    CHECK_EQ(found.ino, status.st_ino);
    CHECK_EQ(found.uid, status.st_uid);
    CHECK_EQ(found.gid, status.st_gid);
    CHECK_EQ(found.allocated, status.st_blocks * 512);
    CHECK_EQ(found.modified, status.st_mtim.tv_sec * SKUA_SECOND + status.st_mtim.tv_nsec);
    CHECK_EQ(found.accessed, status.st_atim.tv_sec * SKUA_SECOND + status.st_atim.tv_nsec);
    CHECK_EQ(found.changed, status.st_ctim.tv_sec * SKUA_SECOND + status.st_ctim.tv_nsec);
    CHECK(found.created == 0 || found.created <= found.changed);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
}

/* ---- locks ----------------------------------------------------------------------------------- */

TEST_WAITING(locks_between_open_files)
{
    struct test_area area;
    skua_file *a, *b;
    const char *path;
    int64_t begin;

    test_area_open(&area);
    path = test_area_put(&area, "a", "");
    MUST(skua_file_open(&a, path, NULL) == 0);
    MUST(skua_file_open(&b, path, NULL) == 0);
    CHECK_EQ(skua_file_lock(a, SKUA_FILE_SHARED), 0);
    CHECK_EQ(skua_file_try_lock(b, SKUA_FILE_SHARED), 0);
    CHECK_EQ(skua_file_try_lock(b, SKUA_FILE_EXCLUSIVE), -EBUSY);
    CHECK_EQ(skua_file_unlock(b), 0);
    CHECK_EQ(skua_file_unlock(a), 0);
    CHECK_EQ(skua_file_lock(a, SKUA_FILE_EXCLUSIVE), 0);
    CHECK_EQ(skua_file_try_lock(b, SKUA_FILE_SHARED), -EBUSY);
    begin = skua_now();
    CHECK_EQ(skua_file_lock_until(b, SKUA_FILE_SHARED, begin + MS(5)), -ETIMEDOUT);
    CHECK_RANGE(skua_now() - begin, MS(5), MS(5) + TEST_LATE);
    CHECK_EQ(skua_file_lock_until(b, SKUA_FILE_SHARED, begin), -ETIMEDOUT);
    CHECK_EQ(skua_file_try_lock(b, (skua_file_lock_kind)2), -EINVAL);
    CHECK_EQ(skua_file_close(a), 0); /* unlocks */
    CHECK_EQ(skua_file_lock(b, SKUA_FILE_EXCLUSIVE), 0);
    CHECK_EQ(skua_file_close(b), 0);
    test_area_close(&area);
}

static int unlocks_later(void *arg)
{
    CHECK_EQ(skua_sleep(MS(20)), 0);
    return skua_file_unlock(arg);
}

TEST_FIBER(lock_is_waited_for)
{
    struct test_area area;
    skua_file *a, *b;
    const char *path;
    skua_task *task;
    int result;

    test_area_open(&area);
    path = test_area_put(&area, "a", "");
    MUST(skua_file_open(&a, path, NULL) == 0);
    MUST(skua_file_open(&b, path, NULL) == 0);
    CHECK_EQ(skua_file_lock(a, SKUA_FILE_EXCLUSIVE), 0);
    MUST(skua_spawn(NULL, unlocks_later, a, .task = &task) == 0);
    CHECK_EQ(skua_file_lock(b, SKUA_FILE_EXCLUSIVE), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(skua_file_close(a), 0);
    CHECK_EQ(skua_file_close(b), 0);
    test_area_close(&area);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(open_refuses),
        TEST_WAITING_ENTRIES(options_of_opening),
        TEST_WAITING_ENTRIES(descriptors_are_given_back),
        TEST_WAITING_ENTRIES(cursor_moves_by_what_was_done),
        TEST_WAITING_ENTRIES(offsets_leave_the_cursor),
        TEST_WAITING_ENTRIES(exactly_and_to_the_end),
        TEST_WAITING_ENTRIES(several_buffers),
        TEST_WAITING_ENTRIES(large_files),
        TEST_WAITING_ENTRIES(past_the_page_cache),
        TEST_WAITING_ENTRIES(length_and_blocks),
        TEST_WAITING_ENTRIES(metadata_is_what_stat_says),
        TEST_WAITING_ENTRIES(locks_between_open_files),
        cmocka_unit_test(lock_is_waited_for),
    };

    return TEST_MAIN(tests);
}
