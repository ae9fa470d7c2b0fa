/* drivers: both */
/* test_tcp.c - TCP: bytes arrive, streams end, errors say what happened.
 *
 * Specifies net.h for fibers: reading and writing of all sizes, the end of a stream, half-close,
 * resets, closing under another's wait, split halves, vectors. Addresses and options are in
 * test_tcp_address.c, cancelling in test_tcp_cancel.c.
 */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/event.h"
#include "../lib/parked.h"
#include "../lib/sockets.h"

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

/* ---- echo ------------------------------------------------------------------------------------ */

static int echoes(void *arg)
{
    skua_tcp *tcp = arg;
    char buf[7001];
    ssize_t n;

    while ((n = skua_tcp_read(tcp, buf, sizeof buf)) > 0)
        if ((n = skua_tcp_write_all(tcp, buf, (size_t)n)) < 0)
            break;
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return (int)n;
}

struct sending {
    skua_tcp *tcp;
    size_t size;
};

static int sends(void *arg)
{
    struct sending *self = arg;
    char *buf = malloc(self->size + 1);
    ssize_t n;

    test_pattern_fill(buf, self->size, 0);
    n = skua_tcp_write_all(self->tcp, buf, self->size);
    CHECK_EQ(n, self->size);
    CHECK(test_pattern_ok(buf, self->size, 0));
    free(buf);
    return skua_tcp_shutdown(self->tcp);
}

static void echo_once(size_t size)
{
    struct sending sending = {.size = size};
    char *buf = calloc(1, size + 1);
    skua_task *server, *sender;
    skua_tcp *peer;

    test_tcp_pair(&sending.tcp, &peer);
    server = start(echoes, peer);
    sender = start(sends, &sending);
    CHECK_EQ(skua_tcp_read_exact(sending.tcp, buf, size), size);
    CHECK(test_pattern_ok(buf, size, 0));
    CHECK_EQ(skua_tcp_read(sending.tcp, buf, 1), 0);
    CHECK_EQ(finish(sender), 0);
    CHECK_EQ(finish(server), 0);
    CHECK_EQ(skua_tcp_close(sending.tcp), 0);
    free(buf);
}

TEST_FIBER(tcp_echoes_all_sizes)
{
    static const size_t sizes[] = {0,     1,     2,      100,    1459,    4096,         65535,
                                   65536, 65537, 262144, 300001, 1 << 20, (1 << 20) + 1};

    for (size_t i = 0; i < TEST_LEN(sizes); i++)
        echo_once(sizes[i]);
    return 0;
}

/* ---- the end of a stream --------------------------------------------------------------------- */

TEST_FIBER(tcp_end_of_stream)
{
    char buf[16] = "untouched";
    skua_tcp *a, *b;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_read(a, buf, 0), 0);
    CHECK_EQ(skua_tcp_write(a, buf, 0), 0);
    CHECK_EQ(skua_tcp_write_all(a, buf, 0), 0);
    CHECK_EQ(skua_tcp_read_exact(a, buf, 0), 0);
    CHECK_EQ(skua_tcp_write_all(b, "abc", 3), 3);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_tcp_read(a, buf, 2), 2);
    CHECK_EQ(skua_tcp_read_exact(a, buf, 5), SKUA_EEOF);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(skua_tcp_read(a, buf, sizeof buf), 0);
        CHECK_EQ(skua_tcp_read_exact(a, buf, 1), SKUA_EEOF);
    }
    CHECK_EQ(skua_tcp_close(a), 0);
    return 0;
}

TEST_FIBER(tcp_half_close)
{
    char buf[16];
    skua_tcp *a, *b;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_write_all(a, "question", 8), 8);
    CHECK_EQ(skua_tcp_shutdown(a), 0);
    CHECK_EQ(skua_tcp_shutdown(a), 0);
    CHECK_EQ(skua_tcp_write(a, "x", 1), -EPIPE);
    CHECK_EQ(skua_tcp_read_exact(b, buf, 8), 8);
    CHECK_EQ(skua_tcp_read(b, buf, sizeof buf), 0);
    CHECK_EQ(skua_tcp_write_all(b, "answer", 6), 6);
    CHECK_EQ(skua_tcp_read_exact(a, buf, 6), 6);
    CHECK(memcmp(buf, "answer", 6) == 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    CHECK_EQ(skua_tcp_read(a, buf, sizeof buf), 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    return 0;
}

/* ---- broken peers ---------------------------------------------------------------------------- */

static int reads_one(void *arg)
{
    char byte;

    return (int)skua_tcp_read(arg, &byte, 1);
}

TEST_FIBER(tcp_reset_by_the_peer)
{
    char buf[16];
    skua_task *reader;
    skua_tcp *tcp;
    int raw;

    test_tcp_raw_pair(&tcp, &raw);
    reader = start(reads_one, tcp);
    test_until_parked(reader, "tcp.read");
    test_raw_reset(raw);
    CHECK_EQ(finish(reader), -ECONNRESET);
    CHECK(skua_tcp_read(tcp, buf, 1) <= 0);
    CHECK(skua_tcp_write(tcp, "x", 1) < 0);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    test_tcp_raw_pair(&tcp, &raw);
    test_raw_reset(raw);
    CHECK_EQ(skua_tcp_read(tcp, buf, sizeof buf), -ECONNRESET);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

/* Writing to one who went away is an error, not a signal: SIGPIPE is at its default here. */
TEST_FIBER(tcp_write_to_a_closed_peer)
{
    char buf[4096] = {0};
    struct sigaction action;
    ssize_t n = 0;
    skua_tcp *tcp;
    int raw;

    sigaction(SIGPIPE, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL);
    test_tcp_raw_pair(&tcp, &raw);
    close(raw);
    for (int i = 0; i < 100 && n >= 0; i++) {
        n = skua_tcp_write_all(tcp, buf, sizeof buf);
        skua_sleep(MS(1));
    }
    CHECK(n == -EPIPE || n == -ECONNRESET);
    CHECK_EQ(skua_tcp_write(tcp, buf, 1), -EPIPE);
    CHECK_EQ(skua_tcp_writev(tcp, &(struct iovec){buf, 1}, 1), -EPIPE);
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

TEST_FIBER(tcp_write_waits_and_then_fails)
{
    struct sending sending = {.size = 16 << 20};
    skua_task *reader;
    int raw;

    test_tcp_raw_pair(&sending.tcp, &raw);
    reader = start(reads_one, sending.tcp);
    test_tcp_fill(sending.tcp, 0);
    test_raw_reset(raw);
    CHECK_EQ(finish(reader), -ECONNRESET);
    CHECK(skua_tcp_write(sending.tcp, "x", 1) < 0);
    CHECK_EQ(skua_tcp_close(sending.tcp), 0);
    return 0;
}

/* ---- closing --------------------------------------------------------------------------------- */

static int writes_on_and_on(void *arg)
{
    char buf[8192] = {0};
    ssize_t n;

    while ((n = skua_tcp_write_all(arg, buf, sizeof buf)) > 0)
        ;
    return (int)n;
}

/* The writer finds no room: it waits for good, not for a moment. */
static void both_wait(skua_tcp *tcp, skua_task **reader, skua_task **writer)
{
    (void)test_tcp_fill(tcp, 0);
    *reader = start(reads_one, tcp);
    *writer = start(writes_on_and_on, tcp);
    test_until_parked(*reader, "tcp.read");
    test_until_parked(*writer, "tcp.write");
}

TEST_FIBER(tcp_close_ends_the_waits_of_others)
{
    skua_task *reader, *writer;
    skua_tcp *a, *b;

    test_tcp_pair(&a, &b);
    both_wait(a, &reader, &writer);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(finish(reader), SKUA_ECLOSED);
    CHECK_EQ(finish(writer), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

TEST_FIBER(tcp_closed_sockets_say_so)
{
    char buf[16], address[SKUA_ADDRESS_MAX];
    struct iovec iov = {buf, sizeof buf};
    skua_tcp *a, *b, *reader, *writer;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(a), -EBADF);
    CHECK_EQ(skua_tcp_read(a, buf, sizeof buf), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_read_exact(a, buf, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_readv(a, &iov, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_write(a, "x", 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_write_all(a, "x", 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_writev(a, &iov, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_shutdown(a), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_set_nodelay(a, 1), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_set_keepalive(a, SKUA_SECOND, 0, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_set_linger(a, 0), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_local_address(a, address, sizeof address), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_peer_address(a, address, sizeof address), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_split(a, &reader, &writer), SKUA_ECLOSED);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

/* ---- one reader, one writer ------------------------------------------------------------------ */

TEST_FIBER(tcp_second_reader_is_busy)
{
    skua_task *reader, *writer;
    skua_tcp *a, *b;
    char byte;

    test_tcp_pair(&a, &b);
    both_wait(a, &reader, &writer);
    CHECK_EQ(skua_tcp_read(a, &byte, 1), -EBUSY);
    CHECK_EQ(skua_tcp_read_exact(a, &byte, 1), -EBUSY);
    CHECK_EQ(skua_tcp_write(a, "x", 1), -EBUSY);
    CHECK_EQ(skua_tcp_write_all(a, "x", 1), -EBUSY);
    CHECK_EQ(skua_task_done(reader), 0);
    CHECK_EQ(skua_tcp_write(b, "y", 1), 1);
    CHECK_EQ(finish(reader), 1);
    CHECK_EQ(skua_tcp_read_until(a, &byte, 1, skua_now() + MS(5)), -ETIMEDOUT);
    CHECK_EQ(skua_task_cancel(writer), 0);
    CHECK_EQ(finish(writer), -ECANCELED);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

/* ---- halves ---------------------------------------------------------------------------------- */

struct halves {
    skua_tcp *reader, *writer;
};

static int drains(void *arg)
{
    skua_tcp *reader = arg;
    size_t total = 0;
    char buf[5000];
    ssize_t n;

    while ((n = skua_tcp_read(reader, buf, sizeof buf)) > 0) {
        if (!CHECK(test_pattern_ok(buf, (size_t)n, total)))
            break;
        total += (size_t)n;
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(skua_tcp_close(reader), 0);
    return (int)total;
}

static int pours(void *arg)
{
    skua_tcp *writer = arg;
    char buf[3000];

    for (size_t at = 0; at < 300000; at += sizeof buf) {
        test_pattern_fill(buf, sizeof buf, at);
        CHECK_EQ(skua_tcp_write_all(writer, buf, sizeof buf), sizeof buf);
    }
    return skua_tcp_close(writer); /* ends the stream to the peer */
}

TEST_FIBER(tcp_halves_of_two_owners)
{
    struct halves left, right;
    skua_task *tasks[4];
    skua_tcp *a, *b;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_split(a, &left.reader, &left.writer), 0);
    CHECK_EQ(skua_tcp_split(b, &right.reader, &right.writer), 0);
    tasks[0] = start(drains, left.reader);
    tasks[1] = start(pours, left.writer);
    tasks[2] = start(drains, right.reader);
    tasks[3] = start(pours, right.writer);
    CHECK_EQ(finish(tasks[0]), 300000);
    CHECK_EQ(finish(tasks[1]), 0);
    CHECK_EQ(finish(tasks[2]), 300000);
    CHECK_EQ(finish(tasks[3]), 0);
    return 0;
}

TEST_FIBER(tcp_halves_close_on_their_own)
{
    skua_tcp *a, *b, *reader, *writer;
    skua_task *waits;
    char byte;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_split(a, &reader, &writer), 0);
    waits = start(reads_one, reader);
    test_until_parked(waits, "tcp.read");
    CHECK_EQ(skua_tcp_close(writer), 0);
    CHECK_EQ(skua_tcp_read(b, &byte, 1), 0);
    CHECK_EQ(skua_tcp_write(writer, "x", 1), SKUA_ECLOSED);
    CHECK_EQ(skua_task_done(waits), 0); /* the other half waits on */
    CHECK_EQ(skua_tcp_write(b, "x", 1), 1);
    CHECK_EQ(finish(waits), 1);
    CHECK_EQ(skua_tcp_close(reader), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_split(a, &reader, &writer), 0);
    CHECK_EQ(skua_tcp_close(reader), 0);
    CHECK_EQ(skua_tcp_write(writer, "x", 1), 1);
    CHECK_EQ(skua_tcp_read(b, &byte, 1), 1);
    CHECK_EQ(skua_tcp_close(writer), 0);
    CHECK_EQ(skua_tcp_read(b, &byte, 1), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

/* ---- vectors --------------------------------------------------------------------------------- */

TEST_FIBER(tcp_vectors)
{
    char out[3][5] = {"abcd", "efgh", "ijkl"}, in[3][4];
    struct iovec from[] = {{out[0], 4}, {out[1], 0}, {out[1], 4}, {out[2], 4}};
    struct iovec to[] = {{in[0], 1}, {in[1], 0}, {in[1], 4}, {in[2], 4}};
    skua_tcp *a, *b;
    char byte;

    test_tcp_pair(&a, &b);
    CHECK_EQ(skua_tcp_writev(a, from, 4), 12);
    skua_sleep(MS(5));
    CHECK_EQ(skua_tcp_readv(b, to, 4), 9);
    CHECK(in[0][0] == 'a' && memcmp(in[1], "bcde", 4) == 0 && memcmp(in[2], "fghi", 4) == 0);
    CHECK_EQ(skua_tcp_readv(b, to, 4), 3);
    CHECK(in[0][0] == 'j' && memcmp(in[1], "kl", 2) == 0);
    CHECK_EQ(skua_tcp_readv(b, to, 0), 0);
    CHECK_EQ(skua_tcp_writev(b, from, 0), 0);
    CHECK_EQ(skua_tcp_readv(b, &to[1], 1), 0);
    CHECK_EQ(skua_tcp_shutdown(a), 0);
    CHECK_EQ(skua_tcp_readv(b, to, 4), 0);
    CHECK_EQ(skua_tcp_read(b, &byte, 1), 0);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

static int reads_vector(void *arg)
{
    struct iovec iov[1024];
    static char room[1024];

    for (int i = 0; i < 1024; i++)
        iov[i] = (struct iovec){&room[i], 1};
    return (int)skua_tcp_readv(arg, iov, 1024);
}

TEST_FIBER(tcp_vectors_wait)
{
    struct iovec iov[1024];
    char room[1024];
    skua_task *reader;
    skua_tcp *a, *b;

    test_pattern_fill(room, sizeof room, 0);
    for (int i = 0; i < 1024; i++)
        iov[i] = (struct iovec){&room[i], 1};
    test_tcp_pair(&a, &b);
    MUST(skua_spawn(NULL, reads_vector, b, .task = &reader, .stack = SKUA_STACK_LARGE) == 0);
    test_until_parked(reader, NULL);
    CHECK_EQ(skua_tcp_writev(a, iov, 1024), 1024);
    CHECK_EQ(finish(reader), 1024);
    CHECK_EQ(skua_tcp_close(a), 0);
    CHECK_EQ(skua_tcp_close(b), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_echoes_all_sizes),
        cmocka_unit_test(tcp_end_of_stream),
        cmocka_unit_test(tcp_half_close),
        cmocka_unit_test(tcp_reset_by_the_peer),
        cmocka_unit_test(tcp_write_to_a_closed_peer),
        cmocka_unit_test(tcp_write_waits_and_then_fails),
        cmocka_unit_test(tcp_close_ends_the_waits_of_others),
        cmocka_unit_test(tcp_closed_sockets_say_so),
        cmocka_unit_test(tcp_second_reader_is_busy),
        cmocka_unit_test(tcp_halves_of_two_owners),
        cmocka_unit_test(tcp_halves_close_on_their_own),
        cmocka_unit_test(tcp_vectors),
        cmocka_unit_test(tcp_vectors_wait),
    };

    return TEST_MAIN(tests);
}
