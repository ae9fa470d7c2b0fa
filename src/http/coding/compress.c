/* compress.c - the layer that codes the bodies of responses.
 *
 *   layer     what the client likes best; a table in front of the carrier's, which does not change:
 *             another layer may have copied it
 *   begin     the head is final: is this one to be coded? If so its headers change
 *   write     through the coder, if there is one, to the carrier; flush, end: what it has kept, too
 *   end       of the exchange: the coder goes, the table goes
 *
 * HEAD and 304 say what GET would have said: they are coded but for the body. A 304 does not know
 * its type; so its tag is weak when the client takes a coding, which is never wrong.
 */
#include <skua/http/compress.h>
#include <skua/task.h>

#include "http/coding/coding_impl.h"

#define COMPRESS_PIECE ((size_t)8192)
/* Coded at a time; then others have their turn. */
#define COMPRESS_TURN ((size_t)64 * 1024)

struct compress {
    struct skua__http_carrier ways;         /* the exchange's carrier, as long as it stands */
    const struct skua__http_carrier *below; /* constant */
    const skua_http_compress *options;      /* the innermost layer's */
    const char *accept;                     /* NULL: nothing was said */
    int coding;
    struct skua__coder *coder; /* NULL: nothing is coded */
    unsigned char *piece;
};

static const char compress_key;

static const char compress_codings[] = "br, zstd, gzip";
static const char compress_types[] =
    "text/*, application/json, *+json, application/xml, *+xml, application/javascript, "
    "application/wasm, application/x-ndjson, application/yaml, application/graphql, font/ttf, "
    "font/otf, image/bmp, image/vnd.microsoft.icon";

/* ---- whether --------------------------------------------------------------------------------- */

static const struct skua__http_field *compress_field(const skua_http_exchange *exchange,
                                                     const char *name)
{
    return skua__http_fields_find(&exchange->response, name, strlen(name), 0);
}

/* Whether any header with the name has the token in its list. */
static bool compress_says(const skua_http_exchange *exchange, const char *name, const char *token)
{
    const struct skua__http_fields *fields = &exchange->response;

    for (size_t i = 0; i < fields->count; i++)
        if (fields->at[i].name_len == strlen(name) &&
            skua__http_same(fields->at[i].name, name, strlen(name)) &&
            skua__http_has_token(fields->at[i].value, token))
            return true;
    return false;
}

/* A pattern is a type, or has a '*' as its first or last character. */
static bool compress_matches(const char *type, size_t len, const char *pattern, size_t pattern_len)
{
    bool end = pattern[0] == '*';
    bool begin = pattern[pattern_len - 1] == '*';
    size_t part = pattern_len - (end || begin);

    if (end || begin ? len < part : len != part)
        return false;
    return skua__http_same(end ? type + len - part : type, pattern + end, part);
}

static bool compress_is_of(const struct compress *self, const skua_http_exchange *exchange)
{
    const struct skua__http_field *field = compress_field(exchange, "Content-Type");
    const char *types = self->options->types;
    size_t type, len;

    if (field == NULL)
        return false;
    type = strcspn(field->value, "; \t");
    if (types == NULL) {
        if (compress_matches(field->value, type, "text/event-stream", 17))
            return false;
        types = compress_types;
    }
    while ((len = skua__coding_element(&types)) != 0) {
        if (compress_matches(field->value, type, types, len))
            return true;
        types += len;
    }
    return false;
}

/* Whether the response is one that is coded if the client likes it. */
static bool compress_may(const struct compress *self, const skua_http_exchange *exchange)
{
    static const char *const others[] = {"Content-Encoding", "Content-Range", "Digest",
                                         "Content-Digest",   "Repr-Digest",   "Content-MD5"};
    int64_t length = exchange->response_left;
    int64_t min = self->options->min != 0 ? self->options->min : 1024;

    if (exchange->status == 204 || exchange->status == 205 || exchange->status == 206 ||
        length == 0)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (compress_field(exchange, others[i]) != NULL)
            return false;
    if (compress_says(exchange, "Cache-Control", "no-transform"))
        return false;
    if (self->coding >= 0 && !skua__coding_plain(self->accept))
        return true;
    return (length == SKUA__HTTP_STREAMED || length >= min) && compress_is_of(self, exchange);
}

/* ---- the head -------------------------------------------------------------------------------- */

static int compress_add(skua_http_exchange *exchange, const char *name, const char *value)
{
    struct skua__http_field *field = skua__http_fields_add(&exchange->response, &exchange->arena);

    if (field == NULL)
        return -ENOMEM;
    *field =
        (struct skua__http_field){name, value, (uint32_t)strlen(name), (uint32_t)strlen(value)};
    return 0;
}

static int compress_vary(skua_http_exchange *exchange)
{
    if (compress_says(exchange, "Vary", "Accept-Encoding") || compress_says(exchange, "Vary", "*"))
        return 0;
    return compress_add(exchange, "Vary", "Accept-Encoding");
}

static int compress_weaken(skua_http_exchange *exchange)
{
    struct skua__http_field *tag = skua__http_fields_find(&exchange->response, "ETag", 4, 0);
    char *weak;

    if (tag == NULL || tag->value[0] != '"')
        return 0;
    weak = skua__http_arena_alloc(&exchange->arena, (size_t)tag->value_len + 3);
    if (weak == NULL)
        return -ENOMEM;
    memcpy(weak, "W/", 2);
    memcpy(weak + 2, tag->value, (size_t)tag->value_len + 1);
    tag->value = weak;
    tag->value_len += 2;
    return 0;
}

/* The least window that holds a body. */
static int compress_window(int64_t length)
{
    int window = SKUA__CODING_WINDOW_MIN;

    if (length == SKUA__HTTP_STREAMED)
        return SKUA__CODING_WINDOW_MAX;
    while (window < SKUA__CODING_WINDOW_MAX && (int64_t)1 << window < length)
        window++;
    return window;
}

static int compress_level(const struct compress *self)
{
    int level = self->coding == SKUA__BROTLI ? self->options->br_level
                : self->coding == SKUA__ZSTD ? self->options->zstd_level
                                             : self->options->gzip_level;

    return level != 0 ? level : skua__coding_kind((enum skua__coding)self->coding)->level_default;
}

/* False: there was no memory, it stays as it is. */
static bool compress_open(struct compress *self, const skua_http_exchange *exchange)
{
    const struct skua__coding_kind *kind = skua__coding_kind((enum skua__coding)self->coding);

    if (exchange->bodiless)
        return true;
    self->piece = skua__http_raw(COMPRESS_PIECE);
    if (self->piece != NULL)
        self->coder = kind->coder(compress_level(self), compress_window(exchange->response_left));
    return self->coder != NULL;
}

/* What of the head is another one. */
static int compress_head(struct compress *self, skua_http_exchange *exchange)
{
    int rc = compress_add(exchange, "Content-Encoding",
                          skua__coding_kind((enum skua__coding)self->coding)->name);

    if (rc == 0)
        rc = compress_weaken(exchange);
    skua__http_fields_remove(&exchange->response, "Accept-Ranges", 13);
    exchange->coded = self->coder != NULL;
    return rc;
}

static int compress_begin(skua_http_exchange *exchange)
{
    struct compress *self = skua_http_noted(exchange, &compress_key);
    int64_t left = exchange->response_left; /* the handler's promise, which stays one */
    int rc = 0;

    if (exchange->status == 304) {
        rc = compress_vary(exchange);
        if (rc == 0 && self->coding >= 0)
            rc = compress_weaken(exchange);
    } else if (compress_may(self, exchange)) {
        rc = compress_vary(exchange);
        if (rc == 0 && self->coding >= 0 && compress_open(self, exchange)) {
            rc = compress_head(self, exchange);
            exchange->response_left = SKUA__HTTP_STREAMED;
        }
    }
    if (rc == 0)
        rc = self->below->begin(exchange);
    exchange->response_left = left;
    return rc;
}

/* ---- the body -------------------------------------------------------------------------------- */

static int compress_push(skua_http_exchange *exchange, const void *buf, size_t len,
                         enum skua__coding_op op)
{
    struct compress *self = skua_http_noted(exchange, &compress_key);
    struct skua__coding_io io = {.in = buf, .in_len = len};
    int wants;

    do {
        size_t n;
        int rc;

        io.out = self->piece;
        io.out_len = COMPRESS_PIECE;
        wants = self->coder->step(self->coder, &io, op);
        if (wants < 0)
            return wants;
        n = COMPRESS_PIECE - io.out_len;
        rc = n != 0 ? self->below->write(exchange, self->piece, n) : 0;
        if (rc != 0)
            return rc;
        exchange->sent += n;
    } while (wants == SKUA__CODING_ROOM);
    return 0;
}

static int compress_write(skua_http_exchange *exchange, const void *buf, size_t len)
{
    const struct compress *self = skua_http_noted(exchange, &compress_key);
    const char *next = buf;
    int rc = 0;

    if (self->coder == NULL)
        return self->below->write(exchange, buf, len);
    while (rc == 0 && len != 0) {
        size_t part = len < COMPRESS_TURN ? len : COMPRESS_TURN;

        rc = compress_push(exchange, next, part, SKUA__CODING_RUN);
        next += part;
        len -= part;
        if (rc == 0 && len != 0)
            rc = skua_yield(); /* what gets short keeps the socket idle, and the worker busy */
    }
    return rc;
}

static int64_t compress_sendfile(skua_http_exchange *exchange, int file, int64_t *offset,
                                 int64_t count)
{
    const struct compress *self = skua_http_noted(exchange, &compress_key);

    return self->coder != NULL || self->below->sendfile == NULL
               ? -ENOTSUP
               : self->below->sendfile(exchange, file, offset, count);
}

static int compress_flush(skua_http_exchange *exchange)
{
    const struct compress *self = skua_http_noted(exchange, &compress_key);
    int rc = 0;

    if (self->coder != NULL && !exchange->ended)
        rc = compress_push(exchange, "", 0, SKUA__CODING_FLUSH);
    return rc == 0 ? self->below->flush(exchange) : rc;
}

static int compress_finish(skua_http_exchange *exchange)
{
    const struct compress *self = skua_http_noted(exchange, &compress_key);
    int rc = 0;

    if (self->coder != NULL)
        rc = compress_push(exchange, "", 0, SKUA__CODING_FINISH);
    return rc == 0 ? self->below->end(exchange) : rc;
}

/* ---- the layer ------------------------------------------------------------------------------- */

static void compress_end(skua_http_exchange *exchange, const skua_http_summary *summary,
                         void *state)
{
    struct compress *self = state;

    (void)summary;
    if (self->coder != NULL)
        self->coder->free(self->coder);
    skua__http_free(self->piece);
    exchange->carrier = self->below; /* whoever came later has gone before */
}

static bool compress_is_wrong(const skua_http_compress *options)
{
    return options->size != sizeof *options || options->min < 0 || options->gzip_level < 0 ||
           options->gzip_level > 9 || options->br_level < 0 ||
           options->br_level == 1 /* made for bodies that come at once */ ||
           options->br_level > 11 || options->zstd_level < 0 || options->zstd_level > 19;
}

static bool compress_is_accept(const struct skua__http_field *field)
{
    return field->name_len == 15 && skua__http_same(field->name, "accept-encoding", 15);
}

/* All of the request's Accept-Encoding as one list: 0, or -ENOMEM. */
static int compress_accept(skua_http_exchange *exchange, const char **ret)
{
    const struct skua__http_fields *fields = &exchange->request;
    const struct skua__http_field *only;
    bool twice = false;
    size_t len = 1;
    char *list;

    only = skua__http_fields_only(fields, "accept-encoding", &twice);
    *ret = only != NULL ? only->value : NULL;
    if (!twice)
        return 0;
    for (size_t i = 0; i < fields->count; i++)
        len += compress_is_accept(&fields->at[i]) ? (size_t)fields->at[i].value_len + 1 : 0;
    *ret = list = skua_http_alloc(exchange, len);
    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < fields->count; i++)
        if (compress_is_accept(&fields->at[i])) {
            memcpy(list, fields->at[i].value, fields->at[i].value_len);
            list += fields->at[i].value_len;
            *list++ = ',';
        }
    *list = '\0';
    return 0;
}

/* Puts the table in front of the carrier, unless an outer layer has done so. */
static int compress_stand(skua_http_exchange *exchange, struct compress **ret)
{
    struct compress *self = skua_http_noted(exchange, &compress_key);
    int rc;

    *ret = self;
    if (self != NULL)
        return 0;
    self = skua_http_alloc(exchange, sizeof *self);
    if (self == NULL)
        return -ENOMEM;
    *self = (struct compress){.ways = *exchange->carrier, .below = exchange->carrier};
    self->ways.begin = compress_begin;
    self->ways.write = compress_write;
    self->ways.flush = compress_flush;
    self->ways.end = compress_finish;
    self->ways.sendfile = compress_sendfile;
    rc = skua_http_note(exchange, &compress_key, self);
    if (rc == 0)
        rc = skua_http_on_end(exchange, compress_end, self);
    if (rc != 0) {
        (void)skua_http_note(exchange, &compress_key, NULL);
        return rc;
    }
    exchange->carrier = &self->ways;
    *ret = self;
    return 0;
}

int skua_http_compress_layer(skua_http_exchange *exchange, const skua_http_chain *rest, void *state)
{
    static const skua_http_compress defaults = {.size = sizeof defaults};
    const skua_http_compress *options = state != NULL ? state : &defaults;
    struct compress *self;
    int rc;

    if (compress_is_wrong(options))
        return SKUA_EUSAGE;
    if (exchange->begun)
        return skua_http_chain_run(exchange, rest);
    rc = compress_stand(exchange, &self);
    if (rc == 0)
        rc = compress_accept(exchange, &self->accept);
    if (rc != 0)
        return rc;
    self->options = options;
    self->coding = skua__coding_choose(self->accept, options->codings != NULL ? options->codings
                                                                              : compress_codings);
    if (self->coding != SKUA__CODING_NONE)
        return skua_http_chain_run(exchange, rest);
    rc = skua_http_add_header(exchange, "Vary", "Accept-Encoding");
    return rc == 0 ? skua_http_refuse(exchange, 406, NULL) : rc;
}

#undef COMPRESS_PIECE
#undef COMPRESS_TURN
