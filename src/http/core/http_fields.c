/* http_fields.c - headers: a list in the order in which they came, searched from its front.
 *
 * There are few of them, and lengths differ: a comparison of lengths ends most of the search.
 * Source: RFC 9110, 5.
 */
#include "http/core/http_impl.h"

/* Characters of a token, RFC 9110, 5.6.2: one bit each. */
static bool fields_tchar(unsigned char c)
{
    static const uint32_t set[4] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};

    return c < 128 && (set[c / 32] >> (c % 32) & 1) != 0;
}

static unsigned char fields_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool skua__http_is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!fields_tchar((unsigned char)text[i]))
            return false;
    return len != 0;
}

bool skua__http_is_authority(const char *text)
{
    /* Letters, digits, -._~!$&'()*+,;=%:[] as one bit each. */
    static const uint32_t set[4] = {0, 0x2fff7ff2, 0xaffffffe, 0x47fffffe};

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= 128 || (set[c / 32] >> (c % 32) & 1) == 0)
            return false;
    }
    return true;
}

/* Whether one of eight bytes is below 0x20 or 0x7f: the borrow of a byte sets its highest bit. */
static bool fields_control(uint64_t eight)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t del = eight ^ ones * 0x7f;

    return ((((eight - ones * 0x20) & ~eight) | ((del - ones) & ~del)) & ones * 0x80) != 0;
}

bool skua__http_is_value(const char *text, size_t len)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8) { /* values are long, and few have a tab */
        uint64_t eight;

        memcpy(&eight, text + i, 8);
        if (fields_control(eight))
            break;
    }
    for (; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool skua__http_same(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i] && fields_lower((unsigned char)a[i]) != fields_lower((unsigned char)b[i]))
            return false;
    return true;
}

bool skua__http_has_token(const char *list, const char *token)
{
    size_t len = strlen(token);

    while (*list != '\0') {
        size_t n;

        list += strspn(list, ", \t");
        n = strcspn(list, ", \t;");
        if (n == len && skua__http_same(list, token, len))
            return true;
        list += n;
        list += strcspn(list, ","); /* past the parameters */
    }
    return false;
}

bool skua__http_lines_are_whole(const char *head, size_t len)
{
    const char *end = head + len;

    for (const char *at = head; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) {
        if (at == head || at[-1] != '\r')
            return false;
        if (at + 1 < end && (at[1] == ' ' || at[1] == '\t'))
            return false;
    }
    for (const char *at = head; (at = memchr(at, '\r', (size_t)(end - at))) != NULL; at++)
        if (at + 1 == end || at[1] != '\n')
            return false;
    return memchr(head, '\0', len) == NULL;
}

struct skua__http_field *skua__http_fields_find(const struct skua__http_fields *fields,
                                                const char *name, size_t len, size_t from)
{
    for (size_t i = from; i < fields->count; i++)
        if (fields->at[i].name_len == len && skua__http_same(fields->at[i].name, name, len))
            return &fields->at[i];
    return NULL;
}

struct skua__http_field *skua__http_fields_add(struct skua__http_fields *fields,
                                               struct skua__http_arena *arena)
{
    if (fields->count == fields->room) {
        size_t room = fields->room != 0 ? 2 * fields->room : 16;
        struct skua__http_field *at = skua__http_arena_alloc(arena, room * sizeof *at);

        if (at == NULL)
            return NULL;
        if (fields->count != 0)
            memcpy(at, fields->at, fields->count * sizeof *at);
        fields->at = at;
        fields->room = room;
    }
    return &fields->at[fields->count++];
}

const struct skua__http_field *skua__http_fields_only(const struct skua__http_fields *fields,
                                                      const char *name, bool *twice)
{
    size_t len = strlen(name);
    const struct skua__http_field *field = skua__http_fields_find(fields, name, len, 0);

    if (field != NULL &&
        skua__http_fields_find(fields, name, len, (size_t)(field - fields->at) + 1) != NULL)
        *twice = true;
    return field;
}

void skua__http_fields_remove(struct skua__http_fields *fields, const char *name, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < fields->count; i++)
        if (fields->at[i].name_len != len || !skua__http_same(fields->at[i].name, name, len))
            fields->at[kept++] = fields->at[i];
    fields->count = kept;
}
