/* notes_write.c - what is noted on a span or a log record, in one run of bytes.
 *
 * Notes are appended only. An attribute that is set again stands behind the old one, and wins when
 * the notes are read; when there are as many as the limit allows, those that were replaced are
 * taken out, and only what is too many then is dropped.
 *
 * Values are copied as they are; text is cut to the limit, never inside of a character.
 */
#include "otel/notes/notes_impl.h"

#define NOTES_HEADER ((uint32_t)sizeof(struct skua__note))
/* Attributes inside attributes; deeper ones are left out. */
#define NOTES_DEPTH 32
/* Bytes of a span's notes at most: a ring must have room for the record. */
#define NOTES_MAX (128u * 1024)

/* ---- room ------------------------------------------------------------------------------------ */

void skua__notes_free(struct skua__notes *notes)
{
    if (notes->own)
        skua__otel_free(notes->bytes);
    notes->own = false;
    notes->bytes = NULL;
    notes->len = notes->room = 0;
}

static bool notes_grow(struct skua__notes *notes, uint32_t size)
{
    uint32_t room = notes->room < 256 ? 512 : notes->room * 2;
    char *bytes;

    while (room - notes->len < size)
        room *= 2;
    bytes = room <= NOTES_MAX ? skua__otel_raw(room) : NULL;
    if (bytes == NULL) {
        notes->no_memory = true;
        return false;
    }
    memcpy(bytes, notes->bytes, notes->len);
    if (notes->own)
        skua__otel_free(notes->bytes);
    notes->bytes = bytes;
    notes->room = room;
    notes->own = true;
    return true;
}

/* Room for `size` bytes behind the others; NULL: there is none. They are not counted yet. */
static char *notes_room(struct skua__notes *notes, uint32_t size)
{
    if (__builtin_expect(notes->room - notes->len < size, 0) &&
        (size > NOTES_MAX || !notes_grow(notes, size)))
        return NULL;
    return notes->bytes + notes->len;
}

static uint32_t notes_round(size_t size)
{
    return (uint32_t)((size + 7) & ~(size_t)7);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* How many bytes of a text are kept: those of `max` characters. */
static uint32_t notes_cut(const char *text, size_t len, uint32_t max)
{
    unsigned more = 0; /* bytes that belong to the character before */
    uint32_t count = 0;
    size_t at = 0;

    if (len <= max || max == UINT32_MAX)
        return (uint32_t)len;
    for (; at < len; at++) {
        unsigned char byte = (unsigned char)text[at];

        if (more > 0 && (byte & 0xc0) == 0x80) {
            more--;
            continue;
        }
        if (count++ == max)
            break;
        more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
    }
    return (uint32_t)at;
}

/* Bytes of an element of an array of numbers; 0: it is something else. */
static uint32_t notes_element(uint8_t type)
{
    switch (type) {
    case SKUA_ATTR_BOOLS:
        return 1;
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
        return 8;
    default:
        return 0;
    }
}

static bool notes_attr(struct skua__notes *notes, const skua_attr *attr, uint32_t max,
                       unsigned depth);

/* Appends bytes behind a note that is being made. */
static bool notes_put(struct skua__notes *notes, const void *bytes, size_t len, bool end)
{
    uint32_t size = len + end < NOTES_MAX ? (uint32_t)(len + end) : NOTES_MAX + 1;
    char *at = notes_room(notes, size);

    if (at == NULL)
        return false;
    if (len != 0)
        memcpy(at, bytes, len);
    if (end)
        at[len] = '\0';
    notes->len += size;
    return true;
}

static bool notes_texts(struct skua__notes *notes, const skua_attr *attr, uint32_t max)
{
    for (uint32_t i = 0; i < attr->count; i++) {
        const char *text = attr->value.strs[i] != NULL ? attr->value.strs[i] : "";
        uint32_t len = notes_cut(text, strlen(text), max);

        if (!notes_put(notes, &len, sizeof len, false) || !notes_put(notes, text, len, false))
            return false;
    }
    return true;
}

static bool notes_pad(struct skua__notes *notes)
{
    return notes_put(notes, "\0\0\0\0\0\0\0", notes_round(notes->len) - notes->len, false);
}

/* The value of a note, whose header is written; *count: of its bytes or elements. */
static bool notes_value(struct skua__notes *notes, const skua_attr *attr, uint32_t max,
                        unsigned depth, uint32_t *count)
{
    uint32_t element = notes_element(attr->type);

    *count = attr->count;
    if (element != 0)
        return notes_put(notes, attr->value.bytes, (size_t)element * attr->count, false);
    switch ((skua_attr_type)attr->type) {
    case SKUA_ATTR_STR:
        *count = notes_cut(attr->value.str, attr->count, max);
        return notes_put(notes, attr->value.str, *count, false);
    case SKUA_ATTR_BYTES:
        *count = attr->count < max ? attr->count : max;
        return notes_put(notes, attr->value.bytes, *count, false);
    case SKUA_ATTR_STRS:
        return notes_texts(notes, attr, max);
    case SKUA_ATTR_LIST:
    case SKUA_ATTR_MAP:
        if (!notes_pad(notes)) /* notes begin at multiples of 8 */
            return false;
        for (uint32_t i = 0; i < attr->count; i++)
            if (!notes_attr(notes, &attr->value.attrs[i], max, depth + 1))
                return false;
        return true;
    default:
        return notes_put(notes, &attr->value, sizeof attr->value, false);
    }
}

/* The note at `from` is whole. */
static void notes_close(struct skua__notes *notes, uint32_t from, const struct skua__note *header)
{
    struct skua__note note = *header;

    note.size = notes->len - from;
    memcpy(notes->bytes + from, &note, sizeof note);
}

static bool notes_attr(struct skua__notes *notes, const skua_attr *attr, uint32_t max,
                       unsigned depth)
{
    struct skua__note note = {.what = SKUA__NOTE_ATTR,
                              .type = attr->type,
                              .flags = attr->flags,
                              .name_len = attr->key_len};
    uint32_t from = notes->len;
    bool fits;

    if (depth > NOTES_DEPTH)
        return false;
    fits = notes_room(notes, NOTES_HEADER) != NULL;
    notes->len += fits ? NOTES_HEADER : 0;
    if ((attr->flags & SKUA_ATTR_STATIC) != 0)
        fits = fits && notes_put(notes, &attr->key, sizeof attr->key, false);
    else
        fits = fits && notes_put(notes, attr->key, attr->key_len, true) && notes_pad(notes);
    fits = fits && notes_value(notes, attr, max, depth, &note.count) && notes_pad(notes);
    if (!fits) {
        notes->len = from;
        return false;
    }
    notes_close(notes, from, &note);
    return true;
}

/* ---- attributes of the span ------------------------------------------------------------------ */

static const char *notes_key(const struct skua__note *note)
{
    const char *key = (const char *)(note + 1);

    if ((note->flags & SKUA_ATTR_STATIC) != 0)
        memcpy(&key, note + 1, sizeof key);
    return key;
}

static const struct skua__note *notes_at(const struct skua__notes *notes, uint32_t pos)
{
    return (const struct skua__note *)(const void *)(notes->bytes + pos);
}

/* Whether the key of the attribute at `pos` comes again behind it. */
static bool notes_replaced(const struct skua__notes *notes, uint32_t pos)
{
    const struct skua__note *note = notes_at(notes, pos);
    const char *key = notes_key(note);

    for (pos += note->size; pos < notes->len; pos += notes_at(notes, pos)->size) {
        const struct skua__note *other = notes_at(notes, pos);

        if (other->what == SKUA__NOTE_ATTR && other->name_len == note->name_len &&
            memcmp(notes_key(other), key, note->name_len) == 0)
            return true;
    }
    return false;
}

uint32_t skua__notes_tidy(struct skua__notes *notes)
{
    uint32_t to = 0, size;

    for (uint32_t pos = 0; pos < notes->len; pos += size) {
        const struct skua__note *note = notes_at(notes, pos);

        size = note->size;
        if (note->what == SKUA__NOTE_ATTR && notes_replaced(notes, pos)) {
            notes->attrs--;
            continue;
        }
        memmove(notes->bytes + to, notes->bytes + pos, size);
        to += size;
    }
    notes->len = to;
    return notes->attrs;
}

/* Whether the span has an attribute with this key. */
static bool notes_have(const struct skua__notes *notes, const skua_attr *attr)
{
    for (uint32_t pos = 0; pos < notes->len; pos += notes_at(notes, pos)->size) {
        const struct skua__note *note = notes_at(notes, pos);

        if (note->what == SKUA__NOTE_ATTR && note->name_len == attr->key_len &&
            memcmp(notes_key(note), attr->key, attr->key_len) == 0)
            return true;
    }
    return false;
}

/* Where there is no room, that of attributes which were replaced is made use of. */
static bool notes_append(struct skua__notes *notes, const skua_attr *attr, uint32_t max)
{
    uint32_t before = notes->len;

    if (notes_attr(notes, attr, max, 0))
        return true;
    (void)skua__notes_tidy(notes);
    return notes->len < before && notes_attr(notes, attr, max, 0);
}

static void notes_replace(struct skua__notes *notes, const skua_attr *attr, uint32_t max)
{
    if (!notes_append(notes, attr, max))
        return;
    notes->attrs++;
    (void)skua__notes_tidy(notes);
}

/* A number or a boolean, with a key that stays: what nearly all attributes are. */
static inline bool notes_plain(const skua_attr *attr)
{
    return (attr->flags & SKUA_ATTR_STATIC) != 0 && attr->key_len != 0 &&
           attr->type >= SKUA_ATTR_BOOL && attr->type <= SKUA_ATTR_F64;
}

/* Those that come first, as long as there is room. How many it was. The header is made in its
 * place: in small stores elsewhere, and copied by a big one, it would be waited for. */
static size_t notes_run(struct skua__notes *notes, uint32_t limit, const skua_attr *attrs,
                        size_t count)
{
    enum { SIZE = sizeof(struct skua__note) + 8 + 8 };
    struct skua__note *note = (struct skua__note *)(void *)(notes->bytes + notes->len);
    size_t most = (notes->room - notes->len) / SIZE, done = 0;

    if (notes->attrs >= limit)
        return 0;
    if (most > limit - notes->attrs)
        most = limit - notes->attrs;
    if (most > count)
        most = count;
    for (; done < most && notes_plain(&attrs[done]); done++) {
        const skua_attr *attr = &attrs[done];
        char *value = (char *)(note + 1);

        note->size = SIZE;
        note->what = SKUA__NOTE_ATTR;
        note->type = attr->type;
        note->flags = attr->flags;
        note->zero = 0;
        note->name_len = attr->key_len;
        note->dropped = 0;
        note->count = attr->count;
        memcpy(value, &attr->key, 8);
        memcpy(value + 8, &attr->value, 8);
        note = (struct skua__note *)(void *)(value + 16);
    }
    notes->len += (uint32_t)done * SIZE;
    notes->attrs += (uint32_t)done;
    return done;
}

void skua__notes_attrs(struct skua__notes *notes, const struct skua__otel_limits *limits,
                       const skua_attr *attrs, size_t count)
{
    for (size_t i = notes_run(notes, limits->attrs, attrs, count); i < count; i++) {
        const skua_attr *attr = &attrs[i];

        if (attr->type == SKUA_ATTR_NONE || attr->type > SKUA_ATTR_MAP || attr->key_len == 0)
            continue;
        if (notes->attrs < limits->attrs || skua__notes_tidy(notes) < limits->attrs) {
            if (notes_append(notes, attr, limits->value_len))
                notes->attrs++;
            else
                notes->attrs_over++;
        } else if (notes_have(notes, attr)) {
            notes_replace(notes, attr, limits->value_len);
        } else {
            notes->attrs_over++;
        }
    }
}

bool skua__notes_value(struct skua__notes *notes, const skua_attr *attr)
{
    return notes_attr(notes, attr, UINT32_MAX, 0);
}

/* ---- events and links ------------------------------------------------------------------------ */

/* The attributes of one, behind its own bytes. False: no room. */
static bool notes_inner(struct skua__notes *notes, struct skua__note *note, uint32_t limit,
                        uint32_t max, const skua_attr *attrs, size_t count)
{
    if (!notes_pad(notes))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (attrs[i].type == SKUA_ATTR_NONE || attrs[i].key_len == 0)
            continue;
        if (note->count < limit && notes_attr(notes, &attrs[i], max, 0))
            note->count++;
        else if (note->dropped < UINT16_MAX)
            note->dropped++;
    }
    return true;
}

void skua__notes_event(struct skua__notes *notes, const struct skua__otel_limits *limits,
                       const char *name, uint64_t time, bool wall, const skua_attr *attrs,
                       size_t count)
{
    size_t len = strnlen(name, UINT16_MAX);
    struct skua__note note = {.what = SKUA__NOTE_EVENT, .type = wall, .name_len = (uint16_t)len};
    uint32_t from = notes->len;
    bool fits = notes->events < limits->events && notes_room(notes, NOTES_HEADER) != NULL;

    if (fits) {
        notes->len += NOTES_HEADER;
        fits = notes_put(notes, &time, sizeof time, false) && notes_put(notes, name, len, true) &&
               notes_inner(notes, &note, limits->event_attrs, limits->value_len, attrs, count);
    }
    if (!fits) {
        notes->len = from;
        notes->events_over++;
        return;
    }
    notes_close(notes, from, &note);
    notes->events++;
}

void skua__notes_link(struct skua__notes *notes, const struct skua__otel_limits *limits,
                      const skua_span_context *context, const skua_attr *attrs, size_t count)
{
    const char *state = context->trace_state != NULL ? context->trace_state : "";
    size_t len = strnlen(state, UINT16_MAX);
    struct skua__note note = {.what = SKUA__NOTE_LINK, .name_len = (uint16_t)len};
    uint8_t bits[2] = {context->flags, context->remote};
    uint32_t from = notes->len;
    bool fits = notes->links < limits->links && notes_room(notes, NOTES_HEADER) != NULL;

    if (fits) {
        notes->len += NOTES_HEADER;
        fits = notes_put(notes, context->trace_id, 16, false) &&
               notes_put(notes, context->span_id, 8, false) && notes_put(notes, bits, 2, false) &&
               notes_put(notes, state, len, true) &&
               notes_inner(notes, &note, limits->link_attrs, limits->value_len, attrs, count);
    }
    if (!fits) {
        notes->len = from;
        notes->links_over++;
        return;
    }
    notes_close(notes, from, &note);
    notes->links++;
}

#undef NOTES_HEADER
#undef NOTES_DEPTH
#undef NOTES_MAX
