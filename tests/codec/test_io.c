/* drivers: both */
/* test_io.c - any stream of bytes: the calls over a table that does what it may do, and over TCP.
 *
 * Specifies io.h, the first part: short reads and writes, ends, errors at each step, -EINTR,
 * deadlines, cancellation, tables that lie; and net.h, skua_tcp_io.
 */
#include "../lib/parked.h"
#include "../lib/sockets.h"
#include "fake.h"

TEST_WAITING(io_reads_what_is_there)
{
    struct fake fake = {.text = "abcdef", .len = 6, .piece = 4};
    char buf[8];

    CHECK_EQ(skua_io_read(fake_io(&fake), buf, 0), 0);
    CHECK_EQ(fake.calls, 0);
    CHECK_EQ(skua_io_read(fake_io(&fake), buf, sizeof buf), 4);
    CHECK_EQ(fake.deadline, SKUA_FOREVER);
    CHECK_EQ(skua_io_read_until(fake_io(&fake), buf, sizeof buf, 77), 2);
    CHECK_EQ(fake.deadline, 77);
    CHECK_EQ(memcmp(buf, "ef", 2), 0);
    CHECK_EQ(skua_io_read(fake_io(&fake), buf, sizeof buf), 0);
}

TEST_WAITING(io_reads_exactly)
{
    for (size_t piece = 1; piece < 9; piece++) {
        struct fake fake = {.text = "abcdefgh", .len = 8, .piece = piece, .interrupts = true};
        char buf[8];

        CHECK_EQ(skua_io_read_exact(fake_io(&fake), buf, 0), 0);
        CHECK_EQ(skua_io_read_exact(fake_io(&fake), buf, 5), 5);
        CHECK_EQ(memcmp(buf, "abcde", 5), 0);
        CHECK_EQ(skua_io_read_exact_until(fake_io(&fake), buf, 3, 5), 3);
        CHECK_EQ(memcmp(buf, "fgh", 3), 0);
        CHECK_EQ(fake.deadline, 5);
        CHECK_EQ(skua_io_read_exact(fake_io(&fake), buf, 1), SKUA_EEOF);
    }
}

TEST_WAITING(io_writes_everything)
{
    for (size_t piece = 1; piece < 9; piece++) {
        char got[16];
        struct fake fake = {.got = got, .room = sizeof got, .piece = piece, .interrupts = true};

        CHECK_EQ(skua_io_write_all(fake_io(&fake), "", 0), 0);
        CHECK_EQ(fake.calls, 0);
        CHECK_EQ(skua_io_write_all(fake_io(&fake), "abcdefgh", 8), 8);
        CHECK_EQ(skua_io_write_all_until(fake_io(&fake), "ij", 2, 9), 2);
        CHECK_EQ(fake.deadline, 9);
        CHECK_EQ(fake.count, 10);
        CHECK_EQ(memcmp(got, "abcdefghij", 10), 0);
    }
}

TEST_WAITING(io_fails_at_each_step)
{
    for (unsigned call = 1; call <= 5; call++) {
        char got[16], buf[16];
        struct fake to = {
            .got = got, .room = 16, .piece = 2, .fail_call = call, .fail = -ECONNRESET};
        struct fake from = {
            .text = "abcdefgh", .len = 8, .piece = 2, .fail_call = call, .fail = -EIO};

        CHECK_EQ(skua_io_write_all(fake_io(&to), "abcdefgh", 8), call < 5 ? -ECONNRESET : 8);
        CHECK_EQ(to.count, 2 * (call - 1));
        CHECK_EQ(skua_io_read_exact(fake_io(&from), buf, 8), call < 5 ? -EIO : 8);
    }
}

TEST_WAITING(io_does_not_believe_a_table_that_lies)
{
    char got[16];
    struct fake to = {.got = got, .room = 16, .fail_call = 1, .fail = 9};
    struct fake none = {.got = got, .room = 16, .fail_call = 1, .fail = 0};

    CHECK_EQ(skua_io_write(fake_io(&to), "abc", 3), -EIO);
    CHECK_EQ(skua_io_write_all(fake_io(&none), "abc", 3), -EIO); /* and no loop for ever */
}

static ssize_t lies(void *object, void *buf, size_t len, int64_t deadline)
{
    (void)object, (void)buf, (void)deadline;
    return (ssize_t)len + 1;
}

TEST(io_does_not_believe_reads)
{
    static const skua_io_ops ops = {.name = "lies", .read = lies};
    char buf[4];

    CHECK_EQ(skua_io_read((skua_io){.ops = &ops}, buf, 4), -EIO);
    CHECK_EQ(skua_io_read_exact((skua_io){.ops = &ops}, buf, 4), -EIO);
    CHECK_EQ(skua_io_shutdown((skua_io){.ops = &ops}), 0); /* optional */
}

TEST_WAITING(io_ends_with_the_deadline)
{
    char got[16], buf[8];
    struct fake from = {.text = "abcdef", .len = 6, .stall_at = 4};
    struct fake to = {.got = got, .room = 16, .stall_at = 4};

    CHECK_EQ(skua_io_read_exact_until(fake_io(&from), buf, 6, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_io_write_all_until(fake_io(&to), "abcdef", 6, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(to.count, 4);
}

static int reads_six(void *arg)
{
    char buf[6];

    return (int)skua_io_read_exact(fake_io(arg), buf, 6);
}

TEST_FIBER(io_ends_with_the_task)
{
    struct fake from = {.text = "abcdef", .len = 6, .stall_at = 4};
    skua_task *task = NULL;
    int result = 0;

    MUST(skua_spawn(NULL, reads_six, &from, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

TEST_WAITING(io_of_a_connection)
{
    struct iovec iov[2] = {{(void *)(uintptr_t) "ab", 2}, {(void *)(uintptr_t) "cd", 2}};
    skua_tcp *a, *b;
    char buf[8];

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_io_write_all(skua_tcp_io(a), "12345", 5), 5);
    CHECK_EQ(skua_tcp_io(a).ops->writev(a, iov, 2, SKUA_FOREVER), 4);
    CHECK_EQ(skua_io_read_exact(skua_tcp_io(b), buf, 5), 5);
    CHECK_EQ(memcmp(buf, "12345", 5), 0);
    CHECK_EQ(skua_io_read_exact(skua_tcp_io(b), buf, 4), 4);
    CHECK_EQ(memcmp(buf, "abcd", 4), 0);
    CHECK_EQ(skua_io_read_until(skua_tcp_io(b), buf, 8, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_io_shutdown(skua_tcp_io(a)), 0);
    CHECK_EQ(skua_io_read(skua_tcp_io(b), buf, 8), 0);
    CHECK_EQ(skua_io_write(skua_tcp_io(b), "x", 1), 1);
    CHECK_EQ(skua_io_read(skua_tcp_io(a), buf, 8), 1);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_io_read(skua_tcp_io(a), buf, 8), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_close(b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(io_reads_what_is_there),
        TEST_WAITING_ENTRIES(io_reads_exactly),
        TEST_WAITING_ENTRIES(io_writes_everything),
        TEST_WAITING_ENTRIES(io_fails_at_each_step),
        TEST_WAITING_ENTRIES(io_does_not_believe_a_table_that_lies),
        cmocka_unit_test(io_does_not_believe_reads),
        TEST_WAITING_ENTRIES(io_ends_with_the_deadline),
        cmocka_unit_test(io_ends_with_the_task),
        TEST_WAITING_ENTRIES(io_of_a_connection),
    };

    return TEST_MAIN(tests);
}
