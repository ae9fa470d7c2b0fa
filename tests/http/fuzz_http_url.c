/* fuzz_http_url.c - libFuzzer's entry (fuzz_http_url.h): built by clang with SKUA_FUZZ=ON.
 *
 *     fuzz_http_url -max_total_time=600 CORPUS
 */
#include "fuzz_http_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);

    if (text == NULL)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    fuzz_url_one(text);
    free(text);
    return 0;
}
