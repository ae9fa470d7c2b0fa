/* client_url.c - URLs: cut, checked, and resolved against the one before.
 *
 * What is wanted of a URL is an address to connect to, a Host header and a target; it is not
 * normalised beyond the case of its host and the dots of a relative path. A user in it is refused:
 * "http://example.org@evil.test/" is meant to be misread.
 *
 * Source: RFC 3986 (3, 5.2).
 */
#include <stdio.h>

#include "http/client/client_impl.h"

/* A URL's length; so that sums cannot overflow. */
#define URL_MAX ((size_t)1 << 20)
#define URL_HOST_MAX ((size_t)255)

static const char url_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static void url_lower(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text | 0x20);
}

/* Visible ASCII only. */
static bool url_is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* The length of "scheme:" without the colon; 0: there is none. */
static size_t url_scheme_len(const char *text)
{
    size_t len = strspn(text, url_letters);

    len += strspn(text + len, "+-.");
    while (text[len] != ':' && strspn(text + len, url_letters) != 0) {
        len += strspn(text + len, url_letters);
        len += strspn(text + len, "+-.");
    }
    return text[len] == ':' && (text[0] < '0' || text[0] > '9') ? len : 0;
}

/* The length of a host at the front; 0: it is none. */
static size_t url_host_len(const char *text)
{
    size_t len;

    if (*text != '[') {
        len = strspn(text, url_letters);
        while (text[len] != '\0' && strchr("-._~", text[len]) != NULL)
            len += 1 + strspn(text + len + 1, url_letters);
        return len <= URL_HOST_MAX ? len : 0;
    }
    len = strspn(text + 1, "0123456789abcdefABCDEF:.") + 1;
    return text[len] == ']' && len > 2 && len < 64 ? len + 1 : 0;
}

/* Fills in address and authority: 0, -EINVAL or -ENOMEM. *used: their bytes of `text`. */
static int url_authority(struct skua__client_url *url, struct skua__http_arena *arena,
                         const char *text, size_t *used)
{
    int64_t own = strcmp(url->scheme, "https") == 0 ? 443 : 80;
    size_t host = url_host_len(text);
    size_t digits = 0;
    int64_t port = own;
    char *address;
    char *authority;

    if (host == 0)
        return -EINVAL;
    if (text[host] == ':') {
        digits = strspn(text + host + 1, "0123456789");
        if (digits != 0)
            port = skua__http_number(text + host + 1, digits);
        if (port <= 0 || port > 65535)
            return -EINVAL;
        digits++;
    }
    *used = host + digits;
    if (text[*used] != '\0' && strchr("/?#", text[*used]) == NULL)
        return -EINVAL; /* a user, or what no host has */
    address = skua__http_arena_alloc(arena, host + 8);
    authority = skua__http_arena_alloc(arena, host + 8);
    if (address == NULL || authority == NULL)
        return -ENOMEM;
    (void)snprintf(address, host + 8, "%.*s:%d", (int)host, text, (int)port);
    url_lower(address);
    memcpy(authority, address, host + 8);
    if (port == own)
        authority[host] = '\0';
    url->address = address;
    url->authority = authority;
    return 0;
}

/* Path and query at `text`, up to a fragment; and all of it together. */
static int url_target(struct skua__client_url *url, struct skua__http_arena *arena,
                      const char *text)
{
    size_t len = strcspn(text, "#");
    bool slash = *text != '/';
    char *target = skua__http_arena_alloc(arena, len + 2);
    size_t all = strlen(url->scheme) + strlen(url->authority) + len + 5;
    char *whole = skua__http_arena_alloc(arena, all);

    if (target == NULL || whole == NULL)
        return -ENOMEM;
    target[0] = '/';
    memcpy(target + slash, text, len);
    target[slash + len] = '\0';
    (void)snprintf(whole, all, "%s://%s%s", url->scheme, url->authority, target);
    url->target = target;
    url->text = whole;
    return 0;
}

int skua__client_url_parse(struct skua__client_url *url, struct skua__http_arena *arena,
                           const char *text)
{
    size_t scheme = text != NULL ? url_scheme_len(text) : 0;
    size_t used = 0;
    char *name;
    int rc;

    if (scheme == 0 || strlen(text) > URL_MAX || !url_is_clean(text))
        return -EINVAL;
    name = skua__http_arena_copy(arena, text, scheme);
    if (name == NULL)
        return -ENOMEM;
    url_lower(name);
    if (!skua__client_scheme_known(name))
        return -EPROTONOSUPPORT;
    if (strncmp(text + scheme, "://", 3) != 0)
        return -EINVAL;
    url->scheme = name;
    text += scheme + 3;
    rc = url_authority(url, arena, text, &used);
    return rc == 0 ? url_target(url, arena, text + used) : rc;
}

bool skua__client_url_same_origin(const struct skua__client_url *a,
                                  const struct skua__client_url *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->address, b->address) == 0;
}

/* ---- references ------------------------------------------------------------------------------ */

/* A copy without what no URL has: blanks and bytes over 127 become "%20" …; NULL: no memory. */
static char *url_encoded(struct skua__http_arena *arena, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = skua__http_arena_alloc(arena, 3 * strlen(text) + 1);
    char *at = out;

    for (; out != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c <= 0x20 || c >= 0x7f) {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        } else {
            *at++ = (char)c;
        }
    }
    if (out != NULL)
        *at = '\0';
    return out;
}

/* Takes "." and ".." out of a path that begins with a slash, in place; what stands behind a '?'
 * stays: RFC 3986, 5.2.4. */
static void url_remove_dots(char *path)
{
    char *in = path;
    char *out = path;

    while (*in == '/') {
        size_t len = strcspn(in + 1, "/?");
        bool last = in[1 + len] != '/';

        if (len == 1 && in[1] == '.') {
            in += 2;
        } else if (len == 2 && in[1] == '.' && in[2] == '.') {
            in += 3;
            while (out > path && *--out != '/')
                ;
        } else {
            memmove(out, in, len + 1);
            out += len + 1;
            in += len + 1;
            continue;
        }
        if (last)
            *out++ = '/';
    }
    memmove(out, in, strlen(in) + 1);
}

/* A path or query, relative to the base's. */
static char *url_merged(struct skua__http_arena *arena, const char *base, const char *reference)
{
    size_t path = strcspn(base, "?");
    char *text;

    if (*reference == '\0' || *reference == '#')
        path = strlen(base);
    else if (*reference == '/')
        path = 0;
    else if (*reference != '?')
        while (path > 0 && base[path - 1] != '/')
            path--;
    text = skua__http_arena_alloc(arena, path + strlen(reference) + 1);
    if (text != NULL) {
        memcpy(text, base, path);
        memcpy(text + path, reference, strlen(reference) + 1);
        text[strcspn(text, "#")] = '\0';
        url_remove_dots(text);
    }
    return text;
}

int skua__client_url_resolve(struct skua__client_url *url, struct skua__http_arena *arena,
                             const struct skua__client_url *base, const char *reference)
{
    char *text = strlen(reference) <= URL_MAX / 4 ? url_encoded(arena, reference) : NULL;
    char *whole;
    size_t scheme;

    if (text == NULL)
        return strlen(reference) <= URL_MAX / 4 ? -ENOMEM : -EINVAL;
    if (url_scheme_len(text) != 0)
        return skua__client_url_parse(url, arena, text);
    if (strncmp(text, "//", 2) == 0) {
        scheme = strlen(base->scheme);
        whole = skua__http_arena_alloc(arena, scheme + strlen(text) + 2);
        if (whole == NULL)
            return -ENOMEM;
        memcpy(whole, base->scheme, scheme);
        whole[scheme] = ':';
        memcpy(whole + scheme + 1, text, strlen(text) + 1);
        return skua__client_url_parse(url, arena, whole);
    }
    text = url_merged(arena, base->target, text);
    if (text == NULL)
        return -ENOMEM;
    *url = *base;
    return url_target(url, arena, text);
}

#undef URL_MAX
#undef URL_HOST_MAX
