/* test_reader.c - a buffer in front of a stream that is read.
 *
 * Specifies buffered.h, skua_reader: bytes, peeking, pieces and lines in streams that come in any
 * pieces, limits, ends, sticky errors, deadlines and cancellation at each wait, allocation.
 */
#include "../lib/parked.h"
#include "fake.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static struct fake fake_of(const char *text, size_t piece)
{
    return (struct fake){
        .text = text, .len = strlen(text), .piece = piece, .interrupts = piece % 2 == 0};
}

TEST_WAITING(reader_reads)
{
    for (size_t piece = 1; piece < 12; piece++) {
        struct fake fake = fake_of("0123456789abcdefghij", piece);
        char room[4], buf[16], got[32] = "";
        skua_reader reader;
        size_t count = 0;
        ssize_t n;

        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_EQ(skua_reader_read(&reader, buf, 0), 0);
        for (size_t i = 1; (n = skua_reader_read(&reader, buf, i)) > 0; i = i % 7 + 1) {
            CHECK((size_t)n <= i);
            memcpy(got + count, buf, (size_t)n);
            count += (size_t)n;
        }
        CHECK_EQ(n, 0);
        CHECK_EQ(strcmp(got, "0123456789abcdefghij"), 0);
        CHECK_EQ(skua_reader_read(&reader, buf, 1), 0); /* the stream is not asked again */
        CHECK_EQ(skua_reader_read(&reader, buf, 16), 0);
    }
}

TEST_WAITING(reader_reads_exactly)
{
    for (size_t piece = 1; piece < 12; piece++) {
        struct fake fake = fake_of("0123456789abcdefghij", piece);
        char room[4], buf[16];
        skua_reader reader;

        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 3), 3);
        CHECK_EQ(memcmp(buf, "012", 3), 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 4), 4);
        CHECK_EQ(memcmp(buf, "3456", 4), 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 11), 11); /* more than the buffer */
        CHECK_EQ(memcmp(buf, "789abcdefgh", 11), 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 3), SKUA_EEOF);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 2), 2); /* still there */
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 0), 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 5), SKUA_EEOF);
    }
}

TEST_WAITING(reader_peeks)
{
    for (size_t piece = 1; piece < 12; piece++) {
        struct fake fake = fake_of("0123456789", piece);
        char room[8];
        const char *at = NULL;
        skua_reader reader;

        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_EQ(skua_reader_buffered(&reader, &at), 0);
        CHECK(skua_reader_peek(&reader, 3, &at) >= 3);
        CHECK_EQ(memcmp(at, "012", 3), 0);
        CHECK_EQ(skua_reader_peek(&reader, 9, &at), SKUA_ELIMIT);
        CHECK_EQ(skua_reader_consume(&reader, 2), 0);
        CHECK_EQ(skua_reader_peek(&reader, 8, &at), 8);
        CHECK_EQ(memcmp(at, "23456789", 8), 0);
        CHECK_EQ(skua_reader_fill(&reader), SKUA_ELIMIT);
        CHECK_EQ(skua_reader_consume(&reader, 9), -EINVAL);
        CHECK_EQ(skua_reader_consume(&reader, 5), 0);
        CHECK_EQ(skua_reader_peek(&reader, 4, &at), SKUA_EEOF);
        CHECK_EQ(skua_reader_fill(&reader), 0);
        CHECK_EQ(skua_reader_buffered(&reader, &at), 3);
        CHECK_EQ(memcmp(at, "789", 3), 0);
    }
}

TEST_WAITING(reader_skips)
{
    for (size_t piece = 1; piece < 12; piece++) {
        struct fake fake = fake_of("0123456789,abc,d", piece);
        char room[4], buf[4];
        skua_reader reader;

        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_EQ(skua_reader_skip(&reader, 0), 0);
        CHECK_EQ(skua_reader_skip(&reader, 7), 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 1), 1);
        CHECK_EQ(buf[0], '7');
        CHECK_EQ(skua_reader_skip_to(&reader, ','), 0);
        CHECK_EQ(skua_reader_read_exact(&reader, buf, 1), 1);
        CHECK_EQ(buf[0], 'a');
        CHECK_EQ(skua_reader_skip_to(&reader, ','), 0);
        CHECK_EQ(skua_reader_skip_to(&reader, ','), SKUA_EEOF);
        CHECK_EQ(skua_reader_skip(&reader, 1), SKUA_EEOF);
    }
}

/* ---- pieces ---------------------------------------------------------------------------------- */

enum how { TO_COMMA, SPLIT, LINES };

/* All pieces as one string: in brackets, an error by its name; after SKUA_ELIMIT, asked again with
 * the same answer, what is too long is left behind. */
static void collect(skua_reader *reader, enum how how, size_t limit, char *got, size_t room)
{
    char delimiter = how == LINES ? '\n' : ',';
    const char *at;
    size_t len;
    int last = 0;

    for (;;) {
        int rc = how == LINES   ? skua_reader_read_line(reader, limit, &at, &len)
                 : how == SPLIT ? skua_reader_split(reader, ',', limit, &at, &len)
                                : skua_reader_read_to(reader, ',', limit, &at, &len);

        if (rc == 0)
            break;
        if (rc == SKUA_ELIMIT && last != SKUA_ELIMIT) {
            last = rc;
            continue;
        }
        last = 0;
        if (rc == 1)
            snprintf(got + strlen(got), room - strlen(got), "[%.*s]", (int)len, at);
        else
            snprintf(got + strlen(got), room - strlen(got), "[%s]", skua_error_name(rc));
        if (rc == SKUA_ELIMIT)
            rc = skua_reader_skip_to(reader, delimiter) == 0;
        if (rc < 0 || strlen(got) > room / 2)
            break;
    }
}

static void check_pieces(const char *text, enum how how, size_t size, size_t limit,
                         const char *wanted)
{
    for (size_t piece = 1; piece < 24; piece++)
        for (int grows = 0; grows < 2; grows++) {
            struct fake fake = fake_of(text, piece);
            skua_reader *grown = NULL, fixed, *reader = &fixed;
            char got[256] = "", *room = malloc(size); /* so that ASan knows its end */

            if (grows)
                MUST(skua_reader_new(&grown, fake_io(&fake),
                                     SKUA_READER_OPTIONS(.buffer = 1, .max = size)) == 0);
            else
                MUST(skua_reader_init(&fixed, fake_io(&fake), room, size) == 0);
            collect(grows ? grown : reader, how, limit, got, sizeof got);
            if (!CHECK(strcmp(got, wanted) == 0))
                test_note("pieces of %zu: %s, not %s", piece, got, wanted);
            skua_reader_free(grown);
            free(room);
        }
}

TEST_WAITING(reader_lines)
{
    check_pieces("one\ntwo\nthree\n", LINES, 64, 0, "[one][two][three]");
    check_pieces("one\r\ntwo\r\n\r\n\nlast", LINES, 64, 0, "[one][two][][][last]");
    check_pieces("", LINES, 64, 0, "");
    check_pieces("\n", LINES, 64, 0, "[]");
    check_pieces("\n", LINES, 1, 0, "[]");
    check_pieces("a\rb\nc\r", LINES, 64, 0, "[a\rb][c]");
    check_pieces("one\ntwo\nthree\n", LINES, 6, 0, "[one][two][three]");
}

TEST_WAITING(reader_lines_that_are_too_long)
{
    check_pieces("one\nthree\ntwo\n", LINES, 64, 3, "[one][SKUA_ELIMIT][two]");
    check_pieces("one\r\nfour\r\ntwo\r\n", LINES, 64, 3, "[one][SKUA_ELIMIT][two]");
    check_pieces("12345678\n1\n", LINES, 4, 0, "[SKUA_ELIMIT][1]");
    check_pieces("1234\n123\n12\r\n123\r\n", LINES, 4, 0, "[SKUA_ELIMIT][123][12][SKUA_ELIMIT]");
    check_pieces("1234567890", LINES, 64, 4, "[SKUA_ELIMIT]");
    check_pieces("12345\r", LINES, 64, 5, "[12345]");
    check_pieces("12345\r\r\n1", LINES, 64, 5, "[SKUA_ELIMIT][1]");
}

TEST_WAITING(reader_splits)
{
    check_pieces("a,bc,,d", TO_COMMA, 64, 0, "[a,][bc,][,][d]");
    check_pieces("a,bc,,d", SPLIT, 64, 0, "[a][bc][][d]");
    check_pieces("abc,abcd,a", TO_COMMA, 64, 4, "[abc,][SKUA_ELIMIT][a]");
    check_pieces("abc,abcd,a", SPLIT, 64, 3, "[abc][SKUA_ELIMIT][a]");
    check_pieces("abc,abcd,a", SPLIT, 4, 0, "[abc][SKUA_ELIMIT][a]");
    check_pieces("abc,", SPLIT, 64, SIZE_MAX, "[abc]");
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* What came before an error is given first, and then it is told for ever. */
TEST_WAITING(reader_errors_are_sticky)
{
    for (unsigned call = 1; call < 6; call++) {
        struct fake fake = {
            .text = "12345678", .len = 8, .piece = 2, .fail_call = call, .fail = -ECONNRESET};
        char room[16], buf[16];
        const char *at;
        skua_reader reader;
        size_t len;

        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_EQ(skua_reader_read_line(&reader, 0, &at, &len), -ECONNRESET);
        CHECK_EQ(skua_reader_peek(&reader, 9, &at), -ECONNRESET);
        CHECK_EQ(skua_reader_fill(&reader), -ECONNRESET);
        CHECK_EQ(skua_reader_buffered(&reader, &at), 2 * (call - 1));
        for (unsigned i = 1; i < call; i++)
            CHECK_EQ(skua_reader_read(&reader, buf, 2), 2);
        CHECK_EQ(skua_reader_read(&reader, buf, 2), -ECONNRESET);
        CHECK_EQ(skua_reader_read(&reader, buf, 16), -ECONNRESET);
        CHECK_EQ(skua_reader_skip(&reader, 1), -ECONNRESET);
        CHECK_EQ(skua_reader_skip_to(&reader, ','), -ECONNRESET);
        CHECK_EQ(fake.calls, call);
    }
}

TEST_WAITING(reader_goes_on_after_a_deadline)
{
    struct fake fake = {.text = "12345\n78", .len = 8, .stall_at = 4};
    char room[16], buf[16];
    const char *at;
    skua_reader reader;
    size_t len;

    MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
    skua_reader_set_deadline(&reader, skua_now() + MS(2));
    CHECK_EQ(skua_reader_read_line(&reader, 0, &at, &len), -ETIMEDOUT);
    CHECK_EQ(skua_reader_peek(&reader, 5, &at), -ETIMEDOUT);
    CHECK_EQ(skua_reader_read_exact(&reader, buf, 5), -ETIMEDOUT);
    fake.stall_at = 0;
    CHECK_EQ(skua_reader_read_line(&reader, 0, &at, &len), 1);
    CHECK_EQ(len, 5);
    CHECK_EQ(memcmp(at, "12345", 5), 0);
}

static int reads_a_line(void *arg)
{
    const char *at;
    size_t len;

    return skua_reader_read_line(arg, 0, &at, &len);
}

TEST_FIBER(reader_goes_on_after_a_cancel)
{
    for (size_t stall = 1; stall < 7; stall++) {
        struct fake fake = {.text = "123456\n8", .len = 8, .stall_at = stall, .piece = 2};
        char room[7];
        const char *at;
        skua_task *task = NULL;
        skua_reader reader;
        int result = 0;
        size_t len;

        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        MUST(skua_spawn(NULL, reads_a_line, &reader, .task = &task) == 0);
        test_until_parked(task, NULL);
        CHECK_EQ(skua_task_cancel(task), 0);
        CHECK_EQ(skua_task_join(task, &result), 0);
        CHECK_EQ(result, -ECANCELED);
        fake.stall_at = 0;
        CHECK_EQ(skua_reader_read_line(&reader, 0, &at, &len), 1);
        CHECK_EQ(len, 6);
        CHECK_EQ(memcmp(at, "123456", 6), 0);
    }
    return 0;
}

TEST(reader_options)
{
    struct fake fake = fake_of("", 1);
    skua_reader_options options;
    skua_reader *reader = NULL, made;
    char room[1];

    skua_reader_options_init(&options);
    CHECK_EQ(skua_reader_new(&reader, fake_io(&fake), &options), 0);
    skua_reader_free(reader);
    skua_reader_free(NULL);
    options.size--;
    CHECK_EQ(skua_reader_new(&reader, fake_io(&fake), &options), -EINVAL);
    CHECK_EQ(skua_reader_new(&reader, fake_io(&fake), SKUA_READER_OPTIONS(.buffer = 9, .max = 8)),
             -EINVAL);
    CHECK_EQ(skua_reader_new(&reader, fake_io(&fake), SKUA_READER_OPTIONS(.max = SIZE_MAX)),
             -EINVAL);
    CHECK_EQ(skua_reader_init(&made, fake_io(&fake), NULL, 5), -EINVAL);
    CHECK_EQ(skua_reader_init(&made, fake_io(&fake), room, 0), -EINVAL);
    CHECK_EQ(skua_reader_init(&made, (skua_io){.ops = NULL}, room, 1), -EINVAL);
}

#ifdef SKUA_FAULTS
TEST(reader_without_memory)
{
    struct fake fake = fake_of("123456789\n", 3);
    skua_reader *untouched = (skua_reader *)8, *reader = untouched;
    const char *at;
    size_t len;

    for (unsigned n = 1; n < 3; n++) {
        skua__fault_arm(SKUA__FAULT_MALLOC, n, 1, ENOMEM);
        CHECK_EQ(skua_reader_new(&reader, fake_io(&fake), NULL), -ENOMEM);
        CHECK(reader == untouched);
    }
    skua__fault_arm(SKUA__FAULT_MALLOC, 3, 1, ENOMEM);
    MUST(skua_reader_new(&reader, fake_io(&fake), SKUA_READER_OPTIONS(.buffer = 4)) == 0);
    CHECK_EQ(skua_reader_read_line(reader, 0, &at, &len), -ENOMEM); /* it cannot grow now */
    skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
    CHECK_EQ(skua_reader_read_line(reader, 0, &at, &len), 1);
    CHECK_EQ(len, 9);
    CHECK_EQ(memcmp(at, "123456789", 9), 0);
    skua_reader_free(reader);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(reader_reads),
        TEST_WAITING_ENTRIES(reader_reads_exactly),
        TEST_WAITING_ENTRIES(reader_peeks),
        TEST_WAITING_ENTRIES(reader_skips),
        TEST_WAITING_ENTRIES(reader_lines),
        TEST_WAITING_ENTRIES(reader_lines_that_are_too_long),
        TEST_WAITING_ENTRIES(reader_splits),
        TEST_WAITING_ENTRIES(reader_errors_are_sticky),
        TEST_WAITING_ENTRIES(reader_goes_on_after_a_deadline),
        cmocka_unit_test(reader_goes_on_after_a_cancel),
        cmocka_unit_test(reader_options),
#ifdef SKUA_FAULTS
        cmocka_unit_test(reader_without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
