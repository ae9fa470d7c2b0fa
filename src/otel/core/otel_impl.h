/* otel_impl.h - what all parts of libskua-otel use.
 *
 *   otel_mem.c    memory, which may fail under test
 *   otel_text.c   text that is repaired before it is sent
 *
 * The library stands on the public headers of libskua and libskua-http alone, so it works with the
 * shared ones, too.
 */
#ifndef SKUA_OTEL_CORE_IMPL_H
#define SKUA_OTEL_CORE_IMPL_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <skua/otel/data.h>

/* ---- memory (otel_mem.c) --------------------------------------------------------------------- */

void *skua__otel_malloc(size_t size); /* cleared */
void *skua__otel_raw(size_t size);    /* not cleared */
void *skua__otel_realloc(void *old, size_t size);
void skua__otel_free(void *memory);

/* ---- text (otel_text.c) ---------------------------------------------------------------------- */

/* Bytes at the beginning that are well-formed UTF-8 (RFC 3629). */
size_t skua__otel_utf8(const char *text, size_t len);
/* How long the text is with each byte that is not UTF-8 replaced by U+FFFD. */
size_t skua__otel_repaired(const char *text, size_t len);
/* Writes it so; out has room for that length. */
void skua__otel_repair(char *out, const char *text, size_t len);
/* Whether a pattern fits all of a text: * any characters, ? one. */
bool skua__otel_glob(const char *pattern, const char *text);

/* ---- times ----------------------------------------------------------------------------------- */

/* A time so many ns later, 0 and more: SKUA_FOREVER, where there is none. */
static inline int64_t skua__otel_after(int64_t time, int64_t ns)
{
    return ns < SKUA_FOREVER - time ? time + ns : SKUA_FOREVER;
}

#endif
