/* test_http_fuzz.c - a second of fuzzing: the corpus, pairs of it, and random changes of both.
 *
 * Specifies that a connection's pieces make no difference, whatever the bytes (fuzz_http_request.h,
 * which aborts where they do). The seed is told; SKUA_FUZZ_SEED repeats it.
 */
#include "corpus.h"
#include "fuzz_http_request.h"

#include "../lib/harness.h"

static uint64_t fuzz_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Changes, cuts, doubles and inserts, a few times. */
static size_t mutate(uint8_t *data, size_t len, size_t room, uint64_t *state)
{
    static const char *const words[] = {"\r\n",
                                        "\r",
                                        "\n",
                                        ":",
                                        " ",
                                        "\t",
                                        "0",
                                        "ff",
                                        "\r\n\r\n",
                                        "HTTP/1.1",
                                        "Content-Length: 3\r\n",
                                        "Transfer-Encoding: chunked\r\n"};

    for (uint64_t times = fuzz_random(state) % 4 + 1; times != 0 && len != 0; times--) {
        size_t at = fuzz_random(state) % len;
        const char *word = words[fuzz_random(state) % TEST_LEN(words)];

        switch (fuzz_random(state) % 4) {
        case 0:
            data[at] = (uint8_t)fuzz_random(state);
            break;
        case 1:
            memmove(data + at, data + at + 1, len - at - 1);
            len--;
            break;
        default:
            if (len + strlen(word) > room)
                break;
            memmove(data + at + strlen(word), data + at, len - at);
            memcpy(data + at, word, strlen(word));
            len += strlen(word);
        }
    }
    return len;
}

TEST(http_fuzz_seeds)
{
    for (size_t i = 0; i < TEST_LEN(corpus); i++)
        fuzz_one((const uint8_t *)corpus[i].text, strlen(corpus[i].text));
    fuzz_one(NULL, 0);
}

TEST(http_fuzz_for_a_second)
{
    const char *given = getenv("SKUA_FUZZ_SEED");
    uint64_t state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)skua_now() | 1;
    int64_t end = skua_now() + SKUA_SECOND;
    uint8_t data[8192];
    uint64_t rounds = 0;

    test_note("SKUA_FUZZ_SEED=%llu", (unsigned long long)state);
    for (; skua_now() < end; rounds++) {
        size_t len = 0;

        for (uint64_t parts = fuzz_random(&state) % 3 + 1; parts != 0; parts--) {
            const char *text = corpus[fuzz_random(&state) % TEST_LEN(corpus)].text;

            memcpy(data + len, text, strlen(text));
            len += strlen(text);
        }
        fuzz_one(data, mutate(data, len, sizeof data, &state));
    }
    CHECK_RANGE(rounds, 10, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_fuzz_seeds),
        cmocka_unit_test(http_fuzz_for_a_second),
    };

    return TEST_MAIN(tests);
}
