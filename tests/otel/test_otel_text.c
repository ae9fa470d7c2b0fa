/* test_otel_text.c - text that is not UTF-8 is repaired, byte by byte.
 *
 * The judge is a decoder of another make: a table of the well-formed sequences, as the Unicode
 * standard prints it (3-7), gone through row by row.
 */
#include "otel/core/otel_impl.h"

#include "../lib/harness.h"

static const struct {
    unsigned char from[4], to[4];
    size_t len;
} rows[] = {{{0x00}, {0x7f}, 1},
            {{0xc2, 0x80}, {0xdf, 0xbf}, 2},
            {{0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}, 3},
            {{0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}, 3},
            {{0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}, 3},
            {{0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}, 3},
            {{0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}, 4},
            {{0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}, 4},
            {{0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}, 4}};

/* The length of the well-formed sequence at the front; 0: there is none. */
static size_t judge_char(const unsigned char *text, size_t len)
{
    for (size_t row = 0; row < TEST_LEN(rows); row++) {
        size_t fit = 0;

        while (fit < rows[row].len && fit < len && text[fit] >= rows[row].from[fit] &&
               text[fit] <= rows[row].to[fit])
            fit++;
        if (fit == rows[row].len)
            return fit;
    }
    return 0;
}

static size_t judge_repair(unsigned char *out, const unsigned char *text, size_t len)
{
    size_t size = 0;

    for (size_t pos = 0, one; pos < len; pos += one != 0 ? one : 1) {
        one = judge_char(text + pos, len - pos);
        memcpy(out + size, one != 0 ? text + pos : (const unsigned char *)"\xef\xbf\xbd",
               one != 0 ? one : 3);
        size += one != 0 ? one : 3;
    }
    return size;
}

static void check(const unsigned char *text, size_t len)
{
    unsigned char wanted[512], got[512];
    size_t size = judge_repair(wanted, text, len);
    size_t good = skua__otel_utf8((const char *)text, len), judged = 0, one;

    while (judged < len && (one = judge_char(text + judged, len - judged)) != 0)
        judged += one;
    MUST(len * 3 <= sizeof got);
    if (!CHECK_EQ(good, judged) || !CHECK_EQ(skua__otel_repaired((const char *)text, len), size))
        return;
    memset(got, 0xaa, sizeof got);
    skua__otel_repair((char *)got, (const char *)text, len);
    CHECK(memcmp(got, wanted, size) == 0);
    CHECK(size == sizeof got || got[size] == 0xaa);
}

/* All pairs, and all sequences of three and four of bytes at the borders of the table. */
TEST(all_short_sequences)
{
    static const unsigned char border[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                           0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                           0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { N = sizeof border };
    unsigned char text[4] = {0};

    check(text, 0);
    for (unsigned i = 0; i < 65536; i++) {
        text[0] = (unsigned char)(i >> 8);
        text[1] = (unsigned char)i;
        check(text, 2);
    }
    for (unsigned i = 0; i < N * N * N * N; i += TEST_SANITIZED ? 7 : 1) {
        for (unsigned j = 0, rest = i; j < 4; j++, rest /= N)
            text[j] = border[rest % N];
        check(text, 4);
        check(text, 3);
    }
}

/* Every character, and its neighbours among those that are none. */
TEST(random_text_of_any_length)
{
    uint64_t seed = test_seed();
    unsigned rounds = TEST_COUNT(200000);
    unsigned char text[64];

    for (unsigned i = 0; i < rounds; i++) {
        size_t len = test_random(&seed) % sizeof text, ascii = test_random(&seed) % 4;

        for (size_t j = 0; j < len; j++) {
            uint64_t random = test_random(&seed);

            text[j] = (unsigned char)(random >> 8);
            if (random % 4 < ascii)
                text[j] &= 0x7f;
        }
        check(text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_short_sequences),
        cmocka_unit_test(random_text_of_any_length),
    };

    return TEST_MAIN(tests);
}
