/* test_duplex.c - a connection in memory.
 *
 * Specifies io.h, duplex: bounds, half-close, ends, -EPIPE, -EBUSY, closing under a wait,
 * cancellation at each wait, futures, poll tasks and threads, and explored orders.
 */
#include <pthread.h>

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#include "../lib/part.h"
#include "../lib/sockets.h"

static void make(skua_duplex **a, skua_duplex **b, size_t capacity)
{
    MUST(skua_duplex_new(a, b, capacity) == 0);
}

static skua_task *start(skua_fiber_fn fn, void *arg)
{
    skua_task *task = NULL;

    MUST(skua_spawn(NULL, fn, arg, .task = &task) == 0);
    return task;
}

static int finish(skua_task *task)
{
    int result = 12345;

    CHECK_EQ(skua_task_join(task, &result), 0);
    return result;
}

TEST_WAITING(duplex_carries_bytes_both_ways)
{
    skua_duplex *a, *b;
    char buf[16];

    make(&a, &b, 8);
    CHECK_EQ(skua_duplex_write(a, "hello", 5), 5);
    CHECK_EQ(skua_duplex_write(b, "hi", 2), 2);
    CHECK_EQ(skua_duplex_read(a, buf, sizeof buf), 2);
    CHECK_EQ(memcmp(buf, "hi", 2), 0);
    CHECK_EQ(skua_duplex_read(b, buf, 3), 3);
    CHECK_EQ(memcmp(buf, "hel", 3), 0);
    CHECK_EQ(skua_duplex_write(a, "123456789", 9), 6); /* what there is room for */
    CHECK_EQ(skua_duplex_read(b, buf, sizeof buf), 8); /* around the edge */
    CHECK_EQ(memcmp(buf, "lo123456", 8), 0);
    CHECK_EQ(skua_duplex_read(b, buf, 0), 0);
    CHECK_EQ(skua_duplex_write(b, buf, 0), 0);
    skua_duplex_close(a);
    skua_duplex_close(b);
    skua_duplex_close(NULL);
}

TEST_WAITING(duplex_ends_by_halves)
{
    skua_duplex *a, *b;
    char buf[16];

    make(&a, &b, 8);
    CHECK_EQ(skua_duplex_write(a, "bye", 3), 3);
    CHECK_EQ(skua_duplex_shutdown(a), 0);
    CHECK_EQ(skua_duplex_shutdown(a), 0);
    CHECK_EQ(skua_duplex_write(a, "x", 1), -EPIPE);
    CHECK_EQ(skua_duplex_read(b, buf, 2), 2);
    CHECK_EQ(skua_duplex_read(b, buf, 16), 1);
    CHECK_EQ(skua_duplex_read(b, buf, 16), 0);
    CHECK_EQ(skua_duplex_read(b, buf, 16), 0);
    CHECK_EQ(skua_duplex_write(b, "still", 5), 5);
    skua_duplex_close(b);
    CHECK_EQ(skua_duplex_read(a, buf, 16), 5);
    CHECK_EQ(skua_duplex_read(a, buf, 16), 0);
    skua_duplex_close(a);
}

TEST_WAITING(duplex_breaks_when_nobody_reads)
{
    skua_duplex *a, *b;

    make(&a, &b, 8);
    CHECK_EQ(skua_duplex_write(a, "lost", 4), 4);
    skua_duplex_close(b);
    CHECK_EQ(skua_duplex_write(a, "x", 1), -EPIPE);
    skua_duplex_close(a);
    CHECK_EQ(skua_duplex_new(&a, &b, 0), -EINVAL);
    CHECK_EQ(skua_duplex_new(&a, &b, SIZE_MAX), -EINVAL);
}

TEST_WAITING(duplex_waits_until_a_deadline)
{
    skua_duplex *a, *b;
    char buf[16] = "untouched";
    int64_t begin = skua_now();

    make(&a, &b, 4);
    CHECK_EQ(skua_duplex_read_until(a, buf, 16, begin + MS(2)), -ETIMEDOUT);
    CHECK(skua_now() - begin >= MS(2));
    CHECK_EQ(strcmp(buf, "untouched"), 0);
    CHECK_EQ(skua_duplex_write(a, "1234", 4), 4);
    CHECK_EQ(skua_duplex_write_until(a, "5", 1, skua_now() + MS(2)), -ETIMEDOUT);
    CHECK_EQ(skua_duplex_read_until(b, buf, 16, 0), 4); /* what is there is given, however late */
    CHECK_EQ(memcmp(buf, "1234", 4), 0);
    CHECK_EQ(skua_duplex_write_until(a, "5", 1, 0), 1);
    skua_duplex_close(a);
    skua_duplex_close(b);
}

/* ---- waits ----------------------------------------------------------------------------------- */

struct call {
    skua_duplex *end;
    bool writes;
    char buf[8];
};

static int calls(void *arg)
{
    struct call *self = arg;

    return (int)(self->writes ? skua_duplex_write(self->end, self->buf, 1)
                              : skua_duplex_read(self->end, self->buf, 8));
}

TEST_FIBER_CLOCK(duplex_wait_ends)
{
    for (int way = 0; way < 10; way++) {
        skua_duplex *a, *b;
        bool writes = way % 2 == 1;
        struct call call = {.writes = writes, .buf = "untouch"};
        skua_task *task;
        char buf[8];

        make(&a, &b, 2);
        call.end = a;
        CHECK_EQ(skua_duplex_write(a, "xy", 2), 2); /* full */
        task = start(calls, &call);
        skua_sleep(MS(1));
        switch (way / 2) {
        case 0:
            CHECK_EQ(skua_task_cancel(task), 0);
            CHECK_EQ(finish(task), -ECANCELED);
            CHECK_EQ(strcmp(call.buf, "untouch"), 0);
            task = start(calls, &call); /* the end is as good as before */
            skua_sleep(MS(1));
            CHECK_EQ(skua_duplex_write(b, "1", 1), 1);
            CHECK_EQ(skua_duplex_read(b, buf, 8), 2);
            CHECK_EQ(finish(task), 1);
            break;
        case 1: /* served by the other end */
            CHECK_EQ(skua_duplex_read(b, buf, 1), 1);
            CHECK_EQ(skua_duplex_write(b, "1", 1), 1);
            CHECK_EQ(finish(task), 1);
            break;
        case 2: /* closed by the other end */
            skua_duplex_close(b);
            CHECK_EQ(finish(task), writes ? -EPIPE : 0);
            b = NULL;
            break;
        case 3: /* closed under it */
            skua_duplex_close(a);
            CHECK_EQ(finish(task), SKUA_ECLOSED);
            a = NULL;
            break;
        default: /* a second one; both ends closed under the first */
            CHECK_EQ(calls(&call), -EBUSY);
            skua_duplex_close(a);
            skua_duplex_close(b);
            CHECK_EQ(finish(task), SKUA_ECLOSED);
            a = b = NULL;
            break;
        }
        skua_duplex_close(a);
        skua_duplex_close(b);
    }
    return 0;
}

TEST_FIBER_CLOCK(duplex_shutdown_ends_a_write)
{
    struct call call = {.writes = true};
    skua_duplex *a, *b;
    skua_task *task;

    make(&a, &b, 1);
    call.end = a;
    CHECK_EQ(skua_duplex_write(a, "x", 1), 1);
    task = start(calls, &call);
    skua_sleep(MS(1));
    CHECK_EQ(skua_duplex_shutdown(a), 0);
    CHECK_EQ(finish(task), -EPIPE);
    skua_duplex_close(a);
    skua_duplex_close(b);
    return 0;
}

TEST_FIBER(duplex_in_a_select)
{
    skua_duplex *a, *b;
    char in[4], out[4] = "abc";
    int64_t n = 0;

    make(&a, &b, 2);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(skua_select(skua_duplex_reading(a, in, 4), skua_sleeping(1)), 1);
    CHECK_EQ(skua_select_to(&n, skua_duplex_reading(a, in, 4), skua_duplex_writing(a, out, 3)), 1);
    CHECK_EQ(n, 2);
    CHECK_EQ(skua_duplex_read(b, in, 4), 2);
    skua_duplex_close(a);
    skua_duplex_close(b);
    return 0;
}

/* A dropped wait after its grant: nothing is lost, and nothing refers to it. */
TEST_FIBER_CURRENT(duplex_drop_after_the_grant)
{
    skua_duplex *a, *b;
    skua_duplex_future read;
    char buf[4] = "old";
    int result = 0;
    struct call call = {.writes = false};
    skua_task *task;

    make(&a, &b, 2);
    call.end = a;
    task = start(calls, &call);
    skua_yield();
    CHECK_EQ(skua_duplex_write(b, "1", 1), 1); /* granted: it has not run yet */
    CHECK_EQ(skua_task_cancel(task), 0);
    result = finish(task);
    CHECK(result == 1 || result == -ECANCELED);
    if (result < 0)
        CHECK_EQ(skua_duplex_read(a, buf, 4), 1);
    skua_duplex_read_init(&read, a, buf, 4);
    skua_future_drop(&read.future); /* never polled */
    skua_duplex_close(a);
    skua_duplex_close(b);
    return 0;
}

/* ---- much ------------------------------------------------------------------------------------ */

struct stream {
    skua_duplex *end;
    size_t total;
    uint64_t random;
};

static int pours(void *arg)
{
    struct stream *self = arg;
    char buf[9000];

    for (size_t at = 0; at < self->total;) {
        size_t len = 1 + test_random(&self->random) % sizeof buf;
        ssize_t n;

        len = len < self->total - at ? len : self->total - at;
        test_pattern_fill(buf, len, at);
        n = skua_duplex_write(self->end, buf, len);
        if (!CHECK(n > 0))
            return (int)n;
        at += (size_t)n;
    }
    return skua_duplex_shutdown(self->end);
}

static int drains(void *arg)
{
    struct stream *self = arg;
    char buf[9000];
    size_t at = 0;
    ssize_t n;

    while ((n = skua_duplex_read(self->end, buf, 1 + test_random(&self->random) % sizeof buf)) >
           0) {
        if (!CHECK(test_pattern_ok(buf, (size_t)n, at)))
            break;
        at += (size_t)n;
    }
    CHECK_EQ(at, self->total);
    return (int)n;
}

static void *pours_on_a_thread(void *arg)
{
    return (void *)(intptr_t)pours(arg);
}

static void *drains_on_a_thread(void *arg)
{
    return (void *)(intptr_t)drains(arg);
}

/* Both ways at once, between fibers and threads, through rings of any size. */
TEST_FIBER(duplex_stress)
{
    static const size_t capacities[] = {1, 7, 4096, 10000};
    uint64_t seed = test_seed();

    for (size_t i = 0; i < TEST_LEN(capacities); i++) {
        size_t total = (size_t)TEST_COUNT(capacities[i] < 100 ? 3000 : 300000);
        struct stream streams[4];
        pthread_t threads[2];
        skua_task *tasks[2];
        skua_duplex *a, *b;
        void *rc;

        make(&a, &b, capacities[i]);
        for (int k = 0; k < 4; k++)
            streams[k] =
                (struct stream){.end = k % 2 ? a : b, .total = total, .random = seed + (uint64_t)k};
        tasks[0] = start(pours, &streams[0]);                                          /* b -> a */
        MUST(pthread_create(&threads[0], NULL, drains_on_a_thread, &streams[1]) == 0); /* a */
        tasks[1] = start(drains, &streams[2]);                                         /* a -> b */
        MUST(pthread_create(&threads[1], NULL, pours_on_a_thread, &streams[3]) == 0);
        CHECK_EQ(finish(tasks[0]), 0);
        CHECK_EQ(finish(tasks[1]), 0);
        for (int k = 0; k < 2; k++) {
            CHECK_EQ(pthread_join(threads[k], &rc), 0);
            CHECK(rc == NULL);
        }
        skua_duplex_close(a);
        skua_duplex_close(b);
    }
    return 0;
}

/* ---- explored -------------------------------------------------------------------------------- */

struct explored {
    skua_duplex *a, *b;
    size_t got;
};

static int explored_reader(void *arg)
{
    struct explored *self = arg;
    char buf[3];
    ssize_t n;

    while ((n = skua_duplex_read(self->b, buf, sizeof buf)) > 0) {
        if (!test_pattern_ok(buf, (size_t)n, self->got))
            return -EBADMSG;
        self->got += (size_t)n;
    }
    return (int)n;
}

static int explored_writer(void *arg)
{
    struct explored *self = arg;
    char buf[5];

    for (size_t at = 0; at < 20;) {
        ssize_t n;

        test_pattern_fill(buf, 5, at);
        n = skua_duplex_write(self->a, buf, 5);
        if (n < 0)
            return (int)n;
        at += (size_t)n;
    }
    return 0;
}

/* Readers are cancelled again and again: the bytes come in order, each once. */
static int explored_cancel(void *arg)
{
    struct explored self = {.got = 0};
    skua_task *reader, *writer;
    int result;

    (void)arg;
    if (skua_duplex_new(&self.a, &self.b, 2) != 0)
        return -ENOMEM;
    writer = start(explored_writer, &self);
    for (int i = 0; i < 4; i++) {
        reader = start(explored_reader, &self);
        for (uint64_t spins = skua_test_random() % 6; spins > 0; spins--)
            skua_yield();
        skua_task_cancel(reader);
        result = finish(reader);
        if (result != -ECANCELED)
            return -EPROTO;
    }
    reader = start(explored_reader, &self);
    if (finish(writer) < 0)
        return -EPROTO;
    skua_duplex_close(self.a);
    result = finish(reader);
    skua_duplex_close(self.b);
    return result == 0 && self.got >= 20 ? 0 : -EBADMSG;
}

/* Each end is closed at any moment, under whoever waits there. */
static int explored_close(void *arg)
{
    struct explored self = {.got = 0};
    skua_task *reader, *writer;
    int read, written;
    bool first = skua_test_random() % 2;

    (void)arg;
    if (skua_duplex_new(&self.a, &self.b, 2) != 0)
        return -ENOMEM;
    reader = start(explored_reader, &self);
    writer = start(explored_writer, &self);
    skua_yield(); /* both have begun: an end is not used after its close */
    while (skua_test_random() % 3 != 0)
        skua_yield();
    skua_duplex_shutdown(self.a);
    skua_yield();
    if (first)
        skua_duplex_close(self.b);
    written = first ? finish(writer) : 0;
    read = finish(reader);
    written = first ? written : finish(writer);
    skua_duplex_close(self.a);
    if (!first)
        skua_duplex_close(self.b);
    return (read == 0 || (first && read == SKUA_ECLOSED)) && (written == 0 || written == -EPIPE)
               ? 0
               : -EPROTO;
}

TEST(duplex_explored)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), explored_cancel, NULL), 0);
}

TEST(duplex_explored_closing)
{
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), explored_close, NULL), 0);
}

#ifdef SKUA_FAULTS
TEST(duplex_without_memory)
{
    skua_duplex *a = (skua_duplex *)8, *b = a;

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_duplex_new(&a, &b, 5), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK(a == (skua_duplex *)8 && b == a);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(duplex_carries_bytes_both_ways),
        TEST_WAITING_ENTRIES(duplex_ends_by_halves),
        TEST_WAITING_ENTRIES(duplex_breaks_when_nobody_reads),
        TEST_WAITING_ENTRIES(duplex_waits_until_a_deadline),
        cmocka_unit_test(duplex_wait_ends),
        cmocka_unit_test(duplex_shutdown_ends_a_write),
        cmocka_unit_test(duplex_in_a_select),
        cmocka_unit_test(duplex_drop_after_the_grant),
        cmocka_unit_test(duplex_stress),
        cmocka_unit_test(duplex_explored),
        cmocka_unit_test(duplex_explored_closing),
#ifdef SKUA_FAULTS
        cmocka_unit_test(duplex_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
