/* json_text.c - JSON in a request, and in its response.
 *
 * Jansson parses and writes by recursion. Text comes from whoever asks, and a fiber's stack is
 * small: so the levels of a text are counted before Jansson sees it. The count is of brackets
 * outside of strings, and says at least what Jansson would find: it stops at the first thing that
 * is malformed.
 *
 * Memory    a value belongs to Jansson's counts. The exchange has one reference, which an observer
 *           of its end gives back.
 * Writing   what Jansson writes, a byte or two at a time, is gathered in a piece of the exchange's
 *           memory. If the piece holds all of it, the response gets a length.
 */
#include <stdio.h>

#include "http/json/json_impl.h"

/* Gathered before it is sent. */
#define JSON_PIECE ((size_t)4096)

void skua_http_json_options_init(skua_http_json_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

int skua__json_options(skua_http_json_options *ret, const skua_http_json_options *given)
{
    skua_http_json_options_init(ret);
    if (given != NULL && given->size != sizeof *given)
        return -EINVAL;
    if (given != NULL)
        *ret = *given;
    if (ret->limit == 0)
        ret->limit = (size_t)1 << 20;
    if (ret->depth == 0)
        ret->depth = 64;
    return ret->depth <= SKUA_HTTP_JSON_DEPTH_MAX && ret->unique <= 1 && ret->any_type <= 1
               ? 0
               : -EINVAL;
}

bool skua__json_type(const char *type)
{
    static const char plain[] = "application/json";
    size_t len = type != NULL ? strcspn(type, "; \t") : 0;

    if (len == sizeof plain - 1 && skua__http_same(type, plain, len))
        return true;
    return len > 5 && memchr(type, '/', len) != NULL && skua__http_same(type + len - 5, "+json", 5);
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* Where a text has more levels than that; len: nowhere. */
static size_t json_too_deep(const char *text, size_t len, unsigned depth)
{
    unsigned level = 0;
    bool string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (string) {
            if (c == '\\')
                i++;
            string = c != '"';
        } else if (c == '"') {
            string = true;
        } else if (c == '[' || c == '{') {
            if (level++ == depth)
                return i;
        } else if ((c == ']' || c == '}') && level != 0) {
            level--; /* a text with one too many ends there, for Jansson */
        }
    }
    return len;
}

static void json_place(const char *text, size_t at, struct skua__json_error *error)
{
    error->line = error->column = 1;
    for (size_t i = 0; i < at; i++) {
        bool line = text[i] == '\n';

        error->line += line;
        error->column = line ? 1 : error->column + 1;
    }
}

int skua__json_parse(json_t **ret, const char *text, size_t len,
                     const skua_http_json_options *options, struct skua__json_error *error)
{
    size_t flags = JSON_DECODE_ANY | (options->unique != 0 ? JSON_REJECT_DUPLICATES : 0);
    size_t deep = json_too_deep(text, len, options->depth);
    json_error_t why;

    if (deep != len) {
        json_place(text, deep, error);
        (void)snprintf(error->text, sizeof error->text, "too deep");
        return -EBADMSG;
    }
    *ret = json_loadb(text, len, flags, &why);
    if (*ret != NULL)
        return 0;
    if (json_error_code(&why) == json_error_out_of_memory)
        return -ENOMEM;
    error->line = why.line > 0 ? why.line : 1;
    error->column = why.column > 0 ? why.column : 1;
    memcpy(error->text, why.text, sizeof error->text);
    return -EBADMSG;
}

static void json_ended(skua_http_exchange *exchange, const skua_http_summary *summary, void *json)
{
    (void)exchange;
    (void)summary;
    json_decref(json);
}

int skua_http_read_json(skua_http_exchange *exchange, json_t **ret,
                        const skua_http_json_options *given)
{
    skua_http_json_options options;
    struct skua__json_error error;
    json_t *json;
    char reason[JSON_ERROR_TEXT_LENGTH + 64];
    char *text;
    size_t len;
    int rc = skua__json_options(&options, given);

    if (rc != 0)
        return rc;
    if (options.any_type == 0 && !skua__json_type(skua_http_header(exchange, "Content-Type")))
        return skua_http_fail(exchange, -EINVAL, 415, "the body is no JSON");
    rc = skua_http_read_all(exchange, &text, &len, options.limit);
    if (rc != 0)
        return rc;
    rc = skua__json_parse(&json, text, len, &options, &error);
    if (rc == -EBADMSG) {
        (void)snprintf(reason, sizeof reason, "the JSON is malformed: line %d, column %d: %s",
                       error.line, error.column, error.text);
        return skua_http_fail(exchange, -EINVAL, 400, reason);
    }
    if (rc == 0)
        rc = skua_http_on_end(exchange, json_ended, json);
    else
        json = NULL;
    if (rc != 0)
        json_decref(json);
    else
        *ret = json;
    return rc;
}

/* ---- responses ------------------------------------------------------------------------------- */

struct json_out {
    skua_http_exchange *exchange;
    char *piece; /* JSON_PIECE bytes */
    size_t len;
    int error;
};

/* Jansson's: 0 or -1. */
static int json_put(const char *text, size_t len, void *arg)
{
    struct json_out *out = arg;
    ssize_t n = 0;

    if (len > JSON_PIECE - out->len) {
        n = skua_http_write(out->exchange, out->piece, out->len);
        out->len = 0;
        if (n >= 0 && len > JSON_PIECE) {
            n = skua_http_write(out->exchange, text, len);
            len = 0;
        }
    }
    if (n < 0) {
        out->error = (int)n;
        return -1;
    }
    if (len != 0)
        memcpy(out->piece + out->len, text, len);
    out->len += len;
    return 0;
}

int skua_http_reply_json(skua_http_exchange *exchange, int status, const json_t *json)
{
    struct json_out out = {.exchange = exchange};
    ssize_t n;
    int rc;

    if (json == NULL)
        return -EINVAL;
    out.piece = skua__http_arena_alloc(&exchange->arena, JSON_PIECE);
    if (out.piece == NULL)
        return -ENOMEM;
    rc = skua_http_set_status(exchange, status);
    if (rc == 0 && skua__http_fields_find(&exchange->response, "content-type", 12, 0) == NULL)
        rc = skua_http_set_header(exchange, "Content-Type", "application/json");
    if (rc != 0)
        return rc;
    if (json_dump_callback(json, json_put, &out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        return out.error != 0 ? out.error : -EINVAL;
    if (!skua_http_begun(exchange))
        return skua_http_reply(exchange, status, NULL, out.piece, out.len);
    n = skua_http_write(exchange, out.piece, out.len);
    return n < 0 ? (int)n : 0;
}

#undef JSON_PIECE
