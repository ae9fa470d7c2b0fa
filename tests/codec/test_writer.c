/* test_writer.c - a buffer in front of a stream that is written.
 *
 * Specifies buffered.h, skua_writer: what is written arrives in order whatever the stream takes at
 * a time; writes are whole or not at all; errors are told, and told again; close reports.
 */
#include "../lib/parked.h"
#include "fake.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#define SINK(...)                                                                                  \
    {                                                                                              \
        .got = got, .room = sizeof got, __VA_ARGS__                                                \
    }

TEST_WAITING(writer_writes_in_order)
{
    for (size_t piece = 1; piece < 20; piece++)
        for (int vector = 0; vector < 2; vector++) {
            char got[64] = "", room[8];
            struct fake fake = SINK(.piece = piece, .interrupts = piece % 2 == 0);
            skua_writer writer;

            MUST(skua_writer_init(&writer, vector ? fake_io_vector(&fake) : fake_io(&fake), room,
                                  sizeof room) == 0);
            CHECK_EQ(skua_writer_write(&writer, "", 0), 0);
            CHECK_EQ(skua_writer_write(&writer, "01234", 5), 5);
            CHECK_EQ(fake.calls, 0); /* it is in the buffer */
            CHECK_EQ(skua_writer_put(&writer, '5'), 1);
            CHECK_EQ(skua_writer_write(&writer, "6789", 4), 4);
            CHECK_EQ(skua_writer_write(&writer, "abcdefghijkl", 12), 12); /* past the buffer */
            CHECK_EQ(fake.count, 22);
            CHECK_EQ(fake.vectors > 0, vector);
            CHECK_EQ(skua_writer_write(&writer, "mnopqrst", 8), 8); /* as much as the buffer */
            CHECK_EQ(fake.count, 22);
            CHECK_EQ(skua_writer_flush(&writer), 0);
            CHECK_EQ(skua_writer_flush(&writer), 0);
            CHECK_EQ(strcmp(got, "0123456789abcdefghijklmnopqrst"), 0);
            CHECK_EQ(skua_writer_put(&writer, '!'), 1);
            CHECK_EQ(skua_writer_close(&writer), 0);
            CHECK_EQ(got[30], '!');
            CHECK_EQ(fake.shutdowns, 1);
            CHECK_EQ(skua_writer_write(&writer, "x", 1), SKUA_ECLOSED);
            CHECK_EQ(skua_writer_flush(&writer), SKUA_ECLOSED);
            CHECK_EQ(skua_writer_close(&writer), SKUA_ECLOSED);
            CHECK_EQ(skua_writer_printf(&writer, "x"), SKUA_ECLOSED);
        }
}

TEST_WAITING(writer_prints)
{
    for (size_t size = 1; size < 30; size++) {
        char got[64] = "", *room = malloc(size);
        struct fake fake = SINK(.piece = 3);
        skua_writer writer;

        MUST(skua_writer_init(&writer, fake_io(&fake), room, size) == 0);
        CHECK_EQ(skua_writer_printf(&writer, "%d and %s", 12, "more"), 11);
        CHECK_EQ(skua_writer_printf(&writer, "%s", ""), 0);
        CHECK_EQ(skua_writer_printf(&writer, ", %c%c", 'o', 'k'), 4);
        CHECK_EQ(skua_writer_flush(&writer), 0);
        CHECK_EQ(strcmp(got, "12 and more, ok"), 0);
        free(room);
    }
}

/* The stream fails at each call: told by whoever meets it, and then for ever; nothing is sent again
 * behind it. */
TEST_WAITING(writer_errors_are_sticky)
{
    for (unsigned call = 1; call < 12; call++) {
        char got[64] = "", room[4];
        struct fake fake = SINK(.piece = 2, .fail_call = call, .fail = -ENOSPC);
        skua_writer writer;
        ssize_t rc = 0;

        MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
        for (int i = 0; i < 3 && rc >= 0; i++)
            rc = skua_writer_write(&writer, "abc", 3);
        if (rc >= 0)
            rc = skua_writer_write(&writer, "ABCDEFG", 7);
        if (rc >= 0)
            rc = skua_writer_flush(&writer);
        CHECK_EQ(rc, call > 10 ? 0 : -ENOSPC); /* 3 x 3 and 7 bytes, in twos */
        if (rc == 0)
            continue;
        CHECK_EQ(skua_writer_write(&writer, "x", 1), -ENOSPC);
        CHECK_EQ(skua_writer_put(&writer, 'x'), -ENOSPC);
        CHECK_EQ(skua_writer_printf(&writer, "x"), -ENOSPC);
        CHECK_EQ(skua_writer_flush(&writer), -ENOSPC);
        CHECK_EQ(skua_writer_flush(&writer), -ENOSPC);
        CHECK_EQ(skua_writer_close(&writer), -ENOSPC);
        CHECK_EQ(fake.calls, call);
        CHECK_EQ(fake.shutdowns, 0);
        CHECK_EQ(memcmp(got, "abcabcabcABCDEFG", fake.count), 0);
    }
}

TEST_WAITING(writer_close_reports)
{
    char got[16], room[4];
    struct fake fake = SINK(.fail_call = 1, .fail = -EPIPE);
    struct fake ends = SINK(.shutdown_rc = -ENOTCONN);
    skua_writer writer;

    MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
    CHECK_EQ(skua_writer_put(&writer, 'x'), 1);
    CHECK_EQ(skua_writer_close(&writer), -EPIPE);
    CHECK_EQ(skua_writer_close(&writer), -EPIPE);
    MUST(skua_writer_init(&writer, fake_io(&ends), room, sizeof room) == 0);
    CHECK_EQ(skua_writer_close(&writer), -ENOTCONN);
    CHECK_EQ(skua_writer_flush(&writer), -ENOTCONN);
}

/* A deadline in a flush or in a write that fits: nothing was taken, it is done again. */
TEST_WAITING(writer_goes_on_after_a_deadline)
{
    char got[32] = "", room[4];
    struct fake fake = SINK(.stall_at = 3);
    skua_writer writer;

    MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
    skua_writer_set_deadline(&writer, skua_now() + MS(2));
    CHECK_EQ(skua_writer_write(&writer, "0123", 4), 4);
    CHECK_EQ(skua_writer_flush(&writer), -ETIMEDOUT);
    CHECK_EQ(skua_writer_close(&writer), -ETIMEDOUT);
    CHECK_EQ(skua_writer_write(&writer, "456", 3), 3); /* three of four places are free again */
    CHECK_EQ(skua_writer_write(&writer, "789", 3), -ETIMEDOUT);
    CHECK_EQ(skua_writer_write(&writer, "long and", 8), -ETIMEDOUT);
    CHECK_EQ(skua_writer_printf(&writer, "%s", "long and"), -ETIMEDOUT);
    fake.stall_at = 0;
    CHECK_EQ(skua_writer_write(&writer, "789", 3), 3);
    CHECK_EQ(skua_writer_close(&writer), 0);
    CHECK_EQ(strcmp(got, "0123456789"), 0);
}

/* A write past the buffer that was cut in two: nothing may follow it. */
TEST_WAITING(writer_that_was_cut_is_broken)
{
    char got[32] = "", room[4];
    struct fake fake = SINK(.stall_at = 6);
    skua_writer writer;

    MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
    skua_writer_set_deadline(&writer, skua_now() + MS(2));
    CHECK_EQ(skua_writer_put(&writer, '0'), 1);
    CHECK_EQ(skua_writer_write(&writer, "123456789", 9), -ETIMEDOUT);
    fake.stall_at = 0;
    CHECK_EQ(skua_writer_write(&writer, "x", 1), -ETIMEDOUT);
    CHECK_EQ(skua_writer_flush(&writer), -ETIMEDOUT);
    CHECK_EQ(fake.count, 6);
}

static int flushes(void *arg)
{
    return skua_writer_flush(arg);
}

TEST_FIBER(writer_goes_on_after_a_cancel)
{
    char got[32] = "", room[16];
    struct fake fake = SINK(.stall_at = 3);
    skua_task *task = NULL;
    skua_writer writer;
    int result = 0;

    MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
    CHECK_EQ(skua_writer_write(&writer, "0123456", 7), 7);
    MUST(skua_spawn(NULL, flushes, &writer, .task = &task) == 0);
    test_until_parked(task, NULL);
    CHECK_EQ(skua_task_cancel(task), 0);
    CHECK_EQ(skua_task_join(task, &result), 0);
    CHECK_EQ(result, -ECANCELED);
    fake.stall_at = 0;
    CHECK_EQ(skua_writer_write(&writer, "789abcdef", 9), 9);
    CHECK_EQ(skua_writer_flush(&writer), 0);
    CHECK_EQ(strcmp(got, "0123456789abcdef"), 0);
    return 0;
}

TEST(writer_made)
{
    char got[8], room[1];
    struct fake fake = SINK(.piece = 1);
    skua_writer made, *writer = NULL;

    CHECK_EQ(skua_writer_init(&made, fake_io(&fake), NULL, 1), -EINVAL);
    CHECK_EQ(skua_writer_init(&made, fake_io(&fake), room, 0), -EINVAL);
    CHECK_EQ(skua_writer_init(&made, (skua_io){.ops = NULL}, room, 1), -EINVAL);
    CHECK_EQ(skua_writer_new(&writer, fake_io(&fake), SIZE_MAX), -EINVAL);
    MUST(skua_writer_new(&writer, fake_io(&fake), 0) == 0);
    CHECK_EQ(skua_writer_printf(writer, "%s", "text"), 4);
    CHECK_EQ(skua_writer_flush(writer), 0);
    CHECK_EQ(memcmp(got, "text", 4), 0);
    skua_writer_free(writer);
    skua_writer_free(NULL);
}

#ifdef SKUA_FAULTS
TEST(writer_without_memory)
{
    char got[64], room[4];
    struct fake fake = SINK(.piece = 9);
    skua_writer made, *writer = NULL;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_writer_new(&writer, fake_io(&fake), 0), -ENOMEM);
    CHECK(writer == NULL);
    MUST(skua_writer_init(&made, fake_io(&fake), room, sizeof room) == 0);
    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_writer_printf(&made, "%s", "longer"), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_writer_printf(&made, "%s", "longer"), 6); /* nothing was taken before */
    CHECK_EQ(skua_writer_flush(&made), 0);
    CHECK_EQ(fake.count, 6);
    CHECK_EQ(memcmp(got, "longer", 6), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(writer_writes_in_order),
        TEST_WAITING_ENTRIES(writer_prints),
        TEST_WAITING_ENTRIES(writer_errors_are_sticky),
        TEST_WAITING_ENTRIES(writer_close_reports),
        TEST_WAITING_ENTRIES(writer_goes_on_after_a_deadline),
        TEST_WAITING_ENTRIES(writer_that_was_cut_is_broken),
        cmocka_unit_test(writer_goes_on_after_a_cancel),
        cmocka_unit_test(writer_made),
#ifdef SKUA_FAULTS
        cmocka_unit_test(writer_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
