/* propagation_impl.h - what the files of propagation share.
 */
#ifndef SKUA_TELEMETRY_PROPAGATION_IMPL_H
#define SKUA_TELEMETRY_PROPAGATION_IMPL_H

#include <skua/propagation.h>

#include "os/os.h"
#include "task/task_impl.h"

/* Entries stand in front of their text, in one block. */
struct skua_baggage {
    _Atomic uint32_t refs;
    uint32_t count; /* at most SKUA_BAGGAGE_MAX */
    size_t bytes;   /* of text, without the NULs; at most SKUA_BAGGAGE_BYTES */
    skua_baggage_entry entries[];
};

/* What the caller's context has; NULL: nothing. Borrowed. */
const skua_baggage *skua__baggage_current(void);
uint8_t skua__baggage_debug(void);
/* A link in front of the caller's context. */
int skua__baggage_enter(void **ret_link, const skua_baggage *baggage, uint8_t debug);
int skua__baggage_leave(void **link);
void skua__baggage_unref(const skua_baggage *baggage);
skua_baggage *skua__baggage_ref(const skua_baggage *baggage);

extern const skua_propagator skua__propagator_w3c, skua__propagator_baggage, skua__propagator_b3,
    skua__propagator_b3multi, skua__propagator_jaeger;

/* The value of a hexadecimal digit; -1: it is none. */
static inline int skua__hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* `len` digits into `size` bytes, as if zeros stood before them. */
bool skua__hex_read(const char *text, size_t len, uint8_t *bytes, size_t size);
void skua__hex_write(char *text, const uint8_t *bytes, size_t size);

/* The first field of a name without the space around it; NULL: there is none. */
const char *skua__carrier_first(const skua_carrier *carrier, const char *name, size_t *ret_len);
/* Whether it is a token of HTTP: what names of entries that travel are. */
bool skua__bag_token(const char *text, size_t len);
/* Decodes %xx into `out`, which has room for 3 * len + 1 bytes: UTF-8, repaired, with a NUL. */
void skua__bag_decode(const char *text, size_t len, char *out);
/* Cuts space and tabs at both ends. */
const char *skua__trimmed(const char *text, size_t *len);

#endif
