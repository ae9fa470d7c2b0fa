/* cookies.h - a jar of cookies: what servers want to be told again.
 *
 *     skua_http_cookies *jar;
 *
 *     rc = skua_http_cookies_new(&jar);
 *     ...
 *     rc = skua_http_client_new(&client, SKUA_HTTP_CLIENT_OPTIONS(.cookies = jar));
 *
 * A client with a jar keeps what its responses set, those of redirects, too, and sends it with the
 * requests it is for, unless a request has a Cookie header of its own. Several clients may share a
 * jar. Nothing is written to a disk: a session ends with the jar.
 *
 * Public     There is no list of public suffixes: a server at a.example.co.uk may set a cookie for
 *   suffix   co.uk, which b.co.uk then gets. Domains without a dot ("com") are refused. Whoever
 *            talks to servers that do not trust each other gives each its own jar.
 * Secure     A cookie that is for secure connections is neither taken nor sent over "http".
 * Bound      4,096 bytes a cookie, 50 cookies a domain, 1,000 in all: the oldest ones go.
 * Source     RFC 6265; its revision (rfc6265bis) for Secure and the prefixes "__Secure-" and
 *            "__Host-".
 */
#ifndef SKUA_HTTP_COOKIES_H
#define SKUA_HTTP_COOKIES_H

#include <skua/base.h>

SKUA_C_BEGIN

typedef struct skua_http_cookies skua_http_cookies;

/* Makes an empty jar.
 *
 * ret        receives it, to be ended by skua_http_cookies_free; untouched on failure
 * Returns    0; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_cookies_new(skua_http_cookies **ret);

/* Frees a jar, and the cookies in it.
 *
 * jar        gone afterwards, not before the clients that have it; NULL does nothing
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_cookies_free(skua_http_cookies *jar);

/* Takes a cookie as a response brings it.
 *
 * url        where the response came from
 * text       the value of its Set-Cookie header
 * Returns    1: it was taken, or has taken one out; 0: it is not for that server to set, or no
 *            cookie; -EINVAL, -EPROTONOSUPPORT: no such URL; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API int skua_http_cookies_put(skua_http_cookies *jar, const char *url, const char *text);

/* What a request takes along: "a=b; c=d", those with longer paths first.
 *
 * url        where the request goes
 * buf, size  receives the text with its NUL, as much as has room; may be NULL when size is 0
 * Returns    the length of the whole text; 0: none; -EINVAL, -EPROTONOSUPPORT; -ENOMEM
 * Threads    any
 * Since      0.3
 */
SKUA_API ssize_t skua_http_cookies_get(skua_http_cookies *jar, const char *url, char *buf,
                                       size_t size);

/* How many there are.
 *
 * Returns    the count, without those whose time is over
 * Threads    any
 * Since      0.3
 */
SKUA_API size_t skua_http_cookies_count(skua_http_cookies *jar);

/* Takes them all out.
 *
 * Threads    any
 * Since      0.3
 */
SKUA_API void skua_http_cookies_clear(skua_http_cookies *jar);

SKUA_C_END

#endif
