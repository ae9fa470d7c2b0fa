/* notes_impl.h - what is noted on spans and log records, until it is read.
 *
 *   notes_write.c    attributes, events, links, in one run of bytes
 *   notes_read.c     the bytes, as data.h has them
 *
 * Who notes something pays for a copy of it, once; who reads pays for the rest, on telemetry's own
 * thread. Notes have no pointers but those at keys that are literals: they are copied as they are,
 * into a ring, and out of it.
 */
#ifndef SKUA_OTEL_NOTES_IMPL_H
#define SKUA_OTEL_NOTES_IMPL_H

#include <skua/trace.h>

#include "otel/core/otel_impl.h"

/* ---- limits ---------------------------------------------------------------------------------- */

/* Of spans, or of log records. */
struct skua__otel_limits {
    uint32_t attrs, events, links; /* how many */
    uint32_t event_attrs, link_attrs;
    uint32_t value_len; /* characters of text and of each text of an array, bytes of
                           bytes; UINT32_MAX: any */
};

/* ---- notes (notes_write.c) ------------------------------------------------------------------- */

enum { SKUA__NOTE_ATTR, SKUA__NOTE_EVENT, SKUA__NOTE_LINK };

/* Each note is this, and then its bytes, rounded up to 8.
 *   ATTR    the key, a pointer when it is static, else its bytes and a NUL; then the value: numbers
 *           as they are, text as bytes, arrays as elements, texts of arrays each with its length
 *           (u32) before it; of LIST and MAP: notes
 *   EVENT   ticks or time (u64), the name's bytes and a NUL; then `count` notes
 *   LINK    trace id, span id, flags, remote, the trace state's bytes and a NUL; then `count` notes
 */
struct skua__note {
    uint32_t size; /* with this header, a multiple of 8 */
    uint8_t what;
    uint8_t type;  /* ATTR: skua_attr_type; EVENT: 1: the time is ns since 1970 */
    uint8_t flags; /* ATTR: of the attribute */
    uint8_t zero;
    uint16_t name_len; /* of the key, the name, the trace state */
    uint16_t dropped;  /* EVENT, LINK: attributes beyond the limit */
    uint32_t count;    /* ATTR: as skua_attr's; else attributes */
};

struct skua__notes {
    char *bytes;
    uint32_t len, room;
    uint32_t attrs, events, links; /* that are noted; attributes of the span itself */
    uint32_t attrs_over, events_over, links_over; /* dropped by limits */
    bool own;                                     /* bytes are memory of their own */
    bool no_memory;                               /* something was left out */
};

/* Attributes of the span itself; those whose key is there take its place when the notes are read:
 * the last one counts. */
void skua__notes_attrs(struct skua__notes *notes, const struct skua__otel_limits *limits,
                       const skua_attr *attrs, size_t count);
void skua__notes_event(struct skua__notes *notes, const struct skua__otel_limits *limits,
                       const char *name, uint64_t time, bool wall, const skua_attr *attrs,
                       size_t count);
void skua__notes_link(struct skua__notes *notes, const struct skua__otel_limits *limits,
                      const skua_span_context *context, const skua_attr *attrs, size_t count);
/* One value behind the others, counted by nobody; its key may be "". False: no room. */
bool skua__notes_value(struct skua__notes *notes, const skua_attr *attr);
void skua__notes_free(struct skua__notes *notes);
/* Takes out attributes whose key comes again. How many are left. */
uint32_t skua__notes_tidy(struct skua__notes *notes);

/* ---- reading (notes_read.c) ------------------------------------------------------------------ */

/* Memory that was measured before, cut off piece by piece. */
struct skua__notes_room {
    char *at;
};

/* Bytes that reading `len` bytes of notes needs at most: a note has 16 bytes and 8 of its key, or
 * more; a skua_attr 32, an event 48, a link 64; texts of arrays 4 each, and a pointer of 8 instead,
 * with a NUL. All are rounded up to 8. */
static inline size_t skua__notes_room(size_t len)
{
    return len * 6;
}

void *skua__notes_cut(struct skua__notes_room *room, size_t size);
/* A copy with a NUL. */
skua_otel_text skua__notes_text(struct skua__notes_room *room, const char *text, size_t len);
static inline const struct skua__note *skua__note_at(const char *at)
{
    return (const struct skua__note *)(const void *)at;
}
/* The attribute of the note at `at`. Returns where the next one is. */
const char *skua__notes_attr(struct skua__notes_room *room, const char *at, skua_attr *ret);
/* `count` attributes from `at` on. */
skua_otel_attrs skua__notes_read(struct skua__notes_room *room, const char *at, uint32_t count,
                                 uint32_t dropped);
/* Of several with a key the last one counts, in the first one's place. How many are left. */
uint32_t skua__notes_distinct(skua_attr *attrs, uint32_t count);

#endif
