/* fuzz_http2.c - fuzz_http2.h under libFuzzer: cmake -DSKUA_FUZZ=ON, with clang. */
#include "fuzz_http2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz2_one(data, len);
}
