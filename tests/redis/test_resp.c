/* test_resp.c - the RESP parser of examples/mini-redis, without a server.
 *
 * Whatever a stream says, the parser must say the same about it however it is cut: every sample is
 * parsed whole, then at every split into two and into three pieces, then byte by byte, with the
 * buffer moved in between as conn.c moves it. The buffers are exactly as long as what is in them,
 * so that a sanitizer sees every byte that is read beyond. Then random streams, from a fixed seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resp_parse.h"

#define BULK_MAX 1000
#define FUZZ_ROUNDS 20000

/* ---- what a stream says: "[ECHO,hi][PING]" and, if it ends so, "!Protocol error: ..." -------- */

struct said {
    char text[4096];
    size_t len;
};

static void say(struct said *said, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && said->len + 1 < sizeof said->text; i++)
        said->text[said->len++] = bytes[i];
    said->text[said->len] = '\0';
}

static void say_command(struct said *said, const struct resp_parser *parser)
{
    assert_true(parser->argc > 0);
    for (int i = 0; i < parser->argc; i++) {
        say(said, i == 0 ? "[" : ",", 1);
        say(said, parser->argv[i].bytes, parser->argv[i].len);
    }
    say(said, "]", 1);
}

/* A stream on its way through a parser, in a buffer of exactly its size. */
struct stream {
    struct resp_parser parser;
    char *buf;
    size_t len;
    bool ended; /* by an error */
    struct said said;
};

static void stream_open(struct stream *stream)
{
    memset(stream, 0, sizeof *stream);
    resp_init(&stream->parser, BULK_MAX);
}

static void stream_close(struct stream *stream)
{
    resp_done(&stream->parser);
    free(stream->buf);
}

/* Another address and another size, as realloc may do any time. */
static void stream_move(struct stream *stream, size_t drop, const char *bytes, size_t len)
{
    size_t kept = stream->len - drop;
    char *buf = malloc(kept + len > 0 ? kept + len : 1);

    assert_non_null(buf);
    if (kept > 0)
        memcpy(buf, stream->buf + drop, kept);
    if (len > 0)
        memcpy(buf + kept, bytes, len);
    free(stream->buf);
    stream->buf = buf;
    stream->len = kept + len;
}

static void stream_feed(struct stream *stream, const char *bytes, size_t len)
{
    enum resp_result result;
    size_t done;

    if (stream->ended)
        return;
    stream_move(stream, 0, bytes, len);
    while ((result = resp_parse(&stream->parser, stream->buf, stream->len)) == RESP_COMMAND)
        say_command(&stream->said, &stream->parser);
    if (result == RESP_ERROR) {
        say(&stream->said, "!", 1);
        say(&stream->said, stream->parser.error, strlen(stream->parser.error));
        stream->ended = true;
        return;
    }
    done = stream->parser.start;
    assert_true(done <= stream->parser.at && stream->parser.at <= stream->len);
    stream_move(stream, done, NULL, 0);
    resp_shift(&stream->parser, done);
}

/* ---- samples --------------------------------------------------------------------------------- */

static const struct sample {
    const char *bytes;
    const char *says;
} samples[] = {
    {"", ""},
    {"*1\r\n$4\r\nPING\r\n", "[PING]"},
    {"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n*1\r\n$4\r\nPING\r\n", "[ECHO,hi][PING]"},
    {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "[GET,]"},
    {"*2\r\n$3\r\nGET\r\n$4\r\n\r\n*1\r\n", "[GET,\r\n*1]"},
    {"*0\r\n*-1\r\n*-7\r\n*1\r\n$1\r\nx\r\n", "[x]"},
    {"*12\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n"
     "$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n$1\r\nl\r\n",
     "[a,b,c,d,e,f,g,h,i,j,k,l]"},
    {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nhalf", ""},
    {"PING\r\n", "[PING]"},
    {"PING\n\n\r\n  \r\n ECHO  a\tb \r\n", "[PING][ECHO,a,b]"},
    {"SET k \"a\\tb\\x41\\\"c\\q\" 'it\\'s \\n'\r\n", "[SET,k,a\tbA\"cq,it's \\n]"},
    {"ECHO \"\" ''\r\n", "[ECHO,,]"},
    {"ECHO \"\\x4\" \"\\xzz\"\r\n", "[ECHO,x4,xzz]"},
    {"ECHO ab\"cd\"\r\n", "[ECHO,abcd]"},
    {"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", "[PING][PING][PING]"},
    {"*1\r\n$4\r\nPINGxx*1\r\n$1\r\nx\r\n", "[PING][x]"},
    {"*1\rX$1\rXa\r\n", "[a]"},
    {"ECHO \"a\r\n", "!Protocol error: unbalanced quotes in request"},
    {"ECHO \"a\"b\r\n", "!Protocol error: unbalanced quotes in request"},
    {"ECHO 'a\r\n", "!Protocol error: unbalanced quotes in request"},
    {"ECHO \"a\\\r\n", "!Protocol error: unbalanced quotes in request"},
    {"PING\r\n*x\r\nPING\r\n", "[PING]!Protocol error: invalid multibulk length"},
    {"*\r\n", "!Protocol error: invalid multibulk length"},
    {"*1048577\r\n", "!Protocol error: invalid multibulk length"},
    {"*99999999999999999999\r\n", "!Protocol error: invalid multibulk length"},
    {"*1\r\nPING\r\n", "!Protocol error: expected '$', got 'P'"},
    {"*1\r\n\r\n", "!Protocol error: expected '$', got ' '"},
    {"*1\r\n$-1\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$1001\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$1073741824\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$+4\r\nPING\r\n", "!Protocol error: invalid bulk length"},
    {"*1\r\n$04\r\nPING\r\n", "!Protocol error: invalid bulk length"},
};
#define SAMPLES (sizeof samples / sizeof *samples)

/* Feeds a sample cut at two places, and expects what it says. */
static void check_cut(const struct sample *sample, size_t first, size_t second)
{
    size_t len = strlen(sample->bytes);
    struct stream stream;

    stream_open(&stream);
    stream_feed(&stream, sample->bytes, first);
    stream_feed(&stream, sample->bytes + first, second - first);
    stream_feed(&stream, sample->bytes + second, len - second);
    assert_string_equal(stream.said.text, sample->says);
    stream_close(&stream);
}

static void test_whole(void **state)
{
    (void)state;
    for (size_t n = 0; n < SAMPLES; n++)
        check_cut(&samples[n], strlen(samples[n].bytes), strlen(samples[n].bytes));
}

static void test_every_split(void **state)
{
    (void)state;
    for (size_t n = 0; n < SAMPLES; n++)
        for (size_t second = 0; second <= strlen(samples[n].bytes); second++)
            for (size_t first = 0; first <= second; first++)
                check_cut(&samples[n], first, second);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t n = 0; n < SAMPLES; n++) {
        struct stream stream;

        stream_open(&stream);
        for (const char *byte = samples[n].bytes; *byte != '\0'; byte++)
            stream_feed(&stream, byte, 1);
        assert_string_equal(stream.said.text, samples[n].says);
        stream_close(&stream);
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Feeds `count` times the same bytes; returns what was said. */
static void check_long(const char *start, char fill, size_t count, const char *says)
{
    char *bytes = malloc(strlen(start) + count);
    struct stream stream;

    assert_non_null(bytes);
    memcpy(bytes, start, strlen(start));
    memset(bytes + strlen(start), fill, count);
    stream_open(&stream);
    stream_feed(&stream, bytes, strlen(start) + count);
    assert_string_equal(stream.said.text, says);
    stream_close(&stream);
    free(bytes);
}

static void test_lines_without_end(void **state)
{
    (void)state;
    check_long("", 'x', RESP_LINE_MAX, "");
    check_long("", 'x', RESP_LINE_MAX + 1, "!Protocol error: too big inline request");
    check_long("*", '1', RESP_LINE_MAX + 1, "!Protocol error: too big mbulk count string");
    check_long("*1\r\n", '$', RESP_LINE_MAX + 1, "!Protocol error: too big bulk count string");
}

/* A header may announce a million arguments; room is made for those that arrive. */
static void test_announced_is_not_allocated(void **state)
{
    static const char announced[] = "*1048576\r\n$1\r\na\r\n";
    struct stream stream;

    (void)state;
    stream_open(&stream);
    stream_feed(&stream, announced, sizeof announced - 1);
    assert_int_equal(stream.parser.argc, 1);
    assert_true(stream.parser.capacity < 16);
    stream_close(&stream);
}

/* Many arguments, once; an idle parser does not keep room for them. */
static void test_many_arguments(void **state)
{
    static const char one[] = "$1\r\na\r\n";
    struct stream stream;

    (void)state;
    stream_open(&stream);
    stream_feed(&stream, "*5000\r\n", 7);
    for (int i = 0; i < 4999; i++)
        stream_feed(&stream, one, sizeof one - 1);
    assert_int_equal(stream.said.len, 0);
    stream_move(&stream, 0, one, sizeof one - 1);
    assert_int_equal(resp_parse(&stream.parser, stream.buf, stream.len), RESP_COMMAND);
    assert_int_equal(stream.parser.argc, 5000);
    assert_int_equal(resp_parse(&stream.parser, stream.buf, stream.len), RESP_MORE);
    assert_true(stream.parser.capacity <= 64);
    stream_close(&stream);
}

/* ---- random streams -------------------------------------------------------------------------- */

static uint32_t fuzz_next(uint32_t *seed)
{
    *seed ^= *seed << 13; /* xorshift */
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Bytes that often mean something: parts of samples, joined and damaged. */
static size_t fuzz_make(uint32_t *seed, char *bytes, size_t max)
{
    size_t len = 0;

    for (unsigned parts = 1 + fuzz_next(seed) % 4; parts > 0; parts--) {
        const char *sample = samples[fuzz_next(seed) % SAMPLES].bytes;
        size_t from = strlen(sample) > 0 ? fuzz_next(seed) % strlen(sample) : 0;
        size_t part = strlen(sample) - (fuzz_next(seed) % 2 ? from : 0);

        if (len + part > max)
            break;
        memcpy(bytes + len, sample + strlen(sample) - part, part);
        len += part;
    }
    for (unsigned damage = fuzz_next(seed) % 3; damage > 0 && len > 0; damage--)
        bytes[fuzz_next(seed) % len] = "*$\r\n\"'\\ 1-x\xff"[fuzz_next(seed) % 12];
    return len;
}

static void test_random_streams(void **state)
{
    uint32_t seed = 6379;

    (void)state;
    for (int round = 0; round < FUZZ_ROUNDS; round++) {
        char bytes[512];
        size_t len = fuzz_make(&seed, bytes, sizeof bytes);
        struct stream whole;
        struct stream pieces;

        stream_open(&whole);
        stream_feed(&whole, bytes, len);
        stream_open(&pieces);
        for (size_t at = 0; at < len;) {
            size_t piece = 1 + fuzz_next(&seed) % 16;

            piece = piece < len - at ? piece : len - at;
            stream_feed(&pieces, bytes + at, piece);
            at += piece;
        }
        assert_string_equal(pieces.said.text, whole.said.text);
        stream_close(&whole);
        stream_close(&pieces);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_lines_without_end),
        cmocka_unit_test(test_announced_is_not_allocated),
        cmocka_unit_test(test_many_arguments),
        cmocka_unit_test(test_random_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
