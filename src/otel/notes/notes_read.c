/* notes_read.c - notes as data.h has them: attributes with their values.
 *
 * All is copied into memory that the caller has measured (skua__notes_room): nothing refers to the
 * notes afterwards.
 */
#include "otel/notes/notes_impl.h"

void *skua__notes_cut(struct skua__notes_room *room, size_t size)
{
    void *piece = room->at;

    room->at += (size + 7) & ~(size_t)7;
    return piece;
}

skua_otel_text skua__notes_text(struct skua__notes_room *room, const char *text, size_t len)
{
    char *copy = skua__notes_cut(room, len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return (skua_otel_text){copy, len};
}

static void notes_read_texts(struct skua__notes_room *room, const char *at, skua_attr *ret)
{
    const char **texts = skua__notes_cut(room, ret->count * sizeof *texts);

    for (uint32_t i = 0; i < ret->count; i++) {
        uint32_t len;

        memcpy(&len, at, sizeof len);
        texts[i] = skua__notes_text(room, at + sizeof len, len).at;
        at += sizeof len + len;
    }
    ret->value.strs = texts;
}

static void notes_read_value(struct skua__notes_room *room, const char *at, skua_attr *ret)
{
    size_t size = 0;
    void *copy;

    switch ((skua_attr_type)ret->type) {
    case SKUA_ATTR_STR:
        ret->value.str = skua__notes_text(room, at, ret->count).at;
        return;
    case SKUA_ATTR_STRS:
        notes_read_texts(room, at, ret);
        return;
    case SKUA_ATTR_LIST:
    case SKUA_ATTR_MAP: {
        skua_attr *inner = skua__notes_cut(room, ret->count * sizeof *inner);

        for (uint32_t i = 0; i < ret->count; i++)
            at = skua__notes_attr(room, at, &inner[i]);
        ret->value.attrs = inner;
        return;
    }
    case SKUA_ATTR_BYTES:
    case SKUA_ATTR_BOOLS:
        size = ret->count;
        break;
    case SKUA_ATTR_I64S:
    case SKUA_ATTR_F64S:
        size = (size_t)ret->count * 8;
        break;
    default:
        memcpy(&ret->value, at, sizeof ret->value);
        return;
    }
    copy = skua__notes_cut(room, size);
    memcpy(copy, at, size);
    ret->value.bytes = copy;
}

const char *skua__notes_attr(struct skua__notes_room *room, const char *at, skua_attr *ret)
{
    const struct skua__note *note = skua__note_at(at);
    const char *value = (const char *)(note + 1);

    *ret = (skua_attr){
        .type = note->type, .flags = note->flags, .key_len = note->name_len, .count = note->count};
    if ((note->flags & SKUA_ATTR_STATIC) != 0) {
        memcpy(&ret->key, value, sizeof ret->key);
        value += sizeof ret->key;
    } else {
        ret->key = skua__notes_text(room, value, note->name_len).at;
        value += ((size_t)note->name_len + 1 + 7) & ~(size_t)7;
    }
    notes_read_value(room, value, ret);
    return at + note->size;
}

skua_otel_attrs skua__notes_read(struct skua__notes_room *room, const char *at, uint32_t count,
                                 uint32_t dropped)
{
    skua_attr *attrs = skua__notes_cut(room, count * sizeof *attrs);

    for (uint32_t i = 0; i < count; i++)
        at = skua__notes_attr(room, at, &attrs[i]);
    return (skua_otel_attrs){attrs, count, dropped};
}

static bool notes_same_key(const skua_attr *a, const skua_attr *b)
{
    return a->key_len == b->key_len &&
           (a->key == b->key || memcmp(a->key, b->key, a->key_len) == 0);
}

uint32_t skua__notes_distinct(skua_attr *attrs, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = 0;

        while (at < kept && !notes_same_key(&attrs[at], &attrs[i]))
            at++;
        attrs[at] = attrs[i];
        kept += at == kept;
    }
    return kept;
}
