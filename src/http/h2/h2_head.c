/* h2_head.c - heads and trailers, as nghttp2 unpacks them: kept, counted, cookies joined.
 *
 * What nghttp2 has looked at already: names in lower case and tokens, pseudo-headers in their
 * place, each once, none that is not known; no Connection and its like; the length of the body.
 * Fields that are malformed reset the stream.
 * Limits     as RFC 9113, 6.5.2 counts: name, value and 32. What is beyond is not kept, however
 *            much a few bytes on the wire unpack to; the stream is `too_large`, and the role says
 *            so.
 * 1xx        are not kept, and only so many are read: a server could send them for ever.
 * Cookies    a client may send its cookies in crumbs, to pack them better; they are one again for
 *            whoever reads them (RFC 9113, 8.2.3).
 */
#include "http/h2/h2_impl.h"

#define HEAD_OVERHEAD 32
/* 1xx before a final response: as many as HTTP/1.1 reads. */
#define HEAD_INFORMS 32u

static const char **head_pseudo(struct skua__h2_stream *stream, const char *name, size_t len)
{
    if (len == 7 && memcmp(name, ":method", 7) == 0)
        return &stream->method;
    if (len == 7 && memcmp(name, ":scheme", 7) == 0)
        return &stream->scheme;
    if (len == 10 && memcmp(name, ":authority", 10) == 0)
        return &stream->authority;
    if (len == 5 && memcmp(name, ":path", 5) == 0)
        return &stream->path;
    return NULL;
}

static int head_is_pseudo(struct skua__h2_stream *stream, const char *name, size_t name_len,
                          const char *value, size_t value_len)
{
    const char **at = head_pseudo(stream, name, name_len);

    if (name_len == 7 && memcmp(name, ":status", 7) == 0) {
        int64_t status = skua__http_number(value, value_len);

        stream->status = status >= 100 && status <= 999 ? (int)status : 0;
        return stream->status != 0 ? 0 : -1;
    }
    if (at == NULL)
        return -1; /* :protocol, which we have not offered */
    *at = skua__http_arena_copy(&stream->arena, value, value_len);
    stream->no_memory |= *at == NULL;
    return 0;
}

int skua__h2_field(struct skua__h2_stream *stream, bool trailer, const char *name, size_t name_len,
                   const char *value, size_t value_len)
{
    const struct skua__h2_setup *setup = &stream->h2->setup;
    struct skua__http_field *field;

    stream->head_size += name_len + value_len + HEAD_OVERHEAD;
    if (stream->head_size > setup->head_max)
        stream->too_large = true;
    if (stream->too_large)
        return 0;
    if (!skua__http_is_value(value, value_len))
        return -1;
    if (name_len != 0 && *name == ':')
        return head_is_pseudo(stream, name, name_len, value, value_len);
    if (setup->headers_max != 0 && ++stream->head_count > setup->headers_max) {
        stream->too_large = true;
        return 0;
    }
    if (!skua__http_is_token(name, name_len))
        return -1;
    field = skua__http_fields_add(trailer ? &stream->trailers : &stream->head, &stream->arena);
    if (field == NULL) {
        stream->no_memory = true;
        return 0;
    }
    field->name = skua__http_arena_copy(&stream->arena, name, name_len);
    field->name_len = (uint32_t)name_len;
    field->value = skua__http_arena_copy(&stream->arena, value, value_len);
    field->value_len = (uint32_t)value_len;
    if (field->name != NULL && field->value != NULL)
        return 0;
    stream->no_memory = true;
    *field = (struct skua__http_field){"", "", 0, 0};
    return 0;
}

static bool head_is_cookie(const struct skua__http_field *field)
{
    return field->name_len == 6 && memcmp(field->name, "cookie", 6) == 0;
}

static void head_cookies(struct skua__h2_stream *stream)
{
    struct skua__http_fields *head = &stream->head;
    struct skua__http_field *first = NULL;
    size_t crumbs = 0;
    size_t len = 0;
    size_t kept = 0;
    char *at;

    for (size_t i = 0; i < head->count; i++) {
        if (!head_is_cookie(&head->at[i]))
            continue;
        crumbs++;
        len += head->at[i].value_len + 2;
    }
    if (crumbs < 2)
        return;
    at = skua__http_arena_alloc(&stream->arena, len);
    if (at == NULL) {
        stream->no_memory = true;
        return;
    }
    for (size_t i = 0; i < head->count; i++) {
        const struct skua__http_field field = head->at[i];

        if (!head_is_cookie(&field)) {
            head->at[kept++] = field;
            continue;
        }
        memcpy(at, field.value, field.value_len);
        memcpy(at + field.value_len, "; ", 2);
        if (first == NULL) {
            head->at[kept] = field;
            head->at[kept].value = at;
            first = &head->at[kept++];
        }
        at += field.value_len + 2;
    }
    head->count = kept;
    at[-2] = '\0';
    first->value_len = (uint32_t)(len - 2);
}

void skua__h2_head_done(struct skua__h2_stream *stream)
{
    const struct skua__http_field *length;

    if (stream->h2->setup.server)
        head_cookies(stream);
    length = skua__http_fields_find(&stream->head, "content-length", 14, 0);
    stream->length = length != NULL ? skua__http_number(length->value, length->value_len) : -1;
    stream->head_size = stream->head_count = 0; /* trailers count for themselves */
    stream->head_done = true;
}

void skua__h2_head_informed(struct skua__h2_stream *stream)
{
    stream->head = (struct skua__http_fields){NULL, 0, 0};
    stream->head_size = stream->head_count = 0;
    skua__http_arena_reset(&stream->arena); /* nobody has seen it */
    stream->informed = stream->status;
    if (++stream->informs > HEAD_INFORMS)
        skua__h2_cut(stream, NGHTTP2_ENHANCE_YOUR_CALM, -EBADMSG);
}

#undef HEAD_OVERHEAD
#undef HEAD_INFORMS
