/* drivers: both */
/* test_stream_lines.c - bytes that come in pieces, as lines; and those of a TCP connection.
 *
 * Specifies stream.h, skua_stream_lines_init, and net.h, skua_tcp_lines_init.
 */
#include "../lib/script.h"
#include "../lib/sockets.h"

/* A reader that gives `piece` bytes at a time, waits before each when it is told to, and ends with
 * `last`. */
struct reader {
    skua_future future;
    skua_sleep_future sleep;
    const char *text;
    size_t len;
    size_t piece;
    bool waits;
    bool waiting;
    int last;
    char *buf;
    size_t room;
    int drops;
};

static skua_poll reader_poll(skua_future *future, skua_waker *waker)
{
    struct reader *self = (struct reader *)future;
    size_t count = self->piece < self->len ? self->piece : self->len;

    if (self->waits && !self->waiting) {
        self->waiting = true;
        skua_sleep_init(&self->sleep, MS(1) / 10);
    }
    if (self->waiting && self->sleep.future.ops->poll(&self->sleep.future, waker) == SKUA_PENDING)
        return SKUA_PENDING;
    self->waiting = false;
    count = count < self->room ? count : self->room;
    if (count == 0)
        return self->last;
    memcpy(self->buf, self->text, count);
    self->text += count;
    self->len -= count;
    return (skua_poll)count;
}

static void reader_drop(skua_future *future)
{
    struct reader *self = (struct reader *)future;

    self->drops++;
    if (self->waiting)
        skua_future_drop(&self->sleep.future);
}

static const skua_future_ops reader_ops = {
    .name = "test.reader", .poll = reader_poll, .drop = reader_drop};

static skua_future *reads(void *arg, void *buf, size_t len)
{
    struct reader *self = arg;

    CHECK(len > 0);
    self->future.ops = &reader_ops;
    self->buf = buf;
    self->room = len;
    return &self->future;
}

static struct reader reader_of(const char *text, size_t piece, bool waits)
{
    return (struct reader){.text = text, .len = strlen(text), .piece = piece, .waits = waits};
}

/* What comes out, as one string: each line in brackets, errors by their names. */
static void check_lines(const char *text, size_t size, int last, const char *wanted)
{
    for (size_t piece = 1; piece < 24; piece += piece < 5 ? 1 : 9) {
        struct reader reader = reader_of(text, piece, piece % 2 == 0);
        char buf[64], got[256] = "";
        skua_stream *stream = skua_streaming_lines(reads, &reader, buf, size);
        skua_line line;
        int rc;

        reader.last = last;
        while ((rc = skua_stream_next(stream, &line)) != 0 && strlen(got) < sizeof got / 2) {
            snprintf(got + strlen(got), sizeof got - strlen(got), "[%s]",
                     rc < 0 ? skua_error_name(rc) : line.text);
            if (rc > 0)
                CHECK_EQ(strlen(line.text), line.len);
        }
        if (!CHECK(strcmp(got, wanted) == 0))
            test_note("pieces of %zu: %s, not %s", piece, got, wanted);
        CHECK_EQ(skua_stream_next(stream, &line), 0);
    }
}

TEST_WAITING(lines_are_told_apart)
{
    check_lines("one\ntwo\nthree\n", 64, 0, "[one][two][three]");
    check_lines("one\r\ntwo\r\n\r\n\nlast", 64, 0, "[one][two][][][last]");
    check_lines("", 64, 0, "");
    check_lines("\n", 64, 0, "[]");
    check_lines("a\rb\nc\r", 64, 0, "[a\rb][c]");
    check_lines("one\ntwo\nthree\n", 7, 0, "[one][two][three]"); /* three is 7 - 2 long */
}

TEST_WAITING(lines_that_are_too_long)
{
    check_lines("one\nthree and more\ntwo\n", 6, 0, "[one][SKUA_ELIMIT][two]");
    check_lines("123456\n12345\n", 7, 0, "[SKUA_ELIMIT][12345]");
    check_lines("123456789012345678901234567890", 7, 0, "[SKUA_ELIMIT]");
    check_lines("1\n\n12\n12345", 3, 0, "[1][][SKUA_ELIMIT][SKUA_ELIMIT]");
}

TEST_WAITING(lines_end_with_an_error)
{
    check_lines("one\ntwo", 64, -ECONNRESET, "[one][ECONNRESET]");
    check_lines("one\n", 64, -EIO, "[one][EIO]");
}

TEST_WAITING(lines_are_given_up_and_dropped)
{
    struct reader reader = reader_of("one\ntwo\n", 2, true);
    char buf[16];
    skua_stream *stream = skua_streaming_lines(reads, &reader, buf, sizeof buf);
    skua_line line = {0};

    for (int i = 0; i < 2; i++)
        CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &line)), -EAGAIN);
    CHECK_EQ(skua_stream_next(stream, &line), 1);
    CHECK_EQ(strcmp(line.text, "one"), 0);
    CHECK_EQ(skua_try_select(skua_stream_nexting(stream, &line)), -EAGAIN);
    CHECK_EQ(reader.drops, 0);
    skua_stream_drop(stream);
    CHECK_EQ(reader.drops, 1); /* the read that was under way */
    stream = skua_streaming_lines(reads, &reader, buf, 2);
    CHECK_EQ(skua_stream_next(stream, &line), -EINVAL);
    CHECK_EQ(skua_stream_next(stream, &line), 0);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static int writes_lines(void *arg)
{
    skua_tcp *tcp = arg;

    for (int i = 0; i < 100; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "line %d\r\n", i);

        CHECK_EQ(skua_tcp_write_all(tcp, text, (size_t)len), len);
        if (i % 10 == 0)
            CHECK_EQ(skua_sleep(MS(1)), 0);
    }
    CHECK_EQ(skua_tcp_close(tcp), 0);
    return 0;
}

TEST_FIBER(lines_of_a_connection)
{
    skua_listener *listener;
    skua_tcp *client, *server;
    char address[SKUA_ADDRESS_MAX], buf[40], wanted[32];
    skua_stream *stream;
    skua_line line;
    int count = 0;

    MUST(skua_tcp_listen(&listener, "127.0.0.1:0", NULL) == 0);
    MUST(skua_listener_address(listener, address, sizeof address) == 0);
    MUST(skua_tcp_connect(&client, address, NULL) == 0);
    MUST(skua_tcp_accept(listener, &server) == 0);
    stream = skua_streaming_tcp_lines(server, buf, sizeof buf);
    CHECK_EQ(skua_stream_next_until(stream, &line, skua_now() + MS(2)), -ETIMEDOUT);
    MUST(skua_spawn(NULL, writes_lines, client) == 0);
    while (count < 90) {
        int rc = skua_stream_next_until(stream, &line, skua_now() + MS(1) / 4);

        if (rc == -ETIMEDOUT)
            continue;
        snprintf(wanted, sizeof wanted, "line %d", count++);
        CHECK_EQ(rc, 1);
        CHECK(strcmp(line.text, wanted) == 0);
    }
    while (skua_stream_next(stream, &line) == 1)
        count++;
    CHECK_EQ(count, 100);
    CHECK_EQ(skua_tcp_close(server), 0);
    CHECK_EQ(skua_listener_close(listener), 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(lines_are_told_apart),
        TEST_WAITING_ENTRIES(lines_that_are_too_long),
        TEST_WAITING_ENTRIES(lines_end_with_an_error),
        TEST_WAITING_ENTRIES(lines_are_given_up_and_dropped),
        cmocka_unit_test(lines_of_a_connection),
    };

    return TEST_MAIN(tests);
}
