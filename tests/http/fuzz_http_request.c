/* fuzz_http_request.c - libFuzzer's entry (fuzz_http_request.h): built by clang with SKUA_FUZZ=ON.
 *
 *     fuzz_http_request -max_total_time=600 -dict=http.dict CORPUS
 *
 * Without a corpus it begins with the requests of corpus.h: fuzz_http_request --seeds CORPUS writes
 * them there.
 */
#include <stdio.h>

#include "corpus.h"
#include "fuzz_http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_one(data, len);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0)
        return 0;
    for (size_t i = 0; i < sizeof corpus / sizeof corpus[0]; i++) {
        char path[4096];
        FILE *file;

        (void)snprintf(path, sizeof path, "%s/seed-%03zu", (*argv)[2], i);
        file = fopen(path, "w");
        if (file == NULL || fputs(corpus[i].text, file) < 0 || fclose(file) != 0)
            exit(1);
    }
    exit(0);
}
