/* test_file_future.c - reads and writes at offsets as futures: in poll tasks, in selects, dropped.
 *
 * Specifies the end of file.h. drivers: both
 */
#include <sys/stat.h>
#include <unistd.h>

#include "area.h"
#include "part.h"
#include "usage.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define BOTH SKUA_FILE_OPTIONS(.read = 1, .write = 1, .create = 1)

TEST_WAITING(futures_read_and_write)
{
    size_t big = ((size_t)1 << 20) + 5;
    char *much = calloc(1, big), buf[8] = "";
    struct test_area area;
    skua_file *file;

    MUST(much != NULL);
    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), BOTH) == 0);
    CHECK_EQ(skua_await(skua_file_pwriting(file, "abcdef", 6, 2)), 6);
    CHECK_EQ(skua_await(skua_file_preading(file, buf, 8, 1)), 7);
    CHECK(memcmp(buf, "\0abcdef", 7) == 0);
    CHECK_EQ(skua_await(skua_file_preading(file, buf, 8, 8)), 0);
    CHECK_EQ(skua_await(skua_file_preading(file, NULL, 0, 0)), 0);
    CHECK_EQ(skua_await(skua_file_preading(file, buf, 8, -1)), -EINVAL);
    CHECK_EQ(skua_await(skua_file_pwriting(file, much, big, 0)), 1 << 20);
    CHECK_EQ(skua_await(skua_file_preading(file, much, big, 0)), 1 << 20);
    CHECK_EQ(skua_file_seek(file, 0, SKUA_SEEK_CURSOR), 0);
    CHECK_EQ(skua_file_close(file), 0);
    CHECK_EQ(skua_await(skua_file_preading(file, buf, 8, 0)), SKUA_ECLOSED);
    CHECK_EQ(skua_await(skua_file_pwriting(file, buf, 8, 0)), SKUA_ECLOSED);
    MUST(skua_file_open(&file, test_area_name(&area, "a"), NULL) == 0);
    CHECK_EQ(skua_await(skua_file_pwriting(file, buf, 8, 0)), -EBADF);
    CHECK_EQ(skua_file_close(file), 0);
    test_area_close(&area);
    free(much);
}

struct copier {
    skua_async async;
    skua_file *file;
    skua_file_future io;
    char buf[4];
    int64_t at, n;
};

/* Moves a file's contents by four bytes, from the end on. */
static skua_poll moves(void *state, skua_waker *waker)
{
    struct copier *self = state;

    SKUA_ASYNC(self, waker);
    for (self->at = 36; self->at >= 0; self->at -= 4) {
        SKUA_AWAIT_TO(self->n, skua_file_pread_init(&self->io, self->file, self->buf, 4, self->at));
        CHECK_EQ(self->n, 4);
        SKUA_AWAIT_TO(self->n,
                      skua_file_pwrite_init(&self->io, self->file, self->buf, 4, self->at + 4));
        CHECK_EQ(self->n, 4);
    }
    SKUA_ASYNC_END(0);
}

TEST_FIBER(poll_tasks_read_and_write)
{
    struct copier state = {.at = 0};
    struct test_area area;

    test_area_open(&area);
    MUST(skua_file_open(&state.file,
                        test_area_put(&area, "a", "0123456789012345678901234567890123456789"),
                        BOTH) == 0);
    CHECK_EQ(test_run_poll(moves, &state, sizeof state), 0);
    CHECK_EQ(skua_file_close(state.file), 0);
    CHECK(test_area_has(&area, "a", "01230123456789012345678901234567890123456789"));
    test_area_close(&area);
    return 0;
}

/* Nobody waits for the job, which may read on: into memory of its own. */
TEST_FIBER(dropped_futures_are_let_go_of)
{
    int before = test_fd_count();
    struct test_area area;
    skua_file *file;
    char buf[4096];

    test_area_open(&area);
    MUST(skua_file_open(&file, test_area_put(&area, "a", "text"), BOTH) == 0);
    for (int i = 0; i < 200; i++) {
        skua_file_future read, write;
        skua_future *futures[2] = {skua_file_pread_init(&read, file, buf, sizeof buf, 0),
                                   skua_file_pwrite_init(&write, file, "abcd", 4, 0)};
        int64_t result = 0;
        int which = (int)skua_select_from(futures, 2, NULL, &result);

        CHECK(which == 0 || which == 1);
        CHECK_EQ(result, 4);
        CHECK_EQ(skua_try_select(skua_file_preading(file, buf, sizeof buf, 0)), -EAGAIN);
        memset(buf, 'z', sizeof buf);
    }
    for (size_t i = 0; i < sizeof buf; i++)
        CHECK(buf[i] == 'z');
    CHECK_EQ(skua_file_close(file), 0); /* waits for those that run */
    CHECK_EQ(test_fd_settle(before), before);
    test_area_close(&area);
    return 0;
}

#ifdef SKUA_FAULTS
static int reads_without_memory(void *arg)
{
    skua_file *file;
    char buf[4];
    int64_t n;

    MUST(skua_file_open(&file, test_area_put(arg, "a", "text"), NULL) == 0);
    for (unsigned nth = 1; nth <= 3; nth++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, nth, 1, ENOMEM);
        n = skua_await(skua_file_preading(file, buf, 4, 0));
        skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
        CHECK_EQ(n, nth <= 2 ? -ENOMEM : 4); /* its own; the job */
    }
    CHECK_EQ(skua_file_close(file), 0); /* nothing holds it */
    return 0;
}

TEST(futures_without_memory)
{
    skua_runtime *runtime =
        test_runtime_with(&test_kinds[0], (skua_runtime_options){.blocking_threads = 1});
    struct test_area area;

    test_area_open(&area);
    test_run(runtime, reads_without_memory, &area);
    test_runtime_free(runtime);
    test_area_close(&area);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(futures_read_and_write),
        cmocka_unit_test(poll_tasks_read_and_write),
        cmocka_unit_test(dropped_futures_are_let_go_of),
#ifdef SKUA_FAULTS
        cmocka_unit_test(futures_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
