/* otel_mem.c - memory: the C library's, with a point where it fails under test.
 */
#include <stdlib.h>

#include "otel/core/otel_impl.h"

#ifdef SKUA_FAULTS
#include "os/os.h"
#endif

static bool omem_fails(void)
{
#ifdef SKUA_FAULTS
    return skua__fault_hit(SKUA__FAULT_MALLOC) != 0;
#else
    return false;
#endif
}

void *skua__otel_malloc(size_t size)
{
    return omem_fails() ? NULL : calloc(1, size);
}

void *skua__otel_raw(size_t size)
{
    return omem_fails() ? NULL : malloc(size);
}

void *skua__otel_realloc(void *old, size_t size)
{
    return omem_fails() ? NULL : realloc(old, size);
}

void skua__otel_free(void *memory)
{
    free(memory);
}
