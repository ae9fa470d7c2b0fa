/* propagation_w3c.c - traceparent and tracestate.
 *
 *     traceparent   00-<32 digits: trace>-<16 digits: span>-<2 digits: flags>
 *     tracestate    key=value,key=value: 32 members at most
 *
 * Versions   above 00 may be longer, behind another '-'; of their flags we know two. ff is none.
 * Doubt      a traceparent that is not exactly so, or comes twice, is none; a tracestate with one
 *            bad member is none, and the traceparent stays. Of members with one key the first
 *            stays.
 * Long       above 512 bytes members longer than 128 go first, then those at the end.
 *
 * Source     W3C Trace Context, level 2: 3.2, 3.3.
 */
#include "propagation/propagation_impl.h"

#define W3C_MEMBERS 32
#define W3C_KEY 256
#define W3C_LONG 128

/* ---- traceparent ----------------------------------------------------------------------------- */

/* Digits of the lower case alone. */
static bool w3c_hex(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < 2 * size; i++)
        if (text[i] >= 'A' && text[i] <= 'F')
            return false;
    return skua__hex_read(text, 2 * size, bytes, size);
}

static bool w3c_parent(const char *text, size_t len, skua_span_context *ret)
{
    uint8_t version, flags;

    text = skua__trimmed(text, &len);
    if (len < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-')
        return false;
    if (!w3c_hex(text, &version, 1) || version == 0xff || !w3c_hex(text + 3, ret->trace_id, 16) ||
        !w3c_hex(text + 36, ret->span_id, 8) || !w3c_hex(text + 53, &flags, 1))
        return false;
    if (len > 55 && (version == 0 || text[55] != '-'))
        return false;
    ret->flags = flags & (SKUA_TRACE_SAMPLED | SKUA_TRACE_RANDOM);
    ret->remote = 1;
    ret->trace_state = NULL;
    return skua_span_context_valid(ret) != 0;
}

/* ---- tracestate ------------------------------------------------------------------------------ */

struct w3c_member {
    const char *at;
    uint16_t len, key_len;
};

static bool w3c_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
           c == '/' || c == '@';
}

static bool w3c_member(const char *text, size_t len, struct w3c_member *ret)
{
    size_t key = 0;

    while (key < len && w3c_key_char(text[key]))
        key++;
    if (key == 0 || key > W3C_KEY || key == len || text[key] != '=' || len - key - 1 > W3C_KEY ||
        len == key + 1 || strchr("_-*/@", text[0]) != NULL)
        return false;
    for (size_t i = key + 1; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '=')
            return false;
    *ret = (struct w3c_member){text, (uint16_t)len, (uint16_t)key};
    return true;
}

/* Adds a header's members. */
static bool w3c_members(const char *text, size_t len, struct w3c_member *members, size_t *count)
{
    while (len != 0) {
        const char *comma = memchr(text, ',', len);
        size_t size = comma != NULL ? (size_t)(comma - text) : len, trimmed = size, i = 0;
        const char *at = skua__trimmed(text, &trimmed);
        struct w3c_member member;

        text += comma != NULL ? size + 1 : size;
        len -= comma != NULL ? size + 1 : size;
        if (trimmed == 0)
            continue;
        if (!w3c_member(at, trimmed, &member))
            return false;
        while (i < *count && (members[i].key_len != member.key_len ||
                              memcmp(members[i].at, member.at, member.key_len) != 0))
            i++;
        if (i < *count)
            continue;
        if (*count == W3C_MEMBERS)
            return false;
        members[(*count)++] = member;
    }
    return true;
}

static size_t w3c_size(const struct w3c_member *members, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += members[i].len + (i != 0);
    return size;
}

/* Leaves members out until the rest is short enough. */
static size_t w3c_shorten(struct w3c_member *members, size_t count)
{
    for (size_t i = count; i-- > 0 && w3c_size(members, count) > SKUA_TRACE_STATE_MAX;)
        if (members[i].len > W3C_LONG)
            memmove(members + i, members + i + 1, (--count - i) * sizeof *members);
    while (w3c_size(members, count) > SKUA_TRACE_STATE_MAX)
        count--;
    return count;
}

static void w3c_state(const skua_carrier *carrier, skua_propagated *to)
{
    struct w3c_member members[W3C_MEMBERS];
    size_t count = 0, len, used = 0;
    const char *text;

    for (size_t i = 0; (text = carrier->get(carrier, "tracestate", i, &len)) != NULL; i++)
        if (!w3c_members(text, len, members, &count))
            return;
    count = w3c_shorten(members, count);
    for (size_t i = 0; i < count; i++) {
        if (i != 0)
            to->state[used++] = ',';
        memcpy(to->state + used, members[i].at, members[i].len);
        used += members[i].len;
    }
    to->state[used] = '\0';
    to->span.trace_state = used != 0 ? to->state : NULL;
}

/* ---- the propagator -------------------------------------------------------------------------- */

static int w3c_extract(const skua_propagator *self, const skua_carrier *carrier,
                       skua_propagated *to)
{
    skua_span_context context;
    size_t len, other;
    const char *text = carrier->get(carrier, "traceparent", 0, &len);

    (void)self;
    if (text == NULL || carrier->get(carrier, "traceparent", 1, &other) != NULL ||
        !w3c_parent(text, len, &context))
        return 0;
    to->span = context;
    w3c_state(carrier, to);
    return 0;
}

static int w3c_inject(const skua_propagator *self, const skua_propagated *from,
                      skua_carrier *carrier)
{
    uint8_t flags = from->span.flags & (SKUA_TRACE_SAMPLED | SKUA_TRACE_RANDOM);
    char text[55] = "00-";
    int rc;

    (void)self;
    if (!skua_span_context_valid(&from->span))
        return 0;
    skua__hex_write(text + 3, from->span.trace_id, 16);
    text[35] = '-';
    skua__hex_write(text + 36, from->span.span_id, 8);
    text[52] = '-';
    skua__hex_write(text + 53, &flags, 1);
    rc = carrier->set(carrier, "traceparent", text, sizeof text);
    if (rc < 0 || from->span.trace_state == NULL || *from->span.trace_state == '\0')
        return rc;
    return carrier->set(carrier, "tracestate", from->span.trace_state,
                        strlen(from->span.trace_state));
}

static const char *w3c_field(const skua_propagator *self, size_t index)
{
    (void)self;
    return index == 0 ? "traceparent" : index == 1 ? "tracestate" : NULL;
}

const skua_propagator skua__propagator_w3c = {"tracecontext", w3c_inject, w3c_extract, w3c_field};

#undef W3C_MEMBERS
#undef W3C_KEY
#undef W3C_LONG
