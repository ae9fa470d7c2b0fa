/* extract.h - values out of a request, of the type that is wanted: or a 400 that says why not.
 *
 *     static int list(skua_http_exchange *exchange, void *db)
 *     {
 *         const char *tag = NULL;
 *         int64_t limit = 20;                                    -- stays, when it is not said
 *         uint64_t user;
 *         int rc;
 *
 *         if ((rc = skua_http_get_uint64(exchange, SKUA_HTTP_PATH | SKUA_HTTP_REQUIRED, "user",
 *                                        &user, UINT64_MAX)) < 0 ||
 *             (rc = skua_http_get_int64(exchange, SKUA_HTTP_QUERY, "limit", &limit, 1, 100)) < 0 ||
 *             (rc = skua_http_get_string(exchange, SKUA_HTTP_QUERY, "tag", &tag, 40)) < 0)
 *             return rc;              -- 400 Bad Request: "limit" in the query is no number …
 *         return reply_with(exchange, db, user, limit, tag);
 *     }
 *
 * A handler that returns what an extractor has returned gets an error page with the reason
 * (skua_http_fail, layer.h's pages). Of several values with the name the first counts.
 *
 * Source     axum's extractors; RFC 6265 for cookies; the URL standard, 5, for forms.
 */
#ifndef SKUA_HTTP_EXTRACT_H
#define SKUA_HTTP_EXTRACT_H

#include <skua/http/exchange.h>

SKUA_C_BEGIN

/* Where a value is looked for; and SKUA_HTTP_REQUIRED. */
enum {
    SKUA_HTTP_PATH = 1, /* a parameter of the route */
    SKUA_HTTP_QUERY,
    SKUA_HTTP_HEADER,
    SKUA_HTTP_COOKIE,
    SKUA_HTTP_FORM, /* the body, after skua_http_read_form */
    SKUA_HTTP_REQUIRED = 0x100
};

/* Fails with a status and a reason: a handler that returns the code before it has begun a response
 * gets that error page.
 *
 * code       below 0
 * status     400 to 599
 * reason     for people; copied. Without memory the page is that of the code
 * Returns    code; -EINVAL when it or the status is none
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_fail(skua_http_exchange *exchange, int code, int status, const char *reason);

/* A text.
 *
 * from       where from, and perhaps SKUA_HTTP_REQUIRED
 * name       of a header in any case; of the others byte by byte
 * ret        receives it, which lives as long as the exchange; untouched when it returns no 1
 * max        bytes at most
 * Returns    1; 0: there is none, and it is not required; -EINVAL: there is none, or it is too
 *            long, or malformed (400); SKUA_EUSAGE: no such place; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_get_string(skua_http_exchange *exchange, unsigned from, const char *name,
                                  const char **ret, size_t max);

/* A whole number: decimal digits, perhaps behind a '-'.
 *
 * min, max   the least and the most
 * Returns    as skua_http_get_string; -EINVAL also when it is no number, or out of range
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_get_int64(skua_http_exchange *exchange, unsigned from, const char *name,
                                 int64_t *ret, int64_t min, int64_t max);

/* The same without a sign.
 *
 * max        the most
 * Returns    as skua_http_get_int64
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_get_uint64(skua_http_exchange *exchange, unsigned from, const char *name,
                                  uint64_t *ret, uint64_t max);

/* A number: "-1.5", "2e3", with a point whatever the locale. Neither infinite nor hexadecimal.
 *
 * min, max   the least and the most
 * Returns    as skua_http_get_int64
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_get_double(skua_http_exchange *exchange, unsigned from, const char *name,
                                  double *ret, double min, double max);

/* "true" or "1", "false" or "0".
 *
 * ret        receives 1 or 0
 * Returns    as skua_http_get_int64
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_get_bool(skua_http_exchange *exchange, unsigned from, const char *name,
                                int *ret);

/* Reads a body of the type application/x-www-form-urlencoded, for SKUA_HTTP_FORM.
 *
 * limit      bytes at most
 * Returns    0; -EINVAL: it has another type (415); else as skua_http_read_all
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API SKUA_NODISCARD int skua_http_read_form(skua_http_exchange *exchange, size_t limit);

/* ---- cookies --------------------------------------------------------------------------------- */

typedef enum skua_http_same_site {
    SKUA_HTTP_SAME_SITE_LAX = 0, /* with links from other sites, but not with their forms */
    SKUA_HTTP_SAME_SITE_STRICT,
    SKUA_HTTP_SAME_SITE_NONE /* with everything; not together with insecure */
} skua_http_same_site;

/* Zero is what is safest. */
typedef struct skua_http_cookie_options {
    size_t size;        /* SKUA_HTTP_COOKIE_OPTIONS sets it */
    const char *path;   /* default "/" */
    const char *domain; /* default: this host alone, none below */
    int64_t max_age;    /* ns, in whole seconds; 0: until the browser ends; below 0: take it away */
    unsigned insecure;  /* 1: also over connections without TLS (no Secure) */
    unsigned scripts;   /* 1: scripts may read it (no HttpOnly) */
    skua_http_same_site same_site;
} skua_http_cookie_options;

#define SKUA_HTTP_COOKIE_OPTIONS(...)                                                              \
    (&(const skua_http_cookie_options){.size = sizeof(skua_http_cookie_options), __VA_ARGS__})

/* Sets a cookie of the response.
 *
 * name       a token. One that begins with "__Secure-" or "__Host-" must be what that says
 * value      letters, digits and signs but blanks, '"', ',', ';' and '\\'
 * options    NULL: all defaults
 * Returns    0; -EINVAL; -EALREADY: the response was begun; -ENOMEM
 * Threads    the handler's
 * Since      0.3
 */
SKUA_API int skua_http_set_cookie(skua_http_exchange *exchange, const char *name, const char *value,
                                  const skua_http_cookie_options *options);

SKUA_C_END

#endif
