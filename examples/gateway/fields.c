/* fields.c - which headers go along, and which are ours.
 *
 *   dropped    what is about one connection (RFC 9110, 7.6.1): Connection and all that it lists,
 *              Keep-Alive, TE, Trailer, Transfer-Encoding, Upgrade ...; what the client of this
 *              library says itself: Content-Length, Expect; names with an underscore, which some
 *              upstreams take for the ones with a hyphen: X_Forwarded_For
 *   ours       Host stays what the client asked for; X-Forwarded-For, -Proto, -Host, Forwarded
 *              (RFC 7239): a client's own are not believed unless the route trusts it; Via
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway.h"

#define LISTED_MAX 16
#define OURS 8 /* fields that are added */

/* ---- hop by hop ------------------------------------------------------------------------------ */

bool field_lists(const char *list, const char *token)
{
    size_t len = strlen(token);

    for (;;) {
        size_t word;

        list += strspn(list, " \t,");
        if (*list == '\0')
            return false;
        word = strcspn(list, " \t,");
        if (word == len && strncasecmp(list, token, len) == 0)
            return true;
        list += word;
    }
}

bool field_is_hop(const char *name, const char *const *listed, size_t count)
{
    static const char *const hops[] = {"connection",
                                       "keep-alive",
                                       "proxy-connection",
                                       "te",
                                       "trailer",
                                       "transfer-encoding",
                                       "upgrade",
                                       "expect",
                                       "content-length",
                                       "proxy-authenticate",
                                       "proxy-authorization",
                                       "http2-settings"};

    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        if (strcasecmp(name, hops[i]) == 0)
            return true;
    for (size_t i = 0; i < count; i++)
        if (field_lists(listed[i], name))
            return true;
    return false;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* "said, more", or `more` alone: the exchange's. */
static const char *field_join(skua_http_exchange *exchange, const char *said, const char *more)
{
    size_t size = (said != NULL ? strlen(said) + 2 : 0) + strlen(more) + 1;
    char *text = skua_http_alloc(exchange, size);

    if (text != NULL)
        (void)snprintf(text, size, "%s%s%s", said != NULL ? said : "", said != NULL ? ", " : "",
                       more);
    return text;
}

const char *field_via(skua_http_exchange *exchange, const char *said, int version, const char *name)
{
    char ours[NAME_SIZE + 8];

    if (version == 20)
        (void)snprintf(ours, sizeof ours, "2 %s", name);
    else
        (void)snprintf(ours, sizeof ours, "1.%d %s", version % 10, name);
    return field_join(exchange, said, ours);
}

/* All headers of the request with the name, as one list; NULL in *ret: there is none. */
static int field_all(skua_http_exchange *exchange, const char *name, const char **ret)
{
    const char *at, *value;

    *ret = NULL;
    for (size_t i = 0; skua_http_header_at(exchange, i, &at, &value); i++)
        if (strcasecmp(at, name) == 0) {
            *ret = field_join(exchange, *ret, value);
            if (*ret == NULL)
                return -ENOMEM;
        }
    return 0;
}

/* The client's address without its port: "192.0.2.7" or "2001:db8::1". */
static void field_peer(const skua_http_exchange *exchange, char *buf, size_t size)
{
    const char *peer = skua_http_peer(exchange);
    size_t skip = *peer == '[';
    const char *end = skip ? strchr(peer, ']') : strrchr(peer, ':');

    if (end == NULL || end == peer)
        (void)snprintf(buf, size, "unknown");
    else
        (void)snprintf(buf, size, "%.*s", (int)(end - peer - (ptrdiff_t)skip), peer + skip);
}

const char *field_client(skua_http_exchange *exchange, void *arg)
{
    const struct route *route = arg;
    const char *said = NULL, *last;
    char *peer;

    if (route->trust)
        (void)field_all(exchange, "x-forwarded-for", &said);
    if (said != NULL) {
        last = strrchr(said, ',');
        return last != NULL ? last + 1 + strspn(last + 1, " \t") : said;
    }
    peer = skua_http_alloc(exchange, NAME_SIZE);
    if (peer != NULL)
        field_peer(exchange, peer, NAME_SIZE);
    return peer;
}

/* ---- the request's --------------------------------------------------------------------------- */

/* What is said of where a request came from; by us alone, whatever the client says. */
static bool field_is_ours(const char *name)
{
    static const char *const ours[] = {"host",
                                       "via",
                                       "x-forwarded-for",
                                       "x-forwarded-proto",
                                       "forwarded",
                                       "x-forwarded-host",
                                       "x-forwarded-port",
                                       "x-real-ip"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    return strchr(name, '_') != NULL;
}

static int field_put(struct fields *fields, const char *name, const char *value)
{
    if (value == NULL)
        return -ENOMEM;
    fields->at[fields->count++] = (skua_http_field){name, value};
    return 0;
}

/* Ours behind the client's, if it is trusted; else ours alone. */
static int field_add(skua_http_exchange *exchange, const struct route *route, struct fields *fields,
                     const char *name, const char *ours)
{
    const char *said = NULL;
    int rc = route->trust ? field_all(exchange, name, &said) : 0;

    return rc != 0 ? rc : field_put(fields, name, field_join(exchange, said, ours));
}

/* The first that a trusted client has said; else ours. */
static int field_keep(skua_http_exchange *exchange, const struct route *route,
                      struct fields *fields, const char *name, const char *ours)
{
    const char *said = route->trust ? skua_http_header(exchange, name) : NULL;

    return field_put(fields, name, said != NULL ? said : ours);
}

static int fields_forwarded(skua_http_exchange *exchange, const struct route *route,
                            struct fields *fields)
{
    const char *host = skua_http_authority(exchange);
    const char *proto = skua_http_scheme(exchange);
    char peer[NAME_SIZE], forwarded[512];
    bool v6;
    int rc;

    field_peer(exchange, peer, sizeof peer);
    v6 = strchr(peer, ':') != NULL;
    if (*host == '\0' || strlen(host) > 255 || strpbrk(host, "\"\\") != NULL)
        (void)snprintf(forwarded, sizeof forwarded, "for=%s%s%s;proto=%s", v6 ? "\"[" : "", peer,
                       v6 ? "]\"" : "", proto);
    else
        (void)snprintf(forwarded, sizeof forwarded, "for=%s%s%s;host=\"%s\";proto=%s",
                       v6 ? "\"[" : "", peer, v6 ? "]\"" : "", host, proto);
    rc = field_add(exchange, route, fields, "Forwarded", forwarded);
    if (rc == 0)
        rc = field_add(exchange, route, fields, "X-Forwarded-For", peer);
    if (rc == 0)
        rc = field_keep(exchange, route, fields, "X-Forwarded-Proto", proto);
    if (rc == 0 && *host != '\0')
        rc = field_keep(exchange, route, fields, "X-Forwarded-Host", host);
    if (rc == 0 && *host != '\0')
        rc = field_put(fields, "Host", host);
    return rc;
}

int fields_of_request(skua_http_exchange *exchange, const struct gateway *gateway,
                      const struct route *route, struct fields *ret)
{
    const char *listed[LISTED_MAX], *name, *value, *said;
    size_t listed_count = 0, count = 0;
    int rc;

    for (; skua_http_header_at(exchange, count, &name, &value); count++)
        if (strcasecmp(name, "connection") == 0) {
            if (listed_count == LISTED_MAX)
                return -EINVAL;
            listed[listed_count++] = value;
        }
    ret->count = 0;
    ret->at = skua_http_alloc(exchange, (count + OURS) * sizeof *ret->at);
    if (ret->at == NULL)
        return -ENOMEM;
    for (size_t i = 0; skua_http_header_at(exchange, i, &name, &value); i++)
        if (!field_is_ours(name) && !field_is_hop(name, listed, listed_count))
            (void)field_put(ret, name, value);
    rc = field_all(exchange, "via", &said);
    if (rc == 0)
        rc = field_put(ret, "Via",
                       field_via(exchange, said, skua_http_version(exchange), gateway->via));
    return rc == 0 ? fields_forwarded(exchange, route, ret) : rc;
}
