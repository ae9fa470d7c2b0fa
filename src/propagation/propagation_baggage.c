/* propagation_baggage.c - the field `baggage`: W3C's.
 *
 *     baggage   name=value;property;key=value, name=value
 *
 * Values     are percent-coded; what they hold that is no UTF-8 becomes U+FFFD. Properties travel
 *            as they stand.
 * Bounds     64 members, 8,192 bytes: what is beyond them is left behind, in and out. A member that
 *            is not well-formed is passed over, and so are those whose names are no tokens.
 *
 * Source     W3C Baggage, 3.3; RFC 9110, 5.6.2 (token).
 */
#include "propagation/propagation_impl.h"

/* ---- characters ------------------------------------------------------------------------------ */

bool skua__bag_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return len != 0;
}

static bool bag_octet(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

/* Bytes of the UTF-8 character at text (RFC 3629, 4); 0: it is none. */
static size_t bag_char(const unsigned char *text, size_t len)
{
    unsigned char first = text[0], low = 0x80, high = 0xbf;
    size_t size = first < 0x80                     ? 1
                  : first >= 0xc2 && first <= 0xdf ? 2
                  : first >= 0xe0 && first <= 0xef ? 3
                  : first >= 0xf0 && first <= 0xf4 ? 4
                                                   : 0;

    if (first == 0xe0)
        low = 0xa0;
    else if (first == 0xed)
        high = 0x9f;
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f;
    if (size == 0 || size > len || (size > 1 && (text[1] < low || text[1] > high)))
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

/* Each byte that is not of a character, and each NUL, becomes three. */
void skua__bag_decode(const char *text, size_t len, char *out)
{
    unsigned char *raw = (unsigned char *)out + 2 * len; /* read behind where it is written */
    size_t size = 0, used = 0;

    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && len - i > 2 ? skua__hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? skua__hex_digit(text[i + 2]) : -1;

        raw[size++] = low >= 0 ? (unsigned char)(high << 4 | low) : (unsigned char)text[i];
        if (low >= 0)
            i += 2;
    }
    for (size_t i = 0; i < size;) {
        size_t good = raw[i] != 0 ? bag_char(raw + i, size - i) : 0;

        if (good != 0)
            memmove(out + used, raw + i, good);
        else
            memcpy(out + used, "\xef\xbf\xbd", 3);
        used += good != 0 ? good : 3;
        i += good != 0 ? good : 1;
    }
    out[used] = '\0';
}

/* ---- reading --------------------------------------------------------------------------------- */

/* "key" or "key=value", and more of them behind ';'. */
static bool bag_properties(const char *text, size_t len)
{
    for (size_t at = 0; at <= len;) {
        const char *end = memchr(text + at, ';', len - at), *equal;
        size_t size = end != NULL ? (size_t)(end - text) - at : len - at, key, value = 0;
        const char *from = text + at;

        at += size + 1;
        from = skua__trimmed(from, &size);
        equal = memchr(from, '=', size);
        key = equal != NULL ? (size_t)(equal - from) : size;
        if (equal != NULL) {
            const char *of;

            value = size - key - 1;
            of = skua__trimmed(equal + 1, &value);
            for (size_t i = 0; i < value; i++)
                if (!bag_octet((unsigned char)of[i]))
                    return false;
        }
        from = skua__trimmed(from, &key);
        if (!skua__bag_token(from, key))
            return false;
    }
    return true;
}

/* Takes up one member. 0, or -ENOMEM. `room`: bytes for what is decoded. */
static int bag_member(skua_propagated *to, const char *text, size_t len, char *room)
{
    const char *semicolon = memchr(text, ';', len), *equal, *name, *value, *properties = NULL;
    size_t main_len = semicolon != NULL ? (size_t)(semicolon - text) : len, name_len, value_len,
           properties_len = 0;
    int rc;

    equal = memchr(text, '=', main_len);
    if (equal == NULL)
        return 0;
    name_len = (size_t)(equal - text);
    name = skua__trimmed(text, &name_len);
    value_len = main_len - (size_t)(equal - text) - 1;
    value = skua__trimmed(equal + 1, &value_len);
    if (!skua__bag_token(name, name_len))
        return 0;
    for (size_t i = 0; i < value_len; i++)
        if (!bag_octet((unsigned char)value[i]))
            return 0;
    if (semicolon != NULL) {
        properties_len = len - main_len - 1;
        properties = skua__trimmed(semicolon + 1, &properties_len);
        if (properties_len != 0 && !bag_properties(properties, properties_len))
            return 0;
    }
    memcpy(room, name, name_len);
    room[name_len] = '\0';
    skua__bag_decode(value, value_len, room + name_len + 1);
    value = room + name_len + 1;
    name = room;
    room += name_len + 1 + strlen(value) + 1;
    if (properties_len != 0) {
        memcpy(room, properties, properties_len);
        room[properties_len] = '\0';
    }
    rc = skua_propagated_add(to, name, value, properties_len != 0 ? room : NULL);
    return rc == -ENOMEM ? rc : 0;
}

static int bag_extract(const skua_propagator *self, const skua_carrier *carrier,
                       skua_propagated *to)
{
    size_t len, seen = 0, members = 0;
    const char *text;
    char *room = NULL;
    int rc = 0;

    (void)self;
    for (size_t i = 0; rc == 0 && (text = carrier->get(carrier, "baggage", i, &len)) != NULL; i++) {
        if (room == NULL)
            room = skua__os_alloc_unset(3 * SKUA_BAGGAGE_BYTES + 4);
        if (room == NULL)
            return -ENOMEM;
        while (len != 0 && rc == 0) {
            const char *comma = memchr(text, ',', len);
            size_t size = comma != NULL ? (size_t)(comma - text) : len, trimmed = size;
            const char *member = skua__trimmed(text, &trimmed);

            text += comma != NULL ? size + 1 : size;
            len -= comma != NULL ? size + 1 : size;
            if (trimmed == 0)
                continue;
            seen += trimmed + (members != 0);
            if (++members > SKUA_BAGGAGE_MAX || seen > SKUA_BAGGAGE_BYTES)
                break;
            rc = bag_member(to, member, trimmed, room);
        }
        if (members > SKUA_BAGGAGE_MAX || seen > SKUA_BAGGAGE_BYTES)
            break;
    }
    skua__os_free(room);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes a member, when there is room for all of it. */
static size_t bag_write(const skua_baggage_entry *entry, char *out, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t name = strlen(entry->name), used = name + 1;
    size_t properties = entry->properties != NULL ? strlen(entry->properties) : 0;

    if (!skua__bag_token(entry->name, name) || used > room)
        return 0;
    if (properties != 0 && !bag_properties(entry->properties, properties))
        properties = 0;
    memcpy(out, entry->name, name);
    out[name] = '=';
    for (const char *at = entry->value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = bag_octet(c) && c != '%';

        if (room - used < (plain ? 1 : 3))
            return 0;
        out[used++] = plain ? *at : '%';
        if (!plain) {
            out[used++] = digits[c >> 4];
            out[used++] = digits[c & 15];
        }
    }
    if (properties == 0)
        return used;
    if (room - used < properties + 1)
        return 0;
    out[used++] = ';';
    memcpy(out + used, entry->properties, properties);
    return used + properties;
}

static int bag_inject(const skua_propagator *self, const skua_propagated *from,
                      skua_carrier *carrier)
{
    size_t used = 0;
    char *out;
    int rc = 0;

    (void)self;
    if (from->baggage == NULL || from->baggage->count == 0)
        return 0;
    out = skua__os_alloc_unset(SKUA_BAGGAGE_BYTES);
    if (out == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < from->baggage->count; i++) {
        size_t comma = used != 0;
        size_t size = used + comma < SKUA_BAGGAGE_BYTES
                          ? bag_write(&from->baggage->entries[i], out + used + comma,
                                      SKUA_BAGGAGE_BYTES - used - comma)
                          : 0;

        if (size == 0)
            continue;
        if (comma)
            out[used] = ',';
        used += size + comma;
    }
    if (used != 0)
        rc = carrier->set(carrier, "baggage", out, used);
    skua__os_free(out);
    return rc;
}

static const char *bag_field(const skua_propagator *self, size_t index)
{
    (void)self;
    return index == 0 ? "baggage" : NULL;
}

const skua_propagator skua__propagator_baggage = {"baggage", bag_inject, bag_extract, bag_field};
