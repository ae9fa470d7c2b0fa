/* fuzz_drive.c - a fuzzer for half a second, without libFuzzer: its seeds, and random changes.
 *
 * The seed is told; TEST_SEED repeats it. A file that libFuzzer has left behind is tried by naming
 * it: fuzz_yaml crash-123.
 */
#include <stdio.h>

#include "fuzz.h"

#include "../lib/harness.h"

#define DRIVE_MAX 4096

static size_t drive_words(void)
{
    size_t count = 0;

    while (fuzz_words[count] != NULL)
        count++;
    return count;
}

static size_t drive_seeds(void)
{
    size_t count = 0;

    while (fuzz_seeds[count].bytes != NULL)
        count++;
    return count;
}

/* Out of memory that ends with the bytes. */
static void drive_one(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len != 0 ? len : 1);

    MUST(copy != NULL);
    memcpy(copy, bytes, len);
    CHECK_EQ(LLVMFuzzerTestOneInput(copy, len), 0);
    free(copy);
}

static size_t drive_insert(uint8_t *data, size_t len, size_t at, const void *piece, size_t size)
{
    if (len + size > DRIVE_MAX)
        return len;
    memmove(data + at + size, data + at, len - at);
    memcpy(data + at, piece, size);
    return len + size;
}

/* Changes, cuts, doubles and inserts, a few times. */
static size_t drive_change(uint8_t *data, size_t len, uint64_t *random)
{
    size_t words = drive_words();

    for (uint64_t times = test_random(random) % 4; times != 0 && len != 0; times--) {
        size_t at = test_random(random) % len, size = test_random(random) % (len - at) + 1;
        uint8_t piece[DRIVE_MAX];
        const char *word;

        switch (test_random(random) % 8) {
        case 0:
        case 1:
            data[at] = (uint8_t)test_random(random);
            break;
        case 2:
            data[at] ^= (uint8_t)(1u << test_random(random) % 8);
            break;
        case 3: /* without some */
            memmove(data + at, data + at + size, len - at - size);
            len -= size;
            break;
        case 4: /* twice */
            memcpy(piece, data + at, size);
            len = drive_insert(data, len, test_random(random) % len, piece, size);
            break;
        default:
            word = words != 0 ? fuzz_words[test_random(random) % words] : "\xff";
            len = drive_insert(data, len, at, word, strlen(word));
        }
    }
    return len;
}

TEST(seeds_are_read)
{
    for (size_t i = 0; i < drive_seeds(); i++)
        drive_one((const uint8_t *)fuzz_seeds[i].bytes, fuzz_seeds[i].len);
    drive_one((const uint8_t *)"", 0);
}

TEST(any_bytes_are_survived)
{
    uint64_t random = test_seed();
    int64_t end = skua_now() + SKUA_SECOND / 2;
    size_t seeds = drive_seeds();

    do {
        const struct fuzz_seed *seed = &fuzz_seeds[test_random(&random) % seeds];
        uint8_t data[DRIVE_MAX];
        size_t len = seed->len;

        memcpy(data, seed->bytes, len);
        if (test_random(&random) % 4 == 0) { /* with the end of another one */
            const struct fuzz_seed *other = &fuzz_seeds[test_random(&random) % seeds];
            size_t from = test_random(&random) % (other->len + 1);

            len = drive_insert(data, len, len, other->bytes + from, other->len - from);
        }
        drive_one(data, drive_change(data, len, &random));
    } while (skua_now() < end);
}

static int drive_file(const char *path)
{
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t len = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;

    if (file == NULL || fclose(file) != 0)
        return 1;
    return LLVMFuzzerTestOneInput(bytes, len);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds_are_read),
                                       cmocka_unit_test(any_bytes_are_survived)};

    for (int i = 1; i < argc; i++)
        if (drive_file(argv[i]) != 0)
            return 1;
    return argc > 1 ? 0 : TEST_MAIN(tests);
}
