/* http_exchange.c - an exchange: what a handler answers, and what is done behind it.
 *
 *   fresh     status and headers are set; the body may be read
 *   begun     the head is with the carrier; the body is written
 *   ended     whole
 *
 * The response's length is known (Content-Length, or a reply with its whole body), or the carrier
 * marks the end. A handler that writes less than it promised has failed: the client must see that.
 * An answer to HEAD is made as that to GET, and its body swallowed here; so is that of 204 and 304.
 */
#include <stdio.h>

#include "http/core/http_trace.h"

/* Of skua_http_replyf, before it needs memory. */
#define EXCHANGE_FORMAT 512

void skua__http_exchange_reset(skua_http_exchange *exchange)
{
    skua__http_arena_reset(&exchange->arena);
    exchange->method = exchange->path = "";
    exchange->query = exchange->authority = "";
    exchange->request = (struct skua__http_fields){NULL, 0, 0};
    exchange->response = (struct skua__http_fields){NULL, 0, 0};
    exchange->response_trailers = (struct skua__http_fields){NULL, 0, 0};
    exchange->body_length = 0;
    exchange->body_read = 0;
    exchange->body_ended = true;
    exchange->body_error = 0;
    exchange->patient = false;
    exchange->trailers = (struct skua__http_fields){NULL, 0, 0};
    exchange->params_count = 0;
    exchange->route = NULL;
    exchange->status = 200;
    exchange->response_left = SKUA__HTTP_STREAMED;
    exchange->begun = exchange->ended = exchange->bodiless = exchange->coded = false;
    exchange->error = 0;
    exchange->on_head = exchange->on_end = NULL;
    exchange->notes = NULL;
    exchange->page = NULL;
    exchange->fail_code = 0;
    exchange->heading = false;
    exchange->sent = 0;
}

/* ---- the response: its head ------------------------------------------------------------------ */

static bool exchange_is(const char *name, size_t len, const char *other)
{
    return len == strlen(other) && skua__http_same(name, other, len);
}

/* 0, or -EINVAL: the server's own, or none at all. */
static int exchange_header_check(const char *name, size_t len, const char *value)
{
    if (!skua__http_is_token(name, len) || len > UINT16_MAX)
        return -EINVAL;
    if (exchange_is(name, len, "connection") || exchange_is(name, len, "transfer-encoding") ||
        exchange_is(name, len, "date"))
        return -EINVAL;
    if (value == NULL)
        return 0;
    if (!skua__http_is_value(value, strlen(value)) || strlen(value) > UINT32_MAX / 2)
        return -EINVAL;
    if (exchange_is(name, len, "content-length"))
        return skua__http_number(value, strlen(value)) >= 0 ? 0 : -EINVAL;
    return 0;
}

static int exchange_header_put(skua_http_exchange *exchange, const char *name, const char *value,
                               bool instead)
{
    size_t len = strlen(name);
    struct skua__http_field field = {.name_len = (uint32_t)len};
    struct skua__http_field *at;
    int rc = exchange->begun ? -EALREADY : exchange_header_check(name, len, value);

    if (rc != 0)
        return rc;
    if (value != NULL) {
        field.value_len = (uint32_t)strlen(value);
        field.name = skua__http_arena_copy(&exchange->arena, name, len);
        field.value = skua__http_arena_copy(&exchange->arena, value, field.value_len);
        if (field.name == NULL || field.value == NULL)
            return -ENOMEM;
    }
    if (instead || exchange_is(name, len, "content-length"))
        skua__http_fields_remove(&exchange->response, name, len);
    if (value == NULL)
        return 0;
    at = skua__http_fields_add(&exchange->response, &exchange->arena);
    if (at == NULL)
        return -ENOMEM;
    *at = field;
    return 0;
}

int skua_http_set_header(skua_http_exchange *exchange, const char *name, const char *value)
{
    return exchange_header_put(exchange, name, value, true);
}

int skua_http_add_header(skua_http_exchange *exchange, const char *name, const char *value)
{
    return value != NULL ? exchange_header_put(exchange, name, value, false) : -EINVAL;
}

/* What is not to be said behind a body, since it decides what is done with it: RFC 9110, 6.5.1. */
static bool exchange_before_body(const char *name, size_t len)
{
    static const char *const names[] = {"age",
                                        "authorization",
                                        "cache-control",
                                        "content-encoding",
                                        "content-length",
                                        "content-range",
                                        "content-type",
                                        "expect",
                                        "expires",
                                        "host",
                                        "keep-alive",
                                        "location",
                                        "max-forwards",
                                        "proxy-connection",
                                        "retry-after",
                                        "set-cookie",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "vary",
                                        "warning",
                                        "www-authenticate"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (exchange_is(name, len, names[i]))
            return true;
    return false;
}

static int exchange_trailer_put(skua_http_exchange *exchange, const char *name, const char *value,
                                bool instead)
{
    struct skua__http_fields *trailers = &exchange->response_trailers;
    size_t len = strlen(name);
    struct skua__http_field *at;
    struct skua__http_field field;

    if (exchange->ended)
        return -EALREADY;
    if (value == NULL || exchange_header_check(name, len, value) != 0 ||
        exchange_before_body(name, len))
        return -EINVAL;
    field = (struct skua__http_field){skua__http_arena_copy(&exchange->arena, name, len),
                                      skua__http_arena_copy(&exchange->arena, value, strlen(value)),
                                      (uint32_t)len, (uint32_t)strlen(value)};
    if (field.name == NULL || field.value == NULL)
        return -ENOMEM;
    if (instead)
        skua__http_fields_remove(trailers, name, len);
    at = skua__http_fields_add(trailers, &exchange->arena);
    if (at == NULL)
        return -ENOMEM;
    *at = field;
    return 0;
}

int skua_http_set_trailer(skua_http_exchange *exchange, const char *name, const char *value)
{
    return exchange_trailer_put(exchange, name, value, true);
}

int skua_http_add_trailer(skua_http_exchange *exchange, const char *name, const char *value)
{
    return exchange_trailer_put(exchange, name, value, false);
}

int skua_http_set_status(skua_http_exchange *exchange, int status)
{
    if (exchange->begun)
        return -EALREADY;
    if (status < 200 || status > 599)
        return -EINVAL;
    exchange->status = status;
    return 0;
}

int skua_http_begun(const skua_http_exchange *exchange)
{
    return exchange->begun;
}

void *skua_http_alloc(skua_http_exchange *exchange, size_t size)
{
    return skua__http_arena_alloc(&exchange->arena, size);
}

/* ---- the response: its body ------------------------------------------------------------------ */

/* Hands the head over. `length`: of the body, or SKUA__HTTP_STREAMED: what the headers say. */
static int exchange_begin(skua_http_exchange *exchange, int64_t length)
{
    struct skua__http_field *said;

    if (exchange->heading)
        return SKUA_EUSAGE;
    skua__http_observe_head(exchange);
    exchange->bodiless =
        exchange->status == 204 || exchange->status == 304 || strcmp(exchange->method, "HEAD") == 0;
    said = skua__http_fields_find(&exchange->response, "content-length", 14, 0);
    if (said != NULL && (length == SKUA__HTTP_STREAMED || (length == 0 && exchange->bodiless)))
        length = skua__http_number(said->value, said->value_len);
    else if (length == 0 && exchange->status == 304)
        length = SKUA__HTTP_STREAMED; /* how long a 200 would be is not known: RFC 9110, 8.6 */
    if (said != NULL)
        skua__http_fields_remove(&exchange->response, "content-length", 14);
    exchange->response_left = length;
    exchange->begun = true;
    exchange->error = exchange->carrier->begin(exchange);
    return exchange->error;
}

/* Of a body that was begun. */
static int exchange_put(skua_http_exchange *exchange, const void *buf, size_t len)
{
    if (exchange->error != 0)
        return exchange->error;
    if (exchange->response_left >= 0) {
        if ((uint64_t)exchange->response_left < len)
            return -EMSGSIZE;
        exchange->response_left -= (int64_t)len;
    }
    if (exchange->bodiless || len == 0)
        return 0;
    exchange->error = exchange->carrier->write(exchange, buf, len);
    if (exchange->error == 0 && !exchange->coded)
        exchange->sent += len;
    return exchange->error;
}

static int exchange_end(skua_http_exchange *exchange)
{
    if (exchange->error != 0)
        return exchange->error;
    if (exchange->response_left > 0 && !exchange->bodiless) {
        exchange->error = -EMSGSIZE;
        return exchange->error;
    }
    exchange->ended = true;
    exchange->error = exchange->carrier->end(exchange);
    return exchange->error;
}

/* Needs no copy: the head is written before the caller has its string again. */
static int exchange_type(skua_http_exchange *exchange, const char *type)
{
    size_t len = strlen(type);
    struct skua__http_field *at;

    if (!skua__http_is_value(type, len) || len > UINT32_MAX / 2)
        return -EINVAL;
    skua__http_fields_remove(&exchange->response, "Content-Type", 12);
    at = skua__http_fields_add(&exchange->response, &exchange->arena);
    if (at == NULL)
        return -ENOMEM;
    *at = (struct skua__http_field){"Content-Type", type, 12, (uint32_t)len};
    return 0;
}

int skua_http_reply(skua_http_exchange *exchange, int status, const char *type, const void *body,
                    size_t len)
{
    int rc = skua_http_set_status(exchange, status);

    if (rc == 0 && type != NULL)
        rc = exchange_type(exchange, type);
    if (rc == 0)
        rc = exchange_begin(exchange, (int64_t)len);
    if (rc == 0)
        rc = exchange_put(exchange, body, len);
    return rc == 0 ? exchange_end(exchange) : rc;
}

int skua_http_replyf(skua_http_exchange *exchange, int status, const char *type, const char *format,
                     ...)
{
    char text[EXCHANGE_FORMAT];
    char *all = text;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < 0)
        return -EINVAL;
    if ((size_t)len >= sizeof text) {
        all = skua__http_arena_alloc(&exchange->arena, (size_t)len + 1);
        if (all == NULL)
            return -ENOMEM;
        va_start(args, format);
        (void)vsnprintf(all, (size_t)len + 1, format, args);
        va_end(args);
    }
    return skua_http_reply(exchange, status, type, all, (size_t)len);
}

ssize_t skua_http_write(skua_http_exchange *exchange, const void *buf, size_t len)
{
    int rc = 0;

    if (exchange->ended)
        return -EALREADY;
    if (!exchange->begun)
        rc = exchange_begin(exchange, SKUA__HTTP_STREAMED);
    if (rc == 0)
        rc = exchange_put(exchange, buf, len);
    return rc == 0 ? (ssize_t)len : rc;
}

int64_t skua__http_exchange_sendfile(skua_http_exchange *exchange, int file, int64_t *offset,
                                     int64_t count)
{
    int64_t n;

    if (exchange->error != 0)
        return exchange->error;
    if (exchange->carrier->sendfile == NULL || exchange->bodiless ||
        exchange->response_left < count)
        return -ENOTSUP;
    n = exchange->carrier->sendfile(exchange, file, offset, count);
    if (n == -ENOTSUP)
        return n;
    if (n < 0) {
        exchange->error = (int)n;
        return n;
    }
    exchange->response_left -= n;
    exchange->sent += (uint64_t)n;
    return n;
}

int skua_http_flush(skua_http_exchange *exchange)
{
    int rc = exchange->error;

    if (rc == 0 && !exchange->begun)
        rc = exchange_begin(exchange, SKUA__HTTP_STREAMED);
    if (rc == 0)
        rc = exchange->error = exchange->carrier->flush(exchange);
    return rc;
}

int skua_http_upgrade(skua_http_exchange *exchange, const char *protocol, skua_io *ret)
{
    int rc;

    if (*protocol == '\0' || !skua__http_is_value(protocol, strlen(protocol)))
        return -EINVAL;
    if (exchange->begun)
        return -EALREADY;
    if (exchange->carrier->upgrade == NULL)
        return -ENOTSUP;
    skua__http_fields_remove(&exchange->response, "content-length", 14);
    skua__http_fields_remove(&exchange->response, "upgrade", 7);
    exchange->status = 101;
    rc = exchange->carrier->upgrade(exchange, protocol, ret);
    if (rc == -ENOTSUP || rc == -EBUSY) {
        exchange->status = 200;
        return rc;
    }
    exchange->begun = exchange->ended = true;
    exchange->error = rc;
    skua__http_trace_end(exchange, 0, rc);
    return rc;
}

/* ---- behind the handler ---------------------------------------------------------------------- */

int skua__http_exchange_refuse(skua_http_exchange *exchange, int status)
{
    exchange->response = (struct skua__http_fields){NULL, 0, 0}; /* of what was not to be */
    exchange->response_trailers = (struct skua__http_fields){NULL, 0, 0};
    return skua_http_refuse(exchange, status, NULL);
}

/* The handler has sent nothing: an error page, or an answer without a body. */
static int exchange_settle_unbegun(skua_http_exchange *exchange, int rc)
{
    const struct skua__http_field *said =
        skua__http_fields_find(&exchange->response, "content-length", 14, 0);

    if (rc == -ETIMEDOUT && exchange->body_error == -ETIMEDOUT)
        return skua__http_exchange_refuse(exchange, 408);
    if (rc < 0) {
        rc = skua__http_exchange_fail(exchange, rc);
        return rc == 0 && !exchange->ended ? exchange_end(exchange) : rc;
    }
    if (said == NULL && exchange->status == 200)
        exchange->status = 204;
    rc = exchange_begin(exchange, said != NULL ? SKUA__HTTP_STREAMED : 0);
    return rc == 0 ? exchange_end(exchange) : rc;
}

/* Makes the response whole, if it can be. */
static int exchange_settle(skua_http_exchange *exchange, int rc)
{
    if (exchange->ended)
        return exchange->error;
    if (!exchange->begun)
        return exchange_settle_unbegun(exchange, rc);
    return rc < 0 ? rc : exchange_end(exchange);
}

int skua__http_exchange_finish(skua_http_exchange *exchange, int rc)
{
    int error = exchange_settle(exchange, rc);

    skua__http_observe_end(exchange, rc, error);
    return error;
}

#undef EXCHANGE_FORMAT
