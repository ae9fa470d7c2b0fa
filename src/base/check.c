/* check.c - how the library dies when an assertion fails.
 *
 * One line on standard error, then abort: a broken invariant is never carried on with. Nothing
 * else in the library prints on its own account but what a header says it prints.
 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void skua__panic(const char *file, int line, const char *func, const char *message)
{
    fprintf(stderr, "skua: %s:%d: %s: assertion failed: %s\n", file, line, func, message);
    fflush(stderr);
    abort();
}
