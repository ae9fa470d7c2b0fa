/* trace_state.c - OpenTelemetry's member of the trace state: ot=th:<threshold>;rv:<randomness>.
 *
 *   th   1 to 14 digits, zeros behind them left out: of 2^56 traces so many are dropped
 *   rv   14 digits: what is random, instead of the trace id's lower 56 bits; never changed
 *
 * What changed moves to the front; other members and other keys of ours keep their order. Where
 * there is no room, members at the end are left out.
 *
 * Source     OpenTelemetry specification 1.60: trace/tracestate-handling.
 */
#include "otel/trace/trace_sample.h"

#define STATE_OURS 256 /* bytes of our member, at most */

/* Lower-case digits, `count` of them; zeros stand behind where there are fewer than 14. */
static bool state_hex(const char *text, size_t count, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < 14; i++) {
        char c = i < count ? text[i] : '0';

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *ret = *ret << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

/* Our member's value and its length; NULL: there is none. */
static const char *state_ours(const char *state, size_t *ret_len)
{
    for (const char *at = state; at != NULL && *at != '\0';) {
        size_t size;

        at += strspn(at, " \t");
        size = strcspn(at, ",");
        if (size >= 3 && memcmp(at, "ot=", 3) == 0) {
            *ret_len = size - 3;
            return at + 3;
        }
        at += size + (at[size] == ',');
    }
    return NULL;
}

struct skua__ot skua__ot_read(const char *state)
{
    struct skua__ot ot = {.has_threshold = false};
    size_t len = 0;
    const char *at = state_ours(state, &len);

    while (at != NULL && len != 0) {
        const char *end = memchr(at, ';', len);
        size_t size = end != NULL ? (size_t)(end - at) : len;

        if (size > 3 && size <= 17 && memcmp(at, "th:", 3) == 0)
            ot.has_threshold = state_hex(at + 3, size - 3, &ot.threshold);
        if (size == 17 && memcmp(at, "rv:", 3) == 0)
            ot.has_random = state_hex(at + 3, 14, &ot.random);
        at += size + (end != NULL);
        len -= size + (end != NULL);
    }
    return ot;
}

uint64_t skua__ot_random(const struct skua__ot *ot, const uint8_t trace_id[16])
{
    return ot->has_random ? ot->random : skua__sample_random(trace_id);
}

/* "th:c", or nothing. Its length. */
static size_t state_threshold(uint64_t threshold, char out[18])
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 3;

    if (threshold >= SKUA__SAMPLE_ALL)
        return 0;
    memcpy(out, "th:", 3);
    do {
        out[len++] = digits[threshold >> 52 & 15];
        threshold = threshold << 4 & (SKUA__SAMPLE_ALL - 1);
    } while (threshold != 0);
    return len;
}

void skua__ot_write(const char *state, uint64_t threshold, skua_otel_sampler_result *result)
{
    char *out = result->room, th[18];
    size_t th_len = state_threshold(threshold, th), used = 3, len = 0, begin;
    const char *ours = state_ours(state, &len);

    if (ours == NULL && th_len == 0)
        return; /* the parent's, as it is */
    memcpy(out, "ot=", 3);
    memcpy(out + used, th, th_len);
    used += th_len;
    while (ours != NULL && len != 0) {
        const char *end = memchr(ours, ';', len);
        size_t size = end != NULL ? (size_t)(end - ours) : len;

        if (size != 0 && memcmp(ours, "th:", size < 3 ? size : 3) != 0 &&
            used + size + 1 <= STATE_OURS) {
            if (used > 3)
                out[used++] = ';';
            memcpy(out + used, ours, size);
            used += size;
        }
        ours += size + (end != NULL);
        len -= size + (end != NULL);
    }
    begin = used > 3 ? used : 0;
    used = begin;
    for (const char *at = state; at != NULL && *at != '\0';) {
        size_t size;

        at += strspn(at, " \t");
        size = strcspn(at, ",");
        if (size != 0 && !(size >= 3 && memcmp(at, "ot=", 3) == 0)) {
            if (used + size + 2 > sizeof result->room)
                break;
            if (used != 0)
                out[used++] = ',';
            memcpy(out + used, at, size);
            used += size;
        }
        at += size + (at[size] == ',');
    }
    out[used] = '\0';
    result->trace_state = out;
}

#undef STATE_OURS
