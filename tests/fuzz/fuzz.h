/* fuzz.h - what a fuzzer is here: one function, seeds, and words.
 *
 *     fuzz_NAME.c    takes any bytes, and aborts where something does not hold of them
 *     fuzz_drive.c   a short run of it that needs no libFuzzer: a test (ctest -R fuzz_)
 *     fuzz_seeds.c   with libFuzzer, clang and SKUA_FUZZ=ON: as long as one likes, by coverage
 *
 *     cmake -S . -B FOLDER -DCMAKE_C_COMPILER=clang -DSKUA_FUZZ=ON -DSKUA_AMALGAMATED=OFF
 *           -DSKUA_SANITIZE="address;undefined"
 *     FOLDER/tests/fuzz_yaml --seeds CORPUS
 *     FOLDER/tests/fuzz_yaml -dict=CORPUS/words -max_total_time=600 CORPUS
 */
#ifndef SKUA_TESTS_FUZZ_H
#define SKUA_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct fuzz_seed {
    const char *bytes;
    size_t len;
};

#define FUZZ_SEED(literal)                                                                         \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/* Of each fuzzer: where it begins, up to one without bytes; what is put in between, up to NULL. */
extern const struct fuzz_seed fuzz_seeds[];
extern const char *const fuzz_words[];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static inline void fuzz_must(bool holds)
{
    if (!holds)
        abort();
}

/* Bytes as text with a NUL, in memory that ends with it; to be freed. */
static inline char *fuzz_text(const void *bytes, size_t len)
{
    char *text = malloc(len + 1);

    fuzz_must(text != NULL);
    memcpy(text, bytes, len);
    text[len] = '\0';
    return text;
}

#endif
