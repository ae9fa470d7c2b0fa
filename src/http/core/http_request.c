/* http_request.c - an exchange's request: what a handler asks, and its body.
 *
 * The carrier has set everything before the handler is called; the body it brings in piece by
 * piece. A body that has failed fails again, whoever reads it: nobody takes half for the whole.
 */
#include "http/core/http_impl.h"

/* ---- the request ----------------------------------------------------------------------------- */

const char *skua_http_method(const skua_http_exchange *exchange)
{
    return exchange->method;
}

const char *skua_http_path(const skua_http_exchange *exchange)
{
    return exchange->path;
}

const char *skua_http_query(const skua_http_exchange *exchange)
{
    return exchange->query;
}

const char *skua_http_authority(const skua_http_exchange *exchange)
{
    return exchange->authority;
}

const char *skua_http_scheme(const skua_http_exchange *exchange)
{
    return exchange->secure ? "https" : "http";
}

int skua_http_version(const skua_http_exchange *exchange)
{
    return exchange->version;
}

const char *skua_http_peer(const skua_http_exchange *exchange)
{
    return exchange->peer;
}

const char *skua_http_header(const skua_http_exchange *exchange, const char *name)
{
    const struct skua__http_field *field =
        skua__http_fields_find(&exchange->request, name, strlen(name), 0);

    return field != NULL ? field->value : NULL;
}

int skua_http_header_at(const skua_http_exchange *exchange, size_t index, const char **name,
                        const char **value)
{
    if (index >= exchange->request.count)
        return 0;
    *name = exchange->request.at[index].name;
    *value = exchange->request.at[index].value;
    return 1;
}

const char *skua_http_param(const skua_http_exchange *exchange, const char *name)
{
    for (unsigned i = 0; i < exchange->params_count; i++)
        if (strcmp(exchange->params[i].name, name) == 0)
            return exchange->params[i].value;
    return NULL;
}

const char *skua_http_query_value(skua_http_exchange *exchange, const char *name)
{
    const char *at = exchange->query;
    size_t wanted = strlen(name);

    while (*at != '\0') {
        size_t len = strcspn(at, "&");
        size_t key = strcspn(at, "&=");
        char *text = skua__http_arena_copy(&exchange->arena, at, len);
        ssize_t n;

        if (text == NULL)
            return NULL;
        n = skua__http_decode(text, text, key, true);
        if (n == (ssize_t)wanted && memcmp(text, name, wanted) == 0) {
            if (key == len)
                return "";
            n = skua__http_decode(text, at + key + 1, len - key - 1, true);
            if (n < 0)
                return NULL;
            text[n] = '\0';
            return text;
        }
        at += len;
        at += *at == '&';
    }
    return NULL;
}

/* ---- the request's body ---------------------------------------------------------------------- */

int skua_http_set_body_max(skua_http_exchange *exchange, int64_t max)
{
    if (max < -1)
        return -EINVAL;
    exchange->body_max = max;
    return 0;
}

const char *skua_http_trailer(const skua_http_exchange *exchange, const char *name)
{
    const struct skua__http_field *field =
        skua__http_fields_find(&exchange->trailers, name, strlen(name), 0);

    return field != NULL ? field->value : NULL;
}

int64_t skua_http_body_length(const skua_http_exchange *exchange)
{
    return exchange->body_length;
}

ssize_t skua_http_read(skua_http_exchange *exchange, void *buf, size_t len)
{
    ssize_t n;

    if (exchange->body_error != 0)
        return exchange->body_error;
    if (len == 0 || exchange->body_ended)
        return 0;
    if (exchange->body_max >= 0 && exchange->body_length > exchange->body_max) {
        exchange->body_error = SKUA_ELIMIT;
        return SKUA_ELIMIT;
    }
    n = exchange->carrier->read(exchange, buf, len);
    if (n == 0)
        exchange->body_ended = true;
    if (n < 0 && n != -ECANCELED && n != -ETIMEDOUT)
        exchange->body_error = (int)n;
    if (n > 0)
        exchange->body_read += n;
    if (exchange->body_max >= 0 && exchange->body_read > exchange->body_max) {
        exchange->body_error = SKUA_ELIMIT;
        return SKUA_ELIMIT;
    }
    return n;
}

int skua_http_read_all(skua_http_exchange *exchange, char **ret, size_t *len, size_t limit)
{
    size_t room = 4096;
    size_t used = 0;
    char *text;
    ssize_t n;

    if (exchange->body_length >= 0) {
        if ((uint64_t)exchange->body_length > limit)
            return SKUA_ELIMIT;
        room = (size_t)exchange->body_length + 1;
    }
    text = skua__http_arena_alloc(&exchange->arena, room);
    while (text != NULL) {
        n = skua_http_read(exchange, text + used, room - used);
        if (n < 0)
            return (int)n;
        used += (size_t)n;
        if (used > limit)
            return SKUA_ELIMIT;
        if (n == 0 && used < room)
            break;
        if (used == room) {
            char *more = skua__http_arena_alloc(&exchange->arena, 2 * room);

            if (more != NULL)
                memcpy(more, text, used);
            text = more;
            room *= 2;
        }
    }
    if (text == NULL)
        return -ENOMEM;
    text[used] = '\0';
    *ret = text;
    if (len != NULL)
        *len = used;
    return 0;
}
