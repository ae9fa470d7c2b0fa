/* h1c_head.c - a response's head: read, parsed by llhttp, checked, copied to where the response is.
 *
 * Buffer     the whole head lies in one buffer, which may move while it grows: offsets. Its strings
 *            are copied, because the response may live longer than its turn of the connection.
 * Strict     as the server is with requests: what two programs may read differently is refused. A
 *            cache or another client before us would else believe in another end of the body.
 *
 * Sources: RFC 9112 (2.2, 4, 6.3, 9.3), RFC 9110 (15.2).
 */
#include "http/h1client/h1c_impl.h"

/* ---- pairs of names and values, in heads and trailers ---------------------------------------- */

static void h1c_extend(struct skua__h1c_span *span, uint32_t at, size_t len)
{
    if (span->len == 0)
        span->at = at;
    span->len += (uint32_t)len;
}

/* Room for one more, which is then the last one. */
static int h1c_pair_begin(struct skua__h1c *h1c)
{
    if (h1c->pairs_count == h1c->options->headers_max) {
        h1c->failure = SKUA_ELIMIT;
        return -1;
    }
    if (h1c->pairs_count == h1c->pairs_room) {
        size_t room = h1c->pairs_room != 0 ? 2 * h1c->pairs_room : 32;
        void *pairs = skua__http_realloc(h1c->pairs, room * sizeof *h1c->pairs);

        if (pairs == NULL) {
            h1c->failure = -ENOMEM;
            return -1;
        }
        h1c->pairs = pairs;
        h1c->pairs_room = room;
    }
    h1c->pairs[h1c->pairs_count++] = (struct skua__h1c_pair){{0, 0}, {0, 0}};
    h1c->pair_open = true;
    return 0;
}

int skua__h1c_pair_name(struct skua__h1c *h1c, uint32_t at, size_t len)
{
    if (!h1c->pair_open && h1c_pair_begin(h1c) != 0)
        return -1;
    h1c_extend(&h1c->pairs[h1c->pairs_count - 1].name, at, len);
    return 0;
}

int skua__h1c_pair_value(struct skua__h1c *h1c, uint32_t at, size_t len)
{
    if (!h1c->pair_open)
        return -1;
    h1c_extend(&h1c->pairs[h1c->pairs_count - 1].value, at, len);
    return 0;
}

int skua__h1c_pairs_cut(struct skua__h1c *h1c, const char *base, struct skua__http_fields *fields)
{
    struct skua__http_arena *arena = h1c->response->arena;

    for (size_t i = 0; i < h1c->pairs_count; i++) {
        struct skua__h1c_pair *from = &h1c->pairs[i];
        struct skua__http_field *field = skua__http_fields_add(fields, arena);
        const char *value = base + from->value.at;

        if (field == NULL)
            return -ENOMEM;
        while (from->value.len != 0 &&
               (value[from->value.len - 1] == ' ' || value[from->value.len - 1] == '\t'))
            from->value.len--;
        *field = (struct skua__http_field){
            .name = skua__http_arena_copy(arena, base + from->name.at, from->name.len),
            .value =
                from->value.len != 0 ? skua__http_arena_copy(arena, value, from->value.len) : "",
            .name_len = from->name.len,
            .value_len = from->value.len};
        if (field->name == NULL || field->value == NULL)
            return -ENOMEM;
        if (!skua__http_is_token(field->name, field->name_len) ||
            !skua__http_is_value(field->value, field->value_len))
            return -EBADMSG;
    }
    return 0;
}

/* ---- what llhttp tells ----------------------------------------------------------------------- */

/* Where a piece is: in the buffer as long as it is a head, else among the trailers' bytes. */
static int h1c_on_piece(llhttp_t *parser, const char *text, size_t len,
                        int (*pair)(struct skua__h1c *h1c, uint32_t at, size_t len))
{
    struct skua__h1c *h1c = parser->data;
    uint32_t at;

    if (!h1c->head_done)
        at = (uint32_t)(text - h1c->in);
    else if (!skua__h1c_trail(h1c, text, len, &at))
        return -1;
    return pair(h1c, at, len);
}

static int h1c_on_name(llhttp_t *parser, const char *text, size_t len)
{
    return h1c_on_piece(parser, text, len, skua__h1c_pair_name);
}

static int h1c_on_value(llhttp_t *parser, const char *text, size_t len)
{
    return h1c_on_piece(parser, text, len, skua__h1c_pair_value);
}

static int h1c_on_value_done(llhttp_t *parser)
{
    ((struct skua__h1c *)parser->data)->pair_open = false;
    return 0;
}

static int h1c_on_head_done(llhttp_t *parser)
{
    ((struct skua__h1c *)parser->data)->head_done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t h1c_settings = {
    .on_header_field = h1c_on_name,
    .on_header_value = h1c_on_value,
    .on_header_value_complete = h1c_on_value_done,
    .on_headers_complete = h1c_on_head_done,
    .on_body = skua__h1c_on_body,
    .on_message_complete = skua__h1c_on_done,
};

/* ---- checking -------------------------------------------------------------------------------- */

/* "HTTP/1.1 200", and a blank or the line's end behind it. */
static bool h1c_status_line(struct skua__h1c *h1c)
{
    struct skua__http_answer *response = h1c->response;
    const char *line = h1c->in;

    if (h1c->pos < 14 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        (line[12] != ' ' && line[12] != '\r') || (line[7] != '0' && line[7] != '1'))
        return false;
    response->version = line[7] == '1' ? 11 : 10;
    response->status = (int)skua__http_number(line + 9, 3);
    return response->status >= 100;
}

static bool h1c_connection_says(const struct skua__http_fields *fields, const char *token)
{
    for (size_t i = 0; i < fields->count; i++)
        if (fields->at[i].name_len == 10 && skua__http_same(fields->at[i].name, "connection", 10) &&
            skua__http_has_token(fields->at[i].value, token))
            return true;
    return false;
}

/* How the body's end will be known: RFC 9112, 6.3. */
static int h1c_framed(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    struct skua__http_answer *response = h1c->response;
    bool twice = false;
    const struct skua__http_field *length =
        skua__http_fields_only(&response->fields, "content-length", &twice);
    const struct skua__http_field *coding =
        skua__http_fields_only(&response->fields, "transfer-encoding", &twice);

    if (twice || (length != NULL && coding != NULL) || (coding != NULL && response->version < 11))
        return -EBADMSG;
    if (coding != NULL && (coding->value_len != 7 || !skua__http_same(coding->value, "chunked", 7)))
        return -EBADMSG; /* nobody asked for another one */
    response->length = -1;
    if (length != NULL) {
        response->length = skua__http_number(length->value, length->value_len);
        if (response->length < 0)
            return -EBADMSG;
    }
    h1c->left = response->length;
    h1c->keep_alive = response->version == 11
                          ? !h1c_connection_says(&response->fields, "close")
                          : h1c_connection_says(&response->fields, "keep-alive");
    if (response->status == 204)
        response->length = 0;
    if (strcmp(request->method, "HEAD") == 0 || response->status == 204 || response->status == 304)
        h1c->framing = SKUA__H1C_NONE;
    else if (coding != NULL)
        h1c->framing = SKUA__H1C_CHUNKS;
    else if (length != NULL)
        h1c->framing = response->length != 0 ? SKUA__H1C_LENGTH : SKUA__H1C_NONE;
    else
        h1c->framing = SKUA__H1C_CLOSE;
    if (h1c->framing == SKUA__H1C_CLOSE)
        h1c->keep_alive = false;
    return 0;
}

/* The head is in the buffer, from its front to pos. */
static int h1c_take(struct skua__h1c *h1c, const struct skua__http_ask *request)
{
    int rc;

    if (!skua__http_lines_are_whole(h1c->in, h1c->pos) || !h1c_status_line(h1c))
        return -EBADMSG;
    if (h1c->response->status < 200)
        return 0;
    rc = skua__h1c_pairs_cut(h1c, h1c->in, &h1c->response->fields);
    h1c->pairs_count = 0; /* from here on they are trailers */
    return rc == 0 ? h1c_framed(h1c, request) : rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

void skua__h1c_head_begin(struct skua__h1c *h1c)
{
    memmove(h1c->in, h1c->in + h1c->pos, h1c->len - h1c->pos);
    h1c->len -= h1c->pos;
    h1c->pos = 0;
    llhttp_init(&h1c->parser, HTTP_RESPONSE, &h1c_settings);
    h1c->parser.data = h1c;
    h1c->response->status = 0;
    h1c->pairs_count = h1c->trail_len = 0;
    h1c->span_len = h1c->overhead = 0;
    h1c->pair_open = h1c->head_done = h1c->body_done = false;
    h1c->failure = 0;
    h1c->framing = SKUA__H1C_NONE;
    h1c->keep_alive = false;
}

/* Parses what has come: 0, a head or more is needed; or an error. */
static int h1c_parse(struct skua__h1c *h1c)
{
    llhttp_errno_t rc = llhttp_execute(&h1c->parser, h1c->in + h1c->pos, h1c->len - h1c->pos);

    h1c->pos = h1c->len;
    if (rc == HPE_PAUSED && h1c->head_done)
        h1c->pos = (size_t)(llhttp_get_error_pos(&h1c->parser) - h1c->in);
    else if (rc != HPE_OK)
        return h1c->failure != 0 ? h1c->failure : -EBADMSG;
    return h1c->pos > h1c->options->head_max ? SKUA_ELIMIT : 0;
}

/* Room for more of a head. */
static int h1c_room(struct skua__h1c *h1c)
{
    size_t room = 2 * h1c->in_room;
    char *in;

    if (h1c->len >= h1c->options->head_max)
        return SKUA_ELIMIT;
    if (h1c->len < h1c->in_room)
        return 0;
    in = skua__http_realloc(h1c->in, room);
    if (in == NULL)
        return -ENOMEM;
    h1c->in = in;
    h1c->in_room = room;
    return 0;
}

int skua__h1c_head(struct skua__h1c *h1c, const struct skua__http_ask *request, int64_t deadline)
{
    int rc = 0;

    for (;;) {
        ssize_t n;

        if (h1c->len > h1c->pos)
            rc = h1c_parse(h1c);
        if (rc == 0 && h1c->head_done)
            return h1c_take(h1c, request);
        if (rc == 0)
            rc = h1c_room(h1c);
        if (rc != 0)
            return rc;
        n = skua_io_read_until(h1c->link.io, h1c->in + h1c->len, h1c->in_room - h1c->len, deadline);
        if (n <= 0)
            return n == 0 ? SKUA_EEOF : (int)n;
        h1c->received = true;
        h1c->len += (size_t)n;
    }
}
