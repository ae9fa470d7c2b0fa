/* test_file_faults.c - files, and a system that fails: signals, short counts, memory, full disks.
 *
 * Specifies what file.h and fs.h say of errors: each is reported, a write's twice, and nothing is
 * left behind. On a plain thread, where no driver's call is the nth; a ring's faults are in
 * test_file_ring.c.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.h"
#include "child.h"
#include "part.h"
#include "usage.h"

#define BOTH SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)

/* ---- a full disk ----------------------------------------------------------------------------- */

/* Fills what is at `dir`; a failed write is told at once, and by the next sync or close. */
static int fills(const char *dir, int wanted)
{
    static char buf[65536];
    char path[TEST_PATH];
    skua_file *file;
    ssize_t n;

    snprintf(path, sizeof path, "%.200s/fill", dir);
    if (skua_file_open(&file, path, BOTH) != 0)
        return 2;
    for (int i = 0; i < 2; i++) {
        while ((n = skua_file_write(file, buf, sizeof buf)) > 0)
            continue;
        if (n != wanted)
            return 3;
        if (i == 0 && (skua_file_sync(file) != wanted || skua_file_sync(file) != 0))
            return 4;
    }
    if (skua_file_close(file) != wanted)
        return 5;
    if (wanted == -ENOSPC && skua_fs_write_atomic(path, buf, sizeof buf, 0) != wanted)
        return 6;
    return wanted == -ENOSPC && skua_fs_exists(path) != 1 ? 7 : 0;
}

struct filling {
    const char *dir;
    int wanted;
};

static int fills_fiber(void *arg)
{
    const struct filling *filling = arg;

    return fills(filling->dir, filling->wanted);
}

/* On a thread, and on a fiber, where a ring may do it. */
static int fills_twice(const char *dir, int wanted)
{
    struct filling filling = {dir, wanted};
    skua_runtime *runtime;
    int rc = fills(dir, wanted);
    int result = 0;

    if (rc != 0)
        return rc;
    if (skua_runtime_new(&runtime, SKUA_RUNTIME_OPTIONS(.kind = SKUA_CURRENT_THREAD)) != 0)
        return 20;
    rc = skua_block_on(runtime, fills_fiber, &filling, &result);
    if (skua_runtime_free(runtime) != 0)
        return 21;
    return rc != 0 ? 22 : result != 0 ? 30 + result : 0;
}

static bool puts_line(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY);
    bool done = fd >= 0 && write(fd, line, strlen(line)) == (ssize_t)strlen(line);

    if (fd >= 0)
        close(fd);
    return done;
}

/* 77: this may not mount. */
static int fills_a_disk(const char *dir)
{
    char users[64], groups[64];
    int rc;

    snprintf(users, sizeof users, "0 %d 1", (int)getuid());
    snprintf(groups, sizeof groups, "0 %d 1", (int)getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !puts_line("/proc/self/setgroups", "deny") ||
        !puts_line("/proc/self/uid_map", users) || !puts_line("/proc/self/gid_map", groups) ||
        mount("none", dir, "tmpfs", 0, "size=1m") != 0)
        return 77;
    rc = fills_twice(dir, -ENOSPC);
    if (rc == 0) { /* the old file, and nothing of the new one */
        skua_dir_entry entry;
        skua_dir *entries;

        if (skua_dir_open(&entries, dir) != 0 || skua_dir_next(entries, &entry) != 1 ||
            skua_dir_next(entries, &entry) != 0)
            return 8;
        skua_dir_close(entries);
    }
    return rc;
}

static int fills_a_limit(const char *dir)
{
    struct rlimit limit = {1 << 20, 1 << 20};

    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit) == 0 ? fills_twice(dir, -EFBIG) : 77;
}

/* As somebody whom permissions concern. */
static int is_nobody(const char *dir)
{
    char path[TEST_PATH];
    skua_file *file;
    void *data;

    snprintf(path, sizeof path, "%.200s/secret", dir);
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return 77;
    if (skua_file_open(&file, path, NULL) != -EACCES)
        return 2;
    if (skua_fs_read(path, &data, 100) != -EACCES || skua_fs_remove(path) != -EACCES)
        return 3;
    if (skua_fs_write_atomic(path, "x", 1, 0) != -EACCES || skua_fs_remove_all(path) != -EACCES)
        return 4;
    snprintf(path, sizeof path, "%.200s/new/below", dir);
    return skua_fs_mkdir_all(path, 0) == -EACCES ? 0 : 5;
}

static int child_main(const char *mode)
{
    const char *dir = getenv("FILL");

    return strcmp(mode, "disk") == 0    ? fills_a_disk(dir)
           : strcmp(mode, "limit") == 0 ? fills_a_limit(dir)
                                        : is_nobody(dir);
}

static void run_child(const char *mode, mode_t permissions)
{
    static struct test_child child;
    char env[TEST_PATH + 8];
    struct test_area area;
    int status;

    test_area_open(&area);
    if (permissions != 0) {
        test_area_put(&area, "secret", "x");
        MUST(chmod(test_area_name(&area, "secret"), 0) == 0);
        MUST(chmod(area.path, permissions) == 0);
    }
    snprintf(env, sizeof env, "FILL=%s", area.path);
    status = test_child_run(&child, mode, env);
    MUST(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        test_note("%s: not permitted here", mode);
    else
        CHECK_EQ(WEXITSTATUS(status), 0);
    MUST(chmod(area.path, 0700) == 0);
    test_area_close(&area);
}

TEST(full_disk_is_told_twice)
{
    run_child("disk", 0);
}

TEST(limit_of_size_is_told_twice)
{
    run_child("limit", 0);
}

TEST(permissions_are_asked)
{
    run_child("nobody", 0555);
}

#ifdef SKUA_FAULTS
#include "os/os.h"

static void disarm(void)
{
    for (int kind = 0; kind < SKUA__FAULT_KINDS; kind++)
        skua__fault_arm((enum skua__fault)kind, 0, 0, 0);
}

/* ---- what is done again ---------------------------------------------------------------------- */

/* Everything once, with checks; `a` is there, and is again at the end. */
static void does_everything(struct test_area *area)
{
    const char *a = test_area_put(area, "a", "0123456789"), *b = test_area_name(area, "b");
    char buf[16] = "";
    skua_file *file;
    void *data;
    char *dir;

    MUST(skua_file_open(&file, a, BOTH) == 0);
    CHECK_EQ(skua_file_read_exact(file, buf, 10), 10);
    CHECK(memcmp(buf, "0123456789", 10) == 0);
    CHECK_EQ(skua_file_write_all(file, "abcdefghij", 10), 10);
    CHECK_EQ(skua_file_pwrite_all(file, "ABCDE", 5, 5), 5);
    CHECK_EQ(skua_file_pread_exact(file, buf, 16, 4), 16);
    CHECK(memcmp(buf, "4ABCDEabcdefghij", 16) == 0);
    CHECK_EQ(skua_file_seek(file, 5, SKUA_SEEK_START), 5);
    CHECK_EQ(skua_file_read_to_end(file, &data, 15), 15);
    CHECK(strcmp(data, "ABCDEabcdefghij") == 0);
    free(data);
    CHECK_EQ(skua_file_sync(file), 0);
    CHECK_EQ(skua_file_truncate(file, 10), 0);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(skua_fs_copy(a, b), 10);
    CHECK_EQ(skua_fs_read(b, &data, 10), 10);
    CHECK(strcmp(data, "01234ABCDE") == 0);
    free(data);
    CHECK_EQ(skua_fs_write_atomic(b, "atomically", 10, 0), 0);
    CHECK(test_area_has(area, "b", "atomically"));
    CHECK_EQ(skua_fs_copy("/proc/self/stat", b) > 0, 1); /* by hand */
    MUST(skua_fs_temp_dir(area->path, &dir) == 0);
    CHECK_EQ(skua_fs_remove_all(dir), 0);
    free(dir);
    CHECK_EQ(skua_fs_remove(b), 0);
    CHECK_EQ(test_area_count(area), 1);
}

TEST(interrupted_calls_are_done_again)
{
    struct test_area area;
    unsigned calls;

    test_area_open(&area);
    does_everything(&area);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    does_everything(&area);
    calls = skua__fault_calls(SKUA__FAULT_SYSCALL);
    CHECK(calls > 30);
    for (unsigned n = 1; n <= calls; n++) {
        skua__fault_arm(SKUA__FAULT_SYSCALL, n, 3, EINTR);
        does_everything(&area);
        disarm();
    }
    test_area_close(&area);
}

TEST(short_counts_are_gone_on_with)
{
    struct test_area area;
    skua_file *file;
    char buf[8];

    test_area_open(&area);
    skua__fault_arm(SKUA__FAULT_SHORT, 1, 1000000, 1);
    does_everything(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    CHECK_EQ(skua_file_write(file, "abcdefgh", 8), 4); /* a count is a count */
    CHECK_EQ(skua_file_pread(file, buf, 8, 0), 4);
    CHECK_EQ(skua_file_close(file), 0);
    disarm();
    test_area_close(&area);
}

/* ---- what fails ------------------------------------------------------------------------------ */

TEST(failed_write_is_told_by_the_next_flush)
{
    struct test_area area;
    skua_file *file;
    int before;

    test_area_open(&area);
    before = test_fd_count();
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    for (int i = 0; i < 4; i++) {
        skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, ENOSPC);
        CHECK_EQ(i < 2 ? skua_file_write(file, "x", 1) : skua_file_pwrite(file, "x", 1, 0),
                 -ENOSPC);
        disarm();
        CHECK_EQ(skua_file_write(file, "x", 1), 1); /* does not hide it */
        CHECK_EQ(i % 2 == 0 ? skua_file_sync(file) : skua_file_sync_data(file), -ENOSPC);
        CHECK_EQ(skua_file_sync(file), 0); /* once */
    }
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EIO);
    CHECK_EQ(skua_file_sync(file), -EIO); /* its own */
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EDQUOT);
    CHECK_EQ(skua_file_write_all(file, "x", 1), -EDQUOT);
    disarm();
    CHECK_EQ(skua_file_close(file), -EDQUOT);
    CHECK_EQ(test_fd_count(), before);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) ==
         0); /* the next one's is clean */
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EIO);
    CHECK_EQ(skua_file_close(file), -EIO);
    disarm();
    CHECK_EQ(test_fd_count(), before);
    test_area_close(&area);
}

struct whole {
    struct test_area *area;
    int64_t (*fn)(struct whole *whole);
    unsigned swallows; /* so many calls may fail, and it ends well all the same */
    enum skua__fault kind;
    unsigned calls; /* of that kind, that fn made */
};

/* The part of fn that is tested is over. */
static void stops(struct whole *whole)
{
    whole->calls = skua__fault_calls(whole->kind);
    disarm();
}

static int64_t writes_atomically(struct whole *whole)
{
    return skua_fs_write_atomic(test_area_name(whole->area, "a"), "new", 3, 0);
}

static int64_t reads_whole(struct whole *whole)
{
    void *data;
    int64_t n = skua_fs_read(test_area_name(whole->area, "a"), &data, 100);

    if (n >= 0)
        free(data);
    return n < 0 ? n : 0;
}

static int64_t makes_a_temp_file(struct whole *whole)
{
    skua_file *file;
    int64_t rc = skua_fs_temp_file(&file, whole->area->path);

    return rc != 0 ? rc : skua_file_close(file);
}

static int64_t makes_a_temp_dir(struct whole *whole)
{
    char *dir;
    int64_t rc = skua_fs_temp_dir(whole->area->path, &dir);

    if (rc == 0) {
        CHECK_EQ(rmdir(dir), 0);
        free(dir);
    }
    return rc;
}

static int64_t reads_a_dir(struct whole *whole)
{
    skua_dir_entry entry;
    skua_dir *dir;
    int64_t rc = skua_dir_open(&dir, whole->area->path);

    if (rc != 0)
        return rc;
    while ((rc = skua_dir_next(dir, &entry)) == 1)
        continue;
    skua_dir_close(dir);
    return rc;
}

static int64_t removes_a_tree(struct whole *whole)
{
    const char *tree = test_area_name(whole->area, "tree");
    int64_t rc;

    MUST(mkdir(tree, 0700) == 0 && mkdir(test_area_name(whole->area, "tree/below"), 0700) == 0);
    test_area_put(whole->area, "tree/below/x", "");
    rc = skua_fs_remove_all(tree);
    stops(whole);
    if (rc != 0)
        CHECK_EQ(skua_fs_remove_all(tree), 0); /* it goes on where it stopped */
    return rc;
}

static int64_t makes_dirs(struct whole *whole)
{
    int64_t rc = skua_fs_mkdir_all(test_area_name(whole->area, "x/y/z"), 0);
    int64_t removed;

    stops(whole);
    removed = skua_fs_remove_all(test_area_name(whole->area, "x"));
    CHECK(removed == 0 || removed == -ENOENT);
    return rc;
}

static int64_t opens_and_closes(struct whole *whole)
{
    skua_file *file;
    int64_t rc = skua_file_open(&file, test_area_name(whole->area, "a"), NULL);

    return rc != 0 ? rc : skua_file_close(file);
}

static int64_t canonicalizes(struct whole *whole)
{
    char *name;
    int64_t rc = skua_fs_canonicalize(whole->area->path, &name);

    if (rc == 0)
        free(name);
    return rc;
}

static int64_t copies(struct whole *whole)
{
    int64_t n = skua_fs_copy(test_area_name(whole->area, "a"), test_area_name(whole->area, "copy"));

    unlink(test_area_name(whole->area, "copy"));
    return n < 0 ? n : 0;
}

static int64_t copies_by_hand(struct whole *whole)
{
    int64_t n = skua_fs_copy("/proc/self/stat", test_area_name(whole->area, "copy"));

    unlink(test_area_name(whole->area, "copy"));
    return n < 0 ? n : 0;
}

/* A look at the size, a close of what was only read, a job to close on. */
static const struct whole wholes[] = {
    {.fn = writes_atomically, .swallows = 1},
    {.fn = reads_whole, .swallows = 3},
    {.fn = makes_a_temp_file, .swallows = 1},
    {.fn = makes_a_temp_dir},
    {.fn = reads_a_dir, .swallows = 1},
    {.fn = removes_a_tree, .swallows = 3},
    {.fn = makes_dirs},
    {.fn = opens_and_closes, .swallows = 1},
    {.fn = canonicalizes},
    {.fn = copies, .swallows = 2},
    {.fn = copies_by_hand, .swallows = 2},
};

/* The nth call of a kind fails, for each n: that is reported, and nothing is left. */
static void walks(struct test_area *area, const struct whole *which, enum skua__fault kind,
                  int error)
{
    struct whole whole = *which;
    int before = test_fd_count();
    unsigned n = 1, swallowed = 0;

    whole.area = area;
    whole.kind = kind;
    for (;; n++) {
        int64_t rc;
        bool hit;

        test_area_put(area, "a", "old");
        skua__fault_arm(kind, n, 1, error);
        rc = whole.fn(&whole);
        if (whole.calls == 0)
            stops(&whole);
        hit = whole.calls >= n;
        whole.calls = 0;
        CHECK_EQ(test_fd_count(), before);
        CHECK_EQ(test_area_count(area), 1);
        CHECK(test_area_has(area, "a", "old") || test_area_has(area, "a", "new"));
        if (rc == 0 && !hit)
            break;
        if (rc == 0)
            swallowed++;
        else
            CHECK_EQ(rc, -error);
        MUST(n < 100);
    }
    CHECK(swallowed <= whole.swallows);
}

TEST(each_failure_is_reported_and_leaves_nothing)
{
    struct test_area area;

    test_area_open(&area);
    for (size_t i = 0; i < TEST_LEN(wholes); i++)
        walks(&area, &wholes[i], SKUA__FAULT_SYSCALL, EIO);
    test_area_close(&area);
}

static int runs_out_of_memory(void *arg)
{
    CHECK_EQ(skua_fs_exists("/"), 1);
    for (size_t i = 0; i < TEST_LEN(wholes); i++)
        walks(arg, &wholes[i], SKUA__FAULT_MALLOC, ENOMEM);
    return 0;
}

/* With a thread that is there already: what it needs for itself it has. */
TEST(each_allocation_may_fail)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[0], (skua_runtime_options){.blocking_threads = 1});
    struct test_area area;

    test_area_open(&area);
    runs_out_of_memory(&area);
    test_run(runtime, runs_out_of_memory, &area);
    test_runtime_free(runtime);
    test_area_close(&area);
}

/* A job cannot be had: the file is closed all the same. */
static int closes_without_memory(void *arg)
{
    int before = test_fd_count();
    skua_file *file;

    MUST(skua_file_open(&file, test_area_put(arg, "a", "x"), NULL) == 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1000, ENOMEM);
    CHECK_EQ(skua_file_close(file), 0);
    disarm();
    CHECK_EQ(test_fd_count(), before);
    return 0;
}

TEST(closing_needs_no_memory)
{
    skua_runtime *runtime = test_runtime(&test_kinds[0]);
    struct test_area area;

    test_area_open(&area);
    test_run(runtime, closes_without_memory, &area);
    test_runtime_free(runtime);
    test_area_close(&area);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_disk_is_told_twice),
        cmocka_unit_test(limit_of_size_is_told_twice),
        cmocka_unit_test(permissions_are_asked),
#ifdef SKUA_FAULTS
        cmocka_unit_test(interrupted_calls_are_done_again),
        cmocka_unit_test(short_counts_are_gone_on_with),
        cmocka_unit_test(failed_write_is_told_by_the_next_flush),
        cmocka_unit_test(each_failure_is_reported_and_leaves_nothing),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(closing_needs_no_memory),
#endif
    };

    if (argc == 3)
        return child_main(argv[2]);
    return TEST_MAIN(tests);
}
