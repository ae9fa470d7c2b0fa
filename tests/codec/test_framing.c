/* test_framing.c - messages in a stream of bytes.
 *
 * Specifies framing.h: each kind reads what it writes, and what others write; limits, and where the
 * stream stands after them; streams cut at every byte; waits that are given up. Random bytes that
 * come in random pieces give the frames that the whole gives, and nothing beyond is looked at.
 */
#include "fake.h"

#define CHECK_FRAME(rc, wanted)                                                                    \
    do {                                                                                           \
        CHECK_EQ(rc, 1);                                                                           \
        if (!CHECK(len == sizeof(wanted) - 1 && memcmp(frame, wanted, len) == 0))                  \
            test_note("%.*s, not %s", (int)len, frame, wanted);                                    \
    } while (0)

/* ---- by the length: what other libraries say in their manuals -------------------------------- */

static void check_length(const skua_length_options *options, const char *bytes, size_t count,
                         const char *wanted, size_t size)
{
    for (size_t piece = 1; piece <= count; piece++) {
        struct fake fake = {.text = bytes, .len = count, .piece = piece};
        skua_framing framing;
        skua_reader reader;
        const char *frame;
        char room[64];
        size_t len;

        MUST(skua_framing_length_init(&framing, options) == 0);
        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 1);
        CHECK(len == size && memcmp(frame, wanted, size) == 0);
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 0);
    }
}

TEST_WAITING(framing_by_length)
{
    check_length(NULL, "\0\0\0\5hello", 9, "hello", 5);
    check_length(SKUA_LENGTH_OPTIONS(.length = 1), "\5hello", 6, "hello", 5);
    check_length(SKUA_LENGTH_OPTIONS(.length = 3, .little = 1), "\5\0\0hello", 8, "hello", 5);
    check_length(SKUA_LENGTH_OPTIONS(.length = 8), "\0\0\0\0\0\0\0\5hello", 13, "hello", 5);
    check_length(SKUA_LENGTH_OPTIONS(.length = 8, .little = 1), "\2\0\0\0\0\0\0\0hi", 10, "hi", 2);
    check_length(NULL, "\0\0\0\0", 4, "", 0);
    /* the head is shown, the number counts the rest */
    check_length(SKUA_LENGTH_OPTIONS(.length = 2, .adjustment = 2, .skip = SKUA_SKIP_NOTHING),
                 "\0\5hello", 7, "\0\5hello", 7);
    /* the number counts the head, too */
    check_length(SKUA_LENGTH_OPTIONS(.length = 2, .adjustment = -2), "\0\7hello", 7, "hello", 5);
    /* something before the number; something between it and the rest */
    check_length(SKUA_LENGTH_OPTIONS(.offset = 2, .length = 2), "XY\0\5hello", 9, "hello", 5);
    check_length(SKUA_LENGTH_OPTIONS(.length = 2, .adjustment = 2), "\0\5XYhello", 9, "XYhello", 7);
    check_length(SKUA_LENGTH_OPTIONS(.offset = 1, .length = 2, .adjustment = 1, .skip = 3),
                 "1\0\5Xhello", 9, "Xhello", 6);
    check_length(SKUA_LENGTH_OPTIONS(.offset = 1, .length = 2, .adjustment = -3, .skip = 4),
                 "1\0\10Xhello", 9, "hello", 5);
}

TEST_WAITING(framing_length_limits)
{
    struct fake fake = {.text = "\0\4four\0\5hello", .len = 13};
    struct fake less = {.text = "\0\1", .len = 2};
    struct fake huge = {.text = "\377\377\377\377\377\377\377\377", .len = 8};
    skua_framing framing;
    skua_reader reader;
    const char *frame;
    char room[64];
    size_t len;

    MUST(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.length = 2, .max = 4)) == 0);
    MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
    CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "four");
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
    CHECK_EQ(skua_reader_buffered(&reader, &frame), 7); /* it is all there */
    MUST(skua_reader_init(&reader, fake_io(&less), room, sizeof room) == 0);
    MUST(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.length = 2, .adjustment = -2)) ==
         0);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), -EBADMSG);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), -EBADMSG);
    MUST(skua_reader_init(&reader, fake_io(&huge), room, sizeof room) == 0);
    MUST(skua_framing_length_init(&framing,
                                  SKUA_LENGTH_OPTIONS(.length = 8, .adjustment = 1 << 30)) == 0);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
}

/* More than the reader has room for; and a number of 0 that would consume nothing. */
TEST_WAITING(framing_length_and_the_room)
{
    struct fake fake = {.text = "\0\7hello12", .len = 9};
    struct fake none = {.text = "\0\0", .len = 2};
    skua_framing framing;
    skua_reader reader, *grown = NULL;
    const char *frame;
    char room[8];
    size_t len;

    MUST(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.length = 2)) == 0);
    MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
    fake = (struct fake){.text = "\0\7hello12", .len = 9};
    MUST(skua_reader_new(&grown, fake_io(&fake), SKUA_READER_OPTIONS(.buffer = 1)) == 0);
    CHECK_FRAME(skua_frame_read(&framing, grown, &frame, &len), "hello12");
    skua_reader_free(grown);
    MUST(skua_framing_length_init(
             &framing, SKUA_LENGTH_OPTIONS(.length = 2, .skip = SKUA_SKIP_NOTHING)) == 0);
    MUST(skua_reader_init(&reader, fake_io(&none), room, sizeof room) == 0);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), -EBADMSG);
}

/* Frames of the default limit go through with default options, both ways; one byte more not. */
TEST(framing_default_limit)
{
    size_t size = SKUA_FRAME_MAX;
    char *big = malloc(size + 1), *got = malloc(size + 16);
    struct fake fake = {.got = got, .room = size + 16};
    struct fake back = {.text = got};
    skua_reader *reader = NULL;
    skua_writer *writer = NULL;
    skua_framing framing;
    const char *frame;
    size_t len = 0;

    memset(big, 'x', size + 1);
    MUST(skua_framing_length_init(&framing, NULL) == 0);
    MUST(skua_writer_new(&writer, fake_io(&fake), 0) == 0);
    CHECK_EQ(skua_frame_write(&framing, writer, big, size + 1), SKUA_ELIMIT);
    CHECK_EQ(skua_frame_write(&framing, writer, big, size), 0);
    CHECK_EQ(skua_writer_flush(writer), 0);
    back.len = fake.count;
    MUST(skua_reader_new(&reader, fake_io(&back), NULL) == 0);
    CHECK_EQ(skua_frame_read(&framing, reader, &frame, &len), 1);
    CHECK(len == size && memcmp(frame, big, size) == 0);
    skua_reader_free(reader);
    skua_writer_free(writer);
    free(big);
    free(got);
}

/* ---- by what is between ---------------------------------------------------------------------- */

TEST_WAITING(framing_by_lines)
{
    for (size_t piece = 1; piece < 20; piece++) {
        struct fake fake = {.text = "one\r\ntoo long\n\ntwo\nlast", .len = 23, .piece = piece};
        skua_framing framing;
        skua_reader reader;
        const char *frame;
        char room[16];
        size_t len;

        MUST(skua_framing_lines_init(&framing, 4) == 0);
        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "one");
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "");
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "two");
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "last");
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 0);
    }
}

TEST_WAITING(framing_by_delimiters)
{
    for (size_t piece = 1; piece < 20; piece++) {
        struct fake fake = {.text = "one,too long;;two\0end too long", .len = 30, .piece = piece};
        skua_framing framing;
        skua_reader reader;
        const char *frame;
        char room[8];
        size_t len;

        MUST(skua_framing_delimited_init(&framing, ",;", 3, 4) == 0); /* and the NUL */
        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "one");
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "");
        CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "two");
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), SKUA_ELIMIT);
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 0);
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 0);
    }
}

TEST_WAITING(framing_by_chunks)
{
    struct fake fake = {.text = "onetwothree", .len = 11, .piece = 3};
    skua_framing framing;
    skua_reader reader;
    const char *frame;
    char room[8];
    size_t len;

    MUST(skua_framing_chunks_init(&framing, 2) == 0);
    MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
    CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "on");
    CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "e");
    CHECK_FRAME(skua_frame_read(&framing, &reader, &frame, &len), "tw");
    for (int i = 0; i < 4; i++)
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 1);
    CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 0);
}

/* ---- writing, and reading it back ------------------------------------------------------------ */

enum { KINDS = 8 };

static void make_kind(skua_framing *framing, int kind, size_t max)
{
    int rc;

    switch (kind) {
    case 0:
        rc = skua_framing_lines_init(framing, max);
        break;
    case 1:
        rc = skua_framing_delimited_init(framing, "\n", 1, max);
        break;
    case 2:
        rc = skua_framing_delimited_init(framing, "\0\377a", 3, max);
        break;
    case 3:
        rc = skua_framing_length_init(framing, SKUA_LENGTH_OPTIONS(.length = 1, .max = max));
        break;
    case 4:
        rc = skua_framing_length_init(
            framing, SKUA_LENGTH_OPTIONS(.length = 1, .adjustment = -1, .max = max));
        break;
    case 5:
        rc = skua_framing_length_init(
            framing, SKUA_LENGTH_OPTIONS(.offset = 3, .length = 2, .little = 1, .max = max));
        break;
    case 6:
        rc = skua_framing_length_init(
            framing, SKUA_LENGTH_OPTIONS(.length = 1, .adjustment = 3, .skip = 6, .max = max));
        break;
    default:
        rc = skua_framing_length_init(framing,
                                      SKUA_LENGTH_OPTIONS(.offset = 1, .length = 1, .adjustment = 1,
                                                          .skip = SKUA_SKIP_NOTHING, .max = max));
        break;
    }
    MUST(rc == 0);
}

TEST_WAITING(framing_reads_what_it_writes)
{
    uint64_t random = test_seed();

    for (int round = 0; round < TEST_COUNT(400); round++) {
        char got[2048], in[32], out[40];
        struct fake to = {.got = got, .room = sizeof got, .random = test_random(&random)};
        struct fake from = {.text = got, .random = test_random(&random)};
        size_t lens[32], len;
        skua_framing framing;
        skua_writer writer;
        skua_reader reader;
        const char *frame;

        make_kind(&framing, round % 6, 24);
        MUST(skua_writer_init(&writer, round % 2 ? fake_io(&to) : fake_io_vector(&to), in,
                              1 + test_random(&random) % sizeof in) == 0);
        for (unsigned i = 0; i < TEST_LEN(lens); i++) {
            char text[24];

            lens[i] = test_random(&random) % 25;
            memset(text, 'b' + (int)i % 20, sizeof text);
            CHECK_EQ(skua_frame_write(&framing, &writer, text, lens[i]), 0);
        }
        CHECK_EQ(skua_writer_flush(&writer), 0);
        from.len = to.count;
        MUST(skua_reader_init(&reader, fake_io(&from), out, sizeof out) == 0);
        for (unsigned i = 0; i < TEST_LEN(lens); i++) {
            if (!CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 1) ||
                !CHECK_EQ(len, lens[i]))
                return;
            for (size_t k = 0; k < len; k++)
                CHECK_EQ(frame[k], 'b' + i % 20);
        }
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), 0);
    }
}

TEST(framing_refuses_to_write)
{
    char got[512], room[4];
    struct fake fake = {.got = got, .room = sizeof got};
    static const char zeros[256];
    skua_framing framing;
    skua_writer writer;

    MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
    make_kind(&framing, 0, 300);
    CHECK_EQ(skua_frame_write(&framing, &writer, "a\nb", 3), -EINVAL);
    CHECK_EQ(skua_frame_write(&framing, &writer, "a\r", 2), -EINVAL);
    make_kind(&framing, 2, 300);
    CHECK_EQ(skua_frame_write(&framing, &writer, "bca", 3), -EINVAL);
    make_kind(&framing, 3, 300);
    CHECK_EQ(skua_frame_write(&framing, &writer, zeros, 256), SKUA_ELIMIT);
    CHECK_EQ(skua_frame_write(&framing, &writer, zeros, 255), 0);
    CHECK_EQ(fake.count, 256);
    make_kind(&framing, 4, 300);
    CHECK_EQ(skua_frame_write(&framing, &writer, zeros, 255), SKUA_ELIMIT); /* it counts itself */
    MUST(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.adjustment = 3)) == 0);
    CHECK_EQ(skua_frame_write(&framing, &writer, zeros, 2), -EINVAL);
    make_kind(&framing, 6, 300);
    CHECK_EQ(skua_frame_write(&framing, &writer, zeros, 9), SKUA_EUSAGE);
    make_kind(&framing, 7, 300);
    CHECK_EQ(skua_frame_write(&framing, &writer, zeros, 9), SKUA_EUSAGE);
    CHECK_EQ(fake.count, 256);
}

/* A write that was given up has put nothing in the stream, neither the head nor a part of it. */
TEST_WAITING(framing_writes_all_or_nothing)
{
    char got[64], room[8];
    struct fake fake = {.got = got, .room = sizeof got, .stall_at = 2};
    skua_framing framing;
    skua_writer writer;

    make_kind(&framing, 3, 20);
    MUST(skua_writer_init(&writer, fake_io(&fake), room, sizeof room) == 0);
    skua_writer_set_deadline(&writer, skua_now() + MS(2));
    CHECK_EQ(skua_frame_write(&framing, &writer, "123456", 6), 0);
    CHECK_EQ(skua_frame_write(&framing, &writer, "abc", 3), -ETIMEDOUT);
    CHECK_EQ(skua_frame_write(&framing, &writer, "abcdefgh", 8), -ETIMEDOUT);
    fake.stall_at = 0;
    CHECK_EQ(skua_frame_write(&framing, &writer, "abc", 3), 0);
    CHECK_EQ(skua_writer_flush(&writer), 0);
    CHECK_EQ(fake.count, 11);
    CHECK_EQ(memcmp(got, "\006123456\003abc", 11), 0);
}

/* ---- cut, and given up ----------------------------------------------------------------------- */

TEST_WAITING(framing_of_a_stream_that_is_cut)
{
    static const char bytes[] = "\5\0hello\3\0abc";

    for (size_t cut = 0; cut < sizeof bytes; cut++) {
        char *copy = malloc(cut + 1), room[16];
        struct fake fake = {.text = copy, .len = cut, .piece = 2};
        skua_framing framing;
        skua_reader reader;
        const char *frame;
        size_t len;
        int rc, frames = 0;

        memcpy(copy, bytes, cut);
        MUST(skua_framing_length_init(
                 &framing, SKUA_LENGTH_OPTIONS(.length = 2, .little = 1, .max = 20)) == 0);
        MUST(skua_reader_init(&reader, fake_io(&fake), room, sizeof room) == 0);
        while ((rc = skua_frame_read(&framing, &reader, &frame, &len)) == 1)
            frames++;
        CHECK_EQ(frames, (cut >= 7) + (cut >= 12));
        CHECK_EQ(rc, cut == 0 || cut == 7 || cut == 12 ? 0 : SKUA_EEOF);
        CHECK_EQ(skua_frame_read(&framing, &reader, &frame, &len), rc); /* and again */
        free(copy);
    }
}

TEST_WAITING(framing_goes_on_after_a_deadline)
{
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t stall = 1; stall < 40; stall++) {
            struct fake whole = {.text = "\5hello a long line\n\5hello\n\3bbba\0\0", .len = 34};
            struct fake fake = whole;
            char room[16], other[16];
            skua_framing one, two;
            skua_reader given_up, straight;
            const char *frame, *wanted;
            size_t len, size;
            int rc, expected;

            fake.stall_at = stall;
            make_kind(&one, kind, 8);
            make_kind(&two, kind, 8);
            MUST(skua_reader_init(&given_up, fake_io(&fake), room, sizeof room) == 0);
            MUST(skua_reader_init(&straight, fake_io(&whole), other, sizeof other) == 0);
            do {
                expected = skua_frame_read(&two, &straight, &wanted, &size);
                skua_reader_set_deadline(&given_up, skua_now() - 1);
                rc = skua_frame_read(&one, &given_up, &frame, &len);
                if (rc == -ETIMEDOUT) {
                    fake.stall_at = 0;
                    rc = skua_frame_read(&one, &given_up, &frame, &len);
                }
                CHECK_EQ(rc, expected);
                if (rc == 1 && expected == 1)
                    CHECK(len == size && memcmp(frame, wanted, len) == 0);
            } while (expected == 1 || (expected == SKUA_ELIMIT && kind < 3));
        }
}

/* ---- any bytes in any pieces ----------------------------------------------------------------- */

/* What a framing makes of bytes: each answer, and each frame; a number of all of it. */
static uint64_t digest(int kind, const char *bytes, size_t count, uint64_t pieces, size_t size)
{
    struct fake fake = {.text = bytes, .len = count, .random = pieces};
    char *room = malloc(size);
    uint64_t sum = 1469598103934665603u;
    skua_framing framing;
    skua_reader reader;
    const char *frame;
    size_t len, total = 0;
    int rc;

    make_kind(&framing, kind, size / 2);
    MUST(skua_reader_init(&reader, fake_io(&fake), room, size) == 0);
    do {
        rc = skua_frame_read(&framing, &reader, &frame, &len);
        sum = (sum ^ (uint64_t)(unsigned)rc) * 1099511628211u;
        for (size_t i = 0; rc == 1 && i < len; i++)
            sum = (sum ^ (unsigned char)frame[i]) * 1099511628211u;
        total += rc == 1 ? len : 0;
        CHECK(rc != 1 || len <= size / 2);
        sum = (sum ^ (rc == 1 ? len : 0)) * 1099511628211u;
    } while (rc == 1 || (rc == SKUA_ELIMIT && kind < 3));
    CHECK(total <= count);
    free(room);
    return sum;
}

TEST(framing_of_any_bytes)
{
    uint64_t random = test_seed();
    int rounds = TEST_COUNT(6000);

    for (int round = 0; round < rounds; round++) {
        int kind = round % KINDS;
        size_t count = test_random(&random) % 200, size = 8 + test_random(&random) % 60;
        char *bytes = malloc(count + 1);
        uint64_t whole;
        bool small = test_random(&random) % 2; /* few different bytes: more frames */

        for (size_t i = 0; i < count; i++)
            bytes[i] = (char)(small ? "\0\1\2\n\ra\5"[test_random(&random) % 7]
                                    : (char)test_random(&random));
        whole = digest(kind, bytes, count, 0, size);
        for (int split = 0; split < 4; split++)
            if (!CHECK(digest(kind, bytes, count, test_random(&random), size) == whole))
                test_note("kind %d, %zu bytes in %zu", kind, count, size);
        free(bytes);
    }
}

TEST(framing_options)
{
    skua_length_options options;
    skua_framing framing;

    skua_length_options_init(&options);
    CHECK_EQ(skua_framing_length_init(&framing, &options), 0);
    options.size--;
    CHECK_EQ(skua_framing_length_init(&framing, &options), -EINVAL);
    CHECK_EQ(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.length = 9)), -EINVAL);
    CHECK_EQ(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.offset = 5000)), -EINVAL);
    CHECK_EQ(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.skip = 5000)), -EINVAL);
    CHECK_EQ(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.little = 2)), -EINVAL);
    CHECK_EQ(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.adjustment = INT64_MIN)),
             -EINVAL);
    CHECK_EQ(skua_framing_length_init(&framing, SKUA_LENGTH_OPTIONS(.max = SIZE_MAX)), -EINVAL);
    CHECK_EQ(skua_framing_lines_init(&framing, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_framing_delimited_init(&framing, ",", 0, 0), -EINVAL);
    CHECK_EQ(skua_framing_delimited_init(&framing, ",", 1, SIZE_MAX), -EINVAL);
    CHECK_EQ(skua_framing_chunks_init(&framing, SIZE_MAX), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_WAITING_ENTRIES(framing_by_length),
        TEST_WAITING_ENTRIES(framing_length_limits),
        TEST_WAITING_ENTRIES(framing_length_and_the_room),
        cmocka_unit_test(framing_default_limit),
        TEST_WAITING_ENTRIES(framing_by_lines),
        TEST_WAITING_ENTRIES(framing_by_delimiters),
        TEST_WAITING_ENTRIES(framing_by_chunks),
        TEST_WAITING_ENTRIES(framing_reads_what_it_writes),
        cmocka_unit_test(framing_refuses_to_write),
        TEST_WAITING_ENTRIES(framing_writes_all_or_nothing),
        TEST_WAITING_ENTRIES(framing_of_a_stream_that_is_cut),
        TEST_WAITING_ENTRIES(framing_goes_on_after_a_deadline),
        cmocka_unit_test(framing_of_any_bytes),
        cmocka_unit_test(framing_options),
    };

    return TEST_MAIN(tests);
}
