/* str.h - strings that are never changed, only shared.
 *
 * A value is read by a reply that is still on its way to a slow client while another client
 * overwrites the key. So a string's bytes are constant from its making to its last unref: the key
 * lets go of one and takes another, and nobody ever copies 64 MiB under a lock.
 */
#ifndef MINI_REDIS_STR_H
#define MINI_REDIS_STR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    _Atomic uint32_t refs;
    size_t len;
    char bytes[]; /* len of them, constant; no closing zero */
};

/* Makes a string of a copy of `len` bytes, with one reference. */
struct str *str_new(const void *bytes, size_t len);
/* Makes a string whose bytes the caller fills in before anybody else sees it. */
struct str *str_new_raw(size_t len);
/* The decimal digits of a number. */
struct str *str_of_integer(int64_t number);

struct str *str_ref(struct str *str);
/* Gives back a reference; NULL does nothing. */
void str_unref(struct str *str);

bool str_equals(const struct str *str, const char *bytes, size_t len);

/* Reads a whole number as the protocol means it: no spaces, no '+', no leading zeros. Returns
 * false, and leaves *number alone, when it is none or does not fit. */
bool integer_parse(const char *bytes, size_t len, int64_t *number);

#endif
