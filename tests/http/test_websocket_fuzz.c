/* test_websocket_fuzz.c - a second of fuzzing: random frames, mostly good ones, changed here and
 * there.
 *
 * Specifies that a connection's pieces make no difference, whatever the bytes (fuzz_websocket.h,
 * which aborts where they do). The seed is told; TEST_SEED repeats it.
 */
#include "fuzz_websocket.h"

#include "ws_pair.h"

/* A frame that may well be right: most are. */
static size_t fuzz_frame(uint8_t *out, bool mask, bool zip, uint64_t *seed)
{
    static const uint8_t firsts[] = {0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89,
                                     0x8a, 0x81, 0x82, 0xc1, 0xc2, 0x88, 0x41, 0x91};
    static const char hello[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";
    uint64_t r = test_random(seed);
    uint8_t first = firsts[r & 15];
    uint8_t data[300];
    size_t len = (r >> 8 & 7) == 0 ? r >> 16 & 255 : r >> 16 & 15;

    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)(r >> 24 & 7 ? 'a' + (r >> (i & 31)) % 26 : test_random(seed));
    if (zip && (first & 0x40) != 0 && (r >> 40 & 7) != 0) {
        len = sizeof hello - 1;
        memcpy(data, hello, len);
    }
    if (first == 0x88 && (r >> 48 & 3) != 0) {
        data[0] = 0x03;
        data[1] = (uint8_t)(0xe8 + (r >> 56 & 15));
        len = len < 2 ? 2 : len;
    }
    return ws_bytes(out, first, mask, data, len);
}

TEST(websocket_fuzz)
{
    uint64_t seed = test_seed();
    int64_t end = skua_now() + test_stress_time(1);

    while (skua_now() < end) {
        uint8_t bytes[4096];
        uint64_t r = test_random(&seed);
        size_t len = 1;

        bytes[0] = (uint8_t)(r & 0x7f & ~(r >> 8 & r >> 16 & 0x70));
        for (uint64_t frames = 1 + (r >> 32) % 10; frames != 0; frames--)
            len += fuzz_frame(bytes + len, bytes[0] & 1, bytes[0] & 2, &seed);
        for (uint64_t changes = r >> 40 & 3; changes > 1; changes--)
            bytes[test_random(&seed) % len] = (uint8_t)test_random(&seed);
        fuzz_ws_all(bytes, len - ((r >> 44 & 7) == 0 ? (r >> 48) % len : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket_fuzz),
    };

    return TEST_MAIN(tests);
}
