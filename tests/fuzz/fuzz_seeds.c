/* fuzz_seeds.c - a fuzzer's seeds and words as files, for libFuzzer: --seeds FOLDER.
 */
#include <stdio.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

static FILE *seeds_open(const char *folder, const char *name)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    fuzz_must(file != NULL);
    return file;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    FILE *file;

    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0)
        return 0;
    for (size_t i = 0; fuzz_seeds[i].bytes != NULL; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "seed-%03zu", i);
        file = seeds_open((*argv)[2], name);
        fuzz_must(fwrite(fuzz_seeds[i].bytes, 1, fuzz_seeds[i].len, file) == fuzz_seeds[i].len);
        fuzz_must(fclose(file) == 0);
    }
    file = seeds_open((*argv)[2], "words");
    for (size_t i = 0; fuzz_words[i] != NULL; i++) {
        (void)fputc('"', file);
        for (const char *at = fuzz_words[i]; *at != '\0'; at++)
            (void)fprintf(file, "\\x%02x", (unsigned char)*at);
        (void)fputs("\"\n", file);
    }
    fuzz_must(fclose(file) == 0);
    exit(0);
}
