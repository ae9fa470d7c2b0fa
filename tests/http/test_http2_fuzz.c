/* test_http2_fuzz.c - a second of fuzzing: sequences of frames, with random changes.
 *
 * Specifies that no bytes break a connection's core (fuzz_http2.h, which aborts where they do). The
 * seed is told; SKUA_FUZZ_SEED repeats it.
 */
#include "fuzz_http2.h"

#include "../lib/harness.h"

static uint64_t fuzz_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct seed {
    const char *payload;
    uint8_t len, type, flags, stream;
};

#define SEED(payload, type, flags, stream)                                                         \
    {                                                                                              \
        payload, sizeof(payload) - 1, type, flags, stream                                          \
    }

static const struct seed seeds[] = {
    SEED("", 4, 0, 0),
    SEED("", 4, 1, 0),
    SEED("\0\4\0\0\0\2", 4, 0, 0),
    SEED("\0\1\0\0\0\0\0\3\0\0\0\2", 4, 0, 0),
    SEED("\203\206\204\101\1a", 1, 5, 1),
    SEED("\203\206\204\101\1a", 1, 4, 1),
    SEED("\203\206\204\101\1a", 1, 4, 3),
    SEED("\203\206\204\101\1a\0\1x\1y", 1, 0, 3),
    SEED("\210\0\1x\1y", 1, 4, 1),
    SEED("\210", 1, 5, 3),
    SEED("\0\1a\1b", 9, 4, 3),
    SEED("\0\1t\1b", 1, 5, 1),
    SEED("body of some bytes", 0, 0, 1),
    SEED("body of some bytes", 0, 1, 1),
    SEED("\3body and its padding", 0, 9, 3),
    SEED("\0\0\0\7", 3, 0, 1),
    SEED("\0\0\0\10", 3, 0, 3),
    SEED("\0\0\1\0", 8, 0, 0),
    SEED("\0\0\1\0", 8, 0, 1),
    SEED("\0\0\0\5\0\0\0\0", 7, 0, 0),
    SEED("12345678", 6, 0, 0),
    SEED("12345678", 6, 1, 0),
    SEED("\0\0\0\0\17", 2, 0, 5),
    SEED("\0\0\0\2\202", 5, 4, 1),
};

static size_t frame_of(uint8_t *at, const struct seed *seed, uint64_t random)
{
    const uint8_t head[9] = {
        0,          0,           seed->len,
        seed->type, seed->flags, 0,
        0,          0,           (uint8_t)(seed->stream != 0 ? seed->stream + random % 4 * 2 : 0)};

    memcpy(at, head, 9);
    memcpy(at + 9, seed->payload, seed->len);
    return 9 + (size_t)seed->len;
}

TEST(http2_fuzz_for_a_second)
{
    const char *given = getenv("SKUA_FUZZ_SEED");
    uint64_t state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)skua_now() | 1;
    int64_t end = skua_now() + SKUA_SECOND;
    static uint8_t data[8192];
    uint64_t rounds = 0;

    test_note("SKUA_FUZZ_SEED=%llu", (unsigned long long)state);
    for (; skua_now() < end; rounds++) {
        size_t len = 1;

        data[0] = (uint8_t)fuzz_random(&state);
        for (uint64_t frames = fuzz_random(&state) % 30; frames != 0; frames--)
            len += frame_of(data + len, &seeds[fuzz_random(&state) % TEST_LEN(seeds)],
                            fuzz_random(&state));
        for (uint64_t changes = fuzz_random(&state) % 4; changes != 0; changes--)
            data[fuzz_random(&state) % len] = (uint8_t)fuzz_random(&state);
        (void)fuzz2_one(data, len);
    }
    CHECK(rounds > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(http2_fuzz_for_a_second)};

    return TEST_MAIN(tests);
}
