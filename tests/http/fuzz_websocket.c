/* fuzz_websocket.c - libFuzzer's entry (fuzz_websocket.h): built by clang with SKUA_FUZZ=ON.
 *
 *     fuzz_websocket -max_total_time=600 CORPUS
 */
#include "fuzz_websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_ws_all(data, len);
    return 0;
}
