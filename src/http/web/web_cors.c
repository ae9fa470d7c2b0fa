/* web_cors.c - cross-origin requests, as the Fetch standard (3.2) has them.
 *
 * The headers are added when the head is sent, so that error pages have them, too: without them a
 * script sees no status. What depends on the origin says so (Vary), also when there was none: a
 * cache must not give one's response to another.
 */
#include <stdio.h>

#include <skua/http/middleware.h>
#include <skua/time.h>

#include "http/web/web_impl.h"

static bool cors_any(const skua_http_cors *cors)
{
    return cors->origins != NULL && strcmp(cors->origins, "*") == 0;
}

/* Origins compare byte by byte: browsers send them in one form. */
static bool cors_has(const char *list, const char *origin)
{
    size_t wanted = strlen(origin);

    while (*(list += strspn(list, ", \t")) != '\0') {
        size_t len = strcspn(list, ", \t");

        if (len == wanted && memcmp(list, origin, len) == 0)
            return true;
        list += len;
    }
    return false;
}

static bool cors_allows(const skua_http_cors *cors, const char *origin)
{
    if (cors_any(cors) || (cors->origins != NULL && cors_has(cors->origins, origin)))
        return true;
    return cors->allowed != NULL && cors->allowed(origin, cors->arg) != 0;
}

/* Who may read the response. */
static void cors_origin(skua_http_exchange *exchange, const skua_http_cors *cors,
                        const char *origin)
{
    int rc = skua_http_set_header(exchange, "Access-Control-Allow-Origin",
                                  cors_any(cors) ? "*" : origin);

    if (rc == 0 && cors->credentials != 0)
        (void)skua_http_set_header(exchange, "Access-Control-Allow-Credentials", "true");
}

static void cors_head(skua_http_exchange *exchange, void *state)
{
    const skua_http_cors *cors = state;
    const char *origin = skua_http_header(exchange, "Origin");

    /* What cannot be said for want of memory, is not: the browser allows less then. */
    if (!cors_any(cors) && skua_http_add_header(exchange, "Vary", "Origin") != 0)
        return;
    if (origin == NULL || !cors_allows(cors, origin))
        return;
    cors_origin(exchange, cors, origin);
    if (cors->expose != NULL)
        (void)skua_http_set_header(exchange, "Access-Control-Expose-Headers", cors->expose);
}

static int cors_preflight(skua_http_exchange *exchange, const skua_http_cors *cors,
                          const char *origin)
{
    const char *headers = cors->headers;
    char seconds[24];
    int rc = skua_http_add_header(exchange, "Vary",
                                  "Origin, Access-Control-Request-Method, "
                                  "Access-Control-Request-Headers");

    if (rc != 0 || !cors_allows(cors, origin))
        return rc != 0 ? rc : skua_http_reply(exchange, 204, NULL, NULL, 0);
    cors_origin(exchange, cors, origin);
    rc = skua_http_set_header(exchange, "Access-Control-Allow-Methods",
                              cors->methods != NULL ? cors->methods : "GET, HEAD, POST");
    if (headers != NULL && strcmp(headers, "*") == 0) /* with credentials "*" would be a name */
        headers = skua_http_header(exchange, "Access-Control-Request-Headers");
    if (rc == 0 && headers != NULL)
        rc = skua_http_set_header(exchange, "Access-Control-Allow-Headers", headers);
    (void)snprintf(seconds, sizeof seconds, "%lld", (long long)(cors->max_age / SKUA_SECOND));
    if (rc == 0 && cors->max_age != 0)
        rc = skua_http_set_header(exchange, "Access-Control-Max-Age", seconds);
    return rc == 0 ? skua_http_reply(exchange, 204, NULL, NULL, 0) : rc;
}

int skua_http_cors_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    const skua_http_cors *cors = state;
    const char *origin = skua_http_header(exchange, "Origin");
    int rc;

    /* Any origin with the visitor's cookies: every page could act as the visitor. */
    if (cors->size != sizeof *cors || (cors_any(cors) && cors->credentials != 0) ||
        cors->max_age < 0)
        return SKUA_EUSAGE;
    if (origin != NULL && strcmp(exchange->method, "OPTIONS") == 0 &&
        skua_http_header(exchange, "Access-Control-Request-Method") != NULL)
        return cors_preflight(exchange, cors, origin);
    rc = skua_http_on_head(exchange, cors_head, state);
    return rc == 0 ? skua_http_chain_run(exchange, rest) : rc;
}
