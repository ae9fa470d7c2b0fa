/* watch_text.h - numbers and names in tables for people. */
#ifndef SKUA_WATCH_WATCH_TEXT_H
#define SKUA_WATCH_WATCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define SKUA__WATCH_TIME 12

/* "417 ns", "2.31 ms", "12.1 s", "3.2 h". */
void skua__watch_time(char to[SKUA__WATCH_TIME], int64_t ns);

#define SKUA__WATCH_REAL 352

/* "1.500", in any locale; `digits` behind the point, 0 to 20. The number is finite. */
void skua__watch_real(char to[SKUA__WATCH_REAL], double value, int digits);

/* How long the letter is that begins there; 0: it is not UTF-8. */
size_t skua__watch_utf8(const char *text);

/* A name, cut where it does not fit; controls, which steer terminals, are "?", as is what is not
 * UTF-8. */
void skua__watch_name(char *to, size_t size, const char *name);

#endif
