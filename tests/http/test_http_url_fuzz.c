/* test_http_url_fuzz.c - URLs and references out of random pieces: fuzz_http_url.h says what must
 * hold, and aborts where it does not. The seed is told; TEST_SEED repeats it.
 */
#include "fuzz_http_url.h"

#include "../lib/harness.h"

static const char *const pieces[] = {"http",
                                     "https",
                                     "ftp",
                                     "HTTP",
                                     ":",
                                     "//",
                                     "/",
                                     "?",
                                     "#",
                                     "@",
                                     "\\",
                                     "a.test",
                                     "A.Test",
                                     "[::1]",
                                     "[fe80::1%25eth0]",
                                     "[",
                                     "]",
                                     "127.0.0.1",
                                     ":80",
                                     ":443",
                                     ":0",
                                     ":65536",
                                     ":99999999999",
                                     "..",
                                     ".",
                                     "/../",
                                     "/./",
                                     "/.",
                                     "%2e%2e",
                                     "%00",
                                     "%zz",
                                     "%",
                                     "q=1&r=2",
                                     ";p",
                                     " ",
                                     "\t",
                                     "\r\n",
                                     "\x7f",
                                     "\xc3\xa4",
                                     "\xff",
                                     "user:pw@",
                                     "-",
                                     "_",
                                     "x",
                                     "",
                                     "*",
                                     "a:b"};

TEST(urls_of_random_pieces)
{
    uint64_t seed = test_seed();

    for (int i = 0; i < TEST_COUNT(200000); i++) {
        char text[512] = "";
        size_t len = 0;

        for (uint64_t n = test_random(&seed) % 9; n > 0; n--) {
            const char *piece = pieces[test_random(&seed) % TEST_LEN(pieces)];

            memcpy(text + len, piece, strlen(piece) + 1);
            len += strlen(piece);
        }
        if (len != 0 && test_random(&seed) % 8 == 0)
            text[test_random(&seed) % len] = (char)test_random(&seed);
        fuzz_url_one(text);
    }
}

/* Long ones, and ones that are nothing but dots. */
TEST(urls_that_are_long)
{
    static char text[1 << 17];

    memcpy(text, "http://a.test/", 15);
    memset(text + 14, '.', sizeof text - 15);
    fuzz_url_one(text);
    for (size_t i = 14; i < sizeof text - 1; i++)
        text[i] = i % 3 == 0 ? '/' : '.';
    fuzz_url_one(text);
    fuzz_url_one(text + 13);
    memset(text + 7, 'a', sizeof text - 8);
    fuzz_url_one(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_of_random_pieces),
        cmocka_unit_test(urls_that_are_long),
    };

    return TEST_MAIN(tests);
}
