/* test_codings.c - coders and decoders, and who takes what.
 *
 * Specifies coding_impl.h: weights as RFC 9110 has them, round trips in pieces of any size, what is
 * flushed, several streams behind each other, codings in a row; what is cut short, changed or too
 * big; and each without memory.
 */
#include "codings.h"

#define LEN ((size_t)100000)

static char text[LEN], wire[2 * LEN], back[LEN + 1];

/* ---- who takes what -------------------------------------------------------------------------- */

TEST(weights)
{
    static const char all[] = "br, zstd, gzip";
    static const struct {
        const char *accept, *wanted; /* NULL: as it is; "": nothing at all */
    } cases[] = {
        {NULL, NULL},
        {"", NULL},
        {"gzip", "gzip"},
        {"GZip", "gzip"},
        {"x-gzip", "gzip"},
        {"gzip, br", "br"},
        {"gzip;q=1.0, br;q=0.5", "gzip"},
        {"gzip ; Q=0.8 , br\t;\tq=0.79", "gzip"},
        {"gzip;q=0", NULL},
        {"gzip;q=0.000, *", "br"},
        {"*", "br"},
        {"*;q=0.1, gzip;q=0.2", "gzip"},
        {"identity, gzip;q=0.9", NULL},
        {"identity;q=0.5, gzip;q=0.5", "gzip"},
        {"identity;q=0, gzip;q=0.001", "gzip"},
        {"identity;q=0", ""},
        {"*;q=0", ""},
        {"*;q=0, identity", NULL},
        {"*;q=0, gzip", "gzip"},
        {"compress, identity;q=0", ""},
        {"gzip;q=2", NULL},
        {"gzip;q=1.001", NULL},
        {"gzip;q=0.1234", NULL},
        {"gzip;q=", NULL},
        {"gzip;level=3", NULL},
        {"gzip;", NULL},
        {"gzip x", NULL},
        {";q=1,,, ,gzip", "gzip"},
        {"gzipp, gzi", NULL},
    };

    for (size_t i = 0; i < TEST_LEN(cases); i++) {
        int chosen = skua__coding_choose(cases[i].accept, all);

        if (!is_there(SKUA__GZIP) || !is_there(SKUA__BROTLI))
            break;
        test_variant(cases[i].accept);
        if (cases[i].wanted == NULL)
            CHECK_EQ(chosen, SKUA__CODING_IDENTITY);
        else if (*cases[i].wanted == '\0')
            CHECK_EQ(chosen, SKUA__CODING_NONE);
        else
            CHECK_EQ(chosen, skua__coding_named(cases[i].wanted, strlen(cases[i].wanted)));
    }
    CHECK_EQ(skua__coding_choose("br, gzip", "gzip, br"), skua__coding_named("gzip", 4));
    CHECK_EQ(skua__coding_choose("br", "gzip"), SKUA__CODING_IDENTITY);
    CHECK_EQ(skua__coding_choose("gzip", ""), SKUA__CODING_IDENTITY);
}

/* ---- there and back -------------------------------------------------------------------------- */

/* In pieces of this size in, out and back. */
static void round_trip(enum skua__coding coding, size_t piece, int window)
{
    struct skua__coder *coder = skua__coding_kind(coding)->coder(level_of(coding), window);
    struct skua__coding_io io = {(const unsigned char *)text, 0, (unsigned char *)wire, 0};
    size_t left = LEN;
    size_t len = 0;
    int wants = SKUA__CODING_INPUT;

    MUST(coder != NULL);
    while (wants != SKUA__CODING_END) {
        if (io.in_len == 0 && wants == SKUA__CODING_INPUT) {
            io.in_len = piece < left ? piece : left;
            left -= io.in_len;
        }
        io.out = (unsigned char *)wire + len;
        io.out_len = piece;
        wants =
            coder->step(coder, &io, left + io.in_len == 0 ? SKUA__CODING_FINISH : SKUA__CODING_RUN);
        MUST(wants >= 0 && len + piece < sizeof wire);
        len += piece - io.out_len;
    }
    coder->free(coder);
    CHECK(len < LEN * 3 / 4);
    memset(back, 0, sizeof back);
    CHECK_EQ(decoded(&coding, 1, (struct coded_source){wire, len, piece}, back, sizeof back, piece),
             LEN);
    CHECK_EQ(memcmp(back, text, LEN), 0);
}

TEST(there_and_back_in_pieces)
{
    static const size_t pieces[] = {1, 7, 4096, LEN};

    text_like(text, LEN);
    for (int coding = 0; coding < SKUA__CODINGS; coding++)
        for (size_t i = 0; i < TEST_LEN(pieces) && is_there(coding); i++)
            round_trip(coding, pieces[i],
                       i % 2 == 0 ? SKUA__CODING_WINDOW_MAX : SKUA__CODING_WINDOW_MIN);
}

/* What was flushed can be decoded, before anything more comes; twice is no more than once. */
TEST(flushed_is_there)
{
    text_like(text, LEN);
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        struct skua__coder *coder;
        struct skua__decoding *decoding;
        struct coded_source source = {wire, 0, 0};
        size_t total = 0;

        if (!is_there(coding))
            continue;
        coder = skua__coding_kind(coding)->coder(level_of(coding), SKUA__CODING_WINDOW_MAX);
        decoding = skua__decoding_new(&coding, 1, coded_source_read, &source);
        MUST(coder != NULL && decoding != NULL);
        for (size_t i = 0; i < 20; i++) {
            struct skua__coding_io io = {(unsigned char *)text + i * 100, 100,
                                         (unsigned char *)wire, sizeof wire};

            CHECK_EQ(coder->step(coder, &io, SKUA__CODING_FLUSH), SKUA__CODING_INPUT);
            CHECK_EQ(coder->step(coder, &io, SKUA__CODING_FLUSH), SKUA__CODING_INPUT);
            source = (struct coded_source){wire, sizeof wire - io.out_len, 0};
            while (total < (i + 1) * 100) {
                ssize_t n = skua__decoding_read(decoding, back + total, sizeof back - total, -1);

                MUST(n > 0);
                total += (size_t)n;
            }
            CHECK_EQ(memcmp(back, text, total), 0);
        }
        coder->free(coder);
        skua__decoding_free(decoding);
    }
}

TEST(streams_behind_each_other)
{
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        bool rows = coding == SKUA__GZIP || coding == SKUA__ZSTD;
        size_t len;

        if (!is_there(coding))
            continue;
        len = coded(coding, "one ", 4, wire, sizeof wire);
        len += coded(coding, "", 0, wire + len, sizeof wire - len);
        len += coded(coding, "two", 3, wire + len, sizeof wire - len);
        for (size_t piece = 0; piece < 2; piece++) {
            ssize_t n = decoded(&coding, 1, (struct coded_source){wire, len, piece}, back,
                                sizeof back, 100);

            CHECK_EQ(n, rows ? 7 : -EBADMSG);
            CHECK(!rows || memcmp(back, "one two", 7) == 0);
        }
        CHECK_EQ(decoded(&coding, 1, (struct coded_source){"", 0, 0}, back, sizeof back, 100), 0);
    }
}

/* deflate without zlib's two bytes. */
TEST(raw_deflate)
{
    enum skua__coding coding = SKUA__DEFLATE;
    size_t len;

    if (!is_there(coding))
        return;
    len = coded(coding, "hello hello hello", 17, wire, sizeof wire);
    CHECK_EQ(decoded(&coding, 1, (struct coded_source){wire + 2, len - 6, 0}, back, sizeof back, 9),
             17);
    CHECK_EQ(memcmp(back, "hello hello hello", 17), 0);
}

TEST(in_a_row)
{
    enum skua__coding done[] = {SKUA__GZIP, SKUA__ZSTD, SKUA__BROTLI};
    static char other[2 * LEN];
    size_t len = LEN;

    if (!is_there(SKUA__GZIP) || !is_there(SKUA__ZSTD) || !is_there(SKUA__BROTLI))
        return;
    text_like(text, LEN);
    len = coded(done[0], text, len, wire, sizeof wire);
    len = coded(done[1], wire, len, other, sizeof other);
    len = coded(done[2], other, len, wire, sizeof wire);
    CHECK_EQ(decoded(done, 3, (struct coded_source){wire, len, 100}, back, sizeof back, 1000), LEN);
    CHECK_EQ(memcmp(back, text, LEN), 0);
}

TEST(content_encodings)
{
    static const struct {
        const char *first, *second;
        int wanted; /* their number, or an error */
    } cases[] = {
        {"gzip", NULL, 1},
        {"identity", NULL, 0},
        {"", NULL, 0},
        {"X-GZIP, gzip", NULL, 2},
        {"gzip", "gzip,,gzip", 3},
        {"gzip", "gzip,gzip,gzip", -ENOTSUP},
        {"gzip, nope", NULL, -ENOTSUP},
        {"gz ip", NULL, -EBADMSG},
        {"gzip;q=1", NULL, -EBADMSG},
    };

    for (size_t i = 0; i < TEST_LEN(cases) && is_there(SKUA__GZIP); i++) {
        struct skua__http_field at[2] = {{"Content-Encoding", cases[i].first, 16, 0},
                                         {"content-encoding", cases[i].second, 16, 0}};
        struct skua__http_fields fields = {at, cases[i].second != NULL ? 2 : 1, 2};
        enum skua__coding codings[SKUA__CODING_ROW];
        size_t count;
        int rc = skua__decoding_codings(&fields, codings, &count);

        test_variant(cases[i].first);
        CHECK_EQ(rc == 0 ? (int)count : rc, cases[i].wanted);
    }
}

/* ---- what is not well ------------------------------------------------------------------------ */

TEST(cut_short_anywhere)
{
    text_like(text, LEN);
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        size_t len;

        if (!is_there(coding))
            continue;
        len = coded(coding, text, 600, wire, sizeof wire);
        for (size_t cut = 1; cut < len; cut++)
            CHECK_EQ(
                decoded(&coding, 1, (struct coded_source){wire, cut, 0}, back, sizeof back, 100),
                -EBADMSG);
    }
}

/* Changed bytes give an error or something else, within the room, and never more than that. */
TEST(changed_anywhere)
{
    uint32_t draw = 1;

    text_like(text, LEN);
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        size_t len, failed = 0;

        if (!is_there(coding))
            continue;
        len = coded(coding, text, 5000, wire, LEN);
        for (int i = 0; i < TEST_COUNT(2000); i++) {
            char *copy = wire + LEN;
            ssize_t n;

            memcpy(copy, wire, len);
            for (int changes = 1 + i % 3; changes != 0; changes--) {
                draw = draw * 1664525 + 1013904223;
                copy[(draw >> 8) % len] ^= (char)(1 << (draw & 7));
            }
            n = decoded(&coding, 1, (struct coded_source){copy, len, 512}, back, sizeof back, 999);
            CHECK(n >= 0 || n == -EBADMSG || n == SKUA_ELIMIT);
            failed += n < 0;
        }
        CHECK(failed != 0);
    }
}

TEST(noise)
{
    uint32_t draw = 3;

    for (int i = 0; i < TEST_COUNT(4000); i++) {
        enum skua__coding coding = (enum skua__coding)(i % SKUA__CODINGS);

        for (size_t k = 0; k < 200; k++) {
            draw = draw * 1664525 + 1013904223;
            wire[k] = (char)(draw >> 24);
        }
        if (is_there(coding))
            (void)decoded(&coding, 1, (struct coded_source){wire, 200, 0}, back, sizeof back, 777);
    }
}

/* A limit is on what a decoder takes in, too: many streams of nothing. */
TEST(nothing_made_of_much)
{
    enum skua__coding coding = SKUA__GZIP;
    struct coded_source source = {wire, 0, 0};
    struct skua__decoding *decoding;

    if (!is_there(coding))
        return;
    while (source.len < LEN)
        source.len += coded(coding, "", 0, wire + source.len, sizeof wire - source.len);
    decoding = skua__decoding_new(&coding, 1, coded_source_read, &source);
    MUST(decoding != NULL);
    CHECK_EQ(skua__decoding_read(decoding, back, sizeof back, 1000), SKUA_ELIMIT);
    CHECK(source.len > LEN / 2);
    skua__decoding_free(decoding);
}

static int counts_turns(void *arg)
{
    int *turns = arg;

    while (skua_yield() == 0)
        ++*turns;
    return 0;
}

static int reads_to_the_end(void *arg)
{
    static char piece[4096];
    ssize_t n;

    while ((n = skua__decoding_read(arg, piece, sizeof piece, -1)) > 0)
        ;
    return (int)n;
}

/* One piece makes much, and nothing is waited for. */
TEST_FIBER_CURRENT(who_reads_much_of_little_lets_others_run_and_can_be_cancelled)
{
    static const enum skua__coding coding = SKUA__GZIP;
    const size_t len = (size_t)4 << 20;
    char *zeros = calloc(1, len), bytes[8000];
    int turns = 0, result = 0;
    struct coded_source source = {.bytes = bytes};

    MUST(zeros != NULL);
    if (is_there(coding))
        source.len = coded(coding, zeros, len, bytes, sizeof bytes);
    for (int cancel = 0; cancel < 2 && is_there(coding); cancel++) {
        struct coded_source copy = source;
        struct skua__decoding *decoding = skua__decoding_new(&coding, 1, coded_source_read, &copy);
        skua_task *reader, *other;

        MUST(decoding != NULL);
        turns = 0;
        MUST(skua_spawn(NULL, counts_turns, &turns, .task = &other) == 0);
        MUST(skua_spawn(NULL, reads_to_the_end, decoding, .task = &reader) == 0);
        if (cancel) {
            CHECK_EQ(skua_yield(), 0);
            (void)skua_task_cancel(reader);
        }
        CHECK_EQ(skua_task_join(reader, &result), 0);
        CHECK_EQ(result, cancel ? -ECANCELED : 0);
        CHECK(turns > (cancel ? 0 : 2));
        (void)skua_task_cancel(other);
        (void)skua_task_join(other, NULL);
        skua__decoding_free(decoding);
    }
    free(zeros);
    return 0;
}

#ifdef SKUA_FAULTS
TEST(without_memory)
{
    text_like(text, LEN);
    for (enum skua__coding coding = 0; coding < SKUA__CODINGS; coding++) {
        struct skua__coding_io io;
        struct skua__coder *coder = NULL;
        size_t len;
        ssize_t n = 0;

        if (!is_there(coding))
            continue;
        len = coded(coding, text, LEN, wire, sizeof wire);
        for (unsigned fault = 1; n != (ssize_t)LEN; fault++) {
            MUST(fault < 100);
            skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
            n = decoded(&coding, 1, (struct coded_source){wire, len, 0}, back, sizeof back, LEN);
            skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
            CHECK(n == (ssize_t)LEN || n == -ENOMEM);
            CHECK(fault != 1 || n == -ENOMEM);
        }
        for (unsigned fault = 1; coder == NULL; fault++) {
            int rc = 0;

            MUST(fault < 100);
            skua__fault_arm(SKUA__FAULT_MALLOC, fault, 1, ENOMEM);
            coder = skua__coding_kind(coding)->coder(level_of(coding), SKUA__CODING_WINDOW_MAX);
            io = (struct skua__coding_io){(unsigned char *)text, LEN, (unsigned char *)wire,
                                          sizeof wire};
            if (coder != NULL)
                rc = coder->step(coder, &io, SKUA__CODING_FINISH);
            skua__fault_arm(SKUA__FAULT_MALLOC, 0, 0, 0);
            if (rc >= 0)
                continue;
            CHECK_EQ(rc, -ENOMEM);
            coder->free(coder);
            coder = NULL;
        }
        coder->free(coder);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights),
        cmocka_unit_test(there_and_back_in_pieces),
        cmocka_unit_test(flushed_is_there),
        cmocka_unit_test(streams_behind_each_other),
        cmocka_unit_test(raw_deflate),
        cmocka_unit_test(in_a_row),
        cmocka_unit_test(content_encodings),
        cmocka_unit_test(cut_short_anywhere),
        cmocka_unit_test(changed_anywhere),
        cmocka_unit_test(noise),
        cmocka_unit_test(nothing_made_of_much),
        cmocka_unit_test(who_reads_much_of_little_lets_others_run_and_can_be_cancelled),
#ifdef SKUA_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return TEST_MAIN(tests);
}
