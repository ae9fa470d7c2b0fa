/* propagation_b3.c - B3, in one field and in several, and Jaeger's.
 *
 *     b3              <trace>-<span>-<0, 1, d>-<parent>     the last two may be missing
 *     X-B3-TraceId, X-B3-SpanId, X-B3-Sampled, X-B3-Flags: 1 is debug
 *     uber-trace-id   <trace>:<span>:<parent>:<flags>       1 sampled, 2 debug
 *     uberctx-<name>  <value, percent-coded>                Jaeger's baggage
 *
 * Debug      means sampled, and is kept for those that come behind.
 * Old        trace ids of 8 bytes are as if zeros stood before them; Jaeger leaves leading zeros
 *            out.
 * Open       a B3 context that does not say whether it is sampled counts as not sampled.
 *
 * Source     openzipkin/b3-propagation; Jaeger client libraries, propagation format; OpenTelemetry
 *            specification 1.60, context/api-propagators: B3 requirements.
 */
#include <stdio.h>
#include <strings.h>

#include "propagation/propagation_impl.h"

#define B3_DEBUG 2u
#define JAEGER_VALUE 512 /* bytes of an entry, as coded */

/* ---- B3 -------------------------------------------------------------------------------------- */

struct b3_found {
    skua_span_context span;
    bool debug;
};

static bool b3_ids(const char *trace, size_t trace_len, const char *span, size_t span_len,
                   struct b3_found *ret)
{
    ret->span.remote = 1;
    return (trace_len == 16 || trace_len == 32) && span_len == 16 &&
           skua__hex_read(trace, trace_len, ret->span.trace_id, 16) &&
           skua__hex_read(span, span_len, ret->span.span_id, 8) &&
           skua_span_context_valid(&ret->span);
}

/* "1", "0", "d", and what old ones wrote. */
static bool b3_sampled(const char *text, size_t len, struct b3_found *ret)
{
    if ((len == 1 && (*text == '1' || *text == 'd')) ||
        (len == 4 && memcmp(text, "true", 4) == 0)) {
        ret->span.flags = SKUA_TRACE_SAMPLED;
        ret->debug = *text == 'd';
        return true;
    }
    return (len == 1 && *text == '0') || (len == 5 && memcmp(text, "false", 5) == 0);
}

static bool b3_single(const char *text, size_t len, struct b3_found *ret)
{
    const char *dash = memchr(text, '-', len);
    size_t trace = dash != NULL ? (size_t)(dash - text) : len, left = len - trace, state;

    if (left < 17 || !b3_ids(text, trace, dash + 1, 16, ret))
        return false;
    if (left == 17)
        return true;
    text = dash + 17;
    left -= 17;
    if (left < 2 || *text != '-')
        return false;
    text++;
    left--;
    dash = memchr(text, '-', left);
    state = dash != NULL ? (size_t)(dash - text) : left;
    if (dash != NULL) { /* the parent's id is not ours to know, but it must be one */
        uint8_t parent[8];

        if (left - state - 1 != 16 || !skua__hex_read(dash + 1, 16, parent, 8))
            return false;
    }
    return state == 1 && b3_sampled(text, state, ret);
}

static bool b3_multi(const skua_carrier *carrier, struct b3_found *ret)
{
    size_t trace_len, span_len, len;
    const char *trace = skua__carrier_first(carrier, "x-b3-traceid", &trace_len);
    const char *span = skua__carrier_first(carrier, "x-b3-spanid", &span_len);
    const char *text;

    if (trace == NULL || span == NULL || !b3_ids(trace, trace_len, span, span_len, ret))
        return false;
    text = skua__carrier_first(carrier, "x-b3-sampled", &len);
    if (text != NULL && !b3_sampled(text, len, ret))
        return false;
    text = skua__carrier_first(carrier, "x-b3-flags", &len);
    if (text != NULL && len == 1 && *text == '1') {
        ret->debug = true;
        ret->span.flags = SKUA_TRACE_SAMPLED;
    }
    return true;
}

static int b3_extract(const skua_propagator *self, const skua_carrier *carrier, skua_propagated *to)
{
    struct b3_found found = {.debug = false};
    size_t len;
    const char *text = skua__carrier_first(carrier, "b3", &len);
    bool good = text != NULL && b3_single(text, len, &found);

    (void)self;
    if (!good) {
        found = (struct b3_found){.debug = false};
        good = b3_multi(carrier, &found);
    }
    if (good) {
        to->span = found.span;
        to->debug = found.debug;
    }
    return 0;
}

static int b3_inject(const skua_propagator *self, const skua_propagated *from,
                     skua_carrier *carrier)
{
    char text[51];

    (void)self;
    if (!skua_span_context_valid(&from->span))
        return 0;
    skua__hex_write(text, from->span.trace_id, 16);
    text[32] = '-';
    skua__hex_write(text + 33, from->span.span_id, 8);
    text[49] = '-';
    text[50] = from->debug ? 'd' : (from->span.flags & SKUA_TRACE_SAMPLED) != 0 ? '1' : '0';
    return carrier->set(carrier, "b3", text, sizeof text);
}

static const char *b3_field(const skua_propagator *self, size_t index)
{
    (void)self;
    return index == 0 ? "b3" : NULL;
}

static int b3_inject_multi(const skua_propagator *self, const skua_propagated *from,
                           skua_carrier *carrier)
{
    char text[32];
    int rc;

    (void)self;
    if (!skua_span_context_valid(&from->span))
        return 0;
    skua__hex_write(text, from->span.trace_id, 16);
    rc = carrier->set(carrier, "X-B3-TraceId", text, 32);
    if (rc < 0)
        return rc;
    skua__hex_write(text, from->span.span_id, 8);
    rc = carrier->set(carrier, "X-B3-SpanId", text, 16);
    if (rc < 0)
        return rc;
    if (from->debug) /* says sampled, too */
        return carrier->set(carrier, "X-B3-Flags", "1", 1);
    return carrier->set(carrier, "X-B3-Sampled",
                        (from->span.flags & SKUA_TRACE_SAMPLED) != 0 ? "1" : "0", 1);
}

static const char *b3_field_multi(const skua_propagator *self, size_t index)
{
    static const char *const fields[] = {"X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled",
                                         "X-B3-Flags"};

    (void)self;
    return index < 4 ? fields[index] : NULL;
}

const skua_propagator skua__propagator_b3 = {"b3", b3_inject, b3_extract, b3_field};
const skua_propagator skua__propagator_b3multi = {"b3multi", b3_inject_multi, b3_extract,
                                                  b3_field_multi};

/* ---- Jaeger ---------------------------------------------------------------------------------- */

/* The text up to the next ':', which some senders code as %3A; what is left follows it. */
static const char *jaeger_part(const char **text, size_t *left, size_t *ret_len)
{
    const char *at = *text;

    for (size_t i = 0; i < *left; i++) {
        size_t size = at[i] == ':'                                           ? 1
                      : *left - i >= 3 && strncasecmp(at + i, "%3a", 3) == 0 ? 3
                                                                             : 0;

        if (size != 0) {
            *ret_len = i;
            *text += i + size;
            *left -= i + size;
            return at;
        }
    }
    *ret_len = *left;
    *text += *left;
    *left = 0;
    return at;
}

static bool jaeger_context(const char *text, size_t len, skua_propagated *to)
{
    skua_span_context context = {.remote = 1};
    const char *parts[4];
    size_t lens[4];
    uint8_t flags;

    for (size_t i = 0; i < 4; i++) {
        if (i != 0 && len == 0)
            return false;
        parts[i] = jaeger_part(&text, &len, &lens[i]);
    }
    if (len != 0 || !skua__hex_read(parts[0], lens[0], context.trace_id, 16) ||
        !skua__hex_read(parts[1], lens[1], context.span_id, 8) ||
        !skua__hex_read(parts[3], lens[3], &flags, 1) || !skua_span_context_valid(&context))
        return false;
    to->debug = (flags & B3_DEBUG) != 0;
    context.flags = (flags & (SKUA_TRACE_SAMPLED | B3_DEBUG)) != 0 ? SKUA_TRACE_SAMPLED : 0;
    to->span = context;
    return true;
}

static int jaeger_extract(const skua_propagator *self, const skua_carrier *carrier,
                          skua_propagated *to)
{
    size_t len, count = 0;
    const char *text = skua__carrier_first(carrier, "uber-trace-id", &len), *key;

    (void)self;
    if (text != NULL)
        (void)jaeger_context(text, len, to);
    for (size_t i = 0; carrier->key != NULL && (key = carrier->key(carrier, i)) != NULL; i++) {
        char value[3 * JAEGER_VALUE + 1];
        int rc;

        if (strncasecmp(key, "uberctx-", 8) != 0 || !skua__bag_token(key + 8, strlen(key + 8)) ||
            count == SKUA_BAGGAGE_MAX)
            continue;
        text = skua__carrier_first(carrier, key, &len);
        if (text == NULL || len > JAEGER_VALUE)
            continue;
        skua__bag_decode(text, len, value);
        rc = skua_propagated_add(to, key + 8, value, NULL);
        if (rc == -ENOMEM)
            return rc;
        count++;
    }
    return 0;
}

static int jaeger_inject_baggage(const skua_baggage_entry *entry, skua_carrier *carrier)
{
    static const char digits[] = "0123456789ABCDEF";
    char name[128], value[JAEGER_VALUE];
    size_t used = 0;

    if (strlen(entry->name) >= sizeof name - 8 ||
        !skua__bag_token(entry->name, strlen(entry->name)))
        return 0;
    for (const char *at = entry->value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = c > 0x20 && c < 0x7f && c != '%';

        if (sizeof value - used < (plain ? 1 : 3))
            return 0;
        value[used++] = plain ? *at : '%';
        if (!plain) {
            value[used++] = digits[c >> 4];
            value[used++] = digits[c & 15];
        }
    }
    (void)snprintf(name, sizeof name, "uberctx-%s", entry->name);
    return carrier->set(carrier, name, value, used);
}

static int jaeger_inject(const skua_propagator *self, const skua_propagated *from,
                         skua_carrier *carrier)
{
    char text[53];
    int rc = 0;

    (void)self;
    if (skua_span_context_valid(&from->span)) {
        skua__hex_write(text, from->span.trace_id, 16);
        text[32] = ':';
        skua__hex_write(text + 33, from->span.span_id, 8);
        memcpy(text + 49, ":0:", 3);
        text[52] = from->debug ? '3' : (from->span.flags & SKUA_TRACE_SAMPLED) != 0 ? '1' : '0';
        rc = carrier->set(carrier, "uber-trace-id", text, sizeof text);
    }
    for (size_t i = 0; from->baggage != NULL && i < from->baggage->count && rc >= 0; i++)
        rc = jaeger_inject_baggage(&from->baggage->entries[i], carrier);
    return rc;
}

static const char *jaeger_field(const skua_propagator *self, size_t index)
{
    (void)self;
    return index == 0 ? "uber-trace-id" : NULL;
}

const skua_propagator skua__propagator_jaeger = {"jaeger", jaeger_inject, jaeger_extract,
                                                 jaeger_field};

#undef B3_DEBUG
#undef JAEGER_VALUE
