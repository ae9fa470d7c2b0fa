/* test_copy.c - one stream copied to another, and two to each other.
 *
 * Specifies io.h, copies, over streams that do what a test has written down: short pieces, limits,
 * ends, errors and waits at each step, half-close, and kernels that splice or do not.
 */
#include <unistd.h>

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

#include "../lib/sockets.h"
#include "fake.h"

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
enum { TEXT = sizeof text - 1 };

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

/* ---- one way --------------------------------------------------------------------------------- */

TEST_WAITING(copy_to_the_end)
{
    for (size_t piece = 1; piece < 40; piece++) {
        char got[64];
        struct fake from = {.text = text, .len = TEXT, .piece = piece, .interrupts = piece % 2};
        struct fake to = {.got = got, .room = sizeof got, .piece = 41 - piece, .interrupts = true};

        CHECK_EQ(skua_copy(fake_io(&from), fake_io(&to), SKUA_COPY_ALL,
                           SKUA_COPY_OPTIONS(.buffer = piece % 7)),
                 TEXT);
        CHECK_EQ(to.count, TEXT);
        CHECK_EQ(memcmp(got, text, TEXT), 0);
        CHECK_EQ(to.shutdowns, 0);
    }
}

TEST_WAITING(copy_to_a_limit)
{
    for (size_t limit = 0; limit <= TEXT + 1; limit++) {
        size_t wanted = limit < TEXT ? limit : TEXT;
        struct fake from = {.text = text, .len = TEXT};
        char got[64];
        struct fake to = {.got = got, .room = sizeof got};

        CHECK_EQ(
            skua_copy(fake_io(&from), fake_io(&to), (int64_t)limit, SKUA_COPY_OPTIONS(.buffer = 5)),
            wanted);
        CHECK_EQ(to.count, wanted);
        CHECK_EQ(from.len, TEXT - wanted); /* nothing more was read */
    }
}

TEST_WAITING(copy_fails_at_each_step)
{
    for (unsigned call = 1; call < 7; call++)
        for (int reads = 0; reads < 2; reads++) {
            struct fake from = {.text = text, .len = TEXT};
            char got[64];
            struct fake to = {.got = got, .room = sizeof got, .piece = 6};
            struct fake *fails = reads ? &from : &to;

            fails->fail_call = call;
            fails->fail = reads ? -EIO : -EPIPE;
            CHECK_EQ(skua_copy(fake_io(&from), fake_io(&to), SKUA_COPY_ALL,
                               SKUA_COPY_OPTIONS(.buffer = 6)),
                     fails->fail);
            CHECK_EQ(to.count, 6 * (call - 1));
        }
}

TEST_WAITING(copy_until_a_deadline)
{
    for (int reads = 0; reads < 2; reads++) {
        struct fake from = {.text = text, .len = TEXT, .stall_at = reads ? 9 : 0};
        char got[64];
        struct fake to = {.got = got, .room = sizeof got, .stall_at = reads ? 0 : 9};
        int64_t deadline = skua_now() + MS(2);

        CHECK_EQ(skua_copy(fake_io(&from), fake_io(&to), SKUA_COPY_ALL,
                           SKUA_COPY_OPTIONS(.deadline = deadline)),
                 -ETIMEDOUT);
        CHECK(skua_now() >= deadline);
        CHECK_EQ(to.count, 9);
    }
}

TEST(copy_options)
{
    struct fake from = {.text = text, .len = TEXT};
    char got[64];
    struct fake to = {.got = got, .room = sizeof got};
    skua_io a = fake_io(&from), b = fake_io(&to);
    skua_copy_options options;

    skua_copy_options_init(&options);
    options.size--;
    CHECK_EQ(skua_copy(a, b, 1, &options), -EINVAL);
    CHECK_EQ(skua_copy(a, b, -1, NULL), -EINVAL);
    CHECK_EQ(skua_copy(a, b, 1, SKUA_COPY_OPTIONS(.buffer = SIZE_MAX)), -EINVAL);
    CHECK_EQ(skua_copy(a, b, 1, SKUA_COPY_OPTIONS(.deadline = -1)), -EINVAL);
    CHECK_EQ(skua_copy(a, b, 1, SKUA_COPY_OPTIONS(.no_splice = 2)), -EINVAL);
    CHECK_EQ(skua_copy((skua_io){.ops = NULL}, b, 1, NULL), -EINVAL);
    CHECK_EQ(skua_copy_bidirectional(a, (skua_io){.ops = NULL}, NULL, NULL, NULL), -EINVAL);
    CHECK_EQ(skua_copy_bidirectional(a, b, NULL, NULL, NULL), SKUA_EUSAGE); /* no fiber */
    CHECK_EQ(from.calls, 0);
    options.size++;
    CHECK_EQ(skua_copy(a, b, SKUA_COPY_ALL, &options), TEXT);
}

/* ---- streams that splice, or stop doing so --------------------------------------------------- */

struct spliced {
    struct fake fake;
    unsigned splices;
    unsigned refuse; /* this one says -ENOSYS, and so do the next; 0 = none */
};

static ssize_t spliced_read(void *object, void *buf, size_t len, int64_t deadline)
{
    return fake_read(&((struct spliced *)object)->fake, buf, len, deadline);
}

static ssize_t spliced_write(void *object, const void *buf, size_t len, int64_t deadline)
{
    return fake_write(&((struct spliced *)object)->fake, buf, len, deadline);
}

static bool spliced_refuses(struct spliced *self)
{
    return ++self->splices >= self->refuse && self->refuse != 0;
}

static ssize_t spliced_to_pipe(void *object, int pipe, size_t len, int64_t deadline)
{
    struct spliced *self = object;
    char buf[64];
    ssize_t n;

    if (spliced_refuses(self))
        return -ENOSYS;
    n = fake_read(&self->fake, buf, len < sizeof buf ? len : sizeof buf, deadline);
    return n > 0 ? write(pipe, buf, (size_t)n) : n;
}

static ssize_t spliced_from_pipe(void *object, int pipe, size_t len, int64_t deadline)
{
    struct spliced *self = object;
    char buf[64];
    ssize_t n;

    if (spliced_refuses(self))
        return -ENOSYS;
    n = fake_step(&self->fake, len < sizeof buf ? len : sizeof buf, deadline);
    if (n <= 0)
        return n;
    MUST(read(pipe, buf, (size_t)n) == n);
    memcpy(self->fake.got + self->fake.count, buf, (size_t)n);
    self->fake.count += (size_t)n;
    return n;
}

static skua_io spliced_io(struct spliced *spliced)
{
    static const skua_io_ops ops = {.name = "spliced",
                                    .read = spliced_read,
                                    .write = spliced_write,
                                    .to_pipe = spliced_to_pipe,
                                    .from_pipe = spliced_from_pipe};

    return (skua_io){.ops = &ops, .object = spliced};
}

TEST_WAITING(copy_through_a_pipe_as_long_as_it_goes)
{
    for (unsigned refuse = 0; refuse < 10; refuse++)
        for (int reads = 0; reads < 2; reads++) {
            char got[64];
            struct spliced from = {.fake = {.text = text, .len = TEXT, .interrupts = true}};
            struct spliced to = {.fake = {.got = got, .room = 64, .piece = 3}};

            (reads ? &from : &to)->refuse = refuse;
            CHECK_EQ(skua_copy(spliced_io(&from), spliced_io(&to), TEXT - 2,
                               SKUA_COPY_OPTIONS(.buffer = 7)),
                     TEXT - 2);
            CHECK_EQ(to.fake.count, TEXT - 2);
            CHECK_EQ(memcmp(got, text, TEXT - 2), 0);
            CHECK_EQ(from.fake.len, 2);
            CHECK(from.splices > 0);
        }
}

TEST_WAITING(copy_without_a_pipe_where_it_is_not_wanted)
{
    char got[64];
    struct spliced from = {.fake = {.text = text, .len = TEXT}};
    struct spliced to = {.fake = {.got = got, .room = 64}};

    CHECK_EQ(skua_copy(spliced_io(&from), spliced_io(&to), SKUA_COPY_ALL,
                       SKUA_COPY_OPTIONS(.no_splice = 1)),
             TEXT);
    CHECK_EQ(from.splices + to.splices, 0);
}

TEST_WAITING(copy_through_a_pipe_fails_at_each_step)
{
    for (unsigned call = 1; call < 7; call++)
        for (int reads = 0; reads < 2; reads++) {
            char got[64];
            struct spliced from = {.fake = {.text = text, .len = TEXT}};
            struct spliced to = {.fake = {.got = got, .room = 64}};
            struct fake *fails = reads ? &from.fake : &to.fake;

            fails->fail_call = call;
            fails->fail = reads ? -EIO : -EPIPE;
            CHECK_EQ(skua_copy(spliced_io(&from), spliced_io(&to), SKUA_COPY_ALL,
                               SKUA_COPY_OPTIONS(.buffer = 6)),
                     fails->fail);
            CHECK_EQ(to.fake.count, 6 * (call - 1));
        }
}

#ifdef SKUA_FAULTS
TEST(copy_without_memory_or_descriptors)
{
    char got[64];
    struct spliced from = {.fake = {.text = text, .len = TEXT}};
    struct spliced to = {.fake = {.got = got, .room = 64}};

    skua__fault_arm(SKUA__FAULT_MALLOC, 1, 1, ENOMEM);
    CHECK_EQ(skua_copy(fake_io(&from.fake), fake_io(&to.fake), SKUA_COPY_ALL, NULL), -ENOMEM);
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 1, 1, EMFILE);
    CHECK_EQ(skua_copy(spliced_io(&from), spliced_io(&to), SKUA_COPY_ALL, NULL), TEXT);
    skua__fault_arm(SKUA__FAULT_SYSCALL, 0, 0, 0);
    CHECK_EQ(from.splices, 0);
}
#endif

/* ---- two ways -------------------------------------------------------------------------------- */

/* A proxy between a client and a server, all of it in memory. */
struct middle {
    skua_duplex *client, *front, *back, *server;
    int64_t sent, received;
};

static void middle_make(struct middle *self, size_t capacity)
{
    *self = (struct middle){.sent = -1, .received = -1};
    MUST(skua_duplex_new(&self->client, &self->front, capacity) == 0);
    MUST(skua_duplex_new(&self->back, &self->server, capacity) == 0);
}

static void middle_free(struct middle *self)
{
    skua_duplex_close(self->client);
    skua_duplex_close(self->front);
    skua_duplex_close(self->back);
    skua_duplex_close(self->server);
}

static int copies_both(void *arg)
{
    struct middle *self = arg;

    return skua_copy_bidirectional(skua_duplex_io(self->front), skua_duplex_io(self->back),
                                   &self->sent, &self->received, SKUA_COPY_OPTIONS(.buffer = 7));
}

TEST_FIBER(copy_both_ways)
{
    struct middle middle;
    skua_task *task;
    char buf[64];

    middle_make(&middle, 16);
    task = start(copies_both, &middle);
    CHECK_EQ(skua_io_write_all(skua_duplex_io(middle.client), "question", 8), 8);
    CHECK_EQ(skua_io_read_exact(skua_duplex_io(middle.server), buf, 8), 8);
    CHECK_EQ(skua_duplex_shutdown(middle.client), 0);
    CHECK_EQ(skua_duplex_read(middle.server, buf, 8), 0); /* the end is told … */
    CHECK_EQ(skua_io_write_all(skua_duplex_io(middle.server), text, 12), 12);
    CHECK_EQ(skua_io_read_exact(skua_duplex_io(middle.client), buf, 12),
             12); /* … the rest goes on */
    CHECK_EQ(memcmp(buf, text, 12), 0);
    CHECK(!skua_task_done(task));
    CHECK_EQ(skua_duplex_shutdown(middle.server), 0);
    CHECK_EQ(skua_duplex_read(middle.client, buf, 8), 0);
    CHECK_EQ(finish(task), 0);
    CHECK_EQ(middle.sent, 8);
    CHECK_EQ(middle.received, 12);
    middle_free(&middle);
    return 0;
}

TEST_FIBER(copy_both_ways_ends_with_an_error)
{
    struct middle middle;
    skua_task *task;
    char buf[8];

    middle_make(&middle, 16);
    task = start(copies_both, &middle);
    CHECK_EQ(skua_io_write_all(skua_duplex_io(middle.server), "12345", 5), 5);
    CHECK_EQ(skua_io_read_exact(skua_duplex_io(middle.client), buf, 5), 5);
    skua_duplex_close(middle.client); /* reads its end, and -EPIPE behind it */
    middle.client = NULL;
    CHECK_EQ(skua_io_write_all(skua_duplex_io(middle.server), "67890", 5), 5);
    CHECK_EQ(finish(task), -EPIPE); /* although nothing else comes from the server */
    CHECK_EQ(middle.sent, 0);
    CHECK_EQ(middle.received, 5);
    middle_free(&middle);
    return 0;
}

/* One direction fails while the other waits for what never comes. */
TEST_FIBER(copy_both_ways_fails_fast)
{
    struct fake fails = {.fail_call = 1, .fail = -EIO};
    int64_t sent = -1, received = -1;
    skua_duplex *idle, *quiet;

    MUST(skua_duplex_new(&idle, &quiet, 8) == 0);
    CHECK_EQ(skua_copy_bidirectional(skua_duplex_io(idle), fake_io(&fails), &sent, &received, NULL),
             -EIO);
    CHECK(sent == 0 && received == 0);
    skua_duplex_close(idle);
    skua_duplex_close(quiet);
    return 0;
}

TEST_FIBER_CLOCK(copy_both_ways_cancelled)
{
    for (int full = 0; full < 2; full++) { /* waiting to read, waiting to write */
        struct middle middle;
        skua_task *task;
        skua_deadline frame;

        middle_make(&middle, 4);
        task = start(copies_both, &middle);
        if (full)
            CHECK_EQ(skua_io_write_all_until(skua_duplex_io(middle.client), text, TEXT,
                                             skua_now() + MS(2)),
                     -ETIMEDOUT);
        skua_sleep(MS(1));
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(finish(task), -ECANCELED);
        CHECK_EQ(middle.sent, full ? 4 : 0);
        CHECK_EQ(middle.received, 0);
        CHECK_EQ(skua_deadline_begin(&frame, skua_now() + MS(2)), 0);
        CHECK_EQ(copies_both(&middle), -ETIMEDOUT);
        CHECK_EQ(skua_deadline_end(&frame), 0);
        middle_free(&middle);
    }
    return 0;
}

/* ---- explored -------------------------------------------------------------------------------- */

static int explored_says(void *arg)
{
    ssize_t n = skua_io_write_all(skua_duplex_io(arg), text, TEXT);

    return n < 0 ? (int)n : skua_duplex_shutdown(arg);
}

static int explored_hears(void *arg)
{
    char buf[TEXT];
    ssize_t n = skua_io_read_exact(skua_duplex_io(arg), buf, TEXT);

    if (n < 0)
        return (int)n;
    return skua_duplex_read(arg, buf, 1) == 0 ? 0 : -EPROTO;
}

static int explored(TEST_UNUSED void *arg)
{
    struct middle middle;
    skua_task *tasks[5];
    bool cancels = skua_test_random() % 2;
    int rc = 0;

    middle_make(&middle, 1 + skua_test_random() % 9);
    tasks[0] = start(copies_both, &middle);
    tasks[1] = start(explored_says, middle.client);
    tasks[2] = start(explored_hears, middle.server);
    tasks[3] = start(explored_says, middle.server);
    tasks[4] = start(explored_hears, middle.client);
    if (cancels) {
        while (skua_test_random() % 8 != 0)
            skua_yield();
        skua_task_cancel(tasks[0]);
        rc = finish(tasks[0]);
        rc = rc == 0 || rc == -ECANCELED ? 0 : rc;
        for (int i = 1; i < 5; i++)
            skua_task_cancel(tasks[i]);
    } else {
        rc = finish(tasks[0]);
    }
    for (int i = 1; i < 5; i++) {
        int end = finish(tasks[i]);

        rc = rc == 0 && !cancels ? end : rc;
    }
    if (!cancels && (middle.sent != TEXT || middle.received != TEXT))
        rc = -EPROTO;
    middle_free(&middle);
    return rc;
}

TEST(copy_explored)
{
    test_limit(60);
    CHECK_EQ(skua_test_explore(TEST_COUNT(1000), explored, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(copy_to_the_end),
        TEST_WAITING_ENTRIES(copy_to_a_limit),
        TEST_WAITING_ENTRIES(copy_fails_at_each_step),
        TEST_WAITING_ENTRIES(copy_until_a_deadline),
        cmocka_unit_test(copy_options),
        TEST_WAITING_ENTRIES(copy_through_a_pipe_as_long_as_it_goes),
        TEST_WAITING_ENTRIES(copy_without_a_pipe_where_it_is_not_wanted),
        TEST_WAITING_ENTRIES(copy_through_a_pipe_fails_at_each_step),
#ifdef SKUA_FAULTS
        cmocka_unit_test(copy_without_memory_or_descriptors),
#endif
        cmocka_unit_test(copy_both_ways),
        cmocka_unit_test(copy_both_ways_ends_with_an_error),
        cmocka_unit_test(copy_both_ways_fails_fast),
        cmocka_unit_test(copy_both_ways_cancelled),
        cmocka_unit_test(copy_explored),
    };

    return TEST_MAIN(tests);
}
