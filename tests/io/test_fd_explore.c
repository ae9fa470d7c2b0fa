/* drivers: both */
/* test_fd_explore.c - descriptors in a thousand orders that seeds draw.
 *
 * Specifies fd.h under every order of its users: bytes arrive once and in order whoever of the
 * readers is cancelled or late, and a close ends all that go on, in whatever state they are.
 */
#include "../lib/harness.h"

enum { BYTES = 40 };

struct flow {
    skua_fd *reader, *writer;
    unsigned char next; /* the byte that comes next */
    int ended;
};

static int check_read(struct flow *flow, ssize_t n, const unsigned char *buf)
{
    for (ssize_t i = 0; i < n; i++)
        if (!CHECK_EQ(buf[i], flow->next++))
            return -1;
    return 0;
}

/* Reads in several ways; may be cancelled at any wait. */
static int reads(void *arg)
{
    struct flow *flow = arg;
    unsigned char buf[7];
    ssize_t n = 1;

    while (n > 0 || n == -ETIMEDOUT || n == -EAGAIN || n == -EBUSY) {
        switch (skua_test_random() % 4) {
        case 0:
            n = skua_fd_read(flow->reader, buf, 1 + skua_test_random() % sizeof buf);
            break;
        case 1:
            n = skua_fd_read_until(flow->reader, buf, sizeof buf, skua_now() + MS(1));
            break;
        case 2:
            n = skua_fd_readable(flow->reader);
            n = n != 0 ? n : skua_fd_try_read(flow->reader, buf, sizeof buf);
            break;
        default:
            if (skua_sleep(MS(1)) != 0)
                return -ECANCELED;
            n = skua_fd_try_read(flow->reader, buf, sizeof buf);
            break;
        }
        if (check_read(flow, n, buf) != 0)
            return -1;
        if (n == -EBUSY)
            n = skua_sleep(MS(1)) != 0 ? -ECANCELED : -EBUSY;
    }
    flow->ended += n == 0;
    return n == -ECANCELED || n == SKUA_ECLOSED ? 0 : (int)n;
}

static int writes(void *arg)
{
    struct flow *flow = arg;
    unsigned char byte[3];

    for (int i = 0; i < BYTES; i += 2) {
        byte[0] = (unsigned char)i;
        byte[1] = (unsigned char)(i + 1);
        if (!CHECK_EQ(skua_fd_write_all(flow->writer, byte, 2), 2))
            return -1;
        if (skua_test_random() % 3 == 0)
            skua_sleep((int64_t)(skua_test_random() % 3) * MS(1));
    }
    return skua_fd_close(flow->writer);
}

/* Two readers; one of them is cancelled some time, and begun anew. All bytes come, once. */
static int flows(void *arg)
{
    struct flow flow = {.next = 0};
    skua_task *first, *writer;
    int result = 0;

    (void)arg;
    MUST(skua_pipe_new(&flow.reader, &flow.writer, NULL) == 0);
    MUST(skua_spawn(NULL, writes, &flow, .task = &writer) == 0);
    MUST(skua_spawn(NULL, reads, &flow, .task = &first) == 0);
    skua_sleep((int64_t)(skua_test_random() % 20) * MS(1));
    (void)skua_task_cancel(first);
    CHECK_EQ(skua_task_join(first, &result), 0);
    MUST(skua_spawn(NULL, reads, &flow, .task = &first) == 0);
    CHECK_EQ(skua_task_join(first, &result), 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(skua_task_join(writer, &result), 0);
    CHECK_EQ(flow.next, BYTES);
    CHECK(flow.ended >= 1);
    CHECK_EQ(skua_fd_close(flow.reader), 0);
    return test_failures() != 0 ? -1 : 0;
}

TEST(fd_bytes_come_once_in_every_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), flows, NULL), 0);
}

/* The reader's end is closed some time, under readers and a writer. */
static int writes_until_refused(void *arg)
{
    struct flow *flow = arg;
    ssize_t n;

    while ((n = skua_fd_write_until(flow->writer, "", 1, skua_now() + MS(3))) == 1)
        flow->next = 0; /* what is written is 0, always */
    return n == -EPIPE || n == -ETIMEDOUT || n == SKUA_ECLOSED ? 0 : (int)n;
}

static int reads_until_closed(void *arg)
{
    struct flow *flow = arg;
    char byte;
    ssize_t n;

    do {
        n = skua_fd_read(flow->reader, &byte, 1);
        if (n == -EBUSY)
            n = skua_sleep(MS(1)) == 0 ? 1 : -ECANCELED;
    } while (n == 1);
    return n == SKUA_ECLOSED || n == 0 ? 0 : (int)n;
}

static int closes(void *arg)
{
    struct flow flow = {.next = 0};
    skua_task *tasks[3];
    bool reader_first = skua_test_random() % 2;
    int result;

    (void)arg;
    MUST(skua_pipe_new(&flow.reader, &flow.writer, SKUA_PIPE_OPTIONS(.capacity = 4096)) == 0);
    for (int i = 0; i < 3; i++)
        MUST(skua_spawn(NULL, i == 0 ? writes_until_refused : reads_until_closed, &flow,
                        .task = &tasks[i]) == 0);
    for (uint64_t spins = skua_test_random() % 30; spins > 0; spins--)
        skua_yield();
    CHECK_EQ(skua_fd_close(reader_first ? flow.reader : flow.writer), 0);
    skua_yield();
    CHECK_EQ(skua_fd_close(reader_first ? flow.writer : flow.reader), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_task_join(tasks[i], &result), 0);
        CHECK_EQ(result, 0);
    }
    return test_failures() != 0 ? -1 : 0;
}

TEST(fd_close_in_every_order)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), closes, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fd_bytes_come_once_in_every_order),
        cmocka_unit_test(fd_close_in_every_order),
    };

    return TEST_MAIN(tests);
}
