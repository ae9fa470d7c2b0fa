/* watch_text.h - numbers and names in tables for people. */
#ifndef SKUA_WATCH_WATCH_TEXT_H
#define SKUA_WATCH_WATCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define SKUA__WATCH_TIME 12

/* "417 ns", "2.31 ms", "12.1 s", "3.2 h". */
void skua__watch_time(char to[SKUA__WATCH_TIME], int64_t ns);

/* A name, cut where it does not fit; controls, which steer terminals, are "?". */
void skua__watch_name(char *to, size_t size, const char *name);

#endif
