/* check.h - assertions of the library.
 *
 * skua__assert stays in release builds: it guards what would corrupt memory or lose a task, and
 * costs one predicted branch. skua__assert_slow is for debug builds: whole-structure checks and
 * wrong use that the release build answers with an error code.
 */
#ifndef SKUA_BASE_CHECK_H
#define SKUA_BASE_CHECK_H

#include "base/defs.h"

/* Prints `file:line: function: message` on standard error and aborts. */
SKUA__COLD _Noreturn void skua__panic(const char *file, int line, const char *func,
                                      const char *message);

#define skua__assert(cond)                                                                         \
    (skua__likely(cond) ? (void)0 : skua__panic(__FILE__, __LINE__, __func__, #cond))

#ifdef NDEBUG
#define skua__assert_slow(cond) ((void)0)
#else
#define skua__assert_slow(cond) skua__assert(cond)
#endif

#endif
