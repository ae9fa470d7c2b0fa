/* test_fs.c - names of files: metadata, links, directories, whole files.
 *
 * Specifies fs.h, but for cancelling and faults (test_file_life.c). drivers: both
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "part.h"
#include "usage.h"

/* ---- about a name ---------------------------------------------------------------------------- */

TEST_WAITING(metadata_of_names)
{
    skua_metadata found = {.size = 0};
    struct test_area area;
    const char *file, *link, *broken;

    test_area_open(&area);
    file = test_area_put(&area, "file", "abc");
    link = test_area_name(&area, "link");
    broken = test_area_name(&area, "broken");
    MUST(symlink("file", link) == 0);
    MUST(symlink("nothing", broken) == 0);
    CHECK_EQ(skua_fs_metadata(file, &found), 0);
    CHECK(found.size == 3 && found.kind == SKUA_FILE_REGULAR);
    CHECK_EQ(skua_fs_metadata(link, &found), 0);
    CHECK(found.size == 3 && found.kind == SKUA_FILE_REGULAR);
    CHECK_EQ(skua_fs_symlink_metadata(link, &found), 0);
    CHECK(found.size == 4 && found.kind == SKUA_FILE_SYMLINK);
    CHECK_EQ(skua_fs_metadata(area.path, &found), 0);
    CHECK_EQ(found.kind, SKUA_FILE_DIRECTORY);
    CHECK_EQ(skua_fs_metadata("/dev/null", &found), 0);
    CHECK_EQ(found.kind, SKUA_FILE_CHAR_DEVICE);
    CHECK_EQ(skua_fs_metadata(broken, &found), -ENOENT);
    CHECK_EQ(skua_fs_metadata("", &found), -ENOENT);
    CHECK_EQ(skua_fs_metadata(NULL, &found), -EINVAL);
    CHECK_EQ(skua_fs_exists(file), 1);
    CHECK_EQ(skua_fs_exists(broken), 0);
    CHECK_EQ(skua_fs_exists(test_area_name(&area, "file/below")), 0);
    CHECK_EQ(skua_fs_set_permissions(link, 0600), 0);
    CHECK_EQ(skua_fs_metadata(file, &found), 0);
    CHECK_EQ(found.mode, 0600);
    CHECK_EQ(skua_fs_set_permissions(link, 010000), -EINVAL);
    CHECK_EQ(skua_fs_set_permissions(broken, 0600), -ENOENT);
    MUST(symlink("loop", test_area_name(&area, "loop")) == 0);
    CHECK_EQ(skua_fs_exists(test_area_name(&area, "loop")), -ELOOP);
    test_area_close(&area);
}

TEST_WAITING(canonical_names)
{
    struct test_area area;
    char *real = NULL, *expected;

    test_area_open(&area);
    test_area_put(&area, "file", "abc");
    MUST(symlink("file", test_area_name(&area, "link")) == 0);
    expected = realpath(test_area_name(&area, "file"), NULL);
    CHECK_EQ(skua_fs_canonicalize(test_area_name(&area, "./link"), &real), 0);
    CHECK(strcmp(real, expected) == 0);
    free(real);
    free(expected);
    real = NULL;
    CHECK_EQ(skua_fs_canonicalize(test_area_name(&area, "none"), &real), -ENOENT);
    CHECK(real == NULL);
    test_area_close(&area);
}

/* ---- changing names -------------------------------------------------------------------------- */

TEST_WAITING(renaming)
{
    struct test_area area;
    const char *a, *b, *dir;

    test_area_open(&area);
    a = test_area_put(&area, "a", "A");
    b = test_area_put(&area, "b", "B");
    dir = test_area_name(&area, "dir");
    MUST(mkdir(dir, 0700) == 0);
    CHECK_EQ(skua_fs_rename(a, b, SKUA_RENAME_NO_REPLACE), -EEXIST);
    CHECK_EQ(skua_fs_rename(a, b, SKUA_RENAME_EXCHANGE), 0);
    CHECK(test_area_has(&area, "a", "B") && test_area_has(&area, "b", "A"));
    CHECK_EQ(skua_fs_rename(a, b, 0), 0);
    CHECK(test_area_has(&area, "b", "B"));
    CHECK_EQ(skua_fs_rename(a, b, 0), -ENOENT);
    CHECK_EQ(skua_fs_rename(b, dir, 0), -EISDIR);
    CHECK_EQ(skua_fs_rename(dir, b, 0), -ENOTDIR);
    CHECK_EQ(skua_fs_rename(dir, test_area_name(&area, "dir/below"), 0), -EINVAL);
    CHECK_EQ(skua_fs_rename(b, a, 3), -EINVAL);
    CHECK_EQ(skua_fs_rename(b, a, 4), -EINVAL);
    CHECK_EQ(skua_fs_rename(b, NULL, 0), -EINVAL);
    CHECK_EQ(skua_fs_rename(b, a, SKUA_RENAME_NO_REPLACE), 0);
    test_area_close(&area);
}

TEST_WAITING(links)
{
    struct test_area area;
    const char *a, *b, *c;
    char buf[8];

    test_area_open(&area);
    a = test_area_put(&area, "a", "A");
    b = test_area_name(&area, "b");
    c = test_area_name(&area, "c");
    CHECK_EQ(skua_fs_link(a, b), 0);
    CHECK_EQ(skua_fs_link(a, b), -EEXIST);
    CHECK(test_area_has(&area, "b", "A"));
    CHECK_EQ(skua_fs_symlink("target", c), 0);
    CHECK_EQ(skua_fs_symlink("target", c), -EEXIST);
    CHECK_EQ(skua_fs_read_link(c, buf, 8), 6);
    CHECK(strcmp(buf, "target") == 0);
    CHECK_EQ(skua_fs_read_link(c, buf, 7), 6);
    CHECK_EQ(skua_fs_read_link(c, buf, 6), -ENOBUFS);
    CHECK_EQ(skua_fs_read_link(c, buf, 0), -EINVAL);
    CHECK_EQ(skua_fs_read_link(a, buf, 8), -EINVAL);
    CHECK_EQ(skua_fs_remove(c), 0);
    CHECK_EQ(skua_fs_remove(c), -ENOENT);
    CHECK_EQ(skua_fs_remove(area.path), -EISDIR);
    CHECK_EQ(skua_fs_remove_dir(a), -ENOTDIR);
    CHECK_EQ(skua_fs_remove_dir(area.path), -ENOTEMPTY);
    test_area_close(&area);
}

/* ---- directories ----------------------------------------------------------------------------- */

TEST_WAITING(making_directories)
{
    struct test_area area;
    struct stat status;
    char path[TEST_PATH + 8];

    test_area_open(&area);
    CHECK_EQ(skua_fs_mkdir(test_area_name(&area, "a"), 0700), 0);
    CHECK(stat(test_area_name(&area, "a"), &status) == 0 && (status.st_mode & 07777) == 0700);
    CHECK_EQ(skua_fs_mkdir(test_area_name(&area, "a"), 0), -EEXIST);
    CHECK_EQ(skua_fs_mkdir(test_area_name(&area, "b/c"), 0), -ENOENT);
    CHECK_EQ(skua_fs_mkdir(test_area_name(&area, "b"), 010000), -EINVAL);
    CHECK_EQ(skua_fs_mkdir_all(test_area_name(&area, "a//b/c/../d/"), 0), 0);
    CHECK_EQ(skua_fs_mkdir_all(test_area_name(&area, "a//b/c/d/"), 0), 0);
    CHECK_EQ(skua_fs_exists(test_area_name(&area, "a/b/c/d")), 1);
    CHECK_EQ(skua_fs_mkdir_all(test_area_name(&area, "a/b/c/d"), 0), 0);
    test_area_put(&area, "file", "");
    CHECK_EQ(skua_fs_mkdir_all(test_area_name(&area, "file"), 0), -ENOTDIR);
    CHECK_EQ(skua_fs_mkdir_all(test_area_name(&area, "file/x/y"), 0), -ENOTDIR);
    CHECK_EQ(skua_fs_mkdir_all("/", 0), 0);
    CHECK_EQ(skua_fs_mkdir_all("", 0), -ENOENT);
    CHECK_EQ(skua_fs_mkdir_all(NULL, 0), -EINVAL);
    CHECK_EQ(skua_fs_mkdir_all(area.path, 010000), -EINVAL);
    snprintf(path, sizeof path, "/%s/x/y", area.path); /* two slashes at the root */
    CHECK_EQ(skua_fs_mkdir_all(path, 0), 0);
    CHECK_EQ(skua_fs_remove_dir(test_area_name(&area, "x/y")), 0);
    test_area_close(&area);
}

TEST_WAITING(directory_is_read_once)
{
    enum { FILES = 300 }; /* more than a batch, with such names */
    unsigned char *seen = calloc(1, FILES);
    int before = test_fd_count();
    struct test_area area;
    skua_dir_entry entry;
    skua_dir *dir = NULL;
    char name[160];
    int count = 0, number;

    MUST(seen != NULL);
    test_area_open(&area);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "a-file-%04d-%0120d", i, 0);
        test_area_put(&area, name, "");
    }
    MUST(mkdir(test_area_name(&area, "dir"), 0700) == 0);
    MUST(symlink("x", test_area_name(&area, "link")) == 0);
    MUST(mkfifo(test_area_name(&area, "fifo"), 0600) == 0);
    MUST(skua_dir_open(&dir, area.path) == 0);
    while (skua_dir_next(dir, &entry) == 1) {
        count++;
        if (sscanf(entry.name, "a-file-%d-", &number) == 1)
            CHECK(seen[number]++ == 0 && entry.kind <= SKUA_FILE_REGULAR && entry.ino != 0);
        else if (entry.kind != SKUA_FILE_UNKNOWN)
            CHECK_EQ(entry.kind, strcmp(entry.name, "dir") == 0    ? SKUA_FILE_DIRECTORY
                                 : strcmp(entry.name, "link") == 0 ? SKUA_FILE_SYMLINK
                                                                   : SKUA_FILE_FIFO);
    }
    CHECK_EQ(count, FILES + 3);
    CHECK_EQ(skua_dir_next(dir, &entry), 0);
    skua_dir_close(dir);
    skua_dir_close(NULL);
    dir = NULL;
    CHECK_EQ(skua_dir_open(&dir, test_area_name(&area, "none")), -ENOENT);
    CHECK_EQ(skua_dir_open(&dir, test_area_name(&area, "fifo")), -ENOTDIR);
    CHECK_EQ(skua_dir_open(&dir, NULL), -EINVAL);
    CHECK(dir == NULL);
    test_area_close(&area);
    CHECK_RANGE(test_fd_count(), 0, before + 2); /* a runtime's own may have come */
    free(seen);
}

static void makes_a_tree(struct test_area *area)
{
    char path[TEST_PATH] = "tree", name[TEST_PATH];

    MUST(mkdir(test_area_name(area, path), 0700) == 0);
    for (int depth = 0; depth < 40; depth++) {
        MUST(strlen(path) < 160);
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "%.160s/f%d", path, i);
            test_area_put(area, name, "x");
            snprintf(name, sizeof name, "%.160s/e%d", path, i);
            MUST(mkdir(test_area_name(area, name), 0700) == 0);
        }
        snprintf(name, sizeof name, "%.160s/out", path);
        MUST(symlink("../outside", test_area_name(area, name)) == 0);
        strcat(path, "/d");
        MUST(mkdir(test_area_name(area, path), 0700) == 0);
    }
}

TEST_WAITING(everything_is_removed_but_what_links_point_to)
{
    struct test_area area;
    int before;

    test_area_open(&area);
    MUST(mkdir(test_area_name(&area, "outside"), 0700) == 0);
    test_area_put(&area, "outside/keep", "me");
    MUST(symlink("outside", test_area_name(&area, "link")) == 0);
    MUST(symlink(test_area_name(&area, "outside"), test_area_name(&area, "absolute")) == 0);
    makes_a_tree(&area);
    MUST(symlink(test_area_name(&area, "outside"), test_area_name(&area, "tree/absolute")) == 0);
    before = test_fd_count();
    CHECK_EQ(skua_fs_remove_all(test_area_name(&area, "tree")), 0);
    CHECK_RANGE(test_fd_count(), before, before);
    CHECK_EQ(skua_fs_exists(test_area_name(&area, "tree")), 0);
    CHECK_EQ(skua_fs_remove_all(test_area_name(&area, "link")), 0);
    CHECK_EQ(skua_fs_remove_all(test_area_name(&area, "absolute")), 0);
    CHECK(test_area_has(&area, "outside/keep", "me"));
    CHECK_EQ(skua_fs_remove_all(test_area_name(&area, "none")), -ENOENT);
    CHECK_EQ(skua_fs_remove_all(NULL), -EINVAL);
    CHECK_EQ(test_area_count(&area), 1);
    MUST(mkdir(test_area_name(&area, "empty"), 0700) == 0);
    CHECK_EQ(skua_fs_remove_all(test_area_name(&area, "empty")), 0);
    test_area_close(&area);
}

/* One directory with more than a batch of directories that are not empty. */
TEST_WAITING(broad_trees_are_removed)
{
    struct test_area area;
    char name[160];

    test_area_open(&area);
    MUST(mkdir(test_area_name(&area, "tree"), 0700) == 0);
    for (int i = 0; i < 80; i++) {
        snprintf(name, sizeof name, "tree/%d-%0120d", i, 0);
        MUST(mkdir(test_area_name(&area, name), 0700) == 0);
        strcat(name, "/x");
        test_area_put(&area, name, "");
    }
    CHECK_EQ(skua_fs_remove_all(test_area_name(&area, "tree")), 0);
    CHECK_EQ(test_area_count(&area), 0);
    test_area_close(&area);
}

/* ---- whole files ----------------------------------------------------------------------------- */

TEST_WAITING(whole_files_are_read)
{
    struct test_area area;
    void *data = NULL;
    ssize_t n;

    test_area_open(&area);
    CHECK_EQ(skua_fs_read(test_area_put(&area, "a", "hello"), &data, 5), 5);
    CHECK(memcmp(data, "hello", 6) == 0);
    free(data);
    data = NULL;
    CHECK_EQ(skua_fs_read(test_area_name(&area, "a"), &data, 4), -EFBIG);
    CHECK_EQ(skua_fs_read(test_area_name(&area, "b"), &data, 4), -ENOENT);
    CHECK_EQ(skua_fs_read(area.path, &data, 4), -EISDIR);
    CHECK_EQ(skua_fs_read(NULL, &data, 4), -EINVAL);
    CHECK(data == NULL);
    CHECK_EQ(skua_fs_read(test_area_put(&area, "e", ""), &data, 0), 0);
    CHECK_EQ(*(char *)data, 0);
    free(data);
    data = NULL;
    n = skua_fs_read("/proc/self/maps", &data, SIZE_MAX); /* its size is told as 0 */
    CHECK(n > 0 && strlen(data) == (size_t)n);
    free(data);
    test_area_close(&area);
}

static mode_t mode_of(const char *path)
{
    struct stat status;

    MUST(stat(path, &status) == 0);
    return status.st_mode & 07777;
}

TEST_WAITING(whole_files_are_written_atomically)
{
    int before = test_fd_count();
    struct test_area area;
    const char *a, *dir;
    mode_t mask = umask(027);

    test_area_open(&area);
    a = test_area_name(&area, "a");
    dir = test_area_name(&area, "dir");
    CHECK_EQ(skua_fs_write_atomic(a, "first", 5, 0), 0);
    CHECK(test_area_has(&area, "a", "first"));
    CHECK_EQ(mode_of(a), 0640);
    MUST(chmod(a, 0604) == 0);
    CHECK_EQ(skua_fs_write_atomic(a, "2nd", 3, 0), 0);
    CHECK(test_area_has(&area, "a", "2nd"));
    CHECK_EQ(mode_of(a), 0604);
    CHECK_EQ(skua_fs_write_atomic(a, NULL, 0, 0666), 0);
    CHECK(test_area_has(&area, "a", ""));
    CHECK_EQ(mode_of(a), 0666);
    MUST(mkdir(dir, 0700) == 0);
    CHECK_EQ(skua_fs_write_atomic(dir, "x", 1, 0), -EISDIR);
    CHECK_EQ(skua_fs_write_atomic(test_area_name(&area, "none/a"), "x", 1, 0), -ENOENT);
    CHECK_EQ(skua_fs_write_atomic(a, "x", 1, 010000), -EINVAL);
    CHECK_EQ(skua_fs_write_atomic(NULL, "x", 1, 0), -EINVAL);
    CHECK_EQ(test_area_count(&area), 2); /* nothing else is left */
    MUST(symlink("a", test_area_name(&area, "link")) == 0);
    CHECK_EQ(skua_fs_write_atomic(test_area_name(&area, "link"), "new", 3, 0), 0);
    CHECK(test_area_has(&area, "a", "") && test_area_has(&area, "link", "new"));
    CHECK_EQ(mode_of(test_area_name(&area, "link")), 0640);
    CHECK_RANGE(test_fd_count(), before, before + 2);
    umask(mask);
    test_area_close(&area);
}

TEST(relative_names)
{
    struct test_area area;
    char here[4096];

    MUST(getcwd(here, sizeof here) != NULL);
    test_area_open(&area);
    MUST(chdir(area.path) == 0);
    CHECK_EQ(skua_fs_write_atomic("a", "text", 4, 0), 0);
    CHECK_EQ(skua_fs_mkdir_all("b/c", 0), 0);
    CHECK_EQ(skua_fs_copy("a", "b/c/d"), 4);
    CHECK(test_area_has(&area, "b/c/d", "text"));
    CHECK_EQ(skua_fs_remove_all("b"), 0);
    CHECK_EQ(test_area_count(&area), 1);
    MUST(chdir(here) == 0);
    test_area_close(&area);
}

TEST_WAITING(files_are_copied)
{
    struct test_area area;
    const char *a, *b;
    skua_metadata found;
    int64_t n;

    test_area_open(&area);
    a = test_area_put(&area, "a", "contents");
    b = test_area_put(&area, "b", "something longer that goes away");
    MUST(chmod(a, 0751) == 0);
    CHECK_EQ(skua_fs_copy(a, b), 8);
    CHECK(test_area_has(&area, "b", "contents"));
    CHECK_EQ(mode_of(b), 0751);
    CHECK_EQ(skua_fs_copy(a, test_area_name(&area, "c")), 8);
    CHECK_EQ(mode_of(test_area_name(&area, "c")), 0751);
    CHECK_EQ(skua_fs_copy(a, a), -EINVAL);
    MUST(link(a, test_area_name(&area, "same")) == 0);
    CHECK_EQ(skua_fs_copy(a, test_area_name(&area, "same")), -EINVAL);
    CHECK(test_area_has(&area, "a", "contents"));
    CHECK_EQ(skua_fs_copy(area.path, test_area_name(&area, "d")), -EISDIR);
    CHECK_EQ(skua_fs_exists(test_area_name(&area, "d")), 0);
    CHECK_EQ(skua_fs_copy(test_area_name(&area, "none"), b), -ENOENT);
    CHECK_EQ(skua_fs_copy(a, area.path), -EISDIR);
    CHECK_EQ(skua_fs_copy(a, NULL), -EINVAL);
    CHECK_EQ(skua_fs_copy(test_area_put(&area, "empty", ""), b), 0);
    CHECK(test_area_has(&area, "b", ""));
    n = skua_fs_copy("/proc/self/maps", b); /* the kernel's own way copies nothing of it */
    CHECK(n > 0);
    CHECK_EQ(skua_fs_metadata(b, &found), 0);
    CHECK_EQ(found.size, n);
    test_area_close(&area);
}

/* ---- for a while ----------------------------------------------------------------------------- */

TEST_WAITING(files_for_a_while)
{
    struct test_area area;
    skua_file *file = NULL;
    struct stat status;
    char *dir = NULL, buf[2];

    test_area_open(&area);
    MUST(skua_fs_temp_file(&file, area.path) == 0);
    CHECK_EQ(test_area_count(&area), 0);
    CHECK_EQ(skua_file_write(file, "ab", 2), 2);
    CHECK_EQ(skua_file_pread(file, buf, 2, 0), 2);
    CHECK_EQ(skua_file_close(file), 0);
    file = NULL;
    CHECK_EQ(skua_fs_temp_file(&file, test_area_name(&area, "none")), -ENOENT);
    CHECK(file == NULL);
    MUST(skua_fs_temp_file(&file, NULL) == 0);
    CHECK_EQ(skua_file_close(file), 0);
    MUST(skua_fs_temp_dir(area.path, &dir) == 0);
    CHECK(strncmp(dir, area.path, strlen(area.path)) == 0);
    CHECK(stat(dir, &status) == 0 && S_ISDIR(status.st_mode) && (status.st_mode & 07777) == 0700);
    free(dir);
    dir = NULL;
    CHECK_EQ(skua_fs_temp_dir(test_area_name(&area, "none"), &dir), -ENOENT);
    CHECK(dir == NULL);
    test_area_close(&area);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(metadata_of_names),
        TEST_WAITING_ENTRIES(canonical_names),
        TEST_WAITING_ENTRIES(renaming),
        TEST_WAITING_ENTRIES(links),
        TEST_WAITING_ENTRIES(making_directories),
        TEST_WAITING_ENTRIES(directory_is_read_once),
        TEST_WAITING_ENTRIES(everything_is_removed_but_what_links_point_to),
        TEST_WAITING_ENTRIES(broad_trees_are_removed),
        TEST_WAITING_ENTRIES(whole_files_are_read),
        TEST_WAITING_ENTRIES(whole_files_are_written_atomically),
        cmocka_unit_test(relative_names),
        TEST_WAITING_ENTRIES(files_are_copied),
        TEST_WAITING_ENTRIES(files_for_a_while),
    };

    return TEST_MAIN(tests);
}
