/* fuzz_http_url.h - what must hold of any URL and any reference, whatever their bytes.
 *
 *   parse      refused, or: the text is clean, its pieces make it up, and it parses to itself
 *   resolve    against a base: refused, or a URL of which the same holds, without dot segments
 *
 * Aborts where it does not hold. Used by libFuzzer (fuzz_http_url.c) and by a test with random
 * texts (test_http_url_fuzz.c).
 */
#ifndef SKUA_TESTS_FUZZ_HTTP_URL_H
#define SKUA_TESTS_FUZZ_HTTP_URL_H

#include <stdlib.h>

#include "http/client/client_impl.h"

static inline void fuzz_url_must(bool holds)
{
    if (!holds)
        abort();
}

static inline bool fuzz_url_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

static inline void fuzz_url_holds(const struct skua__client_url *url)
{
    fuzz_url_must(strcmp(url->scheme, "http") == 0 || strcmp(url->scheme, "https") == 0);
    fuzz_url_must(url->target[0] == '/');
    fuzz_url_must(fuzz_url_clean(url->text) && fuzz_url_clean(url->target));
    fuzz_url_must(fuzz_url_clean(url->authority) && *url->authority != '\0');
    fuzz_url_must(strpbrk(url->authority, "/?#@\\") == NULL);
    fuzz_url_must(strchr(url->target, '#') == NULL);
    fuzz_url_must(strrchr(url->address, ':') != NULL);
}

/* What was parsed parses to the same. */
static inline void fuzz_url_same(struct skua__http_arena *arena, const struct skua__client_url *url)
{
    struct skua__client_url again;

    fuzz_url_must(skua__client_url_parse(&again, arena, url->text) == 0);
    fuzz_url_must(strcmp(again.scheme, url->scheme) == 0);
    fuzz_url_must(strcmp(again.address, url->address) == 0);
    fuzz_url_must(strcmp(again.authority, url->authority) == 0);
    fuzz_url_must(strcmp(again.target, url->target) == 0);
}

/* `text` as a URL, and as a reference. */
static inline void fuzz_url_one(const char *text)
{
    struct skua__http_arena arena = {.blocks = NULL};
    struct skua__client_url base, url;

    if (skua__client_url_parse(&url, &arena, text) == 0) {
        fuzz_url_holds(&url);
        fuzz_url_same(&arena, &url);
    }
    fuzz_url_must(skua__client_url_parse(&base, &arena, "http://a.test:8080/b/c/d;p?q") == 0);
    if (skua__client_url_resolve(&url, &arena, &base, text) == 0) {
        fuzz_url_holds(&url);
        fuzz_url_same(&arena, &url);
    }
    skua__http_arena_free(&arena);
}

#endif
