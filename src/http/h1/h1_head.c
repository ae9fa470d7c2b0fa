/* h1_head.c - a request's head: read, parsed by llhttp, checked, turned into an exchange.
 *
 * Buffer     the whole head lies in one buffer; names, values and target are cut out of it where
 *            they are, a NUL put behind each. While it is read the buffer may move: offsets.
 * Strict     llhttp forgives more than we do. What two programs may read differently is refused,
 *            each rule with its line below; the corpus in tests/http has a request for each.
 * Refused    the client gets a page with the status, and its connection ends: what follows may be
 *            anything.
 *
 * Sources: RFC 9112 (2.2, 3, 5, 6, 9.6), RFC 9110 (7.2, 10.1.1).
 */
#include "http/h1/h1_impl.h"

/* ---- what llhttp tells ----------------------------------------------------------------------- */

static struct skua__h1 *head_of(llhttp_t *parser)
{
    return parser->data;
}

static void head_extend(struct skua__h1 *h1, struct skua__h1_span *span, const char *at, size_t len)
{
    if (span->len == 0)
        span->at = (uint32_t)(at - h1->in);
    span->len += (uint32_t)len;
}

static int head_on_url(llhttp_t *parser, const char *at, size_t len)
{
    head_extend(head_of(parser), &head_of(parser)->target, at, len);
    return 0;
}

/* Room for one more field, which is then the last one. One too many is the last, too. */
static int head_field_begin(struct skua__h1 *h1)
{
    if (h1->fields_count > h1->options->headers_max)
        return -1;
    if (h1->fields_count == h1->fields_room && skua__h1_fields_grow(h1) != 0)
        return -1;
    h1->fields[h1->fields_count++] = (struct skua__h1_head_field){{0, 0}, {0, 0}};
    h1->field_open = true;
    return 0;
}

static int head_on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct skua__h1 *h1 = head_of(parser);

    if (!h1->field_open && head_field_begin(h1) != 0)
        return -1;
    head_extend(h1, &h1->fields[h1->fields_count - 1].name, at, len);
    return 0;
}

static int head_on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct skua__h1 *h1 = head_of(parser);

    if (!h1->field_open)
        return -1;
    head_extend(h1, &h1->fields[h1->fields_count - 1].value, at, len);
    return 0;
}

static int head_on_value_done(llhttp_t *parser)
{
    head_of(parser)->field_open = false;
    return 0;
}

static int head_on_done(llhttp_t *parser)
{
    head_of(parser)->head_done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t head_settings = {
    .on_url = head_on_url,
    .on_header_field = head_on_field,
    .on_header_value = head_on_value,
    .on_header_value_complete = head_on_value_done,
    .on_headers_complete = head_on_done,
    .on_chunk_header = skua__h1_on_chunk,
    .on_body = skua__h1_on_body,
    .on_message_complete = skua__h1_on_done,
};

/* ---- checking -------------------------------------------------------------------------------- */

/* How long the body is; the status to refuse with, or 0. */
static int head_body(struct skua__h1 *h1)
{
    skua_http_exchange *exchange = &h1->exchange;
    bool twice = false;
    const struct skua__http_field *length =
        skua__http_fields_only(&exchange->request, "content-length", &twice);
    const struct skua__http_field *coding =
        skua__http_fields_only(&exchange->request, "transfer-encoding", &twice);
    const struct skua__http_field *expect;

    if (twice || (length != NULL && coding != NULL))
        return 400;
    if (coding != NULL && exchange->version < 11)
        return 400;
    if (coding != NULL && (coding->value_len != 7 || !skua__http_same(coding->value, "chunked", 7)))
        return 501;
    if (length != NULL) {
        exchange->body_length = skua__http_number(length->value, length->value_len);
        if (exchange->body_length < 0)
            return 400;
    }
    if (coding != NULL)
        exchange->body_length = -1;
    exchange->body_ended = exchange->body_length == 0;
    h1->body_left = exchange->body_length;
    h1->body_came = (int64_t)(h1->len - h1->pos);
    expect = skua__http_fields_find(&exchange->request, "expect", 6, 0);
    if (expect == NULL || exchange->version < 11)
        return 0;
    if (expect->value_len != 12 || !skua__http_same(expect->value, "100-continue", 12))
        return 417;
    h1->continue_wanted = !exchange->body_ended;
    return 0;
}

static bool head_begins(const char *text, const char *with)
{
    return strlen(text) >= strlen(with) && skua__http_same(text, with, strlen(with));
}

/* Cuts the target into authority, path and query. */
static int head_target(struct skua__h1 *h1, char *target)
{
    skua_http_exchange *exchange = &h1->exchange;
    char *query;

    for (const char *at = target; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f || *at == '#')
            return 400;
    if (strcmp(exchange->method, "CONNECT") == 0)
        return 501;
    if (head_begins(target, "http://") || head_begins(target, "https://")) {
        char *host = strstr(target, "//") + 2;
        size_t len = strcspn(host, "/?");
        char *authority = len != 0 ? skua__http_arena_copy(&exchange->arena, host, len) : NULL;

        if (len == 0)
            return 400;
        if (authority == NULL)
            return 503;
        exchange->authority = authority; /* instead of Host: RFC 9112, 3.2.2 */
        if (!skua__http_is_authority(authority))
            return 400;
        target = host + len;
        if (*target == '\0' && strcmp(exchange->method, "OPTIONS") == 0)
            *--target = '*'; /* RFC 9112, 3.2.4; there is the host's last byte */
        else if (*target != '/')
            *--target = '/';
    }
    if (*target != '/' && !(strcmp(target, "*") == 0 && strcmp(exchange->method, "OPTIONS") == 0))
        return 400;
    query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    exchange->path = target;
    exchange->query = query != NULL ? query : "";
    return 0;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static char *head_cut(struct skua__h1 *h1, struct skua__h1_span span)
{
    h1->in[span.at + span.len] = '\0'; /* a colon, a blank or a CR was there */
    return h1->in + span.at;
}

static int head_fields(struct skua__h1 *h1)
{
    skua_http_exchange *exchange = &h1->exchange;

    if (h1->fields_count > h1->options->headers_max)
        return 431;
    for (size_t i = 0; i < h1->fields_count; i++) {
        struct skua__h1_head_field *from = &h1->fields[i];
        struct skua__http_field *field =
            skua__http_fields_add(&exchange->request, &exchange->arena);

        if (field == NULL)
            return 503;
        while (from->value.len != 0 && (h1->in[from->value.at + from->value.len - 1] == ' ' ||
                                        h1->in[from->value.at + from->value.len - 1] == '\t'))
            from->value.len--;
        field->name = head_cut(h1, from->name);
        field->name_len = from->name.len;
        field->value = from->value.len != 0 ? head_cut(h1, from->value) : "";
        field->value_len = from->value.len;
        if (!skua__http_is_token(field->name, field->name_len) ||
            !skua__http_is_value(field->value, field->value_len))
            return 400;
    }
    return 0;
}

/* The head is in the buffer: the exchange, or the status to refuse it with. */
static int head_exchange(struct skua__h1 *h1)
{
    skua_http_exchange *exchange = &h1->exchange;
    const struct skua__http_field *host;
    bool twice = false;
    int status;

    if (!skua__http_lines_are_whole(h1->in, h1->pos) || h1->target.len == 0)
        return 400;
    if (h1->pos > h1->options->head_max) /* a body's buffer may have been longer */
        return h1->target.len < h1->options->head_max ? 431 : 414;
    if (memcmp(h1->in + h1->target.at + h1->target.len, " HTTP/", 6) != 0)
        return 400; /* llhttp knows of RTSP, too */
    exchange->version = 10 * h1->parser.http_major + h1->parser.http_minor;
    if (exchange->version != 10 && exchange->version != 11)
        return 505;
    exchange->method = llhttp_method_name((llhttp_method_t)h1->parser.method);
    status = head_fields(h1);
    if (status != 0)
        return status;
    host = skua__http_fields_only(&exchange->request, "host", &twice);
    if (twice || (host == NULL && exchange->version == 11))
        return 400;
    exchange->authority = host != NULL ? host->value : "";
    if (!skua__http_is_authority(exchange->authority)) /* even where the target has another */
        return 400;
    status = head_target(h1, head_cut(h1, h1->target));
    if (status == 0)
        status = head_body(h1);
    h1->keep_alive = llhttp_should_keep_alive(&h1->parser) != 0;
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What is left of the request before begins the buffer, and is parsed anew. */
static int head_begin(struct skua__h1 *h1)
{
    size_t left = h1->len - h1->pos;

    if (left > h1->in_room) {
        int rc = skua__h1_in_grow(h1, left, h1->buf + h1->pos, left);

        if (rc != 0)
            return rc;
    } else if (left != 0) {
        memmove(h1->in, h1->buf + h1->pos, left);
    }
    h1->buf = h1->in;
    h1->room = h1->in_room;
    h1->pos = 0;
    h1->len = left;
    llhttp_init(&h1->parser, HTTP_REQUEST, &head_settings);
    h1->parser.data = h1;
    h1->target = (struct skua__h1_span){0, 0};
    h1->fields_count = 0;
    h1->field_open = h1->head_done = h1->body_done = h1->continue_wanted = false;
    h1->span_len = 0;
    h1->body_parsed = h1->body_bytes = h1->body_waited = 0;
    h1->trailing = false;
    h1->trailers = NULL;
    h1->trailers_len = h1->trailers_room = 0;
    h1->keep_alive = false;
    skua__http_exchange_reset(&h1->exchange);
    h1->exchange.version = 11;
    h1->exchange.body_max = h1->options->body_max;
    return 0;
}

/* Parses what has come: 0: a head, or more is needed; else the status to refuse it with. */
static int head_parse(struct skua__h1 *h1)
{
    llhttp_errno_t rc = llhttp_execute(&h1->parser, h1->in + h1->pos, h1->len - h1->pos);

    h1->pos = h1->len;
    if (rc == HPE_OK)
        return 0;
    if (rc == HPE_PAUSED && h1->head_done) {
        h1->pos = (size_t)(llhttp_get_error_pos(&h1->parser) - h1->in);
        return 0;
    }
    if (rc == HPE_INVALID_VERSION)
        return 505;
    if (rc == HPE_INVALID_METHOD) { /* what follows may not be there yet: it does not count */
        size_t len = (size_t)(llhttp_get_error_pos(&h1->parser) - h1->in) + 1;
        size_t blank = 0; /* half of a blank line may have come with the piece before */

        len = len < h1->len ? len : h1->len;
        while (blank < len && (h1->in[blank] == '\r' || h1->in[blank] == '\n'))
            blank++;
        return skua__http_is_token(h1->in + blank, len - blank) ? 501 : 400;
    }
    if (h1->fields_count > h1->options->headers_max)
        return 431;
    return rc == HPE_USER ? 503 : 400;
}

/* Room for more of a head: 0; or a status. */
static int head_room(struct skua__h1 *h1)
{
    size_t room = 2 * h1->in_room;

    if (h1->len < h1->in_room)
        return 0;
    if (h1->in_room >= h1->options->head_max)
        return h1->fields_count == 0 ? 414 : 431;
    if (room > h1->options->head_max)
        room = h1->options->head_max;
    if (skua__h1_in_grow(h1, room, h1->in, h1->len) != 0)
        return 503;
    h1->buf = h1->in;
    h1->room = room;
    return 0;
}

/* Waits for the first byte of a request: 1; 0: the connection ends here. It is not idle as long as
 * an answer is on its way: who stops the server would cut it off. */
static int head_wait(struct skua__h1 *h1)
{
    const struct skua__h1_watch *watch = h1->watch;
    ssize_t n = skua__h1_flush(h1);
    int64_t deadline;

    if (n != 0)
        return (int)n;
    if (!watch->idle(h1->watcher, true))
        return 0;
    deadline = skua__http_deadline(h1->options->idle_timeout, SKUA_FOREVER);
    if (watch->readable != NULL) {
        skua__h1_kit_give(h1);
        n = watch->readable(h1->watcher, deadline);
        if (n == 0)
            n = skua__h1_kit_take(h1);
    }
    if (n == 0)
        n = skua__h1_fill(h1, deadline);
    if (!watch->idle(h1->watcher, false))
        return 0;
    if (n == -ETIMEDOUT || n == -ECONNRESET || n == SKUA_ECLOSED)
        return 0; /* that is how connections end */
    return n > 0 ? 1 : (int)n;
}

static int head_refuse(struct skua__h1 *h1, int status)
{
    h1->exchange.method = "GET"; /* whatever it was, the page has a body */
    h1->keep_alive = false;
    h1->watch->refused(h1->watcher);
    if (skua__http_exchange_refuse(&h1->exchange, status) == 0)
        (void)skua__h1_flush(h1);
    return -EBADMSG;
}

/* Blank lines before a request are skipped: RFC 9112, 2.2. */
static void head_skip_blank_lines(struct skua__h1 *h1)
{
    size_t n = 0;

    while (n + 1 < h1->len && h1->in[n] == '\r' && h1->in[n + 1] == '\n')
        n += 2;
    if (n == 0)
        return;
    memmove(h1->in, h1->in + n, h1->len - n);
    h1->len -= n;
}

/* Whether a connection begins as one of HTTP/2, as far as can be seen. */
static bool head_is_preface(const struct skua__h1 *h1)
{
    size_t most = sizeof SKUA__H1_PREFACE_TEXT - 1;

    return memcmp(h1->in, SKUA__H1_PREFACE_TEXT, h1->len < most ? h1->len : most) == 0;
}

/* Reads more of a head that has begun: 0, or what ends the connection. */
static int head_more(struct skua__h1 *h1, int64_t *deadline)
{
    ssize_t n;

    if (*deadline == 0)
        *deadline = skua__http_deadline(h1->options->head_timeout, SKUA_FOREVER);
    n = skua__h1_fill(h1, *deadline);
    if (n == -ETIMEDOUT)
        return head_refuse(h1, 408);
    if (n == 0)
        return SKUA_EEOF; /* in the middle */
    return n > 0 ? 0 : (int)n;
}

int skua__h1_head(struct skua__h1 *h1)
{
    int64_t deadline = 0;
    int status = 0;
    int rc = head_begin(h1);

    while (rc == 0) {
        if (h1->preface && h1->len != 0) {
            h1->preface = head_is_preface(h1);
            if (h1->preface && h1->len >= sizeof SKUA__H1_PREFACE_TEXT - 1)
                return SKUA__H1_PREFACE;
        }
        if (h1->preface && h1->len != 0) {
            rc = head_more(h1, &deadline);
            continue;
        }
        if (h1->pos == 0)
            head_skip_blank_lines(h1);
        if (h1->len > h1->pos)
            status = head_parse(h1);
        if (status == 0 && h1->head_done)
            status = head_exchange(h1);
        else if (status == 0)
            status = head_room(h1);
        if (status != 0)
            return head_refuse(h1, status);
        if (h1->head_done)
            return 1;
        if (h1->len == 0) {
            rc = head_wait(h1);
            if (rc <= 0)
                return rc;
            rc = 0;
            continue;
        }
        rc = head_more(h1, &deadline);
    }
    return rc;
}
