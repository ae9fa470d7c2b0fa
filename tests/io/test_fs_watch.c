/* drivers: both */
/* test_fs_watch.c - told when files change.
 *
 * Specifies fs_watch.h: what is told, in order, one by one; names that are as long as they get;
 * lost events; ids that end; waits that are cancelled, timed out, closed or shared; failures.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/part.h"
#include "../lib/usage.h"
#include "io/io_impl.h"

/* A folder for a test; `path` has room for names in it. */
struct folder {
    char path[64];
};

static void folder_new(struct folder *folder)
{
    snprintf(folder->path, sizeof folder->path, "/tmp/skua-watch-XXXXXX");
    MUST(mkdtemp(folder->path) != NULL);
}

static const char *in(const struct folder *folder, const char *name)
{
    static _Thread_local char path[400];

    snprintf(path, sizeof path, "%s/%.300s", folder->path, name);
    return path;
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    MUST(fd >= 0);
    close(fd);
}

static skua_fs_watch *watch_new(const struct folder *folder, uint32_t mask)
{
    skua_fs_watch *watch;

    MUST(skua_fs_watch_open(&watch) == 0);
    MUST(skua_fs_watch_add(watch, folder->path, mask) > 0);
    return watch;
}

static bool is(const skua_fs_event *event, uint32_t what, const char *name)
{
    return CHECK_EQ(event->what, what) && CHECK(strcmp(event->name, name) == 0) &&
           CHECK_EQ(event->len, strlen(name));
}

/* ---- what is told ---------------------------------------------------------------------------- */

TEST_WAITING(fs_watch_tells_what_happens_in_a_folder)
{
    struct folder folder;
    skua_fs_watch *watch;
    skua_fs_event event;
    uint32_t cookie;
    char other[400];

    folder_new(&folder);
    watch = watch_new(&folder, SKUA_FS_CREATE | SKUA_FS_CLOSE_WRITE | SKUA_FS_MOVED_FROM |
                                   SKUA_FS_MOVED_TO | SKUA_FS_DELETE | SKUA_FS_DELETE_SELF);
    CHECK_EQ(skua_fs_watch_try_next(watch, &event), -EAGAIN);
    CHECK_EQ(skua_fs_watch_next_until(watch, &event, skua_now() + MS(3)), -ETIMEDOUT);
    touch(in(&folder, "a"));
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_CREATE, "a");
    CHECK(event.id > 0);
    CHECK_EQ(event.cookie, 0);
    CHECK_EQ(skua_fs_watch_try_next(watch, &event), 0); /* it was read with the first */
    is(&event, SKUA_FS_CLOSE_WRITE, "a");
    snprintf(other, sizeof other, "%s/bb", folder.path);
    CHECK_EQ(rename(in(&folder, "a"), other), 0);
    CHECK_EQ(mkdir(in(&folder, "sub"), 0700), 0);
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_MOVED_FROM, "a");
    cookie = event.cookie;
    CHECK(cookie != 0);
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_MOVED_TO, "bb");
    CHECK_EQ(event.cookie, cookie);
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_CREATE | SKUA_FS_DIRECTORY, "sub");
    CHECK_EQ(skua_fs_watch_next_until(watch, &event, skua_now() + MS(3)), -ETIMEDOUT);
    rmdir(in(&folder, "sub"));
    unlink(other);
    rmdir(folder.path);
    for (size_t i = 0; i < 2; i++)
        CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_DELETE_SELF, "");
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_IGNORED, "");
    CHECK_EQ(skua_fs_watch_close(watch), 0);
}

/* Hundreds of events with the longest names: many reads, and each event once and in order. */
TEST_WAITING(fs_watch_hands_out_one_by_one)
{
    struct folder folder;
    skua_fs_watch *watch;
    skua_fs_event event;
    static char file[100][NAME_MAX + 1];
    int count = TEST_LEN(file);

    folder_new(&folder);
    watch = watch_new(&folder, SKUA_FS_CREATE);
    for (int i = 0; i < count; i++) {
        memset(file[i], 'a' + i % 26, NAME_MAX);
        file[i][i % 3 == 0 ? NAME_MAX : 4 + i] = '\0';
        file[i][0] = (char)('0' + i / 10);
        file[i][1] = (char)('0' + i % 10);
        touch(in(&folder, file[i]));
    }
    for (int i = 0; i < count; i++) {
        CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
        is(&event, SKUA_FS_CREATE, file[i]);
        unlink(in(&folder, file[i]));
    }
    CHECK_EQ(skua_fs_watch_try_next(watch, &event), -EAGAIN);
    CHECK_EQ(skua_fs_watch_close(watch), 0);
    rmdir(folder.path);
}

TEST_WAITING(fs_watch_ids_and_masks)
{
    struct folder folder;
    skua_fs_watch *watch;
    skua_fs_event event;
    int id, file;

    folder_new(&folder);
    MUST(skua_fs_watch_open(&watch) == 0);
    id = skua_fs_watch_add(watch, folder.path, SKUA_FS_CREATE);
    CHECK(id > 0);
    touch(in(&folder, "a"));
    file = skua_fs_watch_add(watch, in(&folder, "a"), SKUA_FS_ATTRIB | SKUA_FS_ONCE);
    CHECK(file > 0 && file != id);
    CHECK_EQ(skua_fs_watch_add(watch, folder.path, SKUA_FS_DELETE), id); /* changed */
    chmod(in(&folder, "a"), 0644);
    chmod(in(&folder, "a"), 0600);
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_CREATE, "a");
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    CHECK_EQ(event.id, file);
    is(&event, SKUA_FS_ATTRIB, "");
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    CHECK_EQ(event.id, file);
    is(&event, SKUA_FS_IGNORED, ""); /* once */
    CHECK_EQ(skua_fs_watch_remove(watch, file), -EINVAL);
    CHECK_EQ(skua_fs_watch_remove(watch, id), 0);
    unlink(in(&folder, "a"));
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_IGNORED, "");
    CHECK_EQ(skua_fs_watch_next_until(watch, &event, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_fs_watch_add(watch, folder.path, 0), -EINVAL);
    CHECK_EQ(skua_fs_watch_add(watch, folder.path, SKUA_FS_ONCE), -EINVAL);
    CHECK_EQ(skua_fs_watch_add(watch, "/tmp/skua/no/such", SKUA_FS_ALL), -ENOENT);
    CHECK_EQ(skua_fs_watch_add(watch, "/proc/self/exe", SKUA_FS_OPEN | SKUA_FS_ONLY_DIRECTORY),
             -ENOTDIR);
    CHECK_EQ(skua_fs_watch_close(watch), 0);
    CHECK_EQ(skua_fs_watch_close(watch), -EBADF);
    CHECK_EQ(skua_fs_watch_close(NULL), 0);
    CHECK_EQ(skua_fs_watch_add(watch, folder.path, SKUA_FS_ALL), SKUA_ECLOSED);
    CHECK_EQ(skua_fs_watch_remove(watch, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_fs_watch_next(watch, &event), SKUA_ECLOSED);
    CHECK_EQ(skua_fs_watch_try_next(watch, &event), SKUA_ECLOSED);
    rmdir(folder.path);
}

static long queue_limit(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    long limit = 0;

    if (file != NULL && fscanf(file, "%ld", &limit) != 1)
        limit = 0;
    if (file != NULL)
        fclose(file);
    return limit;
}

TEST(fs_watch_tells_what_was_lost)
{
    struct folder folder;
    skua_fs_watch *watch;
    skua_fs_event event;
    long limit = queue_limit(), told = 0;

    if (limit <= 0 || limit > 100000) {
        test_note("a queue of %ld: not tried", limit);
        return;
    }
    folder_new(&folder);
    watch = watch_new(&folder, SKUA_FS_OPEN);
    for (long i = 0; i < limit + 100; i++)
        touch(in(&folder, i % 2 ? "a" : "b")); /* the same one twice would be told once */
    while (skua_fs_watch_try_next(watch, &event) == 0 && !(event.what & SKUA_FS_OVERFLOW))
        told++;
    CHECK_EQ(told, limit);
    CHECK_EQ(event.what, SKUA_FS_OVERFLOW);
    CHECK_EQ(event.id, -1);
    CHECK_EQ(event.len, 0);
    touch(in(&folder, "a")); /* and it goes on */
    CHECK_EQ(skua_fs_watch_next(watch, &event), 0);
    is(&event, SKUA_FS_OPEN, "a");
    CHECK_EQ(skua_fs_watch_close(watch), 0);
    unlink(in(&folder, "a"));
    unlink(in(&folder, "b"));
    rmdir(folder.path);
}

/* ---- waits that end otherwise ---------------------------------------------------------------- */

static int waits(void *arg)
{
    skua_fs_event event;

    return skua_fs_watch_next(arg, &event);
}

/* A task that waits. */
static skua_task *start(skua_fs_watch *watch)
{
    struct skua_fd *fd = (struct skua_fd *)(void *)watch;
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, waits, watch, .task = &task) == 0);
    while (skua__load_seq(&fd->source.waiter[SKUA__READ]) == NULL)
        skua_sleep(MS(1));
    return task;
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

TEST_FIBER(fs_watch_cancel_busy_close)
{
    struct folder folder;
    skua_fs_watch *watch;
    skua_fs_event event;
    skua_task *task;

    folder_new(&folder);
    watch = watch_new(&folder, SKUA_FS_CREATE);
    task = start(watch);
    CHECK_EQ(skua_fs_watch_next(watch, &event), -EBUSY);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(finish(task), -ECANCELED);
    CHECK_EQ(skua_select(skua_sleeping(MS(2)), skua_fs_watching(watch, &event)), 0);
    touch(in(&folder, "a"));
    CHECK_EQ(skua_select(skua_sleeping(MS(2000)), skua_fs_watching(watch, &event)), 1);
    is(&event, SKUA_FS_CREATE, "a");
    task = start(watch);
    CHECK_EQ(skua_fs_watch_close(watch), 0);
    CHECK_EQ(finish(task), SKUA_ECLOSED);
    unlink(in(&folder, "a"));
    rmdir(folder.path);
    return 0;
}

struct storm {
    struct folder folder;
    _Atomic(skua_fs_watch *) watch;
    atomic_int end, told;
};

static int storm_waits(void *arg)
{
    struct storm *storm = arg;
    skua_fs_event event;

    while (!atomic_load(&storm->end)) {
        int rc = skua_fs_watch_next_until(atomic_load(&storm->watch), &event, skua_now() + MS(1));

        if (rc == 0)
            CHECK(event.what == SKUA_FS_CREATE && strcmp(event.name, "a") == 0);
        else
            CHECK(rc == SKUA_ECLOSED || rc == -ETIMEDOUT || rc == -EBUSY);
        atomic_fetch_add(&storm->told, rc == 0);
    }
    return 0;
}

static void *storm_waits_on_a_thread(void *arg)
{
    storm_waits(arg);
    return NULL;
}

/* Watches are closed and opened anew under those who wait on a worker and on a thread. */
TEST(fs_watch_close_races_the_waits)
{
    skua_runtime *runtime = test_runtime(&test_kinds[1]);
    struct storm storm = {.end = 0};
    int64_t end = skua_now() + test_stress_time(1);
    skua_task *task;
    pthread_t thread;

    folder_new(&storm.folder);
    atomic_store(&storm.watch, watch_new(&storm.folder, SKUA_FS_CREATE));
    MUST(skua_spawn_on(runtime, storm_waits, &storm, .task = &task) == 0);
    MUST(pthread_create(&thread, NULL, storm_waits_on_a_thread, &storm) == 0);
    while (skua_now() < end && test_failures() == 0) {
        skua_fs_watch *next = watch_new(&storm.folder, SKUA_FS_CREATE);

        for (int i = 0; i < 4; i++) {
            touch(in(&storm.folder, "a"));
            unlink(in(&storm.folder, "a"));
        }
        CHECK_EQ(skua_fs_watch_close(atomic_exchange(&storm.watch, next)), 0);
    }
    atomic_store(&storm.end, 1);
    CHECK_EQ(skua_task_join(task, NULL), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(skua_fs_watch_close(atomic_load(&storm.watch)), 0);
    test_note("%d events", atomic_load(&storm.told));
    rmdir(storm.folder.path);
    test_runtime_free(runtime);
}

#ifdef SKUA_FAULTS
TEST(fs_watch_faults_leave_nothing)
{
    static const enum skua__fault kinds[] = {SKUA__FAULT_MALLOC, SKUA__FAULT_SYSCALL};
    int fds = test_fd_count(), errors = 0;

    for (size_t k = 0; k < TEST_LEN(kinds); k++)
        for (unsigned n = 1, failed = 1; failed != 0; n++) {
            skua_fs_watch *watch[64];
            int count = 0, rc = 0;

            /* As many as it takes until a slot is allocated, not found. */
            for (; count < 64 && rc == 0; count += rc == 0) {
                skua__fault_arm(kinds[k], n, 1, ENOMEM);
                rc = skua_fs_watch_open(&watch[count]);
                skua__fault_arm(kinds[k], 0, 0, 0);
            }
            CHECK(rc == 0 || rc == -ENOMEM);
            failed = rc != 0;
            errors += rc != 0;
            while (count > 0)
                CHECK_EQ(skua_fs_watch_close(watch[--count]), 0);
            CHECK_EQ(test_fd_count(), fds);
        }
    CHECK_EQ(errors, 2 + 1);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(fs_watch_tells_what_happens_in_a_folder),
        TEST_WAITING_ENTRIES(fs_watch_hands_out_one_by_one),
        TEST_WAITING_ENTRIES(fs_watch_ids_and_masks),
        cmocka_unit_test(fs_watch_tells_what_was_lost),
        cmocka_unit_test(fs_watch_cancel_busy_close),
        cmocka_unit_test(fs_watch_close_races_the_waits),
#ifdef SKUA_FAULTS
        cmocka_unit_test(fs_watch_faults_leave_nothing),
#endif
    };

    return TEST_MAIN(tests);
}
