/* coding.c - which codings there are, and which of them a client takes.
 *
 * Weights    RFC 9110, 12.5.3: a coding that is not named has the weight of "*", and without one
 *            none at all; but a body as it is, is always fine, unless it is ruled out by name or by
 *            "*;q=0". Without the header anything is allowed, and nothing is coded: who says
 *            nothing may know nothing.
 * Lenient    an element that is malformed is as if it were not there.
 */
#include "http/coding/coding_impl.h"

static const struct skua__coding_kind *const coding_kinds[SKUA__CODINGS] = {
    &skua__coding_gzip, &skua__coding_deflate, &skua__coding_brotli, &skua__coding_zstd};

const struct skua__coding_kind *skua__coding_kind(enum skua__coding coding)
{
    return coding_kinds[coding];
}

static bool coding_is(const char *name, size_t len, const char *other)
{
    return len == strlen(other) && skua__http_same(name, other, len);
}

int skua__coding_named(const char *name, size_t len)
{
    if (coding_is(name, len, "x-gzip")) {
        name += 2;
        len -= 2;
    }
    for (int i = 0; i < SKUA__CODINGS; i++)
        if (coding_kinds[i]->coder != NULL && coding_is(name, len, coding_kinds[i]->name))
            return i;
    return -1;
}

const char *skua__coding_list(void)
{
    /* deflate is not asked for: what it is, servers do not agree about. */
    return ""
#ifdef SKUA_HAVE_ZLIB
           "gzip"
#endif
#if defined SKUA_HAVE_ZLIB && (defined SKUA_HAVE_BROTLI || defined SKUA_HAVE_ZSTD)
           ", "
#endif
#ifdef SKUA_HAVE_BROTLI
           "br"
#endif
#if defined SKUA_HAVE_BROTLI && defined SKUA_HAVE_ZSTD
           ", "
#endif
#ifdef SKUA_HAVE_ZSTD
           "zstd"
#endif
        ;
}

size_t skua__coding_element(const char **list)
{
    size_t len;

    *list += strspn(*list, ", \t");
    len = strcspn(*list, ",");
    while (len != 0 && ((*list)[len - 1] == ' ' || (*list)[len - 1] == '\t'))
        len--;
    return len;
}

/* A weight in thousandths, or -1: malformed. */
static int coding_weight(const char *text, size_t len)
{
    int weight;

    if (len == 0 || len > 5 || (text[0] != '0' && text[0] != '1') || (len > 1 && text[1] != '.'))
        return -1;
    weight = (text[0] - '0') * 1000;
    for (size_t i = 2, unit = 100; i < len; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        weight += (text[i] - '0') * (int)unit;
    }
    return weight <= 1000 ? weight : -1;
}

/* What an element names, and how much it weighs: name;q=weight. The name's length, 0: malformed. */
static size_t coding_preference(const char *text, size_t len, int *weight)
{
    size_t name = 0;
    size_t at;

    while (name < len && strchr("; \t", text[name]) == NULL)
        name++;
    at = name + strspn(text + name, " \t");
    *weight = 1000;
    if (at >= len)
        return name;
    if (text[at] != ';')
        return 0;
    at++;
    at += strspn(text + at, " \t");
    if (at + 2 > len || (text[at] | 0x20) != 'q' || text[at + 1] != '=')
        return 0;
    *weight = coding_weight(text + at + 2, len - at - 2);
    return *weight >= 0 ? name : 0;
}

/* What the client says of each: -1: nothing. */
struct coding_weights {
    int of[SKUA__CODINGS];
    int identity, other;
};

static void coding_weights(const char *accept, struct coding_weights *ret)
{
    size_t len;

    *ret = (struct coding_weights){{-1, -1, -1, -1}, -1, -1};
    while ((len = skua__coding_element(&accept)) != 0) {
        int weight;
        size_t name = coding_preference(accept, len, &weight);
        int coding = skua__coding_named(accept, name);

        if (coding >= 0)
            ret->of[coding] = weight;
        else if (coding_is(accept, name, "identity"))
            ret->identity = weight;
        else if (coding_is(accept, name, "*"))
            ret->other = weight;
        accept += len;
    }
}

bool skua__coding_plain(const char *accept)
{
    struct coding_weights weights;

    if (accept == NULL)
        return true;
    coding_weights(accept, &weights);
    return weights.identity >= 0 ? weights.identity > 0 : weights.other != 0;
}

int skua__coding_choose(const char *accept, const char *allowed)
{
    struct coding_weights weights;
    int best = 0;
    int ret = SKUA__CODING_IDENTITY;
    size_t len;

    if (accept == NULL)
        return SKUA__CODING_IDENTITY;
    coding_weights(accept, &weights);
    while ((len = skua__coding_element(&allowed)) != 0) {
        int coding = skua__coding_named(allowed, len);
        int weight = coding < 0 ? 0 : weights.of[coding] >= 0 ? weights.of[coding] : weights.other;

        if (weight > best) {
            best = weight;
            ret = coding;
        }
        allowed += len;
    }
    if (weights.identity > best)
        return SKUA__CODING_IDENTITY;
    return best == 0 && !skua__coding_plain(accept) ? SKUA__CODING_NONE : ret;
}
