/* client_fields.c - the headers of a request: the client's own, the defaults, the request's.
 *
 * Strings are not copied: they are constants, the client's, or the request's.
 */
#include "http/client/client_impl.h"

/* What is about the connection and the body's end is not for users to say. */
static const char *const fields_ours[] = {"connection", "content-length",    "expect",
                                          "keep-alive", "proxy-connection",  "te",
                                          "trailer",    "transfer-encoding", "upgrade"};

static bool fields_are(const char *name, const char *other)
{
    size_t len = strlen(name);

    return len == strlen(other) && skua__http_same(name, other, len);
}

int skua__client_fields_check(const skua_http_field *fields, size_t count, bool call)
{
    if (count != 0 && fields == NULL)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        const char *name = fields[i].name;
        const char *value = fields[i].value;

        if (name == NULL || value == NULL || strlen(name) > UINT16_MAX ||
            strlen(value) > UINT32_MAX / 2 || !skua__http_is_token(name, strlen(name)) ||
            !skua__http_is_value(value, strlen(value)))
            return -EINVAL;
        if (call && fields_are(name, "te") && strcmp(value, "trailers") == 0)
            continue; /* RFC 9113, 8.2.2 */
        for (size_t k = 0; k < sizeof fields_ours / sizeof fields_ours[0]; k++)
            if (fields_are(name, fields_ours[k]))
                return -EINVAL;
    }
    return 0;
}

/* Whether a header is for this step of the request. */
static bool fields_go(const struct skua__client_step *step, const char *name)
{
    if (step->proxy != NULL && fields_are(name, "proxy-authorization"))
        return !step->tunnel; /* the proxy's, whoever is asked through it, and nobody else's */
    if (step->foreign && (fields_are(name, "authorization") || fields_are(name, "cookie") ||
                          fields_are(name, "proxy-authorization") || fields_are(name, "host")))
        return false;
    return !step->bare || strlen(name) < 8 || !skua__http_same(name, "content-", 8);
}

static int fields_add(struct skua__http_fields *ret, struct skua__http_arena *arena,
                      const char *name, const char *value)
{
    struct skua__http_field *field = skua__http_fields_add(ret, arena);

    if (field == NULL)
        return -ENOMEM;
    *field =
        (struct skua__http_field){name, value, (uint32_t)strlen(name), (uint32_t)strlen(value)};
    return 0;
}

const char *skua__client_fields_proxy(const skua_http_client *client,
                                      const skua_http_request *request)
{
    for (size_t i = 0; i < request->headers_count; i++)
        if (fields_are(request->headers[i].name, "proxy-authorization"))
            return request->headers[i].value;
    for (size_t i = 0; i < client->options.headers_count; i++)
        if (fields_are(client->options.headers[i].name, "proxy-authorization"))
            return client->options.headers[i].value;
    return NULL;
}

/* Unless the request says so itself. */
static int fields_default(struct skua__http_fields *ret, struct skua__http_arena *arena,
                          const skua_http_request *request, const struct skua__client_step *step,
                          const char *name, const char *value)
{
    if (!fields_go(step, name))
        return 0;
    for (size_t i = 0; i < request->headers_count; i++)
        if (fields_are(request->headers[i].name, name) && fields_go(step, request->headers[i].name))
            return 0;
    return fields_add(ret, arena, name, value);
}

/* The same among those that are there. */
static int fields_unless_there(struct skua__http_fields *ret, struct skua__http_arena *arena,
                               const char *name, const char *value)
{
    return skua__http_fields_find(ret, name, strlen(name), 0) != NULL
               ? 0
               : fields_add(ret, arena, name, value);
}

/* The Host header is the first: RFC 9110, 7.2. */
static int fields_host(struct skua__http_fields *ret, struct skua__http_arena *arena,
                       const skua_http_client *client, const skua_http_request *request,
                       const struct skua__client_step *step)
{
    const char *host = step->url.authority;

    for (size_t i = 0; !step->foreign && i < client->options.headers_count; i++)
        if (fields_are(client->options.headers[i].name, "host"))
            host = client->options.headers[i].value;
    for (size_t i = 0; !step->foreign && i < request->headers_count; i++)
        if (fields_are(request->headers[i].name, "host"))
            host = request->headers[i].value;
    return fields_add(ret, arena, "Host", host);
}

/* What the jar has for this step, unless the request brings its own. */
static int fields_cookie(struct skua__http_fields *ret, struct skua__http_arena *arena,
                         skua_http_cookies *jar, const struct skua__client_step *step)
{
    size_t len = jar != NULL && skua__http_fields_find(ret, "cookie", 6, 0) == NULL
                     ? skua__client_cookie_get(jar, &step->url, NULL, 0)
                     : 0;
    char *text;

    if (len == 0)
        return 0;
    text = skua__http_arena_alloc(arena, len + 1);
    if (text == NULL)
        return -ENOMEM;
    /* The jar may have changed in between: then it is cut, and that is no cookie. */
    if (skua__client_cookie_get(jar, &step->url, text, len + 1) > len || *text == '\0')
        return 0;
    return fields_add(ret, arena, "Cookie", text);
}

/* A part of a coded body cannot be decoded, and to HEAD the answer is as it would be without. */
static int fields_codings(struct skua__http_fields *ret, struct skua__http_arena *arena,
                          const skua_http_client *client, const struct skua__client_step *step)
{
    const char *list = skua__coding_list();

    if (step->call || client->options.decompress < 0 || *list == '\0' ||
        strcmp(step->method, "HEAD") == 0 || skua__http_fields_find(ret, "range", 5, 0) != NULL)
        return 0;
    return fields_unless_there(ret, arena, "Accept-Encoding", list);
}

bool skua__client_fields_coded(const struct skua__http_fields *fields)
{
    const struct skua__http_field *field = skua__http_fields_find(fields, "accept-encoding", 15, 0);

    return field != NULL && field->value == skua__coding_list(); /* that very string */
}

int skua__client_fields_make(const skua_http_client *client, const skua_http_request *request,
                             const struct skua__client_step *step, struct skua__http_arena *arena,
                             struct skua__http_fields *ret)
{
    const skua_http_client_options *options = &client->options;
    int rc;

    *ret = (struct skua__http_fields){NULL, 0, 0};
    rc = fields_host(ret, arena, client, request, step);
    for (size_t i = 0; rc == 0 && i < options->headers_count; i++)
        if (!fields_are(options->headers[i].name, "host"))
            rc = fields_default(ret, arena, request, step, options->headers[i].name,
                                options->headers[i].value);
    for (size_t i = 0; rc == 0 && i < request->headers_count; i++)
        if (!fields_are(request->headers[i].name, "host") &&
            fields_go(step, request->headers[i].name))
            rc = fields_add(ret, arena, request->headers[i].name, request->headers[i].value);
    if (rc == 0 && *options->user_agent != '\0')
        rc = fields_unless_there(ret, arena, "User-Agent", options->user_agent);
    if (rc == 0)
        rc = fields_cookie(ret, arena, options->cookies, step);
    if (rc == 0)
        rc = fields_codings(ret, arena, client, step);
    return rc == 0 ? fields_unless_there(ret, arena, "Accept", "*/*") : rc;
}
